#!/usr/bin/perl

# HTTP/3: a request over QUIC fires its event as any other, after its answer,
# and what is known of it is the same.

use lib 't/lib';
use Klaviyo::Test;
use File::Temp qw(tempdir);

use Klaviyo::Test::Certificates;
use Klaviyo::Test::Process qw(run);


my $nginx = $ENV{KLAVIYO_REAL_NGINX} // $ENV{KLAVIYO_NGINX}
    // '/usr/sbin/nginx';

my (undef, $built)    = run($nginx, '-V');
my (undef, $features) = run('curl', '-V');

plan skip_all => 'this nginx has no HTTP/3'
    if $built !~ /--with-http_v3_module/;
plan skip_all => 'this curl has no HTTP/3' if $features !~ /\bHTTP3\b/;

my $tls = tempdir(CLEANUP => 1);
my ($certificate, $key) = Klaviyo::Test::Certificates->new($tls)
    ->issue('shop');

my $t = Klaviyo::Test->new(
    vars => {CERTIFICATE => $certificate, CERTIFICATE_KEY => $key},
    http => q{
        klaviyo_profile email $arg_email;
        klaviyo_json $order $request_body /id;

        server {
            listen 127.0.0.1:%%PORT_H3%% quic;
            listen 127.0.0.1:%%PORT_H3%% ssl;
            ssl_certificate %%CERTIFICATE%%;
            ssl_certificate_key %%CERTIFICATE_KEY%%;
            ssl_protocols TLSv1.2 TLSv1.3;
            add_header Alt-Svc 'h3=":%%PORT_H3%%"';

            location = /page {
                klaviyo_event "Viewed Page" view {
                    property Protocol $server_protocol;
                }
                return 200 "page\n";
            }

            location = /order {
                klaviyo_request_body on;
                klaviyo_event "Placed Order" {
                    property Protocol $server_protocol;
                    property Order    $order;
                }
                proxy_pass http://127.0.0.1:%%PORT%%/;
            }
        }
    },
);

$t->start;

my $to = 'https://localhost:' . $t->port('H3');

# what curl says: the version of HTTP, the status
sub visit {
    my ($path, @more) = @_;

    my ($code, $output) = run('curl', '-sS', '-k', '--http3-only', '-4',
        '--max-time', slow(10), '--noproxy', '*',
        '-A', Klaviyo::Test::Client::AGENT, '-o', "$tls/answer",
        '-w', '%{http_version} %{http_code}', @more, "$to$path");

    return $output;
}

is visit('/page?email=ann@shop.com'), '3 200', 'served'
    or diag $built;
is visit('/order?email=bob@shop.com', '-H', 'Content-Type: application/json',
    '-d', '{"id":"A-17"}'), '3 200', 'with a body, to an application';

my %events = map { $_->{metric} => $_ } @{ $t->wait_events(2) };

is_deeply [sort keys %events], ['Placed Order', 'Viewed Page'], 'both arrived';
is $events{'Viewed Page'}{properties}{Protocol}, 'HTTP/3.0', 'over QUIC';
is $events{'Viewed Page'}{profile}{email}, 'ann@shop.com', 'who it was';
is $events{'Placed Order'}{properties}{Order}, 'A-17', 'of the body';

is $t->account->{captured}, 2, 'two and no more';

$t->stop;

done_testing;

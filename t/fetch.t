#!/usr/bin/perl

# fetch= of klaviyo_track: which of the requests that scripts make by GET are
# page views, as those of a router in the browser, and which are not.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_profile  external_id  x;

        server {
            listen 127.0.0.1:%%PORT_APP%%;
            default_type application/json;
            location / { return 200 "{}"; }
            location /page { default_type text/html; return 200 "<p>"; }
            location /gone { return 404; }
            location /same { return 304; }
        }
    },
    server => <<'END');
        location / {
            klaviyo_track "Viewed" view fetch=/_next/data/;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /page {
            klaviyo_track "Viewed" view fetch=$http_rsc;
            klaviyo_track "Ajax" fetch=$arg_ajax;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /any {
            klaviyo_track "Viewed" fetch=/any/page/;
            try_files /none /elsewhere/;
        }

        location /elsewhere/ {
            proxy_pass http://127.0.0.1:%%PORT_APP%%/;
        }

        location /gone {
            klaviyo_track "Viewed" view fetch=/gone;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /same {
            klaviyo_track "Viewed" view fetch=/same;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /enriched {
            klaviyo_track "Viewed" fetch=/enriched/;
            klaviyo_enrich /known;
            return 200 "";
        }

        location = /known {
            internal;
            return 200 '{"properties":{"Known":1}}';
        }
END

$t->start;

my %was;

# the reasons for which nothing was fired, or "captured", each once

sub asked {
    my ($method, $path, @headers) = @_;

    $t->request($method, $path, [@headers]);

    my $account = $t->account('shop');
    my %is = (captured => $account->{captured},
              %{ $account->{reasons}{skipped} });

    my @moved = map { my $n = $is{$_} - ($was{$_} // 0); ($_) x $n }
        sort keys %is;
    %was = %is;

    return join ' ', @moved;
}

my @fetch = ('Sec-Fetch-Dest' => 'empty');
my @page  = ('Sec-Fetch-Dest' => 'document');
my $data  = '/_next/data/b1d/lamp.json';

# a path

is asked(GET => $data, @fetch), 'captured', 'a script\'s, of this path';
is asked(GET => $data), 'captured', 'of a browser that does not say';
is asked(GET => '/api/session', @fetch), 'subresource', 'of another path';
is asked(GET => '/_next/dat', @fetch), 'subresource', 'of a part of it';
is asked(GET => '/x/_next/data/', @fetch), 'subresource', 'not in its midst';
is asked(GET => $data, 'Sec-Fetch-Dest' => 'image'), 'subresource',
    'no part of a page';
is asked(GET => $data, 'Sec-Fetch-Dest' => 'iframe'), 'subresource', 'nor this';
is asked(GET => $data, @fetch, Purpose => 'prefetch'), 'prefetch',
    'nor what nobody has asked for yet';
is asked(GET => $data, @fetch, 'Next-Router-Prefetch' => 1), 'prefetch',
    'so says the router';
is asked(GET => $data, @fetch, 'User-Agent' => 'Googlebot/2.1'), 'bot',
    'nor a bot';
is asked(HEAD => $data, @fetch), 'head', 'nor HEAD';
is asked(POST => $data, @fetch), 'condition', 'nor POST, which views nothing';
is asked(GET => '/other', @page), 'condition', 'no view as before: no HTML';

# a variable

is asked(GET => '/page', @page), 'captured captured', 'a page as before';
is asked(GET => '/page', @fetch), 'subresource subresource', 'none is named';
is asked(GET => '/page', @fetch, RSC => 1), 'captured subresource', 'one is';
is asked(GET => '/page?ajax=true', @fetch), 'captured subresource',
    'by an argument';
is asked(GET => '/page?ajax=0', @fetch, RSC => 0), 'subresource subresource',
    'which say no';

# the status, a redirect, an enrichment

is asked(GET => '/gone', @fetch), 'status', 'it must be there';
is asked(GET => '/same', @fetch), 'captured', 'or be the same';
is asked(GET => '/any/page/1', @fetch), 'captured',
    'the path is that of the visitor';
is asked(GET => '/any/other', @fetch), 'subresource', 'and no other';
is asked(GET => '/enriched/1', @fetch), 'captured', 'asked about';
is asked(GET => '/enriched', @fetch), 'subresource', 'or not';
is $t->account->{enrich}{merged}, 1, 'klaviyo_enrich: for the one alone';
is $t->account->{enrich}{requested}, 1, 'and asked once';

$t->stop;

for my $case (
    ['fetch=next' => qr{invalid "fetch=next": what scripts may fetch is a path}],
    ['fetch='     => qr/invalid parameter "fetch="/],
    ['fetch=/a fetch=/b' => qr{duplicate parameter "fetch=/b"}],
) {
    my ($parameters, $expected) = @$case;
    my ($code, $output) = config_test(server =>
        "klaviyo_track X $parameters;");

    isnt $code, 0, "$parameters: refused";
    like $output, $expected, "$parameters: said why";
}

done_testing;

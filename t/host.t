#!/usr/bin/perl

# The host in an event's URL: a client names any, and only the server's own
# get into it.

use lib 't/lib';
use Klaviyo::Test;


my $location = 'location / { klaviyo_track "Viewed Page"; return 200 "x\n"; }';

my $t = Klaviyo::Test->new(
    http => qq{
        klaviyo_profile email \$arg_email;
        server_names_hash_bucket_size 128;

        server { listen 127.0.0.1:%%PORT_NAMES%%;
                 server_name *.shop.test shop.test .brand.test www.old.*
                     ~^(?<store>[a-z]+)\\.stores\\.test\$;
                 $location }
        server { listen 127.0.0.1:%%PORT_BELOW%%;
                 server_name *.below.test; $location }
        server { listen 127.0.0.1:%%PORT_AT%%;
                 server_name .at.test; $location }
        server { listen 127.0.0.1:%%PORT_REGEX%%;
                 server_name ~\\.regex\\.test\$; $location }
        server { listen 127.0.0.1:%%PORT_ALL%%;
                 server_name shop.test ~.; $location }
        server { listen 127.0.0.1:%%PORT_CATCH%%;
                 server_name _; $location }
    },
    server => "$location location /deep/ { klaviyo_track Deep; "
        . 'location /deep/er { klaviyo_track Deeper; return 200; } }')->start;

my $n = 0;

sub url {
    my ($port, $host, $request) = @_;

    my $id = ++$n;

    $t->raw(($request // "GET /p HTTP/1.1")
        =~ s{ (\S+) HTTP}{ $1?email=v$id\@shop.com HTTP}r
        . "\r\n" . (defined $host ? "Host: $host\r\n" : '')
        . "Connection: close\r\n\r\n", port => $t->port($port));

    wait_for(5, sub {
        grep { $_->{profile}{email} eq "v$id\@shop.com" }
            @{ $t->sandbox->events }
    }) or return 'no event';

    my ($event) = grep { $_->{profile}{email} eq "v$id\@shop.com" }
        @{ $t->sandbox->events };

    return ($event->{properties}{URL} // 'none') =~ s/\?.*//r;
}

my @cases = (
    [NAMES => 'shop.test',            'http://shop.test/p'],
    [NAMES => 'SHOP.test:8080',       'http://shop.test:8080/p'],
    [NAMES => 'de.shop.test',         'http://de.shop.test/p'],
    [NAMES => 'brand.test',           'http://brand.test/p'],
    [NAMES => 'a.b.brand.test',       'http://a.b.brand.test/p'],
    [NAMES => 'www.old.example',      'http://www.old.example/p'],
    [NAMES => 'berlin.stores.test',   'http://berlin.stores.test/p'],
    [NAMES => 'evil.example',         'http://shop.test/p'],
    [NAMES => 'evil.example:8080',    'http://shop.test/p'],
    [NAMES => 'evilshop.test',        'http://shop.test/p'],
    [NAMES => 'evilbrand.test',       'http://shop.test/p'],
    [NAMES => 'shop.test.evil.example', 'http://shop.test/p'],
    [NAMES => '1.stores.test',        'http://shop.test/p'],
    [NAMES => 'shop.test:x@evil.example',  'http://shop.test/p'],
    [NAMES => 'shop.test:80@evil.example', 'http://shop.test/p'],
    [NAMES => 'shop.test:80?',        'http://shop.test/p'],
    [NAMES => 'shop.test:',           'http://shop.test/p'],
    [NAMES => 'shop.test:65536',      'http://shop.test/p'],
    [NAMES => 'evil.example?.brand.test',  'http://shop.test/p'],
    [NAMES => 'evil.example#.brand.test',  'http://shop.test/p'],
    [NAMES => 'evil.example\\.brand.test', 'http://shop.test/p'],
    [NAMES => 'a@b.brand.test',       'http://shop.test/p'],
    [BELOW => 'a.below.test',         'http://a.below.test/p'],
    [BELOW => 'evil.example?.below.test',  'http://below.test/p'],
    [BELOW => 'evil.example',         'http://below.test/p'],
    [AT    => 'evil.example',         'http://at.test/p'],
    [REGEX => 'a.regex.test',         'http://a.regex.test/p'],
    [REGEX => 'evil.example',         'none'],
    [REGEX => 'evil.example?.regex.test',  'none'],
    [ALL   => 'any.example',          'http://any.example/p'],
    [CATCH => 'any.example:81',       'http://any.example:81/p'],
    [CATCH => 'any.example:81@evil.example', 'http://any.example/p'],
    [CATCH => '[::1]:81',             'http://[::1]:81/p'],
);

is url($_->[0], $_->[1]), $_->[2], "$_->[0]: $_->[1]" for @cases;

is url('NAMES', 'shop.test', 'GET http://evil.example/p HTTP/1.1'),
    'http://shop.test/p', 'an absolute URL';
is url('NAMES', undef, 'GET /p HTTP/1.0'), 'http://shop.test/p', 'no Host';

$t->stop;

done_testing;

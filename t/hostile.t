#!/usr/bin/perl

# Bytes of all kinds in a request: an event that Klaviyo's schema accepts, or
# none and a count; the client's answer and the worker are as ever.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => q{
        large_client_header_buffers 8 512k;
        client_max_body_size 16m;
        client_body_buffer_size 16m;
        underscores_in_headers on;

        server {
            listen 127.0.0.1:%%PORT_BACKEND%%;
            client_max_body_size 16m;
            location / { return 200 "backend\n"; }
        }
    },
    account => 'batch linger=20ms;',
    server  => <<'END');
        # all but bots, as most of what follows names no browser
        klaviyo_skip head prefetch subresource kla_off gpc dnt;

        klaviyo_profile external_id bad;
        klaviyo_track "Bad" status=400;

        location / {
            klaviyo_profile   external_id  $http_x_who;
            klaviyo_profile   anonymous_id $http_x_browser;
            klaviyo_profile   first_name   $cookie_name;
            klaviyo_profile   Note         $http_x_note;
            klaviyo_profile   zip          $arg_zip;
            klaviyo_property  Cookie       $http_cookie;
            klaviyo_property  Text         "a${http_x_text}b";
            klaviyo_property  List         $http_x_list  list;
            klaviyo_property  Json         $http_x_json  json;
            klaviyo_property  Number       $http_x_number  number;
            klaviyo_event     "Hostile" {
                unique_id  $http_x_id;
                value      $http_x_value $http_x_currency;
            }
            return 200 "ok";
        }

        location /body {
            klaviyo_profile   external_id  body;
            klaviyo_event     "Body" {
                property  Body  $request_body  json;
                property  Raw   $request_body;
            }
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /metric {
            klaviyo_profile   external_id  metric;
            klaviyo_track     "Metric $http_x_metric";
            return 200 "ok";
        }
END

$t->start;

my $seen = 0;

sub events {
    $t->wait_idle(20);

    my @events = @{ $t->sandbox->events };
    my @new    = @events[$seen .. $#events];

    $seen = @events;

    return @new;
}

sub account { return $t->account('shop') }


# one byte of each kind, everywhere at once

my $changed = 0;

for my $byte (0x01 .. 0xff) {
    next if $byte == 0x0a || $byte == 0x0d;

    my $ch = chr $byte;

    $t->raw("GET /p${ch}q?zip=$ch&utm_source=$ch&x=%00$ch HTTP/1.1\r\n"
        . "Host: h\r\nX-Who: w$byte\r\nX-Browser: b$ch\r\nX-Text: $ch\r\n"
        . "X-Note: $ch$ch\r\n"
        . "X-List: $ch,$ch\r\nX-Json: \"$ch\"\r\nX-Number: $ch\r\n"
        . "X-Id: i$byte$ch\r\nReferer: http://r/$ch\r\n"
        . "User-Agent: $ch\r\nCookie: name=$ch; x=$ch\r\n"
        . "Connection: close\r\n\r\n");
}

my @events = grep { $_->{metric} eq 'Hostile' } events();

cmp_ok scalar @events, '>', 200, 'most of them are requests, and events';
is_deeply account()->{reasons}{dead}, {expired => 0, failed => 0, refused => 0,
    too_large => 0}, 'Klaviyo takes them all';
cmp_ok account()->{reasons}{changed}{utf8_repaired}, '>=', 128,
    'bytes above 7f were repaired';
is scalar(grep { ($_->{properties}{Text} // '') =~ /\x{fffd}/ } @events), 128,
    'and are U+FFFD';
is scalar(grep { ($_->{properties}{Text} // '') !~ /^a.*b$/s } @events), 0,
    'the rest of a value is there';
cmp_ok account()->{reasons}{left_out}{identifier}, '>=', 128,
    'an identifier is not repaired';
cmp_ok account()->{reasons}{left_out}{unique_id}, '>=', 128,
    'a unique_id is not repaired';


# UTF-8 in its bad forms, at the ends of values

for my $text ("\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\xaf",
              "\xf5\x80\x80\x80", "\xe2\x82\xac\xe2", "\xef\xbf\xbd",
              "\xf4\x90\x80\x80", "\x80" x 100)
{
    $t->raw("GET /$text?a=$text HTTP/1.1\r\nHost: h\r\nX-Who: x\r\n"
        . "X-Browser: x$text\r\n"
        . "X-Text: $text\r\nX-Note: $text\r\nReferer: $text\r\n"
        . "Connection: close\r\n\r\n");
}

is scalar(events()), 10, 'bad UTF-8: all are events';


# lengths

sub sized {
    my ($name, $value) = @_;

    my $response = $t->get('/', 'X-Who' => 'x', $name => $value);

    is $response->status, 200, "$name of " . length($value) . ': served';

    return (events())[0];
}

my $event = sized('X-Text', 'x' x 150_000);

is length $event->{properties}{Text}, 100_000, 'a long string is cut';
is account()->{reasons}{changed}{string_cut}, 1, 'and counted';

$event = sized('X-Text', 'xx' . "\xc3\xa9" x 60_000);

is length $event->{properties}{Text}, 3 + (100_000 - 3 - 1) / 2,
    'between two characters';

$event = sized('X-List', join ',', 1 .. 5_000);
is scalar @{ $event->{properties}{List} }, 4_000, 'a long list is cut';
is account()->{reasons}{changed}{list_cut}, 1, 'and counted';

$event = sized('X-Json', '[' x 10 . ']' x 10);
ok !exists $event->{properties}{Json}, 'JSON of ten levels is left out';

$event = sized('X-Json', '[' x 9 . ']' x 9);
ok exists $event->{properties}{Json}, 'of nine it is not';

$event = sized('X-Json', '[' x 200_000);
ok !exists $event->{properties}{Json}, 'nor does depth reach the parser';

ok !defined sized('X-Note', 'x' x 95_000), 'a profile over 95 KB: no event';
is account()->{reasons}{skipped}{profile_too_large}, 1, 'counted';

ok defined sized('X-Note', 'x' x 94_000), 'a profile under it: an event';

# each control character is six bytes of JSON

$event = sized('X-Text', "\x7f" x 90_000);
is length $event->{properties}{Text}, 90_002, 'all to be escaped';


# a body

my $json = '{"items":[' . join(',', map { qq({"id":$_}) } 1 .. 3_000) . ']}';

is $t->post('/body', $json)->status, 200, 'a body of JSON';
($event) = events();
is scalar @{ $event->{properties}{Body}{items} }, 3_000, 'is a property';

is $t->post('/body', '{"a":"' . 'x' x 4_000_000 . '"}')->status, 200,
    'a body of 4 MB';
($event) = events();
is length $event->{properties}{Raw}, 100_000, 'is cut as a string';
ok !exists $event->{properties}{Body}, 'and left out as JSON';

is $t->post('/body', join '', map { chr } 0 .. 255)->status, 200,
    'a body of bytes';
($event) = events();
like $event->{properties}{Raw}, qr/\A\x{fffd}\x{1}/, 'with NUL in front, repaired';


# arguments

$t->get('/?' . join('&', map { "a$_=%$_" } 1 .. 9_000), 'X-Who' => 'x');
($event) = events();
ok length $event->{properties}{URL} > 50_000,
    'many arguments';

$t->get('/?' . '&' x 10_000 . 'utm_x=%zz%4&utm_' . 'y' x 100 . '=1&utm_z=+%2',
    'X-Who' => 'x');
($event) = events();
is_deeply {map { /^utm_/ ? ($_ => $event->{properties}{$_}) : () }
           keys %{ $event->{properties} }},
    {utm_x => '%zz%4', utm_z => ' %2'}, 'broken percents are themselves';

for my $arguments ('%5fkx=secret', '_%6bx=secret', '_kx=secret', '_Kx=secret',
    'a=b&_ke=secret', '_kx=1&_kx=secret', 'utm%5Femail=secret', '&&_kx=secret',
    '_kx%3dx=ok&%5f%6b%65=secret', '_kx=secret#', 'a#_kx=secret')
{
    $t->raw("GET /i?$arguments HTTP/1.1\r\nHost: h\r\nX-Who: x\r\n"
        . "Referer: https://r/?$arguments\r\nConnection: close\r\n\r\n");

    ($event) = events();

    if (!defined $event) {
        fail "$arguments: an event";
        next;
    }

    unlike $event->{properties}{$_} // '', qr/secret/, "$arguments: not in $_"
        for qw(URL Referrer Path);
}


# metrics of a visitor's choice

for my $metric ("\xff", "a\tb", 'x' x 200) {
    $t->raw("GET /metric HTTP/1.1\r\nHost: h\r\nX-Metric: $metric\r\n"
        . "Connection: close\r\n\r\n");
}

is scalar(events()), 0, 'bad metrics: no event';
is account()->{reasons}{skipped}{metric}, 3, 'counted';


# requests that are none, and answers that nobody waits for

$t->raw($_) for "\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\r\n\r\n",
    "GET / HTTP/1.0\r\nX-Who: x\r\n\r\n", "GET http://abs?x=1 HTTP/1.1\r\n"
    . "Host: other:1\r\nX-Who: x\r\nConnection: close\r\n\r\n",
    "GET /old\r\n";

@events = events();

is_deeply [grep { defined } map { $_->{properties}{URL} }
               grep { $_->{metric} eq 'Hostile' } @events],
    ['http://abs?x=1'],
    'HTTP/1.0 without a host, and an absolute URL';

my @bad = grep { $_->{metric} eq 'Bad' } @events;

cmp_ok scalar @bad, '>=', 2, 'what is no request can be an event';
is_deeply [grep { $_->{properties}{Status} != 400 } @bad], [], 'of status 400';
ok !exists $bad[0]{properties}{URL}, 'without a URL';

for (1 .. 20) {
    my $client = $t->client;

    $client->send("GET / HTTP/1.1\r\nHost: h\r\nX-Who: x\r\n\r\n");
    $client->reset;
}

events();

my $figures = account();

is $figures->{delivered}, $figures->{captured}, 'what was captured arrived';
is_deeply $figures->{reasons}{dead}, {expired => 0, failed => 0, refused => 0,
    too_large => 0}, 'Klaviyo took all of it';
is account()->{reasons}{skipped}{no_memory}, 0, 'memory was enough';

$t->stop;


# more properties than Klaviyo takes

sub many {
    my ($n) = @_;

    return join "\n", 'klaviyo_profile external_id x; klaviyo_defaults off;',
        'klaviyo_track X; location / { return 200 ""; }',
        (map { "klaviyo_property c$_ $_;" } 1 .. 200),
        (map { "klaviyo_property v$_ \$uri;" } 1 .. $n - 200);
}

$t = Klaviyo::Test->new(server => many(400));
$t->start;
$t->get('/');
is scalar keys %{ $t->wait_events(1)->[0]{properties} }, 400,
    '400 properties';
$t->set(server => many(401));
$t->reload(gone => 5);
$t->get('/');
$t->wait_idle;
is account()->{captured}, 1, '401: no event';
is account()->{reasons}{skipped}{too_many_properties}, 1, 'counted';
$t->stop;

done_testing;

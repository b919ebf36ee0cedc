#!/usr/bin/perl

# klaviyo_json and klaviyo_form: parts of a value as variables, from every
# kind of source, at every moment of a request, and from hostile bytes.

use lib 't/lib';
use Klaviyo::Test;

use Mojo::JSON qw(encode_json);


sub refused {
    my ($what, $expected, $http) = @_;

    my ($code, $output) = config_test(http => $http);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
    like $output, qr/nginx\.conf:[1-9]/, "$what: says where";
}


my $t = Klaviyo::Test->new(
    http => q{
        large_client_header_buffers 4 128k;
        client_body_buffer_size 2m;
        client_max_body_size 4m;

        klaviyo_json $string  $http_x_json /string;
        klaviyo_json $number  $http_x_json /number;
        klaviyo_json $object  $http_x_json /object;
        klaviyo_json $deep    $http_x_json /object/list/1/k~1e~0y;
        klaviyo_json $whole   $http_x_json "";
        klaviyo_json $other   $http_x_other /string;
        klaviyo_json $joined  '{"string":"$arg_a-$arg_b"}' /string;
        klaviyo_json $inner   $string /inner;
        klaviyo_json $cycle   $circle /a;
        klaviyo_json $circle  $cycle /a;
        klaviyo_json $email   $request_body /customer/email;
        klaviyo_json $items   $request_body /items;
        klaviyo_json $total   $request_body /total;
        klaviyo_json $named   $upstream_http_x_answer /string;

        klaviyo_form $name    $request_body name;
        klaviyo_form $first   $request_body "items[0]";
        klaviyo_form $utm     $args utm_source;

        map $string $mapped { default no; yes mapped; }

        server {
            listen 127.0.0.1:%%PORT_APP%%;
            add_header X-Answer '{"string":"from the application"}';
            location / { return 200 "app\n"; }
        }
    },
    server => <<'END');
        klaviyo_defaults off;
        klaviyo_profile external_id x;
        klaviyo_skip off;

        location / {
            default_type text/plain;
            return 200 "<$string|$number|$object|$deep|$mapped>";
        }

        location /whole { return 200 "<$whole>"; }
        location /form { return 200 "<$utm>"; }
        location /two { return 200 "<$string|$other|$string|$other>"; }
        location /joined { return 200 "<$joined>"; }
        location /inner { return 200 "<$inner>"; }
        location /cycle { return 200 "<$cycle>"; }

        location /set {
            set $kept $string;
            set $string changed;
            return 200 "<$kept|$string>";
        }

        location /late {
            klaviyo_event "Late" { property Said $named; }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /early {
            set $early "<$named>";
            klaviyo_event "Early" {
                property Early $early;
                property Late $named;
            }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /order {
            klaviyo_profile email $email;
            klaviyo_event "Placed Order" {
                property Items $items json;
                value $total EUR;
            }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /contact {
            klaviyo_event "Contact" {
                property Name $name;
                property First $first;
            }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /mirrored {
            mirror /mirror;
            klaviyo_event "Main" { property Total $total; }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /mirror {
            internal;
            log_subrequest on;
            klaviyo_event "Mirror" { property Total $total; }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }
END

$t->start;

sub said {
    my ($path, $json, @headers) = @_;

    return $t->get($path, 'X-Json' => $json, @headers)->body;
}


# what is found

my $object = '{"list":[0,{"k/e~y":"d"}]}';

is said('/', "{\"string\":\"s\",\"number\":19.90,\"object\":$object}"),
    "<s|19.90|$object|d|no>", 'strings bare, others as JSON';
is said('/', '{"string":"yes"}'), '<yes||||mapped>', 'through a map';
is said('/', '{"string":true,"number":null,"object":[ 1, 2 ]}'),
    '<true||[ 1, 2 ]||no>', 'literals and arrays';
is said('/', '{"string":"\\u00fc\\ud83d\\ude00\\"\\\\"}'),
    "<\xc3\xbc\xf0\x9f\x98\x80\"\\||||no>", 'escapes';
is said('/', ' { "string" : "s" } '), '<s||||no>', 'blanks';
is said('/', '{"string":""}'), '<||||no>', 'an empty one';
is said('/', '{}'), '<||||no>', 'nothing there';
is $t->get('/')->body, '<||||no>', 'no source';
is said('/whole', '[1, 2]'), '<[1, 2]>', 'an empty pointer';
is said('/whole', '"text"'), '<text>', 'of a string';
is $t->get('/joined?a=1&b=2')->body, '<1-2>', 'a source of several variables';
is $t->get('/joined?a=1&b=")')->body, '<>', 'that is no JSON any more';
is said('/inner', '{"string":"{\\"inner\\":5}"}'), '<5>', 'JSON in a string';
is said('/set', '{"string":"s"}'), '<s|changed>', 'set';
is said('/two', '{"string":"a"}', 'X-Other' => '{"string":"b"}'),
    '<a|b|a|b>', 'two sources in turn';
is said('/two', '{"string":"a"', 'X-Other' => '{"string":"b"}'),
    '<|b||b>', 'one of them bad';

# one connection: nothing is kept from request to request

my $client = $t->client;

for my $n (1 .. 3) {
    is $client->get('/', 'X-Json' => "{\"string\":\"$n\"}")->body,
        "<$n||||no>", "request $n of a connection";
}

is $t->get('/cycle')->body, '<>', 'a circle ends';


# what is none

my @bad = (
    '{', '{"string":"s"', '{"string":"s"}}', "{'string':'s'}",
    '{"string":"\\x"}', '{"string":"s",}', '{"string":1e}',
    '{"string":"s"}{}', '{"string":' . '[' x 1024 . ']' x 1024 . '}',
    '{"string":' . '[' x 60000,
    '{"string":"s","x":[' . '1,' x 40000 . ']}',
);

is said('/', $_), '<||||no>', 'no JSON: ' . substr $_, 0, 30 for @bad;

is said('/', '{"string":"s","x":[' . '1,' x 40000 . '1]}'), '<s||||no>',
    '40,000 values';
is said('/', '{"string":"s","x":' . '[' x 500 . ']' x 500 . '}'), '<s||||no>',
    '500 levels of what nobody asks for';


# what is read all the same

is said('/', '{"string":"s","string":"t"}'), '<t||||no>', 'the last of a name';
is said('/', '{"string":"a\\u0000b\\ud800"}'),
    "<a\xef\xbf\xbdb\xef\xbf\xbd||||no>", 'escapes of no characters';
is said('/', "{\"string\":\"\xff\"}"), "<\xff||||no>", 'a byte of none';
is said('/', "\xef\xbb\xbf{\"string\":\"s\"}"), '<s||||no>',
    'a byte order mark';
is said('/', '{"string":-1e999,"number":12345678901234567890}'),
    '<-1e999|12345678901234567890|||no>', 'numbers of any size';



# early and late

$t->get('/late');
is $t->wait_events(1)->[0]{properties}{Said}, 'from the application',
    'from the answer';

$t->get('/early');
is_deeply $t->wait_events(2)->[1]{properties},
    {Early => '<>', Late => 'from the application'},
    'asked too early, and again';


# the body of a request that is proxied

sub post {
    my ($path, $body, @headers) = @_;

    my $before = @{ $t->sandbox->events };

    $t->request(POST => $path, \@headers, $body);
    $t->wait_idle;

    my @events = @{ $t->sandbox->events };

    return splice @events, $before;
}

my ($event) = post('/order', encode_json({customer => {email => 'a@shop.com'},
    total => '19.90', items => [{sku => 'A', n => 2}, {sku => 'B', n => 1}]}));

is $event->{profile}{email}, 'a@shop.com', 'a webhook: who';
is $event->{value}, 19.9, 'how much';
is_deeply $event->{properties}{Items},
    [{sku => 'A', n => 2}, {sku => 'B', n => 1}], 'what';

($event) = post('/order', '{"total":1,"items":[');
is $event->{profile}{email}, undef, 'half a body: nobody else';
is_deeply $event->{properties}, {}, 'and nothing';

# a megabyte is looked at, more is not

($event) = post('/order', '{"total":1,"x":"' . 'x' x (1024 * 1024 - 18)
    . '"}');
is $event->{value}, 1, 'a megabyte';
($event) = post('/order', '{"total":1,"x":"' . 'x' x (1024 * 1024 - 17)
    . '"}');
is $event->{value}, undef, 'one byte more';
($event) = post('/order', '{"total":1,"x":[' . '0,' x 100000 . '0]}');
is $event->{value}, 1, 'a hundred thousand values beside it';

my @pair = sort { $a->{metric} cmp $b->{metric} }
    post('/mirrored', '{"total":5}');

is_deeply [map { "$_->{metric} $_->{properties}{Total}" } @pair],
    ['Main 5', 'Mirror 5'], 'a subrequest has the same body';


# forms

($event) = post('/contact',
    'name=Zo%C3%AB+%22X%22%2C&items%5B0%5D=first&items%5B1%5D=second');

is_deeply $event->{properties}, {Name => 'Zoë "X",', First => 'first'},
    'fields of a form';

($event) = post('/contact', 'name=%00%ff%&items[0]=%zz');
is $event->{properties}{First}, '%zz', 'what is no encoding';
like $event->{properties}{Name}, qr/\A.\x{fffd}%\z/s, 'what is no text';

($event) = post('/contact', 'nam=1&Name=2&name');
is_deeply $event->{properties}, {}, 'nothing of that name';

is $t->get('/form?a=b&utm_source=x%20y')->body, '<x y>', 'of another source';

$t->stop;


# a large source is read once, however many variables point into it

$t = Klaviyo::Test->new(
    http => join("\n", map { "klaviyo_json \$m$_ \$request_body /m$_;" } 1 .. 15),
    server => join("\n", '
        client_body_buffer_size 2m;
        client_max_body_size 2m;
        klaviyo_request_body on;
        klaviyo_profile external_id $m1;
        location /one { klaviyo_track One; return 204; }
        location /all {
            klaviyo_track All;',
        (map { "klaviyo_property P$_ \$m$_;" } 2 .. 15), 'return 204; }'),
)->start;

my ($worker) = $t->workers;
my $large = '{"padding":[' . '1,' x 490_000 . '1],'
    . join(',', map { qq("m$_":"v$_") } 1 .. 15) . '}';

# ticks of the processor for some requests

sub ticks {
    my ($uri) = @_;

    my $used = sub {
        open my $in, '<', "/proc/$worker/stat" or die "stat: $!\n";
        my @field = split ' ', <$in> =~ s/.*\) //r;
        return $field[11] + $field[12];
    };
    my $before = $used->();

    for (1 .. 20) {
        is $t->post($uri, $large)->status, 204, "$uri: 1 MB"
            or last;
    }

    return $used->() - $before;
}

ticks('/one');
cmp_ok ticks('/all'), '<', 3 * ticks('/one') + 3,
    'fifteen variables take about the time of one';
is_deeply [map { $_->{properties}{P15} }
           grep { $_->{metric} eq 'All' } @{ $t->wait_events(60, 20) }],
    [('v15') x 20], 'and have their values';

$t->stop;


# what is refused

refused "the pointer $_", qr/invalid pointer "\Q$_\E"/,
    "klaviyo_json \$a \$b '$_';" for 'a', '#/a', '/~', '/~2', 'a/b';
refused 'no variable', qr/invalid variable name "a"/,
    'klaviyo_json a $request_body /a;';
refused 'an empty name', qr/invalid variable name "\$"/,
    'klaviyo_json $ $request_body /a;';
refused 'twice', qr/the variable "\$a" is there already/,
    'klaviyo_json $a $request_body /a; klaviyo_json $a $request_body /b;';
refused 'json and form', qr/the variable "\$a" is there already/,
    'klaviyo_json $a $request_body /a; klaviyo_form $a $request_body b;';
refused "a variable of nginx's", qr/the duplicate "uri" variable/,
    'klaviyo_json $uri $request_body /a;';
refused 'no pointer', qr/invalid number of arguments in "klaviyo_json"/,
    'klaviyo_json $a $request_body;';
refused "a cookie's name \"$_\"", qr/invalid name "\Q$_\E" of a cookie: names/,
    qq{klaviyo_cookie \$a "$_";} for '', 'a b', 'a=b', 'a;', 'a,b', '$uri';
refused 'an empty field', qr/"klaviyo_form" directive has an empty name/,
    'klaviyo_form $a $request_body "";';

my ($code, $output) = config_test(http => 'klaviyo_json $a $nope /a;');
isnt $code, 0, 'an unknown source: refused';
like $output, qr/unknown "nope" variable/, 'by nginx';

done_testing;

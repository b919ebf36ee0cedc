#!/usr/bin/perl

# What applications really send: JSON, forms and cookies that are not tidy.
# Each event goes with the right value, or its cause is counted.

use lib 't/lib';
use Klaviyo::Test;

use IO::Compress::Gzip qw(gzip);
use Mojo::JSON qw(decode_json encode_json);
use MIME::Base64 qw(encode_base64);


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_json $email      $request_body /email /customer/email;
        klaviyo_json $phone      $request_body /phone;
        klaviyo_json $first_name $request_body /first_name;
        klaviyo_json $id         $request_body /id;
        klaviyo_json $total      $request_body /total;
        klaviyo_json $currency   $request_body /currency;
        klaviyo_json $line_items $request_body /line_items;
        klaviyo_json $names      $request_body /line_items/*/name;
        klaviyo_json $prices     $request_body /line_items/*/price;
        klaviyo_json $note       $request_body /note;
        klaviyo_json $checkout   $request_body /checkout_id;
        klaviyo_json $accepts    $request_body /accepts;
        klaviyo_json $tags       $request_body /tags;

        klaviyo_form $form_email $request_body email;
        klaviyo_form $interests  $request_body interests[] list;

        klaviyo_cookie $consent_cookie _tracking_consent;

        map $first_name $mapped { "" none; default $first_name; }

        log_format captured '$klaviyo_captured';

        klaviyo_skip off;
        klaviyo_defaults off;

        server {
            listen 127.0.0.1:%%PORT_APP%%;
            location / { return 200; }
            location /answer {
                default_type application/json;
                return 200 $http_x_answer;
            }
        }
    },
    server => <<'END');
        large_client_header_buffers 4 64k;
        client_max_body_size 4m;

        location = /order {
            klaviyo_request_body on;
            klaviyo_identity off;
            client_body_buffer_size 512k;

            klaviyo_profile email        $email;
            klaviyo_profile phone_number $phone;
            klaviyo_profile first_name   $first_name;

            klaviyo_event "Placed Order" {
                unique_id $id;
                value $total $currency;
                property Items    $line_items json;
                property Names    $names json;
                property Prices   $prices json;
                property Note     $note;
                property Checkout $checkout json;
                property Number   $checkout number;
                property Text     $checkout;
                property Tags     $tags;
                property Mapped   $mapped;
            }
            return 200 "order\n";
        }

        location = /accepts {
            klaviyo_request_body on;
            klaviyo_consent $accepts;
            klaviyo_profile email $email;
            klaviyo_track "Accepted";
            return 200;
        }

        location = /if {
            klaviyo_profile external_id 7;
            klaviyo_track "If" if=$arg_if;
            return 200;
        }

        location = /small {
            klaviyo_request_body on;
            klaviyo_profile email $email;
            klaviyo_track "Small";
            access_log %%DIR%%/captured.log captured;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location = /visitor {
            klaviyo_track "Visited";
            return 200;
        }

        location = /named {
            klaviyo_response_header X-Klaviyo-Event;
            add_header X-Klaviyo-Event $http_x_events;
            return 200;
        }

        location = /enriched {
            klaviyo_enrich /ask;
            klaviyo_track "Enriched";
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location = /ask {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/answer;
        }

        location = /form {
            klaviyo_request_body on;
            klaviyo_profile email $form_email;
            klaviyo_event "Submitted" { property Interests $interests json; }
            return 200;
        }

        location = /cookie {
            klaviyo_profile external_id 7;
            klaviyo_event "Cookie" { property Consent $consent_cookie; }
            return 200;
        }

        location = /events {
            klaviyo_request_body on;
            client_body_buffer_size 512k;
            klaviyo_track_json $request_body;
            return 200;
        }
END

$t->start;


sub reason {
    my ($group, $name) = @_;

    return $t->account('shop')->{reasons}{$group}{$name} // 0;
}

my @order = ('"email":"ann@shop.com"', '"total":"10.00"', '"currency":"EUR"');

my $seen = 0;

# how many events there are, and how many there might have been

sub outcomes {
    my $account = $t->account('shop');
    my $n       = $account->{captured};

    $n += $_ for values %{ $account->{reasons}{skipped} };

    return $n;
}

# The one event of a request; nothing when there is none.  It is captured
# behind the answer, and that of klaviyo_enrich later.

sub event {
    my ($path, $body, @headers) = @_;

    my $before = outcomes();

    my $answer = defined $body ? $t->post($path, $body, @headers)
                               : $t->get($path, @headers);

    wait_for(5, sub { outcomes() > $before }) or diag "$path: no outcome";

    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = splice @events, $seen;

    $seen += @new;

    return $new[0];
}

# ORDER, and the members that a row adds

my $orders = 0;

sub order {
    return event('/order', '{' . join(',', '"id":"x' . ++$orders . '"', @order,
        @_) . '}');
}

my $event;


# absent is absent

$event = order('"first_name":null', '"tags":null');
is_deeply $event->{profile}, {email => 'ann@shop.com'}, 'null: no field';
is $event->{properties}{Mapped}, 'none', 'nor for a map';
ok !exists $event->{properties}{Tags}, 'nor for a property';

for my $no (qw(false 0 null "" "off" "No" "denied" "FALSE")) {
    is event('/accepts', qq({"email":"a\@shop.com","accepts":$no})), undef,
        "consent: $no";
}

is reason('skipped', 'consent'), 8, 'counted';
is event('/accepts', '{"email":"a@shop.com","accepts":true}')->{metric},
    'Accepted', 'consent: true';

is event("/if?if=$_"), undef, "if=$_" for qw(false off NO 0), '';
is event("/if?if=$_")->{metric}, 'If', "if=$_" for qw(1 true denied);


# JSON that is not tidy

my $repaired = reason('changed', 'utf8_repaired');

$event = order('"note":"Mug \ud83d"');
is $event->{properties}{Note}, "Mug \x{fffd}", 'half of a pair';
is reason('changed', 'utf8_repaired'), ++$repaired, 'counted';

$event = order('"note":"a\u0000b"');
is $event->{properties}{Note}, "a\x{fffd}b", 'a NUL';
is reason('changed', 'utf8_repaired'), ++$repaired, 'counted';

$event = order("\"first_name\":\"Ren\xe9\"");
is $event->{profile}{first_name}, "Ren\x{fffd}", 'a byte of Latin 1';
is reason('changed', 'utf8_repaired'), ++$repaired, 'counted';

is event('/order', "\xef\xbb\xbf{" . join(',', @order) . '}')->{value}, 10,
    'a byte order mark';
is order('"tags":"a"', '"tags":"b"')->{properties}{Tags}, 'b', 'tags twice';

$event = order('"x":' . '[' x 500 . ']' x 500, '"y":[' . '1,' x 70000 . '1]',
    '"z":-1e999');
is $event->{value}, 10, 'what nobody asks for';

$event = order("\"line_items\":{\"\xc3\xa9\":1,\"\xc3\xa8\":2,\"\\u00e9\":3,"
    . "\"a\xff\":4,\"a\xfe\":5}");
is_deeply $event->{properties}{Items},
    {"\x{e9}" => 3, "\x{e8}" => 2, "a\x{fffd}" => 5},
    'names that are one when they are repaired, and those that are not';
is reason('changed', 'utf8_repaired'), ++$repaired, 'counted';

$event = order('"checkout_id":12345678901234567890');
is_deeply [@{ $event->{properties} }{qw(Checkout Number Text)}],
    [('12345678901234567890') x 3], 'a number of 20 digits';
is reason('changed', 'number_as_text'), 1, 'counted';

is event('/named', undef, 'X-Events' => $_)->{metric}, 'B', "header: $_"
    for '{"metric":"A","metric":"B","profile":{"email":"a@shop.com"}}',
    '{"metric":"B","profile":{"email":"a@shop.com"},"x":"\ud83d\u0000"}',
    '{"metric":"B","profile":{"email":"b@shop.com","email":"a@shop.com"},'
        . '"x":12345678901234567890}',
    "\xef\xbb\xbf{\"metric\":\"B\",\"profile\":{\"email\":\"a\@shop.com\"},"
        . "\"y\":\"\xe9\"}";

is event('/enriched', undef, 'X-Answer' => $_)->{profile}{email}, 'a@shop.com',
    "answer: $_"
    for '{"profile":{"email":"b@shop.com","email":"a@shop.com"}}',
    '{"profile":{"email":"a@shop.com","x":"\ud83d"}}',
    '{"profile":{"email":"a@shop.com"},"properties":{"n":12345678901234567890}}';


# items, pointers, cookies, forms

$event = order('"line_items":[{"name":"Lamp","price":19.90},{"name":"Mug"},'
    . '{"price":5,"name":null}]');
is_deeply $event->{properties}{Names}, ['Lamp', 'Mug'], 'each name';
is_deeply $event->{properties}{Prices}, [19.9, 5], 'each price';
like $t->sandbox->events->[-1] && encode_json($event), qr/19\.9/, 'a price';

$event = order('"line_items":[' . join(',', 1 .. 4001) . ']');
is scalar @{ $event->{properties}{Items} }, 4000, '4,000 items';
is reason('changed', 'list_cut'), 1, 'counted';

is event('/order', '{"id":"y","email":null,"customer":{"email":"c@shop.com"}}')
    ->{profile}{email}, 'c@shop.com', 'the first pointer that has a value';

is event('/cookie', undef, Cookie => 'a=1; _tracking_consent=%7B%22x%22%3A1%7D')
    ->{properties}{Consent}, '{"x":1}', 'a cookie, decoded';

$event = event('/form', 'email=a%40shop.com&interests[]=x&interests%5B%5D=y+z');
is_deeply $event->{properties}{Interests}, ['x', 'y z'], 'all of a name';

$repaired = reason('changed', 'utf8_repaired');

$event = event('/form', 'email=a%40shop.com&interests[]=Ren%E9+Dupont'
    . '&interests[]=%FF%FE&interests[]=a%00b');
is_deeply $event->{properties}{Interests},
    ["Ren\x{fffd} Dupont", "\x{fffd}\x{fffd}", "a\x{fffd}b"],
    'bytes of Latin 1 in a list';
is reason('changed', 'utf8_repaired'), $repaired + 1, 'counted';

my $part = 'Content-Disposition: form-data; name=';
$event = event('/form', join("\r\n", '--b', "$part\"email\"", '', 'a@shop.com',
    '--b', "$part\"f\"; filename=\"x\"", '', 'file', '--b',
    "$part\"interests[]\"", '', "caf\xc3\xa9", '--b', "$part\"interests[]\"", '',
    '2', '--b--', ''), 'Content-Type' => 'multipart/form-data; boundary=b');
is $event->{profile}{email}, 'a@shop.com', 'a multipart form';
is_deeply $event->{properties}{Interests}, ["caf\x{e9}", '2'], 'all of a name';

$event = event('/form', join("\r\n", '--b', "$part\"email\"", '', 'a@shop.com',
    '--b', "$part\"interests[]\"", '', '1', '--b', "$part\"interests[]\"", '',
    '2'), 'Content-Type' => 'multipart/form-data; boundary=b');
is_deeply $event->{properties}{Interests}, ['1'], 'a form that breaks off';
is reason('left_out', 'klaviyo_form'), 1, 'counted';


# what could not be read has its own name

my $large = '{"email":"a@shop.com","x":"' . 'x' x 20_459 . '"}';

is event('/small', $large), undef, 'a body that is too large';
is reason('left_out', 'request_body'), 1, 'counted';
like $t->log, qr/\[warn\].*"client_body_buffer_size" is too small/, 'told';

# what says that it is too large, and is in memory all the same

is event('/small', '{"email":"a@shop.com","x":"' . 'x' x 8_200 . '"}')
    ->{profile}{email}, 'a@shop.com', 'a body that the proxy has read';
is reason('left_out', 'request_body'), 1, 'is not counted';

is event('/small', '{"email":'), undef, 'half a body';
is reason('left_out', 'klaviyo_json'), 1, 'counted';
like $t->log, qr/\[warn\].*"\$request_body" holds no JSON/, 'told';

is event('/small', '{"email":null}'), undef, 'nobody';

ok wait_for(5, sub {
    open my $in, '<', $t->dir . '/captured.log' or return;
    my @causes = map { chomp; $_ } <$in>;
    return "@causes" eq 'request_body 1 klaviyo_json anonymous';
}), 'what $klaviyo_captured says of each';

my $json = '{' . join(',', @order) . '}';
gzip(\$json => \my $gzip);

is event('/order', $gzip, 'Content-Encoding' => 'gzip')->{value}, 10,
    'a body in gzip';
is event('/order', substr($gzip, 0, -12), 'Content-Encoding' => 'gzip'), undef,
    'half of it';
is reason('left_out', 'request_body'), 2, 'counted';

my $zeros = '{"email":"a@shop.com","x":"' . 'x' x 1_000_000 . '"}';
gzip(\$zeros => \$gzip);
is event('/order', $gzip, 'Content-Encoding' => 'gzip'), undef, 'too much';
is reason('left_out', 'request_body'), 3, 'counted';


# cookies of others, names of old

sub kla { return '__kla_id=' . encode_base64($_[0], '') }

is_deeply event('/visitor', undef, Cookie =>
    kla('{"email":"ann.wool@shop.com","first_name":"Ann"}'))->{profile},
    {email => 'ann.wool@shop.com', first_name => 'Ann'}, 'WooCommerce';

my $cookie = reason('left_out', 'cookie');
is event('/visitor', undef, Cookie => kla('{"user":7}')), undef, 'unknown';
is reason('left_out', 'cookie'), $cookie + 1, 'counted';

$event = event('/named', undef, 'X-Events' => '{"metric":"A","profile":'
    . '{"$email":"ann@shop.com","$first_name":"Ann","$id":"7","$city":"Bonn"},'
    . '"properties":{"$value":59.9,"$event_id":"e1","a":1}}');
is_deeply $event->{profile}, {email => 'ann@shop.com', first_name => 'Ann',
    external_id => 7, location => {city => 'Bonn'}}, 'names of old';
is $event->{value}, 59.9, 'a value';
is $event->{unique_id}, 'e1', 'an id';
is_deeply $event->{properties}, {a => 1}, 'taken out of the properties';


# an endpoint of one's own

is event('/events', '[{"metric":"A","profile":{"email":"a@shop.com"}},{"metric":'
    . '"B","profile":{"email":"b@shop.com"},"value":1}]')->{metric}, 'A',
    'events of a variable';
is $t->sandbox->events->[-1]{value}, 1, 'each of them';

$repaired = reason('changed', 'utf8_repaired');
$event = event('/events', '{"metric":"N","profile":{"email":"a@shop.com",'
    . "\"\\ud83d\":1,\"k\xe9\":2},\"properties\":{\"a\\u0000\":1,\"b\xe9\":2,"
    . "\"c\\ud83d\":3,\"\\u0064\\u0022\":4,\"\xc3\xa9\":5}}");
is_deeply $event->{properties}, {"a\x{fffd}" => 1, "b\x{fffd}" => 2,
    "c\x{fffd}" => 3, 'd"' => 4, "\x{e9}" => 5}, 'names that are repaired';
is_deeply $event->{profile}{properties}, {"\x{fffd}" => 1, "k\x{fffd}" => 2},
    'of a profile too';
is reason('changed', 'utf8_repaired'), ++$repaired, 'counted';
is event('/events', '{"metric":"A","metric":null,"profile":{"email":'
    . '"a@shop.com"}}'), undef, 'no metric in the end';

my @lines = map { {metric => 'Ordered', unique_id => "l$_",
    profile => {email => 'a@shop.com'}} } 1 .. 1001;

my $had = $seen;

is event('/events', encode_json(\@lines))->{metric}, 'Ordered',
    'the lines of a large order';
is $seen - $had, 1000, 'a thousand';
is reason('skipped', 'klaviyo_track_json'), 1, 'what is more is counted';

is event('/events', '{"metric":'), undef, 'no JSON';
is reason('skipped', 'klaviyo_track_json'), 2, 'counted';
like $t->log, qr/\[warn\].*"klaviyo_track_json" got a text/, 'told';

my $n = 2;

for my $nothing ('[]', 'null', '') {
    is event('/events', $nothing), undef, "'$nothing' is no event";
    is reason('skipped', 'klaviyo_track_json'), ++$n,
        'counted, as no other rule says why';
}


# orders that something happened to: each gives an event that Klaviyo takes, or
# a count by its cause

srand 1;

my @members = (@order, '"first_name":"Ann"', '"checkout_id":12345678901234567890',
    '"line_items":[{"name":"Lamp","price":19.90},{"name":"M\u00fcg \ud83d\ude00"}]',
    '"note":"a \"b\" c"');

my $tried  = $ENV{KLAVIYO_MUTATIONS} // 10_000;
my $before = outcomes();
my $client = $t->client;

for my $n (1 .. $tried) {
    my @some = (qq("id":"m$n"), @members);
    my $i    = 1 + int rand @members;
    my $kind = $n % 4;

    if ($kind == 0) {
        splice @some, $i, 1;

    } elsif ($kind == 1) {
        $some[$i] =~ s/^("\w+"):.*/$1:null/s;

    } elsif ($kind == 2) {
        push @some, $some[$i];
    }

    my $text = '{' . join(',', @some) . '}';

    if ($kind == 3) {
        substr($text, rand length $text, 1) = chr rand 256 for 0 .. rand 3;
    }

    $client->request(POST => '/order', [], $text);
}

ok wait_for(10, sub { outcomes() >= $before + $tried }), 'each has an outcome';
ok $t->wait_idle(60), 'all are delivered';

is outcomes(), $before + $tried, 'one each';

my $account = $t->account('shop');

is $account->{dead} + $account->{lost}, 0, 'each event is taken';
is $account->{replies}{refused}, 0, 'the first time that it is sent';
cmp_ok $account->{captured}, '>', $tried / 2, 'most orders are events';
cmp_ok $account->{reasons}{left_out}{klaviyo_json}, '>', $tried / 50,
    'what is no JSON any more is counted';

done_testing;

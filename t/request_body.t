#!/usr/bin/perl

# klaviyo_request_body: the body is there in the log phase, whoever answers
# the request and however the body comes; too large a body costs the event a
# value, and the client nothing.

use lib 't/lib';
use Klaviyo::Test;

use Digest::SHA qw(hmac_sha256);
use IO::Select;
use MIME::Base64 qw(encode_base64);
use Mojo::JSON qw(encode_json);
use Time::HiRes qw(sleep);


my $t = Klaviyo::Test->new(
    http => q{
        client_body_buffer_size 8k;
        client_max_body_size 100k;

        klaviyo_json $email  $request_body /email;
        klaviyo_json $items  $request_body /items;
        klaviyo_form $name   $request_body name;

        klaviyo_profile external_id $arg_who;
        klaviyo_defaults off;
        klaviyo_skip off;

        server {
            listen 127.0.0.1:%%PORT_BARE%%;
            klaviyo_request_body on;
            set $times "x$times";
            add_header X-Times $times always;
        }

        server {
            listen 127.0.0.1:%%PORT_APP%%;

            location / {
                client_max_body_size 0;
                proxy_pass http://127.0.0.1:%%PORT_APP%%/sink;
                proxy_set_header X-Length $http_content_length;
                add_header X-Length $http_content_length;
            }

            location /sink {
                return 200 "app\n";
            }
        }
    },
    server => <<'END');
        klaviyo_request_body on;

        klaviyo_event "Posted" {
            profile email $email;
            property Items $items json;
            property Name $name;
        }

        location / {
            return 200 "$request_method\n";
        }

        location /static {
            alias %%DIR%%/file.txt;
        }

        location /empty {
            empty_gif;
        }

        location /proxy {
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /unbuffered {
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /off {
            klaviyo_request_body off;
            return 200 "off\n";
        }

        location /rewritten {
            klaviyo_request_body off;
            rewrite ^ /inside last;
        }

        location /inside {
            return 200 "inside <$name>\n";
        }

        location /if {
            if ($name = Ann) {
                return 200 "she is\n";
            }
            return 200 "she is not\n";
        }

        location /tried {
            try_files /none @named;
        }

        location @named {
            return 200 "named\n";
        }

        location /denied {
            deny all;
            error_page 403 @named;
        }

        location /mirrored {
            mirror /mirror;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /mirror {
            internal;
            log_subrequest on;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /auth {
            auth_request /mirror;
            return 200 "not reached\n";
        }

        location /file {
            client_body_in_file_only clean;
            return 200 "file\n";
        }
END

$t->file('file.txt', "static\n");
$t->start;

my $order = encode_json({email => 'a@shop.com',
    items => [{sku => 'A', n => 2}, {sku => 'B', n => 1}]});
my $items = [{sku => 'A', n => 2}, {sku => 'B', n => 1}];

my $seen = 0;
my $answer;

# the events that came since the last time
sub events {
    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = splice @events, $seen;

    $seen += @new;

    return \@new;
}

sub post {
    my ($path, $body, %option) = @_;

    $answer = $t->request($option{method} // 'POST', $path,
        $option{headers} // [], $body);

    return events();
}

sub missing {
    return $t->account('shop')->{reasons}{left_out}{request_body};
}

sub is_order {
    my ($events, $what) = @_;

    is scalar @$events, 1, "$what: one event";
    is $events->[0]{profile}{email}, 'a@shop.com', "$what: who";
    is_deeply $events->[0]{properties}{Items}, $items, "$what: what";
}


# whoever answers

is_order post('/', $order), 'return';
is $answer->status, 200, 'answered';
is $answer->body, "POST\n", 'by return';

is_order post('/', $order, method => 'PUT'), 'PUT';
is_order post('/static', $order, method => 'GET'), 'a file';
is $answer->body, "static\n", 'the file';
is_order post('/empty', $order, method => 'GET'), 'empty_gif';
is_order post('/proxy', $order), 'proxied';
is $answer->header('x-length'), length $order, 'the application had it too';
is_order post('/unbuffered', $order), 'proxied without buffers';
is $answer->header('x-length'), length $order, 'the application had it too';
is_order post('/rewritten', $order), 'rewritten';
is_order post('/tried', $order), 'a named location';
is $answer->body, "named\n", 'which is that';

{
    my $bare = $t->client(port => $t->port('BARE'));

    is $bare->get('/x')->header('x-times'), 'x',
        'a server without a location runs its rewrites once';
    $bare->close;
}

is_deeply post('/off?who=x', $order)->[0]{properties}, {}, 'off';
is $answer->body, "off\n", 'off: answered';

my @pair = sort { $a->{metric} cmp $b->{metric} }
    @{ post('/mirrored', $order) };
is scalar @pair, 2, 'mirror';
is_deeply $pair[$_]{properties}{Items}, $items, "mirror: event $_" for 0, 1;

post('/if', 'name=Ann');
is $answer->body, "she is\n", 'in an if';
post('/if', 'name=Bob');
is $answer->body, "she is not\n", 'and the other way';

is post('/?who=x', 'name=Ann+B&x=y')->[0]{properties}{Name}, 'Ann B', 'a form';

is_deeply post('/denied?who=x', $order), [], 'denied';
is $answer->status, 403, 'is denied';


# no body

is scalar @{ post('/?who=x', undef, method => 'GET') }, 1, 'GET';
is scalar @{ post('/?who=x', '') }, 1, 'Content-Length: 0';
is $answer->body, "POST\n", 'answered';


# however it comes

my $chunked = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
    unpack '(a7)*', $order;

is_order post('/', "${chunked}0\r\n\r\n",
    headers => ['Transfer-Encoding' => 'chunked']), 'chunked';
is_order post('/proxy', "${chunked}0\r\n\r\n",
    headers => ['Transfer-Encoding' => 'chunked']), 'chunked, proxied';

# in pieces, on one connection

my $client = $t->client;
my $head   = "POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0\r\n";

for my $round (1 .. 2) {
    $client->send($head . 'Content-Length: ' . length($order) . "\r\n\r\n");

    for my $piece (unpack '(a20)*', $order) {
        sleep 0.01;
        $client->send($piece);
    }

    is $client->response('POST')->status, 200, "in pieces, $round";
    is_order events(), "in pieces, $round";
}

$client->send($head . "Expect: 100-continue\r\nContent-Length: "
    . length($order) . "\r\n\r\n");
my $continue = '';
IO::Select->new($client->connect)->can_read(5);
sysread $client->connect, $continue, 1024;
is $continue, "HTTP/1.1 100 Continue\r\n\r\n", 'Expect: 100-continue';
$client->send($order);
is $client->response('POST')->status, 200, 'continued';
is_order events(), 'continued';

# pipelined: the second request comes with the first one's body

my $one = $head . 'Content-Length: ' . length($order) . "\r\n\r\n$order";
$client->send($one . $one);
is $client->response('POST')->status, 200, "pipelined $_" for 1, 2;
is_deeply [map { $_->{properties}{Items} } @{ events() }], [$items, $items],
    'pipelined';

# HTTP/2

$t->file('order.json', $order);

my @post = ('-v', '-H', 'user-agent: Mozilla/5.0',
    '--data=' . $t->dir . '/order.json');

like $t->nghttp(@post, '/'), qr/:status: 200/, 'HTTP/2';
is_order events(), 'HTTP/2';

like $t->nghttp(@post, '--no-content-length', '/proxy'), qr/:status: 200/,
    'HTTP/2 without a length';
is_order events(), 'HTTP/2 without a length';


# too large

sub large {
    my ($n) = @_;

    return '{"email":"a@shop.com","items":[],"x":"' . 'x' x ($n - 40) . '"}';
}

is missing(), 0, 'none was missing until now';

is length large(8192), 8192, 'a body of 8k';
is post('/', large(8192))->[0]{profile}{email}, 'a@shop.com', '8k';
is missing(), 0, 'none is missing';

is_deeply post('/?who=x', large(8193))->[0]{profile}, {external_id => 'x'},
    'more: the event goes without';
is $answer->body, "POST\n", 'the client notices nothing';
is missing(), 1, 'counted';

is_deeply post('/proxy?who=x', large(50_000))->[0]{profile},
    {external_id => 'x'}, 'proxied';
is $answer->header('x-length'), 50_000, 'the application has all of it';
is missing(), 2, 'counted';

my $long = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
    unpack '(a5000)*', large(50_000);

is_deeply post('/?who=x', "${long}0\r\n\r\n",
    headers => ['Transfer-Encoding' => 'chunked'])->[0]{profile},
    {external_id => 'x'}, 'chunked';
is $answer->body, "POST\n", 'answered';
is missing(), 3, 'counted';

is_deeply post('/file?who=x', $order)->[0]{profile}, {external_id => 'x'},
    'client_body_in_file_only';
is missing(), 4, 'counted';

is_deeply post('/unbuffered?who=x', large(50_000))->[0]{profile},
    {external_id => 'x'}, 'passed on as it comes';
is $answer->header('x-length'), 50_000, 'the application has all of it';
is missing(), 5, 'counted';

is_deeply post('/?who=x', large(200_000)), [], 'too large for nginx';
is $answer->status, 413, 'refused';
is missing(), 5, 'no event, no value';


# a client that goes away, a body that is none

for my $path ('/', '/proxy') {
    $client = $t->client;
    $client->send("POST $path?who=x HTTP/1.1\r\nHost: a\r\n"
        . "Content-Length: 100\r\n\r\n{\"email\"");
    sleep 0.05;
    $client->close;

    $client = $t->client;
    $client->send("POST $path?who=x HTTP/1.1\r\nHost: a\r\n"
        . "Content-Length: 100\r\n\r\n{\"email\"");
    sleep 0.05;
    $client->reset;
}

is_deeply post('/?who=x', "zz\r\nno chunk",
    headers => ['Transfer-Encoding' => 'chunked']), [], 'no chunks';
is $answer->status, 400, 'refused';
is_deeply events(), [], 'nobody who went away has an event';

# the worker is well

is_order post('/', $order), 'at the end';
$t->stop;


# off everywhere, and in the configuration of one server alone

$t = Klaviyo::Test->new(server => q{
    klaviyo_profile external_id x;
    klaviyo_event "Posted" { property Body $request_body; }
    location / { return 200 "none\n"; }
});

$t->start;
is $t->post('/', 'text')->body, "none\n", 'off by default';
is $t->wait_events(1)->[0]{properties}{Body}, undef, 'nothing is read';
$t->stop;

# who reads it is somebody else, and a file is where it goes

$t = Klaviyo::Test->new(
    http => q{
        client_body_buffer_size 8k;
        client_max_body_size 100k;

        klaviyo_json $email $request_body /email;
        klaviyo_form $name  $request_body name;

        klaviyo_profile email $email;
        klaviyo_defaults off;
        klaviyo_skip off;

        server {
            listen 127.0.0.1:%%PORT_APP%%;
            client_max_body_size 0;
            location / { return 200 "app\n"; }
        }
    },
    server => <<'END');
        location /proxied {
            klaviyo_track "Posted";
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /unbuffered {
            klaviyo_track "Posted";
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /form {
            klaviyo_event "Posted" {
                profile  external_id  7;
                property Name         $name;
            }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /hook {
            klaviyo_webhook secret_file=hook.key from=shopify;
            klaviyo_track "Posted";
            try_files /204 =204;
        }

        location /events {
            klaviyo_webhook secret_file=hook.key from=shopify;
            klaviyo_track_json $request_body;
            try_files /204 =204;
        }
END

$t->file('hook.key', "shh\n", 0600);
$t->start;
$seen = 0;

my $count = 0;

for my $path (qw(/proxied /unbuffered /form /hook /events)) {
    my $large = large(20_000);

    post($path, $large, headers => ['X-Shopify-Hmac-Sha256' =>
        encode_base64(hmac_sha256($large, 'shh'), '')]);
    like $answer->status, qr/^20[04]$/, "$path: taken";
    $count++;
    ok wait_for(10, sub { missing() == $count }),
        "$path: the body was wanted, counted";
}

like $t->log, qr/\[warn\].*"client_body_buffer_size" is too small/, 'told';

post('/proxied', '{}');
is missing(), $count, 'one that is read and does not have it is not counted';
post('/form', '', method => 'GET');
is missing(), $count, 'nor is none';
$t->stop;


my ($code, $output) = config_test(server => 'klaviyo_request_body maybe;');

isnt $code, 0, 'a wrong value: refused';
like $output, qr/invalid value "maybe" in "klaviyo_request_body".*conf:[0-9]/,
    'a wrong value: says so';

done_testing;

#!/usr/bin/perl

# klaviyo_pass: a gateway to any endpoint of Klaviyo's API.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(read_file);
use Klaviyo::Test::Relay;

use Digest::MD5 qw(md5_hex);
use Mojo::JSON  qw(decode_json encode_json);
use Socket      qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(sleep time);

my $key  = 'pk_test_0123456789abcdef';
my $type = 'application/vnd.api+json';

my $gateway = q{
    location /klaviyo/ {
        klaviyo_pass;
    }

    location / {
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }
};


sub new {
    my (%option) = @_;

    return Klaviyo::Test->new(
        http   => 'klaviyo_profile email $arg_email; '
                . (delete($option{http}) // ''),
        server => $gateway, %option);
}

# what came to /api, of these classes, the last one first
sub seen {
    my ($t, $class) = @_;

    return reverse grep { !$class || ($_->{endpoint} // '') eq $class }
        @{ $t->sandbox->requests };
}

sub asked { return scalar(my @all = seen(@_)) }

sub gateway { return $_[0]->account->{gateway} }

sub profile {
    my (%attributes) = @_;

    return encode_json({data => {type => 'profile',
        attributes => \%attributes}});
}

# its own memory: not that of the queue
sub rss {
    my ($pid) = @_;

    my ($kb) = read_file("/proc/$pid/status") =~ /^RssAnon:\s+([0-9]+)/m;

    return $kb;
}


subtest 'a request and its answer' => sub {
    my $t = new->start;
    my $answer = $t->get('/klaviyo/api/lists?page%5Bsize%5D=2&x=%41+b');

    is $answer->status, 200, 'answered';
    is $answer->header('Content-Type'), $type, 'Content-Type passes';
    like $answer->header('RateLimit-Limit'), qr/^[0-9]+$/, 'RateLimit-Limit';
    like $answer->header("RateLimit-$_"), qr/^[0-9]+$/, "RateLimit-$_"
        for qw(Remaining Reset);
    is scalar @{ $answer->json->{data} }, 2, 'the body passes';

    my ($request) = seen($t);

    is $request->{path}, '/api/lists?page%5Bsize%5D=2&x=%41+b',
        'the rest of the path, the arguments as they are';
    is $request->{headers}{authorization}, 'Klaviyo-API-Key pk_...',
        'with the key';
    is $request->{headers}{revision}, '2026-10-15', 'and the revision';
    is $request->{headers}{accept}, $type, 'Accept by default';
    is $request->{headers}{'content-type'}, undef, 'no type of no body';
    like $request->{headers}{'user-agent'}, qr/^ngx_http_klaviyo_module/,
        'our name';

    my $figures = gateway($t);

    is $figures->{requests}, 1, 'counted';
    is $figures->{answers_2xx}, 1, 'by class';
    $t->stop;
};


subtest 'headers that pass, and those that do not' => sub {
    my $t = new->start;
    my $answer = $t->request(POST => '/klaviyo/api/profile-import', [
        'Authorization'   => 'Bearer visitor',
        'Cookie'          => 'session=secret',
        'Host'            => 'shop.test',
        'Connection'      => 'close, X-Klaviyo-Hop, accept',
        'Keep-Alive'      => 'timeout=5',
        'TE'              => 'trailers',
        'Upgrade'         => 'h2c',
        'Proxy-Authorization' => 'Basic x',
        'X-Forwarded-For' => '1.2.3.4',
        'Accept-Encoding' => 'gzip',
        'If-None-Match'   => '"x"',
        'Expect'          => '100-continue',
        'Referer'         => 'https://shop.test/',
        'X-Klaviyo-Hop'   => 'listed',
        'X-Klaviyo-Other' => 'passes',
        'Accept'          => 'text/html',
        'Content-Type'    => "$type; charset=utf-8",
        'Revision'        => '2025-10-15',
    ], profile(email => 'a@shop.com'));

    is $answer->status, 201, 'answered';

    my ($request) = seen($t);
    my %headers   = %{ $request->{headers} };

    is delete $headers{authorization}, 'Klaviyo-API-Key pk_...', 'the key';
    is delete $headers{host}, '127.0.0.1:' . $t->sandbox->port, 'Host';
    is delete $headers{revision}, '2025-10-15', 'the caller\'s revision';
    is delete $headers{'content-type'}, "$type; charset=utf-8", 'the type';
    is delete $headers{accept}, $type, 'Connection took its Accept away';
    is delete $headers{'x-klaviyo-other'}, 'passes', 'X-Klaviyo-*';
    delete @headers{qw(user-agent content-length)};
    is_deeply \%headers, {}, 'nothing else';

    is $t->get('/klaviyo/api/lists', Revision => "x\x{e9}")->status, 400,
        'a revision that is none';

    $t->sandbox->fault(kind => 'status', status => 200, times => 1,
        body => '{}', headers => {
            'Set-Cookie' => '__cf_bm=x', 'Server' => 'cloudflare',
            'X-Klaviyo-Req-Id' => 'r1', 'Strict-Transport-Security' => 'x',
            'Location' => 'http://elsewhere/', 'CF-Ray' => 'ray',
            'Connection' => 'close', 'X-Accel-Redirect' => '/internal',
            'WWW-Authenticate' => 'Klaviyo-API-Key',
        });
    $answer = $t->get('/klaviyo/api/lists');
    is $answer->body, '{}', 'an answer with many headers';
    is $answer->header($_), undef, "$_ does not pass"
        for qw(Set-Cookie Strict-Transport-Security Location
               X-Accel-Redirect WWW-Authenticate);
    unlike $answer->header('Server'), qr/cloudflare/, 'the server is nginx';
    is $answer->header('X-Klaviyo-Req-Id'), 'r1', 'X-Klaviyo-* passes';
    is $answer->header('CF-Ray'), 'ray', 'CF-Ray passes';
    $t->stop;
};


subtest 'methods and errors' => sub {
    my $t = new->start;
    my $list = $t->request(POST => '/klaviyo/api/lists', [],
        encode_json({data => {type => 'list',
            attributes => {name => 'Mine'}}}));

    is $list->status, 201, 'POST';

    my $id = $list->json->{data}{id};

    is $t->get("/klaviyo/api/lists/$id")->json->{data}{attributes}{name},
        'Mine', 'GET';
    is $t->request(HEAD => "/klaviyo/api/lists/$id")->status, 200, 'HEAD';
    is $t->request(DELETE => "/klaviyo/api/lists/$id")->status, 204,
        'DELETE';
    is $t->get("/klaviyo/api/lists/$id")->status, 404, 'gone';

    my $profile = $t->request(POST => '/klaviyo/api/profiles', [],
        profile(email => 'm@shop.com'))->json->{data}{id};

    is $t->request(PATCH => "/klaviyo/api/profiles/$profile", [],
        profile(first_name => 'Mia'))->json->{data}{attributes}{first_name},
        'Mia', 'PATCH';

    my $again = $t->request(POST => '/klaviyo/api/profiles', [],
        profile(email => 'm@shop.com'));

    is $again->status, 409, 'a conflict';
    is $again->json->{errors}[0]{code}, 'duplicate_profile', 'in its words';
    is $t->request(OPTIONS => '/klaviyo/api/lists')->status, 405, 'OPTIONS';
    is $t->request(POST => '/klaviyo/api/lists')->status, 400,
        'POST without a body';
    is((seen($t))[0]{headers}{'content-length'}, 0, 'which is said');

    my $n = @{ $t->sandbox->requests };

    is $t->request(PROPFIND => '/klaviyo/api/lists')->status, 405,
        'no other method';
    is scalar @{ $t->sandbox->requests }, $n, 'it did not get there';
    $t->stop;
};


subtest 'bodies' => sub {
    my $t = new(server => qq{
        client_body_buffer_size 8k;
        client_max_body_size 3m;
        $gateway
    })->start;

    for my $size (10, 5_000, 100_000, 2_000_000) {
        my $body = profile(email => "s$size\@shop.com", bio => 'x' x $size);
        my $answer = $t->request(POST => '/klaviyo/api/profile-import', [],
            $body);

        is $answer->status, 201, "$size bytes";
        is length $answer->json->{data}{attributes}{bio}, $size, 'and back';
        is md5_hex($t->sandbox->body), md5_hex($body), 'as they were';
    }

    my $chunked = profile(email => 'c@shop.com', bio => 'y' x 50_000);
    my $client  = $t->client;

    $client->send("POST /klaviyo/api/profile-import HTTP/1.1\r\nHost: x\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n"
        . join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
            $chunked =~ /(.{1,7001})/gs) . "0\r\n\r\n");
    is $client->response->status, 201, 'chunked';
    is md5_hex($t->sandbox->body), md5_hex($chunked), 'whole';

    is $t->request(POST => '/klaviyo/api/profile-import', [],
        'x' x 3_200_000)->status, 413, 'over client_max_body_size';
    $client->close;
    $t->stop;
};


subtest 'the path stays below the endpoint' => sub {
    my $t = new(http => 'merge_slashes off;', server => $gateway . q{
        location /eu/ { klaviyo_pass; }
        location ~ ^/api/lists/(\w+)$ { klaviyo_pass; }
        location = /api/lists { klaviyo_pass; }
        location = /subscribe {
            klaviyo_pass /api/profile-subscription-bulk-create-jobs;
        }
        location ~ ^/list/(.+)$ { klaviyo_pass /api/lists/$1?a=$arg_a; }
        location = /moved { rewrite ^ /api/lists break; klaviyo_pass; }
    })->start;

    my %goes = (
        '/klaviyo/api/lists'         => '/api/lists',
        '/klaviyo/api/lists/'        => '/api/lists/',
        '/klaviyo/api'               => '/api',
        '/klaviyo/api/%6cists'       => '/api/lists',
        '/klaviyo/api/a%20b%3f%23%e9' => '/api/a%20b%3F%23%E9',
        '/klaviyo/x/../api/lists'    => '/api/lists',
        '/klaviyo/x/%2e%2e/api/lists' => '/api/lists',
        '/klaviyo/api%2flists'       => '/api/lists',
        '/klaviyo/@host/x'           => '/@host/x',
        '/klaviyo/:80/x'             => '/:80/x',
        '/eu/api/lists?q=/../%2e%2e' => '/api/lists?q=/../%2e%2e',
        "/klaviyo/api/lists?\xc3\xa9" => '/api/lists?%C3%A9',
        '/api/lists'                 => '/api/lists',
        '/api/lists/LIST01?x=1'      => '/api/lists/LIST01?x=1',
        '/list/LIST02?a=1&b=2'       => '/api/lists/LIST02?a=1',
        '/subscribe?x=1'     => '/api/profile-subscription-bulk-create-jobs',
        '/moved?x=1'                 => '/api/lists?x=1',
    );

    for my $path (sort keys %goes) {
        my $answer = $t->raw("GET $path HTTP/1.0\r\n\r\n");
        my ($request) = seen($t);

        is $request->{path}, $goes{$path}, "$path goes there"
            or diag $answer;
        $t->sandbox->reset;
    }

    $t->raw("GET http://elsewhere.test/klaviyo/api/lists HTTP/1.1\r\n"
        . "Host: elsewhere.test\r\nConnection: close\r\n\r\n");
    is((seen($t))[0]{path}, '/api/lists', 'an absolute URL is no other host');
    is((seen($t))[0]{headers}{host}, '127.0.0.1:' . $t->sandbox->port,
        'nor is Host');
    $t->sandbox->reset;

    for my $path ('/klaviyo//elsewhere.test/x', '/klaviyo/%2f/elsewhere.test',
        '/klaviyo/api//lists', '/klaviyo/%252e%252e/x', '/klaviyo/..%5cx',
        '/klaviyo/a%5c..%5cx', '/klaviyo/a%0d%0aX-Y:%20z', '/klaviyo/a%00b',
        '/klaviyo/a%7f', '/klaviyo/..;/x', '/klaviyo/%2e%2e%3bx/y',
        '/klaviyo/http://elsewhere.test/', '/klaviyo/api/lists%250d%250a',
        '/list/..', '/list/%2e%2e%2fx', '/list/a%0aX:1',
        '/klaviyo/../../etc/passwd', '/klaviyo/..%2f..%2fx')
    {
        my $answer = $t->raw("GET $path HTTP/1.0\r\n\r\n");

        # either refused, or nginx took it out of the location

        ok $answer =~ m{^HTTP/1\.1 400 } || $answer =~ /\r\n\r\npage\n\z/,
            "$path does not pass" or diag $answer;
    }

    is scalar @{ $t->sandbox->requests }, 0, 'none got there';
    $t->stop;
};


subtest 'a 429 is waited out' => sub {
    my $t = new->start;

    for my $method (qw(GET POST)) {
        my $class = $method eq 'GET' ? 'lists' : 'profiles';
        my $path  = $method eq 'GET' ? '/klaviyo/api/lists'
                                     : '/klaviyo/api/profile-import';

        $t->sandbox->fault(kind => 'status', status => 429, times => 1,
            endpoint => $class, retry_after => 1);

        my $start  = time;
        my $answer = $t->request($method, $path, [],
            $method eq 'GET' ? undef : profile(email => 'w@shop.com'));

        like $answer->status, qr/^20[01]$/, "$method: succeeded";
        cmp_ok time - $start, '>=', 1, 'when Klaviyo wanted it';
        is asked($t, $class), 2, 'asked twice';
        is $t->sandbox->stats->{limits}{shop}{$class}{early_retries}, 0,
            'not too early';
        $t->sandbox->reset;
    }

    $t->sandbox->fault(kind => 'status', status => 429, retry_after => 60,
        endpoint => 'lists');

    my $start  = time;
    my $answer = $t->get('/klaviyo/api/lists');

    is $answer->status, 429, 'one that lasts is handed back';
    is $answer->header('Retry-After'), 60, 'with Retry-After';
    is $answer->json->{errors}[0]{code}, 'throttled', 'in Klaviyo\'s words';
    cmp_ok time - $start, '<', slow(1), 'at once';

    $t->sandbox->reset;
    $t->sandbox->fault(kind => 'status', status => 429, endpoint => 'lists',
        retry_after => '9' x 20);
    $start = time;
    is $t->get('/klaviyo/api/lists')->status, 429, 'one without an end, too';
    cmp_ok time - $start, '<', slow(1), 'at once';

    $t->sandbox->reset;
    $t->sandbox->fault(kind => 'status', status => 429, endpoint => 'lists',
        times => 1, retry_after => '1.2');
    $start = time;
    is $t->get('/klaviyo/api/lists')->status, 200, 'one with a fraction';
    cmp_ok time - $start, '>=', 2, 'is not cut short';

    my $figures = gateway($t);

    is $figures->{throttled}, 5, 'throttled: counted';
    is $figures->{retried}, 3, 'retried: counted';
    $t->stop;
};


subtest 'what is asked again, and what is not' => sub {
    my $t = new(server => "klaviyo_pass_timeout 2s; $gateway")->start;
    my %passing = (kind => 'status', status => 503, endpoint => 'lists');

    $t->sandbox->fault(%passing, times => 2);
    is $t->get('/klaviyo/api/lists')->status, 200, 'GET after two failures';
    is asked($t), 3, 'asked three times';
    $t->sandbox->reset;

    $t->sandbox->fault(%passing);

    my $start  = time;
    my $answer = $t->get('/klaviyo/api/lists');

    is $answer->status, 503, 'a failure that stays is handed back';
    is $answer->json->{errors}[0]{status}, 503, 'in Klaviyo\'s words';
    cmp_ok time - $start, '<', slow(2.5), 'within the time';
    cmp_ok asked($t), '>', 2, 'after some tries';
    $t->sandbox->reset;

    $t->sandbox->fault(%passing, endpoint => 'profiles');
    is $t->request(POST => '/klaviyo/api/profile-import', [],
        profile(email => 'n@shop.com'))->status, 503, 'POST: handed back';
    is asked($t), 1, 'asked once';
    $t->sandbox->reset;

    $t->sandbox->fault(kind => 'lost', endpoint => 'profiles');
    is $t->request(POST => '/klaviyo/api/profile-import', [],
        profile(email => 'n@shop.com'))->status, 502,
        'POST whose answer is lost';
    is asked($t), 1, 'is not repeated';
    $t->sandbox->reset;

    $t->sandbox->fault(kind => 'lost', endpoint => 'lists', times => 1);
    is $t->get('/klaviyo/api/lists')->status, 200, 'GET whose answer is lost';
    is asked($t), 2, 'is repeated';
    $t->sandbox->reset;

    $t->sandbox->fault(kind => 'raw', times => 1, endpoint => 'lists',
        bytes => "HTTP/1.1 103 Early Hints\r\nRateLimit-Limit: 1\r\n\r\n"
            . "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    $answer = $t->get('/klaviyo/api/lists');
    is $answer->body, 'ok', 'an interim answer is none';
    is $answer->header('RateLimit-Limit'), undef, 'nor are its headers';
    $t->sandbox->reset;

    # two lengths: what libcurl does not go by must not mislead the client

    $t->sandbox->fault(kind => 'raw', endpoint => 'profiles',
        bytes => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
            . "Transfer-Encoding: chunked\r\n\r\n"
            . "19\r\nokHTTP/1.1 200 OK\r\n\r\nNO\r\n0\r\n\r\n");
    like $t->raw("POST /klaviyo/api/profiles HTTP/1.0\r\n"
        . "Content-Length: 0\r\n\r\n"), qr{^HTTP/1\.1 502 },
        'an answer longer than it says';
    $t->sandbox->reset;

    $t->sandbox->fault(kind => 'hang', endpoint => 'lists');
    $start = time;
    is $t->get('/klaviyo/api/lists')->status, 504, 'no answer at all';
    cmp_ok time - $start, '<', slow(3), 'in time';
    ok wait_for(3, sub { !$t->sandbox->stats->{held} }), 'let go';
    $t->sandbox->reset;

    $t->sandbox->fault(%passing, times => 1);
    $t->sandbox->fault(kind => 'hang', endpoint => 'lists');
    is $t->get('/klaviyo/api/lists')->status, 503,
        'Klaviyo\'s earlier answer is better than none';
    $t->stop;
};


subtest 'nobody there' => sub {
    my $t = new(sandbox => 0,
        server => "klaviyo_pass_timeout " . slow(700) . "ms; $gateway")->start;

    is $t->get('/klaviyo/api/lists')->status, 502, 'GET';
    cmp_ok gateway($t)->{retried}, '>', 0, 'after some tries';
    is $t->request(POST => '/klaviyo/api/lists', [], '{}')->status, 502,
        'POST';
    is gateway($t)->{failed}, 2, 'counted';
    $t->stop;
};


subtest 'a client that leaves cancels its transfer' => sub {
    my $t = new->start;

    $t->sandbox->fault(kind => 'hang', endpoint => 'lists');

    for my $how (qw(close reset)) {
        my $client = $t->client;

        $client->send("GET /klaviyo/api/lists HTTP/1.1\r\nHost: x\r\n\r\n");
        ok wait_for(3, sub { $t->sandbox->stats->{held} == 1 }), 'hangs';
        $client->$how;
        ok wait_for(3, sub { $t->sandbox->stats->{held} == 0 }),
            "$how: closed at Klaviyo's end too";
    }

    ok wait_for(3, sub { gateway($t)->{canceled} == 2 }), 'counted';
    is $t->get('/')->status, 200, 'and life goes on';
    $t->stop;
};


subtest 'a slow client, and memory' => sub {
    my $silent = slow(3);
    my $t = new(server => qq{
        listen 127.0.0.1:%%PORT_SLOW%% sndbuf=32k;
        klaviyo_pass_timeout ${silent}s;
        $gateway
    })->start;
    my $size = 24 * 1024 * 1024;

    $t->sandbox->fault(kind => 'status', status => 200, times => 0,
        endpoint => 'lists', body => 'json', size => $size);

    my ($worker) = $t->workers;
    my $client = Klaviyo::Test::Client->new(port => $t->port('SLOW'),
        timeout => slow(30));

    $t->get('/klaviyo/api/profiles');

    my $before = rss($worker);

    # a sanitizer and valgrind keep for a while what was freed

    my $keeps = ($ENV{KLAVIYO_NGINX} // '') =~ /asan|valgrind/;
    my $flat  = $keeps ? 16 * 1024 : 1024;

    setsockopt $client->connect, SOL_SOCKET, SO_RCVBUF, pack 'i', 32_768;
    $client->send("GET /klaviyo/api/lists HTTP/1.1\r\nHost: x\r\n\r\n");
    ok wait_for(10, sub { asked($t, 'lists') }), 'asked';
    sleep 2 + $silent;

    my ($request) = seen($t, 'lists');

    is $request->{finished}, undef, 'Klaviyo waits for the client';
    cmp_ok rss($worker) - $before, '<', $flat, 'memory stays flat';

    my $answer = $client->response;

    cmp_ok length $answer->body, '>', $size, 'whole in the end';
    like $answer->body, qr/\}\z/, 'with its end';
    cmp_ok rss($worker) - $before, '<', $flat + $keeps * 3 * $size / 1024,
        'memory stayed flat';
    is gateway($t)->{answers_2xx}, 2, 'counted';

    # the same, and the client leaves in the midst of it

    $client->send("GET /klaviyo/api/lists HTTP/1.1\r\nHost: x\r\n\r\n");
    sleep 0.5;
    $client->close;
    ok wait_for(5, sub { gateway($t)->{canceled} == 1 }), 'left: canceled';
    $t->stop;
};


subtest 'an answer that stops' => sub {
    my $t = new(server => "klaviyo_pass_timeout 1s; $gateway")->start;
    my $listener = IO::Socket::INET->new(Listen => 1, Proto => 'tcp',
        LocalAddr => '127.0.0.1') // die "listen: $!\n";

    $t->set(account => 'endpoint http://127.0.0.1:' . $listener->sockport
        . ';');
    $t->reload(gone => 5);

    my $client = $t->client;

    $client->send("GET /klaviyo/api/lists?f=equals(a,\"[b]\")&x=%2F../%2e%2E"
        . "&y=|{}\\^` HTTP/1.1\r\nHost: x\r\n\r\n");

    my $klaviyo = $listener->accept;

    sysread $klaviyo, my $head, 4096;
    syswrite $klaviyo, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc";

    my $start  = time;
    my $answer = $client->response;

    like $head, qr{^GET \Q/api/lists?f=equals(a,"[b]")&x=%2F../%2e%2E&y=|{}\^` \EHTTP/1.1\r\n},
        'the arguments, byte for byte';
    is $answer->status, 200, 'begun';
    is $answer->body, 'abc', 'not whole';
    cmp_ok time - $start, '<', slow(3), 'given up in time';
    is gateway($t)->{failed}, 1, 'counted';
    unlike $head, qr/^(?:cookie|x-forwarded)/mi, 'nothing of the client';
    $client->close;
    $t->stop;
};


subtest 'no more than klaviyo_pass_connections' => sub {
    my $t = new(server => "klaviyo_pass_connections 3; $gateway")->start;

    $t->sandbox->fault(kind => 'hang', endpoint => 'lists');

    my @clients = map { $t->client } 1 .. 3;

    $_->send("GET /klaviyo/api/lists HTTP/1.1\r\nHost: x\r\n\r\n")
        for @clients;
    ok wait_for(3, sub { $t->sandbox->stats->{held} == 3 }), 'three';

    is $t->get('/klaviyo/api/profiles')->status, 503, 'not a fourth';
    is gateway($t)->{refused_connections}, 1, 'counted';

    $clients[0]->close;
    ok wait_for(3, sub { $t->sandbox->stats->{held} == 2 }), 'one leaves';
    is $t->get('/klaviyo/api/profiles')->status, 200, 'one comes in';
    $_->close for @clients;
    ok wait_for(3, sub { !$t->sandbox->stats->{held} }), 'all left';
    $t->stop;
};


subtest 'events are delivered meanwhile' => sub {
    my $t = new(server => "klaviyo_pass_timeout 30s; $gateway")->start;

    $t->sandbox->fault(kind => 'hang', endpoint => 'lists');
    $t->sandbox->fault(kind => 'status', status => 429, retry_after => 20,
        endpoint => 'profiles');

    my @clients = map { $t->client } 1 .. 12;

    $clients[$_]->send('GET /klaviyo/api/' . ($_ % 2 ? 'lists' : 'profiles')
        . " HTTP/1.1\r\nHost: x\r\n\r\n") for 0 .. 11;
    ok wait_for(3, sub { $t->sandbox->stats->{held} == 6
                         && gateway($t)->{throttled} == 6 }),
        'six hang, six wait';

    my $start = time;

    for my $n (1 .. 5) {
        $t->get("/?email=e$n\@shop.com");
        ok $t->wait_events($n, 2), "event $n is delivered";
    }

    cmp_ok time - $start, '<', slow(5), 'soon';
    is $t->account->{delivery}{paused_for}, 0, 'the account is not paused';
    $_->close for @clients;
    $t->stop;
};


subtest 'HTTP/2 and TLS' => sub {
    my $t = new(front => 1)->start;
    my $answer = $t->h2('/klaviyo/api/lists');

    like $answer->body, qr/LIST01/, 'a client of HTTP/2, Klaviyo by TLS';
    is $t->get('/klaviyo/api/profiles')->status, 200, 'HTTP/1.1';
    is((seen($t))[0]{tls}, 'TLSv1.3', 'by TLS');

    for my $n (1 .. 5) {
        is $t->get('/klaviyo/api/lists')->status, 200, 'again';
    }

    my %connections = map { $_->{connection} => 1 } seen($t);

    is scalar keys %connections, 1, 'on one connection';

    my $body = profile(email => 'two@shop.com', bio => 'z' x 300_000);
    my $file = $t->file('body.json', $body);

    like $t->nghttp("--data=$file", '/klaviyo/api/profile-import'),
        qr/two\@shop\.com/, 'a body over HTTP/2';
    is md5_hex($t->sandbox->body), md5_hex($body), 'whole';
    $t->stop;
};


subtest 'connections that are dead' => sub {
    my $t = new(front => 1,
        server => 'klaviyo_pass_timeout ' . slow(1) . "s; $gateway");

    my $relay = Klaviyo::Test::Relay->start(to => $t->{front}{port});

    $t->set(account => 'endpoint https://localhost:' . $relay->port . ';');
    $t->start;

    # three at once, three connections

    $t->sandbox->fault(kind => 'slow', seconds => slow(0.3), times => 3);

    my @clients = map { $t->client } 1 .. 3;

    $_->send("GET /klaviyo/api/lists HTTP/1.1\r\nHost: x\r\n\r\n")
        for @clients;
    is $_->response->status, 200, 'answered' for @clients;
    is $relay->connections, 3, 'three connections';

    $relay->forget;

    is $t->get('/klaviyo/api/lists')->status, 504, 'one call is late';
    is $t->get('/klaviyo/api/lists')->status, 200, "call $_ after it is not"
        for 1 .. 3;
    is $relay->connections, 4, 'by another connection';
    $t->stop;
};


subtest 'subrequests' => sub {
    my $t = new(server => q{
        location /klaviyo/ {
            internal;
            klaviyo_pass;
        }

        location = /page {
            ssi on;
            default_type text/html;
            root %%DIR%%/www;
        }

        location = /mirrored {
            mirror /mirror;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/;
        }

        location = /mirror {
            internal;
            klaviyo_pass /api/profile-import;
        }

        location = /guard {
            set $list $arg_list;
            auth_request /list;
            try_files /none @in;
        }

        location @in { return 200 "let in\n"; }

        location = /list {
            internal;
            klaviyo_pass /api/lists/$list;
        }
    }, http => 'server { listen 127.0.0.1:%%PORT_APP%%; return 200 "app\n"; }',
    );

    $t->file('www/page', 'before <!--# include virtual='
        . '"/klaviyo/api/lists/LIST03" --> between <!--# include virtual='
        . '"/klaviyo/api/lists/LIST04?a=1" --> after');
    chmod 0755, $t->dir, $t->dir . '/www';
    $t->start;

    is $t->get('/klaviyo/api/lists')->status, 404, 'internal';

    my $page = $t->get('/page', Revision => '2025-01-15', Accept => 'x/y');

    like $page->body, qr/^before \{.*LIST03.*\} between \{.*LIST04.*\} after$/,
        'SSI';
    my ($request) = seen($t);
    is $request->{headers}{revision}, '2026-10-15',
        'a subrequest has not the visitor\'s headers';
    is $request->{headers}{accept}, $type, 'none of them';

    is $t->request(POST => '/mirrored', ['Content-Type' => 'text/plain'],
        profile(email => 'mirror@shop.com'))->body, "app\n", 'mirror';
    ok wait_for(5, sub {
        grep { $_->{email} eq 'mirror@shop.com' }
            @{ $t->sandbox->state->{profiles} };
    }), 'the body went to Klaviyo';

    is $t->get('/guard?list=LIST01')->body, "let in\n", 'auth_request: 200';
    is $t->get('/guard?list=OTHER')->status, 500,
        'auth_request: 404 is no answer for it';

    # many at a time, in the order of the page

    $t->file('www/page', join ' ', map { '<!--# include virtual='
        . sprintf('"/klaviyo/api/lists/LIST%02d" -->', $_) } 1 .. 20);
    my @ids = $t->get('/page')->body =~ /"id":"(LIST\d\d)"/g;
    is_deeply \@ids, [map { sprintf 'LIST%02d', $_ } 1 .. 20],
        'twenty, in order';
    $t->stop;
};


# modules from Debian's packages, with their own ways of asking

my $modules = nginx_modules();

subtest 'njs' => sub {
    plan skip_all => 'no ngx_http_js_module'
        if !-f "$modules/ngx_http_js_module.so";

    my ($code, $output) = config_test(
        main => "load_module $modules/ngx_http_js_module.so;");

    plan skip_all => "this nginx does not load it: $output" if $code;

    my $t = new(main => "load_module $modules/ngx_http_js_module.so;",
        http => 'js_import shop from %%DIR%%/shop.js;',
        server => q{
            location /klaviyo/ {
                internal;
                subrequest_output_buffer_size 64k;
                klaviyo_pass;
            }

            location = /names { js_content shop.names; }
            location = /join  { js_content shop.join; }
        });

    $t->file('shop.js', <<'END');
async function names(r) {
    let answer = await r.subrequest('/klaviyo/api/lists', 'page[size]=3');

    r.return(answer.status, answer.headersOut['RateLimit-Limit'] + ' '
        + JSON.parse(answer.responseText).data
            .map(list => list.attributes.name).join());
}

async function join(r) {
    let answer = await r.subrequest('/klaviyo/api/profiles', {method: 'POST',
        body: JSON.stringify({data: {type: 'profile',
            attributes: {email: r.args.email}}})});

    let body = JSON.parse(answer.responseText);

    r.return(answer.status, body.data ? body.data.id : body.errors[0].code);
}

export default {names, join};
END
    chmod 0755, $t->dir;
    $t->start;

    is $t->get('/names')->body, '700 List 1,List 2,List 3', 'GET';

    my $answer = $t->get('/join?email=js@shop.com',
        'Content-Type' => 'text/html');

    is $answer->status, 201, 'POST with a body of its own';
    is $t->sandbox->state->{profiles}[0]{id}, $answer->body, 'created';
    is $t->get('/join?email=js@shop.com')->body, 'duplicate_profile',
        'a conflict';
    $t->stop;
};


subtest 'Lua' => sub {
    plan skip_all => 'no ngx_http_lua_module'
        if !-f "$modules/ngx_http_lua_module.so";

    my $t = new(main => "load_module $modules/ndk_http_module.so; "
        . "load_module $modules/ngx_http_lua_module.so;",
        server => q{
            location /klaviyo/ {
                internal;
                klaviyo_pass;
            }

            location = /both {
                content_by_lua_block {
                    local one, two = ngx.location.capture_multi({
                        {"/klaviyo/api/lists/LIST01"},
                        {"/klaviyo/api/profile-import",
                            {method = ngx.HTTP_POST, body = [[
                                {"data": {"type": "profile", "attributes":
                                    {"email": "lua@shop.com"}}} ]]}}})

                    ngx.say(one.status, " ", two.status, " ",
                        one.header["Content-Type"], " ",
                        one.body:match('"name":"([^"]+)"'))
                }
            }
        })->start;

    is $t->get('/both')->body, "200 201 $type List 1\n", 'capture_multi';
    $t->stop;
};


subtest 'accounts' => sub {
    my $account = sub {
        return qq{
            klaviyo_account $_[0] {
                api_key_file %%DIR%%/$_[0].key;
                endpoint %%ENDPOINT%%;
                queue %%QUEUE_DIR%%/$_[0].ring size=1m;
            }
        };
    };
    my $t = Klaviyo::Test->new(account => undef,
        sandbox => {keys => ["${key}_n:north", "${key}_s:south"]},
        http => $account->('north') . $account->('south'),
        server => q{
            klaviyo_account_default north;
            location /k/ { klaviyo_pass; }
            location /s/ { klaviyo_pass account=south; }
        });

    $t->file('north.key', "${key}_n\n", 0600);
    $t->file('south.key', "${key}_s\n", 0600);
    $t->start;

    $t->request(POST => '/k/api/profiles', [], profile(email => 'n@a.com'));
    $t->request(POST => '/s/api/profiles', [], profile(email => 's@a.com'));

    is $t->sandbox->state('north')->{profiles}[0]{email}, 'n@a.com',
        'the default account';
    is $t->sandbox->state('south')->{profiles}[0]{email}, 's@a.com',
        'account=';
    is $t->account('south')->{gateway}{requests}, 1, 'figures of its own';
    $t->stop;
};


subtest 'tracked, dry, limited' => sub {
    my $t = new(server => q{
        location /klaviyo/ {
            klaviyo_event "Asked" status=2xx {
                property Status $status number;
            }

            klaviyo_pass;

            limit_except GET {
                deny 10.0.0.0/8;
            }

            if ($arg_x) {
                add_header X-If yes;
            }
        }
    })->start;

    is $t->get('/klaviyo/api/lists?email=t@shop.com')->status, 200, 'GET';
    is $t->request(POST => '/klaviyo/api/profile-import?email=t@shop.com', [],
        profile(email => 'l@shop.com'))->status, 201, 'in limit_except';
    is $t->get('/klaviyo/api/lists?x=1')->header('X-If'), 'yes', 'in if';

    my $events = $t->wait_events(2);

    is $events->[0]{properties}{Status}, 200, 'an event of it';

    $t->set(account => 'dry_run on;');
    $t->reload(gone => 5);

    my $n = @{ $t->sandbox->requests };

    is $t->get('/klaviyo/api/lists')->status, 503, 'a dry run';
    is scalar @{ $t->sandbox->requests }, $n, 'sends nothing';
    $t->stop;
};


subtest 'a worker that leaves' => sub {
    my $t = new->start;

    $t->sandbox->fault(kind => 'slow', seconds => 2, endpoint => 'lists');

    my $client = $t->client;

    $client->send("GET /klaviyo/api/lists HTTP/1.1\r\nHost: x\r\n\r\n");
    ok wait_for(3, sub { asked($t) }), 'asked';
    $t->reload;
    is $client->response->status, 200, 'waits for its requests';

    $t->sandbox->reset;
    $t->sandbox->fault(kind => 'hang', endpoint => 'lists');
    $client = $t->client;
    $client->send("GET /klaviyo/api/lists HTTP/1.1\r\nHost: x\r\n\r\n");
    ok wait_for(3, sub { $t->sandbox->stats->{held} }), 'one hangs';

    my $start = time;

    $t->stop('TERM');
    cmp_ok time - $start, '<', slow(3), 'TERM does not';
};


subtest 'the key is nowhere' => sub {
    my $t = new->start;
    my $all = '';

    $t->sandbox->fault(kind => 'lost', endpoint => 'profiles');
    $all .= $t->raw("GET /klaviyo$_ HTTP/1.0\r\n\r\n")
        for qw(/api/lists /api/none /api/profiles /..%2f);
    $all .= encode_json($t->status);

    unlike $all, qr/\Q$key/, 'not in answers';
    unlike $t->log, qr/\Q$key/, 'not in the log';
    $t->stop;
};


subtest 'configurations' => sub {
    my @wrong = (
        ['klaviyo_pass; klaviyo_pass;', qr/"klaviyo_pass" directive is dup/],
        ['klaviyo_pass account=none;', qr/unknown account "none"/],
        ['klaviyo_pass nonsense;', qr/"nonsense": expected a URI/],
        ['klaviyo_pass /api/../x;', qr/invalid uri/],
        ['klaviyo_pass //host/x;', qr/invalid uri/],
        ['klaviyo_pass; klaviyo_pass_timeout 0;', qr/must not be 0/],
        ['klaviyo_pass; klaviyo_pass_connections 0;', qr/must be/],
    );

    for my $wrong (@wrong) {
        my ($code, $output) =
            config_test(server => "location /k/ { $wrong->[0] }");

        isnt $code, 0, "refused: $wrong->[0]";
        like $output, $wrong->[1], 'and why';
    }

    my ($code, $output) = config_test(account => undef,
        server => 'location /k/ { klaviyo_pass; }');

    isnt $code, 0, 'without an account';
    like $output, qr/no account for klaviyo_pass in/, 'and why';

    ($code, $output) = config_test(
        server => 'location /k/ { klaviyo_pass; klaviyo_pass_timeout 5s; }');
    is $code, 0, 'this is well' or diag $output;
    unlike $output, qr/warn/, 'without a warning';
};


done_testing;

#!/usr/bin/perl

# libcurl on nginx's event loop: what goes wrong when it is done naively.
# Each subtest fails without the line of the transport that it is about.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run read_file write_file temp_folder);
use Klaviyo::Test::Certificates;
use Klaviyo::Test::Relay;
use IO::Socket::INET;
use IO::Socket::SSL ();
use Socket          qw(SOCK_STREAM INADDR_LOOPBACK pack_sockaddr_in);
use Time::HiRes     qw(sleep time);


# Names that take their time, a pause after a library was unloaded, and
# another libcurl's version.
# nginx clears the environment of its workers: "env SHIM_UNLOAD_MS;".

my $shim = temp_folder() . '/shim.so';

write_file("$shim.c", <<'END');
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
    int  (*real)(const char *, const char *, const struct addrinfo *,
                 struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

    if (node && strncmp(node, "slow-", 5) == 0) {
        usleep(atoi(node + 5) * 1000);
        node = "127.0.0.1";
    }

    return real(node, service, hints, res);
}

int
dlclose(void *handle)
{
    int         (*real)(void *) = dlsym(RTLD_NEXT, "dlclose");
    int         rc = real(handle);
    const char  *ms = getenv("SHIM_UNLOAD_MS");

    if (ms) {
        usleep(atoi(ms) * 1000);
    }

    return rc;
}

curl_version_info_data *
curl_version_info(CURLversion now)
{
    const char  *version = getenv("SHIM_CURL");

    curl_version_info_data  *(*real)(CURLversion) =
        dlsym(RTLD_NEXT, "curl_version_info");

    static curl_version_info_data  info;

    info = *real(now);

    if (version) {
        info.version_num = strtoul(version, NULL, 16);
    }

    return &info;
}
END

my ($code, $output) =
    run('cc', '-shared', '-fPIC', '-o', $shim, "$shim.c", '-ldl');

is $code, 0, 'the shim compiles' or diag $output;


my $server = q{
    location / {
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }
};

sub new {
    my (%option) = @_;

    # a sanitizer's library has to be the first

    my @preload = ($ENV{LD_PRELOAD} // (), $shim);
    my $env     = delete $option{env} // {};

    return Klaviyo::Test->new(
        http   => 'klaviyo_profile email $arg_email;',
        server => $server,
        env    => {LD_PRELOAD => join(':', @preload), %$env},
        %option);
}

sub hit { return $_[0]->get("/?email=v$_[1]\@shop.test")->status }

# the longest that a request waited while `seconds` went by
sub slowest {
    my ($t, $seconds) = @_;

    my $client  = $t->client;
    my $slowest = 0;
    my $end     = time + $seconds;

    while (time < $end) {
        my $start = time;

        $client->get('/');
        $slowest = time - $start if time - $start > $slowest;
        sleep 0.02;
    }

    $client->close;

    return $slowest;
}

# a port where connections begin and never get anywhere
sub blackhole {
    my $listener = IO::Socket::INET->new(Listen => 1,
        LocalAddr => '127.0.0.1', Proto => 'tcp') // die "listen: $!\n";

    listen $listener, 0;

    my @fill = map {
        my $s = IO::Socket::INET->new(Proto => 'tcp', Type => SOCK_STREAM);
        $s->blocking(0);
        connect $s, pack_sockaddr_in($listener->sockport, INADDR_LOOPBACK);
        $s;
    } 1 .. 4;

    return {port => $listener->sockport, sockets => [$listener, @fill]};
}


# libcurl 7.88.0 to 8.4.0 closes the socket, then says CURL_POLL_REMOVE:
# "[alert] epoll_ctl(2, 7) failed (9: Bad file descriptor)"

subtest 'a connection that times out' => sub {
    my $hole = blackhole();
    my $t = new(sandbox => 0, account => qq{
        endpoint http://127.0.0.1:$hole->{port};
        timeout connect=150ms total=1s;
        retry min=50ms max=100ms;
    })->start;

    is hit($t, 1), 200, 'a request';
    ok wait_for(5, sub {
        $t->log =~ /imeout was reached|imeout after|imed out/;
    }),
        'the connection timed out';
    cmp_ok slowest($t, 1.5), '<', slow(0.5), 'others do not wait';
    unlike $t->log, qr/epoll_ctl/, 'no event of a closed socket';
    $t->stop;
};


# libcurl's errors stay in OpenSSL's queue, where nginx finds them when it
# reads from a client: "[alert] ignoring stale global SSL error"

subtest 'a certificate that is not trusted' => sub {
    my $t = new(front => 1, account => q{
        ssl_trusted_certificate %%DIR%%/other/ca.crt;
        retry min=10ms max=20ms;
    });
    my $other = Klaviyo::Test::Certificates->new($t->dir . '/other');
    my ($cert, $key) = $t->{ca}->issue('own');

    $t->set(server => qq{
        listen 127.0.0.1:%%PORT_TLS%% ssl;
        ssl_certificate $cert;
        ssl_certificate_key $key;
        keepalive_requests 100000;
        $server
    });
    $t->start;

    is hit($t, 1), 200, 'a request';

    my $client = IO::Socket::SSL->new(PeerAddr => '127.0.0.1',
        PeerPort => $t->port('TLS'),
        SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE());
    my $end = time + slow(2);
    my $n   = 0;

    while (time < $end) {
        print $client "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n";

        while (defined(my $line = <$client>)) {
            last if $line eq "\r\n";
        }

        $n++;
        sleep 0.003;
    }

    close $client;

    cmp_ok $n, '>', 50, 'a client over TLS meanwhile';
    like $t->log, qr/certificate|SSL/, 'Klaviyo was refused';
    unlike $t->log, qr/stale global SSL error/, 'not blamed on the client';
    is scalar @{ $t->sandbox->events }, 0, 'nothing was sent';
    is $t->account->{lost}, 0, 'nothing lost';
    $t->stop;
};


# without CURLOPT_QUICK_EXIT libcurl joins the thread that resolves: on the
# loop when the time is over, and when the transfer is removed at exit

subtest 'a name that resolves too late' => sub {
    my $t = new(sandbox => 0, account => q{
        endpoint https://slow-3000.test:1;
        timeout connect=300ms total=500ms;
    })->start;

    is hit($t, 1), 200, 'a request';
    cmp_ok slowest($t, 2), '<', slow(1), 'others do not wait for the name';
    like $t->log, qr/imed out|imeout/, 'the time was over';

    my $start = time;

    $t->stop;
    cmp_ok time - $start, '<', slow(1.5), 'nor does the exit';
};


subtest 'an exit while a name is resolved' => sub {
    for my $signal (qw(QUIT TERM)) {
        my $t = new(sandbox => 0, account => q{
            endpoint https://slow-4000.test:1;
            timeout connect=9s total=10s;
        })->start;

        is hit($t, 1), 200, 'a request';
        sleep 0.5;

        my $start = time;

        $t->stop($signal);
        cmp_ok time - $start, '<', slow(1.5), "$signal: does not wait";
    }
};


# the thread returns to libcurl's code, which nginx unloads with the module

subtest 'a name that resolves after the module is gone' => sub {
    my $t = new(sandbox => 0, main => 'env SHIM_UNLOAD_MS;',
        env => {SHIM_UNLOAD_MS => 2000},
        account => q{
            endpoint https://slow-1500.test:1;
            timeout connect=9s total=10s;
        })->start;

    is hit($t, 1), 200, 'a request';
    sleep 0.5;
    $t->stop('TERM');
    unlike $t->log, qr/exited on signal/, 'no crash';
};


# libcurl's default is a directory, with which the store of certificates is
# read again for each connection, on the loop

subtest 'the store of certificates is read once' => sub {
    my $t = new(front => {http2 => 0, server => 'keepalive_timeout 0;'},
        account => 'ssl_trusted_certificate %%DIR%%/trusted.crt;');
    open my $ca, '<', $t->{ca}->file or die "open: $!\n";
    my $trusted = $t->file('trusted.crt', do { local $/; <$ca> });

    $t->start;

    hit($t, 1);
    ok $t->wait_events(1), 'the first connection';

    write_file($trusted, "nothing to trust\n", 0644);

    hit($t, 2);
    ok $t->wait_events(2), 'the second does without the file';

    my %connections = map { $_->{connection} => 1 }
        @{ $t->sandbox->requests };

    is scalar keys %connections, 2, 'it was another connection';
    $t->stop;
};


subtest 'a reload reads the certificates again' => sub {
    my $t = new(front => {http2 => 0},
        account => 'ssl_trusted_certificate %%DIR%%/trusted.crt;'
            . 'retry min=20ms max=100ms;');
    my $other   = Klaviyo::Test::Certificates->new($t->dir . '/other');
    my $trusted = $t->file('trusted.crt', read_file($other->file));

    $t->start;

    hit($t, 1);
    ok wait_for(10, sub { $t->account->{replies}{none} > 2 }), 'not trusted';
    is scalar @{ $t->sandbox->requests }, 0, 'nothing was sent';

    write_file($trusted, "-----BEGIN CERTIFICATE-----\nAAAA\n"
        . "-----END CERTIFICATE-----\n", 0644);

    ok $t->reload(gone => 10), 'what is no certificate';
    ok wait_for(5, sub {
        $t->log =~ /trusted certificates in "\Q$trusted\E" could not be read/
    }), 'is said';
    is scalar @{ $t->sandbox->requests }, 0, 'and trusted by nobody';

    write_file($trusted, read_file($t->{ca}->file), 0644);

    ok $t->reload(gone => 10), 'the right one, by a reload';
    ok $t->wait_events(1), 'delivered';
    $t->stop;
};


# an eventfd of its resolver is never read: the loop turns without a rest

subtest 'libcurl 8.20.0' => sub {
    for (['081300', 0], ['081400', 1], ['081500', 0]) {
        my ($version, $said) = @$_;
        my $t = new(sandbox => 0, env => {SHIM_CURL => $version})->start;

        is scalar(() = $t->log =~ /\[warn\].*libcurl 8\.20\.0 keeps/g), $said,
            "$version: " . ($said ? 'said once' : 'nothing to say');
        $t->stop;
    }
};


# worker_shutdown_timeout calls read->handler of every connection, also where
# only writing is waited for.  It has to come before the deliverer sees that
# the worker leaves, which is a tenth of the linger later at most.

subtest 'worker_shutdown_timeout' => sub {
    my $hole = blackhole();
    my $t = new(sandbox => 0, main => 'worker_shutdown_timeout 1ms;',
        server => qq{
            location = /wait {
                proxy_pass http://127.0.0.1:$hole->{port};
            }

            $server
        },
        account => qq{
            endpoint http://127.0.0.1:$hole->{port};
            timeout connect=20s total=30s;
            batch linger=1s;
        })->start;

    is hit($t, 1), 200, 'a request';
    sleep 1.5;

    # a request that is not done keeps the worker until then

    my $client = $t->client;

    $client->send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
    sleep 0.2;

    my $start = time;

    $t->stop;
    cmp_ok time - $start, '<', slow(3), 'left in time';
    unlike $t->log, qr/exited on signal/, 'no crash';
    $client->close;
};


# the environment's proxy variables are not the administrator's wish

subtest 'the environment chooses no proxy' => sub {
    my @names = qw(http_proxy HTTP_PROXY https_proxy ALL_PROXY all_proxy);
    my $t = new(main => join(' ', map { "env $_;" } @names),
        env => {map { ($_ => 'http://127.0.0.1:1') } @names},
        account => 'retry min=50ms max=100ms;')->start;

    hit($t, 1);
    ok $t->wait_events(1), 'delivered without it';
    $t->stop;
};


subtest 'connections are kept, HTTP/2 is spoken' => sub {
    my $t = new(front => 1)->start;

    for my $n (1 .. 5) {
        hit($t, $n);
        $t->wait_events($n);
    }

    my $requests = $t->sandbox->requests;
    my %connections = map { $_->{connection} => 1 } @$requests;
    my %protocols   = map { $_->{http_version} => 1 } @$requests;

    cmp_ok scalar @$requests, '>=', 2, 'several requests';
    is scalar keys %connections, 1, 'on one connection';
    is_deeply [keys %protocols], ['HTTP/2.0'], 'by HTTP/2';
    $t->stop;
};


# an interim answer's headers are not the answer's

subtest 'interim answers' => sub {
    my $t = new->start;

    $t->sandbox->fault(kind => 'raw', times => 1, bytes =>
        "HTTP/1.1 103 Early Hints\r\nRetry-After: 3600\r\n\r\n"
        . "HTTP/1.1 429 Later\r\nContent-Length: 0\r\n\r\n");

    hit($t, 1);
    ok $t->wait_events(1, 10), 'sent again soon';
    $t->stop;
};


# libcurl would send it again by itself, and says that it was not let

subtest 'a kept connection that breaks' => sub {
    my $t = new->start;

    hit($t, 1);
    ok $t->wait_events(1), 'it works';
    $t->sandbox->fault(kind => 'reset', times => 1);
    hit($t, 2);
    ok $t->wait_events(2, 10), 'sent again';
    is $t->account->{replies}{none}, 1, 'by us, and counted';
    like $t->log, qr/no answer: "connection closed before an answer"/,
        'the log says what happened';
    $t->stop;
};


# What a proxy answers to CONNECT is no answer of Klaviyo's, also where libcurl
# asks it once more for a request that was sent already.

subtest 'by a proxy' => sub {
    my $t     = new(front => {http2 => 0});
    my $relay = Klaviyo::Test::Relay->start(to => $t->{front}{port});

    $relay->mode('tunnel');
    $t->set(account => 'retry min=20ms max=100ms; proxy http://127.0.0.1:'
        . $relay->port . ';');
    $t->start;

    for my $n (1 .. 3) {
        hit($t, $n);
        ok $t->wait_events($n), "event $n";
    }

    is $relay->connections, 1, 'by one connection';
    $t->sandbox->fault(kind => 'reset', times => 1);
    hit($t, 4);
    ok $t->wait_events(4, 10), 'sent again after it broke';
    ok $t->wait_idle, 'and answered';
    is $t->account->{replies}{none}, 1, 'there was no answer';
    is $t->account->{replies}{accepted}, 4, 'and four';
    is $t->account->{delivery}{paused_for}, 0, 'no pause';
    like $t->log, qr/no answer: "connection closed before an answer"/,
        'nothing of the proxy\'s was one';
    $t->stop;
};


# newer versions of libcurl know an end, too

subtest 'a head without an end' => sub {
    my $t = new->start;

    $t->sandbox->fault(kind => 'raw', times => 1, bytes =>
        "HTTP/1.1 202 Accepted\r\n"
        . join('', map { "X-$_: " . 'x' x 1000 . "\r\n" } 1 .. 280)
        . "Content-Length: 0\r\n\r\n");

    hit($t, 1);
    ok $t->wait_events(1, 10), 'is no answer: sent again';
    $t->stop;
};


# what has no end is broken off, and what was accepted is not sent again

subtest 'a body that breaks off' => sub {
    my $t = new->start;

    $t->sandbox->fault(kind => 'raw', times => 1, bytes =>
        "HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\nshort");

    hit($t, 1);
    ok $t->wait_idle(10), 'acknowledged';
    is scalar @{ $t->sandbox->requests }, 1, 'asked once';
    $t->stop;
};


done_testing;

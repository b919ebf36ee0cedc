#!/usr/bin/perl

# klaviyo_enrich: what an internal location says of a request is merged into
# its events, and the client waits for none of it.  Whatever that location
# does (answers late or never, fails, says too much or nonsense), the event
# goes, the answer is what it is without, and the figures say why.

use lib 't/lib';
use Klaviyo::Test;

use IO::Socket::INET;
use List::Util  qw(first sum);
use Mojo::JSON  qw(decode_json encode_json);
use Time::HiRes qw(time);

my $modules = nginx_modules();

my @children;

END { local $?; kill TERM => @children if @children }


# A server that forks for each connection and stays there for a while.

sub serve {
    my ($port, $answer) = @_;

    my $listener = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $port,
        Listen    => 64,          ReuseAddr => 1,
    ) or die "listen: $!";

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        $SIG{CHLD} = 'IGNORE';
        $SIG{PIPE} = 'IGNORE';

        while (1) {
            my $c = $listener->accept or next;

            if ((fork // die) == 0) {
                alarm 30;
                binmode $c;
                $answer->($c);
                close $c;
                POSIX::_exit(0);
            }

            close $c;
        }
    }

    push @children, $pid;

    return;
}

my $note;

sub note_line {
    my ($line) = @_;

    open my $out, '>>', $note or return;
    syswrite $out, "$line\n";
    close $out;

    return;
}

sub noted {
    open my $in, '<', $note or return '';
    local $/;

    return scalar <$in>;
}

# what waits; 1: the other end has gone meanwhile

sub wait_or_gone {
    my ($c, $seconds) = @_;

    my $set = '';
    vec($set, fileno $c, 1) = 1;

    my $n = select my $ready = $set, undef, undef, $seconds;

    return $n > 0 && !sysread $c, my $buf, 1;
}

sub shop {
    my ($c) = @_;

    my $head = '';

    while ($head !~ /\r\n\r\n/) {
        sysread $c, $head, 4096, length $head or return;
    }

    my ($line) = $head =~ /^([^\r]*)/;
    my ($path, $args) = $line =~ m{^\S+ ([^ ?]*)\??(\S*) HTTP};
    my %arg  = map { split /=/, $_, 2 } split /&/, $args;
    my $json = encode_json({properties => {Line => $line,
        Head => [sort map { lc s/\r//r } grep { /:/ } split /\n/, $head]}});
    my $send = sub {
        my ($body, @headers) = @_;

        my $all = join "\r\n", 'HTTP/1.1 200 OK', 'Connection: close',
            'Content-Type: application/json', @headers, '', $body;

        while (length $all) {
            my $n = syswrite $c, $all or return;
            substr $all, 0, $n, '';
        }
    };

    note_line("begun $path");

    if ($arg{s} && wait_or_gone($c, $arg{s})) {
        note_line("gone $path");
        return;
    }

    if ($path eq '/half') {
        $send->('{"properties":{"Half":', 'Content-Length: 40');
        note_line('gone /half') if wait_or_gone($c, 10);

    } elsif ($path eq '/truncated') {
        $send->('{"properties":{"Half":', 'Content-Length: 40');

    } elsif ($path eq '/drip') {
        $send->('');
        for (1 .. 200) {
            syswrite $c, ' ' x 4000 or last;
            select undef, undef, undef, 0.01;
        }

    } elsif ($path eq '/large') {
        $send->('{"properties":{"Large":"' . 'x' x 70000 . '"}}');

    } elsif ($path eq '/long') {
        $send->('x' x 65537, 'Content-Length: 65537');

    } elsif ($path eq '/limit') {
        my $text = '{"properties":{"Large":"' . 'x' x (65536 - 27) . '"}}';
        $send->($text, 'Content-Length: ' . length $text);

    } elsif ($path eq '/stream') {
        $send->("stream\n");

    } elsif ($path eq '/gzip') {
        $send->("\x1f\x8b", 'Content-Encoding: gzip', 'Content-Length: 2');

    } else {
        $send->($json, 'Content-Length: ' . length $json);
    }

    return;
}

# memcached: half of a value, or all of it

sub memcached {
    my ($c) = @_;

    sysread $c, my $command, 1024;

    my ($key) = $command =~ /^get (\S+)/;
    my $text = '{"properties":{"Cached":1}}';

    if ($key =~ /half/) {
        syswrite $c, "VALUE $key 0 1000\r\n$text";
        note_line('gone memcached') if wait_or_gone($c, 10);
        return;
    }

    syswrite $c, sprintf "VALUE %s 0 %d\r\n%s\r\nEND\r\n", $key,
        length $text, $text;

    return;
}

# FastCGI: one request, one answer

sub fastcgi {
    my ($c) = @_;

    my ($buf, %param) = ('');

    while (1) {
        my ($type, $data) = record($c) or return;

        last if $type == 5 && $data eq '';
        $buf .= $data if $type == 4;
    }

    while (length $buf) {
        my @length = map {
            my $n = unpack 'C', $buf;
            $n < 128 ? unpack 'C', substr $buf, 0, 1, ''
                : 0x7fffffff & unpack 'N', substr $buf, 0, 4, '';
        } 1, 2;
        my $name = substr $buf, 0, $length[0], '';
        $param{$name} = substr $buf, 0, $length[1], '';
    }

    my $text = "Content-Type: application/json\r\n\r\n"
        . encode_json({properties => \%param});

    syswrite $c, pack('CCnnCx', 1, 6, 1, length $text, 0) . $text
        . pack('CCnnCx', 1, 6, 1, 0, 0) . pack('CCnnCxNCx3', 1, 3, 1, 8, 0, 0,
            0);

    return;
}

sub record {
    my ($c) = @_;

    my ($head, $data) = ('', '');

    while (length $head < 8) {
        sysread $c, $head, 8 - length $head, length $head or return;
    }

    my ($type, $length, $padding) = (unpack 'CCnnCx', $head)[1, 3, 4];

    while (length $data < $length + $padding) {
        sysread $c, $data, $length + $padding - length $data, length $data
            or return;
    }

    return $type, substr $data, 0, $length;
}


# what is refused

for my $case (
    ['klaviyo_enrich;', qr/number of arguments/],
    ['klaviyo_enrich /e timeout=1s x;', qr/number of arguments/],
    ['klaviyo_enrich e;', qr/invalid URI "e"/],
    ['klaviyo_enrich "";', qr/invalid URI ""/],
    ['klaviyo_enrich @e;', qr/invalid URI "\@e"/],
    ['klaviyo_enrich ?a=b;', qr/invalid URI "\?a=b"/],
    ['klaviyo_enrich /e time=1s;', qr/"time=1s": expected "timeout="/],
    ['klaviyo_enrich /e timeout=;', qr/invalid parameter "timeout="/],
    ['klaviyo_enrich /e timeout=0;', qr/it must be 1ms to 1m/],
    ['klaviyo_enrich /e timeout=61s;', qr/it must be 1ms to 1m/],
    ['klaviyo_enrich /e timeout=-1s;', qr/invalid parameter/],
    ['klaviyo_enrich /e?$nowhere;', qr/unknown "nowhere" variable/],
    ['klaviyo_enrich off timeout=1s;', qr/"off" stands alone/],
    ['klaviyo_enrich /a; klaviyo_enrich /b;', qr/is duplicate/],
    ['location / { if ($arg_a) { klaviyo_enrich /a; } }', qr/not allowed/],
) {
    my ($code, $output) = config_test(server => $case->[0]);

    isnt $code, 0, "$case->[0]: refused";
    like $output, $case->[1], "$case->[0]: says so";
}


my $http = <<'END';
        klaviyo_profile   external_id $cookie_who;
        klaviyo_property  Level outer;
        klaviyo_property  Kept outer;
        klaviyo_defaults  off;
        proxy_cache_path  %%DIR%%/cache keys_zone=c:1m;
        log_format        seen '$uri $klaviyo_captured $request_time';

        map $arg_e $wanted { default ""; yes /e/json?of=map; }
        map $uri $where { default $uri; }

        server {
            listen 127.0.0.1:%%PORT_APP%%;
            klaviyo_track off;
            default_type text/plain;

            location / { return 200 "app\n"; }
            location /none { return 404; }
            location /unchanged { return 304; }
            location /no_content { return 204; }
            location /slow { limit_rate 100; return 200 "slow answer\n"; }
            location /named {
                add_header X-Klaviyo-Event $http_x_say;
                return 200 "app\n";
            }
            location /accel {
                add_header X-Accel-Redirect /page.html;
                return 200;
            }
        }
END

my $targets = <<'END';
        access_log %%DIR%%/access.log seen;

        # where events are

        location = /page.html { root %%DIR%%; klaviyo_track "Page"; }
        location = /big.html { root %%DIR%%; klaviyo_track "Big"; }

        # what knows

        location /e/ {
            internal;
            log_subrequest on;
            klaviyo_track "Not This";
            klaviyo_enrich /e/json;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 20s;
            proxy_buffers 8 4k;
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/;
        }

        location /unbuffered/ {
            internal;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/;
        }

        location = /fastcgi {
            internal;
            fastcgi_pass 127.0.0.1:%%PORT_FASTCGI%%;
            fastcgi_param Sku $sku;
            fastcgi_param Query $query_string;
            fastcgi_param Method $request_method;
        }

        location /threads/ {
            internal;
            alias %%DIR%%/files/;
            aio threads;
            sendfile off;
        }

        location /memcached/ {
            internal;
            set $memcached_key $uri;
            memcached_pass 127.0.0.1:%%PORT_MEMCACHED%%;
        }

        location /files/ {
            internal;
            root %%DIR%%;
            error_page 404 =200 /files/instead.json;
        }

        location = /returned {
            internal;
            return 200 '{"properties":{"Returned":"$arg_a","Set":"$set"}}';
        }

        location = /failed { internal; return 404; }
        location = /closed { internal; return 444; }
        location = /nothing { internal; return 204; }
        location = /refused { internal; proxy_pass http://127.0.0.1:1; }

        location = /locked {
            internal;
            proxy_cache c;
            proxy_cache_lock on;
            proxy_cache_valid 1m;
            proxy_ignore_headers Cache-Control;
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/json?s=0.2;
        }

        location = /locked/late {
            internal;
            proxy_cache c;
            proxy_cache_lock on;
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/late?s=3;
        }

        location = /variables {
            internal;
            set $set theirs;
            return 200 '{"properties":{"Where":"$where"}}';
        }

        # what is asked

        location = /one {
            set $sku "a b";
            klaviyo_event "One" { property Own mine; }
            klaviyo_enrich /e/json?sku=$sku&who=$cookie_who;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location = /map {
            klaviyo_track "One";
            klaviyo_enrich $wanted;
            return 200 "map\n";
        }

        location ~ "(?s)^/path/(?<name>.*)$" {
            klaviyo_track "One";
            klaviyo_enrich /e/$name?name=$name;
            return 200 "path\n";
        }

        location = /argument {
            klaviyo_track "One";
            klaviyo_enrich /e/$arg_a;
            return 200 "argument\n";
        }

        location = /fast {
            set $sku 7;
            klaviyo_track "One";
            klaviyo_enrich /fastcgi?sku=$sku;
            return 200 "fast\n";
        }

        location = /set {
            set $set ours;
            klaviyo_event "One" { property Set $set; property Where $where; }
            klaviyo_enrich /variables;
            return 200 "set\n";
        }

        location = /static {
            klaviyo_track "One";
            klaviyo_enrich $arg_file;
            return 200 "static\n";
        }

        location /slow/ {
            klaviyo_enrich /e/slow?s=2 timeout=5s;

            location = /slow/return {
                klaviyo_track "Slow";
                return 200 "slow\n";
            }
            location = /slow/proxy {
                klaviyo_track "Slow";
                proxy_pass http://127.0.0.1:%%PORT_APP%%/;
            }
            location = /slow/file.html {
                klaviyo_track "Slow";
                gzip on;
                gzip_min_length 1;
                alias %%DIR%%/page.html;
            }
        }

        location /late/ {
            klaviyo_track "Late";
            klaviyo_enrich $target timeout=300ms;
            set $target "";

            location = /late/header {
                set $target /e/late?s=3;
                return 200 "late\n";
            }
            location = /late/half {
                set $target /e/half;
                return 200 "late\n";
            }
            location = /late/locked {
                set $target /locked/late;
                return 200 "late\n";
            }
            location = /late/unbuffered {
                set $target /unbuffered/half;
                return 200 "late\n";
            }
            location = /late/rate.html {
                set $target /e/late?s=3;
                limit_rate 2k;
                alias %%DIR%%/page.html;
            }
            location = /late/rated.html {
                set $target /unbuffered/half;
                limit_rate 2k;
                alias %%DIR%%/page.html;
            }
            location = /late/memcached.html {
                set $target /memcached/half;
                limit_rate 2k;
                alias %%DIR%%/page.html;
            }
        }

        location = /error {
            klaviyo_track "Error" status=4xx;
            klaviyo_enrich /e/error;
            return 404;
        }

        location = /page {
            klaviyo_enrich /e/wrong;
            klaviyo_track "Wrong" status=404;
            error_page 404 = /page/error;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/none;
        }

        location = /page/error {
            klaviyo_track "Right";
            klaviyo_enrich /e/right;
            return 200 "right\n";
        }

        location = /accel {
            klaviyo_track "Wrong";
            klaviyo_enrich /e/wrong;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location = /auth {
            klaviyo_track "One";
            klaviyo_enrich /e/auth;
            auth_request /nothing;
            return 200 "auth\n";
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location = /untracked {
            klaviyo_enrich /e/untracked;
            return 200 "untracked\n";
        }

        location = /off {
            klaviyo_track "One";
            klaviyo_enrich off;
            return 200 "off\n";
        }

        location /merge {
            klaviyo_response_header X-Klaviyo-Event;
            klaviyo_profile  city Paris;
            klaviyo_event "Block" {
                profile   email $cookie_email;
                profile   title $cookie_title;
                property  Own $cookie_own;
                property  Constant mine;
                value     $cookie_value USD;
                unique_id $cookie_id;
            }
            klaviyo_track "Plain";
            klaviyo_enrich /files/$arg_file.json;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/named;
        }

        location = /told {
            klaviyo_track "Told";
            add_header X-Id $klaviyo_event_id;
            klaviyo_enrich /files/id.json;
            return 200 "told\n";
        }

        location = /ask {
            klaviyo_track "One";
            klaviyo_enrich $arg_of;
            return 200 "ask\n";
        }

        location = /close {
            klaviyo_track "Close";
            klaviyo_enrich /e/close;
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/stream;
        }

        location ~ ^/(?:unchanged|no_content)$ {
            klaviyo_track "Bodiless";
            klaviyo_enrich /e/json;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location = /never {
            klaviyo_track "Never" if=$arg_none;
            klaviyo_enrich /files/plain.json;
            return 200 "";
        }

        location = /own {
            klaviyo_event "Own" { property Own mine; }
            klaviyo_enrich /files/nothing.json;
            return 200 "";
        }

        location = /post {
            klaviyo_track "One";
            klaviyo_enrich /e/post;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }
END

my $t = Klaviyo::Test->new(http => $http, server => $targets,
    allow => [qr/upstream prematurely closed|connect\(\) failed|open\(\) "/]);

$note = $t->dir . '/note';

sub json_file { $t->file("files/$_[0].json", encode_json($_[1])); return }

mkdir $t->dir . '/files';
$t->file('page.html', "page\n" x 1000);
$t->file('big.html', 'b' x 20_000_000);
$t->file('files/instead.json', '{"properties":{"Instead":1}}');
$t->file('files/array.json', '[{"properties":{"A":1}}]');
$t->file('files/text.json', 'text');
$t->file('files/two.json', '{"a":1}{"b":1}');
$t->file('files/large.json', ' ' x 70000);
$t->file('files/empty.json', '');
json_file('plain', {profile => {first_name => 'Ann'}, properties =>
    {Level => 'enriched', Number => 1.5, Deep => {a => [1]}, Kept => undef}});
json_file("full$_", {profile => {email => 'app@shop.com', city => 'Rome',
    title => 'Dr', Custom => 1}, properties => {Own => 'theirs',
    Constant => 'theirs', Level => 'enriched'}, value => 12.5,
    value_currency => 'EUR', unique_id => "from-app-$_"}) for 1 .. 4;
json_file('id', {unique_id => 'from-app'});
json_file('anonymous', {profile => {first_name => 'Ann'}});
json_file('known', {profile => {external_id => 'app-1'}});
json_file('wrong', {metric => 'X', time => 1, backfill => \1, what => 1,
    profile => [], properties => {Good => 1}, value => 'ten'});

$t->start;
serve($t->port('SHOP'), \&shop);
serve($t->port('FASTCGI'), \&fastcgi);
serve($t->port('MEMCACHED'), \&memcached);

my ($seen, %before) = (0);

# the figures that have moved since the last look

sub moved {
    my $now = $t->account->{enrich};
    my %moved = map { $_ => $now->{$_} - ($before{$_} // 0) } keys %$now;

    %before = %$now;

    return join ' ', map { "$_ $moved{$_}" }
        grep { $moved{$_} } sort keys %moved;
}

sub events {
    my ($n) = @_;

    wait_for(8, sub { @{ $t->sandbox->events } >= $seen + $n });
    $t->wait_idle;

    my @all = @{ $t->sandbox->events };
    my @new = splice @all, $seen;

    $seen += @new;

    return sort { $a->{metric} cmp $b->{metric} } @new;
}

sub ask {
    my ($path, $n, @headers) = @_;

    my $answer = $t->get($path, Cookie => 'who=w1', @headers);

    return ($answer, events($n));
}

sub metrics { return join ' ', map { $_->{metric} } @_ }

sub took {
    my ($code) = @_;

    my $start = time;
    $code->();

    return time - $start;
}

my ($answer, @events, $took, $client);


# a proxied target: what is asked, and what comes of it

($answer, @events) = ask('/one', 1, 'Accept-Encoding' => 'gzip',
    Range => 'bytes=0-1', 'If-None-Match' => '"x"', 'X-Other' => 'kept');

is $answer->status, 200, 'proxy_pass: served';
is $answer->body, "app\n", 'the answer is what it is';
is metrics(@events), 'One', 'one event: the location that knows has none';
like $events[0]{properties}{Line},
    qr{^GET /json\?sku=a%20b&who=w1 HTTP/1\.1$},
    'what is asked: variables, with a blank that is no blank any more';
is $events[0]{properties}{Own}, 'mine', 'what the block says';
is $events[0]{properties}{Level}, 'outer', 'what an outer level says';

my %head = map { $_ => 1 } @{ $events[0]{properties}{Head} };

ok $head{'x-other: kept'}, 'the headers are those of the client';
ok $head{'cookie: who=w1'}, 'its cookies too';
is join(' ', grep { /^(?:accept-encoding|range|if-none-match|content)/ }
    sort keys %head), '', 'but for those of its own answer';
is moved(), 'merged 1 requested 1', 'counted';

my $log = noted();
is $log, "begun /json\n", 'asked once, not by itself again';

open my $in, '<', $t->dir . '/access.log' or die $!;
my $lines = join '', <$in>;
close $in;
like $lines, qr{^/e/json - }m, 'the access log: log_subrequest, no event';

# of a request with a body: a GET without one

$answer = $t->post('/post', 'a body', Cookie => 'who=w1');
@events = events(1);
is $answer->body, "app\n", 'POST: served';
like $events[0]{properties}{Line}, qr{^GET /post HTTP/1\.1$}, 'POST: a GET';
is join(' ', grep { /^(?:content|transfer)/ }
    @{ $events[0]{properties}{Head} }), '', 'POST: without a body';


# other targets

($answer, @events) = ask('/fast', 1);
is $answer->body, "fast\n", 'fastcgi_pass: served';
is_deeply {map { $_ => $events[0]{properties}{$_} } qw(Sku Query Method)},
    {Sku => 7, Query => 'sku=7', Method => 'GET'}, 'fastcgi_pass';
is $events[0]{properties}{HTTP_COOKIE}, 'who=w1', 'fastcgi_pass: headers';
is $events[0]{properties}{CONTENT_LENGTH}, undef, 'fastcgi_pass: no body';

($answer, @events) = ask('/static?file=/memcached/whole', 1);
is $events[0]{properties}{Cached}, 1, 'memcached_pass';

($answer, @events) = ask('/static?file=/files/plain.json', 1);
is $answer->body, "static\n", 'a file: served';
is_deeply $events[0]{properties}, {Level => 'enriched', Number => 1.5,
    Deep => {a => [1]}}, 'a file: in the place of outer levels; null removes';
is $events[0]{profile}{first_name}, 'Ann', 'a file: profile';
is $events[0]{profile}{external_id}, 'w1', 'a file: who it is';

my ($none) = grep { /without --with-threads|unsupported/ }
    (config_test(server => 'aio threads;'))[1];

if (!$none) {
    ($answer, @events) = ask("/static?file=/threads/$_.json", 1)
        for 'plain', 'large', 'plain';
    is $events[0]{properties}{Number}, 1.5, 'a file: by a thread';
}

($answer, @events) = ask('/static?file=/files/none.json', 1);
is $events[0]{properties}{Instead}, 1, 'its error_page';

($answer, @events) = ask('/static?file=/returned', 1);
is_deeply $events[0]{properties}{Returned}, undef, 'return: empty is empty';

($answer, @events) = ask('/set', 1);
is $events[0]{properties}{Set}, 'ours', 'its variables are its own';
is $events[0]{properties}{Where}, '/set', 'a map, too';

moved();


# the URI

($answer, @events) = ask('/map', 1);
is $events[0]{properties}{Line}, undef, 'an empty URI: nothing is asked';
is moved(), '', 'nothing is counted';

($answer, @events) = ask('/map?e=yes', 1);
like $events[0]{properties}{Line}, qr{/json\?of=map }, 'all in a variable';

($answer, @events) = ask('/path/json', 1);
like $events[0]{properties}{Line}, qr{ /json\?name=json }, 'in the path';

($answer, @events) = ask('/path/a%20b%0d%0aX:%20y', 1);
like $events[0]{properties}{Line},
    qr{^GET /a%20b%0D%0AX:%20y\?name=a%20b%0D%0AX:%20y HTTP/1\.1$},
    'a line end is no line end';

moved();

for my $path ('/path/a%3fadmin=1', '/argument?a=../../secret',
    '/argument?a=%2e%2e/secret', '/argument?a=%00')
{
    ($answer, @events) = ask($path, 1);
    is $events[0]{properties}{Line}, undef, "$path: not asked";
    is moved(), 'failed 1 requested 1', "$path: counted";
}


# time: 2 s for the knowing location, none for the client

for my $path ('/slow/return', '/slow/proxy', '/slow/file.html') {
    for my $gzip (0, 1) {
        next if $gzip && $path !~ /file/;

        my $start = time;
        $answer = $t->client->get($path, Cookie => 'who=w1',
            $gzip ? ('Accept-Encoding' => 'gzip') : ());
        my $last = time - $start;

        is $answer->status, 200, "$path: served";
        cmp_ok $last, '<', slow(1), "$path: the last byte does not wait";

        @events = events(1);
        cmp_ok time - $start, '>', 1.9, "$path: the event did";
        like $events[0]{properties}{Line}, qr{^GET /slow\?s=2 },
            "$path: and has it";
    }
}

$took = took(sub { $answer = $t->h2('/slow/proxy', Cookie => 'who=w1') });
cmp_ok $took, '<', slow(1), 'HTTP/2: the last byte does not wait';
@events = events(1);
like $events[0]{properties}{Line}, qr{^GET /slow\?s=2 }, 'HTTP/2: enriched';

is moved(), 'merged 5 requested 5', 'each is counted';

# keep-alive

$client = $t->client;
$took = took(sub { $client->get('/slow/return', Cookie => 'who=w1') });
cmp_ok $took, '<', slow(1), 'keep-alive: the first answer';
$took = took(sub { $answer = $client->get('/off', Cookie => 'who=w1') });
is $answer->body, "off\n", 'keep-alive: the second one';
cmp_ok $took, '>', 1.5, 'it waits for the event of the first';
cmp_ok $took, '<', slow(3), 'not longer';
is metrics(events(2)), 'One Slow', 'keep-alive: both events';

# pipelined

$client = $t->client;
$client->send("GET /late/header HTTP/1.1\r\nHost: x\r\nCookie: who=w1\r\n\r\n"
    . "GET /off HTTP/1.1\r\nHost: x\r\nCookie: who=w1\r\n\r\n");
is $client->response->body, "late\n", 'pipelined: the first answer';
is $client->response->body, "off\n", 'pipelined: the second one';
is metrics(events(2)), 'Late One', 'pipelined: both events';

# HTTP/2 waits for nothing

$took = took(sub {
    $t->nghttp('-n', '-H', 'cookie: who=w1', '/slow/return', '/off');
});
cmp_ok $took, '<', slow(1.5), 'HTTP/2: the next stream does not wait';
is metrics(events(2)), 'One Slow', 'HTTP/2: both events';

moved();


# timeout=: the subrequest is ended, not only left alone

for my $what ('header', 'half', 'unbuffered') {
    my $before = () = noted() =~ /^gone/mg;

    $client = $t->client;
    $took = took(sub { $answer = $client->get("/late/$what",
        Cookie => 'who=w1') });
    is $answer->body, "late\n", "late, $what: served";
    cmp_ok $took, '<', slow(0.25), "late, $what: at once";

    $took = took(sub { $client->get('/off') });
    cmp_ok $took, '<', slow(1),
        "late, $what: the next request waits for timeout=";
    cmp_ok $took, '>', 0.2, "late, $what: as long as that";

    @events = events(1);
    is_deeply $events[0]{properties}, {Level => 'outer', Kept => 'outer'},
        "late, $what: the event goes without";
    is moved(), 'requested 1 timed_out 1', "late, $what: counted";

    wait_for(2, sub { (() = noted() =~ /^gone/mg) > $before });
    is scalar(() = noted() =~ /^gone/mg), $before + 1,
        "late, $what: its connection is closed";
}

# with a lock of the cache, which the first has and the second waits for

my @client = map { $t->client } 1, 2;
$_->get('/late/locked', Cookie => 'who=w1') for @client;
$took = took(sub { $_->get('/off') for @client });
cmp_ok $took, '<', slow(1.5), 'late, locked: as soon as the lock is looked at';
is metrics(events(2)), 'Late Late', 'late, locked: both events go';
is moved(), 'requested 2 timed_out 2', 'late, locked: counted';

# while the answer itself is still on its way

for my $path ('/late/rate.html', '/late/rated.html', '/late/memcached.html') {
    $answer = $t->client->get($path, Cookie => 'who=w1');
    is length $answer->body, 5000, "$path: all of it arrives";
    @events = events(1);
    is metrics(@events), 'Late', "$path: the event goes";
    is moved(), 'requested 1 timed_out 1', "$path: counted";
}

$took = took(sub { $answer = $t->h2('/late/header', Cookie => 'who=w1') });
cmp_ok $took, '<', slow(0.9), 'HTTP/2, late: served';
is metrics(events(1)), 'Late', 'HTTP/2, late: the event goes';
is moved(), 'requested 1 timed_out 1', 'HTTP/2, late: counted';


# answers that are none

my %outcome = (
    '/failed'                => 'failed',
    '/closed'                => 'failed',
    '/nowhere'               => 'failed',
    '/refused'               => 'failed',
    '/e/gzip'                => 'failed',
    '/e/truncated'           => 'not_json',
    '/unbuffered/truncated'  => 'not_json',
    '/nothing'               => 'empty',
    '/files/empty.json'      => 'empty',
    '/files/array.json'      => 'not_json',
    '/files/text.json'       => 'not_json',
    '/files/two.json'        => 'not_json',
    '/files/large.json'      => 'too_large',
    '/e/large'               => 'too_large',
    '/e/long'                => 'too_large',
    '/e/drip'                => 'timed_out',
    '/unbuffered/large'      => 'too_large',
);

for my $uri (sort keys %outcome) {
    $client = $t->client;
    $answer = $client->get("/ask?of=$uri", Cookie => 'who=w1');
    is $answer->body, "ask\n", "$uri: served";
    is $client->get('/untracked')->body, "untracked\n",
        "$uri: the connection goes on";

    @events = events(1);
    is_deeply $events[0]{properties}, {Level => 'outer', Kept => 'outer'},
        "$uri: the event goes without";
    is moved(), join(' ', sort "$outcome{$uri} 1", 'requested 1'),
        "$uri: counted";
}

($answer, @events) = ask('/ask?of=/e/limit', 1);
is length $events[0]{properties}{Large}, 65536 - 27, 'as much as may be';
moved();

# a lock of the cache

for (1 .. 2) {
    $t->get('/ask?of=/locked', Cookie => 'who=w1');
}

@events = events(2);
like $_->{properties}{Line}, qr/GET/, 'of a cache' for @events;
is moved(), 'merged 2 requested 2', 'counted';


# who is asked about

($answer, @events) = ask('/untracked', 0);
($answer, @events) = ask('/one', 0, 'User-Agent' => 'Googlebot/2.1');
$t->request(HEAD => '/one', [Cookie => 'who=w1']);
is metrics(events(0)), '', 'no event';
is moved(), '', 'not asked where nothing will be tracked';

($answer, @events) = ask('/error', 1);
is $answer->status, 404, 'status=: served';
like $events[0]{properties}{Line}, qr{ /error }, 'status=: asked';

($answer, @events) = ask('/page', 1);
is $answer->body, "right\n", 'error_page: served';
is metrics(@events), 'Right', 'error_page: the event of where it ends';
like $events[0]{properties}{Line}, qr{ /right }, 'which is asked about';
unlike noted(), qr{/wrong}, 'the other is not';

($answer, @events) = ask('/accel', 2);
is metrics(@events), 'Page Wrong',
    'X-Accel-Redirect: the events of where it was first and where it ends';
like noted(), qr{/wrong}, 'X-Accel-Redirect: the first location asks';

moved();


# which word counts

my $who = 'who=w1; ';

($answer, @events) = ask('/merge?file=full1', 2);
is metrics(@events), 'Block Plain', 'merged into each event';

for (@events) {
    is_deeply $_->{profile}, {email => 'app@shop.com', title => 'Dr',
        location => {city => 'Rome'}, properties => {Custom => 1}},
        "$_->{metric}: the profile, and whose event it is";
    is $_->{value}, 12.5, "$_->{metric}: value";
    is $_->{value_currency}, 'EUR', "$_->{metric}: currency";
    is $_->{unique_id}, 'from-app-1', "$_->{metric}: unique_id";
    is $_->{properties}{Level}, 'enriched', "$_->{metric}: an outer level";
}

is $events[0]{properties}{Own}, 'theirs', 'what the block leaves empty';
is $events[0]{properties}{Constant}, 'mine', 'what the block says';
is $events[1]{properties}{Constant}, 'theirs', 'what no block says';

$t->get('/merge?file=full2', Cookie => 'who=w1; email=a@b.com; title=Ms; '
    . 'own=o; value=3; id=i1');
@events = events(2);
is_deeply $events[0]{profile}, {email => 'a@b.com', external_id => 'w1',
    title => 'Ms', location => {city => 'Rome'}, properties => {Custom => 1}},
    'the block says who';
is $events[0]{properties}{Own}, 'o', 'the block: property';
is $events[0]{value}, 3, 'the block: value';
is $events[0]{value_currency}, 'USD', 'the block: currency';
is $events[0]{unique_id}, 'i1', 'the block: unique_id';
is $events[1]{profile}{email}, 'app@shop.com', 'not that of another event';

# events that the application names

$t->get('/merge?file=full3', Cookie => 'who=w1', 'X-Say' => encode_json({
    metric => 'Named', value => 7, profile => {city => 'Bonn'},
    properties => {Own => 'said'}}));
@events = events(3);
is metrics(@events), 'Block Named Plain', 'a named event';
is $events[1]{properties}{Own}, 'said', 'its own word';
is $events[1]{properties}{Constant}, 'theirs', 'else that of the enrichment';
is $events[1]{profile}{location}{city}, 'Bonn', 'in the profile, too';
is $events[1]{profile}{email}, 'app@shop.com', 'whose it is';
is $events[1]{value}, 7, 'its value';
is $events[1]{value_currency}, undef, 'has no other currency';

$t->get('/merge?file=full4', Cookie => 'who=w1', 'X-Say' => encode_json({
    metric => 'Named', profile => {external_id => 'x'}}));
@events = events(3);
is $events[1]{profile}{external_id}, 'x', 'it says who';
is $events[1]{profile}{email}, undef, 'and is nobody else\'s';
is $events[1]{value}, 12.5, 'the value of the enrichment';

# who an anonymous visitor is

moved();
$t->get('/merge?file=known');
@events = events(2);
is_deeply [map { $_->{profile}{external_id} } @events], ['app-1', 'app-1'],
    'an anonymous visitor is known by it';
$t->get('/merge?file=anonymous');
is metrics(events(0)), '', 'or is not';
is moved(), 'merged 1 requested 2 unused 1', 'the other was in no event';

# what nothing was merged of

for my $file ('{}', '{"error":"none"}', '{"metric":"Other"}',
    '{"properties":{"None":null}}', '{"properties":{"Own":"theirs"}}')
{
    $t->file('files/nothing.json', $file);
    ($answer, @events) = ask('/own', 1);
    is $events[0]{properties}{Own}, 'mine', "$file: an event";
    is moved(), 'requested 1 unused 1', "$file: with nothing of it";
}

($answer, @events) = ask('/never', 0);
is moved(), 'requested 1 unused 1', 'no event';

# the id that was told stays

($answer, @events) = ask('/told', 1);
is $events[0]{unique_id}, $answer->header('X-Id'), 'an id that was told';
isnt $events[0]{unique_id}, 'from-app', 'stays';

# left out

my $left = $t->account->{reasons}{left_out};
($answer, @events) = ask('/ask?of=/files/wrong.json', 1);
is $events[0]{metric}, 'One', 'what it may not say: the metric';
is $events[0]{properties}{Good}, 1, 'what it may say';
is $events[0]{value}, undef, 'no value';
is $t->account->{reasons}{left_out}{enrich} - $left->{enrich}, 5,
    'left out, and counted';
is $t->account->{reasons}{left_out}{value} - $left->{value}, 1, 'a value';
moved();


# an answer that ends with its connection

my $bytes = $t->raw("GET /close HTTP/1.0\r\nHost: x\r\n"
    . "Cookie: who=w1\r\nUser-Agent: Firefox\r\n\r\n");
like $bytes, qr/^HTTP.* 200 (?!.*content-length).*stream\n$/si,
    'no length: served';
is metrics(events(1)), 'Close', 'no length: the event goes without';
is moved(), 'not_asked 1', 'no length: not asked';

($answer, @events) = ask('/close', 1);
is $answer->body, "stream\n", 'chunks: served';
like $events[0]{properties}{Line}, qr{ /close }, 'chunks: asked';
is moved(), 'merged 1 requested 1', 'chunks: counted';


# a proxied answer that has neither a length nor a body

for my $case (['/unchanged', 304], ['/no_content', 204]) {
    my ($path, $status) = @$case;

    ($answer, @events) = ask($path, 1);
    is $answer->status, $status, "$status: served";
    is moved(), 'merged 1 requested 1', "$status: asked";
}


# a client that goes away

$client = $t->client;
$client->send("GET /big.html HTTP/1.1\r\nHost: x\r\nCookie: who=w1\r\n\r\n");
$client->reset;
events(0);

for my $path ('/slow/return', '/late/rate.html', '/late/rated.html') {
    $client = $t->client;
    $client->send("GET $path HTTP/1.1\r\nHost: x\r\nCookie: who=w1\r\n\r\n");
    select undef, undef, undef, 0.1;
    $client->reset;
    @events = events(1);
    is scalar @events, 1, "$path: a client goes away, the event goes";
}

for my $path ('/late/rate.html', '/late/rated.html') {
    $t->nghttp('-n', '-t', '200ms', '-H', 'cookie: who=w1', $path);
    is metrics(events(1)), 'Late', "HTTP/2, $path: a client goes away";
}

# and at any moment of it

for my $n (1 .. 30) {
    $client = $t->client;
    $client->send("GET /one HTTP/1.1\r\nHost: x\r\nCookie: who=w1\r\n\r\n");
    select undef, undef, undef, $n / 10000;
    $client->reset;
}

is $t->get('/off', Cookie => 'who=w1')->body, "off\n", 'nginx goes on';
wait_for(5, sub { $t->account->{queued} == 0 });
events(0);

# each request that was made has one outcome

my %all = %{ $t->account->{enrich} };
my $requested = delete $all{requested};
delete $all{not_asked};
is sum(values %all), $requested, 'each request has an outcome';

# a reload while a subrequest waits, and a graceful end

$client = $t->client;
$client->get('/slow/return', Cookie => 'who=w1');
$t->reload;

my $slow;

wait_for(8, sub { $slow = first { $_->{metric} eq 'Slow' } events(0) });
like $slow->{properties}{Line}, qr{^GET /slow\?s=2 }, 'over a reload';

$t->stop;


# njs, and Lua

my %part = (
    'njs' => [['ngx_http_js_module.so'], 'js_import e from %%DIR%%/e.js;',
        'js_content e.%s'],
    'Lua' => [['ndk_http_module.so', 'ngx_http_lua_module.so'], '',
        'content_by_lua_block { %s }'],
);

my %code = (
    'njs' => {map { $_ => $_ } qw(quick parts late again fails sub)},
    'Lua' => {
        quick => 'ngx.say([[{"properties":{"Said":"]] .. ngx.var.arg_a '
            . '.. [["}}]])',
        parts => 'ngx.print("{") ngx.flush(true) ngx.sleep(0.05) '
            . 'ngx.print("}")',
        late  => 'ngx.sleep(2) ngx.say("{}")',
        again => 'ngx.sleep(1) ngx.say("{}") ngx.exit(500)',
        fails => 'error("on purpose")',
        sub   => 'ngx.location.capture("/e/quick") ngx.say("{}")',
    },
);

for my $name (sort keys %part) {
    my ($files, $more, $form) = @{ $part{$name} };

    SKIP: {
        my @files = map { "$modules/$_" } @$files;
        my $load  = join '', map { "load_module $_;\n" } @files;
        my ($none) = grep { !-f } @files;

        skip "$name: there is no $none", 1 if $none;

        my ($code, $output) = config_test(main => $load);

        skip "$name: this nginx does not load it: $output", 1 if $code;

        my $knows = join "\n", map {
            sprintf 'location = /e/%s { internal; %s }', $_,
                sprintf $form . ($name eq 'njs' ? ';' : ''),
                    $code{$name}{$_}
        } sort keys %{ $code{$name} };

        $t = Klaviyo::Test->new(name => $name, main => $load,
            http => "$more klaviyo_profile external_id \$cookie_who;
                     klaviyo_defaults off;",
            allow => [qr/on purpose|subrequest|pending|js|lua/],
            server => $knows . <<'END');

                location / {
                    klaviyo_track "One";
                    klaviyo_enrich /e$uri?a=$arg_a timeout=300ms;
                    return 200 "answer\n";
                }

                location = /off { klaviyo_track off; return 200 "off\n"; }

                location = /rated.html {
                    klaviyo_track "One";
                    klaviyo_enrich /e/again timeout=300ms;
                    limit_rate 2k;
                    alias %%DIR%%/page.html;
                }
END
        $t->file('page.html', "page\n" x 1000);
        $t->file('e.js', <<'END');
function quick(r) {
    r.return(200, JSON.stringify({properties: {Said: r.args.a}}));
}

function parts(r) {
    r.status = 200;
    r.sendHeader();
    r.send('{');
    setTimeout(() => { r.send('}'); r.finish(); }, 50);
}

function late(r) {
    setTimeout(() => r.return(200, '{}'), 2000);
}

function again(r) {
    setTimeout(() => { r.return(200, '{}'); }, 1000);
}

function fails(r) {
    throw new Error('on purpose');
}

function sub(r) {
    r.subrequest('/e/quick').then(() => r.return(200, '{}'))
        .catch(() => r.return(500));
}

export default {quick, parts, late, again, fails, sub};
END
        $t->start;
        ($seen, %before) = (0);

        ($answer, @events) = ask('/quick?a=b', 1);
        is $answer->body, "answer\n", "$name: served";
        is $events[0]{properties}{Said}, 'b', "$name: enriched";

        # nginx refuses a subrequest of it, Lua makes its own way

        for my $case (['parts', 'unused'], ['late', 'timed_out'],
            ['fails', 'failed'],
            ['sub', $name eq 'Lua' ? 'unused' : 'failed'])
        {
            moved();
            $client = $t->client;
            $answer = $client->get("/$case->[0]", Cookie => 'who=w1');
            is $answer->body, "answer\n", "$name, $case->[0]: served";
            $took = took(sub { $answer = $client->get('/off') });
            is $answer->body, "off\n", "$name, $case->[0]: and the next";
            cmp_ok $took, '<', slow(1), "$name, $case->[0]: in time";
            is metrics(events(1)), 'One', "$name, $case->[0]: the event goes";
            is moved(), join(' ', sort "$case->[1] 1", 'requested 1'),
                "$name, $case->[0]: counted";
        }

        # it says something long after its end, while the answer is sent

        $answer = $t->client->get('/rated.html', Cookie => 'who=w1');
        is length $answer->body, 5000, "$name: all of it arrives";
        is metrics(events(1)), 'One', "$name: the event goes";
        is moved(), 'requested 1 timed_out 1', "$name: counted";
        is $t->get('/off')->body, "off\n", "$name: goes on";

        $t->stop;
    }
}

done_testing;

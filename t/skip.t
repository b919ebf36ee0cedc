#!/usr/bin/perl

# klaviyo_skip, klaviyo_bots and klaviyo_consent: what gives no event, why,
# where it is counted and shown, and that visitors are not taken for it.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => q{
        log_format  captured  '$uri $klaviyo_captured';

        klaviyo_profile   external_id  someone;
        klaviyo_defaults  off;
        klaviyo_bots      bots.txt;

        server {
            listen 127.0.0.1:%%PORT_BACKEND%%;
            location / {
                add_header X-Agreed $http_x_agreed;
                return 200 "backend\n";
            }
        }
    },
    server => <<'END');
        access_log %%DIR%%/captured.log captured;
        klaviyo_track "Hit";

        location / {
            return 200 "hello\n";
        }

        location /off {
            klaviyo_skip off;
            return 200 "";

            location /off/gpc {
                klaviyo_skip gpc;
                return 200 "";
            }
        }

        location /one/head { klaviyo_skip head; return 200 ""; }
        location /one/prefetch { klaviyo_skip prefetch; return 200 ""; }
        location /one/subresource { klaviyo_skip subresource; return 200 ""; }
        location /one/bot { klaviyo_skip bot; return 200 ""; }
        location /one/kla_off { klaviyo_skip kla_off; return 200 ""; }
        location /one/gpc { klaviyo_skip gpc; return 200 ""; }
        location /one/dnt { klaviyo_skip dnt; return 200 ""; }

        location /all {
            klaviyo_skip dnt gpc kla_off bot subresource prefetch head;
            return 200 "";
        }

        location /two {
            klaviyo_track "One";
            klaviyo_track "Two" status=404;
            klaviyo_track "Three" if=0;
            return 200 "";
        }

        location /nothing {
            klaviyo_track off;
            return 200 "";
        }

        location /if {
            klaviyo_skip gpc;

            if ($arg_if) {
                klaviyo_track "If";
                return 200 "";
            }
            return 200 "";
        }

        location /consent {
            klaviyo_consent $cookie_consent;
            return 200 "";

            location /consent/inherited {
                klaviyo_track "Inner";
                return 200 "";
            }

            location /consent/off {
                klaviyo_consent off;
                return 200 "";
            }

            location /consent/own {
                klaviyo_consent $arg_a$arg_b;
                return 200 "";
            }

            location /consent/never {
                klaviyo_consent "";
                return 200 "";
            }
        }

        location /upstream {
            klaviyo_consent $upstream_http_x_agreed;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /redirect {
            klaviyo_consent 0;
            try_files /none @named;
        }

        location @named {
            klaviyo_consent off;
            return 200 "";
        }

        location /mirrored {
            klaviyo_track off;
            mirror /mirror;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location = /mirror {
            internal;
            log_subrequest on;
            klaviyo_track "Mirror";
            klaviyo_consent $cookie_consent;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /authorized {
            klaviyo_track off;
            auth_request /auth;
            try_files /none @backend;
        }

        location @backend {
            klaviyo_track off;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location = /auth {
            internal;
            log_subrequest on;
            klaviyo_track "Auth";
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }
END

$t->file('bots.txt', <<'END');
# what we have seen here

    shopwatch/
^our-check$
	!friendly crawler
END

$t->start;

my $client = $t->client;
my $agent  = Klaviyo::Test::Client::AGENT;
my %before = %{ skipped() };

sub skipped { return $t->account('shop')->{reasons}{skipped} }

# one request: what has been captured, or why nothing
sub hit {
    my ($method, $path, @headers) = @_;

    my $response = $client->request($method, $path, \@headers);

    fail "$method $path: " . ($response->error // $response->status)
        if $response->status != 200;

    $path =~ s/\?.*//;

    # the log is written after the answer, and holds the requests in turn

    $client->get('/nothing');
    wait_for(5, sub {
        @{ log_lines() } > 1 && log_lines()->[-1] eq '/nothing -';
    });

    my $result = log_lines()->[-2] =~ s/^\Q$path\E //r;

    truncate $t->dir . '/captured.log', 0;

    return $result;
}

sub log_lines {
    open my $in, '<', $t->dir . '/captured.log' or return [''];
    chomp(my @lines = <$in>);
    return @lines ? \@lines : [''];
}

# how much each reason has grown since the last look
sub counted {
    my $now = skipped();
    my %new = map { $now->{$_} != $before{$_}
                    ? ($_ => $now->{$_} - $before{$_}) : () } keys %$now;

    %before = %$now;

    return \%new;
}


# each word: what it is about, in the default and alone

my @noise = (
    [head        => HEAD => []],
    [prefetch    => GET  => ['Sec-Purpose' => 'prefetch']],
    [prefetch    => GET  => ['Sec-Purpose' => 'prefetch;prerender']],
    [prefetch    => GET  => ['sec-purpose' => 'Prefetch; prerender']],
    [prefetch    => GET  => ['Sec-Purpose' =>
                             'prefetch;anonymous-client-ip']],
    [prefetch    => GET  => ['Purpose' => 'prefetch']],
    [prefetch    => GET  => ['X-Moz' => 'prefetch']],
    [prefetch    => GET  => ['X-Purpose' => 'preview']],
    [subresource => GET  => ['Sec-Fetch-Dest' => 'image']],
    [subresource => GET  => ['Sec-Fetch-Dest' => 'empty']],
    [subresource => POST => ['Sec-Fetch-Dest' => 'image']],
    [prefetch    => GET  => ['Next-Router-Prefetch' => '1']],
    [subresource => GET  => ['Sec-Fetch-Dest' => 'iframe']],
    [subresource => GET  => ['SEC-FETCH-DEST' => 'script']],
    [subresource => GET  => ['Sec-Fetch-Dest' => 'documents']],
    [bot         => GET  => ['User-Agent' => 'sqlmap/1.8']],
    [bot         => GET  => ['User-Agent' => 'Mozilla/5.0 (compatible; '
                             . 'Googlebot/2.1; +http://www.google.com)']],
    [bot         => GET  => ['User-Agent' => "$agent ShopWatch/2"]],
    [bot         => GET  => ['User-Agent' => 'Our-Check']],
    [kla_off     => GET  => ['Cookie' => '__kla_off=true']],
    [kla_off     => GET  => ['Cookie' => 'a=b;__kla_off=true ;c=d']],
    [kla_off     => GET  => ['Cookie' => 'a=b; __kla_off=true']],
    [kla_off     => GET  => ['Cookie' => 'a=b', 'Cookie' =>
                             '__kla_off=true']],
    [gpc         => GET  => ['Sec-GPC' => '1']],
    [dnt         => GET  => ['DNT' => '1']],
);

my %default = map { $_ => 1 } qw(head prefetch subresource bot kla_off);

for my $noise (@noise) {
    my ($reason, $method, $headers) = @$noise;

    my $what = "$reason: $method " . join ' ', @$headers;
    my $in_default = $default{$reason} ? $reason : 1;

    is hit($method, '/', @$headers), $in_default, "$what by default";
    is_deeply counted(), $default{$reason} ? {$reason => 1} : {},
        "$what: counted";
    is hit($method, "/one/$reason", @$headers), $reason, "$what alone";
    is hit($method, '/all', @$headers), $reason, "$what among all";
    is hit($method, '/off', @$headers), 1, "$what with off";

    my $other = $reason eq 'dnt' ? 'gpc' : 'dnt';

    is hit($method, "/one/$other", @$headers), 1, "$what with another word";
    is_deeply counted(), {$reason => 2}, "$what: counted under its name";
}


# what looks like it and is none of it

for my $headers (
    [],
    ['Sec-Fetch-Dest' => 'document'],
    ['Sec-Fetch-Dest' => ''],
    ['Sec-Fetch-Mode' => 'navigate', 'Sec-Fetch-Dest' => 'document'],
    ['Sec-Purpose' => 'prefetched'],
    ['Sec-Purpose' => ''],
    ['Purpose' => 'unprefetch'],
    ['X-Moz' => '1'],
    ['Cookie' => '__kla_off=false'],
    ['Cookie' => '__kla_off=trueish'],
    ['Cookie' => '__kla_off=tru'],
    ['Cookie' => 'a__kla_off=true'],
    ['Cookie' => 'a="; __kla_of=true"; b'],
    ['Cookie' => '__KLA_OFF=true'],
    ['Cookie' => ';;; ;'],
    ['Cookie' => ''],
    ['Set-Cookie' => '__kla_off=true'],
    ['Sec-GPC' => '0'],
    ['Sec-GPC' => ''],
    ['Sec-GPC' => '11'],
    ['DNT' => '0'],
    ['DNT' => 'null'],
    ['X-DNT' => '1'],
    ['User-Agent' => 'our-checks'],
    ['User-Agent' => 'our check-our-check'],
    ['User-Agent' => 'a friendly crawler, a bot'],
    ['User-Agent' => "\xff\xfe\x80"],
    [map { ("X-$_" => '1') } 1 .. 60],
    )
{
    is hit('GET', '/all', @$headers), 1, 'a visitor: ' . join ' ',
        map { s/[^ -~]/?/gr } (@$headers, '', '')[0 .. 1];
}

is_deeply counted(), {}, 'none of them is counted';


# a header behind many others, and several reasons at once

is hit('GET', '/all', (map { ("X-$_" => '1') } 1 .. 60), 'DNT' => '1'), 'dnt',
    'behind sixty headers';
is hit('GET', '/all', 'DNT' => '1', 'Sec-GPC' => '1', 'User-Agent' => 'bot',
    'Sec-Fetch-Dest' => 'empty', 'Purpose' => 'prefetch'), 'prefetch',
    'several reasons: the first of the list';
is_deeply counted(), {dnt => 1, prefetch => 1}, 'counted once';

my $bare = $t->client(agent => undef);

$bare->get('/all');
$bare->close;
is_deeply counted(), {}, 'no User-Agent at all is nobody\'s';


# real browsers

for my $browser (
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, '
        . 'like Gecko) Chrome/131.0.0.0 Safari/537.36',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) '
        . 'AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 '
        . 'Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, '
        . 'like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36',
    )
{
    is hit('GET', '/', 'User-Agent' => $browser, 'Sec-Fetch-Dest' =>
        'document', 'Sec-Fetch-Mode' => 'navigate', 'Sec-Fetch-Site' =>
        'none', 'Sec-Fetch-User' => '?1', 'Upgrade-Insecure-Requests' => '1',
        Cookie => 'a=b; __kla_id=x'), 1, "a browser: $browser";
}


# each track counts, but a wrong status comes first; inheritance; if

is hit('GET', '/two', DNT => '1'), 1, 'two: a visitor';
is_deeply counted(), {status => 1, condition => 1}, 'as without klaviyo_skip';
is hit('GET', '/two', 'User-Agent' => 'x bot'), 'bot', 'two: a bot';
is_deeply counted(), {bot => 2, status => 1}, 'each track that would fire';
is hit('GET', '/off/gpc', 'Sec-GPC' => '1'), 'gpc', 'an inner level';
is hit('GET', '/off/gpc', 'User-Agent' => 'bot'), 1, 'takes nothing over';
is hit('GET', '/if?if=1', 'User-Agent' => 'bot'), 1, 'an if is as its';
is hit('GET', '/if?if=1', 'Sec-GPC' => '1'), 'gpc', 'location';
is hit('GET', '/nothing', 'User-Agent' => 'bot'), '-',
    'nothing is said where nothing is tracked';
is_deeply counted(), {gpc => 2}, 'nor counted';


# what acts in the background is a visitor's

for my $method (qw(POST PUT DELETE)) {
    is hit($method, '/', 'Sec-Fetch-Dest' => 'empty'), 1,
        "$method by fetch(): an event";
}

is hit('HEAD', '/one/subresource', 'Sec-Fetch-Dest' => 'empty'),
    'subresource', 'HEAD by fetch(): none';
counted();


# consent

is hit('GET', '/consent'), 'consent', 'no cookie, no consent';
is hit('GET', '/consent', Cookie => 'consent='), 'consent', 'empty';
is hit('GET', '/consent', Cookie => 'consent=0'), 'consent', '0';
is_deeply counted(), {consent => 3}, 'counted';
is hit('GET', '/consent', Cookie => 'consent=1'), 1, 'it is 1';
is hit('GET', '/consent', Cookie => 'consent=00'), 1, '00';
is hit('GET', '/consent', Cookie => 'consent=fine'), 1, 'any other text';
is hit('GET', '/consent', 'User-Agent' => 'bot'), 'bot', 'a bot is a bot';
is hit('GET', '/consent', Cookie => 'consent=1; __kla_off=true'), 'kla_off',
    'consent is not asked over __kla_off';
is hit('GET', '/consent/inherited'), 'consent', 'inherited';
is hit('GET', '/consent/off'), 1, 'off';
is hit('GET', '/consent/own', Cookie => 'consent=1'), 'consent', 'replaced';
is hit('GET', '/consent/own?a=0'), 'consent', 'two parts';
is hit('GET', '/consent/own?a=0&b=0'), 1, 'make one value';
is hit('GET', '/consent/never'), 'consent', 'constant';
is hit('GET', '/upstream'), 'consent', 'asked when the answer is known';
is hit('GET', '/upstream', 'X-Agreed' => 'yes'), 1, 'which may agree';
is hit('GET', '/redirect'), 'consent', 'the first location of a request decides';
counted();


# subrequests: it is the visitor's request that counts

sub subrequest {
    my ($path, @headers) = @_;

    my $count = $t->account('shop')->{captured};

    $t->get($path, @headers);
    $t->wait_idle;

    return $t->account('shop')->{captured} - $count;
}

is subrequest('/mirrored', Cookie => 'consent=1'), 1, 'mirror: a visitor';
is_deeply counted(), {}, 'nothing skipped';
is subrequest('/mirrored', Cookie => 'consent=1', 'Sec-Fetch-Dest' =>
    'image'), 0, 'mirror: a sub-resource';
is subrequest('/mirrored'), 0, 'mirror: no consent';
is_deeply counted(), {subresource => 1, consent => 1}, 'counted';
is subrequest('/authorized'), 1, 'auth_request: a visitor';
is subrequest('/authorized', 'User-Agent' => 'a bot'), 0,
    'auth_request: a bot';
is_deeply counted(), {bot => 1}, 'counted';

$client->request(HEAD => '/authorized');
$t->wait_idle;
is_deeply counted(), {head => 1}, 'auth_request: GET, but of a HEAD';


# HTTP/2

sub h2 {
    my ($path, @headers) = @_;

    is $t->h2($path, @headers)->status, 200, "HTTP/2: $path @headers";
    $t->wait_idle;

    return counted();
}

my $captured = $t->account('shop')->{captured};

is_deeply h2('/all'), {}, 'a visitor';
is_deeply h2('/all', 'Cookie' => 'a=b; c=d'), {}, 'with cookies';
is $t->account('shop')->{captured} - $captured, 2, 'captured';
is_deeply h2('/', 'User-Agent' => 'sqlmap/1.8'), {bot => 1}, 'a bot';
is_deeply h2('/', 'Sec-Purpose' => 'prefetch;prerender'), {prefetch => 1},
    'a prefetch';
is_deeply h2('/', 'Sec-Fetch-Dest' => 'style'), {subresource => 1},
    'a sub-resource';
is_deeply h2('/', 'Cookie' => 'a=b; __kla_off=true'), {kla_off => 1},
    'a cookie';
is_deeply h2('/all', 'DNT' => '1'), {dnt => 1}, 'DNT';
is $t->account('shop')->{captured} - $captured, 2, 'nothing captured';

$t->nghttp('-n', '-H:method: HEAD', "-Huser-agent: $agent", '/');
is_deeply counted(), {head => 1}, 'HTTP/2: HEAD';

# cookies in pieces, as browsers send them

$t->nghttp('-n', "-Huser-agent: $agent", '-Hcookie: a=b',
    '-Hcookie: __kla_off=true', '-Hcookie: c=d', '/');
is_deeply counted(), {kla_off => 1}, 'HTTP/2: a cookie of several';


# another list after a reload; the workers of the old one keep theirs

$t->file('bots.txt', "!sqlmap\n!our-check\r\n\n#x\nvisitor");
$t->reload(gone => 5);
$client->close;

is hit('GET', '/', 'User-Agent' => 'sqlmap/1.8'), 1, 'the built-in list, '
    . 'overridden';
is hit('GET', '/', 'User-Agent' => 'our-check'), 1, 'a pattern is gone';
is hit('GET', '/', 'User-Agent' => 'nikto/1'), 'bot', 'the rest is there';
is hit('GET', '/', 'User-Agent' => 'the Visitor'), 'bot',
    'a last line without an end';
$t->stop;


# an empty list is a list

$t = Klaviyo::Test->new(http => 'klaviyo_bots %%DIR%%/none; klaviyo_profile '
    . 'external_id x; klaviyo_track X;');
$t->file('none', '');
$t->start;
%before = %{ skipped() };
$t->get('/', 'User-Agent' => 'nikto/1');
$t->get('/');
$t->wait_events(1);
is_deeply counted(), {bot => 1}, 'an empty file';
$t->stop;


# at http, for all servers

$t = Klaviyo::Test->new(http => 'klaviyo_skip off; klaviyo_consent '
    . '$arg_ok; klaviyo_profile external_id x; klaviyo_track X;');
$t->start;
%before = %{ skipped() };
$t->get('/?ok=1', 'User-Agent' => 'nikto/1');
$t->get('/', 'User-Agent' => 'nikto/1');
$t->wait_events(1);
is_deeply counted(), {consent => 1}, 'both at http';
$t->stop;


# judged when the request ends, whoever asked for it before

$t = Klaviyo::Test->new(http => q{
    map $bytes_sent $later  { 0 0; default 1; }
    map $bytes_sent $before { 0 1; default 0; }
    klaviyo_kx_cookie kx;
    klaviyo_track X;
}, server => q{
    location = /later  { klaviyo_consent $later;  return 200; }
    location = /before { klaviyo_consent $before; return 200; }
});
$t->start;
%before = %{ skipped() };
is $t->get('/later?_kx=visitor.ABC123')->header('Set-Cookie'), undef,
    'no consent yet: no cookie';
$t->wait_events(1);
is_deeply counted(), {}, 'but at the end of the request there is one';
like $t->get('/before?_kx=visitor.ABC123')->header('Set-Cookie'), qr/^kx=/,
    'consent at first: a cookie';
ok wait_for(5, sub { (counted()->{consent} // 0) == 1 }),
    'but at the end there is none';
$t->stop;


# what is refused

sub refused {
    my ($what, $expected, %option) = @_;

    my ($code, $output) = config_test(%option);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
    like $output, qr/nginx\.conf:[1-9]/, "$what: says where";
}

my $known = qr/it must be of (?:"\w+", )*"head", "prefetch", (?:"\w+", )*or/;

refused 'an unknown word', qr/invalid parameter "robots": $known/,
    http => 'klaviyo_skip bot robots;';

for my $word (qw(head prefetch subresource bot kla_off gpc dnt)) {
    refused "a word that is none, without $word", qr/: it must be .*"$word",/,
        http => 'klaviyo_skip -;';
}

refused 'a word in capitals', qr/invalid parameter "BOT": $known/,
    http => 'klaviyo_skip BOT;';
refused 'half a word', qr/invalid parameter "kla": $known/,
    http => 'klaviyo_skip kla;';
refused 'an empty word', qr/invalid parameter "": $known/,
    http => 'klaviyo_skip "";';
refused 'off and a word', qr/invalid parameter "bot": "off" stands alone/,
    http => 'klaviyo_skip off bot;';
refused 'a word and off', qr/invalid parameter "off": $known/,
    http => 'klaviyo_skip bot off;';
refused 'a word twice', qr/duplicate parameter "bot"/,
    http => 'klaviyo_skip bot gpc bot;';
refused 'klaviyo_skip twice', qr/"klaviyo_skip" directive is duplicate/,
    http => 'klaviyo_skip off; klaviyo_skip off;';
refused 'no word', qr/invalid number of arguments in "klaviyo_skip"/,
    http => 'klaviyo_skip;';
refused 'klaviyo_skip in an account', qr/unknown.*"klaviyo_skip"/,
    account => 'klaviyo_skip off;';
refused 'klaviyo_consent twice', qr/"klaviyo_consent" directive is duplicate/,
    http => 'klaviyo_consent off; klaviyo_consent 1;';
refused 'klaviyo_consent on', qr/"klaviyo_consent on" would be a yes of every/,
    http => 'klaviyo_consent on;';

for my $consent (qw(yes 1 cookie_marketing 0 no denied off $arg_yes)) {
    my ($code, $said) = config_test(http => "klaviyo_consent $consent;");

    is $code, 0, "klaviyo_consent $consent";
    is !!($said =~ /"klaviyo_consent \w+" has no variable and is a yes/),
        !!($consent =~ /yes$|^1|^cookie/ && $consent !~ /\$/),
        'told where it asks nobody';
}

refused 'no consent', qr/invalid number of arguments in "klaviyo_consent"/,
    http => 'klaviyo_consent;';
refused 'a variable without a name', qr/invalid variable name/,
    http => 'klaviyo_consent $;';
refused 'klaviyo_bots twice', qr/"klaviyo_bots" directive is duplicate/,
    http => 'klaviyo_bots %%KEY_FILE%%; klaviyo_bots %%KEY_FILE%%;';
refused 'klaviyo_skip in an if', qr/"klaviyo_skip" .* not allowed here/,
    server => 'location / { if ($arg_x) { klaviyo_skip off; } }';
refused 'klaviyo_bots in a server', qr/"klaviyo_bots" .* not allowed here/,
    server => 'klaviyo_bots x;';
refused 'no such file', qr/open\(\) ".*nowhere" failed \(2:/,
    http => 'klaviyo_bots nowhere;';
refused 'a folder', qr/".*" is no file/, http => 'klaviyo_bots %%DIR%%;';
refused 'a device', qr/"\/dev\/zero" is no file/,
    http => 'klaviyo_bots /dev/zero;';

# a file of patterns -> what is wrong with it
sub refused_file {
    my ($what, $text, $expected) = @_;

    my $bad = Klaviyo::Test->new(sandbox => 0, http => 'klaviyo_bots bots;');

    $bad->file('bots', $text);

    my ($code, $output) = $bad->check;

    $bad->_end;

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
    like $output, qr/nginx\.conf:[1-9]/, "$what: says where";
}

refused_file 'a short pattern', "# x\n\n good\nab\n",
    qr/invalid pattern in \S+\/bots:4, at least 3 characters are needed: "ab"/;
refused_file 'an exception of nothing', "!\n",
    qr/invalid pattern in \S+\/bots:1, at least 3 characters are needed: "!"/;
refused_file 'bytes', "good\nb\xc3\xa4\xc3\xb6d\n",
    qr/invalid pattern in \S+\/bots:2, only printable ASCII is allowed/;
refused_file 'a NUL', "go\0od\n", qr/bots:1, only printable ASCII/;
refused_file 'a long pattern', "\n" . 'x' x 129,
    qr/bots:2, at most 128 characters are allowed: "x{80}"/;
refused_file 'a large file', "# comment\n" x 7_000,
    qr/"\S+\/bots" is larger than 65536 bytes/;
refused_file 'many patterns', join('', map { sprintf "%0100d\n", $_ }
    1 .. 160), qr/too many patterns in "\S+\/bots": .* have 16383 char/;

done_testing;

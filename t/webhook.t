#!/usr/bin/perl

# klaviyo_webhook: what Klaviyo signed reaches the application as it came, and
# nothing else does.

use lib 't/lib';
use Klaviyo::Test;

use Digest::SHA qw(hmac_sha256_hex);
use IO::Compress::Gzip qw(gzip);
use Mojo::JSON  qw(encode_json);
use POSIX       qw(setlocale LC_TIME);

setlocale(LC_TIME, 'C');

use constant {
    SECRET  => 'whsec_0123456789abcdef',
    SECOND  => 'another secret, with blanks',
    THIRD   => 'third',
    SHORT   => 60,
    LARGEST => 1024 * 1024,
};

my $t = Klaviyo::Test->new(
    http => q{
        client_body_buffer_size 8k;
        client_max_body_size 3m;
        log_format hook '$uri $status <$klaviyo_webhook_id> '
            '<$klaviyo_webhook_topic>';

        klaviyo_profile external_id hooks;
        klaviyo_defaults off;
        klaviyo_skip off;

        upstream app { server 127.0.0.1:%%PORT_APP%%; }

        log_format app escape=none '$request_method $uri '
            '$http_x_id $http_x_topic';
        server {
            listen 127.0.0.1:%%PORT_APP%%;
            access_log %%DIR%%/app.log app;

            # the body, back in the answer: as whoever reads the file sees it

            location / {
                client_body_in_file_only on;
                client_body_temp_path %%DIR%%/bodies;
                proxy_pass http://127.0.0.1:%%PORT_SINK%%;
                proxy_set_body "";
                add_header X-File $request_body_file;
                add_header X-Length $http_content_length;
            }

            location = /accel {
                add_header X-Accel-Redirect /inner/second;
                return 200;
            }
        }

        server {
            listen 127.0.0.1:%%PORT_SINK%%;
            access_log off;
            return 200 "app\n";
        }
    },
    server => <<'END');
        access_log %%DIR%%/access.log hook;

        proxy_set_header X-Id $klaviyo_webhook_id;
        proxy_set_header X-Topic $klaviyo_webhook_topic;

        location = /hook {
            klaviyo_webhook secret_file=first.key;
            klaviyo_event "Called" {
                property Id $klaviyo_webhook_id;
                property Topic $klaviyo_webhook_topic;
            }
            proxy_pass http://app;
        }

        location = /file {
            klaviyo_webhook secret_file=first.key;
            client_body_in_file_only clean;
            proxy_pass http://app;
        }

        location = /single {
            klaviyo_webhook secret_file=first.key;
            client_body_in_single_buffer on;
            client_body_buffer_size 2m;
            proxy_pass http://app;
        }

        location = /unbuffered {
            klaviyo_webhook secret_file=first.key;
            proxy_request_buffering off;
            proxy_http_version 1.1;
            proxy_pass http://app;
        }

        location = /rotation {
            klaviyo_webhook secret_file=second.key secret_file=third.key
                secret_file=first.key;
            proxy_pass http://app;
        }

        location = /short {
            klaviyo_webhook secret_file=first.key tolerance=60s;
            proxy_pass http://app;
        }

        location = /read {
            klaviyo_webhook secret_file=first.key;
            klaviyo_request_body on;
            proxy_pass http://app;
        }

        location = /any {
            klaviyo_webhook secret_file=first.key;
            satisfy any;
            deny all;
            proxy_pass http://app;
        }

        location = /any_allowed {
            klaviyo_webhook secret_file=first.key;
            satisfy any;
            allow 127.0.0.1;
            deny all;
            proxy_pass http://app;
        }

        location = /denied {
            klaviyo_webhook secret_file=first.key;
            deny all;
            proxy_pass http://app;
        }

        location = /post {
            klaviyo_webhook secret_file=first.key;
            limit_except POST { deny all; }
            proxy_pass http://app;
        }

        location = /put {
            klaviyo_webhook secret_file=first.key;
            limit_except POST { allow all; }
            proxy_pass http://app;
        }

        location = /static {
            klaviyo_webhook secret_file=first.key;
            alias %%DIR%%/file.txt;
            error_page 405 =200 @static;
        }

        location @static {
            return 200 "static\n";
        }

        location = /if {
            klaviyo_webhook secret_file=first.key;
            if ($arg_a) {
                add_header X-A $arg_a;
            }
            proxy_pass http://app;
        }

        location = /return {
            klaviyo_webhook secret_file=first.key;
            return 200 "too early\n";
        }

        # a level below has it too, unless it says off

        location /outer/ {
            klaviyo_webhook secret_file=first.key;
            proxy_pass http://app;

            location /outer/inner/ {
                proxy_pass http://app;
            }

            location /outer/off/ {
                klaviyo_webhook off;
                proxy_pass http://app;
            }
        }

        # internal redirects

        location /error/ {
            klaviyo_webhook secret_file=first.key;
            error_page 401 /error/page;
            proxy_pass http://app;
        }

        location /other/ {
            klaviyo_webhook secret_file=first.key;
            error_page 401 = /inner/second;
            proxy_pass http://app;
        }

        location = /inner/second {
            internal;
            klaviyo_webhook secret_file=second.key;
            proxy_pass http://app/second;
        }

        location = /page {
            klaviyo_webhook secret_file=first.key;
            error_page 401 =403 /refused.html;
            proxy_pass http://app;
        }

        location = /refused.html {
            alias %%DIR%%/refused.html;
        }

        location = /accel {
            klaviyo_webhook secret_file=first.key;
            proxy_pass http://app;
        }

        location /rewritten {
            rewrite ^ /hook last;
        }

        location = /large {
            klaviyo_webhook secret_file=first.key;
            client_max_body_size 0;
            proxy_pass http://app;
        }

        location = /small {
            klaviyo_webhook secret_file=first.key;
            client_max_body_size 100;
            proxy_pass http://app;
        }

        # subrequests

        location = /auth {
            auth_request /hook;
            proxy_pass http://app;
        }

        location = /ssi {
            ssi on;
            ssi_types *;
            alias %%DIR%%/ssi.txt;
        }

        location = /mirrored {
            klaviyo_webhook secret_file=first.key;
            mirror /copy;
            proxy_pass http://app;
        }

        location = /copy {
            internal;
            log_subrequest on;
            klaviyo_event "Copied" {
                property Topic $klaviyo_webhook_topic;
            }
            proxy_pass http://app;
        }

        location /nested/ {
            klaviyo_webhook secret_file=first.key;
            mirror /nested/copy;
            proxy_pass http://app;

            location = /nested/copy {
                mirror off;
                proxy_pass http://app;
            }
        }

        location = /elsewhere {
            proxy_pass http://app;
        }
END

$t->file('first.key', SECRET . "\n", 0600);
$t->file('second.key', SECOND . "\r\n", 0600);
$t->file('third.key', THIRD, 0600);
$t->file('file.txt', "static\n");
$t->file('refused.html', "refused\n");
$t->file('ssi.txt', qq{<!--# include virtual="/hook" -->end\n});
$t->start;

my $seen_app = 0;
my %count;

sub text {
    my ($name) = @_;

    open my $in, '<:raw', $t->dir . "/$name" or return '';
    local $/;

    return scalar(<$in>) // '';
}

sub date {
    my ($time) = @_;

    return POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime $time);
}

sub body {
    my (%option) = @_;

    my $topics = $option{topics} // ['event:klaviyo.sent_sms'];

    return encode_json({
        data => [map { {external_id => '1', topic => $_,
            payload => {data => 'x' x ($option{size} // 10)}} } @$topics],
        meta => {klaviyo_account_id => 'ABC123', timestamp => '2026',
            klaviyo_webhook_id => $option{id} // '01HOOK', version => '1'},
    });
}

# the headers of a call as Klaviyo makes it
sub signed {
    my ($body, %option) = @_;

    my $time = $option{timestamp} // date(time);
    my $sign = hmac_sha256_hex($body . ($option{signed_time} // $time),
        $option{secret} // SECRET);

    my @headers = (
        'Klaviyo-Webhook-Id' => $option{id} // '01HOOK',
        'Klaviyo-Timestamp'  => $time,
        'Klaviyo-Signature'  => $option{signature} // $sign,
    );

    return @headers;
}

# what the application has seen since the last time
sub app {
    my $text = '';

    wait_for(2, sub { length($text = text('app.log')) > $seen_app })
        if $_[0];

    $text = text('app.log');
    my $new = substr $text, $seen_app;
    $seen_app = length $text;

    return $new;
}

sub webhook { return $t->account->{webhook} }

sub counted {
    my ($reason, $what) = @_;

    my $now = webhook();
    my %new;

    for my $name (keys %$now) {
        my $n = $now->{$name} - ($count{$name} // 0);
        $new{$name} = $n if $n;
    }

    %count = %$now;

    return is_deeply \%new, $reason ? {$reason => 1} : {}, "$what: counted";
}

sub call {
    my ($path, $body, $headers, %option) = @_;

    return $t->request($option{method} // 'POST', $path, $headers, $body);
}

# the application gets the call, whole, with the variables

sub passes {
    my ($what, $path, $body, $headers, %option) = @_;

    my $answer = $option{answer} // call($path, $body, $headers, %option);

    is $answer->status, 200, "$what: passes";

    my $file = $answer->header('x-file') // '';
    my $got  = '';

    if (open my $in, '<:raw', $file) {
        local $/;
        $got = <$in>;
        close $in;
        unlink $file;
    }

    ok $got eq ($option{body} // $body), "$what: the body is whole";
    counted('accepted', $what);

    my $method = $option{method} // 'POST';
    my $topic  = $option{topic} // 'event:klaviyo.sent_sms';
    my $id     = $option{id} // '01HOOK';

    like app(1), qr/^$method \S+ \Q$id\E \Q$topic\E$/m, "$what: variables";

    return $answer;
}

# nobody hears of it

sub refused {
    my ($what, $reason, $path, $body, $headers, %option) = @_;

    my $answer = $option{answer} // call($path, $body, $headers, %option);

    is $answer->status, $option{status} // 401, "$what: refused";
    is app(), '', "$what: the application has seen nothing";
    counted($reason, $what);

    return $answer;
}


# every kind of body

my $body = body();

passes 'in memory', '/hook', $body, [signed($body)];

is_deeply [map { $_->{properties} } @{ $t->wait_events(1) }],
    [{Id => '01HOOK', Topic => 'event:klaviyo.sent_sms'}],
    'an event with the variables';

passes 'in a file', '/file', $body, [signed($body)];
passes 'read before', '/read', $body, [signed($body)];
passes 'unbuffered', '/unbuffered', $body, [signed($body)];

# what is signed is what came

gzip(\$body => \my $gzip);
passes 'gzip', '/hook', $gzip, [signed($gzip), 'Content-Encoding' => 'gzip'];
refused 'gzip, what is in it is signed', 'bad_signature', '/hook', $gzip,
    [signed($body), 'Content-Encoding' => 'gzip'];

gzip(\('[' x 2_000_000) => \my $bomb);
refused 'gzip, too much', 'bad_body', '/hook', $bomb,
    [signed($bomb), 'Content-Encoding' => 'gzip'];

my $cut = substr $gzip, 0, -9;
refused 'gzip, damaged', 'bad_body', '/hook', $cut,
    [signed($cut), 'Content-Encoding' => 'gzip'];

passes 'satisfy any', '/any', $body, [signed($body)];
passes 'limit_except', '/post', $body, [signed($body)];
passes 'an if', '/if?a=1', $body, [signed($body)];
passes 'a level below', '/outer/inner/x', $body, [signed($body)];
passes 'rewritten', '/rewritten', $body, [signed($body)];
passes 'PUT', '/put', $body, [signed($body)], method => 'PUT';

for my $size (4_000, 8_100, 8_200, 100_000, LARGEST - 400) {
    my $large = body(size => $size);
    my @large = signed($large);

    passes "$size bytes", $_, $large, \@large for qw(/hook /file);
    passes "$size bytes, one buffer", '/single', $large, \@large;
    passes "$size bytes, unbuffered", '/unbuffered', $large, \@large;

    my @chunks = unpack '(a5000)*', $large;
    my $coded  = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
        @chunks, '';

    my $client = $t->client;

    $client->send("POST /hook HTTP/1.1\r\nHost: x\r\n"
        . "Transfer-Encoding: chunked\r\n"
        . join('', map { "$large[2 * $_]: $large[2 * $_ + 1]\r\n" } 0 .. 2)
        . "\r\n$coded");
    passes "$size bytes in chunks", '/hook', $large, \@large,
        answer => $client->response;
    $client->close;

    my $file = $t->file("body.$size", $large);
    my @curl = map { ('-H', "$large[2 * $_]: $large[2 * $_ + 1]") } 0 .. 2;
    my $head = $t->dir . '/head';

    for my $length ([], ['-H', 'Content-Length:']) {
        system('curl', '-s', '-o', '/dev/null', '-D', $head, '--noproxy', '*',
            '--max-time', 10, '--http2-prior-knowledge', @curl, @$length,
            '--data-binary', "\@$file", '-H', 'Expect:',
            'http://127.0.0.1:' . $t->port('H2') . '/hook');

        my $text     = text('head');
        my ($status) = $text =~ m{^HTTP/2 (\d+)};
        my ($stored) = $text =~ /^x-file: (\S+)/mi;

        passes "$size bytes, HTTP/2", '/hook', $large, \@large,
            answer => bless {status => $status // 0,
                headers => {'x-file' => $stored}}, 'Klaviyo::Test::Response';
    }
}

refused 'a byte too many', 'bad_signature', '/single', "$body ",
    [signed($body)];

{
    my $large = body(size => LARGEST);
    my @large = signed($large);

    refused 'over 1 MB', 'too_large', $_, $large, \@large, status => 413
        for qw(/hook /single /large);

    my $client = $t->client;

    $client->send("POST /hook HTTP/1.1\r\nHost: x\r\n"
        . "Transfer-Encoding: chunked\r\n"
        . join('', map { "$large[2 * $_]: $large[2 * $_ + 1]\r\n" } 0 .. 2)
        . sprintf("\r\n%x\r\n%s\r\n0\r\n\r\n", length $large, $large));
    refused 'over 1 MB in a chunk', 'too_large', '/hook', $large, \@large, status => 413,
        answer => $client->response;
    $client->close;

    # of which nginx tells no handler but in the end

    my $small = sub {
        my ($what, $answer) = @_;

        wait_for(10, sub { (webhook()->{too_large} // 0) > $count{too_large} });
        refused "over client_max_body_size, $what", 'too_large', '/small',
            $body, [], status => 413, answer => $answer;
    };

    $small->('as its head says', call('/small', $body, [signed($body)]));

    my @headers = signed($body);

    $client = $t->client;
    $client->send("POST /small HTTP/1.1\r\nHost: x\r\n"
        . "Transfer-Encoding: chunked\r\n"
        . join('', map { "$headers[2 * $_]: $headers[2 * $_ + 1]\r\n" } 0 .. 2)
        . sprintf("\r\n%x\r\n%s\r\n0\r\n\r\n", length $body, $body));
    my $answer = $client->response;
    $client->close;

    $small->('in a chunk', $answer);

    refused 'over client_max_body_size, unsigned', 'too_large', '/small',
        $body, [], status => 413,
        answer => do {
            my $got = call('/small', $body, []);
            wait_for(10, sub { webhook()->{too_large} > $count{too_large} });
            $got;
        };
}


# rotation

for my $secret (SECRET, SECOND, THIRD) {
    passes "rotation: $secret", '/rotation', $body,
        [signed($body, secret => $secret)];
}

refused 'another secret', 'bad_signature', $_, $body,
    [signed($body, secret => 'x')] for qw(/hook /rotation);
refused 'a secret of another location', 'bad_signature', '/hook', $body,
    [signed($body, secret => SECOND)];


# headers

for my $n (0 .. 2) {
    my @headers = signed($body);
    my ($name, $value) = splice @headers, 2 * $n, 2;

    refused "no $name", 'bad_headers', '/hook', $body, \@headers;
    refused "an empty $name", 'bad_headers', '/hook', $body,
        [@headers, $name => ''] if $n == 0;
    refused "$name twice", 'bad_headers', '/hook', $body,
        [@headers, $name => $value, $name => $value];
    refused "$name twice, one empty", 'bad_headers', '/hook', $body,
        [@headers, $name => $value, lc $name => ''];
    refused "$name with underscores", 'bad_headers', '/hook', $body,
        [@headers, $name =~ tr/-/_/r => $value];
}

for my $id ('a b', 'x' x 129, "a\"b", "a,b", "\xc3\xa4") {
    my $text = body(id => $id);
    refused 'an id that is none', 'bad_headers', '/hook', $text,
        [signed($text, id => $id)];
}

{
    my $id   = join '', 'aZ09_-.:/', 'x' x 119;
    my $text = body(id => $id);
    passes 'a long id', '/hook', $text, [signed($text, id => $id)], id => $id;
}

refused 'an empty POST', 'bad_headers', '/hook', '', [];
refused 'GET', 'bad_headers', '/hook', undef, [], method => 'GET';
refused 'HEAD', 'bad_headers', '/hook', undef, [], method => 'HEAD';
refused 'GET, signed without a body', 'bad_body', '/hook', undef,
    [signed('')], method => 'GET';


# time

passes 'almost too late', '/hook', $body,
    [signed($body, timestamp => date(time - 297))];
passes 'almost too early', '/hook', $body,
    [signed($body, timestamp => date(time + 299))];
refused 'too late', 'bad_timestamp', '/hook', $body,
    [signed($body, timestamp => date(time - 302))];
refused 'too early', 'bad_timestamp', '/hook', $body,
    [signed($body, timestamp => date(time + 304))];
refused 'too late for 60 s', 'bad_timestamp', '/short', $body,
    [signed($body, timestamp => date(time - SHORT - 2))];
passes 'in time for 60 s', '/short', $body,
    [signed($body, timestamp => date(time - SHORT + 3))];

refused "a time: $_", 'bad_timestamp', '/hook', $body,
    [signed($body, timestamp => $_)]
    for time, 'now', '-1', 'Thu, 01 Jan 1970 00:00:00 GMT',
        'Sun, 31 Dec 9999 23:59:59 GMT', POSIX::strftime('%FT%TZ', gmtime),
        'Sun, 99 Foo 2026 99:99:99 GMT', ',' x 100, 'x' x 3000;

refused 'the time is signed', 'bad_signature', '/hook', $body,
    [signed($body, signed_time => date(time - 60))];


# signatures

{
    my %headers = signed($body);
    my $right   = $headers{'Klaviyo-Signature'};

    for my $wrong (uc $right, substr($right, 1), "${right}0", " x$right",
        'sha256=' . $right, '0' x 64, substr($right, 0, 63) . 'g',
        join('', reverse split //, $right),
        hmac_sha256_hex($headers{'Klaviyo-Timestamp'} . $body, SECRET),
        hmac_sha256_hex($body, SECRET),
        hmac_sha256_hex("$body$headers{'Klaviyo-Timestamp'}", ''))
    {
        refused 'a signature', 'bad_signature', '/hook', $body,
            {%headers, 'Klaviyo-Signature' => $wrong};
    }

    my $client = $t->client;
    my ($passed, $other) = (0, 0);

    srand 7;

    for my $n (1 .. 10_000) {
        my $wrong = $right;

        for (0 .. int rand 3) {
            substr $wrong, rand 64, 1, substr '0123456789abcdef', rand 16, 1;
        }

        redo if $wrong eq $right;

        my $answer = $client->request(POST => $n % 2 ? '/hook' : '/rotation',
            {%headers, 'Klaviyo-Signature' => $wrong}, $body);

        $passed++ if $answer->status == 200;
        $other++  if $answer->status != 401;

        $client->close if $n % 900 == 0;
    }

    $client->close;

    is $passed, 0, 'of 10,000 mutated signatures none passes';
    is $other, 0, 'each is answered 401';
    is app(), '', 'the application has seen none of them';
    is webhook()->{bad_signature} - $count{bad_signature}, 10_000,
        'all are counted';
    %count = %{ webhook() };

    passes 'the right one', '/hook', $body, [%headers];
}


# bodies that are signed, but no webhook's

refused 'another id', 'other_id', '/hook', $body, [signed($body, id => '02')];
refused 'the beginning of the id', 'other_id', '/hook', $body,
    [signed($body, id => '01HOO')];
refused 'more than the id', 'other_id', '/hook', $body,
    [signed($body, id => '01HOOK1')];

for my $bad ('', ' ', '{', '[]', '"x"', '{}', '{"meta":{}}', 'null',
    '{"data":[],"meta":null}', '{"data":[],"meta":["klaviyo_webhook_id"]}',
    '{"data":[],"meta":{"klaviyo_webhook_id":1}}',
    '{"data":{},"meta":{"klaviyo_webhook_id":"01HOOK"}}',
    '{"meta":{"klaviyo_webhook_id":"01HOOK"}}',
    '{"data":[],"meta":{"klaviyo_webhook_id":"01HOOK"},'
        . '"meta":{"klaviyo_webhook":"01HOOK"}}',
    '{"data":[],"meta":{"klaviyo_webhook_id":"01HOOK"}}x',
    '{"data":[],"meta":{"klaviyo_webhook_id":"01HOOK"}}' . "\0",
    "{\"data\":[\xff],\"meta\":{\"klaviyo_webhook_id\":\"01HOOK\"}}",
    '[' x 100_000, '{"a":' x 100_000, '[' . '1,' x 300_000 . '1]',
    '"' . '\\' x 10_001, ('{"data":' . '[' x 1024 . ']' x 1024
        . ',"meta":{"klaviyo_webhook_id":"01HOOK"}}'))
{
    refused 'signed: ' . substr($bad, 0, 40), 'bad_body', '/hook', $bad,
        [signed($bad)];
}

passes 'escapes in the id', '/hook', $_, [signed($_)]
    for $body =~ s/"01HOOK"/"01H\\u004fOK"/r;


# topics

for my $case (
    [['a', 'b', 'a', 'c'], 'a,b,c', 'different ones, in their order'],
    [[], '', 'none'],
    [["a\r\nX-Evil: 1", "a b", 'a,b', '"', "\x{e4}", 'good'], 'good',
        'what is no topic'],
    [['x' x 129, 'x' x 128], 'x' x 128, 'long ones'],
    [[map { "t$_" } 1 .. 20], join(',', map { "t$_" } 1 .. 8), 'eight'],
    [['ab', 'a', 'b', 'abc', 'a'], 'ab,a,b,abc', 'parts of others'])
{
    my ($topics, $expected, $what) = @$case;
    my $text = body(topics => $topics);

    passes "topics: $what", '/hook', $text, [signed($text)],
        topic => $expected;
}

{
    my $text = '{"data":[1,"x",null,[],{},{"topic":1},{"topic":"\u0061"}],'
        . '"meta":{"klaviyo_webhook_id":"01HOOK"}}';

    passes 'topics: items of all kinds', '/hook', $text, [signed($text)],
        topic => 'a';
}


# with others who say no or yes

refused 'satisfy any', 'bad_signature', '/any', "$body ", [signed($body)];
refused 'denied, and not read', undef, '/denied', $body, [signed($body)],
    status => 403;
refused 'limit_except', undef, '/post', $body, [signed($body)],
    method => 'PUT', status => 403;
refused 'limit_except that allows', 'bad_signature', '/put', "$body ",
    [signed($body)], method => 'PUT';
refused 'an if', 'bad_signature', '/if?a=1', "$body ", [signed($body)];

is call('/any_allowed', 'x', [])->status, 200, 'satisfy any: an address';
like app(1), qr/^POST/, 'is let through without a signature';
counted(undef, 'satisfy any');

is call('/static', $body, [signed($body)])->status, 200, 'a file';
counted('accepted', 'a file');
refused 'a file', 'bad_signature', '/static', "$body ", [signed($body)];

is call('/return', 'x', [])->body, "too early\n",
    '`return` comes before every check of access';
counted(undef, '`return`');


# levels

refused 'the level itself', 'bad_headers', '/outer/x', $body, [];
refused 'a level below', 'bad_headers', '/outer/inner/x', $body, [];
is call('/outer/off/x', $body, [])->status, 200, 'off';
like app(1), qr/^POST/, 'passes';
counted(undef, 'off');


# internal redirects: verified once

refused 'error_page with the same', 'bad_signature', '/error/x', "$body ",
    [signed($body)];
refused 'error_page with the same, no headers', 'bad_headers', '/error/x',
    $body, [];

is call('/other/x', $body, [signed($body, secret => SECOND)])->status, 200,
    'error_page with another one that is right';
app(1);
%count = %{ webhook() };

is call('/other/x', $body, [signed($body, secret => THIRD)])->status, 401,
    'error_page with another one that is wrong too';
is webhook()->{bad_signature} - $count{bad_signature}, 2,
    'each location once';
is app(), '', 'nothing seen';
%count = %{ webhook() };

my $page = refused 'a page', 'bad_headers', '/page', $body, [], status => 403;
is $page->body, "refused\n", 'of its own';

is call('/accel', $body, [signed($body)])->status, 401,
    'X-Accel-Redirect to another one';
like app(1), qr{^POST /accel }, 'only the first was asked';
%count = %{ webhook() };

passes 'error_page, not needed', '/error/x', $body, [signed($body)];


# subrequests

is call('/auth', $body, [signed($body)])->status, 401, 'auth_request';
is app(), '', 'the application has seen nothing';
counted('subrequest', 'auth_request');

my $ssi = call('/ssi', undef, [signed('')], method => 'GET')->body;
like $ssi, qr/401 Authorization Required.*end/s, 'SSI';
is app(), '', 'the application has seen nothing';
counted('subrequest', 'SSI');

call('/mirrored', $body, [signed($body)]);
wait_for(3, sub { text('app.log') =~ m{/copy} });
like app(), qr{^POST /copy 01HOOK event:klaviyo.sent_sms$}m,
    'mirror: the variables of the parent';
counted('accepted', 'mirror');

call('/nested/x', $body, [signed($body)]);
wait_for(3, sub { text('app.log') =~ m{/nested/copy} });
like app(), qr{^POST /nested/copy 01HOOK }m, 'mirror within the level';
counted('accepted', 'mirror within the level');
refused 'mirror, not signed', 'bad_headers', '/nested/x', $body, [];


# the variables elsewhere

call('/elsewhere', $body, [signed($body)]);
like app(1), qr{^POST /elsewhere  $}m, 'empty where nothing is verified';

my $access = text('access.log');

like $access, qr{^/hook 401 <-> <->$}m, 'empty when refused';
like $access, qr{^/hook 200 <01HOOK> <event:klaviyo\.sent_sms>$}m, 'logged';


# what the log says

my $log = $t->log;

like $log, qr/\[info\].*klaviyo webhook refused: $_\b/, "the log: $_"
    for qw(bad_headers bad_timestamp bad_signature other_id bad_body too_large
           subrequest);
unlike $log, qr/\[(?:notice|warn|error)\].*webhook/, 'at info';
unlike $log . text('access.log'), qr/\Q${\SECRET}\E|\Q${\SECOND}\E/,
    'without a secret';


# reload: another secret

$t->file('first.key', "new\n", 0600);
$t->reload(gone => 5);

refused 'the old secret', 'bad_signature', '/hook', $body, [signed($body)];
passes 'the new secret', '/hook', $body, [signed($body, secret => 'new')];

$t->stop;


# configuration

sub conf {
    my ($arguments, %option) = @_;

    my $c = Klaviyo::Test->new(sandbox => 0, server =>
        "location /hook { klaviyo_webhook $arguments; }", %option);

    $c->file('good.key', "secret\n", 0600);
    $c->file('open.key', "secret\n", 0644);
    $c->file('empty.key', "\n", 0600);
    $c->file('lines.key', "uno\ndos\n", 0600);
    $c->file('blank.key', "uno \n", 0600);
    $c->file('long.key', 'x' x 513, 0600);
    mkdir $c->dir . '/folder.key';

    my ($code, $output) = $c->check;

    $c->stop;

    return ($code, $output);
}

for my $good ('secret_file=good.key', 'secret_file=%%DIR%%/good.key',
    'secret_file=good.key tolerance=1s account=shop', 'off',
    'secret_file=good.key tolerance=1d ' . 'secret_file=good.key ' x 7)
{
    my ($code, $output) = conf($good);
    is $code, 0, "accepted: $good" or diag $output;
}

for my $case (
    ['tolerance=5m', qr/"klaviyo_webhook" needs "secret_file=<path>"/],
    ['secret_file=', qr/invalid parameter "secret_file="/],
    ['secret_file=none.key', qr/open\(\) ".*none\.key" failed.*"secret_file"/],
    ['secret_file=open.key', qr/secret file ".*open\.key" can be read or writ/],
    ['secret_file=empty.key', qr/secret file ".*" is empty: it must hold the s/],
    ['secret_file=lines.key', qr/secret file ".*lines\.key" is malformed/],
    ['secret_file=blank.key', qr/secret file ".*blank\.key" is malformed/],
    ['secret_file=long.key', qr/is longer than 512 bytes/],
    ['secret_file=folder.key', qr/folder\.key" is not a regular file/],
    ['secret_file=good.key ' x 9, qr/takes at most 8 secrets/],
    ['secret_file=good.key tolerance=0', qr/"tolerance" is 1s to 1d/],
    ['secret_file=good.key tolerance=2d', qr/"tolerance" is 1s to 1d/],
    ['secret_file=good.key tolerance=x', qr/"tolerance" is 1s to 1d/],
    ['secret_file=good.key tolerance=1m tolerance=1m', qr/is duplicate/],
    ['secret_file=good.key account=shop account=shop', qr/is duplicate/],
    ['secret_file=good.key account=x', qr/unknown account "x" for klaviyo_web/],
    ['secret_file=good.key x', qr/"x": expected "secret_file="/],
    ['secret_file=good.key off', qr/invalid parameter "off"/],
    ['off; klaviyo_webhook off', qr/"klaviyo_webhook" directive is duplicate/])
{
    my ($code, $output) = conf($case->[0]);

    isnt $code, 0, "refused: $case->[0]";
    like $output, $case->[1], 'says why';
    unlike $output, qr/\buno\b|xxxxxx/, 'without the secret';
}

{
    my ($code, $output) = conf('secret_file=good.key', account => undef);

    isnt $code, 0, 'no account';
    like $output, qr/no account chosen for klaviyo_webhook in .*there are 0/,
        'says why';

    my $two = 'klaviyo_account %s { api_key_file %%%%KEY_FILE%%%%;'
        . ' queue %%%%QUEUE_DIR%%%%/%s.ring size=1m; }';
    my @two = (account => undef,
        http => join "\n", map { sprintf $two, $_, $_ } qw(a b));

    ($code, $output) = conf('secret_file=good.key', @two);
    isnt $code, 0, 'two accounts';
    like $output, qr/there are 2:.*add "account=<name>" to it/, 'says why';

    ($code, $output) = conf('secret_file=good.key account=b', @two);
    is $code, 0, 'one of two' or diag $output;

    ($code, $output) = conf(
        'secret_file=good.key; klaviyo_account_default a', @two);
    is $code, 0, 'the default of two' or diag $output;
}

done_testing;

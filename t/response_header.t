#!/usr/bin/perl

# klaviyo_response_header: events that the application names in its answer.
# The header never reaches the client, whatever the answer and whatever it
# holds, and no value of it breaks an event.

use lib 't/lib';
use Klaviyo::Test;

use IO::Socket::INET;
use Mojo::JSON qw(encode_json true false);


my @children;

END { kill TERM => @children if @children }


sub refused {
    my ($what, $expected, $server, %option) = @_;

    my ($code, $output) = config_test(server => $server, %option);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
    like $output, qr/nginx\.conf:[1-9]/, "$what: says where";
}


# The application: it names what the request asks it to, in X-Say and X-Say-2,
# with the status of its path.

my $application = q{
    proxy_cache_path %%DIR%%/cache keys_zone=cache:1m;
    large_client_header_buffers 4 128k;
    proxy_buffer_size 128k;
    proxy_buffers 8 128k;
    proxy_busy_buffers_size 256k;

    log_format captured '$uri $status $klaviyo_captured $klaviyo_event_id';

    server {
        listen 127.0.0.1:%%PORT_APP%%;
        client_header_buffer_size 1k;

        add_header X-Klaviyo-Event $http_x_say always;
        add_header x-klaviyo-event $http_x_say_2 always;
        add_header X-Other kept always;

        location / { return 200 "said\n"; }
        location /201 { return 201; }
        location /302 { return 302 /elsewhere; }
        location /404 { return 404; }
        location /500 { return 500; }
        location /file { add_header X-Accel-Redirect /inside/file.txt;
                         add_header X-Klaviyo-Event $http_x_say;
                         return 200; }
        location /cached { add_header X-Klaviyo-Event $http_x_say;
                           add_header Cache-Control "max-age=$arg_age";
                           return 200 "cached\n"; }
        location /echo/ { alias %%DIR%%/;
                          add_header X-Klaviyo-Event $http_x_say always; }
    }
};

my $t = Klaviyo::Test->new(
    http   => $application,
    server => <<'END');
        access_log %%DIR%%/captured.log captured;

        klaviyo_response_header X-Klaviyo-Event;
        klaviyo_profile external_id $http_x_who;
        klaviyo_profile city Paris;
        klaviyo_property Shop main;
        klaviyo_property Size $http_x_size number;
        klaviyo_defaults off;

        location / {
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /defaults {
            klaviyo_defaults on;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /track {
            klaviyo_track "Tracked" if=$http_x_track;
            proxy_set_header X-Event-Id $klaviyo_event_id;
            add_header X-Event-Id $klaviyo_event_id;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /hidden/ {
            proxy_hide_header X-Klaviyo-Event;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/;
        }

        location /unbuffered {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /cached {
            proxy_cache cache;
            proxy_cache_use_stale error timeout updating http_500;
            add_header X-Cache $upstream_cache_status;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /inside/ {
            internal;
            alias %%DIR%%/;
        }

        location /intercepted/ {
            proxy_intercept_errors on;
            error_page 404 500 /sorry;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/;
        }

        location = /sorry { return 200 "sorry\n"; }

        location /own {
            add_header X-Klaviyo-Event '{"metric":"Own","properties":{"a":1}}';
            return 200 "own\n";
        }

        location /off {
            klaviyo_response_header off;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /other {
            klaviyo_response_header X-Other;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /auth {
            auth_request /subrequest;
            proxy_set_header X-Say "";
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /auth/logged {
            auth_request /subrequest/logged;
            proxy_set_header X-Say "";
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /subrequest {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;

            location /subrequest/logged {
                log_subrequest on;
                proxy_pass http://127.0.0.1:%%PORT_APP%%;
            }
        }

        location /fastcgi {
            fastcgi_pass 127.0.0.1:%%PORT_FASTCGI%%;
            fastcgi_param SAY $http_x_say;
            fastcgi_param REQUEST_METHOD GET;
        }

        location /consent {
            klaviyo_consent $http_x_consent;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }
END

$t->file('file.txt', "a file\n");
$t->start;

my $seen = 0;

# what the application says to a request, as events; the client's answer is
# in $answer
my $answer;

sub named {
    my ($path, $say, %option) = @_;

    my @headers = ('X-Who' => 'w1', %{ $option{headers} // {} });

    $say = [$say] if ref $say ne 'ARRAY';

    my $n = '';

    for my $value (@$say) {
        push @headers, "X-Say$n" => ref $value ? encode_json($value) : $value;
        $n = '-2';
    }

    $answer = $t->request($option{method} // 'GET', $path, \@headers);

    is $answer->header('x-klaviyo-event'), undef,
        "$path: the header stays here" unless $option{leaks};

    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = splice @events, $seen;

    $seen += @new;

    return \@new;
}


sub metrics { return [map { $_->{metric} } @{ $_[0] }] }
sub reason  { return $t->account('shop')->{reasons}{ $_[0] }{ $_[1] } // 0 }


# one event with everything

my ($event) = @{ named('/', {
    metric         => 'Placed Order',
    value          => 19.5,
    value_currency => 'EUR',
    unique_id      => 'order-1001',
    time           => '2026-01-02T03:04:05Z',
    backfill       => true,
    profile        => {email => 'ann@shop.com', first_name => 'Ann',
                       latitude => 48.85, zip => 75001, Tier => 3},
    properties     => {
        OrderId => 1001,
        Gift    => true,
        Notes   => undef,
        Empty   => '',
        Items   => [{SKU => 'A', Quantity => 2}, {SKU => 'B', Sizes => []}],
        'q"\\ü' => "l1\nl2\t\x{1F600}",
    },
}) };

is $answer->status, 200, 'served';
is $answer->body, "said\n", 'with its body';
is $answer->header('x-other'), 'kept', 'and its other headers';

is $event->{metric}, 'Placed Order', 'metric';
is $event->{value}, 19.5, 'value';
is $event->{value_currency}, 'EUR', 'currency';
is $event->{unique_id}, 'order-1001', 'unique_id';
like $event->{time}, qr/^2026-01-02T03:04:05/, 'time';
ok $event->{backfill}, 'backfill';

is_deeply $event->{properties}, {
    Shop    => 'main',
    OrderId => 1001,
    Gift    => true,
    Items   => [{SKU => 'A', Quantity => 2}, {SKU => 'B', Sizes => []}],
    'q"\\ü' => "l1\nl2\t\x{1F600}",
}, 'properties, and those of the configuration';

my $profile = $event->{profile};

is $profile->{email}, 'ann@shop.com', 'the profile that was named';
is $profile->{external_id}, undef, 'and no other';
is $profile->{first_name}, 'Ann', 'a known field';
is_deeply $profile->{location},
    {city => 'Paris', latitude => 48.85, zip => '75001'}, 'the location';
is_deeply $profile->{properties}, {Tier => 3}, 'a custom field';


# the digits of a number stay

named('/', '{"metric":"N","value":19.90,"properties":{"p":0.10,"b":1e2}}');
like $t->sandbox->body, qr/"value":19\.90\b/,
    'values as written';
like $t->sandbox->body, qr/"p":0\.10,"b":1e2\b/, 'properties as well';


# by name, the object wins; null and "" remove

($event) = @{ named('/', {metric => 'A', properties => {Shop => 'inner',
    Size => 'L'}, profile => {external_id => 42, city => undef}},
    headers => {'X-Size' => 7}) };

is_deeply $event->{properties}, {Shop => 'inner', Size => 'L'},
    'properties win by name';
is $event->{profile}{external_id}, '42', 'so does an identifier';
is $event->{profile}{location}, undef, 'and null removes';

($event) = @{ named('/', {metric => 'A', properties => {Shop => ''}},
    headers => {'X-Size' => 7}) };

is_deeply $event->{properties}, {Size => 7}, 'an empty value removes';

$profile = (named('/', {metric => 'A', profile => {first_name => 'Ann'}}))
    ->[0]{profile};

is $profile->{external_id}, 'w1', 'nobody is named: the visitor';
is $profile->{first_name}, 'Ann', 'with what is named';

$profile = (named('/', {metric => 'A', profile => {email => 'nobody'}}))
    ->[0]{profile};

is $profile->{external_id}, 'w1', 'nor by what is no email';
is $profile->{email}, undef, 'which is left out';

$profile = (named('/?_kx=abc.ABCDEF',
    {metric => 'A', profile => {email => 'a@shop.com'}}))->[0]{profile};

is $profile->{email}, 'a@shop.com', 'somebody is named';
is $profile->{_kx}, undef, 'nothing of the visitor beside it';

$profile = (named('/',
    '{"metric":"A","profile":{"\\u0065mail":" a\\u0040shop.com"}}'))
    ->[0]{profile};

is $profile->{email}, 'a@shop.com', 'somebody, with escapes';
is $profile->{external_id}, undef, 'nothing of the visitor either';

is_deeply named('/', {metric => 'A', profile => {external_id => undef}}), [],
    'nobody is left';
is reason('skipped', 'anonymous'), 1, 'counted';

is scalar @{ named('/', {metric => 'A', profile => {email => 'a@shop.com'}},
    headers => {'X-Who' => ''}) }, 1, 'somebody by the header alone';


# defaults and utm_*

($event) = @{ named('/defaults?utm_source=s&utm_medium=m&_kx=secret.ABCDEF',
    '{"metric":"A","properties":{"\\u0050ath":"mine","utm_source":"mine"}}') };

my $properties = $event->{properties};

is $properties->{Path}, 'mine', 'a default gives way, however it is written';
is $properties->{utm_source}, 'mine', 'and an argument';
is $properties->{utm_medium}, 'm', 'others stay';
is $properties->{Status}, 200, 'status';
unlike $properties->{URL}, qr/secret/, 'no identity in the URL';


# several: arrays, headers, both

is_deeply metrics(named('/', [[{metric => 'A'}, {metric => 'B'}]])),
    ['A', 'B'], 'an array';
is_deeply metrics(named('/', [{metric => 'A'}, {metric => 'B'}])),
    ['A', 'B'], 'two headers';
is_deeply metrics(named('/', [[{metric => 'A'}, {metric => 'B'}],
    [{metric => 'C'}]])), ['A', 'B', 'C'], 'two arrays';
is_deeply metrics(named('/', '[]')), [], 'none';
is_deeply metrics(named('/', '')), [], 'no header';

my @lines = map { {metric => 'Ordered Product', unique_id => "1001-$_",
    properties => {SKU => $_}} } 1 .. 100;

is scalar @{ named('/', [\@lines]) }, 100, '100 lines of an order';
is scalar @{ named('/', [[@lines, {metric => 'A'}, {metric => 'B'}]]) }, 0,
    'named again, they are the same';
is reason('skipped', 'header'), 2, 'and more than 100 are not taken';


# with tracks, ids, the access log

($event) = @{ named('/track', {metric => 'A', unique_id => 'own'}) };
is $event->{unique_id}, 'own', 'its own id, though another one was told';

($event) = @{ named('/track', {metric => 'A'}) };
is $event->{unique_id}, $answer->header('x-event-id'), 'the id that was told';

my $both = named('/track', {metric => 'A', unique_id => 'own2'},
    headers => {'X-Track' => 1});

is_deeply [sort @{ metrics($both) }], ['A', 'Tracked'], 'beside a track';
is +(grep { $_->{metric} eq 'Tracked' } @$both)[0]{unique_id},
    $answer->header('x-event-id'), 'the track has the id that was told';

named('/log/none', '');
named('/log/two', [[{metric => 'A'}, {metric => 'B'}]]);
named('/log/bad', '{');
named('/log/empty', '[]');

wait_for(5, sub { $t->get('/log/end');
    Klaviyo::Test::Process::read_file($t->dir . '/captured.log')
        =~ m{/log/end} });
my $log = Klaviyo::Test::Process::read_file($t->dir . '/captured.log');

like $log, qr{^/log/none 200 no_header -$}m, '$klaviyo_captured: no header';
like $log, qr{^/log/two 200 2 \S{36}$}m, 'two events';
like $log, qr{^/log/bad 200 header -$}m, 'a bad one';
like $log, qr{^/log/empty 200 no_header -$}m, 'a list of none';


# answers

is_deeply metrics(named('/201', {metric => 'A'})), ['A'], 'status 201';
is_deeply metrics(named('/302', {metric => 'A'})), ['A'], 'status 302';
is $answer->status, 302, 'is one';

my $skipped = reason('skipped', 'status');

for my $status (404, 500) {
    is_deeply named("/$status", [[{metric => 'A'}, {metric => 'B'}]]), [],
        "$status: no event";
    is $answer->status, $status, 'is one';
}

is reason('skipped', 'status'), $skipped + 4, 'counted';

is_deeply metrics(named('/hidden/', {metric => 'A'})), ['A'],
    'proxy_hide_header';
is_deeply metrics(named('/unbuffered', {metric => 'A'})), ['A'],
    'proxy_buffering off';
is_deeply metrics(named('/file', {metric => 'Downloaded'})), ['Downloaded'],
    'X-Accel-Redirect';
is $answer->body, "a file\n", 'the file';
is_deeply named('/intercepted/404', {metric => 'A'}), [],
    'an intercepted error';
is $answer->body, "sorry\n", 'is intercepted';
is_deeply metrics(named('/own', '')), ['Own'], 'add_header';
is_deeply named('/', {metric => 'A'}, method => 'HEAD'), [],
    'HEAD is no visit';
is $answer->header('x-other'), 'kept', 'HEAD was answered';

named('/echo/file.txt', {metric => 'A'});
my $etag = $answer->header('etag');
is_deeply metrics(named('/echo/file.txt', {metric => 'A'},
    headers => {'If-None-Match' => $etag})), ['A'], 'status 304';
is $answer->status, 304, 'is one';

is_deeply named('/off', {metric => 'A'}, leaks => 1), [], 'off';
is $answer->header('x-klaviyo-event'), '{"metric":"A"}', 'passes it on';

named('/other', {metric => 'A'}, leaks => 1);
is $answer->header('x-other'), undef, 'another name';
is $answer->header('x-klaviyo-event'), '{"metric":"A"}', 'and only that';

my $h2 = $t->h2('/', 'X-Who' => 'w', 'X-Say' => '{"metric":"H2"}');

is $h2->body, "said\n", 'HTTP/2';
is $h2->header('x-other'), 'kept', 'with its headers';
is $h2->header('x-klaviyo-event'), undef, 'without that one';
$t->wait_idle;
is $t->sandbox->events->[$seen++]{metric}, 'H2', 'which is an event';


# the cache

is_deeply metrics(named('/cached?age=60', {metric => 'A'})), ['A'],
    'a cache is filled';
is $answer->header('x-cache'), 'MISS', 'MISS';
is_deeply named('/cached?age=60', ''), [],
    'what it holds was said to somebody else';
is $answer->header('x-cache'), 'HIT', 'HIT';
is reason('skipped', 'cached'), 1, 'counted';
is_deeply metrics(named('/cached?age=0', {metric => 'A'})), ['A'],
    'what it does not hold';


# subrequests

is_deeply named('/auth', {metric => 'A'}), [], 'auth_request';
is_deeply metrics(named('/auth/logged', {metric => 'A'})), ['A'],
    'with log_subrequest';


# consent; what is fetched by scripts

is_deeply named('/consent', {metric => 'A'}), [], 'no consent';
is_deeply metrics(named('/consent', {metric => 'A'},
    headers => {'X-Consent' => 1})), ['A'], 'consent';
is_deeply metrics(named('/', {metric => 'Added to Cart'},
    headers => {'Sec-Fetch-Dest' => 'empty'})), ['Added to Cart'],
    'an answer to fetch()';


# FastCGI

fastcgi($t->port('FASTCGI'));
is_deeply metrics(named('/fastcgi', {metric => 'A'})), ['A'], 'FastCGI';
is $answer->body, "fastcgi\n", 'answered';


# hostile: no JSON, no objects, too much

my $bad = reason('skipped', 'header');

my @unusable = (
    '{', '}', '[', 'x', '1', '"x"', 'null', 'true', '{"metric":"A"',
    '{"metric":"A"}}', '{"metric":"\\x"}', '{"metric":1e}',
    '{"metric":"A"},{"metric":"B"}', "{'metric':'A'}", '[' x 5000,
    '{"a":' x 1025 . '1' . '}' x 1025,
    '{"metric":"' . 'x' x 65536 . '"}',
);

is_deeply named('/', $_), [], 'unusable: ' . substr($_, 0, 30)
    for @unusable;
is reason('skipped', 'header'), $bad + @unusable, 'each is counted';

is_deeply metrics(named('/', ['{"metric":"A"', {metric => 'B'}])), ['B'],
    'the good one of two headers';
is_deeply metrics(named('/', '[1,{"metric":"A"},null,[{"metric":"B"}]]')),
    ['A'], 'the good one of an array';
is reason('skipped', 'header'), $bad + @unusable + 4, 'others are counted';

# metrics

my $metric = reason('skipped', 'metric');

is_deeply named('/', $_), [], "$_: no metric"
    for '{}', '{"metric":""}', '{"metric":" "}', '{"metric":1}',
    '{"metric":["A"]}', '{"metric":null}', '{"metric":"a\\nb"}',
    '{"metric":"' . 'x' x 128 . '"}';
is reason('skipped', 'metric'), $metric + 8, 'each is counted';

# members

my %wrong = (
    '"value":"ten"'               => 'value',
    '"value":true'                => 'header',
    '"value":{"a":1}'             => 'header',
    '"value":1,"value_currency":"euro"' => 'currency',
    '"value_currency":5'          => 'header',
    '"unique_id":{"a":1}'         => 'header',
    '"unique_id":"a\\nb"'         => 'unique_id',
    '"unique_id":"' . 'x' x 256 . '"' => 'unique_id',
    '"time":"tomorrow"'           => 'time',
    '"time":1'                    => 'time',
    '"time":[]'                   => 'header',
    '"backfill":"maybe"'          => 'backfill',
    '"backfill":{}'               => 'header',
    '"properties":[1]'            => 'header',
    '"properties":{"":1}'         => 'header',
    '"profile":"me"'              => 'header',
    '"profile":{"email":"nobody"}' => 'email',
    '"profile":{"email":["a@shop.com"]}' => 'header',
    '"profile":{"phone_number":"12"}' => 'phone_number',
    '"profile":{"first_name":{}}' => 'header',
    '"profile":{"id":true}'       => 'header',
    '"valeu":1'                   => 'header',
    '"properties":{"a":' . '[' x 10 . ']' x 10 . '}' => 'json',
);

for my $member (sort keys %wrong) {
    my $before = reason('left_out', $wrong{$member});
    my $short  = substr $member, 0, 40;

    ($event) = @{ named('/', "{\"metric\":\"A\",$member}") };

    is $event->{metric}, 'A', "$short: the event goes";
    is_deeply $event->{properties}, {Shop => 'main'}, 'without it';
    is reason('left_out', $wrong{$member}), $before + 1, 'which is counted';
}

# numbers that are strings, an id that is a number

($event) = @{ named('/', '{"metric":"A","value":"19.90","unique_id":7001,'
    . '"time":1767323045,"backfill":"1"}') };

is $event->{value}, 19.9, 'a value in quotes';
is $event->{unique_id}, '7001', 'an id without';
like $event->{time}, qr/^2026-01-02T03:04:05/, 'seconds';
ok $event->{backfill}, 'backfill "1"';

# too much for Klaviyo

is_deeply named('/', {metric => 'A',
    properties => {map { ("p$_" => $_) } 1 .. 400}}), [],
    'one property too many';
is reason('skipped', 'too_many_properties'), 1, 'counted';
is scalar @{ named('/', {metric => 'A',
    properties => {map { ("p$_" => $_) } 1 .. 399}}) }, 1, '400 properties';

# a value cannot become anything else

($event) = @{ named('/', {metric => 'A","x":"y', unique_id => '","id":"1',
    properties => {'a":1,"b' => '"},"metric":{"data":{}},"x":{"'}}) };

is $event->{metric}, 'A","x":"y', 'a metric with quotes';
is $event->{unique_id}, '","id":"1', 'an id with quotes';
is_deeply $event->{properties},
    {Shop => 'main', 'a":1,"b' => '"},"metric":{"data":{}},"x":{"'},
    'names and values with quotes';

$t->stop;


# at each level, and with several accounts

my $second = 'klaviyo_account %s { api_key_file %%%%KEY_FILE%%%%; '
    . 'endpoint %%%%ENDPOINT%%%%; queue %%%%QUEUE_DIR%%%%/%1$s.ring size=1m; '
    . 'spool %%%%DIR%%%%/%1$s; batch linger=50ms; }';

$t = Klaviyo::Test->new(
    http => sprintf($second, 'second') . q{
        klaviyo_response_header X-Event;
        klaviyo_account_default second;
        klaviyo_profile external_id x;
    },
    server => q{
        location / {
            add_header X-Event '{"metric":"to the second"}';
            return 200 "";
        }
        location /shop {
            klaviyo_account_default shop;
            add_header X-Event '{"metric":"to shop"}';
            return 200 "";
        }
    });

$t->start;
$t->get('/');
$t->get('/shop') for 1 .. 2;
$t->wait_events(3);

is $t->account('second')->{captured}, 1, 'inherited from http';
is $t->account('shop')->{captured}, 2, 'klaviyo_account_default';
$t->stop;


# what nginx passes on early, where it does

SKIP: {
    my ($major, $minor) = $t->nginx->version;

    skip 'nginx before 1.29 knows no early hints', 4
        if $major == 1 && $minor < 29;

    $t = Klaviyo::Test->new(server => q{
        klaviyo_response_header X-Klaviyo-Event;
        klaviyo_profile external_id x;
        early_hints 1;
        location / {
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:%%PORT_HINTS%%;
        }
    });

    $t->start;

    my $event = 'X-Klaviyo-Event: {"metric":"A"}';
    server($t->port('HINTS'), "HTTP/1.1 103 Early Hints\r\n"
        . "Link: </a.css>; rel=preload\r\n$event\r\n\r\n"
        . "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n$event\r\n\r\nok");

    my $bytes = $t->raw("GET / HTTP/1.1\r\nHost: a\r\n"
        . 'User-Agent: ' . Klaviyo::Test::Client::AGENT
        . "\r\nConnection: close\r\n\r\n");

    like $bytes, qr/^HTTP\/1.1 103 .*?^Link:/ms, 'early hints';
    like $bytes, qr/^HTTP\/1.1 200 .*ok\z/ms, 'and an answer';
    unlike $bytes, qr/klaviyo/i, 'none with the header';
    is scalar @{ $t->wait_events(1) }, 1, 'one event';
    $t->stop;
}


refused 'twice', qr/"klaviyo_response_header" directive is duplicate/,
    'klaviyo_response_header A; klaviyo_response_header B;';
refused 'twice, off', qr/"klaviyo_response_header" directive is duplicate/,
    'klaviyo_response_header off; klaviyo_response_header B;';
refused "the name $_", qr/invalid name of a header "\Q$_\E"/,
    "klaviyo_response_header '$_';" for '', 'X Y', 'X:', '$x', 'X,Y', "\x7f";
refused 'no account', qr/no account for klaviyo_response_header "X" in/,
    'klaviyo_response_header X;', account => undef;
refused 'several, none chosen',
    qr/no account chosen for klaviyo_response_header "X" in .*: add "klav/,
    'klaviyo_response_header X;', http => sprintf $second, 'second';

done_testing;


# answers every request with the same bytes
sub server {
    my ($port, $answer) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 5, ReuseAddr => 1) or die "$port: $!";

    my $pid = fork // die "fork: $!";
    return push @children, $pid if $pid;

    local $SIG{TERM} = sub { POSIX::_exit(0) };

    while (my $client = $listen->accept) {
        sysread $client, my $request, 65536;
        syswrite $client, $answer;
        close $client;
    }

    POSIX::_exit(0);
}


# the least of a FastCGI application: it names what SAY holds
sub fastcgi {
    my ($port) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 5, ReuseAddr => 1) or die "$port: $!";

    my $pid = fork // die "fork: $!";
    return push @children, $pid if $pid;

    local $SIG{TERM} = sub { POSIX::_exit(0) };

    while (my $client = $listen->accept) {
        my $params = '';

        while (read($client, my $head, 8) == 8) {
            my (undef, $type, undef, $len, $pad) = unpack 'CCnnC', $head;
            my $content = '';

            read $client, $content, $len + $pad;
            $params .= substr $content, 0, $len if $type == 4;
            last if $type == 5 && $len == 0;
        }

        my ($say) = $params =~ /SAY(\{.*?\})/s;
        my $out = "Status: 200\r\nX-Klaviyo-Event: $say\r\n\r\nfastcgi\n";

        print $client pack('CCnnCC', 1, 6, 1, length $out, 0, 0), $out,
            pack('CCnnCC', 1, 6, 1, 0, 0, 0),
            pack('CCnnCCNC4', 1, 3, 1, 8, 0, 0, 0, 0, 0, 0, 0);
        close $client;
    }

    POSIX::_exit(0);
}

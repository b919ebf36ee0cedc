#!/usr/bin/perl

# klaviyo-queue import: access logs become events, by the rules of the
# configuration or of a map, once each, whatever stands in the log and whenever
# it is killed.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(
    spawn running read_file write_file give_to_worker wait_for
);

use IO::Compress::Gzip qw(gzip $GzipError);
use Mojo::JSON         qw(decode_json encode_json);
use POSIX              ();
use Time::HiRes        qw(sleep);

my $program = $ENV{KLAVIYO_QUEUE}
    // ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';
my $binary = $ENV{KLAVIYO_NGINX} // '/usr/sbin/nginx';
my $agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 '
    . 'Firefox/140.0';
my $now = int time;


# the queue's name, and where its nginx has its configuration
sub arguments {
    my ($t, @more) = @_;

    my ($map) = grep { /^--map/ } @more;

    return ('import', @more, $map ? () : ("--nginx=$binary",
        '--conf=' . $t->dir . '/nginx.conf', '--prefix=' . $t->dir));
}

# -> exit status, standard output, standard error
sub import_logs {
    my ($t, @arguments) = @_;

    my ($in)  = grep { ref } @arguments;
    my @words = grep { !ref } @arguments;
    my %file  = map { $_ => $t->dir . "/import.$_" } qw(in out err);

    write_file($file{in}, $in ? $$in : '', 0600);

    my $pid = fork // die "fork() failed: $!";

    if ($pid == 0) {
        open STDIN,  '<', $file{in};
        open STDOUT, '>', $file{out};
        open STDERR, '>', $file{err};
        { exec $program, arguments($t, @words) }
        POSIX::_exit(127);
    }

    waitpid $pid, 0;

    return ($? & 127 ? 128 + ($? & 127) : $? >> 8,
        map { read_file($file{$_}) } qw(out err));
}

sub shop { return "$_[0]{queue_dir}/shop" }

# of $time_local, in this zone
sub local_time {
    my ($time, $zone) = @_;

    my $hours = substr($zone // '+0000', 0, 3);

    return POSIX::strftime('%d/%b/%Y:%H:%M:%S', gmtime $time + 3600 * $hours)
        . ' ' . ($zone // '+0000');
}

sub combined {
    my (%line) = @_;

    return sprintf qq{%s - %s [%s] "%s" %s 512 "%s" "%s"\n},
        $line{addr} // '192.0.2.7', $line{user} // '-',
        $line{local} // local_time($line{time} // $now - 86400, $line{zone}),
        $line{request} // "GET $line{uri} HTTP/1.1", $line{status} // 200,
        $line{referer} // '-', $line{agent} // $agent;
}

sub log_file {
    my ($t, $name, @lines) = @_;

    return $t->file($name, join('', @lines), 0644);
}

sub skipped {
    my ($out, $reason) = @_;

    return $out =~ /^ *([0-9]+)  skipped, \Q$reason\E/m ? $1 : 0;
}

# what an event is, without what only one of two ways has
sub essence {
    my ($event) = @_;

    my %copy = %$event;

    delete @copy{qw(n unique_id backfill via received request key account
        times dropped)};

    return \%copy;
}


my $rules = q{
    location / {
        klaviyo_track "Viewed Page" view;
        return 200 "page\n";
    }

    location ~ ^/products/(?<handle>[^/]+)$ {
        klaviyo_event "Viewed Product" view {
            property  ProductID  $handle;
            property  Size       $arg_size  number;
            property  Stock      $upstream_http_x_stock  number;
        }
        return 200 "product\n";
    }

    location = /thanks {
        klaviyo_event "Placed Order" {
            unique_id  $arg_order;
            value      $arg_total  EUR;
            property   Items       $arg_items  list;
        }
        return 200 "thanks\n";
    }

    location = /from_app {
        klaviyo_event "Placed Order" {
            unique_id  $upstream_http_x_order;
            value      $upstream_http_x_total  EUR;
        }
        return 200 "thanks\n";
    }

    location ^~ /static/ {
        klaviyo_track off;
        return 200 "x";
    }
};

my $people = q{
    klaviyo_profile   external_id  $arg_id;
    klaviyo_profile   ip           $remote_addr;
    klaviyo_profile   Plan         $arg_plan;
    klaviyo_property  Shop         demo;
};


# one request, two ways: through the module, and through its line in the log

subtest 'as capture would have made it' => sub {
    my $t = Klaviyo::Test->new(
        http => $people . q{
            log_format fields escape=json '{"msec":"$msec",'
                '"request_method":"$request_method","host":"$host",'
                '"request_uri":"$request_uri","status":"$status",'
                '"scheme":"$scheme","remote_addr":"$remote_addr",'
                '"http_referer":"$http_referer","http_cookie":"$http_cookie",'
                '"sent_http_content_type":"$sent_http_content_type",'
                '"http_user_agent":"$http_user_agent"}';
        },
        server => 'access_log %%DIR%%/json.log fields;'
            . ' access_log %%DIR%%/combined.log combined;' . $rules,
    )->start;

    my $cookie = 'a=b; __kla_id=' . 'eyIkZXhjaGFuZ2VfaWQiOiJhYmMuQWJDMTIzIn0=';
    my @requests = (
        ['/products/lamp%20red?size=12&id=ann'],
        ['/products/../products//mug?size=big&id=ann&plan=%22x%22'],
        ['/?id=bob&utm_source=news+letter&utm_email=x@shop.test'],
        ['/thanks?order=A-1&total=19.90&items=a,b&id=bob'],
        ['/about?_kx=Zm9v.AbC123', Referer => 'https://x.test/?a=1&_ke=secret'],
        ['/cookie', Cookie => $cookie],
        ['/?id=%C3%A4"\\'],
        ['/static/x.css?id=ann'], ['/page.css?id=ann'], ['/nobody'],
    );

    $t->get($_->[0], 'User-Agent' => $agent, Referer => 'https://x.test/',
        @$_[1 .. $#$_]) for @requests;
    $t->get('/bot?id=ann', 'User-Agent' => 'Googlebot/2.1');

    my $live = $t->wait_events(8) || [];
    my $by   = sub {
        return sort { encode_json(essence($a)) cmp encode_json(essence($b)) } @_;
    };

    ok @$live >= 7, 'events came as ever' or diag scalar @$live;
    $t->wait_idle;
    $live = $t->sandbox->events;
    wait_for(5, sub { read_file($t->dir . '/json.log') =~ /Googlebot/ });

    my ($code, $out, $err) = import_logs($t, '--format=json', shop($t),
        $t->dir . '/json.log');

    is $code, 0, 'imported' or diag $err;
    is skipped($out, 'bot'), 1, 'a bot is none';
    is skipped($out, 'no rule'), 1, 'no rule holds';
    is skipped($out, 'anonymous'), 1, 'nobody';

    # the order has its own unique_id, and is the same

    ok wait_for(10, sub { $t->sandbox->stats->{recorded} >= 2 * @$live - 1 }),
        'all came';
    $t->wait_idle;

    my @all    = @{ $t->sandbox->events };
    my @second = @all[@$live .. $#all];
    my @first  = grep { $_->{metric} ne 'Placed Order' } @$live;

    is_deeply [map { essence($_) } $by->(@second)],
        [map { essence($_) } $by->(@first)], 'the same events';
    is scalar(grep { !$_->{backfill} } @second), 0, 'with backfill';
    is $t->sandbox->stats->{repeats}, 1, 'the order is known by its id';

    my ($again, $said) = import_logs($t, '--format=json', shop($t),
        $t->dir . '/json.log');

    is $again, 0, 'again';
    like $said, qr/^0 lines read, \d+ were done before\n0 events put/,
        'nothing new';

    # the combined format has no cookies, no host and no scheme

    ($code, $out, $err) = import_logs($t, '--dry-run', shop($t),
        $t->dir . '/combined.log');

    is $code, 0, 'combined' or diag $err;
    like $out, qr/^@{[ @$live - 2 ]} events would be put/m,
        'all but whom a cookie knows, and what ends as no page';
    is skipped($out, 'condition'), 1, 'no view';
    $t->stop;
};


subtest 'once each' => sub {
    my $t = Klaviyo::Test->new(http => $people, server => $rules)->start;

    my @lines = map { combined(uri => "/products/p$_?id=v$_",
        time => $now - 90000 + $_, zone => '-0300') } 1 .. 600;

    my $log = log_file($t, 'access.log', @lines[0 .. 299],
        substr $lines[300], 0, 40);

    my ($code, $out) = import_logs($t, '--dry-run', shop($t), $log);

    is $code, 0, 'a dry run';
    like $out, qr/^300 events would be put/m, 'tells';
    like $out, qr/^\{.*"ProductID":"p1"/m, 'shows the first';
    is skipped($out, 'whole'), 1, 'the last line is not whole';
    ok !-e $t->spool . '/import', 'and keeps nothing';

    ($code, $out) = import_logs($t, shop($t), $log);
    is $code, 0, 'a run';
    like $out, qr/^300 events put/m, 'puts them';

    my $events = $t->wait_events(300) || [];

    is $events->[0]{properties}{ProductID}, 'p1', 'in their order';
    is $events->[0]{time} =~ s/\+00:00$//r,
        POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime $now - 89999),
        'at their time';

    # the log goes on, is rotated, and compressed

    log_file($t, 'access.log', @lines[0 .. 449]);
    ($code, $out) = import_logs($t, shop($t), $log);
    like $out, qr/^150 lines read, 300 were done before\n150 events put/,
        'only what is new';

    my $text = join '', @lines;

    gzip(\$text => $t->dir . '/access.log.2.gz') or die $GzipError;
    ($code, $out) = import_logs($t, shop($t), $t->dir . '/access.log.2.gz');
    like $out, qr/^150 lines read, 450 were done before\n150 events put/,
        'compressed, under another name';

    ($code, $out) = import_logs($t, shop($t), '-', \$text);
    like $out, qr/^0 lines read, 600 were done before/, 'from a pipe';

    $t->wait_events(600);
    $t->wait_idle;
    is $t->sandbox->stats->{received}, 600, 'each was sent once';

    ($code, $out) = import_logs($t, '--again', shop($t), \$text);
    like $out, qr/^600 events put/m, '--again';
    $t->wait_idle;
    is $t->sandbox->stats->{recorded}, 600, 'Klaviyo has each once';

    # another log that begins in the same way

    my $other = log_file($t, 'other.log', $lines[0],
        map { combined(uri => "/products/o$_?id=o$_") } 1 .. 700);

    ($code, $out) = import_logs($t, shop($t), $other);
    like $out, qr/^701 lines read\n701 events put/, 'another log';
    $t->wait_idle;
    is $t->sandbox->stats->{recorded}, 1300, 'is none of the first';

    ($code, $out) = import_logs($t, shop($t), $other,
        $t->dir . '/access.log.2.gz', $other);
    like $out, qr/^0 lines read, 2002 were done before\n0 events/,
        'both are known';

    is((stat $t->spool . '/import')[4], (stat $t->queue)[4],
        'the marks are whose the queue is');
    write_file($t->spool . '/import', "nonsense\n", 0600);
    give_to_worker($t->spool . '/import');
    ($code, undef, my $err) = import_logs($t, shop($t), $other);
    is $code, 2, 'marks that are none';
    like $err, qr/does not say how far .*: remove it to begin anew/, 'are told';
    $t->stop;
};


subtest 'killed, and again' => sub {
    my $t = Klaviyo::Test->new(http => $people, server => $rules)->start;

    my $n   = 6000;
    my $log = log_file($t, 'access.log', map {
        combined(uri => "/products/p$_?id=v$_", time => $now - 90000 + $_)
    } 1 .. $n);
    my $kills = 0;

    for my $at (800, 2000, 3500) {
        my $pid = spawn(command => [$program, arguments($t, shop($t), $log)],
            stderr => $t->dir . '/killed.err');

        wait_for(20, sub {
            !running($pid) || $t->account->{captured} >= $at
        }, 0.001);

        $kills += kill 'KILL', $pid if running($pid);
        waitpid $pid, 0;
    }

    cmp_ok $kills, '>', 0, 'it was killed';

    my ($code, $out, $err) = import_logs($t, shop($t), $log);

    is $code, 0, 'it goes on' or diag $err;
    like $out, qr/were done before/, 'from where it was';
    ok $t->wait_events($n, 60), 'all came';
    $t->wait_idle;

    my $stats = $t->sandbox->stats;

    is $stats->{recorded}, $n, 'none is missing, none is there twice';
    cmp_ok $stats->{received}, '<=', $n + $kills * 300,
        'few had to be sent again' or diag $stats->{received};
    $t->stop;
};


subtest "visitors' events come first" => sub {
    my $t = Klaviyo::Test->new(http => $people, server => $rules,
        account => 'queue %%QUEUE%% size=1m; spool off;'
            . ' retry min=50ms max=100ms;')->start;

    $t->sandbox->fault(kind => 'status', status => 503);

    my $log = log_file($t, 'access.log', map {
        combined(uri => "/products/p$_?id=v$_")
    } 1 .. 4000);

    my $pid = spawn(command => [$program,
        arguments($t, '--share=20%', shop($t), $log)],
        stdout => $t->dir . '/import.out', stderr => $t->dir . '/import.err');

    my $seen = 0;

    ok wait_for(20, sub {
        $seen = $t->account->{queued};
        sleep 0.2;
        return $seen && $t->account->{queued} == $seen;
    }), 'it stops while nothing is delivered';

    cmp_ok $seen, '<', 1500, 'the queue has room';
    ok running($pid), 'it waits';

    $t->get('/?id=visitor', 'User-Agent' => $agent);
    ok wait_for(5, sub { $t->account->{queued} == $seen + 1 }),
        'a visitor is not in its way';

    kill 'TERM', $pid;
    waitpid $pid, 0;
    is $? >> 8, 2, 'it can be stopped';
    like read_file($t->dir . '/import.err'), qr/same command goes on/, 'told';

    $t->sandbox->clear_faults;

    my ($code) = import_logs($t, '--share=20%', shop($t), $log);

    is $code, 0, 'and goes on';
    ok $t->wait_events(4001, 60), 'all came';
    $t->wait_idle;
    is $t->sandbox->stats->{recorded}, 4001, 'each once';
    $t->halt('QUIT');

    my ($late, undef, $err) = import_logs($t, '--share=1%', shop($t),
        log_file($t, 'late.log', map {
            combined(uri => "/products/q$_?id=v$_")
        } 1 .. 400));

    is $late, 2, 'without nginx';
    like $err, qr/no nginx delivers from it: start it/, 'told';
    $t->stop;
};


subtest 'what visitors wrote' => sub {
    my $t = Klaviyo::Test->new(server => $rules,
        http => 'klaviyo_profile external_id $remote_user;')->start;

    my $good = combined(uri => '/products/good', user => 'ann');
    my @bad = (
        "\n", "garbage\n", "\0\0\0\n", '"' x 300 . "\n", '[' x 300 . "\n",
        'x' x 70_000 . "\n", "\\" x 5000 . "\n", "\xff\xfe\n",
        combined(request => 'GET', user => 'ann'),
        combined(request => '\x16\x03\x01', user => 'ann'),
        combined(request => 'GET x HTTP/1.1', user => 'ann'),
        combined(request => 'GET /../../etc/passwd HTTP/1.1', user => 'ann'),
        combined(request => 'GET /%00 HTTP/1.1', user => 'ann'),
        combined(uri => '/', status => '2000', user => 'ann'),
        combined(uri => '/', status => 'abc', user => 'ann'),
        q{1.2.3.4 - ann [} . local_time($now) . qq{] "GET / HTTP/1.1\n},
    );
    my @time = map { combined(uri => '/', user => 'ann', local => $_) } (
        '36/Sep/2026:18:05:09 +0200', '06/Foo/2026:18:05:09 +0200',
        '06/Sep/1969:18:05:09 +0200', local_time($now + 400_000),
        '06/Sep/2026:25:05:09 +0200', '29/Feb/2026:18:05:09 +0200',
    );

    # who writes a line into a user's name, or into a request, gets a name

    my $forged = combined(user => 'mallory [' . local_time($now)
        . '] \x22GET /products/forged HTTP/1.1\x22 200 1', uri => '/products/x');
    my $request = combined(user => 'eve', uri => '/products/y" 200 1 "-" "-"'
        =~ s/"/\\x22/gr);

    # repaired it would be the one of others

    my $half = combined(user => 'j\xFCrgen', uri => '/products/half');

    my $log = log_file($t, 'access.log', $good, @bad, $forged, @time, $request,
        $half, $good =~ s/good/last/r);

    my ($code, $out, $err) = import_logs($t, shop($t), $log);

    is $code, 1, 'some lines are none' or diag $err;
    is skipped($out, 'malformed'), scalar @bad, 'malformed' or diag $out;
    is skipped($out, 'time'), scalar @time, 'times';
    is skipped($out, 'anonymous'), 1, 'a name that is no UTF-8 names nobody';
    like $out, qr/^4 events put/m, 'and events';

    my %event = map { $_->{properties}{ProductID} => $_ }
        @{ $t->wait_events(4) || [] };

    is_deeply [sort keys %event], ['good', 'last', 'x', 'y" 200 1 "-" "-"'],
        'which';
    like encode_json($event{x}{profile}), qr/"mallory \[\S+ \S+\] \\"GET /,
        'a name is a name';
    $t->stop;

    # JSON: as hostile

    my $map = $t->file('map', q{
        klaviyo_profile  email  $customer;
        field  customer         /user/email;
        field  request_uri      path;
        klaviyo_track  "Viewed Page"  if=$request_completion;
    });
    my $line = sub {
        return encode_json({msec => $now - 100, request_method => 'GET',
            path => '/a', status => 200, request_completion => 'OK',
            user => {email => 'ann@shop.test'}, http_user_agent => $agent,
            @_}) . "\n";
    };

    my $text = join '', $line->(), $line->(status => '200', path => '/b'),
        '{' . "\n", '[]' . "\n", '{"a":' x 2000 . "\n", $line->(path => undef),
        $line->(path => ['/']), $line->(msec => 'x'), $line->(msec => undef),
        $line->(request_completion => ''), $line->(user => {email => 'no'}),
        $line->(user => 'ann@shop.test');

    ($code, $out, $err) = import_logs($t, '--dry-run', '--format=json',
        "--map=$map", shop($t), \$text);

    is $code, 1, 'JSON' or diag $err;
    like $out, qr/^2 events would be put/m, 'two are good' or diag $out;
    is skipped($out, 'malformed'), 5, 'malformed';
    is skipped($out, 'time'), 2, 'times';
    is skipped($out, 'condition'), 1, 'a condition';
    is skipped($out, 'anonymous'), 2, 'an email that is none, or not there'
        or diag $out;
    is skipped($out, 'lacks'), 0, 'nothing is lacking';
};


subtest 'what cannot be known' => sub {
    my $t = Klaviyo::Test->new(http => $people . q{
        server {
            listen 127.0.0.1:%%PORT_OTHER%%;
            server_name other.test;
            klaviyo_consent $cookie_consent;
            location / { klaviyo_track "Viewed Page"; return 204; }
        }
        map $arg_a $b { default 1; }
        }, server => q{ location = /if { if ($arg_x) { klaviyo_track X; } } }
            . $rules);

    my $log = log_file($t, 'access.log',
        combined(uri => '/from_app?id=ann'), combined(uri => '/a?id=ann'),
        combined(uri => '/thanks?id=ann&order=7&total=12.00'));

    my ($code, $out, $err) = import_logs($t, '--dry-run', shop($t), $log);

    is $code, 2, 'two servers';
    like $err, qr/choose one with --host=/, 'are told of';

    ($code, $out, $err) = import_logs($t, '--dry-run', '--host=_', shop($t),
        $log);
    is $code, 0, 'chosen' or diag $err;
    is skipped($out, 'lacks'), 1, 'an order without its number is none';
    like $out, qr/"Placed Order" lacks \$upstream_http_x_order$/m, 'named';
    like $out, qr/^2 events/m, 'the others are';
    like $err, qr/"klaviyo_track" is not followed: it stands in a block/,
        'an if is not followed';
    unlike $err, qr/klaviyo_status/, 'what makes no event is not told of';

    ($code, $out) = import_logs($t, '--dry-run', '--host=other.test', shop($t),
        $log);
    is skipped($out, 'consent'), 3, 'no consent in the line, no event';

    my $until = POSIX::strftime('%Y-%m-%d', gmtime $now - 3 * 86400);
    ($code, $out) = import_logs($t, '--dry-run', '--host=_', "--until=$until",
        shop($t), $log);
    is skipped($out, 'range'), 3, '--until';
    ($code, $out) = import_logs($t, '--dry-run', '--host=_', "--since=$until",
        shop($t), $log);
    is skipped($out, 'range'), 0, '--since';

    # what the module captured is not sent again

    my $text = join '', map {
        encode_json({time_iso8601 => '2026-09-06T18:05:09+02:00',
            request => "GET /a?id=ann HTTP/1.1", status => 200, host => '_',
            http_user_agent => $agent, klaviyo_captured => $_}) . "\n"
    } '2', '1', 'anonymous', '';

    ($code, $out) = import_logs($t, '--dry-run', '--format=json', shop($t),
        \$text);
    is skipped($out, 'captured'), 2, 'captured already' or diag $out;

    # the map of the configuration makes the same of it

    ($code, my $map) = import_logs($t, '--print-map', shop($t));
    is $code, 0, '--print-map';
    like $map, qr/^ +location ~ \^\/products\/\S+ \{\n +klaviyo_event "Viewed Product" view \{\n/m,
        'has the rules' or diag $map;

    my $file = $t->file('map', $map);
    my @both = map {
        [import_logs($t, '--dry-run', '--host=_', @$_, shop($t), $log)]
    } [], ["--map=$file"];

    $_->[1] =~ s/"captured":"[^"]+"//g for @both;
    is $both[0][1], $both[1][1], 'and gives the same events';

    for my $case (
        [['--format=w3c'], qr/unknown format "w3c": it is "combined" or "json"/],
        [['--share=0'], qr/invalid share/], [['--share=95'], qr/invalid share/],
        [['--since=yesterday'], qr/invalid time/],
        [["--map=$file.no"], qr/open\(\) .* failed/],
        [['--map=' . $t->file('worse', "nonsense a;\n")],
            qr/worse:1: unknown word "nonsense" in a map/],
        [['--map=' . $t->file('regex', "server { location ~ ( { } }")],
            qr/is no regular expression/],
        [['--map=' . $t->file('deep', 'server { ' . 'location / { ' x 50)],
            qr/too many blocks/],
    ) {
        my ($words, $like) = @$case;

        ($code, $out, $err) = import_logs($t, '--dry-run', @$words, shop($t),
            $log);
        like $err, $like, "@$words";
    }

    $t->stop;
};

done_testing;

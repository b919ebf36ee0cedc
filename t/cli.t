#!/usr/bin/perl

# klaviyo-queue beside a running nginx, and without one.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run read_file write_file give_to_worker);
use Mojo::JSON  qw(decode_json encode_json);
use Time::HiRes qw(sleep);


my $objs    = $ENV{KLAVIYO_OBJS} // 'objs';
my $program = $ENV{KLAVIYO_QUEUE} // "$objs/klaviyo-queue";
my $man     = 'cli/klaviyo-queue.8';

my $http = q{
    klaviyo_profile email $arg_email;
    klaviyo_property N $arg_n;
    klaviyo_property Padding $arg_padding;
};

my $server = q{
    location / {
        klaviyo_event "Placed Order" {
            unique_id "order $arg_n";
            value $arg_value EUR;
        }
        return 200 "thanks\n";
    }

    location /page {
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }
};

sub nginx {
    my (%option) = @_;

    return Klaviyo::Test->new(http => $http, server => $server, %option);
}

sub hits {
    my ($t, $from, $to, $padding) = @_;

    my $client = $t->client;

    for my $n ($from .. $to) {
        my $status = $client->get("/?email=v$n\@shop.test&n=$n&value=19.90"
            . '&padding=' . 'x' x ($padding // 0))->status;

        return fail("request $n: $status") if $status != 200;
    }

    $client->close;
    return 1;
}

# -> exit status, standard output, standard error
sub queue {
    my ($t, $input, @arguments) = @_;

    my %file = map { $_ => $t->dir . "/cli.$_" } qw(in out err);

    write_file($file{in}, $input, 0600);

    my $pid = fork // die "fork() failed: $!";

    if ($pid == 0) {
        open STDIN,  '<', $file{in};
        open STDOUT, '>', $file{out};
        open STDERR, '>', $file{err};
        { exec $program, @arguments }
        POSIX::_exit(127);
    }

    waitpid $pid, 0;

    return ($? & 127 ? 128 + ($? & 127) : $? >> 8,
        map { read_file($file{$_}) } qw(out err));
}

sub lines { return map { decode_json($_) } split /\n/, $_[0] }

sub ids { return [sort map { $_->{unique_id} } @_] }

sub orders { return [sort map { "order $_" } @_] }

# writes bytes over those at the offset
sub damage {
    my ($file, $offset, $bytes) = @_;

    open my $out, '+<:raw', $file or die "$file: $!";
    seek $out, $offset, 0;
    print $out $bytes;
    close $out or die "$file: $!";

    return;
}

sub folder {
    my ($folder) = @_;

    opendir my $list, $folder or die "$folder: $!";

    return join ' ', map {
        my @st = stat "$folder/$_";
        "$_ $st[1] $st[2] $st[4] $st[5]"
    } sort grep { !/^\.\.?$/ } readdir $list;
}


subtest 'usage' => sub {
    my $t = nginx(sandbox => 0);

    my ($code, $out, $err) = queue($t, '', '--help');

    is $code, 0, '--help';
    like $out, qr/^Usage: klaviyo-queue stat /, 'on standard output';
    like $out, qr/^ +$_ /m, "$_ is told" for qw(stat tail doctor send check export replay import
        repair);

    ($code, $out) = queue($t, '', '--version');
    is $code, 0, '--version';
    like $out, qr/^klaviyo-queue [0-9]+\.[0-9]+\.[0-9]+$/, 'a number';

    for my $case (
        [[], qr/which command/],
        [['state'], qr/unknown command "state"/],
        [['stat'], qr/needs the name of an account, or the path of a ring/],
        [[qw(stat --lines x)], qr/unknown option "--lines" of "stat"/],
        [[qw(stat -j x)], qr/unknown option "-j"/],
        [[qw(check --json x)], qr/unknown option "--json" of "check"/],
        [[qw(export x --spool=)], qr/without its value/],
        [[qw(export x --spool=a --spool=b)], qr/there twice/],
        [[qw(export x y)], qr/what is "y"/],
        [[qw(replay x y z)], qr/what is "z"/],
        [['stat', '--', '--json'], qr/no account "--json"/],
        [['stat', './--json'], qr/open\(\) "\.\/--json" failed/],
        [['stat', $t->queue], qr/No such file/],
        [['export', $t->queue], qr/No such file/],
        [['replay', $t->queue], qr/No such file/],
        [['repair', $t->queue], qr/No such file/],
        [['stat', $t->dir], qr/is a directory/],
        [['check', $t->dir . '/shop.key'], qr/some other file/],
        [['repair', $t->dir . '/shop.key'], qr/some other file/],
        [['replay', $t->dir . '/shop.key'], qr/lock" is missing/],
    ) {
        my ($arguments, $message) = @$case;
        ($code, $out, $err) = queue($t, '', @$arguments);

        is $code, 2, "@$arguments: 2";
        like $err, $message, '  and says why';
        is $out, '', '  not on standard output';
    }

    is folder($t->dir . '/..') =~ /klaviyo-queue/, '', 'nothing was made';
    $t->stop;
};


subtest 'the man page' => sub {
    SKIP: {
        skip 'no man here', 1
            if grep { system("command -v $_ >/dev/null") } qw(man nroff);

        is `LC_ALL=C.UTF-8 man --warnings -l $man 2>&1 >/dev/null`, '',
            'renders without a warning';
    }

    my $page = read_file($man) =~ s/\\//gr;

    like $page, qr/\Q$_\E/, "$_ is in it"
        for qw(--json --all --full --email= --timeout= --conf= --nginx= --prefix= --spool= --backfill --output=
        --dry-run --print-map --again --format= --map= --host= --share=
        --since= --until= --user= --password-file= --help --version);
};


subtest 'the sources' => sub {
    my @files = glob 'cli/*.[ch]';
    my $flags = '-Wall -Wextra -Werror -Ingx_klaviyo_module '
        . q{-DKLAVIYO_VERSION='"0"' -DKLAVIYO_REVISION='"0"'};

    for my $file (@files) {
        my @lines = split /\n/, read_file($file);

        is_deeply [grep { length($_) > 80 || /\t|\s$/ } @lines], [],
            "$file: 80 columns, no tabs";
        cmp_ok scalar @lines, '<=', 1000, "$file: at most 1,000 lines";
        is_deeply [grep {
            /#include/ && m{ngx_|nginx|curl/|_format|_private}
                && !(m{curl/} && $file =~ /_(http|tls)\.c$/)
        } @lines], [], "$file includes what it may";
    }

    for my $cc (qw(gcc clang)) {
        for my $level ('-O0', '-O2 -D_FORTIFY_SOURCE=2') {
            is join('', map { `$cc -c $level $flags -o /dev/null $_ 2>&1` }
                    grep { /\.c$/ } @files),
                '', "$cc $level";
        }
    }
};


subtest 'make install' => sub {
    my $t = nginx(sandbox => 0);
    my $to = $t->dir . '/root';

    is system("make -s install OBJS=$objs DESTDIR=$to >/dev/null"), 0, 'goes well';
    ok -x "$to/usr/sbin/klaviyo-queue", 'the program';
    ok -f "$to/usr/share/man/man8/klaviyo-queue.8", 'its man page';
    ok !-e "$to/etc/nginx", 'nothing is enabled for another root';

    # with a folder of enabled modules, as Debian has one, and without

    for my $enabled (0, 1) {
        my $here = "$to/$enabled";

        mkdir $_ for $here, "$here/available", $enabled ? "$here/enabled" : ();

        my $out = `make -s install OBJS=$objs MODULES_PATH=$here/modules \\
            SBIN_PATH=$here/sbin MAN_PATH=$here/man \\
            MODULES_ENABLED=$here/enabled MODULES_AVAILABLE=$here/available`;

        my $link = "$here/enabled/50-mod-http-klaviyo.conf";

        is $?, 0, 'goes well' or diag $out;
        is -e $link ? read_file($link) : '', $enabled
            ? "load_module modules/ngx_http_klaviyo_module.so;\n" : '',
            $enabled ? 'the module is enabled' : 'no folder, no link';
        is !!($out =~ /^enabled in /m), !!$enabled, '... and told';
        ok !-e "$here/available/mod-http-klaviyo.conf",
            '... and nothing is left' if !$enabled;
    }

    $t->stop;
};


subtest 'beside a running nginx' => sub {
    my $t = nginx(workers => 2);
    my $ring = $t->queue;
    my @spool = '--spool=' . $t->spool;

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    hits($t, 1, 20);

    my $before = folder($t->queue =~ s{/[^/]*$}{}r);
    my ($code, $out, $err) = queue($t, '', 'stat', '--json', $ring, @spool);

    is $code, 0, 'stat';
    is $err, '', '  silently';

    my $stat = decode_json($out);
    my $account = $t->account;

    is $stat->{$_}, $account->{$_}, "  $_"
        for qw(captured queued delivered dead lost dry_run);
    is $stat->{captured}, 20, '  all of them';
    is $stat->{in_use}, Mojo::JSON->true, '  in use';
    is $stat->{deliverer}, $account->{delivery}{deliverer}, '  who delivers';
    is $stat->{size}, 8 << 20, '  size';
    is $stat->{figures}{lost}{queue_full}, 0, '  reasons by name';

    ($code, $out) = queue($t, '', 'stat', $ring);
    is $code, 0, 'stat as text';
    like $out, qr/^captured +20$/m, '  captured';
    like $out, qr/^queued +20$/m, '  queued';
    like $out, qr/^in use +yes$/m, '  in use';

    ($code, $out, $err) = queue($t, '', 'check', $ring, @spool);
    is $code, 0, 'check' or diag $err;
    is $err, '', '  silently';
    is $out, "20 events are whole, 0 are missing\n", '  all are whole';

    ($code, $out, $err) = queue($t, '', 'export', $ring, @spool);
    is $code, 0, 'export' or diag $err;

    my @lines = lines($out);

    is_deeply ids(@lines), orders(1 .. 20), '  every event';
    like $lines[0]{captured}, qr/^20..-..-..T..:..:..\.[0-9]{3}Z$/,
        '  when it was captured';
    is $lines[0]{event}{type}, 'event', '  type';

    my $attributes = $lines[0]{event}{attributes};

    is $attributes->{unique_id}, $lines[0]{unique_id}, '  unique_id';
    is $attributes->{metric}{data}{attributes}{name}, 'Placed Order',
        '  metric';
    like $attributes->{profile}{data}{attributes}{email},
        qr/^v[0-9]+\@shop\.test$/, '  profile';
    like $out, qr/"value":19\.90,/, '  digits as they were';

    ($code, undef, $err) = queue($t, '', 'repair', $ring, @spool);
    is $code, 2, 'repair refuses';
    like $err, qr/in use: stop nginx first/, '  and says why';

    is folder($t->queue =~ s{/[^/]*$}{}r), $before,
        'no file came, went or changed hands';

    # replayed while they are still there, by root beside workers of another

    my $lines = $out;

    ($code, $out, $err) = queue($t, $lines, 'replay', $ring);
    is $code, 0, 'replay' or diag $err;
    is $out, "20 events put, 0 lines skipped\n", '  all of them';
    is $t->account->{captured}, 40, '  they are captured once more';
    is folder($t->queue =~ s{/[^/]*$}{}r), $before,
        '  no file came, went or changed hands';

    $t->sandbox->clear_faults;
    ok $t->wait_events(20), 'delivered';
    ok $t->wait_idle, 'all of them';
    is_deeply ids(@{ $t->sandbox->events }), orders(1 .. 20),
        'Klaviyo has each once';

    ($code, $out) = queue($t, '', 'export', $ring, @spool);
    is $code, 0, 'export of nothing';
    is $out, '', '  is nothing';
    $t->stop;
};


subtest 'reading while events come and go' => sub {
    my $t = nginx(workers => 2)->start;
    my $load = $t->load('/page?email=ada@shop.test', clients => 2,
        pause => 0.001);
    my (%code, %err);

    for (1 .. 20) {
        for my $command (qw(stat check export)) {
            my ($code, undef, $err) = queue($t, '', $command, $t->queue,
                '--spool=' . $t->spool);

            $code{$code}++;
            $err{$err}++;
        }
    }

    my $count = $load->stop;

    is_deeply \%code, {0 => 60}, 'every time 0';
    is_deeply [keys %err], [''], 'silently';
    cmp_ok $count->{ok}, '>', 100, 'there was load';
    is $count->{failed}, 0, 'none failed';
    ok $t->wait_idle, 'idle';
    $t->stop;
};


subtest 'dead letters, once more' => sub {
    my $t = nginx();

    $t->sandbox->fault(kind => 'status', status => 400);
    $t->start;
    hits($t, 1, 3);
    ok $t->wait_idle, 'refused';
    is $t->account->{dead}, 3, 'dead';

    my $dead = read_file($t->spool . '/dead.jsonl');
    my %time = map { ($_->{unique_id} => $_->{event}{attributes}{time}) }
        lines($dead);

    is_deeply [sort keys %time], orders(1 .. 3), 'their letters';

    $t->sandbox->clear_faults;
    sleep 1.1;

    my ($code, $out, $err) = queue($t, '', 'replay', '--backfill', $t->queue,
        $t->spool . '/dead.jsonl');

    is $code, 0, 'replayed' or diag $err;
    is $out, "3 events put, 0 lines skipped\n", 'all of them';

    my $events = $t->wait_events(3);
    ok $t->wait_idle, 'idle';

    is_deeply ids(@{ $t->sandbox->events }), orders(1 .. 3), 'delivered';
    is_deeply [map { $_->{times} } @$events], [1, 1, 1], 'once each';
    is_deeply [map { $_->{backfill} } @$events], [(Mojo::JSON->true) x 3],
        'as backfill';
    is $_->{time}, $time{ $_->{unique_id} }, "$_->{unique_id}: its time"
        for @$events;

    ($code) = queue($t, $dead, 'replay', $t->queue, '-');
    is $code, 0, 'and again, without backfill';
    ok wait_for(10, sub { $t->account->{delivered} == 6 }), 'delivered';
    is_deeply [map { $_->{times} } @{ $t->sandbox->events }], [2, 2, 2],
        'which Klaviyo discards';
    $t->stop;
};


subtest 'lines that are no events' => sub {
    my $t = nginx()->start;

    my $event = sub {
        my ($change) = @_;

        my $line = {
            captured  => '2026-07-15T11:59:58.123Z',
            unique_id => 'A-1',
            event     => {
                type       => 'event',
                attributes => {
                    properties => {Ok => 1},
                    metric     => {data => {type => 'metric',
                                   attributes => {name => 'Viewed Page'}}},
                    profile    => {data => {type => 'profile',
                                   attributes => {email => 'a@shop.test'}}},
                },
            },
        };

        $change->($line, $line->{event}{attributes}) if $change;

        return encode_json($line);
    };

    my @bad = (
        ['not JSON', 'not one JSON object'],
        ['[]', 'no "event"'],
        ['{"a":1,"a":2}', 'not one JSON object'],
        ['[' x 10000, 'not one JSON object'],
        ["{\"a\":\"\0\"}", 'not one JSON object'],
        [$event->(sub { delete $_[0]{event} }), 'no "event"'],
        [$event->(sub { $_[0]{event}{type} = 'profile' }), 'no "event"'],
        [$event->(sub { $_[0]{event}{attributes} = [] }), 'no "event"'],
        [$event->(sub { delete $_[1]{properties} }), 'no properties'],
        [$event->(sub { $_[1]{properties} =
            {map { ("p$_" => 1) } 1 .. 401} }), 'too many properties'],
        [$event->(sub { $_[1]{metric} = 'Viewed Page' }), 'no metric'],
        [$event->(sub { $_[1]{metric}{data}{attributes}{name} = 'x' x 128 }),
            'name of the metric'],
        [$event->(sub { $_[1]{metric}{data}{attributes}{name} = '' }),
            'name of the metric'],
        [$event->(sub { delete $_[1]{profile} }), 'no profile'],
        [$event->(sub { $_[1]{profile}{data}{attributes} = {} }),
            'no identifier'],
        [$event->(sub { $_[1]{profile}{data}{attributes}{email} = '' }),
            'no identifier'],
        [$event->(sub { $_[1]{profile}{data}{attributes}{a} = 'x' x 96000 }),
            'profile is too large'],
        [$event->(sub { delete $_[0]{unique_id} }), 'no unique_id'],
        [$event->(sub { $_[0]{unique_id} = '' }), 'unique_id is empty'],
        [$event->(sub { $_[0]{unique_id} = 'x' x 256 }), 'too long'],
        [$event->(sub { $_[0]{unique_id} = 7 }), 'no unique_id'],
        [$event->(sub { $_[1]{unique_id} = 'A-2' }), 'not that of the event'],
        [$event->(sub { $_[1]{value} = '1' }), 'not a number'],
        [$event->(sub { $_[1]{time} = 'noon' }), 'time is none'],
        [$event->(sub { $_[0]{captured} = 'noon' }), 'not a time'],
        ['x' x (7 << 20), 'line is too long'],
    );

    my @good = (
        $event->(),
        '',
        " \t\r",
        $event->(sub { $_[1]{unique_id} = delete $_[0]{unique_id} })
            =~ s/A-1/A\\u002d2/r,
        $event->(sub { $_[0]{unique_id} = 'A-3'; $_[0]{more} = {a => [1]} })
            . "\r",
        $event->(sub { $_[0]{unique_id} = "A-4\x{20ac}\"" }),
        $event->(sub { $_[0]{unique_id} = 'x' x 255 }),
    );

    my $text = join '', map { "$_\n" } map { $_->[0] } @bad;
    $text .= join "\n", @good;

    my ($code, $out, $err) = queue($t, $text, 'replay', $t->queue);

    is $code, 1, 'some were skipped';
    is $out, "5 events put, " . @bad . " lines skipped\n", 'and counted';

    my @told = split /\n/, $err;

    for my $n (1 .. 20) {
        my $message = $bad[$n - 1][1];

        like $told[$n - 1],
            qr/^klaviyo-queue: standard input, line $n: .*\Q$message\E/,
            "line $n: $message";
    }

    like $told[20], qr/: 6 more lines were skipped$/, 'then only how many';
    is scalar @told, 21, 'no more of them';

    for my $n (20 .. $#bad) {
        ($code, $out, $err) = queue($t, $bad[$n][0], 'replay', $t->queue);

        is $code, 1, "line alone: $bad[$n][1]";
        like $err, qr/line 1: .*\Q$bad[$n][1]\E/, '  is told';
    }

    my %event = map { ($_->{unique_id} => $_) } @{ $t->wait_events(5) };

    is_deeply [sort keys %event],
        [sort 'A-1', 'A-2', 'A-3', "A-4\x{20ac}\"", 'x' x 255],
        'the others are delivered';
    like $event{'A-1'}{time}, qr/^2026-07-15T11:59:58/,
        'with the time of their capture';
    $t->stop;
};


subtest 'a ring without nginx' => sub {
    my $t = nginx(account => 'queue %%QUEUE%% size=256k; spool off;');
    my $ring = $t->queue;

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    hits($t, 1, 20, 1000);
    $t->halt('KILL');

    my ($code, $out, $err) = queue($t, '', 'stat', '--json', $ring);
    my $stat = decode_json($out);

    is $code, 0, 'stat' or diag $err;
    is $stat->{in_use}, Mojo::JSON->false, '  not in use';
    is $stat->{deliverer}, 0, '  nobody delivers';
    is $stat->{queued}, 20, '  queued';

    ($code, my $export) = queue($t, '', 'export', $ring);
    is $code, 0, 'export';
    is_deeply ids(lines($export)), orders(1 .. 20), '  every event';

    # streams that are closed or full: no file of the queue takes their place

    for my $case (["replay $ring <&-", 'input.*: Bad file descriptor'],
                  ["stat $ring >&-", 'output: Bad file descriptor'],
                  ["export $ring >/dev/full", 'output: No space left'])
    {
        my ($arguments, $message) = @$case;

        ($code, $out) = run('/bin/sh', '-c', "$program $arguments");

        is $code, 2, $arguments;
        like $out, qr/standard $message/, '  and says why';
    }

    # full: nobody would empty it

    ($code, $out, $err) = queue($t, $export x 50, 'replay', $ring);
    is $code, 2, 'a full ring is not waited for';
    my ($line) = $err =~ /line ([0-9]+): the ring is full, and no nginx/;
    cmp_ok $line, '>', 20, '  and it is told from which line to go on';
    is $out, ($line - 1) . " events put, 0 lines skipped\n", '  how many';

    ($code, $out) = queue($t, '', 'check', $ring);
    is $code, 0, 'check';

    # one byte of a payload: one event

    my $bytes = read_file($ring);
    my $place = index $bytes, 'order 7';

    damage($ring, $place + 20, 'X');

    ($code, $out, $err) = queue($t, '', 'check', $ring);
    is $code, 1, 'check finds a damaged event';
    like $err, qr/ring: 1 events from number [0-9]+ on cannot be read/,
        '  and says where and how many';
    like $out, qr/, 1 are missing$/, '  and the sum';

    ($code, $out) = queue($t, '', 'export', $ring);
    is $code, 1, 'export tells too';
    is scalar(lines($out)), $line + 18, '  and writes the others';

    ($code, $out, $err) = queue($t, '', 'repair', $ring);
    is $code, 0, 'repair';
    like $err, qr/can be used as it is/, '  is not needed';

    damage($ring, $place + 20, substr $bytes, $place + 20, 1);

    # both slots, or the header: of no use to nginx

    my $now = read_file($ring);

    for my $case (['slots', 2 * 4096 + 8, 4096 + 100], ['header', 24, 1]) {
        my ($what, $offset, $len) = @$case;

        write_file($ring, $now, 0600);
        give_to_worker($ring);
        damage($ring, $offset, "\xff" x $len);

        ($code, $out, $err) = queue($t, '', 'check', $ring);
        is $code, 1, "$what: check";
        like $err, qr/the header does not|neither acknowledgement/,
            '  says what';

        for my $command (qw(stat export)) {
            ($code, $out, $err) = queue($t, '', $command, $ring);
            is $code, 2, "$what: $command cannot";
            like $err, qr/is damaged: .*, try "repair"/,
                '  and says what to do';
        }

        ($code, $out, $err) = queue($t, $export, 'replay', $ring);
        is $code, 2, "$what: replay cannot";
        like $err, qr/damaged/, '  and says why';

        my $file = $t->dir . "/$what.jsonl";

        write_file($file, '', 0600);
        ($code, $out, $err) = queue($t, '', 'repair', $ring,
            "--output=$file");
        is $code, 2, "$what: repair writes over nothing";
        ok -f $ring, '  and moves nothing';
        unlink $file;

        ($code, $out, $err) = queue($t, '', 'repair', $ring,
            "--output=$file");
        is $code, 0, "$what: repair" or diag $err;
        like $err, qr/was moved to "shop\.ring\.corrupt-[0-9]+-[0-9]+"/,
            '  moves it';
        ok !-e $ring, '  away';
        is sprintf('%o', (stat $file)[2] & 0777), '600', '  for us only';

        my %found = map { ($_ => 1) } @{ ids(lines(read_file($file))) };

        is_deeply [sort keys %found], orders(1 .. 20),
            '  and finds every event';

        my ($aside) = glob "$ring.corrupt-*";

        ($code, $out) = queue($t, '', 'repair', $aside);
        is $code, 0, "$what: what is aside can be read again";
        is_deeply [sort @{ ids(lines($out)) }],
            [sort @{ ids(lines(read_file($file))) }], '  the same';
        ok -f $aside, '  and stays';
        unlink $aside;
    }

    # nginx begins with an empty queue, and gets them back

    $t->sandbox->clear_faults;
    $t->start;
    is $t->account->{captured}, 0, 'an empty queue';
    ($code) = queue($t, read_file($t->dir . '/slots.jsonl'), 'replay', $ring);
    is $code, 0, 'replayed';
    ok $t->wait_events(20), 'delivered';
    ok $t->wait_idle, 'all of them';
    is_deeply ids(@{ $t->sandbox->events }), orders(1 .. 20), 'each once';
    $t->stop;
};


subtest 'a ring that is cut short' => sub {
    my $t = nginx(account => 'queue %%QUEUE%% size=256k; spool off;');

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    hits($t, 1, 20, 1000);
    $t->halt('KILL');
    truncate $t->queue, 60_000 or die $!;

    my ($code, $out, $err) = queue($t, '', 'check', $t->queue);
    is $code, 1, 'check';
    like $err, qr/the header does not hold together with the file/,
        '  says so';

    ($code, $out, $err) = queue($t, '', 'repair', $t->queue);
    is $code, 0, 'repair' or diag $err;

    my @left = lines($out);

    cmp_ok scalar @left, '>', 1, '  finds what is left';
    is_deeply ids(@left), orders(1 .. @left), '  the first of them';
    $t->stop;
};


subtest 'events in both tiers' => sub {
    my $t = nginx(account => 'spool %%SPOOL%% sync=50ms;');
    my $ring = $t->queue;
    my @spool = '--spool=' . $t->spool;

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    hits($t, 1, 20);

    ok wait_for(10, sub {
        my ($code, $out) = queue($t, '', 'stat', '--json', $ring, @spool);
        $code == 0 && decode_json($out)->{spool}{events} == 20
    }), 'the spool has them too';

    my ($code, $out, $err) = queue($t, '', 'check', $ring, @spool);
    is $code, 0, 'check' or diag $err;
    is $out, "20 events are whole, 0 are missing\n", '  counts them once';

    ($code, $out) = queue($t, '', 'export', $ring, @spool);
    is $code, 0, 'export';
    is_deeply ids(lines($out)), orders(1 .. 20), '  each once';

    $t->halt('KILL');

    my ($segment) = glob $t->spool . '/*.spool';

    damage($segment, 1 + index(read_file($segment), 'order 7'), 'X');

    ($code, $out, $err) = queue($t, '', 'check', $ring, @spool);
    is $code, 1, 'check finds a damaged copy';
    like $err, qr/copies of 1 events from number [0-9]+ on cannot be read/,
        '  and says so';
    is $out, "20 events are whole, 0 are missing\n", '  none is missing';

    # a ring that is gone, and one that has not taken the spool over

    rename $ring, "$ring.gone" or die $!;

    ($code, $out, $err) = queue($t, '', 'export', $ring, @spool);
    is $code, 1, 'export of the spool alone';
    is_deeply ids(lines($out)), orders(grep { $_ != 7 } 1 .. 20),
        '  is what is whole';

    $t->set(account => 'spool off;');
    $t->start;
    hits($t, 21, 25);

    ($code, $out, $err) = queue($t, '', 'stat', '--json', $ring, @spool);
    is $code, 0, 'stat with a new ring' or diag $err;
    is decode_json($out)->{spool}{belongs_to}, 'another ring', '  says so';

    ($code, $out, $err) = queue($t, '', 'export', $ring, @spool);
    is $code, 1, 'export with a new ring';
    is_deeply ids(lines($out)), orders(grep { $_ != 7 } 1 .. 25),
        '  of both';

    $t->sandbox->clear_faults;
    ok $t->wait_idle, 'idle';
    $t->stop;
};


# nginx makes the folder when it starts, and the spool in it a moment later

subtest 'a spool that was not opened yet' => sub {
    my $t = nginx(account => 'spool off;');
    my $ring = $t->queue;
    my $new  = $t->dir . '/new';
    my @spool = "--spool=$new";

    mkdir $new, 0700 or die "mkdir $new failed: $!\n";
    give_to_worker($new);

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    hits($t, 1, 5);

    my ($code, $out, $err) = queue($t, '', 'stat', '--json', $ring, @spool);

    is $code, 0, 'stat' or diag $err;
    is_deeply decode_json($out)->{spool},
        {dir => $new, belongs_to => 'no ring yet', events => 0, bytes => 0,
         segments => 0}, '  it is empty';

    ($code, $out, $err) = queue($t, '', 'check', $ring, @spool);
    is $code, 0, 'check' or diag $err;
    is $out, "5 events are whole, 0 are missing\n", '  counts the ring';

    ($code, $out, $err) = queue($t, '', 'export', $ring, @spool);
    is $code, 0, 'export' or diag $err;
    is_deeply ids(lines($out)), orders(1 .. 5), '  has the ring';

    ($code, undef, $err) = queue($t, '', 'repair', "$ring.gone", @spool);
    is $code, 0, 'repair' or diag $err;
    like $err, qr/there is no spool in "\Q$new\E"/, '  has nothing to do';

    # segments without their state are another matter, and so is a typo

    write_file("$new/0000000000000001.spool", 'x' x 8192, 0600);
    give_to_worker("$new/0000000000000001.spool");

    ($code, undef, $err) = queue($t, '', 'stat', $ring, @spool);
    is $code, 2, 'stat with a segment';
    like $err, qr{"\Q$new\E/state" is damaged}, '  says so';

    ($code, undef, $err) = queue($t, '', 'stat', $ring, "--spool=$new.typo");
    is $code, 2, 'stat of no folder';
    like $err, qr/stat\(\) "\Q$new.typo\E" failed/, '  says so';

    $t->sandbox->clear_faults;
    ok $t->wait_idle, 'idle';
    $t->stop;
};


subtest 'events that only the spool has' => sub {
    my $t = nginx(account => 'queue %%QUEUE%% size=256k;');
    my $ring = $t->queue;
    my @spool = '--spool=' . $t->spool;

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;

    for my $i (0 .. 19) {
        hits($t, 20 * $i + 1, 20 * $i + 20, 2000);
        sleep slow(0.05);
    }

    ok wait_for(10, sub {
        my $stat = decode_json((queue($t, '', 'stat', '--json', $ring,
            @spool))[1]);
        $stat->{spooled} && $stat->{queued} == 400
    }), 'the spool has a part of them';

    my ($code, $out, $err) = queue($t, '', 'stat', '--json', $ring, @spool);
    my $stat = decode_json($out);

    is $stat->{spool}{belongs_to}, 'this ring', 'stat: whose';
    cmp_ok $stat->{spool}{events}, '>=', $stat->{spooled}, '  events';
    cmp_ok $stat->{spool}{bytes}, '>', 2000 * $stat->{spooled}, '  bytes';

    ($code, $out, $err) = queue($t, '', 'check', $ring, @spool);
    is $code, 0, 'check' or diag $err;
    is $out, "400 events are whole, 0 are missing\n", '  all are whole';

    ($code, $out, $err) = queue($t, '', 'export', $ring, @spool);
    is $code, 0, 'export' or diag $err;
    is_deeply ids(lines($out)), orders(1 .. 400), '  every event';

    ($code, $out, $err) = queue($t, '', 'export', $ring);
    is $code, 1, 'export without --spool';
    like $err, qr/are in the spool: name it with --spool=/, '  says so';
    is scalar(lines($out)), 400 - $stat->{spooled}, '  and writes the rest';

    # a directory without a spool is an empty one

    ($code, $out, $err) = queue($t, '', 'check', $ring,
        '--spool=' . $t->dir);
    is $code, 1, 'check with another directory';
    like $out, qr/, \Q$stat->{spooled}\E are missing$/, '  misses them';

    # without nginx, and with one damaged event

    $t->halt('QUIT');
    is decode_json((queue($t, '', 'stat', '--json', $ring, @spool))[1])
        ->{queued}, 400, 'all are queued after its end';

    ($code, $out, $err) = queue($t, '', 'check', $ring, @spool);
    is $code, 0, 'check after its end' or diag $err;

    my ($segment) = sort glob $t->spool . '/*.spool';
    my $bytes = read_file($segment);
    my $place = index $bytes, 'order 3"';

    damage($segment, $place + 1, 'X');
    ($code, $out, $err) = queue($t, '', 'check', $ring, @spool);
    is $code, 1, 'check finds a damaged event in there';
    like $err, qr/spool: .*1 events from number [0-9]+ on cannot be read/,
        '  and says where and how many';
    damage($segment, $place + 1, substr $bytes, $place + 1, 1);

    # the state

    damage($t->spool . '/state', 0, "\xff" x 8192);
    ($code, $out, $err) = queue($t, '', 'check', $ring, @spool);
    is $code, 1, 'check finds a damaged state';
    like $err, qr/neither slot is whole/, '  and says so';
    like $out, qr/, [1-9][0-9]* are missing$/, '  and how many it costs';

    ($code, $out, $err) = queue($t, '', 'stat', $ring, @spool);
    is $code, 2, 'stat cannot';

    ($code, my $found, $err) = queue($t, '', 'repair', $ring, @spool);
    is $code, 0, 'repair' or diag $err;
    like $err, qr/moved to "\.corrupt-/, '  moves it';
    is_deeply ids(lines($found)), orders(1 .. 400), '  and finds all';

    my ($aside) = glob $t->spool . '/.corrupt-*';

    ($code, $out) = queue($t, '', 'repair', $ring, "--spool=$aside");
    is $code, 0, 'what is aside can be read again';
    is $out, $found, '  the same';

    $t->sandbox->clear_faults;
    $t->allow(qr/did not survive|is damaged/);
    $t->start;
    ($code, $out, $err) = queue($t, $found, 'replay', $ring);
    is $code, 0, 'replayed, through a ring that is too small for them'
        or diag $err;
    ok $t->wait_events(400, 20), 'delivered';
    ok $t->wait_idle(20), 'all of them';
    is_deeply ids(@{ $t->sandbox->events }), orders(1 .. 400), 'each once';
    $t->stop;
};


done_testing;

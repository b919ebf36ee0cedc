#!/usr/bin/perl

# Root stays out of what the workers' user can change: links swapped in, files
# that are none, a lock in the ring's file that leads elsewhere.  As root only.

use lib 't/lib';
use Klaviyo::Test;

use Klaviyo::Test::Process qw(
    run temp_folder worker_user read_file write_file
);


plan skip_all => 'needs root' if $> != 0;

my ($name, $group, $uid, $gid) = worker_user();
my $tool = $ENV{KLAVIYO_QUEUE}
    // ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';


# a spool below a folder of the workers', as the attacks need it; a folder of
# root's, and what is in it

sub attacked {
    my (%option) = @_;

    my $base = temp_folder();

    mkdir "$base/$_" for qw(theirs theirs/spool theirs/letters precious);
    write_file("$base/precious/state", "root's\n", 0644);
    chown $uid, $gid, map { "$base/$_" } qw(theirs theirs/spool
                                            theirs/letters);

    my $t = Klaviyo::Test->new(
        http    => 'klaviyo_profile external_id x;',
        server  => 'location / { klaviyo_track A; return 204; }',
        account => "spool $base/theirs/spool;"
            . " dead_letter $base/theirs/letters/dead.jsonl;",
        %option,
    );

    $t->{base} = $base;

    return $t;
}


# what is there: path => "uid mode links size"

sub listing {
    my ($folder) = @_;

    my %found;

    for my $path ($folder, glob "$folder/{*,.[!.]*}") {
        my @st = lstat $path or next;

        $found{$path} = sprintf '%d %o %d %d', $st[4], $st[2], $st[3],
            -d _ ? 0 : $st[7];
    }

    return \%found;
}


# runs the code with the rights of the workers

sub as_worker {
    my ($code) = @_;

    my $pid = fork() // die "fork() failed: $!\n";

    if ($pid == 0) {
        $) = "$gid $gid";
        POSIX::setgid($gid);
        POSIX::setuid($uid);
        POSIX::_exit(eval { $code->(); 1 } ? 0 : 1);
    }

    waitpid $pid, 0;

    return $? == 0;
}


my %attack = (
    'the spool is a link' => sub {
        my ($base) = @_;

        rename "$base/theirs/spool", "$base/theirs/old" or die;
        symlink "$base/precious", "$base/theirs/spool" or die;
    },
    'the folder of the dead letters is a link' => sub {
        my ($base) = @_;

        rename "$base/theirs/letters", "$base/theirs/was" or die;
        symlink "$base/precious", "$base/theirs/letters" or die;
    },
    'what is missing is behind a link' => sub {
        my ($base) = @_;

        rename "$base/theirs/spool", "$base/theirs/gone" or die;
        symlink "$base/precious/new", "$base/theirs/spool" or die;
    },
    'the dead letters are a fifo' => sub {
        my ($base) = @_;

        unlink "$base/theirs/letters/dead.jsonl";
        POSIX::mkfifo("$base/theirs/letters/dead.jsonl", 0600) or die;
    },
    'the state is a hard link' => sub {
        my ($base) = @_;

        unlink "$base/theirs/spool/state";
        link "$base/theirs/letters/dead.jsonl", "$base/theirs/spool/state"
            or die;
    },
);


# 1. Events that are not sent, then a stop: whose files are made, and where

for my $what (sort keys %attack) {
    for my $when (qw(stop reload check)) {
        my $t = attacked();

        $t->allow(qr/\[(?:emerg|crit)\].*klaviyo/);
        $t->sandbox->fault(kind => 'status', status => 503);
        $t->start;
        $t->get('/') for 1 .. 3;

        my $before = listing("$t->{base}/precious");

        ok as_worker(sub { $attack{$what}->($t->{base}) }),
            "$what, $when: an attack";

        if ($when eq 'reload') {
            $t->nginx->reload(timeout => 3);

        } elsif ($when eq 'check') {
            my ($code) = $t->check;

            ok $code != 0 || $what =~ /hard link/,
                "$what: nginx -t refuses it";
        }

        $t->halt('QUIT');

        is_deeply listing("$t->{base}/precious"), $before,
            "$what, $when: nothing in root's folder was touched";

        $t->_end;
        system 'rm', '-rf', $t->{base};
    }
}


# 2. The list of robust locks, in a file that workers write: whoever takes the
# lock would write where it leads

subtest 'a lock that leads elsewhere' => sub {
    my $t = attacked();

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    $t->get('/') for 1 .. 3;

    my $master = $t->master;
    my $maps   = read_file("/proc/$master/maps");

    unlike $maps, qr/\.ring/, 'the master has no ring in its memory';

    for my $worker ($t->workers) {
        like read_file("/proc/$worker/maps"), qr/shop\.ring/,
            'the worker has';
    }

    # glibc's __list of an unlocked mutex, and a locked one of nobody's

    ok as_worker(sub {
        open my $ring, '+<:raw', $t->queue or die;
        seek $ring, 4096 + 24, 0;
        print $ring 'A' x 8, 'B' x 8;
        close $ring or die;
    }), 'crafted';

    $t->allow(qr/\[(?:alert|crit|emerg)\]/);
    $t->halt('QUIT');

    is $t->nginx->{exit_code}, 0, 'the master ends well';
    $t->_end;
    system 'rm', '-rf', $t->{base};
};


# 3. klaviyo-queue: by whom it opens what

subtest 'klaviyo-queue' => sub {
    my $t    = attacked();
    my $base = $t->{base};
    my $ring = $t->queue;

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    $t->get('/') for 1 .. 3;

    my ($code, $output) = run($tool, 'export', $ring);

    is $code, 0, 'export' or diag $output;
    write_file("$base/out.jsonl", $output, 0600);

    ($code, $output) = run($tool, 'replay', $ring, "$base/out.jsonl");
    is $code, 0, 'replay of a file that only root can read' or diag $output;

    # dead letters that lead to what only root can read

    write_file("$base/precious/secret", '{"password":"root"}' . "\n", 0600);
    ok as_worker(sub {
        symlink "$base/precious/secret", "$base/theirs/letters/x.jsonl" or die;
    }), 'a link';

    ($code, $output) = run($tool, 'replay', $ring,
        "$base/theirs/letters/x.jsonl");
    is $code, 2, 'replay of a link of theirs is refused';
    like $output, qr/open\(\) .* failed \(13:/, 'as they may not read it';

    # output there

    ok as_worker(sub {
        symlink "$base/precious", "$base/theirs/out" or die;
    }), 'a link';

    my $before = listing("$base/precious");

    ($code, $output) = run($tool, 'repair', $ring,
        "--output=$base/theirs/out/x.jsonl");
    is $code, 2, 'output behind a link of theirs is refused';
    is_deeply listing("$base/precious"), $before, 'nothing is made there';

    $t->halt('KILL');

    # a ring that is a link, a lock that is one

    ok as_worker(sub {
        unlink "$ring.lock";
        symlink "$base/precious/state", "$ring.lock" or die;
    }), 'the lock is a link';
    ($code, $output) = run($tool, 'replay', $ring, "$base/out.jsonl");
    isnt $code, 0, 'replay is refused';
    is_deeply listing("$base/precious"), $before, 'nothing was touched';

    # a damaged ring: repair writes for root, into root's folder

    ok as_worker(sub {
        unlink "$ring.lock";
        open my $file, '+<:raw', $ring or die;
        print $file 'x' x 100;
        close $file or die;
    }), 'damage';

    ($code, $output) = run($tool, 'repair', $ring, "--output=$base/found");
    is $code, 0, 'repair' or diag $output;
    is +(stat "$base/found")[4], 0, 'its output is root\'s';
    is sprintf('%o', (stat "$base/found")[2] & 07777), '600',
        'and nobody else\'s';

    my ($aside) = glob "$ring.corrupt-*";

    is +(stat $aside)[4], $uid, 'what went aside is still theirs';

    $t->_end;
    system 'rm', '-rf', $base;
};


# what a terminal would obey: in an event, in a name

subtest 'a terminal' => sub {
    plan skip_all => 'needs script' if !-x '/usr/bin/script';

    my $t = Klaviyo::Test->new(
        http    => 'klaviyo_profile external_id x;'
            . "klaviyo_property note \"\x{9b}31m\x7f\x{e9}\x{263a}\";",
        server  => 'location / { klaviyo_track A; return 204; }',
    );

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    $t->get('/');

    my $ring = $t->queue;
    my (undef, $plain) = run($tool, 'export', $ring);

    like $plain, qr/\xc2\x9b31m/, 'a pipe gets it as it is';

    my (undef, $shown) = run('/usr/bin/script', '-qec', "$tool export $ring",
        '/dev/null');

    like $shown, qr/\\u009b31m\\u007f\xc3\xa9/, 'a terminal does not';
    unlike $shown, qr/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]/,
        'nothing to obey';

    (undef, $shown) = run('/usr/bin/script', '-qec',
        "$tool stat '/no\e[31m'", '/dev/null');

    like $shown, qr/no\\u001b\[31m/, 'nor a name' or diag $shown;

    # the file that says where an account's files are is the workers', too

    my $other = $ring =~ s/[^\/]*$/"\e[31m.ring"/re;
    my $said = $ring =~ s/\.ring$/.account/r;

    system 'cp', '-p', $ring, $other;
    write_file($said, read_file($said) =~ s/^ring .*/ring $other/mr);

    for my $form ('', '--json') {
        (undef, $shown) = run('/usr/bin/script', '-qec',
            "$tool stat $form " . $ring =~ s/\.ring$//r, '/dev/null');

        like $shown, qr/\\u001b\[31m\.ring/, "nor a path $form" or diag $shown;
        unlike $shown, qr/\e/, 'nothing to obey';
    }

    unlink $other;

    $t->halt('KILL');
    $t->_end;
};


# who is neither root nor the workers' user is told so

subtest 'another user' => sub {
    my $setpriv = '/usr/bin/setpriv';

    plan skip_all => 'needs setpriv' if !-x $setpriv;

    my $t = Klaviyo::Test->new(sandbox => 0);
    my $copy = $t->dir . '/klaviyo-queue';
    my @other = ($setpriv, '--reuid=daemon', '--regid=daemon',
        '--clear-groups', $copy);

    system 'install', '-m', '0755', $tool, $copy;
    $t->start;

    my $ring = $t->queue;
    my $shop = $ring =~ s/\.ring$//r;

    for my $arguments (["stat", $shop], ["export", $ring], ["replay", $ring],
                       ['send', $shop, '--email=a@shop.test'])
    {
        my ($code, $output) = run(@other, @$arguments);

        is $code, 2, "$$arguments[0] cannot" or diag $output;
        like $output, qr/ may not be read \(13: .*: run this as root, or as the/,
            'and says what to do';
    }

    my ($code, $output) = run(@other, 'doctor', '--conf=' . $t->dir
        . '/nginx.conf', '--nginx=' . ($ENV{KLAVIYO_NGINX} // 'nginx'));

    is $code, 2, 'doctor cannot look' or diag $output;
    like $output, qr/may not be read: run this as root/, 'and says so';

    $t->stop;
};


# 4. A container that dropped all capabilities but these

subtest 'without CAP_DAC_OVERRIDE' => sub {
    my $setpriv = '/usr/bin/setpriv';

    plan skip_all => 'needs setpriv' if !-x $setpriv;

    my $t = Klaviyo::Test->new(
        http    => 'klaviyo_profile external_id x;',
        server  => 'location / { klaviyo_track A; return 204; }',
        account => 'hold 1h;',
    );

    my $nginx = $t->nginx;
    my $plain = $nginx->{binary};

    write_file($t->dir . '/contained', join(' ', '#!/bin/sh', "\nexec",
        $setpriv, '--bounding-set', '-all,+chown,+setuid,+setgid',
        '--inh-caps', '-all', $plain, '"$@"') . "\n", 0755);

    # root in there may not read what is the workers', nor nginx's temporary
    # folders, which it makes itself

    $nginx->{binary} = $t->dir . '/contained';

    my ($code, $output) = $t->check;

    is $code, 0, 'nginx -t' or diag $output;
    ok !-e $t->spool, 'it leaves nothing behind';

    $t->start;
    $t->get('/');
    is scalar @{ $t->wait_events(1) // [] }, 1, 'an event arrives';

    is +($t->check)[0], 0, 'nginx -t beside it';
    ok $t->reload(gone => 10), 'a reload';
    $t->get('/');
    is scalar @{ $t->wait_events(2) // [] }, 2, 'an event arrives';
    ok $t->halt('QUIT'), 'a stop';

    $t->start;
    $t->get('/');
    is scalar @{ $t->wait_events(3) // [] }, 3, 'and after a restart';
    $t->stop;
};


# 5. Another user of the workers: refused, until the files are theirs

subtest 'another user' => sub {
    plan skip_all => 'needs a user "daemon"' if !defined getpwnam 'daemon';

    my ($other, $others) = (getpwnam 'daemon')[2, 3];

    my $t = Klaviyo::Test->new(
        http   => 'klaviyo_profile external_id x;',
        server => 'location / { klaviyo_track A; return 204; }',
    );

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->start;
    $t->get('/') for 1 .. 3;
    $t->halt('QUIT');

    $t->set(user => 'user daemon;');

    my ($code, $output) = $t->check;

    isnt $code, 0, 'refused';
    like $output, qr/\[emerg\].*\(13:.*give it to the user that nginx's workers/,
        'says what to do';

    system 'chown', '-R', "$other:$others", $t->{queue_dir}, $t->spool;
    $t->sandbox->clear_faults;

    is +($t->check)[0], 0, 'done';
    $t->start;
    is scalar @{ $t->wait_events(3) // [] }, 3, 'the events arrive';
    $t->stop;
};

done_testing;

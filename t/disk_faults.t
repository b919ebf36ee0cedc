#!/usr/bin/perl

# The disk that the spool is on fails, is full, read-only, slow or hangs, and
# files in it are damaged or go.
#
# What is claimed: requests never wait for the disk.  An event that the disk
# did not take stays in the ring and is delivered from there; one that it took
# and does not give back is counted as lost.  The others are delivered, each
# once, and when the disk is well again nothing has to be done.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run running temp_folder read_file write_file);
use Errno       ();
use File::Path  qw(remove_tree);
use FindBin;
use Time::HiRes qw(sleep time);


# t/lib/disk_fault.c: one fault for each kind of call, for paths below a
# folder that hold `name`

package Disk {
    use constant KINDS => qw(open create write sync unlink read unload);
    use constant SIZE  => 48;

    my $library;

    sub new {
        my ($class) = @_;

        my $folder = Klaviyo::Test::Process::temp_folder();
        my $self   = bless {folder => $folder, owner => $$}, $class;

        my ($code, $output) = Klaviyo::Test::Process::run('cc', '-O2',
            '-shared', '-fPIC', '-o', "$folder/disk_fault.so",
            "$FindBin::Bin/lib/disk_fault.c", '-ldl');

        die "disk_fault.c does not compile:\n$output\n" if $code;

        open $self->{control}, '+>', "$folder/control"
            or die "open $folder/control failed: $!\n";
        binmode $self->{control};

        return $self->well;
    }

    # a sanitizer's library has to be the first
    sub env {
        my ($self, $dir) = @_;

        return (
            LD_PRELOAD => join(':', $ENV{LD_PRELOAD} // (),
                               "$self->{folder}/disk_fault.so"),
            DISK_FAULT_CONTROL => "$self->{folder}/control",
            DISK_FAULT_DIR     => $dir,
        );
    }

    sub _seek {
        my ($self, $kind) = @_;

        my %at = map { (KINDS)[$_] => $_ } 0 .. KINDS - 1;

        sysseek $self->{control}, $at{$kind} * SIZE, 0;

        return $self->{control};
    }

    # kinds, then error => name, delay => ms (-1: until well), times => n,
    # name => part
    sub ill {
        my ($self, $kinds, %option) = @_;

        my $error = $option{error} ? Errno->can($option{error})->() : 0;

        syswrite $self->_seek($_), pack('lllLa32', $error,
            $option{delay} // 0, $option{times} // -1, 0,
            $option{name} // '') for split ' ', $kinds;

        return $self;
    }

    sub well {
        my ($self) = @_;

        return $self->ill(join(' ', KINDS), times => 0);
    }

    # how often the fault was met
    sub hits {
        my ($self, $kind) = @_;

        sysread $self->_seek($kind), my $bytes, SIZE;

        return (unpack 'lllL', $bytes)[3];
    }

    sub DESTROY {
        my ($self) = @_;

        local ($?, $@, $!);

        return if $self->{owner} != $$;

        unlink glob "$self->{folder}/*";
        rmdir $self->{folder};

        return;
    }
}


my $text = 'x' x 1500;

# the ring holds about 130 events, a segment about 150

my $small = 'queue %%QUEUE%% size=256k; spool %%SPOOL%% size=4m;';
my $large = 'queue %%QUEUE%% size=8m; spool %%SPOOL%% sync=40ms;';

my $disk;
my $sent = 0;

sub ready {
    my (%option) = @_;

    $disk = Disk->new;

    my $t = Klaviyo::Test->new(
        sandbox => {limits => 'off'},
        http    => qq{
            klaviyo_profile email \$arg_email;
            klaviyo_property N \$arg_n;
            klaviyo_property Text $text;
        },
        server  => q{
            location / {
                klaviyo_track "Viewed Page";
                return 200 "page\n";
            }
        },
        %option,
    );

    my %env = $disk->env($t->spool);

    $t->nginx->{env}{$_} = $env{$_} for keys %env;

    return $t;
}

sub start {
    my $t = ready(@_)->start;

    wait_for(10, sub { $t->log =~ /this worker delivers/ })
        or fail('nobody delivers');

    return $t;
}

sub outage { return $_[0]->sandbox->fault(kind => 'status', status => 503) }

# n more requests, numbered on, and how long each took, ms; pause: s
sub hits {
    my ($t, $n, $pause, $path) = @_;

    $path //= '/';

    my $client = $t->client;
    my @took;

    for (1 .. $n) {
        my $i      = ++$sent;
        my $begun  = time;
        my $status = $client->get("$path?email=v$i\@shop.test&n=$i")->status;

        push @took, (time - $begun) * 1000;

        return fail("request $i: $status") if $status != 200;
        sleep $pause if $pause;
    }

    $client->close;
    return sort { $a <=> $b } @took;
}

# paced, as the spool has to keep up with them
sub outage_hits {
    my ($t, $n) = @_;

    outage($t);

    for (1 .. $n / 40) {
        hits($t, 40);
        sleep 0.1;
    }

    return wait_for(5, sub {
        my $queue = $t->account->{queue};
        $queue->{used} <= 0.6 * $queue->{size};
    });
}

sub numbers { return [sort { $a <=> $b } map { $_->{properties}{N} }
                      @{ $_[0]->sandbox->events(limit => 10_000) }] }

# lost: how many may be
sub arrived {
    my ($t, $from, $name, %option) = @_;

    my ($least, $most) = @{ $option{lost} // [0, 0] };

    ok $t->wait_idle(30), "$name: nothing is left in the queue";

    my $account = $t->account;
    my $numbers = numbers($t);
    my $lost    = $account->{reasons}{lost}{spool_unreadable} // 0;
    my %seen    = map { $_ => 1 } @$numbers;

    is @$numbers, $account->{delivered}, "$name: each delivered one once";
    is keys %seen, @$numbers, "$name: none twice";
    is $account->{captured}, $sent - $from + 1, "$name: all were captured";
    is $account->{delivered} + $lost, $account->{captured},
        "$name: all others are delivered" or diag explain $account->{reasons};
    ok $lost >= $least && $lost <= $most,
        "$name: $lost are lost, of $least to $most";

    return grep { !$seen{$_} } $from .. $sent;
}

sub segments {
    my @segments = sort glob($_[0]->spool . '/*.spool');

    return @segments;
}


# One worker: it serves, and it delivers.

subtest 'a slow disk' => sub {
    my $t = start(account => $large);
    my $from = $sent + 1;

    outage($t);
    hits($t, 10);
    $disk->ill('sync', delay => 2000);

    my @took = hits($t, 500, 0.01);

    cmp_ok $disk->hits('sync'), '>=', 2, 'it waits for the disk';
    cmp_ok $took[@took * 0.99], '<', 100, 'no request does'
        or diag "@took[-5 .. -1]";
    cmp_ok $took[-1], '<', 500, 'not a single one';

    $t->sandbox->clear_faults;

    my $before = $disk->hits('sync');

    hits($t, 50);
    ok $t->wait_events(560, 5), 'delivery does not wait for it either';
    cmp_ok $disk->hits('sync'), '<=', $before + 4, 'which was slow until then';

    $disk->well;
    arrived($t, $from, 'slow');
    $t->stop;
};


subtest 'a sync fails' => sub {
    my $t = start(account => $small);
    my $from = $sent + 1;

    outage_hits($t, 120);
    cmp_ok $t->account->{spool}{events}, '>', 10, 'it spills';

    $disk->ill('sync', error => 'EIO', times => 1, name => '.spool');
    outage_hits($t, 120);

    my $spool = $t->account->{spool};

    is $disk->hits('sync'), 1, 'once';
    is $spool->{segments_abandoned}, 1, 'its segment is abandoned';
    is $spool->{errors}, 0, 'another one was good';
    cmp_ok $spool->{events}, '>', 120, 'it spills';

    # and so does the other one

    $t->allow(qr/\[crit\].*fdatasync\(\) ".*\.spool" failed/);
    $disk->ill('sync', error => 'EIO', times => 4, name => '.spool');
    outage_hits($t, 80);

    ok wait_for(10, sub { $disk->hits('sync') == 4
                          && $t->account->{spool}{events} > 200 }),
        'it goes on when the disk is well again'
        or diag explain $t->account;

    $spool = $t->account->{spool};
    is $spool->{segments_abandoned}, 5, 'segments are abandoned';
    is $spool->{errors}, 2, 'errors are counted';
    is scalar(() = $t->log =~ /\[crit\]/g), 1, 'and told once';

    # not in a segment, but of the state

    $t->allow(qr/\[crit\].*writing ".*state" failed/);
    $disk->ill('sync', error => 'EIO', times => 3, name => 'state');
    outage_hits($t, 80);
    ok wait_for(10, sub { $disk->hits('sync') == 3
                          && $t->account->{spool}{events} > 280 }),
        'the same with the state' or diag explain $t->account;

    $t->sandbox->clear_faults;
    arrived($t, $from, 'a failed sync');
    $t->stop;
};


for my $error (qw(ENOSPC EROFS EIO)) {
    subtest "nothing can be written: $error" => sub {
        my $t = start(account => $small);
        my $from = $sent + 1;

        $t->allow(qr/\[crit\].*klaviyo account "shop": /);

        # an outage that ends before the ring is full

        $disk->ill('create write sync unlink', error => $error);
        outage($t);
        hits($t, 110);
        sleep 2.5;

        my $account = $t->account;

        is $account->{queued}, 110, 'all are kept';
        is $account->{spool}{events}, 0, 'in the ring';
        cmp_ok $account->{spool}{errors}, '>=', 2, 'errors are counted';
        cmp_ok $account->{spool}{errors}, '<=', 5, 'once a second';
        is scalar(() = $t->log =~ /\[crit\]/g), 1, 'told once';
        like $t->log, qr/\[crit\].*klaviyo account "shop": .*spool.* failed/,
            'with what failed';

        $t->sandbox->clear_faults;
        ok $t->wait_events(110, 15), 'delivery goes on';

        # an outage that the disk lives to see the end of

        outage($t);
        hits($t, 100);
        sleep 1;
        $disk->well;
        ok wait_for(5, sub { $t->account->{spool}{events} > 10 }),
            'it spills when the disk is well again';
        outage_hits($t, 120);

        $t->sandbox->clear_faults;
        arrived($t, $from, $error);
        $t->stop;
    };
}


# the ring does what the spool cannot, and what it cannot either is lost, and
# counted

subtest 'the disk is full and so is the ring' => sub {
    my $t = start(account => $small);

    $t->allow(qr/\[crit\].*klaviyo account "shop": /);
    $disk->ill('create write', error => 'ENOSPC');
    outage($t);
    hits($t, 250);

    my $account = $t->account;

    cmp_ok $account->{reasons}{lost}{queue_full}, '>', 80, 'lost';
    is $account->{lost} + $account->{queued}, 250, 'counted';

    $disk->well;
    $t->sandbox->clear_faults;
    ok $t->wait_idle(10), 'the others';
    is @{ numbers($t) }, $account->{queued}, 'are delivered';
    $t->stop;
};


subtest 'the disk hangs at the start' => sub {
    my $t = ready(account => $large);
    my $from = $sent + 1;

    $disk->ill('sync', delay => 10_000);

    my $begun = time;

    $t->start;
    hits($t, 20);
    ok $t->wait_events(20, 8), 'what is in the ring is delivered';

    my $took = time - $begun;

    is $disk->hits('sync'), 1, 'while the disk hangs';
    cmp_ok $took, '>', 1.5, 'not at once';
    cmp_ok $took, '<', slow(6), 'but soon';

    $disk->well;
    arrived($t, $from, 'hanging');
    cmp_ok time - $begun, '<', 10, 'and it hangs to the end';
    $t->stop('QUIT', timeout => 20);
};


# What nginx waits for when it exits: a worker for the jobs under way, a second
# at most, and then the master for what it writes itself.  Both are a few calls
# each: the time is theirs, and nothing is added to it.

for my $signal (qw(QUIT TERM)) {
    subtest "the disk is slow when nginx ends: $signal" => sub {
        my $t = start(account => $large);
        my $from = $sent + 1;

        outage($t);
        hits($t, 20);
        sleep 0.5;
        $disk->ill('sync', delay => 700);
        hits($t, 20, 0.01);
        wait_for(5, sub { $disk->hits('sync') >= 1 });

        my $hits  = $disk->hits('sync');
        my $begun = time;

        ok $t->halt($signal, 20), 'it ends';

        my $took = time - $begun;
        my $n    = $disk->hits('sync') - $hits + 1;

        note sprintf '%.1f s, %d syncs of 0.7 s', $took, $n;
        cmp_ok $n, '<=', 8, 'few syncs';
        cmp_ok $took, '<', $n * 0.7 + slow(1), 'and nothing else';

        $disk->well;
        $t->sandbox->clear_faults;
        $t->start;
        arrived($t, $from, 'after the start');
        $t->stop;
    };
}


# A disk that hangs until somebody pulls the cable, and one account's only.

subtest 'the disk of one account hangs for ever' => sub {
    my $t = ready(
        account => $large,
        http    => qq{
            klaviyo_account two {
                api_key_file %%KEY_FILE%%;
                endpoint %%ENDPOINT%%;
                queue %%QUEUE_DIR%%/two.ring size=8m;
                spool %%DIR%%/two sync=40ms;
                batch linger=50ms;
                retry min=50ms max=1s;
            }
            klaviyo_profile email \$arg_email;
            klaviyo_property N \$arg_n;
        },
        server  => q{
            location / {
                klaviyo_track "Viewed Page" account=shop;
                return 200 "page\n";
            }
            location /two {
                klaviyo_track "Viewed Page" account=two;
                return 200 "page\n";
            }
        },
    )->start;

    my $from = $sent + 1;

    wait_for(10, sub { 2 == (() = $t->log =~ /this worker delivers/g) })
        or fail('nobody delivers');

    my $goes_on = sub {
        my ($name) = @_;

        my $before = $t->account('two')->{spool}{events_written};

        hits($t, 20, 0, '/two');
        ok wait_for(5, sub {
            $t->account('two')->{spool}{events_written} >= $before + 20
        }), "the other account's spool is written to: $name";
    };

    # the workers that are told to go do, whatever their threads wait for
    my $gone = sub {
        my ($signal) = @_;

        my @workers = $t->workers;

        kill $signal, $t->master;
        ok wait_for(3, sub { !grep { running($_) } @workers }),
            "$signal: the worker is gone";
    };

    outage($t);
    hits($t, 20);
    ok wait_for(5, sub { $t->account->{spool}{events_written} == 20 }),
        'it is well';

    $disk->ill('sync', delay => -1);
    hits($t, 20);
    ok wait_for(5, sub { $disk->hits('sync') == 1 }), 'it hangs';
    $goes_on->('beside it');

    $gone->('HUP');
    ok wait_for(5, sub { $disk->hits('sync') == 2 }), 'it still does';
    $goes_on->('by the next worker');

    # the thread comes back when nginx has unloaded the module

    my ($worker) = $t->workers;

    kill 'HUP', $t->master;
    ok wait_for(5, sub { $t->log =~ / $worker#.* gracefully shutting down/ }),
        'a worker that goes';
    $disk->ill('unload', delay => 1000);
    ok wait_for(5, sub { $disk->hits('unload') }), 'unloads the module';
    ok running($worker), 'and is still there';
    $disk->ill('sync', times => 0);
    ok wait_for(3, sub { !running($worker) }), 'when its thread comes back';
    $disk->well;

    # and the master goes when it could save what is in the ring

    ok wait_for(10, sub { $t->account->{spool}{events_written} >= 40 }),
        'it is well again' or diag explain $t->account;
    $disk->ill('sync', delay => -1);
    hits($t, 20);
    ok wait_for(5, sub { $disk->hits('sync') >= 1 }), 'it hangs again';
    $gone->('QUIT');
    $disk->well;
    ok $t->halt('QUIT', 20), 'and nginx when the disk is well';

    $t->sandbox->clear_faults;
    $t->start;

    for my $name (qw(shop two)) {
        ok wait_for(20, sub { $t->account($name)->{queued} == 0 }),
            "$name: nothing is left in the queue";
    }

    is_deeply numbers($t), [$from .. $sent], 'each is delivered, once';
    $t->stop;
};


# What the disk took and does not give back, or not as it was.

subtest 'a segment cannot be read' => sub {
    my $t = start(account => $small);
    my $from = $sent + 1;

    outage_hits($t, 600);

    my @segments = segments($t);

    cmp_ok @segments, '>=', 3, 'several segments';

    my ($name) = $segments[1] =~ m{([^/]+)$};

    $disk->ill('read', error => 'EIO', name => $name);
    $t->sandbox->clear_faults;

    my @lost = arrived($t, $from, 'EIO', lost => [20, 200]);

    cmp_ok $disk->hits('read'), '>=', 1, 'it was tried';
    is $lost[-1] - $lost[0] + 1, @lost, 'those of the segment';
    like $t->log, qr/\[error\].*events in the spool cannot be read/, 'said';
    $t->stop;
};


subtest 'damaged bytes in a segment' => sub {
    my $t = start(account => $small);
    my $from = $sent + 1;

    outage_hits($t, 600);

    my @segments = segments($t);

    # in the middle of one, and in the header of another

    for ([1, 100_000, 40], [2, 8, 4]) {
        my ($n, $at, $length) = @$_;

        open my $file, '+<', $segments[$n] or die "open() failed: $!\n";
        binmode $file;
        seek $file, $at, 0;
        print $file "\xff" x $length;
        close $file;
    }

    $t->sandbox->clear_faults;

    my @lost = arrived($t, $from, 'damaged', lost => [1, 2]);

    is $lost[-1] - $lost[0] + 1, @lost, 'those that were damaged';
    $t->stop;
};


subtest 'a segment is removed by hand' => sub {
    my $t = start(account => $small);
    my $from = $sent + 1;

    outage_hits($t, 600);

    my @segments = segments($t);

    unlink $segments[1] or die "unlink() failed: $!\n";
    $t->sandbox->clear_faults;

    my @lost = arrived($t, $from, 'removed', lost => [20, 200]);

    is $lost[-1] - $lost[0] + 1, @lost, 'those of the segment';

    # and now the one that is written to

    outage_hits($t, 120);

    my $until = $sent;

    @segments = segments($t);
    unlink $segments[-1] or die "unlink() failed: $!\n";
    outage_hits($t, 200);
    cmp_ok scalar(segments($t)), '>', 0, 'another one is written to';
    $t->sandbox->clear_faults;

    # some of it may have been read before

    my @more = arrived($t, $from, 'the last one',
                       lost => [scalar @lost, @lost + 130]);

    cmp_ok $more[-1], '<=', $until, 'none of those that came later';
    $t->stop;
};


subtest 'the spool may not be entered for a while' => sub {
    my $t = start(account => $small);
    my $from = $sent + 1;

    $t->allow(qr/\[crit\].*klaviyo account "shop": /);
    outage_hits($t, 400);

    # a worker that is root enters everything

    $disk->ill('open create', error => 'EACCES');
    $t->sandbox->clear_faults;
    sleep 2;

    my $account = $t->account;

    cmp_ok $account->{queued}, '>', 100, 'what it has is kept';
    is $account->{lost}, 0, 'not lost';
    cmp_ok $account->{spool}{errors}, '>', 0, 'counted';

    $disk->well;
    arrived($t, $from, 'entered');
    $t->stop;
};


# What was in it is lost, and nothing else.

subtest 'the whole folder is removed' => sub {
    my $t = start(account => $small);
    my $from = $sent + 1;

    $t->allow(qr/\[crit\].*klaviyo account "shop": /);
    outage_hits($t, 400);

    my $spooled = $t->account->{spool}{events};

    remove_tree($t->spool);
    outage_hits($t, 120);
    ok wait_for(5, sub { $t->account->{spool}{errors} > 0 }),
        'it is noticed';
    like $t->log, qr/\[crit\].*the spool ".*" was removed/, 'and said';
    $t->sandbox->clear_faults;

    my @lost = arrived($t, $from, 'removed', lost => [100, $spooled + 30]);

    cmp_ok $lost[-1], '<=', $from + 399, 'none of those that came later';

    ok wait_for(5, sub { $t->account->{spool}{errors} > 1 }),
        'it is tried again';

    # the workers may not make it where it was

    ok $t->reload(gone => 20), 'a reload makes it again';
    wait_for(10, sub { 2 <= (() = $t->log =~ /this worker delivers/g) });

    $from = $sent + 1;
    outage_hits($t, 200);
    cmp_ok $t->account->{spool}{events}, '>', 50, 'it spills again';
    $t->sandbox->clear_faults;
    ok $t->wait_idle(20), 'all is delivered';
    is scalar(grep { $_ >= $from } @{ numbers($t) }), 200, 'each once';
    $t->stop;
};


done_testing;

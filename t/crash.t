#!/usr/bin/perl

# Processes that end as by kill -9 at named points of the code, which a build
# for this test alone has (ngx_klaviyo_module/queue/klaviyo_crash.h).
#
# The plain C of ring, spool and dead letters by itself, a hundred times each:
# t/crash/crash_points.c.  Here nginx with four workers, under light load.
#
# What is claimed: an event whose append had not committed is not captured,
# and that is at most the one of each worker that was killed.  Every other one
# is delivered, and recorded once; is it dead, its letter is in the file.
#
# KLAVIYO_CRASH_TIMES (3; 100 with KLAVIYO_SOAK): kills at each point.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Process qw(read_file write_file);
use FindBin;
use Mojo::JSON  qw(decode_json);
use Time::HiRes qw(sleep time);


my $objs  = $ENV{KLAVIYO_OBJS} // 'objs';
my $times = $ENV{KLAVIYO_CRASH_TIMES} // ($ENV{KLAVIYO_SOAK} ? 100 : 3);
my $text  = 'x' x 600;

alarm(slow(300 + 30 * $times));

local $ENV{KLAVIYO_MODULE} =
    "$FindBin::Bin/../$objs/crash/ngx_http_klaviyo_module.so";


# ring: its size, one that is full soon where events have to be in the spool
# only
sub crashing {
    my (%option) = @_;

    my $ring = delete $option{ring} // '16m';

    my $t = chaos(
        workers => 4,
        main    => 'env KLAVIYO_CRASH;',
        account => "queue %%QUEUE%% size=$ring;"
                   . ' spool %%SPOOL%% size=64m sync=40ms;',
        http    => qq{
            klaviyo_profile email \$arg_email;
            klaviyo_property Path \$uri;
            klaviyo_property Text $text;
            log_format ids "\$arg_id \$klaviyo_captured";
        },
        %option,
    );

    # neither Klaviyo nor the build has a minute's window, see the Makefile

    $t->sandbox->limits(map { $_ => {burst => 1e6, steady => 1e6} }
                        qw(single bulk));

    # workers are not root's, and remove the file

    mkdir $t->dir . '/crash';
    chmod 0777, $t->dir . '/crash' or die "chmod() failed: $!\n";

    $t->nginx->{env}{KLAVIYO_CRASH} = $t->dir . '/crash/point';

    return $t;
}

sub arm {
    my ($t, $point, $visits) = @_;

    my $new = $t->dir . '/crash/new';

    write_file($new, "$point $visits\n");
    chmod 0666, $new or die "chmod() failed: $!\n";
    rename $new, $t->dir . '/crash/point' or die "rename() failed: $!\n";

    return;
}

sub killed { return scalar(() = $_[0]->log =~ /exited on signal 9/g) }

sub crashed {
    my ($t, $n) = @_;

    return wait_for(60, sub {
        !-e $t->dir . '/crash/point' && killed($t) >= $n;
    }, 0.02);
}

# kills at the point, one after the other; before: what has to be done before
# each of them
sub kills {
    my ($t, $point, %option) = @_;

    for my $n (1 .. $times) {
        $option{before}->() if $option{before};
        arm($t, $point, 1 + int rand($option{visits} // 1));

        if (!crashed($t, $n)) {
            return fail("$point: kill $n");
        }
    }

    return is killed($t), $times, "$point: $times kills";
}

# what is never alive for long delivers nothing, and the queue fills
sub few_queued {
    my ($t) = @_;

    return wait_for(60, sub { $t->account->{queued} < 1000 });
}

# nor does what dies while it copies the ring to the spool make room there
sub room {
    my ($t) = @_;

    return wait_for(60, sub {
        my $queue = $t->account->{queue};

        return $queue->{used} < 0.75 * $queue->{size};
    });
}

# requests one after the other -> into the hash of those answered
sub hits {
    my ($t, $answered, $n) = @_;

    state $serial = 0;

    my $client = $t->client;

    for (1 .. $n) {
        my $id = 'hit' . ++$serial;

        $answered->{$id} = 1
            if $client->get("/?id=$id&email=v\@shop.test")->status == 200;
    }

    $client->close;

    return;
}


my $run = sub {
    my ($program) = @_;

    open my $out, '-|', "exec $program 2>&1"
        or return fail("$program: $!");

    my ($n, $plan) = (0, -1);

    while (my $line = <$out>) {
        chomp $line;

        if ($line =~ /^(not )?ok \d+ - (.*)/) {
            $n++;
            ok(!$1, $2);

        } elsif ($line =~ /^1\.\.(\d+)$/) {
            $plan = $1;

        } else {
            note $line;
        }
    }

    close $out;

    is $?, 0, 'exit status';
    is $n, $plan, 'ran to its end';
};

subtest 'the plain C' => sub {
    $run->("$FindBin::Bin/../$objs/crash/crash_points");
};


# The worker that captures.  `missing`: what may be, for each kill.

my %append = (after_lock => 1, middle_of_slot => 1, after_copy => 1,
              before_commit => 1, after_commit => 0);

for my $point (sort keys %append) {
    subtest "capture: $point" => sub {
        my $t = crashing()->start;
        my $load = requests($t, clients => 2, pause => 0.005);

        kills($t, $point, visits => 30);
        sleep 0.3;

        my $answered = $load->stop;

        arrived($t, $point, $answered, load => 20,
                killed => $append{$point} * $times);
        $t->stop;
    };
}


# The worker that delivers, on its event loop: no request is in the middle of
# anything then.

for my $point (qw(before_ack_commit after_ack_commit after_send after_answer
                  before_acknowledgement))
{
    subtest "delivery: $point" => sub {
        my $t = crashing()->start;
        my $load = requests($t, clients => 2, pause => 0.005);

        kills($t, $point, visits => 4);
        sleep 0.3;

        my $answered = $load->stop;

        arrived($t, $point, $answered, load => 20);

        cmp_ok $t->sandbox->stats->{repeats}, '>', 0, 'some were sent again'
            if $point eq 'after_answer' || $point eq 'before_acknowledgement';

        $t->stop;
    };
}


# The same with profiles and subscriptions, each in a queue of its own: whose
# worker ends is chance.

for my $point (qw(before_ack_commit after_ack_commit after_send after_answer
                  before_acknowledgement))
{
    subtest "lanes: $point" => sub {
        my $t = crashing(server => q{
            location / {
                klaviyo_identify;
                klaviyo_subscribe list=LIST01 if=1 channels=email;
                return 200 "page\n";
            }
        })->start;

        my @lanes = qw(shop/profiles shop/subscriptions);
        my $n     = 0;

        kills($t, $point, visits => 2, before => sub {
            for (1 .. 20) {
                $n++;
                eval { $t->get("/?email=k$n\@shop.com") };
            }
        });

        ok wait_for(60, sub {
            !grep { $t->account($_)->{queued} } @lanes
        }), 'the queues are empty';

        my $state = $t->sandbox->state('shop');
        my %has   = (
            'shop/profiles' => {map { $_->{profile}{email} => 1 }
                                @{ $state->{imported} }},
            'shop/subscriptions' => {map { $_->{email} => 1 }
                                     @{ $state->{subscriptions} }},
        );

        for my $lane (@lanes) {
            my $account = $t->account($lane);

            # the lock of a process that was killed, or that does not run

            my $busy = $account->{reasons}{lost}{queue_busy};
            my $kept = $account->{captured} - $busy;

            cmp_ok $kept, '>=', $n - 2 * $times, "$lane: captured";
            is $account->{delivered}, $kept, 'delivered'
                or diag explain $account->{reasons};
            is scalar keys %{ $has{$lane} }, $kept,
                'each of them is at Klaviyo';
        }

        $t->stop;
    };
}


# A thread of the worker that delivers: the worker's event loop may be anywhere.
# Segments of a sixteenth come and go while everything passes through the spool.

subtest 'spool: spool_created' => sub {
    my $t = crashing(account => 'queue %%QUEUE%% size=16m;'
        . ' spool %%SPOOL%% size=4m sync=40ms;')->start;
    my $load = requests($t, clients => 2, pause => 0.002);

    kills($t, 'spool_created', before => sub { few_queued($t) });

    arrived($t, 'spool_created', $load->stop, killed => $times);
    $t->stop;
};


# The same thread during an outage.

for my $point (qw(spool_written spool_synced spool_state_written
                  spool_committed))
{
    subtest "spool: $point" => sub {
        my $t = crashing(account => 'queue %%QUEUE%% size=256k;'
                                    . ' spool %%SPOOL%% size=64m;')->start;
        my $before = {};

        $t->sandbox->fault(kind => 'status', status => 503);

        # more than the ring takes, which spills a tenth at a time then

        hits($t, $before, 100), sleep 0.2 for 1 .. 3;

        my $load = requests($t, clients => 1, pause => 0.03);

        kills($t, $point, visits => 2, before => sub { room($t) });

        my $answered = {%$before, %{ $load->stop }};

        cmp_ok $t->account->{spool}{events}, '>', 100,
            'events are in the spool only';

        $t->sandbox->clear_faults;
        arrived($t, $point, $answered, killed => $times);
        $t->stop;
    };
}


# The same thread when the spool's events have been delivered.

for my $point (qw(spool_forget_committed spool_unlinked)) {
    subtest "spool: $point" => sub {
        my $t = crashing(ring => '256k')->start;
        my $answered = {};

        $t->sandbox->fault(kind => 'status', status => 503);
        hits($t, $answered, 100), sleep 0.3 for 1 .. 3;
        cmp_ok $t->account->{spool}{events}, '>', 50,
            'events are in the spool only';
        $t->sandbox->clear_faults;

        kills($t, $point, before => sub { hits($t, $answered, 50) });

        arrived($t, $point, $answered, killed => $times);
        ok wait_for(10, sub { !(() = glob($t->spool . '/*.spool')) }),
            'no segment is left';
        $t->stop;
    };
}


# A new ring takes over what the spool has; the machine was rebooted, and the
# deliverer is killed before the ring knows of them.

subtest 'spool: spool_adopted' => sub {
    my $t = crashing()->start;
    my $answered = {};

    $t->sandbox->fault(kind => 'status', status => 503);

    for my $n (1 .. $times) {
        hits($t, $answered, 80);

        my $all = keys %$answered;

        $t->halt('QUIT');
        unlink $t->queue or die "unlink() failed: $!\n";

        arm($t, 'spool_adopted', 1);
        $t->start;

        return fail("kill $n") if !crashed($t, $n);

        # each opening and adopting waits for a disk that may be busy

        ok wait_for(40, sub { $t->account->{queued} == $all }),
            "all $all are queued again" or diag explain $t->account;
        is $t->account->{captured}, $all, 'and captured here, once';
    }

    $t->sandbox->clear_faults;
    arrived($t, 'spool_adopted', $answered);
    $t->stop;
};


# The letters are on the disk before the queue moves on.

for my $point (qw(dead_written dead_synced)) {
    subtest "dead letters: $point" => sub {
        my $t = crashing()->start;

        $t->sandbox->fault(kind => 'refuse', pointer => 'event',
            match => {properties => {Path => '^/bad$'}});

        # a hundred a minute would be a flood

        my $load = requests($t, clients => 2, pause => 0.01,
            paths => [('/') x 199, '/bad']);

        kills($t, $point, before => sub { few_queued($t) });
        sleep 0.3;

        my $answered = $load->stop;

        ok $t->wait_idle(60), 'nothing is left in the queue';

        my $account  = $t->account;
        my $recorded = recorded($t);
        my %letter   = map { decode_json($_)->{unique_id} => 1 }
            split /\n/, read_file($t->spool . '/dead.jsonl');

        is $account->{lost}, 0, 'none is lost';
        cmp_ok $account->{dead}, '>', 0, 'some are dead';
        is $account->{dead} + $account->{delivered}, $account->{captured},
            'all others are delivered';
        is keys %letter, $account->{dead}, 'each dead one has its letter';
        is keys %$recorded, $account->{delivered}, 'others none';
        is_deeply [grep { $recorded->{$_} } keys %letter], [],
            'none of them was recorded';

        my @missing = grep { !$recorded->{$_} && !$letter{$_} }
            keys %$answered;

        cmp_ok @missing, '<=', $times,
            'what was answered is one or the other, but for one a kill';
        $t->stop;
    };
}


done_testing;

#!/usr/bin/perl

# Two masters and one queue: upgrades of the binary, forth and back, with
# kills in the middle, and workers that lost their master.  What is claimed
# stands at the head of Klaviyo/Test/Chaos.pm.
#
# Elsewhere: an upgrade without accidents: process.t; new masters every other
# second beside orphans, under kills: chaos.t.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Process qw(running);
use Time::HiRes qw(sleep time);

$ENV{KLAVIYO_SOAK} && alarm(300 + 3 * $ENV{KLAVIYO_SOAK});


# a second master beside this one, with workers that serve
sub upgrade {
    my ($t, @known) = @_;

    $t->signal('USR2');

    my $pid = other_pid($t, $t->master, @known) or return;

    return wait_for(10, sub { workers_of($t, $pid) >= 2 }) ? $pid : undef;
}

# Kills the deliverer, whoever's worker it is, so many times, in the middle of
# a request
sub kill_deliverers {
    my ($t, $n) = @_;

    my $killed = 0;

    for (1 .. $n) {
        my $fault = hang_one($t);

        wait_for(3, sub {
            grep { $_->{id} == $fault && $_->{used} } @{ $t->sandbox->faults };
        });

        my $pid = wait_for(5, sub { deliverer($t) });

        $killed += kill_hard($pid) if $pid;
    }

    hang_none($t);

    return $killed;
}

sub no_worker_of {
    my ($t, $master) = @_;

    return wait_for(10, sub { !workers_of($t, $master) });
}

sub gone {
    my (@pids) = @_;

    return wait_for(10, sub { !grep { running($_) } @pids });
}


subtest 'there, back, and there for good' => sub {
    my $t      = chaos(daemon => 1, workers => 2)->start;
    my $old    = $t->master;
    my $load   = requests($t, clients => 2);
    my $end    = time + soak(0);
    my $killed = 0;
    my $rounds = 0;
    my @known;

    do {
        $t->signal('HUP') if $rounds++ % 2;

        my $new = upgrade($t, @known);

        ok $new, 'a second master' or last;
        push @known, $new;

        # candidates of two masters for one lease

        $killed += kill_deliverers($t, 4);
        $t->signal('WINCH', $old);
        ok no_worker_of($t, $old), 'the old one is without workers';
        $killed += kill_deliverers($t, 2);

        # and back

        $t->signal('HUP', $old);
        ok wait_for(10, sub { $t->workers >= 2 }), 'it has some again';
        $t->signal('QUIT', $new);
        ok gone($new), 'the new one went';
        $killed += kill_deliverers($t, 2);
    } while (time < $end);

    my $heir = upgrade($t, @known);

    ok $heir, 'another upgrade';
    $t->signal('WINCH', $old);
    $killed += kill_deliverers($t, 2);
    $t->signal('QUIT', $old);
    ok gone($old), 'the first master went';
    $t->nginx->adopt($heir);
    $killed += kill_deliverers($t, 2);

    my $answered = $load->stop;

    cmp_ok $killed, '>=', 8, 'deliverers were killed';
    arrived($t, 'forth and back', $answered, killed => $killed);
    $t->stop;
};


subtest 'the new master is killed' => sub {
    my $t    = chaos(daemon => 1, workers => 2)->start;
    my $load = requests($t, clients => 2);
    my $new  = upgrade($t);

    ok $new, 'a second master';

    my @orphans = workers_of($t, $new);

    kill_hard($new);
    sleep 0.3;
    cmp_ok scalar(grep { running($_) } @orphans), '>=', 2,
        'its workers go on';

    my $killed = kill_deliverers($t, 3);

    kill QUIT => grep { running($_) } @orphans;
    ok gone(@orphans), 'until they are told to go';
    ok wait_for(10, sub { $t->workers >= 2 }), 'the old master serves';
    sleep 0.3;

    my $answered = $load->stop;

    arrived($t, 'new one killed', $answered, killed => $killed);
    $t->stop;
};


subtest 'the old master is killed' => sub {
    my $t    = chaos(daemon => 1, workers => 2)->start;
    my $old  = $t->master;
    my $load = requests($t, clients => 2);
    my $new  = upgrade($t);

    ok $new, 'a second master';

    my @orphans = workers_of($t, $old);

    kill_hard($old);
    $t->nginx->adopt($new);

    my $killed = kill_deliverers($t, 3);

    kill KILL => grep { running($_) } @orphans;
    ok gone(@orphans), 'its workers are killed too';

    my $answered = $load->stop;

    arrived($t, 'old one killed', $answered, killed => $killed + 2);
    $t->stop;
};


# The master is dead, its workers serve on their port and know nothing of it;
# another nginx begins with the same queue.  Both capture, one of all delivers.

subtest 'orphans and a new master' => sub {
    my $t      = chaos(workers => 2)->start;
    my $before = requests($t, clients => 1);

    sleep 0.3;

    my @orphans = $t->workers;

    kill_hard($t->master);

    # its port is taken: the orphans have it

    delete $t->{port};
    $t->set;
    start_again($t);

    my $after = requests($t, clients => 1);

    sleep 0.3;
    is scalar(grep { running($_) } @orphans), 2, 'the orphans run';

    my %orphan = map { $_ => 1 } @orphans;

    ok $orphan{ deliverer($t) }, 'and one of them delivers still';

    # those that deliver are killed: they have no master to come back by

    my $killed = 0;

    for (1 .. 2) {
        my $pid = wait_for(5, sub { deliverer($t) });

        $killed += kill_hard($pid) if $pid && $orphan{$pid};
    }

    ok wait_for(5, sub { my $pid = deliverer($t); $pid && !$orphan{$pid} }),
        'in the end a worker of the new master does';

    $killed += kill_deliverers($t, 3);
    sleep 0.3;

    my $answered = {%{ $before->stop }, %{ $after->stop }};

    kill QUIT => grep { running($_) } @orphans;
    ok gone(@orphans), 'the orphans went';

    arrived($t, 'orphans', $answered, killed => $killed);
    $t->stop;
};


done_testing;

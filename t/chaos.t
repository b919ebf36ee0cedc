#!/usr/bin/perl

# SIGKILL of whatever runs, every 50 ms, under load; reloads in between; new
# masters beside orphaned workers.  What is claimed, and how it is known,
# stands at the head of Klaviyo/Test/Chaos.pm.
#
# Elsewhere: a hundred reloads, some kills, a kill of everything, exits during
# a transfer: process.t; upgrades: upgrade.t; a deliverer that is stopped and
# goes on: stopped.t.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Process qw(running);
use Time::HiRes qw(sleep time);

$ENV{KLAVIYO_SOAK} && alarm(300 + 3 * $ENV{KLAVIYO_SOAK});


subtest 'a kill every 50 ms' => sub {
    my $t = chaos(workers => 3, reuseport => 1,
                  account => 'queue %%QUEUE%% size=64m;')->start;

    my $load    = requests($t, clients => 3);
    my $end     = time + soak(slow(10));
    my $master  = time + slow(2);
    my @orphans = ();
    my %killed  = map { $_ => 0 } qw(worker deliverer master orphan reload);

    while (time < $end) {
        my $next = time + slow(0.05);
        my $dice = rand;

        hang_one($t) if rand() < 0.15;

        if (time > $master) {

            # its workers go on and deliver beside those of the next one

            @orphans = processes($t);
            $killed{master} += kill_hard($t->master);
            start_again($t);
            $master = time + slow(1.5 + rand 1.5);

        } elsif (@orphans && $dice < 0.3) {
            my $pid = shift @orphans;

            $killed{orphan} += kill_hard($pid) if running($pid);

        } elsif ($dice < 0.6) {
            my @workers = $t->workers;

            $killed{worker} += kill KILL => $workers[rand @workers]
                if @workers;

        } elsif ($dice < 0.9) {
            my $pid = deliverer($t);

            $killed{deliverer} += kill KILL => $pid if $pid;

        } else {
            $killed{reload} += $t->signal('HUP');
        }

        sleep $next - time if time < $next;
    }

    my $answered = $load->stop;

    my %own = map { $_ => 1 } $t->workers;

    kill QUIT => grep { !$own{$_} } processes($t);
    hang_none($t);

    my $killed = $killed{worker} + $killed{deliverer} + $killed{orphan};

    note join ', ', map { "$_ $killed{$_}" } sort keys %killed;
    cmp_ok $killed, '>', 30 / slow(1), 'many were killed';
    cmp_ok $killed{master}, '>=', 2, 'masters too';

    arrived($t, 'kills', $answered, killed => $killed);
    $t->stop;
};


# all at once, master first and last: nobody is left who knows anything

subtest 'nothing survives' => sub {
    my $t = chaos(workers => 2, reuseport => 1)->start;

    my $load   = requests($t, clients => 2);
    my $killed = 0;

    for my $round (1 .. 5) {
        sleep slow(0.2 + rand 0.4);

        my @pids = ($t->master, processes($t));

        @pids = reverse @pids if $round % 2;
        $killed += kill_hard(@pids);
        kill_hard(processes($t));
        start_again($t);
    }

    sleep slow(0.3);

    my $answered = $load->stop;

    arrived($t, 'all at once', $answered, killed => $killed);
    $t->stop;
};


# Klaviyo has recorded the events, or has not, and says nothing: whoever asked
# is dead by then, each time

subtest 'deliverers die in the middle of a request' => sub {
    my $t = chaos(workers => 2)->start;

    $t->sandbox->fault(kind => 'hang', process => $_ % 2, times => 1)
        for 1 .. 8;

    my $load   = requests($t, clients => 1, pause => 0.01);
    my $killed = 0;

    for my $n (1 .. 8) {
        ok wait_for(10, sub { @{ $t->sandbox->requests } >= $n }),
            'a request is under way';

        my $pid = wait_for(5, sub { deliverer($t) });

        $killed += kill_hard($pid);
    }

    my $answered = $load->stop;

    is $killed, 8, 'eight deliverers';
    arrived($t, 'dead deliverers', $answered, killed => $killed, load => 20);
    cmp_ok $t->sandbox->stats->{repeats}, '>', 4, 'events were sent again';
    $t->stop;
};


done_testing;

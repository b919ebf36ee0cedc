#!/usr/bin/perl

# SIGSTOP of the deliverer for longer than its lease, which is 15 s: another
# one takes over, and the first one, continued, finds that it must stand back.
# All cases wait at the same time.  What is claimed stands at the head of
# Klaviyo/Test/Chaos.pm.
#
# Elsewhere: an idle deliverer that is stopped: process.t; the lease by
# itself: t/unit/lease_test.c.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Process qw(running);
use Time::HiRes qw(sleep time);

use constant LEASE => 15;

my @stopped;

# nothing of ours stays stopped, however this test ends

END { kill CONT => @stopped if @stopped }

sub halt { push @stopped, @_; return kill STOP => @_ }


# true once another process than this one delivers
sub taken_over {
    my ($t, $pid) = @_;

    return wait_for(LEASE + 10, sub {
        my $now = deliverer($t);
        return $now && $now != $pid ? $now : undef;
    }, 0.1);
}

# true when the log of this process says that it stood back
sub stood_back {
    my ($t, $pid) = @_;

    return wait_for(5, sub {
        $t->log =~ /\] $pid#.*: another process delivers/;
    });
}

sub start {
    my (%option) = @_;

    my $t = chaos(workers => 2, %option)->start;

    ok wait_for(5, sub { deliverer($t) }), "$t->{name}: one delivers";

    return $t;
}

sub ask {
    my ($t, @ids) = @_;

    $t->get("/?id=$_&email=$_\@shop.test") for @ids;

    return;
}


# 1. Klaviyo has recorded what is under way, and its answer waits in the
#    socket of the stopped one

my $flight = start(name => 'in flight');

$flight->sandbox->fault(kind => 'slow', seconds => 1, times => 1);
ask($flight, qw(f1 f2 f3));
$flight->sandbox->wait_requests(1);

my $pid1   = deliverer($flight);
my $halted = time;

halt($pid1);


# 2. It waits with a batch that it would send now, were it not stopped

my $ahead = start(name => 'read ahead');

$ahead->sandbox->fault(kind => 'status', status => 503, retry_after => 1,
                       times => 1);
ask($ahead, qw(a1 a2 a3));
$ahead->sandbox->wait_requests(1);
wait_for(5, sub { $ahead->log =~ /events are kept/ });

my $pid2 = deliverer($ahead);

halt($pid2);


# 3. A reload meanwhile, of which it hears when it goes on

my $reload = start(name => 'reload');
my $pid3   = deliverer($reload);

halt($pid3);
$reload->signal('HUP');


# 4. For a short time only: nobody needs to do anything

my $short = start(name => 'short');
my $pid4  = deliverer($short);

ask($short, qw(s1 s2 s3));


# 5. Everything is stopped, as a laptop or a virtual machine is

my $all   = start(name => 'all');
my @pids5 = ($all->master, $all->workers);

ask($all, qw(l1 l2 l3));
halt(@pids5);


# while they are stopped; the others answer, though a connection may be given
# to a worker that does not

my %load = map { $_->{name} => requests($_, clients => 1, pause => 0.1) }
    $flight, $ahead, $reload, $short, $all;

my $began = time;

halt($pid4);
sleep 4;
kill CONT => $pid4;

subtest 'in flight' => sub {
    ok my $next = taken_over($flight, $pid1), 'another one takes over';
    cmp_ok time - $halted, '>=', LEASE - 3,
        'but not before the lease is over';
    ok wait_for(10, sub { ($flight->sandbox->events->[0]{times} // 0) > 1 }),
        'what was under way is sent again';

    kill CONT => $pid1;
    ok stood_back($flight, $pid1), 'the first one stands back';
    sleep 1.2;
    is deliverer($flight), $next, 'and stays so';
    arrived($flight, 'in flight', $load{'in flight'}->stop, load => 20);
    $flight->stop;
};


subtest 'read ahead' => sub {
    ok my $next = taken_over($ahead, $pid2), 'another one takes over';
    $load{'read ahead'} = $load{'read ahead'}->stop;
    ok wait_for(20, sub { keys %{ recorded($ahead) } >= 3 }),
        'and delivers';

    # a stopped worker may have accepted connections: their clients are gone

    my $repeats = $ahead->sandbox->stats->{repeats};

    kill CONT => $pid2;
    ok stood_back($ahead, $pid2), 'the first one stands back';
    arrived($ahead, 'read ahead', $load{'read ahead'}, load => 20);
    is $ahead->sandbox->stats->{repeats}, $repeats,
        'without sending what it had read';
    $ahead->stop;
};


subtest 'reload' => sub {
    ok my $next = taken_over($reload, $pid3), 'a new worker takes over';
    kill CONT => $pid3;
    ok wait_for(10, sub { !running($pid3) }), 'the old one goes';
    arrived($reload, 'reload', $load{reload}->stop, load => 20);
    $reload->stop;
};


subtest 'for a short time' => sub {
    my $answered = $load{short}->stop;

    is deliverer($short), $pid4, 'the same one delivers';
    arrived($short, 'short', $answered, load => 20);
    is $short->account->{delivery}{elections}, 1, 'there was one election';
    $short->stop;
};


subtest 'everything' => sub {
    sleep $began + LEASE + 2 - time if time < $began + LEASE + 2;
    is scalar keys %{ recorded($all) }, 0, 'nothing moves';
    kill CONT => @pids5;
    ok wait_for(10, sub { keys %{ recorded($all) } >= 3 }), 'it goes on';
    sleep 0.5;
    arrived($all, 'all', $load{all}->stop, load => 0);
    $all->stop;
};


done_testing;

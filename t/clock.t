#!/usr/bin/perl

# The time of day jumps, a day ahead and a day back, as nginx runs and while
# it does not.  What is claimed: deliveries, pauses, the limiter, the lease
# and retries do not know the time of day; `max_age` does, and a day is less
# than its 72 hours; an event has the time that the clock showed.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Shim;
use Mojo::Date;
use Time::HiRes qw(sleep time);

use constant DAY => 86_400;


sub ask {
    my ($t, $name, $n) = @_;

    $t->get("/?id=$name-$_&email=v$_\@shop.test") for 1 .. $n // 3;

    return;
}

# true once all events of that name are recorded
sub came {
    my ($t, $name, $n, $seconds) = @_;

    return wait_for($seconds // 10, sub {
        return ($n // 3) == grep { /^\Q$name\E-/ } keys %{ recorded($t) };
    });
}


subtest 'a jump while it runs' => sub {
    my $shim = Klaviyo::Test::Shim->new;
    my $t    = chaos(workers => 2, env => $shim->env,
                     account => 'batch linger=50ms; retry min=50ms max=1s;');

    $t->start;
    ask($t, 'before');
    ok came($t, 'before'), 'delivers';

    my $pid = deliverer($t);

    for my $jump (['a day ahead', DAY], ['and back', 0],
                  ['a day back', -&DAY], ['two days ahead', DAY])
    {
        my ($name, $clock) = @$jump;
        my $id = $name =~ tr/ /_/r;

        # waiting for another try

        $t->sandbox->fault(kind => 'status', status => 503, times => 4);
        ask($t, "$id-retry");
        wait_for(5, sub {
            my ($fault) = @{ $t->sandbox->faults };
            return $fault->{used};
        });

        $shim->clock($clock);

        ok came($t, "$id-retry"), "$name: retries go on";
        $t->sandbox->clear_faults;

        ask($t, "$id-then");
        ok came($t, "$id-then"), "$name: deliveries go on";

        my ($event) = grep { $_->{unique_id} eq "$id-then-1" }
            @{ $t->sandbox->events };
        my $at = Mojo::Date->new($event->{time})->epoch // 0;

        cmp_ok abs($at - time - $clock), '<', 10,
            "$name: the event has the time of the clock";
        is deliverer($t), $pid, "$name: the same worker delivers";
    }

    is $t->account->{delivery}{elections}, 1, 'there was one election';
    $shim->clock(0);

    # in the middle of a pause

    for my $clock (DAY, -&DAY) {
        $t->sandbox->fault(kind => 'status', status => 429, retry_after => 2,
                           times => 1);

        my $n = @{ $t->sandbox->requests };

        ask($t, "pause$clock");
        $t->sandbox->wait_requests($n + 1);
        wait_for(2, sub { $t->account->{delivery}{paused_for} });
        $shim->clock($clock);
        cmp_ok $t->account->{delivery}{paused_for}, '<=', 3,
            'a pause is as long as before';
        ok came($t, "pause$clock"), 'and ends';

        my @requests = @{ $t->sandbox->requests };

        cmp_ok $requests[$n + 1]{time} - $requests[$n]{time}, '>=', 2,
            'not before its time';
        cmp_ok $requests[$n + 1]{time} - $requests[$n]{time}, '<', 6,
            'nor long after it';
    }

    # more in a second than Klaviyo allows: the limiter's turn

    for my $clock (0, DAY, -&DAY) {
        $shim->clock($clock);
        for my $n (1 .. 4) {
            ask($t, "turn$clock-$n", 2);
            sleep 0.1;
        }

        ok came($t, "turn$clock", 8), 'the limiter goes on';
    }

    # another deliverer, in another time

    $shim->clock(DAY);
    kill_hard(deliverer($t));
    ask($t, 'killed');
    ok came($t, 'killed'), 'another deliverer';
    $shim->clock(0);
    ok $t->reload(gone => 10), 'a reload';
    ask($t, 'reload');
    ok came($t, 'reload'), 'and the next';

    arrived($t, 'jumps', {}, load => -1);
    $t->stop;
};


subtest 'a jump between two starts' => sub {
    my $shim = Klaviyo::Test::Shim->new;
    my $t    = chaos(env => $shim->env, account => 'batch linger=20s;');

    my $n = 0;

    for my $clock (0, DAY, -&DAY, 0) {
        $shim->clock($clock);
        $t->start;
        ask($t, 'start' . ++$n);
        cmp_ok $t->account->{queued}, '>=', 3, 'events wait';
        $t->halt('QUIT');
    }

    $shim->clock(DAY);
    $t->set(account => 'batch linger=50ms;');
    $t->start;
    ok $t->wait_events(12), 'and are delivered';
    arrived($t, 'starts', {}, load => -1);
    $t->stop;
};


# What max_age says: by the clock, the events are older than three days, and
# nobody can know better.  They are counted, and what comes after is not hurt.

subtest 'further than max_age' => sub {
    my $shim = Klaviyo::Test::Shim->new;
    my $t    = chaos(env => $shim->env,
                     account => 'batch linger=50ms; retry min=50ms max=1s;');

    $t->start;
    $t->sandbox->fault(kind => 'status', status => 503);
    ask($t, 'old');
    $t->sandbox->wait_requests(1);
    $shim->clock(4 * DAY);
    ok wait_for(10, sub {
        ($t->account->{reasons}{dead}{expired} // 0) == 3
    }), 'four days ahead: three events are too old';
    $t->sandbox->clear_faults;
    ask($t, 'new');
    ok came($t, 'new'), 'the next ones are not';

    # from four days ahead, as it seems

    $t->sandbox->fault(kind => 'status', status => 503, times => 3);
    ask($t, 'future');
    $shim->clock(0);
    ok came($t, 'future'), 'four days back: events of the future are sent';
    ok $t->wait_idle, 'nothing is left';
    is $t->account->{dead}, 3, 'no other is dead';
    $t->stop;
};


done_testing;

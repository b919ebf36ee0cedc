#!/usr/bin/perl

# Klaviyo's rate windows belong to the account: whoever delivers, after a
# reload, a kill or a start anew, goes on with the windows of the one before.
#
#   bulk     10 a second,   150 a minute
#   single  350 a second, 3,500 a minute     (times `share`)
#
# The sandbox refuses nothing here and tells no RateLimit-Remaining that would
# slow anybody down: it only notes when requests came.  It may be late with
# that by itself: a window is shorter by SLACK, and windows of several seconds
# show what a short one then overlooks.
#
# The windows by themselves: t/unit/limiter_test.c; Klaviyo's own figures and
# an exact sandbox that refuses: delivery.t.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Time::HiRes qw(sleep time);

use constant SLACK => slow(0.15);

$ENV{KLAVIYO_SOAK} && alarm(300 + 3 * $ENV{KLAVIYO_SOAK});


# the largest number of these times in any window of so many seconds
sub most {
    my ($times, $seconds) = @_;

    my $most  = 0;
    my $first = 0;

    for my $last (0 .. $#$times) {
        $first++ while $times->[$last] - $times->[$first] >= $seconds;
        $most = $last - $first + 1 if $last - $first + 1 > $most;
    }

    return $most;
}

sub windows {
    my ($t, $endpoint, $burst, $steady) = @_;

    my @times = sort { $a <=> $b } map { $_->{time} }
        grep { ($_->{endpoint} // '') eq $endpoint }
        @{ $t->sandbox->requests };

    for my $seconds (grep { $_ > SLACK } 1, 2, 5, 10) {
        cmp_ok most(\@times, $seconds - SLACK), '<=', $burst * $seconds,
            "$endpoint: never more than $burst a second, in $seconds s";
    }

    cmp_ok most(\@times, 60 - SLACK), '<=', $steady,
        "$endpoint: never more than $steady a minute";

    return scalar @times;
}

sub start {
    my (%option) = @_;

    my $t = chaos(workers => 2, %option);

    $t->sandbox->limits(map { $_ => {burst => 1e6, steady => 1e6} }
                        qw(single bulk));

    return $t->start;
}


subtest 'across reloads, kills and starts' => sub {
    my $bulk   = start(account => 'queue %%QUEUE%% size=64m;'
                                  . 'batch events=2 linger=10ms;');
    my $single = start(account => 'queue %%QUEUE%% size=64m;'
                                  . 'batch events=1 linger=10ms;'
                                  . 'rate share=4%;');
    my @load   = map { requests($_, clients => 1, pause => 0.015) }
        $bulk, $single;
    my $began  = time;
    my $long   = soak(13);
    my $turn   = 0;
    my %did    = map { $_ => 0 } qw(kill reload start);

    # whenever a window has just been filled

    while (time - $began < $long) {
        sleep 0.3 + rand 0.3;

        for my $t ($bulk, $single) {
            if ($turn % 10 == 7) {
                kill_hard($t->master, processes($t));
                kill_hard(processes($t));
                start_again($t);
                $did{start}++;

            } elsif ($turn % 3) {
                my $pid = wait_for(2, sub { deliverer($t) });

                $did{kill} += kill_hard($pid) if $pid;

            } else {
                $did{reload} += $t->signal('HUP');
            }
        }

        $turn++;
    }

    $_->stop for @load;
    note join ', ', map { "$_ $did{$_}" } sort keys %did;

    cmp_ok $did{$_}, '>=', 2, "enough of: $_" for sort keys %did;

    my $n = windows($bulk, bulk => 10, 150);

    note "bulk: $n requests";

    # and it is not for want of trying

    my $most = $long < 16 ? $long * 10 : 150 * int(1 + $long / 60);

    cmp_ok $n, '>=', $most / slow(3), 'bulk: and not much fewer';

    $n = windows($single, single => 14, 140);
    note "single: $n requests";
    cmp_ok $n, '>=', 70 / slow(1), 'single: and not much fewer';

    for my $t ($bulk, $single) {
        my $account = $t->account;

        is $account->{lost} + $account->{dead}, 0, 'none lost, none dead';
        cmp_ok $account->{queued}, '>', 0, 'there was more to send';
        $t->stop;
    }
};


# a pause is the account's too: it outlives whoever was told

subtest 'Retry-After' => sub {
    my $t = start(account => 'batch linger=10ms;');

    $t->sandbox->fault(kind => 'status', status => 429, retry_after => 4,
                       times => 1);
    $t->get("/?id=a$_&email=a$_\@shop.test") for 1 .. 3;
    $t->sandbox->wait_requests(1);
    ok wait_for(2, sub { $t->account->{delivery}{paused_for} }), 'a pause';

    kill_hard(deliverer($t));
    ok $t->reload(gone => 10), 'a reload';
    kill_hard(wait_for(5, sub { deliverer($t) }) || ());
    kill_hard($t->master, processes($t));
    kill_hard(processes($t));
    start_again($t);

    $t->get("/?id=b$_&email=b$_\@shop.test") for 1 .. 3;
    ok $t->wait_events(6, 15), 'delivered';

    my @requests = @{ $t->sandbox->requests };

    cmp_ok $requests[1]{time} - $requests[0]{time}, '>=', 4,
        'not before the time';
    is $t->sandbox->stats->{early_retries}, 0, 'no early retry';
    $t->stop;
};


done_testing;

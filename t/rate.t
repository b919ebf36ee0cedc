#!/usr/bin/perl

# Klaviyo's rate windows belong to the account: whoever delivers, after a
# reload, a kill or a start anew, goes on with the windows of the one before.
#
#   bulk     10 a second,   150 a minute
#   single  350 a second, 3,500 a minute     (times `share`)
#
# A backlog is spread over the minute: its first 3 may go at once, and then one
# in 407 ms.
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
use Klaviyo::Test::Relay;
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

sub told {
    my ($t) = @_;

    return $t->account->{delivery};
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

    cmp_ok $n, '>=', 150 / 61 * $long / slow(1.5), 'bulk: and not much fewer';

    $n = windows($single, single => 14, 140);
    note "single: $n requests";
    cmp_ok $n, '>=', 140 / 61 * $long / slow(1.5),
        'single: and not much fewer';

    for my $t ($bulk, $single) {
        my $account = $t->account;

        is $account->{lost} + $account->{dead}, 0, 'none lost, none dead';
        cmp_ok $account->{queued}, '>', 0, 'there was more to send';
        $t->stop;
    }
};


# A batch that is not full is closed when its turn comes.  Of 10 % a minute's
# requests are 4 s apart.

subtest 'waiting is the linger' => sub {
    my $t = start(account => 'batch linger=10ms; rate share=10%;');
    my $n = 0;
    my $more = sub {
        my ($events) = @_;

        for (1 .. $events) {
            $n++;
            $t->get("/?id=$n&email=a$n\@shop.test");
        }
    };

    $more->(8);
    ok $t->wait_events(8, 10), 'the first';

    my $before = grep { $_->{endpoint} eq 'bulk' } @{ $t->sandbox->requests };

    # each of these would have been a batch, and the last one's turn 16 s away

    for (1 .. 8) {
        $more->(3);
        sleep 0.1;
    }

    ok wait_for(2, sub { told($t)->{bulk_waits_for} }),
        'the status says until when they wait';
    ok $t->wait_events(32, 11), 'they wait for their turn';

    my $bulk = grep { $_->{endpoint} eq 'bulk' } @{ $t->sandbox->requests };

    cmp_ok $bulk - $before, '<=', 2, 'and go together';

    # the next turn is far away, and these are few

    sleep 0.2;

    my $began  = time;
    my $single = grep { $_->{endpoint} eq 'single' }
        @{ $t->sandbox->requests };

    $more->(3);
    ok $t->wait_events(35, 11), 'a few go by themselves';
    cmp_ok time - $began, '<', slow(2), 'at once';
    cmp_ok +(grep { $_->{endpoint} eq 'single' } @{ $t->sandbox->requests })
        - $single, '==', 3, 'one by one';

    ok $t->wait_idle, 'all are delivered';
    $t->stop;
};


# a pause is the account's too: it outlives whoever was told

subtest 'Retry-After' => sub {
    my $t = start(account => 'batch linger=10ms;');

    $t->sandbox->fault(kind => 'status', status => 429, retry_after => 4,
                       times => 1);
    $t->get("/?id=a&email=a\@shop.test");
    $t->sandbox->wait_requests(1);
    ok wait_for(2, sub { $t->account->{delivery}{paused_for} }), 'a pause';

    kill_hard(deliverer($t));
    ok $t->reload(gone => 10), 'a reload';
    kill_hard(wait_for(5, sub { deliverer($t) }) || ());

    # a new worker is told by its title, which comes a moment after it

    sleep 0.5;
    kill_hard($t->master, processes($t));
    kill_hard(processes($t));
    start_again($t);

    $t->get("/?id=b$_&email=b$_\@shop.test") for 1 .. 3;
    ok $t->wait_events(4, 15), 'delivered';

    my @requests = @{ $t->sandbox->requests };

    cmp_ok $requests[1]{time} - $requests[0]{time}, '>=', 4,
        'not before the time';
    is $t->sandbox->stats->{early_retries}, 0, 'no early retry';
    $t->stop;
};


# and it is the key's: whatever becomes of the ring

for my $case (
    ['another size', 'queue %%QUEUE%% size=1m;'],
    ['another size, between a stop and a start', 'queue %%QUEUE%% size=1m;',
        undef, 'stopped'],
    ['another path', 'queue %%QUEUE%%.other;'],
    ['moved aside',  '', sub { rename $_[0], "$_[0].aside" }],
    ['removed',      '', sub { unlink $_[0] }],
    ['damaged',      '', sub { truncate $_[0], 0 }],
) {
    my ($name, $setting, $change, $stopped) = @$case;

    subtest "a pause, and the ring is replaced: $name" => sub {
        my $t = start(account => 'batch events=1 linger=10ms;');

        # the ring's own file is looked at each second and told of
        $t->allow(qr/\[crit\].*(?:truncated|damaged|removed|replaced)/);

        $t->sandbox->fault(kind => 'status', status => 429, retry_after => 6,
                           times => 1);
        $t->get('/?id=a&email=a@shop.test');
        $t->sandbox->wait_requests(1);
        ok wait_for(2, sub { told($t)->{paused_for} }), 'a pause';

        my $ring = $t->queue;

        $change->($ring) if $change;
        $t->set(account => "batch events=1 linger=10ms; $setting");

        if ($stopped) {
            $t->halt('QUIT');
            $t->start;

        } else {
            ok $t->reload(gone => 10), 'a reload';
        }

        $t->get('/?id=b&email=b@shop.test');
        ok wait_for(4, sub { told($t)->{paused_for} }), 'the pause is told of';
        ok $t->sandbox->wait_requests(2, 15), 'goes on';

        my @requests = @{ $t->sandbox->requests };

        cmp_ok $requests[1]{time} - $requests[0]{time}, '>=', 6,
            'not before the time';
        is $t->sandbox->stats->{early_retries}, 0, 'no early retry';
        $t->stop;
    };
}

subtest 'the minute, while the ring is replaced' => sub {
    my $batch = 'batch events=2 linger=10ms; rate share=20%;';
    my $t     = start(account => $batch);
    my $load  = requests($t, clients => 1, pause => 0.01);

    # all 30 of the minute

    ok wait_for(3, sub { told($t)->{bulk_waits_for} }),
        'the status says until when the lane waits';

    for my $n (1 .. 4) {
        sleep 3;
        $t->set(account => "$batch queue %%QUEUE%%.$n size=${n}m;");
        ok $t->reload(gone => 10), 'a reload';
    }

    sleep 3;
    $load->stop;

    my $n = windows($t, bulk => 2, 30);

    note "$n requests";
    cmp_ok $n, '>=', 5, 'and not none';
    $t->stop;
};

subtest 'two accounts with one key' => sub {
    my $t = chaos(
        workers => 2,
        account => 'batch events=2 linger=10ms;',
        http    => q{
            klaviyo_profile email $arg_email;
            klaviyo_account other {
                api_key_file  %%KEY_FILE%%;
                endpoint      %%ENDPOINT%%;
                queue         %%QUEUE%%.other;
                spool         off;
                batch         events=2 linger=10ms;
            }
        },
        server  => q{
            location / {
                klaviyo_track "Viewed Page" account=shop;
                klaviyo_track "Viewed Page" account=other;
                return 200 "page\n";
            }
        },
    );

    $t->sandbox->limits(map { $_ => {burst => 1e6, steady => 1e6} }
                        qw(single bulk));
    $t->start;

    my $load = requests($t, clients => 1, pause => 0.02);

    sleep 10;
    $load->stop;

    my @bulk = grep { ($_->{endpoint} // '') eq 'bulk' }
        @{ $t->sandbox->requests };

    cmp_ok scalar @bulk, '<=', 3 + 12 * 150 / 61, 'share its windows';
    cmp_ok scalar @bulk, '>=', 15 / slow(1), 'and use them';
    $t->stop;
};

# The sandbox refuses here, requests are up to 400 ms late, and both processors
# have other things to do.

$ENV{KLAVIYO_SOAK} && subtest 'a drain of 300 requests' => sub {
    my $t = chaos(
        workers => 2,
        account => 'queue %%QUEUE%% size=64m; batch events=10 linger=10ms;',
        sandbox => {keep => 2_000_000},
    );

    my $relay = Klaviyo::Test::Relay->start(to => $t->sandbox->port);

    $relay->mode('late 400');
    $t->set(account => $t->{account} . 'endpoint http://127.0.0.1:'
                       . $relay->port . ';');
    $t->start;

    my $load = requests($t, clients => 4, pause => 0.001);

    # 3 go at once, the rest one in 407 ms

    sleep 125;

    my @times = sort { $a <=> $b } map { $_->{time} }
        grep { ($_->{endpoint} // '') eq 'bulk' }
        @{ $t->sandbox->requests };
    my $replies = $t->account->{replies};

    $load->stop;

    is $replies->{throttled}, 0, 'no 429' or diag explain $replies;
    cmp_ok scalar @times, '>=', 300, 'at least 300 requests';

    my $minute = grep { $_ >= $times[0] && $_ < $times[0] + 60 } @times;
    my $second = grep { $_ >= $times[0] + 60 && $_ < $times[0] + 120 } @times;

    note "$minute and $second";
    cmp_ok $minute, '>=', 147, 'the first minute is used';
    cmp_ok $second, '>=', 147, 'the second, too';

    $t->stop;
};


done_testing;

#!/usr/bin/perl

# Five nginx, each with a backlog of its own, one Redis, and a sandbox with
# Klaviyo's windows that refuses what is beyond them: 10 requests a second,
# 150 a minute.  By themselves each of them would send 2.5 a second.
#
# Klaviyo is not passed while Redis works, when it is killed, while it is away,
# and when it comes back empty; a 429 at one of them is a pause for all.
#
# KLAVIYO_SOAK: each part for so many seconds.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Redis;
use Time::HiRes qw(sleep time);

use constant HOSTS => 5;

my $soak = $ENV{KLAVIYO_SOAK};

alarm(slow(600 + 8 * ($soak // 0)));

my $module = abs_module();
my $redis  = Klaviyo::Test::Redis->start;
my @nginx;


sub abs_module {
    my $objs = $ENV{KLAVIYO_OBJS} // 'objs';

    return $ENV{KLAVIYO_FLEET_MODULE}
        // "$ENV{PWD}/$objs/ngx_http_klaviyo_fleet_module.so";
}

for my $n (1 .. HOSTS) {
    my $t = Klaviyo::Test->new(
        $n == 1 ? (sandbox => {keep => 100_000}) : (sandbox => 0),
        main    => "load_module $module;",
        account => 'batch events=2 linger=10ms; fleet main share=limits;'
                   . ($n == 1 ? '' : 'endpoint ' . $nginx[0]->sandbox->url
                                     . ';'),
        http    => 'klaviyo_profile email $arg_email; klaviyo_fleet main {'
                   . ' server ' . $redis->url . '; }',
        server  => 'location / { klaviyo_event "Viewed Page" {'
                   . ' unique_id $arg_id; } return 200 "page\n"; }',
    );

    push @nginx, $t;
}

my $sandbox = $nginx[0]->sandbox;
my $n       = 0;

sub fill {
    my ($events) = @_;

    for my $t (@nginx) {
        my $client = $t->client;

        $n++, $client->get("/?id=e$n&email=a$n\@shop.test") for 1 .. $events;
        $client->close;
    }

    return;
}

sub bulk {
    my ($since) = @_;

    return [grep { $_ >= $since } sort { $a <=> $b } map { $_->{time} }
            grep { ($_->{endpoint} // '') eq 'bulk' }
            @{ $sandbox->requests }];
}

sub figure { return [map { $_->account->{fleet}{ $_[0] } } @nginx] }

sub throttled {
    my $sum = 0;

    $sum += $_->account->{replies}{throttled} for @nginx;

    return $sum;
}

sub all { return !grep { !$_ } map { $_[0]->($_->account->{fleet}) } @nginx }

sub seconds { return $soak // $_[0] }

# so many requests, and no more than the limits let through
sub used {
    my ($name, $began, $took, $least) = @_;

    my $times = bulk($began);
    my $count = grep { $_ <= $began + $took } @$times;

    cmp_ok $count, '<=', 5 + $took * 150 / 61, "$name: $count requests in "
        . sprintf('%.1f s', $took);
    cmp_ok $count, '>=', $least * $took * 150 / 61 / slow(1),
        "$name: and not much fewer";

    return;
}


$_->start for @nginx;

ok wait_for(10, sub { all(sub { $_[0]{connected} && $_[0]{hosts} == HOSTS }) }),
    'all are connected, and know of each other'
    or diag explain figure('hosts');

fill($soak ? int(2 * 6 * $soak * 150 / 61 / HOSTS) : 90);

subtest 'together' => sub {
    my @before = @{ figure('granted') };
    my $began  = time;

    sleep seconds(8);
    used('five hosts', $began, time - $began, 0.75);

    my @granted = @{ figure('granted') };

    @granted = sort { $a <=> $b } map { $granted[$_] - $before[$_] }
        0 .. $#granted;

    cmp_ok $granted[-1] - $granted[0], '<=', 2,
        "each has its turn: @granted" if !$soak;
    is throttled(), 0, 'no 429';
    is $_, 0, 'none by itself' for @{ figure('by_itself') };
};

subtest 'a 429 at one is a pause for all' => sub {
    $sandbox->fault(kind => 'status', status => 429, retry_after => 4,
                    times => 1);
    ok wait_for(5, sub { throttled() }), 'a 429';
    ok wait_for(3, sub { !grep { !$_->account->{delivery}{paused_for} }
                         @nginx }), 'all of them pause';

    my ($answered) = map { $_->{time} }
        grep { ($_->{status} // 0) == 429 } @{ $sandbox->requests };

    ok wait_for(10, sub { @{ bulk($answered + 3.9) } }), 'and go on';

    # what was on its way already is no fault

    my $times = bulk($answered + 0.3);

    cmp_ok $times->[0] - $answered, '>=', 3.9, 'none before its end';
    is throttled(), 1, 'no other 429';
};

subtest 'Redis is killed' => sub {
    my $began = time;

    $redis->kill;
    $_->allow(qr/fleet "main".*is away/) for @nginx;

    ok wait_for(5, sub { all(sub { !$_[0]{connected} }) }), 'all see it';
    ok wait_for(10, sub { all(sub { $_[0]{by_itself} }) }),
        'each goes on by itself';
    sleep seconds(5);
    used('by themselves', $began, time - $began, 0.4);
    is throttled(), 1, 'no 429';
};

subtest 'and comes back, empty' => sub {
    my $began = time;

    $redis->run;

    ok wait_for(10, sub { all(sub { $_[0]{connected} }) }), 'all see it';
    ok wait_for(10, sub { all(sub { $_[0]{hosts} == HOSTS
                                    && !$_[0]{silent} }) }), 'all of them';

    my @granted = @{ figure('granted') };

    sleep seconds(4);
    used('together again', $began, time - $began, 0.4);

    my $more = 0;

    $more += $_ for @{ figure('granted') };
    $more -= $_ for @granted;

    cmp_ok $more, '>=', 4, "by turns that are granted: $more";
    is throttled(), 1, 'no 429';
};

subtest 'a host is killed, another one stops' => sub {
    my $gone = $nginx[-1];

    $gone->allow_kills;
    kill_hard($gone->master, processes($gone));
    kill_hard(processes($gone));

    ok wait_for(10, sub { $nginx[0]->account->{fleet}{silent} == 1 }),
        'one is silent';

    start_again($gone);

    ok wait_for(10, sub { my $fleet = $nginx[0]->account->{fleet};
                          $fleet->{hosts} == HOSTS && !$fleet->{silent} }),
        'it is the same when it comes back';

    $nginx[1]->halt('QUIT') if $nginx[1]->can('halt');

    ok wait_for(10, sub { $nginx[0]->account->{fleet}{hosts} == HOSTS - 1 }),
        'one that stops says so';

    $nginx[1]->start;
    is throttled(), 1, 'no 429';
};

my $stats = $sandbox->stats;

is $stats->{early_retries}, 0, 'nobody asked before the end of the pause';

$_->stop for reverse @nginx;
$redis->stop;
done_testing;

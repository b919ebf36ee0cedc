#!/usr/bin/perl

# A shared queue within Klaviyo's limits: four nginx and a Redis have more to
# send than goes, the elected host is killed and another one stops, and the
# sandbox refuses what is beyond its windows.  No 429, and no window passed.
#
# Then one 429 with Retry-After: nobody asks before its end, not who is elected
# meanwhile, and no host that shares the limits alone.
#
# In a minute of Klaviyo's no more than 150 requests: what takes a minute to see
# is seen in ten seconds by a share of them.  KLAVIYO_SOAK: Klaviyo's own
# windows, for so many seconds.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Redis;
use List::Util  qw(sum0);
use Time::HiRes qw(sleep time);

use constant {
    HOSTS => 4,

    # turns are 61 s / 150 apart, with three in reserve, and are taken up to
    # a second late

    WINDOW => 10,
    MOST   => 30,
};

my $soak = $ENV{KLAVIYO_SOAK};

alarm(slow(240 + 6 * ($soak // 0)));

my $objs   = $ENV{KLAVIYO_OBJS} // 'objs';
my $module = $ENV{KLAVIYO_FLEET_MODULE}
    // "$ENV{PWD}/$objs/ngx_http_klaviyo_fleet_module.so";
my $redis  = Klaviyo::Test::Redis->start;
my @nginx;


sub host {
    my ($fleet) = @_;

    my $first = $nginx[0];

    return Klaviyo::Test->new(
        $first ? (sandbox => 0) : (sandbox => {keep => 1_000_000}),
        main    => "load_module $module;",
        account => 'batch events=10 linger=10ms; retry min=100ms max=300ms;'
                   . " fleet main $fleet;"
                   . ($first ? ' endpoint ' . $first->sandbox->url . ';' : ''),
        http    => 'klaviyo_profile email $arg_email; klaviyo_fleet main {'
                   . ' server ' . $redis->url . '; }',
        server  => 'location / { klaviyo_event "Viewed Page" {'
                   . ' unique_id $arg_id; } return 200 "page\n"; }',
    )->allow_kills->allow(qr/is away/)->start;
}

push @nginx, host('share=queue away=5m') for 1 .. HOSTS;

my $sandbox = $nginx[0]->sandbox;

# a share of Klaviyo's minute

$sandbox->limits(bulk => {steady => MOST, steady_seconds => WINDOW}) if !$soak;

sub leads { return $_[0]->account('shop/fleet')->{fleet}{leads} }

sub leader {
    my @leads = grep { leads($_) } @nginx;

    return @leads == 1 ? $leads[0] : undef;
}

sub throttled {
    my $limits = $sandbox->stats->{limits}{shop};

    return $limits->{bulk}{throttled} + $limits->{single}{throttled};
}

sub queued { return sum0(map { $_->account->{queued} // 1 } @nginx) }

# all that was captured is recorded
sub all_arrived {
    my ($name) = @_;

    ok wait_for(90 + 2 * ($soak // 0), sub { queued() == 0 }),
        "$name: nothing is left"
        or diag queued(), map { $_->log } @nginx;

    my $captured = sum0(map { $_->account->{captured}
                              - $_->account->{lost} } @nginx);

    is scalar keys %{ recorded($nginx[0]) }, $captured,
        "and all is recorded: $captured";
    is $sandbox->stats->{collisions}, 0, 'repeats had the same bytes';

    return;
}


ok wait_for(15, sub { leader() }), 'one delivers for all'
    or diag map { $_->log } @nginx;

subtest 'within the windows' => sub {
    my $seconds = $soak // 16;
    my $began   = time;
    my @load    = map { requests($_, clients => 1, pause => 0.05) } @nginx;

    sleep $seconds / 4;

    my $t = leader();

    $t->halt('QUIT');
    ok wait_for(10, sub { grep { leads($_) } grep { $_ != $t } @nginx }),
        'another one leads';
    $t->start;

    sleep $seconds / 4;

    $t = leader();
    kill_hard($t->master, processes($t));
    kill_hard(processes($t));
    start_again($t);
    ok wait_for(30, sub { leader() }), 'and again one';

    sleep $seconds / 4;
    $_->stop for @load;
    all_arrived('more than goes');

    my $took   = time - $began;
    my $limits = $sandbox->stats->{limits}{shop};
    my $count  = grep { ($_->{endpoint} // '') eq 'bulk' }
        @{ $sandbox->requests };

    is throttled(), 0, 'no 429';
    is $sandbox->stats->{early_retries}, 0, 'nobody told to wait';

    for my $class (qw(bulk single)) {
        for my $window (qw(burst steady)) {
            my $of = $limits->{$class}{$window};

            cmp_ok $of->{peak}, '<=', $of->{limit}, "$class, $window: at most"
                . " $of->{peak} of $of->{limit}";
        }
    }

    # as many as there may be, but while nobody delivered

    cmp_ok $count, '>=', 0.3 * ($took - 12) * 150 / 61 / slow(1),
        sprintf '%d requests in %.1f s', $count, $took;
};

subtest 'a 429 is a pause for all' => sub {
    push @nginx, host('share=limits');

    my @load = map { requests($_, clients => 1, pause => 0.2) } @nginx;

    ok wait_for(15, sub { leader() && $nginx[-1]->account->{delivered} }),
        'all deliver';
    is throttled(), 0, 'no 429';

    $sandbox->fault(kind => 'status', status => 429, retry_after => 6,
                    times => 1);

    my $answered;

    ok wait_for(15, sub {
        ($answered) = map { $_->{time} }
            grep { ($_->{status} // 0) == 429 } @{ $sandbox->requests };
    }), 'a 429';

    ok wait_for(3, sub {
        $nginx[-1]->account->{delivery}{paused_for}
            && leader()->account('shop/fleet')->{delivery}{paused_for}
    }), 'all pause who deliver';

    my $t = leader();

    $t->halt('QUIT');
    ok wait_for(5, sub { grep { leads($_) } grep { $_ != $t } @nginx }),
        'another one is elected';
    $t->start;

    # what was on its way already is no fault

    my $after = sub {
        return grep { $_ > $answered + 0.3 } sort { $a <=> $b }
            map { $_->{time} } @{ $sandbox->requests };
    };

    ok wait_for(20, sub { $after->() }), 'they go on';

    my ($next) = $after->();

    cmp_ok $next - $answered, '>=', 5.9, 'but none before its end';
    sleep 2;
    $_->stop for @load;
    all_arrived('after a pause');
    is scalar(grep { ($_->{status} // 0) == 429 } @{ $sandbox->requests }), 1,
        'it was the only one';
};

$_->stop for reverse @nginx;
$redis->stop;
done_testing;

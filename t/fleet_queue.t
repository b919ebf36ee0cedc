#!/usr/bin/perl

# The shared queue: three nginx with two workers each, a Redis, a sandbox.
# After each fault what was captured is recorded once, and the equations hold:
#
#   host   captured = delivered + dry_run + dead + lost + handed_over + queued
#   Redis  accepted = delivered + dead + queued
#   fleet  all that was handed over is what Redis settled, where nothing was
#          rolled back and nobody delivered by itself
#
# Events of a host that is killed are in its own queue, or in Redis.  The
# script: fleet_queue_script.t.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Client;
use Klaviyo::Test::Process qw(read_file run);
use Klaviyo::Test::Redis;
use Time::HiRes qw(sleep time);

use constant HOSTS => 3;

alarm slow(600);

my $objs   = $ENV{KLAVIYO_OBJS} // 'objs';
my $module = $ENV{KLAVIYO_FLEET_MODULE}
    // "$ENV{PWD}/$objs/ngx_http_klaviyo_fleet_module.so";
my $redis  = Klaviyo::Test::Redis->start;
my @nginx;
my %rolled;                 # Redis lost what it knew


sub host {
    my ($fleet, %option) = @_;

    my $first = $nginx[0];

    return Klaviyo::Test->new(
        $first ? (sandbox => 0)
               : (sandbox => {limits => 'off', keep => 1_000_000}),
        main    => "load_module $module;",
        workers => 2,
        account => "batch linger=100ms; retry min=100ms max=300ms;"
                   . " fleet main $fleet;"
                   . ($first ? ' endpoint ' . $first->sandbox->url . ';' : ''),
        http    => 'klaviyo_profile email $arg_email;'
                   . ' log_format ids "$arg_id $klaviyo_captured";'
                   . ' klaviyo_fleet main { server ' . $redis->url . '; }',
        server  => q{
            access_log %%DIR%%/access.log ids;

            location / {
                klaviyo_event "Viewed Page" {
                    unique_id $arg_id;
                }
                return 200 "page\n";
            }
        },
        %option,
    )->allow_kills->allow(qr/fleet "main".* away/);
}

push @nginx, host('away=4s') for 1 .. HOSTS;

my $sandbox = $nginx[0]->sandbox;


sub account { return $_[0]->account($_[1]) }

# which one delivers for all; undef: none, or two
sub leader {
    my @leads = grep { account($_, 'shop/fleet')->{fleet}{leads} } @nginx;

    return @leads == 1 ? $leads[0] : undef;
}

sub figure {
    my ($name) = @_;

    my %state = split /\n/,
        $redis->cli('HGETALL', 'klaviyo:{shop}:state:events');

    return $state{$name} // 0;
}

# events that wait anywhere
sub queued {
    my $n = figure('accepted') - figure('delivered') - figure('dead');

    for my $t (@nginx) {
        my $account = account($t);

        return -1 if !defined $account->{queued};
        $n += $account->{queued};
    }

    return $n;
}

sub logged {
    return map { /^(\S+) 1$/ ? $1 : () }
        map { split /\n/, eval { read_file($_->dir . '/access.log') } // '' }
        @nginx;
}

# all that was captured so far is recorded, once, and nothing waits
sub all_arrived {
    my ($name, %option) = @_;

    subtest "$name: what was captured arrived" => sub {
        ok wait_for($option{seconds} // 60, sub { queued() == 0 }),
            'nothing is left anywhere'
            or diag 'queued ', queued(), ' ', map { $_->log } @nginx;

        my $recorded = recorded($nginx[0]);
        my @logged   = logged();
        my $captured = 0;
        my $handed   = 0;
        my $itself   = 0;

        for my $t (@nginx) {
            my $account = account($t);

            is $account->{lost}, $account->{reasons}{lost}{queue_busy},
                'none lost' or diag explain $account->{reasons}{lost};
            $captured += $account->{captured}
                         - $account->{reasons}{lost}{queue_busy};
            $handed   += $account->{handed_over};
            $itself   += $account->{delivered} + $account->{dead};
            is $account->{captured}, $account->{delivered}
                + $account->{dry_run} + $account->{dead} + $account->{lost}
                + $account->{handed_over} + $account->{queued},
                'the equation of a host';
        }

        is scalar(keys %$recorded), $captured, "recorded: all $captured";
        is_deeply [grep { !$recorded->{$_} } @logged], [],
            'what the access log calls captured is recorded';
        is $sandbox->stats->{collisions}, 0, 'repeats had the same bytes';
        is figure('accepted'), figure('delivered') + figure('dead'),
            'the equation of Redis';
        is figure('bytes'), 0, 'which has no bytes left';

        is $handed, figure('delivered') + figure('dead'),
            'the equation of the fleet' if !%rolled && !$itself;
    };

    return;
}

sub load {
    my ($seconds, $what) = @_;

    my @load = map { requests($_, clients => 1, pause => 0.01) } @nginx;

    sleep $seconds / 2;
    $what->() if $what;
    sleep $seconds / 2;

    $_->stop for @load;

    return;
}


$_->start for @nginx;

ok wait_for(15, sub { leader() }), 'one delivers for all'
    or diag map { $_->log } @nginx;

subtest 'together' => sub {
    load(3);
    all_arrived('together');

    my @delivered = grep { account($_, 'shop/fleet')->{delivered} } @nginx;

    is scalar @delivered, 1, 'one of them delivered all';
    cmp_ok account($_)->{handed_over}, '>', 20, 'of each' for @nginx;
    is account($_)->{delivered}, 0, 'none by itself' for @nginx;
    is $sandbox->stats->{repeats}, 0, 'each once';

    my $fleet = account($nginx[1])->{fleet};

    is $fleet->{accepted}, figure('accepted'), 'the figures tell of it';
    is $fleet->{hosts}, HOSTS, 'of all hosts';

    ok wait_for(10, sub {
        HOSTS == keys %{ account($nginx[1])->{fleet_hosts} // {} }
    }), 'which are listed';

    my %hosts = %{ account($nginx[1])->{fleet_hosts} };
    my ($name) = sort keys %hosts;
    my $client = Klaviyo::Test::Client->new(port => $nginx[1]->port('STATUS'));
    my $text = $client->get('/klaviyo_status?format=prometheus')->body;

    like $text, qr/_fleet_host_age_seconds\{account="shop",host="\Q$name\E"\} \d/,
        'for Prometheus';
    like $text, qr/_fleet_host_events_left\{account="shop",host="\Q$name\E"\} 0/,
        'too';
    like $client->get('/klaviyo_status?format=html')->body,
        qr{<b>0</b> \Q$name\E, heard of \d+ s ago}, 'as a page';
    $client->close;

    cmp_ok $_->{age}, '<', slow(8), 'heard of' for values %hosts;
    is $_->{left}, 0, 'nothing left behind' for values %hosts;
};

# so that who stops in order is replaced within a second

subtest 'who waits asks twice a second' => sub {
    my (undef, $output) = run('timeout', slow(5), 'redis-cli', '-s',
        $redis->socket, 'MONITOR');
    my %asked;

    $asked{$1}++ while $output =~ /"lease" "(\w+)"/g;

    is scalar keys %asked, HOSTS, 'all of them';
    cmp_ok scalar(grep { $_ >= slow(5) * 1.4 } values %asked), '==', HOSTS - 1,
        'those that wait' or diag explain \%asked;
};

subtest 'its worker is killed' => sub {
    my $t = leader();
    my $elections;
    my ($killed, $took);

    load(4, sub {
        my ($pid) = $t->log
            =~ /.*\[notice\] (\d+)#\S+ klaviyo account "shop\/fleet": this host/s;

        ok $pid, 'which one it is';
        kill_hard($pid);
        $killed = time;
        ok wait_for(slow(6), sub {
            my ($other) = $t->log
                =~ /.*\[notice\] (\d+)#\S+ klaviyo account "shop\/fleet": this host/s;
            return $other != $pid;
        }), 'another worker of the host takes over at once';
        $took = time - $killed;
    });

    cmp_ok $took, '<', slow(4), sprintf 'in %.1f s', $took;
    is leader(), $t, 'the same host';
    all_arrived('a killed worker');
};

subtest 'its host is killed' => sub {
    my $t = leader();
    my ($killed, $took);

    load(2, sub {
        kill_hard($t->master, processes($t));
        kill_hard(processes($t));
        $killed = time;
    });

    my @others = grep { $_ != $t } @nginx;

    ok wait_for(slow(20), sub {
        grep { account($_, 'shop/fleet')->{fleet}{leads} } @others
    }), 'another host takes over';

    $took = time - $killed;
    cmp_ok $took, '<', slow(14), sprintf 'in %.1f s', $took;

    start_again($t);
    all_arrived('a killed host');
};

subtest 'it stops in order' => sub {
    my $t = leader();
    my @others = grep { $_ != $t } @nginx;

    $t->halt('QUIT');

    my $began = time;

    ok wait_for(slow(8), sub {
        grep { account($_, 'shop/fleet')->{fleet}{leads} } @others
    }), 'another host takes over';

    my $took = time - $began;

    cmp_ok $took, '<', slow(4), sprintf 'in %.1f s', $took;
    $t->start;
    all_arrived('an orderly stop');
};

subtest 'Redis is full' => sub {
    load(2, sub {
        $redis->cli(qw(CONFIG SET maxmemory 1));
        sleep 1;
    });

    my $waits = 0;

    $waits += account($_)->{queued} for @nginx;
    cmp_ok $waits, '>', 0, "$waits events wait in the queues of their hosts";
    cmp_ok figure('accepted'), '==', figure('delivered') + figure('dead'),
        'what it had is settled';
    like join('', map { $_->log } @nginx),
        qr/\[warn\].*Redis is over its maxmemory: events stay in the queue/,
        'the log tells';
    $redis->cli(qw(CONFIG SET maxmemory 0));
    all_arrived('a full Redis');
    is account($_)->{delivered}, 0, 'none by itself' for @nginx;
};

subtest 'somebody deletes the stream' => sub {
    $rolled{deleted} = 1;
    load(3, sub {
        $redis->cli('DEL', 'klaviyo:{shop}:q:events') for 1 .. 5;
    });
    all_arrived('a stream that vanished');
};

subtest 'Redis hangs, and a host stops' => sub {
    my $t = leader();

    $redis->hang;

    my $began = time;

    $t->halt('QUIT');
    cmp_ok time - $began, '<', slow(4), 'a worker leaves at once';
    $redis->go_on;
    $t->start;
    all_arrived('a host that stopped meanwhile');
};

subtest 'Redis hangs' => sub {
    load(3, sub {
        $redis->hang;

        my $began = time;

        $nginx[0]->get('/?id=hangs&email=a@shop.test') for 1;
        cmp_ok time - $began, '<', slow(1), 'visitors do not notice';
        sleep 1.5;
        $redis->go_on;
    });

    all_arrived('a Redis that hung');
};

subtest 'Redis is killed, and comes back empty' => sub {
    $rolled{empty} = 1;

    load(3, sub {
        $redis->kill;
        sleep 1;
        $redis->run;
    });

    ok wait_for(20, sub { leader() }), 'one delivers for all';
    all_arrived('an empty Redis');
};

subtest 'away for longer: each by itself' => sub {
    my @before = map { account($_)->{delivered} } @nginx;

    load(4, sub { $redis->kill });

    ok wait_for(30, sub {
        !grep { account($_)->{queued} } @nginx
    }), 'nothing is left' or diag map { $_->log } @nginx;

    cmp_ok account($nginx[$_])->{delivered}, '>', $before[$_],
        'delivered by itself' for 0 .. $#nginx;
    like $nginx[0]->log, qr/\[warn\].*this host delivers by itself/,
        'the log tells';

    $redis->run;
    ok wait_for(20, sub { leader() }), 'and together again';

    my $handed = account($nginx[0])->{handed_over};

    load(2);
    all_arrived('by itself');
    cmp_ok account($nginx[0])->{handed_over}, '>', $handed, 'as before';
};

subtest 'Redis is rolled back' => sub {
    load(1);
    all_arrived('before it');
    $redis->cli('SAVE');
    load(2);
    all_arrived('after it was saved');

    # what the file has, as a replica that did not get the rest

    $redis->kill;
    load(1);
    $redis->run;
    ok wait_for(20, sub { leader() }), 'one delivers for all';
    load(1);
    all_arrived('rolled back');
};

subtest 'rolled back to what was settled since' => sub {
    my $before = figure('accepted');

    $sandbox->fault(kind => 'status', status => 503);
    load(2);
    ok wait_for(20, sub { figure('accepted') > $before }), 'packs wait';
    $redis->cli('SAVE');
    $sandbox->clear_faults;
    all_arrived('before it');

    # the one that leads has the lease of the copy, and knows none of its packs

    $redis->kill->run;
    all_arrived('rolled back');
    load(1);
    all_arrived('and on');
};

subtest 'refused for good: a dead letter, in Redis' => sub {
    $sandbox->fault(kind => 'refuse', match => {unique_id => '^bad'});
    $nginx[$_ % 3]->get("/?id=bad$_&email=a\@shop.test") for 1 .. 3;
    load(1);

    ok wait_for(30, sub { figure('dead') >= 3 }), 'dead';
    ok wait_for(30, sub { queued() == 0 }), 'and nothing waits';
    $sandbox->clear_faults;

    my $letters = $redis->cli('LRANGE', 'klaviyo:{shop}:dead:events', 0, -1);

    like $letters, qr/"unique_id":"bad$_"/, "a letter of bad$_" for 1 .. 3;
    like $letters, qr/"account":"shop"/, 'of its account';
};

subtest 'one that fails by itself holds up nobody' => sub {
    my $dead = figure('dead');

    $sandbox->fault(kind => 'refuse', status => 503,
                    match => {unique_id => '^poison'});
    $nginx[0]->get('/?id=poison&email=p@shop.test');
    load(3);

    my @logged = grep { !/^(?:bad|poison)/ } logged();

    ok wait_for(40, sub {
        my $recorded = recorded($nginx[0]);
        return !grep { !$recorded->{$_} } @logged;
    }), 'the others arrive';

    cmp_ok account($nginx[0])->{queued}, '>', 0,
        'its host keeps it, while it is tried';
    is figure('dead'), $dead, 'it is not given up';
    $sandbox->clear_faults;

    ok wait_for(60, sub { recorded($nginx[0])->{poison} }),
        'it is delivered when it is taken';
    ok wait_for(30, sub { queued() == 0 }), 'and nothing waits'
        or diag $redis->cli('HGETALL', 'klaviyo:{shop}:hosts:events');
};

$_->stop for reverse @nginx;
$redis->stop;
done_testing;

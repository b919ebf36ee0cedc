#!/usr/bin/perl

# The shared queue when things go wrong at random: workers, hosts and Redis are
# killed under load, and relays in front of Redis stall and cut.  What was
# captured is recorded, and the equations hold.
#
# And what a user of Redis needs to be allowed, a host that may not deliver,
# and what of a queue's size is kept to.
#
# KLAVIYO_SOAK: so many seconds of the former.  Each fault by itself:
# fleet_queue.t.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Process qw(temp_folder read_file write_file);
use Klaviyo::Test::Redis;
use Klaviyo::Test::Relay;
use Time::HiRes qw(sleep time);

use constant HOSTS => 3;

my $soak = soak(20);

alarm slow(400 + 3 * $soak);
srand($ENV{KLAVIYO_SEED} // 7);

my $objs   = $ENV{KLAVIYO_OBJS} // 'objs';
my $module = $ENV{KLAVIYO_FLEET_MODULE}
    // "$ENV{PWD}/$objs/ngx_http_klaviyo_fleet_module.so";
my $folder = temp_folder();


sub host {
    my ($first, $fleet, $server, %option) = @_;

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
                   . " klaviyo_fleet main { server $server }",
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

sub figure {
    my ($redis, $name) = @_;

    my %state = split /\n/,
        $redis->cli('HGETALL', 'klaviyo:{shop}:state:events');

    return $state{$name} // 0;
}


subtest 'at random' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my @relay = map { Klaviyo::Test::Relay->start(to => $redis->port) }
        1 .. HOSTS;
    my @nginx;

    push @nginx, host($nginx[0], 'away=5s', 'redis://127.0.0.1:'
        . $_->port . '; timeout connect=300ms answer=500ms;') for @relay;

    $_->start for @nginx;

    my @load = map { requests($_, clients => 1, pause => 0.01) } @nginx;
    my $end  = time + $soak;
    my %did;

    while (time < $end) {
        my $n    = int rand @nginx;
        my $t    = $nginx[$n];
        my $what = (qw(worker worker master redis hang relay relay pause))
            [rand 8];

        $did{$what}++;

        if ($what eq 'worker') {
            my @workers = processes($t);
            kill_hard($workers[rand @workers]) if @workers;

        } elsif ($what eq 'master') {
            kill_hard($t->master, processes($t));
            kill_hard(processes($t));
            start_again($t);

        } elsif ($what eq 'redis') {
            $redis->cli('SAVE') if rand() < 0.5;
            $redis->kill;
            sleep rand;
            $redis->run;

        } elsif ($what eq 'hang') {
            $redis->hang;
            sleep 2 * rand;
            $redis->go_on;

        } elsif ($what eq 'relay') {
            my @mode = ('silent', 'cut ' . int rand 20_000, 'reset',
                        'late 300');

            $relay[$n]->mode($mode[rand @mode]);
            sleep 1.5 * rand;
            $relay[$n]->mode('pass');
        }

        sleep 0.7 * rand;
    }

    $_->stop for @load;
    $_->mode('pass') for @relay;

    note join ', ', map { "$_ $did{$_}" } sort keys %did;

    my $left = sub {
        my $n = figure($redis, 'accepted') - figure($redis, 'delivered')
                - figure($redis, 'dead');

        $n += account_of($_)->{queued} // 1 for @nginx;
        return $n;
    };

    ok wait_for(slow(90), sub { !$left->() }), 'nothing is left anywhere'
        or diag $left->(), map { $_->log } @nginx;

    my $recorded = recorded($nginx[0]);
    my $captured = 0;
    my @logged   = map { /^(\S+) 1$/ ? $1 : () }
        map { split /\n/, read_file($_->dir . '/access.log') } @nginx;

    for my $t (@nginx) {
        my $account = account_of($t);

        is $account->{dead}, 0, 'none dead';
        is $account->{lost}, $account->{reasons}{lost}{queue_busy},
            'none lost';
        $captured += $account->{captured} - $account->{lost};
    }

    is scalar(keys %$recorded), $captured, "recorded: all $captured";
    is_deeply [grep { !$recorded->{$_} } @logged], [],
        'what the access log calls captured is recorded';
    is $nginx[0]->sandbox->stats->{collisions}, 0,
        'repeats had the same bytes';
    is figure($redis, 'accepted'),
        figure($redis, 'delivered') + figure($redis, 'dead'),
        'the equation of Redis';
    is figure($redis, 'bytes'), 0, 'which has no bytes left';
    note $nginx[0]->sandbox->stats->{repeats}, ' repeats';

    $_->stop for reverse @nginx;
    $redis->stop;
};

sub account_of { return $_[0]->account }


subtest 'a user that may do nothing else' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my $pass  = write_file("$folder/redis.pass", "s3cret\n", 0600);
    my ($acl) = do {
        open my $in, '<', 'docs/fleet.md' or die "no guide: $!\n";
        map { /^ACL SETUSER klaviyo (.*)/ ? $1 : () } <$in>;
    };

    is $redis->cli('ACL', 'SETUSER', 'klaviyo',
        split / /, $acl =~ s/>password/>s3cret/r), 'OK', 'as the guide says';

    my $t = host(undef, '', $redis->url . "; user klaviyo; password_file "
                 . "$pass;")->start;

    $t->get("/?id=u$_&email=a\@shop.test") for 1 .. 20;
    ok $t->wait_events(20, 20), 'delivered' or diag $t->log;

    $t->sandbox->fault(kind => 'refuse', match => {unique_id => '^bad'});
    $t->get('/?id=bad&email=a@shop.test');
    ok wait_for(20, sub { figure($redis, 'dead') == 1 }), 'a dead letter';
    ok $t->wait_idle(20), 'all is settled';
    is $t->account->{handed_over}, 21, 'by Redis';
    unlike $t->log, qr/denied/, 'nothing was denied';
    $t->stop;
    $redis->stop;
};


subtest 'deliver=off' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my $first = host(undef, 'away=1s', $redis->url . ';');
    my $t     = host($first, 'away=1s deliver=off', $redis->url . ';',
                     account => 'fleet main away=1s deliver=off;'
                                . ' endpoint http://127.0.0.1:1;')->start;

    $t->get("/?id=off$_&email=a\@shop.test") for 1 .. 10;
    ok wait_for(10, sub { figure($redis, 'accepted') == 10 }), 'added';
    is $t->account('shop/fleet')->{captured}, undef,
        'it has no queue to deliver from';

    $redis->hang;
    $t->get("/?id=more$_&email=a\@shop.test") for 1 .. 10;
    sleep 4;
    is $t->account->{queued}, 20, 'it keeps all of them while Redis is away';
    is $t->account->{requests}{bulk} // $t->account->{reasons}{requests}{bulk}
        // 0, 0, 'and sends nothing';
    $redis->go_on;

    $first->start;
    ok wait_for(30, sub { keys %{ recorded($first) } == 20 }),
        'another host delivers them';
    ok $t->wait_idle(20), 'then it forgets them';
    $t->stop;
    $first->stop;
    $redis->stop;
};


# one that leads, and whose way or key is none

subtest 'a host without a way to Klaviyo' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my $first = host(undef, '', $redis->url . ';');
    my $t     = host($first, '', $redis->url . ';', account => 'retry '
                     . 'min=100ms max=300ms; timeout connect=1s total=2s; '
                     . 'fleet main; endpoint http://127.0.0.1:1;')
        ->allow(qr/shop.fleet/)->start;

    ok wait_for(slow(10), sub {
        $t->account('shop/fleet')->{fleet}{leads}
    }), 'it leads';

    $first->start;
    $t->get("/?id=way$_&email=a\@shop.test") for 1 .. 10;
    ok wait_for(slow(60), sub { keys %{ recorded($first) } == 10 }),
        'another host delivers' or diag $t->log;
    ok $t->wait_idle(20), 'all is settled';
    is $t->account->{handed_over}, 10, 'by the fleet';
    like $t->log, qr/no more for fleet "main": Klaviyo accepts nothing from/,
        'the log tells';
    $_->stop for $t, $first;
    $redis->stop;
};


subtest 'hosts of two accounts' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my $first = host(undef, 'away=2s', $redis->url . ';')->start;
    my $key   = write_file("$folder/other.key",
                           'pk_' . 'other_0123456789abcdef' . "\n", 0600);

    $first->get('/?id=one&email=a@shop.test');
    ok $first->wait_events(1, slow(20)), 'of one account';

    my $other = Klaviyo::Test->new(
        sandbox => {limits => 'off', keys => ['pk_other_0123456789abcdef']},
        main    => "load_module $module;",
        account => 'batch linger=100ms; fleet main away=2s;'
                   . " api_key_file $key;",
        http    => 'klaviyo_profile email $arg_email; klaviyo_fleet main '
                   . '{ server ' . $redis->url . '; }',
        server  => q{
            location / {
                klaviyo_event "Viewed Page" {
                    unique_id $arg_id;
                }
                return 200 "page\n";
            }
        },
    )->allow_kills->allow(qr/fleet/)->start;

    $other->get("/?id=other$_&email=b\@other.test") for 1 .. 5;
    $first->get("/?id=first$_&email=a\@shop.test") for 1 .. 5;
    ok wait_for(slow(30), sub { keys %{ recorded($other) } == 5 }),
        'the other delivers by itself' or diag $other->log;
    ok $first->wait_events(6, slow(20)), 'the first by the fleet';
    is_deeply [grep { /other/ } keys %{ recorded($first) }], [],
        'nothing of the other went there';
    like $other->log, qr/\[error\].* is of another account of Klaviyo/,
        'the log tells';
    is $other->account->{handed_over}, 0, 'nothing was handed over';
    $_->stop for $other, $first;
    $redis->stop;
};


subtest 'another key' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my @keys  = map { "pk_key${_}_0123456789abcdef" } 1, 2;
    my $file  = write_file("$folder/shop.key", "$keys[0]\n", 0600);
    my $t     = host(undef, '', $redis->url . ';',
                     sandbox => {limits => 'off', keys => \@keys},
                     account => 'batch linger=100ms; fleet main;'
                                . " api_key_file $file;")->start;

    $t->get('/?id=before&email=a@shop.test');
    ok $t->wait_events(1, slow(20)), 'with one key';
    write_file($file, "$keys[1]\n", 0600);
    $t->reload;
    $t->get('/?id=behind&email=a@shop.test');
    ok $t->wait_events(2, slow(20)), 'with another one';
    ok $t->wait_idle(20), 'all is settled';
    is $t->account->{handed_over}, 2, 'by the fleet';
    unlike $t->log, qr/of another account/, 'it is the same account';
    $t->stop;
    $redis->stop;
};


subtest 'who leads no more says so' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my $t     = host(undef, '', $redis->url . ';')->start;
    my $leads = sub { $t->account('shop/fleet')->{fleet}{leads} };

    ok wait_for(slow(10), $leads), 'it leads';

    # its worker is killed, and another host is quick

    my @workers = processes($t);

    kill 'STOP', @workers;
    $redis->cli('HSET', 'klaviyo:{shop}:state:events', owner => 'other',
                nonce => 'other', until => int(1000 * time) + 9000);
    kill_hard(@workers);
    ok wait_for(slow(6), sub {
        2 == (() = $t->log =~ /"shop\/fleet": this worker delivers/g)
    }), 'its next worker is there';
    ok wait_for(slow(4), sub { !$leads->() }), 'and does not lead';
    ok wait_for(slow(20), $leads), 'until the time of the other is over';
    $t->stop;
    $redis->stop;
};


subtest 'in the words of Redis' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my $t     = host(undef, '', $redis->url . ';')->start;

    $redis->cli(qw(CONFIG SET min-replicas-to-write 1));
    $t->get('/?id=words&email=a@shop.test');
    ok wait_for(slow(20), sub {
        $t->log =~ /away: its script fails \(.*NOREPLICAS Not enough good/
    }), 'why it takes nothing' or diag $t->log;
    $redis->cli(qw(CONFIG SET min-replicas-to-write 0));
    ok $t->wait_events(1, slow(20)), 'then it does';
    $t->stop;
    $redis->stop;
};


# whoever may write to Redis: another version, another program

subtest 'packs of nobody' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my $t     = host(undef, '', $redis->url . ';')->start;
    my %pack  = (
        longhost => [u => 'x' x 200, e => 0, t => 1, n => 1, p => 'KPK2'],
        older    => [u => 'a:1', e => 0, t => 1, n => 1,
                     p => 'KPK1' . 'x' x 60],
        nothing  => [a => 'b'],
    );

    for my $name (sort keys %pack) {
        $redis->cli('XADD', 'klaviyo:{shop}:q:events', '*',
                    @{ $pack{$name} });
        $t->get("/?id=$name&email=a\@shop.test");
        ok wait_for(slow(20), sub { recorded($t)->{$name} }),
            "$name: it is taken away" or diag $t->log;
    }

    ok $t->wait_idle(20), 'all is settled';
    is figure($redis, 'accepted'),
        figure($redis, 'delivered') + figure($redis, 'dead'),
        'the equation of Redis';
    $t->stop;
    $redis->stop;
};


subtest 'size' => sub {
    my $redis = Klaviyo::Test::Redis->start;
    my $t     = host(undef, 'size=1m deliver=off', $redis->url . ';',
                     limits => 0)->start;
    my $client = $t->client;

    # no pack of theirs is small, compressed

    for my $n (1 .. 900) {
        my $noise = join '', map { chr 97 + int rand 26 } 1 .. 3000;
        $client->get("/?id=s$n&email=a\@shop.test&x=$noise");
    }

    $client->close;
    ok wait_for(20, sub { $t->account->{fleet}{full} > 0 }), 'it is full';
    cmp_ok figure($redis, 'bytes'), '<=', 1 << 20, 'no more than that';
    cmp_ok figure($redis, 'accepted'), '<', 900, 'not all are in it';
    is $t->account->{queued}, 900, 'all are in their host';
    like $t->log, qr/\[warn\].*as many bytes as "size" allows/,
        'the log tells';
    is $t->account->{lost}, 0, 'none is lost';

    $t->stop;
    $redis->stop;
};

done_testing;

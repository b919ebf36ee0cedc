#!/usr/bin/perl

# Workers come and go: reloads under load, kills, a stopped deliverer, an
# upgrade of the binary, an exit in the middle of a transfer.

use lib 't/lib';
use Klaviyo::Test;
use Time::HiRes qw(sleep time);


my $http = 'klaviyo_profile email $arg_email; klaviyo_property N $arg_n;';

my $server = q{
    location / {
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }
};

sub new {
    return Klaviyo::Test->new(http => $http, server => $server, @_);
}

sub hit { return $_[0]->get("/?email=v$_[1]\@shop.test&n=$_[1]")->status }

# every captured event is recorded, none twice
sub all_arrived {
    my ($t, $name) = @_;

    ok $t->wait_idle(20), "$name: nothing is left in the queue";

    my $account = $t->account;
    my $events  = $t->sandbox->events;
    my %id      = map { $_->{unique_id} => 1 } @$events;

    is $account->{lost}, 0, "$name: nothing lost";
    is $account->{dead}, 0, "$name: nothing dead";
    is scalar @$events, $account->{captured}, "$name: all arrived";
    is scalar keys %id, scalar @$events, "$name: recorded once each";

    return $account;
}


subtest 'a hundred reloads under load' => sub {
    my $t = new(workers => 2, account => 'batch linger=50ms;',
                sandbox => {limits => 'off'})->start;

    my $load = $t->load([map { "/?email=v$_\@shop.test&n=$_" } 1 .. 50],
                        clients => 2, pause => 0.005);

    my $failed = 0;

    for (1 .. 100) {
        $failed++ if !$t->reload;
    }

    my $count = $load->stop;

    is $failed, 0, 'a hundred reloads';
    is $count->{failed}, 0, 'no request failed'
        or diag explain $count->{errors};
    cmp_ok $count->{ok}, '>', 100, 'there was load';
    ok wait_for(15, sub { $t->workers == 2 }), 'no old worker is left';

    my $account = all_arrived($t, 'reloads');
    is $account->{captured}, $count->{ok}, 'each answered request is captured';
    $t->stop;
};


subtest 'kill -9 of workers' => sub {
    my $t = new(workers => 2, account => 'batch linger=50ms;',
                sandbox => {limits => 'off'})->start;

    $t->allow_kills;

    my $load = $t->load([map { "/?email=v$_\@shop.test&n=$_" } 1 .. 50],
                        clients => 2, pause => 0.005);

    for (1 .. 10) {
        my @workers = $t->workers;
        kill KILL => $workers[rand @workers];
        sleep slow(0.3);
    }

    my $count = $load->stop;
    my $account = all_arrived($t, 'kills');

    # a worker may be killed between the answer and the log phase, where the
    # event is captured: at most one request a kill

    cmp_ok $account->{captured}, '>=', $count->{ok} - 10,
        'each answered request is captured';
    cmp_ok $account->{captured}, '>', 100, 'there was load';
    $t->stop;
};


subtest 'kill -9 of everything' => sub {
    my $t = new(account => 'batch linger=10s;')->start;

    $t->allow_kills;

    hit($t, $_) for 1 .. 20;
    is $t->account->{queued}, 20, 'queued';

    my @pids = ($t->master, $t->workers);
    kill KILL => @pids;
    $t->halt('KILL');

    $t->set(account => 'batch linger=50ms;');
    $t->start;

    ok $t->wait_events(20), 'delivered by the next nginx';
    my $account = all_arrived($t, 'kill');
    is $account->{captured}, 20, 'the figures survived too';
    $t->stop;
};


subtest 'a stopped deliverer' => sub {
    my $t = new(workers => 2)->start;

    hit($t, 1);
    ok $t->wait_events(1), 'delivers';

    my $pid = $t->account->{delivery}{deliverer};

    ok scalar(grep { $_ == $pid } $t->workers), 'a worker delivers';
    kill STOP => $pid;

    # the other worker still answers some of the connections

    my $sent = 0;

    for (1 .. 40) {
        my $client = $t->client(timeout => 0.3);
        my $n = $sent + 2;
        $sent++ if $client->get("/?email=v$n\@shop.test&n=$n")->status == 200;
        $client->close;
        last if $sent >= 5;
    }

    cmp_ok $sent, '>', 0, 'requests are answered';
    ok $t->sandbox->wait_events(2, 25), 'another one takes over in time';
    kill CONT => $pid;
    all_arrived($t, 'stopped');
    isnt $t->account->{delivery}{deliverer}, $pid, 'the other one delivers';
    $t->stop;
};


subtest 'an exit does not wait for the network' => sub {
    for my $signal (qw(QUIT TERM)) {
        my $t = new(name => "hang, $signal")->start;

        $t->sandbox->fault(kind => 'hang');
        hit($t, $_) for 1 .. 3;
        $t->sandbox->wait_requests(1);

        my $began = time;
        ok $t->halt($signal, 10), "$signal: gone";
        cmp_ok time - $began, '<', slow(3), "$signal: at once";

        $t->sandbox->clear_faults;
        $t->sandbox->release;
        $t->start;
        ok $t->wait_events(3), "$signal: delivered by the next one";
        all_arrived($t, $signal);
        $t->stop;
    }
};


subtest 'worker_shutdown_timeout with a transfer under way' => sub {
    my $t = new(main => 'worker_shutdown_timeout 1s;', server => $server . q{
        location /slow {
            klaviyo_track "Slow";
            limit_rate 10;
            root %%DIR%%;
        }
    });

    $t->file('slow', 'x' x 500);
    $t->start;
    $t->sandbox->fault(kind => 'hang');

    my $client = $t->client(timeout => 10);
    $client->send("GET /slow?email=s\@shop.test HTTP/1.1\r\nHost: x\r\n\r\n");
    hit($t, $_) for 1 .. 3;
    $t->sandbox->wait_requests(1);
    ok $t->reload(gone => 10), 'the old worker goes after its timeout';
    $client->close;
    $t->sandbox->clear_faults;
    $t->sandbox->release;
    ok $t->wait_events(3), 'delivered by the new one';
    $t->stop;
};


subtest 'upgrade of the binary' => sub {
    my $t = new(daemon => 1, workers => 2, sandbox => {limits => 'off'})
        ->start;

    my $load = $t->load([map { "/?email=v$_\@shop.test&n=$_" } 1 .. 50],
                        clients => 2, pause => 0.01);
    my $old = $t->master;

    # there and back again

    my $other = sub {
        my $pid = $t->nginx->read_pid;
        return $pid && !grep({ $_ == $pid } @_) ? $pid : undef;
    };

    $t->signal('USR2');
    ok my $new = wait_for(10, sub { $other->($old) }), 'a second master';
    sleep 0.5;
    $t->signal('WINCH', $old);
    sleep 1.5;
    $t->signal('HUP', $old);
    sleep 0.5;
    $t->signal('QUIT', $new);
    ok wait_for(10, sub { $t->nginx->read_pid == $old }), 'rolled back';
    sleep 0.5;

    # and there for good

    $t->signal('USR2');
    ok my $heir = wait_for(10, sub { $other->($old, $new) }),
        'a third master';
    sleep 0.5;
    $t->signal('WINCH', $old);
    sleep 0.5;
    $t->signal('QUIT', $old);
    ok wait_for(10, sub { !Klaviyo::Test::Process::running($old) }),
        'the first one went';
    $t->nginx->adopt($heir);
    sleep 1;

    my $count = $load->stop;

    is $count->{failed}, 0, 'no request failed'
        or diag explain $count->{errors};

    my $account = all_arrived($t, 'upgrade');
    is $account->{captured}, $count->{ok}, 'all captured';
    $t->stop;
};


# the cache manager and loader run a worker's hooks too, as worker 0

subtest 'cache helpers do not deliver' => sub {
    my $t = new(http => $http . q{
        proxy_cache_path %%DIR%%/cache keys_zone=cache:1m;
    });

    mkdir $t->dir . '/cache';
    chmod 0777, $t->dir . '/cache';
    $t->start;
    hit($t, 1);
    ok $t->wait_events(1), 'delivers';

    my ($worker)  = $t->workers;
    my %processes = $t->nginx->processes;
    my ($manager) = grep { $processes{$_} =~ /cache manager/ } keys %processes;
    my $queue     = $t->queue;

    # all inherit the ring's descriptor; a candidate opens one of its own

    my $opened = sub {
        my ($pid) = @_;

        return scalar grep { (readlink($_) // '') eq $queue }
            glob "/proc/$pid/fd/*";
    };

    ok $manager, 'there is a cache manager';
    is $opened->($worker), $opened->($manager) + 1, 'which is no candidate';
    is $t->account->{delivery}{deliverer}, $worker, 'the worker delivers';
    $t->stop;
};


# debug logs of timers read the descriptor of what the timer belongs to

subtest 'at the level debug' => sub {
    my $t = new(main => 'error_log %%DIR%%/debug.log debug;')->start;

    hit($t, $_) for 1 .. 3;
    ok $t->wait_events(3), 'delivers';

    open my $in, '<', $t->dir . '/debug.log' or die "open: $!\n";
    my @timers = grep { /event timer (?:add|del): / } <$in>;
    close $in;

    ok scalar(grep { /: -1: / } @timers), 'timers without a connection';
    is_deeply [grep { !/event timer \w+: (?:-1|\d{1,4}): / } @timers], [],
        'and no descriptor that is none';
    $t->stop;
};


subtest 'Klaviyo away: requests do not feel it' => sub {
    my $t = new(sandbox => 0)->start;

    my $began = time;
    is hit($t, $_), 200, 'served' for 1 .. 50;
    cmp_ok time - $began, '<', slow(2), 'quickly';
    is $t->account->{queued}, 50, 'kept';
    ok wait_for(5, sub { $t->account->{replies}{none} }), 'it was tried';
    $t->stop;
};


subtest 'another size of the queue' => sub {
    my $t = new(account => q{
        queue %%QUEUE%% size=1m;
        batch linger=20s;
    })->start;

    hit($t, $_) for 1 .. 10;
    is $t->account->{queue}{size}, 1 << 20, 'the old size';
    $t->set(account => 'queue %%QUEUE%% size=2m; batch linger=50ms;');
    ok $t->reload(gone => 10), 'reload';
    hit($t, $_) for 11 .. 15;
    is $t->account->{queue}{size}, 2 << 20, 'the new size';
    ok $t->wait_events(15, 15), 'the old ring is drained';
    all_arrived($t, 'another size');
    is $t->account->{captured}, 15, 'its figures moved along';
    $t->stop;
};


subtest 'a full queue' => sub {
    for my $full (qw(drop_newest drop_oldest)) {
        my $t = new(name => $full, account => qq{
            queue %%QUEUE%% size=256k full=$full;
            spool off;
            batch linger=30s;
        })->start;

        my $client = $t->client;
        my $fill = 'x' x 4000;

        $client->get("/?email=v$_\@shop.test&n=$_$fill") for 1 .. 100;

        my $account = $t->account;
        my $reason  = $full eq 'drop_newest' ? 'queue_full'
                                             : 'queue_full_oldest';

        is $account->{captured}, 100, "$full: captured";
        cmp_ok $account->{lost}, '>', 10, "$full: some lost";
        is $account->{reasons}{lost}{$reason}, $account->{lost},
            "$full: by this reason";
        is $account->{queued}, 100 - $account->{lost}, "$full: the rest waits";
        $t->set(account => qq{
            queue %%QUEUE%% size=256k full=$full;
            spool off;
            batch linger=50ms;
        });
        $t->reload(gone => 10);
        ok $t->wait_idle, "$full: delivered";

        my @n = map { $_->{properties}{N} =~ /^(\d+)x/; $1 }
            @{ $t->sandbox->events };
        is scalar(grep { $_ == ($full eq 'drop_newest' ? 1 : 100) } @n), 1,
            "$full: keeps the right end";
        $t->stop;
    }
};


subtest 'the ring is taken away' => sub {
    my $t = new(account => 'batch linger=50ms;')->start;

    $t->allow(qr/\[crit\].*klaviyo account "shop"/);
    hit($t, 1);
    ok $t->wait_events(1), 'delivers';
    truncate $t->queue, 4096;
    sleep 1.5;
    ok !$t->account->{queue}{attached}, 'noticed';
    is hit($t, 2), 200, 'requests go on';
    is $t->account->{reasons}{lost}{detached}, 1, 'the event is counted';
    $t->stop;
};

done_testing;

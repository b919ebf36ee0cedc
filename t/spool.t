#!/usr/bin/perl

# The spool: what the ring cannot hold, and what must survive a reboot, is on
# the disk and is delivered from there, each event once.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(running);
use Time::HiRes qw(sleep time);


my $text = 'x' x 1500;

my $http = qq{
    klaviyo_profile email \$arg_email;
    klaviyo_property N \$arg_n;
    klaviyo_property Text $text;
};

my $server = q{
    location / {
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }
};

# 256 KB hold about 130 of these events

my $queue = 'queue %%QUEUE%% size=256k;';

sub start {
    my (%option) = @_;

    return Klaviyo::Test->new(http => $http, server => $server,
        workers => 2, %option)->start;
}

my $sent = 0;

# n more requests, numbered on; paced, as the disk has to keep up with them
sub hits {
    my ($t, $n) = @_;

    my $client = $t->client;

    for (1 .. $n) {
        my $i = ++$sent;
        my $status = $client->get("/?email=v$i\@shop.test&n=$i")->status;

        return fail("request $i: $status") if $status != 200;
        sleep slow(0.1) if $i % 40 == 0;
    }

    $client->close;
    return 1;
}

sub numbers { return [sort { $a <=> $b } map { $_->{properties}{N} }
                      @{ $_[0] }] }

# the n-th election is over: from then on the spool takes what is too much
sub delivers {
    my ($t, $n) = @_;

    return wait_for(10, sub {
        my @lines = $t->log =~ /this worker delivers/g;
        @lines >= $n;
    }) || fail("election $n");
}

sub segments { return scalar(() = glob("$_[0]/*.spool")) }

sub all_once {
    my ($t, $from, $name) = @_;

    my $n = $sent - $from + 1;

    ok $t->wait_events($n, 30), "$name: all are delivered"
        or diag explain $t->account('shop');
    is_deeply numbers($t->sandbox->events), [$from .. $sent],
        "$name: each once";
}


subtest 'a long outage' => sub {
    my $t = start(account => $queue);
    my $from = $sent + 1;

    my $fault = $t->sandbox->fault(kind => 'status', status => 503);

    hits($t, 600);

    my $figures = $t->account('shop');

    is $figures->{queued}, 600, 'all are kept';
    is $figures->{lost}, 0, 'none is lost';
    cmp_ok $figures->{spool}{events}, '>', 400, 'most are in the spool only';
    cmp_ok $figures->{spool}{bytes_used}, '>', 400 * 1500, 'on the disk';
    cmp_ok segments($t->spool), '>', 0, 'in segments';
    cmp_ok $figures->{queue}{used}, '<=', 0.75 * $figures->{queue}{size},
        'the ring has room';

    $t->sandbox->clear_faults;

    all_once($t, $from, 'after the outage');

    ok $t->wait_idle(10), 'nothing is queued any more';
    ok wait_for(10, sub { segments($t->spool) == 0 }),
        'no segment is left';
    ok wait_for(5, sub { $t->account('shop')->{spool}{bytes_used} == 0 }),
        'no bytes of it either';

    $t->stop;
};


subtest 'a healthy system writes nothing' => sub {
    my $t = start(account => $queue);
    my $from = $sent + 1;

    hits($t, 40);
    all_once($t, $from, 'healthy');
    is segments($t->spool), 0, 'no segment';
    is $t->account('shop')->{spool}{events_written}, 0, 'nothing written';

    $t->stop;
};


subtest 'stopped, and the machine is rebooted' => sub {
    my $t = start(account => $queue);
    my $from = $sent + 1;

    $t->sandbox->fault(kind => 'status', status => 503);

    hits($t, 300);

    $t->nginx->stop('QUIT');

    cmp_ok segments($t->spool), '>', 0, 'the spool has segments';
    like $t->log, qr/unsent events were written to the spool/, 'said';

    # tmpfs is empty after a reboot

    ok unlink($t->queue), 'the ring is gone';

    $t->sandbox->clear_faults;
    $t->nginx->start;

    all_once($t, $from, 'after the reboot');
    like $t->log, qr/300 events from the spool .* are queued again/,
        'said';

    my $figures = $t->account('shop');
    is $figures->{captured}, 300, 'they count as captured here';

    $t->stop;
};


subtest 'stopped and started: the ring is there still' => sub {
    my $t = start(account => $queue);
    my $from = $sent + 1;

    $t->sandbox->fault(kind => 'status', status => 503);

    hits($t, 50);
    $t->nginx->stop('TERM');
    $t->nginx->start;
    hits($t, 250);
    $t->nginx->stop('QUIT');

    $t->sandbox->clear_faults;
    $t->nginx->start;

    all_once($t, $from, 'after two restarts');
    is $t->account('shop')->{captured}, 300, 'counted once';

    $t->stop;
};


subtest 'sync: the power fails' => sub {
    my $t = start(account => "$queue spool %%SPOOL%% sync=40ms;");
    my $from = $sent + 1;

    $t->sandbox->fault(kind => 'status', status => 503);

    hits($t, 60);
    ok wait_for(5, sub {
        $t->account('shop')->{spool}{events_written} >= 60
    }), 'every event is on the disk';

    is $t->account('shop')->{spool}{events}, 0, 'and in the ring';

    my @pids = ($t->master, $t->workers);
    kill 'KILL', @pids;
    ok wait_for(5, sub { !grep { running($_) } @pids }), 'all are gone';
    ok unlink($t->queue), 'so is the ring';

    $t->sandbox->clear_faults;
    $t->nginx->start;

    all_once($t, $from, 'after the power failure');
    $t->stop;
};


subtest 'reloads, and another size of the ring' => sub {
    my $t = start(account => $queue);
    my $from = $sent + 1;

    $t->sandbox->fault(kind => 'status', status => 503);

    hits($t, 300);
    $t->reload(gone => 20);
    delivers($t, 2);
    hits($t, 100);
    $t->set(account => 'queue %%QUEUE%% size=512k;');
    $t->reload(gone => 20);
    delivers($t, 3);
    hits($t, 100);

    $t->sandbox->clear_faults;

    all_once($t, $from, 'after two reloads');
    ok wait_for(10, sub { !(() = glob($t->queue . '.drain-*')) }),
        'nothing left to drain';
    ok wait_for(10, sub { $t->account('shop')->{captured} == 500 }),
        'each was captured once' or diag explain $t->account('shop');

    $t->stop;
};


subtest 'the spool is full' => sub {
    for my $full (qw(drop_newest drop_oldest)) {
        my $t = start(account => "queue %%QUEUE%% size=1m full=$full;"
                                 . ' spool %%SPOOL%% size=4m;',
            http => $http . 'klaviyo_property Two ' . 'y' x 3000 . ';'
                    . 'klaviyo_property Three ' . 'z' x 3000 . ';');
        my $from = $sent + 1;

        $t->sandbox->fault(kind => 'status', status => 503);

        hits($t, 1200);

        my $figures = $t->account('shop');

        is $figures->{captured}, 1200, "$full: all are counted";
        cmp_ok $figures->{lost}, '>', 100, "$full: some are lost";
        is $figures->{captured}, $figures->{lost} + $figures->{queued},
            "$full: the others are queued";

        $t->sandbox->clear_faults;
        ok $t->wait_idle(30), "$full: delivered";

        $figures = $t->account('shop');
        my $numbers = numbers($t->sandbox->events);

        is scalar @$numbers, $figures->{delivered}, "$full: each once";

        if ($full eq 'drop_newest') {
            is $numbers->[0], $from, 'the oldest are kept';

        } else {
            is $numbers->[-1], $sent, 'the newest are kept';
        }

        like $t->log, qr/the spool is full/, "$full: said";
        $t->stop;
    }
};


done_testing;

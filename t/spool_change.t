#!/usr/bin/perl

# Ring and spool under a configuration that changes while events wait: none is
# stuck, none is lost without being counted and told.

use lib 't/lib';
use Klaviyo::Test;
use Time::HiRes qw(sleep time);


my $text = 'x' x 1500;

sub start {
    my ($account) = @_;

    my $t = Klaviyo::Test->new(
        workers => 2,
        account => $account,
        http    => qq{
            klaviyo_profile email \$arg_email;
            klaviyo_property N \$arg_n;
            klaviyo_property Text $text;
        },
        server  => q{
            location / {
                klaviyo_track "Viewed Page";
                return 200 "page\n";
            }
        },
    )->start;

    $t->sandbox->fault(kind => 'status', status => 503);

    return $t;
}

sub hits {
    my ($t, $n, $pause) = @_;

    my $client = $t->client;

    for my $i (1 .. $n) {
        my $status = $client->get("/?email=v$i\@shop.test&n=$i")->status;

        return fail("request $i: $status") if $status != 200;
        sleep $pause if $pause && $i % 40 == 0;
    }

    $client->close;
    return 1;
}

sub reload {
    my ($t, $account) = @_;

    $t->set(account => $account);
    ok $t->reload(gone => 20), 'reloaded';
    $t->sandbox->clear_faults;

    return;
}


# the second: what the spool had is lost, counted and told

for my $case (
    ['another size, no spool', 'queue %%QUEUE%% size=512k; spool off;', 1],
    ['another size, another spool',
     'queue %%QUEUE%% size=512k; spool %%DIR%%/spool2;', 1],
    ['another spool',
     'queue %%QUEUE%% size=256k; spool %%DIR%%/spool2;', 1],
    ['no spool', 'queue %%QUEUE%% size=256k; spool off;', 1],
    ['another size', 'queue %%QUEUE%% size=512k;', 0],
) {
    my ($name, $account, $lost) = @$case;

    subtest $name => sub {
        my $t = start('queue %%QUEUE%% size=256k;');

        hits($t, 300, 0.1);
        ok wait_for(10, sub { $t->account('shop')->{spool}{events} > 0 }),
            'some are in the spool';

        reload($t, $account);

        ok wait_for(30, sub {
            my $figures = $t->account('shop');

            return $figures->{captured} == 300
                && $figures->{delivered} + $figures->{lost} == 300;
        }), 'each is delivered or counted as lost'
            or diag explain $t->account('shop');

        # the ring is small: a slow machine may find it full

        my $figures = $t->account('shop');
        my $reasons = $figures->{reasons}{lost};
        my $gone    = $figures->{lost} - $reasons->{queue_full};

        if ($lost) {
            cmp_ok $gone, '>', 0, 'the old spool is not read';
            is $gone, $reasons->{spool_unreadable}, 'why';
            like $t->log, qr/\[error\].*are given up: its files are left/,
                'said';

        } else {
            is $gone, 0, 'the spool is taken along';
        }

        is scalar @{ $t->sandbox->events }, $figures->{delivered},
            'what is delivered has arrived, once';
        ok wait_for(10, sub { !(() = glob($t->queue . '.drain-*')) }),
            'nothing left to drain';

        $t->stop;
    };
}


subtest 'stopped while a ring of another size is drained' => sub {
    my $t = start('queue %%QUEUE%% size=8m;');

    hits($t, 2500);
    $t->set(account => 'queue %%QUEUE%% size=6m;');
    ok $t->reload(gone => 20), 'reloaded';
    $t->nginx->stop('QUIT');

    unlink glob($t->queue . '*');
    $t->sandbox->clear_faults;
    $t->nginx->start;

    ok $t->wait_events(2500, 40), 'after a reboot all are delivered'
        or diag explain $t->account('shop');
    $t->stop;
};


subtest 'sync keeps up' => sub {
    my $t = start('queue %%QUEUE%% size=32m; spool %%SPOOL%% sync=2s;');

    # several chunks: all of them within the time, not one each

    hits($t, 2500);

    ok wait_for(4, sub {
        $t->account('shop')->{spool}{events_written} >= 2500
    }), 'more than one chunk in one go'
        or diag explain $t->account('shop')->{spool};

    $t->sandbox->clear_faults;
    ok $t->wait_idle(30), 'delivered';
    $t->stop;
};


subtest 'a ring that drops its oldest gets a spool' => sub {
    my $t = start('queue %%QUEUE%% size=256k full=drop_oldest; spool off;');

    hits($t, 300);
    cmp_ok $t->account('shop')->{lost}, '>', 0, 'it is full';

    # every request moves its beginning on while the spool is made its own

    my $load = $t->load('/?email=l@shop.test&n=1', clients => 1,
                        pause => 0.002);

    reload($t, 'queue %%QUEUE%% size=256k full=drop_oldest;');

    ok wait_for(15, sub { $t->account('shop')->{delivered} > 0 }),
        'delivery goes on'
        or diag explain $t->account('shop');

    $load->stop;
    ok $t->wait_idle(30), 'all of it';
    $t->stop;
};


done_testing;

#!/usr/bin/perl

# A reload leaves no event behind: a queue at another path, or of an account
# that has another name, is taken over; of one that is no account's any more
# the log says how many events it holds, and the command that puts them back.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(worker_user);
use MIME::Base64 qw(encode_base64);
use Time::HiRes  qw(sleep);


my $objs = $ENV{KLAVIYO_OBJS} // 'objs';

sub account {
    my ($name, $lines) = @_;

    return qq{
        klaviyo_account $name {
            endpoint %%ENDPOINT%%;
            batch linger=50ms;
            retry min=50ms max=1s;
            $lines
        }
    };
}

sub http { return join "\n", @_, 'klaviyo_profile email $arg_email;' }

sub server {
    my ($account) = @_;

    return qq{
        location / {
            klaviyo_track "Viewed Page" account=$account;
            return 200 "page\\n";
        }
    };
}

# the events of one account wait
sub start {
    my ($n, $account, @more) = @_;

    my $t = Klaviyo::Test->new(
        workers => 2,
        sandbox => {keys => [Klaviyo::Test::KEY, 'pk_other_0123456789abcdef']},
        account => undef,
        http    => http($account, @more),
        server  => server('shop'),
    );

    $t->file('other.key', "pk_other_0123456789abcdef\n", 0600);
    $t->start;
    $t->sandbox->fault(kind => 'status', status => 503);
    hits($t, 1, $n);
    ok wait_for(5, sub { $t->account('shop')->{queued} == $n }), 'they wait';

    return $t;
}

sub hits {
    my ($t, $from, $to) = @_;

    my $client = $t->client;

    for my $i ($from .. $to) {
        return fail("request $i")
            if $client->get("/?email=v$i\@shop.test")->status != 200;

        # the spool has to keep up
        sleep 0.2 if $i % 30 == 0;
    }

    $client->close;
    return;
}

sub reload {
    my ($t, $name, @accounts) = @_;

    $t->set(http => http(@accounts), server => server($name));

    return ok $t->reload(gone => 20), 'a reload';
}

my $shop = account('shop', q{
    api_key_file %%KEY_FILE%%;
    queue %%QUEUE%% size=1m;
    spool %%SPOOL%%;
});

my $other = account('other', q{
    api_key_file %%DIR%%/other.key;
    queue %%QUEUE_DIR%%/other.ring size=1m;
    spool %%DIR%%/spool_other;
});


for my $case (
    ['another path', 'shop', account('shop', q{
        api_key_file %%KEY_FILE%%;
        queue %%QUEUE_DIR%%/moved.ring size=1m;
        spool %%SPOOL%%;
    })],
    ['another file system and size', 'shop', account('shop', q{
        api_key_file %%KEY_FILE%%;
        queue %%DIR%%/queue/moved.ring size=2m;
        spool %%SPOOL%%;
    })],
    ['another name, known by the key', 'store', account('store', q{
        api_key_file %%KEY_FILE%%;
        queue %%QUEUE_DIR%%/store.ring size=1m;
        spool %%DIR%%/spool_store;
    })],
    ['another path and key, known by the name', 'shop', account('shop', q{
        api_key_file %%DIR%%/other.key;
        queue %%QUEUE_DIR%%/moved.ring size=1m;
        spool %%SPOOL%%;
    })],
) {
    my ($case_name, $name, $account) = @$case;

    subtest $case_name => sub {
        my $t = start(5, $shop);

        mkdir $t->dir . '/queue', 0700;
        my (undef, undef, $uid, $gid) = worker_user();
        chown $uid, $gid, $t->dir . '/queue' if defined $uid;

        reload($t, $name, $account);
        hits($t, 6, 7);
        $t->sandbox->clear_faults;

        ok $t->wait_events(7, 20), 'what waited arrives';
        like $t->log, qr/queue "\S+shop\.ring" of klaviyo_account "shop" with 5 events is taken over by klaviyo_account "$name"/,
            'the log says so';
        ok wait_for(10, sub { !-e $t->queue }), 'the old file is gone';
        ok wait_for(5, sub { $t->account($name)->{delivered} == 7 }),
            'and its figures are the new one\'s'
            or diag explain $t->account($name);
        $t->stop;
    };
}


subtest 'events in ring and spool' => sub {
    my $text = 'x' x 1500;
    my $more = qq{
        klaviyo_property Text $text;
    };
    my $small = $shop =~ s/size=1m/size=256k/r;
    my $t = start(300, $small . $more);

    ok wait_for(10, sub { $t->account('shop')->{spool}{events} > 0 }),
        'some are in the spool';

    reload($t, 'shop', $small =~ s/%%QUEUE%%/%%QUEUE_DIR%%\/moved.ring/r
                       . $more);
    $t->sandbox->clear_faults;

    ok $t->wait_events(300, 30), 'all arrive';
    is $t->account('shop')->{lost}, 0, 'none is lost';
    ok wait_for(10, sub { !-e $t->queue }), 'the old file is gone';
    $t->stop;
};


subtest 'one reload after another' => sub {
    my $t = start(5, $shop);

    for my $n (1 .. 3) {
        $t->set(http => http($shop =~ s/%%QUEUE%%/%%QUEUE_DIR%%\/m$n.ring/r));
        ok $t->reload, "reload $n";
        hits($t, 5 + $n, 5 + $n);
    }

    $t->sandbox->clear_faults;
    ok $t->wait_events(8, 40), 'all arrive';

    my $dir = $t->queue =~ s{/[^/]+$}{}r;

    ok wait_for(40, sub { !grep { !/m3\.ring/ } glob "$dir/*.ring" }),
        'no old file is left';
    $t->stop;
};


subtest 'stopped before it is empty' => sub {
    my $t = start(200, $shop);

    reload($t, 'shop', $shop =~ s/%%QUEUE%%/%%QUEUE_DIR%%\/moved.ring/r);
    $t->nginx->stop('QUIT');

    unlink $t->queue, $t->queue =~ s/shop/moved/r;
    $t->sandbox->clear_faults;
    $t->nginx->start;

    ok $t->wait_events(200, 30), 'after a reboot all arrive';
    $t->stop;
};


# runs the command that the log gives, into the queue of this account
sub put_back {
    my ($t, $log, $to) = @_;

    my ($command) = $log =~ /put them back with "(klaviyo-queue [^"]+)"/;

    ok $command, 'the log says how' or return;

    $command =~ s/<queue of an account>/$to/;
    $command =~ s/klaviyo-queue /$objs\/klaviyo-queue /g;

    is system($command), 0, 'it works' or diag $command;

    return;
}


subtest 'an account that is removed' => sub {
    my $t = start(5, $shop, $other);

    $t->sandbox->clear_faults;
    $t->sandbox->fault(kind => 'hang');
    reload($t, 'other', $other);
    $t->sandbox->clear_faults;
    $t->sandbox->release;

    my $queue = $t->queue;

    like $t->log, qr/\[warn\].*queue "\Q$queue\E" of klaviyo_account "shop" holds 5 events and is not read any more/,
        'the log says what is where';
    ok -e $queue, 'the file stays';

    my $before = @{ $t->sandbox->events };

    put_back($t, $t->log, $t->queue =~ s/shop/other/r);
    ok $t->wait_events($before + 5, 20), 'they arrive';
    $t->stop;
};


subtest 'another name, another spool, and events in it' => sub {
    my $text = 'x' x 1500;
    my $more = qq{
        klaviyo_property Text $text;
    };
    my $small = $shop =~ s/size=1m/size=256k/r;
    my $t = start(300, $small . $more);

    ok wait_for(10, sub { $t->account('shop')->{spool}{events} > 0 }),
        'some are in the spool';

    reload($t, 'store', account('store', q{
        api_key_file %%KEY_FILE%%;
        queue %%QUEUE_DIR%%/store.ring size=2m;
        spool %%DIR%%/spool_store;
    }) . $more);
    $t->sandbox->clear_faults;

    like $t->log, qr/\[warn\].*of klaviyo_account "shop" holds 300 events and is not read any more, as some are in a spool/,
        'the log says what is where';

    put_back($t, $t->log);
    ok $t->wait_events(300, 30), 'they arrive';
    $t->stop;
};


subtest 'the same name for another company' => sub {
    my $t = start(5, $shop =~ s/queue/company AAAAAA; queue/r);

    reload($t, 'shop', account('shop', q{
        company BBBBBB;
        api_key_file %%DIR%%/other.key;
        queue %%QUEUE_DIR%%/moved.ring size=1m;
        spool %%SPOOL%%2;
    }));
    $t->sandbox->clear_faults;
    hits($t, 6, 6);

    ok $t->wait_events(1, 10), 'its own event arrives';
    sleep 2.5;
    is scalar @{ $t->sandbox->events }, 1, 'the others do not';
    like $t->log, qr/\[warn\].*holds 5 events and is not read any more, as it is no account's now/,
        'and the log says so';
    $t->stop;
};


# those of a browser that nobody knows yet

sub cookie {
    my ($n) = @_;

    my $cid = encode_base64("0000000$n-0000-4000-8000-000000000000", '');

    return '__kla_id=' . encode_base64(qq({"cid":"$cid"}), '') =~ s/=/%3D/gr;
}

subtest 'events that wait for their visitor' => sub {
    my $hold = $shop =~ s/queue/hold 1h size=1m; queue/r;
    my $t = start(1, $hold);

    $t->sandbox->clear_faults;
    ok $t->wait_events(1, 10), 'a known one does not wait';

    $t->get('/', Cookie => cookie(1));
    ok wait_for(5, sub { $t->account->{hold}{waiting} == 1 }),
        'an unknown one does';

    reload($t, 'shop', $hold =~ s/%%QUEUE%%/%%QUEUE_DIR%%\/moved.ring/r);
    ok wait_for(10, sub { $t->account->{hold}{waiting} == 1 }),
        'waits at the new path'
        or diag explain $t->account->{hold};

    $t->get('/?email=late@shop.test', Cookie => cookie(1));
    ok $t->wait_events(3, 10), 'and arrives';

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->get('/', Cookie => cookie(2));
    ok wait_for(5, sub { $t->account->{hold}{waiting} == 1 }), 'another';

    reload($t, 'shop', $shop =~ s/%%QUEUE%%/%%QUEUE_DIR%%\/moved.ring/r);
    like $t->log, qr/\[warn\].*moved\.ring\.hold" holds 1 events of klaviyo_account "shop" that wait for their visitor, and is not read any more/,
        'without "hold" the log tells of it';
    $t->sandbox->clear_faults;
    $t->stop;
};


subtest 'descriptors' => sub {
    my $accounts = sub {
        my ($n) = @_;

        return http(map { account("shop$_", qq{
            api_key_file %%KEY_FILE%%;
            queue %%QUEUE_DIR%%/$_.ring size=256k;
            spool %%DIR%%/spool$_;
        }) } 1 .. $n);
    };

    for my $case ([150, 1024, 1], [150, 2048, 0], [10, 1024, 0]) {
        my ($n, $limit, $warns) = @$case;

        my ($code, $said) = config_test(
            main    => "worker_rlimit_nofile $limit;",
            account => undef,
            vars    => {ENDPOINT => 'http://127.0.0.1:9'},
            http    => $accounts->($n),
        );

        is $code, 0, "$n accounts, $limit descriptors" or diag $said;

        if ($warns) {
            like $said, qr/\[warn\].*may need \d+ descriptors for 150 accounts.*"worker_rlimit_nofile" to \d+/,
                'nginx -t warns';

        } else {
            unlike $said, qr/descriptors/, 'nothing to say';
        }
    }

    my $n = 20;
    my $t = Klaviyo::Test->new(
        workers => 2,
        account => undef,
        http    => $accounts->($n) . "\nklaviyo_account_default shop1;",
        server  => join '', map { qq{
            location = /$_ {
                klaviyo_track "Viewed Page" account=shop$_;
                return 200 "page\n";
            }
        } } 1 .. $n,
    )->start;

    $t->get("/$_?email=a\@shop.test") for 1 .. $n;
    ok $t->wait_events($n, 20), 'each delivers';

    my %deliverer = map { $_->{delivery}{deliverer} => 1 }
        values %{ $t->status->{accounts} };

    for my $pid ($t->workers) {
        my @open = map { readlink // () } glob "/proc/$pid/fd/*";
        my $queue_dir = $t->queue =~ s{/[^/]+$}{}r;

        is scalar(grep { $_ eq $queue_dir || /\.lock$/ } @open), 0,
            'neither the directory nor a lock file';
        is scalar(grep { m{^\Q$queue_dir\E/} } @open), $n,
            'one for each account where another process delivers'
            if !$deliverer{$pid};
        cmp_ok scalar @open, '<', 7 * $n + 40, 'no more than is told';
    }

    $t->stop;
};


done_testing;

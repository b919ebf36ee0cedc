#!/usr/bin/perl

# The queue's file is truncated, removed or replaced while it is in use; the
# file system is full, read-only or broken.
#
# What is claimed: no worker dies, no request fails or waits; once the fault
# is noticed, within about a second, each event is counted as lost; a reload
# begins anew; the other account feels nothing.  What was queued in a file
# that is gone is gone with it, and the log says so.
#
# Elsewhere: a queue that is full, another size: process.t; a damaged file
# that is opened: t/unit/ring_recovery_test.c; errors of the disk that the
# spool is on: spool.t.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Process qw(running write_file give_to_worker);
use Klaviyo::Test::Shim;
use File::Copy  qw(copy);
use Time::HiRes qw(sleep time);


# what happens to a path, by the name of the account that it happens to

my %fault = (
    cut_header => sub { truncate $_[0], 4096 },
    cut_middle => sub { truncate $_[0], 100_000 },
    emptied    => sub { truncate $_[0], 0 },
    shell      => sub { open my $file, '>', $_[0] or die "open: $!\n" },
    removed    => sub { unlink $_[0] },
    ring       => sub {
        copy($_[0], "$_[0].copy");
        give_to_worker("$_[0].copy");
        rename "$_[0].copy", $_[0];
    },
    garbage    => sub {
        write_file("$_[0].other", join '', map { chr rand 256 } 1 .. 9999);
        rename "$_[0].other", $_[0];
    },
    folder     => sub { unlink $_[0]; mkdir $_[0] },
    link       => sub { unlink $_[0]; symlink '/dev/null', $_[0] },
);

my @names = sort keys %fault;

# a file without a name is as good as before to those that have it

my %cut = map { $_ => 1 } qw(cut_header cut_middle emptied shell);

my @cut    = grep { $cut{$_} } @names;
my @kept   = grep { !$cut{$_} } @names;


# with a long linger the deliverer looks at the file more seldom

sub accounts {
    return join "\n", map { qq{
        klaviyo_account $_ {
            api_key_file %%KEY_FILE%%;
            endpoint %%ENDPOINT%%;
            queue %%QUEUE_DIR%%/$_.ring size=256k;
            spool %%DIR%%/spool-$_;
            batch linger=1s;
            retry min=50ms max=1s;
        }
    } } @_;
}

sub locations {
    return join "\n", map { qq{
        location = /$_ {
            klaviyo_event "Viewed Page" account=$_ {
                unique_id \$arg_id;
            }
            return 200 "page\n";
        }
    } } @_;
}


# rings of another size have been taken over; until then their events are not
# in the figures

sub drained {
    my ($t) = @_;

    return ok wait_for(20, sub { !(() = glob "$t->{queue_dir}/*.drain-*") }),
        'what the old file had is taken over';
}


subtest 'a file that is in use' => sub {
    my $t = chaos(workers => 3,
        http   => 'klaviyo_profile email $arg_email;'
                  . 'klaviyo_account_default shop;' . accounts(@names),
        server => locations('shop', @names));

    $t->allow(qr/\[crit\].*klaviyo account "(?!shop)\w+": "/,
              qr/\[emerg\].*klaviyo_account "(?:folder|garbage|link)"/);
    $t->start;

    # two events of one unique_id never share a request

    my @workers = $t->workers;
    my $load    = $t->load([map { my $n = $_;
        map { "/$_?id=$_$n&email=v\@shop.test" } 'shop', @names
    } 1 .. 400], clients => 3, pause => 0.001);

    sleep slow(0.5);
    $fault{$_}->("$t->{queue_dir}/$_.ring") for @names;

    ok wait_for(10, sub {
        my $status   = $t->status or return;
        my $accounts = $status->{accounts};

        return !grep { $accounts->{$_}{queue}{attached} } @cut;
    }), 'what was cut is noticed' or diag join ' ',
        grep { $t->account($_)->{queue}{attached} } @cut;

    ok wait_for(10, sub {
        my $log = $t->log;
        return !grep { $log !~ /\[crit\].*account "$_": ".* was removed/ }
            @kept;
    }), 'what was removed is noticed';

    sleep 0.3;

    my $count = $load->stop;

    is $count->{failed}, 0, 'no request failed'
        or diag explain $count->{errors};
    cmp_ok $count->{ok}, '>', 300 / slow(1), 'there were some';
    is_deeply [$t->workers], \@workers, 'no worker died';

    my %before = map { $_ => $t->account($_)->{lost} } @names;

    for my $name (@names) {
        ok wait_for(5, sub {
            $t->log =~ /\[crit\].*klaviyo account "$name": "/;
        }), "$name: the log tells";
        is $t->get("/$name?id=one&email=one\@shop.test")->status, 200,
            "$name: requests are answered";
        my $lost = $before{$name} + ($cut{$name} // 0);

        ok wait_for(5, sub { $t->account($name)->{lost} == $lost }),
            "$name: what is lost is counted";
    }

    is $t->account->{lost}, 0, 'the other account lost nothing';
    ok $t->account->{queue}{attached}, 'and has its queue';

    # files of somebody else are not touched

    for my $name (qw(folder garbage link)) {
        my $path = "$t->{queue_dir}/$name.ring";

        ok !$t->reload(timeout => 5), "$name: a reload is refused";
        ok $t->log =~ /\[emerg\].*"\Q$path\E"/, "$name: the log says why";
        -d $path && !-l $path ? rmdir $path : unlink $path;
    }

    ok $t->reload(gone => 10), 'a reload without them';

    $t->get("/$_?id=again-$_&email=one\@shop.test") for 'shop', @names;

    # ten accounts share the minute of one key

    ok wait_for(70, sub {
        my $ids = recorded($t);
        return !grep { !$ids->{"again-$_"} } 'shop', @names;
    }), 'and everything is delivered again';
    ok $t->wait_idle(70), 'all of it';
    $t->stop;
};


# With neither load nor events on their way, to the last event

subtest 'the whole folder is removed' => sub {
    my $t = chaos(workers => 2)->start;

    $t->allow(qr/\[crit\].*klaviyo account/);
    $t->get("/?id=a$_&email=a\@shop.test") for 1 .. 5;
    ok $t->wait_events(5), 'delivers';
    ok $t->wait_idle, 'is idle';

    my @workers = $t->workers;

    unlink glob "$t->{queue_dir}/*";
    rmdir $t->{queue_dir} or die "rmdir: $!\n";

    ok wait_for(5, sub { $t->log =~ /\[crit\].* was removed while in use/ }),
        'noticed';
    $t->get("/?id=b$_&email=b\@shop.test") for 1 .. 5;
    ok $t->wait_events(10), 'nothing is lost';
    ok $t->wait_idle, 'all of it';
    is_deeply [$t->workers], \@workers, 'no worker died';

    # what is not sent when the file goes with its last process

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->get("/?id=s$_&email=s\@shop.test") for 1 .. 5;
    ok wait_for(5, sub {
        $t->account->{spool}{events_written} >= 5
    }), 'unsent events are in the spool';

    ok $t->reload(gone => 10), 'a reload makes it again';
    $t->sandbox->clear_faults;
    $t->get("/?id=c$_&email=c\@shop.test") for 1 .. 5;
    ok $t->wait_events(20), 'and delivers, those of the spool too';
    cmp_ok $t->account->{captured}, '>=', 10, 'with new figures';
    ok -d $t->{queue_dir}, 'in a new folder';
    is((stat $t->{queue_dir})[2] & 0777, 0700, 'for its owner alone');
    $t->stop;
};


# A file under another name is the same file: nothing is lost

subtest 'the file is moved away' => sub {
    my $t = chaos(workers => 2)->start;

    rename $t->queue, $t->queue . '.away' or die "rename: $!\n";
    $t->get("/?id=a$_&email=a\@shop.test") for 1 .. 5;
    ok $t->wait_events(5), 'delivers';
    ok $t->account->{queue}{attached}, 'from the queue that it has';
    ok $t->wait_idle, 'to the end';
    ok $t->reload(gone => 10), 'a reload makes another';
    $t->get("/?id=b$_&email=b\@shop.test") for 1 .. 5;
    ok $t->wait_events(10), 'and delivers';
    is $t->account->{captured}, 5, 'with new figures';
    $t->stop;
};


subtest 'the lock file is removed' => sub {
    my $t = chaos(workers => 2)->start;

    unlink $t->queue . '.lock' or die "unlink: $!\n";
    $t->get("/?id=a$_&email=a\@shop.test") for 1 .. 5;
    ok $t->wait_events(5), 'delivers';
    ok $t->reload(gone => 10), 'a reload';
    $t->get("/?id=b$_&email=b\@shop.test") for 1 .. 5;
    ok $t->wait_events(10), 'and delivers';
    is $t->account->{captured}, 10, 'with the same figures';
    $t->stop;
};


# What waits is in the ring and, since the exit, in the spool: once each

subtest 'a start with another size' => sub {
    my $t = chaos(workers => 2,
                  account => "queue %%QUEUE%% size=1m; batch linger=20s;\n");

    $t->start;
    $t->get("/?id=a$_&email=a$_\@shop.test") for 1 .. 6;
    ok wait_for(5, sub { $t->account->{queued} == 6 }), 'events wait';
    $t->set(account => "queue %%QUEUE%% size=2m; batch linger=50ms;\n");
    $t->halt('QUIT');
    $t->start;
    $t->get("/?id=b$_&email=b$_\@shop.test") for 1 .. 2;
    drained($t);
    arrived($t, 'another size', {}, load => -1);
    is $t->sandbox->stats->{repeats}, 0, 'none came twice';
    $t->stop;
};


# A reload that would need a file is refused as a whole; what runs goes on
# with what it has, and a start that cannot have its queue is none.

subtest 'no file can be made' => sub {
    my $shim = Klaviyo::Test::Shim->new;
    my $t    = chaos(workers => 2, env => $shim->env,
                     account => "queue %%QUEUE%% size=1m;\n");

    $t->nginx->{env}{SHIM_DIR} = $t->{queue_dir};
    $t->allow(qr/\[emerg\].*(?:klaviyo|"$t->{queue_dir})/);
    $t->start;

    my @workers = $t->workers;
    my $load    = requests($t, clients => 2);

    for my $error (qw(ENOSPC EROFS EIO EACCES EDQUOT)) {
        my $log = length $t->log;

        $shim->error($error);
        $t->set(account => "queue %%QUEUE%% size=2m;\n");
        ok !$t->reload(timeout => 5), "$error: a reload is refused";
        ok substr($t->log, $log) =~ /\[emerg\].*shop\.ring/,
            "$error: the log says why";
        is_deeply [$t->workers], \@workers, "$error: the workers stay";
        $shim->error(undef);
    }

    my $delivered = $t->account->{delivered};

    ok wait_for(5, sub { $t->account->{delivered} > $delivered }),
        'and deliver';

    # nothing is there any more, and everything comes back

    $shim->error('ENOSPC');

    my $answered = $load->stop;

    $t->halt('QUIT');
    ok !eval { $t->start; 1 }, 'no start without a queue';
    like $@, qr/\[emerg\].*(?:no room|No space)/, 'which says why';
    $shim->error(undef);
    $t->start;
    is $t->account->{queue}{size}, 2 << 20, 'with room: the other size';

    $load = requests($t, clients => 1);
    sleep 0.5;
    $answered = {%$answered, %{ $load->stop }};

    drained($t);
    arrived($t, 'no room', $answered);
    $t->stop;
};


done_testing;

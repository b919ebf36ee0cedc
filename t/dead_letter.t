#!/usr/bin/perl

# Events that Klaviyo refuses: the bad ones are set aside with all that is in
# them, the good ones arrive, and a flood of refusals empties no queue.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(read_file);
use Mojo::JSON  qw(decode_json);
use Mojo::Util  qw(decode);
use Time::HiRes qw(sleep time);


my $http = q{
    klaviyo_profile email $arg_email;
    klaviyo_property N $arg_n;
    klaviyo_property Kind $arg_kind;
};

my $server = q{
    location / {
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }
};

sub start {
    my (%option) = @_;

    return Klaviyo::Test->new(http => $http, server => $server,
        %option)->start;
}

sub hits {
    my ($t, $kind, @numbers) = @_;

    my $client = $t->client;

    for my $n (@numbers) {
        my $status = $client->get(
            "/?email=v$n\@shop.test&n=$n&kind=$kind")->status;

        return fail("request $n: $status") if $status != 200;
    }

    $client->close;
    return 1;
}

sub numbers {
    return [sort { $a <=> $b } map { $_->{properties}{N} }
            @{ $_[0]->sandbox->events }];
}

sub letters {
    my ($file) = @_;

    return [] if !-e $file;
    return [map { decode_json($_) } split /\n/, read_file($file)];
}

my %bad = (kind => 'refuse', match => {properties => {Kind => '^bad$'}});


for my $pointer (qw(event entry none nonsense)) {
    subtest "a bad event among good ones, pointer: $pointer" => sub {
        my $t = start(account => 'batch linger=300ms;');

        $t->sandbox->fault(%bad, pointer => $pointer);

        hits($t, 'good', 1 .. 10);
        hits($t, 'bad', 11);
        hits($t, 'good', 12 .. 20);

        ok $t->wait_events(19, 20), 'the good ones arrive'
            or diag explain $t->account('shop');
        ok $t->wait_idle(10), 'nothing is queued';
        is_deeply numbers($t), [1 .. 10, 12 .. 20], 'each once';

        my $letters = letters($t->spool . '/dead.jsonl');

        is scalar @$letters, 1, 'one dead letter';

        my $letter = $letters->[0];

        is $letter->{reason}, 'refused', 'why';
        is $letter->{status}, 400, "Klaviyo's status";
        ok length $letter->{detail}, "Klaviyo's detail";
        is $letter->{account}, 'shop', 'of which account';
        cmp_ok $letter->{attempts}, '>=', 1, 'after how many attempts';
        like $letter->{dead}, qr/^\d{4}-\d\d-\d\dT.*Z$/, 'when';
        like $letter->{captured}, qr/^\d{4}-\d\d-\d\dT.*Z$/, 'of when';

        my $attributes = $letter->{event}{attributes};

        is $letter->{event}{type}, 'event', 'the event';
        is $attributes->{properties}{N}, '11', 'its properties';
        is $attributes->{profile}{data}{attributes}{email}, 'v11@shop.test',
            'its profile';
        is $attributes->{unique_id}, $letter->{unique_id}, 'its unique_id';
        is $attributes->{metric}{data}{attributes}{name}, 'Viewed Page',
            'its metric';

        is sprintf('%04o', 07777 & (stat $t->spool . '/dead.jsonl')[2]),
            '0600', 'for its owner only';

        my $figures = $t->account('shop');

        is $figures->{dead}, 1, 'counted';
        is $figures->{dead_letters}{written}, 1, 'written';
        is $figures->{delivery}{breaker_opened}, 0, 'that is no flood';

        $t->stop;
    };
}


subtest 'a batch that was sent before, the answer lost' => sub {
    my $t = start(account => 'batch linger=300ms;');

    $t->sandbox->fault(kind => 'lost', endpoint => 'bulk', times => 1);

    # known by then, says Klaviyo of the whole batch, and names nobody

    $t->sandbox->fault(kind => 'status', status => 400, endpoint => 'bulk',
        skip => 1, body => '{"errors":[{"id":"1","code":"invalid",'
        . '"title":"Invalid input.","detail":"duplicate unique_id"}]}');

    hits($t, 'good', 1 .. 8);

    ok $t->wait_idle(20), 'it goes again, one by one';
    is_deeply numbers($t), [1 .. 8], 'each is recorded once';
    is $t->account('shop')->{delivered}, 8, 'delivered';
    is $t->account('shop')->{dead}, 0, 'none is dead';

    $t->stop;
};


subtest 'too old' => sub {
    my $t = start(account => 'retry min=50ms max=200ms max_age=2s;');

    $t->sandbox->fault(kind => 'status', status => 503);
    hits($t, 'good', 1 .. 3);

    ok wait_for(15, sub { $t->account('shop')->{dead} == 3 }),
        'given up after max_age';

    my $letters = letters($t->spool . '/dead.jsonl');

    is_deeply [map { $_->{reason} } @$letters], [('expired') x 3], 'why';
    ok !(grep { defined $_->{status} && $_->{status} ne '0' } @$letters),
        'no answer of Klaviyo had to do with it';

    $t->stop;
};


subtest 'one by one too old, in a long outage: a letter each' => sub {
    my $t = start(account => 'retry min=50ms max=200ms max_age=2s;');

    $t->sandbox->fault(kind => 'status', status => 503);

    for my $n (1 .. 30) {
        hits($t, 'good', $n);
        sleep 0.15;
    }

    ok wait_for(15, sub { $t->account('shop')->{dead} == 30 }), 'all are dead';

    my $letters = letters($t->spool . '/dead.jsonl');

    is_deeply [sort { $a <=> $b }
               map { $_->{event}{attributes}{properties}{N} } @$letters],
        [1 .. 30], 'a letter each, and no more';

    $t->stop;
};


subtest 'a flood of refusals opens the breaker' => sub {
    my $t = start(account => 'batch linger=300ms;');

    $t->sandbox->fault(%bad, pointer => 'event');

    hits($t, 'bad', 1 .. 300);

    ok wait_for(20, sub {
        $t->account('shop')->{delivery}{breaker_opened} > 0
    }), 'the breaker opens';

    sleep 1;

    my $figures = $t->account('shop');

    cmp_ok $figures->{dead}, '<=', 110, 'the queue is not emptied';
    is $figures->{dead} + $figures->{queued}, 300, 'the others are kept';

    # a letter is on the disk before its event counts as dead

    cmp_ok scalar @{ letters($t->spool . '/dead.jsonl') }, '>=',
        $figures->{dead}, 'the dead ones are on the disk';
    like $t->log, qr/the breaker is open and events are kept/, 'said';

    # the cause is mended, the configuration loaded again

    my $dead = $figures->{dead};

    $t->sandbox->clear_faults;
    $t->reload(gone => 20);

    ok $t->wait_idle(20), 'the others are delivered';
    is $t->account('shop')->{delivered}, 300 - $dead, 'all of them';

    $t->stop;
};


subtest 'a wrong key keeps everything, and holds up no other account' => sub {
    my $t = Klaviyo::Test->new(
        sandbox => {keys => ['pk_test_0123456789abcdef:shop',
                             'pk_test_other:other']},
        http    => $http . q{
            klaviyo_account other {
                api_key pk_test_other;
                endpoint %%ENDPOINT%%;
                queue %%QUEUE_DIR%%/other.ring size=1m;
                spool %%DIR%%/other_spool;
                batch linger=50ms;
                retry min=50ms max=1s;
            }
        } . 'klaviyo_account_default shop;',
        server  => $server . q{
            location /other {
                klaviyo_track "Viewed Page" account=other;
                return 200 "page\n";
            }
        },
    );

    my $key = sub {
        $t->file('shop.key', "$_[0]\n");
        chmod 0600, $t->dir . '/shop.key' or die "chmod() failed: $!";
    };

    $key->('pk_test_wrong');
    $t->start;

    hits($t, 'good', 1 .. 5);

    ok wait_for(10, sub {
        $t->account('shop')->{replies}{blocked} > 0
    }), 'refused as a whole';

    is $t->get('/other?email=o@shop.test&n=99')->status, 200, 'the other one';
    ok wait_for(10, sub { $t->account('other')->{delivered} == 1 }),
        'is not held up';

    my $figures = $t->account('shop');

    is $figures->{queued}, 5, 'all are kept';
    is $figures->{dead}, 0, 'none is dead';
    like $t->log, qr/events are kept; check the key, its scope/, 'said';
    is scalar(() = $t->log =~ /check the key/g), 1, 'once';

    $key->('pk_test_0123456789abcdef');
    $t->reload(gone => 20);

    ok $t->wait_idle(20), 'with a good key they go by themselves';
    is $t->account('shop')->{delivered}, 5, 'all of them';

    $t->stop;
};


subtest 'the file is full: rotation' => sub {
    my $t = start(account => 'dead_letter %%DIR%%/letters/dead.jsonl '
                             . 'size=64k; batch linger=20ms;');

    $t->sandbox->fault(%bad, pointer => 'event');

    my $n = 0;
    my $filler = 'f' x 1800;

    # nine in ten of each minute's events are good: no flood

    for (1 .. 30) {
        hits($t, 'good', map { ++$n } 1 .. 40);
        hits($t, "bad&x=$filler", ++$n);
    }

    ok $t->wait_idle(30), 'all is done';

    my $dir = $t->dir . '/letters';

    ok -e "$dir/dead.jsonl.1", 'rotated';
    cmp_ok -s "$dir/dead.jsonl", '<=', 32 * 1024, 'half of the size';
    cmp_ok -s "$dir/dead.jsonl.1", '<=', 32 * 1024, 'and the other half';

    my $figures = $t->account('shop')->{dead_letters};
    my $there   = @{ letters("$dir/dead.jsonl") }
                  + @{ letters("$dir/dead.jsonl.1") };

    is $there + $figures->{dropped_by_rotation}, $figures->{written},
        'what rotation threw away is counted';

    $t->stop;
};


subtest 'a dead letter that cannot be written holds the queue' => sub {
    plan skip_all => 'needs root for a file system of its own' if $> != 0;

    my $t = start(account => 'dead_letter %%DIR%%/small/dead.jsonl;'
                             . ' spool off; batch linger=20ms;');
    my $dir = $t->dir . '/small';

    # whatever happens from here on, it is not left mounted

    my $uid = (stat $dir)[4];

    is system('mount', '-t', 'tmpfs', '-o', "size=64k,mode=700,uid=$uid",
              'klaviyo', $dir), 0,
        'a small disk';

    my $full = eval {
        open my $out, '>', "$dir/fill" or die "fill: $!";
        1 while -s $out < 1 << 20 && syswrite $out, 'x' x 4096;
        close $out;

        $t->allow(qr/\[crit\].*klaviyo account/);
        $t->sandbox->fault(%bad, pointer => 'event');
        hits($t, 'bad', 1);

        ok wait_for(10, sub {
            $t->account('shop')->{dead_letters}{errors} > 0
        }), 'the disk is full';
        like $t->log, qr/\[crit\].*No space left on device/, 'said';

        is $t->account('shop')->{queued}, 1, 'the event is kept';

        unlink "$dir/fill" or die "fill: $!";

        ok wait_for(10, sub { $t->account('shop')->{dead} == 1 }),
            'the disk has room: it is dead now';
        is scalar @{ letters("$dir/dead.jsonl") }, 1, 'and written';
        1;
    };
    my $error = $@;

    ok $full, 'to its end' or diag $error;

    is system(qw(umount -l), $dir), 0, 'the small disk is gone';
    $t->stop;
};


done_testing;

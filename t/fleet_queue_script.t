#!/usr/bin/perl

# The script of the shared queue in a real Redis: adding is idempotent and
# bounded, one holds the lease and a nonce fences the others, settling moves
# and counts in one step, once; over maxmemory only adding is refused; nothing
# is evicted.  And a model of it: hosts that add and are answered or not, a
# deliverer that is replaced, a Redis that is rolled back or wiped.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Redis;
use IO::Socket::UNIX;

alarm slow(300);

my $redis  = Klaviyo::Test::Redis->start;
my $socket = IO::Socket::UNIX->new(Peer => $redis->socket)
    or die "no connection: $!\n";

my @key = map { "klaviyo:{shop}:$_:events" } qw(q hosts state dead);


sub command {
    print {$socket} '*' . @_ . "\r\n",
        map { '$' . length($_) . "\r\n$_\r\n" } @_;
    $socket->flush;

    return reply();
}

sub reply {
    my $line = <$socket> // die "no answer\n";

    $line =~ s/\r\n\z//;

    my ($kind, $rest) = (substr($line, 0, 1), substr $line, 1);

    return $rest if $kind =~ /[:+-]/;
    return [map { reply() } 1 .. $rest] if $kind eq '*';
    return undef if $rest < 0;

    read $socket, my $text, $rest + 2;

    return substr $text, 0, $rest;
}


my $source = do {
    open my $in, '<', 'ngx_klaviyo_fleet_module/klaviyo_fleet_queue_script.c'
        or die "no script: $!\n";
    join '', map { /^    "(.*)\\n";?$/ ? "$1\n" =~ s/\\(["\\])/$1/gr : () }
        <$in>;
};

my $sha   = command(SCRIPT => LOAD => $source);
my $shift = 0;

like $sha, qr/^[0-9a-f]{40}$/, 'loaded';

# the same, so many ms later
my $later = command(SCRIPT => LOAD => $source =~
    s/redis\.call\('TIME'\)/redis.call('TIME'); t[1] = t[1] + 3600/r);

like $later, qr/^[0-9a-f]{40}$/, 'an hour later, too';

sub script { return command(EVALSHA => $sha, 4, @key, @_) }
sub after  { return command(EVALSHA => $later, 4, @key, @_) }

sub state {
    my %state = @{ command(HGETALL => $key[2]) };

    return \%state;
}

sub hello {
    my ($host) = @_;
    my %hello;

    @hello{qw(stored done bytes accepted delivered dead queued hosts corrupt letters)}
        = @{ script(hello => $host) };

    return \%hello;
}

my $max = 1_000_000;

sub add {
    my ($host, $expect, $to, $n, $pack) = @_;

    return script(add => $host, $expect, $to, $n, $max, $pack // 'x' x 100);
}

sub settle {
    my ($nonce, $dead, $letters, @pack) = @_;

    return script(settle => $nonce, $dead, 1000, $letters,
        map { @{$_}[0 .. 4], length $_->[5] } @pack);
}

sub pull {
    my ($nonce, $last, $bytes) = @_;
    my ($rc, @rest) = @{ script(pull => $nonce, $last, $bytes // 100_000) };
    my @pack;

    return $rc if @rest == 1;

    push @pack, [splice @rest, 0, 6] while @rest;

    return ($rc, @pack);
}


subtest 'add' => sub {
    my $first = 2 ** 48;

    is_deeply add(a => 0, $first + 10, 10), [0, $first + 10, 0], 'stored';
    is_deeply add(a => 0, $first + 10, 10), [1, $first + 10, 0],
        'once more: where to go on';
    is_deeply add(a => $first + 5, $first + 15, 10), [1, $first + 10, 0],
        'another expectation: the same';
    is_deeply add(b => 0, 7, 7), [0, 7, 0], 'another host has its own';
    is_deeply add(a => $first + 10, $first + 20, 8), [0, $first + 20, 0],
        'the next';

    my $hello = hello('a');

    is_deeply [@$hello{qw(stored done accepted delivered dead queued hosts)}],
        [$first + 20, 0, 25, 0, 0, 25, 2], 'counted';
    is $hello->{bytes}, 3 * (100 + 128), 'and their bytes';
    is command(XLEN => $key[0]), 3, 'three packs';
    is command(TTL => $_), -1, "$_: no time to live" for @key[0 .. 2];
};


subtest 'size' => sub {
    is_deeply add(b => 7, 9, 2, 'y' x $max), [2, 7, 0], 'beyond it: refused';
    is hello('b')->{accepted}, 25, 'and not counted';

    command('FLUSHALL');
    is add(b => 0, 9, 2, 'y' x (2 * $max))->[0], 0,
        'alone, a pack may be larger';
    is add(b => 9, 10, 1)->[0], 2, 'then nothing';
};


subtest 'the lease' => sub {
    command('FLUSHALL');
    is_deeply script(lease => 'n1', 'a'), [1, 10000], 'taken';
    is_deeply script(lease => 'n1', 'a'), [1, 10000], 'renewed';
    is script(lease => 'n2', 'b')->[0], 0, 'not by another host';
    cmp_ok script(lease => 'n2', 'b')->[1], '<=', 10000, 'how long';
    is script(lease => 'n3', 'a')->[0], 1, 'by another worker of its host';
    is_deeply [pull('n1', '0-0')], [0], 'the one before is fenced';
    is_deeply settle('n1', 0, ''), [0], 'in all it does';
    is_deeply script(release => 'n1'), [0], 'it cannot give it away';
    is_deeply script(release => 'n3'), [1], 'its holder can';
    is script(lease => 'n2', 'b')->[0], 1, 'then it is free';
    is after(lease => 'n4', 'a')->[0], 1, 'and when its time is over';
    is_deeply [pull('n2', '0-0')], [0], 'fenced';

    # a clock that was set back would keep it for an hour

    is script(lease => 'n5', 'b')->[0], 1, 'no longer than it may last';
};


subtest 'pull and settle' => sub {
    command('FLUSHALL');
    add(a => 0, 10, 10, 'first');
    add(b => 0, 100, 5, 'second');
    add(a => 10, 20, 7, 'third');
    script(lease => 'n', 'a');

    my ($rc, @pack) = pull('n', '0-0');

    is $rc, 1, 'pulled';
    is_deeply [map { [@{$_}[1 .. 5]] } @pack],
        [[a => 0, 10, 10, 'first'], [b => 0, 100, 5, 'second'],
         [a => 10, 20, 7, 'third']], 'all, in order';
    is_deeply [map { $_->[5] } (pull('n', $pack[0][0]))[1, 2]],
        [qw(second third)], 'from one on';
    is scalar((pull('n', '0-0', 1))), 2 || 1, 'bounded' if 0;
    is scalar(my @few = pull('n', '0-0', 1)), 2, 'one, if more are too many';

    is_deeply settle('n', 2, "one\ntwo\n", $pack[0]), [1, 10], 'settled';
    is hello('a')->{done}, 10, 'done moves';
    is_deeply settle('n', 2, "one\ntwo\n", $pack[0]), [1, 0], 'once';
    is_deeply command(LRANGE => $key[3], 0, -1), ["one\ntwo\n"],
        'the letters once';

    my $hello = hello('a');

    is_deeply [@$hello{qw(accepted delivered dead queued)}], [22, 8, 2, 12],
        'accepted = delivered + dead + queued';

    is_deeply settle('n', 0, '', @pack[1, 2]), [1, 12], 'the others';
    $hello = hello('b');
    is_deeply [@$hello{qw(stored done accepted delivered dead queued bytes)}],
        [100, 100, 22, 20, 2, 0, 0], 'all of it';
    is hello('a')->{done}, 20, 'of each host';
    is command(XLEN => $key[0]), 0, 'nothing is left';

    settle('n', 2, 'z' x 298 . "\n" . 'z' x 300 . "\n", [do { add(a => 20, 30, 1);
        (pull('n', '0-0'))[1] }]->@*);
    settle('n', 1, 'y' x 600, [do { add(a => 30, 40, 1);
        (pull('n', '0-0'))[1] }]->@*);
    is_deeply command(LRANGE => $key[3], 0, -1), ['y' x 600],
        'letters are bounded: the newest stay';
    is $hello->{letters}, 0, 'none was dropped before';
    is hello('a')->{letters}, 4, 'and those that go are counted';
};


subtest 'a pack that cannot be read' => sub {
    command('FLUSHALL');
    add(a => 0, 10, 10, 'bad');
    add(a => 10, 20, 10, 'good');
    script(lease => 'n', 'a');

    my (undef, @pack) = pull('n', '0-0');

    script(refuse => 'n', @{ $pack[0] }[0, 1], 10, 3);

    my $hello = hello('a');

    is_deeply [@$hello{qw(stored done accepted queued corrupt)}],
        [0, 0, 10, 10, 10], 'its host is to add it again';
    settle('n', 0, '', $pack[1]);
    is hello('a')->{done}, 0, 'what is behind it does not move done';
    is add(a => 0, 10, 10)->[0], 0, 'added again';
    settle('n', 0, '', (pull('n', '0-0'))[1]);
    is hello('a')->{done}, 10, 'then it does';

    # its host was quick, and both of the pack behind it are delivered at once

    command('FLUSHALL');
    add(a => 0, 10, 10, 'bad');
    add(a => 10, 20, 10, 'good');
    script(lease => 'n', 'a');
    (undef, @pack) = pull('n', '0-0');
    script(refuse => 'n', @{ $pack[0] }[0, 1], 10, 3);
    add(a => 0, 10, 10, 'bad, mended');
    add(a => 10, 20, 10, 'good');
    settle('n', 0, '', (pull('n', '0-0'))[1 .. 3]);
    $hello = hello('a');
    is_deeply [@$hello{qw(stored done queued bytes)}], [20, 20, 0, 0],
        'it has never less than is done';
    is add(a => 20, 30, 10)->[0], 0, 'and goes on';
};


subtest 'the stream vanishes' => sub {
    command('FLUSHALL');
    add(a => 0, 10, 10);
    add(a => 10, 20, 10);
    script(lease => 'n', 'a');

    my (undef, @pack) = pull('n', '0-0');

    settle('n', 0, '', $pack[0]);
    command(DEL => $key[0]);

    my $hello = hello('a');

    is_deeply [@$hello{qw(stored done accepted delivered queued bytes)}],
        [10, 10, 10, 10, 0, 0], 'its host is to add again what is not settled';
    is_deeply settle('n', 0, '', $pack[1]), [1, 0],
        'what was pulled before is not counted';
    is hello('a')->{done}, 10, 'and does not move done';
    is add(a => 10, 20, 10)->[0], 0, 'added again';
    settle('n', 0, '', (pull('n', '0-0'))[1]);
    is hello('a')->{done}, 20, 'then it does';
    hello('a');
    is hello('a')->{stored}, 20, 'an empty one that is settled is none';
};


subtest 'hosts' => sub {
    command('FLUSHALL');
    add(a => 0, 10, 10);
    hello('b');
    is_deeply after('hosts')->[0], 'a', 'hosts';

    my %host = map { $_->[0] => $_ } do {
        my @all = @{ after('hosts') };
        map { [splice @all, 0, 3] } 1 .. @all / 3;
    };

    cmp_ok $host{a}[1], '>=', 3_590_000, 'silent for an hour';
    is $host{a}[2], 10, 'and what it left behind';
    is $host{b}[2], 0, 'another one nothing';

    command(HSET => $key[1], c => '5 5 0 1000', d => '5 0 5 1000');
    script(lease => 'n', 'a');
    is command(HEXISTS => $key[1], 'c'), 0, 'after a week it is forgotten';
    is command(HEXISTS => $key[1], 'd'), 1, 'but not with what it left';
};


subtest 'two accounts of one name' => sub {
    command('FLUSHALL');

    my $add = sub { script(add => @_[0 .. 3], $max, 'x' x 100, $_[4])->[0] };

    is_deeply script(hello => 'b', 'k1'), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        'who comes first has it';
    is_deeply script(hello => 'a', 'k2'), [0], 'another account is refused';
    is_deeply script(lease => 'n', 'a', 'k2'), [0, 10000], 'does not deliver';
    is $add->(a => 0, 10, 10, 'k2'), 4, 'nor add';
    is $add->(b => 0, 10, 10, 'k1'), 0, 'the first one does';
    is script(lease => 'n', 'b', 'k1')->[0], 1, 'and delivers';
    is script(hello => 'c')->[0], 0, 'an older host does not say whose it is';
    is scalar @{ after(hello => 'a', 'k2') }, 10,
        'a key is another one, when no host has the former';
    is_deeply after(hello => 'b', 'k1'), [0], 'which is refused then';
    is scalar @{ after(hello => 'a', 'k3') }, 10,
        'the only host of it may have another key at once';

    command('FLUSHALL');
    script(hello => 'b', 'c1');
    is $add->(b => 0, 10, 10, 'c1'), 0, 'of a company';
    is_deeply after(hello => 'a', 'c2'), [0],
        'another one has not what is queued';
    command(DEL => $key[0]);
    is scalar @{ after(hello => 'a', 'c2') }, 10, 'but the queue without it';
};


subtest 'over maxmemory' => sub {
    command('FLUSHALL');
    add(a => 0, 10, 10);
    script(lease => 'n', 'a');

    my (undef, @pack) = pull('n', '0-0');

    command(CONFIG => SET => maxmemory => 1);
    like command(SET => 'x', 'y'), qr/^OOM/, 'Redis is full';
    is_deeply add(a => 10, 20, 10), [3, 10, 0], 'adding says so';
    is hello('a')->{accepted}, 10, 'and changes nothing';
    is script(lease => 'n', 'a')->[0], 1, 'the lease is renewed';
    is_deeply settle('n', 1, "letter\n", @pack), [1, 10], 'packs are settled';
    is hello('new')->{stored}, 0, 'a new host is heard';
    is_deeply script(release => 'n'), [1], 'released';
    command(CONFIG => SET => maxmemory => 0);
};


# A model.  Each host has a log of numbered events; the deliverer records what
# it settles.  Whatever fails, in the end each event was recorded, and done
# never passes one that was not.

subtest 'a model' => sub {
    command('FLUSHALL');
    srand($ENV{KLAVIYO_SEED} // 42);

    my %log  = map { $_ => {end => 1, acked => 1, expect => undef} } qw(a b c);
    my (%recorded, $snapshot, @pulled, @wrong);
    my ($nonce, $serial, $last) = ('', 0, '0-0');

    my $sync = sub {
        my ($name) = @_;
        my $host   = $log{$name};
        my $hello  = hello($name);

        for my $seq ($host->{acked} .. $hello->{done} - 1) {
            push @wrong, "$name $seq forgotten" if !$recorded{"$name $seq"};
        }

        push @wrong, "$name: more is done than stored"
            if $hello->{stored} < $hello->{done};

        $host->{acked} = $hello->{done} if $hello->{done} > $host->{acked};
        $host->{expect} = $hello->{stored};
        $host->{next} = $hello->{stored} > $host->{acked} ? $hello->{stored}
                                                          : $host->{acked};
    };

    for my $step (1 .. 4000) {
        my $what = rand;
        my $name = qw(a b c)[rand 3];
        my $host = $log{$name};

        if ($what < 0.3) {
            $host->{end} += 1 + int rand 5;

        } elsif ($what < 0.55) {
            $sync->($name) if !defined $host->{expect} || rand() < 0.2;
            next if $host->{next} >= $host->{end};

            my $to = $host->{next} + 1 + int rand($host->{end} - $host->{next});
            my $rc = add($name, $host->{expect}, $to, $to - $host->{next},
                         join ' ', $host->{next}, $to - 1)->[0];

            # the answer does not come, sometimes

            if ($rc || rand() < 0.2) {
                undef $host->{expect};

            } else {
                $host->{expect} = $host->{next} = $to;
            }

        } elsif ($what < 0.75) {
            my ($rc, @pack) = $nonce ? pull($nonce, $last, 50) : (0);

            if (!$rc) {
                ($nonce, $last, @pulled) = ('n' . ++$serial, '0-0');
                script(lease => $nonce, 'd');
                next;
            }

            push @pulled, @pack;
            $last = $pack[-1][0] if @pack;

        } elsif ($what < 0.93) {
            my @some = splice @pulled, 0, 1 + int rand 4;

            for my $pack (@some) {
                my ($from, $to) = split ' ', $pack->[5];
                $recorded{"$pack->[1] $_"}++ for $from .. $to;
            }

            next if !@some;

            # sent, and not settled, or settled twice

            my $rc = rand() < 0.1 ? 0
                : settle($nonce, int rand 2, '', @some)->[0];

            settle($nonce, 0, '', @some) if rand() < 0.2;
            $nonce = '' if !$rc;

        } elsif ($what < 0.94) {
            $nonce = '';                        # another one takes over

        } elsif ($what < 0.95 && $nonce && @pulled) {
            my ($pack) = splice @pulled, rand @pulled, 1;
            my ($from, $to) = split ' ', $pack->[5];

            script(refuse => $nonce, @$pack[0, 1], $to - $from + 1,
                   length $pack->[5]);

        } elsif ($what < 0.955) {
            command('FLUSHALL');

        } elsif ($what < 0.965) {
            $snapshot = {map { $_ => command(DUMP => $_) } @key};

        } elsif ($what < 0.97 && $snapshot) {
            command('FLUSHALL');
            defined $snapshot->{$_}
                && command(RESTORE => $_, 0, $snapshot->{$_}) for @key;

        } else {
            $sync->($name);
        }
    }

    # all is well again

    $nonce = 'last';
    command(HDEL => $key[2], 'until');
    script(lease => $nonce, 'd');

    for (1 .. 50) {
        for my $name (qw(a b c)) {
            my $host = $log{$name};

            $sync->($name);
            $host->{next} < $host->{end}
                && add($name, $host->{expect}, $host->{end},
                       $host->{end} - $host->{next},
                       "$host->{next} " . ($host->{end} - 1));
        }

        my (undef, @pack) = pull($nonce, '0-0');

        for my $pack (@pack) {
            my ($from, $to) = split ' ', $pack->[5];
            $recorded{"$pack->[1] $_"}++ for $from .. $to;
        }

        settle($nonce, 0, '', @pack) if @pack;
    }

    $sync->($_) for qw(a b c);

    my $hello  = hello('a');
    my @missing = map { my $name = $_;
                        grep { !$recorded{$_} }
                        map { "$name $_" } 1 .. $log{$name}{end} - 1 }
        qw(a b c);

    is_deeply [@wrong ? $wrong[0] : ()], [],
        'no host forgot what was not recorded';
    is_deeply [@missing ? $missing[0] : ()], [], 'each event was recorded';
    is $log{$_}{acked}, $log{$_}{end}, "$_ keeps nothing" for qw(a b c);
    is $hello->{queued}, 0, 'nothing is left';
    is $hello->{accepted}, $hello->{delivered} + $hello->{dead},
        'accepted = delivered + dead';
    is $hello->{bytes}, 0, 'nor bytes';
};

$redis->stop;
done_testing;

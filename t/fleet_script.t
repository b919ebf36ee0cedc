#!/usr/bin/perl

# The script of the fleet in a real Redis: its turns are those of
# klaviyo_limiter.c, one after the other; what a pause, a silent host and what
# a host tells of itself do to them; and what it does over maxmemory.
#
# The script's only TIME is replaced by one that the test sets.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Redis;
use IO::Socket::UNIX;

my $objs   = $ENV{KLAVIYO_OBJS} // 'objs';
my $redis  = Klaviyo::Test::Redis->start;
my $socket = IO::Socket::UNIX->new(Peer => $redis->socket)
    or die "no connection: $!\n";

my @key = ('klaviyo:{shop}:limit:events', 'klaviyo:{shop}:beat:events');


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


my $script = do {
    open my $in, '<', 'ngx_klaviyo_fleet_module/klaviyo_fleet_script.c'
        or die "no script: $!\n";
    join '', map { /^    "(.*)\\n";?$/ ? "$1\n" =~ s/\\(["\\])/$1/gr : () }
        <$in>;
};

like $script, qr/redis\.call\('TIME'\)/, 'the script asks for the time';
is scalar(() = $script =~ /'TIME'/g), 1, 'once';

my $sha = command(SCRIPT => LOAD => $script =~
    s/redis\.call\('TIME'\)/{ math.floor(ARGV[#ARGV] \/ 1000), (ARGV[#ARGV] % 1000) * 1000 }; ARGV[#ARGV] = nil/r);

like $sha, qr/^[0-9a-f]{40}$/, 'loaded';

# wait, pause, hosts, silent, rank, id, now
sub script {
    my ($now, @argument) = @_;

    return command(EVALSHA => $sha, 2, @key, @argument, $now);
}


subtest 'the turns of the limiter' => sub {
    open my $in, '-|', ($ENV{KLAVIYO_RUN} ? split ' ', $ENV{KLAVIYO_RUN} : ()),
        "$objs/unit/fleet_test", 'vectors'
        or die "no vectors: $!\n";

    my ($n, @wrong) = (0);

    while (my $line = <$in>) {
        my ($what, $now, @rest) = split ' ', $line;

        if ($what eq 'new') {
            command('FLUSHALL');
            next;
        }

        if ($what eq 'tell') {
            my ($class, $remaining, $reset) = @rest;
            script($now, tell => 'a', $class, $remaining, $reset * 1000);
            next;
        }

        my $expected = pop @rest;
        my $at       = $now;

        for (1 .. 5) {
            my $reply = script($at, take => 'a', @rest);

            ref $reply or push(@wrong, $reply), last;
            $reply->[0] or last;
            $at += $reply->[0];
        }

        $n++;
        push @wrong, "$line: $at" if $at != $expected;
    }

    cmp_ok $n, '>=', 2800, "$n turns";
    is_deeply [@wrong[0 .. ($#wrong > 4 ? 4 : $#wrong)]], [],
        'each at the same millisecond';
};


subtest 'many hosts: first come, first served' => sub {
    command('FLUSHALL');

    my $now = 5_000_000;
    my (%at, @sent);

    # 20 hosts that send as soon as they may, for three minutes

    my %next = map { ("host$_" => $now + $_) } 1 .. 20;
    my %got  = map { ($_ => 0) } keys %next;

    while (1) {
        my ($host) = sort { $next{$a} <=> $next{$b} || $a cmp $b } keys %next;

        $now = $next{$host};
        last if $now > 5_000_000 + 180_000;

        my $reply = script($now, take => $host, 1, 150, 100);

        if ($reply->[0]) {
            $next{$host} = $now + $reply->[0];

        } else {
            push @sent, $now;
            $got{$host}++;
            $next{$host} = $now + 5;
        }
    }

    my ($first, $most) = (0, 0);

    for my $last (0 .. $#sent) {
        $first++ while $sent[$last] - $sent[$first] >= 60_000;
        $most = $last - $first + 1 if $last - $first + 1 > $most;
    }

    cmp_ok $most, '<=', 150, "$most in a minute";
    cmp_ok $most, '>=', 147, 'nearly all of it';

    my @got = sort { $a <=> $b } values %got;

    cmp_ok $got[-1] - $got[0], '<=', 1, "each as many: $got[0] to $got[-1]";
};


subtest 'no ticket that is far away, for who goes another way' => sub {
    command('FLUSHALL');

    my $now = 5_000_000;

    script($now, take => "host$_", 1, 150, 100, 0) for 1 .. 20;

    my $before = command(HGET => $key[0], '1n');
    my $reply  = script($now, take => 'few', 1, 150, 100, 1);

    cmp_ok $reply->[0], '>', 2000, "it would take $reply->[0] ms";
    is command(HGET => $key[0], '1n'), $before, 'and is not counted';
    is script($now, take => 'few', 1, 150, 100, 0)->[0], $reply->[0],
        'with a ticket it takes as long';
    is command(HGET => $key[0], '1n'), $before + 1, 'and is';
};


subtest 'a pause is for all' => sub {
    command('FLUSHALL');

    my $now = 5_000_000;

    script($now, take => 'a', 1, 150, 100) for 1 .. 3;

    my $ticket = script($now, take => 'b', 1, 150, 100)->[0];

    cmp_ok $ticket, '>', 0, 'another one has a ticket';
    is script($now + 1, pause => 'a', 7000)->[1], 7000, 'a pause';
    is script($now + $ticket, take => 'b', 1, 150, 100)->[0],
        7001 - $ticket, 'its ticket is void';
    is script($now + 10, pause => 'b', 1000)->[1], 6991,
        'a shorter one does not end it';
    is script($now + 7001, take => 'b', 1, 150, 100)->[0], 0, 'it is over';
};


subtest 'hosts' => sub {
    command('FLUSHALL');

    my $now = 5_000_000;
    my $first = script($now, beat => 'b', 'one', 0, '');

    is_deeply [@$first[2 .. 5]], [1, 0, 0, 'one'], 'the first';
    is_deeply [@{ script($now + 1, beat => 'a', 'two', 0, '') }[2 .. 5]],
        [2, 0, 0, 'one'], 'a second one, ranked by its name';
    is script($now + 2, beat => 'b', 'three', 2, 'one')->[4], 1, 'the other';

    # silent: its part is left to it

    $now += 5000;
    is_deeply [@{ script($now, beat => 'b', 'x', 2, 'one') }[2, 3]], [2, 1],
        'one is silent';

    my $granted = 0;

    for my $ms (map { $_ * 50 } 0 .. 1200) {
        script($now + $ms, beat => 'b', 'x', 2, 'one') if $ms % 1000 == 0;
        $granted++ if !script($now + $ms, take => 'b', 1, 150, 100)->[0];
    }

    cmp_ok $granted, '<=', 76, "half of the limits for one of two: $granted";
    cmp_ok $granted, '>=', 70, 'all of that';

    is_deeply [@{ script($now + 300_000, beat => 'b', 'x', 2, 'one')
        }[2, 3]], [1, 0], 'and forgotten';

    is script($now + 300_001, bye => 'b')->[0], 0, 'it leaves';
    is command(HLEN => $key[1]), 0, 'at once';

    # a Redis that was wiped is told how many there were

    command('FLUSHALL');
    is_deeply [@{ script($now, beat => 'b', 'four', 5, 'one') }[2 .. 5]],
        [5, 4, -1, 'four'], 'wiped: five hosts, as it knew';
    is_deeply [@{ script($now + 62_000, beat => 'b', 'x', 5, 'four') }[2 .. 4]],
        [1, 0, 0], 'but nobody came';
};


subtest 'what a host sent by itself' => sub {
    command('FLUSHALL');

    my $now = 5_000_000;

    script($now, beat => 'a', 'one', 0, '');
    script($now, beat => 'a', 'one', 1, '', 1, 1, 150,
        map { 400 * $_ } 0 .. 149);

    is script($now, take => 'a', 1, 150, 100)->[0], 61_000 - 400 * 149,
        'counts, and as old as it is';
    is script($now, take => 'a', 0, 3500, 100)->[0], 0,
        'the other class has its own';
};


subtest 'over maxmemory' => sub {
    command('FLUSHALL');
    script(5_000_000, take => 'a', 1, 150, 100);
    command(CONFIG => SET => maxmemory => 1);
    like command(SET => 'x', 'y'), qr/^OOM/, 'Redis is full';
    is ref script(5_000_500, take => 'a', 1, 150, 100), 'ARRAY',
        'turns are granted still';
    is ref script(5_000_500, beat => 'a', 'x', 1, ''), 'ARRAY', 'beats, too';
    command(CONFIG => SET => maxmemory => 0);
};

$redis->stop;
done_testing;

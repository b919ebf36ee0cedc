#!/usr/bin/perl

# Klaviyo, the network and the name servers at their worst.  Whatever comes,
# each event is recorded once in the end, or is dead for a reason of its own.
#
#   each status, of single and bulk requests            here
#   the same, what the log says, challenges             delivery.t
#   Retry-After: absent, absurd, garbage, dates         here
#   honoured across a reload                            delivery.t, rate.t
#   refused connections, hangs, slow answers            delivery.t
#   the connection breaks at each point of the answer,
#   before and after the events were recorded           here
#   an answer in drips                                  here
#   interim answers, bodies without end, hostile bytes  transport_traps.t,
#                                                       hostile.t
#   a connection that is dead, and nobody says so       here
#   TLS: not TLS, broken off, silent, another authority here
#   TLS: expired, another name, not verified            delivery.t
#   a name server that is silent, broken, wrong         here
#   threads that resolve for too long                   transport_traps.t
#   requests of visitors meanwhile                      here, process.t
#
# Many accounts of one nginx meet a fault each, all at the same time.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos qw(recorded);
use Klaviyo::Test::Relay;
use Klaviyo::Test::Shim;
use Time::HiRes qw(sleep time);


# one nginx; account => {fault => {}, events => n, lines => '...'}
sub start {
    my (%accounts) = @_;

    my @names = sort keys %accounts;

    my $t = Klaviyo::Test->new(
        account => undef,
        sandbox => {limits => 'off', keys => [map { "pk_$_:$_" } @names]},
        http    => join("\n", 'klaviyo_profile email $arg_email;',
                        "klaviyo_account_default $names[0];",
                        map { my $lines = $accounts{$_}{lines} // ''; qq{
            klaviyo_account $_ {
                api_key pk_$_;
                endpoint %%ENDPOINT%%;
                queue %%QUEUE_DIR%%/$_.ring size=256k;
                spool %%DIR%%/spool-$_;
                batch linger=@{[ slow(300) ]}ms;
                retry min=50ms max=1s;
                $lines
            }
        } } @names),
        server  => join("\n", map { qq{
            location = /$_ {
                klaviyo_event "Viewed Page" account=$_ {
                    unique_id \$arg_id;
                }
                return 200 "page\n";
            }
        } } @names));

    $t->start;

    for my $name (@names) {
        my $fault = $accounts{$name}{fault};

        $t->sandbox->fault(account => $name, times => 1, %$fault) if $fault;
    }

    my $client = $t->client;

    for my $name (@names) {
        for my $n (1 .. $accounts{$name}{events} // 1) {
            $client->get("/$name?id=$name-$n&email=$name$n\@shop.test");
        }
    }

    return $t;
}

# how often each event of an account came
sub came {
    my ($recorded, $name) = @_;

    return [map { $recorded->{$_} } grep { /^\Q$name\E-/ }
            sort keys %$recorded];
}


# By what they mean: the reply that is counted, and what becomes of the events.
# The fault does not record, so what is accepted by it never arrives.

my %status = (
    (map { ($_ => 'accepted') } 200, 201, 202, 204, 299),
    (map { ($_ => 'refused') } 400, 409, 422),
    (map { ($_ => 'blocked') } 302, 401 .. 406, 410, 415, 418, 451),
    (map { ($_ => 'passing') } 408, 425, 500, 502, 503, 504, 520, 524, 599),
    413 => 'too_large',
    429 => 'throttled',
);

subtest 'each status' => sub {
    my %accounts;

    for my $status (sort keys %status) {
        my %fault = (kind => 'status', status => $status, times => 2,
                     $status == 429 ? (retry_after => 1) : ());

        # refused or too large as a whole: one must be enough

        $fault{times} = 1 if $status{$status} =~ /accepted|refused|too_large/;

        $accounts{"single$status"} = {events => 1, fault => \%fault};
        $accounts{"bulk$status"}   = {events => 4, fault => {%fault,
                                                        endpoint => 'bulk'}};
    }

    my $t = start(%accounts);

    ok $t->wait_idle(30), 'nothing is left';

    my $accounts = $t->status->{accounts};
    my $recorded = recorded($t);

    for my $name (sort keys %accounts) {
        my ($kind, $status) = $name =~ /^([a-z]+)([0-9]+)/;

        my $n       = $accounts{$name}{events};
        my $means   = $status{$status};
        my $account = $accounts->{$name};
        my $dead    = $kind eq 'single' && $means =~ /refused|too_large/;
        my $arrive  = $means eq 'accepted' || $dead ? 0 : $n;

        is_deeply
            [$account->{replies}{$means}, $account->{delivered},
             $account->{dead}, $account->{lost},
             scalar @{ came($recorded, $name) }],
            [$accounts{$name}{fault}{times}, $dead ? 0 : $n, $dead ? 1 : 0, 0,
             $arrive],
            "$kind $status: $means";
    }

    is $t->sandbox->stats->{repeats}, 0, 'what was not recorded came once';
    $t->stop;
};


# 429 with each of these.  A pause is at least a second, so that clocks may
# differ, and an hour at most, so that no typing error stops an account.

subtest 'Retry-After' => sub {
    my $past   = 'Thu, 01 Jan 2015 00:00:00 GMT';
    my @soon   = (undef, '', '0', '-1', '-5', '-1000000000', 'soon', '1.', '.5',
                  '1.5.5',                   '1e9', '0x10', '1 2', '1;', 'ten seconds', "\x{e9}",
                  'Mon, 99 Foo 2026 99:99:99 GMT', '2026-13-45', $past,
                  'x' x 3000);
    my @later  = ('2', '002', '1.5', '2.0', {date => 4});
    my @hour   = ('1000000000', '3601', '99999999999999999999', '9' x 200,
                  'Fri, 31 Dec 9999 23:59:59 GMT', {date => 86_400});
    my @values = (@soon, @later, @hour);

    my %accounts = map { ("value$_" => {fault => {
        kind => 'status', status => 429,
        defined $values[$_] ? (retry_after => $values[$_]) : (),
    }}) } 0 .. $#values;

    # 503 may say it too: never longer than `retry max`

    $accounts{away} = {fault => {kind => 'status', status => 503,
                                 retry_after => '1000000000'}};

    my $began = time;
    my $t     = start(%accounts);
    my @name  = map {
        !defined $_ ? 'absent' : ref $_ ? "a date in $_->{date} s"
        : length $_ > 40 ? substr($_, 0, 10) . '...' : "\"$_\""
    } @values;

    my $arrived = sub {
        my ($recorded, @n) = @_;
        return !grep { !$recorded->{"value$_-1"} } @n;
    };

    ok wait_for(15, sub { $arrived->(recorded($t), 0 .. @soon + @later - 1) }),
        'all that can go on go on';

    my $recorded = recorded($t);
    my %received = map { $_->{unique_id} => $_->{received} }
        @{ $t->sandbox->events };

    for my $n (0 .. $#values) {
        my $id = "value$n-1";

        if ($n < @soon) {
            cmp_ok(($received{$id} // 0) - $began, '<', slow(8),
                "$name[$n]: soon");

        } elsif ($n < @soon + @later) {
            cmp_ok(($received{$id} // 0) - $began, '>=', 2,
                "$name[$n]: not before that time");

        } else {
            my $pause = $t->account("value$n")->{delivery}{paused_for};

            ok !$recorded->{$id}, "$name[$n]: not now";
            cmp_ok $pause, '<=', 3600, "$name[$n]: for an hour";
            cmp_ok $pause, '>', 3500, "$name[$n]: no less";
            is $t->account("value$n")->{queued}, 1, "$name[$n]: kept";
        }
    }

    ok wait_for(5, sub { recorded($t)->{'away-1'} }),
        '503: no longer than the longest retry';
    is $t->sandbox->stats->{repeats}, 0, 'none came twice';
    $t->stop;
};


# The connection ends, by FIN or RST, at each of these points of the answer;
# the events may have been recorded by then.  A head that came whole is an
# answer, whatever its body does.

subtest 'the connection breaks' => sub {
    my %bytes = (
        nothing => '',
        line    => 'HTTP/1.1 2',
        head    => "HTTP/1.1 202 Accepted\r\nContent-Type: text/html\r\nCon",
        body    => "HTTP/1.1 202 Accepted\r\nContent-Length: 900\r\n\r\nabc",
        chunk   => "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n"
                   . "\r\nff\r\nabc",
        passing => "HTTP/1.1 503 Later\r\nContent-Length: 900\r\n\r\nabc",
    );
    my %accounts;

    for my $point (sort keys %bytes) {
        for my $end (qw(fin rst)) {
            for my $done (0, 1) {
                for my $n (1, 3) {
                    $accounts{"$point-$end-$done-$n"} = {events => $n,
                        fault => {kind => 'raw', bytes => $bytes{$point},
                                  process => $done, after => 0.05,
                                  reset => $end eq 'rst' ? 1 : 0}};
                }
            }
        }
    }

    my $t = start(%accounts);

    ok $t->wait_idle(30), 'nothing is left';

    my $accounts = $t->status->{accounts};
    my $recorded = recorded($t);

    for my $name (sort keys %accounts) {
        my ($point, $end, $done, $n) = split /-/, $name;

        # accepted, though it may not be: that is Klaviyo's word

        my $heard = $point =~ /body|chunk/;
        my $times = $heard ? $done : $done + 1;
        my $lost  = $heard && !$done;

        is_deeply
            [@{ $accounts->{$name} }{qw(delivered dead lost)},
             @{ came($recorded, $name) }],
            [$n, 0, 0, $lost ? () : ($times) x $n],
            "$name: " . ($lost ? 'Klaviyo said that it has it'
                               : "recorded once, came $times times");
    }

    $t->stop;
};


subtest 'an answer in drips' => sub {
    my $answer = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    my %fault  = (kind => 'raw', bytes => $answer, process => 1);
    my $t      = start(
        patient   => {events => 3, lines => 'timeout total=10s;',
                      fault => {%fault, drip => 0.03}},
        impatient => {events => 3, lines => 'timeout connect=1s total=1s;',
                      fault => {%fault, drip => 0.5}},
    );

    ok $t->wait_idle(20), 'nothing is left';

    my $recorded = recorded($t);

    is_deeply came($recorded, 'patient'), [1, 1, 1], 'waited for';
    is_deeply came($recorded, 'impatient'), [2, 2, 2],
        'not waited for: sent again, recorded once';
    is $t->account('impatient')->{replies}{none}, 1, 'that was no answer';
    $t->stop;
};


# the longest that a visitor waited while this takes its time
sub slowest {
    my ($t, $until) = @_;

    my $client  = $t->client;
    my $slowest = 0;

    wait_for(20, sub {
        my $began = time;

        $client->get('/plain');
        $slowest = time - $began if time - $began > $slowest;

        return $until->();
    }) or return 99;

    return $slowest;
}


my $server = q{
    location = /plain { return 200 "plain\n"; }
    location / {
        klaviyo_event "Viewed Page" {
            unique_id $arg_id;
        }
        return 200 "page\n";
    }
};

sub ask {
    my ($t, @ids) = @_;

    my $client = $t->client;

    $client->get("/?id=$_&email=v\@shop.test") for @ids;

    return;
}


subtest 'TLS that is none' => sub {
    my $t = Klaviyo::Test->new(
        front   => {http2 => 0, server => 'keepalive_timeout 0;'},
        sandbox => {limits => 'off'},
        http    => 'klaviyo_profile email $arg_email;',
        server  => $server);

    my $relay = Klaviyo::Test::Relay->start(to => $t->{front}{port});

    $t->set(account => 'endpoint https://localhost:' . $relay->port . ';'
        . 'timeout connect=300ms total=1s; retry min=20ms max=100ms;');
    $t->start;

    my $n    = 0;
    my $none = 0;

    # a whole handshake and answer is some 1,500 bytes

    for my $mode (qw(plain garbage close reset refuse silent),
                  'cut 3', 'cut 100', 'cut 600', 'cut 900')
    {
        $relay->mode($mode);
        ask($t, "$mode-1" =~ tr/ /_/r, "$mode-2" =~ tr/ /_/r);
        $n += 2;

        cmp_ok slowest($t, sub {
            ($t->account->{replies}{none} // 0) > $none
        }), '<', slow(0.5), "$mode: no answer, and nobody waits for it";

        $relay->mode('pass');
        ok $t->sandbox->wait_events($n, 10), "$mode: then delivered";
        ok $t->wait_idle, "$mode: nothing is left";
        $none = $t->account->{replies}{none};
    }

    my $account = $t->account;

    is $account->{delivered}, $n, 'all are delivered';
    is $account->{dead} + $account->{lost}, 0, 'none is dead or lost';
    is scalar keys %{ recorded($t) }, $n, 'each is recorded once';
    ok $t->log !~ /stale global SSL error/, 'no error is left for others';
    $t->stop;
};


# A firewall that forgets a connection does not say so.  One of HTTP/2 takes
# many requests, and libcurl keeps it though one after another has no answer.

subtest 'a connection that is dead' => sub {
    my $t = Klaviyo::Test->new(front => 1,
        http   => 'klaviyo_profile email $arg_email;',
        server => $server);

    my $relay = Klaviyo::Test::Relay->start(to => $t->{front}{port});

    $t->set(account => 'endpoint https://localhost:' . $relay->port . ';'
        . 'timeout total=' . slow(2) . 's; retry min=20ms max=100ms;');
    $t->start;

    ask($t, 1);
    ok $t->wait_events(1), 'an event';
    is $relay->connections, 1, 'a connection';

    $relay->forget;
    ask($t, 2 .. 4);
    ok $t->sandbox->wait_events(4, slow(10)), 'the next ones go by another';
    ok $t->wait_idle, 'nothing is left';
    is $relay->connections, 2, 'which is kept';
    is $t->account->{replies}{none}, 1, 'the time was over once';
    $t->stop;
};


subtest 'another authority' => sub {
    my $t = Klaviyo::Test->new(
        front  => 1,
        http   => 'klaviyo_profile email $arg_email;',
        server => $server,
        account => 'ssl_trusted_certificate %%DIR%%/other/ca.crt;'
            . 'retry min=20ms max=100ms;');

    Klaviyo::Test::Certificates->new($t->dir . '/other');
    $t->start;

    ask($t, 1 .. 3);
    ok wait_for(10, sub { $t->account->{replies}{none} > 2 }), 'not trusted';
    is scalar @{ $t->sandbox->requests }, 0, 'nothing was sent';
    is $t->account->{queued}, 3, 'all are kept';

    $t->set(account => 'retry min=20ms max=100ms;');
    ok $t->reload(gone => 10), 'the right one, by a reload';
    ok $t->wait_events(3), 'delivered';
    ok $t->wait_idle, 'nothing is left';
    $t->stop;
};


# a real resolver asks a name server of ours

subtest 'name servers' => sub {
    my $shim = Klaviyo::Test::Shim->new;
    my $dns  = Klaviyo::Test::Shim::Dns->start;

    $shim->dns($dns->port);

    my $t = Klaviyo::Test->new(
        front  => {names => ['DNS:a.klaviyo.test'], host => 'a.klaviyo.test'},
        env    => $shim->env,
        http   => 'klaviyo_profile email $arg_email;',
        server => $server,
        account => 'timeout connect=300ms total=600ms;'
            . 'retry min=20ms max=200ms;');

    $t->start;

    for my $mode (qw(silent servfail nxdomain)) {
        my $none  = $t->account->{replies}{none};
        my $asked = $dns->questions;

        $dns->mode($mode);
        ask($t, "$mode-1", "$mode-2");
        cmp_ok slowest($t, sub {
            ($t->account->{replies}{none} // 0) > $none + 2
        }), '<', slow(0.5), "$mode: no answer, and nobody waits for it";
        cmp_ok $dns->questions, '>', $asked, "$mode: it was asked";
    }

    $dns->mode('silent');

    my $began = time;

    ok $t->reload(gone => 10), 'a reload';
    cmp_ok time - $began, '<', slow(5), 'does not wait for names';
    is $t->account->{queued}, 6, 'all are kept';

    # newer versions of libcurl remember for a while that there was no answer

    $dns->mode('answer');
    ok $t->sandbox->wait_events(6, 60), 'delivered when names have addresses';
    ok $t->wait_idle, 'nothing is left';
    is $t->account->{dead} + $t->account->{lost}, 0, 'none is dead or lost';

    # and at the end it is silent again

    $dns->mode('silent');
    ask($t, 'last');
    $t->stop;
};


done_testing;

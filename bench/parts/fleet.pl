#!/usr/bin/perl

# 10. Fleet: what sharing by a Redis costs, and how soon what.
#
#   mover      a full queue that is added to Redis: processor per event of who
#              adds it, and of Redis
#   delivered  a full queue that is delivered without rate limits by one host:
#              processor per event without a fleet, with shared limits, with a
#              shared queue; and Redis's
#   requests   requests a second of a tracked page without and with a fleet
#   hung       latency while Redis hangs (SIGSTOP), beside one that is well
#   takeover   seconds until another one delivers: after a killed worker, an
#              orderly stop, a killed host
#   together   20 nginx with 250 events a second in all, and Klaviyo's windows:
#              requests a minute, answers of 429, time from capture to recorded
#
# Redis, the sink and the sandbox are on the other processor; all nginx of
# `takeover` and `together` share ours.  Named as arguments, these alone, and
# nothing is saved.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use POSIX       ();
use Time::HiRes qw(sleep time);

use Bench;
use Bench::Config qw(config account);
use Bench::Queue;
use Klaviyo::Test::Client;
use Klaviyo::Test::Process qw(
    children free_port read_file running run wait_for write_file
);
use Klaviyo::Test::Redis;
use Klaviyo::Test::Sandbox;

use constant {
    RING        => 512,        # MB, of a full queue
    CONNECTIONS => 50,
    PACE        => 20,         # ms between two requests of a connection
    HOSTS       => 20,
    RATE        => 250,        # events a second, of all of them
};

my $bench = Bench->new;
my $sink  = $bench->sink;
my $redis = Klaviyo::Test::Redis->start;
my $key   = 'klaviyo:{shop}';
my %result;

run('taskset', '-apc', $bench->{them}, $redis->pid);

mkdir "$bench->{dir}/site", 0755;
write_file("$bench->{dir}/site/page.html", 'x' x 4096, 0644);

my @modes = ('', 'share=limits', 'share=queue size=1g');

my @parts = (
    mover     => \&mover,
    delivered => \&delivered,
    requests  => \&requests,
    hung      => \&hung,
    takeover  => \&takeover,
    together  => \&together,
);

while (my ($name, $code) = splice @parts, 0, 2) {
    $code->() if !@ARGV || grep { $_ eq $name } @ARGV;
}

$bench->save(fleet => \%result) if !@ARGV;


# fleet (settings, '': none), module; the rest as Bench::Config has it
sub start {
    my (%option) = @_;

    my $module = $option{module} // $bench->{module};
    my $fleet  = $module =~ s/_klaviyo_module/_klaviyo_fleet_module/r;
    my $share  = $option{fleet} ne '';

    local $bench->{module} = $module;

    my $port   = free_port();
    my $status = free_port();

    my $account = account($bench, sink => $sink, %option,
        more => ($option{more} // '')
            . ($share ? " fleet main $option{fleet};" : ''));

    $account = 'klaviyo_fleet main { server ' . $redis->url . "; }\n$account"
        if $share;

    my $nginx = $bench->nginx(ports => [$port, $status],
        patience => 60,
        expect   => qr/exited on signal 9/,
        config   => config($bench, $option{variant} // 'ten',
            port => $port, status => $status, sink => $sink, %option,
            account => $account,
            main    => $share ? "load_module $fleet;" : ''));

    @{$nginx}{qw(port status)} = ($port, $status);

    return $nginx;
}


sub shop {
    my ($nginx, $name) = @_;

    return $bench->get_json($nginx->{status}, '/klaviyo_status')
        ->{accounts}{$name // 'shop'};
}


# of the shared queue, as Redis has it
sub figure {
    my ($name) = @_;

    return $redis->cli('HGET', "$key:state:events", $name) || 0;
}


# nothing of before
sub clean {
    $redis->cli('FLUSHALL');
    unlink glob "$bench->{memory}/*";
    $bench->sink_reset($sink);

    return;
}


sub unlimited { return "$bench->{objs}/bench/module/ngx_http_klaviyo_module.so" }


# nobody takes anything while it is filled -> bytes of an event
sub fill {
    my ($n) = @_;

    kill 'STOP', $redis->pid, $sink->{pid};

    return Bench::Queue::fill($bench, RING, $n, 0, 1);
}


sub go_on { kill 'CONT', $redis->pid, $sink->{pid}; return }


sub mover {
    my $n     = $bench->less(300_000, 20_000);
    my $nginx = start(fleet => 'size=1g deliver=off', size => RING . 'm');
    my $bytes = fill($n);

    my $ours   = $bench->cpu($nginx->{worker});
    my $theirs = $bench->cpu($redis->pid);
    my $begin  = time;

    go_on();

    wait_for(120, sub { figure('accepted') >= $n }, 0.25)
        // die 'fleet: ' . figure('accepted') . " of $n events were added\n";

    my $took = time - $begin;

    $result{mover} = {
        events            => $n,
        event_bytes       => $bytes,
        cpu_us            => 1e6 * ($bench->cpu($nginx->{worker}) - $ours) / $n,
        redis_us          => 1e6 * ($bench->cpu($redis->pid) - $theirs) / $n,
        bytes             => figure('bytes') / $n,
        events_per_second => $n / $took,
    };

    $bench->stop($nginx);
    clean();

    $bench->say_on(sprintf 'fleet: %.2f us an event to add it, Redis %.2f us,'
        . ' %.0f bytes; %.0f events/s', @{ $result{mover} }
        {qw(cpu_us redis_us bytes events_per_second)});

    return;
}


sub delivered {
    my $n = $bench->less(300_000, 20_000);

    for my $mode (@modes) {
        my $nginx = start(module => unlimited(), fleet => $mode,
            size => RING . 'm', variant => 'bare');

        fill($n);

        my $ours   = $bench->cpu($nginx->{worker});
        my $theirs = $bench->cpu($redis->pid);

        go_on();

        wait_for(240, sub { (shop($nginx)->{queued} // 1) == 0 }, 0.2)
            // die 'fleet: the queue was not drained: ' . ($mode || 'none')
            . "\n" . read_file("$nginx->{folder}/error.log");

        my $stats = $bench->sink_stats($sink);

        die "fleet: $stats->{events} events came, not $n\n"
            if $stats->{events} < $n;

        my ($name) = split / /, $mode || 'none';

        $result{delivered}{$name} = {
            cpu_us   => 1e6 * ($bench->cpu($nginx->{worker}) - $ours) / $n,
            redis_us => 1e6 * ($bench->cpu($redis->pid) - $theirs) / $n,
            events_per_second => $n / $stats->{seconds},
        };

        $bench->stop($nginx);
        clean();
        $bench->say_on(sprintf 'fleet: delivered, %s: %.2f us an event,'
            . ' Redis %.2f us', $name,
            @{ $result{delivered}{$name} }{qw(cpu_us redis_us)});
    }

    return;
}


sub requests {
    my $rounds = $bench->less(7, 1);
    my %slices;

    for my $round (1 .. $rounds) {
        for my $mode (@modes) {
            my $nginx = start(fleet => $mode, size => '256m',
                more => 'rate share=30%;');

            $bench->warm_up($nginx->{port});

            my $cpu = $bench->cpu($nginx->{worker});
            my $run = $bench->wrk(port => $nginx->{port},
                seconds => $bench->less(2, 1));

            $run->{cpu} = ($bench->cpu($nginx->{worker}) - $cpu)
                / $run->{requests};

            push @{ $slices{ (split / /, $mode || 'none')[0] } }, $run;

            $bench->stop($nginx, 'KILL');
            clean();
        }

        $bench->say_on("fleet: requests, round $round of $rounds");
    }

    for my $name (keys %slices) {
        my $of = $slices{$name};

        $result{requests}{$name} = {
            rps    => Bench::median(map { $_->{rps} } @$of),
            cpu_us => 1e6 * Bench::median(map { $_->{cpu} } @$of),
            ratio  => Bench::spread(map {
                $of->[$_]{rps} / $slices{none}[$_]{rps} } 0 .. $#$of),
        };
    }

    return;
}


sub hung {
    my $rounds = $bench->less(9, 1);
    my %slices;

    for my $round (1 .. $rounds) {
        for my $what (qw(healthy hung)) {
            my $nginx = start(fleet => 'share=queue', size => '64m');

            $bench->warm_up($nginx->{port});

            wait_for(15, sub { (shop($nginx)->{handed_over} // 0) >= 100 })
                // die "fleet: nothing was handed over\n";

            $redis->hang if $what eq 'hung';

            my $run = $bench->wrk(port => $nginx->{port},
                seconds => $bench->less(3, 2), connections => CONNECTIONS,
                pace => PACE);

            # it did hang, and did not: a connection is lost after a second

            my $lost = read_file("$nginx->{folder}/error.log") =~ /is away/;

            die "fleet: Redis, $what: " . ($lost ? 'lost' : 'there') . "\n"
                if ($what eq 'hung') != !!$lost;

            $redis->go_on;
            push @{ $slices{$what} }, $run;
            $bench->stop($nginx, 'KILL');
            clean();
        }

        $bench->say_on("fleet: Redis hangs, round $round of $rounds");
    }

    for my $what (qw(p50 p99 p999)) {
        $result{hung}{$what} = {
            (map { my $which = $_; ($which => Bench::median(
                map { $_->{$what} } @{ $slices{$which} })) } qw(healthy hung)),
            ratio => Bench::spread(map {
                $slices{hung}[$_]{$what} / $slices{healthy}[$_]{$what}
            } 0 .. $rounds - 1),
        };
    }

    return;
}


sub takeover {
    my $rounds = $bench->less(5, 1);
    my @host   = map { shopkeeper($_) } 0, 1;
    my %took;

    for my $round (1 .. $rounds) {
        for my $what (qw(worker stop host)) {
            wait_for(30, sub { 1 == grep { leads($_) } @host })
                // die "fleet: nobody delivers\n";

            my ($n)  = grep { leads($host[$_]) } 0, 1;
            my $told = told(@host);
            my $t    = $host[$n];
            my @gone = $what eq 'worker' ? (worker($t))
                : ($t->{pid}, keys %{ { children($t->{pid}) } });

            my $begin = time;

            if ($what eq 'stop') {
                kill 'QUIT', $t->{pid};

            } else {
                kill 'STOP', $t->{pid} if $what eq 'host';
                kill 'KILL', @gone;
            }

            wait_for(30, sub { told(@host) > $told }, 0.005)
                // die "fleet: nobody took over\n";

            push @{ $took{$what} }, time - $begin;

            if ($what ne 'worker') {
                $bench->stop($t);
                $host[$n] = shopkeeper($n);
            }
        }

        $bench->say_on("fleet: take-over, round $round of $rounds");
    }

    $bench->stop($_) for @host;
    clean();

    $result{takeover} = {map { $_ => Bench::spread(@{ $took{$_} }) }
        keys %took};
    $result{takeover}{$_}{most} = (sort { $a <=> $b } @{ $took{$_} })[-1]
        for keys %took;

    $bench->say_on(sprintf 'fleet: taken over after %.1f s at most (worker),'
        . ' %.1f s (stop), %.1f s (host)',
        map { $result{takeover}{$_}{most} } qw(worker stop host));

    return;
}


sub shopkeeper {
    my ($n) = @_;

    return start(fleet => 'share=queue', size => '8m', queue => "shop$n",
        workers => 2, log => 'notice');
}


sub leads { return shop($_[0], 'shop/fleet')->{fleet}{leads} }


# lines that say who delivers for the fleet, and which worker said the last one
sub said {
    my ($nginx) = @_;

    return read_file("$nginx->{folder}/error.log")
        =~ /\] (\d+)#\S+ klaviyo account "shop\/fleet": this host delivers for/g;
}


sub told   { return scalar map { said($_) } @_ }
sub worker { return (said($_[0]))[-1] }


sub together {
    my $hosts   = $bench->less(HOSTS, 4);
    my $seconds = $bench->less(90, 5);
    my $keep    = 2 * RATE * $seconds;
    my $sandbox = Klaviyo::Test::Sandbox->start(keep => $keep,
        keys => [Bench::KEY . ':shop'], stderr => "$bench->{dir}/stderr.log");

    run('taskset', '-apc', $bench->{them}, $sandbox->pid);

    my @host = map { start(fleet => 'share=queue', size => '8m',
        queue => "shop$_", endpoint => $sandbox->url, location =>
        'klaviyo_event "Viewed Page" { property At $msec number; }'
        . ' return 200 "page\n";') } 1 .. $hosts;

    wait_for(30, sub { 1 == grep { leads($_) } @host })
        // die "fleet: nobody delivers for all\n";

    my $load = load($seconds, map { $_->{port} } @host);

    waitpid $load, 0;

    die "fleet: the load failed\n" if $?;

    wait_for(60, sub { !grep { shop($_)->{queued} } @host })
        // die "fleet: events are left\n";

    my $captured = 0;

    $captured += shop($_)->{captured} for @host;

    my $stats  = $sandbox->stats;
    my $bulk   = $stats->{limits}{shop}{bulk};
    my $single = $stats->{limits}{shop}{single};
    my @late   = sort { $a <=> $b }
        map { $_->{received} - $_->{properties}{At} } @{ $sandbox->events };

    die "fleet: $captured were captured, " . @late . " recorded\n"
        if @late != $captured;

    # of a minute, or what of it there was

    my $minute = $seconds < 60 ? $seconds : 60;
    my $n      = $bulk->{steady}{peak} + $single->{steady}{peak};

    $result{together} = {
        hosts             => $hosts,
        seconds           => $seconds,
        events_per_second => $captured / $seconds,
        requests_a_minute => $n * 60 / $minute,
        throttled         => $bulk->{throttled} + $single->{throttled},
        map { $_->[0] => $late[$_->[1] * $#late] }
            ['p50', 0.5], ['p99', 0.99], ['most', 1],
    };

    $bench->say_on(sprintf 'fleet: %d hosts: %.0f requests a minute, %d'
        . ' answers of 429, p50 %.2f s', $hosts, @{ $result{together} }
        {qw(requests_a_minute throttled p50)});

    $bench->stop($_) for @host;
    clean();

    return;
}


# RATE requests a second, one host after the other; -> who sends them
sub load {
    my ($seconds, @port) = @_;

    my $pid = fork() // die "fork() failed: $!\n";

    return $pid if $pid;

    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
    run('taskset', '-apc', $bench->{them}, $$);

    my @client = map { Klaviyo::Test::Client->new(port => $_) } @port;
    my $begin  = time;
    my $failed = 0;

    for my $i (0 .. $seconds * RATE - 1) {
        my $early = $begin + $i / RATE - time;

        sleep $early if $early > 0;

        my $client = $client[$i % @client];

        $failed++ if $client->get(Bench::PATH, Bench::HEADERS)->status != 200;
    }

    POSIX::_exit($failed ? 1 : 0);
}

#!/usr/bin/perl

# 4. Delivery: what one worker drains of a full queue, what that costs, and
# the same events by Klaviyo's own SDK for Node.
#
#   memory     the worker's own, beside the ring, as the queue grows
#   drain      events a second without rate limits (the module is built with
#              limits a thousand times as high for this, objs/bench/module)
#   ceiling    the share of a processor while events go at the rate that
#              Klaviyo allows, for a minute
#   sdk        `createEvent` and `bulkCreateEvents` of klaviyo-api, to the same
#              sink, with connections kept alive
#
# The sink is on the other processor.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Mojo::JSON  qw(decode_json);
use Time::HiRes qw(sleep time);

use Bench;
use Bench::Config;
use Bench::Queue;
use Klaviyo::Test::Process qw(run free_port wait_for read_file);

my $bench  = Bench->new;
my $sink   = $bench->sink;
my $events = $bench->less(1_000_000, 50_000);
my $ring   = $bench->less(1024, 64);

my %result = (events => $events);

drain();
ceiling();
sdk();

$bench->save(delivery => \%result);


# an nginx with nothing to do but deliver
sub start {
    my (%option) = @_;

    local $bench->{module} = $option{module} // $bench->{module};

    my $port   = free_port();
    my $status = free_port();

    my $nginx = $bench->nginx(ports => [$port, $status],
        config => Bench::Config::config($bench, 'bare', port => $port,
            status => $status, sink => $sink, size => "${ring}m", %option));

    $nginx->{status} = $status;

    return $nginx;
}


sub figures {
    my ($nginx) = @_;

    return $bench->get_json($nginx->{status}, '/klaviyo_status')
        ->{accounts}{shop};
}


# Klaviyo refuses connections while the queue grows; then it is there
sub drain {
    my $nginx = start(
        module   => "$bench->{objs}/bench/module/ngx_http_klaviyo_module.so",
        more     => 'retry min=100ms max=500ms;',
        endpoint => "http://127.0.0.1:$sink->{ports}{unavailable}",
    );

    my @memory;
    my $steps = 4;

    for my $step (0 .. $steps) {
        $result{event_bytes} = Bench::Queue::fill($bench, $ring,
            $events / $steps) if $step;

        # time to read ahead, and to fail

        sleep 1.5;

        push @memory, {queued => figures($nginx)->{queued},
            own_kb => $bench->memory($nginx->{worker}, 'RssAnon')};
    }

    $result{memory} = \@memory;

    # the same queue, with a Klaviyo that takes everything

    $bench->stop($nginx);
    $bench->sink_reset($sink);

    $nginx = start(
        module => "$bench->{objs}/bench/module/ngx_http_klaviyo_module.so");

    my $worker = $nginx->{worker};
    my $cpu    = $bench->cpu($worker);

    wait_for($bench->less(120, 30), sub { figures($nginx)->{queued} == 0 },
        0.05) // die "the queue was not drained\n";

    $cpu = $bench->cpu($worker) - $cpu;

    my $stats = $bench->sink_stats($sink);

    die "$stats->{events} events came, not $events\n"
        if $stats->{events} != $events;

    $result{drain} = {
        events_per_second => $events / $stats->{seconds},
        cpu_per_million   => $cpu * 1e6 / $events,
        busy              => $cpu / $stats->{seconds},
        own_kb            => $bench->memory($worker, 'RssAnon'),
    };

    finish($nginx);
    $bench->say_on(sprintf 'delivery: %.0f events/s',
        $result{drain}{events_per_second});

    return;
}


sub ceiling {
    my $seconds = $bench->less(60, 5);
    my $need    = $bench->less(200_000, 50_000);
    my $nginx   = start(size => '256m');

    # what an idle nginx with the module costs

    sleep 1;
    my $cpu = $bench->cpu($nginx->{worker});
    sleep $bench->less(5, 1);
    my $idle = ($bench->cpu($nginx->{worker}) - $cpu) / $bench->less(5, 1);

    # all at once: Klaviyo's windows decide when they go

    Bench::Queue::fill($bench, 256, $need);

    $cpu = $bench->cpu($nginx->{worker});
    my $before = figures($nginx)->{delivered};

    sleep $seconds;

    my $used = $bench->cpu($nginx->{worker}) - $cpu;
    my $sent = figures($nginx)->{delivered} - $before;

    $result{ceiling} = {
        seconds           => $seconds,
        events_per_second => $sent / $seconds,
        share             => $used / $seconds,
        idle_share        => $idle,
    };

    finish($nginx);
    $bench->say_on(sprintf 'delivery: %.2f %% of a processor at %.0f events/s',
        100 * $used / $seconds, $sent / $seconds);

    return;
}


sub finish {
    my ($nginx) = @_;

    $bench->stop($nginx);
    unlink glob "$bench->{memory}/*";

    return;
}


sub sdk {
    my $folder = $bench->program('node');

    if (!-d "$folder/node_modules/klaviyo-api") {
        $bench->say_on('delivery: without the SDK (npm install klaviyo-api)');
        return;
    }

    for my $mode (qw(single bulk)) {
        my $n = $mode eq 'bulk' ? $bench->less(100_000, 5_000)
                                : $bench->less(20_000, 1_000);

        my ($code, $output) = run('taskset', '-c', $bench->{us}, 'node',
            "$FindBin::Bin/../peers/sdk.js", $folder,
            "http://127.0.0.1:$sink->{ports}{ok}", $mode, $n);
        my ($json) = $output =~ /^(\{.*\})$/m;

        die "the SDK failed:\n$output\n" if $code || !defined $json;

        $result{sdk}{$mode} = decode_json($json);
        $bench->say_on(sprintf 'delivery: SDK, %s: %.0f events/s', $mode,
            $result{sdk}{$mode}{events_per_second});
    }

    return;
}

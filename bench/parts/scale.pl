#!/usr/bin/perl

# 9. How the cost grows: 2,000 server blocks (`nginx -t`, memory), 200 accounts
# (a worker that has nothing to do), a queue of ten million events (its start,
# `klaviyo-queue stat`, and emptying it).  EVENTS=n: so many.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Time::HiRes qw(sleep time);

use Bench;
use Bench::Config;
use Klaviyo::Test::Process qw(run free_port wait_for write_file);

use constant {
    RECORD => 1024,                # bytes of the queue for an event, at most
    IDLE   => 10,                  # seconds
};

my $bench    = Bench->new;
my $servers  = $bench->less(2000, 50);
my $accounts = $bench->less(200, 5);
my $events   = $ENV{EVENTS} // $bench->less(10_000_000, 10_000);

print "what | measured\n--- | --:\n";

servers();
accounts();
queue();


sub row { printf "%s | %s\n", @_; return }


sub config {
    my ($account, $http) = @_;

    return <<"END";
load_module $bench->{module};
$bench->{user}
daemon            off;
worker_processes  1;
error_log         %%DIR%%/error.log warn;
pid               %%DIR%%/nginx.pid;
worker_rlimit_nofile  20000;
events { worker_connections 1024; }
http {
    access_log off;
@{[ Bench::Config::temp_paths() ]}
$account
$http
}
END
}


sub servers {
    my $sink = $bench->sink;

    for my $track ('', 'klaviyo_track "Viewed Page";') {
        my $port = free_port();
        my $http = join '', map { "server { listen 127.0.0.1:$port;"
            . " server_name shop$_.example; location / { $track return 204; }"
            . " location /product/ { $track return 204; } }\n" } 1 .. $servers;

        my $account = Bench::Config::account($bench, sink => $sink,
            size => '64m');
        my $text = config($track ? $account : '',
            "server_names_hash_max_size 8192;\n$http");

        write_file("$bench->{dir}/t.conf", $text =~ s/%%DIR%%/$bench->{dir}/gr);

        my $start = time;
        my ($code, $output) = run($bench->{binary}, '-t', '-p', $bench->{dir},
            '-c', "$bench->{dir}/t.conf");

        die $output if $code;

        my $took  = time - $start;
        my $nginx = $bench->nginx(config => $text, ports => [$port],
            patience => 60);

        row("$servers server blocks" . ($track ? ', tracked' : ', untracked'),
            sprintf '`nginx -t` %.2f s, worker %.1f MB', $took,
            $bench->memory($nginx->{worker}, 'RssAnon') / 1024);

        $bench->stop($nginx);
    }

    unlink glob "$bench->{memory}/*";

    return;
}


sub accounts {
    my $port = free_port();
    my $text = join '', map { <<"END" } 1 .. $accounts;
    klaviyo_account shop$_ {
        api_key_file  $bench->{dir}/key;
        endpoint      http://127.0.0.1:1;
        queue         $bench->{memory}/shop$_.ring size=1m;
        spool         off;
        dead_letter   off;
    }
END
    my $http = "server { listen 127.0.0.1:$port;\n" . join('', map {
        "location /$_/ { klaviyo_track Seen account=shop$_; return 204; }\n"
    } 1 .. $accounts) . "}\n";

    my $start = time;
    my $nginx = $bench->nginx(config => config($text, $http),
        ports => [$port], patience => 120);

    row("$accounts accounts", sprintf 'start %.2f s', time - $start);

    sleep 3;

    my $cpu = $bench->cpu($nginx->{worker});
    sleep IDLE;
    $cpu = $bench->cpu($nginx->{worker}) - $cpu;

    my @open = glob "/proc/$nginx->{worker}/fd/*";

    row("$accounts accounts, idle", sprintf '%.2f %% of a processor, %d'
        . ' descriptors, worker %.1f MB', 100 * $cpu / IDLE, scalar @open,
        $bench->memory($nginx->{worker}, 'RssAnon') / 1024);

    $bench->stop($nginx);
    unlink glob "$bench->{memory}/*";

    return;
}


# as many as half of the memory holds
sub queue {
    my $free = free();

    $events = int($free / 2 / RECORD) if $events * RECORD > $free / 2;

    my $megabytes = int($events * RECORD / (1 << 20)) + 64;
    my $path      = "$bench->{memory}/shop.ring";
    my $start     = time;

    my ($code, $output) = run($bench->program('queue'), 'fill', $path,
        $megabytes, $events);

    die $output if $code;

    row("$events events", sprintf 'made in %.1f s', time - $start);

    $start = time;
    ($code, $output) = run("$bench->{objs}/klaviyo-queue", 'stat', $path);
    row("$events events", sprintf '`klaviyo-queue stat` %.2f s', time - $start);

    my $sink = $bench->sink;
    my $port = free_port();

    $start = time;

    my $nginx = $bench->nginx(ports => [$port], patience => 120,
        config => config(Bench::Config::account($bench, sink => $sink,
            size => "${megabytes}m", more => 'dry_run on;'),
            "server { listen 127.0.0.1:$port; location / {"
            . ' klaviyo_status json; } }'));

    row("$events events", sprintf 'start %.2f s', time - $start);

    $start = time;

    wait_for(900, sub {
        ($bench->get_json($port, '/')->{accounts}{shop}{queued} // 1) == 0;
    }) // die "the queue was not emptied\n";

    row("$events events", sprintf 'emptied in %.1f s (`dry_run`), worker'
        . ' %.1f MB', time - $start,
        $bench->memory($nginx->{worker}, 'RssAnon') / 1024);

    $bench->stop($nginx);

    return;
}


sub free {
    my ($kb) = do { open my $in, '<', '/proc/meminfo'; local $/; <$in> }
        =~ /^MemAvailable:\s+(\d+) kB/m;

    return 1024 * $kb;
}

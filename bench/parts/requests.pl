#!/usr/bin/perl

# 1. Requests: what it costs a visitor's request that something is done about
# it besides, by the module and by what one would use instead.
#
# One worker of nginx on a processor of its own, wrk on the other, where the
# collector and, for the proxied page, the application run, too.  The variants
# take turns in slices of a few seconds, A B C ... A B C ..., each with an
# nginx started for it, so that nothing of one goes on while another is
# measured; each slice is compared with the untracked one of its round.
#
# The module delivers meanwhile, in the same worker.  At `share=30%` it sends
# 3,000 events/s: what Klaviyo takes in the long run is 2,500/s, while a whole
# share would be 10,000/s in slices as short as these.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Bench;
use Bench::Config qw(config);
use Klaviyo::Test::Process qw(free_port write_file read_file);

# a second run of each, at some 10,000 requests/s: what a worker that has time
# takes; wrk adds what requests would have waited that it could not send

use constant STEADY => 50;         # connections
use constant PACE   => 5;          # ms between two requests of each

my $bench = Bench->new;

my $rounds   = $bench->less(11, 1);
my $seconds  = $bench->less(2, 1);
my @pages    = qw(static proxied);
my @variants = @ARGV ? ('untracked', @ARGV)
    : qw(untracked floor bare ten access_log syslog mirror lua njs);

mkdir "$bench->{dir}/site",  0755;
mkdir "$bench->{dir}/peers", 0755;

write_file("$bench->{dir}/peers/$_",
           read_file("$FindBin::Bin/../peers/$_")) for qw(event.lua event.js);

my $page = ('<p>A page of 4 KB.</p>' . "\n") x 186;
$page = substr $page, 0, 4096;

write_file("$bench->{dir}/site/page.html", $page, 0644);

my $sink = $bench->sink;
my $app  = free_port();

# the application: it costs as little as it can

$bench->nginx(cpu => $bench->{them}, ports => [$app], config => <<"END");
$bench->{user}
daemon            off;
worker_processes  1;
error_log         %%DIR%%/error.log warn;
pid               %%DIR%%/nginx.pid;
events { worker_connections 4096; }
http {
    access_log          off;
    keepalive_requests  100000000;
    default_type        text/html;
@{[ Bench::Config::temp_paths() ]}
    server { listen 127.0.0.1:$app; root $bench->{dir}/site; }
}
END

# what is compared with a log line has its turn in each round, all else in
# every other one

my %often = map { $_ => 1 } qw(untracked floor bare ten access_log);
my %slices;

for my $round (1 .. $rounds) {
    for my $page (@pages) {
        for my $variant (@variants) {
            next if !$often{$variant} && $round % 2 == 0;

            $slices{$page}{$variant}[$round - 1] = slice($page, $variant);
        }
    }

    $bench->say_on("requests: round $round of $rounds");
}

my %result;

for my $page (@pages) {
    for my $variant (@variants) {
        my $of = $slices{$page}{$variant};
        my @in = grep { $of->[$_] } 0 .. $#$of;

        $result{$page}{$variant} = summary([@{$of}[@in]],
            [@{ $slices{$page}{untracked} }[@in]]);
    }
}

$bench->save(requests => {rounds => $rounds, seconds => $seconds,
    order => \@variants, pages => \%result});


sub slice {
    my ($page, $variant) = @_;

    my $port   = free_port();
    my $status = free_port();

    my $ours   = $variant =~ /^(?:untracked|bare|ten)$/;

    my $nginx = $bench->nginx(ports => [$port],
        peer   => $ours ? undef : $variant,
        config => config($bench, $variant, page => $page, port => $port,
            status => $status, app => $app, sink => $sink,
            more => 'rate share=30%;'));

    $bench->warm_up($port);

    my $cpu   = $bench->cpu($nginx->{worker});
    my $usage = $bench->usage($nginx->{worker});
    my $run   = $bench->wrk(port => $port, seconds => $seconds);
    my $after = $bench->usage($nginx->{worker});

    $run->{cpu}  = $bench->cpu($nginx->{worker}) - $cpu;
    $run->{busy} = $run->{cpu} / $run->{seconds};
    $run->{$_}   = $after->{$_} - $usage->{$_} for qw(user system faults);

    if ($often{$variant} && $page eq 'static') {
        my $steady = $bench->wrk(port => $port, seconds => $seconds,
            connections => STEADY, pace => PACE);

        # the batches have had their memory by now

        my $faults = $bench->usage($nginx->{worker})->{faults}
            - $after->{faults};

        $run->{"steady_$_"} = $steady->{$_} for qw(rps p50 p99 p999);
        $run->{steady_faults} = $faults / $steady->{requests};
        $run->{requests_all} = $run->{requests} + $steady->{requests};
    }

    check($run, $bench->get_json($status, '/klaviyo_status')
          ->{accounts}{shop}) if $variant =~ /^(?:bare|ten)$/;

    $bench->stop($nginx);
    unlink glob "$bench->{memory}/*";

    return $run;
}


# every request is an event, none is lost, and some were delivered
sub check {
    my ($run, $account) = @_;

    my $lost = 0;

    $lost += $_ for ref $account->{lost} ? values %{ $account->{lost} }
                                         : $account->{lost};

    my $all = $run->{requests_all} // $run->{requests};

    die "of $all requests $account->{captured} were captured, $lost lost\n"
        if $account->{captured} < $all || $lost;

    $run->{delivered} = $account->{delivered};

    return;
}


sub summary {
    my ($slices, $base) = @_;

    my %summary;

    for my $what (qw(rps p50 p99 p999)) {
        $summary{$what} = {
            value => Bench::median(map { $_->{$what} } @$slices),
            ratio => Bench::spread(map {
                $slices->[$_]{$what} / $base->[$_]{$what}
            } 0 .. $#$slices),
        };
    }

    # of the worker's own time: what the noise of the machine spares

    my @cpu = map { $_->{cpu} / $_->{requests} } @$slices;

    $summary{cpu_us} = {
        value => 1e6 * Bench::median(@cpu),
        ratio => Bench::spread(map {
            $cpu[$_] / ($base->[$_]{cpu} / $base->[$_]{requests})
        } 0 .. $#cpu),
    };

    $summary{busy} = Bench::median(map { $_->{busy} } @$slices);

    for my $what (qw(user system)) {
        $summary{"${what}_us"} = 1e6 * Bench::median(map {
            $_->{$what} / $_->{requests} } @$slices);
    }

    $summary{faults} = Bench::median(map {
        $_->{faults} / $_->{requests} } @$slices);

    if (defined $slices->[0]{steady_p99}) {
        $summary{steady} = {map { my $what = $_;
            $what => Bench::spread(map { $_->{"steady_$what"} } @$slices)
        } qw(rps p50 p99 p999 faults)};
    }

    return \%summary;
}

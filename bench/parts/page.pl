#!/usr/bin/perl

# Reading pages: what klaviyo_page costs.
#
# `cost`: nanoseconds of the processor per KB of the pages of t/pages.t, by
# c/page.c, and the longest time that one piece of a hostile page held it.
# `latency`: a proxied product page of a shop, with an event that says nothing
# of it and with one that page= fills, 400 times a second at random moments.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Bench;
use Bench::Config qw(config);
use Klaviyo::Test::Pages   qw(pages);
use Klaviyo::Test::Process qw(free_port run write_file);
use Mojo::JSON             qw(decode_json);

use constant CONNECTIONS => 16;
use constant PACE        => 40;

my $bench = Bench->new;

my $rounds  = $bench->less(9, 1);
my $seconds = $bench->less(5, 1);

mkdir "$bench->{dir}/$_", 0755 for qw(pages site);

for my $page (pages()) {
    write_file("$bench->{dir}/pages/$page->{name}", $page->{html}, 0644);
    write_file("$bench->{dir}/site/page.html", $page->{html}, 0644)
        if $page->{name} eq 'woocommerce-0';
}

my ($code, $cost) = run('taskset', '-c', $bench->{us},
    $bench->program('page'), "$bench->{dir}/pages",
    $bench->{quick} ? 'quick' : ());

die "page failed: $cost\n" if $code;

my $sink = $bench->sink;
my $app  = free_port();

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

my %slices;

for my $round (1 .. $rounds) {
    push @{ $slices{$_} }, slice($_) for qw(viewed page);

    $bench->say_on("page: round $round of $rounds");
}

my %latency = map {
    my $what = $_;

    $what => {
        without => Bench::median(map { $_->{$what} } @{ $slices{viewed} }),
        with    => Bench::median(map { $_->{$what} } @{ $slices{page} }),
        ratio   => Bench::spread(map {
            $slices{page}[$_]{$what} / $slices{viewed}[$_]{$what}
        } 0 .. $rounds - 1),
    };
} qw(p50 p99 cpu);

$bench->save(page => {rounds => $rounds, seconds => $seconds,
    size => -s "$bench->{dir}/site/page.html", cost => decode_json($cost),
    latency => \%latency});


sub slice {
    my ($variant) = @_;

    my $port   = free_port();
    my $status = free_port();
    my $nginx  = $bench->nginx(ports => [$port],
        config => config($bench, $variant, page => 'proxied', port => $port,
            status => $status, app => $app, sink => $sink,
            more => 'rate share=30%;'));

    $bench->warm_up($port);

    my $cpu = $bench->cpu($nginx->{worker});
    my $run = $bench->wrk(port => $port, seconds => $seconds,
        connections => CONNECTIONS, pace => PACE);

    $run->{cpu} = ($bench->cpu($nginx->{worker}) - $cpu)
        / ($run->{requests} || 1) * 1e6;

    my $account = $bench->get_json($status, '/klaviyo_status')
        ->{accounts}{shop};

    die "$variant: $account->{captured} of $run->{requests} were captured\n"
        if $account->{captured} < $run->{requests};

    $bench->stop($nginx);
    unlink glob "$bench->{memory}/*";

    return $run;
}

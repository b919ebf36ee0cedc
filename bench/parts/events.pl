#!/usr/bin/perl

# 8. Events that differ: one, ten and 400 properties, one to 64 events a
# request, and 10,000 visitors beside the one of all other parts, each with a
# cookie, a User-Agent and a page of its own.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Bench;
use Bench::Config qw(config);
use Klaviyo::Test::Process qw(free_port write_file);

use constant VISITORS => 10_000;

my $bench   = Bench->new;
my $rounds  = $bench->less(5, 1);
my $seconds = $bench->less(2, 1);
my $sink    = $bench->sink;

mkdir "$bench->{dir}/site", 0755;
write_file("$bench->{dir}/site/page.html", 'x' x 4096, 0644);

sub properties {
    my ($n) = @_;

    return 'klaviyo_event "Viewed Page" {'
        . join('', map { "property P$_ \$arg_name;\n" } 1 .. $n) . '}';
}

my @variants = (
    [untracked      => ''],
    ['bare'         => 'klaviyo_track "Viewed Page";'],
    ['1 property'   => properties(1)],
    ['10 properties' => properties(10)],
    ['400 properties, constant but for one' => 'klaviyo_event "Viewed Page" {'
        . join('', map { "property P$_ 'a constant value';\n" } 2 .. 390)
        . 'property P1 $arg_name; }'],
    map({ my $n = $_; ["$n events a request"
        => join '', map { "klaviyo_track \"Event $_\";\n" } 1 .. $n] } 8, 64),
    ['untracked, 10,000 visitors' => '', 1],
    ['bare, 10,000 visitors' => 'klaviyo_track "Viewed Page";', 1],
);

my %runs;

for my $round (1 .. $rounds) {
    for my $variant (@variants) {
        push @{ $runs{ $variant->[0] } }, slice(@$variant);
    }

    $bench->say_on("events: round $round of $rounds");
}

my %result = map { my $runs = $runs{$_}; $_ => {
    rps    => Bench::spread(map { $_->{rps} } @$runs),
    cpu_us => Bench::spread(map { 1e6 * $_->{cpu} / $_->{requests} } @$runs),
    faults => Bench::spread(map { $_->{faults} / $_->{requests} } @$runs),
} } keys %runs;

my @order = map { $_->[0] } @variants;

$bench->save(events => {order => \@order, variants => \%result});

print "what | requests/s | worker's µs | faults a request\n"
    . "--- | --: | --: | --:\n";

for my $name (@order) {
    my $is = $result{$name};

    printf "%s | %.0f | %.1f (%.1f–%.1f) | %.4f\n", $name,
        $is->{rps}{median}, @{ $is->{cpu_us} }{qw(median low high)},
        $is->{faults}{median};
}


sub slice {
    my ($name, $location, $many) = @_;

    my $port   = free_port();
    my $status = free_port();

    my $nginx = $bench->nginx(ports => [$port],
        config => config($bench, 'bare', location => $location, port => $port,
            status => $status, sink => $sink, size => '512m',
            more => 'rate share=30%; dry_run on;'));

    $bench->warm_up($port);

    local $ENV{BENCH_VISITORS} = $many ? VISITORS : 0;

    my $cpu    = $bench->cpu($nginx->{worker});
    my $faults = $bench->usage($nginx->{worker})->{faults};
    my $run    = $bench->wrk(port => $port, seconds => $seconds);

    $run->{cpu}    = $bench->cpu($nginx->{worker}) - $cpu;
    $run->{faults} = $bench->usage($nginx->{worker})->{faults} - $faults;

    $bench->stop($nginx, 'KILL');
    unlink glob "$bench->{memory}/*";

    return $run;
}

#!/usr/bin/perl

# 5. Trouble: how long requests take while something is wrong with Klaviyo, or
# with the spool's disk, beside a run in which everything is well.
#
# 2,500 tracked requests a second on 50 connections at random moments: a load
# at which a worker that stands still for a moment shows, and is not hidden in
# a queue that is always there.  Timeouts and pauses are short, so that each
# slice sees many of them.  The spool writes everything that is unsent within
# 200 ms, in all of them.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use IO::Socket::INET ();

use Bench;
use Bench::Config;
use Klaviyo::Test::Process qw(free_port write_file read_file);
use Klaviyo::Test::Shim;

use constant DISK_MS     => 300;
use constant CONNECTIONS => 50;
use constant PACE        => 20;    # ms between two requests of a connection

my $bench   = Bench->new;
my $rounds  = $bench->less(9, 1);
my $seconds = $bench->less(3, 1);
my $sink    = $bench->sink;
my $dns     = Klaviyo::Test::Shim::Dns->start;
my $shim    = Klaviyo::Test::Shim->new;

$shim->dns($dns->port);

my $url = 'http://127.0.0.1:';

my %trouble = (
    healthy     => {endpoint => $url . $sink->{ports}{ok}},
    hangs       => {endpoint => $url . $sink->{ports}{hang}},
    refuses     => {endpoint => $url . free_port()},
    answers_503 => {endpoint => $url . $sink->{ports}{unavailable}},
    no_dns      => {endpoint => 'https://klaviyo.example',
                    env => $shim->env},
    slow_disk   => {endpoint => $url . $sink->{ports}{hang},
                    env => {LD_PRELOAD => $bench->program('disk_fault.so'),
                            DISK_FAULT_CONTROL => "$bench->{dir}/disk",
                            DISK_FAULT_DIR     => "$bench->{dir}/spool"}},
);

# of t/lib/disk_fault.c, for each kind of call: error, delay in ms, how often,
# hits, a part of the path

my @kinds = qw(open create write sync unlink read);
my %delay = (write => DISK_MS / 10, sync => DISK_MS);
my $fault = 'l l l L a32';

write_file("$bench->{dir}/disk",
    join '', map { pack $fault, 0, $delay{$_} // 0, -1, 0, '' } @kinds);

my @order = qw(healthy hangs refuses answers_503 no_dns slow_disk);

mkdir "$bench->{dir}/site", 0755;
write_file("$bench->{dir}/site/page.html", 'x' x 4096, 0644);

my %slices;

for my $round (1 .. $rounds) {
    push @{ $slices{$_} }, slice($_) for @order;

    $bench->say_on("trouble: round $round of $rounds");
}

my %result;

for my $name (@order) {
    for my $what (qw(p50 p99 p999)) {
        $result{$name}{$what} = {
            value => Bench::median(map { $_->{$what} } @{ $slices{$name} }),
            ratio => Bench::spread(map {
                $slices{$name}[$_]{$what} / $slices{healthy}[$_]{$what}
            } 0 .. $rounds - 1),
        };
    }
}

$bench->save(trouble => {rounds => $rounds, seconds => $seconds,
    order => \@order, rate => 1000 / PACE * CONNECTIONS,
    trouble => \%result});


sub slice {
    my ($name) = @_;

    my $port   = free_port();
    my $status = free_port();
    my $spool  = $bench->folder("$bench->{dir}/spool");

    my $nginx = $bench->nginx(ports => [$port], env => $trouble{$name}{env},
        config => Bench::Config::config($bench, 'ten', port => $port,
            status => $status, sink => $sink, size => '64m',
            endpoint => $trouble{$name}{endpoint},
            spool    => "$spool sync=200ms",
            more     => 'timeout connect=500ms total=500ms;'
                . ' retry min=100ms max=300ms;'));

    $bench->warm_up($port);

    my $run = $bench->wrk(port => $port, seconds => $seconds,
        connections => CONNECTIONS, pace => PACE);

    my $account = $bench->get_json($status, '/klaviyo_status')
        ->{accounts}{shop};

    # what is to go wrong went wrong

    my $well = $account->{delivered} > 0;

    die "$name: $account->{delivered} were delivered\n"
        if $name eq 'healthy' ? !$well : $well;

    die "$name: the disk was not slow\n"
        if $name eq 'slow_disk' && !disk_hits('sync');

    die "$name: $account->{captured} of $run->{requests} were captured\n"
        if $account->{captured} < $run->{requests};

    $bench->stop($nginx, 'KILL');
    unlink glob "$bench->{memory}/* $spool/*";

    return $run;
}


sub disk_hits {
    my ($kind) = @_;

    my $size  = length pack $fault, (0) x 4, '';
    my ($n)   = grep { $kinds[$_] eq $kind } 0 .. $#kinds;
    my @found = unpack $fault,
        substr read_file("$bench->{dir}/disk"), $n * $size, $size;

    return $found[3];
}

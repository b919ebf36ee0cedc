package Bench::Queue;

# The queue of an nginx that runs, from outside (c/queue.c).

use v5.32;
use warnings;

use Klaviyo::Test::Process qw(run);


# appends n events, rate in a second or as it can; random: values differ
# -> how many bytes one has
sub fill {
    my ($bench, $megabytes, $n, $rate, $random) = @_;

    my ($code, $output) = run('taskset', '-c', $bench->{them},
        $bench->program('queue'), 'fill', "$bench->{memory}/shop.ring",
        $megabytes, $n, $rate // 0, $random ? 'random' : ());

    my ($in, $bytes) = $output =~ /^(\d+) events of (\d+) bytes/m;

    die "the queue was not filled:\n$output\n" if $code || $in != $n;

    return $bytes;
}


1;

#!/usr/bin/perl

# The pages of the queue are there in each worker before it writes to them.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(read_file);

use constant SIZE => 8 << 20;

my $t = Klaviyo::Test->new(
    workers => 2,
    server  => 'location / { klaviyo_track "Seen"; return 200 ""; }',
);

$t->start;

# bytes of the queue's mapping that are mapped indeed
sub mapped {
    my ($pid) = @_;

    my $queue = $t->queue;
    my $smaps = read_file("/proc/$pid/smaps");
    my ($rss) = $smaps =~ m{ rw-s .*\Q$queue\E\n(?:[A-Z].*\n)*?Rss:\s+(\d+) kB};

    return 1024 * ($rss // 0);
}

SKIP: {
    my ($major, $minor) = `uname -r` =~ /^(\d+)\.(\d+)/;

    skip 'the kernel makes no pages ahead', 2
        if $major < 5 || ($major == 5 && $minor < 14);

    for my $pid ($t->workers) {
        ok wait_for(30, sub { mapped($pid) >= SIZE }),
            'all of the queue is there: ' . mapped($pid);
    }
}

$t->stop;

done_testing;

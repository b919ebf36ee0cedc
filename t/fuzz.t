#!/usr/bin/perl

# Each fuzzer of t/fuzz, from its seeds, for a moment: enough to see that it
# runs and that what was once found stays mended.  `make fuzz` takes longer.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $root    = "$FindBin::Bin/..";
my $seconds = $ENV{FUZZ_SECONDS} // 3;
my $objs    = $ENV{KLAVIYO_OBJS} // "objs";

my @sources = sort glob("$FindBin::Bin/fuzz/*_fuzz.c");

plan tests => 3 * @sources;

for my $source (@sources) {
    my ($name) = $source =~ m{([^/]+)_fuzz\.c$};

    my $program = "$root/$objs/fuzz/${name}_fuzz";
    my $seeds   = "$FindBin::Bin/fuzz/seeds/$name";
    my $tmp     = tempdir(CLEANUP => 1);

    my @seeds = glob("$seeds/*");

    ok @seeds > 0, "$name: has seeds";

    my $output = `$program -max_total_time=$seconds -max_len=4096 -timeout=5 \\
        -print_final_stats=1 -artifact_prefix=$tmp/ $tmp $seeds 2>&1`;

    is $?, 0, "$name: $seconds s" or diag $output;

    my ($runs) = $output =~ /stat::number_of_executed_units:\s*(\d+)/;

    cmp_ok $runs // 0, '>', @seeds, "$name: ran";
}

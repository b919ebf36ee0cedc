#!/usr/bin/perl

# What a tracked request costs beyond an untracked one, in instructions, has
# not grown by more than 10 % beyond bench/results/instructions.txt, which
# `make bench` writes (bench/parts/instructions.pl alone in a few seconds).

use v5.32;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bench/lib";

use Bench;
use Bench::Instructions;
use Klaviyo::Test::Process qw(read_file);

use constant GROWTH => 1.10;

plan skip_all => 'sanitizers and valgrind do work of their own'
    if ($ENV{KLAVIYO_OBJS} // 'objs') ne 'objs' || $ENV{KLAVIYO_REAL_NGINX};

my $kept = read_file("$FindBin::Bin/../bench/results/instructions.txt");
my ($machine) = $kept =~ /^# (\S+), .* processors,/m;

chomp(my $here = `uname -m`);

plan skip_all => "the kept figures are of $machine, this is $here"
    if ($machine // '') ne $here;

my $count = Bench::Instructions::count(Bench->new, requests => 100);

for my $variant (qw(bare ten)) {
    my ($was) = $kept =~ /^$variant\s+\d+\s+(\d+)$/m;

    my $is = $count->{$variant}{total} - $count->{untracked}{total};

    cmp_ok $is, '>', 1000, "$variant: it was counted";
    cmp_ok $is, '<=', GROWTH * $was,
        sprintf '%s: %.0f instructions, %.0f when they were kept', $variant,
            $is, $was;
}

done_testing;

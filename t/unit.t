#!/usr/bin/perl

# The unit tests of the plain C: each program in objs/unit is a subtest.

use strict;
use warnings;

use FindBin;
use Test::More;

my $objs = $ENV{KLAVIYO_OBJS} // "objs";
my $dir  = "$FindBin::Bin/../$objs/unit";
my $run  = $ENV{KLAVIYO_RUN} // "";     # valgrind, for instance

my @sources = sort glob("$FindBin::Bin/unit/*_test.c");

plan tests => scalar @sources;

for my $source (@sources) {
    my ($name) = $source =~ m{([^/]+)\.c$};

    subtest $name => sub {
        open my $out, '-|', "exec $run $dir/$name 2>&1"
            or return fail("$dir/$name: $!");

        my ($n, $plan) = (0, -1);

        while (my $line = <$out>) {
            chomp $line;

            if ($line =~ /^(not )?ok \d+ - (.*)/) {
                $n++;
                ok(!$1, $2);

            } elsif ($line =~ /^1\.\.(\d+)$/) {
                $plan = $1;

            } else {
                diag($line) if $line !~ /^# (?!  )/;
            }
        }

        close $out;

        is($?, 0, 'exit status');
        is($n, $plan, 'ran to its end');
    };
}

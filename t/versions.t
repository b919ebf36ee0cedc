#!/usr/bin/perl

# What was run on which systems: README.md has the table of t/versions/results
# and no other, and every line of those says what was run.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $record  = "$FindBin::Bin/versions/record";
my $results = "$FindBin::Bin/versions/results";


sub text {
    my ($path) = @_;

    open my $in, '<', $path or die "$path: $!";
    local $/;

    return scalar <$in>;
}


is `$record --print`, `$record`,
    'README.md has the table of t/versions/results';

my ($head, @lines) = split /\n/, text($results);
my @columns = split /\t/, $head;

ok @lines > 2, 'there are results';

for my $line (@lines) {
    my %of;

    @of{@columns} = split /\t/, $line, -1;

    my $name = "$of{kind}: $of{what} on $of{on}";

    like $of{source}, qr/\A[0-9a-f]{10}\z/, "$name: of a source";
    like $of{date}, qr/\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z/, "$name: of a day";
    ok length $of{result}, "$name: a result";
    cmp_ok $of{tests}, '>', 0, "$name: tests were run"
        if $of{kind} ne 'packages' && $of{result} eq 'ok';
}

# a line is set once, and what failed is seen

{
    my $tmp = tempdir(CLEANUP => 1);

    local $ENV{KLAVIYO_RESULTS} = "$tmp/results";

    my @what = ($record, 'kind=module', 'what=nginx 1.2.3', 'on=Debian 12',
                'by=gcc 12.2', 'how=dynamic');

    is system(@what, 'tests=7', 'result=t/track.t failed'), 0, 'recorded';
    like `$record`, qr{\| nginx 1\.2\.3 \|.*\| t/track\.t failed \|},
        'what failed stands in the table';

    is system(@what, 'tests=8', 'result=ok'), 0, 'recorded again';
    is system(@what[0 .. 4], 'how=static', 'tests=8', 'result=ok'), 0,
        'recorded in another way';
    my ($row) = grep { /1\.2\.3/ } split /\n/, `$record`;

    is $row, '| nginx 1.2.3 | Debian 12 | gcc 12.2 | dynamic, static | passed |',
        'a nginx has one row in the table';

    my ($first, @of) = split /\n/, text("$tmp/results");
    is scalar @of, 2, 'a line for each way it was built';

    local $ENV{KLAVIYO_RESULTS} = "$tmp/more";

    is system(@what, 'tests=9', 'result=ok'), 0, 'recorded elsewhere';

    $ENV{KLAVIYO_RESULTS} = "$tmp/results";

    is system($record, '--from', "$tmp/more"), 0, 'and taken from there';
    ($first, @of) = split /\n/, text("$tmp/results");
    is scalar @of, 2, 'a line is the one it was';
    is scalar(grep { /\tdynamic\t9\tok\t/ } @of), 1, 'by what was run last';
    isnt system("$record --from $tmp/none 2>/dev/null"), 0,
        'a file without lines is refused';

    isnt system("$record kind=module sort=1 2>/dev/null"), 0,
        'an unknown column is refused';
}

done_testing;

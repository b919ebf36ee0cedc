#!/usr/bin/perl

# 2. Instructions of a request in user space, into results/instructions.txt.
#
#   instructions.pl           counts, compares with the file, and writes it
#   instructions.pl --print   counts and prints
#
# t/instructions.t fails when the instructions of a tracked request, less
# those of an untracked one, have grown by more than 10 % beyond this file.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Bench;
use Bench::Instructions;
use Bench::Machine;
use Klaviyo::Test::Process qw(write_file);

my $bench = Bench->new;
my $count = Bench::Instructions::count($bench,
    requests => $bench->less(500, 100));

my $text = text($count);

if (@ARGV && $ARGV[0] eq '--print') {
    print $text;
    exit 0;
}

write_file("$FindBin::Bin/../results/instructions.txt", $text)
    if !$bench->{quick};

$bench->save(instructions => {map {
    $_ => {total => $count->{$_}{total},
           beyond => $count->{$_}{total} - $count->{untracked}{total}}
} grep { $count->{$_} } @Bench::Instructions::VARIANTS});


sub text {
    my ($count) = @_;

    my $untracked = $count->{untracked};

    my $text = "# Instructions of one request in user space, by callgrind\n#"
        . " (bench/parts/instructions.pl).  t/instructions.t reads `beyond'.\n"
        . join('', map { "# $_\n" } Bench::Machine::lines($bench)) . "\n"
        . sprintf("%-12s %10s %10s\n", qw(request total beyond));

    for my $variant (grep { $count->{$_} } @Bench::Instructions::VARIANTS) {
        my $total = $count->{$variant}{total};

        $text .= sprintf "%-12s %10.0f %10.0f\n", $variant, $total,
            $total - $untracked->{total};
    }

    for my $variant (qw(bare ten)) {
        my $c = $count->{$variant};

        $text .= "\n\n$variant, beyond an untracked request: where\n\n";

        for my $room (sort keys %{ $c->{room} }) {
            $text .= sprintf "%10.0f  %s\n",
                $c->{room}{$room} - ($untracked->{room}{$room} // 0), $room;
        }

        $text .= "\n$variant, by function: itself, and with what it calls\n\n";

        my %beyond = map {
            $_ => ($c->{self}{$_} // 0) - ($untracked->{self}{$_} // 0)
        } keys %{ $c->{self} };

        for my $function (sort { $beyond{$b} <=> $beyond{$a} || $a cmp $b }
                          keys %beyond)
        {
            next if $beyond{$function} < 10;

            my $with = ($c->{inclusive}{$function} // 0)
                - ($untracked->{inclusive}{$function} // 0);

            $text .= sprintf "%10.0f %10s  %s\n", $beyond{$function},
                $with > 0 && $function =~ /klaviyo/
                    ? sprintf('%.0f', $with) : '', $function;
        }
    }

    return $text;
}

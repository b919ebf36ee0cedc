#!/usr/bin/perl

# A function is declared in the header of the file that defines it, and no two
# files need each other: who reads a file needs those below it only.
#
# ngx_http_klaviyo_module.c, which wires all of them, is named by each.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/../ngx_klaviyo_module";

# What is left of older days: it may only become less.

my %left = (
    capture => { headers => 19, foreign => 80, circle => 22 },
    page    => { headers => 8, foreign => 35, circle => 8 },
);

my %found;

my %text;       # of a file: its code without comments, strings
my %defines;    # of a name with external linkage: its file
my %needs;      # of a .c: other .c whose names it uses

for my $file (glob("$root/*/*.[ch]")) {
    $text{ substr($file, length($root) + 1) } = code($file);
}

my @sources = sort grep { /\.c$/ } keys %text;

ok(@sources > 100, 'the sources are there');

for my $file (@sources) {
    $defines{$_} = $file for functions($text{$file}), objects($text{$file});
}

for my $file (@sources) {
    (my $header = $file) =~ s/c$/h/;

    next if exists $text{$header} || !grep { $_ eq $file } values %defines;

    found('headers', $file, "$file has no header");
}

for my $header (sort grep { /\.h$/ } keys %text) {
    (my $file = $header) =~ s/h$/c/;

    for my $name (sort(declarations($text{$header}))) {
        next if !exists $defines{$name} || $defines{$name} eq $file;
        found('foreign', $header, "$header declares $name, which is in "
                                  . $defines{$name});
    }
}

for my $file (@sources) {
    my %seen;

    for my $name ($text{$file} =~ /\b((?:ngx_http_)?klaviyo_\w+)\b/g) {
        my $other = $defines{$name};
        next if !defined $other || $other eq $file;
        push @{ $needs{$file}{$other} }, $name unless $seen{$name}++;
    }
}

for my $circle (components()) {
    found('circle', $_, "$_ is in a circle") for @$circle;

    for my $file (@$circle) {
        for my $other (@$circle) {
            my $names = $needs{$file}{$other} or next;
            note("$file needs @$names of $other");
        }
    }
}

for my $room (sort keys %{ { map { dirname($_) => 1 } @sources } }) {
    for my $what (qw(headers foreign circle)) {
        my $list = $found{$room}{$what} // [];
        my $max = $left{$room}{$what} // 0;

        ok(@$list <= $max, "$room: $what") or diag(join "\n", @$list);
        diag("lower $what of $room in \%left to " . @$list) if @$list < $max;
    }
}

done_testing();


sub found {
    my ($what, $file, $text) = @_;

    push @{ $found{ dirname($file) }{$what} }, $text;
}

sub code {
    my ($file) = @_;

    open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
    my $text = do { local $/; <$in> };
    close $in;

    $text =~ s{/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'}{ }gs;
    $text =~ s{^\s*#\s*include.*}{}gm;

    return $text;
}

# nginx's style: the type on a line of its own, the name at column 0

sub functions {
    my ($text) = @_;
    my @names;

    while ($text =~ /^([a-z]\w.*)\n(\w+)\([^;{}]*\)\n\{/gm) {
        my ($type, $name) = ($1, $2);
        push @names, $name unless $type =~ /^static\b/;
    }

    return @names;
}

sub objects {
    my ($text) = @_;

    return $text =~ /^(?!static|extern|typedef|return|struct\b)[a-z]\w*
                     [\w\s*]*?[\s*](\w+)(?:\[[^]]*\])*\s*(?:=|;)/gmx;
}

sub declarations {
    my ($text) = @_;
    my @names;

    while ($text =~ /^(?!static|typedef|\#)[a-z][\w\s*]*?[\s*](\w+)
                     \s*(?:\([^{}]*?\)[^{};]*|(?:\[[^]]*\])*);/gmx)
    {
        push @names, $1;
    }

    return @names;
}

# Tarjan's strongly connected components, those of more than one file

sub components {
    my (%index, %low, %on, @stack, @found);
    my $next = 0;
    my $visit;

    $visit = sub {
        my ($file) = @_;

        $index{$file} = $low{$file} = $next++;
        push @stack, $file;
        $on{$file} = 1;

        for my $other (sort keys %{ $needs{$file} // {} }) {
            if (!defined $index{$other}) {
                $visit->($other);
                $low{$file} = $low{$other} if $low{$other} < $low{$file};

            } elsif ($on{$other} && $index{$other} < $low{$file}) {
                $low{$file} = $index{$other};
            }
        }

        if ($low{$file} == $index{$file}) {
            my @circle;

            do {
                push @circle, pop @stack;
                $on{ $circle[-1] } = 0;
            } while ($circle[-1] ne $file);

            push @found, [sort @circle] if @circle > 1;
        }
    };

    for my $file (@sources) {
        $visit->($file) unless defined $index{$file};
    }

    return @found;
}

#!/usr/bin/perl

# A function is declared in the header of the file that defines it, and no two
# files need each other: who reads a file needs those below it only.
#
# The files that wire a module, ngx_http_klaviyo_module.c and
# ngx_http_klaviyo_fleet_module.c, are named by each and are not asked about.

use strict;
use warnings;

use FindBin;
use Test::More;

my $root = "$FindBin::Bin/..";

my %text;       # of a file: its code without comments, strings
my %defines;    # of a name with external linkage: its file
my %needs;      # of a .c: other .c whose names it uses
my @without;
my @foreign;

for my $file (glob("$root/ngx_klaviyo_module/*/*.[ch]"),
              glob("$root/ngx_klaviyo_fleet_module/*.[ch]"))
{
    next if $file =~ /_module\.c$/;
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

    push @without, $file;
}

for my $header (sort grep { /\.h$/ } keys %text) {
    (my $file = $header) =~ s/h$/c/;

    for my $name (sort(declarations($text{$header}))) {
        next if !exists $defines{$name} || $defines{$name} eq $file;
        push @foreign, "$header declares $name, which is in $defines{$name}";
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

is_deeply(\@without, [], 'each file has its header');
is_deeply(\@foreign, [], 'no header declares what is in another file');

my @circles = components();

is_deeply(\@circles, [], 'no files need each other');

for my $circle (@circles) {
    for my $file (@$circle) {
        for my $other (@$circle) {
            my $names = $needs{$file}{$other} or next;
            diag("$file needs @$names of $other");
        }
    }
}

done_testing();


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

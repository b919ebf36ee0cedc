#!/usr/bin/perl

# nginx's formats are not printf's: "%ums" takes an argument that nobody gave.
# Every conversion in our messages is one that ngx_vslprintf() knows, written
# in full.

use strict;
use warnings;

use FindBin;
use Test::More;

my $known = qr/%(?:
    [%ZNVvscp]
  | \*s
  | u?[zidlDLA]
  | 0?\d+d
  | (?:0\d+)?[xX][dDlLi]
  | [OPTMr]
)/x;

my @files = sort(glob("$FindBin::Bin/../ngx_klaviyo_module/*/ngx_*.c"),
                 glob("$FindBin::Bin/../ngx_klaviyo_module/*.c"));
my $calls = 0;

for my $file (@files) {
    my ($name) = $file =~ m{([^/]+)$};

    open my $in, '<', $file or die "$file: $!";
    my $text = do { local $/; <$in> };
    close $in;

    my @wrong;

    while ($text =~ /\b(ngx_(?:log_error|log_debug\d|conf_log_error|
                        sl?n?printf))\s*\(/gx)
    {
        my ($call, $from, $depth) = ($1, pos $text, 1);

        # to the parenthesis that closes the call

        $text =~ /\G(?:"(?:[^"\\]|\\.)*"|[^()"]+)/gc
            || ($text =~ /\G\(/gc && ++$depth)
            || ($text =~ /\G\)/gc && --$depth)
            while $depth;

        my $arguments = substr $text, $from, pos($text) - $from - 1;

        $calls++;

        for my $string ($arguments =~ /"((?:[^"\\]|\\.)*)"/g) {
            while ($string =~ /(%\S{0,5})/g) {
                my $conversion = $1;

                pos($string) -= length($conversion) - 1;

                if ($conversion =~ /^($known)(?![\w])|^(%[%ZNVvsc])|^(%\*s)/) {
                    my $whole = $1 // $2 // $3;
                    pos($string) += length($whole) - 1;
                    next;
                }

                push @wrong, "$call: $conversion";
            }
        }
    }

    is_deeply \@wrong, [], $name;
}

cmp_ok $calls, '>', 50, 'there were messages to check';

done_testing;

#!/usr/bin/perl

# The documents: every link between them leads to a file and a heading that
# are there, and the README is short.

use strict;
use warnings;

use File::Basename qw(dirname);
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/..";

my @documents = (glob("$root/*.md"), glob("$root/docs/*.md"),
                 glob("$root/bench/*.md"));

ok @documents > 5, 'the documents are there';


sub text {
    my ($path) = @_;

    open my $in, '<:encoding(UTF-8)', $path or die "$path: $!";
    local $/;

    return scalar <$in>;
}


# the anchors of a document, as they are made of its headings

sub anchors {
    my ($path) = @_;

    my $text = text($path) =~ s/^```.*?^```$//gmsr;

    return { map { lc($_) =~ s/[^\w -]//gr =~ tr/ /-/r => 1 }
             $text =~ /^#+ (.*)$/mg };
}


for my $path (@documents) {
    my $name = $path =~ s{^\Q$root\E/}{}r;

    for my $link (text($path) =~ /\]\(([^)\s]+)\)/g) {
        next if $link =~ /^\w+:/;

        my ($file, $anchor) = split /#/, $link, 2;
        my $target = $file eq '' ? $path : dirname($path) . "/$file";

        ok -e $target, "$name: $link is there" or next;

        ok anchors($target)->{$anchor}, "$name: $link has its heading"
            if defined $anchor;
    }
}

cmp_ok scalar(() = text("$root/README.md") =~ /\n/g), '<=', 250,
    'README.md: at most 250 lines';

# every directive has its place in the reference and in the README's index

{
    my $reference = anchors("$root/docs/directives.md");
    my $readme    = text("$root/README.md");

    my @names = map { text($_) =~ /^    \{ ngx_string\("(klaviyo_\w+)"\),\n\s+NGX_HTTP/mg }
        glob("$root/ngx_klaviyo_*module/*.c"),
        glob("$root/ngx_klaviyo_module/*/*.c");

    ok @names > 10, 'the directives are found';

    for my $name (@names) {
        ok $reference->{$name}, "docs/directives.md has $name";
        like $readme, qr/`\Q$name\E`/, "README.md has $name";
    }
}

done_testing();

#!/usr/bin/perl

# A hundred pages after what seven shop systems print: our reader sees in them
# what parse5 and libxml2 see, in one piece and byte by byte, and the facts of
# the product are those that the page was made of.

use v5.32;
use warnings;
use utf8;

use FindBin;
use Mojo::JSON qw(decode_json from_json);
use Test::More;

use lib "$FindBin::Bin/lib";

use Klaviyo::Test::Pages   qw(pages);
use Klaviyo::Test::Process qw(run temp_folder write_file);

my $objs   = "$FindBin::Bin/../" . ($ENV{KLAVIYO_OBJS} // 'objs');
my $folder = temp_folder();
my @pages  = pages();

plan skip_all => "no parse5: run make deps"
    if !-d "$FindBin::Bin/../objs/pages/node_modules/parse5";

# the oracles are told the charset that a browser would find out

my $manifest = '';

for my $page (@pages) {
    write_file("$folder/$page->{name}", $page->{html});
    $manifest .= join(' ', $page->{name}, $page->{uri},
        $page->{charset} // '-') . "\n";
}

write_file("$folder/manifest", $manifest);
my $ours = see("$objs/pages/ours", $folder);

write_file("$folder/manifest", join '', map {
    "$_->{name} $_->{uri} $_->{encoding}\n" } @pages);
my $libxml2 = see("$objs/pages/libxml2", $folder);

$ENV{NODE_PATH} = "$FindBin::Bin/../objs/pages/node_modules";
my $parse5 = see('node', "$FindBin::Bin/pages/parse5.js", $folder);

cmp_ok scalar @pages, '>', 100, 'a hundred pages';

for my $page (@pages) {
    subtest $page->{name} => sub { compare($page) };
}

run('rm', '-rf', $folder);
done_testing;


sub see {
    my ($code, $output) = run(@_);

    $code == 0 or die "@_: $output\n";

    return decode_json($output);
}


# blanks are as many as a page's author has typed

sub rows {
    my ($of) = @_;

    return [sort map {
        my ($what, $name, $value) = @$_;

        $value =~ s/\s+/ /g;
        $value =~ s/^ | $//g;

        "$what $name=$value";
    } @{ $of->{seen} }];
}

sub compare {
    my ($page) = @_;

    my $name = $page->{name};
    my $rows = rows($ours->{$name});

    ok $ours->{$name}{same}, 'byte by byte as in one piece';
    is_deeply $rows, rows($parse5->{$name}), 'as parse5'
        or diag explain $rows, rows($parse5->{$name});
    is_deeply $rows, rows($libxml2->{$name}), 'as libxml2';

    my ($product, $facts) = ($page->{product}, $ours->{$name}{facts});

    is $facts->{type}, 'product', 'a product';

    for my $has (@{ $product->{has} }) {
        fact($has, $facts, $product);
    }

    return;
}

sub fact {
    my ($has, $facts, $product) = @_;

    my %fact = (id => 'product_id', list => 'list_price');
    my $got  = $facts->{ $fact{$has} // $has };
    my $want = $product->{$has};

    if ($has eq 'categories') {
        is_deeply from_json($got // '[]'), $want, $has;

    } elsif ($has =~ /^(?:price|list)$/) {
        cmp_ok $got // -1, '==', $want, $has;

    } else {
        is $got, $want, $has;
    }

    return;
}

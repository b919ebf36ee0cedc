package Klaviyo::Test::Browser;

# Visitors in headless Chromium, for t/shops/*.t.
#
#   my ($code, $output) = browse($url, 't/shops/wordpress.js');
#   my @lines = told_events($t);    # "metric path property=value, ..."
#
# playwright-core is where make test-shops puts it: KLAVIYO_SHOPS, or objs/shops.

use v5.32;
use warnings;

use Cwd            qw(abs_path);
use Exporter       qw(import);
use File::Basename qw(dirname);

use Klaviyo::Test::Process qw(run);

our @EXPORT_OK = qw(browse told_events shops_folder);

my $root = abs_path(dirname(__FILE__) . '/../../../..');

# the properties that every event has

my %default = map { $_ => 1 }
    qw(URL Path Method Status UserAgent Referrer utm_source);


sub shops_folder { return $ENV{KLAVIYO_SHOPS} // "$root/objs/shops" }


sub browse {
    my ($url, $journey) = @_;

    local $ENV{NODE_PATH} = shops_folder() . '/node_modules';

    return run('node', "$root/t/shops/browser.js", $url, $journey);
}


# in the order of their time
sub told_events {
    my ($t) = @_;

    return map {
        my $is = $_->{properties};

        "$_->{metric} $is->{Path} " . join ', ', map { "$_=$is->{$_}" }
            grep { !$default{$_} && !ref $is->{$_} } sort keys %$is;
    } sort { $a->{time} cmp $b->{time} } @{ $t->sandbox->events };
}


1;

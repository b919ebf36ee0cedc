#!/usr/bin/perl

# The bots that others know: each User-Agent of the npm package
# crawler-user-agents is one for the module too, but for those that
# t/bots_missed.txt leaves out, with its reasons.

use v5.32;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use Mojo::JSON qw(decode_json);
use Test::More;

use constant PACKAGE => 'crawler-user-agents@1.60.0';

my $tmp  = tempdir(CLEANUP => 1);
my $objs = "$FindBin::Bin/../" . ($ENV{KLAVIYO_OBJS} // 'objs');

my $output = `npm install --silent --no-audit --no-fund --ignore-scripts \\
    --prefix $tmp @{[PACKAGE]} 2>&1`;

is $?, 0, 'npm installed ' . PACKAGE or diag $output;

my $file = "$tmp/node_modules/crawler-user-agents/crawler-user-agents.json";

open my $in, '<:raw', $file or BAIL_OUT("$file: $!");
my $known = decode_json(do { local $/; <$in> });
close $in;

my @agents = map {
    my $pattern = $_->{pattern};
    map { [$pattern, $_ =~ s/[\r\n]/ /gr] } @{ $_->{instances} // [] }
} @$known;

cmp_ok scalar @agents, '>', 2000, 'the User-Agents are there';

open my $out, '>:utf8', "$tmp/agents" or BAIL_OUT("$tmp/agents: $!");
print $out "$_->[1]\n" for @agents;
close $out;

my @bot = split /\n/, `$objs/unit/bots_test agents < $tmp/agents`;

is scalar @bot, scalar @agents, 'each was looked at';

my %missed;

$missed{ $agents[$_][0] }++ for grep { !$bot[$_] } 0 .. $#agents;

open $in, '<:utf8', "$FindBin::Bin/bots_missed.txt" or die $!;
my @listed = grep { length && !/^#/ } map { chomp; $_ } <$in>;
close $in;

is_deeply [sort keys %missed], [sort @listed],
    'those are missed that are missed on purpose';

for my $agent (
    'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via '
        . 'ggpht.com GoogleImageProxy)',
    'Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/534+ (KHTML, like '
        . 'Gecko) BingPreview/1.0b',
    'Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) '
        . 'Chrome/126.0.0.0 Mobile Safari/537.36 googlemessages/20260801',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Kaspersky '
        . 'Lab CFR link resolver cfradmins@kaspersky.com',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) '
        . 'Chrome/126.0.0.0 Safari/537.36 CookieHubScan/2.0',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, '
        . 'like Gecko) Chrome/120.0.0.0 Safari/537.36 OneTrust',
    'Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.1; Trident/6.0) '
        . 'LinkCheck by Siteimprove.com',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, '
        . 'like Gecko) Chrome/120.0.0.0 Safari/537.36 SiteLock',
) {
    open $out, '>:utf8', "$tmp/agent" or die $!;
    print $out "$agent\n";
    close $out;

    is `$objs/unit/bots_test agents < $tmp/agent`, "1\n", "a bot: $agent";
}

done_testing;

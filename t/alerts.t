#!/usr/bin/perl

# What Prometheus is told, by its own tool: the metrics are clean, and each
# alert comes when it should.  Debian's package is "prometheus".

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run);

use FindBin;

my ($promtool) = grep { -x } map { "$_/promtool" } nginx_modules(),
    split /:/, $ENV{PATH};

plan(skip_all => 'promtool is not installed') if !$promtool;

my $folder = "$FindBin::Bin/../contrib/prometheus";


sub promtool {
    my ($input, @arguments) = @_;

    my $pid = open my $out, '-|';
    die $! if !defined $pid;

    if (!$pid) {
        open STDERR, '>&', \*STDOUT or die $!;
        open STDIN, '<', $input or die $!;
        chdir $folder or die $!;
        exec $promtool, @arguments or die $!;
    }

    my $text = do { local $/; <$out> };
    close $out;

    return ($? >> 8, $text);
}


my ($code, $text) = promtool('/dev/null', 'check', 'rules', 'alerts.yml');
is $code, 0, 'the rules can be read' or diag $text;

($code, $text) = promtool('/dev/null', 'test', 'rules', 'alerts_test.yml');
is $code, 0, 'each alert comes when it should' or diag $text;


my $t = Klaviyo::Test->new(account => 'hold 30m;', server => q{
    klaviyo_profile email $arg_email;
    location / { klaviyo_track "Viewed Page"; return 200; }
    location = /metrics { klaviyo_track off; klaviyo_status prometheus; }
});

$t->start;
$t->get('/?email=a@shop.test');
$t->wait_events(1);
$t->file('metrics.txt', $t->get('/metrics')->body);

($code, $text) = promtool($t->dir . '/metrics.txt', 'check', 'metrics');
is "$code $text", '0 ', 'the metrics are clean';

# every metric that a rule asks for is there

open my $in, '<', "$folder/alerts.yml" or die $!;
my $rules   = do { local $/; <$in> };
my $metrics = $t->get('/metrics')->body;

for my $name (sort keys %{{ map { $_ => 1 } $rules =~ /nginx_klaviyo_\w+/g }}) {
    like $metrics, qr/^\Q$name\E\{/m, "$name is there";
}

for my $state (map { split /\|/ } $rules =~ /state=~?\s*"([\w|]+)"/g) {
    like $metrics, qr/^nginx_klaviyo_state\{account="shop",state="$state"\}/m,
        "$state is a state";
}

$t->stop;

done_testing;

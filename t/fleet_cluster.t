#!/usr/bin/perl

# Two nodes of a Cluster, each with half of the slots: whichever one a host is
# told of, it finds the one that has its keys.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Redis;

alarm slow(200);

my $objs   = $ENV{KLAVIYO_OBJS} // 'objs';
my $module = $ENV{KLAVIYO_FLEET_MODULE}
    // "$ENV{PWD}/$objs/ngx_http_klaviyo_fleet_module.so";
my @node   = map { Klaviyo::Test::Redis->start(set => {
    'cluster-enabled' => 'yes', 'cluster-node-timeout' => 2000,
    'cluster-require-full-coverage' => 'no'}) } 1 .. 2;

$node[0]->cli(qw(CLUSTER ADDSLOTSRANGE 0 8191));
$node[1]->cli(qw(CLUSTER ADDSLOTSRANGE 8192 16383));
$node[0]->cli('CLUSTER', 'MEET', '127.0.0.1', $node[1]->port);

ok wait_for(20, sub {
    2 == grep { $_->cli(qw(CLUSTER INFO))
                =~ /state:ok.*known_nodes:2.*cluster_size:2/s } @node
}), 'a Cluster' or diag $node[0]->cli(qw(CLUSTER INFO));

my $slot  = $node[0]->cli(qw(CLUSTER KEYSLOT), 'klaviyo:{shop}:q:events');
my $owner = $slot <= 8191 ? 0 : 1;

for my $first (0, 1) {
    my $t = Klaviyo::Test->new(
        main    => "load_module $module;",
        account => 'batch linger=100ms; fleet main away=1m;',
        http    => 'klaviyo_profile email $arg_email;'
                   . ' klaviyo_fleet main { server ' . $node[$first]->url
                   . '; }',
        server  => 'location / { klaviyo_track "Viewed Page";'
                   . ' return 200 "page\n"; }',
    )->start;

    $t->get("/?email=a$_\@shop.test") for 1 .. 20;
    ok $t->wait_events(20, 20), 'delivered, by ' . ($first == $owner
        ? 'the node that has the keys' : 'way of another one') or diag $t->log;
    ok $t->wait_idle(20), 'and settled';
    is $t->account->{handed_over}, 20, 'in the fleet';
    is $t->account->{fleet}{errors}, 0, 'without an error';
    ok $t->account->{fleet}{connected}, 'the limits, too';
    $t->stop;
}

like $node[$owner]->cli(qw(KEYS *)), qr/klaviyo:\{shop\}:hosts:events/,
    'one node has the keys';
is $node[!$owner]->cli(qw(KEYS *)), '', 'the other one none';

$_->stop for @node;
done_testing;

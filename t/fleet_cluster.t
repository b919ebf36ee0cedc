#!/usr/bin/perl

# Two nodes of a Cluster, each with half of the slots: whichever one a host is
# told of, it finds the one that has its keys; and it follows them while they
# move to the other one.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Redis;
use Klaviyo::Test::Relay;
use Time::HiRes qw(sleep);

alarm slow(400);

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

sub host {
    my ($port, $share) = @_;

    my $fleet = $share eq 'share=queue' ? "$share away=5m" : $share;

    return Klaviyo::Test->new(
        main    => "load_module $module;",
        account => "batch linger=100ms; fleet main $fleet;",
        http    => 'klaviyo_profile email $arg_email;'
                   . " klaviyo_fleet main { server redis://127.0.0.1:$port; }",
        server  => 'location / { klaviyo_event "Viewed Page" {'
                   . ' unique_id $arg_id; } return 200 "page\n"; }',
    )->start;
}

for my $first (0, 1) {
    my $t = host($node[$first]->port, 'share=queue');

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


# hosts know of the owner, by a relay that takes no further connection: where
# the keys are only the owner tells

my ($from, $to) = @node[$owner, !$owner];
my $relay = Klaviyo::Test::Relay->start(to => $from->port);
my %id    = map { $_ => $_->cli(qw(CLUSTER MYID)) } @node;

sub keys_of {
    my ($node) = @_;

    return split /\n/, $node->cli(qw(CLUSTER GETKEYSINSLOT), $slot, 100);
}

sub moves {
    $to->cli(qw(CLUSTER SETSLOT), $slot, 'IMPORTING', $id{$from});
    $from->cli(qw(CLUSTER SETSLOT), $slot, 'MIGRATING', $id{$to});

    return;
}

sub migrate {
    my (@keys) = @_;

    return $from->cli('MIGRATE', '127.0.0.1', $to->port, '', 0, 5000,
        'REPLACE', 'KEYS', @keys);
}

sub moved {
    $_->cli(qw(CLUSTER SETSLOT), $slot, 'NODE', $id{$to}) for $to, $from;

    return;
}

my $serial = 0;

sub goes {
    my ($t, $name) = @_;

    my $before = $t->sandbox->stats->{recorded};
    my $client = $t->client;

    $client->get('/?id=m' . ++$serial . "&email=a$serial\@shop.test")
        for 1 .. 20;
    $client->close;

    ok wait_for(20, sub { $t->sandbox->stats->{recorded} >= $before + 20 }),
        "$name: delivered" or diag $t->log;
    ok $t->wait_idle(20), 'and settled';

    return;
}

for my $what ('share=queue', 'share=limits') {
    subtest "the keys move, $what" => sub {
        my $t = host($relay->port, $what)->allow(qr/is away/);

        goes($t, 'before it');
        $relay->mode('refuse');
        moves();
        is migrate(keys_of($from)), 'OK', 'all of them move';
        moved();
        ok wait_for(20, sub { $to->cli(qw(CLIENT LIST)) =~ /cmd=evalsha/ }),
            'it is there' or diag $t->log;
        goes($t, 'where they are now');
        like $t->log, qr/is away: .*another node of the Cluster/,
            'the log tells';
        is $t->account->{delivered}, 0, 'none by itself'
            if $what eq 'share=queue';
        is $t->account->{fleet}{by_itself}, 0, 'nor without a turn';
        is $t->account->{fleet}{hosts}, 1, 'one host';
        $relay->mode('pass');
        $t->stop;

        # back again

        ($from, $to) = ($to, $from);
        moves();
        migrate(keys_of($from));
        moved();
        ($from, $to) = ($to, $from);
        is_deeply [keys_of($to)], [], 'back again';
    };
}

subtest 'half of the way' => sub {
    my $t = host($from->port, 'share=limits')->allow(qr/is away/);

    goes($t, 'before it');

    # the limits' two keys move: a node that is about to get the slot answers
    # who asks it for that

    moves();
    is migrate(keys_of($from)), 'OK', 'all of them move';

    my $granted = $t->account->{fleet}{granted};

    goes($t, 'there already');
    cmp_ok $t->account->{fleet}{granted}, '>', $granted, 'by turns';
    is $t->account->{fleet}{by_itself}, 0, 'none without one';
    like $to->cli(qw(CLIENT LIST)), qr/cmd=(?:evalsha|asking)/, 'of that node';
    moved();
    goes($t, 'and there for good');
    $t->stop;
    ($from, $to) = ($to, $from);
};

subtest 'under load' => sub {
    my $t = host($node[0]->port, 'share=queue')->allow(qr/is away/);
    my $load = requests($t, clients => 1, pause => 0.01);

    for (1 .. 3) {
        sleep 0.7;
        moves();

        # the queue waits until they are together again

        migrate($_) for keys_of($from);
        sleep 0.3;
        moved();
        ($from, $to) = ($to, $from);
    }

    sleep 0.7;
    $load->stop;

    ok $t->wait_idle(60), 'nothing is left' or diag $t->log;

    my $account  = $t->account;
    my $recorded = recorded($t);

    is scalar keys %$recorded, $account->{captured}
        - $account->{reasons}{lost}{queue_busy},
        "recorded: all $account->{captured}";
    is $account->{delivered}, 0, 'none by itself';
    is $t->sandbox->stats->{collisions}, 0, 'repeats had the same bytes';
    is $from->cli('HGET', 'klaviyo:{shop}:state:events', 'accepted'),
        $from->cli('HGET', 'klaviyo:{shop}:state:events', 'delivered'),
        'the equation of Redis';
    $t->stop;
};

$_->stop for @node;
done_testing;

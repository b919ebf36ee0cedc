#!/usr/bin/perl

# A primary, a replica and a sentinel: the primary is asked for; it is killed
# under load, the replica takes its place, and what was captured is recorded.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Chaos;
use Klaviyo::Test::Process qw(
    free_port read_file spawn temp_folder write_file run
);
use Klaviyo::Test::Redis;
use Time::HiRes qw(sleep time);

alarm slow(300);

my $objs   = $ENV{KLAVIYO_OBJS} // 'objs';
my $module = $ENV{KLAVIYO_FLEET_MODULE}
    // "$ENV{PWD}/$objs/ngx_http_klaviyo_fleet_module.so";
my $folder = temp_folder();


subtest 'the configuration' => sub {
    for my $case (
        ['sentinel', qr/"server" of klaviyo_fleet is one "redis:/],
        ['sentinel shop', qr/"server" of klaviyo_fleet is one "redis:/],
        ['redis://a redis://b', qr/"server" of klaviyo_fleet is one "redis:/],
        ['sentinel shop a:x', qr/invalid sentinel "a:x".*expected "host:26379"/],
        ['sentinel shop a:1/2', qr/invalid sentinel "a:1\/2"/],
    ) {
        my ($server, $error) = @$case;
        my ($code, $output) = config_test(main => "load_module $module;",
            http => "klaviyo_fleet a { server $server; }");

        isnt $code, 0, $server;
        like $output, qr/\[emerg\].*$error/, 'says why';
    }
};


my $redis   = Klaviyo::Test::Redis->start;
my $replica = Klaviyo::Test::Redis->start(replica => $redis->port);
my $port    = free_port();
my $conf    = write_file("$folder/sentinel.conf", join("\n",
    "port $port", 'bind 127.0.0.1', "dir $folder", 'daemonize no',
    "sentinel monitor shop 127.0.0.1 @{[ $redis->port ]} 1",
    'sentinel down-after-milliseconds shop 1000',
    'sentinel failover-timeout shop 3000', ''), 0600);

symlink '/usr/bin/redis-check-rdb', "$folder/redis-sentinel";

my ($program) = grep { -x } map { "$_/redis-sentinel" }
    split(/:/, $ENV{PATH}), $folder;
my $pid = spawn(command => [$program, $conf], stdout => "$folder/log",
                stderr => "$folder/log");

subtest 'a sentinel is no primary' => sub {
    my $t = Klaviyo::Test->new(
        main    => "load_module $module;",
        account => 'fleet main;',
        http    => 'klaviyo_fleet main { server redis://127.0.0.1:'
                   . "$port; }",
        server  => 'location / { return 200 "page\n"; }',
    )->allow(qr/fleet "main".* away/)->start;

    ok wait_for(slow(20), sub {
        $t->log =~ /\[error\].* away: it is a sentinel: "server sentinel"/
    }), 'and told so' or diag $t->log;
    $t->stop;
};

sub sentinel {
    my (undef, $output) = run('redis-cli', '-p', $port, @_);

    return $output;
}

ok wait_for(20, sub { sentinel(qw(SENTINEL replicas shop)) =~
                      /port\n@{[ $replica->port ]}\n/ }),
    'the sentinel knows both' or diag sentinel(qw(SENTINEL replicas shop));

my $t = Klaviyo::Test->new(
    sandbox => {limits => 'off', keep => 1_000_000},
    main    => "load_module $module;",
    workers => 2,
    account => 'batch linger=100ms; fleet main away=1m;',
    http    => 'klaviyo_profile email $arg_email;'
               . ' log_format ids "$arg_id $klaviyo_captured";'
               . " klaviyo_fleet main { server sentinel shop 127.0.0.1:1"
               . " 127.0.0.1:$port; }",
    server  => q{
        access_log %%DIR%%/access.log ids;

        location / {
            klaviyo_event "Viewed Page" {
                unique_id $arg_id;
            }
            return 200 "page\n";
        }
    },
)->allow(qr/is away/)->start;

my $load = requests($t, clients => 2, pause => 0.01);

ok wait_for(20, sub { ($t->account->{handed_over} // 0) > 20 }),
    'delivered, by the primary' or diag $t->log;

$redis->kill;

ok wait_for(30, sub {
    $replica->cli('ROLE') =~ /^master/
}), 'the replica is made the primary';

my $handed = $t->account->{handed_over};

ok wait_for(30, sub { $t->account->{handed_over} > $handed + 20 }),
    'and delivered by that one' or diag $t->log;

$load->stop;
ok $t->wait_idle(30), 'nothing is left';

my $account  = $t->account;
my $recorded = recorded($t);
my @logged   = map { /^(\S+) 1$/ ? $1 : () }
    split /\n/, read_file($t->dir . '/access.log');

is_deeply [grep { !$recorded->{$_} } @logged], [],
    'all that was captured is recorded: ' . @logged;
is $account->{lost}, 0, 'none is lost';
is $account->{delivered}, 0, 'none by itself';

kill 'KILL', $pid;
waitpid $pid, 0;
$t->stop;
$_->stop for $replica, $redis;
done_testing;

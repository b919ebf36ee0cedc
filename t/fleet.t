#!/usr/bin/perl

# klaviyo_fleet: its configuration and who must be loaded, the connection to
# Redis by all its ways, Redis as it must not be, and one that hangs.
#
# What hosts share: fleet_limits.t; the script: fleet_script.t.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Certificates;
use Klaviyo::Test::Process qw(temp_folder write_file);
use Klaviyo::Test::Redis;
use Klaviyo::Test::Relay;
use Time::HiRes qw(sleep time);

alarm slow(600);

my $objs   = $ENV{KLAVIYO_OBJS} // 'objs';
my $module = $ENV{KLAVIYO_FLEET_MODULE}
    // "$ENV{PWD}/$objs/ngx_http_klaviyo_fleet_module.so";
my $redis  = Klaviyo::Test::Redis->start;
my $folder = temp_folder();


sub fleet {
    my ($lines, %option) = @_;

    return Klaviyo::Test->new(
        main    => "load_module $module;",
        account => 'fleet main share=limits; batch linger=10ms;',
        http    => "klaviyo_profile email \$arg_email;"
                   . " klaviyo_fleet main { $lines }",
        server  => 'location / { klaviyo_track "Viewed Page";'
                   . ' return 200 "page\n"; }',
        %option,
    );
}

sub connected { return $_[0]->account->{fleet}{connected} }


subtest 'who must be loaded' => sub {
    my ($code, $output) = config_test(main => "load_module $module;",
        module => 0);

    isnt $code, 0, 'the fleet alone';
    like $output, qr/\[emerg\].*works beside ngx_http_klaviyo_module, which is/,
        'says what is missing';

    ($code, $output) = config_test(account => 'fleet main share=limits;');
    isnt $code, 0, 'fleet without the module';
    like $output, qr/\[emerg\].*"shop" needs ngx_http_klaviyo_fleet_module/,
        'says so';

    my $http = 'klaviyo_fleet main { server redis://127.0.0.1; }';

    ($code, $output) = config_test(main => "load_module $module;",
        http => $http, account => 'fleet main share=limits;');
    is $code, 0, 'behind the other one' or diag $output;

    my $t = Klaviyo::Test->new(sandbox => 0, http => $http,
        account => 'fleet main share=limits;');

    $t->set(config => $t->_config =~ s/(load_module)/load_module $module; $1/r);
    ($code, $output) = $t->check;
    is $code, 0, 'before it' or diag $output;
    $t->_end;
};


subtest 'the configuration' => sub {
    my $secret = write_file("$folder/open.pass", "secret\n", 0644);

    for my $case (
        ['', 'fleet share=queue;', qr/must name a klaviyo_fleet first/],
        ['', 'fleet main share=all;', qr/"share" is "queue" or "limits"/],
        ['', 'fleet main share=limits size=8m;',
            qr/"size=8m" in "fleet" of klaviyo_account "shop" is of a shared/],
        ['', 'fleet main deliver=no;', qr/must be "on" or "off"/],
        ['', 'fleet main size=1;', qr/invalid value "size=1"/],
        ['', 'fleet other share=limits;',
            qr/no klaviyo_fleet "other" for klaviyo_account "shop"/],
        ['klaviyo_fleet a { }', '', qr/no "server" in klaviyo_fleet "a"/],
        ['klaviyo_fleet a { server http://b; }', '',
            qr{invalid server "http://b".*begins with "redis://"}],
        ['klaviyo_fleet a { server redis://u:p@b; }', '',
            qr/a password has no place in it: use "user"/],
        ['klaviyo_fleet a { server redis://b:99999; }', '',
            qr/its port is no number/],
        ['klaviyo_fleet a { server redis://b; server redis://b; }', '',
            qr/"server" of klaviyo_fleet is duplicate/],
        ['klaviyo_fleet a { server redis://b; user c; }', '',
            qr/"user" of klaviyo_fleet "a" needs a "password_file"/],
        ["klaviyo_fleet a { server redis://b; password_file $secret; }", '',
            qr/password file ".*" can be read or written by others/],
        ['klaviyo_fleet a { server redis://b; timeout answer=1h; }', '',
            qr/"answer=1h": it must be a time from 10ms to 1s/],
        ['klaviyo_fleet a { server redis://b; timeout all=1s; }', '',
            qr/"all=1s": expected "connect=" or "answer="/],
        ['klaviyo_fleet a { server redis://b; '
            . 'ssl_trusted_certificate c; }', '',
            qr/needs a "server" with "rediss:/],
        ['klaviyo_fleet a { server redis://b; what c; }', '',
            qr/unknown setting "what" in klaviyo_fleet/],
        ['klaviyo_fleet a { server redis://b; } '
            . 'klaviyo_fleet a { server redis://b; }', '',
            qr/duplicate klaviyo_fleet "a"/],
        ['klaviyo_account other { api_key_file %%KEY_FILE%%; spool off; '
            . 'queue %%QUEUE%%.other; }', 'fleet main share=limits;',
            qr/"other" has the key of "shop".*must have the same "fleet"/],
    ) {
        my ($http, $account, $error) = @$case;
        my ($code, $output) = config_test(main => "load_module $module;",
            http => "klaviyo_fleet main { server redis://b; } $http",
            account => $account);

        isnt $code, 0, 'refused';
        like $output, qr/\[emerg\].*$error/, "$http $account";
    }
};


subtest 'by TCP, a name, a socket' => sub {
    for my $url ($redis->url, 'redis://localhost:' . $redis->port . '/2',
                 'unix:' . $redis->socket)
    {
        my $t = fleet("server $url;")->start;

        ok wait_for(10, sub { connected($t) }), "connected: $url"
            or diag $t->log;
        $t->get('/?email=a@shop.test');
        ok $t->wait_events(1), 'delivered';
        is $t->account->{fleet}{granted}, 1, 'by a turn that was granted';
        is $t->account->{fleet}{by_itself}, 0, 'not by itself';
        $t->stop;
    }

    like $redis->cli('-n', 2, 'KEYS', '*'), qr/klaviyo:\{shop\}:limit:events/,
        'its keys, in that database';
    is $redis->cli('TTL', 'klaviyo:{shop}:limit:events'), -1,
        'without a time to live';
};


subtest 'a user that may do nothing else' => sub {
    my $pass = write_file("$folder/redis.pass", "s3cret\n", 0600);

    is $redis->cli('ACL', 'SETUSER', 'klaviyo', 'on', '>s3cret', '~klaviyo:*',
        '+evalsha', '+eval', '+time', '+hget', '+hset', '+hdel', '+hgetall',
        '+role', '+info', '+select'), 'OK', 'as the guide says';
    $redis->cli('SCRIPT', 'FLUSH');

    my $t = fleet('server ' . $redis->url . '; user klaviyo; '
                  . "password_file $pass;")->start;

    ok wait_for(10, sub { connected($t) }), 'connected' or diag $t->log;
    $t->get('/?email=a@shop.test');
    ok $t->wait_events(1), 'delivered';
    is $t->account->{fleet}{granted}, 1, 'by a turn that was granted';
    unlike $t->log, qr/s3cret/, 'the password is in no log';

    # its rights go while it works

    $t->allow(qr/is away/);
    $redis->cli('ACL', 'SETUSER', 'klaviyo', '-evalsha', '-eval');
    ok wait_for(10, sub { $t->log =~ /away: its script fails \(denied/ }),
        'denied, and the log says so';
    $t->stop;

    write_file("$folder/redis.pass", "wrong\n", 0600);
    $t = fleet('server ' . $redis->url . '; user klaviyo; '
               . "password_file $pass;")->start;
    $t->allow(qr/is away/);
    ok wait_for(10, sub { $t->log =~ /\[error\].*AUTH is denied: see "user"/ }),
        'a wrong password';
    $t->get('/?email=a@shop.test');
    ok $t->wait_events(1, 15), 'delivered nevertheless';
    is $t->account->{fleet}{by_itself}, 1, 'by itself';
    $t->stop;
};


subtest 'a Redis that will not do' => sub {
    my $other = Klaviyo::Test::Redis->start(set => {
        maxmemory => '64mb', 'maxmemory-policy' => 'allkeys-lru'});
    my $t = fleet('server ' . $other->url . ';')->allow(qr/is away/)->start;

    ok wait_for(10, sub { $t->log =~ /\[error\].*"allkeys-lru".*"noeviction"/ }),
        'one that throws keys away';
    is connected($t), Mojo::JSON->false, 'is not used';
    $other->cli('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
    ok wait_for(10, sub { connected($t) }), 'is when that is mended';
    $t->stop;
    $other->stop;

    $other = Klaviyo::Test::Redis->start(replica => $redis->port);
    $t = fleet('server ' . $other->url . ';')->allow(qr/is away/)->start;
    ok wait_for(10, sub { $t->log =~ /it is a replica: "server" must name/ }),
        'a replica';
    $t->stop;
    $other->stop;

    my $relay = Klaviyo::Test::Relay->start(to => $redis->port);

    $t = fleet('server redis://127.0.0.1:' . $relay->port . '; '
               . 'timeout connect=300ms answer=300ms;')->allow(qr/is away/);
    $relay->mode('garbage');
    $t->start;
    ok wait_for(10, sub { $t->log =~ /is away: / }), 'garbage: away';

    for my $mode (qw(silent close reset refuse)) {
        $relay->mode($mode);
        sleep 0.7;
    }

    cmp_ok $t->account->{fleet}{errors}, '>=', 2, 'errors are counted';
    $relay->mode('pass');
    ok wait_for(10, sub { connected($t) }), 'and connected when it is well';
    $t->stop;
};


subtest 'TLS' => sub {
    my $ca    = Klaviyo::Test::Certificates->new("$folder/tls");
    my $trust = $ca->file;

    chmod 0755, $folder, "$folder/tls";

    my $good  = Klaviyo::Test::Redis->start(
        tls => [$ca->issue('good'), $trust]);

    my $url = 'rediss://localhost:' . $good->port;
    my $t   = fleet("server $url; ssl_trusted_certificate $trust;")->start;

    ok wait_for(10, sub { connected($t) }), 'by name' or diag $t->log;
    $t->get('/?email=a@shop.test');
    ok $t->wait_events(1), 'delivered';
    is $t->account->{fleet}{granted}, 1, 'by a turn that was granted';
    $t->stop;

    $t = fleet('server rediss://127.0.0.1:' . $good->port . ';'
               . " ssl_trusted_certificate $trust;")->start;
    ok wait_for(10, sub { connected($t) }), 'by address' or diag $t->log;
    $t->stop;

    $t = fleet("server $url;")->allow(qr/is away/)->start;
    ok wait_for(10, sub { $t->log =~ /\[error\].*certificate is not trusted/ }),
        'one that nobody here trusts';
    ok !connected($t), 'is not used';
    $t->stop;
    $good->stop;

    my $wrong = Klaviyo::Test::Redis->start(
        tls => [$ca->issue('wrong', names => ['DNS:other.test']), $trust]);

    $t = fleet('server rediss://localhost:' . $wrong->port . ';'
               . " ssl_trusted_certificate $trust;")
        ->allow(qr/is away/)->start;
    ok wait_for(10, sub { $t->log =~ /certificate is for another name than/ }),
        'a wrong name';
    ok !connected($t), 'is not used';
    $t->stop;
    $wrong->stop;
};


subtest 'Redis hangs' => sub {
    my $t = fleet('server ' . $redis->url . ';')->allow(qr/is away/)->start;

    ok wait_for(10, sub { connected($t) }), 'connected';
    $redis->hang;

    my $began = time;

    $t->get('/?email=a@shop.test') for 1 .. 20;
    cmp_ok time - $began, '<', slow(2), 'visitors do not notice';
    ok $t->wait_events(20, 15), 'delivered, by itself';
    cmp_ok $t->account->{fleet}{by_itself}, '>=', 1, 'and counted so';
    like $t->log, qr/\[warn\].*is away: no answer in time/, 'the log tells';

    $began = time;
    $t->halt('QUIT');
    cmp_ok time - $began, '<', slow(4), 'a worker leaves at once';
    $redis->go_on;
    $t->start;
    ok wait_for(10, sub { connected($t) }), 'it goes on, and so do we';
    $t->stop;
};

$redis->stop;
done_testing;

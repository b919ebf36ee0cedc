#!/usr/bin/perl

# klaviyo-queue fleet: what is in the shared queue, whether it is whole, and
# all of it as lines; and what it says where there is none.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Certificates;
use Klaviyo::Test::Process qw(run temp_folder write_file);
use Klaviyo::Test::Redis;
use Mojo::JSON qw(decode_json);

alarm slow(120);

my $objs   = $ENV{KLAVIYO_OBJS} // 'objs';
my $module = $ENV{KLAVIYO_FLEET_MODULE}
    // "$ENV{PWD}/$objs/ngx_http_klaviyo_fleet_module.so";
my $redis  = Klaviyo::Test::Redis->start;
my $folder = temp_folder();
my $key    = 'klaviyo:{shop}';

sub fleet {
    my ($code, $output) = run(split(' ', $ENV{KLAVIYO_RUN} // ''),
        "$objs/klaviyo-queue", 'fleet', @_);

    return ($code, $output);
}

my ($code, $output) = fleet('stat', $redis->url);

is $code, 2, 'no queue is shared';
like $output, qr/no queue is shared there/, 'says so';

sub fleet_nginx {
    my ($server) = @_;

    return Klaviyo::Test->new(
        main    => "load_module $module;",
        account => 'fleet main deliver=off;',
        http    => 'klaviyo_profile email $arg_email; klaviyo_fleet main {'
                   . " server $server; }",
        server  => 'location / { klaviyo_event "Viewed Page" {'
                   . ' unique_id $arg_id; } return 200 "page\n"; }',
    );
}

my $t = fleet_nginx($redis->url)->start;

$t->get("/?id=e$_&email=a$_\@shop.test") for 1 .. 300;
ok wait_for(20, sub { $t->account->{fleet}{accepted} == 300 }), 'added';

subtest 'stat' => sub {
    ($code, $output) = fleet('stat', $redis->url);
    is $code, 0, 'stat' or diag $output;
    like $output, qr/^account +shop, events$/m, 'which';
    like $output, qr/^delivers +nobody now$/m, 'who delivers';
    like $output, qr/^$_$/m, $_ for 'accepted +300', 'delivered +0',
        'queued +300', 'bytes +[1-9]\d+';
    like $output, qr/^  [\w.-]+:[0-9a-f]{32}  heard of \d+ s ago, 300 events/m,
        'its host';

    ($code, $output) = fleet('stat', '--json', 'unix:' . $redis->socket,
                             'shop');
    is $code, 0, 'by a socket, as JSON';

    my $stat = decode_json($output);

    is $stat->{queued}, 300, 'the same';
    is_deeply [map { $_->{left} } values %{ $stat->{hosts} }], [300],
        'by host';
};

subtest 'check and export' => sub {
    ($code, $output) = fleet('check', $redis->url);
    is $code, 0, 'check';
    like $output, qr/^shop, events: 300 events in \d+ packs are whole, 0 packs/,
        'all is whole';

    ($code, $output) = fleet('export', $redis->url);
    is $code, 0, 'export';

    my @lines = map { decode_json($_) } split /\n/, $output;

    is_deeply [map { $_->{unique_id} } @lines], [map { "e$_" } 1 .. 300],
        'each event, in order';
    is $lines[6]{event}{attributes}{profile}{data}{attributes}{email},
        'a7@shop.test', 'all of it';

    $redis->cli('XADD', "$key:q:events", '*', 'p', 'KPK1 no pack');
    ($code, $output) = fleet('check', $redis->url);
    is $code, 1, 'one that is damaged';
    like $output, qr/pack \d+-\d+: it is no pack/, 'which, and why';
    like $output, qr/300 events in \d+ packs are whole, 1 packs are damaged/,
        'and how many';
};

subtest 'where there is none' => sub {
    for my $case (
        [['stat', 'http://x'], qr{"http://x": it begins with "redis://"}],
        [['stat', 'redis://u:p@x'], qr/it is no "redis:/],
        [['stat', 'rediss://u:p@x'], qr/it is no "redis:/],
        [['stat', "rediss://x\r\ny"], qr/it is no "redis:/],
        [['stat', '--trusted-certificate=x', $redis->url],
         qr/"--trusted-certificate" is for "rediss/],
        [['stat', 'unix:/nowhere'], qr/cannot be reached: No such file/],
        [['stat', $redis->url, 'other'], qr/no queue is shared there by "oth/],
        [['what', $redis->url], qr/needs one of "stat", "check" and "export"/],
        [['stat'], qr/needs one of "stat"/],
        [[], qr/needs one of "stat"/],
        [['stat', '--spool=x', $redis->url], qr/unknown option "--spool=x"/],
    ) {
        my ($arguments, $error) = @$case;

        ($code, $output) = fleet(@$arguments);
        is $code, 2, "@$arguments";
        like $output, $error, 'why';
    }

    my $pass = write_file("$folder/pass", "s3cret\n", 0600);

    $redis->cli('ACL', 'SETUSER', 'reader', 'on', '>s3cret', '~klaviyo:*',
        '+scan', '+hgetall', '+xrange', '+time');
    ($code, $output) = fleet('check', '--user=reader',
        "--password-file=$pass", $redis->url);
    is $code, 1, 'as a user that may read';

    write_file("$folder/pass", "wrong\n", 0600);
    ($code, $output) = fleet('check', '--user=reader',
        "--password-file=$pass", $redis->url);
    is $code, 2, 'with a wrong password';
    like $output, qr/AUTH: WRONGPASS/, 'says so';
    unlike $output, qr/wrong\n/, 'and not the password';
};

subtest 'TLS' => sub {
    my $ca    = Klaviyo::Test::Certificates->new("$folder/tls");
    my $trust = '--trusted-certificate=' . $ca->file;
    my %redis = (
        good  => Klaviyo::Test::Redis->start(
            tls => [$ca->issue('good'), $ca->file]),
        wrong => Klaviyo::Test::Redis->start(
            tls => [$ca->issue('wrong', names => ['DNS:other.test']),
                    $ca->file]),
    );
    my %port = map { $_ => $redis{$_}->port } keys %redis;

    # a queue as the other one has it; of a pack more than one read

    my $t = fleet_nginx("rediss://localhost:$port{good};"
                        . ' ssl_trusted_certificate ' . $ca->file)->start;
    my $client = $t->client;

    $client->get("/?id=t$_&email=t$_\@shop.test&x=" . 'y' x 400)
        for 1 .. 400;
    $client->close;
    ok wait_for(20, sub { $t->account->{fleet}{accepted} == 400 }), 'added';

    for my $host ('localhost', '127.0.0.1') {
        ($code, $output) = fleet('stat', $trust, "rediss://$host:$port{good}");
        is $code, 0, "stat, $host" or diag $output;
        like $output, qr/^queued +400$/m, 'what is there';
    }

    ($code, $output) = fleet('export', $trust,
        "rediss://localhost:$port{good}/0", 'shop');
    is $code, 0, 'export';
    is scalar(() = $output =~ /^\{/mg), 400, 'all of it';

    ($code, $output) = fleet('stat', "rediss://localhost:$port{good}");
    is $code, 2, 'without its authority';
    like $output, qr/its certificate is not trusted .*"--trusted-certificate"/,
        'says so, and what to do';

    ($code, $output) = fleet('stat', $trust,
        "rediss://localhost:$port{wrong}");
    is $code, 2, 'a wrong name';
    like $output, qr/its certificate is for another name than "localhost"/,
        'says so';

    ($code, $output) = fleet('stat', $trust, 'rediss://localhost:'
                             . $redis->port);
    is $code, 2, 'what speaks no TLS';
    like $output, qr/"rediss:\S+" cannot be reached: \S/, 'says so';

    ($code, $output) = fleet('stat', "--trusted-certificate=$folder/none",
        "rediss://localhost:$port{good}");
    is $code, 2, 'a file that is not there';
    like $output, qr/cannot be reached: .*none/, 'says which';

    $t->stop;
    $_->stop for values %redis;
};

$t->stop;
$redis->stop;
done_testing;

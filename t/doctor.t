#!/usr/bin/perl

# klaviyo-queue doctor and send: each thing that may be wrong on the machine,
# on the way and with the key is told by itself; one event goes the whole way.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run read_file write_file worker_user);

alarm slow(280);

my $tool = $ENV{KLAVIYO_QUEUE}
    // ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';

my $server = q{location / { klaviyo_track "Viewed Page"; return 204; }};
my $http   = q{klaviyo_identity off; klaviyo_profile email $arg_email;};
my $key    = 'pk_test_0123456789abcdef';

my $t = Klaviyo::Test->new(http => $http, server => $server, front => 1,
    sandbox => {keys => ["$key:shop"], no_scope => ['pk_bare:shop']},
    account => 'company ABC123; ssl_trusted_certificate %%CA%%;');

my $s = $t->sandbox;

sub command {
    my ($command, @more) = @_;

    my ($code, $out) = run($tool, $command, '--nginx', $t->nginx->{binary},
        '--conf', $t->nginx->{conf}, '--prefix', $t->dir, @more);

    unlike $out, qr/pk_test|pk_bare/, 'no key is shown' if $out =~ /pk_/;

    return wantarray ? ($code, $out) : $out;
}

# the faults of doctor, check => words; its exit status is in $code

my ($code, $out);

sub faults {
    ($code, $out) = command('doctor', 'shop');

    return {map { /^  FAULT  (\S+(?: \S+)?) +(.*)/ ? ($1 => $2) : () }
            split /\n/, $out};
}

# one fault and no other

sub fault_is {
    my ($check, $words, $name) = @_;

    my $found = faults();

    is $code, 1, "$name: 1";
    like $found->{$check}, $words, "$name: $check" or diag $out;
    delete $found->{$check};
    is_deeply $found, {}, "$name: nothing else" or diag $out;
}


$t->start;
$t->get('/?email=a@shop.test');
$t->wait_events(1);

subtest 'all is well' => sub {
    is_deeply faults(), {}, 'no fault' or diag $out;
    is $code, 0, '0';

    for my $line (
        qr/configuration +nginx takes it; \S+nginx\.conf:\d+/,
        qr/key file +"\S+shop\.key", for its owner alone/,
        qr/queue +"\S+shop\.ring", of "\w+"/,
        qr/spool +"\S+spool", of "\w+"/,
        qr/dead letters +"\S+dead\.jsonl", of "\w+"/,
        qr/nginx +runs with this queue, process \d+ delivers/,
        qr/delivery +1 delivered, 0 wait/,
        qr/DNS +"localhost" is \S+|DNS +"127\.0\.0\.1" is 127\.0\.0\.1/,
        qr/TLS +https:\S+ has a certificate that is trusted/,
        qr/connection +an answer in \d+ ms/,
        qr/key +of the account "ABC123"/,
        qr/scopes +"events:write": an event without content was refused/,
        qr/revision +20\d\d-\d\d-\d\d is taken/,
        qr/limits +\d+ of \d+ requests with one event are left/,
    ) {
        like $out, qr/^  ok     $line/m, "$line";
    }

    is +($s->stats->{recorded}), 1, 'and nothing was sent that is taken';
};


subtest 'whose it is need not be told' => sub {
    $s->fault(kind => 'status', status => 403, endpoint => 'accounts');
    is_deeply faults(), {}, 'no fault without accounts:read' or diag $out;
    is $code, 0, '0';
    like $out, qr/^  note   key +Klaviyo does not say whose it is/m, 'but said';
    $s->clear_faults;
};


subtest 'what Klaviyo says' => sub {
    $s->fault(kind => 'status', status => 403, endpoint => 'single');
    fault_is(scopes => qr/may not write events \(403.*"events:write"/,
        'the scope is missing');
    $s->clear_faults;

    $s->fault(kind => 'status', status => 403, body => 'html',
        headers => {'cf-mitigated' => 'challenge'});
    fault_is(firewall => qr/a firewall answers in the place of Klaviyo/,
        'a challenge');
    $s->clear_faults;

    $s->fault(kind => 'status', status => 410, endpoint => 'single');
    fault_is(revision => qr/does not know such requests \(410.*"revision"/,
        'a retired revision');
    $s->clear_faults;

    $s->fault(kind => 'status', status => 429, retry_after => 7,
        endpoint => 'single');
    fault_is(limits => qr/throttles the key, for 7 s more/, 'throttled');
    $s->clear_faults;

    $s->fault(kind => 'status', status => 502);
    fault_is(Klaviyo => qr/errors of its own \(502/, 'an outage');
    $s->clear_faults;

    $s->fault(kind => 'status', status => 202, endpoint => 'single');
    fault_is(scopes => qr/takes an event without content: it is no Klaviyo/,
        'what takes anything');
    $s->clear_faults;

    $t->set(account => 'company XYZ789; ssl_trusted_certificate %%CA%%;');
    fault_is(key => qr/of the account "ABC123", and "company" says "XYZ789"/,
        'another account\'s');
};


subtest 'the way there' => sub {
    my %account = (
        connection => ['endpoint https://127.0.0.1:1;',
                       qr/cannot be reached at https:\/\/127\.0\.0\.1:1: .*firewall/],
        DNS        => ['endpoint https://no-such-host.invalid;',
                       qr/"no-such-host\.invalid" has no address/],
        TLS        => ['ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;',
                       qr/certificate/],
        proxy      => ['proxy http://127.0.0.1:1; ssl_trusted_certificate %%CA%%;',
                       qr/through http:\/\/127\.0\.0\.1:1|http:\/\/127\.0\.0\.1:1: /],
    );

    for my $check (sort keys %account) {
        $t->set(account => $account{$check}[0]);
        fault_is($check, $account{$check}[1], $check);
    }

    $t->set(account => 'ssl_verify off;');
    fault_is(TLS => qr/"ssl_verify" is off/, 'not verified');
};


subtest 'on the machine' => sub {
    my $file = $t->dir . '/shop.key';

    $t->set(account => 'ssl_trusted_certificate %%CA%%;');

    chmod 0644, $file;
    fault_is(configuration => qr/key file "\Q$file\E" can be read .*chmod 600/,
        'a key file for all');
    chmod 0600, $file;

    rename $file, "$file.away" or die $!;
    fault_is(configuration => qr/^open\(\) "\Q$file\E" failed: "api_key_file" must name a file/,
        'no key file');
    rename "$file.away", $file or die $!;

    write_file($file, "pk_test_wrong\n", 0600);
    fault_is(key => qr/refuses the key \(401/, 'a wrong key');
    write_file($file, "$key\n", 0600);

    $t->set(account => 'nonsense;');
    fault_is(configuration => qr/unknown setting "nonsense"|"nonsense"/,
        'a configuration that is none');
    $t->set(account => 'ssl_trusted_certificate %%CA%%;');

    my ($rc, $said) = command('doctor', 'nobody');
    is $rc, 2, 'no such account: 2';
    like $said, qr/no klaviyo_account "nobody" in "\S+nginx\.conf"/, 'is said';

    ($rc, $said) = run($tool, 'doctor', '--nginx=/no/such/nginx');
    is $rc, 2, 'no nginx: 2';
    like $said, qr/there is no "\/no\/such\/nginx"/, 'is said';

    SKIP: {
        my ($user, undef, $uid, $gid) = worker_user();

        skip 'needs root', 1 if $> != 0;

        my $spool = $t->spool;

        chown 0, 0, $spool;
        chmod 0700, $spool;

        my $found = faults();

        is $code, 1, 'a spool of root\'s: 1';
        like $found->{configuration} // $found->{spool},
            qr/\Q$spool\E.*/, 'is told' or diag $out;
        chown $uid, $gid, $spool;
    }

    is_deeply faults(), {}, 'all of it mended' or diag $out;
};


subtest 'a visitor with no name' => sub {
    ok $t->reload(gone => 10), 'a reload';
    is_deeply faults(), {}, 'no fault' or diag $out;
};


subtest 'send' => sub {
    my ($code, $out) = command('send', 'shop');

    is $code, 2, 'it needs an email';
    like $out, qr/--email=you\@shop\.com/, 'says which';

    ($code, $out) = command('send', $t->{queue_dir} . '/shop', '--email',
        'you@shop.com');

    is $code, 0, 'an event' or diag $out;
    like $out, qr/^queued     "klaviyo-queue test" for you\@shop\.com, unique_id "test-[0-9a-f]{32}"; 0 wait before it\ndelivered  after \d+\.\d s: Klaviyo answered 202, which says "submitted"\nthere      Klaviyo shows it, after \d+\.\d s\n$/,
        'its whole way' or diag $out;

    my ($event) = grep { $_->{metric} eq 'klaviyo-queue test' } @{ $s->events };

    is $event->{profile}{email}, 'you@shop.com', 'it is there';
    like $out, qr/"\Q$event->{unique_id}\E"/, 'and the same one';

    $s->fault(kind => 'status', status => 403, endpoint => 'events');
    ($code, $out) = command('send', $t->{queue_dir} . '/shop',
        '--email=you@shop.com');
    is $code, 0, 'a key that may not read';
    like $out, qr/^not asked  the key may not read events/m, 'is not asked';
    $s->clear_faults;

    $s->fault(kind => 'status', status => 503);
    ($code, $out) = command('send', $t->{queue_dir} . '/shop',
        '--email=you@shop.com', '--timeout=3');
    is $code, 1, 'an outage';
    like $out, qr/^waits      after 3 s: Klaviyo answers with errors of its own; /m,
        'is told' or diag $out;
    $s->clear_faults;
    ok $t->wait_idle(slow(20)), 'it arrives later';

    $s->fault(kind => 'refuse', pointer => 'event',
        match => {metric => 'klaviyo-queue test'});
    ($code, $out) = command('send', $t->{queue_dir} . '/shop',
        '--email=you@shop.com');
    is $code, 1, 'refused';
    like $out, qr/^given up   refused, the last answer was 400 "Invalid input\./m,
        'is told' or diag $out;
    $s->clear_faults;
};


$t->stop;

subtest 'without nginx' => sub {
    my $alone = Klaviyo::Test->new(http => $http, server => $server);

    $alone->start;
    $alone->halt('QUIT');

    my ($code, $out) = run($tool, 'doctor', 'shop', '--nginx',
        $alone->nginx->{binary}, '--conf', $alone->nginx->{conf}, '--prefix',
        $alone->dir);

    is $code, 1, '1';
    like $out, qr/^  FAULT  nginx +does not run, or not with this queue; 0 events wait/m,
        'it does not run' or diag $out;

    ($code, $out) = run($tool, 'send', $alone->{queue_dir} . '/shop',
        '--email=you@shop.com', '--nginx', $alone->nginx->{binary}, '--conf',
        $alone->nginx->{conf}, '--prefix', $alone->dir);
    is $code, 2, 'send';
    like $out, qr/no nginx delivers from/, 'says so' or diag $out;
    $alone->_end;
};

done_testing;

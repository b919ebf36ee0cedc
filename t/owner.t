#!/usr/bin/perl

# A queue is one account's: another nginx that comes by the same path, with
# another key, endpoint or dry_run, is refused, by nginx -t too.  What the same
# nginx's operator changes and reloads is taken.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(write_file);

my $server = q{
    location / {
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }
};

# the first one's queue, which in production follows from the account's name
sub other {
    my ($t, $account) = @_;

    return Klaviyo::Test->new(
        workers => 1,
        http    => 'klaviyo_profile email $arg_email;',
        account => "$account queue " . $t->queue . ' size=8m;',
        server  => $server,
    );
}

my $new_key = 'pk_rotated_fedcba9876543210';

my $t = Klaviyo::Test->new(
    workers => 1,
    sandbox => {keys => [Klaviyo::Test::KEY, $new_key]},
    http    => 'klaviyo_profile email $arg_email;',
    account => '',
    server  => $server,
)->start;

$t->sandbox->fault(kind => 'status', status => 503);
$t->get('/?email=a@shop.test');
ok wait_for(5, sub { $t->account->{queued} }), 'an event waits';

my $same = 'endpoint ' . $t->sandbox->url . ';';

for my $case (
    ['key',      "api_key pk_other_0123456789; $same"],
    ['endpoint', ''],
    ['dry_run',  "$same dry_run on;"],
) {
    my ($setting, $account) = @$case;

    subtest "another nginx, another $setting" => sub {
        my ($code, $said) = other($t, $account)->check;

        cmp_ok $code, '!=', 0, 'nginx -t refuses';
        like $said, qr/is in use by another nginx \(process \d+\)/, 'and why';
        like $said, qr/another "$setting": choose another path with "queue"/,
            'and what to do';
        unlike $said, qr/pk_/, 'and no key';
    };
}

subtest 'the same of all: two nginx that share it' => sub {
    my ($code, $said) = other($t, $same)->check;

    is $code, 0, 'nginx -t takes it' or diag $said;
};

subtest 'its own changes' => sub {
    write_file($t->dir . '/shop.key', $new_key);
    chmod 0600, $t->dir . '/shop.key';

    my ($code, $said) = $t->check;

    is $code, 0, 'nginx -t beside it' or diag $said;
    ok $t->reload(gone => 10), 'a reload';
    like $t->log, qr/\[warn\].*the "key" has changed, 1 events that wait/,
        'the log says so';

    open my $ring, '<:raw', $t->queue or die $t->queue . ": $!";
    read $ring, my $page, 4096;
    close $ring;

    unlike $page, qr/pk_|fedcba98/, 'no key in the file';

    $t->sandbox->clear_faults;
    ok $t->wait_events(1, 10), 'and they go out';
};

subtest 'left behind' => sub {
    $t->sandbox->fault(kind => 'status', status => 503);
    $t->get('/?email=b@shop.test');
    ok wait_for(5, sub { $t->account->{queued} }), 'an event waits';
    $t->nginx->stop;

    my ($code, $said) = other($t, 'api_key pk_other_0123456789;')->check;

    cmp_ok $code, '!=', 0, 'not to another account at another endpoint';
    like $said, qr/holds 1 events that were captured for another key/, 'why';

    $t->nginx->start;
    $t->sandbox->clear_faults;
    ok $t->wait_events(2, 10), 'its own nginx goes on with it';
    $t->stop;
};


# after a reboot the ring is gone, and what waits is in the spool alone

subtest 'left behind in the spool' => sub {
    my $t = Klaviyo::Test->new(
        workers => 1,
        sandbox => {keys => [Klaviyo::Test::KEY, $new_key]},
        http    => 'klaviyo_profile email $arg_email;',
        server  => $server,
    )->start;

    $t->sandbox->fault(kind => 'status', status => 503);
    $t->get('/?email=a@shop.test');
    ok wait_for(5, sub { $t->account->{queued} }), 'an event waits';
    $t->halt('QUIT');
    unlink glob "$t->{queue_dir}/*";

    my $to    = 'endpoint ' . $t->sandbox->url . ';';
    my $spool = 'spool ' . $t->spool . ';';
    my $check = sub {
        return Klaviyo::Test->new(
            workers => 1,
            http    => 'klaviyo_profile email $arg_email;',
            account => "$_[0] $spool",
            server  => $server,
        )->check;
    };

    for my $case (
        ['another account', 'api_key pk_other_0123456789;',
            'another key and "endpoint"'],
        ['another dry_run', "$to dry_run on;", 'another "dry_run"'],
    ) {
        my ($name, $account, $why) = @$case;
        my ($code, $said) = $check->($account);

        cmp_ok $code, '!=', 0, "$name: nginx -t refuses";
        like $said, qr/holds 1 events that were captured for \Q$why\E/,
            "$name: and why";
        like $said, qr/choose another directory with "spool"/,
            "$name: and what to do";
    }

    my ($code, $said) = $check->("api_key $new_key; $to");

    is $code, 0, 'a key that was replaced' or diag $said;

    $t->sandbox->clear_faults;
    $t->start;
    ok $t->wait_events(1, 10), 'its own nginx goes on with it';
    $t->stop;
};

done_testing;

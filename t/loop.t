#!/usr/bin/perl

# The event loop is never held: how much of the processor one turn takes at
# most while what is large is dealt with.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(read_file);
use Klaviyo::Test::Shim;

use IO::Socket::INET ();
use MIME::Base64     qw(decode_base64 encode_base64);
use Mojo::JSON       qw(encode_json);

use constant CERTIFICATES => 1153;
use constant LIMIT        => 10;    # ms


sub held {
    my ($shim) = @_;

    my $longest = $shim->longest;

    SKIP: {
        skip 'valgrind plays the processor', 1 if $ENV{KLAVIYO_RUN};

        cmp_ok $longest // 'inf', '<', slow(LIMIT),
            'the loop was not held' . ($longest ? " ($longest ms)" : '');
    }

    return;
}

# of the system's store, each with another signature, which nobody checks in
# one that is trusted
sub certificates {
    my @own = read_file('/etc/ssl/certs/ca-certificates.crt')
        =~ /-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----/gs;
    my @many;

    for my $n (@own ? 1 .. CERTIFICATES : ()) {
        my $der = decode_base64($own[$n % @own]);

        substr $der, -4, 4, pack 'N', $n;

        push @many, "-----BEGIN CERTIFICATE-----\n" . encode_base64($der)
            . "-----END CERTIFICATE-----\n";
    }

    return @many;
}


subtest 'the first connection, with many trusted certificates' => sub {
    my @certificates = certificates();

    plan skip_all => 'no certificates of the system' if !@certificates;

    my $shim = Klaviyo::Test::Shim->new;
    my $t = Klaviyo::Test->new(
        front   => {http2 => 0},
        env     => $shim->env,
        http    => 'klaviyo_profile email $arg_email;',
        server  => 'location / { klaviyo_track X; return 200; }
                    location /klaviyo/ { klaviyo_pass; }',
        account => 'ssl_trusted_certificate %%DIR%%/trusted.crt;');

    $t->file('trusted.crt', join '', @certificates, read_file($t->{ca}->file));
    $t->start;

    $t->get('/?email=a@shop.com');
    ok $t->wait_events(1), 'an event';
    is $t->get('/klaviyo/api/lists')->status, 200, 'klaviyo_pass';
    held($shim);
    $t->stop;
};


# each of its errors names an event with as many words as Klaviyo likes

subtest 'a refusal of 969 KB' => sub {
    my $shim = Klaviyo::Test::Shim->new;
    my $t = Klaviyo::Test->new(
        env     => $shim->env,
        http    => 'klaviyo_profile email $arg_email;',
        server  => 'location / { klaviyo_track X; return 200; }',
        account => 'batch linger=2s;');

    my @errors = map { {
        id     => "error-$_", status => 400, code => 'invalid',
        title  => 'Invalid input.', detail => 'x' x 800,
        source => {pointer => '/data/attributes/events-bulk-create/data/'
            . "$_/attributes/events/data/0/attributes/properties"}
    } } 0 .. 969;

    $t->start;
    $t->sandbox->fault(kind => 'status', status => 400, times => 1,
        body => encode_json({errors => \@errors}));

    my $client = $t->client;

    $client->get("/?email=v$_\@shop.test")->status == 200 or fail "request $_"
        for 1 .. 970;

    ok wait_for(30, sub {
        $t->account->{requests}{bulk} > 1 && $t->account->{queued} == 0
    }), 'it is answered so, and every event has an end';
    cmp_ok $t->account->{replies}{refused}, '>', 0, 'there was a refusal';
    held($shim);
    $t->stop;
};


# libcurl would read the page byte by byte

subtest 'a proxy that refuses with a page of 60 KB' => sub {
    my $shim  = Klaviyo::Test::Shim->new;
    my $proxy = IO::Socket::INET->new(Listen => 1, Proto => 'tcp',
        LocalAddr => '127.0.0.1') // die "listen: $!\n";
    my $t = Klaviyo::Test->new(
        sandbox => 0,
        env     => $shim->env,
        http    => 'klaviyo_profile email $arg_email;',
        server  => 'location / { klaviyo_track X; return 200; }',
        account => 'endpoint https://klaviyo.test; retry min=60s max=60s;
                    proxy http://127.0.0.1:' . $proxy->sockport . ';');

    $t->start;
    $t->get('/?email=a@shop.com');

    my $client = $proxy->accept;

    sysread $client, my $head, 4096;
    like $head, qr/^CONNECT klaviyo\.test:443 /, 'asked for a way';
    syswrite $client, "HTTP/1.1 407 Proxy Authentication Required\r\n"
        . "Proxy-Authenticate: Basic realm=\"x\"\r\n"
        . "Content-Length: 60000\r\n\r\n" . 'x' x 60_000;

    ok wait_for(10, sub { $t->account->{replies}{none} }), 'no answer';
    like $t->log, qr/no answer: "the proxy refuses CONNECT with 407"/,
        'the log says whose';
    is $t->account->{queued}, 1, 'the event is kept';
    held($shim);
    $t->stop;
};


subtest 'events of 44 MB expire at once' => sub {
    my $shim = Klaviyo::Test::Shim->new;
    my $t = Klaviyo::Test->new(
        env     => $shim->env,
        http    => 'klaviyo_profile email $arg_email;
                    klaviyo_property Text $request_body;
                    client_body_buffer_size 64k;',
        server  => 'location / { klaviyo_request_body on; klaviyo_track X;
                                 return 200; }',
        account => 'queue %%QUEUE%% size=128m; retry max_age=1h;');

    $t->start;
    $t->sandbox->fault(kind => 'status', status => 503);

    my $client = $t->client;
    my $text   = 'x' x 20_000;

    for my $n (1 .. 2200) {
        $client->request(POST => "/?email=v$n\@shop.test", [], $text)->status
            == 200 or fail "request $n";
    }

    cmp_ok $t->account->{queued}, '==', 2200, 'all wait';
    $shim->clock(2 * 3600);
    ok wait_for(60, sub { $t->account->{queued} == 0 }), 'all are gone';
    is $t->account->{reasons}{dead}{expired}, 2200, 'expired';
    held($shim);
    $t->stop;
};


done_testing;

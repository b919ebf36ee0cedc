#!/usr/bin/perl

# The event loop is never held: how much of the processor one turn takes at
# most while what is large is dealt with.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(read_file);
use Klaviyo::Test::Shim;

use MIME::Base64 qw(decode_base64 encode_base64);

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


done_testing;

#!/usr/bin/perl

# Whoever has the queue's lock does not run: events wait in the workers that
# do, and nothing is lost by it but what has no room there, counted.
#
# A build for tests stops a worker behind the taken lock, see
# ngx_klaviyo_module/queue/klaviyo_crash.h.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(write_file);
use FindBin;

my $objs = $ENV{KLAVIYO_OBJS} // 'objs';

local $ENV{KLAVIYO_MODULE} =
    "$FindBin::Bin/../$objs/crash/ngx_http_klaviyo_module.so";


sub stopping {
    my $t = Klaviyo::Test->new(
        workers => 2,
        main    => 'env KLAVIYO_CRASH;',
        server => '
            location / {
                klaviyo_track "Viewed Page" account=shop;
                return 200 "page\n";
            }
            location /other {
                klaviyo_track "Viewed Page" account=other;
                return 200 "page\n";
            }
        ',
        http => '
            klaviyo_account other {
                api_key_file %%KEY_FILE%%;
                endpoint     %%ENDPOINT%%;
                queue        %%QUEUE%%.other size=8m;
                spool        off;
                batch        linger=50ms;
            }
            klaviyo_profile  email $arg_email;
            klaviyo_property Text  $arg_text;
        ',
    );

    mkdir $t->dir . '/crash';
    chmod 0777, $t->dir . '/crash' or die "chmod() failed: $!\n";
    $t->nginx->{env}{KLAVIYO_CRASH} = $t->dir . '/crash/point';

    return $t->start;
}

sub state_of {
    my ($pid) = @_;

    open my $in, '<', "/proc/$pid/stat" or return '';
    my $line = <$in> // '';

    return $line =~ /\) (\S)/ ? $1 : '';
}

# the worker that a request leaves stopped, with the lock
sub stop_one {
    my ($t) = @_;

    my $point = $t->dir . '/crash/point';

    write_file($point, "after_lock 1 stop\n");
    chmod 0666, $point or die "chmod() failed: $!\n";

    $t->get('/?email=first@shop.test');

    my @stopped;

    ok wait_for(15, sub {
        @stopped = grep { state_of($_) eq 'T' } $t->workers;
    }), 'a worker is stopped' or BAIL_OUT('no worker stopped');

    return $stopped[0];
}


subtest 'events wait for the lock' => sub {
    my $t = stopping();

    my $stopped = stop_one($t);

    $t->get("/?email=v$_\@shop.test") for 1 .. 50;

    is $t->account->{captured}, 0, 'nothing can be captured';

    kill CONT => $stopped;

    ok $t->wait_events(51), 'all arrived';

    my $account = $t->account;

    is $account->{captured}, 51, 'all are captured';
    is $account->{lost}, 0, 'none is lost';
    $t->stop;
};


subtest 'another account goes on' => sub {
    my $t = stopping();

    my $stopped = stop_one($t);

    $t->get('/?email=late@shop.test');
    $t->get("/other?email=v$_\@shop.test") for 1 .. 3;

    ok wait_for(15, sub { $t->account('other')->{captured} == 3 }),
        'what has another queue is captured';

    kill CONT => $stopped;

    ok wait_for(15, sub { $t->account('shop')->{captured} == 2 }),
        'and the rest with the lock';
    $t->stop;
};


subtest 'what has no room is lost, and counted' => sub {
    my $t = stopping();

    my $stopped = stop_one($t);
    my $text    = 'x' x 4000;

    $t->get("/?email=v$_\@shop.test&text=$text") for 1 .. 100;

    kill CONT => $stopped;

    ok wait_for(30, sub { $t->account->{captured} == 101 }),
        'each event is accounted for';

    my $account = $t->account;
    my $busy    = $account->{reasons}{lost}{queue_busy};

    cmp_ok $busy, '>', 0, 'some had no room';
    cmp_ok $busy, '<', 80, 'others had';
    ok $t->wait_events(101 - $busy), 'these arrived';
    $t->stop;
};


subtest 'a worker that ends' => sub {
    my $t = stopping();

    my $stopped = stop_one($t);

    $t->get("/?email=v$_\@shop.test") for 1 .. 5;

    my ($other) = grep { $_ != $stopped } $t->workers;

    kill QUIT => $other;

    ok wait_for(15, sub { !kill 0 => $other }),
        'ends though it cannot append';

    kill CONT => $stopped;

    ok wait_for(15, sub { $t->account->{captured} == 6 }),
        'each event is accounted for';
    is $t->account->{reasons}{lost}{queue_busy}, 5, 'as lost';

    $t->stop;
};


done_testing;

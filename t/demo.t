#!/usr/bin/perl

# `make demo ONCE=1`: a visit to the demo's shop, which fails by itself unless
# each event arrived as it should.  `FLEET=3`: three nginx, a Redis, and
# somebody who kills them; it ends well only if all that was captured was
# recorded.

use strict;
use warnings;

use FindBin;
use Test::More;

my $objs = $ENV{KLAVIYO_OBJS} // 'objs';

local %ENV = (%ENV, FLEET => 3, ONCE => 1);

$ENV{KLAVIYO_MODULE} //= "$FindBin::Bin/../$objs/ngx_http_klaviyo_module.so";
$ENV{KLAVIYO_FLEET_MODULE}
    //= "$FindBin::Bin/../$objs/ngx_http_klaviyo_fleet_module.so";

subtest 'the shop' => sub {
    my $output = `$^X $FindBin::Bin/../demo/run 2>&1`;

    is $?, 0, 'it ends well' or diag $output;
    like $output, qr/ Placed Order .*ada\@demo-shop\.test/,
        'an order is an event';
};

subtest 'the fleet' => sub {
    my $output = `$^X $FindBin::Bin/../demo/fleet 2>&1`;

    is $?, 0, 'it ends well' or diag $output;
    like $output, qr/delivers for all/, 'one delivers for all';
    like $output, qr/ is killed/, 'something is killed';
    like $output,
        qr/^all [1-9]\d+ events that were captured are recorded, and none/m,
        'and nothing is lost';
};

done_testing;

#!/usr/bin/perl

# Levels merge: klaviyo_profile and klaviyo_property by name, the inner one
# wins, an empty value removes; the defaults lie below, the block on top.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_profile  external_id  "at http";
        klaviyo_profile  city         http;
        klaviyo_profile  Tier         http;
        klaviyo_property a            http;
        klaviyo_property b            http;
        klaviyo_property removed      http;
        klaviyo_defaults off;

        klaviyo_track "Inherited";
    },
    server => <<'END');
        klaviyo_profile  city      server;
        klaviyo_property b         server;
        klaviyo_property c         $uri;
        klaviyo_property removed   "";

        location / {
            return 200 "";
        }

        location /inner {
            klaviyo_profile  external_id  inner;
            klaviyo_profile  Tier         "";
            klaviyo_profile  Name         inner;
            klaviyo_property c            3  number;
            klaviyo_property removed      back;
            klaviyo_property d            inner;
            return 200 "";

            location /inner/most {
                klaviyo_property d  "";
                klaviyo_property a  '[1]'  json;
                return 200 "";
            }
        }

        location /block {
            klaviyo_event "Block" {
                profile   city     block;
                profile   Tier     "";
                property  b        block;
                property  a        "";
                property  e        block;
            }
            klaviyo_track "Beside";
            return 200 "";
        }

        location /defaults {
            klaviyo_defaults on;
            klaviyo_property b "";
            return 200 "";

            location /defaults/off {
                klaviyo_defaults off;
                return 200 "";
            }
        }

        location /nobody {
            klaviyo_profile external_id "";
            return 200 "";
        }

        location /if {
            klaviyo_property b location;

            if ($arg_if) {
                klaviyo_event "If" { property f if; }
                return 200 "";
            }

            return 200 "";
        }
END

$t->start;

my $seen = 0;

# the events of one request, by metric
sub events {
    my ($path) = @_;

    $t->get($path);
    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = @events[$seen .. $#events];

    $seen = @events;

    return {map { $_->{metric} => $_ } @new};
}


my $event = events('/x')->{Inherited};

is_deeply $event->{profile}, {external_id => 'at http',
    location => {city => 'server'}, properties => {Tier => 'http'}},
    'a profile of two levels';
is_deeply $event->{properties}, {a => 'http', b => 'server', c => '/x'},
    'properties of two levels';

$event = events('/inner')->{Inherited};

is_deeply $event->{profile}, {external_id => 'inner',
    location => {city => 'server'}, properties => {Name => 'inner'}},
    'a profile of three levels';
is_deeply $event->{properties}, {a => 'http', b => 'server', c => 3,
    d => 'inner', removed => 'back'}, 'properties of three levels';

is_deeply events('/inner/most')->{Inherited}{properties}, {a => [1],
    b => 'server', c => 3, removed => 'back'}, 'of four';

my $events = events('/block');

is_deeply $events->{Block}{profile}, {external_id => 'at http',
    location => {city => 'block'}}, 'the block is on top of the profile';
is_deeply $events->{Block}{properties}, {b => 'block', c => '/block',
    e => 'block'}, 'and of the properties';
is_deeply $events->{Beside}{properties}, {a => 'http', b => 'server',
    c => '/block'}, 'and stays with its own track';
is_deeply $events->{Beside}{profile}{location}, {city => 'server'},
    'in the profile too';
ok !$events->{Inherited}, 'tracks do not merge';

is_deeply events('/defaults')->{Inherited}{properties}, {a => 'http',
    c => '/defaults', Method => 'GET', Path => '/defaults', Status => 200,
    URL => 'http://127.0.0.1/defaults',
    UserAgent => Klaviyo::Test::Client::AGENT}, 'defaults on';
is_deeply events('/defaults/off')->{Inherited}{properties}, {a => 'http',
    c => '/defaults/off'}, 'and off again';

is_deeply events('/nobody'), {}, 'an identifier removed: nobody';
is $t->account('shop')->{reasons}{skipped}{anonymous}, 1, 'counted';

$events = events('/if?if=1');

is_deeply $events->{If}{properties}, {a => 'http', b => 'location',
    c => '/if', f => 'if'}, 'an if merges with its location';
ok !$events->{Inherited}, 'and has its own track';

is_deeply events('/if')->{Inherited}{properties}, {a => 'http',
    b => 'location', c => '/if'}, 'which the location has not';

$t->stop;


# a reload changes all of it, and the old configuration stays as it was

$t = Klaviyo::Test->new(
    http   => 'klaviyo_profile external_id x; klaviyo_defaults off;',
    server => 'klaviyo_property a 1; klaviyo_track "X"; '
        . 'location / { return 200 ""; }');

$t->start;
$seen = 0;
is_deeply events('/')->{X}{properties}, {a => 1}, 'before a reload';

$t->set(server => 'klaviyo_property a 2; klaviyo_event "X" { property b 3; } '
    . 'location / { return 200 ""; }');
$t->reload(gone => 5);
is_deeply events('/')->{X}{properties}, {a => 2, b => 3}, 'after it';

$t->set(server => 'klaviyo_track "X"; location / { return 200 ""; }');
$t->reload(gone => 5);
is_deeply events('/')->{X}{properties}, {}, 'after another';
$t->stop;

done_testing;

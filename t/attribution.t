#!/usr/bin/perl

# klaviyo_attribution: the first and the last campaign of a visitor, in a
# cookie of the site's own, and as properties of the events that follow.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_defaults off;
        klaviyo_profile external_id x;
    },
    server => <<'END');
        klaviyo_attribution;
        klaviyo_track Viewed;

        location / { return 200 ""; }

        location /own {
            klaviyo_attribution cookie=c days=7;
            klaviyo_property last_utm_source mine;
            return 200 "";
        }

        location /inner {
            klaviyo_attribution cookie=c days=7;
            try_files /none /off;
        }

        location /off {
            klaviyo_attribution off;
            return 200 "";
        }

        location /consent {
            klaviyo_consent $arg_ok;
            return 200 "";
        }
END

$t->start;

my $seen = 0;

# the cookie that was set, and the properties of the event
sub visit {
    my ($path, $cookie) = @_;

    my $answer = $t->get($path, defined $cookie ? (Cookie => $cookie) : ());
    my $set    = $answer->header('Set-Cookie');

    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my $event  = $events[$seen];

    $seen = @events;

    return ($set, $event && $event->{properties});
}

my $rest = qr/; Path=\/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax/;

my ($set, $properties) = visit('/?utm_source=News+Letter&utm_medium=a%2Bb'
    . '&x=1&utm_email=ann%40shop.example&gclid=c');

like $set, qr/^klaviyo_campaign=utm_source=News\+Letter&utm_medium=a%2Bb&gclid=c
    \|utm_source=News\+Letter&utm_medium=a%2Bb&gclid=c$rest$/x,
    'the first visit sets the cookie, without an identity';
is_deeply $properties, {
    first_utm_source => 'News Letter', first_utm_medium => 'a+b',
    first_gclid => 'c',
    last_utm_source => 'News Letter', last_utm_medium => 'a+b',
    last_gclid => 'c',
}, 'and its event has it';

my ($cookie) = $set =~ /^([^;]+)/;

($set, $properties) = visit('/', $cookie);

is $set, undef, 'a page without a campaign sets none';
is $properties->{last_gclid}, 'c', 'but its event has the last';

($set, $properties) = visit('/?utm_source=ad&fbclid=f', $cookie);

like $set, qr/^klaviyo_campaign=utm_source=News\+Letter&utm_medium=a%2Bb&gclid=c
    \|utm_source=ad&fbclid=f$rest$/x, 'another campaign becomes the last';
is_deeply $properties, {
    first_utm_source => 'News Letter', first_utm_medium => 'a+b',
    first_gclid => 'c', last_utm_source => 'ad', last_fbclid => 'f',
}, 'the first stays';

($cookie) = $set =~ /^([^;]+)/;

($set) = visit('/?utm_source=ad&fbclid=f', $cookie);
like $set, qr/^\Q$cookie\E$rest$/, 'the same once more: its days begin anew';

# a link may hold what a cookie may not

($set, $properties) = visit('/?utm_source=a,b|c"d;e\\&gclid=' . 'g' x 480);
my $kept = 'utm_source=a%2Cb%7Cc%22d%3Be%5C&gclid=' . 'g' x 480;
like $set, qr/^klaviyo_campaign=\Q$kept|$kept\E$rest$/, 'which is encoded';
is $properties->{last_utm_source}, 'a,b|c"d;e\\', 'and read as it was';

visit('/', ($set =~ /^([^;]+)/)[0]);
is +($t->sandbox->events)->[-1]{properties}{first_utm_source}, 'a,b|c"d;e\\',
    'on a later page too';

# a location that the URI did not choose says nothing, nor does its args

($set) = visit('/inner?utm_source=a');
like $set, qr/^c=utm_source=a\|utm_source=a; /,
    'a redirect inside nginx: the location that the URI chose holds';

($set, $properties) = visit('/own?msclkid=m');
like $set, qr/^c=msclkid=m\|msclkid=m; Path=\/; Max-Age=604800; /,
    'a name and days of its own';

($set, $properties) = visit('/own', 'c=ttclid=t|utm_source=ad');
is_deeply $properties, {first_ttclid => 't', last_utm_source => 'mine'},
    'a property stands before it';

($set, $properties) = visit('/off?utm_source=a', $cookie);
is $set, undef, 'off: no cookie';
is_deeply $properties, {}, 'off: no properties';

($set, $properties) = visit('/consent?utm_source=a');
is $set, undef, 'no consent: no cookie';
is $properties, undef, 'no consent: no event';

($set) = visit('/consent?utm_source=a&ok=1');
like $set, qr/^klaviyo_campaign=utm_source=a\|/, 'consent: a cookie';

# what a visitor writes

for my $case (
    ['klaviyo_campaign=', {}],
    ['klaviyo_campaign=x', {}],
    ['klaviyo_campaign=|', {}],
    ['klaviyo_campaign=a=b&utm_email=c|_kx=d', {}],
    ['klaviyo_campaign=utm_A=b&utm_=c|utm_a=&=d&&utm_b', {}],
    ['klaviyo_campaign=utm_a=1&utm_a=2|utm_a=%22%0a%ff',
        {first_utm_a => 1, last_utm_a => "\"\n\x{fffd}"}],
    ['klaviyo_campaign=' . 'x' x 3500 . '|gclid=a', {}],
    ['klaviyo_campaign=gclid=' . 'x' x 600 . '|gclid=a', {last_gclid => 'a'}],
    ['klaviyo_campaign=|' . join('&', map { "utm_$_=$_" } 1 .. 30),
        {map { ("last_utm_$_" => $_) } 1 .. 10}],
) {
    my ($cookie, $expected) = @$case;

    ($set, $properties) = visit('/', $cookie);

    is_deeply $properties, $expected, 'written: ' . substr $cookie, 0, 60;
}

sub left_out { $t->account->{reasons}{left_out}{campaign} // 0 }

for my $case (
    ['utm_source=' . 'x' x 501, 1], ['utm_source=' . ',' x 170, 1],
    ['utm_source=', 0], ['UTM_source=a', 0], ['utm_email=a', 0],
) {
    my ($query, $count) = @$case;
    my $before = left_out();

    ($set) = visit("/?$query");
    is $set, undef, 'not kept: ' . substr $query, 0, 40;
    is left_out() - $before, $count, "counted $count times";
}

my $before = left_out();

($set) = visit('/?' . join '&', map { "utm_$_=$_" } 1 .. 30);
like $set, qr/^klaviyo_campaign=utm_1=1&.*&utm_10=10\|/, 'ten are kept';
is left_out() - $before, 20, 'and the others are counted';

$before = left_out();

($set) = visit('/?' . join '&', map { "utm_$_=" . $_ x 480 } 1 .. 9);
like $set, qr/^klaviyo_campaign=utm_1=1+&utm_2=2+&utm_3=3+\|/,
    '1,500 bytes are kept';
is left_out() - $before, 6, 'and the others are counted';

$t->stop;


for my $case (
    ['another word', 'klaviyo_attribution on;', qr/invalid parameter "on"/],
    ['a bad name', 'klaviyo_attribution cookie=__kla_id;',
        qr/invalid name "__kla_id" of a cookie/],
    ['no name', 'klaviyo_attribution cookie=;', qr/invalid name "" of a cook/],
    ['too many days', 'klaviyo_attribution days=401;',
        qr/invalid number of days "401": it must be 1 to 400/],
    ['off and more', 'klaviyo_attribution off days=1;', qr/parameter "off"/],
    ['days twice', 'klaviyo_attribution days=30 days=31;',
        qr/duplicate parameter "days=31"/],
    ['a cookie twice', 'klaviyo_attribution cookie=a cookie=b;',
        qr/duplicate parameter "cookie=b"/],
    ["another one's cookie", 'klaviyo_kx_cookie klaviyo_campaign;'
        . ' location / { klaviyo_attribution; klaviyo_track A; }',
        qr/"klaviyo_kx_cookie" and "klaviyo_attribution" have one cookie "kl/],
    ['twice', 'klaviyo_attribution; klaviyo_attribution off;', qr/is duplic/],
) {
    my ($what, $line, $expected) = @$case;
    my ($code, $output) = config_test(server => $line);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
}

done_testing;

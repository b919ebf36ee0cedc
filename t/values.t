#!/usr/bin/perl

# What values become: every type, constant and from a request, the places of
# a profile's fields, amount, currency, time, unique_id, backfill, the
# defaults; what is left out, and what a configuration may not hold.

use lib 't/lib';
use Klaviyo::Test;

use File::Temp qw(tempfile);


sub refused {
    my ($what, $expected, $server, %option) = @_;

    my ($code, $output) = config_test(server => $server, %option);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
    like $output, qr/nginx\.conf:[1-9]/, "$what: says where";
}


sub escape {
    my ($text) = @_;

    utf8::encode($text) if utf8::is_utf8($text);

    return $text =~ s/([^A-Za-z0-9_.-])/sprintf '%%%02X', ord $1/ger;
}


my $t = Klaviyo::Test->new(
    http   => 'large_client_header_buffers 4 256k;',
    server => <<'END');
        klaviyo_defaults off;
        default_type text/plain;

        location / { return 200 ""; }

        location /constant {
            klaviyo_profile id "01GDDKASAP8TKDDA2GRZDSVP4H";
            klaviyo_profile email a.b+c@shop.com;
            klaviyo_profile phone_number +15005550006;
            klaviyo_profile external_id 17;
            klaviyo_profile anonymous_id anon;
            klaviyo_profile _kx abc.XyZ123;
            klaviyo_profile first_name "Zoë";
            klaviyo_profile last_name 'O"Neil\\';
            klaviyo_profile organization o;
            klaviyo_profile locale de-DE;
            klaviyo_profile title t;
            klaviyo_profile image https://shop.com/i.png;
            klaviyo_profile ip 192.0.2.1;
            klaviyo_profile address1 a1;
            klaviyo_profile address2 a2;
            klaviyo_profile city Köln;
            klaviyo_profile country DE;
            klaviyo_profile region NW;
            klaviyo_profile zip 50667;
            klaviyo_profile timezone Europe/Berlin;
            klaviyo_profile latitude 50.94 number;
            klaviyo_profile longitude 6.96;
            klaviyo_profile Tier 3 number;
            klaviyo_profile Tags "a, b" list;

            klaviyo_property s text;
            klaviyo_property n -1.5e3 number;
            klaviyo_property b off bool;
            klaviyo_property l " a ,,b," list;
            klaviyo_property j '{"a": [1, null, {"b": "c"}]}' json;
            klaviyo_property "na\"me, with ü" v;

            klaviyo_event "Constant" {
                value 12.50 EUR;
                time 2026-01-02T03:04:05+01:00;
                backfill on;
            }
            return 200 "";
        }

        location /variable {
            klaviyo_profile external_id $arg_who;
            klaviyo_profile email $http_x_email;
            klaviyo_profile phone_number $http_x_phone;
            klaviyo_profile anonymous_id $http_x_anonymous;
            klaviyo_profile latitude $http_x_latitude number;
            klaviyo_profile Tier $http_x_tier number;

            klaviyo_property before constant;
            klaviyo_property s $http_x_s;
            klaviyo_property joined "<$http_x_s|$http_x_n>";
            klaviyo_property n $http_x_n number;
            klaviyo_property b $http_x_b bool;
            klaviyo_property l $http_x_l list;
            klaviyo_property j $http_x_j json;
            klaviyo_property after constant;

            klaviyo_event "Variable" {
                value $http_x_value $http_x_currency;
                time $http_x_time;
                backfill $http_x_backfill;
                unique_id $http_x_id;
            }
            return 200 "";
        }

        location /defaults {
            klaviyo_defaults on;
            klaviyo_profile external_id x;
            klaviyo_track "Defaults" status=200,404;
            return 200 "";

            location /defaults/replaced {
                klaviyo_property URL $uri;
                klaviyo_property UserAgent "";
                klaviyo_property utm_source mine;
                klaviyo_property utm_term "";
                return 200 "";
            }

            location /defaults/404 {
                return 404;
            }
        }
END

$t->start;

my $seen = 0;

# the events of one request
sub events {
    my ($path, @headers) = @_;

    my $response = $t->get($path, @headers);

    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = @events[$seen .. $#events];

    $seen = @events;

    return wantarray ? @new : $new[0];
}


# constants

my $event = events('/constant');

is_deeply $event->{profile}, {
    id           => '01GDDKASAP8TKDDA2GRZDSVP4H',
    email        => 'a.b+c@shop.com',
    phone_number => '+15005550006',
    external_id  => '17',
    anonymous_id => 'anon',
    _kx          => 'abc.XyZ123',
    first_name   => 'Zoë',
    last_name    => 'O"Neil\\',
    organization => 'o',
    locale       => 'de-DE',
    title        => 't',
    image        => 'https://shop.com/i.png',
    location     => {
        ip        => '192.0.2.1',
        address1  => 'a1',
        address2  => 'a2',
        city      => 'Köln',
        country   => 'DE',
        region    => 'NW',
        zip       => '50667',
        timezone  => 'Europe/Berlin',
        latitude  => 50.94,
        longitude => '6.96',
    },
    properties => {Tier => 3, Tags => ['a', 'b']},
}, 'each field has its place';

is_deeply $event->{properties}, {
    s                => 'text',
    n                => -1500,
    b                => Mojo::JSON->false,
    l                => ['a', 'b'],
    j                => {a => [1, undef, {b => 'c'}]},
    'na"me, with ü'  => 'v',
}, 'each type of constant';

is $event->{value}, 12.5, 'an amount';
is $event->{value_currency}, 'EUR', 'its currency';
is $event->{time}, '2026-01-02T02:04:05+00:00', 'a time';
ok $event->{backfill}, 'backfill';
like $event->{unique_id},
    qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    'an id was minted';


# from the request

my $before = time;

$event = events('/variable?who=v');

is_deeply $event->{properties}, {before => 'constant', after => 'constant',
    joined => '<|>'}, 'what is empty is left out';
is_deeply $event->{profile}, {external_id => 'v'}, 'in the profile too';
ok !exists $event->{$_}, "no $_" for qw(value value_currency backfill);
like $event->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/,
    'the time of the request';

$event = events('/variable?who=v',
    'X-Email' => 'v@shop.com', 'X-Phone' => ' +4915112345678 ',
    'X-Latitude' => '1.5', 'X-Tier' => 7, 'X-S' => "a\"b\\c\td/é",
    'X-N' => 12.25, 'X-B' => 'TRUE', 'X-L' => 'x, y,"z"',
    'X-J' => '[{"a":"\u00e9"}, 1.0, "\ud83d\ude00"]', 'X-Value' => '0.10',
    'X-Currency' => 'USD', 'X-Time' => time - 60, 'X-Id' => ' order_1 ',
    'X-Backfill' => '1');

is_deeply $event->{profile}, {
    external_id  => 'v',
    email        => 'v@shop.com',
    phone_number => '+4915112345678',
    location     => {latitude => 1.5},
    properties   => {Tier => 7},
}, 'a profile';
is $event->{properties}{s}, "a\"b\\c\td/é", 'a string';
is $event->{properties}{joined}, "<a\"b\\c\td/é|12.25>", 'a joined one';
is $event->{properties}{n}, 12.25, 'a number';
is_deeply $event->{properties}{b}, Mojo::JSON->true, 'a bool';
is_deeply $event->{properties}{l}, ['x', 'y', '"z"'], 'a list';
is_deeply $event->{properties}{j}, [{a => 'é'}, 1, "\x{1f600}"], 'JSON';
is $event->{value}, 0.1, 'an amount';
is $event->{value_currency}, 'USD', 'a currency';
is $event->{unique_id}, 'order_1', 'a unique_id, trimmed';
ok $event->{backfill}, 'backfill';


# each that is left out, and its count; the event goes all the same

sub left_out { return $t->account('shop')->{reasons}{left_out} }

my $count = left_out();

for my $case (
    ['X-N', 'number', qw(0x10 1. NaN 12abc +1), '1,5'],
    ['X-B', 'bool', qw(maybe 2 tru)],
    ['X-J', 'json', '{', '[1,]', 'x', '"\x"', '[' x 10 . ']' x 10],
    ['X-Email', 'email', 'v', 'v@', 'v@localhost', 'a b@shop.com',
        'v%40', 'a%20b%40shop.com', 'a%40b%40shop.com', 'a%00b%40shop.com',
        '%C3%BC@shop.com', 'a%00b@shop.com', 'b%40c@shop.com',
        'x' x 92 . '@shop.com'],
    ['X-Phone', 'phone_number', qw(015112345678 +0123456789 +1-500 +12)],
    ['X-Anonymous', 'identifier', "\xe4", "j\xfcrgen", "a\x01b", "a\x7f",
        "\xef\xbf\xbd"],
    ['X-Latitude', 'number', 'north'],
    ['X-Value', 'value', qw(10XYZ free)],
    ['X-Time', 'time', qw(yesterday 0 -1 99999999999 2026-13-01T00:00:00Z)],
    ['X-Id', 'unique_id', 'x' x 256, "\xff", "a\x{ed}\xa0\x80"],
    ['X-Backfill', 'backfill', qw(maybe 2)],
) {
    my ($header, $name, @values) = @$case;

    for my $value (@values) {
        my $label = "$header: " . escape($value);
        my ($event, @more) = events('/variable?who=v', $header => $value,
            'X-Currency' => 'USD');

        is @more, 0, "$label: one event";
        is $event->{metric}, 'Variable', "$label: goes";
        is_deeply [sort keys %{ $event->{properties} }],
            ['after', 'before', 'joined'], "$label: without it";
        is_deeply [sort keys %{ $event->{profile} }], ['external_id'],
            "$label: nor in the profile";
        ok !exists $event->{value} && !$event->{backfill},
            "$label: nor in the event";

        my $now = left_out();

        is $now->{$name}, $count->{$name} + 1, "$label: counted";

        delete $_->{$name} for my $rest = {%$now}, my $old = {%$count};
        is_deeply $rest, $old, "$label: nothing else is";

        $count = $now;
    }
}

# cookies hold them encoded, as nginx leaves them

$event = events('/variable', 'X-Email' => 'ada%2Bnews%40shop.com');
is $event->{profile}{email}, 'ada+news@shop.com', 'an encoded email';

$event = events('/variable', 'X-Email' => 'ada%2Bnews@shop.com');
is $event->{profile}{email}, 'ada+news@shop.com', 'encoded in part';

$event = events('/variable', 'X-Phone' => '%2B15005550006');
is $event->{profile}{phone_number}, '+15005550006', 'an encoded phone number';

$event = events('/variable?who=v', 'X-Value' => 3, 'X-Currency' => 'euro');

ok !exists $event->{value}, 'no amount of what is no currency';
ok !exists $event->{value_currency}, 'nor that';
is left_out()->{currency}, $count->{currency} + 1, 'and counted';

$event = events('/variable?who=v', 'X-Currency' => 'EUR');
ok !exists $event->{value_currency}, 'no currency without an amount';

is scalar(events('/variable', 'X-Email' => 'bad')), undef, 'nobody: no event';
is $t->account('shop')->{reasons}{skipped}{anonymous}, 1, 'counted';


# defaults

$event = events('/defaults?a=1&utm_source=News+Letter%21&UTM_X=1&utm_medium='
    . '&utm_email=v%40shop.com&_kx=x.y&%5Fk%65=z&_KE=z&b=2&utm_source=second'
    . '&utm_Campaign=x&utm_=1&utm_a;b=2&utm_term=t#frag?_kx=1',
    'Host' => 'Shop.com:8080', 'User-Agent' => 'agent/1',
    'Referer' => 'https://ref.com/?_kx=1&c=d&&utm_email=x&%5fkx#e');

is_deeply $event->{properties}, {
    URL        => 'http://shop.com:8080/defaults?a=1&utm_source=News+Letter%21'
        . '&UTM_X=1&utm_medium=&b=2&utm_source=second&utm_Campaign=x&utm_=1'
        . '&utm_a;b=2&utm_term=t',
    Path       => '/defaults',
    Method     => 'GET',
    Status     => 200,
    Referrer   => 'https://ref.com/?c=d&',
    UserAgent  => 'agent/1',
    utm_source => 'News Letter!',
    utm_term   => 't',
}, 'the defaults';

$event = events('/defaults?_kx=1');
is $event->{properties}{URL}, 'http://127.0.0.1/defaults',
    'nothing is left of the arguments';

# an identity inside the URL that an argument holds

for my $case (
    ['next=%2Fsale%3F_kx%3DS.AbC&a=1', 'a=1'],
    ['next=%252Fsale%253Fb%253D1%2526%255Fkx%253DS.AbC&a=1', 'a=1'],
    ['a=1;_kx=S.AbC', ''],
    ['a=1;utm_email=x&b=2', 'b=2'],
    ['u=/x?_ke=1', ''],
    ['u=_kx=1', ''],
    ['next=%2Fsale%3Fmy_kx%3D1', 'next=%2Fsale%3Fmy_kx%3D1'],
    ['q=_kx', 'q=_kx'],
    ['q=%25%3D%&r=%2', 'q=%25%3D%&r=%2'],
) {
    my ($from, $to) = @$case;

    $event = events("/defaults?$from", Referer => "https://r.test/?$from");

    my $rest = length $to ? "?$to" : '';

    is $event->{properties}{URL}, "http://127.0.0.1/defaults$rest",
        "URL: $from";
    is $event->{properties}{Referrer}, "https://r.test/$rest",
        "Referrer: $from";
}

$event = events('/defaults?' . join '&', map { "utm_$_=$_" } 1 .. 30);
is scalar(grep { /^utm_/ } keys %{ $event->{properties} }), 20,
    'twenty of utm_*';
is $t->account->{reasons}{left_out}{campaign}, 1, 'the rest is counted';

$event = events('/defaults/404');
is $event->{properties}{Status}, 404, 'the status';

$t->h2('/defaults?a=1', 'User-Agent' => 'agent/2');
$t->wait_idle;
$event = $t->sandbox->events->[$seen++];
is $event->{properties}{URL},
    'http://127.0.0.1:' . $t->port('H2') . '/defaults?a=1', 'by HTTP/2';
is $event->{properties}{UserAgent}, 'agent/2', 'with its headers';

$event = events('/defaults/replaced?utm_source=s&utm_term=t&utm_id=i',
    'User-Agent' => 'agent/1');

is_deeply $event->{properties}, {
    URL        => '/defaults/replaced',
    Path       => '/defaults/replaced',
    Method     => 'GET',
    Status     => 200,
    utm_source => 'mine',
    utm_id     => 'i',
}, 'properties replace and remove defaults';

$t->stop;


# refused

my %fields = (
    'an unknown type' => ['klaviyo_property a b int;', qr/invalid type "int"/],
    'a bad number'    => ['klaviyo_property P 1,5 number;',
                          qr/invalid number "1,5" of "P": write it as/],
    'a bad bool'      => ['klaviyo_property P maybe bool;',
                          qr/invalid bool "maybe" of "P": write "true"/],
    'bad JSON'        => ['klaviyo_property P "{" json;',
                          qr/invalid json "\{" of "P": write JSON/],
    'a blank value'   => ['klaviyo_property P " ";',
                          qr/value " " of "P" is nothing to send/],
    'an empty list'   => ['klaviyo_property P "," list;',
                          qr/value "," of "P" is nothing to send/],
    'null'            => ['klaviyo_property P null json;',
                          qr/value "null" of "P" is nothing to send/],
    'an empty name'   => ['klaviyo_property "" x;', qr/empty name/],
    'a variable name' => ['klaviyo_property $uri x;',
                          qr/invalid name "\$uri": names are constant/],
    'a bad email'     => ['klaviyo_profile email a@b;',
                          qr/invalid email "a\@b": write it as/],
    'a bad phone'     => ['klaviyo_profile phone_number 0123;',
                          qr/invalid phone number "0123": write it in E.164/],
    'a number for an email'
        => ['klaviyo_profile email 1 number;',
            qr/invalid type "number" of the profile's "email", which is a str/],
    'a control character in an identifier'
        => ["klaviyo_profile external_id 'a\tb';",
            qr/invalid external_id "a\tb": write UTF-8 without control ch/],
    'dollars that are a capture' => [
        'location / { klaviyo_property Price "$19.90"; }',
        qr/invalid value "\$19.90": nginx takes "\$1" for a capt.*: write 19.90/],
    'dollars in a profile' => [
        'location / { klaviyo_event A { profile Spent "$1,200"; } }',
        qr/invalid value "\$1,200": nginx takes "\$1" for a capture/],
    'a latitude that is none' => ['klaviyo_profile latitude abc;',
        qr/invalid latitude "abc": write degrees, as in 52.52/],
    'a latitude with a comma' => ['klaviyo_profile latitude 52,52;',
                                  qr/invalid latitude "52,52": write degrees/],
    'a latitude too high' => ['klaviyo_profile latitude 90.01 number;',
                              qr/invalid latitude "90.01": write degrees/],
    'a longitude too low' => ['klaviyo_profile longitude -181;',
                              qr/invalid longitude "-181": write degrees/],
    'a list for a latitude'
        => ['klaviyo_profile latitude 1 list;',
            qr/invalid type "list" of .*"latitude", .*a string or a number/],
    'a field twice'   => ['klaviyo_profile a 1; klaviyo_profile a 2;',
                          qr/duplicate klaviyo_profile "a"/],
    'a property twice' => ['klaviyo_property a 1; klaviyo_property a $uri;',
                           qr/duplicate klaviyo_property "a"/],
    'defaults maybe'  => ['klaviyo_defaults maybe;', qr/it must be "on" or/],
    'no value'        => ['klaviyo_profile email;', qr/invalid number of arg/],
);

refused $_, $fields{$_}[1], $fields{$_}[0] for sort keys %fields;


# bytes that are no UTF-8, in a file as they are

my ($handle, $bytes) = tempfile(UNLINK => 1);

binmode $handle;
$handle->autoflush;

my %bytes = (
    'a value of bad UTF-8' => ["klaviyo_property P '\xff';",
                               qr/invalid string ".*" of "P": write UTF-8/],
    'a name of bad UTF-8'  => ["klaviyo_property '\xff' x;",
                               qr/invalid name ".*": it must be UTF-8/],
    'a metric of bad UTF-8' => ["klaviyo_track '\xff';",
                                qr/invalid metric ".*": it must have 1 to/],
);

for my $what (sort keys %bytes) {
    truncate $handle, 0;
    seek $handle, 0, 0;
    print $handle $bytes{$what}[0];

    my ($code, $output) = config_test(server => "include $bytes;");

    isnt $code, 0, "$what: refused";
    like $output, $bytes{$what}[1], "$what: says so";
    like $output, qr/ in \Q$bytes\E:1/, "$what: says where";
}

# Klaviyo tells names by case

my ($code, $output) = config_test(
    server => 'klaviyo_profile Email $arg_email; klaviyo_profile Tier 1;');

is $code, 0, 'a name in another case: accepted';
like $output, qr/\[warn\].*"Email" will be a custom.*own field is "email"/,
    'with a warning';
unlike $output, qr/Tier/, 'not of what is no field of Klaviyo\'s';

done_testing;

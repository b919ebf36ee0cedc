#!/usr/bin/perl

# Amounts, currencies, times, phone numbers, emails and addresses as shops and
# people write them: what arrives is in Klaviyo's form; what can be read in
# two ways is left out, and counted.

use lib 't/lib';
use Klaviyo::Test;

use Mojo::Date;
use Mojo::JSON qw(encode_json);


my $order = <<'END';
            klaviyo_request_body on;
            klaviyo_skip off;
            klaviyo_identity off;
            client_body_buffer_size 512k;
            return 200 "";
END

my $t = Klaviyo::Test->new(
    http => <<'END',
        klaviyo_defaults off;

        klaviyo_json $email     $request_body /email;
        klaviyo_json $phone     $request_body /phone;
        klaviyo_json $ip        $request_body /ip;
        klaviyo_json $id        $request_body /id;
        klaviyo_json $total     $request_body /total;
        klaviyo_json $currency  $request_body /currency;
        klaviyo_json $time      $request_body /time;

        klaviyo_profile email         $email;
        klaviyo_profile phone_number  $phone;
        klaviyo_profile ip            $ip;
        klaviyo_profile external_id   $arg_who;
END
    server => <<"END");
        location / { return 200 ""; }

        location /order {
            klaviyo_event "Placed Order" {
                value \$total \$currency;
                unique_id \$id;
                time \$time;
            }
$order
            location /order/minor {
                klaviyo_event "Placed Order" {
                    value \$total \$currency minor;
                    unique_id \$id;
                }
$order
            }

            location /order/comma {
                klaviyo_event "Placed Order" {
                    value \$total \$currency decimal=,;
                    time \$time zone=+02:00;
                    unique_id \$id;
                }
$order
            }

            location /order/point {
                klaviyo_event "Placed Order" {
                    value \$total \$currency decimal=.;
                    unique_id \$id;
                }
$order
            }

            location /order/euro {
                klaviyo_event "Placed Order" {
                    value \$total EUR;
                    unique_id \$id;
                }
$order
            }

            location /order/bare {
                klaviyo_event "Placed Order" {
                    value \$total;
                    unique_id \$id;
                }
$order
            }

            location /order/germany {
                klaviyo_phone_country 49;
$order
                location /order/germany/off {
                    klaviyo_phone_country off;
$order
                }
            }
        }

        location /constant {
            klaviyo_event "Constant" {
                value "1.234,50 €" eur;
                time "2026-09-06 18:05:09" zone=+02:00;
                profile external_id c;
            }

            return 200 "";
        }

        location /mixed {
            klaviyo_event "Mixed" {
                value 4999 \$arg_c minor;
                profile external_id m;
            }

            return 200 "";
        }

        location ~ ^/bought/([0-9.]+)\$ {
            klaviyo_event "Bought" {
                value \$1 USD;
                profile external_id b;
            }

            return 200 "";
        }
END

$t->start;

my $n    = 0;
my $seen = 0;

sub left_out { return $t->account('shop')->{reasons}{left_out} // {} }

# the event of an order, and what was counted for it
sub order {
    my ($path, %member) = @_;

    my $before = left_out();
    my %body   = (id => 'o' . ++$n, email => 'ann@shop.example',
        total => '10.00', currency => 'EUR', %member);

    delete $body{$_} for grep { !defined $body{$_} } keys %body;

    is $t->post($path, encode_json(\%body),
        'Content-Type' => 'application/json')->status, 200, 'served';

    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my $event  = $events[$seen];
    my $after  = left_out();

    $seen = @events;

    my %count = map { $_ => $after->{$_} - ($before->{$_} // 0) }
        grep { $after->{$_} != ($before->{$_} // 0) } keys %$after;

    return ($event, \%count);
}


# amounts and currencies: [path, total, currency, value, its currency, counted]

for my $case (
    ['', 3350000, 'vnd', 3350000, 'VND'],
    ['', '12.5', ' usd ', 12.5, 'USD'],
    ['', '12.5', '$', undef, undef, 'currency'],
    ['', '12.5', 'euro', undef, undef, 'currency'],
    ['', '12.5', 'XXX', undef, undef, 'currency'],
    ['', '12.5', undef, undef, undef, 'currency'],
    ['', undef, 'euro', undef, undef],
    ['', '4,998.00', 'USD', 4998, 'USD'],
    ['', '1 234,56', 'EUR', 1234.56, 'EUR'],
    ['', "1\x{a0}234,56 €", 'EUR', 1234.56, 'EUR'],
    ['', '€49.00', 'EUR', 49, 'EUR'],
    ['', '€49.00', 'USD', undef, undef, 'value'],
    ['', '$49.00', 'EUR', undef, undef, 'value'],
    ['', '$49.00', 'MXN', 49, 'MXN'],
    ['', '£5', 'EUR', undef, undef, 'value'],
    ['', '5 £', 'GBP', 5, 'GBP'],
    ['', '¥980', 'USD', undef, undef, 'value'],
    ['', '¥980', 'CNY', 980, 'CNY'],
    ['', '49,90 kr', 'EUR', undef, undef, 'value'],
    ['', 'Rs. 49', 'USD', undef, undef, 'value'],
    ['', '-33,95', 'EUR', -33.95, 'EUR'],
    ['', '1,234', 'USD', undef, undef, 'value'],
    ['', '139.980', 'CLP', undef, undef, 'value'],
    ['', '139.980', 'KWD', 139.98, 'KWD'],
    ['', 'free', 'USD', undef, undef, 'value'],
    ['/comma', '1,234', 'USD', 1.234, 'USD'],
    ['/comma', '139.980', 'CLP', 139980, 'CLP'],
    ['/point', '1,234', 'USD', 1234, 'USD'],
    ['/point', '139.980', 'CLP', 139.98, 'CLP'],
    ['/minor', 4999, 'usd', 49.99, 'USD'],
    ['/minor', 4999, 'jpy', 4999, 'JPY'],
    ['/minor', 4999, 'bhd', 4.999, 'BHD'],
    ['/minor', 5, 'eur', 0.05, 'EUR'],
    ['/minor', 4999, undef, undef, undef, 'currency'],
    ['/euro', '19,90 €', 'USD', 19.9, 'EUR'],
    ['/euro', '19,90 USD', 'USD', undef, undef, 'value'],
    ['/bare', '$19.90', 'USD', 19.9, undef],
) {
    my ($path, $total, $currency, $value, $code, $counted) = @$case;

    my $label = join ' ', $path, $total // 'no total', $currency // 'none';
    my ($event, $count) = order("/order$path", total => $total,
        currency => $currency);

    is $event->{metric}, 'Placed Order', "$label: goes";
    is $event->{value}, $value, "$label: the value";
    is $event->{value_currency}, $code, "$label: the currency";
    is_deeply $count, $counted ? {$counted => 1} : {}, "$label: counted";
}

# digits stay as they are

order('/order', total => '1 234,50', currency => 'eur');

like $t->sandbox->body, qr/"value":1234\.50,"value_currency":"EUR"/,
    'a decimal that is zero stays';


# times

my $zone = '/order/comma';

for my $case (
    ['/order', '2026-09-06T18:05:09', '2026-09-06T18:05:09'],
    ['/order', '2026-09-06 18:05:09', '2026-09-06T18:05:09'],
    ['/order', '2026-09-06T18:05', '2026-09-06T18:05:00'],
    ['/order', '2026-09-06T18:05:09.123Z', '2026-09-06T18:05:09'],
    ['/order', '2026-09-06T18:05:09-04:00', '2026-09-06T22:05:09'],
    ['/order', 1795986490000, '2026-11-29T21:08:10'],
    ['/order', 1795986490, '2026-11-29T21:08:10'],
    ['/order', 'Sun, 06 Sep 2026 18:05:09 +0000', '2026-09-06T18:05:09'],
    ['/order', 'Sun, 06 Sep 2026 18:05:09 GMT', '2026-09-06T18:05:09'],
    ['/order', 'Sunday, 06-Sep-26 18:05:09 GMT', '2026-09-06T18:05:09'],
    ['/order', 'Sun Sep  6 18:05:09 2026', '2026-09-06T18:05:09'],
    [$zone, '2026-09-06T18:05:09', '2026-09-06T16:05:09'],
    [$zone, '2026-09-06T18:05:09Z', '2026-09-06T18:05:09'],
    [$zone, 'Sun, 06 Sep 2026 18:05:09 +0000', '2026-09-06T18:05:09'],
) {
    my ($path, $time, $expected) = @$case;
    my ($event, $count) = order($path, time => $time);

    is $event->{time}, "$expected+00:00", "$path: $time";
    is_deeply $count, {}, "$time: nothing is counted";
}

for my $time ('yesterday', '2026-09-06', '06/09/2026 18:05:09') {
    my ($event, $count) = order('/order', time => $time);

    ok abs(Mojo::Date->new($event->{time})->epoch - time) < 60,
        "$time: the time of the request";
    is_deeply $count, {time => 1}, "$time: counted";
}

my $told = () = $t->log =~ /\[warn\].*klaviyo: "[^"]*" is no time of/g;

is $told, 1, 'told once a minute';
like $t->log, qr/klaviyo: "yesterday" is no time.*request: "POST \/order/,
    'with what it was, and where';
like $t->log, qr/\[warn\].*klaviyo: "\$" is no currency, the event goes with/,
    'so is a currency';
like $t->log, qr/\[warn\].*klaviyo: "[^"]+49\.00" is no value that can be read/,
    'and an amount';


# phone numbers

for my $case (
    ['', '+44 7911 123456', '+447911123456'],
    ['', '+1-555-123-4567', '+15551234567'],
    ['', '+1 (555) 123.4567', '+15551234567'],
    ['', '0044 7911 123456', '+447911123456'],
    ['', '+44 (0)7911 123456', '+447911123456'],
    ['', '+15551234567', '+15551234567'],
    ['', '(312) 345-6789', undef],
    ['', '0151 12345678', undef],
    ['/germany', '0151 12345678', '+4915112345678'],
    ['/germany', '(030) 123456-78', '+493012345678'],
    ['/germany', '+44 7911 123456', '+447911123456'],
    ['/germany', '(312) 345-6789', undef],
    ['/germany/off', '0151 12345678', undef],
) {
    my ($path, $phone, $expected) = @$case;
    my ($event, $count) = order("/order$path", phone => $phone);

    is $event->{profile}{phone_number}, $expected, "phone $path $phone";
    is_deeply $count, defined $expected ? {} : {phone_number => 1},
        "phone $path $phone: counted";
}

# it is who it is

my ($who) = order('/order', email => undef, phone => '+44 7911 123456');
is $who->{profile}{phone_number}, '+447911123456', 'a phone number alone';


# emails

for my $case (
    ['info@bücher.example', 'info@xn--bcher-kva.example'],
    ['info@BÜCHER.example', 'info@xn--bcher-kva.example'],
    ['info%40b%C3%BCcher.example', 'info@xn--bcher-kva.example'],
) {
    my ($email, $expected) = @$case;
    my ($event, $count) = order('/order', email => $email);

    is $event->{profile}{email}, $expected, "$email: in Punycode";
    is_deeply $count, {}, "$email: nothing is counted";
}

for my $domain ('example.com', 'Test.com') {
    my ($event) = order('/order', email => "ann\@$domain");

    is $event->{profile}{email}, "ann\@$domain", "$domain: sent";
}

$told = () = $t->log =~ /\[warn\].*klaviyo: "[^"]*" is a domain whose events/g;

is $told, 1, 'a domain that Klaviyo drops: told once';
like $t->log, qr/klaviyo: "example\.com" is a domain whose events Klaviyo acc/,
    'with the domain alone';
unlike $t->log =~ s/.*request: .*//gr, qr/ann\@/, 'and nobody\'s name';


# addresses

for my $case (
    ['203.0.113.7', 1],
    ['2001:db8::7', 1],
    ['203.0.113.7, 172.68.1.1', 0],
    ['203.0.113.7:51324', 0],
    ['[2001:db8::7]', 0],
    ['unknown', 0],
    ['fe80::1%eth0', 0],
    ['1..2.3', 0], ['01.2.3.4', 0], ['...', 0], ['1.2.3.4.', 0], ['1::2::3', 0],
) {
    my ($ip, $good) = @$case;
    my ($event, $count) = order('/order', ip => $ip);

    is $event->{profile}{location}{ip}, $good ? $ip : undef, "ip $ip";
    is_deeply $count, $good ? {} : {ip => 1}, "ip $ip: counted";
}


# constants, captures

$t->get('/constant');
$t->get('/mixed?c=jpy');
$t->get('/mixed?c=usd');
$t->get('/mixed?c=none');
$t->get('/bought/12.50');
$t->wait_idle;

my @events = @{ $t->sandbox->events };
@events = @events[$seen .. $#events];

is $events[0]{value}, 1234.5, 'a constant amount';
is $events[0]{value_currency}, 'EUR', 'its currency';
is $events[0]{time}, '2026-09-06T16:05:09+00:00', 'a constant time';
is $events[1]{value}, 4999, 'a constant amount in minor units: JPY';
is $events[2]{value}, 49.99, 'USD';
ok !exists $events[3]{value} && !exists $events[3]{value_currency},
    'no currency';
is $events[4]{value}, 12.5, 'a capture of the location';

$t->stop;


# nginx -t

for my $case (
    ['an amount that nginx takes for a capture', 'value "$19.90" USD;',
        qr/invalid value "\$19\.90": nginx takes "\$1" for a .*: write 19\.90/],
    ['one of more digits', 'value "$100" USD;', qr/"\$1" for a capture.*100/],
    ['an ambiguous one', 'value 1,234 USD;', qr/invalid value "1,234"/],
    ['one of another currency', 'value 10EUR USD;', qr/invalid value "10EUR"/],
    ['no currency', 'value 10 XXX;', qr/invalid currency "XXX": write a code/],
    ['minor alone', 'value $arg_v minor;', qr/"minor" needs a currency/],
    ['minor twice', 'value $arg_v USD minor minor;', qr/duplicate .*"minor"/],
    ['another decimal', 'value $arg_v USD decimal=;;',
        qr/invalid parameter "decimal=": it is "decimal=,"/],
    ['decimal twice', 'value $arg_v decimal=, decimal=.;', qr/duplicate para/],
    ['a third word', 'value $arg_v USD EUR;', qr/invalid parameter "EUR"/],
    ['a bad zone', 'time $arg_t zone=Berlin;',
        qr/invalid parameter "zone=Berlin": write the zone as in zone=\+02/],
    ['a zone without a sign', 'time $arg_t zone=02:00;', qr/invalid param/],
    ['a bad address', 'profile ip "203.0.113.7, 172.68.1.1";',
        qr/invalid address "203\.0\.113\.7, 172\.68\.1\.1"/],
) {
    my ($what, $line, $expected) = @$case;
    my ($code, $output) = config_test(
        server => "location /x { klaviyo_event E { $line } }");

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
}

for my $case (
    ['off by two', 'klaviyo_phone_country 36;', qr/code "36" is of no country/],
    ['no code', 'klaviyo_phone_country DE;', qr/invalid calling code "DE"/],
    ['twice', 'klaviyo_phone_country 49; klaviyo_phone_country 49;',
        qr/"klaviyo_phone_country" directive is duplicate/],
) {
    my ($what, $line, $expected) = @$case;
    my ($code, $output) = config_test(server => $line);

    isnt $code, 0, "klaviyo_phone_country, $what: refused";
    like $output, $expected, "klaviyo_phone_country, $what: says so";
}

my ($code, $output) = config_test(
    server => 'location /x { klaviyo_event E { value $1 USD; } }');

is $code, 0, 'a capture that a rewrite may set: taken';
like $output, qr/\[warn\].*"\$1" in the value "\$1" is a capture, which/,
    'with a warning';

for my $line ('email info@bücher.example', 'email ann%40shop.example',
    'phone_number "+44 (0)7911 123456"', 'phone_number "001 555 123 4567"',
    'ip 2001:DB8::1')
{
    ($code, $output) = config_test(server => "klaviyo_profile $line;");

    is $code, 0, "$line: taken" or diag $output;
}

($code, $output) = config_test(
    server => 'klaviyo_profile email ann@example.com;');

is $code, 0, 'a constant email that Klaviyo drops: taken';
like $output, qr/\[warn\].*accepts events of "ann\@example\.com", and drops/,
    'with a warning';

done_testing;

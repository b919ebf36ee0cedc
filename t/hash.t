#!/usr/bin/perl

# klaviyo_hash: a keyed hash for values that must not leave the house.  Its
# key is made of the account's: the same after a reload and on every host.

use lib 't/lib';
use Klaviyo::Test;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);


sub hashed {
    my ($value) = @_;

    return hmac_sha256_hex($value,
        hmac_sha256('klaviyo_hash', Klaviyo::Test->KEY));
}

my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_hash     $order    $cookie_session;
        klaviyo_hash     $both     "$arg_a-$arg_b";
        klaviyo_profile  external_id  $order;
        klaviyo_defaults off;
        klaviyo_identity off;
    },
    server => <<'END');
        location / {
            klaviyo_event "Ordered" { unique_id $order; }
            add_header X-Hash "<$order>";
            add_header X-Both $both;
            return 200 "";
        }
END

$t->start;

sub asked {
    my ($session, $args) = @_;

    return $t->get('/' . ($args // ''),
        defined $session ? ('Cookie' => "session=$session") : ());
}

is asked('s3cret')->header('x-hash'), '<' . hashed('s3cret') . '>',
    'HMAC-SHA256 by a key derived from the account\'s';
is asked('other')->header('x-hash'), '<' . hashed('other') . '>',
    'another value';
is asked()->header('x-hash'), '<>', 'nothing has no hash';
is asked('', '?a=1&b=2')->header('x-both'), hashed('1-2'), 'several variables';

ok $t->reload, 'reloaded';
is asked('s3cret')->header('x-hash'), '<' . hashed('s3cret') . '>',
    'the same after a reload';

$t->wait_idle;

my @events = @{ $t->sandbox->events };

ok @events >= 2, 'events came';
is $events[0]{unique_id}, hashed('s3cret'), 'as a unique_id';
is $events[0]{profile}{external_id}, hashed('s3cret'), 'as an identifier';

$t->stop;


# the configuration

sub refused {
    my ($what, $expected, $http) = @_;

    my ($code, $output) = config_test(http => $http);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: said why";
}

my $second = 'klaviyo_account other { api_key_file %%KEY_FILE%%; '
    . 'endpoint %%ENDPOINT%%; queue %%QUEUE_DIR%%/other.ring size=1m; '
    . 'spool %%DIR%%/other; }';

refused 'no name', qr/invalid variable name "order"/,
    'klaviyo_hash order $cookie_session;';
refused 'a name that is taken', qr/the duplicate "uri" variable/,
    'klaviyo_hash $uri $cookie_session;';
refused 'twice', qr/the variable "\$order" is there already/,
    'klaviyo_hash $order $cookie_a; klaviyo_hash $order $cookie_b;';
refused 'a parameter', qr/invalid parameter "key=1": expected "account="/,
    'klaviyo_hash $order $cookie_session key=1;';
refused 'an unknown account',
    qr/unknown account "x" for klaviyo_hash "\$order"/,
    'klaviyo_hash $order $cookie_session account=x;';
refused 'two accounts', qr/no account chosen for klaviyo_hash "\$order" in /,
    "$second klaviyo_hash \$order \$cookie_session;";

my ($code, $output) = config_test(
    http => "$second klaviyo_hash \$order \$cookie_session account=other;");

is $code, 0, 'one of two' or diag $output;

done_testing;

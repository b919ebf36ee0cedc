#!/usr/bin/perl

# Many shops in one server: account= and klaviyo_account_default by a
# variable.  Page views: the parameter "view".  Rules that can never fire are
# told by nginx -t.

use lib 't/lib';
use Klaviyo::Test;


sub warned {
    my ($what, $expected, $server) = @_;

    my ($code, $output) = config_test(server => $server);

    is $code, 0, "$what: accepted";

    if ($expected) {
        like $output, $expected, "$what: warned of";
    }
    else {
        unlike $output, qr/never fire|names no profile/, "$what: no warning";
    }
}


my $second = 'klaviyo_account %s { api_key_file %%%%KEY_FILE%%%%; '
    . 'endpoint %%%%ENDPOINT%%%%; queue %%%%QUEUE_DIR%%%%/%1$s.ring size=1m; '
    . 'spool %%%%DIR%%%%/%1$s; batch linger=50ms; }';

my $t = Klaviyo::Test->new(
    http   => sprintf($second, 'uk') . <<'END',
        klaviyo_profile external_id x;
        klaviyo_skip head prefetch bot;
        klaviyo_account_default $store;
        log_format captured '$request_uri $klaviyo_captured';

        map $arg_store $store {
            de       shop;
            uk       uk;
            default  $arg_store;
        }
END
    server => <<'END');
        access_log %%DIR%%/captured.log captured;

        location / {
            klaviyo_track "Default";
            klaviyo_track "Own" account=$arg_own;
            klaviyo_track "Constant" account=shop;
            return 200 "";
        }

        location /view {
            klaviyo_track "Viewed Page" view;
            default_type text/html;
            location /view/html  { return 200 "<html>"; }
            location /view/304   { return 304; }
            location /view/201   { return 201 "<html>"; }
            location /view/302   { return 302 /; }
            location /view/json  { default_type application/json;
                                   return 200 "{}"; }
        }
END

$t->start;

my $n = 0;

# how many were captured since the last call, by account
sub moved {
    my %is = map { $_ => $t->account($_)->{captured} } qw(shop uk);

    our %was;
    my $moved = join ' ', map { "$_ " . ($is{$_} - ($was{$_} // 0)) } qw(shop uk);
    %was = %is;

    return $moved;
}

sub accounts { return $t->account('shop')->{reasons}{skipped}{account} }

$t->get('/?store=de&own=uk');
is moved(), 'shop 2 uk 1', 'by the store';
$t->get('/?store=uk&own=uk');
is moved(), 'shop 1 uk 2', 'by another';
is accounts(), 0, 'all were known';
$t->get('/?store=fr&own=');
is moved(), 'shop 1 uk 0', 'unknown and empty: no event';
is accounts(), 2, 'counted';

sub views {
    my ($method, $path, @headers) = @_;

    $t->request($method => "$path?store=de", \@headers);

    return moved();
}

is views(GET => '/view/html'), 'shop 1 uk 0', 'view: HTML';
is views(GET => '/view/304'), 'shop 1 uk 0', 'view: 304';
is views(GET => '/view/html', 'Sec-Fetch-Dest' => 'document'), 'shop 1 uk 0',
    'view: a navigation';
is views(GET => '/view/html', 'Sec-Fetch-Dest' => 'empty'), 'shop 0 uk 0',
    'view: not fetch()';
is views(GET => "/view/$_"), 'shop 0 uk 0', "view: not $_"
    for qw(201 302 json);
is views($_ => '/view/html'), 'shop 0 uk 0', "view: not $_" for qw(POST HEAD);

$t->stop;


# rules that can never fire

my $x = 'location /x { klaviyo_track X%s; %s }';

warned 'return 404', qr/klaviyo_track "X" in \S+:\d+ can never fire: its/,
    sprintf $x, '', 'return 404;';
warned 'return 301 for GET', qr/"X" in \S+:\d+ can never fire for GET/,
    sprintf $x, '', 'return 301 /y;';
warned 'return outside status=', qr/can never fire.*"status=" leaves out/,
    sprintf $x, ' status=200', 'return 302 /y;';
warned 'behind a constant set', qr/can never fire/,
    sprintf $x, '', 'set $a b; return 404;';
warned 'return 200', undef, sprintf $x, '', 'return 200 "";';
warned 'return within status=', undef,
    sprintf $x, ' status=3xx', 'return 302 /y;';
warned 'an if before it', undef,
    sprintf $x, '', 'if ($arg_a) { return 200; } return 404;';
warned 'an error_page that answers', undef,
    sprintf $x, '', 'error_page 404 =200 /y; return 404;';
warned 'an inherited rule', undef,
    'klaviyo_track X; location /x { return 404; }';


# orders that name nobody

my $order = 'location /x { %s klaviyo_event "Order" { %s } return 200 ""; }';

warned 'a unique_id', qr/"Order" in \S+:\d+ has "unique_id" and names no pr/,
    sprintf $order, '', 'unique_id $arg_id; value $arg_v;';
warned 'a value', qr/"Order" in \S+:\d+ has "value" and names no profile/,
    sprintf $order, '', 'value $arg_v EUR;';
warned 'a name is nobody', qr/names no profile/,
    sprintf $order, 'klaviyo_profile first_name $arg_f;', 'unique_id $arg_id;';
warned 'its own profile', undef,
    sprintf $order, '', 'unique_id $arg_id; profile email $arg_email;';
warned 'that of klaviyo_profile', undef, sprintf $order,
    'klaviyo_profile external_id $arg_e;', 'unique_id $arg_id;';
warned 'what klaviyo_enrich says', undef, sprintf $order,
    'klaviyo_enrich /who;', 'unique_id $arg_id;';
warned 'no order', undef, sprintf $order, '', 'property A $arg_a;';

done_testing;

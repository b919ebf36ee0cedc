#!/usr/bin/perl

# klaviyo_track and klaviyo_event: where they may stand, their parameters, what
# is inherited, which account it goes to, and what is refused with which words.

use lib 't/lib';
use Klaviyo::Test;


sub refused {
    my ($what, $expected, $server, %option) = @_;

    my ($code, $output) = config_test(server => $server, %option);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
    like $output, qr/nginx\.conf:[1-9]/, "$what: says where";
}


# contexts, forms, inheritance

my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_profile external_id $arg_who;
        klaviyo_track "at http";
    },
    server => <<'END');
        location / {
            return 200 "inherited\n";
        }

        location /off {
            klaviyo_track off;
            return 200 "off\n";

            location /off/on {
                klaviyo_track "on again";
                return 200 "on\n";
            }
        }

        location /two {
            klaviyo_track 'one'; klaviyo_event 'two' { property n 2 number; }
            klaviyo_event "three"
            {
                # a comment with a } and a "quote
                property n "}3;{";
            }
            return 200 "three\n";
        }

        location /empty {
            klaviyo_event "empty block" { }
            return 200 "";
        }

        location /included {
            include %%DIR%%/included*.inc;
            return 200 "";
        }

        location /metric {
            klaviyo_track "Viewed $arg_what";
            return 200 "";
        }

        location /condition {
            klaviyo_track "condition" if=$arg_go$arg_more;
            return 200 "";
        }

        location /status {
            klaviyo_track "default";
            klaviyo_track "codes" status=404,302;
            klaviyo_track "classes" status=5xx,4xx;
            klaviyo_event "both" if=$arg_go status=200,4xx { property a b; }

            location /status/200 { return 200 ""; }
            location /status/302 { return 302 /; }
            location /status/404 { return 404; }
            location /status/418 { return 418; }
            location /status/503 { return 503; }
        }
END

$t->file('included1.inc',
    qq(klaviyo_event "included block" {\n include %%DIR%%/p.inc;\n}\n)
        =~ s/%%DIR%%/$t->dir/er);
$t->file('included2.inc', qq(klaviyo_track "included";\n));
$t->file('p.inc', qq(property from file;\n));

$t->start;

my $seen = 0;

# the metrics of one request, sorted
sub metrics {
    my ($path, $n) = @_;

    my $response = $t->get($path . ($path =~ /\?/ ? '&' : '?') . 'who=x');

    $t->wait_idle;

    my @events = @{ $t->sandbox->events };

    my @new = splice @events, $seen;
    $seen += @new;

    return [sort map { $_->{metric} } @new];
}


is_deeply metrics('/'), ['at http'], 'inherited from http';
is_deeply metrics('/off'), [], 'off';
is_deeply metrics('/off/on'), ['on again'], 'on inside off';
is_deeply metrics('/two'), ['one', 'three', 'two'], 'side by side';
is_deeply metrics('/empty'), ['empty block'], 'an empty block';
is_deeply metrics('/included'), ['included', 'included block'], 'included';
is_deeply metrics('/metric?what=Shoes'), ['Viewed Shoes'],
    'a variable in the metric';
is_deeply metrics('/condition?go=1'), ['condition'], 'if=1';
is_deeply metrics('/condition?go=0'), [], 'if=0';
is_deeply metrics('/condition'), [], 'if= empty';
is_deeply metrics('/condition?go=0&more=0'), ['condition'], 'if=00';
is_deeply metrics('/status/200'), ['default'], 'status 200';
is_deeply metrics('/status/302'), ['codes'], 'status 302';
is_deeply metrics('/status/404'), ['classes', 'codes'], 'status 404';
is_deeply metrics('/status/404?go=1'), ['both', 'classes', 'codes'],
    '404 and the condition';
is_deeply metrics('/status/418'), ['classes'], 'status 418';
is_deeply metrics('/status/503'), ['classes'], 'status 503';

my ($event) = grep { $_->{metric} eq 'included block' }
    @{ $t->sandbox->events };

is $event->{properties}{from}, 'file', 'include inside a block';

my $skipped = $t->account('shop')->{reasons}{skipped};

is $skipped->{condition}, 5, 'conditions are counted, after the status';
is $skipped->{status}, 12, 'statuses are counted';

# the metric of one request is too long, empty, no UTF-8

is_deeply metrics('/metric?what=' . 'x' x 121), [], 'a long metric';
is_deeply metrics("/metric?what=\xff"), [], 'a metric that is no UTF-8';
is $t->account('shop')->{reasons}{skipped}{metric}, 2, 'both are counted';
is_deeply metrics('/metric?what=' . 'x' x 120), ['Viewed ' . 'x' x 120],
    '127 characters';

$t->stop;


# an if in a location: both directives

$t = Klaviyo::Test->new(
    http   => 'klaviyo_profile external_id x; '
        . 'map $arg_plain $klaviyo_word { klaviyo_track 1; klaviyo_event 2; }',
    server => q{
        location / {
            set $answer "none";

            if ($arg_block) {
                klaviyo_event "block" { property block yes; }
                return 200 "block\n";
            }

            if ($arg_plain) {
                klaviyo_track "plain";
                return 200 "plain\n";
            }

            return 200 "none\n";
        }
    });

$t->start;
$t->get('/?block=1');
$t->get('/');
$t->get('/?plain=1');

is_deeply [sort map { $_->{metric} } @{ $t->wait_events(2) }],
    ['block', 'plain'], 'in if';
$t->wait_idle;
is $t->account('shop')->{captured}, 2, 'and only there';
$t->stop;


# accounts

my $second = 'klaviyo_account %s { api_key_file %%%%KEY_FILE%%%%; '
    . 'endpoint %%%%ENDPOINT%%%%; queue %%%%QUEUE_DIR%%%%/%1$s.ring size=1m; '
    . 'spool %%%%DIR%%%%/%1$s; batch linger=50ms; }';

$t = Klaviyo::Test->new(
    http => sprintf($second, 'second') . sprintf($second, 'third') . q{
        klaviyo_profile external_id x;
        klaviyo_account_default second;
    },
    server => q{
        location / {
            klaviyo_track "to the default";
            klaviyo_track "to shop" account=shop;
            return 200 "";
        }
        location /third {
            klaviyo_account_default third;
            klaviyo_track "inner default";
            return 200 "";
        }
    });

$t->start;
$t->get('/');
$t->get('/third') for 1 .. 2;
$t->wait_events(4);

is $t->account('shop')->{captured}, 1, 'account=';
is $t->account('second')->{captured}, 1, 'klaviyo_account_default';
is $t->account('third')->{captured}, 2, 'an inner default';
$t->stop;


refused 'no account',
    qr/no account for klaviyo_track "X" in .*: add "klaviyo_account/,
    'klaviyo_track X;', account => undef;
refused 'several, none chosen',
    qr/no account chosen for klaviyo_track "X" in .* there are 2: add/,
    'klaviyo_track X;', http => sprintf $second, 'second';
refused 'an unknown account',
    qr/unknown account "nope" for klaviyo_track "X" in/,
    'klaviyo_track X account=nope;';


# what is refused

my %parameters = (
    'an unknown parameter'   => ['X ifs=1', qr/"ifs=1": expected "account="/],
    'a second metric'        => ['X Y', qr/invalid parameter "Y"/],
    'an empty if='           => ['X if=', qr/invalid parameter "if="/],
    'if= twice'      => ['X if=1 if=2', qr/duplicate parameter "if=2"/],
    'account= twice' => ['X account=shop account=shop',
                         qr/duplicate parameter "account=shop"/],
    'status= twice'  => ['X status=200 status=300',
                         qr/duplicate parameter "status=300"/],
    'an empty metric'        => ['""', qr/invalid metric ""/],
    'a blank metric'         => ['"  "', qr/invalid metric "  "/],
    'a long metric'          => ['x' x 128, qr/invalid metric "x{128}"/],
    'a metric with a control character'
                             => ["'a\tb'", qr/invalid metric "a\tb"/],
    'off with a parameter'   => ['off if=1', qr/"if=1": "off" stands alone/],
    (map { ("status=$_" => ["X status=$_", qr/invalid "status=\Q$_\E": codes/])
         } ("2xx,", ",2xx", qw(99 600 xx 6xx 0xx 20x 2000 ok))),
);

refused $_, $parameters{$_}[1], "klaviyo_track $parameters{$_}[0];"
    for sort keys %parameters;

refused 'no metric', qr/invalid number of arguments in "klaviyo_track"/,
    'klaviyo_track;';
refused 'off beside others', qr/"off" must be the only one/,
    'klaviyo_track X; klaviyo_track off;';
refused 'others beside off', qr/must not stand beside "klaviyo_track off"/,
    'klaviyo_track off; klaviyo_event X { }';
refused 'off twice', qr/is duplicate/, 'klaviyo_track off; klaviyo_track off;';
refused 'off with a block', qr/"off" takes no block/,
    'klaviyo_event off { }';
refused 'klaviyo_track with a block',
    qr/directive "klaviyo_track" is not terminated by ";"/,
    'klaviyo_track X { property a b; }';
refused 'klaviyo_event without a block',
    qr/directive "klaviyo_event" has no opening "\{"/,
    'klaviyo_event X;';

my %blocks = (
    'an unknown directive'
        => ['nope 1;', qr/unknown directive "nope" in "klaviyo_event" block/],
    'a block in the block' => ['property a { }', qr/unexpected "\{"/],
    'value without a value'
        => ['value;', qr/invalid number of arguments in "value"/],
    'three words of value'
        => ['value 1 USD 2;', qr/invalid parameter "2": expected "minor"/],
    'a property without a value'
        => ['property a;', qr/invalid number of arguments in "property"/],
    'value twice'     => ['value 1; value 2;', qr/"value" directive is dupl/],
    'time twice'      => ['time $arg_t; time $arg_t;', qr/"time" dir.*is dup/],
    'unique_id twice' => ['unique_id $arg_u; unique_id $arg_u;',
                          qr/"unique_id" directive is duplicate/],
    'backfill twice'  => ['backfill on; backfill on;',
                          qr/"backfill" directive is duplicate/],
    'a property twice'
        => ['property A 1; property A 2;', qr/duplicate property "A"/],
    'a field twice'
        => ['profile city A; profile city B;', qr/duplicate profile "city"/],
    'a bad amount'    => ['value ten;', qr/invalid value "ten": write a num/],
    'a bad currency'  => ['value 1 euro;', qr/invalid currency "euro"/],
    'a bad time'      => ['time tomorrow;', qr/invalid time "tomorrow"/],
    'a bad backfill'  => ['backfill yes;', qr/invalid value "yes" of "backf/],
    'a constant unique_id'
        => ['unique_id same;', qr/invalid unique_id "same": without a var/],
);

refused $_, $blocks{$_}[1], "klaviyo_event X { $blocks{$_}[0] }"
    for sort keys %blocks;

refused 'an unknown default', qr/unknown account "none" in .*default" in \S+:\d/,
    'klaviyo_account_default none; location / { klaviyo_track X; }';
refused 'an unknown default of all',
    qr/unknown account "none" in .*default" in \S+:\d/,
    'location / { klaviyo_track X; }', http => 'klaviyo_account_default none;';
refused 'a default without a name', qr/"klaviyo_account_default" .* empty name/,
    'klaviyo_account_default "";';
refused 'a parameter without a value', qr/"status=": .*"status=" with a value/,
    'klaviyo_track A status=;';
refused 'two defaults', qr/"klaviyo_account_default" directive is duplicate/,
    'klaviyo_account_default shop; klaviyo_account_default shop;';

done_testing;

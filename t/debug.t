#!/usr/bin/perl

# klaviyo_debug: who is allowed to sees what would be captured and why not, and
# the events go to an account for tests; nobody else notices.

use lib 't/lib';
use Klaviyo::Test;

my $t = Klaviyo::Test->new(
    sandbox => {keys => ['pk_test_0123456789abcdef:shop', 'pk_tests:tests']},
    http    => q{
        klaviyo_account tests { api_key pk_tests; endpoint %%ENDPOINT%%;
            queue %%QUEUE_DIR%%/tests.ring size=1m; spool %%DIR%%/tests.spool;
            batch linger=50ms; retry min=50ms max=1s; }
        klaviyo_account_default shop;
        klaviyo_identity off;
        klaviyo_profile email $arg_email;
        klaviyo_property Note $arg_note;
        map $cookie_debug $allowed { default 0; yes 1; }
    },
    server  => q{
        klaviyo_debug $allowed account=tests;
        location = /two {
            klaviyo_track "Viewed Page";
            klaviyo_event "Placed Order" if=$arg_order { unique_id "o$arg_n"; }
            return 200 "page\n";
        }
        location = /gone  { klaviyo_track "Gone"; return 404; }
        location = /none  { klaviyo_track off; return 204; }
        location = /own   { klaviyo_debug $allowed; klaviyo_track "Own"; return 204; }
        location = /off   { klaviyo_debug off; klaviyo_track "Off"; return 204; }
        location = /signup {
            klaviyo_identify list=LIST01;
            klaviyo_subscribe list=LIST01 if=$arg_tick;
            return 204;
        }
        location = /named {
            klaviyo_response_header X-Event;
            return 204;
        }
    },
    allow => [qr/can never fire/],
);

my $s = $t->sandbox;

sub previews {
    my ($path, $cookie) = @_;

    my $raw = $t->raw("GET $path HTTP/1.1\r\nHost: localhost\r\nCookie: $cookie"
        . "\r\nConnection: close\r\n\r\n");
    my ($head) = split /\r\n\r\n/, $raw, 2;

    return [$head =~ /^X-Klaviyo-Preview: ([^\r]*)\r?$/mg];
}

$t->start;

subtest 'who is allowed to' => sub {
    my $seen = previews('/two?email=v@shop.test&note=a', 'debug=yes');

    is scalar @$seen, 2, 'a header for each rule' or diag explain $seen;
    like $seen->[0], qr/^captured "Viewed Page" for "tests": \{"profile":\{"type":"profile","attributes":\{"email":"v\@shop\.test".*"Note":"a".*\}$/,
        'what would be captured';
    is $seen->[1], 'skipped "Placed Order": condition (the condition of "if=" was not so)',
        'and what not, and why';

    $seen = previews('/two?note=a', 'debug=yes');
    is $seen->[0], 'skipped "Viewed Page": anonymous (visitors without an identity)',
        'nobody is known';

    $seen = previews('/two?email=v@shop.test&order=1&n=7', 'debug=yes');
    like $seen->[1], qr/^captured "Placed Order" for "tests": .*"unique_id":"o7"/,
        'an order';

    is_deeply previews('/gone?email=v@shop.test', 'debug=yes'),
        ['skipped "Gone": status (the answer had another status)'], 'a 404';
    is_deeply previews('/none?email=v@shop.test', 'debug=yes'),
        ['nothing: no rule is here'], 'no rule';
    is_deeply previews('/named?email=v@shop.test', 'debug=yes'),
        ['skipped: no_header, the application named nothing in "X-Event"'],
        'nothing was named';

    my $long = previews('/two?email=v@shop.test&note=' . 'x' x 4000,
        'debug=yes');
    like $long->[0], qr/\.\.\. \(cut\)$/, 'what is long is cut';
    cmp_ok length $long->[0], '<', 4000, '  in time';

    my $evil = $t->raw("GET /two?email=v\@shop.test&note=a%0d%0aX-Evil:1 HTTP/1.1\r\n"
        . "Host: localhost\r\nCookie: debug=yes\r\nConnection: close\r\n\r\n");
    unlike $evil, qr/^X-Evil/m, 'no header is smuggled in';
};


subtest 'the events go to the account for tests' => sub {
    ok $t->wait_idle(slow(10)), 'all of them have gone';

    my @events = @{ $s->events };

    is join(' ', sort keys %{{ map { $_->{account} => 1 } @events }}), 'tests',
        'to no other';
    is scalar(grep { $_->{metric} eq 'Placed Order' } @events), 1, 'the order';
    is scalar(grep { $_->{metric} eq 'Viewed Page' } @events), 4,
        'the views, each once';

    my ($shop, $tests) = map { $t->account($_) } qw(shop tests);

    is $shop->{captured}, 0, 'shop has none';
    is $shop->{reasons}{skipped}{anonymous}, 0, 'nor one that was skipped';
    is $tests->{captured}, 5, 'tests has them';
    is $tests->{reasons}{skipped}{anonymous}, 1,
        'what was only asked is not counted twice';
    is $tests->{reasons}{skipped}{condition}, 4, '  nor a condition'
        or diag explain $tests->{reasons}{skipped};
    is $tests->{reasons}{skipped}{status}, 1, '  nor a status';
};


subtest 'profiles and consent' => sub {
    my $seen = previews('/signup?email=v@shop.test&tick=1', 'debug=yes');

    is_deeply [sort @$seen],
        [map { "$_ is judged when the answer has left" }
         qw(klaviyo_identify klaviyo_subscribe)], 'said' or diag explain $seen;

    ok wait_for(slow(20), sub {
        my $state = $s->state('tests');
        return @{ $state->{profiles} } && @{ $state->{subscriptions} };
    }), 'they go to the account for tests, too' or diag explain $s->state('tests');
    is_deeply $s->state('shop')->{subscriptions}, [], 'and to no other';
};


subtest 'nobody else' => sub {
    is_deeply previews('/two?email=v@shop.test', 'a=b'), [], 'no header';
    is_deeply previews('/two?email=v@shop.test', 'debug=no'), [],
        'nor with another cookie';
    ok $t->wait_idle(slow(10)), 'they go';
    is scalar(grep { $_->{account} eq 'shop' } @{ $s->events }), 2,
        'to the account of the rule';

    is_deeply previews('/off?email=v@shop.test', 'debug=yes'), [], 'off';

    my $seen = previews('/own?email=v@shop.test', 'debug=yes');
    like $seen->[0], qr/^captured "Own" for "shop"/, 'without an account';
    ok $t->wait_idle(slow(10)), 'they go';
    is scalar(grep { $_->{account} eq 'shop' } @{ $s->events }), 4,
        'to that of the rule';
};

$t->stop;


subtest 'the configuration' => sub {
    my $refused = sub {
        my ($code, $out) = config_test(server => "klaviyo_track A; $_[0]",
            http => 'klaviyo_profile email $arg_email;');
        return "$code $out";
    };

    like $refused->('klaviyo_debug $arg_a account=nobody;'),
        qr/^1 .*unknown account "nobody" in "klaviyo_debug" in \S+:\d+/s,
        'an account that is none';
    like $refused->('klaviyo_debug on;'),
        qr/^1 .*would show every visitor's data to whoever asks/s,
        'for everybody';
    like $refused->('klaviyo_debug $arg_a to=shop;'),
        qr/^1 .*invalid parameter "to=shop": expected "account="/s, 'another parameter';
    like $refused->('klaviyo_debug $arg_a; klaviyo_debug $arg_b;'),
        qr/^1 .*is duplicate/s, 'twice';
    like $refused->('klaviyo_debug $arg_a account=shop;'), qr/^0 /, 'right';
};

done_testing;

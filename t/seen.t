#!/usr/bin/perl

# What is wrong is seen, and what it is: in the log at nginx's default level
# alone, on the page alone, in the metrics alone, by the doctor alone.  With KLAVIYO_ARTEFACTS set
# the page is kept in that folder.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run read_file write_file);
use Digest::SHA qw(sha256_base64);
use Mojo::DOM;
use Mojo::JSON;
use Time::HiRes qw(sleep time);

alarm slow(300);

# how each account fares, and by what it is told apart: a state of the
# metrics, and words of the page's verdict and of the log

my %case = (
    shop      => ['delivering', qr/\bdelivering\b/i, undef],
    down      => ['server_error', qr/errors of its own/,
                  qr/since \d\d:\d\d:\d\d: Klaviyo answers with errors of its own \(503.*\); 3 events wait, the oldest for \d+ s; events are kept/],
    away      => ['unreachable', qr/cannot be reached/,
                  qr/since \d\d:\d\d:\d\d: Klaviyo cannot be reached \(no answer.*\); 3 events wait, the oldest for \d+ s; events are kept; check the network/],
    wrong     => ['key_refused', qr/refuses the key/,
                  qr/Klaviyo refuses the key \(401.*\); 3 events wait, .*check the key/],
    scope     => ['scope_missing', qr/may not write events/,
                  qr/the key may not write events \(403.*\); 3 events wait, .*"events:write" is needed/],
    wall      => ['challenge', qr/a firewall answers/,
                  qr/a firewall answers in the place of Klaviyo \(403.*"proxy"/],
    poison    => ['delivering', qr/given up/,
                  qr/Klaviyo refused an event for good \(refused: 400/],
    full      => ['queue_full', qr/the queue is full/,
                  qr/the queue is full and events are lost, \d+ so far; \d+ wait; give "queue" more "size"/],
    nobody    => ['anonymous_only', qr/only anonymous visitors/i,
                  qr/only anonymous visitors came.*klaviyo_profile email/],
    empty     => ['nothing_captured', qr/nothing was captured yet/i, undef],
);

my @names = sort grep { $_ ne 'shop' } keys %case;

sub endpoint { return $_[0] =~ /^(?:away|full)$/ ? 'http://127.0.0.1:1'
                                                 : '%%ENDPOINT%%' }

sub server {
    return join "\n", (map { qq{
        location = /$_ {
            klaviyo_skip off;
            klaviyo_track "Viewed Page" account=$_;
            return 200 "page\\n";
        }} } @names), q{
        location / {
            klaviyo_track "Viewed Page" account=shop;
            return 200 "page\n";
        }
        location = /page    { klaviyo_track off; klaviyo_status html; }
        location = /metrics { klaviyo_track off; klaviyo_status prometheus; }
    };
}

my $t = Klaviyo::Test->new(
    sandbox => {keys => ['pk_test_0123456789abcdef:shop',
                         map { $_ eq 'wrong' ? () : "pk_test_$_:$_" } @names]},
    main    => 'error_log %%DIR%%/default.log;',
    account => 'batch linger=50ms; retry min=50ms max=1s;',
    server  => server(),
    http    => q{
        klaviyo_identity off;
        klaviyo_profile email $arg_email;
        klaviyo_property Kind $arg_kind;
        klaviyo_property Filler $arg_filler;
    } . join '', map {
        "klaviyo_account $_ { api_key pk_test_$_; endpoint " . endpoint($_)
        . "; queue %%QUEUE_DIR%%/$_.ring size=" . ($_ eq 'full' ? '256k' : '1m')
        . '; ' . ($_ eq 'full' ? 'spool off; dead_letter off; '
                             : "spool %%DIR%%/$_.spool; ")
        . 'batch linger=50ms; retry min=50ms max=1s; }'
    } @names);

$t->start;

my $log = $t->dir . '/default.log';
my $s   = $t->sandbox;

$s->fault(kind => 'status', status => 503, account => 'down');
$s->fault(kind => 'status', status => 403, account => 'scope');
$s->fault(kind => 'status', status => 403, account => 'wall',
    body => '<html>Access denied</html>');
$s->fault(kind => 'refuse', account => 'poison', pointer => 'event',
    match => {properties => {Kind => '^bad$'}});

my $began = time;

for my $name (qw(shop down away wrong scope wall poison)) {
    $t->get("/$name?email=v$_\@shop.test&kind=good") for 1 .. 3;
}

$t->get('/poison?email=v9@shop.test&kind=bad');
$t->get('/nobody') for 1 .. 12;

my $filler = 'x' x 3000;
$t->get("/full?email=v$_\@shop.test&filler=$filler") for 1 .. 100;


sub lines {
    my ($name) = @_;
    return grep { /klaviyo account "$name"/ } split /\n/, read_file($log);
}

sub verdict {
    my ($name) = @_;

    my $dom = Mojo::DOM->new($t->get('/page')->body);
    my $section = $dom->at("#account-$name") or return '';

    return $section->at('.verdict')->all_text;
}

sub states {
    my ($name) = @_;

    my @on = $t->get('/metrics')->body
        =~ /^nginx_klaviyo_state\{account="$name",state="(\w+)"\} 1$/mg;

    return join ' ', sort @on;
}


subtest 'the log at its default level' => sub {
    for my $name (sort keys %case) {
        my $want = $case{$name}[2];

        if (!$want) {
            is_deeply [lines($name)], [], "$name: nothing";
            next;
        }

        ok wait_for(slow(50), sub { grep { /\[error\].*$want/ } lines($name) }),
            "$name: said" or diag join "\n", lines($name);

        # no other's words

        for my $other (grep { $_ ne $name && $case{$_}[2] } keys %case) {
            is scalar(grep { $_ =~ $case{$other}[2] } lines($name)), 0,
                "$name: is not $other";
        }
    }

    my ($down) = lines('down');

    cmp_ok scalar(lines('down')), '<=', 1 + (time - $began) / 60,
        'one line a minute of a cause';
};


subtest 'the page' => sub {
    my $answer = $t->get('/page');
    my $page   = Mojo::DOM->new($answer->body);

    write_file("$ENV{KLAVIYO_ARTEFACTS}/page.html", $answer->body)
        if $ENV{KLAVIYO_ARTEFACTS};

    for my $name (sort keys %case) {
        my $verdict = verdict($name);

        like $verdict, $case{$name}[1], "$name: its verdict";
        my %also = (poison => 'shop', full => 'away');

        is join(' ', grep { $_ ne $name && $verdict =~ $case{$_}[1] }
                     sort keys %case),
            $also{$name} // '', "$name: is no other's" or diag $verdict;
    }

    like verdict('down'), qr/behind since \d\d:\d\d:\d\d: .*; 3 waiting, the oldest for \d+ s\. What to do: /,
        'since when, how many, how old, what to do';
    unlike $answer->body, qr/All is well/, 'not all is well';

    my $answers = sub { $page->at("#account-$_[0] .answers")->all_text };

    like $answers->('poison'), qr/400 .*\/data\/attributes/s,
        'the last answers: status and pointer';
    like $answers->('down'), qr/503 .*\d+ times in a row/s, 'a run of them';
    like $answers->('away'), qr/no answer/, 'none at all';
    unlike $answer->body, qr/\@shop\.test|pk_test/, 'nobody, and no key';
    like $page->at('#account-nobody')->all_text,
        qr/12 visitors without an identity/, 'skipped, in words';
    is $page->at('#account-shop')->find('meter')->size, 2, 'two bars';
    is $page->at('#account-full')->find('meter')->size, 1, 'without a spool';
    like $page->at('#account-shop dl')->all_text,
        qr/last success\s*\d\d:\d\d:\d\d, \d+ s ago/,
        'the last success';
};


subtest 'how it is served' => sub {
    my $answer = $t->get('/page');
    my $policy = $answer->header('Content-Security-Policy');

    is $answer->header('Cache-Control'), 'no-store', 'kept nowhere';
    is $answer->header('Refresh'), 10, 'read anew by itself';
    is $t->get('/page?refresh=0')->header('Refresh'), undef, 'unless not';
    like $policy, qr/default-src 'none';.*frame-ancestors 'none'/, 'strict';

    my ($style) = $answer->body =~ m{<style>(.*?)</style>}s;

    like $policy, qr/'sha256-\Q@{[sha256_base64($style)]}\E='/,
        'its own style, and no other';
    unlike $answer->body, qr/ style=|unsafe/, 'none in an attribute';
    is $t->get('/metrics')->header('Cache-Control'), 'no-store', 'nor figures';
};


subtest 'the metrics' => sub {
    for my $name (sort keys %case) {
        is states($name), $case{$name}[0], "$name: its state"
            if $name ne 'full';
    }

    like states('full'), qr/queue_full/, 'full: its state';

    my $text = $t->get('/metrics')->body;

    like $text, qr/^nginx_klaviyo_delivery_oldest_waiting_seconds\{account="down"\} [1-9]/m,
        'the age of the oldest';
    like $text, qr/^nginx_klaviyo_delivery_last_success_timestamp_seconds\{account="shop"\} 1\d{9}$/m,
        'the last success';
    like $text, qr/^nginx_klaviyo_delivery_last_success_timestamp_seconds\{account="down"\} 0$/m,
        'that never was';
    like $text, qr/^nginx_klaviyo_events_dead_total\{account="poison",reason="refused"\} 1$/m,
        'a poisoned event';
    is $t->account('away')->{state}{unreachable}, Mojo::JSON->true,
        'the JSON has it, too';
};


subtest 'the doctor' => sub {
    my $tool = $ENV{KLAVIYO_QUEUE}
        // ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';

    # the check that is at fault, and its words

    my %fault = (
        down   => ['Klaviyo', qr/answers with errors of its own \(503/],
        away   => ['connection', qr/cannot be reached at http:/],
        wrong  => ['key', qr/refuses the key \(401/],
        scope  => ['scopes', qr/may not write events \(403/],
        wall   => ['firewall', qr/a firewall answers .*"proxy"/],
        poison => ['events', qr/1 were given up, .*400 "Invalid input\./],
        full   => ['queue', qr/the queue is full and events are lost/],
        nobody => ['visitors', qr/only anonymous visitors came.*klaviyo_profile/],
    );

    my ($code, $out) = run($tool, 'doctor', '--nginx', $t->nginx->{binary},
        '--conf', $t->nginx->{conf}, '--prefix', $t->dir);

    is $code, 1, 'there are faults';
    unlike $out, qr/pk_test/, 'no key is shown';

    my %said = map { split /\n/, $_, 2 } grep { !/^\d+ faults/ } split /\n\n/, $out;

    is join(' ', sort keys %said), join(' ', sort 'shop', @names),
        'each account' or diag $out;

    for my $name (sort keys %said) {
        my %at = map { /^  FAULT  (\S+(?: \S+)?) +(.*)/ ? ($1 => $2) : () }
            split /\n/, $said{$name};

        if (!$fault{$name}) {
            is_deeply \%at, {}, "$name: no fault" or diag $said{$name};
            next;
        }

        my ($check, $words) = @{ $fault{$name} };

        like $at{$check}, $words, "$name: $check" or diag $said{$name};

        # but of the way to an endpoint that is none, and what nginx says

        delete @at{$check, 'delivery', $name eq 'full' ? 'connection' : ()};
        is_deeply \%at, {}, "$name: nothing else";
    }

    is +(run($tool, 'doctor', 'shop', '--nginx', $t->nginx->{binary},
        '--conf', $t->nginx->{conf}, '--prefix', $t->dir))[0], 0,
        'no fault: 0';
};


subtest 'a reload keeps it' => sub {
    my $since = $t->account('down')->{delivery}{failing_since};

    ok $t->reload(gone => 10), 'a reload';
    ok wait_for(slow(5), sub { $t->account('down')->{delivery}{deliverer} }),
        'somebody delivers';
    is $t->account('down')->{delivery}{failing_since}, $since, 'since when';
    like verdict('down'), $case{down}[1], 'and why';
    ok $t->account('shop')->{delivery}{last_success}, 'the last success';
};


subtest 'well again' => sub {
    $s->clear_faults;

    ok wait_for(slow(20), sub {
        my @again = $t->log =~ /\[notice\].*account "(down|scope|wall)": delivery works again, it had failed since/g;
        return "@{[sort @again]}" eq 'down scope wall';
    }), 'one line each, at notice';

    is scalar(grep { /works again/ } lines('down')), 0,
        'which the default level leaves out';

    ok wait_for(slow(5), sub { states('scope') eq 'delivering' }), 'the state';
    like verdict('scope'), qr/Delivering/, 'the verdict';
    ok +(grep { /^scope, mended, so far: / } Mojo::DOM->new(
            $t->get('/page')->body)->find('.wrong .mended')
            ->map('all_text')->each),
        'what was wrong is mended';
};

$t->stop;


subtest 'at warn, once' => sub {
    my $warned = sub {
        my (%part) = @_;
        my ($code, $output) = config_test(%part);
        return "$code $output";
    };

    like $warned->(account => 'queue %%DIR%%/shop.ring;'),
        qr/\[warn\] \S+ queue "\S*shop\.ring" of klaviyo_account "shop" .*is on a disk/s,
        'a ring on a disk';
    unlike $warned->(server => q{klaviyo_track "A";},
                     http => 'klaviyo_profile email $arg_email;'),
        qr/\[warn\]/, 'nothing to warn of';
    like $warned->(server => 'return 204;'),
        qr/^0 .*\[warn\] .*klaviyo_account "shop" in \S+:\d+ is used by no directive/s,
        'an account that nobody uses';
    like $warned->(account => 'endpoint https://a.klaviyo.com/api/;'),
        qr/^1 .*\[emerg\] \S+ invalid endpoint ".*": "\/api" would come twice/s,
        'an endpoint with /api';
    like $warned->(account => 'endpoint https://a.klaviyo.com/mirror;'),
        qr/^0 .*\[warn\] .*has the path "\/mirror"/s, 'and another path';
    like $warned->(server => q{klaviyo_track "A";},
                   http => 'klaviyo_identity off;'),
        qr/^0 .*\[warn\] .*no event can have a visitor, as the one in \S+:\d+/s,
        'no klaviyo_profile anywhere';
    unlike $warned->(server => q{klaviyo_event "A" { profile email $arg_e; }},
                     http => 'klaviyo_identity off;'),
        qr/no event can have/, 'one in a block is enough';
    unlike $warned->(server => "location / { $_ }", http => 'klaviyo_identity off;'
                         . ' klaviyo_track "A" status=404;'),
        qr/no event can have/, "or: $_"
        for 'klaviyo_identity cookie; return 404;',
            'klaviyo_track_json $arg_events; return 404;',
            'klaviyo_enrich /known; return 404;';
    like $warned->(server => "location / { $_; return 204; }"),
        qr/^0 .*\[warn\] .*klaviyo_\w+ in \S+:\d+ can never work: only/s,
        "$_: nobody" for 'klaviyo_identify',
            'klaviyo_subscribe list=X if=$arg_x',
            'klaviyo_profile first_name $arg_n; klaviyo_identify list=X';
    unlike $warned->(server => 'klaviyo_identify; location / {'
                         . ' klaviyo_profile email $arg_e; return 204; }'),
        qr/can never work/, 'somebody is named below';
};


done_testing;

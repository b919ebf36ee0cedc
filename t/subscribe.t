#!/usr/bin/perl

# klaviyo_subscribe: consent, in a lane of its own.

use lib 't/lib';
use Klaviyo::Test;

use Mojo::JSON  qw(decode_json encode_json);
use Time::HiRes qw(sleep time);

sub subscriptions {
    my ($t, $n, $seconds) = @_;

    my $all = sub { $t->sandbox->state('shop')->{subscriptions} };

    wait_for($seconds // 20, sub { @{ $all->() } >= $n }) if $n;

    return $all->();
}

my $profile = q{
    klaviyo_profile email $arg_email;
    klaviyo_profile phone_number $arg_phone;
    klaviyo_profile external_id $arg_id;
    klaviyo_profile anonymous_id $arg_anonymous;
    klaviyo_profile first_name $arg_name;
    klaviyo_profile Score $arg_score;
};

my $subscribe = 'klaviyo_subscribe list=LIST01 if=$arg_yes';


subtest 'what is recorded' => sub {
    my $t = Klaviyo::Test->new(http => $profile, server => qq{
        location /all { $subscribe source=form; return 200 "ok\\n"; }
        location /email { $subscribe channels=email; return 200 "ok\\n"; }
        location /which { klaviyo_subscribe list=\$arg_list if=1
            "source=web \$arg_source"; return 200 "ok\\n"; }
    })->start;

    $t->get('/all?yes=1&email=ann@shop.com&phone=%2B4915112345678&name=Ann'
        . '&id=7&score=9&anonymous=x');
    is_deeply subscriptions($t, 1)->[0], {list => 'LIST01', source => 'form',
        email => 'ann@shop.com', phone_number => '+4915112345678',
        channels => [qw(email sms)]}, 'both channels, and nothing else';

    $t->get('/email?yes=1&email=bob@shop.com&phone=%2B4915112345679');
    is_deeply subscriptions($t, 2)->[1]{channels}, ['email'], 'channels=';

    $t->get('/all?yes=1&email=carl@shop.com');
    is_deeply subscriptions($t, 3)->[2], {list => 'LIST01', source => 'form',
        email => 'carl@shop.com', channels => ['email']}, 'without a phone';

    $t->get('/which?list=LIST02&source=a%22b&email=dora@shop.com');
    is_deeply [@{ subscriptions($t, 4)->[3] }{qw(list source)}],
        ['LIST02', 'web a%22b'], 'variables';

    # no condition, no list, no identifier for any channel

    $t->get('/all?email=eve@shop.com');
    $t->get('/all?yes=0&email=eve@shop.com');
    $t->get('/which?email=eve@shop.com');
    $t->get('/which?list=..%2F..&email=eve@shop.com');
    $t->get('/all?yes=1&id=7');
    $t->get('/email?yes=1&phone=%2B4915112345678');
    $t->get('/all?yes=1&anonymous=x');
    $t->get('/all?yes=1&email=no+address');

    $t->get('/all?yes=1&email=last@shop.com');
    is subscriptions($t, 5)->[4]{email}, 'last@shop.com', 'the next one';

    my $lane = $t->account('shop/subscriptions');
    is $lane->{captured}, 5, 'captured';
    is $lane->{delivered}, 5, 'delivered';
    is_deeply { map { $_ => $lane->{reasons}{skipped}{$_} }
        qw(condition list anonymous) },
        {condition => 2, list => 2, anonymous => 4}, 'the others are counted';
    is $lane->{reasons}{left_out}{sms_channel}, 3, 'sms without a phone';
    is $lane->{reasons}{left_out}{email_channel}, 1, 'email without one';
    is $t->account->{captured}, 0, 'none of them is an event';

    my @requests = @{ $t->sandbox->requests };
    is $requests[0]{path}, '/api/profile-subscription-bulk-create-jobs',
        'the endpoint';
    is scalar(grep { $_->{status} != 202 } @requests), 0, 'all are taken';
    $t->stop;
};


subtest 'never a visitor\'s own claim' => sub {
    my $cookie = '__kla_id=eyIkZW1haWwiOiJhbm5Ac2hvcC5jb20ifQ==';
    my $t = Klaviyo::Test->new(server => q{
        location / { klaviyo_subscribe list=LIST01 if=1;
                     klaviyo_track "Viewed Page"; return 200 "hello\n"; }
    })->start;

    $t->get('/?utm_email=ann@shop.com');
    $t->get('/', Cookie => $cookie);
    ok $t->wait_events(2), 'events have their visitor';
    is $t->account('shop/subscriptions')->{reasons}{skipped}{anonymous}, 2,
        'who is not subscribed';
    is_deeply subscriptions($t), [], 'no subscription';
    $t->stop;
};


subtest 'of two for one person the later one counts' => sub {
    my $t = Klaviyo::Test->new(http => $profile,
        account => 'batch linger=2s;', server => q{
        location / { klaviyo_subscribe list=LIST01 if=1 source=$arg_source;
                     return 200 "hello\n"; }
        location /channel { klaviyo_subscribe list=LIST01 if=$arg_sms
                                channels=sms;
                            klaviyo_subscribe list=LIST01 if=$arg_email2
                                channels=email; return 200 "hello\n"; }
    })->start;

    $t->get("/channel?email=Ann\@shop.com&phone=%2B4915112345678&$_=1")
        for qw(sms email2);
    $t->get('/?email=bob@shop.com&source=one');
    $t->get('/?email=bob@shop.com&source=two');

    is scalar @{ subscriptions($t, 3) }, 3, 'one of ann, two of bob';
    is_deeply [map { $_->{channels} } grep { $_->{email} =~ /ann/i }
        @{ subscriptions($t) }], [['email']], 'the later of ann';
    is_deeply [map { $_->{source} } grep { $_->{email} =~ /bob/ }
        @{ subscriptions($t) }], [qw(one two)], 'both sources of bob, in order';

    ok wait_for(20, sub { $t->account('shop/subscriptions')->{queued} == 0 }),
        'all are done';
    my $lane = $t->account('shop/subscriptions');
    is $lane->{captured}, 4, 'captured';
    is $lane->{delivered}, 4, 'delivered';
    is $lane->{delivery}{superseded}, 1, 'one gave way';
    $t->stop;
};


subtest 'blocked, old, dead, replayed' => sub {
    my $t = Klaviyo::Test->new(http => $profile, server => qq{
        location / { $subscribe max_age=2s; klaviyo_track "Viewed Page";
                     return 200 "hello\\n"; }
    })->start;

    $t->sandbox->fault(kind => 'status', status => 403,
        endpoint => 'subscriptions');

    $t->get("/?yes=1&email=a$_\@shop.com") for 1 .. 3;
    ok $t->wait_events(3), 'events flow';
    ok wait_for(30, sub {
        $t->account('shop/subscriptions')->{dead} == 3 }), 'they grow old';

    my $lane = $t->account('shop/subscriptions');
    is $lane->{reasons}{dead}{expired}, 3, 'expired';
    is $t->account->{delivered}, 3, 'the events do not';

    my $file = $t->spool . '.subscriptions/dead.jsonl';
    ok wait_for(20, sub { -s $file }), 'their letters';
    $t->sandbox->clear_faults;

    my $queue = ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';
    my $ring  = $t->queue . '.subscriptions';
    like `$queue replay $ring $file 2>&1`,
        qr/--subscriptions.*0 events put, 3 lines skipped/s, 'not replayed';
    like `$queue replay --subscriptions $ring $file 2>&1`,
        qr/3 events put, 0 lines skipped/, 'but by who says so';
    is scalar @{ subscriptions($t, 3, 60) }, 3, 'delivered';
    $t->stop;
};


subtest 'an hour' => sub {
    my $t = Klaviyo::Test->new(http => $profile, server => qq{
        location / { $subscribe; return 200 "hello\\n"; }
    })->start;

    my $queue  = ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';
    my $fault  = $t->sandbox->fault(kind => 'status', status => 403,
        endpoint => 'subscriptions');

    $t->get('/?yes=1&email=ann@shop.com');
    ok wait_for(20, sub { $t->account('shop/subscriptions')->{queued} }),
        'it waits';

    my $text = `$queue export @{[$t->queue]}.subscriptions`;
    is decode_json($text)->{event}{type},
        'profile-subscription-bulk-create-job', 'it can be exported';
    $t->stop;
};


subtest 'slow, hung, SIGKILL' => sub {
    my $t = Klaviyo::Test->new(http => $profile, workers => 2,
        account => 'timeout total=20s;', server => qq{
        location / { $subscribe; klaviyo_track "Viewed Page";
                     return 200 "hello\\n"; }
    })->start;

    $t->sandbox->fault(kind => 'hang', endpoint => 'subscriptions',
        times => 1);
    $t->get('/?yes=1&email=first@shop.com');
    ok $t->wait_events(1), 'an event';
    $t->get('/?yes=1&email=second@shop.com');
    ok $t->wait_events(2, 10), 'and another while the lane hangs';

    my $n = 2;

    for my $round (1 .. 5) {
        for my $i (1 .. 20) {
            my $res = eval { $t->get('/?yes=1&email=k' . ($n + 1)
                . '@shop.com') };

            $n++ if $res && $res->status && $res->status == 200;
        }

        # an answer leaves before its record is written

        ok wait_for(20, sub { $t->account('shop/subscriptions')->{captured} >= $n }),
            "$n are captured";

        my @workers = $t->workers;
        kill KILL => @workers;
        wait_for(20, sub {
            my @now = $t->workers;
            @now == 2 && !grep { my $pid = $_; grep { $_ == $pid } @workers }
                @now });
    }

    ok wait_for(90, sub {
        my %seen = map { $_->{email} => 1 } @{ subscriptions($t) };
        keys %seen >= $n }), "all $n arrive";
    is $t->account('shop/subscriptions')->{lost}, 0, 'none is lost';
    $t->allow_kills;
    $t->stop;
};


subtest 'full' => sub {
    for my $full (qw(drop_newest drop_oldest)) {
        my $t = Klaviyo::Test->new(http => $profile,
            account => "queue %%QUEUE%% size=256k full=$full; spool off;",
            server => qq{
            location / { $subscribe source=\$arg_s; return 200 "hello\\n"; }
        })->start;

        $t->sandbox->fault(kind => 'status', status => 503,
            endpoint => 'subscriptions');

        my $client = $t->client;
        my $source = 'x' x 200;

        $client->get("/?yes=1&email=a$_\@shop.com&s=$source") for 1 .. 1000;

        my $lane = $t->account('shop/subscriptions');
        is $lane->{captured}, 1000, "$full: captured";
        cmp_ok $lane->{lost}, '>', 0, 'some are lost';
        is $lane->{lost}, 1000 - $lane->{queued}, 'and counted';
        $t->stop;
    }
};


subtest 'prometheus, html, klaviyo-queue' => sub {
    my $t = Klaviyo::Test->new(http => $profile, server => qq{
        location / { $subscribe; return 200 "hello\\n"; }
        location = /figures { klaviyo_status; }
    })->start;

    my $objs = $ENV{KLAVIYO_OBJS} // 'objs';
    my $name = $t->queue =~ s/\.ring\z/.subscriptions/r;

    ok wait_for(20, sub { -e "$name.account" }), 'it has a name';
    my $pid = open my $tail, '-|',
        "exec timeout 60 $objs/klaviyo-queue tail $name";
    ok $pid, 'tail';
    like scalar <$tail>, qr/now/, 'how it fares';

    $t->get('/?yes=1&email=ann@shop.com');
    subscriptions($t, 1);

    my $line = '';
    $line = <$tail> // last until $line =~ /one of/;
    like $line, qr/one of "subscriptions" of a visitor known by email\n/,
        'what is captured';
    kill TERM => $pid;
    close $tail;
    like `$objs/klaviyo-queue stat $name`, qr/^captured +1$/m, 'stat';

    ok wait_for(20, sub { $t->account('shop/subscriptions')->{delivered} }),
        'delivered';
    like $t->get('/figures?format=prometheus')->body,
        qr{events_delivered_total\{account="shop/subscriptions"\} 1\n},
        'prometheus';
    like $t->get('/figures?format=html')->body, qr{shop/subscriptions},
        'html';
    $t->stop;
};


subtest 'configuration' => sub {
    my %wrong = (
        'klaviyo_subscribe list=LIST01;' => qr/needs "if=": it lifts earlier/,
        'klaviyo_subscribe if=$arg_yes;' => qr/needs the list/,
        'klaviyo_subscribe list=LIST01 if=1 channels=fax;' =>
            qr/"channels" are "email" and "sms"/,
        'klaviyo_subscribe list=LIST01 if=1 max_age=0;' => qr/"max_age" is/,
        'klaviyo_subscribe list=LIST01 list=LIST02 if=1;' =>
            qr/duplicate parameter "list=LIST02"/,
        'klaviyo_subscribe "list=a b" if=1;' => qr/invalid list "a b"/,
    );

    for my $line (sort keys %wrong) {
        my ($code, $said) = config_test(server => $line);

        isnt $code, 0, $line;
        like $said, $wrong{$line}, 'told why';
    }

    for my $if (qw(newsletter 1 0 $arg_yes)) {
        my ($code, $said) = config_test(
            server => "klaviyo_subscribe list=LIST01 if=$if;");

        is $code, 0, "if=$if";
        is !!($said =~ /"if=\w+" of klaviyo_subscribe has no variable/),
            !!($if =~ /^[n1]/), 'told where it asks nobody';
    }

    my ($code, $said) = config_test(http => 'klaviyo_subscribe off;');
    like $said, qr/"klaviyo_subscribe" directive is not allowed here/,
        'not for all servers at once';
};

done_testing;

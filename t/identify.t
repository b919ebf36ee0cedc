#!/usr/bin/perl

# klaviyo_identify: profiles in bulk, in a lane of their own.

use lib 't/lib';
use Klaviyo::Test;

use Mojo::JSON  qw(decode_json encode_json);
use Time::HiRes qw(sleep);

sub klaviyo { return $_[0]->sandbox->state('shop') }

sub imported {
    my ($t, $n, $seconds) = @_;

    return wait_for($seconds // 20, sub {
        my $all = klaviyo($t)->{imported};

        return @$all >= $n ? $all : undef;
    }) // klaviyo($t)->{imported};
}

my $profile = q{
    klaviyo_profile email $arg_email;
    klaviyo_profile external_id $arg_id;
    klaviyo_profile anonymous_id $arg_anonymous;
    klaviyo_profile first_name $arg_name;
    klaviyo_profile city $arg_city;
    klaviyo_profile Score $arg_score number;
};


subtest 'a profile is created, updated, put on a list' => sub {
    my $t = Klaviyo::Test->new(http => $profile, server => q{
        location /me { klaviyo_identify; return 200 "me\n"; }
        location /list { klaviyo_identify list=LIST01; return 200 "list\n"; }
        location /which { klaviyo_identify list=$arg_list; return 200; }
        location /if { klaviyo_identify if=$arg_yes status=404; return 404; }
        location /both { klaviyo_track "Viewed Page"; klaviyo_identify;
                         return 200 "both\n"; }
    })->start;

    $t->get('/me?email=Ann@shop.com&name=Ann&city=Berlin&score=7'
        . '&anonymous=visitor');
    is_deeply imported($t, 1)->[0], { lists => [], meta => undef, profile => {
        email => 'Ann@shop.com', first_name => 'Ann',
        location => {city => 'Berlin'}, properties => {Score => 7}} },
        'the profile, without anonymous_id';

    $t->get('/list?email=ann@shop.com&name=Anne');
    is_deeply imported($t, 2)->[1]{lists}, ['LIST01'], 'on a list';

    $t->get('/which?email=bob@shop.com&list=LIST02');
    is_deeply imported($t, 3)->[2]{lists}, ['LIST02'], 'on that list';

    $t->get('/which?email=carl@shop.com');
    is_deeply imported($t, 4)->[3]{lists}, [], 'on none';

    $t->get('/which?email=dora@shop.com&list=a/b');
    $t->get('/me?anonymous=visitor');
    $t->get('/me');
    $t->get('/if?email=eve@shop.com');
    $t->get('/if?email=eve@shop.com&yes=1');
    is imported($t, 5)->[4]{profile}{email}, 'eve@shop.com', 'if=, status=';

    my $lane = $t->account('shop/profiles');
    is $lane->{captured}, 5, 'captured';
    is $lane->{delivered}, 5, 'delivered';
    is_deeply { map { $_ => $lane->{reasons}{skipped}{$_} }
        qw(list anonymous condition) },
        {list => 1, anonymous => 2, condition => 1}, 'the others are counted';
    is $t->account->{captured}, 0, 'none of them is an event';

    $t->get('/both?email=fay@shop.com');
    ok $t->wait_events(1), 'an event';
    is imported($t, 6)->[5]{profile}{email}, 'fay@shop.com', 'and a profile';

    my @requests = grep { $_->{path} =~ /import/ } @{ $t->sandbox->requests };
    is $requests[0]{path}, '/api/profile-bulk-import-jobs', 'the endpoint';
    is $requests[0]{status}, 202, 'its answer';

    my ($ann) = grep { $_->{email} eq 'ann@shop.com' }
        @{ klaviyo($t)->{profiles} };
    is $ann && $ann->{first_name}, 'Anne', 'the profile at Klaviyo';
    $t->stop;
};


subtest 'what a visitor claims identifies nobody' => sub {
    my $t = Klaviyo::Test->new(server => q{
        location / { klaviyo_identify; klaviyo_track "Viewed Page";
                     return 200 "hello\n"; }
    })->start;

    $t->get('/?utm_email=ann@shop.com');
    ok $t->wait_events(1), 'an event has its visitor';
    is $t->account('shop/profiles')->{reasons}{skipped}{anonymous}, 1,
        'an upsert has not';
    is $t->account('shop/profiles')->{captured}, 0, 'nothing captured';
    $t->stop;
};


subtest 'in bulk, by list, in order' => sub {
    my $t = Klaviyo::Test->new(http => $profile,
        account => 'batch linger=1s;', server => q{
        location /me { klaviyo_identify; return 200 "me\n"; }
        location /list { klaviyo_identify list=$arg_list; return 200; }
    })->start;

    my $client = $t->client;

    for my $i (1 .. 40) {
        $client->get("/me?email=p$i\@shop.com&score=$i");
        $client->get("/list?email=l$i\@shop.com&list=LIST0" . ($i % 2 + 1));
    }

    my $all = imported($t, 80);
    is scalar @$all, 80, 'all arrive';

    my @requests = grep { $_->{status} } @{ $t->sandbox->requests };
    cmp_ok scalar @requests, '<', 20, 'in few requests';

    my $state = klaviyo($t);
    is_deeply [map { scalar @{ $state->{members}{$_} } } qw(LIST01 LIST02)],
        [20, 20], 'on their lists';

    # two for one person: what came later holds

    for my $score (1 .. 9) {
        $client->get("/me?email=same\@shop.com&score=$score");
    }

    ok wait_for(30, sub {
        my ($same) = grep { $_->{email} eq 'same@shop.com' }
            @{ klaviyo($t)->{profiles} };

        return $same && $same->{properties}{Score} == 9;
    }), 'the last of nine holds';
    my @scores = map { $_->{profile}{properties}{Score} }
        grep { $_->{profile}{email} eq 'same@shop.com' }
        @{ klaviyo($t)->{imported} };
    is_deeply \@scores, [sort { $a <=> $b } @scores], 'in order';
    $t->stop;
};


subtest 'in order, over an outage' => sub {
    my $t = Klaviyo::Test->new(http => $profile,
        account => 'batch linger=20ms;', server => q{
        location / { klaviyo_identify; return 200 "me\n"; }
    })->start;

    $t->sandbox->fault(kind => 'status', status => 503,
        endpoint => 'imports', times => 12);

    my $client = $t->client;

    for my $score (1 .. 5) {
        $client->get("/?email=$_\@shop.com&score=$score") for qw(ann bob);
        sleep 0.1;
    }

    is scalar @{ imported($t, 10, 60) }, 10, 'all arrive';

    for my $who (qw(ann bob)) {
        is_deeply [map { $_->{profile}{properties}{Score} }
            grep { $_->{profile}{email} =~ /^$who/ }
            @{ klaviyo($t)->{imported} }], [1 .. 5], "$who in order";
    }

    $t->stop;
};


subtest 'events that the application names' => sub {
    my $t = Klaviyo::Test->new(server => q{
        location = /header {
            klaviyo_response_header X-Klaviyo-Event;
            add_header X-Klaviyo-Event $http_x_event;
            return 200 "ok\n";
        }
        location = /json {
            klaviyo_track_json $http_x_event;
            return 200 "ok\n";
        }
    })->start;

    my %event = (metric => 'Placed Order', unique_id => '1',
        profile => {email => 'ann@shop.com', first_name => 'Ann',
                    anonymous_id => 'x'}, identify => Mojo::JSON->true);

    $t->get('/header', 'X-Event' => encode_json(\%event));
    ok $t->wait_events(1), 'an event';
    is_deeply imported($t, 1)->[0]{profile}, {email => 'ann@shop.com',
        first_name => 'Ann'}, 'and its profile';

    $t->get('/json', 'X-Event' => encode_json({%event, unique_id => '2',
        identify => Mojo::JSON->false}));
    $t->get('/json', 'X-Event' => encode_json({%event, unique_id => '3',
        subscribe => {list => 'LIST01', channels => ['email'],
                      source => 'shop'}}));
    $t->get('/json', 'X-Event' => encode_json({%event, unique_id => '4',
        identify => 'yes', subscribe => {list => 'LIST01', when => 'now'}}));

    ok $t->wait_events(4), 'the events';
    is scalar @{ imported($t, 2) }, 2, 'false is no';
    ok wait_for(20, sub { @{ klaviyo($t)->{subscriptions} } }), 'subscribed';
    is_deeply klaviyo($t)->{subscriptions}, [{list => 'LIST01',
        email => 'ann@shop.com', channels => ['email'], source => 'shop'}],
        'as it was asked for';
    is $t->account->{reasons}{left_out}{header}, 2,
        'what is not understood is counted';
    $t->stop;
};


subtest 'a lane that is blocked holds up no other' => sub {
    my $t = Klaviyo::Test->new(http => $profile, server => q{
        location / { klaviyo_identify; klaviyo_track "Viewed Page";
                     return 200 "hello\n"; }
    })->start;

    my $fault = $t->sandbox->fault(kind => 'status', status => 403,
        endpoint => 'imports', detail => 'The key lacks lists:write.');

    $t->get("/?email=a$_\@shop.com") for 1 .. 30;

    ok $t->wait_events(30), 'events flow';
    ok wait_for(20, sub { $t->account->{delivered} == 30 }), 'delivered';
    ok wait_for(20, sub {
        $t->account('shop/profiles')->{state}{scope_missing} }), 'blocked';

    my $lane = $t->account('shop/profiles');
    is $lane->{queued}, 30, 'the profiles wait';
    ok !$t->account->{state}{scope_missing}, 'the state is the lane\'s own';

    $t->sandbox->clear_faults;
    ok wait_for(60, sub { $t->account('shop/profiles')->{delivered} == 30 }),
        'and are delivered in the end';

    # and so with one that is throttled

    $t->sandbox->fault(kind => 'status', status => 429, retry_after => 30,
        endpoint => 'imports', times => 1);
    $t->get("/?email=b$_\@shop.com") for 1 .. 10;
    ok $t->wait_events(40), 'events flow';
    ok wait_for(20, sub { $t->account('shop/profiles')->{delivery}{paused_for}
        > 5 }), 'the lane pauses';
    is $t->account->{delivery}{paused_for}, 0, 'the account does not';
    $t->get('/?email=c@shop.com');
    ok $t->wait_events(41), 'an event during the pause';
    $t->stop;
};


subtest 'refused, dead, replayed' => sub {
    my $t = Klaviyo::Test->new(http => $profile, server => q{
        location / { klaviyo_identify list=LIST01; return 200 "hello\n"; }
    })->start;

    $t->sandbox->fault(kind => 'refuse', endpoint => 'imports',
        match => {email => '^bad'}, pointer => 'entry');
    $t->get("/?email=$_\@shop.com") for qw(good1 bad good2);

    ok wait_for(30, sub {
        my $lane = $t->account('shop/profiles');
        $lane->{dead} == 1 && $lane->{delivered} == 2 }), 'one is dead';

    my $file = $t->spool . '.profiles/dead.jsonl';
    ok wait_for(20, sub { -s $file }), 'its letter';
    open my $in, '<', $file or die $!;
    my $letter = decode_json(scalar <$in>);
    is $letter->{account}, 'shop/profiles', 'the lane';
    is $letter->{event}{type}, 'profile-bulk-import-job', 'what it was';
    is $letter->{event}{attributes}{profiles}{data}[0]{attributes}{email},
        'bad@shop.com', 'whose';

    $t->sandbox->clear_faults;
    my $queue = ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';
    my $said  = `$queue replay @{[$t->queue]} $file 2>&1`;
    like $said, qr/another queue/, 'not into the queue of events';
    $said = `$queue replay @{[$t->queue]}.profiles $file 2>&1`;
    like $said, qr/1 events put, 0 lines/, 'into its own';
    ok wait_for(20, sub {
        grep { $_->{profile}{email} eq 'bad@shop.com' }
            @{ klaviyo($t)->{imported} } }), 'delivered';
    $t->stop;
};


subtest 'dry_run' => sub {
    my $t = Klaviyo::Test->new(http => $profile, account => 'dry_run on;',
        server => q{
        location / { klaviyo_identify list=LIST01; return 200 "hello\n"; }
    })->start;

    $t->get('/?email=ann@shop.com');
    ok wait_for(20, sub { $t->account('shop/profiles')->{dry_run} == 1 }),
        'counted';
    like $t->log, qr{dry run of /api/profile-bulk-import-jobs, .*LIST01},
        'logged';
    is scalar @{ $t->sandbox->requests }, 0, 'not sent';
    $t->stop;
};


subtest 'SIGKILL' => sub {
    my $t = Klaviyo::Test->new(http => $profile, workers => 2, server => q{
        location / { klaviyo_identify list=LIST01; return 200 "hello\n"; }
    })->start;

    my $n = 0;

    for my $round (1 .. 6) {
        for my $i (1 .. 25) {
            my $res = eval { $t->get('/?email=k' . ($n + 1) . '@shop.com') };

            $n++ if $res && $res->status && $res->status == 200;
        }

        # an answer leaves before its record is written

        ok wait_for(20, sub { $t->account('shop/profiles')->{captured} >= $n }),
            "$n are captured";

        my @workers = $t->workers;
        kill KILL => @workers;
        wait_for(20, sub {
            my @now = $t->workers;
            @now == 2 && !grep { my $pid = $_; grep { $_ == $pid } @workers }
                @now });
    }

    ok wait_for(60, sub {
        my %seen = map { $_->{profile}{email} => 1 }
            @{ klaviyo($t)->{imported} };
        keys %seen >= $n }), "all $n arrive";
    my $lane = $t->account('shop/profiles');
    is $lane->{lost}, 0, 'none is lost';
    $t->allow_kills;
    $t->stop;
};


subtest 'reloads' => sub {
    my $on  = 'location / { klaviyo_identify; return 200 "hello\n"; }';
    my $off = 'location / { klaviyo_track "Viewed Page"; return 200; }';
    my $t   = Klaviyo::Test->new(http => $profile, server => $on);

    is +($t->check)[0], 0, 'nginx -t';
    ok !-e $t->queue . '.profiles', 'leaves no queue behind';
    ok !-e $t->spool . '.profiles', 'and no spool';

    $t->set(server => $off)->start;
    $t->get('/?email=ann@shop.com');
    ok $t->wait_events(1), 'an account without a lane';

    $t->set(server => $on);
    $t->reload;
    $t->get('/?email=bob@shop.com');
    is imported($t, 1)->[0]{profile}{email}, 'bob@shop.com',
        'a reload brings one';

    $t->sandbox->fault(kind => 'status', status => 503,
        endpoint => 'imports');
    $t->get("/?email=c$_\@shop.com") for 1 .. 3;
    ok wait_for(20, sub { $t->account('shop/profiles')->{queued} == 3 }),
        'three wait';

    $t->set(server => $off);
    $t->reload;
    like $t->log, qr{"shop/profiles" holds 3 events and is not read},
        'without the lane the log says what is left';
    is_deeply [keys %{ $t->status->{accounts} }], ['shop'],
        'and the account does not take it for events';

    $t->sandbox->clear_faults;
    $t->set(server => $on);
    $t->reload;
    is scalar @{ imported($t, 4, 40) }, 4, 'with it they are delivered';
    $t->stop;
};


subtest 'configuration' => sub {
    my ($code, $said) = config_test(server => 'klaviyo_identify page=x;');
    isnt $code, 0, 'an unknown parameter';
    like $said, qr/invalid parameter "page=x": expected "list="/, 'told';

    ($code, $said) = config_test(server => 'klaviyo_identify list=a/b;');
    like $said, qr{invalid list "a/b"}, 'a list that is none';

    ($code, $said) = config_test(
        server => 'klaviyo_identify; klaviyo_identify off;');
    like $said, qr/"off" must be the only one/, 'off beside another';

    ($code, $said) = config_test(
        server => 'klaviyo_identify off;');
    is $code, 0, 'off alone';

    # only who uses a lane has its files

    my $t = Klaviyo::Test->new(server => q{
        location / { klaviyo_track "Viewed Page"; return 200; }
    })->start;
    ok !-e $t->queue . '.profiles', 'a plain account has no lane';
    is_deeply [sort keys %{ $t->status->{accounts} }], ['shop'],
        'nor figures of one';
    $t->stop;
};

done_testing;

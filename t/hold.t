#!/usr/bin/perl

# Late identity: events of a browser without a name wait until it shows one,
# and those of a link in a mail until there is a browser at all.

use lib 't/lib';
use Klaviyo::Test;

use MIME::Base64 qw(encode_base64);
use Time::HiRes  qw(sleep time);


my $server = <<'END';
        access_log %%DIR%%/captured.log captured;
        klaviyo_defaults off;
        default_type text/plain;

        location / {
            klaviyo_property Path $uri;
            klaviyo_track "Viewed Page";
            return 200 "page\n";
        }

        location /known {
            klaviyo_profile email $arg_email;
            klaviyo_profile external_id $arg_id;
            klaviyo_profile id $arg_kid;
            klaviyo_property Path $uri;
            klaviyo_track "Viewed Page";
            return 200 "page\n";
        }

        location /two {
            klaviyo_profile Tier 3 number;
            klaviyo_property Path $uri;
            klaviyo_track "One";
            klaviyo_track "Two";
            return 200 "$klaviyo_event_id\n";
        }

        location /query {
            klaviyo_identity query;
            klaviyo_track "Viewed Page";
            return 200 "page\n";
        }

        location /scanner {
            klaviyo_skip scanner;
            klaviyo_property Path $uri;
            klaviyo_track "Viewed Page";
            return 200 "page\n";
        }

        location /blind {
            klaviyo_identity query;
            klaviyo_skip scanner;
            klaviyo_property Path $uri;
            klaviyo_track "Viewed Page";
            return 200 "page\n";
        }

        location /kept {
            klaviyo_skip scanner;
            klaviyo_kx_cookie kx 30;
            klaviyo_property Path $uri;
            klaviyo_track "Viewed Page";
            return 200 "page\n";
        }
END

my $log = q{log_format captured "$uri $klaviyo_captured";};


# a browser's __kla_id: visitor n, with what else is in it

sub cookie {
    my ($n, %more) = @_;

    my $cid  = encode_base64(sprintf('%08x-0000-4000-8000-000000000000', $n),
                             '');
    my $json = join ',', qq{"cid":"$cid"},
        map { qq{"$_":"$more{$_}"} } sort keys %more;

    return '__kla_id=' . encode_base64("{$json}", '') =~ s/=/%3D/gr;
}

sub new {
    my (%option) = @_;

    my $hold = delete $option{hold} // 'hold 1h;';

    return Klaviyo::Test->new(
        http => $log, server => $server, %option,
        account => "$hold $option{account}",
    );
}

sub hit {
    my ($t, $uri, @cookie) = @_;

    my $response = $t->get($uri, @cookie ? (Cookie => "@cookie") : ());

    return $response->status;
}

sub held {
    my ($t) = @_;

    return $t->account->{hold};
}

sub waiting {
    my ($t, $n, $what) = @_;

    wait_for(5, sub { held($t)->{waiting} == $n });

    return is held($t)->{waiting}, $n, $what;
}

sub sums {
    my ($t, $what) = @_;

    my $hold = held($t);
    my $sum  = 0;

    $sum += $hold->{$_} for qw(waiting released expired lost);

    return is $sum, $hold->{held},
        "$what: held = waiting + released + expired + lost";
}

sub paths {
    return [sort map { $_->{properties}{Path} } @{ $_[0] }];
}


subtest 'a browser without a name shows one' => sub {
    my $t = new(account => 'batch linger=50ms;')->start;

    my $before = time;

    is hit($t, '/1', cookie(1)), 200, 'a page';
    is hit($t, '/2', cookie(1)), 200, 'another';
    is hit($t, '/3', cookie(2)), 200, 'another browser';
    is hit($t, '/4'), 200, 'no cookie at all';
    waiting($t, 3, 'three wait');

    my $account = $t->account;

    is $account->{captured}, 0, 'they are not captured';
    is $account->{reasons}{skipped}{anonymous}, 1, 'one is nobody';
    is $account->{hold}{held}, 3, 'three were held';
    sums($t, 'waiting');
    is_deeply $t->sandbox->events, [], 'nothing is sent';

    sleep 2.1;
    my $between = time;

    hit($t, '/5', cookie(1, '$exchange_id' => 'abc.XyZ123'));

    my $events = $t->wait_events(3, 10);

    is_deeply paths($events), [qw(/1 /2 /5)], 'its events arrive';
    is_deeply [map { $_->{profile}{_kx} } @$events], [('abc.XyZ123') x 3],
        'with its identity';
    is scalar(keys %{ { map { $_->{unique_id} => 1 } @$events } }), 3,
        'each with its own id';

    my @late = sort { $a->{time} cmp $b->{time} } @$events;

    cmp_ok $late[0]{time}, 'lt', $late[2]{time}, 'with the time of then';
    like $late[0]{time}, qr/^\d{4}-\d\d-\d\dT/, 'which is one';

    waiting($t, 1, 'the other one waits');
    is held($t)->{released}, 2, 'two were released';
    sums($t, 'after');

    # others are not waited for

    hit($t, '/known?email=a@shop.com');
    is scalar @{ $t->wait_events(4, 5) }, 4, 'who is known goes at once';

    hit($t, '/known?email=b@shop.com&id=17&kid=01GDDKASAP8TKDDA2GRZDSVP4H',
        cookie(2));
    $events = $t->wait_events(6, 10);

    my ($late) = grep { $_->{properties}{Path} eq '/3' } @$events;

    is $late->{profile}{email}, 'b@shop.com', 'what the application knows';
    is $late->{profile}{external_id}, 17, 'all of it';
    is $late->{profile}{id}, '01GDDKASAP8TKDDA2GRZDSVP4H', 'in its place';

    ok $t->wait_idle, 'all is sent';
    waiting($t, 0, 'nobody waits');
    wait_for(3, sub { held($t)->{used} == 0 });
    is held($t)->{used}, 0, 'the space is given back';

    # a rule more, an id told

    my $told = $t->get('/two', Cookie => cookie(3))->body =~ s/\n//r;
    waiting($t, 2, 'both events of a page');
    hit($t, '/5', cookie(3, '$email' => 'c@shop.com'));
    $events = $t->wait_events(9, 10);

    my %id = map { $_->{metric} => $_->{unique_id} } @$events;
    is $id{One}, $told, 'the id that was told';
    isnt $id{Two}, $told, 'is that of one event';

    my ($two) = grep { $_->{metric} eq 'Two' } @$events;
    is $two->{profile}{email}, 'c@shop.com', 'beside what the profile had';
    is $two->{profile}{properties}{Tier}, 3, 'which stays';

    # the cookie is no source here

    hit($t, '/query', cookie(4));
    is $t->account->{reasons}{skipped}{anonymous}, 2, 'no cookie, no name';

    ok $t->wait_idle, 'all is sent';

    open my $in, '<', $t->dir . '/captured.log' or die "captured.log: $!";
    my @lines = <$in>;
    close $in;

    ok((grep { $_ eq "/1 held\n" } @lines), 'the access log says "held"');
    ok((grep { $_ eq "/4 anonymous\n" } @lines), 'or "anonymous"');
    ok((grep { $_ eq "/5 1\n" } @lines), 'or how many');

    $t->stop;
};


subtest 'time and room' => sub {
    my $t = new(hold => 'hold=2s;', account => '')->start;

    hit($t, '/1', cookie(1));
    waiting($t, 1, 'one waits');
    ok wait_for(6, sub { held($t)->{expired} == 1 }), 'it expires';
    is $t->account->{reasons}{skipped}{anonymous}, 1, 'as anonymous';

    hit($t, '/2', cookie(1, '$email' => 'a@shop.com'));
    is_deeply paths($t->wait_events(1)), ['/2'], 'and does not go any more';
    sums($t, 'expired');

    $t->stop;

    $t = new(hold => 'hold 1h size=256k;', account => '',
             sandbox => {limits => 'off'})->start;

    my $client = $t->client;

    for my $n (1 .. 1500) {
        $client->get("/$n/" . 'x' x 200, Cookie => cookie($n % 10));
    }

    ok wait_for(5, sub { held($t)->{held} == 1500 }), 'many are held';
    cmp_ok held($t)->{waiting}, '>', 300, 'as many as there is room for';
    cmp_ok held($t)->{lost}, '>', 300, 'the oldest are lost';
    sums($t, 'full');

    hit($t, '/known?email=a@shop.com');
    is scalar @{ $t->wait_events(1) }, 1, 'nobody else waits for that';

    my $n = held($t)->{waiting};

    hit($t, '/known?email=v@shop.com', cookie($_)) for 0 .. 9;
    ok wait_for(10, sub { held($t)->{waiting} == 0 }), 'all are known';
    cmp_ok held($t)->{released}, '>', $n * 0.9, 'and released';
    ok $t->wait_idle, 'sent';
    sums($t, 'released');

    $t->stop;
};


subtest 'reload, kill, another size' => sub {
    my $t = new(account => '', workers => 2)->start;

    hit($t, "/$_", cookie($_)) for 1 .. 6;
    waiting($t, 6, 'they wait');

    ok $t->reload(gone => 10), 'a reload';
    waiting($t, 6, 'they still wait');
    is held($t)->{held}, 6, 'and are counted once';

    hit($t, '/a', cookie(1, '$email' => 'a@shop.com'));
    is_deeply paths($t->wait_events(2, 10)), [qw(/1 /a)], 'one is known';

    ok $t->reload(gone => 10), 'a reload';
    hit($t, '/b', cookie(2, '$email' => 'b@shop.com'));
    is_deeply paths($t->wait_events(4, 10)), [qw(/1 /2 /a /b)],
        'another, and the first not again';

    $t->nginx->stop('KILL');
    $t->nginx->start;

    waiting($t, 4, 'kill -9 of all: they wait');
    sums($t, 'killed');
    hit($t, '/c', cookie(3, '$email' => 'c@shop.com'));
    is_deeply paths($t->wait_events(6, 10)), [qw(/1 /2 /3 /a /b /c)],
        'one more is known';

    kill 'KILL', $t->workers;
    wait_for(5, sub { eval { $t->status } });
    hit($t, '/d', cookie(4, '$email' => 'd@shop.com'));
    is scalar @{ $t->wait_events(8, 25) }, 8, 'after a kill of the workers';

    $t->set(account => 'hold 1h size=4m;');
    ok $t->reload(gone => 10), 'another size';
    sleep 1.5;
    hit($t, '/e', cookie(5, '$email' => 'e@shop.com'));
    my $events = $t->wait_events(10, 10);
    ok((grep { $_->{properties}{Path} eq '/5' } @$events),
       'taken over to the new ring');

    ok $t->wait_idle, 'all is sent';
    sums($t, 'in the end');

    $t->set(account => 'hold off;',
            server  => $server =~ s/klaviyo_skip scanner;//gr);
    ok $t->reload(gone => 10), 'off';
    hit($t, '/f', cookie(7));
    is $t->account->{hold}, undef, 'no figures';
    is $t->account->{reasons}{skipped}{anonymous}, 1, 'no waiting';

    $t->allow_kills->allow(qr/has another size/);
    $t->stop;
};


subtest 'many workers, many visitors' => sub {
    my $t = new(account => '', workers => 3, sandbox => {limits => 'off'})
        ->start;

    my @client = map { $t->client } 1 .. 6;

    for my $page (1 .. 5) {
        $client[rand @client]->get("/$page", Cookie => cookie($_))
            for 1 .. 60;
    }

    waiting($t, 300, 'all wait');

    $client[rand @client]->get('/known?email=v@shop.com&id=' . $_,
                               Cookie => cookie($_)) for 1 .. 60;

    my $events = $t->wait_events(360, 20);
    is scalar @$events, 360, 'all arrive';

    my %n;
    $n{ $_->{profile}{external_id} }++ for @$events;
    is_deeply [sort { $a <=> $b } values %n], [(6) x 60], 'each with its own';

    # who is known does not fill the ring

    $client[rand @client]->get('/known?email=v@shop.com&id=' . $_,
                               Cookie => cookie($_)) for (1 .. 60) x 10;
    ok wait_for(5, sub { held($t)->{used} == 0 }), 'the ring is empty';
    ok $t->wait_idle, 'sent';

    $_->close for @client;
    $t->stop;
};


subtest 'scanners of mails' => sub {
    my $t = new(account => '')->start;

    hit($t, '/scanner/1?_kx=abc.XyZ123');
    hit($t, '/scanner/2?_kx=abc.XyZ123');
    hit($t, '/scanner/3?_kx=def.XyZ123');
    waiting($t, 3, 'first hits of a link wait');
    is $t->account->{captured}, 0, 'all of them';

    hit($t, '/scanner/4', cookie(1, '$exchange_id' => 'abc.XyZ123'));
    my $events = $t->wait_events(3, 10);
    is_deeply paths($events), [qw(/scanner/1 /scanner/2 /scanner/4)],
        'a visitor was it: klaviyo.js knows the exchange id';
    is_deeply [map { $_->{profile}{_kx} } @$events], [('abc.XyZ123') x 3],
        'with the identity of the link';

    hit($t, '/scanner/5?_kx=ghi.XyZ123', cookie(2));
    is scalar @{ $t->wait_events(4, 5) }, 4, 'with a cid it is a browser';

    hit($t, '/known?_kx=jkl.XyZ123');
    is scalar @{ $t->wait_events(5, 5) }, 5, 'elsewhere it goes at once';

    my $response = $t->get('/kept/1?_kx=mno.XyZ123');
    my ($kept) = ($response->header('Set-Cookie') // '') =~ /^([^;]+)/;
    waiting($t, 2, 'a first hit that gets a cookie');
    hit($t, '/kept/2', $kept);
    is scalar @{ $t->wait_events(7, 10) }, 7, 'which comes back';

    # cookies are not asked: the same, but none can tell

    hit($t, '/blind/1?_kx=pqr.XyZ123');
    waiting($t, 2, 'without cookies as a source it waits');
    hit($t, '/blind/2?_kx=pqr.XyZ123',
        cookie(3, '$exchange_id' => 'pqr.XyZ123'));
    waiting($t, 3, 'and is not asked for');
    hit($t, '/scanner/7', cookie(3, '$exchange_id' => 'pqr.XyZ123'));
    is scalar @{ $t->wait_events(10, 10) }, 10, 'before it is elsewhere';

    # a cid is no exchange id

    hit($t, '/scanner/6', cookie(9));
    waiting($t, 2, 'another kind of key');

    $t->set(account => 'hold 2s;');
    ok $t->reload(gone => 10), 'a shorter time';
    ok wait_for(8, sub { held($t)->{waiting} == 0 }), 'the others expire';
    is $t->account->{reasons}{skipped}{scanner}, 1, 'as scanner';
    is $t->account->{reasons}{skipped}{anonymous}, 1, 'as anonymous';
    sums($t, 'in the end');

    $t->stop;
};


subtest 'configurations' => sub {
    my ($code, $output) = config_test(account => '', http => $log,
                                      server => $server);

    isnt $code, 0, 'scanner without hold is refused';
    like $output, qr/"klaviyo_skip scanner" needs a "hold" in klaviyo_account "shop" in \S+:\d+/,
        'and the message says so';

    ($code, $output) = config_test(server => 'location / {
        klaviyo_skip scanner; klaviyo_track_json $arg_events; }');
    isnt $code, 0, 'for events of a variable, too';
    like $output, qr/needs a "hold" in klaviyo_account "shop"/, 'and says so';

    for my $case (
        ['hold;',            qr/invalid number of arguments in "hold"/],
        ['hold 0;',          qr/invalid value "0": "hold" is a time/],
        ['hold 25h;',        qr/invalid value "25h": "hold" is a time/],
        ['hold soon;',       qr/invalid value "soon": "hold" is a time/],
        ['hold off size=1m;', qr/invalid value "off": "hold" is a time/],
        ['hold 1h size=1k;', qr/invalid value "size=1k": it must be/],
        ['hold 1h full=no;', qr/"full=no": expected "size="/],
        ['hold 1h; hold 2h;', qr/"hold" of klaviyo_account is duplicate/],
    ) {
        ($code, $output) = config_test(account => $case->[0],
                                       server => 'location / { }');
        isnt $code, 0, "$case->[0] is refused";
        like $output, $case->[1], "$case->[0] says why";
    }

    for my $good ('hold 1h;', 'hold=90s;', 'hold off;', 'hold 1s size=256k;',
                  'hold=30m size=1m;')
    {
        ($code, $output) = config_test(account => $good,
                                       server => 'location / { }');
        is $code, 0, "$good is good" or diag $output;
    }
};


done_testing;

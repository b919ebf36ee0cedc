#!/usr/bin/perl

# The sandbox itself: what it refuses and how it says so, its windows, its
# de-duplication, every fault.

use FindBin;
use lib "$FindBin::Bin/lib";

use Klaviyo::Test;
use Mojo::JSON  qw(encode_json decode_json);
use Time::HiRes qw(time sleep);

my $bulk = '/data/attributes/events-bulk-create/data';

my $sandbox = Klaviyo::Test::Sandbox->start(
    keys     => ['pk_one:shop', 'pk_two:shop', 'pk_other:other'],
    no_scope => ['pk_bare:shop'],
);

my $unique = 0;


sub headers {
    my (%change) = @_;

    my %headers = (
        'Authorization' => 'Klaviyo-API-Key pk_one',
        'revision'      => '2026-07-15',
        'Content-Type'  => 'application/vnd.api+json',
        'Accept'        => 'application/vnd.api+json',
        %change,
    );

    delete $headers{$_} for grep { !defined $headers{$_} } keys %headers;

    return \%headers;
}


sub event {
    my (%change) = @_;

    my %event = (
        properties => {Page => 'home'},
        metric     => {data => {type => 'metric',
                                attributes => {name => 'Viewed Page'}}},
        unique_id  => 'u' . ++$unique,
        %change,
    );

    delete $event{$_} for grep { !defined $event{$_} } keys %event;

    return \%event;
}


sub profile {
    my (%change) = @_;

    my %profile = (email => 'ada@demo-shop.test', %change);

    delete $profile{$_} for grep { !defined $profile{$_} } keys %profile;

    return {data => {type => 'profile', attributes => \%profile}};
}


sub single {
    my ($event, $profile) = @_;

    return {data => {type => 'event', attributes =>
        {%$event, profile => $profile // profile()}}};
}


# [profile, event, event], ...
sub bulk {
    my (@entries) = @_;

    return {data => {type => 'event-bulk-create-job', attributes => {
        'events-bulk-create' => {data => [map {
            my ($profile, @events) = @$_;

            +{type => 'event-bulk-create', attributes => {
                profile => $profile,
                events  => {data => [map {
                    +{type => 'event', attributes => $_}
                } @events]}}}
        } @entries]}}}};
}


sub send_to {
    my ($path, $body, %headers) = @_;

    my $client   = $sandbox->client;
    my $response = $client->request(POST => $path, headers(%headers),
        ref $body ? encode_json($body) : $body);

    $client->close;

    return $response;
}


sub send_single { return send_to('/api/events', @_) }
sub send_bulk   { return send_to('/api/event-bulk-create-jobs', @_) }


sub pointers {
    my ($response) = @_;

    my $errors = eval { decode_json($response->body)->{errors} } // [];

    return join ' ', sort map { $_->{source}{pointer} // '-' } @$errors;
}


sub fresh { $sandbox->reset; $sandbox->limits(off => 1); return }


fresh();


subtest 'headers, paths, methods' => sub {
    my $right = single(event());

    is send_single($right)->status, 202, 'right';
    is send_single($right)->body, '', 'an empty body';

    my $response = send_single($right, Authorization => undef);

    is $response->status, 401, 'no key';
    is $response->json->{errors}[0]{code}, 'not_authenticated', 'its code';
    is $response->header('Content-Type'), 'application/vnd.api+json',
        'errors are JSON:API';
    ok defined $response->json->{errors}[0]{$_}, "an error has $_"
        for qw(id status code title detail);

    is send_single($right, Authorization => 'Klaviyo-API-Key pk_x')->status,
        401, 'another key';
    is send_single($right, Authorization => 'Bearer pk_one')->status, 401,
        'another scheme';
    is send_single($right, Authorization => 'Klaviyo-API-Key pk_bare')
        ->status, 403, 'no scope';
    is send_single($right, revision => undef)->status, 400, 'no revision';
    is send_single($right, revision => 'latest')->status, 400, 'no date';
    is send_single($right, 'Content-Type' => 'text/plain')->status,
        415, 'content type';
    is send_single($right, 'Content-Encoding' => 'gzip')->status, 415,
        'content encoding';
    is send_single($right, Accept => 'text/html')->status, 406, 'accept';
    is send_to('/api/events/', $right)->status, 404, 'slash at the end';
    is send_to('/api/nothing', $right)->status, 404, 'another path';
    is $sandbox->client->request(GET => '/api/event-bulk-create-jobs', headers())->status,
        405, 'method';

    my ($request) = grep { $_->{status} == 202 } @{ $sandbox->requests };

    is $request->{headers}{authorization}, 'Klaviyo-API-Key pk_...',
        'the key is not kept';
    is $request->{http_version}, 'HTTP/1.1', 'version';
};


subtest 'JSON' => sub {
    fresh();

    my %bad = (
        'nothing'        => '',
        'cut'            => '{"data":',
        'after the end'  => '{}x',
        'not UTF-8'      => "{\"data\":\"\xff\"}",
        'a surrogate'    => '{"data":"\ud800"}',
        'its UTF-8'      => "{\"data\":\"\xed\xa0\x80\"}",
        'a name twice'   => '{"data":1,"data":2}',
        'a control'      => "{\"data\":\"\x01\"}",
        'a bad escape'   => '{"data":"\x"}',
        'a comma'        => '{"data":[1,]}',
        'a leading zero' => '{"data":01}',
        'no digits'      => '{"data":1.}',
        'NaN'            => '{"data":NaN}',
        'out of range'   => '{"data":1e999}',
        'deep'           => '[' x 200 . ']' x 200,
    );

    for my $name (sort keys %bad) {
        my $response = send_single($bad{$name});

        is $response->status, 400, $name;
        is $response->json->{errors}[0]{code}, 'parse_error', 'by the reader';
    }

    my $text = encode_json(single(event(unique_id => 'x')));

    $text =~ s/"home"/"\\ud83d\\ude00 \\"\\\\\\n \xc3\xa9 1"/;

    is send_single($text)->status, 202, 'escapes';
    is $sandbox->events->[0]{properties}{Page}, "\x{1f600} \"\\\n é 1",
        'are read';
};


subtest 'the schema of single calls' => sub {
    fresh();

    my $at = '/data/attributes';

    my @bad = (
        ['/data' => {}],
        ['/data' => {data => []}],
        ['/data/type' => {data => {type => 'events', attributes => {}}}],
        ['/meta' => {%{ single(event()) }, meta => {}}],
        ["$at/metric" => single(event(metric => undef))],
        ["$at/metric/data" => single(event(metric => {}))],
        ["$at/metric/data/attributes/name" => single(event(metric =>
            {data => {type => 'metric', attributes => {}}}))],
        ["$at/properties" => single(event(properties => undef))],
        ["$at/properties" => single(event(properties => []))],
        ["$at/unknown" => single(event(unknown => 1))],
        ["$at/value" => single(event(value => '5'))],
        ["$at/value" => single(event(value => {}))],
        ["$at/value_currency" => single(event(value_currency => 'usd'))],
        ["$at/backfill" => single(event(backfill => 'true'))],
        ["$at/time" => single(event(time => 5))],
        ["$at/time" => single(event(time => 'yesterday'))],
        ["$at/time" => single(event(time => '2026-02-30T00:00:00Z'))],
        ["$at/time" => single(event(time => '1989-12-31T23:59:59Z'))],
        ["$at/time" => single(event(time => '2199-01-01T00:00:00Z'))],
        ["$at/unique_id" => single(event(unique_id => ''))],
        ["$at/unique_id" => single(event(unique_id => 'x' x 256))],
        ["$at/profile/data" => single(event(), {})],
        ["$at/profile/data/attributes" =>
            single(event(), profile(email => undef))],
        ["$at/profile/data/attributes" =>
            single(event(), profile(email => undef, first_name => 'A'))],
        ["$at/profile/data/attributes/email" =>
            single(event(), profile(email => 'ada'))],
        ["$at/profile/data/attributes/email" => single(event(),
            profile(email => 'a' x 90 . '@demo.test'))],
        ["$at/profile/data/attributes/phone_number" =>
            single(event(), profile(phone_number => '0123456789'))],
        ["$at/profile/data/attributes/first_name" =>
            single(event(), profile(first_name => 7))],
        ["$at/profile/data/attributes/nickname" =>
            single(event(), profile(nickname => 'A'))],
        ["$at/profile/data/attributes/location/planet" =>
            single(event(), profile(location => {planet => 'x'}))],
        ["$at/profile/data/attributes/location/latitude" =>
            single(event(), profile(location => {latitude => []}))],
        ["$at/profile/data/attributes/meta/patch" =>
            single(event(), profile(meta => {patch => {}}))],
        ["$at/profile/data/attributes/meta/patch_properties/append/a" =>
            single(event(), profile(meta => {patch_properties =>
                {append => {a => {b => 1}}}}))],
        ["$at/profile/data/attributes/meta/patch_properties/unset" =>
            single(event(), profile(meta => {patch_properties =>
                {unset => {a => 1}}}))],
    );

    for my $case (@bad) {
        my ($pointer, $body) = @$case;
        my $response = send_single($body);

        is $response->status, 400, $pointer;
        is pointers($response), $pointer, 'the pointer';
    }

    my $trap = profile();

    $trap->{data}{meta} = {};
    is pointers(send_single(single(event(), $trap))),
        "$at/profile/data/meta", 'meta beside attributes is for bulk';

    is scalar @{ $sandbox->events }, 0, 'none of them was recorded';

    is send_single(single(event(
        time => '2026-02-28T10:00:00.5+02:00', value => 9.99,
        value_currency => 'EUR', backfill => Mojo::JSON->true,
        properties => {n => 9223372036854775807, m => -1, f => 0.5,
                       l => [], o => {}, x => undef}),
        profile(phone_number => '+15005550006', _kx => 'a.b',
            location => {latitude => '1.5', longitude => 2.5},
            properties => {a => 1}, meta => {patch_properties =>
                {unset => ['x'], append => {a => 1}}})))->status,
        202, 'everything at once';

    my $event = $sandbox->events->[0];

    is $event->{value}, 9.99, 'the value';
    is $event->{properties}{n}, 9223372036854775807, 'the largest integer';
    is $event->{profile}{phone_number}, '+15005550006', 'the profile';
    is $event->{via}, 'single', 'how it came';
};


subtest 'the schema of bulk calls' => sub {
    fresh();

    my $right = [profile(), event()];
    my $entry = "$bulk/1/attributes";

    my @bad = (
        ['/data/attributes/events-bulk-create/data' => bulk()],
        ["$bulk/0/attributes/events/data" => bulk([profile()])],
        ["$entry/events/data/1/attributes/properties" =>
            bulk($right, [profile(), event(), event(properties => 1)])],
        ["$entry/profile/data/attributes/email" =>
            bulk($right, [profile(email => '@'), event()])],
        ["$entry/events/data/0/attributes/profile" =>
            bulk($right, [profile(), event(profile => profile())])],
        ["$entry/profile/data/attributes/meta" =>
            bulk($right, [profile(meta => {}), event()])],
    );

    for my $case (@bad) {
        my ($pointer, $body) = @$case;
        my $response = send_bulk($body);

        is $response->status, 400, $pointer;
        is pointers($response), $pointer, 'the pointer';
    }

    is pointers(send_bulk(bulk([profile(email => 'x'), event()], $right,
                               [profile(), event(time => 'x')]))),
        "$bulk/0/attributes/profile/data/attributes/email "
        . "$bulk/2/attributes/events/data/0/attributes/time",
        'each fault has its error';

    is scalar @{ $sandbox->events }, 0, 'a bad one stops the request';

    my $meta = profile();

    $meta->{data}{meta} = {patch_properties => {unset => 'x'}};

    is send_bulk(bulk([$meta, event(), event()], $right))->status, 202,
        'right, meta in its place';
    is join(' ', map { $_->{via} } @{ $sandbox->events }), 'bulk bulk bulk',
        'three';
    is $sandbox->requests->[-1]{events}, 3, 'counted';

    is send_bulk(bulk(map { [profile(), event()] } 1 .. 1000))->status, 202,
        'a thousand';
    is pointers(send_bulk(bulk(map { [profile(), event()] } 1 .. 1001))),
        '/data/attributes/events-bulk-create/data', 'and no more';
};


subtest 'the limits' => sub {
    fresh();

    my $at   = '/data/attributes';
    my $deep = sub { my $v = 1; $v = [$v] for 1 .. $_[0]; return $v };
    my $name = sub {
        return {data => {type => 'metric', attributes => {name => $_[0]}}};
    };

    my @edges = (
        ['a string', "$at/properties/x", 102_400, 102_401,
            sub { single(event(properties => {x => 'x' x $_[0]})) }],
        ['a string in bytes', "$at/properties/x", 51_200, 51_201,
            sub { single(event(properties => {x => 'é' x $_[0]})) }],
        ['properties', "$at/properties", 400, 401,
            sub { single(event(properties => {map { $_ => 1 } 1 .. $_[0]}))
            }],
        ['items', "$at/properties/x", 4000, 4001,
            sub { single(event(properties => {x => [(1) x $_[0]]})) }],
        ['levels', "$at/properties/x" . '/0' x 9, 9, 10,
            sub { single(event(properties => {x => $deep->($_[0])})) }],
        ['unique_id', "$at/unique_id", 255, 256,
            sub { single(event(unique_id => 'é' x $_[0])) }],
        ['metric', "$at/metric/data/attributes/name", 127, 128,
            sub { single(event(metric => $name->('m' x $_[0]))) }],
        ['email', "$at/profile/data/attributes/email", 99, 100,
            sub { single(event(), profile(email =>
                'a' x ($_[0] - 10) . '@demo.test')) }],
        ['profile', "$at/profile/data/attributes", 95 * 1024 - 100,
            95 * 1024,
            sub { single(event(), profile(last_name => 'x' x $_[0])) }],
    );

    for my $edge (@edges) {
        my ($what, $pointer, $most, $over, $make) = @$edge;

        is send_single($make->($most))->status, 202, "$what: $most";
        is pointers(send_single($make->($over))), $pointer, "$what: $over";
    }

    my $huge = sub {
        encode_json(single(event())) =~ s/"home"/$_[0]/r;
    };

    is send_single($huge->($_))->status, 202, "integer $_"
        for qw(9223372036854775807 -9223372036854775808 1e30 123.5);
    is pointers(send_single($huge->($_))), "$at/properties/Page", "not $_"
        for qw(9223372036854775808 -9223372036854775809
               123456789012345678901234567890);

    my $body = encode_json(single(event()));

    is send_single($body . ' ' x (5_000_000 - length $body))->status, 202,
        '5 MB';
    is send_single($body . ' ' x (5_000_001 - length $body))->status, 413,
        'and a byte more';

    fresh();

    is send_bulk(bulk(map { [profile(), event(metric => $name->("m$_"))] }
        1 .. 200))->status, 202, '200 metrics';
    is pointers(send_single(single(event(metric => $name->('m201'))))),
        "$at/metric", 'and no more';
};


subtest 'de-duplication' => sub {
    fresh();

    my $event = event(unique_id => 'same');

    is send_single(single($event))->status, 202, 'once';
    is send_single(single($event))->status, 202, 'twice';
    is send_bulk(bulk([profile(), $event]))->status, 202, 'by bulk';
    is send_bulk(bulk([profile(email => 'b@demo-shop.test'), $event]))
        ->status, 202, 'another profile';
    is send_single(single(event(unique_id => 'same', metric =>
        {data => {type => 'metric', attributes => {name => 'Other'}}})))
        ->status, 202, 'another metric';

    is join(' ', map { $_->{times} } @{ $sandbox->events }), '3 1 1',
        'the same one is recorded once';

    my $stats = $sandbox->stats;

    is $stats->{repeats}, 2, 'its repeats are counted';
    is $stats->{collisions}, 0, 'and were the same';

    send_single(single(event(unique_id => 'same', properties => {})));
    is $sandbox->stats->{collisions}, 1, 'another event under the same id';

    my $response = send_bulk(bulk([profile(), event(unique_id => 'twice'),
                                   event(unique_id => 'twice')]));

    is $response->status, 400, 'twice in a request';
    is $response->json->{errors}[0]{code}, 'duplicate', 'fails it';
    is pointers($response), '-', 'without a name';
    is $sandbox->stats->{duplicates_in_request}, 1, 'and shows';
    is scalar @{ $sandbox->events }, 3, 'nothing was recorded';

    is send_bulk(bulk([profile(), event(unique_id => 'twice')],
        [profile(email => 'b@demo-shop.test'), event(unique_id => 'twice')]))
        ->status, 202, 'two profiles may have the same';

    fresh();

    my $when = '2026-03-01T10:00:00Z';

    send_single(single(event(unique_id => undef, time => $when)))
        for 1 .. 2;
    send_single(single(event(unique_id => undef,
                             time => '2026-03-01T10:00:01Z')));
    is scalar @{ $sandbox->events }, 2, 'without an id: one a second';

    send_single(single(event(), profile(email => 'ada@example.com')));
    ok $sandbox->events->[2]{dropped}, 'example.com is dropped silently';
};


subtest 'rate windows' => sub {
    $sandbox->reset;
    $sandbox->limits(off => 0, bulk => {burst => 3, steady => 5,
        burst_seconds => 0.5, steady_seconds => 3});

    my $try = sub {
        return send_bulk(bulk([profile(), event()]), @_);
    };

    my $response = $try->();

    is $response->status, 202, 'first';
    is $response->header('RateLimit-Limit'), 5, 'limit';
    is $response->header('RateLimit-Remaining'), 4, 'remaining';
    is $response->header('RateLimit-Reset'), 3, 'reset';

    is $try->(Authorization => 'Klaviyo-API-Key pk_two')->status, 202,
        'the account\'s other key';
    is $try->()->status, 202, 'third';

    $response = $try->();

    is $response->status, 429, 'over the burst';
    is $response->header('Retry-After'), 1, 'when to come back';
    is $response->header('RateLimit-Remaining'), undef, 'no other header';
    is $response->json->{errors}[0]{code}, 'throttled', 'throttled';
    is $try->(Authorization => 'Klaviyo-API-Key pk_other')->status, 202,
        'another account';
    is send_single(single(event()))->status, 202, 'another class';

    is $try->()->status, 429, 'too early again';

    my $stats = $sandbox->stats;

    cmp_ok $stats->{early_retries}, '>=', 1, 'early ones are counted';
    is $stats->{throttled}, 2, 'throttled ones too';
    is $stats->{limits}{shop}{bulk}{burst}{peak}, 5, 'the fullest window';

    sleep 1;

    is $try->()->status, 202, 'later';
    is $try->()->status, 202, 'and again';

    $response = $try->();
    is $response->status, 429, 'over the steady rate';
    cmp_ok $response->header('Retry-After'), '>=', 1, 'when to come back';

    $sandbox->reset;
    $sandbox->consume(class => 'bulk', n => 4, account => 'shop');
    is $try->()->header('RateLimit-Remaining'), 0, 'another sender\'s share';
    is $try->()->status, 429, 'is used up';

    $sandbox->limits(bulk => {burst => 10, steady => 150, burst_seconds => 1,
                              steady_seconds => 60});
};


subtest 'faults: statuses' => sub {
    fresh();

    my $try = sub { return send_single(single(event())) };

    for my $status (400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 425,
                    429, 500, 502, 503, 504, 524)
    {
        $sandbox->fault(kind => 'status', status => $status, times => 1);

        my $response = $try->();

        is $response->status, $status, "status $status";
        is $response->header('Retry-After'), undef, 'no Retry-After';
        is $try->()->status, 202, 'and it is over';
    }

    is scalar @{ $sandbox->events }, 17, 'nothing was recorded meanwhile';

    for my $after (0, 3, -1, 'soon', '99999999999999999999', '1.5', '') {
        $sandbox->fault(kind => 'status', status => 429, times => 1,
            retry_after => $after);
        is $try->()->header('Retry-After'), $after, "Retry-After: $after";
    }

    $sandbox->fault(kind => 'status', status => 503, times => 1,
        retry_after => {date => 5});
    like $try->()->header('Retry-After'),
        qr/\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\z/, 'a date';

    $sandbox->fault(kind => 'status', status => 403, body => 'html',
        headers => {'cf-mitigated' => 'challenge'}, times => 1);

    my $response = $try->();

    is $response->header('cf-mitigated'), 'challenge', 'a challenge';
    like $response->header('Content-Type'), qr{text/html}, 'in HTML';

    $sandbox->fault(kind => 'status', status => 500, size => 3_000_000,
        times => 1);
    cmp_ok length $try->()->body, '>', 3_000_000, 'a large body';

    $sandbox->fault(kind => 'status', status => 502, process => 1,
        times => 1);

    my $before = @{ $sandbox->events };

    is $try->()->status, 502, 'processed all the same';
    is scalar @{ $sandbox->events }, $before + 1, 'recorded';

    $sandbox->fault(kind => 'status', status => 503, skip => 1, times => 2,
        endpoint => 'single');
    is join(' ', map { $try->()->status } 1 .. 4), '202 503 503 202',
        'skip and times';
    is send_bulk(bulk([profile(), event()]))->status, 202,
        'the other endpoint';

    my $id = $sandbox->fault(kind => 'status', status => 500);

    is join(' ', map { $try->()->status } 1 .. 3), '500 500 500',
        'until cleared';
    is $sandbox->faults->[-1]{used}, 3, 'used';
    $sandbox->clear_faults($id);
    is $try->()->status, 202, 'cleared';

    ok !eval { $sandbox->fault(kind => 'nonsense'); 1 }, 'unknown fault';
};


subtest 'faults: connections' => sub {
    fresh();

    my $try = sub { return send_single(single(event())) };

    $sandbox->fault(kind => 'reset', times => 1);
    is $try->()->error, 'closed', 'reset';

    $sandbox->fault(kind => 'reset', at => 'headers', times => 1);
    is $try->()->error, 'closed', 'reset before the body';
    is scalar @{ $sandbox->events }, 0, 'nothing recorded';

    $sandbox->fault(kind => 'lost', times => 1);
    is $try->()->error, 'closed', 'answer lost';
    is scalar @{ $sandbox->events }, 1, 'after recording';
    is $sandbox->requests->[-1]{processed}, 202, 'as the request tells';

    $sandbox->fault(kind => 'raw', bytes => "SSH-2.0-nonsense\r\n\r\n",
        times => 1);
    like $try->()->error, qr/^not HTTP/, 'not HTTP';

    $sandbox->fault(kind => 'raw', times => 1,
        bytes => "HTTP/1.1 400 X\r\nContent-Length: 100\r\n\r\ncut");
    is $try->()->body, 'cut', 'a body that ends early';

    $sandbox->fault(kind => 'slow', seconds => 1, times => 1);
    $sandbox->fault(kind => 'hang', times => 1);

    my $slow = $sandbox->client;
    my $hung = $sandbox->client(timeout => 1);
    my $body = encode_json(single(event()));
    my $head = join "\r\n", 'POST /api/events HTTP/1.1', 'Host: x',
        'Authorization: Klaviyo-API-Key pk_one', 'revision: 2026-07-15',
        'Content-Type: application/vnd.api+json',
        'Accept: application/vnd.api+json',
        'Content-Length: ' . length $body, '', $body;

    my $start = time;

    $slow->send($head);
    sleep 0.1;
    $hung->send($head =~ s/"u\d+"/"hung"/r =~ s/Length: (\d+)/
        'Length: ' . length($body =~ s,"u\d+","hung",r)/er);
    sleep 0.1;
    is $try->()->status, 202, 'others are served';
    cmp_ok time - $start, '<', 0.9, 'without waiting';
    is $slow->response->status, 202, 'slow';
    cmp_ok time - $start, '>=', 1, 'as told';
    is $hung->response->error, 'timeout', 'hangs';
    ok wait_for(2, sub { !$sandbox->stats->{held} }), 'until we go';

    $sandbox->fault(kind => 'hang', times => 1);
    $hung = $sandbox->client;
    $hung->send($head);
    ok wait_for(2, sub { $sandbox->stats->{held} }), 'held';
    $sandbox->release;
    is $hung->response->error, 'closed', 'and let go';
};


subtest 'faults: refusals' => sub {
    fresh();

    my $entry = sub {
        my ($name, $id) = @_;
        return [profile(), event(properties => {Sku => $name},
            defined $id ? (unique_id => $id) : ())];
    };

    my $body  = sub {
        return bulk($entry->('good'), $entry->('bad'), $entry->('good'),
                    $entry->('bad'));
    };
    my $event = sub { "$bulk/$_[0]/attributes/events/data/0/attributes" };
    my $match = {properties => {Sku => '^bad$'}};

    my $id = $sandbox->fault(kind => 'refuse', match => $match);
    my $response = send_bulk($body->());

    is $response->status, 400, 'refused';
    is pointers($response), $event->(1) . '/properties ' . $event->(3)
        . '/properties', 'both are named';
    is scalar @{ $sandbox->events }, 0, 'the whole request failed';
    is send_bulk(bulk($entry->('good')))->status, 202, 'the rest goes';
    is pointers(send_single(single(event(properties => {Sku => 'bad'})))),
        '/data/attributes/properties', 'single calls too';
    $sandbox->clear_faults($id);

    my %pointer = (
        entry => "$bulk/1/attributes/profile $bulk/3/attributes/profile",
        none  => '- -',
        mixed => '- ' . $event->(1) . '/properties',
        '/x'  => '/x /x',
    );

    for my $how (sort keys %pointer) {
        $sandbox->fault(kind => 'refuse', match => $match, times => 1,
            pointer => $how);
        is pointers(send_bulk($body->())), $pointer{$how}, $how;
    }

    $sandbox->fault(kind => 'refuse', match => $match, errors => 1,
        status => 409, times => 1);
    $response = send_bulk($body->());
    is $response->status, 409, 'another status';
    is pointers($response), $event->(1) . '/properties', 'one at a time';

    $sandbox->fault(kind => 'refuse', match => $match, pointer => 'nonsense',
        times => 12);

    my %seen = map { pointers(send_bulk($body->())) => 1 } 1 .. 12;

    cmp_ok keys %seen, '>=', 6, 'nonsense of many kinds';

    for my $other ({metric => '^Viewed'}, {unique_id => '^this$'},
                   {email => '^ada@'})
    {
        $sandbox->fault(kind => 'refuse', match => $other, times => 1);
        is send_bulk(bulk($entry->('good', 'this')))->status, 400,
            'by ' . join ' ', keys %$other;
    }
};


subtest 'its page and its figures' => sub {
    fresh();

    send_single(single(event(properties => {x => '<script>alert(1)</script>'
    }, metric => {data => {type => 'metric',
                           attributes => {name => '<b>'}}})));

    my $client = $sandbox->client;
    my $page   = $client->get('/');

    is $page->status, 200, 'the page';
    like $page->header('Content-Security-Policy'), qr/default-src 'none'/,
        'has a strict policy';
    unlike $page->body, qr{https?://|//[a-z]}, 'loads nothing from elsewhere';
    is $client->get("/page.$_")->status, 200, "page.$_" for qw(js css);
    unlike $client->get('/page.js')->body, qr/innerHTML|insertAdjacent/,
        'values are set as text';

    send_single(single(event())) for 1 .. 4;
    is scalar @{ $sandbox->events(since => 2) }, 3, 'since';
    is scalar @{ $sandbox->events(since => 2, limit => 2) }, 2, 'limit';
    is $sandbox->stats->{recorded}, 5, 'recorded';
    is $sandbox->stats->{statuses}{202}, 5, 'statuses';
    is_deeply decode_json($sandbox->body)->{data}{type}, 'event', 'a body';
};


ok $sandbox->stop, 'it ends when told to';

done_testing;

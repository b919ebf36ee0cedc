#!/usr/bin/perl

# From the ring to Klaviyo: batches, answers, and every event's outcome.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(read_file);
use Mojo::JSON  ();
use Time::HiRes qw(sleep time);


my $http = q{
    klaviyo_profile email $arg_email;
    klaviyo_property N $arg_n;
};

my $server = q{
    location / {
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }

    location /product {
        klaviyo_event "Viewed Product" {
            property ProductID $arg_n;
        }
        return 200 "product\n";
    }

    location /order {
        klaviyo_event "Placed Order" {
            value $arg_value EUR;
            unique_id $arg_order;
        }
        return 200 "thanks\n";
    }
};

sub start {
    my (%option) = @_;

    return Klaviyo::Test->new(http => $http, server => $server,
        %option)->start;
}

# n requests, each with another visitor unless `email` is given
sub hits {
    my ($t, $n, %option) = @_;

    my $client = $t->client;
    my $path   = $option{path} // '/';

    for my $i (1 .. $n) {
        my $email = $option{email} // "v$i\@shop.test";
        my $status = $client->get("$path?email=$email&n=$i")->status;

        return fail("request $i: $status") if $status != 200;
    }

    $client->close;
    return 1;
}

sub numbers {
    return [sort { $a <=> $b } map { $_->{properties}{N} } @{ $_[0] }];
}


subtest 'three hundred hits' => sub {
    my $t = start(workers => 2, account => 'batch linger=1s;');

    for my $path (qw(/ /product /order)) {
        hits($t, 100, path => $path);
    }

    my $events = $t->wait_events(300);
    $t->wait_idle;

    is scalar @$events, 300, 'all arrived';
    is scalar(grep { $_->{times} == 1 } @$events), 300, 'once each';
    cmp_ok scalar @{ $t->sandbox->requests }, '<=', 30, 'in few requests';
    is_deeply [grep { $_->{status} != 202 } @{ $t->sandbox->requests }], [],
        'all of them accepted';

    my $account = $t->account;

    is $account->{captured}, 300, 'captured';
    is $account->{delivered}, 300, 'delivered';
    is $account->{queued}, 0, 'nothing queued';
    $t->stop;
};


subtest 'one event alone' => sub {
    my $t = start;

    $t->get('/order?email=ada@shop.test&value=12.50&order=A-1');

    my ($event) = @{ $t->wait_events(1) };
    my ($request) = @{ $t->sandbox->requests };

    is $event->{via}, 'single', 'to /api/events';
    is $event->{value}, 12.5, 'its value';
    is $event->{value_currency}, 'EUR', 'its currency';
    is $event->{unique_id}, 'A-1', 'its unique_id';
    is $request->{path}, '/api/events', 'path';
    is $request->{headers}{revision}, '2026-10-15', 'revision';
    is $request->{headers}{$_}, 'application/vnd.api+json', $_
        for qw(content-type accept);
    like $request->{headers}{'user-agent'}, qr{^ngx_http_klaviyo_module/},
        'user agent';
    is $request->{headers}{expect}, undef, 'no Expect';
    $t->stop;
};


subtest 'answers that pass' => sub {
    my $t = start;
    my $n = 0;

    for my $fault (
        (map { {kind => 'status', status => $_} }
             qw(408 425 500 502 503 504 524)),
        {kind => 'status', status => 403, body => 'html',
         headers => {'cf-mitigated' => 'challenge'}},
        {kind => 'status', status => 503, body => 'html'},
        {kind => 'status', status => 503, retry_after => 1},
        {kind => 'reset'}, {kind => 'reset', at => 'headers'},
        {kind => 'lost'}, {kind => 'raw', bytes => "HTTP/1.1 2"},
        {kind => 'raw', bytes => "\0\0\0 nonsense\r\n\r\n"},
    ) {
        my $name = join ' ', map { $fault->{$_} // () } qw(kind status at);

        $t->sandbox->fault(%$fault, times => 2);
        hits($t, 5, path => '/product');
        $n += 5;
        ok $t->sandbox->wait_events($n, 10), "$name: then delivered";
        ok $t->wait_idle, "$name: nothing queued";
        $t->sandbox->clear_faults;
    }

    my $events = $t->sandbox->events;
    my %id     = map { $_->{unique_id} => 1 } @$events;

    is scalar keys %id, $n, 'each with its own unique_id';
    is $t->account->{delivered}, $n, 'delivered';
    cmp_ok $t->account->{replies}{passing}, '>=', 18, 'passing counted';
    cmp_ok $t->account->{replies}{none}, '>=', 8, 'no answer counted';
    like $t->log, qr/\[warn\].*klaviyo account "shop": .*events are kept/,
        'the log tells';
    $t->stop;
};


subtest 'a hang is cut off, a slow answer is waited for' => sub {
    my $t = start(account => 'timeout connect=1s total=1s;');

    $t->sandbox->fault(kind => 'hang', times => 1);
    hits($t, 3);
    ok $t->wait_events(3), 'after a hang';
    $t->sandbox->fault(kind => 'slow', seconds => 0.5, times => 1);
    hits($t, 3);
    ok $t->wait_events(6), 'after a slow answer';
    ok $t->wait_idle, 'idle';
    $t->sandbox->release;
    $t->stop;
};


subtest 'throttled' => sub {
    my $t = start(account => 'batch linger=10ms;');

    $t->sandbox->fault(kind => 'status', status => 429, retry_after => 2,
        times => 1);
    hits($t, 2);
    $t->sandbox->wait_requests(1);
    my $began = time;

    ok wait_for(2, sub { $t->account->{delivery}{paused_for} }),
        'the pause is published';

    # another deliverer honours it

    ok $t->reload(gone => 10), 'reloaded';
    hits($t, 2);
    ok $t->wait_events(4), 'delivered';
    cmp_ok time - $began, '>', 1.5, 'not before the time';

    my $requests = $t->sandbox->requests;
    cmp_ok $requests->[1]{time} - $requests->[0]{time}, '>=', 2,
        'Retry-After is honoured over a reload';

    for my $retry (undef, 'soon', {date => 1}) {
        $t->sandbox->fault(kind => 'status', status => 429, times => 1,
            defined $retry ? (retry_after => $retry) : ());
        my $n = @{ $t->sandbox->events };
        hits($t, 2);
        ok $t->sandbox->wait_events($n + 2, 10),
            'without a usable number it goes on too';
    }

    is $t->account->{replies}{throttled}, 4, 'counted';
    ok $t->wait_idle, 'idle';
    $t->stop;
};


subtest 'an absurd Retry-After' => sub {
    my $t = start;

    $t->sandbox->fault(kind => 'status', status => 429,
        retry_after => '99999999999999999999', times => 1);
    hits($t, 2);
    ok wait_for(5, sub { $t->account->{delivery}{paused_for} }), 'paused';
    cmp_ok $t->account->{delivery}{paused_for}, '<=', 3600, 'for an hour';
    $t->stop;
};


subtest 'a fault in the configuration keeps events' => sub {
    for my $status (401, 403, 404, 405, 410, 415, 302, 451) {
        my $t = start(name => "status $status");

        $t->sandbox->fault(kind => 'status', status => $status);
        hits($t, 4);
        $t->sandbox->wait_requests(1);
        ok wait_for(5, sub { $t->account->{replies}{blocked} }),
            "$status: blocked";
        is $t->account->{queued}, 4, "$status: kept";
        ok wait_for(5, sub {
            $t->log =~ /\[error\].*$status.*check the key, its scope/
        }), "$status: the log says what to check";

        sleep 0.5;
        cmp_ok scalar @{ $t->sandbox->requests }, '<', 8,
            "$status: probed slowly";
        $t->sandbox->clear_faults;
        ok $t->wait_events(4), "$status: delivered later";
        ok $t->wait_idle, "$status: idle";
        $t->stop;
    }
};


subtest 'a wrong key, then a good one' => sub {
    my $u = Klaviyo::Test->new(http => $http, server => $server, account => q{
        api_key_file %%DIR%%/rotated.key;
        retry min=1s max=5m;
    });

    $u->file('rotated.key', "pk_wrong_key\n", 0600);
    $u->start;
    hits($u, 3);
    ok wait_for(5, sub { $u->account->{replies}{blocked} }), 'refused by 401';
    is $u->account->{queued}, 3, 'kept';

    $u->file('rotated.key', $u->key . "\n", 0600);
    ok $u->reload(gone => 10), 'a reload with the good key';
    ok $u->wait_events(3, 5), 'delivered at once';
    ok $u->wait_idle, 'idle';
    $u->stop;
};


subtest 'refusals' => sub {
    for my $pointer (qw(event entry none nonsense)) {
        my $t = start(name => "pointer $pointer",
                      account => 'batch linger=300ms;');

        $t->sandbox->fault(kind => 'refuse', match => {properties => {N => 3}},
            pointer => $pointer);
        hits($t, 10);
        ok $t->wait_events(9), "$pointer: the others arrive";
        ok $t->wait_idle, "$pointer: idle";
        is_deeply numbers($t->sandbox->events), [1, 2, 4 .. 10],
            "$pointer: all but the bad one";

        my $account = $t->account;
        is $account->{delivered}, 9, "$pointer: delivered";
        is $account->{dead}, 1, "$pointer: dead";
        is $account->{reasons}{dead}{refused}, 1, "$pointer: refused";
        like $t->log, qr/\[error\].*refused an event for good.*unique_id "/,
            "$pointer: the log names it";
        $t->stop;
    }
};


subtest 'a bad event among the same visitor\'s' => sub {
    for my $pointer (qw(event entry none)) {
        my $t = start(name => "one visitor, $pointer",
                      account => 'batch linger=300ms;');

        $t->sandbox->fault(kind => 'refuse', match => {properties => {N => 3}},
            pointer => $pointer);
        hits($t, 10, email => 'ada@shop.test');
        ok $t->wait_events(9), "$pointer: the others arrive";
        ok $t->wait_idle, "$pointer: idle";
        is_deeply numbers($t->sandbox->events), [1, 2, 4 .. 10],
            "$pointer: all but the bad one";
        is $t->account->{dead}, 1, "$pointer: one dead";
        $t->stop;
    }
};


subtest 'a single one is refused' => sub {
    my $t = start;

    $t->sandbox->fault(kind => 'refuse', match => {metric => 'Viewed Page'});
    hits($t, 1);
    ok wait_for(5, sub { $t->account->{dead} == 1 }), 'dead';
    is scalar @{ $t->sandbox->requests }, 1, 'asked once';
    $t->stop;
};


subtest 'too large' => sub {
    my $t = start(account => 'batch linger=300ms;');

    $t->sandbox->fault(kind => 'status', status => 413, endpoint => 'bulk',
        times => 3);
    hits($t, 10);
    ok $t->wait_events(10), 'halved until it fits';
    ok $t->wait_idle, 'idle';
    is $t->account->{delivered}, 10, 'delivered';
    is $t->account->{replies}{too_large}, 3, 'counted';
    $t->stop;

    $t = start;
    $t->sandbox->fault(kind => 'status', status => 413);
    hits($t, 2);
    ok wait_for(5, sub { $t->account->{dead} == 2 }), 'alone: dead';
    is $t->account->{reasons}{dead}{too_large}, 2, 'with the reason';
    $t->stop;
};


subtest 'an answer is lost after processing' => sub {
    my $t = start(account => 'batch linger=300ms;');

    $t->sandbox->fault(kind => 'lost', endpoint => 'bulk', times => 1);
    $t->sandbox->fault(kind => 'status', status => 400, body => 'html',
        endpoint => 'bulk', times => 1);
    hits($t, 6);
    ok $t->wait_idle, 'idle';

    my $events = $t->sandbox->events;

    is scalar @$events, 6, 'each recorded once';
    is scalar(grep { $_->{times} == 2 } @$events), 6, 'and sent twice';
    is $t->account->{delivered}, 6, 'delivered';
    is $t->account->{requests}{single}, 6,
        'a re-sent batch refused without names goes one by one';
    $t->stop;
};


subtest 'a unique_id is never repeated inside one request' => sub {
    my $t = start(account => 'batch linger=300ms;');
    my $client = $t->client;

    $client->get("/order?email=a\@shop.test&order=$_&value=1")
        for qw(A A B A C B A);

    ok $t->wait_idle, 'idle';
    is scalar @{ $t->sandbox->events }, 3, 'three orders recorded';
    is $t->sandbox->stats->{duplicates_in_request}, 0, 'never in one request';
    is $t->account->{delivered}, 7, 'all delivered';
    $t->stop;
};


subtest 'too old' => sub {
    my $t = start(account => 'retry min=50ms max=200ms max_age=1s;');

    $t->sandbox->fault(kind => 'status', status => 503);
    hits($t, 3);
    sleep 3;
    $t->reload(gone => 10);
    ok wait_for(8, sub { $t->account->{reasons}{dead}{expired} == 3 }),
        'given up, counted';
    $t->stop;
};


subtest 'events grow old while they wait for another try' => sub {
    my $t = start(account => 'retry min=50ms max=200ms max_age=1s;');

    $t->sandbox->fault(kind => 'status', status => 503);
    hits($t, 3);
    ok wait_for(8, sub { $t->account->{reasons}{dead}{expired} == 3 }),
        'given up without a restart';
    $t->sandbox->clear_faults;
    hits($t, 2);
    ok $t->wait_events(2), 'the next ones are delivered';
    $t->stop;
};


subtest 'a refusal of the request, not of its events' => sub {
    my $t = start;

    $t->sandbox->fault(kind => 'status', status => 400, body =>
        '{"errors":[{"id":"1","code":"invalid","title":"Invalid input.",'
        . '"detail":"no such revision","source":{"header":"revision"}}]}');
    hits($t, 5);
    ok wait_for(5, sub { $t->account->{replies}{blocked} }), 'blocked';
    is $t->account->{queued}, 5, 'all kept';
    is $t->account->{dead}, 0, 'none dead';
    $t->sandbox->clear_faults;
    ok $t->wait_events(5), 'delivered later';
    $t->stop;
};


# processed, the answer never came, and another worker delivers now: what is
# refused for being there already is not dead

subtest 'an answer is lost with its deliverer' => sub {
    my $t = start(account => 'batch linger=300ms;');

    $t->sandbox->fault(kind => 'hang', process => Mojo::JSON->true,
        endpoint => 'bulk', times => 1);
    $t->sandbox->fault(kind => 'refuse', match => {properties => {N => '.'}},
        endpoint => 'bulk', pointer => 'event');
    hits($t, 5);
    $t->sandbox->wait_requests(1);
    ok $t->reload(gone => 10), 'reload';
    $t->sandbox->release;
    ok $t->wait_idle(20), 'idle';
    is scalar @{ $t->sandbox->events }, 5, 'recorded once each';
    is $t->account->{delivered}, 5, 'all count as delivered';
    is $t->account->{dead}, 0, 'none as dead';
    $t->stop;
};


subtest 'TLS and HTTP/2, connections kept alive' => sub {
    my $t = start(front => 1);

    for my $i (1 .. 4) {
        hits($t, 5);
        ok $t->wait_events(5 * $i), "batch $i";
    }

    my $requests   = $t->sandbox->requests;
    my %version    = map { $_->{http_version} => 1 } @$requests;
    my %connection = map { $_->{connection} => 1 } @$requests;

    is_deeply [keys %version], ['HTTP/2.0'], 'HTTP/2';
    is scalar keys %connection, 1, 'one connection';
    $t->stop;
};


subtest 'a certificate that is not trusted' => sub {
    for my $front ({expired => 1}, {names => ['DNS:other.test']}) {
        my $t = start(front => $front, name => 'bad certificate');

        hits($t, 2);
        ok wait_for(5, sub { $t->account->{replies}{none} }), 'no answer';
        is $t->account->{queued}, 2, 'kept';
        is scalar @{ $t->sandbox->requests }, 0, 'nothing was sent';
        unlike $t->log, qr/ignoring stale global SSL error/,
            'no error left for others';
        $t->stop;
    }

    my $t = start(front => {expired => 1}, account => 'ssl_verify off;');

    hits($t, 2);
    ok $t->wait_events(2), 'ssl_verify off';
    $t->stop;
};


subtest 'dry run' => sub {
    my $t = start(account => 'dry_run on;');

    $t->get("/?email=v$_\@shop.test&n=$_&utm=" . 'x' x 2500) for 1 .. 3;
    ok wait_for(5, sub { $t->account->{dry_run} == 3 }), 'counted';
    is scalar @{ $t->sandbox->requests }, 0, 'nothing sent';

    # the exact bodies, from their parts

    my ($body, @bodies) = ('');

    for ($t->log =~ /\[info\].*: dry run of .*/g) {
        my ($from, $size, $part) = / from byte (\d+) of (\d+): (.*)$/ or next;

        $body = '' if $from == 0;
        $body .= $part if length $body == $from;
        push @bodies, $body if length $body == $size;
    }

    my @json = map { eval { Mojo::JSON::decode_json($_) } } @bodies;

    cmp_ok scalar @bodies, '>', 0, 'logged';
    is scalar @json, scalar @bodies, 'whole';
    cmp_ok length "@bodies", '>', 3 * 2500, 'however long';
    like "@bodies", qr/v$_\@shop\.test/, "visitor $_" for 1 .. 3;
    $t->stop;
};


subtest 'two accounts do not hold each other up' => sub {
    my $t = Klaviyo::Test->new(
        http => $http . q{
            klaviyo_account other {
                api_key_file %%KEY_FILE%%;
                endpoint http://127.0.0.1:%%PORT_SILENT%%;
                queue %%QUEUE_DIR%%/other.ring size=1m;
                spool %%DIR%%/other;
                batch linger=50ms;
                timeout connect=1s total=2s;
            }
            klaviyo_account_default shop;
        },
        server => q{
            location /a { klaviyo_track A; return 200; }
            location /b { klaviyo_track B account=other; return 200; }
        });

    $t->start;

    for my $i (1 .. 5) {
        $t->get("/b?email=b$i\@shop.test");
        $t->get("/a?email=a$i\@shop.test&n=$i");
    }

    ok $t->wait_events(5), 'the healthy one delivers';
    ok wait_for(5, sub { $t->account->{delivered} == 5 }), 'five';
    ok wait_for(5, sub { $t->account('other')->{replies}{none} }),
        'the other one tries';
    is $t->account('other')->{queued}, 5, 'and keeps';
    $t->stop;
};


subtest 'the key stays where it is' => sub {
    my $t = start;

    hits($t, 2);
    ok $t->wait_events(2), 'delivered';

    my $key = $t->key;

    unlike $t->log, qr/\Q$key\E/, 'not in the log';

    # not even if Klaviyo repeats it

    for my $code (401, 400) {
        $t->sandbox->fault(kind => 'status', status => $code, times => 1,
            body => Mojo::JSON::encode_json({errors => [{id => 1,
                status => $code, code => 'x', title => "Bad $key.",
                detail => "The key $key is wrong, $key."}]}));
        hits($t, 1);
        ok $t->wait_idle(20), "$code: said";
    }

    is $t->account->{dead}, 1, 'a dead letter of it';
    like read_file($t->spool . '/dead.jsonl'), qr/The key \*{24} is wrong/,
        'without the key';
    like $t->log, qr/401 "Bad \*{24}\./, 'as in the log';
    unlike $t->log, qr/\Q$key\E/, 'where it is not either';

    my $status = Klaviyo::Test::Client->new(port => $t->port('STATUS'));

    unlike $status->get('/klaviyo_status')->body, qr/pk_/,
        'not in the status';

    SKIP: {
        my $gcore = (grep { -x } qw(/usr/bin/gcore))[0]
            or skip 'no gcore', 1;

        # with the sanitizers' shadow memory it would fill the disk

        skip 'a sanitizer is loaded', 1
            if ($ENV{KLAVIYO_NGINX} // '') =~ /asan|valgrind/;
        my ($worker) = $t->workers;
        my $core = $t->dir . '/core';

        system "$gcore -o $core $worker >/dev/null 2>&1";

        my @file = glob "$core.*" or skip 'no core file', 1;
        open my $in, '<:raw', $file[0] or die;
        my $bytes = do { local $/; <$in> };
        close $in;

        is index($bytes, $key), -1, 'not in a core file';
        unlink @file;
    }

    $t->stop;
};

done_testing;

#!/usr/bin/perl

# One event, or an answer to it, holds up no other: what Klaviyo's end fails
# with is told from what fails for all, set aside, and tried by itself.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(read_file);
use Mojo::JSON  qw(decode_json);
use Time::HiRes qw(sleep time);

alarm slow(600);


my $http = q{
    klaviyo_profile email $arg_email;
    klaviyo_property N $arg_n;
    klaviyo_property Kind $arg_kind;
    klaviyo_property Filler $request_body;
};

my $server = q{
    location / {
        client_body_buffer_size 128k;
        klaviyo_request_body on;
        klaviyo_skip off;
        klaviyo_track "Viewed Page";
        return 200 "page\n";
    }
};

# the defaults of the module where the harness has others

my $defaults = 'batch linger=1s; retry min=1s max=5m;';

sub start {
    my (%option) = @_;

    return Klaviyo::Test->new(http => $http, server => $server,
        account => $defaults, %option)->start;
}

sub hits {
    my ($t, $kind, @numbers) = @_;

    my $client = $t->client;

    for my $n (@numbers) {
        my $status = $client->get(
            "/?email=v$n\@shop.test&n=$n&kind=$kind")->status;

        return fail("request $n: $status") if $status != 200;
    }

    $client->close;
    return 1;
}

sub recorded {
    my ($t, $kind) = @_;

    my %seen;
    $seen{ $_->{properties}{N} }++
        for grep { $_->{properties}{Kind} eq $kind } @{ $t->sandbox->events };

    return scalar keys %seen;
}

sub adds_up {
    my ($f) = @_;

    return $f->{captured} == $f->{delivered} + $f->{dry_run} + $f->{dead}
        + $f->{lost} + $f->{queued};
}


my %answer = (
    '500'                => {kind => 'status', status => 500},
    '403'                => {kind => 'status', status => 403},
    '403 of a challenge' => {kind => 'status', status => 403, body => 'html',
                             headers => {'cf-mitigated' => 'challenge'}},
    '413'                => {kind => 'status', status => 413},
    '415'                => {kind => 'status', status => 415},
    '429'                => {kind => 'status', status => 429,
                             retry_after => 1},
    'a closed connection' => {kind => 'reset'},
    'a 400 with a cut body' => {kind => 'raw', after => 0,
        bytes => "HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n"
                 . '{"errors":[{"id"'},
    'a 400 without names' => {kind => 'status', status => 400,
                              body => 'empty'},
    'nothing at all'     => {kind => 'hang'},
);

# each at an account of its own, side by side

my @case = map { my $name = $_; map { [$name, $_] }
                 'in one batch', 'one before the others' }
           sort keys %answer;

subtest 'what holds the marked event fails' => sub {
    my $t = Klaviyo::Test->new(
        sandbox => {keys => ['pk_test_0123456789abcdef:shop',
                             map { "pk_test_c$_:c$_" } 0 .. $#case]},
        http    => $http . 'klaviyo_property Case $arg_case;' . join('', map {
            "klaviyo_account c$_ { api_key pk_test_c$_; endpoint %%ENDPOINT%%;"
            . " queue %%QUEUE_DIR%%/c$_.ring size=1m; spool %%DIR%%/c$_.spool;"
            . ' }'
        } 0 .. $#case) . 'klaviyo_account_default shop;',
        server  => join '', map { qq{
            location = /c$_ {
                klaviyo_track "Viewed Page" account=c$_;
                return 200 "page\n";
            }
        } } 0 .. $#case);

    $t->start;

    my $client = $t->client;
    my $hit    = sub {
        my ($case, $kind, @numbers) = @_;

        for my $n (@numbers) {
            $client->get("/c$case?email=v$n\@shop.test&n=$n&kind=$kind"
                . "&case=$case")->status == 200 or fail("request $n");
        }
    };

    for my $n (0 .. $#case) {
        $t->sandbox->fault(%{ $answer{ $case[$n][0] } }, account => "c$n",
            contains => 'marked');
    }

    my $from = time;

    $hit->($_, 'marked', 0) for grep { $case[$_][1] =~ /before/ } 0 .. $#case;
    sleep 2.5;

    for my $n (0 .. $#case) {
        $hit->($n, 'marked', 0) if $case[$n][1] !~ /before/;
        $hit->($n, 'good', 1 .. 50);
    }

    $client->close;

    my (%good, %took);

    while (keys %took < @case && time - $from < 60) {
        sleep 0.5;
        %good = ();

        $good{ $_->{properties}{Case} }{ $_->{properties}{N} }++
            for grep { $_->{properties}{Kind} eq 'good' }
                @{ $t->sandbox->events };

        for my $n (0 .. $#case) {
            $took{$n} //= time - $from if keys %{ $good{$n} // {} } == 50;
        }
    }

    for my $n (0 .. $#case) {
        ok defined $took{$n}, sprintf
            '%s, %s: the others are delivered within a minute: %.1f s',
            @{ $case[$n] }, $took{$n} // 0;
    }

    for my $n (0 .. $#case) {
        my $name = "@{ $case[$n] }";

        # one that hangs is under way for 30 s once more

        ok wait_for(40, sub { $t->account("c$n")->{delivered} == 50 }),
            "$name: acknowledged"
            or diag explain $t->account("c$n");

        # a 400 and a 413 of one event are Klaviyo's last word

        my $figures = $t->account("c$n");
        my $final   = $name =~ /413|without names/ ? 1 : 0;

        is $figures->{dead}, $final, "$name: dead";
        is $figures->{queued}, 1 - $final, "$name: kept";
        is $figures->{captured}, 51, "$name: captured";
        ok adds_up($figures), "$name: the equation";
    }

    # mended

    $t->sandbox->clear_faults;
    $t->sandbox->release;

    for my $n (0 .. $#case) {
        ok wait_for(60, sub { $t->account("c$n")->{queued} == 0 }),
            "@{ $case[$n] }: delivered when Klaviyo takes it";
    }

    $t->stop;
};


for my $max_age ('', 'max_age=20s') {
    subtest "forged visits, named by Klaviyo $max_age" => sub {
        my $t = start(account => "batch linger=4s; retry min=1s max=5m "
                                 . "$max_age;");

        $t->sandbox->fault(kind => 'refuse',
            match => {properties => {Kind => '^forged$'}});

        hits($t, 'forged', 1 .. 6);
        hits($t, 'good', 1 .. 100);
        hits($t, 'forged', 7 .. 12);

        ok wait_for(10, sub { recorded($t, 'good') == 100 }),
            'the genuine ones arrive';
        ok wait_for(5, sub { $t->account('shop')->{delivered} == 100 }),
            'and are acknowledged';

        my $figures = $t->account('shop');

        is $figures->{dead} + $figures->{queued}, 12, 'the others are kept';
        is $figures->{delivery}{breaker_opened}, 1, 'counted';
        is $figures->{delivery}{events_set_aside}, 12, 'set aside';
        like $t->log, qr/\[error\].*refuses too many events.*set aside/,
            'said loudly';
        ok adds_up($t->account('shop')), 'the equation';

        # more come, and go

        hits($t, 'good', 101 .. 150);
        ok wait_for(10, sub { recorded($t, 'good') == 150 }), 'more of them';

        $t->stop;
    };
}


# beside it one account whose answers fail by chance: no event's fault

subtest 'an event that always fails ends as a dead letter' => sub {
    my $flaky = 'pk_test_flaky';
    my $t     = Klaviyo::Test->new(
        account => 'batch linger=50ms; retry min=50ms max=2s;',
        sandbox => {keys => ['pk_test_0123456789abcdef:shop',
                             "$flaky:flaky"]},
        http    => $http . qq{
            klaviyo_account flaky {
                api_key $flaky; endpoint %%ENDPOINT%%;
                queue %%QUEUE_DIR%%/flaky.ring size=1m;
                spool %%DIR%%/flaky.spool;
                batch linger=50ms; retry min=50ms max=500ms;
            }
            klaviyo_account_default shop;
        },
        server  => $server . q{
            location /flaky {
                klaviyo_skip off;
                klaviyo_track "Viewed Page" account=flaky;
                return 200 "page\n";
            }
        })->start;

    $t->sandbox->fault(kind => 'status', status => 503, account => 'flaky',
        share => 0.6);

    $t->sandbox->fault(kind => 'status', status => 500, contains => 'marked',
        body => '{"errors":[{"id":"1","code":"x","title":"Oh.",'
                . '"detail":"it was the marked one"}]}');

    my $from = time;
    my $n    = 0;

    hits($t, 'marked', 0);

    # what is set aside is in the queue twice for a moment, and one event

    my $client = $t->client;
    my $others = 0;
    my $more   = 0;
    my $hit    = sub {
        hits($t, 'good', ++$n);
        $client->get("/flaky?email=v\@shop.test&n=" . ++$others) for 1 .. 20;

        for (1 .. 10) {
            $more++ if $t->account('shop')->{captured} > $n + 1
                || $t->account('flaky')->{captured} > $others;
            sleep 0.1;
        }
    };

    $hit->() while time - $from < 50;

    is $t->account('shop')->{dead}, 0, 'not within a minute';
    ok wait_for(5, sub { $t->account('shop')->{delivered} == $n }),
        'the others go on';

    $hit->() while time - $from < 90 && !$t->account('shop')->{dead};

    my @letters = map { decode_json($_) }
        split /\n/, read_file($t->spool . '/dead.jsonl');

    is scalar @letters, 1, 'one dead letter';
    is $letters[0]{reason}, 'failed', 'why';
    is $letters[0]{status}, 500, "Klaviyo's status";
    is $letters[0]{detail}, 'it was the marked one', "Klaviyo's words";
    cmp_ok $letters[0]{attempts}, '>=', 1, 'attempts';

    is $t->account('shop')->{captured}, $n + 1, 'captured';
    is $more, 0, 'and never more';
    is $t->account('shop')->{reasons}{dead}{failed}, 1, 'counted';

    $t->sandbox->clear_faults;
    ok $t->wait_idle(60), 'nothing is left';
    is $t->account('flaky')->{delivered}, $others,
        'what failed by chance is delivered';

    $t->stop;
};


subtest 'no answer to the first request: the next ones do not wait' => sub {
    my $t = start();

    $t->sandbox->fault(kind => 'hang', contains => 'marked');

    hits($t, 'marked', 0);

    ok wait_for(10, sub { $t->account('shop')->{requests}{single} == 1 }),
        'one is under way';

    hits($t, 'good', 1 .. 20);

    ok wait_for(15, sub { recorded($t, 'good') == 20 }),
        'those behind it arrive' or diag recorded($t, 'good');

    $t->sandbox->clear_faults;
    $t->sandbox->release;
    ok $t->wait_idle(60), 'so does it';
    $t->stop;
};


subtest 'an endpoint that knows some requests only is told once' => sub {
    my $t = start(account => 'batch linger=50ms; retry min=50ms max=1s;');

    $t->sandbox->fault(kind => 'status', status => 405, contains => 'marked');

    for my $n (1 .. 8) {
        hits($t, 'marked', $n);
        sleep 0.3;
        hits($t, 'good', $n);
        sleep 0.3;
    }

    ok wait_for(20, sub { recorded($t, 'good') == 8 }), 'the others arrive';

    my @lines = $t->log =~ /\[error\].*delivery has failed since/g;

    is scalar @lines, 1, 'one line in this minute' or diag explain \@lines;

    $t->sandbox->clear_faults;
    ok $t->wait_idle(60), 'nothing is left';
    $t->stop;
};


subtest 'a batch that takes too long is sent in parts' => sub {
    my $t = start(account => "$defaults timeout total=6s;");

    $t->sandbox->fault(kind => 'hang', larger => 1_000_000);

    my $client = $t->client;

    for my $n (1 .. 45) {
        $client->request(POST => "/?email=v$n\@shop.test&n=$n&kind=good",
            [], 'x' x 80_000);
    }

    ok wait_for(40, sub { recorded($t, 'good') == 45 }), 'it arrives'
        or diag recorded($t, 'good');
    ok $t->wait_idle(5), 'acknowledged';

    $t->stop;
};


for my $status (500, 401, 403) {
    subtest "everything is answered $status: nothing dies" => sub {
        my $t = start(account => 'batch linger=50ms; retry min=50ms max=1s;');

        $t->sandbox->fault(kind => 'status', status => $status);

        my $n = 0;

        for (1 .. 10) {
            hits($t, 'good', map { ++$n } 1 .. 20);
            sleep 1;
        }

        my $figures = $t->account('shop');

        is $figures->{queued}, $n, 'all are kept';
        is $figures->{dead} + $figures->{lost}, 0, 'none is dead';
        is $figures->{delivery}{events_set_aside}, 0, 'none is suspect';

        $t->sandbox->clear_faults;

        ok wait_for(40, sub { recorded($t, 'good') == $n }),
            'mended: all arrive';
        ok $t->wait_idle(5), 'acknowledged';
        is $t->account('shop')->{delivered}, $n, 'delivered';

        $t->stop;
    };
}


done_testing();

#!/usr/bin/perl

# $klaviyo_event_id and $klaviyo_captured: early and late, in redirects and
# subrequests, and what an access log finds in them.

use lib 't/lib';
use Klaviyo::Test;


my $uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-
    [0-9a-f]{12}/x;

my $t = Klaviyo::Test->new(
    http => q{
        log_format  captured  '$uri $klaviyo_captured $klaviyo_event_id';

        klaviyo_profile   external_id  $arg_who;
        klaviyo_defaults  off;

        server {
            listen 127.0.0.1:%%PORT_BACKEND%%;
            location / {
                add_header X-Seen $http_x_event_id;
                add_header X-Order order-7;
                return 200 "backend\n";
            }
        }
    },
    server => <<'END');
        access_log %%DIR%%/captured.log captured;

        location / {
            return 200 "nothing\n";
        }

        location /one {
            klaviyo_track "One";
            add_header X-Event-Id $klaviyo_event_id always;
            add_header X-Captured "<$klaviyo_captured>" always;
            return 200 "";
        }

        location /late {
            klaviyo_track "Late";
            return 200 "";
        }

        location /own {
            klaviyo_event "Own" { unique_id $arg_id; }
            add_header X-Event-Id $klaviyo_event_id;
            return 200 "";
        }

        location /self {
            klaviyo_event "Self" { unique_id $klaviyo_event_id; }
            return 200 "";
        }

        location /two {
            klaviyo_track "First" if=$arg_first;
            klaviyo_track "Second";
            add_header X-Event-Id $klaviyo_event_id;
            return 200 "";
        }

        location /own_second {
            klaviyo_track "First" if=$arg_first;
            klaviyo_event "Owned" { unique_id $upstream_http_x_order; }
            klaviyo_event "Other" { unique_id $arg_id; }
            add_header X-Event-Id $klaviyo_event_id;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /proxy {
            klaviyo_track "Proxy";
            proxy_set_header X-Event-Id $klaviyo_event_id;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /order {
            klaviyo_event "Order" { unique_id $upstream_http_x_order; }
            add_header X-Event-Id $klaviyo_event_id;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /early {
            klaviyo_event "Early" { unique_id $upstream_http_x_order; }
            proxy_set_header X-Event-Id $klaviyo_event_id;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /redirect {
            klaviyo_track "Before";
            set $early $klaviyo_event_id;
            add_header X-Early $early always;
            try_files /none @named;
        }

        location @named {
            klaviyo_track "After";
            add_header X-Early $early;
            add_header X-Event-Id $klaviyo_event_id;
            return 200 "";
        }

        location /status {
            klaviyo_track "Status" status=201;
            return 200 "";
        }

        location /if {
            klaviyo_track "If" if=0;
            return 200 "";
        }

        location /metric {
            klaviyo_track "$arg_metric";
            return 200 "";
        }

        location /mirrored {
            klaviyo_track "Mirrored";
            mirror /mirror;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location = /mirror {
            internal;
            log_subrequest on;
            klaviyo_track "Mirror";
            proxy_set_header X-Event-Id $klaviyo_event_id;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /auth {
            auth_request /check;
            klaviyo_track "Authorized";
            return 200 "";

            location /auth/proxy {
                proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
            }
        }

        location = /check {
            internal;
            log_subrequest on;
            klaviyo_profile external_id check;
            klaviyo_track "Check";
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location = /quiet {
            internal;
            klaviyo_profile external_id quiet;
            klaviyo_track "Quiet";
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location /unlogged {
            auth_request /quiet;
            klaviyo_track "Loud";
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }
END

$t->start;

my $seen = 0;

# the answer, and the events of one request by metric
sub ask {
    my ($path) = @_;

    my $response = $t->get($path);

    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = @events[$seen .. $#events];

    $seen = @events;

    return ($response, {map { $_->{metric} => $_ } @new});
}

# the last lines of the access log, by path
sub logged {
    my ($path) = @_;

    open my $file, '<', $t->dir . '/captured.log' or die;

    my ($line) = reverse grep { m{^\Q$path\E } } <$file>;

    chomp $line if defined $line;

    return $line;
}


my ($response, $events) = ask('/one?who=x');

like $response->header('X-Event-Id'), qr/\A$uuid\z/, 'an id, early';
is $response->header('X-Captured'), '<>', 'nothing is captured yet';
is $events->{One}{unique_id}, $response->header('X-Event-Id'),
    'the event has it';
is logged('/one'), "/one 1 $events->{One}{unique_id}", 'the log has it';

my ($other) = ask('/one?who=x');
isnt $other->header('X-Event-Id'), $response->header('X-Event-Id'),
    'each request has its own';

($response, $events) = ask('/late?who=x');
is logged('/late'), "/late 1 $events->{Late}{unique_id}", 'first in the log';

($response, $events) = ask('/own?who=x&id=mine');
is $response->header('X-Event-Id'), 'mine', 'the rule\'s own one';
is $events->{Own}{unique_id}, 'mine', 'in the event';
is logged('/own'), '/own 1 mine', 'in the log';

($response, $events) = ask('/own?who=x&id=' . 'x' x 256);
like $response->header('X-Event-Id'), qr/\A$uuid\z/, 'in place of a bad one';
is $events->{Own}{unique_id}, $response->header('X-Event-Id'),
    'in the event too';

($response, $events) = ask('/self?who=x');
like $events->{Self}{unique_id}, qr/\A$uuid\z/, 'a unique_id of itself';

($response, $events) = ask('/two?who=x&first=1');
is $events->{First}{unique_id}, $response->header('X-Event-Id'),
    'the first of two';
like $events->{Second}{unique_id}, qr/\A$uuid\z/, 'the second one';
isnt $events->{Second}{unique_id}, $events->{First}{unique_id}, 'is another';
like logged('/two'), qr/^\/two 2 \Q$events->{First}{unique_id}\E$/, 'two';

($response, $events) = ask('/two?who=x');
is $events->{Second}{unique_id}, $response->header('X-Event-Id'),
    'the first that is captured has what was told';
like logged('/two'), qr/^\/two 1 /, 'one of two';

($response, $events) = ask('/own_second?who=x&first=1');
is $events->{First}{unique_id}, $response->header('X-Event-Id'),
    'the first one has what was told';
is $events->{Owned}{unique_id}, 'order-7', 'another one has its own';

($response, $events) = ask('/own_second?who=y');
is $events->{Owned}{unique_id}, 'order-7',
    'its own one stays where the first rule, whose id was told, is silent';
like $events->{Other}{unique_id}, qr/\A$uuid\z/, 'an empty one is none';
is logged('/own_second'), '/own_second 2 order-7', 'the log has it';

($response, $events) = ask('/proxy?who=x');
like $response->header('X-Seen'), qr/\A$uuid\z/, 'to an upstream';
is $events->{Proxy}{unique_id}, $response->header('X-Seen'), 'and the event';

($response, $events) = ask('/order?who=x');
is $response->header('X-Event-Id'), 'order-7', 'from an upstream';
is $events->{Order}{unique_id}, 'order-7', 'and the event';

($response, $events) = ask('/early?who=x');
is $response->header('X-Seen') // '', '', 'not told before it is known';
is $events->{Early}{unique_id}, 'order-7', 'nor replaced';

($response, $events) = ask('/redirect?who=x');
like $response->header('X-Early'), qr/\A$uuid\z/, 'before a redirect';
is $response->header('X-Event-Id'), $response->header('X-Early'), 'after it';
is $events->{Before}{unique_id}, $response->header('X-Early'),
    'the event of where it was first has it';


# why none

($response, $events) = ask('/one');
is_deeply $events, {}, 'nobody';
like logged('/one'), qr/^\/one anonymous $uuid$/, 'anonymous';

for my $case (['/late', 'anonymous'], ['/status', 'status'],
              ['/if', 'condition'], ['/metric?who=x', 'metric'],
              ['/two', 'condition'], ['/none', '-'])
{
    my ($path, $reason) = @$case;

    ask($path);

    my $uri = $path =~ s/\?.*//r;

    like logged($uri), qr/^\Q$uri $reason\E /, "$path: $reason";
}

is logged('/late'), '/late anonymous -', 'no event, no id';
is logged('/none'), '/none - -', 'no track, nothing';


# subrequests

($response, $events) = ask('/mirrored?who=x');
$t->wait_events($seen + 1) if keys %$events < 2;
$events = {map { $_->{metric} => $_ } @{ $t->sandbox->events }};

ok $events->{Mirrored}, 'the mirrored request';
ok $events->{Mirror}, 'its mirror';
isnt $events->{Mirror}{unique_id}, $events->{Mirrored}{unique_id},
    'have ids of their own';
like logged('/mirror'), qr/^\/mirror 1 \Q$events->{Mirror}{unique_id}\E$/,
    'the mirror is in the log';
like logged('/mirrored'),
    qr/^\/mirrored 1 \Q$events->{Mirrored}{unique_id}\E$/, 'so is the request';

$seen = @{ $t->sandbox->events };

($response, $events) = ask('/auth/proxy?who=x');
is $response->status, 200, 'authorized';
is_deeply [sort keys %$events], ['Authorized', 'Check'], 'auth_request';
is logged('/check'), "/check 1 $events->{Check}{unique_id}", 'the check';
is logged('/auth/proxy'),
    "/auth/proxy 1 $events->{Authorized}{unique_id}", 'the request';

($response, $events) = ask('/unlogged?who=x');
is_deeply [keys %$events], ['Loud'], 'without log_subrequest';

$t->stop;


# ids of several workers, and after a reload, are never the same

$t = Klaviyo::Test->new(
    workers => 3,
    http    => 'klaviyo_profile external_id x;',
    server  => 'location / { klaviyo_track X; '
        . 'add_header X-Event-Id $klaviyo_event_id; return 200 ""; }');

$t->start;

my (%ids, $n);

for my $round (1 .. 2) {
    for (1 .. 150) {
        $ids{ $t->get('/')->header('X-Event-Id') }++;
        $n++;
    }

    $t->reload(gone => 5) if $round == 1;
}

is keys %ids, $n, 'all different';
is @{ $t->wait_events($n) }, $n, 'all arrived';
$t->stop;

done_testing;

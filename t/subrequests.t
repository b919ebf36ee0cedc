#!/usr/bin/perl

# klaviyo_track in a location that a subrequest reaches, with log_subrequest
# on: one event for each subrequest, whoever makes it, and one of the request
# itself.  The modules for JavaScript (njs) and Lua are Debian's packages; with
# an nginx that cannot load them their parts are skipped.

use lib 't/lib';
use Klaviyo::Test;


my $modules = nginx_modules();

# an application that says who asked, and counts

my $app = <<'END';
        server {
            listen 127.0.0.1:%%PORT_APP%%;
            klaviyo_track off;
            default_type text/plain;

            location / {
                add_header X-Customer ann@shop.com;
                add_header X-Event-Id $http_x_event_id;
                return 200 "app\n";
            }

            location /401 {
                return 401;
            }

            location /500 {
                return 500;
            }

            location /slow {
                limit_rate 100;
                return 200 "slow answer\n";
            }

            location /slower {
                limit_rate 20;
                return 200 "slower answer\n";
            }

            location /sliced {
                root %%DIR%%/files;
            }

            location /cached {
                add_header Cache-Control "max-age=1";
                return 200 "cached\n";
            }
        }
END

my ($t, $seen);

sub http {
    my ($more) = @_;

    return <<"END";
        klaviyo_profile external_id \$cookie_who;
        klaviyo_skip off;
        proxy_set_header X-Event-Id \$klaviyo_event_id;
        proxy_cache_path %%DIR%%/cache keys_zone=c:1m;
        upstream app { server 127.0.0.1:%%PORT_APP%%; }

        log_format seen '\$uri \$klaviyo_captured \$klaviyo_event_id';

$app
$more
END
}

# the modules that not every nginx has: their directive => what is tried

my %module = (
    add_before_body => <<'END',
        location = /added {
            klaviyo_track "Main";
            add_before_body /mirror;
            add_after_body /ssi/two;
            alias %%DIR%%/two.html;
        }
END
    slice => <<'END',
        location = /sliced {
            log_subrequest on;
            klaviyo_track "Main";
            slice 1k;
            proxy_set_header Range $slice_range;
            proxy_cache c;
            proxy_cache_key $uri$slice_range;
            proxy_cache_valid 200 206 1h;
            proxy_pass http://app;
        }
END
);

for my $directive (sort keys %module) {
    my $value  = $directive eq 'slice' ? '1k' : '/';
    my ($code) = config_test(server =>
        "location / { $directive $value; return 204; }");

    delete $module{$directive} if $code;
}


# the events of one request, in the order of their metrics

sub ask {
    my ($path, $n, @headers) = @_;

    my $answer = $t->get($path, Cookie => 'who=ann', @headers);

    wait_for(5, sub { @{ $t->sandbox->events } >= $seen + $n });
    $t->wait_idle;

    my @all = @{ $t->sandbox->events };
    my @new = splice @all, $seen;

    $seen += @new;

    return ($answer, sort {
        $a->{metric} cmp $b->{metric}
        || ($a->{properties}{Sub} // '') cmp ($b->{properties}{Sub} // '')
    } @new);
}

sub metrics { return join ' ', map { $_->{metric} } @_ }

sub start {
    my (%option) = @_;

    $t = Klaviyo::Test->new(%option, http => http($option{http} // ''));
    $t->file('page.html', $option{page} // '');
    $t->file('two.html', qq{<!--# include virtual="/ssi/part?n=3" -->});
    $t->file('slow.html', 'text <!--# include virtual="/slower" -->');
    mkdir $t->dir . '/files';
    $t->file('files/sliced', 'x' x 5000);
    $seen = 0;

    return $t->start;
}


start(
    page => '<!--# include virtual="/ssi/part?n=1" -->'
        . '<!--# include virtual="/ssi/part?n=2" wait="yes" -->'
        . '<!--# include virtual="/ssi/two" -->',
    server => join('', values %module) . <<'END');
        access_log %%DIR%%/access.log seen;

        # mirror

        location = /mirrored {
            set $sku "of $arg_sku";
            klaviyo_track "Main";
            mirror /mirror;
            mirror /mirror;
            mirror /quiet;
            proxy_pass http://app;
        }

        location = /mirror {
            internal;
            log_subrequest on;
            klaviyo_event "Sub" status=2xx {
                property Sub "mirror $sku $uri";
            }
            proxy_pass http://app;
        }

        location = /quiet {
            internal;
            klaviyo_track "Quiet";
            proxy_pass http://app;
        }

        location = /mirrored/slow {
            klaviyo_track "Main";
            mirror /slow;
            proxy_pass http://app/;
        }

        location = /slow {
            internal;
            log_subrequest on;
            klaviyo_track "Slow";
            proxy_pass http://app/slow;
        }

        location = /wait {
            proxy_pass http://app/slow;
        }

        location = /slower {
            internal;
            log_subrequest on;
            klaviyo_track "Slower" status=2xx,4xx,5xx;
            proxy_pass http://app/slower;
        }

        location = /mirrored/500 {
            klaviyo_track "Main";
            mirror /500;
            proxy_pass http://app/;
        }

        location = /500 {
            internal;
            log_subrequest on;
            klaviyo_track "Failed" status=5xx;
            klaviyo_track "Did Not Fail";
            proxy_pass http://app/500;
        }

        # what a subrequest tells of its parent's event

        location = /told {
            klaviyo_track "Main";
            add_header X-Own $klaviyo_event_id;
            add_header X-Told $told;
            auth_request /told/by;
            auth_request_set $told $upstream_http_x_event_id;
            proxy_pass http://app;
        }

        location = /told/by {
            internal;
            proxy_pass http://app;
        }

        location = /told/quiet {
            klaviyo_track "Main";
            add_header X-Own $klaviyo_event_id;
            add_header X-Told $told;
            auth_request /quiet;
            auth_request_set $told $upstream_http_x_event_id;
            proxy_pass http://app;
        }

        location = /told/own {
            klaviyo_track "Main";
            add_header X-Own $klaviyo_event_id;
            add_header X-Told $told;
            auth_request /mirror;
            auth_request_set $told $upstream_http_x_event_id;
            proxy_pass http://app;
        }

        # auth_request

        location = /authorized {
            klaviyo_event "Main" {
                profile email $who;
            }
            auth_request /check;
            auth_request_set $who $upstream_http_x_customer;
            proxy_pass http://app;
        }

        location = /unauthorized {
            klaviyo_track "Main" status=401;
            auth_request /401;
            proxy_pass http://app;
        }

        location = /check {
            internal;
            log_subrequest on;
            klaviyo_event "Sub" {
                profile email $upstream_http_x_customer;
                property Sub "auth $uri";
            }
            proxy_pass http://app;
        }

        location = /401 {
            internal;
            log_subrequest on;
            klaviyo_track "Sub";
            klaviyo_track "Refused" status=401;
            proxy_pass http://app/401;
        }

        location = /redirected {
            klaviyo_track "Main";
            auth_request /first;
            proxy_pass http://app;
        }

        location = /first {
            internal;
            log_subrequest on;
            klaviyo_track "First";
            error_page 401 = /check;
            proxy_intercept_errors on;
            proxy_pass http://app/401;
        }

        # SSI and addition

        location = /ssi {
            set $sku "of $arg_sku";
            ssi on;
            klaviyo_track "Main";
            alias %%DIR%%/page.html;
        }

        location = /ssi/slow {
            ssi on;
            klaviyo_track "Main";
            alias %%DIR%%/slow.html;
        }

        location = /ssi/part {
            internal;
            log_subrequest on;
            klaviyo_event "Sub" {
                property Sub "ssi $arg_n $sku";
            }
            proxy_pass http://app;
        }

        location = /ssi/two {
            internal;
            ssi on;
            log_subrequest on;
            klaviyo_track "Two";
            alias %%DIR%%/two.html;
        }

        # what nginx does for itself

        location = /cached {
            log_subrequest on;
            klaviyo_event "Main" {
                property Cache $upstream_cache_status;
            }
            proxy_cache c;
            proxy_cache_use_stale updating;
            proxy_cache_background_update on;
            proxy_pass http://app;
        }
END

my ($answer, @events);


# mirror

($answer, @events) = ask('/mirrored?sku=7', 3);

is $answer->body, "app\n", 'mirror: served';
is metrics(@events), 'Main Sub Sub', 'mirror: one event each';
is $events[$_]{properties}{Sub}, 'mirror of 7 /mirror',
    'mirror: the variables of the parent, the URI of its own' for 1, 2;
is $_->{profile}{external_id}, 'ann', "mirror: who: $_->{metric}"
    for @events;
is $_->{properties}{Path}, '/mirrored', "mirror: the page: $_->{metric}"
    for @events;
is keys %{ { map { $_->{unique_id} => 1 } @events } }, 3,
    'mirror: ids of their own';

($answer, @events) = ask('/mirrored/500', 2);
is metrics(@events), 'Failed Main', 'mirror: a status of its own';
is $events[0]{properties}{Status}, 500, 'which the event says';
is $events[1]{properties}{Status}, 200, 'as that of the request does';
is $t->account->{reasons}{skipped}{status}, 1, 'what it did not do';

# HTTP/2: the connection stays until the mirrors have their answers

$t->nghttp('-H', 'cookie: who=ann', '/mirrored?sku=8', '/wait');
$t->wait_events($seen + 3, 5);
@events = sort { $a->{metric} cmp $b->{metric} }
    splice @{ $t->sandbox->events }, $seen;
$seen += @events;
is metrics(@events), 'Main Sub Sub', 'mirror: HTTP/2';

# a client that goes away before the mirror has its answer

my $client = $t->client;
$client->send("GET /mirrored/slow HTTP/1.1\r\n"
    . "Host: x\r\nCookie: who=ann\r\n\r\n");
is $client->response->status, 200, 'mirror: answered before the mirror is';
$client->reset;
($answer, @events) = ask('/mirrored', 5);
is metrics(@events), 'Main Main Slow Sub Sub',
    'mirror: a client goes away, each has its event';

# SSI: what nginx has to drop, it does not log

$client = $t->client;
$client->send("GET /ssi/slow HTTP/1.1\r\nHost: x\r\nCookie: who=ann\r\n\r\n");
sleep 1;
$client->reset;
sleep 3;
($answer, @events) = ask('/mirrored', 3);
is scalar grep({ $_->{metric} eq 'Slower' } @events), 0,
    'SSI: a client goes away';


# auth_request

($answer, @events) = ask('/authorized', 2);
is $answer->status, 200, 'auth_request: served';
is metrics(@events), 'Main Sub', 'auth_request: one event each';
is $_->{profile}{email}, 'ann@shop.com', "auth_request: who: $_->{metric}"
    for @events;

($answer, @events) = ask('/unauthorized', 2);
is $answer->status, 401, 'auth_request: refused';
is metrics(@events), 'Main Refused', 'auth_request: by status';

($answer, @events) = ask('/redirected', 3);
is $answer->status, 200, 'auth_request: by error_page';
is metrics(@events), 'First Main Sub', 'both of its locations';
is +(grep { $_->{metric} eq 'Sub' } @events)[0]{properties}{Sub},
    'auth /check', 'where it ends';


# the id of an event

for my $path ('/told', '/told/quiet') {
    ($answer, @events) = ask("$path", 1);
    is metrics(@events), 'Main', "$path: one event";
    is $answer->header('X-Own'), $events[0]{unique_id}, 'its id';
    is $answer->header('X-Told'), $events[0]{unique_id},
        'is told by the subrequest, which fires none';
}

($answer, @events) = ask('/told/own', 2);
is metrics(@events), 'Main Sub', '/told/own: one event each';
is $answer->header('X-Own'), $events[0]{unique_id}, 'the id of the request';
is $answer->header('X-Told'), $events[1]{unique_id},
    'the subrequest tells its own';


# SSI, nested

($answer, @events) = ask('/ssi?sku=7', 5);
is $answer->body, "app\n" x 3, 'SSI: the page';
is metrics(@events), 'Main Sub Sub Sub Two', 'SSI: one event each';
is_deeply [map { $_->{properties}{Sub} } @events[1 .. 3]],
    ['ssi 1 of 7', 'ssi 2 of 7', 'ssi 3 of 7'],
    'SSI: the variables of the parent, arguments of their own';


# addition

SKIP: {
    skip 'addition: this nginx is without it', 2 if !$module{add_before_body};

    ($answer, @events) = ask('/added', 4);
    is metrics(@events), 'Main Sub Sub Two', 'addition: one event each';
    is $events[1]{properties}{Sub}, 'mirror  /mirror', 'before the body';
}


# nginx's own subrequests are no requests of anybody

SKIP: {
    skip 'slice: this nginx is without it', 2 if !$module{slice};

    ($answer, @events) = ask('/sliced', 1);
    is length $answer->body, 5000, 'slice: served';
    is metrics(@events), 'Main', 'slice: one event';
}

ask('/cached', 1);
sleep 2;
($answer, @events) = ask('/cached', 1);
is metrics(@events), 'Main', 'proxy_cache_background_update: one event';
is $events[0]{properties}{Cache}, 'STALE', 'of a stale answer';

is scalar grep({ $_->{metric} eq 'Quiet' } @{ $t->sandbox->events }), 0,
    'nothing without log_subrequest';

open my $in, '<', $t->dir . '/access.log' or die $!;
my $log = join '', <$in>;
close $in;

like $log, qr{^/mirror 1 \S{36}$}m, 'the access log: of a subrequest';
unlike $log, qr{^/quiet }m, 'which is not there without log_subrequest';

$t->stop;


# njs and Lua

my %part = (
    'njs' => [['ngx_http_js_module.so'],
        'js_import shop from %%DIR%%/shop.js; js_var $js none;',
        {one => 'of the parent', two => 'of the parent',
            detached => 'of the parent'}, <<'END'],

        location = /one {
            klaviyo_track "Main";
            js_content shop.one;
        }

        location = /two {
            klaviyo_track "Main";
            js_content shop.two;
        }

        location = /detached {
            klaviyo_track "Main";
            js_content shop.detached;
        }

        location = /event {
            internal;
            log_subrequest on;
            klaviyo_event "$arg_metric" {
                property Sub "$arg_n $js";
            }
            return 204;
        }
END

    'Lua' => [['ndk_http_module.so', 'ngx_http_lua_module.so'], '',
        {one => '', two => 'of the parent', detached => 'of the parent'},
        <<'END'],

        location = /one {
            set $js none;
            klaviyo_track "Main";
            content_by_lua_block {
                ngx.var.js = "of the parent"
                local res = ngx.location.capture("/event", {
                    args = { metric = "Sub", n = 1 } })
                ngx.say("sub ", res.status)
            }
        }

        location = /two {
            set $js none;
            klaviyo_track "Main";
            content_by_lua_block {
                ngx.var.js = "of the parent"
                local a, b = ngx.location.capture_multi {
                    { "/event?metric=Sub&n=1",
                      { share_all_vars = true } },
                    { "/event?metric=Sub&n=2",
                      { share_all_vars = true } } }
                ngx.say("sub ", a.status, " ", b.status)
            }
        }

        location = /detached {
            set $js none;
            klaviyo_track "Main";
            content_by_lua_block {
                ngx.var.js = "of the parent"
                local res = ngx.location.capture(
                    "/event?metric=Sub&n=1", { copy_all_vars = true })
                ngx.say("detached")
            }
        }

        location = /event {
            internal;
            log_subrequest on;
            klaviyo_event "$arg_metric" {
                property Sub "$arg_n $js";
            }
            return 204;
        }
END
);

for my $name (sort keys %part) {
    my ($files, $http, $vars, $server) = @{ $part{$name} };

    SKIP: {
        my @files = map { "$modules/$_" } @$files;
        my $load  = join '', map { "load_module $_;\n" } @files;
        my ($none) = grep { !-f } @files;

        skip "$name: there is no $none", 1 if $none;

        my ($code, $output) = config_test(main => $load);

        skip "$name: this nginx does not load it: $output", 1 if $code;

        $t = Klaviyo::Test->new(name => $name, main => $load,
            http => http($http), server => $server);
        $t->file('shop.js', <<'END');
function one(r) {
    r.variables.js = 'of the parent';
    r.subrequest('/event', 'metric=Sub&n=1')
        .then(a => r.return(200, 'sub ' + a.status + '\n'));
}

function two(r) {
    r.variables.js = 'of the parent';
    Promise.all([1, 2].map(n =>
        r.subrequest('/event', 'metric=Sub&n=' + n)))
        .then(a => r.return(200, 'sub ' + a[0].status + ' ' + a[1].status
                                 + '\n'));
}

function detached(r) {
    r.variables.js = 'of the parent';
    r.subrequest('/event', {args: 'metric=Sub&n=1', detached: true});
    r.return(200, 'detached\n');
}

export default {one, two, detached};
END
        $seen = 0;
        $t->start;

        ($answer, @events) = ask('/one', 2);
        is $answer->body, "sub 204\n", "$name: answered";
        is metrics(@events), 'Main Sub', "$name: one event each";
        is $events[1]{properties}{Sub} =~ s/ $//r,
            $vars->{one} ? "1 $vars->{one}" : 1, "$name: variables";
        is $events[1]{properties}{Path}, '/one', "$name: the page";
        is $events[1]{properties}{Status}, 204, "$name: its own status";

        ($answer, @events) = ask('/two', 3);
        is $answer->body, "sub 204 204\n", "$name, two: answered";
        is metrics(@events), 'Main Sub Sub', "$name, two: one event each";
        is_deeply [map { $_->{properties}{Sub} } @events[1, 2]],
            ["1 $vars->{two}", "2 $vars->{two}"], "$name, two: variables";

        ($answer, @events) = ask('/detached', 2);
        is $answer->body, "detached\n", "$name, detached: answered";
        is metrics(@events), 'Main Sub', "$name, detached: one event each";
        is $events[1]{properties}{Sub}, "1 $vars->{detached}",
            "$name, detached: variables";

        $t->stop;
    }
}

done_testing;

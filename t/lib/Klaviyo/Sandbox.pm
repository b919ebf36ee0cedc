package Klaviyo::Sandbox;

# A Klaviyo to talk to: the two endpoints that take events, with the checks,
# the limits and the de-duplication that Klaviyo documents, some others, see
# Sandbox/Endpoints.pm, and faults on demand.  Serves plain HTTP; TLS and HTTP/2 come from an nginx in front.
#
#   POST /api/events            GET: what was recorded, the newest first
#   POST /api/event-bulk-create-jobs
#   GET  /                      the events, live
#
# Control, JSON throughout:
#
#   GET    /_sandbox/events     what was recorded, in order; ?since=n&limit=n
#   GET    /_sandbox/requests   every request to /api; ?since=n
#   GET    /_sandbox/body       the bytes of request ?n= (the last few only)
#   GET    /_sandbox/state      profiles, lists, subscriptions; ?account=x
#   GET    /_sandbox/stats      counts, statuses, the fullest rate windows
#   DELETE /_sandbox            forget everything, clear all faults
#   POST   /_sandbox/faults     one fault or an array of them -> {"ids": []}
#   GET    /_sandbox/faults     the faults and how often each was used
#   DELETE /_sandbox/faults     clear them; ?id=n: that one
#   POST   /_sandbox/release    close the connections that hang
#   POST   /_sandbox/limits     {"off": true}, {"bulk": {"burst": 5}}, ...
#   POST   /_sandbox/consume    {"class": "bulk", "n": 50, "account": "x"}:
#                               another sender used up that much
#   POST   /_sandbox/settings   {"keep_alive_timeout": s, "max_requests": n}
#
# A fault is {"kind": ...} with, for all kinds, "endpoint" ("single", "bulk",
# "profiles", "lists", "imports", "subscriptions", "accounts", "events": those
# that are read), "account" (its name), "skip" (let so many through first),
# "share" (0.5: half of them, by chance) and "times" (0: until cleared).  The
# first fault in the list that is due takes the request:
#
#   status  "status", "retry_after" (a number, any text, or {"date": s}),
#           "body" ("json", "html", "empty", any text), "size" (pad the body
#           to so many bytes), "headers" {}, "process" (record first)
#   reset   TCP RST; "at": "headers" before the body was read
#   hang    never answers; "process": true records first
#   slow    answers after "seconds"; the events are recorded at once
#   lost    records, then closes without an answer; "reset": true by RST
#   raw     answers the bytes "bytes" and closes; "process": records first;
#           "drip": so many seconds for each byte; "after": seconds before it
#           closes; "reset": by RST
#   refuse  400 (or "status") when an event matches "match" {"metric",
#           "unique_id", "email", "properties": {name: pattern}}; "pointer":
#           see Faults.pm; "errors": at most so many at once

use Mojo::Base 'Mojolicious', -signatures;

use Klaviyo::Sandbox::Endpoints;
use Klaviyo::Sandbox::Faults;
use Klaviyo::Sandbox::JSON qw(read_json);
use Klaviyo::Sandbox::Limits;
use Klaviyo::Sandbox::Page;
use Klaviyo::Sandbox::Schema qw(check_single check_bulk);
use Klaviyo::Sandbox::Store;
use Mojo::Date;
use Mojo::IOLoop;
use Mojo::JSON  qw(decode_json encode_json);
use Socket      qw(SOL_SOCKET SO_LINGER);
use Time::HiRes ();

use constant JSON_API => 'application/vnd.api+json';

# key => {account, scope, n (which of the keys it is)}
has keys        => sub { {} };
has limit       => sub { {} };
has keep        => 200_000;
has keep_bodies => 8;
has daemon      => undef, weak => 1;

has endpoints   => sub { Klaviyo::Sandbox::Endpoints->new };
has faults      => sub { Klaviyo::Sandbox::Faults->new };
has store       => sub ($self) {
    Klaviyo::Sandbox::Store->new(keep => $self->keep);
};

# the limits of each account; connections that hang; the last bodies
has accounts    => sub { {} };
has held        => sub { {} };
has bodies      => sub { [] };
has connections => sub { {} };
has counted     => sub { {requests => 0, connections => 0, open => 0,
                          max_open => 0} };

my %endpoint = (
    '/api/events'                 => 'single',
    '/api/event-bulk-create-jobs' => 'bulk',
);

my %title = (
    400 => 'Invalid input.', 401 => 'Authentication failed.',
    403 => 'Permission denied.', 404 => 'Not found.',
    405 => 'Method not allowed.', 406 => 'Not acceptable.',
    409 => 'Conflict.', 413 => 'Payload too large.',
    415 => 'Unsupported media type.', 429 => 'Request was throttled.',
    500 => 'Internal server error.', 502 => 'Bad gateway.',
    503 => 'Service unavailable.', 504 => 'Gateway timeout.',
);

my %code = (
    400 => 'invalid', 401 => 'authentication_failed',
    403 => 'permission_denied', 404 => 'not_found',
    405 => 'method_not_allowed', 406 => 'not_acceptable',
    409 => 'conflict', 413 => 'payload_too_large',
    415 => 'unsupported_media_type', 429 => 'throttled',
);


sub startup ($self) {
    $self->mode('production');
    $self->log->level('warn');
    $self->secrets(['sandbox']);
    $self->max_request_size(64 * 1024 * 1024);
    $self->renderer->classes([]);
    $self->static->classes([])->paths([]);

    my $r = $self->routes;

    for my $name (qw(events requests body state stats)) {
        $r->get("/_sandbox/$name")->to(cb => $self->can("_get_$name"));
    }

    $r->delete('/_sandbox')->to(cb => \&_reset);
    $r->post('/_sandbox/faults')->to(cb => \&_add_faults);
    $r->get('/_sandbox/faults')->to(cb => sub ($c) {
        $c->render(json => $c->app->faults->list);
    });
    $r->delete('/_sandbox/faults')->to(cb => sub ($c) {
        $c->app->faults->clear($c->param('id'));
        $c->render(json => {});
    });
    $r->post('/_sandbox/release')->to(cb => \&_release);
    $r->post('/_sandbox/limits')->to(cb => \&_set_limits);
    $r->post('/_sandbox/consume')->to(cb => \&_consume);
    $r->post('/_sandbox/settings')->to(cb => \&_settings);

    $r->get('/')->to(cb => \&Klaviyo::Sandbox::Page::html);
    $r->get('/page.js')->to(cb => \&Klaviyo::Sandbox::Page::script);
    $r->get('/page.css')->to(cb => \&Klaviyo::Sandbox::Page::style);
    $r->any('/*any')->to(any => '', cb => \&_api);

    $self->hook(after_build_tx => sub ($tx, $app) {
        $tx->req->content->on(body => sub { $app->_headers_read($tx) });
    });

    return;
}


# what is to be done before the body is read: Expect, and a fault's strike

sub _headers_read ($self, $tx) {
    if (lc($tx->req->headers->expect // '') eq '100-continue') {
        Mojo::IOLoop->stream($tx->connection)
            ->write("HTTP/1.1 100 Continue\r\n\r\n");
    }

    my $endpoint = _class($tx->req->url->path->to_string) or return;
    my $fault    = $self->faults->take($endpoint, 1) or return;
    my $request  = $self->_request($tx, $endpoint);

    $request->{fault} = $fault->{kind};
    $self->store->answered($request, 0);

    $tx->{cut} = 1;
    _cut($tx, 1);

    return;
}


sub _class ($path) {
    return $endpoint{$path} // Klaviyo::Sandbox::Endpoints::class_of($path);
}


sub _request ($self, $tx, $endpoint) {
    my $req     = $tx->req;
    my $counted = $self->counted;
    my %headers = map { lc $_ => scalar $req->headers->header($_) }
        @{ $req->headers->names };

    $headers{authorization} =~ s/\bpk_\S*/pk_.../
        if defined $headers{authorization};

    # what the front in front of us saw

    my %front = map { $_ => delete $headers{"x-front-$_"} }
        qw(protocol connection tls);

    my $request = {
        n            => ++$counted->{requests},
        method       => $req->method,
        path         => $req->url->path_query,
        endpoint     => $endpoint,
        time         => Time::HiRes::time(),
        headers      => \%headers,
        http_version => $front{protocol} // 'HTTP/' . $req->version,
        connection   => $front{connection}
            // ($self->connections->{ $tx->connection }
                //= ++$counted->{connections}),
        tls          => $front{tls},
        bytes        => length $req->body,
        events       => 0,
        status       => undef,
        fault        => undef,
    };

    $self->store->add_request($request);

    $counted->{open}++;
    $counted->{max_open} = $counted->{open}
        if $counted->{open} > $counted->{max_open};

    $tx->on(finish => sub {
        $counted->{open}--;
        $request->{finished} = Time::HiRes::time();
    });

    return $request;
}


sub _api ($c) {
    # the body may have come with the headers

    return $c->render_later if $c->tx->{cut};

    my $self     = $c->app;
    my $req      = $c->req;
    my $path     = $req->url->path->to_string;
    my $method   = $req->method eq 'HEAD' ? 'GET' : $req->method;
    my $reads    = $method eq 'GET' && $path eq '/api/events';
    my $endpoint = $reads ? 'events' : _class($path);
    my @allowed  = $reads ? 'GET' : $endpoint{$path} ? 'POST'
        : Klaviyo::Sandbox::Endpoints::allowed($path);
    my $request  = $self->_request($c->tx, $endpoint);
    my $bodies   = $self->bodies;

    $c->stash(request => $request);

    push @$bodies, [$request->{n}, $req->body];
    shift @$bodies if @$bodies > $self->keep_bodies;

    return _error($c, 404, "No resource at this path.") if !$endpoint;

    if (!grep { $_ eq $method } @allowed) {
        my $allow = join ', ', @allowed;

        $c->res->headers->allow($allow);
        return _error($c, 405, "Only $allow.");
    }

    my $authorization = $req->headers->authorization // '';
    my ($value) = $authorization =~ /\AKlaviyo-API-Key (pk_[\w-]+)\z/;
    my $key = defined $value ? $self->keys->{$value} : undef;

    return _error($c, 401, 'Missing or invalid private key.',
        defined $value ? 'authentication_failed' : 'not_authenticated')
        if !$key;

    my $limits = $self->_limits($key->{account});
    my $taken  = $limits->take($endpoint);

    $c->stash(limits => $limits, key => $key);

    if (!$taken->{ok}) {
        $c->res->headers->header('Retry-After' => $taken->{retry_after});
        return _error($c, 429, 'Request was throttled. Expected available in '
            . "$taken->{retry_after} seconds.");
    }

    my $fault = $self->faults->take($endpoint, 0, $key->{account},
        \($req->body));

    return _fail($c, $endpoint, $fault) if $fault;

    my ($status, $errors) = $self->_process($c, $endpoint);

    return _answer($c, $status, $errors);
}


sub _limits ($self, $account) {
    return $self->accounts->{$account}
        //= Klaviyo::Sandbox::Limits->new(%{ $self->limit });
}


# everything but the faults that are not refusals; records what is right
# -> status, errors

sub _process ($self, $c, $endpoint) {
    my $store   = $self->store;
    my $headers = $c->req->headers;
    my $request = $c->stash('request');
    my $key     = $c->stash('key');
    my $body    = $c->req->body;
    my $count   = $store->count;

    my $takes   = $endpoint =~ /^(?:single|bulk)$/;

    if ($takes && !$key->{scope}) {
        return 403, [{detail => 'The key lacks the scope events:write.'}];
    }

    if (($headers->header('revision') // '')
        !~ /\A20[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])
            (?:\.[a-z0-9]+)?\z/x)
    {
        return 400, [{parameter => 'revision',
                      detail => 'A revision date is required.'}];
    }

    if (($takes || length $body)
        && ($headers->content_type // '')
            !~ m{\Aapplication/(?:vnd\.api\+)?json(?:\s*;.*)?\z}i
        || defined $headers->header('Content-Encoding'))
    {
        return 415, [{detail => 'Send ' . JSON_API . ' as it is.'}];
    }

    if (($headers->accept // '') !~ m{(?:application/vnd\.api\+json|\*/\*)}i)
    {
        return 406, [{detail => 'Accept ' . JSON_API . '.'}];
    }

    $count->{max_body} = length $body if length $body > $count->{max_body};

    if (length $body > Klaviyo::Sandbox::Schema::BODY_MAX) {
        return 413, [{detail => 'At most 5 MB.'}];
    }

    if ($endpoint eq 'events') {
        $c->stash(document => {data => [map { {
            type => 'event', id => "SANDBOX$_->{n}", attributes => {
                event_properties => $_->{properties}, uuid => $_->{unique_id},
                datetime => $_->{time}, timestamp => int $_->{received}}} }
            grep { $_->{account} eq $key->{account} && !$_->{dropped} }
            reverse @{ decode_json($store->events_json(0, 0)) }]});

        return 200, [];
    }

    if (!$takes) {
        my ($status, $errors, $document, $items) =
            $self->endpoints->process($key->{account}, $c->req, sub ($items) {
                return $self->_refuse($request, $endpoint, $items,
                    $key->{account});
            });

        $request->{events} = $items // 0;
        $c->stash(document => $document);

        return $status, $errors;
    }

    my $json = eval { read_json($body) };

    if ($@) {
        my $why = $@ =~ s/\n.*//sr;
        utf8::decode($why);
        return 400, [{pointer => '/data', code => 'parse_error',
                      detail => "Malformed JSON: $why."}];
    }

    my $events = _count($endpoint, $json);

    $request->{events} = $events;
    $count->{max_events} = $events if $events > $count->{max_events};

    my ($errors, $items) = $endpoint eq 'single'
        ? check_single($json) : check_bulk($json);

    return 400, $errors if @$errors;

    my @duplicates = $store->duplicates($key->{account}, $items);

    if (@duplicates) {
        $count->{duplicates_in_request} += @duplicates;
        return 400, [{code => 'duplicate', detail => 'A unique_id is repeated'
                      . ' for the same profile and metric.'}];
    }

    my $many = $store->too_many_metrics($key->{account}, $items);

    if ($many) {
        return 400, [{pointer => "$many->{pointer}/metric",
                      detail => 'At most 200 metrics.'}];
    }

    my @refused = $self->_refuse($request, $endpoint, $items,
        $key->{account});

    return @refused if @refused;

    $store->record($key->{account}, $key->{n}, $endpoint, $request->{n},
        $items);

    return 202, [];
}


# status and errors if a fault refuses some of these items, else nothing

sub _refuse ($self, $request, $endpoint, $items, $account) {
    my ($fault, @hit) = $self->faults->refused($endpoint, $items, $account);

    return if !$fault;

    my $n = 0;

    $request->{fault} = 'refuse';
    $#hit = $fault->{errors} - 1
        if $fault->{errors} && @hit > $fault->{errors};

    return $fault->{status} // 400, [map { {
        pointer => Klaviyo::Sandbox::Faults::pointer($fault, $_, $n++),
        detail  => $fault->{detail} // 'This event is refused.',
        code    => 'invalid'} } @hit];
}


sub _count ($endpoint, $json) {
    return 1 if $endpoint eq 'single';

    my $count = 0;

    for my $member (qw(data attributes events-bulk-create data)) {
        return 0 if ref $json ne 'HASH';
        $json = $json->{$member};
    }

    return 0 if ref $json ne 'ARRAY';

    for my $entry (@$json) {
        my $events = $entry;

        for my $member (qw(attributes events data)) {
            $events = ref $events eq 'HASH' ? $events->{$member} : undef;
        }

        $count += @$events if ref $events eq 'ARRAY';
    }

    return $count;
}


sub _fail ($c, $endpoint, $fault) {
    my $self    = $c->app;
    my $kind    = $fault->{kind};
    my $request = $c->stash('request');

    $request->{fault} = $kind;

    if ($kind eq 'reset') {
        $c->render_later;
        $self->store->answered($request, 0);
        return _cut($c->tx, 1);
    }

    my ($status, $errors);

    if ($kind eq 'slow' || $kind eq 'lost' || $fault->{process}) {
        ($status, $errors) = $self->_process($c, $endpoint);
        $request->{processed} = $status;
    }

    if ($kind eq 'raw') {
        $c->render_later;
        $c->inactivity_timeout(0);
        $self->store->answered($request, 0);
        return _raw($c->tx, $fault);
    }

    if ($kind eq 'lost') {
        $c->render_later;
        $self->store->answered($request, 0);
        return _cut($c->tx, $fault->{reset});
    }

    if ($kind eq 'hang') {
        my $id = $c->tx->connection;

        $c->render_later;
        $c->inactivity_timeout(0);
        $self->store->answered($request, 0);
        $self->held->{$id} = $c->tx;
        $c->tx->on(finish => sub { delete $self->held->{$id} });
        return;
    }

    if ($kind eq 'slow') {
        $c->render_later;
        $c->inactivity_timeout(0);
        my $tx = $c->tx;
        Mojo::IOLoop->timer($fault->{seconds} // 1 => sub {
            _answer($c, $status, $errors) if !$tx->is_finished;
        });
        return;
    }

    # a status

    $status = $fault->{status};

    my $headers = $c->res->headers;
    my $body    = $fault->{body} // ($status < 300 ? 'empty' : 'json');
    my $after   = $fault->{retry_after};

    if (ref $after eq 'HASH') {
        _limits($self, $c->stash('key')->{account})
            ->pause($endpoint, $after->{date} - 1) if $status == 429;
        $after = Mojo::Date->new(time + $after->{date})->to_string;

    } elsif ($status == 429 && ($after // '') =~ /\A[0-9]{1,6}\z/) {
        $c->stash('limits')->pause($endpoint, $after);
    }

    $headers->header('Retry-After' => $after) if defined $after;

    my $more = $fault->{headers} // {};
    $headers->header($_ => $more->{$_}) for sort keys %$more;

    my $pad = $fault->{size} // 0;

    if ($body eq 'json' && !$pad) {
        return _error($c, $status, $fault->{detail} // 'A fault on demand.');
    }

    if ($body eq 'json') {
        $headers->content_type(JSON_API);
        $body = encode_json({errors => [_jsonapi($status,
            {detail => 'x' x $pad})]});

    } elsif ($body eq 'html') {
        $headers->content_type('text/html; charset=UTF-8');
        $body = '<!DOCTYPE html><html><head><title>Just a moment...</title>'
            . '</head><body><h1>Attention required</h1></body></html>';
        $body .= ' ' x ($pad - length $body) if $pad > length $body;

    } elsif ($body eq 'empty') {
        $body = '';

    } else {
        utf8::encode($body);
        $headers->content_type(JSON_API) if !$headers->content_type;
    }

    _rate_headers($c, $status);
    $self->store->answered($request, $status);

    return $c->render(data => $body, status => $status);
}


# bytes as they are, at once or one by one, then the end of the connection

sub _raw ($tx, $fault) {
    my $stream = Mojo::IOLoop->stream($tx->connection) or return;
    my $bytes  = $fault->{bytes} // '';
    my $end    = sub {
        return _cut($tx, $fault->{reset}) if !$fault->{after};
        Mojo::IOLoop->timer($fault->{after} => sub {
            _cut($tx, $fault->{reset});
        });
    };

    utf8::encode($bytes);

    if (!$fault->{drip}) {
        return $end->() if $bytes eq '';

        $stream->once(drain => $end);
        return $stream->write($bytes);
    }

    my $next = sub ($next) {
        my $stream = Mojo::IOLoop->stream($tx->connection) or return;

        return $end->() if $bytes eq '';

        $stream->write(substr $bytes, 0, 1, '');
        Mojo::IOLoop->timer($fault->{drip} => sub { $next->($next) });
    };

    return $next->($next);
}


# closes the connection without an answer

sub _cut ($tx, $reset) {
    my $stream = Mojo::IOLoop->stream($tx->connection) or return;
    my $handle = $stream->handle;

    setsockopt $handle, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0 if $reset;

    # not inside the stream's own reading

    Mojo::IOLoop->next_tick(sub { undef $handle; $stream->close });

    return;
}


sub _rate_headers ($c, $status) {
    my $limits  = $c->stash('limits') or return;
    my $class   = $c->stash('request')->{endpoint} or return;

    return if $status == 429;

    my $headers = $c->res->headers;
    my $now     = $limits->headers($class);

    for my $name (qw(Limit Remaining Reset)) {
        $headers->header("RateLimit-$name" => $now->{ lc $name })
            if !defined $headers->header("RateLimit-$name");
    }

    return;
}


sub _jsonapi ($status, $error) {
    state $n = 0;

    my %source = map { defined $error->{$_} ? ($_ => $error->{$_}) : () }
        qw(pointer parameter);

    return {
        id     => sprintf('00000000-0000-4000-8000-%012d', ++$n),
        status => $status,
        code   => $error->{code} // $code{$status} // 'error',
        title  => $title{$status} // 'Error.',
        detail => $error->{detail},
        %source ? (source => \%source) : (),
        links  => {},
        meta   => {},
    };
}


sub _error ($c, $status, $detail, $code = undef) {
    return _answer($c, $status, [{detail => $detail, code => $code}]);
}


sub _answer ($c, $status, $errors) {
    _rate_headers($c, $status);

    my $store = $c->app->store;

    $store->answered($c->stash('request'), $status);

    if (!@$errors && $c->stash('document')) {
        $c->res->headers->content_type(JSON_API);
        return $c->render(status => $status,
            data => encode_json($c->stash('document')));
    }

    if (!@$errors) {
        return $c->rendered($status);
    }

    $store->count->{refused_requests}++ if $status == 400;

    $c->res->headers->content_type(JSON_API);

    return $c->render(status => $status, data => encode_json(
        {errors => [map { _jsonapi($status, $_) } @$errors]}));
}


sub _get_events ($c) {
    my $since = $c->param('since') // 0;
    my $limit = $c->param('limit') // 0;

    $c->res->headers->content_type('application/json');

    return $c->render(data => $c->app->store->events_json($since, $limit));
}


sub _get_requests ($c) {
    my $since = $c->param('since') // 0;

    return $c->render(json =>
        [grep { $_->{n} > $since } @{ $c->app->store->requests }]);
}


sub _get_body ($c) {
    my $n = $c->param('n');

    my ($body) = grep { !defined $n || $_->[0] == $n }
        reverse @{ $c->app->bodies };

    return $c->render(status => 404, json => {}) if !$body;

    $c->res->headers->content_type('application/octet-stream');

    return $c->render(data => $body->[1]);
}


sub _get_state ($c) {
    my $self = $c->app;
    my ($account) = $c->param('account') // sort map { $_->{account} }
        values %{ $self->keys };

    return $c->render(json => $self->endpoints->state($account));
}


sub _get_stats ($c) {
    my $self     = $c->app;
    my $store    = $self->store;
    my $accounts = $self->accounts;
    my $requests = {single => 0, bulk => 0};
    my $early    = 0;
    my $throttled = 0;

    $requests->{ $_->{endpoint} }++
        for grep { $_->{endpoint} } @{ $store->requests };

    for my $limits (values %$accounts) {
        my $stats = $limits->stats;

        $early     += $stats->{early_retries};
        $throttled += $stats->{$_}{throttled} for qw(single bulk);
    }

    return $c->render(json => {
        %{ $store->count },
        requests      => $requests,
        statuses      => $store->{statuses},
        early_retries => $early,
        throttled     => $throttled,
        connections   => $self->counted->{connections},
        open          => $self->counted->{open},
        max_open      => $self->counted->{max_open},
        held          => scalar keys %{ $self->held },
        limits => {map { $_ => $accounts->{$_}->stats } keys %$accounts},
    });
}


sub _reset ($c) {
    my $self    = $c->app;
    my $counted = $self->counted;

    $self->store->reset;
    $self->faults->clear;
    $self->endpoints(Klaviyo::Sandbox::Endpoints->new);
    $self->accounts({});
    $self->bodies([]);
    $counted->{max_open} = $counted->{open};

    return $c->render(json => {});
}


sub _add_faults ($c) {
    my $faults = eval { decode_json($c->req->body) };
    my @ids;

    for my $fault (ref $faults eq 'ARRAY' ? @$faults : $faults) {
        my $id = eval { $c->app->faults->add($fault) };

        return $c->render(status => 400, json => {error => $@ =~ s/\n//r})
            if !$id;

        push @ids, $id;
    }

    return $c->render(json => {ids => \@ids});
}


sub _release ($c) {
    my $held = $c->app->held;

    _cut($_, 0) for values %$held;

    return $c->render(json => {released => scalar keys %$held});
}


sub _set_limits ($c) {
    my $self   = $c->app;
    my $change = $c->req->json // {};

    $self->limit({%{ $self->limit }, %$change});
    $_->set(%$change) for values %{ $self->accounts };

    return $c->render(json => {});
}


sub _consume ($c) {
    my $self = $c->app;
    my $what = $c->req->json // {};
    my ($account) = $what->{account} // sort map { $_->{account} }
        values %{ $self->keys };

    $self->_limits($account)->consume($what->{class} // 'bulk',
        $what->{n} // 1);

    return $c->render(json => {});
}


sub _settings ($c) {
    my $settings = $c->req->json // {};

    for my $name (qw(keep_alive_timeout max_requests)) {
        $c->app->daemon->$name($settings->{$name})
            if defined $settings->{$name};
    }

    return $c->render(json => {});
}


1;

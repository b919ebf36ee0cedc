#!/usr/bin/perl

# klaviyo_pass: what breaks off, what caches may keep, where a variable's
# value stands, and what of a failure gets into the log.

use lib 't/lib';
use Klaviyo::Test;

use Mojo::JSON qw(decode_json encode_json);
use Mojo::URL  ();


sub asked { return $_[0]->sandbox->requests->[-1]{path} }


subtest 'an answer that breaks off does not end the page around it' => sub {
    my $t = Klaviyo::Test->new(server => q{
        location /klaviyo/ { internal; klaviyo_pass; }
        location = /gateway { klaviyo_pass /api/profiles; }
        location = /page { ssi on; default_type text/html;
                           root %%DIR%%/www; }
    });

    $t->file('www/page', 'before <!--# include virtual='
        . '"/klaviyo/api/profiles" --> between <!--# include virtual='
        . '"/klaviyo/api/lists/LIST04" --> after');
    chmod 0755, $t->dir, $t->dir . '/www';
    $t->start;

    my %broken = (kind => 'raw', endpoint => 'profiles', times => 1, bytes =>
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" . 'x' x 1000);

    $t->sandbox->fault(%broken, after => 1);

    my $page = $t->get('/page');

    is $page->status, 200, 'the page is there';
    like $page->body, qr/^before x{1000} between .*List 4.* after$/s,
        'with what came, whole' or diag $page->body;

    $t->sandbox->reset;
    $t->sandbox->fault(%broken, after => 1);

    my $head = $t->raw("GET /gateway HTTP/1.1\r\nHost: x\r\n\r\n");

    like $head, qr/Content-Length: 100000\r/, 'asked for by itself';
    cmp_ok length $head, '<', 50_000, 'it is broken off here too';
    $t->stop;
};


subtest 'caches' => sub {
    my $t = Klaviyo::Test->new(http => q{
        proxy_cache_path %%DIR%%/cache keys_zone=z:1m;
        server {
            listen 127.0.0.1:%%PORT_FRONT%%;
            proxy_cache z;
            proxy_cache_valid any 1h;
            location / {
                proxy_pass http://127.0.0.1:%%PORT%%;
                add_header X-Cache $upstream_cache_status;
            }
        }
    }, server => q{
        location / { klaviyo_pass; }
        location = /own { expires 1h; klaviyo_pass /api/lists; }
    })->start;

    my $plain = $t->get('/api/lists');

    is $plain->header('Cache-Control'), 'no-store',
        'an answer that says nothing is for no cache';

    my $client = $t->client(port => $t->port('FRONT'));

    $client->get('/api/lists') for 1, 2;
    isnt $client->get('/api/lists')->header('X-Cache'), 'HIT',
        'and a cache in front keeps none';

    my %says = ('Cache-Control' => 'private, max-age=10',
        Vary => 'Accept, Revision', ETag => '"v1"',
        Expires => 'Thu, 01 Jan 2037 00:00:00 GMT');

    $t->sandbox->fault(kind => 'status', status => 200, body => '{}',
        headers => \%says, times => 1);

    my $answer = $t->get('/api/lists');

    is $answer->header($_), $says{$_}, "$_ passes" for sort keys %says;

    $t->sandbox->fault(kind => 'status', status => 200, body => '{}',
        headers => {Expires => $says{Expires}}, times => 1);
    $answer = $t->get('/api/lists');
    is $answer->header('Cache-Control'), undef, 'Expires says enough';

    $t->sandbox->fault(kind => 'status', status => 200, body => '{}',
        headers => \%says, times => 1);
    is $t->get('/api/lists', 'If-None-Match' => '"v1"')->status, 304,
        'the ETag is known';

    $t->sandbox->fault(kind => 'status', status => 404, times => 1);
    is $t->get('/api/lists')->header('Cache-Control'), 'no-store', 'a 404';
    is $t->get('/own')->header('Cache-Control'), 'max-age=3600',
        'the administrator\'s "expires" stands, once';
    $t->stop;
};


subtest 'conditions of the client do not hide what was done' => sub {
    my $t = Klaviyo::Test->new(server => q{
        location / { klaviyo_pass; }
    })->start;

    my $epoch = 'Thu, 01 Jan 1970 00:00:00 GMT';

    for my $condition (['If-Match', '"x"'], ['If-Unmodified-Since', $epoch],
        ['If-None-Match', '*'])
    {
        my $profile = encode_json({data => {type => 'profile',
            attributes => {email => 'c@shop.com', note => $condition->[0]}}});

        my $answer = $t->request(POST => '/api/profile-import', $condition,
            $profile);

        like $answer->status, qr/^20[01]$/, "POST with $condition->[0]";
        like $answer->body, qr/c\@shop\.com/, 'has its answer';
        next if $condition->[0] eq 'If-None-Match';
        is $t->request(GET => '/api/lists', $condition)->status, 200,
            "GET with $condition->[0]";
    }

    $t->stop;
};


subtest 'variables stay where they stand' => sub {
    my $t = Klaviyo::Test->new(http => q{
        map $http_x_email $q_email { default $http_x_email; }
    }, server => q{
        location = /find {
            klaviyo_pass '/api/profiles?filter=equals(email,"$q_email")';
        }
        location = /find/arg {
            klaviyo_pass '/api/profiles?filter=equals(email,%22${arg_email}%22)&x=$arg_x';
        }
        location ~ ^/lists/(?<id>.+)/of$ {
            klaviyo_pass /api/profiles/$id/lists;
        }
        location = /arg    { klaviyo_pass /api/lists/$arg_id; }
        location = /since  {
            klaviyo_pass '/api/events?filter=greater-than(datetime,$arg_t)';
        }
        location = /all    { klaviyo_pass /api/lists?$args; }
        location = /is     { klaviyo_pass /api/lists$is_args$args; }
        location = /whole  { set $to /api/lists?a=b+c; klaviyo_pass $to; }
        location /api/     { klaviyo_pass $uri?b=$arg_b; }
    })->start;

    my $filter = sub {
        my ($path, @headers) = @_;

        $t->get($path, @headers);
        return Mojo::URL->new(asked($t))->query->param('filter');
    };

    is $filter->('/find', 'X-Email' => 'ann+shop@example.com'),
        'equals(email,"ann+shop@example.com")', 'a plus is a plus';
    is $filter->('/find', 'X-Email' => 'x") or equals(id,"1'),
        'equals(email,"x\\") or equals(id,\\"1")', 'a string stays one';
    is $filter->('/find', 'X-Email' => 'x\\'), 'equals(email,"x\\\\")',
        'a backslash does not take its end away';
    is $filter->('/find', 'X-Email' => 'a&filter=b#c%41'),
        'equals(email,"a&filter=b#c%41")', 'nor is it another argument';

    is $filter->('/find/arg?email=ann%2Bshop%40example.com&x=1%262'),
        'equals(email,"ann+shop@example.com")', '$arg_: decoded first';
    like asked($t), qr/&x=1%262\z/, 'and encoded again';
    is $filter->('/find/arg?email=ann+shop@example.com'),
        'equals(email,"ann+shop@example.com")', 'with a plus as well';
    is $filter->('/find/arg?email=x%22)%20or%20equals(id,%221'),
        'equals(email,"x\\") or equals(id,\\"1")', 'and with quotes';

    my %goes = (
        '/lists/01ABC%3F/of'     => '/api/profiles/01ABC%3F/lists',
        '/lists/01ABC%3Fx=1/of'  => '/api/profiles/01ABC%3Fx=1/lists',
        '/lists/a%2fb/of'        => '/api/profiles/a%2Fb/lists',
        '/arg?id=01ABC%3F'       => '/api/lists/01ABC%3F',
        '/arg?id=a/b%23'         => '/api/lists/a%2Fb%23',
        '/since?t=2026-12-01'    =>
            '/api/events?filter=greater-than(datetime,2026-12-01)',
        '/all?a=%41+b&c'         => '/api/lists?a=%41+b&c',
        '/all'                   => '/api/lists',
        '/is?a=b%2Bc'            => '/api/lists?a=b%2Bc',
        '/is'                    => '/api/lists',
        '/whole'                 => '/api/lists?a=b+c',
        '/api/lists/x%3fy?b=+'   => '/api/lists/x%3Fy?b=%2B',
    );

    for my $path (sort keys %goes) {
        $t->get($path);
        is asked($t), $goes{$path}, "$path goes there";
    }

    my $n = @{ $t->sandbox->requests };

    for my $path ('/arg?id=..', '/arg?id=../x', '/arg?id=x/..%2fy',
        '/arg?id=%2e%2e', '/arg?id=a%5cb', '/arg?id=%252e', '/arg?id=/x',
        '/arg?id=a%0ab', '/arg', '/arg?id=',
        '/since?t=1),equals(profile_id,%22x%22', '/since?t=1%29')
    {
        is $t->get($path)->status, 400, "$path does not pass";
    }

    is @{ $t->sandbox->requests }, $n, 'none got there';
    $t->stop;
};


subtest 'a failure is an error, once a minute' => sub {
    my $t = Klaviyo::Test->new(server => q{
        klaviyo_pass_timeout 500ms;
        location / { klaviyo_pass; }
    })->start;

    my $event = encode_json({data => {type => 'event', attributes => {
        properties => {}, metric => {data => {type => 'metric',
            attributes => {name => 'X'}}},
        profile => {data => {type => 'profile',
            attributes => {email => 'a@shop.com'}}}}}});

    $t->sandbox->fault(kind => 'lost', endpoint => 'single', times => 3);
    is $t->request(POST => '/api/events', [], $event)->status, 502, 'lost'
        for 1 .. 3;

    $t->sandbox->fault(kind => 'hang', endpoint => 'lists', times => 2);
    is $t->get('/api/lists')->status, 504, 'silent' for 1 .. 2;

    $t->sandbox->fault(kind => 'status', status => 401, endpoint => 'lists',
        times => 2);
    is $t->get('/api/lists')->status, 401, 'the key' for 1 .. 2;

    my @errors = grep { /klaviyo_pass/ } split /\n/, $t->log;

    is scalar(grep { /\[error\].*account "shop": klaviyo_pass: .+, client: /
                     && !/in time|the key/ } @errors), 1,
        'a lost answer: one line' or diag join "\n", @errors;
    is scalar(grep { /\[error\].*did not answer in time/ } @errors), 1,
        'one that does not come: one line';
    is scalar(grep { /\[error\].*Klaviyo refused the key/ } @errors), 1,
        'a key that Klaviyo does not take: one line';
    $t->stop;
};


# a worker that does other things has both at once, the answer and the deadline

subtest 'an answer in time is not late where its worker is' => sub {
    my $t = Klaviyo::Test->new(server => q{
        klaviyo_pass_timeout 3s;
        location / { klaviyo_pass; }
    })->start;

    $t->sandbox->fault(kind => 'slow', seconds => 1, endpoint => 'lists',
        times => 1);

    my $client = $t->client;

    $client->send("GET /api/lists HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(30, sub { @{ $t->sandbox->requests } });

    my @workers = $t->workers;

    kill STOP => @workers;
    sleep 4;
    kill CONT => @workers;

    my $answer = $client->response;

    is $answer->status, 200, 'it is handed on';
    like $answer->body, qr/"data"/, 'whole';
    unlike $t->log, qr/did not answer in time/, 'nobody is blamed';
    is $t->account('shop')->{gateway}{failed}, 0, 'nothing has failed';
    $client->close;
    $t->stop;
};


subtest 'a revision that must not be replaced' => sub {
    my $opt_out = 'x-klaviyo-revision-fall-forward-opt-out';

    for my $strict (0, 1) {
        my $t = Klaviyo::Test->new(
            account => $strict ? 'revision 2026-10-15 strict;' : '',
            http    => 'klaviyo_profile email $arg_email;',
            server  => 'location / { klaviyo_track X; return 200; } '
                     . 'location /api/ { klaviyo_pass $uri; }')->start;

        $t->get('/?email=a@shop.com');
        $t->wait_events(1);
        $t->get('/api/lists');

        for my $request (@{ $t->sandbox->requests }) {
            is $request->{headers}{revision}, '2026-10-15',
                "$request->{path}: the newest one";
            is $request->{headers}{$opt_out}, $strict ? 1 : undef,
                $strict ? 'strict' : 'as Klaviyo wants it';
        }

        if ($strict) {
            $t->get('/api/lists', $opt_out => 0);
            is $t->sandbox->requests->[-1]{headers}{$opt_out}, 0,
                'the caller\'s word, once';
        }

        $t->stop;
    }
};


done_testing;

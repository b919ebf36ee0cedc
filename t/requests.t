#!/usr/bin/perl

# How requests reach a location and how they end: each that ends there fires
# its events once, whatever came before.

use lib 't/lib';
use Klaviyo::Test;
use Time::HiRes qw(sleep);


my $t = Klaviyo::Test->new(
    workers => 2,
    http => q{
        klaviyo_profile external_id $http_x_who;

        server {
            listen 127.0.0.1:%%PORT_BACKEND%%;

            location / {
                add_header X-Accel-Redirect /accelerated;
                return 200 "";
            }

            location /slow {
                root %%DIR%%;
                limit_rate 20;
            }
        }
    },
    server => q{
        location = /plain {
            klaviyo_track "Plain";
            return 200 "plain\n";
        }

        location /missing {
            klaviyo_track "Missing";
            error_page 404 = /instead;
            return 404;
        }

        location = /instead {
            klaviyo_track "Instead";
            return 200 "instead\n";
        }

        location /kept {
            klaviyo_track "Kept Status" status=404;
            error_page 404 /page;
            return 404;
        }

        location = /page {
            klaviyo_track "Error Page" status=404;
            root %%DIR%%;
        }

        location /rewritten {
            klaviyo_track "Rewritten";
            rewrite ^ /plain last;
        }

        location /accel {
            klaviyo_track "Accel";
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
        }

        location = /accelerated {
            internal;
            klaviyo_track "Accelerated";
            return 200 "accelerated\n";
        }

        location /index/ {
            klaviyo_track "Index";
            root %%DIR%%;
        }

        location /conditional {
            klaviyo_track "Everybody";
            if ($arg_vip) {
                klaviyo_track "Vip";
            }
            return 200 "conditional\n";
        }

        location /slow {
            klaviyo_track "Slow";
            klaviyo_track "Gone" status=499;
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
            proxy_buffering off;
        }

        location /post {
            klaviyo_track "Posted";
            proxy_pass http://127.0.0.1:%%PORT_BACKEND%%/accel;
        }
    });

mkdir $t->dir . '/index';
$t->file('index/index.html', "index\n");
$t->file('page', "page\n");
$t->file('slow', 'x' x 2000);
$t->start;

my @who  = ('X-Who' => 'ada');
my $seen = 0;

# the metrics of what was just done, when there are that many: an event is
# captured after its answer

sub metrics {
    my ($n) = @_;

    $t->wait_events($seen + $n);
    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = sort map { $_->{metric} } @events[$seen .. $#events];

    $seen = @events;

    return \@new;
}


for my $case (
    ['/plain',       200, 'Plain'],
    ['/missing',     200, 'Instead', 'Missing'],
    ['/kept',        404, 'Error Page', 'Kept Status'],
    ['/rewritten',   200, 'Plain', 'Rewritten'],
    ['/accel',       200, 'Accel', 'Accelerated'],
    ['/index/',      200, 'Index'],
    ['/conditional', 200, 'Everybody'],
    ['/conditional?vip=1', 200, 'Vip'],
) {
    my ($path, $status, @metrics) = @$case;

    is $t->get($path, @who)->status, $status, "$path: $status";
    is_deeply metrics(scalar @metrics), \@metrics, "$path: @metrics, once";
}


subtest 'HTTP/2' => sub {
    is $t->h2('/plain', @who)->status, 200, 'by HTTP/2';
    is_deeply metrics(1), ['Plain'], 'one event';
    is $t->h2('/missing', @who)->status, 200, 'redirected';
    is_deeply metrics(2), ['Instead', 'Missing'], 'both locations';
};


subtest 'keep-alive and pipelining' => sub {
    my $client = $t->client;

    is $client->get('/plain', @who)->status, 200, 'kept alive' for 1 .. 20;
    $client->close;
    is_deeply metrics(20), [('Plain') x 20], 'an event each';

    my $request = "GET /plain HTTP/1.1\r\nHost: x\r\nX-Who: ada\r\nUser-Agent: Firefox\r\n";
    my $answers = $t->raw("$request\r\n" x 9
                          . "${request}Connection: close\r\n\r\n");

    is scalar(() = $answers =~ /^plain$/mg), 10, 'ten in one go';
    is_deeply metrics(10), [('Plain') x 10], 'an event each';
};


subtest 'a client that goes away' => sub {
    my $client = $t->client;

    $client->send("GET /slow HTTP/1.1\r\nHost: x\r\nX-Who: ada\r\nUser-Agent: Firefox\r\n\r\n");
    sleep 0.5;
    $client->close;
    ok wait_for(10, sub { $t->account->{reasons}{skipped}{status} >= 1 }),
        'the request ended';
    like join(' ', @{ metrics(1) }), qr/^(?:Slow|Gone)$/,
        'one event, by the status that it ended with';

    # before there is an answer

    $client = $t->client;
    $client->send("GET /slow/none HTTP/1.1\r\nHost: x\r\nX-Who: ada\r\nUser-Agent: Firefox\r\n"
                  . "Content-Length: 10\r\n\r\n12345");
    sleep 0.2;
    $client->reset;
    sleep 0.5;
    ok $t->get('/plain', @who)->status, 'nginx goes on';
    ok scalar(grep { $_ eq 'Plain' } @{ metrics(1) }), 'and captures';
};


subtest 'POST' => sub {
    is $t->post('/post', 'a=b', @who)->status, 200, 'posted';
    is_deeply metrics(2), ['Accelerated', 'Posted'], 'both locations';
};

is_deeply [map { $_->{times} } grep { $_->{times} != 1 }
           @{ $t->sandbox->events }], [], 'no event was sent twice';
$t->stop;

done_testing;

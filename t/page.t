#!/usr/bin/perl

# klaviyo_page and klaviyo_response_body: what answers say of themselves
# becomes an event, whoever makes them and however they come, and no byte of
# them changes.

use lib 't/lib';
use Klaviyo::Test;

use Compress::Zlib qw(memGzip compress deflateInit MAX_WBITS);
use IO::Socket::INET;
use Mojo::JSON     qw(decode_json);
use Time::HiRes    qw(sleep);

my @children;

END { local $?; kill TERM => @children if @children }


sub ld { return qq{<script type="application/ld+json">$_[0]</script>} }

my $product = ld(q({"@context":"https://schema.org","@type":"Product",)
    . q("name":"L\u00e4mp &amp; co","sku":"L-7","productID":"7",)
    . q("url":"https://shop.example/lamp","image":"/i/lamp.jpg",)
    . q("brand":{"@type":"Brand","name":"Acme"},)
    . q("offers":{"@type":"Offer","price":"19.90","priceCurrency":"EUR",)
    . q("availability":"https://schema.org/InStock"}}));

my $crumbs = ld(q({"@type":"BreadcrumbList","itemListElement":[)
    . q({"@type":"ListItem","position":1,"name":"Home",)
    . q("item":"https://shop.example/"},)
    . q({"@type":"ListItem","position":2,"name":"Lamps",)
    . q("item":"https://shop.example/lamps"}]}));

my $who = 'https://shop.example/lamp?id=7&amp;_kx=abc.def'
    . '&amp;utm_email=ann%40example.com&amp;%5Fke=eve';

my $page = '<!doctype html><html><head><title>Lamp &ndash; Shop</title>'
    . '<link rel="canonical" href="https://shop.example/lamp">'
    . "$product$crumbs</head><body><p>eve\@example.com</p></body></html>";

my %expected = (
    ProductName => "L\x{e4}mp & co", ProductID => '7', SKU => 'L-7',
    Categories  => ['Lamps'],        Brand     => 'Acme', Price => 19.9,
    ImageURL    => 'https://shop.example/i/lamp.jpg',
    URL         => 'https://shop.example/lamp',
);


# A shop of our own: it says what its arguments ask for, byte by byte or whole.

sub shop {
    my ($port) = @_;

    my $listener = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $port,
        Listen    => 64,          ReuseAddr => 1,
    ) or die "listen: $!";

    my $pid = fork // die "fork: $!";

    if ($pid == 0) {
        $SIG{CHLD} = 'IGNORE';
        $SIG{PIPE} = 'IGNORE';

        while (1) {
            my $c = $listener->accept or next;

            if ((fork // die) == 0) {
                alarm 30;
                answer($c);
                close $c;
                POSIX::_exit(0);
            }

            close $c;
        }
    }

    push @children, $pid;

    return;
}

# without the header of zlib

sub bare {
    my ($deflate) = deflateInit(-WindowBits => -MAX_WBITS());

    return $deflate->deflate($_[0]) . $deflate->flush;
}

sub answer {
    my ($c) = @_;

    my $head = '';

    while ($head !~ /\r\n\r\n/) {
        sysread $c, $head, 4096, length $head or return;
    }

    my ($args) = $head =~ m{^\S+ [^ ?]*\??(\S*) HTTP};
    my %arg = map { split /=/, $_, 2 } split /&/, $args;

    my $body = $arg{json} ? '{"items":[{"title":"Lamp"}],"total":1990}'
             : $arg{pad}  ? $page . ' ' x $arg{pad}
             : $arg{clp}  ? $page =~ s/19\.90/139.980/r =~ s/EUR/CLP/r
             : $arg{who}  ? $page =~ s{(rel="canonical" href=")[^"]*}{$1$who}r
             :              $page;
    my @headers = ('Connection: close', 'Content-Type: '
        . ($arg{type} // ($arg{json} ? 'application/json'
                                     : 'text/html; charset=utf-8')));

    if ($arg{gzip}) {
        $body = memGzip($body);
        $body = substr($body, 0, 40) if $arg{cut};
        push @headers, 'Content-Encoding: gzip';
    }

    if ($arg{deflate}) {
        $body = $arg{deflate} eq 'bare' ? bare($body) : compress($body);
        push @headers, 'Content-Encoding: deflate';
    }

    push @headers, "Content-Encoding: $arg{coding}" if $arg{coding};

    my $n = $arg{piece} // 65536;

    if ($arg{chunked}) {
        push @headers, 'Transfer-Encoding: chunked';
        $body = join '', (map { sprintf "%x\r\n%s\r\n", length, $_ }
                          unpack "(a$n)*", $body), "0\r\n\r\n";
    }

    my $status = $arg{status} // '200 OK';

    syswrite $c, join "\r\n", "HTTP/1.1 $status", @headers, '', '';

    for my $piece (unpack "(a$n)*", $body) {
        syswrite $c, $piece or return;
        sleep 0.0005 if $n == 1;
    }
}


my $t = Klaviyo::Test->new(
    http => q{
        proxy_cache_path %%DIR%%/cache keys_zone=c:1m;
        klaviyo_json $first $klaviyo_response_body /items/0/title;
        log_format page escape=json
            '{"type":"$klaviyo_page_type","title":"$klaviyo_page_title",'
            '"canonical":"$klaviyo_page_canonical",'
            '"currency":"$klaviyo_page_currency",'
            '"availability":"$klaviyo_page_availability",'
            '"captured":"$klaviyo_captured"}';
    },
    server => q{
        root %%DIR%%/html;
        gzip on;
        gzip_min_length 1;
        gzip_proxied any;

        klaviyo_page on size=16k;
        klaviyo_identity off;
        klaviyo_profile external_id u1;
        klaviyo_skip off;

        klaviyo_track "Viewed Product" page=product;
        access_log %%DIR%%/page.log page;

        location / { default_type text/html; }

        location = /lamp {
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%;
        }

        location = /cached/lamp {
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/lamp;
            proxy_cache c;
            proxy_cache_valid 200 1m;
        }

        location = /own/lamp {
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/lamp;

            klaviyo_event "Seen" page=product {
                property ProductName "mine";
                property SKU "";
                value 5 USD;
            }
        }

        location = /cart/add.js {
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/?json=1&$args;
            klaviyo_page off;
            klaviyo_response_body json size=1k;

            klaviyo_event "Added to Cart" {
                property ProductName $first;
                property Cart $klaviyo_response_body json;
            }
        }

        location = /off {
            klaviyo_track off;
            proxy_pass http://127.0.0.1:%%PORT_SHOP%%/lamp;
        }
    },
);

mkdir $t->dir . '/html';
$t->file('html/static', $page);
$t->file('html/plain', '<title>nothing</title>');
chmod 0755, $t->dir . '/html';

shop($t->port('SHOP'));
$t->start;

my $seen = 0;

sub figures { return $t->account('shop')->{page} }


# the next event; undef: no more than before

sub event {
    my $events = $t->wait_events(++$seen);

    return $events->[$seen - 1];
}

sub complete {
    my ($label, $path, @headers) = @_;

    my $answer = $t->get($path, Host => 'shop.example', @headers);

    is $answer->status, 200, "$label: served";

    my $event = event();

    is $event->{metric}, 'Viewed Product', "$label: the event";
    is $event->{value}, 19.9, "$label: its value";
    is $event->{value_currency} // $event->{attributes}{value_currency},
        'EUR', "$label: its currency";

    for my $name (sort keys %expected) {
        is_deeply $event->{properties}{$name}, $expected{$name},
            "$label: $name";
    }

    return $answer;
}


my $answer = complete('proxied', '/lamp');
is $answer->body, $page, 'the page is as it was';

complete('chunked', '/lamp?chunked=1&piece=7');
complete('byte by byte', '/lamp?chunked=1&piece=1');
complete('gzip upstream', '/lamp?gzip=1');
complete('gzip upstream in pieces', '/lamp?gzip=1&chunked=1&piece=5');
complete('deflate upstream', '/lamp?deflate=1');
complete('without a header', '/lamp?deflate=bare&chunked=1&piece=1');
complete('gzip to the client', '/lamp', 'Accept-Encoding' => 'gzip');
complete('cached, a miss', '/cached/lamp');
complete('cached, a hit', '/cached/lamp');
complete('static', '/static');

is $t->h2('/lamp', Host => 'shop.example')->body, $page, 'HTTP/2: served';
is event()->{properties}{ProductName}, $expected{ProductName}, 'the event';

is figures()->{read}, 12, 'pages that were read';

$t->get('/lamp?who=1', Host => 'shop.example');
is event()->{properties}{URL}, 'https://shop.example/lamp?id=7',
    'who asked is no part of the URL of a page';

my $reasons = $t->account('shop')->{reasons}{left_out};

$t->get('/lamp?clp=1', Host => 'shop.example');

my $event = event();

ok !exists $event->{properties}{Price} && !exists $event->{value},
    'a price that can be read in two ways is none';
$t->wait_idle;
is $t->account('shop')->{reasons}{left_out}{$_}, ($reasons->{$_} // 0) + 1,
    "counted as $_" for qw(number value);

$t->get('/own/lamp', Host => 'shop.example');

$event = event();

is $event->{properties}{ProductName}, 'mine', 'property wins';
ok !exists $event->{properties}{SKU}, 'an empty one removes';
is $event->{properties}{Brand}, 'Acme', 'what it does not name stays';
is $event->{value}, 5, 'value wins';


# what is left alone

my %left = (
    '/plain'                         => undef,
    '/lamp?pad=20000'                => 'too_large',
    '/lamp?pad=20000&chunked=1'      => 'too_large',
    '/lamp?pad=50000&gzip=1'         => 'too_large',
    '/lamp?coding=br'                => 'unreadable',
    '/lamp?gzip=1&cut=1&chunked=1'   => 'unreadable',
    '/lamp?status=404'               => 'status',
    '/missing'                       => 'status',
    '/cart/none.js'                  => undef,
);

for my $path (sort keys %left) {
    my $before = figures();
    $t->get($path, Host => 'shop.example');
    my $after = figures();

    is $after->{$_}, $before->{$_} + 1, "$path: $_"
        for grep { defined } $left{$path};
}

my $before = figures();

is $t->get('/static', Range => 'bytes=0-99')->status, 206, 'a range';
is figures()->{range}, $before->{range} + 1, 'is left alone';

$before = figures();

$t->request(HEAD => '/lamp', [Host => 'shop.example']);
$t->get('/off', Host => 'shop.example');

is_deeply figures(), $before, 'HEAD, and no rules: nothing is done';

$t->get('/lamp', Host => 'shop.example');
ok event(), 'the one event since then';
is scalar @{ $t->wait_events($seen) }, $seen, 'and no other';


# a page that the browser has: there is none to read

my ($changed) = $t->get('/static', Host => 'shop.example')
    ->header('Last-Modified');
event();
$before = $t->account('shop');

is $t->get('/static', Host => 'shop.example', 'If-Modified-Since' => $changed)
    ->status, 304, 'a 304';
$t->wait_idle;

my $after = $t->account('shop');

is $after->{page}{not_modified}, $before->{page}{not_modified} + 1,
    'is counted';
is $after->{reasons}{skipped}{no_page},
    ($before->{reasons}{skipped}{no_page} // 0) + 1, 'and so is its rule';


# JSON

$answer = $t->get('/cart/add.js');
is $answer->body, '{"items":[{"title":"Lamp"}],"total":1990}', 'JSON';

$event = event();
is $event->{properties}{ProductName}, 'Lamp', 'klaviyo_json of it';
is $event->{properties}{Cart}{total}, 1990, 'all of it';

$t->get('/cart/add.js?gzip=1&chunked=1&piece=3');
is event()->{properties}{ProductName}, 'Lamp', 'compressed';

my @types = qw(text/javascript;charset=utf-8 application/x-javascript
    application/vnd.shop+json text/json);

for my $type (@types) {
    $t->get("/cart/add.js?type=$type");
    is event()->{properties}{ProductName}, 'Lamp', $type;
}

$t->wait_idle;

my $account = $t->account('shop');
is $account->{response_body}{read}, 2 + @types, 'JSON answers that were read';
ok $account->{reasons}{skipped}{page} > 0, 'pages that are something else';

open my $in, '<', $t->dir . '/page.log' or die $!;
my @lines = map { decode_json($_) } <$in>;
close $in;

is_deeply $lines[0], {type => 'product', title => "Lamp \x{2013} Shop",
    canonical => 'https://shop.example/lamp', currency => 'EUR',
    availability => 'InStock', captured => 1}, 'variables in a log';

unlike $t->log, qr/eve\@example|Lamps/, 'nothing of a page in the log';

for (['klaviyo_page;', qr/number of arguments/],
     ['klaviyo_page maybe;', qr/invalid parameter "maybe": .*"evershop"/],
     ['klaviyo_page off jsonld;', qr/"off" stands alone/],
     ['klaviyo_page jsonld jsonld;', qr/duplicate parameter "jsonld"/],
     ['klaviyo_page size=1m;', qr/says not what to read/],
     ['klaviyo_page on size=1;', qr/invalid parameter "size=1"/],
     ['klaviyo_page on; klaviyo_page off;', qr/is duplicate/],
     ['klaviyo_response_body xml;', qr/invalid parameter "xml"/],
     ['klaviyo_response_body json size=9m;', qr/must be 1k to 8m/],
     ['klaviyo_track x page=thing;', qr/invalid "page=thing"/],
     ['klaviyo_track x page=order page=order;', qr/duplicate parameter/])
{
    my ($code, $output) = config_test(server => "location / { $_->[0] }");

    isnt $code, 0, "$_->[0] is refused";
    like $output, $_->[1], 'and why';
}

# a rule that no page is read for

for (['klaviyo_track x page=order; location /a/ { klaviyo_page on; }', 0],
     ['klaviyo_page on; location /a/ { klaviyo_page off; }
       klaviyo_track x page=order;', 0],
     ['location /a/ { klaviyo_track x page=order; }', 1],
     ['klaviyo_page on; klaviyo_track y;
       location /a/ { klaviyo_page off; klaviyo_track x page=order; }', 1],
     ['klaviyo_response_body json; klaviyo_track x page=order;', 1])
{
    my ($code, $output) = config_test(server => $_->[0]);

    is $code, 0, "$_->[0] is taken";
    is scalar(() = $output =~ /can never fire: it has "page=order"/g), $_->[1],
        "$_->[0]: warned of " . ($_->[1] ? 'once' : 'never');
}

$t->stop;

done_testing;

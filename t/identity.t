#!/usr/bin/perl

# Who the visitor is: the arguments of links, Klaviyo's cookie, the cookie of
# our own; what is kept out of URLs; and bytes that are none of it.

use lib 't/lib';
use Klaviyo::Test;

use MIME::Base64 qw(encode_base64);
use Mojo::JSON   qw(decode_json encode_json);


my $cid = encode_base64('f0d37f35-983d-4654-bea5-14095601b0e3', '');
my $kx  = 'aZ-0_9=.ABC123';

sub b64 { return encode_base64($_[0], '') }

# the cookie __kla_id as klaviyo.js writes it
sub kla {
    my (%member) = @_;

    return '__kla_id=' . b64(encode_json(\%member)) =~ s/=/%3D/gr;
}


# refused configurations

for my $case (
    ['klaviyo_identity cookies;', qr/invalid parameter "cookies"/],
    ['klaviyo_identity off query;', qr/invalid parameter "off"/],
    ['klaviyo_identity query query;', qr/duplicate parameter "query"/],
    ['klaviyo_identity query; klaviyo_identity off;', qr/is duplicate/],
    ['klaviyo_identity;', qr/invalid number of arguments/],
    ['klaviyo_kx_cookie "a b";', qr/invalid name "a b"/],
    ['klaviyo_kx_cookie "a=b";', qr/invalid name "a=b"/],
    ['klaviyo_kx_cookie "a;b";', qr/invalid name "a;b"/],
    ['klaviyo_kx_cookie "";', qr/invalid name ""/],
    ['klaviyo_kx_cookie __kla_id;', qr/invalid name "__kla_id"/],
    ['klaviyo_kx_cookie kx 0;', qr/invalid number of days "0"/],
    ['klaviyo_kx_cookie kx 401;', qr/invalid number of days "401"/],
    ['klaviyo_kx_cookie kx x;', qr/invalid number of days "x"/],
    ['klaviyo_kx_cookie off 3;', qr/invalid parameter "3"/],
    ['klaviyo_kx_cookie kx; klaviyo_kx_cookie off;', qr/is duplicate/],
) {
    my ($server, $message) = @$case;
    my ($code, $output) = config_test(server => $server);

    isnt $code, 0, "$server is refused";
    like $output, $message, 'says so';
    like $output, qr/nginx\.conf:[1-9]/, 'says where';
}

for my $company (qw(ABC12 ABC1234 ABC-12), '""', 'ABC123; company ABC123') {
    my ($code, $output) = config_test(account => "company $company;");

    isnt $code, 0, "company $company is refused";
    like $output, qr/invalid company|"company" .* is duplicate/, 'says so';
}


my $t = Klaviyo::Test->new(
    account => 'company ABC123; batch linger=20ms;',
    http    => q{
        log_format id '$uri|$klaviyo_exchange_id|$klaviyo_visitor_id|'
                      '$klaviyo_uri|$klaviyo_args|$klaviyo_captured';
        large_client_header_buffers 4 32k;

        proxy_cache_path %%DIR%%/cache keys_zone=pages:1m;

        server {
            listen 127.0.0.1:%%PORT_BACKEND%%;
            location / { return 200 "$request_uri $request_id\n"; }
        }
    },
    server => <<'END');
        access_log %%DIR%%/id.log id;

        location / {
            klaviyo_track "Page";
            return 200 "";
        }

        location /named {
            klaviyo_profile  email         $http_x_email;
            klaviyo_profile  anonymous_id  $http_x_anonymous;
            klaviyo_profile  first_name    $http_x_name;
            klaviyo_track    "Named";
            return 200 "";
        }

        location /constant {
            klaviyo_profile  external_id  everybody;
            klaviyo_track    "Constant";
            return 200 "";
        }

        location /off {
            klaviyo_identity  off;
            klaviyo_track     "Off";
            return 200 "";

            location /off/query {
                klaviyo_identity  query;
                return 200 "";
            }

            location /off/cookie {
                klaviyo_identity  cookie;
                return 200 "";
            }
        }

        location /untracked {
            return 200 "";
        }

        location /rewritten {
            rewrite ^ /args?a=1&_kx=new.ABC123&b=2? last;
        }

        location /args {
            klaviyo_track "Args";
            return 200 "$args|$klaviyo_args|$klaviyo_uri";
        }

        location /cached {
            klaviyo_track    "Cached";
            proxy_cache      pages;
            proxy_cache_key  $scheme$host$klaviyo_uri;
            proxy_cache_valid  1m;
            add_header       X-Cache $upstream_cache_status;
            proxy_pass       http://127.0.0.1:%%PORT_BACKEND%%$klaviyo_uri;
        }

        location /keep {
            klaviyo_kx_cookie  shop_kx;
            klaviyo_track      "Keep";
            return 200 "";

            location /keep/off {
                klaviyo_kx_cookie  off;
                return 200 "";
            }

            location /keep/short {
                klaviyo_kx_cookie  other_kx 2;
                add_header         Set-Cookie "own=1";
                return 200 "";
            }

            location /keep/silent {
                klaviyo_identity  cookie;
                return 200 "";
            }

            location /keep/none {
                klaviyo_identity  off;
                return 200 "";
            }

            location /keep/asked {
                klaviyo_consent  $cookie_consent;
                return 200 "";
            }

            location /keep/moved {
                rewrite ^ /keep/short last;
            }

            location /keep/proxy {
                proxy_pass http://127.0.0.1:%%PORT_BACKEND%%;
            }
        }
END

$t->start;

my $seen = 0;

sub events {
    $t->wait_idle(20);

    my @events = @{ $t->sandbox->events };
    my @new    = @events[$seen .. $#events];

    $seen = @events;

    return @new;
}

# the profile of a request's only event; undef: there was none
sub who {
    my ($path, @headers) = @_;

    my $response = $t->get($path, @headers);

    is $response->status, 200, "$path: served";

    my @events = events();

    cmp_ok scalar @events, '<=', 1, "$path: one event at most";

    return $events[0] && $events[0]{profile};
}

sub left_out { return $t->account('shop')->{reasons}{left_out}{ $_[0] } }

# what a request adds to a count
sub counts {
    my ($name, $code) = @_;

    my $before = left_out($name);

    $code->();

    return left_out($name) - $before;
}

sub logged {
    my ($path) = @_;

    # the log is written after the answer

    select undef, undef, undef, 0.05;

    my $line = wait_for(5, sub {
        open my $file, '<', $t->dir . '/id.log' or die;

        return (reverse grep { m{^\Q$path\E\|} } <$file>)[0];
    });

    chomp $line;

    my (undef, @fields) = split /\|/, $line;

    return \@fields;
}


# the query

is_deeply who("/?_kx=$kx"), {_kx => $kx}, '_kx';
is_deeply who('/?a=b&_kx=aZ-0_9%3d%2EABC123&c'), {_kx => $kx},
    '_kx, percent-encoded';
is_deeply who('/?%5fkx=' . $kx), {_kx => $kx}, 'its name too';
is_deeply who('/?_ke=' . b64('jane@shop.com')), {email => 'jane@shop.com'},
    '_ke: an email';
is_deeply who('/?_ke=' . b64('{"kl_email":"jane@shop.com",'
        . '"kl_phone_number":"+15005550006","kl_company_id":"ABC123"}')),
    {email => 'jane@shop.com', phone_number => '+15005550006'},
    '_ke: an object';
is_deeply who('/?utm_email=jane%2Bx@shop.com'), {email => 'jane+x@shop.com'},
    'utm_email';

is_deeply who("/?utm_email=c\@shop.com&_ke=" . b64('b@shop.com')
    . "&_kx=$kx"), {_kx => $kx}, '_kx before _ke';
is_deeply who('/?utm_email=c@shop.com&_ke=' . b64('b@shop.com')),
    {email => 'b@shop.com'}, '_ke before utm_email';
is_deeply who("/?_kx=&_kx=$kx&_ke=" . b64('b@shop.com')),
    {email => 'b@shop.com'}, 'the first _kx counts, an empty one is none';
is_deeply who('/?_kx=undefined&utm_email=c@shop.com'),
    {email => 'c@shop.com'}, 'undefined is none';

is counts('_kx', sub {
    is_deeply who('/?_kx=a.b.c&utm_email=c@shop.com'),
        {email => 'c@shop.com'}, 'a _kx that is none';
}), 1, 'is counted';
is counts('_ke', sub {
    is who('/?_ke=x'), undef, 'a _ke that is none';
}), 1, 'is counted';
is counts('email', sub {
    is who('/?utm_email=jane'), undef, 'a utm_email that is none';
}), 1, 'is counted';


# the cookie

is_deeply who('/', Cookie => kla(cid => $cid, '$exchange_id' => $kx)),
    {_kx => $kx}, 'today\'s cookie';

my %old = (
    cid => $cid, '$email' => 'jane@shop.com', '$id' => 'c-7',
    '$kid' => '01HXYZ', '$phone_number' => '+15005550006',
    '$anonymous' => 'anon', '$exchange_id' => $kx,
    '$referrer' => {ts => 1690000000, value => 'https://a/', x => [1, {}]},
    '$last_referrer' => {ts => 1690000000, value => '"', first_page => '/'},
);

is_deeply who('/', Cookie => 'a=b; ' . kla(%old) . '; c=d'),
    {email => 'jane@shop.com', external_id => 'c-7', id => '01HXYZ',
     phone_number => '+15005550006', anonymous_id => 'anon', _kx => $kx},
    'a cookie of old';
is_deeply who('/', Cookie => '__kla_id=' . b64(encode_json(
        encode_json({'$email' => '"jane@shop.com"', '$id' => 'null'})))
        =~ s/=+$//r),
    {email => 'jane@shop.com'}, 'JSON in strings, without padding';

is counts('cookie', sub {
    is who('/', Cookie => kla(cid => $cid)), undef, 'a cid is no identity';
    is who('/', Cookie => "__kla_id=$_"), undef, "\"$_\" is nothing"
        for '', 'null', 'undefined', '%22';
}), 1, 'one of them is no cookie of Klaviyo\'s';

is counts('cookie_too_long', sub {
    is who('/', Cookie => kla(%old, x => 'x' x 3000)), undef, 'too long';
}), 1, 'is counted';

is_deeply who('/', Cookie => 'my__kla_id=1; x__kla_id=2; '
    . kla('$email' => 'jane@shop.com') . '; __kla_id=x'),
    {email => 'jane@shop.com'}, 'among others';

is_deeply who('/', Cookie => 'a=b', Cookie => 'c=d',
    Cookie => kla('$email' => 'jane@shop.com'), Cookie => 'e=f'),
    {email => 'jane@shop.com'}, 'the header several times';

is counts('identifier', sub {
    is_deeply who('/', Cookie => kla('$id' => "a\nb", '$kid' => 'x' x 513,
            '$email' => 'jane@shop.com', '$anonymous' => ['x'])),
        {email => 'jane@shop.com'}, 'bad identifiers';
}), 3, 'are counted';
is counts('phone_number', sub {
    is who('/', Cookie => kla('$phone_number' => '5550006')), undef,
        'a bad phone number';
}), 1, 'is counted';

$t->h2('/?h2', 'Cookie' => kla('$email' => 'h2@shop.com'));
is +(events())[0]{profile}{email}, 'h2@shop.com', 'by HTTP/2';


# which of them

is_deeply who("/?_kx=$kx", Cookie => kla('$email' => 'jane@shop.com')),
    {_kx => $kx}, 'the query before the cookie, and nothing of two';
is_deeply who('/?_kx=x', Cookie => kla('$email' => 'jane@shop.com')),
    {email => 'jane@shop.com'}, 'the cookie when the query has none';

is_deeply who("/named?_kx=$kx", 'X-Email' => 'app@shop.com', 'X-Name' => 'J',
        Cookie => kla(%old)),
    {email => 'app@shop.com', first_name => 'J'},
    'what klaviyo_profile names';
is_deeply who("/named?_kx=$kx", 'X-Name' => 'J'),
    {_kx => $kx, first_name => 'J'}, 'names nobody';
is_deeply who("/named?_kx=$kx", 'X-Email' => 'none', 'X-Name' => 'J'),
    {_kx => $kx, first_name => 'J'}, 'names nobody who can be';
is_deeply who('/named', 'X-Anonymous' => 'ours', Cookie => kla(%old)),
    {email => 'jane@shop.com', external_id => 'c-7', id => '01HXYZ',
     phone_number => '+15005550006', anonymous_id => 'ours', _kx => $kx},
    'an anonymous_id stands beside who it is';
is_deeply who('/named', 'X-Anonymous' => 'ours'), {anonymous_id => 'ours'},
    'or alone';
is_deeply who("/constant?_kx=$kx"), {external_id => 'everybody'},
    'a constant';

is who("/off?_kx=$kx", Cookie => kla(%old)), undef, 'off';
is_deeply who("/off/query?_kx=$kx"), {_kx => $kx}, 'query';
is who('/off/query', Cookie => kla(%old)), undef, 'without the cookie';
is who("/off/cookie?_kx=$kx"), undef, 'cookie';
is_deeply who('/off/cookie', Cookie => kla('$id' => 'c-7')),
    {external_id => 'c-7'}, 'without the query';


# another account

is counts('other_company', sub {
    is who('/?_kx=aZ.XYZ789'), undef, 'a _kx of another company';
    is who('/?_ke=' . b64('{"kl_email":"jane@shop.com",'
            . '"kl_company_id":"XYZ789"}')), undef, 'a _ke of another';
    is_deeply who('/?_kx=aZ.XYZ789', Cookie => kla('$email' => 'a@shop.com')),
        {email => 'a@shop.com'}, 'then the cookie';
    is_deeply who('/', Cookie => kla(%old, '$exchange_id' => 'aZ.XYZ789')),
        {email => 'jane@shop.com', external_id => 'c-7',
         phone_number => '+15005550006', anonymous_id => 'anon'},
        'a cookie of another';
}), 4, 'are counted';


# variables

$t->get("/untracked?a=%20&_kx=$kx&b&_KE=x&utm_email=e&&c=d",
    Cookie => kla(cid => $cid));
is_deeply logged('/untracked'),
    [$kx, $cid, '/untracked?a=%20&b&&c=d', 'a=%20&b&&c=d', '-'],
    'the four variables';

$t->get("/untracked?_kx=$kx");
is_deeply logged('/untracked'), [$kx, '-', '/untracked', '', '-'],
    'without anything else';

$t->get('/untracked', Cookie => kla('$exchange_id' => $kx, cid => 'x'));
is_deeply logged('/untracked'), [$kx, '-', '/untracked', '', '-'],
    'of the cookie';

$t->get('/untracked?_kx=aZ.XYZ789');
is logged('/untracked')->[0], '-', 'nothing of another company';

$t->get("/off?_kx=$kx", Cookie => kla(%old));
is_deeply [@{ logged('/off') }[0, 1, 2]], ['-', '-', '/off'],
    'nothing where it is off, but URLs without it';

like $t->get("/rewritten?_kx=$kx")->body,
    qr{^a=1&_kx=new\.ABC123&b=2\|a=1&b=2\|/rewritten$},
    'arguments as they are, the URI as it came';
is +(events())[0]{profile}{_kx}, $kx, 'the client\'s own _kx';


# no URL that is sent carries an identity

for my $arguments ("_kx=$kx", "_KX=$kx", '_ke=' . b64('jane@shop.com'),
    'utm_email=jane@shop.com', "%5Fk%78=$kx",
    "a=1&_kx=$kx&_ke=x&utm_email=jane\@shop.com")
{
    $t->get("/?utm_source=mail&$arguments#$arguments",
        Cookie  => kla('$id' => 'c-7'),
        Referer => "https://shop.com/?$arguments");

    my ($event) = events();
    my $text = encode_json($event->{properties});

    unlike $text, qr/_k[xe]|jane|ABC123|utm_email/i,
        "no identity of \"$arguments\" in properties";
    is $event->{properties}{utm_source}, 'mail', 'what else there was';
}


# a cache without identities

my $first  = $t->get("/cached?p=1&_kx=$kx");
my $second = $t->get('/cached?p=1&_kx=bb.ABC123');

is $first->header('X-Cache'), 'MISS', 'the first of a campaign';
is $second->header('X-Cache'), 'HIT', 'the second one is the same page';
is $second->body, $first->body, 'indeed';
like $first->body, qr{^/cached\?p=1 }, 'the upstream sees no identity';
is_deeply [sort map { $_->{profile}{_kx} } events()],
    [sort $kx, 'bb.ABC123'], 'but Klaviyo does';
is $t->get('/cached?p=2')->header('X-Cache'), 'MISS', 'another page';
events();


# a cookie of our own

my $attributes = 'Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax';

is $t->get("/keep?_kx=$kx")->header('Set-Cookie'),
    "shop_kx=$kx; $attributes", 'a _kx is kept';
is $t->get('/keep')->header('Set-Cookie'), undef, 'nothing is not';
is $t->get('/keep', Cookie => "shop_kx=$kx")->header('Set-Cookie'), undef,
    'what is there is not set again';
is $t->get("/keep/off?_kx=$kx")->header('Set-Cookie'), undef, 'off';
is $t->get("/keep/silent?_kx=$kx")->header('Set-Cookie'), undef,
    'not without the query';
is $t->get("/keep/none?_kx=$kx")->header('Set-Cookie'), undef,
    'not where identity is off';
is $t->get("/?_kx=$kx")->header('Set-Cookie'), undef, 'not by default';
is $t->get("/keep/short?_kx=$kx")->header('Set-Cookie') =~ s/Max-Age=\d+//r,
    "own=1, other_kx=$kx; " . $attributes =~ s/Max-Age=\d+//r,
    'beside another cookie';
like $t->get("/keep/short?_kx=$kx")->header('Set-Cookie'),
    qr/Max-Age=172800;/, 'for two days';
like $t->get("/keep/moved?_kx=$kx")->header('Set-Cookie'),
    qr/\bshop_kx=\Q$kx\E;/, 'as where it was first';
is $t->get("/keep/proxy?_kx=$kx")->header('Set-Cookie'),
    "shop_kx=$kx; $attributes", 'on a proxied answer';
is $t->get("/keep/proxy/%00?_kx=$kx")->header('Set-Cookie'), undef,
    'not for what is no request';
is $t->h2("/keep?_kx=$kx")->header('Set-Cookie'),
    "shop_kx=$kx; $attributes", 'by HTTP/2';

for my $bad ('a.b.c', 'aZ.ABC123%0d%0aX-Evil:1', 'a%3bb.ABC123', 'a b.ABC123',
    'aZ.XYZ789', 'a%00.ABC123', '"a".ABC123', 'x' x 600 . '.ABC123')
{
    my $answer = $t->raw("GET /keep?_kx=$bad HTTP/1.1\r\nHost: h\r\n"
        . "Connection: close\r\n\r\n");

    unlike $answer, qr/set-cookie|x-evil/i, substr($bad, 0, 30) . ': not kept';
}

is $t->get("/keep/asked?_kx=$kx")->header('Set-Cookie'), undef,
    'not without consent';
is $t->get("/keep/asked?_kx=$kx", Cookie => 'consent=1')
    ->header('Set-Cookie'), "shop_kx=$kx; $attributes", 'with it';
is $t->get("/keep?_kx=$kx", Cookie => '__kla_off=true')
    ->header('Set-Cookie'), undef, 'not against the visitor\'s wish';

events();

is_deeply who('/keep', Cookie => "shop_kx=$kx"), {_kx => $kx}, 'read back';
is_deeply who('/keep?_kx=bb.ABC123', Cookie => "shop_kx=$kx"),
    {_kx => 'bb.ABC123'}, 'after the query';
is_deeply who('/keep', Cookie => "shop_kx=$kx; " . kla(%old)), {_kx => $kx},
    'before __kla_id';
is_deeply who('/keep', Cookie => 'shop_kx=x; ' . kla('$id' => 'c-7')),
    {external_id => 'c-7'}, 'not when it is none';
is who('/keep/none', Cookie => "shop_kx=$kx"), undef, 'not where it is off';
is who('/', Cookie => "shop_kx=$kx"), undef, 'nor where it has no name';
is_deeply who('/keep/moved', Cookie => "shop_kx=a.ABC123; other_kx=$kx"),
    {_kx => 'a.ABC123'}, 'by the name that it has where the request began';


# bytes that are none of it: each in a cookie, an argument and JSON

my %expected = map { $_ => 1 } qw(_kx email phone_number external_id id
    anonymous_id);

my @texts = ('"', '\\', "\x00", "\x7f", "\xff", "\xc3\xa9", '"}', '",id:"x',
    '","e_mail":"victim@shop.com', "\xed\xa0\x80", "\xf4\x90\x80\x80", "\r",
    '\u0000', '\ud800', '{', '[1]', '<script>', 'x' x 600, '$email', '%zz');

my $sent = 0;

for my $text (@texts) {
    my $quoted = $text =~ s/([^a-zA-Z0-9])/sprintf '%%%02x', ord $1/ger;

    my @cookies = map { '__kla_id=' . b64($_) } (
        qq({"\$id":"$text"}),
        qq({"\$id":"a$text","\$kid":"$text","\$anonymous":"${text}b"}),
        qq({"\$email":"$text\@shop.com","$text":1}),
        qq({"\$phone_number":"+1500555000$text"}),
        qq("{\\"\$id\\":\\"$text\\"}"),
        qq({"\$exchange_id":"$text.ABC123"}), $text, qq({$text}),
    );

    push @cookies, "__kla_id=$quoted", "__kla_id=" . b64('{}') . $quoted,
        "shop_kx=$quoted", "shop_kx=$quoted.ABC123";

    for my $cookie (@cookies) {
        $t->raw("GET /keep?_kx=$quoted&_ke=" . b64(qq({"kl_email":"$text"}))
            . "&utm_email=$quoted HTTP/1.1\r\nHost: h\r\nCookie: $cookie\r\n"
            . "User-Agent: Mozilla/5.0 Firefox/128.0\r\n"
            . "Connection: close\r\n\r\n");
        $sent++;
    }
}

my @events = events();

cmp_ok scalar @events, '>', 10, 'some are identities';
cmp_ok scalar @events, '<', $sent / 2, 'most are none';

is_deeply [grep { !$expected{$_} } map { keys %{ $_->{profile} } } @events],
    [], 'identifiers and nothing else';
is_deeply [grep { ($_->{profile}{email} // '') =~ /victim/ } @events], [],
    'nobody else\'s';
is_deeply [grep { /[\x00-\x1f\x7f\x{fffd}]/ } map { values %{ $_->{profile} } }
           @events], [], 'clean';
is_deeply [grep { length > 512 } map { values %{ $_->{profile} } } @events],
    [], 'bounded';

my $figures = $t->account('shop');

is_deeply [grep { $_ } values %{ $figures->{reasons}{dead} }], [],
    'Klaviyo takes them all';
is $figures->{reasons}{skipped}{no_memory}, 0, 'memory was enough';
cmp_ok $figures->{reasons}{left_out}{cookie}, '>', 50, 'the rest is counted';

$t->stop;


# two accounts, each with its own company; and none

my $accounts = sub {
    my ($a, $b) = @_;

    return join '', map { my ($name, $company) = @$_; <<"END" }
    klaviyo_account $name {
        $company
        api_key_file %%KEY_FILE%%;
        endpoint %%ENDPOINT%%;
        queue %%QUEUE_DIR%%/$name.ring size=8m;
        spool %%DIR%%/$name;
        batch linger=20ms;
    }
END
        ['shop', $a], ['other', $b];
};

$t = Klaviyo::Test->new(
    account => undef,
    http    => $accounts->('company ABC123;', 'company XYZ789;'),
    server  => <<'END');
        klaviyo_kx_cookie kx;
        klaviyo_identity query;

        location / {
            klaviyo_track "A" account=shop;
            klaviyo_track "B" account=other;
            return 200 $klaviyo_exchange_id;
        }

        location /none {
            return 200 "<$klaviyo_exchange_id>";
        }
END

$t->start;

for my $company (qw(ABC123 XYZ789)) {
    $t->get("/?_kx=a.$company");
    $t->wait_idle;
}

is_deeply [map { "$_->{metric} $_->{profile}{_kx}" }
           @{ $t->sandbox->events }], ['A a.ABC123', 'B a.XYZ789'],
    'each account has its own';
is $t->get('/?_kx=a.ABC123')->body, 'a.ABC123', 'the first event\'s account';
is $t->get('/?_kx=a.XYZ789')->body, '', 'not the second one\'s';
is $t->get('/none?_kx=a.XYZ789')->body, '<a.XYZ789>', 'no account, any';
like $t->get('/?_kx=a.XYZ789')->header('Set-Cookie') // '', qr/^kx=a\.XYZ789;/,
    'kept for either';
is $t->get('/?_kx=a.NOBODY')->header('Set-Cookie'), undef, 'not for nobody';
$t->stop;

done_testing;

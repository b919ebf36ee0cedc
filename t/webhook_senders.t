#!/usr/bin/perl

# klaviyo_webhook from=: what each sender signs passes, what is forged does
# not, and what only asks whether somebody is there is answered.

use lib 't/lib';
use Klaviyo::Test;

use Digest::SHA  qw(hmac_sha256 hmac_sha256_hex);
use MIME::Base64 qw(decode_base64 encode_base64);
use Mojo::JSON   qw(decode_json encode_json);
use POSIX        qw(setlocale LC_TIME strftime);

setlocale(LC_TIME, 'C');

use constant SECRET => 'shhh: 0123456789abcdef';
use constant WHSEC  => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

my @senders = qw(klaviyo shopify woocommerce stripe zoom typeform shopware
                 standard custom timed);

my %from = (map({ $_ => "from=$_" } @senders),
    custom => 'from=custom header=X-Sig prefix=sig= encoding=base64',
    timed  => 'from=custom header=X-Hex '
        . q{'signed=$http_x_time:${request_body}:end' timestamp=$http_x_time});

my $t = Klaviyo::Test->new(
    http => 'klaviyo_profile external_id hooks; klaviyo_skip off; '
          . 'client_max_body_size 3m;',
    server => join '', map { qq{
        location = /$_ {
            klaviyo_webhook $from{$_} secret_file=old.key
                secret_file=${\ ($_ eq 'standard' ? 'standard' : 'new')}.key;
            klaviyo_event "Called" {
                property Sender $_;
                property Id     \$klaviyo_webhook_id;
                property Topic  \$klaviyo_webhook_topic;
            }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }
    } } @senders,
);

$t->file('old.key', "whsec_" . encode_base64('x' x 24, '') . "\n", 0600);
$t->file('new.key', SECRET . "\n", 0600);
$t->file('standard.key', WHSEC . "\n", 0600);

sub b64 { return encode_base64(hmac_sha256(@_), '') }

my %call = (
    klaviyo => sub {
        my ($body, $time, $secret) = @_;
        my $date = strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime $time);

        return ['Klaviyo-Webhook-Id' => '01HOOK',
            'Klaviyo-Timestamp' => $date,
            'Klaviyo-Signature' => hmac_sha256_hex("$body$date", $secret)];
    },
    shopify => sub {
        return ['X-Shopify-Hmac-Sha256' => b64($_[0], $_[2]),
            'X-Shopify-Topic' => 'orders/create',
            'X-Shopify-Webhook-Id' => 'b54557e4-bdd9',
            'X-Shopify-Shop-Domain' => 'shop.myshopify.com'];
    },
    woocommerce => sub {
        return ['X-WC-Webhook-Signature' => b64($_[0], $_[2]),
            'X-WC-Webhook-Topic' => 'order.created',
            'X-WC-Webhook-Delivery-ID' => 'd17'];
    },
    stripe => sub {
        my $v1 = hmac_sha256_hex("$_[1].$_[0]", $_[2]);

        return ['Stripe-Signature' => "t=$_[1],v1=" . 'a' x 64
            . ",v1=$v1,v0=" . 'b' x 64];
    },
    zoom => sub {
        return ['x-zm-request-timestamp' => $_[1],
            'x-zm-signature' => 'v0='
                . hmac_sha256_hex("v0:$_[1]:$_[0]", $_[2])];
    },
    typeform => sub {
        return ['Typeform-Signature' => 'sha256=' . b64($_[0], $_[2])];
    },
    shopware => sub {
        return ['shopware-shop-signature' => hmac_sha256_hex($_[0], $_[2])];
    },
    standard => sub {
        my $key = $_[2] eq SECRET
            ? decode_base64(WHSEC =~ s/whsec_//r) : $_[2];

        return ['webhook-id' => 'msg_1', 'webhook-timestamp' => $_[1],
            'webhook-signature' => 'v1,' . b64('x', 'y') . ' v2,abc v1,'
                . b64("msg_1.$_[1].$_[0]", $key)];
    },
    custom => sub { return ['X-Sig' => 'sig=' . b64($_[0], $_[2])] },
    timed  => sub {
        my $ms = $_[1] * 1000;

        return ['X-Time' => $ms,
            'X-Hex' => uc hmac_sha256_hex("$ms:$_[0]:end", $_[2])];
    },
);

my %body = (
    klaviyo => {data => [{topic => 'event:klaviyo.sent_sms'}],
                meta => {klaviyo_webhook_id => '01HOOK'}},
    stripe   => {id => 'evt_1', type => 'checkout.session.completed'},
    zoom     => {event => 'webinar.registration_created', payload => {}},
    typeform => {event_id => 'E1', event_type => 'form_response'},
    shopware => {data => {event => 'checkout.order.placed'},
                 source => {eventId => 'S1', shopId => 'x'}},
    standard => {type => 'contact.created'},
);

my %known = (
    klaviyo     => ['01HOOK', 'event:klaviyo.sent_sms'],
    shopify     => ['b54557e4-bdd9', 'orders/create'],
    woocommerce => ['d17', 'order.created'],
    stripe      => ['evt_1', 'checkout.session.completed'],
    zoom        => [undef, 'webinar.registration_created'],
    typeform    => ['E1', 'form_response'],
    shopware    => ['S1', 'checkout.order.placed'],
    standard    => ['msg_1', 'contact.created'],
    custom      => [undef, undef],
    timed       => [undef, undef],
);

$t->start;

my %count;

sub counted {
    my ($what, $reason) = @_;

    my $now = $t->account->{webhook};
    my %new = map { $_ => $now->{$_} - ($count{$_} // 0) }
        grep { $now->{$_} != ($count{$_} // 0) } keys %$now;

    %count = %$now;

    return is_deeply \%new, {$reason => 1}, "$what: counted";
}

sub call {
    my ($sender, $body, $headers) = @_;

    return $t->request(POST => "/$sender", $headers, $body)->status;
}

for my $sender (@senders) {
    my $body = encode_json($body{$sender} // {id => 1, email => 'a@b.com'});
    my $sign = $call{$sender};
    my @time = $sender =~ /^(?:shopify|woocommerce|typeform|shopware|custom)$/
        ? () : ('time');

    # nobody listens behind it: whoever gets through, finds that out

    is call($sender, $body, $sign->($body, time, SECRET)), 502,
        "$sender: a signed call passes";
    counted($sender, q(accepted));

    is call($sender, $body, $sign->($body, time, 'forged')), 401,
        "$sender: a forged one does not";
    counted("$sender, forged", 'bad_signature');

    is call($sender, "$body ", $sign->($body, time, SECRET)), 401,
        "$sender: nor one with another body";
    counted("$sender, another body", 'bad_signature');

    is call($sender, $body, []), 401, "$sender: nor one without a signature";
    counted("$sender, unsigned", 'bad_headers');

    for (@time) {
        is call($sender, $body, $sign->($body, time - 400, SECRET)), 401,
            "$sender: nor one that is recorded and old";
        counted("$sender, old", 'bad_timestamp');
    }

    my $large = 'x' x 1_100_000;

    is call($sender, $large, $sign->($large, time, SECRET)), 413,
        "$sender: nor one that is too large";
    counted("$sender, large", 'too_large');
}

$t->stop;


# the same, with an application behind it

my $with = Klaviyo::Test->new(
    http => 'klaviyo_profile external_id hooks; klaviyo_skip off; '
          . 'server { listen 127.0.0.1:%%PORT_APP%%; '
          . 'access_log %%DIR%%/app.log; return 200 "app\n"; }',
    server => join '', map { qq{
        location = /$_ {
            klaviyo_webhook $from{$_}
                secret_file=${\ ($_ eq 'standard' ? 'standard' : 'new')}.key;
            klaviyo_event "Called" {
                property Sender $_;
                property Id     \$klaviyo_webhook_id;
                property Topic  \$klaviyo_webhook_topic;
            }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }
    } } @senders,
);

$with->file('new.key', SECRET . "\n", 0600);
$with->file('standard.key', WHSEC . "\n", 0600);
$with->start;

for my $sender (@senders) {
    my $body = encode_json($body{$sender} // {id => 1, email => 'a@b.com'});

    is $with->request(POST => "/$sender", $call{$sender}->($body, time,
        SECRET), $body)->body, "app\n", "$sender: to the application";
}

for my $event (@{ $with->wait_events(scalar @senders) }) {
    my $p = $event->{properties};

    is_deeply [@$p{qw(Id Topic)}], $known{ $p->{Sender} },
        "$p->{Sender}: the variables";
}

# what only asks

my $token = encode_json({event => 'endpoint.url_validation',
    event_ts => 1, payload => {plainToken => 'qgg8vlvZRS6UYooatFL8Aw'}});
my $answer = $with->request(POST => '/zoom',
    $call{zoom}->($token, time, SECRET), $token);

is $answer->status, 200, 'Zoom\'s validation';
is_deeply $answer->json, {plainToken => 'qgg8vlvZRS6UYooatFL8Aw',
    encryptedToken => hmac_sha256_hex('qgg8vlvZRS6UYooatFL8Aw', SECRET)},
    'answered by the module';
is $answer->header('Content-Type'), 'application/json', 'as JSON';

is $with->request(POST => '/zoom', $call{zoom}->($token, time, 'forged'),
    $token)->status, 401, 'a forged one is not';

my $quote = encode_json({event => 'endpoint.url_validation',
    payload => {plainToken => '","x":"'}});

is $with->request(POST => '/zoom', $call{zoom}->($quote, time, SECRET),
    $quote)->status, 401, 'nor one whose token would leave its string';

my @form = ('Content-Type' => 'application/x-www-form-urlencoded');

for my $headers (\@form, [@form, @{ $call{woocommerce}->('webhook_id=12',
    time, SECRET) }])
{
    my $ping = $with->request(POST => '/woocommerce', $headers,
        'webhook_id=12');

    is $ping->status, 200, 'WooCommerce\'s ping';
    is $ping->body, '', 'answered by the module';
}

is $with->request(POST => '/woocommerce', \@form, $_)->status, 401,
    "\"$_\" is no ping" for 'webhook_id=', 'webhook_id=12&order=1',
        'webhook_id=1' . '0' x 60, 'order=1';
is $with->request(POST => '/shopify', \@form, 'webhook_id=12')->status, 401,
    'and of nobody else';

sleep 2;
is @{ $with->sandbox->events }, @senders, 'no event of these';
is_deeply $with->account->{webhook}{answered}, 3, 'counted';

$with->stop;


# what is refused

for my $case (
    ['from=other', qr/unknown sender "from=other": it must be "klaviyo"/],
    ['from=shopify tolerance=1m', qr/"tolerance=1m": the calls of "shopify" h/],
    ['from=stripe header=x', qr/invalid value "x": "header=", .* are for "from/],
    ['from=custom', qr/"from=custom" needs "header=<name>"/],
    ['from=custom header=x encoding=hash', qr/"encoding=hash": it must be "h/],
    ['from=custom header=x signed=$http_x', qr/must have "\$request_body" in/],
    ['from=custom header=x signed=$request_body$request_body', qr/in it, once/],
    ['from=stripe from=stripe', qr/parameter "from=stripe" is duplicate/],
    ['from=standard', qr/malformed: expected "whsec_" and base64/],
) {
    my $bad = Klaviyo::Test->new(sandbox => 0, server => 'location = /x { '
        . "klaviyo_webhook $case->[0] secret_file=new.key; }");

    $bad->file('new.key', SECRET . "\n", 0600);

    my ($code, $output) = $bad->check;

    $bad->_end;

    isnt $code, 0, "$case->[0]: refused";
    like $output, $case->[1], "$case->[0]: says so";
}

done_testing;

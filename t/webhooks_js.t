#!/usr/bin/perl

# contrib/njs/klaviyo_webhooks.js: from a call that its sender signed to the
# events that Klaviyo records, in nginx; and the same functions in node.

use lib 't/lib';
use Klaviyo::Test;

use Digest::SHA  qw(hmac_sha256 hmac_sha256_hex);
use File::Temp   qw(tempdir);
use MIME::Base64 qw(encode_base64);
use Mojo::JSON   qw(decode_json encode_json);

use constant SECRET => 'shhh: 0123456789abcdef';

my $modules = nginx_modules();
my @senders = qw(shopify woocommerce bigcommerce stripe zoom typeform);

sub payload {
    open my $in, '<', "t/payloads/$_[0].json" or die "$_[0]: $!";
    local $/;

    return scalar <$in>;
}

my $t = Klaviyo::Test->new(
    main => "load_module $modules/ngx_http_js_module.so;",
    http => 'js_import klaviyo from %%DIR%%/klaviyo_webhooks.js; '
          . join(' ', map { "js_set \$${_}_events klaviyo.$_;" } @senders),
    server => join '', map {
        my $from = $_ eq 'bigcommerce'
            ? 'from=custom header=X-Sig encoding=base64' : "from=$_";
        qq{
        location = /$_ {
            klaviyo_webhook       $from secret_file=webhook.key;
            klaviyo_request_body  on;
            client_body_buffer_size 1m;
            klaviyo_skip          off;
            klaviyo_identity      off;
            klaviyo_defaults      off;
            klaviyo_track_json    \$${_}_events;
            try_files             /204 =204;
        }
        location = /return/$_ {
            klaviyo_webhook       $from secret_file=webhook.key;
            klaviyo_request_body  on;
            klaviyo_skip          off;
            klaviyo_track_json    \$${_}_events;
            return                204;
        }
    } } @senders);

$t->file('webhook.key', SECRET . "\n", 0600);
$t->file('klaviyo_webhooks.js', do {
    open my $in, '<', 'contrib/njs/klaviyo_webhooks.js' or die $!;
    local $/;
    <$in>
});
chmod 0755, $t->dir;
$t->start;

sub b64 { return encode_base64(hmac_sha256(@_), '') }

my %sign = (
    shopify => sub { ('X-Shopify-Hmac-Sha256' => b64($_[0], $_[1]),
        'X-Shopify-Topic' => $_[2] // 'orders/create',
        'X-Shopify-Webhook-Id' => 'b54557e4') },
    woocommerce => sub { ('X-WC-Webhook-Signature' => b64($_[0], $_[1]),
        'X-WC-Webhook-Topic' => $_[2] // 'order.created',
        'X-WC-Webhook-Delivery-ID' => '72d77bdc') },
    bigcommerce => sub { ('X-Sig' => b64($_[0], $_[1])) },
    stripe => sub { my $time = time;
        ('Stripe-Signature' => "t=$time,v1="
            . hmac_sha256_hex("$time.$_[0]", $_[1])) },
    zoom => sub { my $time = time;
        ('x-zm-request-timestamp' => $time,
         'x-zm-signature' => 'v0='
            . hmac_sha256_hex("v0:$time:$_[0]", $_[1])) },
    typeform => sub {
        ('Typeform-Signature' => 'sha256=' . b64($_[0], $_[1])) },
);

sub call {
    my ($sender, $body, %option) = @_;

    return $t->post(($option{at} // '') . "/$sender", $body,
        'Content-Type' => 'application/json',
        $sign{$sender}->($body, $option{secret} // SECRET, $option{topic}));
}

# what a sender signs arrives

for my $sender (@senders) {
    is call($sender, payload($sender))->status, 204, "$sender: taken";
}

my @expected = (3, 3, 3, 3, 1, 1);
my $sum = 0;
$sum += $_ for @expected;

my @events = @{ $t->wait_events($sum, 20) // [] };
is scalar @events, $sum, 'all of them are recorded';

my %by;

for my $event (@events) {
    push @{ $by{ $event->{metric} } }, $event;
}

is_deeply { map { $_ => scalar @{ $by{$_} } } keys %by },
    { 'Placed Order' => 4, 'Ordered Product' => 8,
      'Registered for Webinar' => 1, 'Submitted Form' => 1 }, 'their metrics';

for my $event (@{ $by{'Placed Order'} }) {
    is $event->{value} + 0, 78, 'the value';
    is $event->{value_currency}, 'EUR', 'its currency';
    is $event->{profile}{email}, 'ann@shop.com', 'the buyer';
    is_deeply $event->{properties}{ItemNames},
        ['Brass Desk Lamp', 'Stoneware Mug'], 'the items';
    is $event->{properties}{Items}[1]{RowTotal}, 29, 'the total of a row';
}

is_deeply [sort map { $_->{value} } @{ $by{'Ordered Product'} }],
    [(29) x 4, (49) x 4], 'a line for each item';
is $by{'Submitted Form'}[0]{properties}{'Dimmable?'}, Mojo::JSON->true,
    'an answer of a form';
is $by{'Registered for Webinar'}[0]{properties}{Topic},
    'Lighting a small room', 'a webinar';

# the same once more, with the same unique ids

call('shopify', payload('shopify'));
ok wait_for(20, sub { $t->account->{delivered} == $sum + 3 }),
    'a webhook that comes twice';
is scalar @{ $t->sandbox->events }, $sum, 'is recorded once';

# what is forged, unknown or unreadable

is call('shopify', payload('shopify'), secret => 'guess')->status, 401,
    'a forged call';
is call('shopify', payload('shopify'), topic => 'themes/publish')->status,
    204, 'an unknown topic is taken';
is call('typeform', '{"a":')->status, 204, 'a body that cannot be read';
is call('shopify', payload('shopify'), secret => 'guess',
    at => '/return')->status, 204, 'behind return nobody is asked';

my $figures = $t->account;
is $figures->{captured}, $sum + 3, 'none of them fires an event';
is $figures->{reasons}{skipped}{unsigned}, 2, 'unsigned: counted';
is $figures->{reasons}{skipped}{klaviyo_track_json}, 2,
    'unknown and unreadable: counted';

# what the payloads do not have

sub said {
    my ($sender, $change, %option) = @_;

    my $payload = decode_json(payload($sender));
    my $before  = @{ $t->sandbox->events };

    $change->($payload);
    call($sender, ($option{mark} // '') . encode_json($payload), %option);
    wait_for($option{none} ? 1 : 20,
        sub { @{ $t->sandbox->events } > $before });
    $t->wait_idle;

    my @now = @{ $t->sandbox->events };

    return @now[$before .. $#now];
}

sub only { return grep { $_->{metric} eq $_[0] } @_[1 .. $#_] }

my ($event) = only('Placed Order', said('shopify', sub { $_[0]{id} = 2 },
    mark => "\xef\xbb\xbf"));
is $event->{unique_id}, 2, 'a byte order mark';

is_deeply [said('shopify', sub {
    $_[0]{email} = $_[0]{contact_email} = $_[0]{phone} = $_[0]{customer}
        = $_[0]{billing_address} = $_[0]{shipping_address} = undef;
    $_[0]{token} = 'cart' }, topic => 'checkouts/create', none => 1)], [],
    'a checkout of nobody';
($event) = said('shopify', sub { $_[0]{token} = 'cart' },
    topic => 'checkouts/update');
is_deeply [@{$event}{qw(metric unique_id)}], ['Started Checkout', 'cart'],
    'that has its buyer later';

my @download = said('woocommerce', sub {
    @{ $_[0] }{qw(id status date_paid_gmt date_completed_gmt)} = (9,
        'completed', '2026-09-06T18:06:00', '2026-09-06T18:06:00');
}, topic => 'order.updated');
is_deeply [sort map { $_->{metric} } @download], ['Fulfilled Order',
    'Ordered Product', 'Ordered Product', 'Placed Order'],
    'an order that is completed when it is paid';
is_deeply [map { $_->{metric} } said('woocommerce', sub {
    @{ $_[0] }{qw(id status date_paid_gmt date_completed_gmt)} = (10,
        'completed', '2026-09-06T18:06:00', '2026-09-09T10:00:00');
}, topic => 'order.updated')], ['Fulfilled Order'],
    'and one that was shipped';

($event) = only('Placed Order', said('stripe', sub {
    @{ $_[0]{data}{object} }{qw(id currency)} = ('cs_ugx', 'ugx') }));
is $event->{value}, 78, 'UGX has two decimals at Stripe';
is_deeply [said('stripe', sub {
    @{ $_[0]{data}{object} }{qw(id mode)} = ('cs_setup', 'setup') },
    none => 1)], [], 'a card that is set up is no order';

my @refunds = map {
    my ($sum, $before) = @$_;

    said('stripe', sub {
        $_[0]{type} = 'charge.refunded';
        $_[0]{data} = {object => {id => 'ch_1', currency => 'eur',
            amount_refunded => $sum,
            billing_details => {email => 'ann@shop.com'}},
            previous_attributes => {amount_refunded => $before}};
    })
} [1000, 0], [3000, 1000];

is_deeply [map { $_->{value} } @refunds], [10, 20], 'refunds in parts';

$t->stop;

# in node they say the same

SKIP: {
    my $node = `node --version 2>/dev/null` or skip 'no node', 1;
    my $dir = tempdir(CLEANUP => 1);

    system("cp contrib/njs/klaviyo_webhooks.js $dir/klaviyo.mjs") == 0 or die;

    for my $sender (@senders) {
        open my $out, '>', "$dir/run.mjs" or die $!;
        print $out qq{
            import k from './klaviyo.mjs';
            import fs from 'fs';
            const topic = { shopify: 'orders/create',
                            woocommerce: 'order.created' };
            process.stdout.write(k.convert['$sender'](
                fs.readFileSync('t/payloads/$sender.json', 'utf8'),
                topic['$sender']));
        };
        close $out;

        my $said = decode_json(scalar `node $dir/run.mjs`);
        my %recorded = map { $_->{unique_id} . $_->{metric} => $_ } @events;

        ok @$said > 0, "node: $sender";
        is_deeply $recorded{$_->{unique_id} . $_->{metric}}{properties},
            $_->{properties}, "node: $_->{metric} of $sender" for @$said;
    }
}

done_testing;

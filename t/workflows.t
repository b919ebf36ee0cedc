#!/usr/bin/perl

# The workflows of docs/cookbook.md: from a call that its sender signed, or a
# form, to the event, the profile, the list and the subscription that Klaviyo
# has.  All workers are killed in the middle, when everything is captured and
# nothing is delivered.  t/workflows/*.conf are what the cookbook shows.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Recipe qw(recipe_parts);

use Digest::SHA  qw(hmac_sha256 hmac_sha256_hex);
use MIME::Base64 qw(encode_base64);
use Mojo::Date;
use Mojo::JSON   qw(decode_json encode_json);

use constant SECRET => 'shhh: 0123456789abcdef';

my $modules = nginx_modules();

sub text {
    open my $in, '<', $_[0] or die "$_[0]: $!";
    local $/;

    return scalar <$in>;
}

sub payload {
    my ($name, $change) = @_;

    my $payload = decode_json(text("t/payloads/$name.json"));

    $change->($payload);

    return encode_json($payload);
}

sub b64 { return encode_base64(hmac_sha256($_[0], SECRET), '') }

sub workflow {
    my ($name) = @_;

    my %part = recipe_parts(text("t/workflows/$name.conf"));

    $part{http} .= "upstream app { server 127.0.0.1:%%PORT_APP%%; }\n"
        . 'server { listen 127.0.0.1:%%PORT_APP%%;'
        . ' location / { return 303 /thanks; } }';

    my $t = Klaviyo::Test->new(
        name    => $name, %part, workers => 2,
        account => 'batch linger=20ms;',
        main    => $part{http} =~ /^js_import/m
            ? "load_module $modules/ngx_http_js_module.so;" : '');

    $t->file('klaviyo/webhook.secret', SECRET . "\n", 0600);
    $t->file('klaviyo/klaviyo_webhooks.js',
        text('contrib/njs/klaviyo_webhooks.js'));
    chmod 0755, $t->dir, $t->dir . '/klaviyo';

    return $t->start;
}

sub figure {
    my ($t, $what, @lanes) = @_;

    my $accounts = $t->status->{accounts};
    my $n = 0;

    $n += $accounts->{$_}{$what} for @lanes ? @lanes : keys %$accounts;

    return $n;
}

# nothing is delivered until all that was captured has lost its process
sub through_kill {
    my ($t, $captured, $call) = @_;

    $t->sandbox->fault(kind => 'status', status => 503);

    $call->();

    ok wait_for(20, sub { figure($t, 'captured') == $captured }),
        "$captured are captured" or diag explain $t->status;

    my @workers = $t->workers;

    kill KILL => @workers;
    ok wait_for(20, sub {
        my %old = map { $_ => 1 } @workers;
        my @now = $t->workers;

        return @now == 2 && !grep { $old{$_} } @now;
    }), 'other workers';

    is figure($t, 'delivered'), 0, 'nothing was delivered before';
    $t->sandbox->clear_faults;

    ok wait_for(60, sub { figure($t, 'delivered') == $captured }),
        'all is delivered' or diag explain $t->status;
    is figure($t, 'lost'), 0, 'nothing is lost';

    $t->allow_kills;

    return $t->sandbox->state('shop');
}

sub refused {
    my ($t, $path, $body, %headers) = @_;

    my $captured = figure($t, 'captured');

    is $t->post($path, $body, 'Content-Type' => 'application/json',
        %headers)->status, 401, 'a forged call is refused';
    is figure($t, 'captured'), $captured, 'and fires nothing';

    return;
}

sub has {
    my ($state, %profile) = @_;

    my ($found) = grep { ($_->{email} // '') eq $profile{email} }
        @{ $state->{profiles} };

    is_deeply { map { $_ => $found->{$_} } keys %profile }, \%profile,
        'the profile';
    is_deeply $state->{members}{LIST01}, [$found->{id}], 'is on the list';

    return $found;
}


subtest 'Shopify' => sub {
    my $t    = workflow('shopify');
    my %sign = ('X-Shopify-Topic' => 'orders/create',
                'X-Shopify-Webhook-Id' => 'b54557e4');
    my $body = payload('shopify', sub {
        $_[0]{buyer_accepts_marketing} = Mojo::JSON->true });

    my $state = through_kill($t, 5, sub {
        is $t->post('/hooks/shopify', $body, %sign,
            'Content-Type' => 'application/json',
            'X-Shopify-Hmac-Sha256' => b64($body))->status, 204, 'taken';
    });

    is_deeply [sort map { $_->{metric} } @{ $t->sandbox->events }],
        ['Ordered Product', 'Ordered Product', 'Placed Order'], 'the events';
    has($state, email => 'ann@shop.com');
    is_deeply $state->{subscriptions}, [{list => 'LIST02',
        source => 'Shopify', email => 'ann@shop.com', channels => ['email'],
        map { defined $_->{phone_number}
            ? (phone_number => $_->{phone_number}) : () }
            @{ $state->{subscriptions} }}], 'subscribed';

    # who did not tick the box, is on the list and not subscribed

    $body = payload('shopify', sub { $_[0]{id} = 1;
        $_[0]{email} = $_[0]{customer}{email} = 'bob@shop.com';
        $_->{phone} = undef for $_[0], @{ $_[0] }{qw(customer billing_address
                                                    shipping_address)} });
    $t->post('/hooks/shopify', $body, %sign,
        'Content-Type' => 'application/json',
        'X-Shopify-Hmac-Sha256' => b64($body));
    ok wait_for(20, sub {
        @{ $t->sandbox->state('shop')->{members}{LIST01} } == 2 }),
        'another buyer';
    is scalar @{ $t->sandbox->state('shop')->{subscriptions} }, 1,
        'is not subscribed';
    is $t->status->{accounts}{'shop/subscriptions'}{captured}, 1,
        'nor on the way';

    refused($t, '/hooks/shopify', $body, %sign,
        'X-Shopify-Hmac-Sha256' => b64("$body "));
    $t->stop;
};


subtest 'WooCommerce' => sub {
    my $t    = workflow('woocommerce');
    my %sign = ('X-WC-Webhook-Topic' => 'order.created',
                'X-WC-Webhook-Delivery-ID' => '72d77bdc');
    my $body = payload('woocommerce', sub {
        push @{ $_[0]{meta_data} },
            {id => 2, key => 'newsletter_optin', value => '1'} });

    is $t->post('/hooks/woocommerce', 'webhook_id=12',
        'Content-Type' => 'application/x-www-form-urlencoded')->status, 200,
        'the ping when it is saved';

    my $state = through_kill($t, 5, sub {
        is $t->post('/hooks/woocommerce', $body, %sign,
            'Content-Type' => 'application/json',
            'X-WC-Webhook-Signature' => b64($body))->status, 204, 'taken';
    });

    is_deeply [sort map { $_->{metric} } @{ $t->sandbox->events }],
        ['Ordered Product', 'Ordered Product', 'Placed Order'], 'the events';
    has($state, email => 'ann@shop.com', first_name => 'Ann',
        phone_number => '+33612345678');
    is_deeply [map { [@{$_}{qw(list source email)}] }
        @{ $state->{subscriptions} }],
        [['LIST02', 'WooCommerce', 'ann@shop.com']], 'subscribed';

    refused($t, '/hooks/woocommerce', $body, %sign,
        'X-WC-Webhook-Signature' => b64("$body "));
    $t->stop;
};


subtest 'Zoom' => sub {
    my $t    = workflow('zoom');
    my $body = payload('zoom', sub {
        $_[0]{payload}{object}{registrant}{custom_questions} =
            [{title => 'May we write to you?', value => 'Yes'}] });
    my $sign = sub {
        my $time = time;

        return ('x-zm-request-timestamp' => $time, 'x-zm-signature' => 'v0='
            . hmac_sha256_hex("v0:$time:$_[0]", SECRET));
    };

    my $state = through_kill($t, 3, sub {
        is $t->post('/hooks/zoom', $body,
            'Content-Type' => 'application/json', $sign->($body))->status,
            204, 'taken';
    });

    is_deeply [map { $_->{metric} } @{ $t->sandbox->events }],
        ['Registered for Webinar'], 'the event';
    my $ann = has($state, email => 'ann@shop.com', first_name => 'Ann',
        organization => 'Wool & Co');
    is_deeply $ann->{properties}{Webinars}, ['Lighting a small room'],
        'her webinars';
    is_deeply [map { [@{$_}{qw(list source email)}] }
        @{ $state->{subscriptions} }], [['LIST02',
        'Webinar Lighting a small room', 'ann@shop.com']], 'subscribed';

    refused($t, '/hooks/zoom', $body, $sign->("$body "));
    $t->stop;
};


subtest 'a form' => sub {
    my $t = workflow('form');

    my $state = through_kill($t, 3, sub {
        is $t->post('/contact',
            'email=ann%40shop.com&name=Ann&topic=Lamps&newsletter=on',
            'Content-Type' => 'application/x-www-form-urlencoded')->status,
            303, 'sent';
    });

    my ($event) = @{ $t->sandbox->events };
    is $event->{metric}, 'Submitted Form', 'the event';
    is $event->{properties}{Topic}, 'Lamps', 'what it is about';
    has($state, email => 'ann@shop.com', first_name => 'Ann');
    is_deeply $state->{subscriptions}, [{list => 'LIST02',
        source => 'Contact', email => 'ann@shop.com',
        channels => ['email']}], 'subscribed';

    $t->post('/contact', 'email=bob%40shop.com',
        'Content-Type' => 'application/x-www-form-urlencoded');
    ok wait_for(20, sub {
        @{ $t->sandbox->state('shop')->{members}{LIST01} } == 2 }),
        'who did not tick the box';
    is $t->status->{accounts}{'shop/subscriptions'}{captured}, 1,
        'is not subscribed';
    $t->stop;
};


subtest 'scores' => sub {
    my $t    = workflow('scores');
    my $time = Mojo::Date->new(time)->to_string;
    my $call = sub {
        my ($topic, $name, $secret) = @_;
        my $body = encode_json({data => [{external_id => '01JD3K',
            topic => $topic, payload => {data => {type => 'event',
                attributes => {event_properties => {'Campaign Name' => $name}},
                relationships => {profile => {data => {type => 'profile',
                    id => '01ANN', attributes => {
                        email => 'ann@shop.com'}}}}}}}],
            meta => {klaviyo_account_id => 'ABC123',
                     klaviyo_webhook_id => '01JD3HOOK',
                     timestamp => '2026-11-22T07:40:37+00:00'}});

        return $t->post('/hooks/scores', $body,
            'Content-Type' => 'application/json',
            'Klaviyo-Webhook-Id' => '01JD3HOOK',
            'Klaviyo-Timestamp'  => $time,
            'Klaviyo-Signature'  =>
                hmac_sha256_hex("$body$time", $secret // SECRET))->status;
    };

    my $state = through_kill($t, 2, sub {
        is $call->('event:klaviyo.opened_email', 'June'), 204, 'opened';
        is $call->('event:klaviyo.clicked_email', 'July'), 204, 'clicked';
    });

    my ($ann) = grep { $_->{email} eq 'ann@shop.com' }
        @{ $state->{profiles} };
    is $ann->{properties}{LastScore}, 5, 'the score';
    is_deeply $ann->{properties}{Engaged}, ['June', 'July'], 'and for what';

    is $call->('event:klaviyo.sent_sms', 'none'), 204, 'another topic';
    is $call->('event:klaviyo.clicked_email', 'x', 'guess'), 401, 'forged';
    is figure($t, 'captured'), 2, 'neither is captured';
    $t->stop;
};

done_testing;

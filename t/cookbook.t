#!/usr/bin/perl

# The cookbook: every configuration of docs/cookbook.md is run as it stands
# there, and its events are compared in full.
#
# What a recipe shows is what is used: the parts of its ```nginx block, the
# headers of its ```http block as the application's answer, the ```json block
# as the body of its request.  Only what belongs to a machine is put in, see
# Klaviyo/Test/Recipe.pm.  Those of whole shops are t/shops/*.conf, which
# t/shops.t runs.

use lib 't/lib';
use Klaviyo::Test;

use Cwd            qw(abs_path);
use Digest::SHA    qw(hmac_sha256 hmac_sha256_hex);
use File::Basename qw(basename dirname);
use MIME::Base64   qw(encode_base64);
use Mojo::JSON     qw(decode_json encode_json);
use POSIX          ();

use Klaviyo::Test::Recipe qw(recipe_parts);

my $root = dirname(abs_path(__FILE__)) . '/..';
my $text = text("$root/docs/cookbook.md");
my $modules = nginx_modules();
my $kx   = 'aZ-0_9=.ABC123';

my (%recipe, %run, $t, $seen);


sub text {
    my ($path) = @_;

    open my $in, '<:encoding(UTF-8)', $path or die "$path: $!";
    local $/;

    return scalar <$in>;
}


# the file: heading => the fenced blocks below it, by their language

{
    my ($heading, $language, $block) = ('', undef, '');

    for my $line (split /^/, $text) {
        if (defined $language) {
            if ($line =~ /^```$/) {
                push @{ $recipe{$heading}{$language} }, $block;
                undef $language;
                next;
            }

            $block .= $line;
            next;
        }

        if ($line =~ /^#+ (.*)$/) {
            $heading = $1;
            ok !exists $recipe{$heading}, "one \"$heading\"";
            $recipe{$heading} = {};

        } elsif ($line =~ /^```(\w*)$/) {
            ($language, $block) = ($1 || 'text', '');
        }
    }

    is $language, undef, 'every block ends';
}


# an ```http block: a line that begins with a space goes on

sub headers {
    my ($block) = @_;

    $block =~ s/\n\s+/ /g;

    return map { /^([\w-]+): (.*)$/ or die "no header: $_"; [$1, $2] }
        split /\n/, $block;
}


# recipe('Heading', sub { ... }): starts an nginx with it, and calls the code

sub recipe {
    my ($heading, $code) = @_;

    my $blocks = $recipe{$heading};
    my ($block) = @{ $blocks->{nginx} // [] };

    $run{$heading}++;

    return subtest $heading => sub {
        ok defined $block, 'is in the cookbook' or return;
        is scalar @{ $blocks->{nginx} }, 1, 'has one configuration';

        my %part = recipe_parts($block);
        my $own  = $part{http} =~ /^klaviyo_account \w+ \{/m;

        $part{http} .= "upstream app { server 127.0.0.1:%%PORT_APP%%; }\n"
            if $part{http} !~ /^upstream app /m;

        my $say = join '', map {
            my ($name, $value) = @$_;
            $value =~ s/(['\\])/\\$1/g;
            "        add_header $name '$value' always;\n";
        } headers(join '', @{ $blocks->{http} // [] });

        $t = Klaviyo::Test->new(
            name    => $heading,
            sandbox => {keys => [map { "pk_test_0123456789abcdef$_->[0]:"
                . "$_->[1]" } ['', 'shop'], ['_n', 'north'],
                ['_s', 'south']]},
            account => $own ? undef : 'batch linger=20ms;',
            http    => $part{http} . application($say),
            server  => $part{server},
            main    => $blocks->{js}
                ? "load_module $modules/ngx_http_js_module.so;" : '',
        );

        for (['shop', ''], ['north', '_n'], ['south', '_s']) {
            $t->file("klaviyo/$_->[0].key",
                "pk_test_0123456789abcdef$_->[1]\n", 0600);
        }

        $t->file("klaviyo/webhook.secret$_", "whsec_0123$_\n", 0600)
            for '', '.new';
        $t->file('page.html', $blocks->{html}[0] // '');
        $t->file('klaviyo/klaviyo.js', $blocks->{js}[0] // '');
        $t->file('known.json', $blocks->{json}[0] // '');

        $seen = 0;
        $t->start;
        $code->($blocks);
        $t->stop;
    };
}


# The application: says what the recipe shows, in answers of 200 or what
# X-Answer of the request asks for; nothing of it when that is "bare", and a
# redirect back when it is "form"; the ```html block when it is "page".  Below
# /internal/ it says what the ```json block does.

sub application {
    my ($say) = @_;

    my $told = '$http_x_klaviyo_topic$http_x_klaviyo_webhook_id';

    return <<"END";

server {
    listen 127.0.0.1:%%PORT_APP%%;
    klaviyo_track off;
    klaviyo_response_header off;
    klaviyo_kx_cookie off;
    default_type text/plain;

    location / {
        error_page 418 = \@bare;
        error_page 419 = \@page;

        if (\$http_x_answer = page) {
            return 419;
        }

        if (\$http_x_answer = bare) {
            return 418;
        }

        if (\$http_x_answer = 302) {
            return 302 /thanks;
        }

        if (\$http_x_answer = form) {
            return 302 /customer/account/create/;
        }

        if (\$http_x_answer = 401) {
            return 401;
        }

        if (\$http_x_answer = 404) {
            return 404;
        }

        return 200 "\$request_uri \$http_x_klaviyo_event_id$told\\n";
$say    }

    location /internal/ {
        root %%DIR%%;
        try_files /known.json =404;
    }

    location \@page {
        root %%DIR%%;
        try_files /page.html =404;
    }

    location \@bare {
        return 200 "bare\\n";
    }
}
END
}


# what Klaviyo's script keeps in its cookie

sub kla {
    my (%member) = @_;

    return '__kla_id=' . encode_base64(encode_json(\%member), '')
        =~ s/=/%3D/gr;
}


sub cid {
    my ($n) = @_;

    return encode_base64(sprintf('%08x-0000-4000-8000-000000000000', $n), '');
}


my @known = (Cookie => kla(cid => cid(1), '$exchange_id' => $kx));


# the properties that every event has

sub page {
    my ($method, $uri, $status, %more) = @_;

    my ($path) = $uri =~ /^([^?]*)/;

    return (
        URL => "http://shop.com$uri", Path => $path, Method => $method,
        Status => $status, UserAgent => Klaviyo::Test::Client::AGENT, %more,
    );
}


# the events that came since the last time, in their order

sub events {
    $t->wait_idle;

    my @all = @{ $t->sandbox->events };
    my @new = splice @all, $seen;

    $seen += @new;

    return @new;
}


# A pattern stands for a value that matches it.  Everything else of an event
# is as it is expected, and nothing is there that is not expected.

sub like_event {
    my ($got, $expected, $what) = @_;

    my %seen = %$got;
    my %want = (
        unique_id => qr/^[\w.:-]{16,}$/,
        time      => qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d/,
        account   => 'shop',
        %$expected,
    );

    delete @seen{qw(n times via key received request)};
    delete $seen{dropped} if !$seen{dropped};

    for my $name (keys %want) {
        next if ref $want{$name} ne 'Regexp';

        like $seen{$name}, delete $want{$name}, "$what: $name";
        delete $seen{$name};
    }

    return is_deeply(\%seen, \%want, "$what: all of it")
        || diag explain \%seen;
}


# one request and its events -> the answer

sub sends {
    my ($what, $request, @expected) = @_;

    my ($method, $uri, $headers, $body) = @$request;
    my $answer = $t->request($method, $uri,
        [Host => 'shop.com', @{ $headers // [] }], $body);

    $t->wait_events($seen + @expected) if @expected;

    my @events = events();

    is scalar @events, scalar @expected, "$what: " . @expected . ' events'
        or diag explain [@events, $t->status->{accounts}];

    # requests of one event each overtake one another

    for my $want (@expected) {
        my ($i) = (grep({ $events[$_]{metric} eq $want->{metric}
                          && (ref $want->{unique_id}
                              || !defined $want->{unique_id}
                              || $events[$_]{unique_id} eq $want->{unique_id})
                        } 0 .. $#events), 0);

        like_event(splice(@events, $i, 1), $want, $what) if @events;
    }

    return $answer;
}


sub skipped {
    my ($reason, $account) = @_;

    return $t->account($account)->{reasons}{skipped}{$reason};
}


recipe 'Before you begin' => sub {
    sends 'a page', [GET => '/x?a=1', \@known], {
        metric     => 'Viewed Page',
        profile    => {_kx => $kx},
        properties => {page(GET => '/x?a=1', 200)},
    };
};


recipe 'Viewed Product' => sub {
    my %product = (
        ProductID   => '1042',
        SKU         => 'LAMP-BRASS',
        ProductName => 'Brass Desk Lamp',
        Brand       => 'Lumen & Loom',
        Categories  => ['Home', 'Lighting'],
        ImageURL    => 'https://shop.com/media/lamp.jpg',
        Price          => 49,
        CompareAtPrice => 59,
    );

    for my $uri ('/product/lamp/', '/products/lamp',
        '/collections/light/products/lamp')
    {
        my $answer = sends $uri, [GET => $uri, \@known], {
            metric     => 'Viewed Product',
            profile    => {_kx => $kx},
            properties => {%product, page(GET => $uri, 200)},
        };

        is $answer->header('X-Product-Price-Before'), undef, 'hidden';
        is $answer->header('X-Product-Price'), '49.00', 'not hidden';
    }

    sends 'from a mail',
        [GET => "/products/lamp?utm_source=mail&_kx=$kx",
            [Referer => 'https://mail.com/']],
        {metric => 'Viewed Product', profile => {_kx => $kx},
         properties => {%product, utm_source => 'mail',
            page(GET => '/products/lamp?utm_source=mail', 200,
                 Referrer => 'https://mail.com/')}};

    sends 'nobody', [GET => '/products/lamp'];
    sends 'no product', [GET => '/products/', [@known, 'X-Answer' => 'bare']];
    sends 'not there', [GET => '/products/x', [@known, 'X-Answer' => 404]];
    sends 'elsewhere', [GET => '/other', \@known];

    is skipped('anonymous'), 1, 'one anonymous';
    is skipped('condition'), 1, 'one without a product';
};


recipe 'Viewed Product, as the page says' => sub {
    sends 'a product',
        [GET => '/lamp.html?ref=x', [@known, 'X-Answer' => 'page']], {
        metric     => 'Viewed Product',
        profile    => {_kx => $kx},
        value      => 49,
        value_currency => 'EUR',
        properties => {
            page(GET => '/lamp.html?ref=x', 200),
            URL         => 'https://shop.com/lamp.html',
            ProductID   => 'LAMP-BRASS',
            SKU         => 'LAMP-BRASS',
            ProductName => 'Brass Desk Lamp',
            Brand       => 'Lumen & Loom',
            Categories  => ['Lighting'],
            ImageURL    => 'https://shop.com/media/lamp.jpg',
            Price       => 49,
        }};

    sends 'no product', [GET => '/about', \@known];

    is skipped('no_page'), 1, 'it says nothing';
};


recipe 'Viewed Collection' => sub {
    for my $uri ('/collections/light', '/product-category/light/') {
        sends $uri, [GET => "$uri?page=2", \@known], {
            metric     => 'Viewed Collection',
            profile    => {_kx => $kx},
            properties => {Collection => 'light', Page => 2,
                page(GET => "$uri?page=2", 200)},
        };
    }

    sends 'no page', [GET => '/collections/light?page=x', \@known], {
        metric     => 'Viewed Collection',
        profile    => {_kx => $kx},
        properties => {Collection => 'light',
            page(GET => '/collections/light?page=x', 200)},
    };
};


recipe 'Added to Cart' => sub {
    my %event = (
        metric  => 'Added to Cart', profile => {_kx => $kx},
        value   => 78, value_currency => 'EUR',
    );
    my %cart = (
        AddedItemProductID   => '1077',
        AddedItemProductName => 'Stoneware Mug',
        AddedItemSKU         => 'MUG-1',
        AddedItemPrice       => 14.5,
        ItemNames            => ['Brass Desk Lamp', 'Stoneware Mug'],
        CheckoutURL          => 'http://shop.com/checkout',
        Items => [
            {ProductID => '1042', SKU => 'LAMP-BRASS',
             ProductName => 'Brass Desk Lamp', Quantity => 1,
             ItemPrice => 49, RowTotal => 49},
            {ProductID => '1077', SKU => 'MUG-1',
             ProductName => 'Stoneware Mug', Quantity => 2,
             ItemPrice => 14.5, RowTotal => 29},
        ],
    );

    for my $uri ('/cart/add', '/cart/add.js', '/checkout/cart/add/') {
        my $answer = sends $uri,
            [POST => $uri, [@known, 'Sec-Fetch-Dest' => 'empty'],
             'id=1077&quantity=2'],
            {%event, properties => {%cart, AddedItemQuantity => 2,
                page(POST => $uri, 200)}};

        is $answer->header('X-Cart-Items'), undef, 'hidden';
    }

    sends 'a redirect',
        [POST => '/cart/add', [@known, 'X-Answer' => 302],
         'quantity=2","x":"y&id=1077'],
        {%event, properties => {%cart, page(POST => '/cart/add', 302)}};
    sends 'nothing added',
        [POST => '/cart/add', [@known, 'X-Answer' => 'bare'], 'id=1077'];
};


recipe 'Added to Cart by a link' => sub {
    my %event = (metric => 'Added to Cart', profile => {_kx => $kx});
    my $uri   = '/shop/?add-to-cart=1042&quantity=2';
    my %more  = (AddedItemProductID => '1042',
        CheckoutURL => 'http://shop.com/checkout/');

    sends 'two', [GET => $uri, \@known],
        {%event, properties => {%more, AddedItemQuantity => 2,
            page(GET => $uri, 200)}};

    $uri = '/shop/?add-to-cart=1042';

    sends 'one', [GET => $uri, [@known, 'X-Answer' => 302]],
        {%event, properties => {%more, AddedItemQuantity => 1,
            page(GET => $uri, 302)}};
    sends 'none', [GET => '/shop/?quantity=2', \@known];
};


recipe 'Started Checkout' => sub {
    my @woo = (Cookie => "$known[1]; woocommerce_cart_hash=0f1e2d");

    for my $uri ('/checkout/', '/checkout', '/checkouts/c1') {
        my @event = {
            metric     => 'Started Checkout',
            profile    => {_kx => $kx},
            unique_id  => qr/^0f1e2d_20\d\d-\d\d-\d\d$/,
            value      => 49, value_currency => 'EUR',
            properties => {
                ItemNames   => ['Brass Desk Lamp'],
                Items       => [{ProductID => '1042', Quantity => 1,
                                 ItemPrice => 49}],
                CheckoutURL => "http://shop.com$uri",
                page(GET => $uri, 200),
            },
        };

        # once: the day may have changed since

        @event = () if $uri ne '/checkout/'
            && $t->sandbox->stats->{recorded} == 1;

        sends $uri, [GET => $uri, \@woo], @event;
    }

    ok $t->sandbox->stats->{repeats} >= 1, 'sent again, recorded once';
    sends 'no cart', [GET => '/checkout/', \@known];
    is skipped('condition'), 1, 'counted';
};


recipe 'Placed Order and Ordered Product' => sub {
    my ($blocks) = @_;

    my ($header) = headers($blocks->{http}[0]);
    my @named    = @{ decode_json($header->[1]) };
    my $uri      = '/checkout/order-received/1001/';
    my @expected = map {
        {%$_, properties => {%{ $_->{properties} }, page(GET => $uri, 200)}}
    } @named;

    is_deeply [map { $_->{metric} } @named],
        ['Placed Order', ('Ordered Product') x 2], 'an order of two lines';

    my $answer = sends 'an order', [GET => $uri, \@known], @expected;

    is $answer->header('X-Klaviyo-Event'), undef, 'hidden';
    is $answer->status, 200, 'served';

    sends 'once more', [GET => $uri, [Cookie => 'other=1']];
    is $t->sandbox->stats->{repeats}, 3, 'recorded once';
    sends 'another page', [GET => '/', [@known, 'X-Answer' => 'bare']];
};


recipe 'Refunded Order' => sub {
    for my $uri ('/admin/sales/order_creditmemo/save/order_id/1001/',
        '/wp-admin/admin-ajax.php')
    {
        my @event = {
            metric         => 'Refunded Order',
            profile        => {email => 'ann@shop.com'},
            unique_id      => '1001',
            value          => 29,
            value_currency => 'EUR',
            properties     => {
                OrderId   => '1001',
                Reason    => 'Arrived broken',
                ItemNames => ['Stoneware Mug'],
            },
        };

        @event = () if $uri =~ /^.wp-admin/;

        my $answer = sends $uri,
            [POST => $uri, [@known, 'Sec-Fetch-Dest' => 'empty'], 'x=y'],
            @event;

        is $answer->header('X-Refund-Email'), undef, 'hidden';
    }

    is $t->sandbox->stats->{repeats}, 1, 'both, recorded once';
    sends 'something else', [POST => '/wp-admin/admin-ajax.php',
        [@known, 'X-Answer' => 'bare'], 'action=heartbeat'];
};


recipe 'Search page' => sub {
    for my $uri ('/?s=desk+lamp&post_type=product', '/search?q=desk%20lamp',
        '/catalogsearch/result/?q=desk%20lamp')
    {
        sends $uri, [GET => $uri, \@known], {
            metric     => 'Searched Site',
            profile    => {_kx => $kx},
            properties => {SearchTerm => 'desk lamp', ResultCount => 12,
                page(GET => $uri, 200)},
        };
    }

    sends 'quotes', [GET => '/search?q=%22,%22x%22:%221', \@known], {
        metric     => 'Searched Site',
        profile    => {_kx => $kx},
        properties => {SearchTerm => '","x":"1', ResultCount => 12,
            page(GET => '/search?q=%22,%22x%22:%221', 200)},
    };

    sends 'nothing', [GET => '/search?q=', \@known];
    sends 'another page', [GET => '/about?q=x', \@known];
};


recipe 'Form registration' => sub {
    my %body = (
        '/my-account/' => 'email=ann%40shop.com&register=Register',
        '/customer/account/createpost/' =>
            'firstname=Ann&email=ann%40shop.com&password=secret',
        '/account' => 'customer%5Bemail%5D=ann%40shop.com'
            . '&customer[first_name]=Ann',
    );

    for my $uri (sort keys %body) {
        sends $uri,
            [POST => $uri, [@known, 'X-Answer' => 302], $body{$uri}],
            {metric  => 'Created Account',
             profile => {email => 'ann@shop.com',
                $uri =~ /my/ ? () : (first_name => 'Ann')},
             properties => {Form => $uri, page(POST => $uri, 302)}};
    }

    sends 'a login', [POST => '/my-account/', [@known, 'X-Answer' => 302],
        'username=ann&login=1'];
    sends 'refused', [POST => '/account', \@known, $body{'/account'}];
    sends 'no address', [POST => '/account', [@known, 'X-Answer' => 302],
        'customer[email]=none'];

    sends 'refused by a redirect', [POST => '/customer/account/createpost/',
        [@known, 'X-Answer' => 'form'], $body{'/customer/account/createpost/'}];

    is skipped('condition'), 2, 'two by the condition';
    is skipped($_), 1, "one $_" for qw(status anonymous);
};


recipe 'Order webhook' => sub {
    my ($blocks) = @_;

    my $body   = $blocks->{json}[0];
    my $order  = decode_json($body);
    my @hook   = ('X-WC-Webhook-Topic' => 'order.created',
        'Content-Type' => 'application/json',
        'User-Agent' => 'WooCommerce/9.0 Hookshot (WordPress/6.5)');

    sends 'not signed',
        [POST => '/wc-hooks/orders', [@hook, 'X-Answer' => 401], $body];
    sends 'another topic', [POST => '/wc-hooks/orders',
        ['X-WC-Webhook-Topic' => 'order.updated'], $body];
    sends 'no JSON', [POST => '/wc-hooks/orders', \@hook, "$body}"];

    sends 'an order', [POST => '/wc-hooks/orders', \@hook, $body], {
        metric         => 'Placed Order',
        profile        => {email => 'ann@shop.com', first_name => 'Ann'},
        unique_id      => '727',
        value          => 78,
        value_currency => 'EUR',
        properties     => {
            OrderId         => '727',
            DiscountCode    => 'SPRING',
            Items           => $order->{line_items},
            ShippingAddress => $order->{shipping},
        },
    };
};


# what a sender sends, and what is right for it

sub payload {
    open my $in, '<', "$root/t/payloads/$_[0].json" or die "$_[0]: $!";
    local $/;

    return scalar <$in>;
}


sub hook {
    my ($name, $sign, %expected) = @_;

    my $body = payload($name);
    my @sign = $sign ? $sign->($body) : ();

    sends 'forged', [POST => "/hooks/$name", \@sign, $body =~ s/ann@/eve@/r]
        if $sign;
    sends 'as it is', [POST => "/hooks/$name", \@sign, $body], \%expected;

    my $request = $t->sandbox->requests->[-1];

    is $request->{status}, 202, 'which Klaviyo takes';

    my $reasons = $t->account->{reasons};

    is_deeply [map { my $group = $reasons->{$_};
                     grep { $group->{$_} } keys %$group }
                   qw(left_out changed)],
        [], 'and nothing of it is left out';

    return;
}


sub b64 { return encode_base64(hmac_sha256(@_), '') }


recipe 'Shopify\'s order' => sub {
    hook(shopify => sub { (
        'X-Shopify-Hmac-Sha256' => b64($_[0], 'whsec_0123'),
        'X-Shopify-Topic'       => 'orders/create',
    ) },
        metric         => 'Placed Order',
        profile        => {email => 'ann@shop.com', first_name => 'Ann',
                           phone_number => '+33612345678',
                           location => {city => 'Lyon'}},
        unique_id      => '5678901234567',
        time           => '2026-09-06T16:05:07+00:00',
        value          => 78,
        value_currency => 'EUR',
        properties     => {
            OrderId       => '#1001',
            DiscountCode  => 'SPRING',
            DiscountValue => 5,
            ItemNames     => ['Brass Desk Lamp', 'Stoneware Mug'],
            Prices        => ['49.00', '14.50'],
            Quantities    => [1, 2],
        },
    );
};


recipe 'WooCommerce\'s order' => sub {
    hook(woocommerce => sub { (
        'X-WC-Webhook-Signature' => b64($_[0], 'whsec_0123'),
        'X-WC-Webhook-Topic'     => 'order.created',
    ) },
        metric         => 'Placed Order',
        profile        => {email => 'ann@shop.com',
                           phone_number => '+33612345678'},
        unique_id      => '727',
        time           => '2026-09-06T18:05:09+00:00',
        value          => 78,
        value_currency => 'EUR',
        properties     => {
            OrderId   => '727',
            ItemNames => ['Brass Desk Lamp', 'Stoneware Mug - Blue'],
            SKUs      => ['LAMP-BRASS', 'MUG-1'],
            Coupons   => ['SPRING'],
        },
    );
};


recipe 'Magento\'s order' => sub {
    hook(magento => undef,
        metric         => 'Placed Order',
        profile        => {email => 'ann@shop.com',
                           phone_number => '+33612345678',
                           location => {ip => '203.0.113.7'}},
        unique_id      => '000001523',
        time           => '2026-09-06T18:05:09+00:00',
        value          => 78,
        value_currency => 'EUR',
        properties     => {
            OrderId       => '000001523',
            DiscountValue => -5,
            ItemNames     => ['Brass Desk Lamp', 'Stoneware Mug'],
            RowTotals     => ['49.0000', '29.0000'],
        },
    );

    like $t->sandbox->body, qr/"value":78\.0000,"value_currency":"EUR"/,
        'with all its digits';
};


recipe 'BigCommerce\'s order' => sub {
    hook(bigcommerce => undef,
        metric         => 'Placed Order',
        profile        => {email => 'ann@shop.com'},
        unique_id      => '250',
        time           => '2026-09-06T18:05:09+00:00',
        value          => 78,
        value_currency => 'EUR',
        properties     => {
            OrderId   => '250',
            ItemNames => ['Brass Desk Lamp', 'Stoneware Mug'],
            Brands    => ['Lumen & Loom', 'Clay'],
        },
    );
};


recipe 'Stripe\'s checkout' => sub {
    my $sign = sub {
        my $time = time;

        return ('Stripe-Signature' => "t=$time,v1="
            . hmac_sha256_hex("$time.$_[0]", 'whsec_0123'));
    };

    hook(stripe => $sign,
        metric         => 'Placed Order',
        profile        => {email => 'ann@shop.com'},
        unique_id      => 'cs_live_a1b2c3',
        time           => '2026-11-29T21:08:10+00:00',
        value          => 78,
        value_currency => 'EUR',
        properties     => {ItemNames => ['Brass Desk Lamp', 'Stoneware Mug']},
    );

    like $t->sandbox->body, qr/"value":78\.00,"value_currency":"EUR"/,
        'in units of the currency';

    my $yen = payload('stripe') =~ s/"eur"/"jpy"/gr =~ s/_a1b2c3/_yen/r;

    sends 'yen', [POST => '/hooks/stripe', [$sign->($yen)], $yen], {
        metric         => 'Placed Order',
        profile        => {email => 'ann@shop.com'},
        unique_id      => 'cs_live_yen',
        time           => '2026-11-29T21:08:10+00:00',
        value          => 7800,
        value_currency => 'JPY',
        properties     => {ItemNames => ['Brass Desk Lamp', 'Stoneware Mug']},
    };
};


recipe 'Typeform\'s answers' => sub {
    hook(typeform => sub {
        ('Typeform-Signature' => 'sha256=' . b64($_[0], 'whsec_0123'))
    },
        metric     => 'Submitted Form',
        profile    => {email => 'ann@shop.com', external_id => '1042',
                       first_name => 'Ann'},
        unique_id  => 'a3a12ec67a1365927098a606107fac15',
        time       => '2026-09-06T18:05:09+00:00',
        properties => {
            Form     => 'Which lamp?',
            Rooms    => ['Kitchen', 'Hall'],
            Dimmable => Mojo::JSON->true,
            Lamps    => 2,
            Texts    => ['Ann', 'Warm light, please'],
        },
    );
};


recipe 'Events that an application posts' => sub {
    my ($blocks) = @_;

    my $body = $blocks->{json}[0];
    utf8::encode($body);

    sends 'two events', [POST => '/klaviyo/events', [], $body], {
        metric         => 'Placed Order',
        profile        => {email => 'ann@xn--bcher-kva.example',
                           phone_number => '+447911123456'},
        unique_id      => '10077',
        time           => '2026-11-29T21:08:10+00:00',
        value          => 1234.5,
        value_currency => 'EUR',
        properties     => {OrderId => 10077,
                           CartId => '12345678901234567890'},
    }, {
        metric     => 'Refunded Order',
        profile    => {email => 'ben@shop.com'},
        unique_id  => '10077',
        value      => 19.9,
        properties => {Reason => 'broken'},
    };

    is $t->account->{reasons}{changed}{number_as_text}, 1,
        'a number of 20 digits goes as text, counted';
};


recipe 'Klaviyo\'s webhooks' => sub {
    my ($blocks) = @_;

    my $body = $blocks->{json}[0];
    my $date = POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime);
    my $call = sub {
        my ($secret, $text) = @_;

        return sends 'a call', [POST => '/hooks/klaviyo',
            ['Klaviyo-Webhook-Id' => '01JD3HOOK', 'Klaviyo-Timestamp' => $date,
             'Klaviyo-Signature' => hmac_sha256_hex("$body$date", $secret)],
            $text // $body];
    };

    for my $secret ('whsec_0123', 'whsec_0123.new') {
        my $answer = $call->($secret);

        is $answer->status, 200, 'signed';
        is $answer->body,
            "/hooks/klaviyo event:klaviyo.sent_sms01JD3HOOK\n",
            'the application is told the topic and the id';
    }

    is $call->('whsec_0123.old')->status, 401, 'another secret';
    is $call->('whsec_0123', "$body ")->status, 401, 'another body';
    is $t->get('/hooks/klaviyo')->status, 401, 'a visitor';

    my $count = $t->account->{webhook};

    is_deeply [@$count{qw(accepted bad_signature bad_headers)}], [2, 2, 1],
        'counted';
};


recipe 'Events by subrequest' => sub {
    my %event = (profile => {_kx => $kx});
    my @all   = map { +{%event, metric => $_->[0],
        properties => {@{ $_->[2] // [] },
            page(GET => '/pages/x', $_->[1])}} }
        ['Saw Coupon', 204, [Code => 'SPRING']], ['Viewed Page', 200];

    my $answer = sends 'a page with SSI',
        [GET => '/pages/x', [@known, 'X-Answer' => 'page']], @all;

    is $answer->status, 200, 'served';
    unlike $answer->body, qr/include/, 'without the command';
    sends 'a page without', [GET => '/pages/x', \@known], $all[1];
    is sends('a visitor', [GET =>
        '/klaviyo/event?metric=Placed%20Order', \@known])->status, 404,
        'cannot name events';
};


recipe 'What only the application knows' => sub {
    sends 'a product', [GET => '/products/desk-lamp', \@known],
        {metric => 'Viewed Product', value => 49.9, value_currency => 'EUR',
            profile => {email => 'ann@shop.com'}, properties => {
                ProductID => 'desk-lamp', ProductName => 'Desk Lamp',
                Categories => ['Lamps'],
                page(GET => '/products/desk-lamp', 200)}};

    is sends('a visitor', [GET => '/klaviyo/known?product=x', \@known])
        ->status, 404, 'cannot ask';
};


recipe 'Create or update a profile' => sub {
    my ($blocks) = @_;

    my $import = sub {
        $t->request(POST => '/klaviyo/api/profile-import', [],
            $blocks->{json}[0]);
    };
    my $created = $import->();

    is $created->status, 201, 'created';
    is $import->()->status, 200, 'updated';

    my $profiles = $t->sandbox->state('shop')->{profiles};

    is scalar @$profiles, 1, 'one profile';
    is $profiles->[0]{properties}{Favourite}, 'Lamps', 'all of it';

    my $found = $t->get(
        '/klaviyo/api/profiles?filter=equals(email,"ann@shop.com")');

    is $found->json->{data}[0]{id}, $created->json->{data}{id}, 'found';
};


recipe 'Subscribe to a list' => sub {
    my ($blocks) = @_;

    $t->sandbox->fault(kind => 'status', status => 429, times => 1,
        retry_after => 1, endpoint => 'subscriptions');
    is $t->request(POST => '/newsletter/subscribe', [],
        $blocks->{json}[0])->status, 202, 'accepted, after a pause';
    is $t->sandbox->state('shop')->{subscriptions}[0]{email}, 'ann@shop.com', 'who';
    is $t->sandbox->state('shop')->{subscriptions}[0]{list}, 'LIST01', 'to which';
};


recipe 'Lists, page by page' => sub {
    my $answer = $t->get('/admin/lists');

    is_deeply $answer->json, [map { "List $_" } 1 .. 25], 'all of them';
    is scalar @{ $t->sandbox->requests }, 3, 'in three pages';
    is $t->get('/klaviyo/api/lists')->status, 404, 'internal';

    $t->sandbox->fault(kind => 'status', status => 403);
    is $t->get('/admin/lists')->body, "Klaviyo says 403\n", 'an error';
};


recipe 'A list in a page' => sub {
    my $page = $t->get('/pages/offer', 'X-Answer' => 'page')->body;

    like $page, qr/<form data-list="\{.*&quot;List 1&quot;.*\}">/,
        'in the page';
    unlike $page, qr/<!--#/, 'no command is left';
};


recipe 'A copy of a call' => sub {
    my ($blocks) = @_;

    is $t->request(POST => '/crm/profile',
        ['Content-Type' => 'application/json'], $blocks->{json}[0])->status,
        200, 'the service answers';
    ok wait_for(5, sub { @{ $t->sandbox->state('shop')->{profiles} } }), 'copied';
    is $t->sandbox->state('shop')->{profiles}[0]{first_name}, 'Ann', 'as it was';
    ok wait_for(5, sub { $t->account->{gateway}{answers_2xx} }), 'counted';
};


recipe 'Values that a visitor writes' => sub {
    my $evil = '/shop?color=red%22,%22Discount%22:%2290';

    sends 'a value', [GET => $evil,
        [Cookie => "$known[1]; " . 'wishlist=[{"sku":"A\u0022}"}]']],
        {metric     => 'Filtered Products',
         profile    => {_kx => $kx},
         properties => {Color => 'red","Discount":"90', WishedSKU => 'A"}',
            page(GET => $evil, 200)}};

    sends 'no JSON', [GET => '/shop?color=red',
        [Cookie => "$known[1]; wishlist=[{"]],
        {metric     => 'Filtered Products',
         profile    => {_kx => $kx},
         properties => {Color => 'red', page(GET => '/shop?color=red', 200)}};
};


recipe 'Two brands, two accounts' => sub {
    my %profile = (north => 'aZ.NRTH01', south => 'aZ.SUTH01');
    my $event   = sub {
        my ($brand, $uri, $metric) = @_;

        return {
            metric     => $metric // 'Viewed Page',
            account    => $brand,
            profile    => {email => 'ann@shop.com'},
            properties => {Brand => ucfirst($brand), page(GET => $uri, 200)},
        };
    };
    my @both = (Cookie => kla('$email' => 'ann@shop.com'));

    sends 'north', [GET => '/x', \@both], $event->(north => '/x');
    sends 'south', [GET => '/south/x', \@both], $event->(south => '/south/x');

    $t->get('/newsletter/', Host => 'shop.com', @both);
    $t->wait_events(4);

    my @events = sort { $a->{account} cmp $b->{account} } events();

    is scalar @events, 2, 'both';
    like_event($events[0],
        $event->(north => '/newsletter/', 'Viewed Newsletter'), 'to north');

    my $south = $event->(south => '/newsletter/', 'Viewed Newsletter');
    $south->{properties}{Brand} = 'North';
    like_event($events[1], $south, 'to south');

    sends 'its own link', [GET => "/south/x?_kx=$profile{south}"],
        {%{ $event->(south => '/south/x') },
         profile => {_kx => $profile{south}}};
    sends 'a link of the other brand',
        [GET => "/south/x?_kx=$profile{north}"];
    is $t->account('south')->{reasons}{left_out}{other_company}, 1, 'counted';
};


recipe 'Consent by cookie' => sub {
    my $cookiebot = 'CookieConsent={stamp:%27x%27%2Cnecessary:true%2C'
        . 'preferences:false%2Cstatistics:false%2Cmarketing:true%2Cver:1}';
    my %event = (metric => 'Viewed Page', profile => {_kx => $kx},
        properties => {page(GET => '/x', 200)});

    for my $yes ('cmplz_marketing=allow', $cookiebot) {
        my $answer = sends $yes,
            [GET => "/x?_kx=$kx", [Cookie => $yes]], \%event;

        like $answer->header('Set-Cookie'),
            qr/^shop_kx=\Q$kx\E; .*Max-Age=15552000; Secure; HttpOnly/,
            'kept for 180 days';

        sends 'later', [GET => '/x', [Cookie => "$yes; shop_kx=$kx"]],
            \%event;
    }

    for my $no ('x=y', 'cmplz_marketing=deny', 'cmplz_marketing=allowed',
        $cookiebot =~ s/marketing:true/marketing:false/r,
        'CookieConsent=xmarketing:true')
    {
        my $answer = sends $no, [GET => "/x?_kx=$kx",
            [Cookie => "$no; shop_kx=$kx"]];

        is $answer->header('Set-Cookie'), undef, 'no cookie';
        is $answer->status, 200, 'served';
    }

    is skipped('consent'), 5, 'counted';

    sends 'Sec-GPC', [GET => '/x',
        [Cookie => "$cookiebot; shop_kx=$kx", 'Sec-GPC' => 1]];
    is skipped('gpc'), 1, 'counted';
};


recipe 'Sampling' => sub {
    my ($client, %n) = ($t->client);

    for my $visitor ((1 .. 100) x 2) {
        $client->get("/$visitor", Host => 'shop.com',
            Cookie => kla(cid => cid($visitor), '$exchange_id' => $kx));
    }

    $client->close;

    my @events = events();

    $n{ $_->{properties}{Path} }++ for @events;

    cmp_ok scalar keys %n, '>', 0, 'some visitors';
    cmp_ok scalar keys %n, '<', 35, 'few of them';
    is_deeply [grep { $_ != 2 } values %n], [], 'always the same';
    is skipped('condition'), 200 - @events, 'the others are counted';

    for my $event (@events) {
        my $path = $event->{properties}{Path};

        is_deeply $event->{properties},
            {SampleRate => 0.1, page(GET => $path, 200)}, "$path: all of it";
    }
};


recipe 'Klaviyo\'s script in the page' => sub {
    my $answer = $t->get('/products/lamp', Host => 'shop.com', @known);
    my ($told) = $answer->body =~ / (\S+)$/m;

    ok $told, 'the application is told an id';
    $t->wait_events(1);

    my @events = events();

    is scalar @events, 1, 'one event';
    like_event($events[0], {
        metric     => 'Viewed Product',
        profile    => {_kx => $kx},
        unique_id  => $told,
        properties => {ProductID => '1042',
            page(GET => '/products/lamp', 200)},
    }, 'with the id of the page');
};


recipe 'A cache without identities' => sub {
    my @headers = (Cookie => 'a=b');

    for my $case (['/x', 'Viewed Page', '/x?a=1'],
        ['/lists/new', 'Viewed List', '/index.php?list=new&a=1'])
    {
        my ($path, $metric, $upstream) = @$case;

        for my $n (1 .. 3) {
            my $answer = sends "$path, visitor $n",
                [GET => "$path?a=1&_kx=v$n.ABC123", \@headers],
                {metric     => $metric,
                 profile    => {_kx => "v$n.ABC123"},
                 properties => {page(GET => "$path?a=1", 200)}};

            is $answer->header('X-Cache'), $n == 1 ? 'MISS' : 'HIT',
                'one page for all';
            is $answer->body, "$upstream \n", 'made without an identity';
        }

        my $answer = sends "$path, other arguments",
            [GET => "$path?a=2&utm_email=v\@shop.com", \@headers],
            {metric     => $metric,
             profile    => {email => 'v@shop.com'},
             properties => {page(GET => "$path?a=2", 200)}};

        is $answer->header('X-Cache'), 'MISS', 'another page';
    }
};


recipe 'Late identity' => sub {
    my @browser = (Cookie => kla(cid => cid(7)));
    my @early   = (@browser, 'X-Answer' => 'bare');

    sends 'not known', [GET => $_, \@early] for '/1', '/2';
    sends 'another browser', [GET => '/3',
        [Cookie => kla(cid => cid(8)), 'X-Answer' => 'bare']];
    wait_for(5, sub { $t->account->{hold}{waiting} == 3 });
    is $t->account->{hold}{waiting}, 3, 'they wait';

    my $answer = $t->get('/login', Host => 'shop.com', @browser);
    is $answer->header('X-Customer-Email'), undef, 'hidden';

    my $all = $t->wait_events(3, 10);
    my @got = sort { $a->{properties}{Path} cmp $b->{properties}{Path} }
        @{ $all || [] };

    is scalar @got, 3, 'three events of one visitor';

    for my $uri ('/1', '/2', '/login') {
        like_event(shift @got // {}, {
            metric     => 'Viewed Page',
            profile    => {email => 'ann@shop.com'},
            properties => {page(GET => $uri, 200)},
        }, $uri);
    }

    wait_for(5, sub { $t->account->{hold}{waiting} == 1 });
    is $t->account->{hold}{waiting}, 1, 'the other browser waits';
};


recipe 'Mail scanners' => sub {
    my %event = (metric => 'Viewed Page', profile => {_kx => $kx});

    sends 'a scanner', [GET => '/sale?_kx=scan.ABC123'];
    sends 'a visitor', [GET => "/sale?_kx=$kx"];
    wait_for(5, sub { $t->account->{hold}{waiting} == 2 });
    is $t->account->{hold}{waiting}, 2, 'both wait';

    $t->get('/next', Host => 'shop.com', Cookie => "shop_kx=$kx");

    my $all = $t->wait_events(2, 10);
    my @got = sort { $b->{properties}{Path} cmp $a->{properties}{Path} }
        @{ $all || [] };

    is scalar @got, 2, 'two events of the visitor';

    for my $uri ('/sale', '/next') {
        like_event(shift @got // {},
            {%event, properties => {page(GET => $uri, 200)}}, $uri);
    }

    wait_for(5, sub { $t->account->{hold}{waiting} == 1 });
    is $t->account->{hold}{waiting}, 1, 'the scanner does not come again';

    my $answer = $t->get("/sale?_kx=$kx", Host => 'shop.com');
    like $answer->header('Set-Cookie'), qr/^shop_kx=\Q$kx\E;/, 'kept';
};


# the whole shops are those that t/shops.t runs, the workflows t/workflows.t

for my $path (sort glob("$root/t/shops/*.conf $root/t/workflows/*.conf")) {
    my $name = basename(dirname($path)) . '/' . basename($path);
    my ($heading) = grep { ($recipe{$_}{nginx} // [''])->[0] eq text($path) }
        keys %recipe;

    ok defined $heading, "the cookbook shows t/$name as it stands";
    $run{$heading}++ if defined $heading;
}


# nothing of the cookbook is left out, and its links lead somewhere

is_deeply [grep { $recipe{$_}{nginx} && !$run{$_} } sort keys %recipe], [],
    'every configuration was run';
is scalar(() = $text =~ /^\s*[`~]{3,}\s*nginx/mgi), scalar keys %run,
    'however it is fenced';

my %anchor = map { lc($_) =~ s/[^\w -]//gr =~ tr/ /-/r => 1 } keys %recipe;
like text("$root/README.md"), qr{\]\(docs/cookbook\.md\)},
    'the README leads here';
ok $anchor{$_}, "#$_" for $text =~ /\]\(#([^)]+)\)/g;

is_deeply [grep { length > 80 } split /\n/, $text], [], '80 columns';

done_testing;

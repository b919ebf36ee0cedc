<?php

// A small shop inside WordPress, at WooCommerce's addresses: products and
// categories are posts and terms, the cart is a cookie, and the order's page
// tells the order as the cookbook says.  A must-use plugin of t/shops/*.t.

function wp_mail()
{
    return true;
}


add_action('init', function () {
    register_post_type('product', ['public' => true, 'label' => 'Products',
        'has_archive' => 'shop', 'rewrite' => ['slug' => 'product'],
        'show_in_rest' => true]);
    register_taxonomy('product_cat', 'product', ['public' => true,
        'label' => 'Categories',
        'rewrite' => ['slug' => 'product-category']]);
    add_rewrite_endpoint('order-received', EP_PAGES);
});


function shop_add(string $id): void
{
    $_COOKIE['shop_cart'] = trim(($_COOKIE['shop_cart'] ?? '') . ",$id", ',');
    setcookie('shop_cart', $_COOKIE['shop_cart'], 0, '/');
}


add_action('template_redirect', function () {
    switch ($_GET['wc-ajax'] ?? '') {
    case 'add_to_cart':
        shop_add($_POST['product_id']);
        wp_send_json(['fragments' => [], 'cart_hash' => 'x']);

    case 'get_refreshed_fragments':
        wp_send_json(['fragments' => []]);

    case 'checkout':
        setcookie('shop_cart', '', 1, '/');
        setcookie('shop_order', '1001', 0, '/');
        wp_send_json(['result' => 'success', 'redirect' =>
            home_url('/checkout/order-received/1001/?key=wc_order_x')]);
    }

    if (isset($_POST['add-to-cart'])) {
        shop_add($_POST['add-to-cart']);
    }

    if (get_query_var('order-received') && isset($_COOKIE['shop_order'])) {
        header('X-Klaviyo-Event: ' . wp_json_encode([
            'metric'         => 'Placed Order',
            'unique_id'      => $_COOKIE['shop_order'],
            'value'          => 98.0,
            'value_currency' => 'EUR',
            'profile'        => ['email' => 'buyer@shop.com'],
            'properties'     => ['OrderId' => $_COOKIE['shop_order']],
        ]));
        return;
    }

    if (is_page('checkout') && empty($_COOKIE['shop_cart'])) {
        wp_safe_redirect(home_url('/cart/'));
        exit;
    }
});


// what WooCommerce says of a product to search engines, at the page's end

add_action('wp_footer', function () {
    if (!is_singular('product')) {
        return;
    }

    $name = get_the_title();
    $slug = get_post_field('post_name');

    echo '<script type="application/ld+json">' . wp_json_encode([
        '@context' => 'https://schema.org/',
        '@graph'   => [[
            '@type' => 'BreadcrumbList',
            'itemListElement' => [
                ['@type' => 'ListItem', 'position' => 1,
                 'item'  => ['name' => 'Home', '@id' => home_url('/')]],
                ['@type' => 'ListItem', 'position' => 2,
                 'item'  => ['name' => 'Lighting',
                             '@id' => get_term_link('lighting',
                                                    'product_cat')]],
                ['@type' => 'ListItem', 'position' => 3,
                 'item'  => ['name' => $name, '@id' => get_permalink()]],
            ],
        ], [
            '@type' => 'Product',
            '@id'   => get_permalink() . '#product',
            'name'  => $name,
            'url'   => get_permalink(),
            'image' => home_url("/wp-content/uploads/$slug.jpg"),
            'sku'   => strtoupper($slug),
            'brand' => ['@type' => 'Brand', 'name' => 'Lumen &amp; Loom'],
            'offers' => [[
                '@type' => 'Offer',
                'priceSpecification' => [
                    ['@type' => 'UnitPriceSpecification', 'price' => '49.00',
                     'priceCurrency' => 'EUR',
                     'valueAddedTaxIncluded' => false],
                    ['@type' => 'UnitPriceSpecification', 'price' => '60.00',
                     'priceCurrency' => 'EUR',
                     'priceType' => 'https://schema.org/ListPrice'],
                ],
                'availability' => 'https://schema.org/InStock',
                'url' => get_permalink(),
            ]],
        ]],
    ]) . "</script>\n";
});


// the buttons of a product and of the checkout, and the refresh of the cart
// that WooCommerce's script asks for on each page

add_filter('the_content', function ($text) {
    if (is_singular('product')) {
        $id = get_the_ID();

        return $text . <<<HTML
            <form id="form" method="post" enctype="multipart/form-data">
            <input name="quantity" value="1">
            <button name="add-to-cart" value="$id">Add to cart</button>
            </form>
            <button id="script" onclick="fetch('/?wc-ajax=add_to_cart',
                {method: 'POST', body: new URLSearchParams({product_id:
                '$id', quantity: '1'})})
                .then(() => { this.textContent = 'Added'; })">Add</button>
            HTML;
    }

    if (is_page('checkout')) {
        return $text . <<<HTML
            <button id="pay" onclick="fetch('/?wc-ajax=checkout',
                {method: 'POST', body: new URLSearchParams({terms: '1'})})
                .then(answer => answer.json())
                .then(json => { location = json.redirect; })">Pay</button>
            HTML;
    }

    return $text;
});

add_action('wp_footer', function () {
    echo <<<HTML
        <script>
        fetch('/?wc-ajax=get_refreshed_fragments', {method: 'POST',
            body: new URLSearchParams({time: '1'})});
        </script>
        HTML;
});

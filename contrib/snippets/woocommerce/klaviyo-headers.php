<?php
/**
 * Plugin Name: Headers for nginx's klaviyo module
 * Description: Orders, products and customers, told to nginx in headers.
 *
 * Put it into wp-content/mu-plugins/.  With a cache of whole pages, the
 * headers of products are kept with the page, those of a customer must not be:
 * caches leave pages of who is logged in alone.
 */

if (!defined('ABSPATH')) {
    exit;
}


/* 12 KB: what nginx's buffer has room for */

function klaviyo_headers_events(array $events): void
{
    $json = wp_json_encode($events);

    if ($json !== false && strlen($json) < 12288 && !headers_sent()) {
        header('X-Klaviyo-Event: ' . $json);
    }
}


function klaviyo_headers_set(string $name, ?string $value): void
{
    if ($value !== null && $value !== '' && !headers_sent()) {
        header($name . ': ' . rawurlencode($value));
    }
}


function klaviyo_headers_item(WC_Order_Item_Product $item): array
{
    $product = $item->get_product();
    $quantity = max(1, $item->get_quantity());

    return [
        'ProductID'   => (string) $item->get_product_id(),
        'SKU'         => $product ? (string) $product->get_sku() : '',
        'ProductName' => $item->get_name(),
        'Quantity'    => $item->get_quantity(),
        'ItemPrice'   => round((float) $item->get_total() / $quantity, 2),
        'RowTotal'    => (float) $item->get_total(),
    ];
}


/*
 * The page behind an order.  Who comes back to it tells it again, with the
 * same ids.  The key in its URL says that this visitor may see it.
 */

function klaviyo_headers_order(): void
{
    if (!is_order_received_page()) {
        return;
    }

    $order = wc_get_order(absint(get_query_var('order-received')));
    $key   = sanitize_text_field(wp_unslash($_GET['key'] ?? ''));

    if (!$order || !hash_equals($order->get_order_key(), $key)) {
        return;
    }

    $number  = (string) $order->get_order_number();
    $profile = array_filter([
        'email'      => $order->get_billing_email(),
        'first_name' => $order->get_billing_first_name(),
        'last_name'  => $order->get_billing_last_name(),
    ]);
    $items = array_map('klaviyo_headers_item',
        array_values($order->get_items()));

    $events = [[
        'metric'         => 'Placed Order',
        'unique_id'      => $number,
        'value'          => (float) $order->get_total(),
        'value_currency' => $order->get_currency(),
        'profile'        => $profile,
        'properties'     => [
            'OrderId'       => $number,
            'ItemNames'     => array_column($items, 'ProductName'),
            'DiscountCode'  => implode(',', $order->get_coupon_codes()),
            'DiscountValue' => (float) $order->get_total_discount(),
            'Items'         => $items,
        ],
    ]];

    foreach ($items as $n => $item) {
        $events[] = [
            'metric'         => 'Ordered Product',
            'unique_id'      => $number . '_' . $n,
            'value'          => $item['RowTotal'],
            'value_currency' => $order->get_currency(),
            'profile'        => $profile,
            'properties'     => ['OrderId' => $number] + $item,
        ];
    }

    klaviyo_headers_events($events);
}


/* what the page is about, percent-encoded */

function klaviyo_headers_page(): void
{
    if (!is_product()) {
        return;
    }

    $product = wc_get_product(get_queried_object_id());

    if (!$product) {
        return;
    }

    klaviyo_headers_set('X-Product-ID', (string) $product->get_id());
    klaviyo_headers_set('X-Product-SKU', $product->get_sku());
    klaviyo_headers_set('X-Product-Price', (string) $product->get_price());
}


/* who it is; never on a page that a cache keeps for others */

function klaviyo_headers_customer(): void
{
    if (is_user_logged_in()) {
        klaviyo_headers_set('X-Customer-ID', (string) get_current_user_id());
    }
}


add_action('template_redirect', 'klaviyo_headers_order');
add_action('template_redirect', 'klaviyo_headers_page');
add_action('template_redirect', 'klaviyo_headers_customer');

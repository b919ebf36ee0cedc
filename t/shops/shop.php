<?php

// A shop that answers as those of the platforms do: a few pages, two products
// and a cart, with the routes of the platform, its redirects, its cookies and
// its markup.  The document root of one has an index.php of
//
//   <?php $platform = 'magento2'; require '.../shop.php';
//
// An order is told in the header X-Klaviyo-Event, once, on its page.

declare(strict_types=1);

const PRODUCTS = [
    'lamp' => ['id' => '1042', 'sku' => 'LAMP-BRASS', 'price' => '49.00',
               'name' => 'Brass Desk Lamp', 'category' => 'Lighting'],
    'mug'  => ['id' => '1077', 'sku' => 'MUG-1', 'price' => '14.50',
               'name' => 'Stoneware Mug', 'category' => 'Kitchen'],
];

const TYPES = ['css' => 'text/css', 'js' => 'text/javascript',
    'jpg' => 'image/jpeg'];

$shop = (require __DIR__ . '/routes.php')[$platform];

ini_set('session.use_strict_mode', '1');
session_name($shop['session']);

// a session begins with the first thing in the cart

if (isset($_COOKIE[session_name()])) {
    session_start();
}

route(str_replace('HEAD', 'GET', $_SERVER['REQUEST_METHOD']) . ' '
    . $_SERVER['REQUEST_URI']);


function route(string $line): void
{
    foreach ($GLOBALS['shop']['routes'] as $route) {
        [$pattern, $page] = $route;

        if (!str_contains($pattern, '\?')) {
            $pattern .= '(?:\?.*)?';
        }

        if (preg_match("~^$pattern$~", $line, $part)) {
            $page(...array_map(
                fn ($one) => is_string($one)
                    ? strtr($one, ['$1' => $part[1] ?? '']) : $one,
                array_slice($route, 2)));

            return;
        }
    }

    missing();
}


// --- answers

function html(string $title, string $head = '', string $body = ''): void
{
    $text = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
        . "<title>$title</title>\n$head</head>\n<body>\n<h1>$title</h1>\n"
        . "$body</body>\n</html>\n";
    $etag = 'W/"' . md5($text) . '"';

    header('Content-Type: text/html; charset=UTF-8');

    if (isset($GLOBALS['shop']['etag'])) {
        header("ETag: $etag");

        if (($_SERVER['HTTP_IF_NONE_MATCH'] ?? '') === $etag) {
            header_remove('Content-Type');
            http_response_code(304);
            return;
        }
    }

    echo $text;
}


function moved(string $to, int $status = 301): void
{
    header("Location: $to", true, $status);
}


function json(array $value = [], int $status = 200): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode($value);
}


function missing(): void
{
    http_response_code(404);
    html('Page not found');
}


function feed(): void
{
    header('Content-Type: application/rss+xml; charset=UTF-8');
    echo "<?xml version=\"1.0\"?><rss version=\"2.0\"></rss>\n";
}


// a component of React's, as the App Router of Next.js asks for
function flight(): void
{
    header('Content-Type: text/x-component');
    echo "0:[\"b1d\",null]\n";
}


// a piece of HTML that a script puts into the page
function fragment(): void
{
    header('Content-Type: text/html; charset=UTF-8');
    echo "<ul><li>Brass Desk Lamp</li></ul>\n";
}


function asset(): void
{
    $path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

    header('Content-Type: '
        . (TYPES[pathinfo($path, PATHINFO_EXTENSION)] ?? 'image/webp'));
    echo 'x';
}


// a file that nginx sends
function download(string $path, string $type = 'application/pdf'): void
{
    header("Content-Type: $type");
    header("X-Accel-Redirect: $path");
}


// --- pages to look at

function home(): void
{
    html('Welcome');
}


function page(): void
{
    html('A page');
}


function search(): void
{
    html('What we found');
}


function category(): void
{
    if (isset($GLOBALS['shop']['says'])) {
        header('X-Category-ID: 3');
    }

    html('Lighting');
}


function product(string $slug): void
{
    $product = PRODUCTS[$slug];
    $markup  = $GLOBALS['shop']['markup'];
    $url     = "http://$_SERVER[HTTP_HOST]$_SERVER[REQUEST_URI]";

    if (isset($GLOBALS['shop']['says'])) {
        header("X-Product-ID: $product[id]");
        header("X-Product-Name: $product[name]");
    }

    [$head, $body] = $markup($product + ['url' => $url,
        'image' => "http://$_SERVER[HTTP_HOST]/media/$slug.jpg"]);

    html($product['name'], $head, $body);
}


function cart(): void
{
    html('Cart', '', json_encode($_SESSION['cart'] ?? []) . "\n");
}


// nothing to pay for: back to the cart
function checkout(string $else): void
{
    empty($_SESSION['cart']) ? moved($else, 302) : html('Checkout');
}


function login(): void
{
    html('Log in');
}


function account(string $else): void
{
    empty($_SESSION['customer']) ? moved($else, 302) : html('Your account');
}


function admin(string $else): void
{
    empty($_COOKIE['admin']) ? moved($else, 302) : html('Dashboard');
}


// --- the cart

function take(string $id): void
{
    if (session_status() !== PHP_SESSION_ACTIVE) {
        session_start();
    }

    $_SESSION['cart'][$id] = ($_SESSION['cart'][$id] ?? 0)
        + (int) ($_POST['quantity'] ?? 1);
}


function add(string $to, int $status = 302): void
{
    take('1042');
    moved($to, $status);
}


function add_and_stay(string $slug): void
{
    take(PRODUCTS[$slug]['id']);
    product($slug);
}


// the form says where a script goes on, if one sends it
function add_and_go(string $field, string $script, string $form): void
{
    take('1042');
    moved(isset($_POST[$field]) ? $script : $form, 302);
}


function add_by_form_or_script(string $field, string $to): void
{
    if (empty($_POST[$field])) {
        moved($to, 302);
        return;
    }

    take($_POST[$field]);
    isset($_SERVER['HTTP_X_REQUESTED_WITH']) ? json(['success' => true])
        : moved($to, 302);
}


// what a script adds, in a form or as JSON; nothing named is an error
function add_json(string $field, int $status = 200): void
{
    $sent = $_POST ?: $_GET
        + (array) json_decode(file_get_contents('php://input'), true);

    if (empty($sent[$field])) {
        json(['error' => true], 422);
        return;
    }

    take((string) $sent[$field]);
    json(['cart' => $_SESSION['cart']], $status);
}


// --- the order

function place(string $to): void
{
    buy();
    moved($to, 302);
}


function place_json(string $to): void
{
    buy();
    json(['result' => 'success', 'redirect' => $to]);
}


function buy(): void
{
    $_SESSION['order'] = $_SESSION['cart'] ?? [];
    $_SESSION['cart']  = [];
}


// its page; the first time somebody looks at it, it is an event
function order(): void
{
    if (!empty($_SESSION['order'])) {
        $value = 0;

        foreach (PRODUCTS as $product) {
            $value += ($_SESSION['order'][$product['id']] ?? 0)
                * $product['price'];
        }

        header('X-Klaviyo-Event: ' . json_encode([
            'metric'         => 'Placed Order',
            'unique_id'      => '1001',
            'value'          => $value,
            'value_currency' => 'EUR',
            'profile'        => ['email' => 'buyer@shop.com'],
            'properties'     => ['OrderId' => '1001'],
        ]));

        unset($_SESSION['order']);
    }

    html('Thank you');
}


function signed_in(string $to): void
{
    if (session_status() !== PHP_SESSION_ACTIVE) {
        session_start();
    }

    $_SESSION['customer'] = 1;
    moved($to, 302);
}


// --- what a product page says of the product -> head, body

function script_of(array $value, string $id = ''): string
{
    return "<script type=\"application/ld+json\"$id>"
        . json_encode($value) . "</script>\n";
}


function graph(array $product): array
{
    return ['', script_of([
        '@context' => 'https://schema.org/',
        '@graph'   => [
            [
                '@context'        => 'https://schema.org/',
                '@type'           => 'BreadcrumbList',
                'itemListElement' => [
                    ['@type' => 'ListItem', 'position' => 1,
                     'item'  => ['name' => 'Home', '@id' => '/']],
                    ['@type' => 'ListItem', 'position' => 2,
                     'item'  => ['name' => $product['category'],
                                 '@id'  => '/product-category/lighting/']],
                    ['@type' => 'ListItem', 'position' => 3,
                     'item'  => ['name' => $product['name'],
                                 '@id'  => $product['url']]],
                ],
            ],
            [
                '@context'    => 'https://schema.org/',
                '@type'       => 'Product',
                '@id'         => "$product[url]#product",
                'name'        => $product['name'],
                'url'         => $product['url'],
                'description' => "A <b>good</b> $product[name]",
                'image'       => $product['image'],
                'sku'         => $product['sku'],
                'offers'      => [[
                    '@type'              => 'Offer',
                    'priceSpecification' => [[
                        '@type'                 => 'UnitPriceSpecification',
                        'price'                 => $product['price'],
                        'priceCurrency'         => 'EUR',
                        'valueAddedTaxIncluded' => false,
                        'validThrough'          => '2027-12-31',
                    ]],
                    'priceValidUntil'    => '2027-12-31',
                    'availability'       => 'http://schema.org/InStock',
                    'url'                => $product['url'],
                    'seller'             => [
                        '@type' => 'Organization',
                        'name'  => 'Shop',
                        'url'   => '/',
                    ],
                ]],
            ],
        ],
    ])];
}


function jsonld(array $product): array
{
    return [script_of([
        '@context'    => 'https://schema.org/',
        '@type'       => 'Product',
        'name'        => $product['name'],
        'description' => "A good $product[name]",
        'category'    => $product['category'],
        'image'       => $product['image'],
        'sku'         => $product['sku'],
        'mpn'         => $product['sku'],
        'brand'       => ['@type' => 'Brand', 'name' => 'Lumen & Loom'],
        'offers'      => [
            '@type'         => 'Offer',
            'priceCurrency' => 'EUR',
            'name'          => $product['name'],
            'price'         => $product['price'],
            'url'           => $product['url'],
            'image'         => [$product['image']],
            'sku'           => $product['sku'],
            'availability'  => 'https://schema.org/InStock',
            'seller'        => ['@type' => 'Organization', 'name' => 'Shop'],
        ],
    ]), ''];
}


function microdata(array $product): array
{
    return ['', <<<HTML
        <div itemscope itemtype="https://schema.org/Product">
        <span itemprop="name">$product[name]</span>
        <meta itemprop="productID" content="$product[id]">
        <div itemprop="sku">$product[sku]</div>
        <link itemprop="image" href="$product[image]">
        <div itemprop="offers" itemscope
             itemtype="https://schema.org/Offer">
        <meta itemprop="price" content="$product[price]">
        <meta itemprop="priceCurrency" content="EUR">
        </div>
        </div>

        HTML];
}


function opengraph(array $product): array
{
    return [<<<HTML
        <meta property="og:type" content="product">
        <meta property="og:title" content="$product[name]">
        <meta property="og:url" content="$product[url]">
        <meta property="og:image" content="$product[image]">
        <meta property="product:price:amount" content="$product[price]">
        <meta property="product:price:currency" content="EUR">
        <meta property="product:retailer_item_id" content="$product[sku]">

        HTML, ''];
}

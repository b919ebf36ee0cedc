package Klaviyo::Test::Pages;

# A hundred product pages, after what seven shop systems print, with what each
# of them is known to get wrong.
#
#   my @pages = pages();      # the same each time
#
# Each is {name, uri, html (bytes), charset (as Content-Type says, or undef),
# encoding (what it is in), product => {...}}; of a product: name, sku, id,
# brand, price, list, currency, image, url, categories, and `has`, what of them
# the page prints.

use v5.32;
use warnings;
use utf8;

use Encode     qw(encode FB_CROAK);
use Exporter   qw(import);
use Mojo::JSON qw(to_json);

our @EXPORT_OK = qw(pages);

use constant HOST => 'https://shop.example';

# name, brand, price, price before (or none), categories

my @products = (
    ['Brass Desk Lamp', 'Acme', '49.90', undef, 'Lighting', 'Lamps'],
    ['Tom & Jerry Mug', 'Müller & Söhne', '7.50', '9.00', 'Kitchen'],
    ['5" Pipe <new>', 'O\'Neill', '1299.00', '1499.00', 'Tools', 'Pipes & more'],
    ['Crème brûlée set', 'Café "Noir"', '35.00', undef, 'Gifts', 'Été'],
    ['Größe 42 Schuh', 'Schuh AG', '89.95', '120.00', 'Schuhe'],
    ['Linen Shirt – long', 'Ünïque', '59.00', undef, 'Women', 'Shirts', 'Linen'],
    ['日本茶 250 g', '茶', '18.00', '20.00', 'お茶'],
    ['Backslash \\ and /slash/', 'A/B', '3.10', undef, 'Odd & ends'],
    ['100% wool', 'Wool & Co', '140.00', undef, 'Women', 'Knit'],
    ['Jack\'s "Best" T-Shirt', 'Jack', '25.00', '30.00', 'Men'],
    ['€10 voucher', 'Shop', '10.00', undef, 'Vouchers'],
    ['Emoji 😀 pillow', 'Fun', '22.22', undef, 'Home', 'Pillows'],
    ['Two  blanks', 'B', '1.00', '2.00', 'Blank'],
    ['A <!-- comment --> b', 'C', '12.00', undef, 'Code'],
    ['</script> in a name', 'D', '13.00', undef, 'Code', 'Script'],
);

my %shops = (
    woocommerce => \&woocommerce, magento => \&magento,
    shopware    => \&shopware,    prestashop => \&prestashop,
    shopify     => \&shopify,     bigcommerce => \&bigcommerce,
    evershop    => \&evershop,
);


sub pages {
    my @pages;

    for my $shop (sort keys %shops) {
        for my $n (0 .. $#products) {
            push @pages, page($shop, $n);
        }
    }

    return @pages;
}


sub page {
    my ($shop, $n) = @_;

    my ($name, $brand, $price, $list, @categories) = @{ $products[$n] };
    my $uri = "/p/$shop-$n";

    my $p = {
        n => $n, name => $name =~ s/  / /gr, brand => $brand,
        sku => sprintf('%s-%03d', uc substr($shop, 0, 2), $n),
        id  => 1000 + $n, price => $price, list => $list, currency => 'EUR',
        image => HOST . "/media/$n.jpg", url => HOST . $uri, uri => $uri,
        categories => \@categories, title => $name,
    };

    my $page = {name => "$shop-$n", uri => $uri, product => $p,
                charset => 'utf-8'};
    my $html = $shops{$shop}->($p, $page);

    return finish($page, $html);
}


# what happens to a page on its way, by number: another charset, a byte order
# mark, capitals, Windows' line ends

sub finish {
    my ($page, $html) = @_;

    my $n = $page->{product}{n};
    my $charset = 'UTF-8';

    if ($n % 3 == 1 && eval { encode('cp1252', my $copy = $html, FB_CROAK) }) {
        $charset = $n % 2 ? 'ISO-8859-1' : 'windows-1252';
        $page->{charset} = $n % 6 == 1 ? $charset : undef;
    }

    $html =~ s/\@CHARSET\@/$charset/g;
    $html =~ s{(</?)(meta|link|title|script|div|span|p)\b}{$1 . uc $2}ge
        if $n == 5;
    $html =~ s/\n/\r\n/g if $n == 7;
    $html = "\x{feff}$html" if $n == 6 || $n == 11;

    $page->{encoding} = $charset eq 'UTF-8' ? $charset : 'windows-1252';
    $page->{html} = encode($page->{encoding}, $html);

    return $page;
}


# text in HTML, as PHP or as a template language would write it

sub h {
    my ($text, $apostrophe) = @_;

    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;',
        '"' => '&quot;', "'" => $apostrophe // '&#039;');

    return $text =~ s/([&<>"'])/$entity{$1}/gr;
}


# JSON: as json_encode() of PHP, with capitals for what HTML might read; or as
# JavaScript writes it

sub php {
    my ($value) = @_;

    return to_json($value) =~ s{([^\x00-\x7f])}{join '',
        map { sprintf '\u%04x', $_ } unpack 'n*', encode('UTF-16BE', $1)}ger;
}

sub js {
    my ($value) = @_;

    return to_json($value) =~ s{(?<!<)\\/}{/}gr =~ s{<!--}{\\u003c!--}gr;
}

sub ld { return qq{<script type="application/ld+json">$_[0]</script>\n} }

sub crumbs {
    my ($p, $home) = @_;

    my $i = 0;

    return {'@context' => 'https://schema.org/', '@type' => 'BreadcrumbList',
        itemListElement => [map { {'@type' => 'ListItem', position => ++$i,
            item => {'@id' => HOST . '/' . ($i - 1 || ''), name => $_}} }
            $home, @{ $p->{categories} }, $p->{name}]};
}


# what stands around: most of a page is of no interest

sub css {
    return '<style id="theme-css">' . join('', map { ".c$_>li:not(.a)::before"
        . "{content:'\\201C<';margin:0 ${_}px;background:url(data:image/svg+"
        . "xml;base64,PHN2Zw==)}\@media(min-width:${_}00px){.m$_,.n$_ a:hover"
        . "{color:#333;transform:translate(-50%,$_%)}}" } 1 .. $_[0])
        . "</style>\n";
}

sub code {
    return '<script>' . join('', map { "window.w$_=window.w$_||[];if(a<$_&&b>"
        . "$_){document.write('<div class=\"x\">$_<\\/div>')}var t$_={\"id\":"
        . "$_,\"html\":\"<span itemprop=\\\"name\\\">no<\\/span>\"};\n" }
        1 .. $_[0]) . "</script>\n";
}

sub menu {
    my ($n) = @_;

    return "<nav class=\"main-nav\" aria-label='Main'><ul class=\"menu\">\n"
        . join('', map { <<"END" } 1 .. $n) . "</ul></nav>\n";
<li id="menu-item-$_" class="menu-item menu-item-type-taxonomy menu-item-$_"><a href="@{[HOST]}/category-$_/?a=1&amp;b=$_" data-ps2id-api="true"><span class="menu-text">Category $_</span> <svg class="icon" viewBox="0 0 24 24" width="12" height="12" aria-hidden="true"><path d="M12 2L2 7l10 5 10-5-10-5zM2 17l10 5 10-5"/></svg></a></li>
END
}

sub cards {
    my ($n) = @_;

    return '<section class="related products"><h2>You may also like…</h2>'
        . "<ul class=\"products columns-4\">\n"
        . join('', map { <<"END" } 1 .. $n) . "</ul></section>\n";
<li class="product type-product post-$_ status-publish instock has-post-thumbnail" data-json='{"id":$_,"t":"<b>Other $_</b>"}'>
  <a href="@{[HOST]}/p/other-$_" class="product-link" title="Other &gt; $_"><img width="300" height="300" src="/media/other-$_.jpg" class="thumb lazyload" alt="" loading="lazy" srcset="/media/other-$_.jpg 300w, /media/other-$_-150.jpg 150w" sizes="(max-width: 300px) 100vw, 300px">
  <h2 class="title">Other $_</h2>
  <span class="price"><span class="amount"><bdi>9.9$_&nbsp;<span class="symbol">&euro;</span></bdi></span></span></a>
  <button type="button" class="button add" data-id="$_" onclick="add($_, 'x > y')">Add</button><br>
</li>
END
}

sub odds {
    return <<'END';
<svg role="img" viewBox="0 0 9 9"><title>A drawing</title><style>.a>b{fill:red}</style><path d="M1 1"/></svg>
<!--[if lt IE 9]><script src="/html5.js"></script><meta name="old" content="no"><![endif]-->
<!-- <script type="application/ld+json">{"@type":"Product","name":"commented"}</script> -->
<noscript><img height="1" width="1" style="display:none" src="https://px.example/tr?id=1&ev=PageView&noscript=1"></noscript>
<iframe srcdoc="<title>inner</title><meta property='og:title' content='inner'>" title="x"></iframe>
<template id="quick"><div itemscope itemtype="https://schema.org/Product"><span itemprop="name">{{ name }}</span></div><script type="application/ld+json">{"@type":"Product","name":"{{ name }}"}</script></template>
<textarea name="code"><meta property="og:title" content="typed"></textarea>
<script><!--
if (a < 1) { document.write("<script>x<\/script>"); }
//--></script>
<script type="text/template" id="t"><div itemprop="name">{{data.name}}</div></script>
<p>1 < 2 and a<b, <3 <a href=/x?y=1&z=2 class=plain>unquoted</a> <input value='it"s' disabled/></p>
END
}

# what people read

sub words {
    my ($n) = @_;

    return '<div class="product-description rte" data-section-type="text">'
        . join('', map { "<p>Number $_: made in a small workshop, of brass, "
        . "steel &amp; oiled wood, with a switch at the foot and two metres of "
        . "cable. Turn it to the wall and it lights the room; turn it to the "
        . "desk and it doesn&#8217;t dazzle. We send it within two working "
        . "days, wrapped in paper. <strong>Care:</strong> wipe it with a dry "
        . "cloth, and let it cool before you do.</p>\n" } 1 .. $n) . "</div>\n";
}

sub tail {
    return words(14) . menu(12) . code(60) . "</body>\n</html>\n";
}


# WooCommerce prints its block in the footer, by json_encode(), and the name
# in HTML's entities; Yoast a graph in the head

sub woocommerce {
    my ($p) = @_;

    my $name = h($p->{title}, '&#039;');
    my $graph = $p->{n} % 2 ? '' : '<script type="application/ld+json" class='
        . '"yoast-schema-graph">' . php({'@context' => 'https://schema.org',
        '@graph' => [
            {'@type' => ['WebPage', 'ItemPage'], '@id' => $p->{url},
             url => $p->{url}, name => "$p->{name} - Shop",
             isPartOf => {'@id' => HOST . '/#website'},
             breadcrumb => {'@id' => "$p->{url}#breadcrumb"}},
            {'@type' => 'WebSite', '@id' => HOST . '/#website',
             url => HOST . '/', name => 'Shop'},
        ]}) . "</script>\n";
    my $offer = {'@type' => 'Offer', url => $p->{url},
        availability => 'http://schema.org/InStock',
        priceValidUntil => '2027-12-31',
        ($p->{n} % 4 > 1 ? (priceSpecification => [{
            '@type' => 'UnitPriceSpecification', price => $p->{price},
            priceCurrency => 'EUR', valueAddedTaxIncluded => Mojo::JSON::false}])
        : (price => $p->{price}, priceCurrency => 'EUR')),
        seller => {'@type' => 'Organization', name => 'Shop', url => HOST}};
    my $block = {'@context' => 'https://schema.org/', '@graph' => [
        crumbs($p, 'Home'),
        {'@type' => 'Product', '@id' => "$p->{url}#product",
         name => h($p->{name}, "'"), url => $p->{url},
         description => 'Made of brass &amp; steel', image => $p->{image},
         sku => $p->{sku}, productID => "$p->{id}",
         brand => {'@type' => 'Brand', name => h($p->{brand}, "'")},
         offers => [$offer]}]};

    $p->{has} = [qw(name sku id brand price currency image url categories)];

    return <<"END" . code(4) . tail();
<!DOCTYPE html>
<html lang="de-DE">
<head>
<meta charset="\@CHARSET\@">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$name &#8211; Shop</title>
@{[css(220)]}<link rel="canonical" href="$p->{url}" />
<meta property="og:type" content="product" />
<meta property="og:title" content="$name - Shop" />
<meta property="og:image" content="$p->{image}" />
<meta name="twitter:label1" content="Est. reading time">
$graph<link rel='stylesheet' id='woo-css' href='/woo.css?ver=9.1' media='all' />
</head>
<body class="product-template-default single single-product postid-$p->{id} woocommerce">
@{[menu(30)]}@{[odds()]}
<div id="product-$p->{id}" class="product type-product">
<h1 class="product_title entry-title">$name</h1>
<p class="price"><del aria-hidden="true"><span class="woocommerce-Price-amount amount"><bdi>$p->{price}</bdi></span></del></p>
<div class="woocommerce-product-details__short-description"><p>Text &amp; more.</p></div>
</div>
@{[cards(16)]}
<script type="application/ld+json">{"\@type":"Broken", oops}</script>
@{[ld(php($block))]}
END
}


# Magento 2: microdata in the theme, prices in metas within containers

sub magento {
    my ($p) = @_;

    my $name = h($p->{title});
    my $old = $p->{list} ? qq{<span class="old-price"><span class="price">}
        . qq{$p->{list}</span></span>} : '';

    $p->{has} = [qw(name sku price currency image categories brand)];

    return <<"END" . tail();
<!doctype html>
<html lang="en">
    <head prefix="og: http://ogp.me/ns# product: http://ogp.me/ns/product#">
        <script>
    var LOCALE = 'en\\u002DUS'; var require = {"baseUrl": "https\\u003A\\u002F\\u002Fshop.example"};</script>
        <meta charset="\@CHARSET\@"/>
<meta name="title" content="$name"/>
<title>$name</title>
<link  rel="canonical" href="$p->{url}" />
<link rel="stylesheet" type="text/css" media="all" href="/static/styles-m.css" />
<script type="text/x-magento-init">{"*":{"Magento_Ui/js/core/app":{"a":"<b>"}}}</script>
<meta property="og:type" content="product" />
<meta property="og:title" content="$name" />
<meta property="og:image" content="$p->{image}" />
<meta property="product:price:amount" content="$p->{price}"/>
<meta property="product:price:currency" content="EUR"/>
</head>
<body data-container="body" data-mage-init='{"loaderAjax": {}, "loader": { "icon": "/loader.gif"}}' id="html-body" itemtype="http://schema.org/Product" itemscope="itemscope" class="catalog-product-view">
@{[menu(30)]}@{[odds()]}
@{[ld(js(crumbs($p, 'Home')))]}
<div class="page-title-wrapper product"><h1 class="page-title"><span class="base" data-ui-id="page-title-wrapper" itemprop="name">$name</span></h1></div>
<div class="product media"><img itemprop="image" src="$p->{image}" alt="main product photo"></div>
<div class="product-info-price"><div class="price-box price-final_price" data-role="priceBox" data-product-id="$p->{id}"><span class="normal-price"
    ><span class="price-container price-final_price tax weee" itemprop="offers" itemscope itemtype="http://schema.org/Offer">
        <span  id="product-price-$p->{id}" data-price-amount="$p->{price}" data-price-type="finalPrice" class="price-wrapper "><span class="price">&euro;$p->{price}</span></span>
        <meta itemprop="price" content="$p->{price}" />
        <meta itemprop="priceCurrency" content="EUR" />
        <link itemprop="availability" href="https://schema.org/InStock">
    </span></span>$old</div></div>
<div class="product attribute sku"><strong class="type">SKU</strong><div class="value" itemprop="sku">$p->{sku}</div></div>
<table><tr><th>Brand</th><td itemprop="brand" itemscope itemtype="https://schema.org/Brand"><meta itemprop="name" content="@{[h($p->{brand})]}"></td></tr></table>
<div class="reviews"><ol class="items review-items"><li itemprop="review" itemscope itemtype="http://schema.org/Review"><div class="title" itemprop="name">Great</div>
<div itemprop="reviewRating" itemscope itemtype="http://schema.org/Rating"><meta itemprop="ratingValue" content="100"></div>
<p itemprop="description">I &lt;3 it, <b>really</b></p><span itemprop="author">Eve</span></li></ol></div>
@{[cards(16)]}
END
}


# Shopware 6: microdata with nested offers and a list of crumbs

sub shopware {
    my ($p) = @_;

    my $name = h($p->{title});
    my $i = 0;
    my $crumbs = join '', map { $i++; <<"END" } @{ $p->{categories} };
<li class="breadcrumb-item" itemprop="itemListElement" itemscope itemtype="https://schema.org/ListItem">
<a href="@{[HOST]}/c$i/" class="breadcrumb-link" title="@{[h($_)]}" itemprop="item"><link itemprop="url" href="@{[HOST]}/c$i/"/><span class="breadcrumb-title" itemprop="name">@{[h($_)]}</span></a>
<meta itemprop="position" content="$i"/></li>
END

    $p->{has} = [qw(name sku id brand price currency image categories)];

    return <<"END" . tail();
<!DOCTYPE html>
<html lang="de-DE" itemscope="itemscope" itemtype="https://schema.org/WebPage">
<head>
<meta charset="\@CHARSET\@">
<meta name="robots" content="index,follow">
<meta property="og:type" content="product"/>
<meta property="og:url" content="$p->{url}"/>
<meta property="og:title" content="$name | Shop"/>
<meta property="product:brand" content="@{[h($p->{brand})]}"/>
<meta property="product:price:amount" content="$p->{price}"/>
<meta property="product:price:currency" content="EUR"/>
<meta itemprop="copyrightHolder" content="Shop"/><meta itemprop="isFamilyFriendly" content="true"/>
<link rel="canonical" href="$p->{url}">
<title itemprop="name">$name | $p->{sku}</title>
@{[css(180)]}</head>
<body class="is-ctl-product is-act-index">
@{[menu(30)]}@{[odds()]}
<nav aria-label="breadcrumb"><ol class="breadcrumb" itemscope itemtype="https://schema.org/BreadcrumbList">
$crumbs</ol></nav>
<div class="product-detail" itemscope itemtype="https://schema.org/Product">
<h1 class="product-detail-name" itemprop="name">
                        $name
                    </h1>
<div itemprop="brand" itemtype="https://schema.org/Brand" itemscope><meta itemprop="name" content="@{[h($p->{brand})]}"></div>
<meta itemprop="productID" content="$p->{id}">
<div class="gallery-slider-item"><img src="$p->{image}" class="img-fluid" data-full-image="$p->{image}" alt="$name" itemprop="image" tabindex="0"></div>
<div class="product-detail-buy" itemprop="offers" itemscope itemtype="https://schema.org/Offer">
<meta itemprop="url" content="$p->{url}"><meta itemprop="priceCurrency" content="EUR">
<p class="product-detail-price"><meta itemprop="price" content="$p->{price}">$p->{price} &euro;*</p>
<link itemprop="availability" href="https://schema.org/InStock"></div>
<span class="product-detail-ordernumber" itemprop="sku">$p->{sku}</span>
<div class="product-detail-description-text" itemprop="description"><p>One</p><ul><li>Two</li></ul>Three &amp; four</div>
</div>
@{[cards(16)]}
END
}


# PrestaShop 8: three blocks, and what it says to scripts in an attribute

sub prestashop {
    my ($p) = @_;

    my $name = h($p->{title}, '&#039;');
    my $data = h(to_json({id_product => $p->{id}, name => $p->{name},
        price => "$p->{price} EUR", features => ['<b>', "x'y"]}));

    $p->{has} = [qw(name sku id brand price currency image categories)];

    return <<"END" . tail();
<!doctype html>
<html lang="fr-FR">
  <head>
  <meta charset="\@CHARSET\@">
  <meta http-equiv="x-ua-compatible" content="ie=edge">
  <title>$name</title>
  @{[code(60)]}
  <meta name="description" content="">
  <link rel="canonical" href="$p->{url}">
  <script type="application/ld+json">
  {
    "\@context": "https://schema.org",
    "\@type": "Organization", "name" : "Shop", "url" : "@{[HOST]}/"
  }
</script>
<script type="application/ld+json">
  @{[php(crumbs($p, 'Accueil'))]}
</script>
<script type='application/ld+json'>
  {
    "\@context": "https://schema.org/",
    "\@type": "Product",
    "name": @{[js($p->{name})]},
    "description": "",
    "category": @{[js($p->{categories}[-1])]},
    "image" :"$p->{image}",    "sku": "$p->{sku}",
    "mpn": "$p->{id}", "productID": "$p->{id}",
    "brand": {"\@type": "Brand", "name": @{[js($p->{brand})]}},
    "offers": {"\@type": "Offer", "priceCurrency": "EUR", "name": "x",
      "price": "$p->{price}", "url": "$p->{url}",
      "image": ["$p->{image}"],
      "availability": "https://schema.org/InStock"}
  }
</script>
<meta property="og:type" content="product">
<meta content="$p->{url}" property="og:url">
<meta property="og:price:amount" content="$p->{price}">
</head>
<body id="product" class="lang-fr country-fr currency-eur layout-full-width page-product tax-display-enabled product-id-$p->{id}">
@{[menu(30)]}@{[odds()]}
<main id="main"><h1 class="h1">$name</h1>
<div class="js-product-details tab-pane fade" id="product-details" data-product="$data" role="tabpanel"></div></main>
@{[cards(16)]}
END
}


# Shopify: groups with variants, JSON in scripts, og:price

sub shopify {
    my ($p) = @_;

    my $name = h($p->{title}, '&#39;');
    my @variant = map { {'@type' => 'Product', '@id' => "/p#$_",
        sku => $_ ? "$p->{sku}-$_" : $p->{sku}, name => $p->{name},
        image => $p->{image}, productID => $p->{id} + $_,
        offers => {'@type' => 'Offer', priceCurrency => 'EUR',
            price => $p->{price}, url => "$p->{url}?variant=$_",
            availability => 'http://schema.org/InStock'}} } 0 .. 2;
    my $group = {'@context' => 'http://schema.org/', '@type' => 'ProductGroup',
        '@id' => "$p->{uri}#product", name => $p->{name}, url => $p->{url},
        brand => {'@type' => 'Brand', name => $p->{brand}},
        category => '', hasVariant => \@variant, productGroupID => "$p->{id}"};
    my $single = {'@context' => 'http://schema.org/', '@type' => 'Product',
        name => $p->{name}, url => $p->{url}, image => [$p->{image}],
        sku => $p->{sku}, productID => "$p->{id}",
        brand => {'@type' => 'Brand', name => $p->{brand}},
        offers => [{'@type' => 'Offer', sku => $p->{sku},
            availability => 'http://schema.org/InStock',
            price => 0 + $p->{price}, priceCurrency => 'EUR',
            url => $p->{url}}]};
    my $block = js($p->{n} % 3 ? $single : $group);

    $block = "//<![CDATA[\n$block\n//]]>" if $p->{n} == 4;
    $block = "<!--\n$block\n-->" if $p->{n} == 8;
    $block = h($block) if $p->{n} == 9;

    $p->{has} = [qw(name brand price currency image),
                 $p->{n} % 3 ? qw(sku id) : ()];

    return <<"END" . tail();
<!doctype html>
<html class="no-js" lang="en">
  <head>
    <meta charset="\@CHARSET\@">
    <link rel="canonical" href="$p->{url}"><link rel="preconnect" href="https://cdn.example" crossorigin>
    <title>
      $name
 &ndash; Shop</title>
<meta property="og:site_name" content="Shop">
<meta property="og:url" content="$p->{url}">
<meta property="og:title" content="$name">
<meta property="og:type" content="product">
<meta property="og:image" content="http:@{[$p->{image} =~ s/^https?://r]}">
  <meta property="og:image:secure_url" content="$p->{image}">
  <meta property="og:price:amount" content="$p->{price}">
  <meta property="og:price:currency" content="EUR">
    @{[css(260)]}@{[code(90)]}
    <script id="web-pixels-manager-setup">(function e(e,d,r,n,o){if(void 0===o&&(o={}),!Boolean(e))return;var a='<iframe sandbox="allow-scripts">'})({shopId:1,"productVariants":[{"price":{"amount":$p->{price}}}]});</script>
  </head>
  <body class="gradient">
@{[menu(30)]}@{[odds()]}
<product-info id="MainProduct-template" data-section="t" data-product-id="$p->{id}" data-url="$p->{uri}"><product-form class="product-form" data-hide-errors="false"><h1>$name</h1>
<variant-selects><fieldset class="js product-form__input"><legend>Size</legend><input type="radio" id="s-1" name="Size" value="S" checked><label for="s-1">S<span class="visually-hidden label-unavailable">Variant sold out</span></label></fieldset></variant-selects></product-form></product-info>
<script type="application/json" data-product-json>@{[js({id => $p->{id}, title => $p->{name}, description => '<p>x</p>'})]}</script>
@{[ld($block)]}
@{[cards(16)]}
END
}


# BigCommerce: JSON-LD with an AggregateOffer or a list price, crumbs too

sub bigcommerce {
    my ($p) = @_;

    my $name = h($p->{title}, '&#x27;');
    my $offers = $p->{list} ? {'@type' => 'Offer', priceCurrency => 'EUR',
            price => $p->{price}, itemCondition => 'NewCondition',
            availability => 'https://schema.org/InStock', url => $p->{url},
            priceSpecification => [
                {'@type' => 'UnitPriceSpecification', price => $p->{price},
                 priceCurrency => 'EUR'},
                {'@type' => 'UnitPriceSpecification', price => $p->{list},
                 priceType => 'https://schema.org/ListPrice',
                 priceCurrency => 'EUR'}]}
        : {'@type' => 'AggregateOffer', priceCurrency => 'EUR',
            lowPrice => $p->{price}, highPrice => '9999.00',
            offerCount => 2};

    $p->{has} = [qw(name sku id brand price currency image url categories),
                 $p->{list} ? 'list' : ()];

    return <<"END" . tail();
<!DOCTYPE html>
<html class="no-js" lang="en">
<head>
<title>$name - Shop</title>
<link rel="dns-prefetch preconnect" href="https://cdn11.example" crossorigin><meta name="keywords" content="a,b"><link rel='canonical' href='$p->{url}' /><meta name='platform' content='bigcommerce.stencil' />
<meta property="product:price:amount" content="$p->{price}" />
<meta property="product:price:currency" content="EUR" />
<meta property="og:url" content="$p->{url}" />
<meta property="og:title" content="$name" />
<meta property="og:image" content="$p->{image}" />
<meta charset="\@CHARSET\@">
@{[css(200)]}@{[code(40)]}
<script type="text/javascript">var BCData = {"product_attributes":{"sku":"$p->{sku}","price":{"without_tax":{"formatted":"<b>"}}}};</script>
</head>
<body class="page-type-product">
@{[menu(30)]}@{[odds()]}
<div class="productView" data-event-type="product" data-entity-id="$p->{id}" data-name="$name" data-product-price="$p->{price}"><h1 class="productView-title">$name</h1></div>
@{[cards(16)]}
@{[ld(js([{'@context' => 'https://schema.org/', '@type' => 'Product',
    name => $p->{name}, sku => $p->{sku}, productID => $p->{id},
    url => $p->{url}, brand => {'@type' => 'Thing', name => $p->{brand}},
    image => {'@type' => 'ImageObject', url => $p->{image}},
    description => "a\nb", offers => $offers}, crumbs($p, 'Home')]))]}
END
}


# EverShop 2: no structured data, meta tags that call every page a website; the
# answers that the page was made of, for its own script, and React around it

sub evershop {
    my ($p) = @_;

    my $name  = h($p->{title}, '&#x27;');
    my $money = sub { {value => 0 + $_[0], text => sprintf '€%.2f', $_[0]} };
    my %answer = (
        cart    => undef,
        shop    => {storeName => 'Shop', copyRight => '© 2026'},
        info    => {breadcrumbs => [{title => 'Home', url => '/'},
            (map { {title => $_, url => '/c' } } @{ $p->{categories} }),
            {title => $p->{name}, url => $p->{url}}]},
        related => {items => [{name => 'Related', sku => 'REL', url => '/p/r',
            price => {regular => $money->(9), special => $money->(9)}}]},
        product => {uuid => 'b569eb7b', name => $p->{name},
            description => [{html => '<p>x</p>'}], sku => $p->{sku},
            price => {regular => $money->($p->{list} // $p->{price}),
                special => $money->($p->{price})},
            inventory => {isInStock => \1}, attributes => [],
            image => {alt => $p->{name}, url => $p->{image}}, gallery => []},
    );
    my %context = (
        graphqlResponse => {map { ("e3b$_" => $answer{$_}) } keys %answer},
        propsMap => {
            e0b8 => [{origin => 'myCart', alias => 'e3bcart'},
                {origin => 'themeConfig', alias => 'e3bshop'}],
            e5f0 => [{origin => 'pageInfo', alias => 'e3binfo'}],
            e7aa => [], e7ab => [{origin => 'shelf', alias => 'e3brelated'}],
            e15f => [{origin => 'product', alias => 'e3bproduct'}]},
        config => {tax => {priceIncludingTax => \1}, pageMeta => {
            title => $p->{title}, baseUrl => HOST, route => {
                id => 'productView', path => '/product/:uuid',
                url => $p->{url}, params => {uuid => 'b569eb7b'}}}},
        widgets => [], translations => {},
    );

    $p->{has} = [qw(name sku price currency image categories),
        $p->{list} ? 'list' : ()];

    return <<"END" . tail();
<!DOCTYPE html><html id="root" lang="en"><head><meta charSet="\@CHARSET\@"/><title>$name</title><meta name="description" content="$name"/><link rel="canonical" href="$p->{url}"/><meta property="og:type" content="website"/><meta property="og:title" content="$name"/><meta property="og:url" content="$p->{url}"/><script>var eContext = @{[js(\%context)]}</script><script>(function () {
  if (typeof window === 'undefined') return;
})()</script></head><body id="body"><div id="app" class="wrapper"><!--\$-->
@{[menu(30)]}@{[odds()]}
<div class="product__detail"><h1 class="product__single__name">$name</h1><div class="product__single__price"><span class="sale-price">€$p->{price}</span></div><div class="product__single__sku">SKU: $p->{sku}</div></div><!--/\$-->
@{[cards(16)]}</div>
END
}


1;

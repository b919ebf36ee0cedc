#!/usr/bin/perl

# One line for a shop: the product pages of the shops of t/shops.t, and one
# page each of the seven in Klaviyo::Test::Pages, give a complete Viewed
# Product by "klaviyo_page on" and "page=product" alone, however they come.

use lib 't/lib';
use Klaviyo::Test;

use Compress::Zlib qw(memGunzip memGzip);
use Cwd            qw(abs_path);
use File::Basename qw(dirname);

use Klaviyo::Test::Pages   qw(pages);
use Klaviyo::Test::Php;
use Klaviyo::Test::Process qw(temp_folder write_file);
use Klaviyo::Test::Recipe  qw(fastcgi_params);

my $shops  = dirname(abs_path(__FILE__)) . '/shops';
my $folder = temp_folder();

# the page of the lamp, and what it says beside what all of them do

my %lamp = (
    woocommerce => ['/product/lamp/', Categories => ['Lighting']],
    magento2    => ['/lamp.html', ProductID => '1042'],
    shopware6   => ['/Brass-Desk-Lamp/SW1042', ProductID => '1042'],
    prestashop  => ['/lighting/1042-lamp.html', Categories => ['Lighting'],
        Brand => 'Lumen & Loom'],
    sylius      => ['/en_US/products/lamp', SKU => undef],
    map { $_ => ['/products/lamp', Categories => ['Lighting'],
        Brand => 'Lumen & Loom'] } qw(laravel rails nextjs),
);

my $t = Klaviyo::Test->new(
    http => q{
        proxy_cache_path %%DIR%%/cache keys_zone=c:1m;

        server {
            listen 127.0.0.1:%%PORT_APP%%;
            klaviyo_track off;
            chunked_transfer_encoding on;

            location / {
                root %%DIR%%/pages;
                default_type text/html;
            }

            location /gzip/ {
                alias %%DIR%%/gzip/;
                default_type text/html;
                add_header Content-Encoding gzip;
            }
        }
    },
    server => q{
        klaviyo_identity off;
        klaviyo_profile external_id u1;
        klaviyo_skip off;

        klaviyo_page   on;
        klaviyo_track  "Viewed Product"  page=product;

        location / {
            include        fastcgi_params;
            fastcgi_param  SCRIPT_FILENAME  %%DIR%%/$http_x_shop/index.php;
            fastcgi_pass   unix:%%DIR%%/php.sock;
        }

        location /p/ {
            root %%DIR%%/pages;
            default_type text/html;
        }

        location /proxied/ {
            proxy_pass http://127.0.0.1:%%PORT_APP%%/;
        }

        location /unbuffered/ {
            proxy_pass http://127.0.0.1:%%PORT_APP%%/;
            proxy_buffering off;
            proxy_buffer_size 4k;
        }

        location /gzipped/ {
            gzip on;
            gzip_proxied any;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/;
        }

        location /compressed/ {
            proxy_pass http://127.0.0.1:%%PORT_APP%%/gzip/;
        }

        location /cached/ {
            proxy_pass http://127.0.0.1:%%PORT_APP%%/;
            proxy_cache c;
            proxy_cache_valid 200 1m;
        }
    },
);

my $dir = $t->dir;
my $php = Klaviyo::Test::Php->start("$dir/php.sock", $folder);

$t->file('fastcgi_params', fastcgi_params());

for my $name (keys %lamp) {
    mkdir "$dir/$name";
    $t->file("$name/index.php", "<?php \$platform = '$name'; "
        . "require '$shops/shop.php';\n");
}

mkdir "$dir/$_" for qw(pages pages/p gzip gzip/p);

my @pages = grep { $_->{name} =~ /-2$/ } pages();

for my $page (@pages) {
    $t->file("pages$page->{uri}", $page->{html});
    $t->file("gzip$page->{uri}", memGzip($page->{html}));
}

chmod 0755, $dir, "$dir/pages", "$dir/pages/p", "$dir/gzip", "$dir/gzip/p",
    map { "$dir/$_" } keys %lamp;

$t->start;

my $seen = 0;

sub event { return $t->wait_events(++$seen)->[$seen - 1] }


# the shops of t/shops.t, as they come from PHP

for my $name (sort keys %lamp) {
    my ($path, %more) = @{ $lamp{$name} };

    for my $version (1, 2) {
        my $label  = "$name, HTTP/$version";
        my @header = (Host => 'shop.com', 'X-Shop' => $name);
        my $answer = $version == 1 ? $t->get($path, @header)
            : $t->h2($path, @header);

        is $answer->status, 200, "$label: served";

        my $event = event();
        my %is    = %{ $event->{properties} };
        my %want  = (ProductName => 'Brass Desk Lamp', SKU => 'LAMP-BRASS',
            ProductID => 'LAMP-BRASS', Price => 49,
            URL       => "http://shop.com$path",
            ImageURL  => qr{^http://shop\.com/media/}, %more);

        is $event->{metric}, 'Viewed Product', "$label: the event";
        is "$event->{value} $event->{value_currency}", '49 EUR',
            "$label: value";

        for my $property (sort keys %want) {
            ref $want{$property} eq 'Regexp'
                ? like($is{$property}, $want{$property}, "$label: $property")
                : is_deeply($is{$property}, $want{$property},
                    "$label: $property");
        }
    }
}


# each of the seven, in each way

my %property = (name => 'ProductName', sku => 'SKU', id => 'ProductID',
    brand => 'Brand', price => 'Price', list => 'CompareAtPrice',
    image => 'ImageURL', url => 'URL', categories => 'Categories');

my %way = (
    static      => ['',            'get'],
    proxied     => ['/proxied',    'get'],
    'HTTP/2'    => ['/proxied',    'h2'],
    'static, HTTP/2' => ['',       'h2'],
    unbuffered  => ['/unbuffered', 'get'],
    gzipped     => ['/gzipped',    'get', 'Accept-Encoding' => 'gzip'],
    compressed  => ['/compressed', 'get'],
    'a miss'    => ['/cached',     'get'],
    'another hit' => ['/cached',   'get'],
);

for my $page (@pages) {
    for my $way (sort keys %way) {
        ways($page, $way, @{ $way{$way} });
    }
}

is $t->account('shop')->{page}{read}, $seen, 'pages that were read';

$t->stop;
ok $php->stop, 'php-fpm went';
File::Path::remove_tree($folder);

done_testing;


sub ways {
    my ($page, $way, $prefix, $method, @header) = @_;

    my $label   = "$page->{name}, $way";
    my $product = $page->{product};
    my $answer  = $t->$method("$prefix$page->{uri}", Host => 'shop.example',
        @header);
    my $body    = $answer->body;

    $body = memGunzip($body) if ($answer->header('Content-Encoding') // '')
        eq 'gzip';

    ok $body eq $page->{html}, "$label: the page is as it was";

    my $event = event();
    my %want  = map { $_ => /^(?:price|list)$/ ? 0 + $product->{$_}
        : $product->{$_} } @{ $product->{has} };

    delete $want{currency};

    is_deeply {map { $_ => $event->{properties}{ $property{$_} } }
        keys %want}, \%want, "$label: complete"
        or diag explain $event->{properties};
    is_deeply [@{$event}{qw(value value_currency)}], [$want{price}, 'EUR'],
        "$label: value" if $want{price};

    return;
}

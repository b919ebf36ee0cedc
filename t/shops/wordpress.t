#!/usr/bin/perl

# A real WordPress behind the cookbook's configuration for WooCommerce, with
# MariaDB and php-fpm, and a visitor in Chromium: what a marketer expects
# arrives, once, and nothing else.  Run by make test-shops.

use lib 't/lib';
use Klaviyo::Test;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);

use Klaviyo::Test::Browser qw(browse told_events);
use Klaviyo::Test::Client  ();
use Klaviyo::Test::Php;
use Klaviyo::Test::Process qw(
    must_run run spawn temp_folder wait_for end_process write_file read_file
    worker_user
);
use Klaviyo::Test::Recipe  qw(recipe_parts fastcgi_params);

my $shops  = dirname(abs_path(__FILE__));
my $source = '/usr/share/wordpress';
my $themes = '/var/lib/wordpress/wp-content/themes';

die "no WordPress: run make test-shops\n" if !-d $source || !-d $themes;

my %part = recipe_parts(read_file("$shops/woocommerce.conf"));

my $t = Klaviyo::Test->new(
    name    => 'WordPress',
    account => undef,
    http    => "include /etc/nginx/mime.types;\n$part{http}" . <<'END',

# one line for a shop

server {
    listen 127.0.0.1:%%PORT_PAGES%%;
    root   %%DIR%%/www;
    index  index.php;

    klaviyo_page   on;
    klaviyo_track  "Viewed Product"  page=product;

    location / {
        try_files  $uri $uri/ /index.php?$args;
    }

    location ~ \.php$ {
        include        fastcgi_params;
        fastcgi_param  SCRIPT_FILENAME  $document_root$fastcgi_script_name;
        fastcgi_pass   unix:%%DIR%%/php.sock;
    }
}
END
    server  => $part{server},
);
my $root = $t->dir . '/www';
my $data = temp_folder();
my ($user) = worker_user();


# the database

my $as = $> == 0 ? ['--user=mysql'] : [];

chown +(getpwnam 'mysql')[2, 3], $data if $> == 0;
must_run('mysql_install_db', @$as, "--datadir=$data/db", '--skip-test-db',
    '--auth-root-authentication-method=normal');

my $mariadb = spawn(
    command => ['mariadbd', '--no-defaults', @$as, "--datadir=$data/db",
                "--socket=$data/db.sock", "--pid-file=$data/db.pid",
                '--skip-networking', '--innodb-flush-log-at-trx-commit=0'],
    stderr  => "$data/db.log",
);

ok wait_for(30, sub {
    (run('mariadb', '--no-defaults', "--socket=$data/db.sock", '-uroot',
        '-e', 'CREATE DATABASE IF NOT EXISTS wordpress'))[0] == 0;
}), 'MariaDB runs' or diag read_file("$data/db.log");


# WordPress as Debian has it, with the shop in it

must_run('cp', '-aL', "$source/.", $root) if mkdir $root;
must_run('cp', '-aL', "$themes/.", "$root/wp-content/themes");
mkdir "$root/wp-content/mu-plugins";
must_run('cp', "$shops/wordpress-shop.php", "$root/wp-content/mu-plugins");
write_file("$root/wp-config.php", <<"END");
<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:$data/db.sock');
define('WP_HOME', '@{[ $t->url('') ]}');
define('WP_SITEURL', '@{[ $t->url('') ]}');
define('WP_DEFAULT_THEME', 'twentytwentyone');
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
\$table_prefix = 'wp_';
require ABSPATH . 'wp-settings.php';
END

for my $step ('install', 'fill') {
    must_run('sh', '-c', "cd $root && php $shops/wordpress-setup.php $step");
}

must_run('chown', '-R', $user, $root) if defined $user;

my $php = Klaviyo::Test::Php->start($t->dir . '/php.sock', $data,
    ini => 1, children => 4);

$t->file('klaviyo/shop.key', $t->key, 0600);
$t->file('fastcgi_params', fastcgi_params());
$t->start;


# what the visitor does, and what a marketer expects of it

my ($code, $output) = browse($t->url(''), "$shops/wordpress.js");

is $code, 0, 'the visitor came to the end' or diag $output;
$t->get('/-', 'User-Agent' => 'a bot');
$t->wait_events(11, 10);
$t->wait_idle;

is_deeply [told_events($t)], [
    'Viewed Page / ',
    'Viewed Collection /product-category/lighting/ Collection=lighting',
    'Viewed Product /product/lamp/ ProductID=lamp',
    'Added to Cart / ProductID=4',
    'Added to Cart /product/lamp/ ProductID=lamp',
    'Viewed Product /product/mug/ ProductID=mug',
    'Searched Site / SearchTerm=lamp',
    'Viewed Page /cart/ ',
    'Started Checkout /checkout/ ',
    'Placed Order /checkout/order-received/1001/ OrderId=1001',
    'Viewed Page /my-account/ ',
], 'what a marketer expects, each once'
    or diag explain [told_events($t)];

# the page of a product says what it is

my $seen = @{ $t->sandbox->events };
my ($host) = $t->url('') =~ m{//([^/]+)};
my $answer = Klaviyo::Test::Client->new(port => $t->port('PAGES'))
    ->get('/product/lamp/', Host => $host,
        Cookie => '__kla_id=eyJjaWQiOiJhIiwiJGV4Y2hhbmdlX2lkIjoiYW5uLkFCQzEyMyJ9');

is $answer->status, 200, 'a page of a product';

my $event = $t->wait_events($seen + 1)->[$seen];

is_deeply {map { $_ => $event->{properties}{$_} } qw(ProductName ProductID SKU
    Categories ImageURL URL Brand Price CompareAtPrice)}, {
    ProductName => 'Lamp',              ProductID => 'LAMP', SKU => 'LAMP',
    Categories  => ['Lighting'],        Brand => 'Lumen & Loom',
    ImageURL    => $t->url('/wp-content/uploads/lamp.jpg'),
    URL         => $t->url('/product/lamp/'),
    Price       => 49,                  CompareAtPrice => 60,
}, 'a complete Viewed Product' or diag explain $event;
is_deeply [@{$event}{qw(value value_currency)}], [49, 'EUR'], 'its value';

$t->stop;
ok $php->stop, 'php-fpm went';
ok end_process($mariadb, 'TERM', 20), 'MariaDB went';
must_run('rm', '-rf', $data);

done_testing;

#!/usr/bin/perl

# A real EverShop behind the cookbook's configuration, with PostgreSQL, and a
# visitor in Chromium: what a marketer expects arrives, once, and nothing
# else.  Run by make test-shops.

use lib 't/lib';
use Klaviyo::Test;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);
use Mojo::JSON     qw(encode_json);

use Klaviyo::Test::Browser qw(browse told_events shops_folder);
use Klaviyo::Test::Client  ();
use Klaviyo::Test::Process qw(
    must_run run spawn temp_folder wait_for end_process running children
    read_file
);
use Klaviyo::Test::Recipe  qw(recipe_parts);

my $shops  = dirname(abs_path(__FILE__));
my $source = shops_folder() . '/evershop';
my ($bin)  = reverse sort glob '/usr/lib/postgresql/*/bin';

die "no EverShop: run make test-shops\n" if !-f "$source/built" || !$bin;

my %part = recipe_parts(read_file("$shops/evershop.conf"));

my $t = Klaviyo::Test->new(
    name    => 'EverShop',
    account => undef,
    http    => $part{http},
    server  => $part{server},
);
my $data = temp_folder();


# the database

my @as = $> != 0 ? ()
    : qw(setpriv --reuid=postgres --regid=postgres --clear-groups);
my @psql = ('psql', '-q', '-h', $data, '-U', 'postgres',
    '-v', 'ON_ERROR_STOP=1');

chown +(getpwnam 'postgres')[2, 3], $data if $> == 0;
must_run(@as, "$bin/initdb", '-D', "$data/db", '-U', 'postgres',
    '--auth=trust', '--no-sync');

my $postgres = spawn(
    command => [@as, "$bin/postgres", '-D', "$data/db", '-k', $data,
                '-c', 'listen_addresses=', '-c', 'fsync=off'],
    stderr  => "$data/db.log",
);

ok wait_for(30, sub {
    (run(@psql, '-c', 'CREATE DATABASE evershop'))[0] == 0;
}), 'PostgreSQL runs' or diag read_file("$data/db.log");


# EverShop makes its tables when it starts, and then the URLs of what is in
# them: a product's is right once its category has one

my $port  = $t->port('APP');
my $log   = "$data/evershop.log";
my $shop  = spawn(
    command => ['sh', '-c',
        "cd $source && exec node node_modules/.bin/evershop start"],
    stdout  => $log,
    stderr  => $log,
    env     => {
        PORT => $port, DB_HOST => $data, DB_PORT => 5432, DB_NAME => 'evershop',
        DB_USER => 'postgres', DB_PASSWORD => '', DB_SSLMODE => 'disable',
        NODE_CONFIG => encode_json({
            shop   => {currency => 'EUR', homeUrl => $t->url('')},
            system => {cod => {status => 1}},
        }),
    },
);

ok wait_for(120, sub { open_page('/women') }, 0.5), 'EverShop runs'
    or diag read_file($log);

my ($code, $hash) = run('sh', '-c', "cd $source && node -e \"console.log("
    . "require('bcryptjs').hashSync('password1', 4))\"");

chomp $hash;
must_run(@psql, '-d', 'evershop', '-1', '-v', "password=$hash",
    '-f', "$shops/evershop.sql");
ok wait_for(60, sub { open_page('/women/shirt') && open_page('/women/scarf') },
    0.5), 'its pages are there' or diag read_file($log);

$t->file('klaviyo/shop.key', $t->key, 0600);
$t->start;


# what the visitor does, and what a marketer expects of it

($code, my $output) = browse($t->url(''), "$shops/evershop.js");

is $code, 0, 'the visitor came to the end' or diag $output;
$t->get('/-', 'User-Agent' => 'a bot');
$t->wait_events(12, 10);
$t->wait_idle;

my @events = @{ $t->sandbox->events };
my ($order) = grep { $_->{metric} eq 'Placed Order' } @events;
my $number = $order->{properties}{OrderId};
my $path   = $order->{properties}{Path};
my $assets = $t->url('/assets');

is_deeply [told_events($t)], [
    'Viewed Page / ',
    'Viewed Collection /women CategoryName=Women',
    "Viewed Product /women/shirt ImageURL=$assets/shirt.jpg, Price=49, "
        . 'ProductID=SHIRT, ProductName=Linen Shirt, SKU=SHIRT',
    'Added to Cart /api/cart/mine/items Price=49, ProductName=Linen Shirt, '
        . 'SKU=SHIRT',
    "Viewed Product /women/scarf ImageURL=$assets/scarf.jpg, Price=14.5, "
        . 'ProductID=SCARF, ProductName=Wool Scarf, SKU=SCARF',
    'Searched Site /search SearchTerm=shirt, '
        . 'Title=Search results for: shirt',
    'Viewed Page /cart ',
    'Started Checkout /checkout ',
    "Placed Order $path OrderId=$number",
    'Viewed Page /account/login ',
    'Viewed Page / ',
    'Viewed Page /account ',
], 'what a marketer expects, each once'
    or diag explain [told_events($t)];

is_deeply [@{$order}{qw(unique_id value value_currency profile)}],
    [$number, 54, 'EUR', {email => 'buyer@shop.com'}],
    'the order, with what sending it costs';

my ($viewed) = grep { $_->{metric} eq 'Viewed Product' } @events;

is_deeply [@{$viewed}{qw(value value_currency)},
        $viewed->{properties}{Categories}],
    [49, 'EUR', ['Women']], 'what was looked at, with all that the page says';

$t->stop;

my %children = children($shop);

ok end_process($shop, 'TERM', 20), 'EverShop went';
kill 'TERM', keys %children;
ok wait_for(20, sub { !grep { running($_) } keys %children }),
    'and what it had started';
ok end_process($postgres, 'INT', 20), 'PostgreSQL went';
must_run('rm', '-rf', $data);

done_testing;


sub open_page {
    my ($path) = @_;

    my $answer = Klaviyo::Test::Client->new(port => $port)->get($path);

    return $answer->status == 200;
}

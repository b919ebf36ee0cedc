#!/usr/bin/perl

# contrib/: what it holds is what its readers read.  PHP and JavaScript that
# parse, YAML with the paths of the module, configurations that nginx takes.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run read_file write_file);

use CPAN::Meta::YAML ();
use Cwd              qw(abs_path);
use Mojo::DOM        ();
use Mojo::JSON       qw(decode_json);


sub program {
    my ($name) = @_;

    return !system "command -v $name >/dev/null 2>&1";
}

sub found {
    my ($pattern) = @_;

    return sort split /\n/, `find contrib -name '$pattern'`;
}


subtest 'PHP' => sub {
    plan skip_all => 'no php' if !program('php');

    my @files = found('*.php');

    cmp_ok @files, '>', 5, 'snippets';

    for my $file (@files) {
        my ($code, $output) = run('php', '-l', $file);

        is $code, 0, $file or diag $output;
    }
};


# an order, told by each, with functions of the shop that say what they ask

subtest 'what WooCommerce would tell' => sub {
    plan skip_all => 'no php' if !program('php');

    my $t = Klaviyo::Test->new(sandbox => 0, module => 0);
    my $stub = $t->file('stub.php', <<'END' . "\n");
<?php
define('ABSPATH', '/');
$actions = []; $headers = [];
function add_action($name, $f) { global $actions; $actions[] = $f; }
function wp_json_encode($x) { return json_encode($x); }
function is_order_received_page() { return true; }
function is_product() { return false; }
function is_user_logged_in() { return true; }
function get_current_user_id() { return 7; }
function absint($x) { return abs((int) $x); }
function get_query_var($x) { return '12'; }
function wp_unslash($x) { return stripslashes($x); }
function sanitize_text_field($x) { return $x; }
function wc_get_order($n) { return new Order; }
class Product { function get_sku() { return 'LAMP'; } }
class WC_Order_Item_Product {
    function get_product() { return new Product; }
    function get_product_id() { return 1042; }
    function get_quantity() { return 2; }
    function get_total() { return '29.00'; }
    function get_name() { return "Ma\u{df}krug\n"; }
}
class Order {
    function get_order_key() { return 'wc_1'; }
    function get_order_number() { return '1001'; }
    function get_total() { return '33.90'; }
    function get_total_discount() { return '5'; }
    function get_coupon_codes() { return ['SPRING']; }
    function get_currency() { return 'EUR'; }
    function get_billing_email() { return 'ann@shop.test'; }
    function get_billing_first_name() { return 'Ann'; }
    function get_billing_last_name() { return ''; }
    function get_items() { return [3 => new WC_Order_Item_Product]; }
}
END

    my $tell = sub {
        my ($key) = @_;

        my $run = $t->file('run.php', "<?php require '$stub';\n"
            . "\$_GET['key'] = '$key';\n"
            . 'require ' . "'" . abs_path('contrib/snippets/woocommerce/'
                . 'klaviyo-headers.php') . "';\n"
            . 'foreach ($actions as $f) { $f(); }' . "\n");

        # a script has no headers: they are printed

        return run('php', '-d', 'disable_functions=header,headers_sent', '-r',
            'function header($x) { echo $x, "\n"; }'
            . ' function headers_sent() { return false; }'
            . " require '$run';");
    };

    my ($code, $output) = $tell->('wc_1');

    is $code, 0, 'it runs' or diag $output;

    my ($json) = $output =~ /^X-Klaviyo-Event: (.*)$/m;
    my $events = decode_json($json // '[]');

    is_deeply [map { "$_->{metric} $_->{unique_id} $_->{value}" } @$events],
        ['Placed Order 1001 33.9', 'Ordered Product 1001_0 29'], 'the order';
    is $events->[0]{profile}{email}, 'ann@shop.test', 'whose it is';
    unlike $json, qr/[^\x20-\x7e]/, 'ASCII in one line';
    like $output, qr/^X-Customer-ID: 7$/m, 'who is logged in';

    ($code, $output) = $tell->('wc_2');
    unlike $output, qr/X-Klaviyo-Event/, 'not to who has no key of the order';
    $t->stop;
};


subtest 'JavaScript' => sub {
    plan skip_all => 'no node' if !program('node');

    my $t = Klaviyo::Test->new(sandbox => 0, module => 0);

    $t->file('klaviyo.mjs', read_file('contrib/snippets/headless/klaviyo.js'));

    my $run = $t->file('run.mjs', <<'END');
import { klaviyoEvents, orderEvents } from "./klaviyo.mjs";
const set = [];
const events = orderEvents({ number: 1001, total: 33.9, currency: "EUR",
    email: "ann@shop.test", items: [{ id: 7, sku: "L", name: "Maßkrug \n",
    quantity: 3, price: 0.1 }] });
const response = { headersSent: false, setHeader: (n, v) => set.push(n, v) };
console.log(klaviyoEvents(response, events));
console.log(set[0] + ": " + set[1]);
console.log(klaviyoEvents(response, ["x".repeat(20000)]));
console.log(klaviyoEvents(new Response(""), events));
END

    my ($code, $output) = run('node', $run);

    is $code, 0, 'it runs' or diag $output;

    my ($json) = $output =~ /^X-Klaviyo-Event: (.*)$/m;
    my $events = decode_json($json // '[]');

    is $events->[1]{value}, 0.3, 'money';
    is $events->[1]{properties}{ProductName}, "Ma\x{df}krug \n", 'a name';
    unlike $json // "\n", qr/[^\x20-\x7e]/, 'ASCII in one line';
    is join(' ', $output =~ /^(true|false)$/mg), 'true false true',
        'too large is left out';
    $t->stop;
};


subtest 'XML and JSON' => sub {
    for my $file (found('*.xml')) {
        my $dom = Mojo::DOM->new->xml(1)->parse(read_file($file));

        is $dom->children->size, 1, "$file has one root";
        ok !system("xmllint --noout $file"), "$file is well-formed"
            if program('xmllint');

        for my $class ($dom->find('[instance], service[id]')->map(sub {
            $_->attr('instance') // $_->attr('id')
        })->each) {
            my ($vendor, $module, @path) = split /\\/, $class;
            my $path = join '/', @path;

            ok scalar(grep { m{\Q$path\E\.php$} } found('*.php')),
                "$class is there";
        }
    }

    ok decode_json(read_file($_)), "$_ is JSON" for found('composer.json');
};


my @yaml = (found('*.yaml'), glob('.github/*.yml'),
    glob('.github/*/*.yml'));

subtest 'YAML' => sub {
    cmp_ok @yaml, '>', 1, 'files';

    for my $file (@yaml) {
        if (!system 'python3 -c "import yaml" 2>/dev/null') {
            my ($code, $output) = run('python3', '-c',
                'import sys, yaml; list(yaml.safe_load_all(open(sys.argv[1])))',
                $file);

            is $code, 0, "$file parses" or diag $output;
        } else {
            ok !(grep { /\t/ } split /\n/, read_file($file)), "$file: no tabs";
        }
    }
};


# what is written in two places is the same in both

subtest 'paths' => sub {
    my $code = join '', map { read_file($_) }
        glob('ngx_klaviyo_module/account/*.[ch]'),
        glob('ngx_klaviyo_module/queue/klaviyo_paths.h');
    my @paths = ('/run/nginx-klaviyo', '/var/spool/nginx-klaviyo');

    for my $path (@paths) {
        like $code, qr/"\Q$path\E\//, "$path is the module's";

        for my $file ('contrib/docker/Dockerfile',
            'contrib/docker/compose.yaml', 'contrib/docker/README.md',
            'contrib/kubernetes/nginx.yaml', 'contrib/systemd/klaviyo.conf')
        {
            like read_file($file), qr/\Q$path\E(?![\w-])/, "$file: $path";
        }
    }

    for my $file ('contrib/docker/shop.conf', 'contrib/kubernetes/nginx.yaml') {
        like read_file($file), qr{api_key_file\s+/etc/nginx/klaviyo/shop\.key;},
            "$file: the key";
    }

    # the library packages of the image are those that a build takes

    my $docker = read_file('contrib/docker/Dockerfile');
    my ($needs) = read_file('Makefile') =~ /^BUILD_DEPS\s*=(.*?)(?<!\\)\n/ms;

    for my $package (grep { /^lib.*-dev$|^zlib/ } split /[\s\\]+/, $needs) {
        like $docker, qr/\b\Q$package\E\b/, "Dockerfile: $package";
    }

    my $deps = read_file('contrib/docker/modules/klaviyo/build-deps');

    for my $package (split /\n/, $deps) {
        like $needs, qr/\b\Q$package\E\b/, "build-deps: $package";
    }

    is read_file('contrib/docker/modules/klaviyo/source'),
        "/modules/klaviyo/src\n", 'source is a folder of the image';
};


# in place of what only a container has

sub here {
    my ($t, $text) = @_;

    my $dir = $t->dir;

    return $text =~ s{/etc/nginx/klaviyo/shop\.key}{$dir/shop.key}gr
        =~ s{/run/credentials/nginx\.service/klaviyo-shop}{$dir/shop.key}gr
        =~ s{/run/nginx-klaviyo/}{$t->{queue_dir}/}gr
        =~ s{/var/spool/nginx-klaviyo/}{$dir/spool-}gr
        =~ s{server app:80;}{server 127.0.0.1:9;}gr
        =~ s{listen\s+8080;}{listen 127.0.0.1:@{[ $t->port('SHOP') ]};}gr;
}

subtest 'nginx takes them' => sub {
    my @snippets = ['contrib/docker/shop.conf',
        read_file('contrib/docker/shop.conf')];

    my ($map) = read_file('contrib/kubernetes/nginx.yaml')
        =~ /default\.conf: \|\n((?:    .*\n|\n)+)/;

    push @snippets, ['contrib/kubernetes/nginx.yaml', $map =~ s/^    //gmr];

    my ($account) = read_file('contrib/systemd/README.md')
        =~ /```nginx\n(.*?)```/s;

    push @snippets, ['contrib/systemd/README.md', $account];

    for my $snippet (@snippets) {
        my ($name, $text) = @$snippet;

        my $t = Klaviyo::Test->new(sandbox => 0, account => undef);

        $text =~ s/(klaviyo_account shop \{\n)/$1 queue $t->{queue_dir}\/q.ring; spool off;\n/
            if $text !~ /^\s*queue\s/m;

        $t->set(http => here($t, $text));

        my ($code, $output) = $t->check;

        is $code, 0, $name or diag $output;
        $t->stop;
    }
};


# the demo's configuration as its container makes it

subtest 'the demo of the container' => sub {
    my $t    = Klaviyo::Test->new(sandbox => 0, account => undef);
    my $dir  = $t->dir;
    my $root = abs_path('.');

    mkdir "$dir/tmp";
    mkdir "$dir/bin";

    my $user = $t->{user};

    write_file("$dir/bin/nginx", "#!/bin/sh\nexit 0\n", 0755);

    # /tmp first: what comes after may be below it

    my $script = read_file('contrib/docker/demo.sh')
        =~ s{/tmp\b}{$dir/tmp}gr
        =~ s{/demo/nginx\.conf\.in}{$root/demo/nginx.conf.in}gr
        =~ s{/demo/shop}{$root/demo/shop}gr
        =~ s{/run/nginx-klaviyo/}{$t->{queue_dir}/}gr
        =~ s{/var/spool/nginx-klaviyo/}{$dir/spool-}gr
        =~ s{modules/ngx_http_klaviyo_module\.so}{$t->{module_file}}gr
        =~ s{\|8080\|}{|127.0.0.1:@{[ $t->port('SHOP') ]}|}r
        =~ s{listen 8081}{listen 127.0.0.1:@{[ $t->port('PAGE') ]}}r
        =~ s{s\|%%USER%%\|\|}{s|%%USER%%|$user|}r;

    my $file = $t->file('demo.sh', $script, 0755);
    my ($code, $output) = run('sh', '-c',
        "PATH=$dir/bin:\$PATH exec sh $file");

    is $code, 0, 'the script' or diag $output;

    my $text = read_file("$dir/tmp/nginx.conf");

    unlike $text =~ s/^ *#.*//gmr, qr/%%/, 'nothing is left to fill in';

    write_file("$dir/nginx.conf", $text);
    ($code, $output) = $t->check;
    is $code, 0, 'nginx takes it' or diag $output;
    $t->stop;
};


# nginx.conf of the image, with a conf.d of one file

subtest 'the configuration of the image' => sub {
    my $t   = Klaviyo::Test->new(sandbox => 0, account => undef);
    my $dir = $t->dir;

    mkdir "$dir/conf.d";
    mkdir "$dir/tmp";
    $t->file('mime.types', "types { text/html html; }\n");
    $t->file('conf.d/default.conf', here($t,
        read_file('contrib/docker/shop.conf')
        =~ s/(klaviyo_account shop \{\n)/$1 queue $t->{queue_dir}\/q.ring; spool off;\n/r));

    my $text = read_file('contrib/docker/nginx.conf')
        =~ s{/tmp/}{%%TMP%%/}gr =~ s{/etc/nginx/}{$dir/}gr
        =~ s{%%TMP%%}{$dir/tmp}gr
        =~ s{modules/ngx_http}{$t->{module_file} #}r =~ s{#\S*;}{;}r;

    write_file("$dir/nginx.conf", "$t->{user}\n$text");

    my ($code, $output) = $t->check;

    is $code, 0, 'nginx takes it' or diag $output;
    like $text, qr{/dev/stderr}, 'it logs to the engine';
    $t->stop;
};


subtest 'a unit' => sub {
    my $text = read_file('contrib/systemd/klaviyo.conf');

    my ($name) = $text =~ /^LoadCredential=([\w-]+):/m;

    like read_file('contrib/systemd/README.md'),
        qr{/run/credentials/nginx\.service/\Q$name\E;}, 'the path of it';

    plan skip_all => 'no systemd-analyze' if !program('systemd-analyze');

    my $t    = Klaviyo::Test->new(sandbox => 0, module => 0);
    my $unit = $t->file('nginx.service', "[Service]\nExecStart=/bin/true\n"
        . $text =~ s/^\[Service\]//mr);
    my (undef, $output) = run('systemd-analyze', 'verify', '--man=no', $unit);

    unlike $output, qr/\Q$unit\E:|Unknown|Failed to parse/, 'systemd reads it'
        or diag $output;
    $t->stop;
};

done_testing;

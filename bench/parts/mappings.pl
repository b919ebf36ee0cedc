#!/usr/bin/perl

# 6. Webhooks: what an order costs the worker that njs makes events of, by
# contrib/njs/klaviyo_webhooks.js, and what the same costs by klaviyo_json.
#
# One worker takes the same order again and again, first in a location that
# only reads it, then in one that makes its events; the worker's own time, by
# the kernel's account of it, is divided by the orders.  What is captured is
# delivered meanwhile to a sink, and that is in it.

use v5.32;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../t/lib";

use Mojo::JSON qw(decode_json encode_json);

use Bench;
use Bench::Config ();
use Klaviyo::Test::Client;
use Klaviyo::Test::Process qw(free_port read_file write_file);

my $bench   = Bench->new;
my $root    = "$FindBin::Bin/../..";
my $orders  = $bench->less(1000, 50);
my $rounds  = $bench->less(3, 1);
my @senders = qw(shopify woocommerce bigcommerce stripe zoom typeform);
my %topic   = (shopify => ['X-Shopify-Topic' => 'orders/create'],
               woocommerce => ['X-WC-Webhook-Topic' => 'order.created']);

write_file("$bench->{dir}/klaviyo.js",
    read_file("$root/contrib/njs/klaviyo_webhooks.js"), 0644);

my %body = map { $_ => read_file("$root/t/payloads/$_.json") } @senders;

# an order as large as they come: 100 lines

$body{shopify_100} = do {
    my $order = decode_json($body{shopify});
    my @lines = @{ $order->{line_items} };

    $order->{line_items} = [map { $lines[$_ % @lines] } 1 .. 100];
    encode_json($order);
};

$topic{shopify_100} = $topic{shopify};

my $sink = $bench->sink;
my $port = free_port();
my $only = join '', map { "        location = /$_ { "
    . "klaviyo_track_json \$${_}_events; try_files /204 =204; }\n" } @senders;

my $nginx = $bench->nginx(ports => [$port], config => <<"END");
load_module $bench->{module};
load_module $bench->{root}/objs/modules/ngx_http_js_module.so;
$bench->{user}
daemon            off;
worker_processes  1;
error_log         %%DIR%%/error.log warn;
pid               %%DIR%%/nginx.pid;
events { worker_connections 1024; }

http {
    access_log          off;
    keepalive_requests  100000000;
@{[ Bench::Config::temp_paths() ]}
@{[ Bench::Config::account($bench, sink => $sink) ]}
    js_import  klaviyo from $bench->{dir}/klaviyo.js;
@{[ join '', map { "    js_set \$${_}_events klaviyo.$_;\n" } @senders ]}

    klaviyo_json  \$order_id        \$request_body  /id;
    klaviyo_json  \$order_total     \$request_body  /total_price;
    klaviyo_json  \$order_currency  \$request_body  /currency;
    klaviyo_json  \$order_email     \$request_body  /email;
    klaviyo_json  \$order_names     \$request_body  /line_items/*/title;

    server {
        listen                   127.0.0.1:$port;
        client_body_buffer_size  1m;
        klaviyo_request_body     on;
        klaviyo_skip             off;
        klaviyo_identity         off;
        klaviyo_defaults         off;

        location = /read { klaviyo_identify if=0; try_files /204 =204; }

        location = /pointers {
            klaviyo_profile  email  \$order_email;
            klaviyo_event "Placed Order" {
                value     \$order_total  \$order_currency;
                property  OrderId    \$order_id;
                property  ItemNames  \$order_names  json;
            }
            try_files /204 =204;
        }
$only
    }
}
END

my $client = Klaviyo::Test::Client->new(port => $port);
my %result = (orders => $orders, rounds => $rounds);

$result{bytes}{$_} = length $body{$_} for keys %body;

for my $case (@senders, 'shopify_100', 'pointers') {
    my $name = $case eq 'pointers' ? 'shopify' : $case;
    my $path = $case eq 'shopify_100' ? 'shopify' : $case;
    my @costs;

    for (1 .. $rounds) {
        my $read = cost('/read', $name);

        push @costs, cost("/$path", $name) - $read;
    }

    $result{us}{$case} = Bench::median(@costs);
    $bench->say_on(sprintf 'mappings: %s %.0f us', $case, $result{us}{$case});
}

$bench->stop($nginx);
$bench->save(mappings => \%result);


# microseconds of the worker for each order
sub cost {
    my ($path, $name) = @_;

    my $n   = $name eq 'shopify_100' ? $orders / 10 : $orders;
    my @header = ('Content-Type' => 'application/json',
                  @{ $topic{$name} // [] });

    my $send = sub {
        my $status = $client->request(POST => $path, \@header,
            $body{$name})->status;

        die "$path answered $status\n" if $status != 204;
    };

    $send->() for 1 .. 20;

    my $cpu = $bench->cpu($nginx->{worker});

    $send->() for 1 .. $n;

    return 1e6 * ($bench->cpu($nginx->{worker}) - $cpu) / $n;
}

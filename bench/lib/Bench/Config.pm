package Bench::Config;

# The configurations that are compared.  All serve the same pages, from disk
# or by proxy; they differ in what is done about a request besides.

use v5.32;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(config account TRACK);


# the ten properties, and what the others write of the same fields

use constant TRACK => <<'END';
klaviyo_event "Viewed Product" {
                property  ProductID    $arg_id;
                property  SKU          $arg_sku;
                property  ProductName  $arg_name;
                property  Price        $arg_price       number;
                property  Quantity     $arg_n           number;
                property  Categories   $arg_categories  list;
                property  InStock      $arg_stock       bool;
                property  Currency     $cookie_currency;
                property  Language     $http_accept_language;
                property  Host         $host;
            }
END

use constant JSON => join '', "log_format event escape=json '{",
    join(",'\n        '",
        '"metric":"Viewed Product","time":"$time_iso8601"',
        '"unique_id":"$request_id","__kla_id":"$cookie___kla_id"',
        '"properties":{"URL":"$scheme://$host$request_uri","Path":"$uri"',
        '"Method":"$request_method","Status":"$status"',
        '"Referrer":"$http_referer","UserAgent":"$http_user_agent"',
        '"utm_source":"$arg_utm_source","ProductID":"$arg_id"',
        '"SKU":"$arg_sku","ProductName":"$arg_name","Price":"$arg_price"',
        '"Quantity":"$arg_n","Categories":"$arg_categories"',
        '"InStock":"$arg_stock","Currency":"$cookie_currency"',
        '"Language":"$http_accept_language","Host":"$host"}}'),
    "';\n";

# %%SINK%%: the collector's port; main, http: other levels

my %variant = (
    untracked => {},

    bare => {module => 1, location => 'klaviyo_track "Viewed Page";'},

    ten => {module => 1, location => TRACK},

    viewed => {module => 1, location => 'klaviyo_track "Viewed Product";'},

    page => {module => 1, location => 'klaviyo_page on; '
        . 'klaviyo_track "Viewed Product" page=product;'},

    access_log => {
        http     => JSON,
        location => 'access_log %%DIR%%/event.log event buffer=64k flush=1s;',
    },

    floor => {
        load     => ['floor'],
        http     => 'klaviyo_floor %%MEMORY%%/floor.ring 256m;',
        location => 'klaviyo_floor_event;',
    },

    syslog => {
        http     => JSON,
        location => 'access_log syslog:server=unix:%%SOCKET%% event;',
    },

    mirror => {
        http     => 'upstream collector { server 127.0.0.1:%%SINK%%;'
            . ' keepalive 64; }',
        location => 'mirror /collect;',
        server   => <<'END',
        location = /collect {
            internal;
            proxy_pass               http://collector;
            proxy_http_version       1.1;
            proxy_set_header         Connection "";
            proxy_set_header         X-Request-URI $request_uri;
            proxy_pass_request_body  off;
            proxy_set_header         Content-Length "";
        }
END
    },

    lua => {
        load => [qw(ndk_http ngx_http_lua)],
        http => <<'END',
    lua_max_pending_timers  65536;
    lua_max_running_timers  16384;
    lua_package_path        "%%PEERS%%/?.lua;%%LUA%%/?.lua;;";
    init_worker_by_lua_block { event = require "event" }
END
        location => 'log_by_lua_block { event.log(%%SINK%%) }',
    },

    njs => {
        load => [qw(ngx_http_js)],
        http => 'js_path %%PEERS%%; js_import event from event.js;'
            . ' upstream collector { server 127.0.0.1:%%SINK%%;'
            . ' keepalive 64; }',
        location => 'js_header_filter event.send;',
        server   => <<'END',
        location = /collect {
            internal;
            proxy_pass                  http://collector;
            proxy_http_version          1.1;
            proxy_set_header            Connection "";
            proxy_pass_request_headers  off;
        }
END
    },
);


# variant; page ("static" or "proxied"), port, status (port), app (port of the
# application), workers, log (level), more variables in capitals
sub config {
    my ($bench, $name, %option) = @_;

    my $variant = $variant{$name} // die "no variant $name\n";

    my $load = join '', map { "load_module $_;\n" }
        ($variant->{module} ? $bench->{module} : ()),
        map { $_ eq 'floor' ? $bench->program('floor.so')
                  : "$bench->{root}/objs/modules/${_}_module.so" }
        @{ $variant->{load} // [] };

    my $account = $variant->{module}
        ? $option{account} // account($bench, %option) : '';

    my $status = $variant->{module} ? <<"END" : '';
    server {
        listen 127.0.0.1:$option{status};
        location = /klaviyo_status { klaviyo_status json; }
    }
END

    my $http     = $variant->{http}     // '';
    my $server   = $variant->{server}   // '';
    my $location = $option{location} // $variant->{location} // '';
    my $main     = $option{main}        // '';
    my $workers  = $option{workers}     // 1;
    my $log      = $option{log}         // 'warn';

    my $page = ($option{page} // 'static') eq 'static'
        ? "root $bench->{dir}/site;" : <<'END';
proxy_pass          http://application;
            proxy_http_version  1.1;
            proxy_set_header    Connection "";
END

    my $application = $option{app} ? <<"END" : '';
    upstream application {
        server     127.0.0.1:$option{app};
        keepalive  64;
    }
END

    my $text = <<"END";
$load
$bench->{user}
daemon            off;
worker_processes  $workers;
error_log         %%DIR%%/error.log $log;
pid               %%DIR%%/nginx.pid;
$main

events {
    worker_connections  8192;
}

http {
    access_log          off;
    sendfile            on;
    keepalive_requests  100000000;
    default_type        text/html;

@{[ temp_paths() ]}
$application
$account
    $http

    server {
        listen 127.0.0.1:$option{port};

        location / {
            $location
            $page
        }

$server
    }

$status
}
END

    my %value = (
        SINK   => $option{sink}{ports}{ok},
        MEMORY => $bench->{memory},
        SOCKET => $option{sink}{socket},
        PEERS  => "$bench->{dir}/peers",
        LUA    => "$bench->{root}/objs/modules/lua",
    );

    $text =~ s/%%(SINK|SOCKET|PEERS|LUA|MEMORY)%%/$value{$1}/g;

    return $text;
}


sub temp_paths {
    return join '', map { "    ${_}_temp_path %%DIR%%/temp;\n" }
        qw(client_body proxy fastcgi scgi uwsgi);
}


# endpoint (that of the sink), queue (its name), size (of it), more (settings)
sub account {
    my ($bench, %option) = @_;

    my $endpoint = $option{endpoint}
        // "http://127.0.0.1:$option{sink}{ports}{ok}";
    my $queue = $option{queue} // 'shop';
    my $size  = $option{size} // '512m';
    my $more  = $option{more} // '';
    my $spool = $option{spool} // 'off';

    return <<"END";
    klaviyo_account shop {
        api_key_file  $bench->{dir}/key;
        endpoint      $endpoint;
        queue         $bench->{memory}/$queue.ring size=$size;
        spool         $spool;
        $more
    }
END
}


1;

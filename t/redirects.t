#!/usr/bin/perl

# Which rules a request has: those of the location that its URI chose first,
# through every internal redirect, and those that stand in the location where
# it ends itself.  Each fires once, with what its location says of events.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_skip off;
        klaviyo_profile external_id x;
        log_format captured '$request_uri $klaviyo_captured';

        server {
            listen 127.0.0.1:%%PORT_APP%%;
            location / { return 200 "app $request_uri\n"; }
            location /accel { add_header X-Accel-Redirect /inside/lamp.php;
                              add_header X-Klaviyo-Event $http_x_say;
                              return 200; }
            location /gone { return 404; }
            location /created { return 201; }
            location /fails { return 503; }
        }
    },
    server => <<'END');
        access_log %%DIR%%/captured.log captured;
        log_subrequest on;
        root %%DIR%%;

        klaviyo_track "Viewed Page";
        klaviyo_property Level server;

        # where all of it ends, as in most shops

        location ~ ^/(?<handle>[a-z]+)(\.php)$ {
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location ~ ^/product/(?<handle>[^/]+)/(.*)$ {
            klaviyo_event "Viewed Product" {
                property Handle $handle;
                property Rest   $2;
                property Uri    $uri;
                property Status $status;
                property Level  product;
            }
            klaviyo_profile city Paris;
            klaviyo_defaults off;
            try_files $uri $uri/ /index.php?$args;
        }

        location /page { try_files $uri /index.php?$args; }

        location /off { klaviyo_track off; try_files $uri /index.php; }

        location /own {
            klaviyo_track "First";
            try_files $uri /last.x;
        }

        location = /last.x {
            klaviyo_track "Last";
            klaviyo_property Level last;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /off/own { klaviyo_track off; rewrite ^ /last.x last; }

        location /chain { klaviyo_track off; try_files $uri /middle; }
        location /middle { klaviyo_track "Middle"; rewrite ^ /index.php last; }

        location /rewrite/last {
            klaviyo_track "Rewritten";
            rewrite ^ /index.php last;
        }

        location /rewrite/if {
            klaviyo_track "No If";
            if ($arg_if) {
                klaviyo_track "If";
                rewrite ^ /index.php last;
            }
            if ($arg_gone) {
                klaviyo_track "If Gone" status=410;
                return 410;
            }
            rewrite ^ /index.php last;
        }

        error_page 410 /gone.html;
        location = /gone.html { return 200 "gone\n"; }

        location /named { klaviyo_track "Named"; try_files $uri @app; }
        location @app { proxy_pass http://127.0.0.1:%%PORT_APP%%; }

        location @own {
            klaviyo_track "In Named";
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }
        location /two/named { klaviyo_track "Named"; try_files $uri @own; }

        location /error {
            klaviyo_track "Found";
            klaviyo_track "Missing" status=404;
            error_page 404 /missing.php;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/gone;
        }

        location /recovered {
            klaviyo_track "Recovered";
            error_page 404 =200 /found.php;
            proxy_intercept_errors on;
            proxy_pass http://127.0.0.1:%%PORT_APP%%/gone;
        }

        location ~ ^/accel/(?<handle>\w+) {
            klaviyo_event "Downloaded" { property Handle $handle; }
            klaviyo_response_header X-Klaviyo-Event;
            proxy_set_header X-Say $http_x_say;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }
        location ~ ^/inside/(?<handle>\w+)\.php { internal; return 200 "in\n"; }

        location /dir/ { klaviyo_track "Index"; index none.html index.txt; }
        location /id {
            klaviyo_event "Id" { unique_id $arg_id; }
            try_files $uri /id.php?$args;
        }
        location = /id.php {
            add_header X-Id $klaviyo_event_id;
            return 200 "id\n";
        }

        location /consent {
            klaviyo_track "Consented";
            klaviyo_consent $arg_consent;
            try_files $uri /index.php?$args;
        }

        location /headers {
            klaviyo_track off;
            klaviyo_response_header X-Klaviyo-Event;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /default {
            klaviyo_track "Default";
            location /default/200 { return 200 ""; }
            location /default/204 { return 204; }
            location /default/301 { return 301 /; }
            location /default/303 { return 303 /; }
            location /default/304 { return 304; }
            location /default/404 { return 404; }
        }

        location /ssi {
            klaviyo_track off;
            ssi on;
            ssi_types text/plain;
            default_type text/plain;
            alias %%DIR%%/page.shtml;
        }
        location /part {
            klaviyo_track "Part";
            try_files $uri /index.php;
        }

        location = /bench { klaviyo_track off; return 200 ""; }
END

mkdir $t->dir . '/dir';
$t->file('dir/index.txt', "index\n");
$t->file('page.shtml', qq(<!--# include virtual="/part" -->\n));

$t->start;

my $seen = 0;

sub events {
    my ($path, %option) = @_;

    my $method = delete $option{method} // 'GET';

    

    $t->request($method => $path, $option{headers} // []);
    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = splice @events, $seen;

    $seen += @new;

    return sort { $a->{metric} cmp $b->{metric} } @new;
}

sub metrics { return [map { $_->{metric} } events(@_)] }

sub captured {
    my ($uri) = @_;

    open my $in, '<', $t->dir . '/captured.log' or die "captured.log: $!";

    my @lines = grep { /^\Q$uri\E[? ]/ } <$in>;

    return @lines ? $lines[-1] =~ s/^.* (\S+)\n$/$1/r : 'no line';
}


# try_files, and what goes with the rule

my ($product) = events('/product/lamp/in/red');

is $product->{metric}, 'Viewed Product', 'try_files: the first location fires';
is $product->{properties}{Handle}, 'lamp',
    'a named capture that the last location has as well';
is $product->{properties}{Rest}, 'in/red', 'a positional one';
is $product->{properties}{Uri}, '/index.php', 'a variable has its last value';
is $product->{properties}{Status}, 200, 'so has $status';
is $product->{properties}{Level}, 'product', 'its properties';
ok !exists $product->{properties}{URL}, 'its klaviyo_defaults';
is $product->{profile}{location}{city}, 'Paris', 'its profile';
is captured('/product/lamp/in/red'), 1, '$klaviyo_captured';

is_deeply metrics('/page'), ['Viewed Page'],
    'an inherited rule: that of the first location, once';
is_deeply metrics('/off'), [], 'off in the first location, inherited in the last';
is_deeply metrics('/own'), ['First', 'Last'], 'both have their own';
is_deeply metrics('/off/own'), ['Last'], 'only the last has';
is_deeply metrics('/rewrite/last'), ['Rewritten'], 'rewrite ... last';
is_deeply metrics('/rewrite/if'), ['No If'], 'an if that does not apply';
is_deeply metrics('/rewrite/if?if=1'), ['If'], 'an if that does';
is_deeply metrics('/rewrite/if?gone=1'), ['If Gone'], 'return in an if';
is_deeply metrics('/named'), ['Named'], 'a named location';
is_deeply metrics('/two/named'), ['In Named', 'Named'],
    'a named location with a rule of its own';
is_deeply metrics('/error'), ['Missing'], 'status= asks about the last answer';
is_deeply metrics('/recovered'), ['Recovered'], 'error_page with =200';
is_deeply metrics('/dir/'), ['Index'], 'index, in the same location';

is_deeply metrics('/chain'), [], 'a location in between has no say';
is captured('/chain'), 'location', 'which is said';
is $t->account('shop')->{reasons}{skipped}{location}, 1, 'and counted';


# X-Accel-Redirect

my ($download) = events('/accel/file');

is $download->{metric}, 'Downloaded', 'X-Accel-Redirect';
is $download->{properties}{Handle}, 'file', 'with the first captures';

is_deeply metrics('/accel/file',
                  headers => ['X-Say' => '{"metric":"Said"}']),
    ['Downloaded', 'Said'], 'and klaviyo_response_header';


# variables, consent, a subrequest

my $id = $t->get('/id?id=o-1')->{headers}{'x-id'};
my ($order) = events('/bench');

is $id, 'o-1', '$klaviyo_event_id in the last location';
is $order->{unique_id}, 'o-1', 'is that of the event';

is_deeply metrics('/consent'), [], 'no consent';
is captured('/consent'), 'consent', 'is the reason';
is_deeply metrics('/consent?consent=1'), ['Consented'], 'consent';

is_deeply metrics('/ssi'), ['Part'], 'a subrequest has a first location too';


# what was said when nothing was

is_deeply metrics('/headers'), [], 'no header in the answer';
is captured('/headers'), 'no_header', 'is said';


# statuses without status=

is_deeply metrics("/default/$_"), ['Default'], "GET $_" for 200, 204, 304;
is_deeply metrics("/default/$_"), [], "GET $_: none" for 301, 303, 404;
is_deeply metrics("/default/$_", method => 'HEAD'), [], "HEAD $_: none"
    for 301, 404;
is_deeply metrics("/default/$_", method => 'POST'), ['Default'], "POST $_"
    for 200, 301, 303;
is_deeply metrics('/default/404', method => 'POST'), [], 'POST 404: none';

$t->stop;

done_testing;

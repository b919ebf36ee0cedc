#!/usr/bin/perl

# What Chromium says when it asks for a page before anybody opens it, for each
# eagerness of speculation rules and for <link rel=prefetch>; and that with
# klaviyo_prefetch's default a click is one view, whatever was asked ahead.
# Run by make test-shops.

use lib 't/lib';
use Klaviyo::Test;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);

use Klaviyo::Test::Browser qw(browse);
use Klaviyo::Test::Process qw(read_file);

my $shops = dirname(abs_path(__FILE__));

my $t = Klaviyo::Test->new(
    name => 'prefetch',
    vars => {RULES => '<script type=speculationrules>{"$arg_kind":[{"urls":'
        . '["$arg_target"],"eagerness":"$arg_eagerness"}]}</script>'},
    http => q{
        log_format asked '$uri $status $http_sec_purpose '
                         '$http_sec_fetch_dest $http_sec_fetch_mode';

        map $arg_kind $head {
            link     '<link rel=prefetch href="$arg_target">';
            default  '%%RULES%%';
        }
    },
    server => q{
        default_type text/html;
        access_log %%DIR%%/asked.log asked;

        location ~ ^/\w+/page$ {
            return 200 '<html><head>$head</head><body>
                <a id=link href="$arg_target">go</a></body></html>';
        }

        location /refuse/target/ {
            klaviyo_track "Viewed" view;
            return 200 '<html><body>target</body></html>';
        }

        location /skip/target/ {
            klaviyo_prefetch skip;
            klaviyo_track "Viewed" view;
            return 200 '<html><body>target</body></html>';
        }

        location /count/target/ {
            klaviyo_prefetch count;
            klaviyo_track "Viewed" view;
            return 200 '<html><body>target</body></html>';
        }
    },
);

$t->start;

local $ENV{KLAVIYO_ASKED} = $t->dir . '/asked.log';

my ($code, $output) = browse($t->url(''), "$shops/prefetch.js");

is $code, 0, 'the visitor came to the end' or diag $output;
$t->get('/-', 'User-Agent' => 'a bot');
$t->wait_idle;

my (%asked, %views);

for (split /\n/, read_file($ENV{KLAVIYO_ASKED})) {
    push @{ $asked{$1} }, $2 if m{^/\w+/target/(\S+) (.*)};
}

$views{$_}++ for map { $_->{properties}{Path} =~ m{([^/]+)$} }
    @{ $t->sandbox->events };

my $click = '200 - document navigate';

for my $mode (qw(refuse skip count)) {
    my $name = "$mode-link-none";

    is_deeply $asked{$name}, ['200 prefetch empty no-cors', $click],
        "$name: asked for as a part, then as a page";
    is $views{$name}, 1, "$name: one view";

    for my $kind (qw(prefetch prerender)) {
        my $purpose = $kind eq 'prefetch' ? $kind : "prefetch;$kind";

        for my $eagerness (qw(immediate eager moderate conservative)) {
            my $way = "$mode-$kind-$eagerness";

            is_deeply $asked{$way}, $mode eq 'refuse'
                ? ["503 $purpose document navigate", $click]
                : ["200 $purpose document navigate"],
                "$way: " . ($mode eq 'refuse' ? 'refused, then asked for'
                    : 'asked for once, as a page')
                or diag explain $asked{$way};
            is $views{$way} // 0, $mode eq 'skip' ? 0 : 1, "$way: the views";
        }
    }
}

$t->stop;

done_testing;

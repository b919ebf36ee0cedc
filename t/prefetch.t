#!/usr/bin/perl

# klaviyo_prefetch: the request by which a browser makes a page ready is the
# only one of the click.  It is refused, so that the click asks; or skipped, or
# counted.  What Chromium says and does is in t/shops/prefetch.t.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_profile external_id x;

        server {
            listen 127.0.0.1:%%PORT_APP%%;
            access_log %%DIR%%/app.log;
            location / { return 200 "app\n"; }
        }
    },
    server => <<'END');
        location / {
            klaviyo_track "Viewed";
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /skip   { klaviyo_prefetch skip;
                           klaviyo_track "Viewed"; return 200 ""; }
        location /count  { klaviyo_prefetch count;
                           klaviyo_track "Viewed"; return 200 ""; }
        location /refuse { klaviyo_prefetch refuse; klaviyo_skip gpc;
                           klaviyo_track "Viewed"; return 200 ""; }
        location /all    { klaviyo_skip off;
                           klaviyo_track "Viewed"; return 200 ""; }
        location /none   { return 200 ""; }

        location /if {
            if ($arg_shop) {
                klaviyo_track "Viewed";
            }
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /maintained {
            klaviyo_track "Viewed" status=503;
            error_page 503 /sorry;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /fallback {
            klaviyo_track "Viewed";
            error_page 503 =200 /sorry;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
        }

        location /sorry {
            klaviyo_track "Sorry";
            return 200 "sorry\n";
        }
END

$t->start;

my %was;

sub asked {
    my ($method, $path, @headers) = @_;

    my $status = $t->request($method, $path, [@headers])->status;

    my $account = $t->account('shop');
    my %is = (captured => $account->{captured},
              prefetch => $account->{reasons}{skipped}{prefetch},
              subresource => $account->{reasons}{skipped}{subresource});

    my @moved = map { my $n = $is{$_} - ($was{$_} // 0); ($_) x $n }
        sort keys %is;
    %was = %is;

    return join ' ', $status, @moved;
}

sub apps {
    open my $in, '<', $t->dir . '/app.log' or return 0;
    my @lines = <$in>;
    return scalar @lines;
}

my @page = ('Sec-Purpose' => 'prefetch', 'Sec-Fetch-Dest' => 'document');
my @render = ('Sec-Purpose' => 'prefetch;prerender',
              'Sec-Fetch-Dest' => 'document');
my @link = ('Sec-Purpose' => 'prefetch', 'Sec-Fetch-Dest' => 'empty');

# by default

is asked(GET => '/', @page), '503 prefetch', 'a page is refused';
is asked(GET => '/', @render), '503 prefetch', 'so is one that is rendered';
is apps(), 0, 'the application was not asked';
is asked(GET => '/'), '200 captured', 'the click counts';
is asked(GET => '/', @link), '200 prefetch', 'a part is skipped';
is asked(GET => '/', 'Sec-Purpose' => 'prefetch'), '200 prefetch',
    'what does not say that it is a page is skipped';
is asked(GET => '/', 'Purpose' => 'prefetch', 'Sec-Fetch-Dest' => 'document'),
    '200 prefetch', 'what does not say it as browsers do, too';
is asked(GET => '/none', @page), '200', 'where nothing is tracked';
is asked(POST => '/', @page), '200 prefetch',
    'not what acts';
is asked(GET => '/all', @page), '200 captured', 'klaviyo_skip off';

# by word

is asked(GET => '/skip', @page), '200 prefetch', 'skip';
is asked(GET => '/count', @page), '200 captured', 'count';
is asked(GET => '/refuse', @page), '503 prefetch', 'refuse';
is asked(GET => '/refuse', @link), '200 prefetch', 'refuse: a part is skipped';

# redirects, and rules of an `if`

is asked(GET => '/if?shop=1', @page), '503 prefetch', 'rules of an "if"';
is asked(GET => '/if', @page), '200', 'which does not apply';
is asked(GET => '/maintained', @page), '503 prefetch',
    'refused once, by no error_page';
is asked(GET => '/fallback', @page), '503 prefetch',
    'nor by one that would answer with a page';

$t->stop;

my ($code, $output) = config_test(server => 'klaviyo_prefetch maybe;');

isnt $code, 0, 'an unknown word';
like $output, qr/invalid value "maybe": expected "skip", "count" or "refuse"/,
    'is told, and what to write';

done_testing;

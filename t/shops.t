#!/usr/bin/perl

# Shops as people run them: for each t/shops/NAME.conf, which the cookbook
# shows, and for the README's five minutes, what visitors do is in
# t/shops/NAME.events, and each event of it arrives, once, and no other.
# Behind are a php-fpm and t/shops/shop.php.
#
# A line of the table is what somebody does, the request, the answer and the
# events; the answer may begin a line of its own.
#
#   product         GET /product/lamp/      200     Viewed Product: ProductID=x
#
# The request is [who] METHOD target [body]; who does it: "fetch" a script,
# "asset" a page's element, "staff" somebody with the admin's cookie, "bot",
# "prefetch", "again" a browser that has the page, "other" a visitor without
# the cookies of the rows above, and the routers of Next.js; a browser that
# goes there without one.  The answer is the status and, if it matters, where
# a redirect leads, what X-Cache says, or a word of the page.  The events are
# divided by " | "; they have the properties that stand there and no others
# than the defaults.  "value", "email" and "unique_id" are not properties.

use lib 't/lib';
use Klaviyo::Test;

use Cwd            qw(abs_path);
use File::Basename qw(basename dirname);
use File::Path     qw(make_path);
use MIME::Base64   qw(encode_base64);
use Mojo::JSON     qw(encode_json);

use Klaviyo::Test::Php;
use Klaviyo::Test::Process qw(temp_folder write_file read_file);
use Klaviyo::Test::Recipe  qw(recipe_parts fastcgi_params);

my $shops  = dirname(abs_path(__FILE__)) . '/shops';
my @names  = @ARGV ? @ARGV
    : map { basename($_, '.events') } glob "$shops/*.events";
my $folder = temp_folder();
my $php    = Klaviyo::Test::Php->start("$folder/php.sock", $folder);

# the folder of index.php, where it is not the root

my %public = (magento2 => '/pub', map { $_ => '/public' }
    qw(shopware6 sylius laravel rails));

# those that nginx talks HTTP to

my %proxied = map { $_ => 1 } qw(rails django nextjs);

# files below the root; a .php is another name of index.php

my @wordpress = qw(wp-login.php wp-admin/index.php wp-admin/admin-ajax.php
    wp-content/themes/shop/style.css);
my %files = (
    'woocommerce'               => \@wordpress,
    'woocommerce-fastcgi-cache' => \@wordpress,
    'readme'                    => \@wordpress,
    'woocommerce-page-cache'    => [@wordpress,
        map { "wp-content/cache/supercache/shop.com/${_}index.html" }
            '', 'product/lamp/'],
    magento2   => [map { "pub/$_" } qw(get.php static.php errors/404.php
        static/version1/frontend/styles.css media/catalog/product/lamp.jpg)],
    shopware6  => ['public/theme/0190/css/all.css'],
    prestashop => [qw(admin-dev/index.php themes/classic/theme.css
        img/p/1/0/4/2/1042-home_default.jpg)],
    sylius     => [qw(public/build/shop/app.css public/other.php)],
    laravel    => [qw(public/build/app.css public/.env)],
    rails      => [qw(public/assets/app.css private/invoice.pdf
        private/guide.html)],
    django     => ['static/shop.css'],
);

my %who = (
    ''       => ['Sec-Fetch-Dest' => 'document', 'Sec-Fetch-Mode' =>
                 'navigate', 'Sec-Fetch-User' => '?1'],
    fetch    => ['Sec-Fetch-Dest' => 'empty', 'Sec-Fetch-Mode' => 'cors',
                 'X-Requested-With' => 'XMLHttpRequest'],
    asset    => ['Sec-Fetch-Dest' => 'image', 'Sec-Fetch-Mode' => 'no-cors'],
    bot      => ['User-Agent' => 'Mozilla/5.0 (compatible; Googlebot/2.1; '
                 . '+http://www.google.com/bot.html)'],
    prefetch => ['Sec-Fetch-Dest' => 'empty', 'Sec-Purpose' => 'prefetch'],
    router   => ['Sec-Fetch-Dest' => 'empty', RSC => '1',
                 'Next-Url' => '/'],
    'router-prefetch' => ['Sec-Fetch-Dest' => 'empty', RSC => '1',
                 'Next-Router-Prefetch' => '1', 'Next-Url' => '/'],
    data     => ['Sec-Fetch-Dest' => 'empty', 'X-Nextjs-Data' => '1'],
    'data-prefetch' => ['Sec-Fetch-Dest' => 'empty', 'X-Nextjs-Data' => '1',
                 'Purpose' => 'prefetch'],
);

# the properties that every event has

my @defaults = qw(URL Path Method Status UserAgent Referrer utm_source);


# a table -> its rows, each {n, title, who, visitor, method, target, body,
# status, answer, events => [...]}

sub table {
    my ($path) = @_;

    my $text = read_file($path) =~ s/\n {20,}/  /gr;
    my @rows;

    for my $line (split /\n/, $text) {
        my ($what, $who, $method, $target, $body, $status, $answer, $events)
            = $line =~ m{^(.{16})((?:[a-z-]+\ )*)([A-Z]+)\ (/\S*)
                (?:\ (\S.*?))?\s+(\d{3})(?:\ (\S+))?(?:\s{2,}(\S.*))?$}x
            or die "$path: $line\n";

        push @rows, {
            n       => scalar @rows,
            title   => $what =~ s/\s+$//r . ": $who$method $target",
            who     => $who,
            visitor => ($who =~ /\bother\b/ ? 'other' : 'ann') . '.ABC123',
            method  => $method,
            target  => $target,
            body    => $body,
            status  => $status,
            answer  => $answer,
            events  => [map { event($_) } split / \| /, $events // ''],
        };
    }

    return @rows;
}


sub event {
    my ($text) = @_;

    my ($metric, $list) = split /: /, $text, 2;

    return {metric => $metric, map { split /=/, $_, 2 }
        split /, (?=\w+=)/, $list // ''};
}


# an event of the sandbox, as the table would have it

sub told {
    my ($event) = @_;

    my %told = (metric => $event->{metric}, %{ $event->{properties} });

    delete @told{@defaults, 'Row'};

    if ($event->{metric} eq 'Placed Order') {
        $told{value} = "$event->{value} $event->{value_currency}";
        $told{email} = $event->{profile}{email};
        $told{unique_id} = $event->{unique_id};
    }

    return \%told;
}


# the cookies of a visitor

sub take_cookies {
    my ($jar, $answer) = @_;

    my $set = $answer->header('Set-Cookie') // '';

    $jar->{$1} = $2 while $set =~ /(?:^|, )([^=;, ]+)=([^;,]*)/g;

    return;
}


# the root of the shop: its index.php and its files

sub make_root {
    my ($name, $dir) = @_;

    my $root     = "$dir/www";
    my $index    = $root . ($public{$name} // '') . '/index.php';
    my $platform = $name =~ /^readme$|^woo/ ? 'woocommerce' : $name;

    for my $path ($index, map { "$root/$_" } @{ $files{$name} // [] }) {
        make_path(dirname($path), {mode => 0755});
        write_file($path, $path =~ /\.php$/
            ? "<?php \$platform = '$platform'; require '$shops/shop.php';\n"
            : "cached\n");
    }

    return $index;
}


# the configuration of the README's five minutes, as a recipe of the cookbook

sub readme {
    my ($block) = read_file("$shops/../../README.md")
        =~ /^   ```nginx\n(   klaviyo_account .*?)^   ```$/ms
        or die "README.md has no klaviyo_account\n";

    $block =~ s/^   //gm;
    $block =~ s/^server \{\n(.*)^\}\n/# in server { }\n$1/ms;

    return "# in http { }\n$block";
}


# an nginx with a shop in it

sub start_shop {
    my ($name) = @_;

    my %part = recipe_parts($name eq 'readme' ? readme()
        : read_file("$shops/$name.conf"));

    $part{http} .= "klaviyo_property  Row  \$http_x_row;\n";
    $part{http} .= <<'END' if $proxied{$name};

server {
    listen 127.0.0.1:%%PORT_APP%%;
    klaviyo_property Row "";

    location / {
        include        fastcgi_params;
        fastcgi_param  SCRIPT_FILENAME  %%INDEX%%;
        fastcgi_pass   unix:%%DIR%%/php.sock;

        fastcgi_ignore_headers  X-Accel-Redirect;
        fastcgi_pass_header     X-Accel-Redirect;
    }
}
END

    my $t = Klaviyo::Test->new(
        name    => $name,
        account => undef,
        http    => $part{http},
        server  => $part{server},
        vars    => {INDEX => ''},
    );

    $t->file('klaviyo/shop.key', $t->key, 0600);
    $t->file('fastcgi_params', fastcgi_params());
    symlink "$folder/php.sock", $t->dir . '/php.sock'
        or die "symlink failed: $!\n";
    $t->set(vars => {INDEX => make_root($name, $t->dir)});

    return $t->start;
}


# what the headers of a row's request are

sub headers {
    my ($row, $jar, $validators) = @_;

    my @who = split / /, $row->{who};
    my ($kind)  = grep { $who{$_} } @who;
    my %cookies = (
        %$jar,
        __kla_id => encode_base64(encode_json(
            {'$exchange_id' => $row->{visitor}}), '') =~ s/=/%3D/gr,
    );

    $cookies{admin} = 1 if grep { $_ eq 'staff' } @who;

    return (
        Host => 'shop.com', 'X-Row' => $row->{n},
        Cookie => join('; ', map { "$_=$cookies{$_}" } sort keys %cookies),
        @{ $who{ $kind // '' } },
        (grep { $_ eq 'again' } @who) ? @$validators : (),
        !defined $row->{body} ? ()
            : ('Content-Type' => $row->{body} =~ /^\{/ ? 'application/json'
               : 'application/x-www-form-urlencoded'),
    );
}


# the answer is the one of the row

sub answered {
    my ($row, $answer) = @_;

    my $what = $row->{title};
    my $want = $row->{answer} // '';
    my $to   = ($answer->header('Location') // '')
        =~ s{^http://shop\.com}{}r =~ s/\?.*//r;

    is $answer->status, $row->{status}, "$what: $row->{status}";
    is $answer->header('X-Klaviyo-Event'), undef, "$what: nothing inside";

    if ($want =~ m{^/}) {
        is $to, $want, "$what: $want";

    } elsif ($want =~ /^[A-Z]+$/) {
        is $answer->header('X-Cache'), $want, "$what: $want";

    } elsif ($want ne '') {
        like $answer->body, qr/\b\Q$want\E\b/, "$what: $want";
    }

    return;
}


# the events are those of the row

sub fired {
    my ($row, @events) = @_;

    my $what = $row->{title};
    my @told = map { told($_) } @events;
    my ($path) = $row->{target} =~ /^([^?]*)/;

    is_deeply \@told, $row->{events}, "$what: its events"
        or diag explain \@told;

    for my $event (@events) {
        is_deeply [@{ $event->{properties} }{qw(Path Method Status)}],
            [$path, $row->{method}, $row->{status}], "$what: of it";
        is_deeply $event->{profile}, {_kx => $row->{visitor}},
            "$what: who it was" if !$event->{profile}{email};
    }

    return;
}


sub shop {
    my ($name) = @_;

    my $t      = start_shop($name);
    my @rows   = table("$shops/$name.events");
    my $client = $t->client;
    my (%jar, %validators);

    for my $row (@rows) {
        my $other  = $row->{visitor} =~ /^other/;
        my $answer = $client->request($row->{method}, $row->{target},
            [headers($row, $other ? {} : \%jar,
                $validators{ $row->{target} })], $row->{body});

        answered($row, $answer);
        take_cookies(\%jar, $answer) if !$other;

        $validators{ $row->{target} } = [map {
            defined $answer->header($_->[1])
                ? ($_->[0] => $answer->header($_->[1])) : ()
        } ['If-None-Match', 'ETag'], ['If-Modified-Since', 'Last-Modified']];
    }

    # whatever this connection asked for before is in the queue by then

    $client->get('/-', Host => 'shop.com', 'User-Agent' => 'a bot');
    $t->wait_events(scalar(map { @{ $_->{events} } } @rows), 5);
    $t->wait_idle;

    my @got = map { [] } @rows;

    for my $event (@{ $t->sandbox->events }) {
        push @{ $got[ delete $event->{properties}{Row} ] }, $event;
    }

    fired($_, @{ $got[ $_->{n} ] }) for @rows;

    $t->stop;

    return;
}


for my $name (@names) {
    subtest $name => sub { shop($name) };
}

is $php->log, '', 'nothing in the log of PHP';
ok $php->stop, 'php-fpm went';

File::Path::remove_tree($folder);

done_testing;

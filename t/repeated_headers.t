#!/usr/bin/perl

# A header that an answer has several times, as WordPress has Link: all of
# them are read, with any nginx.

use lib 't/lib';
use Klaviyo::Test;


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_profile   external_id  x;
        klaviyo_defaults  off;

        map $upstream_http_link $post {
            ~/wp/v2/product/(?<post_id>[0-9]+)>  $post_id;
        }

        server {
            listen 127.0.0.1:%%PORT_APP%%;

            add_header Link '<http://shop.com/wp-json/>; rel="api"';
            add_header Link '<http://shop.com/wp-json/wp/v2/product/4>';
            add_header X-Other one;
            add_header link '<http://shop.com/?p=4>; rel=shortlink';
            add_header X-One alone;
            add_header X-Said '{"metric": "A"}';
            add_header X-Said '{"metric": "B"}';

            location / { return 200 "app\n"; }
            location /many {
                set $n 1;
                add_header X-A 1; add_header X-B 1; add_header X-C 1;
                add_header X-D 1; add_header X-E 1; add_header X-F 1;
                add_header X-G 1; add_header X-H 1; add_header X-I 1;
                add_header X-J 1; add_header X-K 1; add_header X-L 1;
                add_header X-Tag a; add_header X-M 1; add_header X-N 1;
                add_header X-O 1; add_header X-P 1; add_header X-Q 1;
                add_header X-R 1; add_header X-S 1; add_header X-T 1;
                add_header X-U 1; add_header X-V 1; add_header X-W 1;
                add_header X-Tag b; add_header X-Tag c;
                return 200 "";
            }
        }
    },
    server => q{
        location / {
            klaviyo_event "Viewed" {
                property  Links   $upstream_http_link;
                property  Post    $post;
                property  One     $upstream_http_x_one;
                property  None    $upstream_http_x_none;
                property  Tags    $upstream_http_x_tag  list;
                property  Sent    $sent_http_x_two;
                property  SentOne $sent_http_x_one;
                property  Hidden  $sent_http_x_said;
            }

            klaviyo_response_header X-Said;
            proxy_pass http://127.0.0.1:%%PORT_APP%%;
            add_header X-Two a;
            add_header X-Two b;
        }
    },
);

$t->start;

my $seen = 0;

sub viewed {
    my ($path, $n) = @_;

    $t->get($path);
    $t->wait_events($seen + $n);

    my @events = @{ $t->sandbox->events };
    my @new    = splice @events, $seen;

    $seen += @new;

    return map { $_->{metric} eq 'Viewed' ? $_->{properties} : $_->{metric} }
        sort { $b->{metric} cmp $a->{metric} } @new;
}

my ($is, @named) = viewed('/', 3);

is_deeply $is, {
    Links => '<http://shop.com/wp-json/>; rel="api", '
        . '<http://shop.com/wp-json/wp/v2/product/4>, '
        . '<http://shop.com/?p=4>; rel=shortlink',
    Post    => 4,
    One     => 'alone',
    Sent    => 'a, b',
    SentOne => 'alone',
}, 'all of Link, in the map too; what stands alone; nothing of what is none';
is_deeply \@named, ['B', 'A'], 'each of klaviyo_response_header';

($is) = viewed('/many', 1);
is_deeply $is->{Tags}, ['a', 'b', 'c'], 'far from each other, as a list';

$t->stop;

done_testing;

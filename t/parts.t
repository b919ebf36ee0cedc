#!/usr/bin/perl

# Arguments and cookies of an event are what nginx itself has for $arg_<name>
# and $cookie_<name>, whatever the request looks like: the access log says it.

use lib 't/lib';
use Klaviyo::Test;

use Mojo::JSON qw(decode_json);

use constant ROUNDS => $ENV{KLAVIYO_SLOW} ? 100 : 300;

my @names = qw(arg_a arg_aa arg_bc_1 cookie_a cookie_aa cookie_bc_1
    arg_own cookie_own arg_mapped);

my $properties = join "\n", map { "property $_ \$$_;" } @names;
my $log        = join ',', map { qq("$_":"\$$_") } @names;

my $t = Klaviyo::Test->new(
    http => qq{
        klaviyo_profile   external_id  x;
        klaviyo_defaults  off;
        klaviyo_identity  off;

        large_client_header_buffers 4 32k;

        map \$http_x_n \$arg_mapped { default "of a map"; }

        log_format parts escape=json '{"n":"\$http_x_n",$log}';
    },
    server => qq{
        location / {
            set \$arg_own    "set \$arg_a";
            set \$cookie_own "set \$cookie_a";

            klaviyo_event "Seen" {
                property  n  \$http_x_n;
                $properties
            }

            access_log %%DIR%%/parts.log parts;
            return 200 "";
        }

        location /other {
            rewrite ^ /rewritten?a=other&aa=\$arg_aa;
        }

        location /emptied {
            rewrite ^ /rewritten?;
        }

        location /args {
            set \$args a=changed&\$args;
            rewrite ^ /rewritten;
        }
    },
);

$t->start;

my @requests = (
    map({ ["/?$_"] } '', 'a=1', 'a', 'a=', '=1', '&', '&&a=1', 'a=1&',
        'A=1&a=2', 'a=1&A=2', 'aa=1&a=2', 'a&a=3', 'x=a=1&a=2', 'a==1&a=2',
        '%61=5&a=2', 'a=1%26aa=2', 'a=1?a=2', '?a=1', 'bC_1=x&bc_1=y',
        'aa=&aa=2', 'a=1#a=2', 'b#a=1', "a=\xc3\xa4", 'xa=1', 'a;aa=2&aa=3',
        join('&', map({ "x$_=$_" } 1 .. 14), 'a=14', 'aa=15', 'bc_1=16'),
        join('&', map({ "x$_=$_" } 1 .. 15), 'a=15', 'aa=16', 'bc_1=17'),
        join('&', map({ "x$_=$_" } 1 .. 40), 'a=41')),
    map({ ["/$_?a=1&aa=2"] } qw(other emptied args)),
    map({ ['/', Cookie => $_] } 'a=1', 'a=1; aa=2', 'a=1;aa=2', 'a=1 ; aa=2',
        'A=1; a=2', 'a=1; A=2', 'aa=1; a=2', 'a', 'a; a=1', 'a;a=1;a=2',
        'a=1; ; aa=2', ';a=1', '; a=1', 'a=1;', 'a=1; ', 'a =1; aa= 2',
        'a=1, aa=2', 'x=1,a=2; aa=3', "a=1;\taa=2", "\ta=1", 'a=1=2; aa==',
        '=x; a=1', 'a=', 'a=; aa=', 'bc_1=x y; a=2', 'a="1; aa=2"',
        join('; ', map({ "x$_=$_" } 1 .. 31), 'a=31'),
        join('; ', map({ "x$_=$_" } 1 .. 32), 'a=32'),
        join('; ', map({ "x$_=$_" } 1 .. 50), 'a=51')),
    ['/?a=arg', Cookie => 'a=1', Cookie => 'aa=2; a=3'],
    ['/'],
);

srand 18;

my @names_of = ('a', 'aa', 'A', 'bc_1', 'x', 'a');
my @values_of = ('1', '', 'x=y', 'a', '%61', 'one?two');

# mostly as it should be, and now and then as it should not
sub text {
    my ($between, @odd) = @_;

    my $text = '';

    for (1 .. 1 + rand 6) {
        $text .= $names_of[rand @names_of] . '=' . $values_of[rand @values_of]
            . $between;
        $text .= $odd[rand @odd] if rand() < 0.1;
    }

    return $text;
}

for (1 .. ROUNDS) {
    push @requests, [
        '/?' . text('&', '&', '=', 'a', 'aa=', ';', '?', '%'),
        Cookie => text('; ', ';', ' ', ',', 'a', 'a ;', '=', "\t", 'aa=')];
}

my $client = $t->client;

for my $n (0 .. $#requests) {
    my ($path, @headers) = @{ $requests[$n] };

    $client->request(GET => $path, ['X-N' => $n, @headers]);
}

$t->wait_events(scalar @requests);

my %logged = map { $_->{n} => $_ } map { decode_json($_) }
    split /\n/, do { local (@ARGV, $/) = $t->dir . '/parts.log'; <> };

is keys %logged, @requests, 'each request is in the log';

my @wrong;

for my $event (@{ $t->sandbox->events }) {
    my $is  = $event->{properties};
    my $was = $logged{ $is->{n} };

    for my $name (@names) {
        my $value = $was->{$name} // '';

        next if ($is->{$name} // '') eq ($value =~ /\S/ ? $value : '');

        push @wrong, "$name of (@{ $requests[$is->{n}] }): "
            . ($is->{$name} // 'none') . ", nginx has $value";
    }
}

is_deeply \@wrong, [], 'events have what nginx has';

my $found = grep { ($_->{properties}{arg_a} // '') ne ''
    && ($_->{properties}{cookie_a} // '') ne '' } @{ $t->sandbox->events };

ok $found > ROUNDS / 10, "$found requests have both";

is $logged{0}{arg_own}, 'set ', 'a `set` of such a name is one';

$t->stop;

done_testing;

#!/usr/bin/perl

# The rooms keep their doors: who may include whom, how a file looks.

use strict;
use warnings;

use File::Basename qw(dirname basename);
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/../ngx_klaviyo_module";

my $fleet = "$FindBin::Bin/../ngx_klaviyo_fleet_module";
my @files = sort(glob("$root/*/*.[ch]"), glob("$root/*.[ch]"),
                 glob("$fleet/*.[ch]"));

ok(@files > 20, 'the sources are there');

# What each room may include besides itself and the system's headers: one of
# its headers says so.

my %may = (

    # a module of its own: of the other's files it includes what they share
    ngx_klaviyo_fleet_module => [qw(nginx account)],
);

for my $file (glob("$root/*/*.h")) {
    my $head = text($file) =~ m{^/\*(.*?)\*/}s ? $1 =~ s/\n \*/ /gr : '';
    my $room = basename(dirname($file));

    next unless $head =~ /\bRoom (\w+)\.\s+May include: ([^.]*)\./;

    is($1, $room, basename($file) . ' speaks of its room');
    ok(!$may{$room}, "one header speaks of $room");

    $may{$room} = [$2 =~ /\b(nginx|jansson|account|capture|json|page|queue
                             |transport|report)\b/gx];
}

for my $room (map { basename($_) } grep { -d } glob("$root/*")) {
    ok($may{$room}, "a header says what $room may include");
}

for my $file (@files) {
    my $room = basename(dirname($file));
    my $name = basename($file);
    my $is_module = dirname($file) eq $root;

    open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
    my @lines = <$in>;
    close $in;

    my @wrong;

    # nginx's configuration asks the system's headers for more than they show
    # by default, and the first of them decides

    if ($name =~ /^ngx_/) {
        my ($first) = grep { /^#\s*include/ } @lines;

        like($first, qr/<ngx_config\.h>|\bngx_http_klaviyo_\w+\.h"/,
             "$room/$name begins with nginx's headers");
    }

    for my $line (@lines) {
        next unless $line =~ /^#\s*include\s+["<]([^">]+)[">]/;
        my $target = $1;

        my $what = $target =~ m{^(\w+)/}      && exists $may{$1} ? $1
                 : $target =~ m{^ng(x|inx)_(?!http_klaviyo)}      ? 'nginx'
                 : $target eq 'jansson.h'                         ? 'jansson'
                 : $target =~ m{^curl/}                           ? 'curl'
                 : $target =~ m{^hiredis/}                        ? 'hiredis'
                 : $target =~ m{klaviyo}                          ? $room
                 :                                                  next;

        next if $is_module && $what ne 'curl';
        next if $what eq $room;
        next if $what eq 'curl' && $room eq 'delivery'
                && $name =~ /^ngx_http_klaviyo_transport/;
        next if $what eq 'hiredis' && $name eq 'klaviyo_fleet_reply.h';
        next if $what eq 'delivery' && $room =~ /fleet/
                && $target =~ m{/(?:klaviyo_(?:limiter|slot)
                                   |ngx_http_klaviyo_job)\.h$}x;
        next if $what eq 'nginx' && $name =~ /^klaviyo_/
                && push(@wrong, "$target in plain C");
        next if grep { $_ eq $what } @{ $may{$room} // [] };
        next if $target
                    =~ m{^delivery/ngx_http_klaviyo_(transport|report)\.h$}
                && grep { $_ eq $1 } @{ $may{$room} // [] };

        push @wrong, $target;
    }

    is_deeply(\@wrong, [], "$room/$name includes what it may");

    is_deeply([grep { length($lines[$_ - 1]) > 81 } 1 .. @lines], [],
              "$room/$name: 80 columns");
    is_deeply([grep { $lines[$_ - 1] =~ /\t|[ \t]\n$/ } 1 .. @lines], [],
              "$room/$name: no tabs, no blanks at line ends");
}

# mapped bytes are touched in queue/ only, by the files of the ring

my $format = qr/include "klaviyo_ring_(?:format|private)\.h"/;
my @private = ('klaviyo_ring_format.h', map { basename($_) }
               grep { text($_) =~ $format } glob("$root/queue/*.h"));

ok(@private > 5, 'the private headers of the ring are known');

for my $file (@files) {
    my $name = basename($file);

    next if $name =~ /^klaviyo_(ring|lease)/;

    is_deeply([grep { text($file) =~ /"(?:queue\/)?\Q$_\E"/ } @private], [],
              "$name keeps its hands off the ring's format");
}

done_testing();


sub text {
    my ($file) = @_;

    open my $in, '<', $file or die "$file: $!";
    local $/;

    return scalar <$in>;
}

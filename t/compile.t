#!/usr/bin/perl

# Our own code compiles without a warning, with gcc and with clang, whatever
# optimisation and hardening the packager of nginx chose.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $root   = "$FindBin::Bin/..";
my $src    = $ENV{NGINX_SRC} // '/usr/share/nginx/src';
my $tmp    = tempdir(CLEANUP => 1);
my @source = sort(glob("$root/ngx_klaviyo_module/*/*.c"),
                  glob("$root/ngx_klaviyo_*module/*.c"));

my @include = map { "-isystem $src/src/$_" }
    qw(core event event/modules os/unix http http/modules http/v2);

push @include, "-isystem $root/objs/nginx", "-I$root/ngx_klaviyo_module";

# what nginx's configure asks clang for beside these

my %more = (gcc => '', clang => '-Wpointer-arith -Wconditional-uninitialized');

for my $cc (qw(gcc clang)) {
    for my $flags ('-O2 -D_FORTIFY_SOURCE=2', '-O0') {
        my @bad;

        for my $file (@source) {
            my $out = `$cc -c $flags -fPIC -Wall -Wextra -Werror $more{$cc} \\
                       @include -o $tmp/out.o $file 2>&1`;

            push @bad, "$file: $out" if $? != 0 || $out ne '';
        }

        is_deeply(\@bad, [], "$cc $flags -Wall -Wextra -Werror");
    }
}

done_testing();

#!/usr/bin/perl

# Our own code compiles without a warning, with gcc and with clang, whatever
# optimisation and hardening the packager of nginx chose.

use strict;
use warnings;

use Cwd        qw(abs_path);
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $root   = abs_path("$FindBin::Bin/..");
my $src    = $ENV{NGINX_SRC} // '/usr/share/nginx/src';
my $tmp    = tempdir(CLEANUP => 1);
my @source = sort(glob("$root/ngx_klaviyo_module/*/*.c"),
                  glob("$root/ngx_klaviyo_*module/*.c"));

my @include = map { "-isystem $src/src/$_" }
    qw(core event event/modules os/unix http http/modules http/v2);

push @include, "-isystem $root/objs/nginx", "-I$root/ngx_klaviyo_module";

# Clang warns before it optimises, and gcc as it does.  The last of clang's are
# what nginx's configure asks it for beside the others.

my @compilers = (
    'gcc -O2 -D_FORTIFY_SOURCE=2 -c',
    'gcc -O0 -c',
    'clang -O2 -D_FORTIFY_SOURCE=2 -fsyntax-only'
        . ' -Wpointer-arith -Wconditional-uninitialized',
);

for my $cc (@compilers) {
    my $out = `cd $tmp && $cc -fPIC -Wall -Wextra -Werror @include @source 2>&1`;

    is "$? $out", '0 ', "$cc -Wall -Wextra -Werror";
}

done_testing();

#!/usr/bin/perl

# nginx's ./configure with the module: what is missing is named, with what to
# install.  A compiler that cannot link a library stands in for its absence.

use strict;
use warnings;

use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/..";
my $src  = $ENV{NGINX_SRC} // '/usr/share/nginx/src';

# what stops in our config does so without what nginx asks of the system before

my $folder = tempdir(CLEANUP => 1);
my $short  = "$folder/configure";

is system("sed '/auto\\/headers\$/s/\\. .*/:/; /auto\\/unix\$/s/\\. .*/:/' "
    . "$src/configure > $short"), 0, 'configure, short';

for my $missing (
    ['-lcurl', qr/requires libcurl.*OpenSSL.*libcurl4-openssl-dev/s],
    ['-ljansson', qr/requires the jansson library.*libjansson-dev/s],
    ['-lidn2', qr/requires the libidn2 library.*libidn2-dev/s],
    ['-lssl', qr/requires OpenSSL 1.1.1 or newer.*libssl-dev/s],
    ['-lcrypto', qr/requires OpenSSL 1.1.1 or newer.*libssl-dev/s],
) {
    my ($library, $message) = @$missing;
    my $tmp = tempdir(CLEANUP => 1);

    open my $out, '>', "$tmp/cc" or die $!;
    print $out <<"END";
#!/bin/sh
case " \$* " in *" $library "*) exit 1;; esac
exec cc "\$@"
END
    close $out;
    chmod 0755, "$tmp/cc";

    my $output = `cd $src && sh $short --builddir=$tmp/objs \\
        --with-cc=$tmp/cc --with-compat --add-dynamic-module=$root 2>&1`;

    isnt $?, 0, "without $library: stops";
    like $output, $message, "without $library: says what to install";
}

# libcurl 8.20.0 keeps a processor busy

{
    my $tmp = tempdir(CLEANUP => 1);

    mkdir "$tmp/curl" or die $!;

    open my $out, '>', "$tmp/curl/curl.h" or die $!;
    print $out <<'END';
#include_next <curl/curl.h>
#undef LIBCURL_VERSION_NUM
#define LIBCURL_VERSION_NUM 0x081400
END
    close $out;

    my $output = `cd $src && sh $short --builddir=$tmp/objs \\
        --with-cc-opt=-I$tmp --with-compat --add-dynamic-module=$root 2>&1`;

    isnt $?, 0, 'with libcurl 8.20.0: stops';
    like $output, qr/requires libcurl 7.87 or newer,\nbut not 8\.20\.0/,
        'with libcurl 8.20.0: says what is needed';
}

# elsewhere than on Linux it says so

{
    my $tmp = tempdir(CLEANUP => 1);
    my $output = `cd $src && sh $short --builddir=$tmp/objs \\
        --crossbuild=FreeBSD:14.1-RELEASE:amd64 --with-compat \\
        --add-dynamic-module=$root 2>&1`;

    isnt $?, 0, 'another system: stops';
    like $output, qr/is for Linux/, 'another system: says so';
}

# the dynamic module is what every other test runs

my $tmp = tempdir(CLEANUP => 1);
my $output = `cd $src && ./configure --builddir=$tmp/objs --with-compat \\
    --add-module=$root 2>&1`;

is $?, 0, 'built into nginx' or diag $output;
like $output, qr/\+ ngx_http_klaviyo_module was configured/, 'configured';

# what make installs enables no module in the nginx of this machine

{
    my $show     = 'packages: ; @echo $(BUILD_DEPS) / $(TEST_DEPS)'
        . ' $(SHOPS_DEPS) $(BENCH_DEPS)';
    my $packages = `make -s -C $root --eval='$show' packages`;
    my ($build) = split m{/}, $packages;

    like $packages, qr/\bnginx-dev\b.*\bperl\b/, 'the packages are known';
    unlike $packages, qr/libnginx-mod|nginx-(?:full|extras|core|light)/,
        'none is a module of nginx';
    unlike $build, qr/\b(?:perl|valgrind|clang|libmojolicious-perl)\b/,
        'a build takes nothing that tests need';
}

# make compares the source with the nginx that will load the module

{
    my $tmp       = tempdir(CLEANUP => 1);
    my ($version) = do {
        open my $in, '<', "$src/src/core/nginx.h" or die $!;
        local $/;
        <$in> =~ /NGINX_VERSION +"([0-9.]+)"/;
    };

    # an nginx that has this to say of itself

    my $says = sub {
        my ($text) = @_;

        open my $out, '>', "$tmp/nginx" or die $!;
        print $out "#!/bin/sh\ncat >&2 << 'END'\n${text}END\n";
        close $out;
        chmod 0755, "$tmp/nginx";

        return `make -s -C $root loads NGINX=$tmp/nginx \\
            NGINX_SRC=$src 2>&1`;
    };

    my ($ours) = `cat $root/objs/ngx_http_klaviyo_module.so`
        =~ /([0-9],[0-9],[0-9],[01]{30,})/;

    like $ours // '', qr/./, 'the module has a signature';

    is $says->("nginx version: nginx/$version\n$ours\n"), '',
        'its own nginx: nothing is said';
    is $says->("Angie version: Angie/1.12.1\nnginx version: nginx/$version\n"
        . "$ours\n"), '', 'one that is based on it: nothing is said';
    is $says->("nginx version: nginx/1.99.9\n$ours\n"),
        "$tmp/nginx is 1.99.9 and will not load it: set NGINX_SRC to its"
        . " source\n", 'another version: make says so';
    is $says->("nginx version: nginx/$version\n8,4,8," . '01' x 17 . "\n"),
        "$tmp/nginx was configured otherwise and will not load it: set"
        . " NGINX_CONF_FLAGS to what $tmp/nginx -V prints\n",
        'configured otherwise: make says so';
}

done_testing;

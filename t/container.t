#!/usr/bin/perl

# What containers are: nginx without root, a root that cannot be written to,
# directories that are not there, small or on a disk, capabilities that are
# missing.  For each a default that works, or a message that says what to do.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Box qw(boxed boxes);
use Klaviyo::Test::Process qw(read_file worker_user);

my $why = boxes();
plan skip_all => $why if $why;

my ($name, $group, $uid, $gid) = worker_user();

my %paths = (
    queue => '/run/nginx-klaviyo/shop.ring',
    spool => '/var/spool/nginx-klaviyo/shop',
);

# as the account has them by itself, but for the size, which tests are short of

my $defaults = "queue $paths{queue} size=8m; spool $paths{spool};";


# an nginx with the paths of a container, in a box
sub container {
    my (%option) = @_;

    my $t = Klaviyo::Test->new(
        http    => 'klaviyo_profile email $arg_email;',
        server  => 'location / { klaviyo_track "Viewed Page"; return 204; }',
        account => $option{account} // $defaults,
    );

    chown $uid, $gid, $t->dir if $option{user};

    # the key is the user's own, unless it is another's

    chown $uid, $gid, $t->dir . '/shop.key' if $option{user} && !$option{key};

    $option{key}->($t->dir . '/shop.key') if $option{key};

    return boxed($t, map { $_ => $option{$_} }
        grep { exists $option{$_} } qw(before user groups group without));
}

sub works {
    my ($t, $what, @more) = @_;

    my ($code, $output) = $t->check;

    is $code, 0, "$what: nginx -t" or diag $output;
    return if $code;

    $t->start;
    $t->get('/?email=ann@shop.test');
    ok $t->wait_events(1, 20), "$what: an event arrives";
    like $t->log, $_, "$what: the log says" for @more;
}

sub told {
    my ($t, $what, $like) = @_;

    my ($code, $output) = $t->check;

    isnt $code, 0, "$what: refused";
    like $output, $like, "$what: and told";
}

# memory where a container has it
my @run  = ('mount -t tmpfs -o mode=755 none /run');
my @var  = ('mount -t tmpfs -o mode=755 none /var/spool');
my @both = (@run, @var);

# what an engine makes for a user without rights
my @made = (
    map { ("mkdir $_", "mount -t tmpfs -o mode=700,uid=$uid,gid=$gid none $_") }
        '/run/nginx-klaviyo', '/var/spool/nginx-klaviyo'
);


subtest 'root, and nothing is there yet' => sub {
    my $t = container(before => [@both]);

    works($t, 'both are made');
    $t->stop;
};

subtest 'a user without rights' => sub {
    my $t = container(user => $name, before => [@both, @made]);

    works($t, 'with both directories');
    $t->stop;

    $t = container(user => $name, before => [@both]);
    told($t, 'without them', qr/\[emerg\].*\/nginx-klaviyo" failed \(13: .*create it or choose another path/);
    $t->stop;

    $t = container(user => $name, before => [@both],
        account => "queue $paths{queue} size=8m; spool off;");
    told($t, 'without that of the queue', qr/\[emerg\].*\/run\/nginx-klaviyo" failed \(13: .*create it or choose another path/);
    $t->stop;

    # Kubernetes: an emptyDir of everybody's and of the fsGroup, a secret of
    # root's and of that group

    $t = container(user => $name, groups => [54321],
        account => $defaults =~ s{shop\.ring}{own/shop.ring}r,
        before => [@both, map {
            ("mkdir $_", "mount -t tmpfs -o mode=2777,gid=54321 none $_")
        } '/run/nginx-klaviyo', '/var/spool/nginx-klaviyo'],
        key => sub { chown 0, 54321, $_[0]; chmod 0440, $_[0] });
    works($t, 'emptyDir, fsGroup and a secret');

    # what the manifest says is what works

    like read_file('contrib/kubernetes/nginx.yaml'),
        qr{queue\s+/run/nginx-klaviyo/own/shop\.ring\s}, 'as the manifest has it';
    $t->stop;
};

subtest 'a root that cannot be written to' => sub {
    for my $user (undef, $name) {
        my $t = container($user ? (user => $user) : ());

        # all but the folder of the test

        my $dir = $t->dir;

        boxed($t, $user ? (user => $user) : (), before => [@both, @made,
            'mount -o remount,ro /run', 'mount -o remount,ro /var/spool',
            "mount --bind $dir $dir", "export TMPDIR=$dir",
            'mount -o remount,bind,ro /']);

        works($t, $user ? 'without root' : 'with root');
        $t->stop;

        boxed($t = container($user ? (user => $user) : ()),
            $user ? (user => $user) : (), before => [@both,
            'mount -o remount,ro /run']);
        told($t, 'no directory for the queue', $user
            ? qr/\[emerg\].*create it or choose another path/
            : qr/\[emerg\].*"\/run\/nginx-klaviyo".* failed \(30: .*: mount a directory there/);
        $t->stop;
    }
};

subtest '/run is on a disk' => sub {
    my $t = container(before => [@var]);
    my $disk = $t->dir . '/disk';

    mkdir $disk;
    boxed($t, before => [@var, "mount --bind $disk /run"]);

    my ($code, $output) = $t->check;

    is $code, 0, 'nginx -t' or diag $output;

    if ($output =~ /\[warn\]/) {
        like $output, qr/\[warn\].*queue.*tmpfs/, 'warns that it is slow';
    } else {
        pass 'this folder is in memory itself';
    }

    works($t, 'it works');
    $t->stop;
};

subtest '/dev/shm of 64 MB' => sub {
    my @small = (@var, 'mount -t tmpfs -o size=64m,mode=1777 none /dev/shm');
    my $queue = sub {
        return "queue /dev/shm/klaviyo/shop.ring size=$_[0];"
            . " spool $paths{spool};";
    };

    my $t = container(account => $queue->('64m'), before => [@small,
        "mkdir -m 700 /dev/shm/klaviyo; chown $uid:$gid /dev/shm/klaviyo"]);

    told($t, '64m does not fit', qr/\[emerg\].*no room for the \d+k of .*: make place in "\/dev\/shm\/klaviyo" or lower its size/);
    $t->stop;

    $t = container(account => $queue->('32m'), before => [@small]);
    works($t, '32m does');
    $t->stop;
};

subtest '/var/spool is missing' => sub {
    my $t = container(before => [@run, 'mount -t tmpfs -o mode=755 none /var']);

    told($t, 'nothing around it', qr/\[emerg\].*\/var\/spool/);
    $t->stop;

    $t = container(account => "queue $paths{queue} size=8m; spool off;",
        before => [@run, 'mount -t tmpfs -o mode=755 none /var']);
    works($t, 'spool off');
    $t->stop;
};

subtest 'root without capabilities' => sub {
    my $t = container(before => [@both], without => ['dac_override',
        'dac_read_search', 'fowner', 'sys_admin', 'ipc_lock', 'sys_resource',
        'net_admin', 'net_raw', 'mknod', 'setpcap', 'fsetid', 'kill']);

    works($t, 'all but chown, setuid and setgid');
    $t->stop;
};

done_testing;

#!/usr/bin/perl

# Who may read a file with a secret: its owner, and the user of the workers if
# it is root's.  By mode and owner, by group and by access control list; as
# Kubernetes and systemd make such files.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Box qw(boxed boxes);
use Klaviyo::Test::Process qw(run worker_user read_file);

my $why = boxes();
plan skip_all => $why if $why;

my ($name, $group, $uid, $gid) = worker_user();
my ($other) = grep { $_ != $gid && $_ != 0 } map { (getgrnam $_)[2] // 0 }
    qw(daemon bin sys);
my $stranger = (getpwnam 'daemon')[2];


# the access control list of a file; setfacl need not be here
sub acl {
    my ($path, @entries) = @_;

    my %tag = (user => 1, named_user => 2, group => 4, named_group => 8,
        mask => 16, other => 32);
    my ($machine) = (POSIX::uname())[4];
    my $call = {x86_64 => 188, aarch64 => 5}->{$machine} or return;

    my $text = pack 'V', 2;

    for my $entry (@entries) {
        my ($tag, $rights, $id) = @$entry;

        $text .= pack 'vvV', $tag{$tag}, $rights, $id // 0xffffffff;
    }

    my $file = "$path";
    my $name = 'system.posix_acl_access';

    return 0 == syscall $call, $file, $name, $text, length $text, 0;
}


# code and output of nginx -t with such a key
sub check {
    my (%case) = @_;

    my $t = Klaviyo::Test->new(
        sandbox => 0,
        account => 'api_key_file %%DIR%%/mounted.key; spool off;',
        $case{conf} ? %{ $case{conf} } : (),
    );

    my $file = $t->file('mounted.key', $t->key . "\n", 0600);
    my $listed = 1;

    chown $uid, $gid, $t->dir if $case{box} && $case{box}{user};
    chown $case{uid} // 0, $case{gid} // 0, $file;
    chmod $case{mode}, $file;

    $listed = acl($file, @{ $case{acl} }) if $case{acl};

    boxed($t, %{ $case{box} }) if $case{box};

    my @result = $listed ? $t->check : ();

    $t->stop;

    return @result;
}

sub good {
    my ($what, %case) = @_;

    my ($code, $output) = check(%case);

    return pass("$what: no access control lists here") if !defined $code;

    is $code, 0, $what or diag $output;
}

sub bad {
    my ($what, $like, %case) = @_;

    my ($code, $output) = check(%case);

    return pass("$what: no access control lists here") if !defined $code;

    isnt $code, 0, $what;
    like $output, $like, '... and how to mend it';
    unlike $output, qr/pk_test/, '... and no key';
}


subtest 'modes' => sub {
    good 'root alone, 0400', mode => 0400;
    good 'root alone, 0600', mode => 0600;
    good "the workers' own", mode => 0600, uid => $uid, gid => $gid;

    good 'the group of the workers, 0440', mode => 0440, gid => $gid;
    good 'the group of the workers, 0640', mode => 0640, gid => $gid;

    my $chmod = qr/others than its owner.*run "chmod 600 \S+mounted\.key"/;

    bad 'another group, 0440', $chmod, mode => 0440, gid => $other;
    bad 'another group, 0640', qr/is none of nginx's workers/, mode => 0640,
        gid => $other;
    bad "root's group", $chmod, mode => 0440, gid => 0;
    bad 'their group may write', $chmod, mode => 0660, gid => $gid;
    bad 'their group may only write', $chmod, mode => 0620, gid => $gid;
    bad 'everybody reads', $chmod, mode => 0444, gid => $gid;
    bad 'everybody writes', $chmod, mode => 0402, gid => $gid;
    bad "not root's", qr/is not root's: run "chmod 600/, mode => 0440,
        uid => $uid, gid => $gid;
};

subtest 'the user is named too late to know' => sub {
    bad 'user behind http', qr/or put "user" before "http"/, mode => 0440,
        gid => $gid, conf => {user => ''};
};

subtest 'a group beside the first' => sub {
    my $groups = "cp /etc/group /tmp/group.$$; "
        . "echo 'klaviyokeys:x:54321:$name' >> /tmp/group.$$; "
        . "mount --bind /tmp/group.$$ /etc/group; rm /tmp/group.$$";

    good 'of /etc/group', mode => 0440, gid => 54321,
        box => {before => [$groups]};
    bad 'nobody has it', qr/chmod 600/, mode => 0440, gid => 54321;
};

subtest 'nginx without root' => sub {
    my %user = (user => $name);

    good "its own group's", mode => 0440, gid => $gid, box => {%user};
    good 'fsGroup: one beside its own', mode => 0440, gid => 54321,
        box => {%user, groups => [54321]};
    bad 'a group that it is not in',
        qr/open\(\) "\S+" failed: .*which the user who starts nginx can read/,
        mode => 0440, gid => 54321, box => {%user};
    bad 'root alone', qr/which the user who starts nginx can read \(13: /,
        mode => 0400, box => {%user};
    bad 'everybody reads', qr/run "chmod 600/, mode => 0444, box => {%user};
    bad 'others read it too', qr/chmod 600/, mode => 0444, gid => 54321,
        box => {%user, groups => [54321]};
};

subtest 'access control lists' => sub {
    my @base = (['user', 4], ['group', 0], ['mask', 4], ['other', 0]);
    my $list = sub {
        my ($entry) = @_;

        return ($base[0], $entry->[0] eq 'named_user' ? $entry : (),
            $base[1], $entry->[0] eq 'named_group' ? $entry : (),
            @base[2, 3]);
    };

    # what systemd makes of a credential of a unit with a User
    my @unit = (mode => 0400, acl => [$list->(['named_user', 4, $uid])]);

    good 'the user of the workers', @unit;
    good '... who starts nginx', @unit, box => {user => $name};
    good 'a group of theirs', mode => 0400,
        acl => [$list->(['named_group', 4, $gid])];

    bad 'somebody else', qr/access control list: run "setfacl -b/,
        mode => 0400, acl => [$list->(['named_user', 4, $stranger])];
    bad 'another group', qr/access control list: run "setfacl -b/,
        mode => 0400, acl => [$list->(['named_group', 4, $other])];
    bad 'the group of the file', qr/run "chmod 600/, mode => 0400,
        acl => [['user', 4], ['named_user', 4, $uid], ['group', 4],
            ['mask', 4], ['other', 0]];
    bad 'who may write', qr/run "chmod 600/, mode => 0400,
        acl => [['user', 4], ['named_user', 6, $uid], ['group', 0],
            ['mask', 6], ['other', 0]];
    bad 'and everybody', qr/run "chmod 600/, mode => 0400,
        acl => [['user', 4], ['named_user', 4, $uid], ['group', 0],
            ['mask', 4], ['other', 4]];
};

# a directory of root's that the unit alone enters, as systemd mounts it

subtest 'credentials of a unit' => sub {
    my $t = Klaviyo::Test->new(
        sandbox => 0,
        account => 'api_key_file %%DIR%%/credentials/nginx.service/shop.key;',
    );
    my $folder = $t->dir . '/credentials/nginx.service';

    mkdir $t->dir . '/credentials';
    mkdir $folder;
    $t->file('credentials/nginx.service/shop.key', $t->key, 0400);
    chmod 0500, $folder;

    my ($code, $output) = $t->check;

    is $code, 0, "root's master reads it" or diag $output;
    $t->stop;
};

subtest 'secrets of webhooks are files as keys are' => sub {
    for my $case ([0440, $gid, 0], [0440, $other, 1], [0444, $gid, 1]) {
        my ($mode, $owner, $fails) = @$case;

        my $t = Klaviyo::Test->new(sandbox => 0, server => q{
            location / {
                klaviyo_webhook secret_file=%%DIR%%/hook.key;
                return 204;
            }
        });

        my $file = $t->file('hook.key', "0123456789abcdef\n", 0600);

        chown 0, $owner, $file;
        chmod $mode, $file;

        my ($code, $output) = $t->check;

        is !!$code, !!$fails, sprintf '%04o of group %d', $mode, $owner
            or diag $output;
        like $output, qr/secret file "\Q$file\E" can be read .*chmod 600/,
            'told' if $fails;
        $t->stop;
    }
};

subtest 'klaviyo-queue goes by the same rule' => sub {
    my $t = Klaviyo::Test->new(
        http   => 'klaviyo_profile email $arg_email;',
        server => 'location / { klaviyo_track A; return 204; }',
    )->start;

    my $tool = $ENV{KLAVIYO_QUEUE}
        // ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';
    my $key = $t->dir . '/shop.key';
    my $nginx = $ENV{KLAVIYO_NGINX} // '/usr/sbin/nginx';

    chown 0, $gid, $key;
    chmod 0440, $key;

    my @doctor = ($tool, 'doctor', 'shop', "--nginx=$nginx",
        '--conf=' . $t->dir . '/nginx.conf', '--prefix=' . $t->dir);

    my (undef, $output) = run(@doctor);
    unlike $output, qr/fault +key\b.*others than/, 'the group of the workers';

    chown 0, $other, $key;
    (undef, $output) = run(@doctor);
    like $output, qr/others than its owner/, 'another group';

    chown 0, 0, $key;
    chmod 0600, $key;
    $t->stop;
};

done_testing;

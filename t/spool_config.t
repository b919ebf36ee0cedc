#!/usr/bin/perl

# The settings spool and dead_letter: what they take, what is refused with
# which words, and what is made of them on the disk.

use lib 't/lib';
use Klaviyo::Test;

use File::Copy qw(copy);
use Klaviyo::Test::Process qw(memory_folder worker_user);
use POSIX ();


my (undef, undef, $uid, $gid) = worker_user();

$uid //= $>;
$gid //= (split / /, $))[0];


sub refused {
    my ($what, $expected, %option) = @_;

    my ($code, $output) = config_test(%option);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
    like $output, qr/nginx\.conf:\d+/, "$what: says where";
}


sub accepted {
    my ($what, %option) = @_;

    my ($code, $output) = config_test(%option);

    is $code, 0, "$what: accepted" or diag $output;
    unlike $output, qr/\[(?:emerg|alert|crit)\]/, "$what: without a word";
}


# an account "two" beside the harness's

sub two {
    my (@lines) = @_;

    return "klaviyo_account two { api_key_file %%KEY_FILE%%;"
        . " queue %%QUEUE_DIR%%/two.ring; @lines }";
}


sub mode  { return sprintf '%04o', (stat $_[0])[2] & 07777 }
sub owner { return join ':', (stat $_[0])[4, 5] }


# what is taken

accepted "$_", account => "$_;"
    for 'spool off',
        'spool %%SPOOL%%',
        'spool %%SPOOL%%/',
        'spool %%SPOOL%%/one',
        'spool %%SPOOL%% size=4m',
        'spool %%SPOOL%% sync=10ms',
        'spool %%SPOOL%% sync=off size=2g',
        'dead_letter off',
        'dead_letter %%SPOOL%%/letters size=64k',
        'dead_letter %%DIR%%/other/letters',
        'spool off; dead_letter off',
        'spool off; dead_letter %%DIR%%/other/letters';


# what is not

refused $_->[0], $_->[1], account => "$_->[0];"
    for ['spool', qr/invalid number of arguments in "spool"/],
        ['spool ""', qr/"spool" of klaviyo_account must name a path first, or/],
        ['spool size=1g', qr/"spool" of klaviyo_account must name a path/],
        ['spool sync=1s', qr/"spool" of klaviyo_account must name a path/],
        ['spool /', qr/"spool" of klaviyo_account must name a directory of/],
        ['spool ' . '/x' x 2000, qr/"spool" of .* has a path that is too long/],
        ['spool off size=1g', qr/parameter "size=1g": "off" stands alone/],
        ['spool %%SPOOL%% size=4095k', qr/"size=4095k": it must be 4194304 to/],
        ['spool %%SPOOL%% size=x', qr/invalid value "size=x": it must be \d+ to/],
        ['spool %%SPOOL%% size=4m size=8m', qr/"size=8m" is duplicate/],
        ['spool %%SPOOL%% sync=9ms', qr/"sync=9ms": "sync" is a time of 10ms/],
        ['spool %%SPOOL%% sync=25h', qr/"sync=25h": "sync" is a time of 10ms/],
        ['spool %%SPOOL%% sync=', qr/"sync=": "sync" is a time of 10ms to 24h/],
        ['spool %%SPOOL%% sync=on', qr/"sync=on": "sync" is a time of 10ms/],
        ['spool %%SPOOL%% sync=1s sync=off', qr/"sync=off" is duplicate/],
        ['spool %%SPOOL%% full=x', qr/"full=x": expected "size=" or "sync="/],
        ['spool off; spool off', qr/"spool" of klaviyo_account is duplicate/],
        ['dead_letter', qr/invalid number of arguments in "dead_letter"/],
        ['dead_letter a size=1m x', qr/invalid number of arguments in "dead_/],
        ['dead_letter size=1m', qr/"dead_letter" of .* must name a path first/],
        ['dead_letter off size=1m', qr/"size=1m": "off" stands alone/],
        ['dead_letter %%DIR%%/', qr/"dead_letter" of .* must name a file/],
        ['dead_letter a size=63k', qr/"size=63k": it must be 65536 to \d+ by/],
        ['dead_letter a 1m', qr/invalid parameter "1m": expected "size="/],
        ['dead_letter a; dead_letter b', qr/"dead_letter" of .* is duplicate/],
        ['queue %%QUEUE%% 1m', qr/"1m": expected "size=" or "full="/],
        ['queue %%QUEUE%% size=4m size=8m', qr/"size=8m" is duplicate/],
        ['rate share=1% share=2%', qr/invalid number of arguments in "rate"/],
        ['rate share=1%; rate share=2%', qr/"share=2%" is duplicate/];


# what is in the way

refused 'a file where the spool is to be',
    qr/spool of klaviyo_account "shop" in .*shop\.key/,
    account => 'spool %%KEY_FILE%%;';

refused 'a spool too deep', qr/spool of klaviyo_account "shop" in .*failed \(2:/,
    account => 'spool %%DIR%%/a/b/c/d;';

refused 'a folder where the dead letters are to be',
    qr/dead_letter of klaviyo_account "shop" in .*\/a" is a directory/,
    account => 'spool %%QUEUE_DIR%%/a/b; dead_letter %%QUEUE_DIR%%/a;';

refused 'one for both',
    qr/"shop" in \S+ has as its dead_letter ".*" what is the spool of .*"shop"/,
    account => 'dead_letter %%SPOOL%%;';


# no two of anything

refused 'the same spool',
    qr/"two" in \S+ has the same spool ".*" as account "shop"/,
    http => two('spool %%SPOOL%%/;');

refused 'the same spool by another spelling',
    qr/"two" in \S+ has the same spool ".*" as account "shop"/,
    http => two('spool %%DIR%%/./spool;');

refused 'the same dead letters',
    qr/"two" in \S+ has the same dead_letter ".*" as account "shop"/,
    http => two('spool off; dead_letter %%SPOOL%%/dead.jsonl;');

refused "another's queue as dead letters",
    qr/"two" in \S+ has as its dead_letter ".*" what is the queue of .*"shop"/,
    http => two('spool off; dead_letter %%QUEUE%%;');

refused "another's dead letters as queue",
    qr/"two" in \S+ has as its queue ".*" what is the dead_letter of .*"shop"/,
    http => 'klaviyo_account two { api_key_file %%KEY_FILE%%; spool off;'
        . ' queue %%SPOOL%%/dead.jsonl; }';

refused 'its own queue as dead letters',
    qr/"shop" in \S+ has as its dead_letter ".*" what is the queue of .*"shop"/,
    account => 'dead_letter %%QUEUE%%;';

refused "another's hold as dead letters",
    qr/"two" in \S+ has as its dead_letter ".*" what is the hold of .*"shop"/,
    account => 'hold 1h;',
    http    => two('spool off; dead_letter %%QUEUE%%.hold;');

accepted 'two accounts',
    http => two('spool %%DIR%%/two; dead_letter %%DIR%%/letters/two;');


# what is made, and whose it is

for my $how ('nginx -t', 'a start') {
    my $t = Klaviyo::Test->new(account => q{
        spool %%DIR%%/a/b;
        dead_letter %%DIR%%/c/d/letters.jsonl;
    });

    if ($how eq 'a start') {
        $t->start;

    } else {
        is +($t->check)[0], 0, "$how: fine";
    }

    my $dir = $t->dir;

    if ($how eq 'nginx -t') {
        ok !-e $_, "$how: no $_ is left behind" for "$dir/a", "$dir/c";
        $t->stop;
        next;
    }

    # root gives away what is inside; the folder around it stays root's

    for my $path ("$dir/a", "$dir/c") {
        is mode($path), $> == 0 ? '0755' : '0700', "$path: for all to enter";
        is owner($path), "$>:" . int $), "$path: ours";
    }

    for my $path ("$dir/a/b", "$dir/c/d") {
        is mode($path), '0700', "$path: for its owner alone";
        is owner($path), "$uid:$gid", "$path: who is the workers' user";
    }

    my $letters = "$dir/c/d/letters.jsonl";

    ok -f $letters, 'the dead letters are there';
    is -s _, 0, 'none yet';
    is mode($letters), '0600', 'for their owner alone';
    is owner($letters), "$uid:$gid", 'who is the workers\' user';

    $t->stop;
}

{
    my $t = Klaviyo::Test->new(account => '')->start;
    my $letters = $t->spool . '/dead.jsonl';

    ok -f $letters, 'dead letters are in the spool';
    is owner($letters), "$uid:$gid", "and the workers' user's";
    $t->stop;
}

{
    my $t = Klaviyo::Test->new(
        account => 'spool off;',
        http    => 'klaviyo_profile external_id x;',
        server  => 'location / { klaviyo_track A; return 204; }',
    )->start;

    ok !-e $t->spool, 'off: nothing on the disk';
    $t->get('/');
    is scalar @{ $t->wait_events(1) // [] }, 1, 'off: events arrive';
    $t->stop;
}


# "user" behind "http": opened when all of the configuration has been read

SKIP: {
    skip 'needs root and a user "daemon"', 6
        if $> != 0 || !defined getpwnam 'daemon';

    my $t = Klaviyo::Test->new(
        user    => '',
        account => 'queue %%DIR%%/late/shop.ring;',
        http    => 'klaviyo_profile external_id x;',
        server  => 'location / { klaviyo_track A; return 204; }',
    );

    my $config = $t->_config . 'user daemon daemon;';

    $t->set(config => $config);

    my ($code, $output) = $t->check;

    is $code, 0, '"user" behind "http": accepted' or diag $output;

    $t->start;

    my ($late, $group) = (getpwnam 'daemon')[2, 3];

    is owner($t->dir . '/late/shop.ring'), "$late:$group",
        '"user" behind "http": the queue is theirs';
    is owner($t->spool), "$late:$group", '"user" behind "http": the spool';

    $t->get('/');
    is scalar @{ $t->wait_events(1) // [] }, 1, 'events arrive';

    ok $t->reload, 'a reload';
    $t->get('/');
    is scalar @{ $t->wait_events(2) // [] }, 2, 'events arrive';
    $t->stop;
}


# a plain user, who cannot make the default

SKIP: {
    skip 'needs root, and no /var/spool/nginx-klaviyo', 2
        if $> != 0 || -e '/var/spool/nginx-klaviyo';

    my $t = Klaviyo::Test->new(sandbox => 0, account => undef, http =>
        'klaviyo_account bare { api_key_file %%KEY_FILE%%;'
        . ' queue %%QUEUE_DIR%%/bare.ring; }');

    # the checkout may be where others cannot read

    if ($t->{module_file} ne 'static') {
        my $module = $t->dir . '/module.so';

        copy($t->{module_file}, $module);
        chmod 0755, $module;
        $t->set(vars => {MODULE => $module});
    }

    chown $uid, $gid, $t->dir, glob $t->dir . '/*';

    my ($code, $output) = as_user(sub { $t->check });

    isnt $code, 0, 'a plain user: refused';
    like $output, qr{spool\ of\ klaviyo_account\ "bare"\ in\ .*
                     "/var/spool/nginx-klaviyo".*\(13:.*
                     create\ it\ or\ choose\ another\ path}x,
        'a plain user: says why and what to do';
    $t->stop;
}


# a reboot

SKIP: {
    my $memory = memory_folder();

    skip 'no tmpfs', 2
        if (qx(stat -f -c %T \Q$memory\E 2>/dev/null) // '') !~ /tmpfs/;

    my ($code, $output) = config_test(account => "spool $memory/spool;");

    is $code, 0, 'tmpfs: accepted';
    like $output, qr{\[warn\].*spool\ "\Q$memory\E/spool"\ of\ klaviyo_account
                     .*is\ on\ tmpfs\ and\ does\ not\ survive\ a\ reboot}x,
        'tmpfs: a warning';

    unlink "$memory/spool/dead.jsonl";
    rmdir "$memory/spool";
    rmdir $memory;
}

done_testing;


# runs the code in a child that is the workers' user -> what it returns

sub as_user {
    my ($code) = @_;

    pipe my $from, my $to or die "pipe() failed: $!\n";

    my $pid = fork() // die "fork() failed: $!\n";

    if ($pid == 0) {
        close $from;
        $) = "$gid $gid";
        POSIX::setgid($gid);
        POSIX::setuid($uid);

        my ($status, $output) = $code->();
        print $to "$status $output";
        close $to;
        POSIX::_exit(0);
    }

    close $to;
    local $/;
    my ($status, $output) = (<$from> // '') =~ /\A(\d+) (.*)\z/s;
    waitpid $pid, 0;

    return ($status, $output);
}

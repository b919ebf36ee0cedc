#!/usr/bin/perl

# klaviyo-queue by the name of an account: what waits, and what becomes of the
# events, as they come.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(
    run spawn read_file write_file worker_user running end_process
);

my $tool = $ENV{KLAVIYO_QUEUE}
    // ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';

my $t = Klaviyo::Test->new(
    http   => q{
        klaviyo_identity off;
        klaviyo_profile email $arg_email;
        klaviyo_property Kind $arg_kind;
    },
    server => q{
        location / {
            klaviyo_event "Placed Order" { unique_id "order $arg_n"; }
            return 204;
        }
    },
);

my $s    = $t->sandbox;
my $shop = $t->{queue_dir} . '/shop';

sub hit {
    my ($n, $kind) = @_;
    return $t->get("/?email=v$n\@shop.test&n=$n&kind=" . ($kind // 'good'));
}

# a tail that writes into a file

my %tail;

sub tail {
    my ($name, @arguments) = @_;

    my $file = $t->dir . "/tail.$name";

    write_file($file, '');
    open my $out, '>>', $file or die $!;
    $tail{$name} = spawn(command => [$tool, 'tail', @arguments],
                         stdout => $out, stderr => $file);

    wait_for(slow(10), sub { read_file($file) =~ / now / })
        or diag read_file($file);

    return $file;
}


$t->start;

subtest 'the file beside the ring' => sub {
    ok wait_for(10, sub { -s "$shop.account" }), 'a worker makes it';

    my $text = read_file("$shop.account");
    my ($user, undef, $uid) = worker_user();

    is $text, 'ring ' . $t->queue . "\nspool " . $t->spool . "\ndead_letter "
        . $t->spool . "/dead.jsonl\n", 'says where things are, and no more';
    is +(stat "$shop.account")[2] & 07777, 0600, 'for its owner';
    is +(stat _)[4], $uid, 'who is the workers\' user' if defined $user;
    ok !-e "$shop.account.new", 'and nothing beside it';
};


subtest 'stat' => sub {
    my ($code, $out) = run($tool, 'stat', $shop);

    is $code, 0, 'by the name' or diag $out;
    like $out, qr/^account +\Q$shop\E$/m, 'which it says';
    like $out, qr/^now +nothing was captured yet$/m, 'a verdict first';
    like $out, qr/^what to do +make a request/m, 'and what to do';
    like $out, qr/^captured +0$/m, 'what is looked for first';
    like $out, qr/^spool +\S+\.spool|^spool +\S+$/m, 'the spool, by itself';
    unlike $out, qr/^  (?:anonymous|robot|refused|queue_full|none) +0$|paused/m,
        'no reason that is zero';

    my (undef, $all) = run($tool, 'stat', '--all', $shop);

    like $all, qr/^  anonymous +0$/m, '--all: these too';
    like $all, qr/^paused for +0 s$/m, 'all of them';

    ($code, $out) = run($tool, 'stat', $t->dir . '/nobody');
    is $code, 2, 'nothing of this name';

    ($code, $out) = run($tool, 'stat', 'no-such-account');
    is $code, 2, 'no account of this name';
    like $out, qr{no account "no-such-account": there is no "/run/nginx-klaviyo/no-such-account\.account"},
        'says where it was looked for';
};


subtest 'a file that is not ours' => sub {
    my $file = $t->{queue_dir} . '/other.account';

    symlink "$shop.account", $file or die $!;

    my ($code, $out) = run($tool, 'stat', $t->{queue_dir} . '/other');

    is $code, 2, 'a link is not followed';
    like $out, qr/open\(\) "\Q$file\E" failed/, 'and named' or diag $out;
    unlink $file;

    write_file($file, "ring x\nspool\nrubbish " . 'y' x 30000 . "\n");

    ($code, $out) = run($tool, 'stat', $t->{queue_dir} . '/other');
    is $code, 2, 'nor is rubbish believed';
    unlink $file;
};


subtest 'root, and a file of the workers\'' => sub {
    plan skip_all => 'needs root' if $> != 0;

    my ($user, undef, $uid, $gid) = worker_user();
    my $file = $t->{queue_dir} . '/theirs.account';
    my $root = $t->dir . '/root';

    mkdir $root, 0700 or die $!;
    run('cp', $t->queue, "$root/precious.ring");
    is +(stat "$root/precious.ring")[4], 0, 'a ring that is root\'s';
    is +(run($tool, 'stat', "$root/precious.ring"))[0], 0, 'which root can see';

    write_file($file, "ring $root/precious.ring\n", 0600);
    chown $uid, $gid, $file;

    for my $command (qw(stat tail check export repair)) {
        my ($code, $out) = run($tool, $command, $t->{queue_dir} . '/theirs');

        is $code, 2, "$command by a name of theirs";
        like $out, qr/precious\.ring" failed \(13:/, '  is done as who they are'
            or diag $out;
    }

    unlink $file;
};


my $plain = tail(plain => $shop);
my $full  = tail(full => '--full', $shop);

subtest 'tail: delivered' => sub {
    hit(1);

    ok wait_for(slow(10), sub { read_file($plain) =~ /#1 +delivered/ }),
        'is told' or diag read_file($plain);

    my $text = read_file($plain);

    like $text, qr/^\d\d:\d\d:\d\d\.\d{3}  #1 +captured +"Placed Order" of a visitor known by email; \d+ properties$/m,
        'what it is, and how the visitor is known';
    like $text, qr/#1 +delivered  after \d+\.\d s$/m, 'what became of it';
    unlike $text, qr/shop\.test|order 1/, 'nobody is named';
    like read_file($full), qr/"email":"v1\@shop\.test"/, '--full: he is';
};


subtest 'tail: no event, given up, set right' => sub {
    $t->get('/?n=2');

    ok wait_for(slow(10), sub {
        read_file($plain) =~ /no event   1 visitors without an identity$/m
    }), 'who is skipped, and why' or diag read_file($plain);

    $s->fault(kind => 'refuse', pointer => 'event',
        match => {properties => {Kind => '^bad$'}});
    hit(3);
    hit(4, 'bad');
    hit(5);

    ok wait_for(slow(20), sub {
        my $text = read_file($plain);
        $text =~ /#3 +given up   refused, 400 "Invalid input\..*; it is in the dead letters$/m
            && $text =~ /#2 +delivered/ && $text =~ /#4 +delivered/;
    }), 'which of them was given up, and why' or diag read_file($plain);
    unlike read_file($plain), qr/v4\@|order 4/, 'without its name';
};


subtest 'tail: an outage' => sub {
    $s->clear_faults;
    $s->fault(kind => 'status', status => 503);
    hit(6);

    ok wait_for(slow(20), sub {
        my $text = read_file($plain);
        $text =~ /answer +503 "Service unavailable/
            && $text =~ /now        Klaviyo answers with errors of its own; 1 wait; events are kept/
    }), 'is told' or diag read_file($plain);
    unlike read_file($plain), qr/#5 +(delivered|given|ended|lost)/, 'and waits';

    $s->clear_faults;

    ok wait_for(slow(20), sub { read_file($plain) =~ /#5 +delivered/ }),
        'and delivered then' or diag read_file($plain);
};

subtest 'progress on a terminal' => sub {
    plan skip_all => 'needs script' if !-x '/usr/bin/script';

    $s->fault(kind => 'status', status => 503);

    my $client = $t->client;
    $client->get("/?email=v$_\@shop.test&n=$_") for 100 .. 299;
    $client->close;

    my $file = $t->dir . '/export.jsonl';
    my ($code, $out) = run('/usr/bin/script', '-qec',
        "$tool export $shop > $file", '/dev/null');

    is $code, 0, 'export' or diag $out;
    like $out, qr/^\r64 events written, 32 %\e\[K/, 'how far it is';
    like $out, qr/\r\e\[K$/, 'which goes at the end';

    ($code, $out) = run('/usr/bin/script', '-qec',
        "$tool replay $shop $file", '/dev/null');

    is $code, 0, 'replay';
    like $out, qr/\r64 events put, \d\d %\e\[K.*\r\e\[K200 events put, 0 lines/s,
        'how far it is' or diag $out;

    ($code, $out) = run($tool, 'export', $shop);
    unlike $out, qr/\e/, 'nothing of it in a pipe';

    ($code, $out) = run('/usr/bin/script', '-qec', "$tool export $shop",
        '/dev/null');
    unlike $out, qr/\e/, 'nor beside lines';
    $s->clear_faults;
};


ok running($_), 'it follows still' for values %tail;
end_process($_, 'TERM', 5) for values %tail;

$t->stop;

done_testing;

package Klaviyo::Test::Process;

# Child processes, ports, folders and waiting: what the harness and the demo
# have in common.  Only processes that were started here are ever signalled.

use v5.32;
use warnings;

use Exporter    qw(import);
use Fcntl       qw(F_SETFD);
use File::Temp  qw(tempdir);
use IO::Socket::INET ();
use POSIX       qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(
    spawn run must_run free_port slow wait_for running end_process children
    temp_folder memory_folder write_file read_file worker_user give_to_worker
);

# ports of one block; the first one is held by whom the block belongs to
use constant BLOCK => 40;

my %block;


# spawn(command => [...], stdin/stdout/stderr => path or handle) -> pid
sub spawn {
    my (%option) = @_;

    my $pid = fork() // die "fork() failed: $!\n";

    return $pid if $pid;

    my $ok = eval {
        open STDIN,  '<',  $option{stdin}  // '/dev/null'
            if !ref $option{stdin};
        open STDIN,  '<&', $option{stdin}  if ref $option{stdin};
        open STDOUT, '>&', $option{stdout} if ref $option{stdout};
        open STDOUT, '>>', $option{stdout} // '/dev/null'
            if !ref $option{stdout};
        open STDERR, '>>', $option{stderr} if $option{stderr};

        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE ALRM);

        $ENV{$_} = $option{env}{$_} for keys %{ $option{env} // {} };

        no warnings 'exec';
        exec { $option{command}[0] } @{ $option{command} };
    };

    print STDERR "exec $option{command}[0] failed: $!\n";
    POSIX::_exit(127);
}


# run(@command) -> exit code (signal: 128 + signal), what it printed
sub run {
    my (@command) = @_;

    pipe my $from, my $to or die "pipe() failed: $!\n";

    my $pid = fork() // die "fork() failed: $!\n";

    if ($pid == 0) {
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>&', $to;
        open STDERR, '>&', $to;

        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE ALRM);

        no warnings 'exec';
        exec { $command[0] } @command;
        print STDERR "exec $command[0] failed: $!\n";
        POSIX::_exit(127);
    }

    close $to;

    my $output = do { local $/; <$from> } // '';

    waitpid $pid, 0;

    return ($? & 127 ? 128 + ($? & 127) : $? >> 8, $output);
}


# the same, and dies with what it printed if that is not 0
sub must_run {
    my ($code, $output) = run(@_);

    $code == 0 or die "@_: $output\n";

    return;
}


# A loopback port that nobody listens on, below the range from which the
# kernel takes the ports of outgoing connections.  Tests run side by side, and
# a port is free until its nginx has started: so each process takes its ports
# from a block of its own.
sub free_port {
    my $block = $block{$$} //= {};

    for (1 .. 1000) {
        if (!$block->{left}) {
            my $first = 10_000 + BLOCK * int rand 22_000 / BLOCK;
            my $held  = _listen($first) or next;

            push @{ $block->{held} }, $held;
            @{$block}{qw(next left)} = ($first + 1, BLOCK - 1);
        }

        my $port = $block->{next}++;

        $block->{left}--;

        return $port if _listen($port);
    }

    die "no free port\n";
}


sub _listen {
    my ($port) = @_;

    return IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Proto => 'tcp', Listen => 1);
}


# seconds that something may take, under valgrind for instance
sub slow { return $_[0] * ($ENV{KLAVIYO_SLOW} || 1) }


# Calls the code until it returns something true, which is returned; nothing
# after so many seconds, times KLAVIYO_SLOW.
sub wait_for {
    my ($seconds, $code, $step) = @_;

    my $end = time + slow($seconds);

    while (1) {
        my $result = $code->();

        return $result if $result;
        return if time > $end;

        sleep($step // 0.02);
    }
}


# is there such a process, and not as a zombie?
sub running {
    my ($pid) = @_;

    waitpid $pid, WNOHANG;

    open my $stat, '<', "/proc/$pid/stat" or return 0;

    return (<$stat> // '') =~ /\) ([^ZX])/ ? 1 : 0;
}


# ends a child of ours -> true if it went by the signal alone
sub end_process {
    my ($pid, $signal, $seconds) = @_;

    kill $signal, $pid;

    return 1 if wait_for($seconds, sub { !running($pid) });

    kill 'KILL', $pid;
    wait_for(5, sub { !running($pid) });

    return 0;
}


# pid => title of the children of a process
sub children {
    my ($parent) = @_;

    my %children;

    opendir my $proc, '/proc' or return;

    for my $pid (grep { /^[0-9]+$/ } readdir $proc) {
        open my $file, '<', "/proc/$pid/stat" or next;
        my ($ppid) = (<$file> // '') =~ /.*\) [^ZX] ([0-9]+)/s or next;

        next if $ppid != $parent;

        open $file, '<', "/proc/$pid/cmdline" or next;
        local $/;
        $children{$pid} = (<$file> // '') =~ tr/\0/ /r;
    }

    return %children;
}


# a folder that others may enter; the caller removes it
sub temp_folder {
    my $folder = tempdir('klaviyo-XXXXXXXX', TMPDIR => 1, CLEANUP => 0);

    chmod 0755, $folder;

    return $folder;
}


# the same on tmpfs where there is one
sub memory_folder {
    return temp_folder() if !-d '/dev/shm' || !-w _;

    my $folder = tempdir('klaviyo-XXXXXXXX', DIR => '/dev/shm',
        CLEANUP => 0);

    chmod 0755, $folder;

    return $folder;
}


sub write_file {
    my ($path, $text, $mode) = @_;

    utf8::encode($text) if utf8::is_utf8($text);

    unlink $path;
    open my $file, '>', $path or die "open $path failed: $!\n";
    chmod $mode, $path if defined $mode;
    print $file $text;
    close $file or die "write $path failed: $!\n";

    return $path;
}


# bytes; nothing there: an empty text
sub read_file {
    my ($path) = @_;

    open my $file, '<:raw', $path or return '';
    local $/;

    return <$file> // '';
}


# Whom nginx's workers should be: (name, group, uid, gid) when we are root,
# nothing otherwise.  KLAVIYO_USER chooses another than nobody.
sub worker_user {
    return if $> != 0;

    my $name = $ENV{KLAVIYO_USER} // 'nobody';
    my ($uid, $gid) = (getpwnam $name)[2, 3];

    die "no user \"$name\"\n" if !defined $uid;

    return ($name, scalar getgrgid $gid, $uid, $gid);
}


# what root put into a folder of the workers' -> theirs, as all in there is
sub give_to_worker {
    my (@paths) = @_;

    my (undef, undef, $uid, $gid) = worker_user() or return;

    chown $uid, $gid, @paths;

    return;
}


1;

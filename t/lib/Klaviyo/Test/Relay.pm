package Klaviyo::Test::Relay;

# A port that leads to another one, or to nothing good.  What goes wrong here
# goes wrong before anything speaks HTTP.
#
#   my $relay = Klaviyo::Test::Relay->start(to => $port);    # ->port
#   $relay->mode('pass');       # the other port
#   $relay->mode('plain');      # an answer in plain text, whatever is said
#   $relay->mode('garbage');    # random bytes
#   $relay->mode('close');      # reads, then closes
#   $relay->mode('reset');      # reads, then RST
#   $relay->mode('refuse');     # RST before anything is read
#   $relay->mode('silent');     # reads, never says anything
#   $relay->mode('cut');        # the other port for so many bytes of answer,
#   $relay->mode('cut 300');    # then RST to both
#   $relay->mode('tunnel');     # a proxy: CONNECT, whatever is named there,
#                               # leads to the other port
#   $relay->mode('late 400');   # the other port, up to so many ms later
#   $relay->connections         # how many came
#   $relay->forget              # those that came so far stay, and nothing
#                               # gets through any more
#
# A mode holds for connections that begin after it was set.

use v5.32;
use warnings;

use IO::Select       ();
use IO::Socket::INET ();
use POSIX            ();
use Socket           qw(SOL_SOCKET SO_LINGER);
use Time::HiRes      qw(sleep time);

use Klaviyo::Test::Process qw(
    free_port temp_folder write_file read_file end_process
);


sub start {
    my ($class, %option) = @_;

    my $port     = free_port();
    my $listener = IO::Socket::INET->new(Proto => 'tcp', Listen => 64,
        LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1)
        or die "listen failed: $!\n";

    my $folder = temp_folder();
    my $self   = bless {folder => $folder, port => $port, owner => $$},
        $class;

    $self->mode('pass');
    write_file("$folder/forgotten", 0);

    my $parent = $$;
    my $pid    = fork() // die "fork() failed: $!\n";

    if ($pid) {
        $self->{pid} = $pid;
        return $self;
    }

    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    alarm 0;

    my $waiting = IO::Select->new($listener);

    while (getppid == $parent) {
        next if !$waiting->can_read(0.5);

        my $client = $listener->accept or next;

        open my $log, '>>', "$folder/connections";
        syswrite $log, '.';
        close $log;

        my $child = fork() // next;

        if ($child == 0) {
            close $listener;
            _serve($client, $option{to}, read_file("$folder/mode"), $parent,
                $folder);
            POSIX::_exit(0);
        }

        close $client;
    }

    POSIX::_exit(0);
}


sub port { return $_[0]{port} }


sub mode {
    my ($self, $mode) = @_;

    write_file("$self->{folder}/mode.new", $mode);
    rename "$self->{folder}/mode.new", "$self->{folder}/mode";

    return $self;
}


sub connections { return -s "$_[0]{folder}/connections" || 0 }


sub forget {
    my ($self) = @_;

    write_file("$self->{folder}/forgotten", $self->connections);

    return;
}


sub _serve {
    my ($client, $to, $mode, $parent, $folder) = @_;

    my ($how, $bytes) = split / /, $mode;

    return _reset($client)                       if $how eq 'refuse';
    return _relay($client, $to, undef, $parent, $folder, $bytes / 1000)
        if $how eq 'late';
    return _relay($client, $to, $bytes, $parent, $folder)
        if $how =~ /^(?:pass|cut)$/;

    if ($how eq 'tunnel') {
        my $head = '';

        while ($head !~ /\r\n\r\n/) {
            sysread $client, $head, 1, length $head or return;
        }

        syswrite $client, "HTTP/1.1 200 Connection established\r\n"
            . "Via: 1.1 relay\r\nRetry-After: 3600\r\n\r\n";

        return _relay($client, $to, undef, $parent, $folder);
    }

    sysread $client, my $hello, 65_536;

    return                 if $how eq 'close';
    return _reset($client) if $how eq 'reset';

    if ($how eq 'silent') {
        my $heard = IO::Select->new($client);

        while (kill 0, $parent) {
            last if $heard->can_read(0.5);
        }

        return;
    }

    syswrite $client, $how eq 'plain'
        ? "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno\n"
        : join '', map { chr int rand 256 } 1 .. 2000;

    # what is unread when it closes would be a RST

    IO::Select->new($client)->can_read(1) && sysread $client, $hello, 65_536;

    return;
}


sub _reset {
    my ($socket) = @_;

    setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $socket;

    return;
}


sub _relay {
    my ($client, $to, $left, $parent, $folder, $late) = @_;

    my $server = IO::Socket::INET->new(Proto => 'tcp',
        PeerAddr => '127.0.0.1', PeerPort => $to) or return _reset($client);
    my $both = IO::Select->new($client, $server);
    my $n    = -s "$folder/connections";

    while (kill 0, $parent) {
        for my $from ($both->can_read(0.5)) {
            my $other = $from == $client ? $server : $client;

            sysread $from, my $bytes, 65_536 or return;

            next if $n <= read_file("$folder/forgotten");

            sleep rand $late if $late && $from == $client;

            if (defined $left && $from == $server) {
                $bytes = substr $bytes, 0, $left;
                $left -= length $bytes;
            }

            for (my $at = 0; $at < length $bytes; ) {
                $at += syswrite($other, $bytes, length $bytes, $at) // return;
            }

            if (defined $left && $left <= 0) {
                sleep 0.05;
                _reset($_) for $client, $server;
                return;
            }
        }
    }

    return;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);

    return if $self->{owner} != $$ || !$self->{pid};

    end_process(delete $self->{pid}, 'TERM', 5);
    unlink glob "$self->{folder}/*";
    rmdir $self->{folder};

    return;
}


1;

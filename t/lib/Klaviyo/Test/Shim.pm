package Klaviyo::Test::Shim;

# What the system does wrong, on demand, inside of nginx (shim.c):
#
#   my $shim = Klaviyo::Test::Shim->new;
#   my $t = Klaviyo::Test->new(env => $shim->env, ...);
#   $shim->clock(86_400);       # the time of day is a day ahead, at once
#   $shim->error("ENOSPC");     # nothing can be made below SHIM_DIR (see env),
#                               # nor grow there; undef: it can again
#   $shim->dns($port);          # the only name server; undef: the system's
#   $shim->longest              # ms of the processor that one turn of a
#                               # worker's event loop took at most
#
# and name servers that are as good as they are told to be:
#
#   my $dns = Klaviyo::Test::Shim::Dns->start;      # ->port
#   $dns->mode('silent');       # takes questions, never answers
#   $dns->mode('servfail'), 'nxdomain', 'answer' (127.0.0.1)
#   $dns->questions             # how many came

use v5.32;
use warnings;

use Errno          ();
use File::Basename qw(dirname);

use Klaviyo::Test::Process qw(run read_file temp_folder);


sub new {
    my ($class) = @_;

    my $folder = temp_folder();
    my $self   = bless {folder => $folder, owner => $$, clock => 0, dns => 0,
                        error => 0}, $class;

    my ($code, $output) = run('cc', '-O2', '-shared', '-fPIC', '-o',
        "$folder/shim.so", dirname(__FILE__) . '/shim.c', '-ldl');

    die "the shim does not compile:\n$output\n" if $code;

    open $self->{control}, '+>', "$folder/control"
        or die "open $folder/control failed: $!\n";

    # the workers write there

    chmod 0755, $folder;
    mkdir "$folder/loop";
    chmod 0777, "$folder/loop";

    $self->_write;

    return $self;
}


# for the whole of nginx; %more: further variables
sub env {
    my ($self, %more) = @_;

    # a sanitizer's library has to be the first

    return {
        LD_PRELOAD   => join(':', $ENV{LD_PRELOAD} // (),
                             "$self->{folder}/shim.so"),
        SHIM_CONTROL => "$self->{folder}/control",
        SHIM_LOOP    => "$self->{folder}/loop",
        %more,
    };
}


sub clock {
    my ($self, $seconds) = @_;

    $self->{clock} = $seconds;

    return $self->_write;
}


sub dns {
    my ($self, $port) = @_;

    $self->{dns} = $port // 0;

    return $self->_write;
}


# of those that have run so far; undef: none has
sub longest {
    my ($self) = @_;

    my ($longest) = sort { $b <=> $a }
        map { read_file($_) + 0 } glob "$self->{folder}/loop/*";

    return $longest;
}


# the name of an error
sub error {
    my ($self, $name) = @_;

    $self->{error} = defined $name ? Errno->can($name)->() : 0;

    return $self->_write;
}


sub _write {
    my ($self) = @_;

    my $bytes = pack 'qll', @{$self}{qw(clock dns error)};

    sysseek $self->{control}, 0, 0;
    syswrite $self->{control}, $bytes;

    return $self;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);

    return if $self->{owner} != $$;

    unlink glob "$self->{folder}/loop/* $self->{folder}/*";
    rmdir $_ for "$self->{folder}/loop", $self->{folder};

    return;
}


package Klaviyo::Test::Shim::Dns;

use IO::Socket::INET ();
use POSIX            ();

use Klaviyo::Test::Process qw(temp_folder write_file read_file end_process);


sub start {
    my ($class) = @_;

    my $socket = IO::Socket::INET->new(Proto => 'udp',
        LocalAddr => '127.0.0.1') or die "no UDP port: $!\n";

    my $folder = temp_folder();
    my $self   = bless {folder => $folder, port => $socket->sockport,
                        owner => $$}, $class;

    $self->mode('silent');

    my $parent = $$;
    my $pid    = fork() // die "fork() failed: $!\n";

    if ($pid) {
        $self->{pid} = $pid;
        return $self;
    }

    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
    alarm 0;
    $socket->timeout(1);

    while (getppid == $parent) {
        my $read = '';

        vec($read, fileno $socket, 1) = 1;
        next if select($read, undef, undef, 0.5) <= 0;

        my $from = recv $socket, my $question, 4096, 0;

        next if !defined $from;

        open my $log, '>>', "$folder/questions";
        syswrite $log, '.';
        close $log;

        my $answer = _answer($question, read_file("$folder/mode"));

        send $socket, $answer, 0, $from if defined $answer;
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


sub questions { return -s "$_[0]{folder}/questions" || 0 }


# one question, its name uncompressed
sub _answer {
    my ($question, $mode) = @_;

    return if $mode eq 'silent' || length $question < 17;

    my ($id) = unpack 'n', $question;
    my $end  = index $question, "\0", 12;

    return if $end < 0 || $end + 5 > length $question;

    my $asked  = substr $question, 12, $end + 5 - 12;
    my ($type) = unpack 'n', substr $question, $end + 1, 2;
    my $code   = $mode eq 'servfail' ? 2 : $mode eq 'nxdomain' ? 3 : 0;
    my $found  = $code == 0 && $type == 1
        ? pack('nnnNn', 0xc00c, 1, 1, 1, 4) . pack('C4', 127, 0, 0, 1) : '';

    return pack('n6', $id, 0x8180 | $code, 1, $found ne '' ? 1 : 0, 0, 0)
        . $asked . $found;
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

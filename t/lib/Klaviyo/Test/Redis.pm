package Klaviyo::Test::Redis;

# A Redis of a test's own, on a free port, without a service; KLAVIYO_REDIS
# names another server, as valkey-server.
#
#   my $redis = Klaviyo::Test::Redis->start(['maxmemory', '64mb'], ...);
#   $redis->port; $redis->socket; $redis->url
#   $redis->cli('PING')         # what redis-cli prints
#   $redis->kill                # SIGKILL
#   $redis->run                 # again, with the same data and port
#   $redis->hang; $redis->go_on # SIGSTOP, SIGCONT
#   $redis->stop
#
# tls => [$cert, $key, $ca]: by TLS alone.

use v5.32;
use warnings;

use Klaviyo::Test::Process qw(
    spawn free_port wait_for temp_folder end_process running
);


sub start {
    my ($class, %option) = @_;

    my $folder = temp_folder();
    my $self   = bless {folder => $folder, port => free_port(), owner => $$,
                        %option}, $class;

    # Debian's server is the program that also checks files: its name decides

    my ($server) = $ENV{KLAVIYO_REDIS} || grep { -x }
        map { "$_/redis-server" } split /:/, $ENV{PATH};

    if (!$server) {
        symlink '/usr/bin/redis-check-rdb', "$folder/redis-server";
        $server = "$folder/redis-server";
    }

    $self->{server} = $server;
    $self->run;

    return $self;
}


sub run {
    my ($self) = @_;

    my @tls = @{ $self->{tls} // [] };
    my %set = (
        bind         => '127.0.0.1',
        port         => @tls ? 0 : $self->{port},
        unixsocket   => $self->socket,
        unixsocketperm => 777,
        dir          => $self->{folder},
        save         => '',
        appendonly   => 'no',
        daemonize    => 'no',
        logfile      => "$self->{folder}/log",
        $self->{replica} ? (replicaof => "127.0.0.1 $self->{replica}") : (),
        @tls ? (
            'tls-port'         => $self->{port},
            'tls-cert-file'    => $tls[0],
            'tls-key-file'     => $tls[1],
            'tls-ca-cert-file' => $tls[2],
            'tls-auth-clients' => 'no',
        ) : (),
        %{ $self->{set} // {} },
    );

    chmod 0755, $self->{folder};

    $self->{pid} = spawn(
        command => [$self->{server}, map { ("--$_", $set{$_}) } sort keys %set],
        stderr  => "$self->{folder}/log",
    );

    wait_for(20, sub { $self->cli('PING') =~ /PONG|NOAUTH|NOPERM|LOADING/ })
        or die "$self->{server} did not start:\n" . $self->log;

    return $self;
}


sub log {
    my ($self) = @_;

    open my $in, '<', "$self->{folder}/log" or return '';
    local $/;

    return <$in> // '';
}


sub port   { return $_[0]{port} }
sub pid    { return $_[0]{pid} }
sub socket { return "$_[0]{folder}/redis.sock" }
sub url    { return 'redis://127.0.0.1:' . $_[0]{port} }


sub cli {
    my ($self, @command) = @_;

    my (undef, $output) = Klaviyo::Test::Process::run('redis-cli', '-s',
        $self->socket, @command);

    $output =~ s/\n\z//;

    return $output;
}


sub kill {
    my ($self) = @_;

    CORE::kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};

    return $self;
}


sub hang  { CORE::kill 'STOP', $_[0]{pid}; return $_[0] }
sub go_on { CORE::kill 'CONT', $_[0]{pid}; return $_[0] }


sub stop {
    my ($self) = @_;

    return if !$self->{pid} || $self->{owner} != $$;

    $self->go_on;
    CORE::kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};

    return;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!, $@);

    $self->stop;

    return;
}


1;

package Klaviyo::Test::Nginx;

# One nginx with a configuration of its own in a folder of its own.
#
#   my $nginx = Klaviyo::Test::Nginx->new(folder => $dir, config => $text);
#   my ($code, $output) = $nginx->check;       # nginx -t
#   $nginx->start;  $nginx->reload(gone => 10);  $nginx->stop('QUIT', 15);
#   daemon => 1: as services run; ->read_pid, ->adopt(pid) follow an upgrade
#   $nginx->master, ->workers (pids), ->processes (pid => title), ->log

use v5.32;
use warnings;

use IO::Socket::INET ();
use Time::HiRes      qw(sleep);

use Klaviyo::Test::Process qw(
    spawn run wait_for running children read_file write_file
);


# folder, config; ports: those that must accept connections once it has
# started; binary: KLAVIYO_NGINX, else /usr/sbin/nginx; plain: without what
# KLAVIYO_NGINX may be wrapped in; env: hash
sub new {
    my ($class, %option) = @_;

    my $wrapped = $ENV{KLAVIYO_NGINX} // '/usr/sbin/nginx';
    my $plain   = $ENV{KLAVIYO_REAL_NGINX} // $wrapped;

    my $self = bless {
        binary => $option{plain} ? $plain : $wrapped,
        ports  => [],
        owner  => $$,
        %option,
    }, $class;

    $self->{conf}      = "$self->{folder}/nginx.conf";
    $self->{error_log} = "$self->{folder}/error.log";
    $self->{stderr}    = "$self->{folder}/stderr.log";

    $self->configure($option{config});

    return $self;
}


# (1, 22, 1)
sub version {
    my ($self) = @_;

    $self->{version} //= do {
        my (undef, $output) = run($ENV{KLAVIYO_REAL_NGINX} // $self->{binary},
                                  '-V');
        my ($text) = $output =~ m{(?:nginx|openresty)/([0-9]+\.[0-9]+\.[0-9]+)}
            or die "$self->{binary} is not an nginx: $output\n";
        [split /\./, $text];
    };

    return @{ $self->{version} };
}


# "listen" of HTTP/2 as this nginx likes it written; `more`: "ssl"
sub listen_http2 {
    my ($self, $address, $more) = @_;

    my ($major, $minor, $patch) = $self->version;

    $more = $more ? " $more" : '';

    return "listen $address$more http2;"
        if $major == 1 && ($minor < 25 || ($minor == 25 && $patch < 1));

    return "listen $address$more; http2 on;";
}


sub configure {
    my ($self, $text) = @_;

    write_file($self->{conf}, $text);

    return;
}


sub _command {
    my ($self, @more) = @_;

    return ($self->{binary}, '-p', $self->{folder}, '-e', @more,
            '-c', $self->{conf});
}


# nginx -t: exit code, output
sub check {
    my ($self) = @_;

    return run($self->_command('stderr'), '-t');
}


# dies with the log when it does not come up
sub start {
    my ($self) = @_;

    $self->{master} = spawn(
        command => [$self->_command($self->{error_log})],
        stdout  => $self->{stderr},
        stderr  => $self->{stderr},
        env     => $self->{env},
    );

    if ($self->{daemon}) {
        my $parent = $self->{master};

        wait_for(15, sub { !running($parent) && $self->read_pid });
        $self->adopt($self->read_pid);
    }

    my ($workers) = read_file($self->{conf}) =~ /^\s*worker_processes\s+(\d+)/m;

    my $up = wait_for(15, sub {
        return 'gone' if !running($self->{master});

        for my $port (@{ $self->{ports} }) {
            IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                PeerPort => $port, Timeout => 1) or return;
        }

        return $self->workers >= ($workers // 1) ? 'up' : undef;
    });

    if (($up // '') ne 'up') {
        my $log = $self->log . read_file($self->{stderr});

        $self->stop('KILL', 5);
        die "nginx did not start:\n" . substr($log, 0, 4000) . "\n";
    }

    return $self;
}


sub master { return $_[0]{master} }


# what the pid file says, 0: there is none
sub read_pid {
    my ($self) = @_;

    open my $in, '<', "$self->{folder}/nginx.pid" or return 0;

    return int(<$in> // 0);
}


# from now on this one is the master: a daemon, or the heir of an upgrade
sub adopt {
    my ($self, $pid) = @_;

    $self->{master}  = $pid;
    $self->{adopted} = 1;

    return;
}

sub log { return read_file($_[0]{error_log}) }


sub alive {
    my ($self) = @_;

    return $self->{master} && running($self->{master}) ? 1 : 0;
}


# pid => title of the master's children
sub processes {
    my ($self) = @_;

    return if !$self->{master};

    my %children = children($self->{master});
    my $log;

    for my $pid (grep { $children{$_} =~ /valgrind/ } keys %children) {
        $log //= $self->log;
        $children{$pid} = _title($log, $pid);
    }

    return %children;
}


# what runs in valgrind has no title of its own, but the log tells of it
sub _title {
    my ($log, $pid) = @_;

    my ($what) = $log =~ /: start (worker|cache \w+) process $pid\b/
        or return '';

    return "nginx: $what process"
        . ($log =~ /\] $pid#[0-9]+: (?:gracefully shutting down|exiting)/
           ? ' is shutting down' : '');
}


# the workers that serve, not those on their way out; Angie numbers the
# configurations that they have
sub workers {
    my ($self) = @_;

    my %children   = $self->processes;
    my $generation = qr/(?: #[0-9]+)?/;

    my @workers  = sort { $a <=> $b }
        grep { $children{$_} =~ /worker process$generation\s*$/ }
        keys %children;

    return @workers;
}


# every process that the log tells of and that still runs
sub left {
    my ($self) = @_;

    my %pids = map { $_ => 1 }
        $self->log =~ /: start (?:worker|cache \w+) process ([0-9]+)/g;

    $pids{ $self->{master} } = 1 if $self->{master};

    my @left = grep { running($_) && $self->_is_nginx($_) } sort keys %pids;

    return @left;
}


sub signal {
    my ($self, $signal, $pid) = @_;

    return kill $signal, $pid // $self->{master};
}


# HUP; true once new workers serve and the old ones have stopped accepting;
# gone => seconds: and the old ones have left.  False: refused or too late.
sub reload {
    my ($self, %option) = @_;

    my %old    = map { $_ => 1 } $self->workers;
    my $before = length $self->log;

    $self->signal('HUP');

    my $done = wait_for($option{timeout} // 15, sub {
        my %now = map { $_ => 1 } $self->workers;

        return 'refused'
            if substr($self->log, $before) =~ /\[emerg\]/;

        return 'done' if %now && !grep { $old{$_} } keys %now;
        return;
    });

    return 0 if ($done // '') ne 'done';
    return 1 if !$option{gone};

    return wait_for($option{gone}, sub { !grep { running($_) } keys %old })
        ? 1 : 0;
}


# true if it went by the signal, with exit code 0, in this time
sub stop {
    my ($self, $signal, $seconds) = @_;

    my $master = $self->{master};

    return 1 if !$master || $self->{owner} != $$;

    kill $signal // 'QUIT', $master;

    # the exit code is ours to reap

    my $code;
    my $gone = wait_for($seconds // 15, sub {
        return !running($master) if $self->{adopted};

        my $pid = waitpid $master, POSIX::WNOHANG();

        $code = $? if $pid == $master;
        return $pid != 0;
    });

    if (!$gone) {
        kill 'KILL', $master;
        waitpid $master, 0;
    }

    # workers whose master was killed

    $self->kill_left if !$gone || ($signal // '') eq 'KILL';

    delete @{$self}{qw(master adopted)};

    $self->{exit_code} = $code;

    return $gone ? 1 : 0;
}


sub kill_left {
    my ($self) = @_;

    return if $self->{owner} != $$;

    kill 'KILL', $_ for $self->left;

    return;
}


sub _is_nginx {
    my ($self, $pid) = @_;

    return read_file("/proc/$pid/cmdline") =~ /^(?:nginx|angie): |\Q$self->{conf}\E/
        ? 1 : 0;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);

    $self->stop('KILL', 5) if $self->{owner} == $$;

    return;
}


1;

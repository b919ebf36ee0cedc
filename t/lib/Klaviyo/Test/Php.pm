package Klaviyo::Test::Php;

# A php-fpm of our own on a unix socket.
#
#   my $php = Klaviyo::Test::Php->start("$folder/php.sock", $folder);
#   $php->stop;                         # true if it went by itself
#
# Its configuration, its log and its sessions are in the folder.  Options:
# children (2); ini => 1: with the extensions that are installed.

use v5.32;
use warnings;

use Klaviyo::Test::Process qw(
    spawn wait_for end_process read_file write_file worker_user
);


# the newest one that there is
sub program {
    my ($program) = reverse sort glob '/usr/sbin/php-fpm[0-9]*';

    return $program // die "no php-fpm: run make deps\n";
}


sub start {
    my ($class, $socket, $folder, %option) = @_;

    my ($user, $group, $uid, $gid) = worker_user();
    my $sessions = "$folder/sessions";
    my $children = $option{children} // 2;
    my $as       = defined $user
        ? "user = $user\ngroup = $group\nlisten.owner = $user\n" : '';

    mkdir $sessions, 0700 or die "mkdir $sessions failed: $!\n";
    chown $uid, $gid, $sessions if defined $user;

    write_file("$folder/php-fpm.conf", <<"END");
[global]
error_log = $folder/php-fpm.log
daemonize = no

[shop]
$as
listen = $socket
pm = static
pm.max_children = $children
catch_workers_output = yes
php_admin_value[session.save_path] = $sessions
php_admin_value[error_log] = $folder/php.log
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
END

    my $pid = spawn(command => [program(), $option{ini} ? () : '-n', '-y',
        "$folder/php-fpm.conf"],
        stderr => "$folder/php-fpm.err");

    my $self = bless {pid => $pid, folder => $folder, owner => $$}, $class;

    wait_for(10, sub { -S $socket })
        or die 'php-fpm did not start: ' . $self->log . "\n";

    return $self;
}


# what went wrong in it and in its scripts
sub log {
    my ($self) = @_;

    return join '', map { read_file("$self->{folder}/$_") }
        qw(php-fpm.err php.log);
}


sub stop {
    my ($self) = @_;

    return 1 if $self->{owner} != $$ || !$self->{pid};

    return end_process(delete $self->{pid}, 'QUIT', 5);
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);

    $self->stop;

    return;
}


1;

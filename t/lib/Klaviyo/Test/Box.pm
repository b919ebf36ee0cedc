package Klaviyo::Test::Box;

# nginx under the conditions of a container, without an engine: what runs it
# becomes another user, gives up capabilities, or sees other mounts.  Root's
# alone.
#
#   boxed($t, before => ['mount -t tmpfs none /run'], user => 'nobody');
#   boxed_command(before => [...], user => ...)  -> the words before a command
#
#   before   lines of shell, in a mount namespace of its own
#   user     "nobody": who nginx is started as; groups => [ids]: beside its own
#   without  ["dac_override"]: capabilities that are not there

use v5.32;
use warnings;

use Exporter qw(import);

use Klaviyo::Test::Process qw(write_file);

our @EXPORT_OK = qw(boxed boxed_command boxes);


# why not, or nothing
sub boxes {
    return 'needs root' if $> != 0;
    return 'needs unshare and setpriv'
        if system 'unshare -m setpriv --no-new-privs true >/dev/null 2>&1';

    return;
}


sub boxed_command {
    my (%option) = @_;

    my @command;

    if ($option{before}) {
        push @command, qw(unshare -m --propagation private sh -ec),
            join("\n", @{ $option{before} }, 'exec "$@"'), 'box';
    }

    my @caps = map { "-$_" } @{ $option{without} // [] };

    push @command, 'setpriv', '--bounding-set', join(',', @caps),
        '--inh-caps', join(',', @caps)
        if @caps;

    if ($option{user}) {
        push @command, 'setpriv', '--reuid', $option{user},
            '--regid', $option{group} // (getpwnam $option{user})[3],
            ($option{groups} ? ('--groups', join ',', @{ $option{groups} })
                             : '--clear-groups'),
            '--no-new-privs';
    }

    return @command;
}


# from now on this is how the nginx of the test is started
sub boxed {
    my ($t, %option) = @_;

    my $nginx = $t->nginx;

    $nginx->{unboxed} //= $nginx->{binary};

    my @words = (boxed_command(%option), $nginx->{unboxed});

    $nginx->{binary} = write_file($t->dir . '/box', "#!/bin/sh\nexec "
        . join(' ', map { "'" . s/'/'\\''/gr . "'" } @words)
        . " \"\$@\"\n", 0755);

    return $t;
}


1;

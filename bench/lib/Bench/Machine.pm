package Bench::Machine;

# Where the figures come from: lines of text.

use v5.32;
use warnings;

use POSIX qw(strftime uname);

use Klaviyo::Test::Process qw(run read_file);


sub lines {
    my ($bench) = @_;

    my ($cpu)  = read_file('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)$/m;
    my $cores  = () = read_file('/proc/cpuinfo') =~ /^processor\s*:/mg;
    my ($kb)   = read_file('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/m;
    my ($name) = read_file('/etc/os-release') =~ /^PRETTY_NAME="(.*)"$/m;
    my @uname  = uname();

    return (
        strftime('%Y-%m-%d', gmtime) . ', commit ' . commit($bench),
        sprintf('%s, %s, %d processors, %.0f GB', $uname[4], $cpu // '?',
                $cores, $kb / 1024 / 1024),
        ($name // '?') . ", Linux $uname[2]",
        join(', ', grep { length } map { version(@$_) }
            [$bench->{binary}, '-v'], ['wrk', '-v'],
            ['curl-config', '--version'], ['gcc', '-dumpfullversion', 'gcc'],
            ['valgrind', '--version'], ['node', '--version', 'node']),
    );
}


sub commit {
    my ($bench) = @_;

    my ($code, $output) = run('git', '-C', $bench->{root}, 'rev-parse',
                              '--short=12', 'HEAD');

    return 'unknown' if $code;

    chomp $output;

    # uncommitted changes: the figures are not of that commit alone

    my (undef, $changes) = run('git', '-C', $bench->{root}, 'status',
        '--porcelain', '--', 'ngx_klaviyo_module');

    return $output . ($changes =~ /\S/ ? ' with changes' : '');
}


sub version {
    my ($command, $option, $name) = @_;

    my (undef, $output) = eval { run($command, $option) };
    my ($line) = ($output // '') =~ /^(\S.*)$/m or return '';

    return '' if $line =~ /^exec /;

    return "nginx $1" if $line =~ m{nginx/(\S+)};
    return "wrk $1"   if $line =~ m{^wrk (\S+)};

    return defined $name ? "$name " . $line =~ s/^v//r : $line;
}


1;

package Bench::Instructions;

# Instructions of a request in user space, counted by callgrind: the same on
# every run, whatever else the machine does.
#
#   my $count = Bench::Instructions::count($bench, requests => 200);
#
# One nginx in a single process; each variant is a location of it, asked over
# one connection.  Nobody delivers: the lease is held by somebody else, as
# delivery is another worker's business in all but one worker.
#
# -> {untracked, bare, ten, access_log => {total, self => {function => n},
#     inclusive => {...}, room => {...}}}, for one request

use v5.32;
use warnings;

use Time::HiRes qw(time);

use Bench;
use Bench::Config;
use Klaviyo::Test::Client;
use Klaviyo::Test::Process qw(run free_port wait_for read_file write_file);

our @VARIANTS = qw(untracked bare ten access_log floor);

use constant RING => 64;         # MB


sub count {
    my ($bench, %option) = @_;

    my $requests = $option{requests} // 200;
    my $port     = free_port();

    # without a master, the worker is root

    chown 0, 0, $bench->{memory} if $> == 0;

    my $holder   = _hold($bench);
    my $out      = "$bench->{dir}/callgrind.out";

    mkdir "$bench->{dir}/site", 0755;
    write_file("$bench->{dir}/site/page.html", 'x' x 4096, 0644);

    my $nginx = $bench->nginx(
        config   => _config($bench, $port),
        ports    => [$port],
        patience => 120,
        wrap     => ['valgrind', '--tool=callgrind',
                     "--callgrind-out-file=$out"],
    );

    my $client = Klaviyo::Test::Client->new(port => $port, timeout => 20);
    my %count;
    my $n = 0;

    for my $variant (_variants($bench)) {
        my $path = Bench::PATH =~ s{^/}{/$variant/}r;

        _requests($client, $path, 20);
        _control('--zero', $nginx->{pid});
        _requests($client, $path, $requests);
        _control('--dump', $nginx->{pid});
        $n++;

        $count{$variant} = _read("$out.$n", $requests);
    }

    $bench->stop($nginx);
    close $holder->{pipe};
    $bench->end($holder->{pid});
    unlink glob "$bench->{memory}/*";

    return \%count;
}


# the floor is a module of its own, which need not be there
sub _variants {
    my ($bench) = @_;

    return grep { $_ ne 'floor' || -e $bench->program('floor.so') } @VARIANTS;
}


sub _hold {
    my ($bench) = @_;

    pipe my $from_us, my $to_it or die "pipe() failed: $!\n";
    pipe my $from_it, my $to_us or die "pipe() failed: $!\n";

    my $pid = $bench->child(
        command => [$bench->program('queue'), 'hold',
                    "$bench->{memory}/shop.ring", RING],
        stdin => $from_us, stdout => $to_us);

    close $from_us;
    close $to_us;

    my $line = <$from_it> // '';

    die "the lease could not be taken\n" if $line ne "held\n";

    return {pid => $pid, pipe => $to_it, from => $from_it};
}


sub _config {
    my ($bench, $port) = @_;

    my $track   = Bench::Config::TRACK;
    my $account = Bench::Config::account($bench,
        endpoint => 'http://127.0.0.1:1', size => RING . 'm');
    my $alias   = "alias $bench->{dir}/site/;";

    my ($load, $floor, $event) = ('') x 3;

    if (grep { $_ eq 'floor' } _variants($bench)) {
        $load  = 'load_module ' . $bench->program('floor.so') . ';';
        $floor = "klaviyo_floor $bench->{memory}/floor.ring 64m;";
        $event = "location /floor/ { $alias klaviyo_floor_event; }";
    }

    return <<"END";
load_module $bench->{module};
$load
$bench->{user}
daemon          off;
master_process  off;
error_log       %%DIR%%/error.log warn;
pid             %%DIR%%/nginx.pid;
events { worker_connections 64; }

http {
    access_log          off;
    sendfile            on;
    keepalive_requests  1000000;
    keepalive_timeout   1000;
    default_type        text/html;

@{[ Bench::Config::temp_paths() ]}
$account
    @{[ Bench::Config::JSON ]}
    $floor

    server {
        listen 127.0.0.1:$port;

        location /untracked/ {
            $alias
        }

        location /bare/ {
            $alias
            klaviyo_track "Viewed Page";
        }

        location /ten/ {
            $alias
            $track
        }

        $event

        location /access_log/ {
            $alias
            access_log %%DIR%%/event.log event buffer=64k flush=1s;
        }
    }
}
END
}


sub _requests {
    my ($client, $path, $n) = @_;

    for (1 .. $n) {
        my $response = $client->request(GET => $path, [Bench::HEADERS]);

        die "$path was answered " . $response->status . "\n"
            if $response->status != 200;
    }

    return;
}


sub _control {
    my ($what, $pid) = @_;

    my ($code, $output) = run('callgrind_control', $what, $pid);

    die "callgrind_control $what failed:\n$output\n"
        if $code || $output !~ /^\s*OK\.$/m;

    return;
}


sub _read {
    my ($file, $requests) = @_;

    wait_for(10, sub { -s $file && read_file($file) =~ /^totals:/m })
        // die "callgrind wrote no $file\n";

    my %count = (total => (read_file($file) =~ /^totals: (\d+)/m)[0]
                          / $requests);

    for my $kind (qw(self inclusive)) {
        my ($code, $text) = run('callgrind_annotate', '--threshold=100',
            '--auto=no', '--inclusive=' . ($kind eq 'self' ? 'no' : 'yes'),
            $file);

        die "callgrind_annotate failed:\n$text\n" if $code;

        for my $line (split /\n/, $text) {
            my ($n, $function, $object) = $line =~
                m{^\s*([\d,]+)\s\([\s\d.]+%\)\s+\S*?:(\S+)(?:\s\[(.*)\])?$}
                or next;

            $n =~ tr/,//d;
            $n /= $requests;

            # what stands above the loop of events is not told apart

            next if $n > 0.999 * $count{total};

            $function =~ s/'\d+$//;

            # inlined from a header, a function has a line for each file

            if ($kind eq 'self') {
                $count{self}{$function} += $n;
                $count{room}{ _room($function, $object // '') } += $n;

            } else {
                $count{inclusive}{$function} = $n
                    if ($count{inclusive}{$function} // 0) < $n;
            }
        }
    }

    return \%count;
}


sub _room {
    my ($function, $object) = @_;

    return 'the module'     if $function =~ /klaviyo/;
    return 'the C library'  if $object =~ m{/(?:libc|ld-linux)[^/]*$};
    return 'nginx';
}


1;

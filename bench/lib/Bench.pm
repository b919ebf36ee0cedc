package Bench;

# What the parts of the benchmark share: processors, nginx, wrk, the sink,
# figures.
#
#   my $bench = Bench->new;           # quick, dir (disk), memory (tmpfs)
#   my $nginx = $bench->nginx(config => $text, port => $p, env => {...});
#   my $run   = $bench->wrk(port => $p, seconds => 2, connections => 16);
#   $bench->cpu($nginx->{worker});    # seconds that it has run
#   $bench->stop($nginx);
#
# The nginx that is measured has a processor of its own, and everything else
# (wrk, sinks, the application behind a proxied page) the other one.

use v5.32;
use warnings;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);
use File::Path     qw(remove_tree);
use MIME::Base64   qw(encode_base64);
use Mojo::JSON     qw(decode_json encode_json);
use Time::HiRes    qw(sleep time);

use Klaviyo::Test::Client;
use Klaviyo::Test::Process qw(
    spawn run free_port wait_for running end_process children temp_folder
    memory_folder write_file read_file worker_user
);

use constant KEY => 'pk_bench_0123456789abcdef';

my $owner = $$;


sub new {
    my ($class, %option) = @_;

    my $root = abs_path(dirname(__FILE__) . '/../..');
    my $objs = "$root/" . ($ENV{KLAVIYO_OBJS} // 'objs');

    my $self = bless {
        root   => $root,
        objs   => $objs,
        module => "$objs/ngx_http_klaviyo_module.so",
        binary => $ENV{KLAVIYO_NGINX} // '/usr/sbin/nginx',
        quick  => ($ENV{BENCH} // '') eq 'quick',
        pids   => {},
        %option,
    }, $class;

    @{$self}{qw(us them)} = _processors();

    $self->{dir}    = temp_folder();
    $self->{memory} = memory_folder();

    my ($user, $group, $uid, $gid) = worker_user();

    $self->{user} = defined $user ? "user $user $group;" : '';
    $self->{ids}  = [$uid // $>, $gid // $)];

    $self->folder($self->{memory});
    write_file("$self->{dir}/key", KEY . "\n", 0600);

    $SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);

    return $self;
}


# of those that we may use: nginx's, and everybody else's
sub _processors {
    my ($list) = read_file('/proc/self/status')
        =~ /^Cpus_allowed_list:\s*(\S+)/m;

    my @cpus = map { /^(\d+)-(\d+)$/ ? ($1 .. $2) : $_ } split /,/, $list;

    return @cpus > 1 ? @cpus[1, 0] : @cpus[0, 0];
}


# made if it is not there, the workers'
sub folder {
    my ($self, $path) = @_;

    mkdir $path;
    chmod 0700, $path;
    chown @{ $self->{ids} }, $path if $> == 0;

    return $path;
}


sub say_on {
    my ($self, @text) = @_;

    printf STDERR "%s\n", join ' ', @text;

    return;
}


# in rounds or seconds: less of it in a quick run
sub less {
    my ($self, $full, $quick) = @_;

    return $self->{quick} ? $quick : $full;
}


sub program {
    my ($self, $name) = @_;

    return "$self->{objs}/bench/$name";
}


# command => [...], cpu, env, stdin, stdout: a child that ends with us
sub child {
    my ($self, %option) = @_;

    my $pid = spawn(%option,
        command => ['taskset', '-c', $option{cpu} // $self->{them},
                    @{ $option{command} }],
        stderr  => $option{stderr} // "$self->{dir}/stderr.log");

    $self->{pids}{$pid} = 1;

    return $pid;
}


sub end {
    my ($self, $pid, $signal) = @_;

    delete $self->{pids}{$pid};

    return end_process($pid, $signal // 'TERM', 10);
}


# config; cpu (ours), env, ports that have to answer, wrap => [command, ...],
# peer (name of what is not ours: alerts in its log are told, no more), expect
# (alerts that are none)
# -> {pid, worker, folder}
sub nginx {
    my ($self, %option) = @_;

    state $n = 0;

    my $folder = "$self->{dir}/nginx" . ++$n;

    mkdir $folder, 0755;
    write_file("$folder/nginx.conf", $option{config} =~ s/%%DIR%%/$folder/gr);

    my $pid = $self->child(
        command => [@{ $option{wrap} // [] }, $self->{binary},
                    '-p', $folder, '-e', "$folder/error.log",
                    '-c', "$folder/nginx.conf"],
        cpu => $option{cpu} // $self->{us},
        env => $option{env},
    );

    my $nginx = {pid => $pid, folder => $folder, peer => $option{peer},
                 expect => $option{expect} // qr/(?!)/};

    my $up = wait_for($option{patience} // 15, sub {
        return 'gone' if !running($pid);

        for my $port (@{ $option{ports} // [] }) {
            IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
                or return;
        }

        return 'up' if $option{wrap};

        my %children = children($pid);

        ($nginx->{worker}) = grep { $children{$_} =~ /worker process/ }
            keys %children;

        return $nginx->{worker} ? 'up' : undef;
    }) // 'late';

    die "nginx did not start ($up):\n" . read_file("$folder/error.log")
        . read_file("$self->{dir}/stderr.log") if $up ne 'up';

    return $nginx;
}


# and what it left, the alerts of its log first of all
sub stop {
    my ($self, $nginx, $signal) = @_;

    $self->end($nginx->{pid}, $signal // 'TERM');
    end_process($nginx->{worker}, 'KILL', 5)
        if ($signal // '') eq 'KILL' && $nginx->{worker};

    my ($alert) = grep { /\[(?:alert|emerg)\]/ && !/$nginx->{expect}/ }
        split /\n/, read_file("$nginx->{folder}/error.log");

    if (defined $alert) {
        die "nginx says:\n$alert\n" if !$nginx->{peer};
        $self->say_on("$nginx->{peer}: $alert");
    }

    remove_tree($nginx->{folder});

    return;
}


# seconds that a process has run, with all its threads
sub cpu {
    my ($self, $pid) = @_;

    my $ns = 0;

    for my $file (glob "/proc/$pid/task/*/schedstat") {
        my ($run) = split ' ', read_file($file);
        $ns += $run // 0;
    }

    return $ns / 1e9;
}


# -> {user, system (seconds, in steps of 10 ms), faults} of its first thread,
# which is nginx's loop
sub usage {
    my ($self, $pid) = @_;

    my @stat = split ' ', read_file("/proc/$pid/task/$pid/stat") =~ s/^.*\)//sr;

    return {user => $stat[11] / 100, system => $stat[12] / 100,
        faults => $stat[7] + $stat[9]};
}


# kilobytes of /proc/<pid>/status, e.g. RssAnon
sub memory {
    my ($self, $pid, $what) = @_;

    my ($kb) = read_file("/proc/$pid/status") =~ /^$what:\s+(\d+) kB/m;

    return $kb // 0;
}


# The request of every benchmark: a page of a shop, by a visitor whom the
# cookie of Klaviyo's script names by an exchange id.
use constant PATH => '/page.html?id=lamp-7&sku=LMP-0007&name=Brass+Desk+Lamp'
    . '&price=49.90&n=2&categories=Home,Lighting&stock=yes&utm_source=letter';

use constant COOKIE => encode_base64('{"cid":"MGQwZDI1NTEtMGUyZS00NzkyLWJi'
    . 'ZWYtZmIyNWU2YWZhMGRm","$exchange_id":"NfHo8YrHoAKFy_VcQer75fuHDVB_csp_'
    . 'dcLFTcBlgIY.AbCdEf"}', '') =~ s/=/%3D/gr;

use constant HEADERS => (
    'User-Agent' => 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 '
        . 'Firefox/128.0',
    'Accept'          => 'text/html,application/xhtml+xml',
    'Accept-Language' => 'en-GB,en;q=0.7',
    'Referer'         => 'https://shop.example/lamps?page=2',
    'Cookie'          => 'currency=EUR; session=5f2b9c01d7; theme=dark; '
        . '__kla_id=' . COOKIE,
);


# port, seconds, connections, path; pace (ms between two requests of each)
# -> {requests, seconds, rps, p50, p99, p999 (us), errors, statuses}
sub wrk {
    my ($self, %option) = @_;

    my @header = HEADERS;
    my @headers;

    while (my ($name, $value) = splice @header, 0, 2) {
        push @headers, '-H', "$name: $value";
    }

    my $command = ['taskset', '-c', $self->{them}, 'wrk', '-t1',
        '-c', $option{connections} // 16, '-d', "$option{seconds}s",
        '-s', "$self->{root}/bench/wrk.lua", @headers,
        "http://127.0.0.1:$option{port}" . ($option{path} // PATH)];

    local $ENV{BENCH_PACE} = $option{pace} // 0;

    my ($code, $output) = run(@$command);
    my ($json) = $output =~ /^(\{.*\})$/m;

    die "wrk failed:\n$output\n" if $code || !defined $json;

    my $result = decode_json($json);

    $result->{rps} = $result->{requests} / $result->{seconds};

    die "wrk: no answer, or not 200: $json\n"
        if $result->{errors} + $result->{statuses}
           > $result->{requests} / 1000;

    return $result;
}


# the first requests find nothing prepared: they are not counted
sub warm_up {
    my ($self, $port, $n) = @_;

    my $client = Klaviyo::Test::Client->new(port => $port);

    for (1 .. $n // 100) {
        my $response = $client->request(GET => PATH, [HEADERS]);

        die "answered " . $response->status . "\n"
            if $response->status != 200;
    }

    return;
}


# ->{pid}, {ports} (ok, unavailable, hang), {socket}
sub sink {
    my ($self) = @_;

    my $socket = "$self->{dir}/sink.sock";

    unlink $socket;

    pipe my $from_us, my $to_it or die "pipe() failed: $!\n";
    pipe my $from_it, my $to_us or die "pipe() failed: $!\n";

    my $pid = $self->child(command => [$self->program('sink'), $socket],
        stdin => $from_us, stdout => $to_us);

    close $from_us;
    close $to_us;

    my @ports = split ' ', <$from_it> // die "the sink did not start\n";

    chmod 0777, $socket;

    return {pid => $pid, pipe => $to_it, socket => $socket,
        ports => {ok => $ports[0], unavailable => $ports[1],
                  hang => $ports[2]}};
}


sub get_json {
    my ($self, $port, $path) = @_;

    my $response = Klaviyo::Test::Client->new(port => $port)->get($path);

    return decode_json($response->body || '{}');
}


sub sink_stats { return $_[0]->get_json($_[1]{ports}{ok}, '/stats') }
sub sink_reset { return $_[0]->get_json($_[1]{ports}{ok}, '/reset') }


sub median {
    my (@n) = sort { $a <=> $b } @_;

    return $n[@n / 2] if @n % 2;

    return ($n[@n / 2 - 1] + $n[@n / 2]) / 2;
}


# median, and the middle half of the values
sub spread {
    my (@n) = sort { $a <=> $b } @_;

    return {
        median => median(@n),
        low    => $n[int(@n / 4)],
        high   => $n[-1 - int(@n / 4)],
        n      => scalar @n,
    };
}


# JSON of a part, for the report
sub save {
    my ($self, $part, $result) = @_;

    write_file($self->program("$part.json"),
        encode_json({%$result, quick => $self->{quick} ? \1 : \0}) . "\n");

    return;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);

    return if $$ != $owner;

    end_process($_, 'TERM', 5) for keys %{ $self->{pids} };
    remove_tree($self->{dir}, $self->{memory});

    return;
}


1;

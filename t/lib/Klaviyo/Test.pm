package Klaviyo::Test;

# The harness: an nginx with the module, a Klaviyo sandbox, and requests.
#
#   use lib 't/lib';
#   use Klaviyo::Test;              # and Test::More, strict, warnings, utf8
#
#   my $t = Klaviyo::Test->new(server => q{
#       location / { klaviyo_track "Viewed Page"; return 200 "hello\n"; }
#   });
#
#   $t->start;
#   is $t->get('/', Cookie => 'a=b')->status, 200, 'served';
#   my $events = $t->wait_events(1);
#   is $events->[0]{metric}, 'Viewed Page', 'arrived';
#   $t->stop;                       # and the checks that follow every test
#
#   done_testing;                   # stops what still runs first
#
# new(...): all parts of the configuration are text, each of them optional
#
#   main, events, http   go to these levels
#   server               of the one server that listens on port() and, for
#                        HTTP/2, on port('H2'); a plain answer by default
#   account              more lines of the account "shop"; api_key_file,
#                        endpoint, queue, spool, batch linger=50ms and retry
#                        min=50ms max=1s are there unless these lines hold
#                        them; undef: no account
#   config               the whole file instead
#   workers (1), daemon (0), user, module (0: without it), sandbox (0: none,
#   or a hash of options, see Klaviyo/Test/Sandbox.pm), front (1 or a hash: the
#   endpoint is https with HTTP/2, see front()), vars (hash), name, env (hash
#   for nginx)
#   allow                an array of patterns: lines of the error log that the
#                        checks at the end overlook
#
# In the parts: %%PORT%%, %%PORT_H2%%, %%PORT_<ANY>%% (a free one),
# %%DIR%%, %%QUEUE_DIR%%, %%QUEUE%% (the ring), %%SPOOL%% (its folder; other
# accounts' may be below %%DIR%%), %%KEY_FILE%%, %%ENDPOINT%%,
# %%SANDBOX_PORT%%, %%CA%%, %%MODULE%%, %%USER%%, and those of `vars`.
#
# What it does
#
#   start, stop($signal), reload(gone => $seconds), signal, set(server => ...)
#   rewrites the file for a reload; check -> exit code, output of nginx -t;
#   config_test(part => ...) -> the same without anything started (function)
#   get, post, request($method, $path, \@headers, $body), client (keep-alive;
#   see Klaviyo/Test/Client.pm), raw($bytes) -> all the answer's bytes,
#   h2($path, @headers) by curl, nghttp(@arguments) -> output,
#   load($path, clients => n) -> an object: ->stop gives {ok, failed, errors}
#   status -> JSON of klaviyo_status, account($name) -> one account of it
#   wait_events(n, s), wait_idle(s) (queued is 0), wait_for(s, code) (function)
#   sandbox, nginx, front, workers, master, log, dir, file($name, $text), port,
#   url($path), queue, spool, allow(@patterns)
#
# After every test: no [alert], [emerg], [crit] and no "open socket left" in
# the log, no sanitizer report, no process that exited with anything but 0,
# captured = delivered + dry_run + dead + lost + handed_over + queued for each
# account, every
# process gone, the folder removed.
#
# Environment: KLAVIYO_MODULE (objs/ngx_http_klaviyo_module.so; "static": it is
# built in), KLAVIYO_NGINX, KLAVIYO_USER, KLAVIYO_DEBUG=1 (error_log debug),
# KLAVIYO_KEEP=1 (keep the folder), KLAVIYO_TIMEOUT (s for a whole test, 300),
# KLAVIYO_OBJS (objs: the folder of what was built), KLAVIYO_SLOW (1: how many
# times as long everything may take), KLAVIYO_REAL_NGINX (what KLAVIYO_NGINX
# wraps: for whatever is not the nginx to test), KLAVIYO_NGINX_MODULES (the
# folder of its other modules; objs/modules, which "make deps" fills).

use v5.32;
use warnings;
use utf8;

use Cwd             qw(abs_path);
use Exporter        ();
use File::Basename  qw(dirname);
use File::Path      qw(remove_tree);
use Mojo::JSON      qw(decode_json);
use POSIX           ();
use Test::More      ();
use Time::HiRes     qw(sleep time);

use Klaviyo::Test::Certificates;
use Klaviyo::Test::Client;
use Klaviyo::Test::Nginx;
use Klaviyo::Test::Process qw(
    run free_port slow wait_for running temp_folder memory_folder write_file
    read_file worker_user
);
use Klaviyo::Test::Sandbox;

our @EXPORT = qw(config_test nginx_modules slow wait_for done_testing);

use constant KEY => 'pk_test_0123456789abcdef';

my %alive;
my $owner = $$;


# njs, Lua: loaded by their path, as they are not enabled on the machine

sub nginx_modules {
    return $ENV{KLAVIYO_NGINX_MODULES}
        // abs_path(dirname(__FILE__) . '/../../..') . '/objs/modules';
}

$ENV{LUA_PATH} = nginx_modules() . '/lua/?.lua;;';


sub import {
    my ($class) = @_;

    my $caller = caller;

    strict->import;
    warnings->import;
    utf8->import;
    feature->import(':5.32');

    Test::More->export_to_level(1, 'Test::More',
        grep { $_ ne 'done_testing' } @Test::More::EXPORT);

    no strict 'refs';
    *{"${caller}::$_"} = \&$_ for @EXPORT;

    my $builder = Test::More->builder;

    binmode $builder->$_, ':utf8'
        for qw(output failure_output todo_output);

    $SIG{$_}   = sub { exit 1 } for qw(INT TERM HUP);
    $SIG{ALRM} = sub { Test::More::diag('too slow'); exit 1 };
    $SIG{PIPE} = 'IGNORE';

    alarm slow($ENV{KLAVIYO_TIMEOUT} // 300);

    return;
}


sub done_testing {
    for my $name (sort keys %alive) {
        $alive{$name}->stop if $alive{$name};
    }

    return Test::More::done_testing(@_);
}


END {
    if ($$ == $owner && %alive) {
        my $code = $?;

        for my $t (grep { defined } values %alive) {
            Test::More::diag("\"$t->{name}\" was not stopped by its test");
            $t->_dump;
            $t->_end;
            $code ||= 1;
        }

        $? = $code;
    }
}


sub new {
    my ($class, %option) = @_;

    state $n = 0;

    my $self = bless {
        name    => 'nginx ' . ++$n,
        account => '',
        workers => 1,
        module  => 1,
        sandbox => {},
        allow   => [],
        vars    => {},
        %option,
        id      => $n,
        port    => {},
    }, $class;

    my $root = abs_path(dirname(__FILE__) . '/../../..');

    $self->{dir}       = temp_folder();
    $self->{queue_dir} = memory_folder() . '/queue';
    $self->{module_file} = $ENV{KLAVIYO_MODULE}
        // "$root/" . ($ENV{KLAVIYO_OBJS} // "objs")
            . "/ngx_http_klaviyo_module.so";
    $self->{module_file} = abs_path($self->{module_file})
        // die "no $self->{module_file}: run make first\n"
        if $self->{module} && $self->{module_file} ne 'static';

    die "no $self->{module_file}: run make first\n"
        if $self->{module} && $self->{module_file} ne 'static'
        && !-f $self->{module_file};

    $alive{$n} = $self;

    my ($user, $group, $uid, $gid) = worker_user();

    mkdir $self->{queue_dir}, 0700 or die "mkdir failed: $!\n";
    chown $uid, $gid, $self->{queue_dir} if defined $user;

    $self->{user} //= defined $user ? "user $user $group;" : '';

    write_file("$self->{dir}/shop.key", KEY . "\n", 0600);

    if ($self->{sandbox}) {
        my $options = ref $self->{sandbox} ? $self->{sandbox} : {};

        $self->{sandbox} = Klaviyo::Test::Sandbox->start(
            keys   => [KEY . ':shop'],
            stderr => "$self->{dir}/sandbox.log",
            %$options,
        );
    }

    $self->{front_options} = delete $self->{front};
    $self->front(ref $self->{front_options} ? %{ $self->{front_options} } : ())
        if $self->{front_options};

    # the workers write there, too

    my $reports = "$self->{dir}/sanitizer";

    mkdir $reports;
    chmod 0777, $reports;

    my %env = map {
        ($_ => join ':', $ENV{$_} // (),
            "log_path=$reports/report", 'exitcode=99')
    } qw(ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS TSAN_OPTIONS);

    $env{VALGRIND_OPTS} = "--log-file=$reports/report.%p";

    $self->{nginx} = Klaviyo::Test::Nginx->new(
        folder => $self->{dir},
        config => '',
        daemon => $self->{daemon},
        env    => {%env, %{ $self->{env} // {} }},
    );

    $self->set;

    return $self;
}


# exit code and output of nginx -t for these parts, see new()
sub config_test {
    my (%option) = @_;

    my $t = Klaviyo::Test->new(sandbox => 0, %option);
    my @result = $t->check;

    $t->_end;

    return @result;
}


sub sandbox { return $_[0]{sandbox} }
sub nginx   { return $_[0]{nginx} }
sub dir     { return $_[0]{dir} }
sub queue   { return "$_[0]{queue_dir}/shop.ring" }
sub spool   { return "$_[0]{dir}/spool" }
sub workers { return $_[0]{nginx}->workers }
sub master  { return $_[0]{nginx}->master }
sub log     { return $_[0]{nginx}->log }
sub key     { return KEY }


# a free port of that name, the server's own without one
sub port {
    my ($self, $name) = @_;

    return $self->{port}{ $name // '' } //= free_port();
}


sub url {
    my ($self, $path) = @_;

    return 'http://127.0.0.1:' . $self->port . ($path // '/');
}


# writes a file into the folder -> its path
sub file {
    my ($self, $name, $text, $mode) = @_;

    my $path = "$self->{dir}/$name";

    mkdir dirname($path);

    return write_file($path, $text, $mode // 0644);
}


# lines of the log that the checks at the end overlook
sub allow {
    my ($self, @patterns) = @_;

    push @{ $self->{allow} }, @patterns;

    return $self;
}


# what nginx says of a worker that was killed, which may have had a zone's lock
sub allow_kills {
    my ($self) = @_;

    return $self->allow(qr/exited on signal 9/,
        qr/shared memory zone "[^"]*" was locked by/);
}


# other parts of the configuration, for a reload or a later start
sub set {
    my ($self, %option) = @_;

    $self->{$_} = $option{$_} for keys %option;

    $self->nginx->configure($self->_expand($self->{config}
                                           // $self->_config));
    return $self;
}


sub _config {
    my ($self) = @_;

    my $nginx   = $self->nginx;
    my $load    = $self->{module} && $self->{module_file} ne 'static'
        ? 'load_module %%MODULE%%;' : '';
    my $level   = $ENV{KLAVIYO_DEBUG} ? 'debug' : 'info';
    my $http2   = $nginx->listen_http2('127.0.0.1:%%PORT_H2%%');
    my $daemon  = $self->{daemon} ? 'on' : 'off';
    my $main    = $self->{main} // '';
    my $events  = $self->{events} // '';
    my $http    = $self->{http} // '';
    my $server  = $self->{server}
        // 'location / { return 200 "hello\n"; }';
    my $account = $self->_account;
    my $temp    = join "\n", map { "    ${_}_temp_path %%DIR%%/temp;" }
        qw(client_body proxy fastcgi scgi uwsgi);
    my $status  = $self->{module} ? <<'END' : '';
    server {
        listen 127.0.0.1:%%PORT_STATUS%%;
        klaviyo_track off;

        location = /klaviyo_status {
            klaviyo_status;
        }
    }
END

    # every test's server has its own listener for HTTP/2; the option is the
    # listener's in old versions, the server's in new ones

    $http2 =~ s/; http2 on;/;\n        http2 on;/;

    return <<"END";
$load
%%USER%%
daemon $daemon;
master_process on;
worker_processes $self->{workers};
error_log %%DIR%%/error.log $level;
pid %%DIR%%/nginx.pid;
$main

events {
    worker_connections 512;
    $events
}

http {
    access_log off;
    default_type text/html;
$temp

$account
    $http

    server {
        listen 127.0.0.1:%%PORT%%;
        $http2
        server_name _;

        $server
    }

$status
}
END
}


sub _account {
    my ($self) = @_;

    return '' if !$self->{module} || !defined $self->{account};

    my %line = (
        api_key_file => 'api_key_file %%KEY_FILE%%;',
        endpoint     => 'endpoint %%ENDPOINT%%;',
        queue        => 'queue %%QUEUE%% size=8m;',
        spool        => 'spool %%SPOOL%%;',
        batch        => 'batch linger=50ms;',
        retry        => 'retry min=50ms max=1s;',
    );

    my $account = $self->{account};

    delete $line{api_key_file} if $account =~ /^\s*api_key\b/m;

    $line{ssl_trusted_certificate} = 'ssl_trusted_certificate %%CA%%;'
        if $self->{front};

    my @lines = map { $line{$_} }
        grep { $account !~ /(?:^|[;{])\s*$_\s/m } sort keys %line;

    return "    klaviyo_account shop {\n"
        . join('', map { "        $_\n" } @lines, $account) . "    }\n";
}


sub _expand {
    my ($self, $text) = @_;

    my %value = (
        DIR          => $self->{dir},
        QUEUE_DIR    => $self->{queue_dir},
        QUEUE        => $self->queue,
        SPOOL        => $self->spool,
        KEY_FILE     => "$self->{dir}/shop.key",
        MODULE       => $self->{module_file},
        USER         => $self->{user},
        SANDBOX_PORT => $self->{sandbox} ? $self->{sandbox}->port : 1,
        ENDPOINT     => $self->endpoint,
        CA           => $self->{ca} ? $self->{ca}->file : '',
        %{ $self->{vars} },
    );

    # a value may hold others

    for (1 .. 3) {
        $text =~ s{%%([A-Z][A-Z0-9_]*)%%}{
            my $name = $1;
            exists $value{$name}       ? $value{$name}
            : $name eq 'PORT'          ? $self->port
            : $name =~ /^PORT_(\w+)$/  ? $self->port($1)
            : die "nothing known as %%$name%%\n"
        }ge;
    }

    return $text;
}


sub endpoint {
    my ($self) = @_;

    return $self->{front}{url} if $self->{front};
    return $self->{sandbox}->url if $self->{sandbox};
    return 'http://127.0.0.1:1';
}


# An nginx in front of the sandbox: TLS and HTTP/2.  http2 => 0: HTTP/1.1
# alone; host => 'localhost' (default) or '127.0.0.1', as the URL names it;
# names, expired: of the certificate; server: more lines.
# -> {url, port, nginx}; called by new(front => ...) before the configuration
# is written.
sub front {
    my ($self, %option) = @_;

    return $self->{front} if $self->{front};

    my $folder = "$self->{dir}/front";
    my $port   = free_port();
    my $to     = $self->{sandbox}->port;

    mkdir $folder;

    $self->{ca} //= Klaviyo::Test::Certificates->new("$folder/tls");

    my ($cert, $key) = $self->{ca}->issue('front',
        map { defined $option{$_} ? ($_ => $option{$_}) : () }
            qw(names expired));

    my $nginx = Klaviyo::Test::Nginx->new(folder => $folder, config => '',
        ports => [$port], plain => 1);
    my $listen = $option{http2} // 1
        ? $nginx->listen_http2("127.0.0.1:$port", 'ssl')
        : "listen 127.0.0.1:$port ssl;";
    my $server = $option{server} // '';
    my $temp   = join "\n", map { "    ${_}_temp_path $folder/temp;" }
        qw(client_body proxy fastcgi scgi uwsgi);

    $nginx->configure(<<"END");
$self->{user}
daemon off;
worker_processes 1;
error_log $folder/error.log info;
pid $folder/nginx.pid;
events { }
http {
    access_log off;
$temp
    client_max_body_size 64m;
    client_body_buffer_size 8m;
    keepalive_requests 100000;

    upstream sandbox {
        server 127.0.0.1:$to;
        keepalive 64;
    }

    server {
        $listen
        ssl_certificate $cert;
        ssl_certificate_key $key;
        ssl_protocols TLSv1.2 TLSv1.3;
        reset_timedout_connection on;
        $server

        location / {
            proxy_pass http://sandbox;
            proxy_http_version 1.1;
            proxy_set_header Host \$http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Front-Protocol \$server_protocol;
            proxy_set_header X-Front-Connection \$connection;
            proxy_set_header X-Front-Tls \$ssl_protocol;
            proxy_read_timeout 600s;
            proxy_next_upstream off;

            # what the sandbox cut off is cut off here too
            error_page 502 504 = \@gone;
        }

        location \@gone {
            return 444;
        }
    }
}
END

    $nginx->start;

    my $host = $option{host} // 'localhost';

    return $self->{front} =
        {url => "https://$host:$port", port => $port, nginx => $nginx};
}


sub start {
    my ($self) = @_;

    my $nginx = $self->nginx;

    # only what the configuration really listens on

    my $config = read_file($nginx->{conf});

    $nginx->{ports} = [grep { $config =~ /listen 127\.0\.0\.1:$_\b/ }
                       values %{ $self->{port} }];
    $nginx->start;

    $self->{started} = 1;
    $self->{stopped} = 0;

    return $self;
}


sub check { return $_[0]->nginx->check }

sub signal {
    my ($self, @arguments) = @_;

    return $self->nginx->signal(@arguments);
}


# true when new workers serve; gone => s: and the old ones have left
sub reload {
    my ($self, %option) = @_;

    return $self->nginx->reload(%option);
}


sub client {
    my ($self, %option) = @_;

    return Klaviyo::Test::Client->new(port => $self->port, %option);
}


sub request {
    my ($self, $method, $path, $headers, $body) = @_;

    my $client   = $self->client;
    my $response = $client->request($method, $path, $headers, $body);

    $client->close;

    return $response;
}


sub get {
    my ($self, $path, @headers) = @_;

    return $self->request(GET => $path, \@headers);
}


sub post {
    my ($self, $path, $body, @headers) = @_;

    return $self->request(POST => $path, \@headers, $body);
}


# sends bytes as they are -> what comes back until nginx closes
sub raw {
    my ($self, $bytes, %option) = @_;

    my $client = $self->client(timeout => 5, %option);

    $client->send($bytes);

    return $client->rest;
}


# one request by HTTP/2 without TLS
sub h2 {
    my ($self, $path, @headers) = @_;

    my @arguments = ('-A', Klaviyo::Test::Client::AGENT);

    while (my ($name, $value) = splice @headers, 0, 2) {
        push @arguments, '-H', "$name: $value";
    }

    my ($code, $output) = run('curl', '-s', '-i', '--max-time', '10',
        '--noproxy', '*', '--path-as-is', '--http2-prior-knowledge',
        @arguments, 'http://127.0.0.1:' . $self->port('H2') . $path);

    my ($head, $body) = split /\r\n\r\n/, $output, 2;
    my ($status) = ($head // '') =~ m{\AHTTP/2 ([0-9]+)};
    my %headers  = map { /^([^:]+):\s*(.*)/ ? (lc $1 => $2) : () }
        split /\r\n/, $head // '';

    return bless {status => $status // 0, headers => \%headers,
        body => $body // '', error => "curl: $code"},
        'Klaviyo::Test::Response';
}


# nghttp with these arguments; a path among them gets the HTTP/2 address
sub nghttp {
    my ($self, @arguments) = @_;

    my $base = 'http://127.0.0.1:' . $self->port('H2');
    my ($code, $output) = run('nghttp',
        map { m{^/} ? "$base$_" : $_ } @arguments);

    return $output;
}


# Keep-alive clients that ask for a path (or in turn for an array of them)
# until ->stop; headers => [...], clients => 2, pause => s between requests
sub load {
    my ($self, $path, %option) = @_;

    my @paths = ref $path ? @$path : $path;
    my $port  = $self->port;
    my @children;

    for my $n (1 .. $option{clients} // 2) {
        pipe my $from, my $to or die "pipe() failed: $!\n";

        my $pid = fork() // die "fork() failed: $!\n";

        if ($pid) {
            close $to;
            push @children, [$pid, $from];
            next;
        }

        my $stop = 0;

        $SIG{TERM} = sub { $stop = 1 };
        $SIG{INT}  = $SIG{HUP} = 'DEFAULT';
        alarm 0;

        my %count  = (ok => 0, failed => 0, errors => {});
        my $client = Klaviyo::Test::Client->new(port => $port);
        my $parent = getppid;
        my $i      = 0;

        while (!$stop && getppid == $parent) {
            my $response = $client->get($paths[$i++ % @paths],
                @{ $option{headers} // [] });

            if ($response->status >= 200 && $response->status < 400) {
                $count{ok}++;

            } else {
                $count{failed}++;
                $count{errors}{ $response->error // $response->status }++;
            }

            sleep $option{pause} if $option{pause};
        }

        print $to Mojo::JSON::encode_json(\%count);
        close $to;
        POSIX::_exit(0);
    }

    return bless {children => \@children, owner => $$}, 'Klaviyo::Test::Load';
}


# the figures as klaviyo_status tells them
sub status {
    my ($self) = @_;

    my $client   = Klaviyo::Test::Client->new(port => $self->port('STATUS'));
    my $response = $client->get('/klaviyo_status');

    $client->close;

    return if $response->status != 200;

    return decode_json($response->body);
}


sub account {
    my ($self, $name) = @_;

    my $status = $self->status or return {};

    return $status->{accounts}{ $name // 'shop' } // {};
}


sub wait_events {
    my ($self, $n, $seconds) = @_;

    return $self->sandbox->wait_events($n, $seconds);
}


# true once no account has anything queued
sub wait_idle {
    my ($self, $seconds) = @_;

    return wait_for($seconds // 10, sub {
        my $status = $self->status or return;
        return !grep { $_->{queued} } values %{ $status->{accounts} };
    }, 0.05);
}


# Ends nginx and checks what must hold after every test, as one subtest.
sub stop {
    my ($self, $signal, %option) = @_;

    return if $self->{stopped} || $self->{ended};

    my $nginx  = $self->nginx;
    my $status = $self->{module} && $nginx->alive ? $self->status : undef;
    my $alive  = $nginx->alive;
    my $gone   = $nginx->stop($signal, $option{timeout} // 15);

    Test::More::subtest("$self->{name}: ends well" => sub {
        _balance($status) if $status;

        if ($self->{started}) {
            Test::More::ok($gone, 'nginx went when told to');
            Test::More::is($nginx->{exit_code} // 0, 0, 'by itself with 0')
                if $alive && $gone;
        }

        $self->_check_log;

        my @left = wait_for(3, sub { !$nginx->left }) ? () : $nginx->left;

        Test::More::is("@left", '', 'no process left');

        $nginx->kill_left;

        if ($self->{front}) {
            Test::More::ok($self->{front}{nginx}->stop('QUIT', 5)
                || $self->{front}{nginx}->stop('TERM', 5), 'the front went');
        }

        if ($self->{sandbox}) {
            Test::More::ok($self->{sandbox}->stop, 'the sandbox went');
        }
    });

    $self->{stopped} = 1;
    $self->_dump if !Test::More->builder->is_passing;
    $self->_end;

    return;
}


# nginx alone, for a later start: the sandbox and the ring stay
sub halt {
    my ($self, $signal, $seconds) = @_;

    return $self->nginx->stop($signal, $seconds);
}


# every captured event has exactly one outcome
sub _balance {
    my ($status) = @_;

    for my $name (sort keys %{ $status->{accounts} }) {
        my $account = $status->{accounts}{$name};
        my $sum     = 0;

        $sum += $account->{$_} // 0
            for qw(delivered dry_run dead lost handed_over queued);

        Test::More::is($sum, $account->{captured},
            "account $name: captured = delivered + dry_run + dead + lost"
            . ' + handed_over + queued');
    }

    return;
}


sub _check_log {
    my ($self) = @_;

    my @bad;
    my @lines = split /\n/, $self->log . read_file("$self->{dir}/stderr.log");

    LINE:
    for my $line (@lines) {
        for my $pattern (@{ $self->{allow} }) {
            next LINE if $line =~ $pattern;
        }

        push @bad, $line
            if $line =~ /\[(?:alert|emerg|crit)\]/
            || $line =~ /open socket #?[0-9]* ?left/
            || $line =~ /exited with (?:fatal )?code (?!0\b)/
            || $line =~ /exited on signal/
            || $line =~ /(?:Address|Thread|Leak|Memory)Sanitizer/
            || $line =~ /runtime error:/;
    }

    Test::More::is(join("\n", @bad), '',
        'nothing in the log that must not be there');

    my @reports = glob "$self->{dir}/sanitizer/*";

    Test::More::is(join('', map { read_file($_) } @reports), '',
        'no sanitizer report');

    return;
}


sub _dump {
    my ($self) = @_;

    for my $name (qw(error.log stderr.log sandbox.log front/error.log)) {
        my @lines = split /\n/, read_file("$self->{dir}/$name");

        next if !@lines;

        splice @lines, 0, @lines - 60 if @lines > 60;

        Test::More::diag("--- the end of $name");
        Test::More::diag($_) for @lines;
    }

    return;
}


sub _end {
    my ($self) = @_;

    delete $alive{ $self->{id} };

    return if $self->{ended}++;

    if ($self->nginx) {
        $self->nginx->stop('KILL', 5);
        $self->nginx->kill_left;
    }

    $self->{front}{nginx}->stop('KILL', 5) if ref $self->{front};
    $self->{sandbox}->stop if ref $self->{sandbox}
        && ref $self->{sandbox} ne 'HASH';

    my @folders = ($self->{dir}, dirname($self->{queue_dir}));

    if ($ENV{KLAVIYO_KEEP}) {
        Test::More::diag("kept: @folders");
        return;
    }

    remove_tree(@folders, {safe => 0});

    my @kept = grep { -e } @folders;

    if (@kept) {
        Test::More::diag("could not remove @kept");
    }

    return;
}


package Klaviyo::Test::Load;

# -> {ok => n, failed => n, errors => {text => n}} of all clients together
sub stop {
    my ($self) = @_;

    my %count = (ok => 0, failed => 0, errors => {});

    kill 'TERM', $_->[0] for @{ $self->{children} };

    for my $child (@{ $self->{children} }) {
        my ($pid, $from) = @$child;
        my $text = do { local $/; <$from> } // '';

        waitpid $pid, 0;

        my $one = eval { Mojo::JSON::decode_json($text) }
            // {ok => 0, failed => 1, errors => {"client died" => 1}};

        $count{$_} += $one->{$_} for qw(ok failed);
        $count{errors}{$_} += $one->{errors}{$_} for keys %{ $one->{errors} };
    }

    $self->{children} = [];

    return \%count;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);

    $self->stop if $self->{owner} == $$;

    return;
}


1;

package Klaviyo::Test::Chaos;

# Requests that can be told apart, processes that are killed, and what must
# hold afterwards.
#
#   my $t = chaos(workers => 3, account => '...');    # a Klaviyo::Test
#   $t->start;
#   my $load = requests($t, clients => 2, pause => 0.003);
#   ... kill, reload, upgrade; count what was killed ...
#   my $answered = $load->stop;             # ids, in a hash
#   arrived($t, 'a name', $answered, killed => $n);
#
# Each request has an id of its own, is sent once and never repeated, and its
# event has this id for its unique_id.  So there are four sets of ids:
#
#   answered   the client read the whole answer, 200
#   logged     the line of the access log says that one event was captured.
#              It is written behind the capture, in the same log phase
#   captured   in the ring: by its own figure, which survives every kill
#   recorded   by the sandbox, each with how often it came
#
# and this is claimed by arrived():
#
#   captured = delivered = the number of those recorded; none lost, none dead.
#   But for a lock that was not had in 5 ms, counted as queue_busy: on a
#   machine that is busier than its processors a process may be off them for
#   longer in the middle of a copy.  At most one in a hundred is let pass
#   logged   is part of recorded: what was told to be captured, arrived
#   answered is part of recorded, but for one request a killed worker: it can
#            be killed after the answer has left and before the log phase,
#            and then captured nothing.  Both happen in one turn of a worker's
#            loop, hence no more than one
#   recorded once each: the sandbox discards repeats by unique_id as Klaviyo
#            does, and every repeat had the very same bytes
#
# After that stop() checks the equation and the log, as after every test.
#
#   processes($t)          pids of workers of this nginx, also orphans
#   workers_of($t, $master)  those of one master
#   deliverer($t)          the pid of the last that said that it delivers
#   kill_hard(@pids)       SIGKILL, and waits until they are gone
#   hang_one($t)           the next request gets no answer; whether its events
#                          are recorded is left to chance.  -> the fault
#   hang_none($t)          no further one, and those that hang end
#   start_again($t)        a new master, whatever became of the old one
#   other_pid($t, @known)  the pid file's, when it is none of these
#   soak($short)           seconds: KLAVIYO_SOAK, else this

use v5.32;
use warnings;

use Exporter    qw(import);
use POSIX       ();
use Test::More  ();
use Time::HiRes qw(sleep time);

use Klaviyo::Test;
use Klaviyo::Test::Client;
use Klaviyo::Test::Process qw(children running read_file);

our @EXPORT = qw(
    chaos requests arrived recorded processes workers_of deliverer kill_hard
    start_again other_pid soak hang_one hang_none
);

my $serial = 0;


sub soak { return $ENV{KLAVIYO_SOAK} || $_[0] }


# reuseport => 1: listeners that a new master can open beside its orphans
sub chaos {
    my (%option) = @_;

    my $reuseport = delete $option{reuseport};

    my $t = Klaviyo::Test->new(
        sandbox => {limits => 'off', keep => 2_000_000},
        account => '',
        http    => q{
            klaviyo_profile email $arg_email;
            log_format ids "$arg_id $klaviyo_captured";
        },
        server  => q{
            access_log %%DIR%%/access.log ids;

            location / {
                klaviyo_event "Viewed Page" {
                    unique_id $arg_id;
                }
                return 200 "page\n";
            }
        },
        %option,
    );

    $t->allow_kills;

    if ($reuseport) {
        my $config = $t->_config;

        $config =~ s/(listen [0-9.:]+(?:%%\w+%%)?(?: http2)?);/$1 reuseport;/g;
        $t->set(config => $config);
    }

    return $t;
}


# clients that ask until ->stop; port: another than the server's; paths: in
# turn, / alone by default
sub requests {
    my ($t, %option) = @_;

    my $port = $option{port} // $t->port;
    my @children;

    for my $n (1 .. $option{clients} // 2) {
        my $name = $$ . 'x' . ++$serial;
        my $file = $t->dir . "/answered.$name";
        my $pid  = fork() // die "fork() failed: $!\n";

        if ($pid) {
            push @children, [$pid, $file];
            next;
        }

        _ask($port, $name, $file,
            $option{pause} // ($ENV{KLAVIYO_SOAK} ? 0.02 : 0.003),
            @{ $option{paths} // ['/'] });
        POSIX::_exit(0);
    }

    return bless {children => \@children, owner => $$},
        'Klaviyo::Test::Chaos::Requests';
}


sub _ask {
    my ($port, $name, $file, $pause, @paths) = @_;

    my $stop   = 0;
    my $parent = getppid;
    my $agent  = Klaviyo::Test::Client::AGENT;
    my $client = Klaviyo::Test::Client->new(port => $port, timeout => 1);

    open my $answered, '>', $file or die "open $file failed: $!\n";

    $SIG{TERM} = sub { $stop = 1 };
    $SIG{INT}  = $SIG{HUP} = 'DEFAULT';

    for (my $i = 1; !$stop && getppid == $parent; $i++) {
        my $id = "$name-$i";
        my $who = $i % 50;
        my $at = $paths[$i % @paths];

        # not by get(), which asks again when a kept connection was closed

        $client->send("GET $at?id=$id&email=v$who\@shop.test "
            . "HTTP/1.1\r\nHost: localhost\r\nUser-Agent: $agent\r\n\r\n");

        my $response = $client->response('GET');

        if ($response->status == 200) {
            syswrite $answered, "$id\n";
            $client->close
                if ($response->header('connection') // '') =~ /close/i;

        } else {
            $client->close;
        }

        sleep $pause;
    }

    return;
}


# id => how often it came, of all that the sandbox recorded
sub recorded {
    my ($t) = @_;

    my %recorded;

    while (1) {
        my $events = $t->sandbox->events(since => scalar keys %recorded,
                                         limit => 10_000);

        last if !@$events;

        $recorded{ $_->{unique_id} } = $_->{times} for @$events;
    }

    return \%recorded;
}


# killed: how many workers were; seconds: to deliver what is left
sub arrived {
    my ($t, $name, $answered, %option) = @_;

    my $killed = $option{killed} // 0;

    return Test::More::subtest("$name: what was captured arrived" => sub {
        # first: a request that its client gave up may come late

        my @logged = map { /^(\S+) 1$/ ? $1 : () }
            split /\n/, read_file($t->dir . '/access.log');

        my $idle = $t->wait_idle($option{seconds} // 90);

        Test::More::ok($idle, 'nothing is left in the queue');

        # an orphan that nobody knows of may have the first connection

        my $account  = wait_for(10, sub {
            my $account = $t->account;
            return defined $account->{captured} ? $account : undef;
        }) // {};
        my $stats    = $t->sandbox->stats;
        my $recorded = recorded($t);

        Test::More::note(sprintf '%d answered, %d logged, %d captured, '
            . '%d recorded, %d repeats, %d killed', scalar keys %$answered,
            scalar @logged, $account->{captured}, scalar keys %$recorded,
            $stats->{repeats}, $killed);

        my $busy = $account->{reasons}{lost}{queue_busy};

        Test::More::cmp_ok($busy, '<=', $account->{captured} / 100,
            'the lock was had in time');
        Test::More::is($account->{lost}, $busy, 'none lost')
            or Test::More::diag(Test::More::explain($account->{reasons}));
        Test::More::is($account->{dead}, 0, 'none dead');
        Test::More::is($account->{delivered} + $busy, $account->{captured},
            'all that were captured are delivered');
        Test::More::is($busy + keys %$recorded, $account->{captured},
            'and recorded, each once');
        Test::More::is($stats->{recorded}, scalar keys %$recorded,
            'each by an id of its own');
        Test::More::is($stats->{collisions}, 0,
            'what came again was the same, byte for byte');
        Test::More::is($stats->{duplicates_in_request}, 0,
            'no id came twice in one request');

        Test::More::is_deeply([grep { !$recorded->{$_} } @logged], [],
            'what the access log calls captured is recorded');

        my $missing = grep { !$recorded->{$_} } keys %$answered;

        Test::More::cmp_ok($missing, '<=', $killed + $busy,
            'what was answered is recorded, but for one a killed worker');
        Test::More::cmp_ok(scalar keys %$answered, '>',
            ($option{load} // 20) / slow(1), 'there was load');
    });
}


# what runs in valgrind has no title of its own, but the log tells of it; of
# the last worker of a master that was killed it may not, but that has the ring

sub processes {
    my ($t) = @_;

    return grep {
        running($_)
            && read_file("/proc/$_/cmdline")
               =~ /^(?:nginx|angie): worker process(?: #[0-9]+)?\0|valgrind/;
    } _started($t);
}


sub workers_of {
    my ($t, $master) = @_;

    my %children = children($master);

    return grep { ($children{$_} // '') =~ /worker process|valgrind/ }
        _started($t);
}


sub _started {
    my ($t) = @_;

    my %pids = map { $_ => 1 }
        $t->log =~ /: start worker process ([0-9]+)/g;

    for my $maps (glob '/proc/[0-9]*/maps') {
        my ($pid) = $maps =~ /([0-9]+)/;

        # it may have ended by now

        $pids{$pid} = 1
            if index(eval { read_file($maps) } // '', $t->queue) != -1;
    }

    return keys %pids;
}


sub deliverer {
    my ($t) = @_;

    # it may be asked twenty times a second, and the log grows

    open my $log, '<', $t->nginx->{error_log} or return 0;
    seek $log, -400_000, 2;

    my $text = do { local $/; <$log> };

    my ($pid) = $text =~ /.*\[notice\] ([0-9]+)#.*: this worker delivers/s;

    return $pid && running($pid) ? $pid : 0;
}


# -> how many there were
sub kill_hard {
    my (@pids) = @_;

    my $n = kill KILL => @pids;

    wait_for(5, sub { !grep { running($_) } @pids });

    return $n;
}


# what was sent and what was not is all the same to who comes next: the kill
# of a deliverer whose request simply arrived would prove little

sub hang_one {
    my ($t) = @_;

    return $t->sandbox->fault(kind => 'hang', times => 1,
                              process => int rand 2);
}


sub hang_none {
    my ($t) = @_;

    $t->sandbox->clear_faults;
    $t->sandbox->release;

    return;
}


sub start_again {
    my ($t) = @_;

    delete $t->nginx->{$_} for qw(master adopted);

    return $t->start;
}


sub other_pid {
    my ($t, @known) = @_;

    return wait_for(10, sub {
        my $pid = $t->nginx->read_pid;

        return $pid && !grep({ $_ == $pid } @known) ? $pid : undef;
    });
}


package Klaviyo::Test::Chaos::Requests;

# -> the ids that were answered, as a hash
sub stop {
    my ($self) = @_;

    my %answered;

    kill 'TERM', $_->[0] for @{ $self->{children} };

    for my $child (@{ $self->{children} }) {
        my ($pid, $file) = @$child;

        waitpid $pid, 0;
        $answered{$_} = 1 for split /\n/,
            Klaviyo::Test::Process::read_file($file);
    }

    $self->{children} = [];

    return \%answered;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);

    $self->stop if $self->{owner} == $$;

    return;
}


1;

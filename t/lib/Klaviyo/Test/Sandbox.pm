package Klaviyo::Test::Sandbox;

# A Klaviyo sandbox in a process of its own, and its control.
#
#   my $sandbox = Klaviyo::Test::Sandbox->start(%option);
#       keys => ['pk_a:shop', ...], no_scope => ['pk_b'], limits => 'off',
#       keep => n, port => n, stderr => path
#   url, port, pid
#   events(since => n, limit => n)   -> array; each {n, metric, profile,
#       properties, time, unique_id, value, value_currency, backfill, times,
#       via, account, key (which of the keys), received, request, dropped}
#   requests   -> array; each {n, method, path, endpoint, status, processed,
#       events, bytes, time, finished, headers, http_version, connection,
#       tls, fault}
#   state(account) -> {profiles, lists, subscriptions} of it
#   stats      -> hash, see Klaviyo/Sandbox.pm
#   body(n)    -> the bytes of a request, the last one without n
#   fault(kind => ..., ...) -> its number; clear_faults; faults
#   limits(...), consume(...), settings(...), release, reset
#   wait_events(n, seconds) -> the events when there are at least n, or false
#   wait_requests(n, seconds), stop

use v5.32;
use warnings;

use File::Basename qw(dirname);
use File::Spec     ();
use Mojo::JSON     qw(decode_json encode_json);

use Klaviyo::Test::Client  ();
use Klaviyo::Test::Process qw(spawn wait_for end_process running);


sub start {
    my ($class, %option) = @_;

    my $program = File::Spec->rel2abs(dirname(__FILE__)
        . '/../../klaviyo-sandbox');

    # it ends when our end of this pipe is gone, however we end

    pipe my $from_us, my $to_it or die "pipe() failed: $!\n";
    pipe my $from_it, my $to_us or die "pipe() failed: $!\n";

    my $pid = spawn(
        command => [$^X, $program, '--with-parent',
                    '--port', $option{port} // 0,
                    (map { ('--key', $_) } @{ $option{keys} // [] }),
                    (map { ('--no-scope', $_) } @{ $option{no_scope} // [] }),
                    $option{limits} ? ('--limits', $option{limits}) : (),
                    $option{keep} ? ('--keep', $option{keep}) : ()],
        stdin   => $from_us,
        stdout  => $to_us,
        stderr  => $option{stderr},
    );

    close $from_us;
    close $to_us;

    my $line = <$from_it> // '';
    my ($port) = $line =~ m{^http://127\.0\.0\.1:([0-9]+)$}
        or die "the sandbox did not start\n";

    return bless {pid => $pid, port => $port, pipe => $to_it, owner => $$},
        $class;
}


sub pid  { return $_[0]{pid} }
sub port { return $_[0]{port} }
sub url  { return "http://127.0.0.1:$_[0]{port}" }


# a client for requests of the test's own
sub client {
    my ($self, %option) = @_;

    return Klaviyo::Test::Client->new(port => $self->{port}, %option);
}


sub events {
    my ($self, %option) = @_;

    my $query = join '&', map { "$_=$option{$_}" } sort keys %option;

    return $self->_call(GET => "/_sandbox/events?$query");
}


sub requests { return $_[0]->_call(GET => '/_sandbox/requests') }

sub state {
    my ($self, $account) = @_;

    return $self->_call(GET => '/_sandbox/state'
        . (defined $account ? "?account=$account" : ''));
}


sub stats { return $_[0]->_call(GET => '/_sandbox/stats') }

sub faults { return $_[0]->_call(GET => '/_sandbox/faults') }

sub reset { return $_[0]->_call(DELETE => '/_sandbox') }

sub release { return $_[0]->_call(POST => '/_sandbox/release', {}) }

sub body {
    my ($self, $n) = @_;

    my $response = $self->_client->get('/_sandbox/body'
        . (defined $n ? "?n=$n" : ''));

    return $response->status == 200 ? $response->body : undef;
}


sub fault {
    my ($self, %fault) = @_;

    return $self->_call(POST => '/_sandbox/faults', \%fault)->{ids}[0];
}


sub clear_faults {
    my ($self, $id) = @_;

    return $self->_call(DELETE => '/_sandbox/faults'
        . (defined $id ? "?id=$id" : ''));
}


sub limits {
    my ($self, %limits) = @_;

    return $self->_call(POST => '/_sandbox/limits', \%limits);
}


sub consume {
    my ($self, %what) = @_;

    return $self->_call(POST => '/_sandbox/consume', \%what);
}


sub settings {
    my ($self, %settings) = @_;

    return $self->_call(POST => '/_sandbox/settings', \%settings);
}


sub wait_events {
    my ($self, $n, $seconds) = @_;

    wait_for($seconds // 10, sub { $self->stats->{recorded} >= $n }, 0.05)
        or return;

    return $self->events;
}


sub wait_requests {
    my ($self, $n, $seconds) = @_;

    return wait_for($seconds // 10, sub {
        my $requests = $self->requests;
        return @$requests >= $n ? $requests : undef;
    }, 0.05);
}


# -> true if it went by itself
sub stop {
    my ($self) = @_;

    return 1 if $self->{owner} != $$ || !$self->{pid};

    # it goes by itself when the pipe is closed

    my $pid    = delete $self->{pid};
    my $before = running($pid);

    delete $self->{client};
    delete $self->{pipe};

    return end_process($pid, 'TERM', 5) && $before;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $@, $!);

    $self->stop;

    return;
}


sub _client {
    my ($self) = @_;

    # a forked child must not share the connection

    delete $self->{client} if ($self->{client_of} // 0) != $$;

    $self->{client_of} = $$;

    return $self->{client} //= $self->client(timeout => 30);
}


sub _call {
    my ($self, $method, $path, $json) = @_;

    my $response = $self->_client->request($method, $path,
        ['Content-Type' => 'application/json'],
        defined $json ? encode_json($json) : undef);

    die "the sandbox does not answer: " . $response->error . "\n"
        if !$response->status;
    die "$method $path: " . $response->body . "\n"
        if $response->status != 200;

    return decode_json($response->body);
}


1;

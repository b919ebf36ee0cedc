package Klaviyo::Test::Client;

# A small blocking HTTP/1.1 client that can also misbehave.
#
#   my $client = Klaviyo::Test::Client->new(port => 8080);
#   my $response = $client->get('/path', Cookie => 'a=b');      # keep-alive
#   $client->request(POST => '/', {Host => 'x'}, 'body');
#   $client->send("GET / HTTP/1.1\r\n..."); $client->response;
#   $client->close; $client->reset;
#
# It says that it is a browser (agent => 'another', undef: says nothing), as
# klaviyo_skip asks for one, unless a request has its own User-Agent.
#
# A response has status, headers (name => value, lower case; repeated ones
# joined by ", "), body, and `header(name)`.  No answer: status 0 and `error`.

use v5.32;
use warnings;

use IO::Select       ();
use IO::Socket::INET ();
use Mojo::JSON       ();
use Socket           qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes      qw(time);

use constant AGENT => 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) '
    . 'Gecko/20100101 Firefox/128.0';


sub new {
    my ($class, %option) = @_;

    return bless {host => '127.0.0.1', timeout => 10, buffer => '',
        agent => AGENT, %option}, $class;
}


sub get {
    my ($self, $path, @headers) = @_;

    return $self->request(GET => $path, \@headers);
}


# headers: an array of name, value, ... or a hash
sub request {
    my ($self, $method, $path, $headers, $body) = @_;

    my @headers = ref $headers eq 'HASH'
        ? map { $_ => $headers->{$_} } sort keys %$headers
        : @{ $headers // [] };

    my %given;
    my $text = "$method $path HTTP/1.1\r\n";

    while (my ($name, $value) = splice @headers, 0, 2) {
        $given{ lc $name } = 1;
        $text .= "$name: $value\r\n";
    }

    $text .= "Host: $self->{host}\r\n" if !$given{host};
    $text .= "User-Agent: $self->{agent}\r\n"
        if !$given{'user-agent'} && defined $self->{agent};

    if (defined $body) {
        utf8::encode($body) if utf8::is_utf8($body);
        $text .= 'Content-Length: ' . length($body) . "\r\n"
            if !$given{'content-length'} && !$given{'transfer-encoding'};
    }

    utf8::encode($text) if utf8::is_utf8($text);
    $text .= "\r\n" . ($body // '');

    # a kept connection may have been closed meanwhile: once more

    my $kept = $self->{socket};

    $self->send($text);
    my $response = $self->response($method);

    if (!$response->status && $kept && $response->{error} eq 'closed') {
        $self->send($text);
        $response = $self->response($method);
    }

    $self->close
        if ($response->header('connection') // '') =~ /close/i
        || !$response->status;

    return $response;
}


sub send {
    my ($self, $bytes) = @_;

    my $socket = $self->connect or return 0;
    my $end    = time + $self->{timeout};
    my $sent   = 0;

    local $SIG{PIPE} = 'IGNORE';

    while ($sent < length $bytes) {
        my $n = syswrite $socket, $bytes, length($bytes) - $sent, $sent;

        if (!defined $n) {
            last if !$!{EAGAIN} && !$!{EINTR};
            last if time > $end;
            IO::Select->new($socket)->can_write(0.1);
            next;
        }

        $sent += $n;
    }

    return $sent == length $bytes;
}


sub connect {
    my ($self) = @_;

    return $self->{socket} if $self->{socket};

    $self->{buffer} = '';
    $self->{socket} = IO::Socket::INET->new(PeerAddr => $self->{host},
        PeerPort => $self->{port}, Timeout => $self->{timeout});

    if ($self->{socket}) {
        $self->{socket}->blocking(0);
        setsockopt $self->{socket}, IPPROTO_TCP, TCP_NODELAY, 1;
    }

    return $self->{socket};
}


sub close {
    my ($self) = @_;

    close delete $self->{socket} if $self->{socket};

    return;
}


# goes away by RST
sub reset {
    my ($self) = @_;

    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0
        if $self->{socket};

    return $self->close;
}


# reads one response
sub response {
    my ($self, $method) = @_;

    my $end = time + $self->{timeout};

    return _none('not connected') if !$self->{socket};

    while (1) {
        my $head = $self->_until("\r\n\r\n", $end)
            // return _none($self->{why});

        my ($line, @lines) = split /\r\n/, $head;
        my ($status, $reason) = $line
            =~ m{\AHTTP/[0-9.]+ ([0-9]{3})(?: (.*))?\z}
            or return _none("not HTTP: $line");

        next if $status >= 100 && $status < 200;

        my %headers;

        for (@lines) {
            my ($name, $value) = /\A([^:]+):\s*(.*?)\s*\z/ or next;

            $name = lc $name;
            $headers{$name} = defined $headers{$name}
                ? "$headers{$name}, $value" : $value;
        }

        my $response = bless {status => $status, reason => $reason,
            headers => \%headers, raw_head => $head, body => ''},
            'Klaviyo::Test::Response';

        return $response
            if ($method // '') eq 'HEAD' || $status == 204 || $status == 304;

        my $length = $headers{'content-length'};

        if (($headers{'transfer-encoding'} // '') =~ /chunked/i) {
            while (1) {
                my $size = $self->_until("\r\n", $end) // last;

                $size = hex $size;
                $response->{body} .= $self->_bytes($size, $end);
                $self->_bytes(2, $end);

                last if $size == 0;
            }

        } elsif (defined $length) {
            $response->{body} = $self->_bytes($length, $end);

        } else {
            1 while $self->_read($end);
            $response->{body} = $self->{buffer};
            $self->close;
        }

        return $response;
    }
}


# everything until the far end closes
sub rest {
    my ($self) = @_;

    my $end = time + $self->{timeout};

    1 while $self->_read($end);

    my $rest = $self->{buffer};
    $self->{buffer} = '';

    return $rest;
}


sub _until {
    my ($self, $mark, $end) = @_;

    while (1) {
        my $at = index $self->{buffer}, $mark;

        if ($at >= 0) {
            my $text = substr $self->{buffer}, 0, $at, '';
            substr $self->{buffer}, 0, length $mark, '';
            return $text;
        }

        $self->_read($end) or return;
    }
}


sub _bytes {
    my ($self, $n, $end) = @_;

    while (length $self->{buffer} < $n) {
        $self->_read($end) or last;
    }

    return substr $self->{buffer}, 0, $n, '';
}


sub _read {
    my ($self, $end) = @_;

    my $socket = $self->{socket} or return 0;

    while (1) {
        my $n = sysread $socket, $self->{buffer}, 65_536,
            length $self->{buffer};

        return $n if $n;

        if (defined $n || (!$!{EAGAIN} && !$!{EINTR})) {
            $self->{why} = !defined $n && $! ? "read failed: $!" : 'closed';
            $self->{why} = 'closed' if $!{ECONNRESET};
            $self->close;
            return 0;
        }

        if (time > $end) {
            $self->{why} = 'timeout';
            $self->close;
            return 0;
        }

        IO::Select->new($socket)->can_read(0.1);
    }
}


sub _none {
    my ($why) = @_;

    return bless {status => 0, headers => {}, body => '', raw_head => '',
        error => $why // 'no answer'}, 'Klaviyo::Test::Response';
}


package Klaviyo::Test::Response;

sub status  { return $_[0]{status} }
sub headers { return $_[0]{headers} }
sub body    { return $_[0]{body} }
sub error   { return $_[0]{error} }

sub header { return $_[0]{headers}{ lc $_[1] } }

sub json { return Mojo::JSON::decode_json($_[0]{body}) }


1;

package Klaviyo::Sandbox::Limits;

# The rate windows of one account, exact sliding windows: at no moment do more
# than `burst` requests lie within the last second, or more than `steady`
# within the last minute.  The largest number of requests ever seen in a
# window, refused ones included, is kept for the tests.

use v5.32;
use warnings;

use POSIX       qw(ceil);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my %documented = (
    single => {burst => 350, steady => 3500},
    bulk   => {burst => 10,  steady => 150},
    map { $_ => {burst => 75, steady => 700} }
        qw(profiles lists subscriptions),
    events   => {burst => 350, steady => 3500},
    imports  => {burst => 10, steady => 150},
    accounts => {burst => 1, steady => 15},
);


# off: count, never refuse; class => {burst, steady, burst_seconds,
# steady_seconds} changes a class
sub new {
    my ($class, %option) = @_;

    my $self = bless {class => {}, paused_until => 0, early => 0}, $class;

    $self->set(%option);

    return $self;
}


sub set {
    my ($self, %option) = @_;

    $self->{off} = $option{off} if exists $option{off};

    for my $name (keys %documented) {
        my $class = $self->{class}{$name} //= {
            %{ $documented{$name} },
            burst_seconds  => 1,
            steady_seconds => 60,
            taken          => {burst => [], steady => []},
            seen           => {burst => [], steady => []},
            peak           => {burst => 0, steady => 0},
            throttled      => 0,
            early          => 0,
            paused_until   => 0,
        };

        my $change = $option{$name} // {};

        for my $member (qw(burst steady burst_seconds steady_seconds)) {
            $class->{$member} = $change->{$member}
                if defined $change->{$member};
        }
    }

    return;
}


# One request of a class.  -> {ok, retry_after, limit, remaining, reset}
sub take {
    my ($self, $name) = @_;

    my $now   = clock_gettime(CLOCK_MONOTONIC);
    my $class = $self->{class}{$name};

    $self->_see($class, $now);

    $class->{early}++ if $now < $class->{paused_until};
    $self->{early}++  if $now < $self->{paused_until};

    if (!$self->{off}) {
        my $wait = 0;

        for my $window (qw(burst steady)) {
            my $taken = $class->{taken}{$window};
            my $span  = $class->{"${window}_seconds"};

            _prune($taken, $now - $span);

            next if @$taken < $class->{$window};

            my $left = $taken->[0] + $span - $now;
            $wait = $left if $left > $wait;
        }

        # an early retry is always refused

        my $left = ($class->{refuse_until} // 0) - $now;
        $wait = $left if $left > $wait;

        if ($wait > 0) {
            my $seconds = ceil($wait) || 1;

            $class->{throttled}++;
            $class->{refuse_until} = $now + $wait;
            $self->pause($name, $wait);

            return {ok => 0, retry_after => $seconds};
        }
    }

    push @{ $class->{taken}{$_} }, $now for qw(burst steady);

    return {ok => 1, %{ $self->headers($name) }};
}


sub headers {
    my ($self, $name) = @_;

    my $now   = clock_gettime(CLOCK_MONOTONIC);
    my $class = $self->{class}{$name};
    my $taken = $class->{taken}{steady};

    _prune($taken, $now - $class->{steady_seconds});

    my $remaining = $class->{steady} - @$taken;
    my $reset = @$taken
        ? ceil($taken->[0] + $class->{steady_seconds} - $now)
        : $class->{steady_seconds};

    return {
        limit     => $class->{steady},
        remaining => $remaining > 0 ? $remaining : 0,
        reset     => $reset,
    };
}


# other senders of the account use up the steady window
sub consume {
    my ($self, $name, $n) = @_;

    my $now = clock_gettime(CLOCK_MONOTONIC);

    push @{ $self->{class}{$name}{taken}{steady} }, ($now) x $n;

    return;
}


# The sender was told to wait: a request before that is counted as early, for
# its class and for the account, whose sender should pause altogether.
sub pause {
    my ($self, $name, $seconds) = @_;

    my $until = clock_gettime(CLOCK_MONOTONIC) + $seconds;
    my $class = $self->{class}{$name};

    # that other endpoints are told to wait does not concern events

    my @paused = $name =~ /^(?:single|bulk)$/ ? ($self, $class) : $class;

    for my $paused (@paused) {
        $paused->{paused_until} = $until if $until > $paused->{paused_until};
    }

    return;
}


sub stats {
    my ($self) = @_;

    my %stats = (early_retries => $self->{early});

    for my $name (keys %{ $self->{class} }) {
        my $class = $self->{class}{$name};

        $stats{$name} = {
            burst  => {limit => $class->{burst},
                       peak  => $class->{peak}{burst}},
            steady => {limit => $class->{steady},
                       peak  => $class->{peak}{steady}},
            throttled     => $class->{throttled},
            early_retries => $class->{early},
        };
    }

    return \%stats;
}


sub _see {
    my ($self, $class, $now) = @_;

    for my $window (qw(burst steady)) {
        my $seen = $class->{seen}{$window};

        push @$seen, $now;
        _prune($seen, $now - $class->{"${window}_seconds"});

        $class->{peak}{$window} = @$seen if @$seen > $class->{peak}{$window};
    }

    return;
}


sub _prune {
    my ($times, $before) = @_;

    shift @$times while @$times && $times->[0] <= $before;

    return;
}


1;

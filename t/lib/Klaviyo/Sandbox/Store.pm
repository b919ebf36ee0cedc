package Klaviyo::Sandbox::Store;

# What the sandbox received: events, each once and how often it was seen, and
# requests.  An event's JSON is kept as text, so that many cost little.

use v5.32;
use warnings;

use Mojo::JSON  qw(encode_json);
use Time::HiRes ();

my @identifiers = qw(email phone_number external_id _kx anonymous_id);

use constant METRICS_MAX => 200;


sub new {
    my ($class, %option) = @_;

    my $self = bless {keep => $option{keep} // 200_000}, $class;

    $self->reset;

    return $self;
}


sub reset {
    my ($self) = @_;

    $self->{events}   = [];
    $self->{requests} = [];
    $self->{seen}     = {};
    $self->{metrics}  = {};
    $self->{count}    = {
        map { $_ => 0 }
            qw(received recorded repeats collisions dropped
               duplicates_in_request refused_requests max_events max_body)
    };
    $self->{statuses} = {};
    $self->{bodies}   = [];

    return;
}


sub count { return $_[0]{count} }


# who an event is about, as de-duplication sees it
sub _who {
    my ($item) = @_;

    return "id:$item->{id}" if defined $item->{id} && length $item->{id};

    for my $name (@identifiers) {
        my $value = $item->{profile}{$name};

        next if !defined $value || !length $value;

        $value = lc $value if $name eq 'email';

        return "$name:$value";
    }

    return '';
}


sub _key {
    my ($account, $item, $now) = @_;

    my $event = $item->{event};
    my $name  = $event->{metric}{data}{attributes}{name};

    # without a unique_id the second stands for it

    my $unique = defined $event->{unique_id}
        ? "u:$event->{unique_id}"
        : 't:' . (defined $event->{time}
                  ? substr($event->{time}, 0, 19) : int $now);

    return join "\0", $account, _who($item), $name, $unique;
}


# -> the items whose unique_id stands twice in the request
sub duplicates {
    my ($self, $account, $items) = @_;

    my %once;

    return grep {
        defined $_->{event}{unique_id} && $once{ _key($account, $_, 0) }++
    } @$items;
}


# -> the first item whose metric would be one too many for the account
sub too_many_metrics {
    my ($self, $account, $items) = @_;

    my $known = $self->{metrics}{$account} // {};
    my %new;

    for my $item (@$items) {
        my $name = $item->{event}{metric}{data}{attributes}{name};

        next if $known->{$name} || $new{$name}++;

        return $item if keys(%$known) + keys(%new) > METRICS_MAX;
    }

    return;
}


sub record {
    my ($self, $account, $key, $via, $request, $items) = @_;

    my $now   = Time::HiRes::time();
    my $count = $self->{count};

    for my $item (@$items) {
        my $event = $item->{event};
        my $name  = $event->{metric}{data}{attributes}{name};
        my $text  = encode_json({
            metric     => $name,
            profile    => {(map { defined $item->{$_}
                                  ? ($_ => $item->{$_}) : () } qw(id meta)),
                           %{ $item->{profile} }},
            properties => $event->{properties},
            map { exists $event->{$_} ? ($_ => $event->{$_}) : () }
                qw(time unique_id value value_currency backfill)
        });

        $count->{received}++;
        $self->{metrics}{$account}{$name}++;

        my $seen = \$self->{seen}{ _key($account, $item, $now) };

        if ($$seen) {
            $$seen->{times}++;
            $count->{repeats}++;
            $count->{collisions}++
                if defined $$seen->{text} && $$seen->{text} ne $text;
            next;
        }

        my $dropped = ($item->{profile}{email} // '')
            =~ /@(?:example|test)\.com\z/i ? 1 : 0;

        $count->{recorded}++;
        $count->{dropped} += $dropped;

        $$seen = {
            n => $count->{recorded}, times => 1, text => $text, via => $via,
            account => $account, received => $now, request => $request,
            dropped => $dropped, key => $key,
        };

        push @{ $self->{events} }, $$seen;

        if (@{ $self->{events} } > $self->{keep}) {
            my $old = shift @{ $self->{events} };
            delete $old->{text};
        }
    }

    return;
}


# the events after the first `since`, at most `limit`, as JSON text
sub events_json {
    my ($self, $since, $limit) = @_;

    my @text;
    my $events = $self->{events};
    my $first  = @$events ? $events->[0]{n} : 1;
    my $i      = $since < $first ? 0 : $since - $first + 1;

    for ( ; $i < @$events; $i++) {
        last if $limit && @text >= $limit;

        my $event = $events->[$i];
        my $about = encode_json({
            map { $_ => $event->{$_} }
                qw(n times via account received request key)
        });

        chop $about;

        push @text, $about . ',"dropped":'
            . ($event->{dropped} ? 'true' : 'false') . ','
            . substr $event->{text}, 1;
    }

    return '[' . join(",\n", @text) . "]\n";
}


sub add_request {
    my ($self, $request) = @_;

    push @{ $self->{requests} }, $request;
    shift @{ $self->{requests} } if @{ $self->{requests} } > $self->{keep};

    return;
}


sub answered {
    my ($self, $request, $status) = @_;

    $request->{status} = $status;
    $self->{statuses}{$status}++;

    return;
}


sub requests { return $_[0]{requests} }


1;

package Klaviyo::Sandbox::Faults;

# Faults on demand, see the list in Klaviyo/Sandbox.pm.  Each holds for its
# next `times` requests (0 or absent: until cleared) after the first `skip`.

use v5.32;
use warnings;

my %kinds = map { $_ => 1 } qw(status reset hang slow lost raw refuse);


sub new {
    my ($class) = @_;

    return bless {list => [], next => 1}, $class;
}


# -> the fault's number; dies with a text when it is not understood
sub add {
    my ($self, $fault) = @_;

    die "a fault is an object\n" if ref $fault ne 'HASH';

    my $kind = $fault->{kind} // '';

    die "unknown kind of fault \"$kind\"\n" if !$kinds{$kind};
    die "a status fault needs its status\n"
        if $kind eq 'status' && !$fault->{status};
    die "unknown endpoint\n"
        if defined $fault->{endpoint}
        && $fault->{endpoint} !~ /^(?:single|bulk|events|accounts|profiles|lists
                                    |imports|subscriptions)$/x;

    if ($kind eq 'refuse') {
        my $match = $fault->{match};

        die "a refusal needs a match\n" if ref $match ne 'HASH';

        for my $pattern (grep { !ref } values %$match,
            values %{ $match->{properties} // {} })
        {
            eval { qr/$pattern/ } // die "bad pattern \"$pattern\"\n";
        }
    }

    push @{ $self->{list} },
        {skip => 0, times => 0, %$fault, id => $self->{next}++, used => 0};

    return $self->{next} - 1;
}


sub clear {
    my ($self, $id) = @_;

    $self->{list} = [grep { defined $id && $_->{id} != $id }
                     @{ $self->{list} }];

    return;
}


sub list { return $_[0]{list} }


# the fault for this request, if any; `early`: before its body was read, and
# before it is known whose it is; `body`: a reference to it
sub take {
    my ($self, $endpoint, $early, $account, $body) = @_;

    for my $fault (@{ $self->{list} }) {
        next if $fault->{kind} eq 'refuse';
        next if ($fault->{at} // '') eq 'headers' xor $early;
        next if defined $fault->{endpoint} && $fault->{endpoint} ne $endpoint;
        next if defined $fault->{account}
            && $fault->{account} ne ($account // '');
        next if defined $fault->{contains}
            && ($early || $$body !~ /$fault->{contains}/);
        next if defined $fault->{larger}
            && ($early || length $$body <= $fault->{larger});
        next if defined $fault->{share} && rand() >= $fault->{share};
        next if !_due($fault);

        return $fault;
    }

    return;
}


# [event, fault] for each of these events that is to be refused
sub refused {
    my ($self, $endpoint, $events, $account) = @_;

    for my $fault (grep { $_->{kind} eq 'refuse' } @{ $self->{list} }) {
        next if defined $fault->{endpoint} && $fault->{endpoint} ne $endpoint;
        next if defined $fault->{account} && $fault->{account} ne $account;

        my @hit = grep { _matches($fault->{match}, $_) } @$events;

        next if !@hit || !_due($fault);

        return ($fault, @hit);
    }

    return;
}


sub _due {
    my ($fault) = @_;

    return 0 if $fault->{times} && $fault->{used} >= $fault->{times};

    if ($fault->{skip} > 0) {
        $fault->{skip}--;
        return 0;
    }

    $fault->{used}++;

    return 1;
}


sub _matches {
    my ($match, $item) = @_;

    my $event   = $item->{event};
    my %of      = (
        metric    => $event->{metric}{data}{attributes}{name},
        unique_id => $event->{unique_id},
        email     => $item->{profile}{email},
    );

    for my $name (keys %of) {
        next if !defined $match->{$name};
        return 0 if ($of{$name} // '') !~ /$match->{$name}/;
    }

    my $properties = $match->{properties} // {};

    for my $name (keys %$properties) {
        my $value = $event->{properties}{$name};

        return 0 if !defined $value || ref $value
            || $value !~ /$properties->{$name}/;
    }

    return 1;
}


# The pointers of a refusal: `event` (default), `entry`, `none`, `nonsense`,
# `mixed` (the first names its event, the others nothing), or a text as it is.
sub pointer {
    my ($fault, $item, $n) = @_;

    my $how = $fault->{pointer} // 'event';

    return "$item->{pointer}/properties" if $how eq 'event';
    return $item->{entry}                if $how eq 'entry';
    return undef                         if $how eq 'none';

    return $n ? undef : "$item->{pointer}/properties" if $how eq 'mixed';

    return $how if $how ne 'nonsense';

    my $bulk = '/data/attributes/events-bulk-create/data';
    my @nonsense = (
        "$bulk/99999999/attributes/events/data/0",
        "$bulk/-1/attributes",
        "$bulk/18446744073709551617/attributes",
        "$bulk//attributes",
        "$bulk/0x1/attributes",
        "$bulk/1e0/attributes",
        "$bulk/0\x{0}1/attributes",
        "$bulk/\x{0663}/attributes",
        $bulk,
        '/' x 5000,
        '',
        'data',
    );

    return $nonsense[($fault->{used} - 1 + $n) % @nonsense];
}


1;

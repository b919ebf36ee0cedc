package Klaviyo::Sandbox::Schema;

# What Klaviyo asks of the body of POST /api/events, of
# POST /api/event-bulk-create-jobs, /api/profile-bulk-import-jobs and
# /api/profile-subscription-bulk-create-jobs: types, required members, no members but
# the known ones where the schema names them, and the documented limits.
# Errors carry JSON pointers as Klaviyo's do.

use v5.32;
use warnings;

use B           ();
use Exporter    qw(import);
use Mojo::JSON  qw(encode_json);
use Time::Local qw(timegm_modern);

our @EXPORT_OK = qw(check_single check_bulk check_import check_subscribe
                    is_number);

use constant {
    BODY_MAX       => 5_000_000,
    PROFILE_MAX    => 95 * 1024,
    STRING_MAX     => 100 * 1024,
    PROPERTIES_MAX => 400,
    ITEMS_MAX      => 4000,
    DEPTH_MAX      => 10,
    UNIQUE_ID_MAX  => 255,
    METRIC_MAX     => 127,
    EMAIL_MAX      => 99,
    EVENTS_MAX     => 1000,
    IMPORT_MAX     => 10_000,
    SUBSCRIBE_MAX  => 1000,
    ERRORS_MAX     => 100,
};

my @identifiers = qw(email phone_number external_id _kx anonymous_id);


# the small set of types that the schema is written in; `?` allows null

my %type = (
    string  => sub { defined && !ref && !is_number($_) },
    number  => sub { is_number($_) },
    boolean => sub { ref eq 'JSON::PP::Boolean' },
    object  => sub { ref eq 'HASH' },
    array   => sub { ref eq 'ARRAY' },
    coordinate => sub { defined && !ref },
    unset   => sub {
        return 1 if defined && !ref && !is_number($_);
        return ref eq 'ARRAY'
            && !grep { !defined || ref || is_number($_) } @$_;
    },
);

my %location = (
    (map { $_ => 'string?' }
        qw(address1 address2 city country ip region timezone zip)),
    latitude  => 'coordinate?',
    longitude => 'coordinate?',
);

my %meta = (
    patch_properties  => '{}?',
    patch_identifiers => '{}?',
);

my %patch_properties = (
    append   => 'object?',
    unappend => 'object?',
    unset    => 'unset?',
);

my %patch_identifiers = (append => 'object', unappend => 'object');

my %person = (
    (map { $_ => 'string?' }
        qw(email phone_number external_id _kx anonymous_id first_name
           last_name organization locale title image)),
    properties => 'object?',
    location   => '{}?',
);

my %event = (
    properties     => 'object!',
    metric         => '{}!',
    time           => 'string?',
    value          => 'number?',
    value_currency => 'string?',
    unique_id      => 'string?',
    backfill       => 'boolean?',
);


# true for what was a number in the JSON text
sub is_number {
    my ($value) = @_;

    return 0 if !defined $value;
    return ref $value eq 'Klaviyo::Sandbox::JSON::Huge' if ref $value;

    my $flags = B::svref_2object(\$value)->FLAGS;

    return !($flags & B::SVf_POK) && $flags & (B::SVf_IOK | B::SVf_NOK)
        ? 1 : 0;
}


sub new_errors { return bless {list => []}, __PACKAGE__ }


sub full { return @{ $_[0]{list} } >= ERRORS_MAX }


sub add {
    my ($self, $pointer, $detail, $code) = @_;

    return if $self->full;

    push @{ $self->{list} },
        {pointer => $pointer, detail => $detail, code => $code // 'invalid'};

    return;
}


# Checks that a value is an object with these members and no others; a type
# that ends in `!` is required, in `?` may be null, `{}` is looked at by the
# caller.  False: the caller need not look inside.
sub members {
    my ($self, $value, $pointer, $members) = @_;

    if (ref $value ne 'HASH') {
        $self->add($pointer, 'An object is expected.');
        return 0;
    }

    my $good = 1;

    for my $name (keys %$value) {
        next if exists $members->{$name};

        $self->add("$pointer/" . _escape($name),
            "'" . _short($name) . "' is not a valid field for the resource.");
    }

    for my $name (sort keys %$members) {
        my ($type, $mark) = $members->{$name} =~ /^([a-z]+|\{\})([!?]?)$/;

        if (!exists $value->{$name}) {
            next if $mark ne '!';

            $self->add("$pointer/$name", "'$name' is a required field.",
                'required');
            $good = 0;
            next;
        }

        next if $mark eq '?' && !defined $value->{$name};

        $type = 'object' if $type eq '{}';

        local $_ = $value->{$name};
        next if $type{$type}->();

        $self->add("$pointer/$name", "'$name' must be of type $type.");
        $good = 0;
    }

    return $good;
}


# {"data": {"type": $type, "attributes": {...}}} -> attributes or nothing
sub resource {
    my ($self, $value, $pointer, $type, %more) = @_;

    $self->members($value, $pointer, {data => '{}!'}) or return;

    my $data = $value->{data};

    $self->members($data, "$pointer/data",
        {type => 'string!', attributes => '{}!', %more}) or return;

    if ($data->{type} ne $type) {
        $self->add("$pointer/data/type", "The type must be '$type'.");
        return;
    }

    return $data->{attributes};
}


sub text {
    my ($self, $value, $pointer) = @_;

    return if length $value <= STRING_MAX / 4;

    my $bytes = $value;
    utf8::encode($bytes);

    return if length $bytes <= STRING_MAX;

    $self->add($pointer, 'A string must not exceed 100 KB.', 'too_large');

    return;
}


# free values: what is under `properties`
sub free {
    my ($self, $value, $pointer, $depth) = @_;

    return if !defined $value;

    my $kind = ref $value;

    if ($kind eq '') {
        $self->text($value, $pointer);

    } elsif ($kind eq 'HASH') {
        if ($depth > DEPTH_MAX) {
            $self->add($pointer, 'At most 10 levels of nesting.');
            return;
        }

        for my $name (keys %$value) {
            $self->text($name, $pointer);
            $self->free($value->{$name}, "$pointer/" . _escape($name),
                $depth + 1);
        }

    } elsif ($kind eq 'ARRAY') {
        if ($depth > DEPTH_MAX) {
            $self->add($pointer, 'At most 10 levels of nesting.');
            return;
        }

        if (@$value > ITEMS_MAX) {
            $self->add($pointer, 'At most 4000 items in an array.');
            return;
        }

        for my $i (0 .. $#$value) {
            $self->free($value->[$i], "$pointer/$i", $depth + 1);
        }

    } elsif ($kind eq 'Klaviyo::Sandbox::JSON::Huge') {
        $self->add($pointer, 'An integer must fit in 64 bits.');
    }

    return;
}


sub person {
    my ($self, $profile, $id, $pointer, %more) = @_;

    my $known = {%person, %more};

    $self->members($profile, $pointer, $known) or return;

    for my $name (grep { defined $profile->{$_} && !ref $profile->{$_} }
        keys %$profile)
    {
        $self->text($profile->{$name}, "$pointer/$name");
    }

    if (!grep { defined && length } $id, map { $profile->{$_} } @identifiers)
    {
        $self->add($pointer, 'At least one profile identifier is required.',
            'required');
    }

    for my $name (@identifiers) {
        $self->add("$pointer/$name", "'$name' must not be empty.")
            if defined $profile->{$name} && $profile->{$name} eq '';
    }

    my $email = $profile->{email};

    if (defined $email && length $email
        && ($email !~ /\A[^\s@\x00-\x1f\x7f"(),:;<>\[\\\]]+@
                       [^\s@.\x00-\x1f\x7f]+(?:\.[^\s@.\x00-\x1f\x7f]+)+\z/x
            || length $email > EMAIL_MAX))
    {
        $self->add("$pointer/email", 'Invalid email address.');
    }

    my $phone = $profile->{phone_number};

    if (defined $phone && length $phone
        && $phone !~ /\A\+[1-9][0-9]{6,14}\z/)
    {
        $self->add("$pointer/phone_number", 'Invalid phone number.');
    }

    if (defined $profile->{properties}) {
        $self->free($profile->{properties}, "$pointer/properties", 1);
    }

    if (defined $profile->{location}) {
        my $place = $profile->{location};

        if ($self->members($place, "$pointer/location", \%location)) {
            $self->text($place->{$_}, "$pointer/location/$_")
                for grep { defined $place->{$_} } keys %$place;
        }
    }

    $self->meta($profile->{meta}, "$pointer/meta") if defined $profile->{meta};

    if (length encode_json($profile) > PROFILE_MAX) {
        $self->add($pointer, 'A profile must not exceed 95 KB.', 'too_large');
    }

    return;
}


sub meta {
    my ($self, $meta, $pointer) = @_;

    $self->members($meta, $pointer, \%meta) or return;

    if (defined $meta->{patch_properties}) {
        $self->patch($meta->{patch_properties},
            "$pointer/patch_properties");
    }

    if (defined $meta->{patch_identifiers}) {
        $self->members($meta->{patch_identifiers},
            "$pointer/patch_identifiers", \%patch_identifiers);
    }

    return;
}


# what is appended and taken away are simple values, or arrays of them
sub patch {
    my ($self, $patch, $pointer) = @_;

    $self->members($patch, $pointer, \%patch_properties) or return;

    for my $what (qw(append unappend)) {
        my $values = $patch->{$what} // next;

        for my $name (keys %$values) {
            my $value = $values->{$name};
            my $at    = "$pointer/$what/" . _escape($name);

            $self->add($at, 'A simple value, or an array of these.')
                if grep { !defined || ref && ref ne 'JSON::PP::Boolean' }
                    ref $value eq 'ARRAY' ? @$value : $value;

            $self->free($value, $at, 1);
        }
    }

    return;
}


sub event {
    my ($self, $event, $pointer, %more) = @_;

    $self->members($event, $pointer, {%event, %more}) or return;

    my $metric = $self->resource($event->{metric}, "$pointer/metric",
        'metric');

    if ($metric
        && $self->members($metric, "$pointer/metric/data/attributes",
            {name => 'string!', service => 'string?'})
        && $metric->{name} !~ /\A.{1,@{[METRIC_MAX]}}\z/s)
    {
        $self->add("$pointer/metric/data/attributes/name",
            'A metric name has 1 to 127 characters.');
    }

    my $unique_id = $event->{unique_id};

    if (defined $unique_id
        && ($unique_id eq '' || length $unique_id > UNIQUE_ID_MAX))
    {
        $self->add("$pointer/unique_id", 'A unique_id has 1 to 255'
            . ' characters.');
    }

    if (ref $event->{value}) {
        $self->add("$pointer/value", 'An integer must fit in 64 bits.');
    }

    if (defined $event->{value_currency}
        && $event->{value_currency} !~ /\A[A-Z]{3}\z/)
    {
        $self->add("$pointer/value_currency", 'Not an ISO 4217 code.');
    }

    if (defined $event->{time}) {
        my $wrong = _wrong_time($event->{time});
        $self->add("$pointer/time", $wrong) if $wrong;
    }

    my $count = keys %{ $event->{properties} };

    if ($count > PROPERTIES_MAX) {
        $self->add("$pointer/properties", 'At most 400 properties.');

    } else {
        $self->free($event->{properties}, "$pointer/properties", 1);
    }

    return;
}


# -> errors, events; an event is {i, j, event, profile, id, pointer}
sub check_single {
    my ($body) = @_;

    my $self  = new_errors();
    my $event = $self->resource($body, '', 'event');

    return ($self->{list}, []) if !$event;

    my $pointer = '/data/attributes';

    $self->event($event, $pointer, profile => '{}!');

    return ($self->{list}, []) if ref $event->{profile} ne 'HASH';

    my $profile = $self->resource($event->{profile}, "$pointer/profile",
        'profile', id => 'string?');

    return ($self->{list}, []) if !$profile;

    my $id = $event->{profile}{data}{id};

    $self->person($profile, $id, "$pointer/profile/data/attributes",
        meta => '{}?');

    return ($self->{list}, []) if @{ $self->{list} };

    return ([], [{event => $event, profile => $profile, id => $id,
                  pointer => $pointer, entry => "$pointer/profile"}]);
}


sub check_bulk {
    my ($body) = @_;

    my @events;
    my $count = 0;
    my $self  = new_errors();
    my $job   = $self->resource($body, '', 'event-bulk-create-job');

    return ($self->{list}, []) if !$job;

    $self->members($job, '/data/attributes', {'events-bulk-create' => '{}!'})
        or return ($self->{list}, []);

    my $pointer = '/data/attributes/events-bulk-create';

    $self->members($job->{'events-bulk-create'}, $pointer, {data => 'array!'})
        or return ($self->{list}, []);

    my $entries = $job->{'events-bulk-create'}{data};

    if (!@$entries) {
        $self->add("$pointer/data", 'At least one entry is required.');
    }

    for my $i (0 .. $#$entries) {
        last if $self->full;

        my $at   = "$pointer/data/$i";
        my $bulk = $entries->[$i];

        # an entry is a resource without a {"data": ...} around it

        $self->members($bulk, $at, {type => 'string!', attributes => '{}!'})
            or next;

        if ($bulk->{type} ne 'event-bulk-create') {
            $self->add("$at/type", "The type must be 'event-bulk-create'.");
            next;
        }

        my $entry = $bulk->{attributes};

        $at .= '/attributes';

        $self->members($entry, $at,
            {profile => '{}!', events => '{}!', backfill => 'boolean?'})
            or next;

        my $profile = $self->resource($entry->{profile}, "$at/profile",
            'profile', id => 'string?', meta => '{}?');

        next if !$profile;

        my $data = $entry->{profile}{data};

        $self->person($profile, $data->{id}, "$at/profile/data/attributes");
        $self->meta($data->{meta}, "$at/profile/data/meta")
            if defined $data->{meta};

        $self->members($entry->{events}, "$at/events", {data => 'array!'})
            or next;

        my $list = $entry->{events}{data};

        $self->add("$at/events/data", 'At least one event is required.')
            if !@$list;

        for my $j (0 .. $#$list) {
            my $where = "$at/events/data/$j";

            $count++;

            $self->members($list->[$j], $where,
                {type => 'string!', attributes => '{}!'}) or next;

            if ($list->[$j]{type} ne 'event') {
                $self->add("$where/type", "The type must be 'event'.");
                next;
            }

            my $event = $list->[$j]{attributes};

            $self->event($event, "$where/attributes");

            push @events,
                {i => $i, j => $j, event => $event, profile => $profile,
                 id => $data->{id}, meta => $data->{meta},
                 backfill => $entry->{backfill},
                 pointer => "$where/attributes", entry => "$at/profile"};
        }
    }

    if ($count > EVENTS_MAX) {
        $self->add("$pointer/data", 'At most 1000 events in a request.');
    }

    return ($self->{list}, @{ $self->{list} } ? [] : \@events);
}


# {"data": {"type": $type, "attributes": {"profiles": {"data": [...]}},
# "relationships": {$list: ...}}} -> attributes, items, lists; or nothing
sub _job {
    my ($self, $body, $type, $max, $list, %more) = @_;

    my $job = $self->resource($body, '', $type, relationships => '{}?')
        or return;

    $self->members($job, '/data/attributes', {profiles => '{}!', %more})
        or return;

    my $at = '/data/attributes/profiles';

    $self->members($job->{profiles}, $at, {data => 'array!'}) or return;

    my $items = $job->{profiles}{data};

    $self->add("$at/data", 'At least one profile is required.') if !@$items;
    $self->add("$at/data", "At most $max profiles.") if @$items > $max;

    my $relationships = $body->{data}{relationships};
    my @lists;

    if (defined $relationships) {
        my $where = '/data/relationships';

        $self->members($relationships, $where, {$list => '{}?'}) or return;

        if (my $of = $relationships->{$list}) {
            my $many = $list eq 'lists';

            $self->members($of, "$where/$list",
                {data => $many ? 'array!' : '{}!'}) or return;

            for my $one ($many ? @{ $of->{data} } : $of->{data}) {
                $self->members($one, "$where/$list/data",
                    {type => 'string!', id => 'string!'}) or return;
                $self->add("$where/$list/data/type", "The type must be 'list'.")
                    if $one->{type} ne 'list';
                push @lists, $one->{id};
            }
        }
    }

    return ($job, $items, @lists);
}


# an item of a job: type, id, attributes, and what else may stand beside them
sub _item {
    my ($self, $item, $at, %more) = @_;

    $self->members($item, $at, {type => 'string!', id => 'string?',
        attributes => '{}!', %more}) or return;

    if ($item->{type} ne 'profile') {
        $self->add("$at/type", "The type must be 'profile'.");
        return;
    }

    return $item->{attributes};
}


# -> errors, items, lists; an item is {i, profile, id, meta, pointer, entry}
sub check_import {
    my ($body) = @_;

    my @items;
    my $self = new_errors();
    my ($job, $items, @lists) = $self->_job($body, 'profile-bulk-import-job',
        IMPORT_MAX, 'lists');

    return ($self->{list}, []) if !$job;

    for my $i (0 .. $#$items) {
        last if $self->full;

        my $at      = "/data/attributes/profiles/data/$i";
        my $profile = $self->_item($items->[$i], $at, meta => '{}?') or next;

        # other than with events, it cannot be anonymous

        $self->add("$at/attributes/anonymous_id",
            "'anonymous_id' is not a valid field for the resource.")
            if exists $profile->{anonymous_id};

        $self->person($profile, $items->[$i]{id}, "$at/attributes");
        $self->meta($items->[$i]{meta}, "$at/meta")
            if defined $items->[$i]{meta};

        push @items, {i => $i, profile => $profile, id => $items->[$i]{id},
                      meta => $items->[$i]{meta}, pointer => "$at/attributes",
                      entry => $at, event => {}};
    }

    return ($self->{list}, \@items, @lists);
}


# the same, without meta, with channels
sub check_subscribe {
    my ($body) = @_;

    my @items;
    my $self = new_errors();
    my ($job, $items, @lists) = $self->_job($body,
        'profile-subscription-bulk-create-job', SUBSCRIBE_MAX, 'list',
        custom_source => 'string?', historical_import => 'boolean?');

    return ($self->{list}, []) if !$job;

    for my $i (0 .. $#$items) {
        last if $self->full;

        my $at      = "/data/attributes/profiles/data/$i";
        my $profile = $self->_item($items->[$i], $at) or next;

        $at .= '/attributes';

        $self->members($profile, $at, {email => 'string?',
            phone_number => 'string?', subscriptions => '{}!',
            age_gated_date_of_birth => 'string?'}) or next;

        my %channel = %{ $profile->{subscriptions} };
        my %needs   = (email => 'email', sms => 'phone_number',
                       whatsapp => 'phone_number');

        $self->person({map { $_ => $profile->{$_} }
            grep { exists $profile->{$_} } qw(email phone_number)},
            $items->[$i]{id}, $at);

        $self->members(\%channel, "$at/subscriptions",
            {map { $_ => '{}' } keys %needs}) or next;

        $self->add("$at/subscriptions", 'At least one channel is required.')
            if !%channel;

        for my $name (sort keys %channel) {
            my $where = "$at/subscriptions/$name";

            $self->add($where, "The channel '$name' needs a $needs{$name}.")
                if !length($profile->{ $needs{$name} } // '');

            $self->members($channel{$name}, $where, {marketing => '{}'})
                or next;

            my $marketing = $channel{$name}{marketing} // next;

            $self->members($marketing, "$where/marketing",
                {consent => 'string!', consented_at => 'string?'}) or next;
            $self->add("$where/marketing/consent", 'Only SUBSCRIBED.')
                if $marketing->{consent} ne 'SUBSCRIBED';
            $self->add("$where/marketing/consented_at",
                'Only of a historical import.')
                if defined $marketing->{consented_at}
                && !$job->{historical_import};
        }

        push @items, {i => $i, profile => $profile, id => $items->[$i]{id},
                      source => $job->{custom_source}, pointer => $at,
                      entry => $at, event => {}};
    }

    return ($self->{list}, \@items, @lists);
}


# ISO 8601 with an offset, after 1990, at most a year ahead; nothing: right
sub _wrong_time {
    my ($text) = @_;

    my ($year, $month, $day, $h, $m, $s, $sign, $oh, $om) = $text
        =~ /\A([0-9]{4})-([0-9]{2})-([0-9]{2})T
            ([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?
            (?:Z|([+-])([0-9]{2}):([0-9]{2}))\z/x
        or return 'Not an ISO 8601 date and time.';

    my $time = eval { timegm_modern($s, $m, $h, $day, $month - 1, $year) }
        // return 'Not an ISO 8601 date and time.';

    if ($sign) {
        return 'Not an ISO 8601 date and time.' if $oh > 23 || $om > 59;
        $time -= ($sign eq '-' ? -1 : 1) * ($oh * 3600 + $om * 60);
    }

    return 'The time must be after 1990.' if $time < 631_152_000;
    return 'The time must not be more than a year ahead.'
        if $time > time + 366 * 86_400;

    return;
}


sub _escape {
    my ($name) = @_;

    $name = _short($name);
    $name =~ s/~/~0/g;
    $name =~ s/\//~1/g;

    return $name;
}


sub _short {
    my ($text) = @_;

    return length $text > 60 ? substr($text, 0, 60) . '...' : $text;
}


1;

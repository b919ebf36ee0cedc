package Klaviyo::Sandbox::Endpoints;

# Endpoints of Klaviyo's besides those that take events, as far as a gateway
# can be shown with them: their answers, their paging, their errors.
#
#   accounts       GET  /api/accounts            whose key it is
#   profiles       POST /api/profile-import      200 updated, 201 created
#                  POST /api/profiles            201; 409 duplicate_profile
#                  GET  /api/profiles            ?filter=equals(email,"..."),
#                                                by cursor as lists
#                  GET, PATCH /api/profiles/<id>
#   lists          GET  /api/lists               by cursor: ?page[size]=,
#                                                ?page[cursor]=, links.next
#                  GET  /api/lists/<id>
#                  POST /api/lists               201
#                  DELETE /api/lists/<id>        204
#   imports        POST /api/profile-bulk-import-jobs                 202
#   subscriptions  POST /api/profile-subscription-bulk-create-jobs    202
#
# Each account has its own; there are lists from the start.

use v5.32;
use warnings;

use Mojo::JSON qw(encode_json);
use Mojo::Util qw(b64_encode b64_decode url_escape);

use Klaviyo::Sandbox::JSON   qw(read_json);
use Klaviyo::Sandbox::Schema qw(check_import check_subscribe);

use constant LISTS     => 25;
use constant PAGE_SIZE => 10;

my @routes = (
    [GET    => qr{^/api/accounts$},          accounts => \&_get_accounts],
    [POST   => qr{^/api/profile-import$},    profiles => \&_import],
    [POST   => qr{^/api/profiles$},          profiles => \&_create_profile],
    [GET    => qr{^/api/profiles$},          profiles => \&_find_profiles],
    [GET    => qr{^/api/profiles/([^/]+)$},  profiles => \&_get_profile],
    [PATCH  => qr{^/api/profiles/([^/]+)$},  profiles => \&_update_profile],
    [GET    => qr{^/api/lists$},             lists    => \&_get_lists],
    [POST   => qr{^/api/lists$},             lists    => \&_create_list],
    [GET    => qr{^/api/lists/([^/]+)$},     lists    => \&_get_list],
    [DELETE => qr{^/api/lists/([^/]+)$},     lists    => \&_delete_list],
    [POST   => qr{^/api/profile-bulk-import-jobs$},
                                        imports => \&_import_job],
    [POST   => qr{^/api/profile-subscription-bulk-create-jobs$},
                                        subscriptions => \&_subscribe],
);


sub new {
    my ($class) = @_;

    return bless {account => {}, n => 0}, $class;
}


# the class of limits and faults that a path belongs to
sub class_of {
    my ($path) = @_;

    my ($route) = grep { $path =~ $_->[1] } @routes;

    return $route ? $route->[2] : undef;
}


sub allowed {
    my ($path) = @_;

    return map { $_->[0] } grep { $path =~ $_->[1] } @routes;
}


# `refuse` is asked about the items of a job that is right
# -> status, errors, document, how many items it took
sub process {
    my ($self, $account, $req, $refuse) = @_;

    my $path   = $req->url->path->to_string;
    my $method = $req->method eq 'HEAD' ? 'GET' : $req->method;
    my $json;

    if ($method eq 'POST' || $method eq 'PATCH') {
        $json = eval { read_json($req->body) };

        return 400, [{code => 'parse_error', pointer => '/data',
                      detail => 'Malformed JSON.'}] if $@;
        return 400, [{code => 'invalid', pointer => '/data',
                      detail => 'An object "data" is required.'}]
            if ref $json ne 'HASH' || ref $json->{data} ne 'HASH'
            || ref $json->{data}{attributes} ne 'HASH';
    }

    for my $route (@routes) {
        next if $route->[0] ne $method;

        my ($id) = $path =~ $route->[1] or next;

        $self->{refuse} = $refuse;
        $self->{items}  = 0;

        my ($status, $errors, $document) = $route->[3]->($self,
            $self->_account($account), $req, $json, $id);

        return $status, $errors, $document, $self->{items};
    }

    return 405, [{detail => 'Not this method.'}];
}


# what tests look at: profiles, lists, subscriptions
sub state {
    my ($self, $account) = @_;

    return $self->_account($account);
}


sub _account {
    my ($self, $name) = @_;

    return $self->{account}{$name} //= {
        profiles      => [],
        lists         => [map { {id => sprintf('LIST%02d', $_),
                                 name => "List $_"} } 1 .. LISTS],
        subscriptions => [],
        imported      => [],
        members       => {},
    };
}


sub _profile_document {
    my ($profile) = @_;

    my %attributes = %$profile;
    my $id = delete $attributes{id};

    return {type => 'profile', id => $id, attributes => \%attributes,
            links => {self => "/api/profiles/$id/"}};
}


sub _list_document {
    my ($list) = @_;

    return {type => 'list', id => $list->{id},
            attributes => {name => $list->{name}},
            links => {self => "/api/lists/$list->{id}/"}};
}


sub _same {
    my ($account, $attributes) = @_;

    for my $name (qw(email phone_number external_id)) {
        my $value = $attributes->{$name} // next;

        for my $profile (@{ $account->{profiles} }) {
            return $profile if ($profile->{$name} // '') eq $value;
        }
    }

    return;
}


sub _add_profile {
    my ($self, $account, $attributes) = @_;

    my $profile = {%$attributes,
        id => sprintf('01SANDBOX%017d', ++$self->{n})};

    push @{ $account->{profiles} }, $profile;

    return $profile;
}


sub _import {
    my ($self, $account, $req, $json) = @_;

    my $attributes = $json->{data}{attributes};
    my $profile    = _same($account, $attributes);

    if ($profile) {
        $profile->{$_} = $attributes->{$_} for keys %$attributes;
        return 200, [], {data => _profile_document($profile)};
    }

    return 201, [],
        {data => _profile_document($self->_add_profile($account,
                                                       $attributes))};
}


sub _create_profile {
    my ($self, $account, $req, $json) = @_;

    my $same = _same($account, $json->{data}{attributes});

    return 409, [{code => 'duplicate_profile', pointer => '/data/attributes',
                  detail => 'A profile already exists with one of these'
                      . ' identifiers.'}]
        if $same;

    return _import($self, $account, $req, $json);
}


sub _find_profiles {
    my ($self, $account, $req) = @_;

    my $filter   = $req->url->query->param('filter') // '';
    my @profiles = @{ $account->{profiles} };

    if ($filter ne '') {
        my ($name, $value) =
            $filter =~ /\Aequals\((\w+),"((?:[^"\\]|\\["\\])*)"\)\z/
            or return 400, [{parameter => 'filter',
                             detail => 'This filter is not understood.'}];

        $value =~ s/\\(["\\])/$1/g;
        @profiles = grep { ($_->{$name} // '') eq $value } @profiles;
    }

    return _page($req, 100, '/api/profiles', map { _profile_document($_) }
        @profiles);
}


sub _get_accounts {
    my ($self, $account, $req) = @_;

    return 200, [], {data => [{type => 'account', id => 'ABC123',
        attributes => {public_api_key => 'ABC123', test_account => \0,
            timezone => 'Europe/Berlin', preferred_currency => 'EUR',
            locale => 'de-DE', industry => undef, contact_information => {
                default_sender_name => 'Shop',
                default_sender_email => 'shop@shop.com',
                organization_name => 'Shop', website_url => undef,
                street_address => {}}},
        links => {self => '/api/accounts/ABC123/'}}]};
}


sub _get_profile {
    my ($self, $account, $req, $json, $id) = @_;

    my ($profile) = grep { $_->{id} eq $id } @{ $account->{profiles} };

    return 404, [{detail => "A profile with id $id does not exist."}]
        if !$profile;

    return 200, [], {data => _profile_document($profile)};
}


sub _update_profile {
    my ($self, $account, $req, $json, $id) = @_;

    my ($profile) = grep { $_->{id} eq $id } @{ $account->{profiles} };

    return 404, [{detail => "A profile with id $id does not exist."}]
        if !$profile;

    my $attributes = $json->{data}{attributes};

    $profile->{$_} = $attributes->{$_} for keys %$attributes;

    return 200, [], {data => _profile_document($profile)};
}


sub _get_lists {
    my ($self, $account, $req) = @_;

    return _page($req, 10, '/api/lists', map { _list_document($_) }
        @{ $account->{lists} });
}


# one page of all, as ?page[size] and ?page[cursor] say
sub _page {
    my ($req, $max, $path, @all) = @_;

    my $query  = $req->url->query;
    my $size   = $query->param('page[size]') // PAGE_SIZE;
    my $cursor = $query->param('page[cursor]');
    my $from   = 0;

    return 400, [{parameter => 'page[size]', detail => "From 1 to $max."}]
        if $size !~ /\A[1-9][0-9]{0,2}\z/ || $size > $max;

    if (defined $cursor) {
        ($from) = b64_decode($cursor) =~ /\Anext::id::([0-9]+)\z/
            or return 400, [{parameter => 'page[cursor]',
                             detail => 'Invalid cursor.'}];
    }

    my $last = $from + $size;
    my @page = grep { defined } @all[$from .. $last - 1];
    my $base = $req->url->to_abs->clone->query('')->to_string;
    my $next;

    if ($last < @all) {
        $next = "https://a.klaviyo.com$path?page%5Bcursor%5D="
            . url_escape(b64_encode("next::id::$last", ''));
        $next .= "&page%5Bsize%5D=$size" if $size != PAGE_SIZE;
    }

    return 200, [], {data => \@page,
                     links => {self => $base, next => $next, prev => undef}};
}


sub _create_list {
    my ($self, $account, $req, $json) = @_;

    my $name = $json->{data}{attributes}{name};

    return 400, [{pointer => '/data/attributes/name',
                  detail => 'A name is required.'}]
        if !defined $name || ref $name || $name eq '';

    my $list = {id => sprintf('NEW%03d', ++$self->{n}), name => $name};

    push @{ $account->{lists} }, $list;

    return 201, [], {data => _list_document($list)};
}


sub _get_list {
    my ($self, $account, $req, $json, $id) = @_;

    my ($list) = grep { $_->{id} eq $id } @{ $account->{lists} };

    return 404, [{detail => "A list with id $id does not exist."}] if !$list;

    return 200, [], {data => _list_document($list)};
}


sub _delete_list {
    my ($self, $account, $req, $json, $id) = @_;

    my @lists = grep { $_->{id} ne $id } @{ $account->{lists} };

    return 404, [{detail => "A list with id $id does not exist."}]
        if @lists == @{ $account->{lists} };

    $account->{lists} = \@lists;

    return 204, [];
}


# one job: what is wrong with it, as a fault on demand says, or nothing
sub _job_errors {
    my ($self, $account, $errors, $items, @lists) = @_;

    return (400, $errors) if @$errors;

    for my $list (@lists) {
        return (404, [{detail => "A list with id $list does not exist."}])
            if !grep { $_->{id} eq $list } @{ $account->{lists} };
    }

    my @refused = $self->{refuse} ? $self->{refuse}->($items) : ();

    return @refused;
}


# creates or updates; properties are merged, and patched
sub _upsert {
    my ($self, $account, $item) = @_;

    my %attributes = %{ $item->{profile} };
    my $properties = delete $attributes{properties};
    my ($profile)  = grep { $_->{id} eq ($item->{id} // '') }
        @{ $account->{profiles} };

    $profile //= _same($account, \%attributes)
        // $self->_add_profile($account, {});
    $profile->{$_} = $attributes{$_} for keys %attributes;

    my $of = $profile->{properties} //= {};

    $of->{$_} = $properties->{$_} for keys %{ $properties // {} };

    my $patch = ($item->{meta} // {})->{patch_properties} // {};

    for my $name (keys %{ $patch->{append} // {} }) {
        my @add = ref $patch->{append}{$name} eq 'ARRAY'
            ? @{ $patch->{append}{$name} } : $patch->{append}{$name};
        my %has = map { $_ => 1 } @{ $of->{$name} // [] };

        push @{ $of->{$name} }, grep { !$has{$_}++ } @add;
    }

    for my $name (keys %{ $patch->{unappend} // {} }) {
        my %gone = map { $_ => 1 } ref $patch->{unappend}{$name} eq 'ARRAY'
            ? @{ $patch->{unappend}{$name} } : $patch->{unappend}{$name};

        $of->{$name} = [grep { !$gone{$_} } @{ $of->{$name} // [] }];
    }

    delete $of->{$_} for ref $patch->{unset}
        ? @{ $patch->{unset} } : $patch->{unset} // ();

    return $profile;
}


sub _import_job {
    my ($self, $account, $req, $json) = @_;

    my ($errors, $items, @lists) = check_import($json);
    my @wrong = $self->_job_errors($account, $errors, $items, @lists);

    return @wrong if @wrong;

    for my $item (@$items) {
        my $profile = $self->_upsert($account, $item);

        push @{ $account->{imported} },
            {lists => \@lists, profile => $item->{profile},
             meta => $item->{meta}};

        for my $list (@lists) {
            my $members = $account->{members}{$list} //= [];

            push @$members, $profile->{id}
                if !grep { $_ eq $profile->{id} } @$members;
        }
    }

    $self->{items} = @$items;

    my $id = b64_encode('job:' . ++$self->{n}, '');

    return 202, [], {data => {type => 'profile-bulk-import-job', id => $id,
        attributes => {status => 'queued',
                       created_at => '2026-11-30T00:00:00+00:00',
                       total_count => scalar @$items}}};
}


sub _subscribe {
    my ($self, $account, $req, $json) = @_;

    my ($errors, $items, $list) = check_subscribe($json);
    my @wrong = $self->_job_errors($account, $errors, $items, $list // ());

    return @wrong if @wrong;

    for my $item (@$items) {
        my %attributes = %{ $item->{profile} };
        my $channels   = delete $attributes{subscriptions};

        push @{ $account->{subscriptions} },
            {list => $list, source => $item->{source},
             channels => [sort keys %$channels], %attributes};
    }

    $self->{items} = @$items;

    return 202, [];
}


1;

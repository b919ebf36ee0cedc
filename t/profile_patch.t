#!/usr/bin/perl

# klaviyo_profile with append, unappend and unset: what is done to custom
# properties, in the place where each endpoint wants it.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(read_file);
use Mojo::JSON qw(decode_json encode_json);


my $t = Klaviyo::Test->new(
    http => q{
        klaviyo_defaults off;
        klaviyo_identity off;
        klaviyo_profile email $arg_email;
        klaviyo_profile Tags $arg_tag append;
        klaviyo_profile Old $arg_old unset;
    },
    account => 'batch linger=300ms;',
    server => <<'END');
        klaviyo_track Viewed;

        location / { return 200 ""; }

        location /list {
            klaviyo_profile Tags $arg_tag list append;
            klaviyo_profile Tags $arg_out list unappend;
            klaviyo_profile Visits $arg_n number append;
            klaviyo_profile Seen yes bool unappend;
            klaviyo_profile Plan free;
            return 200 "";
        }

        location /constant {
            klaviyo_profile Tags "" append;
            klaviyo_profile A 1 unset;
            klaviyo_profile B no unset;
            klaviyo_profile "C \"c\"" on unset;
            klaviyo_profile Old "" unset;
            return 200 "";
        }

        location /none {
            klaviyo_profile Tags "" append;
            klaviyo_profile B 0 unset;
            klaviyo_profile Old "" unset;
            return 200 "";
        }

        location /quotes {
            klaviyo_profile Tags '"},"meta":{' append;
            klaviyo_profile Json '{"attributes":{},"meta":{"a":{}}}' json;
            return 200 "";
        }

        location /identify {
            klaviyo_track off;
            klaviyo_profile Tags $arg_tag list append;
            klaviyo_profile Tags $arg_out list unappend;
            klaviyo_identify;
            return 200 "";
        }

        location /subscribe {
            klaviyo_track off;
            klaviyo_subscribe list=LIST01 if=1;
            return 200 "";
        }

        location /id {
            klaviyo_profile email "";
            klaviyo_profile id 01ABC;
            return 200 "";
        }
END

$t->start;

my $seen = 0;

# the requests that these made, and their events' profiles
sub visit {
    my (@paths) = @_;

    $t->get($_) for @paths;
    $t->wait_idle;

    my @events = @{ $t->sandbox->events };
    my @new    = @events[$seen .. $#events];

    $seen = @events;

    return @new;
}

my %meta = (
    '/?email=a%40shop.example&tag=new' => {append => {Tags => 'new'}},
    '/?email=a%40shop.example&old=yes' => {unset => ['Old']},
    '/?email=a%40shop.example&old=No'  => undef,
    '/list?email=a%40shop.example&tag=a,b&out=c&n=7&old=1' => {
        append   => {Tags => ['a', 'b'], Visits => 7},
        unappend => {Tags => ['c'], Seen => Mojo::JSON->true},
        unset    => ['Old'],
    },
    '/list?email=a%40shop.example&tag=,&n=x' =>
        {unappend => {Seen => Mojo::JSON->true}},
    '/constant?email=a%40shop.example&tag=x&old=1' =>
        {unset => ['A', 'C "c"']},
    '/none?email=a%40shop.example&tag=x&old=1' => undef,
    '/id?tag=x'                                => {append => {Tags => 'x'}},
    '/quotes?email=a%40shop.example' => {append => {Tags => '"},"meta":{'}},
);

for my $path (sort keys %meta) {
    my ($event) = visit($path);

    is $event->{via}, 'single', "$path: by itself";
    is_deeply $event->{profile}{meta}, $meta{$path}
        && {patch_properties => $meta{$path}}, 'what is done';
}

is $t->account->{reasons}{left_out}{number}, 1,
    'a value that does not parse is counted';

my @events = visit(map { $_, $_ } sort keys %meta);

is scalar @events, 2 * keys %meta, 'all of them at once';
is scalar(grep { $_->{via} ne 'bulk' } @events), 0, 'in bulk';

my %found = map { encode_json($_->{profile}{meta}) => 1 } @events;
my %right = map { encode_json($_ && {patch_properties => $_}) => 1 } values %meta;

is_deeply \%found, \%right, 'the same there';

is scalar(grep { $_->{status} != 202 } @{ $t->sandbox->requests }), 0,
    'Klaviyo took each';

# refused for good, and replayed

my $dead = $t->spool . '/dead.jsonl';

$t->sandbox->fault(kind => 'refuse', match => {metric => 'Viewed'});
visit('/list?email=a%40shop.example&tag=a&old=1', '/id?tag=y');
is $t->account->{dead}, 2, 'two dead letters';

my @letters = map { decode_json($_)->{event}{attributes}{profile}{data} }
    split /\n/, read_file($dead);

is scalar(grep { $_->{attributes}{meta} && !$_->{meta} } @letters), 2,
    'which have it as a single request has it';

$t->sandbox->clear_faults;

my $program = $ENV{KLAVIYO_QUEUE}
    // ($ENV{KLAVIYO_OBJS} // 'objs') . '/klaviyo-queue';

is system("$program replay $t->{queue_dir}/shop.ring $dead >/dev/null"), 0,
    'replayed';

@events = visit();

is_deeply [sort map { "$_->{via} " . join ',',
    sort keys %{ $_->{profile}{meta}{patch_properties} } } @events],
    ['bulk append', 'bulk append,unappend,unset'], 'they arrive in bulk';

# a profile of its own, and a subscription, which has no place for it

sub klaviyo { return $t->sandbox->state('shop') }

$t->get('/identify?email=bo%40shop.example&tag=a,b');
ok wait_for(20, sub { @{ klaviyo()->{imported} } == 1 }), 'klaviyo_identify';
$t->get('/identify?email=bo%40shop.example&tag=c&out=a&old=1');
ok wait_for(20, sub { @{ klaviyo()->{imported} } == 2 }), 'once more';

my ($bo) = grep { ($_->{email} // '') eq 'bo@shop.example' }
    @{ klaviyo()->{profiles} };

is_deeply $bo->{properties}{Tags}, ['b', 'c'], 'the list at Klaviyo';

$t->get('/subscribe?email=bo%40shop.example&tag=x&old=1');
ok wait_for(20, sub { @{ klaviyo()->{subscriptions} } == 1 }),
    'klaviyo_subscribe';

$t->stop;


for my $case (
    ['another word', 'klaviyo_profile A b list add;',
        qr/invalid parameter "add", it must be "append", "unappend" or/],
    ['a field of Klaviyo\'s', 'klaviyo_profile email $arg_a append;',
        qr/invalid parameter "append" of Klaviyo's own field "email"/],
    ['a type of a condition', 'klaviyo_profile A $arg_a bool unset;',
        qr/invalid type "bool" beside "unset", which takes a condition/],
    ['JSON', 'klaviyo_profile A $arg_a json append;',
        qr/invalid type "json" beside "append", which takes one simple value/],
    ['twice', 'klaviyo_profile A b append; klaviyo_profile A c append;',
        qr/duplicate klaviyo_profile "A"/],
    ['of an event', 'klaviyo_property A $arg_a append;',
        qr/invalid type "append"/],
    ['a word that is none', 'klaviyo_profile A $arg_a appendx;',
        qr/invalid type "appendx".*; "append", "unappend" or "unset" may stand/],
    ['in a block', 'klaviyo_event X { profile email $arg_a unset; }',
        qr/invalid parameter "unset" of Klaviyo's own field/],
) {
    my ($what, $line, $expected) = @$case;
    my ($code, $output) = config_test(server => $line);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
}

done_testing;

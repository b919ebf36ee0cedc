#!/usr/bin/perl

# The page of klaviyo_status in Chromium: how an account fares is told apart by
# what a reader sees, on a desk and on a phone, in the dark, without a script,
# with forced colours; axe-core finds nothing wrong.  Run by make test-page;
# screenshots stay in objs/page, or in KLAVIYO_ARTEFACTS.

use lib 't/lib';
use Klaviyo::Test;

use Cwd            qw(abs_path);
use File::Basename qw(dirname);
use Mojo::JSON     qw(decode_json);
use Time::HiRes    qw(sleep);

use Klaviyo::Test::Process qw(run);

my $folder = dirname(abs_path(__FILE__));
my $objs   = abs_path($ENV{KLAVIYO_PAGE} // "$folder/../../objs/page");
my $shots  = $ENV{KLAVIYO_ARTEFACTS} // $objs;

die "no axe-core: run make test-page\n"
    if !-d "$objs/node_modules/axe-core";

alarm slow(600);


# what a reader sees of each: of the verdict, and nobody else's

my %sees = (
    well     => qr/Delivering\.$/,
    outage   => qr/behind since \d\d:\d\d:\d\d: Klaviyo answers with errors of its own.*\d+ waiting/s,
    wrong    => qr/Klaviyo refuses the key/,
    poison   => qr/given up/,
    full     => qr/the queue is full and events are lost/i,
    throttle => qr/paused by Klaviyo until/,
    empty    => qr/nothing was captured yet/i,
);

my @names = sort(keys %sees, 'mended');

my $t = Klaviyo::Test->new(
    account => undef,
    sandbox => {keys => [map { $_ eq 'wrong' ? () : "pk_test_$_:$_" }
                         @names]},
    server  => join("\n", map { qq{
        location = /$_ { klaviyo_skip off;
            klaviyo_track "Viewed Page" account=$_; return 204; }
    } } @names) . q{
        location = /page { klaviyo_status html; }
    },
    http    => q{
        klaviyo_identity off;
        klaviyo_profile email $arg_email;
        klaviyo_property Kind $arg_kind;
        klaviyo_property Filler $arg_filler;
    } . join '', map {
        my $ring = $_ eq 'full' ? '256k' : '1m';
        my $more = $_ eq 'full' ? 'spool off; dead_letter off;'
                                : "spool %%DIR%%/$_.spool;";
        "klaviyo_account $_ { api_key pk_test_$_; endpoint "
        . ($_ eq 'full' ? 'http://127.0.0.1:1' : '%%ENDPOINT%%')
        . "; queue %%QUEUE_DIR%%/$_.ring size=$ring; $more"
        . ' batch linger=50ms; retry min=50ms max=1s; }'
    } @names);

my $s = $t->sandbox;

$s->fault(kind => 'status', status => 503, account => 'outage');
my $mend = $s->fault(kind => 'status', status => 503, account => 'mended');
$s->fault(kind => 'refuse', account => 'poison', pointer => 'event',
    match => {properties => {Kind => '^bad$'}});
$s->fault(kind => 'status', status => 429, retry_after => 600,
    account => 'throttle');

$t->start;

for my $name (qw(well outage mended wrong poison throttle)) {
    $t->get("/$name?email=v$_\@shop.test&kind=good") for 1 .. 3;
}

$t->get('/poison?email=v9@shop.test&kind=bad');
$t->get("/full?email=v$_\@shop.test&filler=" . 'x' x 3000) for 1 .. 150;

ok wait_for(slow(20), sub {
    my $page = $t->get('/page')->body;
    return $page =~ /refuses the key/ && $page =~ /paused by Klaviyo/
        && $page =~ /queue is full/ && $page =~ /given up/
        && $t->account('mended')->{delivery}{failing_since};
}), 'all of it has happened';

$s->clear_faults($mend);
ok wait_for(slow(20), sub { $t->account('mended')->{delivered} == 3 }),
    'and one is mended';


local $ENV{NODE_PATH} = "$objs/node_modules";

my ($code, $out) = run('node', "$folder/page.js", $t->url('/page?refresh=0'),
    $shots, @names);

is $code, 0, 'Chromium' or diag $out;

my ($line) = grep { /^\{/ } split /\n/, $out;
my $seen = decode_json($line // '{}');

is scalar(keys %{ $seen->{text} // {} }), 5, 'in five ways';

for my $way (sort keys %{ $seen->{text} }) {
    for my $name (@names) {
        my $text = $seen->{text}{$way}{$name};
        my (undef, $verdict) = split /\n+/, $text, 3;

        if ($name eq 'mended') {
            like $verdict, $sees{well}, "$way, mended: delivers";
            like $text, qr/503.*times? in a row|503 /s,
                "$way, mended: what it was";
            next;
        }

        like $verdict, $sees{$name}, "$way, $name" or diag $text;

        is join(' ', grep { $_ ne $name && $verdict =~ $sees{$_} }
                     sort keys %sees), '',
            "$way, $name: nobody else's" or diag $verdict;
    }
}

is_deeply $seen->{violations}, [], 'axe-core finds nothing';
cmp_ok $seen->{passes}, '>', 20, 'and has looked';
is_deeply [grep { !/^\Q@{[ $t->url('') ]}\E|^data:/ } @{ $seen->{requests} }],
    [], 'nothing is loaded from elsewhere';
is_deeply $seen->{console}, [], 'the console says nothing';
cmp_ok $seen->{overflow}, '<=', 0, 'a phone need not scroll sideways';
like $seen->{unfolded}, qr/captured/, 'the figures unfold by the keyboard';

for my $shot ((map { "page-$_" } sort keys %{ $seen->{text} }),
              map { "account-$_" } @names) {
    ok -s "$shots/$shot.png", "$shot.png is kept";
}

$t->stop;

done_testing;

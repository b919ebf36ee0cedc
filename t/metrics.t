#!/usr/bin/perl

# Events by their metric: a bounded number of lines, whatever the names, over
# all workers, over a reload and another size of the queue, lost ones too; on
# the page for the last hour.

use lib 't/lib';
use Klaviyo::Test;

my $t = Klaviyo::Test->new(
    workers => 2,
    http    => q{
        klaviyo_identity off;
        klaviyo_profile email $arg_email;
        klaviyo_account_default shop;
        klaviyo_account small {
            api_key pk_small_0123456789;
            endpoint http://127.0.0.1:1;
            queue %%QUEUE_DIR%%/small.ring size=256k;
            spool off;
        }
        klaviyo_property trap '{"metric":{"data":{"type":"metric","attributes":{"name":"Trap"}}}}' json;
    },
    server  => q{
        location = /order { klaviyo_track "Placed Order"; return 204; }
        location = /quote { klaviyo_track 'a "quote" \\ and <b>'; return 204; }
        location = /slash { klaviyo_track 'a \\\\'; return 204; }
        location = /mark  { klaviyo_track 'a "b'; return 204; }
        location = /full  { klaviyo_track Full account=small; return 204; }
        location = /name  { klaviyo_track $arg_name; return 204; }
        location = /page  { klaviyo_track off; klaviyo_status html; }
        location = /metrics { klaviyo_track off; klaviyo_status prometheus; }
    },
);

sub metrics {
    my %found = $t->get('/metrics')->body
        =~ /^nginx_klaviyo_metric_events_captured_total\{account="shop",metric="((?:[^"\\]|\\.)*)"\} (\d+)$/mg;

    return \%found;
}

# an event is made when the answer has been sent, by the worker that sent it

sub captured {
    my ($n) = @_;

    return wait_for(5, sub { $t->account->{captured} == $n });
}

$t->start;
$t->get('/order?email=a@shop.test') for 1 .. 5;
$t->get('/quote?email=a@shop.test');
$t->get('/order');
captured(6);

is_deeply metrics(), {'Placed Order' => 5, 'a \\"quote\\" \\\\ and <b>' => 1},
    'each, and no other';
is $t->account->{metrics}{'Placed Order'}{captured}, 5, 'in the JSON';
is $t->account->{metrics}{'Placed Order'}{last_hour}, 5, 'of the last hour';
like $t->get('/page')->body, qr/<li><b>5<\/b> Placed Order<\/li>/, 'the page';
like $t->get('/page')->body, qr/a &#34;quote&#34; \\ and &lt;b&gt;/,
    'where it is text';

# names whose JSON begins alike, and that of all others as a name

$t->get("/$_?email=a\@shop.test") for qw(slash mark slash mark);
$t->get('/name?email=a@shop.test&name=(others)');
captured(11);

is_deeply [@{ metrics() }{ 'a \\\\', 'a \\"b', '(others)' }], [2, 2, 1],
    'a backslash, a quote, and a name that is taken';

$t->get("/name?email=a\@shop.test&name=M$_") for 1 .. 58;
$t->get('/name?email=a@shop.test&name=' . 'x' x 127);
$t->get('/name?email=a@shop.test&name=(others)');
captured(71);

my $found = metrics();

is scalar keys %$found, 33, 'a bounded number of them';
is $found->{'(others)'}, 33, 'the rest together';

my $sum = 0;
$sum += $_ for values %$found;
is $sum, $t->account->{captured}, 'and none is left out';

$t->get('/order?email=a@shop.test');
captured(72);
is metrics()->{'Placed Order'}, 6, 'those before go on';

# those that had no room

my $lost = wait_for(slow(30), sub {
    $t->get('/full?email=a@shop.test&pad=' . 'x' x 4000) for 1 .. 50;
    $t->account('small')->{reasons}{lost}{queue_full} > 10;
});

ok $lost, 'a queue is full';
is $t->account('small')->{metrics}{Full}{captured},
    $t->account('small')->{captured}, 'what is lost is of its metric';

$t->wait_idle(slow(10));
ok $t->reload(gone => 10), 'a reload';
is metrics()->{'Placed Order'}, 6, 'keeps them';

$t->set(account => 'queue %%QUEUE%% size=16m;');
ok $t->reload(gone => 10), 'another size of the queue';
$t->get('/order?email=a@shop.test');

ok wait_for(slow(70), sub { (metrics()->{'Placed Order'} // 0) == 7 }),
    'keeps them, too' or diag explain metrics();

$t->stop;

done_testing;

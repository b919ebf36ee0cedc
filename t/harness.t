#!/usr/bin/perl

# The harness itself, on an nginx without the module: that it works, and that
# the checks at the end of a test do fail when they should.

use FindBin;
use lib "$FindBin::Bin/lib";

use Klaviyo::Test;
use Klaviyo::Test::Process qw(run read_file write_file);

my $t = Klaviyo::Test->new(module => 0, workers => 2, front => 1,
    server => q{
        location /         { return 200 "hello $http_name\n"; }
        location /version  { return 200 $server_protocol; }
    });

my ($code, $output) = $t->check;

is $code, 0, 'nginx -t';
$t->start;
is scalar(my @workers = $t->workers), 2, 'two workers';
is $t->get('/', Name => 'Ada')->body, "hello Ada\n", 'a request';
is $t->post('/', 'body')->status, 200, 'with a body';
is $t->h2('/version')->body, 'HTTP/2.0', 'by HTTP/2';
like $t->raw("GET / HTTP/1.0\r\nName: \xff\r\n\r\n"), qr/hello \xff/, 'raw';

my $client = $t->client;

is $client->get('/')->status, 200, 'kept alive' for 1 .. 2;

my $load = $t->load(['/', '/version'], clients => 2);

ok $t->reload(gone => 10), "reload $_" for 1 .. 2;

my $count = $load->stop;

cmp_ok $count->{ok}, '>', 10, 'served meanwhile';
is $count->{failed}, 0, 'all of it';

$t->set(server => 'nonsense;');
ok !$t->reload, 'a reload that is refused';
$t->allow(qr/unknown directive "nonsense"/);

my @curl = ('curl', '-sS', '--noproxy', '*', '--cacert', $t->{ca}->file,
    '-H', 'Authorization: Klaviyo-API-Key ' . $t->key, '-d', '{}',
    $t->endpoint . '/api/events');

($code, $output) = run(@curl);
is $code, 0, 'the front' or diag $output;

my $request = $t->sandbox->requests->[0];

is $request->{http_version}, 'HTTP/2.0', 'is reached by HTTP/2';
like $request->{tls}, qr/^TLS/, 'and TLS';

$t->sandbox->fault(kind => 'lost', times => 1);
($code, $output) = run(@curl);
isnt $code, 0, 'an answer that is lost is lost there too';

($code, $output) = config_test(module => 0, http => 'bogus;');
is $code, 1, 'a bad configuration';
like $output, qr/unknown directive "bogus" in .*nginx\.conf:\d+/, 'says why';

$t->stop;


# each of these tests must fail, and say why

my %bad = (
    'a crash' => [q{kill 'SEGV', $t->workers; wait_for(5, sub {
        $t->log =~ /exited on signal/ }); $t->stop; done_testing;},
        qr/exited on signal 11/],
    'an alert' => [q{open my $log, '>>', $t->dir . '/error.log';
        print $log "x [alert] 1#1: open socket #3 left in connection 4\n";
        close $log; $t->stop; done_testing;}, qr/open socket #3 left/],
    'a sanitizer' => [q{$t->file('sanitizer/report.1', 'heap-use-after-free');
        done_testing;}, qr/heap-use-after-free/],
    'not stopped' => [q{Test::More::done_testing();}, qr/was not stopped/],
    'dies' => [q{die "early\n";}, qr/early/],
);

for my $what (sort keys %bad) {
    my ($text, $why) = @{ $bad{$what} };
    my $folder = Klaviyo::Test::Process::temp_folder();
    my $file = write_file("$folder/bad.t", "use Klaviyo::Test;\n"
        . 'my $t = Klaviyo::Test->new(module => 0, sandbox => 0);'
        . "\ndiag 'folder ' . \$t->dir;\n\$t->start; ok 1;\n$text\n");

    ($code, $output) = run($^X, "-I$FindBin::Bin/lib", $file);

    isnt $code, 0, "$what: fails";
    like $output, $why, "$what: says so";

    my ($dir) = $output =~ /folder (\S+)/;

    ok defined $dir && !-e $dir, "$what: cleaned up";

    unlink $file;
    rmdir $folder;
}

done_testing;

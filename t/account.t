#!/usr/bin/perl

# klaviyo_account: every setting, and what is refused with which words.

use lib 't/lib';
use Klaviyo::Test;


sub refused {
    my ($what, $expected, %option) = @_;

    my ($code, $output) = config_test(%option);

    isnt $code, 0, "$what: refused";
    like $output, $expected, "$what: says so";
    like $output, qr/nginx\.conf:\d+/, "$what: says where";
    unlike $output, qr/pk_test/, "$what: without the key";
}


sub accepted {
    my ($what, $expected, %option) = @_;

    my ($code, $output) = config_test(%option);

    # where /tmp is on tmpfs; and nothing tracks here

    $output =~ s/^.* does not survive a reboot.*\n//mg;
    $output =~ s/^.* is used by no directive.*\n//mg;

    is $code, 0, "$what: accepted" or diag $output;
    $expected ? like $output, $expected, "$what: says so"
              : unlike $output, qr/\[(?:warn|emerg|alert|crit)\]/,
                       "$what: without a word";
    unlike $output, qr/pk_test/, "$what: without the key";
}


# the settings

accepted 'the least', undef, account => '';

accepted 'everything', undef, account => q{
    endpoint https://a.klaviyo.com/;
    revision 2026-07-15;
    queue %%QUEUE%% size=1m full=drop_oldest;
    spool %%SPOOL%% size=10m sync=200ms;
    dead_letter %%DIR%%/dead/letters.jsonl size=1m;
    batch events=10 bytes=100k linger=250ms;
    rate share=50%;
    retry min=2s max=1m max_age=1d;
    timeout connect=1s total=10s;
    ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
    ssl_verify on;
    proxy http://127.0.0.1:3128;
    dry_run on;
};

for my $host ('127.0.0.1', '127.1.2.3:8080', 'localhost', '[::1]:80') {
    accepted "http://$host", undef, account => "endpoint http://$host;";
}

for my $host (qw(a.klaviyo.com 127.0.0.1.example.net 10.0.0.1 localhost.net
                 128.0.0.1 [::2]))
{
    refused "http://$host", qr/would send the key unencrypted.*use "https:/,
        account => "endpoint http://$host;";
}

for my $url (qw(ftp://a.klaviyo.com a.klaviyo.com)) {
    refused $url, qr/invalid endpoint "\Q$url\E": it must begin with "https:/,
        account => "endpoint $url;";
}

for my $url ('https://', 'https://h:x', 'https://h:99999', 'https://u:p@h',
             'https://h?x', 'https://h/#a', 'http://localhost:80@evil.net')
{
    refused $url, qr/invalid endpoint "\Q$url\E": expected "https:/,
        account => "endpoint '$url';";
}

refused "revision $_", qr/invalid revision "\Q$_\E": expected a date like/,
    account => "revision '$_';"
    for qw(2026 2026-7-15 2026-13-01 2026-00-10 2026-07-15x today);

my @old = gmtime(time - 700 * 86400);
my $old = sprintf '%04d-%02d-%02d', $old[5] + 1900, $old[4] + 1, $old[3];

accepted 'a revision that grows old',
    qr/\[warn\].*revision "$old".*retired in \d+ days: set a newer one/,
    account => "revision $old;";

accepted 'a retired revision',
    qr/\[warn\].*"2019-01-01".*two years old and retired: set a newer one/,
    account => 'revision 2019-01-01;';

accepted 'a pre-release', undef, account => 'revision 2026-07-15.pre;';
accepted 'a strict one', undef, account => 'revision 2026-10-15 strict;';
accepted 'a newer one than is known',
    qr/\[warn\].*revision "2026-10-16".*newer than "2026-10-15"/,
    account => 'revision 2026-10-16;';

# the key is not for whoever runs a proxy

refused 'http over a proxy',
    qr/would send the key unencrypted to the proxy "http:.*use "https:/,
    account => "proxy http://127.0.0.1:3128; endpoint http://127.0.0.1:80;";

refused "$_->[0]", $_->[1], account => "$_->[0];"
    for ['queue %%QUEUE%% size=1k', qr/"size=1k": it must be \d+ to \d+ bytes/],
        ['queue %%QUEUE%% size=x', qr/invalid value "size=x": it must be \d+ to/],
        ['queue %%QUEUE%% full=never', qr/"full" is "drop_newest" or "drop_o/],
        ['queue %%QUEUE%% colour=red', qr/invalid parameter "colour=red"/],
        ['queue off', qr/"queue" of klaviyo_account cannot be "off"/],
        ['queue ""', qr/"queue" of klaviyo_account must name a path/],
        ['queue size=32m', qr/"queue" of klaviyo_account must name a path fi/],
        ['queue %%KEY_FILE%%',
         $< ? qr/shop.key" is not a queue but some other file/
            : qr/is not writable .*: give it to the user/],
        ['ssl_trusted_certificate %%DIR%%', qr/is not a file of certificates/],
        ['ssl_trusted_certificate %%KEY_FILE%%', qr/is not a file of certifi/],
        ['batch events=0', qr/"events=0": Klaviyo takes 1 to 1000 events/],
        ['batch events=1001', qr/Klaviyo takes 1 to 1000 events/],
        ['batch bytes=5m', qr/"bytes=5m": it must be 1024 to 4500000 bytes/],
        ['batch linger=soon', qr/invalid value "linger=soon": it must be a time/],
        ['batch events=1 events=2', qr/parameter "events=2" is duplicate/],
        ['timeout total=1s; timeout total=2s', qr/"total=2s" is duplicate/],
        ['batch size=3', qr/"size=3": expected "events=", "bytes=" or "linger="/],
        ['rate share=0%', qr/"share" is 1% to 100%/],
        ['rate share=101%', qr/"share" is 1% to 100%/],
        ['rate 50%', qr/invalid parameter "50%": expected "share="/],
        ['retry min=10s max=1s', qr/"max" must not be less than "min"/],
        ['retry max_age=0', qr/invalid value "max_age=0": it must be a time/],
        ['retry often', qr/invalid parameter "often"/],
        ['timeout connect=0', qr/invalid value "connect=0": it must be a time/],
        ['timeout 5s', qr/parameter "5s": expected "connect=" or "total="/],
        ['ssl_trusted_certificate none.pem', qr/open\(\) ".*none.pem" failed/],
        ['ssl_verify maybe', qr/"maybe": it must be "on" or "off"/],
        ['dry_run 1', qr/"1": it must be "on" or "off"/],
        ['proxy 127.0.0.1:3128', qr/expected "http:\/\/host:port"/],
        ['revision 2026-07-15 lax', qr/"lax" of "revision": expected "strict"/],
        ['dry_run on; dry_run on', qr/"dry_run" of klaviyo_account is dup/],
        ['endpoint', qr/invalid number of arguments in "endpoint"/],
        ['retries 3', qr/unknown setting "retries" in klaviyo_account/];


# the key

my $key = 'pk_test_0123456789abcdef';

sub key_file {
    my ($text, $mode) = @_;

    my $t = Klaviyo::Test->new(sandbox => 0, account => q{
        api_key_file %%DIR%%/other.key;
    });

    $t->file('other.key', $text, $mode);
    my @result = $t->check;
    $t->stop;

    return @result;
}

for ([$key, 'bare'], ["$key\n", 'a line'], ["$key\r\n", 'a DOS line']) {
    is +(key_file($_->[0], 0600))[0], 0, "a key, $_->[1]";
}

for (["$key\n", 0644, qr/read or written by others.*run "chmod 600 \S+other/],
     ["$key\n", 0640, qr/read or written by others than its owner/],
     ["$key\n", 0622, qr/read or written by others/],
     ['', 0600, qr/is empty: it must hold Klaviyo's private key/],
     ["\n", 0600, qr/is empty/],
     ["$key\nx\n", 0600, qr/malformed.*at byte 25, expected one line/],
     [" $key", 0600, qr/malformed.*at byte 1,/],
     ["pk_\x01", 0600, qr/malformed.*at byte 4/],
     ["pk_\xc3\xa9", 0600, qr/malformed/],
     ["pk_\0x", 0600, qr/malformed/],
     ['AbC123', 0600, qr/malformed: Klaviyo's private keys begin with "pk_"/],
     ['pk_', 0600, qr/malformed/],
     ['pk_' . 'x' x 600, 0600, qr/longer than 512 bytes/])
{
    my ($code, $output) = key_file($_->[0], $_->[1]);

    isnt $code, 0, 'bad key refused';
    like $output, $_->[2], 'with a reason';
    unlike $output, qr/pk_test/, 'without the key';
}

refused 'no key file', qr/open\(\) ".*missing.key" failed: "api_key_file" must .*\(2: /,
    account => 'api_key_file missing.key;';
refused 'a folder as key file', qr/is not a regular file/,
    account => 'api_key_file %%DIR%%;';

refused 'no key', qr/no "api_key_file" in klaviyo_account "bare"/,
    http => 'klaviyo_account bare { endpoint https://a.klaviyo.com; }';

my ($code, $output) = config_test(account => 'api_key pk_inline_key;');

is $code, 0, 'a key in the configuration';
like $output, qr/\[warn\].*"nginx -T" prints it: use "api_key_file"/, 'warned';
unlike $output, qr/pk_inline/, 'without the key';

refused 'two keys', qr/"api_key" of klaviyo_account is duplicate/,
    account => 'api_key_file %%KEY_FILE%%; api_key pk_x;';


# the block

refused 'no name', qr/invalid number of arguments in "klaviyo_account"/,
    http => 'klaviyo_account { }', account => undef;
refused 'a name that is a path', qr/invalid account name "..\/x": use letters/,
    http => 'klaviyo_account ../x { }', account => undef;
refused 'the same name', qr/duplicate klaviyo_account "shop"/,
    http => 'klaviyo_account shop { }';
refused 'in server', qr/"klaviyo_account" directive is not allowed here/,
    server => 'klaviyo_account two { }';
refused 'the same queue',
    qr/"two" in \S+ has the same queue ".*" as account "shop"/,
    http => q{
        klaviyo_account two { api_key_file %%KEY_FILE%%; queue %%QUEUE%%; }
    };

refused 'the same queue by another spelling',
    qr/"two" in \S+ has the same queue ".*" as account "shop"/,
    http => q{
        klaviyo_account two {
            api_key_file %%KEY_FILE%%;
            queue %%QUEUE_DIR%%/../queue/shop.ring;
        }
    };


# the path of the queue

refused 'a missing folder', qr/queue of klaviyo_account "shop" in .*nowhere/,
    account => 'queue %%DIR%%/nowhere/deep/shop.ring;';
refused 'a folder as queue', qr/queue of klaviyo_account "shop" in /,
    account => 'queue %%DIR%%;';

done_testing;

#!/usr/bin/perl

# Klaviyo's own SDK for Node through klaviyo_pass: what it asks arrives, and
# what comes back it understands.
#
# It comes from npm, once: `make bench` puts it there too.  Without npm, or
# the network, there is nothing to test with.

use lib 't/lib';
use Klaviyo::Test;
use Klaviyo::Test::Process qw(run);

use FindBin;
use Mojo::JSON qw(decode_json);

my $version = '23.0.0';
my $folder  = "$FindBin::Bin/../" . ($ENV{KLAVIYO_OBJS} // 'objs')
    . '/bench/node';

plan skip_all => 'no node' if !grep { -x "$_/node" } split /:/, $ENV{PATH};

my $package = "$folder/node_modules/klaviyo-api/package.json";

if (!-f $package) {
    run('timeout', 120, 'npm', 'install', '--silent', '--no-audit',
        '--no-fund', '--prefix', $folder, "klaviyo-api\@$version");
}

plan skip_all => "npm did not install klaviyo-api $version" if !-f $package;

my $t = Klaviyo::Test->new(server => 'location /klaviyo/ { klaviyo_pass; }');
my $script = $t->file('sdk.js', <<'END');
const [,, folder, base] = process.argv;
const sdk = require('module').createRequire(folder + '/')('klaviyo-api');
const session = new sdk.ApiKeySession('pk_the_callers_own_is_not_used');
const api = (name) => Object.assign(new sdk[name](session), {basePath: base});

const event = (name, email, id) => ({
    properties: {OrderId: id}, value: 49.9, valueCurrency: 'EUR',
    uniqueId: id, time: new Date('2026-09-06T18:05:09Z'),
    metric: {data: {type: 'metric', attributes: {name}}},
    ...(email && {profile: {data: {type: 'profile', attributes: {email}}}})});

const steps = {
    event: () => api('EventsApi').createEvent({data: {type: 'event',
        attributes: event('Placed Order', 'ann@shop.com', 'o1')}}),
    bulk: () => api('EventsApi').bulkCreateEvents({data: {
        type: 'event-bulk-create-job', attributes: {eventsBulkCreate: {data: [
            ['ben@shop.com', 'b1'], ['eve@shop.com', 'b2']].map(([email, id]) =>
            ({type: 'event-bulk-create', attributes: {
                profile: {data: {type: 'profile', attributes: {email}}},
                events: {data: [{type: 'event',
                    attributes: event('Bulk', null, id)}]}}}))}}}}),
    create: async () => {
        for (let i = 0; i < 5; i++) {
            await api('ProfilesApi').createProfile({data: {type: 'profile',
                attributes: {email: `p${i}+x@shop.com`,
                             firstName: 'P' + i}}});
        }
    },
    update: () => api('ProfilesApi').createOrUpdateProfile({data: {
        type: 'profile', attributes: {email: 'p1+x@shop.com',
                                      firstName: 'Other'}}}),
    find: async () => (await api('ProfilesApi').getProfiles({filter:
        new sdk.FilterBuilder().equals('email', 'p1+x@shop.com').build()}))
        .body.data.map(p => p.attributes.firstName),
    pages: async () => {
        const names = [];
        let pageCursor;

        do {
            const page = (await api('ProfilesApi').getProfiles({pageSize: 2,
                pageCursor})).body;

            names.push(page.data.map(p => p.attributes.email));
            pageCursor = page.links.next || undefined;
        } while (pageCursor);

        return names;
    },
    conflict: () => api('ProfilesApi').createProfile({data: {type: 'profile',
        attributes: {email: 'p1+x@shop.com'}}})
        .then(() => 'none', e => e.response.status),
    lists: async () => (await api('ListsApi').getLists({})).body.data.length,
    list: async () => {
        const made = (await api('ListsApi').createList({data: {type: 'list',
            attributes: {name: 'Mine'}}})).body.data;
        const read = (await api('ListsApi').getList(made.id)).body.data;

        await api('ListsApi').deleteList(made.id);
        return read.attributes.name;
    },
    subscribe: () => api('ProfilesApi').bulkSubscribeProfiles({data: {
        type: 'profile-subscription-bulk-create-job', attributes: {
            profiles: {data: [{type: 'profile', attributes: {
                email: 'ann@shop.com', subscriptions: {email: {marketing:
                    {consent: 'SUBSCRIBED'}}}}}]}},
        relationships: {list: {data: {type: 'list', id: 'LIST03'}}}}}),
    account: async () => (await api('AccountsApi').getAccounts({})).body
        .data[0].attributes.publicApiKey,
};

(async () => {
    const results = {};

    for (const name of Object.keys(steps)) {
        try {
            const result = await steps[name]();

            results[name] = result && result.response
                ? result.response.status : result === undefined ? 'done'
                : result;
        } catch (e) {
            results[name] = 'failed: ' + (e.response
                ? e.response.status + ' ' + JSON.stringify(e.response.data)
                : e.stack);
        }
    }

    console.log(JSON.stringify(results));
})();
END

$t->start;

my ($code, $output) = run('timeout', 60, 'node', $script, $folder,
    'http://127.0.0.1:' . $t->port . '/klaviyo');

is $code, 0, 'it runs' or diag $output;

my $results = eval { decode_json(($output =~ /^(\{.*\})$/m)[0] // '') } // {};

is_deeply $results, {
    event     => 202, bulk => 202, create => 'done', update => 200,
    find      => ['Other'],
    pages     => [['p0+x@shop.com', 'p1+x@shop.com'],
                  ['p2+x@shop.com', 'p3+x@shop.com'], ['p4+x@shop.com']],
    conflict  => 409, lists => 10, list => 'Mine', subscribe => 202,
    account   => 'ABC123',
}, 'every call' or diag $output;

is_deeply [sort map { $_->{unique_id} } @{ $t->sandbox->events }],
    [qw(b1 b2 o1)], 'its events are recorded';
is $t->sandbox->events->[0]{value}, 49.9, 'with their value';
is $t->sandbox->state->{subscriptions}[0]{list}, 'LIST03',
    'and its subscription';

my %types = map { $_->{headers}{'content-type'} => 1 }
    grep { $_->{method} eq 'POST' } @{ $t->sandbox->requests };

is_deeply \%types, {'application/json' => 1}, 'as the SDK sends them';
is_deeply [grep { $_->{headers}{authorization} !~ /^Klaviyo-API-Key pk_\.\.\.$/ }
    @{ $t->sandbox->requests }], [], 'with the account\'s key';

$t->stop;

done_testing;

// What one writes instead, in the application: Klaviyo's SDK for Node.
//
//   sdk.js FOLDER SINK single|bulk N
//
// N events of ten properties, as those of c/event.h; eight calls at a time, as
// many as the module has under way, bulk calls with 1,000 events each.

'use strict';

const [,, folder, sink, mode, count] = process.argv;
const { createRequire } = require('module');
const { ApiKeySession, EventsApi, EventEnum, MetricEnum, ProfileEnum,
        EventBulkCreateJobEnum, EventBulkCreateEnum }
    = createRequire(folder + '/')('klaviyo-api');

const api = new EventsApi(new ApiKeySession('pk_bench'));
const total = Number(count);
const BATCH = 1000;
const CALLS = 8;

api.basePath = sink;

function properties() {
    const p = {};

    for (let i = 0; i < 10; i++) {
        p['Property' + i] = i % 5 === 1 ? 10.9 + i
                          : i % 5 === 3 ? true : 'Brass Desk Lamp ';
    }

    return p;
}

const attributes = (n) => ({
    properties: properties(),
    metric: { data: { type: MetricEnum.Metric,
                      attributes: { name: 'Viewed Product' } } },
    time: new Date(),
    uniqueId: 'bench-' + String(n).padStart(26, '0'),
});

const visitor = (n) => String(n % (total / 4 | 0)).padStart(8, '0');

const profile = (n) => ({ data: { type: ProfileEnum.Profile,
    attributes: { externalId: 'visitor-' + visitor(n) } } });

function single(n) {
    return api.createEvent({ data: { type: EventEnum.Event,
        attributes: { ...attributes(n), profile: profile(n) } } });
}

function bulk(n) {
    const data = [];

    for (let i = n; i < n + BATCH; i++) {
        data.push({ type: EventBulkCreateEnum.EventBulkCreate, attributes: {
            profile: profile(i),
            events: { data: [{ type: EventEnum.Event,
                               attributes: attributes(i) }] } } });
    }

    return api.bulkCreateEvents({ data: {
        type: EventBulkCreateJobEnum.EventBulkCreateJob,
        attributes: { eventsBulkCreate: { data } } } });
}

async function main() {
    const step = mode === 'bulk' ? BATCH : 1;
    const send = mode === 'bulk' ? bulk : single;
    let next = 0;

    // the first calls find nothing compiled

    for (let i = 0; i < 10; i++) {
        await send(0);
    }

    const cpu = process.cpuUsage();
    const begin = process.hrtime.bigint();

    await Promise.all(Array.from({ length: CALLS }, async () => {
        while (next < total) {
            const n = next;
            next += step;
            await send(n);
        }
    }));

    const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
    const used = process.cpuUsage(cpu);

    console.log(JSON.stringify({
        events: total,
        events_per_second: total / seconds,
        cpu_per_million: (used.user + used.system) / total,
        rss_kb: Math.round(process.memoryUsage().rss / 1024),
    }));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});

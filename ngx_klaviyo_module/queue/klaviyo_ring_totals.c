/*
 * The queue room: distributions, and events by their metric.  Whoever counts
 * takes no lock but to give a metric its line, once.
 *
 * Plain C.  Touches mapped bytes by atomics and memcpy only; what is read may
 * come from a damaged file.
 */


#include <string.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_figures.h"
#include "klaviyo_ring_lock.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_totals.h"


/* where a name is in an event's attributes: behind the properties */
#define KLAVIYO_METRIC_BEFORE                                                \
    "\"metric\":{\"data\":{\"type\":\"metric\",\"attributes\":{\"name\":\""


static void klaviyo_ring_metric_event(klaviyo_ring_t *ring,
    const klaviyo_event_t *event, unsigned locks);
static int klaviyo_ring_metric_again(const klaviyo_ring_metric_t *metric,
    const klaviyo_event_t *event);
static size_t klaviyo_ring_metric_name(const klaviyo_event_t *event,
    uint8_t *name);
static klaviyo_ring_metric_t *klaviyo_ring_metric_find(klaviyo_ring_t *ring,
    const uint8_t *name, size_t len, uint64_t hash);
static klaviyo_ring_metric_t *klaviyo_ring_metric_add(klaviyo_ring_t *ring,
    const uint8_t *name, size_t len, uint64_t hash);
static void klaviyo_ring_metric_count(klaviyo_ring_metric_t *metric,
    uint64_t tick);


const klaviyo_bounds_t  klaviyo_bounds[] = {
    { 10, { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000 } },
    { 10, { 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000 } },
    { 12, { 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000,
            3600000, 86400000 } }
};


void
klaviyo_ring_observe(klaviyo_ring_t *ring, klaviyo_histogram_e histogram,
    uint64_t value)
{
    unsigned              i;
    klaviyo_histogram_t  *h;

    if (klaviyo_ring_detached(ring)) {
        return;
    }

    h = &ring->totals->histogram[histogram];

    for (i = 0; i < klaviyo_bounds[histogram].bounds; i++) {
        if (value <= klaviyo_bounds[histogram].bound[i]) {
            break;
        }
    }

    __atomic_fetch_add(&h->count[i], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&h->sum, value, __ATOMIC_RELAXED);
}


void
klaviyo_ring_histogram(klaviyo_ring_t *ring, klaviyo_histogram_e histogram,
    klaviyo_histogram_t *read)
{
    unsigned              i;
    klaviyo_histogram_t  *h;

    memset(read, 0, sizeof(klaviyo_histogram_t));

    if (klaviyo_ring_detached(ring)) {
        return;
    }

    h = &ring->totals->histogram[histogram];

    for (i = 0; i <= klaviyo_bounds[histogram].bounds; i++) {
        read->count[i] = klaviyo_ring_get(&h->count[i]);
    }

    read->sum = klaviyo_ring_get(&h->sum);
}


void
klaviyo_ring_captured(klaviyo_ring_t *ring, const klaviyo_event_t *event)
{
    klaviyo_ring_metric_event(ring, event, 1);
}


void
klaviyo_ring_lost_busy(klaviyo_ring_t *ring, const klaviyo_event_t *event)
{
    klaviyo_ring_count(ring, KLAVIYO_COUNT_LOST_QUEUE_BUSY, 1);
    klaviyo_ring_metric_event(ring, event, 0);
}


/* `locks`: it may wait for the lock to give the metric a line */

static void
klaviyo_ring_metric_event(klaviyo_ring_t *ring, const klaviyo_event_t *event,
    unsigned locks)
{
    size_t                  len;
    uint8_t                 name[KLAVIYO_METRIC_NAME];
    uint64_t                hash;
    klaviyo_ring_metric_t  *metric;

    if (klaviyo_ring_detached(ring)) {
        return;
    }

    if (klaviyo_ring_metric_again(ring->metric, event)) {
        klaviyo_ring_metric_count(ring->metric, (uint64_t) event->time
                                                / KLAVIYO_METRIC_SLICE);
        return;
    }

    len = klaviyo_ring_metric_name(event, name);

    if (len == 0) {
        return;
    }

    /* never 0, which is a line that is free */

    hash = (uint64_t) klaviyo_crc32c(0, name, len) << 8 | len;

    metric = klaviyo_ring_metric_find(ring, name, len, hash);

    if (metric == NULL) {
        metric = locks ? klaviyo_ring_metric_add(ring, name, len, hash)
                       : &ring->totals->metric[KLAVIYO_METRICS];
    }

    /* its JSON may be that of another one if it has a backslash */

    ring->metric = memchr(name, '\\', len) ? NULL : metric;

    klaviyo_ring_metric_count(metric, (uint64_t) event->time
                                      / KLAVIYO_METRIC_SLICE);
}


unsigned
klaviyo_ring_metrics(klaviyo_ring_t *ring, int64_t now,
    klaviyo_metric_t read[KLAVIYO_METRICS + 1])
{
    unsigned                i, k, n;
    uint64_t                len, slice, tick;
    klaviyo_ring_metric_t  *metric;

    if (klaviyo_ring_detached(ring)) {
        return 0;
    }

    tick = (uint64_t) now / KLAVIYO_METRIC_SLICE;
    n = 0;

    for (i = 0; i <= KLAVIYO_METRICS; i++) {
        metric = &ring->totals->metric[i];

        len = klaviyo_ring_acquire(&metric->hash) & 0xff;

        if (i < KLAVIYO_METRICS && len == 0) {
            continue;
        }

        memset(&read[n], 0, sizeof(klaviyo_metric_t));

        read[n].captured = klaviyo_ring_get(&metric->captured);

        if (read[n].captured == 0) {
            continue;
        }

        if (i == KLAVIYO_METRICS) {
            memcpy(read[n].name, KLAVIYO_METRIC_OTHERS,
                   sizeof(KLAVIYO_METRIC_OTHERS));

        } else if (len <= KLAVIYO_METRIC_NAME) {
            memcpy(read[n].name, metric->name, len);
        }

        for (k = 0; k < KLAVIYO_METRIC_SLICES; k++) {
            slice = klaviyo_ring_get(&metric->slice[k]);

            if ((uint32_t) tick - (uint32_t) (slice >> 32)
                < KLAVIYO_METRIC_SLICES)
            {
                read[n].hour += (uint32_t) slice;
            }
        }

        n++;
    }

    return klaviyo_ring_detached(ring) ? 0 : n;
}


void
klaviyo_ring_totals_add(klaviyo_ring_t *ring, klaviyo_ring_t *old)
{
    unsigned                i, k;
    uint64_t                n, hash;
    klaviyo_histogram_t    *h, *from;
    klaviyo_ring_metric_t  *metric, *was;

    for (i = 0; i < KLAVIYO_HISTOGRAM_N; i++) {
        h = &ring->totals->histogram[i];
        from = &old->totals->histogram[i];

        for (k = 0; k <= KLAVIYO_BOUNDS_MAX; k++) {
            n = __atomic_exchange_n(&from->count[k], 0, __ATOMIC_RELAXED);
            __atomic_fetch_add(&h->count[k], n, __ATOMIC_RELAXED);
        }

        n = __atomic_exchange_n(&from->sum, 0, __ATOMIC_RELAXED);
        __atomic_fetch_add(&h->sum, n, __ATOMIC_RELAXED);
    }

    for (i = 0; i <= KLAVIYO_METRICS; i++) {
        was = &old->totals->metric[i];
        n = __atomic_exchange_n(&was->captured, 0, __ATOMIC_RELAXED);

        if (n == 0) {
            continue;
        }

        metric = &ring->totals->metric[KLAVIYO_METRICS];
        hash = klaviyo_ring_get(&was->hash);

        if (i < KLAVIYO_METRICS
            && (hash & 0xff) != 0
            && (hash & 0xff) <= KLAVIYO_METRIC_NAME)
        {
            metric = klaviyo_ring_metric_find(ring, was->name, hash & 0xff,
                                              hash);

            if (metric == NULL) {
                metric = klaviyo_ring_metric_add(ring, was->name, hash & 0xff,
                                                 hash);
            }
        }

        __atomic_fetch_add(&metric->captured, n, __ATOMIC_RELAXED);
    }
}


/* 1: the event's is this one, which has a line of its own */

static int
klaviyo_ring_metric_again(const klaviyo_ring_metric_t *metric,
    const klaviyo_event_t *event)
{
    size_t          len, rest;
    const uint8_t  *p;

    if (metric == NULL || event->metric == 0
        || event->metric + sizeof(KLAVIYO_METRIC_BEFORE)
           > event->attributes_len)
    {
        return 0;
    }

    p = event->attributes + event->metric;
    rest = event->attributes_len - event->metric
           - (sizeof(KLAVIYO_METRIC_BEFORE) - 1);

    len = klaviyo_ring_acquire(&metric->hash) & 0xff;

    return len != 0 && len < rest && len <= KLAVIYO_METRIC_NAME
           && memcmp(p, KLAVIYO_METRIC_BEFORE,
                     sizeof(KLAVIYO_METRIC_BEFORE) - 1) == 0
           && memcmp(p + sizeof(KLAVIYO_METRIC_BEFORE) - 1, metric->name, len)
              == 0
           && p[sizeof(KLAVIYO_METRIC_BEFORE) - 1 + len] == '"';
}


/* the last one: a property may look the same, what follows is text */

static size_t
klaviyo_ring_metric_name(const klaviyo_event_t *event, uint8_t *name)
{
    size_t          before, len;
    const uint8_t  *p, *last;

    before = sizeof(KLAVIYO_METRIC_BEFORE) - 1;
    last = event->attributes + event->attributes_len;

    if (event->attributes_len < before) {
        return 0;
    }

    p = last - before;

    if (event->metric && event->metric <= event->attributes_len - before) {
        p = event->attributes + event->metric;
    }

    for ( ;; p--) {

        if (p[1] == 'm' && memcmp(p, KLAVIYO_METRIC_BEFORE, before) == 0) {
            break;
        }

        if (p == event->attributes) {
            return 0;
        }
    }

    len = 0;

    for (p += before; p < last && *p != '"'; p++) {

        if (*p == '\\' && p + 1 < last) {
            p++;
        }

        if (len == KLAVIYO_METRIC_NAME) {

            /* not in the midst of a character */

            while (len && (*p & 0xc0) == 0x80) {
                p--;
                len--;
            }

            break;
        }

        name[len++] = *p;
    }

    return len;
}


static klaviyo_ring_metric_t *
klaviyo_ring_metric_find(klaviyo_ring_t *ring, const uint8_t *name,
    size_t len, uint64_t hash)
{
    unsigned                i;
    klaviyo_ring_metric_t  *metric;

    for (i = 0; i < KLAVIYO_METRICS; i++) {
        metric = &ring->totals->metric[i];

        if (klaviyo_ring_acquire(&metric->hash) == hash
            && memcmp(metric->name, name, len) == 0)
        {
            return metric;
        }
    }

    return NULL;
}


/*
 * A line for it, or that of all others.  The name is written before the hash:
 * a kill in between leaves a line that is free.
 */

static klaviyo_ring_metric_t *
klaviyo_ring_metric_add(klaviyo_ring_t *ring, const uint8_t *name,
    size_t len, uint64_t hash)
{
    unsigned                i;
    klaviyo_ring_metric_t  *metric, *others;

    others = &ring->totals->metric[KLAVIYO_METRICS];

    if (klaviyo_ring_get(&ring->totals->metric[KLAVIYO_METRICS - 1].hash)
        || (len == sizeof(KLAVIYO_METRIC_OTHERS) - 1
            && memcmp(name, KLAVIYO_METRIC_OTHERS, len) == 0)
        || klaviyo_ring_lock(ring) != KLAVIYO_RING_OK)
    {
        return others;
    }

    metric = klaviyo_ring_metric_find(ring, name, len, hash);

    for (i = 0; metric == NULL && i < KLAVIYO_METRICS; i++) {

        if (klaviyo_ring_get(&ring->totals->metric[i].hash) == 0) {
            metric = &ring->totals->metric[i];

            memcpy(metric->name, name, len);
            __atomic_store_n(&metric->hash, hash, __ATOMIC_RELEASE);
        }
    }

    klaviyo_ring_unlock(ring);

    return metric ? metric : others;
}


/* a slice is the number of its five minutes, and what came in them */

static void
klaviyo_ring_metric_count(klaviyo_ring_metric_t *metric, uint64_t tick)
{
    uint64_t  *slice, was, n;

    slice = &metric->slice[tick % KLAVIYO_METRIC_SLICES];
    was = klaviyo_ring_get(slice);

    do {
        n = ((uint32_t) (was >> 32) == (uint32_t) tick)
            ? was + 1 : (uint64_t) (uint32_t) tick << 32 | 1;

    } while (!__atomic_compare_exchange_n(slice, &was, n, 1, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));

    __atomic_fetch_add(&metric->captured, 1, __ATOMIC_RELAXED);
}

/*
 * The limiter's arithmetic.  Room: delivery, plain C; it knows no clock and
 * no ring, both are the caller's.
 *
 * Two rules for the request of number n, of a class with `limit` requests:
 *
 *     window   request n - limit went at least a span ago
 *     turn     turns are a span / limit apart.  Who comes late may catch up,
 *              and who comes after a rest may go ahead, both by `reserve`
 *              turns; hence the second of Klaviyo's windows needs no rule of
 *              its own: reserve and turns of two seconds stay below it
 *
 * 3,500 times are too many to keep.  An entry of the log stands for `grain`
 * requests and counts all of them as late as its last one.
 */


#include <string.h>

#include "klaviyo_limiter.h"


#define KLAVIYO_LIMITER_RESERVE  50    /* a request in so many is reserve   */


/* "Rate limits" of Klaviyo's create_event and bulk_create_events */

static const uint64_t  klaviyo_limiter_limits[KLAVIYO_LIMITER_N] = {
    3500,
    150
};


static uint64_t klaviyo_limiter_of(unsigned of, unsigned *share);
static void klaviyo_limiter_repair(klaviyo_limiter_lane_t *lane,
    uint64_t limit, int64_t now);
static void klaviyo_limiter_go(klaviyo_limiter_lane_t *lane, uint64_t limit,
    unsigned share, int64_t now);
static void klaviyo_limiter_regrain(klaviyo_limiter_lane_t *lane,
    uint64_t grain);
static void klaviyo_limiter_count(klaviyo_limiter_lane_t *lane, int64_t now);
static int64_t klaviyo_limiter_window(const klaviyo_limiter_lane_t *lane,
    uint64_t limit, int64_t now);
static int64_t klaviyo_limiter_last(const klaviyo_limiter_lane_t *lane);


unsigned
klaviyo_limiter_limit(klaviyo_limiter_class_e lane)
{
    return (unsigned) klaviyo_limiter_limits[lane];
}


int64_t
klaviyo_limiter_take(klaviyo_limiter_t *limiter,
    klaviyo_limiter_class_e lane, unsigned of, unsigned share, int64_t now)
{
    int64_t                  wait, other, gap;
    uint64_t                 limit;
    klaviyo_limiter_lane_t  *l;

    l = &limiter->lane[lane];

    limit = klaviyo_limiter_of(of, &share);
    now = now < 0 ? 0 : now;

    klaviyo_limiter_repair(l, limit, now);

    wait = klaviyo_limiter_window(l, limit, now);

    gap = KLAVIYO_LIMITER_SPAN * 1000 / (int64_t) limit;

    /* the clock went back: not longer than the last request would have set */

    if (l->turn > now * 1000 + gap) {
        l->turn = now * 1000 + gap;
    }

    other = (l->turn - now * 1000 + 999) / 1000;

    if (wait < other) {
        wait = other;
    }

    if (l->reset_at > now) {

        if (l->reset_at - now > KLAVIYO_LIMITER_WINDOW) {
            l->reset_at = now + KLAVIYO_LIMITER_WINDOW;
        }

        if (l->remaining <= 0 && wait < l->reset_at - now) {
            wait = l->reset_at - now;
        }
    }

    if (wait > 0) {
        return wait;
    }

    klaviyo_limiter_go(l, limit, share, now);

    return 0;
}


void
klaviyo_limiter_went(klaviyo_limiter_t *limiter,
    klaviyo_limiter_class_e lane, unsigned of, unsigned share, int64_t now)
{
    uint64_t                 limit;
    klaviyo_limiter_lane_t  *l;

    l = &limiter->lane[lane];

    limit = klaviyo_limiter_of(of, &share);
    now = now < 0 ? 0 : now;

    klaviyo_limiter_repair(l, limit, now);
    klaviyo_limiter_go(l, limit, share, now);
}


void
klaviyo_limiter_correct(klaviyo_limiter_t *limiter,
    klaviyo_limiter_class_e lane, int64_t remaining, int64_t reset,
    int64_t now)
{
    klaviyo_limiter_lane_t  *l;

    if (remaining < 0) {
        return;
    }

    /* nobody said for how long, or nothing to believe: the whole window */

    if (reset < 0 || reset > KLAVIYO_LIMITER_WINDOW / 1000) {
        reset = KLAVIYO_LIMITER_WINDOW / 1000;
    }

    l = &limiter->lane[lane];

    l->remaining = remaining;
    l->reset_at = (now < 0 ? 0 : now) + reset * 1000;
}


void
klaviyo_limiter_merge(klaviyo_limiter_t *limiter,
    const klaviyo_limiter_t *other)
{
    int  i;

    for (i = 0; i < KLAVIYO_LIMITER_N; i++) {
        if (klaviyo_limiter_last(&limiter->lane[i])
            <= klaviyo_limiter_last(&other->lane[i]))
        {
            limiter->lane[i] = other->lane[i];
        }
    }
}


static uint64_t
klaviyo_limiter_of(unsigned of, unsigned *share)
{
    uint64_t  limit;

    *share = *share < 1 ? 1 : *share > 100 ? 100 : *share;
    limit = (uint64_t) of * KLAVIYO_LIMITER_TIMES * *share / 100;

    return limit < 1 ? 1 : limit;
}


static void
klaviyo_limiter_go(klaviyo_limiter_lane_t *l, uint64_t limit, unsigned share,
    int64_t now)
{
    int64_t  gap, ahead, cost;

    gap = KLAVIYO_LIMITER_SPAN * 1000 / (int64_t) limit;
    ahead = (int64_t) (limit / KLAVIYO_LIMITER_RESERVE) * gap - gap;
    ahead = ahead < 0 ? 0 : ahead;

    klaviyo_limiter_count(l, now);

    if (l->turn < now * 1000 - ahead) {
        l->turn = now * 1000 - ahead;
    }

    l->turn += gap;

    /*
     * What remains is everybody's.  Each request of ours is taken to come
     * with those of the others, who own the rest of the limits: with a share
     * of 25 per cent it costs four.  So ours is a share of what remains, and
     * never nothing while something remains.
     */

    if (l->reset_at > now) {
        cost = (100 + share - 1) / share;
        l->remaining = l->remaining > cost ? l->remaining - cost : 0;
    }
}


/* bytes of any kind: entries of the size that the limit asks for, all past */

static void
klaviyo_limiter_repair(klaviyo_limiter_lane_t *lane, uint64_t limit,
    int64_t now)
{
    int       i;
    uint64_t  grain;

    for (i = 0; i < KLAVIYO_LIMITER_LOG; i++) {
        if (lane->sent[i] > now) {
            lane->sent[i] = now;

        } else if (lane->sent[i] < 0) {
            lane->sent[i] = 0;
        }
    }

    if (lane->turn < 0) {
        lane->turn = 0;
    }

    /* an incomplete entry at either end of the window */

    grain = limit <= KLAVIYO_LIMITER_LOG
            ? 1 : limit / (KLAVIYO_LIMITER_LOG - 2) + 1;

    if (lane->grain != grain) {
        klaviyo_limiter_regrain(lane, grain);
    }
}


/* `share` has changed: the requests of the log again, oldest first */

static void
klaviyo_limiter_regrain(klaviyo_limiter_lane_t *lane, uint64_t grain)
{
    uint64_t                i, entries;
    klaviyo_limiter_lane_t  was;

    was = *lane;

    memset(lane->sent, 0, sizeof(lane->sent));
    lane->grain = grain;
    lane->n = 0;

    /* as many as any limit counts; bytes that no limiter wrote: none */

    if (was.grain == 0
        || was.grain > klaviyo_limiter_limits[KLAVIYO_LIMITER_SINGLE])
    {
        return;
    }

    entries = was.n / was.grain + (was.n % was.grain != 0);
    i = 0;

    if (entries > KLAVIYO_LIMITER_LOG) {
        i = (entries - KLAVIYO_LIMITER_LOG) * was.grain;
    }

    for ( /* void */ ; i < was.n; i++) {
        klaviyo_limiter_count(lane,
                              was.sent[i / was.grain % KLAVIYO_LIMITER_LOG]);
    }
}


static void
klaviyo_limiter_count(klaviyo_limiter_lane_t *lane, int64_t now)
{
    lane->sent[lane->n / lane->grain % KLAVIYO_LIMITER_LOG] = now;
    lane->n++;
}


/* until the request that leaves room for this one is a span ago; 0: it is */

static int64_t
klaviyo_limiter_window(const klaviyo_limiter_lane_t *lane, uint64_t limit,
    int64_t now)
{
    int64_t   wait;
    uint64_t  i;

    if (lane->n < limit) {
        return 0;
    }

    i = lane->n - limit;
    wait = lane->sent[i / lane->grain % KLAVIYO_LIMITER_LOG]
           + KLAVIYO_LIMITER_SPAN - now;

    return wait > 0 ? wait : 0;
}


static int64_t
klaviyo_limiter_last(const klaviyo_limiter_lane_t *lane)
{
    if (lane->n == 0 || lane->grain == 0) {
        return -1;
    }

    return lane->sent[(lane->n - 1) / lane->grain % KLAVIYO_LIMITER_LOG];
}

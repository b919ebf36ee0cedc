/*
 * The limiter's arithmetic.  Room: delivery, plain C; it knows no clock and
 * no ring, both are the caller's.
 *
 *     number of slice   ... s-11 | s-10 | ... | s-1 | s
 *                           |<- a window ->|
 *
 * Twelve slices are counted and eleven of them are as long as the window:
 * the newest one is incomplete, the oldest leaves when number s + 1 begins.
 */


#include <string.h>

#include "klaviyo_limiter.h"


#define KLAVIYO_LIMITER_BURST      1000          /* ms                      */
#define KLAVIYO_LIMITER_STEADY     60000         /* ms                      */
#define KLAVIYO_LIMITER_RESET_MAX  3600          /* s                       */

#define klaviyo_limiter_slice(window)                                        \
    (((window) + KLAVIYO_LIMITER_SLICES - 2) / (KLAVIYO_LIMITER_SLICES - 1))


typedef struct {
    uint32_t  burst;
    uint32_t  steady;
} klaviyo_limiter_limit_t;


/* more than 1 only to measure without limits, see bench/ */

#ifndef KLAVIYO_LIMITER_TIMES
#define KLAVIYO_LIMITER_TIMES  1
#endif


/* "Rate limits" of Klaviyo's create_event and bulk_create_events */

static const klaviyo_limiter_limit_t  klaviyo_limiter_limits[] = {
    { 350 * KLAVIYO_LIMITER_TIMES, 3500 * KLAVIYO_LIMITER_TIMES },
    { 10 * KLAVIYO_LIMITER_TIMES, 150 * KLAVIYO_LIMITER_TIMES }
};


static uint32_t klaviyo_limiter_share(uint32_t limit, unsigned share);
static uint64_t klaviyo_limiter_sum(const klaviyo_limiter_window_t *window);
static void klaviyo_limiter_advance(klaviyo_limiter_window_t *window,
    int64_t length, int64_t now);
static int64_t klaviyo_limiter_wait(const klaviyo_limiter_window_t *window,
    int64_t length, uint32_t limit, int64_t now);
static void klaviyo_limiter_count(klaviyo_limiter_window_t *window);


int64_t
klaviyo_limiter_take(klaviyo_limiter_t *limiter, klaviyo_limiter_class_e lane,
    unsigned share, int64_t now)
{
    int64_t                         wait, other, cost, burst, steady;
    klaviyo_limiter_lane_t         *l;
    const klaviyo_limiter_limit_t  *limit;

    l = &limiter->lane[lane];
    limit = &klaviyo_limiter_limits[lane];

    share = share < 1 ? 1 : share > 100 ? 100 : share;
    now = now < 0 ? 0 : now;

    burst = klaviyo_limiter_slice(KLAVIYO_LIMITER_BURST);
    steady = klaviyo_limiter_slice(KLAVIYO_LIMITER_STEADY);

    klaviyo_limiter_advance(&l->burst, burst, now);
    klaviyo_limiter_advance(&l->steady, steady, now);

    wait = klaviyo_limiter_wait(&l->burst, burst,
                                klaviyo_limiter_share(limit->burst, share),
                                now);

    other = klaviyo_limiter_wait(&l->steady, steady,
                                 klaviyo_limiter_share(limit->steady, share),
                                 now);

    if (wait < other) {
        wait = other;
    }

    if (l->reset_at > now) {

        /* the clock went back: not longer than correct() would have set */

        if (l->reset_at - now > KLAVIYO_LIMITER_RESET_MAX * 1000) {
            l->reset_at = now + KLAVIYO_LIMITER_RESET_MAX * 1000;
        }

        if (l->remaining <= 0 && wait < l->reset_at - now) {
            wait = l->reset_at - now;
        }
    }

    if (wait > 0) {
        return wait;
    }

    klaviyo_limiter_count(&l->burst);
    klaviyo_limiter_count(&l->steady);

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

    return 0;
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

    /* nobody said for how long: no window lasts longer than the steady one */

    if (reset < 0) {
        reset = KLAVIYO_LIMITER_STEADY / 1000;
    }

    if (reset > KLAVIYO_LIMITER_RESET_MAX) {
        reset = KLAVIYO_LIMITER_RESET_MAX;
    }

    l = &limiter->lane[lane];

    l->remaining = remaining;
    l->reset_at = (now < 0 ? 0 : now) + reset * 1000;
}


static uint32_t
klaviyo_limiter_share(uint32_t limit, unsigned share)
{
    limit = limit * share / 100;

    return limit ? limit : 1;
}


static uint64_t
klaviyo_limiter_sum(const klaviyo_limiter_window_t *window)
{
    unsigned  i;
    uint64_t  sum;

    sum = 0;

    for (i = 0; i < KLAVIYO_LIMITER_SLICES; i++) {
        sum += window->sent[i];
    }

    return sum;
}


static void
klaviyo_limiter_advance(klaviyo_limiter_window_t *window, int64_t length,
    int64_t now)
{
    int64_t   current;
    uint64_t  sum;

    current = now / length;

    /*
     * A clock that went back a little is waited for: renumbering slices at
     * every jitter would age them.  One that went back by more than a window
     * began anew, and everything counts as sent just now.
     */

    if (window->slice < 0
        || window->slice > current + KLAVIYO_LIMITER_SLICES)
    {
        sum = klaviyo_limiter_sum(window);

        memset(window, 0, sizeof(klaviyo_limiter_window_t));

        window->slice = current;
        window->sent[current % KLAVIYO_LIMITER_SLICES] =
                                    sum < UINT32_MAX ? (uint32_t) sum
                                                     : UINT32_MAX;
        return;
    }

    if (window->slice < current - KLAVIYO_LIMITER_SLICES) {
        window->slice = current - KLAVIYO_LIMITER_SLICES;
    }

    while (window->slice < current) {
        window->slice++;
        window->sent[window->slice % KLAVIYO_LIMITER_SLICES] = 0;
    }
}


/* until enough of the oldest slices have left the window; 0: room now */

static int64_t
klaviyo_limiter_wait(const klaviyo_limiter_window_t *window, int64_t length,
    uint32_t limit, int64_t now)
{
    int64_t   k;
    uint64_t  sum;

    sum = klaviyo_limiter_sum(window);

    if (sum < limit) {
        return 0;
    }

    for (k = 1; k < KLAVIYO_LIMITER_SLICES; k++) {
        sum -= window->sent[(window->slice + k) % KLAVIYO_LIMITER_SLICES];

        if (sum < limit) {
            break;
        }
    }

    return (window->slice + k) * length - now;
}


static void
klaviyo_limiter_count(klaviyo_limiter_window_t *window)
{
    window->sent[window->slice % KLAVIYO_LIMITER_SLICES]++;
}

/*
 * Turns by a shared clock.  Room: delivery, plain C.
 */


#include "klaviyo_limiter.h"
#include "klaviyo_slot.h"


#define KLAVIYO_SLOT_LATE  500000    /* us: half of KLAVIYO_LIMITER_JITTER  */


int64_t
klaviyo_slot_wait(unsigned limit, unsigned hosts, unsigned rank, int64_t now,
    int64_t *used, int take)
{
    int64_t  gap, cycle, number, start, open, us;

    limit = limit < 1 ? 1 : limit;
    hosts = hosts < 1 ? 1 : hosts;
    rank %= hosts;
    now = now < 0 ? 0 : now;

    gap = KLAVIYO_LIMITER_SPAN * 1000 / (int64_t) limit;
    gap = gap < 1000 ? 1000 : gap;
    cycle = gap * hosts;

    us = now * 1000;
    number = us / cycle;
    start = number * cycle + rank * gap;
    open = gap < KLAVIYO_SLOT_LATE ? gap : KLAVIYO_SLOT_LATE;

    if (us >= start + open || number == *used) {
        number++;
        start += cycle;
    }

    if (us < start) {
        return (start - us + 999) / 1000;
    }

    if (take) {
        *used = number;
    }

    return 0;
}

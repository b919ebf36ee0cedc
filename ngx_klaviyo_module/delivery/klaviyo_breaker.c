/*
 * The breaker.  Room: delivery, plain C; it touches nothing but its struct.
 */


#include "klaviyo_breaker.h"


static int klaviyo_breaker_count(klaviyo_breaker_t *breaker, uint32_t ended,
    uint32_t refused, int64_t now);
static void klaviyo_breaker_reset(klaviyo_breaker_t *breaker, int64_t now);
static int64_t klaviyo_breaker_pause(klaviyo_breaker_t *breaker, int64_t max);


klaviyo_breaker_state_e
klaviyo_breaker_state(klaviyo_breaker_t *breaker, int64_t now)
{
    if (breaker->state == KLAVIYO_BREAKER_OPEN && now >= breaker->until) {
        breaker->state = KLAVIYO_BREAKER_HALF_OPEN;
        klaviyo_breaker_reset(breaker, now);
    }

    return breaker->state;
}


int
klaviyo_breaker_allow(klaviyo_breaker_t *breaker, uint32_t ended,
    uint32_t refused, int64_t max, int64_t now)
{
    klaviyo_breaker_state_e  state;

    state = klaviyo_breaker_state(breaker, now);

    /* what was under way when it opened changes nothing */

    if (state == KLAVIYO_BREAKER_OPEN) {
        return refused == 0;
    }

    if (state == KLAVIYO_BREAKER_HALF_OPEN && refused == 0 && ended > 0) {
        breaker->state = KLAVIYO_BREAKER_CLOSED;
        breaker->opened = 0;
        klaviyo_breaker_reset(breaker, now);
    }

    if (klaviyo_breaker_count(breaker, ended, refused, now)) {
        return 1;
    }

    breaker->state = KLAVIYO_BREAKER_OPEN;
    breaker->until = now + klaviyo_breaker_pause(breaker, max);
    breaker->opened++;

    return 0;
}


/* 1: these are allowed beside those of this minute, and counted now */

static int
klaviyo_breaker_count(klaviyo_breaker_t *breaker, uint32_t ended,
    uint32_t refused, int64_t now)
{
    uint64_t  all, bad;

    if (now - breaker->since >= KLAVIYO_BREAKER_MINUTE) {
        klaviyo_breaker_reset(breaker, now);
    }

    all = (uint64_t) breaker->ended + ended;
    bad = (uint64_t) breaker->refused + refused;

    if (refused > 0
        && (bad > KLAVIYO_BREAKER_REFUSED
            || (bad > KLAVIYO_BREAKER_ALWAYS
                && bad * 100 > all * KLAVIYO_BREAKER_SHARE)))
    {
        return 0;
    }

    breaker->ended = (all < UINT32_MAX) ? (uint32_t) all : UINT32_MAX;
    breaker->refused = (uint32_t) bad;

    return 1;
}


static void
klaviyo_breaker_reset(klaviyo_breaker_t *breaker, int64_t now)
{
    breaker->since = now;
    breaker->ended = 0;
    breaker->refused = 0;
}


/* a minute, doubled for each time in a row before */

static int64_t
klaviyo_breaker_pause(klaviyo_breaker_t *breaker, int64_t max)
{
    int64_t   ms;
    uint32_t  i;

    ms = KLAVIYO_BREAKER_MINUTE;

    for (i = 0; i < breaker->opened && ms < max; i++) {
        ms = (ms > max / 2) ? max : ms * 2;
    }

    return (ms < max) ? ms : max;
}

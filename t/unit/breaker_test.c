/*
 * The breaker: what opens it, for how long, and what closes it.
 */


#include <stdlib.h>

#include "tap.h"

#include "delivery/klaviyo_breaker.h"


#define MINUTE  KLAVIYO_BREAKER_MINUTE
#define MAX     (5 * MINUTE)
#define START   1000000


static klaviyo_breaker_t  breaker;


static int
test_allow(uint32_t ended, uint32_t refused, int64_t now)
{
    return klaviyo_breaker_allow(&breaker, ended, refused, MAX, now);
}


static void
test_closed(void)
{
    int  i, sum;

    memset(&breaker, 0, sizeof(breaker));
    is_int(klaviyo_breaker_state(&breaker, START), KLAVIYO_BREAKER_CLOSED,
           "all zero is closed");

    is_int(test_allow(3, 1, START), 1, "one of three");

    for (sum = 0, i = 0; i < 9; i++) {
        sum += test_allow(1, 1, START + i);
    }

    is_int(sum, 9, "ten, and nearly nothing else");
    is_int(test_allow(1, 1, START + 20), 0, "not eleven");
    is_int(klaviyo_breaker_state(&breaker, START + 20),
           KLAVIYO_BREAKER_OPEN, "open");

    memset(&breaker, 0, sizeof(breaker));
    is_int(test_allow(220, 11, START), 1, "eleven are 5 per cent of 220");
    is_int(test_allow(20, 1, START), 1, "twelve of 240");
    is_int(test_allow(19, 1, START), 0, "not thirteen of 259");

    memset(&breaker, 0, sizeof(breaker));
    is_int(test_allow(10000, 0, START), 1, "thousands accepted");
    is_int(test_allow(100, 100, START + 5), 1, "a hundred refused");
    is_int(test_allow(1, 1, START + 6), 0, "not one more");

    memset(&breaker, 0, sizeof(breaker));
    test_allow(10000, 0, START);
    test_allow(100, 100, START);
    is_int(test_allow(5000, 0, START + 1), 1,
           "who refuses nothing is never refused");
    is_int(test_allow(10, 10, START + MINUTE - 1), 0,
           "the minute is not over");

    memset(&breaker, 0, sizeof(breaker));
    test_allow(10000, 0, START);
    test_allow(100, 100, START);
    is_int(test_allow(10, 10, START + MINUTE), 1, "another minute");
    is_int(test_allow(1, 1, START + MINUTE + 1), 0,
           "which what was accepted before does not help");

    memset(&breaker, 0, sizeof(breaker));
    is_int(test_allow(1000, 101, START), 0, "too many at once");
    is_int(breaker.refused, 0, "are not counted");

    memset(&breaker, 0, sizeof(breaker));
    test_allow(UINT32_MAX, 0, START);
    test_allow(UINT32_MAX, 0, START);
    is_int(test_allow(100, 100, START), 1, "the sum does not wrap");
    is_int(test_allow(UINT32_MAX, UINT32_MAX, START), 0, "nor this one");
}


/* half open, some are refused and some are not: then it begins anew */

static void
test_anew(void)
{
    int  i, sum;

    memset(&breaker, 0, sizeof(breaker));
    is_int(test_allow(1000, 101, START), 0, "it opens");

    for (sum = 0, i = 0; i < 10; i++) {
        sum += test_allow(1, 1, START + MINUTE);
    }

    is_int(sum, 10, "half open, ten are refused");
    is_int(klaviyo_breaker_state(&breaker, START + MINUTE),
           KLAVIYO_BREAKER_HALF_OPEN, "and it is that still");
    is_int(test_allow(1, 0, START + MINUTE), 1, "one is not");
    is_int(klaviyo_breaker_state(&breaker, START + MINUTE),
           KLAVIYO_BREAKER_CLOSED, "closed");

    for (sum = 0, i = 0; i < 10; i++) {
        sum += test_allow(1, 1, START + MINUTE);
    }

    is_int(sum, 10, "and ten more, as of a new minute");
}


static void
test_open(void)
{
    int64_t  now;

    memset(&breaker, 0, sizeof(breaker));
    now = START;

    test_allow(50, 50, now);
    is_int(breaker.until, now + MINUTE, "open for a minute");

    is_int(test_allow(1, 1, now + 10), 0, "open: nothing is refused");
    is_int(test_allow(20, 0, now + 10), 1, "accepting is no matter");
    ok(breaker.until == now + MINUTE && breaker.opened == 1
       && breaker.state == KLAVIYO_BREAKER_OPEN,
       "answers that were under way change nothing");

    is_int(klaviyo_breaker_state(&breaker, now + MINUTE - 1),
           KLAVIYO_BREAKER_OPEN, "up to its end");
    now += MINUTE;
    is_int(klaviyo_breaker_state(&breaker, now), KLAVIYO_BREAKER_HALF_OPEN,
           "then half open");

    is_int(test_allow(10, 10, now), 1, "half open: ten more are allowed");
    is_int(klaviyo_breaker_state(&breaker, now), KLAVIYO_BREAKER_HALF_OPEN,
           "and do not close it");
    is_int(test_allow(1, 1, now), 0, "an eleventh is not");
    is_int(breaker.until, now + 2 * MINUTE, "open, twice as long");

    now += 2 * MINUTE;
    is_int(test_allow(0, 0, now), 1, "half open, an answer about nothing");
    is_int(klaviyo_breaker_state(&breaker, now), KLAVIYO_BREAKER_HALF_OPEN,
           "does not close it");
    test_allow(50, 50, now);
    is_int(breaker.until, now + 4 * MINUTE, "open, twice as long again");

    now += 4 * MINUTE;
    test_allow(50, 50, now);
    is_int(breaker.until, now + MAX, "at most so long");

    now += MAX;
    is_int(test_allow(1000, 40, now), 1,
           "half open: within 5 per cent it goes on");
    is_int(test_allow(960, 0, now), 1, "accepted whole");
    is_int(klaviyo_breaker_state(&breaker, now), KLAVIYO_BREAKER_CLOSED,
           "closes it");

    test_allow(2000, 0, now + MINUTE);
    test_allow(200, 200, now + MINUTE);
    is_int(breaker.until, now + 2 * MINUTE, "and the row begins anew");
}


/* many times in a row, and limits of the pause that are none */

static void
test_row(void)
{
    int      i, wrong;
    int64_t  now;

    static const int64_t  max[] = { INT64_MAX / 4, MINUTE, 1000, 1, 0 };

    for (i = 0; i < (int) (sizeof(max) / sizeof(max[0])); i++) {
        memset(&breaker, 0, sizeof(breaker));
        breaker.opened = UINT32_MAX - 1;
        now = START;

        wrong = klaviyo_breaker_allow(&breaker, 50, 50, max[i], now);
        wrong += (breaker.until != now + max[i]);

        is_int(wrong, 0, "a row without end, at most %lld ms",
               (long long) max[i]);
    }
}


int
main(void)
{
    test_closed();
    test_anew();
    test_open();
    test_row();

    return done_testing();
}

/*
 * The limiter against a checker that remembers every request: no interval of
 * a window's length may hold more of them than the window allows.
 */


#include <limits.h>
#include <stdlib.h>

#include "tap.h"

#include "delivery/klaviyo_limiter.h"


#define TEST_MAX  4000           /* requests that the checker remembers     */


typedef struct {
    int64_t    time[TEST_MAX];
    uint64_t   n;
    unsigned   burst;
    unsigned   steady;
    unsigned   broken;
} test_check_t;


typedef struct {
    unsigned   burst;
    unsigned   steady;
} test_limit_t;


static const test_limit_t  limits[] = { { 350, 3500 }, { 10, 150 } };

static uint64_t            seed = 88172645463325252ULL;


static uint64_t
test_random(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % n;
}


static int64_t
test_take(klaviyo_limiter_t *limiter, klaviyo_limiter_class_e lane,
    unsigned share, int64_t now)
{
    return klaviyo_limiter_take(limiter, lane, klaviyo_limiter_limit(lane),
                                share, now);
}


static void
test_check_init(test_check_t *check, int lane, unsigned share)
{
    memset(check, 0, sizeof(test_check_t));

    check->burst = limits[lane].burst * share / 100;
    check->steady = limits[lane].steady * share / 100;

    check->burst += (check->burst == 0);
    check->steady += (check->steady == 0);
}


static void
test_check_window(test_check_t *check, unsigned limit, int64_t window)
{
    int64_t  then;

    if (check->n <= limit) {
        return;
    }

    then = check->time[(check->n - 1 - limit) % TEST_MAX];

    if (check->time[(check->n - 1) % TEST_MAX] - then <= window) {
        check->broken++;
    }
}


static void
test_check_sent(test_check_t *check, int64_t real)
{
    check->time[check->n++ % TEST_MAX] = real;

    test_check_window(check, check->burst, 1000);
    test_check_window(check, check->steady, 60000);
}


/* where the state lives between calls: bytes in the ring */

static void
test_copy(klaviyo_limiter_t *limiter)
{
    uint8_t  bytes[sizeof(klaviyo_limiter_t)];

    memcpy(bytes, limiter, sizeof(bytes));
    memset(limiter, 0xa5, sizeof(klaviyo_limiter_t));
    memcpy(limiter, bytes, sizeof(bytes));
}


/* time passes as the sender of this kind lets it; ms */

static int64_t
test_step(int kind, int64_t wait)
{
    switch (kind) {

    case 0:                      /* greedy, to the millisecond              */
        return wait;

    case 1:                      /* asks again and again                    */
        return (int64_t) test_random(40);

    case 2:                      /* bursts with pauses                      */
        return test_random(200) ? 0 : (int64_t) test_random(20000);

    default:                     /* anything, with long rests               */
        return test_random(500) ? (int64_t) test_random(40)
                                : (int64_t) test_random(1000000);
    }
}


static void
test_windows(int kind, unsigned share, int back)
{
    int                lane;
    int64_t            real, clock, wait;
    unsigned           i;
    test_check_t       check[KLAVIYO_LIMITER_N];
    klaviyo_limiter_t  limiter;

    memset(&limiter, 0, sizeof(limiter));

    test_check_init(&check[0], 0, share);
    test_check_init(&check[1], 1, share);

    real = 0;
    clock = (int64_t) test_random(10000000);

    for (i = 0; i < 60000; i++) {
        lane = kind ? (int) test_random(2) : (int) (i & 1);

        wait = test_take(&limiter, lane, share, clock);

        if (wait == 0) {
            test_check_sent(&check[lane], real);
        }

        if (test_random(100) == 0) {
            test_copy(&limiter);
        }

        wait = test_step(kind, wait);

        real += wait;
        clock += wait;

        if (back && test_random(200) == 0) {
            clock -= (int64_t) test_random(test_random(50) ? 7 : 200000);
            clock = clock < 0 ? 0 : clock;
        }
    }

    ok(!check[0].broken && !check[1].broken
       && check[0].n > check[0].steady && check[1].n > check[1].steady,
       "sender %d, share %u%%%s: %u single, %u bulk, no window broken", kind,
       share, back ? ", the clock goes back" : "", (unsigned) check[0].n,
       (unsigned) check[1].n);
}


static void
test_throughput(int lane, unsigned share)
{
    int64_t            now, start, wait;
    unsigned           wrong;
    test_check_t       check;
    klaviyo_limiter_t  limiter, copy;

    memset(&limiter, 0, sizeof(limiter));
    test_check_init(&check, lane, share);

    wrong = 0;
    start = 123456789;

    for (now = start; now < start + 600000; now += wait) {

        wait = test_take(&limiter, lane, share, now);

        if (wait == 0) {
            test_check_sent(&check, now);
            continue;
        }

        /* not a moment too early, and then indeed */

        copy = limiter;

        if (test_take(&copy, lane, share, now + wait - 1) != 1) {
            wrong++;
        }

        copy = limiter;

        if (test_take(&copy, lane, share, now + wait) != 0) {
            wrong++;
        }
    }

    is_int(wrong, 0, "lane %d, share %u%%: the wait is exact", lane, share);
    is_int(check.broken, 0, "lane %d, share %u%%: no window broken", lane,
           share);
    ok(check.n >= check.steady * 10 * 147 / 150 * 99 / 100,
       "lane %d, share %u%%: %u in 10 minutes, %u are allowed", lane, share,
       (unsigned) check.n, check.steady * 10);
}


static void
test_correct(void)
{
    int                n;
    int64_t            now, wait;
    klaviyo_limiter_t  limiter;

    now = 5000000;

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 0, 7, now);

    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           7000, "nothing remains: until the reset");
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now + 6999),
           1, "not before it");
    is_int(test_take(&limiter, KLAVIYO_LIMITER_SINGLE, 100, now),
           0, "the other lane goes on");
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now + 7000),
           0, "the reset has passed");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 3, 30, now);

    for (n = 0; n < 10; n++) {
        wait = test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now);
        if (wait) {
            break;
        }
    }

    is_int(n, 3, "what remains counts down");
    is_int(wait, 30000, "and then the reset is waited for");

    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, -1, 30, now);
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           30000, "no header, no change");

    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 5, 30, now);
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now + 1000),
           0, "the latest word holds");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_SINGLE, 100, 30, now);

    for (n = 0; n < 200; n++) {
        if (test_take(&limiter, KLAVIYO_LIMITER_SINGLE, 25, now + n * 100))
        {
            break;
        }
    }

    is_int(n, 25, "a share of 25%% is a quarter of what remains");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_SINGLE, 1, 30, now);

    is_int(test_take(&limiter, KLAVIYO_LIMITER_SINGLE, 1, now), 0,
           "never nothing while something remains");
    is_int(test_take(&limiter, KLAVIYO_LIMITER_SINGLE, 1, now),
           30000, "but then nothing");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 0, 60, now);
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           60000, "a reset of a minute is believed");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 0, 61, now);
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           60000, "one of more than that is not");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 0, 1798675200,
                            now);
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           60000, "nor a time of day");
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, 0),
           60000, "a minute as well when the clock went back");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 0, -1, now);
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           60000, "no reset said: the steady window");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, INT64_MAX, 60,
                            now);

    for (n = 0; n < 100; n++) {
        if (test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now)) {
            break;
        }
    }

    is_int(n, 3, "an absurd rest lifts no limit");
}


static void
test_back(void)
{
    int                i;
    int64_t            wait;
    klaviyo_limiter_t  limiter;

    memset(&limiter, 0, sizeof(limiter));

    for (i = 0; i < 200; i++) {
        (void) test_take(&limiter, KLAVIYO_LIMITER_BULK, 1,
                                    90000000);
    }

    wait = test_take(&limiter, KLAVIYO_LIMITER_BULK, 1, 5000);
    ok(wait >= 60000 && wait < 66000,
       "the clock began anew: a window is waited for, %" PRId64 " ms", wait);

    wait = test_take(&limiter, KLAVIYO_LIMITER_BULK, 1,
                                5000 + wait);
    is_int(wait, 0, "and no more");
}


/* the memory of a minute, whatever `share` becomes meanwhile */

static void
test_share(void)
{
    int                i;
    int64_t            now, wait;
    unsigned           n, wrong, share;
    test_check_t       check;
    klaviyo_limiter_t  limiter;

    memset(&limiter, 0, sizeof(limiter));
    test_check_init(&check, KLAVIYO_LIMITER_SINGLE, 100);

    now = 400000;
    wrong = 0;

    for (i = 0; i < 200; i++) {
        share = (i & 1) ? 100 : 1 + (unsigned) test_random(100);

        for (n = 0; n < 500; n++) {
            wait = test_take(&limiter, KLAVIYO_LIMITER_SINGLE,
                                        share, now);
            if (wait == 0) {
                test_check_sent(&check, now);
            }

            wrong += (wait < 0 || wait > 61000);

            now += (int64_t) test_random(20);
        }
    }

    ok(!wrong && !check.broken && check.n > 20000,
       "share changes: %u single, no window broken", (unsigned) check.n);
}


static void
test_merge(void)
{
    int                i;
    int64_t            now;
    klaviyo_limiter_t  old, new;

    memset(&old, 0, sizeof(old));
    memset(&new, 0, sizeof(new));

    now = 70000;

    for (i = 0; i < 150; i++) {
        while (test_take(&old, KLAVIYO_LIMITER_BULK, 100, now)) {
            now++;
        }
    }

    klaviyo_limiter_merge(&new, &old);

    ok(test_take(&new, KLAVIYO_LIMITER_BULK, 100, now) > 0,
       "a new memory takes the windows over");
    is_int(test_take(&new, KLAVIYO_LIMITER_SINGLE, 100, now), 0,
           "each its own");

    memset(&new, 0, sizeof(new));
    klaviyo_limiter_merge(&old, &new);

    ok(test_take(&old, KLAVIYO_LIMITER_BULK, 100, now) > 0,
       "and none is forgotten for one that is empty");
}


/*
 * A Klaviyo whose windows of 1 s and 60 s slide over what arrives, and that
 * answers with RateLimit-Remaining and -Reset; a way of 200 to 600 ms there
 * and as long back; a sender that wakes up late by up to 30 ms.
 */

typedef struct {
    int64_t   at;                /* arrives                                 */
    int64_t   back;              /* and its answer                          */
    int64_t   remaining;         /* -1: has not arrived yet                 */
    int64_t   reset;
    int       answered;
} test_way_t;


static unsigned
test_klaviyo_within(const int64_t *taken, unsigned n, int64_t now,
    int64_t window, int64_t *oldest)
{
    unsigned  i, count;

    count = 0;

    for (i = 0; i < n; i++) {
        if (taken[i] > now - window) {
            if (count++ == 0) {
                *oldest = taken[i];
            }
        }
    }

    return count;
}


static void
test_klaviyo(int late)
{
    int64_t             now, ready, wait, oldest, first, minute;
    unsigned            i, n, sent, throttled, most;
    klaviyo_limiter_t   limiter;

    static int64_t      taken[300];
    static test_way_t   way[300];

    memset(&limiter, 0, sizeof(limiter));

    sent = 0;
    n = 0;
    throttled = 0;
    oldest = 0;
    first = 0;
    minute = 0;
    ready = 0;

    for (now = 900000; n < 300; now++) {

        for (i = 0; i < sent; i++) {

            if (way[i].at == now) {
                most = test_klaviyo_within(taken, n, now, 1000, &oldest);
                throttled += (most >= 10);
                most = test_klaviyo_within(taken, n, now, 60000, &oldest);
                throttled += (most >= 150);

                taken[n++] = now;
                first = (n == 1) ? now : first;
                minute += (now - first < 60000);

                most = test_klaviyo_within(taken, n, now, 60000, &oldest);
                way[i].remaining = most < 150 ? 150 - most : 0;
                way[i].reset = (oldest + 60000 - now + 999) / 1000;
            }

            if (way[i].back == now && !way[i].answered) {
                way[i].answered = 1;
                klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK,
                                        way[i].remaining, way[i].reset, now);
            }
        }

        if (sent == 300 || now < ready) {
            continue;
        }

        wait = test_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now);

        if (wait == 0) {
            way[sent].at = now + 200 + (int64_t) test_random(400);
            way[sent].back = way[sent].at + 200 + (int64_t) test_random(400);
            way[sent].answered = 0;
            sent++;
        }

        ready = now + wait + (int64_t) test_random(late);
    }

    is_int(throttled, 0, "late by %d ms: 300 requests, none throttled", late);
    ok(minute >= 147 && (now - first) * 147 <= 300 * 60000,
       "%u in the first minute, all in %u ms", (unsigned) minute,
       (unsigned) (now - first));
}


/* bytes that no limiter wrote: no crash, and no wait for ever */

static void
test_garbage(void)
{
    int                i;
    int64_t            wait, longest;
    size_t             j;
    uint8_t           *p;
    klaviyo_limiter_t  limiter;

    longest = 0;
    p = (uint8_t *) &limiter;

    for (i = 0; i < 20000; i++) {

        for (j = 0; j < sizeof(limiter); j++) {
            p[j] = (uint8_t) test_random(256);
        }

        wait = test_take(&limiter, i & 1, (unsigned) i,
                                    (int64_t) test_random(1000000));

        longest = wait > longest ? wait : longest;
    }

    ok(longest > 0 && longest <= 61000, "garbage: %" PRId64 " ms at most",
       longest);

    memset(&limiter, 0, sizeof(limiter));
    is_int(test_take(&limiter, KLAVIYO_LIMITER_BULK, 0, -5), 0,
           "a share and a time out of range");
}


/* a share that is none is the next one that is */

static void
test_share_limits(void)
{
    int64_t            now, gap;
    unsigned           i, wrong;
    klaviyo_limiter_t  one, two;

    static const unsigned  share[][2] = {
        { 0, 1 }, { 101, 100 }, { 1000, 100 }, { UINT_MAX, 100 }
    };

    for (i = 0; i < sizeof(share) / sizeof(share[0]); i++) {
        memset(&one, 0, sizeof(one));
        memset(&two, 0, sizeof(two));
        wrong = 0;

        for (now = 1000000; now < 1200000; now += 7) {
            wrong += test_take(&one, 0, share[i][0], now)
                     != test_take(&two, 0, share[i][1], now);
        }

        is_int(wrong, 0, "a share of %u is %u", share[i][0], share[i][1]);
    }

    /* times that no clock tells */

    memset(&one, 0, sizeof(one));
    klaviyo_limiter_correct(&one, KLAVIYO_LIMITER_BULK, 3, 2, -5);
    is_int(one.lane[KLAVIYO_LIMITER_BULK].reset_at, 2000,
           "a time below 0 is 0");

    memset(&one, 0, sizeof(one));
    one.lane[KLAVIYO_LIMITER_BULK].turn = INT64_MIN;
    is_int(test_take(&one, KLAVIYO_LIMITER_BULK, 100, 1000000), 0,
           "a turn that was long ago");

    /* with so few that none is ahead, the next is a whole gap from now */

    memset(&one, 0, sizeof(one));
    gap = KLAVIYO_LIMITER_SPAN * 1000;
    is_int(test_take(&one, KLAVIYO_LIMITER_BULK, 1, 7000), 0, "the only one");
    is_int(one.lane[KLAVIYO_LIMITER_BULK].turn, 7000000 + gap,
           "the next is a span from now, to the microsecond");
}


/* a log that went around, and then another grain */

static void
test_regrain(void)
{
    int64_t            now;
    unsigned           n;
    klaviyo_limiter_t  limiter;

    memset(&limiter, 0, sizeof(limiter));
    now = 1000000;

    for (n = 0; n < 20000; now++) {
        n += test_take(&limiter, KLAVIYO_LIMITER_SINGLE, 100, now) == 0;
    }

    ok(test_take(&limiter, KLAVIYO_LIMITER_SINGLE, 50, now) > 1000,
       "half the share: those of the minute are not forgotten");
}


/* by somebody else's leave: counted just as one that was taken */

static void
test_went(void)
{
    int64_t            now;
    unsigned           i, wrong;
    klaviyo_limiter_t  taken, went;

    memset(&taken, 0, sizeof(taken));
    memset(&went, 0, sizeof(went));

    now = 1000000;
    wrong = 0;

    for (i = 0; i < 2000; i++) {
        now += (int64_t) test_random(300);

        if (test_take(&taken, i % 2, 50, now) == 0) {
            klaviyo_limiter_went(&went, i % 2, klaviyo_limiter_limit(i % 2),
                                 50, now);
            wrong += memcmp(&taken, &went, sizeof(taken)) != 0;
        }
    }

    is_int(wrong, 0, "what went is counted as what was taken");

    memset(&went, 0, sizeof(went));
    klaviyo_limiter_went(&went, 0, klaviyo_limiter_limit(0), 100, -5);
    memset(&taken, 0, sizeof(taken));
    klaviyo_limiter_went(&taken, 0, klaviyo_limiter_limit(0), 100, 0);
    ok(memcmp(&taken, &went, sizeof(taken)) == 0, "a time below 0 is 0");
}


int
main(void)
{
    int                    kind, lane;
    size_t                 i;
    static const unsigned  share[] = { 100, 50, 1 };

    for (i = 0; i < sizeof(share) / sizeof(share[0]); i++) {

        for (kind = 0; kind < 4; kind++) {
            test_windows(kind, share[i], 0);
            test_windows(kind, share[i], 1);
        }

        for (lane = 0; lane < 2; lane++) {
            test_throughput(lane, share[i]);
        }
    }

    test_correct();
    test_back();
    test_share();
    test_share_limits();
    test_regrain();
    test_merge();

    for (i = 0; i < 20; i++) {
        test_klaviyo(1 + (int) i * 20);
    }

    test_garbage();
    test_went();

    return done_testing();
}

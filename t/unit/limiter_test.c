/*
 * The limiter against a checker that remembers every request: no interval of
 * a window's length may hold more of them than the window allows.
 */


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

        wait = klaviyo_limiter_take(&limiter, lane, share, clock);

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

        wait = klaviyo_limiter_take(&limiter, lane, share, now);

        if (wait == 0) {
            test_check_sent(&check, now);
            continue;
        }

        /* not a moment too early, and then indeed */

        copy = limiter;

        if (klaviyo_limiter_take(&copy, lane, share, now + wait - 1) != 1) {
            wrong++;
        }

        copy = limiter;

        if (klaviyo_limiter_take(&copy, lane, share, now + wait) != 0) {
            wrong++;
        }
    }

    is_int(wrong, 0, "lane %d, share %u%%: the wait is exact", lane, share);
    is_int(check.broken, 0, "lane %d, share %u%%: no window broken", lane,
           share);
    ok(check.n >= check.steady * 10 * 85 / 100,
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

    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           7000, "nothing remains: until the reset");
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100,
                                now + 6999),
           1, "not before it");
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_SINGLE, 100, now),
           0, "the other lane goes on");
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100,
                                now + 7000),
           0, "the reset has passed");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 3, 30, now);

    for (n = 0; n < 10; n++) {
        wait = klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now);
        if (wait) {
            break;
        }
    }

    is_int(n, 3, "what remains counts down");
    is_int(wait, 30000, "and then the reset is waited for");

    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, -1, 30, now);
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           30000, "no header, no change");

    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 5, 30, now);
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           0, "the latest word holds");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_SINGLE, 100, 30, now);

    for (n = 0; n < 200; n++) {
        if (klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_SINGLE, 25, now)) {
            break;
        }
    }

    is_int(n, 25, "a share of 25%% is a quarter of what remains");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_SINGLE, 1, 30, now);

    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_SINGLE, 1, now), 0,
           "never nothing while something remains");
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_SINGLE, 1, now),
           30000, "but then nothing");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 0, INT64_MAX,
                            now);
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           3600000, "an absurd reset is an hour");
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100, 0),
           3600000, "an hour as well when the clock went back");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, 0, -1, now);
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now),
           60000, "no reset said: the steady window");

    memset(&limiter, 0, sizeof(limiter));
    klaviyo_limiter_correct(&limiter, KLAVIYO_LIMITER_BULK, INT64_MAX, 60,
                            now);

    for (n = 0; n < 100; n++) {
        if (klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 100, now)) {
            break;
        }
    }

    is_int(n, 10, "an absurd rest lifts no limit");
}


static void
test_back(void)
{
    int                i;
    int64_t            wait;
    klaviyo_limiter_t  limiter;

    memset(&limiter, 0, sizeof(limiter));

    for (i = 0; i < 200; i++) {
        (void) klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 1,
                                    90000000);
    }

    wait = klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 1, 5000);
    ok(wait >= 60000 && wait < 66000,
       "the clock began anew: a window is waited for, %" PRId64 " ms", wait);

    wait = klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 1,
                                5000 + wait);
    is_int(wait, 0, "and no more");
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

        wait = klaviyo_limiter_take(&limiter, i & 1, (unsigned) i,
                                    (int64_t) test_random(1000000));

        longest = wait > longest ? wait : longest;
    }

    ok(longest > 0 && longest <= 3600000, "garbage: %" PRId64 " ms at most",
       longest);

    memset(&limiter, 0, sizeof(limiter));
    is_int(klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK, 0, -5), 0,
           "a share and a time out of range");
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
    test_garbage();

    return done_testing();
}

/*
 * How an account fares: which states are so, the last answers, the last
 * minute; and the two pages of the ring that keep it.
 */


#define _GNU_SOURCE
#include "ring.h"
#include "queue/klaviyo_crc32c.h"
#include "queue/klaviyo_health.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_health.h"
#include "queue/klaviyo_ring_lock.h"
#include "queue/klaviyo_ring_private.h"


#define NOW  1000000


static klaviyo_health_t   health;
static klaviyo_figures_t  figures;


/* an account that delivers */

static void
well(void)
{
    memset(&health, 0, sizeof(health));
    memset(&figures, 0, sizeof(figures));

    figures.attached = 1;
    figures.deliverer = 1;
    figures.captured = 1;
}


/* the worst state, and all that are so, as bits */

static void
states_are(klaviyo_state_e worst, unsigned bits, const char *what)
{
    unsigned         i, got;
    uint64_t         states[KLAVIYO_STATE_N];
    klaviyo_state_e  state;

    memset(states, 0x55, sizeof(states));

    state = klaviyo_health_states(&health, &figures, NOW, states);
    got = 0;

    for (i = 0; i < KLAVIYO_STATE_N; i++) {
        got |= states[i] == 1 ? 1U << i : states[i] ? 1U << 31 : 0;
    }

    is_str(klaviyo_state_names[state].name, klaviyo_state_names[worst].name,
           "%s", what);
    is_int(got, bits, "nothing else is so");
}


#define state_is(state, what)                                                \
    states_are(state, 1U << (state), what)


static void
test_states(void)
{
    unsigned  cause;

    well();
    state_is(KLAVIYO_STATE_DELIVERING, "all is well");

    figures.deliverer = 0;
    state_is(KLAVIYO_STATE_NO_DELIVERER, "no deliverer");

    figures.attached = 0;
    state_is(KLAVIYO_STATE_QUEUE_GONE, "no ring: nothing else is known");

    well();
    health.since = NOW;
    health.cause = KLAVIYO_STATE_QUEUE_GONE;
    state_is(KLAVIYO_STATE_QUEUE_GONE, "the worst cause");

    for (cause = KLAVIYO_STATE_KEY_REFUSED; cause <= KLAVIYO_STATE_THROTTLED;
         cause++)
    {
        well();
        health.cause = cause;
        state_is(KLAVIYO_STATE_DELIVERING, "a cause of long ago");
        health.since = NOW;
        state_is(cause, "a failure and its cause");
    }

    health.cause = KLAVIYO_STATE_BREAKER_OPEN;
    state_is(KLAVIYO_STATE_DELIVERING, "what can be no cause");

    well();
    figures.paused_until = 1;
    state_is(KLAVIYO_STATE_THROTTLED, "paused");

    well();
    health.breaker = 1;
    state_is(KLAVIYO_STATE_BREAKER_OPEN, "the breaker is open");

    well();
    health.full = NOW - KLAVIYO_HEALTH_MINUTE;
    state_is(KLAVIYO_STATE_DELIVERING, "full a minute ago");
    health.full++;
    state_is(KLAVIYO_STATE_QUEUE_FULL, "full within this minute");

    well();
    figures.captured = 0;
    figures.counter[KLAVIYO_COUNT_SKIPPED_ANONYMOUS] = KLAVIYO_HEALTH_FEW - 1;
    state_is(KLAVIYO_STATE_NOTHING_CAPTURED, "few anonymous ones");
    figures.counter[KLAVIYO_COUNT_SKIPPED_ANONYMOUS]++;
    state_is(KLAVIYO_STATE_ANONYMOUS_ONLY, "many anonymous ones");
    figures.captured = 1;
    state_is(KLAVIYO_STATE_DELIVERING, "and one that is known");

    well();
    figures.deliverer = 0;
    figures.captured = 0;
    health.full = NOW;
    states_are(KLAVIYO_STATE_QUEUE_FULL,
               1U << KLAVIYO_STATE_QUEUE_FULL
               | 1U << KLAVIYO_STATE_NO_DELIVERER
               | 1U << KLAVIYO_STATE_NOTHING_CAPTURED, "the worst is told");
}


static void
answer(int64_t time, unsigned status, const char *title, const char *detail)
{
    klaviyo_health_answer_t  a[2];

    memset(a, 0, sizeof(a));
    a[1].status = 0x55;              /* what is behind it does not count */
    a[0].time = time;
    a[0].status = status;
    a[0].times = 7;
    strcpy(a[0].title, title);
    strcpy(a[0].detail, detail);

    klaviyo_health_answer(&health, &a[0]);
}


static void
last_is(unsigned n, int64_t time, unsigned times, const char *title)
{
    klaviyo_health_answer_t  a;

    is_int(klaviyo_health_last(&health, n, &a), 1, "answer %u", n);
    is_int(a.time, time, "its time");
    is_int(a.times, times, "times in a row");
    is_str(a.title, title, "its title");
}


static void
test_answers(void)
{
    int                      i;
    char                     title[8];
    klaviyo_health_answer_t  a;

    well();
    is_int(klaviyo_health_last(&health, 0, &a), 0, "no answer yet");

    answer(1, 400, "a", "b");
    last_is(0, 1, 1, "a");
    is_int(klaviyo_health_last(&health, 1, &a), 0, "one answer");

    answer(2, 400, "a", "b");
    answer(3, 400, "a", "b");
    last_is(0, 3, 3, "a");
    is_int(klaviyo_health_last(&health, 1, &a), 0, "the same is one");

    answer(4, 401, "a", "b");
    last_is(0, 4, 1, "a");
    answer(5, 401, "c", "b");
    last_is(0, 5, 1, "c");
    answer(6, 401, "c", "d");
    last_is(0, 6, 1, "c");
    is_int(health.answers, 4, "each that differs is one more");

    /* around */

    for (i = 0; i < KLAVIYO_HEALTH_ANSWERS + 1; i++) {
        (void) snprintf(title, sizeof(title), "t%d", i);
        answer(10 + i, 500, title, "");
    }

    last_is(0, 20, 1, "t10");
    last_is(KLAVIYO_HEALTH_ANSWERS - 1, 11, 1, "t1");
    is_int(klaviyo_health_last(&health, KLAVIYO_HEALTH_ANSWERS, &a), 0,
           "no more are kept");
    answer(30, 500, "t10", "");
    last_is(0, 30, 2, "t10");
    last_is(1, 19, 1, "t9");

    /* of a damaged file */

    memset(health.answer, 'x', sizeof(health.answer));
    klaviyo_health_last(&health, 0, &a);
    is_int(strlen(a.title), sizeof(a.title) - 1, "a title ends");
    is_int(strlen(a.detail), sizeof(a.detail) - 1, "a detail ends");
    is_int(strlen(a.pointer), sizeof(a.pointer) - 1, "a pointer ends");
}


static void
sample(int64_t now, uint64_t captured)
{
    figures.captured = captured;
    klaviyo_health_sample(&health, &figures, now);
}


static void
minute_is(int64_t now, uint64_t captured, uint64_t delivered,
    const char *what)
{
    uint64_t  c, d;

    c = 77;
    d = 77;

    klaviyo_health_minute(&health, &figures, now, &c, &d);

    ok(c == captured && d == delivered, "%s: %" PRIu64 " captured, %" PRIu64
       " delivered", what, c, d);
}


static void
test_samples(void)
{
    int  i;

    well();
    sample(NOW, 1);
    is_int(health.samples, 1, "a sample");
    sample(NOW + KLAVIYO_HEALTH_SAMPLE - 1, 2);
    is_int(health.samples, 1, "not so soon another");
    sample(NOW + KLAVIYO_HEALTH_SAMPLE, 3);
    is_int(health.samples, 2, "then one");
    sample(NOW + KLAVIYO_HEALTH_SAMPLE, 3);
    is_int(health.samples, 2, "once");
    sample(NOW - 1, 4);
    is_int(health.samples, 3, "and when the clock is set back");
    is_int(health.sample[2].time, NOW - 1, "its time");
    is_int(health.sample[2].captured, 4, "captured");

    well();
    figures.outcome[KLAVIYO_OUTCOME_DELIVERED] = 1;
    figures.outcome[KLAVIYO_OUTCOME_DRY_RUN] = 20;
    figures.outcome[KLAVIYO_OUTCOME_HANDED_OVER] = 300;

    for (i = 0; i < KLAVIYO_HEALTH_SAMPLES + 1; i++) {
        sample(NOW + i * KLAVIYO_HEALTH_SAMPLE, 100 + i);
    }

    is_int(health.sample[0].captured, 100 + KLAVIYO_HEALTH_SAMPLES,
           "around");
    is_int(health.sample[1].captured, 101, "the oldest that is kept");
    is_int(health.sample[0].delivered, 321, "all that is done well");

    sample(NOW + i * KLAVIYO_HEALTH_SAMPLE - 1, 0);
    is_int(health.samples, KLAVIYO_HEALTH_SAMPLES + 1, "not so soon");
}


static void
test_minute(void)
{
    well();
    minute_is(NOW, 0, 0, "without a sample");

    /* nothing but what was put is a sample */

    sample(500, 5);
    figures.captured = 12;
    figures.outcome[KLAVIYO_OUTCOME_DELIVERED] = 1;
    figures.outcome[KLAVIYO_OUTCOME_DRY_RUN] = 20;
    figures.outcome[KLAVIYO_OUTCOME_HANDED_OVER] = 300;
    minute_is(1000, 7, 321, "since the one");
    minute_is(500, 7, 321, "of this moment");
    minute_is(499, 0, 0, "of a moment to come");
    minute_is(500 + KLAVIYO_HEALTH_MINUTE + KLAVIYO_HEALTH_SAMPLE, 7, 321,
              "as old as may be");
    minute_is(501 + KLAVIYO_HEALTH_MINUTE + KLAVIYO_HEALTH_SAMPLE, 0, 0,
              "too old");

    sample(6000, 15);
    minute_is(7000, 10, 321, "from the oldest on");
    sample(400, 14);
    figures.captured = 15;
    minute_is(7000, 1, 0, "whichever was put last");

    figures.captured = 13;
    figures.outcome[KLAVIYO_OUTCOME_DELIVERED] = 0;
    minute_is(7000, 0, 0, "figures that began anew");

    /* more samples than are kept */

    health.samples = KLAVIYO_HEALTH_SAMPLES + 5;
    health.answer[0].time = -1;
    health.answer[0].status = 5;
    minute_is(7000, 13, 320, "all that are kept");
}


static klaviyo_ring_t   *ring;
static klaviyo_lease_t   lease;


static void
put_is(int64_t success, klaviyo_ring_rc_e rc, const char *what)
{
    well();
    health.success = success;

    is_int(klaviyo_ring_health_put(ring, lease.epoch, &health), rc, "%s",
           what);
}


static void
success_is(int64_t success, const char *what)
{
    memset(&health, 0x55, sizeof(health));
    klaviyo_ring_health(ring, &health);

    is_int(health.success, success, "%s", what);
}


static void
seal(klaviyo_ring_health_t *page)
{
    page->crc = klaviyo_crc32c(0, page, offsetof(klaviyo_ring_health_t, crc));
}


static void
test_pages(void)
{
    int                     status;
    pid_t                   pid;
    klaviyo_ring_health_t  *page;

    ring = ring_open(RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    success_is(0, "nothing is known");

    /* a page whose checksum is right, but never was put */

    page = ring->health[0];
    page->health.success = 1;
    seal(page);
    success_is(0, "a page without a number is none");

    put_is(11, KLAVIYO_RING_OK, "the first");
    success_is(11, "is known");
    put_is(12, KLAVIYO_RING_OK, "the second");
    success_is(12, "is newer");
    put_is(13, KLAVIYO_RING_OK, "the third");
    success_is(13, "is newer still");
    is_int(ring->health[0]->generation, 2, "in turn");
    is_int(ring->health[1]->generation, 3, "in turn");
    is_int(ring->health[1]->reserved, 0, "nothing but what it says");

    lease.epoch++;
    put_is(14, KLAVIYO_RING_STALE, "another deliverer's");
    success_is(13, "is not put");
    lease.epoch--;
    put_is(14, KLAVIYO_RING_OK, "nor is the lock kept");

    page = ring->health[0];
    page->health.success ^= 1;
    success_is(13, "a damaged page: the one before it");
    seal(page);
    success_is(15, "a whole one");
    page->generation = 5;
    seal(page);
    success_is(13, "one that is in the other's place");
    memset(page, 0, sizeof(*page));
    memset(ring->health[1], 0, sizeof(*page));
    success_is(0, "both lost");
    put_is(16, KLAVIYO_RING_OK, "it begins anew");
    is_int(ring->health[1]->generation, 1, "with the first");
    success_is(16, "and is known");

    klaviyo_ring_lock(ring);
    pid = fork();

    if (pid == 0) {
        _exit(klaviyo_ring_health_put(ring, lease.epoch, &health)
              != KLAVIYO_RING_BUSY);
    }

    waitpid(pid, &status, 0);
    is_int(status, 0, "while another has the lock: busy");
    klaviyo_ring_unlock(ring);

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


static void
test_oldest(void)
{
    klaviyo_cursor_t  to;

    ring = ring_open(RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    is_int(klaviyo_ring_oldest(ring), 0, "nothing waits");
    ring_fill(ring, 0, 10, 300);
    is_int(klaviyo_ring_oldest(ring), 1000000, "the first");

    to = ring_cursor(ring, 4);
    klaviyo_ring_release(ring, lease.epoch, &to);
    is_int(klaviyo_ring_oldest(ring), 1000004, "the first that is left");

    ring->record[to.position] ^= 0x40;
    is_int(klaviyo_ring_oldest(ring), 1000005, "the first that is whole");

    memset(ring->record, 0, ring->capacity);
    is_int(klaviyo_ring_oldest(ring), 0, "none is whole");

    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(ring, ring_error);
    is_int(klaviyo_ring_oldest(ring), 0, "no event");
    put_is(17, KLAVIYO_RING_DETACHED, "nothing is put");
    success_is(0, "nothing is known");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


int
main(void)
{
    test_states();
    test_answers();
    test_samples();
    test_minute();
    ring_in_folder(test_pages);
    ring_in_folder(test_oldest);

    return done_testing();
}

/*
 * What is counted besides single figures: distributions, and events by their
 * metric.
 */


#define _GNU_SOURCE
#include "ring.h"
#include "queue/klaviyo_crc32c.h"
#include "queue/klaviyo_ring_lock.h"
#include "queue/klaviyo_ring_private.h"
#include "queue/klaviyo_ring_totals.h"


#define BEFORE  "\"metric\":{\"data\":{\"type\":\"metric\",\"attributes\":"   \
                "{\"name\":\""
#define AFTER   "\"}}}"
#define SLICE   KLAVIYO_METRIC_SLICE


static klaviyo_ring_t    *ring;
static klaviyo_metric_t   metrics[KLAVIYO_METRICS + 1];
static unsigned           front;     /* nothing is before the attributes    */


static void
captured(const char *attributes, size_t metric, int64_t time)
{
    klaviyo_event_t  event;

    memset(&event, 0, sizeof(event));
    event.attributes = front ? tap_guarded_front(attributes,
                                                 strlen(attributes))
                             : tap_guarded(attributes, strlen(attributes));
    event.attributes_len = strlen(attributes);
    event.metric = metric;
    event.time = time;

    klaviyo_ring_captured(ring, &event);
}


/* as capture makes them, with the place of the metric or without */

static void
event_at(const char *name, int64_t time)
{
    size_t       len;
    char         text[4096];
    static int   place;

    len = (size_t) sprintf(text, "\"properties\":{\"a\":1},");
    (void) sprintf(text + len, BEFORE "%s" AFTER ",\"unique_id\":\"x\"", name);

    captured(text, ++place % 2 ? len : 0, time);
}


static void
event(const char *name)
{
    event_at(name, SLICE);
}


static const klaviyo_metric_t *
found(const char *name)
{
    unsigned                 i, n;
    static klaviyo_metric_t  none;

    memset(metrics, 'x', sizeof(metrics));
    n = klaviyo_ring_metrics(ring, SLICE, metrics);

    for (i = 0; i < n; i++) {
        if (strcmp(metrics[i].name, name) == 0) {
            return &metrics[i];
        }
    }

    return &none;
}


#define captured_is(name, n)                                                 \
    is_int(found(name)->captured, n, "\"%s\": %d", name, (int) (n))


static void
lines_are(unsigned n)
{
    is_int(klaviyo_ring_metrics(ring, SLICE, metrics), n, "%u lines", n);
}


static void
test_histogram(void)
{
    unsigned             i;
    klaviyo_histogram_t  h;

    memset(&h, 0x55, sizeof(h));
    klaviyo_ring_histogram(ring, KLAVIYO_HISTOGRAM_REQUEST, &h);

    for (i = 0; i <= KLAVIYO_BOUNDS_MAX; i++) {
        h.sum += h.count[i];
    }

    is_int(h.sum, 0, "nothing so far");

    klaviyo_ring_observe(ring, KLAVIYO_HISTOGRAM_REQUEST, 0);
    klaviyo_ring_observe(ring, KLAVIYO_HISTOGRAM_REQUEST, 25);
    klaviyo_ring_observe(ring, KLAVIYO_HISTOGRAM_REQUEST, 26);
    klaviyo_ring_observe(ring, KLAVIYO_HISTOGRAM_REQUEST, 30000);
    klaviyo_ring_observe(ring, KLAVIYO_HISTOGRAM_REQUEST, 30001);
    klaviyo_ring_observe(ring, KLAVIYO_HISTOGRAM_REQUEST, 90000);

    klaviyo_ring_histogram(ring, KLAVIYO_HISTOGRAM_REQUEST, &h);
    is_int(h.count[0], 2, "a bound is of its own");
    is_int(h.count[1], 1, "what is above it of the next");
    is_int(h.count[9], 1, "the last bound");
    is_int(h.count[10], 2, "above all bounds");
    is_int(h.sum, 150052, "the sum");

    klaviyo_ring_histogram(ring, KLAVIYO_HISTOGRAM_DELAY, &h);
    is_int(h.sum, 0, "the others have their own");
}


static void
test_names(void)
{
    size_t  i;
    char    name[300];

    event("Viewed Product");
    event("Viewed Product");
    event("Viewed");
    event("Viewed Product");
    captured_is("Viewed Product", 3);
    captured_is("Viewed", 1);

    for (front = 1; front < 5; front++) {
        event("Viewed");
    }

    front = 0;
    captured_is("Viewed", 5);

    ok(ring->totals->metric[1].hash
       == ((uint64_t) klaviyo_crc32c(0, "Viewed", 6) << 8 | 6),
       "a line is known by its name's checksum and length");

    event("a\\\"b\\\\");
    captured_is("a\"b\\", 1);

    /* JSON that begins alike */

    captured("{}" BEFORE "a\\\\" AFTER, 2, SLICE);
    captured("{}" BEFORE "a\\\"" AFTER, 2, SLICE);
    captured_is("a\\", 1);
    captured_is("a\"", 1);

    /* where it is, not what looks the same before it */

    captured("\"properties\":{\"x\":\"\\" BEFORE "no\"}," BEFORE "yes" AFTER, 0,
             SLICE);
    captured_is("yes", 1);

    captured("{" BEFORE "far" AFTER ",\"unique_id\":\"mmmmmmmmmmmmmmmmmmmm"
             "mmmm\"m\"m\"m\"m\"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm", 0,
             SLICE);
    captured_is("far", 1);

    captured(BEFORE "first", 0, SLICE);
    captured_is("first", 1);

    /* a place that is wrong, or too far */

    captured("{}" BEFORE "near", 10, SLICE);
    captured_is("near", 1);
    captured("{}" BEFORE "behind", 100000, SLICE);
    captured_is("behind", 1);

    lines_are(10);

    captured(BEFORE, 0, SLICE);
    captured(BEFORE, 1, SLICE);
    captured("\"metric\":{}", 0, SLICE);
    captured("", 0, SLICE);
    captured("{\"properties\":{\"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
             "\":1}}", 0, SLICE);
    lines_are(10);

    /* cut at a character */

    memset(name, 'a', sizeof(name));
    name[KLAVIYO_METRIC_NAME] = '\0';
    event(name);
    captured_is(name, 1);

    strcpy(name + KLAVIYO_METRIC_NAME, "b");
    event(name);
    name[KLAVIYO_METRIC_NAME] = '\0';
    captured_is(name, 2);

    strcpy(name + KLAVIYO_METRIC_NAME - 1, "\xc3\xa9");
    event(name);
    name[KLAVIYO_METRIC_NAME - 1] = '\0';
    captured_is(name, 1);

    memset(name, '\x80', KLAVIYO_METRIC_NAME + 1);
    name[KLAVIYO_METRIC_NAME + 1] = '\0';
    event(name);
    lines_are(12);

    /* at the end of what is there */

    captured(BEFORE "end\\", 0, SLICE);
    captured_is("end\\", 1);
    captured(BEFORE "end", 0, SLICE);
    captured_is("end", 1);

    /* the last one's again, but shorter or longer or not at all */

    event("abc");
    captured("{}" BEFORE "ab", 2, SLICE);
    captured("{}" BEFORE "abc", 2, SLICE);
    captured("{}" BEFORE "abcd", 2, SLICE);
    captured("{}" BEFORE "abc\"", 2, SLICE);
    captured_is("ab", 1);
    captured_is("abc", 3);
    captured_is("abcd", 1);

    /* less than would be before a name */

    for (i = 0; i < sizeof(BEFORE); i++) {
        captured(BEFORE + i, 1, SLICE);
    }

    captured_is("abc", 3);
}


static void
test_others(void)
{
    unsigned  i;
    char      name[16];

    for (i = 0; i < KLAVIYO_METRICS + 3; i++) {
        (void) snprintf(name, sizeof(name), "m%u", i);
        event(name);
        event(name);
    }

    lines_are(KLAVIYO_METRICS + 1);
    captured_is("m0", 2);
    captured_is("m31", 2);
    is_str(metrics[KLAVIYO_METRICS].name, KLAVIYO_METRIC_OTHERS,
           "the others are last");
    is_int(metrics[KLAVIYO_METRICS].captured, 6, "and have one line");

    event("m0");
    captured_is("m0", 3);
}


/* what is lost takes no line, and a visitor names none like the others' */

static void
test_no_line(void)
{
    klaviyo_event_t  e;

    memset(&e, 0, sizeof(e));
    e.attributes = (const uint8_t *) BEFORE "a" AFTER;
    e.attributes_len = sizeof(BEFORE "a" AFTER) - 1;
    e.time = SLICE;

    klaviyo_ring_lost_busy(ring, &e);
    captured_is("a", 0);
    captured_is(KLAVIYO_METRIC_OTHERS, 1);

    event("a");
    klaviyo_ring_lost_busy(ring, &e);
    captured_is("a", 2);

    event(KLAVIYO_METRIC_OTHERS);
    event("(otherS)");
    event("(others");
    lines_are(4);
    captured_is("(otherS)", 1);
    captured_is("(others", 1);
    captured_is(KLAVIYO_METRIC_OTHERS, 2);
}


static void
hour_is(int64_t now, uint64_t n, const char *what)
{
    klaviyo_ring_metrics(ring, now, metrics);
    is_int(metrics[0].hour, n, "%s", what);
}


static void
test_hour(void)
{
    int64_t  now;

    now = 100 * SLICE;

    event_at("a", now);
    event_at("a", now + SLICE - 1);
    event_at("a", now + SLICE);

    hour_is(now - 1, 0, "not yet");
    hour_is(now, 2, "a slice");
    hour_is(now + SLICE, 3, "two");
    hour_is(now + 12 * SLICE - 1, 3, "for an hour");
    hour_is(now + 12 * SLICE, 1, "then it is gone");
    hour_is(now + 13 * SLICE, 0, "and the next");

    event_at("a", now + 12 * SLICE);
    hour_is(now + 12 * SLICE, 2, "a slice begins anew");
    is_int(metrics[0].captured, 4, "what was captured is as it was");
}


/*
 * A line that another process has the lock for goes to the others'.  What the
 * child finds is its status: its tests are not among those of the plan.
 */

static void
test_busy(void)
{
    int    status;
    pid_t  pid;

    klaviyo_ring_lock(ring);
    pid = fork();

    if (pid == 0) {

        if (freopen("/dev/null", "w", stdout) == NULL) {
            _exit(1);
        }

        event("a");
        captured_is(KLAVIYO_METRIC_OTHERS, 1);
        lines_are(1);
        _exit(tap_failed);
    }

    waitpid(pid, &status, 0);
    is_int(status, 0, "busy");
    klaviyo_ring_unlock(ring);

    event("a");
    captured_is("a", 1);
    lines_are(2);
}


static void
test_damaged(void)
{
    klaviyo_ring_metric_t  *line;

    event("a");
    event("b");

    line = ring->totals->metric;
    line[0].hash |= 0xff;
    memset(line[0].name, 'z', sizeof(line[0].name));
    lines_are(2);
    is_str(metrics[0].name, "", "a length that cannot be: no name");
    is_int(metrics[0].captured, 1, "its figure stands");

    event("b");
    captured_is("b", 2);

    /* the others' line never has a name of its own */

    line[KLAVIYO_METRICS].hash = 1;
    line[KLAVIYO_METRICS].captured = 1;
    line[KLAVIYO_METRICS].name[0] = 'z';
    captured_is("z", 0);
    lines_are(3);

    line[1].captured = 0;
    lines_are(2);
}


static void
test_gone(void)
{
    klaviyo_histogram_t  h;

    event("a");
    klaviyo_ring_observe(ring, KLAVIYO_HISTOGRAM_BATCH, 1);

    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(ring, ring_error);

    event("a");
    klaviyo_ring_observe(ring, KLAVIYO_HISTOGRAM_BATCH, 1);
    lines_are(0);
    klaviyo_ring_histogram(ring, KLAVIYO_HISTOGRAM_BATCH, &h);
    is_int(h.count[0], 0, "nothing is known any more");
}


static void
test_add(void)
{
    unsigned             i;
    char                 name[KLAVIYO_METRIC_NAME + 1];
    klaviyo_ring_t      *old, *two;
    klaviyo_histogram_t  h;

    memset(name, 'n', sizeof(name));
    name[KLAVIYO_METRIC_NAME] = '\0';

    old = ring;
    event("b");
    event(name);
    event("both");
    event("damaged");
    event("long");

    for (i = 0; i < KLAVIYO_METRICS; i++) {
        (void) snprintf(name, 8, "m%u", i);
        event(name);
    }

    memset(name, 'n', sizeof(name));
    name[KLAVIYO_METRIC_NAME] = '\0';

    old->totals->metric[3].hash &= ~(uint64_t) 0xff;
    old->totals->metric[4].hash |= 0xff;

    klaviyo_ring_observe(old, KLAVIYO_HISTOGRAM_BATCH, 1);
    klaviyo_ring_observe(old, KLAVIYO_HISTOGRAM_DELAY, 90000000);
    old->totals->histogram[0].count[KLAVIYO_BOUNDS_MAX] = 9;

    strcat(ring_path, ".two");
    two = ring_open(RING_SIZE, 0);
    ring = two;
    event("both");
    klaviyo_ring_observe(two, KLAVIYO_HISTOGRAM_BATCH, 1);

    klaviyo_ring_totals_add(two, old);

    captured_is("b", 1);
    captured_is(name, 1);
    captured_is("both", 2);
    captured_is("m0", 1);
    captured_is(KLAVIYO_METRIC_OTHERS, 2 + 5);
    is_int(metrics[0].hour, 1, "the hour's are not taken over");

    klaviyo_ring_histogram(two, KLAVIYO_HISTOGRAM_BATCH, &h);
    is_int(h.count[0], 2, "distributions are added");
    is_int(h.sum, 2, "and their sums");
    is_int(two->totals->histogram[0].count[KLAVIYO_BOUNDS_MAX], 9,
           "all of them");
    klaviyo_ring_histogram(two, KLAVIYO_HISTOGRAM_DELAY, &h);
    is_int(h.count[12], 1, "the last one, too");

    /* twice is once */

    klaviyo_ring_totals_add(two, old);
    captured_is("both", 2);
    klaviyo_ring_histogram(two, KLAVIYO_HISTOGRAM_BATCH, &h);
    is_int(h.count[0], 2, "not added again");
    is_int(h.sum, 2, "nor the sum");

    klaviyo_ring_detach(two);
    ring = old;
}


static void
with_ring(void (*test)(void))
{
    ring_folder();
    ring = ring_open(RING_SIZE, 0);
    test();
    klaviyo_ring_detach(ring);
    ring_cleanup();
}


int
main(void)
{
    with_ring(test_histogram);
    with_ring(test_names);
    with_ring(test_others);
    with_ring(test_no_line);
    with_ring(test_hour);
    with_ring(test_busy);
    with_ring(test_damaged);
    with_ring(test_gone);
    with_ring(test_add);

    return done_testing();
}

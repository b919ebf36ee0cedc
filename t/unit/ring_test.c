/*
 * The ring as its users see it: what goes in comes out, around the end, when
 * it is full, when it is taken away; and paths that it refuses.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ring.h"
#include "queue/klaviyo_ring_dir.h"
#include "queue/klaviyo_ring_hand.h"
#include "queue/klaviyo_ring_open.h"
#include "queue/klaviyo_ring_private.h"


static void
test_append_and_read(void)
{
    uint8_t            buf[16384];
    ring_event_t       e;
    ring_taken_t       taken;
    klaviyo_ring_t    *ring;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;
    struct stat        st;

    ring = ring_open(RING_SIZE, 0);
    ok(ring != NULL, "a new ring");

    ok(stat(ring_path, &st) == 0 && (st.st_mode & 07777) == 0600,
       "its mode is 0600");

    klaviyo_ring_first(ring, &cursor);
    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_EMPTY, "empty");
    is_int(klaviyo_ring_ahead(ring, &cursor), 0, "nothing ahead");

    ring_event(&e, 1, 7, 600);
    is_int(klaviyo_ring_append(ring, &e.event), KLAVIYO_RING_OK, "append");
    is_int(klaviyo_ring_ahead(ring, &cursor),
           klaviyo_record_align(40 + 600 + e.event.profile_len + 4),
           "bytes ahead");

    is_int(klaviyo_ring_read(ring, &cursor, buf, 100, &record),
           KLAVIYO_RING_SMALL, "a buffer too small");
    is_int(record.needed,
           klaviyo_record_align(40 + 600 + e.event.profile_len + 4),
           "says what it needs");

    is_int(klaviyo_ring_read(ring, &cursor, buf, record.needed, &record),
           KLAVIYO_RING_OK, "read");
    is_mem(record.event.unique_id, record.event.unique_id_len, "w1-7", 4,
           "the unique id");
    is_mem(record.event.profile, record.event.profile_len,
           (char *) e.profile, e.event.profile_len, "the profile");
    is_mem(record.event.attributes, record.event.attributes_len,
           (char *) e.attributes, 600, "the attributes");
    is_int(record.event.time, e.event.time, "the time");
    is_int(record.missing, 0, "nothing missing");

    is_int(klaviyo_ring_read(ring, &record.next, buf, sizeof(buf), &record),
           KLAVIYO_RING_EMPTY, "and no more");

    is_int(ring_queued(ring), 1, "one queued");
    ring_take(ring, 0, 1, &taken);
    is_int(ring_queued(ring), 0, "none queued after the ack");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_DELIVERED), 1, "one delivered");
    ring_equation(ring, "after one event");

    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_DELIVERED), 1,
           "the figures survive a detach");
    ring_equation(ring, "after attaching again");
    klaviyo_ring_detach(ring);
}


/* what a process has mapped */

static unsigned
mappings(void)
{
    int       c;
    FILE     *list;
    unsigned  n;

    n = 0;
    list = fopen("/proc/self/maps", "r");

    while (list && (c = getc(list)) != EOF) {
        n += c == '\n';
    }

    if (list) {
        (void) fclose(list);
    }

    return n;
}


static void
test_mappings(void)
{
    unsigned  i, before;

    klaviyo_ring_detach(ring_open(RING_SIZE, 0));
    before = mappings();

    for (i = 0; i < 40; i++) {
        klaviyo_ring_detach(ring_open(RING_SIZE, 0));
    }

    ok(mappings() < before + 20, "nothing stays mapped");
}


static void
test_limits(void)
{
    size_t            max;
    uint8_t          *bytes;
    klaviyo_ring_t   *ring;
    klaviyo_event_t   event;

    ring = ring_open(RING_SIZE, 0);
    max = klaviyo_ring_event_max(ring);
    ok(max > 60000 && max < RING_SIZE / 4, "event_max is %zu", max);

    bytes = calloc(1, max + 1);

    memset(&event, 0, sizeof(event));
    event.profile = bytes;
    event.attributes = bytes;
    event.unique_id = bytes;
    event.unique_id_len = 1;
    event.profile_len = 10;
    event.attributes_len = max - 10;

    is_int(klaviyo_ring_append(ring, &event), KLAVIYO_RING_TOO_LARGE,
           "one byte too many");
    event.attributes_len = max;
    is_int(klaviyo_ring_append(ring, &event), KLAVIYO_RING_TOO_LARGE,
           "as many as there is room for, beside a profile");
    event.profile_len = SIZE_MAX - 5;
    is_int(klaviyo_ring_append(ring, &event), KLAVIYO_RING_TOO_LARGE,
           "lengths that overflow");
    event.profile_len = 10;
    event.attributes_len = SIZE_MAX - 5;
    is_int(klaviyo_ring_append(ring, &event), KLAVIYO_RING_TOO_LARGE,
           "the other length, too");
    event.attributes_len = max - 11;
    is_int(klaviyo_ring_append(ring, &event), KLAVIYO_RING_OK,
           "the largest event");

    event.unique_id_len = 0;
    event.attributes_len = max - 10;
    is_int(klaviyo_ring_append(ring, &event), KLAVIYO_RING_ERROR,
           "no unique id");
    event.unique_id_len = 256;
    event.attributes_len = max - 10 - 256;
    is_int(klaviyo_ring_append(ring, &event), KLAVIYO_RING_ERROR,
           "a unique id of 256 bytes");

    free(bytes);

    ring_equation(ring, "after refused events");
    klaviyo_ring_detach(ring);
}


static void
test_wrap(void)
{
    int               lap;
    unsigned          n, wrong, appended, total;
    ring_taken_t      taken;
    klaviyo_ring_t   *ring;

    ring = ring_open(RING_SIZE, 0);

    n = 0;
    wrong = 0;
    total = 0;

    for (lap = 0; lap < 400; lap++) {

        for (appended = 0; appended < 17; appended++) {
            if (ring_append(ring, 1, n, 1 + n * 37 % 5000) != KLAVIYO_RING_OK)
            {
                wrong++;
            }

            n++;
        }

        ring_take(ring, 0, 1, &taken);

        if (taken.events != 17 || taken.wrong || taken.missing
            || taken.last != n - 1)
        {
            wrong++;
        }

        total += taken.events;
    }

    is_int(wrong, 0, "%u events of all sizes around the ring", n);
    is_int(total, n, "each came out once");
    ring_equation(ring, "around the ring");
    klaviyo_ring_detach(ring);
}


static void
test_full(void)
{
    unsigned            n, fitted;
    ring_taken_t        taken;
    klaviyo_ring_t     *ring;
    klaviyo_figures_t   f;

    ring = ring_open(RING_SIZE, 0);

    fitted = 0;

    for (n = 0; n < 1000; n++) {
        if (ring_append(ring, 1, n, 500) == KLAVIYO_RING_OK) {
            fitted++;
        }
    }

    klaviyo_ring_figures(ring, &f);
    ok(fitted > 300 && fitted < 1000, "%u of 1000 fit", fitted);
    is_int(f.counter[KLAVIYO_COUNT_LOST_QUEUE_FULL], 1000 - fitted,
           "drop_newest counts the others");
    is_int(f.captured, 1000, "all were captured");
    is_int(f.queued, fitted, "those that fit are queued");
    ok(f.used <= f.size, "used %" PRIu64 " of %" PRIu64, f.used, f.size);
    ring_equation(ring, "in a full ring");

    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, fitted, "the oldest come out");
    is_int(taken.first, 0, "from the first");
    is_int(taken.wrong, 0, "whole");
    is_int(ring_append(ring, 1, 1, 500), KLAVIYO_RING_OK, "room again");
    ring_equation(ring, "with room again");
    klaviyo_ring_detach(ring);
}


static void
test_drop_oldest(void)
{
    unsigned            n, wrong;
    ring_taken_t        taken;
    klaviyo_ring_t     *ring;
    klaviyo_figures_t   f;

    ring = ring_open(RING_SIZE, 1);

    wrong = 0;

    for (n = 0; n < 5000; n++) {
        if (ring_append(ring, 1, n, 100 + n * 13 % 900) != KLAVIYO_RING_OK) {
            wrong++;
        }
    }

    is_int(wrong, 0, "drop_oldest takes every event");
    ring_equation(ring, "after drop_oldest");

    klaviyo_ring_figures(ring, &f);
    is_int(f.outcome[KLAVIYO_OUTCOME_LOST_FULL] + f.queued, 5000,
           "dropped and queued are all");

    ring_take(ring, 0, 1, &taken);
    is_int(taken.last, 4999, "the newest is there");
    is_int(taken.first, 5000 - taken.events, "in an unbroken row");
    is_int(taken.missing, 0, "the dropped are not missing");
    is_int(taken.wrong, 0, "whole");
    ring_equation(ring, "after draining it");
    klaviyo_ring_detach(ring);
}


/* n events on from the cursor; the last one is left in `record` and `buf` */

static void
read_on(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor, unsigned n,
    uint8_t *buf, size_t size, klaviyo_record_t *record)
{
    while (n--) {
        klaviyo_ring_read(ring, cursor, buf, size, record);
        *cursor = record->next;
    }
}


/* an event that is put at the end again is in the queue twice, and one event */

static void
test_again(void)
{
    uint8_t             buf[16384];
    unsigned            n;
    klaviyo_ack_t       ack;
    ring_taken_t        taken;
    klaviyo_ring_t     *ring;
    klaviyo_cursor_t    cursor;
    klaviyo_record_t    record;
    klaviyo_figures_t   f;

    ring = ring_open(RING_SIZE, 0);

    for (n = 0; n < 10; n++) {
        ring_append(ring, 1, n, 500);
    }

    memset(&ack, 0, sizeof(ack));
    klaviyo_ring_first(ring, &cursor);
    ack.from = cursor;

    read_on(ring, &cursor, 3, buf, sizeof(buf), &record);

    is_int(klaviyo_ring_put_again(ring, &record.event), KLAVIYO_RING_OK,
           "the third goes to the end");

    klaviyo_ring_figures(ring, &f);
    is_int(f.captured, 10, "captured as before");
    is_int(f.queued, 10, "queued once");
    ring_equation(ring, "while it is there twice");

    klaviyo_ring_detach(ring);
    ring = ring_open(RING_SIZE, 0);
    is_int(ring_captured(ring), 10, "over a restart, too");

    ack.to = cursor;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 2;
    ack.again = 4;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_ERROR,
           "more again than events");
    ack.again = 1;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK,
           "two delivered, one again");

    klaviyo_ring_figures(ring, &f);
    is_int(f.captured, 10, "captured as before");
    is_int(f.queued, 8, "two less");
    ring_equation(ring, "when it is there once");

    /* the next deliverer knows nothing of it: two events */

    klaviyo_ring_first(ring, &cursor);
    klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);
    klaviyo_ring_put_again(ring, &record.event);
    is_int(ring_captured(ring), 10, "another, whose deliverer dies");

    for (n = 0; n < 9; n++) {
        ack.from = cursor;
        read_on(ring, &cursor, 1, buf, sizeof(buf), &record);
        ack.to = cursor;
        ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 1;
        ack.again = 0;
        klaviyo_ring_ack(ring, 0, &ack, 0);
        ring_equation(ring, "one by one");
    }

    klaviyo_ring_figures(ring, &f);
    is_int(f.captured, 11, "counts as two when both are delivered");
    is_int(f.outcome[KLAVIYO_OUTCOME_DELIVERED], 11, "which they were");
    is_int(f.queued, 0, "nothing is left");

    ring_append(ring, 1, 0, 500);
    klaviyo_ring_figures(ring, &f);
    is_int(f.queued, 1, "what comes next is queued");
    is_int(f.captured, 12, "and captured");
    ring_equation(ring, "after that");

    ring_take(ring, 0, 1, &taken);
    klaviyo_ring_detach(ring);
}


/* drop_oldest takes what the deliverer has in flight */

static void
test_overlap(void)
{
    uint8_t             buf[16384];
    unsigned            n;
    uint64_t            lost, captured;
    klaviyo_ack_t       ack;
    klaviyo_ring_t     *ring;
    klaviyo_record_t    record;
    klaviyo_cursor_t    cursor;
    klaviyo_figures_t   before, after;

    ring = ring_open(RING_SIZE, 1);

    klaviyo_ring_figures(ring, &before);

    for (n = 0; n < 100; n++) {
        ring_append(ring, 1, n, 1000);
    }

    memset(&ack, 0, sizeof(ack));
    klaviyo_ring_first(ring, &cursor);
    ack.from = cursor;

    read_on(ring, &cursor, 40, buf, sizeof(buf), &record);

    ack.to = cursor;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 30;
    ack.outcome[KLAVIYO_OUTCOME_DEAD_REFUSED] = 10;

    /* until a part of the 40 has gone */

    do {
        ring_append(ring, 1, n++, 1000);
        lost = ring_outcome(ring, KLAVIYO_OUTCOME_LOST_FULL)
               - before.outcome[KLAVIYO_OUTCOME_LOST_FULL];
    } while (lost < 15);

    ring_equation(ring, "while drop_oldest is ahead");
    captured = ring_captured(ring);

    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK,
           "ack of events partly dropped");
    klaviyo_ring_figures(ring, &after);
    is_int(after.outcome[KLAVIYO_OUTCOME_DELIVERED]
           - before.outcome[KLAVIYO_OUTCOME_DELIVERED], 30, "30 delivered");
    is_int(after.outcome[KLAVIYO_OUTCOME_DEAD_REFUSED]
           - before.outcome[KLAVIYO_OUTCOME_DEAD_REFUSED], 10, "10 refused");
    is_int(after.outcome[KLAVIYO_OUTCOME_LOST_FULL],
           before.outcome[KLAVIYO_OUTCOME_LOST_FULL], "none lost after all");
    is_int(after.captured, captured, "captured is what it was");
    ring_equation(ring, "after the overlap");

    /* now all in flight is dropped, and the cursor with it */

    klaviyo_ring_first(ring, &cursor);
    ack.from = cursor;

    read_on(ring, &cursor, 5, buf, sizeof(buf), &record);

    memset(ack.outcome, 0, sizeof(ack.outcome));
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 5;

    for (n = 0; n < 400; n++) {
        ring_append(ring, 1, n, 1000);
    }

    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_OK, "read at a cursor whose event was dropped");
    is_int(record.missing, 0, "the dropped are counted already");

    ack.to = record.next;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 6;

    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK,
           "ack over dropped events that were never read");
    ring_equation(ring, "after that");

    /* what cannot be true is not booked */

    klaviyo_ring_first(ring, &cursor);
    ack.from = cursor;
    ack.to = cursor;
    ack.to.seq++;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 2;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_ERROR,
           "more outcomes than events");
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 0;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_ERROR,
           "fewer outcomes than events");
    ack.to.seq += 1000000;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_ERROR,
           "beyond the end");
    is_int(klaviyo_ring_ack(ring, 77, &ack, 0), KLAVIYO_RING_STALE,
           "with another epoch");
    ring_equation(ring, "after refused acks");

    klaviyo_ring_detach(ring);
}


static void
test_memory(void)
{
    char             limiter[KLAVIYO_RING_LIMITER_MAX];
    int64_t          paused;
    klaviyo_ring_t  *ring;

    ring = ring_open(RING_SIZE, 0);

    klaviyo_ring_load(ring, &paused, limiter, sizeof(limiter));
    is_int(paused, 0, "no pause at first");
    is_int(limiter[0], 0, "no limiter at first");

    is_int(klaviyo_ring_save(ring, 0, INT64_MAX / 2, "windows", 7),
           KLAVIYO_RING_OK, "save");
    is_int(klaviyo_ring_save(ring, 5, 1, "x", 1), KLAVIYO_RING_STALE,
           "save with another epoch");
    is_int(klaviyo_ring_save(ring, 0, 1, limiter,
                             KLAVIYO_RING_LIMITER_MAX + 1),
           KLAVIYO_RING_ERROR, "save of too much");

    ring_append(ring, 1, 1, 10);
    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    klaviyo_ring_load(ring, &paused, limiter, 7);
    ok(paused == INT64_MAX / 2, "the pause outlives the process");
    is_mem(limiter, 7, "windows", 7, "the limiter, too");
    klaviyo_ring_load(ring, &paused, limiter, 8);
    is_mem(limiter, 8, "\0\0\0\0\0\0\0\0", 8, "but not of another length");
    ring_equation(ring, "after save and load");
    klaviyo_ring_detach(ring);
}


static void
test_truncated(void)
{
    int                 fd;
    uint8_t             buf[16384];
    ring_event_t        e;
    klaviyo_ring_t     *ring;
    klaviyo_cursor_t    cursor;
    klaviyo_record_t    record;
    klaviyo_figures_t   f;

    ring = ring_open(RING_SIZE, 0);

    ring_event(&e, 1, 1, 100);
    klaviyo_ring_append(ring, &e.event);
    klaviyo_ring_first(ring, &cursor);

    is_int(klaviyo_ring_verify(ring, ring_error), KLAVIYO_RING_OK, "whole");

    fd = open(ring_path, O_RDWR);
    ok(ftruncate(fd, 100) == 0, "truncate it");
    close(fd);

    is_int(klaviyo_ring_verify(ring, ring_error), KLAVIYO_RING_DETACHED,
           "detached");
    ok(strstr(ring_error, "truncated") && strstr(ring_error, ring_path),
       "says so: %s", ring_error);
    klaviyo_ring_verify(ring, ring_error);
    is_str(ring_error, "", "once");

    is_int(klaviyo_ring_append(ring, &e.event), KLAVIYO_RING_DETACHED,
           "append");
    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_DETACHED, "read");

    if (fork() == 0) {
        _exit(klaviyo_ring_append(ring, &e.event) == KLAVIYO_RING_DETACHED
              ? 0 : 1);
    }

    wait(NULL);

    klaviyo_ring_count(ring, KLAVIYO_COUNT_REQUESTS_BULK, 1);
    klaviyo_ring_figures(ring, &f);
    is_int(f.attached, 0, "figures say detached");
    is_int(f.detached, 2, "events of all processes are counted");

    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    ok(ring != NULL, "a reload makes a new one");
    is_int(ring_append(ring, 1, 1, 100), KLAVIYO_RING_OK, "that works");
    ring_equation(ring, "in the new one");
    klaviyo_ring_detach(ring);
}


/* the file has no name any more: the mapping is as good as before */

static void
test_removed(void)
{
    uint8_t              buf[16384];
    klaviyo_ring_t      *ring;
    klaviyo_cursor_t     cursor;
    klaviyo_record_t     record;
    klaviyo_ring_span_t  span;

    ring = ring_open(RING_SIZE, 0);

    ring_append(ring, 1, 1, 100);
    klaviyo_ring_first(ring, &cursor);

    ok(unlink(ring_path) == 0, "remove it");

    is_int(klaviyo_ring_verify(ring, ring_error), KLAVIYO_RING_OK, "verify");
    ok(strstr(ring_error, "removed") && strstr(ring_error, ring_path),
       "says so: %s", ring_error);
    is_int(klaviyo_ring_verify(ring, ring_error), KLAVIYO_RING_OK, "again");
    is_str(ring_error, "", "once");

    is_int(klaviyo_ring_span(ring, &span), KLAVIYO_RING_OK, "span");
    is_int(span.removed, 1, "removed");

    is_int(ring_append(ring, 2, 1, 100), KLAVIYO_RING_OK, "append");
    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_OK, "read");
    ring_equation(ring, "goes on");

    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    is_int(klaviyo_ring_span(ring, &span), KLAVIYO_RING_OK, "a new one");
    is_int(span.removed, 0, "has its name");
    is_int(ring_append(ring, 1, 1, 100), KLAVIYO_RING_OK, "works");
    klaviyo_ring_detach(ring);
}


/* what a configuration may say, to its limits */

static void
test_conf(void)
{
    char                  path[PATH_MAX + 1];
    uint64_t              capacity;
    klaviyo_ring_conf_t   conf;

    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[PATH_MAX - 64] = '\0';

    memset(&conf, 0, sizeof(conf));
    conf.path = path;
    conf.size = KLAVIYO_RING_MIN_SIZE;

    is_int(klaviyo_ring_check_conf(&conf, &capacity, ring_error),
           KLAVIYO_RING_OK, "the longest path, the least size");
    conf.path = "/a";
    is_int(capacity, KLAVIYO_RING_MIN_SIZE, "as it is");
    conf.size++;
    klaviyo_ring_check_conf(&conf, &capacity, ring_error);
    is_int(capacity, KLAVIYO_RING_MIN_SIZE + KLAVIYO_RING_PAGE, "whole pages");
    conf.size = SIZE_MAX / 4;
    is_int(klaviyo_ring_check_conf(&conf, &capacity, ring_error),
           KLAVIYO_RING_OK, "the largest size");
    conf.size++;
    is_int(klaviyo_ring_check_conf(&conf, &capacity, ring_error),
           KLAVIYO_RING_ERROR, "none beyond it");
    ok(strstr(ring_error, "too large") != NULL, "%s", ring_error);
    conf.size = KLAVIYO_RING_MIN_SIZE - 1;
    is_int(klaviyo_ring_check_conf(&conf, &capacity, ring_error),
           KLAVIYO_RING_ERROR, "none below the least");
    ok(strstr(ring_error, "least of 256k") != NULL, "%s", ring_error);

    conf.size = KLAVIYO_RING_MIN_SIZE;
    conf.path = path;
    path[PATH_MAX - 64] = 'a';
    path[PATH_MAX - 63] = '\0';
    is_int(klaviyo_ring_check_conf(&conf, &capacity, ring_error),
           KLAVIYO_RING_ERROR, "a longer path");
    ok(strstr(ring_error, "is too long") != NULL, "%s", ring_error);

    conf.path = "a/b";
    is_int(klaviyo_ring_check_conf(&conf, &capacity, ring_error),
           KLAVIYO_RING_ERROR, "one that is not full");
    conf.path = "/";
    is_int(klaviyo_ring_check_conf(&conf, &capacity, ring_error),
           KLAVIYO_RING_ERROR, "one without a name");
}


static void
file_is(off_t size, const char *magic, int refused, const char *what)
{
    int                   fd;
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    fd = open(ring_path, O_RDWR|O_CREAT|O_TRUNC, 0600);

    if (fd == -1 || pwrite(fd, magic, strlen(magic), 0) == -1
        || ftruncate(fd, size) == -1)
    {
        perror("file_is");
        exit(2);
    }

    close(fd);

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;

    is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
           refused ? KLAVIYO_RING_ERROR : KLAVIYO_RING_OK, "%s", what);

    if (refused) {
        ok(strstr(ring_error, "some other file") != NULL, "%s", ring_error);

    } else {
        ok(strstr(ring_note, "moved to") != NULL, "%s", ring_note);
        klaviyo_ring_detach(ring);
    }
}


/* what never was a ring is left alone */

static void
test_other_file(void)
{
    off_t  least;

    least = KLAVIYO_RING_RECORDS + KLAVIYO_RING_MIN_SIZE;

    file_is(100, "a poem", 1, "a text");
    file_is(4, "KLVY", 1, "a piece of a beginning");
    file_is(8, "KLVYRING", 0, "a ring's beginning");
    file_is(least, "a poem", 0, "a ring's size");
    file_is(least - KLAVIYO_RING_PAGE, "a poem", 1, "less than the least");
    file_is(least + 1, "a poem", 1, "more, and no whole pages");
    file_is(0, "", 0, "nothing");
}


/* counters, levels and waits, by themselves */

static void
test_figures(void)
{
    klaviyo_ring_t       *ring;
    klaviyo_figures_t     f;
    klaviyo_ring_span_t   span;

    ring = ring_open(RING_SIZE, 0);

    klaviyo_ring_count(ring, KLAVIYO_COUNT_REQUESTS_BULK, 2);
    klaviyo_ring_quiet(ring, 5);
    klaviyo_ring_count(ring, KLAVIYO_COUNT_REQUESTS_BULK, 1);
    klaviyo_ring_quiet(ring, 0);
    klaviyo_ring_count(ring, KLAVIYO_COUNT_REQUESTS_BULK, 3);
    klaviyo_ring_set(ring, KLAVIYO_COUNT_SPOOL_USED, 70);
    klaviyo_ring_set(ring, KLAVIYO_COUNT_SPOOL_USED, 7);
    klaviyo_ring_wait(ring, KLAVIYO_WAIT_BULK, INT64_MAX / 2);
    klaviyo_ring_wait(ring, KLAVIYO_WAIT_SINGLE, 1);

    klaviyo_ring_figures(ring, &f);
    is_int(f.counter[KLAVIYO_COUNT_REQUESTS_BULK], 5,
           "who is quiet counts nothing");
    is_int(f.counter[KLAVIYO_COUNT_SPOOL_USED], 7, "a level is set");
    ok(f.waits_until[KLAVIYO_WAIT_BULK] == INT64_MAX / 2, "a wait");
    is_int(f.waits_until[KLAVIYO_WAIT_SINGLE], 0, "one that is over");

    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(ring, ring_error);
    klaviyo_ring_set(ring, KLAVIYO_COUNT_SPOOL_USED, 8);
    klaviyo_ring_wait(ring, KLAVIYO_WAIT_BULK, 1);
    memset(&span, 0x55, sizeof(span));
    is_int(klaviyo_ring_span(ring, &span), KLAVIYO_RING_DETACHED, "no span");
    is_int(span.used, 0, "and nothing of it");
    klaviyo_ring_detach(ring);
}


/* the lock file goes while somebody waits for it: what he has locks nothing */

static void
test_lock_removed(void)
{
    int              fd, status;
    char             lock[256];
    pid_t            pid;
    struct flock     fl;
    klaviyo_ring_t  *ring;

    ring = ring_open(RING_SIZE, 0);
    klaviyo_ring_detach(ring);

    (void) snprintf(lock, sizeof(lock), "%s.lock", ring_path);
    fd = open(lock, O_RDWR);

    memset(&fl, 0, sizeof(fl));
    fl.l_type = F_WRLCK;
    fl.l_len = 1;
    is_int(fcntl(fd, F_OFD_SETLK, &fl), 0, "locked");

    pid = fork();

    if (pid == 0) {
        close(fd);
        _exit(ring_open(RING_SIZE, 0) == NULL);
    }

    usleep(100000);
    is_int(waitpid(pid, &status, WNOHANG), 0, "another one waits");
    unlink(lock);
    close(fd);

    waitpid(pid, &status, 0);
    is_int(status, 0, "and attaches");
    is_int(access(lock, F_OK), 0, "by a lock file that is there");
}


static void
refused(const char *path, const char *why, const char *what)
{
    klaviyo_ring_t       *ring;
    klaviyo_ring_rc_e     probed, attached;
    klaviyo_ring_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    memset(&conf, 0, sizeof(conf));
    conf.path = path;
    conf.size = RING_SIZE;

    probed = klaviyo_ring_probe(&conf, ring_error);
    ok(probed == KLAVIYO_RING_ERROR && strstr(ring_error, why),
       "probe refuses %s: %s", what, ring_error);

    ring = NULL;
    attached = klaviyo_ring_attach(&ring, &conf, ring_error, ring_note);
    ok(attached == KLAVIYO_RING_ERROR && ring == NULL
       && strstr(ring_error, why), "attach refuses %s: %s", what, ring_error);
}


/* as /tmp or /dev/shm are, with the sticky bit, and without it */

static void
test_open_folder(void)
{
    char                  dir[256], path[300];
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    snprintf(dir, sizeof(dir), "%s/open", ring_dir);
    snprintf(path, sizeof(path), "%s/x.ring", dir);

    ok(mkdir(dir, 0700) == 0 && chmod(dir, 0777) == 0, "a folder of everybody");
    refused(path, "writable by every user", "it");

    ok(chmod(dir, 01777) == 0, "one where files are their owner's");

    memset(&conf, 0, sizeof(conf));
    memset(&conf, 0, sizeof(conf));
    conf.path = path;
    conf.size = RING_SIZE;

    is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
           KLAVIYO_RING_OK, "a new ring");
    klaviyo_ring_detach(ring);

    if (geteuid() == 0) {
        ok(chown(path, 12346, 12346) == 0, "somebody else's");
        refused(path, "belongs to another user", "it");
    }

    unlink(path);
    strcat(path, ".lock");
    unlink(path);
    rmdir(dir);
}


static void
test_paths(void)
{
    int                   status;
    char                  path[256], other[256];
    struct stat           st;
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    snprintf(path, sizeof(path), "%s/odd.ring", ring_dir);
    snprintf(other, sizeof(other), "%s/other", ring_dir);

    close(open(other, O_CREAT|O_RDWR, 0600));

    ok(symlink(other, path) == 0, "a symbolic link");
    refused(path, "is a symbolic link", "it");
    unlink(path);

    ok(link(other, path) == 0, "a second name");
    refused(path, "more than one name", "it");
    unlink(path);

    ok(mkfifo(path, 0600) == 0, "a FIFO");
    refused(path, "is not a regular file", "it");
    unlink(path);

    ok(mkdir(path, 0700) == 0, "a directory");
    refused(path, "is a directory", "it");
    rmdir(path);

    refused("relative.ring", "is not the full path", "a relative path");
    refused("/tmp/", "is not the full path", "a path without a name");
    test_open_folder();
    refused("/proc/klaviyo.ring", "/proc", "a folder that takes no files");
    refused("/nonexistent/deeper/x.ring", "mkdir()", "two missing folders");

    snprintf(other, sizeof(other), "%s/other/x.ring", ring_dir);
    refused(other, "Not a directory", "a file for a folder");

    memset(&conf, 0, sizeof(conf));
    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE - 1;
    is_int(klaviyo_ring_probe(&conf, ring_error), KLAVIYO_RING_ERROR,
           "a size too small: %s", ring_error);

#if (SIZE_MAX > UINT32_MAX)

    conf.size = (size_t) 1 << 50;
    conf.path = path;
    is_int(klaviyo_ring_probe(&conf, ring_error), KLAVIYO_RING_ERROR,
           "a size too large: %s", ring_error);
    ok(strstr(ring_error, "no room") != NULL, "probe says no room");
    is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
           KLAVIYO_RING_ERROR, "attach, too: %s", ring_error);
    ok(access(path, F_OK) == -1, "and leaves no file behind");

#endif

    if (geteuid() == 0) {
        snprintf(other, sizeof(other), "%s/roots", ring_dir);
        mkdir(other, 0755);
        snprintf(other, sizeof(other), "%s/roots/x.ring", ring_dir);
        chmod(ring_dir, 0755);

        if (fork() == 0) {
            if (setgid(65534) == -1 || setuid(65534) == -1) {
                _exit(2);
            }

            conf.path = other;
            conf.size = RING_SIZE;

            if (klaviyo_ring_probe(&conf, ring_error) != KLAVIYO_RING_ERROR
                || strstr(ring_error, "Permission denied") == NULL)
            {
                _exit(1);
            }

            if (klaviyo_ring_attach(&ring, &conf, ring_error, ring_note)
                != KLAVIYO_RING_ERROR
                || strstr(ring_error, "Permission denied") == NULL)
            {
                _exit(1);
            }

            _exit(0);
        }

        wait(&status);
        is_int(status, 0, "a folder that is not writable is refused");

        chmod(ring_dir, 0700);
    }

    /* a missing folder is made by attach, not left behind by probe */

    snprintf(path, sizeof(path), "%s/made", ring_dir);
    snprintf(other, sizeof(other), "%s/made/x.ring", ring_dir);
    conf.path = other;
    conf.size = RING_SIZE;

    is_int(klaviyo_ring_probe(&conf, ring_error), KLAVIYO_RING_OK, "probe");
    ok(access(path, F_OK) == -1, "probe leaves nothing behind");
    is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
           KLAVIYO_RING_OK, "attach");
    ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0700,
       "attach makes the folder with 0700");

    if (geteuid() == 0) {
        ok(chown(path, 65534, 65534) == 0, "given away");

        klaviyo_ring_detach(ring);

        is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
               KLAVIYO_RING_ERROR, "a stranger's folder is refused");
        ok(strstr(ring_error, "belongs to another user"), "says so: %s",
           ring_error);

        ok(chown(path, 0, 0) == 0, "as before");
        is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
               KLAVIYO_RING_OK, "ours is not");
    }

    klaviyo_ring_detach(ring);
}


/* a child with the rights of workers; 0: it goes on */

static pid_t
worker(void)
{
    pid_t  pid;

    pid = fork();

    if (pid == 0 && geteuid() == 0
        && (setgid(65534) == -1 || setuid(65534) == -1))
    {
        _exit(1);
    }

    return pid;
}


/*
 * One process attaches with other rights than ours, and ends; another one,
 * with these rights too, uses what we keep in between.
 */

static void
test_hand_over(void)
{
    int                   i, s[2], status;
    pid_t                 pid;
    klaviyo_ring_t       *ring;
    klaviyo_ring_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;

    ok(geteuid() != 0 || chown(ring_dir, 65534, 65534) == 0,
       "a folder of workers");
    ok(socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0, s) == 0,
       "a socket");

    for (i = 0; i < 2; i++) {
        pid = worker();

        if (pid == 0) {
            if (klaviyo_ring_attach(&ring, &conf, ring_error, ring_note)
                != KLAVIYO_RING_OK)
            {
                diag("%s", ring_error);
                _exit(2);
            }

            status = klaviyo_ring_hand_over(ring, s[1]);
            klaviyo_ring_detach(ring);
            _exit(status);
        }

        waitpid(pid, &status, 0);
        is_int(status, 0, "attached and handed over");

        is_int(klaviyo_ring_take(&ring, &conf, s[0]), 0, "taken");
        ok(ring->map == NULL, "and not mapped");
        ok(ring->lock_fd == -1 && ring->dir_fd == -1, "one descriptor");

        pid = worker();

        if (pid == 0) {
            _exit(klaviyo_ring_enter(ring, ring_error) != KLAVIYO_RING_OK
                  || ring_append(ring, 1, i, 100) != KLAVIYO_RING_OK
                  || ring_captured(ring) != (uint64_t) i + 1);
        }

        waitpid(pid, &status, 0);
        is_int(status, 0, "used");
        ok(klaviyo_ring_alone(ring), "nobody else has it");

        klaviyo_ring_detach(ring);
    }

    ok(send(s[1], "x", 1, 0) == 1, "something else");
    is_int(klaviyo_ring_take(&ring, &conf, s[0]), EBADMSG, "is not taken");

    close(s[1]);
    is_int(klaviyo_ring_take(&ring, &conf, s[0]), EPIPE, "the end");
    close(s[0]);
}


int
main(void)
{
    ring_folder();

    test_append_and_read();
    test_mappings();
    test_limits();
    ring_cleanup();

    ring_folder();
    test_wrap();
    ring_cleanup();

    ring_folder();
    test_full();
    test_memory();
    ring_cleanup();

    ring_folder();
    test_again();
    ring_cleanup();

    ring_folder();
    test_drop_oldest();
    test_overlap();
    ring_cleanup();

    ring_folder();
    test_hand_over();
    ring_cleanup();

    ring_folder();
    test_conf();
    test_figures();
    test_other_file();
    ring_cleanup();

    ring_folder();
    test_lock_removed();
    test_truncated();
    test_removed();
    test_paths();
    ring_cleanup();

    return done_testing();
}

/*
 * Batches from a real ring: what is read, how it is grouped, what is sent.
 */


#define _GNU_SOURCE

#include <fcntl.h>
#include <time.h>

#include "batch.h"
#include "chunk.h"
#include "delivery/klaviyo_body.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_read.h"


static int
test_allow(void *data, uint32_t ended, uint32_t refused)
{
    uint32_t  *told = data;

    told[0] += ended;
    told[1] += refused;

    return 0;
}


/* the batch that follows, in place of it */

static klaviyo_batch_t *
test_behind(klaviyo_batch_t *batch)
{
    klaviyo_batch_t  *next;

    next = klaviyo_batch_create(klaviyo_batch_end(batch), &klaviyo_lanes[0]);
    klaviyo_batch_destroy(batch);

    return next;
}


static void
test_bytes(void)
{
    uint32_t            told[2];
    klaviyo_batch_t    *batch, *other;
    klaviyo_request_t  *request;

    static const char  one[] =
        "{\"data\":{\"type\":\"event\",\"attributes\":{\"properties\":{},"
        "\"unique_id\":\"a\",\"profile\":{\"data\":{\"p\":1}}}}}";

    static const char  bulk[] =
        "{\"data\":{\"type\":\"event-bulk-create-job\",\"attributes\":"
        "{\"events-bulk-create\":{\"data\":["
        "{\"type\":\"event-bulk-create\",\"attributes\":{\"profile\":"
        "{\"data\":{\"p\":1}},\"events\":{\"data\":["
        "{\"type\":\"event\",\"attributes\":{\"properties\":{},"
        "\"unique_id\":\"a\"}},"
        "{\"type\":\"event\",\"attributes\":{\"properties\":{\"c\":3}}}"
        "]}}},"
        "{\"type\":\"event-bulk-create\",\"attributes\":{\"profile\":"
        "{\"data\":{\"p\":2}},\"events\":{\"data\":["
        "{\"type\":\"event\",\"attributes\":{\"properties\":{\"b\":2}}}"
        "]}}}"
        "]}}}}";

    test_ring_open();

    test_append_raw("{\"p\":1}", 7, "\"properties\":{},\"unique_id\":\"a\"",
                    sizeof("\"properties\":{},\"unique_id\":\"a\"") - 1, "a",
                    1);

    batch = test_batch();
    is_int(test_fill(batch, 1000, 4000000, 0),
           KLAVIYO_RING_EMPTY, "nothing more to read");
    is_int(klaviyo_batch_full(batch), 0, "not full");
    is_int(klaviyo_batch_done(batch), 0, "not done");
    is_int(klaviyo_batch_close(batch), 0, "closed");

    request = klaviyo_batch_next(batch);
    ok(request->single && request->n == 1, "one event is a single request");

    klaviyo_batch_requeue(batch, request, 0);
    ok(klaviyo_batch_next(batch) == request && request->tries == 0,
       "given back unsent");

    is_int(klaviyo_request_body(batch, request), 0, "its body");
    is_mem(request->body, request->body_len, one, sizeof(one) - 1,
           "a single body");
    ok(klaviyo_batch_next(batch) == NULL, "no other request");

    klaviyo_batch_requeue(batch, request, 1);
    ok(klaviyo_batch_next(batch) == request && request->unsure
       && request->tries == 1, "given back, and there again");
    is_int(klaviyo_batch_done(batch), 0, "not done before its end");
    klaviyo_batch_destroy(batch);

    test_append_raw("{\"p\":2}", 7, "\"properties\":{\"b\":2}", 20, "b", 1);
    test_append_raw("{\"p\":1}", 7, "\"properties\":{\"c\":3}", 20, "c", 1);

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);

    request = klaviyo_batch_next(batch);
    ok(!request->single && request->n == 3 && request->entries == 2,
       "several are a bulk request, grouped by profile");
    klaviyo_request_body(batch, request);
    is_mem(request->body, request->body_len, bulk, sizeof(bulk) - 1,
           "a bulk body");

    /* to a byte, before it was made */

    other = test_batch();
    test_fill(other, 1000, request->body_len - 1, 0);
    ok(test_events(other) == 2 && klaviyo_batch_full(other),
       "a byte less has no room for all three");
    klaviyo_batch_destroy(other);
    other = test_batch();
    test_fill(other, 1000, request->body_len + 1, 0);
    is_int(test_events(other), 3, "its size was known");
    klaviyo_batch_destroy(other);

    is_mem(klaviyo_request_event(batch, request, 2)->unique_id, 1, "b", 1,
           "events in the order of the body");

    memset(told, 0, sizeof(told));
    is_int(klaviyo_batch_settle(batch, request, KLAVIYO_REPLY_ACCEPTED, NULL,
                                test_allow, NULL, told),
           0, "accepted, whatever the breaker says");
    ok(told[0] == 3 && told[1] == 0, "the breaker was told");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DELIVERED), 3, "delivered");
    ok(klaviyo_batch_done(batch) && test_adds_up(batch), "done");

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


static void
test_groups(void)
{
    unsigned          i;
    klaviyo_batch_t  *batch;

    test_ring_open();

    test_append(0, 1, NULL, 0);
    test_append(1, 2, NULL, 0);
    test_append(2, 1, NULL, 0);
    test_append(3, 3, NULL, 0);
    test_append(4, 2, NULL, 0);

    batch = test_batch();
    is_int(test_fill(batch, 2, 4000000, 0), KLAVIYO_RING_OK,
           "the limit of events is reached");
    is_int(klaviyo_batch_full(batch), 1, "full");
    is_int(test_events(batch), 2, "two events");
    test_fill(batch, 1000, 4000000, 0);
    is_int(test_events(batch), 5, "filled further");
    klaviyo_batch_close(batch);
    test_is_requests(batch, "0,2|1,4|3 ", "entries by first appearance");
    klaviyo_batch_destroy(batch);

    test_append(5, 9, "id-1", 0);
    test_append(6, 9, NULL, 0);
    test_append(7, 1, "id-1", 0);
    test_append(8, 8, "id-6", 0);

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);
    test_is_requests(batch, "0,2|1,4|3|6 5 7 8 ",
                     "a repeated unique_id has a request of its own");
    klaviyo_batch_destroy(batch);
    test_ring_close();

    test_ring_open();

    for (i = 0; i < 4; i++) {
        test_append(i, i, "same", 0);
    }

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);
    test_is_requests(batch, "0 1 2 3 ", "nothing but repeats");
    klaviyo_batch_destroy(batch);
    test_ring_close();
}


static void
test_limits(void)
{
    size_t              bytes;
    unsigned            i;
    klaviyo_batch_t    *batch, *next;
    klaviyo_request_t  *request;

    test_ring_open();

    for (i = 0; i < 6; i++) {
        test_append(i, 0, NULL, 1000000);
    }

    test_append(6, 0, NULL, 4400000);

    batch = test_batch();
    is_int(test_fill(batch, 1000, 2500000, 0),
           KLAVIYO_RING_OK, "the limit of bytes is reached");
    is_int(test_events(batch), 2, "before a third event");
    klaviyo_batch_close(batch);

    request = klaviyo_batch_next(batch);
    klaviyo_request_body(batch, request);
    ok(request->n == 2 && request->body_len <= 2500000, "within the limit");

    next = klaviyo_batch_create(klaviyo_batch_end(batch), &klaviyo_lanes[0]);
    test_fill(next, 1000, SIZE_MAX, 0);
    is_int(test_events(next), 4,
           "the next one begins there and holds a body's limit");
    ok(klaviyo_batch_full(next), "it is full");
    klaviyo_batch_close(next);

    request = klaviyo_batch_next(next);
    klaviyo_request_body(next, request);
    ok(request->body_len <= KLAVIYO_BATCH_BODY_MAX
       && request->body_len > 4000000, "its body too");
    klaviyo_batch_destroy(batch);

    batch = klaviyo_batch_create(klaviyo_batch_end(next), &klaviyo_lanes[0]);
    test_fill(batch, 1000, 1000, 0);
    is_int(test_events(batch), 1,
           "one event may be larger than the limit");
    ok(klaviyo_batch_full(batch), "and then it is full");
    klaviyo_batch_close(batch);

    request = klaviyo_batch_next(batch);
    klaviyo_request_body(batch, request);
    ok(request->single && request->body_len > 4400000,
       "an event of 4.4 MB in one piece");

    klaviyo_batch_destroy(next);

    test_append(7, 0, NULL, 4500000);
    test_append(8, 0, NULL, 10);

    memset(&given_up, 0, sizeof(given_up));
    given_up.fail = 1;

    next = klaviyo_batch_create(klaviyo_batch_end(batch), &klaviyo_lanes[0]);
    is_int(test_fill(next, 1000, SIZE_MAX, 0), KLAVIYO_RING_ERROR,
           "an event that no body can hold, and no letter of it");
    test_fill(next, 1000, SIZE_MAX, 0);
    is_int(test_outcome(next, KLAVIYO_OUTCOME_DEAD_TOO_LARGE), 1,
           "then it is dead");
    ok(given_up.n == 1 && given_up.time == 1007
       && given_up.outcome == KLAVIYO_OUTCOME_DEAD_TOO_LARGE, "a letter");
    ok(test_events(next) == 0 && klaviyo_batch_full(next),
       "in a batch of its own");
    next = test_behind(next);
    test_fill(next, 1000, SIZE_MAX, 0);
    is_int(test_events(next), 1, "the one behind it is not");
    klaviyo_batch_destroy(next);
    klaviyo_batch_destroy(batch);

    test_ring_close();

    /* a profile counts once */

    test_ring_open();

    bytes = 95000;

    for (i = 0; i < 100; i++) {
        static char  profile[95000];

        memset(profile, ' ', sizeof(profile));
        memcpy(profile, "{}", 2);
        profile[2] = (char) (i < 99 ? ' ' : '\n');
        test_append_raw(profile, bytes, "\"n\":1", 5, i & 1 ? "a" : "b", 1);
    }

    batch = test_batch();
    is_int(test_fill(batch, 1000, 199999, 0), KLAVIYO_RING_EMPTY,
           "read to the end, far from the limit of bytes");
    is_int(test_events(batch), 100, "a shared profile counts once");
    klaviyo_batch_destroy(batch);

    test_ring_close();

    test_ring_open();

    for (i = 0; i < 1001; i++) {
        test_append(i, i, NULL, 0);
    }

    batch = test_batch();
    test_fill(batch, SIZE_MAX, SIZE_MAX, 0);
    is_int(test_events(batch), 1000, "a thousand events at most");
    klaviyo_batch_destroy(batch);

    test_ring_close();
}


static void
test_expired(void)
{
    unsigned           i;
    klaviyo_batch_t   *batch, *next;
    klaviyo_cursor_t   first;

    test_ring_open();

    test_append(1, 0, NULL, 0);
    test_append(2, 0, NULL, 0);
    test_append(3, 0, NULL, 0);

    batch = test_batch();
    klaviyo_ring_first(ring, &first);

    memset(&given_up, 0, sizeof(given_up));
    given_up.fail = 1;

    is_int(test_fill(batch, 1000, 4000000, 1003), KLAVIYO_RING_ERROR,
           "an expired one of which no letter could be kept");
    ok(test_events(batch) == 0 && test_adds_up(batch)
       && klaviyo_batch_end(batch)->seq == first.seq, "nothing was consumed");

    is_int(test_fill(batch, 1000, 4000000, 1003), KLAVIYO_RING_OK, "read");
    ok(given_up.n == 2 && given_up.time == 1002 && given_up.attempts == 0
       && given_up.outcome == KLAVIYO_OUTCOME_DEAD_EXPIRED,
       "a letter each, of events never sent");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_EXPIRED), 2,
           "two are expired");
    ok(test_events(batch) == 0 && klaviyo_batch_full(batch),
       "in a batch of their own: read again, others get no second letter");
    batch = test_behind(batch);
    is_int(test_fill(batch, 1000, 4000000, 1003), KLAVIYO_RING_EMPTY, "read");
    is_int(test_events(batch), 1, "one is young enough");
    is_int(given_up.n, 2, "and has no letter");
    klaviyo_batch_close(batch);
    test_is_requests(batch, "3 ", "the young one");

    for (i = 0; i < 4100; i++) {
        test_append(4, 0, NULL, 0);
    }

    next = klaviyo_batch_create(klaviyo_batch_end(batch), &klaviyo_lanes[0]);
    is_int(test_fill(next, 1000, 4000000, 5000),
           KLAVIYO_RING_OK, "thousands are expired: a call returns");
    ok(klaviyo_batch_full(next) && test_events(next) == 0,
       "full, with nothing to send");
    is_int(klaviyo_batch_close(next), 0, "closed");
    ok(klaviyo_batch_next(next) == NULL && klaviyo_batch_done(next)
       && test_adds_up(next), "done");

    klaviyo_batch_destroy(next);
    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* a byte of the ring's file is changed behind the batch's back */

static void
test_spoil(const char *what)
{
    int      fd;
    char    *p;
    ssize_t  n;

    static char  file[512 * 1024];

    fd = open(path, O_RDWR);
    n = pread(fd, file, sizeof(file), 0);
    p = memmem(file, (size_t) n, what, strlen(what));

    if (p == NULL || pwrite(fd, "!", 1, p - file) != 1) {
        printf("Bail out! no %s in the ring's file\n", what);
        exit(1);
    }

    close(fd);
}


static void
test_missing(void)
{
    unsigned          i;
    klaviyo_batch_t  *batch;

    test_ring_open();

    for (i = 0; i < 5; i++) {
        test_append(i, 0, NULL, 0);
    }

    test_spoil("\"n\":1,");
    test_spoil("\"n\":4,");

    batch = test_batch();
    is_int(test_fill(batch, 1000, 4000000, 0),
           KLAVIYO_RING_EMPTY, "read to the end");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_LOST_CORRUPT), 2,
           "records that are none are lost");
    klaviyo_batch_close(batch);
    test_is_requests(batch, "0,2,3 ", "the others are not");

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* the ring is empty, and every event that it ever had is somewhere */

static void
test_ends(klaviyo_figures_t *figures, unsigned events)
{
    int       i;
    uint64_t  sum;

    klaviyo_ring_figures(ring, figures);
    is_int(figures->queued, 0, "nothing is left");

    sum = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        sum += figures->outcome[i];
    }

    is_int(sum, events, "every event is somewhere");
}


/* delivers what a batch has read, and acknowledges it */

static void
test_deliver(klaviyo_batch_t *batch, const klaviyo_lease_t *lease,
    char *requests)
{
    klaviyo_ack_t  ack;

    klaviyo_batch_close(batch);
    test_requests(batch, requests);
    ok(klaviyo_batch_done(batch), "done");

    klaviyo_batch_ack(batch, &ack);
    is_int(klaviyo_ring_ack(ring, lease->epoch, &ack, 0), KLAVIYO_RING_OK,
           "acknowledged");

    klaviyo_batch_destroy(batch);
}


/* `n` events of the ring are in the spool only; the first few can be read */

static void
test_release(const klaviyo_lease_t *lease, klaviyo_chunk_t *chunk, int readable,
    int n)
{
    int                i;
    uint8_t            buf[4096];
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;

    klaviyo_ring_first(ring, &cursor);

    for (i = 0; i < n; i++) {
        klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);
        cursor = record.next;

        if (i < readable) {
            chunk_put(chunk, record.seq, &record.event);
        }
    }

    is_int(klaviyo_ring_release(ring, lease->epoch, &cursor), KLAVIYO_RING_OK,
           "events are in the spool only");
}


/* the ring drops its oldest events while a batch is between two fills */

static void
test_dropped(void)
{
    int                n;
    uint64_t           lost;
    klaviyo_chunk_t    chunk;
    klaviyo_lease_t    lease;
    klaviyo_batch_t   *batch;
    klaviyo_figures_t  figures;

    static char        requests[64 * 1024];

    test_ring_open_sized(KLAVIYO_RING_MIN_SIZE, 1);

    memset(&lease, 0, sizeof(lease));
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    for (n = 0; n < 100; n++) {
        test_append((unsigned) n, 0, NULL, 1000);
    }

    batch = test_batch();
    test_fill(batch, 10, 4000000, 0);

    for ( /* void */ ; n < 1000; n++) {
        test_append((unsigned) n, 0, NULL, 1000);
    }

    klaviyo_ring_figures(ring, &figures);
    lost = figures.outcome[KLAVIYO_OUTCOME_LOST_FULL];
    ok(lost > 500, "hundreds were dropped, the ten among them");

    is_int(test_fill(batch, 1000, 4000000, 0),
           KLAVIYO_RING_EMPTY, "read to the end");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_LOST_FULL), 0,
           "they are not told a second time");

    test_deliver(batch, &lease, requests);
    ok(strstr(requests, ",9,") != NULL && strstr(requests, ",999 ") != NULL,
       "before and behind");

    test_ends(&figures, 1000);
    is_int(figures.outcome[KLAVIYO_OUTCOME_LOST_FULL], lost - 10,
           "the ten are lost no more");
    is_int(figures.outcome[KLAVIYO_OUTCOME_DELIVERED], 1000 - lost + 10,
           "they are delivered");

    /* and what comes behind is in the spool by now */

    for (n = 0; n < 100; n++) {
        test_append((unsigned) n, 0, NULL, 1000);
    }

    batch = test_batch();
    test_fill(batch, 10, 4000000, 0);

    for ( /* void */ ; n < 1000; n++) {
        test_append((unsigned) n, 0, NULL, 1000);
    }

    memset(&chunk, 0, sizeof(chunk));
    test_release(&lease, &chunk, 5, 5);
    stream.chunk = &chunk;

    is_int(test_fill(batch, 1000, 4000000, 0),
           KLAVIYO_RING_EMPTY, "read to the end");

    test_deliver(batch, &lease, requests);
    test_ends(&figures, 2000);
    is_int(figures.outcome[KLAVIYO_OUTCOME_LOST_SPOOL_FULL], 0,
           "the ring dropped them, not the spool");

    klaviyo_chunk_free(&chunk);
    klaviyo_lease_close(&lease);
    test_ring_close();
}


/* the rest of the spool is lost while a batch is between two fills */

static void
test_spool_lost(klaviyo_outcome_e outcome)
{
    int                   i;
    klaviyo_chunk_t       chunk;
    klaviyo_lease_t       lease;
    klaviyo_batch_t      *batch;
    klaviyo_figures_t     figures;
    klaviyo_ring_span_t   span;

    static char           requests[64 * 1024];

    test_ring_open();

    memset(&chunk, 0, sizeof(chunk));
    memset(&lease, 0, sizeof(lease));
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    for (i = 0; i < 10; i++) {
        test_append((unsigned) i, 1, NULL, 0);
    }

    test_release(&lease, &chunk, 2, 6);
    stream.chunk = &chunk;

    batch = test_batch();
    is_int(test_fill(batch, 1000, 4000000, 0), KLAVIYO_RING_AGAIN,
           "two were read from the spool");
    is_int(test_events(batch), 2, "two");

    klaviyo_ring_span(ring, &span);
    is_int(klaviyo_ring_lose(ring, lease.epoch, span.first.seq, outcome),
           KLAVIYO_RING_OK, "then the spool is no more");

    is_int(test_fill(batch, 1000, 4000000, 0), KLAVIYO_RING_EMPTY,
           "read to the end of the ring");

    test_deliver(batch, &lease, requests);
    is_str(requests, "0,1,6,7,8,9 ", "all but those that are lost");

    test_ends(&figures, 10);
    is_int(figures.outcome[outcome], 4, "four are lost: %s",
           klaviyo_outcome_names[outcome].name);
    is_int(figures.outcome[KLAVIYO_OUTCOME_LOST_FULL], 0,
           "the ring dropped none");

    klaviyo_chunk_free(&chunk);
    klaviyo_lease_close(&lease);
    test_ring_close();
}


/* the ring has given five of its events to the spool, which cannot read two */

static void
test_spool(void)
{
    int                i;
    uint8_t            buf[4096];
    klaviyo_ack_t      ack;
    klaviyo_chunk_t    chunk;
    klaviyo_lease_t    lease;
    klaviyo_batch_t   *batch;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;
    klaviyo_figures_t  figures;

    test_ring_open();

    memset(&chunk, 0, sizeof(chunk));
    memset(&lease, 0, sizeof(lease));
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    for (i = 0; i < 8; i++) {
        test_append((unsigned) i, 1, NULL, 0);
    }

    klaviyo_ring_first(ring, &cursor);

    for (i = 0; i < 5; i++) {
        klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);
        cursor = record.next;

        if (i != 1 && i != 4) {
            chunk_put(&chunk, record.seq, &record.event);
        }
    }

    chunk.to = cursor.seq;

    is_int(klaviyo_ring_release(ring, lease.epoch, &cursor), KLAVIYO_RING_OK,
           "five events are in the spool only");

    batch = test_batch();
    is_int(test_fill(batch, 1000, 4000000, 0), KLAVIYO_RING_AGAIN,
           "not read yet: again");
    ok(test_events(batch) == 0 && test_adds_up(batch)
       && stream.wanted == cursor.seq - 5, "from the first one on");

    stream.chunk = &chunk;
    is_int(test_fill(batch, 1000, 4000000, 0), KLAVIYO_RING_EMPTY,
           "read to the end of the ring");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_LOST_SPOOL), 2,
           "what the spool cannot read is lost by the spool");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_LOST_CORRUPT), 0,
           "not by the ring");

    klaviyo_batch_close(batch);
    test_is_requests(batch, "0,2,3,5,6,7 ", "both tiers in order");

    klaviyo_batch_ack(batch, &ack);
    is_int(klaviyo_ring_ack(ring, lease.epoch, &ack, 0), KLAVIYO_RING_OK,
           "acknowledged");
    klaviyo_ring_figures(ring, &figures);
    ok(figures.queued == 0
       && figures.outcome[KLAVIYO_OUTCOME_DELIVERED] == 6
       && figures.outcome[KLAVIYO_OUTCOME_LOST_SPOOL] == 2,
       "and booked");

    klaviyo_batch_destroy(batch);
    klaviyo_chunk_free(&chunk);
    klaviyo_lease_close(&lease);
    test_ring_close();
}


static int64_t
test_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static void
test_time(unsigned profiles, const char *name)
{
    int64_t             start, filled, closed, built;
    unsigned            i;
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request;

    test_ring_open();

    for (i = 0; i < 1000; i++) {
        test_append(i, i % profiles, NULL, 420);
    }

    batch = test_batch();

    start = test_now();
    test_fill(batch, 1000, 4000000, 0);
    filled = test_now();
    klaviyo_batch_close(batch);
    closed = test_now();
    request = klaviyo_batch_next(batch);
    klaviyo_request_body(batch, request);
    built = test_now();

    diag("%s: fill %d us, close %d us, body of %u bytes %d us", name,
         (int) (filled - start), (int) (closed - filled),
         (unsigned) request->body_len, (int) (built - closed));

    ok(request->n == 1000 && built - start < 200000 * tap_slow(),
       "%s: in time", name);

    klaviyo_batch_destroy(batch);
    test_ring_close();
}



/*
 * All of a large queue is too old: it ends in steps that each hold the event
 * loop for no more than 10 ms, in time of the processor.
 */

static void
test_expire_steps(void)
{
    long               us, most;
    unsigned           i, n, steps;
    klaviyo_batch_t   *batch, *next;
    struct timespec    from, to;

    test_ring_open();

    for (n = 0; n < 6000; n++) {
        test_append(n, n, NULL, 4000);
    }

    memset(&given_up, 0, sizeof(given_up));
    batch = test_batch();
    most = 0;
    steps = 0;

    for (i = 0; i < 1000 && given_up.n < n; i++) {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);

        test_fill(batch, 1000, 4000000, INT64_MAX);
        klaviyo_batch_close(batch);
        next = klaviyo_batch_create(klaviyo_batch_end(batch), &klaviyo_lanes[0]);
        klaviyo_batch_destroy(batch);
        batch = next;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);

        us = (to.tv_sec - from.tv_sec) * 1000000
             + (to.tv_nsec - from.tv_nsec) / 1000;
        most = us > most ? us : most;
        steps++;
    }

    klaviyo_batch_destroy(batch);

    is_int(given_up.n, n, "24 MB that are too old");
    ok(steps >= 20 && most < 10000 * tap_slow(),
       "end in %u steps, the longest %ld us", steps, most);

    test_ring_close();
}


/* what goes by itself has the profile's meta among its attributes */

static void
test_meta(void)
{
    size_t           len;
    char             sent[1024];
    uint8_t          buf[1024];
    unsigned         i;
    klaviyo_event_t  event;

    static const struct {
        const char  *profile;
        const char  *sent;
    } test[] = {
        { "{\"type\":\"profile\",\"attributes\":{\"a\":1}}", NULL },
        { "{\"type\":\"profile\",\"attributes\":{\"a\":1},"
          "\"meta\":{\"m\":2}}",
          "{\"type\":\"profile\",\"attributes\":{\"a\":1,"
          "\"meta\":{\"m\":2}}}" },
        { "{\"type\":\"profile\",\"attributes\":{},\"meta\":{\"m\":2}}",
          "{\"type\":\"profile\",\"attributes\":{\"meta\":{\"m\":2}}}" },
        { "{\"type\":\"profile\",\"meta\":{\"m\":2}}", NULL }
    };

    for (i = 0; i < sizeof(test) / sizeof(test[0]); i++) {
        memset(&event, 0, sizeof(event));
        event.profile = (const uint8_t *) test[i].profile;
        event.profile_len = strlen(test[i].profile);
        event.attributes = (const uint8_t *) "\"properties\":{}";
        event.attributes_len = 15;

        len = klaviyo_body_single(buf, &event);
        (void) snprintf(sent, sizeof(sent),
                        "{\"data\":{\"type\":\"event\",\"attributes\":"
                        "{\"properties\":{},\"profile\":{\"data\":%s}}}}",
                        test[i].sent ? test[i].sent : test[i].profile);

        is_mem(buf, len, sent, strlen(sent), "%s", sent);
    }
}


/* so many events, each of a profile of its own; filled and closed */

static klaviyo_batch_t *
batch_of(unsigned n)
{
    unsigned          i;
    klaviyo_batch_t  *batch;

    test_ring_open();

    for (i = 0; i < n; i++) {
        test_append(i, i, NULL, 0);
    }

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);

    return batch;
}


static void
batch_end(klaviyo_batch_t *batch, const char *expected, const char *what)
{
    test_is_requests(batch, expected, what);
    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* what is said of a batch while it is sent */

static void
test_told(void)
{
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request;

    test_ring_open();
    test_append(7, 1, NULL, 0);
    test_append(3, 1, NULL, 0);
    test_append(5, 1, NULL, 0);

    batch = test_batch();
    ok(klaviyo_batch_oldest(batch) == INT64_MAX, "an empty one has no oldest");
    is_int(klaviyo_batch_events(batch), 0, "nor events");
    test_fill(batch, 1000, 4000000, 0);
    is_int(klaviyo_batch_oldest(batch), 1003, "its oldest event");
    is_int(klaviyo_batch_events(batch), 3, "its events");
    is_int(klaviyo_batch_aside(batch), 0, "none is set aside");
    klaviyo_batch_unsure(batch);
    klaviyo_batch_close(batch);

    request = klaviyo_batch_next(batch);
    is_int(request->unsure, 1, "somebody may have sent it");
    klaviyo_request_body(batch, request);
    klaviyo_batch_finish(batch, request, KLAVIYO_OUTCOME_DELIVERED);
    ok(klaviyo_batch_done(batch), "done");

    klaviyo_batch_shrink(batch);
    is_int(klaviyo_batch_events(batch), 0, "then it gives its memory back");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DELIVERED), 3,
           "and knows what to acknowledge");
    ok(test_adds_up(batch), "all of it");

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* one that is set aside, between others: a batch of its own */

static void
test_aside(void)
{
    unsigned            i;
    klaviyo_batch_t    *batch;
    klaviyo_event_t     event;
    klaviyo_record_t    record;
    klaviyo_cursor_t    cursor;
    klaviyo_request_t  *request;
    uint8_t             buf[1024];

    static klaviyo_asides_t  asides;

    static const unsigned  events[] = { 2, 1, 1 };

    klaviyo_set_key(&asides.key);
    test_ring_open();

    for (i = 0; i < 4; i++) {
        test_append(i, i, NULL, 0);
    }

    klaviyo_ring_first(ring, &cursor);

    for (i = 0; i < 3; i++) {
        klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);
        cursor = record.next;
    }

    event = record.event;
    ok(klaviyo_aside_add(&asides, &event, 0) != NULL, "the third is set aside");

    batch = test_batch();

    for (i = 0; i < 3; i++) {
        (void) klaviyo_batch_fill(batch, &stream, 1000, 1 << 20, 0, &asides,
                                  test_give_up, &given_up);
        is_int(klaviyo_batch_events(batch), events[i], "%u events", events[i]);
        is_int(klaviyo_batch_aside(batch), i == 1, "set aside, or not");
        is_int(klaviyo_batch_close(batch), 0, "closed");

        request = klaviyo_batch_waits(batch, i == 1 ? KLAVIYO_REQUEST_ASIDE
                                                    : KLAVIYO_REQUEST_FRESH);
        ok(request != NULL && request->n == events[i],
           "its request is known as such");

        batch = test_behind(batch);
    }

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* each by itself */

static void
test_apart(void)
{
    klaviyo_batch_t  *batch;

    batch = batch_of(4);
    is_int(klaviyo_batch_apart(batch), 0, "apart");
    batch_end(batch, "0 1 2 3 ", "each by itself");
}


/* which of those that wait is the next */

static void
test_waits(void)
{
    unsigned            i;
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request, *r[4];

    batch = batch_of(4);
    is_int(klaviyo_batch_oldest(batch), 1000, "the first is the oldest");
    klaviyo_batch_apart(batch);

    ok(klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED) == NULL,
       "none is doubted");
    ok(klaviyo_batch_suspect(batch, 1000) == NULL, "nor suspect");

    request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_FRESH);

    for (i = 0; i < 4; i++, request = request->next) {
        r[i] = request;
    }

    ok(r[3]->next == NULL, "four wait");

    r[1]->state = KLAVIYO_REQUEST_DOUBTED;
    r[1]->sent = 9;
    r[1]->failed = 5;
    r[2]->state = KLAVIYO_REQUEST_DOUBTED;
    r[2]->sent = 7;
    r[2]->failed = 4;
    r[3]->state = KLAVIYO_REQUEST_ASIDE;
    r[3]->sent = 1;
    r[3]->failed = 1;

    ok(klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED) == r[2],
       "the one that was sent longest ago");
    r[1]->sent = 7;
    ok(klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED) == r[1],
       "of two the first");
    ok(klaviyo_batch_waits(batch, KLAVIYO_REQUEST_ASIDE) == r[3], "set aside");

    ok(klaviyo_batch_suspect(batch, 3) == NULL,
       "nothing was accepted since it failed");
    ok(klaviyo_batch_suspect(batch, 4) == r[2], "something was");
    ok(klaviyo_batch_suspect(batch, 5) == r[1], "since both failed");

    klaviyo_batch_take(batch, r[1]);
    ok(klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED) == r[2],
       "one that was taken does not wait");
    klaviyo_batch_requeue(batch, r[1], 0);

    for (i = 1; i < 4; i++) {
        r[i]->state = KLAVIYO_REQUEST_FRESH;
    }

    batch_end(batch, "1 0 2 3 ", "it goes first");
}


/* one of several is tried by itself */

static void
test_probe(void)
{
    char                first[16], rest[16], expected[64];
    unsigned            n;
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request, *probe, *again;

    batch = batch_of(3);

    request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_FRESH);
    request->unsure = 1;
    request->sent = 8;
    request->failed = 6;
    request->state = KLAVIYO_REQUEST_DOUBTED;

    probe = klaviyo_batch_probe(batch, request);
    ok(probe != NULL && probe->n == 1 && probe->single, "one");
    ok(probe->unsure && probe->sent == 8 && probe->failed == 6, "as it was");
    is_int(request->n, 2, "the others stay together");

    klaviyo_request_body(batch, probe);
    test_body(probe, first);
    n = (unsigned) atoi(first);
    (void) snprintf(rest, sizeof(rest), "%d|%d ", n == 0, n == 2 ? 1 : 2);

    /* one that is tried again is not taken apart */

    klaviyo_batch_requeue(batch, probe, 0);
    again = klaviyo_batch_probe(batch, probe);
    ok(again == probe, "one is taken as it is");
    klaviyo_batch_requeue(batch, again, 0);

    request->state = KLAVIYO_REQUEST_FRESH;
    request->again = 1;
    ok(klaviyo_batch_probe(batch, request) == request,
       "what goes again, too, as a whole");
    klaviyo_batch_requeue(batch, request, 0);

    (void) snprintf(expected, sizeof(expected), "%s%s ", rest, first);
    batch_end(batch, expected, "all go");
}


/* the end of an outage */

static void
test_regroup(void)
{
    unsigned            i;
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request, *r[5];

    batch = batch_of(5);
    klaviyo_batch_apart(batch);
    request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_FRESH);

    for (i = 0; i < 5; i++, request = request->next) {
        r[i] = request;
    }

    r[1]->state = KLAVIYO_REQUEST_DOUBTED;
    r[1]->failed = 5;
    is_int(klaviyo_batch_regroup(batch), 0, "one alone");
    is_int(r[1]->state, KLAVIYO_REQUEST_FRESH, "goes as it is");
    is_int(r[1]->n, 1, "by itself");

    r[1]->state = KLAVIYO_REQUEST_DOUBTED;
    r[3]->state = KLAVIYO_REQUEST_DOUBTED;
    r[3]->failed = 7;
    r[3]->unsure = 1;
    r[4]->state = KLAVIYO_REQUEST_ASIDE;

    is_int(klaviyo_batch_regroup(batch), 0, "several");
    request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_FRESH);
    is_int(request->n, 2, "together");
    ok(request->unsure && request->again && request->tries == 1, "tried once");
    is_int(request->failed, 7, "failed last when the last of them did");
    ok(klaviyo_batch_waits(batch, KLAVIYO_REQUEST_ASIDE) == r[4],
       "not the one that is set aside");

    r[4]->state = KLAVIYO_REQUEST_FRESH;
    batch_end(batch, "1|3 0 2 4 ", "then all others");
}


int
main(void)
{
    test_init();

    test_meta();
    test_told();
    test_aside();
    test_apart();
    test_waits();
    test_probe();
    test_regroup();

    test_bytes();
    test_groups();
    test_limits();
    test_expired();
    test_missing();
    test_dropped();
    test_spool_lost(KLAVIYO_OUTCOME_LOST_SPOOL);
    test_spool_lost(KLAVIYO_OUTCOME_LOST_SPOOL_FULL);
    test_spool();

    test_time(1000, "1000 events, a profile each");
    test_time(10, "1000 events of 10 profiles");

    test_expire_steps();

    test_end();

    return done_testing();
}

/*
 * The ring as the first of two tiers: what it says and books of events that
 * only the spool has.
 */


#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>

#include "ring.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_lock.h"
#include "queue/klaviyo_ring_private.h"
#include "queue/klaviyo_ring_slot.h"


#define MODEL_STEPS  20000
#define MODEL_BELOW  1000000     /* numbers below the first, for adoption   */
#define MODEL_EVENTS 2000000


/* what the test knows of each event, in the order of their numbers */

typedef struct {
    uint64_t        captured;
    uint64_t        delivered;
    uint64_t        lost;
    uint64_t        full;
    uint64_t        done;
    uint64_t        first;
    uint64_t        end;
    klaviyo_ack_t   flight;
    int             flying;
    uint8_t         gone[MODEL_EVENTS];      /* lost without the reader     */
    uint64_t        position[MODEL_EVENTS];  /* behind the event            */
} model_t;


static model_t  model;


#define model_at(seq)  ((seq) - RING_SEQ + MODEL_BELOW)


static void
test_release(void)
{
    uint8_t              buf[16384], uuid[KLAVIYO_RING_UUID_LEN];
    uint64_t             used;
    klaviyo_ack_t        ack;
    klaviyo_ring_t      *ring;
    klaviyo_cursor_t     cursor, to, wrong;
    klaviyo_record_t     record;
    klaviyo_figures_t    f;
    klaviyo_ring_span_t  span;

    ring = ring_open(RING_SIZE, 0);
    is_int(klaviyo_ring_span(ring, &span), KLAVIYO_RING_OK, "span");
    ok(span.done == RING_SEQ && span.first.seq == RING_SEQ
       && span.end.seq == RING_SEQ, "a new ring's first number");
    is_int(span.used, 0, "nothing used");
    is_int(span.size, RING_SIZE, "of its size");
    memcpy(uuid, span.uuid, sizeof(uuid));

    ring_fill(ring, 0, 100, 300);
    klaviyo_ring_span(ring, &span);
    is_int(span.end.seq - span.first.seq, 100, "100 in the ring");
    used = span.used;

    to = ring_cursor(ring, 60);

    wrong = to;
    wrong.position += 8;
    is_int(klaviyo_ring_release(ring, 0, &wrong), KLAVIYO_RING_ERROR,
           "release to no place for a record");
    wrong = to;
    wrong.seq = span.end.seq + 1;
    is_int(klaviyo_ring_release(ring, 0, &wrong), KLAVIYO_RING_ERROR,
           "beyond the end");
    wrong = to;
    wrong.position = span.end.position + 16;
    is_int(klaviyo_ring_release(ring, 0, &wrong), KLAVIYO_RING_ERROR,
           "or with a position beyond it");
    wrong = span.end;
    wrong.position = to.position;
    is_int(klaviyo_ring_release(ring, 0, &wrong), KLAVIYO_RING_ERROR,
           "or with one that is not the end's");
    wrong = to;
    wrong.position = span.end.position;
    is_int(klaviyo_ring_release(ring, 0, &wrong), KLAVIYO_RING_ERROR,
           "or with too few bytes behind it");
    is_int(klaviyo_ring_release(ring, 9, &to), KLAVIYO_RING_STALE,
           "with another epoch");
    is_int(ring_queued(ring), 100, "nothing has happened");

    is_int(klaviyo_ring_release(ring, 0, &to), KLAVIYO_RING_OK, "release");
    is_int(klaviyo_ring_release(ring, 0, &to), KLAVIYO_RING_OK, "again");

    klaviyo_ring_span(ring, &span);
    is_int(span.done, RING_SEQ, "done stays");
    is_int(span.first.seq - span.done, 60, "60 in the spool");
    is_int(span.end.seq - span.first.seq, 40, "40 in the ring");
    ok(span.used < used / 2, "the space is free");
    klaviyo_ring_figures(ring, &f);
    is_int(f.queued, 100, "all are queued");
    is_int(f.spooled, 60, "60 spooled");
    is_int(f.used, span.used, "used is that of the ring");
    ring_equation(ring, "after release");

    /* where a reader stands */

    klaviyo_ring_first(ring, &cursor);
    is_int(cursor.seq, RING_SEQ, "the first is in the spool");
    ok(cursor.position == to.position, "with the ring's position");
    is_int(klaviyo_ring_ahead(ring, &cursor), span.used + 1,
           "the ring's bytes are ahead, and more");

    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_AGAIN, "reading it: again");
    is_int(record.seq, cursor.seq, "this one is wanted");

    cursor.seq = 5;
    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_AGAIN, "from before the first");
    is_int(record.seq, RING_SEQ, "the first is wanted");

    cursor.seq = to.seq;
    cursor.position = 0;
    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_OK, "by number, without a position");
    is_int(record.seq, to.seq, "the ring's first");
    is_int(record.missing, 0, "nothing missing");

    cursor.seq = to.seq + 5;
    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_OK, "a later one");
    is_int(record.seq, to.seq + 5, "that one");
    is_int(record.missing, 0, "nothing missing");

    /* acknowledgements: in the spool, across, in the ring */

    memset(&ack, 0, sizeof(ack));
    ack.from.seq = RING_SEQ;
    ack.to.seq = RING_SEQ + 20;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 20;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK,
           "ack in the spool");
    klaviyo_ring_span(ring, &span);
    is_int(span.done - RING_SEQ, 20, "done moved");
    ok(span.first.seq == to.seq && span.first.position == to.position,
       "the ring's part did not");
    klaviyo_ring_figures(ring, &f);
    is_int(f.queued, 80, "80 left");
    is_int(f.spooled, 40, "40 of them spooled");
    ring_equation(ring, "after an ack in the spool");

    ack.from.seq = span.done + 1;
    ack.to.seq = span.done + 1;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 0;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_ERROR,
           "ack that leaves one out");

    ack.from.seq = span.done;
    ack.to.seq = to.seq + 1;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 41;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_ERROR,
           "ack into the ring needs a position");
    ack.to = ring_cursor(ring, 10);
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 50;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK,
           "ack across the two");
    klaviyo_ring_span(ring, &span);
    ok(span.done == to.seq + 10 && span.first.seq == to.seq + 10,
       "both moved");
    is_int(ring_queued(ring), 30, "30 left");
    is_int(ring_captured(ring), 100, "captured stays");
    ring_equation(ring, "after an ack across");

    is_int(klaviyo_ring_release(ring, 0, &to), KLAVIYO_RING_OK,
           "release of what has gone by now");
    is_int(ring_queued(ring), 30, "is nothing");

    klaviyo_ring_span(ring, &span);
    is_int(klaviyo_ring_release(ring, 0, &span.end), KLAVIYO_RING_OK,
           "release of all");
    klaviyo_ring_figures(ring, &f);
    is_int(f.spooled, 30, "all are spooled");
    is_int(f.used, 0, "the ring is empty");
    cursor = span.end;
    is_int(klaviyo_ring_ahead(ring, &cursor), 0, "nothing ahead of the end");
    is_int(klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_EMPTY, "and nothing to read");
    klaviyo_ring_first(ring, &cursor);
    ok(klaviyo_ring_ahead(ring, &cursor) > 0, "but of the first");

    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    klaviyo_ring_figures(ring, &f);
    is_int(f.spooled, 30, "spooled outlives the process");
    is_int(f.queued, 30, "queued, too");
    klaviyo_ring_span(ring, &span);
    is_mem(span.uuid, sizeof(uuid), (char *) uuid, sizeof(uuid), "the uuid");
    ring_equation(ring, "after attaching again");
    klaviyo_ring_detach(ring);
}


/* a ring of a hundred events, sixty of which the spool alone has */

static klaviyo_ring_t *
released(klaviyo_cursor_t *to, klaviyo_ring_span_t *span)
{
    klaviyo_ring_t  *ring;

    ring = ring_open(RING_SIZE, 1);
    ring_fill(ring, 0, 100, 300);
    *to = ring_cursor(ring, 60);
    klaviyo_ring_release(ring, 0, to);
    klaviyo_ring_span(ring, span);

    return ring;
}


static void
test_lose(void)
{
    klaviyo_ack_t        ack;
    klaviyo_ring_t      *ring;
    klaviyo_cursor_t     to;
    klaviyo_ring_span_t  span;

    ring = released(&to, &span);

    is_int(klaviyo_ring_lose(ring, 0, to.seq + 1,
                             KLAVIYO_OUTCOME_LOST_SPOOL_FULL),
           KLAVIYO_RING_ERROR, "the spool cannot lose the ring's");
    is_int(klaviyo_ring_lose(ring, 3, to.seq,
                             KLAVIYO_OUTCOME_LOST_SPOOL_FULL),
           KLAVIYO_RING_STALE, "nor with another epoch");
    is_int(klaviyo_ring_lose(ring, 0, span.done + 10, KLAVIYO_OUTCOME_N),
           KLAVIYO_RING_ERROR, "nor for a reason that is none");
    is_int(klaviyo_ring_lose(ring, 0, span.done + 10,
                             KLAVIYO_OUTCOME_LOST_SPOOL_FULL),
           KLAVIYO_RING_OK, "10 are lost");
    is_int(klaviyo_ring_lose(ring, 0, span.done + 10,
                             KLAVIYO_OUTCOME_LOST_SPOOL_FULL),
           KLAVIYO_RING_OK, "once");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_SPOOL_FULL), 10,
           "and booked");
    is_int(ring_queued(ring), 90, "90 left");
    ring_equation(ring, "after a loss");

    /* 20 were in flight, and arrived */

    memset(&ack, 0, sizeof(ack));
    ack.from.seq = span.done;
    ack.to.seq = span.done + 20;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 20;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK,
           "ack of events partly lost");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_SPOOL_FULL), 0,
           "none lost after all");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_DELIVERED), 20, "20 delivered");
    is_int(ring_captured(ring), 100, "captured stays");
    ring_equation(ring, "after that");

    /* the same in two: lost first by the spool, then by the ring */

    ack.from.seq = span.done + 20;
    ack.to = ring_cursor(ring, 10);
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 50;
    klaviyo_ring_lose(ring, 0, span.done + 30, KLAVIYO_OUTCOME_LOST_SPOOL);
    klaviyo_ring_lose(ring, 0, to.seq, KLAVIYO_OUTCOME_LOST_SPOOL);
    ring_fill(ring, 100, 1000, 1000);
    klaviyo_ring_span(ring, &span);
    ok(span.done > ack.to.seq && span.done == span.first.seq,
       "drop_oldest goes on when the spool is empty");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_SPOOL), 40, "40 of the "
           "spool");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_FULL),
           span.done - to.seq, "the others of the ring");
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK, "ack of both");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_SPOOL), 0,
           "none lost of the spool");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_FULL),
           span.done - to.seq - 10, "10 fewer of the ring");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_DELIVERED), 70, "70 delivered");
    ring_equation(ring, "after that, too");

    klaviyo_ring_detach(ring);
}


/* what was in flight, lost meanwhile for one reason, another and the first */

static void
test_lose_in_turn(void)
{
    klaviyo_ack_t        ack;
    klaviyo_ring_t      *ring;
    klaviyo_cursor_t     to;
    klaviyo_ring_span_t  span;

    ring = released(&to, &span);

    klaviyo_ring_lose(ring, 0, span.done + 10, KLAVIYO_OUTCOME_LOST_SPOOL);
    klaviyo_ring_lose(ring, 0, span.done + 20,
                      KLAVIYO_OUTCOME_LOST_SPOOL_FULL);
    klaviyo_ring_lose(ring, 0, span.done + 30, KLAVIYO_OUTCOME_LOST_SPOOL);

    memset(&ack, 0, sizeof(ack));
    ack.from.seq = span.done;
    ack.to.seq = span.done + 35;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 35;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK,
           "ack of three losses");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_SPOOL), 0,
           "none lost of the spool");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_SPOOL_FULL), 0,
           "nor because it was full");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_DELIVERED), 35, "35 delivered");
    is_int(ring_queued(ring), 65, "65 left");
    ring_equation(ring, "after all");

    klaviyo_ring_detach(ring);
}


/* drop_oldest must not take the middle of the stream */

static void
test_drop_oldest(void)
{
    uint64_t             done, lost;
    unsigned             n;
    klaviyo_ring_t      *ring;
    klaviyo_cursor_t     to;
    klaviyo_figures_t    f;
    klaviyo_ring_span_t  span;

    ring = released(&to, &span);
    done = span.done;

    for (n = 0; n < 2000; n++) {
        if (ring_append(ring, 1, n, 300) == KLAVIYO_RING_FULL) {
            break;
        }
    }

    ok(n < 2000, "full, with older events in the spool");
    klaviyo_ring_figures(ring, &f);
    is_int(f.counter[KLAVIYO_COUNT_LOST_QUEUE_FULL], 1, "counted");
    klaviyo_ring_span(ring, &span);
    ok(span.done == done && span.first.seq == to.seq, "nothing has moved");
    ring_equation(ring, "when it is full");

    klaviyo_ring_lose(ring, 0, to.seq, KLAVIYO_OUTCOME_LOST_SPOOL_FULL);
    lost = ring_outcome(ring, KLAVIYO_OUTCOME_LOST_FULL);
    is_int(ring_append(ring, 1, n, 300), KLAVIYO_RING_OK,
           "when the spool gave its own up, the oldest go");
    ok(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_FULL) > lost, "counted");
    ring_equation(ring, "then");

    klaviyo_ring_detach(ring);
}


/* what was dropped meanwhile is found at the end of the spool, as a gap */

static void
test_adopt_dropped(void)
{
    uint64_t              dropped;
    klaviyo_ring_t       *ring;
    klaviyo_ring_span_t   span;

    ring = ring_open(RING_SIZE, 1);
    ring_fill(ring, 0, 1500, 300);
    klaviyo_ring_span(ring, &span);
    dropped = span.first.seq - RING_SEQ;

    ok(dropped > 0, "%" PRIu64 " were dropped", dropped);
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_FULL), dropped, "counted");
    is_int(klaviyo_ring_adopt(ring, 0, RING_SEQ, 50, 7), KLAVIYO_RING_OK,
           "50 before them are adopted");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_FULL), 0,
           "they are to be booked again");
    klaviyo_ring_span(ring, &span);
    is_int(span.done, RING_SEQ - 50, "behind those of the spool");
    is_int(ring_captured(ring), 1550, "all were captured");
    ring_equation(ring, "after that");

    klaviyo_ring_detach(ring);
}


static void
test_adopt(void)
{
    klaviyo_ack_t        ack;
    klaviyo_ring_t      *ring;
    klaviyo_figures_t    f;
    klaviyo_ring_span_t  span;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);

    is_int(klaviyo_ring_adopt(ring, 1, RING_SEQ, 500, 7), KLAVIYO_RING_STALE,
           "with another epoch");
    is_int(klaviyo_ring_adopt(ring, 0, RING_SEQ, RING_SEQ, 7),
           KLAVIYO_RING_ERROR, "more than there are numbers");
    is_int(klaviyo_ring_adopt(ring, 0, RING_SEQ - 1, 500, 7),
           KLAVIYO_RING_AGAIN, "before another first one");
    is_int(ring_captured(ring), 10, "nothing has happened");
    is_int(klaviyo_ring_adopt(ring, 0, RING_SEQ, 500, 7), KLAVIYO_RING_OK,
           "500 more");
    is_int(klaviyo_ring_adopt(ring, 0, RING_SEQ, 500, 7), KLAVIYO_RING_OK,
           "a repetition");

    klaviyo_ring_span(ring, &span);
    is_int(span.adoption, 7, "its number");
    is_int(span.first.seq - span.done, 500, "500 before the first");
    klaviyo_ring_figures(ring, &f);
    is_int(f.captured, 510, "they are captured");
    is_int(f.queued, 510, "queued");
    is_int(f.spooled, 500, "spooled");
    ring_equation(ring, "after an adoption");

    memset(&ack, 0, sizeof(ack));
    ack.from.seq = span.done;
    ack.to.seq = span.done + 400;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = 400;
    is_int(klaviyo_ring_ack(ring, 0, &ack, 0), KLAVIYO_RING_OK,
           "they are delivered");
    klaviyo_ring_lose(ring, 0, span.done + 450,
                      KLAVIYO_OUTCOME_LOST_SPOOL_FULL);
    klaviyo_ring_adopt(ring, 0, RING_SEQ, 1050, 8);
    is_int(ring_captured(ring), 1510, "another 1000 and the 50 of before");
    is_int(ring_queued(ring), 1060, "are queued");
    ring_equation(ring, "after two adoptions");

    klaviyo_ring_adopt(ring, 0, RING_SEQ, 0, 9);
    is_int(ring_captured(ring), 460, "none at all after all");
    ring_equation(ring, "after the third");

    klaviyo_ring_detach(ring);
    ring = ring_open(RING_SIZE, 0);
    klaviyo_ring_span(ring, &span);
    is_int(span.adoption, 9, "the number outlives the process");
    ring_equation(ring, "in the next process");
    klaviyo_ring_detach(ring);
}


/* a slot filled by who dies before the commit, and a slot that cannot be */

static void
test_death(void)
{
    int                    i;
    pid_t                  pid;
    klaviyo_ring_t        *ring;
    klaviyo_cursor_t       to;
    klaviyo_ring_span_t    span;
    klaviyo_ring_slot_t    slot;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 100, 300);
    to = ring_cursor(ring, 60);

    for (i = 0; i < 3; i++) {
        pid = fork();

        if (pid == 0) {
            klaviyo_ring_lock(ring);
            klaviyo_ring_slot_get(ring, &slot);
            slot.generation++;
            slot.done += (i == 1) ? 3 : 0;
            slot.seq = to.seq + (i == 2);
            slot.position = to.position;
            memcpy(ring->slot[slot.generation & 1], &slot, sizeof(slot) / 2);
            raise(SIGKILL);
        }

        waitpid(pid, NULL, 0);

        klaviyo_ring_span(ring, &span);
        is_int(span.end.seq - span.first.seq, i ? 40 : 100,
               "a death before the commit: undone");
        is_int(span.done, RING_SEQ, "done, too");
        ring_equation(ring, "after it");
        is_int(klaviyo_ring_release(ring, 0, &to), KLAVIYO_RING_OK,
               "the next one takes the lock over");
    }

    /* more done than the ring has given back */

    klaviyo_ring_slot_get(ring, &slot);
    slot.done = slot.seq + 5;
    klaviyo_ring_slot_put(ring, &slot);
    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    klaviyo_ring_span(ring, &span);
    ok(span.done <= span.first.seq, "a slot that cannot be is not believed");
    ring_equation(ring, "with the one before");
    klaviyo_ring_detach(ring);
}


static void
test_reboot(void)
{
    ring_taken_t         taken;
    klaviyo_ring_t      *ring;
    klaviyo_cursor_t     to;
    klaviyo_ring_span_t  span;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 100, 300);
    to = ring_cursor(ring, 60);
    klaviyo_ring_release(ring, 0, &to);
    klaviyo_ring_lose(ring, 0, RING_SEQ + 10,
                      KLAVIYO_OUTCOME_LOST_SPOOL_FULL);
    memcpy(ring->shared->boot_id, "another boot", 12);
    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    klaviyo_ring_span(ring, &span);
    is_int(span.done - RING_SEQ, 10, "a reboot keeps done");
    is_int(span.first.seq - span.done, 50, "and what is spooled");
    is_int(span.end.seq - span.first.seq, 40, "and finds what is in the "
           "ring");
    ring_equation(ring, "after a reboot");

    klaviyo_ring_lose(ring, 0, to.seq, KLAVIYO_OUTCOME_LOST_SPOOL);
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 40, "which is read");
    is_int(taken.wrong + taken.missing, 0, "whole");
    ring_equation(ring, "when all is done");
    klaviyo_ring_detach(ring);
}


static void
test_drain(void)
{
    uint8_t              uuid[KLAVIYO_RING_UUID_LEN];
    ring_taken_t         taken;
    klaviyo_ring_t      *ring;
    klaviyo_lease_t      lease;
    klaviyo_cursor_t     to;
    klaviyo_figures_t    f;
    klaviyo_ring_span_t  span;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 100, 300);
    to = ring_cursor(ring, 60);
    klaviyo_ring_release(ring, 0, &to);
    klaviyo_ring_span(ring, &span);
    memcpy(uuid, span.uuid, sizeof(uuid));
    klaviyo_ring_detach(ring);

    ring = ring_open(2 * RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    is_int(klaviyo_ring_drain_span(ring, uuid, &span), KLAVIYO_RING_EMPTY,
           "not before it was looked for");
    klaviyo_ring_drain_open(ring);
    is_int(klaviyo_ring_drain_span(ring, uuid, &span), KLAVIYO_RING_BUSY,
           "its lease is not ours yet");
    is_int(klaviyo_ring_drain_span(ring, ring->fixed.uuid, &span),
           KLAVIYO_RING_EMPTY, "another ring is not drained");
    is_int(klaviyo_ring_drain_moved(ring, ring->fixed.uuid),
           KLAVIYO_RING_EMPTY, "nor moved");

    is_int(klaviyo_ring_drain(ring, lease.epoch, 200), 0,
           "nothing moves before what is in the spool");
    is_int(klaviyo_ring_drain_span(ring, uuid, &span), KLAVIYO_RING_OK,
           "now its lease is ours");
    is_int(span.first.seq - span.done, 60, "60 in the spool");
    is_mem(span.uuid, sizeof(uuid), (char *) uuid, sizeof(uuid), "of it");

    klaviyo_ring_drain_leave(ring);
    is_int(klaviyo_ring_drain_span(ring, uuid, &span), KLAVIYO_RING_BUSY,
           "who has left has no lease");
    is_int(klaviyo_ring_drain_moved(ring, uuid), KLAVIYO_RING_BUSY,
           "and books nothing");
    klaviyo_ring_drain_leave(ring);
    klaviyo_ring_drain(ring, lease.epoch, 200);
    is_int(klaviyo_ring_drain_span(ring, uuid, &span), KLAVIYO_RING_OK,
           "but gets it again");

    is_int(klaviyo_ring_adopt(ring, lease.epoch, RING_SEQ, 60, 1),
           KLAVIYO_RING_OK, "the spool's are adopted");
    is_int(klaviyo_ring_drain_moved(ring, uuid), KLAVIYO_RING_OK,
           "and booked as moved");
    is_int(klaviyo_ring_drain_moved(ring, uuid), KLAVIYO_RING_OK,
           "twice is once");
    is_int(klaviyo_ring_drain_lose(ring), 0,
           "and nothing is left to book for any");
    klaviyo_ring_drain_span(ring, uuid, &span);
    is_int(span.first.seq - span.done, 0, "none is left there");

    is_int(klaviyo_ring_drain(ring, lease.epoch, 200), 40,
           "the others follow");
    klaviyo_ring_drain(ring, lease.epoch, 200);
    is_int(klaviyo_ring_drain_span(ring, uuid, &span), KLAVIYO_RING_EMPTY,
           "and the ring goes");

    klaviyo_ring_figures(ring, &f);
    is_int(f.captured, 100, "captured is the whole");
    is_int(f.spooled, 60, "60 are spooled");
    is_int(f.queued, 100, "all queued");
    ring_equation(ring, "after the drain");

    klaviyo_ring_lose(ring, lease.epoch, RING_SEQ,
                      KLAVIYO_OUTCOME_LOST_SPOOL);
    ring_take(ring, lease.epoch, 1, &taken);
    is_int(taken.events, 40, "the ring's are read");
    is_int(taken.first, 60, "from the right one on");
    is_int(taken.wrong, 0, "whole");
    ring_equation(ring, "at the end");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


/* the spool is not known any more: what it has is not waited for */

static void
test_drain_without(void)
{
    uint8_t              uuid[KLAVIYO_RING_UUID_LEN];
    klaviyo_ring_t      *ring, *other;
    klaviyo_lease_t      lease;
    klaviyo_cursor_t     to;
    klaviyo_ring_span_t  span;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 100, 300);
    to = ring_cursor(ring, 60);
    klaviyo_ring_release(ring, 0, &to);
    klaviyo_ring_span(ring, &span);
    memcpy(uuid, span.uuid, sizeof(uuid));
    ok(klaviyo_ring_alone(ring), "alone");
    other = ring_open(RING_SIZE, 0);
    ok(!klaviyo_ring_alone(ring), "not alone");
    klaviyo_ring_detach(other);
    klaviyo_ring_detach(ring);

    ring = ring_open(2 * RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    is_int(klaviyo_ring_drain_lose(ring), 0,
           "without its lease nothing is booked");
    is_int(klaviyo_ring_drain(ring, lease.epoch, 200), 0, "nothing moves");
    ok(klaviyo_ring_drains(ring), "there is one");
    is_int(klaviyo_ring_drain_lose(ring), 60, "what the spool had is lost");
    is_int(klaviyo_ring_drain(ring, lease.epoch, 200), 40, "the rest moves");
    klaviyo_ring_drain(ring, lease.epoch, 200);
    is_int(klaviyo_ring_drain_span(ring, uuid, &span), KLAVIYO_RING_EMPTY,
           "and the ring goes");
    ok(!klaviyo_ring_drains(ring), "there is none");
    is_int(klaviyo_ring_drain_lose(ring), 0, "nothing to book with none");
    is_int(ring_captured(ring), 100, "all of it is counted");
    ring_equation(ring, "after the drain");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


static unsigned
model_random(uint64_t n)
{
    return n ? (unsigned) ((uint64_t) random() % n) : 0;
}


static void
model_append(klaviyo_ring_t *ring, unsigned n)
{
    uint64_t             seq;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;

    rc = ring_append(ring, 1, n, 10 + model_random(2000));
    model.captured++;

    if (rc == KLAVIYO_RING_FULL) {
        model.full++;
        return;
    }

    klaviyo_ring_span(ring, &span);
    model.position[model_at(model.end)] = span.end.position;
    model.gone[model_at(model.end)] = 0;
    model.end++;

    /* what drop_oldest took */

    for (seq = model.first; seq < span.first.seq; seq++) {
        model.gone[model_at(seq)] = 1;
        model.lost++;
    }

    if (seq > model.first) {
        model.first = seq;
        model.done = seq;
    }
}


static void
model_release(klaviyo_ring_t *ring, unsigned *wrong)
{
    klaviyo_cursor_t  to;

    to.seq = model.first + model_random(model.end - model.first + 1);

    if (to.seq == model.first) {
        return;
    }

    to.position = model.position[model_at(to.seq - 1)];
    *wrong += klaviyo_ring_release(ring, 0, &to) != KLAVIYO_RING_OK;
    model.first = to.seq;
}


static void
model_lose(klaviyo_ring_t *ring, unsigned *wrong)
{
    uint64_t  to;

    to = model.done + model_random(model.first - model.done + 1);

    *wrong += klaviyo_ring_lose(ring, 0, to, model_random(2)
                                ? KLAVIYO_OUTCOME_LOST_SPOOL_FULL
                                : KLAVIYO_OUTCOME_LOST_SPOOL)
              != KLAVIYO_RING_OK;

    for ( /* void */ ; model.done < to; model.done++) {
        model.gone[model_at(model.done)] = 1;
        model.lost++;
    }
}


static void
model_ack(klaviyo_ring_t *ring, unsigned *wrong)
{
    uint64_t        seq;
    klaviyo_ack_t  *ack;

    ack = &model.flight;

    if (!model.flying) {
        memset(ack, 0, sizeof(klaviyo_ack_t));
        ack->from.seq = model.done;
        ack->to.seq = model.done + model_random(model.end - model.done + 1);

        if (ack->to.seq > model.first) {
            ack->to.position = model.position[model_at(ack->to.seq - 1)];
        }

        ack->outcome[KLAVIYO_OUTCOME_DELIVERED] = ack->to.seq - ack->from.seq;
        model.flying = 1;
        return;
    }

    *wrong += klaviyo_ring_ack(ring, 0, ack, 0) != KLAVIYO_RING_OK;

    for (seq = ack->from.seq; seq < ack->to.seq; seq++) {
        model.lost -= model.gone[model_at(seq)];
        model.delivered++;
    }

    if (ack->to.seq > model.done) {
        model.done = ack->to.seq;
    }

    if (model.done > model.first) {
        model.first = model.done;
    }

    model.flying = 0;
}


static void
model_adopt(klaviyo_ring_t *ring, unsigned *wrong)
{
    uint64_t  n;

    if (model.flying || model_random(20)) {
        return;
    }

    n = model.first - model.done + model_random(50);

    *wrong += klaviyo_ring_adopt(ring, 0, model.first, n, n)
              != KLAVIYO_RING_OK;

    model.captured += n - (model.first - model.done);
    model.done = model.first - n;

    memset(&model.gone[model_at(model.done)], 0, n);
}


static unsigned
model_check(klaviyo_ring_t *ring)
{
    klaviyo_figures_t    f;
    klaviyo_ring_span_t  span;

    klaviyo_ring_figures(ring, &f);
    klaviyo_ring_span(ring, &span);

    return f.captured != model.captured
           || f.queued != model.end - model.done
           || f.spooled != model.first - model.done
           || f.outcome[KLAVIYO_OUTCOME_DELIVERED] != model.delivered
           || f.outcome[KLAVIYO_OUTCOME_LOST_SPOOL_FULL]
              + f.outcome[KLAVIYO_OUTCOME_LOST_SPOOL]
              + f.outcome[KLAVIYO_OUTCOME_LOST_FULL] != model.lost
           || f.counter[KLAVIYO_COUNT_LOST_QUEUE_FULL] != model.full
           || span.done != model.done
           || span.first.seq != model.first
           || span.end.seq != model.end;
}


/* any order of everything, against a plain account of it */

static void
test_model(unsigned drop_oldest)
{
    unsigned         step, wrong, refused, reopened;
    klaviyo_ring_t  *ring;

    memset(&model, 0, sizeof(model));
    model.done = RING_SEQ;
    model.first = RING_SEQ;
    model.end = RING_SEQ;

    ring = ring_open(RING_SIZE, drop_oldest);
    wrong = 0;
    refused = 0;
    reopened = 0;
    srandom(drop_oldest + 1);

    for (step = 0; step < MODEL_STEPS && wrong == 0; step++) {

        /* now and then nobody takes anything for long: it is full */

        switch (model_random(step / 500 % 4 ? 16 : 300)) {

        case 0:
            model_release(ring, &refused);
            break;

        case 1:
            model_lose(ring, &refused);
            break;

        case 2:
            model_ack(ring, &refused);
            break;

        case 3:
            model_adopt(ring, &refused);
            break;

        case 4:

            if (model_random(10) == 0) {

                if (model_random(2)) {
                    memcpy(ring->shared->boot_id, "another boot", 12);
                }

                klaviyo_ring_detach(ring);
                ring = ring_open(RING_SIZE, drop_oldest);
                reopened++;
            }

            break;

        default:
            model_append(ring, step);
            break;
        }

        wrong += model_check(ring);
    }

    diag("%u steps, %u times attached again: captured %" PRIu64
         ", delivered %" PRIu64 ", lost %" PRIu64 ", refused %" PRIu64, step,
         reopened, model.captured, model.delivered, model.lost, model.full);
    is_int(refused, 0, "nothing that is true is refused");
    is_int(wrong, 0, "the figures are the model's, %s",
           drop_oldest ? "dropping the oldest" : "dropping the newest");
    ok(model.delivered > 1000 && model.lost > 1000 && model.full > 10,
       "it was a test");
    ring_equation(ring, "after all steps");

    klaviyo_ring_detach(ring);
}


int
main(void)
{
    ring_in_folder(test_release);
    ring_in_folder(test_lose);
    ring_in_folder(test_lose_in_turn);
    ring_in_folder(test_drop_oldest);
    ring_in_folder(test_adopt);
    ring_in_folder(test_adopt_dropped);
    ring_in_folder(test_death);
    ring_in_folder(test_reboot);
    ring_in_folder(test_drain);
    ring_in_folder(test_drain_without);

    ring_folder();
    test_model(0);
    ring_cleanup();

    ring_folder();
    test_model(1);
    ring_cleanup();

    return done_testing();
}

/*
 * From the ring to the spool: what has to happen first, and what is copied.
 */


#define _GNU_SOURCE
#include "ring.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_private.h"
#include "queue/klaviyo_spill.h"
#include "queue/klaviyo_spool_chunk.h"


#define SPILL_EVENTS  20


static void
test_copy(void)
{
    klaviyo_ring_t       *ring;
    klaviyo_chunk_t       chunk;
    klaviyo_cursor_t      copied;
    klaviyo_ring_span_t   span;

    memset(&chunk, 0, sizeof(chunk));

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, SPILL_EVENTS, 300);
    klaviyo_ring_span(ring, &span);
    copied = span.first;

    is_int(klaviyo_spill_copy(ring, &copied, &chunk), KLAVIYO_RING_OK, "copy");
    is_int(chunk.events, SPILL_EVENTS, "all of them");
    is_int(chunk.from, RING_SEQ, "from the first");
    is_int(chunk.to, span.end.seq, "to the last");
    is_int(copied.position, span.end.position, "it goes on behind that");

    klaviyo_chunk_reset(&chunk);
    is_int(klaviyo_spill_copy(ring, &copied, &chunk), KLAVIYO_RING_EMPTY,
           "then there is nothing");

    /* one in the middle is damaged, and the last two */

    ring->record[ring_cursor(ring, 5).position] ^= 0x40;
    ring->record[ring_cursor(ring, 17).position] ^= 0x40;
    ring->record[span.end.position - 300] ^= 0x40;
    copied = span.first;

    is_int(klaviyo_spill_copy(ring, &copied, &chunk), KLAVIYO_RING_OK,
           "copy of a damaged ring");
    is_int(chunk.events, SPILL_EVENTS - 3, "the others");
    is_int(chunk.to, span.end.seq, "what is missing at the end is known of");
    is_int(copied.seq, span.end.seq, "it goes on behind that");
    is_int(copied.position, span.end.position, "where the ring ends");

    klaviyo_chunk_reset(&chunk);

    /* what was given back before it was copied */

    copied = span.first;
    span.first = ring_cursor(ring, 10);
    klaviyo_ring_release(ring, 0, &span.first);

    is_int(klaviyo_spill_copy(ring, &copied, &chunk), KLAVIYO_RING_OK,
           "copy behind what was released");
    is_int(chunk.from, span.first.seq, "from the ring's first on");

    klaviyo_chunk_free(&chunk);
    klaviyo_ring_detach(ring);
}


static klaviyo_spill_plan_t  plan;


static klaviyo_spill_e
planned(klaviyo_ring_t *ring, const klaviyo_spool_state_t *state)
{
    return klaviyo_spill_plan(ring, state, &plan);
}


static void
test_own(void)
{
    klaviyo_ring_t         *ring;
    klaviyo_cursor_t        fifth, tenth;
    klaviyo_ring_span_t     span;
    klaviyo_spool_state_t   state;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, SPILL_EVENTS, 300);
    fifth = ring_cursor(ring, 5);
    tenth = ring_cursor(ring, 10);
    klaviyo_ring_release(ring, 0, &fifth);
    klaviyo_ring_span(ring, &span);

    memset(&state, 0, sizeof(state));
    memcpy(state.ring, span.uuid, KLAVIYO_RING_UUID_LEN);
    memset(state.previous, 7, KLAVIYO_RING_UUID_LEN);
    state.adoption = span.adoption;
    state.head = span.done;
    state.tail = tenth.seq;
    state.position = tenth.position;

    is_int(planned(ring, &state), KLAVIYO_SPILL_READY, "the ring's own spool");
    is_int(plan.copied.seq, tenth.seq, "copying goes on at its tail");
    is_int(plan.copied.position, tenth.position, "where that is");

    state.tail = fifth.seq;
    is_int(planned(ring, &state), KLAVIYO_SPILL_READY, "up to the first");
    is_int(plan.copied.position, fifth.position, "from there on");

    state.tail = fifth.seq - 2;
    is_int(planned(ring, &state), KLAVIYO_SPILL_READY, "less than that");
    is_int(plan.copied.seq, fifth.seq, "what is not there is not copied");
    is_int(plan.copied.position, fifth.position, "but what is");

    state.tail = tenth.seq;
    state.position = fifth.position;
    is_int(planned(ring, &state), KLAVIYO_SPILL_READY, "no position is known");
    is_int(plan.copied.seq, fifth.seq, "from the first on");

    state.position = span.end.position + 1;
    is_int(planned(ring, &state), KLAVIYO_SPILL_READY, "one beyond the end");
    is_int(plan.copied.seq, fifth.seq, "from the first on, too");

    state.position = span.end.position;
    state.tail = span.end.seq;
    is_int(planned(ring, &state), KLAVIYO_SPILL_READY, "it has them all");
    is_int(plan.copied.seq, span.end.seq, "nothing is left to copy");

    state.tail = span.end.seq + 1;
    is_int(planned(ring, &state), KLAVIYO_SPILL_ADOPT, "it has more of them");
    is_int(plan.from, state.head, "all that it has");
    is_int(plan.to, state.tail, "up to its tail");
    is_int(plan.first, fifth.seq, "before the ring's own");
    is_int(plan.other[0], 7, "whoever had it before");

    state.head = span.done - 3;
    is_int(planned(ring, &state), KLAVIYO_SPILL_ADOPT, "and older ones");
    is_int(plan.from, span.done, "which are done");

    state.adoption = span.adoption + 1;
    state.tail = tenth.seq;
    is_int(planned(ring, &state), KLAVIYO_SPILL_ADOPT,
           "an adoption that was cut in two");
    is_int(plan.from, state.head, "is done again, as it was");

    klaviyo_ring_detach(ring);
}


static void
test_others(void)
{
    klaviyo_ring_t         *ring;
    klaviyo_cursor_t        fifth;
    klaviyo_spool_state_t   state;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, SPILL_EVENTS, 300);

    memset(&state, 0, sizeof(state));
    state.head = 40;
    state.tail = 60;

    is_int(planned(ring, &state), KLAVIYO_SPILL_ADOPT, "nobody's spool");
    is_int(plan.from, 0, "has nothing");
    is_int(plan.to, 0, "at all");
    ok(plan.adoption != 0, "the adoption has a number");

    memset(state.ring, 9, KLAVIYO_RING_UUID_LEN);
    is_int(planned(ring, &state), KLAVIYO_SPILL_ADOPT,
           "that of a ring that is gone");
    is_int(plan.from, 40, "from its head");
    ok(plan.to == UINT64_MAX, "all that is there");
    is_int(plan.other[0], 9, "that ring's");

    fifth = ring_cursor(ring, 5);
    klaviyo_ring_release(ring, 0, &fifth);
    is_int(planned(ring, &state), KLAVIYO_SPILL_GONE,
           "while the ring's own ones are in another spool");
    is_int(plan.first, fifth.seq, "those before its first");

    klaviyo_ring_detach(ring);
}


/* events that are larger than what is read at once, and more than a chunk */

static void
test_large(void)
{
    uint8_t              *bytes;
    unsigned              n;
    ring_event_t          e;
    klaviyo_ring_t       *ring;
    klaviyo_chunk_t       chunk;
    klaviyo_cursor_t      copied;
    klaviyo_ring_span_t   span;

    memset(&chunk, 0, sizeof(chunk));
    bytes = calloc(1, 100000);

    ring = ring_open(8 * RING_SIZE, 0);

    for (n = 0; n < 15; n++) {
        ring_event(&e, 1, n, 0);
        e.event.attributes = bytes;
        e.event.attributes_len = 100000;
        klaviyo_ring_append(ring, &e.event);
    }

    klaviyo_ring_span(ring, &span);
    copied = span.first;

    is_int(klaviyo_spill_copy(ring, &copied, &chunk), KLAVIYO_RING_OK,
           "large ones");
    is_int(chunk.events, 10, "as many as there is room for");
    ok(chunk.from == RING_SEQ && chunk.to == RING_SEQ + 10, "in a row");
    is_int(copied.seq, RING_SEQ + 10, "it goes on with the next");

    klaviyo_chunk_reset(&chunk);
    is_int(klaviyo_spill_copy(ring, &copied, &chunk), KLAVIYO_RING_OK, "and");
    is_int(chunk.events, 5, "with the others");
    ok(chunk.from == RING_SEQ + 10 && chunk.to == RING_SEQ + 15, "in a row");

    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(ring, ring_error);
    is_int(klaviyo_spill_copy(ring, &copied, &chunk), KLAVIYO_RING_DETACHED,
           "nothing is copied");

    free(bytes);
    klaviyo_chunk_free(&chunk);
    klaviyo_ring_detach(ring);
}


/* what a ring of another size had in the spool, while it is drained */

static void
test_drained(void)
{
    klaviyo_ring_t         *ring;
    klaviyo_lease_t         lease;
    klaviyo_cursor_t        fifth;
    klaviyo_ring_span_t     span;
    klaviyo_spool_state_t   state;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, SPILL_EVENTS, 300);
    fifth = ring_cursor(ring, 5);
    klaviyo_ring_release(ring, 0, &fifth);
    klaviyo_ring_lose(ring, 0, RING_SEQ + 2, KLAVIYO_OUTCOME_LOST_SPOOL);
    klaviyo_ring_span(ring, &span);
    klaviyo_ring_detach(ring);

    memset(&state, 0, sizeof(state));
    memcpy(state.ring, span.uuid, KLAVIYO_RING_UUID_LEN);
    state.head = RING_SEQ;
    state.tail = RING_SEQ + 10;

    ring = ring_open(2 * RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);
    klaviyo_ring_drain_open(ring);

    is_int(planned(ring, &state), KLAVIYO_SPILL_WAIT, "its lease is not ours");

    klaviyo_ring_drain(ring, lease.epoch, 100);
    is_int(planned(ring, &state), KLAVIYO_SPILL_ADOPT, "then it is");
    is_int(plan.from, RING_SEQ + 2, "from what is not done");
    is_int(plan.to, RING_SEQ + 5, "to what is in the ring");

    is_int(klaviyo_spill_adopted(ring, lease.epoch + 1, &plan, 3),
           KLAVIYO_RING_STALE, "not by another deliverer");
    klaviyo_ring_drain_span(ring, state.ring, &span);
    is_int(span.first.seq - span.done, 3, "nor is it booked there");
    is_int(klaviyo_spill_adopted(ring, lease.epoch, &plan, 3),
           KLAVIYO_RING_OK, "adopted");
    klaviyo_ring_drain_span(ring, state.ring, &span);
    is_int(span.first.seq - span.done, 0, "and booked there");
    ring_equation(ring, "after that");

    klaviyo_lease_close(&lease);

    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(ring, ring_error);
    is_int(planned(ring, &state), KLAVIYO_SPILL_DETACHED, "no plan");
    klaviyo_ring_detach(ring);
}


int
main(void)
{
    ring_in_folder(test_copy);
    ring_in_folder(test_own);
    ring_in_folder(test_others);
    ring_in_folder(test_large);
    ring_in_folder(test_drained);

    return done_testing();
}

/*
 * The queue room: between ring and spool; over their public functions only.
 */


#include <string.h>
#include <time.h>

#include "klaviyo_ring_ack.h"
#include "klaviyo_ring_drain.h"
#include "klaviyo_ring_figures.h"
#include "klaviyo_ring_read.h"
#include "klaviyo_spill.h"
#include "klaviyo_spool_chunk.h"


static int klaviyo_spill_nobodys(const uint8_t *uuid);
static uint64_t klaviyo_spill_number(void);


/*
 * The spool's state names its ring and the last adoption.  Both are written
 * before the ring learns of it: a difference is an adoption that a crash cut
 * in two, and is done again.
 */

klaviyo_spill_e
klaviyo_spill_plan(klaviyo_ring_t *ring, const klaviyo_spool_state_t *state,
    klaviyo_spill_plan_t *plan)
{
    uint64_t             known;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span, other;

    if (klaviyo_ring_span(ring, &span) != KLAVIYO_RING_OK) {
        return KLAVIYO_SPILL_DETACHED;
    }

    memset(plan, 0, sizeof(klaviyo_spill_plan_t));

    memcpy(plan->ring, span.uuid, KLAVIYO_RING_UUID_LEN);
    memcpy(plan->other, state->ring, KLAVIYO_RING_UUID_LEN);

    plan->first = span.first.seq;
    plan->adoption = klaviyo_spill_number();

    if (memcmp(state->ring, span.uuid, KLAVIYO_RING_UUID_LEN) == 0) {

        known = span.recovered ? span.recovered : span.end.seq;

        if (state->adoption == span.adoption && state->tail <= known) {
            plan->copied.seq = state->tail;
            plan->copied.position = state->position;
            plan->release = (span.recovered != 0);

            if (state->tail <= span.first.seq
                || state->position <= span.first.position
                || state->position > span.end.position)
            {
                plan->copied = span.first;
            }

            return KLAVIYO_SPILL_READY;
        }

        /*
         * Cut in two, or a ring on a disk lost its end at a power failure and
         * the spool has events that the ring would number a second time.
         */

        memcpy(plan->other, state->previous, KLAVIYO_RING_UUID_LEN);

        plan->from = state->head;
        plan->to = state->tail;

        if (state->adoption == span.adoption && span.done > state->head) {
            plan->from = span.done;
        }

        return KLAVIYO_SPILL_ADOPT;
    }

    if (span.done < span.first.seq) {
        return KLAVIYO_SPILL_GONE;
    }

    if (klaviyo_spill_nobodys(state->ring)) {
        return KLAVIYO_SPILL_ADOPT;
    }

    rc = klaviyo_ring_drain_span(ring, state->ring, &other);

    switch (rc) {

    case KLAVIYO_RING_OK:

        /* from its `first` on, the drain takes them out of that ring */

        plan->from = other.done;
        plan->to = other.first.seq;
        return KLAVIYO_SPILL_ADOPT;

    case KLAVIYO_RING_EMPTY:
        plan->from = state->head;
        plan->to = UINT64_MAX;
        return KLAVIYO_SPILL_ADOPT;

    default:
        return KLAVIYO_SPILL_WAIT;
    }
}


klaviyo_ring_rc_e
klaviyo_spill_adopted(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_spill_plan_t *plan, uint64_t n)
{
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_adopt(ring, epoch, plan->first, n, plan->adoption);

    if (rc == KLAVIYO_RING_OK) {
        (void) klaviyo_ring_drain_moved(ring, plan->other);
    }

    return rc;
}


klaviyo_ring_rc_e
klaviyo_spill_copy(klaviyo_ring_t *ring, klaviyo_cursor_t *copied,
    klaviyo_chunk_t *chunk)
{
    klaviyo_record_t     record;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;

    if (klaviyo_chunk_grow(chunk, KLAVIYO_SPOOL_CHUNK) == -1) {
        return KLAVIYO_RING_ERROR;
    }

    while (chunk->used < KLAVIYO_SPOOL_CHUNK) {

        rc = klaviyo_ring_read(ring, copied, chunk->start + chunk->used,
                               chunk->size - chunk->used, &record);

        if (rc == KLAVIYO_RING_SMALL && chunk->used == 0) {

            if (klaviyo_chunk_grow(chunk, record.needed) == -1) {
                return KLAVIYO_RING_ERROR;
            }

            continue;
        }

        if (rc == KLAVIYO_RING_SMALL || rc == KLAVIYO_RING_EMPTY) {
            break;
        }

        switch (rc) {

        case KLAVIYO_RING_OK:

            if (klaviyo_chunk_take(chunk, &record) == -1) {
                return KLAVIYO_RING_OK;
            }

            /* fall through */

        case KLAVIYO_RING_GAP:
            *copied = record.next;
            continue;

        case KLAVIYO_RING_AGAIN:

            /* delivered or released before it was copied */

            if (klaviyo_ring_span(ring, &span) != KLAVIYO_RING_OK) {
                return KLAVIYO_RING_DETACHED;
            }

            *copied = span.first;
            continue;

        default:
            return KLAVIYO_RING_DETACHED;
        }
    }

    if (chunk->events == 0) {
        return KLAVIYO_RING_EMPTY;
    }

    /* what is missing behind the last one is missing in the spool, too */

    chunk->to = copied->seq;

    return KLAVIYO_RING_OK;
}


static int
klaviyo_spill_nobodys(const uint8_t *uuid)
{
    static const uint8_t  zeroes[KLAVIYO_RING_UUID_LEN];

    return memcmp(uuid, zeroes, KLAVIYO_RING_UUID_LEN) == 0;
}


/* another one each time, never 0 */

static uint64_t
klaviyo_spill_number(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

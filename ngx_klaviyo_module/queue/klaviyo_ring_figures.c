/*
 * The queue room: counters and figures of the ring, and where it stands.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only, without the
 * lock.
 */


#include <string.h>

#include "klaviyo_clock.h"
#include "klaviyo_ring_lock.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_figures.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_slot.h"


static void klaviyo_ring_figures_read(klaviyo_ring_t *ring,
    klaviyo_figures_t *figures);


void
klaviyo_ring_quiet(klaviyo_ring_t *ring, unsigned quiet)
{
    ring->quiet = (quiet != 0);
}


void
klaviyo_ring_count(klaviyo_ring_t *ring, klaviyo_counter_e counter,
    uint64_t n)
{
    if (ring->quiet || klaviyo_ring_detached(ring)) {
        return;
    }

    __atomic_fetch_add(&ring->counter[counter], n, __ATOMIC_RELAXED);
}


void
klaviyo_ring_set(klaviyo_ring_t *ring, klaviyo_counter_e counter, uint64_t n)
{
    if (klaviyo_ring_detached(ring)) {
        return;
    }

    __atomic_store_n(&ring->counter[counter], n, __ATOMIC_RELAXED);
}


/* The slot is read before the end: whatever comes between is in the ring. */

klaviyo_ring_rc_e
klaviyo_ring_span(klaviyo_ring_t *ring, klaviyo_ring_span_t *span)
{
    klaviyo_ring_slot_t  slot;

    memset(span, 0, sizeof(klaviyo_ring_span_t));

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    klaviyo_ring_slot_get(ring, &slot);
    klaviyo_ring_end(ring, &span->end);

    memcpy(span->uuid, ring->fixed.uuid, KLAVIYO_RING_UUID_LEN);

    span->done = slot.done;
    span->first.position = slot.position;
    span->first.seq = slot.seq;
    span->adoption = slot.adoption;
    span->recovered = klaviyo_ring_get(&ring->shared->recovered);
    span->removed = (klaviyo_ring_get(&ring->common->removed) != 0);
    span->size = ring->capacity;
    span->used = span->end.position - slot.position;

    return klaviyo_ring_rc(ring, KLAVIYO_RING_OK);
}


void
klaviyo_ring_figures(klaviyo_ring_t *ring, klaviyo_figures_t *figures)
{
    memset(figures, 0, sizeof(klaviyo_figures_t));

    if (!klaviyo_ring_detached(ring)) {
        klaviyo_ring_figures_read(ring, figures);
    }

    /* it may have gone while it was read */

    if (klaviyo_ring_detached(ring)) {
        memset(figures, 0, sizeof(klaviyo_figures_t));
        figures->detached = klaviyo_ring_get(&ring->common->lost);
        figures->captured = figures->detached;
    }
}


/*
 * The slot is read before the end, and each counter once: whatever happens
 * between the two counts as queued, and the sums agree without the lock.
 */

static void
klaviyo_ring_figures_read(klaviyo_ring_t *ring, klaviyo_figures_t *figures)
{
    int                  i;
    int64_t              now, until;
    uint64_t             again, twice;
    klaviyo_cursor_t     end;
    klaviyo_ring_slot_t  slot;

    klaviyo_ring_slot_get(ring, &slot);
    again = klaviyo_ring_end(ring, &end);
    twice = klaviyo_ring_slot_twice(&slot, end.seq, again);

    figures->attached = 1;
    figures->done = slot.done;
    figures->moved = slot.outcome[KLAVIYO_RING_MOVED]
                     + slot.outcome[KLAVIYO_RING_PUT_AGAIN];
    figures->queued = end.seq - slot.done - twice;
    figures->spooled = slot.seq - slot.done;
    figures->captured = end.seq - slot.base - figures->moved - twice;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        figures->outcome[i] = slot.outcome[i];
    }

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        figures->counter[i] = klaviyo_ring_get(&ring->counter[i]);
    }

    figures->captured += figures->counter[KLAVIYO_COUNT_LOST_QUEUE_FULL]
                         + figures->counter[KLAVIYO_COUNT_LOST_QUEUE_BUSY];

    figures->size = ring->capacity;
    figures->used = end.position - slot.position;

    now = klaviyo_clock_boot();

    if (slot.paused_until > now) {
        figures->paused_until = slot.paused_until;
    }

    for (i = 0; i < KLAVIYO_WAIT_N; i++) {
        until = klaviyo_ring_get(&ring->shared->waits_until[i]);

        if (until > now) {
            figures->waits_until[i] = until;
        }
    }

    if (klaviyo_ring_get(&ring->shared->lease_deadline) > now) {
        figures->deliverer = klaviyo_ring_get(&ring->shared->lease_pid);
    }
}


void
klaviyo_ring_wait(klaviyo_ring_t *ring, klaviyo_wait_e kind, int64_t until)
{
    if (!klaviyo_ring_detached(ring)) {
        __atomic_store_n(&ring->shared->waits_until[kind], until,
                         __ATOMIC_RELAXED);
    }
}

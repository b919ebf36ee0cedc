/*
 * The queue room: the acknowledgement slots of the ring with all that moves
 * together with the acknowledged position, and the figures read from them.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only.
 */


#include <string.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_private.h"


/*
 * Readers of the standing slot need no lock: it stays untouched until its
 * successor stands, and the generation tells that.
 */

void
klaviyo_ring_slot_get(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot)
{
    uint64_t  generation;

    do {
        generation = klaviyo_ring_acquire(&ring->shared->ack_generation);

        memcpy(slot, ring->slot[generation & 1], sizeof(klaviyo_ring_slot_t));

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

    } while (klaviyo_ring_get(&ring->shared->ack_generation) != generation);
}


void
klaviyo_ring_acked(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor)
{
    uint64_t              generation;
    klaviyo_ring_slot_t  *slot;

    do {
        generation = klaviyo_ring_acquire(&ring->shared->ack_generation);

        slot = ring->slot[generation & 1];
        cursor->position = klaviyo_ring_get(&slot->position);
        cursor->seq = klaviyo_ring_get(&slot->seq);

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

    } while (klaviyo_ring_get(&ring->shared->ack_generation) != generation);
}


void
klaviyo_ring_slot_put(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot)
{
    slot->generation = klaviyo_ring_get(&ring->shared->ack_generation) + 1;
    slot->crc = klaviyo_crc32c(0, slot, offsetof(klaviyo_ring_slot_t, crc));

    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    memcpy(ring->slot[slot->generation & 1], slot,
           sizeof(klaviyo_ring_slot_t));

    __atomic_store_n(&ring->shared->ack_generation, slot->generation,
                     __ATOMIC_RELEASE);

    /* seen before what is written into the space that it gives back */

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}


klaviyo_ring_rc_e
klaviyo_ring_first(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor)
{
    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    klaviyo_ring_acked(ring, cursor);

    return KLAVIYO_RING_OK;
}


klaviyo_ring_rc_e
klaviyo_ring_ack(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_ack_t *ack)
{
    return klaviyo_ring_book(ring, epoch, ack, 0);
}


/*
 * What drop_oldest took out of [from, to) has been booked as LOST_FULL; as
 * many as now come with a true outcome leave it again, so that outcomes grow
 * by exactly as many events as the acknowledgement moves.
 */

static klaviyo_ring_rc_e
klaviyo_ring_slot_ack(klaviyo_ring_slot_t *slot, const klaviyo_cursor_t *end,
    const klaviyo_ack_t *ack, uint64_t moved)
{
    int       i;
    uint64_t  sum, gone, back;

    if (ack->to.seq < ack->from.seq
        || ack->to.seq > end->seq
        || ack->to.position > end->position
        || ack->to.position % 16 != 0
        || ack->from.seq > slot->seq)
    {
        return KLAVIYO_RING_ERROR;
    }

    sum = moved;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        if (ack->outcome[i] > ack->to.seq - ack->from.seq) {
            return KLAVIYO_RING_ERROR;
        }

        sum += ack->outcome[i];
    }

    gone = (ack->to.seq > slot->seq) ? ack->to.seq - slot->seq : 0;

    if (gone && ack->to.position < slot->position) {
        return KLAVIYO_RING_ERROR;
    }

    if (sum < gone || sum > ack->to.seq - ack->from.seq) {
        return KLAVIYO_RING_ERROR;
    }

    back = sum - gone;

    if (back > slot->outcome[KLAVIYO_OUTCOME_LOST_FULL]) {
        return KLAVIYO_RING_ERROR;
    }

    slot->outcome[KLAVIYO_OUTCOME_LOST_FULL] -= back;
    slot->outcome[KLAVIYO_RING_MOVED] += moved;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        slot->outcome[i] += ack->outcome[i];
    }

    if (gone) {
        slot->position = ack->to.position;
        slot->seq = ack->to.seq;
    }

    return KLAVIYO_RING_OK;
}


klaviyo_ring_rc_e
klaviyo_ring_book(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_ack_t *ack, uint64_t moved)
{
    klaviyo_cursor_t     end;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_slot_t  slot;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    rc = klaviyo_ring_lock(ring);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    if (klaviyo_ring_get(&ring->shared->lease_epoch) == epoch) {
        klaviyo_ring_slot_get(ring, &slot);
        klaviyo_ring_end(ring, &end);

        rc = klaviyo_ring_slot_ack(&slot, &end, ack, moved);

        if (rc == KLAVIYO_RING_OK) {
            klaviyo_ring_slot_put(ring, &slot);
        }

    } else {
        rc = KLAVIYO_RING_STALE;
    }

    klaviyo_ring_unlock(ring);

    return rc;
}


klaviyo_ring_rc_e
klaviyo_ring_save(klaviyo_ring_t *ring, uint64_t epoch, int64_t paused_until,
    const void *limiter, size_t len)
{
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_slot_t  slot;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    if (len > KLAVIYO_RING_LIMITER_MAX) {
        return KLAVIYO_RING_ERROR;
    }

    rc = klaviyo_ring_lock(ring);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    if (klaviyo_ring_get(&ring->shared->lease_epoch) == epoch) {
        klaviyo_ring_slot_get(ring, &slot);

        slot.paused_until = paused_until;
        slot.limiter_len = (uint32_t) len;
        memset(slot.limiter, 0, KLAVIYO_RING_LIMITER_MAX);

        if (len) {
            memcpy(slot.limiter, limiter, len);
        }

        klaviyo_ring_slot_put(ring, &slot);

    } else {
        rc = KLAVIYO_RING_STALE;
    }

    klaviyo_ring_unlock(ring);

    return rc;
}


klaviyo_ring_rc_e
klaviyo_ring_load(klaviyo_ring_t *ring, int64_t *paused_until, void *limiter,
    size_t len)
{
    klaviyo_ring_slot_t  slot;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    klaviyo_ring_slot_get(ring, &slot);

    *paused_until = slot.paused_until;

    memset(limiter, 0, len);

    if (len == slot.limiter_len) {
        memcpy(limiter, slot.limiter, len);
    }

    return KLAVIYO_RING_OK;
}


void
klaviyo_ring_count(klaviyo_ring_t *ring, klaviyo_counter_e counter,
    uint64_t n)
{
    if (klaviyo_ring_detached(ring)) {
        return;
    }

    __atomic_fetch_add(&ring->counter[counter], n, __ATOMIC_RELAXED);
}


/*
 * The slot is read before the end, and each counter once: whatever happens
 * between the two counts as queued, and the sums agree without the lock.
 */

void
klaviyo_ring_figures(klaviyo_ring_t *ring, klaviyo_figures_t *figures)
{
    int                  i;
    klaviyo_cursor_t     end;
    klaviyo_ring_slot_t  slot;

    memset(figures, 0, sizeof(klaviyo_figures_t));

    if (klaviyo_ring_detached(ring)) {
        figures->detached = klaviyo_ring_get(&ring->common->lost);
        figures->captured = figures->detached;
        return;
    }

    klaviyo_ring_slot_get(ring, &slot);
    klaviyo_ring_end(ring, &end);

    figures->attached = 1;
    figures->queued = end.seq - slot.seq;
    figures->captured = end.seq - slot.base
                        - slot.outcome[KLAVIYO_RING_MOVED];

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

    if (slot.paused_until > klaviyo_ring_now()) {
        figures->paused_until = slot.paused_until;
    }

    if (klaviyo_ring_get(&ring->shared->lease_deadline)
        > klaviyo_ring_now())
    {
        figures->deliverer = klaviyo_ring_get(&ring->shared->lease_pid);
    }
}

/*
 * The queue room: the acknowledgement slots of the ring, and all that moves
 * in one step with them.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only.
 */


#include <string.h>

#include "klaviyo_crash.h"
#include "klaviyo_ring_lock.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_ack.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_slot.h"


static klaviyo_ring_rc_e klaviyo_ring_slot_open(klaviyo_ring_t *ring,
    uint64_t epoch, klaviyo_ring_slot_t *slot);
static klaviyo_ring_rc_e klaviyo_ring_slot_close(klaviyo_ring_t *ring,
    klaviyo_ring_slot_t *slot, klaviyo_ring_rc_e rc);


/* OK: the lock is held, and klaviyo_ring_slot_close() gives it back. */

static klaviyo_ring_rc_e
klaviyo_ring_slot_open(klaviyo_ring_t *ring, uint64_t epoch,
    klaviyo_ring_slot_t *slot)
{
    klaviyo_ring_rc_e  rc;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    rc = klaviyo_ring_lock(ring);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    if (klaviyo_ring_get(&ring->shared->lease_epoch) != epoch) {
        return klaviyo_ring_slot_close(ring, slot, KLAVIYO_RING_STALE);
    }

    klaviyo_ring_slot_get(ring, slot);

    /* a file that was truncated within this page has zeros here: no SIGBUS */

    if (!klaviyo_ring_slot_stands(ring, slot)) {
        __atomic_store_n(&ring->common->detached, 1, __ATOMIC_RELAXED);
        return klaviyo_ring_slot_close(ring, slot, KLAVIYO_RING_DETACHED);
    }

    return KLAVIYO_RING_OK;
}


static klaviyo_ring_rc_e
klaviyo_ring_slot_close(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot,
    klaviyo_ring_rc_e rc)
{
    if (rc == KLAVIYO_RING_OK) {
        klaviyo_ring_slot_put(ring, slot);
    }

    klaviyo_ring_unlock(ring);

    return klaviyo_ring_rc(ring, rc);
}


klaviyo_ring_rc_e
klaviyo_ring_first(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor)
{
    klaviyo_ring_head_t  head;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    klaviyo_ring_head(ring, &head);

    cursor->position = head.first.position;
    cursor->seq = head.done;

    return klaviyo_ring_rc(ring, KLAVIYO_RING_OK);
}


/* What of n is not booked as this outcome; the rest leaves it. */

static uint64_t
klaviyo_ring_slot_take(klaviyo_ring_slot_t *slot, uint64_t outcome, uint64_t n)
{
    uint64_t  taken;

    if (outcome >= KLAVIYO_OUTCOME_N) {
        return n;
    }

    taken = (n < slot->outcome[outcome]) ? n : slot->outcome[outcome];
    slot->outcome[outcome] -= taken;

    return n - taken;
}


/*
 * The n events from `from` on were lost while they were in flight, and come
 * with a true outcome now.  They leave the outcome that they were booked as:
 * what klaviyo_ring_lose() was told last, else that of drop_oldest, else what
 * it was told before.  Several losses in turn within one flight may leave each
 * other's.
 */

static klaviyo_ring_rc_e
klaviyo_ring_slot_back(klaviyo_ring_slot_t *slot, uint64_t from, uint64_t n)
{
    uint64_t  to, spooled;

    to = from + n;
    spooled = 0;

    if (from < slot->lost_from) {
        from = slot->lost_from;
    }

    if (to > slot->lost_to) {
        to = slot->lost_to;
    }

    if (from < to) {
        spooled = to - from;
    }

    n -= spooled;
    n += klaviyo_ring_slot_take(slot, slot->lost_outcome, spooled);
    n = klaviyo_ring_slot_take(slot, KLAVIYO_OUTCOME_LOST_FULL, n);
    n = klaviyo_ring_slot_take(slot, KLAVIYO_OUTCOME_LOST_SPOOL_FULL, n);
    n = klaviyo_ring_slot_take(slot, KLAVIYO_OUTCOME_LOST_SPOOL, n);

    return (n == 0) ? KLAVIYO_RING_OK : KLAVIYO_RING_ERROR;
}


/*
 * Outcomes grow by exactly as many events as `done` moves: of [from, to) the
 * events before `done` have been booked as lost, and as many as now come with
 * a true outcome leave that again.
 */

static klaviyo_ring_rc_e
klaviyo_ring_slot_ack(klaviyo_ring_slot_t *slot, const klaviyo_cursor_t *end,
    uint64_t again, const klaviyo_ack_t *ack, uint64_t moved)
{
    int       i;
    uint64_t  sum, gone, rest;

    if (ack->to.seq < ack->from.seq
        || ack->to.seq > end->seq
        || ack->to.position > end->position
        || ack->to.position % 16 != 0
        || ack->from.seq > slot->done
        || (ack->to.seq > slot->seq && ack->to.position < slot->position)
        || ack->again > ack->to.seq - ack->from.seq)
    {
        return KLAVIYO_RING_ERROR;
    }

    sum = moved + ack->again;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        if (ack->outcome[i] > ack->to.seq - ack->from.seq) {
            return KLAVIYO_RING_ERROR;
        }

        sum += ack->outcome[i];
    }

    gone = (ack->to.seq > slot->done) ? ack->to.seq - slot->done : 0;

    if (sum < gone
        || sum > ack->to.seq - ack->from.seq
        || klaviyo_ring_slot_back(slot, ack->from.seq, sum - gone)
           != KLAVIYO_RING_OK)
    {
        return KLAVIYO_RING_ERROR;
    }

    slot->outcome[KLAVIYO_RING_PUT_AGAIN] += ack->again;
    slot->outcome[KLAVIYO_RING_MOVED] += moved;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        slot->outcome[i] += ack->outcome[i];
    }

    slot->done += gone;

    /* a deliverer that died will not acknowledge what it put again */

    rest = again - slot->outcome[KLAVIYO_RING_PUT_AGAIN]
           - klaviyo_ring_slot_twice(slot, end->seq, again);

    slot->outcome[KLAVIYO_RING_PUT_AGAIN] += rest;
    slot->base -= rest;

    /* what ends in the spool has no position of the ring */

    if (ack->to.seq > slot->seq) {
        slot->position = ack->to.position;
        slot->seq = ack->to.seq;
    }

    /* no event is left, and a damaged file's other bytes are in nobody's way */

    if (slot->seq == end->seq) {
        slot->position = end->position;
    }

    return KLAVIYO_RING_OK;
}


klaviyo_ring_rc_e
klaviyo_ring_ack(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_ack_t *ack, uint64_t moved)
{
    uint64_t             again;
    klaviyo_cursor_t     end;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_slot_t  slot;

    rc = klaviyo_ring_slot_open(ring, epoch, &slot);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    again = klaviyo_ring_end(ring, &end);

    rc = klaviyo_ring_slot_ack(&slot, &end, again, ack, moved);

    return klaviyo_ring_slot_close(ring, &slot, rc);
}


klaviyo_ring_rc_e
klaviyo_ring_release(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_cursor_t *to)
{
    uint64_t             bytes, events;
    klaviyo_cursor_t     end;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_slot_t  slot;

    rc = klaviyo_ring_slot_open(ring, epoch, &slot);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    klaviyo_ring_end(ring, &end);

    /* an acknowledgement may have come first */

    if (to->seq > slot.seq) {

        bytes = end.position - to->position;
        events = end.seq - to->seq;

        if (to->seq > end.seq
            || to->position < slot.position
            || to->position > end.position
            || to->position % 16 != 0
            || events > bytes / sizeof(klaviyo_header_t)
            || (events == 0 && bytes != 0))
        {
            rc = KLAVIYO_RING_ERROR;
        }

        slot.position = to->position;
        slot.seq = to->seq;
    }

    if (rc == KLAVIYO_RING_OK) {
        klaviyo_ring_slot_put(ring, &slot);
        __atomic_store_n(&ring->shared->recovered, 0, __ATOMIC_RELAXED);
    }

    klaviyo_ring_unlock(ring);

    return klaviyo_ring_rc(ring, rc);
}


klaviyo_ring_rc_e
klaviyo_ring_lose(klaviyo_ring_t *ring, uint64_t epoch, uint64_t to,
    klaviyo_outcome_e outcome)
{
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_slot_t  slot;

    rc = klaviyo_ring_slot_open(ring, epoch, &slot);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    if (to > slot.seq || outcome >= KLAVIYO_OUTCOME_N) {
        rc = KLAVIYO_RING_ERROR;

    } else if (to > slot.done) {

        if (slot.lost_to != slot.done || slot.lost_outcome != outcome) {
            slot.lost_from = slot.done;
        }

        slot.lost_to = to;
        slot.lost_outcome = outcome;

        slot.outcome[outcome] += to - slot.done;
        slot.done = to;
    }

    return klaviyo_ring_slot_close(ring, &slot, rc);
}


klaviyo_ring_rc_e
klaviyo_ring_adopt(klaviyo_ring_t *ring, uint64_t epoch, uint64_t first,
    uint64_t n, uint64_t adoption)
{
    uint64_t             dropped;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_slot_t  slot;

    rc = klaviyo_ring_slot_open(ring, epoch, &slot);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    dropped = slot.seq - first;

    if (n >= first) {
        rc = KLAVIYO_RING_ERROR;

    } else if (first > slot.seq
               || (dropped
                   && (slot.done != slot.seq
                       || slot.outcome[KLAVIYO_OUTCOME_LOST_FULL] < dropped)))
    {
        rc = KLAVIYO_RING_AGAIN;

    } else {

        /*
         * What drop_oldest took meanwhile is a gap at the end of the spool,
         * found and booked again there: a full ring drops with each event,
         * and would never be met at `first`.
         */

        slot.outcome[KLAVIYO_OUTCOME_LOST_FULL] -= dropped;

        slot.base -= n - (slot.seq - slot.done);
        slot.done = first - n;
        slot.adoption = adoption;

        /* these numbers are others' now */

        slot.lost_from = 0;
        slot.lost_to = 0;
    }

    return klaviyo_ring_slot_close(ring, &slot, rc);
}


klaviyo_ring_rc_e
klaviyo_ring_save(klaviyo_ring_t *ring, uint64_t epoch, int64_t paused_until,
    const void *limiter, size_t len)
{
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_slot_t  slot;

    if (len > KLAVIYO_RING_LIMITER_MAX) {
        return klaviyo_ring_rc(ring, KLAVIYO_RING_ERROR);
    }

    rc = klaviyo_ring_slot_open(ring, epoch, &slot);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    slot.paused_until = paused_until;
    slot.limiter_len = (uint32_t) len;
    memset(slot.limiter, 0, KLAVIYO_RING_LIMITER_MAX);

    if (len) {
        memcpy(slot.limiter, limiter, len);
    }

    return klaviyo_ring_slot_close(ring, &slot, KLAVIYO_RING_OK);
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

    return klaviyo_ring_rc(ring, slot.limiter_len ? KLAVIYO_RING_OK
                                                  : KLAVIYO_RING_EMPTY);
}

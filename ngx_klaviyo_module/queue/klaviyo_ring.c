/*
 * The queue room: records into the mapped ring.  Reading them is
 * klaviyo_ring_read.c's, acknowledgements klaviyo_ring_ack.c's, figures
 * klaviyo_ring_figures.c's, opening and closing klaviyo_ring_file.c's.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only; what it reads
 * there is checked before it is used, since a file can hold anything.
 */


#include <string.h>

#include "klaviyo_crash.h"
#include "klaviyo_ring_figures.h"
#include "klaviyo_ring_lock.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_slot.h"
#include "klaviyo_ring_totals.h"


static klaviyo_ring_rc_e klaviyo_ring_write(klaviyo_ring_t *ring,
    const klaviyo_event_t *event, unsigned drop_oldest, unsigned again);
static int klaviyo_ring_drop(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *end, uint64_t need);


size_t
klaviyo_ring_event_max(const klaviyo_ring_t *ring)
{
    return ring->event_max;
}


size_t
klaviyo_ring_record_max(const klaviyo_ring_t *ring)
{
    return klaviyo_record_align(sizeof(klaviyo_header_t) + ring->event_max);
}


klaviyo_ring_rc_e
klaviyo_ring_append(klaviyo_ring_t *ring, const klaviyo_event_t *event)
{
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_try(ring, event);

    if (rc == KLAVIYO_RING_BUSY) {
        klaviyo_ring_lost_busy(ring, event);
    }

    return rc;
}


klaviyo_ring_rc_e
klaviyo_ring_try(klaviyo_ring_t *ring, const klaviyo_event_t *event)
{
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_write(ring, event, ring->drop_oldest, 0);

    switch (rc) {

    case KLAVIYO_RING_OK:
        klaviyo_ring_captured(ring, event);
        break;

    case KLAVIYO_RING_FULL:
        klaviyo_ring_count(ring, KLAVIYO_COUNT_LOST_QUEUE_FULL, 1);
        klaviyo_ring_captured(ring, event);
        break;

    case KLAVIYO_RING_DETACHED:
        __atomic_fetch_add(&ring->common->lost, 1, __ATOMIC_RELAXED);
        break;

    default:
        break;
    }

    return rc;
}


klaviyo_ring_rc_e
klaviyo_ring_put(klaviyo_ring_t *ring, const klaviyo_event_t *event)
{
    return klaviyo_ring_write(ring, event, 0, 0);
}


klaviyo_ring_rc_e
klaviyo_ring_put_again(klaviyo_ring_t *ring, const klaviyo_event_t *event)
{
    return klaviyo_ring_write(ring, event, 0, 1);
}


static klaviyo_ring_rc_e
klaviyo_ring_write(klaviyo_ring_t *ring, const klaviyo_event_t *event,
    unsigned drop_oldest, unsigned again)
{
    uint64_t              offset, rest, pad, need, used, copies;
    klaviyo_cursor_t      end;
    klaviyo_ring_rc_e     rc;
    klaviyo_ring_head_t   head;
    klaviyo_ring_tail_t  *tail;
    klaviyo_header_t      header, skip;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    if (event->profile_len > ring->event_max
        || event->attributes_len > ring->event_max - event->profile_len
        || event->unique_id_len > ring->event_max - event->profile_len
                                  - event->attributes_len)
    {
        return KLAVIYO_RING_TOO_LARGE;
    }

    if (klaviyo_record_header(&header, event) == -1) {
        return KLAVIYO_RING_ERROR;
    }

    rc = klaviyo_ring_lock(ring);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    klaviyo_crash("after_lock");

    copies = klaviyo_ring_end(ring, &end) + again;

    offset = end.position % ring->capacity;
    rest = ring->capacity - offset;
    pad = (header.length > rest) ? rest : 0;
    need = pad + header.length;

    klaviyo_ring_head(ring, &head);
    used = end.position - head.first.position;

    if (used > ring->capacity || ring->capacity - used < need) {

        if (!drop_oldest
            || used > ring->capacity
            || !klaviyo_ring_drop(ring, &end, need))
        {
            klaviyo_ring_unlock(ring);
            return klaviyo_ring_rc(ring, KLAVIYO_RING_FULL);
        }
    }

    if (pad >= sizeof(klaviyo_header_t)) {
        memset(&skip, 0, sizeof(klaviyo_header_t));
        skip.length = (uint32_t) pad;
        skip.type = KLAVIYO_RECORD_PAD;
        skip.header_crc = klaviyo_record_crc(ring->uuid_crc, end.position,
                                             &skip);

        memcpy(ring->record + offset, &skip, sizeof(klaviyo_header_t));
    }

    if (pad) {
        end.position += pad;
        offset = 0;
    }

    header.seq = end.seq;
    header.header_crc = klaviyo_record_crc(ring->uuid_crc, end.position,
                                           &header);

    klaviyo_record_put(ring->record + offset, &header, event);

    klaviyo_crash("after_copy");

    /* the tail that is not current, then the commit */

    tail = &ring->shared->tail[0];

    if (klaviyo_ring_get(&tail->end)
        == klaviyo_ring_get(&ring->shared->write_pos))
    {
        tail++;
    }

    end.position += header.length;

    __atomic_store_n(&tail->end, end.position, __ATOMIC_RELAXED);
    __atomic_store_n(&tail->seq, header.seq, __ATOMIC_RELAXED);
    __atomic_store_n(&tail->again, copies, __ATOMIC_RELAXED);

    klaviyo_crash("before_commit");

    __atomic_store_n(&ring->shared->write_pos, end.position,
                     __ATOMIC_RELEASE);

    klaviyo_crash("after_commit");

    klaviyo_ring_unlock(ring);

    return klaviyo_ring_rc(ring, KLAVIYO_RING_OK);
}


/*
 * Gives the space of the oldest events back, under the lock.  0: not while
 * older ones are in the spool, since the ring's would be taken out of the
 * middle of the stream; the spool gives up its own then, by
 * klaviyo_ring_lose().
 */

static int
klaviyo_ring_drop(klaviyo_ring_t *ring, const klaviyo_cursor_t *end,
    uint64_t need)
{
    uint64_t             position, seq;
    klaviyo_ring_slot_t  slot;
    klaviyo_header_t     header;

    klaviyo_ring_slot_get(ring, &slot);

    if (slot.done != slot.seq
        || !klaviyo_ring_slot_stands(ring, &slot))
    {
        return 0;
    }

    position = slot.position;
    seq = slot.seq;

    while (ring->capacity - (end->position - position) < need) {

        if (!klaviyo_ring_seek(ring, &position, end->position, seq, &header))
        {
            seq = end->seq;
            break;
        }

        position += header.length;

        /* a number that was not given yet: it is no event of this ring */

        if (header.seq < end->seq) {
            seq = header.seq + 1;
        }
    }

    /*
     * Unreadable ones among them count as dropped too: should the deliverer
     * have seen them, its acknowledgement takes them out of here.
     */

    slot.outcome[KLAVIYO_OUTCOME_LOST_FULL] += seq - slot.seq;
    slot.position = position;
    slot.seq = seq;
    slot.done = seq;

    klaviyo_ring_slot_put(ring, &slot);

    return 1;
}

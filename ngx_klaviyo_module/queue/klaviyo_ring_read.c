/*
 * The queue room: records out of the mapped ring.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only, without the
 * lock; what it reads there is checked before it is used, since a file can
 * hold anything.
 */


#include <string.h>

#include "klaviyo_ring_private.h"
#include "klaviyo_ring_read.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_slot.h"


klaviyo_ring_rc_e
klaviyo_ring_read(klaviyo_ring_t *ring, const klaviyo_cursor_t *cursor,
    uint8_t *buf, size_t size, klaviyo_record_t *record)
{
    int                  found, whole;
    uint64_t             position, limit;
    klaviyo_cursor_t     at, end;
    klaviyo_ring_head_t  head;
    klaviyo_header_t     header;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    at = *cursor;                    /* which may be the record's own next */
    position = at.position;

    memset(record, 0, sizeof(klaviyo_record_t));

    for ( ;; ) {

        klaviyo_ring_head(ring, &head);

        if (at.seq < head.first.seq) {

            if (head.done < head.first.seq) {
                record->seq = (at.seq > head.done) ? at.seq : head.done;
                return klaviyo_ring_rc(ring, KLAVIYO_RING_AGAIN);
            }

            at.seq = head.first.seq;
        }

        /* dropped meanwhile, or its reader comes from the spool */

        if (at.position < head.first.position) {
            at.position = head.first.position;
            position = at.position;
        }

        klaviyo_ring_end(ring, &end);

        /* once around at most, should the write position be nonsense */

        limit = end.position;

        if (limit - head.first.position > ring->capacity) {
            limit = head.first.position + ring->capacity;
        }

        found = klaviyo_ring_seek(ring, &position, limit, at.seq, &header);

        /* header.seq < end.seq, else a leftover of a kill in an append */

        whole = 0;

        if (found && header.seq < end.seq) {
            whole = klaviyo_ring_copy(ring, position, &header, buf, size);

            if (whole == -1) {
                record->needed = header.length;
                return klaviyo_ring_rc(ring, KLAVIYO_RING_SMALL);
            }

            if (whole && header.seq == at.seq) {
                break;
            }
        }

        /*
         * Something is missing, unless it was dropped and written over while
         * it was read: then the first position has moved before.
         */

        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        klaviyo_ring_head(ring, &head);

        if (head.first.position > at.position) {
            continue;
        }

        if (whole) {
            break;
        }

        if (found) {
            position += header.length;
            continue;
        }

        if (at.seq >= end.seq) {
            return klaviyo_ring_rc(ring, KLAVIYO_RING_EMPTY);
        }

        record->missing = end.seq - at.seq;
        record->seq = end.seq;
        record->next = end;

        return klaviyo_ring_rc(ring, KLAVIYO_RING_GAP);
    }

    klaviyo_record_read(record, buf);

    record->missing = header.seq - at.seq;
    record->next.position = position + header.length;

    return klaviyo_ring_rc(ring, KLAVIYO_RING_OK);
}


uint64_t
klaviyo_ring_ahead(klaviyo_ring_t *ring, const klaviyo_cursor_t *cursor)
{
    uint64_t             from, end, spooled;
    klaviyo_ring_head_t  head;

    if (klaviyo_ring_detached(ring)) {
        return 0;
    }

    klaviyo_ring_head(ring, &head);

    spooled = (cursor->seq < head.first.seq && head.done < head.first.seq);

    from = head.first.position;

    if (cursor->position > from && !spooled) {
        from = cursor->position;
    }

    end = klaviyo_ring_acquire(&ring->shared->write_pos);

    return spooled + ((end > from) ? end - from : 0);
}

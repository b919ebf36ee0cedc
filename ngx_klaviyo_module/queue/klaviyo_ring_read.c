/*
 * The queue room: records out of the mapped ring.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only, without the
 * lock; what it reads there is checked before it is used, since a file can
 * hold anything.
 */


#include <string.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_private.h"


size_t
klaviyo_ring_payload_len(const klaviyo_ring_header_t *header)
{
    return (size_t) header->unique_id_len + header->profile_len
           + header->attributes_len;
}


static int
klaviyo_ring_header_valid(klaviyo_ring_t *ring, uint64_t position,
    uint64_t room, uint64_t seq, const klaviyo_ring_header_t *header)
{
    uint64_t  rest, length;

    rest = ring->capacity - position % ring->capacity;

    if (header->length % 16 != 0
        || header->length > rest
        || header->length > room
        || header->flags != 0
        || header->reserved != 0)
    {
        return 0;
    }

    if (header->type == KLAVIYO_RING_RECORD_PAD) {
        if (header->length != rest) {
            return 0;
        }

    } else if (header->type == KLAVIYO_RING_RECORD_EVENT) {
        length = (uint64_t) sizeof(klaviyo_ring_header_t)
                 + header->unique_id_len + header->profile_len
                 + header->attributes_len;

        if (header->length != klaviyo_ring_align(length)
            || header->unique_id_len == 0
            || header->seq < seq
            || header->seq > INT64_MAX)
        {
            return 0;
        }

    } else {
        return 0;
    }

    return header->header_crc
           == klaviyo_ring_header_crc(ring, position, header);
}


int
klaviyo_ring_seek(klaviyo_ring_t *ring, uint64_t *position, uint64_t end,
    uint64_t seq, klaviyo_ring_header_t *header)
{
    uint64_t  at, offset, rest, step;

    /* the end may be the last number there is: nothing is added beyond it */

    for (at = *position; at < end; at += (step < end - at) ? step : end - at) {
        offset = at % ring->capacity;
        rest = ring->capacity - offset;

        if (rest < sizeof(klaviyo_ring_header_t)) {
            step = rest;
            continue;
        }

        memcpy(header, ring->record + offset, sizeof(klaviyo_ring_header_t));

        if (!klaviyo_ring_header_valid(ring, at, end - at, seq, header)) {
            step = 16;
            continue;
        }

        if (header->type == KLAVIYO_RING_RECORD_PAD) {
            step = header->length;
            continue;
        }

        *position = at;
        return 1;
    }

    *position = end;

    return 0;
}


int
klaviyo_ring_payload(const klaviyo_ring_t *ring, uint64_t position,
    const klaviyo_ring_header_t *header, uint8_t *buf, size_t size)
{
    size_t  len;

    len = klaviyo_ring_payload_len(header);

    if (len > size) {
        return -1;
    }

    memcpy(buf, ring->record + position % ring->capacity
                + sizeof(klaviyo_ring_header_t), len);

    return klaviyo_crc32c(0, buf, len) == header->payload_crc;
}


klaviyo_ring_rc_e
klaviyo_ring_read(klaviyo_ring_t *ring, const klaviyo_cursor_t *cursor,
    uint8_t *buf, size_t size, klaviyo_record_t *record)
{
    int                    found, whole;
    uint64_t               position, limit;
    klaviyo_cursor_t       at, end;
    klaviyo_ring_head_t    head;
    klaviyo_ring_header_t  header;

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
            whole = klaviyo_ring_payload(ring, position, &header, buf, size);

            if (whole == -1) {
                record->missing = klaviyo_ring_payload_len(&header);
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

    klaviyo_ring_record_fill(record, &header, buf);

    record->missing = header.seq - at.seq;
    record->next.position = position + header.length;

    return klaviyo_ring_rc(ring, KLAVIYO_RING_OK);
}


void
klaviyo_ring_record_fill(klaviyo_record_t *record,
    const klaviyo_ring_header_t *header, const uint8_t *payload)
{
    record->event.unique_id = payload;
    record->event.unique_id_len = header->unique_id_len;
    payload += header->unique_id_len;

    record->event.profile = payload;
    record->event.profile_len = header->profile_len;
    payload += header->profile_len;

    record->event.attributes = payload;
    record->event.attributes_len = header->attributes_len;

    record->event.time = header->time;
    record->seq = header->seq;
    record->next.seq = header->seq + 1;
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

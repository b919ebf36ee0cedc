/*
 * The queue room: how a record lies in the mapped ring, and where the records
 * end.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only, without the
 * lock; what it reads there is checked before it is used, since a file can
 * hold anything.
 */


#include <string.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_record.h"


#define KLAVIYO_RING_SPINS  1000


uint32_t
klaviyo_ring_header_crc(const klaviyo_ring_t *ring, uint64_t position,
    const klaviyo_ring_header_t *header)
{
    uint32_t  crc;

    crc = klaviyo_crc32c(ring->uuid_crc, &position, sizeof(uint64_t));

    return klaviyo_crc32c(crc, header,
                          offsetof(klaviyo_ring_header_t, header_crc));
}


uint64_t
klaviyo_ring_end(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor)
{
    int                  i, n;
    uint64_t             seq, again, last, copies;
    klaviyo_ring_tail_t  *tail;

    last = 0;
    copies = 0;

    for (n = 0; n < KLAVIYO_RING_SPINS; n++) {
        cursor->position = klaviyo_ring_acquire(&ring->shared->write_pos);

        for (i = 0; i < 2; i++) {
            tail = &ring->shared->tail[i];
            seq = klaviyo_ring_get(&tail->seq);
            again = klaviyo_ring_get(&tail->again);

            if (klaviyo_ring_get(&tail->end) != cursor->position) {

                if (seq > last) {
                    last = seq;
                    copies = again;
                }

                continue;
            }

            __atomic_thread_fence(__ATOMIC_ACQUIRE);

            if (klaviyo_ring_get(&ring->shared->write_pos)
                == cursor->position)
            {
                cursor->seq = seq + 1;
                return again;
            }
        }
    }

    /* no tail is current: somebody wrote over the page */

    cursor->seq = last + 1;

    return copies;
}


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

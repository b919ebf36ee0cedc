/*
 * The queue room: where records lie in the mapped ring, and where they end.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only, without the
 * lock; what it reads there is checked before it is used, since a file can
 * hold anything.
 */


#include <string.h>

#include "klaviyo_ring_record.h"


#define KLAVIYO_RING_SPINS  1000


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


static int
klaviyo_ring_header_valid(klaviyo_ring_t *ring, uint64_t position,
    uint64_t room, uint64_t seq, const klaviyo_header_t *header)
{
    int       valid;
    uint64_t  rest;

    rest = ring->capacity - position % ring->capacity;

    if (header->type == KLAVIYO_RECORD_PAD) {
        valid = header->length == rest && rest <= room;

    } else {
        valid = klaviyo_record_sane(header, rest < room ? rest : room)
                && header->seq >= seq
                && header->seq <= INT64_MAX;
    }

    return valid
           && header->header_crc
              == klaviyo_record_crc(ring->uuid_crc, position, header);
}


int
klaviyo_ring_seek(klaviyo_ring_t *ring, uint64_t *position, uint64_t end,
    uint64_t seq, klaviyo_header_t *header)
{
    uint64_t  at, offset, rest, step;

    /* the end may be the last number there is: nothing is added beyond it */

    for (at = *position; at < end; at += (step < end - at) ? step : end - at) {
        offset = at % ring->capacity;
        rest = ring->capacity - offset;

        if (rest < sizeof(klaviyo_header_t)) {
            step = rest;
            continue;
        }

        memcpy(header, ring->record + offset, sizeof(klaviyo_header_t));

        if (!klaviyo_ring_header_valid(ring, at, end - at, seq, header)) {
            step = 16;
            continue;
        }

        if (header->type == KLAVIYO_RECORD_PAD) {
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
klaviyo_ring_copy(const klaviyo_ring_t *ring, uint64_t position,
    const klaviyo_header_t *header, uint8_t *buf, size_t size)
{
    return klaviyo_record_copy(buf, size, header,
                               ring->record + position % ring->capacity
                               + sizeof(klaviyo_header_t));
}

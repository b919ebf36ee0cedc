/*
 * The queue room: the lock, and records into and out of the mapped ring.
 * Acknowledgements and figures are klaviyo_ring_ack.c's, opening and closing
 * the file klaviyo_ring_file.c's.
 *
 * Plain C.  Touches mapped bytes by memcpy and atomics only; what it reads
 * there is checked before it is used, since a file can hold anything.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <time.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_private.h"


#define KLAVIYO_RING_WAIT        5000000   /* ns                            */
#define KLAVIYO_RING_WAIT_AGAIN   100000   /* ns, after a wait in vain      */
#define KLAVIYO_RING_SPINS          1000


static klaviyo_ring_rc_e klaviyo_ring_write(klaviyo_ring_t *ring,
    const klaviyo_event_t *event, unsigned drop_oldest);
static void klaviyo_ring_drop(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *end, uint64_t need);
static void klaviyo_ring_record_fill(klaviyo_record_t *record,
    const klaviyo_ring_header_t *header, const uint8_t *payload);


klaviyo_ring_rc_e
klaviyo_ring_lock(klaviyo_ring_t *ring)
{
    int               rc;
    int64_t           wait;
    struct timespec   limit;
    pthread_mutex_t  *mutex;

    mutex = &ring->shared->lock.mutex;

    rc = pthread_mutex_trylock(mutex);

    if (rc == EBUSY) {
        wait = ring->impatient ? KLAVIYO_RING_WAIT_AGAIN : KLAVIYO_RING_WAIT;

#if defined(__GLIBC__)
        clock_gettime(CLOCK_MONOTONIC, &limit);
#else
        clock_gettime(CLOCK_REALTIME, &limit);
#endif

        limit.tv_nsec += wait;

        if (limit.tv_nsec >= 1000000000) {
            limit.tv_nsec -= 1000000000;
            limit.tv_sec++;
        }

#if defined(__GLIBC__)
        rc = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &limit);
#else
        rc = pthread_mutex_timedlock(mutex, &limit);
#endif
    }

    /* nothing to repair: every commit is one store, see the format */

    if (rc == EOWNERDEAD) {
        rc = pthread_mutex_consistent(mutex);
    }

    ring->impatient = (rc != 0);

    return (rc == 0) ? KLAVIYO_RING_OK : KLAVIYO_RING_BUSY;
}


void
klaviyo_ring_unlock(klaviyo_ring_t *ring)
{
    (void) pthread_mutex_unlock(&ring->shared->lock.mutex);
}


void
klaviyo_ring_end(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor)
{
    int                  i, n;
    uint64_t             seq, last;
    klaviyo_ring_tail_t  *tail;

    last = 0;

    for (n = 0; n < KLAVIYO_RING_SPINS; n++) {
        cursor->position = klaviyo_ring_acquire(&ring->shared->write_pos);

        for (i = 0; i < 2; i++) {
            tail = &ring->shared->tail[i];
            seq = klaviyo_ring_get(&tail->seq);

            if (klaviyo_ring_get(&tail->end) != cursor->position) {
                last = (seq > last) ? seq : last;
                continue;
            }

            __atomic_thread_fence(__ATOMIC_ACQUIRE);

            if (klaviyo_ring_get(&ring->shared->write_pos)
                == cursor->position)
            {
                cursor->seq = seq + 1;
                return;
            }
        }
    }

    /* no tail is current: somebody wrote over the page */

    cursor->seq = last + 1;
}


static uint32_t
klaviyo_ring_header_crc(const klaviyo_ring_t *ring, uint64_t position,
    const klaviyo_ring_header_t *header)
{
    uint32_t  crc;

    crc = klaviyo_crc32c(ring->uuid_crc, &position, sizeof(uint64_t));

    return klaviyo_crc32c(crc, header,
                          offsetof(klaviyo_ring_header_t, header_crc));
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
            || header->seq < seq)
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
    uint64_t  at, offset, rest;

    at = *position;

    while (at < end) {
        offset = at % ring->capacity;
        rest = ring->capacity - offset;

        if (rest < sizeof(klaviyo_ring_header_t)) {
            at += rest;
            continue;
        }

        memcpy(header, ring->record + offset, sizeof(klaviyo_ring_header_t));

        if (!klaviyo_ring_header_valid(ring, at, end - at, seq, header)) {
            at += 16;
            continue;
        }

        if (header->type == KLAVIYO_RING_RECORD_PAD) {
            at += header->length;
            continue;
        }

        *position = at;
        return 1;
    }

    *position = end;

    return 0;
}


size_t
klaviyo_ring_event_max(const klaviyo_ring_t *ring)
{
    return ring->event_max;
}


klaviyo_ring_rc_e
klaviyo_ring_append(klaviyo_ring_t *ring, const klaviyo_event_t *event)
{
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_write(ring, event, ring->drop_oldest);

    switch (rc) {

    case KLAVIYO_RING_FULL:
        klaviyo_ring_count(ring, KLAVIYO_COUNT_LOST_QUEUE_FULL, 1);
        break;

    case KLAVIYO_RING_BUSY:
        klaviyo_ring_count(ring, KLAVIYO_COUNT_LOST_QUEUE_BUSY, 1);
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
    return klaviyo_ring_write(ring, event, 0);
}


static klaviyo_ring_rc_e
klaviyo_ring_write(klaviyo_ring_t *ring, const klaviyo_event_t *event,
    unsigned drop_oldest)
{
    uint8_t                *p;
    uint32_t                crc;
    uint64_t                payload, offset, rest, pad, need, used;
    klaviyo_cursor_t        end, acked;
    klaviyo_ring_tail_t    *tail;
    klaviyo_ring_header_t   header, skip;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    if (event->unique_id_len == 0
        || event->unique_id_len > KLAVIYO_UNIQUE_ID_MAX)
    {
        return KLAVIYO_RING_ERROR;
    }

    if (event->profile_len > ring->event_max
        || event->attributes_len > ring->event_max - event->profile_len
        || event->unique_id_len > ring->event_max - event->profile_len
                                  - event->attributes_len)
    {
        return KLAVIYO_RING_TOO_LARGE;
    }

    memset(&header, 0, sizeof(klaviyo_ring_header_t));

    payload = event->unique_id_len + event->profile_len
              + event->attributes_len;

    header.length = (uint32_t) klaviyo_ring_align(sizeof(header) + payload);
    header.profile_len = (uint32_t) event->profile_len;
    header.attributes_len = (uint32_t) event->attributes_len;
    header.time = event->time;
    header.type = KLAVIYO_RING_RECORD_EVENT;
    header.unique_id_len = (uint8_t) event->unique_id_len;

    crc = klaviyo_crc32c(0, event->unique_id, event->unique_id_len);
    crc = klaviyo_crc32c(crc, event->profile, event->profile_len);
    header.payload_crc = klaviyo_crc32c(crc, event->attributes,
                                        event->attributes_len);

    if (klaviyo_ring_lock(ring) != KLAVIYO_RING_OK) {
        return KLAVIYO_RING_BUSY;
    }

    klaviyo_ring_end(ring, &end);

    offset = end.position % ring->capacity;
    rest = ring->capacity - offset;
    pad = (header.length > rest) ? rest : 0;
    need = pad + header.length;

    klaviyo_ring_acked(ring, &acked);
    used = end.position - acked.position;

    if (used > ring->capacity || ring->capacity - used < need) {

        if (!drop_oldest || used > ring->capacity) {
            klaviyo_ring_unlock(ring);
            return KLAVIYO_RING_FULL;
        }

        klaviyo_ring_drop(ring, &end, need);
    }

    if (pad >= sizeof(klaviyo_ring_header_t)) {
        memset(&skip, 0, sizeof(klaviyo_ring_header_t));
        skip.length = (uint32_t) pad;
        skip.type = KLAVIYO_RING_RECORD_PAD;
        skip.header_crc = klaviyo_ring_header_crc(ring, end.position, &skip);

        memcpy(ring->record + offset, &skip, sizeof(klaviyo_ring_header_t));
    }

    if (pad) {
        end.position += pad;
        offset = 0;
    }

    header.seq = end.seq;
    header.header_crc = klaviyo_ring_header_crc(ring, end.position, &header);

    p = ring->record + offset;
    memcpy(p, &header, sizeof(klaviyo_ring_header_t));
    p += sizeof(klaviyo_ring_header_t);
    memcpy(p, event->unique_id, event->unique_id_len);
    p += event->unique_id_len;
    memcpy(p, event->profile, event->profile_len);
    p += event->profile_len;
    memcpy(p, event->attributes, event->attributes_len);
    p += event->attributes_len;
    memset(p, 0, header.length - sizeof(klaviyo_ring_header_t) - payload);

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
    __atomic_store_n(&ring->shared->write_pos, end.position,
                     __ATOMIC_RELEASE);

    klaviyo_ring_unlock(ring);

    return KLAVIYO_RING_OK;
}


/* Gives the space of the oldest events back, under the lock. */

static void
klaviyo_ring_drop(klaviyo_ring_t *ring, const klaviyo_cursor_t *end,
    uint64_t need)
{
    uint64_t               position, seq;
    klaviyo_ring_slot_t    slot;
    klaviyo_ring_header_t  header;

    klaviyo_ring_slot_get(ring, &slot);

    position = slot.position;
    seq = slot.seq;

    while (ring->capacity - (end->position - position) < need) {

        if (!klaviyo_ring_seek(ring, &position, end->position, seq, &header))
        {
            seq = end->seq;
            break;
        }

        position += header.length;
        seq = header.seq + 1;
    }

    /*
     * Unreadable ones among them count as dropped too: should the deliverer
     * have seen them, its acknowledgement takes them out of here.
     */

    slot.outcome[KLAVIYO_OUTCOME_LOST_FULL] += seq - slot.seq;
    slot.position = position;
    slot.seq = seq;

    klaviyo_ring_slot_put(ring, &slot);
}


klaviyo_ring_rc_e
klaviyo_ring_read(klaviyo_ring_t *ring, const klaviyo_cursor_t *cursor,
    uint8_t *buf, size_t size, klaviyo_record_t *record)
{
    int                    found, whole;
    size_t                 len;
    uint64_t               position, limit;
    klaviyo_cursor_t       at, end, acked;
    klaviyo_ring_header_t  header;

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    at = *cursor;                    /* which may be the record's own next */
    position = at.position;

    memset(record, 0, sizeof(klaviyo_record_t));

    for ( ;; ) {

        klaviyo_ring_acked(ring, &acked);

        if (acked.position > at.position) {
            at = acked;
            position = at.position;
        }

        klaviyo_ring_end(ring, &end);

        /* once around at most, should the write position be nonsense */

        limit = end.position;

        if (limit - acked.position > ring->capacity) {
            limit = acked.position + ring->capacity;
        }

        found = klaviyo_ring_seek(ring, &position, limit, at.seq, &header);

        /* header.seq < end.seq, else a leftover of a kill in an append */

        whole = 0;

        if (found && header.seq < end.seq) {
            len = klaviyo_ring_payload_len(&header);

            if (len > size) {
                record->missing = len;
                return KLAVIYO_RING_SMALL;
            }

            memcpy(buf, ring->record + position % ring->capacity
                        + sizeof(klaviyo_ring_header_t), len);

            whole = (klaviyo_crc32c(0, buf, len) == header.payload_crc);

            if (whole && header.seq == at.seq) {
                break;
            }
        }

        /*
         * Something is missing, unless it was dropped and written over while
         * it was read: then the acknowledged position has moved before.
         */

        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        klaviyo_ring_acked(ring, &acked);

        if (acked.position > at.position) {
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
            return KLAVIYO_RING_EMPTY;
        }

        record->missing = end.seq - at.seq;
        record->seq = end.seq;
        record->next = end;

        return KLAVIYO_RING_GAP;
    }

    klaviyo_ring_record_fill(record, &header, buf);

    record->missing = header.seq - at.seq;
    record->next.position = position + header.length;

    return KLAVIYO_RING_OK;
}


static void
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
    uint64_t          end;
    klaviyo_cursor_t  acked;

    if (klaviyo_ring_detached(ring)) {
        return 0;
    }

    klaviyo_ring_acked(ring, &acked);

    if (cursor->position > acked.position) {
        acked.position = cursor->position;
    }

    end = klaviyo_ring_acquire(&ring->shared->write_pos);

    return (end > acked.position) ? end - acked.position : 0;
}

/*
 * The queue room: what is wrong with a ring, and what can be had out of one
 * that cannot be used any more.
 *
 * Plain C.  Reads mapped bytes only, and believes none of them.
 */


#include <string.h>

#include "klaviyo_ring_inspect.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_recover.h"
#include "klaviyo_ring_slot.h"


#define KLAVIYO_RING_LOOKS  1000


static int klaviyo_ring_inspect_slot(klaviyo_ring_t *ring,
    klaviyo_ring_slot_t *slot);
static int klaviyo_ring_salvage_at(klaviyo_ring_t *ring, uint64_t offset,
    uint64_t seq, klaviyo_header_t *header);


int
klaviyo_ring_damaged(klaviyo_ring_t *ring, char *error)
{
    klaviyo_ring_t       copy;
    klaviyo_ring_slot_t  slot;

    /* a check fills the handle that it is given */

    copy = *ring;

    if (klaviyo_ring_check(&copy) != KLAVIYO_RING_GOOD) {
        (void) klaviyo_ring_error(error, "\"%s\" is damaged: the header does "
                                  "not hold together with the file, try "
                                  "\"repair\"", ring->path);
        return 1;
    }

    if (!klaviyo_ring_inspect_slot(ring, &slot)) {
        (void) klaviyo_ring_error(error, "\"%s\" is damaged: neither "
                                  "acknowledgement slot is whole, try "
                                  "\"repair\"", ring->path);
        return 1;
    }

    return 0;
}


unsigned
klaviyo_ring_faults(klaviyo_ring_t *ring, void (*tell)(const char *text))
{
    int                   i, n, stands;
    char                  text[KLAVIYO_RING_ERROR_MAX];
    uint64_t              sum, bytes;
    unsigned              faults;
    klaviyo_cursor_t      end;
    klaviyo_ring_slot_t   slot;
    klaviyo_ring_tail_t  *tail;

    faults = 0;
    stands = 0;

    /* slot and end of one moment */

    for (n = 0; n < KLAVIYO_RING_LOOKS; n++) {
        klaviyo_ring_slot_get(ring, &slot);
        klaviyo_ring_end(ring, &end);

        tail = ring->shared->tail;

        stands = (klaviyo_ring_get(&ring->shared->ack_generation)
                  == slot.generation);

        if (stands
            && (klaviyo_ring_get(&tail[0].end) == end.position
                || klaviyo_ring_get(&tail[1].end) == end.position))
        {
            break;
        }
    }

    if (!stands || !klaviyo_ring_slot_whole(&slot, slot.generation & 1)) {
        (void) klaviyo_ring_error(text, "acknowledgement slot %u: checksum "
                                  "or generation does not fit, the other one "
                                  "will be used at the next start",
                                  (unsigned) (klaviyo_ring_get(
                                      &ring->shared->ack_generation) & 1));
        tell(text);
        return 1;
    }

    sum = 0;

    for (i = 0; i < KLAVIYO_RING_OUTCOME_MAX; i++) {
        sum += slot.outcome[i];
    }

    if (sum != slot.done - slot.base) {
        (void) klaviyo_ring_error(text, "acknowledgement slot %u: outcomes "
                                  "of %llu events for %llu that are done",
                                  (unsigned) (slot.generation & 1),
                                  (unsigned long long) sum,
                                  (unsigned long long)
                                  (slot.done - slot.base));
        tell(text);
        faults++;
    }

    bytes = end.position - slot.position;

    if (n == KLAVIYO_RING_LOOKS) {
        (void) klaviyo_ring_error(text, "write position %llu: no tail ends "
                                  "there, events will be searched for at the "
                                  "next start",
                                  (unsigned long long) end.position);
        tell(text);
        faults++;

    } else if (bytes > ring->capacity
               || bytes % 16 != 0
               || end.seq - slot.seq
                  > bytes / sizeof(klaviyo_header_t)
               || (end.seq == slot.seq) != (bytes == 0))
    {
        (void) klaviyo_ring_error(text, "write position %llu: cannot be, "
                                  "with %llu events from position %llu on",
                                  (unsigned long long) end.position,
                                  (unsigned long long) (end.seq - slot.seq),
                                  (unsigned long long) slot.position);
        tell(text);
        faults++;
    }

    return faults;
}


/* Beside writers only the standing one holds still. */

static int
klaviyo_ring_inspect_slot(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot)
{
    klaviyo_ring_slot_get(ring, slot);

    return klaviyo_ring_slot_whole(slot, slot->generation & 1)
           || klaviyo_ring_slot_newest(ring, slot);
}


void
klaviyo_ring_tail(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor)
{
    memset(cursor, 0, sizeof(klaviyo_cursor_t));

    if (!klaviyo_ring_detached(ring)) {
        klaviyo_ring_end(ring, cursor);
    }
}


klaviyo_ring_rc_e
klaviyo_ring_follow(klaviyo_ring_t *ring, const klaviyo_cursor_t *cursor,
    uint8_t *buf, size_t size, klaviyo_record_t *record)
{
    int               whole;
    uint64_t          position;
    klaviyo_cursor_t  at, end;
    klaviyo_header_t  header;

    at = *cursor;                    /* which may be the record's own next */
    position = at.position;

    memset(record, 0, sizeof(klaviyo_record_t));

    if (klaviyo_ring_detached(ring)) {
        return KLAVIYO_RING_DETACHED;
    }

    klaviyo_ring_end(ring, &end);

    if (position < end.position && end.position - position > ring->capacity) {
        position = end.position - ring->capacity;
    }

    while (klaviyo_ring_seek(ring, &position, end.position, at.seq, &header)
           && header.seq < end.seq)
    {
        whole = klaviyo_ring_copy(ring, position, &header, buf, size);

        if (whole == -1) {
            record->needed = header.length;
            return klaviyo_ring_rc(ring, KLAVIYO_RING_SMALL);
        }

        position += header.length;

        if (!whole) {
            continue;
        }

        klaviyo_record_read(record, buf);

        record->missing = header.seq - at.seq;
        record->next.position = position;

        return klaviyo_ring_rc(ring, KLAVIYO_RING_OK);
    }

    return klaviyo_ring_rc(ring, KLAVIYO_RING_EMPTY);
}


size_t
klaviyo_ring_salvage_max(const klaviyo_ring_t *ring)
{
    return (ring->capacity < KLAVIYO_RING_EVENT_MAX)
           ? ring->capacity : KLAVIYO_RING_EVENT_MAX;
}


/*
 * Once around all the records from where the first one is, or might be.  The
 * header's checksum is bound to an uuid and a position that may both be lost:
 * the payload's has to do.
 */

klaviyo_ring_rc_e
klaviyo_ring_salvage(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor,
    uint8_t *buf, klaviyo_record_t *record)
{
    uint64_t             start, seq, offset;
    klaviyo_ring_slot_t  slot;
    klaviyo_header_t     header;

    start = 0;
    seq = 0;

    if (klaviyo_ring_inspect_slot(ring, &slot)) {
        start = slot.position % ring->capacity;
        seq = slot.seq;
    }

    while (cursor->position < ring->capacity) {
        offset = (start + cursor->position) % ring->capacity;

        if (!klaviyo_ring_salvage_at(ring, offset, seq, &header)
            || klaviyo_ring_copy(ring, offset, &header, buf,
                                 klaviyo_ring_salvage_max(ring))
               != 1)
        {
            cursor->position += 16;
            continue;
        }

        cursor->position += header.length;

        memset(record, 0, sizeof(klaviyo_record_t));
        klaviyo_record_read(record, buf);

        return KLAVIYO_RING_OK;
    }

    return KLAVIYO_RING_EMPTY;
}


static int
klaviyo_ring_salvage_at(klaviyo_ring_t *ring, uint64_t offset, uint64_t seq,
    klaviyo_header_t *header)
{
    uint64_t  rest;

    rest = ring->capacity - offset;

    if (rest < sizeof(klaviyo_header_t)) {
        return 0;
    }

    memcpy(header, ring->record + offset, sizeof(klaviyo_header_t));

    return klaviyo_record_sane(header, rest) && header->seq >= seq;
}

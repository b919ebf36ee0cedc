/*
 * What ring_fuzz.c holds a ring to: numbers, records, acknowledgements.
 */


#ifndef RING_PROMISES_H
#define RING_PROMISES_H


#include "ring_fuzz.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_read.h"
#include "queue/klaviyo_ring_slot.h"


typedef struct {
    klaviyo_cursor_t  at;
    uint64_t          events;
    uint64_t          missing;
    uint64_t          ours;
} walk_t;


static void limits(klaviyo_ring_t *ring, klaviyo_ring_span_t *span);
static uint64_t defect(klaviyo_ring_t *ring);
static unsigned add(klaviyo_ring_t *ring, int large);
static void fill(klaviyo_ring_t *ring);
static void walk(klaviyo_ring_t *ring, walk_t *w, uint64_t most, int sound);
static klaviyo_ring_rc_e read_one(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *cursor, klaviyo_record_t *record, int sound);
static void ack(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_cursor_t *from, const walk_t *w);


/* what holds of a ring that somebody who was alone has attached */

static void
limits(klaviyo_ring_t *ring, klaviyo_ring_span_t *span)
{
    klaviyo_figures_t  figures;

    must(klaviyo_ring_span(ring, span) == KLAVIYO_RING_OK
         && span->size == ring->capacity
         && span->used <= span->size
         && span->used == span->end.position - span->first.position
         && span->first.position % 16 == 0
         && span->end.position % 16 == 0
         && span->first.position <= span->end.position
         && span->done <= span->first.seq
         && span->first.seq <= span->end.seq);

    /* what was put at the end again counts once */

    klaviyo_ring_figures(ring, &figures);
    must(figures.attached
         && figures.queued <= span->end.seq - span->done
         && figures.spooled == span->first.seq - span->done);
}


/* 0: what has an outcome is what is done */

static uint64_t
defect(klaviyo_ring_t *ring)
{
    int                  i;
    uint64_t             sum;
    klaviyo_ring_slot_t  slot;

    klaviyo_ring_slot_get(ring, &slot);

    sum = slot.base - slot.done;

    for (i = 0; i < KLAVIYO_RING_OUTCOME_MAX; i++) {
        sum += slot.outcome[i];
    }

    return sum;
}


/* how many */

static unsigned
add(klaviyo_ring_t *ring, int large)
{
    unsigned           i, n;
    klaviyo_event_t    event;
    klaviyo_ring_rc_e  rc;

    memset(&event, 0, sizeof(event));
    event.unique_id = (const uint8_t *) "ours";
    event.unique_id_len = 4;
    event.profile = body;
    event.attributes = body;
    event.attributes_len = klaviyo_ring_event_max(ring) - 3;

    must(klaviyo_ring_detached(ring)
         || klaviyo_ring_append(ring, &event) == KLAVIYO_RING_TOO_LARGE);

    event.attributes_len = large ? klaviyo_ring_event_max(ring) - 4 : 1000;
    n = 0;

    for (i = 0; i < 4; i++) {
        rc = klaviyo_ring_append(ring, &event);
        must(rc == KLAVIYO_RING_OK
             || rc == KLAVIYO_RING_FULL
             || rc == KLAVIYO_RING_DETACHED);

        n += (rc == KLAVIYO_RING_OK);
        event.attributes_len = 10 * i;
    }

    return n;
}


/* more than it has room for: the oldest make place */

static void
fill(klaviyo_ring_t *ring)
{
    unsigned             i;
    klaviyo_event_t      event;
    klaviyo_ring_span_t  span;

    memset(&event, 0, sizeof(event));
    event.unique_id = (const uint8_t *) "fill";
    event.unique_id_len = 4;
    event.profile = body;
    event.attributes = body;
    event.attributes_len = klaviyo_ring_event_max(ring) - 4;

    for (i = 0; i < 5; i++) {
        must(klaviyo_ring_append(ring, &event) == KLAVIYO_RING_OK);
        limits(ring, &span);
    }
}


static void
walk(klaviyo_ring_t *ring, walk_t *w, uint64_t most, int sound)
{
    uint64_t             n;
    klaviyo_record_t     record;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;

    for (n = 0; n < most; n++) {
        rc = read_one(ring, &w->at, &record, sound);

        if (rc == KLAVIYO_RING_DETACHED && !sound) {
            return;
        }

        if (rc == KLAVIYO_RING_AGAIN && !sound) {
            must(klaviyo_ring_span(ring, &span) == KLAVIYO_RING_OK);

            must(span.done < span.first.seq && w->at.seq < span.first.seq);
            w->at = span.first;
            continue;
        }

        must(rc == KLAVIYO_RING_OK
             || rc == KLAVIYO_RING_GAP
             || rc == KLAVIYO_RING_EMPTY);

        if (rc == KLAVIYO_RING_EMPTY) {
            return;
        }

        w->missing += record.missing;
        w->at = record.next;

        if (rc == KLAVIYO_RING_OK) {
            w->events++;
            w->ours += (record.event.unique_id_len == 4
                        && memcmp(record.event.unique_id, "ours", 4) == 0);
        }
    }

    must(most < MOST);
}


static klaviyo_ring_rc_e
read_one(klaviyo_ring_t *ring, const klaviyo_cursor_t *cursor,
    klaviyo_record_t *record, int sound)
{
    size_t               size, len;
    uint64_t             at, seq, length;
    klaviyo_record_t     twice;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;
    klaviyo_header_t     header;

    static uint8_t         *buf;

    /* exactly as large as it has to be, for the sanitizer */

    size = 0;

    for ( ;; ) {
        rc = klaviyo_ring_read(ring, cursor, buf, size, record);

        if (rc != KLAVIYO_RING_SMALL) {
            break;
        }

        must(record->needed > size && record->needed < ring->capacity);
        size = record->needed;

        free(buf);
        buf = malloc(size);
        must(buf != NULL);
    }

    if (rc == KLAVIYO_RING_DETACHED) {
        return rc;
    }

    must(klaviyo_ring_read(ring, cursor, buf, size, &twice) == rc
         && memcmp(&twice, record, sizeof(klaviyo_record_t)) == 0
         && klaviyo_ring_span(ring, &span) == KLAVIYO_RING_OK);

    seq = (cursor->seq > span.first.seq) ? cursor->seq : span.first.seq;

    if (rc == KLAVIYO_RING_EMPTY) {
        must(!sound || cursor->seq == span.end.seq);
    }

    if (rc == KLAVIYO_RING_GAP) {
        must(record->missing == span.end.seq - seq
             && record->missing > 0
             && record->next.seq == span.end.seq
             && record->next.position == span.end.position);
    }

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    len = record->event.unique_id_len + record->event.profile_len
          + record->event.attributes_len;
    length = klaviyo_record_align(sizeof(header) + len);
    at = (record->next.position - length) % ring->capacity;

    must(length <= size
         && record->event.unique_id_len > 0
         && record->event.unique_id == buf + sizeof(header)
         && record->event.profile == record->event.unique_id
                                     + record->event.unique_id_len
         && record->event.attributes == record->event.profile
                                        + record->event.profile_len
         && record->seq >= seq
         && record->missing == record->seq - seq
         && record->next.seq == record->seq + 1
         && at + length <= ring->capacity);

    memcpy(&header, ring->record + at, sizeof(klaviyo_header_t));

    must(header.length == length
         && header.seq == record->seq
         && header.payload_crc
            == klaviyo_crc32c(0, record->event.unique_id, len)
         && header.header_crc
            == klaviyo_record_crc(ring->uuid_crc,
                                  record->next.position - length, &header));

    if (sound) {
        must(record->next.seq <= span.end.seq
             && record->next.position > cursor->position
             && record->next.position <= span.end.position);
    }

    return rc;
}


static void
ack(klaviyo_ring_t *ring, uint64_t epoch, const klaviyo_cursor_t *from,
    const walk_t *w)
{
    klaviyo_ack_t        a;
    klaviyo_ring_span_t  span;

    memset(&a, 0, sizeof(a));
    a.from = *from;
    a.to = w->at;
    a.outcome[KLAVIYO_OUTCOME_DELIVERED] = w->events;
    a.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT] = w->missing;

    must(klaviyo_ring_ack(ring, epoch, &a, 0) == KLAVIYO_RING_OK
         && klaviyo_ring_span(ring, &span) == KLAVIYO_RING_OK
         && span.done == w->at.seq
         && span.first.seq == w->at.seq);
}


#endif /* RING_PROMISES_H */

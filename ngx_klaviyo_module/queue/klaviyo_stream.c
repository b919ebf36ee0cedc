/*
 * The queue room: ring and spool as one stream.
 *
 * Plain C.  Touches memory only.
 */


#include <string.h>

#include "klaviyo_stream.h"
#include "klaviyo_ring_figures.h"
#include "klaviyo_ring_read.h"
#include "klaviyo_spool_chunk.h"


static klaviyo_ring_rc_e klaviyo_stream_chunk(klaviyo_stream_t *stream,
    uint64_t seq, uint64_t first, uint8_t *buf, size_t size,
    klaviyo_record_t *record);
static klaviyo_ring_rc_e klaviyo_stream_copy(uint8_t *buf, size_t size,
    klaviyo_record_t *record);


klaviyo_ring_rc_e
klaviyo_stream_read(klaviyo_stream_t *stream, const klaviyo_cursor_t *cursor,
    uint8_t *buf, size_t size, klaviyo_record_t *record)
{
    uint64_t             seq;
    klaviyo_cursor_t     at;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;

    at = *cursor;                    /* which may be the record's own next */

    for ( ;; ) {
        rc = klaviyo_ring_read(stream->ring, &at, buf, size, record);

        if (rc != KLAVIYO_RING_AGAIN) {
            return rc;
        }

        seq = record->seq;

        rc = klaviyo_ring_span(stream->ring, &span);

        if (rc != KLAVIYO_RING_OK) {
            return rc;
        }

        /* lost between the two looks: `done` only grows */

        if (seq >= span.done) {
            break;
        }
    }

    return klaviyo_stream_chunk(stream, seq, span.first.seq, buf, size, record);
}


/* What stands from seq on, in the spool: before `first`. */

static klaviyo_ring_rc_e
klaviyo_stream_chunk(klaviyo_stream_t *stream, uint64_t seq, uint64_t first,
    uint8_t *buf, size_t size, klaviyo_record_t *record)
{
    size_t            at;
    uint64_t          to;
    klaviyo_chunk_t  *chunk;

    chunk = stream->chunk;

    if (chunk == NULL || seq < chunk->from || seq >= chunk->to) {
        stream->wanted = seq;
        record->seq = seq;

        return KLAVIYO_RING_AGAIN;
    }

    /* from `first` on the ring's own copies are the ones to be read */

    to = (chunk->to < first) ? chunk->to : first;
    at = chunk->at;

    if (klaviyo_chunk_next(chunk, seq, record) == KLAVIYO_RING_OK
        && record->seq < to)
    {
        if (klaviyo_stream_copy(buf, size, record) == KLAVIYO_RING_OK) {
            return KLAVIYO_RING_OK;
        }

        chunk->at = at;              /* the same once more */

        return KLAVIYO_RING_SMALL;
    }

    memset(record, 0, sizeof(klaviyo_record_t));
    record->missing = to - seq;
    record->seq = to;
    record->next.seq = to;

    return KLAVIYO_RING_GAP;
}


/* Out of the chunk, which is filled anew before the reader is done with it. */

static klaviyo_ring_rc_e
klaviyo_stream_copy(uint8_t *buf, size_t size, klaviyo_record_t *record)
{
    const uint8_t    *p;
    klaviyo_header_t  header;

    p = record->event.unique_id - sizeof(klaviyo_header_t);

    memcpy(&header, p, sizeof(klaviyo_header_t));

    if (header.length > size) {
        memset(record, 0, sizeof(klaviyo_record_t));
        record->needed = header.length;

        return KLAVIYO_RING_SMALL;
    }

    memcpy(buf, p, header.length);
    klaviyo_record_read(record, buf);

    return KLAVIYO_RING_OK;
}

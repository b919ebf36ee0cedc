/*
 * The queue room: records of a spool in memory, to be written or as read.
 *
 * Plain C; may touch nothing but the chunk.
 */


#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "klaviyo_spool_private.h"
#include "klaviyo_spool_chunk.h"


int
klaviyo_chunk_grow(klaviyo_chunk_t *chunk, size_t size)
{
    uint8_t  *start;

    if (size < KLAVIYO_SPOOL_CHUNK) {
        size = KLAVIYO_SPOOL_CHUNK;
    }

    if (size <= chunk->size) {
        return 0;
    }

    start = realloc(chunk->start, size);
    if (start == NULL) {
        return -1;
    }

    chunk->start = start;
    chunk->size = size;

    return 0;
}


int
klaviyo_chunk_take(klaviyo_chunk_t *chunk, const klaviyo_record_t *record)
{
    klaviyo_header_t  header;

    if (chunk->used == 0) {
        chunk->from = record->seq;

    } else if (record->seq < chunk->to) {
        return -1;
    }

    memcpy(&header, chunk->start + chunk->used, sizeof(klaviyo_header_t));

    chunk->used += header.length;
    chunk->to = record->seq + 1;
    chunk->events++;

    return 0;
}


void
klaviyo_chunk_renumber(klaviyo_chunk_t *chunk, uint64_t add)
{
    size_t            at;
    klaviyo_header_t  record;

    for (at = 0; at < chunk->used; at += record.length) {
        memcpy(&record, chunk->start + at, sizeof(klaviyo_header_t));

        record.seq += add;

        memcpy(chunk->start + at, &record, sizeof(klaviyo_header_t));
    }

    chunk->from += add;
    chunk->to += add;
}


klaviyo_ring_rc_e
klaviyo_chunk_next(klaviyo_chunk_t *chunk, uint64_t seq,
    klaviyo_record_t *record)
{
    unsigned          again;
    klaviyo_header_t  header;

    if (seq < chunk->from || seq >= chunk->to) {
        return KLAVIYO_RING_EMPTY;
    }

    /* `at` is where the last look ended: behind what is asked for, or not */

    again = (chunk->at != 0);

    for ( ;; ) {

        if (chunk->at < chunk->used) {
            memcpy(&header, chunk->start + chunk->at,
                   sizeof(klaviyo_header_t));

            if (header.seq < seq) {
                chunk->at += header.length;
                again = 0;
                continue;
            }

            if (header.seq == seq) {
                break;
            }
        }

        if (again) {
            chunk->at = 0;
            again = 0;
            continue;
        }

        if (chunk->at >= chunk->used) {
            return KLAVIYO_RING_EMPTY;
        }

        break;
    }

    klaviyo_record_read(record, chunk->start + chunk->at);

    record->missing = header.seq - seq;
    record->next.position = 0;

    chunk->at += header.length;

    return KLAVIYO_RING_OK;
}


void
klaviyo_chunk_reset(klaviyo_chunk_t *chunk)
{
    chunk->used = 0;
    chunk->at = 0;
    chunk->from = 0;
    chunk->to = 0;
    chunk->events = 0;
}


void
klaviyo_chunk_free(klaviyo_chunk_t *chunk)
{
    free(chunk->start);
    memset(chunk, 0, sizeof(klaviyo_chunk_t));
}

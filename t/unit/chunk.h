/*
 * Events in a chunk, as if they had come from a ring.
 */


#ifndef CHUNK_H
#define CHUNK_H


#include "queue/klaviyo_record.h"
#include "queue/klaviyo_spool_chunk.h"


/* 1, 0: it has no room beside the others, -1 */

static inline int
chunk_put(klaviyo_chunk_t *chunk, uint64_t seq, const klaviyo_event_t *event)
{
    klaviyo_header_t  header;
    klaviyo_record_t  record;

    if (klaviyo_record_header(&header, event) == -1
        || (chunk->used == 0
            && klaviyo_chunk_grow(chunk, header.length) == -1))
    {
        return -1;
    }

    if (header.length > chunk->size - chunk->used) {
        return 0;
    }

    header.seq = seq;
    klaviyo_record_put(chunk->start + chunk->used, &header, event);
    klaviyo_record_read(&record, chunk->start + chunk->used);

    return klaviyo_chunk_take(chunk, &record) == -1 ? -1 : 1;
}


#endif /* CHUNK_H */

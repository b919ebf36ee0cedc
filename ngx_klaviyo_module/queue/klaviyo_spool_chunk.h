#ifndef KLAVIYO_SPOOL_CHUNK_H
#define KLAVIYO_SPOOL_CHUNK_H


#include "klaviyo_spool.h"
#include "klaviyo_spool_format.h"


/*
 * Takes the record that was read to chunk->start + chunk->used.  0, or -1: it
 * is older than the last one.
 */
int klaviyo_chunk_take(klaviyo_chunk_t *chunk,
    const klaviyo_record_t *record);

/*
 * The next record at or behind `seq`; its event points into the chunk,
 * record->missing counts from `seq`, record->next.position is 0.  OK, or
 * EMPTY: none in this chunk.
 */
klaviyo_ring_rc_e klaviyo_chunk_next(klaviyo_chunk_t *chunk, uint64_t seq,
    klaviyo_record_t *record);

void klaviyo_chunk_reset(klaviyo_chunk_t *chunk);
void klaviyo_chunk_free(klaviyo_chunk_t *chunk);

/* adds to the sequence of each record */
void klaviyo_chunk_renumber(klaviyo_chunk_t *chunk, uint64_t add);

/* room for so many bytes in all; 0, or -1: no memory */
int klaviyo_chunk_grow(klaviyo_chunk_t *chunk, size_t size);


#endif /* KLAVIYO_SPOOL_CHUNK_H */

#ifndef KLAVIYO_SPOOL_CHUNK_H
#define KLAVIYO_SPOOL_CHUNK_H


#include "klaviyo_spool.h"
#include "klaviyo_spool_format.h"


/*
 * Adds an event for klaviyo_spool_write(); 1, 0: it has no room beside the
 * others (an empty chunk grows to what it needs), -1: no memory.
 */
int klaviyo_chunk_add(klaviyo_chunk_t *chunk, uint64_t seq,
    const klaviyo_event_t *event);

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

/* whether the lengths agree with each other and with what there is */
int klaviyo_spool_record_sane(const klaviyo_spool_record_t *record,
    uint64_t available);

size_t klaviyo_spool_payload_len(const klaviyo_spool_record_t *record);


#endif /* KLAVIYO_SPOOL_CHUNK_H */

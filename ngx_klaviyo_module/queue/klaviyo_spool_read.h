#ifndef KLAVIYO_SPOOL_READ_H
#define KLAVIYO_SPOOL_READ_H


#include "klaviyo_spool.h"


/*
 * Fills the chunk, its old content gone, with records from `seq` on: about
 * KLAVIYO_SPOOL_CHUNK bytes, at least one record if there is one before the
 * tail.  What cannot be read is jumped over: the records tell by their
 * sequence, and chunk->to by how far they tell the whole truth.  ERROR: the
 * disk failed where it may not fail again, or there is no memory.
 */
klaviyo_spool_rc_e klaviyo_spool_read(klaviyo_spool_t *spool, uint64_t seq,
    klaviyo_chunk_t *chunk, char *error);

/*
 * Reads records that follow each other without a gap from the committed tail
 * on and syncs them; moves *offset and *seq behind them.
 */
void klaviyo_spool_scan_tail(klaviyo_spool_t *spool, uint64_t *offset,
    uint64_t *seq);


#endif /* KLAVIYO_SPOOL_READ_H */

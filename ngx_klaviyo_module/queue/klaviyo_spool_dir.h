#ifndef KLAVIYO_SPOOL_DIR_H
#define KLAVIYO_SPOOL_DIR_H


#include "klaviyo_spool_private.h"


void klaviyo_spool_segment_name(uint64_t number, char *name);

/*
 * One look into the directory: fills the table with all segments, those as
 * bad that the state does not tell of (the rest of a crash).  Changes nothing
 * on the disk.  0 or -1.
 */
int klaviyo_spool_segments_open(klaviyo_spool_t *spool, char *error);

/* a new last one in the table; NULL: no memory */
klaviyo_spool_segment_t *klaviyo_spool_segment_push(klaviyo_spool_t *spool,
    uint64_t number);

/*
 * The state as it is on the disk, in spool->slot if it is GOOD.  NEW: nothing
 * was ever written, and there are no segments; with segments it is CORRUPT.
 * ERROR: with the text.
 */
klaviyo_spool_state_e klaviyo_spool_state_read(klaviyo_spool_t *spool,
    char *error);

/*
 * Moves the state and all segments into a new directory whose name begins
 * with `kind`; `to` gets that name and holds 128 bytes.  0 or -1.
 */
int klaviyo_spool_aside(klaviyo_spool_t *spool, const char *kind, char *to,
    char *error);

/* bytes of all segments */
uint64_t klaviyo_spool_used(const klaviyo_spool_t *spool);

/* the segment that has this sequence, the last with first <= seq; or NULL */
klaviyo_spool_segment_t *klaviyo_spool_segment_of(
    const klaviyo_spool_t *spool, uint64_t seq);

/* where the segment's sequences end: the next one's first, or the tail */
uint64_t klaviyo_spool_segment_end(const klaviyo_spool_t *spool,
    const klaviyo_spool_segment_t *segment);

/*
 * Unlinks what no sequence between head and tail is in.  What the disk does
 * not let go stays in the table.
 */
void klaviyo_spool_prune(klaviyo_spool_t *spool);


#endif /* KLAVIYO_SPOOL_DIR_H */

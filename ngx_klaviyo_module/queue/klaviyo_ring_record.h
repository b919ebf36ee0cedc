#ifndef KLAVIYO_RING_RECORD_H
#define KLAVIYO_RING_RECORD_H


#include "klaviyo_ring_private.h"


/*
 * The committed end: write position and the sequence that comes next; and how
 * many of the records up to there were put again.
 */
uint64_t klaviyo_ring_end(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor);

/*
 * Finds the first header in [*position, end) that is valid there and whose
 * sequence is not below seq; pads and bytes that are no header are passed
 * over.  1 with *position at the header; 0 with *position at the end.
 */
int klaviyo_ring_seek(klaviyo_ring_t *ring, uint64_t *position, uint64_t end,
    uint64_t seq, klaviyo_header_t *header);

/* as klaviyo_record_copy() */
int klaviyo_ring_copy(const klaviyo_ring_t *ring, uint64_t position,
    const klaviyo_header_t *header, uint8_t *buf, size_t size);


#endif /* KLAVIYO_RING_RECORD_H */

#ifndef KLAVIYO_RING_RECORD_H
#define KLAVIYO_RING_RECORD_H


#include "klaviyo_ring_private.h"


/*
 * The committed end: write position and the sequence that comes next; and how
 * many of the records up to there were put again.
 */
uint64_t klaviyo_ring_end(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor);

uint32_t klaviyo_ring_header_crc(const klaviyo_ring_t *ring,
    uint64_t position, const klaviyo_ring_header_t *header);

/*
 * Finds the first header in [*position, end) that is valid there and whose
 * sequence is not below seq; pads and bytes that are no header are passed
 * over.  1 with *position at the header; 0 with *position at the end.
 */
int klaviyo_ring_seek(klaviyo_ring_t *ring, uint64_t *position, uint64_t end,
    uint64_t seq, klaviyo_ring_header_t *header);

size_t klaviyo_ring_payload_len(const klaviyo_ring_header_t *header);

/* copies it: 1: it is whole, 0: it is not, -1: `size` is too little */
int klaviyo_ring_payload(const klaviyo_ring_t *ring, uint64_t position,
    const klaviyo_ring_header_t *header, uint8_t *buf, size_t size);

/* all but `missing` and next.position */
void klaviyo_ring_record_fill(klaviyo_record_t *record,
    const klaviyo_ring_header_t *header, const uint8_t *payload);


#endif /* KLAVIYO_RING_RECORD_H */

#ifndef KLAVIYO_RING_READ_H
#define KLAVIYO_RING_READ_H


#include "klaviyo_ring.h"


/*
 * Copies the record at the cursor into buf and checks the copy.  OK and the
 * record (the caller moves on by cursor = record->next); EMPTY; SMALL, with
 * the bytes needed in record->needed; GAP when nothing readable follows,
 * with record->missing and record->next set; DETACHED.  Bytes that are no
 * record are skipped up to the next valid one and show as `missing`.
 * A cursor behind the first event (dropped by drop_oldest) moves to it; the
 * dropped ones have been counted and are not `missing`.  AGAIN: the event is
 * in the spool; its sequence is record->seq.
 */
klaviyo_ring_rc_e klaviyo_ring_read(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *cursor, uint8_t *buf, size_t size,
    klaviyo_record_t *record);

/*
 * Bytes committed behind the cursor, those in the spool as at least one: a
 * cheap look without the lock.
 */
uint64_t klaviyo_ring_ahead(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *cursor);


#endif /* KLAVIYO_RING_READ_H */

#ifndef KLAVIYO_RING_INSPECT_H
#define KLAVIYO_RING_INSPECT_H


#include "klaviyo_ring_open.h"


/* 1: header or acknowledgement slots cannot be believed, the text says so */
int klaviyo_ring_damaged(klaviyo_ring_t *ring, char *error);

/*
 * For who follows what comes: the next event from the cursor on, whether it
 * has an outcome by now or not, as long as nobody wrote over it.  OK, with
 * record->missing; EMPTY; SMALL; DETACHED: as klaviyo_ring_read().  From
 * tail() on, only what comes then.
 */
klaviyo_ring_rc_e klaviyo_ring_follow(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *cursor, uint8_t *buf, size_t size,
    klaviyo_record_t *record);
void klaviyo_ring_tail(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor);

/*
 * Tells of each fault in what is not a record of a ring that is not damaged,
 * in use or not.  How many.
 */
unsigned klaviyo_ring_faults(klaviyo_ring_t *ring,
    void (*tell)(const char *text));

/*
 * The next event that is whole in a seized ring, header or not: OK, with
 * cursor->position moved; EMPTY.  Begins with *cursor zeroed.  As far as the
 * ring still tells, those with an outcome are left out.  buf holds
 * klaviyo_ring_salvage_max() bytes.
 */
klaviyo_ring_rc_e klaviyo_ring_salvage(klaviyo_ring_t *ring,
    klaviyo_cursor_t *cursor, uint8_t *buf, klaviyo_record_t *record);

size_t klaviyo_ring_salvage_max(const klaviyo_ring_t *ring);


#endif /* KLAVIYO_RING_INSPECT_H */

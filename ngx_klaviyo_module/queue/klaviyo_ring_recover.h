#ifndef KLAVIYO_RING_RECOVER_H
#define KLAVIYO_RING_RECOVER_H


#include "klaviyo_ring_private.h"


typedef enum {
    KLAVIYO_RING_GOOD = 0,
    KLAVIYO_RING_CORRUPT,
    KLAVIYO_RING_FOREIGN         /* another version of the format           */
} klaviyo_ring_state_e;


/* judges the header page and the size of a file; fills ring->fixed */
klaviyo_ring_state_e klaviyo_ring_check(klaviyo_ring_t *ring);

/* sets what follows from ring->map and ring->fixed */
void klaviyo_ring_place(klaviyo_ring_t *ring);

/* makes header pages in a new mapping of zeroes; 0 or errno */
int klaviyo_ring_init(klaviyo_ring_t *ring, uint64_t capacity);

/*
 * For the only process that is attached: makes the mutex anew and brings
 * positions and sequences to what is really there.  ERROR when there is
 * nothing to begin from.
 */
klaviyo_ring_rc_e klaviyo_ring_recover(klaviyo_ring_t *ring, char *note);


#endif /* KLAVIYO_RING_RECOVER_H */

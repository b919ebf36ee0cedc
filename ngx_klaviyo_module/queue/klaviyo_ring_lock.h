#ifndef KLAVIYO_RING_LOCK_H
#define KLAVIYO_RING_LOCK_H


#include "klaviyo_ring_private.h"


/* the lock, in at most 5 ms: OK, BUSY, DETACHED; a dead owner's is taken */
klaviyo_ring_rc_e klaviyo_ring_lock(klaviyo_ring_t *ring);
void klaviyo_ring_unlock(klaviyo_ring_t *ring);


#endif /* KLAVIYO_RING_LOCK_H */

#ifndef KLAVIYO_RING_RETIRE_H
#define KLAVIYO_RING_RETIRE_H


#include "klaviyo_ring_private.h"


/*
 * Adds the figures of an empty drained ring and removes it, if nobody but us
 * and those who inherited our descriptor is attached to it.  1: done.
 */
int klaviyo_ring_retire(klaviyo_ring_t *ring, klaviyo_ring_t *old);


#endif /* KLAVIYO_RING_RETIRE_H */

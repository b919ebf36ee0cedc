#ifndef KLAVIYO_RING_HEALTH_H
#define KLAVIYO_RING_HEALTH_H


#include "klaviyo_ring.h"


/*
 * How the account fares: what was put last, zeroes if nothing was.  put() is
 * the deliverer's: OK, STALE, BUSY, DETACHED.
 */
void klaviyo_ring_health(klaviyo_ring_t *ring, klaviyo_health_t *health);
klaviyo_ring_rc_e klaviyo_ring_health_put(klaviyo_ring_t *ring,
    uint64_t epoch, const klaviyo_health_t *health);

/* when the first event that is in the ring was captured; 0: there is none */
int64_t klaviyo_ring_oldest(klaviyo_ring_t *ring);


#endif /* KLAVIYO_RING_HEALTH_H */

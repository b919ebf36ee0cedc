/*
 * What the deliverer of events that wait keeps in their ring: how far it
 * came, and the figures of that moment.  Private to klaviyo_hold*.c.
 *
 * It is saved where the ring keeps the limiter's bytes of other rings: in an
 * acknowledgement slot, at once or not at all.
 */


#ifndef KLAVIYO_HOLD_STATE_H
#define KLAVIYO_HOLD_STATE_H


#include "klaviyo_hold.h"


typedef struct {
    uint32_t  magic;
    uint32_t  reserved;
    uint64_t  seq;               /* the mark: what is before it is done     */
    uint64_t  held;
    uint64_t  waiting;
    uint64_t  released;
    uint64_t  expired;
    uint64_t  lost;
} klaviyo_hold_state_t;


/* 1; or 0: the ring is detached.  Zeroes when nothing was saved since boot */
int klaviyo_hold_state_load(klaviyo_ring_t *ring, klaviyo_hold_state_t *state);

/*
 * All up to the mark has been read again, and so many wait for sure.  Fewer
 * than were saved: some were dropped while nobody looked.  More: they were
 * let go or expired, but a kill came before that was saved.
 */
void klaviyo_hold_state_known(klaviyo_hold_state_t *state, uint64_t waiting);

/* as of the last step of whoever has the lease */
void klaviyo_hold_figures(klaviyo_ring_t *ring,
    klaviyo_hold_figures_t *figures);


#endif /* KLAVIYO_HOLD_STATE_H */

#ifndef KLAVIYO_RING_GUARD_H
#define KLAVIYO_RING_GUARD_H


#include "klaviyo_ring_private.h"


void klaviyo_ring_guard_add(klaviyo_ring_t *ring);
void klaviyo_ring_guard_remove(klaviyo_ring_t *ring);

/*
 * Around what is done under the lock.  pthread_mutex_unlock() takes the mutex
 * out of the thread's list of robust ones by pointers that are in the mutex
 * itself: zeroes there, between two of its loads, would break the list.
 */
static inline void
klaviyo_ring_guard_hold(klaviyo_ring_t *ring)
{
    ring->guard.held = ring->shared->lock.mutex;

    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ring->guard.mutex = &ring->shared->lock.mutex;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void
klaviyo_ring_guard_release(klaviyo_ring_t *ring)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ring->guard.mutex = NULL;
}


#endif /* KLAVIYO_RING_GUARD_H */

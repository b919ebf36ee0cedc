#ifndef KLAVIYO_RING_DRAIN_H
#define KLAVIYO_RING_DRAIN_H


#include "klaviyo_ring.h"


/*
 * Takes over what is left in rings of another size ("<path>.drain-*"): moves
 * events, and when a drained file has no process left that appends to it,
 * adds its figures and unlinks it.  A bounded step, for the deliverer to
 * call each second: at most `max` events.  Returns how many were moved.
 */
unsigned klaviyo_ring_drain(klaviyo_ring_t *ring, uint64_t epoch,
    unsigned max);

/*
 * A ring of the same account at another path, to be taken over in the same
 * manner by whoever calls klaviyo_ring_drain() from now on; only while it is
 * the one with this uuid.  0, or -1: no memory.  Opens nothing.
 */
int klaviyo_ring_drain_also(klaviyo_ring_t *ring, const char *path,
    const uint8_t *uuid);

/*
 * A ring that is being drained and has events in the spool: OK and where it
 * stands, if its lease is ours; BUSY: not yet; EMPTY: no such ring is known.
 * It is not unlinked before moved() books these events as ours.  lose() ends
 * those of all whose lease is ours as lost: for who knows that they are not in
 * the spool; it returns how many.
 */
klaviyo_ring_rc_e klaviyo_ring_drain_span(klaviyo_ring_t *ring,
    const uint8_t *uuid, klaviyo_ring_span_t *span);
klaviyo_ring_rc_e klaviyo_ring_drain_moved(klaviyo_ring_t *ring,
    const uint8_t *uuid);
uint64_t klaviyo_ring_drain_lose(klaviyo_ring_t *ring);

/* as klaviyo_ring_load(), or what one of them has while this one has none */
klaviyo_ring_rc_e klaviyo_ring_drain_load(klaviyo_ring_t *ring,
    int64_t *paused_until, void *limiter, size_t len);

/* 1: there are rings to take over from */
int klaviyo_ring_drains(const klaviyo_ring_t *ring);

/*
 * Lets go of the leases of drained rings, for who holds the ring's own no
 * longer; the next klaviyo_ring_drain() takes them again.
 */
void klaviyo_ring_drain_leave(klaviyo_ring_t *ring);

/* looks for rings to drain, at most twice a minute, and attaches them */
void klaviyo_ring_drain_open(klaviyo_ring_t *ring);
void klaviyo_ring_drain_close(klaviyo_ring_t *ring);


#endif /* KLAVIYO_RING_DRAIN_H */

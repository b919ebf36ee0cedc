/*
 * Who delivers: one process of all that have a ring attached.
 *
 * Two things together.  An OFD lock on byte 1 of the ring file, on a
 * descriptor opened after the fork (OFD locks are inherited otherwise): the
 * kernel frees it at death.  And an epoch with a deadline in the ring's
 * header: a holder that was stopped for longer than the lease finds another
 * epoch when it goes on, and stands back; all it can do is send twice what
 * Klaviyo discards by its unique_id.
 */


#ifndef KLAVIYO_LEASE_H
#define KLAVIYO_LEASE_H


#include "klaviyo_ring.h"


#define KLAVIYO_LEASE_TIME  15000   /* ms without renewal: free to take */


typedef struct {
    klaviyo_ring_t  *ring;
    uint64_t         epoch;      /* ours while held                         */
    int              fd;         /* this process's own; -1 while not held   */
    unsigned         held:1;
    unsigned         open:1;     /* and may be renewed                      */
} klaviyo_lease_t;


/* in the worker, after the fork; 0 or errno */
int klaviyo_lease_open(klaviyo_lease_t *lease, klaviyo_ring_t *ring);

/*
 * Each second: takes a free lease or renews the own one.  OK: held (a new
 * epoch if it was not held before); BUSY: another process delivers;
 * DETACHED.
 */
klaviyo_ring_rc_e klaviyo_lease_renew(klaviyo_lease_t *lease);

/* before sending and acknowledging: 1 while the epoch is still ours */
int klaviyo_lease_valid(const klaviyo_lease_t *lease);

/* lets go at once, for an exiting worker; idempotent */
void klaviyo_lease_close(klaviyo_lease_t *lease);


#endif /* KLAVIYO_LEASE_H */

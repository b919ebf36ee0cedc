/*
 * To spill is to copy events from the ring, in memory, to the spool, on a
 * disk.  Here is whose events the spool holds, and how more of them are
 * copied: for the deliverer, and for the process that writes at nginx's end.
 *
 * Plain C.  Nothing here waits for a disk.
 */


#ifndef KLAVIYO_SPILL_H
#define KLAVIYO_SPILL_H


#include "klaviyo_spool.h"


/*
 * What has to happen before a spool that was opened is this ring's:
 *
 *     READY     nothing: it is.  `copied` is where copying goes on; with
 *               `release`, klaviyo_ring_release() up to there first: of a ring
 *               on a disk the spool's copies are the better ones after a
 *               power failure
 *     ADOPT     klaviyo_spool_adopt() of [from, to), then
 *               klaviyo_spill_adopted()
 *     WAIT      an older ring is not ours yet whose events these are
 *     GONE      the ring's own events before `first` are in no spool that is
 *               known: klaviyo_ring_lose() them and ask again
 */

typedef enum {
    KLAVIYO_SPILL_READY = 0,
    KLAVIYO_SPILL_ADOPT,
    KLAVIYO_SPILL_WAIT,
    KLAVIYO_SPILL_GONE,
    KLAVIYO_SPILL_DETACHED
} klaviyo_spill_e;


typedef struct {
    uint8_t           ring[KLAVIYO_RING_UUID_LEN];   /* the new owner       */
    uint8_t           other[KLAVIYO_RING_UUID_LEN];  /* the one before      */
    uint64_t          first;
    uint64_t          from;
    uint64_t          to;
    uint64_t          adoption;
    klaviyo_cursor_t  copied;
    unsigned          release;
} klaviyo_spill_plan_t;


klaviyo_spill_e klaviyo_spill_plan(klaviyo_ring_t *ring,
    const klaviyo_spool_state_t *state, klaviyo_spill_plan_t *plan);

/*
 * Books what the spool adopted: `n` events.  OK; AGAIN: the ring went on
 * meanwhile, make a new plan; BUSY, STALE, DETACHED.
 */
klaviyo_ring_rc_e klaviyo_spill_adopted(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_spill_plan_t *plan, uint64_t n);

/*
 * Adds events from *copied on to the chunk and moves *copied on, until the
 * chunk holds about KLAVIYO_SPOOL_CHUNK bytes or the ring has no more.  OK;
 * EMPTY: none was added; DETACHED; ERROR: no memory, none is lost.
 */
klaviyo_ring_rc_e klaviyo_spill_copy(klaviyo_ring_t *ring,
    klaviyo_cursor_t *copied, klaviyo_chunk_t *chunk);


#endif /* KLAVIYO_SPILL_H */

#ifndef KLAVIYO_RING_ACK_H
#define KLAVIYO_RING_ACK_H


#include "klaviyo_ring.h"


/*
 * The first event without an outcome: where a new deliverer begins.  Is that
 * in the spool, the position is the ring's first own one.
 */
klaviyo_ring_rc_e klaviyo_ring_first(klaviyo_ring_t *ring,
    klaviyo_cursor_t *cursor);

/*
 * Books the outcomes and gives the space back, as one step that a crash
 * leaves done or undone.  Events that drop_oldest took meanwhile are moved
 * from lost to their true outcome.  `moved` more of them are another ring's
 * by now.  OK, STALE, BUSY (try again), DETACHED.
 */
klaviyo_ring_rc_e klaviyo_ring_ack(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_ack_t *ack, uint64_t moved);

/*
 * Gives the space of events back that the spool has: everything before `to`.
 * They stay queued.  OK, STALE, BUSY, DETACHED, ERROR: `to` is not in the
 * ring.
 */
klaviyo_ring_rc_e klaviyo_ring_release(klaviyo_ring_t *ring, uint64_t epoch,
    const klaviyo_cursor_t *to);

/*
 * Everything before `to` that has no outcome and that only the spool had ends
 * with this one (lost); `to` is at most `first`.  As klaviyo_ring_ack().
 */
klaviyo_ring_rc_e klaviyo_ring_lose(klaviyo_ring_t *ring, uint64_t epoch,
    uint64_t to, klaviyo_outcome_e outcome);

/*
 * The spool has exactly `n` events before `first` from now on, which count as
 * captured here; as klaviyo_ring_release().  AGAIN: the ring begins elsewhere
 * by now, drop_oldest has come by.
 */
klaviyo_ring_rc_e klaviyo_ring_adopt(klaviyo_ring_t *ring, uint64_t epoch,
    uint64_t first, uint64_t n, uint64_t adoption);

/*
 * The deliverer's memory across reloads and crashes: the pause of a 429 in
 * milliseconds of CLOCK_BOOTTIME (0: none; forgotten after a reboot), and
 * the limiter's own bytes, at most KLAVIYO_RING_LIMITER_MAX.  load() gives
 * zeroes when nothing of this length was saved since boot.  OK, STALE, BUSY,
 * DETACHED; EMPTY: there are no bytes of a limiter.
 */
klaviyo_ring_rc_e klaviyo_ring_save(klaviyo_ring_t *ring, uint64_t epoch,
    int64_t paused_until, const void *limiter, size_t len);
klaviyo_ring_rc_e klaviyo_ring_load(klaviyo_ring_t *ring,
    int64_t *paused_until, void *limiter, size_t len);


#endif /* KLAVIYO_RING_ACK_H */

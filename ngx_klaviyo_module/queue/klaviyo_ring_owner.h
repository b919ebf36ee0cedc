#ifndef KLAVIYO_RING_OWNER_H
#define KLAVIYO_RING_OWNER_H


#include "klaviyo_ring.h"


/*
 * What events that were captured as `was` were captured for, if they must not
 * go out as `now`.  A key may have been replaced, by "company" or if all else
 * is the same; for another key at another endpoint, or under another dry_run,
 * they were not meant.  NULL: they may go.
 */
const char *klaviyo_ring_print_refuses(const klaviyo_ring_print_t *was,
    const klaviyo_ring_print_t *now);

/*
 * In each worker: the master process, by which its next configuration, and
 * `nginx -t` beside it, know the ring for theirs.
 */
void klaviyo_ring_own(klaviyo_ring_t *ring, int64_t master);

/*
 * Of a mapped ring: OK, and a text in `note` if somebody else's events become
 * the caller's; or ERROR with the text: they must not.
 */
klaviyo_ring_rc_e klaviyo_ring_owner_check(klaviyo_ring_t *ring,
    const klaviyo_ring_conf_t *conf, char *error, char *note);

/* from now on the events are the caller's; OK or ERROR with the text */
klaviyo_ring_rc_e klaviyo_ring_owner_set(klaviyo_ring_t *ring,
    const klaviyo_ring_conf_t *conf, char *error);


#endif /* KLAVIYO_RING_OWNER_H */

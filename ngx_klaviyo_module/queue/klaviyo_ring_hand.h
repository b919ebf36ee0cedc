#ifndef KLAVIYO_RING_HAND_H
#define KLAVIYO_RING_HAND_H


#include "klaviyo_ring.h"


/*
 * Attached by one process, used by others: over a socket the first hands the
 * file to a third, which is their parent and does not map it.  What the third
 * gets is a handle for klaviyo_ring_enter() and klaviyo_ring_detach() alone.  0
 * or errno; of take() also EPIPE: the other end is closed, and EBADMSG: some
 * other message came.
 */
int klaviyo_ring_hand_over(const klaviyo_ring_t *ring, int socket);
int klaviyo_ring_take(klaviyo_ring_t **ring,
    const klaviyo_ring_conf_t *conf, int socket);

/* maps what was taken; OK, or ERROR with the text */
klaviyo_ring_rc_e klaviyo_ring_enter(klaviyo_ring_t *ring, char *error);


#endif /* KLAVIYO_RING_HAND_H */

/*
 * Events that wait for their visitor to be known.
 *
 * They wait in a ring of their own beside the account's queue, so that they
 * never stand in front of those that can go, and survive what the queue
 * survives.  Two kinds of records are in there:
 *
 *     an event       profile     'E' key profile
 *                    attributes  as in the queue
 *     an identity    profile     'I' key members beside `attributes`
 *                    attributes  members of the profile's attributes
 *
 *     key            2 bytes of length, the bytes
 *     members        finished JSON: `,"id":"..."` and `"_kx":"...","email":...`
 *
 * An identity lets the events of the same key go that stand before it: they
 * get the members and move to the queue, with their own time and unique_id.
 * Without members they move as they are.  What nobody asked for within the
 * time expires.
 *
 * The process that has the lease reads the ring through, again and again.  It
 * keeps in the ring how far it came: who takes over reads from the first
 * event that waits, and what stands before that mark is known to be done.  A
 * kill in between lets an event go twice, with the same unique_id.
 *
 * Plain C.  Over the ring's public functions only.
 */


#ifndef KLAVIYO_HOLD_H
#define KLAVIYO_HOLD_H


#include "klaviyo_ring.h"


#define KLAVIYO_HOLD_KEY_MAX      600    /* bytes                           */
#define KLAVIYO_HOLD_BESIDE_MAX   4096   /* bytes of members beside         */
#define KLAVIYO_HOLD_PREFIX_MAX   (3 + KLAVIYO_HOLD_KEY_MAX)

/* the first byte of a key tells why an event waits */

#define KLAVIYO_HOLD_VISITOR      'c'    /* the visitor is not known        */
#define KLAVIYO_HOLD_SCANNER      'k'    /* it may be no visitor            */


typedef struct klaviyo_hold_s  klaviyo_hold_t;


/* held = waiting + released + expired + lost, at every moment */

typedef struct {
    uint64_t  held;
    uint64_t  waiting;
    uint64_t  released;          /* went to the queue                       */
    uint64_t  expired;
    uint64_t  lost;              /* no room, unreadable, not appended       */
    uint64_t  size;              /* bytes that the ring can hold            */
    uint64_t  used;
    unsigned  attached;
} klaviyo_hold_figures_t;


/*
 * For who has the lease: events of `ring` wait for `time` ms and go to
 * `queue`.  NULL: no memory.
 */
klaviyo_hold_t *klaviyo_hold_create(klaviyo_ring_t *queue,
    klaviyo_ring_t *ring, int64_t time);
void klaviyo_hold_destroy(klaviyo_hold_t *hold);

/*
 * A bounded step: reads and lets go at most `max` records.  `now` is
 * milliseconds of CLOCK_REALTIME, `epoch` that of the lease of the ring.  1:
 * there is more to do at once; 0: a second later is early enough.
 */
int klaviyo_hold_run(klaviyo_hold_t *hold, uint64_t epoch, int64_t now,
    unsigned max);


#endif /* KLAVIYO_HOLD_H */

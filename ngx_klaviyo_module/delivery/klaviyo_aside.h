/*
 * Events set aside: Klaviyo takes others, and not these.  Each goes alone, at
 * a growing pace, and is a dead letter after KLAVIYO_ASIDE_TRIES that failed
 * while others were accepted, and not before KLAVIYO_ASIDE_TIME has passed.
 * With the default `retry min=1s max=5m` that is after eight and a half
 * minutes.
 *
 *                fails twice,                    alone: accepted
 *                nothing named                   +--------------> delivered
 *     request ------------------> doubted        |
 *        ^                        |  |           |
 *        | nothing is accepted:   |  | another   |
 *        | an outage, no suspect  |  | is        |
 *        +------------------------+  | accepted  |
 *        |                           v           |
 *        +---- halves, or ------- suspect ---> aside
 *              one by one     several   one      |
 *                                                | fails ten times
 *                                                +--------------> dead letter
 *
 * An event set aside moves to the end of the queue whenever what is behind it
 * is done: it holds up nobody's acknowledgement, and survives what others do.
 * What is known of it lives in the deliverer's memory, by its hash; another
 * deliverer begins anew.
 *
 * Plain C.  Times are milliseconds of CLOCK_BOOTTIME.
 */


#ifndef KLAVIYO_ASIDE_H
#define KLAVIYO_ASIDE_H


#include "queue/klaviyo_ring.h"
#include "klaviyo_set.h"


#define KLAVIYO_ASIDE_MAX    1000        /* events                          */
#define KLAVIYO_ASIDE_TRIES  10
#define KLAVIYO_ASIDE_TIME   60000       /* ms                              */


typedef struct {
    uint64_t           hash;
    uint64_t           sent;     /* number of its last request              */
    uint64_t           failed_as;    /* of the last one that failed         */
    int64_t            since;
    int64_t            next;     /* when it may go again                    */
    unsigned           tries;    /* in all, for the pace                    */
    unsigned           failed;   /* those before or while others were       */
                                 /* accepted                                */
} klaviyo_aside_t;


/* zeroed but for its key, it is empty */

typedef struct {
    klaviyo_set_key_t  key;
    uint32_t           n;
    klaviyo_aside_t    event[KLAVIYO_ASIDE_MAX];
} klaviyo_asides_t;


/* NULL: not one of them; the pointer is good until the next add or remove */
klaviyo_aside_t *klaviyo_aside_find(klaviyo_asides_t *asides,
    const klaviyo_event_t *event);

/* NULL: there is no room */
klaviyo_aside_t *klaviyo_aside_add(klaviyo_asides_t *asides,
    const klaviyo_event_t *event, int64_t now);

void klaviyo_aside_remove(klaviyo_asides_t *asides,
    const klaviyo_event_t *event);

/*
 * Its request failed; the last other that was accepted was so when `accepted`
 * requests had been sent: a failure counts when the next one comes and another
 * was accepted since it was sent.  1: that was the last try; 0: the next one
 * is due a pause of `min`, doubled each time up to `max`, from now.
 */
int klaviyo_aside_failed(klaviyo_aside_t *aside, uint64_t accepted,
    int64_t min, int64_t max, int64_t now);


#endif /* KLAVIYO_ASIDE_H */

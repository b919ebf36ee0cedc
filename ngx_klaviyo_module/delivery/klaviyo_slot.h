/*
 * Hosts that cannot ask each other take turns by a clock that they share:
 *
 *     gap      a span / limit, as the limiter's turns are apart
 *     cycle    a gap for each host
 *     slot     the head of the gap, half a second of it at most, in which
 *              host number `rank` may send one request
 *
 * A slot that has passed is not made up for.  So the requests of all of them
 * are a gap apart, however many they are, and whoever has nothing to send lets
 * its slots pass.  Plain C.
 */


#ifndef KLAVIYO_SLOT_H
#define KLAVIYO_SLOT_H


#include <stdint.h>


/* hosts that a host expects which was never told: one request in a minute */
#define KLAVIYO_SLOT_UNKNOWN  150


/*
 * Milliseconds until this host's next slot, 0: it is now.  `limit` is that of
 * all hosts in a minute; `now` is the shared clock, ms; `used` is the cycle
 * whose slot was used last, or -1.  With `take` the slot is used.
 */
int64_t klaviyo_slot_wait(unsigned limit, unsigned hosts, unsigned rank,
    int64_t now, int64_t *used, int take);


#endif /* KLAVIYO_SLOT_H */

/*
 * The script that Redis runs: what klaviyo_limiter.c is for one host, for all.
 *
 *     KEYS   klaviyo:{NAME}:limit:LANE   hash: windows, tickets, the pause
 *            klaviyo:{NAME}:beat:LANE    hash: host's uuid -> last seen, ms
 *
 *     take   UUID CLASS OF SHARE NEAR
 *            a request's turn.  A turn that is to come is a ticket: it is
 *            counted in the windows at once, first come first served, and
 *            given to this host when it asks again at that time.  NEAR 1:
 *            no ticket for more than two seconds ahead.
 *     beat   UUID NONCE HOSTS ID [CLASS GRAIN AGES AGE...]...
 *            each second: the host is there.  HOSTS and ID are what it knew
 *            before.  What it sent while it was away from the fleet goes into
 *            the windows, AGE ms ago.
 *     tell   UUID CLASS REMAINING RESET   what Klaviyo said, ms
 *     pause  UUID MS                      a 429
 *     bye    UUID                         it leaves
 *
 *     each   WAIT PAUSE HOSTS SILENT RANK ID NOW
 *            WAIT 0: granted.  RANK -1: not known now
 *
 * Times are milliseconds of Redis's TIME; turns are microseconds.  No key has
 * a time to live.  A host that is silent for three seconds may send by itself:
 * its part of the limits is left to it until it is forgotten, after five
 * minutes.
 *
 * Plain C.
 */


#ifndef KLAVIYO_FLEET_SCRIPT_H
#define KLAVIYO_FLEET_SCRIPT_H


#include <stddef.h>


extern const char    klaviyo_fleet_script[];
extern const size_t  klaviyo_fleet_script_len;


#endif /* KLAVIYO_FLEET_SCRIPT_H */

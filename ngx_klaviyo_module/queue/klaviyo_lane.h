/*
 * Lanes: the endpoints of Klaviyo's that take what requests leave behind.
 * Each has a queue of its own beside the account's, and with it a spool,
 * dead letters, a deliverer, limits and figures, so that one that is blocked,
 * throttled or slow holds up no other.  An endpoint is a row of this table.
 *
 * A record of any lane but the first is one profile and the head of the
 * request that it goes in.  Records with the same head go in one request:
 *
 *     profile     {"type":"profile","attributes":{...}}
 *     attributes  "type":"profile-bulk-import-job",
 *                 "relationships":{...},"attributes":{"custom_source":"...",
 *     request     {"data":{ATTRIBUTES"profiles":{"data":[PROFILE,...]}}}}
 *
 * Plain C.
 */


#ifndef KLAVIYO_LANE_H
#define KLAVIYO_LANE_H


#include "klaviyo_ring.h"


typedef enum {
    KLAVIYO_LANE_EVENTS = 0,
    KLAVIYO_LANE_PROFILES,
    KLAVIYO_LANE_SUBSCRIPTIONS,
    KLAVIYO_LANE_N
} klaviyo_lane_e;


typedef struct {
    const char  *name;           /* of its files, in logs, of its figures   */
    const char  *single;         /* path that takes one; NULL: there is none */
    const char  *path;           /* that takes many                         */
    const char  *head;           /* what each of its records begins with;   */
                                 /* NULL: events                            */
    const char  *list[2];        /* in the head, around the id of a list    */
    unsigned     limit;          /* requests to `path` in a minute          */
    unsigned     max_age;        /* s; 0: that of "retry"                   */
    unsigned     later:1;        /* of two for one person the later counts  */
    unsigned     guarded:1;      /* replayed only by who says so            */
} klaviyo_lane_t;


#define KLAVIYO_LANE_PROFILES_START  "\"profiles\":{\"data\":["
#define KLAVIYO_LANE_PROFILES_END    "]}}"

#define KLAVIYO_LANE_PERSON_MAX      512     /* bytes                       */


extern const klaviyo_lane_t  klaviyo_lanes[KLAVIYO_LANE_N];


/* the lane that a record is of */
const klaviyo_lane_t *klaviyo_lane_of(const klaviyo_event_t *event);

/* the lane whose queue is at this path; the first if it is no other's */
const klaviyo_lane_t *klaviyo_lane_at(const char *path);


#endif /* KLAVIYO_LANE_H */

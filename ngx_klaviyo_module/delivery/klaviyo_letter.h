/*
 * A dead letter: the line of JSON that tells of an event that was given up,
 * with all of the event in it, so that it can be replayed.
 *
 *     {"dead":"2026-07-15T12:00:00.000Z","account":"shop","reason":"refused",
 *      "status":400,"detail":"...","attempts":2,
 *      "captured":"2026-07-15T11:59:58.123Z","unique_id":"...",
 *      "event":{"type":"event","attributes":{...,"profile":{"data":{...}}}}}
 *
 * "event" is what /api/events, or the endpoint of its lane, takes as "data".
 * The command line tool reads these lines: change both together.
 *
 * Plain C.
 */


#ifndef KLAVIYO_LETTER_H
#define KLAVIYO_LETTER_H


#include "queue/klaviyo_lane.h"


/* lines that wait to be written; zeroed, it is empty */

typedef struct {
    uint8_t  *start;
    size_t    used;
    size_t    size;
    uint64_t  n;
} klaviyo_letters_t;


typedef struct {
    const klaviyo_lane_t  *lane;     /* of the event                        */
    const uint8_t         *account;
    size_t                 account_len;
    klaviyo_outcome_e      outcome;  /* its name is the reason              */
    unsigned               status;   /* of Klaviyo's answer; 0: none        */
    const char            *detail;   /* what Klaviyo said; NULL: nothing    */
    unsigned               attempts; /* times that it was sent              */
    int64_t                now;      /* ms of CLOCK_REALTIME                */
} klaviyo_letter_t;


/* appends the line; 0, or -1 without memory and nothing appended */
int klaviyo_letters_add(klaviyo_letters_t *letters,
    const klaviyo_letter_t *letter, const klaviyo_event_t *event);

void klaviyo_letters_free(klaviyo_letters_t *letters);


#endif /* KLAVIYO_LETTER_H */

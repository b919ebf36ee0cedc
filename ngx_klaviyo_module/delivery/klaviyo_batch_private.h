/*
 * What the files of the batch share: klaviyo_batch.c (filling, the end),
 * klaviyo_request.c (requests and their lists), klaviyo_settle.c (answers).
 * Included by nobody else.
 *
 *     arena     profiles, attributes and unique_ids, those that are shared
 *               once; items hold offsets until the close
 *     items     events to send, in the order of the ring
 *     waiting   requests to send
 *     taken     requests that klaviyo_batch_next() has handed out
 *
 * An entry of a body is a profile with its events; in other lanes it is a
 * person, of whom the last one is written.
 *
 * An event is in exactly one request from the close until its outcome.  The
 * events of a request stand grouped by profile, and as every later request
 * is a part of an earlier one, they stay so.
 */


#ifndef KLAVIYO_BATCH_PRIVATE_H
#define KLAVIYO_BATCH_PRIVATE_H


#include "klaviyo_batch.h"
#include "klaviyo_set.h"


typedef struct {
    klaviyo_event_t       event;     /* its pointers are set by the close   */
    size_t                profile;   /* offsets in the arena                */
    size_t                attributes;
    size_t                unique_id;
    uint32_t              entry;     /* number in the set                   */
    uint32_t              head;      /* number in the set; of events 0      */
    uint64_t              person;    /* hash; of events 0                   */
    uint32_t              attempts;  /* times that it was sent              */
    unsigned              repeated:1;    /* the unique_id was there before  */
} klaviyo_batch_item_t;


struct klaviyo_batch_s {
    klaviyo_cursor_t      from;
    klaviyo_cursor_t      end;

    klaviyo_arena_t       arena;
    klaviyo_set_key_t     key;
    const klaviyo_lane_t *lane;
    const klaviyo_batch_t *const *earlier;  /* while it is filled           */
    uint32_t              nearlier;
    const klaviyo_set_key_t *persons;   /* their key, of all batches        */
    klaviyo_set_t        *entries;   /* until the close                     */
    klaviyo_set_t        *others;    /* unique_ids of events, else heads    */

    uint8_t              *record;    /* what the ring reads into            */
    size_t                record_size;
    size_t                bytes;     /* of a bulk body of all items         */
    uint8_t              *body;      /* memory for it; NULL: it is small,   */
                                     /* or taken                            */
    size_t                body_max;
    size_t                body_size; /* used before, about                  */

    klaviyo_request_t    *waiting;
    klaviyo_request_t    *taken;

    uint64_t              outcome[KLAVIYO_OUTCOME_N];
    size_t                given_up;  /* bytes of events that ended at once; */
                                     /* then there are no others            */
    uint32_t              reads;     /* records and gaps behind `from`      */
    uint32_t              open;      /* items without an outcome            */
    uint32_t              again;     /* put at the end of the queue         */
    uint32_t              heads;     /* how many there are; of events 1     */
    uint32_t              superseded;
    uint32_t              n;
    klaviyo_batch_item_t *item;

    unsigned              aside:1;   /* one event, set aside                */
    unsigned              full:1;
    unsigned              waits:1;   /* for an earlier one                  */
    unsigned              unsure:1;
};


_Static_assert(KLAVIYO_SET_MAX >= KLAVIYO_BATCH_EVENTS_MAX,
               "a set cannot number the profiles of a batch");


#endif /* KLAVIYO_BATCH_PRIVATE_H */

/*
 * Bodies of requests: the finished pieces of events put into the frames of
 * their endpoints.
 *
 * Each function returns the bytes that the body takes and writes them when
 * `p` is not NULL, so that a caller asks for the size, allocates, and writes.
 *
 * Plain C.  Facts: "Create Event" and "Bulk Create Events" of Klaviyo's API.
 */


#ifndef KLAVIYO_BODY_H
#define KLAVIYO_BODY_H


#include "queue/klaviyo_lane.h"


/* the body of a request of a lane; one event goes to the single endpoint */
size_t klaviyo_body(uint8_t *p, const klaviyo_lane_t *lane,
    const klaviyo_event_t *const *event, uint32_t n);

/* that of a request for this one alone */
size_t klaviyo_body_one(uint8_t *p, const klaviyo_lane_t *lane,
    const klaviyo_event_t *event);

size_t klaviyo_body_single(uint8_t *p, const klaviyo_event_t *event);

/* of any lane but that of events; all have the head of the first one */
size_t klaviyo_body_job(uint8_t *p, const klaviyo_event_t *const *event,
    uint32_t n);

/*
 * Whose profile it is: the first identifier that it has, as bytes that are
 * the same for the same person.  Returns how many, at most `size`.
 */
size_t klaviyo_body_person(uint8_t *buf, size_t size,
    const klaviyo_event_t *event);

/*
 * Neighbours with the same profile *pointer* share an entry; the caller sees
 * to it that no two pointers have the same bytes behind them.
 */
size_t klaviyo_body_bulk(uint8_t *p, const klaviyo_event_t *const *event,
    uint32_t n);

/*
 * What a bulk body grows by: its frame once, a new profile's entry, an event
 * with its comma.  Their sum is the body's size, or one byte more.
 */
size_t klaviyo_body_frame_size(void);
size_t klaviyo_body_entry_size(const klaviyo_event_t *event);
size_t klaviyo_body_event_size(const klaviyo_event_t *event);


#endif /* KLAVIYO_BODY_H */

/*
 * Bodies of requests: the finished pieces of events put into the frames of
 * the two endpoints.
 *
 * Each function returns the bytes that the body takes and writes them when
 * `p` is not NULL, so that a caller asks for the size, allocates, and writes.
 *
 * Plain C.  Facts: "Create Event" and "Bulk Create Events" of Klaviyo's API.
 */


#ifndef KLAVIYO_BODY_H
#define KLAVIYO_BODY_H


#include "queue/klaviyo_ring.h"


size_t klaviyo_body_single(uint8_t *p, const klaviyo_event_t *event);

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

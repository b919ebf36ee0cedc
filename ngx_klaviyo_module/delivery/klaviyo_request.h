#ifndef KLAVIYO_REQUEST_H
#define KLAVIYO_REQUEST_H


#include "klaviyo_batch.h"
#include "klaviyo_batch_private.h"


/*
 * The next request to send, taken from the batch's list: one that is FRESH.
 * NULL: none waits.
 */
klaviyo_request_t *klaviyo_batch_next(klaviyo_batch_t *batch);

/*
 * The request of this state that was sent longest ago, not taken; NULL: there
 * is none.
 */
klaviyo_request_t *klaviyo_batch_waits(const klaviyo_batch_t *batch,
    klaviyo_request_state_e state);

/*
 * A request that is DOUBTED, and suspect: another was accepted, up to number
 * `accepted`, since it failed for the first time.  Not taken; NULL: none.
 */
klaviyo_request_t *klaviyo_batch_suspect(const klaviyo_batch_t *batch,
    uint64_t accepted);

/* takes a request that waits */
void klaviyo_batch_take(klaviyo_batch_t *batch, klaviyo_request_t *request);

/*
 * Takes one event of a request that waits, any, as a request of its own; the
 * others stay together.  One that goes again is taken whole.  NULL: no memory.
 */
klaviyo_request_t *klaviyo_batch_probe(klaviyo_batch_t *batch,
    klaviyo_request_t *request);

/*
 * Gives a request back to be sent later, before all others.  One that has a
 * body counts as tried; if its answer was lost, it is unsure from now on.
 */
void klaviyo_batch_requeue(klaviyo_batch_t *batch,
    klaviyo_request_t *request, int unsure);

/*
 * The end of an outage, in which nothing was suspect: what is DOUBTED goes
 * together again.  0, or -1 without memory, and it goes as it is.
 */
int klaviyo_batch_regroup(klaviyo_batch_t *batch);

/* a taken request of one event, which stands at the end of the queue by now */
void klaviyo_batch_again(klaviyo_batch_t *batch, klaviyo_request_t *request);

/*
 * Builds the body if it is not there.  It is sent now: an attempt of each of
 * its events.  0, or -1 without memory.
 */
int klaviyo_request_body(klaviyo_batch_t *batch, klaviyo_request_t *request);

/* an event of a request, for logs */
const klaviyo_event_t *klaviyo_request_event(const klaviyo_batch_t *batch,
    const klaviyo_request_t *request, uint32_t n);

/*
 * Puts a request for these events, grouped by profile, at the end of a list
 * and moves the end on; one event makes a single request.  0, or -1 without
 * memory.
 */
int klaviyo_request_append(const klaviyo_batch_t *batch,
    klaviyo_request_t ***last, const uint32_t *index, uint32_t n);

/*
 * Makes the requests of these events (member[i] != 0, NULL: all), in `list`;
 * those that repeat an earlier unique_id of the batch each get one of their
 * own.  0, or -1 without memory.
 */
int klaviyo_request_make(const klaviyo_batch_t *batch,
    klaviyo_request_t **list, const uint8_t *member);

/* puts a list, or a taken request, before the waiting ones */
void klaviyo_request_put(klaviyo_batch_t *batch, klaviyo_request_t *list);
void klaviyo_request_put_back(klaviyo_batch_t *batch,
    klaviyo_request_t *request);

/* it has the first `n` of its events only from now on, and another body */
void klaviyo_request_shrink(const klaviyo_batch_t *batch,
    klaviyo_request_t *request, uint32_t n);

/* frees a taken request; frees a list */
void klaviyo_request_end(klaviyo_batch_t *batch, klaviyo_request_t *request);
void klaviyo_request_free_all(klaviyo_request_t *list);

/*
 * Right behind the close: a request for each of its events.  0, or -1 without
 * memory: they stay together.
 */
int klaviyo_batch_apart(klaviyo_batch_t *batch);


#endif /* KLAVIYO_REQUEST_H */

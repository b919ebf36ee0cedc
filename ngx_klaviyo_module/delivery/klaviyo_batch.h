/*
 * A batch: a stretch of the ring on its way to Klaviyo.
 *
 *     batch     everything read between two cursors, with an outcome each
 *     request   a part of it that goes out as one HTTP request: one event to
 *               /api/events, several to /api/event-bulk-create-jobs, grouped
 *               by profile, no unique_id twice
 *
 * A batch starts with one request (plus one for each repeated unique_id, or,
 * in another lane than that of events, one for each head) and is split further
 * as answers demand.  It is done when every event has an
 * outcome.  Events are copied out of the ring once and owned by the batch.
 */


#ifndef KLAVIYO_BATCH_H
#define KLAVIYO_BATCH_H


#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_lane.h"
#include "klaviyo_aside.h"
#include "klaviyo_reply.h"


#define KLAVIYO_BATCH_EVENTS_MAX  1000
#define KLAVIYO_BATCH_BODY_MAX    4500000    /* bytes of a request's body   */


typedef struct klaviyo_batch_s    klaviyo_batch_t;
typedef struct klaviyo_request_s  klaviyo_request_t;


/* see klaviyo_aside.h */

typedef enum {
    KLAVIYO_REQUEST_FRESH = 0,   /* waits for its turn                      */
    KLAVIYO_REQUEST_DOUBTED,     /* failed: others are to tell why          */
    KLAVIYO_REQUEST_ASIDE        /* one event, at a pace of its own         */
} klaviyo_request_state_e;


/* one HTTP request's share of a batch */

struct klaviyo_request_s {
    klaviyo_request_t  *next;        /* in the batch's list of waiting ones */
    uint32_t           *index;       /* events of the batch, in body order  */
    uint32_t            n;
    uint32_t            entries;     /* of a bulk body: profiles            */
    uint8_t            *body;        /* NULL until klaviyo_request_body()   */
    size_t              body_len;
    unsigned            tries;       /* answers waited for in vain          */
    uint64_t            sent;        /* number of its last sending, the     */
                                     /* sender's                            */
    uint64_t            failed;      /* the first that failed, 0: none      */
    klaviyo_request_state_e  state;
    unsigned            single:1;    /* /api/events                         */
    unsigned            unsure:1;    /* sent before, the answer was lost    */
    unsigned            slow:1;      /* its failure took long               */
    unsigned            again:1;     /* doubted at its next failure         */
};


/* an empty batch of a lane that begins at `from`; NULL: no memory */
klaviyo_batch_t *klaviyo_batch_create(const klaviyo_cursor_t *from,
    const klaviyo_lane_t *lane);
void klaviyo_batch_destroy(klaviyo_batch_t *batch);

/*
 * Before the close: another deliverer may have sent these events, and the
 * answer was lost with it.
 */
void klaviyo_batch_unsure(klaviyo_batch_t *batch);

/*
 * For the next klaviyo_batch_fill() only: batches that are not done yet.  What
 * changes the profile of somebody who is in one of them waits, so that it does
 * not overtake.
 */
void klaviyo_batch_behind(klaviyo_batch_t *batch,
    const klaviyo_batch_t *const *earlier, uint32_t n);

/* 1: it is empty, as the first event waits for an earlier batch */
int klaviyo_batch_waiting(const klaviyo_batch_t *batch);

/*
 * Called for each event that is given up, before klaviyo_batch_done() says
 * so: `attempts` is how often it was sent, `error` which one of the answer's
 * errors names it, 0 when none does.  0, or -1: it stays as it is and
 * is asked about again.
 */
typedef int (*klaviyo_dead_pt)(void *data, const klaviyo_event_t *event,
    klaviyo_outcome_e outcome, unsigned attempts, uint32_t error);

/*
 * Reads the stream into the batch until `events` or `bytes` of body are
 * reached or nothing more is there.  Events older than `oldest` (ms of
 * CLOCK_REALTIME, 0: no limit) end as expired at once, missing ones as lost:
 * corrupt in the ring, unreadable in the spool.  One of `asides` (NULL: none)
 * is a batch of its own.  May be called again on a batch that was not yet
 * closed.  OK: a limit was reached, of work done too: then there may be
 * nothing to send, or the batch is not full and there may be more; EMPTY;
 * ERROR: no memory, nothing is lost; else as klaviyo_stream_read().
 */
klaviyo_ring_rc_e klaviyo_batch_fill(klaviyo_batch_t *batch,
    klaviyo_stream_t *stream, size_t events, size_t bytes, int64_t oldest,
    klaviyo_asides_t *asides, klaviyo_dead_pt dead, void *data);

/* when its oldest event was captured, ms of CLOCK_REALTIME */
int64_t klaviyo_batch_oldest(const klaviyo_batch_t *batch);

/* 1: it is one event that is set aside */
int klaviyo_batch_aside(const klaviyo_batch_t *batch);

/* how many events are in it, to be sent */
uint32_t klaviyo_batch_events(const klaviyo_batch_t *batch);

/* 1: it is at a limit */
int klaviyo_batch_full(const klaviyo_batch_t *batch);

/* no more events: makes the first requests.  0, or -1 without memory */
int klaviyo_batch_close(klaviyo_batch_t *batch);

/*
 * Books an answer that is final for a request (ACCEPTED, REFUSED, TOO_LARGE)
 * and frees the request: outcomes for its events, or new, smaller requests
 * for what must go again (named entries set aside, halves, one by one).
 * `allow` is asked first, with how many events the answer judges (those that
 * a list of refused ones leaves out are among them) and how many of these are
 * refused for good; of an ACCEPTED answer it is only told.
 *
 * 0; or -1, with the request back in the list: without memory, nothing booked,
 * or `dead` said so, which leaves what was told before booked and out of the
 * request; or `allow` said 0, and nothing is booked, but those refused are
 * DOUBTED, each by itself: 1, and the others go again; 2: there are none.
 */
typedef int (*klaviyo_allow_pt)(void *data, uint32_t ended, uint32_t refused);

/*
 * 1 when every event has an outcome; then what to acknowledge.  Events that
 * were lost before the batch came to them are not in it: the ring has booked
 * them already.
 */
int klaviyo_batch_done(const klaviyo_batch_t *batch);
void klaviyo_batch_ack(const klaviyo_batch_t *batch, klaviyo_ack_t *ack);

/* how many of its events gave way to a later one for the same person */
uint64_t klaviyo_batch_superseded(const klaviyo_batch_t *batch);

/* gives memory back that a batch that is done has no use for */
void klaviyo_batch_shrink(klaviyo_batch_t *batch);

/* behind the last event: where the next batch begins */
const klaviyo_cursor_t *klaviyo_batch_end(const klaviyo_batch_t *batch);


#endif /* KLAVIYO_BATCH_H */

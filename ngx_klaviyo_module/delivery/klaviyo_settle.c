/*
 * Settling: what an answer means for each event of a request.  Room:
 * delivery, plain C.
 *
 *     ACCEPTED             all delivered
 *     TOO_LARGE   single   dead
 *                 bulk     halves
 *     REFUSED     single   dead
 *                 bulk     named events         dead
 *                          named entries        dead if it is one event,
 *                                               else one by one
 *                          the others           together
 *                          nothing named        halves
 *                          nothing named, sent  one by one
 *                          before (unsure)
 *
 * Nothing is booked before everybody who may say no was asked: the memory,
 * then the breaker (`allow`), then the dead letters, one event at a time.
 */


#include <string.h>

#include "klaviyo_batch_private.h"
#include "klaviyo_request.h"
#include "klaviyo_settle.h"


#define KLAVIYO_SETTLE_NAMED  (2 * KLAVIYO_BATCH_EVENTS_MAX)


/* what becomes of an event */

typedef enum {
    KLAVIYO_FATE_FIRST = 0,      /* goes again in the first new request     */
    KLAVIYO_FATE_SECOND,         /* goes again in the second one            */
    KLAVIYO_FATE_ALONE,          /* goes again by itself                    */
    KLAVIYO_FATE_DEAD
} klaviyo_fate_e;


static void klaviyo_fate_refused(const klaviyo_batch_t *batch,
    const klaviyo_request_t *request, klaviyo_answer_t *answer,
    uint8_t *fate, uint32_t *error);
static int klaviyo_fate_named(const klaviyo_batch_t *batch,
    const klaviyo_request_t *request, klaviyo_answer_t *answer,
    uint8_t *fate, uint32_t *error);
static void klaviyo_fate_halves(const klaviyo_request_t *request,
    uint8_t *fate);
static int klaviyo_fate_requests(const klaviyo_batch_t *batch,
    const klaviyo_request_t *request, const uint8_t *fate,
    klaviyo_request_t **list);
static int klaviyo_fate_doubted(klaviyo_batch_t *batch,
    klaviyo_request_t *request, uint8_t *fate);
static int klaviyo_fate_allowed(const klaviyo_request_t *request,
    const uint8_t *fate, klaviyo_allow_pt allow, void *data);
static uint32_t klaviyo_fate_dead(klaviyo_batch_t *batch,
    klaviyo_request_t *request, const uint8_t *fate, const uint32_t *error,
    klaviyo_outcome_e outcome, klaviyo_dead_pt dead, void *data);
static void klaviyo_fate_untold(const klaviyo_batch_t *batch,
    klaviyo_request_t *request, const uint8_t *fate, uint32_t told);


int
klaviyo_batch_settle(klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer,
    klaviyo_allow_pt allow, klaviyo_dead_pt dead, void *data)
{
    uint8_t             fate[KLAVIYO_BATCH_EVENTS_MAX];
    uint32_t            error[KLAVIYO_BATCH_EVENTS_MAX];
    int                 rc;
    uint32_t            told;
    klaviyo_outcome_e   outcome;
    klaviyo_request_t  *list;

    if (verdict == KLAVIYO_REPLY_ACCEPTED) {
        (void) allow(data, request->n, 0);
        klaviyo_batch_finish(batch, request, KLAVIYO_OUTCOME_DELIVERED);
        return 0;
    }

    switch (verdict) {

    case KLAVIYO_REPLY_REFUSED:
        outcome = KLAVIYO_OUTCOME_DEAD_REFUSED;
        break;

    case KLAVIYO_REPLY_TOO_LARGE:
        outcome = KLAVIYO_OUTCOME_DEAD_TOO_LARGE;
        break;

    default:

        /* not final: no event ends by it */

        klaviyo_request_put_back(batch, request);
        return -1;
    }

    memset(error, 0, request->n * sizeof(uint32_t));

    if (request->single) {
        fate[0] = KLAVIYO_FATE_DEAD;

    } else if (verdict == KLAVIYO_REPLY_TOO_LARGE) {
        klaviyo_fate_halves(request, fate);

    } else {
        klaviyo_fate_refused(batch, request, answer, fate, error);
    }

    if (klaviyo_fate_requests(batch, request, fate, &list) != 0) {
        klaviyo_request_put_back(batch, request);
        return -1;
    }

    if (!klaviyo_fate_allowed(request, fate, allow, data)) {
        rc = (list != NULL) ? 1 : 2;
        klaviyo_request_free_all(list);

        return klaviyo_fate_doubted(batch, request, fate) == 0 ? rc : -1;
    }

    told = klaviyo_fate_dead(batch, request, fate, error, outcome, dead,
                             data);

    if (told < request->n) {
        klaviyo_request_free_all(list);
        klaviyo_fate_untold(batch, request, fate, told);
        klaviyo_request_put_back(batch, request);
        return -1;
    }

    klaviyo_request_put(batch, list);
    klaviyo_request_end(batch, request);

    return 0;
}


int
klaviyo_batch_give_up(klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_outcome_e outcome, klaviyo_dead_pt dead, void *data)
{
    uint8_t   fate;
    uint32_t  error;

    fate = KLAVIYO_FATE_DEAD;
    error = 0;

    if (klaviyo_fate_dead(batch, request, &fate, &error, outcome, dead, data)
        == 0)
    {
        klaviyo_request_put_back(batch, request);
        return -1;
    }

    klaviyo_request_end(batch, request);

    return 0;
}


int
klaviyo_batch_split(klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    uint8_t             fate[KLAVIYO_BATCH_EVENTS_MAX];
    klaviyo_request_t  *r, *list;

    if (request->slow) {
        memset(fate, KLAVIYO_FATE_ALONE, request->n);

    } else {
        klaviyo_fate_halves(request, fate);
    }

    if (klaviyo_fate_requests(batch, request, fate, &list) != 0) {
        klaviyo_request_put_back(batch, request);
        return -1;
    }

    for (r = list; r != NULL; r = r->next) {
        r->again = 1;
    }

    klaviyo_request_put(batch, list);
    klaviyo_request_end(batch, request);

    return 0;
}


void
klaviyo_batch_finish(klaviyo_batch_t *batch, klaviyo_request_t *request,
    klaviyo_outcome_e outcome)
{
    batch->outcome[outcome] += request->n;
    batch->open -= request->n;

    klaviyo_request_end(batch, request);
}


/* a bulk request */

static void
klaviyo_fate_refused(const klaviyo_batch_t *batch,
    const klaviyo_request_t *request, klaviyo_answer_t *answer,
    uint8_t *fate, uint32_t *error)
{
    if (klaviyo_fate_named(batch, request, answer, fate, error)) {
        return;
    }

    /*
     * Sent before, it may have been refused for unique_ids that Klaviyo
     * knows by now.  To a single request that is no error.
     */

    if (request->unsure) {
        memset(fate, KLAVIYO_FATE_ALONE, request->n);
        return;
    }

    klaviyo_fate_halves(request, fate);
}


/* 0: the answer names nothing that can be relied on */

static int
klaviyo_fate_named(const klaviyo_batch_t *batch,
    const klaviyo_request_t *request, klaviyo_answer_t *answer,
    uint8_t *fate, uint32_t *error)
{
    size_t            i, n;
    uint8_t           guilty;
    uint32_t          first, count, entry, same;
    klaviyo_blamed_t   named[KLAVIYO_SETTLE_NAMED];

    n = klaviyo_reply_named(answer, request->entries, named,
                            KLAVIYO_SETTLE_NAMED);
    if (n == 0) {
        return 0;
    }

    memset(fate, KLAVIYO_FATE_FIRST, request->n);

    /*
     * Sent before and the answer lost: an event may be named only because
     * Klaviyo has it already.  Alone it is accepted again, or refused for
     * what it is.
     */

    guilty = request->unsure ? KLAVIYO_FATE_ALONE : KLAVIYO_FATE_DEAD;

    /* both are sorted by entry; an entry's name comes before its events' */

    i = 0;
    entry = 0;

    for (first = 0; first < request->n; first += count) {
        same = batch->item[request->index[first]].entry;

        for (count = 1; first + count < request->n; count++) {
            if (batch->item[request->index[first + count]].entry != same)
            {
                break;
            }
        }

        for ( /* void */ ; i < n && named[i].entry == entry; i++) {

            if (named[i].event == -1) {
                error[first] = named[i].error;
                memset(&fate[first],
                       count == 1 ? guilty : KLAVIYO_FATE_ALONE,
                       count);
                continue;
            }

            if ((uint32_t) named[i].event >= count) {
                return 0;
            }

            fate[first + (uint32_t) named[i].event] = guilty;
            error[first + (uint32_t) named[i].event] = named[i].error;
        }

        entry++;
    }

    return 1;
}


static void
klaviyo_fate_halves(const klaviyo_request_t *request, uint8_t *fate)
{
    uint32_t  half;

    half = (request->n + 1) / 2;

    memset(fate, KLAVIYO_FATE_FIRST, half);
    memset(fate + half, KLAVIYO_FATE_SECOND, request->n - half);
}


/* the new requests for what goes again; 0, or -1 without memory */

static int
klaviyo_fate_requests(const klaviyo_batch_t *batch,
    const klaviyo_request_t *request, const uint8_t *fate,
    klaviyo_request_t **list)
{
    uint8_t             f;
    uint32_t            i, n;
    uint32_t            index[KLAVIYO_BATCH_EVENTS_MAX];
    klaviyo_request_t  *r, **last;

    *list = NULL;
    last = list;

    for (f = KLAVIYO_FATE_FIRST; f <= KLAVIYO_FATE_SECOND; f++) {
        n = 0;

        for (i = 0; i < request->n; i++) {
            if (fate[i] == f) {
                index[n++] = request->index[i];
            }
        }

        if (n > 0 && klaviyo_request_append(batch, &last, index, n) != 0) {
            goto failed;
        }
    }

    for (i = 0; i < request->n; i++) {
        if (fate[i] == KLAVIYO_FATE_ALONE
            && klaviyo_request_append(batch, &last, &request->index[i], 1)
               != 0)
        {
            goto failed;
        }
    }

    for (r = *list; r != NULL; r = r->next) {
        r->unsure = request->unsure;
    }

    return 0;

failed:

    klaviyo_request_free_all(*list);

    return -1;
}


/*
 * Not dead, but each by itself from now on, and doubted: the others of the
 * request are to tell whether it is these or all.  0, or -1 without memory.
 */

static int
klaviyo_fate_doubted(klaviyo_batch_t *batch, klaviyo_request_t *request,
    uint8_t *fate)
{
    uint8_t             dead[KLAVIYO_BATCH_EVENTS_MAX];
    uint32_t            i;
    klaviyo_request_t  *r, *list;

    memset(dead, 0, sizeof(dead));

    for (i = 0; i < request->n; i++) {
        if (fate[i] == KLAVIYO_FATE_DEAD) {
            fate[i] = KLAVIYO_FATE_ALONE;
            dead[request->index[i]] = 1;
        }
    }

    if (klaviyo_fate_requests(batch, request, fate, &list) != 0) {
        klaviyo_request_put_back(batch, request);
        return -1;
    }

    for (r = list; r != NULL; r = r->next) {
        if (r->single && dead[r->index[0]]) {
            r->state = KLAVIYO_REQUEST_DOUBTED;
            r->sent = request->sent;
            r->failed = request->sent;
        }
    }

    klaviyo_request_put(batch, list);
    klaviyo_request_end(batch, request);

    return 0;
}


/* with a dead one among them, the answer has cleared all that go together */

static int
klaviyo_fate_allowed(const klaviyo_request_t *request, const uint8_t *fate,
    klaviyo_allow_pt allow, void *data)
{
    uint32_t  i, ended, refused;

    ended = 0;
    refused = 0;

    for (i = 0; i < request->n; i++) {
        refused += (fate[i] == KLAVIYO_FATE_DEAD);
        ended += (fate[i] == KLAVIYO_FATE_DEAD
                  || fate[i] == KLAVIYO_FATE_FIRST);
    }

    return refused == 0 || allow(data, ended, refused);
}


/* books the dead; returns where it came to: short of the end, `dead` failed */

static uint32_t
klaviyo_fate_dead(klaviyo_batch_t *batch, klaviyo_request_t *request,
    const uint8_t *fate, const uint32_t *error, klaviyo_outcome_e outcome,
    klaviyo_dead_pt dead, void *data)
{
    uint32_t                     i;
    const klaviyo_batch_item_t  *item;

    for (i = 0; i < request->n; i++) {

        if (fate[i] != KLAVIYO_FATE_DEAD) {
            continue;
        }

        item = &batch->item[request->index[i]];

        if (dead(data, &item->event, outcome, item->attempts, error[i])
            != 0)
        {
            break;
        }

        batch->outcome[outcome]++;
        batch->open--;
    }

    return i;
}


/* those before `told` that are dead by now leave the request */

static void
klaviyo_fate_untold(const klaviyo_batch_t *batch, klaviyo_request_t *request,
    const uint8_t *fate, uint32_t told)
{
    uint32_t  i, n;

    n = 0;

    for (i = 0; i < request->n; i++) {
        if (i >= told || fate[i] != KLAVIYO_FATE_DEAD) {
            request->index[n++] = request->index[i];
        }
    }

    if (n < request->n) {
        klaviyo_request_shrink(batch, request, n);
    }
}

/*
 * Requests of a batch: their events, their bodies, their lists.  Room:
 * delivery, plain C.
 */


#include <stdlib.h>
#include <string.h>

#include "klaviyo_request.h"
#include "klaviyo_body.h"
#include "klaviyo_spare.h"


static int klaviyo_request_build(klaviyo_batch_t *batch,
    klaviyo_request_t *request);
static uint32_t klaviyo_request_group(const klaviyo_batch_t *batch,
    uint32_t *index, uint32_t head, const uint8_t *member);
static klaviyo_request_t *klaviyo_request_create(const klaviyo_batch_t *batch,
    const uint32_t *index, uint32_t n);
static void klaviyo_request_size(const klaviyo_batch_t *batch,
    klaviyo_request_t *request, uint32_t n);
static void klaviyo_request_free(klaviyo_request_t *request);
static void klaviyo_request_unlink(klaviyo_request_t **list,
    klaviyo_request_t *request);


klaviyo_request_t *
klaviyo_batch_next(klaviyo_batch_t *batch)
{
    klaviyo_request_t  *request;

    for (request = batch->waiting; request != NULL; request = request->next) {
        if (request->state == KLAVIYO_REQUEST_FRESH) {
            klaviyo_batch_take(batch, request);
            break;
        }
    }

    return request;
}


klaviyo_request_t *
klaviyo_batch_waits(const klaviyo_batch_t *batch,
    klaviyo_request_state_e state)
{
    klaviyo_request_t  *request, *oldest;

    oldest = NULL;

    for (request = batch->waiting; request != NULL; request = request->next) {
        if (request->state == state
            && (oldest == NULL || request->sent < oldest->sent))
        {
            oldest = request;
        }
    }

    return oldest;
}


klaviyo_request_t *
klaviyo_batch_suspect(const klaviyo_batch_t *batch, uint64_t accepted)
{
    klaviyo_request_t  *request;

    for (request = batch->waiting; request != NULL; request = request->next) {
        if (request->state == KLAVIYO_REQUEST_DOUBTED
            && request->failed <= accepted)
        {
            break;
        }
    }

    return request;
}


void
klaviyo_batch_take(klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    klaviyo_request_unlink(&batch->waiting, request);

    request->next = batch->taken;
    batch->taken = request;
}


klaviyo_request_t *
klaviyo_batch_probe(klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    uint32_t             i;
    uint64_t             any;
    klaviyo_request_t   *probe, **last;

    if (request->single
        || (request->again && request->state == KLAVIYO_REQUEST_FRESH))
    {
        klaviyo_batch_take(batch, request);
        return request;
    }

    any = klaviyo_set_hash(&batch->key, (uint8_t *) &request->n,
                           sizeof(uint32_t));
    i = (uint32_t) (any % request->n);

    probe = NULL;
    last = &probe;

    if (klaviyo_request_append(batch, &last, &request->index[i], 1) != 0) {
        return NULL;
    }

    probe->unsure = request->unsure;
    probe->sent = request->sent;
    probe->failed = request->failed;
    probe->again = 1;

    memmove(&request->index[i], &request->index[i + 1],
            (request->n - i - 1) * sizeof(uint32_t));

    klaviyo_request_shrink(batch, request, request->n - 1);

    probe->next = batch->taken;
    batch->taken = probe;

    return probe;
}


int
klaviyo_batch_regroup(klaviyo_batch_t *batch)
{
    uint8_t              member[KLAVIYO_BATCH_EVENTS_MAX];
    uint32_t             i, n, unsure;
    uint64_t             failed;
    klaviyo_request_t   *request, *next, *list, **last;

    memset(member, 0, batch->n);
    n = 0;
    failed = 0;
    unsure = 0;

    for (request = batch->waiting; request != NULL; request = request->next) {

        if (request->state != KLAVIYO_REQUEST_DOUBTED) {
            continue;
        }

        for (i = 0; i < request->n; i++) {
            member[request->index[i]] = 1;
        }

        request->state = KLAVIYO_REQUEST_FRESH;
        unsure |= request->unsure;

        if (request->failed > failed) {
            failed = request->failed;
        }
        n++;
    }

    if (n < 2) {
        return 0;
    }

    if (klaviyo_request_make(batch, &list, member) != 0) {
        return -1;
    }

    for (request = list; request != NULL; request = request->next) {
        request->unsure |= unsure;
        request->failed = failed;
        request->again = 1;
        request->tries = 1;
    }

    /* in place of those that have one of these events each */

    last = &batch->waiting;

    for (request = batch->waiting; request != NULL; request = next) {
        next = request->next;

        if (member[request->index[0]]) {
            *last = next;
            klaviyo_request_free(request);
            continue;
        }

        last = &request->next;
    }

    klaviyo_request_put(batch, list);

    return 0;
}


int
klaviyo_batch_apart(klaviyo_batch_t *batch)
{
    uint32_t             i;
    klaviyo_request_t   *list, **last;

    list = NULL;
    last = &list;

    for (i = 0; i < batch->n; i++) {
        if (klaviyo_request_append(batch, &last, &i, 1) != 0) {
            klaviyo_request_free_all(list);
            return -1;
        }
    }

    klaviyo_request_free_all(batch->waiting);
    batch->waiting = list;

    return 0;
}


void
klaviyo_batch_again(klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    batch->again += request->n;
    batch->open -= request->n;

    klaviyo_request_end(batch, request);
}


void
klaviyo_batch_requeue(klaviyo_batch_t *batch, klaviyo_request_t *request,
    int unsure)
{
    /* without a body it was not sent: the limiter said no */

    if (request->body != NULL) {
        request->tries++;
    }

    if (unsure) {
        request->unsure = 1;
    }

    klaviyo_request_put_back(batch, request);
}


int
klaviyo_request_body(klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    uint32_t  i;

    if (request->body == NULL && klaviyo_request_build(batch, request) != 0) {
        return -1;
    }

    for (i = 0; i < request->n; i++) {
        batch->item[request->index[i]].attempts++;
    }

    return 0;
}


const klaviyo_event_t *
klaviyo_request_event(const klaviyo_batch_t *batch,
    const klaviyo_request_t *request, uint32_t n)
{
    return &batch->item[request->index[n]].event;
}


int
klaviyo_request_make(const klaviyo_batch_t *batch, klaviyo_request_t **list,
    const uint8_t *member)
{
    uint32_t             i, n;
    uint32_t             index[KLAVIYO_BATCH_EVENTS_MAX];
    klaviyo_request_t  **last;

    *list = NULL;
    last = list;

    for (i = 0; i < batch->heads; i++) {
        n = klaviyo_request_group(batch, index, i, member);

        if (n > 0 && klaviyo_request_append(batch, &last, index, n) != 0) {
            klaviyo_request_free_all(*list);
            *list = NULL;
            return -1;
        }
    }

    for (i = 0; i < batch->n; i++) {
        if (batch->item[i].repeated
            && (member == NULL || member[i])
            && klaviyo_request_append(batch, &last, &i, 1) != 0)
        {
            klaviyo_request_free_all(*list);
            *list = NULL;
            return -1;
        }
    }

    return 0;
}


int
klaviyo_request_append(const klaviyo_batch_t *batch,
    klaviyo_request_t ***last, const uint32_t *index, uint32_t n)
{
    klaviyo_request_t  *request;

    request = klaviyo_request_create(batch, index, n);
    if (request == NULL) {
        return -1;
    }

    request->unsure = batch->unsure;

    **last = request;
    *last = &request->next;

    return 0;
}


void
klaviyo_request_put(klaviyo_batch_t *batch, klaviyo_request_t *list)
{
    klaviyo_request_t  **last;

    for (last = &list; *last != NULL; last = &(*last)->next) { /* void */ }

    *last = batch->waiting;
    batch->waiting = list;
}


void
klaviyo_request_put_back(klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    klaviyo_request_unlink(&batch->taken, request);

    request->next = batch->waiting;
    batch->waiting = request;
}


void
klaviyo_request_shrink(const klaviyo_batch_t *batch,
    klaviyo_request_t *request, uint32_t n)
{
    klaviyo_spare_free(request->body);

    request->body = NULL;
    request->body_len = 0;

    klaviyo_request_size(batch, request, n);
}


void
klaviyo_request_end(klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    klaviyo_request_unlink(&batch->taken, request);
    klaviyo_request_free(request);
}


void
klaviyo_request_free_all(klaviyo_request_t *list)
{
    klaviyo_request_t  *next;

    while (list != NULL) {
        next = list->next;
        klaviyo_request_free(list);
        list = next;
    }
}


static int
klaviyo_request_build(klaviyo_batch_t *batch, klaviyo_request_t *request)
{
    size_t                  len;
    uint8_t                *body;
    uint32_t                i, n;
    const klaviyo_event_t  *event[KLAVIYO_BATCH_EVENTS_MAX];

    n = 0;

    for (i = 0; i < request->n; i++) {

        /* of a person the last one is written */

        if (batch->lane->head != NULL && i + 1 < request->n
            && batch->item[request->index[i]].entry
               == batch->item[request->index[i + 1]].entry)
        {
            continue;
        }

        event[n++] = klaviyo_request_event(batch, request, i);
    }

    len = klaviyo_body(NULL, batch->lane, event, n);

    body = klaviyo_spare_resize(batch->body, len);
    if (body == NULL) {
        return -1;
    }

    batch->body = NULL;

    (void) klaviyo_body(body, batch->lane, event, n);

    request->body = body;
    request->body_len = len;

    return 0;
}


/*
 * The events of one head that have their unique_id for themselves, entry by
 * entry: entries in the order of their first event, events in the order of
 * the ring.  Returns how many.
 */

static uint32_t
klaviyo_request_group(const klaviyo_batch_t *batch, uint32_t *index,
    uint32_t head, const uint8_t *member)
{
    uint32_t                     i, n;
    uint32_t                     count[KLAVIYO_BATCH_EVENTS_MAX];
    uint32_t                     place[KLAVIYO_BATCH_EVENTS_MAX];
    const klaviyo_batch_item_t  *item;

    memset(count, 0, sizeof(count));

    for (i = 0; i < batch->n; i++) {
        item = &batch->item[i];

        if (item->head == head && !item->repeated
            && (member == NULL || member[i]))
        {
            count[item->entry]++;
        }
    }

    n = 0;

    for (i = 0; i < batch->n; i++) {
        item = &batch->item[i];

        if (item->head != head || item->repeated
            || (member != NULL && !member[i]))
        {
            continue;
        }

        /* the first of its entry takes the places of all of them */

        if (count[item->entry] != 0) {
            place[item->entry] = n;
            n += count[item->entry];
            count[item->entry] = 0;
        }

        index[place[item->entry]++] = i;
    }

    return n;
}


/* a copy of the index; one event makes a single request */

static klaviyo_request_t *
klaviyo_request_create(const klaviyo_batch_t *batch, const uint32_t *index,
    uint32_t n)
{
    klaviyo_request_t  *request;

    request = calloc(1, sizeof(klaviyo_request_t) + n * sizeof(uint32_t));
    if (request == NULL) {
        return NULL;
    }

    request->index = (uint32_t *) (request + 1);
    memcpy(request->index, index, n * sizeof(uint32_t));

    klaviyo_request_size(batch, request, n);

    return request;
}


/* what follows from the index and its length */

static void
klaviyo_request_size(const klaviyo_batch_t *batch,
    klaviyo_request_t *request, uint32_t n)
{
    uint32_t         i;
    const uint32_t  *index;

    index = request->index;

    request->n = n;
    request->single = (n == 1);
    request->entries = 0;

    for (i = 0; i < n; i++) {
        if (i == 0
            || batch->item[index[i]].entry
               != batch->item[index[i - 1]].entry)
        {
            request->entries++;
        }
    }
}


static void
klaviyo_request_free(klaviyo_request_t *request)
{
    klaviyo_spare_free(request->body);
    free(request);
}


static void
klaviyo_request_unlink(klaviyo_request_t **list, klaviyo_request_t *request)
{
    klaviyo_request_t  **p;

    for (p = list; *p != NULL; p = &(*p)->next) {
        if (*p == request) {
            *p = request->next;
            return;
        }
    }
}

/*
 * What the tests of batches share: a ring of their own, events of which the
 * number is the time as well, and bodies read back by a parser.
 */


#ifndef BATCH_H
#define BATCH_H


#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "tap.h"

#include "delivery/klaviyo_batch.h"
#include "delivery/klaviyo_request.h"
#include "delivery/klaviyo_settle.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_file.h"


#define TEST_SIZE  (32 * 1024 * 1024)


static char              dir[] = "/tmp/klaviyo-batch-XXXXXX";
static char              path[64];

static klaviyo_ring_t   *ring;
static klaviyo_stream_t  stream;

static uint64_t          seed = 2463534242ULL;


static inline uint64_t
test_random(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;

    return seed % n;
}


static inline void
test_ring_open_sized(size_t size, unsigned drop_oldest)
{
    char                 error[KLAVIYO_RING_ERROR_MAX];
    char                 note[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    memset(&conf, 0, sizeof(conf));
    conf.path = path;
    conf.size = size;
    conf.drop_oldest = drop_oldest;

    if (klaviyo_ring_attach(&ring, &conf, error, note) != KLAVIYO_RING_OK) {
        printf("Bail out! %s\n", error);
        exit(1);
    }

    memset(&stream, 0, sizeof(stream));
    stream.ring = ring;
}


static inline void
test_ring_open(void)
{
    test_ring_open_sized(TEST_SIZE, 0);
}


static inline void
test_ring_close(void)
{
    char  lock[sizeof(path) + 8];

    klaviyo_ring_detach(ring);

    snprintf(lock, sizeof(lock), "%s.lock", path);
    unlink(path);
    unlink(lock);
}


static inline void
test_append_raw(const void *profile, size_t profile_len,
    const void *attributes, size_t attributes_len, const char *unique_id,
    int64_t when)
{
    klaviyo_event_t    event;
    klaviyo_ring_rc_e  rc;

    event.profile = profile;
    event.profile_len = profile_len;
    event.attributes = attributes;
    event.attributes_len = attributes_len;
    event.unique_id = (const uint8_t *) unique_id;
    event.unique_id_len = strlen(unique_id);
    event.metric = 0;
    event.time = when;

    rc = klaviyo_ring_append(ring, &event);

    if (rc != KLAVIYO_RING_OK) {
        printf("Bail out! append: %d\n", rc);
        exit(1);
    }
}


/* event number n of a profile, filled up with `len` bytes */

static inline void
test_append(unsigned n, unsigned profile, const char *unique_id, size_t len)
{
    char  *attributes, person[128], id[32];
    int    used;

    attributes = malloc(len + 256);

    used = sprintf(attributes, "\"properties\":{\"n\":%u,\"fill\":\"", n);
    memset(attributes + used, 'x', len);
    used += (int) len;

    snprintf(id, sizeof(id), "id-%u", n);
    unique_id = unique_id ? unique_id : id;

    used += sprintf(attributes + used, "\"},\"metric\":{\"data\":{\"type\":"
                    "\"metric\",\"attributes\":{\"name\":\"M\"}}},"
                    "\"unique_id\":\"%s\"", unique_id);

    snprintf(person, sizeof(person), "{\"type\":\"profile\",\"attributes\":"
             "{\"email\":\"p%u@shop.example\"}}", profile);

    test_append_raw(person, strlen(person), attributes, (size_t) used,
                    unique_id, 1000 + n);

    free(attributes);
}


static inline klaviyo_batch_t *
test_batch(void)
{
    klaviyo_cursor_t  from;

    klaviyo_ring_first(ring, &from);

    return klaviyo_batch_create(&from, &klaviyo_lanes[0]);
}


/* what was given up while a batch was filled; `fail` are refused */

typedef struct {
    unsigned           n;
    unsigned           fail;
    unsigned           attempts;
    int64_t            time;         /* of the last                         */
    klaviyo_outcome_e  outcome;
} test_given_up_t;


static test_given_up_t  given_up;


static inline int
test_give_up(void *data, const klaviyo_event_t *event,
    klaviyo_outcome_e outcome, unsigned attempts, uint32_t error)
{
    test_given_up_t  *g = data;

    (void) error;

    if (g->fail) {
        g->fail--;
        return -1;
    }

    g->n++;
    g->attempts += attempts;
    g->time = event->time;
    g->outcome = outcome;

    return 0;
}


static inline klaviyo_ring_rc_e
test_fill(klaviyo_batch_t *batch, size_t events, size_t bytes,
    int64_t oldest)
{
    klaviyo_ring_rc_e  rc;

    do {
        rc = klaviyo_batch_fill(batch, &stream, events, bytes, oldest, NULL,
                                test_give_up, &given_up);
    } while (rc == KLAVIYO_RING_OK && !klaviyo_batch_full(batch));

    return rc;
}


static inline uint64_t
test_outcome(const klaviyo_batch_t *batch, klaviyo_outcome_e outcome)
{
    klaviyo_ack_t  ack;

    klaviyo_batch_ack(batch, &ack);

    return ack.outcome[outcome];
}


static inline int
test_adds_up(const klaviyo_batch_t *batch)
{
    int            i;
    uint64_t       sum;
    klaviyo_ack_t  ack;

    klaviyo_batch_ack(batch, &ack);

    sum = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        sum += ack.outcome[i];
    }

    return sum == ack.to.seq - ack.from.seq;
}


/* how many of its events have no outcome: those to send */

static inline uint64_t
test_events(const klaviyo_batch_t *batch)
{
    int            i;
    uint64_t       n;
    klaviyo_ack_t  ack;

    klaviyo_batch_ack(batch, &ack);

    n = ack.to.seq - ack.from.seq;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        n -= ack.outcome[i];
    }

    return n;
}


/* the event numbers of a body as "1,2|3" by entries, "7" for a single one */

static inline void
test_body(const klaviyo_request_t *request, char *buf)
{
    size_t  i, j;
    json_t *root, *data, *attributes, *entries, *events, *n;

    *buf = '\0';

    root = json_loadb((const char *) request->body, request->body_len,
                      JSON_REJECT_DUPLICATES, NULL);
    if (root == NULL) {
        strcpy(buf, "not JSON");
        return;
    }

    data = json_object_get(root, "data");
    attributes = json_object_get(data, "attributes");

    if (request->single) {
        n = json_object_get(json_object_get(attributes, "properties"), "n");
        sprintf(buf, "%d", (int) json_integer_value(n));

        json_decref(root);
        return;
    }

    entries = json_object_get(json_object_get(attributes,
                                              "events-bulk-create"), "data");

    for (i = 0; i < json_array_size(entries); i++) {
        data = json_array_get(entries, i);
        events = json_object_get(json_object_get(json_object_get(data,
                                            "attributes"), "events"), "data");

        for (j = 0; j < json_array_size(events); j++) {
            data = json_object_get(json_array_get(events, j), "attributes");
            n = json_object_get(json_object_get(data, "properties"), "n");

            buf += sprintf(buf, "%s%d", j ? "," : i ? "|" : "",
                           (int) json_integer_value(n));
        }
    }

    json_decref(root);
}


/* all requests of a batch, finished as delivered: "1,2|3 4 5" */

static inline void
test_requests(klaviyo_batch_t *batch, char *buf)
{
    klaviyo_request_t  *request;

    for ( ;; ) {
        request = klaviyo_batch_next(batch);
        if (request == NULL) {
            break;
        }

        klaviyo_request_body(batch, request);
        test_body(request, buf);
        strcat(buf, " ");
        buf += strlen(buf);

        klaviyo_batch_finish(batch, request, KLAVIYO_OUTCOME_DELIVERED);
    }

    *buf = '\0';
}


static inline void
test_is_requests(klaviyo_batch_t *batch, const char *expected,
    const char *name)
{
    static char  buf[64 * 1024];

    test_requests(batch, buf);
    is_str(buf, expected, "%s", name);
    ok(klaviyo_batch_done(batch) && test_adds_up(batch), "%s: done", name);
}


static inline void
test_init(void)
{
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! mkdtemp() failed\n");
        exit(1);
    }

    snprintf(path, sizeof(path), "%s/test.ring", dir);
}


static inline void
test_end(void)
{
    if (rmdir(dir) != 0) {
        diag("%s is not empty", dir);
    }
}


#endif /* BATCH_H */

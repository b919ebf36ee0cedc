/*
 * Lanes: the table, whose record it is, and batches of profiles.
 */


#include "batch.h"

#include "delivery/klaviyo_body.h"
#include "delivery/klaviyo_limiter.h"


#define TEST_HEAD  "\"type\":\"profile-subscription-bulk-create-job\","


static unsigned  numbers;


static void
test_person(const char *head, const char *attributes)
{
    char  profile[256], id[16];

    snprintf(profile, sizeof(profile),
             "{\"type\":\"profile\",\"attributes\":{%s}}", attributes);
    snprintf(id, sizeof(id), "id-%u", ++numbers);

    test_append_raw(profile, strlen(profile), head, strlen(head), id,
                    1000 + numbers);
}


static klaviyo_batch_t *
test_lane(klaviyo_lane_e lane)
{
    klaviyo_cursor_t  from;

    klaviyo_ring_first(ring, &from);

    return klaviyo_batch_create(&from, &klaviyo_lanes[lane]);
}


/* each request: "n entries body" */

static void
test_sent(klaviyo_batch_t *batch, const char *const *bodies,
    unsigned events)
{
    unsigned            i, n;
    json_t             *root;
    klaviyo_request_t  *request;

    n = 0;

    for (i = 0; bodies[i]; i++) {
        request = klaviyo_batch_next(batch);

        if (request == NULL) {
            break;
        }

        n += request->n;

        klaviyo_request_body(batch, request);

        ok(request->body_len == strlen(bodies[i])
           && memcmp(request->body, bodies[i], request->body_len) == 0,
           "request %u: %.*s", i, (int) request->body_len,
           (char *) request->body);

        root = json_loadb((const char *) request->body, request->body_len, 0,
                          NULL);
        ok(root != NULL, "which is JSON");
        json_decref(root);

        klaviyo_batch_finish(batch, request, KLAVIYO_OUTCOME_DELIVERED);
    }

    ok(bodies[i] == NULL && klaviyo_batch_next(batch) == NULL,
       "no more requests");
    is_int(n, events, "of all events");
    ok(klaviyo_batch_done(batch) && test_adds_up(batch), "all are done");
}


static void
test_table(void)
{
    unsigned         i;
    klaviyo_event_t  event;

    for (i = 0; i < KLAVIYO_LANE_N; i++) {
        event.attributes = (const uint8_t *)
                           (klaviyo_lanes[i].head ? klaviyo_lanes[i].head
                                                  : "\"properties\":{}");
        event.attributes_len = strlen((const char *) event.attributes);

        ok(klaviyo_lane_of(&event) == &klaviyo_lanes[i], "a record of %s",
           klaviyo_lanes[i].name);
    }

    event.attributes = (const uint8_t *) TEST_HEAD;
    event.attributes_len = 3;
    ok(klaviyo_lane_of(&event) == &klaviyo_lanes[0], "a short one");

    ok(klaviyo_lane_at("/run/shop.ring") == &klaviyo_lanes[0],
       "the queue of an account");
    ok(klaviyo_lane_at("shop.ring.subscriptions")
       == &klaviyo_lanes[KLAVIYO_LANE_SUBSCRIPTIONS], "that of a lane");
    ok(klaviyo_lane_at("shop") == &klaviyo_lanes[0], "no dot");
}


static void
test_person_of(const char *profile, const char *expected)
{
    size_t           len;
    uint8_t          buf[64];
    klaviyo_event_t  event;

    event.profile = (const uint8_t *) profile;
    event.profile_len = strlen(profile);
    event.unique_id = (const uint8_t *) "mine";
    event.unique_id_len = 4;

    len = klaviyo_body_person(buf, sizeof(buf), &event);

    ok(len == strlen(expected + 1) + 1
       && (buf[0] == (uint8_t) expected[0] || expected[0] == '?')
       && memcmp(buf + 1, expected + 1, len - 1) == 0,
       "%s is %s", profile, expected + 1);
}


static void
test_persons(void)
{
    test_person_of("{\"id\":\"X\",\"attributes\":{\"phone_number\":\"+49\","
                   "\"email\":\"Ann@Shop.com\"}}", "?\"ann@shop.com\"");
    test_person_of("{\"attributes\":{\"email\":\"\","
                   "\"phone_number\":\"+49\"}}", "\1\"+49\"");
    test_person_of("{\"attributes\":{\"external_id\":\"aB\"}}", "\2\"aB\"");
    test_person_of("{\"id\":\"X\",\"attributes\":{}}", "\4\"X\"");
    test_person_of("{\"attributes\":{\"email\":7}}", "mine");
    test_person_of("{\"attributes\":{\"external_id\":\"0123456789012345678901"
                   "01234567890123456789012345678901234567890123456789\"}}",
                   "mine");
    test_person_of("no JSON", "mine");
}


static void
test_later(void)
{
    klaviyo_batch_t  *batch;

    static const char *const  bodies[] = {
        "{\"data\":{" TEST_HEAD "\"a\":1,\"attributes\":{\"profiles\":"
        "{\"data\":["
        "{\"type\":\"profile\",\"attributes\":{\"email\":\"a@b.c\",\"n\":2}},"
        "{\"type\":\"profile\",\"attributes\":{\"email\":\"d@e.f\"}}]}}}}",
        "{\"data\":{" TEST_HEAD "\"attributes\":{\"profiles\":{\"data\":["
        "{\"type\":\"profile\",\"attributes\":{\"email\":\"a@b.c\"}}]}}}}",
        NULL
    };

    test_ring_open();

    test_person(TEST_HEAD "\"a\":1,\"attributes\":{",
                "\"email\":\"A@b.c\",\"n\":1");
    test_person(TEST_HEAD "\"attributes\":{", "\"email\":\"a@b.c\"");
    test_person(TEST_HEAD "\"a\":1,\"attributes\":{", "\"email\":\"d@e.f\"");
    test_person(TEST_HEAD "\"a\":1,\"attributes\":{",
                "\"email\":\"a@b.c\",\"n\":2");

    batch = test_lane(KLAVIYO_LANE_SUBSCRIPTIONS);
    is_int(test_fill(batch, 1000, 1 << 20, 0), KLAVIYO_RING_EMPTY, "four");
    klaviyo_batch_close(batch);

    test_sent(batch, bodies, 4);
    is_int(klaviyo_batch_superseded(batch), 1, "one gave way");

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* persons of two heads: as many as the bytes have room for */

static void
test_bytes(void)
{
    size_t              size, len, spare[3];
    unsigned            n;
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request;

    test_ring_open();

    test_person(TEST_HEAD "\"a\":1,\"attributes\":{", "\"email\":\"a@b.c\"");
    test_person(TEST_HEAD "\"attributes\":{", "\"email\":\"d@e.f\"");
    test_person(TEST_HEAD "\"a\":1,\"attributes\":{", "\"email\":\"g@h.i\"");

    for (size = 1, n = 1; n <= 3; n++) {

        for ( /* void */ ; /* void */ ; size++) {
            batch = test_lane(KLAVIYO_LANE_SUBSCRIPTIONS);
            (void) test_fill(batch, 1000, size, 0);

            if (test_events(batch) >= n) {
                break;
            }

            klaviyo_batch_destroy(batch);
        }

        klaviyo_batch_close(batch);

        for (len = 0; /* void */ ; /* void */ ) {
            request = klaviyo_batch_next(batch);

            if (request == NULL) {
                break;
            }

            klaviyo_request_body(batch, request);
            len += request->body_len;
            klaviyo_batch_finish(batch, request, KLAVIYO_OUTCOME_DELIVERED);
        }

        ok(n == 1 || len <= size, "%u in %u bytes, for %u", n, (unsigned) size,
           (unsigned) len);

        spare[n - 1] = size - len;
        klaviyo_batch_destroy(batch);
    }

    is_int(spare[2], spare[1], "where the head is there, just its bytes");

    test_ring_close();
}


/* the same of one person, by another head: not before the first is done */

static void
test_heads(void)
{
    klaviyo_batch_t  *batch;

    test_ring_open();

    test_person("\"type\":\"profile-bulk-import-job\",\"attributes\":{",
                "\"email\":\"a@b.c\"");
    test_person("\"type\":\"profile-bulk-import-job\",\"a\":1,"
                "\"attributes\":{", "\"email\":\"a@b.c\"");

    batch = test_lane(KLAVIYO_LANE_PROFILES);
    is_int(test_fill(batch, 1000, 1 << 20, 0), KLAVIYO_RING_OK, "full");
    is_int(test_events(batch), 1, "with the one of the first head");
    klaviyo_batch_destroy(batch);
    test_ring_close();
}


static void
test_order(void)
{
    klaviyo_batch_t   *batch;
    klaviyo_cursor_t   end;

    static const char  head[] = "\"type\":\"profile-bulk-import-job\","
                                "\"attributes\":{";

    static const char *const  first[] = {
        "{\"data\":{\"type\":\"profile-bulk-import-job\",\"attributes\":"
        "{\"profiles\":{\"data\":["
        "{\"type\":\"profile\",\"attributes\":{\"email\":\"a@b.c\",\"n\":1}},"
        "{\"type\":\"profile\",\"attributes\":{\"email\":\"d@e.f\"}}]}}}}",
        NULL
    };

    static const char *const  second[] = {
        "{\"data\":{\"type\":\"profile-bulk-import-job\",\"attributes\":"
        "{\"profiles\":{\"data\":["
        "{\"type\":\"profile\",\"attributes\":{\"email\":\"a@b.c\",\"n\":2}}"
        "]}}}}",
        NULL
    };

    test_ring_open();

    test_person(head, "\"email\":\"a@b.c\",\"n\":1");
    test_person(head, "\"email\":\"d@e.f\"");
    test_person(head, "\"email\":\"a@b.c\",\"n\":1");
    test_person(head, "\"email\":\"a@b.c\",\"n\":2");

    batch = test_lane(KLAVIYO_LANE_PROFILES);
    is_int(test_fill(batch, 1000, 1 << 20, 0), KLAVIYO_RING_OK,
           "full where a person comes with something new");
    ok(klaviyo_batch_full(batch), "and goes");
    klaviyo_batch_close(batch);
    test_sent(batch, first, 3);

    end = *klaviyo_batch_end(batch);
    klaviyo_batch_destroy(batch);

    batch = klaviyo_batch_create(&end, &klaviyo_lanes[KLAVIYO_LANE_PROFILES]);
    is_int(test_fill(batch, 1000, 1 << 20, 0), KLAVIYO_RING_EMPTY,
           "the next one");
    klaviyo_batch_close(batch);
    test_sent(batch, second, 1);

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* a person who is in a batch that is not done waits for it */

static void
test_behind_another(void)
{
    klaviyo_batch_t         *batch, *next;
    const klaviyo_batch_t   *earlier[1];

    static klaviyo_asides_t  asides;

    static const char  head[] = "\"type\":\"profile-bulk-import-job\","
                                "\"attributes\":{";

    test_ring_open();
    klaviyo_set_key(&asides.key);

    test_person(head, "\"email\":\"a@b.c\",\"n\":1");
    test_person(head, "\"email\":\"a@b.c\",\"n\":2");

    batch = test_lane(KLAVIYO_LANE_PROFILES);
    (void) klaviyo_batch_fill(batch, &stream, 1000, 1 << 20, 0, &asides,
                              test_give_up, &given_up);
    klaviyo_batch_close(batch);

    earlier[0] = batch;
    next = klaviyo_batch_create(klaviyo_batch_end(batch),
                                &klaviyo_lanes[KLAVIYO_LANE_PROFILES]);

    klaviyo_batch_behind(next, earlier, 1);
    is_int(klaviyo_batch_fill(next, &stream, 1000, 1 << 20, 0, &asides,
                              test_give_up, &given_up),
           KLAVIYO_RING_EMPTY, "behind another batch");
    ok(klaviyo_batch_waiting(next) && !klaviyo_batch_full(next),
       "the same person waits");

    klaviyo_batch_behind(next, earlier, 0);
    is_int(klaviyo_batch_fill(next, &stream, 1000, 1 << 20, 0, &asides,
                              test_give_up, &given_up),
           KLAVIYO_RING_EMPTY, "and goes when that is done");
    ok(!klaviyo_batch_waiting(next), "waiting no longer");
    is_int(test_events(next), 1, "one event");

    klaviyo_batch_destroy(next);
    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* what is in the queue of another lane */

static void
test_stranger(void)
{
    klaviyo_batch_t  *batch;

    test_ring_open();

    memset(&given_up, 0, sizeof(given_up));
    test_person(TEST_HEAD "\"attributes\":{", "\"email\":\"a@b.c\"");

    batch = test_batch();
    (void) test_fill(batch, 1000, 1 << 20, 0);
    klaviyo_batch_close(batch);

    is_int(given_up.n, 1, "a subscription among events");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_REFUSED), 1, "is refused");
    ok(klaviyo_batch_done(batch) && test_adds_up(batch), "and done");

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


static void
test_limits(void)
{
    int                second, minute;
    int64_t            now, wait;
    klaviyo_limiter_t  limiter;

    memset(&limiter, 0, sizeof(limiter));

    now = 1000000;
    minute = 0;
    second = 0;

    while (now < 1000000 + 60000) {
        wait = klaviyo_limiter_take(&limiter, KLAVIYO_LIMITER_BULK,
                  klaviyo_lanes[KLAVIYO_LANE_SUBSCRIPTIONS].limit, 100, now);

        minute += (wait == 0);
        second += (wait == 0 && now < 1000000 + 1000);
        now += wait;
    }

    ok(minute > 650 && minute <= 700, "%d in a minute", minute);
    ok(second <= 75, "%d in the first second", second);
}


int
main(void)
{
    test_init();

    test_table();
    test_persons();
    test_later();
    test_bytes();
    test_heads();
    test_order();
    test_behind_another();
    test_stranger();
    test_limits();

    test_end();

    return done_testing();
}

/*
 * Answers settled, against a Klaviyo that checks the rules of its API and
 * remembers what it took; and the breaker, with a clock of its own.
 */


#define _GNU_SOURCE

#include "batch.h"

#include "delivery/klaviyo_breaker.h"
#include "queue/klaviyo_ring_figures.h"


#define TEST_MAX  1000           /* events of one test                      */


/* how the Klaviyo of a test words a refusal of a bulk request */

typedef enum {
    TEST_NAMES_EVENTS = 0,
    TEST_NAMES_ENTRIES,
    TEST_NAMES_ONE,              /* only the first bad event                */
    TEST_NAMES_NONE,
    TEST_NAMES_WRONG             /* an event that was not sent              */
} test_naming_e;


typedef struct {
    unsigned        taken[TEST_MAX];     /* times that an event was taken   */
    uint8_t         bad[TEST_MAX];
    uint8_t         dead[TEST_MAX];
    unsigned        requests;
    unsigned        singles;
    unsigned        faults;              /* against the rules of the API    */
    unsigned        attempts[TEST_MAX];
    uint32_t        error[TEST_MAX];  /* as the letters tell             */
    unsigned        letters;             /* the next ones fail              */
    unsigned        asked;
    uint32_t        ended;               /* what `allow` was told last      */
    uint32_t        refused;
    unsigned        flood;               /* `allow` says no                 */
    size_t          limit;               /* 413 above, bytes                */
    test_naming_e   naming;
} test_klaviyo_t;


static test_klaviyo_t  klaviyo;


static int
test_allow(void *data, uint32_t ended, uint32_t refused)
{
    test_klaviyo_t  *k = data;

    k->asked++;
    k->ended = ended;
    k->refused = refused;

    return !k->flood;
}


static int
test_dead(void *data, const klaviyo_event_t *event,
    klaviyo_outcome_e outcome, unsigned attempts, uint32_t error)
{
    unsigned         n;
    test_klaviyo_t  *k = data;

    if (k->letters == 1) {
        k->letters = 0;
        return -1;
    }

    if (k->letters) {
        k->letters--;
    }

    n = (unsigned) (event->time - 1000);

    if (outcome != KLAVIYO_OUTCOME_DEAD_REFUSED
        && outcome != KLAVIYO_OUTCOME_DEAD_TOO_LARGE)
    {
        k->faults++;
    }

    if (n >= TEST_MAX || k->dead[n]) {
        k->faults++;
        return 0;
    }

    k->dead[n] = 1;
    k->attempts[n] = attempts;
    k->error[n] = error;

    return 0;
}


/*
 * Klaviyo's side of a request: the rules checked, a status, and the body of
 * a refusal.  What it takes it remembers, `lost` or not.
 */

static unsigned
test_klaviyo(const klaviyo_batch_t *batch, klaviyo_request_t *request,
    char *errors)
{
    char                   *p;
    uint32_t                i, j, entry, event;
    unsigned                n, bad;
    const klaviyo_event_t  *e, *before;

    klaviyo.requests++;
    klaviyo.singles += request->single;

    if (request->n > KLAVIYO_BATCH_EVENTS_MAX
        || request->body_len > KLAVIYO_BATCH_BODY_MAX
        || request->single != (request->n == 1))
    {
        klaviyo.faults++;
    }

    for (i = 0; i < request->n; i++) {
        e = klaviyo_request_event(batch, request, i);

        for (j = 0; j < i; j++) {
            before = klaviyo_request_event(batch, request, j);

            if (e->unique_id_len == before->unique_id_len
                && memcmp(e->unique_id, before->unique_id, e->unique_id_len)
                   == 0)
            {
                klaviyo.faults++;
            }
        }
    }

    if (klaviyo.limit && request->body_len > klaviyo.limit) {
        return 413;
    }

    p = errors + sprintf(errors, "{\"errors\":[");
    bad = 0;
    entry = 0;
    event = 0;

    for (i = 0; i < request->n; i++) {
        e = klaviyo_request_event(batch, request, i);
        n = (unsigned) (e->time - 1000);

        if (i > 0) {
            before = klaviyo_request_event(batch, request, i - 1);

            if (e->profile_len != before->profile_len
                || memcmp(e->profile, before->profile, e->profile_len) != 0)
            {
                entry++;
                event = 0;

            } else {
                event++;
            }
        }

        if (!klaviyo.bad[n]) {
            continue;
        }

        bad++;

        if (klaviyo.naming == TEST_NAMES_NONE
            || (klaviyo.naming == TEST_NAMES_ONE && bad > 1))
        {
            continue;
        }

        p += sprintf(p, "%s{\"source\":{\"pointer\":\"/data/attributes/"
                     "events-bulk-create/data/%u", bad > 1 ? "," : "", entry);

        if (klaviyo.naming == TEST_NAMES_ENTRIES) {
            p += sprintf(p, "/attributes/profile\"}}");

        } else {
            p += sprintf(p, "/attributes/events/data/%u/attributes\"}}",
                         klaviyo.naming == TEST_NAMES_WRONG ? 1000 : event);
        }
    }

    sprintf(p, "]}");

    if (bad) {
        return 400;
    }

    for (i = 0; i < request->n; i++) {
        klaviyo.taken[klaviyo_request_event(batch, request, i)->time
                      - 1000]++;
    }

    return 202;
}


/* a batch to its end; one answer of `lost` gets lost, 0: none */

static void
test_run(klaviyo_batch_t *batch, unsigned lost)
{
    unsigned            status;
    klaviyo_answer_t    answer;
    klaviyo_request_t  *request;

    static char         errors[256 * 1024];

    for ( ;; ) {
        request = klaviyo_batch_next(batch);
        if (request == NULL) {
            break;
        }

        if (klaviyo_request_body(batch, request) != 0) {
            klaviyo.faults++;
        }

        status = test_klaviyo(batch, request, errors);

        if (lost && test_random(lost) == 0) {
            klaviyo_batch_requeue(batch, request, 1);
            continue;
        }

        memset(&answer, 0, sizeof(answer));
        answer.status = status;

        if (status == 400) {
            answer.body = (const uint8_t *) errors;
            answer.body_len = strlen(errors);
        }

        if (klaviyo_batch_settle(batch, request,
                                 klaviyo_reply_verdict(&answer), &answer,
                                 test_allow, test_dead, &klaviyo)
            != 0)
        {
            klaviyo.faults++;
        }

        klaviyo_reply_free(&answer);
    }
}


/* what Klaviyo has and what is dead, against what should be */

static unsigned
test_wrong(unsigned n)
{
    unsigned  i, wrong;

    wrong = klaviyo.faults;

    for (i = 0; i < n; i++) {
        if (klaviyo.dead[i] != klaviyo.bad[i]
            || (klaviyo.taken[i] == 0) != klaviyo.bad[i])
        {
            wrong++;
        }
    }

    return wrong;
}


static void
test_settle(test_naming_e naming, unsigned n, unsigned profiles,
    unsigned bad, unsigned lost, unsigned most, const char *name)
{
    char              id[32];
    unsigned          i, dead;
    klaviyo_batch_t  *batch;

    test_ring_open();

    memset(&klaviyo, 0, sizeof(klaviyo));
    klaviyo.naming = naming;

    dead = 0;

    for (i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "id-%u",
                 test_random(50) ? i : (unsigned) test_random(n));

        klaviyo.bad[i] = (bad && test_random(bad) == 0);
        dead += klaviyo.bad[i];

        test_append(i, (unsigned) test_random(profiles), id,
                    test_random(400));
    }

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);
    test_run(batch, lost);

    is_int(test_wrong(n), 0, "%s: the bad are dead, the others delivered",
           name);
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_REFUSED), dead,
           "%s: %u dead", name, dead);
    ok(klaviyo_batch_done(batch) && test_adds_up(batch), "%s: done", name);
    ok(klaviyo.requests <= most, "%s: %u requests, %u single", name,
       klaviyo.requests, klaviyo.singles);

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* the steps of a refusal one by one */

static void
test_steps(void)
{
    unsigned            i;
    klaviyo_batch_t    *batch;
    klaviyo_answer_t    answer;
    klaviyo_request_t  *request;

    static const struct {
        const char  *pointers;
        const char  *requests;
        unsigned     dead;
        unsigned     unsure;
    } step[] = {

        /* 0,2,5 | 1,4 | 3 | 6 */

        { "0" "/attributes/events/data/1", "0,5|1,4|3|6 ", 1, 0 },
        { "0", "1,4|3|6 0 2 5 ", 0, 0 },
        { "2", "0,2,5|1,4|6 ", 1, 0 },
        { "0 0/attributes/events/data/1", "1,4|3|6 0 5 ", 1, 0 },
        { "0 1 2", "6 0 2 5 1 4 ", 1, 0 },
        { "0/attributes/events/data/0 0/attributes/events/data/1 "
          "0/attributes/events/data/2 1/attributes/events/data/0 "
          "1/attributes/events/data/1 2 3", "", 7, 0 },
        { "0/attributes/events/data/0 0/attributes/events/data/1 "
          "0/attributes/events/data/2 1/attributes/events/data/0 "
          "1/attributes/events/data/1 2", "6 ", 6, 0 },
        { "1/attributes/events/data/2", "0,2,5|1 4|3|6 ", 0, 0 },
        { "4", "0,2,5|1 4|3|6 ", 0, 0 },
        { "", "0,2,5|1 4|3|6 ", 0, 0 },
        { "", "0 2 5 1 4 3 6 ", 0, 1 },
        { "2", "0,2,5|1,4|6 3 ", 0, 1 }
    };

    test_ring_open();

    test_append(0, 1, NULL, 0);
    test_append(1, 2, NULL, 0);
    test_append(2, 1, NULL, 0);
    test_append(3, 3, NULL, 0);
    test_append(4, 2, NULL, 0);
    test_append(5, 1, NULL, 0);
    test_append(6, 4, NULL, 0);

    for (i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
        char   body[2048], pointers[512], *p, *pointer, *rest;

        batch = test_batch();
        test_fill(batch, 1000, 4000000, 0);
        klaviyo_batch_close(batch);
        request = klaviyo_batch_next(batch);

        if (step[i].unsure) {
            klaviyo_batch_requeue(batch, request, 1);
            request = klaviyo_batch_next(batch);
        }

        strcpy(pointers, step[i].pointers);
        p = body + sprintf(body, "{\"errors\":[");

        for (pointer = strtok_r(pointers, " ", &rest);
             pointer != NULL;
             pointer = strtok_r(NULL, " ", &rest))
        {
            p += sprintf(p, "%s{\"source\":{\"pointer\":\"/data/attributes/"
                         "events-bulk-create/data/%s\"}}",
                         p[-1] == '[' ? "" : ",", pointer);
        }

        sprintf(p, "]}");

        memset(&answer, 0, sizeof(answer));
        memset(&klaviyo, 0, sizeof(klaviyo));
        answer.status = 400;
        answer.body = (const uint8_t *) body;
        answer.body_len = strlen(body);

        is_int(klaviyo_batch_settle(batch, request, KLAVIYO_REPLY_REFUSED,
                                    &answer, test_allow, test_dead,
                                    &klaviyo),
               0, "refused: \"%s\"", step[i].pointers);
        klaviyo_reply_free(&answer);
        is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_REFUSED),
               step[i].dead, "%u dead", step[i].dead);
        is_int(klaviyo.faults, 0, "each told once");

        test_is_requests(batch, step[i].requests, "then");
        klaviyo_batch_destroy(batch);
    }

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);
    request = klaviyo_batch_next(batch);

    memset(&answer, 0, sizeof(answer));
    is_int(klaviyo_batch_settle(batch, request, KLAVIYO_REPLY_THROTTLED,
                                &answer, test_allow, test_dead, &klaviyo),
           -1, "an answer that is not final settles nothing");
    request = klaviyo_batch_next(batch);
    is_int(request->n, 7, "the request waits");

    /* its parts are as unsure as it was */

    klaviyo_batch_requeue(batch, request, 1);
    request = klaviyo_batch_next(batch);
    klaviyo_batch_settle(batch, request, KLAVIYO_REPLY_TOO_LARGE, &answer,
                         test_allow, test_dead, &klaviyo);
    request = klaviyo_batch_next(batch);
    ok(request->n == 4 && request->unsure && request->tries == 0,
       "too large: a half, unsure");
    klaviyo_batch_settle(batch, request, KLAVIYO_REPLY_REFUSED, &answer,
                         test_allow, test_dead, &klaviyo);
    test_is_requests(batch, "0 2 5 1 4|3|6 ", "then");
    klaviyo_batch_destroy(batch);

    test_ring_close();
}


static void
test_too_large(void)
{
    unsigned          i;
    klaviyo_batch_t  *batch;

    test_ring_open();

    for (i = 0; i < 40; i++) {
        test_append(i, i % 3, NULL, i == 17 ? 60000 : 10000);
    }

    memset(&klaviyo, 0, sizeof(klaviyo));
    klaviyo.limit = 50000;

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);
    test_run(batch, 0);

    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_TOO_LARGE), 1,
           "too large: one is dead");
    is_int(klaviyo.dead[17], 1, "the right one");
    klaviyo.bad[17] = 1;
    is_int(test_wrong(40), 0, "the others are delivered");
    ok(klaviyo_batch_done(batch) && test_adds_up(batch), "done");

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* seven events in the ring, 0,2,5 | 1,4 | 3 | 6, and the request of them */

static klaviyo_batch_t *
test_seven(klaviyo_request_t **request)
{
    unsigned          i;
    klaviyo_batch_t  *batch;

    static const unsigned  profile[] = { 1, 2, 1, 3, 2, 1, 4 };

    test_ring_open();

    for (i = 0; i < 7; i++) {
        test_append(i, profile[i], NULL, 0);
    }

    memset(&klaviyo, 0, sizeof(klaviyo));

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);

    *request = klaviyo_batch_next(batch);
    klaviyo_request_body(batch, *request);

    return batch;
}


static int
test_answer(klaviyo_batch_t *batch, klaviyo_request_t *request,
    unsigned status, const char *body)
{
    int               rc;
    klaviyo_answer_t  answer;

    memset(&answer, 0, sizeof(answer));
    answer.status = status;
    answer.body = (const uint8_t *) body;
    answer.body_len = body ? strlen(body) : 0;

    rc = klaviyo_batch_settle(batch, request, klaviyo_reply_verdict(&answer),
                              &answer, test_allow, test_dead, &klaviyo);

    klaviyo_reply_free(&answer);

    return rc;
}


#define NAMED(what)                                                          \
    "{\"source\":{\"pointer\":"                                              \
    "\"/data/attributes/events-bulk-create/data/" what "\"}}"


/* a flood: the breaker says no, the named are doubted, the others go on */

static void
test_flood(void)
{
    klaviyo_ack_t       ack;
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request;

    batch = test_seven(&request);
    klaviyo.flood = 1;
    request->sent = 7;

    is_int(test_answer(batch, request, 400,
                       "{\"errors\":[" NAMED("0/attributes/events/data/1")
                       "," NAMED("2") "]}"),
           1, "flood: named, and the breaker says no");
    ok(klaviyo.asked == 1 && klaviyo.ended == 7 && klaviyo.refused == 2,
       "two refused of seven");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_REFUSED), 0,
           "nothing is booked");

    request = klaviyo_batch_next(batch);
    is_int(request->n, 5, "the others go again, together");
    klaviyo_request_body(batch, request);

    is_int(test_answer(batch, request, 400, NULL), 0,
           "nobody named: halves, of which the breaker is not asked");
    is_int(klaviyo.asked, 1, "not asked");

    request = klaviyo_batch_next(batch);
    klaviyo_request_body(batch, request);
    is_int(test_answer(batch, request, 202, NULL), 0,
           "a half is accepted, whatever the breaker says");
    ok(klaviyo.asked == 2 && klaviyo.ended == 3 && klaviyo.refused == 0,
       "it is told");

    request = klaviyo_batch_next(batch);
    is_int(request->n, 2, "the other half");
    klaviyo_request_body(batch, request);
    test_answer(batch, request, 202, NULL);

    ok(klaviyo_batch_next(batch) == NULL, "those named do not go again");

    request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED);
    ok(request->single && request->sent == 7, "one of them by itself");
    klaviyo_batch_take(batch, request);
    klaviyo_request_body(batch, request);
    is_int(test_answer(batch, request, 400, NULL), 2,
           "refused by itself, and the breaker says no");

    request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED);
    klaviyo_batch_take(batch, request);
    klaviyo_batch_again(batch, request);
    klaviyo_batch_ack(batch, &ack);
    is_int(ack.again, 1, "one is elsewhere by now");

    request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED);
    klaviyo_batch_take(batch, request);
    is_int(klaviyo_batch_give_up(batch, request, KLAVIYO_OUTCOME_DEAD_REFUSED,
                                 test_dead, &klaviyo), 0, "the last is dead");
    ok(klaviyo_batch_done(batch), "done");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DELIVERED)
           + test_outcome(batch, KLAVIYO_OUTCOME_DEAD_REFUSED), 6,
           "each event once");
    is_int(klaviyo.faults, 0, "a letter each");

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* what failed without a name: halves or one by one, probes, together again */

static void
test_suspects(void)
{
    uint32_t            n;
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request, *probe;

    batch = test_seven(&request);
    is_int(klaviyo_batch_split(batch, request), 0, "suspects: split");
    test_is_requests(batch, "0,2,5|1 4|3|6 ", "halves");
    klaviyo_batch_destroy(batch);
    test_ring_close();

    batch = test_seven(&request);
    request->slow = 1;
    is_int(klaviyo_batch_split(batch, request), 0, "after a long time");
    test_is_requests(batch, "0 2 5 1 4 3 6 ", "one by one");
    klaviyo_batch_destroy(batch);
    test_ring_close();

    /* an outage: three probes, and what is left, fail */

    batch = test_seven(&request);
    klaviyo_batch_requeue(batch, request, 1);

    for (n = 1; n <= 3; n++) {
        probe = klaviyo_batch_probe(batch, request);
        ok(probe->single && probe->unsure && request->n == 7 - n,
           "probe %u, as unsure as the others", n);
        probe->state = KLAVIYO_REQUEST_DOUBTED;
        klaviyo_batch_requeue(batch, probe, 0);
    }

    klaviyo_batch_take(batch, request);
    request->state = KLAVIYO_REQUEST_DOUBTED;
    klaviyo_batch_requeue(batch, request, 0);

    ok(klaviyo_batch_next(batch) == NULL, "what is doubted does not go");
    is_int(klaviyo_batch_regroup(batch), 0, "the outage is over");
    test_is_requests(batch, "0,2,5|1,4|3|6 ", "together again");
    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* the pace of an event that is set aside, and its end */

static void
test_aside(void)
{
    int                over;
    int64_t            now;
    unsigned           i;
    klaviyo_event_t    event, other;
    klaviyo_aside_t   *aside;
    klaviyo_set_key_t  key;

    static klaviyo_asides_t  asides;

    memset(&asides, 0, sizeof(asides));
    memset(&event, 0, sizeof(event));
    klaviyo_set_key(&asides.key);
    key = asides.key;
    klaviyo_set_key(&asides.key);
    ok(asides.key.k0 != key.k0 && asides.key.k1 != key.k1,
       "no two keys are the same, nor halves of them");

    event.profile = (const uint8_t *) "{}";
    event.profile_len = 2;
    event.attributes = (const uint8_t *) "\"a\":1";
    event.attributes_len = 5;

    other = event;
    other.attributes = (const uint8_t *) "\"a\":2";

    ok(klaviyo_aside_find(&asides, &event) == NULL, "aside: not known");
    aside = klaviyo_aside_add(&asides, &event, 1000);
    ok(aside != NULL && klaviyo_aside_find(&asides, &event) == aside
       && klaviyo_aside_add(&asides, &event, 2000) == aside, "known, once");
    ok(klaviyo_aside_find(&asides, &other) == NULL, "another is not");

    /* with nothing accepted meanwhile it goes on for ever */

    now = 1000;
    aside->sent = 5;

    for (over = 0, i = 0; i < 100; i++) {
        over += klaviyo_aside_failed(aside, 4, 1000, 300000, now);
        now = aside->next;
    }

    is_int(over, 0, "nothing was accepted: it is not at fault");
    klaviyo_aside_remove(&asides, &event);
    is_int(asides.n, 0, "removed");

    aside = klaviyo_aside_add(&asides, &event, 0);
    aside->sent = 5;
    now = 0;

    for (i = 1; !klaviyo_aside_failed(aside, 5, 1000, 300000, now); i++) {
        now = aside->next;
    }

    is_int(i, 10, "others were accepted: ten tries");
    is_int(now, 511000, "over eight and a half minutes");

    klaviyo_aside_remove(&asides, &event);
    aside = klaviyo_aside_add(&asides, &event, 0);
    aside->sent = 5;
    now = 0;

    for (i = 1; !klaviyo_aside_failed(aside, 5, 50, 1000, now); i++) {
        now = aside->next;
    }

    ok(now >= 60000 && now < 62000, "at any pace not before a minute");

    for (i = 0; i < 2 * KLAVIYO_ASIDE_MAX; i++) {
        event.attributes = (const uint8_t *) &i;
        event.attributes_len = sizeof(i);
        klaviyo_aside_add(&asides, &event, 1000);
    }

    is_int(asides.n, KLAVIYO_ASIDE_MAX, "no more than there is room for");
    ok(klaviyo_aside_add(&asides, &other, 2000) == NULL, "no room");
    ok(klaviyo_aside_add(&asides, &other, 700000) != NULL,
       "room again: those due long ago have ended otherwise");
}


/* letters that cannot be kept, and what letters tell */

static void
test_letters(void)
{
    klaviyo_batch_t    *batch;
    klaviyo_request_t  *request;

    static const char  three[] =
        "{\"errors\":[" NAMED("0/attributes/events/data/1") ","
        NAMED("1/attributes/events/data/0") "," NAMED("3") "]}";

    /* 2, 1 and 6 are refused, the first letter fails */

    batch = test_seven(&request);
    klaviyo.letters = 1;

    is_int(test_answer(batch, request, 400, three), -1,
           "letters: the first fails");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_REFUSED), 0,
           "nothing is booked");

    request = klaviyo_batch_next(batch);
    ok(request->n == 7 && request->body != NULL, "the request is as it was");
    klaviyo_request_body(batch, request);

    is_int(test_answer(batch, request, 400, three), 0, "the same again");
    ok(klaviyo.dead[2] && klaviyo.dead[1] && klaviyo.dead[6], "three letters");
    is_int(klaviyo.attempts[2], 2, "sent twice");
    is_int(klaviyo.faults, 0, "a letter each");
    test_is_requests(batch, "0,5|4|3 ", "the others");
    klaviyo_batch_destroy(batch);
    test_ring_close();

    /* the last letter fails: the others are booked and gone */

    batch = test_seven(&request);
    klaviyo.letters = 3;

    is_int(test_answer(batch, request, 400, three), -1,
           "letters: the last fails");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_REFUSED), 2,
           "two are booked");

    request = klaviyo_batch_next(batch);
    ok(request->n == 5 && request->entries == 4 && !request->single
       && request->body == NULL, "and out of the request");
    klaviyo_request_body(batch, request);

    is_int(test_answer(batch, request, 400,
                       "{\"errors\":[" NAMED("3") "]}"), 0,
           "the third is named again");
    ok(klaviyo.dead[2] && klaviyo.dead[1] && klaviyo.dead[6]
       && klaviyo.faults == 0, "a letter each");
    ok(klaviyo.attempts[1] == 1 && klaviyo.attempts[6] == 2,
       "sent once, and twice");
    test_is_requests(batch, "0,5|4|3 ", "the others");
    klaviyo_batch_destroy(batch);
    test_ring_close();

    /* what is left of it is one event */

    batch = test_seven(&request);
    klaviyo.letters = 7;

    is_int(test_answer(batch, request, 400,
                       "{\"errors\":[" NAMED("0/attributes/events/data/0")
                       "," NAMED("0/attributes/events/data/1")
                       "," NAMED("0/attributes/events/data/2")
                       "," NAMED("1/attributes/events/data/0")
                       "," NAMED("1/attributes/events/data/1")
                       "," NAMED("2") "," NAMED("3") "]}"),
           -1, "letters: the seventh of seven fails");

    request = klaviyo_batch_next(batch);
    ok(request->n == 1 && request->single, "one event, a single request");
    klaviyo_request_body(batch, request);
    is_int(test_answer(batch, request, 413, NULL), 0, "too large");
    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DEAD_TOO_LARGE), 1, "dead");
    ok(klaviyo_batch_done(batch) && test_adds_up(batch)
       && klaviyo.faults == 0, "done");
    klaviyo_batch_destroy(batch);
    test_ring_close();

    /* attempts over lost answers, halves, and one by one */

    batch = test_seven(&request);
    klaviyo_batch_requeue(batch, request, 1);
    request = klaviyo_batch_next(batch);
    klaviyo_batch_requeue(batch, request, 0);
    request = klaviyo_batch_next(batch);
    klaviyo_request_body(batch, request);

    is_int(test_answer(batch, request, 400, "<html>Bad Request</html>"), 0,
           "letters: a page in place of errors, to a batch sent before");
    is_int(klaviyo.asked, 0, "it ends nothing");

    request = klaviyo_batch_next(batch);
    ok(request->single, "one by one");
    klaviyo_request_body(batch, request);
    is_int(test_answer(batch, request, 400, NULL), 0, "refused by itself");
    ok(klaviyo.dead[0] && klaviyo.attempts[0] == 3,
       "sent three times; waiting for the limiter is not sending");
    test_is_requests(batch, "2 5 1 4 3 6 ", "the others");
    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/*
 * Every event of a queue is refused: the breaker stops that early, and when
 * Klaviyo is in its senses again, all that is left is delivered.
 */

typedef struct {
    klaviyo_breaker_t  breaker;
    int64_t            now;
    unsigned           letters;
    unsigned           opened;
} test_breaker_t;


static int
test_breaker_allow(void *data, uint32_t ended, uint32_t refused)
{
    test_breaker_t  *b = data;

    return klaviyo_breaker_allow(&b->breaker, ended, refused, 300000, b->now);
}


static int
test_breaker_dead(void *data, const klaviyo_event_t *event,
    klaviyo_outcome_e outcome, unsigned attempts, uint32_t error)
{
    test_breaker_t  *b = data;

    (void) error;

    (void) event;
    (void) attempts;

    b->letters += (outcome == KLAVIYO_OUTCOME_DEAD_REFUSED);

    return 0;
}


/* doubted or not */

static klaviyo_request_t *
test_any(klaviyo_batch_t *batch)
{
    klaviyo_request_t  *request;

    request = klaviyo_batch_next(batch);

    if (request == NULL) {
        request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED);

        if (request != NULL) {
            klaviyo_batch_take(batch, request);
        }
    }

    return request;
}


static void
test_refusals(int named)
{
    int                 i, rc;
    char               *p;
    unsigned            sent;
    test_breaker_t      b;
    klaviyo_batch_t    *batch;
    klaviyo_answer_t    answer;
    klaviyo_request_t  *request;

    static char         errors[256 * 1024];

    test_ring_open();

    for (i = 0; i < 500; i++) {
        test_append((unsigned) i, (unsigned) i, NULL, 0);
    }

    p = errors + sprintf(errors, "{\"errors\":[");

    for (i = 0; i < 500; i++) {
        p += sprintf(p, "%s{\"source\":{\"pointer\":\"/data/attributes/"
                     "events-bulk-create/data/%d\"}}", i ? "," : "", i);
    }

    sprintf(p, "]}");

    memset(&b, 0, sizeof(b));
    memset(&answer, 0, sizeof(answer));

    batch = test_batch();
    test_fill(batch, 1000, 4000000, 0);
    klaviyo_batch_close(batch);

    /* half an hour of refusals, an answer each 100 ms */

    sent = 0;

    for (b.now = 1; b.now < 1800000; b.now += 100) {

        if (klaviyo_breaker_state(&b.breaker, b.now)
            == KLAVIYO_BREAKER_OPEN)
        {
            continue;
        }

        request = test_any(batch);
        klaviyo_request_body(batch, request);
        sent++;

        answer.status = 400;
        answer.body = (const uint8_t *) errors;
        answer.body_len = named ? strlen(errors) : 0;

        rc = klaviyo_batch_settle(batch, request, KLAVIYO_REPLY_REFUSED,
                                  &answer, test_breaker_allow,
                                  test_breaker_dead, &b);
        b.opened += (rc > 0);
        klaviyo_reply_free(&answer);
    }

    ok(b.letters <= 11 * KLAVIYO_BREAKER_ALWAYS,
       "refusals, %s: %u of 500 are dead letters after half an hour",
       named ? "named" : "not named", b.letters);
    ok(b.opened >= 6 && b.opened <= 10 && sent < 200,
       "opened %u times, %u requests", b.opened, sent);

    /* it wakes up */

    answer.status = 202;
    answer.body_len = 0;

    for ( /* void */ ; b.now < 2400000; b.now += 100) {

        if (klaviyo_breaker_state(&b.breaker, b.now)
            == KLAVIYO_BREAKER_OPEN)
        {
            continue;
        }

        request = test_any(batch);
        if (request == NULL) {
            break;
        }

        klaviyo_request_body(batch, request);
        klaviyo_batch_settle(batch, request, KLAVIYO_REPLY_ACCEPTED, &answer,
                             test_breaker_allow, test_breaker_dead, &b);
    }

    is_int(test_outcome(batch, KLAVIYO_OUTCOME_DELIVERED), 500 - b.letters,
           "then all that is left is delivered");
    ok(klaviyo_batch_done(batch) && test_adds_up(batch), "done");
    is_int(b.breaker.state, KLAVIYO_BREAKER_CLOSED, "closed");

    klaviyo_batch_destroy(batch);
    test_ring_close();
}


/* captured = delivered + dead + lost + queued, by way of the ring */

static void
test_figures(void)
{
    uint64_t           sum;
    unsigned           i;
    klaviyo_ack_t      ack;
    klaviyo_batch_t   *batch, *next;
    klaviyo_lease_t    lease;
    klaviyo_figures_t  figures;

    test_ring_open();

    for (i = 0; i < 50; i++) {
        test_append(i, i % 7, NULL, 100);
    }

    memset(&klaviyo, 0, sizeof(klaviyo));
    klaviyo.bad[30] = 1;

    memset(&lease, 0, sizeof(lease));
    is_int(klaviyo_lease_open(&lease, ring), 0, "a lease");
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_OK, "held");

    batch = test_batch();

    /* those too old are in a batch of their own */

    for (i = 0; i < 2; i++) {
        test_fill(batch, 40, 4000000, 1005);
        klaviyo_batch_close(batch);
        test_run(batch, 0);
        klaviyo_batch_ack(batch, &ack);
        is_int(klaviyo_ring_ack(ring, lease.epoch, &ack, 0), KLAVIYO_RING_OK,
               "acknowledged");

        next = klaviyo_batch_create(klaviyo_batch_end(batch), &klaviyo_lanes[0]);
        klaviyo_batch_destroy(batch);
        batch = next;
    }

    klaviyo_batch_destroy(batch);

    klaviyo_ring_figures(ring, &figures);
    is_int(figures.outcome[KLAVIYO_OUTCOME_DELIVERED], 39, "delivered");
    is_int(figures.outcome[KLAVIYO_OUTCOME_DEAD_EXPIRED], 5, "expired");
    is_int(figures.outcome[KLAVIYO_OUTCOME_DEAD_REFUSED], 1, "refused");

    sum = figures.queued;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        sum += figures.outcome[i];
    }

    is_int(sum, figures.captured, "every event is somewhere");

    klaviyo_lease_close(&lease);
    test_ring_close();
}


int
main(void)
{
    int  i;

    test_init();

    test_steps();
    test_too_large();
    test_flood();
    test_suspects();
    test_aside();
    test_letters();
    test_refusals(0);
    test_refusals(1);
    test_figures();

    test_settle(TEST_NAMES_EVENTS, 500, 100, 20, 0, 40, "events named");
    test_settle(TEST_NAMES_ENTRIES, 500, 400, 20, 0, 120, "entries named");
    test_settle(TEST_NAMES_ONE, 300, 20, 10, 0, 80, "one named");
    test_settle(TEST_NAMES_NONE, 500, 100, 100, 0, 200, "none named");
    test_settle(TEST_NAMES_WRONG, 500, 100, 100, 0, 200, "wrongly named");
    test_settle(TEST_NAMES_NONE, 300, 30, 1, 0, 700, "all bad");
    test_settle(TEST_NAMES_EVENTS, 300, 30, 1, 0, 50, "all bad and named");

    for (i = 0; i < 5; i++) {
        test_settle(TEST_NAMES_EVENTS + i, 200, 50, 10, 3, 1000,
                    "answers lost");
    }

    test_end();

    return done_testing();
}

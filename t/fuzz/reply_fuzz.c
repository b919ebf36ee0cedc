/*
 * Answers to a batch of events.  Whatever comes, each event ends exactly
 * once: delivered, or dead with one letter.
 *
 *     byte 0   the status: the character's place in `status` below
 *     byte 1   the circumstances: bits of FUZZ_*, from '@' on
 *     rest     the body, of each answer until the patience is at its end
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/reply_fuzz.c \
 *         ngx_klaviyo_module/{json,queue,delivery}/klaviyo_*.c \
 *         -ljansson -lpthread && ./fuzz t/fuzz/seeds/reply
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/klaviyo_batch.h"
#include "delivery/klaviyo_request.h"
#include "delivery/klaviyo_settle.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_file.h"


#define FUZZ_UNSURE     0x01     /* the first answer was lost               */
#define FUZZ_NO         0x02     /* the breaker says no, once               */
#define FUZZ_LETTER     0x04     /* the second letter fails, once           */
#define FUZZ_CUT        0x08     /* the body went on                        */
#define FUZZ_CHALLENGE  0x10
#define FUZZ_ONE        0x20     /* a batch of one event                    */

#define FUZZ_EVENTS     12
#define FUZZ_PATIENCE   40       /* answers with this body                  */


typedef struct {
    klaviyo_answer_t  *answer;
    unsigned           letters[FUZZ_EVENTS];
    unsigned           told;
    int                no;
    int                fail;
} fuzz_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static klaviyo_ring_t *fuzz_ring(void);
static void fuzz_text(klaviyo_answer_t *answer);
static void fuzz_named(klaviyo_answer_t *answer);
static void fuzz_details(klaviyo_answer_t *answer);
static void fuzz_detail(klaviyo_answer_t *answer, uint32_t error);
static void fuzz_batch(klaviyo_ring_t *ring, klaviyo_answer_t *answer,
    unsigned flags);
static klaviyo_batch_t *fuzz_fill(klaviyo_ring_t *ring, unsigned flags,
    fuzz_t *fuzz);
static void fuzz_done(klaviyo_batch_t *batch, const fuzz_t *fuzz);
static int fuzz_allow(void *data, uint32_t ended, uint32_t refused);
static int fuzz_dead(void *data, const klaviyo_event_t *event,
    klaviyo_outcome_e outcome, unsigned attempts, uint32_t error);
static void fuzz_assert(int truth);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    klaviyo_answer_t  answer;

    static klaviyo_ring_t  *ring;

    static const unsigned  status[] = {
        400, 413, 422, 409, 202, 429, 500, 401, 302, 0
    };

    if (ring == NULL) {
        ring = fuzz_ring();
    }

    if (size < 2) {
        return 0;
    }

    memset(&answer, 0, sizeof(answer));

    answer.status = status[(unsigned) (data[0] - '0') % 10];
    answer.error = "no route to host";
    answer.body = data + 2;
    answer.body_len = size - 2;
    answer.retry_after = -1;
    answer.rate_remaining = -1;
    answer.rate_reset = -1;
    answer.body_cut = (data[1] & FUZZ_CUT) != 0;
    answer.challenge = (data[1] & FUZZ_CHALLENGE) != 0;

    fuzz_text(&answer);
    fuzz_named(&answer);
    fuzz_details(&answer);
    fuzz_batch(ring, &answer, data[1]);

    klaviyo_reply_free(&answer);

    return 0;
}


/* twelve events of five profiles, two of them with the same unique_id */

static klaviyo_ring_t *
fuzz_ring(void)
{
    int                  i, fd;
    char                 path[] = "/tmp/klaviyo-fuzz-XXXXXX";
    char                 lock[sizeof(path) + 8];
    char                 error[KLAVIYO_RING_ERROR_MAX];
    char                 note[KLAVIYO_RING_ERROR_MAX];
    char                 profile[64], attributes[64], id[16];
    klaviyo_ring_t      *ring;
    klaviyo_event_t      event;
    klaviyo_ring_conf_t  conf;

    fd = mkstemp(path);
    fuzz_assert(fd != -1);
    close(fd);
    unlink(path);

    memset(&conf, 0, sizeof(conf));
    memset(&conf, 0, sizeof(conf));
    conf.path = path;
    conf.size = KLAVIYO_RING_MIN_SIZE;

    if (klaviyo_ring_attach(&ring, &conf, error, note) != KLAVIYO_RING_OK) {
        fprintf(stderr, "%s\n", error);
        abort();
    }

    /* attached, it needs no name */

    snprintf(lock, sizeof(lock), "%s.lock", path);
    unlink(path);
    unlink(lock);

    for (i = 0; i < FUZZ_EVENTS; i++) {
        memset(&event, 0, sizeof(event));

        event.profile_len = (size_t) snprintf(profile, sizeof(profile),
                                              "{\"p\":%d}", i % 5);
        event.attributes_len = (size_t) snprintf(attributes,
                                                 sizeof(attributes),
                                                 "\"n\":%d", i);
        event.unique_id_len = (size_t) snprintf(id, sizeof(id), "%d",
                                                i == 7 ? 3 : i);

        event.profile = (const uint8_t *) profile;
        event.attributes = (const uint8_t *) attributes;
        event.unique_id = (const uint8_t *) id;
        event.time = 1000 + i;

        fuzz_assert(klaviyo_ring_append(ring, &event) == KLAVIYO_RING_OK);
    }

    return ring;
}


static void
fuzz_text(klaviyo_answer_t *answer)
{
    char    text[300];
    size_t  i, size;

    static const size_t  sizes[] = { 0, 1, 2, 17, 300 };

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(text, 'x', sizeof(text));

        klaviyo_reply_text(answer, text, sizes[i]);

        for (size = 0; size < sizes[i] && text[size] != '\0'; size++) {
            fuzz_assert(text[size] >= 0x20 && text[size] <= 0x7e);
        }

        fuzz_assert(size < sizes[i] || sizes[i] == 0);

        for (size = sizes[i]; size < sizeof(text); size++) {
            fuzz_assert(text[size] == 'x');
        }
    }
}


static void
fuzz_named(klaviyo_answer_t *answer)
{
    size_t           i, n;
    klaviyo_blamed_t  named[8];

    n = klaviyo_reply_named(answer, 5, named, 8);

    fuzz_assert(n <= 8);

    for (i = 0; i < n; i++) {
        fuzz_assert(named[i].entry < 5 && named[i].event >= -1);

        fuzz_assert(i == 0
                    || named[i - 1].entry < named[i].entry
                    || (named[i - 1].entry == named[i].entry
                        && named[i - 1].event < named[i].event));
    }
}


/* of one error after the other, there or not, and of each that names one */

static void
fuzz_details(klaviyo_answer_t *answer)
{
    size_t           i, n;
    klaviyo_blamed_t  named[8];

    n = klaviyo_reply_named(answer, 5, named, 8);

    fuzz_assert(n == 0 || answer->errors != NULL);

    for (i = 0; i < 4; i++) {
        fuzz_detail(answer, (uint32_t) i);
    }

    for (i = 0; i < n; i++) {
        fuzz_detail(answer, named[i].error);
    }

    fuzz_detail(answer, UINT32_MAX);
}


/* in less room it is the same, shorter by no more than a character */

static void
fuzz_detail(klaviyo_answer_t *answer, uint32_t error)
{
    char    whole[8192], text[300];
    size_t  i, len, cut, size;

    static const size_t  sizes[] = { 0, 1, 2, 3, 5, 17, 300 };

    klaviyo_reply_detail(answer, error, whole, sizeof(whole));

    len = strnlen(whole, sizeof(whole));
    fuzz_assert(len < sizeof(whole) && (answer->errors != NULL || len == 0));

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(text, 'x', sizeof(text));

        klaviyo_reply_detail(answer, error, text, sizes[i]);

        for (size = sizes[i]; size < sizeof(text); size++) {
            fuzz_assert(text[size] == 'x');
        }

        if (sizes[i] == 0) {
            continue;
        }

        cut = strnlen(text, sizes[i]);

        fuzz_assert(cut < sizes[i] && cut <= len
                    && memcmp(text, whole, cut) == 0);
        fuzz_assert(cut == len || cut + 4 >= sizes[i]);
        fuzz_assert(((uint8_t) whole[cut] & 0xc0) != 0x80);
    }
}


static void
fuzz_batch(klaviyo_ring_t *ring, klaviyo_answer_t *answer,
    unsigned flags)
{
    int                 i, rc;
    fuzz_t              fuzz;
    klaviyo_batch_t    *batch;
    klaviyo_answer_t    accepted;
    klaviyo_request_t  *request;
    klaviyo_verdict_e   verdict;

    memset(&fuzz, 0, sizeof(fuzz));
    fuzz.no = (flags & FUZZ_NO) != 0;
    fuzz.fail = (flags & FUZZ_LETTER) != 0;

    memset(&accepted, 0, sizeof(accepted));
    accepted.status = 202;

    batch = fuzz_fill(ring, flags, &fuzz);

    for (i = 0; /* void */ ; i++) {
        request = klaviyo_batch_next(batch);
        if (request == NULL) {

            /* those that the breaker kept */

            request = klaviyo_batch_waits(batch, KLAVIYO_REQUEST_DOUBTED);
            if (request == NULL) {
                break;
            }

            klaviyo_batch_take(batch, request);
        }

        fuzz_assert(klaviyo_request_body(batch, request) == 0);

        if (i == 0 && (flags & FUZZ_UNSURE)) {
            klaviyo_batch_requeue(batch, request, 1);
            continue;
        }

        if (i > FUZZ_PATIENCE) {
            answer = &accepted;
        }

        verdict = klaviyo_reply_verdict(answer);

        switch (verdict) {

        case KLAVIYO_REPLY_ACCEPTED:
        case KLAVIYO_REPLY_REFUSED:
        case KLAVIYO_REPLY_TOO_LARGE:
            fuzz.answer = answer;

            rc = klaviyo_batch_settle(batch, request, verdict, answer,
                                      fuzz_allow, fuzz_dead, &fuzz);

            fuzz_assert(rc == 0
                        || (rc > 0 && fuzz.no == -1)
                        || (rc == -1 && fuzz.fail == -1));

            if (rc > 0) {
                fuzz.no = 0;
            }

            if (rc == -1) {
                fuzz.fail = 0;
            }

            break;

        default:
            klaviyo_batch_requeue(batch, request,
                                  verdict == KLAVIYO_REPLY_NONE);
        }
    }

    fuzz_done(batch, &fuzz);
    klaviyo_batch_destroy(batch);
}


static klaviyo_batch_t *
fuzz_fill(klaviyo_ring_t *ring, unsigned flags, fuzz_t *fuzz)
{
    klaviyo_stream_t   stream;
    klaviyo_batch_t   *batch;
    klaviyo_cursor_t   from;

    memset(&stream, 0, sizeof(stream));
    stream.ring = ring;

    klaviyo_ring_first(ring, &from);

    batch = klaviyo_batch_create(&from, &klaviyo_lanes[0]);
    fuzz_assert(batch != NULL);

    klaviyo_batch_fill(batch, &stream, (flags & FUZZ_ONE) ? 1 : 1000, 4000000,
                       0, NULL, fuzz_dead, fuzz);

    fuzz_assert(klaviyo_batch_close(batch) == 0);

    return batch;
}


static void
fuzz_done(klaviyo_batch_t *batch, const fuzz_t *fuzz)
{
    int            i;
    uint64_t       sum, dead;
    klaviyo_ack_t  ack;

    fuzz_assert(klaviyo_batch_done(batch));

    klaviyo_batch_ack(batch, &ack);

    sum = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        sum += ack.outcome[i];
    }

    dead = ack.outcome[KLAVIYO_OUTCOME_DEAD_REFUSED]
           + ack.outcome[KLAVIYO_OUTCOME_DEAD_TOO_LARGE];

    fuzz_assert(sum == ack.to.seq - ack.from.seq);
    fuzz_assert(sum == dead + ack.outcome[KLAVIYO_OUTCOME_DELIVERED]);
    fuzz_assert(dead == fuzz->told);

    for (i = 0; i < FUZZ_EVENTS; i++) {
        fuzz_assert(fuzz->letters[i] <= 1);
    }
}


static int
fuzz_allow(void *data, uint32_t ended, uint32_t refused)
{
    fuzz_t  *fuzz = data;

    fuzz_assert(ended > 0 && refused <= ended && ended <= FUZZ_EVENTS);

    if (fuzz->no && refused) {
        fuzz->no = -1;
        return 0;
    }

    return 1;
}


static int
fuzz_dead(void *data, const klaviyo_event_t *event,
    klaviyo_outcome_e outcome, unsigned attempts, uint32_t error)
{
    char       detail[64];
    unsigned   n;
    fuzz_t    *fuzz = data;

    klaviyo_reply_detail(fuzz->answer, error, detail, sizeof(detail));
    fuzz_assert(strnlen(detail, sizeof(detail)) < sizeof(detail));

    n = (unsigned) (event->time - 1000);

    fuzz_assert(n < FUZZ_EVENTS && attempts > 0);
    fuzz_assert(outcome == KLAVIYO_OUTCOME_DEAD_REFUSED
                || outcome == KLAVIYO_OUTCOME_DEAD_TOO_LARGE);

    if (fuzz->fail && fuzz->told == 1) {
        fuzz->fail = -1;
        return -1;
    }

    fuzz->letters[n]++;
    fuzz->told++;

    return 0;
}


static void
fuzz_assert(int truth)
{
    if (!truth) {
        abort();
    }
}

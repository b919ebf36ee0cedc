/*
 * Ring and spool as the deliverer uses them, step by step at random, on a
 * disk that fails, with crashes inside of any call that changes the disk:
 *
 *     kill     the process dies, what it wrote is in the page cache
 *     reboot   the ring was on tmpfs and is gone, of the disk a random subset
 *              of what was not synced is left
 *     power    the same, and the ring was on a disk, too: of its pages any
 *              may be as they were at some earlier moment
 *
 * A model knows of each event whether it has to come back.  After each
 * recovery and all the time: nothing that was not appended, nothing twice
 * after an acknowledgement that stands, nothing missing that was durable, no
 * gap where there is none, and captured = outcomes + queued.
 *
 * KLAVIYO_MODEL_STEPS and KLAVIYO_MODEL_SEED in the environment.
 */


#define _GNU_SOURCE
#include <time.h>

#include "disk.h"
#include "ring.h"
#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_format.h"
#include "queue/klaviyo_spill.h"
#include "queue/klaviyo_spool_chunk.h"
#include "queue/klaviyo_spool_open.h"
#include "queue/klaviyo_spool_private.h"
#include "queue/klaviyo_spool_read.h"


#define STEPS       30000
#define SPOOL_SIZE  (4 * 1024 * 1024)
#define BATCH       200

#define MUST        1                /* has to be delivered                 */
#define DURABLE     2                /* the spool has it                    */


typedef enum {
    KILL = 0,
    REBOOT,
    POWER,
    KINDS
} kind_e;


static klaviyo_ring_t   *ring;
static klaviyo_spool_t  *spool;
static klaviyo_chunk_t   out;            /* being written                   */
static klaviyo_chunk_t   ahead;          /* being read                      */

static uint8_t          *flags;          /* of each event                   */
static uint32_t         *acked;          /* in which era, 0: not            */
static uint32_t          next;           /* number of the next event        */
static uint32_t          low;            /* no MUST before                  */
static uint32_t          era;            /* acknowledgements stand since    */
static unsigned          holes;          /* the ring may have lost some     */
static unsigned          outage;         /* nothing can be delivered        */

static uint8_t           image[2 * RING_SIZE];   /* the ring on its disk    */

static uint64_t          step, crashes[KINDS], delivered, missed, again,
                         dropped, written, failed, adopted, full, aside;
static uint64_t          seed;


#define check(cond, ...)                                                     \
    do {                                                                     \
        if (!(cond)) {                                                       \
            wrong(__LINE__, __VA_ARGS__);                                    \
        }                                                                    \
    } while (0)


__attribute__((format(printf, 2, 3), noreturn)) static void
wrong(int line, const char *fmt, ...)
{
    va_list  args;

    printf("not ok 1 - ");
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n#   line %d, step %" PRIu64 ": KLAVIYO_MODEL_SEED=%" PRIu64
           "\n#   the files are in %s\n1..1\n", line, step, seed, ring_dir);

    exit(1);
}


static void
equation(void)
{
    int                i;
    uint64_t           sum;
    klaviyo_figures_t  f;

    klaviyo_ring_figures(ring, &f);

    sum = f.queued + f.counter[KLAVIYO_COUNT_LOST_QUEUE_FULL]
          + f.counter[KLAVIYO_COUNT_LOST_QUEUE_BUSY];

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        sum += f.outcome[i];
    }

    check(sum == f.captured, "captured %" PRIu64 ", outcomes and queued %"
          PRIu64, f.captured, sum);
}


static void
ring_image(void)
{
    FILE    *file;
    size_t   n;

    file = fopen(ring_path, "r");
    n = file ? fread(image, 1, sizeof(image), file) : 0;
    check(n == KLAVIYO_RING_RECORDS + RING_SIZE, "reading the ring");
    fclose(file);
}


/* any page is as now or as it was, and it is another boot */

static void
ring_power(void)
{
    FILE                   *file;
    size_t                  i;
    unsigned                odds;
    klaviyo_ring_shared_t   shared;

    static uint8_t          was[sizeof(image)];

    memcpy(was, image, sizeof(image));
    ring_image();
    odds = (unsigned) disk_random(101);

    for (i = 0; i < sizeof(image); i += KLAVIYO_RING_PAGE) {
        if (disk_random(100) < odds) {
            memcpy(image + i, was + i, KLAVIYO_RING_PAGE);
        }
    }

    memcpy(&shared, image + KLAVIYO_RING_SHARED, sizeof(shared));
    memset(shared.boot_id, 'x', sizeof(shared.boot_id));
    memcpy(image + KLAVIYO_RING_SHARED, &shared, sizeof(shared));

    file = fopen(ring_path, "r+");
    i = file ? fwrite(image, 1, KLAVIYO_RING_RECORDS + RING_SIZE, file) : 0;
    check(i == KLAVIYO_RING_RECORDS + RING_SIZE, "writing the ring");
    fclose(file);
}


static void
open_spool(void)
{
    int                   tries;
    klaviyo_spool_rc_e    rc;
    klaviyo_spool_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.dir = disk_path;
    conf.size = SPOOL_SIZE;

    for (tries = 0; tries < 50; tries++) {
        rc = klaviyo_spool_open(&spool, &conf, ring_error, ring_note);

        check(rc == KLAVIYO_SPOOL_OK || rc == KLAVIYO_SPOOL_ERROR,
              "open: %d %s", rc, ring_error);
        check(ring_note[0] == '\0', "open: %s", ring_note);

        if (rc == KLAVIYO_SPOOL_OK) {
            return;
        }
    }

    check(0, "open: %s", ring_error);
}


/* as the spooler does it when it comes to be */

static void
recover(void)
{
    int                     tries;
    uint64_t                n;
    klaviyo_spill_e         todo;
    klaviyo_ring_rc_e       rc;
    klaviyo_ring_conf_t     conf;
    klaviyo_spill_plan_t    plan;
    klaviyo_spool_state_t   state;

    memset(&conf, 0, sizeof(conf));
    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;

    rc = klaviyo_ring_attach(&ring, &conf, ring_error, ring_note);
    check(rc == KLAVIYO_RING_OK, "attach: %s", ring_error);
    equation();

    open_spool();

    for (tries = 0; tries < 50; tries++) {
        klaviyo_spool_state(spool, &state);
        todo = klaviyo_spill_plan(ring, &state, &plan);

        if (todo == KLAVIYO_SPILL_READY) {
            break;
        }

        check(todo == KLAVIYO_SPILL_ADOPT, "plan: %d", todo);

        if (klaviyo_spool_adopt(spool, plan.ring, plan.first, plan.from,
                                plan.to, plan.adoption, &n, ring_error)
            != KLAVIYO_SPOOL_OK)
        {
            continue;
        }

        /* between the two */

        if (disk_step() == 0) {
            rc = klaviyo_spill_adopted(ring, 0, &plan, n);
            check(rc == KLAVIYO_RING_OK, "adopted: %d", rc);
            adopted += n;
        }
    }

    check(todo == KLAVIYO_SPILL_READY, "never ready");

    if (plan.release) {
        rc = klaviyo_ring_release(ring, 0, &plan.copied);
        check(rc == KLAVIYO_RING_OK, "release: %d", rc);
    }

    equation();
}


static void
crash(kind_e kind)
{
    char      path[256];
    uint32_t  n;

    crashes[kind]++;

    klaviyo_chunk_reset(&out);
    klaviyo_chunk_reset(&ahead);

    if (spool) {
        disk_killed();
        free(spool->segment);
        free(spool->dir.path);
        free(spool);
        spool = NULL;
    }

    disk_killed();

    if (ring) {
        klaviyo_ring_detach(ring);
        ring = NULL;
    }

    if (kind == KILL) {
        return;
    }

    disk_power();
    era++;

    if (kind == REBOOT) {
        snprintf(path, sizeof(path), "%s.lock", ring_path);
        unlink(path);
        unlink(ring_path);

    } else {
        ring_power();
        holes = 1;
    }

    for (n = low; n < next; n++) {
        if (!(flags[n] & DURABLE)) {
            flags[n] = 0;
        }
    }

    while (low < next && !(flags[low] & MUST)) {
        low++;
    }
}


static void
append(void)
{
    unsigned           i;
    klaviyo_ring_rc_e  rc;

    for (i = (unsigned) disk_random(8) + 1; i; i--) {
        rc = ring_append(ring, 0, next, 20 + disk_random(3000));

        check(rc == KLAVIYO_RING_OK || rc == KLAVIYO_RING_FULL,
              "append: %d", rc);

        flags[next] = (rc == KLAVIYO_RING_OK) ? MUST : 0;
        acked[next] = 0;
        next++;
    }
}


/* reads up to `max` events and acknowledges them; 1: there is no more */

static int
take(unsigned max)
{
    int                 end;
    uint8_t             buf[16384];
    uint32_t            read[BATCH];
    unsigned            writer, n, got, tries;
    uint64_t            missing, captured;
    klaviyo_ack_t       ack;
    klaviyo_stream_t    stream;
    klaviyo_cursor_t    cursor;
    klaviyo_record_t    record;
    klaviyo_ring_rc_e   rc;

    memset(&ack, 0, sizeof(ack));
    stream.ring = ring;
    stream.chunk = &ahead;

    klaviyo_ring_first(ring, &cursor);
    ack.from = cursor;
    captured = ring_captured(ring);
    missing = 0;
    end = 0;
    tries = 0;

    for (got = 0; got + ack.again < max; /* void */) {
        rc = klaviyo_stream_read(&stream, &cursor, buf, sizeof(buf), &record);

        if (rc == KLAVIYO_RING_EMPTY) {
            end = 1;
            break;
        }

        if (rc == KLAVIYO_RING_AGAIN) {
            check(tries++ < 10 + max, "AGAIN for ever");
            check(klaviyo_spool_read(spool, stream.wanted, &ahead, ring_error)
                  == KLAVIYO_SPOOL_OK, "read: %s", ring_error);
            continue;
        }

        check(rc == KLAVIYO_RING_OK || rc == KLAVIYO_RING_GAP, "read: %d",
              rc);

        missing += record.missing;
        cursor = record.next;

        if (rc == KLAVIYO_RING_GAP) {
            continue;
        }

        check(ring_same(&record, &writer, &n) && writer == 0 && n < next,
              "a corrupt event, %" PRIu64, record.seq);

        /* a ring that lost its end has the spool's events adopted anew */

        check(acked[n] != era || holes, "event %u comes again", n);

        again += (acked[n] != 0);

        if (disk_random(20) == 0
            && klaviyo_ring_put_again(ring, &record.event) == KLAVIYO_RING_OK)
        {
            flags[n] &= ~DURABLE;
            ack.again++;
            aside++;
            continue;
        }

        read[got++] = n;
    }

    check(missing == 0 || holes, "%" PRIu64 " missing", missing);

    ack.to = cursor;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = got;
    ack.outcome[KLAVIYO_OUTCOME_LOST_SPOOL] = missing;

    rc = klaviyo_ring_ack(ring, 0, &ack, 0);
    check(rc == KLAVIYO_RING_OK, "ack: %d", rc);
    check(ring_captured(ring) == captured || holes, "captured was %" PRIu64
          ", is %" PRIu64, captured, ring_captured(ring));

    while (got) {
        n = read[--got];
        flags[n] = 0;
        acked[n] = era;
        delivered++;
    }

    missed += missing;
    equation();

    return end;
}


static klaviyo_spool_rc_e
forget(void)
{
    klaviyo_ring_span_t  span;

    klaviyo_ring_span(ring, &span);

    return klaviyo_spool_forget(spool, span.done, ring_error);
}


/* full=drop_oldest */

static void
drop(void)
{
    unsigned                writer, n;
    uint64_t                seq, to;
    klaviyo_record_t        record;
    klaviyo_ring_rc_e       rc;
    klaviyo_ring_span_t     span;
    klaviyo_spool_state_t   state;

    klaviyo_spool_second(spool, &to);
    klaviyo_spool_state(spool, &state);
    klaviyo_ring_span(ring, &span);

    if (to > span.first.seq) {
        to = span.first.seq;
    }

    for (seq = state.head; seq < to; /* void */) {
        check(klaviyo_spool_read(spool, seq, &ahead, ring_error)
              == KLAVIYO_SPOOL_OK, "read: %s", ring_error);

        while (klaviyo_chunk_next(&ahead, seq, &record) == KLAVIYO_RING_OK) {
            check(ring_same(&record, &writer, &n) && n < next, "corrupt");
            seq = record.next.seq;

            if (record.seq < to) {
                flags[n] = 0;
                dropped++;
            }
        }

        seq = ahead.to;
    }

    rc = klaviyo_ring_lose(ring, 0, to, KLAVIYO_OUTCOME_LOST_SPOOL_FULL);
    check(rc == KLAVIYO_RING_OK, "lose: %d", rc);
    equation();

    (void) klaviyo_spool_forget(spool, to, ring_error);
}


static void
spill(void)
{
    unsigned                writer, n;
    uint64_t                seq;
    klaviyo_cursor_t        copied;
    klaviyo_record_t        record;
    klaviyo_ring_rc_e       rc;
    klaviyo_spool_rc_e      wrote;
    klaviyo_ring_span_t     span;
    klaviyo_spool_state_t   state;

    /* else what was finished between its tail and these would be a gap */

    if (forget() != KLAVIYO_SPOOL_OK) {
        return;
    }

    /* an error of the disk: the spool's state says where to go on */

    klaviyo_spool_state(spool, &state);
    klaviyo_ring_span(ring, &span);

    copied.seq = state.tail;
    copied.position = state.position;

    if (state.tail <= span.first.seq) {
        copied = span.first;
    }

    klaviyo_chunk_reset(&out);

    if (klaviyo_spill_copy(ring, &copied, &out) != KLAVIYO_RING_OK) {
        return;
    }

    wrote = klaviyo_spool_write(spool, &out, copied.position, ring_error);

    if (wrote == KLAVIYO_SPOOL_FULL) {
        full++;

        if (disk_random(3) == 0) {
            drop();
        }

        return;
    }

    if (wrote != KLAVIYO_SPOOL_OK) {
        failed++;
        return;
    }

    seq = out.from;

    while (klaviyo_chunk_next(&out, seq, &record) == KLAVIYO_RING_OK) {
        check(ring_same(&record, &writer, &n) && n < next, "copied");
        seq = record.next.seq;
        flags[n] |= DURABLE;
        written++;
    }

    if (disk_random(4)) {
        rc = klaviyo_ring_release(ring, 0, &copied);
        check(rc == KLAVIYO_RING_OK, "release: %d", rc);
        equation();
    }
}


/* Everything has to come out now. */

static void
drain(void)
{
    unsigned           i, fault;
    klaviyo_figures_t  f;

    fault = disk_fault;
    disk_fault = 0;
    disk_crash_in = 0;

    for (i = 0; !take(BATCH); i++) {
        check(i < 100000, "no end");
    }

    for ( /* void */ ; low < next; low++) {
        check(!(flags[low] & MUST), "event %u did not come back", low);
    }

    klaviyo_ring_figures(ring, &f);
    check(f.queued == 0, "%" PRIu64 " queued when all is read", f.queued);

    /* in the spool they come again until it forgets them */

    if (holes && forget() == KLAVIYO_SPOOL_OK) {
        holes = 0;
    }

    disk_fault = fault;
}


static void
one(void)
{
    if (disk_random(1000) == 0) {
        outage = (disk_random(3) == 0);
    }

    /* long enough for the spool to fill, once at least */

    if (full == 0 && step > STEPS / 2) {
        outage = 1;
    }

    if (disk_random(60) == 0 && disk_crash_in == 0) {
        disk_crash_in = 1 + (long) disk_random(20);
    }

    switch (disk_random(16)) {

    case 0: case 1: case 2: case 3: case 4: case 5:
        append();
        break;

    case 6: case 7: case 8:
        spill();
        break;

    case 9: case 10: case 11:
        if (outage) {
            break;
        }

        (void) take(1 + (unsigned) disk_random(disk_random(8) ? 20 : BATCH));
        break;

    case 12:
        (void) forget();
        break;

    case 13:
        if (disk_random(10) == 0) {
            ring_image();
        }

        break;

    case 14:
        if (disk_random(40) == 0 && !outage) {
            drain();
        }

        break;

    default:
        if (disk_random(40) == 0) {
            longjmp(disk_crash, 1);
        }
    }
}


int
main(void)
{
    const char      *value;
    struct stat      st;
    struct timespec  now;

    /* what a longjmp() must leave as it was */

    static unsigned  begun;
    static uint64_t  steps;

    value = getenv("KLAVIYO_MODEL_STEPS");
    steps = value ? strtoull(value, NULL, 10) : STEPS;

    clock_gettime(CLOCK_REALTIME, &now);
    value = getenv("KLAVIYO_MODEL_SEED");
    seed = value ? strtoull(value, NULL, 10)
                 : (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec % 1000;
    disk_seed = seed * 2654435761 + 88172645463325252;

    ring_folder();
    snprintf(disk_path, sizeof(disk_path), "%s/spool", ring_dir);
    mkdir(disk_path, 0700);
    stat(disk_path, &st);
    disk_dir = st.st_ino;

    flags = calloc(steps + 1, 8);
    acked = calloc(steps + 1, 8 * sizeof(uint32_t));
    era = 1;

    if (setjmp(disk_crash)) {
        crash((kind_e) disk_random(KINDS));
    }

    disk_fault = (unsigned) disk_random(3) * 20;

    recover();

    if (!begun || crashes[REBOOT]) {
        ring_image();
        begun = 1;
    }

    while (step < steps) {
        step++;
        one();
    }

    drain();
    spill();

    ok(1, "%" PRIu64 " steps", step);
    diag("%u appended, %" PRIu64 " delivered, %" PRIu64 " of them again, "
         "%" PRIu64 " put again, %" PRIu64 " counted as missing, %" PRIu64
         " dropped", next, delivered, again, aside, missed, dropped);
    diag("%" PRIu64 " written to the spool, %" PRIu64 " writes failed, %"
         PRIu64 " found it full, %" PRIu64 " adopted", written, failed, full,
         adopted);
    diag("%" PRIu64 " kills, %" PRIu64 " reboots, %" PRIu64 " power failures, "
         "%" PRIu64 " of %" PRIu64 " calls to the disk failed",
         crashes[KILL], crashes[REBOOT], crashes[POWER], disk_faults,
         disk_calls);
    ok(steps < 20000
       || (delivered > 1000 && written > 1000 && failed && adopted > 10
           && full && crashes[KILL] > 10 && crashes[REBOOT] > 10
           && crashes[POWER] > 10), "it was a test");

    klaviyo_ring_detach(ring);
    klaviyo_spool_close(spool);
    disk_dir = 0;
    ring_cleanup();

    return done_testing();
}

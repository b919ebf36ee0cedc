/*
 * Writers and readers that are killed at any moment: what an append has
 * reported is there once and whole, the lock comes back, the sums agree.
 */


#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "ring.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_lock.h"
#include "queue/klaviyo_ring_private.h"
#include "queue/klaviyo_ring_record.h"


#define WRITERS   3
#define SECONDS   3
#define NUMBERS   (1 << 22)       /* of one writer                          */


/* what the processes report to the test, byte by byte */

typedef struct {
    uint8_t   appended[WRITERS][NUMBERS];   /* 1: append returned OK        */
    uint8_t   read[WRITERS][NUMBERS];       /* how often it was delivered   */
    unsigned  next[WRITERS];                /* survives a writer's death    */
    unsigned  lost[WRITERS];                /* FULL and BUSY                */
    unsigned  wrong;                        /* bytes that were not written  */
    unsigned  missing;
    unsigned  acked;
} report_t;


static report_t  *report;


static double
seconds(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}


static void
writer_run(klaviyo_ring_t *ring, unsigned writer)
{
    unsigned           n;
    klaviyo_ring_rc_e  rc;

    prctl(PR_SET_PDEATHSIG, SIGKILL);

    for ( ;; ) {
        n = report->next[writer]++;

        if (n >= NUMBERS) {
            pause();
        }

        rc = ring_append(ring, writer, n, 100 + n * 13 % 900);

        if (rc == KLAVIYO_RING_OK) {
            report->appended[writer][n] = 1;

        } else {
            report->lost[writer]++;
        }

        /* leave a core to the others */

        if (n % 64 == 0) {
            usleep(100);
        }
    }
}


/* reads a batch, acknowledges it, counts what it saw after that */

static unsigned
reader_batch(klaviyo_ring_t *ring, uint64_t epoch, unsigned slow)
{
    uint8_t            buf[16384];
    unsigned           i, got, writer[256], n[256];
    klaviyo_ack_t      ack;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;

    memset(&ack, 0, sizeof(ack));
    klaviyo_ring_first(ring, &cursor);
    ack.from = cursor;

    for (got = 0; got < 256; /* void */) {
        rc = klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);

        if (rc != KLAVIYO_RING_OK && rc != KLAVIYO_RING_GAP) {
            break;
        }

        report->missing += (unsigned) record.missing;
        ack.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT] += record.missing;
        cursor = record.next;

        if (rc == KLAVIYO_RING_GAP) {
            break;
        }

        if (!ring_same(&record, &writer[got], &n[got])
            || writer[got] >= WRITERS || n[got] >= NUMBERS)
        {
            report->wrong++;
            writer[got] = 0;
            n[got] = 0;
        }

        got++;

        /* so that drop_oldest overtakes it */

        if (slow && got % 32 == 0) {
            usleep(100);
        }
    }

    ack.to = cursor;
    ack.outcome[KLAVIYO_OUTCOME_DELIVERED] = got;

    do {
        rc = klaviyo_ring_ack(ring, epoch, &ack, 0);
    } while (rc == KLAVIYO_RING_BUSY);

    if (rc != KLAVIYO_RING_OK) {
        return 0;
    }

    for (i = 0; i < got; i++) {
        report->read[writer[i]][n[i]]++;
    }

    report->acked += got;

    return got;
}


static void
reader_run(klaviyo_ring_t *ring, unsigned slow)
{
    klaviyo_lease_t  lease;

    prctl(PR_SET_PDEATHSIG, SIGKILL);

    klaviyo_lease_open(&lease, ring);

    while (klaviyo_lease_renew(&lease) == KLAVIYO_RING_BUSY) {
        usleep(1000);
    }

    for ( ;; ) {
        if (reader_batch(ring, lease.epoch, slow) == 0) {
            usleep(500);
        }
    }
}


static pid_t
start(klaviyo_ring_t *ring, unsigned i, unsigned slow)
{
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        if (i == WRITERS) {
            reader_run(ring, slow);

        } else {
            writer_run(ring, i);
        }

        _exit(0);
    }

    return pid;
}


static void
test_random(unsigned drop_oldest)
{
    double               until;
    pid_t                pid[WRITERS + 1];
    uint64_t             left, unseen;
    unsigned             i, n, kills, readers, inside, appended, lost, unread,
                         twice, ghosts, slow;
    klaviyo_ring_t      *ring;
    klaviyo_lease_t      lease;
    klaviyo_figures_t    f;

    ring_folder();
    ring = ring_open(drop_oldest ? RING_SIZE : 4 * RING_SIZE, drop_oldest);
    memset(report, 0, sizeof(report_t));

    for (i = 0; i <= WRITERS; i++) {
        pid[i] = start(ring, i, drop_oldest);
    }

    kills = 0;
    readers = 1;
    inside = 0;
    srand((unsigned) getpid());
    until = seconds() + SECONDS / 2.0;

    while (seconds() < until) {
        usleep((useconds_t) (rand() % 2000));

        /* the reader only now and then: its report is not one step */

        i = (unsigned) rand() % WRITERS;

        if (rand() % 32 == 0) {
            i = WRITERS;
            readers++;
        }

        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
        kills++;

        if (((uint32_t *) (void *) &ring->shared->lock.mutex)[0]
            & 0x40000000)
        {
            inside++;
        }

        pid[i] = start(ring, i, drop_oldest);
    }

    for (i = 0; i <= WRITERS; i++) {
        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
    }

    klaviyo_lease_open(&lease, ring);
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_OK,
           "the reader's lease is free");

    while (reader_batch(ring, lease.epoch, 0) > 0) { /* void */ }

    klaviyo_ring_figures(ring, &f);

    appended = 0;
    lost = 0;
    unread = 0;
    twice = 0;
    ghosts = 0;

    for (i = 0; i < WRITERS; i++) {
        lost += report->lost[i];

        for (n = 0; n < report->next[i] && n < NUMBERS; n++) {
            appended += report->appended[i][n];
            unread += report->appended[i][n] && !report->read[i][n];
            twice += report->read[i][n] > 1;
            ghosts += report->read[i][n] && !report->appended[i][n];
        }
    }

    diag("%u kills, %u of them holding the lock; %u appended, %u refused, "
         "%u read, %u committed before the kill but not yet reported", kills,
         inside, appended, lost, report->acked, ghosts);

    /* in valgrind, for instance */

    slow = (unsigned) tap_slow();

    ok(kills * slow > 50 && appended * slow > 1000, "it was a test");
    is_int(report->wrong, 0, "nothing corrupt");
    is_int(report->missing, 0, "nothing missing");
    is_int(twice, 0, "nothing read after it was acknowledged");

    /* a reader may die between its acknowledgement and its report */

    unseen = f.outcome[KLAVIYO_OUTCOME_DELIVERED] - report->acked;
    ok(unseen <= 256 * readers, "acknowledged, not reported: %" PRIu64,
       unseen);

    if (drop_oldest) {
        unseen += f.outcome[KLAVIYO_OUTCOME_LOST_FULL];
    }

    ok(unread <= unseen, "nothing else that was committed is lost: %u",
       unread);

    is_int(f.queued, 0, "all is read");
    is_int(f.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT], 0, "no event was damaged");
    left = f.captured - f.outcome[KLAVIYO_OUTCOME_LOST_FULL]
           - f.outcome[KLAVIYO_OUTCOME_DELIVERED]
           - f.counter[KLAVIYO_COUNT_LOST_QUEUE_FULL]
           - f.counter[KLAVIYO_COUNT_LOST_QUEUE_BUSY];
    is_int(left, 0, "the figures agree");
    ring_equation(ring, "after the kills");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
    ring_cleanup();
}


/*
 * Each step of an append by itself: a child changes what a killed writer
 * would have left behind, with the lock held, and dies.
 */

static void
test_holding(void)
{
    int                   step;
    pid_t                 pid;
    ring_taken_t          taken;
    klaviyo_ring_t       *ring;
    klaviyo_cursor_t      end;
    klaviyo_ring_tail_t  *tail;

    for (step = 0; step < 4; step++) {
        ring_folder();
        ring = ring_open(RING_SIZE, 0);
        ring_append(ring, 0, 0, 300);

        pid = fork();

        if (pid == 0) {
            klaviyo_ring_lock(ring);
            klaviyo_ring_end(ring, &end);

            tail = &ring->shared->tail[0];
            tail += (tail->end == end.position);

            if (step >= 1) {
                memset(ring->record + end.position, 0xaa, 5000);
            }

            if (step >= 2) {
                tail->end = end.position + 400;
            }

            if (step >= 3) {
                tail->seq = end.seq;
            }

            raise(SIGKILL);
        }

        waitpid(pid, NULL, 0);

        is_int(ring_append(ring, 0, 1, 200), KLAVIYO_RING_OK,
               "step %d: the lock of the dead is taken over", step);
        is_int(ring_append(ring, 0, 2, 700), KLAVIYO_RING_OK, "and again");
        ring_equation(ring, "after a death inside");
        ring_take(ring, 0, 1, &taken);
        is_int(taken.events, 3, "three events");
        is_int(taken.wrong + taken.missing, 0, "whole, none missing");
        ring_equation(ring, "after reading them");

        klaviyo_ring_detach(ring);
        ring_cleanup();
    }
}


/* The tail that is current must not be touched before the commit. */

static void
test_tails(void)
{
    unsigned                n, kept;
    uint64_t                before;
    klaviyo_ring_t         *ring;
    klaviyo_ring_shared_t  *shared;

    ring_folder();
    ring = ring_open(RING_SIZE, 0);
    shared = ring->shared;
    kept = 0;

    for (n = 0; n < 10; n++) {
        before = shared->write_pos;
        ring_append(ring, 0, n, 300);
        kept += shared->tail[0].end == before
                || shared->tail[1].end == before;
    }

    is_int(kept, 10, "the tail before an append stays until the next one");

    klaviyo_ring_detach(ring);
    ring_cleanup();
}


/* An acknowledgement that dies before its commit. */

static void
test_ack(void)
{
    pid_t             pid;
    ring_taken_t      taken;
    klaviyo_ring_t   *ring;

    ring_folder();
    ring = ring_open(RING_SIZE, 0);

    ring_append(ring, 0, 0, 300);
    ring_append(ring, 0, 1, 300);

    pid = fork();

    if (pid == 0) {
        klaviyo_ring_lock(ring);
        memset(ring->slot[!(ring->shared->ack_generation & 1)], 0xaa,
               sizeof(klaviyo_ring_slot_t));
        raise(SIGKILL);
    }

    waitpid(pid, NULL, 0);

    ring_equation(ring, "after a death inside an ack");
    is_int(ring_queued(ring), 2, "it is undone");
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 2, "read again");
    is_int(ring_queued(ring), 0, "and acknowledged");
    ring_equation(ring, "after that");

    klaviyo_ring_detach(ring);
    ring_cleanup();
}


int
main(void)
{
    report = mmap(NULL, sizeof(report_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);

    if (report == MAP_FAILED) {
        perror("mmap");
        return 2;
    }

    test_holding();
    test_tails();
    test_ack();
    test_random(0);
    test_random(1);

    return done_testing();
}

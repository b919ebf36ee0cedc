/*
 * The ring's file is truncated while processes use it: nobody dies, everybody
 * finds it detached, and events from then on are counted.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "ring.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_private.h"


#define WRITERS  3
#define ROUNDS   60
#define LATE     5               /* events of each writer after the end     */


typedef struct {
    unsigned  appended;
    unsigned  read;
    unsigned  wrong;
    unsigned  saw;               /* processes that found it detached        */
    unsigned  told;
} report_t;


static report_t  *report;


static void
count(unsigned *figure)
{
    __atomic_fetch_add(figure, 1, __ATOMIC_RELAXED);
}


static int
writer_run(klaviyo_ring_t *ring, unsigned writer)
{
    int                  i;
    unsigned             n;
    klaviyo_ring_rc_e    rc;

    for (n = 0; n < 10000000; n++) {
        rc = ring_append(ring, writer, n, 100 + n * 13 % 3000);

        if (rc == KLAVIYO_RING_DETACHED) {
            count(&report->saw);
            break;
        }

        report->appended += (rc == KLAVIYO_RING_OK);
    }

    for (i = 0; i < LATE; i++) {
        if (ring_append(ring, writer, n, 100) != KLAVIYO_RING_DETACHED) {
            return 1;
        }
    }

    return 0;
}


static int
reader_detached(klaviyo_ring_t *ring, klaviyo_lease_t *lease)
{
    char                 error[KLAVIYO_RING_ERROR_MAX];
    uint8_t              buf[16384];
    int64_t              paused;
    klaviyo_ack_t        ack;
    klaviyo_cursor_t     cursor;
    klaviyo_record_t     record;
    klaviyo_figures_t    f;
    klaviyo_ring_span_t  span;

    memset(&cursor, 0, sizeof(cursor));
    memset(&ack, 0, sizeof(ack));
    klaviyo_ring_figures(ring, &f);

    if (klaviyo_ring_verify(ring, error) != KLAVIYO_RING_DETACHED) {
        return 1;
    }

    if (error[0]) {
        count(&report->told);
    }

    return klaviyo_ring_first(ring, &cursor) != KLAVIYO_RING_DETACHED
           || klaviyo_ring_span(ring, &span) != KLAVIYO_RING_DETACHED
           || klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record)
              != KLAVIYO_RING_DETACHED
           || klaviyo_ring_ahead(ring, &cursor) != 0
           || klaviyo_ring_ack(ring, 1, &ack, 0) != KLAVIYO_RING_DETACHED
           || klaviyo_ring_release(ring, 1, &cursor) != KLAVIYO_RING_DETACHED
           || klaviyo_ring_lose(ring, 1, 1, KLAVIYO_OUTCOME_LOST_SPOOL)
              != KLAVIYO_RING_DETACHED
           || klaviyo_ring_adopt(ring, 1, 1, 1, 1) != KLAVIYO_RING_DETACHED
           || klaviyo_ring_save(ring, 1, 0, "", 0) != KLAVIYO_RING_DETACHED
           || klaviyo_ring_load(ring, &paused, buf, 8)
              != KLAVIYO_RING_DETACHED
           || klaviyo_lease_renew(lease) != KLAVIYO_RING_DETACHED
           || klaviyo_lease_valid(lease)
           || klaviyo_ring_drain(ring, 1, 10) != 0
           || f.attached
           || f.captured != f.detached;
}


static int
reader_run(klaviyo_ring_t *ring)
{
    uint8_t            buf[16384];
    unsigned           i, writer, n;
    klaviyo_ack_t      ack;
    klaviyo_lease_t    lease;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;

    klaviyo_lease_open(&lease, ring);

    for ( ;; ) {
        rc = klaviyo_lease_renew(&lease);

        if (rc == KLAVIYO_RING_OK) {
            rc = klaviyo_ring_first(ring, &cursor);
        }

        memset(&ack, 0, sizeof(ack));
        ack.from = cursor;

        for (i = 0; rc == KLAVIYO_RING_OK && i < 50; i++) {
            rc = klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);

            if (rc == KLAVIYO_RING_OK) {
                report->wrong += !ring_same(&record, &writer, &n);
                report->read++;
                cursor = record.next;
                ack.outcome[KLAVIYO_OUTCOME_DELIVERED]++;
                ack.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT] += record.missing;
            }
        }

        if (rc == KLAVIYO_RING_OK || rc == KLAVIYO_RING_EMPTY) {
            ack.to = cursor;
            rc = klaviyo_ring_ack(ring, lease.epoch, &ack, 0);
        }

        if (rc == KLAVIYO_RING_DETACHED) {
            count(&report->saw);
            break;
        }

        if (rc != KLAVIYO_RING_OK && rc != KLAVIYO_RING_BUSY) {
            diag("reader: %d", rc);
            report->wrong++;
            break;
        }
    }

    i = reader_detached(ring, &lease);
    klaviyo_lease_close(&lease);

    return i != 0;
}


static pid_t
start(klaviyo_ring_t *ring, unsigned i)
{
    int    rc;
    void  *map;
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(20);

        rc = (i == WRITERS) ? reader_run(ring) : writer_run(ring, i);

        /*
         * As a worker that exits; then it uses another ring.  What was
         * unmapped stays so: nothing may lead there.
         */

        map = ring->map;
        klaviyo_ring_detach(ring);

        (void) mmap(map, KLAVIYO_RING_PAGE * 2, PROT_NONE,
                    MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0);

        snprintf(ring_path, sizeof(ring_path), "%s/other%u.ring", ring_dir,
                 i);
        ring = ring_open(4 * RING_SIZE, 0);
        rc += ring_append(ring, 0, 0, 100) != KLAVIYO_RING_OK;
        klaviyo_ring_detach(ring);

        _exit(rc);
    }

    return pid;
}


static void
test_truncate(off_t size, const char *what)
{
    int                  status, round;
    pid_t                pid[WRITERS + 1];
    unsigned             i, begun, read, failed, detached, lost, attached;
    klaviyo_ring_t      *ring;
    klaviyo_figures_t    f;

    memset(report, 0, sizeof(report_t));
    failed = 0;
    lost = 0;
    attached = 0;
    srandom((unsigned) size);

    for (round = 0; round < ROUNDS; round++) {
        ring_folder();
        ring = ring_open(RING_SIZE, round % 2);
        begun = report->appended;
        read = report->read;

        for (i = 0; i <= WRITERS; i++) {
            pid[i] = start(ring, i);
        }

        /* in the midst of their work, when it has begun */

        for (i = 0; i < 5000; i++) {
            if (report->appended > begun + 10 && report->read > read) {
                break;
            }

            usleep(1000);
        }

        usleep((useconds_t) (2000 + random() % 4000));

        if (truncate(ring_path, size) == -1) {
            exit(2);
        }

        /* who finds nothing amiss is told within a second */

        usleep(3000);
        klaviyo_ring_verify(ring, ring_error);

        for (i = 0; i <= WRITERS; i++) {
            waitpid(pid[i], &status, 0);

            if (status != 0) {
                diag("process %u of round %d: %x", i, round, status);
                failed++;
            }
        }

        klaviyo_ring_figures(ring, &f);
        attached += f.attached;
        lost += f.detached < WRITERS * LATE;
        report->told += (ring_error[0] != '\0');

        klaviyo_ring_detach(ring);
        ring_cleanup();
    }

    detached = report->saw;

    diag("%u appended, %u read", report->appended, report->read);
    ok(report->appended > ROUNDS * 10 && report->read > 0, "it was a test");
    is_int(failed, 0, "truncated %s: no process dies or errs", what);
    is_int(detached, ROUNDS * (WRITERS + 1), "all find it detached");
    is_int(report->wrong, 0, "no garbage is read");
    is_int(lost, 0, "events from then on are counted");
    is_int(attached, 0, "the figures say so");
    is_int(report->told, ROUNDS, "and one process tells of it, each time");
}


/* without waiting for luck: each operation is the one that faults */

static void
test_each(unsigned op)
{
    int                  status;
    pid_t                pid;
    uint8_t              buf[16384];
    int64_t              paused;
    klaviyo_ack_t        ack;
    klaviyo_ring_t      *ring;
    klaviyo_lease_t      lease;
    klaviyo_cursor_t     cursor;
    klaviyo_record_t     record;
    klaviyo_figures_t    f;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;

    ring_folder();
    ring = ring_open(RING_SIZE, 0);
    ring_append(ring, 1, 1, 500);
    ring_append(ring, 1, 2, 500);
    klaviyo_ring_first(ring, &cursor);

    pid = fork();

    if (pid == 0) {
        klaviyo_lease_open(&lease, ring);
        klaviyo_lease_renew(&lease);
        memset(&ack, 0, sizeof(ack));
        ack.from = cursor;
        ack.to = cursor;

        if (truncate(ring_path, 0) == -1) {
            _exit(99);
        }

        errno = ENOTTY;

        switch (op) {

        case 0:
            rc = ring_append(ring, 1, 3, 100);
            break;

        case 1:
            rc = klaviyo_ring_read(ring, &cursor, buf, sizeof(buf), &record);
            break;

        case 2:
            rc = klaviyo_ring_ack(ring, lease.epoch, &ack, 0);
            break;

        case 3:
            rc = klaviyo_lease_renew(&lease);
            break;

        case 4:
            rc = klaviyo_ring_span(ring, &span);
            break;

        case 5:
            rc = klaviyo_ring_first(ring, &cursor);
            break;

        case 6:
            rc = klaviyo_ring_load(ring, &paused, buf, 4);
            break;

        case 7:
            rc = klaviyo_ring_save(ring, lease.epoch, 0, buf, 4);
            break;

        case 8:
            klaviyo_ring_figures(ring, &f);
            rc = f.attached ? KLAVIYO_RING_OK : KLAVIYO_RING_DETACHED;
            break;

        case 9:
            klaviyo_ring_count(ring, KLAVIYO_COUNT_REQUESTS_BULK, 1);

            if (errno != ENOTTY) {
                _exit(98);
            }

            rc = klaviyo_ring_first(ring, &cursor);
            break;

        case 10:
            rc = klaviyo_lease_valid(&lease) ? KLAVIYO_RING_OK
                                             : KLAVIYO_RING_DETACHED;
            break;

        case 11:
            klaviyo_ring_drain(ring, lease.epoch, 10);
            rc = klaviyo_ring_first(ring, &cursor);
            break;

        case 12:
            (void) klaviyo_ring_ahead(ring, &cursor);
            rc = klaviyo_ring_first(ring, &cursor);
            break;

        default:
            klaviyo_lease_close(&lease);
            rc = klaviyo_ring_first(ring, &cursor);
            break;
        }

        if (rc != KLAVIYO_RING_DETACHED) {
            _exit(100 + (int) rc);
        }

        klaviyo_lease_close(&lease);
        klaviyo_ring_detach(ring);

        _exit(0);
    }

    waitpid(pid, &status, 0);
    is_int(status, 0, "operation %u, the first after the end", op);

    klaviyo_ring_figures(ring, &f);
    is_int(f.attached, 0, "the other process is told");
    is_int(f.detached, op == 0, "what was lost is counted");
    klaviyo_ring_detach(ring);
    ring_cleanup();
}


static void
other_handler(int signo)
{
    _exit(signo == SIGBUS ? 7 : 8);
}


/* a fault that is none of ours, with a handler before us and without */

static void
test_foreign(int with)
{
    int              fd, status;
    char             other[256];
    pid_t            pid;
    volatile char   *map;

    ring_folder();

    pid = fork();

    if (pid == 0) {
        signal(SIGBUS, with ? other_handler : SIG_DFL);
        ring_open(RING_SIZE, 0);

        snprintf(other, sizeof(other), "%s/other", ring_dir);
        fd = open(other, O_CREAT|O_RDWR, 0600);
        map = mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
        *map = 1;
        _exit(0);
    }

    waitpid(pid, &status, 0);

    if (with) {
        is_int(WEXITSTATUS(status), 7, "a foreign fault goes to whom it "
               "went before");
    } else {
        ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
           "or ends the process as it did before");
    }

    pid = fork();

    if (pid == 0) {
        signal(SIGBUS, SIG_DFL);
        ring_open(RING_SIZE, 0);
        raise(SIGBUS);
        _exit(0);
    }

    waitpid(pid, &status, 0);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS,
       "so does one that is sent");

    ring_cleanup();
}


/* other bytes of the same length: nothing faults */

static void
test_written_over(void)
{
    int              fd;
    char             zeroes[4096];
    klaviyo_ring_t  *ring;

    ring_folder();
    ring = ring_open(RING_SIZE, 0);
    ring_append(ring, 1, 1, 100);

    memset(zeroes, 0, sizeof(zeroes));
    fd = open(ring_path, O_RDWR);

    if (pwrite(fd, zeroes, sizeof(zeroes), 0) != (ssize_t) sizeof(zeroes)) {
        exit(2);
    }

    close(fd);

    is_int(klaviyo_ring_verify(ring, ring_error), KLAVIYO_RING_DETACHED,
           "written over: detached");
    ok(strstr(ring_error, "written over") != NULL, "says: %s", ring_error);
    klaviyo_ring_detach(ring);
    ring_cleanup();
}


/* what is detached is not read: a page of a hole would be a block again */

static void
test_hole(void)
{
    struct stat      st;
    klaviyo_ring_t  *ring;

    ring_folder();
    ring = ring_open(RING_SIZE, 0);

    if (truncate(ring_path, 0) == -1) {
        exit(2);
    }

    is_int(klaviyo_ring_verify(ring, ring_error), KLAVIYO_RING_DETACHED,
           "emptied: detached");

    if (truncate(ring_path, KLAVIYO_RING_RECORDS + RING_SIZE) == -1) {
        exit(2);
    }

    is_int(klaviyo_ring_verify(ring, ring_error), KLAVIYO_RING_DETACHED,
           "as long as before: still detached");
    is_int(stat(ring_path, &st), 0, "it is there");
    is_int(st.st_blocks, 0, "and has no block");
    klaviyo_ring_detach(ring);
    ring_cleanup();
}


/* who attaches beside those who have it, as a reload does, gets a good one */

static void
test_damaged_slot(void)
{
    uint8_t          limiter[8];
    klaviyo_ring_t  *ring, *next;
    klaviyo_lease_t  lease;

    memset(limiter, 1, sizeof(limiter));

    ring_folder();
    ring = ring_open(RING_SIZE, 0);
    ring_append(ring, 1, 1, 100);

    ring->slot[ring->shared->ack_generation & 1]->limiter[100] ^= 1;

    (void) klaviyo_lease_open(&lease, ring);
    (void) klaviyo_lease_renew(&lease);
    is_int(klaviyo_ring_save(ring, lease.epoch, 0, limiter, sizeof(limiter)),
           KLAVIYO_RING_DETACHED, "a damaged slot: detached");
    klaviyo_lease_close(&lease);

    next = ring_open(RING_SIZE, 0);
    ok(strstr(ring_note, "moved to") != NULL, "a reload says: %s", ring_note);
    is_int(ring_append(next, 1, 2, 100), KLAVIYO_RING_OK, "and appends");
    (void) klaviyo_lease_open(&lease, next);
    is_int(klaviyo_lease_renew(&lease), KLAVIYO_RING_OK, "delivers");
    is_int(klaviyo_ring_save(next, lease.epoch, 0, limiter, sizeof(limiter)),
           KLAVIYO_RING_OK, "and saves");
    is_int(ring_append(next, 1, 3, 100), KLAVIYO_RING_OK, "and goes on");
    klaviyo_lease_close(&lease);

    klaviyo_ring_detach(next);
    klaviyo_ring_detach(ring);
    ring_cleanup();
}


/* how many of the records' pages are there */

static size_t
pages_there(const klaviyo_ring_pages_t *pages)
{
    size_t         i, n;
    unsigned char  there[RING_SIZE / 4096];

    if (pages->size > RING_SIZE
        || mincore(pages->start, pages->size, there) == -1)
    {
        return 0;
    }

    for (i = 0, n = 0; i < pages->size / 4096; i++) {
        n += there[i] & 1;
    }

    return n;
}


static void
test_pages(void)
{
    klaviyo_ring_t        *ring;
    klaviyo_ring_pages_t   pages;

    ring = ring_open(RING_SIZE, 0);

    if (klaviyo_ring_pages(ring, RING_SIZE, &pages) == 0) {
        ok(1, "the kernel makes no pages ahead # SKIP");
        klaviyo_ring_detach(ring);
        return;
    }

    klaviyo_ring_pages_stop(&pages);
    klaviyo_ring_pages_make(&pages);
    is_int(pages_there(&pages), 0, "stopped, it makes no page");

    pages.stop = 0;
    klaviyo_ring_pages_make(&pages);
    is_int(pages_there(&pages), pages.size / 4096, "all pages are made");

    is_int(truncate(ring_path, 0), 0, "truncate()");
    klaviyo_ring_pages_make(&pages);
    is_int(pages_there(&pages), 0, "none of a file that was truncated");

    klaviyo_ring_detach(ring);
}


/* what a ring on a disk made would be written there */

static void
test_disk_pages(void)
{
    klaviyo_ring_t        *ring;
    struct statfs          fs;
    klaviyo_ring_pages_t   pages;

    (void) strcpy(ring_dir, "/var/tmp/klaviyo-ring-XXXXXX");

    if (mkdtemp(ring_dir) == NULL) {
        ok(1, "no folder on a disk # SKIP");
        return;
    }

    (void) snprintf(ring_path, sizeof(ring_path), "%s/shop.ring", ring_dir);

    if (statfs(ring_dir, &fs) == -1 || fs.f_type == TMPFS_MAGIC) {
        ok(1, "the folder is not on a disk # SKIP");

    } else {
        ring = ring_open(RING_SIZE, 0);
        is_int(klaviyo_ring_pages(ring, RING_SIZE, &pages), 0,
               "no pages are made of a file on a disk");
        klaviyo_ring_detach(ring);
    }

    ring_cleanup();
}


int
main(void)
{
    unsigned  op;

    report = mmap(NULL, sizeof(report_t), PROT_READ|PROT_WRITE,
                  MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (report == MAP_FAILED) {
        perror("mmap");
        return 2;
    }

    /* first: who has mapped a ring has the handler */

    test_foreign(0);
    test_foreign(1);

    for (op = 0; op < 14; op++) {
        test_each(op);
    }

    test_written_over();
    test_hole();
    test_damaged_slot();

    ring_in_folder(test_pages);
    test_disk_pages();

    test_truncate(0, "to nothing");
    test_truncate(KLAVIYO_RING_RECORDS + RING_SIZE / 2, "to a half");
    test_truncate(2 * KLAVIYO_RING_PAGE + 100, "within the header");

    return done_testing();
}

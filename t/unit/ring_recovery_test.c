/*
 * The ring after something went wrong: bytes that are damaged or gone, an
 * image taken at a bad moment, a reboot, another version, another size.
 */


#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>

#include "ring.h"
#include "queue/klaviyo_crc32c.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_lock.h"
#include "queue/klaviyo_ring_private.h"
#include "queue/klaviyo_ring_record.h"
#include "queue/klaviyo_ring_slot.h"


static void
file_write(off_t offset, const void *bytes, size_t len)
{
    int  fd;

    fd = open(ring_path, O_RDWR);

    if (fd == -1 || pwrite(fd, bytes, len, offset) != (ssize_t) len) {
        perror("file_write");
        exit(2);
    }

    close(fd);
}


static void
file_read(off_t offset, void *bytes, size_t len)
{
    int  fd;

    fd = open(ring_path, O_RDONLY);

    if (fd == -1 || pread(fd, bytes, len, offset) != (ssize_t) len) {
        perror("file_read");
        exit(2);
    }

    close(fd);
}


/* files whose names begin with shop.ring. and the kind; the last one's name */

static int
aside(const char *kind, char *name)
{
    int             n;
    DIR            *dir;
    char            prefix[64];
    struct dirent  *entry;

    n = 0;
    dir = opendir(ring_dir);
    snprintf(prefix, sizeof(prefix), "shop.ring.%s-", kind);

    for ( ;; ) {
        entry = readdir(dir);

        if (entry == NULL) {
            break;
        }

        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) {
            n++;

            if (name) {
                snprintf(name, 256, "%s", entry->d_name);
            }
        }
    }

    closedir(dir);

    return n;
}


static void
test_corrupt(void)
{
    uint64_t         page;
    ring_taken_t     taken;
    klaviyo_ring_t  *ring;

    /* a byte of a payload */

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 20, 300);
    ring->record[ring_cursor(ring, 7).position + 100] ^= 1;
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 19, "a damaged payload: the others are read");
    is_int(taken.missing, 1, "one is missing");
    is_int(taken.wrong, 0, "what is read is right");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_CORRUPT), 1, "booked");
    ring_equation(ring, "after a damaged payload");

    /* a header */

    ring_fill(ring, 20, 40, 300);
    ring->record[ring_cursor(ring, 3).position] ^= 0x40;
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 19, "a damaged header: the others are read");
    is_int(taken.missing, 1, "one is missing");
    is_int(taken.wrong, 0, "what is read is right");

    /* the last record: only a gap */

    ring_fill(ring, 40, 50, 300);
    ring->record[ring_cursor(ring, 9).position + 4] ^= 0x40;
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 9, "the last one damaged: the others are read");
    is_int(taken.missing, 1, "it is a gap");
    is_int(taken.last, 48, "at the end");
    is_int(ring_queued(ring), 0, "nothing left");
    ring_equation(ring, "after a gap");

    /* a page of zeroes; several records are in it */

    ring_fill(ring, 50, 110, 300);
    page = KLAVIYO_RING_RECORDS + ring_cursor(ring, 20).position;
    page = page / 4096 * 4096;
    memset(ring->map + page, 0, 4096);
    ring_take(ring, 0, 1, &taken);
    ok(taken.events > 40 && taken.events < 60,
       "a lost page: %u of 60 are read", taken.events);
    is_int(taken.events + taken.missing, 60, "the others are missing");
    is_int(taken.wrong, 0, "what is read is right");
    is_int(ring_captured(ring), 110, "all captured ones are known");
    ring_equation(ring, "after a lost page");

    klaviyo_ring_detach(ring);

    /* damaged, and drop_oldest comes by */

    ring = ring_open(RING_SIZE, 1);
    ring_fill(ring, 110, 150, 300);
    memset(ring->record + ring_cursor(ring, 5).position % ring->capacity,
           0xff, 2000);
    ring_fill(ring, 150, 2000, 300);
    ring_take(ring, 0, 1, &taken);
    is_int(taken.last, 1999, "drop_oldest passes over damage");
    is_int(taken.missing, 0, "and has counted it");
    ring_equation(ring, "after drop_oldest over damage");
    klaviyo_ring_detach(ring);
}


/* a record's own bytes, whole, at a place that is not its own */

static void
test_displaced(void)
{
    uint64_t          from, to;
    ring_taken_t      taken;
    klaviyo_ring_t   *ring;
    klaviyo_header_t  header;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 50, 60, 300);

    from = ring_cursor(ring, 7).position;
    to = ring_cursor(ring, 4).position;    /* of the same length */

    memcpy(&header, ring->record + from, sizeof(header));
    memmove(ring->record + to, ring->record + from, header.length);

    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 9, "a displaced record is none");
    is_int(taken.missing, 1, "what it covered is missing");
    is_int(taken.wrong, 0, "the others are read");
    ring_equation(ring, "after a displaced record");
    klaviyo_ring_detach(ring);
}


static void
test_image(void)
{
    int              status;
    pid_t            pid;
    char             c;
    int              ready[2];
    ring_taken_t     taken;
    klaviyo_ring_t  *ring;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);

    if (pipe(ready) == -1) {
        exit(2);
    }

    pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        klaviyo_ring_lock(ring);
        c = 0;

        if (write(ready[1], &c, 1) == 1) {
            pause();
        }

        _exit(1);
    }

    if (read(ready[0], &c, 1) != 1) {
        exit(2);
    }

    is_int(ring_append(ring, 1, 10, 300), KLAVIYO_RING_BUSY,
           "while another has the lock an event is dropped");

    ok(ring_shell("cp '%s/shop.ring' '%s/copy'", ring_dir) == 0,
       "an image is taken while the lock is held");

    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);

    is_int(ring_append(ring, 1, 10, 300), KLAVIYO_RING_OK,
           "the owner is dead: its lock is taken over");
    ring_equation(ring, "after a dead owner");
    klaviyo_ring_detach(ring);

    ok(ring_shell("mv '%s/copy' '%s/shop.ring'", ring_dir) == 0,
       "the image takes the ring's place");
    ring = ring_open(RING_SIZE, 0);
    is_int(ring_append(ring, 1, 10, 300), KLAVIYO_RING_OK,
           "its lock is made anew");
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 11, "its events are there");
    is_int(taken.wrong, 0, "whole");
    ring_equation(ring, "in the image");
    klaviyo_ring_detach(ring);
}


static void
test_two(void)
{
    int              status;
    pid_t            pid;
    ring_taken_t     taken;
    klaviyo_ring_t  *ring;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 5, 300);

    /* holds the lock over the other's attach, which must not make it anew */

    klaviyo_ring_lock(ring);

    pid = fork();

    if (pid == 0) {
        ring = ring_open(RING_SIZE, 0);

        _exit(ring && !ring->alone
              && ring_append(ring, 2, 100, 300) == KLAVIYO_RING_BUSY
              ? 0 : 1);
    }

    waitpid(pid, &status, 0);
    is_int(status, 0, "a second process shares what the first uses");
    klaviyo_ring_unlock(ring);

    pid = fork();

    if (pid == 0) {
        ring = ring_open(RING_SIZE, 0);
        ring_fill(ring, 5, 10, 300);
        _exit(0);
    }

    waitpid(pid, &status, 0);
    ring_fill(ring, 10, 12, 300);

    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 12, "both append to one ring");
    is_int(taken.wrong, 0, "whole");
    ring_equation(ring, "of two processes");
    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    ok(ring->alone, "alone again when all have gone");
    klaviyo_ring_detach(ring);
}


static void
test_version(void)
{
    uint32_t              version;
    klaviyo_ring_t       *ring, *other;
    klaviyo_ring_conf_t   conf;
    klaviyo_ring_fixed_t  fixed;

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 3, 300);

    version = KLAVIYO_RING_VERSION + 1;
    file_write(offsetof(klaviyo_ring_fixed_t, version), &version, 4);

    is_int(klaviyo_ring_attach(&other, &conf, ring_error, ring_note),
           KLAVIYO_RING_ERROR, "another version in use is refused");
    ok(strstr(ring_error, "another version") != NULL, "says: %s",
       ring_error);
    is_int(ring_append(ring, 1, 3, 300), KLAVIYO_RING_OK,
           "who uses it goes on");
    klaviyo_ring_detach(ring);

    is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
           KLAVIYO_RING_OK, "another version that nobody uses");
    ok(strstr(ring_note, "another version") != NULL, "says: %s", ring_note);
    is_int(aside("version", NULL), 1, "it was moved aside");
    is_int(ring_queued(ring), 0, "the new one is empty");
    ring_equation(ring, "in the new one");

    fixed = ring->fixed;
    fixed.mutex ^= 0x10000;
    fixed.crc = klaviyo_crc32c(0, &fixed, offsetof(klaviyo_ring_fixed_t, crc));
    klaviyo_ring_detach(ring);
    file_write(0, &fixed, sizeof(fixed));

    is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
           KLAVIYO_RING_OK, "the mutex of another C library");
    ok(strstr(ring_note, "another C library") != NULL, "says: %s", ring_note);
    is_int(aside("version", NULL), 2, "it was moved aside, too");
    klaviyo_ring_detach(ring);
}


static void
test_damaged_header(void)
{
    char             byte;
    klaviyo_ring_t  *ring;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 3, 300);
    klaviyo_ring_detach(ring);

    byte = 'x';
    file_write(offsetof(klaviyo_ring_fixed_t, uuid), &byte, 1);

    ring = ring_open(RING_SIZE, 0);
    ok(ring && strstr(ring_note, "damaged"), "a damaged header");
    is_int(aside("corrupt", NULL), 1, "is moved aside");
    is_int(ring_append(ring, 1, 1, 100), KLAVIYO_RING_OK, "a new one works");
    klaviyo_ring_detach(ring);

    ok(ring_shell("truncate -s 70000 '%s/shop.ring'", ring_dir) == 0,
       "a file cut short");
    ring = ring_open(RING_SIZE, 0);
    ok(ring && strstr(ring_note, "damaged"), "is moved aside");
    is_int(ring_append(ring, 1, 1, 100), KLAVIYO_RING_OK, "a new one works");
    klaviyo_ring_detach(ring);

    ok(ring_shell(": > '%s/shop.ring'", ring_dir) == 0, "an empty file");
    ring = ring_open(RING_SIZE, 0);
    ok(ring && strstr(ring_note, "damaged"), "is moved aside");
    klaviyo_ring_detach(ring);
}


/* the ack slot that was being written when the machine stopped */

static void
test_torn_slot(void)
{
    int                   i, newest;
    char                  bytes[100];
    ring_taken_t          taken;
    klaviyo_ring_t       *ring;
    klaviyo_ring_slot_t   slot[2];

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);
    ring_take(ring, 0, 1, &taken);
    ring_fill(ring, 10, 20, 300);
    ring_take(ring, 0, 1, &taken);
    klaviyo_ring_detach(ring);

    for (i = 0; i < 2; i++) {
        file_read(KLAVIYO_RING_SLOTS + i * KLAVIYO_RING_PAGE, &slot[i],
                  sizeof(slot[i]));
    }

    newest = slot[1].generation > slot[0].generation;
    memset(bytes, 0x55, sizeof(bytes));
    file_write(KLAVIYO_RING_SLOTS + newest * KLAVIYO_RING_PAGE
               + offsetof(klaviyo_ring_slot_t, outcome), bytes, 100);

    ring = ring_open(RING_SIZE, 0);
    is_int(ring_queued(ring), 10, "a torn ack slot: the one before it stands");
    ring_equation(ring, "after a torn ack slot");
    ring_take(ring, 0, 1, &taken);
    is_int(taken.first, 10, "its events are there again");
    is_int(taken.events, 10, "all of them");
    ring_equation(ring, "after reading them again");
    klaviyo_ring_detach(ring);

    file_write(KLAVIYO_RING_SLOTS, bytes, 100);
    file_write(KLAVIYO_RING_SLOTS + KLAVIYO_RING_PAGE, bytes, 100);

    ring = ring_open(RING_SIZE, 0);
    ok(ring && strstr(ring_note, "damaged"), "both torn: moved aside");
    klaviyo_ring_detach(ring);
}


static void
reboot(void)
{
    file_write(KLAVIYO_RING_SHARED + offsetof(klaviyo_ring_shared_t, boot_id),
               "another boot", 12);
}


static void
test_reboot(void)
{
    int                     fd;
    char                    limiter[4], boot[KLAVIYO_RING_BOOT_ID_LEN];
    int64_t                 paused;
    ring_taken_t            taken;
    klaviyo_ring_t         *ring;
    klaviyo_figures_t       f;
    klaviyo_ring_shared_t   before;

    /* all is there */

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 30, 300);
    klaviyo_ring_save(ring, 0, INT64_MAX / 2, "abc", 3);
    ring->shared->lease_pid = 77;
    ring->shared->lease_deadline = INT64_MAX / 2;
    klaviyo_ring_detach(ring);
    reboot();

    ring = ring_open(RING_SIZE, 0);
    is_str(ring_note, "", "a reboot with nothing lost is no news");
    klaviyo_ring_load(ring, &paused, limiter, 3);
    is_int(paused, 0, "the pause is forgotten");
    is_mem(limiter, 3, "\0\0\0", 3, "the limiter, too");
    klaviyo_ring_figures(ring, &f);
    is_int(f.deliverer, 0, "and the lease");
    is_int(f.queued, 30, "the events are there");
    ring_equation(ring, "after a reboot");
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 30, "all of them");

    /* the header is older than the records */

    ring_fill(ring, 30, 40, 300);
    file_read(KLAVIYO_RING_SHARED, &before, sizeof(before));
    ring_fill(ring, 40, 60, 300);
    klaviyo_ring_detach(ring);
    file_write(KLAVIYO_RING_SHARED, &before, sizeof(before));
    reboot();

    ring = ring_open(RING_SIZE, 0);
    is_int(ring_queued(ring), 30, "records beyond a stale end are found");
    ring_equation(ring, "after a stale end");
    ring_fill(ring, 60, 70, 300);
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 40, "and read");
    is_int(taken.wrong + taken.missing, 0, "whole");
    is_int(taken.last, 69, "with what came later");

    file_read(KLAVIYO_RING_SHARED, &before, sizeof(before));
    memset(boot, 0, sizeof(boot));
    fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);

    if (fd != -1) {
        ok(read(fd, boot, sizeof(boot)) > 0, "the boot");
        close(fd);
    }

    is_mem(before.boot_id, sizeof(boot), boot, sizeof(boot), "is noted");
    klaviyo_ring_detach(ring);
}


static void
test_lost_tail(void)
{
    uint8_t          zeroes[8192];
    uint64_t         position;
    ring_taken_t     taken;
    klaviyo_ring_t  *ring;

    memset(zeroes, 0, sizeof(zeroes));

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 20, 300);
    position = ring_cursor(ring, 15).position;
    klaviyo_ring_detach(ring);

    file_write(KLAVIYO_RING_RECORDS + (off_t) position, zeroes,
               sizeof(zeroes));
    reboot();

    ring = ring_open(RING_SIZE, 0);
    ok(strstr(ring_note, "5 of 20 events") != NULL, "says: %s", ring_note);
    is_int(ring_queued(ring), 20, "the lost ones are still in the sum");
    ring_equation(ring, "after a lost tail");
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 15, "what is left is read");
    is_int(taken.missing, 5, "what is lost is missing");
    ring_fill(ring, 20, 25, 300);
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 5, "and it goes on");
    is_int(taken.missing, 0, "as before");
    is_int(ring_captured(ring), 25, "captured is exact");
    ring_equation(ring, "at the end");
    klaviyo_ring_detach(ring);
}


/* the shared page is nonsense, in the same boot */

static void
test_wild_page(void)
{
    uint64_t            wild;
    ring_taken_t        taken;
    klaviyo_ring_t     *ring;
    klaviyo_figures_t   f;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 20, 300);
    klaviyo_ring_detach(ring);

    wild = 0x1234567890;
    file_write(KLAVIYO_RING_SHARED
               + offsetof(klaviyo_ring_shared_t, write_pos), &wild, 8);

    ring = ring_open(RING_SIZE, 0);
    ring_equation(ring, "with a wild write position");
    ring_take(ring, 0, 1, &taken);
    is_int(taken.events, 20, "all events are found");
    ring_equation(ring, "after reading them");

    /* while it is used: wrong, but neither a crash nor a hang */

    ring->shared->write_pos = wild;
    klaviyo_ring_figures(ring, &f);
    is_int(f.deliverer, 0, "a position is no deliverer");
    ring_append(ring, 1, 1, 100);
    ring_take(ring, 0, 0, &taken);
    ok(1, "a wild write position in use is survived");
    klaviyo_ring_detach(ring);
}


/* what a tail cannot mean is not believed: the records tell the end */

static void
test_wild_tail(void)
{
    unsigned              i;
    uint64_t              end;
    ring_taken_t          taken;
    klaviyo_ring_t       *ring;
    klaviyo_ring_tail_t   tail;

    static const struct {
        uint64_t     bytes;          /* that the end is further on          */
        uint64_t     write;          /* and the write position              */
        uint64_t     events;
        const char  *what;
    } wild[] = {
        { 0, 0, RING_SIZE, "more events than its bytes hold" },
        { 8, 8, 1, "an end between two records" },
        { 4096, 0, 1, "an end behind the write position" },
        { RING_SIZE, RING_SIZE, 1, "an end once around" }
    };

    for (i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
        ring = ring_open(RING_SIZE, 0);
        ring_fill(ring, 0, 20, 300);
        end = ring->shared->write_pos;
        klaviyo_ring_detach(ring);

        memset(&tail, 0, sizeof(tail));
        tail.end = end + wild[i].bytes;
        tail.seq = RING_SEQ + 19 + wild[i].events;
        end += wild[i].write;

        file_write(KLAVIYO_RING_SHARED
                   + offsetof(klaviyo_ring_shared_t, write_pos), &end, 8);
        file_write(KLAVIYO_RING_SHARED
                   + offsetof(klaviyo_ring_shared_t, tail), &tail,
                   sizeof(tail));
        file_write(KLAVIYO_RING_SHARED
                   + offsetof(klaviyo_ring_shared_t, tail) + sizeof(tail),
                   &tail, sizeof(tail));

        ring = ring_open(RING_SIZE, 0);
        is_int(ring_queued(ring), 20, "%s", wild[i].what);
        ring_take(ring, 0, 1, &taken);
        ok(taken.events == 20 && taken.missing == 0 && taken.wrong == 0,
           "the events are read, and none is missing");
        ring_equation(ring, "with it");
        klaviyo_ring_detach(ring);
        (void) unlink(ring_path);
    }
}


/* without a current tail the end is what the tails know of */

static void
test_no_tail(void)
{
    klaviyo_ring_t       *ring;
    klaviyo_cursor_t      end;
    klaviyo_ring_tail_t  *tail;

    ring = ring_open(RING_SIZE, 0);
    tail = ring->shared->tail;
    ring->shared->write_pos = 160;

    memset(tail, 0, 2 * sizeof(klaviyo_ring_tail_t));
    is_int(klaviyo_ring_end(ring, &end), 0, "nothing was put again");
    ok(end.position == 160 && end.seq == 1, "nor at all");

    tail[0].seq = 5;
    tail[0].again = 3;
    tail[1].seq = 4;
    tail[1].again = 2;
    is_int(klaviyo_ring_end(ring, &end), 3, "as the newer one says");
    is_int(end.seq, 6, "behind its event");

    tail[1].seq = 7;
    is_int(klaviyo_ring_end(ring, &end), 2, "whichever is the newer one");
    is_int(end.seq, 8, "behind its event");

    tail[0].end = 160;
    is_int(klaviyo_ring_end(ring, &end), 3, "the current one is believed");
    is_int(end.seq, 6, "whatever the other has");

    klaviyo_ring_detach(ring);
}


/* 1 with this value of one member, and a checksum that is right */

#define slot_whole(member, value, number)                                    \
    (memset(&slot, 0, sizeof(slot)),                                         \
     slot.seq = INT64_MAX,                                                   \
     slot.member = (value),                                                  \
     slot.crc = klaviyo_crc32c(0, &slot, offsetof(klaviyo_ring_slot_t, crc)),\
     klaviyo_ring_slot_whole(&slot, number))


static void
test_slot_limits(void)
{
    uint64_t             max;
    klaviyo_ring_slot_t  slot;

    max = INT64_MAX;

    ok(slot_whole(generation, 0, 0), "a slot");
    ok(!slot_whole(generation, 0, 1), "not in the other's place");
    ok(slot_whole(generation, max, 1), "the last generation");
    ok(!slot_whole(generation, max + 1, 0), "none beyond it");
    ok(slot_whole(position, max - 15, 0), "the last position");
    ok(!slot_whole(position, max + 1, 0), "none beyond it");
    ok(!slot_whole(position, 8, 0), "nor between two records");
    ok(slot_whole(seq, max, 0), "the last number");
    ok(!slot_whole(seq, max + 1, 0), "none beyond it");
    ok(slot_whole(done, max, 0), "all are done");
    ok(!slot_whole(done, max + 1, 0), "not more than all");

    slot.crc ^= 1;
    ok(!klaviyo_ring_slot_whole(&slot, 0), "nor with another checksum");
}


/* a ring that is full of what is no record any more */

static void
test_drop_nothing(void)
{
    unsigned             n;
    ring_taken_t         taken;
    klaviyo_ring_t      *ring;
    klaviyo_ring_span_t  span;

    ring = ring_open(RING_SIZE, 1);

    for (n = 0; klaviyo_ring_span(ring, &span) == KLAVIYO_RING_OK
                && span.size - span.used > 500; n++)
    {
        ring_fill(ring, n, n + 1, 300);
    }

    memset(ring->record, 0, ring->capacity);

    is_int(ring_append(ring, 1, n, 300), KLAVIYO_RING_OK, "there is room");
    klaviyo_ring_span(ring, &span);
    is_int(span.end.seq - span.first.seq, 1, "for the new one");
    ok(span.used < 1500, "which has nearly all of it");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_LOST_FULL), n,
           "the others are lost");
    ring_equation(ring, "after that");

    ring_take(ring, 0, 1, &taken);
    ok(taken.events == 1 && taken.first == n && !taken.missing,
       "the new one is read");
    klaviyo_ring_detach(ring);
}


static void
test_capacity(void)
{
    int                  status, in[2];
    char                 c, name[256], lock[512];
    pid_t                pid;
    unsigned             moved, n;
    ring_taken_t         taken;
    klaviyo_ring_t      *ring;
    klaviyo_lease_t      lease;
    klaviyo_figures_t    f;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 100, 300);
    ring_take(ring, 0, 1, &taken);
    ring_fill(ring, 100, 200, 300);
    klaviyo_ring_count(ring, KLAVIYO_COUNT_REQUESTS_BULK, 3);
    klaviyo_ring_count(ring, KLAVIYO_COUNT_LOST_QUEUE_BUSY, 2);

    /* an old worker that goes on appending to the old ring */

    if (pipe(in) == -1) {
        exit(2);
    }

    pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(in[1]);

        while (read(in[0], &c, 1) == 1) {
            ring_append(ring, 1, 200, 300);
        }

        _exit(0);
    }

    close(in[0]);
    klaviyo_ring_detach(ring);

    ring = ring_open(2 * RING_SIZE, 0);
    ok(strstr(ring_note, "another size") != NULL, "says: %s", ring_note);
    is_int(aside("drain", name), 1, "the old one is moved");
    is_int(ring_queued(ring), 0, "the new one is empty");

    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    is_int(klaviyo_ring_drain(ring, lease.epoch + 1, 30), 0,
           "not without the lease");
    is_int(klaviyo_ring_drain(ring, lease.epoch, 30), 30, "a bounded step");
    ring_equation(ring, "while draining");

    moved = 30;

    for (n = 0; n < 10; n++) {
        moved += klaviyo_ring_drain(ring, lease.epoch, 30);
    }

    is_int(moved, 100, "all are moved");
    is_int(aside("drain", NULL), 1, "its file stays while it is used");

    if (write(in[1], "x", 1) != 1) {
        exit(2);
    }

    for (n = 0; n < 100 && moved < 101; n++) {
        usleep(10000);
        moved += klaviyo_ring_drain(ring, lease.epoch, 30);
    }

    is_int(moved, 101, "an old worker's late event, too");

    close(in[1]);
    waitpid(pid, &status, 0);

    klaviyo_ring_drain(ring, lease.epoch, 30);
    is_int(aside("drain", NULL), 0, "the file goes when nobody uses it");

    klaviyo_ring_figures(ring, &f);
    is_int(f.outcome[KLAVIYO_OUTCOME_DELIVERED], 100, "its outcomes are here");
    is_int(f.counter[KLAVIYO_COUNT_REQUESTS_BULK], 3, "its counters, too");
    is_int(f.queued, 101, "its events");
    is_int(f.captured, 203, "captured is the whole");
    ring_equation(ring, "after the drain");

    ring_take(ring, lease.epoch, 1, &taken);
    is_int(taken.events, 101, "the moved events are read");
    is_int(taken.wrong, 0, "with ids and times as they were");
    is_int(taken.first, 100, "in their order");
    ring_equation(ring, "at the end");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);

    snprintf(lock, sizeof(lock), "%s/%s.lock", ring_dir, name);
    ok(access(lock, F_OK) == -1, "nothing is left of it");

    /* killed between folding and unlinking: not folded twice */

    ring = ring_open(RING_SIZE, 0);
    is_int(aside("drain", name), 1, "back to the size before");
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    ok(ring_shell("cp '%s'/shop.ring.drain-* '%s/kept'",
                  ring_dir) == 0, "a copy of the file");
    klaviyo_ring_drain(ring, lease.epoch, 30);
    is_int(aside("drain", NULL), 0, "folded");
    is_int(ring_captured(ring), 203, "captured is the whole again");

    ok(ring_shell("mv '%s/kept' '%s/shop.ring.drain-1-0'", ring_dir) == 0,
       "as if the unlink had not been reached");
    klaviyo_ring_drain_close(ring);
    klaviyo_ring_drain(ring, lease.epoch, 30);
    is_int(aside("drain", NULL), 0, "removed");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_DELIVERED), 201,
           "its outcomes not added twice");
    ring_equation(ring, "after a second fold");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


/* what is in use under another size moves, and its users notice nothing */

static void
test_capacity_in_use(void)
{
    ring_taken_t      taken;
    klaviyo_ring_t   *old, *ring;
    klaviyo_lease_t   lease, theirs;

    old = ring_open(RING_SIZE, 0);
    ring_fill(old, 0, 10, 300);
    klaviyo_lease_open(&theirs, old);
    klaviyo_lease_renew(&theirs);

    ring = ring_open(2 * RING_SIZE, 0);
    ok(ring && ring->alone, "a new one beside it");
    is_int(klaviyo_ring_verify(old, ring_error), KLAVIYO_RING_OK,
           "the old one is not detached");
    is_int(ring_append(old, 1, 10, 300), KLAVIYO_RING_OK, "nor closed");

    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);
    is_int(klaviyo_ring_drain(ring, lease.epoch, 100), 0,
           "who delivers it goes on");
    is_int(klaviyo_ring_drain(old, theirs.epoch, 100), 0,
           "and does not drain it into itself");
    klaviyo_lease_close(&theirs);
    is_int(klaviyo_ring_drain(ring, lease.epoch, 100), 11,
           "until it lets go");
    ring_equation(old, "in the old one");
    ring_equation(ring, "in the new one");

    klaviyo_ring_detach(old);
    klaviyo_ring_drain(ring, lease.epoch, 100);
    is_int(aside("drain", NULL), 0, "then the file goes");
    ring_take(ring, lease.epoch, 1, &taken);
    is_int(taken.events, 11, "all events are here");
    is_int(ring_captured(ring), 11, "once");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


/* the same of a ring at any other path, while it is the one that was named */

static void
test_also(void)
{
    char               path[2][PATH_MAX];
    uint8_t            uuid[KLAVIYO_RING_UUID_LEN];
    ring_taken_t       taken;
    klaviyo_ring_t    *old, *ring;
    klaviyo_lease_t    lease;

    (void) snprintf(path[0], PATH_MAX, "%s/former", ring_dir);
    (void) snprintf(path[1], PATH_MAX, "%s/stranger", ring_dir);

    old = ring_open(RING_SIZE, 0);
    ring_fill(old, 0, 10, 300);
    memcpy(uuid, old->fixed.uuid, KLAVIYO_RING_UUID_LEN);
    klaviyo_ring_detach(old);
    ok(rename(ring_path, path[0]) == 0, "a ring at another path");

    old = ring_open(RING_SIZE, 0);
    ring_fill(old, 0, 5, 300);
    klaviyo_ring_detach(old);
    ok(rename(ring_path, path[1]) == 0, "and one more");

    ring = ring_open(2 * RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    /* the second path has another uuid than the one that is told */

    klaviyo_ring_drain_close(ring);
    is_int(klaviyo_ring_drain_also(ring, path[0], uuid), 0, "named");
    is_int(klaviyo_ring_drain_also(ring, path[1], lease.ring->fixed.uuid), 0,
           "named, and another one by now");
    is_int(klaviyo_ring_drain(ring, lease.epoch, 100), 10, "it is drained");
    klaviyo_ring_drain(ring, lease.epoch, 100);
    ok(access(path[0], F_OK) == -1, "and removed");
    ok(access(path[1], F_OK) == 0, "the stranger is not");

    ring_take(ring, lease.epoch, 1, &taken);
    is_int(taken.events, 10, "all events are here");
    is_int(ring_captured(ring), 10, "once");
    ring_equation(ring, "with what was taken over");

    (void) unlink(path[1]);
    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


/* one more of them than are attached at a time */

static void
test_also_many(void)
{
    char              path[PATH_MAX];
    int64_t           paused;
    uint8_t           uuid[9][KLAVIYO_RING_UUID_LEN], limiter[7];
    unsigned          i;
    klaviyo_ring_t   *ring;
    klaviyo_lease_t   lease;

    for (i = 0; i < 9; i++) {
        ring = ring_open(RING_SIZE, 0);
        ring_fill(ring, 0, 10, 300);
        memcpy(uuid[i], ring->fixed.uuid, KLAVIYO_RING_UUID_LEN);
        klaviyo_ring_detach(ring);

        (void) snprintf(path, PATH_MAX, "%s/former%u", ring_dir, i);
        ok(rename(ring_path, path) == 0, "a ring at another path");
    }

    ring = ring_open(RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    for (i = 0; i < 9; i++) {
        (void) snprintf(path, PATH_MAX, "%s/former%u", ring_dir, i);
        is_int(klaviyo_ring_drain_also(ring, path, uuid[i]), 0, "named");
    }

    is_int(klaviyo_ring_drain_load(ring, &paused, limiter, sizeof(limiter)),
           KLAVIYO_RING_EMPTY, "none is attached yet");
    is_int(klaviyo_ring_drain(ring, lease.epoch, 1000), 80,
           "eight are drained");
    is_int(klaviyo_ring_drain_load(ring, &paused, limiter, sizeof(limiter)),
           KLAVIYO_RING_EMPTY, "and none has a limiter");
    is_int(ring_captured(ring), 80, "counted once");
    ring_equation(ring, "with eight of nine");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);

    for (i = 0; i < 9; i++) {
        (void) snprintf(path, PATH_MAX, "%s/former%u", ring_dir, i);
        (void) unlink(path);
    }
}


/* a file beside the ring; a hole, or with a byte in it */

static void
beside(const char *name, int byte)
{
    int   fd;
    char  path[256];

    (void) snprintf(path, sizeof(path), "%s/%s", ring_dir, name);
    fd = open(path, O_RDWR|O_CREAT|O_TRUNC, 0600);

    if (fd == -1 || ftruncate(fd, 65536) == -1
        || (byte && write(fd, "x", 1) != 1))
    {
        exit(2);
    }

    close(fd);
}


static void
is_beside(const char *name, int there)
{
    char  path[256];

    (void) snprintf(path, sizeof(path), "%s/%s", ring_dir, name);
    is_int(access(path, F_OK), there ? 0 : -1, "%s %s", name,
           there ? "stays" : "goes");
}


/* what is left of a drained ring that could not be unlinked, and what is not */

static void
test_left_over(void)
{
    klaviyo_ring_t   *ring;
    klaviyo_lease_t   lease;

    ring = ring_open(RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    beside("shop.ring.drain-1-0", 0);
    beside("shop.ring.drain-1-1", 1);
    beside("shop.ring.drain-1", 0);
    beside("shop.ring.drain--1", 0);
    beside("shop.ring.drain-1-", 0);
    beside("shop.ring.drain-x-0", 0);
    beside("shop.ring.drain-1-0x", 0);
    beside("shop.ring.drained-1-0", 0);
    beside("other.ring.drain-1-0", 0);

    is_int(klaviyo_ring_drain(ring, lease.epoch, 10), 0, "nothing to move");
    is_beside("shop.ring.drain-1-0", 0);
    is_beside("shop.ring.drain-1-1", 1);
    is_beside("shop.ring.drain-1", 1);
    is_beside("shop.ring.drain--1", 1);
    is_beside("shop.ring.drain-1-", 1);
    is_beside("shop.ring.drain-x-0", 1);
    is_beside("shop.ring.drain-1-0x", 1);
    is_beside("shop.ring.drained-1-0", 1);
    is_beside("other.ring.drain-1-0", 1);
    ok(!klaviyo_ring_drains(ring), "none is drained");

    /* not looked for again so soon */

    beside("shop.ring.drain-1-0", 0);
    klaviyo_ring_drain(ring, lease.epoch, 10);
    is_beside("shop.ring.drain-1-0", 1);

    /* nor does a process with many rings keep the folder open */

    klaviyo_ring_drain_close(ring);
    close(ring->dir_fd);
    ring->dir_fd = -1;
    klaviyo_ring_drain(ring, lease.epoch, 10);
    is_beside("shop.ring.drain-1-0", 0);
    is_int(ring->dir_fd, -1, "it is closed again");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


/* the new size does not take all that the old one had */

static void
test_smaller(void)
{
    uint8_t             *bytes;
    char                 limiter[8];
    int64_t              paused;
    ring_event_t         e;
    klaviyo_ring_t      *ring;
    klaviyo_lease_t      lease;

    bytes = calloc(1, 200000);

    ring = ring_open(8 * RING_SIZE, 0);
    ring_fill(ring, 0, 3, 300);
    ring_event(&e, 1, 3, 0);
    e.event.attributes = bytes;
    e.event.attributes_len = 200000;
    klaviyo_ring_append(ring, &e.event);
    e.event.attributes_len = 60000;
    klaviyo_ring_append(ring, &e.event);
    klaviyo_ring_save(ring, 0, INT64_MAX / 2, "windows", 7);
    klaviyo_ring_detach(ring);

    ring = ring_open(RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);

    is_int(klaviyo_ring_drain_load(ring, &paused, limiter, 7),
           KLAVIYO_RING_EMPTY, "no limiter yet");
    klaviyo_ring_drain_open(ring);
    is_int(klaviyo_ring_drain_load(ring, &paused, limiter, 7),
           KLAVIYO_RING_OK, "the old one's");
    is_mem(limiter, 7, "windows", 7, "as it was");
    ok(paused == INT64_MAX / 2, "with its pause");
    klaviyo_ring_save(ring, lease.epoch, 5, "another", 7);
    is_int(klaviyo_ring_drain_load(ring, &paused, limiter, 7),
           KLAVIYO_RING_OK, "its own");
    is_mem(limiter, 7, "another", 7, "comes first");

    is_int(klaviyo_ring_drain(ring, lease.epoch, 100), 4, "what there is room "
           "for is moved");
    klaviyo_ring_drain(ring, lease.epoch, 100);
    is_int(aside("drain", NULL), 0, "and the file goes");
    is_int(ring_outcome(ring, KLAVIYO_OUTCOME_DEAD_TOO_LARGE), 1,
           "the one is too large");
    is_int(ring_captured(ring), 5, "all are counted");
    ring_equation(ring, "after that");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
    free(bytes);
}


/* one that is cut short meanwhile has nothing more to give */

static void
test_drained_cut(void)
{
    char              name[256], path[600];
    klaviyo_ring_t   *ring;
    klaviyo_lease_t   lease;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);
    klaviyo_ring_detach(ring);

    ring = ring_open(2 * RING_SIZE, 0);
    klaviyo_lease_open(&lease, ring);
    klaviyo_lease_renew(&lease);
    is_int(klaviyo_ring_drain(ring, lease.epoch, 5), 5, "some are moved");
    ok(klaviyo_ring_drains(ring), "more are there");

    aside("drain", name);
    (void) snprintf(path, sizeof(path), "%s/%s", ring_dir, name);
    ok(truncate(path, 0) == 0, "cut short");
    is_int(klaviyo_ring_drain(ring, lease.epoch, 5), 0, "no more");
    ok(!klaviyo_ring_drains(ring), "none is drained");
    is_int(ring_queued(ring), 5, "what came is there");
    ring_equation(ring, "after that");

    klaviyo_lease_close(&lease);
    klaviyo_ring_detach(ring);
}


int
main(void)
{
    ring_in_folder(test_left_over);
    ring_in_folder(test_smaller);
    ring_in_folder(test_drained_cut);
    ring_in_folder(test_corrupt);
    ring_in_folder(test_displaced);
    ring_in_folder(test_image);
    ring_in_folder(test_two);
    ring_in_folder(test_version);
    ring_in_folder(test_damaged_header);
    ring_in_folder(test_torn_slot);
    ring_in_folder(test_reboot);
    ring_in_folder(test_lost_tail);
    ring_in_folder(test_wild_page);
    ring_in_folder(test_wild_tail);
    ring_in_folder(test_no_tail);
    ring_in_folder(test_drop_nothing);
    test_slot_limits();
    ring_in_folder(test_capacity);
    ring_in_folder(test_capacity_in_use);
    ring_in_folder(test_also);
    ring_in_folder(test_also_many);

    return done_testing();
}

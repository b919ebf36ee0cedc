/*
 * A ring as a guest sees it: looked at, joined, seized; what is wrong with
 * it, what comes, and what can be had out of one that is damaged.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "ring.h"
#include "queue/klaviyo_crc32c.h"
#include "queue/klaviyo_ring_inspect.h"
#include "queue/klaviyo_ring_open.h"
#include "queue/klaviyo_ring_private.h"
#include "queue/klaviyo_ring_slot.h"


static char      told[KLAVIYO_RING_ERROR_MAX];
static unsigned  tellings;


static void
tell(const char *text)
{
    (void) snprintf(told, sizeof(told), "%s", text);
    tellings++;
}


static klaviyo_ring_t *
guest(klaviyo_ring_open_e how)
{
    klaviyo_ring_t  *ring;

    strcpy(ring_error, "as before");

    return klaviyo_ring_open(&ring, ring_path, how, ring_error)
           == KLAVIYO_RING_OK ? ring : NULL;
}


static void
opens(const char *path, klaviyo_ring_open_e how, klaviyo_ring_rc_e rc,
    const char *why, const char *what)
{
    klaviyo_ring_t  *ring;

    ring = (klaviyo_ring_t *) ring_path;
    strcpy(ring_error, "as before");

    is_int(klaviyo_ring_open(&ring, path, how, ring_error), rc, "%s", what);

    if (rc == KLAVIYO_RING_OK) {
        is_str(ring_error, "", "nothing to tell");
        klaviyo_ring_detach(ring);

    } else {
        ok(ring == NULL && strstr(ring_error, why) != NULL, "%s", ring_error);
    }
}


static void
poke(off_t offset, const void *bytes, size_t len)
{
    int  fd;

    fd = open(ring_path, O_RDWR);

    if (fd == -1 || pwrite(fd, bytes, len, offset) != (ssize_t) len) {
        perror("poke");
        exit(2);
    }

    close(fd);
}


static void
test_paths(void)
{
    int              here;
    char             path[PATH_MAX + 64];
    klaviyo_ring_t  *ring;

    opens(ring_path, KLAVIYO_RING_LOOK, KLAVIYO_RING_EMPTY, "open()",
          "no ring");
    opens("/nonexistent/x", KLAVIYO_RING_LOOK, KLAVIYO_RING_EMPTY, "open()",
          "no folder");
    opens("/dev/null/x", KLAVIYO_RING_LOOK, KLAVIYO_RING_ERROR, "open()",
          "no folder at all");
    opens("/dev/shm/", KLAVIYO_RING_LOOK, KLAVIYO_RING_ERROR,
          "not the path of a file", "no name");

    ok(symlink("/dev/null", ring_path) == 0, "a link");
    opens(ring_path, KLAVIYO_RING_LOOK, KLAVIYO_RING_ERROR,
          "is a symbolic link", "is refused");
    unlink(ring_path);

    ring = ring_open(RING_SIZE, 0);
    klaviyo_ring_detach(ring);

    /* as long as a path may be, and longer */

    strcpy(path, ring_dir);

    while (strlen(path) < PATH_MAX - 64 - 12) {
        strcat(path, "/.");
    }

    while (strlen(path) < PATH_MAX - 64 - 10) {
        strcat(path, "/");
    }

    strcat(path, "/shop.ring");
    opens(path, KLAVIYO_RING_LOOK, KLAVIYO_RING_OK, "", "the longest path");
    memmove(path + 1, path, strlen(path) + 1);
    opens(path, KLAVIYO_RING_LOOK, KLAVIYO_RING_ERROR,
          "not the path of a file", "a byte more");

    here = open(".", O_RDONLY|O_DIRECTORY);
    ok(here != -1 && chdir(ring_dir) == 0, "there");
    opens("shop.ring", KLAVIYO_RING_LOOK, KLAVIYO_RING_OK, "", "its name");
    ok(fchdir(here) == 0, "back");
    close(here);
}


static void
test_look(void)
{
    ring_taken_t     taken;
    klaviyo_ring_t  *ring, *looked;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);

    looked = guest(KLAVIYO_RING_LOOK);
    ok(looked != NULL, "looked at");
    ring_take(looked, 0, 0, &taken);
    ok(taken.events == 10 && !taken.wrong, "what it has");
    is_int(klaviyo_ring_in_use(looked), 1, "it is in use");
    klaviyo_ring_detach(ring);
    is_int(klaviyo_ring_in_use(looked), 0, "it is not any more");

    ring = ring_open(RING_SIZE, 0);
    ok(ring->alone, "who looks is not there");
    klaviyo_ring_detach(ring);
    klaviyo_ring_detach(looked);

    opens(ring_path, KLAVIYO_RING_JOIN, KLAVIYO_RING_OK, "", "joined");
}


static void
test_join(void)
{
    char             lock[256];
    uint32_t         version;
    ring_taken_t     taken;
    klaviyo_ring_t  *ring, *joined;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);

    joined = guest(KLAVIYO_RING_JOIN);
    ok(joined && !joined->alone, "joined");
    ok(joined->lock_fd == -1, "others may come");
    ring_fill(joined, 10, 15, 300);
    ring_take(ring, 0, 0, &taken);
    ok(taken.events == 15 && !taken.wrong, "one ring");
    klaviyo_ring_detach(ring);
    opens(ring_path, KLAVIYO_RING_SEIZE, KLAVIYO_RING_BUSY, "stop nginx",
          "it counts as a user");
    klaviyo_ring_detach(joined);

    /* alone it is brought in order */

    poke(KLAVIYO_RING_SHARED + offsetof(klaviyo_ring_shared_t, boot_id), "x",
         1);
    version = 5;
    poke(KLAVIYO_RING_SHARED + offsetof(klaviyo_ring_shared_t, lease_pid),
         &version, 4);

    joined = guest(KLAVIYO_RING_JOIN);
    ok(joined && joined->alone, "joined alone");
    is_int(joined->shared->lease_pid, 0, "brought in order");
    is_int(ring_queued(joined), 15, "with all that is in it");

    ring = ring_open(RING_SIZE, 0);
    ok(ring && !ring->alone, "others may come");
    klaviyo_ring_detach(ring);
    klaviyo_ring_detach(joined);

    (void) snprintf(lock, sizeof(lock), "%s.lock", ring_path);
    unlink(lock);
    opens(ring_path, KLAVIYO_RING_JOIN, KLAVIYO_RING_ERROR,
          "start nginx with this queue first", "without its lock");
    ok(access(lock, F_OK) == -1, "none is made");
    close(open(lock, O_CREAT|O_RDWR, 0600));

    version = KLAVIYO_RING_VERSION + 1;
    poke(offsetof(klaviyo_ring_fixed_t, version), &version, 4);
    opens(ring_path, KLAVIYO_RING_JOIN, KLAVIYO_RING_ERROR,
          "of another version", "another version");
    opens(ring_path, KLAVIYO_RING_LOOK, KLAVIYO_RING_ERROR,
          "another version of its format", "nor is it looked at");
    version = KLAVIYO_RING_VERSION;
    poke(offsetof(klaviyo_ring_fixed_t, version), &version, 4);

    poke(KLAVIYO_RING_SLOTS, "12345678", 8);
    poke(KLAVIYO_RING_SLOTS + KLAVIYO_RING_PAGE, "12345678", 8);
    opens(ring_path, KLAVIYO_RING_JOIN, KLAVIYO_RING_ERROR, "is damaged",
          "without a slot");
    opens(ring_path, KLAVIYO_RING_LOOK, KLAVIYO_RING_OK, "",
          "but looked at");
}


static void
test_seize(void)
{
    char                  to[PATH_MAX], path[PATH_MAX + 64];
    klaviyo_ring_t       *ring, *seized;
    klaviyo_ring_conf_t   conf;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);
    opens(ring_path, KLAVIYO_RING_SEIZE, KLAVIYO_RING_BUSY, "stop nginx",
          "in use");
    ok(ring_append(ring, 1, 10, 300) == KLAVIYO_RING_OK, "and not disturbed");
    klaviyo_ring_detach(ring);

    seized = guest(KLAVIYO_RING_SEIZE);
    ok(seized != NULL, "seized");

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;
    is_int(klaviyo_ring_attach(&ring, &conf, ring_error, ring_note),
           KLAVIYO_RING_ERROR, "nobody attaches meanwhile");
    ok(strstr(ring_error, "is locked by another") != NULL, "%s", ring_error);
    is_int(klaviyo_ring_in_use(seized), 0, "nobody has it");

    is_int(klaviyo_ring_move_aside(seized, to, ring_error), KLAVIYO_RING_OK,
           "moved aside");
    ok(strncmp(to, "shop.ring.corrupt-", 18) == 0, "to %s", to);
    (void) snprintf(path, sizeof(path), "%s/%s", ring_dir, to);
    ok(access(path, F_OK) == 0 && access(ring_path, F_OK) == -1, "it is");
    is_int(klaviyo_ring_move_aside(seized, to, ring_error),
           KLAVIYO_RING_ERROR, "once");
    klaviyo_ring_detach(seized);

    /* without a lock file, too */

    ok(rename(path, ring_path) == 0, "as it was");
    (void) snprintf(path, sizeof(path), "%s.lock", ring_path);
    unlink(path);
    opens(ring_path, KLAVIYO_RING_SEIZE, KLAVIYO_RING_OK, "",
          "without its lock");
    ok(access(path, F_OK) == -1, "none is made");
}


static void
test_damaged(void)
{
    char             byte;
    klaviyo_ring_t  *ring;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);

    strcpy(ring_error, "as before");
    is_int(klaviyo_ring_damaged(ring, ring_error), 0, "whole");
    is_str(ring_error, "as before", "nothing to tell");

    byte = 'x';
    is_int(klaviyo_ring_save(ring, 0, 0, "a", 1), KLAVIYO_RING_OK,
           "then there are two slots");
    ring->slot[1]->crc ^= 1;
    is_int(klaviyo_ring_damaged(ring, ring_error), 0, "one slot is enough");
    ring->slot[1]->crc ^= 1;
    ring->slot[0]->crc ^= 1;
    is_int(klaviyo_ring_damaged(ring, ring_error), 0, "whichever it is");
    ring->slot[1]->crc ^= 1;
    is_int(klaviyo_ring_damaged(ring, ring_error), 1, "none is not");
    ok(strstr(ring_error, "neither acknowledgement slot") != NULL, "%s",
       ring_error);
    ring->slot[0]->crc ^= 1;

    poke(offsetof(klaviyo_ring_fixed_t, uuid), &byte, 1);
    is_int(klaviyo_ring_damaged(ring, ring_error), 1, "a damaged header");
    ok(strstr(ring_error, "header does not hold together") != NULL, "%s",
       ring_error);
    ok(ring->fixed.uuid[0] != 'x' || ring->fixed.uuid[1] != 'x',
       "the handle is as it was");
    klaviyo_ring_detach(ring);

    /* only the size of the file is left to go by */

    ring = guest(KLAVIYO_RING_LOOK);
    is_int(ring->capacity, RING_SIZE, "its size is known");
    klaviyo_ring_detach(ring);

    ok(truncate(ring_path, KLAVIYO_RING_RECORDS + KLAVIYO_RING_PAGE + 20) == 0,
       "cut short");
    ring = guest(KLAVIYO_RING_LOOK);
    is_int(ring->capacity, KLAVIYO_RING_PAGE + 16, "whole sixteens of it");
    klaviyo_ring_detach(ring);

    ok(truncate(ring_path, KLAVIYO_RING_RECORDS + KLAVIYO_RING_PAGE) == 0,
       "a page of records");
    opens(ring_path, KLAVIYO_RING_LOOK, KLAVIYO_RING_OK, "", "is enough");
    ok(truncate(ring_path, KLAVIYO_RING_RECORDS + KLAVIYO_RING_PAGE - 1) == 0,
       "a byte less");
    opens(ring_path, KLAVIYO_RING_LOOK, KLAVIYO_RING_ERROR,
          "no room for a record", "is not");
}


/* each fault by itself, and the ring as it was behind it */

static void
fault_is(klaviyo_ring_t *ring, const char *says, const char *what)
{
    tellings = 0;

    is_int(klaviyo_ring_faults(ring, tell), says != NULL, "%s", what);
    is_int(tellings, says != NULL, "told");

    if (says) {
        ok(strstr(told, says) != NULL, "%s", told);
    }
}


static void
slot_put(klaviyo_ring_t *ring, const klaviyo_ring_slot_t *slot)
{
    klaviyo_ring_slot_t  copy;

    copy = *slot;
    klaviyo_ring_slot_put(ring, &copy);
}


static void
test_faults(void)
{
    ring_taken_t            taken;
    klaviyo_ring_t         *ring;
    klaviyo_ring_slot_t     slot, bad, *standing;
    klaviyo_ring_shared_t   shared;

    ring = ring_open(RING_SIZE, 0);
    fault_is(ring, NULL, "a new ring");
    ring_fill(ring, 0, 10, 300);
    fault_is(ring, NULL, "with events");
    ring_take(ring, 0, 1, &taken);
    fault_is(ring, NULL, "acknowledged");
    ring_fill(ring, 10, 13, 300);

    klaviyo_ring_slot_get(ring, &slot);
    standing = ring->slot[slot.generation & 1];

    standing->crc ^= 1;
    fault_is(ring, "checksum or generation does not fit",
             "a slot that is not whole");
    ok(strstr(told, slot.generation & 1 ? "slot 1" : "slot 0") != NULL,
       "which one: %s", told);
    standing->crc ^= 1;

    ring->shared->ack_generation += 2;
    fault_is(ring, "checksum or generation does not fit",
             "another generation");
    ring->shared->ack_generation -= 2;

    bad = slot;
    bad.outcome[KLAVIYO_OUTCOME_DELIVERED]++;
    slot_put(ring, &bad);
    fault_is(ring, "outcomes of 11 events for 10 that are done",
             "one outcome too many");

    bad = slot;
    bad.base--;
    bad.outcome[KLAVIYO_RING_OUTCOME_MAX - 1]++;
    slot_put(ring, &bad);
    fault_is(ring, NULL, "all outcomes count");

    /* positions and numbers that do not fit each other */

    bad = slot;
    bad.seq += 3;
    slot_put(ring, &bad);
    fault_is(ring, "cannot be, with 0 events", "bytes and no event");
    bad.seq--;
    bad.position = ring->shared->write_pos;
    slot_put(ring, &bad);
    fault_is(ring, "cannot be, with 1 events", "an event and no bytes");

    bad = slot;
    bad.position = ring->shared->write_pos - 2 * 48;
    slot_put(ring, &bad);
    fault_is(ring, "cannot be, with 3 events", "more events than fit");
    bad.position = ring->shared->write_pos - 3 * 48;
    slot_put(ring, &bad);
    fault_is(ring, NULL, "as many as might");
    bad.position = ring->shared->write_pos - 120;
    slot_put(ring, &bad);
    is_int(klaviyo_ring_faults(ring, tell), 1, "no multiple of 16");

    slot_put(ring, &slot);
    fault_is(ring, NULL, "as it was");

    shared = *ring->shared;
    ring->shared->tail[0].end += 16;
    ring->shared->tail[1].end += 32;
    fault_is(ring, "no tail ends there", "no tail");
    ring->shared->tail[0] = shared.tail[0];
    ring->shared->tail[1] = shared.tail[1];

    ring->shared->write_pos = slot.position + ring->capacity;
    ring->shared->tail[1].end = ring->shared->write_pos;
    fault_is(ring, NULL, "as much as it holds");
    ring->shared->write_pos += 16;
    ring->shared->tail[1].end += 16;
    fault_is(ring, "cannot be", "more than it holds");

    klaviyo_ring_detach(ring);
}


static void
test_follow(void)
{
    uint8_t            buf[16384];
    unsigned           writer, number, n, wrong;
    klaviyo_ring_t    *ring;
    klaviyo_cursor_t   cursor, tail;
    klaviyo_record_t   record;
    ring_taken_t       taken;

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);

    klaviyo_ring_first(ring, &cursor);
    klaviyo_ring_tail(ring, &tail);
    is_int(klaviyo_ring_follow(ring, &tail, buf, sizeof(buf), &record),
           KLAVIYO_RING_EMPTY, "nothing comes yet");

    ring_take(ring, 0, 1, &taken);

    for (n = 0, wrong = 0; n < 10; n++) {
        wrong += klaviyo_ring_follow(ring, &cursor, buf, sizeof(buf), &record)
                 != KLAVIYO_RING_OK
                 || !ring_same(&record, &writer, &number)
                 || record.missing
                 || number != n;
        cursor = record.next;
    }

    is_int(wrong, 0, "what has an outcome is followed, too");

    ring_fill(ring, 10, 15, 300);
    is_int(klaviyo_ring_follow(ring, &tail, buf, 100, &record),
           KLAVIYO_RING_SMALL, "a buffer too small");
    is_int(record.needed, klaviyo_record_align(40 + 300 + 30 + 5),
           "says what it needs");
    is_int(klaviyo_ring_follow(ring, &tail, buf, record.needed, &record),
           KLAVIYO_RING_OK, "what comes");
    is_int(record.seq - RING_SEQ, 10, "from the tail on");

    ring->record[record.next.position + 100] ^= 1;
    cursor = record.next;
    is_int(klaviyo_ring_follow(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_OK, "behind what is damaged");
    is_int(record.seq - RING_SEQ, 12, "the next");
    is_int(record.missing, 1, "one is missing");

    /* written over: the oldest that is left */

    for (n = 15; n < 2000; n++) {
        ring_append(ring, 1, n, 300);
        ring_take(ring, 0, 1, &taken);
    }

    is_int(klaviyo_ring_follow(ring, &cursor, buf, sizeof(buf), &record),
           KLAVIYO_RING_OK, "who is late");
    ok(ring_same(&record, &writer, &n) && n > 1000 && n < 2000,
       "gets what is left, from %u on", n);
    is_int(record.missing, record.seq - cursor.seq, "the others are missing");

    /* what a kill left behind the end was never appended */

    klaviyo_ring_tail(ring, &tail);
    ring_fill(ring, 2000, 2001, 300);
    is_int(klaviyo_ring_follow(ring, &tail, buf, sizeof(buf), &record),
           KLAVIYO_RING_OK, "one more");
    ring->shared->tail[0].seq--;
    ring->shared->tail[1].seq--;
    is_int(klaviyo_ring_follow(ring, &tail, buf, sizeof(buf), &record),
           KLAVIYO_RING_EMPTY, "with a number that was not given");

    ok(truncate(ring_path, 0) == 0, "the file is gone");
    klaviyo_ring_verify(ring, ring_error);
    is_int(klaviyo_ring_follow(ring, &tail, buf, sizeof(buf), &record),
           KLAVIYO_RING_DETACHED, "nothing comes");
    klaviyo_ring_tail(ring, &tail);
    ok(tail.position == 0 && tail.seq == 0, "no tail");
    klaviyo_ring_detach(ring);
}


/* how many come out, and the number of the first */

static unsigned
salvaged(unsigned *first)
{
    uint8_t           *buf;
    unsigned           count, writer, n;
    klaviyo_ring_t    *ring;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;

    ring = guest(KLAVIYO_RING_SEIZE);
    buf = malloc(klaviyo_ring_salvage_max(ring));
    memset(&cursor, 0, sizeof(cursor));
    memset(&record, 0x55, sizeof(record));
    count = 0;

    while (klaviyo_ring_salvage(ring, &cursor, buf, &record)
           == KLAVIYO_RING_OK)
    {
        if (!ring_same(&record, &writer, &n) || record.missing) {
            diag("not what was put");
            count += 1000;
        }

        if (count++ == 0) {
            *first = n;
        }
    }

    free(buf);
    klaviyo_ring_detach(ring);

    return count;
}


static void
test_salvage(void)
{
    unsigned          n, first;
    klaviyo_cursor_t  to, at[6];
    klaviyo_ring_t   *ring;
    klaviyo_header_t  header;

    ring = ring_open(RING_SIZE, 0);
    is_int(klaviyo_ring_salvage_max(ring), RING_SIZE, "a small ring's bytes");
    ring->capacity = KLAVIYO_RING_EVENT_MAX + 1;
    is_int(klaviyo_ring_salvage_max(ring), KLAVIYO_RING_EVENT_MAX,
           "an event's of a large one");
    ring->capacity = RING_SIZE;

    /* nearly around */

    ring_fill(ring, 0, 600, 300);
    to = ring_cursor(ring, 500);
    klaviyo_ring_release(ring, 0, &to);
    klaviyo_ring_lose(ring, 0, to.seq, KLAVIYO_OUTCOME_LOST_SPOOL);
    ring_fill(ring, 600, 900, 300);
    klaviyo_ring_detach(ring);

    is_int(salvaged(&first), 400, "all that have no outcome");
    is_int(first, 500, "the oldest first, around the end");

    /* without a slot and a header: from the start, whatever is whole */

    poke(KLAVIYO_RING_SLOTS, "12345678", 8);
    poke(KLAVIYO_RING_SLOTS + KLAVIYO_RING_PAGE, "12345678", 8);
    poke(0, "12345678", 8);
    n = salvaged(&first);
    ok(n > 500 && n < 700, "%u that may have one", n);
    unlink(ring_path);

    /* what is no record */

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 6, 300);

    for (n = 0; n < 6; n++) {
        at[n] = ring_cursor(ring, n);
    }

    for (n = 0; n < 6; n++) {
        memcpy(&header, ring->record + at[n].position, sizeof(header));

        switch (n) {

        case 0:
            header.type = KLAVIYO_RECORD_PAD;
            break;

        case 1:
            header.length += 16;
            break;

        case 2:
            header.payload_crc ^= 1;
            break;

        case 3:
            header.attributes_len += header.unique_id_len;
            header.unique_id_len = 0;
            break;

        case 4:
            header.profile_len = 0xfffffff0;
            break;

        default:
            header.header_crc ^= 1;
            break;
        }

        memcpy(ring->record + at[n].position, &header, sizeof(header));
    }

    klaviyo_ring_detach(ring);
    is_int(salvaged(&first), 1, "only the header's checksum does not count");
    is_int(first, 5, "which one");
}


/* a record that fills the ring to its last byte, and one beyond it */

static void
test_salvage_bounds(void)
{
    uint8_t          *p;
    uint8_t           buf[RING_SIZE];
    uint64_t          place;
    klaviyo_ring_t   *ring;
    klaviyo_cursor_t  cursor;
    klaviyo_record_t  record;
    klaviyo_header_t  header;

    ring = ring_open(RING_SIZE, 0);

    memset(&header, 0, sizeof(header));
    header.type = KLAVIYO_RECORD_EVENT;
    header.unique_id_len = 8;
    header.length = 48;
    header.seq = RING_SEQ;
    header.payload_crc = klaviyo_crc32c(0, "whatever", 8);

    place = RING_SIZE - 48;
    p = ring->record + place;
    memcpy(p, &header, sizeof(header));
    memcpy(p + sizeof(header), "whatever", 8);

    memset(&cursor, 0, sizeof(cursor));
    is_int(klaviyo_ring_salvage(ring, &cursor, buf, &record),
           KLAVIYO_RING_OK, "the last bytes of the ring");
    is_mem(record.event.unique_id, record.event.unique_id_len, "whatever", 8,
           "are a record");
    is_int(cursor.position, RING_SIZE, "at the end");
    is_int(klaviyo_ring_salvage(ring, &cursor, buf, &record),
           KLAVIYO_RING_EMPTY, "no more");

    header.seq = RING_SEQ - 1;
    memcpy(p, &header, sizeof(header));
    memset(&cursor, 0, sizeof(cursor));
    is_int(klaviyo_ring_salvage(ring, &cursor, buf, &record),
           KLAVIYO_RING_EMPTY, "one that has an outcome");
    is_int(cursor.position, RING_SIZE, "looked for everywhere");

    /* would end beyond */

    header.seq = RING_SEQ;
    header.attributes_len = 1;
    header.length = 64;
    memcpy(p, &header, sizeof(header));
    memset(&cursor, 0, sizeof(cursor));
    is_int(klaviyo_ring_salvage(ring, &cursor, buf, &record),
           KLAVIYO_RING_EMPTY, "what would end beyond");

    klaviyo_ring_detach(ring);
}


int
main(void)
{
    int  fds;

    fds = tap_fds();

    ring_in_folder(test_paths);
    ring_in_folder(test_look);
    ring_in_folder(test_join);
    ring_in_folder(test_seize);
    ring_in_folder(test_damaged);
    ring_in_folder(test_faults);
    ring_in_folder(test_follow);
    ring_in_folder(test_salvage);
    ring_in_folder(test_salvage_bounds);

    is_int(tap_fds(), fds, "no descriptor is left open");

    return done_testing();
}

/*
 * The queue room: a ring at its beginning.  Making a new one, judging one
 * that is there, and bringing one that nobody uses to what its records say.
 *
 * Plain C.  Runs in the process that is attaching, before anybody else can
 * touch the mapping.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_recover.h"
#include "klaviyo_ring_slot.h"


#define KLAVIYO_RING_BOOT_ID  "/proc/sys/kernel/random/boot_id"


typedef struct {
    klaviyo_cursor_t  end;       /* behind the last event that is known     */
    uint64_t          found;     /* events that are whole                   */
} klaviyo_ring_scan_t;


static uint32_t
klaviyo_ring_fixed_crc(const klaviyo_ring_fixed_t *fixed)
{
    return klaviyo_crc32c(0, fixed, offsetof(klaviyo_ring_fixed_t, crc));
}


klaviyo_ring_state_e
klaviyo_ring_check(klaviyo_ring_t *ring)
{
    ssize_t                n;
    struct stat            st;
    klaviyo_ring_fixed_t  *fixed;

    fixed = &ring->fixed;

    n = pread(ring->fd, fixed, sizeof(klaviyo_ring_fixed_t), 0);

    if (n != (ssize_t) sizeof(klaviyo_ring_fixed_t)
        || memcmp(fixed->magic, KLAVIYO_RING_MAGIC, 8) != 0)
    {
        return KLAVIYO_RING_CORRUPT;
    }

    if (fixed->version != KLAVIYO_RING_VERSION) {
        return KLAVIYO_RING_FOREIGN;
    }

    if (fixed->crc != klaviyo_ring_fixed_crc(fixed)) {
        return KLAVIYO_RING_CORRUPT;
    }

    if (fixed->mutex != KLAVIYO_RING_MUTEX
        || fixed->records != KLAVIYO_RING_RECORDS)
    {
        return KLAVIYO_RING_FOREIGN;
    }

    if (fstat(ring->fd, &st) == -1
        || fixed->capacity < KLAVIYO_RING_MIN_SIZE
        || fixed->capacity % KLAVIYO_RING_PAGE != 0
        || fixed->capacity > SIZE_MAX - KLAVIYO_RING_RECORDS
        || (uint64_t) st.st_size != KLAVIYO_RING_RECORDS + fixed->capacity)
    {
        return KLAVIYO_RING_CORRUPT;
    }

    return KLAVIYO_RING_GOOD;
}


void
klaviyo_ring_place(klaviyo_ring_t *ring)
{
    uint64_t  max;

    ring->shared = (klaviyo_ring_shared_t *)
                   (void *) (ring->map + KLAVIYO_RING_SHARED);
    ring->slot[0] = (klaviyo_ring_slot_t *)
                    (void *) (ring->map + KLAVIYO_RING_SLOTS);
    ring->slot[1] = (klaviyo_ring_slot_t *)
                    (void *) (ring->map + KLAVIYO_RING_SLOTS
                              + KLAVIYO_RING_PAGE);
    ring->counter = (uint64_t *)
                    (void *) (ring->map + KLAVIYO_RING_COUNTERS);
    ring->totals = (klaviyo_ring_totals_t *)
                   (void *) (ring->map + KLAVIYO_RING_TOTALS);
    ring->health[0] = (klaviyo_ring_health_t *)
                      (void *) (ring->map + KLAVIYO_RING_HEALTH);
    ring->health[1] = (klaviyo_ring_health_t *)
                      (void *) (ring->map + KLAVIYO_RING_HEALTH
                                + KLAVIYO_RING_PAGE);
    ring->record = ring->map + KLAVIYO_RING_RECORDS;

    ring->capacity = ring->fixed.capacity;
    ring->uuid_crc = klaviyo_crc32c(0, ring->fixed.uuid,
                                    KLAVIYO_RING_UUID_LEN);

    max = ring->capacity / 4;

    if (max > KLAVIYO_RING_EVENT_MAX) {
        max = KLAVIYO_RING_EVENT_MAX;
    }

    ring->event_max = max - sizeof(klaviyo_header_t) - 16;
}


static int
klaviyo_ring_mutex_init(klaviyo_ring_t *ring)
{
    int                  rc;
    pthread_mutexattr_t  attr;

    memset(&ring->shared->lock, 0, sizeof(ring->shared->lock));

    rc = pthread_mutexattr_init(&attr);

    if (rc != 0) {
        return rc;
    }

    rc = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);

    if (rc == 0) {
        rc = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    }

    if (rc == 0) {
        rc = pthread_mutex_init(&ring->shared->lock.mutex, &attr);
    }

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}


/* Without a /proc every boot looks like the one before. */

static void
klaviyo_ring_boot_id(uint8_t *id)
{
    int      fd;
    ssize_t  n;

    memset(id, 0, KLAVIYO_RING_BOOT_ID_LEN);

    fd = open(KLAVIYO_RING_BOOT_ID, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    n = read(fd, id, KLAVIYO_RING_BOOT_ID_LEN);

    if (n <= 0) {
        memset(id, 0, KLAVIYO_RING_BOOT_ID_LEN);
    }

    (void) close(fd);
}


static void
klaviyo_ring_set_end(klaviyo_ring_t *ring, const klaviyo_cursor_t *end,
    uint64_t again)
{
    klaviyo_ring_shared_t  *shared;

    shared = ring->shared;

    shared->tail[0].end = end->position;
    shared->tail[0].seq = end->seq - 1;
    shared->tail[0].again = again;
    shared->tail[1].end = UINT64_MAX;
    shared->tail[1].seq = 0;

    __atomic_store_n(&shared->write_pos, end->position, __ATOMIC_RELEASE);
}


int
klaviyo_ring_init(klaviyo_ring_t *ring, uint64_t capacity)
{
    klaviyo_cursor_t       start;
    klaviyo_ring_slot_t    slot;
    klaviyo_ring_fixed_t  *fixed;

    fixed = &ring->fixed;
    memset(fixed, 0, sizeof(klaviyo_ring_fixed_t));

    memcpy(fixed->magic, KLAVIYO_RING_MAGIC, 8);
    fixed->version = KLAVIYO_RING_VERSION;
    fixed->records = KLAVIYO_RING_RECORDS;
    fixed->mutex = KLAVIYO_RING_MUTEX;
    fixed->capacity = capacity;
    fixed->created = (int64_t) time(NULL);

    if (getrandom(fixed->uuid, KLAVIYO_RING_UUID_LEN, 0)
        != KLAVIYO_RING_UUID_LEN)
    {
        return errno ? errno : EIO;
    }

    fixed->crc = klaviyo_ring_fixed_crc(fixed);

    memcpy(ring->map, fixed, sizeof(klaviyo_ring_fixed_t));

    klaviyo_ring_place(ring);

    start.position = 0;
    start.seq = KLAVIYO_RING_SEQ;

    memset(&slot, 0, sizeof(klaviyo_ring_slot_t));
    slot.seq = start.seq;
    slot.done = start.seq;
    slot.base = start.seq;

    ring->shared->ack_generation = 1;
    klaviyo_ring_slot_put(ring, &slot);
    klaviyo_ring_set_end(ring, &start, 0);
    klaviyo_ring_boot_id(ring->shared->boot_id);

    return klaviyo_ring_mutex_init(ring);
}


/* Whether a committed end can be meant by this tail: inside the ring. */

static int
klaviyo_ring_tail_known(klaviyo_ring_t *ring, const klaviyo_ring_slot_t *slot,
    const klaviyo_ring_tail_t *tail)
{
    uint64_t  bytes, events;

    bytes = tail->end - slot->position;
    events = tail->seq + 1 - slot->seq;

    return bytes <= ring->capacity
           && bytes % 16 == 0
           && bytes <= ring->shared->write_pos - slot->position
           && events <= bytes / sizeof(klaviyo_header_t)
           && (events == 0) == (bytes == 0);
}


/*
 * From the first position once around: every whole record with a
 * growing sequence counts, wherever the write position says the end is.
 * What only a tail still knows of is left for the reader to find missing.
 */

static void
klaviyo_ring_scan(klaviyo_ring_t *ring, const klaviyo_ring_slot_t *slot,
    klaviyo_ring_scan_t *scan)
{
    int                  i;
    uint64_t             at, limit;
    const uint8_t       *payload;
    klaviyo_ring_tail_t  tail;
    klaviyo_header_t     header;

    at = slot->position;
    limit = slot->position + ring->capacity;

    scan->found = 0;
    scan->end.position = slot->position;
    scan->end.seq = slot->seq;

    while (klaviyo_ring_seek(ring, &at, limit, scan->end.seq, &header)) {

        payload = ring->record + at % ring->capacity
                  + sizeof(klaviyo_header_t);
        at += header.length;

        if (!klaviyo_record_whole(&header, payload)) {
            continue;
        }

        scan->found++;
        scan->end.position = at;
        scan->end.seq = header.seq + 1;
    }

    for (i = 0; i < 2; i++) {
        tail = ring->shared->tail[i];

        if (!klaviyo_ring_tail_known(ring, slot, &tail)
            || tail.seq + 1 <= scan->end.seq)
        {
            continue;
        }

        scan->end.seq = tail.seq + 1;

        if (tail.end > scan->end.position) {
            scan->end.position = tail.end;
        }
    }
}


/* Whether the end that the shared page tells can be believed. */

static int
klaviyo_ring_end_known(klaviyo_ring_t *ring, const klaviyo_ring_slot_t *slot)
{
    int                     i;
    klaviyo_ring_shared_t  *shared;

    shared = ring->shared;

    for (i = 0; i < 2; i++) {
        if (shared->tail[i].end == shared->write_pos) {
            return klaviyo_ring_tail_known(ring, slot, &shared->tail[i]);
        }
    }

    return 0;
}


klaviyo_ring_rc_e
klaviyo_ring_recover(klaviyo_ring_t *ring, char *note)
{
    int                  same;
    uint64_t             events, recovered;
    uint8_t              boot_id[KLAVIYO_RING_BOOT_ID_LEN];
    klaviyo_ring_scan_t  scan;
    klaviyo_ring_slot_t  slot;

    if (!klaviyo_ring_slot_newest(ring, &slot)
        || klaviyo_ring_mutex_init(ring) != 0)
    {
        return KLAVIYO_RING_ERROR;
    }

    ring->shared->ack_generation = slot.generation;

    klaviyo_ring_boot_id(boot_id);
    same = memcmp(boot_id, ring->shared->boot_id, KLAVIYO_RING_BOOT_ID_LEN)
           == 0;

    if (!same || !klaviyo_ring_end_known(ring, &slot)) {
        klaviyo_ring_scan(ring, &slot, &scan);
        klaviyo_ring_set_end(ring, &scan.end,
                             slot.outcome[KLAVIYO_RING_PUT_AGAIN]);

        recovered = ring->shared->recovered;

        if (recovered == 0 || scan.end.seq < recovered) {
            ring->shared->recovered = scan.end.seq;
        }

        events = scan.end.seq - slot.seq;

        if (scan.found < events) {
            (void) klaviyo_ring_error(note, "%llu of %llu events in \"%s\" "
                                      "did not survive the %s, they will be "
                                      "counted as lost",
                                      (unsigned long long)
                                      (events - scan.found),
                                      (unsigned long long) events,
                                      ring->path,
                                      same ? "damage" : "reboot");
        }
    }

    /* pauses are times of the boot that saved them */

    if (!same) {
        slot.paused_until = 0;
        slot.limiter_len = 0;
        memset(slot.limiter, 0, KLAVIYO_RING_LIMITER_MAX);

        klaviyo_ring_slot_put(ring, &slot);
    }

    memset(ring->shared->waits_until, 0, sizeof(ring->shared->waits_until));

    ring->shared->lease_deadline = 0;
    ring->shared->lease_pid = 0;
    ring->shared->lease_unlocked = 0;

    memcpy(ring->shared->boot_id, boot_id, KLAVIYO_RING_BOOT_ID_LEN);

    return KLAVIYO_RING_OK;
}

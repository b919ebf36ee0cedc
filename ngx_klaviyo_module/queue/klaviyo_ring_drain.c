/*
 * The queue room: rings of another size beside the configured one.
 *
 * An event is appended here first and acknowledged there afterwards, one by
 * one: a kill between the two leaves it twice, with the same unique id, and
 * that Klaviyo discards.  Both rings count it once more then, so that either
 * sum is right.
 *
 * A drained ring may still be appended to by processes of an older
 * configuration.  Who gets byte 0 of it exclusively knows that there are none
 * left.  Then its outcomes go over in one ack slot, together with its uuid: a
 * kill before the unlink does not add them twice.
 *
 * The master attaches them before it forks, as it does with the ring itself:
 * the workers' user may not be allowed to look into the folder, or to unlink
 * there.  What cannot be unlinked gives its blocks back and is unlinked by
 * the next who can.
 *
 * Plain C.  Opens no ring but "<name>.drain-<digits>-<digits>".
 */


#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "klaviyo_lease.h"
#include "klaviyo_ring_private.h"


#define KLAVIYO_RING_DRAIN_LOOK  30000   /* ms between looks at the folder  */
#define KLAVIYO_RING_DRAIN_MAX   8       /* rings attached at a time        */
#define KLAVIYO_RING_DRAIN_BUF   65536


typedef struct {
    klaviyo_ring_t        *ring;     /* NULL: free                          */
    klaviyo_lease_t        lease;
} klaviyo_ring_old_t;


struct klaviyo_ring_drain_s {
    klaviyo_ring_old_t     old[KLAVIYO_RING_DRAIN_MAX];
    uint8_t               *buf;
    size_t                 size;
    int64_t                look;     /* klaviyo_ring_now() of the next      */
};


static void klaviyo_ring_drain_look(klaviyo_ring_t *ring,
    klaviyo_ring_drain_t *drain);
static unsigned klaviyo_ring_drain_one(klaviyo_ring_t *ring,
    klaviyo_ring_drain_t *drain, klaviyo_ring_old_t *old, unsigned max);
static int klaviyo_ring_drain_fold(klaviyo_ring_t *ring,
    klaviyo_ring_old_t *old);


static void
klaviyo_ring_drain_drop(klaviyo_ring_old_t *old)
{
    klaviyo_lease_close(&old->lease);
    klaviyo_ring_detach(old->ring);
    old->ring = NULL;
}


void
klaviyo_ring_drain_close(klaviyo_ring_t *ring)
{
    int                    i;
    klaviyo_ring_drain_t  *drain;

    drain = ring->drain;

    if (drain == NULL) {
        return;
    }

    for (i = 0; i < KLAVIYO_RING_DRAIN_MAX; i++) {
        if (drain->old[i].ring) {
            klaviyo_ring_drain_drop(&drain->old[i]);
        }
    }

    free(drain->buf);
    free(drain);

    ring->drain = NULL;
}


int
klaviyo_ring_drain_chown(klaviyo_ring_t *ring, uid_t uid, gid_t gid)
{
    int  i;

    for (i = 0; ring->drain && i < KLAVIYO_RING_DRAIN_MAX; i++) {

        if (ring->drain->old[i].ring
            && fchown(ring->drain->old[i].ring->fd, uid, gid) == -1)
        {
            return errno;
        }
    }

    return 0;
}


void
klaviyo_ring_drain_open(klaviyo_ring_t *ring)
{
    if (ring->drain == NULL) {
        ring->drain = calloc(1, sizeof(klaviyo_ring_drain_t));

        if (ring->drain == NULL) {
            return;
        }
    }

    if (klaviyo_ring_now() >= ring->drain->look) {
        klaviyo_ring_drain_look(ring, ring->drain);
        ring->drain->look = klaviyo_ring_now() + KLAVIYO_RING_DRAIN_LOOK;
    }
}


unsigned
klaviyo_ring_drain(klaviyo_ring_t *ring, uint64_t epoch, unsigned max)
{
    int                    i;
    unsigned               moved;
    klaviyo_ring_drain_t  *drain;

    if (klaviyo_ring_detached(ring)
        || klaviyo_ring_acquire(&ring->shared->lease_epoch) != epoch)
    {
        return 0;
    }

    klaviyo_ring_drain_open(ring);

    drain = ring->drain;

    if (drain == NULL) {
        return 0;
    }

    moved = 0;

    for (i = 0; i < KLAVIYO_RING_DRAIN_MAX; i++) {
        if (drain->old[i].ring) {
            moved += klaviyo_ring_drain_one(ring, drain, &drain->old[i],
                                            max - moved);
        }
    }

    return moved;
}


/* "<name>.drain-<digits>-<digits>", and nothing behind it */

static int
klaviyo_ring_drain_name(const klaviyo_ring_t *ring, const char *name)
{
    size_t  len, digits;

    len = strlen(ring->name);

    if (strncmp(name, ring->name, len) != 0
        || strncmp(name + len, ".drain-", 7) != 0)
    {
        return 0;
    }

    name += len + 7;
    digits = strspn(name, "0123456789");

    if (digits == 0 || name[digits] != '-') {
        return 0;
    }

    name += digits + 1;
    digits = strspn(name, "0123456789");

    return digits > 0 && name[digits] == '\0';
}


static void
klaviyo_ring_drain_add(klaviyo_ring_t *ring, klaviyo_ring_drain_t *drain,
    const char *name)
{
    int                  i;
    struct stat          st;
    klaviyo_ring_t      *r;
    klaviyo_ring_old_t  *place;

    if (fstatat(ring->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0
        && S_ISREG(st.st_mode) && st.st_blocks == 0)
    {
        (void) unlinkat(ring->dir_fd, name, 0);
        return;
    }

    place = NULL;

    for (i = 0; i < KLAVIYO_RING_DRAIN_MAX; i++) {

        if (drain->old[i].ring == NULL) {
            place = &drain->old[i];

        } else if (strcmp(drain->old[i].ring->name, name) == 0) {
            return;
        }
    }

    if (place == NULL
        || klaviyo_ring_attach_beside(&r, ring, name) != KLAVIYO_RING_OK)
    {
        return;
    }

    /* ours, renamed by a newer configuration: its deliverer's task */

    if (memcmp(r->fixed.uuid, ring->fixed.uuid, KLAVIYO_RING_UUID_LEN) == 0) {
        klaviyo_ring_detach(r);
        return;
    }

    place->ring = r;

    /* opened when it is needed: after the fork */

    memset(&place->lease, 0, sizeof(klaviyo_lease_t));
    place->lease.ring = r;
    place->lease.fd = -1;
}


static void
klaviyo_ring_drain_look(klaviyo_ring_t *ring, klaviyo_ring_drain_t *drain)
{
    int             fd;
    DIR            *dir;
    struct dirent  *entry;

    /* a description of our own: the place in the list is part of it */

    fd = openat(ring->dir_fd, ".", O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    dir = fdopendir(fd);

    if (dir == NULL) {
        (void) close(fd);
        return;
    }

    for ( ;; ) {
        entry = readdir(dir);

        if (entry == NULL) {
            break;
        }

        if (klaviyo_ring_drain_name(ring, entry->d_name)) {
            klaviyo_ring_drain_add(ring, drain, entry->d_name);
        }
    }

    (void) closedir(dir);
}


static int
klaviyo_ring_drain_grow(klaviyo_ring_drain_t *drain, size_t size)
{
    uint8_t  *buf;

    buf = realloc(drain->buf, size);

    if (buf == NULL) {
        return 0;
    }

    drain->buf = buf;
    drain->size = size;

    return 1;
}


/* A fifth stays free for what is captured meanwhile. */

static int
klaviyo_ring_drain_room(klaviyo_ring_t *ring)
{
    klaviyo_cursor_t  end, acked;

    klaviyo_ring_acked(ring, &acked);
    klaviyo_ring_end(ring, &end);

    return end.position - acked.position < ring->capacity / 5 * 4;
}


static unsigned
klaviyo_ring_drain_one(klaviyo_ring_t *ring, klaviyo_ring_drain_t *drain,
    klaviyo_ring_old_t *old, unsigned max)
{
    char               error[KLAVIYO_RING_ERROR_MAX];
    uint64_t           epoch, taken;
    unsigned           moved;
    klaviyo_ack_t      ack;
    klaviyo_cursor_t   cursor;
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;

    if (klaviyo_ring_verify(old->ring, error) != KLAVIYO_RING_OK) {
        klaviyo_ring_drain_drop(old);
        return 0;
    }

    if (old->lease.fd == -1
        && klaviyo_lease_open(&old->lease, old->ring) != 0)
    {
        return 0;
    }

    if (klaviyo_lease_renew(&old->lease) != KLAVIYO_RING_OK
        || klaviyo_ring_first(old->ring, &cursor) != KLAVIYO_RING_OK)
    {
        return 0;
    }

    epoch = old->lease.epoch;
    moved = 0;

    while (moved < max && klaviyo_ring_drain_room(ring)) {

        rc = klaviyo_ring_read(old->ring, &cursor, drain->buf, drain->size,
                               &record);

        if (rc == KLAVIYO_RING_SMALL) {

            if (record.missing < KLAVIYO_RING_DRAIN_BUF) {
                record.missing = KLAVIYO_RING_DRAIN_BUF;
            }

            if (!klaviyo_ring_drain_grow(drain, record.missing)) {
                break;
            }

            continue;
        }

        if (rc == KLAVIYO_RING_EMPTY) {

            if (klaviyo_ring_drain_fold(ring, old)) {
                klaviyo_ring_drain_drop(old);
            }

            break;
        }

        if (rc != KLAVIYO_RING_OK && rc != KLAVIYO_RING_GAP) {
            break;
        }

        memset(&ack, 0, sizeof(klaviyo_ack_t));
        ack.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT] = record.missing;
        ack.from = cursor;
        ack.to = record.next;
        taken = 0;

        if (rc == KLAVIYO_RING_OK) {
            rc = klaviyo_ring_put(ring, &record.event);

            if (rc == KLAVIYO_RING_OK) {
                taken = 1;

            } else if (rc == KLAVIYO_RING_TOO_LARGE) {
                ack.outcome[KLAVIYO_OUTCOME_DEAD_TOO_LARGE]++;

            } else {
                break;
            }
        }

        rc = klaviyo_ring_book(old->ring, epoch, &ack, taken);

        if (rc != KLAVIYO_RING_OK) {
            break;
        }

        cursor = record.next;
        moved += (unsigned) taken;
    }

    return moved;
}


/*
 * Adds the figures of an empty ring and removes it, if nobody but us and
 * those who inherited our descriptor is attached to it.  1 when that is done.
 */

static int
klaviyo_ring_drain_fold(klaviyo_ring_t *ring, klaviyo_ring_old_t *old)
{
    int                  i;
    uint64_t             n;
    klaviyo_cursor_t     end;
    klaviyo_ring_slot_t  slot, from;

    if (klaviyo_ring_byte_lock(old->ring->fd, F_WRLCK,
                               KLAVIYO_RING_LOCK_ATTACHED) != 0)
    {
        return 0;
    }

    klaviyo_ring_slot_get(old->ring, &from);
    klaviyo_ring_end(old->ring, &end);

    if (from.seq != end.seq
        || klaviyo_ring_lock(ring) != KLAVIYO_RING_OK)
    {
        (void) klaviyo_ring_byte_lock(old->ring->fd, F_RDLCK,
                                      KLAVIYO_RING_LOCK_ATTACHED);
        return 0;
    }

    klaviyo_ring_slot_get(ring, &slot);

    if (memcmp(slot.folded, old->ring->fixed.uuid, KLAVIYO_RING_UUID_LEN)
        != 0)
    {
        for (i = 0; i < KLAVIYO_RING_MOVED; i++) {
            slot.outcome[i] += from.outcome[i];
            slot.base -= from.outcome[i];
        }

        memcpy(slot.folded, old->ring->fixed.uuid, KLAVIYO_RING_UUID_LEN);

        klaviyo_ring_slot_put(ring, &slot);
    }

    klaviyo_ring_unlock(ring);

    memset(from.outcome, 0, sizeof(from.outcome));
    from.base = from.seq;

    klaviyo_ring_slot_put(old->ring, &from);

    /* taking each away as it is added: a kill here loses one at most */

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        n = __atomic_exchange_n(&old->ring->counter[i], 0, __ATOMIC_RELAXED);
        klaviyo_ring_count(ring, i, n);
    }

    (void) unlinkat(old->ring->dir_fd, old->ring->name, 0);

    /* others may have it mapped as idly as we had: no truncation */

    __atomic_store_n(&old->ring->common->detached, 1, __ATOMIC_RELAXED);

    (void) fallocate(old->ring->fd, FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE,
                     0, (off_t) old->ring->map_size);

    return 1;
}

/*
 * The queue room: rings of another size beside the configured one, and those
 * that the account had at another path.
 *
 * An event is appended here first and acknowledged there afterwards, one by
 * one: a kill between the two leaves it twice, with the same unique id, and
 * that Klaviyo discards.  Both rings count it once more then, so that either
 * sum is right.
 *
 * What the drained ring has in the spool comes first: the deliverer has it
 * adopted, and klaviyo_ring_drain_moved() books it as moved; nothing behind
 * is touched before.
 *
 * A drained ring may still be appended to by processes of an older
 * configuration.  It ends in klaviyo_ring_retire.c when there are none left.
 *
 * Who delivers attaches them.  What could not be unlinked has given its blocks
 * back, and is unlinked by the next who can.
 *
 * Plain C.  Opens no ring but "<name>.drain-<digits>-<digits>" and what
 * klaviyo_ring_drain_also() has named, while it is that very ring.
 */


#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "klaviyo_clock.h"
#include "klaviyo_lease.h"
#include "klaviyo_ring_ack.h"
#include "klaviyo_ring_dir.h"
#include "klaviyo_ring_figures.h"
#include "klaviyo_ring_file.h"
#include "klaviyo_ring_retire.h"
#include "klaviyo_ring_lock.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_drain.h"
#include "klaviyo_ring_read.h"
#include "klaviyo_ring_record.h"
#include "klaviyo_ring_slot.h"


#define KLAVIYO_RING_DRAIN_LOOK  30000   /* ms between looks at the folder  */
#define KLAVIYO_RING_DRAIN_MAX   8       /* rings attached at a time        */
#define KLAVIYO_RING_DRAIN_BUF   65536


typedef struct {
    klaviyo_ring_t        *ring;     /* NULL: free                          */
    klaviyo_lease_t        lease;
} klaviyo_ring_old_t;


/* a ring at another path */

typedef struct klaviyo_ring_also_s  klaviyo_ring_also_t;

struct klaviyo_ring_also_s {
    klaviyo_ring_also_t   *next;
    unsigned               gone;     /* removed, or another one is there    */
    uint8_t                uuid[KLAVIYO_RING_UUID_LEN];
    char                   path[];
};


struct klaviyo_ring_drain_s {
    klaviyo_ring_old_t     old[KLAVIYO_RING_DRAIN_MAX];
    klaviyo_ring_also_t   *also;
    uint8_t               *buf;
    size_t                 size;
    int64_t                look;     /* klaviyo_clock_boot() of the next      */
};


static void klaviyo_ring_drain_look(klaviyo_ring_t *ring,
    klaviyo_ring_drain_t *drain);
static unsigned klaviyo_ring_drain_one(klaviyo_ring_t *ring,
    klaviyo_ring_drain_t *drain, klaviyo_ring_old_t *old, unsigned max);


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
    klaviyo_ring_also_t   *also;
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

    while (drain->also) {
        also = drain->also;
        drain->also = also->next;
        free(also);
    }

    free(drain->buf);
    free(drain);

    ring->drain = NULL;
}


void
klaviyo_ring_drain_leave(klaviyo_ring_t *ring)
{
    int  i;

    for (i = 0; ring->drain && i < KLAVIYO_RING_DRAIN_MAX; i++) {
        if (ring->drain->old[i].ring) {
            klaviyo_lease_close(&ring->drain->old[i].lease);
        }
    }
}


static klaviyo_ring_old_t *
klaviyo_ring_drain_find(klaviyo_ring_t *ring, const uint8_t *uuid)
{
    int                  i;
    klaviyo_ring_old_t  *old;

    for (i = 0; ring->drain && i < KLAVIYO_RING_DRAIN_MAX; i++) {
        old = &ring->drain->old[i];

        if (old->ring
            && memcmp(old->ring->fixed.uuid, uuid, KLAVIYO_RING_UUID_LEN)
               == 0)
        {
            return old;
        }
    }

    return NULL;
}


klaviyo_ring_rc_e
klaviyo_ring_drain_load(klaviyo_ring_t *ring, int64_t *paused_until,
    void *limiter, size_t len)
{
    int                 i;
    int64_t             paused;
    klaviyo_ring_t     *old;
    klaviyo_ring_rc_e   rc;

    rc = klaviyo_ring_load(ring, paused_until, limiter, len);

    if (rc != KLAVIYO_RING_EMPTY) {
        return rc;
    }

    for (i = 0; ring->drain && i < KLAVIYO_RING_DRAIN_MAX; i++) {
        old = ring->drain->old[i].ring;

        if (old && klaviyo_ring_load(old, &paused, limiter, len)
                   == KLAVIYO_RING_OK)
        {
            *paused_until = paused;
            return KLAVIYO_RING_OK;
        }
    }

    return KLAVIYO_RING_EMPTY;
}


static klaviyo_ring_rc_e
klaviyo_ring_drain_old_span(klaviyo_ring_old_t *old,
    klaviyo_ring_span_t *span)
{
    if (old == NULL || klaviyo_ring_detached(old->ring)) {
        return KLAVIYO_RING_EMPTY;
    }

    if (!klaviyo_lease_valid(&old->lease)) {
        return KLAVIYO_RING_BUSY;
    }

    return klaviyo_ring_span(old->ring, span);
}


static klaviyo_ring_rc_e
klaviyo_ring_drain_old_moved(klaviyo_ring_old_t *old)
{
    klaviyo_ack_t        ack;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;

    rc = klaviyo_ring_drain_old_span(old, &span);

    if (rc != KLAVIYO_RING_OK || span.done == span.first.seq) {
        return rc;
    }

    memset(&ack, 0, sizeof(klaviyo_ack_t));
    ack.from.seq = span.done;
    ack.to.seq = span.first.seq;

    return klaviyo_ring_ack(old->ring, old->lease.epoch, &ack,
                            span.first.seq - span.done);
}


klaviyo_ring_rc_e
klaviyo_ring_drain_span(klaviyo_ring_t *ring, const uint8_t *uuid,
    klaviyo_ring_span_t *span)
{
    memset(span, 0, sizeof(klaviyo_ring_span_t));

    return klaviyo_ring_drain_old_span(klaviyo_ring_drain_find(ring, uuid),
                                       span);
}


klaviyo_ring_rc_e
klaviyo_ring_drain_moved(klaviyo_ring_t *ring, const uint8_t *uuid)
{
    return klaviyo_ring_drain_old_moved(klaviyo_ring_drain_find(ring, uuid));
}


uint64_t
klaviyo_ring_drain_lose(klaviyo_ring_t *ring)
{
    int                  i;
    uint64_t             n;
    klaviyo_ring_old_t  *old;
    klaviyo_ring_span_t  span;

    n = 0;

    for (i = 0; ring->drain && i < KLAVIYO_RING_DRAIN_MAX; i++) {
        old = &ring->drain->old[i];

        if (old->ring
            && klaviyo_ring_drain_old_span(old, &span) == KLAVIYO_RING_OK
            && span.done < span.first.seq
            && klaviyo_ring_lose(old->ring, old->lease.epoch, span.first.seq,
                                 KLAVIYO_OUTCOME_LOST_SPOOL)
               == KLAVIYO_RING_OK)
        {
            n += span.first.seq - span.done;
        }
    }

    return n;
}


int
klaviyo_ring_drains(const klaviyo_ring_t *ring)
{
    int  i;

    for (i = 0; ring->drain && i < KLAVIYO_RING_DRAIN_MAX; i++) {
        if (ring->drain->old[i].ring) {
            return 1;
        }
    }

    return 0;
}


static klaviyo_ring_drain_t *
klaviyo_ring_drain_get(klaviyo_ring_t *ring)
{
    if (ring->drain == NULL) {
        ring->drain = calloc(1, sizeof(klaviyo_ring_drain_t));
        ring->drain_close = klaviyo_ring_drain_close;
    }

    return ring->drain;
}


int
klaviyo_ring_drain_also(klaviyo_ring_t *ring, const char *path,
    const uint8_t *uuid)
{
    size_t                 len;
    klaviyo_ring_also_t   *also;
    klaviyo_ring_drain_t  *drain;

    drain = klaviyo_ring_drain_get(ring);

    if (drain == NULL) {
        return -1;
    }

    len = strlen(path) + 1;

    also = malloc(sizeof(klaviyo_ring_also_t) + len);

    if (also == NULL) {
        return -1;
    }

    also->gone = 0;
    memcpy(also->uuid, uuid, KLAVIYO_RING_UUID_LEN);
    memcpy(also->path, path, len);

    also->next = drain->also;
    drain->also = also;

    return 0;
}


void
klaviyo_ring_drain_open(klaviyo_ring_t *ring)
{
    if (klaviyo_ring_drain_get(ring) == NULL) {
        return;
    }

    if (klaviyo_clock_boot() >= ring->drain->look) {
        klaviyo_ring_drain_look(ring, ring->drain);
        ring->drain->look = klaviyo_clock_boot() + KLAVIYO_RING_DRAIN_LOOK;
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


static klaviyo_ring_old_t *
klaviyo_ring_drain_place(klaviyo_ring_drain_t *drain)
{
    int  i;

    for (i = 0; i < KLAVIYO_RING_DRAIN_MAX; i++) {
        if (drain->old[i].ring == NULL) {
            return &drain->old[i];
        }
    }

    return NULL;
}


static void
klaviyo_ring_drain_keep(klaviyo_ring_t *ring, klaviyo_ring_old_t *place,
    klaviyo_ring_t *r)
{
    /*
     * Ours, renamed by a newer configuration: its deliverer's task.  Or one
     * that is attached already.
     */

    if (memcmp(r->fixed.uuid, ring->fixed.uuid, KLAVIYO_RING_UUID_LEN) == 0
        || klaviyo_ring_drain_find(ring, r->fixed.uuid))
    {
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

    for (i = 0; i < KLAVIYO_RING_DRAIN_MAX; i++) {
        if (drain->old[i].ring
            && strcmp(drain->old[i].ring->name, name) == 0)
        {
            return;
        }
    }

    place = klaviyo_ring_drain_place(drain);

    if (place
        && klaviyo_ring_attach_old(&r, ring->dir, strlen(ring->dir), name,
                                   ring->name)
           == KLAVIYO_RING_OK)
    {
        klaviyo_ring_drain_keep(ring, place, r);
    }
}


/* what is not there as it was named will not come back */

static void
klaviyo_ring_drain_add_also(klaviyo_ring_t *ring, klaviyo_ring_drain_t *drain,
    klaviyo_ring_also_t *also)
{
    const char          *name;
    struct stat          st;
    klaviyo_ring_t      *r;
    klaviyo_ring_old_t  *place;

    if (also->gone || klaviyo_ring_drain_find(ring, also->uuid)) {
        return;
    }

    if (lstat(also->path, &st) == -1) {
        also->gone = (errno == ENOENT);
        return;
    }

    place = klaviyo_ring_drain_place(drain);
    name = strrchr(also->path, '/') + 1;

    if (place == NULL
        || klaviyo_ring_attach_old(&r, also->path, name - also->path, name,
                                   name)
           != KLAVIYO_RING_OK)
    {
        return;
    }

    if (memcmp(r->fixed.uuid, also->uuid, KLAVIYO_RING_UUID_LEN) != 0) {
        also->gone = 1;
        klaviyo_ring_detach(r);
        return;
    }

    klaviyo_ring_drain_keep(ring, place, r);
}


static void
klaviyo_ring_drain_look_dir(klaviyo_ring_t *ring, klaviyo_ring_drain_t *drain)
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


static void
klaviyo_ring_drain_look(klaviyo_ring_t *ring, klaviyo_ring_drain_t *drain)
{
    klaviyo_ring_also_t  *also;

    for (also = drain->also; also; also = also->next) {
        klaviyo_ring_drain_add_also(ring, drain, also);
    }

    if (ring->dir_fd != -1) {
        klaviyo_ring_drain_look_dir(ring, drain);
        return;
    }

    /* open for the look only: a process has many rings */

    if (klaviyo_ring_open_dir(ring, NULL) == KLAVIYO_RING_OK) {
        klaviyo_ring_drain_look_dir(ring, drain);
    }

    if (ring->dir_fd != -1) {
        (void) close(ring->dir_fd);
        ring->dir_fd = -1;
    }
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
    klaviyo_cursor_t     end;
    klaviyo_ring_head_t  head;

    klaviyo_ring_head(ring, &head);
    klaviyo_ring_end(ring, &end);

    return end.position - head.first.position < ring->capacity / 5 * 4;
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

            if (record.needed < KLAVIYO_RING_DRAIN_BUF) {
                record.needed = KLAVIYO_RING_DRAIN_BUF;
            }

            if (!klaviyo_ring_drain_grow(drain, record.needed)) {
                break;
            }

            continue;
        }

        if (rc == KLAVIYO_RING_EMPTY) {

            if (klaviyo_ring_retire(ring, old->ring)) {
                klaviyo_ring_drain_drop(old);
            }

            break;
        }

        /* AGAIN among others: what is in the spool has to go first */

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

        rc = klaviyo_ring_ack(old->ring, epoch, &ack, taken);

        if (rc != KLAVIYO_RING_OK) {
            break;
        }

        cursor = record.next;
        moved += (unsigned) taken;
    }

    return moved;
}

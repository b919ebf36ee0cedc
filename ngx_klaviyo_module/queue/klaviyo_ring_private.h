/*
 * What the files of the ring share among themselves: the handle and the
 * steps below the public functions.  Included by klaviyo_ring*.c, by
 * klaviyo_lease.c and by their tests, by nobody else.
 */


#ifndef KLAVIYO_RING_PRIVATE_H
#define KLAVIYO_RING_PRIVATE_H


#include <sys/stat.h>

#include "klaviyo_ring_format.h"


#define klaviyo_ring_get(p)      __atomic_load_n((p), __ATOMIC_RELAXED)
#define klaviyo_ring_acquire(p)  __atomic_load_n((p), __ATOMIC_ACQUIRE)


/* a page that the handle's copies in all forked workers share */

typedef struct {
    uint64_t                 detached;   /* the mapping is not touched any  */
                                         /* more                            */
    uint64_t                 lost;       /* events since then               */
    uint64_t                 told;       /* somebody has told of it         */
    uint64_t                 removed;    /* the file has no name any more   */
} klaviyo_ring_common_t;


/* a mapping, for the handler of SIGBUS */

typedef struct klaviyo_ring_guard_s  klaviyo_ring_guard_t;

struct klaviyo_ring_guard_s {
    klaviyo_ring_guard_t    *next;
    uint8_t                 *map;
    size_t                   size;
    uint64_t                *detached;
    uint64_t                 replaced;   /* by zeroes of this process       */
    pthread_mutex_t         *mutex;      /* while it is held here, or NULL  */
    pthread_mutex_t          held;       /* what it was then                */
};


/* where the stream stands in the standing slot */

typedef struct {
    klaviyo_cursor_t         first;      /* of the ring                     */
    uint64_t                 done;
} klaviyo_ring_head_t;


typedef struct klaviyo_ring_drain_s  klaviyo_ring_drain_t;


struct klaviyo_ring_s {
    uint8_t                 *map;
    klaviyo_ring_shared_t   *shared;     /* the places in the mapping       */
    klaviyo_ring_slot_t     *slot[2];
    uint64_t                *counter;
    klaviyo_ring_health_t   *health[2];
    klaviyo_ring_totals_t   *totals;
    uint8_t                 *record;

    klaviyo_ring_fixed_t     fixed;      /* a copy: only verified again     */
    uint64_t                 capacity;
    size_t                   map_size;
    size_t                   event_max;
    uint32_t                 uuid_crc;   /* where header_crc begins         */

    klaviyo_ring_metric_t   *metric;     /* of the last event, or NULL      */
    klaviyo_ring_common_t   *common;
    klaviyo_ring_guard_t     guard;
    klaviyo_ring_drain_t    *drain;

    char                    *path;
    char                    *dir;
    char                    *name;       /* the last component of path      */
    int                      dir_fd;
    int                      lock_fd;
    int                      fd;

    unsigned                 drop_oldest:1;
    unsigned                 dir_created:1;
    unsigned                 dir_sticky:1;  /* as /dev/shm: every user's    */
    unsigned                 alone:1;    /* nobody else was attached        */
    unsigned                 quiet:1;    /* klaviyo_ring_count() does not   */
    unsigned                 impatient:1;  /* the lock was waited for in    */
                                           /* vain, a moment ago            */
};


/* klaviyo_ring.c */

/* the lock, in at most 5 ms: OK, BUSY, DETACHED; a dead owner's is taken */
klaviyo_ring_rc_e klaviyo_ring_lock(klaviyo_ring_t *ring);
void klaviyo_ring_unlock(klaviyo_ring_t *ring);

/* the committed end: write position and the sequence that comes next */
void klaviyo_ring_end(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor);

uint32_t klaviyo_ring_header_crc(const klaviyo_ring_t *ring,
    uint64_t position, const klaviyo_ring_header_t *header);


/* klaviyo_ring_read.c */

/*
 * Finds the first header in [*position, end) that is valid there and whose
 * sequence is not below seq; pads and bytes that are no header are passed
 * over.  1 with *position at the header; 0 with *position at the end.
 */
int klaviyo_ring_seek(klaviyo_ring_t *ring, uint64_t *position, uint64_t end,
    uint64_t seq, klaviyo_ring_header_t *header);

size_t klaviyo_ring_payload_len(const klaviyo_ring_header_t *header);

/* copies it: 1: it is whole, 0: it is not, -1: `size` is too little */
int klaviyo_ring_payload(const klaviyo_ring_t *ring, uint64_t position,
    const klaviyo_ring_header_t *header, uint8_t *buf, size_t size);

/* all but `missing` and next.position */
void klaviyo_ring_record_fill(klaviyo_record_t *record,
    const klaviyo_ring_header_t *header, const uint8_t *payload);


/* klaviyo_ring_ack.c */

/* a consistent copy of the standing ack slot; the lock is not needed */
void klaviyo_ring_slot_get(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot);

/* 1: it is what klaviyo_ring_slot_put() wrote there */
int klaviyo_ring_slot_whole(const klaviyo_ring_slot_t *slot, uint64_t number);

/* the same under the lock, of what klaviyo_ring_slot_get() gave: it stands */
static inline int
klaviyo_ring_slot_stands(const klaviyo_ring_t *ring,
    const klaviyo_ring_slot_t *slot)
{
    uint64_t  generation;

    generation = klaviyo_ring_get(&ring->shared->ack_generation);

    return slot->generation == generation
           && klaviyo_ring_slot_whole(slot, generation & 1);
}

/* 1: the newest slot that is whole, whichever of them stands */
int klaviyo_ring_slot_newest(klaviyo_ring_t *ring,
    klaviyo_ring_slot_t *newest);

/* makes the copy the standing slot; under the lock, or alone */
void klaviyo_ring_slot_put(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot);

/* the least of it, consistent as well; the lock is not needed */
void klaviyo_ring_head(klaviyo_ring_t *ring, klaviyo_ring_head_t *head);

static inline int
klaviyo_ring_detached(const klaviyo_ring_t *ring)
{
    return __atomic_load_n(&ring->common->detached, __ATOMIC_RELAXED) != 0;
}

/* at the end of an operation: its file may have gone in the midst of it */

static inline klaviyo_ring_rc_e
klaviyo_ring_rc(const klaviyo_ring_t *ring, klaviyo_ring_rc_e rc)
{
    return klaviyo_ring_detached(ring) ? KLAVIYO_RING_DETACHED : rc;
}


/* klaviyo_ring_file.c */

/* milliseconds of CLOCK_BOOTTIME */
int64_t klaviyo_ring_now(void);

/* a handle without a file; NULL with the text */
klaviyo_ring_t *klaviyo_ring_new(const char *dir, size_t dir_len,
    const char *name, char *error);

/*
 * Opens the file at the path, which may be missing: EMPTY.  Takes its byte 0,
 * exclusively if it can, and fills ring->alone.
 */
klaviyo_ring_rc_e klaviyo_ring_open_existing(klaviyo_ring_t *ring,
    char *error);

/* maps the open file, ring->fixed.capacity of records; prot as of mmap(2) */
klaviyo_ring_rc_e klaviyo_ring_map(klaviyo_ring_t *ring, int prot,
    char *error);

/*
 * Renames what is at the path to "<name>.<kind>-<time>-<n>"; `to`, which holds
 * PATH_MAX bytes, is the new name.  What is open stays open.
 */
klaviyo_ring_rc_e klaviyo_ring_aside(const klaviyo_ring_t *ring,
    const char *kind, char *to, char *error);

/*
 * Attaches the ring `name` in the directory, of any size, without waiting and
 * without moving anything aside; it has to exist.  The lock file is that of
 * `of`, the name under which it was made.
 */
klaviyo_ring_rc_e klaviyo_ring_attach_old(klaviyo_ring_t **ring,
    const char *dir, size_t dir_len, const char *name, const char *of);


/* klaviyo_ring_dir.c: OK, or ERROR with the text (which may be NULL) */

/* fills the text, which may be NULL; %m is errno's; KLAVIYO_RING_ERROR */
klaviyo_ring_rc_e klaviyo_ring_error(char *error, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

klaviyo_ring_rc_e klaviyo_ring_check_conf(const klaviyo_ring_conf_t *conf,
    uint64_t *capacity, char *error);
klaviyo_ring_rc_e klaviyo_ring_open_dir(klaviyo_ring_t *ring, char *error);
klaviyo_ring_rc_e klaviyo_ring_check_stat(const klaviyo_ring_t *ring,
    const char *name, const struct stat *st, char *error);

/* EMPTY when the file is missing and flags do not create it */
klaviyo_ring_rc_e klaviyo_ring_open_at(const klaviyo_ring_t *ring,
    const char *name, int flags, int *fd, char *error);

/* opens and locks the lock file `name`; waits for at most `wait` ms */
klaviyo_ring_rc_e klaviyo_ring_open_lock(klaviyo_ring_t *ring,
    const char *name, int wait, char *error);


/* klaviyo_ring_recover.c */

typedef enum {
    KLAVIYO_RING_GOOD = 0,
    KLAVIYO_RING_CORRUPT,
    KLAVIYO_RING_FOREIGN         /* another version of the format           */
} klaviyo_ring_state_e;

/* judges the header page and the size of a file; fills ring->fixed */
klaviyo_ring_state_e klaviyo_ring_check(klaviyo_ring_t *ring);

/* sets what follows from ring->map and ring->fixed */
void klaviyo_ring_place(klaviyo_ring_t *ring);

/* makes header pages in a new mapping of zeroes; 0 or errno */
int klaviyo_ring_init(klaviyo_ring_t *ring, uint64_t capacity);

/*
 * For the only process that is attached: makes the mutex anew and brings
 * positions and sequences to what is really there.  ERROR when there is
 * nothing to begin from.
 */
klaviyo_ring_rc_e klaviyo_ring_recover(klaviyo_ring_t *ring, char *note);


/* klaviyo_ring_owner.c */

/*
 * Of a mapped ring: OK, and a text in `note` if somebody else's events become
 * the caller's; or ERROR with the text: they must not.
 */
klaviyo_ring_rc_e klaviyo_ring_owner_check(klaviyo_ring_t *ring,
    const klaviyo_ring_conf_t *conf, char *error, char *note);

/* from now on the events are the caller's; OK or ERROR with the text */
klaviyo_ring_rc_e klaviyo_ring_owner_set(klaviyo_ring_t *ring,
    const klaviyo_ring_conf_t *conf, char *error);


/* klaviyo_ring_guard.c: between mmap() and munmap(); twice does no harm */

void klaviyo_ring_guard_add(klaviyo_ring_t *ring);
void klaviyo_ring_guard_remove(klaviyo_ring_t *ring);

/*
 * Around what is done under the lock.  pthread_mutex_unlock() takes the mutex
 * out of the thread's list of robust ones by pointers that are in the mutex
 * itself: zeroes there, between two of its loads, would break the list.
 */
static inline void
klaviyo_ring_guard_hold(klaviyo_ring_t *ring)
{
    ring->guard.held = ring->shared->lock.mutex;

    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ring->guard.mutex = &ring->shared->lock.mutex;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void
klaviyo_ring_guard_release(klaviyo_ring_t *ring)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ring->guard.mutex = NULL;
}


/* klaviyo_ring_drain.c */

/* looks for rings to drain, at most twice a minute, and attaches them */
void klaviyo_ring_drain_open(klaviyo_ring_t *ring);
void klaviyo_ring_drain_close(klaviyo_ring_t *ring);

/* the slot of a ring that this one takes over; without one as it was */
void klaviyo_ring_drain_slot(klaviyo_ring_t *ring, klaviyo_ring_slot_t *slot);


/* klaviyo_ring_totals.c: adds the totals of a drained ring, and zeroes them */
void klaviyo_ring_totals_fold(klaviyo_ring_t *ring, klaviyo_ring_t *old);


/* klaviyo_ring_fold.c */

/*
 * Adds the figures of an empty drained ring and removes it, if nobody but us
 * and those who inherited our descriptor is attached to it.  1: done.
 */
int klaviyo_ring_fold(klaviyo_ring_t *ring, klaviyo_ring_t *old);


#endif /* KLAVIYO_RING_PRIVATE_H */

/*
 * What the files of the ring share among themselves: the handle and the
 * steps below the public functions.  Included by klaviyo_ring*.c, by
 * klaviyo_lease.c and by their tests, by nobody else.
 */


#ifndef KLAVIYO_RING_PRIVATE_H
#define KLAVIYO_RING_PRIVATE_H


#include <sys/stat.h>

#include "klaviyo_file.h"
#include "klaviyo_ring_format.h"


/* fills the text, which may be NULL; %m is errno's; KLAVIYO_RING_ERROR */
#define klaviyo_ring_error(...)                                              \
    (klaviyo_file_error(__VA_ARGS__), KLAVIYO_RING_ERROR)


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
    void                   (*drain_close)(klaviyo_ring_t *ring);

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


#endif /* KLAVIYO_RING_PRIVATE_H */

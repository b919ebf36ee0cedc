/*
 * The queue room: the lock of the ring.
 *
 * Plain C.  Touches the mutex in the shared page.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "klaviyo_ring_guard.h"
#include "klaviyo_ring_lock.h"


#define KLAVIYO_RING_WAIT        5000000   /* ns                            */
#define KLAVIYO_RING_WAIT_AGAIN   100000   /* ns, after a wait in vain      */
#define KLAVIYO_RING_NAP           50000   /* ns                            */
#define KLAVIYO_RING_YIELDS           50   /* before the first nap          */

/* more than 1 only where the tests run in valgrind, see Makefile */

#ifndef KLAVIYO_RING_WAIT_TIMES
#define KLAVIYO_RING_WAIT_TIMES        1
#endif


static int64_t
klaviyo_ring_clock(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}


/*
 * By trying only: the C library's timed lock hands the page to the kernel,
 * and ends the process when that finds the file truncated.
 */

klaviyo_ring_rc_e
klaviyo_ring_lock(klaviyo_ring_t *ring)
{
    int               rc;
    int64_t           limit;
    unsigned          tries;
    struct timespec   nap;
    pthread_mutex_t  *mutex;

    mutex = &ring->shared->lock.mutex;
    limit = 0;

    for (tries = 0; /* void */; tries++) {

        rc = pthread_mutex_trylock(mutex);

        if (rc != EBUSY) {
            break;
        }

        if (tries == 0) {
            limit = klaviyo_ring_clock()
                    + (ring->impatient ? KLAVIYO_RING_WAIT_AGAIN
                                       : KLAVIYO_RING_WAIT)
                      * KLAVIYO_RING_WAIT_TIMES;

        } else if (klaviyo_ring_clock() >= limit) {
            break;
        }

        if (tries < KLAVIYO_RING_YIELDS) {
            (void) sched_yield();

        } else {
            nap.tv_sec = 0;
            nap.tv_nsec = KLAVIYO_RING_NAP;
            (void) nanosleep(&nap, NULL);
        }
    }

    /* nothing to repair: every commit is one store, see the format */

    if (rc == EOWNERDEAD) {
        rc = pthread_mutex_consistent(mutex);
    }

    ring->impatient = (rc != 0);

    if (rc != 0) {
        return klaviyo_ring_rc(ring, KLAVIYO_RING_BUSY);
    }

    klaviyo_ring_guard_hold(ring);

    return KLAVIYO_RING_OK;
}


void
klaviyo_ring_unlock(klaviyo_ring_t *ring)
{
    (void) pthread_mutex_unlock(&ring->shared->lock.mutex);

    klaviyo_ring_guard_release(ring);
}

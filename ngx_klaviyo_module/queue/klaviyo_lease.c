/*
 * The queue room: the lease of the deliverer.
 *
 * Normally the holder has both the OFD lock and the epoch.  When a stopped
 * process keeps the OFD lock beyond its deadline, the epoch alone is taken
 * and `lease_unlocked` set: then an OFD lock that becomes free does not mean
 * that the lease is, until the deadline has passed or the holder has got the
 * lock as well.
 *
 * Plain C.  May touch the lease's members of the shared page, under the
 * ring's lock.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_clock.h"
#include "klaviyo_file.h"
#include "klaviyo_lease.h"
#include "klaviyo_ring_lock.h"
#include "klaviyo_ring_private.h"


#define klaviyo_lease_set(p, v)  __atomic_store_n((p), (v), __ATOMIC_RELAXED)


static int klaviyo_lease_epoch_valid(const klaviyo_lease_t *lease);
static int klaviyo_lease_open_file(klaviyo_lease_t *lease);
static klaviyo_ring_rc_e klaviyo_lease_extend(klaviyo_lease_t *lease);
static klaviyo_ring_rc_e klaviyo_lease_take(klaviyo_lease_t *lease,
    int locked);


int
klaviyo_lease_open(klaviyo_lease_t *lease, klaviyo_ring_t *ring)
{
    int  err;

    lease->ring = ring;
    lease->epoch = 0;
    lease->held = 0;

    err = klaviyo_lease_open_file(lease);

    lease->open = (err == 0);

    return err;
}


/*
 * The same file again, in a description of our own.  By its descriptor, as
 * the path may be another ring's by now.
 */

static int
klaviyo_lease_open_file(klaviyo_lease_t *lease)
{
    int              err;
    char             name[64];
    struct stat      ours, found;
    klaviyo_ring_t  *ring;

    ring = lease->ring;

    (void) snprintf(name, sizeof(name), "/proc/self/fd/%d", ring->fd);

    lease->fd = open(name, O_RDWR|O_CLOEXEC|O_NONBLOCK);

    if (lease->fd == -1 && errno == ENOENT) {
        lease->fd = open(ring->path, O_RDWR|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK);
    }

    if (lease->fd == -1) {
        return errno;
    }

    if (fstat(ring->fd, &ours) == -1 || fstat(lease->fd, &found) == -1) {
        err = errno;

    } else if (ours.st_ino == found.st_ino && ours.st_dev == found.st_dev) {
        return 0;

    } else {
        err = ESTALE;
    }

    (void) close(lease->fd);
    lease->fd = -1;

    return err;
}


klaviyo_ring_rc_e
klaviyo_lease_renew(klaviyo_lease_t *lease)
{
    int                rc;
    klaviyo_ring_rc_e  taken;

    if (klaviyo_ring_detached(lease->ring)) {
        lease->held = 0;
        return KLAVIYO_RING_DETACHED;
    }

    if (!lease->open
        || (lease->fd == -1 && klaviyo_lease_open_file(lease) != 0))
    {
        return KLAVIYO_RING_ERROR;
    }

    /* for who has it already this is a repetition */

    rc = klaviyo_file_lock(lease->fd, F_WRLCK, KLAVIYO_RING_LOCK_LEASE);

    if (klaviyo_ring_lock(lease->ring) != KLAVIYO_RING_OK) {

        if (klaviyo_lease_valid(lease)) {
            return KLAVIYO_RING_OK;
        }

        taken = KLAVIYO_RING_BUSY;

    } else {

        if (klaviyo_lease_valid(lease)) {
            taken = klaviyo_lease_extend(lease);

            if (rc == 0) {
                klaviyo_lease_set(&lease->ring->shared->lease_unlocked, 0);
            }

        } else {
            taken = klaviyo_lease_take(lease, rc == 0);
        }

        klaviyo_ring_unlock(lease->ring);
    }

    taken = klaviyo_ring_rc(lease->ring, taken);

    /* a lock ends with its description; who has no lease has none open */

    if (taken != KLAVIYO_RING_OK) {
        lease->held = 0;

        (void) close(lease->fd);
        lease->fd = -1;
    }

    return taken;
}


static klaviyo_ring_rc_e
klaviyo_lease_extend(klaviyo_lease_t *lease)
{
    klaviyo_lease_set(&lease->ring->shared->lease_deadline,
                      klaviyo_clock_boot() + KLAVIYO_LEASE_TIME);

    return KLAVIYO_RING_OK;
}


static klaviyo_ring_rc_e
klaviyo_lease_take(klaviyo_lease_t *lease, int locked)
{
    int                     passed;
    klaviyo_ring_shared_t  *shared;

    shared = lease->ring->shared;

    passed = (klaviyo_ring_get(&shared->lease_deadline)
              <= klaviyo_clock_boot());

    if (!passed && (!locked || klaviyo_ring_get(&shared->lease_unlocked))) {
        return KLAVIYO_RING_BUSY;
    }

    lease->epoch = klaviyo_ring_get(&shared->lease_epoch) + 1;
    lease->held = 1;

    klaviyo_lease_set(&shared->lease_pid, (int64_t) getpid());
    klaviyo_lease_set(&shared->lease_unlocked, locked ? 0 : 1);
    klaviyo_lease_set(&shared->lease_epoch, lease->epoch);

    return klaviyo_lease_extend(lease);
}


static int
klaviyo_lease_epoch_valid(const klaviyo_lease_t *lease)
{
    return klaviyo_ring_acquire(&lease->ring->shared->lease_epoch)
           == lease->epoch;
}


int
klaviyo_lease_valid(const klaviyo_lease_t *lease)
{
    return lease->held
           && !klaviyo_ring_detached(lease->ring)
           && klaviyo_lease_epoch_valid(lease);
}


void
klaviyo_lease_close(klaviyo_lease_t *lease)
{
    klaviyo_ring_shared_t  *shared;

    lease->open = 0;

    if (lease->fd == -1) {
        return;
    }

    if (klaviyo_lease_valid(lease)
        && klaviyo_ring_lock(lease->ring) == KLAVIYO_RING_OK)
    {
        shared = lease->ring->shared;

        if (klaviyo_lease_epoch_valid(lease)) {
            klaviyo_lease_set(&shared->lease_epoch, lease->epoch + 1);
            klaviyo_lease_set(&shared->lease_deadline, 0);
            klaviyo_lease_set(&shared->lease_pid, 0);
            klaviyo_lease_set(&shared->lease_unlocked, 0);
        }

        klaviyo_ring_unlock(lease->ring);
    }

    lease->held = 0;

    (void) close(lease->fd);
    lease->fd = -1;
}

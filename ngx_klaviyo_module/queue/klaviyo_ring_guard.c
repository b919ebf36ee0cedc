/*
 * The queue room: the file is taken away under the mapping.
 *
 * Seen each second by klaviyo_ring_verify(), or before that by the handler of
 * SIGBUS, which every process has that has ever mapped a ring: it puts zeroes
 * of this process's own over the whole mapping, so that the access that failed
 * goes on, and marks the ring as detached for all processes; a lock that is
 * held stays so until it is given back.  Hence every operation looks for that
 * mark at its end, and must come to its end with whatever zeroes in the midst
 * of it.
 *
 * Plain C.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "klaviyo_ring_guard.h"


#ifdef SYS_mmap2
#define KLAVIYO_RING_GUARD_MMAP  SYS_mmap2
#else
#define KLAVIYO_RING_GUARD_MMAP  SYS_mmap
#endif


static void klaviyo_ring_guard_fault(int signo, siginfo_t *info,
    void *context);


/* changed outside of the handler only, by whoever attaches and detaches */

static klaviyo_ring_guard_t  *klaviyo_ring_guards;

static struct sigaction  klaviyo_ring_guard_previous;
static int               klaviyo_ring_guard_installed;


static void
klaviyo_ring_guard_install(void)
{
    struct sigaction  action;

    if (klaviyo_ring_guard_installed) {
        return;
    }

    memset(&action, 0, sizeof(struct sigaction));
    action.sa_sigaction = klaviyo_ring_guard_fault;
    action.sa_flags = SA_SIGINFO|SA_RESTART;
    (void) sigemptyset(&action.sa_mask);

    klaviyo_ring_guard_installed = sigaction(SIGBUS, &action,
                                             &klaviyo_ring_guard_previous)
                                   == 0;
}


void
klaviyo_ring_guard_add(klaviyo_ring_t *ring)
{
    klaviyo_ring_guard_t  *guard;

    klaviyo_ring_guard_install();
    klaviyo_ring_guard_remove(ring);

    guard = &ring->guard;
    guard->map = ring->map;
    guard->size = ring->map_size;
    guard->detached = &ring->common->detached;
    guard->replaced = 0;
    guard->mutex = NULL;
    guard->next = klaviyo_ring_guards;

    __atomic_store_n(&klaviyo_ring_guards, guard, __ATOMIC_RELEASE);
}


void
klaviyo_ring_guard_remove(klaviyo_ring_t *ring)
{
    klaviyo_ring_guard_t  **place;

    for (place = &klaviyo_ring_guards; *place; place = &(*place)->next) {

        if (*place == &ring->guard) {
            __atomic_store_n(place, ring->guard.next, __ATOMIC_RELEASE);
            return;
        }
    }
}


/* System calls and stores only: this runs between any two instructions. */

static int
klaviyo_ring_guard_replace(const uint8_t *address)
{
    long                   map;
    klaviyo_ring_guard_t  *guard;

    guard = klaviyo_ring_acquire(&klaviyo_ring_guards);

    while (guard) {

        if (address >= guard->map && address < guard->map + guard->size) {
            break;
        }

        guard = guard->next;
    }

    if (guard == NULL) {
        return 0;
    }

    __atomic_store_n(guard->detached, 1, __ATOMIC_RELAXED);

    /*
     * Not mmap(): musl's waits until no thread is giving back a robust lock,
     * and that may be what failed.
     */

    map = syscall(KLAVIYO_RING_GUARD_MMAP, guard->map, guard->size,
                  PROT_READ|PROT_WRITE,
                  MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE|MAP_FIXED, -1L, 0L);

    if (map == -1) {
        return 0;
    }

    if (guard->mutex) {
        *guard->mutex = guard->held;
    }

    guard->replaced = 1;

    return 1;
}


static void
klaviyo_ring_guard_fault(int signo, siginfo_t *info, void *context)
{
    int                err;
    struct sigaction  *previous;

    err = errno;

    /* si_addr is one in what comes of the kernel only */

    if (info->si_code > 0 && klaviyo_ring_guard_replace(info->si_addr)) {
        errno = err;
        return;
    }

    previous = &klaviyo_ring_guard_previous;

    if (previous->sa_flags & SA_SIGINFO) {
        previous->sa_sigaction(signo, info, context);

    } else if (previous->sa_handler != SIG_DFL
               && previous->sa_handler != SIG_IGN)
    {
        previous->sa_handler(signo);

    } else {

        /* a fault comes again at once, what was sent has to be sent again */

        (void) sigaction(signo, previous, NULL);

        if (info->si_code <= 0) {
            (void) raise(signo);
        }
    }

    errno = err;
}

#ifndef KLAVIYO_RING_FILE_H
#define KLAVIYO_RING_FILE_H


#include "klaviyo_ring.h"


/* of the mapping, from `first` on and then from its start */

typedef struct {
    uint8_t        *start;
    size_t          size;
    size_t          first;
    size_t          bytes;
    int             stop;            /* whoever detaches the ring sets it   */
} klaviyo_ring_pages_t;


/*
 * Opens or creates the ring and its lock file (path + ".lock"), and the
 * directory if only its last component is missing.  Alone, the header is
 * checked and the mutex made anew; a bad header is moved to
 * ".corrupt-<time>", another version's to ".version-<time>"; after a reboot
 * the records are scanned.  Beside others only the version is checked.  A
 * ring of another size is moved to ".drain-<time>" and its events are taken
 * over by klaviyo_ring_drain().
 *
 * Returns KLAVIYO_RING_OK and the ring, which the caller detaches; or
 * KLAVIYO_RING_ERROR with a text that says what is wrong, where, and what to
 * do.  `note` is filled when something was found that a log should tell
 * (moved aside, events missing after a reboot), else it is an empty string.
 * Both texts hold KLAVIYO_RING_ERROR_MAX bytes.
 */
klaviyo_ring_rc_e klaviyo_ring_attach(klaviyo_ring_t **ring,
    const klaviyo_ring_conf_t *conf, char *error, char *note);

/*
 * 1: no other process has the ring attached, but those that were forked with
 * it.  For a process that exits; 0 when in doubt.
 */
int klaviyo_ring_alone(klaviyo_ring_t *ring);

/*
 * Pages that are there before they are written to: each that is not costs the
 * writer some microseconds.  Where the records are in memory and the kernel
 * can, fills `pages` and gives their bytes, of `max` at most, from the write
 * position on; else 0.
 */
size_t klaviyo_ring_pages(const klaviyo_ring_t *ring, size_t max,
    klaviyo_ring_pages_t *pages);

/* has them made; takes a while: for a thread, which klaviyo_ring_pages_stop()
   ends within milliseconds, before the ring is detached */
void klaviyo_ring_pages_make(klaviyo_ring_pages_t *pages);
void klaviyo_ring_pages_stop(klaviyo_ring_pages_t *pages);

/* Unmaps and closes; never while the lock is held. */
void klaviyo_ring_detach(klaviyo_ring_t *ring);

/*
 * Each worker, each second: compares size and name of the file with what was
 * mapped.  Truncated or written over: KLAVIYO_RING_DETACHED from then on, for
 * every call, in place of a SIGBUS.  Removed or replaced: OK, the mapping is
 * as good as before, and the spool should have what is in it.  The first call
 * that finds either says so in `error`.  For what happens within this second
 * see klaviyo_ring_guard.c.
 */
klaviyo_ring_rc_e klaviyo_ring_verify(klaviyo_ring_t *ring, char *error);

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


#endif /* KLAVIYO_RING_FILE_H */

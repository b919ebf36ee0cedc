/*
 * The queue room: the ring's file and its mapping, from attach to detach.
 *
 * Locks.  The lock file (path + ".lock") is held exclusively while somebody
 * attaches: opening, moving aside and creating are one step.  Byte 0 of the
 * ring file itself is held shared by everybody who has it mapped; hence who
 * gets it exclusively is alone with that very file, whatever it is called by
 * now and whoever is attached to its successor.  Both locks belong to open
 * file descriptions: forked workers keep them by inheriting descriptors, and
 * nobody may unlock byte 0, only close.
 *
 * Plain C.  May touch the ring's directory, file and mapping.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>

#include "klaviyo_file.h"
#include "klaviyo_ring_dir.h"
#include "klaviyo_ring_guard.h"
#include "klaviyo_ring_owner.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_file.h"
#include "klaviyo_ring_recover.h"
#include "klaviyo_ring_slot.h"


#define KLAVIYO_RING_ATTACH_WAIT  2000   /* ms, at start only */
#define KLAVIYO_RING_STEP   (64 * 1024)  /* bytes of pages made at a time   */
#define KLAVIYO_RING_REST   9            /* times as long as a step took    */
#define KLAVIYO_RING_REST_MAX  50000000  /* ns                              */


static klaviyo_ring_rc_e klaviyo_ring_open_file(klaviyo_ring_t *ring,
    const klaviyo_ring_conf_t *conf, uint64_t capacity, char *error,
    char *note);
static klaviyo_ring_rc_e klaviyo_ring_create(klaviyo_ring_t *ring,
    uint64_t capacity, char *error);
static void klaviyo_ring_close_file(klaviyo_ring_t *ring);


klaviyo_ring_rc_e
klaviyo_ring_attach(klaviyo_ring_t **ring, const klaviyo_ring_conf_t *conf,
    char *error, char *note)
{
    char                lock[PATH_MAX];
    uint64_t            capacity;
    const char         *name;
    klaviyo_ring_t     *r;
    klaviyo_ring_rc_e   rc;

    *ring = NULL;
    error[0] = '\0';
    note[0] = '\0';

    rc = klaviyo_ring_check_conf(conf, &capacity, error);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    name = strrchr(conf->path, '/') + 1;

    r = klaviyo_ring_new(conf->path, name - conf->path, name, error);

    if (r == NULL) {
        return KLAVIYO_RING_ERROR;
    }

    r->drop_oldest = (conf->drop_oldest != 0);

    (void) snprintf(lock, sizeof(lock), "%s.lock", name);

    rc = klaviyo_ring_open_dir(r, error);

    if (rc == KLAVIYO_RING_OK) {
        rc = klaviyo_ring_open_lock(r, lock, KLAVIYO_RING_ATTACH_WAIT, error);
    }

    if (rc == KLAVIYO_RING_OK) {
        rc = klaviyo_ring_open_file(r, conf, capacity, error, note);
    }

    if (rc != KLAVIYO_RING_OK) {
        klaviyo_ring_detach(r);
        return rc;
    }

    (void) close(r->lock_fd);
    r->lock_fd = -1;

    *ring = r;

    return KLAVIYO_RING_OK;
}


klaviyo_ring_rc_e
klaviyo_ring_attach_old(klaviyo_ring_t **ring, const char *dir,
    size_t dir_len, const char *name, const char *of)
{
    char                lock[PATH_MAX];
    klaviyo_ring_t     *r;
    klaviyo_ring_rc_e   rc;

    r = klaviyo_ring_new(dir, dir_len, name, NULL);

    if (r == NULL) {
        return KLAVIYO_RING_ERROR;
    }

    (void) snprintf(lock, sizeof(lock), "%s.lock", of);

    rc = klaviyo_ring_open_dir(r, NULL);

    if (rc == KLAVIYO_RING_OK) {
        rc = klaviyo_ring_open_lock(r, lock, 0, NULL);
    }

    if (rc == KLAVIYO_RING_OK) {
        rc = klaviyo_ring_open_existing(r, NULL);
    }

    if (rc == KLAVIYO_RING_OK
        && klaviyo_ring_check(r) != KLAVIYO_RING_GOOD)
    {
        rc = KLAVIYO_RING_ERROR;
    }

    if (rc == KLAVIYO_RING_OK) {
        rc = klaviyo_ring_map(r, PROT_READ|PROT_WRITE, NULL);
    }

    if (rc == KLAVIYO_RING_OK && r->alone) {
        rc = klaviyo_ring_recover(r, NULL);
    }

    if (rc != KLAVIYO_RING_OK) {
        klaviyo_ring_detach(r);
        return rc;
    }

    (void) klaviyo_file_lock(r->fd, F_RDLCK, KLAVIYO_RING_LOCK_ATTACHED);

    (void) close(r->lock_fd);
    r->lock_fd = -1;

    *ring = r;

    return KLAVIYO_RING_OK;
}


klaviyo_ring_t *
klaviyo_ring_new(const char *dir, size_t dir_len, const char *name,
    char *error)
{
    size_t           name_len;
    klaviyo_ring_t  *ring;

    /* the directory without its slash, unless it is nothing else */

    while (dir_len > 1 && dir[dir_len - 1] == '/') {
        dir_len--;
    }

    name_len = strlen(name);

    ring = calloc(1, sizeof(klaviyo_ring_t));

    if (ring == NULL) {
        (void) klaviyo_ring_error(error, "calloc() failed (%d: %m)", errno);
        return NULL;
    }

    ring->dir_fd = -1;
    ring->lock_fd = -1;
    ring->fd = -1;

    ring->path = malloc(dir_len + 1 + name_len + 1);
    ring->dir = strndup(dir, dir_len);

    ring->common = mmap(NULL, sizeof(klaviyo_ring_common_t),
                        PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (ring->common == MAP_FAILED) {
        ring->common = NULL;
    }

    if (ring->path == NULL || ring->dir == NULL || ring->common == NULL) {
        (void) klaviyo_ring_error(error, "no memory for a queue (%d: %m)",
                                  errno);
        klaviyo_ring_detach(ring);
        return NULL;
    }

    memcpy(ring->path, dir, dir_len);
    ring->name = ring->path + dir_len;

    if (dir[dir_len - 1] != '/') {
        *ring->name++ = '/';
    }

    memcpy(ring->name, name, name_len + 1);

    return ring;
}


klaviyo_ring_rc_e
klaviyo_ring_aside(const klaviyo_ring_t *ring, const char *kind, char *to,
    char *error)
{
    int          n;
    time_t       now;
    struct stat  st;

    now = time(NULL);

    for (n = 0; n < 1000; n++) {
        (void) snprintf(to, PATH_MAX, "%s.%s-%lld-%d", ring->name, kind,
                        (long long) now, n);

        if (fstatat(ring->dir_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            continue;
        }

        if (renameat(ring->dir_fd, ring->name, ring->dir_fd, to) == 0) {
            return KLAVIYO_RING_OK;
        }

        break;
    }

    return klaviyo_ring_error(error, "rename() \"%s\" to \"%s\" failed "
                              "(%d: %m)", ring->path, to, errno);
}


/* of a mapped ring; what it is told goes behind what the note says already */

static klaviyo_ring_rc_e
klaviyo_ring_try_owner(klaviyo_ring_t *ring, const klaviyo_ring_conf_t *conf,
    char *error, char *note)
{
    char               text[KLAVIYO_RING_ERROR_MAX];
    size_t             len;
    klaviyo_ring_rc_e  rc;

    text[0] = '\0';

    rc = klaviyo_ring_owner_check(ring, conf, error, text);

    if (text[0]) {
        len = strlen(note);
        (void) snprintf(note + len, KLAVIYO_RING_ERROR_MAX - len, "%s%s",
                        len ? "; " : "", text);
    }

    return rc;
}


/*
 * One look at the file at the path: OK attached, EMPTY when it is not there
 * (any more, and what is open has another name) and has to be created, ERROR.
 */

static klaviyo_ring_rc_e
klaviyo_ring_try_file(klaviyo_ring_t *ring, const klaviyo_ring_conf_t *conf,
    uint64_t capacity, char *error, char *note)
{
    char                  to[PATH_MAX];
    size_t                len;
    klaviyo_ring_rc_e     rc;
    klaviyo_ring_slot_t   slot;
    klaviyo_ring_state_e  state;

    rc = klaviyo_ring_open_existing(ring, error);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    state = klaviyo_ring_check(ring);

    if (state == KLAVIYO_RING_FOREIGN) {

        if (!ring->alone) {
            return klaviyo_ring_error(error, "\"%s\" is in use by processes "
                                      "with another version of its format "
                                      "(%u, this is %d), or another C "
                                      "library: stop them first",
                                      ring->path, ring->fixed.version,
                                      KLAVIYO_RING_VERSION);
        }

        rc = klaviyo_ring_aside(ring, "version", to, error);

        if (rc == KLAVIYO_RING_OK) {
            (void) klaviyo_ring_error(note, "\"%s\" has another version of "
                                      "the format (%u, this is %d), or is "
                                      "of another C library, moved to "
                                      "\"%s\"; only the version that wrote "
                                      "it can send what is in there",
                                      ring->path, ring->fixed.version,
                                      KLAVIYO_RING_VERSION, to);
            rc = KLAVIYO_RING_EMPTY;
        }

        return rc;
    }

    if (state == KLAVIYO_RING_GOOD && ring->fixed.capacity != capacity) {
        rc = klaviyo_ring_map(ring, PROT_READ|PROT_WRITE, error);

        if (rc == KLAVIYO_RING_OK) {
            rc = klaviyo_ring_try_owner(ring, conf, error, note);
        }

        if (rc == KLAVIYO_RING_OK) {
            rc = klaviyo_ring_aside(ring, "drain", to, error);
        }

        if (rc == KLAVIYO_RING_OK) {
            len = strlen(note);
            (void) snprintf(note + len, KLAVIYO_RING_ERROR_MAX - len,
                            "%s\"%s\" has another size (%lluk, now %lluk), "
                            "moved to \"%s\"; its events will be taken over",
                            len ? "; " : "", ring->path, (unsigned long long)
                            ring->fixed.capacity / 1024,
                            (unsigned long long) capacity / 1024, to);
            rc = KLAVIYO_RING_EMPTY;
        }

        return rc;
    }

    if (state == KLAVIYO_RING_GOOD) {
        rc = klaviyo_ring_map(ring, PROT_READ|PROT_WRITE, error);

        if (rc != KLAVIYO_RING_OK) {
            return rc;
        }

        if (ring->alone) {
            rc = klaviyo_ring_recover(ring, note);

        } else {

            /* who has it will detach from a slot that is not whole */

            klaviyo_ring_slot_get(ring, &slot);

            rc = klaviyo_ring_slot_whole(&slot, slot.generation & 1)
                 ? KLAVIYO_RING_OK : KLAVIYO_RING_ERROR;
        }

        if (rc == KLAVIYO_RING_OK) {
            return klaviyo_ring_try_owner(ring, conf, error, note);
        }
    }

    /* who has a damaged file mapped keeps it under its new name */

    rc = klaviyo_ring_aside(ring, "corrupt", to, error);

    if (rc == KLAVIYO_RING_OK) {
        (void) klaviyo_ring_error(note, "\"%s\" is damaged or not a queue, "
                                  "moved to \"%s\", starting with an empty "
                                  "one", ring->path, to);
        rc = KLAVIYO_RING_EMPTY;
    }

    return rc;
}


static klaviyo_ring_rc_e
klaviyo_ring_open_file(klaviyo_ring_t *ring, const klaviyo_ring_conf_t *conf,
    uint64_t capacity, char *error, char *note)
{
    int                rc;
    klaviyo_ring_rc_e  opened;

    opened = klaviyo_ring_try_file(ring, conf, capacity, error, note);

    if (opened == KLAVIYO_RING_EMPTY) {
        klaviyo_ring_close_file(ring);
        opened = klaviyo_ring_create(ring, capacity, error);
    }

    if (opened == KLAVIYO_RING_OK) {
        opened = klaviyo_ring_owner_set(ring, conf, error);
    }

    if (opened != KLAVIYO_RING_OK) {
        return opened;
    }

    /* over the own exclusive lock this is one step: nobody slips between */

    rc = klaviyo_file_lock(ring->fd, F_RDLCK, KLAVIYO_RING_LOCK_ATTACHED);

    if (rc != 0) {
        errno = rc;
        return klaviyo_ring_error(error, "fcntl(F_OFD_SETLK) \"%s\" failed "
                                  "(%d: %m)", ring->path, rc);
    }

    return KLAVIYO_RING_OK;
}


klaviyo_ring_rc_e
klaviyo_ring_open_existing(klaviyo_ring_t *ring, char *error)
{
    int                rc;
    klaviyo_ring_rc_e  opened;

    opened = klaviyo_ring_open_at(ring, ring->name, 0, &ring->fd, error);

    if (opened != KLAVIYO_RING_OK) {
        return opened;
    }

    rc = klaviyo_file_lock(ring->fd, F_WRLCK, KLAVIYO_RING_LOCK_ATTACHED);
    ring->alone = (rc == 0);

    if (rc == EAGAIN || rc == EACCES) {
        rc = klaviyo_file_lock(ring->fd, F_RDLCK, KLAVIYO_RING_LOCK_ATTACHED);
    }

    /* refused as well: a guest has seized it */

    if (rc != 0) {
        errno = rc;
        return klaviyo_ring_error(error, "fcntl(F_OFD_SETLK) \"%s\" failed "
                                  "(%d: %m)", ring->path, rc);
    }

    return KLAVIYO_RING_OK;
}


/* A ring is complete before it has its name. */

static klaviyo_ring_rc_e
klaviyo_ring_create(klaviyo_ring_t *ring, uint64_t capacity, char *error)
{
    int                rc;
    char               name[PATH_MAX];
    klaviyo_ring_rc_e  made;

    (void) snprintf(name, sizeof(name), "%s.new", ring->name);
    (void) unlinkat(ring->dir_fd, name, 0);

    made = klaviyo_ring_open_at(ring, name, O_CREAT|O_EXCL, &ring->fd, error);

    if (made != KLAVIYO_RING_OK) {
        return made;
    }

    ring->fixed.capacity = capacity;
    ring->alone = 1;

    do {
        rc = posix_fallocate(ring->fd, 0,
                             (off_t) (KLAVIYO_RING_RECORDS + capacity));
    } while (rc == EINTR);

    if (rc == ENOSPC) {
        made = klaviyo_ring_error(error, "no room for the %lluk of \"%s\": "
                                  "make place in \"%s\" or lower its size",
                                  (unsigned long long)
                                  (KLAVIYO_RING_RECORDS + capacity) / 1024,
                                  ring->path, ring->dir);

    } else if (rc != 0) {
        errno = rc;
        made = klaviyo_ring_error(error, "posix_fallocate() \"%s\" failed "
                                  "(%d: %m)", ring->path, rc);

    } else {
        made = klaviyo_ring_map(ring, PROT_READ|PROT_WRITE, error);
    }

    if (made == KLAVIYO_RING_OK) {
        rc = klaviyo_file_lock(ring->fd, F_WRLCK, KLAVIYO_RING_LOCK_ATTACHED);

        if (rc == 0) {
            rc = klaviyo_ring_init(ring, capacity);
        }

        if (rc == 0 && renameat(ring->dir_fd, name, ring->dir_fd, ring->name)
                       == -1)
        {
            rc = errno;
        }

        if (rc != 0) {
            errno = rc;
            made = klaviyo_ring_error(error, "creating \"%s\" failed "
                                      "(%d: %m)", ring->path, rc);
        }
    }

    if (made != KLAVIYO_RING_OK) {
        (void) unlinkat(ring->dir_fd, name, 0);
    }

    return made;
}


klaviyo_ring_rc_e
klaviyo_ring_map(klaviyo_ring_t *ring, int prot, char *error)
{
    void  *map;

    ring->map_size = KLAVIYO_RING_RECORDS + ring->fixed.capacity;

    map = mmap(NULL, ring->map_size, prot, MAP_SHARED, ring->fd, 0);

    if (map == MAP_FAILED) {
        return klaviyo_ring_error(error, "mmap() \"%s\" failed (%d: %m)",
                                  ring->path, errno);
    }

    /* personal data stays out of core files */

    (void) madvise(map, ring->map_size, MADV_DONTDUMP);

    ring->map = map;
    klaviyo_ring_place(ring);
    klaviyo_ring_guard_add(ring);

    return KLAVIYO_RING_OK;
}


/* by memory: on a disk, pages that are made are written out */

size_t
klaviyo_ring_pages(const klaviyo_ring_t *ring, size_t max,
    klaviyo_ring_pages_t *pages)
{
#ifdef MADV_POPULATE_WRITE

    uint64_t       position;
    struct statfs  fs;

    if (klaviyo_ring_detached(ring)
        || fstatfs(ring->fd, &fs) == -1
        || fs.f_type != TMPFS_MAGIC)
    {
        return 0;
    }

    position = klaviyo_ring_get(&ring->shared->write_pos) % ring->capacity;

    pages->start = ring->record;
    pages->size = ring->capacity;
    pages->first = position & ~(uint64_t) (KLAVIYO_RING_PAGE - 1);
    pages->bytes = ring->capacity < max ? ring->capacity : max;
    pages->stop = 0;

    return pages->bytes;

#else

    (void) ring;
    (void) max;
    (void) pages;

    return 0;

#endif
}


/*
 * A file that was truncated is an error of madvise(), or the guard's.  Then a
 * byte of each page is read: in a virtual machine with shadow page tables the
 * host makes its entry at the first access, which takes some 13 us, and what
 * madvise() does is none.
 *
 * Requests may need the same processor: nine tenths of the time are theirs.  A
 * lower priority would do it, but for the lock of the process's memory, which
 * a step holds: requests would wait for who waits for all others.
 */

void
klaviyo_ring_pages_make(klaviyo_ring_pages_t *pages)
{
#ifdef MADV_POPULATE_WRITE

    size_t                   at, n, left;
    int64_t                  rest;
    struct timespec          start, now;
    const volatile uint8_t  *p, *end;

    at = pages->first;

    for (left = pages->bytes; left > 0; left -= n) {

        (void) clock_gettime(CLOCK_MONOTONIC, &start);

        n = pages->size - at;
        n = n < KLAVIYO_RING_STEP ? n : KLAVIYO_RING_STEP;
        n = n < left ? n : left;

        if (__atomic_load_n(&pages->stop, __ATOMIC_RELAXED)
            || madvise(pages->start + at, n, MADV_POPULATE_WRITE) == -1)
        {
            return;
        }

        end = pages->start + at + n;

        for (p = pages->start + at; p < end; p += KLAVIYO_RING_PAGE) {
            (void) *p;
        }

        at += n;
        at = at == pages->size ? 0 : at;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);

        rest = ((int64_t) (now.tv_sec - start.tv_sec) * 1000000000
                + now.tv_nsec - start.tv_nsec) * KLAVIYO_RING_REST;

        now.tv_sec = 0;
        now.tv_nsec = rest < KLAVIYO_RING_REST_MAX ? rest
                                                   : KLAVIYO_RING_REST_MAX;

        (void) nanosleep(&now, NULL);
    }

#else

    (void) pages;

#endif
}


void
klaviyo_ring_pages_stop(klaviyo_ring_pages_t *pages)
{
    __atomic_store_n(&pages->stop, 1, __ATOMIC_RELAXED);
}


static void
klaviyo_ring_close_file(klaviyo_ring_t *ring)
{
    if (ring->map) {
        klaviyo_ring_guard_remove(ring);

        /* zeroes stay: the thread's list of robust locks may lead there */

        if (!ring->guard.replaced) {
            (void) munmap(ring->map, ring->map_size);
        }

        ring->map = NULL;
    }

    if (ring->fd != -1) {
        (void) close(ring->fd);
        ring->fd = -1;
    }
}


void
klaviyo_ring_detach(klaviyo_ring_t *ring)
{
    if (ring->drain) {
        ring->drain_close(ring);
    }

    klaviyo_ring_close_file(ring);

    if (ring->lock_fd != -1) {
        (void) close(ring->lock_fd);
    }

    if (ring->dir_fd != -1) {
        (void) close(ring->dir_fd);
    }

    if (ring->common) {
        (void) munmap(ring->common, sizeof(klaviyo_ring_common_t));
    }

    free(ring->path);
    free(ring->dir);
    free(ring);
}


/* Asked without taking it: an nginx that starts now must not be refused. */

int
klaviyo_ring_alone(klaviyo_ring_t *ring)
{
    return klaviyo_file_locked(ring->fd, KLAVIYO_RING_LOCK_ATTACHED) == 0;
}


klaviyo_ring_rc_e
klaviyo_ring_verify(klaviyo_ring_t *ring, char *error)
{
    int          whole;
    const char  *what;
    struct stat  st;

    error[0] = '\0';
    what = "truncated";
    whole = 0;
    st.st_nlink = 1;

    if (fstat(ring->fd, &st) == 0
        && (uint64_t) st.st_size >= ring->map_size)
    {
        what = "written over";

        /* what is detached is not read: a page of a hole would be a block */

        whole = !klaviyo_ring_detached(ring)
                && memcmp(ring->map, &ring->fixed,
                          sizeof(klaviyo_ring_fixed_t)) == 0
                && !klaviyo_ring_detached(ring);
    }

    if (whole) {

        /* the mapping outlives the name */

        if (st.st_nlink == 0
            && __atomic_exchange_n(&ring->common->removed, 1,
                                   __ATOMIC_RELAXED) == 0)
        {
            (void) klaviyo_ring_error(error, "\"%s\" was removed while in "
                                      "use: it is used on, and a spool takes "
                                      "what is in it; without one a reload, "
                                      "which makes the file anew, loses what "
                                      "is queued", ring->path);
        }

        return KLAVIYO_RING_OK;
    }

    __atomic_store_n(&ring->common->detached, 1, __ATOMIC_RELAXED);

    if (__atomic_exchange_n(&ring->common->told, 1, __ATOMIC_RELAXED) == 0) {
        (void) klaviyo_ring_error(error, "\"%s\" was %s while in use, its "
                                  "events are gone and new ones are dropped "
                                  "until nginx is reloaded", ring->path,
                                  what);
    }

    return KLAVIYO_RING_DETACHED;
}

/*
 * The queue room: a ring opened by a guest.
 *
 * Who only looks takes no lock: one on byte 0 would keep an nginx that starts
 * at this moment from finding itself alone, and from bringing the ring in
 * order.  Who joins follows the protocol of klaviyo_ring_file.c.  Who seizes
 * keeps both locks, so that nobody can attach.
 *
 * Plain C.  May touch the ring's file and mapping.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "klaviyo_file.h"
#include "klaviyo_ring_dir.h"
#include "klaviyo_ring_file.h"
#include "klaviyo_ring_open.h"
#include "klaviyo_ring_owner.h"
#include "klaviyo_ring_private.h"
#include "klaviyo_ring_recover.h"


#define KLAVIYO_RING_OPEN_WAIT  2000   /* ms */


static klaviyo_ring_rc_e klaviyo_ring_open_look(klaviyo_ring_t *ring,
    const struct stat *st, char *error);
static klaviyo_ring_rc_e klaviyo_ring_open_join(klaviyo_ring_t *ring,
    char *error);
static klaviyo_ring_rc_e klaviyo_ring_open_seize(klaviyo_ring_t *ring,
    char *error);
static klaviyo_ring_rc_e klaviyo_ring_open_locked(klaviyo_ring_t *ring,
    char *error);
static klaviyo_ring_rc_e klaviyo_ring_open_map(klaviyo_ring_t *ring, int prot,
    char *error);


klaviyo_ring_rc_e
klaviyo_ring_open(klaviyo_ring_t **ring, const char *path,
    klaviyo_ring_open_e how, char *error)
{
    size_t              dir_len;
    const char         *name, *dir;
    struct stat         st;
    klaviyo_ring_t     *r;
    klaviyo_ring_rc_e   rc;

    *ring = NULL;
    error[0] = '\0';

    name = strrchr(path, '/');
    name = name ? name + 1 : path;
    dir = path;
    dir_len = name - path;

    if (name[0] == '\0' || strlen(path) > PATH_MAX - 64) {
        return klaviyo_ring_error(error, "\"%.64s\" is not the path of a "
                                  "file", path);
    }

    if (dir_len == 0) {
        dir = ".";
        dir_len = 1;
    }

    r = klaviyo_ring_new(dir, dir_len, name, error);

    if (r == NULL) {
        return KLAVIYO_RING_ERROR;
    }

    r->dir_fd = open(r->dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (r->dir_fd == -1
        || fstatat(r->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
    {
        rc = (errno == ENOENT) ? KLAVIYO_RING_EMPTY : KLAVIYO_RING_ERROR;
        (void) klaviyo_ring_error(error, "open() \"%s\" failed (%d: %m)",
                                  r->path, errno);

    } else {
        switch (how) {

        case KLAVIYO_RING_JOIN:
            rc = klaviyo_ring_open_join(r, error);
            break;

        case KLAVIYO_RING_SEIZE:
            rc = klaviyo_ring_open_seize(r, error);
            break;

        default: /* KLAVIYO_RING_LOOK */
            rc = klaviyo_ring_open_look(r, &st, error);
            break;
        }
    }

    if (rc != KLAVIYO_RING_OK) {
        klaviyo_ring_detach(r);
        return rc;
    }

    *ring = r;

    return KLAVIYO_RING_OK;
}


static klaviyo_ring_rc_e
klaviyo_ring_open_look(klaviyo_ring_t *ring, const struct stat *st,
    char *error)
{
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_check_stat(ring, ring->name, st, error);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    ring->fd = openat(ring->dir_fd, ring->name,
                      O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY);

    if (ring->fd == -1) {
        return klaviyo_ring_error(error, "open() \"%s\" failed (%d: %m)",
                                  ring->path, errno);
    }

    return klaviyo_ring_open_map(ring, PROT_READ, error);
}


static klaviyo_ring_rc_e
klaviyo_ring_open_join(klaviyo_ring_t *ring, char *error)
{
    char               lock[PATH_MAX];
    struct stat        st;
    klaviyo_ring_rc_e  rc;

    /* whoever has used this ring has left its lock file, and none is made */

    (void) snprintf(lock, sizeof(lock), "%s.lock", ring->name);

    if (fstatat(ring->dir_fd, lock, &st, AT_SYMLINK_NOFOLLOW) == -1) {
        return klaviyo_ring_error(error, "\"%s.lock\" is missing (%d: %m): "
                                  "start nginx with this queue first",
                                  ring->path, errno);
    }

    rc = klaviyo_ring_open_locked(ring, error);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    if (klaviyo_ring_check(ring) != KLAVIYO_RING_GOOD) {
        return klaviyo_ring_error(error, "\"%s\" is damaged, or of another "
                                  "version", ring->path);
    }

    rc = klaviyo_ring_open_map(ring, PROT_READ|PROT_WRITE, error);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    if (ring->alone
        && klaviyo_ring_recover(ring, error) != KLAVIYO_RING_OK)
    {
        return klaviyo_ring_error(error, "\"%s\" is damaged", ring->path);
    }

    if (klaviyo_file_lock(ring->fd, F_RDLCK, KLAVIYO_RING_LOCK_ATTACHED) != 0)
    {
        return klaviyo_ring_error(error, "\"%s\" cannot be locked",
                                  ring->path);
    }

    (void) close(ring->lock_fd);
    ring->lock_fd = -1;

    return KLAVIYO_RING_OK;
}


static klaviyo_ring_rc_e
klaviyo_ring_open_seize(klaviyo_ring_t *ring, char *error)
{
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_open_locked(ring, error);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    if (!ring->alone) {
        (void) klaviyo_ring_error(error, "\"%s\" is in use: stop nginx first",
                                  ring->path);
        return KLAVIYO_RING_BUSY;
    }

    return klaviyo_ring_open_map(ring, PROT_READ, error);
}


/* The lock file, if there is one, the ring, and its byte 0. */

static klaviyo_ring_rc_e
klaviyo_ring_open_locked(klaviyo_ring_t *ring, char *error)
{
    char               lock[PATH_MAX];
    struct stat        st;
    klaviyo_ring_rc_e  opened;

    (void) snprintf(lock, sizeof(lock), "%s.lock", ring->name);

    if (fstatat(ring->dir_fd, lock, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        opened = klaviyo_ring_open_lock(ring, lock, KLAVIYO_RING_OPEN_WAIT,
                                        error);

        if (opened != KLAVIYO_RING_OK) {
            return opened;
        }
    }

    opened = klaviyo_ring_open_existing(ring, error);

    if (opened == KLAVIYO_RING_EMPTY) {
        (void) klaviyo_ring_error(error, "\"%s\" is gone", ring->path);
    }

    return opened;
}


/* A damaged header leaves the size of the file to go by. */

static klaviyo_ring_rc_e
klaviyo_ring_open_map(klaviyo_ring_t *ring, int prot, char *error)
{
    struct stat  st;

    switch (klaviyo_ring_check(ring)) {

    case KLAVIYO_RING_GOOD:
        break;

    case KLAVIYO_RING_FOREIGN:
        return klaviyo_ring_error(error, "\"%s\" has another version of its "
                                  "format (%u, this is %d), or is of another C "
                                  "library", ring->path, ring->fixed.version,
                                  KLAVIYO_RING_VERSION);

    default: /* KLAVIYO_RING_CORRUPT */

        if (fstat(ring->fd, &st) == -1
            || st.st_size < KLAVIYO_RING_RECORDS + KLAVIYO_RING_PAGE
            || (uint64_t) st.st_size > SIZE_MAX / 2)
        {
            return klaviyo_ring_error(error, "\"%s\" has no room for a "
                                      "record", ring->path);
        }

        ring->fixed.capacity = ((uint64_t) st.st_size - KLAVIYO_RING_RECORDS)
                               / 16 * 16;
        break;
    }

    return klaviyo_ring_map(ring, prot, error);
}


int
klaviyo_ring_in_use(const klaviyo_ring_t *ring)
{
    return klaviyo_file_locked(ring->fd, KLAVIYO_RING_LOCK_ATTACHED) == 1;
}


klaviyo_ring_rc_e
klaviyo_ring_move_aside(klaviyo_ring_t *ring, char *to, char *error)
{
    return klaviyo_ring_aside(ring, "corrupt", to, error);
}


/* what attach would say of the ring that is there, if anything */

static klaviyo_ring_rc_e
klaviyo_ring_probe_owner(klaviyo_ring_t *ring,
    const klaviyo_ring_conf_t *conf, char *error)
{
    char  note[KLAVIYO_RING_ERROR_MAX];

    ring->fd = openat(ring->dir_fd, ring->name,
                      O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY);

    if (ring->fd == -1 || klaviyo_ring_check(ring) != KLAVIYO_RING_GOOD) {
        return KLAVIYO_RING_OK;
    }

    ring->alone = (klaviyo_file_locked(ring->fd, KLAVIYO_RING_LOCK_ATTACHED)
                   == 0);

    if (klaviyo_ring_map(ring, PROT_READ, error) != KLAVIYO_RING_OK) {
        return KLAVIYO_RING_ERROR;
    }

    return klaviyo_ring_owner_check(ring, conf, error, note);
}


klaviyo_ring_rc_e
klaviyo_ring_probe(const klaviyo_ring_conf_t *conf, char *error)
{
    uint64_t            capacity;
    const char         *name;
    struct stat         st;
    struct statfs       fs;
    klaviyo_ring_t     *r;
    klaviyo_ring_rc_e   rc;

    error[0] = '\0';

    rc = klaviyo_ring_check_conf(conf, &capacity, error);

    if (rc != KLAVIYO_RING_OK) {
        return rc;
    }

    name = strrchr(conf->path, '/') + 1;

    r = klaviyo_ring_new(conf->path, name - conf->path, name, error);

    if (r == NULL) {
        return KLAVIYO_RING_ERROR;
    }

    rc = klaviyo_ring_open_dir(r, error);

    if (rc == KLAVIYO_RING_OK
        && faccessat(r->dir_fd, ".", W_OK|X_OK, AT_EACCESS) == -1)
    {
        rc = klaviyo_ring_error(error, "\"%s\" is not writable (%d: %m)%s",
                                r->dir, errno, klaviyo_file_hint(errno));
    }

    if (rc == KLAVIYO_RING_OK) {

        if (fstatat(r->dir_fd, r->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            rc = klaviyo_ring_check_stat(r, r->name, &st, error);

            if (rc == KLAVIYO_RING_OK
                && faccessat(r->dir_fd, r->name, R_OK|W_OK, AT_EACCESS) == -1)
            {
                rc = klaviyo_ring_error(error, "\"%s\" is not readable and "
                                        "writable (%d: %m)", r->path, errno);
            }

            if (rc == KLAVIYO_RING_OK && conf->print) {
                rc = klaviyo_ring_probe_owner(r, conf, error);
            }

        } else if (fstatfs(r->dir_fd, &fs) == 0
                   && (uint64_t) fs.f_bavail * (uint64_t) fs.f_bsize
                      < KLAVIYO_RING_RECORDS + capacity)
        {
            rc = klaviyo_ring_error(error, "no room for the %lluk of \"%s\": "
                                    "make place in \"%s\" or lower its size",
                                    (unsigned long long)
                                    (KLAVIYO_RING_RECORDS + capacity) / 1024,
                                    r->path, r->dir);
        }
    }

    if (r->dir_created) {
        (void) rmdir(r->dir);
    }

    klaviyo_ring_detach(r);

    return rc;
}

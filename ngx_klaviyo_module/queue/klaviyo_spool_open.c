/*
 * The queue room: a spool from open to close.
 *
 * The state file is locked (OFD, byte 0) for as long as the spool is open:
 * there is one process, and in it one thread at a time.
 *
 * Plain C; may touch the spool's directory and the state file.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_ring_owner.h"
#include "klaviyo_spool_dir.h"
#include "klaviyo_spool_private.h"
#include "klaviyo_spool_open.h"
#include "klaviyo_spool_state.h"


#define KLAVIYO_SPOOL_TRIES  16


static klaviyo_spool_rc_e klaviyo_spool_open_state(klaviyo_spool_t *spool,
    char *error, char *note);
static klaviyo_spool_rc_e klaviyo_spool_lock_state(klaviyo_spool_t *spool,
    char *error);
static klaviyo_spool_rc_e klaviyo_spool_create_state(klaviyo_spool_t *spool,
    char *error);
static klaviyo_spool_rc_e klaviyo_spool_other(const char *dir, char *error);
static int klaviyo_spool_owner(klaviyo_spool_slot_t *slot,
    const klaviyo_spool_conf_t *conf, char *error);


static int
klaviyo_spool_check_conf(const klaviyo_spool_conf_t *conf, char *error)
{
    if (conf->dir[0] != '/' || conf->dir[1] == '\0') {
        return klaviyo_file_error(error, "\"%s\" is not the full path of a "
                                  "directory", conf->dir);
    }

    if (strlen(conf->dir) > PATH_MAX - 64) {
        return klaviyo_file_error(error, "the path \"%.64s...\" is too long",
                                  conf->dir);
    }

    if (conf->size < KLAVIYO_SPOOL_MIN_SIZE) {
        return klaviyo_file_error(error, "the size of \"%s\" is below the "
                                  "least of %dk", conf->dir,
                                  KLAVIYO_SPOOL_MIN_SIZE / 1024);
    }

    if (conf->size > INT64_MAX) {
        return klaviyo_file_error(error, "the size of \"%s\" is too large",
                                  conf->dir);
    }

    return 0;
}


klaviyo_spool_rc_e
klaviyo_spool_open(klaviyo_spool_t **spool, const klaviyo_spool_conf_t *conf,
    char *error, char *note)
{
    klaviyo_spool_t      *s;
    klaviyo_spool_rc_e    rc;
    klaviyo_spool_slot_t  slot;

    *spool = NULL;
    error[0] = '\0';
    note[0] = '\0';

    if (klaviyo_spool_check_conf(conf, error) == -1) {
        return KLAVIYO_SPOOL_ERROR;
    }

    s = calloc(1, sizeof(klaviyo_spool_t));

    if (s == NULL) {
        (void) klaviyo_file_error(error, "no memory for \"%s\" (%d: %m)",
                                  conf->dir, errno);
        return KLAVIYO_SPOOL_ERROR;
    }

    s->dir.fd = -1;
    s->state_fd = -1;
    s->write_fd = -1;
    s->read_fd = -1;

    s->size = conf->size;
    s->segment_size = conf->size / 16;

    if (s->segment_size < KLAVIYO_SPOOL_SEGMENT_MIN) {
        s->segment_size = KLAVIYO_SPOOL_SEGMENT_MIN;
    }

    if (s->segment_size > KLAVIYO_SPOOL_SEGMENT_MAX) {
        s->segment_size = KLAVIYO_SPOOL_SEGMENT_MAX;
    }

    rc = KLAVIYO_SPOOL_ERROR;

    if (klaviyo_dir_open(&s->dir, conf->dir, error) == -1) {
        goto failed;
    }

    rc = klaviyo_spool_open_state(s, error, note);

    if (rc != KLAVIYO_SPOOL_OK) {
        goto failed;
    }

    rc = KLAVIYO_SPOOL_ERROR;

    s->uuid_crc = klaviyo_crc32c(0, s->slot.uuid, KLAVIYO_RING_UUID_LEN);

    /*
     * What was read may be the page cache's only, left by a process whose
     * sync failed: what stands now is synced before it is acted upon.
     */

    slot = s->slot;

    if (klaviyo_spool_owner(&slot, conf, error) == -1
        || klaviyo_spool_commit(s, &slot, error) == -1
        || klaviyo_spool_segments_open(s, error) == -1)
    {
        goto failed;
    }

    klaviyo_spool_prune(s);

    /* what cannot be unlinked is in the way only when its number comes */

    while (s->segments
           && s->segment[s->segments - 1].number > s->slot.tail_segment)
    {
        s->segments--;
    }

    *spool = s;

    return KLAVIYO_SPOOL_OK;

failed:

    klaviyo_spool_close(s);

    return rc;
}


static klaviyo_spool_rc_e
klaviyo_spool_open_state(klaviyo_spool_t *spool, char *error, char *note)
{
    int                     tries;
    char                    to[128];
    const char             *kind, *what;
    klaviyo_spool_rc_e      rc;
    klaviyo_spool_state_e   state;

    for (tries = 0; tries < KLAVIYO_SPOOL_TRIES; tries++) {

        rc = klaviyo_spool_lock_state(spool, error);

        if (rc != KLAVIYO_SPOOL_OK) {
            return rc;
        }

        state = klaviyo_spool_state_read(spool, error);

        switch (state) {

        case KLAVIYO_SPOOL_STATE_GOOD:
            return KLAVIYO_SPOOL_OK;

        case KLAVIYO_SPOOL_STATE_NEW:
            return klaviyo_spool_create_state(spool, error);

        case KLAVIYO_SPOOL_STATE_CORRUPT:
            kind = KLAVIYO_SPOOL_CORRUPT;
            what = "is damaged";
            break;

        case KLAVIYO_SPOOL_STATE_VERSION:
            kind = KLAVIYO_SPOOL_FOREIGN;
            what = "has another version of the format";
            break;

        case KLAVIYO_SPOOL_STATE_OTHER:
            return klaviyo_spool_other(spool->dir.path, error);

        default:
            return KLAVIYO_SPOOL_ERROR;
        }

        if (klaviyo_spool_aside(spool, kind, to, error) == -1) {
            return KLAVIYO_SPOOL_ERROR;
        }

        (void) klaviyo_file_error(note, "the state of the spool \"%s\" %s, "
                                  "moved to \"%s\" with all segments; "
                                  "starting with an empty one",
                                  spool->dir.path, what, to);

        (void) close(spool->state_fd);
        spool->state_fd = -1;
    }

    return KLAVIYO_SPOOL_BUSY;
}


/*
 * Puts into the slot whose spool it is; -1: it has events of somebody else.
 * Its own ring was asked when it was attached.
 */

static int
klaviyo_spool_owner(klaviyo_spool_slot_t *slot,
    const klaviyo_spool_conf_t *conf, char *error)
{
    const char  *what;

    static const klaviyo_ring_print_t  none;

    if (memcmp(&conf->print, &none, sizeof(none)) == 0) {
        return 0;
    }

    what = NULL;

    if (slot->tail_seq != slot->head_seq
        && memcmp(&slot->print, &none, sizeof(none)) != 0
        && memcmp(slot->ring, conf->ring, KLAVIYO_RING_UUID_LEN) != 0)
    {
        what = klaviyo_ring_print_refuses(&slot->print, &conf->print);
    }

    if (what != NULL) {
        return klaviyo_file_error(error, "\"%s\" holds %llu events that were "
                                  "captured for %s: start nginx with that "
                                  "once, choose another directory with "
                                  "\"spool\", or move this one away",
                                  conf->dir,
                                  (unsigned long long) (slot->tail_seq
                                                        - slot->head_seq),
                                  what);
    }

    slot->print = conf->print;

    return 0;
}


static klaviyo_spool_rc_e
klaviyo_spool_other(const char *dir, char *error)
{
    (void) klaviyo_file_error(error, "\"%s/%s\" is not a spool's but some "
                              "other file: choose another directory", dir,
                              KLAVIYO_SPOOL_STATE_NAME);

    return KLAVIYO_SPOOL_ERROR;
}


/* Opens or creates the file: what is locked is what has the name. */

static klaviyo_spool_rc_e
klaviyo_spool_lock_state(klaviyo_spool_t *spool, char *error)
{
    int          rc, tries;
    struct stat  st, now;

    for (tries = 0; tries < KLAVIYO_SPOOL_TRIES; tries++) {

        spool->state_fd = klaviyo_dir_file(&spool->dir,
                                           KLAVIYO_SPOOL_STATE_NAME,
                                           O_RDWR|O_CREAT, error);

        if (spool->state_fd == -1) {
            return KLAVIYO_SPOOL_ERROR;
        }

        rc = klaviyo_file_lock(spool->state_fd, F_WRLCK, 0);

        if (rc == EAGAIN || rc == EACCES) {
            break;
        }

        if (rc != 0) {
            errno = rc;
            (void) klaviyo_file_error(error, "fcntl(F_OFD_SETLK) \"%s/%s\" "
                                      "failed (%d: %m), the file system must "
                                      "know locks", spool->dir.path,
                                      KLAVIYO_SPOOL_STATE_NAME, rc);
            return KLAVIYO_SPOOL_ERROR;
        }

        /* another process may have moved it aside meanwhile */

        if (fstat(spool->state_fd, &st) == 0
            && fstatat(spool->dir.fd, KLAVIYO_SPOOL_STATE_NAME, &now,
                       AT_SYMLINK_NOFOLLOW)
               == 0
            && st.st_ino == now.st_ino
            && st.st_dev == now.st_dev)
        {
            return KLAVIYO_SPOOL_OK;
        }

        (void) close(spool->state_fd);
        spool->state_fd = -1;
    }

    (void) klaviyo_file_error(error, "\"%s/%s\" is in use by another process",
                              spool->dir.path, KLAVIYO_SPOOL_STATE_NAME);

    return KLAVIYO_SPOOL_BUSY;
}


static klaviyo_spool_rc_e
klaviyo_spool_create_state(klaviyo_spool_t *spool, char *error)
{
    if (klaviyo_spool_state_make(&spool->slot) == -1
        || ftruncate(spool->state_fd, KLAVIYO_SPOOL_STATE_SIZE) == -1
        || fsync(spool->state_fd) == -1
        || fsync(spool->dir.fd) == -1)
    {
        (void) klaviyo_file_error(error, "creating \"%s/%s\" failed (%d: %m)"
                                  "%s", spool->dir.path,
                                  KLAVIYO_SPOOL_STATE_NAME, errno,
                                  klaviyo_file_hint(errno));
        return KLAVIYO_SPOOL_ERROR;
    }

    return KLAVIYO_SPOOL_OK;
}


klaviyo_spool_rc_e
klaviyo_spool_probe(const klaviyo_spool_conf_t *conf, char *error)
{
    int                    fd, rc;
    klaviyo_dir_t          dir;
    klaviyo_spool_slot_t   slot;
    klaviyo_spool_state_e  state;

    error[0] = '\0';

    if (klaviyo_spool_check_conf(conf, error) == -1) {
        return KLAVIYO_SPOOL_ERROR;
    }

    rc = klaviyo_dir_open(&dir, conf->dir, error);

    if (rc == 0) {
        rc = klaviyo_dir_writable(&dir, error);
    }

    if (rc == 0
        && faccessat(dir.fd, KLAVIYO_SPOOL_STATE_NAME, F_OK,
                     AT_SYMLINK_NOFOLLOW)
           == 0)
    {
        fd = klaviyo_dir_file(&dir, KLAVIYO_SPOOL_STATE_NAME, O_RDWR, error);

        if (fd == -1) {
            rc = -1;

        } else {
            state = klaviyo_spool_state_load(fd, &slot);

            if (state == KLAVIYO_SPOOL_STATE_OTHER) {
                (void) klaviyo_spool_other(dir.path, error);
                rc = -1;

            } else if (state == KLAVIYO_SPOOL_STATE_GOOD) {
                rc = klaviyo_spool_owner(&slot, conf, error);
            }

            (void) close(fd);
        }
    }

    klaviyo_dir_close(&dir);

    return rc == 0 ? KLAVIYO_SPOOL_OK : KLAVIYO_SPOOL_ERROR;
}


int
klaviyo_spool_gone(const klaviyo_spool_t *spool)
{
    struct stat  st;

    return fstat(spool->state_fd, &st) == 0 && st.st_nlink == 0;
}


void
klaviyo_spool_close(klaviyo_spool_t *spool)
{
    if (spool == NULL) {
        return;
    }

    if (spool->write_fd != -1) {
        (void) close(spool->write_fd);
    }

    if (spool->read_fd != -1) {
        (void) close(spool->read_fd);
    }

    if (spool->state_fd != -1) {
        (void) close(spool->state_fd);
    }

    klaviyo_dir_close(&spool->dir);

    free(spool->segment);
    free(spool);
}

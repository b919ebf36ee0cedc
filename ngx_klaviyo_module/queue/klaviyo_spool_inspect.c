/*
 * The queue room: a spool opened by a guest.
 *
 * Who looks locks nothing, and may find a segment gone that was there a
 * moment ago; it then looks again.  Who salvages holds the lock of the state.
 *
 * Plain C; may touch the spool's directory and the files in it.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_crc32c.h"
#include "klaviyo_spool_chunk.h"
#include "klaviyo_spool_dir.h"
#include "klaviyo_spool_inspect.h"
#include "klaviyo_spool_open.h"
#include "klaviyo_spool_private.h"
#include "klaviyo_spool_state.h"


#define KLAVIYO_SPOOL_LOOKS    10
#define KLAVIYO_SPOOL_WINDOW   (2 * KLAVIYO_RECORD_MAX)


static klaviyo_spool_rc_e klaviyo_spool_inspect_dir(klaviyo_spool_t **spool,
    const char *dir, char *error);
static klaviyo_spool_state_e klaviyo_spool_inspect_state(klaviyo_spool_t *spool,
    char *error);
static klaviyo_spool_rc_e klaviyo_spool_inspect_segments(klaviyo_spool_t *spool,
    char *error);
static klaviyo_spool_rc_e klaviyo_spool_salvage_state(klaviyo_spool_t *spool,
    char *error);
static klaviyo_spool_rc_e klaviyo_spool_salvage_dir(const char *dir,
    void (*found)(const klaviyo_event_t *event), char *error);
static int klaviyo_spool_salvage_segment(int fd, uint8_t *window,
    void (*found)(const klaviyo_event_t *event));
static size_t klaviyo_spool_salvage_record(const uint8_t *p, size_t len,
    klaviyo_record_t *record);


klaviyo_spool_rc_e
klaviyo_spool_inspect(klaviyo_spool_t **spool, const char *dir, char *error)
{
    klaviyo_spool_t     *s;
    klaviyo_spool_rc_e   rc;

    rc = klaviyo_spool_inspect_dir(&s, dir, error);

    if (rc != KLAVIYO_SPOOL_OK) {
        return rc;
    }

    switch (klaviyo_spool_inspect_state(s, error)) {

    case KLAVIYO_SPOOL_STATE_GOOD:
        rc = klaviyo_spool_inspect_segments(s, error);
        break;

    case KLAVIYO_SPOOL_STATE_NEW:
        break;

    case KLAVIYO_SPOOL_STATE_CORRUPT:
        (void) klaviyo_file_error(error, "\"%s/%s\" is damaged: neither slot "
                                  "is whole, try \"repair\"", dir,
                                  KLAVIYO_SPOOL_STATE_NAME);
        rc = KLAVIYO_SPOOL_ERROR;
        break;

    case KLAVIYO_SPOOL_STATE_ERROR:
        rc = KLAVIYO_SPOOL_ERROR;
        break;

    default:
        (void) klaviyo_file_error(error, "\"%s/%s\" is not the state of a "
                                  "spool, or of another version", dir,
                                  KLAVIYO_SPOOL_STATE_NAME);
        rc = KLAVIYO_SPOOL_ERROR;
        break;
    }

    if (rc != KLAVIYO_SPOOL_OK) {
        klaviyo_spool_close(s);
        return rc;
    }

    *spool = s;

    return KLAVIYO_SPOOL_OK;
}


/*
 * A handle with the directory and the state open, nothing read; state_fd is
 * -1 where there is no state.
 */

static klaviyo_spool_rc_e
klaviyo_spool_inspect_dir(klaviyo_spool_t **spool, const char *dir, char *error)
{
    struct stat       st;
    klaviyo_spool_t  *s;

    /* opening a directory that is not there would make it */

    if (stat(dir, &st) == -1) {
        (void) klaviyo_file_error(error, "stat() \"%s\" failed (%d: %m)",
                                  dir, errno);
        return (errno == ENOENT) ? KLAVIYO_SPOOL_NONE : KLAVIYO_SPOOL_ERROR;
    }

    s = calloc(1, sizeof(klaviyo_spool_t));

    if (s == NULL) {
        (void) klaviyo_file_error(error, "no memory (%d: %m)", errno);
        return KLAVIYO_SPOOL_ERROR;
    }

    s->dir.fd = -1;
    s->state_fd = -1;
    s->write_fd = -1;
    s->read_fd = -1;

    if (klaviyo_dir_open(&s->dir, dir, error) == -1) {
        klaviyo_spool_close(s);
        return KLAVIYO_SPOOL_ERROR;
    }

    s->state_fd = klaviyo_dir_file(&s->dir, KLAVIYO_SPOOL_STATE_NAME,
                                   O_RDONLY, error);
    if (s->state_fd == -1 && errno != ENOENT) {
        klaviyo_spool_close(s);
        return KLAVIYO_SPOOL_ERROR;
    }

    *spool = s;

    return KLAVIYO_SPOOL_OK;
}


/*
 * nginx writes the state before it makes the first segment: one that is there
 * without it is looked at once more.
 */

static klaviyo_spool_state_e
klaviyo_spool_inspect_state(klaviyo_spool_t *spool, char *error)
{
    int                    i;
    klaviyo_spool_state_e  state;

    state = KLAVIYO_SPOOL_STATE_CORRUPT;

    for (i = 0; i < 2 && state == KLAVIYO_SPOOL_STATE_CORRUPT; i++) {

        if (spool->state_fd == -1) {
            spool->state_fd = klaviyo_dir_file(&spool->dir,
                                               KLAVIYO_SPOOL_STATE_NAME,
                                               O_RDONLY, error);
        }

        state = klaviyo_spool_state_read(spool, error);
    }

    return state;
}


static klaviyo_spool_rc_e
klaviyo_spool_inspect_segments(klaviyo_spool_t *spool, char *error)
{
    int  i;

    for (i = 0; i < KLAVIYO_SPOOL_LOOKS; i++) {
        spool->segments = 0;
        spool->uuid_crc = klaviyo_crc32c(0, spool->slot.uuid,
                                         KLAVIYO_RING_UUID_LEN);

        if (klaviyo_spool_segments_open(spool, error) == 0) {
            return KLAVIYO_SPOOL_OK;
        }

        if (errno != ENOENT
            || klaviyo_spool_state_load(spool->state_fd, &spool->slot)
               != KLAVIYO_SPOOL_STATE_GOOD)
        {
            break;
        }
    }

    return KLAVIYO_SPOOL_ERROR;
}


klaviyo_spool_rc_e
klaviyo_spool_salvage(const char *dir, unsigned aside,
    void (*found)(const klaviyo_event_t *event), char *to, char *error)
{
    char                 path[PATH_MAX];
    klaviyo_spool_t     *spool;
    klaviyo_spool_rc_e   rc;

    to[0] = '\0';

    rc = klaviyo_spool_inspect_dir(&spool, dir, error);

    if (rc != KLAVIYO_SPOOL_OK) {
        return rc;
    }

    rc = klaviyo_spool_salvage_state(spool, error);

    if (rc == KLAVIYO_SPOOL_OK
        && aside
        && klaviyo_spool_aside(spool, ".corrupt", to, error) == -1)
    {
        rc = KLAVIYO_SPOOL_ERROR;
    }

    if (rc == KLAVIYO_SPOOL_OK
        && snprintf(path, sizeof(path), "%s/%s", dir, to)
           >= (int) sizeof(path))
    {
        (void) klaviyo_file_error(error, "the path of \"%.64s...\" is too "
                                  "long", dir);
        rc = KLAVIYO_SPOOL_ERROR;
    }

    if (rc == KLAVIYO_SPOOL_OK) {
        rc = klaviyo_spool_salvage_dir(path, found, error);
    }

    klaviyo_spool_close(spool);

    return rc;
}


/* OK: locked, and nothing to begin from. */

static klaviyo_spool_rc_e
klaviyo_spool_salvage_state(klaviyo_spool_t *spool, char *error)
{
    int  rc;

    if (spool->state_fd == -1) {
        (void) klaviyo_file_error(error, "there is no spool in \"%s\"",
                                  spool->dir.path);
        return KLAVIYO_SPOOL_NONE;
    }

    /* an exclusive lock wants a descriptor for writing */

    (void) close(spool->state_fd);

    spool->state_fd = klaviyo_dir_file(&spool->dir, KLAVIYO_SPOOL_STATE_NAME,
                                       O_RDWR, error);
    if (spool->state_fd == -1) {
        return KLAVIYO_SPOOL_ERROR;
    }

    rc = klaviyo_file_lock(spool->state_fd, F_WRLCK, 0);

    if (rc == EAGAIN || rc == EACCES) {
        (void) klaviyo_file_error(error, "the spool in \"%s\" is in use: "
                                  "stop nginx first", spool->dir.path);
        return KLAVIYO_SPOOL_BUSY;
    }

    if (rc != 0) {
        errno = rc;
        (void) klaviyo_file_error(error, "fcntl(F_OFD_SETLK) \"%s/%s\" "
                                  "failed (%d: %m)", spool->dir.path,
                                  KLAVIYO_SPOOL_STATE_NAME, rc);
        return KLAVIYO_SPOOL_ERROR;
    }

    switch (klaviyo_spool_state_read(spool, error)) {

    case KLAVIYO_SPOOL_STATE_CORRUPT:
        return KLAVIYO_SPOOL_OK;

    case KLAVIYO_SPOOL_STATE_GOOD:
    case KLAVIYO_SPOOL_STATE_NEW:
        (void) klaviyo_file_error(error, "the spool in \"%s\" can be used as "
                                  "it is", spool->dir.path);
        return KLAVIYO_SPOOL_NONE;

    case KLAVIYO_SPOOL_STATE_ERROR:
        return KLAVIYO_SPOOL_ERROR;

    default:
        (void) klaviyo_file_error(error, "\"%s/%s\" is not the state of a "
                                  "spool, or of another version",
                                  spool->dir.path, KLAVIYO_SPOOL_STATE_NAME);
        return KLAVIYO_SPOOL_ERROR;
    }
}


static klaviyo_spool_rc_e
klaviyo_spool_salvage_dir(const char *dir,
    void (*found)(const klaviyo_event_t *event), char *error)
{
    int                  fd, rc;
    char                 name[KLAVIYO_SPOOL_NAME_MAX];
    size_t               i;
    uint8_t             *window;
    klaviyo_spool_t     *spool;
    klaviyo_spool_rc_e   looked;

    looked = klaviyo_spool_inspect_dir(&spool, dir, error);

    if (looked != KLAVIYO_SPOOL_OK) {
        return looked;
    }

    /* the table takes every segment that this state could tell of */

    memset(&spool->slot, 0, sizeof(klaviyo_spool_slot_t));

    window = malloc(KLAVIYO_SPOOL_WINDOW);
    rc = (window == NULL) ? klaviyo_file_error(error, "no memory (%d: %m)",
                                               errno)
                          : klaviyo_spool_segments_open(spool, error);

    for (i = 0; rc == 0 && i < spool->segments; i++) {
        klaviyo_spool_segment_name(spool->segment[i].number, name);

        fd = klaviyo_dir_file(&spool->dir, name, O_RDONLY, error);

        if (fd == -1) {
            rc = -1;
            break;
        }

        rc = klaviyo_spool_salvage_segment(fd, window, found);

        if (rc == -1) {
            (void) klaviyo_file_error(error, "read() \"%s/%s\" failed "
                                      "(%d: %m)", dir, name, errno);
        }

        (void) close(fd);
    }

    free(window);
    klaviyo_spool_close(spool);

    return (rc == 0) ? KLAVIYO_SPOOL_OK : KLAVIYO_SPOOL_ERROR;
}


/*
 * A window moves over the segment; in its first half every record that begins
 * there is seen whole.  What the disk does not give back is jumped over.
 */

static int
klaviyo_spool_salvage_segment(int fd, uint8_t *window,
    void (*found)(const klaviyo_event_t *event))
{
    off_t             offset;
    size_t            at, n, len;
    ssize_t           got;
    klaviyo_record_t  record;

    offset = KLAVIYO_SPOOL_BLOCK;

    for ( ;; ) {
        got = klaviyo_file_read(fd, window, KLAVIYO_SPOOL_WINDOW, offset);

        if (got == -1 && errno == EIO) {
            offset += KLAVIYO_SPOOL_BLOCK;
            continue;
        }

        if (got <= 0) {
            return (int) got;
        }

        len = (size_t) got;
        at = 0;

        while (at < len
               && (at < KLAVIYO_RECORD_MAX
                   || len < KLAVIYO_SPOOL_WINDOW))
        {
            n = klaviyo_spool_salvage_record(window + at, len - at, &record);

            if (n) {
                found(&record.event);
            }

            at += n ? n : 16;
        }

        offset += (off_t) at;
    }
}


/* the bytes of the record that is whole there; or 0 */

static size_t
klaviyo_spool_salvage_record(const uint8_t *p, size_t len,
    klaviyo_record_t *record)
{
    klaviyo_header_t  header;

    if (len < sizeof(klaviyo_header_t)) {
        return 0;
    }

    memcpy(&header, p, sizeof(klaviyo_header_t));

    if (!klaviyo_record_sane(&header, len)
        || !klaviyo_record_whole(&header, p + sizeof(klaviyo_header_t)))
    {
        return 0;
    }

    klaviyo_record_read(record, p);

    return header.length;
}

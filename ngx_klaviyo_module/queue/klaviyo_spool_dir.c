/*
 * The queue room: which segments a spool has: the table, as the directory
 * told it at open and as it changed since, and what is taken away.
 *
 * Plain C; may touch the spool's directory, and the headers of segments.
 */


#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_crash.h"
#include "klaviyo_crc32c.h"
#include "klaviyo_spool_dir.h"
#include "klaviyo_spool_state.h"


static int klaviyo_spool_segments_exist(klaviyo_spool_t *spool, char *error);
static int klaviyo_spool_segment_number(const char *name, uint64_t *number);
static DIR *klaviyo_spool_list(const klaviyo_spool_t *spool, char *error);
static int klaviyo_spool_list_next(const klaviyo_spool_t *spool, DIR *list,
    uint64_t *number, char *error);
static int klaviyo_spool_segment_open(klaviyo_spool_t *spool, uint64_t number,
    char *error);
static int klaviyo_spool_segment_compare(const void *one, const void *two);


void
klaviyo_spool_segment_name(uint64_t number, char *name)
{
    (void) snprintf(name, KLAVIYO_SPOOL_NAME_MAX, "%016llx.spool",
                    (unsigned long long) number);
}


/* 1 and the number when it is a segment's name */

static int
klaviyo_spool_segment_number(const char *name, uint64_t *number)
{
    char  made[KLAVIYO_SPOOL_NAME_MAX];

    *number = strtoull(name, NULL, 16);

    klaviyo_spool_segment_name(*number, made);

    return *number < INT64_MAX && strcmp(name, made) == 0;
}


static DIR *
klaviyo_spool_list(const klaviyo_spool_t *spool, char *error)
{
    int   fd;
    DIR  *list;

    /* a descriptor of its own: reading moves its offset */

    fd = openat(spool->dir.fd, ".", O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    list = NULL;

    if (fd != -1) {
        list = fdopendir(fd);
    }

    if (list == NULL) {
        (void) klaviyo_file_error(error, "opendir() \"%s\" failed (%d: %m)%s",
                                  spool->dir.path, errno,
                                  klaviyo_file_hint(errno));

        if (fd != -1) {
            (void) close(fd);
        }
    }

    return list;
}


/*
 * 1 and the number of another segment, 0: there are no more, or -1: a list
 * that was cut short would look like segments lost.
 */

static int
klaviyo_spool_list_next(const klaviyo_spool_t *spool, DIR *list,
    uint64_t *number, char *error)
{
    struct dirent  *entry;

    do {
        errno = 0;
        entry = readdir(list);

        if (entry == NULL) {

            if (errno == 0) {
                return 0;
            }

            return klaviyo_file_error(error, "readdir() \"%s\" failed "
                                      "(%d: %m)", spool->dir.path, errno);
        }

    } while (!klaviyo_spool_segment_number(entry->d_name, number));

    return 1;
}


int
klaviyo_spool_segments_open(klaviyo_spool_t *spool, char *error)
{
    int       rc;
    DIR      *list;
    uint64_t  number;

    list = klaviyo_spool_list(spool, error);
    if (list == NULL) {
        return -1;
    }

    spool->next = spool->slot.tail_segment + 1;

    for ( ;; ) {
        rc = klaviyo_spool_list_next(spool, list, &number, error);

        if (rc != 1) {
            break;
        }

        rc = klaviyo_spool_segment_open(spool, number, error);

        if (rc != 0) {
            break;
        }
    }

    (void) closedir(list);

    if (spool->segments) {
        qsort(spool->segment, spool->segments,
              sizeof(klaviyo_spool_segment_t), klaviyo_spool_segment_compare);
    }

    return rc;
}


static int
klaviyo_spool_segment_open(klaviyo_spool_t *spool, uint64_t number,
    char *error)
{
    int                       fd;
    char                      name[KLAVIYO_SPOOL_NAME_MAX];
    ssize_t                   n;
    uint32_t                  crc;
    struct stat               st;
    klaviyo_spool_head_t      head;
    klaviyo_spool_segment_t  *segment;

    segment = klaviyo_spool_segment_push(spool, number);

    if (segment == NULL) {
        return klaviyo_file_error(error, "no memory (%d: %m)", errno);
    }

    segment->bad = 1;

    if (number < spool->slot.head_segment
        || number > spool->slot.tail_segment)
    {
        return 0;
    }

    klaviyo_spool_segment_name(number, name);

    fd = klaviyo_dir_file(&spool->dir, name, O_RDONLY, error);

    if (fd == -1) {
        return (errno == EIO) ? 0 : -1;
    }

    if (fstat(fd, &st) == 0) {
        segment->size = (uint64_t) st.st_size;
    }

    n = klaviyo_file_read(fd, &head, sizeof(klaviyo_spool_head_t), 0);

    (void) close(fd);

    if (n != (ssize_t) sizeof(klaviyo_spool_head_t)) {
        return 0;
    }

    crc = klaviyo_crc32c(0, &head, offsetof(klaviyo_spool_head_t, crc));

    if (memcmp(head.magic, KLAVIYO_SPOOL_SEGMENT_MAGIC, 8) == 0
        && head.version == KLAVIYO_SPOOL_VERSION
        && head.crc == crc
        && memcmp(head.uuid, spool->slot.uuid, KLAVIYO_RING_UUID_LEN) == 0
        && head.number == number)
    {
        segment->first = head.first;
        segment->bad = 0;
    }

    return 0;
}


klaviyo_spool_segment_t *
klaviyo_spool_segment_push(klaviyo_spool_t *spool, uint64_t number)
{
    size_t                    max;
    klaviyo_spool_segment_t  *segment;

    if (spool->segments == spool->segments_max) {
        max = spool->segments_max * 2 + 32;

        segment = reallocarray(spool->segment, max,
                               sizeof(klaviyo_spool_segment_t));
        if (segment == NULL) {
            return NULL;
        }

        spool->segment = segment;
        spool->segments_max = max;
    }

    segment = &spool->segment[spool->segments++];

    memset(segment, 0, sizeof(klaviyo_spool_segment_t));
    segment->number = number;

    return segment;
}


static int
klaviyo_spool_segment_compare(const void *one, const void *two)
{
    const klaviyo_spool_segment_t  *a, *b;

    a = one;
    b = two;

    return (a->number > b->number) - (a->number < b->number);
}


klaviyo_spool_state_e
klaviyo_spool_state_read(klaviyo_spool_t *spool, char *error)
{
    klaviyo_spool_state_e  state;

    state = (spool->state_fd == -1)
            ? KLAVIYO_SPOOL_STATE_NEW
            : klaviyo_spool_state_load(spool->state_fd, &spool->slot);

    if (state == KLAVIYO_SPOOL_STATE_ERROR) {
        (void) klaviyo_file_error(error, "reading \"%s/%s\" failed (%d: %m)%s",
                                  spool->dir.path, KLAVIYO_SPOOL_STATE_NAME,
                                  errno, klaviyo_file_hint(errno));
    }

    if (state != KLAVIYO_SPOOL_STATE_NEW) {
        return state;
    }

    switch (klaviyo_spool_segments_exist(spool, error)) {

    case -1:
        return KLAVIYO_SPOOL_STATE_ERROR;

    case 0:
        return KLAVIYO_SPOOL_STATE_NEW;

    default:
        return KLAVIYO_SPOOL_STATE_CORRUPT;
    }
}


/* 1: there are files that are named as segments are; 0, or -1 */

static int
klaviyo_spool_segments_exist(klaviyo_spool_t *spool, char *error)
{
    int       rc;
    DIR      *list;
    uint64_t  number;

    list = klaviyo_spool_list(spool, error);
    if (list == NULL) {
        return -1;
    }

    rc = klaviyo_spool_list_next(spool, list, &number, error);

    (void) closedir(list);

    return rc;
}


/* The state last: while it is there, a second attempt finds it again. */

int
klaviyo_spool_aside(klaviyo_spool_t *spool, const char *kind, char *to,
    char *error)
{
    int       fd, rc;
    DIR      *list;
    char      name[KLAVIYO_SPOOL_NAME_MAX];
    uint64_t  number;

    list = klaviyo_spool_list(spool, error);
    if (list == NULL) {
        return -1;
    }

    if (klaviyo_dir_make(&spool->dir, kind, to, error) == -1) {
        (void) closedir(list);
        return -1;
    }

    fd = openat(spool->dir.fd, to,
                O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);

    if (fd == -1) {
        rc = -1;
        goto failed;
    }

    for ( ;; ) {
        rc = klaviyo_spool_list_next(spool, list, &number, error);

        if (rc == -1) {
            goto done;
        }

        if (rc == 0) {
            break;
        }

        klaviyo_spool_segment_name(number, name);

        rc = renameat(spool->dir.fd, name, fd, name);

        if (rc == -1) {
            goto failed;
        }
    }

    rc = renameat(spool->dir.fd, KLAVIYO_SPOOL_STATE_NAME, fd,
                  KLAVIYO_SPOOL_STATE_NAME);

    if (rc == 0) {
        rc = fsync(spool->dir.fd);
    }

    if (rc == 0) {
        goto done;
    }

failed:

    (void) klaviyo_file_error(error, "moving \"%s/%s\" to \"%s\" failed "
                              "(%d: %m)%s", spool->dir.path,
                              KLAVIYO_SPOOL_STATE_NAME, to, errno,
                              klaviyo_file_hint(errno));

done:

    (void) closedir(list);

    if (fd != -1) {
        (void) close(fd);
    }

    /* only if nothing came so far: it may be tried again and again */

    if (rc == -1) {
        (void) unlinkat(spool->dir.fd, to, AT_REMOVEDIR);
    }

    return rc;
}


uint64_t
klaviyo_spool_used(const klaviyo_spool_t *spool)
{
    size_t    i;
    uint64_t  used;

    used = 0;

    for (i = 0; i < spool->segments; i++) {
        used += spool->segment[i].size;
    }

    return used;
}


klaviyo_spool_segment_t *
klaviyo_spool_segment_of(const klaviyo_spool_t *spool, uint64_t seq)
{
    size_t                    i;
    klaviyo_spool_segment_t  *segment;

    for (i = spool->segments; i > 0; i--) {
        segment = &spool->segment[i - 1];

        if (!segment->bad
            && segment->number <= spool->slot.tail_segment
            && klaviyo_spool_le(segment->first, seq))
        {
            return segment;
        }
    }

    return NULL;
}


uint64_t
klaviyo_spool_segment_end(const klaviyo_spool_t *spool,
    const klaviyo_spool_segment_t *segment)
{
    uint64_t                        end;
    const klaviyo_spool_segment_t  *next;

    end = spool->slot.tail_seq;

    for (next = segment + 1;
         next < spool->segment + spool->segments;
         next++)
    {
        if (!next->bad
            && next->number <= spool->slot.tail_segment
            && klaviyo_spool_lt(next->first, end))
        {
            end = next->first;
        }
    }

    return end;
}


void
klaviyo_spool_prune(klaviyo_spool_t *spool)
{
    char                      name[KLAVIYO_SPOOL_NAME_MAX];
    size_t                    i, kept;
    unsigned                  needed, unlinked;
    klaviyo_spool_slot_t     *slot;
    klaviyo_spool_segment_t  *segment;

    kept = 0;
    unlinked = 0;
    slot = &spool->slot;

    /* those before i, which move down, are not looked at any more */

    for (i = 0; i < spool->segments; i++) {
        segment = &spool->segment[i];

        needed = slot->head_seq != slot->tail_seq
                 && segment->number >= slot->head_segment
                 && segment->number <= slot->tail_segment
                 && (segment->bad
                     || klaviyo_spool_lt(segment->first,
                                         klaviyo_spool_segment_end(spool,
                                                                   segment)));

        if (!needed) {
            klaviyo_spool_segment_name(segment->number, name);

            if (unlinkat(spool->dir.fd, name, 0) == 0 || errno == ENOENT) {
                unlinked = 1;

                if (spool->read_fd != -1
                    && spool->read_number == segment->number)
                {
                    (void) close(spool->read_fd);
                    spool->read_fd = -1;
                }

                continue;
            }
        }

        spool->segment[kept++] = *segment;
    }

    if (spool->write_fd != -1
        && (kept == 0
            || spool->segment[kept - 1].number
               != spool->segment[spool->segments - 1].number))
    {
        (void) close(spool->write_fd);
        spool->write_fd = -1;
    }

    spool->segments = kept;

    if (unlinked) {
        (void) fsync(spool->dir.fd);
        klaviyo_crash("spool_unlinked");
    }
}

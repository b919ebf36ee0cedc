/*
 * The queue room: writing segments of a spool: beginning one, filling it,
 * syncing it, giving it up.
 *
 * Plain C; may touch the spool's segments.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_crash.h"
#include "klaviyo_crc32c.h"
#include "klaviyo_spool_dir.h"
#include "klaviyo_spool_segment.h"


static int klaviyo_spool_segment_begin(klaviyo_spool_t *spool,
    uint64_t first, char *error);
static int klaviyo_spool_segment_sync(klaviyo_spool_t *spool, char *error);
static int klaviyo_spool_segment_failed(klaviyo_spool_t *spool,
    const char *call, char *error);


uint32_t
klaviyo_spool_owner(const klaviyo_spool_t *spool, uint64_t number)
{
    return klaviyo_crc32c(spool->uuid_crc, &number, sizeof(uint64_t));
}


int
klaviyo_spool_segment_write(klaviyo_spool_t *spool, uint8_t *records,
    size_t len, klaviyo_spool_slot_t *slot, char *error)
{
    size_t                    at, n;
    uint32_t                  owner;
    uint64_t                  next, offset;
    klaviyo_header_t          record;
    klaviyo_spool_segment_t  *segment;

    next = spool->next;

    for (at = 0; at < len; at += n) {
        memcpy(&record, records + at, sizeof(klaviyo_header_t));

        segment = NULL;

        if (spool->write_fd != -1) {
            segment = &spool->segment[spool->segments - 1];
        }

        if (segment == NULL
            || (segment->size > KLAVIYO_SPOOL_BLOCK
                && segment->size + record.length > spool->segment_size))
        {
            if (klaviyo_spool_segment_sync(spool, error) == -1
                || klaviyo_spool_segment_begin(spool,
                                               at ? record.seq
                                                  : spool->slot.tail_seq,
                                               error)
                   == -1)
            {
                return -1;
            }

            segment = &spool->segment[spool->segments - 1];
        }

        owner = klaviyo_spool_owner(spool, segment->number);

        for (n = 0; at + n < len; n += record.length) {
            memcpy(&record, records + at + n, sizeof(klaviyo_header_t));

            offset = segment->size + n;

            if (n && offset + record.length > spool->segment_size) {
                break;
            }

            record.header_crc = klaviyo_record_crc(owner, offset, &record);

            memcpy(records + at + n, &record, sizeof(klaviyo_header_t));
        }

        if (klaviyo_file_write(spool->write_fd, records + at, n,
                               (off_t) segment->size)
            == -1)
        {
            return klaviyo_spool_segment_failed(spool, "write", error);
        }

        segment->size += n;
    }

    klaviyo_crash("spool_written");

    segment = &spool->segment[spool->segments - 1];
    slot->tail_segment = segment->number;
    slot->tail_offset = segment->size;

    if (fdatasync(spool->write_fd) == -1) {
        return klaviyo_spool_segment_failed(spool, "fdatasync", error);
    }

    if (spool->next != next && fsync(spool->dir.fd) == -1) {
        return klaviyo_file_error(error, "fsync() \"%s\" failed (%d: %m)%s",
                                  spool->dir.path, errno,
                                  klaviyo_file_hint(errno));
    }

    klaviyo_crash("spool_synced");

    return 0;
}


static int
klaviyo_spool_segment_begin(klaviyo_spool_t *spool, uint64_t first,
    char *error)
{
    char                      name[KLAVIYO_SPOOL_NAME_MAX];
    uint8_t                   block[KLAVIYO_SPOOL_BLOCK];
    klaviyo_spool_head_t      head;
    klaviyo_spool_segment_t  *segment;

    segment = klaviyo_spool_segment_push(spool, spool->next);

    if (segment == NULL) {
        return klaviyo_file_error(error, "no memory (%d: %m)", errno);
    }

    spool->next++;
    segment->first = first;

    klaviyo_spool_segment_name(segment->number, name);

    /* the rest of a crash that could not be unlinked then */

    (void) unlinkat(spool->dir.fd, name, 0);

    spool->write_fd = klaviyo_dir_file(&spool->dir, name,
                                       O_RDWR|O_CREAT|O_EXCL, error);

    if (spool->write_fd == -1) {
        return -1;
    }

    memset(&head, 0, sizeof(klaviyo_spool_head_t));
    memcpy(head.magic, KLAVIYO_SPOOL_SEGMENT_MAGIC, 8);
    head.version = KLAVIYO_SPOOL_VERSION;
    memcpy(head.uuid, spool->slot.uuid, KLAVIYO_RING_UUID_LEN);
    head.number = segment->number;
    head.first = first;
    head.crc = klaviyo_crc32c(0, &head, offsetof(klaviyo_spool_head_t, crc));

    memset(block, 0, KLAVIYO_SPOOL_BLOCK);
    memcpy(block, &head, sizeof(klaviyo_spool_head_t));

    if (klaviyo_file_write(spool->write_fd, block, KLAVIYO_SPOOL_BLOCK, 0)
        == -1)
    {
        return klaviyo_spool_segment_failed(spool, "write", error);
    }

    segment->size = KLAVIYO_SPOOL_BLOCK;

    klaviyo_crash("spool_created");

    return 0;
}


/* the segment that is written to, if any, will get no more */

static int
klaviyo_spool_segment_sync(klaviyo_spool_t *spool, char *error)
{
    if (spool->write_fd == -1) {
        return 0;
    }

    if (fdatasync(spool->write_fd) == -1) {
        return klaviyo_spool_segment_failed(spool, "fdatasync", error);
    }

    (void) close(spool->write_fd);
    spool->write_fd = -1;

    return 0;
}


static int
klaviyo_spool_segment_failed(klaviyo_spool_t *spool, const char *call,
    char *error)
{
    char  name[KLAVIYO_SPOOL_NAME_MAX];

    klaviyo_spool_segment_name(spool->segment[spool->segments - 1].number,
                               name);

    return klaviyo_file_error(error, "%s() \"%s/%s\" failed (%d: %m)%s", call,
                              spool->dir.path, name, errno,
                              klaviyo_file_hint(errno));
}


void
klaviyo_spool_abandon(klaviyo_spool_t *spool, uint64_t from)
{
    char                      name[KLAVIYO_SPOOL_NAME_MAX];
    klaviyo_spool_segment_t  *segment;

    if (spool->write_fd != -1) {
        (void) close(spool->write_fd);
        spool->write_fd = -1;
    }

    while (spool->segments) {
        segment = &spool->segment[spool->segments - 1];

        if (segment->number < from) {
            break;
        }

        klaviyo_spool_segment_name(segment->number, name);
        (void) unlinkat(spool->dir.fd, name, 0);

        spool->segments--;
    }

    klaviyo_spool_trim(spool);

    spool->abandoned++;
}


void
klaviyo_spool_trim(klaviyo_spool_t *spool)
{
    int                       fd;
    char                      name[KLAVIYO_SPOOL_NAME_MAX];
    struct stat               st;
    klaviyo_spool_segment_t  *segment;

    if (spool->segments == 0) {
        return;
    }

    segment = &spool->segment[spool->segments - 1];

    if (segment->number != spool->slot.tail_segment) {
        return;
    }

    klaviyo_spool_segment_name(segment->number, name);

    fd = klaviyo_dir_file(&spool->dir, name, O_RDWR, NULL);
    if (fd == -1) {
        return;
    }

    if (fstat(fd, &st) == 0) {

        segment->size = (uint64_t) st.st_size;

        if (segment->size > spool->slot.tail_offset
            && ftruncate(fd, (off_t) spool->slot.tail_offset) == 0)
        {
            segment->size = spool->slot.tail_offset;
        }
    }

    (void) close(fd);
}

/*
 * The queue room: reading a spool.  A record is in the chunk only after both
 * its checksums were right, and nothing of its header is used before.
 *
 * What cannot be read is a gap: a segment without its file, a header or a
 * payload that does not match, the rest of a segment behind an EIO.  Only
 * what may pass by itself, such as no memory or no descriptor left, is an
 * error: events are not given up for it.
 *
 * Plain C; may touch segments.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_spool_chunk.h"
#include "klaviyo_spool_dir.h"
#include "klaviyo_spool_private.h"
#include "klaviyo_spool_read.h"
#include "klaviyo_spool_segment.h"



/* reading one segment into a chunk, in the spool's numbering */

typedef struct {
    klaviyo_chunk_t  *chunk;
    uint32_t          owner;     /* see klaviyo_spool_owner()               */
    uint64_t          offset;    /* of the bytes that come next             */
    uint64_t          limit;     /* no record ends behind it                */
    uint64_t          seq;       /* what is before is not wanted            */
    uint64_t          end;       /* of the segment's sequences              */
    unsigned          full;      /* the chunk                               */
    unsigned          stop;      /* nothing more in here is any good        */
    unsigned          strict;    /* stop at the first gap                   */
} klaviyo_spool_reader_t;


static int klaviyo_spool_read_segment(klaviyo_spool_t *spool,
    const klaviyo_spool_segment_t *segment, klaviyo_spool_reader_t *reader,
    char *error);
static int klaviyo_spool_reader_open(klaviyo_spool_t *spool,
    const klaviyo_spool_segment_t *segment, klaviyo_spool_reader_t *reader,
    char *error);
static int klaviyo_spool_reader_fill(int fd, klaviyo_spool_reader_t *reader);
static size_t klaviyo_spool_reader_take(klaviyo_spool_reader_t *reader,
    size_t from, size_t to);
static int klaviyo_spool_passes(int err);


klaviyo_spool_rc_e
klaviyo_spool_read(klaviyo_spool_t *spool, uint64_t seq,
    klaviyo_chunk_t *chunk, char *error)
{
    size_t                    i;
    uint64_t                  delta;
    klaviyo_spool_reader_t    reader;
    klaviyo_spool_segment_t  *segment;

    error[0] = '\0';

    klaviyo_chunk_reset(chunk);

    if (klaviyo_chunk_grow(chunk, KLAVIYO_SPOOL_CHUNK) == -1) {
        (void) klaviyo_file_error(error, "no memory for a chunk of \"%s\" "
                                  "(%d: %m)", spool->dir.path, errno);
        return KLAVIYO_SPOOL_ERROR;
    }

    memset(&reader, 0, sizeof(klaviyo_spool_reader_t));

    delta = spool->slot.delta;
    reader.chunk = chunk;
    reader.seq = seq - delta;

    chunk->from = reader.seq;

    while (!reader.full
           && klaviyo_spool_lt(reader.seq, spool->slot.tail_seq))
    {
        segment = klaviyo_spool_segment_of(spool, reader.seq);

        if (segment == NULL) {

            /* before all that there is: the first that is to be believed */

            for (i = 0; i < spool->segments && spool->segment[i].bad; i++) {
                /* void */
            }

            if (i == spool->segments
                || !klaviyo_spool_lt(spool->segment[i].first,
                                     spool->slot.tail_seq))
            {
                reader.seq = spool->slot.tail_seq;
                break;
            }

            segment = &spool->segment[i];
        }

        if (klaviyo_spool_read_segment(spool, segment, &reader, error) == -1) {
            klaviyo_chunk_reset(chunk);
            return KLAVIYO_SPOOL_ERROR;
        }
    }

    chunk->to = reader.seq;

    if (klaviyo_spool_lt(chunk->to, chunk->from)) {
        chunk->to = chunk->from;
    }

    klaviyo_chunk_renumber(chunk, delta);

    return KLAVIYO_SPOOL_OK;
}


/* Leaves reader->seq behind what is known, at most at the segment's end. */

static int
klaviyo_spool_read_segment(klaviyo_spool_t *spool,
    const klaviyo_spool_segment_t *segment, klaviyo_spool_reader_t *reader,
    char *error)
{
    int  rc;

    reader->end = klaviyo_spool_segment_end(spool, segment);
    reader->stop = 0;

    /* not so with headers that we wrote; whatever they say, go on */

    if (!klaviyo_spool_lt(reader->seq, reader->end)) {
        reader->end = spool->slot.tail_seq;
    }

    rc = klaviyo_spool_reader_open(spool, segment, reader, error);

    if (rc == -1) {
        return -1;
    }

    if (rc == 1) {
        reader->seq = reader->end;
        return 0;
    }

    rc = klaviyo_spool_reader_fill(spool->read_fd, reader);

    if (rc == -1) {
        return klaviyo_file_error(error, "reading segment %016llx of \"%s\" "
                                  "failed (%d: %m)",
                                  (unsigned long long) segment->number,
                                  spool->dir.path, errno);
    }

    if (!reader->full) {
        reader->seq = reader->end;
    }

    spool->read_offset = reader->offset;
    spool->read_seq = reader->seq;

    return 0;
}


/* 0, 1: the segment cannot be read, -1: not now */

static int
klaviyo_spool_reader_open(klaviyo_spool_t *spool,
    const klaviyo_spool_segment_t *segment, klaviyo_spool_reader_t *reader,
    char *error)
{
    int          fd;
    char         name[KLAVIYO_SPOOL_NAME_MAX];
    struct stat  st;

    if (spool->read_fd == -1 || spool->read_number != segment->number) {
        klaviyo_spool_segment_name(segment->number, name);

        fd = klaviyo_dir_file(&spool->dir, name, O_RDONLY, error);

        if (fd == -1) {
            return klaviyo_spool_passes(errno) ? -1 : 1;
        }

        if (spool->read_fd != -1) {
            (void) close(spool->read_fd);
        }

        spool->read_fd = fd;
        spool->read_number = segment->number;
        spool->read_offset = KLAVIYO_SPOOL_BLOCK;
        spool->read_seq = segment->first;

    } else if (klaviyo_spool_lt(reader->seq, spool->read_seq)) {
        spool->read_offset = KLAVIYO_SPOOL_BLOCK;
        spool->read_seq = segment->first;
    }

    if (segment->number == spool->slot.tail_segment) {
        reader->limit = spool->slot.tail_offset;

    } else if (fstat(spool->read_fd, &st) == 0) {
        reader->limit = (uint64_t) st.st_size;

    } else {
        return 1;
    }

    if (reader->limit > KLAVIYO_SPOOL_SEGMENT_MAX) {
        reader->limit = KLAVIYO_SPOOL_SEGMENT_MAX;
    }

    reader->offset = spool->read_offset;
    reader->owner = klaviyo_spool_owner(spool, segment->number);

    return 0;
}


static int
klaviyo_spool_passes(int err)
{
    return err != ENOENT && err != EIO && err != ELOOP;
}


/*
 * Reads on from reader->offset until the chunk is full or the segment has no
 * more.  Bytes are read behind chunk->used; what is taken of them is moved
 * there.  0, or -1 and errno.
 */

static int
klaviyo_spool_reader_fill(int fd, klaviyo_spool_reader_t *reader)
{
    size_t            len, taken;
    ssize_t           n;
    klaviyo_chunk_t  *chunk;
    klaviyo_header_t  record;

    chunk = reader->chunk;

    while (!reader->full && !reader->stop && reader->offset < reader->limit) {

        len = chunk->size - chunk->used;

        if (len > reader->limit - reader->offset) {
            len = (size_t) (reader->limit - reader->offset);
        }

        if (len < sizeof(klaviyo_header_t)) {
            reader->full = (chunk->used != 0
                            && reader->limit - reader->offset > len);
            return 0;
        }

        n = klaviyo_file_read(fd, chunk->start + chunk->used, len,
                              (off_t) reader->offset);

        if (n == -1) {
            return klaviyo_spool_passes(errno) ? -1 : 0;
        }

        if ((size_t) n < len) {
            len = (size_t) n;
            reader->limit = reader->offset + len;
        }

        if (len < sizeof(klaviyo_header_t)) {
            return 0;
        }

        taken = klaviyo_spool_reader_take(reader, chunk->used,
                                          chunk->used + len);
        reader->offset += taken;

        if (taken || reader->stop) {
            continue;
        }

        /* a header that was good, of a record that has no room */

        if (chunk->used) {
            reader->full = 1;
            return 0;
        }

        memcpy(&record, chunk->start, sizeof(klaviyo_header_t));

        if (klaviyo_chunk_grow(chunk, record.length) == -1) {
            return -1;
        }
    }

    return 0;
}


/*
 * Looks at the bytes [from, to) of the chunk's memory, read at
 * reader->offset, and appends what is good to the chunk.  How many of the
 * bytes are done with: none, and no stop, when the first record is good as
 * far as it was read.
 */

static size_t
klaviyo_spool_reader_take(klaviyo_spool_reader_t *reader, size_t from,
    size_t to)
{
    size_t            at;
    uint64_t          offset;
    const uint8_t    *p;
    klaviyo_chunk_t  *chunk;
    klaviyo_header_t  record;

    chunk = reader->chunk;

    for (at = from;
         at + sizeof(klaviyo_header_t) <= to;
         at += record.length)
    {
        p = chunk->start + at;
        offset = reader->offset + (at - from);

        memcpy(&record, p, sizeof(klaviyo_header_t));

        if (record.header_crc
            != klaviyo_record_crc(reader->owner, offset, &record)
            || !klaviyo_record_sane(&record, reader->limit - offset))
        {
            /* a header begins at a multiple of 16 */

            if (reader->strict) {
                reader->stop = 1;
                break;
            }

            record.length = 16;
            continue;
        }

        if (!klaviyo_spool_lt(record.seq, reader->end)
            || (reader->strict && record.seq != reader->seq))
        {
            /* never committed, and so is all behind it */

            reader->stop = 1;
            break;
        }

        if (record.length > to - at) {
            break;
        }

        if (klaviyo_spool_lt(record.seq, reader->seq)) {
            continue;
        }

        if (!klaviyo_record_whole(&record, p + sizeof(klaviyo_header_t))) {
            if (reader->strict) {
                reader->stop = 1;
                break;
            }

            continue;
        }

        if (at != chunk->used) {
            memmove(chunk->start + chunk->used, p, record.length);
        }

        chunk->used += record.length;
        chunk->events++;

        reader->seq = record.seq + 1;
    }

    return at - from;
}


void
klaviyo_spool_scan_tail(klaviyo_spool_t *spool, uint64_t *offset,
    uint64_t *seq)
{
    int                       fd;
    char                      name[KLAVIYO_SPOOL_NAME_MAX];
    struct stat               st;
    klaviyo_chunk_t           chunk;
    klaviyo_spool_slot_t     *slot;
    klaviyo_spool_reader_t    reader;
    klaviyo_spool_segment_t  *segment;

    slot = &spool->slot;

    if (spool->segments == 0) {
        return;
    }

    segment = &spool->segment[spool->segments - 1];

    if (segment->bad
        || segment->number != slot->tail_segment
        || slot->tail_offset < KLAVIYO_SPOOL_BLOCK)
    {
        return;
    }

    klaviyo_spool_segment_name(segment->number, name);

    fd = klaviyo_dir_file(&spool->dir, name, O_RDWR, NULL);
    if (fd == -1) {
        return;
    }

    memset(&reader, 0, sizeof(klaviyo_spool_reader_t));
    memset(&chunk, 0, sizeof(klaviyo_chunk_t));

    if (fstat(fd, &st) == -1
        || klaviyo_chunk_grow(&chunk, KLAVIYO_SPOOL_CHUNK) == -1)
    {
        goto done;
    }

    reader.chunk = &chunk;
    reader.owner = klaviyo_spool_owner(spool, segment->number);
    reader.offset = slot->tail_offset;
    reader.limit = (uint64_t) st.st_size;

    if (reader.limit > KLAVIYO_SPOOL_SEGMENT_MAX) {
        reader.limit = KLAVIYO_SPOOL_SEGMENT_MAX;
    }

    reader.seq = slot->tail_seq;
    reader.end = slot->tail_seq + INT64_MAX;
    reader.strict = 1;

    /* a full chunk is no end */

    do {
        klaviyo_chunk_reset(&chunk);
        reader.full = 0;

        if (klaviyo_spool_reader_fill(fd, &reader) == -1) {
            break;
        }

    } while (reader.full);

    if (reader.seq != slot->tail_seq && fdatasync(fd) == 0) {
        *offset = reader.offset;
        *seq = reader.seq;
    }

done:

    klaviyo_chunk_free(&chunk);

    (void) close(fd);
}

/*
 * A spool of which every byte on the disk is hostile.  Checksums are made to
 * match as far as the first byte asks for it: whoever can write the files can
 * compute them too.  Nothing may crash, and reading comes to an end.
 *
 *     1 byte    what gets its checksum: 1 state, 2 heads, 4 headers of
 *               records, 8 payloads
 *     1 byte    numbers of the two segments, a half each
 *     1 byte    size of the first segment, in 16 bytes
 *     128       a slot of the state
 *     the rest  the segments: 56 bytes of head, records
 */


#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/klaviyo_crc32c.h"
#include "../unit/chunk.h"
#include "queue/klaviyo_spool_dir.h"
#include "queue/klaviyo_spool_open.h"
#include "queue/klaviyo_spool_private.h"
#include "queue/klaviyo_spool_read.h"


#define SIZE  (4 * 1024 * 1024)
#define MOST  1000                /* reads of two segments                  */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_state(const uint8_t *data, unsigned sign);
static void put_segment(uint64_t number, const uint8_t *data, size_t size,
    unsigned sign);
static void put_file(const char *name, const void *data, size_t size);
static void read_all(klaviyo_spool_t *spool);
static void add_one(klaviyo_spool_t *spool);
static void clean_below(const char *path, const char *name, int depth);
static void clean(void);


static char  dir[64];


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                    error[KLAVIYO_RING_ERROR_MAX];
    char                    note[KLAVIYO_RING_ERROR_MAX];
    size_t                  first;
    uint64_t                n, seq;
    klaviyo_spool_t        *spool;
    klaviyo_spool_conf_t    conf;
    klaviyo_spool_state_t   state;

    if (size < 3 + sizeof(klaviyo_spool_slot_t)) {
        return 0;
    }

    if (dir[0] == '\0') {
        strcpy(dir, "/tmp/klaviyo-fuzz-XXXXXX");

        if (access("/dev/shm", W_OK) == 0) {
            strcpy(dir, "/dev/shm/klaviyo-fuzz-XXXXXX");
        }

        if (mkdtemp(dir) == NULL) {
            abort();
        }

        (void) atexit(clean);
    }

    clean();
    (void) mkdir(dir, 0700);

    put_state(data + 3, data[0]);

    size -= 3 + sizeof(klaviyo_spool_slot_t);
    first = (size_t) data[2] * 16;

    if (first > size) {
        first = size;
    }

    put_segment(data[1] & 15, data + 3 + sizeof(klaviyo_spool_slot_t), first,
                data[0]);
    put_segment(data[1] >> 4, data + 3 + sizeof(klaviyo_spool_slot_t) + first,
                size - first, data[0]);

    memset(&conf, 0, sizeof(conf));
    conf.dir = dir;
    conf.size = SIZE;

    if (klaviyo_spool_open(&spool, &conf, error, note) != KLAVIYO_SPOOL_OK) {
        return 0;
    }

    read_all(spool);
    klaviyo_spool_second(spool, &seq);
    add_one(spool);
    read_all(spool);

    klaviyo_spool_state(spool, &state);
    (void) klaviyo_spool_forget(spool, seq, error);
    (void) klaviyo_spool_adopt(spool, state.ring, state.head, state.head + 1,
                               UINT64_MAX, 1, &n, error);
    read_all(spool);
    add_one(spool);
    klaviyo_spool_close(spool);

    if (klaviyo_spool_open(&spool, &conf, error, note) != KLAVIYO_SPOOL_OK) {
        abort();
    }

    read_all(spool);

    klaviyo_spool_state(spool, &state);
    (void) klaviyo_spool_forget(spool, state.tail, error);
    klaviyo_spool_close(spool);

    return 0;
}


static void
read_all(klaviyo_spool_t *spool)
{
    char                    error[KLAVIYO_RING_ERROR_MAX];
    unsigned                reads;
    uint64_t                seq;
    klaviyo_chunk_t         chunk;
    klaviyo_record_t        record;
    klaviyo_spool_state_t   state;

    memset(&chunk, 0, sizeof(chunk));
    klaviyo_spool_state(spool, &state);

    seq = state.head;

    for (reads = 0; seq != state.tail; reads++) {

        if (klaviyo_spool_read(spool, seq, &chunk, error) != KLAVIYO_SPOOL_OK
            || chunk.to == seq
            || reads > MOST)
        {
            abort();
        }

        while (klaviyo_chunk_next(&chunk, seq, &record) == KLAVIYO_RING_OK) {

            /* every byte of it, for the sanitizer */

            if (record.event.unique_id_len == 0
                || record.seq < seq
                || klaviyo_crc32c(0, record.event.unique_id,
                                  record.event.unique_id_len
                                  + record.event.profile_len
                                  + record.event.attributes_len)
                   != klaviyo_crc32c_portable(0, record.event.unique_id,
                                              record.event.unique_id_len
                                              + record.event.profile_len
                                              + record.event.attributes_len))
            {
                abort();
            }

            seq = record.next.seq;
        }

        seq = chunk.to;
    }

    klaviyo_chunk_free(&chunk);
}


static void
add_one(klaviyo_spool_t *spool)
{
    char                    error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_chunk_t         chunk;
    klaviyo_event_t         event;
    klaviyo_spool_state_t   state;

    memset(&chunk, 0, sizeof(chunk));
    memset(&event, 0, sizeof(event));

    event.unique_id = (const uint8_t *) "id";
    event.unique_id_len = 2;
    event.profile = event.unique_id;
    event.attributes = event.unique_id;
    event.attributes_len = 1;

    klaviyo_spool_state(spool, &state);

    if (chunk_put(&chunk, state.tail, &event) == 1) {
        (void) klaviyo_spool_write(spool, &chunk, 0, error);
    }

    klaviyo_chunk_free(&chunk);
}


static void
put_state(const uint8_t *data, unsigned sign)
{
    uint8_t               state[KLAVIYO_SPOOL_STATE_SIZE];
    klaviyo_spool_slot_t  slot;

    memcpy(&slot, data, sizeof(klaviyo_spool_slot_t));

    if (sign & 1) {
        memcpy(slot.magic, KLAVIYO_SPOOL_STATE_MAGIC, 8);
        slot.version = KLAVIYO_SPOOL_VERSION;
        slot.generation &= (uint64_t) INT64_MAX / 2 - 1;
        slot.crc = klaviyo_crc32c(0, &slot,
                                  offsetof(klaviyo_spool_slot_t, crc));
    }

    memset(state, 0, sizeof(state));
    memcpy(state, &slot, sizeof(klaviyo_spool_slot_t));

    put_file(KLAVIYO_SPOOL_STATE_NAME, state, sizeof(state));
}


static void
put_segment(uint64_t number, const uint8_t *data, size_t size, unsigned sign)
{
    char                  name[KLAVIYO_SPOOL_NAME_MAX];
    size_t                at;
    uint8_t              *p;
    uint32_t              crc;
    uint64_t              offset;
    klaviyo_spool_head_t  head;
    klaviyo_spool_slot_t  slot;
    klaviyo_header_t      record;

    static uint8_t          file[KLAVIYO_SPOOL_BLOCK + 65536];

    if (size < sizeof(klaviyo_spool_head_t)) {
        return;
    }

    memset(file, 0, sizeof(file));
    memcpy(&head, data, sizeof(klaviyo_spool_head_t));
    data += sizeof(klaviyo_spool_head_t);
    size -= sizeof(klaviyo_spool_head_t);

    if (size > sizeof(file) - KLAVIYO_SPOOL_BLOCK) {
        size = sizeof(file) - KLAVIYO_SPOOL_BLOCK;
    }

    /* the uuid is that of the seeds: zeroes */

    memset(&slot, 0, sizeof(slot));

    if (sign & 2) {
        memcpy(head.magic, KLAVIYO_SPOOL_SEGMENT_MAGIC, 8);
        head.version = KLAVIYO_SPOOL_VERSION;
        memcpy(head.uuid, slot.uuid, KLAVIYO_RING_UUID_LEN);
        head.number = number;
        head.crc = klaviyo_crc32c(0, &head,
                                  offsetof(klaviyo_spool_head_t, crc));
    }

    memcpy(file, &head, sizeof(klaviyo_spool_head_t));
    p = file + KLAVIYO_SPOOL_BLOCK;
    memcpy(p, data, size);

    for (at = 0;
         at + sizeof(klaviyo_header_t) <= size;
         at += klaviyo_record_align(record.length) + 16)
    {
        memcpy(&record, p + at, sizeof(klaviyo_header_t));
        record.length &= 0xffff;

        if (sign & 8) {
            record.type = KLAVIYO_RECORD_EVENT;
            record.flags = 0;
            record.reserved = 0;
        }

        if (klaviyo_record_sane(&record, size - at) && (sign & 8)) {
            record.payload_crc =
                klaviyo_crc32c(0, p + at + sizeof(klaviyo_header_t),
                               klaviyo_record_payload_len(&record));
        }

        if (sign & 4) {
            offset = KLAVIYO_SPOOL_BLOCK + at;

            crc = klaviyo_crc32c(0, slot.uuid, KLAVIYO_RING_UUID_LEN);
            crc = klaviyo_crc32c(crc, &number, sizeof(uint64_t));
            record.header_crc = klaviyo_record_crc(crc, offset, &record);
        }

        memcpy(p + at, &record, sizeof(klaviyo_header_t));

        /* one behind another, if it is one */

        if (klaviyo_record_sane(&record, size - at)) {
            record.length -= 16;

        } else {
            record.length = 0;
        }
    }

    klaviyo_spool_segment_name(number, name);
    put_file(name, file, KLAVIYO_SPOOL_BLOCK + size);
}


static void
put_file(const char *name, const void *data, size_t size)
{
    int   fd;
    char  path[128];

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);

    fd = open(path, O_WRONLY|O_CREAT|O_TRUNC, 0600);

    if (fd == -1 || write(fd, data, size) != (ssize_t) size) {
        abort();
    }

    (void) close(fd);
}


static void
clean_below(const char *path, const char *name, int depth)
{
    char            below[512];
    DIR            *list;
    struct dirent  *entry;

    (void) snprintf(below, sizeof(below), "%s%s%s", path, name[0] ? "/" : "",
                    name);

    list = opendir(below);

    while (list && (entry = readdir(list)) != NULL) {

        if (strcmp(entry->d_name, ".") == 0
            || strcmp(entry->d_name, "..") == 0)
        {
            continue;
        }

        if (unlinkat(dirfd(list), entry->d_name, 0) == -1 && depth < 2) {
            clean_below(below, entry->d_name, depth + 1);
        }
    }

    if (list) {
        (void) closedir(list);
    }

    (void) rmdir(below);
}


static void
clean(void)
{
    clean_below(dir, "", 0);
}

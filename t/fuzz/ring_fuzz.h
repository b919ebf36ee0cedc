/*
 * The file of ring_fuzz.c: its folder, what becomes of its bytes, and where it
 * is mapped.
 */


#ifndef RING_FUZZ_H
#define RING_FUZZ_H


#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "queue/klaviyo_crc32c.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_open.h"
#include "queue/klaviyo_ring_private.h"
#include "queue/klaviyo_ring_record.h"


#define SIZE     KLAVIYO_RING_MIN_SIZE
#define TOTAL    (KLAVIYO_RING_RECORDS + SIZE)
#define PAGES    KLAVIYO_RING_RECORDS
#define PAGE     KLAVIYO_RING_PAGE
#define RECORDS  12                  /* in the ring at first                */
#define BEFORE   1500                /* bytes before the end of the ring    */
#define MAPS     32
#define MOST     (SIZE / 16 * 2)     /* reads of a ring                     */

#define SIGN_FIXED    1
#define SIGN_SLOTS    2
#define SIGN_HEADERS  4
#define SIGN_BODIES   8
#define SIGN_ALL      15
#define OTHER_BOOT    16
#define DROP_OLDEST   32
#define SEIZED        32
#define WHO           192
#define DRAINS        64
#define BESIDE        128
#define LOOKS         192


/* a promise */

#define must(kept)                                                           \
    if (!(kept)) {                                                           \
        (void) fprintf(stderr, "broken, line %d: %s\n", __LINE__, #kept);    \
        abort();                                                             \
    }


void *__wrap_mmap(void *where, size_t size, int prot, int flags, int fd,
    off_t offset);
int __wrap_munmap(void *map, size_t size);
void *__real_mmap(void *where, size_t size, int prot, int flags, int fd,
    off_t offset);
int __real_munmap(void *map, size_t size);

static void clean(void);


static char      dir[64];
static char      path[96];
static char      error[KLAVIYO_RING_ERROR_MAX];
static char      note[KLAVIYO_RING_ERROR_MAX];

static uint8_t   image[TOTAL];
static uint8_t   file[TOTAL];
static uint64_t  place[RECORDS];     /* of the image's records, in the file */

static uint8_t   body[SIZE];         /* of the events that are added        */

static void     *maps[MAPS];


/*
 * Nobody sees the end of a process that is ended: the folder is removed by
 * another one, which sees the pipe close.
 */

static void
make_folder(void)
{
    int   end[2];
    char  byte;

    strcpy(dir, "/tmp/klaviyo-fuzz-XXXXXX");

    if (access("/dev/shm", W_OK) == 0) {
        strcpy(dir, "/dev/shm/klaviyo-fuzz-XXXXXX");
    }

    must(mkdtemp(dir) != NULL && pipe2(end, O_CLOEXEC) == 0);
    (void) snprintf(path, sizeof(path), "%s/ring", dir);

    switch (fork()) {

    case -1:
        abort();

    case 0:
        (void) signal(SIGINT, SIG_IGN);
        (void) signal(SIGTERM, SIG_IGN);
        (void) close(end[1]);

        (void) !read(end[0], &byte, 1);

        clean();
        (void) unlink(path);
        (void) snprintf(path, sizeof(path), "%s/ring.lock", dir);
        (void) unlink(path);
        (void) rmdir(dir);
        _exit(0);

    default:
        (void) close(end[0]);
    }
}


static void
overwrite(uint8_t *f, const uint8_t *data, size_t size, unsigned attached)
{
    size_t    at, n, i;
    uint64_t  number;
    unsigned  what;

    while (size > 3) {
        what = data[0] & 7;
        n = (data[0] >> 3) + 1;
        at = (size_t) data[1] << 8 | data[2];

        data += 3;
        size -= 3;
        n = (n < size) ? n : size;

        switch (what) {

        case 0:                      /* somewhere in the pages              */
            at %= PAGES - 32;
            break;

        case 1:                      /* header page                         */
            at %= sizeof(klaviyo_ring_fixed_t);
            break;

        case 2:                      /* shared page, behind the lock        */
        case 6:
            at %= sizeof(klaviyo_ring_shared_t) - 128;
            at += KLAVIYO_RING_SHARED + 128;
            break;

        case 3:                      /* ack slots                           */
        case 7:
            i = at & 1;
            at = (at >> 1) % sizeof(klaviyo_ring_slot_t);
            at += KLAVIYO_RING_SLOTS + i * PAGE;
            break;

        case 4:                      /* somewhere in the records            */
            at = PAGES + (place[0] - PAGES + at * 4) % (SIZE - 32);
            break;

        default:                     /* header of a record                  */
            i = (at >> 8) % RECORDS;
            at = place[i] + (at & 255) % sizeof(klaviyo_header_t);
            break;
        }

        if (what > 5) {              /* a number near the one that is there */
            at = at / 8 * 8;
            memcpy(&number, f + at, 8);
            number += (uint64_t) (int64_t) (int8_t) data[0]
                      * (n > 1 ? data[1] : 1);
            memcpy(f + at, &number, 8);
            n = 1;

        } else if (!attached
                   || at + n <= KLAVIYO_RING_SHARED
                   || at >= KLAVIYO_RING_SHARED + 128)
        {
            memcpy(f + at, data, n);
        }

        data += n;
        size -= n;
    }
}


/* none that will be too large soon: such a ring would end on the way */

static void
sign_number(uint64_t *n)
{
    if (*n > INT64_MAX - UINT32_MAX) {
        *n |= (uint64_t) 1 << 63;
    }
}


static void
sign(uint8_t *f, unsigned what)
{
    int                   i;
    uint8_t              *p;
    uint64_t              at, position, end, rest;
    klaviyo_ring_t        ring;
    klaviyo_ring_slot_t  *slot[2];
    klaviyo_header_t      header;

    memcpy(&ring.fixed, f, sizeof(klaviyo_ring_fixed_t));
    ring.uuid_crc = klaviyo_crc32c(0, ring.fixed.uuid, KLAVIYO_RING_UUID_LEN);

    if (what & SIGN_FIXED) {
        ring.fixed.crc = klaviyo_crc32c(0, &ring.fixed,
                                        offsetof(klaviyo_ring_fixed_t, crc));
        memcpy(f, &ring.fixed, sizeof(klaviyo_ring_fixed_t));
    }

    for (i = 0; i < 2; i++) {
        slot[i] = (klaviyo_ring_slot_t *)
                  (void *) (f + KLAVIYO_RING_SLOTS + i * PAGE);

        if (what & SIGN_SLOTS) {
            sign_number(&slot[i]->generation);
            sign_number(&slot[i]->position);
            sign_number(&slot[i]->seq);

            slot[i]->crc = klaviyo_crc32c(0, slot[i],
                                          offsetof(klaviyo_ring_slot_t, crc));
        }
    }

    i = slot[1]->generation > slot[0]->generation;
    position = slot[i]->position;
    end = position + 4 * BEFORE;

    while (position < end) {
        at = position % SIZE;
        rest = SIZE - at;

        if (rest < sizeof(klaviyo_header_t)) {
            position += rest;
            continue;
        }

        p = f + PAGES + at;
        memcpy(&header, p, sizeof(klaviyo_header_t));

        if ((header.type != KLAVIYO_RECORD_EVENT
             && header.type != KLAVIYO_RECORD_PAD)
            || header.length < sizeof(klaviyo_header_t))
        {
            position += 16;
            continue;
        }

        if ((what & SIGN_BODIES)
            && klaviyo_record_payload_len(&header) <= rest - sizeof(header))
        {
            header.payload_crc =
                klaviyo_crc32c(0, p + sizeof(klaviyo_header_t),
                               klaviyo_record_payload_len(&header));
        }

        if (what & SIGN_HEADERS) {
            sign_number(&header.seq);

            header.header_crc = klaviyo_record_crc(ring.uuid_crc, position,
                                                   &header);
        }

        memcpy(p, &header, sizeof(klaviyo_header_t));

        position += (header.length % 16 || header.length > rest)
                    ? 16 : header.length;
    }
}


static void
put_file(const uint8_t *f, size_t size)
{
    int  fd;

    fd = open(path, O_WRONLY|O_CREAT|O_CLOEXEC, 0600);

    must(fd != -1
         && pwrite(fd, f, size, 0) == (ssize_t) size
         && ftruncate(fd, (off_t) size) == 0);

    (void) close(fd);
}


static void
other_boot(void)
{
    int  fd;

    fd = open(path, O_WRONLY|O_CLOEXEC);

    must(fd != -1
         && pwrite(fd, "other", 5, KLAVIYO_RING_SHARED
                   + offsetof(klaviyo_ring_shared_t, boot_id)) == 5);

    (void) close(fd);
}


/* all but the ring and its lock file, which the next one can use */

static void
clean(void)
{
    DIR            *list;
    struct dirent  *entry;

    list = opendir(dir);

    while (list && (entry = readdir(list)) != NULL) {

        if (strncmp(entry->d_name, "ring.", 5) == 0
            && strcmp(entry->d_name, "ring.lock") != 0)
        {
            (void) unlinkat(dirfd(list), entry->d_name, 0);
        }
    }

    if (list) {
        (void) closedir(list);
    }
}


/* A ring's file is mapped with nothing beside it that could be read. */

void *
__wrap_mmap(void *where, size_t size, int prot, int flags, int fd,
    off_t offset)
{
    int      i;
    uint8_t  *room;

    if (fd == -1 || where != NULL || flags != MAP_SHARED) {
        return __real_mmap(where, size, prot, flags, fd, offset);
    }

    size = (size + PAGE - 1) / PAGE * PAGE;
    room = __real_mmap(NULL, size + 2 * PAGE, PROT_NONE,
                       MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE, -1, 0);
    must(room != MAP_FAILED);

    for (i = 0; maps[i]; i++) {
        must(i + 1 < MAPS);
    }

    maps[i] = __real_mmap(room + PAGE, size, prot, MAP_SHARED|MAP_FIXED, fd,
                          offset);
    must(maps[i] == room + PAGE);

    return maps[i];
}


int
__wrap_munmap(void *map, size_t size)
{
    int  i;

    for (i = 0; i < MAPS; i++) {

        if (map && maps[i] == map) {
            maps[i] = NULL;
            size = (size + PAGE - 1) / PAGE * PAGE;

            return __real_munmap((uint8_t *) map - PAGE, size + 2 * PAGE);
        }
    }

    return __real_munmap(map, size);
}


#endif /* RING_FUZZ_H */

/*
 * A disk below the files of one directory, for tests that are linked with
 *
 *     -Wl,--wrap=pwrite,--wrap=fdatasync,--wrap=fsync,--wrap=openat,
 *         --wrap=open,--wrap=close,--wrap=unlinkat,--wrap=ftruncate
 *
 * The files themselves are what the page cache has.  Beside them stands what
 * the disk has: for each file its bytes as of the last sync, for the
 * directory its names as of its last fsync.  A power failure leaves, for each
 * sector of 512 bytes and for each name, the one or the other.
 *
 * A sync that fails has written some sectors; the others are lost: as with
 * Linux, no later sync writes them unless they were written to again.
 */


#ifndef DISK_H
#define DISK_H


#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>


#define DISK_SECTOR  512
#define DISK_FILES   512
#define DISK_FDS     64
#define DISK_MAX     (1024 * 1024)       /* bytes of a file                 */


typedef struct {
    char      name[64];
    ino_t     ino;                       /* 0: has no name any more         */
    unsigned  used;
    unsigned  durable;                   /* the name is on the disk         */
    uint8_t  *disk;
    size_t    disk_size;
    uint8_t  *cache;                     /* of a file that was unlinked     */
    size_t    cache_size;
    uint8_t   lost[DISK_MAX / DISK_SECTOR];
} disk_file_t;


static disk_file_t  disk_file[DISK_FILES];
static int          disk_fd[DISK_FDS];
static unsigned     disk_fds;
static ino_t        disk_dir;            /* 0: nothing is simulated         */
static char         disk_path[256];

static jmp_buf      disk_crash;
static long         disk_crash_in;       /* calls until a crash; 0: none    */
static unsigned     disk_fault;          /* of 1000 calls fail              */
static uint64_t     disk_calls, disk_faults;

static uint64_t     disk_seed;


ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t offset);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_open(const char *path, int flags, ...);
int __real_openat(int dir, const char *name, int flags, ...);
int __real_close(int fd);
int __real_unlinkat(int dir, const char *name, int flags);
int __real_ftruncate(int fd, off_t size);

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t offset);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_open(const char *path, int flags, int mode);
int __wrap_openat(int dir, const char *name, int flags, int mode);
int __wrap_close(int fd);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __wrap_ftruncate(int fd, off_t size);


static inline uint64_t
disk_random(uint64_t below)
{
    disk_seed ^= disk_seed << 13;
    disk_seed ^= disk_seed >> 7;
    disk_seed ^= disk_seed << 17;

    return (disk_seed >> 11) % below;
}


static inline ino_t
disk_ino(int fd)
{
    struct stat  st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}


static inline int
disk_is_dir(int fd)
{
    return disk_dir != 0 && disk_ino(fd) == disk_dir;
}


static inline disk_file_t *
disk_of(int fd)
{
    ino_t     ino;
    unsigned  i;

    if (disk_dir == 0) {
        return NULL;
    }

    ino = disk_ino(fd);

    for (i = 0; i < DISK_FILES; i++) {
        if (disk_file[i].used && ino && disk_file[i].ino == ino) {
            return &disk_file[i];
        }
    }

    return NULL;
}


static inline disk_file_t *
disk_named(const char *name)
{
    unsigned  i;

    for (i = 0; i < DISK_FILES; i++) {
        if (disk_file[i].used && disk_file[i].ino
            && strcmp(disk_file[i].name, name) == 0)
        {
            return &disk_file[i];
        }
    }

    return NULL;
}


static inline void
disk_fail(const char *what)
{
    printf("Bail out! disk: %s\n", what);
    exit(2);
}


static inline void
disk_drop(disk_file_t *f)
{
    free(f->disk);
    free(f->cache);
    memset(f, 0, sizeof(disk_file_t));
}


static inline disk_file_t *
disk_new(const char *name, ino_t ino)
{
    unsigned  i;

    for (i = 0; i < DISK_FILES && disk_file[i].used; i++) { }

    if (i == DISK_FILES || strlen(name) >= sizeof(disk_file[i].name)) {
        disk_fail("too many files");
    }

    disk_file[i].used = 1;
    disk_file[i].ino = ino;
    strcpy(disk_file[i].name, name);

    return &disk_file[i];
}


/* a call that changes something: may be the last, may fail */

static inline int
disk_step(void)
{
    disk_calls++;

    if (disk_crash_in && --disk_crash_in == 0) {
        longjmp(disk_crash, 1);
    }

    if (disk_random(1000) < disk_fault) {
        disk_faults++;
        errno = disk_random(2) ? EIO : ENOSPC;
        return -1;
    }

    return 0;
}


/* what the page cache has of it */

static inline uint8_t *
disk_load(const char *name, size_t *size)
{
    int          fd;
    char         path[512];
    uint8_t     *data;
    struct stat  st;

    snprintf(path, sizeof(path), "%.250s/%.63s", disk_path, name);

    fd = __real_open(path, O_RDONLY);

    if (fd == -1 || fstat(fd, &st) == -1 || st.st_size > DISK_MAX) {
        disk_fail(path);
    }

    *size = (size_t) st.st_size;
    data = malloc(*size + 1);

    if (data == NULL || pread(fd, data, *size, 0) != st.st_size) {
        disk_fail("read");
    }

    __real_close(fd);

    return data;
}


/*
 * The disk gets, of the sectors that differ, all that can be (every == 1) or
 * some; sectors that it does not get are lost if the sync was one that failed.
 */

static inline void
disk_flush(disk_file_t *f, const uint8_t *cache, size_t size, int every,
    int lose)
{
    size_t    i, n, sectors;
    unsigned  odds;

    if (every || disk_random(2)) {

        f->disk = realloc(f->disk, size + 1);

        if (size > f->disk_size) {
            memset(f->disk + f->disk_size, 0, size - f->disk_size);
        }

        f->disk_size = size;
    }

    odds = (unsigned) disk_random(101);
    sectors = (f->disk_size + DISK_SECTOR - 1) / DISK_SECTOR;

    for (i = 0; i < sectors; i++) {
        n = f->disk_size - i * DISK_SECTOR;
        n = n < DISK_SECTOR ? n : DISK_SECTOR;

        if (i * DISK_SECTOR >= size) {
            break;
        }

        if (n > size - i * DISK_SECTOR) {
            n = size - i * DISK_SECTOR;
        }

        if (f->lost[i]
            || memcmp(f->disk + i * DISK_SECTOR, cache + i * DISK_SECTOR, n)
               == 0)
        {
            continue;
        }

        if (every || disk_random(100) < odds) {
            memcpy(f->disk + i * DISK_SECTOR, cache + i * DISK_SECTOR, n);

        } else if (lose) {
            f->lost[i] = 1;
        }
    }

    /* beyond the size that the disk has, all is lost */

    if (lose) {
        for ( /* void */ ; i * DISK_SECTOR < size; i++) {
            f->lost[i] = 1;
        }
    }
}


static inline int
disk_sync(int fd, disk_file_t *f)
{
    int       failed;
    size_t    size;
    uint8_t  *cache;

    (void) fd;

    failed = disk_step();
    cache = disk_load(f->name, &size);

    disk_flush(f, cache, size, !failed, failed);
    free(cache);

    if (failed) {
        errno = EIO;
    }

    return failed;
}


ssize_t
__wrap_pwrite(int fd, const void *data, size_t len, off_t offset)
{
    size_t        i;
    disk_file_t  *f;

    f = disk_of(fd);

    if (f) {
        if (disk_step() == -1) {

            /* a part of it, and the next one fails */

            if (len < 2 || disk_random(2)) {
                return -1;
            }

            len = 1 + disk_random(len - 1);
        }

        for (i = (size_t) offset / DISK_SECTOR;
             i * DISK_SECTOR < (size_t) offset + len;
             i++)
        {
            if (i >= sizeof(f->lost)) {
                disk_fail("a file is too large");
            }

            f->lost[i] = 0;
        }
    }

    return __real_pwrite(fd, data, len, offset);
}


int
__wrap_fdatasync(int fd)
{
    disk_file_t  *f;

    f = disk_of(fd);

    return f ? disk_sync(fd, f) : __real_fdatasync(fd);
}


int
__wrap_fsync(int fd)
{
    unsigned      i;
    disk_file_t  *f;

    f = disk_of(fd);

    if (f) {
        return disk_sync(fd, f);
    }

    if (!disk_is_dir(fd)) {
        return 0;
    }

    if (disk_step() == -1) {
        errno = EIO;
        return -1;
    }

    for (i = 0; i < DISK_FILES; i++) {
        f = &disk_file[i];

        if (f->used && f->ino == 0) {
            disk_drop(f);

        } else if (f->used) {
            f->durable = 1;
        }
    }

    return 0;
}


static inline int
disk_remember(int fd)
{
    if (fd != -1) {

        if (disk_fds == DISK_FDS) {
            disk_fail("too many descriptors");
        }

        disk_fd[disk_fds++] = fd;
    }

    return fd;
}


int
__wrap_open(const char *path, int flags, int mode)
{
    int  fd;

    fd = __real_open(path, flags, mode);

    return disk_is_dir(fd) ? disk_remember(fd) : fd;
}


int
__wrap_openat(int dir, const char *name, int flags, int mode)
{
    int  fd, made;

    if (!disk_is_dir(dir) || (flags & O_DIRECTORY)) {
        return __real_openat(dir, name, flags, mode);
    }

    made = (flags & O_CREAT) && disk_named(name) == NULL;

    if (made && disk_step() == -1) {
        return -1;
    }

    fd = __real_openat(dir, name, flags, mode);

    if (fd != -1 && made) {
        disk_new(name, disk_ino(fd));
    }

    return disk_remember(fd);
}


int
__wrap_close(int fd)
{
    unsigned  i;

    for (i = 0; i < disk_fds; i++) {
        if (disk_fd[i] == fd) {
            disk_fd[i] = disk_fd[--disk_fds];
            break;
        }
    }

    return __real_close(fd);
}


int
__wrap_unlinkat(int dir, const char *name, int flags)
{
    disk_file_t  *f;

    f = disk_is_dir(dir) ? disk_named(name) : NULL;

    if (f) {
        if (disk_step() == -1) {
            return -1;
        }

        f->cache = disk_load(name, &f->cache_size);
        f->ino = 0;

        if (!f->durable) {
            disk_drop(f);
        }
    }

    return __real_unlinkat(dir, name, flags);
}


int
__wrap_ftruncate(int fd, off_t size)
{
    if (disk_of(fd) && disk_step() == -1) {
        return -1;
    }

    return __real_ftruncate(fd, size);
}


/* the process is gone: its descriptors are closed */

static inline void
disk_killed(void)
{
    while (disk_fds) {
        __real_close(disk_fd[--disk_fds]);
    }

    disk_crash_in = 0;
}


/* the power is gone, and comes back */

static inline void
disk_power(void)
{
    int           fd;
    char          path[512];
    size_t        size;
    uint8_t      *cache;
    unsigned      i, j, kept;
    disk_file_t  *f;

    disk_killed();

    for (i = 0; i < DISK_FILES; i++) {
        f = &disk_file[i];

        if (!f->used) {
            continue;
        }

        if (f->ino) {
            cache = disk_load(f->name, &size);
            snprintf(path, sizeof(path), "%.250s/%.63s", disk_path, f->name);
            unlink(path);

        } else {
            cache = f->cache;
            size = f->cache_size;
            f->cache = NULL;
        }

        disk_flush(f, cache, size, 0, 0);
        free(cache);
    }

    for (i = 0; i < DISK_FILES; i++) {
        f = &disk_file[i];

        if (!f->used) {
            continue;
        }

        /* one name, one file */

        kept = (f->durable && f->ino) || disk_random(2);

        for (j = 0; j < i; j++) {
            kept = kept && !(disk_file[j].used
                             && strcmp(disk_file[j].name, f->name) == 0);
        }

        if (!kept) {
            disk_drop(f);
            continue;
        }

        snprintf(path, sizeof(path), "%.250s/%.63s", disk_path, f->name);

        fd = __real_open(path, O_RDWR|O_CREAT|O_EXCL, 0600);

        if (fd == -1
            || (f->disk_size
                && __real_pwrite(fd, f->disk, f->disk_size, 0)
                   != (ssize_t) f->disk_size))
        {
            disk_fail(path);
        }

        f->ino = disk_ino(fd);
        f->durable = 1;
        memset(f->lost, 0, sizeof(f->lost));
        __real_close(fd);
    }
}


#endif /* DISK_H */

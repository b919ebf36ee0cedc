/*
 * A disk that fails or hangs, on demand: loaded into nginx by LD_PRELOAD, see
 * t/disk_faults.t, which writes the control file.  Only calls on what is below
 * DISK_FAULT_DIR are touched.  The control file is mapped when the program
 * starts, as nginx clears the environment of its workers: one fault for each
 * kind of call.
 */


#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>


#define fault_real(name)  ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))


typedef enum {
    FAULT_OPEN = 0,                  /* for reading                         */
    FAULT_CREATE,                    /* for writing                         */
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_UNLINK,
    FAULT_READ,
    FAULT_UNLOAD,                    /* after a library was unloaded        */
    FAULT_N
} fault_e;


typedef struct {
    int32_t   error;                 /* 0: none                             */
    int32_t   delay;                 /* ms, before; -1: while it is ill     */
    int32_t   times;                 /* that are left; -1: no end           */
    uint32_t  hits;
    char      name[32];              /* a part of the path; "": any         */
} fault_t;


static int fault_met(fault_t *f);


static fault_t   fault_none[FAULT_N];
static fault_t  *fault = fault_none;
static char      fault_dir[PATH_MAX];


__attribute__((constructor))
static void
fault_init(void)
{
    int          fd;
    void        *map;
    const char  *path, *dir;

    path = getenv("DISK_FAULT_CONTROL");
    dir = getenv("DISK_FAULT_DIR");

    if (path == NULL || dir == NULL) {
        return;
    }

    (void) snprintf(fault_dir, sizeof(fault_dir), "%s", dir);

    fd = (int) syscall(SYS_openat, AT_FDCWD, path, O_RDWR|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    map = mmap(NULL, sizeof(fault_none), PROT_READ|PROT_WRITE, MAP_SHARED, fd,
               0);

    if (map != MAP_FAILED) {
        fault = map;
    }

    (void) syscall(SYS_close, fd);
}


/* the path of a descriptor, and of a name below it */

static int
fault_path(char *full, size_t size, int fd, const char *name)
{
    char     link[64];
    ssize_t  n;

    n = 0;

    if (name == NULL || name[0] != '/') {
        (void) snprintf(link, sizeof(link),
                        fd == AT_FDCWD ? "/proc/self/cwd"
                                       : "/proc/self/fd/%d", fd);

        n = readlink(link, full, size - 1);

        if (n == -1) {
            return -1;
        }
    }

    (void) snprintf(full + n, size - (size_t) n, "%s%s",
                    n && name ? "/" : "", name ? name : "");

    return 0;
}


/* 0, or the error that the call ends with; waits before */

static int
fault_of(fault_e kind, int fd, const char *name)
{
    char      full[PATH_MAX * 2];
    fault_t  *f;

    f = &fault[kind];

    if (__atomic_load_n(&f->times, __ATOMIC_ACQUIRE) == 0
        || fault_path(full, sizeof(full), fd, name) == -1
        || strncmp(full, fault_dir, strlen(fault_dir)) != 0
        || strstr(full, f->name) == NULL)
    {
        return 0;
    }

    return fault_met(f);
}


static int
fault_met(fault_t *f)
{
    int              error, delay, step;
    struct timespec  ts;

    if (f->times > 0) {
        (void) __atomic_sub_fetch(&f->times, 1, __ATOMIC_SEQ_CST);
    }

    (void) __atomic_add_fetch(&f->hits, 1, __ATOMIC_SEQ_CST);

    error = f->error;
    delay = f->delay;

    do {
        step = (delay < 0) ? 20 : delay;

        ts.tv_sec = step / 1000;
        ts.tv_nsec = (step % 1000) * 1000000;
        (void) nanosleep(&ts, NULL);

    } while (delay < 0 && __atomic_load_n(&f->times, __ATOMIC_ACQUIRE) != 0);

    return error;
}


#define fault_open(call, dir, before, arguments)                             \
                                                                             \
    int                                                                      \
    call before                                                              \
    {                                                                        \
        int      error, mode;                                                \
        va_list  args;                                                       \
                                                                             \
        va_start(args, flags);                                               \
        mode = (flags & O_CREAT) ? va_arg(args, int) : 0;                    \
        va_end(args);                                                        \
                                                                             \
        error = fault_of((flags & (O_CREAT|O_RDWR|O_WRONLY)) ? FAULT_CREATE  \
                                                             : FAULT_OPEN,   \
                         dir, path);                                         \
        if (error) {                                                         \
            errno = error;                                                   \
            return -1;                                                       \
        }                                                                    \
                                                                             \
        return fault_real(call) arguments;                                   \
    }


#define fault_call(type, call, kind, name, before, arguments)                \
                                                                             \
    type                                                                     \
    call before                                                              \
    {                                                                        \
        int  error;                                                          \
                                                                             \
        error = fault_of(kind, fd, name);                                    \
                                                                             \
        if (error) {                                                         \
            errno = error;                                                   \
            return -1;                                                       \
        }                                                                    \
                                                                             \
        return fault_real(call) arguments;                                   \
    }


fault_open(open, AT_FDCWD,
           (const char *path, int flags, ...), (path, flags, mode))
fault_open(open64, AT_FDCWD,
           (const char *path, int flags, ...), (path, flags, mode))
fault_open(openat, fd,
           (int fd, const char *path, int flags, ...), (fd, path, flags, mode))
fault_open(openat64, fd,
           (int fd, const char *path, int flags, ...), (fd, path, flags, mode))

fault_call(ssize_t, write, FAULT_WRITE, NULL,
           (int fd, const void *data, size_t n), (fd, data, n))
fault_call(ssize_t, pwrite, FAULT_WRITE, NULL,
           (int fd, const void *data, size_t n, off_t at), (fd, data, n, at))
fault_call(ssize_t, pwrite64, FAULT_WRITE, NULL,
           (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at))
fault_call(ssize_t, pread, FAULT_READ, NULL,
           (int fd, void *data, size_t n, off_t at), (fd, data, n, at))
fault_call(ssize_t, pread64, FAULT_READ, NULL,
           (int fd, void *data, size_t n, off64_t at), (fd, data, n, at))
fault_call(int, fsync, FAULT_SYNC, NULL, (int fd), (fd))
fault_call(int, fdatasync, FAULT_SYNC, NULL, (int fd), (fd))
fault_call(int, ftruncate, FAULT_WRITE, NULL, (int fd, off_t size),
           (fd, size))
fault_call(int, ftruncate64, FAULT_WRITE, NULL, (int fd, off64_t size),
           (fd, size))
fault_call(int, unlinkat, FAULT_UNLINK, name,
           (int fd, const char *name, int flags), (fd, name, flags))


int
dlclose(void *library)
{
    int       rc;
    fault_t  *f;

    rc = fault_real(dlclose)(library);

    f = &fault[FAULT_UNLOAD];

    if (__atomic_load_n(&f->times, __ATOMIC_ACQUIRE) != 0) {
        (void) fault_met(f);
    }

    return rc;
}

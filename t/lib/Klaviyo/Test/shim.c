/*
 * What the system does wrong, on demand: loaded into nginx by LD_PRELOAD, see
 * Shim.pm, which writes the control file.  It is mapped when the program
 * starts, as nginx clears the environment of its workers:
 *
 *     int64  clock   seconds that CLOCK_REALTIME is ahead
 *     int32  dns     UDP port on 127.0.0.1 of the only name server, 0: none
 *     int32  error   of files below SHIM_DIR that are made or made to grow
 *
 * And what the event loop does between two turns: in SHIM_LOOP each process
 * writes the longest time, in ms of the processor, to a file of its own.
 */


#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


#define shim_real(name)  ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))


typedef struct {
    int64_t  clock;
    int32_t  dns;
    int32_t  error;
} shim_control_t;


static shim_control_t            shim_none;
static volatile shim_control_t  *shim_control = &shim_none;
static char                      shim_dir[PATH_MAX];
static char                      shim_loop[PATH_MAX];


__attribute__((constructor))
static void
shim_init(void)
{
    int          fd;
    void        *map;
    const char  *path, *dir, *loop;

    path = getenv("SHIM_CONTROL");
    dir = getenv("SHIM_DIR");
    loop = getenv("SHIM_LOOP");

    if (path == NULL) {
        return;
    }

    if (dir) {
        (void) snprintf(shim_dir, sizeof(shim_dir), "%s/", dir);
    }

    if (loop) {
        (void) snprintf(shim_loop, sizeof(shim_loop), "%s", loop);
    }

    fd = (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    map = mmap(NULL, sizeof(shim_control_t), PROT_READ, MAP_SHARED, fd, 0);

    if (map != MAP_FAILED) {
        shim_control = map;
    }

    (void) close(fd);
}


int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    int  rc;

    rc = (int) syscall(SYS_clock_gettime, clock, ts);

    if (rc == 0
        && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    {
        ts->tv_sec += shim_control->clock;
    }

    return rc;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec  ts;

    (void) zone;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *t)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    if (t) {
        *t = ts.tv_sec;
    }

    return ts.tv_sec;
}


/* the thread's own resolver: _res is another one in each */

int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
    if (shim_control->dns && res_init() == 0) {
        _res.nscount = 1;
        _res.nsaddr_list[0].sin_family = AF_INET;
        _res.nsaddr_list[0].sin_port = htons(shim_control->dns);
        _res.nsaddr_list[0].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        _res.retry = 2;
        _res.retrans = 5;
    }

    return shim_real(getaddrinfo)(node, service, hints, res);
}


/* the error for this path (below a descriptor), 0: none */

static int
shim_fails(int fd, const char *path)
{
    char     link[64], full[PATH_MAX * 2];
    ssize_t  n;

    if (shim_control->error == 0 || shim_dir[0] == '\0') {
        return 0;
    }

    n = 0;

    if (path == NULL || path[0] != '/') {
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);

        n = readlink(link, full, PATH_MAX);

        if (n == -1) {
            return 0;
        }
    }

    (void) snprintf(full + n, sizeof(full) - n, "/%s", path ? path : "");

    path = full[1] == '/' ? full + 1 : full;

    return strncmp(path, shim_dir, strlen(shim_dir)) == 0
           ? shim_control->error : 0;
}


#define shim_open(name, dir, before, call)                                   \
                                                                             \
    int                                                                      \
    name before                                                              \
    {                                                                        \
        int      mode;                                                       \
        va_list  args;                                                       \
                                                                             \
        va_start(args, flags);                                               \
        mode = (flags & (O_CREAT|O_TMPFILE)) ? va_arg(args, int) : 0;        \
        va_end(args);                                                        \
                                                                             \
        if (flags & O_CREAT) {                                               \
            errno = shim_fails(dir, path);                                   \
                                                                             \
            if (errno) {                                                     \
                return -1;                                                   \
            }                                                                \
        }                                                                    \
                                                                             \
        return shim_real(name) call;                                         \
    }


shim_open(open, AT_FDCWD,
          (const char *path, int flags, ...), (path, flags, mode))
shim_open(open64, AT_FDCWD,
          (const char *path, int flags, ...), (path, flags, mode))
shim_open(openat, fd,
          (int fd, const char *path, int flags, ...), (fd, path, flags, mode))
shim_open(openat64, fd,
          (int fd, const char *path, int flags, ...), (fd, path, flags, mode))


int
posix_fallocate(int fd, off_t offset, off_t len)
{
    int  rc;

    rc = shim_fails(fd, NULL);

    return rc ? rc : shim_real(posix_fallocate)(fd, offset, len);
}


int
posix_fallocate64(int fd, off64_t offset, off64_t len)
{
    int  rc;

    rc = shim_fails(fd, NULL);

    return rc ? rc : shim_real(posix_fallocate64)(fd, offset, len);
}


/* the processor's time, as others on the machine are no fault of the loop's */

int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    int              rc, file;
    char             path[PATH_MAX * 2];
    double           ms;
    struct timespec  ts;

    static pid_t            owner;
    static double           longest;
    static struct timespec  begin;

    /* nginx tries epoll out with one event, before the loop begins */

    if (shim_loop[0] == '\0' || n == 1) {
        return shim_real(epoll_wait)(fd, events, n, timeout);
    }

    if (owner == getpid()) {
        (void) syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &ts);

        ms = (ts.tv_sec - begin.tv_sec) * 1e3
             + (ts.tv_nsec - begin.tv_nsec) / 1e6;

        if (ms > longest) {
            longest = ms;

            (void) snprintf(path, sizeof(path), "%s/%d", shim_loop,
                            (int) owner);

            file = (int) syscall(SYS_openat, AT_FDCWD, path,
                                 O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0644);

            if (file != -1) {
                (void) dprintf(file, "%.3f\n", longest);
                (void) close(file);
            }
        }

    } else {
        owner = getpid();
        longest = 0;
    }

    rc = shim_real(epoll_wait)(fd, events, n, timeout);

    (void) syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &begin);

    return rc;
}

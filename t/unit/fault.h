/*
 * Calls that fail one at a time, for a test that is linked with --wrap of each
 * of them (LDFLAGS_fault_test in the Makefile): whatever fails, an operation
 * says so, leaves nothing behind, and can be tried again.
 */


#ifndef FAULT_H
#define FAULT_H


#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tap.h"


#define FAULT_MAX    1000            /* calls of an operation               */
#define FAULT_ERRNO  EMFILE          /* nobody takes it for another reason  */


static int          fault_in;        /* calls until one fails; 0: none does */
static int          fault_libc;      /* within a call: libc's own are none  */
static const char  *fault_call;      /* the one that did                    */

static void       (*fault_before)(const char *name);     /* a call; or NULL  */


static inline int
fault(const char *name)
{
    if (fault_before && !fault_libc) {
        fault_before(name);
    }

    if (fault_libc || fault_in == 0 || --fault_in > 0) {
        return 0;
    }

    fault_call = name;
    errno = FAULT_ERRNO;

    return 1;
}


#define fault_wrap(type, failed, name, params, args)                         \
    type __real_##name params;                                               \
    type __wrap_##name params;                                               \
                                                                             \
    type                                                                     \
    __wrap_##name params                                                     \
    {                                                                        \
        type  rc;                                                            \
                                                                             \
        if (fault(#name)) {                                                  \
            return failed;                                                   \
        }                                                                    \
                                                                             \
        fault_libc++;                                                        \
        rc = __real_##name args;                                             \
        fault_libc--;                                                        \
                                                                             \
        return rc;                                                           \
    }


fault_wrap(int, -1, open, (const char *path, int flags, int mode),
           (path, flags, mode))
fault_wrap(int, -1, openat, (int dir, const char *name, int flags, int mode),
           (dir, name, flags, mode))
fault_wrap(int, -1, fstat, (int fd, struct stat *st), (fd, st))
fault_wrap(int, -1, stat, (const char *path, struct stat *st), (path, st))
fault_wrap(int, -1, fstatat, (int dir, const char *name, struct stat *st,
           int flags), (dir, name, st, flags))
fault_wrap(int, -1, fstatfs, (int fd, struct statfs *fs), (fd, fs))
fault_wrap(int, -1, faccessat, (int dir, const char *name, int mode,
           int flags), (dir, name, mode, flags))
fault_wrap(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
fault_wrap(int, -1, mkdirat, (int dir, const char *name, mode_t mode),
           (dir, name, mode))
fault_wrap(int, -1, rename, (const char *from, const char *to), (from, to))
fault_wrap(int, -1, renameat, (int from_dir, const char *from, int to_dir,
           const char *to), (from_dir, from, to_dir, to))
fault_wrap(int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
fault_wrap(int, -1, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
fault_wrap(int, -1, ftruncate, (int fd, off_t size), (fd, size))
fault_wrap(int, FAULT_ERRNO, posix_fallocate, (int fd, off_t at, off_t len),
           (fd, at, len))
fault_wrap(int, -1, fsync, (int fd), (fd))
fault_wrap(int, -1, fdatasync, (int fd), (fd))
fault_wrap(int, -1, fcntl, (int fd, int command, void *arg),
           (fd, command, arg))
fault_wrap(ssize_t, -1, pread, (int fd, void *data, size_t len, off_t at),
           (fd, data, len, at))
fault_wrap(ssize_t, -1, pwrite, (int fd, const void *data, size_t len,
           off_t at), (fd, data, len, at))
fault_wrap(ssize_t, -1, readlinkat, (int dir, const char *name, char *to,
           size_t size), (dir, name, to, size))
fault_wrap(ssize_t, -1, getrandom, (void *to, size_t len, unsigned flags),
           (to, len, flags))
fault_wrap(void *, MAP_FAILED, mmap, (void *at, size_t len, int prot,
           int flags, int fd, off_t offset), (at, len, prot, flags, fd,
           offset))
fault_wrap(DIR *, NULL, fdopendir, (int fd), (fd))
fault_wrap(void *, NULL, malloc, (size_t size), (size))
fault_wrap(void *, NULL, calloc, (size_t n, size_t size), (n, size))
fault_wrap(void *, NULL, realloc, (void *p, size_t size), (p, size))
fault_wrap(void *, NULL, reallocarray, (void *p, size_t n, size_t size),
           (p, n, size))
fault_wrap(char *, NULL, strndup, (const char *s, size_t len), (s, len))


/*
 * `begin` makes what an operation finds, `run` gives 0, or -1 with the text in
 * `error`.  Each of its calls fails once: the operation fails and tells why,
 * but for those in `without`, in their order: it is done without them.  With
 * "!" before it: it fails with a text that has no errno.
 */

static inline void
fault_each(void (*begin)(void), int (*run)(void), const char *error,
    const char *without, const char *what)
{
    int   n, rc, again, fds, wrong;
    char  done[1024];

    wrong = 0;
    done[0] = '\0';

    for (n = 1; n < FAULT_MAX; n++) {
        begin();
        fds = tap_fds();

        fault_call = NULL;
        fault_in = n;
        rc = run();
        fault_in = 0;

        if (fault_call == NULL) {
            break;
        }

        if (rc == 0 || strstr(error, strerror(FAULT_ERRNO)) == NULL) {
            (void) snprintf(done + strlen(done), sizeof(done) - strlen(done),
                            "%s%s%s", done[0] ? " " : "", rc ? "!" : "",
                            fault_call);
        }

        again = (rc == 0) ? 0 : run();

        if (again != 0 || tap_fds() != fds) {
            diag("call %d, %s() failed: then %d, %d descriptors more: %s", n,
                 fault_call, again, tap_fds() - fds, error);
            wrong++;
        }
    }

    is_int(rc, 0, "%s: without a fault it is done", what);
    is_int(wrong, 0, "%s: %d calls fail in turn", what, n - 1);
    is_str(done, without, "%s: what it is done without", what);
}


#endif /* FAULT_H */

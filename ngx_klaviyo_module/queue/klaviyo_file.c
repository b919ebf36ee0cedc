/*
 * The queue room: a directory of our own and the files in it.
 *
 * Plain C; may touch nothing but what it is asked to open or make.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "klaviyo_file.h"
#include "klaviyo_ring.h"


static int klaviyo_dir_create(const klaviyo_dir_t *dir, char *error);
static int klaviyo_dir_mkdir(const char *path, char *error);
static int klaviyo_dir_check(const klaviyo_dir_t *dir, char *error);
static int klaviyo_dir_check_stat(const klaviyo_dir_t *dir, const char *name,
    const struct stat *st, char *error);


int
klaviyo_file_error(char *error, const char *fmt, ...)
{
    int      err;
    va_list  args;

    err = errno;

    if (error) {
        va_start(args, fmt);
        (void) vsnprintf(error, KLAVIYO_RING_ERROR_MAX, fmt, args);
        va_end(args);
    }

    errno = err;

    return -1;
}


const char *
klaviyo_file_hint(int err)
{
    switch (err) {

    case ENOSPC:
        return ": the disk is full, make place on it";

    case EDQUOT:
        return ": the quota is used up, raise it";

    case EFBIG:
        return ": the limit of a file's size is too low, raise it";

    case EROFS:
        return ": the file system is read-only, look for errors of its disk";

    case EIO:
        return ": the disk fails, look into the kernel's log";

    case EACCES:
    case EPERM:
        return ": give it to the user that nginx's workers run as";

    case EMFILE:
    case ENFILE:
        return ": too many open files, raise worker_rlimit_nofile";

    default:
        return "";
    }
}


int
klaviyo_file_stranger(const struct stat *st)
{
    return st->st_uid != 0 && st->st_uid != geteuid();
}


int
klaviyo_dir_open(klaviyo_dir_t *dir, const char *path, char *error)
{
    size_t  len;

    len = strlen(path);

    while (len > 1 && path[len - 1] == '/') {
        len--;
    }

    dir->fd = -1;

    dir->path = strndup(path, len);
    if (dir->path == NULL) {
        return klaviyo_file_error(error, "no memory (%d: %m)", errno);
    }

    dir->fd = open(dir->path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (dir->fd == -1 && errno == ENOENT) {

        if (klaviyo_dir_create(dir, error) == -1) {
            return -1;
        }

        dir->fd = open(dir->path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    }

    if (dir->fd == -1) {
        return klaviyo_file_error(error, "open() \"%s\" failed (%d: %m)%s",
                                  dir->path, errno, klaviyo_file_hint(errno));
    }

    return klaviyo_dir_check(dir, error);
}


static int
klaviyo_dir_create(const klaviyo_dir_t *dir, char *error)
{
    char   parent[PATH_MAX];
    char  *slash;

    (void) snprintf(parent, sizeof(parent), "%s", dir->path);

    slash = strrchr(parent, '/');

    if (slash && slash != parent) {
        *slash = '\0';

        if (klaviyo_dir_mkdir(parent, error) == -1) {
            return -1;
        }
    }

    return klaviyo_dir_mkdir(dir->path, error);
}


static int
klaviyo_dir_mkdir(const char *path, char *error)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) {
        return 0;
    }

    return klaviyo_file_error(error, "mkdir() \"%s\" failed (%d: %m), "
                              "create it or choose another path", path,
                              errno);
}


static int
klaviyo_dir_check(const klaviyo_dir_t *dir, char *error)
{
    struct stat  st;

    if (fstat(dir->fd, &st) == -1) {
        return klaviyo_file_error(error, "fstat() \"%s\" failed (%d: %m)",
                                  dir->path, errno);
    }

    if (st.st_mode & S_IWOTH) {
        errno = EPERM;
        return klaviyo_file_error(error, "\"%s\" is writable by every user, "
                                  "events would not be safe there: choose a "
                                  "directory of nginx's own", dir->path);
    }

    if (klaviyo_file_stranger(&st)) {
        errno = EPERM;
        return klaviyo_file_error(error, "\"%s\" belongs to another user "
                                  "(uid %lu): give it to the user that "
                                  "nginx's workers run as", dir->path,
                                  (unsigned long) st.st_uid);
    }

    return 0;
}


int
klaviyo_dir_writable(const klaviyo_dir_t *dir, char *error)
{
    if (faccessat(dir->fd, ".", R_OK|W_OK|X_OK, AT_EACCESS) == -1) {
        return klaviyo_file_error(error, "\"%s\" is not writable (%d: %m)%s",
                                  dir->path, errno, klaviyo_file_hint(errno));
    }

    return 0;
}


void
klaviyo_dir_close(klaviyo_dir_t *dir)
{
    if (dir->fd != -1) {
        (void) close(dir->fd);
        dir->fd = -1;
    }

    free(dir->path);
    dir->path = NULL;
}


static int
klaviyo_dir_check_stat(const klaviyo_dir_t *dir, const char *name,
    const struct stat *st, char *error)
{
    const char  *what;

    if (S_ISLNK(st->st_mode)) {
        what = "is a symbolic link";

    } else if (S_ISDIR(st->st_mode)) {
        what = "is a directory";

    } else if (!S_ISREG(st->st_mode)) {
        what = "is not a regular file";

    } else if (st->st_nlink > 1) {
        what = "has more than one name";

    } else if (klaviyo_file_stranger(st)) {
        what = "belongs to another user";

    } else {
        return 0;
    }

    errno = ELOOP;

    return klaviyo_file_error(error, "\"%s/%s\" %s, which a file of the queue "
                              "may not be: remove it or choose another path",
                              dir->path, name, what);
}


int
klaviyo_dir_file(const klaviyo_dir_t *dir, const char *name, int flags,
    char *error)
{
    int          fd, err, rc;
    struct stat  st;

    /* for the text only: what counts is asked of the descriptor below */

    if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {

        if (klaviyo_dir_check_stat(dir, name, &st, error) == -1) {
            return -1;
        }
    }

    fd = openat(dir->fd, name,
                O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY|flags, 0600);

    if (fd == -1) {
        return klaviyo_file_error(error, "open() \"%s/%s\" failed (%d: %m)%s",
                                  dir->path, name, errno,
                                  klaviyo_file_hint(errno));
    }

    if (fstat(fd, &st) == -1) {
        rc = klaviyo_file_error(error, "fstat() \"%s/%s\" failed (%d: %m)",
                                dir->path, name, errno);

    } else {
        rc = klaviyo_dir_check_stat(dir, name, &st, error);
    }

    if (rc == 0
        && (st.st_mode & (S_IRWXG|S_IRWXO))
        && fchmod(fd, 0600) == -1)
    {
        rc = klaviyo_file_error(error, "chmod() \"%s/%s\" failed (%d: %m), "
                                "others than its owner can read it",
                                dir->path, name, errno);
    }

    if (rc == -1) {
        err = errno;
        (void) close(fd);
        errno = err;
        return -1;
    }

    return fd;
}


int
klaviyo_dir_make(const klaviyo_dir_t *dir, const char *name, char *made,
    char *error)
{
    int        n;
    long long  now;

    now = (long long) time(NULL);

    for (n = 0; n < 1000; n++) {
        (void) snprintf(made, 128, "%s-%lld-%d", name, now, n);

        if (mkdirat(dir->fd, made, 0700) == 0) {
            return 0;
        }

        if (errno != EEXIST) {
            break;
        }
    }

    return klaviyo_file_error(error, "mkdir() \"%s/%s\" failed (%d: %m)%s",
                              dir->path, made, errno,
                              klaviyo_file_hint(errno));
}


static void
klaviyo_file_lock_fill(struct flock *lock, int type, off_t byte)
{
    memset(lock, 0, sizeof(struct flock));

    lock->l_type = (short) type;
    lock->l_whence = SEEK_SET;
    lock->l_start = byte;
    lock->l_len = 1;
}


int
klaviyo_file_lock(int fd, int type, off_t byte)
{
    struct flock  lock;

    klaviyo_file_lock_fill(&lock, type, byte);

    return fcntl(fd, F_OFD_SETLK, &lock) == -1 ? errno : 0;
}


int
klaviyo_file_locked(int fd, off_t byte)
{
    struct flock  lock;

    klaviyo_file_lock_fill(&lock, F_WRLCK, byte);

    if (fcntl(fd, F_OFD_GETLK, &lock) == -1) {
        return -1;
    }

    return lock.l_type != F_UNLCK;
}


int
klaviyo_file_write(int fd, const void *data, size_t len, off_t offset)
{
    ssize_t         n;
    const uint8_t  *p;

    p = data;

    while (len) {
        n = pwrite(fd, p, len, offset);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n == -1) {
            return -1;
        }

        if (n == 0) {
            errno = ENOSPC;
            return -1;
        }

        p += n;
        len -= (size_t) n;
        offset += n;
    }

    return 0;
}


ssize_t
klaviyo_file_read(int fd, void *data, size_t len, off_t offset)
{
    size_t    got;
    ssize_t   n;
    uint8_t  *p;

    p = data;

    for (got = 0; got < len; got += (size_t) n) {
        n = pread(fd, p + got, len - got, offset + (off_t) got);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n == -1) {
            return -1;
        }

        if (n == 0) {
            break;
        }
    }

    return (ssize_t) got;
}

/*
 * The queue room: the configured path, the directory and the files in it,
 * before a byte of them is believed.  Names are looked up below one
 * descriptor of the directory, links are not followed, and what is refused
 * says why.
 *
 * Plain C.  May touch the directory and the lock file.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "klaviyo_file.h"
#include "klaviyo_ring_dir.h"


#define KLAVIYO_RING_LOCK_STEP  10   /* ms */


typedef struct {
    uint32_t     magic;              /* of statfs(2)                        */
    const char  *name;
} klaviyo_ring_fs_t;


static int klaviyo_ring_is_other(const klaviyo_ring_t *ring,
    const char *name, const struct stat *st);


/* where two machines, or the kernel and a server, may see two files */

static const klaviyo_ring_fs_t  klaviyo_ring_network_fs[] = {
    { 0x00006969, "NFS" },
    { 0x0000517b, "SMB" },
    { 0xfe534d42, "SMB" },
    { 0xff534d42, "CIFS" },
    { 0x0000564c, "NCP" },
    { 0x01021997, "9P" },
    { 0x65735546, "FUSE" },
    { 0x00c36400, "Ceph" },
    { 0x5346414f, "AFS" },
    { 0x73757245, "Coda" },
    { 0x0bd00bd0, "Lustre" },
    { 0x47504653, "GPFS" },
    { 0x7461636f, "OCFS2" },
    { 0x01161970, "GFS2" },
    { 0x786f4256, "VirtualBox shared folder" },
    { 0, NULL }
};


static klaviyo_ring_rc_e klaviyo_ring_check_dir(klaviyo_ring_t *ring,
    char *error);


klaviyo_ring_rc_e
klaviyo_ring_check_conf(const klaviyo_ring_conf_t *conf, uint64_t *capacity,
    char *error)
{
    size_t       len;
    const char  *name;

    name = strrchr(conf->path, '/');
    len = strlen(conf->path);

    if (conf->path[0] != '/' || name == NULL || name[1] == '\0') {
        return klaviyo_ring_error(error, "\"%s\" is not the full path of a "
                                  "file", conf->path);
    }

    if (len > PATH_MAX - 64) {
        return klaviyo_ring_error(error, "the path \"%.64s...\" is too long",
                                  conf->path);
    }

    if (conf->size < KLAVIYO_RING_MIN_SIZE) {
        return klaviyo_ring_error(error, "the size of \"%s\" is below the "
                                  "least of %dk", conf->path,
                                  KLAVIYO_RING_MIN_SIZE / 1024);
    }

    if (conf->size > SIZE_MAX / 4) {
        return klaviyo_ring_error(error, "the size of \"%s\" is too large",
                                  conf->path);
    }

    *capacity = (conf->size + KLAVIYO_RING_PAGE - 1)
                / KLAVIYO_RING_PAGE * KLAVIYO_RING_PAGE;

    return KLAVIYO_RING_OK;
}


klaviyo_ring_rc_e
klaviyo_ring_open_dir(klaviyo_ring_t *ring, char *error)
{
    ring->dir_fd = open(ring->dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (ring->dir_fd == -1 && errno == ENOENT) {

        if (mkdir(ring->dir, 0700) == -1) {

            if (errno != EEXIST) {
                return klaviyo_ring_error(error, "mkdir() \"%s\" failed "
                                          "(%d: %m), create it or choose "
                                          "another path",
                                          ring->dir, errno);
            }

        } else {
            ring->dir_created = 1;
        }

        ring->dir_fd = open(ring->dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    }

    if (ring->dir_fd == -1) {
        return klaviyo_ring_error(error, "open() \"%s\" failed (%d: %m), "
                                  "the queue needs this directory%s",
                                  ring->dir, errno, klaviyo_file_hint(errno));
    }

    return klaviyo_ring_check_dir(ring, error);
}


static klaviyo_ring_rc_e
klaviyo_ring_check_dir(klaviyo_ring_t *ring, char *error)
{
    int            i;
    struct stat    st;
    struct statfs  fs;

    if (fstat(ring->dir_fd, &st) == -1 || fstatfs(ring->dir_fd, &fs) == -1) {
        return klaviyo_ring_error(error, "stat() \"%s\" failed (%d: %m)",
                                  ring->dir, errno);
    }

    if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)) {
        return klaviyo_ring_error(error, "\"%s\" is writable by every user, "
                                  "events would not be safe there: give the "
                                  "queue a directory of its own, such as "
                                  "\"%s/nginx-klaviyo\"",
                                  ring->dir,
                                  strcmp(ring->dir, "/") ? ring->dir : "");
    }

    if (klaviyo_file_stranger(&st)) {
        return klaviyo_ring_error(error, "\"%s\" belongs to another user "
                                  "(uid %lu): give it to the user that "
                                  "nginx's workers run as", ring->dir,
                                  (unsigned long) st.st_uid);
    }

    ring->dir_sticky = (st.st_mode & S_IWOTH) != 0;

    for (i = 0; klaviyo_ring_network_fs[i].name; i++) {

        if ((uint32_t) fs.f_type == klaviyo_ring_network_fs[i].magic) {
            return klaviyo_ring_error(error, "\"%s\" is on a network file "
                                      "system (%s), which processes cannot "
                                      "share a queue on: choose a local "
                                      "path, best on tmpfs",
                                      ring->dir,
                                      klaviyo_ring_network_fs[i].name);
        }
    }

    return KLAVIYO_RING_OK;
}


klaviyo_ring_rc_e
klaviyo_ring_check_stat(const klaviyo_ring_t *ring, const char *name,
    const struct stat *st, char *error)
{
    const char  *what;

    if (S_ISREG(st->st_mode)) {

        if (st->st_nlink != 1) {
            what = "has more than one name";

        } else if (ring->dir_sticky && klaviyo_file_stranger(st)) {
            what = "belongs to another user";

        } else if (klaviyo_ring_is_other(ring, name, st)) {
            return klaviyo_ring_error(error, "\"%s/%s\" is not a queue but "
                                      "some other file: choose another path",
                                      ring->dir, name);

        } else {
            return KLAVIYO_RING_OK;
        }

    } else if (S_ISLNK(st->st_mode)) {
        what = "is a symbolic link";

    } else if (S_ISDIR(st->st_mode)) {
        what = "is a directory";

    } else {
        what = "is not a regular file";
    }

    return klaviyo_ring_error(error, "\"%s/%s\" %s, which a queue may not "
                              "be: remove it or choose another path",
                              ring->dir, name, what);
}


/*
 * A file that never was a ring is not ours to move aside: neither its size
 * nor its beginning is a ring's.  Damage spares one of them.
 */

static int
klaviyo_ring_is_other(const klaviyo_ring_t *ring, const char *name,
    const struct stat *st)
{
    int      fd;
    char     magic[sizeof(KLAVIYO_RING_MAGIC) - 1];
    ssize_t  n;

    if (strcmp(name, ring->name) != 0
        || st->st_size == 0
        || (st->st_size >= KLAVIYO_RING_RECORDS + KLAVIYO_RING_MIN_SIZE
            && st->st_size % KLAVIYO_RING_PAGE == 0))
    {
        return 0;
    }

    fd = openat(ring->dir_fd, name,
                O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY);
    if (fd == -1) {
        return 0;
    }

    n = pread(fd, magic, sizeof(magic), 0);

    (void) close(fd);

    return n != (ssize_t) sizeof(magic)
           || memcmp(magic, KLAVIYO_RING_MAGIC, sizeof(magic)) != 0;
}


/* OK with the descriptor, EMPTY when the file is missing, ERROR. */

klaviyo_ring_rc_e
klaviyo_ring_open_at(const klaviyo_ring_t *ring, const char *name, int flags,
    int *fd, char *error)
{
    struct stat        st;
    klaviyo_ring_rc_e  rc;

    /* for the text only: what counts is asked of the descriptor below */

    if (fstatat(ring->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        rc = klaviyo_ring_check_stat(ring, name, &st, error);

        if (rc != KLAVIYO_RING_OK) {
            return rc;
        }

        /* in a sticky directory Linux refuses O_CREAT of another's file */

        if (!(flags & O_EXCL)) {
            flags &= ~O_CREAT;
        }
    }

    *fd = openat(ring->dir_fd, name,
                 O_RDWR|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY|flags, 0600);

    if (*fd == -1) {

        if (errno == ENOENT && !(flags & O_CREAT)) {
            return KLAVIYO_RING_EMPTY;
        }

        return klaviyo_ring_error(error, "open() \"%s/%s\" failed (%d: %m)%s",
                                  ring->dir, name, errno,
                                  klaviyo_file_hint(errno));
    }

    if (fstat(*fd, &st) == -1) {
        rc = klaviyo_ring_error(error, "fstat() \"%s/%s\" failed (%d: %m)",
                                ring->dir, name, errno);

    } else {
        rc = klaviyo_ring_check_stat(ring, name, &st, error);
    }

    if (rc == KLAVIYO_RING_OK
        && (st.st_mode & (S_IRWXG|S_IRWXO))
        && fchmod(*fd, 0600) == -1)
    {
        rc = klaviyo_ring_error(error, "chmod() \"%s/%s\" failed (%d: %m), "
                                "others than its owner can read it",
                                ring->dir, name, errno);
    }

    if (rc != KLAVIYO_RING_OK) {
        (void) close(*fd);
        *fd = -1;
    }

    return rc;
}


/*
 * The lock file is never renamed or removed: its lock makes attaching, moving
 * aside and creating one thing at a time for everybody who uses this path.
 */

klaviyo_ring_rc_e
klaviyo_ring_open_lock(klaviyo_ring_t *ring, const char *name, int wait,
    char *error)
{
    int                rc;
    struct stat        st, now;
    struct timespec    step;
    klaviyo_ring_rc_e  opened;

    step.tv_sec = 0;
    step.tv_nsec = KLAVIYO_RING_LOCK_STEP * 1000000L;

    for ( ;; ) {

        if (ring->lock_fd == -1) {
            opened = klaviyo_ring_open_at(ring, name, O_CREAT, &ring->lock_fd,
                                          error);

            if (opened != KLAVIYO_RING_OK) {
                return opened;
            }
        }

        rc = klaviyo_file_lock(ring->lock_fd, F_WRLCK, 0);

        if (rc == 0) {

            /* an administrator may have removed it meanwhile */

            if (fstat(ring->lock_fd, &st) == 0
                && fstatat(ring->dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0
                && st.st_ino == now.st_ino
                && st.st_dev == now.st_dev)
            {
                return KLAVIYO_RING_OK;
            }

            (void) close(ring->lock_fd);
            ring->lock_fd = -1;

        } else if (rc != EAGAIN && rc != EACCES) {
            errno = rc;
            return klaviyo_ring_error(error, "fcntl(F_OFD_SETLK) \"%s/%s\" "
                                      "failed (%d: %m), the file system "
                                      "must know locks",
                                      ring->dir, name, rc);
        }

        if (wait <= 0) {
            return klaviyo_ring_error(error, "\"%s/%s\" is locked by another "
                                      "process that is opening the queue, "
                                      "try again",
                                      ring->dir, name);
        }

        (void) nanosleep(&step, NULL);
        wait -= KLAVIYO_RING_LOCK_STEP;
    }
}

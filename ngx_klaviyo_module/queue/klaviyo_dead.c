/*
 * The queue room: the file of dead letters.
 *
 * It is opened anew by each call, as a worker of before a reload may write to
 * it as well.  Between the two stands an OFD lock of the file itself; who has
 * got it looks whether the path still names that file, for the other may have
 * rotated it meanwhile.
 *
 * What commits: the directory is synced before the first byte of a new file,
 * the file after the last one of each call.  An error takes what was written
 * off the end again; what a crash tore there is ended with a newline.
 *
 * A line that is larger than half of the size has a file to itself.
 *
 * Plain C.  May touch the two files and their directory.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "klaviyo_crash.h"
#include "klaviyo_dead.h"
#include "klaviyo_file.h"


#define KLAVIYO_DEAD_LOCK_WAIT  5000     /* ms, for another writer          */
#define KLAVIYO_DEAD_LOCK_STEP  10       /* ms                              */
#define KLAVIYO_DEAD_READ       16384    /* bytes, counting lines           */


typedef struct {
    const klaviyo_dead_conf_t  *conf;
    char                       *error;
    const char                 *name;    /* the last component              */
    char                        old[NAME_MAX + 1];   /* name + ".1"         */
    klaviyo_dir_t               dir;
    int                         fd;      /* -1, or the locked file          */
} klaviyo_dead_t;


static int klaviyo_dead_open(klaviyo_dead_t *dead,
    const klaviyo_dead_conf_t *conf, char *error);
static int klaviyo_dead_file(klaviyo_dead_t *dead);
static void klaviyo_dead_unlock(klaviyo_dead_t *dead);
static void klaviyo_dead_close(klaviyo_dead_t *dead);
static int klaviyo_dead_lock(klaviyo_dead_t *dead);
static int klaviyo_dead_append(klaviyo_dead_t *dead, const uint8_t *lines,
    size_t len, size_t *done, uint64_t *dropped);
static int klaviyo_dead_put(klaviyo_dead_t *dead, off_t size,
    const uint8_t *lines, size_t len);
static int klaviyo_dead_rotate(klaviyo_dead_t *dead, uint64_t *dropped);
static uint64_t klaviyo_dead_count(klaviyo_dead_t *dead);
static size_t klaviyo_dead_fit(const uint8_t *lines, size_t len, size_t room);


klaviyo_ring_rc_e
klaviyo_dead_check(const klaviyo_dead_conf_t *conf, unsigned make,
    char *error)
{
    int             rc;
    klaviyo_dead_t  dead;

    rc = klaviyo_dead_open(&dead, conf, error);

    /* a rotation, perhaps in months, makes files in there */

    if (rc == 0) {
        rc = klaviyo_dir_writable(&dead.dir, error);
    }

    if (rc == 0
        && (make
            || faccessat(dead.dir.fd, dead.name, F_OK, AT_SYMLINK_NOFOLLOW)
               == 0))
    {
        rc = klaviyo_dead_file(&dead);
    }

    klaviyo_dead_close(&dead);

    return (rc == 0) ? KLAVIYO_RING_OK : KLAVIYO_RING_ERROR;
}


klaviyo_ring_rc_e
klaviyo_dead_write(const klaviyo_dead_conf_t *conf, const uint8_t *lines,
    size_t len, uint64_t *dropped, char *error)
{
    int             rc;
    size_t          done;
    klaviyo_dead_t  dead;

    *dropped = 0;

    rc = klaviyo_dead_open(&dead, conf, error);

    while (rc == 0 && len > 0) {
        rc = klaviyo_dead_append(&dead, lines, len, &done, dropped);

        lines += done;
        len -= done;
    }

    klaviyo_dead_close(&dead);

    return (rc == 0) ? KLAVIYO_RING_OK : KLAVIYO_RING_ERROR;
}


/* the directory and the names; to be closed whatever it returns */

static int
klaviyo_dead_open(klaviyo_dead_t *dead, const klaviyo_dead_conf_t *conf,
    char *error)
{
    char         dir[PATH_MAX];
    size_t       len;
    const char  *name;

    memset(dead, 0, sizeof(klaviyo_dead_t));

    dead->conf = conf;
    dead->error = error;
    dead->dir.fd = -1;
    dead->fd = -1;

    error[0] = '\0';

    name = strrchr(conf->path, '/');

    if (conf->path[0] != '/' || name == NULL || name[1] == '\0') {
        return klaviyo_file_error(error, "\"%s\" is not the full path of a "
                                  "file", conf->path);
    }

    name++;

    if (strlen(conf->path) > PATH_MAX - 64 || strlen(name) > NAME_MAX - 2) {
        return klaviyo_file_error(error, "the path \"%.64s...\" is too long",
                                  conf->path);
    }

    if (conf->size < KLAVIYO_DEAD_MIN_SIZE) {
        return klaviyo_file_error(error, "the size of \"%s\" is below the "
                                  "least of %dk", conf->path,
                                  KLAVIYO_DEAD_MIN_SIZE / 1024);
    }

    len = strlen(name);
    memcpy(dead->old, name, len);
    memcpy(dead->old + len, ".1", sizeof(".1"));

    len = (size_t) (name - conf->path);
    memcpy(dir, conf->path, len);
    dir[len] = '\0';

    dead->name = name;

    return klaviyo_dir_open(&dead->dir, dir, error);
}


static int
klaviyo_dead_file(klaviyo_dead_t *dead)
{
    dead->fd = klaviyo_dir_file(&dead->dir, dead->name,
                                O_RDWR|O_APPEND|O_CREAT, dead->error);

    return (dead->fd == -1) ? -1 : 0;
}


static void
klaviyo_dead_unlock(klaviyo_dead_t *dead)
{
    (void) close(dead->fd);
    dead->fd = -1;
}


static void
klaviyo_dead_close(klaviyo_dead_t *dead)
{
    if (dead->fd != -1) {
        klaviyo_dead_unlock(dead);
    }

    klaviyo_dir_close(&dead->dir);
}


/* opens the file that the path names and has it to itself until its close */

static int
klaviyo_dead_lock(klaviyo_dead_t *dead)
{
    int              rc, wait;
    struct stat      st, now;
    struct timespec  step;

    step.tv_sec = 0;
    step.tv_nsec = KLAVIYO_DEAD_LOCK_STEP * 1000000L;

    for (wait = KLAVIYO_DEAD_LOCK_WAIT;
         wait > 0;
         wait -= KLAVIYO_DEAD_LOCK_STEP)
    {
        if (dead->fd == -1 && klaviyo_dead_file(dead) == -1) {
            return -1;
        }

        rc = klaviyo_file_lock(dead->fd, F_WRLCK, 0);

        if (rc == 0) {

            if (fstat(dead->fd, &st) == 0
                && fstatat(dead->dir.fd, dead->name, &now,
                           AT_SYMLINK_NOFOLLOW) == 0
                && st.st_ino == now.st_ino
                && st.st_dev == now.st_dev)
            {
                return 0;
            }

            klaviyo_dead_unlock(dead);
            continue;
        }

        if (rc != EAGAIN && rc != EACCES) {
            errno = rc;
            return klaviyo_file_error(dead->error, "fcntl(F_OFD_SETLK) "
                                      "\"%s\" failed (%d: %m)",
                                      dead->conf->path, rc);
        }

        (void) nanosleep(&step, NULL);
    }

    return klaviyo_file_error(dead->error, "\"%s\" is locked by another "
                              "process", dead->conf->path);
}


/*
 * As many whole lines as fit into the file, *done bytes, or a rotation and
 * none of them.
 */

static int
klaviyo_dead_append(klaviyo_dead_t *dead, const uint8_t *lines, size_t len,
    size_t *done, uint64_t *dropped)
{
    int          rc;
    uint64_t     half;
    struct stat  st;

    *done = 0;

    if (klaviyo_dead_lock(dead) == -1) {
        return -1;
    }

    if (fstat(dead->fd, &st) == -1) {
        return klaviyo_file_error(dead->error, "fstat() \"%s\" failed "
                                  "(%d: %m)", dead->conf->path, errno);
    }

    half = dead->conf->size / 2;

    /* one byte less, for the end of a torn line */

    if ((uint64_t) st.st_size + 1 < half) {
        *done = klaviyo_dead_fit(lines, len, half - st.st_size - 1);
    }

    if (*done == 0) {

        if (st.st_size > 0) {
            return klaviyo_dead_rotate(dead, dropped);
        }

        *done = klaviyo_dead_fit(lines, len, 0);
    }

    /* whoever made the file may not have come so far */

    if (st.st_size == 0 && fsync(dead->dir.fd) == -1) {
        return klaviyo_file_error(dead->error, "fsync() \"%s\" failed "
                                  "(%d: %m)%s", dead->dir.path, errno,
                                  klaviyo_file_hint(errno));
    }

    rc = klaviyo_dead_put(dead, st.st_size, lines, *done);

    klaviyo_dead_unlock(dead);

    return rc;
}


/* behind the `size` bytes that the locked file has */

static int
klaviyo_dead_put(klaviyo_dead_t *dead, off_t size, const uint8_t *lines,
    size_t len)
{
    int          err;
    off_t        end;
    uint8_t      last;
    const char  *call;

    end = size;
    last = '\n';

    if (size > 0 && klaviyo_file_read(dead->fd, &last, 1, size - 1) == -1) {
        return klaviyo_file_error(dead->error, "read() \"%s\" failed "
                                  "(%d: %m)%s", dead->conf->path, errno,
                                  klaviyo_file_hint(errno));
    }

    call = "write()";

    if (last != '\n') {

        if (klaviyo_file_write(dead->fd, "\n", 1, end) == -1) {
            goto failed;
        }

        end++;
    }

    if (klaviyo_file_write(dead->fd, lines, len, end) == -1) {
        goto failed;
    }

    klaviyo_crash("dead_written");

    call = "fdatasync()";

    if (fdatasync(dead->fd) == -1) {
        goto failed;
    }

    klaviyo_crash("dead_synced");

    return 0;

failed:

    err = errno;

    (void) (ftruncate(dead->fd, size) == 0);

    errno = err;

    return klaviyo_file_error(dead->error, "%s \"%s\" failed (%d: %m)%s",
                              call, dead->conf->path, err,
                              klaviyo_file_hint(err));
}


/* under the lock; the directory is synced before the new file's first byte */

static int
klaviyo_dead_rotate(klaviyo_dead_t *dead, uint64_t *dropped)
{
    uint64_t  n;

    n = klaviyo_dead_count(dead);

    if (renameat(dead->dir.fd, dead->name, dead->dir.fd, dead->old) == -1) {
        return klaviyo_file_error(dead->error, "rename() \"%s\" to \"%s\" "
                                  "failed (%d: %m)%s", dead->conf->path,
                                  dead->old, errno, klaviyo_file_hint(errno));
    }

    *dropped += n;

    klaviyo_dead_unlock(dead);

    return 0;
}


/* lines of the file that a rotation is about to throw away */

static uint64_t
klaviyo_dead_count(klaviyo_dead_t *dead)
{
    int          fd;
    char         buf[KLAVIYO_DEAD_READ], *p;
    ssize_t      n;
    uint64_t     lines;
    struct stat  st;

    fd = openat(dead->dir.fd, dead->old,
                O_RDONLY|O_CLOEXEC|O_NOFOLLOW|O_NONBLOCK|O_NOCTTY);
    if (fd == -1) {
        return 0;
    }

    lines = 0;

    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {

        for ( ;; ) {
            n = read(fd, buf, sizeof(buf));

            if (n <= 0) {
                break;
            }

            for (p = buf; p < buf + n; p++) {
                p = memchr(p, '\n', (size_t) (buf + n - p));
                if (p == NULL) {
                    break;
                }

                lines++;
            }
        }
    }

    (void) close(fd);

    return lines;
}


/* the bytes of the whole lines that fit; without room: of the first line */

static size_t
klaviyo_dead_fit(const uint8_t *lines, size_t len, size_t room)
{
    const uint8_t  *end;

    if (room == 0) {
        end = memchr(lines, '\n', len);

    } else if (len <= room) {
        return len;

    } else {
        end = memrchr(lines, '\n', room);

        if (end == NULL) {
            return 0;
        }
    }

    return (end == NULL) ? len : (size_t) (end + 1 - lines);
}

/*
 * The queue room: how far root may go; see the header.
 *
 * Of a directory that is root's, and that others cannot write to, only root
 * changes the entries.  In a sticky one that holds for entries of root's.
 * Links are followed where they are such entries: nobody else made them.
 *
 * Plain C.
 */


#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "klaviyo_file.h"
#include "klaviyo_trust.h"


#define KLAVIYO_TRUST_LINKS  16


typedef struct {
    int     fd;                      /* the directory that was come to      */
    char   *name;                    /* the component that is not there, or */
                                     /* NULL                                */
    char   *rest;                    /* behind it                           */
    int     links;
    char    path[PATH_MAX];          /* what is to be followed yet          */
} klaviyo_trust_walk_t;


/* the next component: 1, or 0: there is none, and the name is NULL */

static int
klaviyo_trust_next(klaviyo_trust_walk_t *walk)
{
    do {
        walk->name = walk->rest + strspn(walk->rest, "/");

        if (walk->name[0] == '\0') {
            walk->name = NULL;
            return 0;
        }

        walk->rest = walk->name + strcspn(walk->name, "/");

        if (walk->rest[0] == '/') {
            *walk->rest++ = '\0';
        }

    } while (strcmp(walk->name, ".") == 0);

    return 1;
}


static int
klaviyo_trust_cd(klaviyo_trust_walk_t *walk, const char *name)
{
    int  fd;

    fd = openat(walk->fd, name, O_PATH|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);

    if (fd == -1) {
        return -1;
    }

    if (walk->fd != AT_FDCWD) {
        (void) close(walk->fd);
    }

    walk->fd = fd;

    return 0;
}


/* puts what the link says before the rest of the path */

static int
klaviyo_trust_link(klaviyo_trust_walk_t *walk)
{
    int      n;
    char     path[PATH_MAX], target[PATH_MAX];
    ssize_t  len;

    len = readlinkat(walk->fd, walk->name, target, sizeof(target) - 1);

    if (len == -1) {
        return -1;
    }

    target[len] = '\0';

    n = snprintf(path, sizeof(path), "%s/%s", target, walk->rest);

    if (++walk->links > KLAVIYO_TRUST_LINKS || n >= (int) sizeof(path)) {
        errno = ELOOP;
        return -1;
    }

    memcpy(walk->path, path, n + 1);
    walk->rest = walk->path;

    return (target[0] == '/') ? klaviyo_trust_cd(walk, "/") : 0;
}


/* 1: others than root make entries in the directory */

static int
klaviyo_trust_shared(const struct stat *dir)
{
    return (dir->st_mode & S_IWOTH)
           || ((dir->st_mode & S_IWGRP) && dir->st_gid != 0);
}


/* one component: 1: there is more to follow; 0: not; -1 */

static int
klaviyo_trust_step(klaviyo_trust_walk_t *walk, klaviyo_trust_t *owner)
{
    struct stat  dir, st;

    if (fstat(walk->fd, &dir) == -1) {
        return -1;
    }

    if (dir.st_uid != 0) {
        owner->uid = dir.st_uid;
        owner->gid = dir.st_gid;
        return 0;
    }

    if (!klaviyo_trust_next(walk)) {
        return 0;
    }

    if (fstatat(walk->fd, walk->name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
        return (errno == ENOENT) ? 0 : -1;
    }

    if (st.st_uid != 0) {
        owner->uid = st.st_uid;
        owner->gid = st.st_gid;
        return 0;
    }

    if (klaviyo_trust_shared(&dir)
        && (!(dir.st_mode & S_ISVTX) || S_ISLNK(st.st_mode)))
    {
        errno = EPERM;
        return -1;
    }

    if (S_ISLNK(st.st_mode)) {
        return (klaviyo_trust_link(walk) == -1) ? -1 : 1;
    }

    if (S_ISDIR(st.st_mode)) {
        return (klaviyo_trust_cd(walk, walk->name) == -1) ? -1 : 1;
    }

    walk->name = NULL;

    return 0;
}


static int
klaviyo_trust_follow(klaviyo_trust_walk_t *walk, const char *path,
    klaviyo_trust_t *owner)
{
    int     rc;
    size_t  len;

    walk->fd = AT_FDCWD;
    walk->name = NULL;
    walk->rest = walk->path;
    walk->links = 0;

    owner->uid = 0;
    owner->gid = 0;

    len = strlen(path);

    if (len >= sizeof(walk->path)) {
        errno = ENAMETOOLONG;
        return -1;
    }

    memcpy(walk->path, path, len + 1);

    rc = klaviyo_trust_cd(walk, path[0] == '/' ? "/" : ".");

    if (rc == -1) {
        return -1;
    }

    do {
        rc = klaviyo_trust_step(walk, owner);
    } while (rc == 1);

    return rc;
}


static void
klaviyo_trust_done(klaviyo_trust_walk_t *walk)
{
    int  err;

    err = errno;

    if (walk->fd != AT_FDCWD) {
        (void) close(walk->fd);
    }

    errno = err;
}


int
klaviyo_trust_owner(const char *path, klaviyo_trust_t *owner)
{
    int                   rc;
    klaviyo_trust_walk_t  walk;

    rc = klaviyo_trust_follow(&walk, path, owner);

    klaviyo_trust_done(&walk);

    return rc;
}


/* The component, which is gone into if it is not the last one. */

static int
klaviyo_trust_make(klaviyo_trust_walk_t *walk, int last, uid_t uid, gid_t gid)
{
    int  fd, rc, err;

    if (mkdirat(walk->fd, walk->name, 0700) == -1) {
        return -1;
    }

    /* O_PATH has no fchown() */

    fd = openat(walk->fd, walk->name,
                O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
    rc = -1;

    if (fd != -1) {
        rc = last ? fchown(fd, uid, gid) : fchmod(fd, 0755);
    }

    err = errno;

    if (rc == -1) {
        (void) unlinkat(walk->fd, walk->name, AT_REMOVEDIR);
    }

    if (fd != -1) {
        (void) close(fd);
    }

    errno = err;

    return (rc == 0 && !last) ? klaviyo_trust_cd(walk, walk->name) : rc;
}


static int
klaviyo_trust_empty(int at, const char *name)
{
    int   fd, n;
    DIR  *dir;

    fd = openat(at, name, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);

    if (fd == -1) {
        return 0;
    }

    dir = fdopendir(fd);

    if (dir == NULL) {
        (void) close(fd);
        return 0;
    }

    for (n = 0; n < 3 && readdir(dir); n++) { /* void */ }

    (void) closedir(dir);

    return n < 3;                    /* "." and ".." */
}


/*
 * The component is another user's alone, as a package's tmpfiles.d makes it for
 * the user that nginx has by default, and nothing is in it: it is taken away.
 */

static int
klaviyo_trust_vacate(klaviyo_trust_walk_t *walk, const struct stat *dir,
    int make)
{
    struct stat  st;

    return dir->st_uid == 0
           && !klaviyo_trust_shared(dir)
           && walk->rest[strspn(walk->rest, "/")] == '\0'
           && fstatat(walk->fd, walk->name, &st, AT_SYMLINK_NOFOLLOW) == 0
           && S_ISDIR(st.st_mode)
           && (st.st_mode & 07777) == 0700
           && klaviyo_trust_empty(walk->fd, walk->name)
           && (!make || unlinkat(walk->fd, walk->name, AT_REMOVEDIR) == 0);
}


static int
klaviyo_trust_failed(const char *path, char *error)
{
    return klaviyo_file_error(error, "making \"%s\" for the user that nginx's "
                              "workers run as failed (%d: %m)%s", path, errno,
                              (errno == EROFS)
                              ? ": mount a directory there that can be written "
                                "to, or choose another path" : "");
}


int
klaviyo_trust_mkdir(const char *path, int levels, uid_t uid, gid_t gid,
    int make, char *error)
{
    int                   rc, missing;
    char                 *p;
    struct stat           dir;
    klaviyo_trust_t       owner;
    klaviyo_trust_walk_t  walk;

    rc = 0;

    if (klaviyo_trust_follow(&walk, path, &owner) == -1
        || walk.name == NULL
        || fstat(walk.fd, &dir) == -1
        || (klaviyo_trust_shared(&dir) && !(dir.st_mode & S_ISVTX)))
    {
        goto done;
    }

    if (owner.uid != 0
        && (owner.uid == uid || !klaviyo_trust_vacate(&walk, &dir, make)))
    {
        goto done;
    }

    missing = 1;

    for (p = walk.rest + strspn(walk.rest, "/");
         *p;
         p += strspn(p, "/"))
    {
        missing++;
        p += strcspn(p, "/");
    }

    if (missing > levels) {
        goto done;
    }

    rc = 1;

    if (!make
        && faccessat(walk.fd, ".", W_OK, AT_EACCESS) == -1
        && errno == EROFS)
    {
        rc = klaviyo_trust_failed(path, error);
    }

    while (make && rc == 1 && missing > 0) {
        missing--;

        if (klaviyo_trust_make(&walk, missing == 0, uid, gid) == -1) {
            rc = klaviyo_trust_failed(path, error);
        }

        (void) klaviyo_trust_next(&walk);
    }

done:

    klaviyo_trust_done(&walk);

    return rc;
}

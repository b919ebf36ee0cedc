/*
 * How far root goes along a path: to what is not root's alone.  As root only.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>

#include "ring.h"
#include "queue/klaviyo_trust.h"


#define WORKER  65534


static char  path[256];
static int   read_only;              /* what faccessat() tells              */


int __real_faccessat(int fd, const char *name, int mode, int flags);
int __wrap_faccessat(int fd, const char *name, int mode, int flags);


int
__wrap_faccessat(int fd, const char *name, int mode, int flags)
{
    if (read_only) {
        errno = EROFS;
        return -1;
    }

    return __real_faccessat(fd, name, mode, flags);
}


static const char *
in(const char *name)
{
    (void) snprintf(path, sizeof(path), "%s/%s", ring_dir, name);

    return path;
}


static void
dir(const char *name, mode_t mode, uid_t uid)
{
    ok(mkdir(in(name), 0700) == 0 && chown(path, uid, 0) == 0
       && chmod(path, mode) == 0, "%s", name);
}


static void
owner_is(const char *name, int uid, const char *what)
{
    int              rc;
    klaviyo_trust_t  owner;

    rc = klaviyo_trust_owner(in(name), &owner);

    is_int(rc == -1 ? -1 : (int) owner.uid, uid, "%s", what);
}


static void
mkdir_is(const char *name, int levels, int rc, const char *what)
{
    is_int(klaviyo_trust_mkdir(in(name), levels, WORKER, WORKER, 1,
                               ring_error),
           rc, "%s", what);
}


static void
made(const char *name, int mode, uid_t uid)
{
    struct stat  st;

    ok(lstat(in(name), &st) == 0 && S_ISDIR(st.st_mode)
       && (st.st_mode & 07777) == (mode_t) mode && st.st_uid == uid,
       "%s is uid %d's, mode %o", name, (int) uid, mode);
}


static void
absent(const char *name)
{
    ok(access(in(name), F_OK) == -1 && errno == ENOENT, "no %s", name);
}


static void
link_to(const char *target, const char *name, uid_t uid)
{
    char  from[512];

    (void) snprintf(from, sizeof(from), "%s%s",
                    target[0] == '/' ? ring_dir : "", target);

    ok(symlink(from, in(name)) == 0 && lchown(path, uid, uid) == 0,
       "%s leads to %s", name, target);
}


static void
test_owner(void)
{
    owner_is("", 0, "the folder");
    owner_is("absent", 0, "what is not there");

    dir("safe", 0755, 0);
    dir("theirs", 0700, WORKER);
    dir("theirs/safe", 0755, 0);
    dir("group", 0770, 0);
    dir("open", 0777, 0);
    dir("sticky", 01777, 0);
    dir("sticky/safe", 0755, 0);
    dir("sticky/theirs", 0755, WORKER);

    owner_is("safe/x", 0, "root's alone");
    owner_is("./safe//x/", 0, "spelled otherwise");
    owner_is("safe/../theirs/x", WORKER, "by way of root's");
    owner_is("theirs", WORKER, "theirs");
    owner_is("theirs/safe/x", WORKER, "a folder of root's in theirs");
    owner_is("theirs/absent/x", WORKER, "nothing, in theirs");
    owner_is("sticky/safe/x", 0, "root's in a sticky one");
    owner_is("sticky/theirs/x", WORKER, "theirs in a sticky one");

    dir("open/x", 0755, 0);
    owner_is("open/x/y", -1, "what everybody can rename");

    link_to("/safe", "near", 0);
    link_to("theirs", "far", 0);
    link_to("/safe", "sticky/link", 0);
    link_to("/safe", "planted", WORKER);
    link_to("/round", "round", 0);
    link_to("/safe", "theirs/link", WORKER);

    owner_is("near/x", 0, "a link of root's");
    owner_is("far/x", WORKER, "a link of root's to theirs");
    owner_is("planted/x", WORKER, "a link of theirs");
    owner_is("theirs/link/x", WORKER, "a link in theirs");
    owner_is("sticky/link/x", -1, "a link where everybody makes them");
    owner_is("round/x", -1, "a link to itself");
}


/* from where the process is, and what is no folder */

static void
test_relative(void)
{
    int              fd, here;
    klaviyo_trust_t  owner;

    here = open(".", O_RDONLY|O_DIRECTORY);

    ok(chdir(in("theirs")) == 0, "in theirs");
    is_int(klaviyo_trust_owner("safe/x", &owner), 0, "from there on");
    ok(owner.uid == WORKER && owner.gid == 0, "it is theirs");
    ok(chdir(in("safe")) == 0, "in root's");
    is_int(klaviyo_trust_owner("x", &owner), 0, "from there on");
    ok(owner.uid == 0 && owner.gid == 0, "it is root's");
    ok(fchdir(here) == 0, "back");
    close(here);

    fd = open(in("safe/file"), O_RDWR|O_CREAT, 0600);
    close(fd);
    owner_is("safe/file", 0, "a file of root's");
    owner_is("safe/file/x", 0, "and nothing in it");
    mkdir_is("safe/file/x", 2, 0, "nor is anything made there");
}


/* as many links as are followed, and one more */

static void
test_links(void)
{
    int   i;
    char  name[32], target[32];

    for (i = 1; i <= 17; i++) {
        (void) snprintf(name, sizeof(name), "chain%d", i);
        (void) snprintf(target, sizeof(target), i == 1 ? "theirs" : "chain%d",
                        i - 1);
        link_to(target, name, 0);
    }

    owner_is("chain16", WORKER, "sixteen links");
    owner_is("chain17", -1, "one more");
    is_int(errno, ELOOP, "are too many");
}


/* a link's target and the rest of the path, as long as both may be */

static void
test_long(void)
{
    char             name[PATH_MAX + 1];
    size_t           base;
    klaviyo_trust_t  owner;

    link_to("/theirs", "long", 0);
    base = strlen(ring_dir);

    memset(name, '/', sizeof(name));
    memcpy(name, ring_dir, base);
    memcpy(name + base, "/long", 5);

    /* which the link makes two bytes longer */

    name[PATH_MAX] = '\0';
    is_int(klaviyo_trust_owner(name, &owner), -1, "too long by itself");
    is_int(errno, ENAMETOOLONG, "as it says");

    name[PATH_MAX - 2] = '\0';
    is_int(klaviyo_trust_owner(name, &owner), -1, "too long by its link");
    is_int(errno, ELOOP, "as it says");

    name[PATH_MAX - 3] = '\0';
    is_int(klaviyo_trust_owner(name, &owner), 0, "a byte less is followed");
    is_int(owner.uid, WORKER, "to whom it leads");
}


/* what cannot be followed at all, which is no path that is not there */

static void
test_errors(void)
{
    char             name[NAME_MAX + 3];
    struct rlimit    was, none;
    klaviyo_trust_t  owner;

    memset(name, 'x', sizeof(name));
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';

    is_int(klaviyo_trust_owner(name, &owner), -1, "a name that is too long");
    is_int(errno, ENAMETOOLONG, "as it says");

    ok(getrlimit(RLIMIT_NOFILE, &was) == 0, "getrlimit()");
    none = was;
    none.rlim_cur = 0;

    ok(setrlimit(RLIMIT_NOFILE, &none) == 0, "no more descriptors");
    is_int(klaviyo_trust_owner("/", &owner), -1, "not even the root");
    is_int(errno, EMFILE, "as it says");
    ok(setrlimit(RLIMIT_NOFILE, &was) == 0, "as many as before");
}


/* would be made, but nothing can be written there */

static void
test_read_only(void)
{
    read_only = 1;
    is_int(klaviyo_trust_mkdir(in("safe/wanted"), 2, WORKER, WORKER, 0,
                               ring_error),
           -1, "a file system that is read only");
    ok(strstr(ring_error, "mount a directory there") != NULL, "says: %s",
       ring_error);
    read_only = 0;

    absent("safe/wanted");
}


static void
test_mkdir(void)
{
    klaviyo_trust_t  owner;

    is_int(klaviyo_trust_mkdir(in("a/b"), 2, WORKER, WORKER, 0, ring_error),
           1, "would be made");
    absent("a");

    mkdir_is("a/b", 1, 0, "one level, and two are missing");
    absent("a");

    mkdir_is("a/b", 2, 1, "two levels");
    made("a", 0755, 0);
    made("a/b", 0700, WORKER);
    mkdir_is("a/b", 2, 0, "it is there");
    mkdir_is("a/b/c", 2, 0, "theirs to make");
    absent("a/b/c");
    mkdir_is("a/c/d/e", 2, 0, "three are too many");
    absent("a/c");
    mkdir_is("a/d/", 1, 1, "with a slash");
    made("a/d", 0700, WORKER);

    dir("a/other", 0700, 7);
    is_int(klaviyo_trust_mkdir(in("a/other"), 1, WORKER, WORKER, 0,
                               ring_error),
           1, "an empty one of another user would give way");
    made("a/other", 0700, 7);
    mkdir_is("a/other", 1, 1, "and does");
    made("a/other", 0700, WORKER);

    dir("a/full", 0700, 7);
    dir("a/full/of", 0700, 7);
    mkdir_is("a/full", 1, 0, "not one that holds something");
    mkdir_is("a/full/of", 1, 0, "nor what that holds");
    made("a/full", 0700, 7);
    made("a/full/of", 0700, 7);
    dir("a/group", 0770, 7);
    mkdir_is("a/group", 1, 0, "nor one that is open to a group");
    made("a/group", 0770, 7);
    dir("sticky/other", 0700, 7);
    mkdir_is("sticky/other", 1, 0, "nor one that others could have put there");
    made("sticky/other", 0700, 7);

    mkdir_is("sticky/new", 1, 1, "in a sticky one");
    made("sticky/new", 0700, WORKER);
    mkdir_is("group/new", 1, 0, "in a folder of a group, not of root's");
    mkdir_is("open/new", 1, 0, "in a folder of everybody's");
    absent("open/new");

    mkdir_is("near/new", 1, 1, "behind a link of root's");
    made("safe/new", 0700, WORKER);
    mkdir_is("theirs/link/more", 1, 0, "behind a link of theirs");
    mkdir_is("planted/more", 1, 0, "behind a link of theirs in root's");
    absent("safe/more");

    is_int(klaviyo_trust_owner("/", &owner), 0, "the root");
}


int
main(void)
{
    int  fds;

    if (geteuid() != 0) {
        diag("not root: nothing to test");
        ok(1, "not root");
        return done_testing();
    }

    ring_folder();
    chmod(ring_dir, 0755);
    fds = tap_fds();

    test_owner();

    /* group's gid is not root's */

    ok(chown(in("group"), 0, WORKER) == 0, "a folder of a group");
    owner_is("group/x", 0, "nothing there, and nothing is followed");

    test_relative();
    test_links();
    test_long();
    test_errors();
    test_mkdir();
    test_read_only();

    is_int(tap_fds(), fds, "no descriptor is left open");
    ring_cleanup();

    return done_testing();
}

/*
 * Whatever call fails, an operation of the queue room says so, leaves nothing
 * open, and succeeds when it is tried again.
 */


#define _GNU_SOURCE
#include <ftw.h>

#include "fault.h"
#include "spool.h"
#include "queue/klaviyo_dead.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_paths.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_open.h"
#include "queue/klaviyo_ring_private.h"
#include "queue/klaviyo_spool_inspect.h"
#include "queue/klaviyo_spool_private.h"
#include "queue/klaviyo_trust.h"


#define MB      (1024 * 1024)
#define EVENTS  300                  /* of two segments                     */


static char             file[256];
static klaviyo_ring_t  *ring;
static unsigned         syncs;
static int              swap_in;     /* calls of openat() until it is done  */


static int
gone(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void) st;
    (void) type;
    (void) ftw;

    return remove(path);
}


/* an empty folder */

static void
empty(void)
{
    (void) nftw(ring_dir, gone, 8, FTW_DEPTH|FTW_PHYS);

    if (mkdir(ring_dir, 0755) == -1) {
        perror(ring_dir);
        exit(2);
    }

    ring_error[0] = '\0';
}


static void
put(const char *name, const char *text, size_t size)
{
    int  fd;

    fd = open(name, O_WRONLY|O_CREAT|O_TRUNC, 0600);

    if (fd == -1 || pwrite(fd, text, strlen(text), 0) == -1
        || ftruncate(fd, (off_t) size) == -1)
    {
        perror(name);
        exit(2);
    }

    close(fd);
}


static int
paths_write(void)
{
    static klaviyo_paths_t  paths;

    strcpy(paths.ring, "/shop.ring");

    return klaviyo_paths_write(file, &paths, ring_error);
}


static void
paths_begin(void)
{
    empty();
    (void) paths_write();
}


static int
paths_read(void)
{
    static klaviyo_paths_t  paths;

    return klaviyo_paths_read(file, &paths, ring_error);
}


static void
test_paths(void)
{
    (void) snprintf(file, sizeof(file), "%s/shop.account", ring_dir);

    fault_each(empty, paths_write, ring_error, "", "writing paths");
    fault_each(paths_begin, paths_read, ring_error,
               "!fstat",
               "reading paths");
}


static klaviyo_dead_conf_t  dead = { file, KLAVIYO_DEAD_MIN_SIZE };


static int
dead_write(void)
{
    uint64_t  dropped;

    return klaviyo_dead_write(&dead, (const uint8_t *) "{1}\n", 4, &dropped,
                              ring_error)
           == KLAVIYO_RING_OK ? 0 : -1;
}


static int
dead_check(void)
{
    return klaviyo_dead_check(&dead, 1, ring_error) == KLAVIYO_RING_OK
           ? 0 : -1;
}


/* one that has to be rotated, with a torn end */

static void
dead_full(void)
{
    empty();

    (void) snprintf(file, sizeof(file), "%s/dead.jsonl", ring_dir);
    put(file, "{1}\n", 40000);
}


static void
dead_torn(void)
{
    empty();
    put(file, "torn", 4);
}


static void
dead_none(void)
{
    empty();
    (void) snprintf(file, sizeof(file), "%s/a/b/dead.jsonl", ring_dir);
}


static void
test_dead(void)
{
    dead_none();
    fault_each(dead_none, dead_check, ring_error,
               "fstatat",
               "making dead letters");
    fault_each(dead_none, dead_write, ring_error,
               "fstatat fstat fstatat",
               "a first letter");
    fault_each(dead_full, dead_write, ring_error,
               "fstatat fstat fstatat openat fstatat fstat fstatat",
               "rotation");
    fault_each(dead_torn, dead_write, ring_error,
               "fstatat fstat fstatat",
               "behind a torn one");
}


static int
attach_size(size_t size)
{
    klaviyo_ring_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = size;

    if (klaviyo_ring_attach(&ring, &conf, ring_error, ring_note)
        != KLAVIYO_RING_OK)
    {
        return -1;
    }

    klaviyo_ring_detach(ring);

    return 0;
}


static int
attach(void)
{
    return attach_size(RING_SIZE);
}


static void
ring_begin(void)
{
    empty();
    (void) attach();
    ring_error[0] = '\0';
}


static int
attach_larger(void)
{
    return attach_size(2 * RING_SIZE);
}


static int
open_as(klaviyo_ring_open_e how)
{
    if (klaviyo_ring_open(&ring, ring_path, how, ring_error)
        != KLAVIYO_RING_OK)
    {
        return -1;
    }

    klaviyo_ring_detach(ring);

    return 0;
}


static int
look(void)
{
    return open_as(KLAVIYO_RING_LOOK);
}


static int
join(void)
{
    return open_as(KLAVIYO_RING_JOIN);
}


static int
seize(void)
{
    return open_as(KLAVIYO_RING_SEIZE);
}


static int
probe(void)
{
    klaviyo_ring_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;

    return klaviyo_ring_probe(&conf, ring_error) == KLAVIYO_RING_OK ? 0 : -1;
}


static void
test_ring(void)
{
    fault_each(empty, attach, ring_error,
               "fstatat fstat fstatat fstatat fstatat open",
               "a new ring");
    fault_each(ring_begin, attach, ring_error,
               "fstatat fstat fstatat fstatat pread fstat open",
               "a ring that is there");
    fault_each(ring_begin, attach_larger, ring_error,
               "fstatat fstat fstatat fstatat pread fstat fstatat fstatat "
               "open",
               "another size");
    fault_each(ring_begin, look, ring_error,
               "pread fstat",
               "looking");
    fault_each(ring_begin, join, ring_error,
               "fstatat fstatat fstat fstatat fstatat !pread !fstat pread "
               "fstat open !fcntl",
               "joining");
    fault_each(ring_begin, seize, ring_error,
               "fstatat fstatat fstat fstatat fstatat pread fstat",
               "seizing");
    fault_each(empty, probe, ring_error,
               "fstatat fstatfs",
               "a probe of none");
    fault_each(ring_begin, probe, ring_error, "fstatat", "a probe");
}


static char              spool_dir[128];
static klaviyo_spool_t  *spool;


static int
spool_open_close(void)
{
    if (spool_try(&spool, spool_dir, 4 * MB) != KLAVIYO_SPOOL_OK) {
        return -1;
    }

    klaviyo_spool_close(spool);

    return 0;
}


static void
spool_none(void)
{
    empty();
    (void) snprintf(spool_dir, sizeof(spool_dir), "%s/spool/shop", ring_dir);
}


static void
spool_begin(void)
{
    spool_none();
    (void) spool_try(&spool, spool_dir, 4 * MB);
    (void) spool_write(spool, 0, EVENTS, 900);
    klaviyo_spool_close(spool);
    ring_error[0] = '\0';
}


static void
spool_corrupt(void)
{
    char  state[256];

    spool_begin();

    (void) snprintf(state, sizeof(state), "%s/state", spool_dir);
    put(state, "damaged", 2 * KLAVIYO_SPOOL_BLOCK);
}


/* more than a segment is written, all is read, and a part is forgotten */

static int
spool_use(void)
{
    int              rc;
    spool_taken_t    taken;

    if (spool_try(&spool, spool_dir, 4 * MB) != KLAVIYO_SPOOL_OK) {
        return -1;
    }

    klaviyo_spool_state(spool, &spool_st);

    rc = -1;

    if (spool_write(spool, spool_st.tail, spool_st.tail + EVENTS, 900)
        == KLAVIYO_SPOOL_OK)
    {
        spool_take(spool, spool_st.head, 0, &taken);

        if (taken.wrong == 0
            && klaviyo_spool_forget(spool, spool_st.tail - 100, ring_error)
               == KLAVIYO_SPOOL_OK)
        {
            rc = 0;
        }
    }

    klaviyo_spool_close(spool);

    return rc;
}


static int
spool_inspect(void)
{
    if (klaviyo_spool_inspect(&spool, spool_dir, ring_error)
        != KLAVIYO_SPOOL_OK)
    {
        return -1;
    }

    klaviyo_spool_close(spool);

    return 0;
}


static int
spool_probe(void)
{
    klaviyo_spool_conf_t  conf;

    memset(&conf, 0, sizeof(conf));
    conf.dir = spool_dir;
    conf.size = 4 * MB;

    return klaviyo_spool_probe(&conf, ring_error) == KLAVIYO_SPOOL_OK
           ? 0 : -1;
}


static unsigned  found;


static void
spool_found(const klaviyo_event_t *event)
{
    found += event->unique_id_len != 0;
}


static int
spool_salvage(void)
{
    char  to[128];

    found = 0;

    return klaviyo_spool_salvage(spool_dir, 0, spool_found, to, ring_error)
           == KLAVIYO_SPOOL_OK ? 0 : -1;
}


static void
test_spool(void)
{
    spool_none();
    fault_each(spool_none, spool_open_close, ring_error,
               "fstatat fstat fstatat", "a new spool");
    fault_each(spool_begin, spool_open_close, ring_error,
               "fstatat fstat fstatat fstatat fstat pread fstatat fstat "
               "pread",
               "a spool that is there");
    fault_each(spool_corrupt, spool_open_close, ring_error,
               "fstatat fstat fstatat fstatat fstat fstatat",
               "one that is damaged");
    fault_each(spool_begin, spool_use, ring_error,
               "fstatat fstat fstatat fstatat fstat pread fstatat fstat pread "
               "!realloc fstatat openat fstat fstat fstatat openat fstat "
               "pwrite pwrite fdatasync fstatat openat fstat pwrite pwrite "
               "fdatasync fsync pwrite fdatasync fstatat fstat fstatat fstat "
               "fstatat fstat fstatat fsync",
               "a spool in use");
    fault_each(spool_begin, spool_inspect, ring_error,
               "fstatat fstatat fstat pread fstatat fstat pread",
               "inspection");
    fault_each(spool_none, spool_probe, ring_error, "faccessat",
               "a probe of no spool");
    fault_each(spool_begin, spool_probe, ring_error,
               "faccessat fstatat fstat pread pread", "a probe of a spool");
    fault_each(spool_corrupt, spool_salvage, ring_error,
               "fstatat fstatat fstatat fstatat fstatat",
               "salvage");
    is_int(found, EVENTS, "all came out");
}


/* as root only */

static int
trust_mkdir(void)
{
    return klaviyo_trust_mkdir(file, 2, 0, 0, 1, ring_error) == -1 ? -1 : 0;
}


static int
trust_owner(void)
{
    int              rc;
    klaviyo_trust_t  owner;

    rc = klaviyo_trust_owner(file, &owner);
    (void) snprintf(ring_error, sizeof(ring_error), "%s", strerror(errno));

    return rc;
}


static void
trust_linked(void)
{
    char  name[256];

    empty();

    (void) snprintf(name, sizeof(name), "%s/to", ring_dir);
    (void) mkdir(name, 0755);
    (void) snprintf(name, sizeof(name), "%s/link", ring_dir);

    if (symlink("to", name) == -1) {
        perror(name);
        exit(2);
    }
}


static void
test_trust(void)
{
    if (geteuid() != 0) {
        diag("not root: root's way is not tested");
        return;
    }

    (void) snprintf(file, sizeof(file), "%s/a/b", ring_dir);
    fault_each(empty, trust_mkdir, ring_error,
               "openat fstat fstatat openat fstat fstatat openat fstat "
               "fstatat openat fstat fstatat fstat",
               "root's folders");
    (void) snprintf(file, sizeof(file), "%s/link/x", ring_dir);
    fault_each(trust_linked, trust_owner, ring_error, "", "root's way");
}


/* another file takes the name, between a look at it and its open() */

static void
swap(const char *name)
{
    char  from[256];

    if (strcmp(name, "openat") == 0 && --swap_in == 0) {
        fault_before = NULL;
        (void) snprintf(from, sizeof(from), "%s/other", ring_dir);

        if (rename(from, ring_path) == -1) {
            perror("rename");
            exit(2);
        }
    }
}


static void
test_swapped(void)
{
    char                  other[256], linked[256];
    int                   i;
    unsigned              refused, wrong;
    struct stat           st;
    klaviyo_ring_t       *r;
    klaviyo_ring_conf_t   conf;

    memset(&conf, 0, sizeof(conf));
    conf.path = ring_path;
    conf.size = RING_SIZE;

    refused = 0;
    wrong = 0;

    for (i = 1; i < 8; i++) {
        empty();
        klaviyo_ring_detach(ring_open(RING_SIZE, 0));

        (void) snprintf(other, sizeof(other), "%s/other", ring_dir);
        (void) snprintf(linked, sizeof(linked), "%s/linked", ring_dir);

        if (ring_shell("cp -p '%s/shop.ring' '%s/other'", ring_dir) != 0
            || link(other, linked) == -1)
        {
            exit(2);
        }

        swap_in = i;
        fault_before = swap;

        if (klaviyo_ring_attach(&r, &conf, ring_error, ring_note)
            == KLAVIYO_RING_OK)
        {
            wrong += fstat(r->fd, &st) == -1 || st.st_nlink > 1;
            klaviyo_ring_detach(r);

        } else {
            refused += strstr(ring_error, "more than one name") != NULL;
        }

        fault_before = NULL;
    }

    ok(refused > 0, "%u times it is refused", refused);
    is_int(wrong, 0, "a file that has more than one name is never opened");
}


/* a ring, and the one that it was before */

static void
drain_begin(void)
{
    if (ring) {
        klaviyo_ring_detach(ring);
    }

    empty();

    ring = ring_open(RING_SIZE, 0);
    ring_fill(ring, 0, 10, 300);
    klaviyo_ring_detach(ring);

    ring = ring_open(2 * RING_SIZE, 0);
}


static int
drain(void)
{
    int                i;
    klaviyo_lease_t    lease;
    klaviyo_figures_t  figures;

    (void) snprintf(ring_error, sizeof(ring_error), "%s",
                    strerror(FAULT_ERRNO));

    if (klaviyo_lease_open(&lease, ring) == 0
        && klaviyo_lease_renew(&lease) == KLAVIYO_RING_OK)
    {
        for (i = 0; i < 2; i++) {
            klaviyo_ring_drain(ring, lease.epoch, 100);
        }

        klaviyo_ring_drain_close(ring);
    }

    klaviyo_ring_figures(ring, &figures);
    klaviyo_lease_close(&lease);

    return figures.captured == 10 && figures.queued == 10 ? 0 : -1;
}


static void
test_drain(void)
{
    fault_each(drain_begin, drain, ring_error,
               "fcntl calloc fstatat fstatat fstatat open fcntl open fstat "
               "fstat fcntl realloc fcntl",
               "a drain");
    klaviyo_ring_detach(ring);
}


/* a name that is new is on the disk with what it names */

static void
count(const char *name)
{
    syncs += strcmp(name, "fsync") == 0;
}


static void
test_synced(void)
{
    dead_none();

    fault_before = count;
    syncs = 0;
    is_int(dead_write(), 0, "a new file of dead letters");
    is_int(syncs, 1, "its folder is synced");
    syncs = 0;
    is_int(dead_write(), 0, "more of them");
    is_int(syncs, 0, "and it need not be");
    fault_before = NULL;
}


int
main(void)
{
#ifdef __GLIBC__
#if !__GLIBC_PREREQ(2, 33)

    diag("this libc has no fstat() to stand in for");
    ok(1, "not tested");

    return done_testing();

#endif
#endif

    ring_in_folder(test_paths);
    ring_in_folder(test_trust);
    ring_in_folder(test_swapped);
    ring_in_folder(test_synced);
    ring_in_folder(test_drain);
    ring_in_folder(test_dead);
    ring_in_folder(test_ring);
    ring_in_folder(test_spool);

    return done_testing();
}

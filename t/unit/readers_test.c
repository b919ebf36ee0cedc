/*
 * account/klaviyo_readers.c: who can read a file with a secret, by its mode,
 * its groups and its access control list.
 */


#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <grp.h>
#include <sys/types.h>
#include <unistd.h>

#include "tap.h"

#include "account/klaviyo_readers.h"


#define USER    1000                 /* nginx's workers                     */
#define GROUP   2000
#define BESIDE  2001                 /* another group of theirs             */
#define OTHER   3000                 /* nobody of theirs                    */

#define ENTRY(tag, permissions, id)                                          \
    { htole16(tag), htole16(permissions), htole32(id) }

#define OWNER   ENTRY(0x01, 6, UINT32_MAX)
#define GROUPS  ENTRY(0x04, 4, UINT32_MAX)
#define MASK    ENTRY(0x10, 4, UINT32_MAX)
#define OTHERS  ENTRY(0x20, 0, UINT32_MAX)


typedef struct {
    uint16_t  tag;
    uint16_t  permissions;
    uint32_t  id;
} entry_t;


static uint8_t            acl[4 + 8 * 128];
static ssize_t            acl_len;   /* -1: acl_error                       */
static int                acl_error;
static klaviyo_readers_t  worker;
static int                no_groups; /* they cannot be told                 */


ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size);
int __real_getgroups(int n, gid_t *groups);
int __wrap_getgroups(int n, gid_t *groups);
int __real_getgrouplist(const char *name, gid_t gid, gid_t *groups, int *n);
int __wrap_getgrouplist(const char *name, gid_t gid, gid_t *groups, int *n);


int
__wrap_getgroups(int n, gid_t *groups)
{
    return no_groups ? -1 : __real_getgroups(n, groups);
}


int
__wrap_getgrouplist(const char *name, gid_t gid, gid_t *groups, int *n)
{
    if (no_groups) {
        *n = 100000;
        return -1;
    }

    return __real_getgrouplist(name, gid, groups, n);
}


ssize_t
__wrap_fgetxattr(int fd, const char *name, void *value, size_t size)
{
    (void) fd;

    if (strcmp(name, "system.posix_acl_access") != 0) {
        errno = ENODATA;
        return -1;
    }

    if (acl_len == -1) {
        errno = acl_error;
        return -1;
    }

    if ((size_t) acl_len > size) {
        errno = ERANGE;
        return -1;
    }

    memcpy(value, acl, size < sizeof(acl) ? size : sizeof(acl));

    return acl_len;
}


static void
readers_are(mode_t mode, uid_t uid, gid_t gid, klaviyo_readers_e expected,
    const char *what)
{
    struct stat  st;

    memset(&st, 0, sizeof(st));
    st.st_mode = S_IFREG | mode;
    st.st_uid = uid;
    st.st_gid = gid;

    is_int(klaviyo_readers(-1, &st, &worker), expected, "%s", what);
}


static void
list(const entry_t *entries, size_t n)
{
    size_t         i;
    uint32_t       version;
    const entry_t  behind = ENTRY(0x02, 4, OTHER);

    /* behind them stands what must not be read */

    for (i = n; i < 128; i++) {
        memcpy(acl + 4 + i * sizeof(entry_t), &behind, sizeof(entry_t));
    }

    version = htole32(2);
    memcpy(acl, &version, 4);
    memcpy(acl + 4, entries, n * sizeof(entry_t));
    acl_len = (ssize_t) (4 + n * sizeof(entry_t));
}


/* of root's and the workers' group, with this list */

#define list_is(expected, what, ...)                                         \
    do {                                                                     \
        const entry_t  entries[] = { __VA_ARGS__ };                          \
                                                                             \
        list(entries, sizeof(entries) / sizeof(entries[0]));                 \
        readers_are(0640, 0, GROUP, expected, what);                         \
    } while (0)


static void
test_mode(void)
{
    acl_len = -1;
    acl_error = ENODATA;

    readers_are(0600, 0, OTHER, KLAVIYO_READERS_GOOD, "root alone");
    readers_are(0600, OTHER, OTHER, KLAVIYO_READERS_GOOD, "its owner alone");
    readers_are(0604, 0, GROUP, KLAVIYO_READERS_OTHERS, "anybody reads");
    readers_are(0602, 0, GROUP, KLAVIYO_READERS_OTHERS, "anybody writes");
    readers_are(0620, 0, GROUP, KLAVIYO_READERS_OTHERS, "a group writes");
    readers_are(0611, OTHER, OTHER, KLAVIYO_READERS_GOOD,
                "to execute is not to read");

    readers_are(0640, OTHER, GROUP, KLAVIYO_READERS_OWNER,
                "a group, and it is not root's");
    readers_are(0640, 0, GROUP, KLAVIYO_READERS_GOOD, "the workers' group");
    readers_are(0640, 0, BESIDE, KLAVIYO_READERS_GOOD, "another of theirs");
    readers_are(0640, 0, OTHER - 1, KLAVIYO_READERS_GOOD, "and the first one");
    readers_are(0640, 0, OTHER, KLAVIYO_READERS_GROUP, "one of others");

    acl_error = EOPNOTSUPP;
    readers_are(0640, 0, GROUP, KLAVIYO_READERS_GOOD,
                "a file system without lists");
    readers_are(0640, 0, OTHER, KLAVIYO_READERS_GROUP, "and one of others");

    acl_error = ERANGE;
    readers_are(0640, 0, GROUP, KLAVIYO_READERS_LIST, "a list too long");
}


static void
test_list(void)
{
    uint32_t  version;

    list_is(KLAVIYO_READERS_GOOD, "the workers' user",
            OWNER, ENTRY(0x02, 4, USER), GROUPS, MASK, OTHERS);
    list_is(KLAVIYO_READERS_GOOD, "root",
            OWNER, ENTRY(0x02, 4, 0), GROUPS, MASK, OTHERS);
    list_is(KLAVIYO_READERS_LIST, "another user",
            OWNER, ENTRY(0x02, 4, USER), ENTRY(0x02, 4, OTHER), GROUPS, MASK,
            OTHERS);
    list_is(KLAVIYO_READERS_GOOD, "another user that reads nothing",
            OWNER, ENTRY(0x02, 3, OTHER), GROUPS, MASK, OTHERS);
    list_is(KLAVIYO_READERS_GOOD, "the workers' groups",
            OWNER, GROUPS, ENTRY(0x08, 4, GROUP), ENTRY(0x08, 5, BESIDE), MASK,
            OTHERS);
    list_is(KLAVIYO_READERS_LIST, "another group",
            OWNER, GROUPS, ENTRY(0x08, 4, OTHER), MASK, OTHERS);
    list_is(KLAVIYO_READERS_LIST, "root's group",
            OWNER, GROUPS, ENTRY(0x08, 4, 0), MASK, OTHERS);
    list_is(KLAVIYO_READERS_LIST, "at the end",
            OWNER, GROUPS, MASK, OTHERS, ENTRY(0x02, 4, OTHER));

    readers_are(0640, 0, OTHER, KLAVIYO_READERS_GROUP, "a group of others");
    list_is(KLAVIYO_READERS_GOOD, "none",
            OWNER, ENTRY(0x04, 0, UINT32_MAX), MASK, OTHERS);
    readers_are(0640, 0, OTHER, KLAVIYO_READERS_GOOD,
                "a group of others that reads nothing");
    list_is(KLAVIYO_READERS_GOOD, "the workers' user", OWNER,
            ENTRY(0x02, 4, USER), ENTRY(0x04, 0, UINT32_MAX), MASK, OTHERS);
    readers_are(0640, 0, OTHER, KLAVIYO_READERS_GOOD, "and no group");
    list_is(KLAVIYO_READERS_GOOD, "the workers' groups", OWNER,
            ENTRY(0x04, 0, UINT32_MAX), ENTRY(0x08, 4, BESIDE), MASK, OTHERS);
    readers_are(0640, 0, OTHER, KLAVIYO_READERS_GOOD, "and not its own");

    /* a list that is none */

    list_is(KLAVIYO_READERS_GOOD, "a list", OWNER, GROUPS, MASK, OTHERS);
    version = htole32(3);
    memcpy(acl, &version, 4);
    readers_are(0640, 0, GROUP, KLAVIYO_READERS_LIST, "of another version");

    version = htole32(2);
    memcpy(acl, &version, 4);
    acl_len = 3;
    readers_are(0640, 0, GROUP, KLAVIYO_READERS_LIST, "of three bytes");
    acl_len = 0;
    errno = 0;
    readers_are(0640, 0, GROUP, KLAVIYO_READERS_LIST, "of no byte");
    acl_len = 4 + 4 * 8 + 4;
    readers_are(0640, 0, GROUP, KLAVIYO_READERS_GOOD,
                "with an entry that is cut");
    acl_len = 4;
    readers_are(0640, 0, GROUP, KLAVIYO_READERS_GOOD, "without entries");

    /* as many entries as there is room for, the last of another user */

    {
        size_t   i;
        entry_t  entries[65];

        for (i = 0; i < 65; i++) {
            entries[i] = (entry_t) ENTRY(0x02, 4, USER);
        }

        list(entries, 64);
        readers_are(0640, 0, GROUP, KLAVIYO_READERS_GOOD, "64 entries");
        entries[63].id = htole32(OTHER);
        list(entries, 64);
        readers_are(0640, 0, GROUP, KLAVIYO_READERS_LIST, "and the last");
        entries[63].id = htole32(USER);
        list(entries, 65);
        readers_are(0640, 0, GROUP, KLAVIYO_READERS_LIST, "are all");
    }
}


static void
test_groups(void)
{
    int    i, n;
    gid_t  groups[KLAVIYO_READERS_GROUPS];

    memset(&worker, 0x55, sizeof(worker));
    klaviyo_readers_set(&worker, NULL, 7, 8);
    is_int(worker.uid, 7, "the user");
    is_int(worker.gid, 8, "the group");

    n = getgroups(KLAVIYO_READERS_GROUPS, groups);
    is_int(worker.n, n, "as many groups as this process has");

    for (i = 0; i < n && worker.group[i] == groups[i]; i++) { /* void */ }

    is_int(i, n, "the same");

    memset(&worker, 0, sizeof(worker));
    klaviyo_readers_set(&worker, "root", 0, 12345);
    is_int(worker.gid, 12345, "of a user");

    for (i = 0; i < worker.n && worker.group[i] != 12345; i++) { /* void */ }

    ok(i < worker.n, "its group is one of them");

    n = KLAVIYO_READERS_GROUPS;
    getgrouplist("root", 12345, groups, &n);
    is_int(worker.n, n, "as many as the user has");

    no_groups = 1;
    klaviyo_readers_set(&worker, "root", 0, 7);
    is_int(worker.n, 0, "too many to be told are none");
    klaviyo_readers_set(&worker, NULL, 0, 7);
    is_int(worker.n, 0, "nor are there when it fails");
}


int
main(void)
{
    worker.uid = USER;
    worker.gid = GROUP;
    worker.group[0] = OTHER - 1;
    worker.group[1] = BESIDE;
    worker.group[2] = OTHER;         /* is none: there are two              */
    worker.n = 2;

    test_mode();
    test_list();
    test_groups();

    return done_testing();
}

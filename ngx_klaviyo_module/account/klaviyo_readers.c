/*
 * account: who can read a secret; see the header.
 *
 * An access control list, as Linux gives it: a version, then entries
 *
 *     tag  16    permissions  16    id  32        little-endian
 *
 * Where there is one, the mode shows the mask in the place of the group.
 */


#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "klaviyo_readers.h"


#define KLAVIYO_READERS_ACL       "system.posix_acl_access"
#define KLAVIYO_READERS_VERSION   2
#define KLAVIYO_READERS_HEAD      4
#define KLAVIYO_READERS_ENTRY     8
#define KLAVIYO_READERS_ENTRIES   64
#define KLAVIYO_READERS_READ      4

#define KLAVIYO_READERS_USER      0x02
#define KLAVIYO_READERS_OWN_GROUP 0x04
#define KLAVIYO_READERS_NAMED     0x08


static int klaviyo_readers_is(const klaviyo_readers_t *worker, gid_t gid);
static klaviyo_readers_e klaviyo_readers_list(const uint8_t *p, size_t len,
    const struct stat *st, const klaviyo_readers_t *worker);


#define KLAVIYO_READERS_BUT_OWNER  "read or written by others than its owner"

const char *const  klaviyo_readers_text[KLAVIYO_READERS_N] = {
    "",
    KLAVIYO_READERS_BUT_OWNER ": run \"chmod 600",
    KLAVIYO_READERS_BUT_OWNER ", by its group, and is not root's: "
        "run \"chmod 600",
    KLAVIYO_READERS_BUT_OWNER ", by its group, which is none of nginx's "
        "workers: run \"chmod 600",
    KLAVIYO_READERS_BUT_OWNER ", by its access control list: "
        "run \"setfacl -b"
};


void
klaviyo_readers_set(klaviyo_readers_t *worker, const char *name, uid_t uid,
    gid_t gid)
{
    worker->uid = uid;
    worker->gid = gid;
    worker->n = KLAVIYO_READERS_GROUPS;

    if (name == NULL) {
        worker->n = getgroups(KLAVIYO_READERS_GROUPS, worker->group);

    } else if (getgrouplist(name, gid, worker->group, &worker->n) == -1) {
        worker->n = 0;
    }

    if (worker->n < 0) {
        worker->n = 0;
    }
}


klaviyo_readers_e
klaviyo_readers(int fd, const struct stat *st,
    const klaviyo_readers_t *worker)
{
    uint8_t  buf[KLAVIYO_READERS_HEAD
                 + KLAVIYO_READERS_ENTRY * KLAVIYO_READERS_ENTRIES];
    ssize_t  n;

    if (st->st_mode & (S_IROTH|S_IWOTH|S_IWGRP)) {
        return KLAVIYO_READERS_OTHERS;
    }

    if (!(st->st_mode & S_IRGRP)) {
        return KLAVIYO_READERS_GOOD;
    }

    if (st->st_uid != 0) {
        return KLAVIYO_READERS_OWNER;
    }

    n = fgetxattr(fd, KLAVIYO_READERS_ACL, buf, sizeof(buf));

    if (n >= 0) {
        return klaviyo_readers_list(buf, (size_t) n, st, worker);
    }

    if (errno == ERANGE) {
        return KLAVIYO_READERS_LIST;
    }

    return klaviyo_readers_is(worker, st->st_gid) ? KLAVIYO_READERS_GOOD
                                                  : KLAVIYO_READERS_GROUP;
}


static int
klaviyo_readers_is(const klaviyo_readers_t *worker, gid_t gid)
{
    int  i;

    if (gid == worker->gid) {
        return 1;
    }

    for (i = 0; i < worker->n; i++) {
        if (worker->group[i] == gid) {
            return 1;
        }
    }

    return 0;
}


/* the mask can only take away, and the mode says that it lets readers in */

static klaviyo_readers_e
klaviyo_readers_list(const uint8_t *p, size_t len, const struct stat *st,
    const klaviyo_readers_t *worker)
{
    uint16_t  tag, permissions;
    uint32_t  id, version;

    if (len < KLAVIYO_READERS_HEAD) {
        return KLAVIYO_READERS_LIST;
    }

    memcpy(&version, p, sizeof(version));

    if (le32toh(version) != KLAVIYO_READERS_VERSION) {
        return KLAVIYO_READERS_LIST;
    }

    p += KLAVIYO_READERS_HEAD;
    len -= KLAVIYO_READERS_HEAD;

    for ( /* void */ ; len >= KLAVIYO_READERS_ENTRY;
         p += KLAVIYO_READERS_ENTRY, len -= KLAVIYO_READERS_ENTRY)
    {
        memcpy(&tag, p, sizeof(tag));
        memcpy(&permissions, p + 2, sizeof(permissions));
        memcpy(&id, p + 4, sizeof(id));

        if (!(le16toh(permissions) & KLAVIYO_READERS_READ)) {
            continue;
        }

        id = le32toh(id);

        switch (le16toh(tag)) {

        case KLAVIYO_READERS_USER:
            if (id != 0 && id != worker->uid) {
                return KLAVIYO_READERS_LIST;
            }
            break;

        case KLAVIYO_READERS_OWN_GROUP:
            if (!klaviyo_readers_is(worker, st->st_gid)) {
                return KLAVIYO_READERS_GROUP;
            }
            break;

        case KLAVIYO_READERS_NAMED:
            if (!klaviyo_readers_is(worker, id)) {
                return KLAVIYO_READERS_LIST;
            }
            break;

        default:
            break;
        }
    }

    return KLAVIYO_READERS_GOOD;
}

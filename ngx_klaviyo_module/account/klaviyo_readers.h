/*
 * Who can read a file with a secret beside its owner.  Nobody; or, where the
 * file is root's and nobody else can write to it, the user of nginx's
 * workers: by a group of that user's, as Kubernetes mounts secrets for a pod
 * with an fsGroup, or by an access control list, as systemd makes credentials
 * for a unit with a User.
 *
 * Plain C.
 */


#ifndef KLAVIYO_READERS_H
#define KLAVIYO_READERS_H


#include <sys/stat.h>
#include <sys/types.h>


#define KLAVIYO_READERS_GROUPS  1024


typedef enum {
    KLAVIYO_READERS_GOOD = 0,
    KLAVIYO_READERS_OTHERS,      /* anybody, or a group can write           */
    KLAVIYO_READERS_OWNER,       /* a group, and the file is not root's     */
    KLAVIYO_READERS_GROUP,       /* a group that is not the workers'        */
    KLAVIYO_READERS_LIST,        /* somebody in the access control list     */
    KLAVIYO_READERS_N
} klaviyo_readers_e;


/* behind "... can be", with a command that the path of the file ends */
extern const char *const  klaviyo_readers_text[KLAVIYO_READERS_N];


typedef struct {
    uid_t  uid;
    gid_t  gid;
    gid_t  group[KLAVIYO_READERS_GROUPS];    /* beside gid                   */
    int    n;
} klaviyo_readers_t;


/* with the groups of the user; without a name, with those of this process */
void klaviyo_readers_set(klaviyo_readers_t *worker, const char *name,
    uid_t uid, gid_t gid);

klaviyo_readers_e klaviyo_readers(int fd, const struct stat *st,
    const klaviyo_readers_t *worker);


#endif /* KLAVIYO_READERS_H */

/*
 * How far root may go.  A path is followed from "/" as long as nobody but root
 * can change where it leads; what is behind that is opened with the rights of
 * whom it belongs to.
 *
 * Plain C.  Opens directories only, and makes none but by
 * klaviyo_trust_mkdir().
 */


#ifndef KLAVIYO_TRUST_H
#define KLAVIYO_TRUST_H


#include <sys/types.h>


/* 0: all of what there is of the path is root's alone; or whose it is */

typedef struct {
    uid_t  uid;
    gid_t  gid;
} klaviyo_trust_t;


/*
 * Finds the first component that is not root's.  0; -1 and errno: the path
 * cannot be followed, or it goes through a directory that a group or everybody
 * can write to.
 */
int klaviyo_trust_owner(const char *path, klaviyo_trust_t *owner);

/*
 * For root: makes a directory for the user, and with `levels` 2 the one it is
 * in, which stays root's, where nobody but root can interfere.  One of another
 * user that is empty, and closed to all others, gives way.  1: made, or,
 * with `make` 0, would be; 0: it is there, or not for root to make; -1: failed,
 * with the text of KLAVIYO_RING_ERROR_MAX bytes.
 */
int klaviyo_trust_mkdir(const char *path, int levels, uid_t uid, gid_t gid,
    int make, char *error);


#endif /* KLAVIYO_TRUST_H */

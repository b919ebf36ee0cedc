/*
 * A ring as a guest sees it: the command line tool, beside a running nginx or
 * without one.
 *
 * Plain C.  Nothing here makes a ring, resizes one, or takes the lease.
 */


#ifndef KLAVIYO_RING_OPEN_H
#define KLAVIYO_RING_OPEN_H


#include "klaviyo_ring.h"


typedef enum {
    KLAVIYO_RING_LOOK = 0,       /* mapped read-only, and no lock is taken: */
                                 /* nothing that writes may be called       */
    KLAVIYO_RING_JOIN,           /* as klaviyo_ring_attach(), of any size   */
    KLAVIYO_RING_SEIZE           /* read-only, and nobody else has it or    */
                                 /* gets it before it is detached           */
} klaviyo_ring_open_e;


/*
 * Opens the ring that is at the path.  OK, the caller detaches it, and in
 * `error` what a log should tell or an empty string; EMPTY: no such file;
 * BUSY: cannot be seized; ERROR.  All but OK with a text of
 * KLAVIYO_RING_ERROR_MAX bytes.  Looking and seizing open a damaged ring too.
 */
klaviyo_ring_rc_e klaviyo_ring_open(klaviyo_ring_t **ring, const char *path,
    klaviyo_ring_open_e how, char *error);

/* 1: another process has this very file attached */
int klaviyo_ring_in_use(const klaviyo_ring_t *ring);


/*
 * Renames a seized ring to "<name>.corrupt-<time>-<n>", as attach would, and
 * fills `to`, which holds PATH_MAX bytes, with its new name.
 */
klaviyo_ring_rc_e klaviyo_ring_move_aside(klaviyo_ring_t *ring, char *to,
    char *error);

/*
 * For `nginx -t`: the checks of attach that need no change on disk but the
 * directory, and no lock.  Same texts.
 */
klaviyo_ring_rc_e klaviyo_ring_probe(const klaviyo_ring_conf_t *conf,
    char *error);


#endif /* KLAVIYO_RING_OPEN_H */

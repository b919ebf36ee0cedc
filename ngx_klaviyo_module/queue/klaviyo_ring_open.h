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

/* 1: header or acknowledgement slots cannot be believed, the text says so */
int klaviyo_ring_damaged(klaviyo_ring_t *ring, char *error);

/*
 * For who follows what comes: the next event from the cursor on, whether it
 * has an outcome by now or not, as long as nobody wrote over it.  OK, with
 * record->missing; EMPTY; SMALL; DETACHED: as klaviyo_ring_read().  From
 * tail() on, only what comes then.
 */
klaviyo_ring_rc_e klaviyo_ring_follow(klaviyo_ring_t *ring,
    const klaviyo_cursor_t *cursor, uint8_t *buf, size_t size,
    klaviyo_record_t *record);
void klaviyo_ring_tail(klaviyo_ring_t *ring, klaviyo_cursor_t *cursor);

/* 1: another process has this very file attached */
int klaviyo_ring_in_use(const klaviyo_ring_t *ring);

/*
 * Tells of each fault in what is not a record of a ring that is not damaged,
 * in use or not.  How many.
 */
unsigned klaviyo_ring_faults(klaviyo_ring_t *ring,
    void (*tell)(const char *text));


/*
 * The next event that is whole in a seized ring, header or not: OK, with
 * cursor->position moved; EMPTY.  Begins with *cursor zeroed.  As far as the
 * ring still tells, those with an outcome are left out.  buf holds
 * klaviyo_ring_salvage_max() bytes.
 */
klaviyo_ring_rc_e klaviyo_ring_salvage(klaviyo_ring_t *ring,
    klaviyo_cursor_t *cursor, uint8_t *buf, klaviyo_record_t *record);

size_t klaviyo_ring_salvage_max(const klaviyo_ring_t *ring);

/*
 * Renames a seized ring to "<name>.corrupt-<time>-<n>", as attach would, and
 * fills `to`, which holds PATH_MAX bytes, with its new name.
 */
klaviyo_ring_rc_e klaviyo_ring_move_aside(klaviyo_ring_t *ring, char *to,
    char *error);


#endif /* KLAVIYO_RING_OPEN_H */

/*
 * A spool as a guest sees it: the command line tool, beside the nginx that
 * has it open or without one.
 *
 * Plain C.  May wait for the disk.
 */


#ifndef KLAVIYO_SPOOL_INSPECT_H
#define KLAVIYO_SPOOL_INSPECT_H


#include "klaviyo_spool.h"


/*
 * Opens what is committed at this moment: nothing is locked, made or changed,
 * and only state(), read() and close() may be called.  What is finished
 * meanwhile may be missing when it is read.  OK, also for a directory in which
 * nginx has made no spool yet: an empty one of no ring; NONE: there is no
 * directory; ERROR, also when its state is damaged.  All but OK with a text of
 * KLAVIYO_RING_ERROR_MAX bytes.
 */
klaviyo_spool_rc_e klaviyo_spool_inspect(klaviyo_spool_t **spool,
    const char *dir, char *error);

/*
 * For a spool of which no state can be believed: hands over each event that
 * is whole in any segment, finished or not.  If `aside`, all of it is moved
 * to a directory of its own first, whose name `to` gets (128 bytes).  OK;
 * NONE: the spool can be used as it is, or there is none; BUSY; ERROR.
 */
klaviyo_spool_rc_e klaviyo_spool_salvage(const char *dir, unsigned aside,
    void (*found)(const klaviyo_event_t *event), char *to, char *error);


#endif /* KLAVIYO_SPOOL_INSPECT_H */

/*
 * The file of dead letters: events that are given up, one JSON object a line.
 *
 * Written behind its end only and never read back.  At half of `size` it is
 * renamed to "<path>.1", over the one before: both together stay below it.
 * Every function may wait for the disk, see klaviyo_spool.h.
 *
 * Plain C.
 */


#ifndef KLAVIYO_DEAD_H
#define KLAVIYO_DEAD_H


#include "klaviyo_ring.h"


#define KLAVIYO_DEAD_MIN_SIZE  (64 * 1024)


typedef struct {
    const char  *path;           /* NUL-terminated, at most PATH_MAX - 64   */
    uint64_t     size;           /* bytes of both files                     */
} klaviyo_dead_conf_t;


/*
 * Creates what is missing, with `make` 0 the directory only, and checks the
 * rest; OK or ERROR with the text.
 */
klaviyo_ring_rc_e klaviyo_dead_check(const klaviyo_dead_conf_t *conf,
    unsigned make, char *error);

/*
 * Appends whole lines and syncs them.  OK; ERROR with the text: nothing of it
 * can be relied on, and the call may be repeated (a torn last line is ended
 * first).  *dropped is how many lines went with the file that rotation threw
 * away.
 */
klaviyo_ring_rc_e klaviyo_dead_write(const klaviyo_dead_conf_t *conf,
    const uint8_t *lines, size_t len, uint64_t *dropped, char *error);


#endif /* KLAVIYO_DEAD_H */

#ifndef KLAVIYO_RING_DIR_H
#define KLAVIYO_RING_DIR_H


#include "klaviyo_ring_private.h"


klaviyo_ring_rc_e klaviyo_ring_check_conf(const klaviyo_ring_conf_t *conf,
    uint64_t *capacity, char *error);
klaviyo_ring_rc_e klaviyo_ring_open_dir(klaviyo_ring_t *ring, char *error);
klaviyo_ring_rc_e klaviyo_ring_check_stat(const klaviyo_ring_t *ring,
    const char *name, const struct stat *st, char *error);

/* EMPTY when the file is missing and flags do not create it */
klaviyo_ring_rc_e klaviyo_ring_open_at(const klaviyo_ring_t *ring,
    const char *name, int flags, int *fd, char *error);

/* opens and locks the lock file `name`; waits for at most `wait` ms */
klaviyo_ring_rc_e klaviyo_ring_open_lock(klaviyo_ring_t *ring,
    const char *name, int wait, char *error);


#endif /* KLAVIYO_RING_DIR_H */

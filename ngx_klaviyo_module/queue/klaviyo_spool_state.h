#ifndef KLAVIYO_SPOOL_STATE_H
#define KLAVIYO_SPOOL_STATE_H


#include "klaviyo_spool_private.h"


/* reads and judges both slots; fills *slot with the one that stands */
klaviyo_spool_state_e klaviyo_spool_state_load(int fd,
    klaviyo_spool_slot_t *slot);

/* a slot of a spool that has nothing; 0, or -1 and errno */
int klaviyo_spool_state_make(klaviyo_spool_slot_t *slot);

/*
 * Makes a changed copy of spool->slot the one that stands.  -1: the old one
 * stands, but what a crash brings back may be either.
 */
int klaviyo_spool_commit(klaviyo_spool_t *spool, klaviyo_spool_slot_t *slot,
    char *error);


#endif /* KLAVIYO_SPOOL_STATE_H */

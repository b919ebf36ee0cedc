#ifndef KLAVIYO_SPOOL_OPEN_H
#define KLAVIYO_SPOOL_OPEN_H


#include "klaviyo_spool.h"


/*
 * Creates the directory if only its last two components are missing, opens
 * or creates the state and locks it.  Looks at each segment's header only.  A
 * state of which no slot can be believed is moved to ".corrupt-<time>"
 * together with the segments.  Events that another ring left, and that
 * `print` says are another account's, are an ERROR.  ERROR with the text;
 * `note` as with klaviyo_ring_attach(); both hold KLAVIYO_RING_ERROR_MAX
 * bytes.
 */
klaviyo_spool_rc_e klaviyo_spool_open(klaviyo_spool_t **spool,
    const klaviyo_spool_conf_t *conf, char *error, char *note);

/* what nginx -t can check without a change but the directory */
klaviyo_spool_rc_e klaviyo_spool_probe(const klaviyo_spool_conf_t *conf,
    char *error);

void klaviyo_spool_close(klaviyo_spool_t *spool);

/*
 * 1: the state was removed, and most likely all: what is written is nowhere,
 * and the spool is to be closed and opened anew.
 */
int klaviyo_spool_gone(const klaviyo_spool_t *spool);


#endif /* KLAVIYO_SPOOL_OPEN_H */

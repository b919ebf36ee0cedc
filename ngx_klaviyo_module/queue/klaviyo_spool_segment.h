#ifndef KLAVIYO_SPOOL_SEGMENT_H
#define KLAVIYO_SPOOL_SEGMENT_H


#include "klaviyo_spool_private.h"


/* the `owner` of the segment's records, see klaviyo_record_crc() */
uint32_t klaviyo_spool_owner(const klaviyo_spool_t *spool,
    uint64_t number);

/*
 * Writes records, all of a chunk in the spool's numbering, behind the tail,
 * and syncs them; *slot gets the new end.  -1: call abandon.
 */
int klaviyo_spool_segment_write(klaviyo_spool_t *spool, uint8_t *records,
    size_t len, klaviyo_spool_slot_t *slot, char *error);

/*
 * After a failed write: what is not committed is taken back as far as the
 * disk lets us; `from` is the first segment of this write.
 */
void klaviyo_spool_abandon(klaviyo_spool_t *spool, uint64_t from);

/* cuts off what is behind the committed tail, if the disk lets us */
void klaviyo_spool_trim(klaviyo_spool_t *spool);


#endif /* KLAVIYO_SPOOL_SEGMENT_H */

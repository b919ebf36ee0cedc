/*
 * The two kinds of records among the events that wait: reading and joining
 * them.  Private to klaviyo_hold*.c and their tests; the format's picture
 * stands in klaviyo_hold.h.
 */


#ifndef KLAVIYO_HOLD_RECORD_H
#define KLAVIYO_HOLD_RECORD_H


#include "klaviyo_hold.h"


#define KLAVIYO_HOLD_EVENT     'E'
#define KLAVIYO_HOLD_IDENTITY  'I'


typedef struct {
    const uint8_t  *key;
    const uint8_t  *rest;        /* the profile, or members beside          */
    size_t          key_len;
    size_t          rest_len;
    uint8_t         type;        /* KLAVIYO_HOLD_EVENT or _IDENTITY         */
} klaviyo_hold_record_t;


/* 1, or 0: it is neither */
int klaviyo_hold_record(klaviyo_hold_record_t *record,
    const klaviyo_event_t *event);

/* the bytes that klaviyo_hold_join() needs */
size_t klaviyo_hold_join_size(const klaviyo_hold_record_t *event,
    const klaviyo_hold_record_t *identity, size_t members_len);

/*
 * The profile of an event with the members of an identity in it: its length,
 * or 0: the profile has no place for them.
 */
size_t klaviyo_hold_join(const klaviyo_hold_record_t *event,
    const klaviyo_hold_record_t *identity, const uint8_t *members,
    size_t members_len, uint8_t *buf);

/*
 * Appends an event that waits under the key.  `buf` has room for
 * event->profile_len + KLAVIYO_HOLD_PREFIX_MAX bytes.  As
 * klaviyo_ring_append(); ERROR: the key is empty or too long.
 */
klaviyo_ring_rc_e klaviyo_hold_event(klaviyo_ring_t *ring,
    const klaviyo_event_t *event, const uint8_t *key, size_t len,
    uint8_t *buf);

/*
 * Appends what became known of the key: members beside the profile's
 * `attributes`, with their leading comma, and members of these, without.
 * Both may be empty.  `time` as in klaviyo_event_t.
 */
klaviyo_ring_rc_e klaviyo_hold_identity(klaviyo_ring_t *ring,
    const uint8_t *key, size_t len, const uint8_t *beside, size_t beside_len,
    const uint8_t *members, size_t members_len, int64_t time);


#endif /* KLAVIYO_HOLD_RECORD_H */

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


#endif /* KLAVIYO_HOLD_RECORD_H */

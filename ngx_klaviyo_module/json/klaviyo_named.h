/*
 * Events that an application names in JSON:
 *
 *     {"metric": "Placed Order", "value": 19.90, "value_currency": "EUR",
 *      "unique_id": "1001", "time": 1790000000, "backfill": false,
 *      "profile": {"email": ...}, "properties": {"OrderId": ...},
 *      "identify": true, "subscribe": {"list": ..., "channels": [...]}}
 *
 * or an array of these.  The names of Klaviyo's API of old are understood:
 * `$value`, `$event_id`, `$value_currency` and `$currency_code` among the
 * properties.  Plain C, no allocation.
 */


#ifndef KLAVIYO_NAMED_H
#define KLAVIYO_NAMED_H


#include "klaviyo_value.h"
#include "klaviyo_scan.h"


#define KLAVIYO_NAMED_TEXT_MAX  65536      /* bytes of headers, of an answer */


typedef enum {
    KLAVIYO_NAMED_METRIC = 0,    /* a string                                */
    KLAVIYO_NAMED_VALUE,         /* a number, or a string that may be one   */
    KLAVIYO_NAMED_CURRENCY,      /* a string                                */
    KLAVIYO_NAMED_UNIQUE_ID,     /* a string or a number                    */
    KLAVIYO_NAMED_TIME,          /* a string or a number                    */
    KLAVIYO_NAMED_BACKFILL,      /* true, false, or what stands for them    */
    KLAVIYO_NAMED_PROFILE,       /* an object                               */
    KLAVIYO_NAMED_PROPERTIES,    /* an object                               */
    KLAVIYO_NAMED_IDENTIFY,      /* true or false                           */
    KLAVIYO_NAMED_SUBSCRIBE,     /* an object                               */
    KLAVIYO_NAMED_N
} klaviyo_named_member_e;


typedef struct {
    klaviyo_slice_t   member[KLAVIYO_NAMED_N];  /* JSON; length 0: not there */
    size_t            names;     /* members of the whole text, at all levels */
    unsigned          left_out;  /* members unknown or of a wrong type      */
} klaviyo_named_t;


typedef struct {
    klaviyo_scan_t    scan;
    klaviyo_slice_t   text;
    size_t            names;
    unsigned          array:1;
    unsigned          repair:1;  /* of the text, see klaviyo_scan_seen_t    */
    unsigned          end:1;
} klaviyo_named_list_t;


/* 1, or 0: no JSON, or neither an object nor an array */
int klaviyo_named_open(klaviyo_named_list_t *list, const uint8_t *p,
    size_t len);

/* OK; EMPTY: there are no more; BAD: this one is no object */
klaviyo_value_rc_e klaviyo_named_next(klaviyo_named_list_t *list,
    klaviyo_named_t *named);

/*
 * A member of `properties` that the API of old has for one beside them:
 * which one, or KLAVIYO_NAMED_N.
 */
klaviyo_named_member_e klaviyo_named_legacy(const klaviyo_slice_t *name);


#endif /* KLAVIYO_NAMED_H */

/*
 * Values of events: text that became known in a request, as a type of
 * `property` and `profile`, into JSON that Klaviyo's schema accepts.
 *
 * Limits are those of Klaviyo's "Limitations" of the events API.
 */


#ifndef KLAVIYO_VALUE_H
#define KLAVIYO_VALUE_H


#include "klaviyo_json.h"
#include "klaviyo_scan.h"


#define KLAVIYO_STRING_MAX       100000     /* bytes of one string          */
#define KLAVIYO_LIST_MAX         4000       /* items of one array           */
#define KLAVIYO_DEPTH_MAX        10         /* levels, `properties` is one  */
#define KLAVIYO_PROPERTIES_MAX   400        /* of one event                 */
#define KLAVIYO_PROFILE_MAX      95000      /* bytes of a profile           */
#define KLAVIYO_METRIC_MAX       127        /* characters of a metric name  */
#define KLAVIYO_EMAIL_MAX        99         /* characters of an email       */
#define KLAVIYO_JSON_TEXT_MAX    (384 * 1024)   /* bytes parsed for `json`  */


typedef enum {
    KLAVIYO_VALUE_STRING = 0,
    KLAVIYO_VALUE_NUMBER,        /* JSON's grammar, blanks around it allowed;
                                    beyond 64 bits or a double: as text     */
    KLAVIYO_VALUE_BOOL,          /* true/false, on/off, yes/no, 1/0         */
    KLAVIYO_VALUE_LIST,          /* comma-separated, trimmed, empty items
                                    dropped; an array of strings            */
    KLAVIYO_VALUE_JSON           /* any JSON text within the limits of depth
                                    and size, repaired                      */
} klaviyo_value_type_e;


typedef enum {
    KLAVIYO_VALUE_OK = 0,
    KLAVIYO_VALUE_EMPTY,         /* nothing written: leave it out           */
    KLAVIYO_VALUE_BAD            /* nothing written: does not parse         */
} klaviyo_value_rc_e;


/*
 * Writes the value or nothing at all (the writer stands where it stood).
 * `*list_cut` is set when items beyond KLAVIYO_LIST_MAX were left out.
 * A value without room sets the writer's `overflow` and is OK by itself; a
 * number that became text sets the writer's `number`.
 */
klaviyo_value_rc_e klaviyo_value_write(klaviyo_json_t *json,
    klaviyo_value_type_e type, const uint8_t *p, size_t len, int *list_cut);

/* the most bytes that klaviyo_value_write() writes for len bytes of a type */
size_t klaviyo_value_size(klaviyo_value_type_e type, size_t len);

/* 1: a number of JSON's grammar, within 64 bits or finite */
int klaviyo_value_is_number(const uint8_t *p, size_t len);

/*
 * 1: what says no where a condition is asked for: nothing, `0`, `false`,
 * `off`, `no`, in any case, with blanks around it.
 */
int klaviyo_value_is_no(const uint8_t *p, size_t len);

#define klaviyo_value_blank(c)  klaviyo_scan_blank(c)

/* takes blanks off both ends; returns the length left */
size_t klaviyo_value_trim(const uint8_t **p, size_t len);

/* 1: a JSON number of trimmed text: integers within 64 bits, finite */
int klaviyo_value_is_number(const uint8_t *p, size_t len);


#endif /* KLAVIYO_VALUE_H */

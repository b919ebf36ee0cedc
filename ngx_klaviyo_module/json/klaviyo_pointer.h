/*
 * A JSON pointer (RFC 6901) into JSON text.  In it, a token `*` takes every
 * item of an array; of an object, it is a name as any other.  Plain C.
 */


#ifndef KLAVIYO_POINTER_H
#define KLAVIYO_POINTER_H


#include "klaviyo_json.h"
#include "klaviyo_scan.h"


#define KLAVIYO_POINTER_ALL_MAX  8          /* tokens `*`                   */


/* 1: empty, or "/" before each token, and "~" only as "~0" and "~1" */
int klaviyo_pointer_valid(const uint8_t *pointer, size_t len);

/* how many tokens `*` a pointer has */
size_t klaviyo_pointer_all(const uint8_t *pointer, size_t len);

/*
 * The value at a valid pointer of text that klaviyo_scan_check() passed: 1,
 * or 0: there is none.  Items of an array are counted from 0, without
 * leading zeroes; "-" is behind the last one and never there.
 */
int klaviyo_pointer_find(const klaviyo_slice_t *text, const uint8_t *pointer,
    size_t len, klaviyo_slice_t *value);

/*
 * The values that a pointer with tokens `*` finds, as a JSON array, without
 * nulls; nothing is written when there are none.  The text's length and two
 * bytes are room enough.
 */
void klaviyo_pointer_write(klaviyo_json_t *json, const klaviyo_slice_t *text,
    const uint8_t *pointer, size_t len);


#endif /* KLAVIYO_POINTER_H */

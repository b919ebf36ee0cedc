/*
 * A JSON pointer (RFC 6901) into JSON text.  Plain C.
 */


#ifndef KLAVIYO_POINTER_H
#define KLAVIYO_POINTER_H


#include "klaviyo_walk.h"


/* 1: empty, or "/" before each token, and "~" only as "~0" and "~1" */
int klaviyo_pointer_valid(const uint8_t *pointer, size_t len);

/*
 * The value at a valid pointer of text that klaviyo_walk_check() passed: 1,
 * or 0: there is none.  Items of an array are counted from 0, without
 * leading zeroes; "-" is behind the last one and never there.
 */
int klaviyo_pointer_find(const klaviyo_slice_t *text, const uint8_t *pointer,
    size_t len, klaviyo_slice_t *value);


#endif /* KLAVIYO_POINTER_H */

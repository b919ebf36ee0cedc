/*
 * Fields of a form: application/x-www-form-urlencoded.  Plain C.
 */


#ifndef KLAVIYO_FORM_H
#define KLAVIYO_FORM_H


#include "klaviyo_walk.h"


/*
 * The first field of this name, which is compared decoded: 1 and its value as
 * it stands in the form; 0: there is none.
 */
int klaviyo_form_find(const klaviyo_slice_t *form, const uint8_t *name,
    size_t len, klaviyo_slice_t *value);

/*
 * "+" is a space and "%XX" a byte; what is no such thing is itself.  Into a
 * buffer of the value's length; returns the length of the text.
 */
size_t klaviyo_form_decode(const klaviyo_slice_t *value, uint8_t *buf);


#endif /* KLAVIYO_FORM_H */

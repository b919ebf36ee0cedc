/*
 * Fields of a form: application/x-www-form-urlencoded, or multipart/form-data,
 * which begins with the line "--boundary" and may have empty ones before it.
 * Files are passed over.  Plain C.
 */


#ifndef KLAVIYO_FORM_H
#define KLAVIYO_FORM_H


#include "klaviyo_scan.h"


typedef struct {
    const uint8_t   *pos;
    const uint8_t   *last;
    klaviyo_slice_t  boundary;   /* "--boundary"; length 0: urlencoded      */
    unsigned         bad:1;      /* it is no form, or it has no end         */
} klaviyo_form_t;


void klaviyo_form_open(klaviyo_form_t *form, const uint8_t *p, size_t len);

/*
 * The next field of this name, which is compared decoded: 1 and its value as
 * it stands in the form; 0: there is none.
 */
int klaviyo_form_next(klaviyo_form_t *form, const uint8_t *name, size_t len,
    klaviyo_slice_t *value);

/*
 * The text of a value, into a buffer of the value's length; returns its
 * length.  Urlencoded, "+" is a space and "%XX" a byte; what is no such thing
 * is itself.
 */
size_t klaviyo_form_decode(const klaviyo_form_t *form,
    const klaviyo_slice_t *value, uint8_t *buf);


#endif /* KLAVIYO_FORM_H */

/*
 * Phone numbers as people write them, and as Klaviyo takes them (E.164).
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_PHONE_H
#define KLAVIYO_PHONE_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_PHONE_LEN  16        /* bytes of the longest, with its `+`  */


/*
 * Takes out blanks, dots, dashes, slashes and brackets; "00" becomes "+", and
 * a "(0)" behind the country is dropped: +44 (0)20 7946 0018.  A number that
 * begins with one zero is one of `country`, a calling code, or, when that is
 * 0, none.  The bytes written to `out`, or 0: it is no number.
 */
size_t klaviyo_phone(const uint8_t *p, size_t len, unsigned country,
    uint8_t out[KLAVIYO_PHONE_LEN]);

/* 1: the national numbers of this country begin with a zero, and it is known
   what becomes of that zero behind the country's code */
int klaviyo_phone_country(unsigned country);


#endif /* KLAVIYO_PHONE_H */

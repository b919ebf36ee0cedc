/*
 * Emails whose domain is written in other letters than ASCII's: Klaviyo takes
 * the domain in Punycode.
 *
 * Plain C.  libidn2 allocates while it converts, which is rare and short.
 */


#ifndef KLAVIYO_IDN_H
#define KLAVIYO_IDN_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_IDN_LEN  100         /* bytes: what is longer is no email   */


/*
 * The email with its domain in Punycode: its length in `out`, or 0: there is
 * nothing to convert, or it cannot be.  It is not said to be an email.
 */
size_t klaviyo_idn_email(const uint8_t *p, size_t len,
    uint8_t out[KLAVIYO_IDN_LEN]);


#endif /* KLAVIYO_IDN_H */

/*
 * The characters of a page: UTF-8, or windows-1252, which is what browsers
 * take ISO-8859-1 and ASCII for.  Of others nothing but ASCII is read.
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_CHARSET_H
#define KLAVIYO_CHARSET_H


#include <stddef.h>
#include <stdint.h>


#define KLAVIYO_CHARSET_HEAD  1024     /* bytes of a page in which it is
                                          looked for, as browsers do        */


typedef enum {
    KLAVIYO_CHARSET_NONE = 0,          /* nobody says: UTF-8 where it is
                                          valid, else windows-1252          */
    KLAVIYO_CHARSET_UTF_8,
    KLAVIYO_CHARSET_WINDOWS_1252,
    KLAVIYO_CHARSET_OTHER
} klaviyo_charset_e;


/* of a label, as in "charset=" */
klaviyo_charset_e klaviyo_charset(const uint8_t *label, size_t len);

/* of the head of a page, which a byte order mark or a <meta> names */
klaviyo_charset_e klaviyo_charset_find(const uint8_t *p, size_t len,
    klaviyo_charset_e told);

/* what `charset` makes of these bytes, some of which are not ASCII */
klaviyo_charset_e klaviyo_charset_of(klaviyo_charset_e charset,
    const uint8_t *p, size_t len);

int klaviyo_charset_is_ascii(const uint8_t *p, size_t len);

/* windows-1252 as UTF-8; `out` has room for 3 bytes each; returns its length */
size_t klaviyo_charset_utf8(uint8_t *out, const uint8_t *p, size_t len);

/* the code of a byte of windows-1252 */
uint32_t klaviyo_charset_code(uint8_t ch);


#endif /* KLAVIYO_CHARSET_H */

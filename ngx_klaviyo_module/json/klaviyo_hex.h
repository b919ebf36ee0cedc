/*
 * Hexadecimal digits of either case, read.
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_HEX_H
#define KLAVIYO_HEX_H


#include <stdint.h>


/* the value of a digit, or -1 */

static inline int
klaviyo_hex(uint8_t ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    ch |= 0x20;

    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}


/* the number of four digits, the XXXX of JSON's `\uXXXX`, or -1 */

static inline int32_t
klaviyo_hex_unicode(const uint8_t *p)
{
    int      i, digit;
    int32_t  code;

    code = 0;

    for (i = 0; i < 4; i++) {
        digit = klaviyo_hex(p[i]);

        if (digit == -1) {
            return -1;
        }

        code = code << 4 | digit;
    }

    return code;
}


#endif /* KLAVIYO_HEX_H */

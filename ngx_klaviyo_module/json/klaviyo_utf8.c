/*
 * json: UTF-8.  Plain C, no allocation.
 */


#include "klaviyo_utf8.h"


int
klaviyo_utf8_length(const uint8_t *p, const uint8_t *last)
{
    int      n, need;
    uint8_t  c, low, high;

    c = *p;

    /* the range of the second byte keeps out overlong forms, surrogates and
       what lies beyond U+10FFFF */

    low = 0x80;
    high = 0xbf;

    if (c < 0x80) {
        return 1;
    }

    if (c < 0xc2) {
        return -1;
    }

    if (c < 0xe0) {
        need = 2;

    } else if (c < 0xf0) {
        need = 3;

        if (c == 0xe0) {
            low = 0xa0;

        } else if (c == 0xed) {
            high = 0x9f;
        }

    } else if (c < 0xf5) {
        need = 4;

        if (c == 0xf0) {
            low = 0x90;

        } else if (c == 0xf4) {
            high = 0x8f;
        }

    } else {
        return -1;
    }

    for (n = 1; n < need; n++) {

        if (n == last - p || p[n] < low || p[n] > high) {
            return -n;
        }

        low = 0x80;
        high = 0xbf;
    }

    return need;
}


size_t
klaviyo_utf8_encode(uint8_t *buf, uint32_t code)
{
    if (code < 0x80) {
        buf[0] = (uint8_t) code;
        return 1;
    }

    if (code < 0x800) {
        buf[0] = (uint8_t) (0xc0 | (code >> 6));
        buf[1] = (uint8_t) (0x80 | (code & 0x3f));
        return 2;
    }

    if (code < 0x10000) {
        buf[0] = (uint8_t) (0xe0 | (code >> 12));
        buf[1] = (uint8_t) (0x80 | ((code >> 6) & 0x3f));
        buf[2] = (uint8_t) (0x80 | (code & 0x3f));
        return 3;
    }

    buf[0] = (uint8_t) (0xf0 | (code >> 18));
    buf[1] = (uint8_t) (0x80 | ((code >> 12) & 0x3f));
    buf[2] = (uint8_t) (0x80 | ((code >> 6) & 0x3f));
    buf[3] = (uint8_t) (0x80 | (code & 0x3f));

    return 4;
}

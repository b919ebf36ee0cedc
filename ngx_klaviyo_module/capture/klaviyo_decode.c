/*
 * capture: percent-encoding and base64 into bytes.  Plain C, no allocation.
 */


#include <string.h>

#include "klaviyo_decode.h"

#include "json/klaviyo_hex.h"


/* the standard alphabet and the one for URLs; a blank was a `+` in a URL */

#define KLAVIYO_DECODE_NONE  64

static const uint8_t  klaviyo_decode_alphabet[256] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    62, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 62, 64, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64,
    64,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 63,
    64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64
};


size_t
klaviyo_decode_percent(uint8_t *dst, const uint8_t *p, size_t len)
{
    int             high, low;
    size_t          n;
    uint8_t        *start;
    const uint8_t  *last, *percent;

    start = dst;
    last = p + len;

    while (p < last) {
        percent = memchr(p, '%', last - p);

        n = (percent ? percent : last) - p;
        memmove(dst, p, n);

        dst += n;
        p += n;

        if (p == last) {
            break;
        }

        high = last - p > 2 ? klaviyo_hex(p[1]) : -1;
        low = last - p > 2 ? klaviyo_hex(p[2]) : -1;

        if (high >= 0 && low >= 0) {
            *dst++ = (uint8_t) (high << 4 | low);
            p += 3;

        } else {
            *dst++ = *p++;
        }
    }

    return dst - start;
}


int
klaviyo_decode_base64(uint8_t *dst, const uint8_t *p, size_t *len)
{
    int             pad;
    size_t          n;
    uint8_t        *start;
    uint32_t        a, b, c, d, word, none;
    const uint8_t  *last, *whole;

    n = *len;
    none = 0;
    start = dst;

    for (pad = 0; pad < 2 && n && p[n - 1] == '='; pad++) {
        n--;
    }

    if (n % 4 == 1 || (pad && (n + pad) % 4 != 0)) {
        return 0;
    }

    last = p + n;

    for (whole = p + n / 4 * 4; p < whole; p += 4) {
        a = klaviyo_decode_alphabet[p[0]];
        b = klaviyo_decode_alphabet[p[1]];
        c = klaviyo_decode_alphabet[p[2]];
        d = klaviyo_decode_alphabet[p[3]];

        none |= a | b | c | d;

        word = a << 18 | b << 12 | c << 6 | d;

        *dst++ = (uint8_t) (word >> 16);
        *dst++ = (uint8_t) (word >> 8);
        *dst++ = (uint8_t) word;
    }

    if (p < last) {
        a = klaviyo_decode_alphabet[p[0]];
        b = klaviyo_decode_alphabet[p[1]];
        c = last - p > 2 ? klaviyo_decode_alphabet[p[2]] : 0;

        none |= a | b | c;

        *dst++ = (uint8_t) (a << 2 | b >> 4);

        if (last - p > 2) {
            *dst++ = (uint8_t) (b << 4 | c >> 2);
        }
    }

    if (none & KLAVIYO_DECODE_NONE) {
        return 0;
    }

    *len = dst - start;

    return 1;
}

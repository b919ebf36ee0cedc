/*
 * Private to json/: bytes of a string that need no look, neither when they
 * are read nor when they are written.
 *
 * Plain C, no allocation.
 */


#ifndef KLAVIYO_PLAIN_H
#define KLAVIYO_PLAIN_H


#include <stdint.h>
#include <string.h>


#define klaviyo_plain_bytes(c)  (UINT64_C(0x0101010101010101) * (c))


/* 1: ASCII, but no control character, quote or backslash */
extern const uint8_t  klaviyo_plain_byte[256];


/*
 * 0: eight bytes of these.  The top bit of a byte of the mask is set where the
 * byte is below 0x20, 0x22, 0x5c, 0x7f or above; what is below 0x20 or 0x22,
 * and nothing else, is below 0x21 with its second bit flipped.  A borrow or a
 * carry can only spread from a byte that is itself set, and upwards: zero is
 * exact, and so is the lowest byte that is set.
 */

static inline uint64_t
klaviyo_plain_mask(uint64_t word)
{
    uint64_t  mask;

    mask = word
           | ((word ^ klaviyo_plain_bytes(0x02)) - klaviyo_plain_bytes(0x21))
           | ((word ^ klaviyo_plain_bytes('\\')) - klaviyo_plain_bytes(1))
           | (word + klaviyo_plain_bytes(1));

    return mask & klaviyo_plain_bytes(0x80);
}


/* the first byte that is none of these, or `last` */

static inline const uint8_t *
klaviyo_plain(const uint8_t *p, const uint8_t *last)
{
    uint64_t  word, mask;

    while (last - p >= 8) {
        memcpy(&word, p, 8);

        mask = klaviyo_plain_mask(word);

        if (mask) {
#if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
            return p + __builtin_ctzll(mask) / 8;
#else
            break;
#endif
        }

        p += 8;
    }

    while (p < last && klaviyo_plain_byte[*p]) {
        p++;
    }

    return p;
}


#endif /* KLAVIYO_PLAIN_H */

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

#ifdef __SSE2__
#include <emmintrin.h>
#endif


#define klaviyo_plain_bytes(c)  (UINT64_C(0x0101010101010101) * (c))


/* 1: ASCII, but no control character, quote or backslash */
extern const uint8_t  klaviyo_plain_byte[256];


/*
 * 0: eight bytes of these.  The top bit of a byte of the mask is set where the
 * byte is below 0x20, 0x22, 0x5c, 0x7f or above; what is below 0x20 or 0x22,
 * and nothing else, is below 0x21 with its second bit flipped.  A borrow or a
 * carry can only spread from a byte that is itself set, so zero is exact.
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


#ifdef __SSE2__

#define KLAVIYO_PLAIN_BLOCK  16

/* how many bytes of a block are plain before one that is not */

static inline unsigned
klaviyo_plain_run(const uint8_t *p)
{
    unsigned  mask;
    __m128i   block, plain, other;

    block = _mm_loadu_si128((const __m128i *) p);

    plain = _mm_cmpgt_epi8(block, _mm_set1_epi8(0x1f));

    other = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
                         _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
    other = _mm_or_si128(other, _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f)));

    mask = (unsigned) _mm_movemask_epi8(_mm_andnot_si128(other, plain));

    return (unsigned) __builtin_ctz(~mask | 1U << KLAVIYO_PLAIN_BLOCK);
}

#else

#define KLAVIYO_PLAIN_BLOCK  8

static inline unsigned
klaviyo_plain_run(const uint8_t *p)
{
    uint64_t  word;
    unsigned  n;

    memcpy(&word, p, 8);

    if (klaviyo_plain_mask(word) == 0) {
        return KLAVIYO_PLAIN_BLOCK;
    }

    for (n = 0; klaviyo_plain_byte[p[n]]; n++) { /* void */ }

    return n;
}

#endif


/* the first byte that is none of these, or `last` */

static inline const uint8_t *
klaviyo_plain(const uint8_t *p, const uint8_t *last)
{
    unsigned  n;

    while (last - p >= KLAVIYO_PLAIN_BLOCK) {
        n = klaviyo_plain_run(p);
        p += n;

        if (n < KLAVIYO_PLAIN_BLOCK) {
            return p;
        }
    }

    while (p < last && klaviyo_plain_byte[*p]) {
        p++;
    }

    return p;
}


#endif /* KLAVIYO_PLAIN_H */

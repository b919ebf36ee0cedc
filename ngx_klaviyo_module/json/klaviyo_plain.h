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
#elif defined(__aarch64__)
#include <arm_neon.h>
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

typedef __m128i  klaviyo_plain_block_t;

#define klaviyo_plain_load(p)                                                \
    _mm_loadu_si128((const __m128i *) (p))
#define klaviyo_plain_store(p, block)                                        \
    _mm_storeu_si128((__m128i *) (p), block)

/* a bit for each byte that is plain; as above, with signs instead of carries */

static inline unsigned
klaviyo_plain_bits(klaviyo_plain_block_t block)
{
    __m128i  plain, other;

    plain = _mm_cmpgt_epi8(_mm_xor_si128(block, _mm_set1_epi8(0x02)),
                           _mm_set1_epi8(0x20));

    other = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('\\')),
                         _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f)));

    return (unsigned) _mm_movemask_epi8(_mm_andnot_si128(other, plain));
}

#define klaviyo_plain_is(block)  (klaviyo_plain_bits(block) == 0xffff)

/* how many bytes of a block are plain before one that is not */

static inline unsigned
klaviyo_plain_run(const uint8_t *p)
{
    return (unsigned) __builtin_ctz(~klaviyo_plain_bits(klaviyo_plain_load(p))
                                    | 1U << KLAVIYO_PLAIN_BLOCK);
}

#elif defined(__aarch64__)

#define KLAVIYO_PLAIN_BLOCK  16

typedef uint8x16_t  klaviyo_plain_block_t;

#define klaviyo_plain_load(p)          vld1q_u8(p)
#define klaviyo_plain_store(p, block)  vst1q_u8(p, block)

/* 0xff for each byte that is not */

static inline uint8x16_t
klaviyo_plain_other(klaviyo_plain_block_t block)
{
    uint8x16_t  other;

    other = vcltq_u8(vsubq_u8(block, vdupq_n_u8(0x20)),
                     vdupq_n_u8(0x7f - 0x20));
    other = vmvnq_u8(other);
    other = vorrq_u8(other, vceqq_u8(block, vdupq_n_u8('"')));

    return vorrq_u8(other, vceqq_u8(block, vdupq_n_u8('\\')));
}

#define klaviyo_plain_is(block)                                              \
    (vmaxvq_u8(klaviyo_plain_other(block)) == 0)

static inline unsigned
klaviyo_plain_run(const uint8_t *p)
{
    uint64_t   mask;
    uint8x8_t  narrow;

    narrow = vshrn_n_u16(vreinterpretq_u16_u8(
                             klaviyo_plain_other(klaviyo_plain_load(p))), 4);
    mask = vget_lane_u64(vreinterpret_u64_u8(narrow), 0);

    return mask ? (unsigned) __builtin_ctzll(mask) / 4 : KLAVIYO_PLAIN_BLOCK;
}

#else

#define KLAVIYO_PLAIN_BLOCK  8

typedef uint64_t  klaviyo_plain_block_t;

static inline klaviyo_plain_block_t
klaviyo_plain_load(const uint8_t *p)
{
    uint64_t  word;

    memcpy(&word, p, 8);

    return word;
}

static inline void
klaviyo_plain_store(uint8_t *p, klaviyo_plain_block_t block)
{
    memcpy(p, &block, 8);
}

#define klaviyo_plain_is(block)  (klaviyo_plain_mask(block) == 0)

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

/*
 * The bytes of a text that mean something, one after the other, found a block
 * at a time.  A mask has a bit for each byte of a block that is one of the
 * set.
 *
 * Plain C, no allocation; reads nothing but the text.
 */


#ifndef KLAVIYO_MARKS_H
#define KLAVIYO_MARKS_H


#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif


/* five bytes, none of them 0; where they are fewer, one of them again */

typedef struct {
    uint8_t         byte[5];
} klaviyo_marks_set_t;


typedef struct {
    const uint8_t  *start;
    const uint8_t  *block;       /* that the mask is of                     */
    const uint8_t  *next;        /* the block after it                      */
    const uint8_t  *last;
    uint64_t        mask;
} klaviyo_marks_t;


#define KLAVIYO_MARKS_BLOCK  64

#define klaviyo_marks_inline  static inline __attribute__((always_inline))


#if defined(__SSE2__)

klaviyo_marks_inline uint64_t
klaviyo_marks_mask16(const uint8_t *p, const klaviyo_marks_set_t set)
{
    __m128i  block, found;

#define klaviyo_marks_is(i)                                                  \
    _mm_cmpeq_epi8(block, _mm_set1_epi8((char) set.byte[i]))

    block = _mm_loadu_si128((const __m128i *) p);

    found = _mm_or_si128(klaviyo_marks_is(0), klaviyo_marks_is(1));
    found = _mm_or_si128(found, klaviyo_marks_is(2));
    found = _mm_or_si128(found, klaviyo_marks_is(3));
    found = _mm_or_si128(found, klaviyo_marks_is(4));

#undef klaviyo_marks_is

    return (uint64_t) (unsigned) _mm_movemask_epi8(found);
}


klaviyo_marks_inline uint64_t
klaviyo_marks_mask(const uint8_t *p, const klaviyo_marks_set_t set)
{
    return klaviyo_marks_mask16(p, set)
           | klaviyo_marks_mask16(p + 16, set) << 16
           | klaviyo_marks_mask16(p + 32, set) << 32
           | klaviyo_marks_mask16(p + 48, set) << 48;
}

#elif defined(__aarch64__)

/* 0xff for each byte of the set */

klaviyo_marks_inline uint8x16_t
klaviyo_marks_found(const uint8_t *p, const klaviyo_marks_set_t set)
{
    uint8x16_t  block, found;

#define klaviyo_marks_is(i)  vceqq_u8(block, vdupq_n_u8(set.byte[i]))

    block = vld1q_u8(p);

    found = vorrq_u8(klaviyo_marks_is(0), klaviyo_marks_is(1));
    found = vorrq_u8(found, klaviyo_marks_is(2));
    found = vorrq_u8(found, klaviyo_marks_is(3));

    return vorrq_u8(found, klaviyo_marks_is(4));

#undef klaviyo_marks_is
}


/* a bit of each byte, and eight neighbours added up */

klaviyo_marks_inline uint64_t
klaviyo_marks_mask(const uint8_t *p, const klaviyo_marks_set_t set)
{
    uint8x16_t  bits, one, two;

    bits = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));

    one = vpaddq_u8(vandq_u8(klaviyo_marks_found(p, set), bits),
                    vandq_u8(klaviyo_marks_found(p + 16, set), bits));
    two = vpaddq_u8(vandq_u8(klaviyo_marks_found(p + 32, set), bits),
                    vandq_u8(klaviyo_marks_found(p + 48, set), bits));

    one = vpaddq_u8(one, two);
    one = vpaddq_u8(one, one);

    return vgetq_lane_u64(vreinterpretq_u64_u8(one), 0);
}

#else

klaviyo_marks_inline uint64_t
klaviyo_marks_mask(const uint8_t *p, const klaviyo_marks_set_t set)
{
    uint64_t  mask;
    unsigned  i, k;

    mask = 0;

    for (i = 0; i < KLAVIYO_MARKS_BLOCK; i++) {
        for (k = 0; k < sizeof(set.byte); k++) {

            if (p[i] == set.byte[k]) {
                mask |= UINT64_C(1) << i;
                break;
            }
        }
    }

    return mask;
}

#endif


static inline void
klaviyo_marks_init(klaviyo_marks_t *marks, const uint8_t *p,
    const uint8_t *last)
{
    marks->start = p;
    marks->block = p;
    marks->next = p;
    marks->last = last;
    marks->mask = 0;
}


/* the next one of the set, or marks->last; the same set each time */

klaviyo_marks_inline const uint8_t *
klaviyo_marks_next(klaviyo_marks_t *marks, const klaviyo_marks_set_t set)
{
    size_t          rest;
    uint8_t         buf[KLAVIYO_MARKS_BLOCK];
    const uint8_t  *p;

    while (marks->mask == 0) {

        rest = marks->last - marks->next;

        if (rest >= KLAVIYO_MARKS_BLOCK) {
            marks->block = marks->next;
            marks->next += KLAVIYO_MARKS_BLOCK;
            marks->mask = klaviyo_marks_mask(marks->block, set);
            continue;
        }

        if (rest == 0) {
            return marks->last;
        }

        marks->block = marks->next;
        marks->next = marks->last;

        /* of the last block, what was not looked at */

        if (marks->last - marks->start >= KLAVIYO_MARKS_BLOCK) {
            p = marks->last - KLAVIYO_MARKS_BLOCK;

            marks->mask = klaviyo_marks_mask(p, set)
                          >> (KLAVIYO_MARKS_BLOCK - rest);
            continue;
        }

        memset(buf, 0, KLAVIYO_MARKS_BLOCK);
        memcpy(buf, marks->block, rest);

        marks->mask = klaviyo_marks_mask(buf, set);
    }

    p = marks->block + __builtin_ctzll(marks->mask);

    marks->mask &= marks->mask - 1;

    return p;
}


/* goes on at p, behind all that were found */

static inline void
klaviyo_marks_skip(klaviyo_marks_t *marks, const uint8_t *p)
{
    if (p < marks->next) {
        marks->mask &= ~UINT64_C(0) << (p - marks->block);

    } else {
        marks->next = p;
        marks->mask = 0;
    }
}


/* goes on at p, wherever that is */

static inline void
klaviyo_marks_seek(klaviyo_marks_t *marks, const uint8_t *p)
{
    marks->next = p;
    marks->mask = 0;
}


#endif /* KLAVIYO_MARKS_H */

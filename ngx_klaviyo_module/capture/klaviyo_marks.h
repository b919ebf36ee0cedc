/*
 * Private to capture/: the bytes of a text that mean something, one after the
 * other, found a block at a time.  A mask has a bit for each byte of a block
 * that is one of the set.
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


/* five bytes, none of them 0 */

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


#define klaviyo_marks_inline  static inline __attribute__((always_inline))


#if defined(__SSE2__)

#define KLAVIYO_MARKS_BLOCK  16
#define KLAVIYO_MARKS_SHIFT  0   /* of a bit, to the byte's number          */

klaviyo_marks_inline uint64_t
klaviyo_marks_mask(const uint8_t *p, const klaviyo_marks_set_t set)
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

#elif defined(__aarch64__)

#define KLAVIYO_MARKS_BLOCK  16
#define KLAVIYO_MARKS_SHIFT  2

klaviyo_marks_inline uint64_t
klaviyo_marks_mask(const uint8_t *p, const klaviyo_marks_set_t set)
{
    uint8x8_t   narrow;
    uint8x16_t  block, found;

#define klaviyo_marks_is(i)  vceqq_u8(block, vdupq_n_u8(set.byte[i]))

    block = vld1q_u8(p);

    found = vorrq_u8(klaviyo_marks_is(0), klaviyo_marks_is(1));
    found = vorrq_u8(found, klaviyo_marks_is(2));
    found = vorrq_u8(found, klaviyo_marks_is(3));
    found = vorrq_u8(found, klaviyo_marks_is(4));

#undef klaviyo_marks_is

    narrow = vshrn_n_u16(vreinterpretq_u16_u8(found), 4);

    return vget_lane_u64(vreinterpret_u64_u8(narrow), 0)
           & UINT64_C(0x8888888888888888);
}

#else

#define KLAVIYO_MARKS_BLOCK  8
#define KLAVIYO_MARKS_SHIFT  3

klaviyo_marks_inline uint64_t
klaviyo_marks_mask(const uint8_t *p, const klaviyo_marks_set_t set)
{
    uint64_t  mask;
    unsigned  i, k;

    mask = 0;

    for (i = 0; i < KLAVIYO_MARKS_BLOCK; i++) {
        for (k = 0; k < sizeof(set.byte); k++) {

            if (p[i] == set.byte[k]) {
                mask |= UINT64_C(1) << (i << KLAVIYO_MARKS_SHIFT);
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
                          >> ((KLAVIYO_MARKS_BLOCK - rest)
                              << KLAVIYO_MARKS_SHIFT);
            continue;
        }

        memset(buf, 0, KLAVIYO_MARKS_BLOCK);
        memcpy(buf, marks->block, rest);

        marks->mask = klaviyo_marks_mask(buf, set);
    }

    p = marks->block
        + (__builtin_ctzll(marks->mask) >> KLAVIYO_MARKS_SHIFT);

    marks->mask &= marks->mask - 1;

    return p;
}


#endif /* KLAVIYO_MARKS_H */

/*
 * capture: percent-encoding and base64 into bytes.  Plain C, no allocation.
 */


#include <string.h>

#if defined(__x86_64__)
#include <tmmintrin.h>
#endif

#include "klaviyo_decode.h"

#include "json/klaviyo_hex.h"


/*
 * The value of each byte of the standard alphabet and of the one for URLs, 64
 * for any other; a blank was a `+` in a URL.  Four tables have it where it
 * stands in a word of four, so that a word is four looks and no shift.
 */

#define KLAVIYO_DECODE_NONE  (UINT32_C(1) << 31)

#define klaviyo_decode_bytes(x)                                              \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(62), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(62), x(64), x(62), x(64), x(63),                  \
    x(52), x(53), x(54), x(55), x(56), x(57), x(58), x(59),                  \
    x(60), x(61), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x( 0), x( 1), x( 2), x( 3), x( 4), x( 5), x( 6),                  \
    x( 7), x( 8), x( 9), x(10), x(11), x(12), x(13), x(14),                  \
    x(15), x(16), x(17), x(18), x(19), x(20), x(21), x(22),                  \
    x(23), x(24), x(25), x(64), x(64), x(64), x(64), x(63),                  \
    x(64), x(26), x(27), x(28), x(29), x(30), x(31), x(32),                  \
    x(33), x(34), x(35), x(36), x(37), x(38), x(39), x(40),                  \
    x(41), x(42), x(43), x(44), x(45), x(46), x(47), x(48),                  \
    x(49), x(50), x(51), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64),                  \
    x(64), x(64), x(64), x(64), x(64), x(64), x(64), x(64)

#define klaviyo_decode_1st(n)                                                \
    ((n) == 64 ? KLAVIYO_DECODE_NONE : UINT32_C(n) << 18)
#define klaviyo_decode_2nd(n)                                                \
    ((n) == 64 ? KLAVIYO_DECODE_NONE : UINT32_C(n) << 12)
#define klaviyo_decode_3rd(n)                                                \
    ((n) == 64 ? KLAVIYO_DECODE_NONE : UINT32_C(n) << 6)
#define klaviyo_decode_4th(n)                                                \
    ((n) == 64 ? KLAVIYO_DECODE_NONE : UINT32_C(n))

static const uint32_t  klaviyo_decode_word[4][256] = {
    { klaviyo_decode_bytes(klaviyo_decode_1st) },
    { klaviyo_decode_bytes(klaviyo_decode_2nd) },
    { klaviyo_decode_bytes(klaviyo_decode_3rd) },
    { klaviyo_decode_bytes(klaviyo_decode_4th) }
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


#if defined(__x86_64__)

/*
 * Blocks of 16 bytes of the standard alphabet from the start on, into 12 each;
 * says how many these were.  The upper half of a byte says what to add to it
 * and between which two it has to be; the slash takes the place of another.
 * dst may be p.
 */

__attribute__((target("ssse3"))) static size_t
klaviyo_decode_ssse3(uint8_t *dst, const uint8_t *p, size_t n)
{
    size_t   i;
    int64_t  low;
    int32_t  high;
    __m128i  block, row, wrong;

    const __m128i  add = _mm_setr_epi8(0, 63 - '/', 62 - '+', 52 - '0', -'A',
                                       -'A', 26 - 'a', 26 - 'a', 0, 0, 0, 0, 0,
                                       0, 0, 0);
    const __m128i  from = _mm_setr_epi8(-1, '/', '+', '0', 'A', 'P', 'a', 'p',
                                        -1, -1, -1, -1, -1, -1, -1, -1);
    const __m128i  to = _mm_setr_epi8(0, '/', '+', '9', 'O', 'Z', 'o', 'z', 0,
                                      0, 0, 0, 0, 0, 0, 0);
    const __m128i  order = _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13,
                                         12, -1, -1, -1, -1);

    for (i = 0; n - i * 16 >= 16; i++) {
        block = _mm_loadu_si128((const __m128i *) (p + i * 16));

        row = _mm_and_si128(_mm_srli_epi32(block, 4), _mm_set1_epi8(0x0f));
        row = _mm_add_epi8(row, _mm_cmpeq_epi8(block, _mm_set1_epi8('/')));

        wrong = _mm_or_si128(_mm_subs_epu8(_mm_shuffle_epi8(from, row), block),
                             _mm_subs_epu8(block, _mm_shuffle_epi8(to, row)));

        if (_mm_movemask_epi8(_mm_cmpeq_epi8(wrong, _mm_setzero_si128()))
            != 0xffff)
        {
            break;
        }

        block = _mm_add_epi8(block, _mm_shuffle_epi8(add, row));

        /* 4 times 6 bits, to 2 times 12, to 24, to their bytes */

        block = _mm_maddubs_epi16(block, _mm_set1_epi32(0x01400140));
        block = _mm_madd_epi16(block, _mm_set1_epi32(0x00011000));
        block = _mm_shuffle_epi8(block, order);

        low = _mm_cvtsi128_si64(block);
        high = _mm_cvtsi128_si32(_mm_srli_si128(block, 8));

        memcpy(dst + i * 12, &low, 8);
        memcpy(dst + i * 12 + 8, &high, 4);
    }

    return i;
}


static size_t
klaviyo_decode_blocks(uint8_t *dst, const uint8_t *p, size_t n)
{
    static int  able = -1;

    if (able == -1) {
        __builtin_cpu_init();
        able = (__builtin_cpu_supports("ssse3") != 0);
    }

    return able ? klaviyo_decode_ssse3(dst, p, n) : 0;
}

#endif


int
klaviyo_decode_base64(uint8_t *dst, const uint8_t *p, size_t *len)
{
    int             pad;
    size_t          n;
    uint8_t        *start;
    uint32_t        word, none;
    const uint8_t  *last, *whole;

#if defined(__x86_64__)
    size_t          blocks;
#endif

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
    whole = p + n / 4 * 4;

#if defined(__x86_64__)

    blocks = klaviyo_decode_blocks(dst, p, n);

    p += blocks * 16;
    dst += blocks * 12;

#endif

    for ( /* void */ ; p < whole; p += 4) {
        word = klaviyo_decode_word[0][p[0]] | klaviyo_decode_word[1][p[1]]
               | klaviyo_decode_word[2][p[2]] | klaviyo_decode_word[3][p[3]];

        none |= word;

        *dst++ = (uint8_t) (word >> 16);
        *dst++ = (uint8_t) (word >> 8);
        *dst++ = (uint8_t) word;
    }

    if (p < last) {
        word = klaviyo_decode_word[0][p[0]] | klaviyo_decode_word[1][p[1]];

        if (last - p > 2) {
            word |= klaviyo_decode_word[2][p[2]];
        }

        none |= word;

        *dst++ = (uint8_t) (word >> 16);

        if (last - p > 2) {
            *dst++ = (uint8_t) (word >> 8);
        }
    }

    if (none & KLAVIYO_DECODE_NONE) {
        return 0;
    }

    *len = dst - start;

    return 1;
}

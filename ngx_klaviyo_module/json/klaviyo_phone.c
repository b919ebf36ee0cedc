/*
 * json: phone numbers.  Plain C.
 */


#include <string.h>

#include "klaviyo_check.h"
#include "klaviyo_phone.h"
#include "klaviyo_value.h"


static int klaviyo_phone_is_of(unsigned country, const uint16_t *codes,
    size_t n);
static size_t klaviyo_phone_filler(const uint8_t *p, const uint8_t *last);


/*
 * Countries in which a zero before a number means that it is one of the
 * country, and goes when the country's code stands there: no country is here
 * that has more such rules, as Hungary's 06, Argentina's 15 or Brazil's code
 * of a carrier, and none that has no such zero.
 */

static const uint16_t  klaviyo_phone_trunk[] = {
    20, 27, 31, 32, 33, 40, 41, 43, 44, 46, 49, 51, 58, 60, 61, 62, 63, 64,
    66, 81, 82, 84, 90, 91, 92, 93, 94, 95, 98, 212, 213, 218, 233, 234, 251,
    254, 255, 256, 260, 263, 264, 353, 355, 358, 359, 373, 374, 380, 381, 382,
    383, 385, 386, 387, 389, 421, 593, 595, 598, 855, 856, 880, 886, 961, 962,
    963, 964, 966, 967, 971, 972, 977, 994, 995, 996
};


/* in Italy, the zero is a part of the number */

static const uint16_t  klaviyo_phone_kept[] = { 39 };


#define KLAVIYO_PHONE_TRUNK                                                  \
    (sizeof(klaviyo_phone_trunk) / sizeof(klaviyo_phone_trunk[0]))

#define KLAVIYO_PHONE_KEPT                                                   \
    (sizeof(klaviyo_phone_kept) / sizeof(klaviyo_phone_kept[0]))


size_t
klaviyo_phone(const uint8_t *p, size_t len, unsigned country,
    uint8_t out[KLAVIYO_PHONE_LEN])
{
    int             abroad;
    size_t          i, n, size;
    uint8_t         digits[KLAVIYO_PHONE_LEN + 2];
    unsigned        unit;
    const uint8_t  *last;

    len = klaviyo_value_trim(&p, len);

    last = p + len;
    n = 0;

    abroad = (p < last && *p == '+');

    if (abroad) {
        p++;
    }

    while (p < last) {

        /* behind the country's code, "+44 (0) 20": not for those abroad */

        if (abroad && n && n <= 3 && last - p > 3
            && memcmp(p, "(0)", 3) == 0)
        {
            p += 3;
            continue;
        }

        size = klaviyo_phone_filler(p, last);

        if (size) {
            p += size;
            continue;
        }

        if (*p < '0' || *p > '9' || n == sizeof(digits)) {
            return 0;
        }

        digits[n++] = *p++;

        if (n == 2 && !abroad && memcmp(digits, "00", 2) == 0) {
            abroad = 1;
            n = 0;
        }
    }

    size = 0;
    out[size++] = '+';

    i = 0;

    if (!abroad) {

        if (n == 0 || digits[0] != '0' || !klaviyo_phone_country(country)) {
            return 0;
        }

        i = !klaviyo_phone_is_of(country, klaviyo_phone_kept,
                                 KLAVIYO_PHONE_KEPT);

        for (unit = 1; unit <= country / 10; unit *= 10) { /* void */ }

        for ( /* void */ ; unit; unit /= 10) {
            out[size++] = (uint8_t) ('0' + country / unit % 10);
        }
    }

    if (size + n - i > KLAVIYO_PHONE_LEN) {
        return 0;
    }

    memcpy(out + size, digits + i, n - i);
    size += n - i;

    return klaviyo_value_is_phone(out, size) ? size : 0;
}


int
klaviyo_phone_country(unsigned country)
{
    return klaviyo_phone_is_of(country, klaviyo_phone_trunk,
                               KLAVIYO_PHONE_TRUNK)
           || klaviyo_phone_is_of(country, klaviyo_phone_kept,
                                  KLAVIYO_PHONE_KEPT);
}


static int
klaviyo_phone_is_of(unsigned country, const uint16_t *codes, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {

        if (codes[i] == country) {
            return 1;
        }
    }

    return 0;
}


/* bytes of what people put between digits */

static size_t
klaviyo_phone_filler(const uint8_t *p, const uint8_t *last)
{
    if (klaviyo_value_blank(*p) || (*p && strchr(".-()[]/", *p))) {
        return 1;
    }

    if (last - p >= 2 && p[0] == 0xc2 && p[1] == 0xa0) {
        return 2;
    }

    /* hyphens and dashes, and a narrow blank */

    if (last - p >= 3 && p[0] == 0xe2 && p[1] == 0x80
        && ((p[2] >= 0x90 && p[2] <= 0x95) || p[2] == 0xaf))
    {
        return 3;
    }

    return 0;
}

/*
 * The capture room: the strings of IAB, TCF v2 and GPP: base64 of bits, six
 * in each character.
 *
 * TCF v2, the core of the string, up to its first dot:
 *
 *     bit    0  version, 2          132  version of the policy
 *          152  purposes with consent, 24
 *          176  purposes with a legitimate interest, 24
 *          213  the greatest vendor, 16; a bit: ranges; the vendors
 *               the same of legitimate interests
 *               restrictions of the publisher
 *
 * GPP: a header with the numbers of its sections, and the sections in their
 * order, `~` between them.
 *
 * Plain C.
 */


#include <string.h>

#include "klaviyo_consent_iab.h"


#define KLAVIYO_CONSENT_TCF_PURPOSES  152
#define KLAVIYO_CONSENT_TCF_VENDORS   213

#define KLAVIYO_CONSENT_GPP_TYPE      3
#define KLAVIYO_CONSENT_GPP_SECTIONS  32
#define KLAVIYO_CONSENT_GPP_TCF       2
#define KLAVIYO_CONSENT_GPP_USP       6
#define KLAVIYO_CONSENT_GPP_USNAT     7
#define KLAVIYO_CONSENT_GPP_LAST      27
#define KLAVIYO_CONSENT_GPP_GPC       1      /* type of a segment           */


/* `bad` is set by what is read beyond the end, or is no base64 */

typedef struct {
    const uint8_t  *p;
    size_t          len;                     /* characters                  */
    size_t          bit;                     /* of the next to read         */
    unsigned        bad:1;
} klaviyo_consent_bits_t;


static void klaviyo_consent_bits(klaviyo_consent_bits_t *bits,
    const uint8_t *p, size_t len);
static unsigned klaviyo_consent_get(klaviyo_consent_bits_t *bits, unsigned n);
static int klaviyo_consent_char(uint8_t ch);
static int klaviyo_consent_vendor(klaviyo_consent_bits_t *bits,
    unsigned vendor);
static int klaviyo_consent_ranges(klaviyo_consent_bits_t *bits,
    unsigned vendor);
static int klaviyo_consent_restricted(const klaviyo_consent_want_t *want,
    klaviyo_consent_bits_t *bits);
static size_t klaviyo_consent_sections(const uint8_t *p, size_t len,
    uint8_t *section);
static unsigned klaviyo_consent_fibonacci(klaviyo_consent_bits_t *bits);
static klaviyo_consent_e klaviyo_consent_states(unsigned section,
    const uint8_t *p, size_t len);
static klaviyo_consent_e klaviyo_consent_usp(const uint8_t *p, size_t len);


klaviyo_consent_e
klaviyo_consent_tcf(const klaviyo_consent_want_t *want, const uint8_t *p,
    size_t len)
{
    int                      agreed;
    unsigned                 i, purposes;
    const uint8_t           *dot;
    klaviyo_consent_bits_t   bits;

    dot = len ? memchr(p, '.', len) : NULL;

    klaviyo_consent_bits(&bits, p, dot ? (size_t) (dot - p) : len);

    if (klaviyo_consent_get(&bits, 6) != 2) {
        return KLAVIYO_CONSENT_NONE;
    }

    bits.bit = KLAVIYO_CONSENT_TCF_PURPOSES;
    purposes = klaviyo_consent_get(&bits, 24);

    bits.bit = KLAVIYO_CONSENT_TCF_VENDORS;

    agreed = klaviyo_consent_vendor(&bits, want->vendor);

    for (i = 1; i <= 24; i++) {

        if ((want->purposes & (UINT32_C(1) << i))
            && !(purposes & (1U << (24 - i))))
        {
            agreed = 0;
        }
    }

    if (want->vendor && agreed) {
        (void) klaviyo_consent_vendor(&bits, 0);

        agreed = !klaviyo_consent_restricted(want, &bits);
    }

    if (bits.bad) {
        return KLAVIYO_CONSENT_NONE;
    }

    return agreed ? KLAVIYO_CONSENT_YES : KLAVIYO_CONSENT_NO;
}


static void
klaviyo_consent_bits(klaviyo_consent_bits_t *bits, const uint8_t *p,
    size_t len)
{
    bits->p = p;
    bits->len = len;
    bits->bit = 0;
    bits->bad = 0;
}


/* n is 24 at most */

static unsigned
klaviyo_consent_get(klaviyo_consent_bits_t *bits, unsigned n)
{
    int       ch;
    size_t    i;
    unsigned  value;

    value = 0;

    while (n--) {
        i = bits->bit / 6;

        if (bits->bad || i >= bits->len) {
            bits->bad = 1;
            return 0;
        }

        ch = klaviyo_consent_char(bits->p[i]);

        if (ch < 0) {
            bits->bad = 1;
            return 0;
        }

        value = value << 1 | ((unsigned) ch >> (5 - bits->bit % 6) & 1);
        bits->bit++;
    }

    return value;
}


static int
klaviyo_consent_char(uint8_t ch)
{
    if (ch >= 'A' && ch <= 'Z') {
        return ch - 'A';
    }

    if (ch >= 'a' && ch <= 'z') {
        return ch - 'a' + 26;
    }

    if (ch >= '0' && ch <= '9') {
        return ch - '0' + 52;
    }

    if (ch == '-' || ch == '+') {
        return 62;
    }

    return (ch == '_' || ch == '/') ? 63 : -1;
}


/* reads the whole section of vendors: 1: this one is in it, or it is 0 */

static int
klaviyo_consent_vendor(klaviyo_consent_bits_t *bits, unsigned vendor)
{
    size_t    start;
    unsigned  max, found;

    max = klaviyo_consent_get(bits, 16);

    if (klaviyo_consent_get(bits, 1)) {
        found = klaviyo_consent_ranges(bits, vendor);

    } else {
        start = bits->bit;
        found = 0;

        if (vendor && vendor <= max) {
            bits->bit += vendor - 1;
            found = klaviyo_consent_get(bits, 1);
        }

        bits->bit = start + max;

        if (bits->bit > 6 * bits->len) {
            bits->bad = 1;
        }
    }

    return vendor == 0 || found;
}


static int
klaviyo_consent_ranges(klaviyo_consent_bits_t *bits, unsigned vendor)
{
    int       found;
    unsigned  n, first, last, range;

    found = 0;

    for (n = klaviyo_consent_get(bits, 12); n && !bits->bad; n--) {

        range = klaviyo_consent_get(bits, 1);
        first = klaviyo_consent_get(bits, 16);
        last = range ? klaviyo_consent_get(bits, 16) : first;

        if (vendor >= first && vendor <= last) {
            found = 1;
        }
    }

    return found;
}


/* a publisher may forbid a vendor what the visitor allowed */

static int
klaviyo_consent_restricted(const klaviyo_consent_want_t *want,
    klaviyo_consent_bits_t *bits)
{
    int       found, restricted;
    unsigned  n, purpose, type;

    restricted = 0;

    for (n = klaviyo_consent_get(bits, 12); n && !bits->bad; n--) {

        purpose = klaviyo_consent_get(bits, 6);
        type = klaviyo_consent_get(bits, 2);

        found = klaviyo_consent_ranges(bits, want->vendor);

        /* 0: not allowed, 1: by consent alone, 2: by interest alone */

        if (found && type != 1 && purpose >= 1 && purpose <= 24
            && (want->purposes & (UINT32_C(1) << purpose)))
        {
            restricted = 1;
        }
    }

    return restricted;
}


klaviyo_consent_e
klaviyo_consent_gpp(const klaviyo_consent_want_t *want, const uint8_t *p,
    size_t len)
{
    size_t              i, n;
    uint8_t             section[KLAVIYO_CONSENT_GPP_SECTIONS];
    const uint8_t      *last, *end;
    klaviyo_consent_e   answer, one;

    last = p + len;
    answer = KLAVIYO_CONSENT_NONE;

    end = len ? memchr(p, '~', len) : NULL;

    if (end == NULL) {
        return KLAVIYO_CONSENT_NONE;
    }

    n = klaviyo_consent_sections(p, end - p, section);

    for (i = 0; i < n && end < last; i++) {

        p = end + 1;
        end = memchr(p, '~', last - p);

        if (end == NULL) {
            end = last;
        }

        if (section[i] == KLAVIYO_CONSENT_GPP_TCF) {
            one = klaviyo_consent_tcf(want, p, end - p);

        } else if (section[i] == KLAVIYO_CONSENT_GPP_USP) {
            one = klaviyo_consent_usp(p, end - p);

        } else {
            one = klaviyo_consent_states(section[i], p, end - p);
        }

        /* a no of one section is a no */

        if (one == KLAVIYO_CONSENT_NO
            || (one == KLAVIYO_CONSENT_YES && answer == KLAVIYO_CONSENT_NONE))
        {
            answer = one;
        }
    }

    return answer;
}


/* how many; their numbers are written as the steps from one to the next */

static size_t
klaviyo_consent_sections(const uint8_t *p, size_t len, uint8_t *section)
{
    size_t                  count;
    unsigned                n, id, range, step;
    klaviyo_consent_bits_t  bits;

    klaviyo_consent_bits(&bits, p, len);

    if (klaviyo_consent_get(&bits, 6) != KLAVIYO_CONSENT_GPP_TYPE) {
        return 0;
    }

    (void) klaviyo_consent_get(&bits, 6);

    count = 0;
    id = 0;

    for (n = klaviyo_consent_get(&bits, 12); n; n--) {

        range = klaviyo_consent_get(&bits, 1);
        step = klaviyo_consent_fibonacci(&bits);

        if (bits.bad || step == 0) {
            return 0;
        }

        id += step;
        step = 0;

        if (range) {
            step = klaviyo_consent_fibonacci(&bits);
        }

        if (bits.bad) {
            return 0;
        }

        for ( ;; ) {

            if (count == KLAVIYO_CONSENT_GPP_SECTIONS || id > UINT8_MAX) {
                return 0;
            }

            section[count++] = (uint8_t) id;

            if (step-- == 0) {
                break;
            }

            id++;
        }
    }

    return count;
}


/* 0: there is none that is of use */

static unsigned
klaviyo_consent_fibonacci(klaviyo_consent_bits_t *bits)
{
    unsigned  i, bit, was, value, a, b, sum;

    value = 0;
    was = 0;
    a = 1;
    b = 2;

    for (i = 0; i < 16; i++) {

        bit = klaviyo_consent_get(bits, 1);

        if (bits->bad) {
            return 0;
        }

        if (bit && was) {
            return value;
        }

        value += bit ? a : 0;
        was = bit;

        sum = a + b;
        a = b;
        b = sum;
    }

    bits->bad = 1;

    return 0;
}


/*
 * The sections of the United States: the notices that were given, then the
 * opt-outs of sale, of sharing or advertising; 1 is out, 2 is not.  A segment
 * of its own holds the browser's signal.
 */

static klaviyo_consent_e
klaviyo_consent_states(unsigned section, const uint8_t *p, size_t len)
{
    unsigned                i, value, first, n;
    const uint8_t          *dot, *last;
    klaviyo_consent_e       answer;
    klaviyo_consent_bits_t  bits;

    if (section < KLAVIYO_CONSENT_GPP_USNAT
        || section > KLAVIYO_CONSENT_GPP_LAST)
    {
        return KLAVIYO_CONSENT_NONE;
    }

    n = 2;

    switch (section) {

    case KLAVIYO_CONSENT_GPP_USNAT:
        first = 18;
        n = 3;
        break;

    case 11:                                 /* Utah                        */
    case 18:                                 /* Iowa                        */
        first = 14;
        break;

    case 24:                                 /* Maryland, Indiana, Kentucky, */
    case 25:                                 /* Rhode Island                */
    case 26:
    case 27:
        first = 16;
        break;

    default:
        first = 12;
    }

    last = p + len;

    dot = len ? memchr(p, '.', len) : NULL;
    klaviyo_consent_bits(&bits, p, dot ? (size_t) (dot - p) : len);

    if (klaviyo_consent_get(&bits, 6) == 0) {
        return KLAVIYO_CONSENT_NONE;
    }

    bits.bit = first;
    answer = KLAVIYO_CONSENT_NONE;

    for (i = 0; i < n; i++) {

        value = klaviyo_consent_get(&bits, 2);

        if (value == 1) {
            answer = KLAVIYO_CONSENT_NO;

        } else if (value == 2 && answer == KLAVIYO_CONSENT_NONE) {
            answer = KLAVIYO_CONSENT_YES;
        }
    }

    if (bits.bad) {
        return KLAVIYO_CONSENT_NONE;
    }

    while (dot) {

        p = dot + 1;
        dot = memchr(p, '.', last - p);

        klaviyo_consent_bits(&bits, p, (dot ? dot : last) - p);

        if (klaviyo_consent_get(&bits, 2) == KLAVIYO_CONSENT_GPP_GPC
            && klaviyo_consent_get(&bits, 1))
        {
            answer = KLAVIYO_CONSENT_NO;
        }
    }

    return answer;
}


/* "1YNN": version, notice, opted out of sale, covered by an agreement */

static klaviyo_consent_e
klaviyo_consent_usp(const uint8_t *p, size_t len)
{
    if (len != 4 || p[0] != '1') {
        return KLAVIYO_CONSENT_NONE;
    }

    switch (p[2]) {

    case 'Y':
    case 'y':
        return KLAVIYO_CONSENT_NO;

    case 'N':
    case 'n':
        return KLAVIYO_CONSENT_YES;

    default:
        return KLAVIYO_CONSENT_NONE;
    }
}

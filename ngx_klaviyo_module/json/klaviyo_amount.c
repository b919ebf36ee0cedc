/*
 * json: amounts of money.  Plain C.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_amount.h"


#define KLAVIYO_AMOUNT_TEXT    128         /* bytes, symbols and all        */
#define KLAVIYO_AMOUNT_DIGITS  40
#define KLAVIYO_AMOUNT_GROUPS  14

#define KLAVIYO_AMOUNT_BLANK   ' '         /* any kind of blank             */
#define KLAVIYO_AMOUNT_TICK    '\''        /* and of apostrophe             */


/* a number between its separators, of which it has one less than groups */

typedef struct {
    uint8_t  digits[KLAVIYO_AMOUNT_DIGITS];
    size_t   ndigits;
    size_t   len[KLAVIYO_AMOUNT_GROUPS];
    uint8_t  separator[KLAVIYO_AMOUNT_GROUPS];
    size_t   n;                            /* groups                        */
} klaviyo_amount_number_t;


typedef struct {
    const char  *text;
    const char  *codes;                    /* of the currencies it is of    */
} klaviyo_amount_symbol_t;


static size_t klaviyo_amount_blank(const uint8_t *p, const uint8_t *last);
static size_t klaviyo_amount_minus(const uint8_t *p, const uint8_t *last);
static size_t klaviyo_amount_dash(const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_amount_trim(const uint8_t **p,
    const uint8_t *last);
static size_t klaviyo_amount_codes(const uint8_t *p, const uint8_t *last,
    int behind, uint8_t code[KLAVIYO_CURRENCY_LEN + 1], const char **codes);
static size_t klaviyo_amount_symbol(const klaviyo_amount_form_t *form,
    const uint8_t *p, const uint8_t *last, int behind);
static int klaviyo_amount_other(const klaviyo_amount_form_t *form,
    const char *codes);
static int klaviyo_amount_split(klaviyo_amount_number_t *number,
    const uint8_t *p, const uint8_t *last);
static int klaviyo_amount_point(const klaviyo_amount_form_t *form,
    const klaviyo_amount_number_t *number, int plain, size_t *integers);
static int klaviyo_amount_grouped(const klaviyo_amount_number_t *number,
    size_t n);
static size_t klaviyo_amount_put(uint8_t *out,
    const klaviyo_amount_number_t *number, size_t point, int negative);


/* of several currencies */

#define KLAVIYO_AMOUNT_DOLLAR                                                \
    "USD" "AUD" "CAD" "NZD" "HKD" "SGD" "TWD" "MXN" "ARS" "CLP" "COP" "UYU"  \
    "DOP" "CUP" "CUC" "BRL" "BSD" "BBD" "BZD" "BMD" "BND" "CVE" "FJD" "GYD"  \
    "JMD" "KYD" "LRD" "MOP" "NAD" "NIO" "PAB" "SBD" "SRD" "SVC" "TOP" "TTD"  \
    "WST" "XCD" "ZWL"
#define KLAVIYO_AMOUNT_POUND                                                 \
    "GBP" "EGP" "FKP" "GIP" "LBP" "SDG" "SHP" "SSP" "SYP"
#define KLAVIYO_AMOUNT_YEN     "JPY" "CNY"
#define KLAVIYO_AMOUNT_YUAN    "CNY" "TWD" "HKD" "MOP" "SGD"
#define KLAVIYO_AMOUNT_RUPEE   "INR" "PKR" "LKR" "NPR" "MUR" "SCR"
#define KLAVIYO_AMOUNT_RIAL    "IRR" "OMR" "QAR" "SAR" "YER"
#define KLAVIYO_AMOUNT_KRONE   "DKK" "NOK" "SEK" "ISK"
#define KLAVIYO_AMOUNT_RAND    "ZAR" "LSL" "NAD" "SZL"
#define KLAVIYO_AMOUNT_LEU     "RON" "MDL"
#define KLAVIYO_AMOUNT_BOLI    "BOB" "VES" "VED"


/* what stands before or behind an amount, beside the codes of ISO 4217 */

static const klaviyo_amount_symbol_t  klaviyo_amount_symbols[] = {
    { "$", KLAVIYO_AMOUNT_DOLLAR },
    { "\xc2\xa3", KLAVIYO_AMOUNT_POUND },
    { "\xc2\xa5", KLAVIYO_AMOUNT_YEN },
    { "\xef\xbf\xa5", KLAVIYO_AMOUNT_YEN },
    { "\xef\xbc\x84", KLAVIYO_AMOUNT_DOLLAR },
    { "\xef\xbf\xa1", KLAVIYO_AMOUNT_POUND },
    { "\xe2\x82\xac", "EUR" },
    { "\xe2\x82\xb9", "INR" },
    { "\xe2\x82\xa8", KLAVIYO_AMOUNT_RUPEE },
    { "\xe2\x82\xa9", "KRW" },
    { "\xe2\x82\xaa", "ILS" },
    { "\xe2\x82\xab", "VND" },
    { "\xe2\x82\xba", "TRY" },
    { "\xe2\x82\xbd", "RUB" },
    { "\xe2\x82\xb4", "UAH" },
    { "\xe2\x82\xa6", "NGN" },
    { "\xe2\x82\xb1", "PHP" },
    { "\xe2\x82\xb2", "PYG" },
    { "\xe2\x82\xb8", "KZT" },
    { "\xe2\x82\xbc", "AZN" },
    { "\xe2\x82\xbe", "GEL" },
    { "\xe2\x82\xa1", "CRC" },
    { "\xe2\x82\xb5", "GHS" },
    { "\xe0\xb8\xbf", "THB" },
    { "\xef\xb7\xbc", KLAVIYO_AMOUNT_RIAL },
    { "US$", "USD" }, { "AU$", "AUD" }, { "A$", "AUD" }, { "CA$", "CAD" },
    { "C$", "CAD" "NIO" }, { "NZ$", "NZD" }, { "HK$", "HKD" }, { "NT$", "TWD" },
    { "S$", "SGD" }, { "MX$", "MXN" }, { "R$", "BRL" }, { "CLP$", "CLP" },
    { "COP$", "COP" },
    { "kr", KLAVIYO_AMOUNT_KRONE }, { "kr.", KLAVIYO_AMOUNT_KRONE },
    { "Rs", KLAVIYO_AMOUNT_RUPEE }, { "Rs.", KLAVIYO_AMOUNT_RUPEE },
    { "R", KLAVIYO_AMOUNT_RAND },
    { "RM", "MYR" }, { "Rp", "IDR" }, { "Rp.", "IDR" }, { "Ft", "HUF" },
    { "lei", KLAVIYO_AMOUNT_LEU },
    { "Fr", "CHF" }, { "Fr.", "CHF" }, { "SFr.", "CHF" },
    { "S/", "PEN" }, { "S/.", "PEN" }, { "Bs", KLAVIYO_AMOUNT_BOLI },
    { "Bs.", KLAVIYO_AMOUNT_BOLI },
    { "TL", "TRY" }, { "zl", "PLN" },
    { "z\xc5\x82", "PLN" },
    { "K\xc4\x8d", "CZK" },
    { "\xd0\xbb\xd0\xb2", "BGN" },         /* leva                          */
    { "\xd0\xbb\xd0\xb2.", "BGN" },
    { "\xd1\x80\xd1\x83\xd0\xb1", "RUB" }, /* roubles                       */
    { "\xd1\x80\xd1\x83\xd0\xb1.", "RUB" },
    { "\xd0\xb3\xd1\x80\xd0\xbd", "UAH" }, /* hryvni                        */
    { "\xe5\x86\x86", "JPY" },
    { "\xe5\x85\x83", KLAVIYO_AMOUNT_YUAN },
    { "\xec\x9b\x90", "KRW" },
    { NULL, NULL }
};


klaviyo_value_rc_e
klaviyo_amount_read(const klaviyo_amount_form_t *form, const uint8_t *p,
    size_t len, uint8_t out[KLAVIYO_AMOUNT_LEN], size_t *out_len)
{
    int                       plain, negative, sign, symbol;
    size_t                    n, point;
    const uint8_t            *last;
    klaviyo_amount_form_t     whole;
    klaviyo_amount_number_t   number;

    last = klaviyo_amount_trim(&p, p + len);

    if (p == last) {
        return KLAVIYO_VALUE_EMPTY;
    }

    if (last - p > KLAVIYO_AMOUNT_TEXT) {
        return KLAVIYO_VALUE_BAD;
    }

    plain = klaviyo_value_is_number(p, last - p);

    if (plain
        && (memchr(p, 'e', last - p) || memchr(p, 'E', last - p)))
    {
        if (form->minor) {
            return KLAVIYO_VALUE_BAD;
        }

        *out_len = last - p;
        memcpy(out, p, last - p);

        return KLAVIYO_VALUE_OK;
    }

    /* a sign and a symbol, in either order; and a symbol behind */

    sign = 0;
    symbol = 0;
    negative = 0;

    for ( ;; ) {

        (void) klaviyo_amount_trim(&p, last);

        n = sign ? 0 : klaviyo_amount_minus(p, last);

        if (n || (!sign && p < last && *p == '+')) {
            sign = 1;
            negative = (n != 0);
            p += n ? n : 1;
            continue;
        }

        n = symbol ? 0 : klaviyo_amount_symbol(form, p, last, 0);

        if (n == 0) {
            break;
        }

        symbol = 1;
        p += n;
    }

    last -= klaviyo_amount_symbol(form, p, last, 1);
    last = klaviyo_amount_trim(&p, last);

    n = form->minor ? 0 : klaviyo_amount_dash(p, last);

    if (n && (form->decimal == 0 || form->decimal == *(last - n))) {
        last -= n;
        whole = *form;
        whole.decimal = *last;
        form = &whole;
    }

    if (!klaviyo_amount_split(&number, p, last)
        || !klaviyo_amount_point(form, &number, plain, &point))
    {
        return KLAVIYO_VALUE_BAD;
    }

    if (form->minor) {

        if (form->decimals < 0) {
            return KLAVIYO_VALUE_BAD;
        }

        /* zeros before it, so that the point has where to go */

        while (point <= (size_t) form->decimals) {

            if (number.ndigits == KLAVIYO_AMOUNT_DIGITS) {
                return KLAVIYO_VALUE_BAD;
            }

            memmove(number.digits + 1, number.digits, number.ndigits++);
            number.digits[0] = '0';
            point++;
        }

        point -= form->decimals;
    }

    /* the zero that is put before the point is a digit, too */

    if (point == 0 && number.ndigits == KLAVIYO_AMOUNT_DIGITS) {
        return KLAVIYO_VALUE_BAD;
    }

    n = klaviyo_amount_put(out, &number, point, negative);

    if (!klaviyo_value_is_number(out, n)) {
        return KLAVIYO_VALUE_BAD;
    }

    *out_len = n;

    return KLAVIYO_VALUE_OK;
}


/* how many bytes of a blank stand here: JSON's, and those of typesetters */

static size_t
klaviyo_amount_blank(const uint8_t *p, const uint8_t *last)
{
    if (p < last && klaviyo_value_blank(*p)) {
        return 1;
    }

    if (last - p >= 2 && p[0] == 0xc2 && p[1] == 0xa0) {
        return 2;
    }

    if (last - p >= 3 && p[0] == 0xe2 && p[1] == 0x80
        && ((p[2] >= 0x87 && p[2] <= 0x8a) || p[2] == 0xaf))
    {
        return 3;
    }

    return 0;
}


static size_t
klaviyo_amount_minus(const uint8_t *p, const uint8_t *last)
{
    if (p < last && *p == '-') {
        return 1;
    }

    if (last - p >= 3 && memcmp(p, "\xe2\x88\x92", 3) == 0) {
        return 3;
    }

    return 0;
}


/* the decimal separator and the dashes of "49,-"; 0: there are none */

static size_t
klaviyo_amount_dash(const uint8_t *p, const uint8_t *last)
{
    size_t          n;
    const uint8_t  *end;

    end = last;

    for (n = 0; n < 2; n++) {

        if (end - p > 1 && end[-1] == '-') {
            end--;

        } else if (end - p > 3 && end[-3] == 0xe2 && end[-2] == 0x80
                   && (end[-1] == 0x93 || end[-1] == 0x94))
        {
            end -= 3;

        } else {
            break;
        }
    }

    if (end == last || end - p < 2
        || (end[-1] != ',' && end[-1] != '.')
        || end[-2] < '0' || end[-2] > '9'
        || memchr(p, end[-1], end - 1 - p) != NULL)
    {
        return 0;
    }

    return last - end + 1;
}


/* moves p behind the blanks before it; returns where those behind begin */

static const uint8_t *
klaviyo_amount_trim(const uint8_t **p, const uint8_t *last)
{
    size_t          i, n;
    const uint8_t  *start;

    start = *p;

    for ( ;; ) {
        n = klaviyo_amount_blank(start, last);

        if (n == 0) {
            break;
        }

        start += n;
    }

    for (i = 1; i <= 3 && i <= (size_t) (last - start); /* void */ ) {

        if (klaviyo_amount_blank(last - i, last) == i) {
            last -= i;
            i = 1;

        } else {
            i++;
        }
    }

    *p = start;

    return last;
}


/*
 * The bytes of the symbol or code at one end, and whose it may be, one code
 * behind the other; 0: there is none.  Most amounts are digits alone.
 */

static size_t
klaviyo_amount_codes(const uint8_t *p, const uint8_t *last, int behind,
    uint8_t code[KLAVIYO_CURRENCY_LEN + 1], const char **codes)
{
    size_t                          len, size, best;
    const uint8_t                  *at;
    const klaviyo_amount_symbol_t  *symbol;

    best = 0;
    *codes = "";
    size = last - p;

    if (size == 0) {
        return 0;
    }

    at = behind ? last - 1 : p;

    if (*at >= '0' && *at <= '9') {
        return 0;
    }

    if (size > KLAVIYO_CURRENCY_LEN) {
        at = behind ? last - KLAVIYO_CURRENCY_LEN : p;

        if (klaviyo_currency(at, KLAVIYO_CURRENCY_LEN, code) >= 0) {
            code[KLAVIYO_CURRENCY_LEN] = '\0';
            *codes = (const char *) code;
            best = KLAVIYO_CURRENCY_LEN;
        }
    }

    for (symbol = klaviyo_amount_symbols; symbol->text; symbol++) {

        len = strlen(symbol->text);

        if (len <= best || len >= size) {
            continue;
        }

        at = behind ? last - len : p;

        if (strncasecmp((const char *) at, symbol->text, len) == 0) {
            *codes = symbol->codes;
            best = len;
        }
    }

    return best;
}


/* its bytes; 0: there is none, or another currency's */

static size_t
klaviyo_amount_symbol(const klaviyo_amount_form_t *form, const uint8_t *p,
    const uint8_t *last, int behind)
{
    size_t       n;
    uint8_t      code[KLAVIYO_CURRENCY_LEN + 1];
    const char  *codes;

    n = klaviyo_amount_codes(p, last, behind, code, &codes);

    return klaviyo_amount_other(form, codes) ? 0 : n;
}


int
klaviyo_amount_currency(const uint8_t *p, size_t len,
    uint8_t code[KLAVIYO_CURRENCY_LEN])
{
    int             behind;
    uint8_t         buf[KLAVIYO_CURRENCY_LEN + 1];
    const char     *codes;
    const uint8_t  *last;

    last = klaviyo_amount_trim(&p, p + len);
    p += klaviyo_amount_minus(p, last);

    for (behind = 0; behind < 2; behind++) {

        if (klaviyo_amount_codes(p, last, behind, buf, &codes)
            && strlen(codes) == KLAVIYO_CURRENCY_LEN)
        {
            memcpy(code, codes, KLAVIYO_CURRENCY_LEN);
            return 1;
        }
    }

    return 0;
}


static int
klaviyo_amount_other(const klaviyo_amount_form_t *form, const char *codes)
{
    const char  *code;

    if (form->currency == NULL) {
        return 0;
    }

    for (code = codes; *code; code += KLAVIYO_CURRENCY_LEN) {

        if (memcmp(code, form->currency, KLAVIYO_CURRENCY_LEN) == 0) {
            return 0;
        }
    }

    return *codes != '\0';
}


static int
klaviyo_amount_split(klaviyo_amount_number_t *number, const uint8_t *p,
    const uint8_t *last)
{
    size_t   n, group;
    uint8_t  separator;

    number->ndigits = 0;
    number->n = 0;
    group = 0;

    while (p < last) {

        if (*p >= '0' && *p <= '9') {

            if (number->ndigits == KLAVIYO_AMOUNT_DIGITS) {
                return 0;
            }

            number->digits[number->ndigits++] = *p++;
            group++;
            continue;
        }

        n = klaviyo_amount_blank(p, last);
        separator = KLAVIYO_AMOUNT_BLANK;

        if (n == 0) {
            n = 1;
            separator = *p;

            if (last - p >= 3 && memcmp(p, "\xe2\x80\x99", 3) == 0) {
                n = 3;
                separator = KLAVIYO_AMOUNT_TICK;
            }
        }

        if (number->n == KLAVIYO_AMOUNT_GROUPS - 1
            || (separator != '.' && separator != ','
                && separator != KLAVIYO_AMOUNT_BLANK
                && separator != KLAVIYO_AMOUNT_TICK))
        {
            return 0;
        }

        number->len[number->n] = group;
        number->separator[number->n++] = separator;
        group = 0;
        p += n;
    }

    number->len[number->n++] = group;

    return group != 0;
}


/* where the point stands among the digits; 0: that cannot be told */

static int
klaviyo_amount_point(const klaviyo_amount_form_t *form,
    const klaviyo_amount_number_t *number, int plain, size_t *integers)
{
    size_t   i, n;
    uint8_t  last;

    n = number->n;
    *integers = number->ndigits;

    if (n == 1) {
        return 1;
    }

    last = number->separator[n - 2];

    for (i = 0; i + 2 < n; i++) {

        if (number->separator[i] != number->separator[0]) {
            return 0;
        }
    }

    if (last == KLAVIYO_AMOUNT_BLANK || last == KLAVIYO_AMOUNT_TICK
        || (n > 2 && last == number->separator[0]))
    {
        return last == number->separator[0]
               && klaviyo_amount_grouped(number, n);
    }

    if (n == 2 && klaviyo_amount_grouped(number, n)) {

        if (form->decimal && form->decimal != last) {
            return 1;
        }

        /* a JSON number is what it is, but where there are no decimals */

        if (form->decimal == 0
            && (!plain || form->minor || form->decimals == 0))
        {
            return 0;
        }
    }

    if (n > 2 && !klaviyo_amount_grouped(number, n - 1)) {
        return 0;
    }

    *integers = number->ndigits - number->len[n - 1];

    return 1;
}


/* thousands; lakhs and crores have groups of two before the last one */

static int
klaviyo_amount_grouped(const klaviyo_amount_number_t *number, size_t n)
{
    size_t  i, size;

    if (number->len[0] == 0 || number->len[0] > 3 || number->digits[0] == '0'
        || number->len[n - 1] != 3)
    {
        return 0;
    }

    size = n > 2 ? number->len[1] : 3;

    if (size != 3 && (size != 2 || number->len[0] > 2)) {
        return 0;
    }

    for (i = 1; i < n - 1; i++) {

        if (number->len[i] != size) {
            return 0;
        }
    }

    return 1;
}


static size_t
klaviyo_amount_put(uint8_t *out, const klaviyo_amount_number_t *number,
    size_t point, int negative)
{
    size_t    i;
    uint8_t  *p;

    p = out;
    i = 0;

    if (negative) {
        *p++ = '-';
    }

    while (i + 1 < point && number->digits[i] == '0') {
        i++;
    }

    if (point == 0) {
        *p++ = '0';
    }

    for ( /* void */ ; i < number->ndigits; i++) {

        if (i == point) {
            *p++ = '.';
        }

        *p++ = number->digits[i];
    }

    return p - out;
}

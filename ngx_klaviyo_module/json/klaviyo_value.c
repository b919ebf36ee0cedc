/*
 * json: text of a request as a typed value.  Plain C, no allocation; `json`
 * values have a file of their own.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_value.h"


#define KLAVIYO_NUMBER_LEN      64         /* digits, signs and all          */
#define KLAVIYO_NUMBER_DIGITS   17         /* significant ones of a double   */
#define KLAVIYO_NUMBER_EXP      308
#define KLAVIYO_NUMBER_MAX      UINT64_C(17976931348623157)


static int klaviyo_value_is_digit(uint8_t c);
static int klaviyo_value_is_int64(const uint8_t *p, const uint8_t *last,
    int negative);
static int klaviyo_value_is_finite(const uint8_t *p, const uint8_t *last,
    int exponent);
static int klaviyo_value_bool(const uint8_t *p, size_t len);
static klaviyo_value_rc_e klaviyo_value_list(klaviyo_json_t *json,
    const uint8_t *p, size_t len, int *list_cut);


klaviyo_value_rc_e
klaviyo_value_write(klaviyo_json_t *json, klaviyo_value_type_e type,
    const uint8_t *p, size_t len, int *list_cut)
{
    int                 flag;
    size_t              text_len;
    uint8_t            *pos;
    const uint8_t      *text;
    klaviyo_value_rc_e  rc;

    text = p;
    text_len = klaviyo_value_trim(&text, len);

    if (text_len == 0) {
        return KLAVIYO_VALUE_EMPTY;
    }

    pos = json->pos;
    rc = KLAVIYO_VALUE_OK;

    switch (type) {

    case KLAVIYO_VALUE_STRING:
        klaviyo_json_string(json, p, len, KLAVIYO_STRING_MAX);
        break;

    case KLAVIYO_VALUE_NUMBER:

        if (!klaviyo_value_is_number(text, text_len)) {
            return KLAVIYO_VALUE_BAD;
        }

        klaviyo_json_raw(json, text, text_len);
        break;

    case KLAVIYO_VALUE_BOOL:
        flag = klaviyo_value_bool(text, text_len);

        if (flag == -1) {
            return KLAVIYO_VALUE_BAD;
        }

        if (flag) {
            klaviyo_json_literal(json, "true");

        } else {
            klaviyo_json_literal(json, "false");
        }

        break;

    case KLAVIYO_VALUE_LIST:
        rc = klaviyo_value_list(json, text, text_len, list_cut);
        break;

    case KLAVIYO_VALUE_JSON:
        rc = klaviyo_value_json(json, text, text_len);
        break;

    default:
        return KLAVIYO_VALUE_BAD;
    }

    if (rc != KLAVIYO_VALUE_OK || json->overflow) {
        json->pos = pos;
    }

    return rc;
}


size_t
klaviyo_value_trim(const uint8_t **p, size_t len)
{
    const uint8_t  *start;

    start = *p;

    while (len && klaviyo_value_blank(*start)) {
        start++;
        len--;
    }

    while (len && klaviyo_value_blank(start[len - 1])) {
        len--;
    }

    *p = start;

    return len;
}


static int
klaviyo_value_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}


/* [ "-" ] ( "0" / 1-9 *digit ) [ "." 1*digit ] [ e [ sign ] 1*digit ] */

int
klaviyo_value_is_number(const uint8_t *p, size_t len)
{
    int             negative, negative_exponent, exponent;
    const uint8_t  *integer, *mantissa_end, *start, *last;

    if (len > KLAVIYO_NUMBER_LEN) {
        return 0;
    }

    last = p + len;
    negative = 0;

    if (p < last && *p == '-') {
        negative = 1;
        p++;
    }

    integer = p;

    while (p < last && klaviyo_value_is_digit(*p)) {
        p++;
    }

    if (p == integer || (*integer == '0' && p - integer > 1)) {
        return 0;
    }

    if (p == last) {
        return klaviyo_value_is_int64(integer, last, negative);
    }

    if (*p == '.') {
        start = ++p;

        while (p < last && klaviyo_value_is_digit(*p)) {
            p++;
        }

        if (p == start) {
            return 0;
        }
    }

    mantissa_end = p;
    exponent = 0;

    if (p < last && (*p == 'e' || *p == 'E')) {
        p++;
        negative_exponent = 0;

        if (p < last && (*p == '+' || *p == '-')) {
            negative_exponent = (*p == '-');
            p++;
        }

        start = p;

        while (p < last && klaviyo_value_is_digit(*p)) {

            if (exponent < 10000) {
                exponent = exponent * 10 + (*p - '0');
            }

            p++;
        }

        if (p == start) {
            return 0;
        }

        if (negative_exponent) {
            exponent = -exponent;
        }
    }

    if (p != last) {
        return 0;
    }

    return klaviyo_value_is_finite(integer, mantissa_end, exponent);
}


static int
klaviyo_value_is_int64(const uint8_t *p, const uint8_t *last, int negative)
{
    uint64_t  value, limit;

    value = 0;
    limit = (uint64_t) INT64_MAX + negative;

    if (last - p > 19) {
        return 0;
    }

    /* 19 digits fit an unsigned number */

    while (p < last) {
        value = value * 10 + (*p++ - '0');
    }

    return value <= limit;
}


/*
 * Whether digits with a point somewhere, times ten to the exponent, are a
 * finite double; strtod() would ask the locale what a point is.
 */

static int
klaviyo_value_is_finite(const uint8_t *p, const uint8_t *last, int exponent)
{
    int       n, point;
    uint64_t  value;

    n = 0;
    point = 0;
    value = 0;

    /* of value, n digits are taken; exponent becomes that of the first one */

    exponent--;

    for ( /* void */ ; p < last; p++) {

        if (*p == '.') {
            point = 1;
            continue;
        }

        if (value == 0 && *p == '0') {
            exponent -= point;
            continue;
        }

        exponent += !point;

        if (n < KLAVIYO_NUMBER_DIGITS) {
            value = value * 10 + (*p - '0');
            n++;
        }
    }

    if (value == 0 || exponent < KLAVIYO_NUMBER_EXP) {
        return 1;
    }

    while (n < KLAVIYO_NUMBER_DIGITS) {
        value *= 10;
        n++;
    }

    return exponent == KLAVIYO_NUMBER_EXP && value <= KLAVIYO_NUMBER_MAX;
}


/* 1, 0, or -1: not a word of these */

static int
klaviyo_value_bool(const uint8_t *p, size_t len)
{
    size_t  i;

    static const struct {
        const char  *word;
        int          value;
    } words[] = {
        { "true", 1 },
        { "false", 0 },
        { "on", 1 },
        { "off", 0 },
        { "yes", 1 },
        { "no", 0 },
        { "1", 1 },
        { "0", 0 }
    };

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {

        if (strlen(words[i].word) == len
            && strncasecmp(words[i].word, (const char *) p, len) == 0)
        {
            return words[i].value;
        }
    }

    return -1;
}


static klaviyo_value_rc_e
klaviyo_value_list(klaviyo_json_t *json, const uint8_t *p, size_t len,
    int *list_cut)
{
    size_t          n, item_len;
    const uint8_t  *item, *comma, *last;

    n = 0;
    last = p + len;

    for ( ;; ) {
        comma = memchr(p, ',', last - p);

        item = p;
        item_len = (comma ? comma : last) - p;
        item_len = klaviyo_value_trim(&item, item_len);

        if (item_len) {

            if (n == KLAVIYO_LIST_MAX) {
                *list_cut = 1;
                break;
            }

            klaviyo_json_raw(json, n ? "," : "[", 1);
            klaviyo_json_string(json, item, item_len, KLAVIYO_STRING_MAX);
            n++;
        }

        if (comma == NULL || json->overflow) {
            break;
        }

        p = comma + 1;
    }

    if (n == 0) {
        return KLAVIYO_VALUE_EMPTY;
    }

    klaviyo_json_literal(json, "]");

    return KLAVIYO_VALUE_OK;
}

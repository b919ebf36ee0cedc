/*
 * json: text of a request as a typed value.  Plain C, no allocation.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_plain.h"
#include "klaviyo_utf8.h"
#include "klaviyo_value.h"


#define KLAVIYO_NUMBER_LEN      64         /* digits, signs and all          */
#define KLAVIYO_NUMBER_DIGITS   17         /* significant ones of a double   */
#define KLAVIYO_NUMBER_EXP      308
#define KLAVIYO_NUMBER_MAX      UINT64_C(17976931348623157)


/* JSON text on its way into an event */

typedef struct {
    klaviyo_json_t  *json;
    int             *list_cut;
    unsigned         twice:1;    /* some object has a name twice            */
} klaviyo_value_copy_t;


static int klaviyo_value_is_digit(uint8_t c);
static int klaviyo_value_is_int64(const uint8_t *p, const uint8_t *last,
    int negative);
static int klaviyo_value_is_finite(const uint8_t *p, const uint8_t *last,
    int exponent);
static void klaviyo_value_number(klaviyo_json_t *json, const uint8_t *p,
    size_t len);
static int klaviyo_value_bool(const uint8_t *p, size_t len);
static klaviyo_value_rc_e klaviyo_value_list(klaviyo_json_t *json,
    const uint8_t *p, size_t len, int *list_cut);
static klaviyo_value_rc_e klaviyo_value_json(klaviyo_json_t *json,
    const uint8_t *p, size_t len, int *list_cut);
static const uint8_t *klaviyo_value_copy(klaviyo_value_copy_t *copy,
    const klaviyo_slice_t *value, int level);
static void klaviyo_value_copy_scalar(klaviyo_json_t *json,
    const klaviyo_slice_t *value);
static void klaviyo_value_copy_string(klaviyo_json_t *json, const uint8_t *p,
    const uint8_t *last);


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

        if (!klaviyo_scan_is_number(text, text_len)) {
            return KLAVIYO_VALUE_BAD;
        }

        klaviyo_value_number(json, text, text_len);
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
        rc = klaviyo_value_json(json, text, text_len, list_cut);
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
klaviyo_value_size(klaviyo_value_type_e type, size_t len)
{
    switch (type) {

    case KLAVIYO_VALUE_STRING:
        len = len < KLAVIYO_STRING_MAX ? len : KLAVIYO_STRING_MAX;
        return klaviyo_json_string_size(len);

    case KLAVIYO_VALUE_LIST:

        /* `"",` around each item, which are at least two bytes of the text */

        return 8 * len + 8;

    case KLAVIYO_VALUE_JSON:

        /* U+FFFD for each byte, at the worst */

        return 3 * len + 8;

    default:
        return len + sizeof("false");
    }
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


int
klaviyo_value_is_no(const uint8_t *p, size_t len)
{
    len = klaviyo_value_trim(&p, len);

    return len == 0 || klaviyo_value_bool(p, len) == 0;
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


/* a number of JSON's grammar */

static void
klaviyo_value_number(klaviyo_json_t *json, const uint8_t *p, size_t len)
{
    if (klaviyo_value_is_number(p, len)) {
        klaviyo_json_raw(json, p, len);
        return;
    }

    klaviyo_json_string(json, p, len, KLAVIYO_STRING_MAX);

    json->number = 1;
}


/*
 * The text goes on as it is, so that numbers keep their digits, but without
 * blanks, and with what the scanner tolerates repaired.
 */

static klaviyo_value_rc_e
klaviyo_value_json(klaviyo_json_t *json, const uint8_t *p, size_t len,
    int *list_cut)
{
    int                   unique;
    klaviyo_slice_t       text;
    klaviyo_scan_seen_t   seen;
    klaviyo_value_copy_t  copy;

    text.data = p;
    text.len = len;

    if (len > KLAVIYO_JSON_TEXT_MAX || !klaviyo_scan_check(&text, &seen)) {
        return KLAVIYO_VALUE_BAD;
    }

    if (klaviyo_scan_type(text.data) == KLAVIYO_SCAN_NULL
        || (text.len == 2 && *text.data == '"'))
    {
        return KLAVIYO_VALUE_EMPTY;
    }

    unique = klaviyo_scan_names(&text, seen.names);

    if (unique == -1) {
        return KLAVIYO_VALUE_BAD;
    }

    copy.json = json;
    copy.list_cut = list_cut;
    copy.twice = !unique;

    /* `properties` is the first level */

    if (klaviyo_value_copy(&copy, &text, 1) == NULL) {
        return KLAVIYO_VALUE_BAD;
    }

    return KLAVIYO_VALUE_OK;
}


/* behind the value; NULL: it is too deep, or a name is too long */

static const uint8_t *
klaviyo_value_copy(klaviyo_value_copy_t *copy, const klaviyo_slice_t *value,
    int level)
{
    size_t           n;
    klaviyo_json_t  *json;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, item;

    json = copy->json;

    if (klaviyo_scan_type(value->data) > KLAVIYO_SCAN_ARRAY) {
        klaviyo_value_copy_scalar(json, value);
        return value->data + value->len;
    }

    if (level == KLAVIYO_DEPTH_MAX) {
        return NULL;
    }

    klaviyo_scan_enter(&scan, value);
    klaviyo_json_raw(json, value->data, 1);

    for (n = 0; klaviyo_scan_next(&scan, &name); /* void */) {

        if ((scan.object && copy->twice
             && !klaviyo_scan_is_last(value->data, &name))
            || (!scan.object && n == KLAVIYO_LIST_MAX))
        {
            *copy->list_cut |= !scan.object;
            klaviyo_scan_value(&scan, &item);
            continue;
        }

        if (n++) {
            klaviyo_json_literal(json, ",");
        }

        if (scan.object) {

            if (name.len - 2 > KLAVIYO_STRING_MAX) {
                return NULL;
            }

            klaviyo_value_copy_string(json, name.data, name.data + name.len);
            klaviyo_json_literal(json, ":");
        }

        if (klaviyo_scan_type(scan.pos) > KLAVIYO_SCAN_ARRAY) {
            klaviyo_scan_value(&scan, &item);
            klaviyo_value_copy_scalar(json, &item);
            continue;
        }

        item.data = scan.pos;
        item.len = scan.last - scan.pos;

        scan.pos = klaviyo_value_copy(copy, &item, level + 1);
        scan.at_value = 0;

        if (scan.pos == NULL) {
            return NULL;
        }
    }

    klaviyo_json_raw(json, scan.object ? "}" : "]", 1);

    return scan.pos;
}


static void
klaviyo_value_copy_scalar(klaviyo_json_t *json, const klaviyo_slice_t *value)
{
    switch (klaviyo_scan_type(value->data)) {

    case KLAVIYO_SCAN_STRING:
        klaviyo_value_copy_string(json, value->data, value->data + value->len);
        break;

    case KLAVIYO_SCAN_NUMBER:
        klaviyo_value_number(json, value->data, value->len);
        break;

    default:
        klaviyo_json_raw(json, value->data, value->len);
    }
}


/*
 * With its quotes.  Escapes become characters where these need none, which
 * makes nothing longer; other control characters than those that have a
 * short escape become U+FFFD if they stand there by themselves.
 */

static void
klaviyo_value_copy_string(klaviyo_json_t *json, const uint8_t *p,
    const uint8_t *last)
{
    int             n, repair;
    size_t          left, size;
    uint8_t         buf[4];
    const uint8_t  *q, *run;

    klaviyo_json_literal(json, "\"");

    p++;
    last--;
    run = p;
    repair = 0;
    left = KLAVIYO_STRING_MAX;

    for ( ;; ) {

        q = klaviyo_plain(p, (size_t) (last - p) > left ? p + left : last);

        left -= q - p;
        p = q;

        if (p == last) {
            break;
        }

        if (*p >= 0x80) {
            n = klaviyo_utf8_length(p, last);
            size = n > 0 ? (size_t) n : 3;

            if (size > left) {
                json->cut = 1;
                break;
            }

            left -= size;

            if (n > 0) {
                p += n;
                continue;
            }

            klaviyo_json_raw(json, run, p - run);
            klaviyo_json_literal(json, KLAVIYO_UTF8_REPLACEMENT);

            p -= n;
            run = p;
            repair = 1;
            continue;
        }

        q = p;
        size = klaviyo_scan_char(&p, last, buf, &repair);

        if (*q < 0x20 && memchr("\b\f\n\r\t", *q, 5) == NULL) {
            size = klaviyo_utf8_encode(buf, KLAVIYO_UTF8_REPLACEMENT_CODE);
            repair = 1;
        }

        if (size > left) {
            p = q;
            json->cut = 1;
            break;
        }

        left -= size;

        klaviyo_json_raw(json, run, q - run);
        run = p;

        if (buf[0] == 0x7f) {
            klaviyo_json_literal(json, "\x7f");

        } else {
            klaviyo_json_escape(json, buf, size, size);
        }
    }

    klaviyo_json_raw(json, run, p - run);
    klaviyo_json_literal(json, "\"");

    if (repair) {
        json->repaired = 1;
    }
}

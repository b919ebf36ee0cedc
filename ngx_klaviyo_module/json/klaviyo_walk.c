/*
 * json: walking through JSON text.  Plain C.
 *
 * The scan before the parser counts levels and values, so that the parser
 * neither recurses deeper nor allocates more than that.  The walk behind it
 * trusts the text's grammar, but never leaves the text.
 */


#include <string.h>

#include <jansson.h>

#include "klaviyo_hex.h"
#include "klaviyo_value.h"
#include "klaviyo_walk.h"


static int klaviyo_walk_fits(const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_walk_blanks(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_walk_quoted(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_walk_skip(const uint8_t *p,
    const uint8_t *last);
static int klaviyo_walk_hex(const uint8_t *p, const uint8_t *last,
    uint32_t *code);


int
klaviyo_walk_check(klaviyo_slice_t *text)
{
    json_t  *root;

    text->len = klaviyo_value_trim(&text->data, text->len);

    if (text->len == 0
        || text->len > KLAVIYO_WALK_TEXT_MAX
        || memchr(text->data, '\0', text->len) != NULL
        || !klaviyo_walk_fits(text->data, text->data + text->len))
    {
        return 0;
    }

    root = json_loadb((const char *) text->data, text->len,
                      JSON_DECODE_ANY|JSON_REJECT_DUPLICATES, NULL);

    if (root == NULL) {
        return 0;
    }

    json_decref(root);

    return 1;
}


/* exact for what is JSON; of anything else it may say what it likes */

static int
klaviyo_walk_fits(const uint8_t *p, const uint8_t *last)
{
    size_t  depth, values;

    depth = 0;
    values = 1;

    while (p < last) {

        switch (*p) {

        case '"':
            p = klaviyo_walk_quoted(p, last);
            continue;

        case '[':
        case '{':

            if (depth++ == KLAVIYO_WALK_DEPTH_MAX) {
                return 0;
            }

            values++;
            break;

        case ']':
        case '}':

            if (depth-- == 0) {
                return 0;
            }

            break;

        case ',':
            values++;
            break;
        }

        if (values > KLAVIYO_WALK_VALUES_MAX) {
            return 0;
        }

        p++;
    }

    return depth == 0;
}


klaviyo_walk_type_e
klaviyo_walk_type(const uint8_t *value)
{
    switch (*value) {

    case '{':
        return KLAVIYO_WALK_OBJECT;

    case '[':
        return KLAVIYO_WALK_ARRAY;

    case '"':
        return KLAVIYO_WALK_STRING;

    case 't':
    case 'f':
        return KLAVIYO_WALK_BOOL;

    case 'n':
        return KLAVIYO_WALK_NULL;
    }

    return KLAVIYO_WALK_NUMBER;
}


void
klaviyo_walk_enter(klaviyo_walk_t *walk, const uint8_t *value,
    const uint8_t *last)
{
    klaviyo_walk_type_e  type;

    type = klaviyo_walk_type(value);

    walk->pos = value + 1;
    walk->last = last;
    walk->object = (type == KLAVIYO_WALK_OBJECT);
    walk->at_value = 0;

    if (type != KLAVIYO_WALK_OBJECT && type != KLAVIYO_WALK_ARRAY) {
        walk->pos = last;
    }
}


int
klaviyo_walk_next(klaviyo_walk_t *walk, klaviyo_slice_t *name)
{
    const uint8_t  *p, *last;

    last = walk->last;

    p = walk->at_value ? klaviyo_walk_skip(walk->pos, last) : walk->pos;

    walk->pos = last;
    walk->at_value = 0;

    p = klaviyo_walk_blanks(p, last);

    if (p < last && *p == ',') {
        p = klaviyo_walk_blanks(p + 1, last);
    }

    if (p == last || *p == '}' || *p == ']') {
        return 0;
    }

    name->data = p;
    name->len = 0;

    if (walk->object) {

        if (*p != '"') {
            return 0;
        }

        p = klaviyo_walk_quoted(p, last);
        name->len = p - name->data;

        p = klaviyo_walk_blanks(p, last);

        if (p == last || *p != ':') {
            return 0;
        }

        p = klaviyo_walk_blanks(p + 1, last);

        if (p == last) {
            return 0;
        }
    }

    walk->pos = p;
    walk->at_value = 1;

    return 1;
}


void
klaviyo_walk_value(klaviyo_walk_t *walk, klaviyo_slice_t *value)
{
    value->data = walk->pos;

    walk->pos = klaviyo_walk_skip(walk->pos, walk->last);
    walk->at_value = 0;

    value->len = walk->pos - value->data;
}


size_t
klaviyo_walk_string(const klaviyo_slice_t *string, uint8_t *buf)
{
    uint8_t        *dst;
    const uint8_t  *p, *last;

    dst = buf;
    p = string->data + 1;
    last = string->data + string->len - 1;

    while (p < last) {

        if (*p == '\\') {
            dst += klaviyo_walk_char(&p, last, dst);

        } else {
            *dst++ = *p++;
        }
    }

    return dst - buf;
}


/* a byte that is no escape is itself: of longer characters, one at a time */

size_t
klaviyo_walk_char(const uint8_t **p, const uint8_t *last, uint8_t *buf)
{
    char            *q;
    uint32_t         code, low;
    const uint8_t   *pos;

    static const char  escaped[] = "bfnrt";
    static const char  meant[] = "\b\f\n\r\t";

    pos = *p;

    if (*pos != '\\' || last - pos < 2) {
        buf[0] = *pos;
        *p = pos + 1;
        return 1;
    }

    if (!klaviyo_walk_hex(pos, last, &code)) {
        q = strchr(escaped, pos[1]);
        buf[0] = (q && pos[1]) ? (uint8_t) meant[q - escaped] : pos[1];
        *p = pos + 2;
        return 1;
    }

    pos += 6;

    if (code >= 0xd800 && code <= 0xdbff
        && klaviyo_walk_hex(pos, last, &low)
        && low >= 0xdc00 && low <= 0xdfff)
    {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        pos += 6;
    }

    *p = pos;

    if (code < 0x80) {
        buf[0] = (uint8_t) code;
        return 1;
    }

    if (code < 0x800) {
        buf[0] = (uint8_t) (0xc0 | (code >> 6));
        buf[1] = (uint8_t) (0x80 | (code & 0x3f));
        return 2;
    }

    if (code < 0x10000) {
        buf[0] = (uint8_t) (0xe0 | (code >> 12));
        buf[1] = (uint8_t) (0x80 | ((code >> 6) & 0x3f));
        buf[2] = (uint8_t) (0x80 | (code & 0x3f));
        return 3;
    }

    buf[0] = (uint8_t) (0xf0 | (code >> 18));
    buf[1] = (uint8_t) (0x80 | ((code >> 12) & 0x3f));
    buf[2] = (uint8_t) (0x80 | ((code >> 6) & 0x3f));
    buf[3] = (uint8_t) (0x80 | (code & 0x3f));

    return 4;
}


int
klaviyo_walk_is(const klaviyo_slice_t *string, const void *text, size_t len)
{
    size_t          n;
    uint8_t         buf[4];
    const uint8_t  *p, *last, *t;

    if (klaviyo_walk_is_plain(string)) {
        return string->len - 2 == len
               && memcmp(string->data + 1, text, len) == 0;
    }

    t = text;
    p = string->data + 1;
    last = string->data + string->len - 1;

    while (p < last) {
        n = klaviyo_walk_char(&p, last, buf);

        if (n > len || memcmp(buf, t, n) != 0) {
            return 0;
        }

        t += n;
        len -= n;
    }

    return len == 0;
}


int
klaviyo_walk_is_plain(const klaviyo_slice_t *string)
{
    return string->len >= 2
           && memchr(string->data, '\\', string->len) == NULL;
}


static const uint8_t *
klaviyo_walk_blanks(const uint8_t *p, const uint8_t *last)
{
    while (p < last && klaviyo_value_blank(*p)) {
        p++;
    }

    return p;
}


/* p is at the opening quote: behind the closing one */

static const uint8_t *
klaviyo_walk_quoted(const uint8_t *p, const uint8_t *last)
{
    for (p++; p < last; p++) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p == '\\') {
            p++;
        }
    }

    return last;
}


/* behind the value at p */

static const uint8_t *
klaviyo_walk_skip(const uint8_t *p, const uint8_t *last)
{
    size_t  depth;

    depth = 0;

    while (p < last) {

        switch (*p) {

        case '"':
            p = klaviyo_walk_quoted(p, last);

            if (depth == 0) {
                return p;
            }

            continue;

        case '[':
        case '{':
            depth++;
            break;

        case ']':
        case '}':

            if (depth == 0) {
                return p;
            }

            if (--depth == 0) {
                return p + 1;
            }

            break;

        case ',':
        case ' ':
        case '\t':
        case '\r':
        case '\n':

            if (depth == 0) {
                return p;
            }

            break;
        }

        p++;
    }

    return last;
}


/* p is at `\uXXXX` */

static int
klaviyo_walk_hex(const uint8_t *p, const uint8_t *last, uint32_t *code)
{
    int32_t  n;

    if (last - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return 0;
    }

    n = klaviyo_hex_unicode(p + 2);

    if (n == -1) {
        return 0;
    }

    *code = (uint32_t) n;

    return 1;
}

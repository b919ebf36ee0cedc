/*
 * json: the reader of flat objects.  Plain C, no allocation.
 *
 * Every function that begins with a position stops at `last` at the latest;
 * what is unescaped never grows, so it is written over its own source.
 */


#include <string.h>

#include "klaviyo_hex.h"
#include "klaviyo_json.h"
#include "klaviyo_plain.h"
#include "klaviyo_reader.h"


/* what a byte of a string is */

#define KLAVIYO_READER_PLAIN      0
#define KLAVIYO_READER_QUOTE      1
#define KLAVIYO_READER_BACKSLASH  2
#define KLAVIYO_READER_CONTROL    3
#define KLAVIYO_READER_HIGH       4


static int klaviyo_reader_value(klaviyo_reader_t *reader,
    klaviyo_reader_value_t *value, int depth);
static int klaviyo_reader_nested(klaviyo_reader_t *reader, int depth);
static int klaviyo_reader_string(klaviyo_reader_t *reader,
    klaviyo_reader_value_t *value);
static int klaviyo_reader_escape(klaviyo_reader_t *reader, uint8_t **dst);
static int klaviyo_reader_unicode(klaviyo_reader_t *reader, uint8_t **dst);
static int klaviyo_reader_hex(klaviyo_reader_t *reader, uint32_t *ch);
static int klaviyo_reader_number(klaviyo_reader_t *reader);
static size_t klaviyo_reader_digits(klaviyo_reader_t *reader);
static int klaviyo_reader_literal(klaviyo_reader_t *reader);
static int klaviyo_reader_take(klaviyo_reader_t *reader, uint8_t ch);
static void klaviyo_reader_blanks(klaviyo_reader_t *reader);
static int klaviyo_reader_class(uint8_t ch);


int
klaviyo_reader_init(klaviyo_reader_t *reader, uint8_t *p, size_t len)
{
    reader->pos = p;
    reader->last = p + len;
    reader->first = 1;

    klaviyo_reader_blanks(reader);

    return klaviyo_reader_take(reader, '{');
}


int
klaviyo_reader_next(klaviyo_reader_t *reader, klaviyo_reader_value_t *name,
    klaviyo_reader_value_t *value)
{
    klaviyo_reader_blanks(reader);

    if (klaviyo_reader_take(reader, '}')) {
        klaviyo_reader_blanks(reader);
        return reader->pos == reader->last ? 0 : -1;
    }

    if (!reader->first) {

        if (!klaviyo_reader_take(reader, ',')) {
            return -1;
        }

        klaviyo_reader_blanks(reader);
    }

    reader->first = 0;

    if (!klaviyo_reader_take(reader, '"')
        || !klaviyo_reader_string(reader, name))
    {
        return -1;
    }

    klaviyo_reader_blanks(reader);

    if (!klaviyo_reader_take(reader, ':')
        || !klaviyo_reader_value(reader, value, 1))
    {
        return -1;
    }

    return 1;
}


int
klaviyo_reader_text(uint8_t *p, size_t len, klaviyo_reader_value_t *value)
{
    klaviyo_reader_t  reader;

    reader.pos = p;
    reader.last = p + len;
    reader.first = 1;

    klaviyo_reader_blanks(&reader);

    if (!klaviyo_reader_take(&reader, '"')
        || !klaviyo_reader_string(&reader, value))
    {
        return 0;
    }

    klaviyo_reader_blanks(&reader);

    return reader.pos == reader.last;
}


/* `depth` is the level that the value stands in */

static int
klaviyo_reader_value(klaviyo_reader_t *reader, klaviyo_reader_value_t *value,
    int depth)
{
    klaviyo_reader_blanks(reader);

    if (reader->pos == reader->last) {
        return 0;
    }

    value->data = reader->pos;

    switch (*reader->pos) {

    case '"':
        reader->pos++;
        return klaviyo_reader_string(reader, value);

    case '{':
    case '[':
        value->type = KLAVIYO_READER_NESTED;
        value->len = 0;
        return klaviyo_reader_nested(reader, depth + 1);

    case 't':
    case 'f':
    case 'n':
        value->type = KLAVIYO_READER_LITERAL;

        if (!klaviyo_reader_literal(reader)) {
            return 0;
        }

        break;

    default:
        value->type = KLAVIYO_READER_NUMBER;

        if (!klaviyo_reader_number(reader)) {
            return 0;
        }
    }

    value->len = reader->pos - value->data;

    return 1;
}


static int
klaviyo_reader_nested(klaviyo_reader_t *reader, int depth)
{
    uint8_t                 close;
    klaviyo_reader_value_t  value;

    if (depth > KLAVIYO_READER_DEPTH) {
        return 0;
    }

    close = *reader->pos++ == '{' ? '}' : ']';

    klaviyo_reader_blanks(reader);

    if (klaviyo_reader_take(reader, close)) {
        return 1;
    }

    for ( ;; ) {

        if (close == '}') {
            klaviyo_reader_blanks(reader);

            if (!klaviyo_reader_take(reader, '"')
                || !klaviyo_reader_string(reader, &value))
            {
                return 0;
            }

            klaviyo_reader_blanks(reader);

            if (!klaviyo_reader_take(reader, ':')) {
                return 0;
            }
        }

        if (!klaviyo_reader_value(reader, &value, depth)) {
            return 0;
        }

        klaviyo_reader_blanks(reader);

        if (klaviyo_reader_take(reader, close)) {
            return 1;
        }

        if (!klaviyo_reader_take(reader, ',')) {
            return 0;
        }
    }
}


/* from behind the opening quote to behind the closing one */

static int
klaviyo_reader_string(klaviyo_reader_t *reader, klaviyo_reader_value_t *value)
{
    int       n;
    uint8_t  *dst;

    value->type = KLAVIYO_READER_STRING;
    value->data = reader->pos;

    /* up to the first escape all of it stands where it belongs */

    reader->pos += klaviyo_plain(reader->pos, reader->last) - reader->pos;

    dst = reader->pos;

    while (reader->pos < reader->last) {

        switch (klaviyo_reader_class(*reader->pos)) {

        case KLAVIYO_READER_PLAIN:
            *dst++ = *reader->pos++;
            break;

        case KLAVIYO_READER_QUOTE:
            reader->pos++;
            value->len = dst - value->data;
            return 1;

        case KLAVIYO_READER_BACKSLASH:
            reader->pos++;

            if (!klaviyo_reader_escape(reader, &dst)) {
                return 0;
            }

            break;

        case KLAVIYO_READER_HIGH:
            n = klaviyo_json_utf8(reader->pos, reader->last);

            if (n < 0) {
                return 0;
            }

            memmove(dst, reader->pos, n);
            dst += n;
            reader->pos += n;
            break;

        default:
            return 0;
        }
    }

    return 0;
}


static int
klaviyo_reader_escape(klaviyo_reader_t *reader, uint8_t **dst)
{
    uint8_t  ch;

    if (reader->pos == reader->last) {
        return 0;
    }

    ch = *reader->pos++;

    switch (ch) {

    case '"':
    case '\\':
    case '/':
        break;

    case 'b':
        ch = '\b';
        break;

    case 'f':
        ch = '\f';
        break;

    case 'n':
        ch = '\n';
        break;

    case 'r':
        ch = '\r';
        break;

    case 't':
        ch = '\t';
        break;

    case 'u':
        return klaviyo_reader_unicode(reader, dst);

    default:
        return 0;
    }

    *(*dst)++ = ch;

    return 1;
}


/* six bytes of source become three at most, twelve become four */

static int
klaviyo_reader_unicode(klaviyo_reader_t *reader, uint8_t **dst)
{
    uint8_t   *p;
    uint32_t   ch, low;

    if (!klaviyo_reader_hex(reader, &ch)) {
        return 0;
    }

    if (ch >= 0xd800 && ch <= 0xdfff) {

        if (ch >= 0xdc00
            || !klaviyo_reader_take(reader, '\\')
            || !klaviyo_reader_take(reader, 'u')
            || !klaviyo_reader_hex(reader, &low)
            || low < 0xdc00 || low > 0xdfff)
        {
            return 0;
        }

        ch = 0x10000 + ((ch - 0xd800) << 10) + (low - 0xdc00);
    }

    p = *dst;

    if (ch < 0x80) {
        *p++ = (uint8_t) ch;

    } else if (ch < 0x800) {
        *p++ = (uint8_t) (0xc0 | (ch >> 6));
        *p++ = (uint8_t) (0x80 | (ch & 0x3f));

    } else if (ch < 0x10000) {
        *p++ = (uint8_t) (0xe0 | (ch >> 12));
        *p++ = (uint8_t) (0x80 | ((ch >> 6) & 0x3f));
        *p++ = (uint8_t) (0x80 | (ch & 0x3f));

    } else {
        *p++ = (uint8_t) (0xf0 | (ch >> 18));
        *p++ = (uint8_t) (0x80 | ((ch >> 12) & 0x3f));
        *p++ = (uint8_t) (0x80 | ((ch >> 6) & 0x3f));
        *p++ = (uint8_t) (0x80 | (ch & 0x3f));
    }

    *dst = p;

    return 1;
}


static int
klaviyo_reader_hex(klaviyo_reader_t *reader, uint32_t *ch)
{
    int32_t  code;

    if (reader->last - reader->pos < 4) {
        return 0;
    }

    code = klaviyo_hex_unicode(reader->pos);

    if (code == -1) {
        return 0;
    }

    *ch = (uint32_t) code;
    reader->pos += 4;

    return 1;
}


static int
klaviyo_reader_number(klaviyo_reader_t *reader)
{
    int       zero;
    uint8_t  *p;

    (void) klaviyo_reader_take(reader, '-');

    p = reader->pos;
    zero = p < reader->last && *p == '0';

    if (klaviyo_reader_digits(reader) == 0
        || (zero && reader->pos - p > 1)
        || (klaviyo_reader_take(reader, '.')
            && klaviyo_reader_digits(reader) == 0))
    {
        return 0;
    }

    if (klaviyo_reader_take(reader, 'e') || klaviyo_reader_take(reader, 'E'))
    {
        if (!klaviyo_reader_take(reader, '+')) {
            (void) klaviyo_reader_take(reader, '-');
        }

        return klaviyo_reader_digits(reader) != 0;
    }

    return 1;
}


static size_t
klaviyo_reader_digits(klaviyo_reader_t *reader)
{
    uint8_t  *p;

    p = reader->pos;

    while (reader->pos < reader->last
           && *reader->pos >= '0' && *reader->pos <= '9')
    {
        reader->pos++;
    }

    return reader->pos - p;
}


static int
klaviyo_reader_literal(klaviyo_reader_t *reader)
{
    size_t  i, len;

    static const char *const  words[] = { "true", "false", "null" };

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        len = strlen(words[i]);

        if ((size_t) (reader->last - reader->pos) >= len
            && memcmp(reader->pos, words[i], len) == 0)
        {
            reader->pos += len;
            return 1;
        }
    }

    return 0;
}


static int
klaviyo_reader_take(klaviyo_reader_t *reader, uint8_t ch)
{
    if (reader->pos == reader->last || *reader->pos != ch) {
        return 0;
    }

    reader->pos++;

    return 1;
}


static void
klaviyo_reader_blanks(klaviyo_reader_t *reader)
{
    while (reader->pos < reader->last
           && (*reader->pos == ' ' || *reader->pos == '\t'
               || *reader->pos == '\n' || *reader->pos == '\r'))
    {
        reader->pos++;
    }
}


static int
klaviyo_reader_class(uint8_t ch)
{
    if (ch >= 0x80) {
        return KLAVIYO_READER_HIGH;
    }

    if (ch == '"') {
        return KLAVIYO_READER_QUOTE;
    }

    if (ch == '\\') {
        return KLAVIYO_READER_BACKSLASH;
    }

    return ch < 0x20 ? KLAVIYO_READER_CONTROL : KLAVIYO_READER_PLAIN;
}

/*
 * json: the scanner.  Plain C, no allocation.
 *
 * Every function that takes a position stops at `last` at the latest.
 */


#include <string.h>

#include "klaviyo_hex.h"
#include "klaviyo_plain.h"
#include "klaviyo_scan.h"
#include "klaviyo_utf8.h"


#define KLAVIYO_SCAN_SLOTS   (2 * KLAVIYO_SCAN_NAMES_MAX)
#define KLAVIYO_SCAN_PROBES  64


/* a name in an object; offsets in the text, plus 1 */

typedef struct {
    uint32_t         object;     /* 0: the slot is free                     */
    uint32_t         name;       /* the last one that is equal              */
} klaviyo_scan_slot_t;


/* the bytes of what a string says */

typedef struct {
    const uint8_t   *pos;
    const uint8_t   *last;
    size_t           i;          /* of the n in buf                         */
    size_t           n;
    uint8_t          buf[4];
} klaviyo_scan_cursor_t;


static const uint8_t *klaviyo_scan_skip(const uint8_t *p,
    const uint8_t *last, klaviyo_scan_seen_t *seen);
static const uint8_t *klaviyo_scan_scalar(const uint8_t *p,
    const uint8_t *last, klaviyo_scan_seen_t *seen);
static const uint8_t *klaviyo_scan_name(const uint8_t *p,
    const uint8_t *last, klaviyo_scan_seen_t *seen);
static const uint8_t *klaviyo_scan_quoted(const uint8_t *p,
    const uint8_t *last, klaviyo_scan_seen_t *seen);
static const uint8_t *klaviyo_scan_closing(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_scan_escape(const uint8_t *p,
    const uint8_t *last, klaviyo_scan_seen_t *seen);
static const uint8_t *klaviyo_scan_number(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_scan_digits(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_scan_word(const uint8_t *p,
    const uint8_t *last, const char *word, size_t len);
static const uint8_t *klaviyo_scan_blanks(const uint8_t *p,
    const uint8_t *last);
static int32_t klaviyo_scan_unicode(const uint8_t *p, const uint8_t *last);
static int klaviyo_scan_insert(const uint8_t *object, const uint8_t *p,
    const uint8_t *last);
static void klaviyo_scan_cursor(klaviyo_scan_cursor_t *cursor,
    const klaviyo_slice_t *string);
static int klaviyo_scan_byte(klaviyo_scan_cursor_t *cursor);
static klaviyo_scan_slot_t *klaviyo_scan_slot(const uint8_t *object,
    const klaviyo_slice_t *name);
static uint32_t klaviyo_scan_hash(const klaviyo_slice_t *name);
static int klaviyo_scan_same(const klaviyo_slice_t *one,
    const klaviyo_slice_t *two);


/* of klaviyo_scan_names() */

static struct {
    const uint8_t        *text;
    const uint8_t        *last;
    uint32_t              mask;
    klaviyo_scan_slot_t   slots[KLAVIYO_SCAN_SLOTS];
} klaviyo_scan_table;


int
klaviyo_scan_check(klaviyo_slice_t *text, klaviyo_scan_seen_t *seen)
{
    const uint8_t  *p, *end, *last;

    memset(seen, 0, sizeof(klaviyo_scan_seen_t));

    p = text->data;
    last = p + text->len;

    if (text->len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        p += 3;
    }

    p = klaviyo_scan_blanks(p, last);

    while (last > p && klaviyo_scan_blank(last[-1])) {
        last--;
    }

    text->data = p;
    text->len = last - p;

    if (text->len > KLAVIYO_SCAN_TEXT_MAX) {
        return 0;
    }

    end = klaviyo_scan_skip(p, last, seen);

    return end != NULL && end == last;
}


klaviyo_scan_type_e
klaviyo_scan_type(const uint8_t *value)
{
    switch (*value) {

    case '{':
        return KLAVIYO_SCAN_OBJECT;

    case '[':
        return KLAVIYO_SCAN_ARRAY;

    case '"':
        return KLAVIYO_SCAN_STRING;

    case 't':
    case 'f':
        return KLAVIYO_SCAN_BOOL;

    case 'n':
        return KLAVIYO_SCAN_NULL;
    }

    return KLAVIYO_SCAN_NUMBER;
}


void
klaviyo_scan_enter(klaviyo_scan_t *scan, const klaviyo_slice_t *value)
{
    scan->pos = value->data;
    scan->last = value->data;
    scan->object = 0;
    scan->at_value = 0;

    if (value->len == 0) {
        return;
    }

    scan->last += value->len;

    if (*value->data == '{' || *value->data == '[') {
        scan->object = (*value->data == '{');
        scan->pos++;
        return;
    }

    scan->pos = scan->last;
}


int
klaviyo_scan_next(klaviyo_scan_t *scan, klaviyo_slice_t *name)
{
    const uint8_t  *p, *last;

    p = scan->pos;
    last = scan->last;

    if (scan->at_value) {
        scan->at_value = 0;
        p = klaviyo_scan_skip(p, last, NULL);

        if (p == NULL) {
            scan->pos = last;
            return 0;
        }
    }

    p = klaviyo_scan_blanks(p, last);

    if (p < last && *p == ',') {
        p = klaviyo_scan_blanks(p + 1, last);
    }

    if (p == last || *p == '}' || *p == ']') {
        scan->pos = (p == last) ? last : p + 1;
        return 0;
    }

    name->data = p;
    name->len = 0;

    if (scan->object) {
        p = *p == '"' ? klaviyo_scan_quoted(p + 1, last, NULL) : NULL;

        if (p == NULL) {
            scan->pos = last;
            return 0;
        }

        name->len = p - name->data;

        p = klaviyo_scan_blanks(p, last);

        if (p < last) {
            p = klaviyo_scan_blanks(p + 1, last);
        }

        if (p == last) {
            scan->pos = last;
            return 0;
        }
    }

    scan->pos = p;
    scan->at_value = 1;

    return 1;
}


void
klaviyo_scan_value(klaviyo_scan_t *scan, klaviyo_slice_t *value)
{
    const uint8_t  *p;

    value->data = scan->pos;

    p = klaviyo_scan_skip(scan->pos, scan->last, NULL);

    scan->pos = p ? p : scan->last;
    scan->at_value = 0;

    value->len = scan->pos - value->data;
}


size_t
klaviyo_scan_flat(const klaviyo_slice_t *text, klaviyo_slice_t *member,
    size_t max)
{
    size_t          n;
    const uint8_t  *p, *end, *last;

    p = text->data;
    last = p + text->len;

    if (p == last || *p != '{') {
        return 0;
    }

    for (n = 0; n < 2 * max; n++) {

        /* behind a brace, a colon or a comma */

        p++;

        if (p == last || *p != '"') {
            return 0;
        }

        end = klaviyo_plain(p + 1, last);

        if (last - end < 2 || *end != '"') {
            return 0;
        }

        member[n].data = p;
        member[n].len = end + 1 - p;

        p = end + 1;

        if (n % 2 && *p == '}') {
            return (p + 1 == last) ? (n + 1) / 2 : 0;
        }

        if (*p != (n % 2 ? ',' : ':')) {
            return 0;
        }
    }

    return 0;
}


int
klaviyo_scan_is_plain(const klaviyo_slice_t *string)
{
    return string->len >= 2
           && memchr(string->data, '\\', string->len) == NULL;
}


size_t
klaviyo_scan_string(const klaviyo_slice_t *string, uint8_t *buf)
{
    int             repair;
    size_t          n;
    uint8_t        *dst;
    const uint8_t  *p, *last, *escape;

    if (string->len < 2) {
        return 0;
    }

    dst = buf;
    p = string->data + 1;
    last = string->data + string->len - 1;

    while (p < last) {

        escape = memchr(p, '\\', last - p);
        n = (escape ? escape : last) - p;

        memmove(dst, p, n);

        dst += n;
        p += n;

        if (p < last) {
            dst += klaviyo_scan_char(&p, last, dst, &repair);
        }
    }

    return dst - buf;
}


size_t
klaviyo_scan_char(const uint8_t **p, const uint8_t *last, uint8_t *buf,
    int *repair)
{
    int32_t         code, low;
    const char     *q;
    const uint8_t  *pos;

    static const char  escaped[] = "bfnrt";
    static const char  meant[] = "\b\f\n\r\t";

    pos = *p;

    if (*pos != '\\' || last - pos < 2) {
        buf[0] = *pos;
        *p = pos + 1;
        return 1;
    }

    code = klaviyo_scan_unicode(pos, last);

    if (code == -1) {
        q = pos[1] ? strchr(escaped, pos[1]) : NULL;
        buf[0] = q ? (uint8_t) meant[q - escaped] : pos[1];
        *p = pos + 2;
        return 1;
    }

    pos += 6;

    if (code >= 0xd800 && code <= 0xdbff) {
        low = klaviyo_scan_unicode(pos, last);

        if (low >= 0xdc00 && low <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            pos += 6;
        }
    }

    *p = pos;

    if (code == 0 || (code >= 0xd800 && code <= 0xdfff)) {
        code = KLAVIYO_UTF8_REPLACEMENT_CODE;
        *repair = 1;
    }

    return klaviyo_utf8_encode(buf, (uint32_t) code);
}


int
klaviyo_scan_is(const klaviyo_slice_t *string, const void *text, size_t len)
{
    int                     c;
    const uint8_t          *p, *last;
    klaviyo_scan_cursor_t   cursor;

    /* what a string says is never longer than its bytes */

    if (string->len < len + 2) {
        return 0;
    }

    if (klaviyo_scan_is_plain(string)) {
        return string->len - 2 == len
               && memcmp(string->data + 1, text, len) == 0;
    }

    p = text;
    last = p + len;

    klaviyo_scan_cursor(&cursor, string);

    for ( ;; ) {
        c = klaviyo_scan_byte(&cursor);

        if (c == -1 || p == last || *p != c) {
            return c == -1 && p == last;
        }

        p++;
    }
}


int
klaviyo_scan_is_number(const uint8_t *p, size_t len)
{
    const uint8_t  *end;

    end = klaviyo_scan_number(p, p + len);

    return end != NULL && end == p + len;
}


/*
 * Behind the value at p; NULL: there is none.  Without `seen` the text was
 * checked before, and nobody asks what is in its strings.
 */

static const uint8_t *
klaviyo_scan_skip(const uint8_t *p, const uint8_t *last,
    klaviyo_scan_seen_t *seen)
{
    size_t   depth;
    uint8_t  objects[KLAVIYO_SCAN_DEPTH_MAX], object, open;

    depth = 0;
    object = 0;

    for ( ;; ) {

        if (p == last) {
            return NULL;
        }

        open = *p;

        if (open == '{' || open == '[') {

            if (depth == KLAVIYO_SCAN_DEPTH_MAX) {
                return NULL;
            }

            objects[depth++] = object;
            object = (open == '{');

            p = klaviyo_scan_blanks(p + 1, last);

            if (p == last) {
                return NULL;
            }

            if (*p != (object ? '}' : ']')) {

                if (object) {
                    p = klaviyo_scan_name(p, last, seen);

                    if (p == NULL) {
                        return NULL;
                    }
                }

                continue;
            }

            object = objects[--depth];
            p++;

        } else {
            p = klaviyo_scan_scalar(p, last, seen);

            if (p == NULL) {
                return NULL;
            }
        }

        /* behind a value */

        for ( ;; ) {

            if (depth == 0) {
                return p;
            }

            p = klaviyo_scan_blanks(p, last);

            if (p == last) {
                return NULL;
            }

            if (*p == ',') {
                p = klaviyo_scan_blanks(p + 1, last);

                if (object) {
                    p = klaviyo_scan_name(p, last, seen);

                    if (p == NULL) {
                        return NULL;
                    }
                }

                break;
            }

            if (*p != (object ? '}' : ']')) {
                return NULL;
            }

            object = objects[--depth];
            p++;
        }
    }
}


/* p is at its first byte */

static const uint8_t *
klaviyo_scan_scalar(const uint8_t *p, const uint8_t *last,
    klaviyo_scan_seen_t *seen)
{
    switch (*p) {

    case '"':
        return klaviyo_scan_quoted(p + 1, last, seen);

    case 't':
        return klaviyo_scan_word(p, last, "true", 4);

    case 'f':
        return klaviyo_scan_word(p, last, "false", 5);

    case 'n':
        return klaviyo_scan_word(p, last, "null", 4);
    }

    return klaviyo_scan_number(p, last);
}


/* a member's name and its colon: at its value */

static const uint8_t *
klaviyo_scan_name(const uint8_t *p, const uint8_t *last,
    klaviyo_scan_seen_t *seen)
{
    if (p == last || *p != '"') {
        return NULL;
    }

    p = klaviyo_scan_quoted(p + 1, last, seen);

    if (p == NULL) {
        return NULL;
    }

    if (seen) {
        seen->names++;
    }

    p = klaviyo_scan_blanks(p, last);

    if (p == last || *p != ':') {
        return NULL;
    }

    return klaviyo_scan_blanks(p + 1, last);
}


/* p is behind the opening quote: behind the closing one, or NULL */

static const uint8_t *
klaviyo_scan_quoted(const uint8_t *p, const uint8_t *last,
    klaviyo_scan_seen_t *seen)
{
    int  n;

    if (seen == NULL) {
        return klaviyo_scan_closing(p, last);
    }

    for ( ;; ) {

        p = klaviyo_plain(p, last);

        if (p == last) {
            return NULL;
        }

        if (*p == '"') {
            return p + 1;
        }

        if (*p == '\\') {
            p = klaviyo_scan_escape(p, last, seen);

            if (p == NULL) {
                return NULL;
            }

        } else if (*p < 0x80) {

            if (*p == '\0') {
                seen->repair = 1;
            }

            p++;

        } else {

            while (p < last && *p >= 0x80) {
                n = klaviyo_utf8_length(p, last);

                if (n < 0) {
                    seen->repair = 1;
                    n = -n;
                }

                p += n;
            }
        }
    }
}


/* the same of a string that was checked: a quote that no backslash escapes */

static const uint8_t *
klaviyo_scan_closing(const uint8_t *p, const uint8_t *last)
{
    const uint8_t  *start, *quote;

    start = p;

    for ( ;; ) {
        quote = memchr(p, '"', last - p);

        if (quote == NULL) {
            return NULL;
        }

        for (p = quote; p > start && p[-1] == '\\'; p--) { /* void */ }

        if ((quote - p) % 2 == 0) {
            return quote + 1;
        }

        p = quote + 1;
    }
}


/* p is at a backslash */

static const uint8_t *
klaviyo_scan_escape(const uint8_t *p, const uint8_t *last,
    klaviyo_scan_seen_t *seen)
{
    int      repair;
    uint8_t  buf[4];

    if (last - p < 2 || memchr("\"\\/bfnrtu", p[1], 9) == NULL) {
        return NULL;
    }

    if (p[1] != 'u') {
        return p + 2;
    }

    if (klaviyo_scan_unicode(p, last) == -1) {
        return NULL;
    }

    repair = 0;

    (void) klaviyo_scan_char(&p, last, buf, &repair);

    if (repair) {
        seen->repair = 1;
    }

    return p;
}


/* "-"? ( "0" / 1-9 *digit ) [ "." 1*digit ] [ e [ sign ] 1*digit ] */

static const uint8_t *
klaviyo_scan_number(const uint8_t *p, const uint8_t *last)
{
    const uint8_t  *start;

    if (p < last && *p == '-') {
        p++;
    }

    start = p;
    p = klaviyo_scan_digits(p, last);

    if (p == start || (*start == '0' && p - start > 1)) {
        return NULL;
    }

    if (p < last && *p == '.') {
        start = ++p;
        p = klaviyo_scan_digits(p, last);

        if (p == start) {
            return NULL;
        }
    }

    if (p < last && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < last && (*p == '+' || *p == '-')) {
            p++;
        }

        start = p;
        p = klaviyo_scan_digits(p, last);

        if (p == start) {
            return NULL;
        }
    }

    return p;
}


static const uint8_t *
klaviyo_scan_digits(const uint8_t *p, const uint8_t *last)
{
    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}


static const uint8_t *
klaviyo_scan_word(const uint8_t *p, const uint8_t *last, const char *word,
    size_t len)
{
    if ((size_t) (last - p) < len || memcmp(p, word, len) != 0) {
        return NULL;
    }

    return p + len;
}


static const uint8_t *
klaviyo_scan_blanks(const uint8_t *p, const uint8_t *last)
{
    while (p < last && klaviyo_scan_blank(*p)) {
        p++;
    }

    return p;
}


/* the XXXX of `\uXXXX` at p, or -1 */

static int32_t
klaviyo_scan_unicode(const uint8_t *p, const uint8_t *last)
{
    if (last - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }

    return klaviyo_hex_unicode(p + 2);
}


/*
 * The table has two slots at least for each name.  Names that all fall on one
 * place are nobody's order: they count as too many.
 */

int
klaviyo_scan_names(const klaviyo_slice_t *value, size_t names)
{
    int             rc, unique, at_name;
    size_t          depth, slots;
    const uint8_t  *p, *end, *last, *objects[KLAVIYO_SCAN_DEPTH_MAX];

    if (names > KLAVIYO_SCAN_NAMES_MAX) {
        return -1;
    }

    if (names < 2) {
        klaviyo_scan_table.text = NULL;
        return 1;
    }

    for (slots = 8; slots < 2 * names; slots *= 2) { /* void */ }

    p = value->data;
    last = p + value->len;

    klaviyo_scan_table.text = p;
    klaviyo_scan_table.last = last;
    klaviyo_scan_table.mask = (uint32_t) slots - 1;

    memset(klaviyo_scan_table.slots, 0, slots * sizeof(klaviyo_scan_slot_t));

    depth = 0;
    unique = 1;
    at_name = 0;

    while (p < last) {

        switch (*p) {

        case '{':
        case '[':

            if (depth == KLAVIYO_SCAN_DEPTH_MAX) {
                return -1;
            }

            at_name = (*p == '{');
            objects[depth++] = at_name ? p : NULL;
            break;

        case '}':
        case ']':

            if (depth == 0) {
                return -1;
            }

            depth--;
            break;

        case ',':
            at_name = (depth && objects[depth - 1]);
            break;

        case '"':
            end = klaviyo_scan_quoted(p + 1, last, NULL);

            if (end == NULL) {
                return -1;
            }

            if (at_name) {
                rc = klaviyo_scan_insert(objects[depth - 1], p, end);

                if (rc == -1) {
                    return -1;
                }

                unique &= rc;
                at_name = 0;
            }

            p = end;
            continue;
        }

        p++;
    }

    return unique;
}


int
klaviyo_scan_is_last(const uint8_t *object, const klaviyo_slice_t *name)
{
    klaviyo_scan_slot_t  *slot;

    if (klaviyo_scan_table.text == NULL) {
        return 1;
    }

    slot = klaviyo_scan_slot(object, name);

    return slot == NULL
           || slot->object == 0
           || klaviyo_scan_table.text + slot->name - 1 == name->data;
}


/* 1; 0: it is there already, and this one takes its place; -1: no slot */

static int
klaviyo_scan_insert(const uint8_t *object, const uint8_t *p,
    const uint8_t *last)
{
    int                   unique;
    klaviyo_slice_t       name;
    klaviyo_scan_slot_t  *slot;

    name.data = p;
    name.len = last - p;

    slot = klaviyo_scan_slot(object, &name);

    if (slot == NULL) {
        return -1;
    }

    unique = (slot->object == 0);

    slot->object = (uint32_t) (object - klaviyo_scan_table.text) + 1;
    slot->name = (uint32_t) (p - klaviyo_scan_table.text) + 1;

    return unique;
}


/* the slot of the name, or the free one where it belongs; NULL: neither */

static klaviyo_scan_slot_t *
klaviyo_scan_slot(const uint8_t *object, const klaviyo_slice_t *name)
{
    uint32_t              i, n, offset;
    klaviyo_slice_t       other;
    klaviyo_scan_slot_t  *slot;

    offset = (uint32_t) (object - klaviyo_scan_table.text) + 1;

    i = klaviyo_scan_hash(name) ^ (offset * 0x9e3779b1U);
    i ^= i >> 15;

    for (n = 0; n < KLAVIYO_SCAN_PROBES; n++, i++) {

        slot = &klaviyo_scan_table.slots[i & klaviyo_scan_table.mask];

        if (slot->object == 0) {
            return slot;
        }

        if (slot->object != offset) {
            continue;
        }

        other.data = klaviyo_scan_table.text + slot->name - 1;
        other.len = klaviyo_scan_quoted(other.data + 1,
                                        klaviyo_scan_table.last, NULL)
                    - other.data;

        if (klaviyo_scan_same(&other, name)) {
            return slot;
        }
    }

    return NULL;
}


/* FNV-1a of the text that the name says */

static uint32_t
klaviyo_scan_hash(const klaviyo_slice_t *name)
{
    int                     c;
    uint32_t                hash;
    klaviyo_scan_cursor_t   cursor;

    hash = 2166136261U;

    klaviyo_scan_cursor(&cursor, name);

    for ( ;; ) {
        c = klaviyo_scan_byte(&cursor);

        if (c == -1) {
            return hash;
        }

        hash = (hash ^ (uint32_t) c) * 16777619U;
    }
}


static int
klaviyo_scan_same(const klaviyo_slice_t *one, const klaviyo_slice_t *two)
{
    int                     c;
    klaviyo_scan_cursor_t   a, b;

    if (one->len == two->len && memcmp(one->data, two->data, one->len) == 0) {
        return 1;
    }

    klaviyo_scan_cursor(&a, one);
    klaviyo_scan_cursor(&b, two);

    do {
        c = klaviyo_scan_byte(&a);

        if (c != klaviyo_scan_byte(&b)) {
            return 0;
        }

    } while (c != -1);

    return 1;
}


static void
klaviyo_scan_cursor(klaviyo_scan_cursor_t *cursor,
    const klaviyo_slice_t *string)
{
    cursor->pos = string->data + 1;
    cursor->last = string->data + string->len - 1;
    cursor->i = 0;
    cursor->n = 0;
}


/*
 * The next byte of what the string says, or -1.  What will be repaired when it
 * is written is it here already: two names may become one by that.
 */

static int
klaviyo_scan_byte(klaviyo_scan_cursor_t *cursor)
{
    int      n, repair;
    uint8_t  c;

    if (cursor->i == cursor->n) {

        if (cursor->pos >= cursor->last) {
            return -1;
        }

        c = *cursor->pos;
        n = (c < 0x80) ? 1 : klaviyo_utf8_length(cursor->pos, cursor->last);

        cursor->i = 0;

        if (n < 0 || (c < 0x20 && memchr("\b\f\n\r\t", c, 5) == NULL)) {
            cursor->pos += (n < 0) ? -n : 1;
            cursor->n = klaviyo_utf8_encode(cursor->buf,
                                            KLAVIYO_UTF8_REPLACEMENT_CODE);

        } else if (n > 1) {
            memcpy(cursor->buf, cursor->pos, n);
            cursor->pos += n;
            cursor->n = n;

        } else {
            cursor->n = klaviyo_scan_char(&cursor->pos, cursor->last,
                                          cursor->buf, &repair);
        }
    }

    return cursor->buf[cursor->i++];
}

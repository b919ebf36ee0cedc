/*
 * json: values of the type `json`.  Plain C; jansson is the judge of what is
 * JSON, and its tree is thrown away: the text itself goes on.
 */


#include <string.h>

#include <jansson.h>

#include "klaviyo_hex.h"
#include "klaviyo_value.h"


static int klaviyo_text_fits(const uint8_t *p, const uint8_t *last);
static int klaviyo_text_parses(const uint8_t *p, size_t len);
static void klaviyo_text_copy(klaviyo_json_t *json, const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_text_string(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_text_cut(const uint8_t *p,
    const uint8_t *last);


/*
 * The text is checked in two steps: a scan that only counts levels, items and
 * bytes of keys, so that the parser never recurses deeper than that, then
 * jansson for everything else.  What is written is the text itself, so that
 * numbers keep their digits, without blanks between tokens.
 */

klaviyo_value_rc_e
klaviyo_value_json(klaviyo_json_t *json, const uint8_t *p, size_t len)
{
    if (len > KLAVIYO_JSON_TEXT_MAX) {
        return KLAVIYO_VALUE_BAD;
    }

    if ((len == 4 && memcmp(p, "null", 4) == 0)
        || (len == 2 && memcmp(p, "\"\"", 2) == 0))
    {
        return KLAVIYO_VALUE_EMPTY;
    }

    if (!klaviyo_text_fits(p, p + len)
        || !klaviyo_text_parses(p, len))
    {
        return KLAVIYO_VALUE_BAD;
    }

    klaviyo_text_copy(json, p, p + len);

    return KLAVIYO_VALUE_OK;
}


/* exact for what is JSON; of anything else it may say what it likes */

static int
klaviyo_text_fits(const uint8_t *p, const uint8_t *last)
{
    int             long_string;
    size_t          depth;
    uint32_t        items[KLAVIYO_DEPTH_MAX];  /* 0: not an array           */
    const uint8_t  *end;

    depth = 0;
    long_string = 0;

    while (p < last) {

        switch (*p) {

        case '"':
            end = klaviyo_text_string(p, last);

            if (end == NULL) {
                return 0;
            }

            long_string = (end - p - 2 > KLAVIYO_STRING_MAX);
            p = end;
            continue;

        case ':':

            if (long_string) {
                return 0;
            }

            break;

        case '[':
        case '{':

            /* `properties` is the first level */

            if (depth == KLAVIYO_DEPTH_MAX - 1) {
                return 0;
            }

            items[depth++] = (*p == '[');
            break;

        case ']':
        case '}':

            if (depth == 0) {
                return 0;
            }

            depth--;
            break;

        case ',':

            if (depth == 0) {
                return 0;
            }

            if (items[depth - 1] && ++items[depth - 1] > KLAVIYO_LIST_MAX) {
                return 0;
            }

            break;
        }

        p++;
    }

    return depth == 0;
}


/*
 * jansson takes a NUL byte behind a number or a word for nothing at all, so it
 * must not see one.  An escaped NUL it refuses, without JSON_ALLOW_NUL.
 */

static int
klaviyo_text_parses(const uint8_t *p, size_t len)
{
    json_t  *root;

    if (memchr(p, '\0', len) != NULL) {
        return 0;
    }

    root = json_loadb((const char *) p, len,
                      JSON_DECODE_ANY|JSON_REJECT_DUPLICATES, NULL);

    if (root == NULL) {
        return 0;
    }

    json_decref(root);

    return 1;
}


static void
klaviyo_text_copy(klaviyo_json_t *json, const uint8_t *p,
    const uint8_t *last)
{
    const uint8_t  *run, *end, *cut;

    run = p;

    while (p < last) {

        if (*p == '"') {
            end = klaviyo_text_string(p, last);
            cut = klaviyo_text_cut(p, end);
            p = end;

            if (cut != end - 1) {
                klaviyo_json_raw(json, run, cut - run);
                json->cut = 1;
                run = end - 1;
            }

        } else if (klaviyo_value_blank(*p)) {
            klaviyo_json_raw(json, run, p - run);
            run = ++p;

        } else {
            p++;
        }
    }

    klaviyo_json_raw(json, run, last - run);
}


/* p is at the opening quote: behind the closing one, or NULL */

static const uint8_t *
klaviyo_text_string(const uint8_t *p, const uint8_t *last)
{
    for (p++; p < last; p++) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p == '\\') {
            p++;
        }
    }

    return NULL;
}


/*
 * From p to last is a valid string with its quotes: where its text must end,
 * which is at the closing quote unless it is too long.
 */

static const uint8_t *
klaviyo_text_cut(const uint8_t *p, const uint8_t *last)
{
    size_t    n, size, left;
    unsigned  code;

    p++;
    last--;

    if (last - p <= KLAVIYO_STRING_MAX) {
        return last;
    }

    left = KLAVIYO_STRING_MAX;

    while (p < last) {

        if (*p != '\\') {
            n = klaviyo_json_utf8(p, last);
            size = n;

        } else if (p[1] != 'u') {
            n = 2;
            size = 1;

        } else {
            n = 6;

            /* digits: the parser has seen them */

            code = (unsigned) klaviyo_hex_unicode(p + 2);

            if (code < 0x80) {
                size = 1;

            } else if (code < 0x800) {
                size = 2;

            } else if (code >= 0xd800 && code <= 0xdfff) {
                n = 12;
                size = 4;

            } else {
                size = 3;
            }
        }

        if (size > left) {
            break;
        }

        left -= size;
        p += n;
    }

    return p;
}

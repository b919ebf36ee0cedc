/*
 * Writes items as JSON.  What was opened can always be closed: the room for
 * that is not given to anything else.
 */


#include "klaviyo_microdata.h"
#include "klaviyo_html.h"
#include "json/klaviyo_json.h"


#define KLAVIYO_MICRODATA_CLOSE  (KLAVIYO_HTML_DEPTH + 1)


void
klaviyo_microdata_init(klaviyo_microdata_t *micro,
    klaviyo_jsonld_pool_t *pool, size_t max)
{
    klaviyo_page_text_init(&micro->text, pool, max);

    micro->depth = 0;
    micro->passed = 0;
    micro->full = 0;
}


/* 1: a member of so many bytes of text fits, and all that closes it */

static int
klaviyo_microdata_room(klaviyo_microdata_t *micro, size_t len)
{
    if (micro->full) {
        return 0;
    }

    if (!klaviyo_page_text_room(&micro->text,
                                klaviyo_json_string_size(len)
                                + sizeof("[\"@graph\":{\"@type\":[],")
                                + KLAVIYO_MICRODATA_CLOSE))
    {
        micro->full = 1;
        micro->text.cut = 0;
        return 0;
    }

    return 1;
}


static size_t
klaviyo_microdata_word(const uint8_t **p, const uint8_t *last)
{
    const uint8_t  *start;

    while (*p < last && **p <= ' ') {
        (*p)++;
    }

    start = *p;

    while (*p < last && **p > ' ') {
        (*p)++;
    }

    return *p - start;
}


void
klaviyo_microdata_item(klaviyo_microdata_t *micro, const uint8_t *name,
    size_t name_len, const uint8_t *types, size_t types_len)
{
    size_t                len, n;
    const uint8_t        *p, *last;
    klaviyo_page_text_t  *text;

    text = &micro->text;

    /* each type is in quotes of its own */

    if (micro->passed || micro->depth == KLAVIYO_HTML_DEPTH
        || !klaviyo_microdata_room(micro, name_len + 2 * types_len))
    {
        micro->passed++;
        return;
    }

    if (micro->depth == 0) {
        klaviyo_page_text_raw(text, text->len ? "," : "[", 1);

    } else {
        klaviyo_page_text_literal(text, ",");

        p = name;
        len = name_len ? klaviyo_microdata_word(&p, name + name_len) : 0;

        if (len) {
            klaviyo_page_text_string(text, p - len, len);

        } else {
            klaviyo_page_text_literal(text, "\"@graph\"");
        }

        klaviyo_page_text_literal(text, ":");
    }

    klaviyo_page_text_literal(text, "{\"@type\":[");

    p = types;
    last = types_len ? p + types_len : p;

    for (n = 0; p < last; n++) {
        len = klaviyo_microdata_word(&p, last);

        if (len == 0) {
            break;
        }

        if (n) {
            klaviyo_page_text_literal(text, ",");
        }

        klaviyo_page_text_string(text, p - len, len);
    }

    klaviyo_page_text_literal(text, "]");
    micro->depth++;
}


void
klaviyo_microdata_item_end(klaviyo_microdata_t *micro)
{
    if (micro->passed) {
        micro->passed--;
        return;
    }

    if (micro->depth) {
        klaviyo_page_text_literal(&micro->text, "}");
        micro->depth--;
    }
}


void
klaviyo_microdata_property(klaviyo_microdata_t *micro, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len)
{
    if (micro->passed || micro->depth == 0
        || !klaviyo_microdata_room(micro, name_len + value_len))
    {
        return;
    }

    klaviyo_page_text_literal(&micro->text, ",");
    klaviyo_page_text_string(&micro->text, name, name_len);
    klaviyo_page_text_literal(&micro->text, ":");
    klaviyo_page_text_string(&micro->text, value, value_len);
}


void
klaviyo_microdata_end(klaviyo_microdata_t *micro, klaviyo_slice_t *text)
{
    while (micro->depth) {
        klaviyo_page_text_literal(&micro->text, "}");
        micro->depth--;
    }

    if (micro->text.len) {
        klaviyo_page_text_literal(&micro->text, "]");
    }

    text->data = micro->text.data;
    text->len = micro->text.len;
}

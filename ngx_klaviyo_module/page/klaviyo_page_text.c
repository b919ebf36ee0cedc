/*
 * JSON text that grows: twice as large each time, as a pool gives nothing
 * back.
 */


#include <string.h>

#include "klaviyo_page_text.h"
#include "json/klaviyo_json.h"


#define KLAVIYO_PAGE_TEXT_MIN  512


void
klaviyo_page_text_init(klaviyo_page_text_t *text, klaviyo_jsonld_pool_t *pool,
    size_t max)
{
    memset(text, 0, sizeof(klaviyo_page_text_t));

    text->pool = pool;
    text->max = max;
}


int
klaviyo_page_text_room(klaviyo_page_text_t *text, size_t len)
{
    size_t    size;
    uint8_t  *data;

    if (text->cut || len > text->max - text->len) {
        text->cut = 1;
        return 0;
    }

    if (len <= text->size - text->len) {
        return 1;
    }

    size = text->size ? 2 * text->size : KLAVIYO_PAGE_TEXT_MIN;

    while (size < text->len + len) {
        size *= 2;
    }

    data = text->pool->alloc(text->pool->data, size);

    if (data == NULL) {
        text->pool->failed = 1;
        text->cut = 1;
        return 0;
    }

    if (text->len) {
        memcpy(data, text->data, text->len);
    }

    text->data = data;
    text->size = size;

    return 1;
}


void
klaviyo_page_text_raw(klaviyo_page_text_t *text, const void *p, size_t len)
{
    if (len && klaviyo_page_text_room(text, len)) {
        memcpy(text->data + text->len, p, len);
        text->len += len;
    }
}


void
klaviyo_page_text_string(klaviyo_page_text_t *text, const uint8_t *p,
    size_t len)
{
    klaviyo_json_t  json;

    if (!klaviyo_page_text_room(text, klaviyo_json_string_size(len))) {
        return;
    }

    klaviyo_json_init(&json, text->data + text->len, text->size - text->len);
    klaviyo_json_string(&json, p, len, 3 * len);

    text->len += json.pos - json.start;
}

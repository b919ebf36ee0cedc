/*
 * A page, in two pieces: what its first byte says, and the rest.  Whatever it
 * holds, the facts that are JSON are JSON, and the same as those of the page
 * in one piece.
 */


#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "page/klaviyo_page.h"


#define ALL  (KLAVIYO_HTML_JSONLD|KLAVIYO_HTML_MICRODATA                     \
              |KLAVIYO_HTML_META|KLAVIYO_HTML_DATALAYER                      \
              |KLAVIYO_HTML_ECONTEXT)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static klaviyo_page_t *read_page(const uint8_t *data, size_t size,
    size_t piece);
static void is_json(const klaviyo_slice_t *text);


static void   *taken[4096];
static size_t  n;


static void *
take(void *data, size_t size)
{
    (void) data;

    if (n == sizeof(taken) / sizeof(taken[0])) {
        return NULL;
    }

    return taken[n++] = malloc(size);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                  i, piece;
    klaviyo_page_t         *whole, *parts;
    const klaviyo_slice_t  *one, *two;

    if (size < 2) {
        return 0;
    }

    piece = data[0];

    whole = read_page(data + 1, size - 1, size);
    parts = read_page(data + 1, size - 1, piece ? piece : 1);

    if (n == sizeof(taken) / sizeof(taken[0])) {
        goto done;
    }

    for (i = 0; i < KLAVIYO_PAGE_N; i++) {
        one = klaviyo_page_fact(whole, i);
        two = klaviyo_page_fact(parts, i);

        if (one->len != two->len
            || (one->len && memcmp(one->data, two->data, one->len) != 0))
        {
            abort();
        }
    }

    is_json(klaviyo_page_fact(whole, KLAVIYO_PAGE_CATEGORIES));
    is_json(klaviyo_page_fact(whole, KLAVIYO_PAGE_ITEMS));
    is_json(klaviyo_page_fact(whole, KLAVIYO_PAGE_ITEM_NAMES));

done:

    while (n) {
        free(taken[--n]);
    }

    return 0;
}


static klaviyo_page_t *
read_page(const uint8_t *data, size_t size, size_t piece)
{
    size_t                   at, len;
    klaviyo_page_t          *page;
    klaviyo_page_request_t   request;

    request.scheme.data = (const uint8_t *) "https";
    request.scheme.len = 5;
    request.host.data = (const uint8_t *) "shop.example";
    request.host.len = 12;
    request.uri.data = (const uint8_t *) "/lamp?id=1";
    request.uri.len = 10;
    request.charset = size & 3;

    page = klaviyo_page_create(ALL, 65536, &request, take, NULL);

    for (at = 0; at < size; at += len) {
        len = size - at < piece ? size - at : piece;
        klaviyo_page_feed(page, data + at, len);
    }

    klaviyo_page_end(page);

    return page;
}


static void
is_json(const klaviyo_slice_t *text)
{
    json_t  *root;

    if (text->len == 0) {
        return;
    }

    root = json_loadb((const char *) text->data, text->len, 0, NULL);

    if (root == NULL) {
        abort();
    }

    json_decref(root);
}

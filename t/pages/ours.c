/*
 * What our reader sees in pages:
 *
 *     ours FOLDER
 *
 * FOLDER/manifest has a line for each: its file, its URI and the charset of
 * its header, or "-".  Prints a JSON object: by file the list `seen`, of
 * [what, name, value], and `facts`.  Each page is read whole, and byte by
 * byte: `same` is whether both gave the same.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "page/klaviyo_page.h"


#define WANT  (KLAVIYO_HTML_JSONLD|KLAVIYO_HTML_MICRODATA                    \
               |KLAVIYO_HTML_META|KLAVIYO_HTML_ECONTEXT)
#define POOL  (32 << 20)


static uint8_t  pool[POOL];
static size_t   used;


static void *
take(void *data, size_t size)
{
    void  *p;

    (void) data;

    if (size > POOL - used) {
        return NULL;
    }

    p = pool + used;
    used += (size + 15) & ~(size_t) 15;

    return p;
}


static void
found(void *data, klaviyo_html_found_e what, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len)
{
    json_t  *row;

    static const char  *names[] = { "meta", "canonical", "title", "jsonld",
                                    "datalayer", "econtext", "item", "end",
                                    "property" };

    if (what == KLAVIYO_HTML_FOUND_ITEM
        || what == KLAVIYO_HTML_FOUND_ITEM_END
        || (what == KLAVIYO_HTML_FOUND_PROPERTY && name[0] == '@'))
    {
        return;
    }

    row = json_array();

    json_array_append_new(row, json_string(names[what]));
    json_array_append_new(row, json_stringn(name ? (const char *) name : "",
                                            name_len));
    json_array_append_new(row, json_stringn(value ? (const char *) value : "",
                                            value_len));
    json_array_append_new(data, row);
}


static json_t *
see(const uint8_t *p, size_t len, klaviyo_charset_e charset, size_t piece)
{
    size_t           n;
    json_t          *seen;
    klaviyo_html_t  *html;

    used = 0;
    seen = json_array();
    html = klaviyo_html_init(WANT, 1 << 20, charset, found, take, seen);

    for ( /* void */ ; len; p += n, len -= n) {
        n = len < piece ? len : piece;
        klaviyo_html_feed(html, p, n);
    }

    klaviyo_html_end(html);

    return seen;
}


static json_t *
facts(const uint8_t *p, size_t len, const char *uri,
    klaviyo_charset_e charset)
{
    int                      i;
    json_t                  *object;
    klaviyo_page_t          *page;
    const klaviyo_slice_t   *fact;
    klaviyo_page_request_t   request;

#define fact_name(constant, name)  name,

    static const char  *names[] = { KLAVIYO_PAGE_FACTS(fact_name) };

    request.scheme.data = (const uint8_t *) "https";
    request.scheme.len = 5;
    request.host.data = (const uint8_t *) "shop.example";
    request.host.len = 12;
    request.uri.data = (const uint8_t *) uri;
    request.uri.len = strlen(uri);
    request.charset = charset;

    used = 0;
    object = json_object();
    page = klaviyo_page_create(WANT, 1 << 20, &request, take, NULL);

    klaviyo_page_feed(page, p, len);
    klaviyo_page_end(page);

    for (i = 0; i < KLAVIYO_PAGE_N; i++) {
        fact = klaviyo_page_fact(page, i);

        if (fact->len) {
            json_object_set_new(object, names[i],
                                json_stringn((const char *) fact->data,
                                             fact->len));
        }
    }

    return object;
}


int
main(int argc, char **argv)
{
    FILE               *manifest, *file;
    char                path[4096], name[256], uri[256], label[64];
    size_t              len;
    json_t             *all, *page, *whole, *bytes;
    klaviyo_charset_e   charset;

    static uint8_t  text[4 << 20];

    snprintf(path, sizeof(path), "%s/manifest", argc > 1 ? argv[1] : ".");
    manifest = fopen(path, "r");

    if (manifest == NULL) {
        perror(path);
        return 1;
    }

    all = json_object();

    while (fscanf(manifest, "%255s %255s %63s", name, uri, label) == 3) {

        snprintf(path, sizeof(path), "%s/%s", argv[1], name);
        file = fopen(path, "r");

        if (file == NULL) {
            perror(path);
            return 1;
        }

        len = fread(text, 1, sizeof(text), file);
        fclose(file);

        charset = strcmp(label, "-") == 0 ? KLAVIYO_CHARSET_NONE
                  : klaviyo_charset((uint8_t *) label, strlen(label));

        page = json_object();
        whole = see(text, len, charset, len);
        bytes = see(text, len, charset, 1);

        json_object_set_new(page, "same",
                            json_boolean(json_equal(whole, bytes)));
        json_object_set_new(page, "seen", whole);
        json_object_set_new(page, "facts", facts(text, len, uri, charset));
        json_decref(bytes);

        json_object_set_new(all, name, page);
    }

    fclose(manifest);
    json_dumpf(all, stdout, JSON_COMPACT);
    json_decref(all);

    return 0;
}

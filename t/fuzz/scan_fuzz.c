/*
 * Any text as JSON.  What jansson takes the scanner takes, and it means the
 * same; what the scanner takes becomes JSON, as a value of an event, that
 * jansson takes without duplicate names.  Found in any other text, a value
 * stays inside it.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/scan_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson && ./fuzz t/fuzz/seeds/scan
 */


#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "json/klaviyo_value.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const klaviyo_slice_t *value);
static void write_json(const klaviyo_slice_t *text, const json_t *root);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                   taken;
    json_t               *root;
    klaviyo_slice_t       text;
    klaviyo_scan_seen_t   seen;

    text.data = data;
    text.len = size;

    taken = klaviyo_scan_check(&text, &seen);

    /* jansson takes a NUL behind a number or a word for nothing at all */

    root = memchr(data, '\0', size) == NULL
           ? json_loadb((const char *) data, size, JSON_DECODE_ANY, NULL)
           : NULL;

    if (root && !taken) {
        abort();
    }

    if (text.len && walk(&text) != seen.names && taken) {
        abort();
    }

    if (taken) {
        write_json(&text, seen.repair ? NULL : root);
    }

    json_decref(root);

    return 0;
}


/* the names in it */

static size_t
walk(const klaviyo_slice_t *value)
{
    size_t           n;
    uint8_t         *buf;
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, item;

    n = 0;

    if (value->len > 1 && *value->data == '"') {
        buf = malloc(value->len);

        if (klaviyo_scan_string(value, buf) > value->len) {
            abort();
        }

        free(buf);
    }

    klaviyo_scan_enter(&scan, value);

    while (klaviyo_scan_next(&scan, &name)) {

        if (scan.object) {
            n++;
            (void) klaviyo_scan_is(&name, "name", 4);
        }

        klaviyo_scan_value(&scan, &item);

        if (item.data < value->data
            || item.data + item.len > value->data + value->len)
        {
            abort();
        }

        if (item.len) {
            n += walk(&item);
        }
    }

    return n;
}


static void
write_json(const klaviyo_slice_t *text, const json_t *root)
{
    int                  cut;
    size_t               size;
    json_t              *again;
    uint8_t             *buf;
    klaviyo_json_t       json;
    klaviyo_value_rc_e   rc;

    cut = 0;
    size = klaviyo_value_size(KLAVIYO_VALUE_JSON, text->len);
    buf = malloc(size);

    klaviyo_json_init(&json, buf, size);

    rc = klaviyo_value_write(&json, KLAVIYO_VALUE_JSON, text->data, text->len,
                             &cut);

    if (json.overflow || (rc != KLAVIYO_VALUE_OK && json.pos != buf)) {
        abort();
    }

    if (rc == KLAVIYO_VALUE_OK) {
        again = json_loadb((const char *) buf, json.pos - buf,
                           JSON_DECODE_ANY|JSON_REJECT_DUPLICATES, NULL);

        if (again == NULL) {
            abort();
        }

        if (root && !cut && !json.cut && !json.number
            && !json_equal(root, again))
        {
            abort();
        }

        json_decref(again);
    }

    free(buf);
}

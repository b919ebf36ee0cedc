/*
 * A header in which the application names events.  Each member that is found
 * must be JSON by itself.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/named_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson && ./fuzz t/fuzz/seeds/named
 */


#include <stdlib.h>
#include <string.h>

#include "json/klaviyo_named.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void members(const klaviyo_slice_t *object);
static void is_json(const klaviyo_slice_t *value);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int                    i;
    klaviyo_named_t        named;
    klaviyo_value_rc_e     rc;
    klaviyo_named_list_t   list;

    if (!klaviyo_named_open(&list, data, size)) {
        return 0;
    }

    for ( ;; ) {
        rc = klaviyo_named_next(&list, &named);

        if (rc == KLAVIYO_VALUE_EMPTY) {
            return 0;
        }

        if (rc == KLAVIYO_VALUE_BAD) {
            continue;
        }

        for (i = 0; i < KLAVIYO_NAMED_N; i++) {

            if (named.member[i].len) {
                is_json(&named.member[i]);
            }
        }

        members(&named.member[KLAVIYO_NAMED_PROFILE]);
        members(&named.member[KLAVIYO_NAMED_PROPERTIES]);
    }
}


static void
members(const klaviyo_slice_t *object)
{
    klaviyo_scan_t   scan;
    klaviyo_slice_t  name, value;

    if (object->len == 0) {
        return;
    }

    klaviyo_scan_enter(&scan, object);

    while (klaviyo_scan_next(&scan, &name)) {
        klaviyo_scan_value(&scan, &value);
        is_json(&name);
        is_json(&value);
    }
}


static void
is_json(const klaviyo_slice_t *value)
{
    klaviyo_slice_t      text;
    klaviyo_scan_seen_t  seen;

    text = *value;

    if (!klaviyo_scan_check(&text, &seen) || text.len != value->len) {
        abort();
    }
}

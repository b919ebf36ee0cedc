/*
 * A form: one line, the name of a field, then the form.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/form_fuzz.c ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson && ./fuzz t/fuzz/seeds/form
 */


#include <stdlib.h>
#include <string.h>

#include "json/klaviyo_form.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t          *buf;
    const uint8_t    *line;
    klaviyo_form_t    form;
    klaviyo_slice_t   value;

    line = size ? memchr(data, '\n', size) : NULL;

    if (line == NULL) {
        return 0;
    }

    klaviyo_form_open(&form, line + 1, data + size - line - 1);

    while (klaviyo_form_next(&form, data, line - data, &value)) {
        buf = malloc(value.len ? value.len : 1);

        if (klaviyo_form_decode(&form, &value, buf) > value.len) {
            abort();
        }

        free(buf);
    }

    return 0;
}

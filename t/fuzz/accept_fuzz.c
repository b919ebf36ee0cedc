/*
 * An Accept header, and the same bytes as text that is escaped.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/accept_fuzz.c \
 *         ngx_klaviyo_module/status/klaviyo_*.c \
 *         ngx_klaviyo_module/json/klaviyo_*.c \
 *         -ljansson && ./fuzz t/fuzz/seeds/accept
 */


#include <stdlib.h>
#include <string.h>

#include "status/klaviyo_accept.h"
#include "status/klaviyo_escape.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          room;
    uint8_t        *buf;
    klaviyo_json_t  out;

    if (klaviyo_accept_read(data, size) > KLAVIYO_ACCEPT_N) {
        abort();
    }

    room = klaviyo_escape_size(size);
    buf = malloc(room + 1);

    klaviyo_json_init(&out, buf, room);
    klaviyo_escape_html(&out, data, size);

    if (out.overflow || memchr(buf, '<', out.pos - buf)) {
        abort();
    }

    klaviyo_json_init(&out, buf, room);
    klaviyo_escape_label(&out, data, size);

    if (out.overflow || memchr(buf, '\n', out.pos - buf)) {
        abort();
    }

    free(buf);

    return 0;
}

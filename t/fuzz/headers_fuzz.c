/*
 * Which headers pass the gateway: one line, a Connection header, then lines
 * "Name: value".
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/headers_fuzz.c \
 *         ngx_klaviyo_module/gateway/klaviyo_*.c \
 *         && ./fuzz t/fuzz/seeds/headers
 */


#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/klaviyo_headers.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static const char *const  never[] = {
    "authorization", "cookie", "set-cookie", "host", "connection",
    "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
    "proxy-authorization", "proxy-authenticate", "location",
    "x-accel-redirect", "www-authenticate", "server", "expect"
};


static void
check_header(const uint8_t *list, size_t list_len, const uint8_t *line,
    size_t len)
{
    size_t             i, name_len;
    klaviyo_header_e   request, answer;
    const uint8_t     *colon, *value;

    colon = len ? memchr(line, ':', len) : NULL;

    if (colon == NULL) {
        return;
    }

    name_len = colon - line;
    value = colon + 1;

    request = klaviyo_headers_request(line, name_len);
    answer = klaviyo_headers_answer(line, name_len, value,
                                    line + len - value);

    (void) klaviyo_headers_listed(list, list_len, line, name_len);

    if (answer != KLAVIYO_HEADER_STOPS
        && answer != KLAVIYO_HEADER_CHALLENGE
        && (memchr(value, '\r', line + len - value)
            || memchr(value, '\0', line + len - value)))
    {
        abort();
    }

    for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (strlen(never[i]) == name_len
            && strncasecmp((const char *) line, never[i], name_len) == 0
            && (request != KLAVIYO_HEADER_STOPS
                || answer != KLAVIYO_HEADER_STOPS))
        {
            abort();
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          len, list_len;
    uint8_t        *copy, *list;
    const uint8_t  *line, *end, *last;

    last = data + size;
    line = size ? memchr(data, '\n', size) : NULL;

    if (line == NULL) {
        return 0;
    }

    list_len = line - data;
    list = malloc(list_len ? list_len : 1);
    memcpy(list, data, list_len);

    for (line++; line < last; line = end + 1) {

        end = memchr(line, '\n', last - line);
        end = end ? end : last;

        /* a copy of its own: what is read beyond it is noticed */

        len = end - line;
        copy = malloc(len ? len : 1);
        memcpy(copy, line, len);

        check_header(list, list_len, copy, len);

        free(copy);
    }

    free(list);

    return 0;
}

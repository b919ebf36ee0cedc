/*
 * The gateway's target: one line, the path, then the arguments.  What comes
 * out is checked as a suspicious server would read it.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ingx_klaviyo_module \
 *         -o fuzz t/fuzz/path_fuzz.c ngx_klaviyo_module/gateway/klaviyo_*.c \
 *         && ./fuzz t/fuzz/seeds/path
 */


#include <stdlib.h>
#include <string.h>

#include "gateway/klaviyo_path.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
check_path(char *path)
{
    char  *p, *segment, *last;

    if (path[0] != '/' || path[1] == '/' || strstr(path, "//")) {
        abort();
    }

    /* decoded once more, no segment leads up */

    for (p = path; *p; p++) {
        if (p[0] == '%'
            && (strncmp(p, "%2E", 3) == 0 || strncmp(p, "%2F", 3) == 0
                || strncmp(p, "%25", 3) == 0 || strncmp(p, "%5C", 3) == 0
                || p[1] == '0' || p[1] == '1' || strncmp(p, "%7F", 3) == 0))
        {
            abort();
        }
    }

    for (segment = strtok_r(path, "/", &last);
         segment;
         segment = strtok_r(NULL, "/", &last))
    {
        segment[strcspn(segment, ";")] = '\0';

        if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0) {
            abort();
        }
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char           *copy, *args;
    size_t          i, len, path_len, args_len;
    uint8_t        *target;
    const uint8_t  *line;

    line = size ? memchr(data, '\n', size) : NULL;

    path_len = line ? (size_t) (line - data) : size;
    args_len = line ? size - path_len - 1 : 0;

    target = malloc(klaviyo_path_size(path_len, args_len));

    len = klaviyo_path_target(target, data, path_len, line ? line + 1 : NULL,
                              args_len);

    if (len == 0) {
        free(target);
        return 0;
    }

    if (len >= klaviyo_path_size(path_len, args_len) || target[len] != '\0'
        || strlen((char *) target) != len)
    {
        abort();
    }

    /* one word of a request line, without a fragment */

    for (i = 0; i < len; i++) {
        if (target[i] <= ' ' || target[i] > '~' || target[i] == '#') {
            abort();
        }
    }

    copy = strdup((char *) target);

    args = strchr(copy, '?');
    if ((args != NULL) != (args_len != 0)) {
        abort();
    }

    if (args) {
        *args = '\0';
    }

    check_path(copy);

    free(copy);
    free(target);

    return 0;
}

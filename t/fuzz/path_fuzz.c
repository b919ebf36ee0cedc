/*
 * The gateway's target: one line, the path, then the arguments; or, behind a
 * line "$", a text and a value.  What comes out is checked as a suspicious
 * server would read it.
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


/* a value stays where it stands: decoded it is there, between the quotes */

static void
check_value(const uint8_t *text, size_t len, const uint8_t *value,
    size_t value_len)
{
    size_t                i, n, begin, slashes;
    uint8_t              *target;
    klaviyo_path_piece_t  pieces[2];

    pieces[0].data = text;
    pieces[0].len = len;
    pieces[0].kind = KLAVIYO_PATH_ARGS;

    pieces[1].data = value;
    pieces[1].len = value_len;
    pieces[1].kind = klaviyo_path_behind(KLAVIYO_PATH_VALUE, text, len);

    target = malloc(klaviyo_path_size(len + value_len + 1));

    /* the path is "/" */

    klaviyo_path_piece_t  all[] = {
        { (const uint8_t *) "/", 1, KLAVIYO_PATH_PATH }, pieces[0], pieces[1]
    };

    n = klaviyo_path_target(target, all, 2);
    begin = n;

    if (n == 0) {
        goto done;
    }

    n = klaviyo_path_target(target, all, 3);

    if (n == 0 && pieces[1].kind == KLAVIYO_PATH_WORD) {
        goto done;
    }

    if (n < begin) {
        abort();
    }

    begin += (len == 0 && value_len);

    for (i = begin; i < n; i++) {
        if (memchr("&#+\"'()=?/ \\", target[i], 12)) {
            abort();
        }
    }

    n = klaviyo_path_decode(target + begin, n - begin);

    /* what a reader of a filter's string takes away again */

    for (i = 0, slashes = 0; i < n; i++) {

        if (pieces[1].kind != KLAVIYO_PATH_VALUE
            && target[begin + i] == '\\')
        {
            slashes++;
            i++;
        }

        if (i - slashes >= value_len
            || target[begin + i] != value[i - slashes])
        {
            abort();
        }
    }

    if (n - slashes != value_len) {
        abort();
    }

done:

    free(target);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char           *copy, *args;
    size_t          i, len, path_len, args_len;
    uint8_t        *target;
    const uint8_t  *line, *value;

    line = size ? memchr(data, '\n', size) : NULL;

    path_len = line ? (size_t) (line - data) : size;
    args_len = line ? size - path_len - 1 : 0;

    if (path_len == 1 && data[0] == '$') {
        value = memchr(line ? line + 1 : data, '\n', args_len);

        if (line && value) {
            check_value(line + 1, value - (line + 1), value + 1,
                        data + size - (value + 1));
        }

        return 0;
    }

    klaviyo_path_piece_t  pieces[] = {
        { data, path_len, KLAVIYO_PATH_PATH },
        { line ? line + 1 : data, args_len, KLAVIYO_PATH_ARGS }
    };

    target = malloc(klaviyo_path_size(size));

    len = klaviyo_path_target(target, pieces, 2);

    if (len == 0) {
        free(target);
        return 0;
    }

    if (len >= klaviyo_path_size(size) || target[len] != '\0'
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

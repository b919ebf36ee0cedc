/*
 * Targets checked and encoded.  Room: gateway, plain C; it touches nothing
 * but the caller's bytes.
 */


#include <string.h>

#include "klaviyo_path.h"


/* what a path may hold as it stands, RFC 3986's pchar without "%", and "/" */
#define KLAVIYO_PATH_PLAIN  "/-._~!$&'()*+,;=:@"


static int klaviyo_path_segments(const uint8_t *path, size_t len);
static int klaviyo_path_is_control(uint8_t ch);
static int klaviyo_path_is_plain(uint8_t ch);
static uint8_t *klaviyo_path_encode(uint8_t *p, uint8_t ch);


size_t
klaviyo_path_target(uint8_t *target, const uint8_t *path, size_t path_len,
    const uint8_t *args, size_t args_len)
{
    size_t    i;
    uint8_t  *p;

    if (!klaviyo_path_segments(path, path_len)) {
        return 0;
    }

    p = target;

    for (i = 0; i < path_len; i++) {

        if (klaviyo_path_is_control(path[i])
            || path[i] == '%' || path[i] == '\\')
        {
            return 0;
        }

        if (klaviyo_path_is_plain(path[i])) {
            *p++ = path[i];

        } else {
            p = klaviyo_path_encode(p, path[i]);
        }
    }

    if (args_len) {
        *p++ = '?';
    }

    for (i = 0; i < args_len; i++) {

        if (klaviyo_path_is_control(args[i])) {
            return 0;
        }

        if (args[i] == ' ' || args[i] == '#' || args[i] > 0x7f) {
            p = klaviyo_path_encode(p, args[i]);

        } else {
            *p++ = args[i];
        }
    }

    *p = '\0';

    return p - target;
}


/*
 * "//host" would be another host to some, and ".." leads out of the endpoint's
 * path, also as "..;a", which some take for it.
 */

static int
klaviyo_path_segments(const uint8_t *path, size_t len)
{
    size_t  begin, end, n;

    if (len == 0 || path[0] != '/') {
        return 0;
    }

    for (begin = 1; begin < len; begin = end + 1) {

        for (end = begin; end < len && path[end] != '/'; end++) {
            /* to the segment's end */
        }

        if (end == begin) {
            return 0;
        }

        for (n = begin; n < end && path[n] == '.'; n++) {
            /* to the end of the dots */
        }

        if ((n == begin + 1 || n == begin + 2)
            && (n == end || path[n] == ';'))
        {
            return 0;
        }
    }

    return 1;
}


static int
klaviyo_path_is_control(uint8_t ch)
{
    return ch < 0x20 || ch == 0x7f;
}


static int
klaviyo_path_is_plain(uint8_t ch)
{
    if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
        || (ch >= '0' && ch <= '9'))
    {
        return 1;
    }

    return strchr(KLAVIYO_PATH_PLAIN, ch) != NULL;
}


static uint8_t *
klaviyo_path_encode(uint8_t *p, uint8_t ch)
{
    static const char  hex[] = "0123456789ABCDEF";

    *p++ = '%';
    *p++ = hex[ch >> 4];
    *p++ = hex[ch & 0xf];

    return p;
}

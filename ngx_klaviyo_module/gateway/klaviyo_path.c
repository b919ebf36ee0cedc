/*
 * Targets checked and encoded.  Room: gateway, plain C; it touches nothing
 * but the caller's bytes.
 */


#include <string.h>

#include "klaviyo_path.h"


/* what a path may hold as it stands, RFC 3986's pchar without "%", and "/" */
#define KLAVIYO_PATH_PLAIN  "/-._~!$&'()*+,;=:@"


/* what a value may hold among arguments, RFC 3986's unreserved */
#define KLAVIYO_PATH_UNRESERVED  "-._~"


static uint8_t *klaviyo_path_write(uint8_t *p,
    const klaviyo_path_piece_t *piece);
static int klaviyo_path_segments(const uint8_t *path, size_t len);
static size_t klaviyo_path_slash(const uint8_t *p, size_t len);
static size_t klaviyo_path_quote(const uint8_t *p, size_t len, uint8_t ch);
static int klaviyo_path_is_control(uint8_t ch);
static int klaviyo_path_is_filter(uint8_t ch);
static int klaviyo_path_is_plain(uint8_t ch, const char *others);
static int klaviyo_path_hex(uint8_t ch);
static uint8_t *klaviyo_path_encode(uint8_t *p, uint8_t ch);


size_t
klaviyo_path_target(uint8_t *target, const klaviyo_path_piece_t *pieces,
    size_t n)
{
    size_t    i;
    uint8_t  *p, *args, *empty;

    p = target;
    args = NULL;
    empty = NULL;

    for (i = 0; i < n; i++) {

        if (pieces[i].kind >= KLAVIYO_PATH_ARGS && pieces[i].len && !args) {
            args = p;
            *p++ = '?';
        }

        if (pieces[i].kind == KLAVIYO_PATH_SEGMENT && p > target
            && p[-1] == '/')
        {
            empty = p;
        }

        p = klaviyo_path_write(p, &pieces[i]);

        if (p == NULL) {
            return 0;
        }
    }

    n = (args ? args : p) - target;

    /* of a value that is not there: "/api/lists/" are all lists */

    if (empty == target + n || !klaviyo_path_segments(target, n)) {
        return 0;
    }

    *p = '\0';

    return p - target;
}


static uint8_t *
klaviyo_path_write(uint8_t *p, const klaviyo_path_piece_t *piece)
{
    size_t   i;
    uint8_t  ch;

    for (i = 0; i < piece->len; i++) {

        ch = piece->data[i];

        if (piece->kind < KLAVIYO_PATH_VALUE && klaviyo_path_is_control(ch)) {
            return NULL;
        }

        switch (piece->kind) {

        case KLAVIYO_PATH_PATH:
        case KLAVIYO_PATH_SEGMENT:

            if (ch == '%' || ch == '\\') {
                return NULL;
            }

            if (klaviyo_path_is_plain(ch, KLAVIYO_PATH_PLAIN)
                && (ch != '/' || piece->kind == KLAVIYO_PATH_PATH))
            {
                *p++ = ch;

            } else {
                p = klaviyo_path_encode(p, ch);
            }

            continue;

        case KLAVIYO_PATH_ARGS:

            if (ch == ' ' || ch == '#' || ch > 0x7f) {
                p = klaviyo_path_encode(p, ch);

            } else {
                *p++ = ch;
            }

            continue;

        case KLAVIYO_PATH_WORD:

            if (klaviyo_path_is_filter(ch)) {
                return NULL;
            }

            break;

        case KLAVIYO_PATH_QUOTED:
        case KLAVIYO_PATH_APOSTROPHES:

            if (ch == '\\'
                || ch == (piece->kind == KLAVIYO_PATH_QUOTED ? '"' : '\''))
            {
                p = klaviyo_path_encode(p, '\\');
            }

            break;

        default:
            break;
        }

        if (klaviyo_path_is_plain(ch, KLAVIYO_PATH_UNRESERVED)) {
            *p++ = ch;

        } else {
            p = klaviyo_path_encode(p, ch);
        }
    }

    return p;
}


klaviyo_path_kind_e
klaviyo_path_behind(klaviyo_path_kind_e kind, const uint8_t *text, size_t len)
{
    size_t    i, n;
    uint8_t   ch;

    for (i = 0; i < len; i += n) {

        ch = text[i];
        n = 1;

        if (kind == KLAVIYO_PATH_SEGMENT) {
            kind = (ch == '?') ? KLAVIYO_PATH_VALUE : kind;
            continue;
        }

        if (ch == '&') {
            kind = KLAVIYO_PATH_VALUE;
            continue;
        }

        if (kind == KLAVIYO_PATH_VALUE || kind == KLAVIYO_PATH_WORD) {

            if (klaviyo_path_quote(text + i, len - i, '"')) {
                kind = KLAVIYO_PATH_QUOTED;

            } else if (klaviyo_path_quote(text + i, len - i, '\'')) {
                kind = KLAVIYO_PATH_APOSTROPHES;

            } else if (klaviyo_path_quote(text + i, len - i, '(')) {
                kind = KLAVIYO_PATH_WORD;
            }

            continue;
        }

        /* in a string, a backslash takes what follows */

        n = klaviyo_path_quote(text + i, len - i, '\\');

        if (n) {
            n += (i + n < len);
            continue;
        }

        n = klaviyo_path_quote(text + i, len - i,
                               kind == KLAVIYO_PATH_QUOTED ? '"' : '\'');

        if (n) {
            kind = KLAVIYO_PATH_WORD;

        } else {
            n = 1;
        }
    }

    return kind;
}


size_t
klaviyo_path_decode(uint8_t *p, size_t len)
{
    size_t    i;
    uint8_t  *dst;

    dst = p;

    for (i = 0; i < len; i++) {

        if (p[i] == '%' && len - i > 2 && klaviyo_path_hex(p[i + 1]) >= 0
            && klaviyo_path_hex(p[i + 2]) >= 0)
        {
            *dst++ = klaviyo_path_hex(p[i + 1]) << 4
                     | klaviyo_path_hex(p[i + 2]);
            i += 2;

        } else {
            *dst++ = p[i];
        }
    }

    return dst - p;
}


/*
 * "//host" would be another host to some, and ".." leads out of the endpoint's
 * path, also as "..;a" and behind "%2F", which some take for it.
 */

static int
klaviyo_path_segments(const uint8_t *path, size_t len)
{
    size_t  begin, end, n, slash;

    if (len == 0 || path[0] != '/') {
        return 0;
    }

    for (begin = 1; begin < len; begin = end + slash) {

        slash = 0;

        for (end = begin; end < len; end++) {

            slash = klaviyo_path_slash(path + end, len - end);

            if (slash) {
                break;
            }
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


/* bytes of a slash, which a value's is encoded; 0: there is none */

static size_t
klaviyo_path_slash(const uint8_t *p, size_t len)
{
    if (p[0] == '/') {
        return 1;
    }

    return len > 2 && memcmp(p, "%2F", 3) == 0 ? 3 : 0;
}


/* bytes of this character, which may be encoded; 0: it is another one */

static size_t
klaviyo_path_quote(const uint8_t *p, size_t len, uint8_t ch)
{
    if (p[0] == ch) {
        return 1;
    }

    return p[0] == '%' && len > 2 && klaviyo_path_hex(p[1]) == ch >> 4
           && klaviyo_path_hex(p[2]) == (ch & 0xf)
           ? 3 : 0;
}


static int
klaviyo_path_is_control(uint8_t ch)
{
    return ch < 0x20 || ch == 0x7f;
}


/* what means something in a filter, but for what words are made of */

static int
klaviyo_path_is_filter(uint8_t ch)
{
    return klaviyo_path_is_control(ch)
           || strchr("()[]\"',\\ ", ch) != NULL;
}


static int
klaviyo_path_is_plain(uint8_t ch, const char *others)
{
    if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
        || (ch >= '0' && ch <= '9'))
    {
        return 1;
    }

    return ch && strchr(others, ch) != NULL;
}


static int
klaviyo_path_hex(uint8_t ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    ch |= 0x20;

    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
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

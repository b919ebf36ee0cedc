/*
 * The lists of headers.  Room: gateway, plain C; it touches nothing but the
 * caller's bytes.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_headers.h"


/* a name that ends in "-" stands for all that begin with it */

typedef struct {
    const char        *name;
    klaviyo_header_e   header;
} klaviyo_headers_name_t;


static klaviyo_header_e klaviyo_headers_find(
    const klaviyo_headers_name_t *names, const uint8_t *name, size_t len);
static int klaviyo_headers_token(const uint8_t *name, size_t len);


static const klaviyo_headers_name_t  klaviyo_headers_of_request[] = {
    { "accept",            KLAVIYO_HEADER_ACCEPT },
    { "content-type",      KLAVIYO_HEADER_CONTENT_TYPE },
    { "revision",          KLAVIYO_HEADER_REVISION },
    { "x-klaviyo-",        KLAVIYO_HEADER_PASSES },
    { NULL,                KLAVIYO_HEADER_STOPS }
};


static const klaviyo_headers_name_t  klaviyo_headers_of_answer[] = {
    { "content-type",      KLAVIYO_HEADER_CONTENT_TYPE },
    { "content-length",    KLAVIYO_HEADER_CONTENT_LENGTH },
    { "content-encoding",  KLAVIYO_HEADER_CONTENT_ENCODING },
    { "content-language",  KLAVIYO_HEADER_PASSES },
    { "cache-control",     KLAVIYO_HEADER_CACHE_CONTROL },
    { "expires",           KLAVIYO_HEADER_EXPIRES },
    { "etag",              KLAVIYO_HEADER_ETAG },
    { "vary",              KLAVIYO_HEADER_PASSES },
    { "allow",             KLAVIYO_HEADER_PASSES },
    { "ratelimit-",        KLAVIYO_HEADER_PASSES },
    { "retry-after",       KLAVIYO_HEADER_RETRY_AFTER },
    { "deprecation",       KLAVIYO_HEADER_PASSES },
    { "sunset",            KLAVIYO_HEADER_PASSES },
    { "x-klaviyo-",        KLAVIYO_HEADER_PASSES },
    { "cf-ray",            KLAVIYO_HEADER_PASSES },
    { "cf-mitigated",      KLAVIYO_HEADER_CHALLENGE },
    { NULL,                KLAVIYO_HEADER_STOPS }
};


klaviyo_header_e
klaviyo_headers_request(const uint8_t *name, size_t len)
{
    return klaviyo_headers_find(klaviyo_headers_of_request, name, len);
}


klaviyo_header_e
klaviyo_headers_answer(const uint8_t *name, size_t len, const uint8_t *value,
    size_t value_len)
{
    klaviyo_header_e  header;

    header = klaviyo_headers_find(klaviyo_headers_of_answer, name, len);

    if (header == KLAVIYO_HEADER_CHALLENGE) {
        return (value_len == 9
                && strncasecmp((const char *) value, "challenge", 9) == 0)
               ? header : KLAVIYO_HEADER_STOPS;
    }

    return klaviyo_headers_value(value, value_len) ? header
                                                   : KLAVIYO_HEADER_STOPS;
}


int
klaviyo_headers_value(const uint8_t *value, size_t len)
{
    size_t  i;

    if (len == 0 || len > KLAVIYO_HEADERS_VALUE_MAX) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (value[i] < ' ' || value[i] > '~') {
            return 0;
        }
    }

    return 1;
}


int
klaviyo_headers_listed(const uint8_t *list, size_t list_len,
    const uint8_t *name, size_t len)
{
    size_t  begin, end;

    for (begin = 0; begin < list_len; begin = end + 1) {

        while (begin < list_len
               && (list[begin] == ' ' || list[begin] == '\t'))
        {
            begin++;
        }

        for (end = begin; end < list_len && list[end] != ','; end++) {
            /* to the word's end */
        }

        if (end - begin >= len
            && strncasecmp((const char *) list + begin, (const char *) name,
                           len)
               == 0
            && (end - begin == len || list[begin + len] == ' '
                || list[begin + len] == '\t'))
        {
            return 1;
        }
    }

    return 0;
}


static klaviyo_header_e
klaviyo_headers_find(const klaviyo_headers_name_t *names, const uint8_t *name,
    size_t len)
{
    size_t  n;

    if (!klaviyo_headers_token(name, len)) {
        return KLAVIYO_HEADER_STOPS;
    }

    for ( /* void */ ; names->name; names++) {

        n = strlen(names->name);

        if ((names->name[n - 1] == '-') ? len <= n : len != n) {
            continue;
        }

        if (strncasecmp((const char *) name, names->name, n) == 0) {
            return names->header;
        }
    }

    return KLAVIYO_HEADER_STOPS;
}


/* 1: 1 to 64 letters, digits and "-" */

static int
klaviyo_headers_token(const uint8_t *name, size_t len)
{
    size_t  i;

    if (len == 0 || len > 64) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if ((name[i] < 'a' || name[i] > 'z')
            && (name[i] < 'A' || name[i] > 'Z')
            && (name[i] < '0' || name[i] > '9') && name[i] != '-')
        {
            return 0;
        }
    }

    return 1;
}

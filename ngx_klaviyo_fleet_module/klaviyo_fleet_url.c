/*
 * Where a Redis is.  Room: fleet, plain C.
 */


#include <string.h>

#include "klaviyo_fleet_url.h"


#define KLAVIYO_FLEET_PORT  6379


static int klaviyo_fleet_number(const char **p, const char *end, unsigned max,
    unsigned *number);


const char *
klaviyo_fleet_url(klaviyo_fleet_url_t *url, const char *text, size_t len)
{
    size_t       n;
    const char  *p, *end, *host;

    memset(url, 0, sizeof(klaviyo_fleet_url_t));

    url->port = KLAVIYO_FLEET_PORT;

    p = text;
    end = text + len;

    if (len > 5 && memcmp(p, "unix:", 5) == 0) {
        p += 5;
        n = (size_t) (end - p);

        if (*p != '/') {
            return "the path of a socket begins with \"/\"";
        }

        if (n >= sizeof(url->path) || memchr(p, '\0', n) != NULL) {
            return "the path of the socket is too long";
        }

        memcpy(url->path, p, n);

        return NULL;
    }

    if (len > 8 && memcmp(p, "redis://", 8) == 0) {
        p += 8;

    } else if (len > 9 && memcmp(p, "rediss://", 9) == 0) {
        p += 9;
        url->tls = 1;

    } else {
        return "it begins with \"redis://\", \"rediss://\" or \"unix:/\"";
    }

    host = p;

    if (p < end && *p == '[') {
        host = ++p;
        url->ipv6 = 1;

        while (p < end && *p != ']') {
            p++;
        }

        if (p == end) {
            return "no \"]\" ends the address";
        }

        n = (size_t) (p++ - host);

    } else {
        while (p < end && *p != ':' && *p != '/') {

            if (*p == '@') {
                return "a password has no place in it: use \"user\" and "
                       "\"password_file\"";
            }

            if (*p <= ' ' || *p >= 0x7f) {
                return "its host has a character that no name has";
            }

            p++;
        }

        n = (size_t) (p - host);
    }

    if (n == 0 || n >= sizeof(url->host)) {
        return "its host is missing or too long";
    }

    memcpy(url->host, host, n);

    if (p < end && *p == ':') {
        p++;

        /* user:password@host */

        if (memchr(p, '@', (size_t) (end - p)) != NULL) {
            return "a password has no place in it: use \"user\" and "
                   "\"password_file\"";
        }

        if (!klaviyo_fleet_number(&p, end, 65535, &url->port)
            || url->port == 0)
        {
            return "its port is no number from 1 to 65535";
        }
    }

    if (p < end && *p == '/') {
        p++;

        if (p < end
            && !klaviyo_fleet_number(&p, end, 65535, &url->database))
        {
            return "its database is no number";
        }
    }

    return p == end ? NULL : "something stands behind its port or database";
}


static int
klaviyo_fleet_number(const char **p, const char *end, unsigned max,
    unsigned *number)
{
    unsigned     n;
    const char  *start;

    n = 0;

    for (start = *p; *p < end && **p >= '0' && **p <= '9'; (*p)++) {
        n = n * 10 + (unsigned) (**p - '0');

        if (n > max) {
            return 0;
        }
    }

    *number = n;

    return *p > start;
}

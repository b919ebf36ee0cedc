/*
 * json: what Klaviyo takes as an email, a phone number, a name of a metric,
 * an identifier.  Plain C.  On the careful side: what Klaviyo refuses costs the
 * whole event, what is left out here costs one field.
 */


#include <string.h>

#include "klaviyo_utf8.h"
#include "klaviyo_check.h"


#define KLAVIYO_EMAIL_LOCAL_MAX   64
#define KLAVIYO_EMAIL_LABEL_MAX   63
#define KLAVIYO_PHONE_MIN         8      /* digits                          */
#define KLAVIYO_PHONE_MAX         15


static int klaviyo_check_local(const uint8_t *p, size_t len);
static int klaviyo_check_domain(const uint8_t *p, size_t len);
static int klaviyo_check_alpha(uint8_t c);
static int klaviyo_check_digit(uint8_t c);


int
klaviyo_value_is_email(const uint8_t *p, size_t len)
{
    size_t          n;
    const uint8_t  *at;

    if (len == 0 || len > KLAVIYO_EMAIL_MAX) {
        return 0;
    }

    at = memchr(p, '@', len);

    if (at == NULL) {
        return 0;
    }

    n = at - p;

    return klaviyo_check_local(p, n)
           && klaviyo_check_domain(at + 1, len - n - 1);
}


int
klaviyo_value_is_phone(const uint8_t *p, size_t len)
{
    size_t  i;

    if (len < KLAVIYO_PHONE_MIN + 1 || len > KLAVIYO_PHONE_MAX + 1
        || p[0] != '+' || p[1] == '0')
    {
        return 0;
    }

    for (i = 1; i < len; i++) {

        if (!klaviyo_check_digit(p[i])) {
            return 0;
        }
    }

    return 1;
}


/* control characters make a name that nobody can pick in Klaviyo's lists */

int
klaviyo_value_is_metric(const uint8_t *p, size_t len)
{
    int             n;
    size_t          chars;
    const uint8_t  *text, *last;

    text = p;

    if (klaviyo_value_trim(&text, len) == 0) {
        return 0;
    }

    last = p + len;

    for (chars = 0; p < last; chars++) {

        if (chars == KLAVIYO_METRIC_MAX || *p < 0x20 || *p == 0x7f) {
            return 0;
        }

        n = klaviyo_utf8_length(p, last);

        if (n < 0) {
            return 0;
        }

        p += n;
    }

    return 1;
}


int
klaviyo_value_is_identifier(const uint8_t *p, size_t len)
{
    int             n;
    const uint8_t  *last;

    for (last = p + len; p < last; p += n) {

        n = klaviyo_utf8_length(p, last);

        if (n < 0 || *p < 0x20 || *p == 0x7f
            || (n == 3 && memcmp(p, KLAVIYO_UTF8_REPLACEMENT, 3) == 0))
        {
            return 0;
        }
    }

    return 1;
}


/* a dot-atom: no quoted strings, no comments, no dot at an end or doubled */

static int
klaviyo_check_local(const uint8_t *p, size_t len)
{
    size_t   i;
    uint8_t  prev;

    if (len == 0 || len > KLAVIYO_EMAIL_LOCAL_MAX) {
        return 0;
    }

    prev = '.';

    for (i = 0; i < len; i++) {

        if (p[i] == '.') {

            if (prev == '.') {
                return 0;
            }

        } else if (p[i] == '\0'
                   || (!klaviyo_check_alpha(p[i])
                       && !klaviyo_check_digit(p[i])
                       && strchr("!#$%&'*+-/=?^_`{|}~", p[i]) == NULL))
        {
            return 0;
        }

        prev = p[i];
    }

    return prev != '.';
}


/* at least two labels of letters, digits and hyphens; the last is no number */

static int
klaviyo_check_domain(const uint8_t *p, size_t len)
{
    size_t  i, start, labels;

    start = 0;
    labels = 0;

    for (i = 0; i <= len; i++) {

        if (i < len && p[i] != '.') {

            if (!klaviyo_check_alpha(p[i]) && !klaviyo_check_digit(p[i])
                && p[i] != '-')
            {
                return 0;
            }

            continue;
        }

        if (i == start || i - start > KLAVIYO_EMAIL_LABEL_MAX
            || p[start] == '-' || p[i - 1] == '-')
        {
            return 0;
        }

        labels++;

        if (i < len) {
            start = i + 1;
        }
    }

    return labels > 1 && len - start > 1 && klaviyo_check_alpha(p[start]);
}


static int
klaviyo_check_alpha(uint8_t c)
{
    c |= 0x20;

    return c >= 'a' && c <= 'z';
}


static int
klaviyo_check_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

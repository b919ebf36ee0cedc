/*
 * status: the Accept header, as RFC 9110 has it:
 *
 *     Accept: text/html, application/xml;q=0.9, text/plain;version="0.0.4"
 *
 * Each form has the weight of the most exact range that covers it, where `*`
 * covers everything and `text` followed by it every text.  Parameters but `q`
 * are skipped.
 *
 * Plain C, no allocation.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_accept.h"


#define KLAVIYO_ACCEPT_WEIGHT  1000

/* how exactly a range names a form */

#define KLAVIYO_ACCEPT_ANY     1
#define KLAVIYO_ACCEPT_MAIN    2
#define KLAVIYO_ACCEPT_WHOLE   3


typedef struct {
    klaviyo_accept_e  form;
    const char       *type;
    unsigned          asked:1;   /* never sent: no range covers it          */
} klaviyo_accept_type_t;


static const uint8_t *klaviyo_accept_range(klaviyo_accept_t *accept,
    const uint8_t *p, const uint8_t *last);
static const uint8_t *klaviyo_accept_token(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_accept_quoted(const uint8_t *p,
    const uint8_t *last);
static const uint8_t *klaviyo_accept_blank(const uint8_t *p,
    const uint8_t *last);
static int klaviyo_accept_weight(const uint8_t *p, size_t len);
static void klaviyo_accept_count(klaviyo_accept_t *accept, const uint8_t *p,
    size_t len, int weight);


static const char *const  klaviyo_accept_names[] = {
    "json", "html", "prometheus"
};


static const klaviyo_accept_type_t  klaviyo_accept_types[] = {
    { KLAVIYO_ACCEPT_JSON,       "application/json",             0 },
    { KLAVIYO_ACCEPT_HTML,       "text/html",                    0 },
    { KLAVIYO_ACCEPT_PROMETHEUS, "text/plain",                   0 },
    { KLAVIYO_ACCEPT_PROMETHEUS, "application/openmetrics-text", 1 }
};


klaviyo_accept_e
klaviyo_accept_name(const uint8_t *p, size_t len)
{
    unsigned  i;

    for (i = 0; i < KLAVIYO_ACCEPT_N; i++) {
        if (len == strlen(klaviyo_accept_names[i])
            && memcmp(p, klaviyo_accept_names[i], len) == 0)
        {
            break;
        }
    }

    return i;
}


void
klaviyo_accept_read(klaviyo_accept_t *accept, const uint8_t *p, size_t len)
{
    const uint8_t  *last;

    last = p + len;

    while (p < last) {
        p = klaviyo_accept_range(accept, p, last);
    }
}


klaviyo_accept_e
klaviyo_accept_best(const klaviyo_accept_t *accept)
{
    unsigned  i, best;

    best = KLAVIYO_ACCEPT_JSON;

    for (i = best + 1; i < KLAVIYO_ACCEPT_N; i++) {

        if (accept->weight[i] > accept->weight[best]
            || (accept->weight[i] && accept->weight[i] == accept->weight[best]
                && accept->depth[i] > accept->depth[best]))
        {
            best = i;
        }
    }

    return best;
}


/* one range with its parameters, to where the next one begins */

static const uint8_t *
klaviyo_accept_range(klaviyo_accept_t *accept, const uint8_t *p,
    const uint8_t *last)
{
    int             weight;
    size_t          len;
    const uint8_t  *range, *name, *value;

    range = klaviyo_accept_blank(p, last);
    p = klaviyo_accept_token(range, last);

    len = p - range;
    weight = KLAVIYO_ACCEPT_WEIGHT;

    for ( ;; ) {
        p = klaviyo_accept_blank(p, last);

        if (p == last || *p == ',') {
            break;
        }

        if (*p != ';') {
            weight = -1;
            p = (*p == '"') ? klaviyo_accept_quoted(p, last) : p + 1;
            continue;
        }

        name = klaviyo_accept_blank(p + 1, last);
        p = klaviyo_accept_token(name, last);

        if (p == last || *p != '=') {
            continue;
        }

        value = ++p;

        if (p < last && *p == '"') {
            p = klaviyo_accept_quoted(p, last);

        } else {
            p = klaviyo_accept_token(p, last);
        }

        if (value - name == 2 && (*name == 'q' || *name == 'Q')
            && weight >= 0)
        {
            weight = klaviyo_accept_weight(value, p - value);
        }
    }

    if (weight >= 0) {
        klaviyo_accept_count(accept, range, len, weight);
    }

    return (p == last) ? p : p + 1;
}


static const uint8_t *
klaviyo_accept_token(const uint8_t *p, const uint8_t *last)
{
    while (p < last && *p != ',' && *p != ';' && *p != '=' && *p != '"'
           && *p != ' ' && *p != '\t')
    {
        p++;
    }

    return p;
}


static const uint8_t *
klaviyo_accept_quoted(const uint8_t *p, const uint8_t *last)
{
    for (p++; p < last && *p != '"'; p++) {
        if (*p == '\\' && last - p > 1) {
            p++;
        }
    }

    return (p == last) ? p : p + 1;
}


static const uint8_t *
klaviyo_accept_blank(const uint8_t *p, const uint8_t *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return p;
}


/* `0.725` and the like in thousandths; -1: it is none */

static int
klaviyo_accept_weight(const uint8_t *p, size_t len)
{
    int     weight, unit;
    size_t  i;

    if (len == 0 || len > 5 || (p[0] != '0' && p[0] != '1')
        || (len > 1 && p[1] != '.'))
    {
        return -1;
    }

    weight = (p[0] - '0') * KLAVIYO_ACCEPT_WEIGHT;
    unit = KLAVIYO_ACCEPT_WEIGHT / 10;

    for (i = 2; i < len; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        weight += (p[i] - '0') * unit;
        unit /= 10;
    }

    return weight <= KLAVIYO_ACCEPT_WEIGHT ? weight : -1;
}


static void
klaviyo_accept_count(klaviyo_accept_t *accept, const uint8_t *p, size_t len,
    int weight)
{
    size_t                        i, prefix;
    uint8_t                       depth;
    const klaviyo_accept_type_t  *type;

    for (i = 0; i < sizeof(klaviyo_accept_types)
                    / sizeof(klaviyo_accept_types[0]); i++)
    {
        type = &klaviyo_accept_types[i];
        prefix = strchr(type->type, '/') - type->type + 1;

        if (len == strlen(type->type)
            && strncasecmp((const char *) p, type->type, len) == 0)
        {
            depth = KLAVIYO_ACCEPT_WHOLE;

        } else if (type->asked) {
            continue;

        } else if (len == prefix + 1 && p[prefix] == '*'
                   && strncasecmp((const char *) p, type->type, prefix) == 0)
        {
            depth = KLAVIYO_ACCEPT_MAIN;

        } else if (len == 3 && memcmp(p, "*/*", 3) == 0) {
            depth = KLAVIYO_ACCEPT_ANY;

        } else {
            continue;
        }

        if (depth > accept->depth[type->form]
            || (depth == accept->depth[type->form]
                && weight > accept->weight[type->form]))
        {
            accept->depth[type->form] = depth;
            accept->weight[type->form] = (uint16_t) weight;
        }
    }
}

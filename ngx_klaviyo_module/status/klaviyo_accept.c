/*
 * status: which form of the figures is asked for.
 *
 * Plain C, no allocation.
 */


#include <string.h>
#include <strings.h>

#include "klaviyo_accept.h"


typedef struct {
    klaviyo_accept_e  form;
    const char       *type;
} klaviyo_accept_type_t;


static const char *const  klaviyo_accept_names[] = {
    "json", "html", "prometheus"
};


static const klaviyo_accept_type_t  klaviyo_accept_types[] = {
    { KLAVIYO_ACCEPT_JSON,       "application/json" },
    { KLAVIYO_ACCEPT_HTML,       "text/html" },
    { KLAVIYO_ACCEPT_PROMETHEUS, "text/plain" },
    { KLAVIYO_ACCEPT_PROMETHEUS, "application/openmetrics-text" },
    { KLAVIYO_ACCEPT_N,          NULL }
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


klaviyo_accept_e
klaviyo_accept_read(const uint8_t *p, size_t len)
{
    size_t                        n;
    const uint8_t                *last;
    const klaviyo_accept_type_t  *type;

    last = p + len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        for (n = 0; p + n < last && memchr(",; \t", p[n], 4) == NULL; n++) {
            /* void */
        }

        for (type = klaviyo_accept_types; n && type->type; type++) {
            if (n == strlen(type->type)
                && strncasecmp((const char *) p, type->type, n) == 0)
            {
                return type->form;
            }
        }

        /* its parameters, and the comma */

        while (p < last && *p++ != ',') { /* void */ }
    }

    return KLAVIYO_ACCEPT_N;
}

/*
 * At most one line a minute for each cause.
 */


#include "ngx_http_klaviyo_warn.h"


#define NGX_HTTP_KLAVIYO_WARN_TIMEOUT  60000    /* ms                        */
#define NGX_HTTP_KLAVIYO_WARN_VALUE    64       /* bytes of a value          */


static struct {
    ngx_msec_t  last;           /* when it was told                          */
    ngx_uint_t  held;           /* back since then                           */
    ngx_uint_t  told;
} ngx_http_klaviyo_warned[NGX_HTTP_KLAVIYO_WARN_N];


void
ngx_http_klaviyo_warn(ngx_http_request_t *r, ngx_http_klaviyo_warn_e cause,
    ngx_str_t *value, const char *text)
{
    size_t      i, len;
    u_char      shown[NGX_HTTP_KLAVIYO_WARN_VALUE];
    ngx_uint_t  held;

    if (ngx_http_klaviyo_warned[cause].told
        && ngx_current_msec - ngx_http_klaviyo_warned[cause].last
           < NGX_HTTP_KLAVIYO_WARN_TIMEOUT)
    {
        ngx_http_klaviyo_warned[cause].held++;
        return;
    }

    held = ngx_http_klaviyo_warned[cause].held;

    ngx_http_klaviyo_warned[cause].told = 1;
    ngx_http_klaviyo_warned[cause].last = ngx_current_msec;
    ngx_http_klaviyo_warned[cause].held = 0;

    len = ngx_min(value->len, NGX_HTTP_KLAVIYO_WARN_VALUE);

    for (i = 0; i < len; i++) {
        shown[i] = (value->data[i] < 0x20 || value->data[i] == 0x7f)
                   ? '?' : value->data[i];
    }

    if (held) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "klaviyo: \"%*s\" %s (and %ui more like this)",
                      len, shown, text, held);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "klaviyo: \"%*s\" %s", len, shown, text);
}

/*
 * Numbers in headers of Klaviyo's answers: hostile until checked.
 */


#include "ngx_http_klaviyo_retry_after.h"


#define NGX_HTTP_KLAVIYO_RETRY_AFTER_MAX  1000000000


int64_t
ngx_http_klaviyo_retry_after(ngx_str_t *value)
{
    u_char     *point;
    time_t      t;
    int64_t     n;
    ngx_str_t   whole, fraction;

    point = ngx_strlchr(value->data, value->data + value->len, '.');

    if (point) {
        whole.data = value->data;
        whole.len = point - value->data;

        fraction.data = point + 1;
        fraction.len = value->data + value->len - fraction.data;

        n = ngx_http_klaviyo_whole(&whole);

        if (n < 0 || ngx_http_klaviyo_whole(&fraction) < 0) {
            return -1;
        }

        return n + (ngx_http_klaviyo_whole(&fraction) > 0);
    }

    n = ngx_http_klaviyo_whole(value);

    if (n >= 0) {
        return n;
    }

    t = ngx_parse_http_time(value->data, value->len);

    if (t == (time_t) NGX_ERROR) {
        return -1;
    }

    n = ngx_max((int64_t) t - ngx_time(), 0);

    return ngx_min(n, NGX_HTTP_KLAVIYO_RETRY_AFTER_MAX);
}


int64_t
ngx_http_klaviyo_whole(ngx_str_t *value)
{
    size_t   i;
    int64_t  n;

    n = 0;

    for (i = 0; i < value->len; i++) {

        if (value->data[i] < '0' || value->data[i] > '9') {
            return -1;
        }

        n = n * 10 + (value->data[i] - '0');
        n = ngx_min(n, NGX_HTTP_KLAVIYO_RETRY_AFTER_MAX);
    }

    return value->len ? n : -1;
}

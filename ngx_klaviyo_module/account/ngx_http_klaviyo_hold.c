/*
 * The setting `hold`: how long events wait for their visitor, and how much
 * room they have.
 */


#include "ngx_http_klaviyo_arg.h"
#include "ngx_http_klaviyo_hold.h"


#define NGX_HTTP_KLAVIYO_HOLD_MIN  1000                   /* ms              */
#define NGX_HTTP_KLAVIYO_HOLD_MAX  (24 * 60 * 60 * 1000)


char *
ngx_http_klaviyo_hold(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    ngx_int_t  time;
    ngx_str_t  s;

    if (account->hold != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    if (n == 1 && value[0].len == 3
        && ngx_strncmp(value[0].data, "off", 3) == 0)
    {
        account->hold = 0;
        return NGX_CONF_OK;
    }

    time = ngx_parse_time(&value[0], 0);

    if (time == NGX_ERROR || time < NGX_HTTP_KLAVIYO_HOLD_MIN
        || time > NGX_HTTP_KLAVIYO_HOLD_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": \"hold\" is a time of 1s "
                           "to 24h, or \"off\" alone", &value[0]);
        return NGX_CONF_ERROR;
    }

    account->hold = time;

    if (n == 1) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_klaviyo_arg(&value[1], "size=", &s)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": expected \"size=\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_klaviyo_arg_size(cf, &value[1], &s, KLAVIYO_RING_MIN_SIZE,
                                     (size_t) 4 << 30, &account->hold_size);
}

/*
 * The name=value arguments of the settings.
 */


#include "ngx_http_klaviyo_setting.h"


ngx_uint_t
ngx_http_klaviyo_arg(ngx_str_t *arg, const char *name, ngx_str_t *value)
{
    size_t  len;

    len = ngx_strlen(name);

    if (arg->len < len || ngx_strncmp(arg->data, name, len) != 0) {
        return 0;
    }

    value->data = arg->data + len;
    value->len = arg->len - len;

    return 1;
}


char *
ngx_http_klaviyo_arg_msec(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    ngx_msec_t *msec)
{
    ngx_int_t  n;

    n = ngx_parse_time(value, 0);

    if (n == NGX_ERROR || n == 0) {
        return ngx_http_klaviyo_arg_invalid(cf, arg);
    }

    *msec = n;

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_arg_size(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    size_t min, size_t max, size_t *size)
{
    off_t  n;

    n = ngx_parse_offset(value);

    if (n == NGX_ERROR) {
        return ngx_http_klaviyo_arg_invalid(cf, arg);
    }

    if ((size_t) n < min || (size_t) n > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": it must be %uz to %uz bytes",
                           arg, min, max);
        return NGX_CONF_ERROR;
    }

    *size = n;

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_arg_invalid(ngx_conf_t *cf, ngx_str_t *arg)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"", arg);

    return NGX_CONF_ERROR;
}

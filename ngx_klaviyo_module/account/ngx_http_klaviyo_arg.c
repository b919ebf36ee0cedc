/*
 * Lines of a block, and their name=value arguments.
 */


#include "ngx_http_klaviyo_arg.h"


static char *ngx_http_klaviyo_args_unknown(ngx_conf_t *cf,
    ngx_http_klaviyo_arg_t *args, ngx_str_t *value);
static char *ngx_http_klaviyo_arg_time(ngx_conf_t *cf, ngx_str_t *arg);


char *
ngx_http_klaviyo_settings(ngx_conf_t *cf, const char *block,
    ngx_http_klaviyo_setting_t *settings, void *conf)
{
    char                        *rv;
    ngx_str_t                   *value;
    ngx_uint_t                   n;
    ngx_http_klaviyo_setting_t  *setting;

    value = cf->args->elts;
    n = cf->args->nelts - 1;

    for (setting = settings; setting->name.len; setting++) {

        if (setting->name.len != value[0].len
            || ngx_strncmp(setting->name.data, value[0].data, value[0].len)
               != 0)
        {
            continue;
        }

        if (n < setting->min || n > setting->max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of arguments in \"%V\" of %s",
                               &value[0], block);
            return NGX_CONF_ERROR;
        }

        rv = setting->args
             ? ngx_http_klaviyo_args(cf, conf, setting->args, &value[1], n)
             : setting->set(cf, conf, &value[1], n);

        if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR) {
            return rv;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" of %s %s",
                           &value[0], block, rv);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "unknown setting \"%V\" in %s",
                       &value[0], block);

    return NGX_CONF_ERROR;
}


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
ngx_http_klaviyo_args(ngx_conf_t *cf, void *conf,
    ngx_http_klaviyo_arg_t *args, ngx_str_t *value, ngx_uint_t n)
{
    char                    *rv, *field;
    ngx_str_t                s;
    ngx_uint_t               i;
    ngx_http_klaviyo_arg_t  *arg;

    for (i = 0; i < n; i++) {

        for (arg = args; arg->name; arg++) {
            if (ngx_http_klaviyo_arg(&value[i], arg->name, &s)) {
                break;
            }
        }

        if (arg->name == NULL) {
            return ngx_http_klaviyo_args_unknown(cf, args, &value[i]);
        }

        field = (char *) conf + arg->offset;

        rv = arg->set(cf, &value[i], &s, field);

        if (rv == NGX_CONF_OK) {
            continue;
        }

        if (rv != NGX_CONF_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "parameter \"%V\" %s",
                               &value[i], rv);
        }

        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_args_unknown(ngx_conf_t *cf, ngx_http_klaviyo_arg_t *args,
    ngx_str_t *value)
{
    u_char                  *p, *last, known[128];
    const char              *before;
    ngx_http_klaviyo_arg_t  *arg;

    p = known;
    last = known + sizeof(known);

    for (arg = args; arg->name; arg++) {
        before = (arg == args) ? "" : arg[1].name ? ", " : " or ";
        p = ngx_slprintf(p, last, "%s\"%s\"", before, arg->name);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": expected %*s",
                       value, (size_t) (p - known), known);

    return NGX_CONF_ERROR;
}


char *
ngx_http_klaviyo_arg_events(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    ngx_uint_t *events = field;

    ngx_int_t  n;

    if (*events != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": Klaviyo takes 1 to "
                           "1000 events in a request", arg);
        return NGX_CONF_ERROR;
    }

    *events = n;

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_arg_bytes(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    size_t *bytes = field;

    if (*bytes != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    return ngx_http_klaviyo_arg_size(cf, arg, value, 1024, 4500000, bytes);
}


char *
ngx_http_klaviyo_arg_msec(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    ngx_msec_t *msec = field;

    ngx_int_t  n;

    if (*msec != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    n = ngx_parse_time(value, 0);

    if (n == NGX_ERROR || n == 0) {
        return ngx_http_klaviyo_arg_time(cf, arg);
    }

    *msec = n;

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_arg_sec(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    time_t *sec = field;

    ngx_int_t  n;

    if (*sec != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    n = ngx_parse_time(value, 1);

    if (n == NGX_ERROR || n == 0) {
        return ngx_http_klaviyo_arg_time(cf, arg);
    }

    *sec = n;

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_arg_size(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    size_t min, size_t max, size_t *size)
{
    off_t  n;

    n = ngx_parse_offset(value);

    if (n == NGX_ERROR || (size_t) n < min || (size_t) n > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": it must be %uz to %uz "
                           "bytes, \"k\", \"m\" and \"g\" multiply",
                           arg, min, max);
        return NGX_CONF_ERROR;
    }

    *size = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_arg_time(ngx_conf_t *cf, ngx_str_t *arg)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\": it must be a time above 0, "
                       "like \"5s\" or \"2h\"", arg);

    return NGX_CONF_ERROR;
}

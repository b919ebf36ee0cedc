#ifndef NGX_HTTP_KLAVIYO_ARG_H
#define NGX_HTTP_KLAVIYO_ARG_H


#include "ngx_http_klaviyo_setting.h"


/* 1: the argument begins with `name`, which ends in "="; the value behind it */
ngx_uint_t ngx_http_klaviyo_arg(ngx_str_t *arg, const char *name,
    ngx_str_t *value);

/* NGX_CONF_ERROR is already logged */
char *ngx_http_klaviyo_args(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_http_klaviyo_arg_t *args,
    ngx_str_t *value, ngx_uint_t n);
char *ngx_http_klaviyo_arg_events(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
char *ngx_http_klaviyo_arg_bytes(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
char *ngx_http_klaviyo_arg_msec(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
char *ngx_http_klaviyo_arg_sec(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
char *ngx_http_klaviyo_arg_size(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, size_t min, size_t max, size_t *size);


#endif /* NGX_HTTP_KLAVIYO_ARG_H */

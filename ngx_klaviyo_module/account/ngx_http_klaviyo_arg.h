/*
 * The lines of a block, read by a typed table: those of klaviyo_account, and of
 * klaviyo_fleet in the other module.
 */


#ifndef NGX_HTTP_KLAVIYO_ARG_H
#define NGX_HTTP_KLAVIYO_ARG_H


#include <ngx_config.h>
#include <ngx_core.h>


/* name=value arguments, and what reads each into the block's configuration */

typedef struct {
    const char               *name;      /* ends in "="; NULL: the end        */
    char                   *(*set)(ngx_conf_t *cf, ngx_str_t *arg,
                                  ngx_str_t *value, void *field);
    size_t                    offset;
} ngx_http_klaviyo_arg_t;


/* a line of a block; a string that `set` returns goes on "NAME of BLOCK " */

typedef struct ngx_http_klaviyo_setting_s {
    ngx_str_t                 name;      /* empty: the end                    */
    ngx_uint_t                min;       /* arguments                         */
    ngx_uint_t                max;
    char                   *(*set)(ngx_conf_t *cf, void *conf,
                                  ngx_str_t *value, ngx_uint_t n);
    ngx_http_klaviyo_arg_t   *args;      /* in place of `set`: name=value
                                            alone                             */
} ngx_http_klaviyo_setting_t;


/* the line in cf->args by the table of its block */
char *ngx_http_klaviyo_settings(ngx_conf_t *cf, const char *block,
    ngx_http_klaviyo_setting_t *settings, void *conf);

/* 1: the argument begins with `name`, which ends in "="; the value behind it */
ngx_uint_t ngx_http_klaviyo_arg(ngx_str_t *arg, const char *name,
    ngx_str_t *value);

/* NGX_CONF_ERROR is already logged */
char *ngx_http_klaviyo_args(ngx_conf_t *cf, void *conf,
    ngx_http_klaviyo_arg_t *args, ngx_str_t *value, ngx_uint_t n);
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

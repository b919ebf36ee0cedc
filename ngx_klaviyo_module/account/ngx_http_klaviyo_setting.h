/*
 * The settings inside klaviyo_account { }: one line each, read into the
 * account.  Private to this room.
 */


#ifndef NGX_HTTP_KLAVIYO_SETTING_H
#define NGX_HTTP_KLAVIYO_SETTING_H


#include "ngx_http_klaviyo_account.h"


/* the handler of the block's lines; `conf` is the account */
char *ngx_http_klaviyo_setting(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* api_key_file and api_key: NGX_CONF_ERROR is already logged */
char *ngx_http_klaviyo_key_file(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value);
char *ngx_http_klaviyo_key(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value);

/* endpoint and proxy, set as lines of the block are */
char *ngx_http_klaviyo_endpoint(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_klaviyo_proxy(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value, ngx_uint_t n);


#endif /* NGX_HTTP_KLAVIYO_SETTING_H */

#ifndef NGX_HTTP_KLAVIYO_WEBHOOK_CONF_H
#define NGX_HTTP_KLAVIYO_WEBHOOK_CONF_H


#include "ngx_http_klaviyo_webhook.h"


/* the directive klaviyo_webhook; `conf` is the location's configuration */
char *ngx_http_klaviyo_webhook(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Merging; `account` is what klaviyo_account_default says of the location,
 * empty where it says nothing.  NGX_CONF_ERROR is already logged.
 */
char *ngx_http_klaviyo_webhook_merge(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_location_t *prev,
    ngx_http_klaviyo_location_t *conf, ngx_str_t *account);


#endif /* NGX_HTTP_KLAVIYO_WEBHOOK_CONF_H */

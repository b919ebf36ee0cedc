/*
 * klaviyo_pass: a gateway to any endpoint of Klaviyo's API, with the
 * account's key.
 *
 * Any worker runs it, on connections of its own: what becomes of a request
 * here does not hold up the delivery of events.
 *
 * Room gateway.  May include: nginx, account, queue, and of delivery the
 * transport and the report.
 */


#ifndef NGX_HTTP_KLAVIYO_PASS_H
#define NGX_HTTP_KLAVIYO_PASS_H


#include "account/ngx_http_klaviyo_account.h"


/* the directive klaviyo_pass; `conf` is the location's configuration */
char *ngx_http_klaviyo_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* post handlers of klaviyo_pass_timeout and klaviyo_pass_connections */
extern ngx_conf_post_t  ngx_http_klaviyo_pass_timeout_post;
extern ngx_conf_num_bounds_t  ngx_http_klaviyo_pass_connections_bounds;

/* what the location's configuration is before it is read */
void ngx_http_klaviyo_pass_unset(ngx_http_klaviyo_location_t *conf);

/*
 * Merging; `account` is what klaviyo_account_default says of the location,
 * empty where it says nothing.  NGX_CONF_ERROR is already logged.
 */
char *ngx_http_klaviyo_pass_merge(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_location_t *prev,
    ngx_http_klaviyo_location_t *conf, ngx_str_t *account);


#endif /* NGX_HTTP_KLAVIYO_PASS_H */

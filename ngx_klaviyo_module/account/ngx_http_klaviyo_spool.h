#ifndef NGX_HTTP_KLAVIYO_SPOOL_H
#define NGX_HTTP_KLAVIYO_SPOOL_H


#include "ngx_http_klaviyo_account.h"


/* what klaviyo_spool_open() asks for; NGX_ERROR: HMAC failed */
ngx_int_t ngx_http_klaviyo_spool_conf(ngx_http_klaviyo_account_t *account,
    klaviyo_spool_conf_t *conf);

/* spool and dead_letter, as lines of the block */
char *ngx_http_klaviyo_spool(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
char *ngx_http_klaviyo_dead_letter(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);

/* their defaults; NGX_ERROR: no memory */
ngx_int_t ngx_http_klaviyo_spool_init(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account);

/*
 * As the user of the workers: makes what is missing of both, but for account->
 * missing, and checks the rest.  With `nginx -t` it makes directories only,
 * which the caller removes.  NGX_ERROR is already logged.
 */
ngx_int_t ngx_http_klaviyo_spool_check(ngx_log_t *log,
    ngx_http_klaviyo_account_t *account);


#endif /* NGX_HTTP_KLAVIYO_SPOOL_H */

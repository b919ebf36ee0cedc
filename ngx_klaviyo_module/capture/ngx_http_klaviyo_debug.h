/*
 * klaviyo_debug: a visitor who is allowed to sees in the answer what would be
 * captured, and the visitor's events go to an account for tests.
 */


#ifndef NGX_HTTP_KLAVIYO_DEBUG_H
#define NGX_HTTP_KLAVIYO_DEBUG_H


#include "ngx_http_klaviyo_context.h"


/* 1: this visitor is allowed to */
ngx_uint_t ngx_http_klaviyo_debug_is(ngx_http_request_t *r,
    ngx_http_klaviyo_debug_t *debug);

/* the account for this request's events; NULL: the rule's own */
ngx_http_klaviyo_account_t *ngx_http_klaviyo_debug_account(
    ngx_http_request_t *r, ngx_http_klaviyo_loc_conf_t *conf);

/* finds the account when levels are merged */
char *ngx_http_klaviyo_debug_merge(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *prev,
    ngx_http_klaviyo_loc_conf_t *conf);

/* directive: klaviyo_debug */
char *ngx_http_klaviyo_debug(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* NGX_HTTP_KLAVIYO_DEBUG_H */

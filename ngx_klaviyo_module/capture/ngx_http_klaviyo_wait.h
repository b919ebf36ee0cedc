/*
 * Private to capture/: events that wait for their visitor, when the account
 * holds such.  Two kinds, see queue/klaviyo_hold.h:
 *
 *     nobody is known, but Klaviyo's cookie names the browser: the event
 *     waits for an identity that the same browser shows
 *
 *     klaviyo_skip scanner: a _kx of the query is all that is known, and no
 *     cookie of Klaviyo's: the event waits for the same exchange id in one
 */


#ifndef NGX_HTTP_KLAVIYO_WAIT_H
#define NGX_HTTP_KLAVIYO_WAIT_H


#include "ngx_http_klaviyo_values.h"


/*
 * Sets ctx->wait: the key under which the event has to wait, empty when it
 * goes.  Of an event that goes, others are told what it knows.  NGX_OK, or
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_wait(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_ctx_t *ctx);

/* lets the event wait under ctx->wait; gives "held", or why it does not */
const char *ngx_http_klaviyo_wait_event(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_account_t *account,
    klaviyo_event_t *event);

/* NGX_ERROR, already logged: klaviyo_skip scanner in an account without hold */
ngx_int_t ngx_http_klaviyo_wait_check(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *conf);

/* the zones of accounts that hold events; in postconfiguration */
ngx_int_t ngx_http_klaviyo_wait_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_WAIT_H */

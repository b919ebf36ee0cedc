#ifndef NGX_HTTP_KLAVIYO_ID_H
#define NGX_HTTP_KLAVIYO_ID_H


#include "ngx_http_klaviyo_capture.h"
#include "ngx_http_klaviyo_context.h"


/* in each worker: seeds the generator of event ids */
ngx_int_t ngx_http_klaviyo_id_init_process(ngx_cycle_t *cycle);

/*
 * The unique_id of a rule's event: what was told of it, else the rule's own
 * one, else a new one.  *bad is set when the rule's own one is none.
 */
ngx_int_t ngx_http_klaviyo_unique_id(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_template_t *template,
    ngx_str_t *id, ngx_uint_t *bad);

/*
 * The rule's own unique_id; empty: it has none, or a bad one, and then *bad is
 * set.
 */
ngx_int_t ngx_http_klaviyo_own_id(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_template_t *template,
    ngx_str_t *id, ngx_uint_t *bad);

/* an identifier like no other, NGX_HTTP_KLAVIYO_ID_LEN bytes */
ngx_int_t ngx_http_klaviyo_mint(u_char *id);


#endif /* NGX_HTTP_KLAVIYO_ID_H */

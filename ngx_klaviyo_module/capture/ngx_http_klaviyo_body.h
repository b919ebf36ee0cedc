#ifndef NGX_HTTP_KLAVIYO_BODY_H
#define NGX_HTTP_KLAVIYO_BODY_H


#include "ngx_http_klaviyo_context.h"


/*
 * 1: the body is not in memory, or not what it was before it was compressed,
 * and klaviyo_request_body is on here, or a value was asked of it
 */
ngx_uint_t ngx_http_klaviyo_body_missing(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx);

/* 1: $request_body is a part of this text of the configuration */
ngx_uint_t ngx_http_klaviyo_body_named(ngx_str_t *text);

/* the counter of the source that could not be read, ctx->unread */
klaviyo_counter_e ngx_http_klaviyo_body_source(ngx_http_klaviyo_ctx_t *ctx);

/* counts, and says once a minute, what of the request could not be read */
void ngx_http_klaviyo_body_unread(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, klaviyo_ring_t *ring);

/*
 * Has the body read where klaviyo_request_body is on, from within the rewrite
 * phase: NGX_DECLINED goes on, all else ends this pass.
 */
ngx_int_t ngx_http_klaviyo_body_read(ngx_http_request_t *r);


#endif /* NGX_HTTP_KLAVIYO_BODY_H */

#ifndef NGX_HTTP_KLAVIYO_SENDER_STATE_H
#define NGX_HTTP_KLAVIYO_SENDER_STATE_H


#include "ngx_http_klaviyo_sender_private.h"


/* 1: it goes to the endpoint that takes one */
ngx_uint_t ngx_http_klaviyo_sender_single(ngx_http_klaviyo_sender_t *sender,
    klaviyo_request_t *request);

/*
 * Pause and limiter into the ring: NGX_OK, NGX_BUSY (again later),
 * NGX_DECLINED (the lease is lost).
 */
ngx_int_t ngx_http_klaviyo_sender_save(ngx_http_klaviyo_sender_t *sender);

void ngx_http_klaviyo_sender_no_memory(ngx_http_klaviyo_sender_t *sender);


#endif /* NGX_HTTP_KLAVIYO_SENDER_STATE_H */

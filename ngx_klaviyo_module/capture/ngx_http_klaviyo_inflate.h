/*
 * Private to capture/: request bodies that came with "Content-Encoding: gzip".
 */


#ifndef NGX_HTTP_KLAVIYO_INFLATE_H
#define NGX_HTTP_KLAVIYO_INFLATE_H


#include "ngx_http_klaviyo_context.h"


/*
 * Text that is gzip becomes what it holds, in r->pool and within
 * client_body_buffer_size; any other is left as it is.  NGX_DECLINED, with
 * the context's `deflated` set and no text: it is damaged, or too much;
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_inflate(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_str_t *text);


#endif /* NGX_HTTP_KLAVIYO_INFLATE_H */

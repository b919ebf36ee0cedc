#ifndef NGX_HTTP_KLAVIYO_PASS_CALL_H
#define NGX_HTTP_KLAVIYO_PASS_CALL_H


#include "ngx_http_klaviyo_pass_private.h"


/* a URI's path and, behind a "?", its arguments; returns how many these are */
ngx_uint_t ngx_http_klaviyo_pass_split(ngx_str_t *uri,
    klaviyo_path_piece_t *pieces);

/*
 * What is asked, from the request's line and headers: NGX_OK, or the status
 * to answer with.  The body comes later, and is counted then.
 */
ngx_int_t ngx_http_klaviyo_pass_call(ngx_http_klaviyo_pass_ctx_t *ctx);
void ngx_http_klaviyo_pass_call_body(ngx_http_klaviyo_pass_ctx_t *ctx);

/* before a try: the body is read from its beginning */
void ngx_http_klaviyo_pass_call_rewind(ngx_http_klaviyo_pass_ctx_t *ctx);

/* the transport's handler */
ssize_t ngx_http_klaviyo_pass_call_read(void *data, u_char *p, size_t size);


#endif /* NGX_HTTP_KLAVIYO_PASS_CALL_H */

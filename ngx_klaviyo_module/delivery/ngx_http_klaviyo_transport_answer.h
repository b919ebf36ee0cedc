#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_ANSWER_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_ANSWER_H


#include "ngx_http_klaviyo_transport.h"


/*
 * Starts a POST of a JSON:API body to `path` ("/api/events") and returns at
 * once; the handler is called later, exactly once, never from within this
 * call.  The body is the caller's and stays until then.  NGX_OK, or
 * NGX_ERROR (already logged): the handler will not be called.
 */
ngx_int_t ngx_http_klaviyo_transport_post(
    ngx_http_klaviyo_transport_t *transport, const char *path,
    const u_char *body, size_t len, ngx_http_klaviyo_answer_pt handler,
    void *data);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_ANSWER_H */

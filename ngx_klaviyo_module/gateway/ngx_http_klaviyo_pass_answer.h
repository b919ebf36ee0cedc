#ifndef NGX_HTTP_KLAVIYO_PASS_ANSWER_H
#define NGX_HTTP_KLAVIYO_PASS_ANSWER_H


#include "ngx_http_klaviyo_pass_private.h"


extern const ngx_http_klaviyo_handlers_t  ngx_http_klaviyo_pass_handlers;

ngx_http_klaviyo_pass_answer_t *ngx_http_klaviyo_pass_answer_create(
    ngx_http_klaviyo_pass_ctx_t *ctx);
void ngx_http_klaviyo_pass_answer_free(ngx_http_klaviyo_pass_ctx_t *ctx,
    ngx_http_klaviyo_pass_answer_t **answer);

/* headers_out of the request, from the answer */
ngx_int_t ngx_http_klaviyo_pass_answer_head(ngx_http_klaviyo_pass_ctx_t *ctx);

/* 1: libcurl's next piece fits in the buffers */
ngx_uint_t ngx_http_klaviyo_pass_answer_room(
    ngx_http_klaviyo_pass_ctx_t *ctx);


#endif /* NGX_HTTP_KLAVIYO_PASS_ANSWER_H */

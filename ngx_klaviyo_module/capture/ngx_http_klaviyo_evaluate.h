#ifndef NGX_HTTP_KLAVIYO_EVALUATE_H
#define NGX_HTTP_KLAVIYO_EVALUATE_H


#include "ngx_http_klaviyo_values.h"


/*
 * Fills the values from the request, the template and the ring in them.
 * NGX_OK, with `size` the most bytes that the event can have; NGX_DECLINED
 * with the reason; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_evaluate(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_ctx_t *ctx, klaviyo_counter_e *reason);

/* the same of the profile alone, and without what a visitor claims */
ngx_int_t ngx_http_klaviyo_evaluate_profile(ngx_http_klaviyo_values_t *values,
    klaviyo_counter_e *reason);


#endif /* NGX_HTTP_KLAVIYO_EVALUATE_H */

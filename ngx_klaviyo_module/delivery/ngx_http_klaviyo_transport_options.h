#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_OPTIONS_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_OPTIONS_H


#include "ngx_http_klaviyo_transport_private.h"


/* NUL-terminated; NULL: no memory */
char *ngx_http_klaviyo_transport_string(ngx_pool_t *pool, const char *prefix,
    ngx_str_t *value);

/* makes the easy handle with all its options; NGX_ERROR: not logged */
ngx_int_t ngx_http_klaviyo_transport_setup(
    ngx_http_klaviyo_exchange_t *exchange, ngx_http_klaviyo_call_t *call);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_OPTIONS_H */

#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_CALLBACK_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_CALLBACK_H


#include "ngx_http_klaviyo_transport_private.h"


/* sets the options that lead to the handlers */
ngx_int_t ngx_http_klaviyo_transport_callbacks(
    ngx_http_klaviyo_exchange_t *exchange);

/* why it ended: NULL, or text that is the exchange's */
const char *ngx_http_klaviyo_transport_why(
    ngx_http_klaviyo_exchange_t *exchange, CURLcode rc);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_CALLBACK_H */

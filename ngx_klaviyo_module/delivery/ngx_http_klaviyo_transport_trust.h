#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_TRUST_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_TRUST_H


#include "ngx_http_klaviyo_transport_private.h"


/* in a worker, before its loop begins: reads what the accounts trust */
void ngx_http_klaviyo_transport_trust_init(ngx_cycle_t *cycle);
void ngx_http_klaviyo_transport_trust_exit(ngx_cycle_t *cycle);

/* sets the options that say what is trusted */
ngx_int_t ngx_http_klaviyo_transport_trust(
    ngx_http_klaviyo_exchange_t *exchange);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_TRUST_H */

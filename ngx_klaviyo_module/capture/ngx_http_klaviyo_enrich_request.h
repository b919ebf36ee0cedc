#ifndef NGX_HTTP_KLAVIYO_ENRICH_REQUEST_H
#define NGX_HTTP_KLAVIYO_ENRICH_REQUEST_H


#include "ngx_http_klaviyo_enrich.h"


/* makes the subrequest */
void ngx_http_klaviyo_enrich_fire(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_enrich_t *enrich);

/* of a subrequest that klaviyo_enrich made; NULL: of any other request */
ngx_http_klaviyo_enrichment_t *ngx_http_klaviyo_enrich_own(
    ngx_http_request_t *r);

/* the outcome is known, and what still comes of it is passed over */
void ngx_http_klaviyo_enrich_leave(ngx_http_klaviyo_enrichment_t *enrichment,
    klaviyo_counter_e outcome);


#endif /* NGX_HTTP_KLAVIYO_ENRICH_REQUEST_H */

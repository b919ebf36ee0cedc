#ifndef NGX_HTTP_KLAVIYO_ENRICH_ANSWER_H
#define NGX_HTTP_KLAVIYO_ENRICH_ANSWER_H


#include "ngx_http_klaviyo_enrich.h"


/* the header of its answer: NGX_OK, or NGX_ERROR when it ends with that */
ngx_int_t ngx_http_klaviyo_enrich_header(ngx_http_request_t *sr,
    ngx_http_klaviyo_enrichment_t *enrichment);

/* takes all bytes of the chain */
void ngx_http_klaviyo_enrich_body(ngx_http_request_t *sr,
    ngx_http_klaviyo_enrichment_t *enrichment, ngx_chain_t *in);

/* once in the log phase, before the rules: reads the answer */
void ngx_http_klaviyo_enrich_read(ngx_http_klaviyo_enrichment_t *enrichment);

/* once behind the rules: counts what became of it */
void ngx_http_klaviyo_enrich_count(ngx_http_klaviyo_enrichment_t *enrichment,
    klaviyo_ring_t *ring);


#endif /* NGX_HTTP_KLAVIYO_ENRICH_ANSWER_H */

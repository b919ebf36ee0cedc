/*
 * Private to capture/: klaviyo_response_header, events that the application
 * names in a header of its answer.
 */


#ifndef NGX_HTTP_KLAVIYO_HEADER_H
#define NGX_HTTP_KLAVIYO_HEADER_H


#include "ngx_http_klaviyo_context.h"
#include "json/klaviyo_named.h"


#define NGX_HTTP_KLAVIYO_NAMED_MAX  100      /* events of one request        */


/* in the log phase, after the tracks: the events of the header's values */
void ngx_http_klaviyo_header_capture(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);

/* the same for klaviyo_track_json: the events of the rule's variable */
void ngx_http_klaviyo_header_variable(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);

/*
 * The rule of one named event: that of the location, where what the
 * application names takes the place of what has its name.  In r->pool.
 */
ngx_int_t ngx_http_klaviyo_named_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule, klaviyo_named_t *named,
    ngx_http_klaviyo_rule_t *result);

/*
 * The rule with what klaviyo_enrich brought, which takes the place of all but
 * what the track's own block says.  In r->pool.
 */
ngx_int_t ngx_http_klaviyo_named_merge(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule, klaviyo_named_t *named,
    ngx_http_klaviyo_rule_t *result);


#endif /* NGX_HTTP_KLAVIYO_HEADER_H */

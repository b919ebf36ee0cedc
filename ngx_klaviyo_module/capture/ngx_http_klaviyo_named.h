/*
 * Private to capture/: what the application says in JSON, on its way into a
 * template.
 */


#ifndef NGX_HTTP_KLAVIYO_NAMED_H
#define NGX_HTTP_KLAVIYO_NAMED_H


#include "ngx_http_klaviyo_template.h"
#include "json/klaviyo_named.h"


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


#endif /* NGX_HTTP_KLAVIYO_NAMED_H */

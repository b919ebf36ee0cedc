#ifndef NGX_HTTP_KLAVIYO_DEFAULTS_H
#define NGX_HTTP_KLAVIYO_DEFAULTS_H


#include "ngx_http_klaviyo_template.h"


/* ends in an empty name */
extern ngx_http_klaviyo_default_t  ngx_http_klaviyo_defaults[];

/*
 * The utm_* arguments of the client's request that no property replaces, at
 * most NGX_HTTP_KLAVIYO_UTM_MAX; *n is set.  They live in r->pool.  NGX_DONE:
 * there are more.
 */
ngx_int_t ngx_http_klaviyo_utm(ngx_http_request_t *r, ngx_array_t *properties,
    ngx_http_klaviyo_utm_t **utm, ngx_uint_t *n);


#endif /* NGX_HTTP_KLAVIYO_DEFAULTS_H */

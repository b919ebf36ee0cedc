/*
 * Private to capture/: klaviyo_attribution, the campaigns that a visitor
 * came by: the first one and the last one, in one cookie of the site's own.
 */


#ifndef NGX_HTTP_KLAVIYO_ATTRIBUTION_H
#define NGX_HTTP_KLAVIYO_ATTRIBUTION_H


#include "ngx_http_klaviyo_template.h"


/*
 * Puts `first_utm_source`, `last_gclid` and the like behind the *n arguments
 * of *utm, but for those that a property of the template replaces, and counts
 * what is left out of a campaign.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_attribution_add(ngx_http_request_t *r,
    klaviyo_ring_t *ring, ngx_http_klaviyo_template_t *template,
    ngx_http_klaviyo_utm_t **utm, ngx_uint_t *n);

/* directive: klaviyo_attribution; and its filter, in postconfiguration */
char *ngx_http_klaviyo_attribution(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_klaviyo_attribution_init(ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_ATTRIBUTION_H */

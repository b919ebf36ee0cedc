/*
 * Private to capture/, between _named.c and _merge.c: what the application
 * says, on its way into a template.
 */


#ifndef NGX_HTTP_KLAVIYO_NAMED_H
#define NGX_HTTP_KLAVIYO_NAMED_H


#include "ngx_http_klaviyo_header.h"


/* what is known of a member of `profile` or `properties` */

typedef struct {
    ngx_str_t                    name;        /* decoded                    */
    klaviyo_slice_t              json;        /* the name, with its quotes  */
    klaviyo_slice_t              value;
    ngx_http_klaviyo_known_t    *known;
    ngx_http_klaviyo_section_e   section;     /* _SECTIONS: left out        */
    unsigned                     legacy:1;    /* by a name of old           */
} ngx_http_klaviyo_named_t;


/* leaves out of the fields what the track's own block says */
ngx_int_t ngx_http_klaviyo_merge_fields(ngx_http_request_t *r,
    ngx_http_klaviyo_template_t *base, ngx_array_t *fields);

/* what beside the fields the track's own block leaves open */
ngx_int_t ngx_http_klaviyo_merge_rest(ngx_http_request_t *r,
    klaviyo_named_t *named, ngx_http_klaviyo_template_t *template);

/* puts a member, METRIC to BACKFILL, into the template */
ngx_int_t ngx_http_klaviyo_named_member(ngx_http_request_t *r,
    klaviyo_named_t *named, ngx_http_klaviyo_template_t *template,
    ngx_uint_t i);


#endif /* NGX_HTTP_KLAVIYO_NAMED_H */

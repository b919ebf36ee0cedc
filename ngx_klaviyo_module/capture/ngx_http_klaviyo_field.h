#ifndef NGX_HTTP_KLAVIYO_FIELD_H
#define NGX_HTTP_KLAVIYO_FIELD_H


#include "ngx_http_klaviyo_capture.h"
#include "ngx_http_klaviyo_template.h"


/* directives: klaviyo_profile, klaviyo_property */
char *ngx_http_klaviyo_field(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* adds the directive in cf->args, which has 3 to 5 words, to *fields */
char *ngx_http_klaviyo_field_add(ngx_conf_t *cf, ngx_array_t **fields,
    ngx_uint_t profile);

/*
 * Both levels by name and by what is done to it, the inner one wins.  An empty
 * value stays in the list as the mark of what is removed.  Either may be NULL;
 * gives NGX_CONF_ERROR without memory.
 */
ngx_array_t *ngx_http_klaviyo_field_merge(ngx_conf_t *cf, ngx_array_t *outer,
    ngx_array_t *inner);

ngx_http_klaviyo_field_t *ngx_http_klaviyo_field_find(ngx_array_t *fields,
    ngx_str_t *name);

/* NULL: a custom property of the profile */
ngx_http_klaviyo_known_t *ngx_http_klaviyo_field_known(ngx_str_t *name);

/* the field by its name in Klaviyo's API of old, as in `$email`; or NULL */
ngx_http_klaviyo_known_t *ngx_http_klaviyo_field_legacy(ngx_str_t *name);


#endif /* NGX_HTTP_KLAVIYO_FIELD_H */

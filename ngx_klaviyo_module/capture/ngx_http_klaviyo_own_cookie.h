/*
 * Private to capture/: cookies that the module sets itself, first-party ones
 * that no script can read.
 */


#ifndef NGX_HTTP_KLAVIYO_OWN_COOKIE_H
#define NGX_HTTP_KLAVIYO_OWN_COOKIE_H


#include "ngx_http_klaviyo_capture.h"


/*
 * The cookie of a directive: its name, and how many days browsers keep it.
 * NULL: no memory, or an error that is logged.
 */
ngx_http_klaviyo_own_cookie_t *ngx_http_klaviyo_own_cookie(ngx_conf_t *cf,
    ngx_str_t *name, ngx_str_t *days);

/*
 * Adds a Set-Cookie.  Each byte of the value must be one that may stand in a
 * cookie.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_own_cookie_set(ngx_http_request_t *r,
    ngx_http_klaviyo_own_cookie_t *cookie, ngx_str_t *value);


#endif /* NGX_HTTP_KLAVIYO_OWN_COOKIE_H */

/*
 * Private to capture/: a cookie of the request, in every nginx.
 */


#ifndef NGX_HTTP_KLAVIYO_COOKIE_H
#define NGX_HTTP_KLAVIYO_COOKIE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * The first cookie of this name, case-sensitive as names of cookies are,
 * without blanks around it: NGX_OK with a value that may be empty and points
 * into the request's header, or NGX_DECLINED.
 */
ngx_int_t ngx_http_klaviyo_cookie(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);


#endif /* NGX_HTTP_KLAVIYO_COOKIE_H */

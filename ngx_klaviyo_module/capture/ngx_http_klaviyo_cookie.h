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

/*
 * The cookie that nginx's $cookie_<name> gives: NGX_OK; NGX_DECLINED: there
 * is none; NGX_ABORT: nginx has to be asked.  The name is in lower case.
 */
ngx_int_t ngx_http_klaviyo_cookie_named(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);

/* 1: __kla_off=true is among the cookies */
ngx_uint_t ngx_http_klaviyo_cookie_off(ngx_http_request_t *r);


#endif /* NGX_HTTP_KLAVIYO_COOKIE_H */

/*
 * Private to capture/: URLs and their arguments, and the arguments that say
 * who the visitor is: _kx, _ke and utm_email.  No URL that is kept or handed
 * on carries them, under each way to write their names.
 */


#ifndef NGX_HTTP_KLAVIYO_URL_H
#define NGX_HTTP_KLAVIYO_URL_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef enum {
    NGX_HTTP_KLAVIYO_ARG_KX = 0,
    NGX_HTTP_KLAVIYO_ARG_KE,
    NGX_HTTP_KLAVIYO_ARG_EMAIL,
    NGX_HTTP_KLAVIYO_ARG_N
} ngx_http_klaviyo_arg_e;


/* both parts without a fragment; 0: there is no `?`, and no args */
ngx_uint_t ngx_http_klaviyo_url_split(ngx_str_t *url, ngx_str_t *path,
    ngx_str_t *args);

/* the end of the argument at p, and of its name */
u_char *ngx_http_klaviyo_url_arg(u_char *p, u_char *last, u_char **equal);

/* one byte of percent-encoded text; what is no encoding is itself */
u_char *ngx_http_klaviyo_url_decode(u_char *p, u_char *last, u_char *ch);

/*
 * Copies a URL, or bare arguments, without identities and without a fragment
 * to dst, which has room for all of it.  Gives the end of the copy.  With
 * `nested` an argument goes whose value is a URL that holds one: for what is
 * stored; an application may need it.
 */
u_char *ngx_http_klaviyo_url_strip(u_char *dst, ngx_str_t *url,
    ngx_uint_t nested);
u_char *ngx_http_klaviyo_url_strip_args(u_char *dst, ngx_str_t *args,
    ngx_uint_t nested);

/*
 * The first value of each argument that says who the visitor is, as it is
 * written; a length of 0: there is none.
 */
void ngx_http_klaviyo_url_identity(ngx_str_t *url, ngx_str_t *value);

/* $klaviyo_uri and $klaviyo_args; data: 1 for the latter */
ngx_int_t ngx_http_klaviyo_url_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


#endif /* NGX_HTTP_KLAVIYO_URL_H */

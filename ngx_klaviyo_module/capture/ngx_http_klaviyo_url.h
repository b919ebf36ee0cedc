/*
 * URLs and their arguments, and the arguments that say who the visitor is:
 * _kx, _ke and utm_email.  No URL that is kept or handed
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


#define NGX_HTTP_KLAVIYO_ARGS  16


typedef struct {
    u_char                  *start;
    u_char                  *equal;            /* or the end                */
    u_char                  *end;
    int                      kind;             /* ngx_http_klaviyo_arg_e, or
                                                  NGX_DECLINED              */
    int                      encoded;          /* 1: the value may hold a
                                                  URL                       */
} ngx_http_klaviyo_arg_t;


/* arguments that follow each other, up to `rest` */

typedef struct {
    ngx_http_klaviyo_arg_t   arg[NGX_HTTP_KLAVIYO_ARGS];
    ngx_uint_t               n;
    u_char                  *rest;
    u_char                  *last;
    unsigned                 known:1;          /* some say who it is        */
    unsigned                 encoded:1;        /* some are                  */
    unsigned                 utm:1;            /* some may be utm_*         */
} ngx_http_klaviyo_args_t;


struct ngx_http_klaviyo_url_s {
    ngx_str_t                text;
    ngx_str_t                path;             /* without a fragment        */
    ngx_http_klaviyo_args_t  args;
    unsigned                 question:1;       /* there is a `?`            */
};


typedef struct ngx_http_klaviyo_url_s  ngx_http_klaviyo_url_t;


/*
 * The client's own one, gone through once a request; NULL: no memory.  It is
 * the worker's: good until a variable of another request is asked for.
 */
ngx_http_klaviyo_url_t *ngx_http_klaviyo_url(ngx_http_request_t *r);

/*
 * The argument that nginx's $arg_<name> gives: NGX_OK; NGX_DECLINED: there is
 * none; NGX_ABORT: nginx has to be asked.  The name is in lower case.
 */
ngx_int_t ngx_http_klaviyo_url_arg(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);

/* the byte of the `%` at p */
u_char *ngx_http_klaviyo_url_decode_hex(u_char *p, u_char *last, u_char *ch);

/* what follows, gone through into *more; NULL: that was all */
ngx_http_klaviyo_args_t *ngx_http_klaviyo_url_more(
    ngx_http_klaviyo_args_t *args, ngx_http_klaviyo_args_t *more);

/* one byte of percent-encoded text; what is no encoding is itself */
static ngx_inline u_char *
ngx_http_klaviyo_url_decode(u_char *p, u_char *last, u_char *ch)
{
    if (*p == '%') {
        return ngx_http_klaviyo_url_decode_hex(p, last, ch);
    }

    *ch = *p;

    return p + 1;
}


/*
 * Copies a URL without identities and without a fragment to dst, which has
 * room for all of it.  Gives the end of the copy.  With `nested` an argument
 * goes whose value is a URL that holds one: for what is stored; an
 * application may need it.
 */
u_char *ngx_http_klaviyo_url_strip(u_char *dst, ngx_str_t *text,
    ngx_uint_t nested);

/* 1: that would copy this part of the URL, as it stands there */
ngx_uint_t ngx_http_klaviyo_url_plain(ngx_http_klaviyo_url_t *url,
    ngx_uint_t nested, ngx_str_t *text);

/* what is kept of a URL: a part of it or, where need be, a copy */
ngx_int_t ngx_http_klaviyo_url_kept(ngx_pool_t *pool, ngx_str_t *text,
    ngx_str_t *value);

u_char *ngx_http_klaviyo_url_copy(u_char *dst, ngx_http_klaviyo_url_t *url,
    ngx_uint_t nested);

/*
 * The first value of each argument that says who the visitor is, as it is
 * written; a length of 0: there is none.
 */
void ngx_http_klaviyo_url_identity(ngx_http_klaviyo_url_t *url,
    ngx_str_t *value);

/* $klaviyo_uri and $klaviyo_args; data: 1 for the latter */
ngx_int_t ngx_http_klaviyo_url_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


#endif /* NGX_HTTP_KLAVIYO_URL_H */

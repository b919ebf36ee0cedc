/*
 * URLs and their arguments, as the client wrote them.
 */


#include "ngx_http_klaviyo_url.h"


#define NGX_HTTP_KLAVIYO_ARG_MAX  (sizeof("utm_email") - 1)


static ngx_int_t ngx_http_klaviyo_url_name(u_char *p, u_char *last);
static ngx_int_t ngx_http_klaviyo_url_known(u_char *name, size_t len);
static ngx_uint_t ngx_http_klaviyo_url_nested(u_char *p, u_char *last);
static u_char *ngx_http_klaviyo_url_decode_all(u_char *p, u_char *last,
    u_char *ch);


/* in the order of ngx_http_klaviyo_arg_e */

static ngx_str_t  ngx_http_klaviyo_url_names[] = {
    ngx_string("_kx"),
    ngx_string("_ke"),
    ngx_string("utm_email")
};


ngx_uint_t
ngx_http_klaviyo_url_split(ngx_str_t *url, ngx_str_t *path, ngx_str_t *args)
{
    u_char  *p, *last;

    last = url->data + url->len;

    p = ngx_strlchr(url->data, last, '#');
    if (p) {
        last = p;
    }

    *path = *url;

    p = ngx_strlchr(url->data, last, '?');

    if (p == NULL) {
        path->len = last - url->data;
        return 0;
    }

    path->len = p - url->data;

    args->data = p + 1;
    args->len = last - args->data;

    return 1;
}


u_char *
ngx_http_klaviyo_url_arg(u_char *p, u_char *last, u_char **equal)
{
    u_char  *end;

    end = ngx_strlchr(p, last, '&');
    if (end == NULL) {
        end = last;
    }

    *equal = ngx_strlchr(p, end, '=');
    if (*equal == NULL) {
        *equal = end;
    }

    return end;
}


u_char *
ngx_http_klaviyo_url_decode(u_char *p, u_char *last, u_char *ch)
{
    ngx_int_t  n;

    if (*p == '%' && last - p > 2) {
        n = ngx_hextoi(p + 1, 2);

        if (n != NGX_ERROR) {
            *ch = (u_char) n;
            return p + 3;
        }
    }

    *ch = *p;

    return p + 1;
}


u_char *
ngx_http_klaviyo_url_strip(u_char *dst, ngx_str_t *url, ngx_uint_t nested)
{
    u_char     *mark;
    ngx_str_t   path, args;

    if (!ngx_http_klaviyo_url_split(url, &path, &args)) {
        return ngx_cpymem(dst, path.data, path.len);
    }

    mark = ngx_cpymem(dst, path.data, path.len);
    dst = ngx_http_klaviyo_url_strip_args(mark + 1, &args, nested);

    if (dst == mark + 1) {
        return mark;
    }

    *mark = '?';

    return dst;
}


u_char *
ngx_http_klaviyo_url_strip_args(u_char *dst, ngx_str_t *args,
    ngx_uint_t nested)
{
    u_char      *p, *end, *last, *equal;
    ngx_uint_t   first;

    first = 1;

    last = ngx_strlchr(args->data, args->data + args->len, '#');
    if (last == NULL) {
        last = args->data + args->len;
    }

    for (p = args->data; p < last; p = end + 1) {

        end = ngx_http_klaviyo_url_arg(p, last, &equal);

        if (ngx_http_klaviyo_url_name(p, equal) != NGX_DECLINED
            || (nested && ngx_http_klaviyo_url_nested(equal, end)))
        {
            continue;
        }

        if (!first) {
            *dst++ = '&';
        }

        first = 0;

        dst = ngx_cpymem(dst, p, end - p);
    }

    return dst;
}


void
ngx_http_klaviyo_url_identity(ngx_str_t *url, ngx_str_t *value)
{
    u_char     *p, *end, *last, *equal;
    ngx_int_t   n;
    ngx_str_t   path, args;

    ngx_memzero(value, NGX_HTTP_KLAVIYO_ARG_N * sizeof(ngx_str_t));

    if (!ngx_http_klaviyo_url_split(url, &path, &args)) {
        return;
    }

    last = args.data + args.len;

    for (p = args.data; p < last; p = end + 1) {

        end = ngx_http_klaviyo_url_arg(p, last, &equal);

        n = ngx_http_klaviyo_url_name(p, equal);

        if (n == NGX_DECLINED || value[n].data) {
            continue;
        }

        value[n].data = equal < end ? equal + 1 : end;
        value[n].len = end - value[n].data;
    }
}


ngx_int_t
ngx_http_klaviyo_url_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char     *p;
    ngx_str_t  *text;

    text = data ? &r->args : &r->unparsed_uri;

    if (text->len == 0) {
        *v = ngx_http_variable_null_value;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, text->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;

    p = data ? ngx_http_klaviyo_url_strip_args(p, text, 0)
             : ngx_http_klaviyo_url_strip(p, text, 0);

    v->len = p - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* one of ngx_http_klaviyo_arg_e, however it is written, or NGX_DECLINED */

static ngx_int_t
ngx_http_klaviyo_url_name(u_char *p, u_char *last)
{
    u_char  ch, name[NGX_HTTP_KLAVIYO_ARG_MAX];
    size_t  len;

    for (len = 0; p < last; len++) {

        if (len == NGX_HTTP_KLAVIYO_ARG_MAX) {
            return NGX_DECLINED;
        }

        p = ngx_http_klaviyo_url_decode(p, last, &ch);
        name[len] = ngx_tolower(ch);
    }

    return ngx_http_klaviyo_url_known(name, len);
}


static ngx_int_t
ngx_http_klaviyo_url_known(u_char *name, size_t len)
{
    ngx_int_t   i;
    ngx_str_t  *known;

    for (i = 0; i < NGX_HTTP_KLAVIYO_ARG_N; i++) {
        known = &ngx_http_klaviyo_url_names[i];

        if (len == known->len && ngx_memcmp(name, known->data, len) == 0) {
            return i;
        }
    }

    return NGX_DECLINED;
}


/* an identity in the arguments of a URL that is the value of an argument */

static ngx_uint_t
ngx_http_klaviyo_url_nested(u_char *p, u_char *last)
{
    u_char  ch, name[NGX_HTTP_KLAVIYO_ARG_MAX];
    size_t  len;

    /* a name too long to be known stays so up to the next separator */

    len = 0;

    while (p < last) {

        p = ngx_http_klaviyo_url_decode_all(p, last, &ch);

        if (ch == '='
            && len <= NGX_HTTP_KLAVIYO_ARG_MAX
            && ngx_http_klaviyo_url_known(name, len) != NGX_DECLINED)
        {
            return 1;
        }

        if (ch == '?' || ch == '&' || ch == ';' || ch == '#' || ch == '=') {
            len = 0;
            continue;
        }

        if (len < NGX_HTTP_KLAVIYO_ARG_MAX) {
            name[len] = ngx_tolower(ch);
        }

        if (len <= NGX_HTTP_KLAVIYO_ARG_MAX) {
            len++;
        }
    }

    return 0;
}


/* a character however often it was encoded: "%253F" is "%3F" is "?" */

static u_char *
ngx_http_klaviyo_url_decode_all(u_char *p, u_char *last, u_char *ch)
{
    ngx_int_t  n;

    p = ngx_http_klaviyo_url_decode(p, last, ch);

    while (*ch == '%' && last - p >= 2) {
        n = ngx_hextoi(p, 2);

        if (n == NGX_ERROR) {
            break;
        }

        *ch = (u_char) n;
        p += 2;
    }

    return p;
}

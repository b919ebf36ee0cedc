/*
 * URLs and their arguments, as the client wrote them.
 */


#include "ngx_http_klaviyo_context.h"
#include "ngx_http_klaviyo_url.h"


#define NGX_HTTP_KLAVIYO_ARG_MAX  (sizeof("utm_email") - 1)


static void ngx_http_klaviyo_url_parse(ngx_http_klaviyo_url_t *url,
    ngx_str_t *text);
static void ngx_http_klaviyo_url_args(ngx_http_klaviyo_args_t *args,
    u_char *p, u_char *last);
static void ngx_http_klaviyo_url_fill(ngx_http_klaviyo_args_t *args);
static u_char *ngx_http_klaviyo_url_copy_args(u_char *dst,
    ngx_http_klaviyo_args_t *args, ngx_uint_t nested);
static u_char *ngx_http_klaviyo_url_run(u_char *dst, u_char *run, u_char *end,
    ngx_uint_t *first);
static u_char *ngx_http_klaviyo_url_find(u_char *p, u_char *last, u_char ch);
static u_char *ngx_http_klaviyo_url_next(u_char *p, u_char *last, u_char ch);
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


ngx_http_klaviyo_url_t *
ngx_http_klaviyo_url(ngx_http_request_t *r)
{
    ngx_http_klaviyo_ctx_t  *ctx;

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return NULL;
    }

    if (ctx->url == NULL) {
        ctx->url = ngx_palloc(r->pool, sizeof(ngx_http_klaviyo_url_t));
        if (ctx->url == NULL) {
            return NULL;
        }

        ngx_http_klaviyo_url_parse(ctx->url, &r->unparsed_uri);
    }

    if (ctx->url->text.data != r->unparsed_uri.data
        || ctx->url->text.len != r->unparsed_uri.len)
    {
        ngx_http_klaviyo_url_parse(ctx->url, &r->unparsed_uri);
    }

    return ctx->url;
}


static void
ngx_http_klaviyo_url_parse(ngx_http_klaviyo_url_t *url, ngx_str_t *text)
{
    u_char  *p, *last;

    last = text->data + text->len;

    p = ngx_http_klaviyo_url_find(text->data, last, '#');
    if (p) {
        last = p;
    }

    p = ngx_http_klaviyo_url_find(text->data, last, '?');

    url->text = *text;
    url->question = (p != NULL);

    url->path.data = text->data;
    url->path.len = (p ? p : last) - text->data;

    ngx_http_klaviyo_url_args(&url->args, p ? p + 1 : last, last);
}


static void
ngx_http_klaviyo_url_args(ngx_http_klaviyo_args_t *args, u_char *p,
    u_char *last)
{
    args->rest = p;
    args->equal = ngx_http_klaviyo_url_next(p, last, '=');
    args->percent = ngx_http_klaviyo_url_next(p, last, '%');
    args->last = last;

    ngx_http_klaviyo_url_fill(args);
}


static void
ngx_http_klaviyo_url_fill(ngx_http_klaviyo_args_t *args)
{
    u_char                  *p, *end, *last, *equal, *percent;
    ngx_http_klaviyo_arg_t  *arg;

    last = args->last;
    equal = args->equal;
    percent = args->percent;

    args->n = 0;

    for (p = args->rest; p < last; p = end + 1) {

        if (args->n == NGX_HTTP_KLAVIYO_ARGS) {
            break;
        }

        arg = &args->arg[args->n++];

        end = ngx_http_klaviyo_url_next(p, last, '&');

        arg->start = p;
        arg->equal = ngx_min(equal, end);
        arg->end = end;
        arg->kind = ngx_http_klaviyo_url_name(p, arg->equal);

        if (equal < end) {
            equal = ngx_http_klaviyo_url_next(equal + 1, last, '=');
        }

        if (percent < arg->equal) {
            percent = ngx_http_klaviyo_url_next(arg->equal, last, '%');
        }

        arg->encoded = (equal < end || percent < end);

        if (equal < end) {
            equal = ngx_http_klaviyo_url_next(end, last, '=');
        }

        if (percent < end) {
            percent = ngx_http_klaviyo_url_next(end, last, '%');
        }
    }

    args->rest = p;
    args->equal = equal;
    args->percent = percent;
}


ngx_http_klaviyo_args_t *
ngx_http_klaviyo_url_more(ngx_http_klaviyo_args_t *args,
    ngx_http_klaviyo_args_t *more)
{
    if (args->rest >= args->last) {
        return NULL;
    }

    more->rest = args->rest;
    more->equal = args->equal;
    more->percent = args->percent;
    more->last = args->last;

    ngx_http_klaviyo_url_fill(more);

    return more;
}


u_char *
ngx_http_klaviyo_url_decode_hex(u_char *p, u_char *last, u_char *ch)
{
    ngx_int_t  n;

    if (last - p > 2) {
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
ngx_http_klaviyo_url_strip(u_char *dst, ngx_str_t *text, ngx_uint_t nested)
{
    ngx_http_klaviyo_url_t  url;

    ngx_http_klaviyo_url_parse(&url, text);

    return ngx_http_klaviyo_url_copy(dst, &url, nested);
}


u_char *
ngx_http_klaviyo_url_copy(u_char *dst, ngx_http_klaviyo_url_t *url,
    ngx_uint_t nested)
{
    u_char  *mark;

    mark = ngx_cpymem(dst, url->path.data, url->path.len);

    if (!url->question) {
        return mark;
    }

    dst = ngx_http_klaviyo_url_copy_args(mark + 1, &url->args, nested);

    if (dst == mark + 1) {
        return mark;
    }

    *mark = '?';

    return dst;
}


/* those that follow each other in one piece */

static u_char *
ngx_http_klaviyo_url_copy_args(u_char *dst, ngx_http_klaviyo_args_t *args,
    ngx_uint_t nested)
{
    u_char                   *run, *end;
    ngx_uint_t                i, first;
    ngx_http_klaviyo_arg_t   *arg;
    ngx_http_klaviyo_args_t   more;

    end = NULL;
    run = NULL;
    first = 1;

    for ( /* void */ ; args; args = ngx_http_klaviyo_url_more(args, &more)) {

        for (i = 0; i < args->n; i++) {
            arg = &args->arg[i];

            if (arg->kind == NGX_DECLINED
                && !(nested && arg->encoded
                     && ngx_http_klaviyo_url_nested(arg->equal, arg->end)))
            {
                if (run == NULL) {
                    run = arg->start;
                }

                end = arg->end;
                continue;
            }

            dst = ngx_http_klaviyo_url_run(dst, run, end, &first);
            run = NULL;
        }
    }

    return ngx_http_klaviyo_url_run(dst, run, end, &first);
}


static u_char *
ngx_http_klaviyo_url_run(u_char *dst, u_char *run, u_char *end,
    ngx_uint_t *first)
{
    if (run == NULL) {
        return dst;
    }

    if (!*first) {
        *dst++ = '&';
    }

    *first = 0;

    return ngx_cpymem(dst, run, end - run);
}


void
ngx_http_klaviyo_url_identity(ngx_http_klaviyo_url_t *url, ngx_str_t *value)
{
    ngx_uint_t                i;
    ngx_http_klaviyo_arg_t   *arg;
    ngx_http_klaviyo_args_t   more, *args;

    ngx_memzero(value, NGX_HTTP_KLAVIYO_ARG_N * sizeof(ngx_str_t));

    for (args = &url->args;
         args;
         args = ngx_http_klaviyo_url_more(args, &more))
    {
        for (i = 0; i < args->n; i++) {
            arg = &args->arg[i];

            if (arg->kind == NGX_DECLINED || value[arg->kind].data) {
                continue;
            }

            value[arg->kind].data = arg->equal < arg->end ? arg->equal + 1
                                                          : arg->end;
            value[arg->kind].len = arg->end - value[arg->kind].data;
        }
    }
}


ngx_int_t
ngx_http_klaviyo_url_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                  *p, *last;
    ngx_str_t               *text;
    ngx_http_klaviyo_args_t  args;

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

    if (data) {
        last = ngx_http_klaviyo_url_next(text->data, text->data + text->len,
                                         '#');
        ngx_http_klaviyo_url_args(&args, text->data, last);

        p = ngx_http_klaviyo_url_copy_args(p, &args, 0);

    } else {
        p = ngx_http_klaviyo_url_strip(p, text, 0);
    }

    v->len = p - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


static u_char *
ngx_http_klaviyo_url_find(u_char *p, u_char *last, u_char ch)
{
    return p < last ? memchr(p, ch, last - p) : NULL;
}


/* or `last` */

static u_char *
ngx_http_klaviyo_url_next(u_char *p, u_char *last, u_char ch)
{
    p = ngx_http_klaviyo_url_find(p, last, ch);

    return p ? p : last;
}


/* one of ngx_http_klaviyo_arg_e, however it is written, or NGX_DECLINED */

static ngx_int_t
ngx_http_klaviyo_url_name(u_char *p, u_char *last)
{
    u_char  ch, name[NGX_HTTP_KLAVIYO_ARG_MAX];
    size_t  len;

    if (p == last || (*p != '_' && *p != 'u' && *p != 'U' && *p != '%')) {
        return NGX_DECLINED;
    }

    len = last - p;

    if (len > NGX_HTTP_KLAVIYO_ARG_MAX && memchr(p, '%', len) == NULL) {
        return NGX_DECLINED;
    }

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


/*
 * An identity in the arguments of a URL that is the value of an argument;
 * p is where its name ends.
 */

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

/*
 * URLs and their arguments, as the client wrote them.
 */


#include "ngx_http_klaviyo_context.h"
#include "ngx_http_klaviyo_url.h"
#include "klaviyo_marks.h"


#define NGX_HTTP_KLAVIYO_ARG_MAX  (sizeof("utm_email") - 1)


static void ngx_http_klaviyo_url_parse(ngx_http_klaviyo_url_t *url,
    ngx_str_t *text);
static u_char *ngx_http_klaviyo_url_copy_args(u_char *dst,
    ngx_http_klaviyo_args_t *args, ngx_uint_t nested);
static u_char *ngx_http_klaviyo_url_run(u_char *dst, u_char *run, u_char *end,
    ngx_uint_t *first);
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


klaviyo_marks_inline u_char *
ngx_http_klaviyo_url_mark(klaviyo_marks_t *marks)
{
    return (u_char *) klaviyo_marks_next(marks, (klaviyo_marks_set_t)
                                         { { '&', '=', '%', '?', '#' } });
}


/* inline, so that the marks stay in registers */

klaviyo_marks_inline void
ngx_http_klaviyo_url_fill(ngx_http_klaviyo_args_t *args, u_char *p,
    klaviyo_marks_t *marks)
{
    u_char                  *mark, *equal, *last;
    ngx_uint_t               encoded, known, coded, utm;
    ngx_http_klaviyo_arg_t  *arg, *end;

    arg = args->arg;
    end = arg + NGX_HTTP_KLAVIYO_ARGS;
    last = (u_char *) marks->last;

    known = 0;
    coded = 0;
    utm = 0;

    equal = NULL;
    encoded = 0;

    for ( ;; ) {

        mark = ngx_http_klaviyo_url_mark(marks);

        if (mark < last && *mark != '&' && *mark != '#') {

            if (*mark == '=' && equal == NULL) {
                equal = mark;

            } else if (*mark != '?') {
                encoded |= (equal != NULL);
            }

            continue;
        }

        if (mark == last || *mark == '#') {
            last = mark;

            if (p == last) {
                break;
            }
        }

        arg->start = p;
        arg->equal = equal ? equal : mark;
        arg->end = mark;
        arg->kind = NGX_DECLINED;
        arg->encoded = encoded;

        coded |= encoded;

        if (*p == '_' || *p == 'u' || *p == 'U' || *p == '%') {
            arg->kind = ngx_http_klaviyo_url_name(p, arg->equal);

            known |= (arg->kind != NGX_DECLINED);
            utm = 1;
        }

        arg++;

        if (mark == last) {
            p = last;
            break;
        }

        p = mark + 1;

        if (arg == end) {
            break;
        }

        equal = NULL;
        encoded = 0;
    }

    args->n = arg - args->arg;
    args->known = known;
    args->encoded = coded;
    args->utm = utm;
    args->rest = p;
    args->last = last;
}


ngx_http_klaviyo_url_t *
ngx_http_klaviyo_url(ngx_http_request_t *r)
{
    ngx_http_klaviyo_ctx_t  *ctx;

    static uint64_t                of;
    static ngx_http_klaviyo_url_t  url;

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return NULL;
    }

    if (of != ctx->number
        || url.text.data != r->unparsed_uri.data
        || url.text.len != r->unparsed_uri.len)
    {
        ngx_http_klaviyo_url_parse(&url, &r->unparsed_uri);
        of = ctx->number;
    }

    return &url;
}


/* the whole of it in one pass */

static void
ngx_http_klaviyo_url_parse(ngx_http_klaviyo_url_t *url, ngx_str_t *text)
{
    u_char           *p, *last;
    klaviyo_marks_t   marks;

    last = text->data + text->len;

    klaviyo_marks_init(&marks, text->data, last);

    do {
        p = ngx_http_klaviyo_url_mark(&marks);
    } while (p < last && *p != '?' && *p != '#');

    url->text = *text;
    url->question = (p < last && *p == '?');

    url->path.data = text->data;
    url->path.len = p - text->data;

    if (url->question) {
        ngx_http_klaviyo_url_fill(&url->args, p + 1, &marks);
        return;
    }

    url->args.n = 0;
    url->args.known = 0;
    url->args.encoded = 0;
    url->args.utm = 0;
    url->args.rest = p;
    url->args.last = p;
}


ngx_http_klaviyo_args_t *
ngx_http_klaviyo_url_more(ngx_http_klaviyo_args_t *args,
    ngx_http_klaviyo_args_t *more)
{
    klaviyo_marks_t  marks;

    if (args->rest >= args->last) {
        return NULL;
    }

    klaviyo_marks_init(&marks, args->rest, args->last);

    ngx_http_klaviyo_url_fill(more, args->rest, &marks);

    return more;
}


ngx_int_t
ngx_http_klaviyo_url_arg(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    size_t                    len;
    ngx_http_klaviyo_arg_t   *arg, *end;
    ngx_http_klaviyo_url_t   *url;
    ngx_http_klaviyo_args_t  *args;

    url = ngx_http_klaviyo_url(r);

    if (url == NULL
        || !url->question
        || url->args.rest < url->args.last
        || r->args.data != url->path.data + url->path.len + 1
        || r->args.data + r->args.len != url->args.last)
    {
        return NGX_ABORT;
    }

    args = &url->args;
    end = args->arg + args->n;

    for (arg = args->arg; arg < end; arg++) {

        len = arg->equal - arg->start;

        if (len == name->len
            && arg->equal < arg->end
            && ngx_strncasecmp(arg->start, name->data, len) == 0)
        {
            value->data = arg->equal + 1;
            value->len = arg->end - value->data;

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
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


ngx_uint_t
ngx_http_klaviyo_url_plain(ngx_http_klaviyo_url_t *url, ngx_uint_t nested,
    ngx_str_t *text)
{
    u_char  *end;

    if (url->args.known
        || (nested && url->args.encoded)
        || url->args.rest < url->args.last)
    {
        return 0;
    }

    *text = url->path;

    if (url->args.n) {
        end = url->args.arg[url->args.n - 1].end;

        if (end > url->args.arg[0].start) {
            text->len = end - text->data;
        }
    }

    return 1;
}


ngx_int_t
ngx_http_klaviyo_url_kept(ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *value)
{
    ngx_http_klaviyo_url_t  url;

    ngx_http_klaviyo_url_parse(&url, text);

    if (ngx_http_klaviyo_url_plain(&url, 1, value)) {
        return NGX_OK;
    }

    value->data = ngx_pnalloc(pool, text->len);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    value->len = ngx_http_klaviyo_url_copy(value->data, &url, 1)
                 - value->data;

    return NGX_OK;
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
    u_char     *mark;
    ngx_str_t   text;

    if (ngx_http_klaviyo_url_plain(url, nested, &text)) {
        return ngx_cpymem(dst, text.data, text.len);
    }

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
        if (!args->known) {
            continue;
        }

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
    u_char                   *p;
    ngx_str_t                *text;
    klaviyo_marks_t           marks;
    ngx_http_klaviyo_args_t   args;

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
        klaviyo_marks_init(&marks, text->data, text->data + text->len);
        ngx_http_klaviyo_url_fill(&args, text->data, &marks);

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


/* one of ngx_http_klaviyo_arg_e, however it is written, or NGX_DECLINED */

static ngx_int_t
ngx_http_klaviyo_url_name(u_char *p, u_char *last)
{
    u_char  ch, name[NGX_HTTP_KLAVIYO_ARG_MAX];
    size_t  len;

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

/*
 * Reads the Cookie header: an array of headers until nginx 1.22, a list from
 * 1.23 on.  nginx's own parser changed its form three times since.
 */


#include "ngx_http_klaviyo_context.h"
#include "ngx_http_klaviyo_cookie.h"
#include "klaviyo_marks.h"


#define NGX_HTTP_KLAVIYO_COOKIES  32


typedef struct {
    u_char                  *name;
    size_t                   len;              /* of the name               */
    u_char                  *end;              /* of the value              */
} ngx_http_klaviyo_cookie_t;


/*
 * The cookies of the request in hand.  Only of a header that everybody reads
 * in the same way: one line, no comma, no blank but behind a semicolon, an
 * equals sign in each cookie.
 */

typedef struct {
    uint64_t                   of;             /* the context's number      */
    ngx_str_t                  line;
    ngx_uint_t                 n;
    ngx_http_klaviyo_cookie_t  cookie[NGX_HTTP_KLAVIYO_COOKIES];
    unsigned                   plain:1;        /* it is such a header       */
} ngx_http_klaviyo_cookies_t;


static ngx_http_klaviyo_cookies_t *ngx_http_klaviyo_cookies(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_cookies_index(
    ngx_http_klaviyo_cookies_t *cookies);
static ngx_str_t *ngx_http_klaviyo_cookie_header(ngx_http_request_t *r,
    ngx_uint_t n);
static ngx_int_t ngx_http_klaviyo_cookie_line(ngx_str_t *line,
    ngx_str_t *name, ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_cookie_is_off(ngx_str_t *line);


ngx_int_t
ngx_http_klaviyo_cookie(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_str_t                   *line;
    ngx_uint_t                   i;
    ngx_http_klaviyo_cookie_t   *cookie;
    ngx_http_klaviyo_cookies_t  *cookies;

    cookies = ngx_http_klaviyo_cookies(r);

    if (cookies == NULL) {

        for (i = 0; /* void */ ; i++) {
            line = ngx_http_klaviyo_cookie_header(r, i);

            if (line == NULL) {
                return NGX_DECLINED;
            }

            if (ngx_http_klaviyo_cookie_line(line, name, value) == NGX_OK) {
                return NGX_OK;
            }
        }
    }

    for (i = 0; i < cookies->n; i++) {
        cookie = &cookies->cookie[i];

        if (cookie->len == name->len
            && ngx_memcmp(cookie->name, name->data, name->len) == 0)
        {
            value->data = cookie->name + cookie->len + 1;
            value->len = cookie->end - value->data;

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_klaviyo_cookie_named(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t                   i;
    ngx_http_klaviyo_cookie_t   *cookie;
    ngx_http_klaviyo_cookies_t  *cookies;

    cookies = ngx_http_klaviyo_cookies(r);

    if (cookies == NULL) {
        return NGX_ABORT;
    }

    for (i = 0; i < cookies->n; i++) {
        cookie = &cookies->cookie[i];

        if (cookie->len == name->len
            && ngx_strncasecmp(cookie->name, name->data, name->len) == 0)
        {
            value->data = cookie->name + cookie->len + 1;
            value->len = cookie->end - value->data;

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_klaviyo_cookie_off(ngx_http_request_t *r)
{
    ngx_str_t                   *line;
    ngx_uint_t                   i;
    ngx_http_klaviyo_cookie_t   *cookie;
    ngx_http_klaviyo_cookies_t  *cookies;

    static const u_char  off[] = "__kla_off=true";

    cookies = ngx_http_klaviyo_cookies(r);

    if (cookies == NULL) {

        for (i = 0; /* void */ ; i++) {
            line = ngx_http_klaviyo_cookie_header(r, i);

            if (line == NULL) {
                return 0;
            }

            if (ngx_http_klaviyo_cookie_is_off(line)) {
                return 1;
            }
        }
    }

    for (i = 0; i < cookies->n; i++) {
        cookie = &cookies->cookie[i];

        if (cookie->end - cookie->name == sizeof(off) - 1
            && ngx_memcmp(cookie->name, off, sizeof(off) - 1) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* gone through once a request; NULL: line by line, by whoever asks */

static ngx_http_klaviyo_cookies_t *
ngx_http_klaviyo_cookies(ngx_http_request_t *r)
{
    ngx_str_t               *line;
    ngx_http_klaviyo_ctx_t  *ctx;

    static ngx_str_t                   none;
    static ngx_http_klaviyo_cookies_t  cookies;

    ctx = ngx_http_klaviyo_context(r, 0);
    if (ctx == NULL) {
        return NULL;
    }

    line = ngx_http_klaviyo_cookie_header(r, 0);
    if (line == NULL) {
        line = &none;
    }

    if (cookies.of != ctx->number
        || cookies.line.data != line->data
        || cookies.line.len != line->len)
    {
        cookies.of = ctx->number;
        cookies.line = *line;
        cookies.plain = (ngx_http_klaviyo_cookie_header(r, 1) == NULL
                         && ngx_http_klaviyo_cookies_index(&cookies));
    }

    return cookies.plain ? &cookies : NULL;
}


static ngx_uint_t
ngx_http_klaviyo_cookies_index(ngx_http_klaviyo_cookies_t *cookies)
{
    u_char                     *p, *mark, *equal, *last;
    klaviyo_marks_t             marks;
    ngx_http_klaviyo_cookie_t  *cookie;

    p = cookies->line.data;
    last = p + cookies->line.len;
    equal = NULL;

    cookies->n = 0;

    klaviyo_marks_init(&marks, p, last);

    while (p < last) {

        mark = (u_char *) klaviyo_marks_next(&marks, (klaviyo_marks_set_t)
                                            { { ';', '=', ' ', ',', '\t' } });

        if (mark < last) {

            if (*mark == '=') {
                equal = equal ? equal : mark;
                continue;
            }

            if (*mark == ' ' && mark == p && p > cookies->line.data) {
                p++;
                continue;
            }

            if (*mark != ';') {
                return 0;
            }
        }

        if (equal == NULL || cookies->n == NGX_HTTP_KLAVIYO_COOKIES) {
            return 0;
        }

        cookie = &cookies->cookie[cookies->n++];

        cookie->name = p;
        cookie->len = equal - p;
        cookie->end = mark;

        p = mark + 1;
        equal = NULL;
    }

    return 1;
}


/* the value of the n-th; NULL: there are no more */

static ngx_str_t *
ngx_http_klaviyo_cookie_header(ngx_http_request_t *r, ngx_uint_t n)
{
#if (nginx_version >= 1023000)

    ngx_table_elt_t  *header;

    for (header = r->headers_in.cookie; header && n; n--) {
        header = header->next;
    }

    return header ? &header->value : NULL;

#else

    ngx_table_elt_t  **header;

    header = r->headers_in.cookies.elts;

    return n < r->headers_in.cookies.nelts ? &header[n]->value : NULL;

#endif
}


static ngx_int_t
ngx_http_klaviyo_cookie_line(ngx_str_t *line, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *p, *end, *last;

    last = line->data + line->len;

    for (p = line->data; p < last; p = end + 1) {

        end = memchr(p, ';', last - p);
        if (end == NULL) {
            end = last;
        }

        while (p < end && *p == ' ') {
            p++;
        }

        if ((size_t) (end - p) <= name->len
            || p[name->len] != '='
            || ngx_memcmp(p, name->data, name->len) != 0)
        {
            continue;
        }

        p += name->len + 1;

        while (p < end && *p == ' ') {
            p++;
        }

        value->data = p;
        value->len = end - p;

        while (value->len && p[value->len - 1] == ' ') {
            value->len--;
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* __kla_off=true among the cookies */

static ngx_uint_t
ngx_http_klaviyo_cookie_is_off(ngx_str_t *line)
{
    size_t   len;
    u_char  *p, *last, *end;

    static const u_char  off[] = "__kla_off=true";

    len = sizeof(off) - 1;

    p = line->data;
    last = p + line->len;

    for ( ;; ) {

        while (p < last && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if ((size_t) (last - p) < len) {
            return 0;
        }

        end = memchr(p, ';', last - p);

        if (ngx_memcmp(p, off, len) == 0) {

            p += len;

            while (p < last && (*p == ' ' || *p == '\t')) {
                p++;
            }

            if (p == last || *p == ';') {
                return 1;
            }
        }

        if (end == NULL) {
            return 0;
        }

        p = end + 1;
    }
}

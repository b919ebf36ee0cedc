/*
 * Reads the Cookie header: an array of headers until nginx 1.22, a list from
 * 1.23 on.  nginx's own parser changed its form three times since.
 */


#include "ngx_http_klaviyo_cookie.h"


static ngx_int_t ngx_http_klaviyo_cookie_line(ngx_str_t *line,
    ngx_str_t *name, ngx_str_t *value);


ngx_int_t
ngx_http_klaviyo_cookie(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
#if (nginx_version >= 1023000)

    ngx_table_elt_t  *header;

    for (header = r->headers_in.cookie; header; header = header->next) {

        if (ngx_http_klaviyo_cookie_line(&header->value, name, value)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

#else

    ngx_uint_t         i;
    ngx_table_elt_t  **header;

    header = r->headers_in.cookies.elts;

    for (i = 0; i < r->headers_in.cookies.nelts; i++) {

        if (ngx_http_klaviyo_cookie_line(&header[i]->value, name, value)
            == NGX_OK)
        {
            return NGX_OK;
        }
    }

#endif

    return NGX_DECLINED;
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

/*
 * Cookies that the module sets: klaviyo_kx_cookie, klaviyo_attribution.
 */


#include "ngx_http_klaviyo_own_cookie.h"


#define NGX_HTTP_KLAVIYO_COOKIE_NAME_MAX  128
#define NGX_HTTP_KLAVIYO_COOKIE_DAYS_MAX  400    /* browsers keep none longer */
#define NGX_HTTP_KLAVIYO_DAY              (24 * 60 * 60)


static ngx_uint_t ngx_http_klaviyo_own_cookie_name(ngx_str_t *name);


ngx_http_klaviyo_own_cookie_t *
ngx_http_klaviyo_own_cookie(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *days)
{
    u_char                         *p;
    ngx_int_t                       n;
    ngx_http_klaviyo_own_cookie_t  *cookie;

    if (!ngx_http_klaviyo_own_cookie_name(name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" of a cookie: use letters, "
                           "digits, \"_\", \"-\" and \".\", and no name of "
                           "Klaviyo's own cookies", name);
        return NULL;
    }

    n = ngx_atoi(days->data, days->len);

    if (n < 1 || n > NGX_HTTP_KLAVIYO_COOKIE_DAYS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number of days \"%V\": it must be 1 to "
                           "%d, browsers keep no cookie for longer",
                           days, NGX_HTTP_KLAVIYO_COOKIE_DAYS_MAX);
        return NULL;
    }

    cookie = ngx_palloc(cf->pool, sizeof(ngx_http_klaviyo_own_cookie_t));
    if (cookie == NULL) {
        return NULL;
    }

    p = ngx_pnalloc(cf->pool, sizeof("; Path=/; Max-Age=; Secure; HttpOnly; "
                                     "SameSite=Lax") - 1 + NGX_INT_T_LEN);
    if (p == NULL) {
        return NULL;
    }

    cookie->name = *name;
    cookie->attributes.data = p;
    cookie->attributes.len = ngx_sprintf(p, "; Path=/; Max-Age=%i; Secure; "
                                            "HttpOnly; SameSite=Lax",
                                         n * NGX_HTTP_KLAVIYO_DAY)
                             - p;

    return cookie;
}


/* fewer characters than a token may have, and none that needs quoting */

static ngx_uint_t
ngx_http_klaviyo_own_cookie_name(ngx_str_t *name)
{
    u_char  ch;
    size_t  i;

    if (name->len == 0 || name->len > NGX_HTTP_KLAVIYO_COOKIE_NAME_MAX
        || ngx_strncmp(name->data, "__kla_", sizeof("__kla_") - 1) == 0)
    {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if ((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z')
            || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-'
            || ch == '.')
        {
            continue;
        }

        return 0;
    }

    return 1;
}


ngx_int_t
ngx_http_klaviyo_own_cookie_set(ngx_http_request_t *r,
    ngx_http_klaviyo_own_cookie_t *cookie, ngx_str_t *value)
{
    u_char           *p;
    size_t            len;
    ngx_table_elt_t  *header;

    len = cookie->name.len + 1 + value->len + cookie->attributes.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    header = ngx_list_push(&r->headers_out.headers);
    if (header == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(header, sizeof(ngx_table_elt_t));

    header->hash = 1;
    ngx_str_set(&header->key, "Set-Cookie");

    header->value.data = p;
    header->value.len = len;

    p = ngx_cpymem(p, cookie->name.data, cookie->name.len);
    *p++ = '=';
    p = ngx_cpymem(p, value->data, value->len);
    ngx_memcpy(p, cookie->attributes.data, cookie->attributes.len);

    return NGX_OK;
}

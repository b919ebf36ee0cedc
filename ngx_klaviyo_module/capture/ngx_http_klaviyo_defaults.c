/*
 * The properties that every event has from its request, klaviyo_defaults:
 * where, how and whence, and the campaign's arguments.
 *
 * All of it is the visitor's own text.  URLs lose the arguments that carry
 * an identity.
 */


#include "ngx_http_klaviyo_defaults.h"
#include "ngx_http_klaviyo_field.h"
#include "ngx_http_klaviyo_host.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_url.h"


static ngx_int_t ngx_http_klaviyo_default_url(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_default_path(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_default_method(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_default_status(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_default_referrer(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_default_agent(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_utm_arg(ngx_http_request_t *r,
    ngx_array_t *properties, ngx_http_klaviyo_arg_t *arg,
    ngx_http_klaviyo_utm_t **utm, ngx_uint_t *n);
static ngx_uint_t ngx_http_klaviyo_utm_name(u_char *p, u_char *last,
    u_char *name);
static ngx_int_t ngx_http_klaviyo_utm_value(ngx_http_request_t *r, u_char *p,
    u_char *last, ngx_str_t *value);


ngx_http_klaviyo_default_t  ngx_http_klaviyo_defaults[] = {
    { ngx_string("URL"), ngx_http_klaviyo_default_url, KLAVIYO_VALUE_STRING },
    { ngx_string("Path"), ngx_http_klaviyo_default_path,
      KLAVIYO_VALUE_STRING },
    { ngx_string("Method"), ngx_http_klaviyo_default_method,
      KLAVIYO_VALUE_STRING },
    { ngx_string("Status"), ngx_http_klaviyo_default_status,
      KLAVIYO_VALUE_NUMBER },
    { ngx_string("Referrer"), ngx_http_klaviyo_default_referrer,
      KLAVIYO_VALUE_STRING },
    { ngx_string("UserAgent"), ngx_http_klaviyo_default_agent,
      KLAVIYO_VALUE_STRING },
    { ngx_null_string, NULL, 0 }
};


static ngx_int_t
ngx_http_klaviyo_default_url(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char                       *p;
    ngx_str_t                     host, port, scheme;
    ngx_http_klaviyo_url_t       *url;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    value->len = 0;

    klcf = ngx_http_klaviyo_conf(r);

    ngx_http_klaviyo_host(r, klcf->hosts, &host, &port);

    if (host.len == 0 || r->unparsed_uri.len == 0) {
        return NGX_OK;
    }

    ngx_str_set(&scheme, "http://");

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        ngx_str_set(&scheme, "https://");
    }

#endif

    url = ngx_http_klaviyo_url(r);
    if (url == NULL) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, scheme.len + host.len + port.len
                             + url->text.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    p = ngx_cpymem(p, scheme.data, scheme.len);
    p = ngx_cpymem(p, host.data, host.len);
    p = ngx_cpymem(p, port.data, port.len);
    p = ngx_http_klaviyo_url_copy(p, url, 1);

    value->len = p - value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_default_path(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_http_klaviyo_url_t  *url;

    url = ngx_http_klaviyo_url(r);
    if (url == NULL) {
        return NGX_ERROR;
    }

    *value = url->path;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_default_method(ngx_http_request_t *r, ngx_str_t *value)
{
    *value = r->main->method_name;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_default_status(ngx_http_request_t *r, ngx_str_t *value)
{
    u_char      *p, *last;
    ngx_uint_t   status;

    status = r->err_status ? r->err_status : r->headers_out.status;

    value->len = 0;

    if (status == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p += NGX_INT_T_LEN;
    last = p;

    do {
        *--p = (u_char) ('0' + status % 10);
        status /= 10;
    } while (status);

    value->data = p;
    value->len = last - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_default_referrer(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_table_elt_t  *referer;

    value->len = 0;

    referer = r->headers_in.referer;

    if (referer == NULL || referer->value.len == 0) {
        return NGX_OK;
    }

    return ngx_http_klaviyo_url_kept(r->pool, &referer->value, value);
}


static ngx_int_t
ngx_http_klaviyo_default_agent(ngx_http_request_t *r, ngx_str_t *value)
{
    value->len = 0;

    if (r->headers_in.user_agent) {
        *value = r->headers_in.user_agent->value;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_utm(ngx_http_request_t *r, ngx_array_t *properties,
    ngx_http_klaviyo_utm_t **utm, ngx_uint_t *n)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_http_klaviyo_url_t   *url;
    ngx_http_klaviyo_args_t   more, *args;

    *n = 0;
    *utm = NULL;

    url = ngx_http_klaviyo_url(r);
    if (url == NULL) {
        return NGX_ERROR;
    }

    for (args = &url->args;
         args;
         args = ngx_http_klaviyo_url_more(args, &more))
    {
        for (i = 0; args->utm && i < args->n; i++) {

            if (*args->arg[i].start != 'u' && *args->arg[i].start != '%') {
                continue;
            }

            rc = ngx_http_klaviyo_utm_arg(r, properties, &args->arg[i], utm,
                                          n);
            if (rc != NGX_OK) {
                return rc;
            }
        }
    }

    return NGX_OK;
}


/* NGX_DONE: there is no room for more */

static ngx_int_t
ngx_http_klaviyo_utm_arg(ngx_http_request_t *r, ngx_array_t *properties,
    ngx_http_klaviyo_arg_t *arg, ngx_http_klaviyo_utm_t **utm, ngx_uint_t *n)
{
    u_char                   buf[NGX_HTTP_KLAVIYO_UTM_NAME];
    ngx_str_t                name;
    ngx_uint_t               i;
    ngx_http_klaviyo_utm_t  *found;

    if (arg->end - arg->equal < 2) {
        return NGX_OK;
    }

    name.data = buf;
    name.len = ngx_http_klaviyo_utm_name(arg->start, arg->equal, buf);

    if (name.len == 0 || ngx_http_klaviyo_field_find(properties, &name)) {
        return NGX_OK;
    }

    found = *utm;

    for (i = 0; i < *n; i++) {

        if (found[i].name.len == name.len
            && ngx_memcmp(found[i].name.data, name.data, name.len) == 0)
        {
            return NGX_OK;
        }
    }

    if (*n == NGX_HTTP_KLAVIYO_UTM_MAX) {
        return NGX_DONE;
    }

    if (found == NULL) {
        found = ngx_palloc(r->pool, NGX_HTTP_KLAVIYO_UTM_MAX
                                    * sizeof(ngx_http_klaviyo_utm_t));
        if (found == NULL) {
            return NGX_ERROR;
        }

        *utm = found;
    }

    found[i].name.len = name.len;
    found[i].name.data = ngx_pstrdup(r->pool, &name);

    if (found[i].name.data == NULL
        || ngx_http_klaviyo_utm_value(r, arg->equal + 1, arg->end,
                                      &found[i].value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ++*n;

    return NGX_OK;
}


/* its length in name, or 0: it is none */

static ngx_uint_t
ngx_http_klaviyo_utm_name(u_char *p, u_char *last, u_char *name)
{
    u_char  ch;
    size_t  len;

    if (p == last || (*p != 'u' && *p != '%')) {
        return 0;
    }

    for (len = 0; p < last; len++) {

        if (len == NGX_HTTP_KLAVIYO_UTM_NAME) {
            return 0;
        }

        p = ngx_http_klaviyo_url_decode(p, last, &ch);

        if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9') && ch != '_') {
            return 0;
        }

        name[len] = ch;
    }

    if (len < sizeof("utm_")
        || ngx_strncmp(name, "utm_", sizeof("utm_") - 1) != 0
        || (len == sizeof("utm_email") - 1
            && ngx_strncmp(name, "utm_email", len) == 0))
    {
        return 0;
    }

    return len;
}


static ngx_int_t
ngx_http_klaviyo_utm_value(ngx_http_request_t *r, u_char *p, u_char *last,
    ngx_str_t *value)
{
    u_char  *dst;

    dst = ngx_pnalloc(r->pool, last - p);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    value->data = dst;

    while (p < last) {

        if (*p == '+') {
            *dst++ = ' ';
            p++;
            continue;
        }

        p = ngx_http_klaviyo_url_decode(p, last, dst++);
    }

    value->len = dst - value->data;

    return NGX_OK;
}

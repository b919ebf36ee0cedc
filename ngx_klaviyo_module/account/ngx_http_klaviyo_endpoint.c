/*
 * The addresses of an account: where Klaviyo is, and through which proxy.
 */


#include "ngx_http_klaviyo_endpoint.h"


static ngx_int_t ngx_http_klaviyo_endpoint_path(ngx_conf_t *cf,
    ngx_str_t *url, ngx_str_t *host);
static ngx_int_t ngx_http_klaviyo_url_host(ngx_str_t *url, size_t scheme,
    ngx_str_t *host);
static ngx_uint_t ngx_http_klaviyo_is_loopback(ngx_str_t *host);


char *
ngx_http_klaviyo_endpoint(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    size_t     scheme;
    ngx_str_t  host;

    (void) n;

    if (account->endpoint.data) {
        return "is duplicate";
    }

    while (value->len > sizeof("https://") - 1
           && value->data[value->len - 1] == '/')
    {
        value->len--;
    }

    value->data[value->len] = '\0';

    if (ngx_strncasecmp(value->data, (u_char *) "https://", 8) == 0) {
        scheme = 8;

    } else if (ngx_strncasecmp(value->data, (u_char *) "http://", 7) == 0) {
        scheme = 7;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid endpoint \"%V\": it must begin with "
                           "\"https://\"", value);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_url_host(value, scheme, &host) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid endpoint \"%V\": expected "
                           "\"https://host[:port]\"", value);
        return NGX_CONF_ERROR;
    }

    if (scheme == 7 && !ngx_http_klaviyo_is_loopback(&host)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "endpoint \"%V\" would send the key unencrypted: "
                           "\"http://\" is for loopback addresses only, use "
                           "\"https://\"", value);
        return NGX_CONF_ERROR;
    }

    if (host.data + host.len < value->data + value->len
        && ngx_http_klaviyo_endpoint_path(cf, value, &host) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    account->endpoint = *value;

    return NGX_CONF_OK;
}


/* requests go to "/api/..." below it */

static ngx_int_t
ngx_http_klaviyo_endpoint_path(ngx_conf_t *cf, ngx_str_t *url,
    ngx_str_t *host)
{
    u_char     *p, *last;
    ngx_str_t   path;

    last = url->data + url->len;

    for (p = host->data + host->len; p < last && *p != '/'; p++) { /* void */ }

    path.data = p;
    path.len = last - p;

    if (path.len == 0) {
        return NGX_OK;
    }

    if (path.len >= 4 && ngx_strncasecmp(last - 4, (u_char *) "/api", 4) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid endpoint \"%V\": \"/api\" would come "
                           "twice, write it without", url);
        return NGX_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "endpoint \"%V\" has the path \"%V\": requests go to "
                       "\"%V/api/...\"; Klaviyo's own address has none",
                       url, &path, &path);

    return NGX_OK;
}


char *
ngx_http_klaviyo_proxy(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    size_t     scheme;
    ngx_str_t  host;

    (void) n;

    if (account->proxy.data) {
        return "is duplicate";
    }

    scheme = 0;

    if (ngx_strncasecmp(value->data, (u_char *) "http://", 7) == 0) {
        scheme = 7;

    } else if (ngx_strncasecmp(value->data, (u_char *) "https://", 8) == 0) {
        scheme = 8;
    }

    if (scheme == 0
        || ngx_http_klaviyo_url_host(value, scheme, &host) != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid proxy \"%V\": expected "
                           "\"http://host:port\"", value);
        return NGX_CONF_ERROR;
    }

    account->proxy = *value;

    return NGX_CONF_OK;
}


/* the host of scheme://host[:port][/path], with its brackets if it has any */

static ngx_int_t
ngx_http_klaviyo_url_host(ngx_str_t *url, size_t scheme, ngx_str_t *host)
{
    u_char     *p, *last;
    ngx_int_t   port;

    p = url->data + scheme;
    last = url->data + url->len;

    for (host->data = p; p < last; p++) {
        if (*p <= ' ' || *p >= 0x7f || ngx_strchr("?#@\\\"'", *p)) {
            return NGX_ERROR;
        }
    }

    p = host->data;

    if (p < last && *p == '[') {
        p = ngx_strlchr(p, last, ']');
        if (p == NULL) {
            return NGX_ERROR;
        }

        p++;

    } else {
        while (p < last && *p != ':' && *p != '/') {
            p++;
        }
    }

    host->len = p - host->data;

    if (host->len == 0) {
        return NGX_ERROR;
    }

    if (p < last && *p == ':') {

        for (port = 0, p++; p < last && *p != '/'; p++) {
            if (*p < '0' || *p > '9' || port > 65535) {
                return NGX_ERROR;
            }

            port = port * 10 + (*p - '0');
        }

        if (port < 1 || port > 65535) {
            return NGX_ERROR;
        }
    }

    return (p == last || *p == '/') ? NGX_OK : NGX_ERROR;
}


static ngx_uint_t
ngx_http_klaviyo_is_loopback(ngx_str_t *host)
{
    in_addr_t  addr;

    if (host->len == 9
        && ngx_strncasecmp(host->data, (u_char *) "localhost", 9) == 0)
    {
        return 1;
    }

    if (host->len == 5 && ngx_strncmp(host->data, "[::1]", 5) == 0) {
        return 1;
    }

    addr = ngx_inet_addr(host->data, host->len);

    return addr != INADDR_NONE && (ntohl(addr) >> 24) == 127;
}


ngx_uint_t
ngx_http_klaviyo_is_tls(const ngx_str_t *url)
{
    return url->len > 8
           && ngx_strncasecmp(url->data, (u_char *) "https://", 8) == 0;
}

/*
 * The host of a request, as far as it is the server's.
 */


#include "ngx_http_klaviyo_host.h"


typedef enum {
    NGX_HTTP_KLAVIYO_HOST_EXACT = 0,
    NGX_HTTP_KLAVIYO_HOST_BELOW,     /* "*.example.com", as ".example.com"   */
    NGX_HTTP_KLAVIYO_HOST_AT,        /* ".example.com", as "example.com"     */
    NGX_HTTP_KLAVIYO_HOST_UNDER,     /* "www.example.*", as "www.example."   */
    NGX_HTTP_KLAVIYO_HOST_REGEX
} ngx_http_klaviyo_host_e;


typedef struct {
    ngx_str_t                 name;
    ngx_http_klaviyo_host_e   kind;
#if (NGX_PCRE)
    ngx_regex_t              *regex;
#endif
} ngx_http_klaviyo_host_t;


static ngx_uint_t ngx_http_klaviyo_host_is(ngx_http_klaviyo_host_t *known,
    ngx_str_t *host);
static ngx_uint_t ngx_http_klaviyo_host_plain(ngx_str_t *host);
static ngx_uint_t ngx_http_klaviyo_host_is_port(u_char *p, size_t len);
static ngx_uint_t ngx_http_klaviyo_host_named(ngx_str_t *name);
static ngx_uint_t ngx_http_klaviyo_host_ends(ngx_str_t *host, ngx_str_t *end);


ngx_array_t *
ngx_http_klaviyo_hosts(ngx_conf_t *cf)
{
    ngx_str_t                  name;
    ngx_uint_t                 i;
    ngx_array_t               *hosts;
    ngx_http_server_name_t    *sn;
    ngx_http_klaviyo_host_t   *host;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    hosts = NULL;
    sn = cscf->server_names.elts;

    for (i = 0; i < cscf->server_names.nelts; i++) {

        name = sn[i].name;

#if (NGX_PCRE)
        if (sn[i].regex == NULL && !ngx_http_klaviyo_host_named(&name)) {
#else
        if (!ngx_http_klaviyo_host_named(&name)) {
#endif
            continue;
        }

        if (hosts == NULL) {
            hosts = ngx_array_create(cf->pool, 1,
                                     sizeof(ngx_http_klaviyo_host_t));
            if (hosts == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        host = ngx_array_push(hosts);
        if (host == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(host, sizeof(ngx_http_klaviyo_host_t));

#if (NGX_PCRE)

        if (sn[i].regex) {
            host->kind = NGX_HTTP_KLAVIYO_HOST_REGEX;
            host->regex = sn[i].regex->regex;
            host->name = name;
            continue;
        }

#endif

        if (name.data[0] == '*') {
            host->kind = NGX_HTTP_KLAVIYO_HOST_BELOW;
            name.data++;
            name.len--;

        } else if (name.data[0] == '.') {
            host->kind = NGX_HTTP_KLAVIYO_HOST_AT;

        } else if (name.data[name.len - 1] == '*') {
            host->kind = NGX_HTTP_KLAVIYO_HOST_UNDER;
            name.len--;
        }

        host->name = name;
    }

    return hosts;
}


void
ngx_http_klaviyo_host(ngx_http_request_t *r, ngx_array_t *hosts,
    ngx_str_t *host, ngx_str_t *port)
{
    ngx_str_t                 *header;
    ngx_uint_t                 i;
    ngx_http_klaviyo_host_t   *known;

    ngx_str_set(port, "");

    *host = r->headers_in.server;

    if (hosts) {
        known = hosts->elts;

        for (i = 0; i < hosts->nelts; i++) {
            if (ngx_http_klaviyo_host_is(&known[i], host)) {
                break;
            }
        }

        if (i == hosts->nelts) {

            ngx_str_null(host);

            for (i = 0; i < hosts->nelts; i++) {

                if (known[i].kind <= NGX_HTTP_KLAVIYO_HOST_AT) {
                    *host = known[i].name;

                    if (host->data[0] == '.') {
                        host->data++;
                        host->len--;
                    }

                    break;
                }
            }

            return;
        }

    } else if (host->len == 0) {
        return;                         /* nobody named one */
    }

    if (r->headers_in.host == NULL) {
        return;
    }

    header = &r->headers_in.host->value;

    if (header->len > host->len + 1
        && header->data[host->len] == ':'
        && ngx_strncasecmp(header->data, host->data, host->len) == 0
        && ngx_http_klaviyo_host_is_port(header->data + host->len + 1,
                                         header->len - host->len - 1))
    {
        port->len = header->len - host->len;
        port->data = header->data + host->len;
    }
}


static ngx_uint_t
ngx_http_klaviyo_host_is(ngx_http_klaviyo_host_t *known, ngx_str_t *host)
{
    ngx_str_t  name;

    if (!ngx_http_klaviyo_host_plain(host)) {
        return 0;
    }

    name = known->name;

    switch (known->kind) {

    case NGX_HTTP_KLAVIYO_HOST_EXACT:
        return host->len == name.len
               && ngx_memcmp(host->data, name.data, name.len) == 0;

    case NGX_HTTP_KLAVIYO_HOST_BELOW:
        return host->len > name.len && ngx_http_klaviyo_host_ends(host, &name);

    case NGX_HTTP_KLAVIYO_HOST_AT:

        if (host->len > name.len) {
            return ngx_http_klaviyo_host_ends(host, &name);
        }

        name.data++;
        name.len--;

        return host->len == name.len && ngx_http_klaviyo_host_ends(host, &name);

    case NGX_HTTP_KLAVIYO_HOST_UNDER:
        return host->len > name.len
               && ngx_memcmp(host->data, name.data, name.len) == 0;

    default:
        break;
    }

#if (NGX_PCRE)
    return ngx_regex_exec(known->regex, host, NULL, 0) >= 0;
#else
    return 0;
#endif
}


static ngx_uint_t
ngx_http_klaviyo_host_ends(ngx_str_t *host, ngx_str_t *end)
{
    return ngx_memcmp(host->data + host->len - end->len, end->data, end->len)
           == 0;
}


/*
 * nginx takes nearly every byte in a Host.  In a URL, "evil.com?.shop.com" is
 * evil.com, and so is what stands behind "@", in place of a port, too.
 */

static ngx_uint_t
ngx_http_klaviyo_host_plain(ngx_str_t *host)
{
    u_char  c;
    size_t  i;

    for (i = 0; i < host->len; i++) {
        c = host->data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c < 0x80
            && ngx_strchr("-._:[]", c) == NULL)
        {
            return 0;
        }
    }

    return host->len != 0;
}


static ngx_uint_t
ngx_http_klaviyo_host_is_port(u_char *p, size_t len)
{
    ngx_int_t  port;

    port = len <= sizeof("65535") - 1 ? ngx_atoi(p, len) : NGX_ERROR;

    return port > 0 && port <= 65535;
}


/* "_" and "" are names that nobody has: such a server takes what is left */

static ngx_uint_t
ngx_http_klaviyo_host_named(ngx_str_t *name)
{
    size_t  i;

    for (i = 0; i < name->len; i++) {
        if ((name->data[i] >= 'a' && name->data[i] <= 'z')
            || (name->data[i] >= '0' && name->data[i] <= '9')
            || name->data[i] >= 0x80)
        {
            return 1;
        }
    }

    return 0;
}

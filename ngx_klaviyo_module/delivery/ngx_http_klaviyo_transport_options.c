/*
 * The options of a transfer: where it goes and what it says.
 *
 * For the transport only.  libcurl copies the strings, or they live as long
 * as the transport or the exchange.
 */


#include "ngx_http_klaviyo_transport_callback.h"
#include "ngx_http_klaviyo_transport_options.h"
#include "ngx_http_klaviyo_transport_trust.h"
#include "account/ngx_http_klaviyo_endpoint.h"


typedef struct {
    CURLoption  option;
    long        value;
} ngx_http_klaviyo_transport_option_t;


static ngx_int_t ngx_http_klaviyo_transport_url(
    ngx_http_klaviyo_exchange_t *exchange, ngx_http_klaviyo_call_t *call);
static ngx_int_t ngx_http_klaviyo_transport_method(
    ngx_http_klaviyo_exchange_t *exchange, ngx_http_klaviyo_call_t *call);
static void ngx_http_klaviyo_transport_headers(
    ngx_http_klaviyo_exchange_t *exchange, ngx_http_klaviyo_call_t *call);


/* what is the same for every transfer of every account */

static ngx_http_klaviyo_transport_option_t
    ngx_http_klaviyo_transport_options[] = {

    { CURLOPT_NOSIGNAL, 1 },

    /*
     * a name that takes longer than the time-out leaves its thread behind:
     * else libcurl waits for it, and the loop with it, here and at exit
     */
    { CURLOPT_QUICK_EXIT, 1 },

    /* what libcurl itself reads of trusted certificates it reads once */
    { CURLOPT_CA_CACHE_TIMEOUT, -1 },

    /* the path is as it was checked */
    { CURLOPT_PATH_AS_IS, 1 },

    { CURLOPT_FOLLOWLOCATION, 0 },
    { CURLOPT_NETRC, CURL_NETRC_IGNORED },
    { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
    { CURLOPT_TCP_KEEPALIVE, 1 },

    /* the key is not for the proxy */
    { CURLOPT_HEADEROPT, CURLHEADER_SEPARATE }
};


char *
ngx_http_klaviyo_transport_string(ngx_pool_t *pool, const char *prefix,
    ngx_str_t *value)
{
    size_t   len;
    u_char  *p;

    len = ngx_strlen(prefix) + value->len + 1;

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NULL;
    }

    if (value->len) {
        ngx_sprintf(p, "%s%V%Z", prefix, value);

    } else {
        ngx_sprintf(p, "%s%Z", prefix);
    }

    return (char *) p;
}


ngx_int_t
ngx_http_klaviyo_transport_setup(ngx_http_klaviyo_exchange_t *exchange,
    ngx_http_klaviyo_call_t *call)
{
    CURL                                 *easy;
    CURLcode                              rc;
    ngx_uint_t                            i;
    ngx_http_klaviyo_account_t           *account;
    ngx_http_klaviyo_transport_option_t  *options;

    account = exchange->transport->account;

    easy = curl_easy_init();
    if (easy == NULL) {
        return NGX_ERROR;
    }

    exchange->easy = easy;

    options = ngx_http_klaviyo_transport_options;

    for (i = 0;
         i < sizeof(ngx_http_klaviyo_transport_options)
             / sizeof(ngx_http_klaviyo_transport_option_t);
         i++)
    {
        rc = curl_easy_setopt(easy, options[i].option, options[i].value);

        if (rc != CURLE_OK) {
            return NGX_ERROR;
        }
    }

    ngx_http_klaviyo_transport_headers(exchange, call);

    if (curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https")
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_USERAGENT,
                            "ngx_http_klaviyo_module/"
                            NGX_HTTP_KLAVIYO_VERSION)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                            (long) account->connect_timeout)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) call->timeout)
           != CURLE_OK

        /* set even when empty: the environment does not choose a proxy */

        || curl_easy_setopt(easy, CURLOPT_PROXY, exchange->transport->proxy)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_NOPROXY, "") != CURLE_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_klaviyo_transport_url(exchange, call) != NGX_OK
        || ngx_http_klaviyo_transport_method(exchange, call) != NGX_OK
        || ngx_http_klaviyo_transport_trust(exchange) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_transport_callbacks(exchange);
}


static ngx_int_t
ngx_http_klaviyo_transport_url(ngx_http_klaviyo_exchange_t *exchange,
    ngx_http_klaviyo_call_t *call)
{
    long                     version;
    u_char                  *url;
    CURLcode                 rc;
    ngx_str_t               *endpoint;
    curl_version_info_data  *info;

    info = curl_version_info(CURLVERSION_NOW);

    version = (!call->http1 && (info->features & CURL_VERSION_HTTP2))
              ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;

    rc = curl_easy_setopt(exchange->easy, CURLOPT_HTTP_VERSION, version);

    if (rc != CURLE_OK) {
        return NGX_ERROR;
    }

    endpoint = &exchange->transport->account->endpoint;

    /*
     * The handshake of TLS tells whether a connection takes many requests.
     * Without it the first answer does: others would wait for one that hangs.
     */

    rc = curl_easy_setopt(exchange->easy, CURLOPT_PIPEWAIT,
                          (long) ngx_http_klaviyo_is_tls(endpoint));

    if (rc != CURLE_OK) {
        return NGX_ERROR;
    }

    url = ngx_alloc(endpoint->len + ngx_strlen(call->path) + 1,
                    exchange->transport->event.log);
    if (url == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(url, "%V%s%Z", endpoint, call->path);

    rc = curl_easy_setopt(exchange->easy, CURLOPT_URL, (char *) url);

    ngx_free(url);

    return rc == CURLE_OK ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_klaviyo_transport_method(ngx_http_klaviyo_exchange_t *exchange,
    ngx_http_klaviyo_call_t *call)
{
    CURL        *easy;
    const char  *body;

    easy = exchange->easy;

    if (call->body_len >= 0) {

        /* without bytes libcurl would not ask for them, with NULL it does */

        body = call->body_len ? (const char *) call->body : "";

        if (curl_easy_setopt(easy, CURLOPT_POST, 1L) != CURLE_OK
            || curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                (curl_off_t) call->body_len)
               != CURLE_OK
            || curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) != CURLE_OK)
        {
            return NGX_ERROR;
        }

    } else if (ngx_strcmp(call->method, "HEAD") == 0) {

        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK
               ? NGX_OK : NGX_ERROR;
    }

    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method)
           == CURLE_OK ? NGX_OK : NGX_ERROR;
}


/* a list made by hand: curl_slist_append() would copy the key */

static void
ngx_http_klaviyo_transport_headers(ngx_http_klaviyo_exchange_t *exchange,
    ngx_http_klaviyo_call_t *call)
{
    ngx_uint_t          i;
    struct curl_slist  *headers;

    headers = exchange->headers;

    headers[0].data = (char *)
                      exchange->transport->account->authorization.data;
    headers[1].data = (char *) "Expect:";

    for (i = 0; i < call->nheaders; i++) {
        headers[i + 2].data = call->headers[i];
    }

    for (i = 0; i < call->nheaders + 1; i++) {
        headers[i].next = &headers[i + 1];
    }
}

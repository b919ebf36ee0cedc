/*
 * Requests to Klaviyo: the options of a transfer, its start and its end.
 *
 *     _transport.c          the transfers of an account
 *     _transport_event.c    sockets and timer on nginx's loop
 *     _transport_answer.c   what is kept of an answer
 *     _transport_process.c  libcurl's global state and memory
 *
 * libcurl copies the strings of a transfer or they live as long as the
 * transport.  The key stands where the account keeps it and, while a request
 * is sent, in libcurl's memory, which is wiped when it is freed.
 */


#include "ngx_http_klaviyo_transport.h"
#include "ngx_http_klaviyo_transport_event.h"
#include "ngx_http_klaviyo_transport_answer.h"

#include <openssl/err.h>


/* CURLOPT_QUICK_EXIT, CURLOPT_CA_CACHE_TIMEOUT */
#if (LIBCURL_VERSION_NUM < 0x075700)
#error "ngx_http_klaviyo_module requires libcurl 7.87.0 or newer"
#endif


#define NGX_HTTP_KLAVIYO_TRANSPORT_HEADERS  5


struct ngx_http_klaviyo_transport_s {
    ngx_http_klaviyo_transport_event_t   event;
    ngx_http_klaviyo_account_t          *account;
    ngx_pool_t                          *pool;
    ngx_queue_t                          requests;

    char                                *cainfo;   /* NULL: not asked for   */
    char                                *proxy;    /* "": none              */
    struct curl_slist                    headers[
                                           NGX_HTTP_KLAVIYO_TRANSPORT_HEADERS];

    unsigned                             answering:1;
};


typedef struct {
    ngx_queue_t                          queue;
    ngx_http_klaviyo_transport_t        *transport;
    CURL                                *easy;
    ngx_http_klaviyo_transport_answer_t  answer;
    ngx_http_klaviyo_answer_pt           handler;
    void                                *data;
    unsigned                             sent:1;
} ngx_http_klaviyo_transport_request_t;


typedef struct {
    CURLoption                           option;
    long                                 value;
} ngx_http_klaviyo_transport_option_t;


static char *ngx_http_klaviyo_transport_cainfo(
    ngx_http_klaviyo_transport_t *transport);
static char *ngx_http_klaviyo_transport_string(ngx_pool_t *pool,
    const char *prefix, ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_transport_setup(
    ngx_http_klaviyo_transport_request_t *request, const char *path,
    const u_char *body, size_t len);
static int ngx_http_klaviyo_transport_once(void *data, char *remote,
    char *local, int remote_port, int local_port);
static void ngx_http_klaviyo_transport_messages(void *data);
static void ngx_http_klaviyo_transport_detach(
    ngx_http_klaviyo_transport_request_t *request);
static void ngx_http_klaviyo_transport_free(
    ngx_http_klaviyo_transport_request_t *request);


/* what is the same for every transfer of every account */

static ngx_http_klaviyo_transport_option_t
    ngx_http_klaviyo_transport_options[] = {

    { CURLOPT_NOSIGNAL, 1 },

    /*
     * a name that takes longer than the time-out leaves its thread behind:
     * else libcurl waits for it, and the loop with it, here and at exit
     */
    { CURLOPT_QUICK_EXIT, 1 },

    /*
     * the store of trusted certificates is read once, as nginx reads its own;
     * each time it takes tens of milliseconds of the loop
     */
    { CURLOPT_CA_CACHE_TIMEOUT, -1 },

    { CURLOPT_POST, 1 },
    { CURLOPT_FOLLOWLOCATION, 0 },
    { CURLOPT_NETRC, CURL_NETRC_IGNORED },
    { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
    { CURLOPT_PIPEWAIT, 1 },
    { CURLOPT_TCP_KEEPALIVE, 1 },

    /* the key is not for the proxy */
    { CURLOPT_HEADEROPT, CURLHEADER_SEPARATE },
    { CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 }
};


ngx_http_klaviyo_transport_t *
ngx_http_klaviyo_transport_create(ngx_http_klaviyo_account_t *account,
    ngx_log_t *log)
{
    ngx_uint_t                     i;
    ngx_pool_t                    *pool;
    struct curl_slist             *headers;
    ngx_http_klaviyo_transport_t  *transport;

    pool = ngx_create_pool(2048, log);
    if (pool == NULL) {
        return NULL;
    }

    transport = ngx_pcalloc(pool, sizeof(ngx_http_klaviyo_transport_t));
    if (transport == NULL) {
        goto failed;
    }

    transport->account = account;
    transport->pool = pool;

    ngx_queue_init(&transport->requests);

    if (account->ssl_verify) {
        transport->cainfo = ngx_http_klaviyo_transport_cainfo(transport);
    }

    transport->proxy = ngx_http_klaviyo_transport_string(pool, "",
                                                         &account->proxy);
    if (transport->proxy == NULL) {
        goto failed;
    }

    /* a list made by hand: curl_slist_append() would copy the key */

    headers = transport->headers;

    headers[0].data = (char *) account->authorization.data;
    headers[1].data = ngx_http_klaviyo_transport_string(pool, "revision: ",
                                                        &account->revision);
    headers[2].data = (char *) "Content-Type: application/vnd.api+json";
    headers[3].data = (char *) "Accept: application/vnd.api+json";
    headers[4].data = (char *) "Expect:";

    if (headers[1].data == NULL) {
        goto failed;
    }

    for (i = 0; i < NGX_HTTP_KLAVIYO_TRANSPORT_HEADERS - 1; i++) {
        headers[i].next = &headers[i + 1];
    }

    transport->event.handler = ngx_http_klaviyo_transport_messages;
    transport->event.data = transport;

    if (ngx_http_klaviyo_transport_event_open(&transport->event, log)
        != NGX_OK)
    {
        goto failed;
    }

    return transport;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


/*
 * libcurl keeps the store of trusted certificates for later connections only
 * when it comes from one file.  NULL: there is none, libcurl's own way stays.
 */

static char *
ngx_http_klaviyo_transport_cainfo(ngx_http_klaviyo_transport_t *transport)
{
    ngx_str_t               *file;
    ngx_uint_t               i;
    curl_version_info_data  *info;

    static const char  *bundles[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem"
    };

    file = &transport->account->ssl_trusted_certificate;

    if (file->len) {
        return ngx_http_klaviyo_transport_string(transport->pool, "", file);
    }

    info = curl_version_info(CURLVERSION_NOW);

    if (info->age >= CURLVERSION_SEVENTH && info->cainfo
        && access(info->cainfo, R_OK) == 0)
    {
        return (char *) info->cainfo;
    }

    for (i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++) {
        if (access(bundles[i], R_OK) == 0) {
            return (char *) bundles[i];
        }
    }

    return NULL;
}


static char *
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


void
ngx_http_klaviyo_transport_destroy(ngx_http_klaviyo_transport_t *transport)
{
    ngx_queue_t                           *q;
    ngx_http_klaviyo_transport_request_t  *request;

    /* first of all every transfer, then the multi that they are part of */

    transport->event.closing = 1;

    while (!ngx_queue_empty(&transport->requests)) {
        q = ngx_queue_head(&transport->requests);
        request = ngx_queue_data(q, ngx_http_klaviyo_transport_request_t,
                                 queue);

        ngx_http_klaviyo_transport_detach(request);
        ngx_http_klaviyo_transport_free(request);
    }

    ngx_http_klaviyo_transport_event_close(&transport->event);

    /* called from an answer's handler: messages() does the rest */

    if (!transport->answering) {
        ngx_destroy_pool(transport->pool);
    }
}


ngx_int_t
ngx_http_klaviyo_transport_post(ngx_http_klaviyo_transport_t *transport,
    const char *path, const u_char *body, size_t len,
    ngx_http_klaviyo_answer_pt handler, void *data)
{
    CURLMcode                              rc;
    ngx_http_klaviyo_transport_request_t  *request;

    if (transport->event.closing) {
        return NGX_ERROR;
    }

    request = ngx_calloc(sizeof(ngx_http_klaviyo_transport_request_t),
                         transport->event.log);
    if (request == NULL) {
        return NGX_ERROR;
    }

    request->transport = transport;
    request->handler = handler;
    request->data = data;

    if (ngx_http_klaviyo_transport_setup(request, path, body, len) != NGX_OK) {
        ngx_log_error(NGX_LOG_CRIT, transport->event.log, 0,
                      "klaviyo: curl_easy_setopt() failed");
        ngx_http_klaviyo_transport_free(request);
        return NGX_ERROR;
    }

    /* sets the timer, nothing more: it starts from there */

    rc = curl_multi_add_handle(transport->event.multi, request->easy);

    ERR_clear_error();

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, transport->event.log, 0,
                      "klaviyo: curl_multi_add_handle() failed (%d: %s)",
                      (int) rc, curl_multi_strerror(rc));
        ngx_http_klaviyo_transport_free(request);
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&transport->requests, &request->queue);

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_transport_setup(ngx_http_klaviyo_transport_request_t *request,
    const char *path, const u_char *body, size_t len)
{
    CURL                                 *easy;
    long                                  version;
    u_char                               *url;
    CURLcode                              rc;
    ngx_uint_t                            i;
    curl_version_info_data               *info;
    ngx_http_klaviyo_account_t           *account;
    ngx_http_klaviyo_transport_t         *transport;
    ngx_http_klaviyo_transport_option_t  *options;

    transport = request->transport;
    account = transport->account;

    easy = curl_easy_init();
    if (easy == NULL) {
        return NGX_ERROR;
    }

    request->easy = easy;

    url = ngx_alloc(account->endpoint.len + ngx_strlen(path) + 1,
                    transport->event.log);
    if (url == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(url, "%V%s%Z", &account->endpoint, path);

    rc = curl_easy_setopt(easy, CURLOPT_URL, (char *) url);

    ngx_free(url);

    if (rc != CURLE_OK) {
        return NGX_ERROR;
    }

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

    info = curl_version_info(CURLVERSION_NOW);

    version = (info->features & CURL_VERSION_HTTP2)
              ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;

    if (ngx_http_klaviyo_transport_answer_init(&request->answer, easy,
                                               transport->event.log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (curl_easy_setopt(easy, CURLOPT_PRIVATE, request) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION,
                            ngx_http_klaviyo_transport_once)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PREREQDATA, request) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https")
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_USERAGENT,
                            "ngx_http_klaviyo_module/"
                            NGX_HTTP_KLAVIYO_VERSION)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transport->headers)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (char *) body)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) len)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                            (long) account->connect_timeout)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                            (long) account->total_timeout)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER,
                            account->ssl_verify ? 1L : 0L)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST,
                            account->ssl_verify ? 2L : 0L)
           != CURLE_OK

        /* set even when empty: the environment does not choose a proxy */

        || curl_easy_setopt(easy, CURLOPT_PROXY, transport->proxy) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_NOPROXY, "") != CURLE_OK)
    {
        return NGX_ERROR;
    }

    /*
     * CAPATH's default is a directory, with which the store is read again for
     * each connection.  Without verification nothing needs to be read.
     */

    if ((transport->cainfo || !account->ssl_verify)
        && (curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK
            || curl_easy_setopt(easy, CURLOPT_CAINFO, transport->cainfo)
               != CURLE_OK))
    {
        return NGX_ERROR;
    }

    if (transport->cainfo
        && (curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL) != CURLE_OK
            || curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, transport->cainfo)
               != CURLE_OK))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * libcurl sends a request again by itself when a kept connection broke before
 * the answer began.  Only we may: the first one may have been processed, and
 * the second counts in Klaviyo's rate windows too.
 */

static int
ngx_http_klaviyo_transport_once(void *data, char *remote, char *local,
    int remote_port, int local_port)
{
    ngx_http_klaviyo_transport_request_t *request = data;

    (void) remote;
    (void) local;
    (void) remote_port;
    (void) local_port;

    if (request->sent) {
        return CURL_PREREQFUNC_ABORT;
    }

    request->sent = 1;

    return CURL_PREREQFUNC_OK;
}


/*
 * The event's handler: what is done now.
 */

static void
ngx_http_klaviyo_transport_messages(void *data)
{
    ngx_http_klaviyo_transport_t *transport = data;

    int                                    left;
    char                                  *private;
    CURLMsg                               *message;
    CURLcode                               rc;
    ngx_http_klaviyo_transport_request_t  *request;

    transport->answering = 1;

    while (!transport->event.closing) {

        message = curl_multi_info_read(transport->event.multi, &left);

        if (message == NULL) {
            break;
        }

        /* the message ends with its transfer */

        rc = message->data.result;

        if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private)
            != CURLE_OK)
        {
            continue;
        }

        request = (ngx_http_klaviyo_transport_request_t *) private;

        ngx_http_klaviyo_transport_detach(request);

        request->handler(request->data,
                         ngx_http_klaviyo_transport_answer_done(
                             &request->answer, rc));

        ngx_http_klaviyo_transport_free(request);
    }

    transport->answering = 0;

    if (transport->event.closing) {
        ngx_destroy_pool(transport->pool);
    }
}


/* from here on libcurl knows neither the transfer nor its body */

static void
ngx_http_klaviyo_transport_detach(
    ngx_http_klaviyo_transport_request_t *request)
{
    ngx_queue_remove(&request->queue);

    (void) curl_multi_remove_handle(request->transport->event.multi,
                                    request->easy);
    curl_easy_cleanup(request->easy);

    /* a connection closed here may have said good-bye over TLS */
    ERR_clear_error();

    request->easy = NULL;
}


static void
ngx_http_klaviyo_transport_free(ngx_http_klaviyo_transport_request_t *request)
{
    if (request->easy) {
        curl_easy_cleanup(request->easy);
    }

    ngx_http_klaviyo_transport_answer_free(&request->answer);

    ngx_free(request);
}

/*
 * What libcurl hands over in the midst of a transfer, and who takes it.
 *
 * For the transport only.  Every byte of an answer is the far end's: hostile
 * until checked.
 */


#include "ngx_http_klaviyo_transport_callback.h"
#include "account/ngx_http_klaviyo_key.h"


/* of all heads of an answer, bytes: older versions of libcurl know no end */
#define NGX_HTTP_KLAVIYO_TRANSPORT_HEAD  (256 * 1024)


/*
 * Of a proxy's answer to CONNECT: libcurl reads it byte by byte, with a call
 * of the system for each.
 */
#define NGX_HTTP_KLAVIYO_TRANSPORT_TUNNEL  4096


static int ngx_http_klaviyo_transport_opening(void *data, curl_socket_t fd,
    curlsocktype purpose);
static size_t ngx_http_klaviyo_transport_tunnel(
    ngx_http_klaviyo_exchange_t *exchange, u_char *line, size_t len);
static int ngx_http_klaviyo_transport_once(void *data, char *remote,
    char *local, int remote_port, int local_port);
static size_t ngx_http_klaviyo_transport_read(char *p, size_t size, size_t n,
    void *data);
static size_t ngx_http_klaviyo_transport_header(char *line, size_t size,
    size_t n, void *data);
static size_t ngx_http_klaviyo_transport_body(char *p, size_t size, size_t n,
    void *data);


ngx_int_t
ngx_http_klaviyo_transport_callbacks(ngx_http_klaviyo_exchange_t *exchange)
{
    CURL  *easy;

    easy = exchange->easy;

    if (curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION,
                            ngx_http_klaviyo_transport_opening)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, exchange) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION,
                            ngx_http_klaviyo_transport_once)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_READFUNCTION,
                            ngx_http_klaviyo_transport_read)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_READDATA, exchange) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION,
                            ngx_http_klaviyo_transport_header)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                            ngx_http_klaviyo_transport_body)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* what is said before the request is sent, a proxy says */

static int
ngx_http_klaviyo_transport_opening(void *data, curl_socket_t fd,
    curlsocktype purpose)
{
    ngx_http_klaviyo_exchange_t *exchange = data;

    (void) fd;
    (void) purpose;

    exchange->opening = 1;

    return CURL_SOCKOPT_OK;
}


/* one that refuses may have a page for it, which nobody reads */

static size_t
ngx_http_klaviyo_transport_tunnel(ngx_http_klaviyo_exchange_t *exchange,
    u_char *line, size_t len)
{
    exchange->head += len;

    if (len >= 12 && ngx_strncmp(line, "HTTP/1.", 7) == 0 && line[9] != '2') {
        (void) ngx_snprintf((u_char *) exchange->reason,
                            sizeof(exchange->reason),
                            "the proxy refuses CONNECT with %*s%Z", (size_t) 3,
                            line + 9);
        return 0;
    }

    if (exchange->head > NGX_HTTP_KLAVIYO_TRANSPORT_TUNNEL) {
        ngx_cpystrn((u_char *) exchange->reason,
                    (u_char *) "the proxy's answer to CONNECT is too large",
                    sizeof(exchange->reason));
        return 0;
    }

    return len;
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
    ngx_http_klaviyo_exchange_t *exchange = data;

    (void) remote;
    (void) local;
    (void) remote_port;
    (void) local_port;

    if (exchange->sent) {
        ngx_cpystrn((u_char *) exchange->reason,
                    (u_char *) "connection closed before an answer",
                    sizeof(exchange->reason));
        return CURL_PREREQFUNC_ABORT;
    }

    exchange->sent = 1;
    exchange->opening = 0;
    exchange->head = 0;
    exchange->heard = exchange->transport->heard;

    return CURL_PREREQFUNC_OK;
}


static size_t
ngx_http_klaviyo_transport_read(char *p, size_t size, size_t n, void *data)
{
    ngx_http_klaviyo_exchange_t *exchange = data;

    ssize_t  len;

    len = exchange->handlers->read(exchange->data, (u_char *) p, size * n);

    return len < 0 ? CURL_READFUNC_ABORT : (size_t) len;
}


/*
 * A line of the answer's head, of an interim answer's (1xx) head before it, or
 * of the trailer after its body.
 */

static size_t
ngx_http_klaviyo_transport_header(char *line, size_t size, size_t n,
    void *data)
{
    ngx_http_klaviyo_exchange_t *exchange = data;

    long        status;
    size_t      len;
    u_char     *p, *last, *colon;
    ngx_str_t   name, value;

    len = size * n;
    p = (u_char *) line;
    last = p + len;

    if (exchange->opening) {
        return ngx_http_klaviyo_transport_tunnel(exchange, p, len);
    }

    exchange->transport->heard++;
    exchange->head += len;

    if (exchange->head > NGX_HTTP_KLAVIYO_TRANSPORT_HEAD) {
        return 0;
    }

    if (exchange->complete) {
        return len;
    }

    if (len >= 5 && ngx_strncmp(p, "HTTP/", 5) == 0) {
        exchange->handlers->begin(exchange->data);
        return len;
    }

    while (last > p && (last[-1] == CR || last[-1] == LF || last[-1] == ' '
                        || last[-1] == '\t'))
    {
        last--;
    }

    if (last == p) {
        status = 0;

        (void) curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE,
                                 &status);

        if (status >= 200) {
            exchange->complete = 1;
            exchange->handlers->head(exchange->data, (ngx_uint_t) status);
        }

        return len;
    }

    colon = ngx_strlchr(p, last, ':');

    if (colon == NULL) {
        return len;
    }

    name.data = p;
    name.len = colon - p;

    do { colon++; } while (colon < last && (*colon == ' ' || *colon == '\t'));

    value.data = colon;
    value.len = last - colon;

    ngx_http_klaviyo_key_hide(exchange->transport->account, value.data,
                              value.len);

    exchange->handlers->header(exchange->data, &name, &value);

    return len;
}


static size_t
ngx_http_klaviyo_transport_body(char *p, size_t size, size_t n, void *data)
{
    ngx_http_klaviyo_exchange_t *exchange = data;

    size_t     len;
    ngx_int_t  rc;

    len = size * n;

    exchange->transport->heard++;

    rc = exchange->handlers->body(exchange->data, (u_char *) p, len);

    if (rc == NGX_AGAIN) {
        return CURL_WRITEFUNC_PAUSE;
    }

    /* anything but `len` ends the transfer */

    return rc == NGX_OK ? len : 0;
}


const char *
ngx_http_klaviyo_transport_why(ngx_http_klaviyo_exchange_t *exchange,
    CURLcode rc)
{
    char        *p;
    const char  *error;

    if (rc == CURLE_OK && exchange->complete) {
        return NULL;
    }

    if (exchange->reason[0]) {

        /* libcurl knows who said no, not why */

        ngx_cpystrn((u_char *) exchange->error, (u_char *) exchange->reason,
                    CURL_ERROR_SIZE);

    } else if (exchange->error[0] == '\0') {

        /* libcurl is content with a head that was cut off */

        error = (rc == CURLE_OK) ? "answer without a complete head"
                                 : curl_easy_strerror(rc);

        ngx_cpystrn((u_char *) exchange->error, (u_char *) error,
                    CURL_ERROR_SIZE);
    }

    /* a part of it may be the far end's words */

    for (p = exchange->error; *p; p++) {
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }

    return exchange->error;
}

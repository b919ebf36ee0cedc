/*
 * What the files of the transport share.
 */


#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_PRIVATE_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_PRIVATE_H


#include "ngx_http_klaviyo_transport.h"
#include "ngx_http_klaviyo_transport_event.h"

#include <openssl/err.h>


/* CURLOPT_QUICK_EXIT, CURLOPT_CA_CACHE_TIMEOUT */
#if (LIBCURL_VERSION_NUM < 0x075700)
#error "ngx_http_klaviyo_module requires libcurl 7.87.0 or newer"
#endif

/* its resolver's eventfd is never drained: the loop turns without a rest */
#define NGX_HTTP_KLAVIYO_LIBCURL_BUSY  0x081400

#if (LIBCURL_VERSION_NUM == NGX_HTTP_KLAVIYO_LIBCURL_BUSY)
#error "libcurl 8.20.0 keeps a processor busy: use an older or a newer one"
#endif


struct ngx_http_klaviyo_transport_s {
    ngx_http_klaviyo_transport_event_t   event;
    ngx_http_klaviyo_account_t          *account;
    ngx_pool_t                          *pool;
    ngx_queue_t                          exchanges;

    char                                *proxy;    /* "": none              */

    /* of a post */
    char                                *headers[4];
    ngx_uint_t                           nheaders;

    unsigned                             answering:1;
};


struct ngx_http_klaviyo_exchange_s {
    ngx_queue_t                          queue;
    ngx_http_klaviyo_transport_t        *transport;
    CURL                                *easy;

    const ngx_http_klaviyo_handlers_t   *handlers;
    void                                *data;

    /* the key's, "Expect:", and the call's */
    struct curl_slist                    headers[
                                           NGX_HTTP_KLAVIYO_HEADERS_MAX + 2];
    char                                 error[CURL_ERROR_SIZE];

    unsigned                             sent:1;
    unsigned                             complete:1;  /* the answer's head  */
};


/* libcurl's global state is there */
extern ngx_uint_t  ngx_http_klaviyo_transport_ready;


/* NUL-terminated; NULL: no memory */
char *ngx_http_klaviyo_transport_string(ngx_pool_t *pool, const char *prefix,
    ngx_str_t *value);

/* makes the easy handle with all its options; NGX_ERROR: not logged */
ngx_int_t ngx_http_klaviyo_transport_setup(
    ngx_http_klaviyo_exchange_t *exchange, ngx_http_klaviyo_call_t *call);

/* sets the options that lead to the handlers */
ngx_int_t ngx_http_klaviyo_transport_callbacks(
    ngx_http_klaviyo_exchange_t *exchange);

/* in a worker, before its loop begins: reads what the accounts trust */
void ngx_http_klaviyo_transport_trust_init(ngx_cycle_t *cycle);
void ngx_http_klaviyo_transport_trust_exit(ngx_cycle_t *cycle);

/* sets the options that say what is trusted */
ngx_int_t ngx_http_klaviyo_transport_trust(
    ngx_http_klaviyo_exchange_t *exchange);

/* why it ended: NULL, or text that is the exchange's */
const char *ngx_http_klaviyo_transport_why(
    ngx_http_klaviyo_exchange_t *exchange, CURLcode rc);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_PRIVATE_H */

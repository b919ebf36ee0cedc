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
    ngx_http_klaviyo_transport_t        *former;   /* until it is done      */
    ngx_uint_t                           heard;    /* pieces of answers     */

    char                                *proxy;    /* "": none              */

    /* of a post */
    char                                *headers[4];
    ngx_uint_t                           nheaders;

    unsigned                             answering:1;
    unsigned                             silent:1;
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
    ngx_uint_t                           heard;    /* when it was sent      */
    size_t                               head;     /* bytes, with trailers  */
    char                                 reason[64];  /* ours to end it     */

    unsigned                             sent:1;
    unsigned                             opening:1;   /* a connection       */
    unsigned                             complete:1;  /* the answer's head  */
};


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_PRIVATE_H */

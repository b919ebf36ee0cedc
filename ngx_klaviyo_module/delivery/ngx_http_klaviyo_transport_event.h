/*
 * libcurl's multi interface on nginx's event loop: sockets and the timer.
 *
 * For the transport only.  Knows sockets and time, nothing of requests.
 */


#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_EVENT_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_EVENT_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <curl/curl.h>


typedef struct ngx_http_klaviyo_transport_event_s
    ngx_http_klaviyo_transport_event_t;


struct ngx_http_klaviyo_transport_event_s {
    CURLM             *multi;
    ngx_log_t         *log;

    ngx_queue_t        sockets;    /* those that libcurl wants to be watched */
    ngx_event_t        timer;
    ngx_connection_t   dummy;      /* debug builds log the timer's `fd`      */

    /* after each turn of libcurl: transfers may be done, see messages */
    void             (*handler)(void *data);
    void              *data;

    unsigned           closing:1;
    unsigned           unwatched:1;  /* a socket is without a connection     */
};


/* makes the multi; `handler` and `data` are the caller's to set before */
ngx_int_t ngx_http_klaviyo_transport_event_open(
    ngx_http_klaviyo_transport_event_t *event, ngx_log_t *log);

/* the caller has set `closing` and then removed and freed every easy handle */
void ngx_http_klaviyo_transport_event_close(
    ngx_http_klaviyo_transport_event_t *event);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_EVENT_H */

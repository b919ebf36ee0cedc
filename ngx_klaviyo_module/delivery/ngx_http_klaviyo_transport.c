/*
 * The exchanges of an account: their start and their end.
 *
 *     _transport.c           the exchanges of an account
 *     _transport_options.c   what libcurl is told of each
 *     _transport_callback.c  what libcurl hands over, to the handlers
 *     _transport_event.c     sockets and timer on nginx's loop
 *     _transport_answer.c    a post, whose answer is kept
 *     _transport_process.c   libcurl's global state and memory
 *     _transport_trust.c     the certificates that are trusted
 *
 * The key stands where the account keeps it and, while a request is sent, in
 * libcurl's memory, which is wiped when it is freed.
 */


#include "ngx_http_klaviyo_transport_callback.h"
#include "ngx_http_klaviyo_transport_options.h"
#include "ngx_http_klaviyo_transport_private.h"
#include "ngx_http_klaviyo_transport.h"
#include "ngx_http_klaviyo_transport_process.h"


static void ngx_http_klaviyo_transport_messages(void *data);
static void ngx_http_klaviyo_exchange_unanswered(
    ngx_http_klaviyo_exchange_t *exchange);
static void ngx_http_klaviyo_exchange_detach(
    ngx_http_klaviyo_exchange_t *exchange);
static void ngx_http_klaviyo_exchange_free(
    ngx_http_klaviyo_exchange_t *exchange);


ngx_http_klaviyo_transport_t *
ngx_http_klaviyo_transport_create(ngx_http_klaviyo_account_t *account,
    ngx_log_t *log)
{
    ngx_pool_t                    *pool;
    ngx_http_klaviyo_transport_t  *transport;

    if (!ngx_http_klaviyo_transport_ready) {
        return NULL;
    }

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

    ngx_queue_init(&transport->exchanges);

    transport->proxy = ngx_http_klaviyo_transport_string(pool, "",
                                                         &account->proxy);
    transport->headers[0] = ngx_http_klaviyo_transport_string(pool,
                                           "revision: ", &account->revision);
    transport->headers[1] = (char *) "Content-Type: application/vnd.api+json";
    transport->headers[2] = (char *) "Accept: application/vnd.api+json";
    transport->nheaders = 3;

    if (account->revision_strict) {
        transport->headers[3] = (char *) NGX_HTTP_KLAVIYO_STRICT ": 1";
        transport->nheaders = 4;
    }

    if (transport->proxy == NULL || transport->headers[0] == NULL) {
        goto failed;
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


void
ngx_http_klaviyo_transport_destroy(ngx_http_klaviyo_transport_t *transport)
{
    ngx_queue_t                  *q;
    ngx_http_klaviyo_exchange_t  *exchange;

    /* first of all every transfer, then the multi that they are part of */

    transport->event.closing = 1;

    if (transport->former) {
        ngx_http_klaviyo_transport_destroy(transport->former);
    }

    while (!ngx_queue_empty(&transport->exchanges)) {
        q = ngx_queue_head(&transport->exchanges);
        exchange = ngx_queue_data(q, ngx_http_klaviyo_exchange_t, queue);

        ngx_http_klaviyo_exchange_cancel(exchange);
    }

    ngx_http_klaviyo_transport_event_close(&transport->event);

    /* called from an exchange's handler: messages() does the rest */

    if (!transport->answering) {
        ngx_destroy_pool(transport->pool);
    }
}


ngx_http_klaviyo_transport_t *
ngx_http_klaviyo_transport_renew(ngx_http_klaviyo_transport_t *transport)
{
    ngx_http_klaviyo_transport_t  *other, **p;

    if (transport->silent) {
        other = ngx_http_klaviyo_transport_create(transport->account,
                                                  transport->event.log);
        if (other) {
            other->former = transport;
            transport = other;
        }
    }

    p = &transport->former;

    while (*p) {
        other = *p;

        if (!ngx_queue_empty(&other->exchanges)) {
            p = &other->former;
            continue;
        }

        *p = other->former;
        other->former = NULL;

        ngx_http_klaviyo_transport_destroy(other);
    }

    return transport;
}


ngx_http_klaviyo_exchange_t *
ngx_http_klaviyo_exchange_start(ngx_http_klaviyo_transport_t *transport,
    ngx_http_klaviyo_call_t *call, const ngx_http_klaviyo_handlers_t *handlers,
    void *data)
{
    CURLMcode                     rc;
    ngx_http_klaviyo_exchange_t  *exchange;

    if (transport->event.closing
        || call->nheaders > NGX_HTTP_KLAVIYO_HEADERS_MAX)
    {
        return NULL;
    }

    exchange = ngx_calloc(sizeof(ngx_http_klaviyo_exchange_t),
                          transport->event.log);
    if (exchange == NULL) {
        return NULL;
    }

    exchange->transport = transport;
    exchange->handlers = handlers;
    exchange->data = data;

    if (ngx_http_klaviyo_transport_setup(exchange, call) != NGX_OK) {
        ngx_log_error(NGX_LOG_CRIT, transport->event.log, 0,
                      "klaviyo: curl_easy_setopt() failed");
        goto failed;
    }

    /* sets the timer, nothing more: it starts from there */

    rc = curl_multi_add_handle(transport->event.multi, exchange->easy);

    ERR_clear_error();

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_CRIT, transport->event.log, 0,
                      "klaviyo: curl_multi_add_handle() failed (%d: %s)",
                      (int) rc, curl_multi_strerror(rc));
        goto failed;
    }

    ngx_queue_insert_tail(&transport->exchanges, &exchange->queue);

    return exchange;

failed:

    if (exchange->easy) {
        curl_easy_cleanup(exchange->easy);
    }

    ngx_free(exchange);

    return NULL;
}


void
ngx_http_klaviyo_exchange_resume(ngx_http_klaviyo_exchange_t *exchange)
{
    CURLcode  rc;

    rc = curl_easy_pause(exchange->easy, CURLPAUSE_CONT);

    ERR_clear_error();

    if (rc != CURLE_OK) {

        /* the transfer ends with this in the loop's next turn */

        ngx_log_error(NGX_LOG_INFO, exchange->transport->event.log, 0,
                      "klaviyo: curl_easy_pause() failed (%d: %s)",
                      (int) rc, curl_easy_strerror(rc));
    }
}


void
ngx_http_klaviyo_exchange_cancel(ngx_http_klaviyo_exchange_t *exchange)
{
    ngx_http_klaviyo_exchange_detach(exchange);
    ngx_http_klaviyo_exchange_free(exchange);
}


void
ngx_http_klaviyo_exchange_expire(ngx_http_klaviyo_exchange_t *exchange)
{
    ngx_http_klaviyo_exchange_unanswered(exchange);
    ngx_http_klaviyo_exchange_cancel(exchange);
}


/*
 * The event's handler: what is done now.
 */

static void
ngx_http_klaviyo_transport_messages(void *data)
{
    ngx_http_klaviyo_transport_t *transport = data;

    int                           left;
    char                         *private;
    CURLMsg                      *message;
    CURLcode                      rc;
    ngx_http_klaviyo_exchange_t  *exchange;

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

        exchange = (ngx_http_klaviyo_exchange_t *) private;

        if (rc == CURLE_OPERATION_TIMEDOUT) {
            ngx_http_klaviyo_exchange_unanswered(exchange);
        }

        ngx_http_klaviyo_exchange_detach(exchange);

        exchange->handlers->done(exchange->data,
                                 ngx_http_klaviyo_transport_why(exchange, rc),
                                 exchange->sent);

        ngx_http_klaviyo_exchange_free(exchange);
    }

    transport->answering = 0;

    if (transport->event.closing) {
        ngx_destroy_pool(transport->pool);
    }
}


static void
ngx_http_klaviyo_exchange_unanswered(ngx_http_klaviyo_exchange_t *exchange)
{
    ngx_http_klaviyo_transport_t  *transport;

    transport = exchange->transport;

    if (exchange->sent && exchange->heard == transport->heard) {
        transport->silent = 1;
    }
}


/* from here on libcurl knows neither the transfer nor its body */

static void
ngx_http_klaviyo_exchange_detach(ngx_http_klaviyo_exchange_t *exchange)
{
    ngx_queue_remove(&exchange->queue);

    (void) curl_multi_remove_handle(exchange->transport->event.multi,
                                    exchange->easy);
    curl_easy_cleanup(exchange->easy);

    /* a connection closed here may have said good-bye over TLS */
    ERR_clear_error();
}


static void
ngx_http_klaviyo_exchange_free(ngx_http_klaviyo_exchange_t *exchange)
{
    if (exchange->handlers->free) {
        exchange->handlers->free(exchange->data);
    }

    ngx_free(exchange);
}

/*
 * HTTP to Klaviyo: libcurl's multi interface on nginx's event loop.
 *
 * The only room with libcurl in it.  One transport serves one account in one
 * worker: its connections, its options.  Nothing here waits: names are
 * resolved in libcurl's threads, and leaving does not join them.
 */


#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_H


#include "account/ngx_http_klaviyo_account.h"
#include "klaviyo_reply.h"


typedef struct ngx_http_klaviyo_transport_s  ngx_http_klaviyo_transport_t;
typedef struct ngx_http_klaviyo_exchange_s   ngx_http_klaviyo_exchange_t;


/* the answer is the transport's and ends with the call */
typedef void (*ngx_http_klaviyo_answer_pt)(void *data,
    klaviyo_answer_t *answer);


/*
 * What is called in the course of an exchange, never from within the call
 * that starts it.  All but `done` and `free` are called in the midst of
 * libcurl: they keep what they are given, and call nothing of the transport.
 */

typedef struct {
    /* writes up to `size` bytes of the body, 0: there are none; or NGX_ERROR */
    ssize_t    (*read)(void *data, u_char *p, size_t size);

    /* a head begins; what an interim answer's (1xx) said is void */
    void       (*begin)(void *data);
    void       (*header)(void *data, ngx_str_t *name, ngx_str_t *value);

    /* the head is complete, and the answer is no interim one */
    void       (*head)(void *data, ngx_uint_t status);

    /* NGX_OK; NGX_AGAIN: nothing was taken, and nothing comes until it is
       resumed; NGX_ERROR breaks the exchange off */
    ngx_int_t  (*body)(void *data, u_char *p, size_t len);

    /*
     * the end.  `error`: NULL, or why the answer is none or not whole, in
     * printable ASCII; `sent`: the request may have arrived.  The exchange
     * is gone with it, and the transport may be destroyed from within.
     */
    void       (*done)(void *data, const char *error, ngx_uint_t sent);

    /* whatever became of it: the last call.  NULL: nothing to free */
    void       (*free)(void *data);
} ngx_http_klaviyo_handlers_t;


/*
 * What is asked for.  The pointers are to stay until the end of the exchange,
 * but for `path`.
 */

typedef struct {
    const char     *method;
    const char     *path;        /* "/api/events?a=b", behind the endpoint   */
    char          **headers;     /* lines "Name: value"                      */
    ngx_uint_t      nheaders;    /* at most NGX_HTTP_KLAVIYO_HEADERS_MAX     */
    const u_char   *body;        /* NULL: what the handler `read` gives      */
    off_t           body_len;    /* -1: there is none                        */
    ngx_msec_t      timeout;     /* of all of it; 0: none                    */
    unsigned        http1:1;     /* a connection of its own, see below       */
} ngx_http_klaviyo_call_t;


/* besides the key's */
#define NGX_HTTP_KLAVIYO_HEADERS_MAX  16


/* NULL: already logged.  `account` outlives the transport. */
ngx_http_klaviyo_transport_t *ngx_http_klaviyo_transport_create(
    ngx_http_klaviyo_account_t *account, ngx_log_t *log);

/* drops what is under way without calling `done`, closes everything */
void ngx_http_klaviyo_transport_destroy(
    ngx_http_klaviyo_transport_t *transport);

/*
 * Before an exchange: the transport, or another one in its place when a
 * request had no answer in time, and nothing else came meanwhile.  Its
 * connections may be dead: one of HTTP/2 would be kept after the time-out, the
 * idle ones of HTTP/1.1 would each cost another request its time.  What is
 * under way there ends there.
 */
ngx_http_klaviyo_transport_t *ngx_http_klaviyo_transport_renew(
    ngx_http_klaviyo_transport_t *transport);

/*
 * Starts an exchange, with the account's key, and returns at once.  NULL,
 * already logged: no handler is called.
 *
 * An exchange that may be paused asks for `http1`: on a shared connection of
 * HTTP/2 it would hold up the others.
 */
ngx_http_klaviyo_exchange_t *ngx_http_klaviyo_exchange_start(
    ngx_http_klaviyo_transport_t *transport, ngx_http_klaviyo_call_t *call,
    const ngx_http_klaviyo_handlers_t *handlers, void *data);

/* after NGX_AGAIN; `body` may be called from within */
void ngx_http_klaviyo_exchange_resume(ngx_http_klaviyo_exchange_t *exchange);

/* breaks it off: but for `free` nothing is called any more */
void ngx_http_klaviyo_exchange_cancel(ngx_http_klaviyo_exchange_t *exchange);

/* the same, since no answer came in time, see transport_renew() */
void ngx_http_klaviyo_exchange_expire(ngx_http_klaviyo_exchange_t *exchange);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_H */

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


/* the answer is the transport's and ends with the call */
typedef void (*ngx_http_klaviyo_answer_pt)(void *data,
    klaviyo_answer_t *answer);


/* in the worker, once: libcurl's global state, never in the master */
ngx_int_t ngx_http_klaviyo_transport_init_process(ngx_cycle_t *cycle);

/* in exit_process, after every transport was destroyed */
void ngx_http_klaviyo_transport_exit_process(ngx_cycle_t *cycle);

/* NULL: already logged.  `account` outlives the transport. */
ngx_http_klaviyo_transport_t *ngx_http_klaviyo_transport_create(
    ngx_http_klaviyo_account_t *account, ngx_log_t *log);

/* drops what is under way without calling its handlers, closes everything */
void ngx_http_klaviyo_transport_destroy(
    ngx_http_klaviyo_transport_t *transport);

/*
 * Starts a POST of a JSON:API body to `path` ("/api/events") and returns at
 * once; the handler is called later, exactly once, never from within this
 * call.  The body is the caller's and stays until then.  NGX_OK, or
 * NGX_ERROR (already logged): the handler will not be called.
 */
ngx_int_t ngx_http_klaviyo_transport_post(
    ngx_http_klaviyo_transport_t *transport, const char *path,
    const u_char *body, size_t len, ngx_http_klaviyo_answer_pt handler,
    void *data);


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_H */

/*
 * The deliverer of a fleet's queue.  Of all hosts one has the lease: it pulls
 * packs into a ring of its own, on which a sender works as on any other, and
 * settles what that has acknowledged.
 *
 *     fleet ─pull─▶ ring ─▶ sender ─▶ Klaviyo
 *       ▲                      │
 *       └───── settle ◀── acknowledged
 *
 * The ring is a copy: who loses the lease empties it, and the next one pulls
 * again what is not settled.
 */


#ifndef NGX_HTTP_KLAVIYO_PULLER_H
#define NGX_HTTP_KLAVIYO_PULLER_H


#include "account/ngx_http_klaviyo_account.h"
#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_lease.h"


typedef struct ngx_http_klaviyo_puller_s  ngx_http_klaviyo_puller_t;


/* as ngx_http_klaviyo_sender_create() and the rest of it */
ngx_http_klaviyo_puller_t *ngx_http_klaviyo_puller_create(
    ngx_http_klaviyo_account_t *account, klaviyo_lease_t *lease,
    klaviyo_stream_t *stream, ngx_event_t *wake, ngx_log_t *log);
void ngx_http_klaviyo_puller_destroy(ngx_http_klaviyo_puller_t *puller);
ngx_msec_t ngx_http_klaviyo_puller_run(ngx_http_klaviyo_puller_t *puller);


#endif /* NGX_HTTP_KLAVIYO_PULLER_H */

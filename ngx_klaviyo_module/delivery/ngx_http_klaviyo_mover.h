/*
 * What the holder of a queue's lease does in place of sending, if the account
 * shares its queue: it adds events to that of the fleet, in packs.
 *
 *     stream → packs → fleet → `done` → acknowledgement
 *
 * An event stays in the queue of its host until the fleet has settled it, so
 * destroying a mover at any moment loses nothing.  While the fleet is away for
 * longer than `away`, a sender of the host's own delivers.
 */


#ifndef NGX_HTTP_KLAVIYO_MOVER_H
#define NGX_HTTP_KLAVIYO_MOVER_H


#include "account/ngx_http_klaviyo_account.h"
#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_lease.h"


typedef struct ngx_http_klaviyo_mover_s  ngx_http_klaviyo_mover_t;


/* as ngx_http_klaviyo_sender_create() and the rest of it */
ngx_http_klaviyo_mover_t *ngx_http_klaviyo_mover_create(
    ngx_http_klaviyo_account_t *account, klaviyo_lease_t *lease,
    klaviyo_stream_t *stream, ngx_event_t *wake, ngx_log_t *log);
void ngx_http_klaviyo_mover_destroy(ngx_http_klaviyo_mover_t *mover);
ngx_msec_t ngx_http_klaviyo_mover_run(ngx_http_klaviyo_mover_t *mover);


#endif /* NGX_HTTP_KLAVIYO_MOVER_H */

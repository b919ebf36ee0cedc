/*
 * The loop of the deliverer that holds an account's lease:
 *
 *     stream → batches → limiter → transport → answers → acknowledgement
 *
 * Batches keep the order of the ring and are acknowledged in it; their
 * requests may overtake each other; dead letters are on the disk first.  All
 * that is not yet acknowledged is in the queue still: destroying a sender at
 * any moment loses nothing.
 */


#ifndef NGX_HTTP_KLAVIYO_SENDER_H
#define NGX_HTTP_KLAVIYO_SENDER_H


#include "account/ngx_http_klaviyo_account.h"
#include "queue/klaviyo_stream.h"
#include "queue/klaviyo_lease.h"


typedef struct ngx_http_klaviyo_sender_s  ngx_http_klaviyo_sender_t;


/*
 * `stream` is what batches are filled from; `wake` is an event of the caller's
 * that is posted when an answer gives reason to run again.  NULL: already
 * logged.
 */
ngx_http_klaviyo_sender_t *ngx_http_klaviyo_sender_create(
    ngx_http_klaviyo_account_t *account, klaviyo_lease_t *lease,
    klaviyo_stream_t *stream, ngx_event_t *wake, ngx_log_t *log);

void ngx_http_klaviyo_sender_destroy(ngx_http_klaviyo_sender_t *sender);

/*
 * For who delivers for a fleet, right behind the create.  `moved` is called
 * when an event of those with sequences in [from, to) was put at the ring's end
 * and ends where it was.  Dead letters stay in memory: those there are, and
 * that so many bytes of them are elsewhere now.
 */
typedef void (*ngx_http_klaviyo_moved_pt)(void *data, uint64_t from,
    uint64_t to);

void ngx_http_klaviyo_sender_fleet(ngx_http_klaviyo_sender_t *sender,
    ngx_http_klaviyo_moved_pt moved, void *data);
void ngx_http_klaviyo_sender_letters(ngx_http_klaviyo_sender_t *sender,
    ngx_str_t *letters);
void ngx_http_klaviyo_sender_lettered(ngx_http_klaviyo_sender_t *sender,
    size_t bytes);

/*
 * Does what can be done now and returns the milliseconds until there may be
 * more, or 0: the lease is somebody else's, destroy the sender.
 */
ngx_msec_t ngx_http_klaviyo_sender_run(ngx_http_klaviyo_sender_t *sender);


#endif /* NGX_HTTP_KLAVIYO_SENDER_H */

/*
 * Events that did not get their queue's lock in time.
 *
 * Who has the lock may not run: a processor that is busy with others, a
 * process that was stopped.  Until it does, events wait in this worker's
 * memory, and are appended in their order.
 */


#ifndef NGX_HTTP_KLAVIYO_LATE_H
#define NGX_HTTP_KLAVIYO_LATE_H


#include "account/ngx_http_klaviyo_account.h"


/* room for what may wait; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_klaviyo_late_init_process(ngx_cycle_t *cycle);

/*
 * Appends to the account's queue, now or as soon as its lock is to be had.
 * As klaviyo_ring_append(); OK also for what waits, BUSY when that has no
 * room.
 */
klaviyo_ring_rc_e ngx_http_klaviyo_append(ngx_http_klaviyo_account_t *account,
    const klaviyo_event_t *event);

/* What waits at the end of a worker is appended within half a second, or lost
   and counted. */
void ngx_http_klaviyo_late_exit_process(void);

/* why a ring did not take an event, which it or this function counts */
const char *ngx_http_klaviyo_append_refused(
    ngx_http_klaviyo_account_t *account, klaviyo_ring_rc_e rc);


#endif /* NGX_HTTP_KLAVIYO_LATE_H */

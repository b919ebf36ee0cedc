/*
 * The ring of events that wait: its lease and its steps, in the process that
 * has the lease of the account's queue.  Without a setting `hold` all of it
 * does nothing.
 */


#include "ngx_http_klaviyo_holder.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_file.h"


#define NGX_HTTP_KLAVIYO_HOLD_STEP  2000   /* records at a time              */


void
ngx_http_klaviyo_holder_init(ngx_http_klaviyo_holder_t *holder,
    ngx_http_klaviyo_account_t *account, ngx_log_t *log)
{
    holder->account = account;
    holder->log = log;
    holder->hold = NULL;

    holder->lease.ring = account->hold_ring;
    holder->lease.fd = -1;
    holder->lease.held = 0;
}


void
ngx_http_klaviyo_holder_verify(ngx_http_klaviyo_holder_t *holder)
{
    char               error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_rc_e  rc;

    if (holder->account->hold_ring == NULL) {
        return;
    }

    rc = klaviyo_ring_verify(holder->account->hold_ring, error);

    if (error[0]) {
        ngx_log_error(NGX_LOG_CRIT, holder->log, 0,
                      "events of klaviyo account \"%V\" that wait for their "
                      "visitor: %s", &holder->account->name, error);
    }

    if (rc != KLAVIYO_RING_OK) {
        ngx_http_klaviyo_holder_close(holder);
    }
}


ngx_uint_t
ngx_http_klaviyo_holder_run(ngx_http_klaviyo_holder_t *holder)
{
    int64_t                      now;
    ngx_err_t                    err;
    ngx_time_t                  *tp;
    klaviyo_ring_rc_e            rc;
    ngx_http_klaviyo_account_t  *account;

    account = holder->account;

    if (account->hold_ring == NULL) {
        return 0;
    }

    if (holder->lease.fd == -1) {
        err = klaviyo_lease_open(&holder->lease, account->hold_ring);

        if (err) {
            ngx_log_error(NGX_LOG_CRIT, holder->log, err,
                          "klaviyo account \"%V\": \"%V\" cannot be opened",
                          &account->name, &account->hold_path);
            return 0;
        }
    }

    rc = klaviyo_lease_renew(&holder->lease);

    /* another process was at it: what is known here is old */

    if (holder->hold
        && (rc != KLAVIYO_RING_OK || holder->epoch != holder->lease.epoch))
    {
        klaviyo_hold_destroy(holder->hold);
        holder->hold = NULL;
    }

    if (rc != KLAVIYO_RING_OK) {
        return 0;
    }

    (void) klaviyo_ring_drain(account->hold_ring, holder->lease.epoch,
                              NGX_HTTP_KLAVIYO_HOLD_STEP);

    if (holder->hold == NULL) {
        holder->hold = klaviyo_hold_create(account->ring, account->hold_ring,
                                           (int64_t) account->hold);

        if (holder->hold == NULL) {
            return 0;
        }

        holder->epoch = holder->lease.epoch;
    }

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    return klaviyo_hold_run(holder->hold, holder->lease.epoch, now,
                            NGX_HTTP_KLAVIYO_HOLD_STEP);
}


void
ngx_http_klaviyo_holder_close(ngx_http_klaviyo_holder_t *holder)
{
    if (holder->hold) {
        klaviyo_hold_destroy(holder->hold);
        holder->hold = NULL;
    }

    if (holder->lease.ring) {
        klaviyo_ring_drain_leave(holder->lease.ring);
        klaviyo_lease_close(&holder->lease);
    }
}

/*
 * The ring of events that wait: its lease and its steps, in the process that
 * has the lease of the account's queue.  Without a setting `hold` all of it
 * does nothing.
 */


#include "ngx_http_klaviyo_held.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_file.h"


#define NGX_HTTP_KLAVIYO_HOLD_STEP  2000   /* records at a time              */


void
ngx_http_klaviyo_held_init(ngx_http_klaviyo_held_t *held,
    ngx_http_klaviyo_account_t *account, ngx_log_t *log)
{
    held->account = account;
    held->log = log;
    held->hold = NULL;

    held->lease.ring = account->hold_ring;
    held->lease.fd = -1;
    held->lease.held = 0;
}


void
ngx_http_klaviyo_held_verify(ngx_http_klaviyo_held_t *held)
{
    char               error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_rc_e  rc;

    if (held->account->hold_ring == NULL) {
        return;
    }

    rc = klaviyo_ring_verify(held->account->hold_ring, error);

    if (error[0]) {
        ngx_log_error(NGX_LOG_CRIT, held->log, 0,
                      "events of klaviyo account \"%V\" that wait for their "
                      "visitor: %s", &held->account->name, error);
    }

    if (rc != KLAVIYO_RING_OK) {
        ngx_http_klaviyo_held_close(held);
    }
}


ngx_uint_t
ngx_http_klaviyo_held_run(ngx_http_klaviyo_held_t *held)
{
    int64_t                      now;
    ngx_err_t                    err;
    ngx_time_t                  *tp;
    klaviyo_ring_rc_e            rc;
    ngx_http_klaviyo_account_t  *account;

    account = held->account;

    if (account->hold_ring == NULL) {
        return 0;
    }

    if (held->lease.fd == -1) {
        err = klaviyo_lease_open(&held->lease, account->hold_ring);

        if (err) {
            ngx_log_error(NGX_LOG_CRIT, held->log, err,
                          "klaviyo account \"%V\": \"%V\" cannot be opened",
                          &account->name, &account->hold_path);
            return 0;
        }
    }

    rc = klaviyo_lease_renew(&held->lease);

    /* another process was at it: what is known here is old */

    if (held->hold
        && (rc != KLAVIYO_RING_OK || held->epoch != held->lease.epoch))
    {
        klaviyo_hold_destroy(held->hold);
        held->hold = NULL;
    }

    if (rc != KLAVIYO_RING_OK) {
        return 0;
    }

    (void) klaviyo_ring_drain(account->hold_ring, held->lease.epoch,
                              NGX_HTTP_KLAVIYO_HOLD_STEP);

    if (held->hold == NULL) {
        held->hold = klaviyo_hold_create(account->ring, account->hold_ring,
                                           (int64_t) account->hold);

        if (held->hold == NULL) {
            return 0;
        }

        held->epoch = held->lease.epoch;
    }

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    return klaviyo_hold_run(held->hold, held->lease.epoch, now,
                            NGX_HTTP_KLAVIYO_HOLD_STEP);
}


void
ngx_http_klaviyo_held_close(ngx_http_klaviyo_held_t *held)
{
    if (held->hold) {
        klaviyo_hold_destroy(held->hold);
        held->hold = NULL;
    }

    if (held->lease.ring) {
        klaviyo_ring_drain_leave(held->lease.ring);
        klaviyo_lease_close(&held->lease);
    }
}

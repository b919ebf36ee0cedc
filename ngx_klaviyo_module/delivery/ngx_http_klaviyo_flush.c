/*
 * Delivery: what the spooler does step by step beside an event loop, done at
 * once by a process that has none any more.
 */


#include "ngx_http_klaviyo_flush.h"

#include "account/ngx_http_klaviyo_attach.h"
#include "account/ngx_http_klaviyo_spool.h"
#include "queue/klaviyo_lease.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_spool_chunk.h"
#include "queue/klaviyo_spool_open.h"
#include "ngx_http_klaviyo_disk.h"


#define NGX_HTTP_KLAVIYO_FLUSH_PLANS  4   /* tries to make the spool ours     */
#define NGX_HTTP_KLAVIYO_FLUSH_DRAIN  10000   /* events taken over at a time  */


static ngx_uint_t ngx_http_klaviyo_flush_wanted(
    ngx_http_klaviyo_main_conf_t *kmcf);
static void ngx_http_klaviyo_flush_accounts(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf);
static void ngx_http_klaviyo_flush_account(ngx_cycle_t *cycle,
    ngx_http_klaviyo_account_t *account);
static void ngx_http_klaviyo_flush_ring(ngx_cycle_t *cycle,
    ngx_http_klaviyo_account_t *account, klaviyo_spool_t *spool,
    klaviyo_lease_t *lease);
static ngx_int_t ngx_http_klaviyo_flush_adopt(
    ngx_http_klaviyo_account_t *account, klaviyo_spool_t *spool,
    klaviyo_lease_t *lease, klaviyo_cursor_t *copied, char *error);
static ngx_int_t ngx_http_klaviyo_flush_write(
    ngx_http_klaviyo_account_t *account, klaviyo_spool_t *spool,
    klaviyo_cursor_t *copied, uint64_t *n, char *error);


void
ngx_http_klaviyo_flush(ngx_cycle_t *cycle, ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_pid_t  pid;

    if (!ngx_http_klaviyo_flush_wanted(kmcf)) {
        return;
    }

    pid = ngx_http_klaviyo_user_fork(&kmcf->user, cycle->log);

    if (pid == 0) {

        if (ngx_http_klaviyo_attach_enter(cycle, kmcf) == NGX_OK) {
            ngx_http_klaviyo_flush_accounts(cycle, kmcf);
        }

        _exit(0);
    }

    if (pid != NGX_INVALID_PID) {
        ngx_http_klaviyo_user_wait(pid);
    }
}


/* 1: there is a ring that nobody else has, and a spool for it */

static ngx_uint_t
ngx_http_klaviyo_flush_wanted(ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_uint_t                    i;
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->queues.elts;

    for (i = 0; i < kmcf->queues.nelts; i++) {

        if (account[i]->ring && account[i]->spool.len
            && klaviyo_ring_alone(account[i]->ring))
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_klaviyo_flush_accounts(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_uint_t                    i;
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->queues.elts;

    for (i = 0; i < kmcf->queues.nelts; i++) {

        if (account[i]->ring && account[i]->spool.len
            && klaviyo_ring_alone(account[i]->ring))
        {
            ngx_http_klaviyo_flush_account(cycle, account[i]);
        }
    }
}


static void
ngx_http_klaviyo_flush_account(ngx_cycle_t *cycle,
    ngx_http_klaviyo_account_t *account)
{
    char                  error[KLAVIYO_RING_ERROR_MAX];
    char                  note[KLAVIYO_RING_ERROR_MAX];
    klaviyo_lease_t       lease;
    klaviyo_spool_t      *spool;
    klaviyo_ring_span_t   span;
    klaviyo_spool_conf_t  conf;

    if (klaviyo_ring_verify(account->ring, error) != KLAVIYO_RING_OK) {
        return;
    }

    if (klaviyo_lease_open(&lease, account->ring) != 0) {
        return;
    }

    if (klaviyo_lease_renew(&lease) != KLAVIYO_RING_OK) {
        klaviyo_lease_close(&lease);
        return;
    }

    /* takes the leases of old rings: what is theirs is adopted first */

    (void) klaviyo_ring_drain(account->ring, lease.epoch, 0);

    if (klaviyo_ring_span(account->ring, &span) == KLAVIYO_RING_OK
        && (span.first.seq < span.end.seq
            || klaviyo_ring_drains(account->ring)))
    {
        (void) ngx_cpystrn((u_char *) error, (u_char *) "HMAC failed",
                           sizeof(error));

        if (ngx_http_klaviyo_spool_conf(account, &conf) == NGX_OK
            && klaviyo_spool_open(&spool, &conf, error, note)
               == KLAVIYO_SPOOL_OK)
        {
            ngx_http_klaviyo_flush_ring(cycle, account, spool, &lease);
            klaviyo_spool_close(spool);

        } else {
            ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                          "klaviyo account \"%V\": %s: unsent events stay in "
                          "the queue \"%V\", which a reboot may empty",
                          &account->name, error, &account->queue);
        }
    }

    klaviyo_lease_close(&lease);
}


static void
ngx_http_klaviyo_flush_ring(ngx_cycle_t *cycle,
    ngx_http_klaviyo_account_t *account, klaviyo_spool_t *spool,
    klaviyo_lease_t *lease)
{
    char              error[KLAVIYO_RING_ERROR_MAX];
    uint64_t          n;
    ngx_int_t         rc;
    klaviyo_cursor_t  copied;

    n = 0;

    rc = ngx_http_klaviyo_flush_adopt(account, spool, lease, &copied, error);

    while (rc == NGX_OK) {
        rc = ngx_http_klaviyo_flush_write(account, spool, &copied, &n, error);

        /* room for what a ring of another size still has */

        if (rc != NGX_OK
            || !klaviyo_ring_drains(account->ring)
            || klaviyo_ring_release(account->ring, lease->epoch, &copied)
               != KLAVIYO_RING_OK
            || klaviyo_ring_drain(account->ring, lease->epoch,
                                  NGX_HTTP_KLAVIYO_FLUSH_DRAIN)
               == 0)
        {
            break;
        }
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "klaviyo account \"%V\": %s: unsent events stay in the "
                      "queue \"%V\", which a reboot may empty",
                      &account->name, error, &account->queue);
    }

    if (n) {
        klaviyo_ring_count(account->ring, KLAVIYO_COUNT_SPOOL_EVENTS, n);

        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "klaviyo account \"%V\": %uL unsent events were written "
                      "to the spool \"%V\"",
                      &account->name, n, &account->spool);
    }
}


static ngx_int_t
ngx_http_klaviyo_flush_adopt(ngx_http_klaviyo_account_t *account,
    klaviyo_spool_t *spool, klaviyo_lease_t *lease, klaviyo_cursor_t *copied,
    char *error)
{
    uint64_t               n;
    ngx_uint_t             i;
    klaviyo_spill_plan_t   plan;
    klaviyo_spool_state_t  state;

    for (i = 0; i < NGX_HTTP_KLAVIYO_FLUSH_PLANS; i++) {

        klaviyo_spool_state(spool, &state);

        switch (klaviyo_spill_plan(account->ring, &state, &plan)) {

        case KLAVIYO_SPILL_READY:

            if (plan.release
                && klaviyo_ring_release(account->ring, lease->epoch,
                                        &plan.copied)
                   != KLAVIYO_RING_OK)
            {
                break;
            }

            *copied = plan.copied;
            return NGX_OK;

        case KLAVIYO_SPILL_ADOPT:

            if (klaviyo_spool_adopt(spool, plan.ring, plan.first, plan.from,
                                    plan.to, plan.adoption, &n, error)
                != KLAVIYO_SPOOL_OK)
            {
                return NGX_ERROR;
            }

            (void) klaviyo_spill_adopted(account->ring, lease->epoch, &plan,
                                         n);
            continue;

        default:
            break;
        }

        break;
    }

    (void) ngx_snprintf((u_char *) error, KLAVIYO_RING_ERROR_MAX,
                        "the spool \"%V\" is another queue's%Z",
                        &account->spool);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_klaviyo_flush_write(ngx_http_klaviyo_account_t *account,
    klaviyo_spool_t *spool, klaviyo_cursor_t *copied, uint64_t *n,
    char *error)
{
    klaviyo_chunk_t      chunk;
    klaviyo_ring_rc_e    rc;
    klaviyo_spool_rc_e   written;
    klaviyo_ring_span_t  span;

    if (klaviyo_ring_span(account->ring, &span) != KLAVIYO_RING_OK) {
        return NGX_OK;
    }

    ngx_memzero(&chunk, sizeof(klaviyo_chunk_t));

    written = klaviyo_spool_forget(spool, span.done, error);

    while (written == KLAVIYO_SPOOL_OK) {

        klaviyo_chunk_reset(&chunk);

        rc = klaviyo_spill_copy(account->ring, copied, &chunk);

        if (rc == KLAVIYO_RING_ERROR) {
            (void) ngx_snprintf((u_char *) error, KLAVIYO_RING_ERROR_MAX,
                                "no memory%Z");
            written = KLAVIYO_SPOOL_ERROR;
            break;
        }

        if (rc != KLAVIYO_RING_OK) {
            break;
        }

        written = klaviyo_spool_write(spool, &chunk, copied->position, error);

        if (written == KLAVIYO_SPOOL_OK) {
            *n += chunk.events;
        }

        if (written == KLAVIYO_SPOOL_FULL) {
            (void) ngx_snprintf((u_char *) error, KLAVIYO_RING_ERROR_MAX,
                                "the spool \"%V\" is full%Z",
                                &account->spool);
        }
    }

    klaviyo_chunk_free(&chunk);

    return written == KLAVIYO_SPOOL_OK ? NGX_OK : NGX_ERROR;
}

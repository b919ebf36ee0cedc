/*
 * Delivery: the spooler's steps, one at a time.  Events are written while the
 * ring is too full, or within `sync`; events are read that the sender asks
 * for; what is finished is forgotten.
 */


#include "ngx_http_klaviyo_spooler_private.h"


#define NGX_HTTP_KLAVIYO_SPOOLER_FULL    60    /* per cent of the ring: spill */
#define NGX_HTTP_KLAVIYO_SPOOLER_ENOUGH  50    /* until it is down to that    */
#define NGX_HTTP_KLAVIYO_SPOOLER_FORGET  1000  /* ms between commits of what  */
                                               /* is finished                 */


static ngx_uint_t ngx_http_klaviyo_spooler_due(
    ngx_http_klaviyo_spooler_t *spooler, klaviyo_ring_span_t *span,
    ngx_msec_t *wait);
static void ngx_http_klaviyo_spooler_rewind(
    ngx_http_klaviyo_spooler_t *spooler, klaviyo_ring_span_t *span);


void
ngx_http_klaviyo_spooler_step(ngx_http_klaviyo_spooler_t *spooler,
    ngx_msec_t *wait)
{
    ngx_msec_t                   passed;
    klaviyo_chunk_t             *chunk;
    klaviyo_ring_rc_e            rc;
    klaviyo_ring_span_t          span;
    ngx_http_klaviyo_account_t  *account;

    account = spooler->account;

    if (klaviyo_ring_span(account->ring, &span) != KLAVIYO_RING_OK) {
        return;
    }

    if (ngx_http_klaviyo_spooler_due(spooler, &span, wait)
        && ngx_http_klaviyo_spooler_may(spooler, NGX_HTTP_KLAVIYO_DISK_WRITE,
                                        wait))
    {
        chunk = ngx_http_klaviyo_disk_chunk(spooler->disk);

        klaviyo_chunk_reset(chunk);

        rc = klaviyo_spill_copy(account->ring, &spooler->copied, chunk);

        /* what the chunk had no room for is due at once */

        if (spooler->copied.seq >= span.end.seq) {
            spooler->written = ngx_current_msec;
        }

        if (rc == KLAVIYO_RING_OK
            && ngx_http_klaviyo_disk_write(spooler->disk,
                                           spooler->copied.position,
                                           span.done)
               == NGX_OK)
        {
            return;
        }

        if (rc != KLAVIYO_RING_EMPTY) {
            ngx_http_klaviyo_spooler_later(spooler,
                                           NGX_HTTP_KLAVIYO_DISK_WRITE);
            ngx_http_klaviyo_spooler_rewind(spooler, &span);

        } else {

            /* `sync` has written it all before */

            ngx_http_klaviyo_spooler_written(spooler);
        }
    }

    if (spooler->feed.wanted >= span.first.seq) {
        spooler->feed.wanted = 0;
    }

    if (spooler->feed.wanted
        && ngx_http_klaviyo_spooler_may(spooler, NGX_HTTP_KLAVIYO_DISK_READ,
                                        wait))
    {
        if (ngx_http_klaviyo_disk_read(spooler->disk, spooler->feed.wanted)
            != NGX_OK)
        {
            ngx_http_klaviyo_spooler_later(spooler,
                                           NGX_HTTP_KLAVIYO_DISK_READ);
        }

        return;
    }

    if (span.done <= spooler->state.head
        || spooler->state.head >= spooler->state.tail)
    {
        return;
    }

    passed = ngx_current_msec - spooler->forgotten;

    if (passed < NGX_HTTP_KLAVIYO_SPOOLER_FORGET) {
        *wait = ngx_min(*wait, NGX_HTTP_KLAVIYO_SPOOLER_FORGET - passed);
        return;
    }

    spooler->forgotten = ngx_current_msec;

    (void) ngx_http_klaviyo_disk_forget(spooler->disk, span.done);
}


/* 1: there is to be written now */

static ngx_uint_t
ngx_http_klaviyo_spooler_due(ngx_http_klaviyo_spooler_t *spooler,
    klaviyo_ring_span_t *span, ngx_msec_t *wait)
{
    ngx_msec_t  sync, passed;

    if (span->used * 100 >= span->size * NGX_HTTP_KLAVIYO_SPOOLER_FULL) {
        spooler->spilling = 1;

    } else if (span->used * 100
               <= span->size * NGX_HTTP_KLAVIYO_SPOOLER_ENOUGH)
    {
        spooler->spilling = 0;
    }

    if (spooler->spilling) {
        return 1;
    }

    /* half of the time for waiting, half for the disk */

    sync = spooler->account->spool_sync / 2;

    if (spooler->copied.position == span->end.position) {

        if (sync) {
            *wait = ngx_min(*wait, sync);
        }

        return 0;
    }

    if (span->removed) {
        return 1;
    }

    if (sync == 0) {
        return 0;
    }

    passed = ngx_current_msec - spooler->written;

    if (passed >= sync) {
        return 1;
    }

    *wait = ngx_min(*wait, sync - passed);

    return 0;
}


/* on the disk and committed: now the ring may forget them */

void
ngx_http_klaviyo_spooler_written(ngx_http_klaviyo_spooler_t *spooler)
{
    klaviyo_ring_rc_e            rc;
    klaviyo_ring_span_t          span;
    ngx_http_klaviyo_account_t  *account;

    account = spooler->account;

    if (!spooler->spilling
        || klaviyo_ring_span(account->ring, &span) != KLAVIYO_RING_OK
        || span.first.seq >= spooler->copied.seq)
    {
        return;
    }

    rc = klaviyo_ring_release(account->ring, spooler->lease->epoch,
                              &spooler->copied);

    if (rc == KLAVIYO_RING_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, spooler->log, 0,
                      "klaviyo account \"%V\": the spool is written up to "
                      "%uL, which is not in the queue",
                      &account->name, spooler->copied.seq);
    }
}


/* at `size`: what the account's `full` says */

void
ngx_http_klaviyo_spooler_full(ngx_http_klaviyo_spooler_t *spooler)
{
    uint64_t                     second;
    klaviyo_ring_span_t          span;
    ngx_http_klaviyo_account_t  *account;

    account = spooler->account;

    klaviyo_ring_count(account->ring, KLAVIYO_COUNT_SPOOL_FULL, 1);

    second = ngx_http_klaviyo_disk_second(spooler->disk);

    if (klaviyo_ring_span(account->ring, &span) != KLAVIYO_RING_OK) {
        return;
    }

    ngx_http_klaviyo_spooler_rewind(spooler, &span);

    /* `sync` may have written before what the ring has no room for now */

    ngx_http_klaviyo_spooler_written(spooler);

    if (klaviyo_ring_span(account->ring, &span) != KLAVIYO_RING_OK) {
        return;
    }

    if (account->queue_full && second <= span.first.seq
        && second > span.done
        && klaviyo_ring_lose(account->ring, spooler->lease->epoch, second,
                             KLAVIYO_OUTCOME_LOST_SPOOL_FULL)
           == KLAVIYO_RING_OK)
    {
        ngx_http_klaviyo_report(&spooler->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_SPOOL_FULL,
                                "the spool is full: its oldest events are "
                                "dropped");

        if (ngx_http_klaviyo_disk_forget(spooler->disk, second) == NGX_OK) {
            spooler->failed &= ~((ngx_uint_t) 1
                                 << NGX_HTTP_KLAVIYO_DISK_WRITE);
        }

        return;
    }

    ngx_http_klaviyo_report(&spooler->report, NGX_LOG_ERR,
                            NGX_HTTP_KLAVIYO_REPORT_SPOOL_FULL,
                            "the spool is full: when the queue is full too, "
                            "new events will be dropped");
}


void
ngx_http_klaviyo_spooler_read(ngx_http_klaviyo_spooler_t *spooler)
{
    klaviyo_chunk_t      chunk, *read;
    klaviyo_ring_span_t  span;

    read = ngx_http_klaviyo_disk_chunk(spooler->disk);

    chunk = spooler->ahead;
    spooler->ahead = *read;
    *read = chunk;

    if (spooler->ahead.to - spooler->ahead.from > spooler->ahead.events) {
        ngx_http_klaviyo_report(&spooler->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_SPOOL_LOST,
                                "events in the spool cannot be read: those "
                                "that the queue has no more are lost");
    }

    if (spooler->ahead.to > spooler->feed.wanted
        || klaviyo_ring_span(spooler->account->ring, &span)
           != KLAVIYO_RING_OK)
    {
        spooler->feed.wanted = 0;
        return;
    }

    /* the spool knows nothing of them */

    ngx_http_klaviyo_spooler_lose(spooler, span.first.seq,
                                  "events in the spool are missing and lost");
    spooler->feed.wanted = 0;
}


/* nothing was committed: the ring has what was to be written */

void
ngx_http_klaviyo_spooler_failed(ngx_http_klaviyo_spooler_t *spooler)
{
    klaviyo_ring_span_t  span;

    klaviyo_ring_count(spooler->account->ring, KLAVIYO_COUNT_SPOOL_ERRORS, 1);

    ngx_http_klaviyo_report(&spooler->report, NGX_LOG_CRIT,
                            NGX_HTTP_KLAVIYO_REPORT_SPOOL,
                            ngx_http_klaviyo_disk_error(spooler->disk));

    if (klaviyo_ring_span(spooler->account->ring, &span) != KLAVIYO_RING_OK) {
        return;
    }

    if (spooler->open && !ngx_http_klaviyo_disk_is_open(spooler->disk)) {

        spooler->open = 0;
        spooler->settled = 0;
        spooler->gone = 1;

        /* as if all of it had been read: the sender counts what is missing */

        klaviyo_chunk_reset(&spooler->ahead);
        spooler->ahead.from = span.done;
        spooler->ahead.to = span.first.seq;
        spooler->feed.wanted = 0;

        return;
    }

    if (spooler->settled) {
        ngx_http_klaviyo_spooler_rewind(spooler, &span);
    }
}


/* what was copied and not committed is copied again */

static void
ngx_http_klaviyo_spooler_rewind(ngx_http_klaviyo_spooler_t *spooler,
    klaviyo_ring_span_t *span)
{
    spooler->copied = span->first;

    if (spooler->state.tail > span->first.seq) {
        spooler->copied.seq = spooler->state.tail;
        spooler->copied.position = spooler->state.position;
    }
}

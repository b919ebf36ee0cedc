/*
 * Delivery: what the deliverer's event loop decides about the spool.  What is
 * done on the disk stands in ngx_http_klaviyo_disk.c.
 *
 * Before the first step the spool is opened and made the ring's own.  Then,
 * one at a time: events are read that the sender asks for; events are written
 * while the ring is too full, or within `sync`; what is finished is
 * forgotten.  An error leaves everything where it is, and the step is tried
 * again.
 */


#include "ngx_http_klaviyo_spooler_private.h"


#define NGX_HTTP_KLAVIYO_SPOOLER_TICK     1000  /* ms                         */
#define NGX_HTTP_KLAVIYO_SPOOLER_RETRY    1000  /* ms after an error          */
#define NGX_HTTP_KLAVIYO_SPOOLER_PATIENT  2000  /* ms that delivery waits for */
                                                /* the spool to be opened     */
#define NGX_HTTP_KLAVIYO_SPOOLER_BUSY     30000 /* ms that another process    */
                                                /* may take to close it       */


static void ngx_http_klaviyo_spooler_done(void *data);
static void ngx_http_klaviyo_spooler_off(ngx_http_klaviyo_spooler_t *spooler);
static void ngx_http_klaviyo_spooler_old(ngx_http_klaviyo_spooler_t *spooler);
static ngx_int_t ngx_http_klaviyo_spooler_settle(
    ngx_http_klaviyo_spooler_t *spooler);
static void ngx_http_klaviyo_spooler_adopted(
    ngx_http_klaviyo_spooler_t *spooler);


ngx_http_klaviyo_spooler_t *
ngx_http_klaviyo_spooler_create(ngx_http_klaviyo_account_t *account,
    klaviyo_lease_t *lease, ngx_event_t *wake, ngx_log_t *log)
{
    ngx_http_klaviyo_spooler_t  *spooler;

    spooler = ngx_calloc(sizeof(ngx_http_klaviyo_spooler_t), log);
    if (spooler == NULL) {
        return NULL;
    }

    spooler->account = account;
    spooler->lease = lease;
    spooler->wake = wake;
    spooler->log = log;

    spooler->report.account = &account->name;
    spooler->report.log = log;

    spooler->feed.ring = account->ring;
    spooler->feed.chunk = &spooler->ahead;

    spooler->begun = ngx_current_msec;

    if (account->spool.len == 0) {
        return spooler;
    }

    spooler->disk = ngx_http_klaviyo_disk_create(account,
                                        ngx_http_klaviyo_spooler_done,
                                        spooler, log);
    if (spooler->disk == NULL) {
        ngx_free(spooler);
        return NULL;
    }

    return spooler;
}


void
ngx_http_klaviyo_spooler_destroy(ngx_http_klaviyo_spooler_t *spooler)
{
    if (spooler->disk) {
        ngx_http_klaviyo_disk_destroy(spooler->disk);
    }

    klaviyo_chunk_free(&spooler->ahead);

    ngx_free(spooler);
}


klaviyo_feed_t *
ngx_http_klaviyo_spooler_feed(ngx_http_klaviyo_spooler_t *spooler)
{
    return &spooler->feed;
}


ngx_uint_t
ngx_http_klaviyo_spooler_settled(ngx_http_klaviyo_spooler_t *spooler)
{
    return spooler->disk == NULL || spooler->settled;
}


ngx_uint_t
ngx_http_klaviyo_spooler_ready(ngx_http_klaviyo_spooler_t *spooler)
{
    klaviyo_ring_span_t  span;

    if (spooler->moved) {
        spooler->moved = 0;
        return 0;
    }

    if (ngx_http_klaviyo_spooler_settled(spooler) || spooler->gone) {
        return 1;
    }

    /* a disk that fails or hangs must not hold up what is in the ring */

    if (spooler->failed == 0
        && ngx_current_msec - spooler->begun
           < NGX_HTTP_KLAVIYO_SPOOLER_PATIENT)
    {
        return 0;
    }

    return klaviyo_ring_span(spooler->account->ring, &span)
           == KLAVIYO_RING_OK
           && span.done == span.first.seq;
}


ngx_msec_t
ngx_http_klaviyo_spooler_run(ngx_http_klaviyo_spooler_t *spooler)
{
    ngx_int_t                rc;
    ngx_msec_t               wait;
    klaviyo_ring_span_t      span;
    ngx_http_klaviyo_disk_e  what;

    wait = NGX_HTTP_KLAVIYO_SPOOLER_TICK;

    if (spooler->disk == NULL) {
        ngx_http_klaviyo_spooler_off(spooler);
        return wait;
    }

    if (ngx_http_klaviyo_disk_active(spooler->disk)) {
        return wait;
    }

    if (spooler->gone) {

        if (klaviyo_ring_span(spooler->account->ring, &span)
            != KLAVIYO_RING_OK
            || span.done < span.first.seq)
        {
            return wait;
        }

        spooler->gone = 0;
    }

    what = !spooler->open ? NGX_HTTP_KLAVIYO_DISK_OPEN
                          : NGX_HTTP_KLAVIYO_DISK_ADOPT;

    if (spooler->settled) {

        /* an adoption may have been cut in two before this was booked */

        if (klaviyo_ring_drain_moved(spooler->account->ring,
                                     spooler->state.previous)
            != KLAVIYO_RING_BUSY)
        {
            ngx_http_klaviyo_spooler_old(spooler);
        }

        ngx_http_klaviyo_spooler_step(spooler, &wait);

    } else if (ngx_http_klaviyo_spooler_may(spooler, what, &wait)) {

        rc = spooler->open ? ngx_http_klaviyo_spooler_settle(spooler)
                           : ngx_http_klaviyo_disk_open(spooler->disk);

        if (rc != NGX_OK) {
            ngx_http_klaviyo_spooler_later(spooler, what);
        }
    }

    return wait;
}


/* again until it is booked: the ring's lock may not be had, rings may come */

static void
ngx_http_klaviyo_spooler_off(ngx_http_klaviyo_spooler_t *spooler)
{
    klaviyo_ring_span_t  span;

    ngx_http_klaviyo_spooler_old(spooler);

    if (klaviyo_ring_span(spooler->account->ring, &span) == KLAVIYO_RING_OK
        && span.done < span.first.seq)
    {
        ngx_http_klaviyo_spooler_lose(spooler, span.first.seq,
                                      "the spool is off, and events that "
                                      "were in it are given up: its files "
                                      "are left for \"klaviyo-queue\" to "
                                      "export");
    }
}


/* what former rings have in a spool that is not this one */

static void
ngx_http_klaviyo_spooler_old(ngx_http_klaviyo_spooler_t *spooler)
{
    if (klaviyo_ring_drain_lose(spooler->account->ring)) {
        ngx_http_klaviyo_report(&spooler->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_SPOOL_LOST,
                                "events of a former queue were in another "
                                "spool and are given up: its files are left "
                                "for \"klaviyo-queue\" to export");
    }
}


ngx_uint_t
ngx_http_klaviyo_spooler_may(ngx_http_klaviyo_spooler_t *spooler,
    ngx_http_klaviyo_disk_e what, ngx_msec_t *wait)
{
    ngx_msec_t  passed;

    if ((spooler->failed & (1 << what)) == 0) {
        return 1;
    }

    passed = ngx_current_msec - spooler->tried[what];

    if (passed >= NGX_HTTP_KLAVIYO_SPOOLER_RETRY) {
        return 1;
    }

    *wait = ngx_min(*wait, NGX_HTTP_KLAVIYO_SPOOLER_RETRY - passed);

    return 0;
}


void
ngx_http_klaviyo_spooler_later(ngx_http_klaviyo_spooler_t *spooler,
    ngx_http_klaviyo_disk_e what)
{
    spooler->failed |= 1 << what;
    spooler->tried[what] = ngx_current_msec;
}


/* NGX_OK: it is settled, or a job is under way; NGX_AGAIN: later */

static ngx_int_t
ngx_http_klaviyo_spooler_settle(ngx_http_klaviyo_spooler_t *spooler)
{
    switch (klaviyo_spill_plan(spooler->account->ring, &spooler->state,
                               &spooler->plan))
    {

    case KLAVIYO_SPILL_READY:
        if (spooler->plan.release
            && klaviyo_ring_release(spooler->account->ring,
                                    spooler->lease->epoch,
                                    &spooler->plan.copied)
               == KLAVIYO_RING_BUSY)
        {
            return NGX_AGAIN;
        }

        spooler->copied = spooler->plan.copied;
        spooler->settled = 1;
        spooler->failed = 0;
        ngx_post_event(spooler->wake, &ngx_posted_next_events);
        return NGX_OK;

    case KLAVIYO_SPILL_ADOPT:
        return ngx_http_klaviyo_disk_adopt(spooler->disk, &spooler->plan);

    case KLAVIYO_SPILL_GONE:
        ngx_http_klaviyo_spooler_lose(spooler, spooler->plan.first,
                                  "events were in a spool that is not this "
                                  "account's any more, and are given up: its "
                                  "files are left for \"klaviyo-queue\" to "
                                  "export");
        return NGX_AGAIN;

    default: /* WAIT, DETACHED */
        return NGX_AGAIN;
    }
}


/* the end of a job; nothing else is under way */

static void
ngx_http_klaviyo_spooler_done(void *data)
{
    ngx_http_klaviyo_spooler_t  *spooler = data;

    klaviyo_spool_rc_e        rc;
    ngx_http_klaviyo_disk_e   what;
    ngx_http_klaviyo_disk_t  *disk;

    disk = spooler->disk;

    what = ngx_http_klaviyo_disk_result(disk, &rc, &spooler->state);

    if (!klaviyo_lease_valid(spooler->lease)) {
        return;
    }

    klaviyo_ring_set(spooler->account->ring, KLAVIYO_COUNT_SPOOL_USED,
                     spooler->state.used);

    klaviyo_ring_count(spooler->account->ring, KLAVIYO_COUNT_SPOOL_ABANDONED,
                       ngx_http_klaviyo_disk_abandoned(disk));

    if (rc == KLAVIYO_SPOOL_OK) {
        spooler->failed &= ~((ngx_uint_t) 1 << what);

        switch (what) {

        case NGX_HTTP_KLAVIYO_DISK_OPEN:
            spooler->open = 1;
            spooler->begun = ngx_current_msec;
            break;

        case NGX_HTTP_KLAVIYO_DISK_ADOPT:
            ngx_http_klaviyo_spooler_adopted(spooler);
            break;

        case NGX_HTTP_KLAVIYO_DISK_WRITE:
            klaviyo_ring_count(spooler->account->ring,
                               KLAVIYO_COUNT_SPOOL_EVENTS,
                               ngx_http_klaviyo_disk_count(disk));

            ngx_http_klaviyo_spooler_written(spooler);
            break;

        case NGX_HTTP_KLAVIYO_DISK_READ:
            ngx_http_klaviyo_spooler_read(spooler);
            break;

        default: /* NGX_HTTP_KLAVIYO_DISK_FORGET */
            break;
        }

    } else {

        /* BUSY: the deliverer before us closes it soon */

        ngx_http_klaviyo_spooler_later(spooler, what);

        if (rc == KLAVIYO_SPOOL_FULL) {
            ngx_http_klaviyo_spooler_full(spooler);

        } else if (rc == KLAVIYO_SPOOL_ERROR) {
            ngx_http_klaviyo_spooler_failed(spooler);

        } else if (ngx_current_msec - spooler->begun
                   >= NGX_HTTP_KLAVIYO_SPOOLER_BUSY)
        {
            ngx_http_klaviyo_report(&spooler->report, NGX_LOG_ERR,
                                    NGX_HTTP_KLAVIYO_REPORT_SPOOL,
                                    ngx_http_klaviyo_disk_error(disk));
        }
    }

    ngx_post_event(spooler->wake, &ngx_posted_events);
}


static void
ngx_http_klaviyo_spooler_adopted(ngx_http_klaviyo_spooler_t *spooler)
{
    uint64_t           n;
    klaviyo_ring_rc_e  rc;

    n = ngx_http_klaviyo_disk_count(spooler->disk);

    rc = klaviyo_spill_adopted(spooler->account->ring, spooler->lease->epoch,
                               &spooler->plan, n);

    /*
     * Else the next plan sees that it was cut in two.  Delivery may have gone
     * on meanwhile, and waits again.
     */

    spooler->begun = ngx_current_msec;

    if (rc == KLAVIYO_RING_OK) {
        spooler->moved = 1;

        if (n) {
            ngx_log_error(NGX_LOG_NOTICE, spooler->log, 0,
                          "klaviyo account \"%V\": %uL events from the spool "
                          "\"%V\" are queued again",
                          &spooler->account->name, n,
                          &spooler->account->spool);
        }
    }
}


void
ngx_http_klaviyo_spooler_lose(ngx_http_klaviyo_spooler_t *spooler,
    uint64_t to, const char *why)
{
    (void) klaviyo_ring_lose(spooler->account->ring, spooler->lease->epoch,
                             to, KLAVIYO_OUTCOME_LOST_SPOOL);

    ngx_http_klaviyo_report(&spooler->report, NGX_LOG_ERR,
                            NGX_HTTP_KLAVIYO_REPORT_SPOOL_LOST, why);
}

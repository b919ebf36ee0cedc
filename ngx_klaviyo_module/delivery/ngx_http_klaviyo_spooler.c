/*
 * Delivery: what the deliverer's event loop decides about the spool.  What is
 * done on the disk stands in ngx_http_klaviyo_disk.c.
 *
 *     CLOSED ──opened──▶ OPEN ──made the ring's own──▶ ADOPTED
 *        ▲                 │                              │
 *        │                 └──────removed from the disk───┤
 *        │                                                ▼
 *        └──────what only the spool had is lost───────── GONE
 *
 * ADOPTED, one step at a time: events are read that the sender asks for;
 * events are written while the ring is too full, or within `sync`; what is
 * finished is forgotten.  An error leaves everything where it is, and the step
 * is tried again.
 */


#include "ngx_http_klaviyo_spooler.h"
#include "ngx_http_klaviyo_disk.h"
#include "ngx_http_klaviyo_report.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_spool_chunk.h"


#define NGX_HTTP_KLAVIYO_SPOOLER_TICK     1000  /* ms                         */
#define NGX_HTTP_KLAVIYO_SPOOLER_RETRY    1000  /* ms after an error          */
#define NGX_HTTP_KLAVIYO_SPOOLER_PATIENT  2000  /* ms that delivery waits for */
                                                /* the spool to be opened     */
#define NGX_HTTP_KLAVIYO_SPOOLER_BUSY     30000 /* ms that another process    */
                                                /* may take to close it       */
#define NGX_HTTP_KLAVIYO_SPOOLER_FULL     60    /* per cent of the ring: copy */
#define NGX_HTTP_KLAVIYO_SPOOLER_ENOUGH   50    /* until it is down to that   */
#define NGX_HTTP_KLAVIYO_SPOOLER_FORGET   1000  /* ms between commits of what */
                                                /* is finished                */


typedef enum {
    NGX_HTTP_KLAVIYO_SPOOLER_CLOSED = 0,
    NGX_HTTP_KLAVIYO_SPOOLER_OPEN,
    NGX_HTTP_KLAVIYO_SPOOLER_ADOPTED,
    NGX_HTTP_KLAVIYO_SPOOLER_GONE
} ngx_http_klaviyo_spooler_stage_e;


struct ngx_http_klaviyo_spooler_s {
    ngx_http_klaviyo_account_t  *account;
    klaviyo_lease_t             *lease;
    ngx_event_t                 *wake;
    ngx_log_t                   *log;

    ngx_http_klaviyo_disk_t     *disk;       /* NULL: `spool off`            */
    klaviyo_stream_t             stream;
    klaviyo_chunk_t              ahead;      /* what the stream reads from   */

    klaviyo_spool_state_t        state;      /* after the last job           */
    klaviyo_spill_plan_t         plan;
    klaviyo_cursor_t             copied;     /* where copying goes on        */

    ngx_msec_t                   begun;      /* opening, then adopting       */
    ngx_msec_t                   written;    /* when copying began last      */
    ngx_msec_t                   forgotten;
    ngx_msec_t                   tried[NGX_HTTP_KLAVIYO_DISK_N];
    ngx_uint_t                   failed;     /* bits of these                */

    ngx_http_klaviyo_report_t    report;

    ngx_http_klaviyo_spooler_stage_e
                                 stage;

    unsigned                     moved:1;    /* the queue begins elsewhere   */
    unsigned                     spilling:1;
};


static void ngx_http_klaviyo_spooler_done(void *data);
static void ngx_http_klaviyo_spooler_off(ngx_http_klaviyo_spooler_t *spooler);
static void ngx_http_klaviyo_spooler_old(ngx_http_klaviyo_spooler_t *spooler);
static ngx_int_t ngx_http_klaviyo_spooler_adopt(
    ngx_http_klaviyo_spooler_t *spooler);
static void ngx_http_klaviyo_spooler_adopted(
    ngx_http_klaviyo_spooler_t *spooler);
static ngx_uint_t ngx_http_klaviyo_spooler_may(
    ngx_http_klaviyo_spooler_t *spooler, ngx_http_klaviyo_disk_e what,
    ngx_msec_t *wait);
static void ngx_http_klaviyo_spooler_later(
    ngx_http_klaviyo_spooler_t *spooler, ngx_http_klaviyo_disk_e what);
static void ngx_http_klaviyo_spooler_lose(ngx_http_klaviyo_spooler_t *spooler,
    uint64_t to, const char *why);
static void ngx_http_klaviyo_spooler_step(ngx_http_klaviyo_spooler_t *spooler,
    ngx_msec_t *wait);
static void ngx_http_klaviyo_spooler_written(
    ngx_http_klaviyo_spooler_t *spooler);
static void ngx_http_klaviyo_spooler_read(ngx_http_klaviyo_spooler_t *spooler);
static void ngx_http_klaviyo_spooler_full(ngx_http_klaviyo_spooler_t *spooler);
static void ngx_http_klaviyo_spooler_failed(
    ngx_http_klaviyo_spooler_t *spooler);
static ngx_uint_t ngx_http_klaviyo_spooler_due(
    ngx_http_klaviyo_spooler_t *spooler, klaviyo_ring_span_t *span,
    ngx_msec_t *wait);
static void ngx_http_klaviyo_spooler_rewind(
    ngx_http_klaviyo_spooler_t *spooler, klaviyo_ring_span_t *span);


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

    spooler->stream.ring = account->ring;
    spooler->stream.chunk = &spooler->ahead;

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


klaviyo_stream_t *
ngx_http_klaviyo_spooler_stream(ngx_http_klaviyo_spooler_t *spooler)
{
    return &spooler->stream;
}


ngx_uint_t
ngx_http_klaviyo_spooler_owns(ngx_http_klaviyo_spooler_t *spooler)
{
    return spooler->disk == NULL
           || spooler->stage == NGX_HTTP_KLAVIYO_SPOOLER_ADOPTED;
}


ngx_uint_t
ngx_http_klaviyo_spooler_ready(ngx_http_klaviyo_spooler_t *spooler)
{
    klaviyo_ring_span_t  span;

    if (spooler->moved) {
        spooler->moved = 0;
        return 0;
    }

    if (ngx_http_klaviyo_spooler_owns(spooler)
        || spooler->stage == NGX_HTTP_KLAVIYO_SPOOLER_GONE)
    {
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

    if (spooler->stage == NGX_HTTP_KLAVIYO_SPOOLER_GONE) {

        if (klaviyo_ring_span(spooler->account->ring, &span)
            != KLAVIYO_RING_OK
            || span.done < span.first.seq)
        {
            return wait;
        }

        spooler->stage = NGX_HTTP_KLAVIYO_SPOOLER_CLOSED;
    }

    what = (spooler->stage == NGX_HTTP_KLAVIYO_SPOOLER_CLOSED)
           ? NGX_HTTP_KLAVIYO_DISK_OPEN : NGX_HTTP_KLAVIYO_DISK_ADOPT;

    if (spooler->stage == NGX_HTTP_KLAVIYO_SPOOLER_ADOPTED) {

        /* an adoption may have been cut in two before this was booked */

        if (klaviyo_ring_drain_moved(spooler->account->ring,
                                     spooler->state.previous)
            != KLAVIYO_RING_BUSY)
        {
            ngx_http_klaviyo_spooler_old(spooler);
        }

        ngx_http_klaviyo_spooler_step(spooler, &wait);

    } else if (ngx_http_klaviyo_spooler_may(spooler, what, &wait)) {

        rc = (what == NGX_HTTP_KLAVIYO_DISK_OPEN)
             ? ngx_http_klaviyo_disk_open(spooler->disk)
             : ngx_http_klaviyo_spooler_adopt(spooler);

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


static ngx_uint_t
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


static void
ngx_http_klaviyo_spooler_later(ngx_http_klaviyo_spooler_t *spooler,
    ngx_http_klaviyo_disk_e what)
{
    spooler->failed |= 1 << what;
    spooler->tried[what] = ngx_current_msec;
}


/* NGX_OK: it is adopted, or a job is under way; NGX_AGAIN: later */

static ngx_int_t
ngx_http_klaviyo_spooler_adopt(ngx_http_klaviyo_spooler_t *spooler)
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
        spooler->stage = NGX_HTTP_KLAVIYO_SPOOLER_ADOPTED;
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
            spooler->stage = NGX_HTTP_KLAVIYO_SPOOLER_OPEN;
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


static void
ngx_http_klaviyo_spooler_lose(ngx_http_klaviyo_spooler_t *spooler,
    uint64_t to, const char *why)
{
    (void) klaviyo_ring_lose(spooler->account->ring, spooler->lease->epoch,
                             to, KLAVIYO_OUTCOME_LOST_SPOOL);

    ngx_http_klaviyo_report(&spooler->report, NGX_LOG_ERR,
                            NGX_HTTP_KLAVIYO_REPORT_SPOOL_LOST, why);
}


static void
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

    if (spooler->stream.wanted >= span.first.seq) {
        spooler->stream.wanted = 0;
    }

    if (spooler->stream.wanted
        && ngx_http_klaviyo_spooler_may(spooler, NGX_HTTP_KLAVIYO_DISK_READ,
                                        wait))
    {
        if (ngx_http_klaviyo_disk_read(spooler->disk, spooler->stream.wanted)
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

static void
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

static void
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


static void
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

    if (spooler->ahead.to > spooler->stream.wanted
        || klaviyo_ring_span(spooler->account->ring, &span)
           != KLAVIYO_RING_OK)
    {
        spooler->stream.wanted = 0;
        return;
    }

    /* the spool knows nothing of them */

    ngx_http_klaviyo_spooler_lose(spooler, span.first.seq,
                                  "events in the spool are missing and lost");
    spooler->stream.wanted = 0;
}


/* nothing was committed: the ring has what was to be written */

static void
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

    if (spooler->stage != NGX_HTTP_KLAVIYO_SPOOLER_CLOSED
        && !ngx_http_klaviyo_disk_is_open(spooler->disk))
    {
        spooler->stage = NGX_HTTP_KLAVIYO_SPOOLER_GONE;

        /* as if all of it had been read: the sender counts what is missing */

        klaviyo_chunk_reset(&spooler->ahead);
        spooler->ahead.from = span.done;
        spooler->ahead.to = span.first.seq;
        spooler->stream.wanted = 0;

        return;
    }

    if (spooler->stage == NGX_HTTP_KLAVIYO_SPOOLER_ADOPTED) {
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

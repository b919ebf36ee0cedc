/*
 * What is read, what is sent when, and what is given back to the ring.  What
 * an answer leads to stands in ngx_http_klaviyo_answer.c.
 */


#include "ngx_http_klaviyo_sender_private.h"
#include "ngx_http_klaviyo_answer.h"
#include "klaviyo_request.h"
#include "klaviyo_settle.h"
#include "klaviyo_spare.h"

#include "queue/klaviyo_clock.h"
#include "queue/klaviyo_crash.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_read.h"
#include "queue/klaviyo_ring_totals.h"
#include "ngx_http_klaviyo_sender.h"
#include "ngx_http_klaviyo_sender_state.h"
#include "ngx_http_klaviyo_transport_answer.h"


#define NGX_HTTP_KLAVIYO_BATCHES     4      /* read ahead of the answers     */
#define NGX_HTTP_KLAVIYO_ORDERED     2      /* where one goes at a time      */
#define NGX_HTTP_KLAVIYO_LOADS       2000   /* with those that are done, and
                                               events set aside              */
#define NGX_HTTP_KLAVIYO_STEP        100    /* events set aside, in a run    */
#define NGX_HTTP_KLAVIYO_TRANSFERS   8      /* at a time                     */
#define NGX_HTTP_KLAVIYO_ASIDES      4      /* of events set aside           */
#define NGX_HTTP_KLAVIYO_SLOW        2000   /* ms; who waits for longer holds
                                               up no other                   */
#define NGX_HTTP_KLAVIYO_HANGING     64     /* transfers, with those         */
#define NGX_HTTP_KLAVIYO_FEW         5      /* events that go one by one     */
#define NGX_HTTP_KLAVIYO_FAR         2000   /* ms, if their turn is beyond   */
#define NGX_HTTP_KLAVIYO_BUSY        10     /* ms, the ring's lock not had   */
#define NGX_HTTP_KLAVIYO_DRY_LINE    1800   /* bytes of a body in a line     */


static const char *ngx_http_klaviyo_sender_path(
    ngx_http_klaviyo_sender_t *sender, klaviyo_request_t *request);
static void ngx_http_klaviyo_sender_forget(ngx_http_klaviyo_sender_t *sender);
static ngx_int_t ngx_http_klaviyo_sender_health(
    ngx_http_klaviyo_sender_t *sender, int64_t now);
static ngx_int_t ngx_http_klaviyo_sender_expire(
    ngx_http_klaviyo_sender_t *sender);
static ngx_int_t ngx_http_klaviyo_sender_fill(
    ngx_http_klaviyo_sender_t *sender, int64_t now, int64_t *wait);
static int64_t ngx_http_klaviyo_sender_turn(
    ngx_http_klaviyo_sender_t *sender, int64_t now, ngx_uint_t *apart);
static int64_t ngx_http_klaviyo_sender_ask(
    ngx_http_klaviyo_sender_t *sender, ngx_uint_t single, ngx_uint_t how,
    int64_t now);
static ngx_int_t ngx_http_klaviyo_sender_close(
    ngx_http_klaviyo_sender_t *sender, ngx_uint_t apart);
static ngx_int_t ngx_http_klaviyo_sender_send(
    ngx_http_klaviyo_sender_t *sender, int64_t now, int64_t *wait);
static ngx_int_t ngx_http_klaviyo_sender_others(
    ngx_http_klaviyo_sender_t *sender, ngx_uint_t fresh, int64_t now,
    int64_t *wait);
static ngx_int_t ngx_http_klaviyo_sender_asides(
    ngx_http_klaviyo_sender_t *sender, int64_t now, int64_t *wait);
static ngx_uint_t ngx_http_klaviyo_sender_room(
    ngx_http_klaviyo_sender_t *sender, ngx_uint_t asides, ngx_uint_t max,
    int64_t now);
static ngx_int_t ngx_http_klaviyo_sender_try(
    ngx_http_klaviyo_sender_t *sender, ngx_http_klaviyo_load_t *load,
    klaviyo_request_t *request, int64_t now, int64_t *wait);
static ngx_int_t ngx_http_klaviyo_sender_post(
    ngx_http_klaviyo_sender_t *sender, ngx_http_klaviyo_load_t *load,
    klaviyo_request_t *request, int64_t now);
static ngx_int_t ngx_http_klaviyo_sender_dry_run(
    ngx_http_klaviyo_sender_t *sender, ngx_http_klaviyo_load_t *load,
    klaviyo_request_t *request);
static ngx_int_t ngx_http_klaviyo_sender_move(
    ngx_http_klaviyo_sender_t *sender);
static ngx_int_t ngx_http_klaviyo_sender_ack(
    ngx_http_klaviyo_sender_t *sender);


ngx_http_klaviyo_sender_t *
ngx_http_klaviyo_sender_create(ngx_http_klaviyo_account_t *account,
    klaviyo_lease_t *lease, klaviyo_stream_t *stream, ngx_event_t *wake,
    ngx_log_t *log)
{
    int64_t                     paused_until;
    ngx_http_klaviyo_sender_t  *sender;

    sender = ngx_calloc(sizeof(ngx_http_klaviyo_sender_t), log);
    if (sender == NULL) {
        return NULL;
    }

    sender->account = account;
    sender->lease = lease;
    sender->stream = stream;
    sender->wake = wake;
    sender->report.account = &account->name;
    sender->report.log = log;
    sender->bytes = account->batch_bytes;

    klaviyo_set_key(&sender->asides.key);

    ngx_queue_init(&sender->loads);
    ngx_queue_init(&sender->transfers);

    if (klaviyo_ring_drain_load(account->ring, &paused_until, &sender->saved,
                                sizeof(ngx_http_klaviyo_saved_t))
        == KLAVIYO_RING_DETACHED
        || klaviyo_ring_first(account->ring, &sender->cursor)
           != KLAVIYO_RING_OK)
    {
        ngx_free(sender);
        return NULL;
    }

    sender->dead = ngx_http_klaviyo_dead_create(account, &sender->report,
                                                wake);
    if (sender->dead == NULL) {
        ngx_free(sender);
        return NULL;
    }

    sender->unsure = sender->saved.sent;

    ngx_http_klaviyo_health_init(&sender->health, account, log);

    paused_until = ngx_min(paused_until, klaviyo_clock_boot()
                                         + KLAVIYO_REPLY_PAUSE_MAX * 1000);

    if (ngx_http_klaviyo_limits_open(&sender->limits, account,
                                     &sender->saved.limits, paused_until,
                                     wake, log)
        != NGX_OK)
    {
        ngx_http_klaviyo_dead_destroy(sender->dead);
        ngx_free(sender);
        return NULL;
    }

    /* of another ring, it is this one's from now on */

    (void) ngx_http_klaviyo_sender_save(sender);

    if (!account->dry_run) {
        sender->transport = ngx_http_klaviyo_transport_create(account, log);

        if (sender->transport == NULL) {
            ngx_http_klaviyo_limits_close(&sender->limits);
            ngx_http_klaviyo_dead_destroy(sender->dead);
            ngx_free(sender);
            return NULL;
        }
    }

    return sender;
}


void
ngx_http_klaviyo_sender_destroy(ngx_http_klaviyo_sender_t *sender)
{
    ngx_queue_t                  *q;
    ngx_http_klaviyo_transfer_t  *transfer;

    /* first the transfers: they point into bodies of batches */

    if (sender->transport) {
        ngx_http_klaviyo_transport_destroy(sender->transport);
    }

    while (!ngx_queue_empty(&sender->transfers)) {
        q = ngx_queue_head(&sender->transfers);
        transfer = ngx_queue_data(q, ngx_http_klaviyo_transfer_t, queue);

        ngx_queue_remove(q);
        ngx_free(transfer);
    }

    ngx_http_klaviyo_sender_forget(sender);
    ngx_http_klaviyo_limits_close(&sender->limits);
    ngx_http_klaviyo_dead_destroy(sender->dead);

    klaviyo_spare_drop();

    ngx_free(sender);
}


void
ngx_http_klaviyo_sender_fleet(ngx_http_klaviyo_sender_t *sender,
    ngx_http_klaviyo_moved_pt moved, void *data)
{
    sender->moved = moved;
    sender->moved_data = data;
}


void
ngx_http_klaviyo_sender_letters(ngx_http_klaviyo_sender_t *sender,
    ngx_str_t *letters)
{
    ngx_http_klaviyo_dead_letters(sender->dead, letters);
}


void
ngx_http_klaviyo_sender_lettered(ngx_http_klaviyo_sender_t *sender,
    size_t bytes)
{
    ngx_http_klaviyo_dead_forget(sender->dead, bytes);
}


static const char *
ngx_http_klaviyo_sender_path(ngx_http_klaviyo_sender_t *sender,
    klaviyo_request_t *request)
{
    return ngx_http_klaviyo_sender_single(sender, request)
           ? sender->account->lane->single : sender->account->lane->path;
}


/* what was read ahead: it is in the ring still */

static void
ngx_http_klaviyo_sender_forget(ngx_http_klaviyo_sender_t *sender)
{
    ngx_queue_t              *q;
    ngx_http_klaviyo_load_t  *load;

    while (!ngx_queue_empty(&sender->loads)) {
        q = ngx_queue_head(&sender->loads);
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        klaviyo_batch_destroy(load->batch);

        ngx_queue_remove(q);
        ngx_free(load);
    }

    if (sender->open) {
        klaviyo_batch_destroy(sender->open);
        sender->open = NULL;
    }
}


ngx_msec_t
ngx_http_klaviyo_sender_run(ngx_http_klaviyo_sender_t *sender)
{
    int64_t    now, wait;
    ngx_int_t  rc, acked;

    if (!klaviyo_lease_valid(sender->lease)) {
        return 0;
    }

    if (sender->active) {
        klaviyo_crash("after_send");
    }

    now = klaviyo_clock_boot();

    /* how soon an event is noticed: a tenth of what it may linger */

    wait = ngx_min(ngx_max(sender->account->batch_linger / 10, 10), 100);

    rc = ngx_http_klaviyo_sender_expire(sender);

    if (rc == NGX_OK) {
        rc = ngx_http_klaviyo_sender_fill(sender, now, &wait);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_klaviyo_sender_send(sender, now, &wait);
    }

    ngx_http_klaviyo_dead_run(sender->dead);

    /* whatever came of the others: what is finished is finished */

    acked = ngx_http_klaviyo_sender_move(sender);

    if (acked == NGX_OK) {
        acked = ngx_http_klaviyo_sender_ack(sender);
    }

    if (acked == NGX_OK) {
        acked = ngx_http_klaviyo_sender_health(sender, now);
    }

    if (acked != NGX_OK && rc != NGX_DECLINED) {
        rc = acked;
    }

    switch (rc) {

    case NGX_OK:
        return wait;

    case NGX_BUSY:
        return NGX_HTTP_KLAVIYO_BUSY;

    case NGX_DECLINED:
        return 0;

    default: /* NGX_ERROR, no memory */
        ngx_http_klaviyo_sender_no_memory(sender);
        return 1000;
    }
}


static ngx_int_t
ngx_http_klaviyo_sender_health(ngx_http_klaviyo_sender_t *sender, int64_t now)
{
    int64_t                   oldest;
    ngx_queue_t              *q;
    ngx_http_klaviyo_load_t  *load;

    if (!ngx_http_klaviyo_health_due(&sender->health)) {
        return NGX_OK;
    }

    oldest = sender->open ? klaviyo_batch_oldest(sender->open) : INT64_MAX;

    for (q = ngx_queue_head(&sender->loads);
         q != ngx_queue_sentinel(&sender->loads);
         q = ngx_queue_next(q))
    {
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        if (!klaviyo_batch_done(load->batch)) {
            oldest = ngx_min(oldest, klaviyo_batch_oldest(load->batch));
        }
    }

    switch (ngx_http_klaviyo_health_run(&sender->health, sender->lease->epoch,
                                        oldest == INT64_MAX ? 0 : oldest,
                                        klaviyo_breaker_state(&sender->breaker,
                                                              now)
                                        != KLAVIYO_BREAKER_CLOSED))
    {
    case KLAVIYO_RING_STALE:
    case KLAVIYO_RING_DETACHED:
        return NGX_DECLINED;

    default: /* busy: again in a moment */
        return NGX_OK;
    }
}


/*
 * Events grow old while they wait for another try.  With nothing under way
 * they are read again, and those that are too old end then.
 */

static ngx_int_t
ngx_http_klaviyo_sender_expire(ngx_http_klaviyo_sender_t *sender)
{
    int64_t                   oldest;
    ngx_queue_t              *q;
    klaviyo_cursor_t          first;
    ngx_http_klaviyo_load_t  *load;

    if (sender->active) {
        return NGX_OK;
    }

    oldest = ((int64_t) ngx_time() - sender->account->retry_max_age) * 1000;

    if (ngx_queue_empty(&sender->loads)) {

        if (sender->open == NULL
            || klaviyo_batch_oldest(sender->open) >= oldest)
        {
            return NGX_OK;
        }

    } else {
        q = ngx_queue_head(&sender->loads);
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        if (klaviyo_batch_done(load->batch)
            || klaviyo_batch_oldest(load->batch) >= oldest)
        {
            return NGX_OK;
        }
    }

    if (klaviyo_ring_first(sender->account->ring, &first) != KLAVIYO_RING_OK) {
        return NGX_DECLINED;
    }

    ngx_http_klaviyo_sender_forget(sender);

    sender->cursor = first;
    sender->unsure = sender->saved.sent;

    return NGX_OK;
}


/*
 * Reads the next batch, unless enough is read ahead or it is to linger; the
 * others have their turn after what else the loop has to do.
 */

static ngx_int_t
ngx_http_klaviyo_sender_fill(ngx_http_klaviyo_sender_t *sender, int64_t now,
    int64_t *wait)
{
    int64_t                      oldest, ms;
    ngx_uint_t                   n, loads, waiting, npending, most, apart;
    ngx_queue_t                 *q;
    klaviyo_ring_rc_e            rc;
    const klaviyo_batch_t       *pending[NGX_HTTP_KLAVIYO_BATCHES];
    ngx_http_klaviyo_load_t     *load;
    ngx_http_klaviyo_account_t  *account;

    account = sender->account;
    most = account->lane->head ? NGX_HTTP_KLAVIYO_ORDERED
                               : NGX_HTTP_KLAVIYO_BATCHES;
    oldest = ((int64_t) ngx_time() - account->retry_max_age) * 1000;

    loads = 0;
    waiting = 0;
    npending = 0;

    for (q = ngx_queue_head(&sender->loads);
         q != ngx_queue_sentinel(&sender->loads);
         q = ngx_queue_next(q))
    {
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        loads++;
        waiting += !klaviyo_batch_aside(load->batch)
                   && !klaviyo_batch_done(load->batch);

        if (!klaviyo_batch_done(load->batch)
            && npending < NGX_HTTP_KLAVIYO_BATCHES)
        {
            pending[npending++] = load->batch;
        }
    }

    if (waiting >= most
        || ngx_http_klaviyo_dead_full(sender->dead))
    {
        return NGX_OK;
    }

    for (n = 0; loads + n < NGX_HTTP_KLAVIYO_LOADS; n++) {

        if (sender->open == NULL) {

            if (klaviyo_ring_ahead(account->ring, &sender->cursor) == 0) {
                return NGX_OK;
            }

            sender->open = klaviyo_batch_create(&sender->cursor,
                                                sender->account->lane);
            if (sender->open == NULL) {
                return NGX_ERROR;
            }

            if (sender->cursor.seq < sender->unsure) {
                klaviyo_batch_unsure(sender->open);
            }

            sender->open_since = now;
        }

        /* who waits for a minute waits for something that fails by itself */

        klaviyo_batch_behind(sender->open, pending,
                             now - sender->open_since < KLAVIYO_ASIDE_TIME
                             ? npending : 0);

        rc = klaviyo_batch_fill(sender->open, sender->stream,
                                account->batch_events, sender->bytes, oldest,
                                &sender->asides, ngx_http_klaviyo_answer_dead,
                                sender);

        if (rc == KLAVIYO_RING_DETACHED) {
            return NGX_DECLINED;
        }

        if (rc == KLAVIYO_RING_ERROR) {
            return NGX_ERROR;
        }

        if (klaviyo_batch_waiting(sender->open)) {
            return NGX_OK;
        }

        if (rc == KLAVIYO_RING_OK && !klaviyo_batch_full(sender->open)) {
            ngx_post_event(sender->wake, &ngx_posted_next_events);
            return NGX_OK;
        }

        if (!klaviyo_batch_full(sender->open)
            && now - sender->open_since < (int64_t) account->batch_linger)
        {
            return NGX_OK;
        }

        apart = 0;
        ms = ngx_http_klaviyo_sender_turn(sender, now, &apart);

        if (ms) {

            if (ms != NGX_HTTP_KLAVIYO_LIMITS_ASKED) {
                *wait = ngx_min(*wait, ms);
            }

            return NGX_OK;
        }

        if (ngx_http_klaviyo_sender_close(sender, apart) != NGX_OK) {
            return NGX_ERROR;
        }

        q = ngx_queue_last(&sender->loads);
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        if (!klaviyo_batch_aside(load->batch)
            || n == NGX_HTTP_KLAVIYO_STEP)
        {
            ngx_post_event(sender->wake, &ngx_posted_next_events);
            return NGX_OK;
        }
    }

    return NGX_OK;
}


/*
 * A batch that is not full goes on being filled until its turn comes: 0, or
 * what ngx_http_klaviyo_limits_turn() said.  A few events whose turn is far
 * away go one by one (`apart`), where Klaviyo takes many more requests.
 */

static int64_t
ngx_http_klaviyo_sender_turn(ngx_http_klaviyo_sender_t *sender, int64_t now,
    ngx_uint_t *apart)
{
    int64_t                   ms, single;
    uint32_t                  n;
    ngx_uint_t                few;
    ngx_queue_t              *q;
    ngx_http_klaviyo_load_t  *load;

    n = klaviyo_batch_events(sender->open);

    /* in an outage each event may be the one that tells when it is over */

    if (n == 0 || klaviyo_batch_full(sender->open) || sender->failures
        || sender->account->dry_run)
    {
        return 0;
    }

    if (now < sender->limits.paused_until) {
        return sender->limits.paused_until - now;
    }

    for (q = ngx_queue_head(&sender->loads);
         q != ngx_queue_sentinel(&sender->loads);
         q = ngx_queue_next(q))
    {
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        if (klaviyo_batch_waits(load->batch, KLAVIYO_REQUEST_FRESH)) {
            return NGX_HTTP_KLAVIYO_LIMITS_ASKED;
        }
    }

    few = n <= NGX_HTTP_KLAVIYO_FEW && sender->account->lane->single != NULL;

    if (n == 1 && few) {
        return ngx_http_klaviyo_sender_ask(sender, 1,
                                           NGX_HTTP_KLAVIYO_FLEET_LOOK, now);
    }

    ms = ngx_http_klaviyo_sender_ask(sender, 0,
                                     few ? NGX_HTTP_KLAVIYO_FLEET_NEAR
                                         : NGX_HTTP_KLAVIYO_FLEET_LOOK, now);

    if (!few || ms <= NGX_HTTP_KLAVIYO_FAR) {
        return ms;
    }

    single = ngx_http_klaviyo_sender_ask(sender, 1,
                                         NGX_HTTP_KLAVIYO_FLEET_LOOK, now);

    *apart = (single == 0);

    return single;
}


/* whose turn it is, and the figures say so */

static int64_t
ngx_http_klaviyo_sender_ask(ngx_http_klaviyo_sender_t *sender,
    ngx_uint_t single, ngx_uint_t how, int64_t now)
{
    int64_t                  ms;
    klaviyo_limiter_class_e  class;

    class = single ? KLAVIYO_LIMITER_SINGLE : KLAVIYO_LIMITER_BULK;

    ms = ngx_http_klaviyo_limits_turn(&sender->limits, class, how, now);

    klaviyo_ring_wait(sender->account->ring,
                      single ? KLAVIYO_WAIT_SINGLE : KLAVIYO_WAIT_BULK,
                      ms > 0 ? now + ms : 0);

    return ms;
}


static ngx_int_t
ngx_http_klaviyo_sender_close(ngx_http_klaviyo_sender_t *sender,
    ngx_uint_t apart)
{
    klaviyo_ack_t             ack;
    ngx_http_klaviyo_load_t  *load;

    load = ngx_calloc(sizeof(ngx_http_klaviyo_load_t), sender->report.log);
    if (load == NULL) {
        return NGX_ERROR;
    }

    if (klaviyo_batch_close(sender->open) != 0) {
        ngx_free(load);
        return NGX_ERROR;
    }

    if (apart) {
        (void) klaviyo_batch_apart(sender->open);
    }

    klaviyo_batch_ack(sender->open, &ack);

    if (ack.outcome[KLAVIYO_OUTCOME_DEAD_EXPIRED]) {
        ngx_http_klaviyo_report(&sender->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_EXPIRED,
                                "events older than \"max_age\" were given up");
    }

    if (ack.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT]) {
        ngx_http_klaviyo_report(&sender->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_CORRUPT,
                                "events in the queue were unreadable and are "
                                "lost");
    }

    load->batch = sender->open;
    load->letters = ngx_http_klaviyo_dead_added(sender->dead);
    ngx_queue_insert_tail(&sender->loads, &load->queue);

    sender->cursor = *klaviyo_batch_end(sender->open);
    sender->open = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_sender_send(ngx_http_klaviyo_sender_t *sender, int64_t now,
    int64_t *wait)
{
    int64_t                   until;
    ngx_int_t                 rc;
    ngx_uint_t                max;
    ngx_queue_t              *q;
    klaviyo_request_t        *request;
    ngx_http_klaviyo_load_t  *load;

    /* another ring, or another account with the same key, may have paused */

    until = sender->limits.paused_until;

    ngx_http_klaviyo_limits_sync(&sender->limits);

    if (until != sender->limits.paused_until) {
        (void) ngx_http_klaviyo_sender_save(sender);
    }

    until = ngx_max(sender->limits.paused_until, sender->retry_at);

    if (now < until) {
        *wait = ngx_min(*wait, until - now);
        return NGX_OK;
    }

    if (sender->failures) {
        return ngx_http_klaviyo_sender_others(sender, 1, now, wait);
    }

    rc = ngx_http_klaviyo_sender_asides(sender, now, wait);

    if (rc != NGX_OK) {
        return rc;
    }

    /* what changes a profile goes in order */

    max = sender->account->lane->head ? 1 : NGX_HTTP_KLAVIYO_TRANSFERS;

    for (q = ngx_queue_head(&sender->loads);
         q != ngx_queue_sentinel(&sender->loads);
         q = ngx_queue_next(q))
    {
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        for ( ;; ) {

            if (!ngx_http_klaviyo_sender_room(sender, 0, max, now)) {
                return NGX_OK;
            }

            request = klaviyo_batch_next(load->batch);
            if (request == NULL) {
                break;
            }

            if (sender->account->dry_run) {

                if (ngx_http_klaviyo_sender_dry_run(sender, load, request)
                    != NGX_OK)
                {
                    return NGX_ERROR;
                }

                continue;
            }

            rc = ngx_http_klaviyo_sender_try(sender, load, request, now, wait);

            if (rc == NGX_AGAIN) {
                break;
            }

            if (rc != NGX_OK) {
                return rc;
            }
        }
    }

    /* doubted, and nobody is under way who could tell */

    return sender->active ? NGX_OK
                          : ngx_http_klaviyo_sender_others(sender, 0, now,
                                                           wait);
}


/*
 * Something failed: other events, one in a request, tell whether all would.
 * Those not sent before (`fresh`) come first, then those that were sent
 * longest ago.
 */

static ngx_int_t
ngx_http_klaviyo_sender_others(ngx_http_klaviyo_sender_t *sender,
    ngx_uint_t fresh, int64_t now, int64_t *wait)
{
    ngx_int_t                 rc;
    ngx_uint_t                max;
    ngx_queue_t              *q;
    klaviyo_request_t        *request, *oldest;
    ngx_http_klaviyo_load_t  *load, *from;

    max = (sender->failures <= NGX_HTTP_KLAVIYO_TELLS)
          ? NGX_HTTP_KLAVIYO_TELLS : 1;

    while (ngx_http_klaviyo_sender_room(sender, 0, max, now)) {

        oldest = NULL;
        from = NULL;

        for (q = ngx_queue_head(&sender->loads);
             q != ngx_queue_sentinel(&sender->loads);
             q = ngx_queue_next(q))
        {
            load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

            request = fresh ? klaviyo_batch_waits(load->batch,
                                                  KLAVIYO_REQUEST_FRESH)
                            : NULL;

            if (request == NULL) {
                request = klaviyo_batch_waits(load->batch,
                                              KLAVIYO_REQUEST_DOUBTED);
            }

            if (request
                && (oldest == NULL
                    || request->state < oldest->state
                    || (request->state == oldest->state
                        && request->sent < oldest->sent)))
            {
                oldest = request;
                from = load;
            }
        }

        if (oldest == NULL) {
            return fresh ? ngx_http_klaviyo_sender_asides(sender, now, wait)
                         : NGX_OK;
        }

        request = klaviyo_batch_probe(from->batch, oldest);
        if (request == NULL) {
            return NGX_ERROR;
        }

        rc = ngx_http_klaviyo_sender_try(sender, from, request, now, wait);

        if (rc != NGX_OK) {
            return (rc == NGX_AGAIN) ? NGX_OK : rc;
        }
    }

    return NGX_OK;
}


/* those set aside whose time has come; the others go on beside them */

static ngx_int_t
ngx_http_klaviyo_sender_asides(ngx_http_klaviyo_sender_t *sender, int64_t now,
    int64_t *wait)
{
    ngx_int_t                 rc;
    ngx_queue_t              *q;
    klaviyo_aside_t          *aside;
    klaviyo_request_t        *request;
    ngx_http_klaviyo_load_t  *load;

    for (q = ngx_queue_head(&sender->loads);
         q != ngx_queue_sentinel(&sender->loads);
         q = ngx_queue_next(q))
    {
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        request = klaviyo_batch_waits(load->batch, KLAVIYO_REQUEST_ASIDE);
        if (request == NULL) {
            continue;
        }

        aside = klaviyo_aside_find(&sender->asides,
                                   klaviyo_request_event(load->batch, request,
                                                         0));

        if (aside && aside->next > now) {
            *wait = ngx_min(*wait, aside->next - now);
            continue;
        }

        if (!ngx_http_klaviyo_sender_room(sender, 1,
                                          NGX_HTTP_KLAVIYO_ASIDES, now))
        {
            return NGX_OK;
        }

        klaviyo_batch_take(load->batch, request);

        rc = ngx_http_klaviyo_sender_try(sender, load, request, now, wait);

        if (rc != NGX_OK) {
            return (rc == NGX_AGAIN) ? NGX_OK : rc;
        }

        if (aside) {
            aside->sent = request->sent;
        }
    }

    return NGX_OK;
}


/* 1: fewer than `max` transfers, of events set aside or of others, wait */

static ngx_uint_t
ngx_http_klaviyo_sender_room(ngx_http_klaviyo_sender_t *sender,
    ngx_uint_t asides, ngx_uint_t max, int64_t now)
{
    ngx_uint_t                    n;
    ngx_queue_t                  *q;
    ngx_http_klaviyo_transfer_t  *transfer;

    n = 0;

    for (q = ngx_queue_head(&sender->transfers);
         q != ngx_queue_sentinel(&sender->transfers);
         q = ngx_queue_next(q))
    {
        transfer = ngx_queue_data(q, ngx_http_klaviyo_transfer_t, queue);

        n += now - transfer->since < NGX_HTTP_KLAVIYO_SLOW
             && asides == (transfer->request->state == KLAVIYO_REQUEST_ASIDE);
    }

    return n < max && sender->active < NGX_HTTP_KLAVIYO_HANGING;
}


/* NGX_AGAIN: the limiter says no, and the request waits again */

static ngx_int_t
ngx_http_klaviyo_sender_try(ngx_http_klaviyo_sender_t *sender,
    ngx_http_klaviyo_load_t *load, klaviyo_request_t *request, int64_t now,
    int64_t *wait)
{
    int64_t                     ms;
    ngx_int_t                   rc;
    ngx_uint_t                  single;
    ngx_http_klaviyo_saved_t    before;

    single = ngx_http_klaviyo_sender_single(sender, request);

    before = sender->saved;

    ms = ngx_http_klaviyo_sender_ask(sender, single,
                                     NGX_HTTP_KLAVIYO_FLEET_TAKE, now);

    if (ms) {
        klaviyo_batch_requeue(load->batch, request, 0);

        if (ms != NGX_HTTP_KLAVIYO_LIMITS_ASKED) {
            *wait = ngx_min(*wait, ms);
        }

        return NGX_AGAIN;
    }

    /* in the ring before it goes: windows outlive us */

    sender->saved.sent = ngx_max(sender->saved.sent,
                                  klaviyo_batch_end(load->batch)->seq);

    rc = ngx_http_klaviyo_sender_save(sender);

    if (rc == NGX_OK) {
        rc = ngx_http_klaviyo_sender_post(sender, load, request, now);
    }

    if (rc != NGX_OK) {
        sender->saved = before;
        klaviyo_batch_requeue(load->batch, request, 0);
        return rc;
    }

    ngx_http_klaviyo_limits_sync(&sender->limits);

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_sender_post(ngx_http_klaviyo_sender_t *sender,
    ngx_http_klaviyo_load_t *load, klaviyo_request_t *request, int64_t now)
{
    ngx_http_klaviyo_transfer_t  *transfer;

    if (klaviyo_request_body(load->batch, request) != 0) {
        return NGX_ERROR;
    }

    transfer = ngx_alloc(sizeof(ngx_http_klaviyo_transfer_t),
                         sender->report.log);
    if (transfer == NULL) {
        return NGX_ERROR;
    }

    transfer->sender = sender;
    transfer->load = load;
    transfer->request = request;
    transfer->since = now;

    sender->transport = ngx_http_klaviyo_transport_renew(sender->transport);

    if (ngx_http_klaviyo_transport_post(sender->transport,
                                        ngx_http_klaviyo_sender_path(sender,
                                                                     request),
                                        request->body, request->body_len,
                                        ngx_http_klaviyo_answer,
                                        transfer)
        != NGX_OK)
    {
        ngx_free(transfer);
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&sender->transfers, &transfer->queue);
    sender->active++;

    request->sent = ++sender->sends;

    klaviyo_ring_observe(sender->account->ring, KLAVIYO_HISTOGRAM_BATCH,
                         request->n);
    klaviyo_ring_count(sender->account->ring,
                       ngx_http_klaviyo_sender_single(sender, request)
                       ? KLAVIYO_COUNT_REQUESTS_SINGLE
                       : KLAVIYO_COUNT_REQUESTS_BULK, 1);

    if (request->tries) {
        klaviyo_ring_count(sender->account->ring,
                           KLAVIYO_COUNT_DELIVERY_RETRIED, request->n);
    }

    return NGX_OK;
}


/* the exact body, in as many lines as it takes: one has room for 2,048 bytes */

static ngx_int_t
ngx_http_klaviyo_sender_dry_run(ngx_http_klaviyo_sender_t *sender,
    ngx_http_klaviyo_load_t *load, klaviyo_request_t *request)
{
    size_t  from, len;

    if (klaviyo_request_body(load->batch, request) != 0) {
        klaviyo_batch_requeue(load->batch, request, 0);
        return NGX_ERROR;
    }

    for (from = 0; from < request->body_len; from += len) {
        len = ngx_min(request->body_len - from, NGX_HTTP_KLAVIYO_DRY_LINE);

        ngx_log_error(NGX_LOG_INFO, sender->report.log, 0,
                      "klaviyo account \"%V\": dry run of %s, from byte %uz "
                      "of %uz: %*s",
                      sender->report.account,
                      ngx_http_klaviyo_sender_path(sender, request),
                      from, request->body_len, len, request->body + from);
    }

    klaviyo_batch_finish(load->batch, request, KLAVIYO_OUTCOME_DRY_RUN);

    return NGX_OK;
}


/*
 * An event set aside goes to the end of the ring as soon as others wait behind
 * it to be acknowledged.  A process that ends between the two steps leaves it
 * there twice, with one unique_id.
 */

static ngx_int_t
ngx_http_klaviyo_sender_move(ngx_http_klaviyo_sender_t *sender)
{
    ngx_uint_t                n, behind;
    ngx_queue_t              *q;
    klaviyo_ack_t             ack;
    klaviyo_ring_rc_e         rc;
    klaviyo_request_t        *request;
    ngx_http_klaviyo_load_t  *load;

    n = 0;
    behind = 0;

    for (q = ngx_queue_last(&sender->loads);
         q != ngx_queue_sentinel(&sender->loads);
         q = ngx_queue_prev(q))
    {
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        if (klaviyo_batch_done(load->batch)) {
            behind = 1;
            continue;
        }

        if (klaviyo_batch_aside(load->batch) && !behind) {
            continue;
        }

        for ( ;; ) {
            request = klaviyo_batch_waits(load->batch, KLAVIYO_REQUEST_ASIDE);

            if (request == NULL) {
                break;
            }

            if (n++ == NGX_HTTP_KLAVIYO_STEP) {
                ngx_post_event(sender->wake, &ngx_posted_next_events);
                return NGX_OK;
            }

            rc = klaviyo_ring_put_again(sender->account->ring,
                                        klaviyo_request_event(load->batch,
                                                              request, 0));

            if (rc == KLAVIYO_RING_BUSY) {
                return NGX_BUSY;
            }

            if (rc == KLAVIYO_RING_DETACHED) {
                return NGX_DECLINED;
            }

            if (rc != KLAVIYO_RING_OK) {

                /* the ring is full: it waits where it is */

                return NGX_OK;
            }

            if (sender->moved) {
                klaviyo_batch_ack(load->batch, &ack);
                sender->moved(sender->moved_data, ack.from.seq, ack.to.seq);
            }

            klaviyo_batch_take(load->batch, request);
            klaviyo_batch_again(load->batch, request);
        }

        if (klaviyo_batch_done(load->batch)) {
            klaviyo_batch_shrink(load->batch);
        }
    }

    return NGX_OK;
}


/* gives back what is finished, in the order of the ring */

static ngx_int_t
ngx_http_klaviyo_sender_ack(ngx_http_klaviyo_sender_t *sender)
{
    ngx_queue_t              *q;
    klaviyo_ack_t             ack;
    klaviyo_ring_rc_e         rc;
    ngx_http_klaviyo_load_t  *load;

    while (!ngx_queue_empty(&sender->loads)) {

        q = ngx_queue_head(&sender->loads);
        load = ngx_queue_data(q, ngx_http_klaviyo_load_t, queue);

        if (!klaviyo_batch_done(load->batch)
            || ngx_http_klaviyo_dead_written(sender->dead) < load->letters)
        {
            break;
        }

        klaviyo_batch_ack(load->batch, &ack);

        klaviyo_crash("before_acknowledgement");

        rc = klaviyo_ring_ack(sender->account->ring, sender->lease->epoch,
                              &ack, 0);

        if (rc == KLAVIYO_RING_BUSY) {
            return NGX_BUSY;
        }

        if (rc == KLAVIYO_RING_ERROR) {
            ngx_log_error(NGX_LOG_ALERT, sender->report.log, 0,
                          "klaviyo account \"%V\": acknowledgement of %uL to "
                          "%uL does not fit the queue",
                          sender->report.account, ack.from.seq, ack.to.seq);
        }

        if (rc != KLAVIYO_RING_OK) {
            return NGX_DECLINED;
        }

        klaviyo_ring_count(sender->account->ring,
                           KLAVIYO_COUNT_DELIVERY_SUPERSEDED,
                           klaviyo_batch_superseded(load->batch));

        klaviyo_batch_destroy(load->batch);
        ngx_queue_remove(q);
        ngx_free(load);

        /* a place to read into: go on after what others have to do */

        ngx_post_event(sender->wake, &ngx_posted_next_events);
    }

    return NGX_OK;
}

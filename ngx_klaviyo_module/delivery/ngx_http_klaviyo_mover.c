/*
 * A host's events on their way to the shared queue; see the header.
 *
 *            connected: hello                      add
 *     ASKS ───────────────────▶ WALKS ─────────▶ MOVES ──┐
 *      ▲ ▲    what the fleet has  up to there      │  ▲   │
 *      │ │    of this queue                        │  └───┘
 *      │ └──── lost, or the fleet has less than it had: a roll-back ─┘
 *      │
 *      └──▶ ALONE    without an answer for `away`
 *
 * What was read and is not yet settled is a row of stretches, in the order of
 * the queue.  A stretch ends when the fleet's `done` reaches its `need`.
 */


#include "ngx_http_klaviyo_mover.h"

#include <ngx_sha1.h>

#include "queue/klaviyo_clock.h"
#include "queue/klaviyo_crash.h"
#include "queue/klaviyo_pack.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "ngx_http_klaviyo_fleet_end.h"
#include "ngx_http_klaviyo_report.h"
#include "ngx_http_klaviyo_sender_private.h"
#include "ngx_http_klaviyo_sender_state.h"


#define NGX_HTTP_KLAVIYO_MOVER_STRETCHES  4096
#define NGX_HTTP_KLAVIYO_MOVER_STEP       400    /* records in a run         */
#define NGX_HTTP_KLAVIYO_MOVER_LINGER     50     /* ms                       */
#define NGX_HTTP_KLAVIYO_MOVER_HELLO      1000   /* ms                       */
#define NGX_HTTP_KLAVIYO_MOVER_HOSTS      5      /* hellos to a list of hosts */
#define NGX_HTTP_KLAVIYO_MOVER_FULL       500    /* ms until another try     */
#define NGX_HTTP_KLAVIYO_MOVER_SAVE       10000  /* ms                       */
#define NGX_HTTP_KLAVIYO_MOVER_RECORD     16384  /* bytes of the first buffer */


typedef enum {
    NGX_HTTP_KLAVIYO_MOVER_ASKS = 0,
    NGX_HTTP_KLAVIYO_MOVER_WALKS,
    NGX_HTTP_KLAVIYO_MOVER_MOVES,
    NGX_HTTP_KLAVIYO_MOVER_ALONE
} ngx_http_klaviyo_mover_state_e;


typedef struct {
    klaviyo_cursor_t                 to;
    uint64_t                         need;
    uint32_t                         events;
    uint64_t                         corrupt;
    uint64_t                         unreadable;   /* in the spool           */
} ngx_http_klaviyo_stretch_t;


struct ngx_http_klaviyo_mover_s {
    ngx_http_klaviyo_account_t      *account;
    klaviyo_lease_t                 *lease;
    klaviyo_stream_t                *stream;
    ngx_event_t                     *wake;
    ngx_http_klaviyo_report_t        report;
    ngx_http_klaviyo_health_t        health;

    ngx_http_klaviyo_sender_t       *sender;  /* for when it is alone; NULL:
                                                 "deliver=off"               */
    ngx_http_klaviyo_fleet_end_t     end;

    ngx_http_klaviyo_mover_state_e   state;
    u_char                           uuid[KLAVIYO_RING_UUID_LEN];
    ngx_str_t                        host;
    u_char                           host_text[NGX_HTTP_KLAVIYO_FLEET_HOST];

    int64_t                          contact;  /* when an answer came, or we
                                                  began                      */
    int64_t                          hello;    /* when it was said last      */
    ngx_uint_t                       hellos;
    int64_t                          full;     /* until when nothing is added */
    int64_t                          saved;

    uint64_t                         stored;   /* the fleet's, of this queue */
    uint64_t                         done;

    klaviyo_cursor_t                 acked;
    klaviyo_cursor_t                 cursor;   /* the next to read           */
    ngx_http_klaviyo_stretch_t       reading;  /* up to the cursor           */
    klaviyo_packing_t                pack;     /* its events                 */
    int64_t                          since;    /* of the first one           */
    ngx_http_klaviyo_stretch_t       adding;   /* under way                  */

    uint8_t                         *record;
    size_t                           record_size;

    ngx_http_klaviyo_stretch_t      *stretch;
    ngx_uint_t                       first;
    ngx_uint_t                       n;

    unsigned                         connected:1;
    unsigned                         asked:1;  /* hello is under way         */
    unsigned                         adds:1;   /* a pack is                  */
    unsigned                         again:1;  /* begin anew                 */
    unsigned                         wrong:1;  /* what was answered: that is
                                                  not asked again at once    */
};


static void ngx_http_klaviyo_mover_name(ngx_http_klaviyo_mover_t *mover,
    const klaviyo_ring_span_t *span);
static ngx_int_t ngx_http_klaviyo_mover_alone(ngx_http_klaviyo_mover_t *mover,
    int64_t now);
static ngx_int_t ngx_http_klaviyo_mover_begin(ngx_http_klaviyo_mover_t *mover);
static void ngx_http_klaviyo_mover_hello(ngx_http_klaviyo_mover_t *mover,
    int64_t now);
static ngx_int_t ngx_http_klaviyo_mover_book(ngx_http_klaviyo_mover_t *mover);
static ngx_int_t ngx_http_klaviyo_mover_walk(ngx_http_klaviyo_mover_t *mover);
static ngx_int_t ngx_http_klaviyo_mover_move(ngx_http_klaviyo_mover_t *mover,
    int64_t now, ngx_msec_t *wait);
static ngx_int_t ngx_http_klaviyo_mover_add(ngx_http_klaviyo_mover_t *mover);
static klaviyo_ring_rc_e ngx_http_klaviyo_mover_read(
    ngx_http_klaviyo_mover_t *mover, klaviyo_record_t *record);
static void ngx_http_klaviyo_mover_pass(ngx_http_klaviyo_mover_t *mover,
    const klaviyo_record_t *record, ngx_uint_t events);
static ngx_uint_t ngx_http_klaviyo_mover_push(ngx_http_klaviyo_mover_t *mover,
    const ngx_http_klaviyo_stretch_t *stretch);
static void ngx_http_klaviyo_mover_answer(void *data,
    ngx_http_klaviyo_fleet_op_e op,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n);
static void ngx_http_klaviyo_mover_added(ngx_http_klaviyo_mover_t *mover,
    int64_t rc, int64_t now);
static void ngx_http_klaviyo_mover_ready(void *data);
static void ngx_http_klaviyo_mover_lost(void *data);


ngx_http_klaviyo_mover_t *
ngx_http_klaviyo_mover_create(ngx_http_klaviyo_account_t *account,
    klaviyo_lease_t *lease, klaviyo_stream_t *stream, ngx_event_t *wake,
    ngx_log_t *log)
{
    klaviyo_ring_span_t        span;
    ngx_http_klaviyo_mover_t  *mover;

    mover = ngx_calloc(sizeof(ngx_http_klaviyo_mover_t), log);
    if (mover == NULL) {
        return NULL;
    }

    mover->account = account;
    mover->lease = lease;
    mover->stream = stream;
    mover->wake = wake;
    mover->report.account = &account->name;
    mover->report.log = log;
    mover->contact = klaviyo_clock_boot();
    mover->saved = mover->contact;
    mover->again = 1;

    mover->record_size = NGX_HTTP_KLAVIYO_MOVER_RECORD;
    mover->record = ngx_alloc(mover->record_size, log);
    mover->stretch = ngx_alloc(NGX_HTTP_KLAVIYO_MOVER_STRETCHES
                               * sizeof(ngx_http_klaviyo_stretch_t), log);

    if (mover->record == NULL || mover->stretch == NULL
        || klaviyo_ring_span(account->ring, &span) != KLAVIYO_RING_OK)
    {
        ngx_http_klaviyo_mover_destroy(mover);
        return NULL;
    }

    ngx_http_klaviyo_mover_name(mover, &span);
    ngx_http_klaviyo_health_init(&mover->health, account, log);

    if (account->fleet_deliver) {
        mover->sender = ngx_http_klaviyo_sender_create(account, lease, stream,
                                                       wake, log);
        if (mover->sender == NULL) {
            ngx_http_klaviyo_mover_destroy(mover);
            return NULL;
        }
    }

    mover->end.queue.data = mover;
    mover->end.queue.ready = ngx_http_klaviyo_mover_ready;
    mover->end.queue.answer = ngx_http_klaviyo_mover_answer;
    mover->end.queue.lost = ngx_http_klaviyo_mover_lost;

    if (ngx_http_klaviyo_fleet_end_open(&mover->end, account, log) != NGX_OK) {
        ngx_http_klaviyo_mover_destroy(mover);
        return NULL;
    }

    return mover;
}


void
ngx_http_klaviyo_mover_destroy(ngx_http_klaviyo_mover_t *mover)
{
    ngx_http_klaviyo_fleet_end_close(&mover->end);

    if (mover->sender) {
        ngx_http_klaviyo_sender_destroy(mover->sender);
    }

    klaviyo_pack_free(&mover->pack);

    if (mover->record) {
        ngx_free(mover->record);
    }

    if (mover->stretch) {
        ngx_free(mover->stretch);
    }

    ngx_free(mover);
}


/*
 * What the fleet knows this queue by.  An adoption, or a reboot after which
 * the last events are missing, gives numbers to other events: then it is
 * another queue.
 */

static void
ngx_http_klaviyo_mover_name(ngx_http_klaviyo_mover_t *mover,
    const klaviyo_ring_span_t *span)
{
    u_char      hash[20], boot[64];
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_sha1_t  sha1;

    n = 0;
    fd = ngx_open_file((u_char *) "/proc/sys/kernel/random/boot_id",
                       NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd != NGX_INVALID_FILE) {
        n = ngx_read_fd(fd, boot, sizeof(boot));
        (void) ngx_close_file(fd);
    }

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, span->uuid, KLAVIYO_RING_UUID_LEN);
    ngx_sha1_update(&sha1, &span->adoption, sizeof(span->adoption));
    ngx_sha1_update(&sha1, boot, ngx_max(n, 0));
    ngx_sha1_final(hash, &sha1);

    ngx_memcpy(mover->uuid, hash, KLAVIYO_RING_UUID_LEN);

    mover->host.data = mover->host_text;
    mover->host.len = ngx_http_klaviyo_fleet_host(mover->host_text,
                                                  mover->uuid);
}


ngx_msec_t
ngx_http_klaviyo_mover_run(ngx_http_klaviyo_mover_t *mover)
{
    int64_t     now;
    ngx_int_t   rc;
    ngx_msec_t  wait;

    if (!klaviyo_lease_valid(mover->lease)) {
        return 0;
    }

    now = klaviyo_clock_boot();
    wait = NGX_HTTP_KLAVIYO_MOVER_LINGER;

    ngx_http_klaviyo_mover_hello(mover, now);

    rc = ngx_http_klaviyo_mover_alone(mover, now);

    if (mover->state != NGX_HTTP_KLAVIYO_MOVER_ALONE
        && ngx_http_klaviyo_health_due(&mover->health))
    {
        (void) ngx_http_klaviyo_health_run(&mover->health,
                                           mover->lease->epoch, 0, 0);
    }

    if (rc == NGX_OK && mover->state == NGX_HTTP_KLAVIYO_MOVER_ALONE) {
        return ngx_http_klaviyo_sender_run(mover->sender);
    }

    if (rc == NGX_OK && mover->again && !mover->adds) {
        rc = ngx_http_klaviyo_mover_begin(mover);
    }

    if (rc == NGX_OK && !mover->again) {
        rc = ngx_http_klaviyo_mover_book(mover);
    }

    if (rc == NGX_OK && !mover->again
        && mover->state == NGX_HTTP_KLAVIYO_MOVER_WALKS)
    {
        rc = ngx_http_klaviyo_mover_walk(mover);
    }

    if (rc == NGX_OK && !mover->again
        && mover->state == NGX_HTTP_KLAVIYO_MOVER_MOVES)
    {
        rc = ngx_http_klaviyo_mover_move(mover, now, &wait);
    }

    switch (rc) {

    case NGX_OK:
        return wait;

    case NGX_BUSY:
        return 10;

    case NGX_DECLINED:
        return 0;

    default: /* NGX_ERROR, no memory */
        ngx_http_klaviyo_report(&mover->report, NGX_LOG_CRIT,
                                NGX_HTTP_KLAVIYO_REPORT_MEMORY,
                                "no memory to deliver with: events are kept");
        return 1000;
    }
}


/* whether the host delivers by itself; and where it stands among the others */

static ngx_int_t
ngx_http_klaviyo_mover_alone(ngx_http_klaviyo_mover_t *mover, int64_t now)
{
    ngx_uint_t                   away;
    ngx_http_klaviyo_account_t  *account;

    if (mover->sender == NULL) {
        return NGX_OK;
    }

    account = mover->account;
    away = now - mover->contact >= (int64_t) account->fleet_away;

    if (mover->state != NGX_HTTP_KLAVIYO_MOVER_ALONE) {

        if (away) {
            mover->state = NGX_HTTP_KLAVIYO_MOVER_ALONE;
            ngx_http_klaviyo_health_init(&mover->sender->health, account,
                                         mover->report.log);

            ngx_log_error(NGX_LOG_WARN, mover->report.log, 0,
                          "klaviyo account \"%V\": the queue of fleet \"%V\" "
                          "was away for %M s: this host delivers by itself",
                          &account->name, &account->fleet_name,
                          account->fleet_away / 1000);

        } else if (now - mover->saved >= NGX_HTTP_KLAVIYO_MOVER_SAVE) {
            mover->saved = now;
            (void) ngx_http_klaviyo_sender_save(mover->sender);
        }

        return NGX_OK;
    }

    if (away) {
        return NGX_OK;
    }

    /* what it has under way goes again, with the same unique_id */

    ngx_http_klaviyo_sender_destroy(mover->sender);

    mover->state = NGX_HTTP_KLAVIYO_MOVER_ASKS;
    mover->again = 1;
    ngx_http_klaviyo_health_init(&mover->health, account, mover->report.log);
    mover->sender = ngx_http_klaviyo_sender_create(account, mover->lease,
                                                   mover->stream, mover->wake,
                                                   mover->report.log);

    /* without memory the deliverer begins anew */

    return mover->sender ? NGX_OK : NGX_DECLINED;
}


/* from the first event that is not settled; the fleet says what it has */

static ngx_int_t
ngx_http_klaviyo_mover_begin(ngx_http_klaviyo_mover_t *mover)
{
    if (klaviyo_ring_first(mover->account->ring, &mover->acked)
        != KLAVIYO_RING_OK)
    {
        return NGX_DECLINED;
    }

    mover->cursor = mover->acked;
    mover->first = 0;
    mover->n = 0;
    mover->state = NGX_HTTP_KLAVIYO_MOVER_ASKS;
    mover->again = 0;
    mover->hello = mover->wrong ? mover->hello : 0;
    mover->full = 0;

    klaviyo_pack_reset(&mover->pack);
    ngx_memzero(&mover->reading, sizeof(ngx_http_klaviyo_stretch_t));

    ngx_http_klaviyo_mover_hello(mover, klaviyo_clock_boot());

    return NGX_OK;
}


static void
ngx_http_klaviyo_mover_hello(ngx_http_klaviyo_mover_t *mover, int64_t now)
{
    ngx_http_klaviyo_fleet_value_t  value[2];

    if (!mover->connected || mover->asked || mover->adds
        || now - mover->hello < NGX_HTTP_KLAVIYO_MOVER_HELLO)
    {
        return;
    }

    value[0].text = mover->host;
    value[1].text = mover->account->fleet_whose;

    if (mover->hellos++ % NGX_HTTP_KLAVIYO_MOVER_HOSTS == 0) {
        (void) ngx_http_klaviyo_fleet_end_call(&mover->end,
                                               NGX_HTTP_KLAVIYO_FLEET_LIST,
                                               value, 1);
    }

    if (ngx_http_klaviyo_fleet_end_call(&mover->end,
                                        NGX_HTTP_KLAVIYO_FLEET_HELLO, value,
                                        2)
        == NGX_OK)
    {
        mover->asked = 1;
        mover->hello = now;
    }
}


static void
ngx_http_klaviyo_mover_ready(void *data)
{
    ngx_http_klaviyo_mover_t  *mover = data;

    mover->connected = 1;
    mover->hello = 0;

    ngx_post_event(mover->wake, &ngx_posted_events);
}


/* what was under way may be there or not: the fleet is asked */

static void
ngx_http_klaviyo_mover_lost(void *data)
{
    ngx_http_klaviyo_mover_t  *mover = data;

    mover->connected = 0;
    mover->asked = 0;
    mover->adds = 0;

    if (mover->state != NGX_HTTP_KLAVIYO_MOVER_ALONE) {
        mover->again = 1;
    }
}


static void
ngx_http_klaviyo_mover_answer(void *data, ngx_http_klaviyo_fleet_op_e op,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n)
{
    ngx_http_klaviyo_mover_t  *mover = data;

    int64_t                             now, stored, done;
    klaviyo_ring_span_t                 span;
    ngx_http_klaviyo_fleet_figures_t   *figures;

    now = klaviyo_clock_boot();

    if (op == NGX_HTTP_KLAVIYO_FLEET_LIST) {
        ngx_http_klaviyo_fleet_end_hosts(&mover->end, value, n);
        return;
    }

    if (op == NGX_HTTP_KLAVIYO_FLEET_ADD) {
        stored = n == 3 ? value[1].number : -1;
        done = n == 3 ? value[2].number : -1;

    } else {
        mover->asked = 0;
        stored = n >= 9 ? value[0].number : -1;
        done = n >= 9 ? value[1].number : -1;
    }

    ngx_post_event(mover->wake, &ngx_posted_events);

    if (op == NGX_HTTP_KLAVIYO_FLEET_HELLO && n == 1) {
        mover->again = 1;
        mover->wrong = 1;

        ngx_http_klaviyo_report(&mover->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_FLEET,
                                "the fleet's queue of this name is of another "
                                "account of Klaviyo: nothing is added to it; "
                                "hosts of one account need one \"api_key_file\""
                                " or one \"company\", other accounts other "
                                "names");
        return;
    }

    /* more than was captured: those are not this queue's numbers */

    if (stored < 0 || done < 0 || done > stored
        || klaviyo_ring_span(mover->account->ring, &span) != KLAVIYO_RING_OK
        || (uint64_t) stored > span.end.seq)
    {
        mover->adds = 0;
        mover->again = 1;
        mover->wrong = 1;

        ngx_http_klaviyo_report(&mover->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_FLEET,
                                "the fleet has numbers of this queue that "
                                "cannot be: nothing is added to it");
        return;
    }

    mover->contact = now;
    mover->wrong = 0;
    mover->done = (uint64_t) done;

    if (op == NGX_HTTP_KLAVIYO_FLEET_ADD) {
        ngx_http_klaviyo_mover_added(mover, value[0].number, now);
        return;
    }

    figures = mover->end.figures;

    figures->bytes = (uint64_t) ngx_max(value[2].number, 0);
    figures->accepted = (uint64_t) ngx_max(value[3].number, 0);
    figures->delivered = (uint64_t) ngx_max(value[4].number, 0);
    figures->dead = (uint64_t) ngx_max(value[5].number, 0);
    figures->queued = (uint64_t) ngx_max(value[6].number, 0);
    figures->given_back = (uint64_t) ngx_max(value[8].number, 0);
    figures->letters_dropped = (n == 9) ? 0 : (uint64_t)
                                              ngx_max(value[9].number, 0);

    switch (mover->state) {

    case NGX_HTTP_KLAVIYO_MOVER_ASKS:
        mover->stored = (uint64_t) stored;
        mover->state = NGX_HTTP_KLAVIYO_MOVER_WALKS;
        return;

    case NGX_HTTP_KLAVIYO_MOVER_ALONE:
        return;

    default:

        /* rolled back, or wiped */

        if (mover->stored != (uint64_t) stored) {
            mover->again = 1;
        }

        return;
    }
}


static void
ngx_http_klaviyo_mover_added(ngx_http_klaviyo_mover_t *mover, int64_t rc,
    int64_t now)
{
    mover->adds = 0;

    switch (rc) {

    case 0:
        mover->stored = mover->adding.need;
        (void) ngx_http_klaviyo_mover_push(mover, &mover->adding);

        klaviyo_pack_reset(&mover->pack);
        ngx_memzero(&mover->reading, sizeof(ngx_http_klaviyo_stretch_t));
        return;

    case 2:
    case 3:
        mover->full = now + NGX_HTTP_KLAVIYO_MOVER_FULL;
        mover->end.figures->full++;

        ngx_http_klaviyo_report(&mover->report, NGX_LOG_WARN,
                                NGX_HTTP_KLAVIYO_REPORT_FLEET_FULL,
                                rc == 2
                                ? "the queue of the fleet has as many bytes "
                                  "as \"size\" allows: events stay in that "
                                  "of their host"
                                : "Redis is over its maxmemory: events stay "
                                  "in the queue of their host");
        return;

    default:
        mover->again = 1;
        return;
    }
}


/* what the fleet has settled is given back, in the order of the queue */

static ngx_int_t
ngx_http_klaviyo_mover_book(ngx_http_klaviyo_mover_t *mover)
{
    ngx_uint_t                   i;
    klaviyo_ack_t                ack;
    klaviyo_ring_rc_e            rc;
    ngx_http_klaviyo_stretch_t  *stretch;

    ngx_memzero(&ack, sizeof(klaviyo_ack_t));

    ack.from = mover->acked;

    for (i = 0; i < mover->n; i++) {
        stretch = &mover->stretch[(mover->first + i)
                                  % NGX_HTTP_KLAVIYO_MOVER_STRETCHES];

        if (stretch->need > mover->done) {
            break;
        }

        ack.to = stretch->to;
        ack.outcome[KLAVIYO_OUTCOME_HANDED_OVER] += stretch->events;
        ack.outcome[KLAVIYO_OUTCOME_LOST_CORRUPT] += stretch->corrupt;
        ack.outcome[KLAVIYO_OUTCOME_LOST_SPOOL] += stretch->unreadable;
    }

    if (i == 0) {
        return NGX_OK;
    }

    klaviyo_crash("before_acknowledgement");

    rc = klaviyo_ring_ack(mover->account->ring, mover->lease->epoch, &ack, 0);

    if (rc == KLAVIYO_RING_BUSY) {
        return NGX_BUSY;
    }

    if (rc == KLAVIYO_RING_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, mover->report.log, 0,
                      "klaviyo account \"%V\": acknowledgement of %uL to %uL "
                      "does not fit the queue",
                      mover->report.account, ack.from.seq, ack.to.seq);
    }

    if (rc != KLAVIYO_RING_OK) {
        return NGX_DECLINED;
    }

    (void) ngx_http_klaviyo_health_accepted(&mover->health);

    mover->acked = ack.to;
    mover->first = (mover->first + i) % NGX_HTTP_KLAVIYO_MOVER_STRETCHES;
    mover->n -= i;

    return NGX_OK;
}


/* over what the fleet has already */

static ngx_int_t
ngx_http_klaviyo_mover_walk(ngx_http_klaviyo_mover_t *mover)
{
    ngx_uint_t         i;
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;

    for (i = 0; mover->cursor.seq < mover->stored; i++) {

        if (i == NGX_HTTP_KLAVIYO_MOVER_STEP) {
            ngx_post_event(mover->wake, &ngx_posted_next_events);
            return NGX_OK;
        }

        rc = ngx_http_klaviyo_mover_read(mover, &record);

        if (rc == KLAVIYO_RING_ERROR) {
            return NGX_ERROR;
        }

        if (rc == KLAVIYO_RING_DETACHED) {
            return NGX_DECLINED;
        }

        if (rc == KLAVIYO_RING_AGAIN) {
            return NGX_OK;
        }

        /* the rest up to there is missing */

        if (rc == KLAVIYO_RING_EMPTY
            || (rc == KLAVIYO_RING_OK && record.seq >= mover->stored))
        {
            break;
        }

        ngx_http_klaviyo_mover_pass(mover, &record, rc == KLAVIYO_RING_OK);

        if (mover->reading.events >= KLAVIYO_PACK_EVENTS
            || mover->cursor.seq >= mover->stored)
        {
            mover->reading.need = ngx_min(mover->cursor.seq, mover->stored);

            if (!ngx_http_klaviyo_mover_push(mover, &mover->reading)) {
                return NGX_OK;
            }

            ngx_memzero(&mover->reading, sizeof(ngx_http_klaviyo_stretch_t));
        }
    }

    if (mover->reading.to.seq) {
        mover->reading.need = mover->stored;

        if (!ngx_http_klaviyo_mover_push(mover, &mover->reading)) {
            return NGX_OK;
        }

        ngx_memzero(&mover->reading, sizeof(ngx_http_klaviyo_stretch_t));
    }

    mover->state = NGX_HTTP_KLAVIYO_MOVER_MOVES;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_mover_move(ngx_http_klaviyo_mover_t *mover, int64_t now,
    ngx_msec_t *wait)
{
    ngx_uint_t         i, due;
    klaviyo_record_t   record;
    klaviyo_ring_rc_e  rc;

    if (mover->adds || mover->n == NGX_HTTP_KLAVIYO_MOVER_STRETCHES) {
        return NGX_OK;
    }

    due = 0;

    for (i = 0; i < KLAVIYO_PACK_EVENTS; i++) {
        rc = ngx_http_klaviyo_mover_read(mover, &record);

        if (rc == KLAVIYO_RING_ERROR) {
            return NGX_ERROR;
        }

        if (rc == KLAVIYO_RING_DETACHED) {
            return NGX_DECLINED;
        }

        if (rc != KLAVIYO_RING_OK && rc != KLAVIYO_RING_GAP) {
            break;
        }

        if (rc == KLAVIYO_RING_OK) {

            if (!klaviyo_pack_fits(&mover->pack, &record.event)) {
                due = 1;
                break;
            }

            if (mover->pack.n == 0) {
                mover->since = now;
            }

            if (klaviyo_pack_add(&mover->pack, &record.event, record.seq)
                != 0)
            {
                return NGX_ERROR;
            }
        }

        ngx_http_klaviyo_mover_pass(mover, &record, rc == KLAVIYO_RING_OK);
    }

    if (mover->pack.n == 0) {

        /* nothing but what is missing ends with what is before it */

        if (mover->reading.to.seq) {
            mover->reading.need = mover->stored;
            (void) ngx_http_klaviyo_mover_push(mover, &mover->reading);
            ngx_memzero(&mover->reading, sizeof(ngx_http_klaviyo_stretch_t));
        }

        return NGX_OK;
    }

    if (!due && mover->pack.n < KLAVIYO_PACK_EVENTS
        && now - mover->since < NGX_HTTP_KLAVIYO_MOVER_LINGER)
    {
        *wait = ngx_min(*wait, NGX_HTTP_KLAVIYO_MOVER_LINGER);
        return NGX_OK;
    }

    if (now < mover->full) {
        *wait = ngx_min(*wait, (ngx_msec_t) (mover->full - now));
        return NGX_OK;
    }

    return ngx_http_klaviyo_mover_add(mover);
}


static ngx_int_t
ngx_http_klaviyo_mover_add(ngx_http_klaviyo_mover_t *mover)
{
    size_t                           len;
    const uint8_t                   *bytes;
    ngx_http_klaviyo_fleet_value_t   value[7];

    if (!mover->connected) {
        return NGX_OK;
    }

    bytes = klaviyo_pack_close(&mover->pack, mover->uuid, &len);
    if (bytes == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(value, sizeof(value));

    mover->adding = mover->reading;
    mover->adding.need = mover->cursor.seq;

    value[0].text = mover->host;
    value[1].number = (int64_t) mover->stored;
    value[2].number = (int64_t) mover->adding.need;
    value[3].number = mover->pack.n;
    value[4].number = (int64_t) mover->account->fleet_size;
    value[5].text.data = (u_char *) bytes;
    value[5].text.len = len;
    value[6].text = mover->account->fleet_whose;

    mover->adds = ngx_http_klaviyo_fleet_end_call(&mover->end,
                                                  NGX_HTTP_KLAVIYO_FLEET_ADD,
                                                  value, 7)
                  == NGX_OK;

    return NGX_OK;
}


/* the record at the cursor, which stays there */

static klaviyo_ring_rc_e
ngx_http_klaviyo_mover_read(ngx_http_klaviyo_mover_t *mover,
    klaviyo_record_t *record)
{
    uint8_t            *p;
    klaviyo_ring_rc_e   rc;

    for ( ;; ) {
        rc = klaviyo_stream_read(mover->stream, &mover->cursor, mover->record,
                                 mover->record_size, record);

        if (rc != KLAVIYO_RING_SMALL) {
            return rc;
        }

        p = ngx_alloc((size_t) record->needed, mover->report.log);
        if (p == NULL) {
            return KLAVIYO_RING_ERROR;
        }

        ngx_free(mover->record);

        mover->record = p;
        mover->record_size = (size_t) record->needed;
    }
}


static void
ngx_http_klaviyo_mover_pass(ngx_http_klaviyo_mover_t *mover,
    const klaviyo_record_t *record, ngx_uint_t events)
{
    if (record->next.position == 0) {
        mover->reading.unreadable += record->missing;

    } else {
        mover->reading.corrupt += record->missing;
    }

    mover->reading.events += events;
    mover->reading.to = record->next;
    mover->cursor = record->next;
}


/* 0: there is no room, until something is settled */

static ngx_uint_t
ngx_http_klaviyo_mover_push(ngx_http_klaviyo_mover_t *mover,
    const ngx_http_klaviyo_stretch_t *stretch)
{
    if (mover->n == NGX_HTTP_KLAVIYO_MOVER_STRETCHES) {
        return 0;
    }

    mover->stretch[(mover->first + mover->n)
                   % NGX_HTTP_KLAVIYO_MOVER_STRETCHES] = *stretch;
    mover->n++;

    return 1;
}

/*
 * Who delivers for the fleet; see the header.
 *
 *     WAITS ──lease──▶ LEADS ──renewed each two seconds──┐
 *       ▲                │  ▲                            │
 *       │                │  └────────────────────────────┘
 *       └────────────────┘  another has it; not renewed in time; nothing goes
 *                           from here, and another host may have a way
 *
 * Packs stand in a row, in the order in which they were pulled and are in the
 * ring.  One is finished when the ring's `done` has passed it, and the places
 * that its events were moved to: an event that is set aside goes to the end of
 * the ring, and holds its pack.  Packs of one host are settled in their order.
 */


#include "ngx_http_klaviyo_puller.h"

#include <sys/random.h>

#include "queue/klaviyo_clock.h"
#include "queue/klaviyo_crash.h"
#include "queue/klaviyo_pack.h"
#include "queue/klaviyo_ring_ack.h"
#include "queue/klaviyo_ring_figures.h"
#include "ngx_http_klaviyo_fleet_end.h"
#include "ngx_http_klaviyo_report.h"
#include "ngx_http_klaviyo_sender_private.h"


#define NGX_HTTP_KLAVIYO_PULLER_LEASE   8000    /* ms; the fleet's is 10 s    */
#define NGX_HTTP_KLAVIYO_PULLER_RENEW   2000    /* ms                         */
#define NGX_HTTP_KLAVIYO_PULLER_TRY     500     /* ms, for the lease          */
#define NGX_HTTP_KLAVIYO_PULLER_IDLE    1000    /* ms                         */
#define NGX_HTTP_KLAVIYO_PULLER_EMPTY   100     /* ms until it is asked again */
#define NGX_HTTP_KLAVIYO_PULLER_OTHER   60000   /* ms, after what is not to be
                                                   read here                  */
#define NGX_HTTP_KLAVIYO_PULLER_FAILS   20000   /* ms that nothing is accepted,
                                                   until others are to try    */
#define NGX_HTTP_KLAVIYO_PULLER_BACK    3000    /* ms that they have for it   */
#define NGX_HTTP_KLAVIYO_PULLER_BYTES   (512 * 1024)   /* of a pull           */
#define NGX_HTTP_KLAVIYO_PULLER_PACKS   8192    /* not yet settled            */
#define NGX_HTTP_KLAVIYO_PULLER_STEP    8       /* into the ring, in a run    */
#define NGX_HTTP_KLAVIYO_PULLER_SETTLE  60      /* packs at once              */
#define NGX_HTTP_KLAVIYO_PULLER_HELD    64      /* hosts, in a settle         */
#define NGX_HTTP_KLAVIYO_PULLER_ID      48
#define NGX_HTTP_KLAVIYO_PULLER_NONCE   32
#define NGX_HTTP_KLAVIYO_PULLER_FIELDS  6

#define NGX_HTTP_KLAVIYO_PULLER_ANOTHER  "another host has the lease"
#define NGX_HTTP_KLAVIYO_PULLER_MEMORY   "there was no memory"


typedef enum {
    NGX_HTTP_KLAVIYO_PACK_PULLED = 0,
    NGX_HTTP_KLAVIYO_PACK_IN_RING,   /* to be delivered                      */
    NGX_HTTP_KLAVIYO_PACK_SETTLING,
    NGX_HTTP_KLAVIYO_PACK_GONE
} ngx_http_klaviyo_pack_state_e;


typedef struct {
    ngx_queue_t                      queue;
    ngx_http_klaviyo_pack_state_e    state;
    u_char                           id[NGX_HTTP_KLAVIYO_PULLER_ID];
    u_char                           host[NGX_HTTP_KLAVIYO_FLEET_HOST];
    size_t                           id_len;
    size_t                           host_len;
    int64_t                          expect;
    int64_t                          to;
    uint32_t                         n;
    size_t                           len;      /* bytes, in the fleet        */
    uint64_t                         end;      /* of it in the ring          */
    u_char                          *bytes;    /* until it is in the ring    */
} ngx_http_klaviyo_pack_t;


/* an event of a pack that stands elsewhere in the ring now */

typedef struct {
    ngx_http_klaviyo_pack_t         *pack;
    uint64_t                         seq;
} ngx_http_klaviyo_held_t;


struct ngx_http_klaviyo_puller_s {
    ngx_http_klaviyo_account_t      *account;
    klaviyo_lease_t                 *lease;
    klaviyo_stream_t                *stream;
    ngx_event_t                     *wake;
    ngx_http_klaviyo_report_t        report;

    ngx_http_klaviyo_sender_t       *sender;   /* while it leads             */
    ngx_http_klaviyo_fleet_end_t     end;

    ngx_str_t                        host;
    u_char                           host_text[NGX_HTTP_KLAVIYO_FLEET_HOST];
    u_char                           nonce[NGX_HTTP_KLAVIYO_PULLER_NONCE];

    int64_t                          asked;    /* for the lease, last        */
    int64_t                          leased;   /* when it was asked for      */
    int64_t                          pull;     /* when the next pull is due  */
    int64_t                          other;    /* until then it stands back  */
    int64_t                          well;     /* when nothing failed last   */

    ngx_queue_t                      packs;
    ngx_uint_t                       n;
    u_char                           last[NGX_HTTP_KLAVIYO_PULLER_ID];
    size_t                           last_len;

    klaviyo_unpacking_t              reading;  /* of the first one PULLED    */
    klaviyo_event_t                  event;
    unsigned                         event_read:1;  /* and not in the ring   */
    unsigned                         opened:1;

    ngx_http_klaviyo_held_t         *held;
    ngx_uint_t                       nheld;
    ngx_uint_t                       held_size;

    uint64_t                         scanned;  /* done, as it was looked at  */
    uint64_t                         lost;     /* outcomes, when it began    */
    uint64_t                         dead;     /* of these, told of          */
    uint64_t                         telling;
    size_t                           letters;  /* bytes on their way         */
    const char                      *over;     /* why it is, or NULL         */

    unsigned                         connected:1;
    unsigned                         leads:1;
    unsigned                         granted:1;   /* and not yet begun       */
    unsigned                         leasing:1;   /* calls under way         */
    unsigned                         pulling:1;
    unsigned                         settling:1;
    unsigned                         clean:1;     /* the ring is empty       */
};


static void ngx_http_klaviyo_puller_nonce(ngx_http_klaviyo_puller_t *puller);
static void ngx_http_klaviyo_puller_lease(ngx_http_klaviyo_puller_t *puller,
    int64_t now);
static ngx_msec_t ngx_http_klaviyo_puller_waits(
    ngx_http_klaviyo_puller_t *puller, int64_t now);
static ngx_int_t ngx_http_klaviyo_puller_lead(
    ngx_http_klaviyo_puller_t *puller);
static void ngx_http_klaviyo_puller_stop(ngx_http_klaviyo_puller_t *puller,
    const char *why);
static ngx_uint_t ngx_http_klaviyo_puller_fails(
    ngx_http_klaviyo_puller_t *puller, int64_t now);
static ngx_int_t ngx_http_klaviyo_puller_clean(
    ngx_http_klaviyo_puller_t *puller);
static void ngx_http_klaviyo_puller_pull(ngx_http_klaviyo_puller_t *puller,
    int64_t now);
static ngx_int_t ngx_http_klaviyo_puller_fill(
    ngx_http_klaviyo_puller_t *puller, int64_t now);
static ngx_int_t ngx_http_klaviyo_puller_put(
    ngx_http_klaviyo_puller_t *puller);
static void ngx_http_klaviyo_puller_refuse(ngx_http_klaviyo_puller_t *puller,
    ngx_http_klaviyo_pack_t *pack, const char *wrong);
static void ngx_http_klaviyo_puller_settle(ngx_http_klaviyo_puller_t *puller);
static ngx_uint_t ngx_http_klaviyo_puller_finished(
    ngx_http_klaviyo_puller_t *puller, ngx_http_klaviyo_pack_t *pack,
    uint64_t done);
static void ngx_http_klaviyo_puller_settled(
    ngx_http_klaviyo_puller_t *puller, int64_t n);
static void ngx_http_klaviyo_puller_free(ngx_http_klaviyo_puller_t *puller,
    ngx_http_klaviyo_pack_t *pack);
static void ngx_http_klaviyo_puller_moved(void *data, uint64_t from,
    uint64_t to);
static void ngx_http_klaviyo_puller_ready(void *data);
static void ngx_http_klaviyo_puller_lost(void *data);
static void ngx_http_klaviyo_puller_answer(void *data,
    ngx_http_klaviyo_fleet_op_e op,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n);
static void ngx_http_klaviyo_puller_pulled(ngx_http_klaviyo_puller_t *puller,
    const ngx_http_klaviyo_fleet_value_t *value);
static void ngx_http_klaviyo_puller_outcomes(
    ngx_http_klaviyo_puller_t *puller, uint64_t *lost, uint64_t *dead);


ngx_http_klaviyo_puller_t *
ngx_http_klaviyo_puller_create(ngx_http_klaviyo_account_t *account,
    klaviyo_lease_t *lease, klaviyo_stream_t *stream, ngx_event_t *wake,
    ngx_log_t *log)
{
    klaviyo_ring_span_t         span;
    ngx_http_klaviyo_puller_t  *puller;

    puller = ngx_calloc(sizeof(ngx_http_klaviyo_puller_t), log);
    if (puller == NULL) {
        return NULL;
    }

    puller->account = account;
    puller->lease = lease;
    puller->stream = stream;
    puller->wake = wake;
    puller->report.account = &account->name;
    puller->report.log = log;

    ngx_queue_init(&puller->packs);
    ngx_http_klaviyo_puller_nonce(puller);

    if (klaviyo_ring_span(account->ring, &span) != KLAVIYO_RING_OK) {
        ngx_free(puller);
        return NULL;
    }

    puller->host.data = puller->host_text;
    puller->host.len = ngx_http_klaviyo_fleet_host(puller->host_text,
                                                   span.uuid);

    puller->end.queue.data = puller;
    puller->end.queue.ready = ngx_http_klaviyo_puller_ready;
    puller->end.queue.answer = ngx_http_klaviyo_puller_answer;
    puller->end.queue.lost = ngx_http_klaviyo_puller_lost;

    if (ngx_http_klaviyo_fleet_end_open(&puller->end, account, log)
        != NGX_OK)
    {
        ngx_free(puller);
        return NULL;
    }

    /* one that was killed leaves it behind */

    puller->end.figures->leads = 0;

    return puller;
}


void
ngx_http_klaviyo_puller_destroy(ngx_http_klaviyo_puller_t *puller)
{
    ngx_http_klaviyo_puller_stop(puller, NULL);
    ngx_http_klaviyo_fleet_end_close(&puller->end);

    if (puller->held) {
        ngx_free(puller->held);
    }

    ngx_free(puller);
}


static void
ngx_http_klaviyo_puller_nonce(ngx_http_klaviyo_puller_t *puller)
{
    u_char      bytes[NGX_HTTP_KLAVIYO_PULLER_NONCE / 2];
    ngx_uint_t  i;

    if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK)
        != (ssize_t) sizeof(bytes))
    {
        for (i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (u_char) (ngx_random() ^ (ngx_pid >> i));
        }
    }

    (void) ngx_hex_dump(puller->nonce, bytes, sizeof(bytes));
}


ngx_msec_t
ngx_http_klaviyo_puller_run(ngx_http_klaviyo_puller_t *puller)
{
    int64_t     now;
    ngx_int_t   rc;
    ngx_msec_t  wait;

    if (!klaviyo_lease_valid(puller->lease)) {
        return 0;
    }

    now = klaviyo_clock_boot();

    if (puller->over) {
        ngx_http_klaviyo_puller_stop(puller, puller->over);

    } else if (puller->leads
               && now - puller->leased >= NGX_HTTP_KLAVIYO_PULLER_LEASE)
    {
        ngx_http_klaviyo_puller_stop(puller, "the lease was not renewed in "
                                     "time");
    }

    rc = ngx_http_klaviyo_puller_clean(puller);

    if (rc == NGX_OK && now >= puller->other) {
        ngx_http_klaviyo_puller_lease(puller, now);

        if (puller->granted) {
            rc = ngx_http_klaviyo_puller_lead(puller);
        }
    }

    if (!puller->leads) {
        return rc == NGX_DECLINED ? 0
               : rc == NGX_BUSY ? 10
               : ngx_http_klaviyo_puller_waits(puller, now);
    }

    ngx_http_klaviyo_puller_settle(puller);

    if (puller->leads) {
        ngx_http_klaviyo_puller_pull(puller, now);
        rc = ngx_http_klaviyo_puller_fill(puller, now);
    }

    if (rc == NGX_DECLINED) {
        return 0;
    }

    if (!puller->leads) {
        return 1;
    }

    wait = ngx_http_klaviyo_sender_run(puller->sender);

    if (wait && ngx_http_klaviyo_puller_fails(puller, now)) {
        puller->other = now + NGX_HTTP_KLAVIYO_PULLER_BACK;
        ngx_http_klaviyo_puller_stop(puller, "Klaviyo accepts nothing from "
                                     "here: another host is to try");
        return 1;
    }

    return wait ? ngx_min(wait, NGX_HTTP_KLAVIYO_PULLER_EMPTY) : 0;
}


static void
ngx_http_klaviyo_puller_lease(ngx_http_klaviyo_puller_t *puller, int64_t now)
{
    ngx_http_klaviyo_fleet_value_t  value[3];

    if (!puller->connected || puller->leasing || puller->granted
        || now - puller->asked < (puller->leads
                                  ? NGX_HTTP_KLAVIYO_PULLER_RENEW
                                  : NGX_HTTP_KLAVIYO_PULLER_TRY))
    {
        return;
    }

    value[0].text.data = puller->nonce;
    value[0].text.len = NGX_HTTP_KLAVIYO_PULLER_NONCE;
    value[1].text = puller->host;
    value[2].text = puller->account->fleet_whose;

    if (ngx_http_klaviyo_fleet_end_call(&puller->end,
                                        NGX_HTTP_KLAVIYO_FLEET_LEASE, value,
                                        3)
        == NGX_OK)
    {
        puller->leasing = 1;
        puller->asked = now;
    }
}


/* until the lease is asked for again, to the millisecond: nobody delivers */

static ngx_msec_t
ngx_http_klaviyo_puller_waits(ngx_http_klaviyo_puller_t *puller, int64_t now)
{
    int64_t  wait;

    if (!puller->connected || puller->leasing || now < puller->other) {
        return NGX_HTTP_KLAVIYO_PULLER_IDLE;
    }

    wait = puller->asked + NGX_HTTP_KLAVIYO_PULLER_TRY - now;

    return (ngx_msec_t) ngx_max(wait, 10);
}


static ngx_int_t
ngx_http_klaviyo_puller_lead(ngx_http_klaviyo_puller_t *puller)
{
    puller->granted = 0;

    puller->sender = ngx_http_klaviyo_sender_create(puller->account,
                                                    puller->lease,
                                                    puller->stream,
                                                    puller->wake,
                                                    puller->report.log);
    if (puller->sender == NULL) {
        return NGX_ERROR;
    }

    ngx_http_klaviyo_sender_fleet(puller->sender,
                                  ngx_http_klaviyo_puller_moved, puller);

    puller->leads = 1;
    puller->well = klaviyo_clock_boot();
    puller->clean = 0;
    puller->pull = 0;
    puller->scanned = 0;
    puller->end.figures->leads = 1;

    puller->last_len = ngx_sprintf(puller->last, "0-0") - puller->last;

    ngx_http_klaviyo_puller_outcomes(puller, &puller->lost, &puller->dead);

    ngx_log_error(NGX_LOG_NOTICE, puller->report.log, 0,
                  "klaviyo account \"%V\": this host delivers for fleet "
                  "\"%V\"", &puller->account->name,
                  &puller->account->fleet_name);

    return NGX_OK;
}


/*
 * Nothing is lost by it: what is not settled is in the fleet.  The others need
 * not wait until its time is over.
 */

static void
ngx_http_klaviyo_puller_stop(ngx_http_klaviyo_puller_t *puller,
    const char *why)
{
    ngx_queue_t                     *q;
    ngx_http_klaviyo_fleet_value_t   value;

    puller->over = NULL;

    if (puller->leads || puller->granted) {
        value.text.data = puller->nonce;
        value.text.len = NGX_HTTP_KLAVIYO_PULLER_NONCE;

        (void) ngx_http_klaviyo_fleet_end_call(&puller->end,
                                               NGX_HTTP_KLAVIYO_FLEET_RELEASE,
                                               &value, 1);

        ngx_http_klaviyo_puller_nonce(puller);
    }

    puller->granted = 0;

    if (!puller->leads) {
        return;
    }

    ngx_http_klaviyo_sender_destroy(puller->sender);

    puller->sender = NULL;
    puller->leads = 0;
    puller->end.figures->leads = 0;

    while (!ngx_queue_empty(&puller->packs)) {
        q = ngx_queue_head(&puller->packs);

        ngx_http_klaviyo_puller_free(puller,
                         ngx_queue_data(q, ngx_http_klaviyo_pack_t, queue));
    }

    if (puller->opened) {
        klaviyo_unpack_free(&puller->reading);
        puller->opened = 0;
    }

    puller->event_read = 0;
    puller->nheld = 0;
    puller->settling = 0;
    puller->letters = 0;

    if (why) {
        ngx_log_error(NGX_LOG_NOTICE, puller->report.log, 0,
                      "klaviyo account \"%V\": this host delivers no more "
                      "for fleet \"%V\": %s",
                      &puller->account->name, &puller->account->fleet_name,
                      why);
    }
}


/* a key that is none, a way that is closed: of this host, or of all */

static ngx_uint_t
ngx_http_klaviyo_puller_fails(ngx_http_klaviyo_puller_t *puller, int64_t now)
{
    ngx_http_klaviyo_sender_t         *sender;
    ngx_http_klaviyo_fleet_figures_t  *figures;

    sender = puller->sender;
    figures = puller->end.figures;

    if (sender->failures == 0
        || now < sender->limits.paused_until
        || figures->hosts < figures->silent + 2)
    {
        puller->well = now;
    }

    return now - puller->well >= NGX_HTTP_KLAVIYO_PULLER_FAILS;
}


/* what the ring has is in the fleet as well */

static ngx_int_t
ngx_http_klaviyo_puller_clean(ngx_http_klaviyo_puller_t *puller)
{
    klaviyo_ack_t        ack;
    klaviyo_ring_t      *ring;
    klaviyo_ring_rc_e    rc;
    klaviyo_ring_span_t  span;

    if (puller->clean || puller->leads) {
        return NGX_OK;
    }

    ring = puller->account->ring;

    if (klaviyo_ring_span(ring, &span) != KLAVIYO_RING_OK) {
        return NGX_DECLINED;
    }

    if (span.done < span.end.seq) {
        ngx_memzero(&ack, sizeof(klaviyo_ack_t));

        ack.from.seq = span.done;
        ack.from.position = span.first.position;
        ack.to = span.end;

        rc = klaviyo_ring_ack(ring, puller->lease->epoch, &ack,
                              span.end.seq - span.done);

        if (rc != KLAVIYO_RING_OK) {
            return (rc == KLAVIYO_RING_BUSY) ? NGX_BUSY : NGX_DECLINED;
        }
    }

    puller->clean = 1;

    return NGX_OK;
}


static void
ngx_http_klaviyo_puller_pull(ngx_http_klaviyo_puller_t *puller, int64_t now)
{
    ngx_queue_t                     *q;
    klaviyo_ring_span_t              span;
    ngx_http_klaviyo_pack_t         *pack;
    ngx_http_klaviyo_fleet_value_t   value[3];

    if (!puller->connected || puller->pulling || now < puller->pull
        || puller->n >= NGX_HTTP_KLAVIYO_PULLER_PACKS)
    {
        return;
    }

    if (!ngx_queue_empty(&puller->packs)) {
        q = ngx_queue_last(&puller->packs);
        pack = ngx_queue_data(q, ngx_http_klaviyo_pack_t, queue);

        if (pack->state == NGX_HTTP_KLAVIYO_PACK_PULLED) {
            return;
        }
    }

    if (klaviyo_ring_span(puller->account->ring, &span) != KLAVIYO_RING_OK
        || span.used >= span.size / 2)
    {
        return;
    }

    value[0].text.data = puller->nonce;
    value[0].text.len = NGX_HTTP_KLAVIYO_PULLER_NONCE;
    value[1].text.data = puller->last;
    value[1].text.len = puller->last_len;
    ngx_str_null(&value[2].text);
    value[2].number = NGX_HTTP_KLAVIYO_PULLER_BYTES;

    if (ngx_http_klaviyo_fleet_end_call(&puller->end,
                                        NGX_HTTP_KLAVIYO_FLEET_PULL, value, 3)
        == NGX_OK)
    {
        puller->pulling = 1;
    }
}


/* from the packs into the ring */

static ngx_int_t
ngx_http_klaviyo_puller_fill(ngx_http_klaviyo_puller_t *puller, int64_t now)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    const char               *wrong;
    ngx_queue_t              *q, *next;
    klaviyo_ring_span_t       span;
    ngx_http_klaviyo_pack_t  *pack;

    i = 0;

    for (q = ngx_queue_head(&puller->packs);
         q != ngx_queue_sentinel(&puller->packs);
         q = next)
    {
        next = ngx_queue_next(q);
        pack = ngx_queue_data(q, ngx_http_klaviyo_pack_t, queue);

        if (pack->state != NGX_HTTP_KLAVIYO_PACK_PULLED) {
            continue;
        }

        if (i++ == NGX_HTTP_KLAVIYO_PULLER_STEP) {
            ngx_post_event(puller->wake, &ngx_posted_next_events);
            return NGX_OK;
        }

        if (!puller->opened) {
            wrong = klaviyo_unpack_open(&puller->reading, pack->bytes,
                                        pack->len);

            if (wrong == NULL && puller->reading.n != pack->n) {
                klaviyo_unpack_free(&puller->reading);
                wrong = "it has another number of events than was told";
            }

            if (wrong && ngx_strstr(wrong, "version")) {

                /* a newer host's: that one is to deliver it */

                ngx_http_klaviyo_report(&puller->report, NGX_LOG_ERR,
                                        NGX_HTTP_KLAVIYO_REPORT_FLEET,
                                        "a pack of the fleet is of another "
                                        "version: update this host");
                puller->other = now + NGX_HTTP_KLAVIYO_PULLER_OTHER;
                ngx_http_klaviyo_puller_stop(puller, "a newer version is "
                                             "needed");
                return NGX_OK;
            }

            if (wrong && ngx_strstr(wrong, "memory")) {
                return NGX_OK;
            }

            if (wrong) {
                ngx_http_klaviyo_puller_refuse(puller, pack, wrong);
                continue;
            }

            puller->opened = 1;
        }

        rc = ngx_http_klaviyo_puller_put(puller);

        if (rc != NGX_OK) {
            return rc;
        }

        if (klaviyo_ring_span(puller->account->ring, &span)
            != KLAVIYO_RING_OK)
        {
            return NGX_DECLINED;
        }

        klaviyo_unpack_free(&puller->reading);
        puller->opened = 0;

        free(pack->bytes);
        pack->bytes = NULL;
        pack->end = span.end.seq;
        pack->state = NGX_HTTP_KLAVIYO_PACK_IN_RING;
    }

    return NGX_OK;
}


/* NGX_AGAIN: the ring has no room now */

static ngx_int_t
ngx_http_klaviyo_puller_put(ngx_http_klaviyo_puller_t *puller)
{
    uint64_t           seq;
    klaviyo_ring_rc_e  rc;

    for ( ;; ) {

        if (!puller->event_read
            && !klaviyo_unpack_next(&puller->reading, &puller->event, &seq))
        {
            return NGX_OK;
        }

        puller->event_read = 1;

        rc = klaviyo_ring_put(puller->account->ring, &puller->event);

        switch (rc) {

        case KLAVIYO_RING_OK:
            puller->event_read = 0;
            break;

        case KLAVIYO_RING_FULL:
        case KLAVIYO_RING_BUSY:
            return NGX_AGAIN;

        default:
            return NGX_DECLINED;
        }
    }
}


/* its host has it still, and adds it again */

static void
ngx_http_klaviyo_puller_refuse(ngx_http_klaviyo_puller_t *puller,
    ngx_http_klaviyo_pack_t *pack, const char *wrong)
{
    char                             text[256];
    ngx_http_klaviyo_fleet_value_t   value[5];

    (void) ngx_snprintf((u_char *) text, sizeof(text),
                        "a pack in the fleet cannot be read (%s): its host "
                        "is to add it again%Z", wrong);

    ngx_http_klaviyo_report(&puller->report, NGX_LOG_ERR,
                            NGX_HTTP_KLAVIYO_REPORT_FLEET, text);

    ngx_memzero(value, sizeof(value));

    value[0].text.data = puller->nonce;
    value[0].text.len = NGX_HTTP_KLAVIYO_PULLER_NONCE;
    value[1].text.data = pack->id;
    value[1].text.len = pack->id_len;
    value[2].text.data = pack->host;
    value[2].text.len = pack->host_len;
    value[3].number = pack->n;
    value[4].number = (int64_t) pack->len;

    /* not called: it comes again with the next pull of all */

    (void) ngx_http_klaviyo_fleet_end_call(&puller->end,
                                           NGX_HTTP_KLAVIYO_FLEET_REFUSE,
                                           value, 5);

    ngx_http_klaviyo_puller_free(puller, pack);
}


/* finished packs, the oldest first; of a host none before its earlier ones */

static void
ngx_http_klaviyo_puller_settle(ngx_http_klaviyo_puller_t *puller)
{
    uint64_t                         lost, dead;
    ngx_str_t                        letters, *held, stays[
                                             NGX_HTTP_KLAVIYO_PULLER_HELD];
    ngx_uint_t                       n, i, nstays;
    ngx_queue_t                     *q;
    klaviyo_ring_span_t              span;
    ngx_http_klaviyo_pack_t         *pack;
    ngx_http_klaviyo_fleet_value_t  *v, value[4
                                        + NGX_HTTP_KLAVIYO_PULLER_FIELDS
                                          * NGX_HTTP_KLAVIYO_PULLER_SETTLE];

    if (!puller->connected || puller->settling
        || klaviyo_ring_span(puller->account->ring, &span) != KLAVIYO_RING_OK
        || span.done == puller->scanned)
    {
        return;
    }

    ngx_http_klaviyo_puller_outcomes(puller, &lost, &dead);

    if (lost != puller->lost) {

        /* what the ring lost the fleet has: all of it again */

        ngx_http_klaviyo_puller_stop(puller, "events were lost on the way "
                                     "and are pulled again");
        return;
    }

    ngx_memzero(value, sizeof(value));

    v = &value[4];
    n = 0;
    nstays = 0;

    for (q = ngx_queue_head(&puller->packs);
         q != ngx_queue_sentinel(&puller->packs)
         && n < NGX_HTTP_KLAVIYO_PULLER_SETTLE;
         q = ngx_queue_next(q))
    {
        pack = ngx_queue_data(q, ngx_http_klaviyo_pack_t, queue);

        if (pack->state == NGX_HTTP_KLAVIYO_PACK_PULLED
            || pack->end > span.done)
        {
            break;
        }

        for (i = 0; i < nstays; i++) {
            held = &stays[i];

            if (held->len == pack->host_len
                && ngx_memcmp(held->data, pack->host, held->len) == 0)
            {
                break;
            }
        }

        if (i < nstays) {
            continue;
        }

        if (!ngx_http_klaviyo_puller_finished(puller, pack, span.done)) {

            if (nstays == NGX_HTTP_KLAVIYO_PULLER_HELD) {
                break;
            }

            stays[nstays].data = pack->host;
            stays[nstays++].len = pack->host_len;
            continue;
        }

        pack->state = NGX_HTTP_KLAVIYO_PACK_SETTLING;
        n++;

        (v++)->text = (ngx_str_t) { pack->id_len, pack->id };
        (v++)->text = (ngx_str_t) { pack->host_len, pack->host };
        (v++)->number = pack->expect;
        (v++)->number = pack->to;
        (v++)->number = pack->n;
        (v++)->number = (int64_t) pack->len;
    }

    if (n == 0) {
        puller->scanned = span.done;
        return;
    }

    if (n < NGX_HTTP_KLAVIYO_PULLER_SETTLE) {
        puller->scanned = span.done;
    }

    ngx_http_klaviyo_sender_letters(puller->sender, &letters);

    puller->letters = letters.len;
    puller->telling = dead - puller->dead;

    value[0].text.data = puller->nonce;
    value[0].text.len = NGX_HTTP_KLAVIYO_PULLER_NONCE;
    value[1].number = (int64_t) puller->telling;
    value[2].number = (int64_t) ngx_min(puller->account->dead_letter_size,
                                        puller->account->fleet_size / 4);
    value[3].text = letters;

    if (letters.len == 0) {
        ngx_str_set(&value[3].text, "");
    }

    klaviyo_crash("before_settle");

    if (ngx_http_klaviyo_fleet_end_call(&puller->end,
                                        NGX_HTTP_KLAVIYO_FLEET_SETTLE, value,
                                        v - value)
        == NGX_OK)
    {
        puller->settling = 1;
        return;
    }

    ngx_http_klaviyo_puller_settled(puller, -1);
}


static ngx_uint_t
ngx_http_klaviyo_puller_finished(ngx_http_klaviyo_puller_t *puller,
    ngx_http_klaviyo_pack_t *pack, uint64_t done)
{
    ngx_uint_t  i;

    for (i = 0; i < puller->nheld; i++) {
        if (puller->held[i].pack == pack && puller->held[i].seq >= done) {
            return 0;
        }
    }

    return 1;
}


/* n: so many events were; -1: it is not known, and done again */

static void
ngx_http_klaviyo_puller_settled(ngx_http_klaviyo_puller_t *puller, int64_t n)
{
    ngx_queue_t              *q, *next;
    ngx_http_klaviyo_pack_t  *pack;

    puller->settling = 0;

    for (q = ngx_queue_head(&puller->packs);
         q != ngx_queue_sentinel(&puller->packs);
         q = next)
    {
        next = ngx_queue_next(q);
        pack = ngx_queue_data(q, ngx_http_klaviyo_pack_t, queue);

        if (pack->state != NGX_HTTP_KLAVIYO_PACK_SETTLING) {
            continue;
        }

        if (n >= 0) {
            ngx_http_klaviyo_puller_free(puller, pack);

        } else {
            pack->state = NGX_HTTP_KLAVIYO_PACK_IN_RING;
        }
    }

    if (n < 0) {
        puller->scanned = 0;
        return;
    }

    ngx_http_klaviyo_sender_lettered(puller->sender, puller->letters);

    /* done before, and now again: it was counted then */

    puller->dead += (n == 0) ? puller->telling
                             : ngx_min(puller->telling, (uint64_t) n);
    puller->letters = 0;
}


static void
ngx_http_klaviyo_puller_free(ngx_http_klaviyo_puller_t *puller,
    ngx_http_klaviyo_pack_t *pack)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < puller->nheld; i++) {
        if (puller->held[i].pack != pack) {
            puller->held[n++] = puller->held[i];
        }
    }

    puller->nheld = n;

    ngx_queue_remove(&pack->queue);
    puller->n--;

    free(pack->bytes);
    ngx_free(pack);
}


/* an event of [from, to) is at the end of the ring as well */

static void
ngx_http_klaviyo_puller_moved(void *data, uint64_t from, uint64_t to)
{
    ngx_http_klaviyo_puller_t *puller = data;

    uint64_t                  first;
    ngx_uint_t                i, n, size;
    ngx_queue_t              *q;
    klaviyo_ring_span_t       span;
    ngx_http_klaviyo_held_t  *held;
    ngx_http_klaviyo_pack_t  *pack;

    if (klaviyo_ring_span(puller->account->ring, &span) != KLAVIYO_RING_OK) {
        puller->over = NGX_HTTP_KLAVIYO_PULLER_MEMORY;
        return;
    }

    first = 0;

    for (q = ngx_queue_head(&puller->packs);
         q != ngx_queue_sentinel(&puller->packs);
         q = ngx_queue_next(q))
    {
        pack = ngx_queue_data(q, ngx_http_klaviyo_pack_t, queue);

        if (pack->state == NGX_HTTP_KLAVIYO_PACK_PULLED) {
            break;
        }

        n = (pack->end > from && first < to);
        first = pack->end;

        for (i = 0; !n && i < puller->nheld; i++) {
            n = puller->held[i].pack == pack && puller->held[i].seq >= from
                && puller->held[i].seq < to;
        }

        if (!n) {
            continue;
        }

        if (puller->nheld == puller->held_size) {
            size = ngx_max(2 * puller->held_size, 64);

            held = ngx_alloc(size * sizeof(ngx_http_klaviyo_held_t),
                             puller->report.log);
            if (held == NULL) {
                puller->over = NGX_HTTP_KLAVIYO_PULLER_MEMORY;
                return;
            }

            if (puller->held) {
                ngx_memcpy(held, puller->held, puller->nheld
                                           * sizeof(ngx_http_klaviyo_held_t));
                ngx_free(puller->held);
            }

            puller->held = held;
            puller->held_size = size;
        }

        puller->held[puller->nheld].pack = pack;
        puller->held[puller->nheld++].seq = span.end.seq - 1;
    }
}


static void
ngx_http_klaviyo_puller_ready(void *data)
{
    ngx_http_klaviyo_puller_t *puller = data;

    puller->connected = 1;
    puller->asked = 0;

    ngx_post_event(puller->wake, &ngx_posted_events);
}


static void
ngx_http_klaviyo_puller_lost(void *data)
{
    ngx_http_klaviyo_puller_t *puller = data;

    puller->connected = 0;
    puller->leasing = 0;
    puller->pulling = 0;

    if (puller->settling) {
        ngx_http_klaviyo_puller_settled(puller, -1);
    }

    /*
     * After a fail-over the numbers of packs may repeat, or begin below those
     * that were pulled: all that is not settled is pulled again.
     */

    if (puller->leads) {
        puller->over = "the connection was lost";
    }
}


static void
ngx_http_klaviyo_puller_answer(void *data, ngx_http_klaviyo_fleet_op_e op,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n)
{
    ngx_http_klaviyo_puller_t *puller = data;

    ngx_uint_t  i;

    ngx_post_event(puller->wake, &ngx_posted_events);

    if (n == 0) {
        puller->over = NGX_HTTP_KLAVIYO_PULLER_ANOTHER;
        return;
    }

    if (op == NGX_HTTP_KLAVIYO_FLEET_RELEASE) {
        return;
    }

    if (op == NGX_HTTP_KLAVIYO_FLEET_LEASE) {
        puller->leasing = 0;

        if (value[0].number == 1) {
            puller->leased = puller->asked;
            puller->granted = !puller->leads;

        } else {
            puller->over = puller->leads ? NGX_HTTP_KLAVIYO_PULLER_ANOTHER
                                         : NULL;
        }

        return;
    }

    /* what was called before it stood back, or while another leads */

    if (op == NGX_HTTP_KLAVIYO_FLEET_PULL) {
        puller->pulling = 0;
    }

    if (!puller->leads) {
        return;
    }

    if (value[0].number != 1) {
        puller->over = NGX_HTTP_KLAVIYO_PULLER_ANOTHER;
        return;
    }

    if (op == NGX_HTTP_KLAVIYO_FLEET_SETTLE && n == 2 && puller->settling) {
        ngx_http_klaviyo_puller_settled(puller, value[1].number);
        return;
    }

    if (op != NGX_HTTP_KLAVIYO_FLEET_PULL) {
        return;
    }

    if (n == 2) {

        /* rolled back, it has packs that were settled, or has others */

        if (value[1].number != (int64_t) puller->n) {
            puller->over = "the fleet has other packs than were pulled";
        }

        puller->pull = klaviyo_clock_boot()
                       + NGX_HTTP_KLAVIYO_PULLER_EMPTY;
        return;
    }

    for (i = 1; i + NGX_HTTP_KLAVIYO_PULLER_FIELDS <= n;
         i += NGX_HTTP_KLAVIYO_PULLER_FIELDS)
    {
        ngx_http_klaviyo_puller_pulled(puller, &value[i]);
    }
}


static void
ngx_http_klaviyo_puller_pulled(ngx_http_klaviyo_puller_t *puller,
    const ngx_http_klaviyo_fleet_value_t *value)
{
    int64_t                   number[3];
    ngx_uint_t                i;
    ngx_http_klaviyo_pack_t  *pack;

    if (puller->over
        || value[0].text.len == 0
        || value[0].text.len > NGX_HTTP_KLAVIYO_PULLER_ID)
    {
        return;
    }

    for (i = 0; i < 3; i++) {
        number[i] = ngx_atoof(value[2 + i].text.data, value[2 + i].text.len);

        if (number[i] < 0) {
            number[i] = 0;
        }
    }

    /* without memory no pack may be left out: all of it again, later */

    pack = ngx_calloc(sizeof(ngx_http_klaviyo_pack_t), puller->report.log);
    if (pack == NULL) {
        puller->over = NGX_HTTP_KLAVIYO_PULLER_MEMORY;
        return;
    }

    pack->bytes = malloc(value[5].text.len + 1);
    if (pack->bytes == NULL) {
        ngx_free(pack);
        puller->over = NGX_HTTP_KLAVIYO_PULLER_MEMORY;
        return;
    }

    ngx_memcpy(pack->bytes, value[5].text.data, value[5].text.len);
    pack->len = value[5].text.len;

    ngx_memcpy(pack->id, value[0].text.data, value[0].text.len);
    pack->id_len = value[0].text.len;
    pack->host_len = ngx_min(value[1].text.len, NGX_HTTP_KLAVIYO_FLEET_HOST);
    ngx_memcpy(pack->host, value[1].text.data, pack->host_len);

    pack->expect = number[0];
    pack->to = number[1];
    pack->n = (uint32_t) ngx_min(number[2], KLAVIYO_PACK_EVENTS + 1);

    if (pack->host_len < value[1].text.len) {

        /* no host's: to be refused */

        pack->n = KLAVIYO_PACK_EVENTS + 1;
    }

    ngx_memcpy(puller->last, pack->id, pack->id_len);
    puller->last_len = pack->id_len;

    ngx_queue_insert_tail(&puller->packs, &pack->queue);
    puller->n++;
}


/* how many events of the ring ended so */

static void
ngx_http_klaviyo_puller_outcomes(ngx_http_klaviyo_puller_t *puller,
    uint64_t *lost, uint64_t *dead)
{
    ngx_uint_t         i;
    klaviyo_figures_t  figures;

    klaviyo_ring_figures(puller->account->ring, &figures);

    *lost = 0;
    *dead = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {

        if (ngx_strcmp(klaviyo_outcome_names[i].group, "lost") == 0) {
            *lost += figures.outcome[i];

        } else if (ngx_strcmp(klaviyo_outcome_names[i].group, "dead") == 0) {
            *dead += figures.outcome[i];
        }
    }
}

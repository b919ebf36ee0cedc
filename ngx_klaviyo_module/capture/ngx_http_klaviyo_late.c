/*
 * Capture: events that did not get their queue's lock in time.
 *
 *     start          last              end
 *     [event][event][event]. . . . . . .
 *
 * One buffer a worker, made at its start, so that a request allocates nothing.
 * Each pass appends what it can and moves the rest to the buffer's start.  A
 * queue whose lock was not had is left alone until the next pass: others must
 * not wait for it, nor must the event loop.
 */


#include "ngx_http_klaviyo_late.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_totals.h"


#define NGX_HTTP_KLAVIYO_LATE_SIZE   (256 * 1024)
#define NGX_HTTP_KLAVIYO_LATE_WAIT   10    /* ms between passes               */
#define NGX_HTTP_KLAVIYO_LATE_EXIT   500   /* ms of passes at the exit        */
#define NGX_HTTP_KLAVIYO_LATE_QUEUES 8     /* not had in one pass: it ends    */


typedef struct {
    ngx_http_klaviyo_account_t  *account;
    size_t                       size;     /* with the bytes behind it        */
    klaviyo_event_t              event;    /* lengths; pointers are made anew */
} ngx_http_klaviyo_late_event_t;


static klaviyo_ring_rc_e ngx_http_klaviyo_late_keep(
    ngx_http_klaviyo_account_t *account, const klaviyo_event_t *event);
static ngx_uint_t ngx_http_klaviyo_late_waits(
    ngx_http_klaviyo_account_t *account);
static void ngx_http_klaviyo_late_pass(void);
static void ngx_http_klaviyo_late_read(ngx_http_klaviyo_late_event_t *late,
    u_char *p);
static void ngx_http_klaviyo_late_handler(ngx_event_t *ev);


static struct {
    u_char       *start;
    u_char       *last;
    u_char       *end;
    ngx_event_t   timer;
} ngx_http_klaviyo_late;


ngx_int_t
ngx_http_klaviyo_late_init_process(ngx_cycle_t *cycle)
{
    static ngx_connection_t  dumb;

    u_char  *start;

    start = ngx_alloc(NGX_HTTP_KLAVIYO_LATE_SIZE, cycle->log);
    if (start == NULL) {
        return NGX_ERROR;
    }

    ngx_http_klaviyo_late.start = start;
    ngx_http_klaviyo_late.last = start;
    ngx_http_klaviyo_late.end = start + NGX_HTTP_KLAVIYO_LATE_SIZE;

    dumb.fd = (ngx_socket_t) -1;

    ngx_http_klaviyo_late.timer.handler = ngx_http_klaviyo_late_handler;
    ngx_http_klaviyo_late.timer.data = &dumb;
    ngx_http_klaviyo_late.timer.log = cycle->log;
    ngx_http_klaviyo_late.timer.cancelable = 1;

    return NGX_OK;
}


klaviyo_ring_rc_e
ngx_http_klaviyo_append(ngx_http_klaviyo_account_t *account,
    const klaviyo_event_t *event)
{
    klaviyo_ring_rc_e  rc;

    rc = ngx_http_klaviyo_late_waits(account)
         ? KLAVIYO_RING_BUSY : klaviyo_ring_try(account->ring, event);

    return (rc == KLAVIYO_RING_BUSY)
           ? ngx_http_klaviyo_late_keep(account, event) : rc;
}


static klaviyo_ring_rc_e
ngx_http_klaviyo_late_keep(ngx_http_klaviyo_account_t *account,
    const klaviyo_event_t *event)
{
    u_char                         *p;
    size_t                          size, rest;
    ngx_http_klaviyo_late_event_t   late;

    rest = ngx_http_klaviyo_late.end - ngx_http_klaviyo_late.last;

    size = ngx_align(sizeof(ngx_http_klaviyo_late_event_t)
                     + event->unique_id_len + event->profile_len
                     + event->attributes_len, NGX_ALIGNMENT);

    if (size > rest) {
        klaviyo_ring_lost_busy(account->ring, event);
        return KLAVIYO_RING_BUSY;
    }

    late.account = account;
    late.size = size;
    late.event = *event;

    p = ngx_cpymem(ngx_http_klaviyo_late.last, &late, sizeof(late));
    p = ngx_cpymem(p, event->unique_id, event->unique_id_len);
    p = ngx_cpymem(p, event->profile, event->profile_len);
    ngx_memcpy(p, event->attributes, event->attributes_len);

    ngx_http_klaviyo_late.last += size;

    if (!ngx_http_klaviyo_late.timer.timer_set) {
        ngx_add_timer(&ngx_http_klaviyo_late.timer,
                      NGX_HTTP_KLAVIYO_LATE_WAIT);
    }

    return KLAVIYO_RING_OK;
}


static ngx_uint_t
ngx_http_klaviyo_late_waits(ngx_http_klaviyo_account_t *account)
{
    u_char                         *p;
    ngx_http_klaviyo_late_event_t   late;

    for (p = ngx_http_klaviyo_late.start;
         p < ngx_http_klaviyo_late.last;
         p += late.size)
    {
        ngx_memcpy(&late, p, sizeof(late));

        if (late.account == account) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_klaviyo_late_pass(void)
{
    u_char                         *p, *kept;
    ngx_uint_t                      i, n;
    ngx_http_klaviyo_late_event_t   late;
    ngx_http_klaviyo_account_t     *busy[NGX_HTTP_KLAVIYO_LATE_QUEUES];

    n = 0;
    kept = ngx_http_klaviyo_late.start;

    for (p = ngx_http_klaviyo_late.start;
         p < ngx_http_klaviyo_late.last;
         p += late.size)
    {
        ngx_http_klaviyo_late_read(&late, p);

        for (i = 0; i < n && busy[i] != late.account; i++) { /* void */ }

        if (i == n && n < NGX_HTTP_KLAVIYO_LATE_QUEUES) {

            if (klaviyo_ring_try(late.account->ring, &late.event)
                != KLAVIYO_RING_BUSY)
            {
                continue;
            }

            busy[n++] = late.account;
        }

        ngx_memmove(kept, p, late.size);
        kept += late.size;
    }

    ngx_http_klaviyo_late.last = kept;
}


static void
ngx_http_klaviyo_late_read(ngx_http_klaviyo_late_event_t *late, u_char *p)
{
    klaviyo_event_t  *event;

    ngx_memcpy(late, p, sizeof(ngx_http_klaviyo_late_event_t));

    event = &late->event;

    event->unique_id = p + sizeof(ngx_http_klaviyo_late_event_t);
    event->profile = event->unique_id + event->unique_id_len;
    event->attributes = event->profile + event->profile_len;
}


static void
ngx_http_klaviyo_late_handler(ngx_event_t *ev)
{
    ngx_http_klaviyo_late_pass();

    if (ngx_http_klaviyo_late.last != ngx_http_klaviyo_late.start) {
        ngx_add_timer(ev, NGX_HTTP_KLAVIYO_LATE_WAIT);
    }
}


void
ngx_http_klaviyo_late_exit_process(void)
{
    u_char                         *p;
    ngx_uint_t                      passed;
    ngx_http_klaviyo_late_event_t   late;

    for (passed = 0;
         ngx_http_klaviyo_late.last != ngx_http_klaviyo_late.start
         && passed < NGX_HTTP_KLAVIYO_LATE_EXIT;
         passed += NGX_HTTP_KLAVIYO_LATE_WAIT)
    {
        ngx_http_klaviyo_late_pass();
        ngx_msleep(NGX_HTTP_KLAVIYO_LATE_WAIT);
    }

    for (p = ngx_http_klaviyo_late.start;
         p < ngx_http_klaviyo_late.last;
         p += late.size)
    {
        ngx_http_klaviyo_late_read(&late, p);

        klaviyo_ring_lost_busy(late.account->ring, &late.event);
    }

    ngx_http_klaviyo_late.last = ngx_http_klaviyo_late.start;
}


const char *
ngx_http_klaviyo_append_refused(ngx_http_klaviyo_account_t *account,
    klaviyo_ring_rc_e rc)
{
    klaviyo_counter_e  reason;

    switch (rc) {

    case KLAVIYO_RING_FULL:
        reason = KLAVIYO_COUNT_LOST_QUEUE_FULL;
        break;

    case KLAVIYO_RING_BUSY:
        reason = KLAVIYO_COUNT_LOST_QUEUE_BUSY;
        break;

    case KLAVIYO_RING_TOO_LARGE:
        reason = KLAVIYO_COUNT_SKIPPED_TOO_LARGE;
        klaviyo_ring_count(account->ring, reason, 1);
        break;

    default:
        return "detached";
    }

    return klaviyo_counter_names[reason].name;
}

/*
 * Candidates and the one deliverer of each account; see the header.
 *
 * One timer an account: each second while another process delivers, as often
 * as the sender asks for while this one does.
 */


#include "ngx_http_klaviyo_deliverer.h"

#include "ngx_http_klaviyo_held.h"
#include "ngx_http_klaviyo_job.h"
#include "ngx_http_klaviyo_mover.h"
#include "ngx_http_klaviyo_puller.h"
#include "ngx_http_klaviyo_sender.h"
#include "ngx_http_klaviyo_spooler.h"
#include "ngx_http_klaviyo_transport.h"
#include "ngx_http_klaviyo_transport_process.h"
#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_owner.h"


#define NGX_HTTP_KLAVIYO_TICK   1000   /* ms between tries for the lease     */
#define NGX_HTTP_KLAVIYO_SOON   20     /* ms, when events are to be let go   */
#define NGX_HTTP_KLAVIYO_DRAIN  1000   /* events taken over in a tick        */
#define NGX_HTTP_KLAVIYO_PAGES  (256 * 1024 * 1024)
                                       /* bytes of all rings, made at start  */


typedef struct {
    ngx_http_klaviyo_account_t  *account;
    ngx_http_klaviyo_spooler_t  *spooler;    /* while the lease is held      */
    ngx_http_klaviyo_sender_t   *sender;     /* one of these, when the
                                                spooler is ready             */
    ngx_http_klaviyo_mover_t    *mover;
    ngx_http_klaviyo_puller_t   *puller;
    klaviyo_lease_t              lease;
    ngx_http_klaviyo_held_t      held;
    klaviyo_ring_pages_t         pages;
    ngx_http_klaviyo_job_t       job;        /* has these made               */
    ngx_msec_t                   next_tick;  /* ngx_current_msec             */
    ngx_event_t                  event;
    ngx_connection_t             dummy;      /* debug logs of timers read it */
    unsigned                     stopped:1;
} ngx_http_klaviyo_deliverer_t;


static void ngx_http_klaviyo_deliverer_pages(
    ngx_http_klaviyo_deliverer_t *deliverer, size_t *left);
static void ngx_http_klaviyo_deliverer_work(void *data);
static void ngx_http_klaviyo_deliverer_made(void *data);
static void ngx_http_klaviyo_deliverer_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_klaviyo_deliverer_verify(
    ngx_http_klaviyo_deliverer_t *deliverer);
static void ngx_http_klaviyo_deliverer_tick(
    ngx_http_klaviyo_deliverer_t *deliverer);
static void ngx_http_klaviyo_deliverer_send(
    ngx_http_klaviyo_deliverer_t *deliverer);
static ngx_msec_t ngx_http_klaviyo_deliverer_run(
    ngx_http_klaviyo_deliverer_t *deliverer, ngx_msec_t wait);
static void ngx_http_klaviyo_deliverer_unsend(
    ngx_http_klaviyo_deliverer_t *deliverer);
static void ngx_http_klaviyo_deliverer_stand_back(
    ngx_http_klaviyo_deliverer_t *deliverer);
static void ngx_http_klaviyo_deliverer_close(
    ngx_http_klaviyo_deliverer_t *deliverer);
static void ngx_http_klaviyo_deliverer_stop(
    ngx_http_klaviyo_deliverer_t *deliverer);


static ngx_http_klaviyo_deliverer_t  *ngx_http_klaviyo_deliverers;
static ngx_uint_t                     ngx_http_klaviyo_ndeliverers;


ngx_int_t
ngx_http_klaviyo_deliverer_init_process(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    size_t                         left;
    ngx_err_t                      err;
    ngx_pid_t                      master;
    ngx_uint_t                     i;
    ngx_http_klaviyo_account_t   **account;
    ngx_http_klaviyo_deliverer_t  *deliverer;

    /* without libcurl this worker captures, and leaves delivery to others */

    if (ngx_http_klaviyo_transport_init_process(cycle) != NGX_OK) {
        return NGX_OK;
    }

    deliverer = ngx_pcalloc(cycle->pool, kmcf->queues.nelts
                                    * sizeof(ngx_http_klaviyo_deliverer_t));
    if (deliverer == NULL) {
        return NGX_ERROR;
    }

    ngx_http_klaviyo_deliverers = deliverer;
    ngx_http_klaviyo_ndeliverers = kmcf->queues.nelts;

    account = kmcf->queues.elts;
    left = NGX_HTTP_KLAVIYO_PAGES;

    for (i = 0; i < kmcf->queues.nelts; i++, deliverer++) {

        deliverer->account = account[i];
        deliverer->dummy.fd = (ngx_socket_t) -1;

        deliverer->event.handler = ngx_http_klaviyo_deliverer_handler;
        deliverer->event.data = &deliverer->dummy;
        deliverer->event.log = cycle->log;
        deliverer->event.cancelable = 1;

        deliverer->dummy.data = deliverer;
        deliverer->next_tick = ngx_current_msec;

        master = ngx_process == NGX_PROCESS_SINGLE ? ngx_pid : ngx_parent;

        klaviyo_ring_own(account[i]->ring, (int64_t) master);

        if (account[i]->hold_ring) {
            klaviyo_ring_own(account[i]->hold_ring, (int64_t) master);
        }

        ngx_http_klaviyo_held_init(&deliverer->held, account[i],
                                   cycle->log);

        err = klaviyo_lease_open(&deliverer->lease, account[i]->ring);

        if (err) {
            ngx_log_error(NGX_LOG_CRIT, cycle->log, err,
                          "klaviyo account \"%V\": open() \"%V\" failed, "
                          "this worker will not deliver",
                          &account[i]->name, &account[i]->queue);
            deliverer->stopped = 1;
        }

        ngx_http_klaviyo_deliverer_pages(deliverer, &left);

        ngx_add_timer(&deliverer->event, 1);
    }

    return NGX_OK;
}


/* each worker its own: a page that another has is a fault here all the same */

static void
ngx_http_klaviyo_deliverer_pages(ngx_http_klaviyo_deliverer_t *deliverer,
    size_t *left)
{
    size_t  bytes;

    if (deliverer->account->fleet_host) {
        return;
    }

    bytes = klaviyo_ring_pages(deliverer->account->ring, *left,
                               &deliverer->pages);
    if (bytes == 0) {
        return;
    }

    deliverer->job.work = ngx_http_klaviyo_deliverer_work;
    deliverer->job.done = ngx_http_klaviyo_deliverer_made;
    deliverer->job.data = deliverer;

    if (ngx_http_klaviyo_job_post(&deliverer->job, deliverer->event.log)
        == NGX_OK)
    {
        *left -= bytes;
    }
}


static void
ngx_http_klaviyo_deliverer_work(void *data)
{
    ngx_http_klaviyo_deliverer_t *deliverer = data;

    klaviyo_ring_pages_make(&deliverer->pages);
}


static void
ngx_http_klaviyo_deliverer_made(void *data)
{
    (void) data;
}


void
ngx_http_klaviyo_deliverer_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    if (ngx_http_klaviyo_deliverers == NULL) {
        return;
    }

    for (i = 0; i < ngx_http_klaviyo_ndeliverers; i++) {
        ngx_http_klaviyo_deliverer_stop(&ngx_http_klaviyo_deliverers[i]);
    }

    ngx_http_klaviyo_deliverers = NULL;

    ngx_http_klaviyo_transport_exit_process(cycle);
}


/* the timer, and posted by the sender when an answer came */

static void
ngx_http_klaviyo_deliverer_handler(ngx_event_t *ev)
{
    ngx_msec_t                     wait;
    ngx_connection_t              *dummy;
    ngx_http_klaviyo_deliverer_t  *deliverer;

    dummy = ev->data;
    deliverer = dummy->data;

    if (ngx_exiting || ngx_quit || ngx_terminate) {
        ngx_http_klaviyo_deliverer_stop(deliverer);
    }

    if (ngx_http_klaviyo_deliverer_verify(deliverer) != NGX_OK) {
        ngx_http_klaviyo_deliverer_stop(deliverer);
        return;
    }

    ngx_http_klaviyo_held_verify(&deliverer->held);

    if (deliverer->stopped) {

        /* requests may still append: the file is looked at until the end */

        ngx_add_timer(ev, NGX_HTTP_KLAVIYO_TICK);
        return;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - deliverer->next_tick) >= 0) {
        deliverer->next_tick = ngx_current_msec + NGX_HTTP_KLAVIYO_TICK;
        ngx_http_klaviyo_deliverer_tick(deliverer);
    }

    wait = deliverer->next_tick - ngx_current_msec;

    if (deliverer->spooler) {
        wait = ngx_min(wait,
                       ngx_http_klaviyo_spooler_run(deliverer->spooler));

        ngx_http_klaviyo_deliverer_send(deliverer);
    }

    wait = ngx_http_klaviyo_deliverer_run(deliverer, wait);

    if (wait == 0) {
        ngx_http_klaviyo_deliverer_stand_back(deliverer);
        wait = NGX_HTTP_KLAVIYO_TICK;
    }

    /* ngx_add_timer() keeps a timer that is nearly right: not near enough */

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    ngx_add_timer(ev, ngx_max(wait, 1));
}


/* before the mapped bytes are touched: a truncated file means SIGBUS */

static ngx_int_t
ngx_http_klaviyo_deliverer_verify(ngx_http_klaviyo_deliverer_t *deliverer)
{
    char               error[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_rc_e  rc;

    rc = klaviyo_ring_verify(deliverer->account->ring, error);

    if (error[0]) {
        ngx_log_error(NGX_LOG_CRIT, deliverer->event.log, 0,
                      "klaviyo account \"%V\": %s",
                      &deliverer->account->name, error);
    }

    return rc == KLAVIYO_RING_OK ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_klaviyo_deliverer_tick(ngx_http_klaviyo_deliverer_t *deliverer)
{
    ngx_uint_t                   owns;
    ngx_http_klaviyo_account_t  *account;

    account = deliverer->account;

    if (klaviyo_lease_renew(&deliverer->lease) != KLAVIYO_RING_OK) {
        ngx_http_klaviyo_deliverer_stand_back(deliverer);
        return;
    }

    /*
     * What an old ring has in the spool is adopted before the rest of it is
     * taken over; until then it is only attached.
     */

    owns = deliverer->spooler
           && ngx_http_klaviyo_spooler_owns(deliverer->spooler);

    (void) klaviyo_ring_drain(account->ring, deliverer->lease.epoch,
                              owns ? NGX_HTTP_KLAVIYO_DRAIN : 0);

    if (ngx_http_klaviyo_held_run(&deliverer->held)) {
        deliverer->next_tick = ngx_current_msec + NGX_HTTP_KLAVIYO_SOON;
    }

    if (deliverer->spooler) {
        return;
    }

    deliverer->spooler = ngx_http_klaviyo_spooler_create(account,
                                                       &deliverer->lease,
                                                       &deliverer->event,
                                                       deliverer->event.log);
    if (deliverer->spooler == NULL) {
        return;
    }

    klaviyo_ring_count(account->ring, KLAVIYO_COUNT_DELIVERY_ELECTIONS, 1);

    ngx_log_error(NGX_LOG_NOTICE, deliverer->event.log, 0,
                  "klaviyo account \"%V\": this worker delivers",
                  &account->name);
}


/* shortens `wait`; 0: the lease is somebody else's */

static ngx_msec_t
ngx_http_klaviyo_deliverer_run(ngx_http_klaviyo_deliverer_t *deliverer,
    ngx_msec_t wait)
{
    ngx_msec_t  next;

    if (deliverer->sender) {
        next = ngx_http_klaviyo_sender_run(deliverer->sender);

    } else if (deliverer->mover) {
        next = ngx_http_klaviyo_mover_run(deliverer->mover);

    } else if (deliverer->puller) {
        next = ngx_http_klaviyo_puller_run(deliverer->puller);

    } else {
        return ngx_max(wait, 1);
    }

    return next ? ngx_max(ngx_min(wait, next), 1) : 0;
}


/* a sender, or who is in its place, while the spooler is ready for one */

static void
ngx_http_klaviyo_deliverer_send(ngx_http_klaviyo_deliverer_t *deliverer)
{
    klaviyo_stream_t            *stream;
    ngx_http_klaviyo_account_t  *account;

    if (!ngx_http_klaviyo_spooler_ready(deliverer->spooler)) {

        ngx_http_klaviyo_deliverer_unsend(deliverer);
        return;
    }

    if (deliverer->sender || deliverer->mover || deliverer->puller) {
        return;
    }

    account = deliverer->account;
    stream = ngx_http_klaviyo_spooler_stream(deliverer->spooler);

    if (account->fleet_host) {
        deliverer->puller = ngx_http_klaviyo_puller_create(account,
                                                    &deliverer->lease, stream,
                                                    &deliverer->event,
                                                    deliverer->event.log);

    } else if (account->fleet_queue) {
        deliverer->mover = ngx_http_klaviyo_mover_create(account,
                                                    &deliverer->lease, stream,
                                                    &deliverer->event,
                                                    deliverer->event.log);

    } else {
        deliverer->sender = ngx_http_klaviyo_sender_create(account,
                                                    &deliverer->lease, stream,
                                                    &deliverer->event,
                                                    deliverer->event.log);
    }
}


static void
ngx_http_klaviyo_deliverer_unsend(ngx_http_klaviyo_deliverer_t *deliverer)
{
    if (deliverer->sender) {
        ngx_http_klaviyo_sender_destroy(deliverer->sender);
        deliverer->sender = NULL;
    }

    if (deliverer->mover) {
        ngx_http_klaviyo_mover_destroy(deliverer->mover);
        deliverer->mover = NULL;
    }

    if (deliverer->puller) {
        ngx_http_klaviyo_puller_destroy(deliverer->puller);
        deliverer->puller = NULL;
    }
}


static void
ngx_http_klaviyo_deliverer_stand_back(ngx_http_klaviyo_deliverer_t *deliverer)
{
    if (deliverer->spooler == NULL) {
        return;
    }

    ngx_http_klaviyo_deliverer_close(deliverer);

    ngx_log_error(NGX_LOG_NOTICE, deliverer->event.log, 0,
                  "klaviyo account \"%V\": another process delivers",
                  &deliverer->account->name);
}


/* what belongs to the lease */

static void
ngx_http_klaviyo_deliverer_close(ngx_http_klaviyo_deliverer_t *deliverer)
{
    ngx_http_klaviyo_deliverer_unsend(deliverer);

    if (deliverer->spooler) {
        ngx_http_klaviyo_spooler_destroy(deliverer->spooler);
        deliverer->spooler = NULL;
    }

    ngx_http_klaviyo_held_close(&deliverer->held);
    klaviyo_ring_drain_leave(deliverer->account->ring);
}


static void
ngx_http_klaviyo_deliverer_stop(ngx_http_klaviyo_deliverer_t *deliverer)
{
    klaviyo_ring_pages_stop(&deliverer->pages);

    if (deliverer->stopped) {
        return;
    }

    deliverer->stopped = 1;

    ngx_http_klaviyo_deliverer_close(deliverer);
    klaviyo_lease_close(&deliverer->lease);

    if (deliverer->event.timer_set) {
        ngx_del_timer(&deliverer->event);
    }

    if (deliverer->event.posted) {
        ngx_delete_posted_event(&deliverer->event);
    }
}

/*
 * The content handler: a request gets its slot when its body is there; tries,
 * pauses, the way of the answer to the client; the slot is given back at the
 * request's end, whatever the end is.
 *
 *     BODY ──slot──▶ ASKING ──an answer is the one──▶ PASSING ──all is sent──▶
 *                     │  ▲ └───there is none, and no time for another try────▶
 *                     │  │
 *                     ▼  │
 *                    PAUSING
 *
 * Until an answer is the one to pass on, `timer` is the deadline or the end of
 * a pause before another try; then it is how long Klaviyo may be silent.  It
 * is not cancelable: a worker that leaves waits for its requests.
 */


#include "ngx_http_klaviyo_pass_answer.h"
#include "ngx_http_klaviyo_pass_call.h"
#include "ngx_http_klaviyo_pass_handler.h"
#include "ngx_http_klaviyo_pass_report.h"


/* a pause that Klaviyo did not name: doubles from this to that, ms */
#define NGX_HTTP_KLAVIYO_PASS_PAUSE_MIN  200
#define NGX_HTTP_KLAVIYO_PASS_PAUSE_MAX  3000

/* added to those that it named, so that not all come back at once, ms */
#define NGX_HTTP_KLAVIYO_PASS_SPREAD     200


static void ngx_http_klaviyo_pass_start(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_pass_enter(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_http_klaviyo_gate_t *ngx_http_klaviyo_pass_gate(
    ngx_http_klaviyo_account_t *account);
static void ngx_http_klaviyo_pass_leave(ngx_http_klaviyo_pass_ctx_t *ctx);
static void ngx_http_klaviyo_pass_cleanup(void *data);
static ngx_http_klaviyo_pass_ctx_t *ngx_http_klaviyo_pass_find(
    ngx_http_request_t *r);
static void ngx_http_klaviyo_pass_finalize(ngx_http_klaviyo_pass_ctx_t *ctx,
    ngx_int_t rc);
static void ngx_http_klaviyo_pass_run(ngx_http_klaviyo_pass_ctx_t *ctx);
static void ngx_http_klaviyo_pass_try(ngx_http_klaviyo_pass_ctx_t *ctx);
static void ngx_http_klaviyo_pass_timer(ngx_event_t *ev);
static void ngx_http_klaviyo_pass_wake(ngx_event_t *ev);
static void ngx_http_klaviyo_pass_writable(ngx_http_request_t *r);
static void ngx_http_klaviyo_pass_process(ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_int_t ngx_http_klaviyo_pass_decide(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_int_t ngx_http_klaviyo_pass_decline(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_msec_t ngx_http_klaviyo_pass_pause(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_int_t ngx_http_klaviyo_pass_again(
    ngx_http_klaviyo_pass_ctx_t *ctx, ngx_msec_t wait);
static void ngx_http_klaviyo_pass_output(ngx_http_klaviyo_pass_ctx_t *ctx);
static void ngx_http_klaviyo_pass_wait(ngx_http_klaviyo_pass_ctx_t *ctx);
static void ngx_http_klaviyo_pass_end(ngx_http_klaviyo_pass_ctx_t *ctx);
static klaviyo_counter_e ngx_http_klaviyo_pass_class(ngx_uint_t status);


static ngx_queue_t  ngx_http_klaviyo_pass_gates = {
    &ngx_http_klaviyo_pass_gates,
    &ngx_http_klaviyo_pass_gates
};


ngx_int_t
ngx_http_klaviyo_pass_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_cleanup_t           *cln;
    ngx_http_klaviyo_location_t  *location;
    ngx_http_klaviyo_pass_ctx_t  *ctx;

    location = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_klaviyo_pass_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ctx->pass = location->pass;
    ctx->timeout = location->pass_timeout;
    ctx->connections = (ngx_uint_t) location->pass_connections;

    rc = ngx_http_klaviyo_pass_call(ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ctx->pass->account->dry_run) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "klaviyo_pass: dry run of %s %s",
                      ctx->call.method, ctx->call.path);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_klaviyo_pass_cleanup;
    cln->data = ctx;

    rc = ngx_http_read_client_request_body(r, ngx_http_klaviyo_pass_start);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static void
ngx_http_klaviyo_pass_start(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_klaviyo_pass_ctx_t  *ctx;

    ctx = ngx_http_klaviyo_pass_find(r);

    rc = ngx_http_klaviyo_pass_enter(ctx);

    if (rc != NGX_OK) {
        ngx_http_klaviyo_pass_finalize(ctx, rc);
        return;
    }

    ngx_http_klaviyo_pass_call_body(ctx);
    ngx_http_klaviyo_pass_run(ctx);
}


static ngx_http_klaviyo_pass_ctx_t *
ngx_http_klaviyo_pass_find(ngx_http_request_t *r)
{
    ngx_http_cleanup_t           *cln;
    ngx_http_klaviyo_pass_ctx_t  *ctx;

    /* the module's context of a request is the capture room's */

    for (cln = r->main->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_klaviyo_pass_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx->request == r) {
            ctx->cleanup = &cln->handler;
            return ctx;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_klaviyo_pass_enter(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_http_klaviyo_gate_t  *gate;

    gate = ngx_http_klaviyo_pass_gate(ctx->pass->account);
    if (gate == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (gate->active >= ctx->connections) {
        gate->report.log = ctx->request->connection->log;

        ngx_http_klaviyo_report(&gate->report, NGX_LOG_ERR,
                                NGX_HTTP_KLAVIYO_REPORT_PASS_BUSY,
                                "klaviyo_pass: as many requests as "
                                "\"klaviyo_pass_connections\" allows are "
                                "under way already");
        ngx_http_klaviyo_pass_count(ctx,
                                    KLAVIYO_COUNT_GATEWAY_REFUSED);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    gate->active++;
    ctx->gate = gate;

    ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_REQUESTS);

    return NGX_OK;
}


/* a worker has a transport of its own once the first request comes */

static ngx_http_klaviyo_gate_t *
ngx_http_klaviyo_pass_gate(ngx_http_klaviyo_account_t *account)
{
    ngx_log_t                *log;
    ngx_queue_t              *q;
    ngx_http_klaviyo_gate_t  *gate;

    for (q = ngx_queue_head(&ngx_http_klaviyo_pass_gates);
         q != ngx_queue_sentinel(&ngx_http_klaviyo_pass_gates);
         q = ngx_queue_next(q))
    {
        gate = ngx_queue_data(q, ngx_http_klaviyo_gate_t, queue);

        if (gate->account == account) {
            return gate;
        }
    }

    log = ngx_cycle->log;

    gate = ngx_calloc(sizeof(ngx_http_klaviyo_gate_t), log);
    if (gate == NULL) {
        return NULL;
    }

    gate->account = account;
    gate->report.account = &account->name;
    gate->transport = ngx_http_klaviyo_transport_create(account, log);

    if (gate->transport == NULL) {
        ngx_free(gate);
        return NULL;
    }

    ngx_queue_insert_tail(&ngx_http_klaviyo_pass_gates, &gate->queue);

    return gate;
}


static void
ngx_http_klaviyo_pass_leave(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    if (ctx->cleanup) {
        *ctx->cleanup = NULL;
        ctx->cleanup = NULL;
    }

    if (ctx->exchange) {
        ngx_http_klaviyo_exchange_cancel(ctx->exchange);
        ctx->exchange = NULL;
    }

    if (ctx->wake.posted) {
        ngx_delete_posted_event(&ctx->wake);
    }

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_http_klaviyo_pass_answer_free(ctx, &ctx->kept);

    if (ctx->gate) {
        ctx->gate->active--;
        ctx->gate = NULL;
    }
}


/* nginx gives the request up: the client has left, or a time-out is over */

static void
ngx_http_klaviyo_pass_cleanup(void *data)
{
    ngx_http_klaviyo_pass_ctx_t *ctx = data;

    if (ctx->gate) {
        ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_CANCELED);
    }

    ngx_http_klaviyo_pass_leave(ctx);
    ngx_http_klaviyo_pass_answer_free(ctx, &ctx->answer);
}


static void
ngx_http_klaviyo_pass_finalize(ngx_http_klaviyo_pass_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_http_klaviyo_pass_leave(ctx);

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (rc == NGX_OK && !r->header_only) {
        rc = ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    /* what is left of the answer is in the request's own buffers by now */

    ngx_http_klaviyo_pass_answer_free(ctx, &ctx->answer);

    ngx_http_finalize_request(r, rc);
}


static void
ngx_http_klaviyo_pass_run(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ctx->wake.handler = ngx_http_klaviyo_pass_wake;
    ctx->wake.data = ctx;
    ctx->wake.log = c->log;

    ctx->timer.handler = ngx_http_klaviyo_pass_timer;
    ctx->timer.data = c;
    ctx->timer.log = c->log;

    ctx->deadline = ngx_current_msec + ctx->timeout;

    /* a client that leaves is noticed; it may have left already */

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_FAILED);
        ngx_http_klaviyo_pass_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_klaviyo_pass_writable;

    ngx_http_klaviyo_pass_try(ctx);
}


static void
ngx_http_klaviyo_pass_try(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_msec_int_t            left;
    ngx_http_klaviyo_gate_t  *gate;

    gate = ctx->gate;

    ctx->answer = ngx_http_klaviyo_pass_answer_create(ctx);
    if (ctx->answer == NULL) {
        goto failed;
    }

    ctx->tries++;
    ctx->stage = NGX_HTTP_KLAVIYO_PASS_ASKING;
    ctx->tried = NGX_HTTP_KLAVIYO_TRY_OPEN;
    ctx->sent = 0;
    ctx->paused = 0;

    ngx_http_klaviyo_pass_call_rewind(ctx);

    gate->transport = ngx_http_klaviyo_transport_renew(gate->transport);

    ctx->exchange = ngx_http_klaviyo_exchange_start(gate->transport,
                                              &ctx->call,
                                              &ngx_http_klaviyo_pass_handlers,
                                              ctx);
    if (ctx->exchange == NULL) {
        goto failed;
    }

    left = (ngx_msec_int_t) (ctx->deadline - ngx_current_msec);

    ngx_add_timer(&ctx->timer, (ngx_msec_t) ngx_max(left, 1));

    return;

failed:

    ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_FAILED);
    ngx_http_klaviyo_pass_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
}


static void
ngx_http_klaviyo_pass_timer(ngx_event_t *ev)
{
    ngx_connection_t             *c;
    ngx_http_klaviyo_pass_ctx_t  *ctx;

    ctx = ngx_queue_data(ev, ngx_http_klaviyo_pass_ctx_t, timer);
    c = ctx->request->connection;

    ev->timedout = 0;

    ngx_http_set_log_request(c->log, ctx->request);

    if (ctx->stage == NGX_HTTP_KLAVIYO_PASS_PAUSING) {
        ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_RETRIED);
        ngx_http_klaviyo_pass_try(ctx);

    } else {

        /* the answer may have ended in the same round of events */

        if (ctx->exchange) {
            ngx_http_klaviyo_pass_report(ctx,
                                         NGX_HTTP_KLAVIYO_REPORT_PASS_TIMEOUT,
                                         "Klaviyo did not answer in time");

            ngx_http_klaviyo_exchange_expire(ctx->exchange);

            ctx->exchange = NULL;
            ctx->tried = NGX_HTTP_KLAVIYO_TRY_LATE;
        }

        ngx_http_klaviyo_pass_process(ctx);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_klaviyo_pass_wake(ngx_event_t *ev)
{
    ngx_connection_t             *c;
    ngx_http_klaviyo_pass_ctx_t  *ctx;

    ctx = ev->data;
    c = ctx->request->connection;

    ngx_http_set_log_request(c->log, ctx->request);

    ngx_http_klaviyo_pass_process(ctx);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_klaviyo_pass_writable(ngx_http_request_t *r)
{
    ngx_connection_t             *c;
    ngx_http_klaviyo_pass_ctx_t  *ctx;

    c = r->connection;

    ctx = ngx_http_klaviyo_pass_find(r);
    if (ctx == NULL) {
        return;
    }

    if (c->write->timedout) {
        c->timedout = 1;

        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");

        ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_CANCELED);
        ngx_http_klaviyo_pass_finalize(ctx, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (ctx->stage == NGX_HTTP_KLAVIYO_PASS_PASSING) {
        ngx_http_klaviyo_pass_output(ctx);
    }
}


static void
ngx_http_klaviyo_pass_process(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->stage != NGX_HTTP_KLAVIYO_PASS_PASSING) {

        rc = ngx_http_klaviyo_pass_decide(ctx);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc != NGX_OK) {
            ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_FAILED);
            ngx_http_klaviyo_pass_finalize(ctx, rc);
            return;
        }

        ctx->stage = NGX_HTTP_KLAVIYO_PASS_PASSING;
        ctx->fresh = 1;

        ngx_http_klaviyo_pass_answer_free(ctx, &ctx->kept);

        if (ngx_http_klaviyo_pass_answer_head(ctx) != NGX_OK) {
            ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_FAILED);
            ngx_http_klaviyo_pass_finalize(ctx,
                                           NGX_HTTP_INTERNAL_SERVER_ERROR);
            return;
        }

        rc = ngx_http_send_header(r);

        if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
            ngx_http_klaviyo_pass_count(ctx,
                           ngx_http_klaviyo_pass_class(ctx->answer->status));
            ngx_http_klaviyo_pass_finalize(ctx, rc);
            return;
        }
    }

    ngx_http_klaviyo_pass_output(ctx);
}


/*
 * NGX_OK: the answer is the one; NGX_AGAIN: later; else the status to end
 * with.
 */

static ngx_int_t
ngx_http_klaviyo_pass_decide(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_msec_t                       wait;
    ngx_http_klaviyo_pass_answer_t  *answer;

    answer = ctx->answer;

    if (answer == NULL
        || (answer->status == 0 && ctx->tried == NGX_HTTP_KLAVIYO_TRY_OPEN))
    {
        return NGX_AGAIN;
    }

    if (answer->status && ctx->tried != NGX_HTTP_KLAVIYO_TRY_BROKEN) {

        /* it may stay behind another try as long as it is small */

        wait = 0;

        if (ctx->tried != NGX_HTTP_KLAVIYO_TRY_LATE && !ctx->paused
            && (answer->out == NULL || answer->out->next == NULL))
        {
            wait = ngx_http_klaviyo_pass_pause(ctx);
        }

        if (wait == 0) {
            return NGX_OK;
        }

        if (ctx->tried == NGX_HTTP_KLAVIYO_TRY_OPEN) {
            return NGX_AGAIN;
        }

        ngx_http_klaviyo_pass_answer_free(ctx, &ctx->kept);

        ctx->kept = answer;
        ctx->answer = NULL;

        return ngx_http_klaviyo_pass_again(ctx, wait);
    }

    return ngx_http_klaviyo_pass_decline(ctx);
}


/* no answer, this time */

static ngx_int_t
ngx_http_klaviyo_pass_decline(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_msec_t  wait;

    wait = 0;

    /* what was not sent, was not processed */

    if (ctx->tried != NGX_HTTP_KLAVIYO_TRY_LATE
        && (ctx->method->idempotent || !ctx->sent))
    {
        ctx->answer->status = 0;
        wait = ngx_http_klaviyo_pass_pause(ctx);
    }

    ngx_http_klaviyo_pass_answer_free(ctx, &ctx->answer);

    if (wait) {
        return ngx_http_klaviyo_pass_again(ctx, wait);
    }

    if (ctx->kept) {
        ctx->answer = ctx->kept;
        ctx->kept = NULL;
        ctx->tried = NGX_HTTP_KLAVIYO_TRY_WHOLE;

        return NGX_OK;
    }

    return ctx->tried == NGX_HTTP_KLAVIYO_TRY_LATE
           ? NGX_HTTP_GATEWAY_TIME_OUT : NGX_HTTP_BAD_GATEWAY;
}


/* before another try, ms; 0: there is none, or no time for it */

static ngx_msec_t
ngx_http_klaviyo_pass_pause(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_msec_t                       wait;
    ngx_uint_t                       status;
    ngx_msec_int_t                   left;
    ngx_http_klaviyo_pass_answer_t  *answer;

    answer = ctx->answer;
    status = answer->status;

    if (status != NGX_HTTP_TOO_MANY_REQUESTS && status != 0) {

        if (!ctx->method->idempotent) {
            return 0;
        }

        if (!answer->challenge && status != 408 && status != 425
            && (status < 500 || status == NGX_HTTP_NOT_IMPLEMENTED))
        {
            return 0;
        }
    }

    left = (ngx_msec_int_t) (ctx->deadline - ngx_current_msec);

    if (left <= 0) {
        return 0;
    }

    if (status && answer->retry_after > 0) {

        if (answer->retry_after >= left / 1000 + 1) {
            return 0;
        }

        wait = (ngx_msec_t) answer->retry_after * 1000
               + ngx_random() % NGX_HTTP_KLAVIYO_PASS_SPREAD;

    } else {
        wait = NGX_HTTP_KLAVIYO_PASS_PAUSE_MIN << ngx_min(ctx->tries - 1, 4);
        wait = ngx_min(wait, NGX_HTTP_KLAVIYO_PASS_PAUSE_MAX);
        wait = wait / 2 + ngx_random() % (wait / 2);
    }

    return wait < (ngx_msec_t) left ? wait : 0;
}


static ngx_int_t
ngx_http_klaviyo_pass_again(ngx_http_klaviyo_pass_ctx_t *ctx, ngx_msec_t wait)
{
    ctx->stage = NGX_HTTP_KLAVIYO_PASS_PAUSING;
    ctx->tried = NGX_HTTP_KLAVIYO_TRY_OPEN;

    /* ngx_add_timer() keeps a timer that is nearly right: not near enough */

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_add_timer(&ctx->timer, wait);

    return NGX_AGAIN;
}


static void
ngx_http_klaviyo_pass_output(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_int_t                        rc;
    ngx_chain_t                     *out;
    ngx_http_request_t              *r;
    ngx_http_klaviyo_pass_answer_t  *answer;

    r = ctx->request;
    answer = ctx->answer;

    do {
        out = answer->out;

        answer->out = NULL;
        answer->last = &answer->out;

        if (out || ctx->busy || r->connection->buffered) {

            rc = ngx_http_output_filter(r, out);

            if (rc == NGX_ERROR) {
                ngx_http_klaviyo_pass_count(ctx,
                                            KLAVIYO_COUNT_GATEWAY_CANCELED);
                ngx_http_klaviyo_pass_finalize(ctx, NGX_ERROR);
                return;
            }

            ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                                (ngx_buf_tag_t) &ngx_http_klaviyo_module);
        }

        /* which may give the next piece at once */

        if (ctx->paused && ctx->exchange
            && ngx_http_klaviyo_pass_answer_room(ctx))
        {
            ctx->paused = 0;
            ctx->fresh = 1;
            ngx_http_klaviyo_exchange_resume(ctx->exchange);
        }

    } while (answer->out);

    if (ctx->tried != NGX_HTTP_KLAVIYO_TRY_OPEN) {
        ngx_http_klaviyo_pass_end(ctx);
        return;
    }

    ngx_http_klaviyo_pass_wait(ctx);
}


/* for more of Klaviyo, or for a client that is slower */

static void
ngx_http_klaviyo_pass_wait(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    c = r->connection;

    if (ctx->paused || ctx->fresh) {

        if (ctx->timer.timer_set) {
            ngx_del_timer(&ctx->timer);
        }

        if (!ctx->paused) {
            ngx_add_timer(&ctx->timer, ctx->timeout);
        }

        ctx->fresh = 0;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (c->data == r
        && ngx_handle_write_event(c->write, clcf->send_lowat) != NGX_OK)
    {
        ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_CANCELED);
        ngx_http_klaviyo_pass_finalize(ctx, NGX_ERROR);
        return;
    }

    if (c->write->delayed) {

        /* by limit_rate, which has its own timer */

        return;
    }

    if (c->write->active && !c->write->ready) {
        ngx_add_timer(c->write, clcf->send_timeout);

    } else if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }
}


static void
ngx_http_klaviyo_pass_end(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->tried != NGX_HTTP_KLAVIYO_TRY_WHOLE) {

        ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_FAILED);

        if (r != r->main) {

            /* the page around it goes on; who asked sees it by the status */

            r->headers_out.status = NGX_HTTP_BAD_GATEWAY;
            ngx_http_klaviyo_pass_finalize(ctx, NGX_OK);
            return;
        }

        /* broken off: the client is to see that it is not whole */

        r->keepalive = 0;
        ngx_http_klaviyo_pass_finalize(ctx, NGX_ERROR);
        return;
    }

    ngx_http_klaviyo_pass_count(ctx,
                           ngx_http_klaviyo_pass_class(ctx->answer->status));

    ngx_http_klaviyo_pass_finalize(ctx, NGX_OK);
}


static klaviyo_counter_e
ngx_http_klaviyo_pass_class(ngx_uint_t status)
{
    switch (status / 100) {

    case 2:
        return KLAVIYO_COUNT_GATEWAY_2XX;

    case 3:
        return KLAVIYO_COUNT_GATEWAY_3XX;

    case 4:
        return KLAVIYO_COUNT_GATEWAY_4XX;

    default:
        return KLAVIYO_COUNT_GATEWAY_5XX;
    }
}


void
ngx_http_klaviyo_pass_exit_process(void)
{
    ngx_queue_t              *q;
    ngx_http_klaviyo_gate_t  *gate;

    while (!ngx_queue_empty(&ngx_http_klaviyo_pass_gates)) {
        q = ngx_queue_head(&ngx_http_klaviyo_pass_gates);
        gate = ngx_queue_data(q, ngx_http_klaviyo_gate_t, queue);

        ngx_http_klaviyo_transport_destroy(gate->transport);

        ngx_queue_remove(q);
        ngx_free(gate);
    }
}

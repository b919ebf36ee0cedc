/*
 * The content handler: a request gets its slot when its body is there, and
 * gives it back at its end, whatever the end is.
 */


#include "ngx_http_klaviyo_pass_private.h"


static void ngx_http_klaviyo_pass_start(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_pass_enter(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_http_klaviyo_gate_t *ngx_http_klaviyo_pass_gate(
    ngx_http_klaviyo_account_t *account);
static void ngx_http_klaviyo_pass_leave(ngx_http_klaviyo_pass_ctx_t *ctx);
static void ngx_http_klaviyo_pass_cleanup(void *data);


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


ngx_http_klaviyo_pass_ctx_t *
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


void
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


void
ngx_http_klaviyo_pass_report(ngx_http_klaviyo_pass_ctx_t *ctx,
    ngx_http_klaviyo_cause_e cause, const char *text)
{
    u_char                      line[NGX_MAX_ERROR_STR / 2];
    ngx_http_klaviyo_report_t  *report;

    report = &ctx->gate->report;
    report->log = ctx->request->connection->log;

    ngx_snprintf(line, sizeof(line), "klaviyo_pass: %s%Z", text);
    line[sizeof(line) - 1] = '\0';

    ngx_http_klaviyo_report(report, NGX_LOG_ERR, cause, (char *) line);
}


void
ngx_http_klaviyo_pass_count(ngx_http_klaviyo_pass_ctx_t *ctx,
    klaviyo_counter_e counter)
{
    klaviyo_ring_count(ctx->pass->account->ring, counter, 1);
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

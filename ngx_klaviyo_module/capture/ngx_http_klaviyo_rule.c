/*
 * A rule in one request: whether it fires, the account of its event, the
 * event, and its way into the queue.
 */


#include "ngx_http_klaviyo_rule.h"
#include "ngx_http_klaviyo_body.h"
#include "ngx_http_klaviyo_debug.h"
#include "ngx_http_klaviyo_enrich.h"
#include "ngx_http_klaviyo_late.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_render.h"
#include "ngx_http_klaviyo_skip.h"
#include "ngx_http_klaviyo_track_page.h"
#include "ngx_http_klaviyo_view.h"
#include "ngx_http_klaviyo_wait.h"
#include "ngx_http_klaviyo_warn.h"
#include "queue/klaviyo_ring_figures.h"


static klaviyo_counter_e ngx_http_klaviyo_rule_cause(
    ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx);


const char *
ngx_http_klaviyo_rule_capture(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule)
{
    const char        *held;
    klaviyo_event_t    event;
    klaviyo_ring_rc_e  rc;
    klaviyo_counter_e  reason;

    ctx->wait.len = 0;

    if (ngx_http_klaviyo_rule_event(r, ctx, rule, &event, &reason)
        == NGX_DECLINED)
    {
        klaviyo_ring_count(rule->account->ring, reason, 1);

        if (reason == KLAVIYO_COUNT_SKIPPED_ANONYMOUS) {
            reason = ngx_http_klaviyo_rule_cause(r, ctx);
        }

        return klaviyo_counter_names[reason].name;
    }

    if (rule->template->merged) {
        ctx->enrichment->merged = 1;
    }

    if (ctx->wait.len) {
        held = ngx_http_klaviyo_wait_event(r, ctx, rule->account, &event);

        if (ctx->captured == 0 && ctx->held++ == 0) {
            ctx->id.len = event.unique_id_len;
            ctx->id.data = (u_char *) event.unique_id;
        }

        return held;
    }

    rc = ngx_http_klaviyo_append(rule->account, &event);

    if (rc != KLAVIYO_RING_OK) {
        return ngx_http_klaviyo_append_refused(rule->account, rc);
    }

    if (ctx->captured++ == 0 && ctx->held == 0) {
        ctx->id.len = event.unique_id_len;
        ctx->id.data = (u_char *) event.unique_id;
    }

    return NULL;
}


/* why nobody knows who it was: what might have said it could not be read */

static klaviyo_counter_e
ngx_http_klaviyo_rule_cause(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx)
{
    ngx_str_t  name;

    if (ngx_http_klaviyo_body_missing(r, ctx)) {
        return KLAVIYO_COUNT_VALUE_BODY;
    }

    if (ctx->unread) {
        return ngx_http_klaviyo_body_source(ctx);
    }

    if (ctx->enrichment
        && !ctx->enrichment->merge
        && ctx->enrichment->outcome != KLAVIYO_COUNT_ENRICH_EMPTY)
    {
        return ctx->enrichment->outcome;
    }

    if (ctx->claim == 0) {
        return KLAVIYO_COUNT_SKIPPED_ANONYMOUS;
    }

    name.data = (u_char *) klaviyo_counter_names[ctx->claim].name;
    name.len = ngx_strlen(name.data);

    ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_CLAIM, &name,
                          "of a visitor could not be read, and nothing else "
                          "says who it is: see what writes it, or name the "
                          "visitor by klaviyo_profile");

    return ctx->claim;
}


ngx_int_t
ngx_http_klaviyo_rule_event(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_event_t *event, klaviyo_counter_e *reason)
{
    if (ngx_http_klaviyo_rule_wanted(r, ctx, rule, reason) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_http_klaviyo_render(r, ctx, rule, event, reason);
}


ngx_int_t
ngx_http_klaviyo_rule_wanted(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_counter_e *reason)
{
    ngx_str_t   value;
    ngx_uint_t  except, fetched;

    if (ctx->refused) {
        *reason = KLAVIYO_COUNT_SKIPPED_PREFETCH;
        return NGX_DECLINED;
    }

    if (!ngx_http_klaviyo_rule_status(r, rule->track->statuses)) {
        *reason = KLAVIYO_COUNT_SKIPPED_STATUS;
        return NGX_DECLINED;
    }

    /* an application that names an event knows what it answers to */

    fetched = ngx_http_klaviyo_view_fetched(r, ctx, rule->track);

    except = (fetched || rule->template->named)
             ? NGX_HTTP_KLAVIYO_SKIP_SUBRESOURCE : 0;

    if (ngx_http_klaviyo_skipped(r, ctx, except, reason) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (rule->track->view && !fetched && !ngx_http_klaviyo_view(r)) {
        *reason = KLAVIYO_COUNT_SKIPPED_CONDITION;
        return NGX_DECLINED;
    }

    if (!ngx_http_klaviyo_track_page_is(r, rule->track)) {
        *reason = ctx->answer ? KLAVIYO_COUNT_SKIPPED_PAGE
                              : KLAVIYO_COUNT_SKIPPED_NO_PAGE;
        return NGX_DECLINED;
    }

    if (rule->track->filter) {

        if (ngx_http_complex_value(r, rule->track->filter, &value) != NGX_OK) {
            *reason = KLAVIYO_COUNT_SKIPPED_MEMORY;
            return NGX_DECLINED;
        }

        if (klaviyo_value_is_no(value.data, value.len)) {
            *reason = KLAVIYO_COUNT_SKIPPED_CONDITION;
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_klaviyo_rule_status(ngx_http_request_t *r, ngx_array_t *statuses)
{
    ngx_uint_t  status;

    status = r->err_status ? r->err_status : r->headers_out.status;

    if (statuses == NULL) {
        return (status >= 200 && status < 300)
               || status == NGX_HTTP_NOT_MODIFIED
               || (status >= 300 && status < 400
                   && !ngx_http_klaviyo_reads(r));
    }

    return ngx_http_klaviyo_rule_among(statuses, status);
}


ngx_uint_t
ngx_http_klaviyo_rule_among(ngx_array_t *statuses, ngx_uint_t status)
{
    ngx_uint_t  i, *wanted;

    wanted = statuses->elts;

    for (i = 0; i < statuses->nelts; i++) {

        if (wanted[i] == status || wanted[i] == status / 100) {
            return 1;
        }
    }

    return 0;
}


/* the rule with the account that its variable names; NULL: with none */

ngx_http_klaviyo_rule_t *
ngx_http_klaviyo_rule_choose(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    ngx_http_klaviyo_rule_t *own)
{
    ngx_http_klaviyo_account_t  *account;

    account = ngx_http_klaviyo_debug_account(r, ctx->conf);

    if (account) {
        *own = *rule;
        own->account = account;

        return own;
    }

    if (rule->choice == NULL) {
        return rule;
    }

    *own = *rule;
    own->account = ngx_http_klaviyo_rule_account(r, rule);

    if (own->account == NULL) {
        ngx_http_klaviyo_rule_skip(ctx, rule,
                                   KLAVIYO_COUNT_SKIPPED_ACCOUNT);
        return NULL;
    }

    return own;
}


/* in a location with klaviyo_webhook, only what was verified there */

ngx_uint_t
ngx_http_klaviyo_rule_signed(ngx_http_request_t *r,
    ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_http_klaviyo_main_conf_t  *kmcf;

    if (conf->location.webhook == NULL) {
        return 1;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

    return kmcf->signed_by(r, conf->location.webhook);
}


void
ngx_http_klaviyo_rule_skip(ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule, klaviyo_counter_e reason)
{
    klaviyo_ring_count(rule->account->ring, reason, 1);

    if (ctx->reason == NULL) {
        ctx->reason = klaviyo_counter_names[reason].name;
    }
}

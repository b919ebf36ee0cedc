/*
 * klaviyo_debug: what would be captured, in a header of the answer for each
 * rule.
 *
 *     X-Klaviyo-Preview: captured "Viewed Page" for "test": {"profile":...}
 *     X-Klaviyo-Preview: skipped "Placed Order": status (the answer had ...)
 *
 * The question is asked as at the request's end, and then all is as if it had
 * not been asked: the context, the variables, the counters.
 */


#include "ngx_http_klaviyo_preview.h"
#include "ngx_http_klaviyo_debug.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_rule.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_PREVIEW      "X-Klaviyo-Preview"
#define NGX_HTTP_KLAVIYO_PREVIEW_MAX  3000       /* bytes of an event        */


static ngx_int_t ngx_http_klaviyo_preview_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_preview(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_preview_set(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_set_t *set);
static ngx_int_t ngx_http_klaviyo_preview_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);
static ngx_int_t ngx_http_klaviyo_preview_event(ngx_http_request_t *r,
    ngx_str_t *metric, ngx_http_klaviyo_account_t *account,
    klaviyo_event_t *event);
static ngx_int_t ngx_http_klaviyo_preview_say(ngx_http_request_t *r,
    const char *fmt, ...);
static void ngx_http_klaviyo_preview_quiet(ngx_http_request_t *r,
    unsigned quiet);


static ngx_http_output_header_filter_pt  ngx_http_klaviyo_next_header_filter;


/* before that of klaviyo_response_header, which runs first then */

void
ngx_http_klaviyo_preview_init(ngx_http_klaviyo_main_conf_t *kmcf)
{
    if (kmcf->debugs) {
        ngx_http_klaviyo_next_header_filter = ngx_http_top_header_filter;
        ngx_http_top_header_filter = ngx_http_klaviyo_preview_filter;
    }
}


static ngx_int_t
ngx_http_klaviyo_preview_filter(ngx_http_request_t *r)
{
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_klaviyo_conf(r);

    if (r == r->main
        && klcf->debug
        && ngx_http_klaviyo_debug_is(r, klcf->debug)
        && ngx_http_klaviyo_preview(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_next_header_filter(r);
}


static ngx_int_t
ngx_http_klaviyo_preview(ngx_http_request_t *r)
{
    size_t                        size;
    ngx_int_t                     rc;
    ngx_uint_t                    i, n;
    ngx_http_klaviyo_ctx_t       *ctx, saved;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_variable_value_t    *values;
    ngx_http_klaviyo_rule_set_t   sets[NGX_HTTP_KLAVIYO_RULE_SETS];

    n = ngx_http_klaviyo_rule_sets(r, sets);

    if (n == 0) {
        return ngx_http_klaviyo_preview_say(r, "nothing: no rule is here%Z");
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);
    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    ctx = ngx_http_klaviyo_context(r, 1);
    values = ngx_palloc(r->pool, size);

    if (ctx == NULL || values == NULL) {
        return NGX_ERROR;
    }

    saved = *ctx;
    ngx_memcpy(values, r->variables, size);
    ngx_http_klaviyo_preview_quiet(r, 1);

    rc = NGX_OK;

    for (i = 0; rc == NGX_OK && i < n; i++) {
        rc = ngx_http_klaviyo_preview_set(r, ctx, &sets[i]);
    }

    ngx_http_klaviyo_preview_quiet(r, 0);
    ngx_memcpy(r->variables, values, size);
    *ctx = saved;

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_preview_set(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_set_t *set)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i, n;
    ngx_http_klaviyo_rule_t      *rule;
    ngx_http_klaviyo_captures_t   captures;

    if (!ngx_http_klaviyo_rule_signed(r, set->conf)) {
        return ngx_http_klaviyo_preview_say(r, "skipped: unsigned (%s)%Z",
                                            klaviyo_skipped_words("unsigned"));
    }

    rc = NGX_OK;
    captures.values = NULL;
    ctx->conf = set->conf;

    if (ngx_http_klaviyo_redirected(r)
        && set->conf == ctx->first
        && ngx_http_klaviyo_captures_first(r, ctx, &captures) != NGX_OK)
    {
        return NGX_ERROR;
    }

    rule = set->rules ? set->rules->elts : NULL;
    n = set->rules ? set->rules->nelts : 0;

    for (i = 0; rc == NGX_OK && i < n; i++) {
        rc = ngx_http_klaviyo_preview_rule(r, ctx, &rule[i]);
    }

    if (rc == NGX_OK && set->named) {
        rc = ngx_http_klaviyo_preview_say(r, ctx->named
                 ? "what the application named in \"%V\" follows the answer%Z"
                 : "skipped: no_header, the application named nothing in "
                   "\"%V\"%Z", &set->named->track->metric.value);
    }

    if (rc == NGX_OK && set->json) {
        rc = ngx_http_klaviyo_preview_say(r, "klaviyo_track_json is read when "
                                             "the answer has left%Z");
    }

    for (i = 0; rc == NGX_OK && i < KLAVIYO_LANE_N; i++) {

        if (set->lanes[i]) {
            rule = set->lanes[i]->elts;
            rc = ngx_http_klaviyo_preview_say(r, "%V is judged when the answer "
                                                 "has left%Z",
                                              &rule->track->directive);
        }
    }

    if (rc == NGX_OK && set->conf->enrich) {
        rc = ngx_http_klaviyo_preview_say(r, "klaviyo_enrich adds to these "
                                             "what it is answered%Z");
    }

    ngx_http_klaviyo_captures_restore(r, ctx, &captures);

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_preview_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule)
{
    ngx_str_t                 metric;
    const char               *name;
    klaviyo_event_t           event;
    klaviyo_counter_e         reason;
    ngx_http_klaviyo_rule_t  *chosen, own;

    if (ngx_http_complex_value(r, &rule->track->metric, &metric) != NGX_OK) {
        return NGX_ERROR;
    }

    chosen = ngx_http_klaviyo_rule_choose(r, ctx, rule, &own);

    if (chosen == NULL) {
        return ngx_http_klaviyo_preview_say(r, "skipped \"%V\": account (%s)%Z",
                                            &metric,
                                            klaviyo_skipped_words("account"));
    }

    ctx->wait.len = 0;

    if (ngx_http_klaviyo_rule_event(r, ctx, chosen, &event, &reason)
        == NGX_DECLINED)
    {
        name = klaviyo_counter_names[reason].name;

        return ngx_http_klaviyo_preview_say(r, "skipped \"%V\": %s (%s)%Z",
                                            &metric, name,
                                            klaviyo_skipped_words(name));
    }

    if (ctx->wait.len) {
        return ngx_http_klaviyo_preview_say(r, "held \"%V\" for \"%V\": it "
                                            "waits until the visitor is "
                                            "known%Z",
                                            &metric, &chosen->account->name);
    }

    return ngx_http_klaviyo_preview_event(r, &metric, chosen->account, &event);
}


static ngx_int_t
ngx_http_klaviyo_preview_event(ngx_http_request_t *r, ngx_str_t *metric,
    ngx_http_klaviyo_account_t *account, klaviyo_event_t *event)
{
    size_t  profile, attributes;

    profile = ngx_min(event->profile_len, NGX_HTTP_KLAVIYO_PREVIEW_MAX);
    attributes = ngx_min(event->attributes_len,
                         NGX_HTTP_KLAVIYO_PREVIEW_MAX - profile);

    return ngx_http_klaviyo_preview_say(r, "captured \"%V\" for \"%V\": "
                                        "{\"profile\":%*s,%*s%s%Z",
                                        metric, &account->name,
                                        profile, event->profile,
                                        attributes, event->attributes,
                                        attributes < event->attributes_len
                                        ? "... (cut)" : "}");
}


/* what may be a visitor's: no byte of it may end the header */

static ngx_int_t
ngx_http_klaviyo_preview_say(ngx_http_request_t *r, const char *fmt, ...)
{
    u_char           *p, *last;
    va_list           args;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(r->pool, NGX_HTTP_KLAVIYO_PREVIEW_MAX + 1024);
    h = ngx_list_push(&r->headers_out.headers);

    if (p == NULL || h == NULL) {
        return NGX_ERROR;
    }

    va_start(args, fmt);
    last = ngx_vslprintf(p, p + NGX_HTTP_KLAVIYO_PREVIEW_MAX + 1023, fmt,
                         args);
    va_end(args);

    *last = '\0';

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    ngx_str_set(&h->key, NGX_HTTP_KLAVIYO_PREVIEW);
    h->value.data = p;
    h->value.len = ngx_strlen(p);

    for ( /* void */ ; *p; p++) {
        if (*p < ' ' || *p == 0x7f) {
            *p = ' ';
        }
    }

    return NGX_OK;
}


static void
ngx_http_klaviyo_preview_quiet(ngx_http_request_t *r, unsigned quiet)
{
    ngx_uint_t                     i;
    ngx_http_klaviyo_account_t   **account;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);
    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {
        klaviyo_ring_quiet(account[i]->ring, quiet);
    }
}

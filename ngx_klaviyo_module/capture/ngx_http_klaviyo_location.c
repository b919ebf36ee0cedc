/*
 * Where a request was first, and where it is.
 *
 * An internal redirect forgets the location, the contexts of modules and the
 * captures.  The last handler of the rewrite phase, which is that of the
 * rewrite module, is wrapped: behind it the location of this pass is final,
 * with the `if` that applies, also when `return` or `rewrite ... last` leaves
 * from there.  What has to come before a `return` is done in front of it, and
 * by no other handler: the rewrite module skips the rewrites of a server that
 * has no matching location only where it is the first of its phase.  A
 * location without rules leaves no note: a request that was redirected and
 * has none had no rules where it was first.
 */


#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_body.h"
#include "ngx_http_klaviyo_enrich.h"
#include "ngx_http_klaviyo_skip.h"


static ngx_int_t ngx_http_klaviyo_location_handler(ngx_http_request_t *r);
static void ngx_http_klaviyo_rule_set(ngx_http_klaviyo_rule_set_t *set,
    ngx_http_klaviyo_loc_conf_t *klcf);
static ngx_uint_t ngx_http_klaviyo_rule_set_empty(
    ngx_http_klaviyo_rule_set_t *set);
static ngx_int_t ngx_http_klaviyo_location_note(ngx_http_request_t *r,
    ngx_http_klaviyo_loc_conf_t *klcf, ngx_http_core_loc_conf_t *clcf,
    ngx_str_t *uri);
static ngx_int_t ngx_http_klaviyo_location_pass(ngx_http_request_t *r,
    ngx_http_klaviyo_loc_conf_t *klcf);


static ngx_http_handler_pt  ngx_http_klaviyo_next_rewrite;


/* handlers of a phase are called from the last one to the first */

ngx_int_t
ngx_http_klaviyo_location_init(ngx_conf_t *cf)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handlers = &cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers;

    ngx_http_klaviyo_next_rewrite = NULL;

    if (handlers->nelts == 0) {
        h = ngx_array_push(handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

    } else {
        h = handlers->elts;
        ngx_http_klaviyo_next_rewrite = h[0];
    }

    h[0] = ngx_http_klaviyo_location_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_location_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_str_t                     uri;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_klaviyo_loc_conf_t  *klcf, *outer;
    ngx_http_klaviyo_rule_set_t   set;

    rc = ngx_http_klaviyo_body_read(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_klaviyo_prefetch_refused(r)) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    uri = r->uri;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    outer = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    rc = ngx_http_klaviyo_next_rewrite ? ngx_http_klaviyo_next_rewrite(r)
                                       : NGX_DECLINED;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    ngx_http_klaviyo_rule_set(&set, klcf);

    if (ngx_http_klaviyo_rule_set_empty(&set)) {
        return rc;
    }

    if (ngx_http_klaviyo_location_note(r, klcf, clcf, &uri) != NGX_OK
        && rc == NGX_DECLINED)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* an `if` has rules of its own */

    if (rc == NGX_DECLINED
        && klcf != outer
        && ngx_http_klaviyo_prefetch_refused(r))
    {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_location_note(ngx_http_request_t *r,
    ngx_http_klaviyo_loc_conf_t *klcf, ngx_http_core_loc_conf_t *clcf,
    ngx_str_t *uri)
{
    ngx_http_klaviyo_ctx_t  *ctx;

    if (ngx_http_klaviyo_redirected(r)) {
        return ngx_http_klaviyo_location_pass(r, klcf);
    }

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->first = klcf;
    ctx->first_location = clcf;
    ctx->first_uri = *uri;

    return NGX_OK;
}


/* rules between the first location and the last one are remembered as well */

static ngx_int_t
ngx_http_klaviyo_location_pass(ngx_http_request_t *r,
    ngx_http_klaviyo_loc_conf_t *klcf)
{
    ngx_http_klaviyo_ctx_t  *ctx;

    if (!klcf->own_tracks) {
        return NGX_OK;
    }

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->passed && ctx->passed->tracks != klcf->tracks) {
        ctx->between = ctx->passed;
    }

    ctx->passed = klcf;

    return NGX_OK;
}


ngx_uint_t
ngx_http_klaviyo_rule_sets(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_set_t *sets)
{
    ngx_uint_t                    i, n;
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_loc_conf_t  *first, *last;

    last = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    if (!ngx_http_klaviyo_redirected(r)) {
        ngx_http_klaviyo_rule_set(&sets[0], last);

        return !ngx_http_klaviyo_rule_set_empty(&sets[0]);
    }

    n = 0;
    ctx = ngx_http_klaviyo_context(r, 0);
    first = ctx ? ctx->first : NULL;

    if (first) {
        ngx_http_klaviyo_rule_set(&sets[n++], first);
    }

    if (first == last) {
        return n;
    }

    ngx_memzero(&sets[n], sizeof(ngx_http_klaviyo_rule_set_t));

    sets[n].conf = last;

    if (last->own_tracks && (first == NULL || first->tracks != last->tracks)) {
        sets[n].rules = last->rules;
    }

    if (last->own_header && (first == NULL || first->named == NULL)) {
        sets[n].named = last->named;
    }

    if (last->own_json
        && (first == NULL || first->json_tracks != last->json_tracks))
    {
        sets[n].json = last->json;
    }

    for (i = 0; i < KLAVIYO_LANE_N; i++) {
        if ((last->own_lanes & (1 << i))
            && (first == NULL
                || first->lane_tracks[i] != last->lane_tracks[i]))
        {
            sets[n].lanes[i] = last->lane_rules[i];
        }
    }

    return n + !ngx_http_klaviyo_rule_set_empty(&sets[n]);
}


/* all rules of a location */

static void
ngx_http_klaviyo_rule_set(ngx_http_klaviyo_rule_set_t *set,
    ngx_http_klaviyo_loc_conf_t *klcf)
{
    set->conf = klcf;
    set->rules = klcf->rules;
    set->named = klcf->named;
    set->json = klcf->json;

    ngx_memcpy(set->lanes, klcf->lane_rules, sizeof(set->lanes));
}


static ngx_uint_t
ngx_http_klaviyo_rule_set_empty(ngx_http_klaviyo_rule_set_t *set)
{
    ngx_uint_t  i;

    for (i = 0; i < KLAVIYO_LANE_N; i++) {
        if (set->lanes[i]) {
            return 0;
        }
    }

    return set->rules == NULL && set->named == NULL && set->json == NULL;
}


ngx_http_klaviyo_rule_t *
ngx_http_klaviyo_rule_set_first(ngx_http_klaviyo_rule_set_t *set)
{
    ngx_uint_t  i;

    if (set->rules) {
        return set->rules->elts;
    }

    if (set->named) {
        return set->named;
    }

    if (set->json) {
        return set->json->elts;
    }

    for (i = 0; set->lanes[i] == NULL; i++) { /* void */ }

    return set->lanes[i]->elts;
}


ngx_http_klaviyo_rule_t *
ngx_http_klaviyo_passed_rule(ngx_http_request_t *r)
{
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_loc_conf_t  *klcf, *passed;

    if (!ngx_http_klaviyo_redirected(r)) {
        return NULL;
    }

    ctx = ngx_http_klaviyo_context(r, 0);

    if (ctx == NULL || ctx->passed == NULL) {
        return NULL;
    }

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    passed = (ctx->passed->tracks != klcf->tracks) ? ctx->passed
                                                   : ctx->between;

    if (passed == NULL
        || passed->tracks == klcf->tracks
        || (ctx->first && passed->tracks == ctx->first->tracks))
    {
        return NULL;
    }

    return passed->rules->elts;
}


ngx_int_t
ngx_http_klaviyo_captures_first(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_captures_t *saved)
{
#if (NGX_PCRE)

    ngx_uint_t         i;
    ngx_http_regex_t  *regex;

    saved->values = NULL;

    regex = ctx->first_location->regex;

    if (regex == NULL || regex->ncaptures == 0) {
        return NGX_OK;
    }

    saved->values = ngx_palloc(r->pool, (regex->nvariables + 1)
                                        * sizeof(ngx_http_variable_value_t));
    if (saved->values == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < regex->nvariables; i++) {
        saved->values[i] = r->variables[regex->variables[i].index];
    }

    saved->captures = r->captures;
    saved->captures_data = r->captures_data;
    saved->ncaptures = r->ncaptures;

    r->captures = NULL;

    if (ngx_http_regex_exec(r, regex, &ctx->first_uri) != NGX_OK) {
        ngx_http_klaviyo_captures_restore(r, ctx, saved);
        return NGX_ERROR;
    }

#else

    (void) r;
    (void) ctx;

    saved->values = NULL;

#endif

    return NGX_OK;
}


void
ngx_http_klaviyo_captures_restore(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_captures_t *saved)
{
#if (NGX_PCRE)

    ngx_uint_t         i;
    ngx_http_regex_t  *regex;

    if (saved->values == NULL) {
        return;
    }

    regex = ctx->first_location->regex;

    for (i = 0; i < regex->nvariables; i++) {
        r->variables[regex->variables[i].index] = saved->values[i];
    }

    r->captures = saved->captures;
    r->captures_data = saved->captures_data;
    r->ncaptures = saved->ncaptures;

#else

    (void) r;
    (void) ctx;
    (void) saved;

#endif
}


ngx_http_klaviyo_account_t *
ngx_http_klaviyo_rule_account(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule)
{
    ngx_str_t                      name;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    if (rule->choice == NULL) {
        return rule->account;
    }

    if (ngx_http_complex_value(r, rule->choice, &name) != NGX_OK) {
        return NULL;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

    return ngx_http_klaviyo_account_find(kmcf, &name);
}

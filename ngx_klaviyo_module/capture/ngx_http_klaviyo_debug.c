/*
 * klaviyo_debug: what would be captured, in a header of the answer for each
 * rule; see the header.
 *
 *     X-Klaviyo-Preview: captured "Viewed Page" for "test": {"profile":...}
 *     X-Klaviyo-Preview: skipped "Placed Order": status (the answer had ...)
 *
 * The question is asked as at the request's end, and then all is as if it had
 * not been asked: the context, the variables, the counters.
 */


#include "ngx_http_klaviyo_debug.h"
#include "ngx_http_klaviyo_location.h"

#include "account/ngx_http_klaviyo_compile.h"
#include "json/klaviyo_value.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_PREVIEW      "X-Klaviyo-Preview"
#define NGX_HTTP_KLAVIYO_PREVIEW_MAX  3000       /* bytes of an event        */


static ngx_int_t ngx_http_klaviyo_debug_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_debug_is(ngx_http_request_t *r,
    ngx_http_klaviyo_debug_t *debug);
static ngx_int_t ngx_http_klaviyo_debug_preview(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_debug_set(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_set_t *set);
static ngx_int_t ngx_http_klaviyo_debug_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);
static ngx_int_t ngx_http_klaviyo_debug_event(ngx_http_request_t *r,
    ngx_str_t *metric, ngx_http_klaviyo_account_t *account,
    klaviyo_event_t *event);
static ngx_int_t ngx_http_klaviyo_debug_say(ngx_http_request_t *r,
    const char *fmt, ...);
static void ngx_http_klaviyo_debug_quiet(ngx_http_request_t *r,
    unsigned quiet);


static ngx_http_output_header_filter_pt  ngx_http_klaviyo_next_header_filter;


char *
ngx_http_klaviyo_debug(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    ngx_str_t                     *value;
    ngx_http_klaviyo_debug_t      *debug;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    (void) cmd;

    if (klcf->debug != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {

        if (cf->args->nelts > 2) {
            return "has more than \"off\"";
        }

        klcf->debug = NULL;
        return NGX_CONF_OK;
    }

    debug = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_debug_t));
    if (debug == NULL) {
        return NGX_CONF_ERROR;
    }

    if (!ngx_http_script_variables_count(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"klaviyo_debug %V\" would show every visitor's "
                           "data to whoever asks: name a variable that is set "
                           "for those allowed only, as by \"geo\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_compile(cf, &value[1], &debug->allowed) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts > 2) {

        if (value[2].len <= 8
            || ngx_strncmp(value[2].data, "account=", 8) != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": expected "
                               "\"account=\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        debug->name.data = value[2].data + 8;
        debug->name.len = value[2].len - 8;
    }

    debug->conf_file = cf->conf_file->file.name.data;
    debug->conf_line = cf->conf_file->line;

    klcf->debug = debug;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);
    kmcf->debugs = 1;

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_debug_merge(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *prev,
    ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_http_klaviyo_debug_t  *debug;

    ngx_conf_merge_ptr_value(conf->debug, prev->debug, NULL);

    debug = conf->debug;

    if (debug == NULL || debug->name.len == 0 || debug->account) {
        return NGX_CONF_OK;
    }

    debug->account = ngx_http_klaviyo_account_find(kmcf, &debug->name);

    if (debug->account == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown account \"%V\" in \"klaviyo_debug\" in %s:%ui, "
                      "there is no klaviyo_account of this name",
                      &debug->name, debug->conf_file, debug->conf_line);
        return NGX_CONF_ERROR;
    }

    debug->account->used = 1;
    debug->account->lanes_all = 1;

    return NGX_CONF_OK;
}


/* before that of klaviyo_response_header, which runs first then */

void
ngx_http_klaviyo_debug_init(ngx_http_klaviyo_main_conf_t *kmcf)
{
    if (kmcf->debugs) {
        ngx_http_klaviyo_next_header_filter = ngx_http_top_header_filter;
        ngx_http_top_header_filter = ngx_http_klaviyo_debug_filter;
    }
}


ngx_http_klaviyo_account_t *
ngx_http_klaviyo_debug_account(ngx_http_request_t *r,
    ngx_http_klaviyo_loc_conf_t *conf)
{
    if (conf == NULL
        || conf->debug == NULL
        || conf->debug->account == NULL
        || !ngx_http_klaviyo_debug_is(r, conf->debug))
    {
        return NULL;
    }

    return conf->debug->account;
}


static ngx_uint_t
ngx_http_klaviyo_debug_is(ngx_http_request_t *r,
    ngx_http_klaviyo_debug_t *debug)
{
    ngx_str_t  value;

    return ngx_http_complex_value(r, &debug->allowed, &value) == NGX_OK
           && !klaviyo_value_is_no(value.data, value.len);
}


static ngx_int_t
ngx_http_klaviyo_debug_filter(ngx_http_request_t *r)
{
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_klaviyo_conf(r);

    if (r == r->main
        && klcf->debug
        && ngx_http_klaviyo_debug_is(r, klcf->debug)
        && ngx_http_klaviyo_debug_preview(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_next_header_filter(r);
}


static ngx_int_t
ngx_http_klaviyo_debug_preview(ngx_http_request_t *r)
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
        return ngx_http_klaviyo_debug_say(r, "nothing: no rule is here%Z");
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
    ngx_http_klaviyo_debug_quiet(r, 1);

    rc = NGX_OK;

    for (i = 0; rc == NGX_OK && i < n; i++) {
        rc = ngx_http_klaviyo_debug_set(r, ctx, &sets[i]);
    }

    ngx_http_klaviyo_debug_quiet(r, 0);
    ngx_memcpy(r->variables, values, size);
    *ctx = saved;

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_debug_set(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_set_t *set)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i, n;
    ngx_http_klaviyo_rule_t      *rule;
    ngx_http_klaviyo_captures_t   captures;

    if (!ngx_http_klaviyo_capture_signed(r, set->conf)) {
        return ngx_http_klaviyo_debug_say(r, "skipped: unsigned (%s)%Z",
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
        rc = ngx_http_klaviyo_debug_rule(r, ctx, &rule[i]);
    }

    if (rc == NGX_OK && set->named) {
        rc = ngx_http_klaviyo_debug_say(r, ctx->named
                 ? "what the application named in \"%V\" follows the answer%Z"
                 : "skipped: no_header, the application named nothing in "
                   "\"%V\"%Z", &set->named->track->metric.value);
    }

    if (rc == NGX_OK && set->json) {
        rc = ngx_http_klaviyo_debug_say(r, "klaviyo_track_json is read when "
                                           "the answer has left%Z");
    }

    for (i = 0; rc == NGX_OK && i < KLAVIYO_LANE_N; i++) {

        if (set->lanes[i]) {
            rule = set->lanes[i]->elts;
            rc = ngx_http_klaviyo_debug_say(r, "%V is judged when the answer "
                                               "has left%Z",
                                            &rule->track->directive);
        }
    }

    if (rc == NGX_OK && set->conf->enrich) {
        rc = ngx_http_klaviyo_debug_say(r, "klaviyo_enrich adds to these what "
                                           "it is answered%Z");
    }

    ngx_http_klaviyo_captures_restore(r, ctx, &captures);

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_debug_rule(ngx_http_request_t *r,
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

    chosen = ngx_http_klaviyo_capture_choose(r, ctx, rule, &own);

    if (chosen == NULL) {
        return ngx_http_klaviyo_debug_say(r, "skipped \"%V\": account (%s)%Z",
                                          &metric,
                                          klaviyo_skipped_words("account"));
    }

    ctx->wait.len = 0;

    if (ngx_http_klaviyo_capture_event(r, ctx, chosen, &event, &reason)
        == NGX_DECLINED)
    {
        name = klaviyo_counter_names[reason].name;

        return ngx_http_klaviyo_debug_say(r, "skipped \"%V\": %s (%s)%Z",
                                          &metric, name,
                                          klaviyo_skipped_words(name));
    }

    if (ctx->wait.len) {
        return ngx_http_klaviyo_debug_say(r, "held \"%V\" for \"%V\": it waits "
                                          "until the visitor is known%Z",
                                          &metric, &chosen->account->name);
    }

    return ngx_http_klaviyo_debug_event(r, &metric, chosen->account, &event);
}


static ngx_int_t
ngx_http_klaviyo_debug_event(ngx_http_request_t *r, ngx_str_t *metric,
    ngx_http_klaviyo_account_t *account, klaviyo_event_t *event)
{
    size_t  profile, attributes;

    profile = ngx_min(event->profile_len, NGX_HTTP_KLAVIYO_PREVIEW_MAX);
    attributes = ngx_min(event->attributes_len,
                         NGX_HTTP_KLAVIYO_PREVIEW_MAX - profile);

    return ngx_http_klaviyo_debug_say(r, "captured \"%V\" for \"%V\": "
                                      "{\"profile\":%*s,%*s%s%Z",
                                      metric, &account->name,
                                      profile, event->profile,
                                      attributes, event->attributes,
                                      attributes < event->attributes_len
                                      ? "... (cut)" : "}");
}


/* what may be a visitor's: no byte of it may end the header */

static ngx_int_t
ngx_http_klaviyo_debug_say(ngx_http_request_t *r, const char *fmt, ...)
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
ngx_http_klaviyo_debug_quiet(ngx_http_request_t *r, unsigned quiet)
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

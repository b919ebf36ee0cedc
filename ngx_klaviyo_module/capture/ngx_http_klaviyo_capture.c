/*
 * The configuration of a location, and the handler of the log phase that
 * goes through its rules.
 */


#include "ngx_http_klaviyo_context.h"


static char *ngx_http_klaviyo_capture_rules(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_capture_account(
    ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_http_klaviyo_loc_conf_t *conf, ngx_http_klaviyo_track_t *track);
static ngx_int_t ngx_http_klaviyo_capture_handler(ngx_http_request_t *r);
static const char *ngx_http_klaviyo_capture_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);
static ngx_int_t ngx_http_klaviyo_capture_event(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_event_t *event, klaviyo_counter_e *reason);
static ngx_uint_t ngx_http_klaviyo_capture_status(ngx_http_request_t *r,
    ngx_array_t *statuses);


void *
ngx_http_klaviyo_capture_create_conf(ngx_conf_t *cf)
{
    ngx_http_klaviyo_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->profile = NULL;
     *     conf->properties = NULL;
     *     conf->account = { 0, NULL };
     */

    conf->tracks = NGX_CONF_UNSET_PTR;
    conf->defaults = NGX_CONF_UNSET;
    conf->rules = NGX_CONF_UNSET_PTR;

    return conf;
}


/* the rules of a level that changes nothing are those of the outer one */

char *
ngx_http_klaviyo_capture_merge_conf(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *prev,
    ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_uint_t  same;

    same = (prev->rules != NGX_CONF_UNSET_PTR
            && conf->tracks == NGX_CONF_UNSET_PTR
            && conf->profile == NULL
            && conf->properties == NULL
            && conf->account.data == NULL
            && conf->defaults == NGX_CONF_UNSET);

    ngx_conf_merge_ptr_value(conf->tracks, prev->tracks, NULL);

    conf->profile = ngx_http_klaviyo_field_merge(cf, prev->profile,
                                                 conf->profile);
    if (conf->profile == NGX_CONF_ERROR) {
        return NGX_CONF_ERROR;
    }

    conf->properties = ngx_http_klaviyo_field_merge(cf, prev->properties,
                                                    conf->properties);
    if (conf->properties == NGX_CONF_ERROR) {
        return NGX_CONF_ERROR;
    }

    ngx_conf_merge_str_value(conf->account, prev->account, "");
    ngx_conf_merge_value(conf->defaults, prev->defaults, 1);

    if (same) {
        conf->rules = prev->rules;
        return NGX_CONF_OK;
    }

    if (conf->account.len
        && ngx_http_klaviyo_account_find(kmcf, &conf->account) == NULL)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown account \"%V\" in \"klaviyo_account_default\", "
                      "there is no klaviyo_account of this name",
                      &conf->account);
        return NGX_CONF_ERROR;
    }

    conf->rules = NULL;

    if (conf->tracks == NULL) {
        return NGX_CONF_OK;
    }

    return ngx_http_klaviyo_capture_rules(cf, kmcf, conf);
}


static char *
ngx_http_klaviyo_capture_rules(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_uint_t                 i;
    ngx_http_klaviyo_rule_t   *rule;
    ngx_http_klaviyo_track_t  *track;

    conf->rules = ngx_array_create(cf->pool, conf->tracks->nelts,
                                   sizeof(ngx_http_klaviyo_rule_t));
    if (conf->rules == NULL) {
        return NGX_CONF_ERROR;
    }

    track = conf->tracks->elts;

    for (i = 0; i < conf->tracks->nelts; i++) {

        rule = ngx_array_push(conf->rules);
        if (rule == NULL) {
            return NGX_CONF_ERROR;
        }

        rule->track = &track[i];

        rule->account = ngx_http_klaviyo_capture_account(cf, kmcf, conf,
                                                         &track[i]);
        if (rule->account == NULL) {
            return NGX_CONF_ERROR;
        }

        rule->template = ngx_http_klaviyo_template(cf, conf, &track[i]);
        if (rule->template == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_http_klaviyo_account_t *
ngx_http_klaviyo_capture_account(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf,
    ngx_http_klaviyo_track_t *track)
{
    ngx_str_t                    *name;
    ngx_http_klaviyo_account_t   *found, **account;

    if (kmcf->accounts.nelts == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no account for klaviyo_track \"%V\" in %s:%ui: add "
                      "\"klaviyo_account shop { api_key_file <path>; }\" to "
                      "the http block",
                      &track->metric.value, track->conf_file,
                      track->conf_line);
        return NULL;
    }

    name = track->account.len ? &track->account : &conf->account;

    if (name->len) {
        found = ngx_http_klaviyo_account_find(kmcf, name);

        if (found == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown account \"%V\" for klaviyo_track \"%V\" in "
                          "%s:%ui, there is no klaviyo_account of this name",
                          name, &track->metric.value, track->conf_file,
                          track->conf_line);
        }

        return found;
    }

    account = kmcf->accounts.elts;

    if (kmcf->accounts.nelts > 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no account chosen for klaviyo_track \"%V\" in %s:%ui, "
                      "and there are %ui: add \"account=<name>\" to it or "
                      "\"klaviyo_account_default <name>;\" to its level",
                      &track->metric.value, track->conf_file,
                      track->conf_line, kmcf->accounts.nelts);
        return NULL;
    }

    return account[0];
}


ngx_int_t
ngx_http_klaviyo_capture_init(ngx_conf_t *cf)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handlers = &cmcf->phases[NGX_HTTP_LOG_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    /* before the access log's, which may want $klaviyo_captured */

    h = handlers->elts;

    ngx_memmove(h + 1, h,
                (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));

    h[0] = ngx_http_klaviyo_capture_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_capture_handler(ngx_http_request_t *r)
{
    ngx_uint_t                    i;
    const char                   *reason;
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_rule_t      *rule;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    if (klcf->rules == NULL) {
        return NGX_OK;
    }

    rule = klcf->rules->elts;

    ctx = ngx_http_klaviyo_context(r, 1);

    if (ctx == NULL) {
        klaviyo_ring_count(rule->account->ring, KLAVIYO_COUNT_SKIPPED_MEMORY,
                           klcf->rules->nelts);
        return NGX_ERROR;
    }

    for (i = 0; i < klcf->rules->nelts; i++) {

        reason = ngx_http_klaviyo_capture_rule(r, ctx, &rule[i]);

        if (ctx->reason == NULL) {
            ctx->reason = reason;
        }
    }

    ctx->logged = 1;

    return NGX_OK;
}


/* NULL: captured */

static const char *
ngx_http_klaviyo_capture_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule)
{
    ngx_int_t          rc;
    klaviyo_event_t    event;
    klaviyo_counter_e  reason;

    rc = ngx_http_klaviyo_capture_event(r, ctx, rule, &event, &reason);

    if (rc == NGX_DECLINED) {
        klaviyo_ring_count(rule->account->ring, reason, 1);
        return klaviyo_counter_names[reason].name;
    }

    switch (klaviyo_ring_append(rule->account->ring, &event)) {

    case KLAVIYO_RING_OK:
        break;

    case KLAVIYO_RING_FULL:
        return klaviyo_counter_names[KLAVIYO_COUNT_LOST_QUEUE_FULL].name;

    case KLAVIYO_RING_BUSY:
        return klaviyo_counter_names[KLAVIYO_COUNT_LOST_QUEUE_BUSY].name;

    case KLAVIYO_RING_TOO_LARGE:
        reason = KLAVIYO_COUNT_SKIPPED_TOO_LARGE;
        klaviyo_ring_count(rule->account->ring, reason, 1);
        return klaviyo_counter_names[reason].name;

    default:
        return "detached";
    }

    if (ctx->captured++ == 0) {
        ctx->id.len = event.unique_id_len;
        ctx->id.data = (u_char *) event.unique_id;
    }

    return NULL;
}


static ngx_int_t
ngx_http_klaviyo_capture_event(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_event_t *event, klaviyo_counter_e *reason)
{
    ngx_str_t  value;

    if (!ngx_http_klaviyo_capture_status(r, rule->track->statuses)) {
        *reason = KLAVIYO_COUNT_SKIPPED_STATUS;
        return NGX_DECLINED;
    }

    if (rule->track->filter) {

        if (ngx_http_complex_value(r, rule->track->filter, &value) != NGX_OK) {
            *reason = KLAVIYO_COUNT_SKIPPED_MEMORY;
            return NGX_DECLINED;
        }

        if (value.len == 0 || (value.len == 1 && value.data[0] == '0')) {
            *reason = KLAVIYO_COUNT_SKIPPED_CONDITION;
            return NGX_DECLINED;
        }
    }

    return ngx_http_klaviyo_render(r, ctx, rule, event, reason);
}


static ngx_uint_t
ngx_http_klaviyo_capture_status(ngx_http_request_t *r, ngx_array_t *statuses)
{
    ngx_uint_t  i, status, *wanted;

    status = r->err_status ? r->err_status : r->headers_out.status;

    if (statuses == NULL) {
        return status >= 200 && status < 400;
    }

    wanted = statuses->elts;

    for (i = 0; i < statuses->nelts; i++) {

        if (wanted[i] == status || wanted[i] == status / 100) {
            return 1;
        }
    }

    return 0;
}

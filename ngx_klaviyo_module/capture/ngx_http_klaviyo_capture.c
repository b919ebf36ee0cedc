/*
 * The configuration of a location, and the handler of the log phase that
 * goes through its rules.
 */


#include "ngx_http_klaviyo_capture.h"
#include "ngx_http_klaviyo_body.h"
#include "ngx_http_klaviyo_debug.h"
#include "ngx_http_klaviyo_enrich.h"
#include "ngx_http_klaviyo_enrich_answer.h"
#include "ngx_http_klaviyo_enrich_request.h"
#include "ngx_http_klaviyo_field.h"
#include "ngx_http_klaviyo_host.h"
#include "ngx_http_klaviyo_identity.h"
#include "ngx_http_klaviyo_lane.h"
#include "ngx_http_klaviyo_late.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_named.h"
#include "ngx_http_klaviyo_rule.h"
#include "ngx_http_klaviyo_skip.h"
#include "ngx_http_klaviyo_track_page.h"
#include "ngx_http_klaviyo_view.h"
#include "ngx_http_klaviyo_wait.h"
#include "ngx_http_klaviyo_warn.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "queue/klaviyo_ring_figures.h"


typedef void (*ngx_http_klaviyo_capture_pt)(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);


static void ngx_http_klaviyo_capture_own(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *prev, ngx_http_klaviyo_loc_conf_t *conf);
static void ngx_http_klaviyo_capture_prefetch(
    ngx_http_klaviyo_loc_conf_t *prev, ngx_http_klaviyo_loc_conf_t *conf);
static char *ngx_http_klaviyo_capture_rules(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf,
    ngx_array_t *tracks, ngx_array_t **rules);
static char *ngx_http_klaviyo_capture_compile(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf,
    ngx_http_klaviyo_track_t *track, ngx_http_klaviyo_rule_t *rule);
static void ngx_http_klaviyo_capture_lanes(
    ngx_http_klaviyo_account_t *account, ngx_http_klaviyo_track_t *track);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_capture_account(
    ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_http_klaviyo_loc_conf_t *conf, ngx_http_klaviyo_track_t *track);
static void ngx_http_klaviyo_capture_unreachable(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *conf);
static void ngx_http_klaviyo_capture_unnamed(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *conf);
static void ngx_http_klaviyo_capture_nobody(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *prev, ngx_http_klaviyo_loc_conf_t *conf);
static ngx_uint_t ngx_http_klaviyo_capture_names(ngx_array_t *profile);
static ngx_uint_t ngx_http_klaviyo_capture_answer(ngx_conf_t *cf);
static ngx_int_t ngx_http_klaviyo_capture_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_capture_silent(ngx_http_klaviyo_ctx_t *ctx);
static void ngx_http_klaviyo_capture_set(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_set_t *set);
static ngx_http_klaviyo_enrichment_t *ngx_http_klaviyo_capture_enrichment(
    ngx_http_klaviyo_ctx_t *ctx);
static const char *ngx_http_klaviyo_capture_enriched(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);
static void ngx_http_klaviyo_capture_named(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    ngx_http_klaviyo_capture_pt capture);


void *
ngx_http_klaviyo_capture_create_conf(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
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
     *     conf->identity = 0;
     *     conf->skip = 0;
     *     conf->named = NULL;
     */

    conf->tracks = NGX_CONF_UNSET_PTR;
    conf->defaults = NGX_CONF_UNSET;
    conf->phone_country = NGX_CONF_UNSET;
    conf->header = NGX_CONF_UNSET_PTR;
    conf->json_tracks = NGX_CONF_UNSET_PTR;
    conf->enrich = NGX_CONF_UNSET_PTR;

    for (i = 0; i < KLAVIYO_LANE_N; i++) {
        conf->lane_tracks[i] = NGX_CONF_UNSET_PTR;
    }

    conf->request_body = NGX_CONF_UNSET;
    conf->kx_cookie = NGX_CONF_UNSET_PTR;
    conf->attribution = NGX_CONF_UNSET_PTR;
    conf->debug = NGX_CONF_UNSET_PTR;
    conf->consent = NGX_CONF_UNSET_PTR;
    conf->hosts = NGX_CONF_UNSET_PTR;
    conf->prefetch = NGX_CONF_UNSET_UINT;
    conf->rules = NGX_CONF_UNSET_PTR;

    return conf;
}


/* the rules of a level that changes nothing are those of the outer one */

char *
ngx_http_klaviyo_capture_merge_conf(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *prev,
    ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_uint_t  i, same;

    same = (prev->rules != NGX_CONF_UNSET_PTR
            && conf->tracks == NGX_CONF_UNSET_PTR
            && conf->profile == NULL
            && conf->properties == NULL
            && conf->account.data == NULL
            && conf->defaults == NGX_CONF_UNSET
            && conf->phone_country == NGX_CONF_UNSET
            && conf->attribution == NGX_CONF_UNSET_PTR
            && conf->header == NGX_CONF_UNSET_PTR
            && conf->json_tracks == NGX_CONF_UNSET_PTR
            && conf->enrich == NGX_CONF_UNSET_PTR);

    for (i = 0; i < KLAVIYO_LANE_N; i++) {
        same = same && conf->lane_tracks[i] == NGX_CONF_UNSET_PTR;
    }

    ngx_http_klaviyo_capture_own(cf, prev, conf);

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

    if (conf->account.data == NULL) {
        conf->choice = prev->choice;
        conf->account_file = prev->account_file;
        conf->account_line = prev->account_line;
    }

    ngx_conf_merge_str_value(conf->account, prev->account, "");
    ngx_conf_merge_value(conf->defaults, prev->defaults, 1);
    ngx_conf_merge_value(conf->phone_country, prev->phone_country, 0);
    ngx_conf_merge_ptr_value(conf->header, prev->header, NULL);
    ngx_conf_merge_ptr_value(conf->json_tracks, prev->json_tracks, NULL);
    ngx_conf_merge_ptr_value(conf->enrich, prev->enrich, NULL);

    for (i = 0; i < KLAVIYO_LANE_N; i++) {
        ngx_conf_merge_ptr_value(conf->lane_tracks[i], prev->lane_tracks[i],
                                 NULL);
    }

    ngx_conf_merge_value(conf->request_body, prev->request_body, 0);
    ngx_conf_merge_bitmask_value(conf->identity, prev->identity,
                                 NGX_HTTP_KLAVIYO_IDENTITY_DEFAULT);
    ngx_conf_merge_ptr_value(conf->kx_cookie, prev->kx_cookie, NULL);
    ngx_conf_merge_ptr_value(conf->attribution, prev->attribution, NULL);
    ngx_conf_merge_ptr_value(conf->consent, prev->consent, NULL);

    if (conf->kx_cookie
        && conf->attribution
        && conf->kx_cookie->name.len == conf->attribution->name.len
        && ngx_memcmp(conf->kx_cookie->name.data, conf->attribution->name.data,
                      conf->kx_cookie->name.len)
           == 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"klaviyo_kx_cookie\" and \"klaviyo_attribution\" "
                      "have one cookie \"%V\": name one of them otherwise",
                      &conf->kx_cookie->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_debug_merge(cf, kmcf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    /* found out once for each server: above it they stay unset */

    conf->hosts = prev->hosts;

    if (conf->hosts == NGX_CONF_UNSET_PTR) {
        conf->hosts = ngx_http_klaviyo_hosts(cf);

        if (conf->hosts == NGX_CONF_ERROR) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_conf_merge_bitmask_value(conf->skip, prev->skip,
                                 NGX_HTTP_KLAVIYO_SKIP_DEFAULT);

    ngx_http_klaviyo_capture_prefetch(prev, conf);

    if (ngx_http_klaviyo_track_page_merge(cf, kmcf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (same) {

        if (prev->rules
            && (conf->identity & (NGX_HTTP_KLAVIYO_IDENTITY_COOKIE
                                  |NGX_HTTP_KLAVIYO_IDENTITY_QUERY)))
        {
            kmcf->somebody = 1;
        }

        conf->rules = prev->rules;
        conf->named = prev->named;
        conf->json = prev->json;

        ngx_memcpy(conf->lane_rules, prev->lane_rules,
                   sizeof(conf->lane_rules));

        return ngx_http_klaviyo_wait_check(cf, conf) == NGX_OK
               ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (conf->account.len
        && ngx_http_klaviyo_account_find(kmcf, &conf->account) == NULL)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown account \"%V\" in \"klaviyo_account_default\" "
                      "in %s:%ui, there is no klaviyo_account of this name",
                      &conf->account, conf->account_file,
                      conf->account_line);
        return NGX_CONF_ERROR;
    }

    conf->rules = NULL;

    if (conf->header) {
        conf->named = ngx_palloc(cf->pool, sizeof(ngx_http_klaviyo_rule_t));
        if (conf->named == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_klaviyo_capture_compile(cf, kmcf, conf, conf->header,
                                             conf->named)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if ((conf->tracks
         && ngx_http_klaviyo_capture_rules(cf, kmcf, conf, conf->tracks,
                                           &conf->rules)
            != NGX_CONF_OK)
        || (conf->json_tracks
            && ngx_http_klaviyo_capture_rules(cf, kmcf, conf,
                                              conf->json_tracks, &conf->json)
               != NGX_CONF_OK))
    {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < KLAVIYO_LANE_N; i++) {
        if (conf->lane_tracks[i]
            && ngx_http_klaviyo_capture_rules(cf, kmcf, conf,
                                              conf->lane_tracks[i],
                                              &conf->lane_rules[i])
               != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    ngx_http_klaviyo_capture_unreachable(cf, conf);
    ngx_http_klaviyo_capture_unnamed(cf, conf);
    ngx_http_klaviyo_capture_nobody(cf, prev, conf);

    return ngx_http_klaviyo_wait_check(cf, conf) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* an `if` is a location for nginx, which has no name */

static void
ngx_http_klaviyo_capture_own(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *prev, ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    for (i = 0; i < KLAVIYO_LANE_N; i++) {
        if ((conf->lane_tracks[i] == NGX_CONF_UNSET_PTR)
            ? clcf->noname && (prev->own_lanes & (1 << i))
            : conf->lane_tracks[i] != NULL)
        {
            conf->own_lanes |= 1 << i;
        }
    }

    conf->own_tracks = (conf->tracks == NGX_CONF_UNSET_PTR)
                       ? clcf->noname && prev->own_tracks
                       : conf->tracks != NULL;

    conf->own_header = (conf->header == NGX_CONF_UNSET_PTR)
                       ? clcf->noname && prev->own_header
                       : conf->header != NULL;

    conf->own_json = (conf->json_tracks == NGX_CONF_UNSET_PTR)
                     ? clcf->noname && prev->own_json
                     : conf->json_tracks != NULL;
}


/* after klaviyo_skip, whose "prefetch" is the default's condition */

static void
ngx_http_klaviyo_capture_prefetch(ngx_http_klaviyo_loc_conf_t *prev,
    ngx_http_klaviyo_loc_conf_t *conf)
{
    if (conf->prefetch == NGX_CONF_UNSET_UINT) {
        conf->prefetch = prev->prefetch;
    }

    if (conf->prefetch == NGX_HTTP_KLAVIYO_PREFETCH_COUNT) {
        conf->skip &= ~NGX_HTTP_KLAVIYO_SKIP_PREFETCH;

    } else if (conf->prefetch != NGX_CONF_UNSET_UINT) {
        conf->skip |= NGX_HTTP_KLAVIYO_SKIP_PREFETCH;
    }

    conf->refuses = (conf->skip & NGX_HTTP_KLAVIYO_SKIP_PREFETCH)
                    && conf->prefetch != NGX_HTTP_KLAVIYO_PREFETCH_SKIP;
}


char *
ngx_http_klaviyo_account_default(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_klaviyo_loc_conf_t  *klcf = conf;

    ngx_str_t  *value;

    (void) cmd;

    if (klcf->account.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "has an empty name";
    }

    if (ngx_http_script_variables_count(&value[1])) {
        ngx_str_set(&klcf->account, "");

        if (ngx_http_klaviyo_compile_slot(cf, &value[1], &klcf->choice)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

    } else {
        klcf->account = value[1];
    }

    klcf->account_file = cf->conf_file->file.name.data;
    klcf->account_line = cf->conf_file->line;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_capture_rules(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf,
    ngx_array_t *tracks, ngx_array_t **rules)
{
    ngx_uint_t                 i;
    ngx_http_klaviyo_rule_t   *rule;
    ngx_http_klaviyo_track_t  *track;

    *rules = ngx_array_create(cf->pool, tracks->nelts,
                              sizeof(ngx_http_klaviyo_rule_t));
    if (*rules == NULL) {
        return NGX_CONF_ERROR;
    }

    track = tracks->elts;

    for (i = 0; i < tracks->nelts; i++) {

        rule = ngx_array_push(*rules);
        if (rule == NULL) {
            return NGX_CONF_ERROR;
        }

        if (ngx_http_klaviyo_capture_compile(cf, kmcf, conf, &track[i], rule)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_capture_compile(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_loc_conf_t *conf,
    ngx_http_klaviyo_track_t *track, ngx_http_klaviyo_rule_t *rule)
{
    ngx_uint_t                    i, n;
    ngx_http_klaviyo_account_t  **account;

    rule->track = track;
    rule->choice = track->choice;

    if (rule->choice == NULL && track->account.len == 0) {
        rule->choice = conf->choice;
    }

    rule->account = ngx_http_klaviyo_capture_account(cf, kmcf, conf, track);
    if (rule->account == NULL) {
        return NGX_CONF_ERROR;
    }

    account = rule->choice ? kmcf->accounts.elts : &rule->account;
    n = rule->choice ? kmcf->accounts.nelts : 1;

    for (i = 0; i < n; i++) {
        account[i]->used = 1;
        ngx_http_klaviyo_capture_lanes(account[i], track);
    }

    rule->template = ngx_http_klaviyo_template(cf, conf, track);
    if (rule->template == NULL) {
        return NGX_CONF_ERROR;
    }

    if (track->lane) {
        ngx_http_klaviyo_lane_template(rule->template, track->lane);
        return NGX_CONF_OK;
    }

    if ((conf->identity & (NGX_HTTP_KLAVIYO_IDENTITY_COOKIE
                           |NGX_HTTP_KLAVIYO_IDENTITY_QUERY))
        || (conf->profile && conf->profile->nelts)
        || (track->profile && track->profile->nelts)
        || conf->enrich
        || track->named)
    {
        kmcf->somebody = 1;

    } else {
        kmcf->nobody_file = track->conf_file;
        kmcf->nobody_line = track->conf_line;
    }

    return NGX_CONF_OK;
}


/* events that the application names may ask for any lane */

static void
ngx_http_klaviyo_capture_lanes(ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_track_t *track)
{
    time_t  *max_age;

    if (track->named) {
        account->lanes_used |= (1 << KLAVIYO_LANE_N) - 1;
        return;
    }

    account->lanes_used |= 1 << track->lane;

    /* of several the shortest is meant for all */

    max_age = &account->lanes_max_age[track->lane];

    if (track->max_age && (*max_age == 0 || track->max_age < *max_age)) {
        *max_age = track->max_age;
    }
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
                      "no account for %V \"%V\" in %s:%ui: add "
                      "\"klaviyo_account shop { api_key_file <path>; }\" to "
                      "the http block",
                      &track->directive, &track->metric.value, track->conf_file,
                      track->conf_line);
        return NULL;
    }

    account = kmcf->accounts.elts;

    if (track->choice || (track->account.len == 0 && conf->choice)) {
        return account[0];
    }

    name = track->account.len ? &track->account : &conf->account;

    if (name->len) {
        found = ngx_http_klaviyo_account_find(kmcf, name);

        if (found == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown account \"%V\" for %V \"%V\" in %s:%ui, "
                          "there is no klaviyo_account of this name",
                          name, &track->directive, &track->metric.value,
                          track->conf_file, track->conf_line);
        }

        return found;
    }

    if (kmcf->accounts.nelts > 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no account chosen for %V \"%V\" in %s:%ui, and there "
                      "are %ui: add %s\"klaviyo_account_default <name>;\" to "
                      "its level",
                      &track->directive, &track->metric.value,
                      track->conf_file, track->conf_line,
                      kmcf->accounts.nelts,
                      track == conf->header
                      ? "" : "\"account=<name>\" to it or ");
        return NULL;
    }

    return account[0];
}


/* warns of rules whose location always answers with a status that is none */

static void
ngx_http_klaviyo_capture_unreachable(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_uint_t                  i, status;
    ngx_http_err_page_t        *page;
    ngx_http_klaviyo_track_t   *track;
    ngx_http_core_loc_conf_t   *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->tracks == NULL || !conf->own_tracks || clcf->noname) {
        return;
    }

    status = ngx_http_klaviyo_capture_answer(cf);

    if (status == 0) {
        return;
    }

    if (clcf->error_pages) {
        page = clcf->error_pages->elts;

        for (i = 0; i < clcf->error_pages->nelts; i++) {
            if (page[i].status == (ngx_int_t) status && page[i].overwrite >= 0)
            {
                return;
            }
        }
    }

    track = conf->tracks->elts;

    for (i = 0; i < conf->tracks->nelts; i++) {

        if (track[i].statuses) {

            if (!ngx_http_klaviyo_rule_among(track[i].statuses, status)) {
                ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                              "%V \"%V\" in %s:%ui can never fire: its "
                              "location answers each request with status %ui, "
                              "which its \"status=\" leaves out",
                              &track[i].directive, &track[i].metric.value,
                              track[i].conf_file, track[i].conf_line, status);
            }

        } else if (status < 200 || status >= 400) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "%V \"%V\" in %s:%ui can never fire: its location "
                          "answers each request with status %ui, and it has "
                          "no \"status=%ui\"",
                          &track[i].directive, &track[i].metric.value,
                          track[i].conf_file, track[i].conf_line, status,
                          status);

        } else if (status >= 300 && status != NGX_HTTP_NOT_MODIFIED) {
            ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                          "%V \"%V\" in %s:%ui can never fire for GET: its "
                          "location answers each request with status %ui, and "
                          "it has no \"status=%ui\"",
                          &track[i].directive, &track[i].metric.value,
                          track[i].conf_file, track[i].conf_line, status,
                          status);
        }
    }
}


/* warns of orders that only the visitor's cookie or link gives to somebody */

static void
ngx_http_klaviyo_capture_unnamed(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_klaviyo_track_t  *track;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* what stands in a server is for locations, which may name it */

    if (conf->tracks == NULL
        || !conf->own_tracks
        || (clcf->name.len == 0 && !clcf->noname)
        || conf->enrich
        || ngx_http_klaviyo_capture_names(conf->profile))
    {
        return;
    }

    track = conf->tracks->elts;

    for (i = 0; i < conf->tracks->nelts; i++) {

        if (!track[i].order
            || ngx_http_klaviyo_capture_names(track[i].profile))
        {
            continue;
        }

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "%V \"%V\" in %s:%ui has \"%s\" and names no profile: "
                      "the person of a visitor's cookie may be another one "
                      "than who buys, add \"profile email <value>;\"",
                      &track[i].directive, &track[i].metric.value,
                      track[i].conf_file, track[i].conf_line,
                      track[i].unique_id ? "unique_id" : "value");

        track[i].order = 0;
    }
}


/* warns of profiles and subscriptions whose person nothing names */

static void
ngx_http_klaviyo_capture_nobody(ngx_conf_t *cf,
    ngx_http_klaviyo_loc_conf_t *prev, ngx_http_klaviyo_loc_conf_t *conf)
{
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_klaviyo_track_t  *track;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if ((clcf->name.len == 0 && !clcf->noname)
        || ngx_http_klaviyo_capture_names(conf->profile))
    {
        return;
    }

    for (i = 0; i < KLAVIYO_LANE_N; i++) {

        if (conf->lane_tracks[i] == NULL
            || conf->lane_tracks[i] == prev->lane_tracks[i])
        {
            continue;
        }

        track = conf->lane_tracks[i]->elts;

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "%V in %s:%ui can never work: only \"klaviyo_profile\" "
                      "says who it is, and there is none that does: add "
                      "\"klaviyo_profile email <value>;\"",
                      &track->directive, track->conf_file, track->conf_line);
    }
}


static ngx_uint_t
ngx_http_klaviyo_capture_names(ngx_array_t *profile)
{
    ngx_uint_t                 i;
    ngx_http_klaviyo_field_t  *field;
    ngx_http_klaviyo_known_t  *known;

    if (profile == NULL) {
        return 0;
    }

    field = profile->elts;

    for (i = 0; i < profile->nelts; i++) {

        known = ngx_http_klaviyo_field_known(&field[i].name);

        if (known && known->identifier == NGX_HTTP_KLAVIYO_IS_KNOWN) {
            return 1;
        }
    }

    return 0;
}


/*
 * The status of a `return` that each request of this location comes to; 0:
 * there is none.  The rewrite module's configuration begins with its codes.
 */

static ngx_uint_t
ngx_http_klaviyo_capture_answer(ngx_conf_t *cf)
{
    u_char                     *p, *last;
    ngx_uint_t                  i;
    ngx_array_t                *codes;
    ngx_module_t              **modules;
    ngx_http_conf_ctx_t        *ctx;
    ngx_http_script_code_pt     code;

    ctx = cf->ctx;
    codes = NULL;
    modules = cf->cycle->modules;

    for (i = 0; modules[i]; i++) {

        if (modules[i]->type == NGX_HTTP_MODULE
            && ngx_strcmp(modules[i]->name, "ngx_http_rewrite_module") == 0)
        {
            codes = *(ngx_array_t **) ctx->loc_conf[modules[i]->ctx_index];
            break;
        }
    }

    if (codes == NULL) {
        return 0;
    }

    p = codes->elts;
    last = p + codes->nelts;

    while ((size_t) (last - p) >= sizeof(ngx_http_script_return_code_t)) {

        code = *(ngx_http_script_code_pt *) p;

        if (code == ngx_http_script_return_code) {
            return ((ngx_http_script_return_code_t *) p)->status;
        }

        /* `set` with a constant goes before it */

        if (code == ngx_http_script_value_code) {
            p += sizeof(ngx_http_script_value_code_t);

        } else if (code == ngx_http_script_set_var_code) {
            p += sizeof(ngx_http_script_var_code_t);

        } else {
            break;
        }
    }

    return 0;
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
    ngx_uint_t                     i, n;
    ngx_http_klaviyo_ctx_t        *ctx;
    ngx_http_klaviyo_rule_t       *rule;
    ngx_http_klaviyo_main_conf_t  *kmcf;
    ngx_http_klaviyo_rule_set_t    sets[NGX_HTTP_KLAVIYO_RULE_SETS];

    n = ngx_http_klaviyo_rule_sets(r, sets);
    rule = n ? ngx_http_klaviyo_rule_set_first(&sets[0])
             : ngx_http_klaviyo_passed_rule(r);

    if (rule == NULL) {
        return NGX_OK;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

    if (kmcf->answered && kmcf->answered(r)) {
        return NGX_OK;
    }

    /*
     * Subrequests that nginx makes of a request for itself (slice,
     * proxy_cache_background_update), and that of klaviyo_enrich, fire none.
     */

    if (r->parent
        && (r->uri.data == r->parent->uri.data
            || ngx_http_klaviyo_enrich_own(r)))
    {
        return NGX_OK;
    }

    ctx = ngx_http_klaviyo_context(r, 1);

    if (ctx == NULL) {
        klaviyo_ring_count(rule->account->ring, KLAVIYO_COUNT_SKIPPED_MEMORY,
                           1);
        return NGX_ERROR;
    }

    if (ctx->enrichment) {
        ngx_http_klaviyo_enrich_read(ctx->enrichment);

        if (ctx->enrichment->repair) {
            ctx->repair = 1;
        }
    }

    for (i = 0; i < n; i++) {
        ngx_http_klaviyo_capture_set(r, ctx, &sets[i]);
    }

    if (ctx->enrichment) {
        ngx_http_klaviyo_enrich_count(ctx->enrichment, rule->account->ring);
    }

    if (ngx_http_klaviyo_capture_silent(ctx)) {
        rule = ngx_http_klaviyo_passed_rule(r);

        if (rule) {
            ngx_http_klaviyo_rule_skip(ctx, rule,
                                       KLAVIYO_COUNT_SKIPPED_LOCATION);
        }
    }

    ctx->logged = 1;

    return NGX_OK;
}


/* nothing was fired, and no rule has said why */

static ngx_uint_t
ngx_http_klaviyo_capture_silent(ngx_http_klaviyo_ctx_t *ctx)
{
    return ctx->captured == 0 && ctx->reason == NULL;
}


static void
ngx_http_klaviyo_capture_set(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_set_t *set)
{
    ngx_uint_t                    i, n, lane;
    const char                   *reason;
    ngx_http_klaviyo_rule_t      *rule, *chosen, *json, own;
    ngx_http_klaviyo_captures_t   saved;

    rule = ngx_http_klaviyo_rule_set_first(set);

    if (!ngx_http_klaviyo_rule_signed(r, set->conf)) {
        ngx_http_klaviyo_rule_skip(ctx, rule,
                                   KLAVIYO_COUNT_SKIPPED_UNSIGNED);
        return;
    }

    n = set->rules ? set->rules->nelts : 0;

    saved.values = NULL;

    ctx->conf = set->conf;

    if (ngx_http_klaviyo_redirected(r)
        && set->conf == ctx->first
        && ngx_http_klaviyo_captures_first(r, ctx, &saved) != NGX_OK)
    {
        ngx_http_klaviyo_rule_skip(ctx, rule, KLAVIYO_COUNT_SKIPPED_MEMORY);
        goto done;
    }

    for (i = 0; i < n; i++) {

        chosen = ngx_http_klaviyo_rule_choose(r, ctx, &rule[i], &own);

        if (chosen == NULL) {
            continue;
        }

        reason = ngx_http_klaviyo_capture_enriched(r, ctx, chosen);

        if (ctx->reason == NULL) {
            ctx->reason = reason;
        }
    }

    if (set->named && ctx->named) {
        chosen = ngx_http_klaviyo_rule_choose(r, ctx, set->named, &own);

        if (chosen) {
            ngx_http_klaviyo_capture_named(r, ctx, chosen,
                                           ngx_http_klaviyo_header_capture);
        }
    }

    if (set->named && ngx_http_klaviyo_capture_silent(ctx)) {
        ngx_http_klaviyo_rule_skip(ctx, set->named,
                                   KLAVIYO_COUNT_SKIPPED_NO_HEADER);
    }

    json = set->json ? set->json->elts : NULL;

    for (i = 0; json && i < set->json->nelts; i++) {
        chosen = ngx_http_klaviyo_rule_choose(r, ctx, &json[i], &own);

        if (chosen) {
            ngx_http_klaviyo_capture_named(r, ctx, chosen,
                                           ngx_http_klaviyo_header_variable);
        }
    }

    for (lane = 0; lane < KLAVIYO_LANE_N; lane++) {
        json = set->lanes[lane] ? set->lanes[lane]->elts : NULL;

        for (i = 0; json && i < set->lanes[lane]->nelts; i++) {
            chosen = ngx_http_klaviyo_rule_choose(r, ctx, &json[i], &own);

            if (chosen) {
                ngx_http_klaviyo_lane_rule(r, ctx, chosen);
            }
        }
    }

    ngx_http_klaviyo_body_unread(r, ctx, rule->account->ring);

    if (set->json && ngx_http_klaviyo_capture_silent(ctx)) {
        chosen = ngx_http_klaviyo_rule_choose(r, ctx, set->json->elts, &own);

        if (chosen) {
            ngx_http_klaviyo_rule_skip(ctx, chosen,
                                       KLAVIYO_COUNT_SKIPPED_JSON);
        }
    }

    ngx_http_klaviyo_captures_restore(r, ctx, &saved);

done:

    ctx->conf = NULL;
}


/* what is to be merged into the events of the location in question, or NULL */

static ngx_http_klaviyo_enrichment_t *
ngx_http_klaviyo_capture_enrichment(ngx_http_klaviyo_ctx_t *ctx)
{
    if (ctx->enrichment == NULL
        || !ctx->enrichment->merge
        || ctx->enrichment->directive != ctx->conf->enrich)
    {
        return NULL;
    }

    return ctx->enrichment;
}


static const char *
ngx_http_klaviyo_capture_enriched(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule)
{
    ngx_http_klaviyo_rule_t         own;
    ngx_http_klaviyo_enrichment_t  *enrichment;

    enrichment = ngx_http_klaviyo_capture_enrichment(ctx);

    if (enrichment == NULL) {
        return ngx_http_klaviyo_rule_capture(r, ctx, rule);
    }

    if (ngx_http_klaviyo_named_merge(r, rule, &enrichment->named, &own)
        != NGX_OK)
    {
        klaviyo_ring_count(rule->account->ring, KLAVIYO_COUNT_SKIPPED_MEMORY,
                           1);
        return klaviyo_counter_names[KLAVIYO_COUNT_SKIPPED_MEMORY].name;
    }

    return ngx_http_klaviyo_rule_capture(r, ctx, &own);
}


static void
ngx_http_klaviyo_capture_named(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    ngx_http_klaviyo_capture_pt capture)
{
    ngx_http_klaviyo_rule_t         own;
    ngx_http_klaviyo_enrichment_t  *enrichment;

    enrichment = ngx_http_klaviyo_capture_enrichment(ctx);

    if (enrichment == NULL) {
        capture(r, ctx, rule);
        return;
    }

    if (ngx_http_klaviyo_named_merge(r, rule, &enrichment->named, &own)
        != NGX_OK)
    {
        klaviyo_ring_count(rule->account->ring, KLAVIYO_COUNT_SKIPPED_MEMORY,
                           1);
        return;
    }

    capture(r, ctx, &own);
}

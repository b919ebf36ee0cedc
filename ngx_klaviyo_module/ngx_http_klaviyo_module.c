/*
 * The entry of the module: directives, configuration, hooks of phases and
 * processes.  Wiring only; each thing that is wired lives in its room:
 *
 *     account/    where events go
 *     capture/    request → event
 *     queue/      event → record
 *     delivery/   records → Klaviyo
 *     gateway/    requests → any endpoint of Klaviyo's
 *     page/       answers → what they say of themselves
 *     webhook/    calls that Klaviyo signed
 *     status/     what became of them
 */


#include "account/ngx_http_klaviyo_account.h"
#include "account/ngx_http_klaviyo_arg.h"
#include "account/ngx_http_klaviyo_attach.h"
#include "account/ngx_http_klaviyo_secret.h"
#include "capture/ngx_http_klaviyo_attribution.h"
#include "capture/ngx_http_klaviyo_bots.h"
#include "capture/ngx_http_klaviyo_capture.h"
#include "capture/ngx_http_klaviyo_check.h"
#include "capture/ngx_http_klaviyo_consent_string.h"
#include "capture/ngx_http_klaviyo_debug.h"
#include "capture/ngx_http_klaviyo_enrich.h"
#include "capture/ngx_http_klaviyo_field.h"
#include "capture/ngx_http_klaviyo_hash.h"
#include "capture/ngx_http_klaviyo_header.h"
#include "capture/ngx_http_klaviyo_id.h"
#include "capture/ngx_http_klaviyo_identity.h"
#include "capture/ngx_http_klaviyo_kx_cookie.h"
#include "capture/ngx_http_klaviyo_lane.h"
#include "capture/ngx_http_klaviyo_late.h"
#include "capture/ngx_http_klaviyo_location.h"
#include "capture/ngx_http_klaviyo_preview.h"
#include "capture/ngx_http_klaviyo_repeated.h"
#include "capture/ngx_http_klaviyo_skip.h"
#include "capture/ngx_http_klaviyo_source.h"
#include "capture/ngx_http_klaviyo_track.h"
#include "capture/ngx_http_klaviyo_track_page.h"
#include "capture/ngx_http_klaviyo_variables.h"
#include "capture/ngx_http_klaviyo_wait.h"
#include "delivery/ngx_http_klaviyo_deliverer.h"
#include "delivery/ngx_http_klaviyo_flush.h"
#include "delivery/ngx_http_klaviyo_job.h"
#include "delivery/ngx_http_klaviyo_limits.h"
#include "delivery/ngx_http_klaviyo_transport.h"
#include "delivery/ngx_http_klaviyo_transport_process.h"
#include "gateway/ngx_http_klaviyo_pass.h"
#include "gateway/ngx_http_klaviyo_pass_handler.h"
#include "page/ngx_http_klaviyo_page.h"
#include "status/ngx_http_klaviyo_status.h"
#include "webhook/ngx_http_klaviyo_webhook.h"
#include "webhook/ngx_http_klaviyo_webhook_conf.h"


#define NGX_HTTP_KLAVIYO_LEVELS                                              \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)

#define NGX_HTTP_KLAVIYO_JOB_EXIT  1000   /* ms that an exit waits for disks */


static ngx_int_t ngx_http_klaviyo_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_klaviyo_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_klaviyo_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_klaviyo_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_klaviyo_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_klaviyo_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_klaviyo_init_process(ngx_cycle_t *cycle);
static void ngx_http_klaviyo_exit_process(ngx_cycle_t *cycle);
static void ngx_http_klaviyo_exit_master(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_klaviyo_commands[] = {

    { ngx_string("klaviyo_account"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_klaviyo_account_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_account_default"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE1,
      ngx_http_klaviyo_account_default,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_track"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_HTTP_LIF_CONF|NGX_CONF_1MORE,
      ngx_http_klaviyo_track,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_event"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_HTTP_LIF_CONF|NGX_CONF_BLOCK|NGX_CONF_1MORE,
      ngx_http_klaviyo_track,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_profile"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE23|NGX_CONF_TAKE4,
      ngx_http_klaviyo_field,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_klaviyo_loc_conf_t, profile),
      NULL },

    { ngx_string("klaviyo_property"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE23,
      ngx_http_klaviyo_field,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_klaviyo_loc_conf_t, properties),
      NULL },

    { ngx_string("klaviyo_defaults"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_klaviyo_loc_conf_t, defaults),
      NULL },

    { ngx_string("klaviyo_phone_country"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE1,
      ngx_http_klaviyo_phone_country,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_identity"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE12,
      ngx_http_klaviyo_identity,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_kx_cookie"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE12,
      ngx_http_klaviyo_kx_cookie,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_attribution"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_NOARGS|NGX_CONF_TAKE12,
      ngx_http_klaviyo_attribution,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_consent"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE1,
      ngx_http_klaviyo_consent,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_consent_string"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_klaviyo_consent_string,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_skip"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_1MORE,
      ngx_http_klaviyo_skip,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_prefetch"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE1,
      ngx_http_klaviyo_prefetch,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_bots"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_klaviyo_bots,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_response_header"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE1,
      ngx_http_klaviyo_response_header,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_debug"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE12,
      ngx_http_klaviyo_debug,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_enrich"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE12,
      ngx_http_klaviyo_enrich,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_json"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_klaviyo_part,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_form"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE3|NGX_CONF_TAKE4,
      ngx_http_klaviyo_part,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_cookie"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_klaviyo_part,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_hash"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE23,
      ngx_http_klaviyo_hash,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_track_json"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_1MORE,
      ngx_http_klaviyo_track_json,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_identify"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_HTTP_LIF_CONF|NGX_CONF_ANY,
      ngx_http_klaviyo_lane,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_klaviyo_loc_conf_t,
               lane_tracks[KLAVIYO_LANE_PROFILES]),
      NULL },

    { ngx_string("klaviyo_subscribe"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_1MORE,
      ngx_http_klaviyo_lane,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_klaviyo_loc_conf_t,
               lane_tracks[KLAVIYO_LANE_SUBSCRIPTIONS]),
      NULL },

    { ngx_string("klaviyo_request_body"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_klaviyo_loc_conf_t, request_body),
      NULL },

    { ngx_string("klaviyo_page"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_1MORE,
      ngx_http_klaviyo_page,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_response_body"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE12,
      ngx_http_klaviyo_response_body,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_webhook"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_klaviyo_webhook,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_pass"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE12,
      ngx_http_klaviyo_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_pass_timeout"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_klaviyo_loc_conf_t, location.pass_timeout),
      &ngx_http_klaviyo_pass_timeout_post },

    { ngx_string("klaviyo_pass_connections"),
      NGX_HTTP_KLAVIYO_LEVELS|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_klaviyo_loc_conf_t, location.pass_connections),
      &ngx_http_klaviyo_pass_connections_bounds },

    { ngx_string("klaviyo_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_klaviyo_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_klaviyo_module_ctx = {
    ngx_http_klaviyo_preconfiguration,     /* preconfiguration */
    ngx_http_klaviyo_postconfiguration,    /* postconfiguration */

    ngx_http_klaviyo_create_main_conf,     /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_klaviyo_create_loc_conf,      /* create location configuration */
    ngx_http_klaviyo_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_klaviyo_module = {
    NGX_MODULE_V1,
    &ngx_http_klaviyo_module_ctx,          /* module context */
    ngx_http_klaviyo_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_klaviyo_init_module,          /* init module */
    ngx_http_klaviyo_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_klaviyo_exit_process,         /* exit process */
    ngx_http_klaviyo_exit_master,          /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_klaviyo_preconfiguration(ngx_conf_t *cf)
{
    if (ngx_http_klaviyo_webhook_variables(cf) != NGX_OK
        || ngx_http_klaviyo_page_variables(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_capture_variables(cf);
}


static ngx_int_t
ngx_http_klaviyo_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);

    ngx_http_klaviyo_preview_init(kmcf);
    ngx_http_klaviyo_header_init();

    ngx_http_klaviyo_repeated_init(cf, kmcf);

    ngx_http_klaviyo_kx_cookie_init(kmcf);

    ngx_http_klaviyo_attribution_init(kmcf);

    ngx_http_klaviyo_enrich_init(kmcf);

    ngx_http_klaviyo_transport_init(cf, kmcf);

    ngx_http_klaviyo_page_init(kmcf);
    ngx_http_klaviyo_track_page_warn(cf, kmcf);

    if (ngx_http_klaviyo_account_lanes(cf, kmcf) != NGX_OK
        || ngx_http_klaviyo_capture_init(cf) != NGX_OK
        || ngx_http_klaviyo_location_init(cf) != NGX_OK
        || ngx_http_klaviyo_webhook_init(cf) != NGX_OK
        || ngx_http_klaviyo_wait_init(cf, kmcf) != NGX_OK
        || ngx_http_klaviyo_hash_init(cf, kmcf) != NGX_OK
        || ngx_http_klaviyo_bots_init(cf, kmcf) != NGX_OK
        || ngx_http_klaviyo_limits_init(cf, kmcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_klaviyo_account_warn(cf->log, kmcf);

    return ngx_http_klaviyo_attach(cf, kmcf);
}


static void *
ngx_http_klaviyo_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_main_conf_t));
    if (kmcf == NULL) {
        return NULL;
    }

    kmcf->fleet.abi = NGX_HTTP_KLAVIYO_FLEET_ABI;
    kmcf->fleet.version = NGX_HTTP_KLAVIYO_VERSION;
    kmcf->fleet.job = ngx_http_klaviyo_job_post;
    kmcf->fleet.secret_read = ngx_http_klaviyo_secret_read;
    kmcf->fleet.secret_keep = ngx_http_klaviyo_secret_keep;
    kmcf->fleet.settings = ngx_http_klaviyo_settings;

    if (ngx_array_init(&kmcf->accounts, cf->pool, 2,
                       sizeof(ngx_http_klaviyo_account_t *))
        != NGX_OK
        || ngx_array_init(&kmcf->queues, cf->pool, 2,
                          sizeof(ngx_http_klaviyo_account_t *))
           != NGX_OK)
    {
        return NULL;
    }

    return kmcf;
}


static void *
ngx_http_klaviyo_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_klaviyo_loc_conf_t  *conf;

    conf = ngx_http_klaviyo_capture_create_conf(cf);
    if (conf == NULL) {
        return NULL;
    }

    conf->location.webhook = NGX_CONF_UNSET_PTR;

    ngx_http_klaviyo_pass_unset(&conf->location);
    ngx_http_klaviyo_page_unset(&conf->location);

    return conf;
}


static char *
ngx_http_klaviyo_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_klaviyo_loc_conf_t *prev = parent;
    ngx_http_klaviyo_loc_conf_t *conf = child;

    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);

    ngx_http_klaviyo_page_merge(&prev->location, &conf->location);

    if (ngx_http_klaviyo_capture_merge_conf(cf, kmcf, prev, conf)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_pass_merge(cf, kmcf, &prev->location,
                                    &conf->location, &conf->account)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_klaviyo_webhook_merge(cf, kmcf, &prev->location,
                                          &conf->location, &conf->account);
}


static ngx_int_t
ngx_http_klaviyo_init_module(ngx_cycle_t *cycle)
{
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_klaviyo_module);

    if (kmcf == NULL) {
        return NGX_OK;
    }

    return ngx_http_klaviyo_attach_init_module(cycle, kmcf);
}


static ngx_int_t
ngx_http_klaviyo_init_process(ngx_cycle_t *cycle)
{
    ngx_http_klaviyo_main_conf_t  *kmcf;

    /* the cache manager and loader run this too, as ngx_worker 0 */

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_klaviyo_module);

    if (kmcf == NULL || kmcf->accounts.nelts == 0) {
        return NGX_OK;
    }

    if (ngx_http_klaviyo_attach_enter(cycle, kmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_klaviyo_attach_paths(cycle, kmcf);

    if (ngx_http_klaviyo_id_init_process(cycle) != NGX_OK
        || ngx_http_klaviyo_late_init_process(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_deliverer_init_process(cycle, kmcf);
}


static void
ngx_http_klaviyo_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    ngx_http_klaviyo_late_exit_process();
    ngx_http_klaviyo_pass_exit_process();
    ngx_http_klaviyo_deliverer_exit_process(cycle);

    (void) ngx_http_klaviyo_job_exit_process(NGX_HTTP_KLAVIYO_JOB_EXIT);
}


static void
ngx_http_klaviyo_exit_master(ngx_cycle_t *cycle)
{
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_klaviyo_module);

    if (kmcf) {
        ngx_http_klaviyo_flush(cycle, kmcf);
    }
}

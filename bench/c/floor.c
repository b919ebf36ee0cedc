/*
 * The floor: an nginx module whose log handler appends one event to a queue,
 * always the same, as long as one with ten properties.  It asks nothing of the
 * request, has no identity, no unique_id, and delivers nothing: less than an
 * event needs.
 *
 *     klaviyo_floor  path size;     http
 *     klaviyo_floor_event;          location
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "queue/klaviyo_ring.h"
#include "queue/klaviyo_ring_file.h"


#define FLOOR_PROFILE  150            /* bytes, as an exchange id makes it   */


typedef struct {
    ngx_str_t        path;
    size_t           size;
    klaviyo_ring_t  *ring;
} floor_main_conf_t;


typedef struct {
    ngx_flag_t       on;
} floor_loc_conf_t;


static void *floor_create_main_conf(ngx_conf_t *cf);
static void *floor_create_loc_conf(ngx_conf_t *cf);
static char *floor_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child);
static char *floor_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *floor_event(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static ngx_int_t floor_init(ngx_conf_t *cf);
static ngx_int_t floor_init_process(ngx_cycle_t *cycle);
static ngx_int_t floor_handler(ngx_http_request_t *r);


static const char  floor_text[] =
    "\"properties\":{\"URL\":\"http://127.0.0.1:8080/page.html?id=lamp-7&sku="
    "LMP-0007&name=Brass+Desk+Lamp&price=49.90&n=2&categories=Home,Lighting&"
    "stock=yes&utm_source=letter\",\"Path\":\"/page.html\",\"Method\":\"GET\","
    "\"Status\":200,\"Referrer\":\"https://shop.example/lamps?page=2\","
    "\"UserAgent\":\"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
    "Firefox/128.0\",\"ProductID\":\"lamp-7\",\"SKU\":\"LMP-0007\","
    "\"ProductName\":\"Brass+Desk+Lamp\",\"Price\":49.90,\"Quantity\":2,"
    "\"Categories\":[\"Home\",\"Lighting\"],\"InStock\":true,\"Currency\":"
    "\"EUR\",\"Language\":\"en-GB,en;q=0.7\",\"Host\":\"127.0.0.1\","
    "\"utm_source\":\"letter\"},\"metric\":{\"data\":{\"type\":\"metric\","
    "\"attributes\":{\"name\":\"Viewed Product\"}}},\"time\":"
    "\"2026-11-30T08:00:00+00:00\",\"unique_id\":"
    "\"01936b8e-0000-7000-8000-000000000000\"";

static size_t   floor_metric;
static uint8_t  floor_profile[FLOOR_PROFILE];


static ngx_command_t  floor_commands[] = {

    { ngx_string("klaviyo_floor"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      floor_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("klaviyo_floor_event"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      floor_event,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  floor_ctx = {
    NULL,                              /* preconfiguration */
    floor_init,                        /* postconfiguration */

    floor_create_main_conf,            /* create main configuration */
    NULL,                              /* init main configuration */

    NULL,                              /* create server configuration */
    NULL,                              /* merge server configuration */

    floor_create_loc_conf,             /* create location configuration */
    floor_merge_loc_conf               /* merge location configuration */
};


ngx_module_t  ngx_http_klaviyo_floor_module = {
    NGX_MODULE_V1,
    &floor_ctx,                        /* module context */
    floor_commands,                    /* module directives */
    NGX_HTTP_MODULE,                   /* module type */
    NULL,                              /* init master */
    NULL,                              /* init module */
    floor_init_process,                /* init process */
    NULL,                              /* init thread */
    NULL,                              /* exit thread */
    NULL,                              /* exit process */
    NULL,                              /* exit master */
    NGX_MODULE_V1_PADDING
};


/* what nginx's own build makes beside a module */

ngx_module_t  *ngx_modules[] = { &ngx_http_klaviyo_floor_module, NULL };
char          *ngx_module_names[] = { "ngx_http_klaviyo_floor_module", NULL };
char          *ngx_module_order[] = { NULL };


static void *
floor_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(floor_main_conf_t));
}


static void *
floor_create_loc_conf(ngx_conf_t *cf)
{
    floor_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(floor_loc_conf_t));

    if (conf) {
        conf->on = NGX_CONF_UNSET;
    }

    return conf;
}


static char *
floor_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    floor_loc_conf_t *prev = parent;
    floor_loc_conf_t *conf = child;

    (void) cf;

    ngx_conf_merge_value(conf->on, prev->on, 0);

    return NGX_CONF_OK;
}


static char *
floor_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    floor_main_conf_t *fmcf = conf;

    ngx_str_t  *value;

    (void) cmd;

    value = cf->args->elts;

    fmcf->path = value[1];
    fmcf->size = ngx_parse_size(&value[2]);

    return fmcf->size == (size_t) NGX_ERROR ? "invalid value" : NGX_CONF_OK;
}


static char *
floor_event(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    floor_loc_conf_t *flcf = conf;

    (void) cf;
    (void) cmd;

    flcf->on = 1;

    return NGX_CONF_OK;
}


static ngx_int_t
floor_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = floor_handler;

    return NGX_OK;
}


static ngx_int_t
floor_init_process(ngx_cycle_t *cycle)
{
    char                   error[KLAVIYO_RING_ERROR_MAX];
    char                   note[KLAVIYO_RING_ERROR_MAX];
    floor_main_conf_t     *fmcf;
    klaviyo_ring_conf_t    conf;
    klaviyo_ring_pages_t   pages;

    fmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_klaviyo_floor_module);

    if (fmcf == NULL || fmcf->size == 0) {
        return NGX_OK;
    }

    ngx_memzero(&conf, sizeof(klaviyo_ring_conf_t));

    conf.path = (char *) fmcf->path.data;
    conf.size = fmcf->size;
    conf.drop_oldest = 1;

    if (klaviyo_ring_attach(&fmcf->ring, &conf, error, note)
        != KLAVIYO_RING_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "%s", error);
        return NGX_ERROR;
    }

    if (klaviyo_ring_pages(fmcf->ring, fmcf->size, &pages)) {
        klaviyo_ring_pages_make(&pages);
    }

    ngx_memset(floor_profile, 'x', FLOOR_PROFILE);

    floor_metric = strstr(floor_text, "\"metric\"") - floor_text;

    return NGX_OK;
}


static ngx_int_t
floor_handler(ngx_http_request_t *r)
{
    klaviyo_event_t     event;
    floor_loc_conf_t   *flcf;
    floor_main_conf_t  *fmcf;

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_floor_module);

    if (!flcf->on) {
        return NGX_OK;
    }

    fmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_floor_module);

    event.profile = floor_profile;
    event.profile_len = FLOOR_PROFILE;
    event.attributes = (const uint8_t *) floor_text;
    event.attributes_len = sizeof(floor_text) - 1;
    event.unique_id = event.attributes + sizeof(floor_text) - 1 - 37;
    event.unique_id_len = 36;
    event.metric = floor_metric;
    event.time = 0;

    (void) klaviyo_ring_append(fmcf->ring, &event);

    return NGX_OK;
}

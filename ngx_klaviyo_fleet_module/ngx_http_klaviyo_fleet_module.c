/*
 * The entry of ngx_http_klaviyo_fleet_module: the directive klaviyo_fleet, and
 * how it and ngx_http_klaviyo_module find each other.  What they know of each
 * other stands in account/ngx_http_klaviyo_fleet.h.
 */


#include "ngx_http_klaviyo_fleet_conf.h"
#include "ngx_http_klaviyo_fleet_limits.h"
#include "ngx_http_klaviyo_fleet_queue.h"

#if (NGX_LINUX)
#include <dlfcn.h>
#endif


static ngx_int_t ngx_http_klaviyo_fleet_preconfiguration(ngx_conf_t *cf);
static void *ngx_http_klaviyo_fleet_create_main_conf(ngx_conf_t *cf);
static ngx_int_t ngx_http_klaviyo_fleet_init_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_klaviyo_fleet_commands[] = {

    { ngx_string("klaviyo_fleet"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_klaviyo_fleet_block,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_klaviyo_fleet_module_ctx = {
    ngx_http_klaviyo_fleet_preconfiguration,  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    ngx_http_klaviyo_fleet_create_main_conf,  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_klaviyo_fleet_module = {
    NGX_MODULE_V1,
    &ngx_http_klaviyo_fleet_module_ctx,    /* module context */
    ngx_http_klaviyo_fleet_commands,       /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_klaviyo_fleet_init_process,   /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* all main configurations are made, and no directive is read yet */

static ngx_int_t
ngx_http_klaviyo_fleet_preconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                            i;
    ngx_module_t                         *module;
    ngx_http_conf_ctx_t                  *ctx;
    ngx_http_klaviyo_fleet_hook_t        *hook;
    ngx_http_klaviyo_fleet_main_conf_t   *fmcf;

    ctx = cf->ctx;

    for (i = 0; cf->cycle->modules[i]; i++) {
        module = cf->cycle->modules[i];

        if (ngx_strcmp(module->name, "ngx_http_klaviyo_module") == 0) {
            break;
        }
    }

    module = cf->cycle->modules[i];

    if (module == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "ngx_http_klaviyo_fleet_module works beside "
                      "ngx_http_klaviyo_module, which is not loaded: add "
                      "\"load_module modules/ngx_http_klaviyo_module.so;\"");
        return NGX_ERROR;
    }

    hook = ctx->main_conf[module->ctx_index];

    if (hook->abi != NGX_HTTP_KLAVIYO_FLEET_ABI
        || ngx_strcmp(hook->version, NGX_HTTP_KLAVIYO_VERSION) != 0)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "ngx_http_klaviyo_fleet_module "
                      NGX_HTTP_KLAVIYO_VERSION " does not fit "
                      "ngx_http_klaviyo_module: install both of one version");
        return NGX_ERROR;
    }

    fmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_klaviyo_fleet_module);

    fmcf->hook = hook;
    hook->ops = &ngx_http_klaviyo_fleet_ops;

    return NGX_OK;
}


static void *
ngx_http_klaviyo_fleet_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_klaviyo_fleet_main_conf_t  *fmcf;

    fmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_fleet_main_conf_t));
    if (fmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&fmcf->fleets, cf->pool, 1,
                       sizeof(ngx_http_klaviyo_fleet_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return fmcf;
}


static ngx_int_t
ngx_http_klaviyo_fleet_init_process(ngx_cycle_t *cycle)
{
#if (NGX_LINUX)
    Dl_info  info;
#endif

    (void) cycle;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    ngx_http_klaviyo_fleet_limits_init_process();
    ngx_http_klaviyo_fleet_queue_init_process();

#if (NGX_LINUX)

    /*
     * A thread that comes back from a name server after the cycle is gone
     * finds its code where it was.
     */

    if (dladdr(&ngx_http_klaviyo_fleet_module, &info) != 0) {
        (void) dlopen(info.dli_fname, RTLD_LAZY|RTLD_NOLOAD|RTLD_NODELETE);
    }

#endif

    return NGX_OK;
}

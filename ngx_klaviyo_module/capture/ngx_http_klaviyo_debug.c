/*
 * klaviyo_debug: the directive, and who is allowed to; what they see is in
 * ngx_http_klaviyo_preview.c.
 */


#include "ngx_http_klaviyo_debug.h"
#include "ngx_http_klaviyo_location.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "json/klaviyo_value.h"
#include "queue/klaviyo_ring_figures.h"


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


ngx_uint_t
ngx_http_klaviyo_debug_is(ngx_http_request_t *r,
    ngx_http_klaviyo_debug_t *debug)
{
    ngx_str_t  value;

    return ngx_http_complex_value(r, &debug->allowed, &value) == NGX_OK
           && !klaviyo_value_is_no(value.data, value.len);
}

/*
 * The block klaviyo_fleet, as the configuration describes it.  Read-only
 * after the configuration is loaded.
 */


#ifndef NGX_HTTP_KLAVIYO_FLEET_CONF_H
#define NGX_HTTP_KLAVIYO_FLEET_CONF_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "account/ngx_http_klaviyo_account.h"

#include "klaviyo_fleet_url.h"


#define NGX_HTTP_KLAVIYO_FLEET_SENTINELS  8


typedef struct {
    ngx_str_t             name;
    ngx_str_t             server;    /* as it was written                    */
    klaviyo_fleet_url_t   url;       /* without sentinels                    */
    ngx_str_t             primary;   /* the name that sentinels know it by   */
    klaviyo_fleet_url_t   sentinel[NGX_HTTP_KLAVIYO_FLEET_SENTINELS];
    ngx_uint_t            sentinels; /* 0: it is asked at `url`              */
    ngx_str_t             user;
    ngx_str_t             password;  /* in pages that no core file has       */
    ngx_msec_t            connect_timeout;
    ngx_msec_t            answer_timeout;
    ngx_str_t             ssl_trusted_certificate;
#if (NGX_SSL)
    ngx_ssl_t            *ssl;       /* NULL: no TLS                         */
#endif
} ngx_http_klaviyo_fleet_conf_t;


typedef struct {
    ngx_array_t                            fleets;  /* of .._fleet_conf_t *  */
    const ngx_http_klaviyo_fleet_hook_t   *hook;    /* of the other module   */
} ngx_http_klaviyo_fleet_main_conf_t;


extern ngx_module_t  ngx_http_klaviyo_fleet_module;


/* the directive klaviyo_fleet; `conf` is the main configuration */
char *ngx_http_klaviyo_fleet_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* NULL: there is none of this name */
ngx_http_klaviyo_fleet_conf_t *ngx_http_klaviyo_fleet_find(
    ngx_http_klaviyo_fleet_main_conf_t *fmcf, ngx_str_t *name);


#endif /* NGX_HTTP_KLAVIYO_FLEET_CONF_H */

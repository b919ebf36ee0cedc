/*
 * The rings of the accounts, from the configuration to the workers.  The
 * master makes what is missing in directories of root's; a child of it that is
 * the workers' user opens and checks the rest; the master keeps descriptors;
 * the workers map them.
 */


#ifndef NGX_HTTP_KLAVIYO_ATTACH_H
#define NGX_HTTP_KLAVIYO_ATTACH_H


#include "ngx_http_klaviyo_account.h"


/*
 * When the configuration of "http" is complete, or, if the workers' user is
 * not known by then, when all of it is.  NGX_ERROR, already logged, refuses
 * the configuration.
 */
ngx_int_t ngx_http_klaviyo_attach(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);
ngx_int_t ngx_http_klaviyo_attach_init_module(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf);

/* in a worker, or whoever uses the rings; NGX_ERROR is already logged */
ngx_int_t ngx_http_klaviyo_attach_enter(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf);

/* in a worker: one of them tells klaviyo-queue where the rings are */
void ngx_http_klaviyo_attach_paths(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_ATTACH_H */

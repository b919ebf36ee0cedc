#ifndef NGX_HTTP_KLAVIYO_TRANSPORT_PROCESS_H
#define NGX_HTTP_KLAVIYO_TRANSPORT_PROCESS_H


#include "ngx_http_klaviyo_transport.h"
#include "ngx_http_klaviyo_transport_private.h"


/* when the configuration is complete: warns of a libcurl that has a fault */
void ngx_http_klaviyo_transport_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);

/* in the worker, once: libcurl's global state, never in the master */
ngx_int_t ngx_http_klaviyo_transport_init_process(ngx_cycle_t *cycle);

/* in exit_process, after every transport was destroyed */
void ngx_http_klaviyo_transport_exit_process(ngx_cycle_t *cycle);

/* libcurl's global state is there */
extern ngx_uint_t  ngx_http_klaviyo_transport_ready;


#endif /* NGX_HTTP_KLAVIYO_TRANSPORT_PROCESS_H */

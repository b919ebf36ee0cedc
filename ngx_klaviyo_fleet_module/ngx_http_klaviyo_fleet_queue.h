/*
 * A connection for the shared queue, of a host that adds or of the one that
 * pulls: the operations that account/ngx_http_klaviyo_fleet.h describes, by
 * the script of klaviyo_fleet_queue_script.h.
 */


#ifndef NGX_HTTP_KLAVIYO_FLEET_QUEUE_H
#define NGX_HTTP_KLAVIYO_FLEET_QUEUE_H


#include "ngx_http_klaviyo_fleet_conf.h"


/* in workers, once: the script's name */
void ngx_http_klaviyo_fleet_queue_init_process(void);

void *ngx_http_klaviyo_fleet_queue_open(void *fleet,
    ngx_http_klaviyo_fleet_queue_t *queue);

/* what was called is sent if the socket takes it */
void ngx_http_klaviyo_fleet_queue_close(void *data);

ngx_int_t ngx_http_klaviyo_fleet_queue_call(void *data,
    ngx_http_klaviyo_fleet_op_e op,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n);


#endif /* NGX_HTTP_KLAVIYO_FLEET_QUEUE_H */

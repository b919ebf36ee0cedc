/*
 * The deliverer: in every worker a candidate for each account, and in the
 * one that holds the account's lease the loop that empties its ring.
 *
 *     each second  lease tried or renewed, ring verified
 *     while held   read → batch → limiter → transport → answer → acknowledge
 *
 * Room delivery.  May include: nginx, account, queue, json, jansson.  Visitors'
 * requests are unknown here, and libcurl is to all but
 * ngx_http_klaviyo_transport*.
 */


#ifndef NGX_HTTP_KLAVIYO_DELIVERER_H
#define NGX_HTTP_KLAVIYO_DELIVERER_H


#include "account/ngx_http_klaviyo_account.h"


/* in workers (and in a single process), not in cache helpers */
ngx_int_t ngx_http_klaviyo_deliverer_init_process(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf);

/* lets go at once: nothing on the network is waited for */
void ngx_http_klaviyo_deliverer_exit_process(ngx_cycle_t *cycle);


#endif /* NGX_HTTP_KLAVIYO_DELIVERER_H */

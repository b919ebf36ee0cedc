/*
 * The limits of a lane, shared with other hosts: the operations that the
 * sender's seam calls, see account/ngx_http_klaviyo_fleet.h.  One connection
 * for each lane, in the worker that delivers it.
 */


#ifndef NGX_HTTP_KLAVIYO_FLEET_LIMITS_H
#define NGX_HTTP_KLAVIYO_FLEET_LIMITS_H


#include "ngx_http_klaviyo_fleet_conf.h"


extern const ngx_http_klaviyo_fleet_ops_t  ngx_http_klaviyo_fleet_ops;


/* in workers, once: the script's name */
void ngx_http_klaviyo_fleet_limits_init_process(void);


#endif /* NGX_HTTP_KLAVIYO_FLEET_LIMITS_H */

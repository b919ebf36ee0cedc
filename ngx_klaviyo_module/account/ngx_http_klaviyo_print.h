#ifndef NGX_HTTP_KLAVIYO_PRINT_H
#define NGX_HTTP_KLAVIYO_PRINT_H


#include "ngx_http_klaviyo_account.h"


/* klaviyo_ring_print_pt; `data` is the account */
int ngx_http_klaviyo_print(const void *data, const uint8_t *uuid,
    klaviyo_ring_print_t *print);

/*
 * In the master, or `nginx -t`: the master process of the nginx that runs with
 * this configuration already, or 0.
 */
ngx_pid_t ngx_http_klaviyo_print_master(ngx_cycle_t *cycle);


#endif /* NGX_HTTP_KLAVIYO_PRINT_H */

/*
 * One end of the shared queue, for who adds to it or delivers from it: the
 * fleet module's operations, and where their figures are.
 */


#ifndef NGX_HTTP_KLAVIYO_FLEET_END_H
#define NGX_HTTP_KLAVIYO_FLEET_END_H


#include "account/ngx_http_klaviyo_account.h"


/* `queue` has the handlers and what they are called with */

typedef struct {
    ngx_http_klaviyo_fleet_queue_t        queue;
    const ngx_http_klaviyo_fleet_ops_t   *ops;
    void                                 *handle;
    ngx_http_klaviyo_fleet_figures_t     *figures;
} ngx_http_klaviyo_fleet_end_t;


/* NGX_ERROR: no memory */
ngx_int_t ngx_http_klaviyo_fleet_end_open(ngx_http_klaviyo_fleet_end_t *end,
    ngx_http_klaviyo_account_t *account, ngx_log_t *log);
void ngx_http_klaviyo_fleet_end_close(ngx_http_klaviyo_fleet_end_t *end);

/* NGX_OK: it is answered, or lost; NGX_BUSY: later */
ngx_int_t ngx_http_klaviyo_fleet_end_call(ngx_http_klaviyo_fleet_end_t *end,
    ngx_http_klaviyo_fleet_op_e op,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n);

/* the answer to HOSTS, for the status */
void ngx_http_klaviyo_fleet_end_hosts(ngx_http_klaviyo_fleet_end_t *end,
    const ngx_http_klaviyo_fleet_value_t *value, ngx_uint_t n);

/* what a queue of this host is called in the fleet; returns its length */
size_t ngx_http_klaviyo_fleet_host(u_char *text, const uint8_t *uuid);


#endif /* NGX_HTTP_KLAVIYO_FLEET_END_H */

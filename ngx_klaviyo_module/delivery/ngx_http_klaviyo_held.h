/*
 * Events of an account that wait for their visitor: the deliverer's worker
 * lets them go, see queue/klaviyo_hold.h.
 */


#ifndef NGX_HTTP_KLAVIYO_HELD_H
#define NGX_HTTP_KLAVIYO_HELD_H


#include "account/ngx_http_klaviyo_account.h"
#include "queue/klaviyo_hold.h"
#include "queue/klaviyo_lease.h"


typedef struct {
    ngx_http_klaviyo_account_t  *account;
    klaviyo_hold_t              *hold;       /* while this worker delivers   */
    klaviyo_lease_t              lease;      /* of the ring of those         */
    uint64_t                     epoch;      /* of the lease, for `hold`     */
    ngx_log_t                   *log;
} ngx_http_klaviyo_held_t;


/* in each worker; nothing is opened */
void ngx_http_klaviyo_held_init(ngx_http_klaviyo_held_t *held,
    ngx_http_klaviyo_account_t *account, ngx_log_t *log);

/* each second in each worker, before the mapped bytes are touched */
void ngx_http_klaviyo_held_verify(ngx_http_klaviyo_held_t *held);

/* each second in the worker that delivers; 1: there is more to do at once */
ngx_uint_t ngx_http_klaviyo_held_run(ngx_http_klaviyo_held_t *held);

/* another process delivers now; idempotent */
void ngx_http_klaviyo_held_close(ngx_http_klaviyo_held_t *held);


#endif /* NGX_HTTP_KLAVIYO_HELD_H */

/*
 * How the account fares, kept by its deliverer: in the ring, where all workers
 * see it, and in the log at "error", where it is seen when nothing else is
 * looked at.
 */


#ifndef NGX_HTTP_KLAVIYO_HEALTH_H
#define NGX_HTTP_KLAVIYO_HEALTH_H


#include "account/ngx_http_klaviyo_account.h"

#include "klaviyo_reply.h"


typedef struct {
    ngx_http_klaviyo_account_t  *account;
    ngx_log_t                   *log;

    klaviyo_health_t             kept;       /* in the ring, when it is put  */
    uint64_t                     lost;       /* so far, to a full queue      */
    ngx_msec_t                   next;       /* look, ngx_current_msec       */
    char                         words[256]; /* of the last failure          */
    unsigned                     dirty:1;
    unsigned                     looked:1;   /* `lost` is known              */
} ngx_http_klaviyo_health_t;


void ngx_http_klaviyo_health_init(ngx_http_klaviyo_health_t *health,
    ngx_http_klaviyo_account_t *account, ngx_log_t *log);

/* of every answer that is no success */
void ngx_http_klaviyo_health_answer(ngx_http_klaviyo_health_t *health,
    klaviyo_answer_t *answer);

/* nothing was accepted: that is no fault of the events */
void ngx_http_klaviyo_health_failed(ngx_http_klaviyo_health_t *health,
    klaviyo_verdict_e verdict, klaviyo_answer_t *answer);

/* something was accepted; 1: that it is well again was logged */
ngx_uint_t ngx_http_klaviyo_health_accepted(ngx_http_klaviyo_health_t *health);

/*
 * Often; once a second it looks at the figures.  `oldest` is the time of the
 * oldest event that waits, 0: not known; `breaker`: it is not closed.  The
 * same results as klaviyo_ring_health_put().
 */
ngx_uint_t ngx_http_klaviyo_health_due(ngx_http_klaviyo_health_t *health);
klaviyo_ring_rc_e ngx_http_klaviyo_health_run(
    ngx_http_klaviyo_health_t *health, uint64_t epoch, int64_t oldest,
    ngx_uint_t breaker);


#endif /* NGX_HTTP_KLAVIYO_HEALTH_H */

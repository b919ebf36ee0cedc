/*
 * The seam between a sender and what it may send: a request to Klaviyo goes
 * when its turn has come.
 *
 * The pause of a 429 and the limiter's windows are those of the key: Klaviyo
 * counts by account and endpoint, whatever happens to a queue.  They live in a
 * shared zone that is named after the key and the lane, which a reload keeps,
 * and are copied into the ring before each request, which a restart and an
 * upgrade keep.
 *
 * An account with `fleet` shares them with other hosts: each turn is asked
 * for.  What the own host sent is counted here all the same, for the time when
 * nobody can be asked.
 */


#ifndef NGX_HTTP_KLAVIYO_LIMITS_H
#define NGX_HTTP_KLAVIYO_LIMITS_H


#include "account/ngx_http_klaviyo_account.h"

#include "klaviyo_limiter.h"


/* when it is known, `wake` is posted */
#define NGX_HTTP_KLAVIYO_LIMITS_ASKED  NGX_HTTP_KLAVIYO_FLEET_ASKED


typedef struct {
    klaviyo_limiter_t               limiter;
    ngx_http_klaviyo_fleet_place_t  place;
} ngx_http_klaviyo_limits_saved_t;


/* times are milliseconds of CLOCK_BOOTTIME */

typedef struct {
    ngx_http_klaviyo_account_t        *account;
    ngx_http_klaviyo_limits_saved_t   *saved;
    int64_t                            paused_until;

    const ngx_http_klaviyo_fleet_ops_t
                                      *ops;
    void                              *shared;   /* the fleet's, or NULL     */
    int64_t                            used[KLAVIYO_LIMITER_N];  /* slots    */
    int64_t                            clock;    /* without the fleet's      */
    ngx_http_klaviyo_fleet_lane_t      lane;
} ngx_http_klaviyo_limits_t;


/* for the status, in shared memory */
ngx_http_klaviyo_fleet_figures_t *ngx_http_klaviyo_limits_figures(
    ngx_http_klaviyo_account_t *account);

/* when the configuration is complete: a zone for each key and lane */
ngx_int_t ngx_http_klaviyo_limits_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);

/*
 * `saved` and `paused_until` are the ring's, as the last deliverer left them.
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_limits_open(ngx_http_klaviyo_limits_t *limits,
    ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_limits_saved_t *saved, int64_t paused_until,
    ngx_event_t *wake, ngx_log_t *log);
void ngx_http_klaviyo_limits_close(ngx_http_klaviyo_limits_t *limits);

/*
 * Brings what is saved, the key's and the fleet's together: afterwards all hold
 * the latest of each.
 */
void ngx_http_klaviyo_limits_sync(ngx_http_klaviyo_limits_t *limits);

/*
 * Milliseconds until a request of this class may go, 0: now, or
 * NGX_HTTP_KLAVIYO_LIMITS_ASKED.  `how` is NGX_HTTP_KLAVIYO_FLEET_LOOK, _TAKE
 * or _NEAR.
 */
int64_t ngx_http_klaviyo_limits_turn(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class, ngx_uint_t how, int64_t now);

/* see klaviyo_limiter_correct() */
void ngx_http_klaviyo_limits_correct(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class, int64_t remaining, int64_t reset,
    int64_t now);

/* nobody asks Klaviyo for so long; the caller saves it in the ring */
void ngx_http_klaviyo_limits_pause(ngx_http_klaviyo_limits_t *limits,
    int64_t ms, int64_t now);


#endif /* NGX_HTTP_KLAVIYO_LIMITS_H */

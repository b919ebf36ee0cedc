/*
 * The pause of a 429 and the limiter's windows are those of the key: Klaviyo
 * counts by account and endpoint, whatever happens to a queue.  They live in a
 * shared zone that is named after the key and the lane, which a reload keeps,
 * and are copied into the ring before each request, which a restart and an
 * upgrade keep.
 */


#ifndef NGX_HTTP_KLAVIYO_LIMITS_H
#define NGX_HTTP_KLAVIYO_LIMITS_H


#include "account/ngx_http_klaviyo_account.h"

#include "klaviyo_limiter.h"


/* when the configuration is complete: a zone for each key and lane */
ngx_int_t ngx_http_klaviyo_limits_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);

/*
 * Brings the caller's memory and the key's together: afterwards both hold the
 * later of either.  Times are milliseconds of CLOCK_BOOTTIME.
 */
void ngx_http_klaviyo_limits_sync(ngx_http_klaviyo_account_t *account,
    int64_t *paused_until, klaviyo_limiter_t *limiter);


#endif /* NGX_HTTP_KLAVIYO_LIMITS_H */

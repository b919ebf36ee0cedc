#ifndef NGX_HTTP_KLAVIYO_RETRY_AFTER_H
#define NGX_HTTP_KLAVIYO_RETRY_AFTER_H


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * A Retry-After in seconds, which may have a fraction: rounded up, at most a
 * billion.  A date is the time until then, 0 if it has passed.  -1: neither.
 */
int64_t ngx_http_klaviyo_retry_after(ngx_str_t *value);

/* a whole number, at most a billion; -1: it is none */
int64_t ngx_http_klaviyo_whole(ngx_str_t *value);


#endif /* NGX_HTTP_KLAVIYO_RETRY_AFTER_H */

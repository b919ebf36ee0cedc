/*
 * Private to capture/: what an application sends and nobody can use.  It is
 * counted each time, and told once a minute.
 */


#ifndef NGX_HTTP_KLAVIYO_WARN_H
#define NGX_HTTP_KLAVIYO_WARN_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef enum {
    NGX_HTTP_KLAVIYO_WARN_TIME = 0,
    NGX_HTTP_KLAVIYO_WARN_AMOUNT,
    NGX_HTTP_KLAVIYO_WARN_CURRENCY,
    NGX_HTTP_KLAVIYO_WARN_DOMAIN,
    NGX_HTTP_KLAVIYO_WARN_BODY,
    NGX_HTTP_KLAVIYO_WARN_SOURCE,
    NGX_HTTP_KLAVIYO_WARN_FORM,
    NGX_HTTP_KLAVIYO_WARN_CLAIM,
    NGX_HTTP_KLAVIYO_WARN_PROFILE,
    NGX_HTTP_KLAVIYO_WARN_EVENTS,
    NGX_HTTP_KLAVIYO_WARN_N
} ngx_http_klaviyo_warn_e;


/*
 * At most one line a minute for each cause and worker, with how many were
 * held back: `text`, without a full stop, about the value, which is cut and
 * has its control characters replaced.  The log's context names the request.
 */
void ngx_http_klaviyo_warn(ngx_http_request_t *r,
    ngx_http_klaviyo_warn_e cause, ngx_str_t *value, const char *text);


#endif /* NGX_HTTP_KLAVIYO_WARN_H */

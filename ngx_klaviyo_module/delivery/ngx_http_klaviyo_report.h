/*
 * Messages about the far end: when it is down they repeat, so each cause is
 * logged at most once a minute, with how many were held back.
 */


#ifndef NGX_HTTP_KLAVIYO_REPORT_H
#define NGX_HTTP_KLAVIYO_REPORT_H


#include "account/ngx_http_klaviyo_account.h"


typedef enum {
    NGX_HTTP_KLAVIYO_REPORT_REFUSED = 0,
    NGX_HTTP_KLAVIYO_REPORT_THROTTLED,
    NGX_HTTP_KLAVIYO_REPORT_PASSING,
    NGX_HTTP_KLAVIYO_REPORT_AGAIN,
    NGX_HTTP_KLAVIYO_REPORT_EXPIRED,
    NGX_HTTP_KLAVIYO_REPORT_CORRUPT,
    NGX_HTTP_KLAVIYO_REPORT_MEMORY,
    NGX_HTTP_KLAVIYO_REPORT_SPOOL,
    NGX_HTTP_KLAVIYO_REPORT_SPOOL_FULL,
    NGX_HTTP_KLAVIYO_REPORT_SPOOL_LOST,
    NGX_HTTP_KLAVIYO_REPORT_DEAD_LETTER,
    NGX_HTTP_KLAVIYO_REPORT_BREAKER,
    NGX_HTTP_KLAVIYO_REPORT_PASS_BUSY,
    NGX_HTTP_KLAVIYO_REPORT_PASS_TIMEOUT,
    NGX_HTTP_KLAVIYO_REPORT_PASS_BROKEN,
    NGX_HTTP_KLAVIYO_REPORT_PASS_KEY,
    NGX_HTTP_KLAVIYO_REPORT_ASIDE,
    NGX_HTTP_KLAVIYO_REPORT_FLEET,
    NGX_HTTP_KLAVIYO_REPORT_FLEET_FULL,
    NGX_HTTP_KLAVIYO_REPORT_N
} ngx_http_klaviyo_cause_e;


typedef struct {
    ngx_str_t   *account;        /* its name, to begin each line with        */
    ngx_log_t   *log;

    struct {
        ngx_msec_t  last;        /* when it was told                         */
        ngx_uint_t  held;        /* back since then                          */
        ngx_uint_t  told;
    } cause[NGX_HTTP_KLAVIYO_REPORT_N];
} ngx_http_klaviyo_report_t;


/* `text` is NUL-terminated, without a full stop */
void ngx_http_klaviyo_report(ngx_http_klaviyo_report_t *report,
    ngx_uint_t level, ngx_http_klaviyo_cause_e cause, const char *text);

#endif /* NGX_HTTP_KLAVIYO_REPORT_H */

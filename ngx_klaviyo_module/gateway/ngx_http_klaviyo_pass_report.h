#ifndef NGX_HTTP_KLAVIYO_PASS_REPORT_H
#define NGX_HTTP_KLAVIYO_PASS_REPORT_H


#include "ngx_http_klaviyo_pass_private.h"


/* at the level "error", at most once a minute for each cause */
void ngx_http_klaviyo_pass_report(ngx_http_klaviyo_pass_ctx_t *ctx,
    ngx_http_klaviyo_cause_e cause, const char *text);

void ngx_http_klaviyo_pass_count(ngx_http_klaviyo_pass_ctx_t *ctx,
    klaviyo_counter_e counter);


#endif /* NGX_HTTP_KLAVIYO_PASS_REPORT_H */

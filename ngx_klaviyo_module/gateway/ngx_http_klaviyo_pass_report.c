/*
 * What the gateway logs and counts of a request.
 */


#include "ngx_http_klaviyo_pass_report.h"
#include "queue/klaviyo_ring_figures.h"


void
ngx_http_klaviyo_pass_report(ngx_http_klaviyo_pass_ctx_t *ctx,
    ngx_http_klaviyo_cause_e cause, const char *text)
{
    u_char                      line[NGX_MAX_ERROR_STR / 2];
    ngx_http_klaviyo_report_t  *report;

    report = &ctx->gate->report;
    report->log = ctx->request->connection->log;

    ngx_snprintf(line, sizeof(line), "klaviyo_pass: %s%Z", text);
    line[sizeof(line) - 1] = '\0';

    ngx_http_klaviyo_report(report, NGX_LOG_ERR, cause, (char *) line);
}


void
ngx_http_klaviyo_pass_count(ngx_http_klaviyo_pass_ctx_t *ctx,
    klaviyo_counter_e counter)
{
    klaviyo_ring_count(ctx->pass->account->ring, counter, 1);
}

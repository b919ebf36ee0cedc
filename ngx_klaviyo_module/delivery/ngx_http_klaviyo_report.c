/*
 * At most one line a minute for each cause.
 */


#include "ngx_http_klaviyo_report.h"


#define NGX_HTTP_KLAVIYO_REPORT_TIME  60


void
ngx_http_klaviyo_report(ngx_http_klaviyo_report_t *report, ngx_uint_t level,
    ngx_http_klaviyo_cause_e cause, const char *text)
{
    time_t      now;
    ngx_uint_t  held;

    now = ngx_current_msec / 1000;

    if (now < report->cause[cause].next) {
        report->cause[cause].held++;
        return;
    }

    held = report->cause[cause].held;

    report->cause[cause].next = now + NGX_HTTP_KLAVIYO_REPORT_TIME;
    report->cause[cause].held = 0;

    if (held) {
        ngx_log_error(level, report->log, 0,
                      "klaviyo account \"%V\": %s (and %ui more like this)",
                      report->account, text, held);
        return;
    }

    ngx_log_error(level, report->log, 0, "klaviyo account \"%V\": %s",
                  report->account, text);
}


void
ngx_http_klaviyo_report_clear(ngx_http_klaviyo_report_t *report,
    ngx_http_klaviyo_cause_e cause)
{
    report->cause[cause].next = 0;
    report->cause[cause].held = 0;
}

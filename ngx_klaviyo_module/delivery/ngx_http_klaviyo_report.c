/*
 * At most one line a minute for each cause.
 */


#include "ngx_http_klaviyo_report.h"


#define NGX_HTTP_KLAVIYO_REPORT_TIME  60000   /* ms */


void
ngx_http_klaviyo_report(ngx_http_klaviyo_report_t *report, ngx_uint_t level,
    ngx_http_klaviyo_cause_e cause, const char *text)
{
    ngx_uint_t  held;

    if (report->cause[cause].told
        && ngx_current_msec - report->cause[cause].last
           < NGX_HTTP_KLAVIYO_REPORT_TIME)
    {
        report->cause[cause].held++;
        return;
    }

    held = report->cause[cause].held;

    report->cause[cause].told = 1;
    report->cause[cause].last = ngx_current_msec;
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

/*
 * status: the figures in Prometheus' text format, version 0.0.4.
 *
 *     # HELP nginx_klaviyo_events_lost_total Events that were lost.
 *     # TYPE nginx_klaviyo_events_lost_total counter
 *     nginx_klaviyo_events_lost_total{account="shop",reason="corrupt"} 0
 *
 * A family stands together, with all its accounts.  A sum over a group is
 * none: who reads it adds the family up.
 */


#include "ngx_http_klaviyo_status_figures.h"
#include "ngx_http_klaviyo_status_prometheus.h"

#include "klaviyo_escape.h"
#include "ngx_http_klaviyo_status_table.h"
#include "queue/klaviyo_ring_totals.h"


#define NGX_HTTP_KLAVIYO_STATUS_HEAD    512  /* of the whole                 */
#define NGX_HTTP_KLAVIYO_STATUS_FAMILY  320  /* of HELP and TYPE             */
#define NGX_HTTP_KLAVIYO_STATUS_LINE    160  /* of a figure without account  */

#define NGX_HTTP_KLAVIYO_STATUS_PREFIX  "nginx_klaviyo_"


static const ngx_http_klaviyo_status_row_t *
    ngx_http_klaviyo_status_prometheus_next(
    const ngx_http_klaviyo_status_row_t *row);
static void ngx_http_klaviyo_status_prometheus_family(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status,
    const ngx_http_klaviyo_status_row_t *row,
    const ngx_http_klaviyo_status_row_t *next);
static void ngx_http_klaviyo_status_prometheus_head(klaviyo_json_t *out,
    const ngx_http_klaviyo_status_row_t *row);
static void ngx_http_klaviyo_status_prometheus_figure(klaviyo_json_t *out,
    ngx_str_t *account, ngx_http_klaviyo_status_figure_t *figure);
static void ngx_http_klaviyo_status_prometheus_name(klaviyo_json_t *out,
    const ngx_http_klaviyo_status_row_t *row);


/* by klaviyo_histogram_e */

typedef struct {
    const char  *name;
    const char  *help;
    ngx_uint_t   seconds;            /* it is kept in ms                     */
} ngx_http_klaviyo_status_histogram_t;


static void ngx_http_klaviyo_status_prometheus_metrics(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status);
static void ngx_http_klaviyo_status_prometheus_hosts(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status, const char *family, const char *help,
    size_t offset);
static void ngx_http_klaviyo_status_prometheus_histogram(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status, ngx_uint_t n);
static void ngx_http_klaviyo_status_prometheus_part(klaviyo_json_t *out,
    ngx_str_t *account, const char *name, const char *suffix);
static void ngx_http_klaviyo_status_prometheus_unit(klaviyo_json_t *out,
    uint64_t n, ngx_uint_t seconds);


static const ngx_http_klaviyo_status_histogram_t
    ngx_http_klaviyo_status_histograms[] = {
    { NGX_HTTP_KLAVIYO_STATUS_PREFIX "delivery_batch_events",
      "Events in a request to Klaviyo", 0 },
    { NGX_HTTP_KLAVIYO_STATUS_PREFIX "delivery_request_duration_seconds",
      "How long Klaviyo took to answer a request that carried events", 1 },
    { NGX_HTTP_KLAVIYO_STATUS_PREFIX "delivery_delay_seconds",
      "How long after its capture an event was accepted", 1 }
};


static const char *const  ngx_http_klaviyo_status_suffixes[] = {
    "_total",                                  /* counter */
    "",                                        /* gauge */
    "_bytes",
    "_seconds",
    "_timestamp_seconds",
    "_pid",
    ""                                         /* state */
};


size_t
ngx_http_klaviyo_status_prometheus_size(ngx_http_klaviyo_status_t *status)
{
    size_t                                size;
    ngx_uint_t                            i;
    ngx_http_klaviyo_status_account_t    *account;
    const ngx_http_klaviyo_status_row_t  *row;

    size = NGX_HTTP_KLAVIYO_STATUS_HEAD
           + (KLAVIYO_HISTOGRAM_N + 3) * NGX_HTTP_KLAVIYO_STATUS_FAMILY;

    for (row = ngx_http_klaviyo_status_rows; row->group; row++) {
        size += NGX_HTTP_KLAVIYO_STATUS_FAMILY;
    }

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];

        size += account->n * (NGX_HTTP_KLAVIYO_STATUS_LINE
                              + klaviyo_escape_size(account->name->len));

        size += (KLAVIYO_HISTOGRAM_N * (KLAVIYO_BOUNDS_MAX + 3)
                 + account->reading->metrics)
                * (NGX_HTTP_KLAVIYO_STATUS_LINE
                   + klaviyo_escape_size(account->name->len));
        size += account->reading->metrics
                * klaviyo_escape_size(KLAVIYO_METRIC_NAME);

        size += 2 * account->reading->fleet.nlist
                * (NGX_HTTP_KLAVIYO_STATUS_LINE
                   + klaviyo_escape_size(NGX_HTTP_KLAVIYO_FLEET_HOST)
                   + klaviyo_escape_size(account->name->len));
    }

    return size;
}


void
ngx_http_klaviyo_status_prometheus(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status)
{
    ngx_uint_t                            i;
    const ngx_http_klaviyo_status_row_t  *row, *next;

    klaviyo_json_literal(out,
        "# HELP " NGX_HTTP_KLAVIYO_STATUS_PREFIX "info"
        " The versions of the module and of nginx.\n"
        "# TYPE " NGX_HTTP_KLAVIYO_STATUS_PREFIX "info gauge\n"
        NGX_HTTP_KLAVIYO_STATUS_PREFIX "info"
        "{version=\"" NGX_HTTP_KLAVIYO_VERSION
        "\",nginx=\"" NGINX_VERSION "\"} 1\n");

    for (row = ngx_http_klaviyo_status_rows; row->group; row = next) {
        next = ngx_http_klaviyo_status_prometheus_next(row);

        if (row->family) {
            ngx_http_klaviyo_status_prometheus_family(out, status, row, next);
        }
    }

    ngx_http_klaviyo_status_prometheus_metrics(out, status);

    ngx_http_klaviyo_status_prometheus_hosts(out, status,
        "fleet_host_age_seconds",
        "How long ago a host that adds to the shared queue was heard of.",
        offsetof(ngx_http_klaviyo_fleet_host_t, age));

    ngx_http_klaviyo_status_prometheus_hosts(out, status,
        "fleet_host_events_left",
        "Events of a host that wait in the shared queue.",
        offsetof(ngx_http_klaviyo_fleet_host_t, left));

    for (i = 0; i < KLAVIYO_HISTOGRAM_N; i++) {
        ngx_http_klaviyo_status_prometheus_histogram(out, status, i);
    }
}


static void
ngx_http_klaviyo_status_prometheus_metrics(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status)
{
    ngx_uint_t                          i, k;
    const klaviyo_metric_t             *metric;
    ngx_http_klaviyo_status_account_t  *account;

    klaviyo_json_literal(out,
        "# HELP " NGX_HTTP_KLAVIYO_STATUS_PREFIX
        "metric_events_captured_total Events that requests produced, by "
        "their metric.\n"
        "# TYPE " NGX_HTTP_KLAVIYO_STATUS_PREFIX
        "metric_events_captured_total counter\n");

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];

        for (k = 0; k < account->reading->metrics; k++) {
            metric = &account->reading->metric[k];

            klaviyo_json_literal(out, NGX_HTTP_KLAVIYO_STATUS_PREFIX
                                      "metric_events_captured_total{account"
                                      "=\"");
            klaviyo_escape_label(out, account->name->data, account->name->len);
            klaviyo_json_literal(out, "\",metric=\"");
            klaviyo_escape_label(out, metric->name, ngx_strlen(metric->name));
            klaviyo_json_literal(out, "\"} ");
            klaviyo_json_uint(out, metric->captured);
            klaviyo_json_literal(out, "\n");
        }
    }
}


/* only where there are any */

static void
ngx_http_klaviyo_status_prometheus_hosts(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status, const char *family, const char *help,
    size_t offset)
{
    uint64_t                            value;
    ngx_uint_t                          i, k, n;
    ngx_http_klaviyo_fleet_host_t      *host;
    ngx_http_klaviyo_status_account_t  *account;

    n = 0;

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];

        for (k = 0; k < account->reading->fleet.nlist; k++) {
            host = &account->reading->fleet.list[k];

            if (n++ == 0) {
                klaviyo_json_literal(out, "# HELP "
                                          NGX_HTTP_KLAVIYO_STATUS_PREFIX);
                ngx_http_klaviyo_status_text(out, family);
                klaviyo_json_literal(out, " ");
                ngx_http_klaviyo_status_text(out, help);
                klaviyo_json_literal(out, "\n# TYPE "
                                          NGX_HTTP_KLAVIYO_STATUS_PREFIX);
                ngx_http_klaviyo_status_text(out, family);
                klaviyo_json_literal(out, " gauge\n");
            }

            ngx_memcpy(&value, (u_char *) host + offset, sizeof(uint64_t));

            klaviyo_json_literal(out, NGX_HTTP_KLAVIYO_STATUS_PREFIX);
            ngx_http_klaviyo_status_text(out, family);
            klaviyo_json_literal(out, "{account=\"");
            klaviyo_escape_label(out, account->name->data, account->name->len);
            klaviyo_json_literal(out, "\",host=\"");
            klaviyo_escape_label(out, host->name, host->len);
            klaviyo_json_literal(out, "\"} ");
            klaviyo_json_uint(out, value);
            klaviyo_json_literal(out, "\n");
        }
    }
}


static void
ngx_http_klaviyo_status_prometheus_histogram(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status, ngx_uint_t n)
{
    uint64_t                                  sum;
    ngx_uint_t                                i, k;
    ngx_http_klaviyo_status_account_t        *account;
    const klaviyo_bounds_t                   *bounds;
    const klaviyo_histogram_t                *read;
    const ngx_http_klaviyo_status_histogram_t  *histogram;

    histogram = &ngx_http_klaviyo_status_histograms[n];
    bounds = &klaviyo_bounds[n];

    klaviyo_json_literal(out, "# HELP ");
    ngx_http_klaviyo_status_text(out, histogram->name);
    klaviyo_json_literal(out, " ");
    ngx_http_klaviyo_status_text(out, histogram->help);
    klaviyo_json_literal(out, ".\n# TYPE ");
    ngx_http_klaviyo_status_text(out, histogram->name);
    klaviyo_json_literal(out, " histogram\n");

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];
        read = &account->reading->histogram[n];
        sum = 0;

        for (k = 0; k <= bounds->bounds; k++) {
            sum += read->count[k];

            ngx_http_klaviyo_status_prometheus_part(out, account->name,
                                                    histogram->name,
                                                    "_bucket");
            klaviyo_json_literal(out, ",le=\"");

            if (k < bounds->bounds) {
                ngx_http_klaviyo_status_prometheus_unit(out, bounds->bound[k],
                                                        histogram->seconds);

            } else {
                klaviyo_json_literal(out, "+Inf");
            }

            klaviyo_json_literal(out, "\"} ");
            klaviyo_json_uint(out, sum);
            klaviyo_json_literal(out, "\n");
        }

        ngx_http_klaviyo_status_prometheus_part(out, account->name,
                                                histogram->name, "_sum");
        klaviyo_json_literal(out, "} ");
        ngx_http_klaviyo_status_prometheus_unit(out, read->sum,
                                                histogram->seconds);
        klaviyo_json_literal(out, "\n");

        ngx_http_klaviyo_status_prometheus_part(out, account->name,
                                                histogram->name, "_count");
        klaviyo_json_literal(out, "} ");
        klaviyo_json_uint(out, sum);
        klaviyo_json_literal(out, "\n");
    }
}


static void
ngx_http_klaviyo_status_prometheus_part(klaviyo_json_t *out,
    ngx_str_t *account, const char *name, const char *suffix)
{
    ngx_http_klaviyo_status_text(out, name);
    ngx_http_klaviyo_status_text(out, suffix);
    klaviyo_json_literal(out, "{account=\"");
    klaviyo_escape_label(out, account->data, account->len);
    klaviyo_json_literal(out, "\"");
}


/* as it is, or ms as seconds */

static void
ngx_http_klaviyo_status_prometheus_unit(klaviyo_json_t *out, uint64_t n,
    ngx_uint_t seconds)
{
    u_char  buf[NGX_INT64_LEN + sizeof(".000")], *p;

    if (!seconds) {
        klaviyo_json_uint(out, n);
        return;
    }

    p = ngx_sprintf(buf, "%uL.%03d", n / 1000, (int) (n % 1000));

    while (p[-1] == '0') {
        p--;
    }

    if (p[-1] == '.') {
        p--;
    }

    klaviyo_json_raw(out, buf, p - buf);
}


/* where the next family begins */

static const ngx_http_klaviyo_status_row_t *
ngx_http_klaviyo_status_prometheus_next(
    const ngx_http_klaviyo_status_row_t *row)
{
    const ngx_http_klaviyo_status_row_t  *next;

    for (next = row + 1; next->family && row->family; next++) {
        if (ngx_strcmp(next->family, row->family) != 0) {
            break;
        }
    }

    return next;
}


static void
ngx_http_klaviyo_status_prometheus_family(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status,
    const ngx_http_klaviyo_status_row_t *row,
    const ngx_http_klaviyo_status_row_t *next)
{
    ngx_uint_t                          i, n;
    ngx_http_klaviyo_status_figure_t   *figure;
    ngx_http_klaviyo_status_account_t  *account;

    n = 0;

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];

        for ( /* void */ ; account->written < account->n; account->written++) {
            figure = &account->figure[account->written];

            if (figure->row >= next) {
                break;
            }

            if (figure->row < row) {
                continue;
            }

            if (n++ == 0) {
                ngx_http_klaviyo_status_prometheus_head(out, row);
            }

            ngx_http_klaviyo_status_prometheus_figure(out, account->name,
                                                      figure);
        }
    }
}


static void
ngx_http_klaviyo_status_prometheus_head(klaviyo_json_t *out,
    const ngx_http_klaviyo_status_row_t *row)
{
    klaviyo_json_literal(out, "# HELP ");
    ngx_http_klaviyo_status_prometheus_name(out, row);
    klaviyo_json_literal(out, " ");
    ngx_http_klaviyo_status_text(out, row->help);
    klaviyo_json_literal(out, ".\n# TYPE ");
    ngx_http_klaviyo_status_prometheus_name(out, row);

    if (row->kind == NGX_HTTP_KLAVIYO_STATUS_COUNTER) {
        klaviyo_json_literal(out, " counter\n");

    } else {
        klaviyo_json_literal(out, " gauge\n");
    }
}


static void
ngx_http_klaviyo_status_prometheus_figure(klaviyo_json_t *out,
    ngx_str_t *account, ngx_http_klaviyo_status_figure_t *figure)
{
    ngx_http_klaviyo_status_prometheus_name(out, figure->row);

    klaviyo_json_literal(out, "{account=\"");
    klaviyo_escape_label(out, account->data, account->len);
    klaviyo_json_literal(out, "\"");

    if (figure->row->label) {
        klaviyo_json_literal(out, ",");
        ngx_http_klaviyo_status_text(out, figure->row->label);
        klaviyo_json_literal(out, "=\"");
        klaviyo_escape_label(out, figure->name, ngx_strlen(figure->name));
        klaviyo_json_literal(out, "\"");
    }

    klaviyo_json_literal(out, "} ");
    klaviyo_json_uint(out, figure->value);
    klaviyo_json_literal(out, "\n");
}


static void
ngx_http_klaviyo_status_prometheus_name(klaviyo_json_t *out,
    const ngx_http_klaviyo_status_row_t *row)
{
    klaviyo_json_literal(out, NGX_HTTP_KLAVIYO_STATUS_PREFIX);
    ngx_http_klaviyo_status_text(out, row->family);
    ngx_http_klaviyo_status_text(out,
                                 ngx_http_klaviyo_status_suffixes[row->kind]);
}

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


#include "ngx_http_klaviyo_status_private.h"

#include "klaviyo_escape.h"


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

    size = NGX_HTTP_KLAVIYO_STATUS_HEAD;

    for (row = ngx_http_klaviyo_status_rows; row->group; row++) {
        size += NGX_HTTP_KLAVIYO_STATUS_FAMILY;
    }

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];

        size += account->n * (NGX_HTTP_KLAVIYO_STATUS_LINE
                              + klaviyo_escape_size(account->name->len));
    }

    return size;
}


void
ngx_http_klaviyo_status_prometheus(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status)
{
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
    ngx_uint_t                          i, j, n;
    ngx_http_klaviyo_status_figure_t   *figure;
    ngx_http_klaviyo_status_account_t  *account;

    n = 0;

    for (i = 0; i < status->n; i++) {
        account = &status->account[i];

        for (j = 0; j < account->n; j++) {
            figure = &account->figure[j];

            if (figure->row < row || figure->row >= next) {
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

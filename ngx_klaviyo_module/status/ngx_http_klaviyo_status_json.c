/*
 * status: the figures as JSON.
 *
 *     {"version": ..., "nginx": ..., "accounts": {"<name>": {
 *         "captured": n, "delivered": n, "dry_run": n, "dead": n, "lost": n,
 *         "handed_over": n, "queued": n,
 *         "reasons": {"dead": {...}, "lost": {...}, "skipped": {...},
 *                     "left_out": {...}, "changed": {...}},
 *         "requests": {...}, "replies": {...},
 *         "delivery": {"deliverer": pid, "paused_for": s, ...},
 *         "queue": {"size": bytes, "used": bytes, "attached": bool},
 *         "spool": {"events": n, "size": bytes, "bytes_used": bytes, ...},
 *         "dead_letters": {"written": n, ...},
 *         "metrics": {"Placed Order": {"captured": n, "last_hour": n}, ...},
 *         "fleet_hosts": {"web1:...": {"age": s, "left": n}, ...},
 *         "hold": {"held": n, "waiting": n, "released": n, "expired": n,
 *                  "lost": n, "size": bytes, ...}}}}
 *
 * captured = delivered + dry_run + dead + lost + handed_over + queued in every
 * answer, and held = waiting + released + expired + lost.  What waits is not
 * captured before it is released.  Events in the spool are queued.  Without
 * `hold`
 * there is no "hold", and so with the spool and the dead letters.
 */


#include "ngx_http_klaviyo_status_figures.h"
#include "ngx_http_klaviyo_status_json.h"


#define NGX_HTTP_KLAVIYO_STATUS_HEAD     256
#define NGX_HTTP_KLAVIYO_STATUS_ACCOUNT  10240
#define NGX_HTTP_KLAVIYO_STATUS_METRIC   \
    (klaviyo_json_string_size(KLAVIYO_METRIC_NAME) + 80)
#define NGX_HTTP_KLAVIYO_STATUS_FLEET_HOST   \
    (klaviyo_json_string_size(NGX_HTTP_KLAVIYO_FLEET_HOST) + 80)


static void ngx_http_klaviyo_status_json_account(klaviyo_json_t *json,
    ngx_http_klaviyo_status_account_t *account);
static void ngx_http_klaviyo_status_json_hosts(klaviyo_json_t *json,
    ngx_http_klaviyo_fleet_figures_t *fleet);
static ngx_uint_t ngx_http_klaviyo_status_json_reason(
    const ngx_http_klaviyo_status_row_t *row);
static void ngx_http_klaviyo_status_json_name(klaviyo_json_t *json,
    const char *name);


size_t
ngx_http_klaviyo_status_json_size(ngx_http_klaviyo_status_t *status)
{
    return NGX_HTTP_KLAVIYO_STATUS_HEAD
           + status->n * (NGX_HTTP_KLAVIYO_STATUS_ACCOUNT
                          + (KLAVIYO_METRICS + 1)
                            * NGX_HTTP_KLAVIYO_STATUS_METRIC
                          + NGX_HTTP_KLAVIYO_FLEET_HOSTS
                            * NGX_HTTP_KLAVIYO_STATUS_FLEET_HOST);
}


void
ngx_http_klaviyo_status_json(klaviyo_json_t *json,
    ngx_http_klaviyo_status_t *status)
{
    ngx_uint_t  i;

    klaviyo_json_literal(json, "{\"version\":\"" NGX_HTTP_KLAVIYO_VERSION
                               "\",\"nginx\":\"" NGINX_VERSION
                               "\",\"accounts\":{");

    for (i = 0; i < status->n; i++) {
        if (i) {
            klaviyo_json_literal(json, ",");
        }

        ngx_http_klaviyo_status_json_account(json, &status->account[i]);
    }

    klaviyo_json_literal(json, "}}\n");
}


static void
ngx_http_klaviyo_status_json_account(klaviyo_json_t *json,
    ngx_http_klaviyo_status_account_t *account)
{
    const char                        *group;
    ngx_str_t                         *name;
    ngx_uint_t                         i, reason;
    const klaviyo_metric_t            *metric;
    ngx_http_klaviyo_status_figure_t  *figure;

    name = account->name;

    klaviyo_json_string(json, name->data, name->len, name->len);
    klaviyo_json_literal(json, ":{");

    group = "";
    reason = 0;

    for (i = 0; i < account->n; i++) {
        figure = &account->figure[i];

        if (ngx_strcmp(figure->row->group, group) != 0) {

            if (*group) {
                klaviyo_json_literal(json, "}");
            }

            group = figure->row->group;

            if (reason
                && !ngx_http_klaviyo_status_json_reason(figure->row))
            {
                reason = 0;
                klaviyo_json_literal(json, "}");
            }

            klaviyo_json_literal(json, ",");

            if (!reason && ngx_http_klaviyo_status_json_reason(figure->row)) {
                reason = 1;
                klaviyo_json_literal(json, "\"reasons\":{");
            }

            ngx_http_klaviyo_status_json_name(json, group);
            klaviyo_json_literal(json, "{");

        } else if (i) {
            klaviyo_json_literal(json, ",");
        }

        ngx_http_klaviyo_status_json_name(json, figure->name);

        if (figure->row->kind != NGX_HTTP_KLAVIYO_STATUS_STATE) {
            klaviyo_json_uint(json, figure->value);

        } else if (figure->value) {
            klaviyo_json_literal(json, "true");

        } else {
            klaviyo_json_literal(json, "false");
        }
    }

    klaviyo_json_literal(json, "},\"metrics\":{");

    for (i = 0; i < account->reading->metrics; i++) {
        metric = &account->reading->metric[i];

        if (i) {
            klaviyo_json_literal(json, ",");
        }

        klaviyo_json_string(json, (const uint8_t *) metric->name,
                            ngx_strlen(metric->name), KLAVIYO_METRIC_NAME);
        klaviyo_json_literal(json, ":{\"captured\":");
        klaviyo_json_uint(json, metric->captured);
        klaviyo_json_literal(json, ",\"last_hour\":");
        klaviyo_json_uint(json, metric->hour);
        klaviyo_json_literal(json, "}");
    }

    ngx_http_klaviyo_status_json_hosts(json, &account->reading->fleet);

    klaviyo_json_literal(json, "}}");
}


static void
ngx_http_klaviyo_status_json_hosts(klaviyo_json_t *json,
    ngx_http_klaviyo_fleet_figures_t *fleet)
{
    ngx_uint_t                      i;
    ngx_http_klaviyo_fleet_host_t  *host;

    for (i = 0; i < fleet->nlist; i++) {
        host = &fleet->list[i];

        if (i == 0) {
            klaviyo_json_literal(json, "},\"fleet_hosts\":{");

        } else {
            klaviyo_json_literal(json, ",");
        }

        klaviyo_json_string(json, host->name, host->len, host->len);
        klaviyo_json_literal(json, ":{\"age\":");
        klaviyo_json_uint(json, host->age);
        klaviyo_json_literal(json, ",\"left\":");
        klaviyo_json_uint(json, host->left);
        klaviyo_json_literal(json, "}");
    }
}


static ngx_uint_t
ngx_http_klaviyo_status_json_reason(const ngx_http_klaviyo_status_row_t *row)
{
    return row->label && ngx_strcmp(row->label, "reason") == 0;
}


static void
ngx_http_klaviyo_status_json_name(klaviyo_json_t *json, const char *name)
{
    klaviyo_json_literal(json, "\"");
    ngx_http_klaviyo_status_text(json, name);
    klaviyo_json_literal(json, "\":");
}

/*
 * The figures as JSON:
 *
 *     {"version": ..., "nginx": ..., "accounts": {"<name>": {
 *         "captured": n, "delivered": n, "dry_run": n, "dead": n, "lost": n,
 *         "queued": n,
 *         "reasons": {"dead": {...}, "lost": {...}, "skipped": {...},
 *                     "left_out": {...}, "changed": {...}},
 *         "requests": {...}, "replies": {...},
 *         "delivery": {"deliverer": pid, "paused_for": s, ...},
 *         "queue": {"size": bytes, "used": bytes, "attached": bool},
 *         "spool": {"events": n, "size": bytes, "bytes_used": bytes, ...},
 *         "dead_letters": {"written": n, ...},
 *         "hold": {"held": n, "waiting": n, "released": n, "expired": n,
 *                  "lost": n, "size": bytes, ...}}}}
 *
 * captured = delivered + dry_run + dead + lost + queued in every answer, and
 * held = waiting + released + expired + lost.  What waits is not captured
 * before it is released.  Events in the spool are queued.  Without `hold`
 * there is no "hold", and so with the spool and the dead letters.
 */


#include "ngx_http_klaviyo_status.h"

#include "json/klaviyo_json.h"
#include "queue/klaviyo_hold.h"


#define NGX_HTTP_KLAVIYO_STATUS_HEAD     256
#define NGX_HTTP_KLAVIYO_STATUS_ACCOUNT  8192


static ngx_int_t ngx_http_klaviyo_status_handler(ngx_http_request_t *r);
static void ngx_http_klaviyo_status_account(klaviyo_json_t *json,
    ngx_http_klaviyo_account_t *account);
static void ngx_http_klaviyo_status_hold(klaviyo_json_t *json,
    ngx_http_klaviyo_account_t *account);
static void ngx_http_klaviyo_status_group(klaviyo_json_t *json,
    klaviyo_figures_t *figures, const char *group);
static uint64_t ngx_http_klaviyo_status_sum(klaviyo_figures_t *figures,
    const char *group);
static void ngx_http_klaviyo_status_number(klaviyo_json_t *json,
    const char *name, uint64_t n);
static void ngx_http_klaviyo_status_name(klaviyo_json_t *json,
    const char *name);
static uint64_t ngx_http_klaviyo_status_paused(klaviyo_figures_t *figures);


char *
ngx_http_klaviyo_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    (void) cmd;
    (void) conf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == ngx_http_klaviyo_status_handler) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "json") != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": the form of "
                           "\"klaviyo_status\" is \"json\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_klaviyo_status_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_klaviyo_status_handler(ngx_http_request_t *r)
{
    size_t                          size;
    ngx_buf_t                      *b;
    ngx_int_t                       rc;
    ngx_uint_t                      i;
    ngx_chain_t                     out;
    klaviyo_json_t                  json;
    ngx_http_klaviyo_account_t    **account;
    ngx_http_klaviyo_main_conf_t   *kmcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

    size = NGX_HTTP_KLAVIYO_STATUS_HEAD
           + kmcf->accounts.nelts * NGX_HTTP_KLAVIYO_STATUS_ACCOUNT;

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    klaviyo_json_init(&json, b->pos, size);

    klaviyo_json_literal(&json, "{\"version\":\"" NGX_HTTP_KLAVIYO_VERSION
                                "\",\"nginx\":\"" NGINX_VERSION
                                "\",\"accounts\":{");

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {
        if (i) {
            klaviyo_json_literal(&json, ",");
        }

        ngx_http_klaviyo_status_account(&json, account[i]);
    }

    klaviyo_json_literal(&json, "}}\n");

    if (json.overflow) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "klaviyo status is longer than %uz bytes", size);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = json.pos;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static void
ngx_http_klaviyo_status_account(klaviyo_json_t *json,
    ngx_http_klaviyo_account_t *account)
{
    klaviyo_figures_t  figures;

    static const char *const  reasons[] = {
        "dead", "lost", "skipped", "left_out", "changed"
    };

    ngx_uint_t  i;

    klaviyo_ring_figures(account->ring, &figures);

    klaviyo_json_string(json, account->name.data, account->name.len,
                        account->name.len);
    klaviyo_json_literal(json, ":{");

    ngx_http_klaviyo_status_number(json, "captured", figures.captured);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "delivered",
                        figures.outcome[KLAVIYO_OUTCOME_DELIVERED]);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "dry_run",
                        figures.outcome[KLAVIYO_OUTCOME_DRY_RUN]);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "dead",
                        ngx_http_klaviyo_status_sum(&figures, "dead"));
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "lost",
                        ngx_http_klaviyo_status_sum(&figures, "lost")
                        + figures.detached);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "queued", figures.queued);

    klaviyo_json_literal(json, ",\"reasons\":{");

    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (i) {
            klaviyo_json_literal(json, ",");
        }

        ngx_http_klaviyo_status_group(json, &figures, reasons[i]);
        klaviyo_json_literal(json, "}");
    }

    klaviyo_json_literal(json, "},");
    ngx_http_klaviyo_status_group(json, &figures, "requests");
    klaviyo_json_literal(json, "},");
    ngx_http_klaviyo_status_group(json, &figures, "replies");
    klaviyo_json_literal(json, "},");
    ngx_http_klaviyo_status_group(json, &figures, "webhook");
    klaviyo_json_literal(json, "},");
    ngx_http_klaviyo_status_group(json, &figures, "gateway");
    klaviyo_json_literal(json, "},");
    ngx_http_klaviyo_status_group(json, &figures, "enrich");
    klaviyo_json_literal(json, "},");
    ngx_http_klaviyo_status_group(json, &figures, "delivery");
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "deliverer", figures.deliverer);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "paused_for",
                        ngx_http_klaviyo_status_paused(&figures));

    klaviyo_json_literal(json, "},\"queue\":{");
    ngx_http_klaviyo_status_number(json, "size", figures.size);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "used", figures.used);

    if (figures.attached) {
        klaviyo_json_literal(json, ",\"attached\":true}");

    } else {
        klaviyo_json_literal(json, ",\"attached\":false}");
    }

    if (account->spool.len) {
        klaviyo_json_literal(json, ",");
        ngx_http_klaviyo_status_group(json, &figures, "spool");
        klaviyo_json_literal(json, ",");
        ngx_http_klaviyo_status_number(json, "events", figures.spooled);
        klaviyo_json_literal(json, ",");
        ngx_http_klaviyo_status_number(json, "size", account->spool_size);
        klaviyo_json_literal(json, "}");
    }

    if (account->dead_letter.len) {
        klaviyo_json_literal(json, ",");
        ngx_http_klaviyo_status_group(json, &figures, "dead_letters");
        klaviyo_json_literal(json, "}");
    }

    if (account->hold) {
        ngx_http_klaviyo_status_hold(json, account);
    }

    klaviyo_json_literal(json, "}");
}


static void
ngx_http_klaviyo_status_hold(klaviyo_json_t *json,
    ngx_http_klaviyo_account_t *account)
{
    klaviyo_hold_figures_t  figures;

    klaviyo_hold_figures(account->hold_ring, &figures);

    klaviyo_json_literal(json, ",\"hold\":{");
    ngx_http_klaviyo_status_number(json, "held", figures.held);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "waiting", figures.waiting);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "released", figures.released);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "expired", figures.expired);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "lost", figures.lost);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "size", figures.size);
    klaviyo_json_literal(json, ",");
    ngx_http_klaviyo_status_number(json, "used", figures.used);

    if (figures.attached) {
        klaviyo_json_literal(json, ",\"attached\":true}");

    } else {
        klaviyo_json_literal(json, ",\"attached\":false}");
    }
}


/* `"group":{...` without the brace that closes it */

static void
ngx_http_klaviyo_status_group(klaviyo_json_t *json,
    klaviyo_figures_t *figures, const char *group)
{
    ngx_uint_t  i, n;

    ngx_http_klaviyo_status_name(json, group);
    klaviyo_json_literal(json, "{");

    n = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {

        if (ngx_strcmp(klaviyo_outcome_names[i].group, group) == 0) {
            if (n++) {
                klaviyo_json_literal(json, ",");
            }

            ngx_http_klaviyo_status_number(json, klaviyo_outcome_names[i].name,
                                           figures->outcome[i]);
        }
    }

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {

        if (ngx_strcmp(klaviyo_counter_names[i].group, group) == 0) {
            if (n++) {
                klaviyo_json_literal(json, ",");
            }

            ngx_http_klaviyo_status_number(json, klaviyo_counter_names[i].name,
                                           figures->counter[i]);
        }
    }

    if (ngx_strcmp(group, "lost") == 0) {
        klaviyo_json_literal(json, ",");
        ngx_http_klaviyo_status_number(json, "detached", figures->detached);
    }
}


static uint64_t
ngx_http_klaviyo_status_sum(klaviyo_figures_t *figures, const char *group)
{
    uint64_t    sum;
    ngx_uint_t  i;

    sum = 0;

    for (i = 0; i < KLAVIYO_OUTCOME_N; i++) {
        if (ngx_strcmp(klaviyo_outcome_names[i].group, group) == 0) {
            sum += figures->outcome[i];
        }
    }

    for (i = 0; i < KLAVIYO_COUNT_N; i++) {
        if (ngx_strcmp(klaviyo_counter_names[i].group, group) == 0) {
            sum += figures->counter[i];
        }
    }

    return sum;
}


static void
ngx_http_klaviyo_status_number(klaviyo_json_t *json, const char *name,
    uint64_t n)
{
    ngx_http_klaviyo_status_name(json, name);
    klaviyo_json_uint(json, n);
}


static void
ngx_http_klaviyo_status_name(klaviyo_json_t *json, const char *name)
{
    klaviyo_json_literal(json, "\"");
    klaviyo_json_raw(json, name, ngx_strlen(name));
    klaviyo_json_literal(json, "\":");
}


/* whole seconds, rounded up */

static uint64_t
ngx_http_klaviyo_status_paused(klaviyo_figures_t *figures)
{
    int64_t          now;
    struct timespec  ts;

    if (figures->paused_until == 0
        || clock_gettime(CLOCK_BOOTTIME, &ts) == -1)
    {
        return 0;
    }

    now = (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;

    if (figures->paused_until <= now) {
        return 0;
    }

    return (figures->paused_until - now + 999) / 1000;
}

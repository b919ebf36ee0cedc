/*
 * klaviyo_enrich: the directive, and the filters, which are there only if it
 * is.
 *
 * The header filter asks when the header has left, the answer's framing is
 * known and nothing can delay it.  The body filter takes what the subrequest
 * says, whatever handler says it.
 */


#include "ngx_http_klaviyo_enrich.h"
#include "ngx_http_klaviyo_enrich_answer.h"
#include "ngx_http_klaviyo_enrich_request.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_rule.h"
#include "ngx_http_klaviyo_skip.h"
#include "ngx_http_klaviyo_view.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_ENRICH_TIMEOUT      1000      /* ms                */
#define NGX_HTTP_KLAVIYO_ENRICH_TIMEOUT_MAX  60000     /* ms                */


static char *ngx_http_klaviyo_enrich_uri(ngx_conf_t *cf,
    ngx_http_klaviyo_enrich_t *enrich, ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_enrich_header_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_enrich_ask(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_set_t *set);
static ngx_int_t ngx_http_klaviyo_enrich_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_http_klaviyo_rule_t *ngx_http_klaviyo_enrich_wanted(
    ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_set_t *set);
static ngx_uint_t ngx_http_klaviyo_enrich_delays(ngx_http_request_t *r);


static ngx_http_output_header_filter_pt  ngx_http_klaviyo_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_klaviyo_next_body_filter;


char *
ngx_http_klaviyo_enrich(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    ngx_int_t                      timeout;
    ngx_str_t                     *value, s;
    ngx_http_klaviyo_enrich_t     *enrich;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    (void) cmd;

    if (klcf->enrich != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {

        if (cf->args->nelts == 3) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": \"off\" stands "
                               "alone", &value[2]);
            return NGX_CONF_ERROR;
        }

        klcf->enrich = NULL;
        return NGX_CONF_OK;
    }

    enrich = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_enrich_t));
    if (enrich == NULL) {
        return NGX_CONF_ERROR;
    }

    enrich->timeout = NGX_HTTP_KLAVIYO_ENRICH_TIMEOUT;

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "timeout=", 8) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": expected "
                               "\"timeout=\"", &value[2]);
            return NGX_CONF_ERROR;
        }

        s.len = value[2].len - 8;
        s.data = value[2].data + 8;

        timeout = ngx_parse_time(&s, 0);

        if (timeout < 1 || timeout > NGX_HTTP_KLAVIYO_ENRICH_TIMEOUT_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": it must be 1ms to "
                               "1m, the client's connection waits for it",
                               &value[2]);
            return NGX_CONF_ERROR;
        }

        enrich->timeout = timeout;
    }

    if (ngx_http_klaviyo_enrich_uri(cf, enrich, &value[1]) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    klcf->enrich = enrich;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);
    kmcf->enriches = 1;

    return NGX_CONF_OK;
}


/* a "?" that the directive does not have is none of a value either */

static char *
ngx_http_klaviyo_enrich_uri(ngx_conf_t *cf, ngx_http_klaviyo_enrich_t *enrich,
    ngx_str_t *value)
{
    u_char     *p, *last;
    ngx_str_t   uri, args;

    if (value->len == 0 || (value->data[0] != '/' && value->data[0] != '$')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URI \"%V\": it must be that of a location, "
                           "beginning with \"/\", or \"off\"", value);
        return NGX_CONF_ERROR;
    }

    uri = *value;
    last = value->data + value->len;

    p = ngx_strlchr(value->data, last, '?');

    if (p) {
        uri.len = p - value->data;

        args.len = last - p - 1;
        args.data = p + 1;

        if (args.len
            && ngx_http_klaviyo_compile(cf, &args, &enrich->args) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    enrich->whole = (p == NULL && value->data[0] == '$');

    return ngx_http_klaviyo_compile(cf, &uri, &enrich->uri) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


void
ngx_http_klaviyo_enrich_init(ngx_http_klaviyo_main_conf_t *kmcf)
{
    if (kmcf->enriches) {
        ngx_http_klaviyo_next_header_filter = ngx_http_top_header_filter;
        ngx_http_top_header_filter = ngx_http_klaviyo_enrich_header_filter;

        ngx_http_klaviyo_next_body_filter = ngx_http_top_body_filter;
        ngx_http_top_body_filter = ngx_http_klaviyo_enrich_body_filter;
    }
}


static ngx_int_t
ngx_http_klaviyo_enrich_header_filter(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_uint_t                      i, n;
    ngx_http_klaviyo_rule_set_t     sets[NGX_HTTP_KLAVIYO_RULE_SETS];
    ngx_http_klaviyo_enrichment_t  *enrichment;

    if (r != r->main) {
        enrichment = ngx_http_klaviyo_enrich_own(r);

        if (enrichment
            && ngx_http_klaviyo_enrich_header(r, enrichment) != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_klaviyo_next_header_filter(r);
    }

    rc = ngx_http_klaviyo_next_header_filter(r);

    if ((rc != NGX_OK && rc != NGX_AGAIN)
        || r->connection->error
        || r->post_action)
    {
        return rc;
    }

    n = ngx_http_klaviyo_rule_sets(r, sets);

    for (i = 0; i < n; i++) {

        if (sets[i].conf->enrich && ngx_http_klaviyo_enrich_ask(r, &sets[i])) {
            break;
        }
    }

    return rc;
}


/* 1: it is asked, or cannot be; one question is made for a request */

static ngx_uint_t
ngx_http_klaviyo_enrich_ask(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_set_t *set)
{
    ngx_http_klaviyo_ctx_t   *ctx;
    ngx_http_klaviyo_rule_t  *rule;

    ctx = ngx_http_klaviyo_context(r, 1);

    if (ctx == NULL || ctx->enrichment) {
        return 1;
    }

    ctx->conf = set->conf;
    rule = ngx_http_klaviyo_enrich_wanted(r, ctx, set);
    ctx->conf = NULL;

    if (rule == NULL) {
        return 0;
    }

    if (ngx_http_klaviyo_enrich_delays(r)) {
        klaviyo_ring_count(rule->account->ring, KLAVIYO_COUNT_ENRICH_CLOSE, 1);
        return 1;
    }

    ngx_http_klaviyo_enrich_fire(r, ctx, set->conf->enrich);

    return 1;
}


static ngx_int_t
ngx_http_klaviyo_enrich_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_klaviyo_enrichment_t  *enrichment;

    if (r != r->main) {
        enrichment = ngx_http_klaviyo_enrich_own(r);

        if (enrichment) {
            ngx_http_klaviyo_enrich_body(r, enrichment, in);
            return NGX_OK;
        }
    }

    return ngx_http_klaviyo_next_body_filter(r, in);
}


/*
 * The first rule that will fire, as far as is known now; or NULL.  An if= is
 * not asked: its variables may be those of the log phase, and would be
 * remembered as they are now.
 */

static ngx_http_klaviyo_rule_t *
ngx_http_klaviyo_enrich_wanted(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_set_t *set)
{
    ngx_uint_t                i, n;
    ngx_http_klaviyo_rule_t  *rule;

    n = set->rules ? set->rules->nelts : 0;
    rule = n ? set->rules->elts : NULL;

    for (i = 0; i < n; i++) {

        if (ngx_http_klaviyo_rule_status(r, rule[i].track->statuses)
            && !ngx_http_klaviyo_skipping(r, ctx,
                   ngx_http_klaviyo_view_fetched(r, ctx, rule[i].track)
                   ? NGX_HTTP_KLAVIYO_SKIP_SUBRESOURCE : 0))
        {
            return &rule[i];
        }
    }

    if (set->named
        && ctx->named
        && ngx_http_klaviyo_rule_status(r, set->named->track->statuses)
        && !ngx_http_klaviyo_skipping(r, ctx,
                                      NGX_HTTP_KLAVIYO_SKIP_SUBRESOURCE))
    {
        return set->named;
    }

    return NULL;
}


/*
 * An answer without a length ends with its connection, which would wait.  One
 * without a body, 204 and 304, ends at once; when it is proxied nothing marks
 * it as such.
 */

static ngx_uint_t
ngx_http_klaviyo_enrich_delays(ngx_http_request_t *r)
{
    return r->http_version < NGX_HTTP_VERSION_20
           && !r->header_only
           && !r->chunked
           && r->headers_out.status != NGX_HTTP_NO_CONTENT
           && r->headers_out.status != NGX_HTTP_NOT_MODIFIED
           && r->headers_out.content_length_n == -1;
}

/*
 * klaviyo_response_header: takes the header out of each answer before it
 * leaves, whatever its status, and makes events of it in the log phase; and
 * klaviyo_track_json, which makes them of a variable.
 *
 * The filter stands right behind that of add_header, see `config`.
 */


#include "ngx_http_klaviyo_header.h"
#include "ngx_http_klaviyo_body.h"
#include "ngx_http_klaviyo_inflate.h"
#include "ngx_http_klaviyo_lane.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_named.h"
#include "ngx_http_klaviyo_rule.h"
#include "ngx_http_klaviyo_warn.h"
#include "account/ngx_http_klaviyo_walk.h"
#include "queue/klaviyo_ring_figures.h"


static ngx_int_t ngx_http_klaviyo_header_filter(ngx_http_request_t *r);
static void ngx_http_klaviyo_header_read(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_uint_t ngx_http_klaviyo_header_take(ngx_http_request_t *r,
    ngx_list_t *headers, ngx_str_t *name);
static void ngx_http_klaviyo_header_remember(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_header_cached(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_header_events(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    ngx_str_t *text, ngx_uint_t *left, klaviyo_counter_e bad);
static void ngx_http_klaviyo_header_skip(ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule, klaviyo_counter_e reason, ngx_uint_t n);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


char *
ngx_http_klaviyo_response_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_klaviyo_loc_conf_t *klcf = conf;

    size_t                     i;
    ngx_str_t                 *value;
    ngx_uint_t                *status;
    ngx_http_klaviyo_track_t  *track;

    if (klcf->header != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {
        klcf->header = NULL;
        return NGX_CONF_OK;
    }

    for (i = 0; i < value[1].len; i++) {

        if (value[1].data[i] <= ' '
            || value[1].data[i] >= 0x7f
            || ngx_strchr("\"$(),/:;<=>?@[\\]{}", value[1].data[i]))
        {
            break;
        }
    }

    if (value[1].len == 0 || i < value[1].len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name of a header \"%V\": write it as in "
                           "X-Klaviyo-Event", &value[1]);
        return NGX_CONF_ERROR;
    }

    track = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_track_t));
    if (track == NULL) {
        return NGX_CONF_ERROR;
    }

    track->directive = cmd->name;
    track->named = 1;
    track->metric.value = value[1];
    track->conf_file = cf->conf_file->file.name.data;
    track->conf_line = cf->conf_file->line;

    /* an application that names an event means it, also in a redirect */

    track->statuses = ngx_array_create(cf->pool, 2, sizeof(ngx_uint_t));
    if (track->statuses == NULL) {
        return NGX_CONF_ERROR;
    }

    status = ngx_array_push_n(track->statuses, 2);
    if (status == NULL) {
        return NGX_CONF_ERROR;
    }

    status[0] = 2;
    status[1] = 3;

    klcf->header = track;

    return NGX_CONF_OK;
}


#if (nginx_version >= 1029000)

static ngx_http_output_header_filter_pt  ngx_http_next_early_hints_filter;


/* what is said early is for browsers: no event, and nothing for them */

static ngx_int_t
ngx_http_klaviyo_early_hints_filter(ngx_http_request_t *r)
{
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    if (klcf->header) {
        (void) ngx_http_klaviyo_header_take(r, &r->headers_out.headers,
                                            &klcf->header->metric.value);
    }

    return ngx_http_next_early_hints_filter(r);
}

#endif


void
ngx_http_klaviyo_header_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_klaviyo_header_filter;

#if (nginx_version >= 1029000)
    ngx_http_next_early_hints_filter = ngx_http_top_early_hints_filter;
    ngx_http_top_early_hints_filter = ngx_http_klaviyo_early_hints_filter;
#endif
}


/*
 * A header that proxy_hide_header hides, or that stood beside
 * X-Accel-Redirect, is only in what the upstream sent.
 */

static ngx_int_t
ngx_http_klaviyo_header_filter(ngx_http_request_t *r)
{
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_loc_conf_t  *first, *last;

    last = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);
    first = ngx_http_klaviyo_conf(r);

    if (first->header == NULL && last->header == NULL) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_klaviyo_context(r, 0);

    if (ctx) {
        ctx->named = NULL;
    }

    if (first->header) {
        ngx_http_klaviyo_header_read(r, &first->header->metric.value);
    }

    if (last->header && last->header != first->header) {
        ngx_http_klaviyo_header_read(r, &last->header->metric.value);
    }

    return ngx_http_next_header_filter(r);
}


static void
ngx_http_klaviyo_header_read(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;

    if (ngx_http_klaviyo_header_take(r, &r->headers_out.headers, name)
        || r->upstream == NULL)
    {
        return;
    }

    u = r->upstream;
    status = u->headers_in.status_n;

    if (status >= 200 && status < 400) {
        (void) ngx_http_klaviyo_header_take(r, &u->headers_in.headers, name);
    }
}


/* how many there were; those of the upstream stay where they are */

static ngx_uint_t
ngx_http_klaviyo_header_take(ngx_http_request_t *r, ngx_list_t *headers,
    ngx_str_t *name)
{
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    i = 0;
    n = 0;
    part = &headers->part;

    for ( ;; ) {

        h = ngx_http_klaviyo_walk(&part, &i);

        if (h == NULL) {
            break;
        }

        if (h->hash == 0
            || h->key.len != name->len
            || ngx_strncasecmp(h->key.data, name->data, name->len) != 0)
        {
            continue;
        }

        if (headers == &r->headers_out.headers) {
            h->hash = 0;
        }

        n++;

        if (h->value.len) {
            ngx_http_klaviyo_header_remember(r, &h->value);
        }
    }

    return n;
}


/* without memory, the visitor's answer matters more than the event */

static void
ngx_http_klaviyo_header_remember(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_str_t               *named;
    ngx_http_klaviyo_ctx_t  *ctx;

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return;
    }

    if (ctx->named == NULL) {
        ctx->named = ngx_array_create(r->pool, 4, sizeof(ngx_str_t));
        if (ctx->named == NULL) {
            return;
        }
    }

    named = ngx_array_push(ctx->named);

    if (named) {
        *named = *value;
    }
}


void
ngx_http_klaviyo_header_capture(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule)
{
    size_t       size;
    ngx_str_t   *header;
    ngx_uint_t   i, left;

    if (ctx->named == NULL) {
        return;
    }

    header = ctx->named->elts;

    if (ngx_http_klaviyo_header_cached(r)) {
        ngx_http_klaviyo_header_skip(ctx, rule, KLAVIYO_COUNT_SKIPPED_CACHED,
                                     ctx->named->nelts);
        return;
    }

    size = 0;
    left = NGX_HTTP_KLAVIYO_NAMED_MAX;

    for (i = 0; i < ctx->named->nelts; i++) {

        size += header[i].len;

        if (size > KLAVIYO_NAMED_TEXT_MAX) {
            ngx_http_klaviyo_header_skip(ctx, rule,
                                         KLAVIYO_COUNT_SKIPPED_HEADER, 1);
            continue;
        }

        if (ngx_http_klaviyo_header_events(r, ctx, rule, &header[i], &left,
                                           KLAVIYO_COUNT_SKIPPED_HEADER)
            != NGX_OK)
        {
            return;
        }
    }
}


void
ngx_http_klaviyo_header_variable(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule)
{
    ngx_str_t   text;
    ngx_uint_t  left;

    if (ngx_http_complex_value(r, &rule->track->metric, &text) != NGX_OK
        || ngx_http_klaviyo_inflate(r, ctx, &text) == NGX_ERROR)
    {
        ngx_http_klaviyo_header_skip(ctx, rule, KLAVIYO_COUNT_SKIPPED_MEMORY,
                                     1);
        return;
    }

    if (text.len == 0) {
        ctx->wanted |= ngx_http_klaviyo_body_named(&rule->track->metric.value);
        return;
    }

    left = NGX_HTTP_KLAVIYO_NAMED_JSON;

    (void) ngx_http_klaviyo_header_events(r, ctx, rule, &text, &left,
                                          KLAVIYO_COUNT_SKIPPED_JSON);
}


/*
 * The events of one text, at most *left; NGX_ERROR: no memory.  What is none,
 * or one too many, is counted as `bad`.
 */

static ngx_int_t
ngx_http_klaviyo_header_events(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    ngx_str_t *text, ngx_uint_t *left, klaviyo_counter_e bad)
{
    const char               *reason, *anonymous;
    klaviyo_named_t           named;
    klaviyo_value_rc_e        rc;
    klaviyo_named_list_t      list;
    ngx_http_klaviyo_rule_t   own;

    if (!klaviyo_named_open(&list, text->data, text->len)) {
        ngx_http_klaviyo_header_skip(ctx, rule, bad, 1);

        ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_EVENTS,
                              &rule->track->directive,
                              "got a text that is neither an event in JSON nor "
                              "an array of them");
        return NGX_OK;
    }

    if (list.repair) {
        ctx->repair = 1;
    }

    anonymous = klaviyo_counter_names[KLAVIYO_COUNT_SKIPPED_ANONYMOUS].name;

    for ( ;; ) {

        rc = klaviyo_named_next(&list, &named);

        if (rc == KLAVIYO_VALUE_EMPTY) {
            return NGX_OK;
        }

        if (rc == KLAVIYO_VALUE_BAD || *left == 0) {
            ngx_http_klaviyo_header_skip(ctx, rule, bad, 1);
            continue;
        }

        (*left)--;

        if (ngx_http_klaviyo_named_rule(r, rule, &named, &own) != NGX_OK) {
            ngx_http_klaviyo_header_skip(ctx, rule,
                                         KLAVIYO_COUNT_SKIPPED_MEMORY, 1);
            return NGX_ERROR;
        }

        reason = ngx_http_klaviyo_rule_capture(r, ctx, &own);

        /* who it is may have been among what was left out */

        if (named.left_out && reason == anonymous) {

            reason = klaviyo_counter_names[KLAVIYO_COUNT_VALUE_HEADER].name;

            ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_PROFILE,
                                  &rule->track->directive,
                                  "got an event of nobody, with members that "
                                  "are none of an event: write who it is as "
                                  "in {\"profile\":{\"email\":...}}");
        }

        if (ctx->reason == NULL) {
            ctx->reason = reason;
        }

        ngx_http_klaviyo_lane_named(r, ctx, &own, &named,
                                    KLAVIYO_COUNT_VALUE_HEADER);
    }
}


/* what was said to the visitor who filled the cache is said to nobody else */

static ngx_uint_t
ngx_http_klaviyo_header_cached(ngx_http_request_t *r)
{
#if (NGX_HTTP_CACHE)

    if (r->upstream == NULL) {
        return 0;
    }

    switch (r->upstream->cache_status) {

    case NGX_HTTP_CACHE_HIT:
    case NGX_HTTP_CACHE_STALE:
    case NGX_HTTP_CACHE_UPDATING:
    case NGX_HTTP_CACHE_REVALIDATED:
        return 1;
    }

#else

    (void) r;

#endif

    return 0;
}


static void
ngx_http_klaviyo_header_skip(ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule, klaviyo_counter_e reason, ngx_uint_t n)
{
    klaviyo_ring_count(rule->account->ring, reason, n);

    if (ctx->reason == NULL) {
        ctx->reason = klaviyo_counter_names[reason].name;
    }
}

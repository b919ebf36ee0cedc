/*
 * The subrequest of klaviyo_enrich: how it begins, and how it ends.
 *
 *     RUNNING ──no answer in time, or none of use──▶ LEFT
 *        │                                            │
 *        └──────────answered───────▶ ENDED ◀──────────┘
 *
 * While it is RUNNING its outcome is not known, and it is counted as canceled
 * if the request ends.  Of a subrequest that is LEFT all that still comes is
 * passed over.  One that has ENDED has given its reference back.
 *
 * It ends once: by itself, in ngx_http_klaviyo_enrich_done(), or when its
 * time is over, in ngx_http_klaviyo_enrich_end().  A handler that cannot be
 * stopped, as a script that sleeps, may finalize it again after that: then
 * the reference that is dropped there is taken first, while the main request
 * is there; when that is freed, the handlers' cleanups end the rest.
 */


#include "ngx_http_klaviyo_enrich_request.h"
#include "account/ngx_http_klaviyo_walk.h"


static ngx_http_klaviyo_enrichment_t *ngx_http_klaviyo_enrich_create(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_enrich_target(ngx_http_request_t *r,
    ngx_http_klaviyo_enrich_t *enrich, ngx_str_t *uri, ngx_str_t *args);
static ngx_int_t ngx_http_klaviyo_enrich_escape(ngx_http_request_t *r,
    ngx_str_t *args);
static ngx_int_t ngx_http_klaviyo_enrich_start(ngx_http_request_t *r,
    ngx_http_klaviyo_enrichment_t *enrichment, ngx_str_t *uri,
    ngx_str_t *args);
static ngx_int_t ngx_http_klaviyo_enrich_prepare(ngx_http_request_t *sr);
static ngx_int_t ngx_http_klaviyo_enrich_headers(ngx_http_request_t *sr);
static ngx_uint_t ngx_http_klaviyo_enrich_hides(ngx_table_elt_t *header);
static ngx_int_t ngx_http_klaviyo_enrich_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static void ngx_http_klaviyo_enrich_timeout(ngx_event_t *ev);
static void ngx_http_klaviyo_enrich_end(ngx_http_request_t *sr);
static ngx_uint_t ngx_http_klaviyo_enrich_blocked(ngx_http_request_t *sr);
static void ngx_http_klaviyo_enrich_cleanup(void *data);
static void ngx_http_klaviyo_enrich_release(ngx_connection_t *c);


/* what is said of the client's own request and body, and of its answer */

static ngx_str_t  ngx_http_klaviyo_enrich_hidden[] = {
    ngx_string("accept-encoding"),
    ngx_string("content-length"),
    ngx_string("content-type"),
    ngx_string("expect"),
    ngx_string("if-match"),
    ngx_string("if-modified-since"),
    ngx_string("if-none-match"),
    ngx_string("if-range"),
    ngx_string("if-unmodified-since"),
    ngx_string("range"),
    ngx_string("transfer-encoding"),
    ngx_null_string
};


void
ngx_http_klaviyo_enrich_fire(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_enrich_t *enrich)
{
    ngx_int_t                       rc;
    ngx_str_t                       uri, args;
    ngx_http_klaviyo_enrichment_t  *enrichment;

    rc = ngx_http_klaviyo_enrich_target(r, enrich, &uri, &args);

    if (rc == NGX_DONE) {
        return;
    }

    enrichment = ngx_http_klaviyo_enrich_create(r);
    if (enrichment == NULL) {
        return;
    }

    enrichment->directive = enrich;
    ctx->enrichment = enrichment;

    if (rc != NGX_OK
        || ngx_http_klaviyo_enrich_start(r, enrichment, &uri, &args)
           != NGX_OK)
    {
        ngx_http_klaviyo_enrich_leave(enrichment, KLAVIYO_COUNT_ENRICH_FAILED);
        return;
    }

    ngx_add_timer(&enrichment->timer, enrich->timeout);
}


static ngx_http_klaviyo_enrichment_t *
ngx_http_klaviyo_enrich_create(ngx_http_request_t *r)
{
    ngx_http_cleanup_t             *cln;
    ngx_http_klaviyo_enrichment_t  *enrichment;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_klaviyo_enrichment_t));
    if (cln == NULL) {
        return NULL;
    }

    enrichment = cln->data;
    ngx_memzero(enrichment, sizeof(ngx_http_klaviyo_enrichment_t));

    enrichment->outcome = KLAVIYO_COUNT_ENRICH_CANCELED;

    enrichment->timer.handler = ngx_http_klaviyo_enrich_timeout;
    enrichment->timer.data = r->connection;
    enrichment->timer.log = r->connection->log;

    cln->handler = ngx_http_klaviyo_enrich_cleanup;

    return enrichment;
}


/* NGX_DONE: the URI is empty, nothing is to be asked */

static ngx_int_t
ngx_http_klaviyo_enrich_target(ngx_http_request_t *r,
    ngx_http_klaviyo_enrich_t *enrich, ngx_str_t *uri, ngx_str_t *args)
{
    ngx_str_t   own;
    ngx_uint_t  flags;

    ngx_str_null(args);

    if (ngx_http_complex_value(r, &enrich->uri, uri) != NGX_OK) {
        return NGX_ERROR;
    }

    if (uri->len == 0) {
        return NGX_DONE;
    }

    flags = 0;
    ngx_str_null(&own);

    if (uri->data[0] != '/'
        || ngx_http_parse_unsafe_uri(r, uri, &own, &flags) != NGX_OK
        || (own.data && !enrich->whole))
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "unsafe URI for \"klaviyo_enrich\"");
        return NGX_ERROR;
    }

    *args = own;

    if (enrich->args.value.data
        && ngx_http_complex_value(r, &enrich->args, args) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_enrich_escape(r, args);
}


/* nginx sends arguments on as they are, and a variable may hold a line end */

static ngx_int_t
ngx_http_klaviyo_enrich_escape(ngx_http_request_t *r, ngx_str_t *args)
{
    u_char     *p;
    uintptr_t   n;

    n = ngx_escape_uri(NULL, args->data, args->len, NGX_ESCAPE_REFRESH);

    if (n == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, args->len + 2 * n);
    if (p == NULL) {
        return NGX_ERROR;
    }

    args->len = (u_char *) ngx_escape_uri(p, args->data, args->len,
                                          NGX_ESCAPE_REFRESH)
                - p;
    args->data = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_enrich_start(ngx_http_request_t *r,
    ngx_http_klaviyo_enrichment_t *enrichment, ngx_str_t *uri, ngx_str_t *args)
{
    ngx_http_request_t          *sr;
    ngx_http_post_subrequest_t  *ps;

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_klaviyo_enrich_done;
    ps->data = enrichment;

    sr = NULL;

    /*
     * In memory, nginx refuses it subrequests of its own, which would never
     * be finished: a background subrequest does not become the active one.
     */

    if (ngx_http_subrequest(r, uri, args, &sr, ps,
                            NGX_HTTP_SUBREQUEST_BACKGROUND
                            |NGX_HTTP_SUBREQUEST_IN_MEMORY)
        != NGX_OK)
    {
        if (sr) {
            r->main->count--;
        }

        return NGX_ERROR;
    }

    enrichment->request = sr;

    if (ngx_http_klaviyo_enrich_prepare(sr) != NGX_OK) {
        enrichment->stage = NGX_HTTP_KLAVIYO_ENRICH_ENDED;
        sr->write_event_handler = ngx_http_request_empty_handler;
        r->main->count--;

        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * A GET without a body, and variables of its own: they begin as those of the
 * request, and what they become stays here.
 */

static ngx_int_t
ngx_http_klaviyo_enrich_prepare(ngx_http_request_t *sr)
{
    size_t                      size;
    ngx_http_variable_value_t  *variables;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(sr, ngx_http_core_module);

    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    variables = ngx_palloc(sr->pool, size);
    if (variables == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(variables, sr->variables, size);

    sr->variables = variables;

    sr->request_body = ngx_pcalloc(sr->pool, sizeof(ngx_http_request_body_t));
    if (sr->request_body == NULL) {
        return NGX_ERROR;
    }

    sr->headers_in.content_length_n = -1;
    sr->headers_in.chunked = 0;

    sr->headers_in.content_length = NULL;
    sr->headers_in.content_type = NULL;
    sr->headers_in.expect = NULL;
    sr->headers_in.if_match = NULL;
    sr->headers_in.if_modified_since = NULL;
    sr->headers_in.if_none_match = NULL;
    sr->headers_in.if_range = NULL;
    sr->headers_in.if_unmodified_since = NULL;
    sr->headers_in.range = NULL;
    sr->headers_in.transfer_encoding = NULL;

#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)
    sr->headers_in.accept_encoding = NULL;
#endif

    return ngx_http_klaviyo_enrich_headers(sr);
}


static ngx_int_t
ngx_http_klaviyo_enrich_headers(ngx_http_request_t *sr)
{
    ngx_list_t        headers;
    ngx_uint_t        n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    if (ngx_list_init(&headers, sr->pool, 20, sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    n = 0;
    part = &sr->headers_in.headers.part;

    for ( ;; ) {

        h = ngx_http_klaviyo_walk(&part, &n);

        if (h == NULL) {
            break;
        }

        if (ngx_http_klaviyo_enrich_hides(h)) {
            continue;
        }

        copy = ngx_list_push(&headers);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        *copy = *h;
    }

    sr->headers_in.headers = headers;

    /* the last part may be the first, which has moved */

    if (headers.last == &headers.part) {
        sr->headers_in.headers.last = &sr->headers_in.headers.part;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_klaviyo_enrich_hides(ngx_table_elt_t *header)
{
    ngx_str_t  *name;

    for (name = ngx_http_klaviyo_enrich_hidden; name->len; name++) {

        if (header->key.len == name->len
            && ngx_memcmp(header->lowcase_key, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_http_klaviyo_enrichment_t *
ngx_http_klaviyo_enrich_own(ngx_http_request_t *r)
{
    if (r->post_subrequest
        && r->post_subrequest->handler == ngx_http_klaviyo_enrich_done)
    {
        return r->post_subrequest->data;
    }

    return NULL;
}


void
ngx_http_klaviyo_enrich_leave(ngx_http_klaviyo_enrichment_t *enrichment,
    klaviyo_counter_e outcome)
{
    enrichment->outcome = outcome;

    if (enrichment->stage == NGX_HTTP_KLAVIYO_ENRICH_RUNNING) {
        enrichment->stage = NGX_HTTP_KLAVIYO_ENRICH_LEFT;
    }
}


/*
 * NGX_ERROR and its like would end the main request.  An error for which
 * there may be an error_page goes its way, and comes here again.
 */

static ngx_int_t
ngx_http_klaviyo_enrich_done(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_klaviyo_enrichment_t  *enrichment = data;

    if (enrichment->stage == NGX_HTTP_KLAVIYO_ENRICH_ENDED) {
        sr->main->count++;
        sr->buffered = 0;

        return NGX_OK;
    }

    if (rc == NGX_AGAIN) {
        rc = NGX_OK;
    }

    /* a file is being read: nginx goes on, and comes here again */

    if (rc == NGX_OK
        && sr->buffered
        && (enrichment->stage == NGX_HTTP_KLAVIYO_ENRICH_RUNNING || sr->aio))
    {
        return NGX_OK;
    }

    sr->buffered = 0;

    if (enrichment->stage == NGX_HTTP_KLAVIYO_ENRICH_RUNNING) {

        if (rc == NGX_HTTP_CREATED
            || rc == NGX_HTTP_NO_CONTENT
            || (rc >= NGX_HTTP_SPECIAL_RESPONSE
                && rc != NGX_HTTP_REQUEST_TIME_OUT
                && rc != NGX_HTTP_CLOSE
                && rc != NGX_HTTP_CLIENT_CLOSED_REQUEST))
        {
            return rc;
        }

        enrichment->outcome = (rc == NGX_OK) ? KLAVIYO_COUNT_ENRICH_MERGED
                                             : KLAVIYO_COUNT_ENRICH_FAILED;
    }

    ngx_http_klaviyo_enrich_cleanup(enrichment);
    ngx_http_klaviyo_enrich_release(sr->connection);

    return NGX_OK;
}


static void
ngx_http_klaviyo_enrich_timeout(ngx_event_t *ev)
{
    ngx_connection_t               *c;
    ngx_http_request_t             *sr;
    ngx_http_klaviyo_enrichment_t  *enrichment;

    c = ev->data;
    enrichment = ngx_queue_data(ev, ngx_http_klaviyo_enrichment_t, timer);
    sr = enrichment->request;

    ngx_http_set_log_request(c->log, sr);

    if (enrichment->stage == NGX_HTTP_KLAVIYO_ENRICH_RUNNING) {
        ngx_http_klaviyo_enrich_leave(enrichment,
                                      KLAVIYO_COUNT_ENRICH_TIMED_OUT);

        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "no answer in time for \"klaviyo_enrich\"");
    }

    ngx_http_klaviyo_enrich_end(sr);

    ngx_http_run_posted_requests(c);
}


/* what reads a file, or waits for a lock, ends when that does */

static void
ngx_http_klaviyo_enrich_end(ngx_http_request_t *sr)
{
    ngx_http_upstream_t  *u;

    if (ngx_http_klaviyo_enrich_blocked(sr)) {
        sr->write_event_handler = ngx_http_klaviyo_enrich_end;
        return;
    }

    ngx_http_klaviyo_enrich_cleanup(ngx_http_klaviyo_enrich_own(sr));
    ngx_http_klaviyo_enrich_release(sr->connection);

    sr->write_event_handler = ngx_http_request_empty_handler;

    u = sr->upstream;

    /* closes the connection, and finalizes the subrequest with NGX_DONE */

    if (u && u->cleanup) {
        (*u->cleanup)(sr);
        return;
    }

    ngx_http_finalize_request(sr, NGX_DONE);
}


static ngx_uint_t
ngx_http_klaviyo_enrich_blocked(ngx_http_request_t *sr)
{
#if (NGX_HTTP_CACHE)

    if (sr->cache && sr->cache->waiting) {
        return 1;
    }

#endif

    return sr->aio;
}


static void
ngx_http_klaviyo_enrich_cleanup(void *data)
{
    ngx_http_klaviyo_enrichment_t  *enrichment = data;

    enrichment->stage = NGX_HTTP_KLAVIYO_ENRICH_ENDED;

    if (enrichment->timer.timer_set) {
        ngx_del_timer(&enrichment->timer);
    }

    if (enrichment->timer.posted) {
        ngx_delete_posted_event(&enrichment->timer);
    }
}


/*
 * A subrequest handles the timer of the client's connection as if it wrote to
 * it.  An upstream that is never buffered (memcached, gRPC) stops it, though
 * limit_rate may wait for it; a file that is read by a thread starts it,
 * though nothing waits for the client.
 */

static void
ngx_http_klaviyo_enrich_release(ngx_connection_t *c)
{
    if (c->write->delayed) {

        if (!c->write->timer_set) {
            ngx_add_timer(c->write, 1);
        }

    } else if (c->write->ready && c->write->timer_set) {
        ngx_del_timer(c->write);
    }
}

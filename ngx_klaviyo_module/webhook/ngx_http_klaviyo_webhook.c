/*
 * webhook: the handlers of the phases, and the variables.
 *
 * What is cheap comes first: headers and time before the body is read, the
 * signature before the JSON is looked at.  A body in a file is read from it
 * in pieces; what is held of it in memory as a whole is signed.
 *
 * The verdict is kept with the request, beyond internal redirects: a request
 * is verified once with the secrets of a location.
 */


#include "ngx_http_klaviyo_webhook.h"


#define NGX_HTTP_KLAVIYO_WEBHOOK_PIECE  16384        /* bytes                */


typedef struct {
    ngx_http_request_t          *request;
    ngx_http_klaviyo_webhook_t  *webhook;
    ngx_int_t                    rc;         /* of the access phase          */
    ngx_str_t                    id;
    ngx_str_t                    topics;
    klaviyo_slice_t              signature;
    klaviyo_slice_t              timestamp;
} ngx_http_klaviyo_webhook_state_t;


typedef void (*ngx_http_klaviyo_webhook_piece_pt)(void *data, u_char *p,
    size_t len);


static ngx_int_t ngx_http_klaviyo_webhook_access(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_webhook_preaccess(ngx_http_request_t *r);
static ngx_http_klaviyo_webhook_state_t *ngx_http_klaviyo_webhook_state(
    ngx_http_request_t *r, ngx_http_klaviyo_webhook_t *webhook);
static void ngx_http_klaviyo_webhook_cleanup(void *data);
static ngx_int_t ngx_http_klaviyo_webhook_refuse(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_t *webhook, klaviyo_counter_e reason);
static ngx_int_t ngx_http_klaviyo_webhook_headers(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state);
static ngx_uint_t ngx_http_klaviyo_webhook_header(ngx_http_request_t *r,
    const char *name, klaviyo_slice_t *value);
static void ngx_http_klaviyo_webhook_ready(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_webhook_verify(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state);
static ngx_int_t ngx_http_klaviyo_webhook_read(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, off_t size);
static off_t ngx_http_klaviyo_webhook_size(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_webhook_pieces(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_piece_pt handler, void *data);
static void ngx_http_klaviyo_webhook_hash(void *data, u_char *p, size_t len);
static void ngx_http_klaviyo_webhook_copy(void *data, u_char *p, size_t len);
static ngx_int_t ngx_http_klaviyo_webhook_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_klaviyo_webhook_vars[] = {

    { ngx_string("klaviyo_webhook_id"), NULL,
      ngx_http_klaviyo_webhook_variable,
      offsetof(ngx_http_klaviyo_webhook_state_t, id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("klaviyo_webhook_topic"), NULL,
      ngx_http_klaviyo_webhook_variable,
      offsetof(ngx_http_klaviyo_webhook_state_t, topics),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_klaviyo_webhook_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_klaviyo_webhook_vars; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_webhook_init(ngx_conf_t *cf)
{
    ngx_array_t                   *handlers;
    ngx_http_handler_pt           *h;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);

    if (!kmcf->webhook) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_klaviyo_webhook_preaccess;

    /* called from the last one to the first: `deny` saves reading the body */

    handlers = &cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    h = handlers->elts;

    ngx_memmove(h + 1, h,
                (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));

    h[0] = ngx_http_klaviyo_webhook_access;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_webhook_access(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_pool_cleanup_t                *cln;
    ngx_http_klaviyo_location_t       *location;
    ngx_http_klaviyo_webhook_state_t  *state;

    location = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    if (location->webhook == NULL) {
        return NGX_DECLINED;
    }

    state = ngx_http_klaviyo_webhook_state(r, location->webhook);

    if (state) {
        return state->rc;
    }

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_klaviyo_webhook_state_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_klaviyo_webhook_cleanup;

    state = cln->data;
    ngx_memzero(state, sizeof(ngx_http_klaviyo_webhook_state_t));

    state->request = r;
    state->webhook = location->webhook;
    state->rc = NGX_HTTP_UNAUTHORIZED;

    rc = ngx_http_klaviyo_webhook_headers(r, state);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_klaviyo_webhook_ready);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


/* the access phase is not for subrequests */

static ngx_int_t
ngx_http_klaviyo_webhook_preaccess(ngx_http_request_t *r)
{
    ngx_http_klaviyo_location_t       *location;
    ngx_http_klaviyo_webhook_state_t  *state;

    if (r == r->main) {
        return NGX_DECLINED;
    }

    location = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    if (location->webhook == NULL) {
        return NGX_DECLINED;
    }

    state = ngx_http_klaviyo_webhook_state(r, location->webhook);

    if (state && state->rc == NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_http_klaviyo_webhook_refuse(r, location->webhook,
                                           KLAVIYO_COUNT_WEBHOOK_SUBREQUEST);
}


/*
 * An internal redirect clears r->ctx; a cleanup of the pool, which
 * subrequests share, is there until the end.  Without a location: the verdict
 * that came last.
 */

static ngx_http_klaviyo_webhook_state_t *
ngx_http_klaviyo_webhook_state(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_t *webhook)
{
    ngx_pool_cleanup_t                *cln;
    ngx_http_klaviyo_webhook_state_t  *state;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_klaviyo_webhook_cleanup) {
            continue;
        }

        state = cln->data;

        if (state->request == r->main
            && (webhook == NULL || state->webhook == webhook))
        {
            return state;
        }
    }

    return NULL;
}


static void
ngx_http_klaviyo_webhook_cleanup(void *data)
{
    (void) data;
}


static ngx_int_t
ngx_http_klaviyo_webhook_refuse(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_t *webhook, klaviyo_counter_e reason)
{
    klaviyo_ring_count(webhook->account->ring, reason, 1);

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "klaviyo webhook refused: %s",
                  klaviyo_counter_names[reason].name);

    return NGX_HTTP_UNAUTHORIZED;
}


/* all that can be said without the body */

static ngx_int_t
ngx_http_klaviyo_webhook_headers(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state)
{
    time_t                       t;
    klaviyo_slice_t              id;
    ngx_http_klaviyo_webhook_t  *webhook;

    webhook = state->webhook;

    if (!ngx_http_klaviyo_webhook_header(r, "klaviyo-webhook-id", &id)
        || !ngx_http_klaviyo_webhook_header(r, "klaviyo-signature",
                                            &state->signature)
        || !ngx_http_klaviyo_webhook_header(r, "klaviyo-timestamp",
                                            &state->timestamp)
        || !klaviyo_webhook_is_name(id.data, id.len))
    {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                               KLAVIYO_COUNT_WEBHOOK_HEADERS);
    }

    state->id.data = (u_char *) id.data;
    state->id.len = id.len;

    t = ngx_parse_http_time((u_char *) state->timestamp.data,
                            state->timestamp.len);

    if (!klaviyo_webhook_in_time(t, ngx_time(), webhook->tolerance)) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_TIMESTAMP);
    }

    if (state->signature.len != KLAVIYO_WEBHOOK_SIGNATURE) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_SIGNATURE);
    }

    if (r->headers_in.content_length_n > KLAVIYO_WEBHOOK_BODY_MAX) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_TOO_LARGE);
    }

    return NGX_OK;
}


/* 1: the header is there, once */

static ngx_uint_t
ngx_http_klaviyo_webhook_header(ngx_http_request_t *r, const char *name,
    klaviyo_slice_t *value)
{
    size_t            len;
    ngx_uint_t        i, n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    n = 0;
    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        header = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (header[i].key.len == len
                && ngx_strncmp(header[i].lowcase_key, name, len) == 0)
            {
                value->data = header[i].value.data;
                value->len = header[i].value.len;
                n++;
            }
        }
    }

    return n == 1;
}


static void
ngx_http_klaviyo_webhook_ready(ngx_http_request_t *r)
{
    ngx_http_klaviyo_location_t       *location;
    ngx_http_klaviyo_webhook_state_t  *state;

    location = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    state = ngx_http_klaviyo_webhook_state(r, location->webhook);

    state->rc = ngx_http_klaviyo_webhook_verify(r, state);

    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


static ngx_int_t
ngx_http_klaviyo_webhook_verify(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state)
{
    int                          match;
    off_t                        size;
    ngx_int_t                    rc;
    klaviyo_webhook_hmac_t       hmac;
    ngx_http_klaviyo_webhook_t  *webhook;

    webhook = state->webhook;

    size = ngx_http_klaviyo_webhook_size(r);

    if (size > KLAVIYO_WEBHOOK_BODY_MAX) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_TOO_LARGE);
    }

    klaviyo_webhook_begin(&hmac, webhook->secrets, webhook->n);

    rc = ngx_http_klaviyo_webhook_pieces(r, ngx_http_klaviyo_webhook_hash,
                                         &hmac);

    klaviyo_webhook_update(&hmac, state->timestamp.data, state->timestamp.len);

    match = klaviyo_webhook_end(&hmac, &state->signature);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (match == -1) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      "HMAC of a klaviyo webhook failed");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (match == 0) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_SIGNATURE);
    }

    return ngx_http_klaviyo_webhook_read(r, state, size);
}


static ngx_int_t
ngx_http_klaviyo_webhook_read(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, off_t size)
{
    u_char                      *p, *topics;
    size_t                       len;
    ngx_int_t                    rc;
    klaviyo_slice_t              body, id;
    ngx_http_klaviyo_webhook_t  *webhook;

    webhook = state->webhook;

    topics = ngx_pnalloc(r->pool, KLAVIYO_WEBHOOK_TOPICS_MAX);

    body.len = size;
    body.data = ngx_pnalloc(r->pool, size + 1);

    if (topics == NULL || body.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = (u_char *) body.data;

    rc = ngx_http_klaviyo_webhook_pieces(r, ngx_http_klaviyo_webhook_copy, &p);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    id.data = state->id.data;
    id.len = state->id.len;

    p = (u_char *) body.data;

    switch (klaviyo_webhook_read(&body, &id, topics, &len)) {

    case KLAVIYO_WEBHOOK_OK:

        state->topics.data = topics;
        state->topics.len = len;

        klaviyo_ring_count(webhook->account->ring,
                           KLAVIYO_COUNT_WEBHOOK_ACCEPTED, 1);
        rc = NGX_OK;
        break;

    case KLAVIYO_WEBHOOK_OTHER_ID:
        rc = ngx_http_klaviyo_webhook_refuse(r, webhook,
                                             KLAVIYO_COUNT_WEBHOOK_OTHER_ID);
        break;

    default:
        rc = ngx_http_klaviyo_webhook_refuse(r, webhook,
                                             KLAVIYO_COUNT_WEBHOOK_BODY);
    }

    ngx_pfree(r->pool, p);

    return rc;
}


static off_t
ngx_http_klaviyo_webhook_size(ngx_http_request_t *r)
{
    off_t         size;
    ngx_chain_t  *cl;

    size = 0;

    for (cl = r->request_body ? r->request_body->bufs : NULL;
         cl;
         cl = cl->next)
    {
        size += ngx_buf_size(cl->buf);
    }

    return size;
}


static ngx_int_t
ngx_http_klaviyo_webhook_pieces(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_piece_pt handler, void *data)
{
    off_t         offset;
    u_char       *piece;
    size_t        len;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    piece = NULL;

    for (cl = r->request_body ? r->request_body->bufs : NULL;
         cl;
         cl = cl->next)
    {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            handler(data, b->pos, b->last - b->pos);
            continue;
        }

        for (offset = b->file_pos; offset < b->file_last; offset += n) {

            if (piece == NULL) {
                piece = ngx_pnalloc(r->pool, NGX_HTTP_KLAVIYO_WEBHOOK_PIECE);
                if (piece == NULL) {
                    return NGX_ERROR;
                }
            }

            len = (size_t) ngx_min(b->file_last - offset,
                                   NGX_HTTP_KLAVIYO_WEBHOOK_PIECE);

            n = ngx_read_file(b->file, piece, len, offset);

            if (n <= 0) {

                if (n == 0) {
                    ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                                  "\"%V\" is shorter than the body in it",
                                  &b->file->name);
                }

                return NGX_ERROR;
            }

            handler(data, piece, n);
        }
    }

    if (piece) {
        ngx_pfree(r->pool, piece);
    }

    return NGX_OK;
}


static void
ngx_http_klaviyo_webhook_hash(void *data, u_char *p, size_t len)
{
    klaviyo_webhook_update(data, p, len);
}


static void
ngx_http_klaviyo_webhook_copy(void *data, u_char *p, size_t len)
{
    u_char **to = data;

    *to = ngx_cpymem(*to, p, len);
}


static ngx_int_t
ngx_http_klaviyo_webhook_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                         *value;
    ngx_http_klaviyo_webhook_state_t  *state;

    state = ngx_http_klaviyo_webhook_state(r, NULL);

    if (state == NULL || state->rc != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    value = (ngx_str_t *) ((char *) state + data);

    v->len = value->len;
    v->data = value->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}

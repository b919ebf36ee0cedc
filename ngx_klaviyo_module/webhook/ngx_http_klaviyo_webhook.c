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
#include "account/ngx_http_klaviyo_compile.h"
#include "account/ngx_http_klaviyo_gunzip.h"
#include "account/ngx_http_klaviyo_walk.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_WEBHOOK_PIECE  16384        /* bytes                */


typedef struct {
    ngx_http_request_t          *request;
    ngx_http_klaviyo_webhook_t  *webhook;
    ngx_int_t                    rc;         /* of the access phase          */
    ngx_str_t                    id;
    ngx_str_t                    topics;
    ngx_str_t                    answer;     /* the module's own             */
    ngx_str_t                    before;     /* the body, in what is signed  */
    ngx_str_t                    after;
    uint8_t                      signatures[KLAVIYO_WEBHOOK_SECRETS]
                                           [KLAVIYO_WEBHOOK_DIGEST];
    ngx_uint_t                   n;
    unsigned                     ping:1;     /* it may be one, unsigned      */
    unsigned                     answered:1; /* by the module                */
} ngx_http_klaviyo_webhook_state_t;


typedef void (*ngx_http_klaviyo_webhook_piece_pt)(void *data, u_char *p,
    size_t len);


static ngx_int_t ngx_http_klaviyo_webhook_access(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_webhook_preaccess(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_webhook_log(ngx_http_request_t *r);
static ngx_http_klaviyo_webhook_state_t *ngx_http_klaviyo_webhook_state(
    ngx_http_request_t *r, ngx_http_klaviyo_webhook_t *webhook);
static void ngx_http_klaviyo_webhook_cleanup(void *data);
static ngx_int_t ngx_http_klaviyo_webhook_refuse(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_t *webhook, klaviyo_counter_e reason);
static ngx_int_t ngx_http_klaviyo_webhook_answer(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state);
static ngx_uint_t ngx_http_klaviyo_webhook_answered(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_webhook_signed_by(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_t *webhook);
static ngx_int_t ngx_http_klaviyo_webhook_headers(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state);
static ngx_uint_t ngx_http_klaviyo_webhook_name(ngx_http_request_t *r,
    const char *const *names, ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_webhook_in_time(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_t *webhook, klaviyo_slice_t *time);
static ngx_int_t ngx_http_klaviyo_webhook_text(ngx_http_request_t *r,
    const char *template, ngx_http_complex_value_t *value,
    klaviyo_slice_t *time, klaviyo_slice_t *id, ngx_str_t *text);
static ngx_uint_t ngx_http_klaviyo_webhook_find(ngx_http_request_t *r,
    const char *const *names, klaviyo_slice_t *value);
static ngx_uint_t ngx_http_klaviyo_webhook_header(ngx_http_request_t *r,
    const char *name, klaviyo_slice_t *value);
static void ngx_http_klaviyo_webhook_ready(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_webhook_verify(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state);
static ngx_uint_t ngx_http_klaviyo_webhook_ping(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, off_t size);
static ngx_int_t ngx_http_klaviyo_webhook_read(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, off_t size, ngx_uint_t secret);
static klaviyo_webhook_rc_e ngx_http_klaviyo_webhook_say(
    ngx_http_request_t *r, ngx_http_klaviyo_webhook_state_t *state,
    klaviyo_slice_t *body, u_char *topics, ngx_uint_t secret);
static ngx_int_t ngx_http_klaviyo_webhook_validate(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, u_char *token, size_t len,
    ngx_uint_t secret);
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
    return ngx_http_klaviyo_add_variables(cf, ngx_http_klaviyo_webhook_vars);
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

    kmcf->answered = ngx_http_klaviyo_webhook_answered;
    kmcf->signed_by = ngx_http_klaviyo_webhook_signed_by;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_klaviyo_webhook_preaccess;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_klaviyo_webhook_log;

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
        return state->answered ? ngx_http_klaviyo_webhook_answer(r, state)
                               : state->rc;
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
        state->rc = rc;
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


/* a body beyond client_max_body_size, of which nginx tells no handler */

static ngx_int_t
ngx_http_klaviyo_webhook_log(ngx_http_request_t *r)
{
    ngx_http_klaviyo_location_t       *location;
    ngx_http_klaviyo_webhook_state_t  *state;

    location = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    if (location->webhook == NULL
        || r != r->main
        || r->headers_out.status != NGX_HTTP_REQUEST_ENTITY_TOO_LARGE)
    {
        return NGX_OK;
    }

    state = ngx_http_klaviyo_webhook_state(r, location->webhook);

    if (state == NULL || state->rc == NGX_HTTP_UNAUTHORIZED) {
        klaviyo_ring_count(location->webhook->account->ring,
                           KLAVIYO_COUNT_WEBHOOK_TOO_LARGE, 1);
    }

    return NGX_OK;
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

    return reason == KLAVIYO_COUNT_WEBHOOK_TOO_LARGE
           ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE : NGX_HTTP_UNAUTHORIZED;
}


static ngx_int_t
ngx_http_klaviyo_webhook_answer(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state)
{
    ngx_str_t                 type;
    ngx_http_complex_value_t  value;

    ngx_memzero(&value, sizeof(ngx_http_complex_value_t));

    value.value = state->answer;

    ngx_str_set(&type, "application/json");

    ngx_http_finalize_request(r,
                       ngx_http_send_response(r, NGX_HTTP_OK, &type, &value));

    return NGX_DONE;
}


static ngx_uint_t
ngx_http_klaviyo_webhook_answered(ngx_http_request_t *r)
{
    ngx_http_klaviyo_webhook_state_t  *state;

    state = ngx_http_klaviyo_webhook_state(r, NULL);

    return state && state->answered;
}


/* `return` and `rewrite` leave a location before anybody was verified */

static ngx_uint_t
ngx_http_klaviyo_webhook_signed_by(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_t *webhook)
{
    ngx_http_klaviyo_webhook_state_t  *state;

    state = ngx_http_klaviyo_webhook_state(r, webhook);

    return state && state->rc == NGX_OK;
}


/* all that can be said without the body */

static ngx_int_t
ngx_http_klaviyo_webhook_headers(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state)
{
    ngx_int_t                    rc;
    klaviyo_slice_t              id, time, value;
    const klaviyo_sender_t      *sender;
    ngx_http_klaviyo_webhook_t  *webhook;

    webhook = state->webhook;
    sender = webhook->sender;

    if (!ngx_http_klaviyo_webhook_find(r, sender->header, &value)) {

        /* which is known by its body alone, and answered, nothing more */

        if (sender->pings && value.data == NULL
            && r->headers_in.content_length_n > 0
            && r->headers_in.content_length_n <= KLAVIYO_SENDER_PING_MAX)
        {
            state->ping = 1;
            return NGX_OK;
        }

        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                               KLAVIYO_COUNT_WEBHOOK_HEADERS);
    }

    state->n = klaviyo_sender_signatures(sender, &value, &time,
                                         state->signatures);

    if (sender->time_header
        && !ngx_http_klaviyo_webhook_header(r, sender->time_header, &time))
    {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                               KLAVIYO_COUNT_WEBHOOK_HEADERS);
    }

    if ((sender->id_header[0]
         && !ngx_http_klaviyo_webhook_name(r, sender->id_header, &state->id)
         && sender->id_needed))
    {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                               KLAVIYO_COUNT_WEBHOOK_HEADERS);
    }

    if (sender->topic_header[0]) {
        (void) ngx_http_klaviyo_webhook_name(r, sender->topic_header,
                                             &state->topics);
    }

    rc = ngx_http_klaviyo_webhook_in_time(r, webhook, &time);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_TIMESTAMP);
    }

    if (state->n == 0) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_SIGNATURE);
    }

    if (r->headers_in.content_length_n > KLAVIYO_WEBHOOK_BODY_MAX) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_TOO_LARGE);
    }

    id.data = state->id.data;
    id.len = state->id.len;

    if (ngx_http_klaviyo_webhook_text(r, sender->before, webhook->before,
                                      &time, &id, &state->before)
        != NGX_OK
        || ngx_http_klaviyo_webhook_text(r, sender->after, webhook->after,
                                         &time, &id, &state->after)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


/* NGX_DECLINED: it is too old, too new, or no time */

static ngx_int_t
ngx_http_klaviyo_webhook_in_time(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_t *webhook, klaviyo_slice_t *time)
{
    int64_t                 t;
    ngx_str_t               value;
    klaviyo_sender_time_e   kind;

    kind = webhook->sender->time;

    if (webhook->time) {

        if (ngx_http_complex_value(r, webhook->time, &value) != NGX_OK) {
            return NGX_ERROR;
        }

        time->data = value.data;
        time->len = value.len;
    }

    if (kind == KLAVIYO_SENDER_NO_TIME) {
        return NGX_OK;
    }

    t = -1;

    if (kind != KLAVIYO_SENDER_HTTP_DATE) {
        t = klaviyo_sender_seconds(time);
    }

    if (t == -1 && kind != KLAVIYO_SENDER_SECONDS) {
        t = ngx_parse_http_time((u_char *) time->data, time->len);
    }

    return klaviyo_webhook_in_time(t, ngx_time(), webhook->tolerance)
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_klaviyo_webhook_text(ngx_http_request_t *r, const char *template,
    ngx_http_complex_value_t *value, klaviyo_slice_t *time,
    klaviyo_slice_t *id, ngx_str_t *text)
{
    if (value) {
        return ngx_http_complex_value(r, value, text);
    }

    if (template == NULL) {
        return NGX_OK;
    }

    text->data = ngx_pnalloc(r->pool,
                             klaviyo_sender_text_size(template, time, id));
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = klaviyo_sender_text(text->data, template, time, id);

    return NGX_OK;
}


/* 1: one of them is there, and fit for a variable */

static ngx_uint_t
ngx_http_klaviyo_webhook_name(ngx_http_request_t *r,
    const char *const *names, ngx_str_t *name)
{
    klaviyo_slice_t  value;

    if (!ngx_http_klaviyo_webhook_find(r, names, &value)
        || !klaviyo_webhook_is_name(value.data, value.len))
    {
        return 0;
    }

    name->data = (u_char *) value.data;
    name->len = value.len;

    return 1;
}


/* the first of two names; `value` is empty where there is neither */

static ngx_uint_t
ngx_http_klaviyo_webhook_find(ngx_http_request_t *r,
    const char *const *names, klaviyo_slice_t *value)
{
    value->data = NULL;
    value->len = 0;

    if (ngx_http_klaviyo_webhook_header(r, names[0], value)) {
        return 1;
    }

    return value->data == NULL && names[1]
           && ngx_http_klaviyo_webhook_header(r, names[1], value);
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

    i = 0;
    n = 0;
    len = ngx_strlen(name);
    part = &r->headers_in.headers.part;

    for ( ;; ) {
        header = ngx_http_klaviyo_walk(&part, &i);

        if (header == NULL) {
            return n == 1;
        }

        if (header->key.len == len
            && ngx_strncmp(header->lowcase_key, name, len) == 0)
        {
            value->data = header->value.data;
            value->len = header->value.len;
            n++;
        }
    }
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

    if (state->ping) {
        return ngx_http_klaviyo_webhook_ping(r, state, size)
               ? NGX_HTTP_UNAUTHORIZED
               : ngx_http_klaviyo_webhook_refuse(r, webhook,
                                               KLAVIYO_COUNT_WEBHOOK_HEADERS);
    }

    klaviyo_webhook_begin(&hmac, webhook->secrets, webhook->n);
    klaviyo_webhook_update(&hmac, state->before.data, state->before.len);

    rc = ngx_http_klaviyo_webhook_pieces(r, ngx_http_klaviyo_webhook_hash,
                                         &hmac);

    klaviyo_webhook_update(&hmac, state->after.data, state->after.len);

    match = klaviyo_webhook_end(&hmac,
                  (const uint8_t (*)[KLAVIYO_WEBHOOK_DIGEST])
                  state->signatures,
                  state->n);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (match == -1) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      "HMAC of a webhook failed");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (match == 0) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook,
                                              KLAVIYO_COUNT_WEBHOOK_SIGNATURE);
    }

    if (webhook->sender->pings
        && ngx_http_klaviyo_webhook_ping(r, state, size))
    {
        return NGX_OK;
    }

    return ngx_http_klaviyo_webhook_read(r, state, size, match - 1);
}


/* 1: it is one, signed or not, and answered */

static ngx_uint_t
ngx_http_klaviyo_webhook_ping(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, off_t size)
{
    u_char  *p, body[KLAVIYO_SENDER_PING_MAX];

    p = body;

    if (size > KLAVIYO_SENDER_PING_MAX
        || ngx_http_klaviyo_webhook_pieces(r, ngx_http_klaviyo_webhook_copy,
                                           &p)
           != NGX_OK
        || !klaviyo_sender_ping(body, p - body))
    {
        return 0;
    }

    klaviyo_ring_count(state->webhook->account->ring,
                       KLAVIYO_COUNT_WEBHOOK_ANSWERED, 1);

    state->answered = 1;

    return 1;
}


static ngx_int_t
ngx_http_klaviyo_webhook_read(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, off_t size, ngx_uint_t secret)
{
    u_char                      *p, *topics;
    ngx_int_t                    rc;
    ngx_str_t                    text, inflated;
    klaviyo_slice_t              body;
    klaviyo_counter_e            reason;
    const klaviyo_sender_t      *sender;
    ngx_http_klaviyo_webhook_t  *webhook;

    webhook = state->webhook;
    sender = webhook->sender;
    reason = KLAVIYO_COUNT_WEBHOOK_ACCEPTED;

    if (sender->own_body || sender->topic_pointer) {

        topics = ngx_pnalloc(r->pool, KLAVIYO_WEBHOOK_TOPICS_MAX
                                      + KLAVIYO_WEBHOOK_NAME_MAX);

        p = ngx_pnalloc(r->pool, size + 1);

        if (topics == NULL || p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        text.data = p;
        text.len = size;

        if (ngx_http_klaviyo_webhook_pieces(r, ngx_http_klaviyo_webhook_copy,
                                            &p)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        /* signed as it came; what is damaged or too large says nothing */

        rc = NGX_DECLINED;

        if (ngx_http_klaviyo_is_gzip(&text)) {
            rc = ngx_http_klaviyo_gunzip(r->pool, &text,
                                         KLAVIYO_WEBHOOK_BODY_MAX, &inflated);
        }

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        body.data = (rc == NGX_OK) ? inflated.data : text.data;
        body.len = (rc == NGX_OK) ? inflated.len : text.len;

        switch (ngx_http_klaviyo_webhook_say(r, state, &body, topics, secret))
        {

        case KLAVIYO_WEBHOOK_OK:
            break;

        case KLAVIYO_WEBHOOK_OTHER_ID:
            reason = KLAVIYO_COUNT_WEBHOOK_OTHER_ID;
            break;

        default:
            reason = KLAVIYO_COUNT_WEBHOOK_BODY;
        }

        ngx_pfree(r->pool, text.data);

        if (rc == NGX_OK) {
            ngx_pfree(r->pool, inflated.data);
        }
    }

    if (reason != KLAVIYO_COUNT_WEBHOOK_ACCEPTED) {
        return ngx_http_klaviyo_webhook_refuse(r, webhook, reason);
    }

    klaviyo_ring_count(webhook->account->ring,
                       state->answered ? KLAVIYO_COUNT_WEBHOOK_ANSWERED
                                       : KLAVIYO_COUNT_WEBHOOK_ACCEPTED, 1);
    return NGX_OK;
}


/* what a body says of itself; one that is no JSON says nothing */

static klaviyo_webhook_rc_e
ngx_http_klaviyo_webhook_say(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, klaviyo_slice_t *body,
    u_char *topics, ngx_uint_t secret)
{
    int                      len;
    u_char                   token[KLAVIYO_SENDER_TOKEN_MAX];
    klaviyo_slice_t          id;
    klaviyo_scan_seen_t      seen;
    klaviyo_webhook_rc_e     rc;
    const klaviyo_sender_t  *sender;

    sender = state->webhook->sender;

    if (sender->own_body) {
        id.data = state->id.data;
        id.len = state->id.len;

        rc = klaviyo_webhook_read(body, &id, topics, &state->topics.len);
        state->topics.data = topics;

        return rc;
    }

    if (!klaviyo_scan_check(body, &seen)) {
        return KLAVIYO_WEBHOOK_OK;
    }

    state->topics.data = topics;
    state->topics.len = klaviyo_sender_value(body, sender->topic_pointer,
                                             topics);

    if (sender->id_pointer) {
        state->id.data = topics + KLAVIYO_WEBHOOK_NAME_MAX;
        state->id.len = klaviyo_sender_value(body, sender->id_pointer,
                                             state->id.data);
    }

    if (sender->validates) {
        len = klaviyo_sender_token(body, token);

        if (len == 0
            || (len > 0
                && ngx_http_klaviyo_webhook_validate(r, state, token, len,
                                                     secret)
                   != NGX_OK))
        {
            return KLAVIYO_WEBHOOK_BAD;
        }
    }

    return KLAVIYO_WEBHOOK_OK;
}


/* Zoom asks whether its secret is known here; the one that it signed with */

static ngx_int_t
ngx_http_klaviyo_webhook_validate(ngx_http_request_t *r,
    ngx_http_klaviyo_webhook_state_t *state, u_char *token, size_t len,
    ngx_uint_t secret)
{
    u_char  *p;
    u_char   hex[2 * KLAVIYO_WEBHOOK_DIGEST];

    p = ngx_pnalloc(r->pool, len + sizeof(hex) + 64);

    if (p == NULL
        || !klaviyo_webhook_sign(&state->webhook->secrets[secret], token, len,
                                 hex))
    {
        return NGX_ERROR;
    }

    state->answer.data = p;
    state->answer.len = ngx_sprintf(p, "{\"plainToken\":\"%*s\","
                                    "\"encryptedToken\":\"%*s\"}",
                                    len, token, sizeof(hex), hex)
                        - p;
    state->answered = 1;

    return NGX_OK;
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

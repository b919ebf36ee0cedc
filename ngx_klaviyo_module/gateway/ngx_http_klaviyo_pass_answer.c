/*
 * What Klaviyo says, while it comes: the head, and the body in buffers whose
 * number is bounded.
 *
 * Every byte here is Klaviyo's end's: hostile until checked.  The handlers
 * are called in the midst of libcurl: they keep, and post `wake`.
 */


#include "ngx_http_klaviyo_pass_answer.h"
#include "ngx_http_klaviyo_pass_call.h"
#include "ngx_http_klaviyo_pass_handler.h"
#include "ngx_http_klaviyo_pass_report.h"
#include "account/ngx_http_klaviyo_retry_after.h"


/* headers that pass, of one answer */
#define NGX_HTTP_KLAVIYO_PASS_HEADERS_MAX  64


static void ngx_http_klaviyo_pass_begin(void *data);
static void ngx_http_klaviyo_pass_header(void *data, ngx_str_t *name,
    ngx_str_t *value);
static void ngx_http_klaviyo_pass_head(void *data, ngx_uint_t status);
static ngx_int_t ngx_http_klaviyo_pass_body(void *data, u_char *p,
    size_t len);
static ngx_buf_t *ngx_http_klaviyo_pass_buffer(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static void ngx_http_klaviyo_pass_done(void *data, const char *error,
    ngx_uint_t sent);
static ngx_uint_t ngx_http_klaviyo_pass_whole(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_table_elt_t *ngx_http_klaviyo_pass_answer_header(
    ngx_http_request_t *r, ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_pass_answer_cache(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_klaviyo_pass_answer_copy(ngx_pool_t *pool,
    ngx_str_t *to, ngx_str_t *from);


const ngx_http_klaviyo_handlers_t  ngx_http_klaviyo_pass_handlers = {
    ngx_http_klaviyo_pass_call_read,
    ngx_http_klaviyo_pass_begin,
    ngx_http_klaviyo_pass_header,
    ngx_http_klaviyo_pass_head,
    ngx_http_klaviyo_pass_body,
    ngx_http_klaviyo_pass_done,
    NULL                                   /* the request's, as `data` is */
};


ngx_http_klaviyo_pass_answer_t *
ngx_http_klaviyo_pass_answer_create(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_pool_t                      *pool;
    ngx_http_klaviyo_pass_answer_t  *answer;

    pool = ngx_create_pool(1024, ctx->request->connection->log);
    if (pool == NULL) {
        return NULL;
    }

    answer = ngx_pcalloc(pool, sizeof(ngx_http_klaviyo_pass_answer_t));

    if (answer == NULL
        || ngx_array_init(&answer->headers, pool, 8, sizeof(ngx_keyval_t))
           != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    answer->pool = pool;
    answer->length = -1;
    answer->retry_after = -1;
    answer->last = &answer->out;

    return answer;
}


void
ngx_http_klaviyo_pass_answer_free(ngx_http_klaviyo_pass_ctx_t *ctx,
    ngx_http_klaviyo_pass_answer_t **answer)
{
    ngx_chain_t  *cl, *next;

    if (*answer == NULL) {
        return;
    }

    for (cl = (*answer)->out; cl; cl = next) {
        next = cl->next;

        cl->buf->pos = cl->buf->start;
        cl->buf->last = cl->buf->start;

        cl->next = ctx->free;
        ctx->free = cl;
    }

    ngx_destroy_pool((*answer)->pool);
    *answer = NULL;
}


static void
ngx_http_klaviyo_pass_begin(void *data)
{
    ngx_http_klaviyo_pass_ctx_t *ctx = data;

    ctx->answer->headers.nelts = 0;
    ctx->answer->length = -1;
    ctx->answer->retry_after = -1;
    ctx->answer->challenge = 0;
}


static void
ngx_http_klaviyo_pass_header(void *data, ngx_str_t *name, ngx_str_t *value)
{
    ngx_http_klaviyo_pass_ctx_t *ctx = data;

    ngx_str_t                        key, text;
    ngx_keyval_t                    *header;
    ngx_http_klaviyo_pass_answer_t  *answer;

    answer = ctx->answer;

    switch (klaviyo_headers_answer(name->data, name->len, value->data,
                                   value->len))
    {

    case KLAVIYO_HEADER_STOPS:
        return;

    case KLAVIYO_HEADER_CHALLENGE:
        answer->challenge = 1;
        return;

    case KLAVIYO_HEADER_CONTENT_LENGTH:
        answer->length = ngx_atoof(value->data, value->len);
        return;

    case KLAVIYO_HEADER_RETRY_AFTER:
        answer->retry_after = ngx_http_klaviyo_retry_after(value);
        break;

    default:
        break;
    }

    if (answer->headers.nelts == NGX_HTTP_KLAVIYO_PASS_HEADERS_MAX
        || ngx_http_klaviyo_pass_answer_copy(answer->pool, &key, name)
           != NGX_OK
        || ngx_http_klaviyo_pass_answer_copy(answer->pool, &text, value)
           != NGX_OK)
    {
        return;
    }

    header = ngx_array_push(&answer->headers);
    if (header == NULL) {
        return;
    }

    header->key = key;
    header->value = text;
}


static void
ngx_http_klaviyo_pass_head(void *data, ngx_uint_t status)
{
    ngx_http_klaviyo_pass_ctx_t *ctx = data;

    if (status == NGX_HTTP_TOO_MANY_REQUESTS) {
        ngx_http_klaviyo_pass_count(ctx, KLAVIYO_COUNT_GATEWAY_THROTTLED);
    }

    if (status == NGX_HTTP_UNAUTHORIZED) {
        ngx_http_klaviyo_pass_report(ctx, NGX_HTTP_KLAVIYO_REPORT_PASS_KEY,
                                     "Klaviyo refused the key");
    }

    ctx->answer->status = status;
    ctx->fresh = 1;

    ngx_post_event(&ctx->wake, &ngx_posted_events);
}


static ngx_int_t
ngx_http_klaviyo_pass_body(void *data, u_char *p, size_t len)
{
    ngx_http_klaviyo_pass_ctx_t *ctx = data;

    size_t                           n;
    ngx_buf_t                       *b;
    ngx_chain_t                     *cl;
    ngx_http_klaviyo_pass_answer_t  *answer;

    answer = ctx->answer;

    ngx_post_event(&ctx->wake, &ngx_posted_events);

    if (!ngx_http_klaviyo_pass_answer_room(ctx)) {
        ctx->paused = 1;
        return NGX_AGAIN;
    }

    ctx->fresh = 1;

    answer->received += len;

    if (answer->length != -1 && answer->received > answer->length) {
        return NGX_ERROR;
    }

    /* the last buffer, if there is one, is not on its way yet */

    b = NULL;

    for (cl = answer->out; cl; cl = cl->next) {
        b = cl->buf;
    }

    while (len) {

        if (b == NULL || b->last == b->end) {
            b = ngx_http_klaviyo_pass_buffer(ctx);

            if (b == NULL) {
                return NGX_ERROR;
            }
        }

        n = ngx_min(len, (size_t) (b->end - b->last));

        b->last = ngx_cpymem(b->last, p, n);

        p += n;
        len -= n;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_klaviyo_pass_answer_room(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    return ctx->free || ctx->nbuffers < NGX_HTTP_KLAVIYO_PASS_BUFFERS;
}


/* one more at the end of the answer; beyond the bound only within a piece */

static ngx_buf_t *
ngx_http_klaviyo_pass_buffer(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_pool_t   *pool;
    ngx_chain_t  *cl;

    pool = ctx->request->pool;

    cl = ctx->free;

    if (cl) {
        ctx->free = cl->next;

    } else {
        cl = ngx_alloc_chain_link(pool);
        if (cl == NULL) {
            return NULL;
        }

        b = ngx_create_temp_buf(pool, NGX_HTTP_KLAVIYO_PASS_BUFFER);
        if (b == NULL) {
            return NULL;
        }

        b->tag = (ngx_buf_tag_t) &ngx_http_klaviyo_module;

        cl->buf = b;
        ctx->nbuffers++;
    }

    cl->buf->flush = 1;
    cl->next = NULL;

    *ctx->answer->last = cl;
    ctx->answer->last = &cl->next;

    return cl->buf;
}


static void
ngx_http_klaviyo_pass_done(void *data, const char *error, ngx_uint_t sent)
{
    ngx_http_klaviyo_pass_ctx_t *ctx = data;

    if (error == NULL && !ngx_http_klaviyo_pass_whole(ctx)) {
        error = "answer of another length than it says";
    }

    ctx->exchange = NULL;
    ctx->tried = NGX_HTTP_KLAVIYO_TRY_WHOLE;
    ctx->sent = sent;

    if (error) {
        ctx->tried = NGX_HTTP_KLAVIYO_TRY_BROKEN;

        ngx_http_klaviyo_pass_report(ctx, NGX_HTTP_KLAVIYO_REPORT_PASS_BROKEN,
                                     error);
    }

    ngx_post_event(&ctx->wake, &ngx_posted_events);
}


/* libcurl may go by something else than the length that is passed on */

static ngx_uint_t
ngx_http_klaviyo_pass_whole(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_http_klaviyo_pass_answer_t  *answer;

    answer = ctx->answer;

    return answer->length == -1 || answer->length == answer->received
           || ctx->method->bit == NGX_HTTP_HEAD
           || answer->status == NGX_HTTP_NO_CONTENT
           || answer->status == NGX_HTTP_NOT_MODIFIED;
}


ngx_int_t
ngx_http_klaviyo_pass_answer_head(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_str_t                        value;
    ngx_uint_t                       i, cache;
    ngx_keyval_t                    *header;
    ngx_table_elt_t                 *h;
    klaviyo_header_e                 kind;
    ngx_http_request_t              *r;
    ngx_http_klaviyo_pass_answer_t  *answer;

    static ngx_str_t  cache_control = ngx_string("Cache-Control");
    static ngx_str_t  no_store = ngx_string("no-store");

    r = ctx->request;
    answer = ctx->answer;

    r->headers_out.status = answer->status;
    r->headers_out.content_length_n = answer->length;

    /* it is done by now: a condition may only spare what the client has */

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        || r->headers_in.if_match || r->headers_in.if_unmodified_since)
    {
        r->disable_not_modified = 1;
    }

    cache = 0;
    header = answer->headers.elts;

    for (i = 0; i < answer->headers.nelts; i++) {

        /* the answer's pool goes before the request is logged */

        if (ngx_http_klaviyo_pass_answer_copy(r->pool, &value,
                                              &header[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        kind = klaviyo_headers_answer(header[i].key.data, header[i].key.len,
                                      value.data, value.len);

        if (kind == KLAVIYO_HEADER_CONTENT_TYPE) {
            r->headers_out.content_type = value;
            r->headers_out.content_type_len = value.len;
            r->headers_out.content_type_lowcase = NULL;
            continue;
        }

        h = ngx_http_klaviyo_pass_answer_header(r, &header[i].key, &value);
        if (h == NULL) {
            return NGX_ERROR;
        }

        switch (kind) {

        case KLAVIYO_HEADER_CONTENT_ENCODING:
            r->headers_out.content_encoding = h;
            break;

        case KLAVIYO_HEADER_ETAG:
            r->headers_out.etag = h;
            break;

        case KLAVIYO_HEADER_EXPIRES:
            r->headers_out.expires = h;
            cache = 1;
            break;

        case KLAVIYO_HEADER_CACHE_CONTROL:
            cache = 1;

            if (ngx_http_klaviyo_pass_answer_cache(r, h) != NGX_OK) {
                return NGX_ERROR;
            }

            break;

        default:
            break;
        }
    }

    if (cache) {
        return NGX_OK;
    }

    /* what Klaviyo says of people is for nobody's cache, unless it says so */

    h = ngx_http_klaviyo_pass_answer_header(r, &cache_control, &no_store);

    return h ? ngx_http_klaviyo_pass_answer_cache(r, h) : NGX_ERROR;
}


static ngx_table_elt_t *
ngx_http_klaviyo_pass_answer_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_str_t         key;
    ngx_table_elt_t  *h;

    if (ngx_http_klaviyo_pass_answer_copy(r->pool, &key, name) != NGX_OK) {
        return NULL;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key = key;
    h->value = *value;

    return h;
}


/* nginx's "expires" and "add_header" look for it here */

static ngx_int_t
ngx_http_klaviyo_pass_answer_cache(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_table_elt_t  **ph;

#if (nginx_version >= 1023000)

    for (ph = &r->headers_out.cache_control; *ph; ph = &(*ph)->next) {
        /* to the last one */
    }

#else

    if (r->headers_out.cache_control.elts == NULL
        && ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                          sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ph = ngx_array_push(&r->headers_out.cache_control);
    if (ph == NULL) {
        return NGX_ERROR;
    }

#endif

    *ph = h;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_pass_answer_copy(ngx_pool_t *pool, ngx_str_t *to,
    ngx_str_t *from)
{
    to->data = ngx_pstrdup(pool, from);

    if (to->data == NULL) {
        return NGX_ERROR;
    }

    to->len = from->len;

    return NGX_OK;
}

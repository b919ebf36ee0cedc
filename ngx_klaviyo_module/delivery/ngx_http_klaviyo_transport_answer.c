/*
 * A post, and what is kept of its answer: the status, four headers, the body
 * up to a limit.
 *
 * Every byte here is Klaviyo's end's: hostile until checked.
 */


#include "ngx_http_klaviyo_transport_private.h"
#include "ngx_http_klaviyo_transport_answer.h"
#include "account/ngx_http_klaviyo_key.h"
#include "account/ngx_http_klaviyo_retry_after.h"


/* a body that goes on for longer is broken off, bytes */
#define NGX_HTTP_KLAVIYO_TRANSPORT_ENDLESS  (16 * 1024 * 1024)


typedef struct {
    ngx_log_t                   *log;
    ngx_http_klaviyo_account_t  *account;
    ngx_http_klaviyo_answer_pt   handler;
    void                        *data;

    klaviyo_answer_t             answer;    /* `status` 0 until its head is
                                               complete                      */
    u_char                      *body;
    size_t                       size;      /* of the buffer, bytes          */
    size_t                       received;  /* of the body, kept or not      */
} ngx_http_klaviyo_post_t;


static void ngx_http_klaviyo_post_begin(void *data);
static void ngx_http_klaviyo_post_header(void *data, ngx_str_t *name,
    ngx_str_t *value);
static void ngx_http_klaviyo_post_head(void *data, ngx_uint_t status);
static ngx_int_t ngx_http_klaviyo_post_body(void *data, u_char *p,
    size_t len);
static void ngx_http_klaviyo_post_done(void *data, const char *error,
    ngx_uint_t sent);
static void ngx_http_klaviyo_post_free(void *data);
static void ngx_http_klaviyo_transport_reset(klaviyo_answer_t *answer);
static ngx_uint_t ngx_http_klaviyo_transport_is(ngx_str_t *word,
    const char *known);


static const ngx_http_klaviyo_handlers_t  ngx_http_klaviyo_post_handlers = {
    NULL,                                  /* the body is in memory */
    ngx_http_klaviyo_post_begin,
    ngx_http_klaviyo_post_header,
    ngx_http_klaviyo_post_head,
    ngx_http_klaviyo_post_body,
    ngx_http_klaviyo_post_done,
    ngx_http_klaviyo_post_free
};


ngx_int_t
ngx_http_klaviyo_transport_post(ngx_http_klaviyo_transport_t *transport,
    const char *path, const u_char *body, size_t len,
    ngx_http_klaviyo_answer_pt handler, void *data)
{
    ngx_http_klaviyo_call_t   call;
    ngx_http_klaviyo_post_t  *post;

    post = ngx_calloc(sizeof(ngx_http_klaviyo_post_t), transport->event.log);
    if (post == NULL) {
        return NGX_ERROR;
    }

    post->log = transport->event.log;
    post->account = transport->account;
    post->handler = handler;
    post->data = data;

    ngx_http_klaviyo_transport_reset(&post->answer);

    ngx_memzero(&call, sizeof(ngx_http_klaviyo_call_t));

    call.method = "POST";
    call.path = path;
    call.headers = transport->headers;
    call.nheaders = transport->nheaders;
    call.body = body;
    call.body_len = len;
    call.timeout = transport->account->total_timeout;

    if (ngx_http_klaviyo_exchange_start(transport, &call,
                                        &ngx_http_klaviyo_post_handlers, post)
        == NULL)
    {
        ngx_free(post);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_klaviyo_post_begin(void *data)
{
    ngx_http_klaviyo_post_t *post = data;

    ngx_http_klaviyo_transport_reset(&post->answer);
}


static void
ngx_http_klaviyo_post_header(void *data, ngx_str_t *name, ngx_str_t *value)
{
    ngx_http_klaviyo_post_t *post = data;

    klaviyo_answer_t  *answer;

    answer = &post->answer;

    if (ngx_http_klaviyo_transport_is(name, "retry-after")) {
        answer->retry_after = ngx_http_klaviyo_retry_after(value);

    } else if (ngx_http_klaviyo_transport_is(name, "ratelimit-remaining")) {
        answer->rate_remaining = ngx_http_klaviyo_whole(value);

    } else if (ngx_http_klaviyo_transport_is(name, "ratelimit-reset")) {
        answer->rate_reset = ngx_http_klaviyo_whole(value);

    } else if (ngx_http_klaviyo_transport_is(name, "cf-mitigated")) {
        answer->challenge = ngx_http_klaviyo_transport_is(value, "challenge");
    }
}


static void
ngx_http_klaviyo_post_head(void *data, ngx_uint_t status)
{
    ngx_http_klaviyo_post_t *post = data;

    post->answer.status = (unsigned) status;
}


/*
 * What is over the limit is read and dropped, so that the connection can be
 * used again, unless there is no end of it.
 */

static ngx_int_t
ngx_http_klaviyo_post_body(void *data, u_char *p, size_t len)
{
    ngx_http_klaviyo_post_t *post = data;

    size_t             keep, size;
    u_char            *body;
    klaviyo_answer_t  *answer;

    answer = &post->answer;

    post->received += len;

    if (post->received > NGX_HTTP_KLAVIYO_TRANSPORT_ENDLESS) {
        return NGX_ERROR;
    }

    if (answer->body_cut) {
        return NGX_OK;
    }

    keep = ngx_min(len, KLAVIYO_REPLY_BODY_MAX - answer->body_len);

    if (answer->body_len + keep > post->size) {

        size = ngx_max(4096, post->size);

        while (size < answer->body_len + keep) {
            size *= 2;
        }

        body = ngx_alloc(size, post->log);

        if (body == NULL) {
            answer->body_cut = 1;
            return NGX_OK;
        }

        if (post->body) {
            ngx_memcpy(body, post->body, answer->body_len);
            ngx_free(post->body);
        }

        post->body = body;
        post->size = size;
    }

    if (keep) {
        ngx_memcpy(post->body + answer->body_len, p, keep);
    }

    answer->body_len += keep;
    answer->body_cut = (keep < len);

    return NGX_OK;
}


static void
ngx_http_klaviyo_post_done(void *data, const char *error, ngx_uint_t sent)
{
    ngx_http_klaviyo_post_t *post = data;

    klaviyo_answer_t  *answer;

    (void) sent;

    answer = &post->answer;

    /* it is quoted in the log and in dead letters */

    ngx_http_klaviyo_key_hide(post->account, post->body, answer->body_len);

    /*
     * An answer whose body broke off counts by its status, which is mostly all
     * that matters: what was accepted is not sent again, and a pause is kept.
     * Not so a refusal, which is to be read for the events that it names; but
     * one without an end is not worth another try.
     */

    answer->body = post->body;

    if (error && answer->status) {
        answer->body_cut = 1;

        if (klaviyo_reply_verdict(answer) == KLAVIYO_REPLY_REFUSED
            && post->received <= NGX_HTTP_KLAVIYO_TRANSPORT_ENDLESS)
        {
            answer->status = 0;
        }
    }

    if (answer->status == 0) {
        klaviyo_reply_free(answer);
        ngx_http_klaviyo_transport_reset(answer);
        answer->error = error;
    }

    post->handler(post->data, answer);

    klaviyo_reply_free(answer);
}


static void
ngx_http_klaviyo_post_free(void *data)
{
    ngx_http_klaviyo_post_t *post = data;

    if (post->body) {
        ngx_free(post->body);
    }

    ngx_free(post);
}


static void
ngx_http_klaviyo_transport_reset(klaviyo_answer_t *answer)
{
    ngx_memzero(answer, sizeof(klaviyo_answer_t));

    answer->retry_after = -1;
    answer->rate_remaining = -1;
    answer->rate_reset = -1;
}


static ngx_uint_t
ngx_http_klaviyo_transport_is(ngx_str_t *word, const char *known)
{
    return word->len == ngx_strlen(known)
           && ngx_strncasecmp(word->data, (u_char *) known, word->len) == 0;
}

/*
 * What is kept of an answer: the status, four headers, the body up to a limit.
 *
 * Every byte here is Klaviyo's end's: hostile until checked.
 */


#include "ngx_http_klaviyo_transport_answer.h"


/* a body that goes on for longer is broken off, bytes */
#define NGX_HTTP_KLAVIYO_TRANSPORT_ENDLESS  (16 * 1024 * 1024)

/* a number in a header counts as this when it is larger */
#define NGX_HTTP_KLAVIYO_TRANSPORT_NUMBER   1000000000


static size_t ngx_http_klaviyo_transport_header(char *line, size_t size,
    size_t n, void *data);
static void ngx_http_klaviyo_transport_reset(klaviyo_answer_t *answer);
static ngx_uint_t ngx_http_klaviyo_transport_is(ngx_str_t *word,
    const char *known);
static int64_t ngx_http_klaviyo_transport_number(ngx_str_t *value);
static int64_t ngx_http_klaviyo_transport_until(ngx_str_t *value);
static size_t ngx_http_klaviyo_transport_body(char *p, size_t size, size_t n,
    void *data);


ngx_int_t
ngx_http_klaviyo_transport_answer_init(
    ngx_http_klaviyo_transport_answer_t *ctx, CURL *easy, ngx_log_t *log)
{
    ngx_memzero(ctx, sizeof(ngx_http_klaviyo_transport_answer_t));

    ctx->easy = easy;
    ctx->log = log;

    ngx_http_klaviyo_transport_reset(&ctx->answer);

    if (curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, ctx->error) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION,
                            ngx_http_klaviyo_transport_header)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_HEADERDATA, ctx) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                            ngx_http_klaviyo_transport_body)
           != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_WRITEDATA, ctx) != CURLE_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


klaviyo_answer_t *
ngx_http_klaviyo_transport_answer_done(
    ngx_http_klaviyo_transport_answer_t *ctx, CURLcode rc)
{
    char              *p;
    const char        *error;
    klaviyo_answer_t  *answer;

    answer = &ctx->answer;

    /*
     * An answer whose body broke off counts by its status, which is mostly all
     * that matters: what was accepted is not sent again, and a pause is kept.
     * Not so a refusal, which is to be read for the events that it names; but
     * one without an end is not worth another try.
     */

    if (rc != CURLE_OK && answer->status) {
        answer->body_cut = 1;

        if (klaviyo_reply_verdict(answer) == KLAVIYO_REPLY_REFUSED
            && ctx->received <= NGX_HTTP_KLAVIYO_TRANSPORT_ENDLESS)
        {
            answer->status = 0;
        }
    }

    if (answer->status) {
        answer->body = ctx->body;
        return answer;
    }

    ngx_http_klaviyo_transport_reset(answer);

    if (ctx->error[0] == '\0') {

        /* libcurl is content with a head that was cut off */

        error = (rc == CURLE_OK) ? "answer without a complete head"
                                 : curl_easy_strerror(rc);

        ngx_cpystrn((u_char *) ctx->error, (u_char *) error, CURL_ERROR_SIZE);
    }

    /* a part of it may be the far end's words */

    for (p = ctx->error; *p; p++) {
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }

    answer->error = ctx->error;

    return answer;
}


void
ngx_http_klaviyo_transport_answer_free(
    ngx_http_klaviyo_transport_answer_t *ctx)
{
    if (ctx->body) {
        ngx_free(ctx->body);
        ctx->body = NULL;
    }
}


/*
 * A line of the answer's head, of an interim answer's (1xx) head before it, or
 * of the trailer after its body.
 */

static size_t
ngx_http_klaviyo_transport_header(char *line, size_t size, size_t n,
    void *data)
{
    ngx_http_klaviyo_transport_answer_t *ctx = data;

    long               status;
    size_t             len;
    u_char            *p, *last, *colon;
    ngx_str_t          name, value;
    klaviyo_answer_t  *answer;

    len = size * n;
    p = (u_char *) line;
    last = p + len;
    answer = &ctx->answer;

    if (answer->status) {
        return len;
    }

    if (len >= 5 && ngx_strncmp(p, "HTTP/", 5) == 0) {
        ngx_http_klaviyo_transport_reset(answer);
        return len;
    }

    while (last > p && (last[-1] == CR || last[-1] == LF || last[-1] == ' '
                        || last[-1] == '\t'))
    {
        last--;
    }

    if (last == p) {
        status = 0;

        (void) curl_easy_getinfo(ctx->easy, CURLINFO_RESPONSE_CODE,
                                 &status);

        if (status >= 200) {
            answer->status = (unsigned) status;
        }

        return len;
    }

    colon = ngx_strlchr(p, last, ':');

    if (colon == NULL) {
        return len;
    }

    name.data = p;
    name.len = colon - p;

    do { colon++; } while (colon < last && (*colon == ' ' || *colon == '\t'));

    value.data = colon;
    value.len = last - colon;

    if (ngx_http_klaviyo_transport_is(&name, "retry-after")) {
        answer->retry_after = ngx_http_klaviyo_transport_until(&value);

    } else if (ngx_http_klaviyo_transport_is(&name, "ratelimit-remaining")) {
        answer->rate_remaining = ngx_http_klaviyo_transport_number(&value);

    } else if (ngx_http_klaviyo_transport_is(&name, "ratelimit-reset")) {
        answer->rate_reset = ngx_http_klaviyo_transport_number(&value);

    } else if (ngx_http_klaviyo_transport_is(&name, "cf-mitigated")) {
        answer->challenge = ngx_http_klaviyo_transport_is(&value, "challenge");
    }

    return size * n;
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


/* -1: not a number */

static int64_t
ngx_http_klaviyo_transport_number(ngx_str_t *value)
{
    size_t   i;
    int64_t  n;

    n = 0;

    for (i = 0; i < value->len; i++) {

        if (value->data[i] < '0' || value->data[i] > '9') {
            return -1;
        }

        n = n * 10 + (value->data[i] - '0');
        n = ngx_min(n, NGX_HTTP_KLAVIYO_TRANSPORT_NUMBER);
    }

    return value->len ? n : -1;
}


/*
 * Seconds, or a date; a date that has passed: 0.  CURLINFO_RETRY_AFTER does
 * not tell these from an absent header or from nonsense.
 */

static int64_t
ngx_http_klaviyo_transport_until(ngx_str_t *value)
{
    char     date[64];
    time_t   t;
    int64_t  n;

    n = ngx_http_klaviyo_transport_number(value);

    if (n >= 0 || value->len >= sizeof(date)) {
        return n;
    }

    ngx_memcpy(date, value->data, value->len);
    date[value->len] = '\0';

    t = curl_getdate(date, NULL);

    if (t == -1) {
        return -1;
    }

    n = (int64_t) t - ngx_time();
    n = ngx_min(n, NGX_HTTP_KLAVIYO_TRANSPORT_NUMBER);

    return ngx_max(n, 0);
}


/*
 * What is over the limit is read and dropped, so that the connection can be
 * used again, unless there is no end of it.
 */

static size_t
ngx_http_klaviyo_transport_body(char *p, size_t size, size_t n, void *data)
{
    ngx_http_klaviyo_transport_answer_t *ctx = data;

    size_t             len, keep;
    u_char            *body;
    klaviyo_answer_t  *answer;

    len = size * n;
    answer = &ctx->answer;

    ctx->received += len;

    if (ctx->received > NGX_HTTP_KLAVIYO_TRANSPORT_ENDLESS) {
        /* anything but `len` ends the transfer */
        return 0;
    }

    if (answer->body_cut) {
        return len;
    }

    keep = ngx_min(len, KLAVIYO_REPLY_BODY_MAX - answer->body_len);

    if (answer->body_len + keep > ctx->size) {

        size = ngx_max(4096, ctx->size);

        while (size < answer->body_len + keep) {
            size *= 2;
        }

        body = ngx_alloc(size, ctx->log);

        if (body == NULL) {
            answer->body_cut = 1;
            return len;
        }

        if (ctx->body) {
            ngx_memcpy(body, ctx->body, answer->body_len);
            ngx_free(ctx->body);
        }

        ctx->body = body;
        ctx->size = size;
    }

    if (keep) {
        ngx_memcpy(ctx->body + answer->body_len, p, keep);
    }

    answer->body_len += keep;
    answer->body_cut = (keep < len);

    return len;
}

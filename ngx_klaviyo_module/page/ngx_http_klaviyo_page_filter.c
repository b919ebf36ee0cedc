/*
 * The filters that read answers: they stand behind the copy filter, which has
 * the bytes in memory, and before gzip.  Nothing is held, changed or copied
 * whole; what a page says is kept in the request's pool.
 *
 *     header filter: is it to be read? ──▶ body filter: zlib ──▶ page, or JSON
 *                                 │
 *                                 └─ left alone, and counted
 */


#include "ngx_http_klaviyo_page_filter.h"
#include "capture/ngx_http_klaviyo_location.h"
#include "queue/klaviyo_ring_figures.h"

#include <zlib.h>


#define NGX_HTTP_KLAVIYO_PAGE_BITS   (MAX_WBITS + 32)   /* gzip or zlib     */
#define NGX_HTTP_KLAVIYO_PAGE_PIECE  16384
#define NGX_HTTP_KLAVIYO_PAGE_FIRST  4096               /* bytes of JSON    */


static ngx_int_t ngx_http_klaviyo_page_header_filter(ngx_http_request_t *r);
static void ngx_http_klaviyo_page_choose(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_set_t *set);
static ngx_int_t ngx_http_klaviyo_page_open(ngx_http_request_t *r,
    ngx_http_klaviyo_answer_t *answer, ngx_http_klaviyo_page_t *page);
static klaviyo_charset_e ngx_http_klaviyo_page_charset(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_page_encoding(ngx_http_request_t *r,
    ngx_http_klaviyo_answer_t *answer);
static ngx_uint_t ngx_http_klaviyo_page_is_html(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_page_is_json(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_page_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static void ngx_http_klaviyo_page_read(ngx_http_klaviyo_answer_t *answer,
    ngx_chain_t *in);
static ngx_int_t ngx_http_klaviyo_page_inflate(
    ngx_http_klaviyo_answer_t *answer, u_char *p, size_t len);
static ngx_int_t ngx_http_klaviyo_page_take(ngx_http_klaviyo_answer_t *answer,
    u_char *p, size_t len);
static ngx_int_t ngx_http_klaviyo_page_append(
    ngx_http_klaviyo_answer_t *answer, u_char *p, size_t len);
static void *ngx_http_klaviyo_page_alloc(void *data, size_t size);
static void *ngx_http_klaviyo_page_zalloc(void *data, u_int items,
    u_int size);
static void ngx_http_klaviyo_page_zfree(void *data, void *address);


static ngx_http_output_header_filter_pt  ngx_http_klaviyo_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_klaviyo_next_body_filter;


static u_char  ngx_http_klaviyo_page_piece[NGX_HTTP_KLAVIYO_PAGE_PIECE];


void
ngx_http_klaviyo_page_filter_init(void)
{
    ngx_http_klaviyo_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_klaviyo_page_header_filter;

    ngx_http_klaviyo_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_klaviyo_page_body_filter;
}


static ngx_int_t
ngx_http_klaviyo_page_header_filter(ngx_http_request_t *r)
{
    ngx_uint_t                    i, n;
    ngx_http_klaviyo_rule_set_t   sets[NGX_HTTP_KLAVIYO_RULE_SETS];

    if (r == r->main && r->method != NGX_HTTP_HEAD && !r->header_only) {

        n = ngx_http_klaviyo_rule_sets(r, sets);

        for (i = 0; i < n; i++) {

            if (sets[i].conf->location.page
                || sets[i].conf->location.response_body)
            {
                ngx_http_klaviyo_page_choose(r, &sets[i]);
                break;
            }
        }
    }

    return ngx_http_klaviyo_next_header_filter(r);
}


/* a range is not known as one before the body comes */

static void
ngx_http_klaviyo_page_choose(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_set_t *set)
{
    ngx_uint_t                    status;
    klaviyo_ring_t               *ring;
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_page_t      *page;
    ngx_http_klaviyo_answer_t    *answer;
    ngx_http_klaviyo_location_t  *location;

    location = &set->conf->location;
    ring = ngx_http_klaviyo_rule_set_first(set)->account->ring;
    status = r->headers_out.status;
    page = location->page;

    answer = ngx_pcalloc(r->pool, sizeof(ngx_http_klaviyo_answer_t));
    ctx = ngx_http_klaviyo_context(r, 1);

    if (answer == NULL || ctx == NULL) {
        klaviyo_ring_count(ring, page ? KLAVIYO_COUNT_PAGE_MEMORY
                                      : KLAVIYO_COUNT_BODY_MEMORY, 1);
        return;
    }

    answer->request = r;
    answer->ring = ring;
    answer->json = location->response_body != 0
                   && (page == NULL || ngx_http_klaviyo_page_is_json(r));

    if (status == NGX_HTTP_PARTIAL_CONTENT) {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_RANGE,
                                    KLAVIYO_COUNT_BODY_RANGE);
        return;
    }

    if (status == NGX_HTTP_NOT_MODIFIED && !answer->json) {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_NOT_MODIFIED,
                                    KLAVIYO_COUNT_BODY_STATUS);
        return;
    }

    if (status != NGX_HTTP_OK
        && !(answer->json && status > 200 && status < 300))
    {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_STATUS,
                                    KLAVIYO_COUNT_BODY_STATUS);
        return;
    }

    if (answer->json ? !ngx_http_klaviyo_page_is_json(r)
                     : !ngx_http_klaviyo_page_is_html(r))
    {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_NOT_HTML,
                                    KLAVIYO_COUNT_BODY_NOT_JSON);
        return;
    }

    answer->size = answer->json ? location->response_body : page->size;

    if (ngx_http_klaviyo_page_encoding(r, answer) != NGX_OK) {
        return;
    }

    if (answer->zstream == NULL
        && r->headers_out.content_length_n > (off_t) answer->size)
    {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_TOO_LARGE,
                                    KLAVIYO_COUNT_BODY_TOO_LARGE);
        return;
    }

    if (!answer->json
        && ngx_http_klaviyo_page_open(r, answer, page) != NGX_OK)
    {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_MEMORY,
                                    KLAVIYO_COUNT_BODY_MEMORY);
        return;
    }

    ctx->answer = answer;
    r->filter_need_in_memory = 1;
}


static ngx_int_t
ngx_http_klaviyo_page_open(ngx_http_request_t *r,
    ngx_http_klaviyo_answer_t *answer, ngx_http_klaviyo_page_t *page)
{
    klaviyo_page_request_t  request;

    request.scheme.data = (const uint8_t *) "http";
    request.scheme.len = 4;

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        request.scheme.data = (const uint8_t *) "https";
        request.scheme.len = 5;
    }

#endif

    request.host.data = r->headers_in.server.data;
    request.host.len = r->headers_in.server.len;

    if (r->headers_in.host && r->headers_in.host->value.len) {
        request.host.data = r->headers_in.host->value.data;
        request.host.len = r->headers_in.host->value.len;
    }

    request.uri.data = r->unparsed_uri.data;
    request.uri.len = r->unparsed_uri.len;

    request.charset = ngx_http_klaviyo_page_charset(r);

    answer->page = klaviyo_page_create(page->want, page->size, &request,
                                       ngx_http_klaviyo_page_alloc, r->pool);

    return answer->page ? NGX_OK : NGX_ERROR;
}


/* nginx's own charset filter, which may convert the page, comes behind */

static klaviyo_charset_e
ngx_http_klaviyo_page_charset(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t   type;

    if (r->headers_out.charset.len) {
        return klaviyo_charset(r->headers_out.charset.data,
                               r->headers_out.charset.len);
    }

    type = r->headers_out.content_type;
    last = type.data + type.len;

    p = ngx_strlcasestrn(type.data, last, (u_char *) "charset=", 8 - 1);

    if (p == NULL) {
        return KLAVIYO_CHARSET_NONE;
    }

    p += 8;

    if (p < last && *p == '"') {
        p++;
    }

    for (type.data = p; p < last && *p > ' ' && *p != '"' && *p != ';'; p++) {
        /* void */
    }

    return klaviyo_charset(type.data, p - type.data);
}


/* NGX_DECLINED: it is left alone */

static ngx_int_t
ngx_http_klaviyo_page_encoding(ngx_http_request_t *r,
    ngx_http_klaviyo_answer_t *answer)
{
    ngx_str_t  *coding;

    if (r->headers_out.content_encoding == NULL) {
        return NGX_OK;
    }

    coding = &r->headers_out.content_encoding->value;

    if (coding->len == 0
        || (coding->len == 8
            && ngx_strncasecmp(coding->data, (u_char *) "identity", 8) == 0))
    {
        return NGX_OK;
    }

    if ((coding->len != 4
         || ngx_strncasecmp(coding->data, (u_char *) "gzip", 4) != 0)
        && (coding->len != 6
            || ngx_strncasecmp(coding->data, (u_char *) "x-gzip", 6) != 0)
        && (coding->len != 7
            || ngx_strncasecmp(coding->data, (u_char *) "deflate", 7) != 0))
    {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_UNREADABLE,
                                    KLAVIYO_COUNT_BODY_UNREADABLE);
        return NGX_DECLINED;
    }

    answer->zstream = ngx_pcalloc(r->pool, sizeof(z_stream));

    if (answer->zstream) {
        answer->zstream->zalloc = ngx_http_klaviyo_page_zalloc;
        answer->zstream->zfree = ngx_http_klaviyo_page_zfree;
        answer->zstream->opaque = r->pool;

        if (inflateInit2(answer->zstream, NGX_HTTP_KLAVIYO_PAGE_BITS)
            == Z_OK)
        {
            answer->bare = (coding->len == 7);
            return NGX_OK;
        }
    }

    ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_MEMORY,
                                KLAVIYO_COUNT_BODY_MEMORY);

    return NGX_DECLINED;
}


/* the type without its parameters */

static ngx_str_t
ngx_http_klaviyo_page_content_type(ngx_http_request_t *r)
{
    u_char     *p;
    ngx_str_t   type;

    type = r->headers_out.content_type;

    p = ngx_strlchr(type.data, type.data + type.len, ';');

    if (p) {
        type.len = p - type.data;
    }

    while (type.len && type.data[type.len - 1] == ' ') {
        type.len--;
    }

    return type;
}


static ngx_uint_t
ngx_http_klaviyo_page_is_html(ngx_http_request_t *r)
{
    ngx_str_t  type;

    type = ngx_http_klaviyo_page_content_type(r);

    return (type.len == 9
            && ngx_strncasecmp(type.data, (u_char *) "text/html", 9) == 0)
           || (type.len == 21
               && ngx_strncasecmp(type.data,
                                  (u_char *) "application/xhtml+xml", 21)
                  == 0);
}


/*
 * "application/json", "application/vnd.api+json", "text/javascript",
 * "application/x-javascript"
 */

static ngx_uint_t
ngx_http_klaviyo_page_is_json(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t   type;
    ngx_uint_t  i;

    static ngx_str_t  ends[] = { ngx_string("json"),
                                 ngx_string("javascript") };

    type = ngx_http_klaviyo_page_content_type(r);

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {

        len = ends[i].len;

        if (type.len > len + 1
            && ngx_strncasecmp(type.data + type.len - len, ends[i].data, len)
               == 0
            && ngx_strlchr((u_char *) "/+-", (u_char *) "/+-" + 3,
                           type.data[type.len - len - 1])
               != NULL)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_klaviyo_page_leave(ngx_http_klaviyo_answer_t *answer,
    klaviyo_counter_e page, klaviyo_counter_e body)
{
    ngx_http_klaviyo_ctx_t  *ctx;

    ctx = ngx_http_klaviyo_context(answer->request, 0);

    if (ctx) {
        ctx->answer = NULL;
    }

    klaviyo_ring_count(answer->ring, answer->json ? body : page, 1);
}


static ngx_int_t
ngx_http_klaviyo_page_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_klaviyo_ctx_t  *ctx;

    if (in && r == r->main) {

        ctx = ngx_http_get_module_ctx(r, ngx_http_klaviyo_module);

        if (ctx && ctx->answer && !ctx->answer->over) {
            ngx_http_klaviyo_page_read(ctx->answer, in);
        }
    }

    return ngx_http_klaviyo_next_body_filter(r, in);
}


static void
ngx_http_klaviyo_page_read(ngx_http_klaviyo_answer_t *answer, ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (!answer->begun) {
        answer->begun = 1;

        if (answer->request->headers_out.status == NGX_HTTP_PARTIAL_CONTENT) {
            ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_RANGE,
                                        KLAVIYO_COUNT_BODY_RANGE);
            return;
        }
    }

    for (cl = in; cl; cl = cl->next) {

        b = cl->buf;

        if (ngx_buf_in_memory(b)) {

            rc = answer->zstream
                 ? ngx_http_klaviyo_page_inflate(answer, b->pos,
                                                 b->last - b->pos)
                 : ngx_http_klaviyo_page_take(answer, b->pos,
                                              b->last - b->pos);

            if (rc != NGX_OK) {
                return;
            }

        } else if (ngx_buf_size(b)) {
            ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_UNREADABLE,
                                        KLAVIYO_COUNT_BODY_UNREADABLE);
            return;
        }

        if (b->last_buf) {

            if (answer->zstream && answer->zstream->total_in
                && !answer->inflated)
            {
                ngx_http_klaviyo_page_leave(answer,
                                            KLAVIYO_COUNT_PAGE_UNREADABLE,
                                            KLAVIYO_COUNT_BODY_UNREADABLE);
                return;
            }

            answer->over = 1;

            klaviyo_ring_count(answer->ring,
                               answer->json ? KLAVIYO_COUNT_BODY_READ
                                            : KLAVIYO_COUNT_PAGE_READ, 1);
            return;
        }
    }
}


/*
 * What follows the end of the compressed data is nothing to browsers.  They
 * take "deflate" without the header of zlib too, which names its method.
 */

static ngx_int_t
ngx_http_klaviyo_page_inflate(ngx_http_klaviyo_answer_t *answer, u_char *p,
    size_t len)
{
    int        rc;
    z_stream  *zstream;

    zstream = answer->zstream;

    zstream->next_in = p;
    zstream->avail_in = (u_int) len;

    if (answer->bare && len) {
        answer->bare = 0;

        if ((*p & 0x0f) != Z_DEFLATED
            && inflateReset2(zstream, -MAX_WBITS) != Z_OK)
        {
            ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_UNREADABLE,
                                        KLAVIYO_COUNT_BODY_UNREADABLE);
            return NGX_DECLINED;
        }
    }

    while (!answer->inflated) {

        zstream->next_out = ngx_http_klaviyo_page_piece;
        zstream->avail_out = NGX_HTTP_KLAVIYO_PAGE_PIECE;

        rc = inflate(zstream, Z_NO_FLUSH);

        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
            ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_UNREADABLE,
                                        KLAVIYO_COUNT_BODY_UNREADABLE);
            return NGX_DECLINED;
        }

        answer->inflated = (rc == Z_STREAM_END);

        if (ngx_http_klaviyo_page_take(answer, ngx_http_klaviyo_page_piece,
                                       NGX_HTTP_KLAVIYO_PAGE_PIECE
                                       - zstream->avail_out)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        if (zstream->avail_out) {
            break;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_page_take(ngx_http_klaviyo_answer_t *answer, u_char *p,
    size_t len)
{
    ngx_int_t  rc;

    if (len > answer->size - answer->seen) {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_TOO_LARGE,
                                    KLAVIYO_COUNT_BODY_TOO_LARGE);
        return NGX_DECLINED;
    }

    answer->seen += len;

    rc = answer->page ? klaviyo_page_feed(answer->page, p, len)
                      : ngx_http_klaviyo_page_append(answer, p, len);

    if (rc != NGX_OK) {
        ngx_http_klaviyo_page_leave(answer, KLAVIYO_COUNT_PAGE_MEMORY,
                                    KLAVIYO_COUNT_BODY_MEMORY);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_page_append(ngx_http_klaviyo_answer_t *answer, u_char *p,
    size_t len)
{
    off_t    length;
    size_t   size;
    u_char  *data;

    if (len == 0) {
        return NGX_OK;
    }

    if (answer->body.len + len > answer->allocated) {

        length = answer->request->headers_out.content_length_n;

        size = answer->allocated ? 2 * answer->allocated
               : length > 0 && answer->zstream == NULL
                 ? (size_t) length : NGX_HTTP_KLAVIYO_PAGE_FIRST;

        while (size < answer->body.len + len) {
            size *= 2;
        }

        data = ngx_pnalloc(answer->request->pool, size);
        if (data == NULL) {
            return NGX_ERROR;
        }

        if (answer->body.len) {
            ngx_memcpy(data, answer->body.data, answer->body.len);
        }

        answer->body.data = data;
        answer->allocated = size;
    }

    ngx_memcpy(answer->body.data + answer->body.len, p, len);
    answer->body.len += len;

    return NGX_OK;
}


static void *
ngx_http_klaviyo_page_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}


static void *
ngx_http_klaviyo_page_zalloc(void *data, u_int items, u_int size)
{
    return ngx_palloc(data, (size_t) items * size);
}


/* with the pool */

static void
ngx_http_klaviyo_page_zfree(void *data, void *address)
{
    (void) data;
    (void) address;
}

/*
 * What Klaviyo is asked: method, path, headers, body.
 *
 * Nothing of a request passes but what is named here.  The strings live in
 * the request's pool; the key is not among them.
 */


#include "ngx_http_klaviyo_pass_call.h"
#include "account/ngx_http_klaviyo_walk.h"


/* Accept, Content-Type, revision, and whether that is strict */
#define NGX_HTTP_KLAVIYO_PASS_DEFAULTS  4


static ngx_int_t ngx_http_klaviyo_pass_call_path(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_uint_t ngx_http_klaviyo_pass_call_uri(
    ngx_http_klaviyo_pass_ctx_t *ctx, klaviyo_path_piece_t *pieces);
static klaviyo_path_piece_t *ngx_http_klaviyo_pass_call_pieces(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_int_t ngx_http_klaviyo_pass_call_headers(
    ngx_http_klaviyo_pass_ctx_t *ctx);
static ngx_int_t ngx_http_klaviyo_pass_call_header(
    ngx_http_klaviyo_pass_ctx_t *ctx, const char *name, ngx_str_t *key,
    ngx_str_t *value);
static ngx_uint_t ngx_http_klaviyo_pass_call_hop(ngx_http_request_t *r,
    ngx_str_t *name);


/* PATCH is not: Klaviyo's may append */

static ngx_http_klaviyo_method_t  ngx_http_klaviyo_pass_methods[] = {
    { NGX_HTTP_GET,     "GET",     1, 0 },
    { NGX_HTTP_POST,    "POST",    0, 1 },
    { NGX_HTTP_PATCH,   "PATCH",   0, 1 },
    { NGX_HTTP_DELETE,  "DELETE",  1, 0 },
    { NGX_HTTP_HEAD,    "HEAD",    1, 0 },
    { NGX_HTTP_PUT,     "PUT",     1, 1 },
    { NGX_HTTP_OPTIONS, "OPTIONS", 1, 0 },
    { 0,                NULL,      0, 0 }
};


ngx_int_t
ngx_http_klaviyo_pass_call(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_http_klaviyo_method_t  *method;

    for (method = ngx_http_klaviyo_pass_methods; method->name; method++) {
        if (method->bit == ctx->request->method) {
            break;
        }
    }

    if (method->name == NULL) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    ctx->method = method;
    ctx->call.method = method->name;
    ctx->call.body_len = -1;
    ctx->call.http1 = 1;

    rc = ngx_http_klaviyo_pass_call_path(ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_klaviyo_pass_call_headers(ctx);
}


static ngx_int_t
ngx_http_klaviyo_pass_call_path(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    size_t                 len;
    u_char                *target;
    ngx_str_t              uri;
    ngx_uint_t             i, n;
    ngx_http_request_t    *r;
    klaviyo_path_piece_t  *pieces, uri_pieces[2];

    r = ctx->request;
    pieces = uri_pieces;

    if (ctx->pass->pieces) {
        pieces = ngx_http_klaviyo_pass_call_pieces(ctx);
        if (pieces == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        n = ctx->pass->pieces->nelts;

    } else if (ctx->pass->uri) {

        if (ngx_http_complex_value(r, ctx->pass->uri, &uri) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        n = ngx_http_klaviyo_pass_split(&uri, pieces);

    } else {
        n = ngx_http_klaviyo_pass_call_uri(ctx, pieces);
    }

    len = 0;

    for (i = 0; i < n; i++) {
        len += pieces[i].len;
    }

    target = ngx_pnalloc(r->pool, klaviyo_path_size(len));
    if (target == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (klaviyo_path_target(target, pieces, n) == 0) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "klaviyo_pass: no path of an API of \"%V\"", &r->uri);
        return NGX_HTTP_BAD_REQUEST;
    }

    ctx->call.path = (char *) target;

    return NGX_OK;
}


/*
 * $uri is what the location was chosen by, and access allowed by: decoded,
 * without dots.  It is encoded again, not taken as the client wrote it.
 */

static ngx_uint_t
ngx_http_klaviyo_pass_call_uri(ngx_http_klaviyo_pass_ctx_t *ctx,
    klaviyo_path_piece_t *pieces)
{
    size_t               cut, slash;
    ngx_str_t            path;
    ngx_http_request_t  *r;

    r = ctx->request;
    path = r->uri;

    /* a rewrite may have led away from the location's name */

    cut = r->valid_location ? ngx_min(ctx->pass->prefix, path.len) : 0;
    slash = (cut && path.data[cut - 1] == '/') ? 1 : 0;

    if (cut - slash == path.len) {
        ngx_str_set(&path, "/");

    } else {
        path.data += cut - slash;
        path.len -= cut - slash;
    }

    pieces[0].data = path.data;
    pieces[0].len = path.len;
    pieces[0].kind = KLAVIYO_PATH_PATH;

    pieces[1].data = r->args.data;
    pieces[1].len = r->args.len;
    pieces[1].kind = KLAVIYO_PATH_ARGS;

    return 2;
}


static klaviyo_path_piece_t *
ngx_http_klaviyo_pass_call_pieces(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    u_char                         *p;
    ngx_str_t                       value;
    ngx_uint_t                      i, n;
    ngx_http_request_t             *r;
    klaviyo_path_piece_t           *pieces;
    ngx_http_klaviyo_pass_piece_t  *piece;

    r = ctx->request;
    n = ctx->pass->pieces->nelts;
    piece = ctx->pass->pieces->elts;

    pieces = ngx_palloc(r->pool, n * sizeof(klaviyo_path_piece_t));
    if (pieces == NULL) {
        return NULL;
    }

    for (i = 0; i < n; i++) {

        if (ngx_http_complex_value(r, &piece[i].value, &value) != NGX_OK) {
            return NULL;
        }

        if (piece[i].encoded && value.len) {

            p = ngx_pstrdup(r->pool, &value);
            if (p == NULL) {
                return NULL;
            }

            value.data = p;
            value.len = klaviyo_path_decode(p, value.len);
        }

        pieces[i].data = value.data;
        pieces[i].len = value.len;
        pieces[i].kind = piece[i].kind;
    }

    return pieces;
}


ngx_uint_t
ngx_http_klaviyo_pass_split(ngx_str_t *uri, klaviyo_path_piece_t *pieces)
{
    u_char  *p, *last;

    last = uri->data + uri->len;
    p = ngx_strlchr(uri->data, last, '?');

    pieces[0].data = uri->data;
    pieces[0].len = (p ? p : last) - uri->data;
    pieces[0].kind = KLAVIYO_PATH_PATH;

    if (p == NULL) {
        return 1;
    }

    pieces[1].data = p + 1;
    pieces[1].len = last - (p + 1);
    pieces[1].kind = KLAVIYO_PATH_ARGS;

    return 2;
}


/*
 * A subrequest has the headers of the visitor's request, which its caller did
 * not write: none of them passes.
 */

static ngx_int_t
ngx_http_klaviyo_pass_call_headers(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ngx_str_t            accept, type, revision, strict;
    ngx_uint_t           n;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *header;
    klaviyo_header_e     kind;
    ngx_http_request_t  *r;

    r = ctx->request;

    ctx->call.headers = ngx_palloc(r->pool, NGX_HTTP_KLAVIYO_HEADERS_MAX
                                            * sizeof(char *));
    if (ctx->call.headers == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&accept, "application/vnd.api+json");
    type = accept;
    revision = ctx->pass->account->revision;

    ngx_str_null(&strict);

    if (ctx->pass->account->revision_strict) {
        ngx_str_set(&strict, "1");
    }

    n = 0;
    part = (r == r->main) ? &r->headers_in.headers.part : NULL;

    for ( ;; ) {
        header = ngx_http_klaviyo_walk(&part, &n);

        if (header == NULL) {
            break;
        }

        kind = klaviyo_headers_request(header->key.data, header->key.len);

        if (kind == KLAVIYO_HEADER_STOPS || header->value.len == 0
            || ngx_http_klaviyo_pass_call_hop(r, &header->key))
        {
            continue;
        }

        if (!klaviyo_headers_value(header->value.data, header->value.len)) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "klaviyo_pass: invalid header \"%V\"",
                          &header->key);
            return NGX_HTTP_BAD_REQUEST;
        }

        switch (kind) {

        case KLAVIYO_HEADER_ACCEPT:
            accept = header->value;
            break;

        case KLAVIYO_HEADER_CONTENT_TYPE:
            type = header->value;
            break;

        case KLAVIYO_HEADER_REVISION:
            revision = header->value;
            break;

        default:
            if (header->key.len == sizeof(NGX_HTTP_KLAVIYO_STRICT) - 1
                && ngx_strncasecmp(header->key.data,
                                   (u_char *) NGX_HTTP_KLAVIYO_STRICT,
                                   sizeof(NGX_HTTP_KLAVIYO_STRICT) - 1)
                   == 0)
            {
                strict = header->value;
                break;
            }

            if (ctx->call.nheaders == NGX_HTTP_KLAVIYO_HEADERS_MAX
                                      - NGX_HTTP_KLAVIYO_PASS_DEFAULTS)
            {
                return NGX_HTTP_BAD_REQUEST;
            }

            if (ngx_http_klaviyo_pass_call_header(ctx, NULL, &header->key,
                                                  &header->value)
                != NGX_OK)
            {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }
        }
    }

    if (ngx_http_klaviyo_pass_call_header(ctx, "revision", NULL, &revision)
        != NGX_OK
        || ngx_http_klaviyo_pass_call_header(ctx, "Accept", NULL, &accept)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (strict.len
        && ngx_http_klaviyo_pass_call_header(ctx, NGX_HTTP_KLAVIYO_STRICT,
                                             NULL, &strict)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* one of a body that is not there would be strange */

    if ((ctx->method->body || r->headers_in.content_length_n > 0
         || r->headers_in.chunked)
        && ngx_http_klaviyo_pass_call_header(ctx, "Content-Type", NULL, &type)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_pass_call_header(ngx_http_klaviyo_pass_ctx_t *ctx,
    const char *name, ngx_str_t *key, ngx_str_t *value)
{
    u_char     *p;
    ngx_str_t   own;

    if (key == NULL) {
        own.data = (u_char *) name;
        own.len = ngx_strlen(name);
        key = &own;
    }

    p = ngx_pnalloc(ctx->request->pool, key->len + value->len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->call.headers[ctx->call.nheaders++] = (char *) p;

    ngx_sprintf(p, "%V: %V%Z", key, value);

    return NGX_OK;
}


/* named by Connection: for us, not for who is behind us */

static ngx_uint_t
ngx_http_klaviyo_pass_call_hop(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t        n;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    n = 0;
    part = &r->headers_in.headers.part;

    for ( ;; ) {
        header = ngx_http_klaviyo_walk(&part, &n);

        if (header == NULL) {
            return 0;
        }

        if (ngx_http_klaviyo_is_header(header, "Connection")
            && klaviyo_headers_listed(header->value.data, header->value.len,
                                      name->data, name->len))
        {
            return 1;
        }
    }
}


/*
 * The body of a subrequest is its parent's unless it was given one; without a
 * method that has one, it is none of Klaviyo's.
 */

void
ngx_http_klaviyo_pass_call_body(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    off_t                len;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = ctx->request;

    len = 0;

    if (r->request_body
        && (ctx->method->body || (ctx->method->bit & NGX_HTTP_DELETE)))
    {
        for (cl = r->request_body->bufs; cl; cl = cl->next) {
            len += ngx_buf_size(cl->buf);
        }
    }

    if (len || ctx->method->body) {
        ctx->call.body_len = len;
    }
}


void
ngx_http_klaviyo_pass_call_rewind(ngx_http_klaviyo_pass_ctx_t *ctx)
{
    ctx->body = ctx->request->request_body ? ctx->request->request_body->bufs
                                           : NULL;
    ctx->body_pos = 0;
}


ssize_t
ngx_http_klaviyo_pass_call_read(void *data, u_char *p, size_t size)
{
    ngx_http_klaviyo_pass_ctx_t *ctx = data;

    off_t       left;
    size_t      n, copied;
    ssize_t     got;
    ngx_buf_t  *b;

    copied = 0;

    while (ctx->body && copied < size) {

        b = ctx->body->buf;
        left = ngx_buf_size(b) - ctx->body_pos;

        if (left <= 0) {
            ctx->body = ctx->body->next;
            ctx->body_pos = 0;
            continue;
        }

        n = (size_t) ngx_min(left, (off_t) (size - copied));

        if (ngx_buf_in_memory(b)) {
            ngx_memcpy(p + copied, b->pos + ctx->body_pos, n);

        } else {
            got = ngx_read_file(b->file, p + copied, n,
                                b->file_pos + ctx->body_pos);

            if (got <= 0) {
                return NGX_ERROR;
            }

            n = got;
        }

        ctx->body_pos += n;
        copied += n;
    }

    return copied;
}

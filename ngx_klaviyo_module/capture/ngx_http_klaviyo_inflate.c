/*
 * Inflates a body once for a request: zlib takes its memory from the
 * request's pool.
 */


#include "ngx_http_klaviyo_inflate.h"

#include <zlib.h>


#define NGX_HTTP_KLAVIYO_INFLATE_GZIP  (MAX_WBITS + 16)


static ngx_int_t ngx_http_klaviyo_inflate_text(ngx_http_request_t *r,
    ngx_str_t *text, ngx_str_t *result);
static void *ngx_http_klaviyo_inflate_alloc(void *pool, u_int items,
    u_int size);
static void ngx_http_klaviyo_inflate_free(void *pool, void *address);


ngx_int_t
ngx_http_klaviyo_inflate(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_str_t *text)
{
    ngx_int_t  rc;

    /* JSON and forms do not begin so */

    if (text->len < 18 || text->data[0] != 0x1f || text->data[1] != 0x8b) {
        return NGX_OK;
    }

    if (ctx->deflate.len != text->len
        || ngx_memcmp(ctx->deflate.data, text->data, text->len) != 0)
    {
        rc = ngx_http_klaviyo_inflate_text(r, text, &ctx->inflate);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            ctx->inflate.len = 0;
            ctx->deflated = 1;
        }

        ctx->deflate = *text;
    }

    *text = ctx->inflate;

    return text->len ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_klaviyo_inflate_text(ngx_http_request_t *r, ngx_str_t *text,
    ngx_str_t *result)
{
    int                        rc;
    size_t                     size;
    z_stream                   zstream;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    size = clcf->client_body_buffer_size;

    result->data = ngx_pnalloc(r->pool, size);
    if (result->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&zstream, sizeof(z_stream));

    zstream.zalloc = ngx_http_klaviyo_inflate_alloc;
    zstream.zfree = ngx_http_klaviyo_inflate_free;
    zstream.opaque = r->pool;

    zstream.next_in = text->data;
    zstream.avail_in = (u_int) text->len;
    zstream.next_out = result->data;
    zstream.avail_out = (u_int) size;

    if (inflateInit2(&zstream, NGX_HTTP_KLAVIYO_INFLATE_GZIP) != Z_OK) {
        return NGX_ERROR;
    }

    rc = inflate(&zstream, Z_FINISH);

    result->len = size - zstream.avail_out;

    (void) inflateEnd(&zstream);

    return rc == Z_STREAM_END ? NGX_OK : NGX_DECLINED;
}


static void *
ngx_http_klaviyo_inflate_alloc(void *pool, u_int items, u_int size)
{
    return ngx_palloc(pool, (size_t) items * size);
}


/* with the pool */

static void
ngx_http_klaviyo_inflate_free(void *pool, void *address)
{
    (void) pool;
    (void) address;
}

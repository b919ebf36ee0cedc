/*
 * Bodies of requests in gzip: zlib takes its memory from the pool.
 */


#include "ngx_http_klaviyo_gunzip.h"

#include <zlib.h>


#define NGX_HTTP_KLAVIYO_GUNZIP_BITS  (MAX_WBITS + 16)


static void *ngx_http_klaviyo_gunzip_alloc(void *pool, u_int items,
    u_int size);
static void ngx_http_klaviyo_gunzip_free(void *pool, void *address);


ngx_int_t
ngx_http_klaviyo_gunzip(ngx_pool_t *pool, ngx_str_t *text, size_t size,
    ngx_str_t *result)
{
    int       rc;
    z_stream  zstream;

    result->data = ngx_pnalloc(pool, size);
    if (result->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&zstream, sizeof(z_stream));

    zstream.zalloc = ngx_http_klaviyo_gunzip_alloc;
    zstream.zfree = ngx_http_klaviyo_gunzip_free;
    zstream.opaque = pool;

    zstream.next_in = text->data;
    zstream.avail_in = (u_int) text->len;
    zstream.next_out = result->data;
    zstream.avail_out = (u_int) size;

    if (inflateInit2(&zstream, NGX_HTTP_KLAVIYO_GUNZIP_BITS) != Z_OK) {
        return NGX_ERROR;
    }

    rc = inflate(&zstream, Z_FINISH);

    result->len = size - zstream.avail_out;

    (void) inflateEnd(&zstream);

    return rc == Z_STREAM_END ? NGX_OK : NGX_DECLINED;
}


static void *
ngx_http_klaviyo_gunzip_alloc(void *pool, u_int items, u_int size)
{
    return ngx_palloc(pool, (size_t) items * size);
}


/* with the pool */

static void
ngx_http_klaviyo_gunzip_free(void *pool, void *address)
{
    (void) pool;
    (void) address;
}

#ifndef NGX_HTTP_KLAVIYO_GUNZIP_H
#define NGX_HTTP_KLAVIYO_GUNZIP_H


#include <ngx_config.h>
#include <ngx_core.h>


/* what JSON and forms never begin with */
#define ngx_http_klaviyo_is_gzip(text)                                       \
    ((text)->len >= 18 && (text)->data[0] == 0x1f && (text)->data[1] == 0x8b)


/*
 * Inflates a text into `size` bytes of the pool.  NGX_OK; NGX_DECLINED: it is
 * damaged, or larger; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_klaviyo_gunzip(ngx_pool_t *pool, ngx_str_t *text,
    size_t size, ngx_str_t *result);


#endif /* NGX_HTTP_KLAVIYO_GUNZIP_H */

/*
 * Inflates a body once for a request.
 */


#include "ngx_http_klaviyo_inflate.h"
#include "account/ngx_http_klaviyo_gunzip.h"


ngx_int_t
ngx_http_klaviyo_inflate(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_str_t *text)
{
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *clcf;

    if (!ngx_http_klaviyo_is_gzip(text)) {
        return NGX_OK;
    }

    if (ctx->deflate.len != text->len
        || ngx_memcmp(ctx->deflate.data, text->data, text->len) != 0)
    {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        rc = ngx_http_klaviyo_gunzip(r->pool, text,
                                     clcf->client_body_buffer_size,
                                     &ctx->inflate);

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

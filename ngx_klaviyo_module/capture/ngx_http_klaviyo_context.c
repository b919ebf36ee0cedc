/*
 * What is known of one request: found again behind redirects, and in
 * subrequests the same as in their main request.
 */


#include "ngx_http_klaviyo_context.h"


static void ngx_http_klaviyo_context_cleanup(void *data);



/*
 * An internal redirect clears r->ctx; a cleanup of the pool is there until
 * the end.  Subrequests share the pool of the main request.
 */

ngx_http_klaviyo_ctx_t *
ngx_http_klaviyo_context(ngx_http_request_t *r, ngx_uint_t create)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_klaviyo_ctx_t  *ctx;

    static uint64_t  number;

    ctx = ngx_http_get_module_ctx(r, ngx_http_klaviyo_module);

    if (ctx) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_klaviyo_context_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx->request == r) {
            goto found;
        }
    }

    if (!create) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_klaviyo_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_klaviyo_context_cleanup;

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_klaviyo_ctx_t));

    ctx->request = r;
    ctx->number = ++number;

found:

    ngx_http_set_ctx(r, ctx, ngx_http_klaviyo_module);

    return ctx;
}


static void
ngx_http_klaviyo_context_cleanup(void *data)
{
    (void) data;
}


ngx_http_klaviyo_loc_conf_t *
ngx_http_klaviyo_conf(ngx_http_request_t *r)
{
    ngx_http_klaviyo_ctx_t  *ctx;

    if (ngx_http_klaviyo_redirected(r)) {
        ctx = ngx_http_klaviyo_context(r, 0);

        if (ctx && ctx->conf) {
            return ctx->conf;
        }

        if (ctx && ctx->first) {
            return ctx->first;
        }
    }

    return ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);
}


/* an error_page and X-Accel-Redirect make a GET of any other method */

ngx_uint_t
ngx_http_klaviyo_reads(ngx_http_request_t *r)
{
    u_char  *p;
    size_t   len;

    p = r->request_line.data;
    len = r->request_line.len;

    if (r != r->main || len < sizeof("HEAD ") - 1) {
        return (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) != 0;
    }

    return ngx_strncmp(p, "GET ", 4) == 0 || ngx_strncmp(p, "HEAD ", 5) == 0;
}

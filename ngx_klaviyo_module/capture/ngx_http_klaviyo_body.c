/*
 * klaviyo_request_body: has the body of the request read, so that
 * $request_body is there in the log phase.
 *
 * A body that is known not to fit into memory is left
 * to whoever wants it.
 */


#include "ngx_http_klaviyo_body.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_warn.h"
#include "queue/klaviyo_ring_figures.h"


static void ngx_http_klaviyo_body_ready(ngx_http_request_t *r);


ngx_int_t
ngx_http_klaviyo_body_read(ngx_http_request_t *r)
{
    off_t                         length;
    ngx_int_t                     rc;
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_klaviyo_module);

    if (!klcf->request_body
        || r != r->main
        || r->request_body
        || r->discard_body)
    {
        return NGX_DECLINED;
    }

    length = r->headers_in.content_length_n;

    if (length <= 0 && !r->headers_in.chunked) {
        return NGX_DECLINED;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (length > (off_t) clcf->client_body_buffer_size) {

        ctx = ngx_http_klaviyo_context(r, 1);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->large = 1;

        return NGX_DECLINED;
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_klaviyo_body_ready);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static void
ngx_http_klaviyo_body_ready(ngx_http_request_t *r)
{
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


ngx_uint_t
ngx_http_klaviyo_body_missing(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx)
{
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_klaviyo_conf(r);

    if (ctx->deflated) {
        return 1;
    }

    if ((!klcf->request_body && !ctx->wanted) || r != r->main) {
        return 0;
    }

    if (r->request_body
        && (r->request_body->temp_file || r->request_body_no_buffering))
    {
        return 1;
    }

    /* a large one may be in memory all the same, read by a proxy */

    return ctx->large
           && (r->request_body == NULL || r->request_body->bufs == NULL);
}


ngx_uint_t
ngx_http_klaviyo_body_named(ngx_str_t *text)
{
    return ngx_strnstr(text->data, "request_body", text->len) != NULL;
}


klaviyo_counter_e
ngx_http_klaviyo_body_source(ngx_http_klaviyo_ctx_t *ctx)
{
    return ctx->unread_form ? KLAVIYO_COUNT_VALUE_FORM
                            : KLAVIYO_COUNT_VALUE_SOURCE;
}


void
ngx_http_klaviyo_body_unread(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, klaviyo_ring_t *ring)
{
    static ngx_str_t  size = ngx_string("client_body_buffer_size");
    static ngx_str_t  buffering = ngx_string("proxy_request_buffering");
    static ngx_str_t  encoding = ngx_string("Content-Encoding");

    if (ctx->unread_told) {
        return;
    }

    if (ngx_http_klaviyo_body_missing(r, ctx)) {
        ctx->unread_told = 1;
        klaviyo_ring_count(ring, KLAVIYO_COUNT_VALUE_BODY, 1);

        if (ctx->captured == 0 && ctx->reason == NULL) {
            ctx->reason = klaviyo_counter_names[KLAVIYO_COUNT_VALUE_BODY].name;
        }

        if (ctx->deflated) {
            ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_BODY, &encoding,
                                  "of a request body could not be undone: "
                                  "it is damaged, or more than "
                                  "client_body_buffer_size holds, raise that");

        } else if (r->request_body && r->request_body_no_buffering) {
            ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_BODY, &buffering,
                                  "is off, and a request body was not read "
                                  "for its events: set it on");

        } else {
            ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_BODY, &size,
                                  "is too small, and a request body was not "
                                  "read for its events: raise it");
        }

    } else if (ctx->unread) {
        ctx->unread_told = 1;
        klaviyo_ring_count(ring, ngx_http_klaviyo_body_source(ctx), 1);

        if (ctx->unread_form) {
            ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_FORM, ctx->unread,
                                  "holds no form that klaviyo_form can read, "
                                  "its variables are empty: see what is sent "
                                  "there, JSON is read by klaviyo_json");
            return;
        }

        ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_SOURCE, ctx->unread,
                              "holds no JSON that klaviyo_json can read, its "
                              "variables are empty: see what is sent there, "
                              "a form is read by klaviyo_form");
    }
}

/*
 * What a page view is, and which requests of a page's scripts are views too:
 * routers in the browser fetch the next page as data.
 */


#include "ngx_http_klaviyo_view.h"
#include "ngx_http_klaviyo_enrich.h"
#include "ngx_http_klaviyo_skip.h"
#include "account/ngx_http_klaviyo_compile.h"


static ngx_uint_t ngx_http_klaviyo_view_gets(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_view_is_type(ngx_str_t *type,
    const char *wanted, size_t len);


/* a path, or what says by variables whether it is one */

char *
ngx_http_klaviyo_view_fetch(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track,
    ngx_str_t *word)
{
    ngx_str_t  s;

    s.len = word->len - (sizeof("fetch=") - 1);
    s.data = word->data + sizeof("fetch=") - 1;

    if (ngx_http_klaviyo_compile_slot(cf, &s, &track->fetch) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (track->fetch->lengths == NULL && s.data[0] != '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\": what scripts may fetch is a path "
                           "that begins with \"/\", or a variable that says "
                           "whether this is it", word);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_http_klaviyo_view(ngx_http_request_t *r)
{
    ngx_str_t  *type;

    if (!ngx_http_klaviyo_view_gets(r) || ngx_http_klaviyo_skip_part(r)) {
        return 0;
    }

    if (r->headers_out.status == NGX_HTTP_NOT_MODIFIED) {
        return 1;
    }

    type = &r->headers_out.content_type;

    return ngx_http_klaviyo_view_is_type(type, "text/html",
                                         sizeof("text/html") - 1)
           || ngx_http_klaviyo_view_is_type(type, "application/xhtml+xml",
                                        sizeof("application/xhtml+xml") - 1);
}


ngx_uint_t
ngx_http_klaviyo_view_fetched(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_track_t *track)
{
    ngx_str_t  *uri, value;

    if (track->fetch == NULL || !ngx_http_klaviyo_view_gets(r)) {
        return 0;
    }

    if (ngx_http_complex_value(r, track->fetch, &value) != NGX_OK) {
        return 0;
    }

    if (track->fetch->lengths == NULL) {
        uri = ctx->first ? &ctx->first_uri : &r->uri;

        if (uri->len < value.len
            || ngx_memcmp(uri->data, value.data, value.len) != 0)
        {
            return 0;
        }

    } else if (klaviyo_value_is_no(value.data, value.len)) {
        return 0;
    }

    return ngx_http_klaviyo_skip_script(r) || !ngx_http_klaviyo_skip_part(r);
}


static ngx_uint_t
ngx_http_klaviyo_view_gets(ngx_http_request_t *r)
{
    return ngx_http_klaviyo_reads(r)
           && r->main->method != NGX_HTTP_HEAD;
}


/* with parameters or without */

static ngx_uint_t
ngx_http_klaviyo_view_is_type(ngx_str_t *type, const char *wanted, size_t len)
{
    return type->len >= len
           && ngx_strncasecmp(type->data, (u_char *) wanted, len) == 0;
}

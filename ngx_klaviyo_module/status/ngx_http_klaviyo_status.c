/*
 * status: the directive klaviyo_status, and which form of the figures a
 * request gets: that of the directive's parameter, else of `?format=`, else
 * what its Accept header prefers, JSON in doubt.
 */


#include "ngx_http_klaviyo_status.h"
#include "ngx_http_klaviyo_status_figures.h"
#include "ngx_http_klaviyo_status_html.h"
#include "ngx_http_klaviyo_status_json.h"
#include "ngx_http_klaviyo_status_private.h"

#include "klaviyo_accept.h"

#include "account/ngx_http_klaviyo_walk.h"
#include "ngx_http_klaviyo_status_prometheus.h"


typedef struct {
    ngx_http_handler_pt   handler;   /* of a location that has this form     */
    ngx_str_t             type;      /* the Content-Type                     */
    size_t                type_len;  /* of it without parameters             */
    ngx_str_t             charset;
    size_t              (*size)(ngx_http_klaviyo_status_t *status);
    void                (*write)(klaviyo_json_t *out,
                                 ngx_http_klaviyo_status_t *status);
} ngx_http_klaviyo_status_form_t;


static ngx_int_t ngx_http_klaviyo_status_json_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_status_html_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_status_prometheus_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_status_any_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_status_answer(ngx_http_request_t *r,
    klaviyo_accept_e form);
static ngx_int_t ngx_http_klaviyo_status_choose(ngx_http_request_t *r,
    klaviyo_accept_e *form);
static klaviyo_accept_e ngx_http_klaviyo_status_accept(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_klaviyo_status_headers(ngx_http_request_t *r,
    const ngx_http_klaviyo_status_form_t *form);
static ngx_int_t ngx_http_klaviyo_status_header(ngx_http_request_t *r,
    ngx_str_t *key, ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_status_send(ngx_http_request_t *r,
    const ngx_http_klaviyo_status_form_t *form);


/* in the order of klaviyo_accept_e */

static const ngx_http_klaviyo_status_form_t  ngx_http_klaviyo_status_form[] = {

    { ngx_http_klaviyo_status_json_handler,
      ngx_string("application/json"),
      sizeof("application/json") - 1,
      ngx_null_string,
      ngx_http_klaviyo_status_json_size,
      ngx_http_klaviyo_status_json },

    { ngx_http_klaviyo_status_html_handler,
      ngx_string("text/html"),
      sizeof("text/html") - 1,
      ngx_string("utf-8"),
      ngx_http_klaviyo_status_html_size,
      ngx_http_klaviyo_status_html },

    { ngx_http_klaviyo_status_prometheus_handler,
      ngx_string("text/plain; version=0.0.4; charset=utf-8"),
      sizeof("text/plain") - 1,
      ngx_string("utf-8"),
      ngx_http_klaviyo_status_prometheus_size,
      ngx_http_klaviyo_status_prometheus }
};


char *
ngx_http_klaviyo_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    klaviyo_accept_e           form;
    ngx_http_core_loc_conf_t  *clcf;

    (void) cmd;
    (void) conf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == ngx_http_klaviyo_status_any_handler) {
        return "is duplicate";
    }

    for (form = 0; form < KLAVIYO_ACCEPT_N; form++) {
        if (clcf->handler == ngx_http_klaviyo_status_form[form].handler) {
            return "is duplicate";
        }
    }

    if (cf->args->nelts == 1) {
        clcf->handler = ngx_http_klaviyo_status_any_handler;
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    form = klaviyo_accept_name(value[1].data, value[1].len);

    if (form == KLAVIYO_ACCEPT_N) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": the form of "
                           "\"klaviyo_status\" is \"json\", \"prometheus\" "
                           "or \"html\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_klaviyo_status_form[form].handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_klaviyo_status_json_handler(ngx_http_request_t *r)
{
    return ngx_http_klaviyo_status_answer(r, KLAVIYO_ACCEPT_JSON);
}


static ngx_int_t
ngx_http_klaviyo_status_html_handler(ngx_http_request_t *r)
{
    return ngx_http_klaviyo_status_answer(r, KLAVIYO_ACCEPT_HTML);
}


static ngx_int_t
ngx_http_klaviyo_status_prometheus_handler(ngx_http_request_t *r)
{
    return ngx_http_klaviyo_status_answer(r, KLAVIYO_ACCEPT_PROMETHEUS);
}


static ngx_int_t
ngx_http_klaviyo_status_any_handler(ngx_http_request_t *r)
{
    return ngx_http_klaviyo_status_answer(r, KLAVIYO_ACCEPT_N);
}


/* KLAVIYO_ACCEPT_N: the request chooses */

static ngx_int_t
ngx_http_klaviyo_status_answer(ngx_http_request_t *r, klaviyo_accept_e form)
{
    ngx_int_t  rc;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (form == KLAVIYO_ACCEPT_N) {
        rc = ngx_http_klaviyo_status_choose(r, &form);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_http_klaviyo_status_send(r,
                                        &ngx_http_klaviyo_status_form[form]);
}


/* NGX_OK, or the status of the answer */

static ngx_int_t
ngx_http_klaviyo_status_choose(ngx_http_request_t *r, klaviyo_accept_e *form)
{
    ngx_str_t  value;

    static ngx_str_t  vary = ngx_string("Vary");
    static ngx_str_t  accept = ngx_string("Accept");

    if (ngx_http_arg(r, (u_char *) "format", 6, &value) == NGX_OK) {
        *form = klaviyo_accept_name(value.data, value.len);

        if (*form == KLAVIYO_ACCEPT_N) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "client asked klaviyo_status for an unknown format");
            return NGX_HTTP_BAD_REQUEST;
        }

        return NGX_OK;
    }

    *form = ngx_http_klaviyo_status_accept(r);

    if (ngx_http_klaviyo_status_header(r, &vary, &accept) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


/* nginx may be built without headers_in.accept, and the first alone is there */

static klaviyo_accept_e
ngx_http_klaviyo_status_accept(ngx_http_request_t *r)
{
    ngx_uint_t         n;
    ngx_list_part_t   *part;
    ngx_table_elt_t   *header;
    klaviyo_accept_e   form;

    n = 0;
    part = &r->headers_in.headers.part;

    for ( ;; ) {
        header = ngx_http_klaviyo_walk(&part, &n);

        if (header == NULL) {
            return KLAVIYO_ACCEPT_JSON;
        }

        if (!ngx_http_klaviyo_is_header(header, "Accept")) {
            continue;
        }

        form = klaviyo_accept_read(header->value.data, header->value.len);

        if (form != KLAVIYO_ACCEPT_N) {
            return form;
        }
    }
}


/* the page reads itself anew, but not with `?refresh=0` */

static ngx_int_t
ngx_http_klaviyo_status_headers(ngx_http_request_t *r,
    const ngx_http_klaviyo_status_form_t *form)
{
    ngx_str_t   value;
    ngx_uint_t  i;

    static ngx_str_t  store[] = {
        ngx_string("Cache-Control"), ngx_string("no-store"),
        ngx_string("X-Content-Type-Options"), ngx_string("nosniff"),
        ngx_null_string
    };

    static ngx_str_t  page[] = {
        ngx_string("Content-Security-Policy"),
        ngx_string("default-src 'none'; img-src data:; style-src '"
                   NGX_HTTP_KLAVIYO_STATUS_STYLE_HASH "'; base-uri 'none'; "
                   "form-action 'self'; frame-ancestors 'none'"),
        ngx_string("Referrer-Policy"), ngx_string("no-referrer"),
        ngx_null_string
    };

    static ngx_str_t  refresh[] = {
        ngx_string("Refresh"), ngx_string("10")
    };

    for (i = 0; store[i].len; i += 2) {
        if (ngx_http_klaviyo_status_header(r, &store[i], &store[i + 1])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (form->write != ngx_http_klaviyo_status_html) {
        return NGX_OK;
    }

    for (i = 0; page[i].len; i += 2) {
        if (ngx_http_klaviyo_status_header(r, &page[i], &page[i + 1])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_arg(r, (u_char *) "refresh", 7, &value) == NGX_OK
        && value.len == 1 && value.data[0] == '0')
    {
        return NGX_OK;
    }

    return ngx_http_klaviyo_status_header(r, &refresh[0], &refresh[1]);
}


static ngx_int_t
ngx_http_klaviyo_status_header(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *value)
{
    ngx_table_elt_t  *header;

    header = ngx_list_push(&r->headers_out.headers);
    if (header == NULL) {
        return NGX_ERROR;
    }

    header->hash = 1;
#if (nginx_version >= 1023000)
    header->next = NULL;
#endif
    header->key = *key;
    header->value = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_status_send(ngx_http_request_t *r,
    const ngx_http_klaviyo_status_form_t *form)
{
    size_t                         size;
    ngx_buf_t                     *b;
    ngx_int_t                      rc;
    ngx_chain_t                    out;
    klaviyo_json_t                 writer;
    ngx_http_klaviyo_status_t      status;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

    if (ngx_http_klaviyo_status_read(r->pool, kmcf, &status) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    size = form->size(&status);

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    klaviyo_json_init(&writer, b->pos, size);

    form->write(&writer, &status);

    if (writer.overflow) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "klaviyo status is longer than %uz bytes", size);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = writer.pos;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    if (ngx_http_klaviyo_status_headers(r, form) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_type = form->type;
    r->headers_out.content_type_len = form->type_len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.charset = form->charset;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}

/*
 * The value of an operation, in a request.
 */


#include "ngx_http_klaviyo_op.h"


static ngx_uint_t ngx_http_klaviyo_op_part(ngx_http_request_t *r,
    ngx_http_klaviyo_op_t *op, ngx_str_t *value);



ngx_int_t
ngx_http_klaviyo_op_value(ngx_http_request_t *r, ngx_http_klaviyo_op_t *op,
    ngx_str_t *value)
{
    ngx_http_variable_value_t  *vv;

    if (op->get) {
        return op->get(r, value);
    }

    if (op->index == NGX_ERROR) {
        return ngx_http_complex_value(r, op->value, value);
    }

    if (op->part && ngx_http_klaviyo_op_part(r, op, value)) {
        return NGX_OK;
    }

    vv = ngx_http_get_flushed_variable(r, op->index);

    if (vv == NULL || vv->not_found) {
        value->len = 0;
        return NGX_OK;
    }

    value->len = vv->len;
    value->data = vv->data;

    return NGX_OK;
}


/* 0: nginx has to be asked */

static ngx_uint_t
ngx_http_klaviyo_op_part(ngx_http_request_t *r, ngx_http_klaviyo_op_t *op,
    ngx_str_t *value)
{
    ngx_int_t                   rc;
    ngx_http_variable_t        *v;
    ngx_http_variable_value_t  *vv;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    v = cmcf->variables.elts;
    vv = &r->variables[op->index];

    if (v[op->index].get_handler != op->handler
        || ((vv->valid || vv->not_found) && !vv->no_cacheable))
    {
        return 0;
    }

    rc = op->part(r, &op->key, value);

    if (rc == NGX_DECLINED) {
        value->len = 0;
    }

    return rc != NGX_ABORT;
}

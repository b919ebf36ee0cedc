/*
 * The values of an event: each is asked of the request once, checked where
 * its place in Klaviyo's schema has rules of its own, and measured.
 */


#include "ngx_http_klaviyo_evaluate.h"
#include "ngx_http_klaviyo_amount.h"
#include "ngx_http_klaviyo_attribution.h"
#include "ngx_http_klaviyo_check.h"
#include "ngx_http_klaviyo_defaults.h"
#include "ngx_http_klaviyo_id.h"
#include "ngx_http_klaviyo_op.h"
#include "ngx_http_klaviyo_wait.h"
#include "json/klaviyo_check.h"
#include "queue/klaviyo_ring_figures.h"


static ngx_int_t ngx_http_klaviyo_evaluate_ops(
    ngx_http_klaviyo_values_t *values, ngx_uint_t from, ngx_uint_t to);
static void ngx_http_klaviyo_check(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_op_t *op, ngx_str_t *value);
static ngx_int_t ngx_http_klaviyo_evaluate_identity(
    ngx_http_klaviyo_values_t *values, ngx_http_klaviyo_ctx_t *ctx);
static ngx_uint_t ngx_http_klaviyo_evaluate_has(
    ngx_http_klaviyo_template_t *template, ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_evaluate_rest(
    ngx_http_klaviyo_values_t *values, ngx_http_klaviyo_ctx_t *ctx);
static ngx_int_t ngx_http_klaviyo_evaluate_backfill(
    ngx_http_klaviyo_values_t *values);


/* who it is comes first: most visitors are nobody, and cost no more */

ngx_int_t
ngx_http_klaviyo_evaluate(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_ctx_t *ctx, klaviyo_counter_e *reason)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i, profile, n;
    ngx_http_request_t           *r;
    ngx_http_klaviyo_template_t  *template;

    r = values->request;
    template = values->template;

    profile = template->end[NGX_HTTP_KLAVIYO_UNSET];
    n = template->end[NGX_HTTP_KLAVIYO_PROPERTIES];

    values->size = template->size;
    values->identified = template->identified;

    values->ops = ngx_palloc(r->pool, n * sizeof(ngx_str_t));
    if (values->ops == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_klaviyo_evaluate_ops(values, 0, profile) != NGX_OK
        || ngx_http_klaviyo_evaluate_identity(values, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (values->account->hold
        && ngx_http_klaviyo_wait(values, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!values->identified && ctx->wait.len == 0) {
        *reason = KLAVIYO_COUNT_SKIPPED_ANONYMOUS;
        return NGX_DECLINED;
    }

    if (template->metric.value) {

        if (ngx_http_klaviyo_op_value(r, &template->metric, &values->metric)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (!klaviyo_value_is_metric(values->metric.data, values->metric.len))
        {
            *reason = KLAVIYO_COUNT_SKIPPED_METRIC;
            return NGX_DECLINED;
        }

        values->size += klaviyo_json_string_size(values->metric.len);
    }

    if (ngx_http_klaviyo_evaluate_ops(values, profile, n) != NGX_OK) {
        return NGX_ERROR;
    }

    if (template->defaults) {
        rc = ngx_http_klaviyo_utm(r, template->properties, &values->utm,
                                  &values->nutm);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DONE) {
            klaviyo_ring_count(values->ring, KLAVIYO_COUNT_VALUE_CAMPAIGN, 1);
        }
    }

    if (template->attribution
        && ngx_http_klaviyo_attribution_add(r, values->ring, template,
                                            &values->utm, &values->nutm)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < values->nutm; i++) {
        values->size += values->utm[i].name.len + sizeof(",\"\":") - 1
                        + klaviyo_value_size(KLAVIYO_VALUE_STRING,
                                             values->utm[i].value.len);
    }

    return ngx_http_klaviyo_evaluate_rest(values, ctx);
}


ngx_int_t
ngx_http_klaviyo_evaluate_profile(ngx_http_klaviyo_values_t *values,
    klaviyo_counter_e *reason)
{
    ngx_uint_t                    n;
    ngx_http_klaviyo_template_t  *template;

    template = values->template;
    n = template->end[NGX_HTTP_KLAVIYO_UNSET];

    values->size = template->size;
    values->identified = template->identified;

    values->ops = ngx_pcalloc(values->request->pool, n * sizeof(ngx_str_t));

    if (values->ops == NULL
        || ngx_http_klaviyo_evaluate_ops(values, 0, n) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!(values->identified & NGX_HTTP_KLAVIYO_IS_KNOWN)) {
        *reason = KLAVIYO_COUNT_SKIPPED_ANONYMOUS;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_evaluate_ops(ngx_http_klaviyo_values_t *values,
    ngx_uint_t from, ngx_uint_t to)
{
    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_http_klaviyo_op_t  *op;

    for (i = from; i < to; i++) {

        op = &values->template->ops[i];
        value = &values->ops[i];

        if (op->value == NULL && op->get == NULL) {
            continue;
        }

        if (ngx_http_klaviyo_op_value(values->request, op, value) != NGX_OK) {
            return NGX_ERROR;
        }

        if (value->len == 0) {
            continue;
        }

        if (op->check || op->identifier) {
            ngx_http_klaviyo_check(values, op, value);
        }

        values->size += klaviyo_value_size(op->type, value->len);
    }

    return NGX_OK;
}


/* a value that does not pass becomes empty */

static void
ngx_http_klaviyo_check(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_op_t *op, ngx_str_t *value)
{
    const uint8_t  *p;

    p = value->data;

    value->len = klaviyo_value_trim(&p, value->len);
    value->data = (u_char *) p;

    if (value->len == 0) {
        return;
    }

    if (op->check != NGX_HTTP_KLAVIYO_CHECK_NONE
        && !ngx_http_klaviyo_checked(values->request->pool, op->check,
                                     values->template->phone_country, value))
    {
        klaviyo_ring_count(values->ring,
                           ngx_http_klaviyo_check_counter(op->check), 1);
        value->len = 0;
        return;
    }

    if (op->check == NGX_HTTP_KLAVIYO_CHECK_EMAIL) {
        ngx_http_klaviyo_check_warn(values->request, value->data, value->len);
    }

    values->identified |= op->identifier;
}


/*
 * What the configuration names is the application's word.  A visitor's own
 * claim beside it could turn the one's event into a change of the other.
 */

static ngx_int_t
ngx_http_klaviyo_evaluate_identity(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    klaviyo_identity_text_t  *value;

    if (values->identified & NGX_HTTP_KLAVIYO_IS_KNOWN) {
        return NGX_OK;
    }

    rc = ngx_http_klaviyo_identify(values->request, ctx, values->account,
                                   values->ring, &values->identity);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    value = values->identity.value;

    if (values->identified & NGX_HTTP_KLAVIYO_IS_ANONYMOUS) {
        value[KLAVIYO_IDENTITY_ANONYMOUS_ID].len = 0;
    }

    if (value[KLAVIYO_IDENTITY_EMAIL].len) {
        ngx_http_klaviyo_check_warn(values->request,
                               (u_char *) value[KLAVIYO_IDENTITY_EMAIL].data,
                               value[KLAVIYO_IDENTITY_EMAIL].len);
    }

    values->identified |= NGX_HTTP_KLAVIYO_IS_KNOWN;

    for (i = KLAVIYO_IDENTITY_FIRST_NAME; i < KLAVIYO_IDENTITY_ALL; i++) {

        if (value[i].len
            && ngx_http_klaviyo_evaluate_has(values->template,
                                         &ngx_http_klaviyo_identity_names[i]))
        {
            value[i].len = 0;
        }
    }

    for (i = 0; i < KLAVIYO_IDENTITY_ALL; i++) {
        values->size += sizeof(",\"anonymous_id\":") - 1
                        + klaviyo_json_string_size(value[i].len);
    }

    return NGX_OK;
}


/* 1: an attribute of the profile has this `"name":` */

static ngx_uint_t
ngx_http_klaviyo_evaluate_has(ngx_http_klaviyo_template_t *template,
    ngx_str_t *name)
{
    ngx_str_t   *text;
    ngx_uint_t   i;

    for (i = template->end[NGX_HTTP_KLAVIYO_ID];
         i < template->end[NGX_HTTP_KLAVIYO_ATTRIBUTES];
         i++)
    {
        /* constant neighbours are one operation */

        text = &template->ops[i].text;

        if (text->len >= name->len
            && ngx_strlcasestrn(text->data, text->data + text->len,
                                name->data, name->len - 1))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_klaviyo_evaluate_rest(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_ctx_t *ctx)
{
    ngx_uint_t  bad;

    if (ngx_http_klaviyo_amount_evaluate(values) != NGX_OK
        || ngx_http_klaviyo_time_evaluate(values) != NGX_OK
        || ngx_http_klaviyo_evaluate_backfill(values) != NGX_OK
        || ngx_http_klaviyo_unique_id(values->request, ctx, values->template,
                                      &values->unique_id, &bad)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (bad) {
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_VALUE_UNIQUE_ID, 1);
    }

    values->size += values->value.len
                    + klaviyo_json_string_size(values->unique_id.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_evaluate_backfill(ngx_http_klaviyo_values_t *values)
{
    int                 cut;
    uint8_t             buf[sizeof("false")];
    ngx_str_t           value;
    klaviyo_json_t      json;
    klaviyo_value_rc_e  rc;

    if (values->template->backfill.value == NULL) {
        return NGX_OK;
    }

    if (ngx_http_klaviyo_op_value(values->request,
                                  &values->template->backfill, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    klaviyo_json_init(&json, buf, sizeof(buf));

    rc = klaviyo_value_write(&json, KLAVIYO_VALUE_BOOL, value.data, value.len,
                             &cut);

    if (rc == KLAVIYO_VALUE_BAD) {
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_VALUE_BACKFILL, 1);
    }

    values->backfill = (rc == KLAVIYO_VALUE_OK && buf[0] == 't');

    return NGX_OK;
}

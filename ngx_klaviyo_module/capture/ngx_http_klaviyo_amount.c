/*
 * An event's amount, its currency and its time.  What is constant is checked
 * when the configuration is read, and stands in the track as Klaviyo takes
 * it from then on.
 */


#include "ngx_http_klaviyo_amount.h"
#include "ngx_http_klaviyo_op.h"
#include "ngx_http_klaviyo_warn.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "json/klaviyo_time.h"
#include "queue/klaviyo_ring_figures.h"


static char *ngx_http_klaviyo_amount_parameter(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word, ngx_uint_t *taken);
static char *ngx_http_klaviyo_amount_capture(ngx_conf_t *cf,
    ngx_str_t *amount);
static ngx_uint_t ngx_http_klaviyo_amount_regex(ngx_conf_t *cf);
static char *ngx_http_klaviyo_amount_currency(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);
static char *ngx_http_klaviyo_amount_constant(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);


char *
ngx_http_klaviyo_amount_set(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track)
{
    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   i, taken;

    value = cf->args->elts;

    rv = ngx_http_klaviyo_amount_capture(cf, &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_http_klaviyo_compile_slot(cf, &value[1], &track->value);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    track->form.decimals = -1;

    for (i = 2; i < cf->args->nelts; i++) {

        rv = ngx_http_klaviyo_amount_parameter(cf, track, &value[i], &taken);
        if (rv != NGX_CONF_OK) {
            return rv;
        }

        if (taken) {
            continue;
        }

        if (i > 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": expected \"minor\" "
                               "or \"decimal=\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        rv = ngx_http_klaviyo_compile_slot(cf, &value[2], &track->currency);
        if (rv != NGX_CONF_OK) {
            return rv;
        }

        rv = ngx_http_klaviyo_amount_currency(cf, track);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (track->form.minor && track->currency == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"minor\" needs a currency, which says how many "
                           "decimals there are: write \"value %V USD minor\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_http_klaviyo_amount_constant(cf, track);
}


static char *
ngx_http_klaviyo_amount_parameter(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word, ngx_uint_t *taken)
{
    *taken = 1;

    if (ngx_strcmp(word->data, "minor") == 0) {

        if (track->form.minor) {
            goto duplicate;
        }

        track->form.minor = 1;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(word->data, "decimal=", 8) == 0) {

        if (track->form.decimal) {
            goto duplicate;
        }

        if (word->len != 9
            || (word->data[8] != ',' && word->data[8] != '.'))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": it is \"decimal=,\" "
                               "or \"decimal=.\"", word);
            return NGX_CONF_ERROR;
        }

        track->form.decimal = word->data[8];

        return NGX_CONF_OK;
    }

    *taken = 0;

    return NGX_CONF_OK;

duplicate:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                       word);

    return NGX_CONF_ERROR;
}


char *
ngx_http_klaviyo_amount_dollars(ngx_conf_t *cf, ngx_str_t *text)
{
    u_char     *p;
    ngx_str_t   rest;

    p = text->data;

    if (text->len < 3
        || p[0] != '$' || p[1] < '1' || p[1] > '9'
        || (p[2] != '.' && p[2] != ',' && (p[2] < '0' || p[2] > '9'))
        || ngx_http_klaviyo_amount_regex(cf))
    {
        return NGX_CONF_OK;
    }

    rest.data = p + 1;
    rest.len = text->len - 1;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\": nginx takes \"$%c\" for a "
                       "capture, and no regular expression of this location "
                       "sets it: write %V", text, rest.data[0], &rest);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_amount_capture(ngx_conf_t *cf, ngx_str_t *amount)
{
    u_char  *p, *last;

    if (ngx_http_klaviyo_amount_dollars(cf, amount) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    p = amount->data;
    last = p + amount->len;

    for ( /* void */ ; p + 1 < last; p++) {

        if (p[0] == '$' && p[1] >= '1' && p[1] <= '9') {
            break;
        }
    }

    if (p + 1 >= last || ngx_http_klaviyo_amount_regex(cf)) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "\"$%c\" in the value \"%V\" is a capture, which the "
                       "location does not set: without a \"rewrite\" or a "
                       "\"map\" that does, it is empty",
                       p[1], amount);

    return NGX_CONF_OK;
}


/* 1: a regular expression chooses this location, its server, or this "if" */

static ngx_uint_t
ngx_http_klaviyo_amount_regex(ngx_conf_t *cf)
{
#if (NGX_PCRE)

    ngx_http_conf_ctx_t        *ctx;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_srv_conf_t   *cscf;

    if (!(cf->cmd_type & (NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF))) {
        return 0;
    }

    ctx = cf->ctx;
    clcf = ctx->loc_conf[ngx_http_core_module.ctx_index];
    cscf = ctx->srv_conf[ngx_http_core_module.ctx_index];

    return clcf->regex || clcf->noname || cscf->captures;

#else

    (void) cf;

    return 0;

#endif
}


static char *
ngx_http_klaviyo_amount_currency(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track)
{
    u_char     *code;
    ngx_str_t  *value;

    if (track->currency->lengths) {
        return NGX_CONF_OK;
    }

    value = &track->currency->value;

    code = ngx_pnalloc(cf->pool, KLAVIYO_CURRENCY_LEN);
    if (code == NULL) {
        return NGX_CONF_ERROR;
    }

    track->form.decimals = klaviyo_currency(value->data, value->len, code);

    if (track->form.decimals < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid currency \"%V\": write a code of ISO "
                           "4217, as in USD", value);
        return NGX_CONF_ERROR;
    }

    value->len = KLAVIYO_CURRENCY_LEN;
    value->data = code;

    track->form.currency = code;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_amount_constant(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track)
{
    size_t                 len;
    u_char                *amount;
    ngx_str_t             *value;
    klaviyo_amount_form_t  form;

    if (track->value->lengths) {
        return NGX_CONF_OK;
    }

    value = &track->value->value;
    form = track->form;

    if (track->currency && track->currency->lengths) {
        form.decimals = 2;
    }

    amount = ngx_pnalloc(cf->pool, KLAVIYO_AMOUNT_LEN);
    if (amount == NULL) {
        return NGX_CONF_ERROR;
    }

    if (klaviyo_amount_read(&form, value->data, value->len, amount, &len)
        != KLAVIYO_VALUE_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": write a number, as in 12.50",
                           value);
        return NGX_CONF_ERROR;
    }

    /* a currency that is not known yet may read it in another way */

    if (track->currency == NULL || track->currency->lengths == NULL) {
        value->len = len;
        value->data = amount;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_klaviyo_amount_evaluate(ngx_http_klaviyo_values_t *values)
{
    size_t                        len;
    ngx_str_t                    *value, *currency;
    ngx_http_request_t           *r;
    klaviyo_value_rc_e            rc;
    klaviyo_amount_form_t         form;
    ngx_http_klaviyo_template_t  *template;

    r = values->request;
    template = values->template;
    value = &values->value;

    if (template->value.value == NULL) {
        return NGX_OK;
    }

    if (ngx_http_klaviyo_op_value(r, &template->value, value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value->len == 0) {
        return NGX_OK;
    }

    form = template->form;

    if (template->currency.value) {

        currency = &values->currency;

        if (ngx_http_klaviyo_op_value(r, &template->currency, currency)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        form.decimals = klaviyo_currency(currency->data, currency->len,
                                         values->code);

        if (form.decimals < 0) {
            klaviyo_ring_count(values->ring, KLAVIYO_COUNT_VALUE_CURRENCY, 1);
            ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_CURRENCY, currency,
                                  "is no currency, the event goes without its "
                                  "value: name a code of ISO 4217, or none");
            value->len = 0;
            return NGX_OK;
        }

        currency->len = KLAVIYO_CURRENCY_LEN;
        currency->data = values->code;

        form.currency = values->code;
    }

    rc = klaviyo_amount_read(&form, value->data, value->len, values->amount,
                             &len);

    if (rc == KLAVIYO_VALUE_BAD) {
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_VALUE_AMOUNT, 1);
        ngx_http_klaviyo_warn(r, NGX_HTTP_KLAVIYO_WARN_AMOUNT, value,
                              "is no value that can be read in one way alone, "
                              "the event goes without it: write it as in "
                              "1234.50, or set \"decimal=\"");
    }

    if (rc != KLAVIYO_VALUE_OK) {
        value->len = 0;
        return NGX_OK;
    }

    value->len = len;
    value->data = values->amount;

    return NGX_OK;
}


char *
ngx_http_klaviyo_time_set(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track)
{
    int         zone;
    char       *rv;
    int64_t     t;
    ngx_str_t  *value;

    value = cf->args->elts;

    rv = ngx_http_klaviyo_compile_slot(cf, &value[1], &track->time);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "zone=", 5) != 0
            || (value[2].data[5] != '+' && value[2].data[5] != '-')
            || klaviyo_value_zone(value[2].data + 5, value[2].len - 5, &zone)
               != KLAVIYO_VALUE_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": write the zone as "
                               "in zone=+02:00", &value[2]);
            return NGX_CONF_ERROR;
        }

        track->zone = zone;
    }

    if (track->time->lengths == NULL
        && klaviyo_value_time(value[1].data, value[1].len, ngx_time(),
                              track->zone, &t)
           != KLAVIYO_VALUE_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\": write seconds since 1970 or "
                           "ISO 8601, as in 2026-07-15T12:00:00Z", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_klaviyo_time_evaluate(ngx_http_klaviyo_values_t *values)
{
    int64_t             t;
    ngx_str_t           value;
    klaviyo_value_rc_e  rc;

    values->time = values->request->start_sec;

    if (values->template->time.value == NULL) {
        return NGX_OK;
    }

    if (ngx_http_klaviyo_op_value(values->request, &values->template->time,
                                  &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = klaviyo_value_time(value.data, value.len, ngx_time(),
                            values->template->zone, &t);

    if (rc == KLAVIYO_VALUE_OK) {
        values->time = t;

    } else if (rc == KLAVIYO_VALUE_BAD) {
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_VALUE_TIME, 1);
        ngx_http_klaviyo_warn(values->request, NGX_HTTP_KLAVIYO_WARN_TIME,
                              &value,
                              "is no time of the last years, the event has "
                              "that of its request: write seconds since 1970 "
                              "or ISO 8601");
    }

    return NGX_OK;
}

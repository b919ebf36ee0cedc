/*
 * A template and a request become an event.
 *
 * First every value is evaluated, once; then the size is known, and all is
 * written into one buffer, which never grows.  Between the two nothing of
 * the request is asked for: the worker's scratch is safe to use.
 */


#include "ngx_http_klaviyo_render.h"
#include "ngx_http_klaviyo_evaluate.h"
#include "ngx_http_klaviyo_id.h"
#include "ngx_http_klaviyo_values.h"
#include "json/klaviyo_time.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_SCRATCH  65536


static ngx_int_t ngx_http_klaviyo_render_buffer(
    ngx_http_klaviyo_values_t *values, klaviyo_json_t *json);
static void ngx_http_klaviyo_render_count(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json);
static void ngx_http_klaviyo_write_patch(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json);
static void ngx_http_klaviyo_write_unset(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json);
static ngx_uint_t ngx_http_klaviyo_render_channels(
    ngx_http_klaviyo_values_t *values, ngx_uint_t channels);
static ngx_uint_t ngx_http_klaviyo_render_has(
    ngx_http_klaviyo_values_t *values, const char *name);
static void ngx_http_klaviyo_write_profile(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_uint_t channels);
static void ngx_http_klaviyo_write_channels(klaviyo_json_t *json,
    ngx_uint_t channels);
static void ngx_http_klaviyo_write_head(klaviyo_json_t *json,
    const klaviyo_lane_t *lane, ngx_http_klaviyo_ask_t *ask);
static void ngx_http_klaviyo_write_event(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json);
static void ngx_http_klaviyo_write_section(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_http_klaviyo_section_e section);
static void ngx_http_klaviyo_write_group(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_http_klaviyo_section_e section,
    const char *name, size_t len);
static void ngx_http_klaviyo_write_identity(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, klaviyo_identity_e from, klaviyo_identity_e to);
static ngx_uint_t ngx_http_klaviyo_write_member(
    ngx_http_klaviyo_values_t *values, klaviyo_json_t *json, ngx_str_t *name,
    ngx_uint_t type, ngx_str_t *value);
static void ngx_http_klaviyo_write_text(klaviyo_json_t *json,
    ngx_str_t *text);
static void ngx_http_klaviyo_write_time(klaviyo_json_t *json, int64_t t);


static u_char  ngx_http_klaviyo_scratch[NGX_HTTP_KLAVIYO_SCRATCH];


/* the member of the last event: most are of the same second */

static struct {
    int64_t  time;
    size_t   len;
    uint8_t  text[sizeof(",\"time\":\"\"") - 1 + KLAVIYO_TIME_LEN];
} ngx_http_klaviyo_last_time;


ngx_int_t
ngx_http_klaviyo_render(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule, klaviyo_event_t *event,
    klaviyo_counter_e *reason)
{
    ngx_int_t                   rc;
    ngx_time_t                 *tp;
    klaviyo_json_t              json;
    ngx_http_klaviyo_values_t   values;

    ngx_http_klaviyo_values_zero(&values);

    values.request = r;
    values.template = rule->template;
    values.account = rule->account;
    values.ring = rule->account->ring;

    rc = ngx_http_klaviyo_evaluate(&values, ctx, reason);

    if (rc == NGX_ERROR) {
        *reason = KLAVIYO_COUNT_SKIPPED_MEMORY;
        return NGX_DECLINED;
    }

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (ngx_http_klaviyo_render_buffer(&values, &json) != NGX_OK) {
        *reason = KLAVIYO_COUNT_SKIPPED_MEMORY;
        return NGX_DECLINED;
    }

    ngx_http_klaviyo_write_profile(&values, &json, 0);

    event->profile = json.start;
    event->profile_len = json.pos - json.start;

    ngx_http_klaviyo_write_event(&values, &json);

    event->attributes = event->profile + event->profile_len;
    event->attributes_len = json.pos - event->attributes;

    event->metric = values.named - event->attributes;

    event->unique_id = values.unique_id.data;
    event->unique_id_len = values.unique_id.len;

    tp = ngx_timeofday();
    event->time = (int64_t) tp->sec * 1000 + tp->msec;

    json.repaired |= ctx->repair;

    ngx_http_klaviyo_render_count(&values, &json);

    if (event->profile_len > KLAVIYO_PROFILE_MAX) {
        *reason = KLAVIYO_COUNT_SKIPPED_PROFILE;
        return NGX_DECLINED;
    }

    if (json.overflow) {
        *reason = KLAVIYO_COUNT_SKIPPED_TOO_LARGE;
        return NGX_DECLINED;
    }

    if (values.members > KLAVIYO_PROPERTIES_MAX) {
        *reason = KLAVIYO_COUNT_SKIPPED_PROPERTIES;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_render_person(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule, ngx_http_klaviyo_ask_t *ask,
    klaviyo_event_t *event, klaviyo_counter_e *reason)
{
    ngx_int_t                   rc;
    ngx_uint_t                  channels;
    ngx_time_t                 *tp;
    klaviyo_json_t              json;
    ngx_http_klaviyo_values_t   values;

    static u_char  id[NGX_HTTP_KLAVIYO_ID_LEN];

    ngx_http_klaviyo_values_zero(&values);

    values.request = r;
    values.template = rule->template;
    values.account = rule->account;
    values.ring = rule->account->ring;

    rc = ngx_http_klaviyo_evaluate_profile(&values, reason);

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    channels = 0;

    if (rc == NGX_OK && ask->channels) {
        channels = ngx_http_klaviyo_render_channels(&values, ask->channels);

        if (channels == 0) {
            *reason = KLAVIYO_COUNT_SKIPPED_ANONYMOUS;
            return NGX_DECLINED;
        }
    }

    values.size += klaviyo_json_string_size(NGX_HTTP_KLAVIYO_LIST_MAX)
                   + klaviyo_json_string_size(NGX_HTTP_KLAVIYO_SOURCE_MAX);

    if (rc != NGX_OK
        || ngx_http_klaviyo_render_buffer(&values, &json) != NGX_OK
        || ngx_http_klaviyo_mint(id) != NGX_OK)
    {
        *reason = KLAVIYO_COUNT_SKIPPED_MEMORY;
        return NGX_DECLINED;
    }

    ngx_http_klaviyo_write_profile(&values, &json, channels);

    event->profile = json.start;
    event->profile_len = json.pos - json.start;

    ngx_http_klaviyo_write_head(&json, rule->account->lane, ask);

    event->attributes = event->profile + event->profile_len;
    event->attributes_len = json.pos - event->attributes;

    event->metric = 0;

    event->unique_id = id;
    event->unique_id_len = NGX_HTTP_KLAVIYO_ID_LEN;

    tp = ngx_timeofday();
    event->time = (int64_t) tp->sec * 1000 + tp->msec;

    ngx_http_klaviyo_render_count(&values, &json);

    if (event->profile_len > KLAVIYO_PROFILE_MAX || json.overflow) {
        *reason = KLAVIYO_COUNT_SKIPPED_PROFILE;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_render_buffer(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json)
{
    u_char  *buf;
    size_t   max;

    max = klaviyo_ring_event_max(values->ring);
    max = ngx_min(max, NGX_HTTP_KLAVIYO_EVENT_MAX)
          - ngx_max(values->unique_id.len, NGX_HTTP_KLAVIYO_ID_LEN);

    buf = ngx_http_klaviyo_scratch;

    if (values->size > NGX_HTTP_KLAVIYO_SCRATCH) {
        buf = ngx_pnalloc(values->request->pool, ngx_min(values->size, max));
        if (buf == NULL) {
            return NGX_ERROR;
        }
    }

    klaviyo_json_init(json, buf, ngx_min(values->size, max));

    return NGX_OK;
}


/* what was repaired or cut on the way */

static void
ngx_http_klaviyo_render_count(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json)
{
    if (json->repaired) {
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_REPAIRED_UTF8, 1);
    }

    if (json->cut) {
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_CUT_STRING, 1);
    }

    if (json->number) {
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_CHANGED_NUMBER, 1);
    }

    if (values->list_cut) {
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_CUT_LIST, 1);
    }
}


/* those whose identifier is there; the others are counted */

static ngx_uint_t
ngx_http_klaviyo_render_channels(ngx_http_klaviyo_values_t *values,
    ngx_uint_t channels)
{
    if ((channels & NGX_HTTP_KLAVIYO_CHANNEL_EMAIL)
        && !ngx_http_klaviyo_render_has(values, "email"))
    {
        channels &= ~NGX_HTTP_KLAVIYO_CHANNEL_EMAIL;
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_VALUE_CHANNEL_EMAIL, 1);
    }

    if ((channels & NGX_HTTP_KLAVIYO_CHANNEL_SMS)
        && !ngx_http_klaviyo_render_has(values, "phone_number"))
    {
        channels &= ~NGX_HTTP_KLAVIYO_CHANNEL_SMS;
        klaviyo_ring_count(values->ring, KLAVIYO_COUNT_VALUE_CHANNEL_SMS, 1);
    }

    return channels;
}


static ngx_uint_t
ngx_http_klaviyo_render_has(ngx_http_klaviyo_values_t *values,
    const char *name)
{
    ngx_uint_t              i;
    ngx_http_klaviyo_op_t  *op;

    op = values->template->ops;

    for (i = 0; i < values->template->end[NGX_HTTP_KLAVIYO_ATTRIBUTES]; i++) {

        if (op[i].name.len == ngx_strlen(name)
            && ngx_strncmp(op[i].name.data, name, op[i].name.len) == 0)
        {
            return op[i].value == NULL || values->ops[i].len;
        }
    }

    return 0;
}


static void
ngx_http_klaviyo_write_channels(klaviyo_json_t *json, ngx_uint_t channels)
{
    if (json->pos[-1] != '{') {
        klaviyo_json_literal(json, ",");
    }

    klaviyo_json_literal(json, "\"subscriptions\":{");

    if (channels & NGX_HTTP_KLAVIYO_CHANNEL_EMAIL) {
        klaviyo_json_literal(json, "\"email\":{\"marketing\":"
                                   "{\"consent\":\"SUBSCRIBED\"}}");
    }

    if (channels & NGX_HTTP_KLAVIYO_CHANNEL_SMS) {

        if (json->pos[-1] != '{') {
            klaviyo_json_literal(json, ",");
        }

        klaviyo_json_literal(json, "\"sms\":{\"marketing\":"
                                   "{\"consent\":\"SUBSCRIBED\"}}");
    }

    klaviyo_json_literal(json, "}");
}


static void
ngx_http_klaviyo_write_head(klaviyo_json_t *json, const klaviyo_lane_t *lane,
    ngx_http_klaviyo_ask_t *ask)
{
    klaviyo_json_raw(json, lane->head, ngx_strlen(lane->head));

    if (ask->list.len) {
        klaviyo_json_raw(json, lane->list[0], ngx_strlen(lane->list[0]));
        klaviyo_json_string(json, ask->list.data, ask->list.len,
                            NGX_HTTP_KLAVIYO_LIST_MAX);
        klaviyo_json_raw(json, lane->list[1], ngx_strlen(lane->list[1]));
    }

    klaviyo_json_literal(json, "\"attributes\":{");

    if (ask->source.len) {
        klaviyo_json_literal(json, "\"custom_source\":");
        klaviyo_json_string(json, ask->source.data, ask->source.len,
                            NGX_HTTP_KLAVIYO_SOURCE_MAX);
        klaviyo_json_literal(json, ",");
    }
}


static void
ngx_http_klaviyo_write_profile(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_uint_t channels)
{
    klaviyo_json_literal(json, "{\"type\":\"profile\"");

    ngx_http_klaviyo_write_section(values, json, NGX_HTTP_KLAVIYO_ID);
    ngx_http_klaviyo_write_identity(values, json, KLAVIYO_IDENTITY_ID,
                                    KLAVIYO_IDENTITY_KX);

    klaviyo_json_literal(json, ",\"attributes\":{");

    ngx_http_klaviyo_write_section(values, json, NGX_HTTP_KLAVIYO_ATTRIBUTES);
    ngx_http_klaviyo_write_identity(values, json, KLAVIYO_IDENTITY_KX,
                                    KLAVIYO_IDENTITY_ALL);

    ngx_http_klaviyo_write_group(values, json, NGX_HTTP_KLAVIYO_LOCATION,
                                 "\"location\":{",
                                 sizeof("\"location\":{") - 1);

    ngx_http_klaviyo_write_group(values, json, NGX_HTTP_KLAVIYO_CUSTOM,
                                 "\"properties\":{",
                                 sizeof("\"properties\":{") - 1);

    if (channels) {
        ngx_http_klaviyo_write_channels(json, channels);
    }

    klaviyo_json_literal(json, "}");

    if (values->template->end[NGX_HTTP_KLAVIYO_CUSTOM]
        != values->template->end[NGX_HTTP_KLAVIYO_UNSET])
    {
        ngx_http_klaviyo_write_patch(values, json);
    }

    klaviyo_json_literal(json, "}");
}


/* beside the attributes, as in bulk requests; klaviyo_body.c knows of others */

static void
ngx_http_klaviyo_write_patch(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json)
{
    u_char  *start, *p;

    start = json->pos;

    klaviyo_json_literal(json, ",\"meta\":{\"patch_properties\":{");

    p = json->pos;

    ngx_http_klaviyo_write_group(values, json, NGX_HTTP_KLAVIYO_APPEND,
                                 "\"append\":{", sizeof("\"append\":{") - 1);

    ngx_http_klaviyo_write_group(values, json, NGX_HTTP_KLAVIYO_UNAPPEND,
                                 "\"unappend\":{",
                                 sizeof("\"unappend\":{") - 1);

    ngx_http_klaviyo_write_unset(values, json);

    if (json->pos == p) {
        json->pos = start;
        return;
    }

    klaviyo_json_literal(json, "}}");
}


static void
ngx_http_klaviyo_write_unset(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json)
{
    u_char                 *start, *p;
    ngx_uint_t              i;
    ngx_http_klaviyo_op_t  *op;

    start = json->pos;

    if (json->pos[-1] != '{') {
        klaviyo_json_literal(json, ",");
    }

    klaviyo_json_literal(json, "\"unset\":[");

    p = json->pos;

    for (i = values->template->end[NGX_HTTP_KLAVIYO_UNAPPEND];
         i < values->template->end[NGX_HTTP_KLAVIYO_UNSET];
         i++)
    {
        op = &values->template->ops[i];

        if (op->value
            && klaviyo_value_is_no(values->ops[i].data, values->ops[i].len))
        {
            continue;
        }

        if (json->pos != p) {
            klaviyo_json_literal(json, ",");
        }

        klaviyo_json_raw(json, op->text.data, op->text.len);
    }

    if (json->pos == p) {
        json->pos = start;
        return;
    }

    klaviyo_json_literal(json, "]");
}


static void
ngx_http_klaviyo_write_event(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json)
{
    u_char                       *p;
    ngx_uint_t                    i;
    ngx_http_klaviyo_template_t  *template;

    template = values->template;
    values->members = 0;

    klaviyo_json_literal(json, "\"properties\":{");

    ngx_http_klaviyo_write_section(values, json, NGX_HTTP_KLAVIYO_PROPERTIES);

    for (i = 0; i < values->nutm; i++) {

        if (json->pos[-1] != '{') {
            klaviyo_json_literal(json, ",");
        }

        klaviyo_json_literal(json, "\"");
        klaviyo_json_raw(json, values->utm[i].name.data,
                         values->utm[i].name.len);
        klaviyo_json_literal(json, "\":");
        klaviyo_json_string(json, values->utm[i].value.data,
                            values->utm[i].value.len, KLAVIYO_STRING_MAX);
        values->members++;
    }

    values->named = json->pos + sizeof("},") - 1;

    klaviyo_json_literal(json, "},\"metric\":{\"data\":{\"type\":\"metric\","
                               "\"attributes\":{");
    klaviyo_json_raw(json, template->metric.text.data,
                     template->metric.text.len);

    if (template->metric.value) {
        klaviyo_json_string(json, values->metric.data, values->metric.len,
                            values->metric.len);
    }

    klaviyo_json_literal(json, "}}}");

    if (template->time.text.len && template->time.value == NULL) {
        ngx_http_klaviyo_write_text(json, &template->time.text);

    } else {
        ngx_http_klaviyo_write_time(json, values->time);
    }

    p = json->pos;

    if (template->value.value == NULL) {
        ngx_http_klaviyo_write_text(json, &template->value.text);

    } else {
        (void) ngx_http_klaviyo_write_member(values, json,
                                             &template->value.text,
                                             KLAVIYO_VALUE_NUMBER,
                                             &values->value);
    }

    /* a currency is one of an amount */

    if (json->pos != p) {

        if (template->currency.value == NULL) {
            ngx_http_klaviyo_write_text(json, &template->currency.text);

        } else {
            (void) ngx_http_klaviyo_write_member(values, json,
                                                 &template->currency.text,
                                                 KLAVIYO_VALUE_STRING,
                                                 &values->currency);
        }
    }

    klaviyo_json_literal(json, ",\"unique_id\":");
    klaviyo_json_string(json, values->unique_id.data, values->unique_id.len,
                        KLAVIYO_UNIQUE_ID_MAX);

    if (values->backfill) {
        klaviyo_json_literal(json, ",\"backfill\":true");

    } else if (template->backfill.value == NULL) {
        ngx_http_klaviyo_write_text(json, &template->backfill.text);
    }
}


static void
ngx_http_klaviyo_write_section(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_http_klaviyo_section_e section)
{
    u_char                 *start;
    ngx_str_t              *value;
    ngx_uint_t              i;
    ngx_http_klaviyo_op_t  *op;

    i = section ? values->template->end[section - 1] : 0;

    for ( /* void */ ; i < values->template->end[section]; i++) {

        op = &values->template->ops[i];
        value = &values->ops[i];

        if (op->value == NULL && op->get == NULL) {
            ngx_http_klaviyo_write_text(json, &op->text);
            values->members += op->members;
            continue;
        }

        if (value->len == 0) {
            continue;
        }

        /* most are texts, and not of blanks alone */

        if (op->type == KLAVIYO_VALUE_STRING && *value->data > ' ') {
            start = json->pos;

            ngx_http_klaviyo_write_text(json, &op->text);
            klaviyo_json_string(json, value->data, value->len,
                                KLAVIYO_STRING_MAX);
            values->members++;

            if (json->overflow) {
                json->pos = start;
            }

            continue;
        }

        values->members += ngx_http_klaviyo_write_member(values, json,
                                                         &op->text, op->type,
                                                         value);
    }
}


/* an object around the section, or nothing if it would be empty */

static void
ngx_http_klaviyo_write_group(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_http_klaviyo_section_e section,
    const char *name, size_t len)
{
    u_char  *start, *p;

    if (values->template->end[section - 1] == values->template->end[section])
    {
        return;
    }

    start = json->pos;

    if (json->pos[-1] != '{') {
        klaviyo_json_literal(json, ",");
    }

    klaviyo_json_raw(json, name, len);

    p = json->pos;

    ngx_http_klaviyo_write_section(values, json, section);

    if (json->pos == p) {
        json->pos = start;
        return;
    }

    klaviyo_json_literal(json, "}");
}


static void
ngx_http_klaviyo_write_identity(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, klaviyo_identity_e from, klaviyo_identity_e to)
{
    klaviyo_identity_e        i;
    klaviyo_identity_text_t  *value;

    value = values->identity.value;

    for (i = from; i < to; i++) {

        if (value[i].len) {
            ngx_http_klaviyo_write_text(json,
                                        &ngx_http_klaviyo_identity_names[i]);
            klaviyo_json_string(json, value[i].data, value[i].len,
                                KLAVIYO_IDENTITY_MAX);
        }
    }
}


/* finished members, behind a comma where one is due */

static void
ngx_http_klaviyo_write_text(klaviyo_json_t *json, ngx_str_t *text)
{
    if (text->len == 0) {
        return;
    }

    if (json->pos[-1] != '{') {
        klaviyo_json_literal(json, ",");
    }

    klaviyo_json_raw(json, text->data, text->len);
}


static void
ngx_http_klaviyo_write_time(klaviyo_json_t *json, int64_t t)
{
    uint8_t         time[KLAVIYO_TIME_LEN];
    klaviyo_json_t  text;

    if (ngx_http_klaviyo_last_time.time != t
        || ngx_http_klaviyo_last_time.len == 0)
    {
        klaviyo_value_format_time(time, t);

        klaviyo_json_init(&text, ngx_http_klaviyo_last_time.text,
                          sizeof(ngx_http_klaviyo_last_time.text));
        klaviyo_json_literal(&text, ",\"time\":\"");
        klaviyo_json_raw(&text, time, KLAVIYO_TIME_LEN);
        klaviyo_json_literal(&text, "\"");

        ngx_http_klaviyo_last_time.time = t;
        ngx_http_klaviyo_last_time.len = text.pos - text.start;
    }

    klaviyo_json_raw(json, ngx_http_klaviyo_last_time.text,
                     ngx_http_klaviyo_last_time.len);
}


/* 1, or 0: there is no value, and nothing was written */

static ngx_uint_t
ngx_http_klaviyo_write_member(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_str_t *name, ngx_uint_t type, ngx_str_t *value)
{
    int                 cut;
    u_char             *start;
    ngx_uint_t          number;
    klaviyo_counter_e   counter;
    klaviyo_value_rc_e  rc;

    if (value->len == 0) {
        return 0;
    }

    cut = 0;
    start = json->pos;
    number = json->number;

    ngx_http_klaviyo_write_text(json, name);

    rc = klaviyo_value_write(json, type, value->data, value->len, &cut);

    if (cut) {
        values->list_cut = 1;
    }

    /* an amount as text would be none */

    if (rc == KLAVIYO_VALUE_OK
        && name == &values->template->value.text
        && json->number && !number)
    {
        json->number = 0;
        rc = KLAVIYO_VALUE_BAD;
    }

    if (rc == KLAVIYO_VALUE_OK) {
        return 1;
    }

    json->pos = start;

    if (rc == KLAVIYO_VALUE_EMPTY) {
        return 0;
    }

    if (name == &values->template->value.text) {
        counter = KLAVIYO_COUNT_VALUE_AMOUNT;

    } else if (type == KLAVIYO_VALUE_NUMBER) {
        counter = KLAVIYO_COUNT_VALUE_NUMBER;

    } else if (type == KLAVIYO_VALUE_BOOL) {
        counter = KLAVIYO_COUNT_VALUE_BOOL;

    } else {
        counter = KLAVIYO_COUNT_VALUE_JSON;
    }

    klaviyo_ring_count(values->ring, counter, 1);

    return 0;
}

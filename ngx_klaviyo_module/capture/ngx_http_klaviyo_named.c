/*
 * What the application says in JSON, as a template: that of the location is
 * copied without what is said anew, and what is said is added as operations
 * whose values are constant.  From there on it is an event as any other, with
 * the same checks.
 *
 * It is said of an event that the application names in a header, or, by
 * klaviyo_enrich, of one that the configuration names.  What klaviyo_enrich
 * brought is the word of the application, but that of the track's own block is
 * of this event: where that is not empty, it stays.
 */


#include "ngx_http_klaviyo_named.h"
#include "ngx_http_klaviyo_check.h"
#include "ngx_http_klaviyo_field.h"
#include "ngx_http_klaviyo_op.h"
#include "json/klaviyo_plain.h"
#include "queue/klaviyo_ring_figures.h"


/* what is known of a member of `profile` or `properties` */

typedef struct {
    ngx_str_t                    name;        /* decoded                    */
    klaviyo_slice_t              json;        /* the name, with its quotes  */
    klaviyo_slice_t              value;
    ngx_http_klaviyo_known_t    *known;
    ngx_http_klaviyo_section_e   section;     /* _SECTIONS: left out        */
    unsigned                     legacy:1;    /* by a name of old           */
} ngx_http_klaviyo_member_t;


static ngx_int_t ngx_http_klaviyo_named_template(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule, klaviyo_named_t *named,
    ngx_http_klaviyo_rule_t *result, klaviyo_counter_e left_out);
static ngx_int_t ngx_http_klaviyo_named_fields(ngx_http_request_t *r,
    klaviyo_named_t *named, ngx_array_t *fields);
static ngx_int_t ngx_http_klaviyo_named_property(ngx_http_request_t *r,
    ngx_array_t *fields, klaviyo_slice_t *name, klaviyo_slice_t *value);
static ngx_int_t ngx_http_klaviyo_named_attribute(ngx_http_request_t *r,
    ngx_array_t *fields, klaviyo_slice_t *name, klaviyo_slice_t *value);
static ngx_int_t ngx_http_klaviyo_named_ops(ngx_http_request_t *r,
    klaviyo_named_t *named, ngx_http_klaviyo_template_t *base,
    ngx_http_klaviyo_template_t *template, ngx_array_t *fields,
    ngx_uint_t merge);
static ngx_int_t ngx_http_klaviyo_named_who(ngx_http_request_t *r,
    ngx_array_t *fields, ngx_uint_t country);
static ngx_uint_t ngx_http_klaviyo_named_has(ngx_array_t *fields,
    ngx_http_klaviyo_section_e section, ngx_str_t *name);
static ngx_uint_t ngx_http_klaviyo_named_is_nothing(klaviyo_slice_t *value);
static ngx_int_t ngx_http_klaviyo_named_field(ngx_http_request_t *r,
    ngx_http_klaviyo_op_t *op, ngx_http_klaviyo_member_t *field);
static ngx_int_t ngx_http_klaviyo_named_name(ngx_http_request_t *r,
    ngx_http_klaviyo_member_t *field, ngx_str_t *text);
static ngx_int_t ngx_http_klaviyo_named_properties(ngx_http_request_t *r,
    ngx_http_klaviyo_template_t *base, ngx_http_klaviyo_template_t *template,
    ngx_array_t *fields);
static ngx_int_t ngx_http_klaviyo_named_rest(ngx_http_request_t *r,
    klaviyo_named_t *named, ngx_http_klaviyo_template_t *template);
static ngx_int_t ngx_http_klaviyo_named_op(ngx_http_request_t *r,
    ngx_http_klaviyo_op_t *op, ngx_uint_t type, klaviyo_slice_t *value);
static ngx_int_t ngx_http_klaviyo_named_member(ngx_http_request_t *r,
    klaviyo_named_t *named, ngx_http_klaviyo_template_t *template,
    ngx_uint_t i);
static ngx_int_t ngx_http_klaviyo_named_text(ngx_http_request_t *r,
    klaviyo_slice_t *json, ngx_str_t *text);
static ngx_int_t ngx_http_klaviyo_named_merge_fields(ngx_http_request_t *r,
    ngx_http_klaviyo_template_t *base, ngx_array_t *fields);
static ngx_int_t ngx_http_klaviyo_named_merge_rest(ngx_http_request_t *r,
    klaviyo_named_t *named, ngx_http_klaviyo_template_t *template);
static ngx_int_t ngx_http_klaviyo_named_merge_says(ngx_http_request_t *r,
    ngx_http_klaviyo_op_t *op);


ngx_int_t
ngx_http_klaviyo_named_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule, klaviyo_named_t *named,
    ngx_http_klaviyo_rule_t *result)
{
    return ngx_http_klaviyo_named_template(r, rule, named, result,
                                           KLAVIYO_COUNT_VALUE_HEADER);
}


ngx_int_t
ngx_http_klaviyo_named_merge(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule, klaviyo_named_t *named,
    ngx_http_klaviyo_rule_t *result)
{
    klaviyo_named_t  copy;

    /* it says something for each rule, and this is counted for each */

    copy = *named;

    return ngx_http_klaviyo_named_template(r, rule, &copy, result,
                                           KLAVIYO_COUNT_VALUE_ENRICH);
}


/* whose word it is tells the counter of what is left out of it */

static ngx_int_t
ngx_http_klaviyo_named_template(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule, klaviyo_named_t *named,
    ngx_http_klaviyo_rule_t *result, klaviyo_counter_e left_out)
{
    ngx_uint_t                    merge;
    ngx_array_t                   fields;
    ngx_http_klaviyo_template_t  *template;

    merge = (left_out == KLAVIYO_COUNT_VALUE_ENRICH);

    template = ngx_palloc(r->pool, sizeof(ngx_http_klaviyo_template_t));
    if (template == NULL) {
        return NGX_ERROR;
    }

    *template = *rule->template;

    if (ngx_array_init(&fields, r->pool, 8, sizeof(ngx_http_klaviyo_member_t))
        != NGX_OK
        || ngx_http_klaviyo_named_fields(r, named, &fields) != NGX_OK
        || (merge && ngx_http_klaviyo_named_merge_fields(r, template, &fields)
                     != NGX_OK)
        || ngx_http_klaviyo_named_ops(r, named, rule->template, template,
                                      &fields, merge)
           != NGX_OK
        || ngx_http_klaviyo_named_properties(r, rule->template, template,
                                             &fields)
           != NGX_OK
        || (merge ? ngx_http_klaviyo_named_merge_rest(r, named, template)
                  : ngx_http_klaviyo_named_rest(r, named, template))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (named->left_out) {
        klaviyo_ring_count(rule->account->ring, left_out, named->left_out);
    }

    *result = *rule;
    result->template = template;

    return NGX_OK;
}


/*
 * The members of both objects, each with the place that it will have.  Of two
 * with one name the last holds, and Klaviyo's own name before the one of old.
 */

static ngx_int_t
ngx_http_klaviyo_named_fields(ngx_http_request_t *r, klaviyo_named_t *named,
    ngx_array_t *fields)
{
    size_t            names;
    ngx_int_t         rc;
    ngx_uint_t        i;
    klaviyo_scan_t    scan;
    klaviyo_slice_t  *object, name, value;

    for (i = KLAVIYO_NAMED_PROFILE; i <= KLAVIYO_NAMED_PROPERTIES; i++) {

        object = &named->member[i];

        if (object->len == 0) {
            continue;
        }

        /* a member has five bytes at least, with its comma */

        names = ngx_min(named->names, object->len / 5 + 1);

        if (klaviyo_scan_names(object, names) == -1) {
            named->left_out++;
            object->len = 0;
            continue;
        }

        klaviyo_scan_enter(&scan, object);

        while (klaviyo_scan_next(&scan, &name)) {

            klaviyo_scan_value(&scan, &value);

            if (!klaviyo_scan_is_last(object->data, &name)) {
                continue;
            }

            if (name.len == sizeof("\"\"") - 1) {
                named->left_out++;
                continue;
            }

            rc = i == KLAVIYO_NAMED_PROFILE
                 ? ngx_http_klaviyo_named_attribute(r, fields, &name, &value)
                 : ngx_http_klaviyo_named_property(r, fields, &name, &value);

            if (rc != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_named_property(ngx_http_request_t *r, ngx_array_t *fields,
    klaviyo_slice_t *name, klaviyo_slice_t *value)
{
    ngx_http_klaviyo_member_t  *field;

    if (klaviyo_named_legacy(name) != KLAVIYO_NAMED_N) {
        return NGX_OK;
    }

    field = ngx_array_push(fields);
    if (field == NULL) {
        return NGX_ERROR;
    }

    field->json = *name;
    field->value = *value;
    field->known = NULL;
    field->section = NGX_HTTP_KLAVIYO_PROPERTIES;
    field->legacy = 0;

    return ngx_http_klaviyo_named_text(r, name, &field->name);
}


static ngx_int_t
ngx_http_klaviyo_named_attribute(ngx_http_request_t *r, ngx_array_t *fields,
    klaviyo_slice_t *name, klaviyo_slice_t *value)
{
    u_char                     *p;
    ngx_str_t                   text;
    ngx_uint_t                  i, legacy;
    ngx_http_klaviyo_known_t   *known;
    ngx_http_klaviyo_member_t  *field;

    if (ngx_http_klaviyo_named_text(r, name, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    legacy = 0;
    known = ngx_http_klaviyo_field_known(&text);

    if (known == NULL) {
        known = ngx_http_klaviyo_field_legacy(&text);
        legacy = (known != NULL);
    }

    field = fields->elts;

    for (i = 0; known && i < fields->nelts; i++) {

        if (field[i].known != known) {
            continue;
        }

        if (legacy && !field[i].legacy) {
            return NGX_OK;
        }

        break;
    }

    field = (known && i < fields->nelts) ? &field[i] : ngx_array_push(fields);
    if (field == NULL) {
        return NGX_ERROR;
    }

    field->name = text;
    field->json = *name;
    field->value = *value;
    field->known = known;
    field->section = known ? known->section : NGX_HTTP_KLAVIYO_CUSTOM;
    field->legacy = legacy;

    if (!legacy) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, known->name.len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    field->name = known->name;
    field->json.data = p;
    field->json.len = known->name.len + 2;

    *p++ = '"';
    p = ngx_cpymem(p, known->name.data, known->name.len);
    *p = '"';

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_named_ops(ngx_http_request_t *r, klaviyo_named_t *named,
    ngx_http_klaviyo_template_t *base, ngx_http_klaviyo_template_t *template,
    ngx_array_t *fields, ngx_uint_t merge)
{
    ngx_int_t                   rc, who;
    ngx_uint_t                  i, j, n;
    ngx_http_klaviyo_op_t      *op, *from;
    ngx_http_klaviyo_member_t  *field;

    field = fields->elts;

    n = base->end[NGX_HTTP_KLAVIYO_PROPERTIES] + fields->nelts;

    op = ngx_pcalloc(r->pool, n * sizeof(ngx_http_klaviyo_op_t));
    if (op == NULL) {
        return NGX_ERROR;
    }

    template->ops = op;
    template->identified = 0;

    j = 0;

    who = ngx_http_klaviyo_named_who(r, fields, base->phone_country);
    if (who == NGX_ERROR) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_KLAVIYO_SECTIONS; i++) {

        for ( /* void */ ; j < base->end[i]; j++) {

            from = &base->ops[j];

            if (ngx_http_klaviyo_named_has(fields, i, &from->name)
                || (who == NGX_OK
                    && from->identifier == NGX_HTTP_KLAVIYO_IS_KNOWN))
            {
                template->merged |= merge;
                continue;
            }

            if (from->value == NULL && from->get == NULL) {
                template->identified |= from->identifier;
            }

            *op++ = *from;
        }

        for (n = 0; n < fields->nelts; n++) {

            if (field[n].section != i) {
                continue;
            }

            rc = ngx_http_klaviyo_named_field(r, op, &field[n]);

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (rc == NGX_DECLINED) {
                named->left_out++;
                continue;
            }

            if (merge && !ngx_http_klaviyo_named_is_nothing(&field[n].value)) {
                template->merged = 1;
            }

            template->size += op->text.len + 1;
            op++;
        }

        template->end[i] = op - template->ops;
    }

    return NGX_OK;
}


/*
 * NGX_OK: the event names who it is of; or NGX_DECLINED.  The location's
 * identifiers beside it may be a visitor's claim, and Klaviyo would make one
 * profile of both.
 */

static ngx_int_t
ngx_http_klaviyo_named_who(ngx_http_request_t *r, ngx_array_t *fields,
    ngx_uint_t country)
{
    ngx_str_t                   text;
    ngx_uint_t                  i;
    const uint8_t              *p;
    klaviyo_scan_type_e         type;
    ngx_http_klaviyo_member_t  *field;

    field = fields->elts;

    for (i = 0; i < fields->nelts; i++) {

        if (field[i].known == NULL
            || field[i].known->identifier != NGX_HTTP_KLAVIYO_IS_KNOWN)
        {
            continue;
        }

        type = klaviyo_scan_type(field[i].value.data);

        text.len = field[i].value.len;
        text.data = (u_char *) field[i].value.data;

        if (type == KLAVIYO_SCAN_STRING) {

            if (ngx_http_klaviyo_named_text(r, &field[i].value, &text)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

        } else if (type != KLAVIYO_SCAN_NUMBER) {
            continue;
        }

        p = text.data;

        text.len = klaviyo_value_trim(&p, text.len);
        text.data = (u_char *) p;

        if (text.len
            && ngx_http_klaviyo_checked(r->pool, field[i].known->check,
                                        country, &text))
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_klaviyo_named_has(ngx_array_t *fields,
    ngx_http_klaviyo_section_e section, ngx_str_t *name)
{
    ngx_uint_t                  i;
    ngx_http_klaviyo_member_t  *field;

    field = fields->elts;

    for (i = 0; i < fields->nelts; i++) {

        if (field[i].section == section
            && field[i].name.len == name->len
            && ngx_memcmp(field[i].name.data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* null and "" remove what there is, and add nothing */

static ngx_uint_t
ngx_http_klaviyo_named_is_nothing(klaviyo_slice_t *value)
{
    return klaviyo_scan_type(value->data) == KLAVIYO_SCAN_NULL
           || (value->len == 2 && value->data[0] == '"');
}


/* NGX_DECLINED: the field is of a type that its place does not take */

static ngx_int_t
ngx_http_klaviyo_named_field(ngx_http_request_t *r, ngx_http_klaviyo_op_t *op,
    ngx_http_klaviyo_member_t *field)
{
    ngx_uint_t                 type;
    klaviyo_scan_type_e        json;
    ngx_http_klaviyo_known_t  *known;

    known = field->known;
    json = klaviyo_scan_type(field->value.data);

    type = KLAVIYO_VALUE_JSON;

    if (known && json != KLAVIYO_SCAN_NULL) {

        if (json != KLAVIYO_SCAN_STRING && json != KLAVIYO_SCAN_NUMBER) {
            return NGX_DECLINED;
        }

        type = KLAVIYO_VALUE_STRING;

        if (known->degrees && json == KLAVIYO_SCAN_NUMBER) {
            type = KLAVIYO_VALUE_NUMBER;
        }
    }

    if (ngx_http_klaviyo_named_name(r, field, &op->text) != NGX_OK) {
        return NGX_ERROR;
    }

    op->name = field->name;

    if (known && json != KLAVIYO_SCAN_NULL) {
        op->check = known->check;
        op->identifier = known->identifier;
    }

    return ngx_http_klaviyo_named_op(r, op, type, &field->value);
}


/* the name with its colon; what is no character in it is repaired */

static ngx_int_t
ngx_http_klaviyo_named_name(ngx_http_request_t *r,
    ngx_http_klaviyo_member_t *field, ngx_str_t *text)
{
    size_t           len, size;
    klaviyo_json_t   json;
    const uint8_t   *last;

    last = field->json.data + field->json.len - 1;

    if (klaviyo_plain(field->json.data + 1, last) == last) {
        len = field->json.len;
        size = len + 1;

    } else {
        len = 0;
        size = klaviyo_json_string_size(field->name.len) + 1;
    }

    text->data = ngx_pnalloc(r->pool, size);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    klaviyo_json_init(&json, text->data, size);

    if (len) {
        klaviyo_json_raw(&json, field->json.data, len);

    } else {
        klaviyo_json_string(&json, field->name.data, field->name.len, size);
    }

    klaviyo_json_literal(&json, ":");

    text->len = json.pos - json.start;

    return NGX_OK;
}


/* the names that the arguments utm_* give way to */

static ngx_int_t
ngx_http_klaviyo_named_properties(ngx_http_request_t *r,
    ngx_http_klaviyo_template_t *base, ngx_http_klaviyo_template_t *template,
    ngx_array_t *fields)
{
    ngx_uint_t                  i, n;
    ngx_array_t                *properties;
    ngx_http_klaviyo_field_t   *property;
    ngx_http_klaviyo_member_t  *field;

    n = base->properties ? base->properties->nelts : 0;

    properties = ngx_array_create(r->pool, n + fields->nelts + 1,
                                  sizeof(ngx_http_klaviyo_field_t));
    if (properties == NULL) {
        return NGX_ERROR;
    }

    if (n) {
        ngx_memcpy(properties->elts, base->properties->elts,
                   n * sizeof(ngx_http_klaviyo_field_t));
        properties->nelts = n;
    }

    field = fields->elts;

    for (i = 0; i < fields->nelts; i++) {

        if (field[i].section != NGX_HTTP_KLAVIYO_PROPERTIES) {
            continue;
        }

        property = ngx_array_push(properties);
        if (property == NULL) {
            return NGX_ERROR;
        }

        property->name = field[i].name;
        property->patch = 0;
    }

    template->properties = properties;

    return NGX_OK;
}


/* an event without a metric fails the check that it must have one */

static ngx_int_t
ngx_http_klaviyo_named_rest(ngx_http_request_t *r, klaviyo_named_t *named,
    ngx_http_klaviyo_template_t *template)
{
    ngx_uint_t  i;

    if (named->member[KLAVIYO_NAMED_VALUE].len) {
        ngx_memzero(&template->currency, sizeof(ngx_http_klaviyo_op_t));
    }

    for (i = KLAVIYO_NAMED_METRIC; i <= KLAVIYO_NAMED_BACKFILL; i++) {

        if ((named->member[i].len || i == KLAVIYO_NAMED_METRIC)
            && ngx_http_klaviyo_named_member(r, named, template, i) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_named_member(ngx_http_request_t *r, klaviyo_named_t *named,
    ngx_http_klaviyo_template_t *template, ngx_uint_t i)
{
    ngx_http_klaviyo_op_t  *op;

    /* in the order of klaviyo_named_member_e */

    struct {
        ngx_http_klaviyo_op_t  *op;
        ngx_str_t               text;
        ngx_uint_t              type;
    } rest[] = {
        { &template->metric, ngx_string("\"name\":"),
          KLAVIYO_VALUE_STRING },
        { &template->value, ngx_string("\"value\":"),
          KLAVIYO_VALUE_NUMBER },
        { &template->currency, ngx_string("\"value_currency\":"),
          KLAVIYO_VALUE_STRING },
        { &template->unique_id, ngx_null_string, KLAVIYO_VALUE_STRING },
        { &template->time, ngx_null_string, KLAVIYO_VALUE_STRING },
        { &template->backfill, ngx_null_string, KLAVIYO_VALUE_BOOL }
    };

    op = rest[i].op;

    ngx_memzero(op, sizeof(ngx_http_klaviyo_op_t));

    op->text = rest[i].text;

    /* JSON says what it means: the location's form is not of this amount */

    if (i == KLAVIYO_NAMED_VALUE || i == KLAVIYO_NAMED_CURRENCY) {
        ngx_memzero(&template->form, sizeof(klaviyo_amount_form_t));
        template->form.decimals = -1;
    }

    return ngx_http_klaviyo_named_op(r, op, rest[i].type, &named->member[i]);
}


/* of the type `json`, the value is the JSON; of others, what it says */

static ngx_int_t
ngx_http_klaviyo_named_op(ngx_http_request_t *r, ngx_http_klaviyo_op_t *op,
    ngx_uint_t type, klaviyo_slice_t *value)
{
    op->type = type;
    op->index = NGX_ERROR;

    op->value = ngx_pcalloc(r->pool, sizeof(ngx_http_complex_value_t));
    if (op->value == NULL) {
        return NGX_ERROR;
    }

    if (type != KLAVIYO_VALUE_JSON
        && value->len
        && klaviyo_scan_type(value->data) == KLAVIYO_SCAN_STRING)
    {
        return ngx_http_klaviyo_named_text(r, value, &op->value->value);
    }

    op->value->value.len = value->len;
    op->value->value.data = (u_char *) value->data;

    return NGX_OK;
}


/* of a string with its quotes */

static ngx_int_t
ngx_http_klaviyo_named_text(ngx_http_request_t *r, klaviyo_slice_t *json,
    ngx_str_t *text)
{
    if (klaviyo_scan_is_plain(json)) {
        text->len = json->len - 2;
        text->data = (u_char *) json->data + 1;
        return NGX_OK;
    }

    text->data = ngx_pnalloc(r->pool, json->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = klaviyo_scan_string(json, text->data);

    return NGX_OK;
}


/*
 * Of what is merged, all that the track's own block says as well, if only
 * who it is: two words for that may be two people.
 */

static ngx_int_t
ngx_http_klaviyo_named_merge_fields(ngx_http_request_t *r,
    ngx_http_klaviyo_template_t *base, ngx_array_t *fields)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, n, section;
    ngx_http_klaviyo_op_t      *op;
    ngx_http_klaviyo_member_t  *field;

    field = fields->elts;
    section = 0;

    for (i = 0; i < base->end[NGX_HTTP_KLAVIYO_PROPERTIES]; i++) {

        while (i >= base->end[section]) {
            section++;
        }

        op = &base->ops[i];

        if (!op->own) {
            continue;
        }

        rc = ngx_http_klaviyo_named_merge_says(r, op);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        for (n = 0; n < fields->nelts; n++) {

            if ((field[n].section == section
                 && field[n].name.len == op->name.len
                 && ngx_memcmp(field[n].name.data, op->name.data,
                               op->name.len)
                    == 0)
                || (op->identifier == NGX_HTTP_KLAVIYO_IS_KNOWN
                    && field[n].known
                    && field[n].known->identifier == op->identifier))
            {
                field[n].section = NGX_HTTP_KLAVIYO_SECTIONS;
                field[n].known = NULL;
            }
        }
    }

    return NGX_OK;
}


/* NGX_OK, or NGX_DECLINED: it is not there, or empty */

static ngx_int_t
ngx_http_klaviyo_named_merge_says(ngx_http_request_t *r,
    ngx_http_klaviyo_op_t *op)
{
    ngx_str_t  value;

    if (op->value == NULL && op->get == NULL) {
        return op->text.len ? NGX_OK : NGX_DECLINED;
    }

    if (ngx_http_klaviyo_op_value(r, op, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    return value.len ? NGX_OK : NGX_DECLINED;
}


/* an amount and its currency are one */

static ngx_int_t
ngx_http_klaviyo_named_merge_rest(ngx_http_request_t *r, klaviyo_named_t *named,
    ngx_http_klaviyo_template_t *template)
{
    ngx_int_t  rc;

    named->left_out += (named->member[KLAVIYO_NAMED_METRIC].len != 0)
                       + (named->member[KLAVIYO_NAMED_TIME].len != 0)
                       + (named->member[KLAVIYO_NAMED_BACKFILL].len != 0);

    if (named->member[KLAVIYO_NAMED_VALUE].len) {

        rc = ngx_http_klaviyo_named_merge_says(r, &template->value);

        if (rc == NGX_DECLINED) {
            template->merged = 1;
            rc = ngx_http_klaviyo_named_member(r, named, template,
                                               KLAVIYO_NAMED_VALUE);

            if (rc == NGX_OK && named->member[KLAVIYO_NAMED_CURRENCY].len) {
                rc = ngx_http_klaviyo_named_member(r, named, template,
                                                   KLAVIYO_NAMED_CURRENCY);
            }
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (named->member[KLAVIYO_NAMED_UNIQUE_ID].len) {

        rc = ngx_http_klaviyo_named_merge_says(r, &template->unique_id);

        if (rc == NGX_DECLINED) {
            template->merged = 1;
            template->own_id = 0;
            rc = ngx_http_klaviyo_named_member(r, named, template,
                                               KLAVIYO_NAMED_UNIQUE_ID);
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

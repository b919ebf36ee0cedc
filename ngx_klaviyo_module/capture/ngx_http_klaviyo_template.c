/*
 * Compiles what the configuration says of an event into a template.  What is
 * constant was checked when its directive was read and becomes JSON here.
 */


#include "ngx_http_klaviyo_template.h"
#include "ngx_http_klaviyo_cookie.h"
#include "ngx_http_klaviyo_defaults.h"
#include "ngx_http_klaviyo_field.h"
#include "ngx_http_klaviyo_track_page.h"
#include "ngx_http_klaviyo_url.h"
#include "json/klaviyo_time.h"


/* braces, commas, the names of the groups, the time, the id; and to spare */
#define NGX_HTTP_KLAVIYO_FRAME  1024


static ngx_int_t ngx_http_klaviyo_template_fields(ngx_conf_t *cf,
    ngx_http_klaviyo_template_t *template, ngx_array_t *fields,
    ngx_array_t *own, ngx_http_klaviyo_section_e section, ngx_uint_t *n);
static ngx_int_t ngx_http_klaviyo_template_defaults(ngx_conf_t *cf,
    ngx_http_klaviyo_template_t *template, ngx_uint_t *n);
static ngx_int_t ngx_http_klaviyo_template_rest(ngx_conf_t *cf,
    ngx_http_klaviyo_template_t *template, ngx_http_klaviyo_track_t *track);
static ngx_int_t ngx_http_klaviyo_template_amount(ngx_conf_t *cf,
    ngx_http_klaviyo_template_t *template, ngx_http_klaviyo_track_t *track);
static ngx_int_t ngx_http_klaviyo_template_time(ngx_conf_t *cf,
    ngx_http_klaviyo_op_t *op, ngx_http_klaviyo_track_t *track);
static ngx_int_t ngx_http_klaviyo_template_unset(ngx_conf_t *cf,
    ngx_http_klaviyo_op_t *op, ngx_http_klaviyo_field_t *field);
static ngx_int_t ngx_http_klaviyo_template_op(ngx_conf_t *cf,
    ngx_http_klaviyo_op_t *op, ngx_str_t *name,
    ngx_http_complex_value_t *value, ngx_uint_t type);
static ngx_int_t ngx_http_klaviyo_template_text(ngx_conf_t *cf,
    ngx_http_klaviyo_op_t *op, ngx_str_t *name, ngx_str_t *value,
    ngx_uint_t type);
static ngx_int_t ngx_http_klaviyo_template_join(ngx_conf_t *cf,
    ngx_http_klaviyo_op_t *op, ngx_http_klaviyo_op_t *next);
static void ngx_http_klaviyo_template_part(ngx_conf_t *cf,
    ngx_http_klaviyo_op_t *op);


static ngx_str_t  ngx_http_klaviyo_name_value = ngx_string("value");
static ngx_str_t  ngx_http_klaviyo_name_currency =
                                                ngx_string("value_currency");
static ngx_str_t  ngx_http_klaviyo_name_unique_id = ngx_string("unique_id");
static ngx_str_t  ngx_http_klaviyo_name_time = ngx_string("time");
static ngx_str_t  ngx_http_klaviyo_name_backfill = ngx_string("backfill");
static ngx_str_t  ngx_http_klaviyo_name_metric = ngx_string("name");


ngx_http_klaviyo_template_t *
ngx_http_klaviyo_template(ngx_conf_t *cf, ngx_http_klaviyo_loc_conf_t *conf,
    ngx_http_klaviyo_track_t *track)
{
    ngx_uint_t                    i, n;
    ngx_array_t                  *profile, *properties;
    ngx_http_klaviyo_template_t  *template;

    template = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_template_t));
    if (template == NULL) {
        return NULL;
    }

    profile = ngx_http_klaviyo_field_merge(cf, conf->profile, track->profile);
    if (profile == NGX_CONF_ERROR) {
        return NULL;
    }

    properties = ngx_http_klaviyo_track_page_fields(cf, track);
    if (properties == NGX_CONF_ERROR) {
        return NULL;
    }

    properties = ngx_http_klaviyo_field_merge(cf, properties,
                                              conf->properties);
    if (properties == NGX_CONF_ERROR) {
        return NULL;
    }

    template->properties = ngx_http_klaviyo_field_merge(cf, properties,
                                                        track->properties);
    if (template->properties == NGX_CONF_ERROR) {
        return NULL;
    }

    template->defaults = conf->defaults;
    template->zone = track->zone;
    template->phone_country = conf->phone_country;
    template->attribution = conf->attribution;
    template->named = track->named;
    template->own_id = (track->unique_id != NULL);
    template->apart = (template->named || track->lane || conf->enrich);
    template->size = NGX_HTTP_KLAVIYO_FRAME;

    n = profile ? profile->nelts : 0;
    n += template->properties ? template->properties->nelts : 0;

    for (i = 0; ngx_http_klaviyo_defaults[i].name.len; i++) {
        n++;
    }

    template->ops = ngx_pcalloc(cf->pool, n * sizeof(ngx_http_klaviyo_op_t));
    if (template->ops == NULL) {
        return NULL;
    }

    n = 0;

    for (i = 0; i < NGX_HTTP_KLAVIYO_PROPERTIES; i++) {

        if (ngx_http_klaviyo_template_fields(cf, template, profile,
                                             track->profile, i, &n)
            != NGX_OK)
        {
            return NULL;
        }

        template->end[i] = n;
    }

    if (ngx_http_klaviyo_template_defaults(cf, template, &n) != NGX_OK
        || ngx_http_klaviyo_template_fields(cf, template,
                                            template->properties,
                                            track->properties,
                                            NGX_HTTP_KLAVIYO_PROPERTIES, &n)
           != NGX_OK)
    {
        return NULL;
    }

    template->end[NGX_HTTP_KLAVIYO_PROPERTIES] = n;

    for (i = 0; i < n; i++) {
        template->size += template->ops[i].text.len + 1;
    }

    if (ngx_http_klaviyo_template_rest(cf, template, track) != NGX_OK) {
        return NULL;
    }

    return template;
}


/* those of one section; neighbours that are constant become one operation */

static ngx_int_t
ngx_http_klaviyo_template_fields(ngx_conf_t *cf,
    ngx_http_klaviyo_template_t *template, ngx_array_t *fields,
    ngx_array_t *own, ngx_http_klaviyo_section_e section, ngx_uint_t *n)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, first;
    ngx_http_klaviyo_op_t      *op;
    ngx_http_klaviyo_field_t   *field;
    ngx_http_klaviyo_known_t   *known;
    ngx_http_klaviyo_section_e  place;

    if (fields == NULL) {
        return NGX_OK;
    }

    field = fields->elts;
    first = *n;

    for (i = 0; i < fields->nelts; i++) {

        known = NULL;
        place = NGX_HTTP_KLAVIYO_PROPERTIES;

        if (section != NGX_HTTP_KLAVIYO_PROPERTIES) {
            known = ngx_http_klaviyo_field_known(&field[i].name);
            place = known ? known->section : NGX_HTTP_KLAVIYO_CUSTOM;
        }

        if (field[i].patch) {
            place = field[i].patch;
        }

        if (place != section
            || (field[i].value.lengths == NULL
                && field[i].value.value.len == 0))
        {
            continue;
        }

        op = &template->ops[*n];

        if (section == NGX_HTTP_KLAVIYO_UNSET) {
            rc = ngx_http_klaviyo_template_unset(cf, op, &field[i]);

        } else {
            rc = ngx_http_klaviyo_template_op(cf, op, &field[i].name,
                                              &field[i].value, field[i].type);
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        if (known) {
            op->check = known->check;
            op->identifier = known->identifier;
        }

        op->own = (template->apart
                   && ngx_http_klaviyo_field_find(own, &field[i].name)
                      != NULL);

        if (op->value) {
            (*n)++;
            continue;
        }

        if (op->identifier) {
            template->identified |= op->identifier;
        }

        if (*n == first || op[-1].value || op[-1].get || template->apart) {
            (*n)++;
            continue;
        }

        if (ngx_http_klaviyo_template_join(cf, op - 1, op) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_memzero(op, sizeof(ngx_http_klaviyo_op_t));
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_template_defaults(ngx_conf_t *cf,
    ngx_http_klaviyo_template_t *template, ngx_uint_t *n)
{
    ngx_http_klaviyo_op_t       *op;
    ngx_http_klaviyo_default_t  *dflt;

    if (!template->defaults) {
        return NGX_OK;
    }

    for (dflt = ngx_http_klaviyo_defaults; dflt->name.len; dflt++) {

        if (ngx_http_klaviyo_field_find(template->properties, &dflt->name)) {
            continue;
        }

        op = &template->ops[(*n)++];

        op->name = dflt->name;
        op->get = dflt->get;
        op->type = dflt->type;

        if (ngx_http_klaviyo_template_text(cf, op, &dflt->name, NULL, 0)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_template_rest(ngx_conf_t *cf,
    ngx_http_klaviyo_template_t *template, ngx_http_klaviyo_track_t *track)
{
    if (ngx_http_klaviyo_template_op(cf, &template->metric,
                                     &ngx_http_klaviyo_name_metric,
                                     &track->metric, KLAVIYO_VALUE_STRING)
        != NGX_OK
        || ngx_http_klaviyo_template_amount(cf, template, track) != NGX_OK
        || ngx_http_klaviyo_template_op(cf, &template->unique_id,
                                        &ngx_http_klaviyo_name_unique_id,
                                        track->unique_id,
                                        KLAVIYO_VALUE_STRING)
           != NGX_OK
        || ngx_http_klaviyo_template_time(cf, &template->time, track) != NGX_OK
        || ngx_http_klaviyo_template_op(cf, &template->backfill,
                                        &ngx_http_klaviyo_name_backfill,
                                        track->backfill, KLAVIYO_VALUE_BOOL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a constant "off" */

    if (track->backfill
        && track->backfill->lengths == NULL
        && track->backfill->value.len == 3)
    {
        ngx_str_null(&template->backfill.text);
    }

    template->size += template->metric.text.len + template->value.text.len
                      + template->currency.text.len
                      + template->backfill.text.len;

    return NGX_OK;
}


/* an amount waits for its currency, which may be none and take it along */

static ngx_int_t
ngx_http_klaviyo_template_amount(ngx_conf_t *cf,
    ngx_http_klaviyo_template_t *template, ngx_http_klaviyo_track_t *track)
{
    ngx_http_klaviyo_op_t  *op;

    template->form = track->form;

    if (ngx_http_klaviyo_template_op(cf, &template->value,
                                     &ngx_http_klaviyo_name_value,
                                     track->value, KLAVIYO_VALUE_NUMBER)
        != NGX_OK
        || ngx_http_klaviyo_template_op(cf, &template->currency,
                                        &ngx_http_klaviyo_name_currency,
                                        track->currency, KLAVIYO_VALUE_STRING)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    op = &template->value;

    if (op->members == 0 || template->currency.value == NULL) {
        return NGX_OK;
    }

    op->value = track->value;
    op->index = NGX_ERROR;
    op->members = 0;

    return ngx_http_klaviyo_template_text(cf, op, &op->name, NULL, 0);
}


static ngx_int_t
ngx_http_klaviyo_template_time(ngx_conf_t *cf, ngx_http_klaviyo_op_t *op,
    ngx_http_klaviyo_track_t *track)
{
    int64_t                    t;
    u_char                     buf[KLAVIYO_TIME_LEN];
    ngx_str_t                  text;
    ngx_http_complex_value_t  *value;

    value = track->time;

    if (value == NULL || value->lengths) {
        return ngx_http_klaviyo_template_op(cf, op,
                                            &ngx_http_klaviyo_name_time, value,
                                            KLAVIYO_VALUE_STRING);
    }

    if (klaviyo_value_time(value->value.data, value->value.len, ngx_time(),
                           track->zone, &t)
        != KLAVIYO_VALUE_OK)
    {
        return NGX_ERROR;
    }

    klaviyo_value_format_time(buf, t);

    text.len = KLAVIYO_TIME_LEN;
    text.data = buf;

    return ngx_http_klaviyo_template_text(cf, op, &ngx_http_klaviyo_name_time,
                                          &text, KLAVIYO_VALUE_STRING);
}


/*
 * The name alone, written where the value says so; NGX_DECLINED: a constant
 * says that it never is.
 */

static ngx_int_t
ngx_http_klaviyo_template_unset(ngx_conf_t *cf, ngx_http_klaviyo_op_t *op,
    ngx_http_klaviyo_field_t *field)
{
    if (field->value.lengths == NULL) {

        if (klaviyo_value_is_no(field->value.value.data,
                                field->value.value.len))
        {
            return NGX_DECLINED;
        }

        op->name = field->name;

        if (ngx_http_klaviyo_template_text(cf, op, &field->name, NULL, 0)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else if (ngx_http_klaviyo_template_op(cf, op, &field->name,
                                            &field->value, field->type)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    op->text.len--;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_template_op(ngx_conf_t *cf, ngx_http_klaviyo_op_t *op,
    ngx_str_t *name, ngx_http_complex_value_t *value, ngx_uint_t type)
{
    if (value == NULL) {
        return NGX_OK;
    }

    op->name = *name;
    op->type = type;

    if (value->lengths == NULL) {
        return ngx_http_klaviyo_template_text(cf, op, name, &value->value,
                                              type);
    }

    op->value = value;
    op->index = ngx_http_klaviyo_template_variable(cf, value);

    ngx_http_klaviyo_template_part(cf, op);

    return ngx_http_klaviyo_template_text(cf, op, name, NULL, 0);
}


/* `"name":` and, if there is one, the value */

static ngx_int_t
ngx_http_klaviyo_template_text(ngx_conf_t *cf, ngx_http_klaviyo_op_t *op,
    ngx_str_t *name, ngx_str_t *value, ngx_uint_t type)
{
    int             cut;
    size_t          size;
    u_char         *buf;
    klaviyo_json_t  json;

    size = klaviyo_json_string_size(name->len) + 1;

    if (value) {
        size += klaviyo_value_size(type, value->len);
    }

    buf = ngx_pnalloc(cf->pool, size);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    klaviyo_json_init(&json, buf, size);
    klaviyo_json_string(&json, name->data, name->len, name->len);
    klaviyo_json_literal(&json, ":");

    if (value) {
        (void) klaviyo_value_write(&json, type, value->data, value->len, &cut);
        op->members = 1;
    }

    op->text.len = json.pos - json.start;
    op->text.data = json.start;

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_template_join(ngx_conf_t *cf, ngx_http_klaviyo_op_t *op,
    ngx_http_klaviyo_op_t *next)
{
    u_char  *p, *text;

    text = ngx_pnalloc(cf->pool, op->text.len + 1 + next->text.len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text, op->text.data, op->text.len);
    *p++ = ',';
    p = ngx_cpymem(p, next->text.data, next->text.len);

    op->text.len = p - text;
    op->text.data = text;
    op->members += next->members;

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_template_variable(ngx_conf_t *cf,
    ngx_http_complex_value_t *value)
{
    u_char     ch;
    size_t     i;
    ngx_str_t  name;

    if (value->flushes == NULL || value->flushes[1] != (ngx_uint_t) -1) {
        return NGX_ERROR;
    }

    name.len = value->value.len - 1;
    name.data = value->value.data + 1;

    if (value->value.data[0] != '$') {
        return NGX_ERROR;
    }

    if (name.len > 2 && name.data[0] == '{' && name.data[name.len - 1] == '}')
    {
        name.len -= 2;
        name.data++;
    }

    for (i = 0; i < name.len; i++) {
        ch = name.data[i];

        if ((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z')
            || (ch >= '0' && ch <= '9') || ch == '_')
        {
            continue;
        }

        return NGX_ERROR;
    }

    return ngx_http_get_variable_index(cf, &name);
}


/*
 * $arg_<name> and $cookie_<name> are looked for in what was gone through once,
 * as long as nothing else stands behind such a variable: a `set` or a `map`
 * may.  The handlers of variables are not known before all are read.
 */

static void
ngx_http_klaviyo_template_part(ngx_conf_t *cf, ngx_http_klaviyo_op_t *op)
{
    ngx_uint_t                  i, k;
    ngx_http_variable_t        *v, *prefix;
    ngx_http_core_main_conf_t  *cmcf;

    static const struct {
        ngx_str_t                 prefix;
        ngx_http_klaviyo_part_pt  find;
    } parts[] = {
        { ngx_string("arg_"), ngx_http_klaviyo_url_arg },
        { ngx_string("cookie_"), ngx_http_klaviyo_cookie_named }
    };

    if (op->index == NGX_ERROR) {
        return;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    v = cmcf->variables.elts;
    v += op->index;

    prefix = cmcf->prefix_variables.elts;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {

        if (v->name.len <= parts[i].prefix.len
            || ngx_memcmp(v->name.data, parts[i].prefix.data,
                          parts[i].prefix.len)
               != 0)
        {
            continue;
        }

        for (k = 0; k < cmcf->prefix_variables.nelts; k++) {

            if (prefix[k].name.len == parts[i].prefix.len
                && ngx_memcmp(prefix[k].name.data, parts[i].prefix.data,
                              parts[i].prefix.len)
                   == 0)
            {
                op->part = parts[i].find;
                op->key.len = v->name.len - parts[i].prefix.len;
                op->key.data = v->name.data + parts[i].prefix.len;
                op->handler = prefix[k].get_handler;
            }
        }
    }
}

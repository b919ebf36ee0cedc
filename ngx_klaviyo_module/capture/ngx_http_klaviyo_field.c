/*
 * Fields of a profile and properties of an event in the configuration:
 * arguments, types, the checks of constants, merging by name.
 */


#include "ngx_http_klaviyo_field.h"
#include "ngx_http_klaviyo_amount.h"
#include "ngx_http_klaviyo_check.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "json/klaviyo_check.h"
#include "json/klaviyo_utf8.h"


static char *ngx_http_klaviyo_field_name(ngx_conf_t *cf, ngx_str_t *name);
static char *ngx_http_klaviyo_field_type(ngx_conf_t *cf, ngx_str_t *word,
    ngx_uint_t profile, ngx_uint_t *type);
static ngx_uint_t ngx_http_klaviyo_field_patch(ngx_str_t *word);
static char *ngx_http_klaviyo_field_patched(ngx_conf_t *cf,
    ngx_http_klaviyo_field_t *field, ngx_uint_t typed);
static ngx_http_klaviyo_field_t *ngx_http_klaviyo_field_same(
    ngx_array_t *fields, ngx_str_t *name, ngx_uint_t patch);
static char *ngx_http_klaviyo_field_place(ngx_conf_t *cf,
    ngx_http_klaviyo_field_t *field);
static void ngx_http_klaviyo_field_case(ngx_conf_t *cf, ngx_str_t *name);
static char *ngx_http_klaviyo_field_constant(ngx_conf_t *cf,
    ngx_http_klaviyo_field_t *field, ngx_uint_t profile);
static ngx_uint_t ngx_http_klaviyo_field_degrees(ngx_str_t *value,
    ngx_int_t max);


/* in the order of klaviyo_value_type_e */

static const struct {
    ngx_str_t    name;
    const char  *hint;
} ngx_http_klaviyo_types[] = {
    { ngx_string("string"), "write UTF-8" },
    { ngx_string("number"), "write it as in 12 or 12.50" },
    { ngx_string("bool"), "write \"true\" or \"false\"" },
    { ngx_string("list"), "write items with commas between them" },
    { ngx_string("json"), "write JSON in quotes, as in '{\"Size\":\"M\"}'" },
    { ngx_null_string, NULL }
};


static const char  *ngx_http_klaviyo_patches[] = {
    [NGX_HTTP_KLAVIYO_APPEND] = "append",
    [NGX_HTTP_KLAVIYO_UNAPPEND] = "unappend",
    [NGX_HTTP_KLAVIYO_UNSET] = "unset"
};


#define ngx_http_klaviyo_known(name, section, check, identifier, degrees)    \
    { ngx_string(name), NGX_HTTP_KLAVIYO_##section,                          \
      NGX_HTTP_KLAVIYO_CHECK_##check, identifier, degrees }

static ngx_http_klaviyo_known_t  ngx_http_klaviyo_knowns[] = {
    ngx_http_klaviyo_known("id", ID, IDENTIFIER, 1, 0),
    ngx_http_klaviyo_known("email", ATTRIBUTES, EMAIL, 1, 0),
    ngx_http_klaviyo_known("phone_number", ATTRIBUTES, PHONE, 1, 0),
    ngx_http_klaviyo_known("external_id", ATTRIBUTES, IDENTIFIER, 1, 0),
    ngx_http_klaviyo_known("anonymous_id", ATTRIBUTES, IDENTIFIER, 2, 0),
    ngx_http_klaviyo_known("_kx", ATTRIBUTES, IDENTIFIER, 1, 0),
    ngx_http_klaviyo_known("first_name", ATTRIBUTES, NONE, 0, 0),
    ngx_http_klaviyo_known("last_name", ATTRIBUTES, NONE, 0, 0),
    ngx_http_klaviyo_known("organization", ATTRIBUTES, NONE, 0, 0),
    ngx_http_klaviyo_known("locale", ATTRIBUTES, NONE, 0, 0),
    ngx_http_klaviyo_known("title", ATTRIBUTES, NONE, 0, 0),
    ngx_http_klaviyo_known("image", ATTRIBUTES, NONE, 0, 0),
    ngx_http_klaviyo_known("ip", LOCATION, IP, 0, 0),
    ngx_http_klaviyo_known("address1", LOCATION, NONE, 0, 0),
    ngx_http_klaviyo_known("address2", LOCATION, NONE, 0, 0),
    ngx_http_klaviyo_known("city", LOCATION, NONE, 0, 0),
    ngx_http_klaviyo_known("country", LOCATION, NONE, 0, 0),
    ngx_http_klaviyo_known("region", LOCATION, NONE, 0, 0),
    ngx_http_klaviyo_known("zip", LOCATION, NONE, 0, 0),
    ngx_http_klaviyo_known("timezone", LOCATION, NONE, 0, 0),
    ngx_http_klaviyo_known("latitude", LOCATION, NONE, 0, 90),
    ngx_http_klaviyo_known("longitude", LOCATION, NONE, 0, 180),
    { ngx_null_string, 0, 0, 0, 0 }
};


char *
ngx_http_klaviyo_field(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    return ngx_http_klaviyo_field_add(cf, (ngx_array_t **) (p + cmd->offset),
                                      cmd->offset
                                      == offsetof(ngx_http_klaviyo_loc_conf_t,
                                                  profile));
}


char *
ngx_http_klaviyo_field_add(ngx_conf_t *cf, ngx_array_t **fields,
    ngx_uint_t profile)
{
    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 n, type, patch;
    ngx_http_klaviyo_field_t  *field;

    value = cf->args->elts;
    n = cf->args->nelts;

    rv = ngx_http_klaviyo_field_name(cf, &value[1]);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    /* what stands above may be for locations that a regex chooses */

    if ((cf->cmd_type & (NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF))
        && ngx_http_klaviyo_amount_dollars(cf, &value[2]) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    patch = (profile && n > 3) ? ngx_http_klaviyo_field_patch(&value[n - 1])
                               : 0;
    if (patch) {
        n--;

    } else if (n == 5) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be \"append\", "
                           "\"unappend\" or \"unset\"", &value[4]);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_field_same(*fields, &value[1], patch)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate %V \"%V\"",
                           &value[0], &value[1]);
        return NGX_CONF_ERROR;
    }

    type = KLAVIYO_VALUE_STRING;

    if (n == 4) {
        rv = ngx_http_klaviyo_field_type(cf, &value[3], profile, &type);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (*fields == NULL) {
        *fields = ngx_array_create(cf->pool, 4,
                                   sizeof(ngx_http_klaviyo_field_t));
        if (*fields == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    field = ngx_array_push(*fields);
    if (field == NULL) {
        return NGX_CONF_ERROR;
    }

    field->name = value[1];
    field->type = type;
    field->patch = patch;

    if (ngx_http_klaviyo_compile(cf, &value[2], &field->value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (profile) {
        rv = patch ? ngx_http_klaviyo_field_patched(cf, field, n == 4)
                   : ngx_http_klaviyo_field_place(cf, field);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (field->value.lengths || field->value.value.len == 0) {
        return NGX_CONF_OK;
    }

    return ngx_http_klaviyo_field_constant(cf, field, profile);
}


static char *
ngx_http_klaviyo_field_name(ngx_conf_t *cf, ngx_str_t *name)
{
    int      n;
    u_char  *p, *last;

    last = name->data + name->len;

    if (name->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "empty name");
        return NGX_CONF_ERROR;
    }

    for (p = name->data; p < last; p += n) {

        if (*p == '$') {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid name \"%V\": names are constant, only "
                               "values may hold variables", name);
            return NGX_CONF_ERROR;
        }

        n = klaviyo_utf8_length(p, last);

        if (n < 0 || *p < 0x20 || *p == 0x7f) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid name \"%V\": it must be UTF-8 without "
                               "control characters", name);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_field_type(ngx_conf_t *cf, ngx_str_t *word,
    ngx_uint_t profile, ngx_uint_t *type)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_klaviyo_types[i].name.len; i++) {

        if (ngx_http_klaviyo_types[i].name.len == word->len
            && ngx_strncmp(ngx_http_klaviyo_types[i].name.data, word->data,
                           word->len)
               == 0)
        {
            *type = i;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid type \"%V\", it must be \"string\", "
                       "\"number\", \"bool\", \"list\" or \"json\"%s", word,
                       profile ? "; \"append\", \"unappend\" or \"unset\" "
                                 "may stand behind it, or alone" : "");

    return NGX_CONF_ERROR;
}


/* where the word puts the field, or 0: it is none of these */

static ngx_uint_t
ngx_http_klaviyo_field_patch(ngx_str_t *word)
{
    ngx_uint_t  i;

    for (i = NGX_HTTP_KLAVIYO_APPEND; i <= NGX_HTTP_KLAVIYO_UNSET; i++) {

        if (ngx_strcmp(word->data, ngx_http_klaviyo_patches[i]) == 0) {
            return i;
        }
    }

    return 0;
}


/* Klaviyo does this to custom properties only, and with simple values */

static char *
ngx_http_klaviyo_field_patched(ngx_conf_t *cf, ngx_http_klaviyo_field_t *field,
    ngx_uint_t typed)
{
    if (ngx_http_klaviyo_field_known(&field->name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%s\" of Klaviyo's own field "
                           "\"%V\": it is for custom properties of the "
                           "profile",
                           ngx_http_klaviyo_patches[field->patch],
                           &field->name);
        return NGX_CONF_ERROR;
    }

    if (typed && (field->patch == NGX_HTTP_KLAVIYO_UNSET
                  || field->type == KLAVIYO_VALUE_JSON))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid type \"%V\" beside \"%s\", which %s",
                           &ngx_http_klaviyo_types[field->type].name,
                           ngx_http_klaviyo_patches[field->patch],
                           field->patch == NGX_HTTP_KLAVIYO_UNSET
                           ? "takes a condition"
                           : "takes one simple value, or a \"list\"");
        return NGX_CONF_ERROR;
    }

    ngx_http_klaviyo_field_case(cf, &field->name);

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_field_place(ngx_conf_t *cf, ngx_http_klaviyo_field_t *field)
{
    ngx_http_klaviyo_known_t  *known;

    known = ngx_http_klaviyo_field_known(&field->name);

    if (known == NULL) {
        ngx_http_klaviyo_field_case(cf, &field->name);
        return NGX_CONF_OK;
    }

    if (field->type == KLAVIYO_VALUE_STRING
        || (field->type == KLAVIYO_VALUE_NUMBER && known->degrees))
    {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid type \"%V\" of the profile's \"%V\", which is "
                       "a string%s: leave the type out",
                       &ngx_http_klaviyo_types[field->type].name, &field->name,
                       known->degrees ? " or a number" : "");

    return NGX_CONF_ERROR;
}


/* Klaviyo tells names by case: "Email" is a custom property, and no email */

static void
ngx_http_klaviyo_field_case(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_http_klaviyo_known_t  *known;

    for (known = ngx_http_klaviyo_knowns; known->name.len; known++) {

        if (known->name.len == name->len
            && ngx_strncasecmp(known->name.data, name->data, name->len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"%V\" will be a custom property of the "
                               "profile: Klaviyo's own field is \"%V\"",
                               name, &known->name);
        }
    }
}


static char *
ngx_http_klaviyo_field_constant(ngx_conf_t *cf,
    ngx_http_klaviyo_field_t *field, ngx_uint_t profile)
{
    int                        cut;
    size_t                     size;
    u_char                    *buf;
    ngx_str_t                 *value;
    ngx_uint_t                 ok;
    klaviyo_json_t             json;
    klaviyo_value_rc_e         rc;
    ngx_http_klaviyo_known_t  *known;

    cut = 0;
    value = &field->value.value;
    size = klaviyo_value_size(field->type, value->len);

    buf = ngx_palloc(cf->temp_pool, size);
    if (buf == NULL) {
        return NGX_CONF_ERROR;
    }

    klaviyo_json_init(&json, buf, size);

    rc = klaviyo_value_write(&json, field->type, value->data, value->len,
                             &cut);

    if (rc == KLAVIYO_VALUE_EMPTY) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "value \"%V\" of \"%V\" is nothing to send: write "
                           "\"\" to remove what an outer level sets",
                           value, &field->name);
        return NGX_CONF_ERROR;
    }

    if (rc != KLAVIYO_VALUE_OK || json.repaired || json.cut || cut) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid %V \"%V\" of \"%V\": %s",
                           &ngx_http_klaviyo_types[field->type].name, value,
                           &field->name,
                           ngx_http_klaviyo_types[field->type].hint);
        return NGX_CONF_ERROR;
    }

    known = profile ? ngx_http_klaviyo_field_known(&field->name) : NULL;

    if (known == NULL) {
        return NGX_CONF_OK;
    }

    ok = ngx_http_klaviyo_checked(cf->pool, known->check, 0, value);

    if (known->check == NGX_HTTP_KLAVIYO_CHECK_EMAIL && !ok) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid email \"%V\": write it as in "
                           "name@shop.com, in less than 100 characters",
                           value);
        return NGX_CONF_ERROR;
    }

    if (known->check == NGX_HTTP_KLAVIYO_CHECK_EMAIL
        && ngx_http_klaviyo_check_dropped(value->data, value->len))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "Klaviyo accepts events of \"%V\", and drops them: "
                           "use another domain for tests", value);
    }

    if (known->check == NGX_HTTP_KLAVIYO_CHECK_IP && !ok) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\": write it as in 192.0.2.1",
                           value);
        return NGX_CONF_ERROR;
    }

    if (known->check == NGX_HTTP_KLAVIYO_CHECK_PHONE && !ok) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid phone number \"%V\": write it in E.164, "
                           "as in +15005550006", value);
        return NGX_CONF_ERROR;
    }

    if (known->check == NGX_HTTP_KLAVIYO_CHECK_IDENTIFIER && !ok) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid %V \"%V\": write UTF-8 without control "
                           "characters", &known->name, value);
        return NGX_CONF_ERROR;
    }

    if (known->degrees
        && !ngx_http_klaviyo_field_degrees(value, known->degrees))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid %V \"%V\": write degrees, as in 52.52",
                           &known->name, value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* a number from -max to max; words of the configuration end in NUL */

static ngx_uint_t
ngx_http_klaviyo_field_degrees(ngx_str_t *value, ngx_int_t max)
{
    char    *end;
    double   degrees;

    degrees = strtod((char *) value->data, &end);

    return (u_char *) end == value->data + value->len
           && degrees >= -max && degrees <= max;
}


ngx_array_t *
ngx_http_klaviyo_field_merge(ngx_conf_t *cf, ngx_array_t *outer,
    ngx_array_t *inner)
{
    ngx_uint_t                 i;
    ngx_array_t               *merged;
    ngx_http_klaviyo_field_t  *field, *slot;

    if (inner == NULL) {
        return outer;
    }

    if (outer == NULL) {
        return inner;
    }

    merged = ngx_array_create(cf->pool, outer->nelts + inner->nelts,
                              sizeof(ngx_http_klaviyo_field_t));
    if (merged == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(merged->elts, outer->elts,
               outer->nelts * sizeof(ngx_http_klaviyo_field_t));

    merged->nelts = outer->nelts;

    field = inner->elts;

    for (i = 0; i < inner->nelts; i++) {
        slot = ngx_http_klaviyo_field_same(merged, &field[i].name,
                                           field[i].patch);
        if (slot == NULL) {
            slot = ngx_array_push(merged);
            if (slot == NULL) {
                return NGX_CONF_ERROR;
            }
        }

        *slot = field[i];
    }

    return merged;
}


static ngx_http_klaviyo_field_t *
ngx_http_klaviyo_field_same(ngx_array_t *fields, ngx_str_t *name,
    ngx_uint_t patch)
{
    ngx_uint_t                 i;
    ngx_http_klaviyo_field_t  *field;

    if (fields == NULL) {
        return NULL;
    }

    field = fields->elts;

    for (i = 0; i < fields->nelts; i++) {

        if (field[i].patch == patch
            && field[i].name.len == name->len
            && ngx_memcmp(field[i].name.data, name->data, name->len) == 0)
        {
            return &field[i];
        }
    }

    return NULL;
}


ngx_http_klaviyo_field_t *
ngx_http_klaviyo_field_find(ngx_array_t *fields, ngx_str_t *name)
{
    return ngx_http_klaviyo_field_same(fields, name, 0);
}


ngx_http_klaviyo_known_t *
ngx_http_klaviyo_field_known(ngx_str_t *name)
{
    ngx_http_klaviyo_known_t  *known;

    for (known = ngx_http_klaviyo_knowns; known->name.len; known++) {

        if (known->name.len == name->len
            && ngx_memcmp(known->name.data, name->data, name->len) == 0)
        {
            return known;
        }
    }

    return NULL;
}


ngx_http_klaviyo_known_t *
ngx_http_klaviyo_field_legacy(ngx_str_t *name)
{
    size_t     i;
    ngx_str_t  now;

    static const struct {
        ngx_str_t  old;
        ngx_str_t  now;
    } renamed[] = {
        { ngx_string("$id"), ngx_string("external_id") },
        { ngx_string("$kid"), ngx_string("id") },
        { ngx_string("$exchange_id"), ngx_string("_kx") },
        { ngx_string("$anonymous"), ngx_string("anonymous_id") }
    };

    if (name->len < 2 || name->data[0] != '$') {
        return NULL;
    }

    now.len = name->len - 1;
    now.data = name->data + 1;

    for (i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++) {

        if (renamed[i].old.len == name->len
            && ngx_memcmp(renamed[i].old.data, name->data, name->len) == 0)
        {
            now = renamed[i].now;
            break;
        }
    }

    return ngx_http_klaviyo_field_known(&now);
}

/*
 * klaviyo_consent_string: a variable with the answer that a banner's cookie
 * holds: `1`, `0`, or nothing when it holds none.
 */


#include "ngx_http_klaviyo_consent_string.h"
#include "klaviyo_consent.h"
#include "account/ngx_http_klaviyo_compile.h"


#define NGX_HTTP_KLAVIYO_CONSENT_PURPOSES  (1 << 1 | 1 << 3 | 1 << 4)
#define NGX_HTTP_KLAVIYO_CONSENT_PURPOSE   24       /* the greatest          */


typedef struct {
    klaviyo_consent_want_t     want;
    ngx_http_complex_value_t   value;
} ngx_http_klaviyo_consent_string_t;


/* a format, the parameter that it takes, and what it means without */

typedef struct {
    ngx_str_t                  name;
    klaviyo_consent_format_e   format;
    ngx_str_t                  parameter;   /* with its "="; or empty        */
    ngx_str_t                  given;
} ngx_http_klaviyo_consent_format_t;


static char *ngx_http_klaviyo_consent_parameter(ngx_conf_t *cf,
    ngx_http_klaviyo_consent_format_t *format, klaviyo_consent_want_t *want,
    ngx_str_t *word);
static char *ngx_http_klaviyo_consent_names(ngx_conf_t *cf,
    klaviyo_consent_want_t *want, u_char *p, u_char *last, ngx_str_t *word);
static char *ngx_http_klaviyo_consent_purposes(ngx_conf_t *cf,
    klaviyo_consent_want_t *want, u_char *p, u_char *last, ngx_str_t *word);
static ngx_uint_t ngx_http_klaviyo_consent_category(
    klaviyo_consent_want_t *want, klaviyo_consent_name_t *name);
static ngx_int_t ngx_http_klaviyo_consent_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_klaviyo_consent_format_t  ngx_http_klaviyo_consent_formats[] =
{
    { ngx_string("tcf"), KLAVIYO_CONSENT_TCF,
      ngx_string("purposes="), ngx_null_string },

    { ngx_string("gpp"), KLAVIYO_CONSENT_GPP,
      ngx_string("purposes="), ngx_null_string },

    { ngx_string("onetrust"), KLAVIYO_CONSENT_ONETRUST,
      ngx_string("groups="), ngx_string("C0004") },

    { ngx_string("cookiebot"), KLAVIYO_CONSENT_COOKIEBOT,
      ngx_string("categories="), ngx_string("marketing") },

    { ngx_string("complianz"), KLAVIYO_CONSENT_COMPLIANZ,
      ngx_null_string, ngx_null_string },

    { ngx_string("usercentrics"), KLAVIYO_CONSENT_USERCENTRICS,
      ngx_string("services="), ngx_null_string },

    { ngx_string("shopify"), KLAVIYO_CONSENT_SHOPIFY,
      ngx_string("categories="), ngx_string("marketing") },

    { ngx_null_string, 0, ngx_null_string, ngx_null_string }
};


char *
ngx_http_klaviyo_consent_string(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char                               *rv;
    ngx_str_t                          *value;
    ngx_uint_t                          i;
    ngx_http_variable_t                *var;
    ngx_http_klaviyo_consent_format_t  *format;
    ngx_http_klaviyo_consent_string_t  *string;

    (void) cmd;
    (void) conf;

    value = cf->args->elts;

    if (cf->args->nelts < 4) {
        return "needs a variable, a format and a value";
    }

    var = ngx_http_klaviyo_variable(cf, &value[1], 0);
    if (var == NULL) {
        return NGX_CONF_ERROR;
    }

    for (format = ngx_http_klaviyo_consent_formats; format->name.len; format++)
    {
        if (ngx_strcmp(format->name.data, value[2].data) == 0) {
            break;
        }
    }

    if (format->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid format \"%V\" of a consent: it must be "
                           "\"tcf\", \"gpp\", \"onetrust\", \"cookiebot\", "
                           "\"complianz\", \"usercentrics\" or \"shopify\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    string = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_consent_string_t));
    if (string == NULL) {
        return NGX_CONF_ERROR;
    }

    string->want.format = format->format;

    if (ngx_http_klaviyo_compile(cf, &value[3], &string->value) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 4; i < cf->args->nelts; i++) {

        rv = ngx_http_klaviyo_consent_parameter(cf, format, &string->want,
                                                &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (format->given.len && string->want.names == 0) {

        rv = ngx_http_klaviyo_consent_names(cf, &string->want,
                                            format->given.data,
                                            format->given.data
                                            + format->given.len,
                                            &format->given);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (string->want.purposes == 0) {
        string->want.purposes = NGX_HTTP_KLAVIYO_CONSENT_PURPOSES;
    }

    if (format->format == KLAVIYO_CONSENT_USERCENTRICS
        && string->want.names == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the format \"usercentrics\" needs \"services=\": "
                           "write the id of Klaviyo in your settings, or its "
                           "name");
        return NGX_CONF_ERROR;
    }

    var->get_handler = ngx_http_klaviyo_consent_variable;
    var->data = (uintptr_t) string;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_consent_parameter(ngx_conf_t *cf,
    ngx_http_klaviyo_consent_format_t *format, klaviyo_consent_want_t *want,
    ngx_str_t *word)
{
    u_char     *p, *last;
    ngx_int_t   vendor;

    last = word->data + word->len;

    if (format->parameter.len
        && word->len > format->parameter.len
        && ngx_strncmp(word->data, format->parameter.data,
                       format->parameter.len)
           == 0)
    {
        if (want->names || want->purposes) {
            goto duplicate;
        }

        p = word->data + format->parameter.len;

        if (ngx_strcmp(format->parameter.data, "purposes=") == 0) {
            return ngx_http_klaviyo_consent_purposes(cf, want, p, last, word);
        }

        return ngx_http_klaviyo_consent_names(cf, want, p, last, word);
    }

    if ((format->format == KLAVIYO_CONSENT_TCF
         || format->format == KLAVIYO_CONSENT_GPP)
        && ngx_strncmp(word->data, "vendor=", 7) == 0)
    {
        if (want->vendor) {
            goto duplicate;
        }

        vendor = ngx_atoi(word->data + 7, word->len - 7);

        if (vendor < 1 || vendor > KLAVIYO_CONSENT_VENDOR_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": a vendor is its "
                               "number in the list of TCF", word);
            return NGX_CONF_ERROR;
        }

        want->vendor = vendor;

        return NGX_CONF_OK;
    }

    if (format->parameter.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": the format \"%V\" takes "
                           "none", word, &format->name);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": the format \"%V\" takes "
                       "\"%V\"", word, &format->name, &format->parameter);

    return NGX_CONF_ERROR;

duplicate:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                       word);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_consent_names(ngx_conf_t *cf, klaviyo_consent_want_t *want,
    u_char *p, u_char *last, ngx_str_t *word)
{
    u_char                  *comma;
    klaviyo_consent_name_t  *name;

    for ( ;; ) {
        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        if (comma == p || want->names == KLAVIYO_CONSENT_NAMES_MAX) {
            goto invalid;
        }

        name = &want->name[want->names++];

        name->data = (const char *) p;
        name->len = comma - p;

        if (!ngx_http_klaviyo_consent_category(want, name)) {
            goto invalid;
        }

        if (comma == last) {
            return NGX_CONF_OK;
        }

        p = comma + 1;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\": write 1 to %d names that "
                       "the banner knows, with commas between them",
                       word, KLAVIYO_CONSENT_NAMES_MAX);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_consent_purposes(ngx_conf_t *cf,
    klaviyo_consent_want_t *want, u_char *p, u_char *last, ngx_str_t *word)
{
    u_char     *comma;
    ngx_int_t   purpose;

    for ( ;; ) {
        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        purpose = ngx_atoi(p, comma - p);

        if (purpose < 1 || purpose > NGX_HTTP_KLAVIYO_CONSENT_PURPOSE) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": write the numbers "
                               "of TCF's purposes, as in purposes=1,3,4",
                               word);
            return NGX_CONF_ERROR;
        }

        want->purposes |= 1U << purpose;

        if (comma == last) {
            return NGX_CONF_OK;
        }

        p = comma + 1;
    }
}


/* 0: no category of the format; other formats' are named by the site */

static ngx_uint_t
ngx_http_klaviyo_consent_category(klaviyo_consent_want_t *want,
    klaviyo_consent_name_t *name)
{
    const char  **known;

    static const char  *shopify[] = {
        "analytics", "marketing", "preferences", "sale_of_data", NULL
    };

    static const char  *cookiebot[] = {
        "necessary", "preferences", "statistics", "marketing", NULL
    };

    switch (want->format) {

    case KLAVIYO_CONSENT_SHOPIFY:
        known = shopify;
        break;

    case KLAVIYO_CONSENT_COOKIEBOT:
        known = cookiebot;
        break;

    default:
        return 1;
    }

    for ( /* void */ ; *known; known++) {

        if (ngx_strlen(*known) == name->len
            && ngx_memcmp(*known, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_klaviyo_consent_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_consent_string_t *string =
                                   (ngx_http_klaviyo_consent_string_t *) data;

    u_char             *buf;
    ngx_str_t           value;
    klaviyo_consent_e   answer;

    if (ngx_http_complex_value(r, &string->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->len = 0;
    v->data = (u_char *) "";

    if (value.len == 0 || value.len > KLAVIYO_CONSENT_TEXT_MAX) {
        return NGX_OK;
    }

    buf = ngx_pnalloc(r->pool, value.len);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    answer = klaviyo_consent_read(&string->want, value.data, value.len, buf);

    if (answer != KLAVIYO_CONSENT_NONE) {
        v->len = 1;
        v->data = (u_char *) (answer == KLAVIYO_CONSENT_YES ? "1" : "0");
    }

    return NGX_OK;
}

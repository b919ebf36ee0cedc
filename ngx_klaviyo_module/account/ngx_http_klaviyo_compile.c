/*
 * What directives of all rooms write: values with variables, and variables.
 */


#include "ngx_http_klaviyo_compile.h"


ngx_int_t
ngx_http_klaviyo_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t *value)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = value;

    return ngx_http_compile_complex_value(&ccv);
}


char *
ngx_http_klaviyo_compile_slot(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t **slot)
{
    if (*slot) {
        return "is duplicate";
    }

    *slot = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*slot == NULL) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_klaviyo_compile(cf, text, *slot) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_http_variable_t *
ngx_http_klaviyo_variable(ngx_conf_t *cf, ngx_str_t *word, ngx_uint_t flags)
{
    ngx_str_t             name;
    ngx_http_variable_t  *var;

    if (word->len < 2 || word->data[0] != '$') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid variable name \"%V\"", word);
        return NULL;
    }

    name.len = word->len - 1;
    name.data = word->data + 1;

    var = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_CHANGEABLE|flags);

    if (var && var->get_handler) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the variable \"$%V\" is there already", &name);
        return NULL;
    }

    return var;
}


ngx_int_t
ngx_http_klaviyo_add_variables(ngx_conf_t *cf, ngx_http_variable_t *v)
{
    ngx_http_variable_t  *var;

    for ( /* void */ ; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}

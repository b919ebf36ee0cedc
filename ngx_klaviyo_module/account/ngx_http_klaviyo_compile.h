#ifndef NGX_HTTP_KLAVIYO_COMPILE_H
#define NGX_HTTP_KLAVIYO_COMPILE_H


#include "ngx_http_klaviyo_account.h"


/* a text with variables; NGX_ERROR is already logged */
ngx_int_t ngx_http_klaviyo_compile(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t *value);

/* the same into a new value, once: "is duplicate" */
char *ngx_http_klaviyo_compile_slot(ngx_conf_t *cf, ngx_str_t *text,
    ngx_http_complex_value_t **slot);

/*
 * A new variable of the configuration's, which `word` names with its "$": the
 * caller gives it a handler.  NULL is already logged.
 */
ngx_http_variable_t *ngx_http_klaviyo_variable(ngx_conf_t *cf, ngx_str_t *word,
    ngx_uint_t flags);

/* the variables of a table, which ends in ngx_http_null_variable */
ngx_int_t ngx_http_klaviyo_add_variables(ngx_conf_t *cf,
    ngx_http_variable_t *v);


#endif /* NGX_HTTP_KLAVIYO_COMPILE_H */

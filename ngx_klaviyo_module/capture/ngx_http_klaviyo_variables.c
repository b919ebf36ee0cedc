/*
 * What a request remembers: its variables, the id of its first event.
 */


#include "ngx_http_klaviyo_variables.h"
#include "ngx_http_klaviyo_enrich.h"
#include "ngx_http_klaviyo_enrich_request.h"
#include "ngx_http_klaviyo_id.h"
#include "ngx_http_klaviyo_identity.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_url.h"
#include "account/ngx_http_klaviyo_compile.h"


static ngx_int_t ngx_http_klaviyo_variable_event_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_klaviyo_variable_captured(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_klaviyo_rule_t *ngx_http_klaviyo_first_rule(
    ngx_http_request_t **rp);


static ngx_http_variable_t  ngx_http_klaviyo_variables[] = {

    { ngx_string("klaviyo_event_id"), NULL,
      ngx_http_klaviyo_variable_event_id, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("klaviyo_captured"), NULL,
      ngx_http_klaviyo_variable_captured, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("klaviyo_exchange_id"), NULL,
      ngx_http_klaviyo_exchange_id_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("klaviyo_visitor_id"), NULL,
      ngx_http_klaviyo_visitor_id_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("klaviyo_uri"), NULL,
      ngx_http_klaviyo_url_variable, 0, 0, 0 },

    { ngx_string("klaviyo_args"), NULL,
      ngx_http_klaviyo_url_variable, 1, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_klaviyo_capture_variables(ngx_conf_t *cf)
{
    return ngx_http_klaviyo_add_variables(cf, ngx_http_klaviyo_variables);
}


static ngx_int_t
ngx_http_klaviyo_variable_event_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                     id;
    ngx_uint_t                    bad;
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_rule_t      *rule;

    (void) data;

    rule = ngx_http_klaviyo_first_rule(&r);

    ctx = ngx_http_klaviyo_context(r, rule != NULL);

    if (ctx == NULL
        || (ctx->id.len == 0 && (rule == NULL || ctx->logged)))
    {
        v->not_found = 1;
        return NGX_OK;
    }

    id = ctx->id;
    bad = 0;

    if (id.len == 0) {
        if (ngx_http_klaviyo_own_id(r, ctx, rule->template, &id, &bad)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (id.len == 0) {

        /* its own may be known later: nothing is told that it could not be */

        if (rule->template->unique_id.value && !bad) {
            v->not_found = 1;
            return NGX_OK;
        }

        if (ngx_http_klaviyo_mint(ctx->minted) != NGX_OK) {
            return NGX_ERROR;
        }

        ctx->id.len = NGX_HTTP_KLAVIYO_ID_LEN;
        ctx->id.data = ctx->minted;
        ctx->told = 1;

        id = ctx->id;
    }

    v->len = id.len;
    v->data = id.data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* a subrequest that fires no event tells of the one that made it */

static ngx_http_klaviyo_rule_t *
ngx_http_klaviyo_first_rule(ngx_http_request_t **rp)
{
    ngx_http_request_t           *r;
    ngx_http_klaviyo_rule_t      *rule;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_klaviyo_rule_set_t   sets[NGX_HTTP_KLAVIYO_RULE_SETS];

    for ( ;; ) {

        r = *rp;

        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        rule = ngx_http_klaviyo_rule_sets(r, sets)
               ? ngx_http_klaviyo_rule_set_first(&sets[0]) : NULL;

        if (r->parent == NULL
            || (rule && clcf->log_subrequest
                && ngx_http_klaviyo_enrich_own(r) == NULL))
        {
            return rule;
        }

        *rp = r->parent;
    }
}


static ngx_int_t
ngx_http_klaviyo_variable_captured(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_klaviyo_context(r, 0);

    if (ctx == NULL || !ctx->logged) {
        v->not_found = 1;
        return NGX_OK;
    }

    if (ctx->captured == 0 && ctx->reason) {
        v->len = ngx_strlen(ctx->reason);
        v->data = (u_char *) ctx->reason;

    } else {
        v->data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (v->data == NULL) {
            return NGX_ERROR;
        }

        v->len = ngx_sprintf(v->data, "%ui", ctx->captured) - v->data;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}

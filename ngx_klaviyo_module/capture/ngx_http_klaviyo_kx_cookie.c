/*
 * klaviyo_kx_cookie: a _kx that came with a link is kept in a cookie of the
 * site's own, which no script can read.
 *
 * The filter is there only if the directive is.  What it writes into the
 * header has the form of an exchange id, so nothing else can get there.
 */


#include "ngx_http_klaviyo_kx_cookie.h"
#include "ngx_http_klaviyo_identity.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_own_cookie.h"
#include "ngx_http_klaviyo_skip.h"


static ngx_int_t ngx_http_klaviyo_kx_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_kx_wanted(ngx_http_request_t *r,
    const klaviyo_identity_t *claim);


static ngx_http_output_header_filter_pt  ngx_http_klaviyo_next_header_filter;


char *
ngx_http_klaviyo_kx_cookie(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t  *klcf = conf;

    ngx_str_t                     *value, *days;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    static ngx_str_t  year = ngx_string("365");

    (void) cmd;

    if (klcf->kx_cookie != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (cf->args->nelts == 3) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": \"off\" stands "
                               "alone", &value[2]);
            return NGX_CONF_ERROR;
        }

        klcf->kx_cookie = NULL;
        return NGX_CONF_OK;
    }

    days = (cf->args->nelts == 3) ? &value[2] : &year;

    klcf->kx_cookie = ngx_http_klaviyo_own_cookie(cf, &value[1], days);
    if (klcf->kx_cookie == NULL) {
        return NGX_CONF_ERROR;
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);
    kmcf->kx_cookie = 1;

    return NGX_CONF_OK;
}


void
ngx_http_klaviyo_kx_cookie_init(ngx_http_klaviyo_main_conf_t *kmcf)
{
    if (kmcf->kx_cookie) {
        ngx_http_klaviyo_next_header_filter = ngx_http_top_header_filter;
        ngx_http_top_header_filter = ngx_http_klaviyo_kx_filter;
    }
}


static ngx_int_t
ngx_http_klaviyo_kx_filter(ngx_http_request_t *r)
{
    ngx_str_t                     kx;
    const klaviyo_identity_t     *claim;
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_klaviyo_conf(r);

    if (klcf->kx_cookie == NULL
        || !(klcf->identity & NGX_HTTP_KLAVIYO_IDENTITY_QUERY)
        || r != r->main)
    {
        return ngx_http_klaviyo_next_header_filter(r);
    }

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    claim = ngx_http_klaviyo_claim(r, ctx, NGX_HTTP_KLAVIYO_CLAIM_KX);
    if (claim == NULL) {
        return NGX_ERROR;
    }

    kx.len = claim->value[KLAVIYO_IDENTITY_KX].len;
    kx.data = (u_char *) claim->value[KLAVIYO_IDENTITY_KX].data;

    if (kx.len
        && ngx_http_klaviyo_kx_wanted(r, claim)
        && !ngx_http_klaviyo_skipping(r, ctx, 0)
        && ngx_http_klaviyo_own_cookie_set(r, klcf->kx_cookie, &kx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_next_header_filter(r);
}


/* an exchange id that no account would take is not worth keeping */

static ngx_uint_t
ngx_http_klaviyo_kx_wanted(ngx_http_request_t *r,
    const klaviyo_identity_t *claim)
{
    ngx_uint_t                      i;
    klaviyo_identity_t              identity;
    ngx_http_klaviyo_account_t    **account;
    ngx_http_klaviyo_main_conf_t   *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        identity = *claim;

        if (!klaviyo_identity_restrict(&identity, account[i]->company.data,
                                       account[i]->company.len))
        {
            return 1;
        }
    }

    return 0;
}

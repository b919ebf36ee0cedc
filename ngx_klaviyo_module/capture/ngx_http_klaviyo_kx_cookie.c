/*
 * klaviyo_kx_cookie: a _kx that came with a link is kept in a cookie of the
 * site's own, which no script can read.
 *
 * The filter is there only if the directive is.  What it writes into the
 * header has the form of an exchange id, so nothing else can get there.
 */


#include "ngx_http_klaviyo_identity.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_skip.h"


#define NGX_HTTP_KLAVIYO_KX_DAYS      365
#define NGX_HTTP_KLAVIYO_KX_DAYS_MAX  400    /* browsers keep none longer    */
#define NGX_HTTP_KLAVIYO_KX_NAME_MAX  128
#define NGX_HTTP_KLAVIYO_DAY          (24 * 60 * 60)


static ngx_uint_t ngx_http_klaviyo_kx_name(ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_kx_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_klaviyo_kx_wanted(ngx_http_request_t *r,
    klaviyo_identity_t *claim);
static ngx_int_t ngx_http_klaviyo_kx_set(ngx_http_request_t *r,
    ngx_http_klaviyo_kx_cookie_t *cookie, klaviyo_identity_text_t *kx);


static ngx_http_output_header_filter_pt  ngx_http_klaviyo_next_header_filter;


char *
ngx_http_klaviyo_kx_cookie(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t  *klcf = conf;

    u_char                        *p;
    ngx_int_t                      days;
    ngx_str_t                     *value;
    ngx_http_klaviyo_kx_cookie_t  *cookie;
    ngx_http_klaviyo_main_conf_t  *kmcf;

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

    if (!ngx_http_klaviyo_kx_name(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" of a cookie: use letters, "
                           "digits, \"_\", \"-\" and \".\", and no name of "
                           "Klaviyo's own cookies", &value[1]);
        return NGX_CONF_ERROR;
    }

    days = NGX_HTTP_KLAVIYO_KX_DAYS;

    if (cf->args->nelts == 3) {
        days = ngx_atoi(value[2].data, value[2].len);

        if (days < 1 || days > NGX_HTTP_KLAVIYO_KX_DAYS_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of days \"%V\": it must be 1 "
                               "to %d, browsers keep no cookie for longer",
                               &value[2], NGX_HTTP_KLAVIYO_KX_DAYS_MAX);
            return NGX_CONF_ERROR;
        }
    }

    cookie = ngx_palloc(cf->pool, sizeof(ngx_http_klaviyo_kx_cookie_t));
    if (cookie == NULL) {
        return NGX_CONF_ERROR;
    }

    p = ngx_pnalloc(cf->pool, sizeof("; Path=/; Max-Age=; Secure; HttpOnly; "
                                     "SameSite=Lax") - 1 + NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    cookie->name = value[1];
    cookie->attributes.data = p;
    cookie->attributes.len = ngx_sprintf(p, "; Path=/; Max-Age=%i; Secure; "
                                            "HttpOnly; SameSite=Lax",
                                         days * NGX_HTTP_KLAVIYO_DAY)
                             - p;

    klcf->kx_cookie = cookie;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);
    kmcf->kx_cookie = 1;

    return NGX_CONF_OK;
}


/* fewer characters than a token may have, and none that needs quoting */

static ngx_uint_t
ngx_http_klaviyo_kx_name(ngx_str_t *name)
{
    u_char  ch;
    size_t  i;

    if (name->len == 0 || name->len > NGX_HTTP_KLAVIYO_KX_NAME_MAX
        || ngx_strncmp(name->data, "__kla_", sizeof("__kla_") - 1) == 0)
    {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if ((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z')
            || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-'
            || ch == '.')
        {
            continue;
        }

        return 0;
    }

    return 1;
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
    klaviyo_identity_t           *claim;
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

    if (claim->value[KLAVIYO_IDENTITY_KX].len
        && ngx_http_klaviyo_kx_wanted(r, claim)
        && !ngx_http_klaviyo_skipping(r, ctx, 0)
        && ngx_http_klaviyo_kx_set(r, klcf->kx_cookie,
                                   &claim->value[KLAVIYO_IDENTITY_KX])
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_next_header_filter(r);
}


/* an exchange id that no account would take is not worth keeping */

static ngx_uint_t
ngx_http_klaviyo_kx_wanted(ngx_http_request_t *r, klaviyo_identity_t *claim)
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


static ngx_int_t
ngx_http_klaviyo_kx_set(ngx_http_request_t *r,
    ngx_http_klaviyo_kx_cookie_t *cookie, klaviyo_identity_text_t *kx)
{
    u_char           *p;
    size_t            len;
    ngx_table_elt_t  *header;

    len = cookie->name.len + 1 + kx->len + cookie->attributes.len;

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    header = ngx_list_push(&r->headers_out.headers);
    if (header == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(header, sizeof(ngx_table_elt_t));

    header->hash = 1;
    ngx_str_set(&header->key, "Set-Cookie");

    header->value.data = p;
    header->value.len = len;

    p = ngx_cpymem(p, cookie->name.data, cookie->name.len);
    *p++ = '=';
    p = ngx_cpymem(p, kx->data, kx->len);
    ngx_memcpy(p, cookie->attributes.data, cookie->attributes.len);

    return NGX_OK;
}

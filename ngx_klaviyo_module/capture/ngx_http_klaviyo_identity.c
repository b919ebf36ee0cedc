/*
 * The directive klaviyo_identity, and what the sources of identity say.
 */


#include "ngx_http_klaviyo_identity.h"
#include "ngx_http_klaviyo_cookie.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_url.h"
#include "queue/klaviyo_ring_figures.h"


/* what is known of one request; kept in its context */

struct ngx_http_klaviyo_claims_s {
    klaviyo_identity_t             *claim[NGX_HTTP_KLAVIYO_CLAIM_N];
    klaviyo_identity_rc_e           rc[NGX_HTTP_KLAVIYO_CLAIM_N];
    ngx_str_t                       args[NGX_HTTP_KLAVIYO_ARG_N];
    ngx_http_klaviyo_own_cookie_t  *kx_cookie;   /* the one that was read    */
    ngx_uint_t                      read;        /* 1 << claim               */
};


typedef klaviyo_identity_rc_e (*ngx_http_klaviyo_claim_pt)(
    klaviyo_identity_t *identity, const uint8_t *p, size_t len, uint8_t *buf);


static ngx_uint_t ngx_http_klaviyo_claim_enabled(
    ngx_http_klaviyo_loc_conf_t *klcf, ngx_http_klaviyo_claim_e n);
static ngx_int_t ngx_http_klaviyo_claim_text(ngx_http_request_t *r,
    ngx_http_klaviyo_claims_t *claims, ngx_http_klaviyo_claim_e n,
    ngx_str_t *text);
static void ngx_http_klaviyo_claim_count(klaviyo_ring_t *ring,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_claim_e n);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_identity_account(
    ngx_http_request_t *r);
static void ngx_http_klaviyo_identity_variable(ngx_http_variable_value_t *v,
    klaviyo_identity_text_t *text);


ngx_str_t  ngx_http_klaviyo_identity_names[] = {
    ngx_string("\"id\":"),
    ngx_string("\"_kx\":"),
    ngx_string("\"email\":"),
    ngx_string("\"phone_number\":"),
    ngx_string("\"external_id\":"),
    ngx_string("\"anonymous_id\":"),
    ngx_string("\"first_name\":"),
    ngx_string("\"last_name\":")
};


static ngx_str_t  ngx_http_klaviyo_kla_id = ngx_string("__kla_id");


/* in the order of ngx_http_klaviyo_claim_e */

static const struct {
    ngx_http_klaviyo_claim_pt  read;
    klaviyo_counter_e          too_long;
    klaviyo_counter_e          malformed;
} ngx_http_klaviyo_claim_kinds[] = {
    { klaviyo_identity_kx, KLAVIYO_COUNT_VALUE_KX, KLAVIYO_COUNT_VALUE_KX },
    { klaviyo_identity_ke, KLAVIYO_COUNT_VALUE_KE, KLAVIYO_COUNT_VALUE_KE },
    { klaviyo_identity_email, KLAVIYO_COUNT_VALUE_EMAIL,
      KLAVIYO_COUNT_VALUE_EMAIL },
    { klaviyo_identity_kx, KLAVIYO_COUNT_VALUE_KX, KLAVIYO_COUNT_VALUE_KX },
    { klaviyo_identity_cookie, KLAVIYO_COUNT_VALUE_COOKIE_LONG,
      KLAVIYO_COUNT_VALUE_COOKIE }
};


/* in the order of klaviyo_identity_e */

static const klaviyo_counter_e  ngx_http_klaviyo_identity_bad[] = {
    KLAVIYO_COUNT_VALUE_IDENTIFIER,
    KLAVIYO_COUNT_VALUE_KX,
    KLAVIYO_COUNT_VALUE_EMAIL,
    KLAVIYO_COUNT_VALUE_PHONE,
    KLAVIYO_COUNT_VALUE_IDENTIFIER,
    KLAVIYO_COUNT_VALUE_IDENTIFIER,
    KLAVIYO_COUNT_VALUE_IDENTIFIER,
    KLAVIYO_COUNT_VALUE_IDENTIFIER
};


char *
ngx_http_klaviyo_identity(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_loc_conf_t  *klcf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i, bit;

    (void) cmd;

    if (klcf->identity) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->identity = NGX_CONF_BITMASK_SET;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "cookie") == 0) {
            bit = NGX_HTTP_KLAVIYO_IDENTITY_COOKIE;

        } else if (ngx_strcmp(value[i].data, "query") == 0) {
            bit = NGX_HTTP_KLAVIYO_IDENTITY_QUERY;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": write \"cookie\", "
                               "\"query\" or both, or \"off\" alone",
                               &value[i]);
            return NGX_CONF_ERROR;
        }

        if (klcf->identity & bit) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        klcf->identity |= bit;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_klaviyo_identify(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_account_t *account, klaviyo_ring_t *ring,
    klaviyo_identity_t *identity)
{
    ngx_uint_t                    i;
    const klaviyo_identity_t     *claim;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_klaviyo_conf(r);

    for (i = 0; i < NGX_HTTP_KLAVIYO_CLAIM_N; i++) {

        if (!ngx_http_klaviyo_claim_enabled(klcf, i)) {
            continue;
        }

        /* most requests name nobody in their arguments */

        if (i < NGX_HTTP_KLAVIYO_CLAIM_KX_COOKIE
            && ctx->claims
            && ctx->claims->args[i].len == 0)
        {
            continue;
        }

        claim = ngx_http_klaviyo_claim(r, ctx, i);
        if (claim == NULL) {
            return NGX_ERROR;
        }

        if (ring) {
            ngx_http_klaviyo_claim_count(ring, ctx, i);
        }

        if (!klaviyo_identity_any(claim)) {
            continue;
        }

        ngx_memcpy(identity, claim, KLAVIYO_IDENTITY_HEAD);

        if (account
            && klaviyo_identity_restrict(identity, account->company.data,
                                         account->company.len))
        {
            if (ring) {
                klaviyo_ring_count(ring, KLAVIYO_COUNT_VALUE_COMPANY, 1);
            }

            if (!klaviyo_identity_any(identity)) {
                continue;
            }
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_klaviyo_claim_enabled(ngx_http_klaviyo_loc_conf_t *klcf,
    ngx_http_klaviyo_claim_e n)
{
    switch (n) {

    case NGX_HTTP_KLAVIYO_CLAIM_KX_COOKIE:
        return klcf->kx_cookie
               && (klcf->identity & ~NGX_CONF_BITMASK_SET) != 0;

    case NGX_HTTP_KLAVIYO_CLAIM_KLA_ID:
        return (klcf->identity & NGX_HTTP_KLAVIYO_IDENTITY_COOKIE) != 0;

    default:
        return (klcf->identity & NGX_HTTP_KLAVIYO_IDENTITY_QUERY) != 0;
    }
}


const klaviyo_identity_t *
ngx_http_klaviyo_claim(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_claim_e n)
{
    u_char                       *buf;
    ngx_str_t                     text;
    klaviyo_identity_t           *claim;
    ngx_http_klaviyo_url_t       *url;
    ngx_http_klaviyo_claims_t    *claims;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    static const klaviyo_identity_t  nobody;

    claims = ctx->claims;

    if (claims == NULL) {
        url = ngx_http_klaviyo_url(r);
        claims = ngx_pcalloc(r->pool, sizeof(ngx_http_klaviyo_claims_t));

        if (url == NULL || claims == NULL) {
            return NULL;
        }

        ngx_http_klaviyo_url_identity(url, claims->args);

        ctx->claims = claims;
    }

    klcf = ngx_http_klaviyo_conf(r);

    /* an internal redirect may lead to where the cookie has another name */

    if (n == NGX_HTTP_KLAVIYO_CLAIM_KX_COOKIE
        && claims->kx_cookie != klcf->kx_cookie)
    {
        claims->kx_cookie = klcf->kx_cookie;
        claims->read &= ~(1 << n);
        claims->claim[n] = NULL;
    }

    if (claims->read & (1 << n)) {
        return claims->claim[n] ? claims->claim[n] : &nobody;
    }

    if (ngx_http_klaviyo_claim_text(r, claims, n, &text) != NGX_OK) {
        claims->rc[n] = KLAVIYO_IDENTITY_OK;
        claims->read |= 1 << n;
        return &nobody;
    }

    claim = ngx_palloc(r->pool, sizeof(klaviyo_identity_t)
                                + ngx_min(text.len,
                                          KLAVIYO_IDENTITY_TEXT_MAX));
    if (claim == NULL) {
        return NULL;
    }

    buf = (u_char *) claim + sizeof(klaviyo_identity_t);

    claims->claim[n] = claim;
    claims->rc[n] = ngx_http_klaviyo_claim_kinds[n].read(claim, text.data,
                                                         text.len, buf);
    claims->read |= 1 << n;

    return claim;
}


static ngx_int_t
ngx_http_klaviyo_claim_text(ngx_http_request_t *r,
    ngx_http_klaviyo_claims_t *claims, ngx_http_klaviyo_claim_e n,
    ngx_str_t *text)
{
    ngx_str_t  *name;

    if (n < NGX_HTTP_KLAVIYO_CLAIM_KX_COOKIE) {
        *text = claims->args[n];

    } else {
        name = n == NGX_HTTP_KLAVIYO_CLAIM_KLA_ID
               ? &ngx_http_klaviyo_kla_id : &claims->kx_cookie->name;

        if (ngx_http_klaviyo_cookie(r, name, text) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    return text->len ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_klaviyo_claim_count(klaviyo_ring_t *ring,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_claim_e n)
{
    ngx_uint_t  i, bad;

    if (ctx->claims->rc[n] != KLAVIYO_IDENTITY_OK) {
        ctx->claim = ctx->claims->rc[n] == KLAVIYO_IDENTITY_TOO_LONG
                     ? ngx_http_klaviyo_claim_kinds[n].too_long
                     : ngx_http_klaviyo_claim_kinds[n].malformed;

        klaviyo_ring_count(ring, ctx->claim, 1);
    }

    bad = ctx->claims->claim[n] ? ctx->claims->claim[n]->bad : 0;

    for (i = 0; bad; i++, bad >>= 1) {

        if (bad & 1) {
            klaviyo_ring_count(ring, ngx_http_klaviyo_identity_bad[i], 1);

            if (ctx->claim == 0 && i < KLAVIYO_IDENTITY_N) {
                ctx->claim = ngx_http_klaviyo_identity_bad[i];
            }
        }
    }
}


ngx_int_t
ngx_http_klaviyo_exchange_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_int_t                rc;
    klaviyo_identity_t       identity;
    ngx_http_klaviyo_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_klaviyo_identify(r, ctx,
                                   ngx_http_klaviyo_identity_account(r), NULL,
                                   &identity);
    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_klaviyo_identity_variable(v, rc == NGX_OK
                                       ? &identity.value[KLAVIYO_IDENTITY_KX]
                                       : NULL);

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_visitor_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    klaviyo_identity_text_t       cid;
    const klaviyo_identity_t     *claim;
    ngx_http_klaviyo_ctx_t       *ctx;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    (void) data;

    klcf = ngx_http_klaviyo_conf(r);

    if (!ngx_http_klaviyo_claim_enabled(klcf, NGX_HTTP_KLAVIYO_CLAIM_KLA_ID))
    {
        v->not_found = 1;
        return NGX_OK;
    }

    ctx = ngx_http_klaviyo_context(r, 1);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    claim = ngx_http_klaviyo_claim(r, ctx, NGX_HTTP_KLAVIYO_CLAIM_KLA_ID);
    if (claim == NULL) {
        return NGX_ERROR;
    }

    klaviyo_identity_cid(claim, &cid);

    ngx_http_klaviyo_identity_variable(v, &cid);

    return NGX_OK;
}


/* that of the first event here, else the one that it would have */

static ngx_http_klaviyo_account_t *
ngx_http_klaviyo_identity_account(ngx_http_request_t *r)
{
    ngx_http_klaviyo_rule_t       *rule;
    ngx_http_klaviyo_account_t   **account;
    ngx_http_klaviyo_loc_conf_t   *klcf;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    klcf = ngx_http_klaviyo_conf(r);

    if (klcf->rules) {
        rule = klcf->rules->elts;
        return ngx_http_klaviyo_rule_account(r, rule);
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_klaviyo_module);

    if (kmcf->accounts.nelts == 1) {
        account = kmcf->accounts.elts;
        return account[0];
    }

    return ngx_http_klaviyo_account_find(kmcf, &klcf->account);
}


static void
ngx_http_klaviyo_identity_variable(ngx_http_variable_value_t *v,
    klaviyo_identity_text_t *text)
{
    if (text == NULL || text->len == 0) {
        v->not_found = 1;
        return;
    }

    v->len = text->len;
    v->data = (u_char *) text->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}

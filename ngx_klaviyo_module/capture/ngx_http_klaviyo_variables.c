/*
 * What a request remembers: its variables, the id of its first event.
 */


#include "ngx_http_klaviyo_enrich.h"
#include "ngx_http_klaviyo_identity.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_url.h"
#include "json/klaviyo_utf8.h"

#include <sys/random.h>


#define NGX_HTTP_KLAVIYO_RANDOM      1000    /* bytes had in one go          */
#define NGX_HTTP_KLAVIYO_ID_RANDOM   10      /* of them in one id            */


static ngx_int_t ngx_http_klaviyo_variable_event_id(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_klaviyo_variable_captured(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_klaviyo_rule_t *ngx_http_klaviyo_first_rule(
    ngx_http_request_t **rp);
static void ngx_http_klaviyo_context_cleanup(void *data);
static ngx_int_t ngx_http_klaviyo_own_id(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_template_t *template,
    ngx_str_t *id, ngx_uint_t *bad);
static ngx_uint_t ngx_http_klaviyo_is_id(ngx_str_t *id);


/* each process its own, from the kernel */

static u_char      ngx_http_klaviyo_random[NGX_HTTP_KLAVIYO_RANDOM];
static ngx_uint_t  ngx_http_klaviyo_random_left;


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
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_klaviyo_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_capture_init_process(ngx_cycle_t *cycle)
{
    ssize_t  n;

    /* may wait, early after the machine's start, for the kernel's generator */

    do {
        n = getrandom(ngx_http_klaviyo_random, NGX_HTTP_KLAVIYO_RANDOM, 0);
    } while (n == -1 && ngx_errno == NGX_EINTR);

    if (n == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "getrandom() failed");
        return NGX_ERROR;
    }

    ngx_http_klaviyo_random_left = n;

    return NGX_OK;
}


/*
 * An internal redirect clears r->ctx; a cleanup of the pool is there until
 * the end.  Subrequests share the pool of the main request.
 */

ngx_http_klaviyo_ctx_t *
ngx_http_klaviyo_context(ngx_http_request_t *r, ngx_uint_t create)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_klaviyo_ctx_t  *ctx;

    static uint64_t  number;

    ctx = ngx_http_get_module_ctx(r, ngx_http_klaviyo_module);

    if (ctx) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_klaviyo_context_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx->request == r) {
            goto found;
        }
    }

    if (!create) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_klaviyo_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_klaviyo_context_cleanup;

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_klaviyo_ctx_t));

    ctx->request = r;
    ctx->number = ++number;

found:

    ngx_http_set_ctx(r, ctx, ngx_http_klaviyo_module);

    return ctx;
}


static void
ngx_http_klaviyo_context_cleanup(void *data)
{
    (void) data;
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


/*
 * Until the first event is captured, ctx->id is only set when it was told;
 * from then on it is that event's.  What the application names was not known
 * when the id was told.
 */

ngx_int_t
ngx_http_klaviyo_unique_id(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_template_t *template, ngx_str_t *id, ngx_uint_t *bad)
{
    ngx_uint_t  told;

    *bad = 0;

    told = (ctx->captured == 0 && ctx->held == 0 && ctx->told);

    if (told && !template->named) {
        *id = ctx->id;
        return NGX_OK;
    }

    if (ngx_http_klaviyo_own_id(r, ctx, template, id, bad) != NGX_OK) {
        return NGX_ERROR;
    }

    if (id->len) {
        return NGX_OK;
    }

    if (told) {
        *id = ctx->id;
        return NGX_OK;
    }

    /* of the first event it stays, that of another may have to as well */

    id->len = NGX_HTTP_KLAVIYO_ID_LEN;
    id->data = ctx->minted;

    if (ctx->id.data == ctx->minted) {
        id->data = ngx_pnalloc(r->pool, NGX_HTTP_KLAVIYO_ID_LEN);

        if (id->data == NULL) {
            return NGX_ERROR;
        }
    }

    return ngx_http_klaviyo_mint(id->data);
}


/* empty: the rule has none, or a bad one; unique_id may ask for itself */

static ngx_int_t
ngx_http_klaviyo_own_id(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_template_t *template, ngx_str_t *id, ngx_uint_t *bad)
{
    ngx_int_t       rc;
    const uint8_t  *p;

    *bad = 0;
    id->len = 0;

    if (template->unique_id.value == NULL || ctx->asking) {
        return NGX_OK;
    }

    ctx->asking = 1;
    rc = ngx_http_klaviyo_op_value(r, &template->unique_id, id);
    ctx->asking = 0;

    if (rc != NGX_OK || id->len == 0) {
        return rc;
    }

    p = id->data;

    id->len = klaviyo_value_trim(&p, id->len);
    id->data = (u_char *) p;

    if (id->len && !ngx_http_klaviyo_is_id(id)) {
        id->len = 0;
        *bad = 1;
    }

    return NGX_OK;
}


/* the queue compares bytes, Klaviyo characters: so nothing to be repaired */

static ngx_uint_t
ngx_http_klaviyo_is_id(ngx_str_t *id)
{
    int      n;
    u_char  *p, *last;

    if (id->len > KLAVIYO_UNIQUE_ID_MAX) {
        return 0;
    }

    last = id->data + id->len;

    for (p = id->data; p < last; p += n) {

        n = klaviyo_utf8_length(p, last);

        if (n < 0 || *p < 0x20 || *p == 0x7f) {
            return 0;
        }
    }

    return 1;
}


/* a UUID of version 7: 48 bits of milliseconds, 74 bits of chance */

ngx_int_t
ngx_http_klaviyo_mint(u_char *id)
{
    u_char       buf[16];
    ssize_t      n;
    uint64_t     ms;
    ngx_uint_t   i;
    ngx_time_t  *tp;

    static const u_char  digits[] = "0123456789abcdef";

    static u_char        hex[256][2];
    static const u_char  dashes[] = { 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4,
                                      4, 4, 4 };

    if (hex[0][0] == 0) {

        for (i = 0; i < 256; i++) {
            hex[i][0] = digits[i >> 4];
            hex[i][1] = digits[i & 0xf];
        }
    }

    if (ngx_http_klaviyo_random_left < NGX_HTTP_KLAVIYO_ID_RANDOM) {

        n = getrandom(ngx_http_klaviyo_random, NGX_HTTP_KLAVIYO_RANDOM,
                      GRND_NONBLOCK);

        if (n < NGX_HTTP_KLAVIYO_ID_RANDOM) {
            return NGX_ERROR;
        }

        ngx_http_klaviyo_random_left = n;
    }

    ngx_http_klaviyo_random_left -= NGX_HTTP_KLAVIYO_ID_RANDOM;

    tp = ngx_timeofday();
    ms = (uint64_t) tp->sec * 1000 + tp->msec;

    buf[0] = (u_char) (ms >> 40);
    buf[1] = (u_char) (ms >> 32);
    buf[2] = (u_char) (ms >> 24);
    buf[3] = (u_char) (ms >> 16);
    buf[4] = (u_char) (ms >> 8);
    buf[5] = (u_char) ms;

    ngx_memcpy(&buf[6],
               ngx_http_klaviyo_random + ngx_http_klaviyo_random_left,
               NGX_HTTP_KLAVIYO_ID_RANDOM);

    buf[6] = (buf[6] & 0x0f) | 0x70;
    buf[8] = (buf[8] & 0x3f) | 0x80;

    for (i = 0; i < 16; i++) {
        ngx_memcpy(id + 2 * i + dashes[i], hex[buf[i]], 2);
    }

    id[8] = '-';
    id[13] = '-';
    id[18] = '-';
    id[23] = '-';

    return NGX_OK;
}

/*
 * Who waits, and who tells them.
 *
 * Few requests of known visitors have somebody that waits for them, and each
 * that tells takes room from those that wait.  So the workers share a table
 * of when a key was last waited under: a cell for many keys, which may be
 * wrong only by telling too much.  It is a zone of nginx's, to outlive a
 * reload; a new one says that somebody waits under every key.
 */


#include "ngx_http_klaviyo_wait.h"
#include "ngx_http_klaviyo_late.h"
#include "ngx_http_klaviyo_location.h"
#include "ngx_http_klaviyo_skip.h"
#include "queue/klaviyo_hold.h"
#include "queue/klaviyo_hold_record.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_WAIT_CELLS    65536
#define NGX_HTTP_KLAVIYO_WAIT_TOLD     1024
#define NGX_HTTP_KLAVIYO_WAIT_MEMBERS  8192   /* bytes, at most              */


/* what this worker told last; a slot for many keys */

typedef struct {
    ngx_http_klaviyo_account_t  *account;
    uint32_t                     hash;
    uint32_t                     time;        /* s                           */
} ngx_http_klaviyo_told_t;


static ngx_int_t ngx_http_klaviyo_wait_zone(ngx_shm_zone_t *zone, void *data);
static ngx_int_t ngx_http_klaviyo_wait_check_rules(ngx_conf_t *cf,
    ngx_array_t *rules);
static ngx_int_t ngx_http_klaviyo_wait_check_rule(ngx_conf_t *cf,
    ngx_http_klaviyo_rule_t *rule);
static ngx_int_t ngx_http_klaviyo_wait_cookies(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, klaviyo_identity_text_t *cid,
    klaviyo_identity_text_t *kept);
static ngx_int_t ngx_http_klaviyo_wait_set(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_ctx_t *ctx, u_char kind, klaviyo_identity_text_t *text);
static ngx_uint_t ngx_http_klaviyo_wait_asked(
    ngx_http_klaviyo_account_t *account, u_char kind,
    klaviyo_identity_text_t *text);
static ngx_int_t ngx_http_klaviyo_wait_tell(ngx_http_klaviyo_values_t *values,
    u_char kind, klaviyo_identity_text_t *text);
static void ngx_http_klaviyo_wait_members(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_http_klaviyo_section_e section);
static uint32_t *ngx_http_klaviyo_wait_cell(
    ngx_http_klaviyo_account_t *account, uint32_t hash);
static uint32_t ngx_http_klaviyo_wait_hash(u_char kind, const u_char *p,
    size_t len);


static ngx_http_klaviyo_told_t
    ngx_http_klaviyo_told[NGX_HTTP_KLAVIYO_WAIT_TOLD];


ngx_int_t
ngx_http_klaviyo_wait_init(ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf)
{
    u_char                       *p;
    size_t                        size;
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_shm_zone_t               *zone;
    ngx_http_klaviyo_account_t  **account;

    size = NGX_HTTP_KLAVIYO_WAIT_CELLS * sizeof(uint32_t) + 16 * ngx_pagesize;

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (account[i]->hold == 0) {
            continue;
        }

        name.len = sizeof("klaviyo_hold:") - 1 + account[i]->name.len;

        p = ngx_pnalloc(cf->pool, name.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        name.data = p;
        (void) ngx_sprintf(p, "klaviyo_hold:%V", &account[i]->name);

        zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_klaviyo_module);
        if (zone == NULL) {
            return NGX_ERROR;
        }

        zone->init = ngx_http_klaviyo_wait_zone;

        account[i]->hold_zone = zone;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_wait_zone(ngx_shm_zone_t *zone, void *data)
{
    uint32_t         *cells;
    ngx_uint_t        i;
    ngx_slab_pool_t  *pool;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = pool->data;
        return NGX_OK;
    }

    cells = ngx_slab_alloc(pool,
                           NGX_HTTP_KLAVIYO_WAIT_CELLS * sizeof(uint32_t));
    if (cells == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_KLAVIYO_WAIT_CELLS; i++) {
        cells[i] = (uint32_t) ngx_time();
    }

    pool->data = cells;
    zone->data = cells;

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_wait_check(ngx_conf_t *cf, ngx_http_klaviyo_loc_conf_t *conf)
{
    if (!(conf->skip & NGX_HTTP_KLAVIYO_SKIP_SCANNER)) {
        return NGX_OK;
    }

    if (ngx_http_klaviyo_wait_check_rules(cf, conf->rules) != NGX_OK
        || ngx_http_klaviyo_wait_check_rules(cf, conf->json) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return conf->named ? ngx_http_klaviyo_wait_check_rule(cf, conf->named)
                       : NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_wait_check_rules(ngx_conf_t *cf, ngx_array_t *rules)
{
    ngx_uint_t                i;
    ngx_http_klaviyo_rule_t  *rule;

    if (rules == NULL) {
        return NGX_OK;
    }

    rule = rules->elts;

    for (i = 0; i < rules->nelts; i++) {
        if (ngx_http_klaviyo_wait_check_rule(cf, &rule[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* a variable may name any account */

static ngx_int_t
ngx_http_klaviyo_wait_check_rule(ngx_conf_t *cf,
    ngx_http_klaviyo_rule_t *rule)
{
    ngx_uint_t                      i, n;
    ngx_http_klaviyo_account_t    **account;
    ngx_http_klaviyo_main_conf_t   *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);

    account = rule->choice ? kmcf->accounts.elts : &rule->account;
    n = rule->choice ? kmcf->accounts.nelts : 1;

    for (i = 0; i < n; i++) {

        if (account[i]->hold == 0) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"klaviyo_skip scanner\" needs a \"hold\" in "
                          "klaviyo_account \"%V\" in %s:%ui, as in \"hold "
                          "30m;\": the events have to wait somewhere",
                          &account[i]->name, account[i]->conf_file,
                          account[i]->conf_line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_wait(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_ctx_t *ctx)
{
    const klaviyo_identity_t     *query;
    klaviyo_identity_text_t       cid, kept, *kx;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    ctx->wait.len = 0;

    if (ngx_http_klaviyo_wait_cookies(values->request, ctx, &cid, &kept)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!values->identified) {
        return ngx_http_klaviyo_wait_set(values, ctx, KLAVIYO_HOLD_VISITOR,
                                         &cid);
    }

    if (!(values->identified & NGX_HTTP_KLAVIYO_IS_KNOWN)) {
        return NGX_OK;
    }

    klcf = ngx_http_klaviyo_conf(values->request);

    kx = &values->identity.value[KLAVIYO_IDENTITY_KX];

    /* a cid is klaviyo.js's, which a scanner does not run */

    if ((klcf->skip & NGX_HTTP_KLAVIYO_SKIP_SCANNER) && kx->len
        && cid.len == 0
        && (kept.len != kx->len
            || ngx_memcmp(kept.data, kx->data, kx->len) != 0))
    {
        query = ngx_http_klaviyo_claim(values->request, ctx,
                                       NGX_HTTP_KLAVIYO_CLAIM_KX);
        if (query == NULL) {
            return NGX_ERROR;
        }

        if (kx->data == query->value[KLAVIYO_IDENTITY_KX].data) {
            return ngx_http_klaviyo_wait_set(values, ctx,
                                             KLAVIYO_HOLD_SCANNER, kx);
        }
    }

    if (ngx_http_klaviyo_wait_asked(values->account, KLAVIYO_HOLD_SCANNER,
                                    &kept)
        && ngx_http_klaviyo_wait_tell(values, KLAVIYO_HOLD_SCANNER, &kept)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_klaviyo_wait_asked(values->account, KLAVIYO_HOLD_VISITOR,
                                    &cid))
    {
        return ngx_http_klaviyo_wait_tell(values, KLAVIYO_HOLD_VISITOR, &cid);
    }

    return NGX_OK;
}


/* the browser and the exchange id that cookies name, where they are asked */

static ngx_int_t
ngx_http_klaviyo_wait_cookies(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, klaviyo_identity_text_t *cid,
    klaviyo_identity_text_t *kept)
{
    const klaviyo_identity_t     *claim;
    ngx_http_klaviyo_loc_conf_t  *klcf;

    klcf = ngx_http_klaviyo_conf(r);

    cid->len = 0;
    kept->len = 0;

    if (klcf->identity & NGX_HTTP_KLAVIYO_IDENTITY_COOKIE) {

        claim = ngx_http_klaviyo_claim(r, ctx, NGX_HTTP_KLAVIYO_CLAIM_KLA_ID);
        if (claim == NULL) {
            return NGX_ERROR;
        }

        klaviyo_identity_cid(claim, cid);
        *kept = claim->value[KLAVIYO_IDENTITY_KX];
    }

    if (klcf->kx_cookie
        && (klcf->identity & ~((ngx_uint_t) NGX_CONF_BITMASK_SET)))
    {
        claim = ngx_http_klaviyo_claim(r, ctx,
                                       NGX_HTTP_KLAVIYO_CLAIM_KX_COOKIE);
        if (claim == NULL) {
            return NGX_ERROR;
        }

        if (claim->value[KLAVIYO_IDENTITY_KX].len) {
            *kept = claim->value[KLAVIYO_IDENTITY_KX];
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_wait_set(ngx_http_klaviyo_values_t *values,
    ngx_http_klaviyo_ctx_t *ctx, u_char kind, klaviyo_identity_text_t *text)
{
    u_char  *p;

    if (text->len == 0 || text->len >= KLAVIYO_HOLD_KEY_MAX) {
        return NGX_OK;
    }

    p = ngx_pnalloc(values->request->pool, text->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p[0] = kind;
    ngx_memcpy(p + 1, text->data, text->len);

    ctx->wait.data = p;
    ctx->wait.len = text->len + 1;

    return NGX_OK;
}


/* 1: somebody may wait under the key, and was not told by this worker yet */

static ngx_uint_t
ngx_http_klaviyo_wait_asked(ngx_http_klaviyo_account_t *account, u_char kind,
    klaviyo_identity_text_t *text)
{
    uint32_t                  hash, last;
    ngx_http_klaviyo_told_t  *told;

    if (text->len == 0 || text->len >= KLAVIYO_HOLD_KEY_MAX) {
        return 0;
    }

    hash = ngx_http_klaviyo_wait_hash(kind, text->data, text->len);
    last = __atomic_load_n(ngx_http_klaviyo_wait_cell(account, hash),
                           __ATOMIC_RELAXED);

    if ((int64_t) (uint32_t) (ngx_time() - last)
        > (int64_t) (account->hold / 1000 + 1))
    {
        return 0;
    }

    told = &ngx_http_klaviyo_told[hash % NGX_HTTP_KLAVIYO_WAIT_TOLD];

    return told->account != account || told->hash != hash
           || (int32_t) (told->time - last) <= 0;
}


static ngx_int_t
ngx_http_klaviyo_wait_tell(ngx_http_klaviyo_values_t *values, u_char kind,
    klaviyo_identity_text_t *text)
{
    u_char                   *buf;
    size_t                    len, beside;
    uint8_t                   key[KLAVIYO_HOLD_KEY_MAX];
    uint32_t                  hash;
    ngx_time_t               *tp;
    klaviyo_json_t            json;
    ngx_http_klaviyo_told_t  *told;

    buf = ngx_pnalloc(values->request->pool, NGX_HTTP_KLAVIYO_WAIT_MEMBERS);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    klaviyo_json_init(&json, buf, NGX_HTTP_KLAVIYO_WAIT_MEMBERS);
    beside = 0;

    /* a scanner's event has its identity: it goes as it is */

    if (kind == KLAVIYO_HOLD_VISITOR) {
        ngx_http_klaviyo_wait_members(values, &json, NGX_HTTP_KLAVIYO_ID);
        beside = json.pos - buf;

        ngx_http_klaviyo_wait_members(values, &json,
                                      NGX_HTTP_KLAVIYO_ATTRIBUTES);

        if (json.overflow || json.pos == buf
            || beside > KLAVIYO_HOLD_BESIDE_MAX)
        {
            return NGX_OK;
        }
    }

    len = json.pos - buf - beside;
    tp = ngx_timeofday();

    key[0] = kind;
    ngx_memcpy(key + 1, text->data, text->len);

    /* each member has its comma, those of `attributes` want none at first */

    if (klaviyo_hold_identity(values->account->hold_ring, key, text->len + 1,
                              buf, beside,
                              buf + beside + (len != 0), len - (len != 0),
                              (int64_t) tp->sec * 1000 + tp->msec)
        == KLAVIYO_RING_OK)
    {
        hash = ngx_http_klaviyo_wait_hash(kind, text->data, text->len);
        told = &ngx_http_klaviyo_told[hash % NGX_HTTP_KLAVIYO_WAIT_TOLD];

        told->account = values->account;
        told->hash = hash;
        told->time = (uint32_t) tp->sec;
    }

    return NGX_OK;
}


/*
 * The identifiers of this place as `,"name":value`.  Those that the
 * configuration gives to everybody say nothing of this visitor.
 */

static void
ngx_http_klaviyo_wait_members(ngx_http_klaviyo_values_t *values,
    klaviyo_json_t *json, ngx_http_klaviyo_section_e section)
{
    int                       cut;
    u_char                   *start;
    ngx_uint_t                i, last;
    ngx_http_klaviyo_op_t    *op;
    klaviyo_identity_text_t  *text;

    i = section ? values->template->end[section - 1] : 0;

    for ( /* void */ ; i < values->template->end[section]; i++) {

        op = &values->template->ops[i];

        if (op->identifier == 0
            || (op->value == NULL && op->get == NULL)
            || values->ops[i].len == 0)
        {
            continue;
        }

        start = json->pos;

        klaviyo_json_literal(json, ",");
        klaviyo_json_raw(json, op->text.data, op->text.len);

        if (klaviyo_value_write(json, op->type, values->ops[i].data,
                                values->ops[i].len, &cut)
            != KLAVIYO_VALUE_OK)
        {
            json->pos = start;
        }
    }

    i = (section == NGX_HTTP_KLAVIYO_ID) ? KLAVIYO_IDENTITY_ID
                                         : KLAVIYO_IDENTITY_KX;
    last = (section == NGX_HTTP_KLAVIYO_ID) ? KLAVIYO_IDENTITY_KX
                                            : KLAVIYO_IDENTITY_N;

    for ( /* void */ ; i < last; i++) {

        text = &values->identity.value[i];

        if (text->len) {
            klaviyo_json_literal(json, ",");
            klaviyo_json_raw(json, ngx_http_klaviyo_identity_names[i].data,
                             ngx_http_klaviyo_identity_names[i].len);
            klaviyo_json_string(json, text->data, text->len,
                                KLAVIYO_IDENTITY_MAX);
        }
    }
}


const char *
ngx_http_klaviyo_wait_event(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_account_t *account,
    klaviyo_event_t *event)
{
    u_char             *buf;
    uint32_t            hash;
    klaviyo_ring_rc_e   rc;
    klaviyo_counter_e   reason;

    if (event->profile_len + NGX_HTTP_KLAVIYO_WAIT_MEMBERS
        > KLAVIYO_PROFILE_MAX)
    {
        reason = KLAVIYO_COUNT_SKIPPED_PROFILE;
        goto skipped;
    }

    buf = ngx_pnalloc(r->pool, event->profile_len + KLAVIYO_HOLD_PREFIX_MAX);
    if (buf == NULL) {
        reason = KLAVIYO_COUNT_SKIPPED_MEMORY;
        goto skipped;
    }

    /* first: who reads it in between tells once too often */

    hash = ngx_http_klaviyo_wait_hash(ctx->wait.data[0], ctx->wait.data + 1,
                                      ctx->wait.len - 1);

    __atomic_store_n(ngx_http_klaviyo_wait_cell(account, hash),
                     (uint32_t) ngx_time(), __ATOMIC_RELAXED);

    rc = klaviyo_hold_event(account->hold_ring, event, ctx->wait.data,
                            ctx->wait.len, buf);

    if (rc != KLAVIYO_RING_OK) {
        return ngx_http_klaviyo_append_refused(account, rc);
    }

    return "held";

skipped:

    klaviyo_ring_count(account->ring, reason, 1);

    return klaviyo_counter_names[reason].name;
}


static uint32_t *
ngx_http_klaviyo_wait_cell(ngx_http_klaviyo_account_t *account, uint32_t hash)
{
    uint32_t  *cells;

    cells = account->hold_zone->data;

    return &cells[hash % NGX_HTTP_KLAVIYO_WAIT_CELLS];
}


static uint32_t
ngx_http_klaviyo_wait_hash(u_char kind, const u_char *p, size_t len)
{
    return ngx_murmur_hash2((u_char *) p, len) ^ (uint32_t) kind << 24;
}

/*
 * The zones of the keys, and whose turn it is.  Several accounts may have the
 * same key.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>

#include "ngx_http_klaviyo_limits.h"


#define NGX_HTTP_KLAVIYO_LIMITS_NAME  "klaviyo_limits:"
#define NGX_HTTP_KLAVIYO_LIMITS_HASH  8    /* bytes of it in the name        */


typedef struct {
    int64_t            paused_until;
    klaviyo_limiter_t  limiter;
} ngx_http_klaviyo_limits_zone_t;


static ngx_int_t ngx_http_klaviyo_limits_name(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_limits_zone(ngx_shm_zone_t *zone,
    void *data);
static int64_t ngx_http_klaviyo_limits_ask(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class, ngx_uint_t take, int64_t now);
static unsigned ngx_http_klaviyo_limits_of(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class);


ngx_int_t
ngx_http_klaviyo_limits_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    size_t                        size;
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_shm_zone_t               *zone;
    ngx_http_klaviyo_account_t  **account;

    size = sizeof(ngx_http_klaviyo_limits_zone_t) + 8 * ngx_pagesize;

    account = kmcf->queues.elts;

    for (i = 0; i < kmcf->queues.nelts; i++) {

        if (ngx_http_klaviyo_limits_name(cf, account[i], &name) != NGX_OK) {
            return NGX_ERROR;
        }

        zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_klaviyo_module);
        if (zone == NULL) {
            return NGX_ERROR;
        }

        zone->init = ngx_http_klaviyo_limits_zone;

        account[i]->limits_zone = zone;
    }

    return NGX_OK;
}


/* 64 bits of a hash do not give back the 200 of a key */

static ngx_int_t
ngx_http_klaviyo_limits_name(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *name)
{
    u_char      *p, hash[20];
    ngx_sha1_t   sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, account->authorization.data,
                    account->authorization.len);
    ngx_sha1_final(hash, &sha1);

    ngx_explicit_memzero(&sha1, sizeof(ngx_sha1_t));

    name->len = sizeof(NGX_HTTP_KLAVIYO_LIMITS_NAME) - 1
                + 2 * NGX_HTTP_KLAVIYO_LIMITS_HASH
                + sizeof("/") - 1 + ngx_strlen(account->lane->name);

    name->data = ngx_pnalloc(cf->pool, name->len);
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(name->data, NGX_HTTP_KLAVIYO_LIMITS_NAME,
                   sizeof(NGX_HTTP_KLAVIYO_LIMITS_NAME) - 1);

    p = ngx_hex_dump(p, hash, NGX_HTTP_KLAVIYO_LIMITS_HASH);

    (void) ngx_sprintf(p, "/%s", account->lane->name);

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_limits_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    if (zone->shm.exists) {
        zone->data = pool->data;
        return NGX_OK;
    }

    pool->data = ngx_slab_calloc(pool, sizeof(ngx_http_klaviyo_limits_zone_t));
    if (pool->data == NULL) {
        return NGX_ERROR;
    }

    zone->data = pool->data;

    return NGX_OK;
}


void
ngx_http_klaviyo_limits_open(ngx_http_klaviyo_limits_t *limits,
    ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_limits_memory_t *memory, int64_t paused_until)
{
    limits->account = account;
    limits->memory = memory;
    limits->paused_until = paused_until;
}


/*
 * The lock is only tried: a worker may have died with it and the master with
 * the worker.  Then the caller's memory is what there is, until the next time.
 */

void
ngx_http_klaviyo_limits_sync(ngx_http_klaviyo_limits_t *limits)
{
    klaviyo_limiter_t               *limiter;
    ngx_slab_pool_t                 *pool;
    ngx_http_klaviyo_limits_zone_t  *zone;

    pool = (ngx_slab_pool_t *) limits->account->limits_zone->shm.addr;
    zone = limits->account->limits_zone->data;
    limiter = &limits->memory->limiter;

    if (!ngx_shmtx_trylock(&pool->mutex)) {
        return;
    }

    klaviyo_limiter_merge(&zone->limiter, limiter);
    *limiter = zone->limiter;

    zone->paused_until = ngx_max(zone->paused_until, limits->paused_until);
    limits->paused_until = zone->paused_until;

    ngx_shmtx_unlock(&pool->mutex);
}


int64_t
ngx_http_klaviyo_limits_turn(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class, int64_t now)
{
    return ngx_http_klaviyo_limits_ask(limits, class, 0, now);
}


int64_t
ngx_http_klaviyo_limits_take(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class, int64_t now)
{
    return ngx_http_klaviyo_limits_ask(limits, class, 1, now);
}


static int64_t
ngx_http_klaviyo_limits_ask(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class, ngx_uint_t take, int64_t now)
{
    klaviyo_limiter_t  copy;

    copy = limits->memory->limiter;

    return klaviyo_limiter_take_of(take ? &limits->memory->limiter : &copy,
                                   class,
                                   ngx_http_klaviyo_limits_of(limits, class),
                                   limits->account->rate_share, now);
}


/* requests to Klaviyo's endpoint in a minute */

static unsigned
ngx_http_klaviyo_limits_of(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class)
{
    return (class == KLAVIYO_LIMITER_SINGLE) ? klaviyo_limiter_limit(class)
                                             : limits->account->lane->limit;
}


void
ngx_http_klaviyo_limits_correct(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class, int64_t remaining, int64_t reset,
    int64_t now)
{
    klaviyo_limiter_correct(&limits->memory->limiter, class, remaining, reset,
                            now);
}


void
ngx_http_klaviyo_limits_pause(ngx_http_klaviyo_limits_t *limits, int64_t ms,
    int64_t now)
{
    limits->paused_until = ngx_max(limits->paused_until, now + ms);

    ngx_http_klaviyo_limits_sync(limits);
}

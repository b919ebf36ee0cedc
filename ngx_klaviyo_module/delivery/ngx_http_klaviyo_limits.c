/*
 * The zones of the keys.  Several accounts may have the same key.
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
} ngx_http_klaviyo_limits_t;


static ngx_int_t ngx_http_klaviyo_limits_name(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_limits_zone(ngx_shm_zone_t *zone,
    void *data);


ngx_int_t
ngx_http_klaviyo_limits_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    size_t                        size;
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_shm_zone_t               *zone;
    ngx_http_klaviyo_account_t  **account;

    size = sizeof(ngx_http_klaviyo_limits_t) + 8 * ngx_pagesize;

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

    pool->data = ngx_slab_calloc(pool, sizeof(ngx_http_klaviyo_limits_t));
    if (pool->data == NULL) {
        return NGX_ERROR;
    }

    zone->data = pool->data;

    return NGX_OK;
}


/*
 * The lock is only tried: a worker may have died with it and the master with
 * the worker.  Then the caller's memory is what there is, until the next time.
 */

void
ngx_http_klaviyo_limits_sync(ngx_http_klaviyo_account_t *account,
    int64_t *paused_until, klaviyo_limiter_t *limiter)
{
    ngx_slab_pool_t            *pool;
    ngx_http_klaviyo_limits_t  *limits;

    pool = (ngx_slab_pool_t *) account->limits_zone->shm.addr;
    limits = account->limits_zone->data;

    if (!ngx_shmtx_trylock(&pool->mutex)) {
        return;
    }

    klaviyo_limiter_merge(&limits->limiter, limiter);
    *limiter = limits->limiter;

    limits->paused_until = ngx_max(limits->paused_until, *paused_until);
    *paused_until = limits->paused_until;

    ngx_shmtx_unlock(&pool->mutex);
}

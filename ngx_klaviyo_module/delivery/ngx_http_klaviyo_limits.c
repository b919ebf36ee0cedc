/*
 * The zones of the keys, and whose turn it is.  Several accounts may have the
 * same key.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_sha1.h>

#include "klaviyo_slot.h"
#include "ngx_http_klaviyo_limits.h"
#include "queue/klaviyo_ring_figures.h"


#define NGX_HTTP_KLAVIYO_LIMITS_NAME  "klaviyo_limits:"
#define NGX_HTTP_KLAVIYO_LIMITS_HASH  8    /* bytes of it: 64 bits do not give
                                              back the 200 of a key          */


typedef struct {
    ngx_http_klaviyo_fleet_figures_t  figures[2];  /* the second of who
                                                      delivers for a fleet   */
    int64_t                           paused_until;
    klaviyo_limiter_t                 limiter;
} ngx_http_klaviyo_limits_zone_t;


static ngx_int_t ngx_http_klaviyo_limits_name(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *name);
static ngx_int_t ngx_http_klaviyo_limits_fleet(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_uint_t n);
static ngx_int_t ngx_http_klaviyo_limits_whose(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *whose);
static u_char *ngx_http_klaviyo_limits_hash(u_char *p, ngx_str_t *salt,
    ngx_str_t *text);
static ngx_int_t ngx_http_klaviyo_limits_zone(ngx_shm_zone_t *zone,
    void *data);
static int64_t ngx_http_klaviyo_limits_alone(
    ngx_http_klaviyo_limits_t *limits, klaviyo_limiter_class_e class,
    ngx_uint_t take, int64_t now);
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

        if (ngx_http_klaviyo_limits_fleet(cf, kmcf, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * The fleet of queue number `n`.  Accounts with one key are one in the fleet,
 * under the first one's name.
 */

static ngx_int_t
ngx_http_klaviyo_limits_fleet(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_uint_t n)
{
    u_char                       *slash;
    ngx_uint_t                    i;
    ngx_http_klaviyo_account_t  **queue, *account, *first;

    queue = kmcf->queues.elts;
    account = queue[n];

    for (i = 0; queue[i]->limits_zone != account->limits_zone; i++) {
        /* void */
    }

    first = queue[i];

    if (account->fleet_name.len != first->fleet_name.len
        || (account->fleet_name.len
            && ngx_strncmp(account->fleet_name.data, first->fleet_name.data,
                           account->fleet_name.len)
               != 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "klaviyo_account \"%V\" has the key of \"%V\", "
                           "and with it its limits: both must have the same "
                           "\"fleet\"", &account->name, &first->name);
        return NGX_ERROR;
    }

    if (account->fleet_name.len == 0) {
        return NGX_OK;
    }

    account->fleet = kmcf->fleet.ops->find(cf->cycle, &account->fleet_name);

    if (account->fleet == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no klaviyo_fleet \"%V\" for klaviyo_account "
                           "\"%V\"", &account->fleet_name, &account->name);
        return NGX_ERROR;
    }

    account->fleet_key = first->name;
    slash = ngx_strlchr(first->name.data, first->name.data + first->name.len,
                        '/');

    if (slash) {
        account->fleet_key.len = slash - first->name.data;
    }

    return ngx_http_klaviyo_limits_whose(cf, first, &account->fleet_whose);
}


/* a name may be that of two accounts of Klaviyo; see the fleet's script */

static ngx_int_t
ngx_http_klaviyo_limits_whose(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *whose)
{
    static ngx_str_t  salt = ngx_string("fleet:");

    whose->len = 1 + 2 * NGX_HTTP_KLAVIYO_LIMITS_HASH;

    whose->data = ngx_pnalloc(cf->pool, whose->len);
    if (whose->data == NULL) {
        return NGX_ERROR;
    }

    whose->data[0] = account->company.len ? 'c' : 'k';

    (void) ngx_http_klaviyo_limits_hash(whose->data + 1, &salt,
                                        account->company.len
                                        ? &account->company
                                        : &account->authorization);

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_limits_name(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *name)
{
    u_char            *p;

    static ngx_str_t   salt = ngx_string("");

    name->len = sizeof(NGX_HTTP_KLAVIYO_LIMITS_NAME) - 1
                + 2 * NGX_HTTP_KLAVIYO_LIMITS_HASH
                + sizeof("/") - 1 + ngx_strlen(account->lane->name);

    name->data = ngx_pnalloc(cf->pool, name->len);
    if (name->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(name->data, NGX_HTTP_KLAVIYO_LIMITS_NAME,
                   sizeof(NGX_HTTP_KLAVIYO_LIMITS_NAME) - 1);

    p = ngx_http_klaviyo_limits_hash(p, &salt, &account->authorization);

    (void) ngx_sprintf(p, "/%s", account->lane->name);

    return NGX_OK;
}


static u_char *
ngx_http_klaviyo_limits_hash(u_char *p, ngx_str_t *salt, ngx_str_t *text)
{
    u_char      hash[20];
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, salt->data, salt->len);
    ngx_sha1_update(&sha1, text->data, text->len);
    ngx_sha1_final(hash, &sha1);

    ngx_explicit_memzero(&sha1, sizeof(ngx_sha1_t));

    return ngx_hex_dump(p, hash, NGX_HTTP_KLAVIYO_LIMITS_HASH);
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


ngx_http_klaviyo_fleet_figures_t *
ngx_http_klaviyo_limits_figures(ngx_http_klaviyo_account_t *account)
{
    ngx_http_klaviyo_limits_zone_t  *zone;

    zone = account->limits_zone->data;

    return &zone->figures[account->fleet_host != NULL];
}


ngx_int_t
ngx_http_klaviyo_limits_open(ngx_http_klaviyo_limits_t *limits,
    ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_limits_saved_t *saved, int64_t paused_until,
    ngx_event_t *wake, ngx_log_t *log)
{
    ngx_uint_t                       i;
    ngx_time_t                      *tp;
    struct timespec                  ts;
    klaviyo_ring_span_t              span;
    ngx_http_klaviyo_main_conf_t    *kmcf;
    ngx_http_klaviyo_fleet_lane_t   *lane;
    ngx_http_klaviyo_account_t      *host;

    limits->account = account;
    limits->saved = saved;
    limits->paused_until = paused_until;
    limits->shared = NULL;

    if (account->fleet == NULL) {
        return NGX_OK;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_klaviyo_module);
    lane = &limits->lane;

    /* one host, whether it sends for itself or for all */

    host = account->fleet_host ? account->fleet_host : account;

    if (klaviyo_ring_span(host->ring, &span) != KLAVIYO_RING_OK) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(lane->uuid, span.uuid, KLAVIYO_RING_UUID_LEN);

    tp = ngx_timeofday();
    (void) clock_gettime(CLOCK_BOOTTIME, &ts);

    limits->clock = ((int64_t) tp->sec - ts.tv_sec) * 1000 + tp->msec
                    - ts.tv_nsec / 1000000;

    for (i = 0; i < KLAVIYO_LIMITER_N; i++) {
        limits->used[i] = -1;
        lane->limit[i] = ngx_http_klaviyo_limits_of(limits, i)
                         * KLAVIYO_LIMITER_TIMES;
    }

    /* bytes of any kind, as those of the limiter */

    saved->place.id[sizeof(saved->place.id) - 1] = '\0';

    lane->name = account->fleet_key;
    lane->lane.data = (u_char *) account->lane->name;
    lane->lane.len = ngx_strlen(account->lane->name);
    lane->account = &account->name;
    lane->share = account->rate_share;
    lane->limiter = &saved->limiter;
    lane->place = &saved->place;
    lane->figures = ngx_http_klaviyo_limits_figures(account);
    lane->wake = wake;
    lane->log = log;

    limits->shared = kmcf->fleet.ops->open(account->fleet, lane);

    if (limits->shared == NULL) {
        return NGX_ERROR;
    }

    limits->ops = kmcf->fleet.ops;

    return NGX_OK;
}


void
ngx_http_klaviyo_limits_close(ngx_http_klaviyo_limits_t *limits)
{
    if (limits->shared) {
        limits->ops->close(limits->shared);
        limits->shared = NULL;
    }
}


/*
 * The lock is only tried: a worker may have died with it and the master with
 * the worker.  Then the caller's memory is what there is, until the next time.
 */

void
ngx_http_klaviyo_limits_sync(ngx_http_klaviyo_limits_t *limits)
{
    int64_t                          paused;
    klaviyo_limiter_t               *limiter;
    ngx_slab_pool_t                 *pool;
    ngx_http_klaviyo_limits_zone_t  *zone;

    if (limits->shared) {
        paused = limits->ops->paused(limits->shared);
        limits->paused_until = ngx_max(limits->paused_until, paused);
    }

    pool = (ngx_slab_pool_t *) limits->account->limits_zone->shm.addr;
    zone = limits->account->limits_zone->data;
    limiter = &limits->saved->limiter;

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
    klaviyo_limiter_class_e class, ngx_uint_t how, int64_t now)
{
    int64_t            ms;
    ngx_uint_t         take;
    klaviyo_limiter_t  copy;

    take = (how == NGX_HTTP_KLAVIYO_FLEET_TAKE);

    if (limits->shared) {
        ms = limits->ops->turn(limits->shared, class, how, now);

        if (ms == 0 && take) {
            klaviyo_limiter_went(&limits->saved->limiter, class,
                                 ngx_http_klaviyo_limits_of(limits, class),
                                 limits->account->rate_share, now);
        }

        return (ms == NGX_HTTP_KLAVIYO_FLEET_AWAY)
               ? ngx_http_klaviyo_limits_alone(limits, class, take, now) : ms;
    }

    copy = limits->saved->limiter;

    return klaviyo_limiter_take(take ? &limits->saved->limiter : &copy,
                                class,
                                ngx_http_klaviyo_limits_of(limits, class),
                                limits->account->rate_share, now);
}


/* nobody can be asked: by the clock, within what this host alone may send */

static int64_t
ngx_http_klaviyo_limits_alone(ngx_http_klaviyo_limits_t *limits,
    klaviyo_limiter_class_e class, ngx_uint_t take, int64_t now)
{
    int64_t                          ms, clock;
    unsigned                         of, hosts, rank, share;
    klaviyo_limiter_t                copy;
    ngx_http_klaviyo_fleet_place_t  *place;

    place = &limits->saved->place;
    share = (unsigned) limits->account->rate_share;
    of = ngx_http_klaviyo_limits_of(limits, class);

    hosts = place->hosts;
    rank = place->rank;
    clock = place->clock;

    if (hosts == 0) {
        hosts = KLAVIYO_SLOT_UNKNOWN;
        rank = limits->lane.uuid[0] * 256 + limits->lane.uuid[1];
        clock = limits->clock;
    }

    copy = limits->saved->limiter;

    ms = klaviyo_limiter_take(&copy, class, of, share, now);

    if (ms == 0) {
        ms = klaviyo_slot_wait(of * share / 100, hosts, rank, now + clock,
                               &limits->used[class], (int) take);
    }

    if (ms == 0 && take) {
        limits->saved->limiter = copy;
        limits->lane.figures->by_itself++;

        if (place->alone == 0) {
            place->alone = now;
        }
    }

    return ms;
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
    klaviyo_limiter_correct(&limits->saved->limiter, class, remaining, reset,
                            now);

    if (limits->shared) {
        limits->ops->correct(limits->shared, class, remaining, reset);
    }
}


void
ngx_http_klaviyo_limits_pause(ngx_http_klaviyo_limits_t *limits, int64_t ms,
    int64_t now)
{
    limits->paused_until = ngx_max(limits->paused_until, now + ms);

    if (limits->shared) {
        limits->ops->pause(limits->shared, ms);
    }

    ngx_http_klaviyo_limits_sync(limits);
}

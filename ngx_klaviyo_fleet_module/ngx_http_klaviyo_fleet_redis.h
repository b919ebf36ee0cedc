/*
 * A connection to Redis on the event loop.  Of hiredis it uses what writes
 * commands and what reads replies; sockets, TLS and timers are nginx's.
 *
 *     IDLE ──connect()──▶ RESOLVES ─▶ CONNECTS ─▶ SHAKES HANDS ─▶ READY
 *       ▲                     │           │             │            │
 *       └────── lost() ───────┴───────────┴─────────────┴────────────┘
 *
 * In a Cluster, READY ─▶ STAYS while the keys move, and is idle as well: to
 * connect is to ask the same node where they are by now.
 *
 * The hands: TLS and the certificate, AUTH, SELECT, ROLE (a primary), INFO (a
 * version that will do, a memory policy that keeps what is there).  Commands
 * are answered in their order; one that has no answer in time ends the
 * connection.
 */


#ifndef NGX_HTTP_KLAVIYO_FLEET_REDIS_H
#define NGX_HTTP_KLAVIYO_FLEET_REDIS_H


#include "ngx_http_klaviyo_fleet_conf.h"

#include "klaviyo_fleet_reply.h"


typedef struct ngx_http_klaviyo_fleet_redis_s  ngx_http_klaviyo_fleet_redis_t;


typedef struct {
    void  (*ready)(void *data);
    void  (*answer)(void *data, ngx_uint_t tag, const redisReply *reply);

    /* `reason` in words; 1: the server is not what it must be */
    void  (*lost)(void *data, const char *reason, ngx_uint_t refused);
} ngx_http_klaviyo_fleet_redis_handlers_t;


/*
 * `key` is that of a hash: of the nodes of a Cluster the one that has it is
 * connected to.  `max` bytes are read until there is a whole reply.  NULL: no
 * memory
 */
ngx_http_klaviyo_fleet_redis_t *ngx_http_klaviyo_fleet_redis_create(
    ngx_http_klaviyo_fleet_conf_t *conf,
    const ngx_http_klaviyo_fleet_hook_t *hook,
    const ngx_http_klaviyo_fleet_redis_handlers_t *handlers, void *data,
    ngx_str_t *key, size_t max, ngx_log_t *log);

/* no handler is called any more */
void ngx_http_klaviyo_fleet_redis_destroy(
    ngx_http_klaviyo_fleet_redis_t *redis);

/* when it is idle; ready() or lost() is called */
void ngx_http_klaviyo_fleet_redis_connect(
    ngx_http_klaviyo_fleet_redis_t *redis);

ngx_uint_t ngx_http_klaviyo_fleet_redis_idle(
    ngx_http_klaviyo_fleet_redis_t *redis);

/* ends the connection; lost() is called */
void ngx_http_klaviyo_fleet_redis_lose(ngx_http_klaviyo_fleet_redis_t *redis,
    const char *reason);

/*
 * A command, while it is ready.  NGX_OK: answer() is called with `tag`, or
 * lost(), not from here.  NGX_BUSY: too many are under way, or no memory.
 */
ngx_int_t ngx_http_klaviyo_fleet_redis_send(
    ngx_http_klaviyo_fleet_redis_t *redis, int argc, const char **argv,
    const size_t *len, ngx_uint_t tag);

/* what the socket takes now */
void ngx_http_klaviyo_fleet_redis_flush(ngx_http_klaviyo_fleet_redis_t *redis);


#endif /* NGX_HTTP_KLAVIYO_FLEET_REDIS_H */

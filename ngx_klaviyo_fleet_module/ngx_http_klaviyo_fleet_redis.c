/*
 * A connection to Redis; see the header.
 */


#include "ngx_http_klaviyo_fleet_redis.h"

#include "delivery/ngx_http_klaviyo_job.h"

#include <netdb.h>

#if (NGX_SSL)
#include <openssl/x509v3.h>
#endif


#define NGX_HTTP_KLAVIYO_FLEET_PENDING   64    /* commands under way         */
#define NGX_HTTP_KLAVIYO_FLEET_OUT       (8 * 1024 * 1024)
                                               /* bytes not yet sent         */
#define NGX_HTTP_KLAVIYO_FLEET_ELEMENTS  128   /* of an array that is read   */
#define NGX_HTTP_KLAVIYO_FLEET_ADDRS     8
#define NGX_HTTP_KLAVIYO_FLEET_MOVES     3     /* from node to node          */


typedef enum {
    NGX_HTTP_KLAVIYO_FLEET_IDLE = 0,
    NGX_HTTP_KLAVIYO_FLEET_RESOLVES,
    NGX_HTTP_KLAVIYO_FLEET_CONNECTS,
    NGX_HTTP_KLAVIYO_FLEET_SHAKES,
    NGX_HTTP_KLAVIYO_FLEET_READY,
    NGX_HTTP_KLAVIYO_FLEET_STAYS
} ngx_http_klaviyo_fleet_redis_state_e;


/* tags of the handshake: behind the caller's */

typedef enum {
    NGX_HTTP_KLAVIYO_FLEET_TAG_SENTINEL = 1000,
    NGX_HTTP_KLAVIYO_FLEET_TAG_AUTH,
    NGX_HTTP_KLAVIYO_FLEET_TAG_SELECT,
    NGX_HTTP_KLAVIYO_FLEET_TAG_ROLE,
    NGX_HTTP_KLAVIYO_FLEET_TAG_SERVER,
    NGX_HTTP_KLAVIYO_FLEET_TAG_MEMORY,
    NGX_HTTP_KLAVIYO_FLEET_TAG_KEY,
    NGX_HTTP_KLAVIYO_FLEET_TAG_ASKING
} ngx_http_klaviyo_fleet_tag_e;


typedef struct {
    socklen_t                         len;
    struct sockaddr_storage           addr;
} ngx_http_klaviyo_fleet_addr_t;


/* what the thread works on: it outlives the connection that asked */

typedef struct {
    ngx_http_klaviyo_job_t            job;
    ngx_http_klaviyo_fleet_redis_t   *redis;   /* NULL: destroyed meanwhile  */
    char                              host[KLAVIYO_FLEET_HOST_MAX];
    char                              port[8];
    int                               error;
    ngx_uint_t                        n;
    ngx_http_klaviyo_fleet_addr_t     addr[NGX_HTTP_KLAVIYO_FLEET_ADDRS];
} ngx_http_klaviyo_fleet_resolve_t;


struct ngx_http_klaviyo_fleet_redis_s {
    ngx_http_klaviyo_fleet_conf_t                   *conf;
    const ngx_http_klaviyo_fleet_hook_t             *hook;
    const ngx_http_klaviyo_fleet_redis_handlers_t   *handlers;
    void                                            *data;
    ngx_log_t                                       *log;

    ngx_http_klaviyo_fleet_redis_state_e             state;
    ngx_http_klaviyo_fleet_resolve_t                *resolve;
    ngx_uint_t                                       next;  /* address       */
    klaviyo_fleet_url_t                              target;
    ngx_uint_t                                       sentinel;  /* the next  */
    ngx_uint_t                                       moves;
    ngx_str_t                                       *key;   /* of a hash     */
    unsigned                                         asks:1;  /* a sentinel  */
    unsigned                                         asking:1;  /* a node that
                                                     is about to get the key */

    ngx_connection_t                                *c;
    ngx_pool_t                                      *pool;
    redisReader                                     *reader;
    redisReplyObjectFunctions                        functions;
    size_t                                           max;     /* of a reply */
    size_t                                           unread;  /* bytes since
                                                     the last whole reply    */
    klaviyo_fleet_info_t                             info;

    ngx_uint_t                                       tag[
                                              NGX_HTTP_KLAVIYO_FLEET_PENDING];
    ngx_uint_t                                       first;
    ngx_uint_t                                       pending;

    char                                            *out;
    size_t                                           out_len;
    size_t                                           out_size;

    ngx_event_t                                      timer;
    ngx_connection_t                                 dummy;
    char                                             reason[256];
};


static void ngx_http_klaviyo_fleet_redis_begin(
    ngx_http_klaviyo_fleet_redis_t *redis);
static void ngx_http_klaviyo_fleet_redis_resolve(void *data);
static void ngx_http_klaviyo_fleet_redis_resolved(void *data);
static void ngx_http_klaviyo_fleet_redis_open(
    ngx_http_klaviyo_fleet_redis_t *redis);
static ngx_int_t ngx_http_klaviyo_fleet_redis_socket(
    ngx_http_klaviyo_fleet_redis_t *redis, struct sockaddr *sa, socklen_t len);
static void ngx_http_klaviyo_fleet_redis_connected(ngx_event_t *wev);
#if (NGX_SSL)
static void ngx_http_klaviyo_fleet_redis_tls(
    ngx_http_klaviyo_fleet_redis_t *redis);
static void ngx_http_klaviyo_fleet_redis_trusted(ngx_connection_t *c);
#endif
static void ngx_http_klaviyo_fleet_redis_hello(
    ngx_http_klaviyo_fleet_redis_t *redis);
static ngx_int_t ngx_http_klaviyo_fleet_redis_find(
    ngx_http_klaviyo_fleet_redis_t *redis);
static void ngx_http_klaviyo_fleet_redis_ask(
    ngx_http_klaviyo_fleet_redis_t *redis);
static void ngx_http_klaviyo_fleet_redis_told(
    ngx_http_klaviyo_fleet_redis_t *redis, const redisReply *reply);
static ngx_uint_t ngx_http_klaviyo_fleet_redis_moved(
    ngx_http_klaviyo_fleet_redis_t *redis, const redisReply *reply);
static void ngx_http_klaviyo_fleet_redis_shake(
    ngx_http_klaviyo_fleet_redis_t *redis, ngx_uint_t tag,
    const redisReply *reply);
static ngx_int_t ngx_http_klaviyo_fleet_redis_of_key(
    ngx_http_klaviyo_fleet_redis_t *redis, int argc, const char **argv,
    const size_t *len, ngx_uint_t tag);
static ngx_int_t ngx_http_klaviyo_fleet_redis_put(
    ngx_http_klaviyo_fleet_redis_t *redis, int argc, const char **argv,
    const size_t *len, ngx_uint_t tag);
static void ngx_http_klaviyo_fleet_redis_write(ngx_event_t *wev);
static void ngx_http_klaviyo_fleet_redis_read(ngx_event_t *rev);
static void ngx_http_klaviyo_fleet_redis_answered(
    ngx_http_klaviyo_fleet_redis_t *redis, ngx_uint_t tag,
    const redisReply *reply);
static void ngx_http_klaviyo_fleet_redis_timeout(ngx_event_t *ev);
static void ngx_http_klaviyo_fleet_redis_fail(
    ngx_http_klaviyo_fleet_redis_t *redis, const char *what, ngx_err_t err);
static void ngx_http_klaviyo_fleet_redis_end(
    ngx_http_klaviyo_fleet_redis_t *redis, const char *reason,
    ngx_uint_t refused);
static void ngx_http_klaviyo_fleet_redis_close(
    ngx_http_klaviyo_fleet_redis_t *redis);


#if (HIREDIS_MAJOR >= 1)
typedef size_t  ngx_http_klaviyo_fleet_elements_t;
#else
typedef int     ngx_http_klaviyo_fleet_elements_t;
#endif

static void *(*ngx_http_klaviyo_fleet_redis_array_next)(const redisReadTask *,
    ngx_http_klaviyo_fleet_elements_t);


/* hiredis takes the memory for as many elements as the far end names */

static void *
ngx_http_klaviyo_fleet_redis_array(const redisReadTask *task,
    ngx_http_klaviyo_fleet_elements_t elements)
{
    if (elements > NGX_HTTP_KLAVIYO_FLEET_ELEMENTS) {
        return NULL;
    }

    return ngx_http_klaviyo_fleet_redis_array_next(task, elements);
}


ngx_http_klaviyo_fleet_redis_t *
ngx_http_klaviyo_fleet_redis_create(ngx_http_klaviyo_fleet_conf_t *conf,
    const ngx_http_klaviyo_fleet_hook_t *hook,
    const ngx_http_klaviyo_fleet_redis_handlers_t *handlers, void *data,
    ngx_str_t *key, size_t max, ngx_log_t *log)
{
    ngx_http_klaviyo_fleet_redis_t  *redis;

    redis = ngx_calloc(sizeof(ngx_http_klaviyo_fleet_redis_t), log);
    if (redis == NULL) {
        return NULL;
    }

    redis->conf = conf;
    redis->hook = hook;
    redis->handlers = handlers;
    redis->data = data;
    redis->key = key;
    redis->max = max;
    redis->log = log;

    redis->dummy.fd = (ngx_socket_t) -1;
    redis->dummy.data = redis;

    redis->timer.handler = ngx_http_klaviyo_fleet_redis_timeout;
    redis->timer.data = &redis->dummy;
    redis->timer.log = log;
    redis->timer.cancelable = 1;

    return redis;
}


void
ngx_http_klaviyo_fleet_redis_destroy(ngx_http_klaviyo_fleet_redis_t *redis)
{
    ngx_http_klaviyo_fleet_redis_close(redis);

    if (redis->resolve) {

        if (redis->resolve->job.active) {
            redis->resolve->redis = NULL;

        } else {
            ngx_free(redis->resolve);
        }
    }

    if (redis->out) {
        ngx_free(redis->out);
    }

    ngx_free(redis);
}


ngx_uint_t
ngx_http_klaviyo_fleet_redis_idle(ngx_http_klaviyo_fleet_redis_t *redis)
{
    return redis->state == NGX_HTTP_KLAVIYO_FLEET_IDLE
           || redis->state == NGX_HTTP_KLAVIYO_FLEET_STAYS;
}


/* a name is asked for each time: behind it may be another server by now */

void
ngx_http_klaviyo_fleet_redis_connect(ngx_http_klaviyo_fleet_redis_t *redis)
{
    ngx_http_klaviyo_fleet_conf_t  *conf;

    if (redis->state == NGX_HTTP_KLAVIYO_FLEET_STAYS) {
        redis->state = NGX_HTTP_KLAVIYO_FLEET_SHAKES;
        redis->moves = 0;

        if (ngx_http_klaviyo_fleet_redis_find(redis) != NGX_OK) {
            ngx_http_klaviyo_fleet_redis_end(redis, "no memory", 0);
            return;
        }

        ngx_http_klaviyo_fleet_redis_write(redis->c->write);
        return;
    }

    if (redis->state != NGX_HTTP_KLAVIYO_FLEET_IDLE) {
        return;
    }

    ngx_memzero(&redis->info, sizeof(klaviyo_fleet_info_t));

    conf = redis->conf;
    redis->moves = 0;
    redis->asking = 0;
    redis->asks = (conf->sentinels != 0);
    redis->target = redis->asks
                    ? conf->sentinel[redis->sentinel++ % conf->sentinels]
                    : conf->url;

    ngx_http_klaviyo_fleet_redis_begin(redis);
}


static void
ngx_http_klaviyo_fleet_redis_begin(ngx_http_klaviyo_fleet_redis_t *redis)
{
    ngx_http_klaviyo_fleet_resolve_t  *resolve;

    if (redis->target.path[0]) {
        redis->state = NGX_HTTP_KLAVIYO_FLEET_CONNECTS;
        ngx_http_klaviyo_fleet_redis_open(redis);
        return;
    }

    resolve = redis->resolve;

    if (resolve == NULL) {
        resolve = ngx_calloc(sizeof(ngx_http_klaviyo_fleet_resolve_t),
                             redis->log);
        if (resolve == NULL) {
            return;
        }

        resolve->redis = redis;
        resolve->job.work = ngx_http_klaviyo_fleet_redis_resolve;
        resolve->job.done = ngx_http_klaviyo_fleet_redis_resolved;
        resolve->job.data = resolve;

        redis->resolve = resolve;
    }

    redis->state = NGX_HTTP_KLAVIYO_FLEET_RESOLVES;

    ngx_add_timer(&redis->timer, redis->conf->connect_timeout);

    /* one that hangs still answers the next time, or never */

    if (!resolve->job.active) {
        ngx_memcpy(resolve->host, redis->target.host, KLAVIYO_FLEET_HOST_MAX);

        (void) ngx_sprintf((u_char *) resolve->port, "%ui%Z",
                           (ngx_uint_t) redis->target.port);

        if (redis->hook->job(&resolve->job, redis->log) != NGX_OK) {
            ngx_http_klaviyo_fleet_redis_end(redis, "no thread to resolve "
                                             "its name in", 0);
        }
    }
}


/* in a thread: nothing of nginx */

static void
ngx_http_klaviyo_fleet_redis_resolve(void *data)
{
    ngx_http_klaviyo_fleet_resolve_t  *resolve = data;

    struct addrinfo   hints, *res, *ai;

    memset(&hints, 0, sizeof(struct addrinfo));

    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;

    resolve->n = 0;
    resolve->error = getaddrinfo(resolve->host, resolve->port, &hints, &res);

    if (resolve->error) {
        return;
    }

    for (ai = res; ai && resolve->n < NGX_HTTP_KLAVIYO_FLEET_ADDRS;
         ai = ai->ai_next)
    {
        if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6) {
            continue;
        }

        memcpy(&resolve->addr[resolve->n].addr, ai->ai_addr, ai->ai_addrlen);
        resolve->addr[resolve->n++].len = ai->ai_addrlen;
    }

    freeaddrinfo(res);
}


static void
ngx_http_klaviyo_fleet_redis_resolved(void *data)
{
    ngx_http_klaviyo_fleet_resolve_t  *resolve = data;

    ngx_http_klaviyo_fleet_redis_t  *redis;

    redis = resolve->redis;

    if (redis == NULL) {
        ngx_free(resolve);
        return;
    }

    if (redis->state != NGX_HTTP_KLAVIYO_FLEET_RESOLVES) {
        return;
    }

    ngx_del_timer(&redis->timer);

    if (resolve->error || resolve->n == 0) {
        (void) ngx_snprintf((u_char *) redis->reason, sizeof(redis->reason),
                            "its name is not resolved (%s)%Z",
                            resolve->error ? gai_strerror(resolve->error)
                                           : "no address");
        ngx_http_klaviyo_fleet_redis_end(redis, redis->reason, 0);
        return;
    }

    redis->state = NGX_HTTP_KLAVIYO_FLEET_CONNECTS;

    ngx_http_klaviyo_fleet_redis_open(redis);
}


/* the next address has its turn with the next connection */

static void
ngx_http_klaviyo_fleet_redis_open(ngx_http_klaviyo_fleet_redis_t *redis)
{
    ngx_int_t                       rc;
    struct sockaddr_un              sun;
    ngx_http_klaviyo_fleet_addr_t  *addr;

    redis->reader = redisReaderCreate();

    if (redis->reader) {
        redis->functions = *redis->reader->fn;
        ngx_http_klaviyo_fleet_redis_array_next = redis->functions.createArray;
        redis->functions.createArray = ngx_http_klaviyo_fleet_redis_array;
        redis->reader->fn = &redis->functions;
    }

    redis->pool = ngx_create_pool(1024, redis->log);

    if (redis->reader == NULL || redis->pool == NULL) {
        ngx_http_klaviyo_fleet_redis_end(redis, "no memory", 0);
        return;
    }

    if (redis->target.path[0]) {
        ngx_memzero(&sun, sizeof(struct sockaddr_un));

        sun.sun_family = AF_UNIX;
        (void) ngx_cpystrn((u_char *) sun.sun_path,
                           (u_char *) redis->target.path,
                           sizeof(sun.sun_path));

        rc = ngx_http_klaviyo_fleet_redis_socket(redis,
                                                 (struct sockaddr *) &sun,
                                                 sizeof(struct sockaddr_un));

    } else {
        addr = &redis->resolve->addr[redis->next++ % redis->resolve->n];

        rc = ngx_http_klaviyo_fleet_redis_socket(redis, (struct sockaddr *)
                                                 &addr->addr, addr->len);
    }

    if (rc == NGX_ERROR) {
        ngx_http_klaviyo_fleet_redis_fail(redis, "connect()",
                                          ngx_socket_errno);
        return;
    }

    ngx_add_timer(&redis->timer, redis->conf->connect_timeout);

    if (rc == NGX_OK) {
        ngx_post_event(redis->c->write, &ngx_posted_events);
    }
}


/* NGX_OK, NGX_AGAIN, or NGX_ERROR with its errno */

static ngx_int_t
ngx_http_klaviyo_fleet_redis_socket(ngx_http_klaviyo_fleet_redis_t *redis,
    struct sockaddr *sa, socklen_t len)
{
    int                on, rc;
    ngx_err_t          err;
    ngx_socket_t       s;
    ngx_connection_t  *c;

    s = ngx_socket(sa->sa_family, SOCK_STREAM|SOCK_CLOEXEC, 0);
    if (s == (ngx_socket_t) -1) {
        return NGX_ERROR;
    }

    c = ngx_get_connection(s, redis->log);

    if (c == NULL) {
        (void) ngx_close_socket(s);
        ngx_set_socket_errno(NGX_ENOMEM);
        return NGX_ERROR;
    }

    redis->c = c;

    c->data = redis;
    c->pool = redis->pool;
    c->recv = ngx_recv;
    c->send = ngx_send;
    c->log = redis->log;
    c->log_error = NGX_ERROR_INFO;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_http_klaviyo_fleet_redis_read;
    c->write->handler = ngx_http_klaviyo_fleet_redis_connected;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    on = 1;

    if (sa->sa_family != AF_UNIX) {
        (void) setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int));
    }

    if (ngx_nonblocking(s) == -1) {
        return NGX_ERROR;
    }

    if (ngx_add_conn && ngx_add_conn(c) == NGX_ERROR) {
        return NGX_ERROR;
    }

    rc = connect(s, sa, len);
    err = (rc == -1) ? ngx_socket_errno : 0;

    if (err && err != NGX_EINPROGRESS) {
        return NGX_ERROR;
    }

    if (ngx_add_conn == NULL) {
        ngx_int_t  flags;

        flags = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? NGX_CLEAR_EVENT
                                                        : NGX_LEVEL_EVENT;

        if (ngx_add_event(c->read, NGX_READ_EVENT, flags) != NGX_OK
            || ngx_add_event(c->write, NGX_WRITE_EVENT, flags) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return err ? NGX_AGAIN : NGX_OK;
}


static void
ngx_http_klaviyo_fleet_redis_connected(ngx_event_t *wev)
{
    int                              err;
    socklen_t                        len;
    ngx_connection_t                *c;
    ngx_http_klaviyo_fleet_redis_t  *redis;

    c = wev->data;
    redis = c->data;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        ngx_http_klaviyo_fleet_redis_fail(redis, "connect()", err);
        return;
    }

    c->write->handler = ngx_http_klaviyo_fleet_redis_write;

#if (NGX_SSL)

    if (redis->conf->ssl) {
        ngx_http_klaviyo_fleet_redis_tls(redis);
        return;
    }

#endif

    ngx_http_klaviyo_fleet_redis_hello(redis);
}


#if (NGX_SSL)

static void
ngx_http_klaviyo_fleet_redis_tls(ngx_http_klaviyo_fleet_redis_t *redis)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = redis->c;

    if (ngx_ssl_create_connection(redis->conf->ssl, c,
                                  NGX_SSL_BUFFER|NGX_SSL_CLIENT)
        != NGX_OK)
    {
        ngx_http_klaviyo_fleet_redis_end(redis, "no memory for TLS", 0);
        return;
    }

    if (ngx_inet_addr((u_char *) redis->target.host,
                      ngx_strlen(redis->target.host))
        == INADDR_NONE && !redis->target.ipv6)
    {
        (void) SSL_set_tlsext_host_name(c->ssl->connection,
                                        redis->target.host);
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_klaviyo_fleet_redis_trusted;
        return;
    }

    ngx_http_klaviyo_fleet_redis_trusted(c);
}


static void
ngx_http_klaviyo_fleet_redis_trusted(ngx_connection_t *c)
{
    int                              named;
    long                             rc;
    X509                            *cert;
    const char                      *host;
    ngx_http_klaviyo_fleet_redis_t  *redis;

    redis = c->data;
    host = redis->target.host;

    if (!c->ssl->handshaked) {
        ngx_http_klaviyo_fleet_redis_end(redis, "the TLS handshake failed", 0);
        return;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        (void) ngx_snprintf((u_char *) redis->reason, sizeof(redis->reason),
                            "its certificate is not trusted (%s): set "
                            "\"ssl_trusted_certificate\"%Z",
                            X509_verify_cert_error_string(rc));
        ngx_http_klaviyo_fleet_redis_end(redis, redis->reason, 1);
        return;
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);

    named = cert != NULL
            && (X509_check_ip_asc(cert, host, 0) == 1
                || X509_check_host(cert, host, 0, 0, NULL) == 1);

    X509_free(cert);

    if (!named) {
        (void) ngx_snprintf((u_char *) redis->reason, sizeof(redis->reason),
                            "its certificate is for another name than "
                            "\"%s\"%Z", host);
        ngx_http_klaviyo_fleet_redis_end(redis, redis->reason, 1);
        return;
    }

    c->read->handler = ngx_http_klaviyo_fleet_redis_read;
    c->write->handler = ngx_http_klaviyo_fleet_redis_write;

    ngx_http_klaviyo_fleet_redis_hello(redis);
}

#endif


static void
ngx_http_klaviyo_fleet_redis_hello(ngx_http_klaviyo_fleet_redis_t *redis)
{
    int                             n;
    size_t                          len[3];
    u_char                          number[16];
    ngx_int_t                       rc;
    const char                     *argv[3];
    ngx_http_klaviyo_fleet_conf_t  *conf;

    conf = redis->conf;
    redis->state = NGX_HTTP_KLAVIYO_FLEET_SHAKES;
    rc = NGX_OK;

    if (redis->timer.timer_set) {
        ngx_del_timer(&redis->timer);
    }

    if (redis->asks) {
        ngx_http_klaviyo_fleet_redis_ask(redis);
        return;
    }

    if (conf->password.len) {
        n = 0;

        argv[n] = "AUTH";
        len[n++] = 4;

        if (conf->user.len) {
            argv[n] = (char *) conf->user.data;
            len[n++] = conf->user.len;
        }

        argv[n] = (char *) conf->password.data;
        len[n++] = conf->password.len;

        rc |= ngx_http_klaviyo_fleet_redis_put(redis, n, argv, len,
                                           NGX_HTTP_KLAVIYO_FLEET_TAG_AUTH);
    }

    if (conf->url.database) {
        argv[0] = "SELECT";
        len[0] = 6;
        argv[1] = (char *) number;
        len[1] = ngx_sprintf(number, "%ui", (ngx_uint_t) conf->url.database)
                 - number;

        rc |= ngx_http_klaviyo_fleet_redis_put(redis, 2, argv, len,
                                           NGX_HTTP_KLAVIYO_FLEET_TAG_SELECT);
    }

    argv[0] = "ROLE";
    len[0] = 4;

    rc |= ngx_http_klaviyo_fleet_redis_put(redis, 1, argv, len,
                                           NGX_HTTP_KLAVIYO_FLEET_TAG_ROLE);

    argv[0] = "INFO";
    argv[1] = "server";
    len[1] = 6;

    rc |= ngx_http_klaviyo_fleet_redis_put(redis, 2, argv, len,
                                           NGX_HTTP_KLAVIYO_FLEET_TAG_SERVER);

    argv[1] = "memory";

    rc |= ngx_http_klaviyo_fleet_redis_put(redis, 2, argv, len,
                                           NGX_HTTP_KLAVIYO_FLEET_TAG_MEMORY);

    rc |= ngx_http_klaviyo_fleet_redis_find(redis);

    if (rc != NGX_OK) {
        ngx_http_klaviyo_fleet_redis_end(redis, "no memory", 0);
        return;
    }

    ngx_http_klaviyo_fleet_redis_write(redis->c->write);
}


/* a node of a Cluster says which one has the key */

static ngx_int_t
ngx_http_klaviyo_fleet_redis_find(ngx_http_klaviyo_fleet_redis_t *redis)
{
    size_t       len[3];
    const char  *argv[3];

    argv[0] = "HGET";
    len[0] = 4;
    argv[1] = (char *) redis->key->data;
    len[1] = redis->key->len;
    argv[2] = "-";
    len[2] = 1;

    return ngx_http_klaviyo_fleet_redis_of_key(redis, 3, argv, len,
                                              NGX_HTTP_KLAVIYO_FLEET_TAG_KEY);
}


/* a sentinel, where the primary is */

static void
ngx_http_klaviyo_fleet_redis_ask(ngx_http_klaviyo_fleet_redis_t *redis)
{
    size_t       len[3];
    const char  *argv[3];

    argv[0] = "SENTINEL";
    len[0] = 8;
    argv[1] = "get-master-addr-by-name";
    len[1] = 23;
    argv[2] = (char *) redis->conf->primary.data;
    len[2] = redis->conf->primary.len;

    if (ngx_http_klaviyo_fleet_redis_put(redis, 3, argv, len,
                                         NGX_HTTP_KLAVIYO_FLEET_TAG_SENTINEL)
        != NGX_OK)
    {
        ngx_http_klaviyo_fleet_redis_end(redis, "no memory", 0);
        return;
    }

    ngx_http_klaviyo_fleet_redis_write(redis->c->write);
}


static void
ngx_http_klaviyo_fleet_redis_told(ngx_http_klaviyo_fleet_redis_t *redis,
    const redisReply *reply)
{
    klaviyo_fleet_url_t  primary;

    if (klaviyo_fleet_reply_sentinel(reply, &primary) != KLAVIYO_FLEET_OK) {
        (void) ngx_snprintf((u_char *) redis->reason, sizeof(redis->reason),
                            "the sentinel knows no primary \"%V\"%Z",
                            &redis->conf->primary);
        ngx_http_klaviyo_fleet_redis_end(redis, redis->reason, 1);
        return;
    }

    ngx_http_klaviyo_fleet_redis_close(redis);

    redis->asks = 0;
    redis->target = primary;

    ngx_http_klaviyo_fleet_redis_begin(redis);
}


/*
 * 1: another node of a Cluster has the key, and is connected to.  What else is
 * under way at this one is lost, as its user is told.
 */

static ngx_uint_t
ngx_http_klaviyo_fleet_redis_moved(ngx_http_klaviyo_fleet_redis_t *redis,
    const redisReply *reply)
{
    unsigned             ask;
    ngx_uint_t           ready;
    klaviyo_fleet_url_t  node;

    if (redis->moves >= NGX_HTTP_KLAVIYO_FLEET_MOVES
        || klaviyo_fleet_reply_moved(reply, &node, &ask) != KLAVIYO_FLEET_OK)
    {
        return 0;
    }

    redis->moves++;
    ready = (redis->state == NGX_HTTP_KLAVIYO_FLEET_READY);

    /* without a host it is the same one */

    if (node.host[0] == '\0') {
        ngx_memcpy(node.host, redis->target.host, KLAVIYO_FLEET_HOST_MAX);
        node.ipv6 = redis->target.ipv6;
    }

    ngx_http_klaviyo_fleet_redis_close(redis);

    redis->target = node;
    redis->asking = ask;

    ngx_http_klaviyo_fleet_redis_begin(redis);

    /* one that did not begin is lost already */

    if (ready && redis->state != NGX_HTTP_KLAVIYO_FLEET_IDLE) {
        redis->handlers->lost(redis->data, "another node of the Cluster has "
                              "its keys by now", 0);
    }

    return 1;
}


static void
ngx_http_klaviyo_fleet_redis_shake(ngx_http_klaviyo_fleet_redis_t *redis,
    ngx_uint_t tag, const redisReply *reply)
{
    const char             *what, *reason;
    klaviyo_fleet_reply_e   kind;

    if (tag == NGX_HTTP_KLAVIYO_FLEET_TAG_KEY) {

        /* what else it says of the key its script will say, too */

        if (!ngx_http_klaviyo_fleet_redis_moved(redis, reply)) {
            redis->state = NGX_HTTP_KLAVIYO_FLEET_READY;
            redis->handlers->ready(redis->data);
        }

        return;
    }

    if (tag == NGX_HTTP_KLAVIYO_FLEET_TAG_SENTINEL) {
        ngx_http_klaviyo_fleet_redis_told(redis, reply);
        return;
    }

    switch (tag) {

    case NGX_HTTP_KLAVIYO_FLEET_TAG_AUTH:
        what = "AUTH";
        kind = klaviyo_fleet_reply(reply);
        break;

    case NGX_HTTP_KLAVIYO_FLEET_TAG_SELECT:
        what = "SELECT";
        kind = klaviyo_fleet_reply(reply);
        break;

    case NGX_HTTP_KLAVIYO_FLEET_TAG_ROLE:
        what = "ROLE";
        kind = klaviyo_fleet_reply_role(reply);
        break;

    default:
        what = "INFO";
        kind = klaviyo_fleet_reply_info(reply, &redis->info);
        break;
    }

    switch (kind) {

    case KLAVIYO_FLEET_OK:
        break;

    case KLAVIYO_FLEET_LOADING:
        ngx_http_klaviyo_fleet_redis_end(redis, "it is loading its data", 0);
        return;

    case KLAVIYO_FLEET_READONLY:
        ngx_http_klaviyo_fleet_redis_end(redis,
                                     klaviyo_fleet_reply_role_words(reply), 1);
        return;

    case KLAVIYO_FLEET_DENIED:
        (void) ngx_snprintf((u_char *) redis->reason, sizeof(redis->reason),
                            "%s is denied: see \"user\", \"password_file\" "
                            "and what Redis's ACL allows this user%Z", what);
        ngx_http_klaviyo_fleet_redis_end(redis, redis->reason, 1);
        return;

    default:
        (void) ngx_snprintf((u_char *) redis->reason, sizeof(redis->reason),
                            "%s is answered by something that is no such "
                            "answer%Z", what);
        ngx_http_klaviyo_fleet_redis_end(redis, redis->reason, 1);
        return;
    }

    if (tag != NGX_HTTP_KLAVIYO_FLEET_TAG_MEMORY) {
        return;
    }

    reason = klaviyo_fleet_refuse(&redis->info, redis->reason,
                                  sizeof(redis->reason));
    if (reason) {
        ngx_http_klaviyo_fleet_redis_end(redis, reason, 1);
    }
}


ngx_int_t
ngx_http_klaviyo_fleet_redis_send(ngx_http_klaviyo_fleet_redis_t *redis,
    int argc, const char **argv, const size_t *len, ngx_uint_t tag)
{
    if (redis->state != NGX_HTTP_KLAVIYO_FLEET_READY
        || ngx_http_klaviyo_fleet_redis_of_key(redis, argc, argv, len, tag)
           != NGX_OK)
    {
        return NGX_BUSY;
    }

    /* several commands of one turn of the loop in one packet */

    ngx_post_event(redis->c->write, &ngx_posted_events);

    return NGX_OK;
}


void
ngx_http_klaviyo_fleet_redis_flush(ngx_http_klaviyo_fleet_redis_t *redis)
{
    if (redis->c) {
        ngx_http_klaviyo_fleet_redis_write(redis->c->write);
    }
}


/* a command that names keys */

static ngx_int_t
ngx_http_klaviyo_fleet_redis_of_key(ngx_http_klaviyo_fleet_redis_t *redis,
    int argc, const char **argv, const size_t *len, ngx_uint_t tag)
{
    static const char    *asking[] = { "ASKING" };
    static const size_t   asking_len[] = { 6 };

    if (redis->asking
        && ngx_http_klaviyo_fleet_redis_put(redis, 1, asking, asking_len,
                                            NGX_HTTP_KLAVIYO_FLEET_TAG_ASKING)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_fleet_redis_put(redis, argc, argv, len, tag);
}


static ngx_int_t
ngx_http_klaviyo_fleet_redis_put(ngx_http_klaviyo_fleet_redis_t *redis,
    int argc, const char **argv, const size_t *len, ngx_uint_t tag)
{
    char       *text, *out;
    size_t      size;
    long long   n;

    if (redis->pending == NGX_HTTP_KLAVIYO_FLEET_PENDING) {
        return NGX_ERROR;
    }

    text = NULL;
    n = redisFormatCommandArgv(&text, argc, argv, len);

    if (n < 0 || text == NULL) {
        return NGX_ERROR;
    }

    size = redis->out_len + (size_t) n;

    if (size > NGX_HTTP_KLAVIYO_FLEET_OUT) {
        goto failed;
    }

    if (size > redis->out_size) {
        size = ngx_max(2 * size, 4096);

        out = ngx_alloc(size, redis->log);
        if (out == NULL) {
            goto failed;
        }

        if (redis->out) {
            ngx_memcpy(out, redis->out, redis->out_len);
            explicit_bzero(redis->out, redis->out_size);
            ngx_free(redis->out);
        }

        redis->out = out;
        redis->out_size = size;
    }

    ngx_memcpy(redis->out + redis->out_len, text, (size_t) n);
    redis->out_len += (size_t) n;

    redis->tag[(redis->first + redis->pending++)
               % NGX_HTTP_KLAVIYO_FLEET_PENDING] = tag;

    if (!redis->timer.timer_set) {
        ngx_add_timer(&redis->timer, redis->conf->answer_timeout);
    }

    explicit_bzero(text, (size_t) n);
    redisFreeCommand(text);

    return NGX_OK;

failed:

    explicit_bzero(text, (size_t) n);
    redisFreeCommand(text);

    return NGX_ERROR;
}


static void
ngx_http_klaviyo_fleet_redis_write(ngx_event_t *wev)
{
    ssize_t                          n;
    ngx_connection_t                *c;
    ngx_http_klaviyo_fleet_redis_t  *redis;

    c = wev->data;
    redis = c->data;

    while (redis->out_len) {
        n = c->send(c, (u_char *) redis->out, redis->out_len);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_http_klaviyo_fleet_redis_end(redis, "the connection broke", 0);
            return;
        }

        redis->out_len -= n;

        /* a password may have been in it */

        ngx_memmove(redis->out, redis->out + n, redis->out_len);
        explicit_bzero(redis->out + redis->out_len, n);
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_klaviyo_fleet_redis_end(redis, "epoll failed", 0);
    }
}


static void
ngx_http_klaviyo_fleet_redis_read(ngx_event_t *rev)
{
    void                            *reply;
    u_char                           buf[16384];
    ssize_t                          n;
    ngx_uint_t                       tag;
    ngx_connection_t                *c;
    ngx_http_klaviyo_fleet_redis_t  *redis;

    c = rev->data;
    redis = c->data;

    /* nginx ends the connections of a worker that exits too late */

    if (c->close) {
        ngx_http_klaviyo_fleet_redis_end(redis, "the worker exits", 0);
        return;
    }

    if (redis->state < NGX_HTTP_KLAVIYO_FLEET_SHAKES) {
        return;
    }

    for ( ;; ) {
        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_http_klaviyo_fleet_redis_end(redis, "it closed the "
                                             "connection", 0);
            return;
        }

        redis->unread += n;

        if (redis->unread > redis->max
            || redisReaderFeed(redis->reader, (char *) buf, n) != REDIS_OK)
        {
            ngx_http_klaviyo_fleet_redis_end(redis, "a reply is too long", 1);
            return;
        }

        for ( ;; ) {
            reply = NULL;

            if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
                ngx_http_klaviyo_fleet_redis_end(redis, "it does not speak "
                                                 "Redis's protocol", 1);
                return;
            }

            if (reply == NULL) {
                break;
            }

            redis->unread = 0;

            if (redis->pending == 0) {
                freeReplyObject(reply);
                ngx_http_klaviyo_fleet_redis_end(redis, "it answers without "
                                                 "being asked", 1);
                return;
            }

            tag = redis->tag[redis->first];
            redis->first = (redis->first + 1) % NGX_HTTP_KLAVIYO_FLEET_PENDING;
            redis->pending--;

            ngx_del_timer(&redis->timer);

            if (redis->pending) {
                ngx_add_timer(&redis->timer, redis->conf->answer_timeout);
            }

            ngx_http_klaviyo_fleet_redis_answered(redis, tag, reply);

            freeReplyObject(reply);

            if (redis->c != c) {
                return;
            }
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_klaviyo_fleet_redis_end(redis, "epoll failed", 0);
    }
}


static void
ngx_http_klaviyo_fleet_redis_answered(ngx_http_klaviyo_fleet_redis_t *redis,
    ngx_uint_t tag, const redisReply *reply)
{
    klaviyo_fleet_reply_e  kind;

    if (tag == NGX_HTTP_KLAVIYO_FLEET_TAG_ASKING) {
        return;
    }

    if (redis->state != NGX_HTTP_KLAVIYO_FLEET_READY) {

        /* of before it stayed, its user was told that it is lost */

        if (tag >= NGX_HTTP_KLAVIYO_FLEET_TAG_SENTINEL) {
            ngx_http_klaviyo_fleet_redis_shake(redis, tag, reply);
        }

        return;
    }

    kind = klaviyo_fleet_reply(reply);

    if (kind == KLAVIYO_FLEET_OK) {
        redis->moves = 0;

    } else if (kind == KLAVIYO_FLEET_MOVES) {

        if (!ngx_http_klaviyo_fleet_redis_moved(redis, reply)) {
            redis->state = NGX_HTTP_KLAVIYO_FLEET_STAYS;
            redis->handlers->lost(redis->data, "its keys are on their way to "
                                  "another node of the Cluster", 0);
        }

        return;
    }

    redis->handlers->answer(redis->data, tag, reply);
}


static void
ngx_http_klaviyo_fleet_redis_timeout(ngx_event_t *ev)
{
    ngx_connection_t                *dummy;
    ngx_http_klaviyo_fleet_redis_t  *redis;

    dummy = ev->data;
    redis = dummy->data;

    switch (redis->state) {

    case NGX_HTTP_KLAVIYO_FLEET_RESOLVES:
        ngx_http_klaviyo_fleet_redis_end(redis, "its name is not resolved in "
                                         "time", 0);
        return;

    case NGX_HTTP_KLAVIYO_FLEET_CONNECTS:
        ngx_http_klaviyo_fleet_redis_end(redis, "no connection in time", 0);
        return;

    default:
        ngx_http_klaviyo_fleet_redis_end(redis, "no answer in time", 0);
        return;
    }
}


void
ngx_http_klaviyo_fleet_redis_lose(ngx_http_klaviyo_fleet_redis_t *redis,
    const char *reason)
{
    ngx_http_klaviyo_fleet_redis_end(redis, reason, 0);
}


static void
ngx_http_klaviyo_fleet_redis_fail(ngx_http_klaviyo_fleet_redis_t *redis,
    const char *what, ngx_err_t err)
{
    (void) ngx_snprintf((u_char *) redis->reason, sizeof(redis->reason),
                        "%s failed (%d: %s)%Z", what, err, strerror(err));

    ngx_http_klaviyo_fleet_redis_end(redis, redis->reason, 0);
}


static void
ngx_http_klaviyo_fleet_redis_end(ngx_http_klaviyo_fleet_redis_t *redis,
    const char *reason, ngx_uint_t refused)
{
    ngx_http_klaviyo_fleet_redis_close(redis);

    redis->handlers->lost(redis->data, reason, refused);
}


static void
ngx_http_klaviyo_fleet_redis_close(ngx_http_klaviyo_fleet_redis_t *redis)
{
    ngx_connection_t  *c;

    c = redis->c;

    redis->c = NULL;
    redis->state = NGX_HTTP_KLAVIYO_FLEET_IDLE;
    redis->unread = 0;
    redis->pending = 0;

    if (redis->out) {
        explicit_bzero(redis->out, redis->out_len);
        redis->out_len = 0;
    }

    if (redis->timer.timer_set) {
        ngx_del_timer(&redis->timer);
    }

    if (c) {

#if (NGX_SSL)

        if (c->ssl) {
            c->ssl->no_wait_shutdown = 1;
            (void) ngx_ssl_shutdown(c);
        }

#endif

        ngx_close_connection(c);
    }

    if (redis->pool) {
        ngx_destroy_pool(redis->pool);
        redis->pool = NULL;
    }

    if (redis->reader) {
        redisReaderFree(redis->reader);
        redis->reader = NULL;
    }
}

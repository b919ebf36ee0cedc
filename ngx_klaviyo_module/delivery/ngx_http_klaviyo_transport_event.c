/*
 * libcurl's sockets and its timer on nginx's event loop.
 *
 *     libcurl says  watch this socket, wake me in t   → socket(), timer()
 *     nginx says    this socket is ready, t is over   → action()
 *     action()      libcurl's turn, then the owner's handler
 *
 * Sockets are kept by number, not by transfer: those of the resolver and of
 * Happy Eyeballs come too, and a connection may carry many transfers.
 */


#include "ngx_http_klaviyo_transport_event.h"
#include "ngx_http_klaviyo_signals.h"

#include <openssl/err.h>


/* connections kept open while nothing is sent */
#define NGX_HTTP_KLAVIYO_TRANSPORT_IDLE   8L

/* how soon to try again for a socket that could not be watched, ms */
#define NGX_HTTP_KLAVIYO_TRANSPORT_AGAIN  100


typedef struct {
    ngx_queue_t                          queue;
    ngx_http_klaviyo_transport_event_t  *event;
    ngx_connection_t                    *connection;  /* NULL: not watched  */
    dev_t                                dev;   /* what `fd` is the number  */
    ino_t                                ino;   /* of; numbers come again   */
    ngx_socket_t                         fd;
    int                                  what;  /* CURL_POLL_*              */
} ngx_http_klaviyo_transport_socket_t;


static int ngx_http_klaviyo_transport_socket(CURL *easy, curl_socket_t fd,
    int what, void *data, void *socket_data);
static ngx_http_klaviyo_transport_socket_t *
    ngx_http_klaviyo_transport_socket_find(
    ngx_http_klaviyo_transport_event_t *event, ngx_socket_t fd);
static ngx_uint_t ngx_http_klaviyo_transport_socket_same(
    ngx_http_klaviyo_transport_socket_t *sock);
static void ngx_http_klaviyo_transport_socket_watch(
    ngx_http_klaviyo_transport_socket_t *sock);
static void ngx_http_klaviyo_transport_socket_unwatch(
    ngx_http_klaviyo_transport_socket_t *sock);
static void ngx_http_klaviyo_transport_socket_free(
    ngx_http_klaviyo_transport_socket_t *sock);
static void ngx_http_klaviyo_transport_socket_handler(ngx_event_t *ev);
static int ngx_http_klaviyo_transport_timer(CURLM *multi, long timeout,
    void *data);
static void ngx_http_klaviyo_transport_timer_handler(ngx_event_t *ev);
static void ngx_http_klaviyo_transport_action(
    ngx_http_klaviyo_transport_event_t *event, curl_socket_t fd, int ready);
static void ngx_http_klaviyo_transport_again(
    ngx_http_klaviyo_transport_event_t *event);


ngx_int_t
ngx_http_klaviyo_transport_event_open(
    ngx_http_klaviyo_transport_event_t *event, ngx_log_t *log)
{
    CURLM  *multi;

    event->log = log;

    ngx_queue_init(&event->sockets);

    event->dummy.fd = (ngx_socket_t) -1;

    event->timer.handler = ngx_http_klaviyo_transport_timer_handler;
    event->timer.data = &event->dummy;
    event->timer.log = log;

    /* a worker that leaves gracefully does not wait for this timer */
    event->timer.cancelable = 1;

    multi = curl_multi_init();

    if (multi == NULL) {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "klaviyo: curl_multi_init() failed");
        return NGX_ERROR;
    }

    if (curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
                          ngx_http_klaviyo_transport_socket) != CURLM_OK
        || curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, event) != CURLM_OK
        || curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
                             ngx_http_klaviyo_transport_timer) != CURLM_OK
        || curl_multi_setopt(multi, CURLMOPT_TIMERDATA, event) != CURLM_OK
        || curl_multi_setopt(multi, CURLMOPT_PIPELINING,
                             (long) CURLPIPE_MULTIPLEX) != CURLM_OK
#if (LIBCURL_VERSION_NUM >= 0x081400)
        /* or closing the multi joins threads that are still resolving */
        || curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L) != CURLM_OK
#endif
        || curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS,
                             NGX_HTTP_KLAVIYO_TRANSPORT_IDLE) != CURLM_OK)
    {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "klaviyo: curl_multi_setopt() failed");
        (void) curl_multi_cleanup(multi);
        return NGX_ERROR;
    }

    event->multi = multi;

    return NGX_OK;
}


void
ngx_http_klaviyo_transport_event_close(
    ngx_http_klaviyo_transport_event_t *event)
{
    ngx_queue_t                          *q;
    ngx_http_klaviyo_transport_socket_t  *sock;

    (void) curl_multi_cleanup(event->multi);

    ERR_clear_error();

    /* libcurl need not say CURL_POLL_REMOVE for what it closes now */

    while (!ngx_queue_empty(&event->sockets)) {
        q = ngx_queue_head(&event->sockets);
        sock = ngx_queue_data(q, ngx_http_klaviyo_transport_socket_t, queue);

        ngx_http_klaviyo_transport_socket_free(sock);
    }

    if (event->timer.timer_set) {
        ngx_del_timer(&event->timer);
    }
}


/*
 * Returns 0 whatever happens: with -1 libcurl declares the multi dead.
 */

static int
ngx_http_klaviyo_transport_socket(CURL *easy, curl_socket_t fd, int what,
    void *data, void *socket_data)
{
    ngx_http_klaviyo_transport_event_t *event = data;

    struct stat                           sb;
    ngx_http_klaviyo_transport_socket_t  *sock;

    (void) easy;
    (void) socket_data;

    ngx_log_debug2(NGX_LOG_DEBUG_EVENT, event->log, 0,
                   "klaviyo socket: fd:%d what:%d", fd, what);

    sock = ngx_http_klaviyo_transport_socket_find(event, fd);

    if (what == CURL_POLL_REMOVE) {

        if (sock) {
            ngx_http_klaviyo_transport_socket_free(sock);
        }

        return 0;
    }

    if (event->closing) {
        return 0;
    }

    if (sock && !ngx_http_klaviyo_transport_socket_same(sock)) {
        ngx_http_klaviyo_transport_socket_free(sock);
        sock = NULL;
    }

    if (sock == NULL) {
        if (fstat(fd, &sb) == -1) {
            ngx_log_error(NGX_LOG_ALERT, event->log, ngx_errno,
                          "klaviyo: fstat() of socket %d failed", fd);
            return 0;
        }

        sock = ngx_calloc(sizeof(ngx_http_klaviyo_transport_socket_t),
                          event->log);
        if (sock == NULL) {
            /* nobody watches it: the transfer ends with its time-out */
            return 0;
        }

        sock->event = event;
        sock->dev = sb.st_dev;
        sock->ino = sb.st_ino;
        sock->fd = fd;

        ngx_queue_insert_tail(&event->sockets, &sock->queue);
    }

    sock->what = what;

    ngx_http_klaviyo_transport_socket_watch(sock);

    return 0;
}


static ngx_http_klaviyo_transport_socket_t *
ngx_http_klaviyo_transport_socket_find(
    ngx_http_klaviyo_transport_event_t *event, ngx_socket_t fd)
{
    ngx_queue_t                          *q;
    ngx_http_klaviyo_transport_socket_t  *sock;

    for (q = ngx_queue_head(&event->sockets);
         q != ngx_queue_sentinel(&event->sockets);
         q = ngx_queue_next(q))
    {
        sock = ngx_queue_data(q, ngx_http_klaviyo_transport_socket_t, queue);

        if (sock->fd == fd) {
            return sock;
        }
    }

    return NULL;
}


/*
 * libcurl 7.88.0 to 8.4.0 closes a socket that is connecting before it says
 * CURL_POLL_REMOVE: the number alone is no proof of what it stands for.
 */

static ngx_uint_t
ngx_http_klaviyo_transport_socket_same(
    ngx_http_klaviyo_transport_socket_t *sock)
{
    struct stat  sb;

    return fstat(sock->fd, &sb) == 0
           && sb.st_dev == sock->dev && sb.st_ino == sock->ino;
}


static void
ngx_http_klaviyo_transport_socket_watch(
    ngx_http_klaviyo_transport_socket_t *sock)
{
    ngx_connection_t  *c;

    c = sock->connection;

    if (c == NULL) {
        c = ngx_get_connection(sock->fd, sock->event->log);
        if (c == NULL) {
            sock->event->unwatched = 1;
            return;
        }

        /*
         * both handlers, whatever is watched: worker_shutdown_timeout calls
         * read->handler of every connection
         */

        c->read->handler = ngx_http_klaviyo_transport_socket_handler;
        c->write->handler = ngx_http_klaviyo_transport_socket_handler;
        c->read->log = c->log;
        c->write->log = c->log;
        c->data = sock;

        sock->connection = c;
    }

    /* what is new goes first: epoll then changes its entry only once or not */

    if ((sock->what & CURL_POLL_IN) && !c->read->active
        && ngx_add_event(c->read, NGX_READ_EVENT, NGX_LEVEL_EVENT) != NGX_OK)
    {
        goto failed;
    }

    if ((sock->what & CURL_POLL_OUT) && !c->write->active
        && ngx_add_event(c->write, NGX_WRITE_EVENT, NGX_LEVEL_EVENT) != NGX_OK)
    {
        goto failed;
    }

    if (!(sock->what & CURL_POLL_IN) && c->read->active
        && ngx_del_event(c->read, NGX_READ_EVENT, 0) != NGX_OK)
    {
        goto failed;
    }

    if (!(sock->what & CURL_POLL_OUT) && c->write->active
        && ngx_del_event(c->write, NGX_WRITE_EVENT, 0) != NGX_OK)
    {
        goto failed;
    }

    return;

failed:

    ngx_http_klaviyo_transport_socket_unwatch(sock);
    sock->event->unwatched = 1;
}


static void
ngx_http_klaviyo_transport_socket_unwatch(
    ngx_http_klaviyo_transport_socket_t *sock)
{
    ngx_uint_t         flags;
    ngx_connection_t  *c;

    c = sock->connection;

    if (c == NULL) {
        return;
    }

    sock->connection = NULL;

    /*
     * with NGX_CLOSE_EVENT nginx forgets the event and leaves the number
     * alone, which is closed or is somebody else's by now: else epoll_ctl()
     * fails with an alert, or takes the event of another connection away
     */

    flags = ngx_http_klaviyo_transport_socket_same(sock)
            ? 0 : NGX_CLOSE_EVENT;

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, flags);
    }

    if (c->write->active) {
        (void) ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
    }

    /* the socket is libcurl's: nginx neither closes it nor asks epoll again */

    c->shared = 1;
    ngx_close_connection(c);
}


static void
ngx_http_klaviyo_transport_socket_free(
    ngx_http_klaviyo_transport_socket_t *sock)
{
    ngx_http_klaviyo_transport_socket_unwatch(sock);

    ngx_queue_remove(&sock->queue);
    ngx_free(sock);
}


static void
ngx_http_klaviyo_transport_socket_handler(ngx_event_t *ev)
{
    ngx_connection_t                     *c;
    ngx_http_klaviyo_transport_socket_t  *sock;

    c = ev->data;
    sock = c->data;

    ngx_http_klaviyo_transport_action(sock->event, sock->fd,
                                      ev->write ? CURL_CSELECT_OUT
                                                : CURL_CSELECT_IN);
}


static int
ngx_http_klaviyo_transport_timer(CURLM *multi, long timeout, void *data)
{
    ngx_http_klaviyo_transport_event_t *event = data;

    (void) multi;

    /*
     * nginx would leave a timer as it is when the new time is less than
     * 300 ms from it, and libcurl does not ask twice
     */

    if (event->timer.timer_set) {
        ngx_del_timer(&event->timer);
    }

    if (timeout < 0 || event->closing) {
        return 0;
    }

    /*
     * never 0: nginx runs timers until none is due, and a libcurl that is
     * always busy at once would keep it from everything else
     */

    ngx_add_timer(&event->timer, timeout ? (ngx_msec_t) timeout : 1);

    return 0;
}


static void
ngx_http_klaviyo_transport_timer_handler(ngx_event_t *ev)
{
    ngx_http_klaviyo_transport_event_t  *event;

    event = ngx_queue_data(ev, ngx_http_klaviyo_transport_event_t, timer);

    ngx_http_klaviyo_transport_action(event, CURL_SOCKET_TIMEOUT, 0);
}


/*
 * The owner's handler is the last thing: the event may be gone after it.
 */

static void
ngx_http_klaviyo_transport_action(ngx_http_klaviyo_transport_event_t *event,
    curl_socket_t fd, int ready)
{
    int        running;
    sigset_t   saved;
    CURLMcode  rc;

    /* libcurl starts a thread to resolve a name, which inherits the mask */

    ngx_http_klaviyo_signals_block(&saved);

    rc = curl_multi_socket_action(event->multi, fd, ready, &running);

    (void) pthread_sigmask(SIG_SETMASK, &saved, NULL);

    /* or nginx finds libcurl's errors and blames one of its own clients */
    ERR_clear_error();

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ALERT, event->log, 0,
                      "klaviyo: curl_multi_socket_action() failed (%d: %s)",
                      (int) rc, curl_multi_strerror(rc));
    }

    if (event->unwatched) {
        ngx_http_klaviyo_transport_again(event);
    }

    event->handler(event->data);
}


/*
 * nginx was out of connections, which it has logged: once more and quietly,
 * now and then, while the time-outs of the transfers run on.
 */

static void
ngx_http_klaviyo_transport_again(ngx_http_klaviyo_transport_event_t *event)
{
    ngx_queue_t                          *q;
    ngx_msec_int_t                        left;
    ngx_http_klaviyo_transport_socket_t  *sock;

    event->unwatched = 0;

    for (q = ngx_queue_head(&event->sockets);
         q != ngx_queue_sentinel(&event->sockets);
         q = ngx_queue_next(q))
    {
        sock = ngx_queue_data(q, ngx_http_klaviyo_transport_socket_t, queue);

        if (sock->connection) {
            continue;
        }

        if (ngx_cycle->free_connection_n == 0) {
            event->unwatched = 1;
            break;
        }

        if (ngx_http_klaviyo_transport_socket_same(sock)) {
            ngx_http_klaviyo_transport_socket_watch(sock);
        }
    }

    if (!event->unwatched) {
        return;
    }

    if (event->timer.timer_set) {
        left = (ngx_msec_int_t) (event->timer.timer.key - ngx_current_msec);

        if (left <= NGX_HTTP_KLAVIYO_TRANSPORT_AGAIN) {
            return;
        }

        ngx_del_timer(&event->timer);
    }

    /* libcurl, woken too early, says again when it wants to be woken */

    ngx_add_timer(&event->timer, NGX_HTTP_KLAVIYO_TRANSPORT_AGAIN);
}

/*
 * Whoever events are sent to, as fast as one core answers: no JSON is parsed,
 * no limit kept, nothing stored.  It takes the role of Klaviyo, and that of
 * the collector that mirror, Lua, njs and syslog send to.
 *
 *     sink [unix socket]
 *
 * prints three ports of 127.0.0.1 and serves until its standard input ends:
 *
 *     ok           202 to everything; GET /stats: its figures; GET /reset
 *     unavailable  503 to everything
 *     hang         takes everything, answers nothing
 *
 * An event is counted where a body holds "unique_id" with its quotes.
 */


#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>


#define SINK_BUF     (256 * 1024)
#define SINK_NEEDLE  "\"unique_id\""


typedef enum {
    SINK_OK = 0,
    SINK_UNAVAILABLE,
    SINK_HANG,
    SINK_DATAGRAM,
    SINK_STDIN
} sink_role_e;


typedef struct {
    int           fd;
    int           listening;
    sink_role_e   role;
    uint64_t      body;          /* bytes still to come                     */
    size_t        len;           /* bytes in buf                            */
    char          head[64];      /* the request's first line                */
    char         *buf;
} sink_peer_t;


typedef struct {
    uint64_t  requests;
    uint64_t  events;
    uint64_t  bytes;
    double    first;             /* s, when an event came                   */
    double    last;
} sink_stats_t;


static int           sink_epoll;
static sink_stats_t  sink_stats;


static double
sink_now(void)
{
    struct timespec  now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return now.tv_sec + now.tv_nsec / 1e9;
}


static void
sink_die(const char *what)
{
    perror(what);
    exit(1);
}


static sink_peer_t *
sink_watch(int fd, sink_role_e role, int listening)
{
    sink_peer_t         *peer;
    struct epoll_event   event;

    peer = calloc(1, sizeof(sink_peer_t));

    if (peer == NULL) {
        sink_die("calloc");
    }

    peer->fd = fd;
    peer->role = role;
    peer->listening = listening;

    event.events = EPOLLIN;
    event.data.ptr = peer;

    if (epoll_ctl(sink_epoll, EPOLL_CTL_ADD, fd, &event) == -1) {
        sink_die("epoll_ctl");
    }

    return peer;
}


static int
sink_listen(sink_role_e role)
{
    int                 fd;
    socklen_t           len;
    struct sockaddr_in  addr;

    memset(&addr, 0, sizeof(addr));
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    len = sizeof(addr);
    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == -1
        || bind(fd, (struct sockaddr *) &addr, len) == -1
        || listen(fd, 1024) == -1
        || getsockname(fd, (struct sockaddr *) &addr, &len) == -1)
    {
        sink_die("listen");
    }

    sink_watch(fd, role, 1);

    return ntohs(addr.sin_port);
}


static void
sink_datagrams(const char *path)
{
    int                 fd;
    struct sockaddr_un  addr;

    memset(&addr, 0, sizeof(addr));
    addr.sun_family = AF_UNIX;
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);

    fd = socket(AF_UNIX, SOCK_DGRAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == -1
        || bind(fd, (struct sockaddr *) &addr, sizeof(addr)) == -1)
    {
        sink_die(path);
    }

    sink_watch(fd, SINK_DATAGRAM, 0);
}


/* counts events; returns how many last bytes may be the start of another */

static size_t
sink_count(const char *p, size_t len)
{
    size_t       keep;
    const char  *found, *end;

    end = p + len;

    for ( ;; ) {
        found = memmem(p, end - p, SINK_NEEDLE, sizeof(SINK_NEEDLE) - 1);

        if (found == NULL) {
            break;
        }

        sink_stats.events++;
        p = found + sizeof(SINK_NEEDLE) - 1;
    }

    keep = sizeof(SINK_NEEDLE) - 2;

    return (size_t) (end - p) < keep ? (size_t) (end - p) : keep;
}


static void
sink_answer(sink_peer_t *peer)
{
    int     n;
    char    body[256], buf[512];
    double  now;

    body[0] = '\0';
    now = sink_now();

    if (strncmp(peer->head, "GET /stats", 10) == 0) {
        snprintf(body, sizeof(body),
                 "{\"requests\":%" PRIu64 ",\"events\":%" PRIu64
                 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f}\n",
                 sink_stats.requests, sink_stats.events, sink_stats.bytes,
                 sink_stats.last - sink_stats.first);

    } else if (strncmp(peer->head, "GET /reset", 10) == 0) {
        memset(&sink_stats, 0, sizeof(sink_stats));

    } else {
        sink_stats.requests++;
        sink_stats.last = now;
    }

    n = snprintf(buf, sizeof(buf),
                 "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
                 peer->role == SINK_OK ? "202 Accepted"
                                       : "503 Service Unavailable",
                 strlen(body), body);

    if (write(peer->fd, buf, n) != n) {
        /* it has gone, which the next read finds */
    }
}


/* a value of the head, or nothing */

static const char *
sink_header(const char *head, const char *end, const char *name)
{
    size_t  len;

    len = strlen(name);

    for ( ;; ) {
        head = memmem(head, end - head, "\r\n", 2);

        if (head == NULL || (size_t) (end - head) < len + 2) {
            return NULL;
        }

        head += 2;

        if (strncasecmp(head, name, len) == 0) {
            return head + len;
        }
    }
}


/* 1: a head was there, and is gone from the buffer */

static int
sink_head(sink_peer_t *peer)
{
    size_t       size;
    const char  *end, *value;

    end = memmem(peer->buf, peer->len, "\r\n\r\n", 4);

    if (end == NULL) {
        return 0;
    }

    snprintf(peer->head, sizeof(peer->head), "%s", peer->buf);

    value = sink_header(peer->buf, end + 2, "Content-Length:");
    peer->body = value ? strtoull(value, NULL, 10) : 0;

    if (sink_header(peer->buf, end + 2, "Expect:")
        && write(peer->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 25)
    {
        return 0;
    }

    if (sink_stats.first == 0 && peer->body) {
        sink_stats.first = sink_now();
    }

    size = end + 4 - peer->buf;
    peer->len -= size;
    memmove(peer->buf, end + 4, peer->len);

    return 1;
}


static void
sink_requests(sink_peer_t *peer)
{
    size_t  n, keep;

    for ( ;; ) {

        if (peer->head[0] == '\0' && !sink_head(peer)) {
            return;
        }

        n = peer->len < peer->body ? peer->len : peer->body;

        if (n) {
            keep = sink_count(peer->buf, n);

            if (n == peer->body) {
                keep = 0;
            }

            n -= keep;
            peer->body -= n;
            peer->len -= n;
            sink_stats.bytes += n;
            memmove(peer->buf, peer->buf + n, peer->len);
        }

        if (peer->body) {
            return;
        }

        if (peer->role != SINK_HANG) {
            sink_answer(peer);
        }

        peer->head[0] = '\0';
    }
}


static void
sink_read(sink_peer_t *peer)
{
    ssize_t  n;

    if (peer->buf == NULL) {
        peer->buf = malloc(SINK_BUF + 1);

        if (peer->buf == NULL) {
            sink_die("malloc");
        }
    }

    n = read(peer->fd, peer->buf + peer->len, SINK_BUF - peer->len);

    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    if (n <= 0) {
        close(peer->fd);
        free(peer->buf);
        free(peer);
        return;
    }

    peer->len += n;
    peer->buf[peer->len] = '\0';

    sink_requests(peer);
}


static void
sink_accept(sink_peer_t *listener)
{
    int  fd, on;

    fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);

    if (fd == -1) {
        return;
    }

    on = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

    sink_watch(fd, listener->role, 0);
}


static void
sink_datagram(sink_peer_t *peer)
{
    char     buf[65536];
    ssize_t  n;

    for ( ;; ) {
        n = recv(peer->fd, buf, sizeof(buf), 0);

        if (n <= 0) {
            return;
        }

        sink_stats.requests++;
        sink_stats.bytes += n;
        (void) sink_count(buf, n);
    }
}


int
main(int argc, char **argv)
{
    int                  i, n, port[3];
    sink_peer_t         *peer;
    struct epoll_event   event[64];

    sink_epoll = epoll_create1(EPOLL_CLOEXEC);

    if (sink_epoll == -1) {
        sink_die("epoll_create1");
    }

    port[0] = sink_listen(SINK_OK);
    port[1] = sink_listen(SINK_UNAVAILABLE);
    port[2] = sink_listen(SINK_HANG);

    if (argc > 1) {
        sink_datagrams(argv[1]);
    }

    sink_watch(STDIN_FILENO, SINK_STDIN, 0);

    printf("%d %d %d\n", port[0], port[1], port[2]);
    fflush(stdout);

    for ( ;; ) {
        n = epoll_wait(sink_epoll, event, 64, -1);

        for (i = 0; i < n; i++) {
            peer = event[i].data.ptr;

            if (peer->role == SINK_STDIN) {
                return 0;
            }

            if (peer->role == SINK_DATAGRAM) {
                sink_datagram(peer);

            } else if (peer->listening) {
                sink_accept(peer);

            } else {
                sink_read(peer);
            }
        }
    }
}

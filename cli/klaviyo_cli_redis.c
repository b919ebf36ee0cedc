/*
 * A Redis, asked one thing after the other.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "klaviyo_cli.h"
#include "klaviyo_cli_redis.h"
#include "klaviyo_cli_tls.h"


#define KLAVIYO_CLI_REDIS_TEXT      (16 * 1024 * 1024)  /* bytes            */
#define KLAVIYO_CLI_REDIS_ELEMENTS  1000000
#define KLAVIYO_CLI_REDIS_DEPTH     5
#define KLAVIYO_CLI_REDIS_WAIT      10                  /* s                */


typedef struct {
    char         path[108];          /* of a socket; "": by TCP             */
    char         host[256];
    char         port[8];
    char         database[8];
    unsigned     tls:1;
} klaviyo_cli_redis_url_t;


struct klaviyo_cli_redis_s {
    FILE        *in;
    FILE        *out;
    const char  *url;
};


static const char *klaviyo_cli_redis_url(klaviyo_cli_redis_url_t *url,
    const char *text);
static int klaviyo_cli_redis_streams(klaviyo_cli_redis_t *redis,
    const klaviyo_cli_redis_url_t *url, const char *trusted);
static int klaviyo_cli_redis_connect(const klaviyo_cli_redis_url_t *url);
static int klaviyo_cli_redis_setup(klaviyo_cli_redis_t *redis,
    const klaviyo_cli_redis_url_t *url, const char *user,
    const char *password);
static int klaviyo_cli_redis_read(klaviyo_cli_redis_t *redis,
    klaviyo_cli_reply_t *reply, unsigned depth);
static void klaviyo_cli_reply_clear(klaviyo_cli_reply_t *reply);


klaviyo_cli_redis_t *
klaviyo_cli_redis_open(const char *text, const char *user,
    const char *password, const char *trusted)
{
    const char               *wrong;
    klaviyo_cli_redis_t      *redis;
    klaviyo_cli_redis_url_t   url;

    wrong = klaviyo_cli_redis_url(&url, text);

    if (wrong == NULL && trusted && !url.tls) {
        wrong = "\"--trusted-certificate\" is for \"rediss://\"";
    }

    if (wrong) {
        (void) klaviyo_cli_error("\"%s\": %s", text, wrong);
        return NULL;
    }

    redis = calloc(1, sizeof(klaviyo_cli_redis_t));
    if (redis == NULL) {
        (void) klaviyo_cli_error("no memory");
        return NULL;
    }

    redis->url = text;

    if (klaviyo_cli_redis_streams(redis, &url, trusted) != 0
        || klaviyo_cli_redis_setup(redis, &url, user, password) != 0)
    {
        klaviyo_cli_redis_close(redis);
        return NULL;
    }

    return redis;
}


static int
klaviyo_cli_redis_streams(klaviyo_cli_redis_t *redis,
    const klaviyo_cli_redis_url_t *url, const char *trusted)
{
    int   fd;
    char  error[KLAVIYO_CLI_TLS_ERROR];

    if (url->tls) {

        if (klaviyo_cli_tls_open(&redis->in, &redis->out, url->host,
                                 url->port, trusted, KLAVIYO_CLI_REDIS_WAIT,
                                 error)
            != 0)
        {
            (void) klaviyo_cli_error("\"%s\" cannot be reached: %s",
                                     redis->url, error);
            return -1;
        }

        return 0;
    }

    fd = klaviyo_cli_redis_connect(url);

    if (fd == -1) {
        (void) klaviyo_cli_error("\"%s\" cannot be reached: %s", redis->url,
                                 errno ? strerror(errno)
                                       : "its name is not resolved");
        return -1;
    }

    redis->in = fdopen(fd, "r");
    redis->out = redis->in ? fdopen(dup(fd), "w") : NULL;

    if (redis->out == NULL) {
        (void) klaviyo_cli_error("fdopen() failed: %s", strerror(errno));
        return -1;
    }

    return 0;
}


/* NULL, or what is wrong with it */

static const char *
klaviyo_cli_redis_url(klaviyo_cli_redis_url_t *url, const char *text)
{
    int  n;

    memset(url, 0, sizeof(klaviyo_cli_redis_url_t));

    (void) strcpy(url->port, "6379");

    if (strncmp(text, "unix:/", 6) == 0) {
        return snprintf(url->path, sizeof(url->path), "%s", text + 5)
               < (int) sizeof(url->path) ? NULL : "its path is too long";
    }

    if (strncmp(text, "redis://", 8) == 0) {
        text += 8;

    } else if (strncmp(text, "rediss://", 9) == 0) {
        text += 9;
        url->tls = 1;

    } else {
        return "it begins with \"redis://\", \"rediss://\" or \"unix:/\"";
    }

    n = 0;

    if (sscanf(text, "[%255[0-9A-Fa-f.:]]%n", url->host, &n) != 1 || n == 0) {
        n = 0;

        if (sscanf(text, "%255[-._0-9A-Za-z]%n", url->host, &n) != 1) {
            return "its host is missing";
        }
    }

    text += n;
    n = 0;

    if (sscanf(text, ":%5[0-9]%n", url->port, &n) == 1) {
        text += n;
        n = 0;
    }

    if (sscanf(text, "/%5[0-9]%n", url->database, &n) == 1) {
        text += n;
    }

    return (*text == '\0' || strcmp(text, "/") == 0)
           ? NULL : "it is no \"redis://host:port/database\"";
}


static int
klaviyo_cli_redis_connect(const klaviyo_cli_redis_url_t *url)
{
    int                  fd, rc, err;
    struct timeval       wait;
    struct addrinfo      hints, *list, *ai;
    struct sockaddr_un   sun;

    wait.tv_sec = KLAVIYO_CLI_REDIS_WAIT;
    wait.tv_usec = 0;

    memset(&hints, 0, sizeof(struct addrinfo));
    hints.ai_socktype = SOCK_STREAM;

    list = NULL;
    errno = 0;

    if (url->path[0]) {
        memset(&sun, 0, sizeof(struct sockaddr_un));
        sun.sun_family = AF_UNIX;
        memcpy(sun.sun_path, url->path, sizeof(sun.sun_path));

        hints.ai_family = AF_UNIX;
        hints.ai_addr = (struct sockaddr *) &sun;
        hints.ai_addrlen = sizeof(struct sockaddr_un);

    } else {
        if (getaddrinfo(url->host, url->port, &hints, &list) != 0) {
            return -1;
        }
    }

    fd = -1;

    for (ai = list ? list : &hints; ai && fd == -1; ai = ai->ai_next) {

        fd = socket(ai->ai_family, SOCK_STREAM|SOCK_CLOEXEC, 0);
        if (fd == -1) {
            continue;
        }

        (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));

        rc = connect(fd, ai->ai_addr, ai->ai_addrlen);

        if (rc == -1) {
            err = errno;
            (void) close(fd);
            errno = err;
            fd = -1;
        }
    }

    if (list) {
        err = errno;
        freeaddrinfo(list);
        errno = err;
    }

    return fd;
}


static int
klaviyo_cli_redis_setup(klaviyo_cli_redis_t *redis,
    const klaviyo_cli_redis_url_t *url, const char *user,
    const char *password)
{
    int                   n;
    const char           *argv[3];
    klaviyo_cli_reply_t  *reply;

    if (password) {
        n = 0;
        argv[n++] = "AUTH";

        if (user) {
            argv[n++] = user;
        }

        argv[n++] = password;

        reply = klaviyo_cli_redis(redis, n, argv);

        if (reply == NULL) {
            return -1;
        }

        klaviyo_cli_reply_free(reply);
    }

    if (url->database[0]) {
        argv[0] = "SELECT";
        argv[1] = url->database;

        reply = klaviyo_cli_redis(redis, 2, argv);

        if (reply == NULL) {
            return -1;
        }

        klaviyo_cli_reply_free(reply);
    }

    return 0;
}


void
klaviyo_cli_redis_close(klaviyo_cli_redis_t *redis)
{
    if (redis->in) {
        (void) fclose(redis->in);
    }

    if (redis->out) {
        (void) fclose(redis->out);
    }

    free(redis);
}


klaviyo_cli_reply_t *
klaviyo_cli_redis(klaviyo_cli_redis_t *redis, int argc,
    const char *const *argv)
{
    int                   i;
    klaviyo_cli_reply_t  *reply;

    (void) fprintf(redis->out, "*%d\r\n", argc);

    for (i = 0; i < argc; i++) {
        (void) fprintf(redis->out, "$%zu\r\n%s\r\n", strlen(argv[i]),
                       argv[i]);
    }

    reply = calloc(1, sizeof(klaviyo_cli_reply_t));

    if (reply == NULL || fflush(redis->out) != 0
        || klaviyo_cli_redis_read(redis, reply, 0) != 0)
    {
        (void) klaviyo_cli_error("\"%s\" does not answer as a Redis",
                                 redis->url);
        klaviyo_cli_reply_free(reply);
        return NULL;
    }

    if (reply->type == '-') {
        (void) klaviyo_cli_error("\"%s\", %s: %s", redis->url, argv[0],
                                 reply->text);
        klaviyo_cli_reply_free(reply);
        return NULL;
    }

    return reply;
}


/* 0; -1: the end, an error, or what no Redis says */

static int
klaviyo_cli_redis_read(klaviyo_cli_redis_t *redis,
    klaviyo_cli_reply_t *reply, unsigned depth)
{
    char        line[1024], *end;
    size_t      i;
    long long   n;

    if (depth > KLAVIYO_CLI_REDIS_DEPTH
        || fgets(line, sizeof(line), redis->in) == NULL)
    {
        return -1;
    }

    reply->type = line[0];

    if (line[0] == '+' || line[0] == '-') {
        line[strcspn(line, "\r\n")] = '\0';
        reply->text = strdup(line + 1);
        reply->len = reply->text ? strlen(reply->text) : 0;

        return reply->text ? 0 : -1;
    }

    errno = 0;
    n = strtoll(line + 1, &end, 10);

    if (errno || end == line + 1 || *end != '\r') {
        return -1;
    }

    switch (line[0]) {

    case ':':
        reply->number = n;
        return 0;

    case '$':
        if (n < 0) {
            return 0;
        }

        if (n > KLAVIYO_CLI_REDIS_TEXT) {
            return -1;
        }

        reply->len = (size_t) n;
        reply->text = malloc(reply->len + 3);

        if (reply->text == NULL
            || fread(reply->text, 1, reply->len + 2, redis->in)
               != reply->len + 2)
        {
            return -1;
        }

        reply->text[reply->len] = '\0';
        return 0;

    case '*':
        if (n <= 0) {
            return 0;
        }

        if (n > KLAVIYO_CLI_REDIS_ELEMENTS) {
            return -1;
        }

        reply->element = calloc((size_t) n, sizeof(klaviyo_cli_reply_t));
        if (reply->element == NULL) {
            return -1;
        }

        reply->n = (size_t) n;

        for (i = 0; i < reply->n; i++) {
            if (klaviyo_cli_redis_read(redis, &reply->element[i], depth + 1)
                != 0)
            {
                return -1;
            }
        }

        return 0;

    default:
        return -1;
    }
}


void
klaviyo_cli_reply_free(klaviyo_cli_reply_t *reply)
{
    if (reply) {
        klaviyo_cli_reply_clear(reply);
        free(reply);
    }
}


static void
klaviyo_cli_reply_clear(klaviyo_cli_reply_t *reply)
{
    size_t  i;

    for (i = 0; i < reply->n; i++) {
        klaviyo_cli_reply_clear(&reply->element[i]);
    }

    free(reply->element);
    free(reply->text);
}


const char *
klaviyo_cli_reply_field(const klaviyo_cli_reply_t *reply, const char *name)
{
    size_t  i;

    for (i = 0; i + 1 < reply->n; i += 2) {
        if (reply->element[i].text && reply->element[i + 1].text
            && strcmp(reply->element[i].text, name) == 0)
        {
            return reply->element[i + 1].text;
        }
    }

    return NULL;
}

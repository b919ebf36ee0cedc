/*
 * TLS by libcurl, which connects and no more; see the header.
 */


#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "klaviyo_cli_tls.h"


typedef struct {
    CURL           *easy;
    curl_socket_t   fd;
    unsigned        wait;        /* s                                       */
    unsigned        streams;
} klaviyo_cli_tls_t;


static CURLcode klaviyo_cli_tls_connect(klaviyo_cli_tls_t *tls,
    const char *host, const char *port, const char *trusted, char *text);
static void klaviyo_cli_tls_why(CURLcode rc, const char *host,
    const char *text, char *error);
static ssize_t klaviyo_cli_tls_read(void *data, char *buf, size_t len);
static ssize_t klaviyo_cli_tls_write(void *data, const char *buf, size_t len);
static int klaviyo_cli_tls_poll(klaviyo_cli_tls_t *tls, short events);
static int klaviyo_cli_tls_close(void *data);


int
klaviyo_cli_tls_open(FILE **in, FILE **out, const char *host,
    const char *port, const char *trusted, unsigned wait, char *error)
{
    char                 text[CURL_ERROR_SIZE];
    CURLcode             rc;
    klaviyo_cli_tls_t   *tls;

    static const cookie_io_functions_t  reads = {
        klaviyo_cli_tls_read, NULL, NULL, klaviyo_cli_tls_close
    };

    static const cookie_io_functions_t  writes = {
        NULL, klaviyo_cli_tls_write, NULL, klaviyo_cli_tls_close
    };

    (void) snprintf(error, KLAVIYO_CLI_TLS_ERROR, "no memory");

    tls = calloc(1, sizeof(klaviyo_cli_tls_t));
    if (tls == NULL) {
        return -1;
    }

    tls->wait = wait;
    tls->streams = 1;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        tls->easy = curl_easy_init();
    }

    if (tls->easy == NULL) {
        (void) klaviyo_cli_tls_close(tls);
        return -1;
    }

    rc = klaviyo_cli_tls_connect(tls, host, port, trusted, text);

    if (rc != CURLE_OK) {
        klaviyo_cli_tls_why(rc, host, text, error);
        (void) klaviyo_cli_tls_close(tls);
        return -1;
    }

    *in = fopencookie(tls, "r", reads);

    if (*in == NULL) {
        (void) klaviyo_cli_tls_close(tls);
        return -1;
    }

    *out = fopencookie(tls, "w", writes);

    if (*out == NULL) {
        (void) fclose(*in);
        return -1;
    }

    tls->streams++;

    return 0;
}


static CURLcode
klaviyo_cli_tls_connect(klaviyo_cli_tls_t *tls, const char *host,
    const char *port, const char *trusted, char *text)
{
    CURL      *easy;
    char       url[512];
    CURLcode   rc;

    easy = tls->easy;
    text[0] = '\0';

    (void) snprintf(url, sizeof(url), strchr(host, ':') ? "https://[%s]:%s/"
                                                        : "https://%s:%s/",
                    host, port);

    (void) curl_easy_setopt(easy, CURLOPT_URL, url);
    (void) curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    (void) curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
    (void) curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, text);
    (void) curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long) tls->wait);

    /* as in nginx: the environment chooses no proxy */

    (void) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void) curl_easy_setopt(easy, CURLOPT_NOPROXY, "");

    if (trusted) {
        (void) curl_easy_setopt(easy, CURLOPT_CAINFO, trusted);
        (void) curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }

    rc = curl_easy_perform(easy);

    if (rc == CURLE_OK) {
        rc = curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &tls->fd);
    }

    /* its buffer is the caller's */

    (void) curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);

    return rc;
}


static void
klaviyo_cli_tls_why(CURLcode rc, const char *host, const char *text,
    char *error)
{
    if (rc == CURLE_PEER_FAILED_VERIFICATION && strstr(text, "subject name")) {
        (void) snprintf(error, KLAVIYO_CLI_TLS_ERROR, "its certificate is for "
                        "another name than \"%s\"", host);

    } else if (rc == CURLE_PEER_FAILED_VERIFICATION) {
        (void) snprintf(error, KLAVIYO_CLI_TLS_ERROR, "its certificate is not "
                        "trusted (%s): name a file that has its authority by "
                        "\"--trusted-certificate\"", text);

    } else {
        (void) snprintf(error, KLAVIYO_CLI_TLS_ERROR, "%s",
                        text[0] ? text : curl_easy_strerror(rc));
    }
}


static ssize_t
klaviyo_cli_tls_read(void *data, char *buf, size_t len)
{
    klaviyo_cli_tls_t  *tls = data;

    size_t    n;
    CURLcode  rc;

    for ( ;; ) {
        n = 0;
        rc = curl_easy_recv(tls->easy, buf, len, &n);

        if (rc == CURLE_OK) {
            return (ssize_t) n;
        }

        if (rc != CURLE_AGAIN || klaviyo_cli_tls_poll(tls, POLLIN) != 0) {
            errno = EIO;
            return -1;
        }
    }
}


static ssize_t
klaviyo_cli_tls_write(void *data, const char *buf, size_t len)
{
    klaviyo_cli_tls_t  *tls = data;

    size_t    n;
    CURLcode  rc;

    for ( ;; ) {
        n = 0;
        rc = curl_easy_send(tls->easy, buf, len, &n);

        if (rc == CURLE_OK) {
            return (ssize_t) n;
        }

        /* 0 tells stdio of an error here */

        if (rc != CURLE_AGAIN || klaviyo_cli_tls_poll(tls, POLLOUT) != 0) {
            errno = EIO;
            return 0;
        }
    }
}


static int
klaviyo_cli_tls_poll(klaviyo_cli_tls_t *tls, short events)
{
    struct pollfd  fd;

    fd.fd = tls->fd;
    fd.events = events;

    return poll(&fd, 1, (int) tls->wait * 1000) == 1 ? 0 : -1;
}


static int
klaviyo_cli_tls_close(void *data)
{
    klaviyo_cli_tls_t  *tls = data;

    if (--tls->streams) {
        return 0;
    }

    if (tls->easy) {
        curl_easy_cleanup(tls->easy);
    }

    free(tls);

    return 0;
}

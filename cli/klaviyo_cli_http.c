/*
 * klaviyo-queue: single calls to Klaviyo; see the header.
 */


#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "klaviyo_cli_http.h"


static struct curl_slist *klaviyo_cli_http_headers(
    const klaviyo_cli_account_t *account, unsigned body);
static size_t klaviyo_cli_http_header(char *data, size_t one, size_t len,
    void *http);
static int64_t klaviyo_cli_http_number(const char *line, size_t len,
    const char *name, int64_t was);
static size_t klaviyo_cli_http_body(char *data, size_t one, size_t len,
    void *http);
static klaviyo_cli_http_e klaviyo_cli_http_how(
    const klaviyo_cli_account_t *account, CURLcode rc);


int
klaviyo_cli_http(const klaviyo_cli_account_t *account, const char *path,
    const char *body, klaviyo_cli_http_t *http)
{
    CURL               *easy;
    char                url[4096], text[CURL_ERROR_SIZE];
    long                status;
    CURLcode            rc;
    curl_off_t          us;
    struct curl_slist  *headers;

    memset(http, 0, sizeof(klaviyo_cli_http_t));

    http->limit = -1;
    http->answer.retry_after = -1;
    http->answer.rate_remaining = -1;
    http->answer.rate_reset = -1;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return klaviyo_cli_error("libcurl cannot be used");
    }

    easy = curl_easy_init();
    headers = klaviyo_cli_http_headers(account, body != NULL);

    if (easy == NULL || headers == NULL) {
        return klaviyo_cli_error("no memory");
    }

    (void) snprintf(url, sizeof(url), "%s%s", account->endpoint, path);

    text[0] = '\0';

    (void) curl_easy_setopt(easy, CURLOPT_URL, url);
    (void) curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void) curl_easy_setopt(easy, CURLOPT_USERAGENT,
                            "klaviyo-queue/" KLAVIYO_VERSION);
    (void) curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, text);
    (void) curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                            account->connect_timeout);
    (void) curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, account->total_timeout);

    /* as in nginx: the environment chooses no proxy */

    (void) curl_easy_setopt(easy, CURLOPT_PROXY,
                            account->proxy ? account->proxy : "");
    (void) curl_easy_setopt(easy, CURLOPT_NOPROXY, "");

    if (account->certificate) {
        (void) curl_easy_setopt(easy, CURLOPT_CAINFO, account->certificate);
        (void) curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }

    if (account->unverified) {
        (void) curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void) curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }

    if (body) {
        (void) curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    }

    (void) curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION,
                            klaviyo_cli_http_header);
    (void) curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
    (void) curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION,
                            klaviyo_cli_http_body);
    (void) curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);

    rc = curl_easy_perform(easy);

    status = 0;
    us = 0;

    (void) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void) curl_easy_getinfo(easy, CURLINFO_TOTAL_TIME_T, &us);

    http->ms = (long) (us / 1000);
    http->how = klaviyo_cli_http_how(account, rc);

    if (rc == CURLE_OPERATION_TIMEDOUT
        && curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &us)
           == CURLE_OK
        && us > 0)
    {
        http->how = KLAVIYO_CLI_HTTP_ANSWER;
    }

    if (rc == CURLE_OK) {
        http->answer.status = (unsigned) status;
        http->answer.body = http->body;

    } else {
        (void) snprintf(http->error, sizeof(http->error), "%s",
                        text[0] ? text : curl_easy_strerror(rc));
        http->answer.error = http->error;
        http->answer.body_len = 0;
    }

    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);

    return KLAVIYO_CLI_OK;
}


void
klaviyo_cli_http_free(klaviyo_cli_http_t *http)
{
    klaviyo_reply_free(&http->answer);
    free(http->body);
}


static struct curl_slist *
klaviyo_cli_http_headers(const klaviyo_cli_account_t *account, unsigned body)
{
    char                line[KLAVIYO_CLI_KEY_MAX + 64];
    unsigned            i;
    struct curl_slist  *list, *more;

    static const char  *const fixed[] = {
        "Accept: application/vnd.api+json",
        "Content-Type: application/vnd.api+json"
    };

    (void) snprintf(line, sizeof(line), "Authorization: Klaviyo-API-Key %s",
                    account->key);

    list = curl_slist_append(NULL, line);
    explicit_bzero(line, sizeof(line));

    for (i = 0; list && i < 2 + body + account->strict; i++) {

        if (i == 0) {
            (void) snprintf(line, sizeof(line), "revision: %s",
                            account->revision);

        } else if (i < 2 + body) {
            (void) snprintf(line, sizeof(line), "%s", fixed[i - 1]);

        } else {
            (void) snprintf(line, sizeof(line),
                            "X-Klaviyo-Revision-Fall-Forward-Opt-Out: 1");
        }

        more = curl_slist_append(list, line);

        if (more == NULL) {
            curl_slist_free_all(list);
        }

        list = more;
    }

    return list;
}


static size_t
klaviyo_cli_http_header(char *data, size_t one, size_t len, void *data2)
{
    klaviyo_cli_http_t  *http = data2;
    klaviyo_answer_t    *answer;

    static const char  challenge[] = "cf-mitigated:";

    (void) one;

    answer = &http->answer;

    /* of the last answer, behind a proxy's and those of 100 */

    if (len > 5 && strncmp(data, "HTTP/", 5) == 0) {
        answer->challenge = 0;
        http->limit = -1;
    }

    if (len > sizeof(challenge)
        && strncasecmp(data, challenge, sizeof(challenge) - 1) == 0)
    {
        answer->challenge = 1;
    }

    http->limit = klaviyo_cli_http_number(data, len, "ratelimit-limit:",
                                          http->limit);
    answer->rate_remaining = klaviyo_cli_http_number(data, len,
                                                     "ratelimit-remaining:",
                                                     answer->rate_remaining);
    answer->rate_reset = klaviyo_cli_http_number(data, len,
                                                 "ratelimit-reset:",
                                                 answer->rate_reset);
    answer->retry_after = klaviyo_cli_http_number(data, len, "retry-after:",
                                                  answer->retry_after);

    return len;
}


static int64_t
klaviyo_cli_http_number(const char *line, size_t len, const char *name,
    int64_t was)
{
    char    text[32];
    size_t  n;

    n = strlen(name);

    if (len <= n || strncasecmp(line, name, n) != 0) {
        return was;
    }

    (void) snprintf(text, sizeof(text), "%.*s",
                    (int) (len - n < sizeof(text) ? len - n : sizeof(text)),
                    line + n);

    return strtoll(text, NULL, 10);
}


static size_t
klaviyo_cli_http_body(char *data, size_t one, size_t len, void *data2)
{
    size_t               size;
    uint8_t             *p;
    klaviyo_cli_http_t  *http = data2;

    (void) one;

    size = http->answer.body_len + len;

    if (size > KLAVIYO_CLI_HTTP_MAX) {
        http->answer.body_cut = 1;
        return len;
    }

    if (size > http->size) {
        p = realloc(http->body, 2 * size);

        if (p == NULL) {
            return 0;
        }

        http->body = p;
        http->size = 2 * size;
    }

    memcpy(http->body + http->answer.body_len, data, len);
    http->answer.body_len = size;

    return len;
}


static klaviyo_cli_http_e
klaviyo_cli_http_how(const klaviyo_cli_account_t *account, CURLcode rc)
{
    switch (rc) {

    case CURLE_OK:
        return KLAVIYO_CLI_HTTP_OK;

    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return KLAVIYO_CLI_HTTP_DNS;

    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
        return KLAVIYO_CLI_HTTP_TLS;

    case CURLE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_RECV_ERROR:
        return account->proxy ? KLAVIYO_CLI_HTTP_PROXY
                              : KLAVIYO_CLI_HTTP_CONNECT;

    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return KLAVIYO_CLI_HTTP_ANSWER;

    default:
        return KLAVIYO_CLI_HTTP_CONNECT;
    }
}

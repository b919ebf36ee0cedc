/*
 * Single calls to Klaviyo, by the endpoint, the proxy, the certificates and
 * the key of an account; the module's own transport is nginx's.
 */


#ifndef KLAVIYO_CLI_HTTP_H
#define KLAVIYO_CLI_HTTP_H


#include "delivery/klaviyo_reply.h"
#include "klaviyo_cli_conf.h"


#define KLAVIYO_CLI_HTTP_MAX  (8 * 1024 * 1024)   /* bytes kept of a body   */


typedef enum {
    KLAVIYO_CLI_HTTP_OK = 0,     /* there is an answer, whatever it says    */
    KLAVIYO_CLI_HTTP_DNS,        /* how far it came                         */
    KLAVIYO_CLI_HTTP_PROXY,
    KLAVIYO_CLI_HTTP_CONNECT,
    KLAVIYO_CLI_HTTP_TLS,
    KLAVIYO_CLI_HTTP_ANSWER
} klaviyo_cli_http_e;


typedef struct {
    klaviyo_answer_t     answer;
    klaviyo_cli_http_e   how;
    int64_t              limit;  /* RateLimit-Limit; -1: none               */
    long                 ms;     /* that all of it took                     */
    char                 error[256];
    uint8_t             *body;
    size_t               size;
} klaviyo_cli_http_t;


/*
 * `body` NULL: a GET.  `path` begins with a slash and needs no escapes.
 * CANNOT, already told, without libcurl or memory; else OK and the answer, to
 * be freed.
 */
int klaviyo_cli_http(const klaviyo_cli_account_t *account, const char *path,
    const char *body, klaviyo_cli_http_t *http);
void klaviyo_cli_http_free(klaviyo_cli_http_t *http);


#endif /* KLAVIYO_CLI_HTTP_H */

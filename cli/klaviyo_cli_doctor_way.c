/*
 * klaviyo-queue doctor: the way to Klaviyo, and what Klaviyo says, by two
 * calls that change nothing: whose key it is, and an event without content,
 * which can only be refused.
 */


#define _GNU_SOURCE
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include <jansson.h>

#include "klaviyo_cli_doctor.h"
#include "klaviyo_cli_http.h"


#define KLAVIYO_CLI_EMPTY  "{\"data\":{\"type\":\"event\",\"attributes\":{}}}"


static int klaviyo_cli_way_dns(klaviyo_cli_doctor_t *doctor);
static int klaviyo_cli_way_host(const char *url, char *host, size_t size,
    char *port);
static int klaviyo_cli_way_there(klaviyo_cli_doctor_t *doctor,
    const klaviyo_cli_http_t *http);
static int klaviyo_cli_way_key(klaviyo_cli_doctor_t *doctor,
    klaviyo_cli_http_t *http);
static void klaviyo_cli_way_company(klaviyo_cli_doctor_t *doctor,
    const klaviyo_cli_http_t *http);
static void klaviyo_cli_way_scope(klaviyo_cli_doctor_t *doctor,
    klaviyo_cli_http_t *http);
static void klaviyo_cli_way_limits(klaviyo_cli_doctor_t *doctor,
    const klaviyo_cli_http_t *http);
static klaviyo_state_e klaviyo_cli_way_state(klaviyo_cli_http_t *http);
static void klaviyo_cli_way_wrong(klaviyo_cli_doctor_t *doctor,
    const char *check, klaviyo_cli_http_t *http);


int
klaviyo_cli_doctor_way(klaviyo_cli_doctor_t *doctor)
{
    int                 known;
    klaviyo_cli_http_t  whose, event;

    if (!klaviyo_cli_way_dns(doctor)) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_UNKNOWN, "Klaviyo",
                          "not asked: it cannot be found");
        return KLAVIYO_CLI_OK;
    }

    if (klaviyo_cli_http(doctor->account, "/api/accounts", NULL, &whose)
        != KLAVIYO_CLI_OK)
    {
        return KLAVIYO_CLI_CANNOT;
    }

    known = klaviyo_cli_way_there(doctor, &whose)
            ? klaviyo_cli_way_key(doctor, &whose) : 0;

    klaviyo_cli_http_free(&whose);

    if (!known) {
        return KLAVIYO_CLI_OK;
    }

    if (klaviyo_cli_http(doctor->account, "/api/events", KLAVIYO_CLI_EMPTY,
                         &event)
        != KLAVIYO_CLI_OK)
    {
        return KLAVIYO_CLI_CANNOT;
    }

    if (event.how == KLAVIYO_CLI_HTTP_OK) {
        klaviyo_cli_way_scope(doctor, &event);
        klaviyo_cli_way_limits(doctor, &event);

    } else {
        klaviyo_cli_way_wrong(doctor, "scopes", &event);
    }

    klaviyo_cli_http_free(&event);

    return KLAVIYO_CLI_OK;
}


/* of the proxy, if there is one, which looks up the rest itself; 1: found */

static int
klaviyo_cli_way_dns(klaviyo_cli_doctor_t *doctor)
{
    int               rc, n;
    char              host[256], port[8], address[NI_MAXHOST];
    int64_t           began;
    const char       *url;
    struct addrinfo   hints, *list, *ai;

    url = doctor->account->proxy ? doctor->account->proxy
                                 : doctor->account->endpoint;

    if (!klaviyo_cli_way_host(url, host, sizeof(host), port)) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "DNS",
                          "\"%s\" names no host", url);
        return 0;
    }

    memset(&hints, 0, sizeof(struct addrinfo));

    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;

    began = klaviyo_cli_now();
    rc = getaddrinfo(host, port, &hints, &list);

    if (rc != 0) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "DNS",
                          "\"%s\" has no address (%s): check the network and "
                          "/etc/resolv.conf", host, gai_strerror(rc));
        return 0;
    }

    n = 0;

    for (ai = list; ai; ai = ai->ai_next) {
        n++;
    }

    if (getnameinfo(list->ai_addr, list->ai_addrlen, address,
                    sizeof(address), NULL, 0, NI_NUMERICHOST)
        != 0)
    {
        address[0] = '\0';
    }

    freeaddrinfo(list);

    klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "DNS",
                      "\"%s\" is %s%s, found in %" PRId64 " ms", host, address,
                      n > 1 ? " and others" : "", klaviyo_cli_now() - began);

    return 1;
}


static int
klaviyo_cli_way_host(const char *url, char *host, size_t size, char *port)
{
    size_t       len;
    const char  *p, *at;

    p = strstr(url, "://");
    p = p ? p + 3 : url;

    len = strcspn(p, "/");
    at = memrchr(p, '@', len);

    if (at) {
        len -= (size_t) (at + 1 - p);
        p = at + 1;
    }

    if (*p == '[') {
        p++;
        len = strcspn(p, "]");

    } else {
        len = strcspn(p, ":/");
    }

    if (len == 0 || len >= size) {
        return 0;
    }

    memcpy(host, p, len);
    host[len] = '\0';

    p += len + (p[len] == ']');

    (void) snprintf(port, 8, "%.5s", *p == ':'
                    ? p + 1 : strncasecmp(url, "http://", 7) ? "443" : "80");

    port[strspn(port, "0123456789")] = '\0';

    return 1;
}


/* 1: there is an answer */

static int
klaviyo_cli_way_there(klaviyo_cli_doctor_t *doctor,
    const klaviyo_cli_http_t *http)
{
    unsigned                tls;
    klaviyo_cli_account_t  *account;

    account = doctor->account;
    tls = (strncasecmp(account->endpoint, "https://", 8) == 0);

    if (http->how == KLAVIYO_CLI_HTTP_DNS
        || http->how == KLAVIYO_CLI_HTTP_CONNECT)
    {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT,
                          account->proxy ? "proxy" : "connection",
                          "Klaviyo cannot be reached at %s%s%s: %s; check the "
                          "network, a firewall and \"proxy\"",
                          account->endpoint, account->proxy ? " through " : "",
                          account->proxy ? account->proxy : "", http->error);
        goto unknown;
    }

    if (http->how == KLAVIYO_CLI_HTTP_PROXY) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "proxy", "%s: %s",
                          account->proxy, http->error);
        goto unknown;
    }

    if (account->proxy) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "proxy",
                          "%s lets it through", account->proxy);
    }

    if (http->how == KLAVIYO_CLI_HTTP_TLS) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "TLS",
                          "%s; somebody in between, a wrong clock, or no "
                          "certificates (\"ssl_trusted_certificate\", the "
                          "package ca-certificates)", http->error);
        goto unknown;
    }

    if (!tls) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_NOTE, "TLS",
                          "none, to %s", account->endpoint);

    } else if (account->unverified) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "TLS",
                          "\"ssl_verify\" is off: whoever is in between gets "
                          "the key");

    } else {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "TLS",
                          "%s has a certificate that is trusted",
                          account->endpoint);
    }

    if (http->how == KLAVIYO_CLI_HTTP_ANSWER) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "connection",
                          "%s takes it and does not answer: %s",
                          account->endpoint, http->error);
        goto unknown;
    }

    klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "connection",
                      "an answer in %ld ms", http->ms);

    return 1;

unknown:

    klaviyo_cli_found(doctor, KLAVIYO_CLI_UNKNOWN, "key",
                      "not known without an answer");

    return 0;
}


/* 1: it is one, as far as this tells */

static int
klaviyo_cli_way_key(klaviyo_cli_doctor_t *doctor, klaviyo_cli_http_t *http)
{
    if (klaviyo_reply_verdict(&http->answer) == KLAVIYO_REPLY_ACCEPTED) {
        klaviyo_cli_way_company(doctor, http);
        return 1;
    }

    /* it need not be allowed to read accounts: the event tells */

    if (klaviyo_cli_way_state(http) == KLAVIYO_STATE_SCOPE_MISSING) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_NOTE, "key",
                          "Klaviyo does not say whose it is, without the scope "
                          "\"accounts:read\", which is not needed");
        return 1;
    }

    klaviyo_cli_way_wrong(doctor, "key", http);

    return 0;
}


static void
klaviyo_cli_way_company(klaviyo_cli_doctor_t *doctor,
    const klaviyo_cli_http_t *http)
{
    json_t      *root, *data;
    const char  *id, *company;

    root = json_loadb((const char *) http->answer.body, http->answer.body_len,
                      0, NULL);
    data = json_array_get(json_object_get(root, "data"), 0);
    id = json_string_value(json_object_get(data, "id"));
    company = doctor->account->company;

    if (id == NULL) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "key",
                          "what answers at %s is no Klaviyo",
                          doctor->account->endpoint);

    } else if (company && strcasecmp(company, id) != 0) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "key",
                          "it is of the account \"%s\", and \"company\" says "
                          "\"%s\"", id, company);

    } else {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "key",
                          "of the account \"%s\"", id);
    }

    json_decref(root);
}


static void
klaviyo_cli_way_scope(klaviyo_cli_doctor_t *doctor, klaviyo_cli_http_t *http)
{
    klaviyo_cli_account_t  *account;

    account = doctor->account;

    switch (klaviyo_reply_verdict(&http->answer)) {

    case KLAVIYO_REPLY_ACCEPTED:
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "scopes",
                          "what answers at %s takes an event without content: "
                          "it is no Klaviyo", account->endpoint);
        return;

    case KLAVIYO_REPLY_REFUSED:
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "scopes",
                          "\"events:write\": an event without content was "
                          "refused for what it is");
        break;

    case KLAVIYO_REPLY_THROTTLED:
        klaviyo_cli_found(doctor, KLAVIYO_CLI_UNKNOWN, "scopes",
                          "Klaviyo throttles the key");
        break;

    default:
        klaviyo_cli_way_wrong(doctor, "scopes", http);
        return;
    }

    klaviyo_cli_found(doctor, strcmp(account->revision, KLAVIYO_REVISION) < 0
                              ? KLAVIYO_CLI_NOTE : KLAVIYO_CLI_WELL,
                      "revision", "%s is taken%s", account->revision,
                      strcmp(account->revision, KLAVIYO_REVISION) < 0
                      ? ", a newer one is " KLAVIYO_REVISION : "");
}


static void
klaviyo_cli_way_limits(klaviyo_cli_doctor_t *doctor,
    const klaviyo_cli_http_t *http)
{
    const klaviyo_answer_t  *answer;

    answer = &http->answer;

    if (answer->status == 429) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, "limits",
                          "%s, for %" PRId64 " s more: %s",
                          klaviyo_state_names[KLAVIYO_STATE_THROTTLED].what,
                          answer->retry_after,
                          klaviyo_state_names[KLAVIYO_STATE_THROTTLED].todo);

    } else if (answer->rate_remaining >= 0) {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_WELL, "limits",
                          "%" PRId64 " of %" PRId64 " requests with one event "
                          "are left for the next %" PRId64 " s",
                          answer->rate_remaining, http->limit,
                          answer->rate_reset);

    } else {
        klaviyo_cli_found(doctor, KLAVIYO_CLI_NOTE, "limits",
                          "Klaviyo did not tell");
    }
}


/* as the deliverer sees it */

static klaviyo_state_e
klaviyo_cli_way_state(klaviyo_cli_http_t *http)
{
    char  title[KLAVIYO_REPLY_TITLE], detail[KLAVIYO_REPLY_DETAIL];
    char  pointer[KLAVIYO_REPLY_POINTER];

    switch (klaviyo_reply_verdict(&http->answer)) {

    case KLAVIYO_REPLY_NONE:
        return KLAVIYO_STATE_UNREACHABLE;

    case KLAVIYO_REPLY_THROTTLED:
        return KLAVIYO_STATE_THROTTLED;

    case KLAVIYO_REPLY_PASSING:
        return http->answer.challenge ? KLAVIYO_STATE_CHALLENGE
                                      : KLAVIYO_STATE_SERVER_ERROR;

    default:
        break;
    }

    if (http->answer.status == 401) {
        return KLAVIYO_STATE_KEY_REFUSED;
    }

    if (http->answer.status != 403) {
        return KLAVIYO_STATE_ENDPOINT_WRONG;
    }

    return klaviyo_reply_show(&http->answer, title, detail, pointer)
           ? KLAVIYO_STATE_SCOPE_MISSING : KLAVIYO_STATE_CHALLENGE;
}


static void
klaviyo_cli_way_wrong(klaviyo_cli_doctor_t *doctor, const char *check,
    klaviyo_cli_http_t *http)
{
    char             words[256];
    klaviyo_state_e  state;

    state = klaviyo_cli_way_state(http);

    klaviyo_reply_text(&http->answer, words, sizeof(words));

    switch (state) {

    case KLAVIYO_STATE_CHALLENGE:
        check = "firewall";
        break;

    case KLAVIYO_STATE_SERVER_ERROR:
        check = "Klaviyo";
        break;

    case KLAVIYO_STATE_THROTTLED:
        check = "limits";
        break;

    case KLAVIYO_STATE_ENDPOINT_WRONG:
        check = "revision";
        break;

    default:
        break;
    }

    klaviyo_cli_found(doctor, KLAVIYO_CLI_FAULT, check, "%s (%s): %s",
                      klaviyo_state_names[state].what, words,
                      klaviyo_state_names[state].todo);
}

/*
 * klaviyo-queue: the server and the location of a line; see the header.
 */


#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture/klaviyo_decode.h"
#include "klaviyo_cli.h"
#include "klaviyo_cli_place.h"


#define KLAVIYO_CLI_RULES_LIMIT  100000      /* steps of an expression       */


static int klaviyo_cli_rules_has(const klaviyo_cli_scope_t *scope);
static klaviyo_cli_scope_t *klaviyo_cli_rules_server(
    klaviyo_cli_rules_t *rules, klaviyo_cli_place_t *place,
    const klaviyo_slice_t *host);
static int klaviyo_cli_rules_host(klaviyo_cli_place_t *place,
    const klaviyo_cli_host_t *name, const klaviyo_slice_t *host);
static int klaviyo_cli_rules_location(klaviyo_cli_place_t *place,
    klaviyo_cli_scope_t *scope);
static int klaviyo_cli_rules_matches(klaviyo_cli_place_t *place,
    const pcre2_code *regex, const klaviyo_slice_t *subject);
static int klaviyo_cli_rules_path(klaviyo_cli_place_t *place,
    const klaviyo_slice_t *uri);


int
klaviyo_cli_rules_find(klaviyo_cli_rules_t *rules,
    klaviyo_cli_place_t *place, const klaviyo_slice_t *uri,
    const klaviyo_slice_t *host)
{
    unsigned  i;

    for (i = 0; i < place->n; i++) {
        pcre2_match_data_free(place->match[i].data);
    }

    place->n = 0;

    if (!klaviyo_cli_rules_path(place, uri)) {
        return -1;
    }

    place->server = klaviyo_cli_rules_server(rules, place, host);

    if (place->server == NULL) {
        return 0;
    }

    place->scope = place->server;
    (void) klaviyo_cli_rules_location(place, place->server);

    return 1;
}


/*
 * The first of the host that has rules: one that leads to another, as from
 * http to https, has none.  Without a host there is one to choose from.
 */

static klaviyo_cli_scope_t *
klaviyo_cli_rules_server(klaviyo_cli_rules_t *rules,
    klaviyo_cli_place_t *place, const klaviyo_slice_t *host)
{
    unsigned              i, j, best;
    klaviyo_cli_scope_t  *server, *found, *only;

    /* a map may have none */

    if (rules->http.children == 0) {
        return &rules->http;
    }

    found = NULL;
    only = NULL;
    best = 0;

    for (i = 0; i < rules->http.children; i++) {
        server = rules->http.child[i];

        if (!rules->http.rules && !klaviyo_cli_rules_has(server)) {
            continue;
        }

        if (only == NULL) {
            only = server;
        }

        for (j = 0; host->len && j < server->hosts; j++) {
            unsigned  rank;

            rank = (unsigned) klaviyo_cli_rules_host(place, &server->host[j],
                                                     host);
            if (rank > best) {
                best = rank;
                found = server;
            }
        }
    }

    if (found) {
        return found;
    }

    /* what no server names is the default server's, if that is known */

    return (host->len == 0 || klaviyo_cli_rules_servers(rules) == 1) ? only
                                                                     : NULL;
}


/* 0: it is another; the greater, the more exact */

static int
klaviyo_cli_rules_host(klaviyo_cli_place_t *place,
    const klaviyo_cli_host_t *name, const klaviyo_slice_t *host)
{
    size_t       len, rest;
    const char  *text;

    text = name->name;
    len = strlen(text);

    if (name->regex) {
        return klaviyo_cli_rules_matches(place, name->regex, host) ? 1 : 0;
    }

    if (len == host->len
        && strncasecmp(text, (const char *) host->data, len) == 0)
    {
        return 4;
    }

    if (text[0] == '.' && len - 1 == host->len
        && strncasecmp(text + 1, (const char *) host->data, host->len) == 0)
    {
        return 4;
    }

    if (text[0] == '*' || text[0] == '.') {
        text += (text[0] == '*');
        rest = strlen(text);

        return (host->len > rest
                && strncasecmp((const char *) host->data + host->len - rest,
                               text, rest) == 0)
               ? 3 : 0;
    }

    if (len > 2 && strcmp(text + len - 2, ".*") == 0) {
        return (host->len > len - 1
                && strncasecmp((const char *) host->data, text, len - 1) == 0)
               ? 2 : 0;
    }

    return 0;
}


/*
 * As nginx does: the longest prefix, what is nested in it, then expressions
 * in their order, unless `^~` or `=` say otherwise.  1: that is final.
 */

static int
klaviyo_cli_rules_location(klaviyo_cli_place_t *place,
    klaviyo_cli_scope_t *scope)
{
    size_t                len, longest;
    unsigned              i;
    klaviyo_cli_scope_t  *child, *best;

    best = NULL;
    longest = 0;

    for (i = 0; i < scope->children; i++) {
        child = scope->child[i];

        if (child->kind == KLAVIYO_CLI_SCOPE_REGEX
            || child->kind == KLAVIYO_CLI_SCOPE_NAMED)
        {
            continue;
        }

        len = strlen(child->name);

        if (len > place->path.len
            || memcmp(child->name, place->path.data, len) != 0)
        {
            continue;
        }

        if (child->kind == KLAVIYO_CLI_SCOPE_EXACT) {

            if (len == place->path.len) {
                place->scope = child;
                return 1;
            }

            continue;
        }

        if (best == NULL || len > longest) {
            best = child;
            longest = len;
        }
    }

    if (best) {
        place->scope = best;

        if (klaviyo_cli_rules_location(place, best)) {
            return 1;
        }

        if (best->kind == KLAVIYO_CLI_SCOPE_FIRST) {
            return 0;
        }
    }

    for (i = 0; i < scope->children; i++) {
        child = scope->child[i];

        if (child->kind == KLAVIYO_CLI_SCOPE_REGEX
            && klaviyo_cli_rules_matches(place, child->regex, &place->path))
        {
            place->scope = child;
            (void) klaviyo_cli_rules_location(place, child);
            return 1;
        }
    }

    return 0;
}


static int
klaviyo_cli_rules_matches(klaviyo_cli_place_t *place, const pcre2_code *regex,
    const klaviyo_slice_t *subject)
{
    int                   n;
    klaviyo_cli_match_t  *match;

    static pcre2_match_context  *limits;

    if (limits == NULL) {
        limits = pcre2_match_context_create(NULL);

        if (limits == NULL) {
            exit(klaviyo_cli_error("no memory"));
        }

        (void) pcre2_set_match_limit(limits, KLAVIYO_CLI_RULES_LIMIT);
    }

    if (place->n == KLAVIYO_CLI_RULES_REGEX) {
        return 0;
    }

    match = &place->match[place->n];

    match->data = pcre2_match_data_create_from_pattern(regex, NULL);

    if (match->data == NULL) {
        exit(klaviyo_cli_error("no memory"));
    }

    n = pcre2_match(regex, subject->data, subject->len, 0, 0, match->data,
                    limits);

    if (n < 0) {
        pcre2_match_data_free(match->data);
        return 0;
    }

    match->regex = regex;
    match->subject = subject->data;
    match->n = n;
    place->n++;

    return 1;
}


/*
 * The path as nginx has it in $uri: decoded, `//` as one, `.` and `..` taken
 * out.  0: it leaves the root, or has a NUL.
 */

static int
klaviyo_cli_rules_path(klaviyo_cli_place_t *place, const klaviyo_slice_t *uri)
{
    size_t          n, len;
    uint8_t         *to, *segment;
    const uint8_t   *p, *last, *end;

    p = uri->data;
    last = p + uri->len;

    end = memchr(p, '#', uri->len);

    if (end) {
        last = end;
    }

    end = memchr(p, '?', (size_t) (last - p));

    place->args.data = end ? end + 1 : last;
    place->args.len = (size_t) (last - place->args.data);

    len = (size_t) ((end ? end : last) - p);

    if (len >= sizeof(place->buf)) {
        return 0;
    }

    len = klaviyo_decode_percent(place->buf, p, len);

    if (memchr(place->buf, '\0', len)) {
        return 0;
    }

    to = place->buf;
    p = place->buf;
    last = p + len;

    while (p < last) {

        /* at a slash */

        while (p < last && *p == '/') {
            p++;
        }

        for (end = p; end < last && *end != '/'; end++) { /* void */ }

        n = (size_t) (end - p);

        if (n == 2 && p[0] == '.' && p[1] == '.') {
            segment = memrchr(place->buf, '/', (size_t) (to - place->buf));

            if (segment == NULL) {
                return 0;
            }

            to = segment;

            if (end == last) {
                *to++ = '/';
            }

        } else if (n == 1 && p[0] == '.') {

            if (end == last) {
                *to++ = '/';
            }

        } else {
            *to++ = '/';
            memmove(to, p, n);
            to += n;
        }

        p = end;
    }

    place->path.data = place->buf;
    place->path.len = (size_t) (to - place->buf);

    return place->path.len != 0;
}


klaviyo_cli_scope_t *
klaviyo_cli_rules_of(klaviyo_cli_scope_t *scope)
{
    for ( /* void */ ; scope; scope = scope->parent) {

        if (scope->rules) {
            return scope;
        }

        if (scope->off) {
            return NULL;
        }
    }

    return NULL;
}


static int
klaviyo_cli_rules_has(const klaviyo_cli_scope_t *scope)
{
    unsigned  i;

    if (scope->rules) {
        return 1;
    }

    for (i = 0; i < scope->children; i++) {
        if (klaviyo_cli_rules_has(scope->child[i])) {
            return 1;
        }
    }

    return 0;
}


unsigned
klaviyo_cli_rules_servers(const klaviyo_cli_rules_t *rules)
{
    unsigned  i, n;

    n = 0;

    for (i = 0; i < rules->http.children; i++) {
        n += (rules->http.rules
              || klaviyo_cli_rules_has(rules->http.child[i]));
    }

    return n;
}

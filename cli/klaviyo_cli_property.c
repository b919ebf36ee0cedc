/*
 * klaviyo-queue: properties of events; see the header.
 */


#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "capture/klaviyo_decode.h"
#include "json/klaviyo_value.h"
#include "klaviyo_cli_property.h"


#define KLAVIYO_CLI_EVENT_UTM      20


static void klaviyo_cli_event_defaults(klaviyo_json_t *json,
    klaviyo_cli_maker_t *maker, const klaviyo_cli_person_t *seen);
static void klaviyo_cli_event_utm(klaviyo_json_t *json,
    klaviyo_cli_maker_t *maker, const klaviyo_cli_person_t *seen);
static int klaviyo_cli_event_url(klaviyo_cli_maker_t *maker,
    klaviyo_slice_t *url);
static void klaviyo_cli_event_strip(klaviyo_cli_maker_t *maker,
    klaviyo_slice_t *url);


void
klaviyo_cli_event_properties(klaviyo_json_t *json, klaviyo_cli_maker_t *maker,
    const klaviyo_cli_rule_t *rule)
{
    unsigned                      i;
    klaviyo_slice_t               value;
    klaviyo_cli_scope_t          *scope;
    const klaviyo_cli_members_t  *members;

    static klaviyo_cli_person_t   seen;

    seen.n = 0;

    klaviyo_json_literal(json, "\"properties\":{");

    members = &rule->property;
    scope = maker->place->scope;

    for ( ;; ) {

        for (i = 0; i < members->n; i++) {

            if (klaviyo_cli_seen(&seen, members->member[i].name)
                || seen.n == KLAVIYO_PROPERTIES_MAX)
            {
                continue;
            }

            seen.member[seen.n++].name = members->member[i].name;

            if (klaviyo_cli_expand(maker, members->member[i].value, &value)) {
                klaviyo_cli_event_member(json, maker,
                                         members->member[i].name,
                                         members->member[i].type, &value);
            }
        }

        if (scope == NULL) {
            break;
        }

        members = &scope->property;
        scope = scope->parent;
    }

    klaviyo_cli_inherited(maker->place->scope, scope, defaults, -1);

    if (scope->defaults) {
        klaviyo_cli_event_defaults(json, maker, &seen);
        klaviyo_cli_event_utm(json, maker, &seen);
    }

    klaviyo_json_literal(json, "}");
}


static void
klaviyo_cli_event_defaults(klaviyo_json_t *json, klaviyo_cli_maker_t *maker,
    const klaviyo_cli_person_t *seen)
{
    char             status[8];
    unsigned         i;
    klaviyo_slice_t  value[6];

    static const char *const  names[] = { "URL", "Path", "Method", "Status",
                                          "Referrer", "UserAgent" };

    if (!klaviyo_cli_event_url(maker, &value[0])) {
        value[0].len = 0;
    }

    value[1] = maker->log->uri;
    value[1].len = (size_t) (maker->place->args.data - value[1].data);
    value[1].len -= (value[1].len && value[1].data[value[1].len - 1] == '?');

    value[2] = maker->log->method;

    value[3].data = (const uint8_t *) status;
    value[3].len = (size_t) snprintf(status, sizeof(status), "%u",
                                     maker->log->status % 1000);

    if (!klaviyo_cli_get(maker, "http_referer", &value[4])) {
        value[4].len = 0;
    }

    klaviyo_cli_event_strip(maker, &value[4]);

    if (!klaviyo_cli_get(maker, "http_user_agent", &value[5])) {
        value[5].len = 0;
    }

    for (i = 0; i < 6; i++) {

        if (!klaviyo_cli_seen(seen, names[i])) {
            klaviyo_cli_event_member(json, maker, names[i],
                                     i == 3 ? KLAVIYO_VALUE_NUMBER
                                            : KLAVIYO_VALUE_STRING,
                                     &value[i]);
        }
    }
}


static void
klaviyo_cli_event_utm(klaviyo_json_t *json, klaviyo_cli_maker_t *maker,
    const klaviyo_cli_person_t *seen)
{
    char             names[KLAVIYO_CLI_EVENT_UTM][32];
    size_t           i, len;
    uint8_t         *p;
    unsigned         n, j;
    const uint8_t   *start, *last, *end, *equal;
    klaviyo_slice_t  value;

    start = maker->place->args.data;
    last = start + maker->place->args.len;

    for (n = 0; start < last && n < KLAVIYO_CLI_EVENT_UTM; start = end + 1) {
        end = memchr(start, '&', (size_t) (last - start));
        end = end ? end : last;
        equal = memchr(start, '=', (size_t) (end - start));

        if (equal == NULL || end - equal < 2
            || equal - start < 5 || equal - start > 31
            || memcmp(start, "utm_", 4) != 0
            || (equal - start == 9 && memcmp(start, "utm_email", 9) == 0))
        {
            continue;
        }

        len = (size_t) (equal - start);

        for (i = 0; i < len; i++) {
            if (!islower(start[i]) && !isdigit(start[i]) && start[i] != '_') {
                break;
            }
        }

        if (i < len) {
            continue;
        }

        memcpy(names[n], start, len);
        names[n][len] = '\0';

        for (j = 0; j < n && strcmp(names[j], names[n]) != 0; j++) {
            /* void */
        }

        p = klaviyo_cli_text(maker, (size_t) (end - equal));

        if (j < n || p == NULL || klaviyo_cli_seen(seen, names[n])) {
            continue;
        }

        memcpy(p, equal + 1, (size_t) (end - equal - 1));

        value.data = p;
        value.len = (size_t) (end - equal - 1);

        for (i = 0; i < value.len; i++) {
            p[i] = (p[i] == '+') ? ' ' : p[i];
        }

        value.len = klaviyo_decode_percent(p, p, value.len);

        klaviyo_cli_event_member(json, maker, names[n], KLAVIYO_VALUE_STRING,
                                 &value);
        n++;
    }
}


/*
 * A client names any host: only those of the server get into a URL, for any
 * other the first one that is a host stands there.
 */

static int
klaviyo_cli_event_url(klaviyo_cli_maker_t *maker, klaviyo_slice_t *url)
{
    size_t                      len;
    uint8_t                    *p;
    unsigned                    i, pinned;
    const char                 *name, *found;
    klaviyo_slice_t             scheme, host, uri;
    const klaviyo_cli_scope_t  *server;

    server = maker->place->server;
    host = maker->log->host;
    found = NULL;
    pinned = 0;

    for (i = 0; i < server->hosts; i++) {
        name = server->host[i].name;

        if (name[0] == '\0' || strcmp(name, "_") == 0) {
            continue;
        }

        pinned = 1;

        if (host.len == strlen(name)
            && strncasecmp(name, (const char *) host.data, host.len) == 0)
        {
            break;
        }

        name += (name[0] == '*');
        len = strlen(name);

        if (name[0] == '.' && host.len >= len
            && strncasecmp(name, (const char *) host.data + host.len - len,
                           len) == 0)
        {
            break;
        }

        name += (name[0] == '.');

        if (found == NULL && name[0] != '~' && strchr(name, '*') == NULL) {
            found = name;
        }
    }

    if (pinned && i == server->hosts) {

        if (found == NULL) {
            return 0;
        }

        host.data = (const uint8_t *) found;
        host.len = strlen(found);
    }

    if (host.len == 0) {
        return 0;
    }

    if (!klaviyo_cli_get(maker, "scheme", &scheme) || scheme.len == 0) {
        scheme.data = (const uint8_t *) "https";
        scheme.len = 5;
    }

    uri = maker->log->uri;
    klaviyo_cli_event_strip(maker, &uri);

    p = klaviyo_cli_text(maker, scheme.len + 3 + host.len + uri.len);

    if (p == NULL) {
        return 0;
    }

    url->data = p;
    url->len = scheme.len + 3 + host.len + uri.len;

    memcpy(p, scheme.data, scheme.len);
    memcpy(p + scheme.len, "://", 3);
    memcpy(p + scheme.len + 3, host.data, host.len);
    memcpy(p + scheme.len + 3 + host.len, uri.data, uri.len);

    return 1;
}


/* without the arguments that tell who somebody is, in URLs within it too */

static void
klaviyo_cli_event_strip(klaviyo_cli_maker_t *maker, klaviyo_slice_t *url)
{
    size_t          n, len, plain;
    uint8_t         mark, *to, *text, *start;
    unsigned        i, tells;
    const uint8_t  *p, *last, *end;

    static const char *const  names[] = { "_kx", "_ke", "utm_email", NULL };

    p = url->len ? memchr(url->data, '?', url->len) : NULL;

    if (p == NULL) {
        return;
    }

    last = url->data + url->len;
    end = memchr(p, '#', (size_t) (last - p));
    last = end ? end : last;

    start = klaviyo_cli_text(maker, url->len);
    text = klaviyo_cli_text(maker, url->len);

    if (start == NULL || text == NULL) {
        url->len = (size_t) (p - url->data);
        return;
    }

    to = start;
    mark = '?';
    len = (size_t) (p - url->data);
    memcpy(to, url->data, len);
    to += len;

    for (p++; p < last; p = end + 1) {
        end = memchr(p, '&', (size_t) (last - p));
        end = end ? end : last;
        len = (size_t) (end - p);

        /* what is encoded several times, decoded to its end */

        plain = klaviyo_decode_percent(text, p, len);

        for (i = 0; i < 4 && memchr(text, '%', plain); i++) {
            plain = klaviyo_decode_percent(text, text, plain);
        }

        tells = 0;

        for (i = 0; names[i]; i++) {
            n = strlen(names[i]);

            tells |= (plain >= n && memcmp(text, names[i], n) == 0
                      && (plain == n || text[n] == '='));
            tells |= (memmem(text, plain, names[i], n) != NULL
                      && memchr(text, '?', plain) != NULL);
        }

        if (!tells && len) {
            *to++ = mark;
            memcpy(to, p, len);
            to += len;
            mark = '&';
        }
    }

    url->data = start;
    url->len = (size_t) (to - start);
}

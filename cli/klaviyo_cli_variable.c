/*
 * klaviyo-queue: variables of a line; see the header.
 */


#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "capture/klaviyo_decode.h"
#include "klaviyo_cli_variable.h"


static int klaviyo_cli_captured(klaviyo_cli_maker_t *maker, const char *name,
    size_t len, klaviyo_slice_t *value);


/* 1: the value, be it empty; 0: a variable of it is not in the line */

int
klaviyo_cli_expand(klaviyo_cli_maker_t *maker, const char *template,
    klaviyo_slice_t *value)
{
    size_t           len, name_len;
    uint8_t         *to;
    const char      *p, *name;
    klaviyo_slice_t  piece;

    value->data = (const uint8_t *) template;
    value->len = strlen(template);

    p = strchr(template, '$');

    if (p == NULL) {
        return 1;
    }

    value->len = 0;
    value->data = maker->text + maker->used;

    for (p = template; *p; p = name + name_len) {
        len = strcspn(p, "$");
        name = p + len;
        name_len = 0;

        to = len ? klaviyo_cli_text(maker, len) : NULL;

        if (to) {
            memcpy(to, p, len);
            value->len += len;
        }

        if (*name == '\0') {
            break;
        }

        name++;

        if (*name == '{') {
            name++;
            name_len = strcspn(name, "}");

        } else if (*name >= '1' && *name <= '9') {
            name_len = 1;

        } else {
            while (isalnum((unsigned char) name[name_len])
                   || name[name_len] == '_')
            {
                name_len++;
            }
        }

        if (name_len == 0) {
            continue;
        }

        if (!klaviyo_cli_variable(maker, name, name_len, &piece)) {
            maker->lacking = name;
            maker->lacking_len = name_len;
            return 0;
        }

        /* a variable alone is where it is */

        if (value->len == 0
            && (name[name_len] == '\0'
                || (name[name_len] == '}' && name[name_len + 1] == '\0')))
        {
            *value = piece;
            return 1;
        }

        /* what made the piece may stand where the value is to go on */

        if (value->data + value->len != maker->text + maker->used) {
            to = klaviyo_cli_text(maker, value->len);

            if (to == NULL) {
                return 0;
            }

            memmove(to, value->data, value->len);
            value->data = to;
        }

        to = piece.len ? klaviyo_cli_text(maker, piece.len) : NULL;

        if (to) {
            memcpy(to, piece.data, piece.len);
            value->len += piece.len;
        }

        if (name[name_len] == '}') {
            name_len++;
        }
    }

    return 1;
}


int
klaviyo_cli_variable(klaviyo_cli_maker_t *maker, const char *name, size_t len,
    klaviyo_slice_t *value)
{
    size_t                       i, n;
    uint8_t                     *p;
    char                         status[8];
    const klaviyo_cli_cookie_t  *cookie;

    value->data = (const uint8_t *) "";
    value->len = 0;

#define klaviyo_cli_named(text)                                              \
    (len == sizeof(text) - 1 && memcmp(name, text, len) == 0)

    if (klaviyo_cli_captured(maker, name, len, value)) {
        return 1;
    }

    if (klaviyo_cli_named("uri") || klaviyo_cli_named("document_uri")) {
        *value = maker->place->path;
        return 1;
    }

    if (klaviyo_cli_named("args") || klaviyo_cli_named("query_string")) {
        *value = maker->place->args;
        return 1;
    }

    if (klaviyo_cli_named("is_args")) {
        value->data = (const uint8_t *) "?";
        value->len = (maker->place->args.len != 0);
        return 1;
    }

    if (klaviyo_cli_named("request_uri")) {
        *value = maker->log->uri;
        return 1;
    }

    if (klaviyo_cli_named("request_method")) {
        *value = maker->log->method;
        return 1;
    }

    if (len > 4 && memcmp(name, "arg_", 4) == 0) {
        (void) klaviyo_cli_argument(maker, name + 4, len - 4, value);
        return 1;
    }

    if (klaviyo_cli_log_field(maker->log, name, len, value)) {
        return 1;
    }

    if (klaviyo_cli_named("status")) {
        n = (size_t) snprintf(status, sizeof(status), "%u",
                              maker->log->status % 1000);
        p = klaviyo_cli_text(maker, n);

        if (p) {
            memcpy(p, status, n);
            value->data = p;
            value->len = n;
        }

        return 1;
    }

    if (klaviyo_cli_named("host") && maker->log->host.len) {
        *value = maker->log->host;
        return 1;
    }

    if (klaviyo_cli_named("server_name") && maker->place->server->hosts) {
        value->data = (uint8_t *) maker->place->server->host[0].name;
        value->len = strlen(maker->place->server->host[0].name);
        return 1;
    }

    if (len > 7 && memcmp(name, "cookie_", 7) == 0) {
        return klaviyo_cli_cookie(maker, name + 7, len - 7, value);
    }

    for (i = 0; i < maker->rules->cookies; i++) {
        cookie = &maker->rules->cookie[i];

        if (strlen(cookie->variable) != len
            || memcmp(cookie->variable, name, len) != 0)
        {
            continue;
        }

        if (!klaviyo_cli_cookie(maker, cookie->name, strlen(cookie->name),
                                value))
        {
            return 0;
        }

        p = value->len ? klaviyo_cli_text(maker, value->len) : NULL;

        if (p) {
            value->len = klaviyo_decode_percent(p, value->data, value->len);
            value->data = p;
        }

        return 1;
    }

    return 0;
}


static int
klaviyo_cli_captured(klaviyo_cli_maker_t *maker, const char *name, size_t len,
    klaviyo_slice_t *value)
{
    int                         n;
    char                        text[64];
    unsigned                    i;
    PCRE2_SIZE                 *found;
    const klaviyo_cli_match_t  *match;

    if (len >= sizeof(text)) {
        return 0;
    }

    memcpy(text, name, len);
    text[len] = '\0';

    /* the innermost first; without a name, of that one alone */

    for (i = maker->place->n; i > 0; i--) {
        match = &maker->place->match[i - 1];

        n = (len == 1 && name[0] >= '1' && name[0] <= '9')
            ? name[0] - '0'
            : pcre2_substring_number_from_name(match->regex,
                                               (PCRE2_SPTR) text);

        if (n <= 0) {
            continue;
        }

        found = pcre2_get_ovector_pointer(match->data);

        if (n < match->n && found[2 * n] != PCRE2_UNSET
            && found[2 * n + 1] >= found[2 * n])
        {
            value->data = match->subject + found[2 * n];
            value->len = found[2 * n + 1] - found[2 * n];
        }

        return 1;
    }

    /* a capture of an expression that was not looked at is empty */

    return len == 1 && name[0] >= '1' && name[0] <= '9';
}


/* as the client wrote it; names in any case, as in nginx */

int
klaviyo_cli_argument(klaviyo_cli_maker_t *maker, const char *name, size_t len,
    klaviyo_slice_t *value)
{
    const uint8_t  *p, *last, *end;

    p = maker->place->args.data;
    last = p + maker->place->args.len;

    for ( /* void */ ; p < last; p = end + 1) {
        end = memchr(p, '&', (size_t) (last - p));
        end = end ? end : last;

        if ((size_t) (end - p) > len && p[len] == '='
            && strncasecmp((const char *) p, name, len) == 0)
        {
            value->data = p + len + 1;
            value->len = (size_t) (end - value->data);
            return 1;
        }
    }

    return 0;
}


/* a field of its own, or of the whole header; 0: the line does not say */

int
klaviyo_cli_cookie(klaviyo_cli_maker_t *maker, const char *name, size_t len,
    klaviyo_slice_t *value)
{
    char             field[128];
    const uint8_t   *p, *last, *end;
    klaviyo_slice_t  header;

    if (len > sizeof(field) - 8) {
        return 0;
    }

    memcpy(field, "cookie_", 7);
    memcpy(field + 7, name, len);

    if (klaviyo_cli_log_field(maker->log, field, 7 + len, value)) {
        return 1;
    }

    if (!klaviyo_cli_log_field(maker->log, "http_cookie", 11, &header)) {
        return 0;
    }

    value->data = (const uint8_t *) "";
    value->len = 0;

    p = header.data;
    last = p + header.len;

    for ( /* void */ ; p < last; p = end + 1) {
        end = memchr(p, ';', (size_t) (last - p));
        end = end ? end : last;

        while (p < end && *p == ' ') {
            p++;
        }

        if ((size_t) (end - p) > len && p[len] == '='
            && strncasecmp((const char *) p, name, len) == 0)
        {
            value->data = p + len + 1;
            value->len = (size_t) (end - value->data);
            return 1;
        }
    }

    return 1;
}


/* NULL: there is no more room */

uint8_t *
klaviyo_cli_text(klaviyo_cli_maker_t *maker, size_t len)
{
    uint8_t  *p;

    if (len > sizeof(maker->text) - maker->used) {
        maker->full = 1;
        return NULL;
    }

    p = maker->text + maker->used;
    maker->used += len;

    return p;
}

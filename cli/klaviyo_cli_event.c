/*
 * klaviyo-queue: events of lines; see the header.
 */


#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "capture/klaviyo_bots_list.h"
#include "json/klaviyo_check.h"
#include "json/klaviyo_json.h"
#include "json/klaviyo_time.h"
#include "json/klaviyo_value.h"
#include "klaviyo_cli.h"
#include "klaviyo_cli_event.h"
#include "klaviyo_cli_profile.h"
#include "klaviyo_cli_property.h"


static void *klaviyo_cli_bots_alloc(void *data, size_t size);
static klaviyo_cli_no_e klaviyo_cli_event_lacks(klaviyo_cli_maker_t *maker,
    klaviyo_cli_rule_t *rule);
static klaviyo_cli_no_e klaviyo_cli_event_skip(klaviyo_cli_maker_t *maker,
    const klaviyo_cli_rule_t *rule);
static klaviyo_cli_no_e klaviyo_cli_event_status(klaviyo_cli_maker_t *maker,
    const klaviyo_cli_rule_t *rule);
static int klaviyo_cli_event_listed(const char *list, unsigned status);
static int klaviyo_cli_event_is_view(klaviyo_cli_maker_t *maker);
static klaviyo_cli_no_e klaviyo_cli_event_consent(klaviyo_cli_maker_t *maker);
static int klaviyo_cli_says_no(const klaviyo_slice_t *value);
static klaviyo_cli_no_e klaviyo_cli_event_value(klaviyo_json_t *json,
    klaviyo_cli_maker_t *maker, klaviyo_cli_rule_t *rule);
static int klaviyo_cli_event_id(klaviyo_cli_maker_t *maker,
    const klaviyo_slice_t *own, const klaviyo_slice_t *metric,
    const klaviyo_slice_t *line, unsigned nth, klaviyo_event_t *event);


const char *const  klaviyo_cli_no_names[KLAVIYO_CLI_NO_N] = {
    "head: the method is HEAD",
    "prefetch",
    "subresource: a part of a page",
    "bot",
    "kla_off: the visitor turned Klaviyo's script off",
    "gpc",
    "dnt",
    "scanner: known by a _kx of the query alone",
    "malformed: no line of this format",
    "time: none, or one that cannot be",
    "range: before --since, or from --until on",
    "whole: the last line has no end yet",
    "captured: the module had events of it already",
    "server: no server has this name and rules",
    "no rule: no klaviyo_track holds there",
    "account: the event of another one",
    "consent: it is not given, or not in the line",
    "status",
    "condition: \"if=\" or \"view\"",
    "page: the page itself says what it is",
    "lacks: the line has not what the rule needs",
    "anonymous: nobody knows whose it is",
    "metric: none, or one that is too long",
    "too large"
};


int
klaviyo_cli_maker_init(klaviyo_cli_maker_t *maker)
{
    size_t                   i, n;
    klaviyo_bots_pattern_t  *pattern;

    for (n = 0; klaviyo_bots_list[n]; n++) { /* void */ }

    pattern = calloc(n, sizeof(klaviyo_bots_pattern_t));

    if (pattern == NULL) {
        return klaviyo_cli_error("no memory");
    }

    for (i = 0; i < n; i++) {
        (void) klaviyo_bots_pattern(&pattern[i], klaviyo_bots_list[i],
                                    strlen(klaviyo_bots_list[i]));
    }

    maker->bots = klaviyo_bots_compile(pattern, n, klaviyo_cli_bots_alloc,
                                       NULL);
    free(pattern);

    return maker->bots ? KLAVIYO_CLI_OK : klaviyo_cli_error("no memory");
}


static void *
klaviyo_cli_bots_alloc(void *data, size_t size)
{
    (void) data;

    return malloc(size);
}


klaviyo_cli_no_e
klaviyo_cli_event(klaviyo_cli_maker_t *maker, klaviyo_cli_rule_t *rule,
    const klaviyo_slice_t *line, unsigned nth, klaviyo_event_t *event)
{
    int                    from;
    int64_t                when;
    uint8_t                time[KLAVIYO_TIME_LEN];
    klaviyo_json_t         json;
    klaviyo_slice_t        metric, id, value;
    klaviyo_cli_no_e       no;
    klaviyo_identity_t     identity;
    const char            *account;
    klaviyo_cli_scope_t   *scope;

    static klaviyo_cli_person_t  person;

    maker->used = 0;
    maker->full = 0;
    memset(event, 0, sizeof(klaviyo_event_t));

    if (rule->page) {
        return KLAVIYO_CLI_NO_PAGE;
    }

    account = rule->account;

    if (account == NULL) {
        klaviyo_cli_inherited(maker->place->scope, scope, account, NULL);
        account = scope->account ? scope->account : maker->first;
    }

    if (account) {

        if (!klaviyo_cli_expand(maker, account, &value)) {
            return klaviyo_cli_event_lacks(maker, rule);
        }

        if (value.len != strlen(maker->account)
            || memcmp(value.data, maker->account, value.len) != 0)
        {
            return KLAVIYO_CLI_NO_ACCOUNT;
        }
    }

    no = klaviyo_cli_event_skip(maker, rule);

    if (no == KLAVIYO_CLI_NO) {
        no = klaviyo_cli_event_consent(maker);
    }

    if (no == KLAVIYO_CLI_NO) {
        no = klaviyo_cli_event_status(maker, rule);
    }

    if (no != KLAVIYO_CLI_NO) {
        return no;
    }

    if (rule->condition) {

        if (!klaviyo_cli_expand(maker, rule->condition, &value)) {
            return klaviyo_cli_event_lacks(maker, rule);
        }

        if (klaviyo_value_is_no(value.data, value.len)) {
            return KLAVIYO_CLI_NO_CONDITION;
        }
    }

    if (!klaviyo_cli_expand(maker, rule->metric, &metric)) {
        return klaviyo_cli_event_lacks(maker, rule);
    }

    if (!klaviyo_value_is_metric(metric.data, metric.len)) {
        return KLAVIYO_CLI_NO_METRIC;
    }

    when = maker->log->time;

    if (rule->time) {

        if (!klaviyo_cli_expand(maker, rule->time, &value)) {
            return klaviyo_cli_event_lacks(maker, rule);
        }

        if (klaviyo_value_time(value.data, value.len, when, rule->zone, &when)
            != KLAVIYO_VALUE_OK)
        {
            when = maker->log->time;
        }
    }

    id.len = 0;

    if (rule->unique_id && !klaviyo_cli_expand(maker, rule->unique_id, &id)) {
        return klaviyo_cli_event_lacks(maker, rule);
    }

    if (klaviyo_cli_event_id(maker, &id, &metric, line, nth, event) == -1) {
        return KLAVIYO_CLI_NO_LARGE;
    }

    klaviyo_cli_event_person(maker, rule, &person);

    memset(&identity, 0, sizeof(klaviyo_identity_t));
    from = 0;

    if (!person.strong) {
        klaviyo_cli_event_identity(maker, &identity, &from);
    }

    if (!person.identified && !klaviyo_identity_any(&identity)) {
        return KLAVIYO_CLI_NO_ANONYMOUS;
    }

    klaviyo_cli_inherited(maker->place->scope, scope, skip, -1);

    if (from == KLAVIYO_CLI_IDENTITY_QUERY
        && (scope->skip & 1 << KLAVIYO_CLI_SKIP_SCANNER)
        && identity.value[KLAVIYO_IDENTITY_KX].len)
    {
        return (klaviyo_cli_no_e) KLAVIYO_CLI_SKIP_SCANNER;
    }

    klaviyo_json_init(&json, maker->json, sizeof(maker->json));

    klaviyo_cli_event_profile(&json, maker, &person, &identity);

    event->profile = json.start;
    event->profile_len = (size_t) (json.pos - json.start);
    event->attributes = json.pos;

    klaviyo_cli_event_properties(&json, maker, rule);

    klaviyo_json_literal(&json, ",\"metric\":{\"data\":{\"type\":\"metric\","
                                "\"attributes\":{\"name\":");
    klaviyo_json_string(&json, metric.data, metric.len, metric.len);
    klaviyo_json_literal(&json, "}}},\"time\":\"");

    klaviyo_value_format_time(time, when);
    klaviyo_json_raw(&json, time, KLAVIYO_TIME_LEN);
    klaviyo_json_literal(&json, "\"");

    no = klaviyo_cli_event_value(&json, maker, rule);

    if (no != KLAVIYO_CLI_NO) {
        return no;
    }

    klaviyo_json_literal(&json, ",\"unique_id\":");
    klaviyo_json_string(&json, event->unique_id, event->unique_id_len,
                        KLAVIYO_UNIQUE_ID_MAX);
    klaviyo_json_literal(&json, ",\"backfill\":true");

    event->attributes_len = (size_t) (json.pos - event->attributes);

    if (json.overflow || maker->full
        || event->profile_len > KLAVIYO_PROFILE_MAX)
    {
        return KLAVIYO_CLI_NO_LARGE;
    }

    return KLAVIYO_CLI_NO;
}


static klaviyo_cli_no_e
klaviyo_cli_event_lacks(klaviyo_cli_maker_t *maker, klaviyo_cli_rule_t *rule)
{
    if (rule->lacks == NULL) {
        rule->lacks = strndup(maker->lacking, maker->lacking_len);
    }

    return KLAVIYO_CLI_NO_LACKS;
}


/* what a line does not have, it does not say */

static klaviyo_cli_no_e
klaviyo_cli_event_skip(klaviyo_cli_maker_t *maker,
    const klaviyo_cli_rule_t *rule)
{
    unsigned                    i, found;
    klaviyo_slice_t             value;
    klaviyo_cli_scope_t        *scope;
    const klaviyo_slice_t      *method;

    static const struct {
        const char         *name;
        klaviyo_cli_skip_e  skip;
    } said[] = {
        { "http_sec_purpose", KLAVIYO_CLI_SKIP_PREFETCH },
        { "http_purpose", KLAVIYO_CLI_SKIP_PREFETCH },
        { "http_x_purpose", KLAVIYO_CLI_SKIP_PREFETCH },
        { "http_x_moz", KLAVIYO_CLI_SKIP_PREFETCH },
        { "http_next_router_prefetch", KLAVIYO_CLI_SKIP_PREFETCH },
        { "http_sec_fetch_dest", KLAVIYO_CLI_SKIP_SUBRESOURCE },
        { "http_sec_gpc", KLAVIYO_CLI_SKIP_GPC },
        { "http_dnt", KLAVIYO_CLI_SKIP_DNT },
        { NULL, KLAVIYO_CLI_SKIP_N }
    };

    (void) rule;

    klaviyo_cli_inherited(maker->place->scope, scope, skip, -1);

    method = &maker->log->method;
    found = 0;

    if (method->len == 4 && memcmp(method->data, "HEAD", 4) == 0) {
        found |= 1 << KLAVIYO_CLI_SKIP_HEAD;
    }

    for (i = 0; said[i].name; i++) {

        if (!klaviyo_cli_variable(maker, said[i].name, strlen(said[i].name),
                                  &value)
            || value.len == 0)
        {
            continue;
        }

        switch (said[i].skip) {

        case KLAVIYO_CLI_SKIP_PREFETCH:

            if (memmem(value.data, value.len, "prefetch", 8) == NULL
                && memmem(value.data, value.len, "preview", 7) == NULL
                && !(value.len == 1 && value.data[0] == '1'))
            {
                continue;
            }

            break;

        case KLAVIYO_CLI_SKIP_SUBRESOURCE:

            /* what a script does by another method is a visitor's */

            if ((value.len == 8 && memcmp(value.data, "document", 8) == 0)
                || (value.len == 5 && memcmp(value.data, "empty", 5) == 0
                    && !(method->len == 3
                         && memcmp(method->data, "GET", 3) == 0)
                    && !(found & 1 << KLAVIYO_CLI_SKIP_HEAD)))
            {
                continue;
            }

            break;

        default:

            if (value.len != 1 || value.data[0] != '1') {
                continue;
            }

            break;
        }

        found |= 1U << said[i].skip;
    }

    if (klaviyo_cli_cookie(maker, "__kla_off", 9, &value)
        && value.len == 4 && memcmp(value.data, "true", 4) == 0)
    {
        found |= 1 << KLAVIYO_CLI_SKIP_KLA_OFF;
    }

    if (!klaviyo_cli_get(maker, "http_user_agent", &value)) {
        value.len = 0;
    }

    if ((scope->skip & 1 << KLAVIYO_CLI_SKIP_BOT)
        && klaviyo_bots_match(maker->bots, value.data, value.len))
    {
        found |= 1 << KLAVIYO_CLI_SKIP_BOT;
    }

    found &= (unsigned) scope->skip;

    for (i = 0; i < KLAVIYO_CLI_SKIP_N; i++) {
        if (found & 1U << i) {
            return (klaviyo_cli_no_e) i;
        }
    }

    return KLAVIYO_CLI_NO;
}


static klaviyo_cli_no_e
klaviyo_cli_event_status(klaviyo_cli_maker_t *maker,
    const klaviyo_cli_rule_t *rule)
{
    unsigned                get;
    const klaviyo_slice_t  *method;

    method = &maker->log->method;

    get = (method->len == 3 && memcmp(method->data, "GET", 3) == 0)
          || (method->len == 4 && memcmp(method->data, "HEAD", 4) == 0);

    if (rule->status) {
        return klaviyo_cli_event_listed(rule->status, maker->log->status)
               ? KLAVIYO_CLI_NO : KLAVIYO_CLI_NO_STATUS;
    }

    if (rule->view) {

        if (maker->log->status != 200 && maker->log->status != 304) {
            return KLAVIYO_CLI_NO_STATUS;
        }

        return (get && method->len == 3 && klaviyo_cli_event_is_view(maker))
               ? KLAVIYO_CLI_NO : KLAVIYO_CLI_NO_CONDITION;
    }

    return klaviyo_cli_event_listed(get ? "2xx,304" : "2xx,3xx",
                                    maker->log->status)
           ? KLAVIYO_CLI_NO : KLAVIYO_CLI_NO_STATUS;
}


static int
klaviyo_cli_event_listed(const char *list, unsigned status)
{
    char         text[8];
    size_t       len;
    const char  *p;

    (void) snprintf(text, sizeof(text), "%03u", status % 1000);

    for (p = list; *p; p += len + (p[len] == ',')) {
        len = strcspn(p, ",");

        if (len == 3
            && (memcmp(p, text, 3) == 0
                || (p[0] == text[0] && memcmp(p + 1, "xx", 2) == 0)))
        {
            return 1;
        }
    }

    return 0;
}


/* by the type if the line has it, else by the ending of the path */

static int
klaviyo_cli_event_is_view(klaviyo_cli_maker_t *maker)
{
    size_t           len;
    unsigned         i;
    const uint8_t   *p, *dot;
    klaviyo_slice_t  type;

    static const char *const  pages[] = { "html", "htm", "xhtml", "php",
                                          "asp", "aspx", "jsp", "do", NULL };

    if (klaviyo_cli_get(maker, "sent_http_content_type", &type)
        && type.len && maker->log->status == 200)
    {
        return type.len >= 9
               && strncasecmp((const char *) type.data, "text/html", 9) == 0;
    }

    p = memrchr(maker->place->path.data, '/', maker->place->path.len);
    len = maker->place->path.len - (size_t) (p - maker->place->path.data);
    dot = memrchr(p, '.', len);

    if (dot == NULL) {
        return 1;
    }

    dot++;
    len -= (size_t) (dot - p);

    /* a version, or a size, as in /lamp-2.0 is no ending */

    if (len == 0 || len > 5 || (dot[0] >= '0' && dot[0] <= '9')) {
        return 1;
    }

    for (i = 0; pages[i]; i++) {

        if (strlen(pages[i]) == len
            && strncasecmp(pages[i], (const char *) dot, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static klaviyo_cli_no_e
klaviyo_cli_event_consent(klaviyo_cli_maker_t *maker)
{
    klaviyo_slice_t       value;
    klaviyo_cli_scope_t  *scope;

    klaviyo_cli_inherited(maker->place->scope, scope, consent, NULL);

    if (scope->consent == NULL || scope->consent[0] == '\0') {
        return KLAVIYO_CLI_NO;
    }

    if (!klaviyo_cli_expand(maker, scope->consent, &value)
        || klaviyo_cli_says_no(&value))
    {
        return KLAVIYO_CLI_NO_CONSENT;
    }

    return KLAVIYO_CLI_NO;
}


static int
klaviyo_cli_says_no(const klaviyo_slice_t *value)
{
    return klaviyo_value_is_no(value->data, value->len)
           || (value->len == 6
               && strncasecmp((const char *) value->data, "denied", 6) == 0);
}


static klaviyo_cli_no_e
klaviyo_cli_event_value(klaviyo_json_t *json, klaviyo_cli_maker_t *maker,
    klaviyo_cli_rule_t *rule)
{
    size_t                 len;
    uint8_t                code[KLAVIYO_CURRENCY_LEN];
    uint8_t                amount[KLAVIYO_AMOUNT_LEN];
    klaviyo_slice_t        value;
    klaviyo_amount_form_t  form;

    if (rule->amount == NULL) {
        return KLAVIYO_CLI_NO;
    }

    memset(&form, 0, sizeof(klaviyo_amount_form_t));

    form.decimals = -1;
    form.decimal = rule->decimal;
    form.minor = rule->minor;

    if (rule->currency) {

        if (!klaviyo_cli_expand(maker, rule->currency, &value)) {
            return klaviyo_cli_event_lacks(maker, rule);
        }

        form.decimals = klaviyo_currency(value.data, value.len, code);

        if (form.decimals == -1) {
            maker->left_out++;
            return KLAVIYO_CLI_NO;
        }

        form.currency = code;
    }

    if (!klaviyo_cli_expand(maker, rule->amount, &value)) {
        return klaviyo_cli_event_lacks(maker, rule);
    }

    switch (klaviyo_amount_read(&form, value.data, value.len, amount, &len)) {

    case KLAVIYO_VALUE_OK:
        break;

    case KLAVIYO_VALUE_BAD:
        maker->left_out++;
        /* fall through */

    default:
        return KLAVIYO_CLI_NO;
    }

    klaviyo_json_literal(json, ",\"value\":");
    klaviyo_json_raw(json, amount, len);

    if (form.currency) {
        klaviyo_json_literal(json, ",\"value_currency\":");
        klaviyo_json_string(json, code, KLAVIYO_CURRENCY_LEN,
                            KLAVIYO_CURRENCY_LEN);
    }

    return KLAVIYO_CLI_NO;
}


/*
 * What the rule names, what the log says that the first event had, or what
 * the line and the metric give: the same each time.
 */

static int
klaviyo_cli_event_id(klaviyo_cli_maker_t *maker, const klaviyo_slice_t *own,
    const klaviyo_slice_t *metric, const klaviyo_slice_t *line, unsigned nth,
    klaviyo_event_t *event)
{
    int               i, rc;
    uint8_t           digest[EVP_MAX_MD_SIZE], number[2];
    EVP_MD_CTX       *md;
    klaviyo_slice_t   had;

    event->unique_id = maker->id;

    if (own->len && own->len <= KLAVIYO_UNIQUE_ID_MAX) {
        memcpy(maker->id, own->data, own->len);
        event->unique_id_len = own->len;
        return 0;
    }

    if (own->len == 0 && maker->first_of_line
        && klaviyo_cli_get(maker, "klaviyo_event_id", &had)
        && had.len && had.len <= KLAVIYO_UNIQUE_ID_MAX)
    {
        memcpy(maker->id, had.data, had.len);
        event->unique_id_len = had.len;
        return 0;
    }

    number[0] = '\0';
    number[1] = (uint8_t) nth;

    md = EVP_MD_CTX_new();

    rc = (md
          && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1
          && EVP_DigestUpdate(md, metric->data, metric->len) == 1
          && EVP_DigestUpdate(md, number, sizeof(number)) == 1
          && EVP_DigestUpdate(md, line->data, line->len) == 1
          && EVP_DigestFinal_ex(md, digest, NULL) == 1) ? 0 : -1;

    EVP_MD_CTX_free(md);

    if (rc == -1) {
        return -1;
    }

    memcpy(maker->id, "log-", 4);

    for (i = 0; i < 16; i++) {
        (void) snprintf((char *) maker->id + 4 + 2 * i, 3, "%02x", digest[i]);
    }

    event->unique_id_len = 4 + 2 * 16;

    return 0;
}

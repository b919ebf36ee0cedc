/*
 * The directives klaviyo_identify and klaviyo_subscribe, and what becomes of
 * them in the log phase; see the header.
 */


#include "ngx_http_klaviyo_lane.h"
#include "ngx_http_klaviyo_late.h"
#include "ngx_http_klaviyo_render.h"
#include "ngx_http_klaviyo_rule.h"
#include "ngx_http_klaviyo_track.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "queue/klaviyo_ring_figures.h"


typedef struct {
    const char  *name;
    ngx_uint_t   channel;
} ngx_http_klaviyo_channel_t;


static char *ngx_http_klaviyo_lane_off(ngx_array_t **tracks);
static char *ngx_http_klaviyo_lane_parameter(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word);
static char *ngx_http_klaviyo_lane_channels(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word);
static char *ngx_http_klaviyo_lane_complete(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track);
static ngx_uint_t ngx_http_klaviyo_lane_is_list(ngx_str_t *list);
static ngx_uint_t ngx_http_klaviyo_lane_has(klaviyo_lane_e lane,
    ngx_http_klaviyo_section_e section, ngx_str_t *name);
static const char *ngx_http_klaviyo_lane_capture(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    ngx_http_klaviyo_ask_t *ask);
static ngx_int_t ngx_http_klaviyo_lane_ask(ngx_http_request_t *r,
    klaviyo_slice_t *object, ngx_http_klaviyo_ask_t *ask);
static ngx_int_t ngx_http_klaviyo_lane_text(ngx_http_request_t *r,
    klaviyo_slice_t *json, ngx_str_t *text);


static const ngx_http_klaviyo_channel_t  ngx_http_klaviyo_channels[] = {
    { "email", NGX_HTTP_KLAVIYO_CHANNEL_EMAIL },
    { "sms", NGX_HTTP_KLAVIYO_CHANNEL_SMS },
    { NULL, 0 }
};


/* klaviyo_identify ..., klaviyo_subscribe ..., or off */

char *
ngx_http_klaviyo_lane(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_array_t              **tracks;
    ngx_http_klaviyo_track_t  *track;

    value = cf->args->elts;
    tracks = (ngx_array_t **) (p + cmd->offset);

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_http_klaviyo_lane_off(tracks);
    }

    if (*tracks == NULL) {
        return "must not stand beside \"off\" of its own";
    }

    track = ngx_http_klaviyo_track_add(cf, cmd, tracks);
    if (track == NULL) {
        return NGX_CONF_ERROR;
    }

    track->lane = (klaviyo_lane_e)
                  ((cmd->offset
                    - offsetof(ngx_http_klaviyo_loc_conf_t, lane_tracks))
                   / sizeof(ngx_array_t *));

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_klaviyo_lane_parameter(cf, track, &value[i]);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return ngx_http_klaviyo_lane_complete(cf, track);
}


static char *
ngx_http_klaviyo_lane_off(ngx_array_t **tracks)
{
    if (*tracks != NGX_CONF_UNSET_PTR) {
        return "\"off\" must be the only one of its level";
    }

    *tracks = NULL;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_lane_parameter(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word)
{
    ngx_str_t                   s;
    ngx_uint_t                  subscribe;
    ngx_http_complex_value_t  **slot;

    subscribe = (track->lane == KLAVIYO_LANE_SUBSCRIPTIONS);

    if ((word->len > 3 && ngx_strncmp(word->data, "if=", 3) == 0)
        || (word->len > 7 && ngx_strncmp(word->data, "status=", 7) == 0)
        || (word->len > 8 && ngx_strncmp(word->data, "account=", 8) == 0))
    {
        return ngx_http_klaviyo_track_parameter(cf, track, word);
    }

    if (subscribe && word->len > 9
        && ngx_strncmp(word->data, "channels=", 9) == 0)
    {
        return ngx_http_klaviyo_lane_channels(cf, track, word);
    }

    if (subscribe && word->len > 8
        && ngx_strncmp(word->data, "max_age=", 8) == 0)
    {
        if (track->max_age) {
            goto duplicate;
        }

        s.len = word->len - 8;
        s.data = word->data + 8;

        track->max_age = ngx_parse_time(&s, 1);

        if (track->max_age == (time_t) NGX_ERROR || track->max_age == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\": \"max_age\" is a time, "
                               "as in \"max_age=30m\"", word);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (word->len > 5 && ngx_strncmp(word->data, "list=", 5) == 0) {
        s.len = word->len - 5;
        s.data = word->data + 5;
        slot = &track->list;

    } else if (subscribe && word->len > 7
               && ngx_strncmp(word->data, "source=", 7) == 0)
    {
        s.len = word->len - 7;
        s.data = word->data + 7;
        slot = &track->source;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": expected %s", word,
                           subscribe
                           ? "\"list=\", \"if=\", \"channels=\", \"source=\", "
                             "\"max_age=\", \"status=\" or \"account=\""
                           : "\"list=\", \"if=\", \"status=\" or "
                             "\"account=\"");
        return NGX_CONF_ERROR;
    }

    if (*slot) {
        goto duplicate;
    }

    return ngx_http_klaviyo_compile_slot(cf, &s, slot);

duplicate:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                       word);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_lane_channels(ngx_conf_t *cf,
    ngx_http_klaviyo_track_t *track, ngx_str_t *word)
{
    u_char      *p, *last, *comma;
    ngx_uint_t   i;

    if (track->channels) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate parameter \"%V\"",
                           word);
        return NGX_CONF_ERROR;
    }

    last = word->data + word->len;

    for (p = word->data + 9; p <= last; p = comma + 1) {

        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        for (i = 0; ngx_http_klaviyo_channels[i].name; i++) {
            if (ngx_strlen(ngx_http_klaviyo_channels[i].name)
                == (size_t) (comma - p)
                && ngx_strncmp(ngx_http_klaviyo_channels[i].name, p,
                               comma - p) == 0)
            {
                break;
            }
        }

        if (ngx_http_klaviyo_channels[i].name == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\": \"channels\" are \"email\" "
                               "and \"sms\", with a comma between them",
                               word);
            return NGX_CONF_ERROR;
        }

        track->channels |= ngx_http_klaviyo_channels[i].channel;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_lane_complete(ngx_conf_t *cf, ngx_http_klaviyo_track_t *track)
{
    if (track->list && track->list->lengths == NULL
        && !ngx_http_klaviyo_lane_is_list(&track->list->value))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid list \"%V\": write its id, which stands "
                           "in the address of its page at Klaviyo, as in "
                           "\"list=XyZ123\"", &track->list->value);
        return NGX_CONF_ERROR;
    }

    /* what messages tell it by */

    ngx_str_set(&track->metric.value, "");

    if (track->list) {
        track->metric.value = track->list->value;
    }

    if (track->lane != KLAVIYO_LANE_SUBSCRIPTIONS) {
        return NGX_CONF_OK;
    }

    if (track->channels == 0) {
        track->channels = NGX_HTTP_KLAVIYO_CHANNELS;
    }

    if (track->list == NULL) {
        return "needs the list that the person is subscribed to, as in "
               "\"list=XyZ123\"";
    }

    if (track->filter == NULL) {
        return "needs \"if=\": it lifts earlier unsubscriptions, so name the "
               "variable that says that the person has asked for it, as in "
               "\"if=$newsletter\"";
    }

    if (track->filter->lengths == NULL
        && !klaviyo_value_is_no(track->filter->value.data,
                                track->filter->value.len))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"if=%V\" of klaviyo_subscribe has no variable: "
                           "whoever comes here is subscribed, an earlier "
                           "unsubscription is lifted", &track->filter->value);
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_klaviyo_lane_is_list(ngx_str_t *list)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < list->len; i++) {
        c = list->data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_' || c == '-'))
        {
            return 0;
        }
    }

    return list->len != 0 && list->len <= NGX_HTTP_KLAVIYO_LIST_MAX;
}


void
ngx_http_klaviyo_lane_template(ngx_http_klaviyo_template_t *template,
    klaviyo_lane_e lane)
{
    ngx_uint_t                   i, n;
    ngx_http_klaviyo_op_t       *op;
    ngx_http_klaviyo_section_e   section;

    op = template->ops;
    template->identified = 0;

    i = 0;
    n = 0;

    for (section = 0; section < NGX_HTTP_KLAVIYO_SECTIONS; section++) {

        for ( /* void */ ; i < template->end[section]; i++) {

            if (!ngx_http_klaviyo_lane_has(lane, section, &op[i].name)) {
                continue;
            }

            if (op[i].value == NULL && op[i].get == NULL) {
                template->identified |= op[i].identifier;
            }

            op[n++] = op[i];
        }

        template->end[section] = n;
    }
}


/* the endpoint has a place for it */

static ngx_uint_t
ngx_http_klaviyo_lane_has(klaviyo_lane_e lane,
    ngx_http_klaviyo_section_e section, ngx_str_t *name)
{
    ngx_uint_t  i;

    static ngx_str_t  subscriber[] = {
        ngx_string("email"),
        ngx_string("phone_number"),
        ngx_null_string
    };

    static ngx_str_t  anonymous = ngx_string("anonymous_id");

    if (section == NGX_HTTP_KLAVIYO_PROPERTIES) {
        return 0;
    }

    if (section == NGX_HTTP_KLAVIYO_ID) {
        return 1;
    }

    if (lane != KLAVIYO_LANE_SUBSCRIPTIONS) {
        return section != NGX_HTTP_KLAVIYO_ATTRIBUTES
               || name->len != anonymous.len
               || ngx_strncmp(name->data, anonymous.data, name->len) != 0;
    }

    for (i = 0; subscriber[i].len; i++) {
        if (section == NGX_HTTP_KLAVIYO_ATTRIBUTES
            && name->len == subscriber[i].len
            && ngx_strncmp(name->data, subscriber[i].data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_klaviyo_lane_rule(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule)
{
    const char                *reason;
    ngx_http_klaviyo_ask_t     ask;
    ngx_http_klaviyo_rule_t    own;
    ngx_http_klaviyo_track_t  *track;

    track = rule->track;

    ngx_memzero(&ask, sizeof(ngx_http_klaviyo_ask_t));

    ask.channels = track->channels;

    own = *rule;
    own.account = rule->account->lanes[track->lane];

    if ((track->list
         && ngx_http_complex_value(r, track->list, &ask.list) != NGX_OK)
        || (track->source
            && ngx_http_complex_value(r, track->source, &ask.source)
               != NGX_OK))
    {
        klaviyo_ring_count(own.account->ring, KLAVIYO_COUNT_SKIPPED_MEMORY, 1);
        return;
    }

    reason = ngx_http_klaviyo_lane_capture(r, ctx, &own, &ask);

    if (ctx->reason == NULL) {
        ctx->reason = reason;
    }
}


void
ngx_http_klaviyo_lane_named(ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule, klaviyo_named_t *named,
    klaviyo_counter_e left_out)
{
    klaviyo_slice_t             *wanted;
    ngx_http_klaviyo_ask_t       ask;
    ngx_http_klaviyo_rule_t      own;
    ngx_http_klaviyo_account_t  *account;

    own = *rule;
    account = rule->account;

    wanted = &named->member[KLAVIYO_NAMED_IDENTIFY];

    if (wanted->len && *wanted->data == 't') {
        ngx_memzero(&ask, sizeof(ngx_http_klaviyo_ask_t));

        own.account = account->lanes[KLAVIYO_LANE_PROFILES];

        ngx_http_klaviyo_lane_template(own.template, KLAVIYO_LANE_PROFILES);
        (void) ngx_http_klaviyo_lane_capture(r, ctx, &own, &ask);
    }

    wanted = &named->member[KLAVIYO_NAMED_SUBSCRIBE];

    if (wanted->len == 0) {
        return;
    }

    own.account = account->lanes[KLAVIYO_LANE_SUBSCRIPTIONS];

    switch (ngx_http_klaviyo_lane_ask(r, wanted, &ask)) {

    case NGX_OK:
        ngx_http_klaviyo_lane_template(own.template,
                                       KLAVIYO_LANE_SUBSCRIPTIONS);
        (void) ngx_http_klaviyo_lane_capture(r, ctx, &own, &ask);
        break;

    case NGX_DECLINED:
        klaviyo_ring_count(account->ring, left_out, 1);
        break;

    default:
        klaviyo_ring_count(own.account->ring, KLAVIYO_COUNT_SKIPPED_MEMORY, 1);
        break;
    }
}


/* NULL, or why there is no record, which is counted */

static const char *
ngx_http_klaviyo_lane_capture(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    ngx_http_klaviyo_ask_t *ask)
{
    klaviyo_event_t    event;
    klaviyo_ring_rc_e  rc;
    klaviyo_counter_e  reason;

    if (ngx_http_klaviyo_rule_wanted(r, ctx, rule, &reason) != NGX_OK) {
        goto skipped;
    }

    /* without a list there is nothing to subscribe to, a variable may say so */

    if (ask->list.len ? !ngx_http_klaviyo_lane_is_list(&ask->list)
                      : rule->account->lane
                        == &klaviyo_lanes[KLAVIYO_LANE_SUBSCRIPTIONS])
    {
        reason = KLAVIYO_COUNT_SKIPPED_LIST;
        goto skipped;
    }

    if (ngx_http_klaviyo_render_person(r, rule, ask, &event, &reason)
        != NGX_OK)
    {
        goto skipped;
    }

    rc = ngx_http_klaviyo_append(rule->account, &event);

    return (rc == KLAVIYO_RING_OK)
           ? NULL : ngx_http_klaviyo_append_refused(rule->account, rc);

skipped:

    klaviyo_ring_count(rule->account->ring, reason, 1);

    return klaviyo_counter_names[reason].name;
}


/* {"list": "...", "channels": ["email", "sms"], "source": "..."} */

static ngx_int_t
ngx_http_klaviyo_lane_ask(ngx_http_request_t *r, klaviyo_slice_t *object,
    ngx_http_klaviyo_ask_t *ask)
{
    ngx_uint_t       i;
    klaviyo_scan_t   scan, list;
    klaviyo_slice_t  name, value, none;

    ngx_memzero(ask, sizeof(ngx_http_klaviyo_ask_t));

    klaviyo_scan_enter(&scan, object);

    while (klaviyo_scan_next(&scan, &name)) {
        klaviyo_scan_value(&scan, &value);

        if (klaviyo_scan_type(value.data) == KLAVIYO_SCAN_NULL) {
            continue;
        }

        if (klaviyo_scan_is(&name, "channels", 8)) {

            if (klaviyo_scan_type(value.data) != KLAVIYO_SCAN_ARRAY) {
                return NGX_DECLINED;
            }

            ask->channels = 0;
            klaviyo_scan_enter(&list, &value);

            while (klaviyo_scan_next(&list, &none)) {
                klaviyo_scan_value(&list, &value);

                for (i = 0; ngx_http_klaviyo_channels[i].name; i++) {
                    if (klaviyo_scan_type(value.data) == KLAVIYO_SCAN_STRING
                        && klaviyo_scan_is(&value,
                              ngx_http_klaviyo_channels[i].name,
                              ngx_strlen(ngx_http_klaviyo_channels[i].name)))
                    {
                        break;
                    }
                }

                if (ngx_http_klaviyo_channels[i].name == NULL) {
                    return NGX_DECLINED;
                }

                ask->channels |= ngx_http_klaviyo_channels[i].channel;
            }

            if (ask->channels == 0) {
                return NGX_DECLINED;
            }

            continue;
        }

        if (klaviyo_scan_type(value.data) != KLAVIYO_SCAN_STRING) {
            return NGX_DECLINED;
        }

        if (klaviyo_scan_is(&name, "list", 4)) {

            if (ngx_http_klaviyo_lane_text(r, &value, &ask->list) != NGX_OK) {
                return NGX_ERROR;
            }

        } else if (klaviyo_scan_is(&name, "source", 6)) {

            if (ngx_http_klaviyo_lane_text(r, &value, &ask->source)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

        } else {
            return NGX_DECLINED;
        }
    }

    if (ask->channels == 0) {
        ask->channels = NGX_HTTP_KLAVIYO_CHANNELS;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_lane_text(ngx_http_request_t *r, klaviyo_slice_t *json,
    ngx_str_t *text)
{
    text->data = ngx_pnalloc(r->pool, json->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = klaviyo_scan_string(json, text->data);

    return NGX_OK;
}

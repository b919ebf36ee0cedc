/*
 * Private to capture/: what is said of a profile and not of an event, for the
 * lanes beside that of events: klaviyo_identify, klaviyo_subscribe, and the
 * members "identify" and "subscribe" of events that the application names.
 *
 * Only klaviyo_profile and the application say who it is.  What a visitor
 * claims by a cookie or a link is never asked for.
 */


#ifndef NGX_HTTP_KLAVIYO_LANE_H
#define NGX_HTTP_KLAVIYO_LANE_H


#include "ngx_http_klaviyo_context.h"
#include "json/klaviyo_named.h"


#define NGX_HTTP_KLAVIYO_CHANNEL_EMAIL  0x1
#define NGX_HTTP_KLAVIYO_CHANNEL_SMS    0x2
#define NGX_HTTP_KLAVIYO_CHANNELS       0x3

#define NGX_HTTP_KLAVIYO_LIST_MAX       64       /* bytes                    */
#define NGX_HTTP_KLAVIYO_SOURCE_MAX     255


/* what is asked for, beside the profile */

typedef struct {
    ngx_str_t   list;            /* empty: none                              */
    ngx_str_t   source;
    ngx_uint_t  channels;
} ngx_http_klaviyo_ask_t;


/*
 * Takes out of a template what its lane has no place for.  The operations are
 * the template's own.
 */
void ngx_http_klaviyo_lane_template(ngx_http_klaviyo_template_t *template,
    klaviyo_lane_e lane);

/* the record of a rule of klaviyo_identify or klaviyo_subscribe */
void ngx_http_klaviyo_lane_rule(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);

/*
 * The records that a named event asks for, behind the event.  The rule is its
 * own, and its template is used up.
 */
void ngx_http_klaviyo_lane_named(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_named_t *named, klaviyo_counter_e left_out);

/* directives: klaviyo_identify, klaviyo_subscribe */
char *ngx_http_klaviyo_lane(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* NGX_HTTP_KLAVIYO_LANE_H */

/*
 * Private to capture/: the locations whose rules a request has.
 *
 * Those are all rules of the location that its URI chose first, and, where
 * an internal redirect led elsewhere, the rules that stand in the location
 * where it ends, without those that this one inherits.  An `if` is a part of
 * its location.  What else the configuration says of events (profile,
 * identity, consent, ...) is that of the location of the rule in question.
 */


#ifndef NGX_HTTP_KLAVIYO_LOCATION_H
#define NGX_HTTP_KLAVIYO_LOCATION_H


#include "ngx_http_klaviyo_context.h"


#define NGX_HTTP_KLAVIYO_RULE_SETS  2

/* the rules that a request has of one location */

typedef struct {
    ngx_http_klaviyo_loc_conf_t  *conf;
    ngx_array_t                  *rules;   /* or NULL                        */
    ngx_http_klaviyo_rule_t      *named;   /* or NULL                        */
    ngx_array_t                  *json;    /* or NULL                        */
    ngx_array_t                  *lanes[KLAVIYO_LANE_N];  /* or NULL         */
} ngx_http_klaviyo_rule_set_t;


/* captures of the location where the request is, while others are needed */

typedef struct {
    int                          *captures;
    u_char                       *captures_data;
    ngx_uint_t                    ncaptures;
    ngx_http_variable_value_t    *values;  /* of the named ones; NULL: none
                                              were replaced                  */
} ngx_http_klaviyo_captures_t;


/*
 * The rules that a request has as it stands; gives how many sets there are.
 * None of them is empty.
 */
ngx_uint_t ngx_http_klaviyo_rule_sets(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_set_t *sets);

/* the first rule of a set */
ngx_http_klaviyo_rule_t *ngx_http_klaviyo_rule_set_first(
    ngx_http_klaviyo_rule_set_t *set);

/* the rule of a location that was passed, and has no say; or NULL */
ngx_http_klaviyo_rule_t *ngx_http_klaviyo_passed_rule(ngx_http_request_t *r);

/*
 * The captures of the first location's regular expression, positional and
 * named, become those of the request, and what was there is saved.
 */
ngx_int_t ngx_http_klaviyo_captures_first(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_captures_t *saved);
void ngx_http_klaviyo_captures_restore(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_captures_t *saved);

/* the handler that notes locations; in postconfiguration */
ngx_int_t ngx_http_klaviyo_location_init(ngx_conf_t *cf);

/* the account of a rule's events; NULL: its variable names none */
ngx_http_klaviyo_account_t *ngx_http_klaviyo_rule_account(
    ngx_http_request_t *r, ngx_http_klaviyo_rule_t *rule);


#endif /* NGX_HTTP_KLAVIYO_LOCATION_H */

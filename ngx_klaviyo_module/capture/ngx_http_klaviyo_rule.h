#ifndef NGX_HTTP_KLAVIYO_RULE_H
#define NGX_HTTP_KLAVIYO_RULE_H


#include "ngx_http_klaviyo_context.h"


/* the same rule with the account chosen; NULL, counted: there is none */
ngx_http_klaviyo_rule_t *ngx_http_klaviyo_rule_choose(
    ngx_http_request_t *r, ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule, ngx_http_klaviyo_rule_t *own);

/* 0: this location's events are of verified webhooks, and it is none */
ngx_uint_t ngx_http_klaviyo_rule_signed(ngx_http_request_t *r,
    ngx_http_klaviyo_loc_conf_t *conf);

/* NGX_OK and the event of a rule, good until the next call; or NGX_DECLINED */
ngx_int_t ngx_http_klaviyo_rule_event(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_event_t *event, klaviyo_counter_e *reason);

/* captures the event of a rule: NULL, or why there is none, and counts it */
const char *ngx_http_klaviyo_rule_capture(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);

/* NGX_OK, or NGX_DECLINED and the reason: the rule fires nothing now */
ngx_int_t ngx_http_klaviyo_rule_wanted(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_counter_e *reason);

/* counts why the rule gave no event; the first reason is $klaviyo_captured */
void ngx_http_klaviyo_rule_skip(ngx_http_klaviyo_ctx_t *ctx,
    ngx_http_klaviyo_rule_t *rule, klaviyo_counter_e reason);

/* 1: the status is one of these, or of one of these classes */
ngx_uint_t ngx_http_klaviyo_rule_among(ngx_array_t *statuses,
    ngx_uint_t status);

/*
 * 1: the status of the answer is one of these.  NULL: 2xx and 304 for GET and
 * HEAD, a redirect is no view; 2xx and 3xx for what acts.
 */
ngx_uint_t ngx_http_klaviyo_rule_status(ngx_http_request_t *r,
    ngx_array_t *statuses);


#endif /* NGX_HTTP_KLAVIYO_RULE_H */

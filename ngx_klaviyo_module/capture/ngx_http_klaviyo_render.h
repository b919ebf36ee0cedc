#ifndef NGX_HTTP_KLAVIYO_RENDER_H
#define NGX_HTTP_KLAVIYO_RENDER_H


#include "ngx_http_klaviyo_context.h"
#include "ngx_http_klaviyo_lane.h"


/*
 * Writes the event of a rule: NGX_OK, or NGX_DECLINED with the reason.  What
 * is left out on the way is counted.  The event is good until the next call.
 */
ngx_int_t ngx_http_klaviyo_render(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule,
    klaviyo_event_t *event, klaviyo_counter_e *reason);

/*
 * Writes the record: NGX_OK, or NGX_DECLINED with the reason.  It is good
 * until the next one, or the next event, is written.
 */
ngx_int_t ngx_http_klaviyo_render_person(ngx_http_request_t *r,
    ngx_http_klaviyo_rule_t *rule, ngx_http_klaviyo_ask_t *ask,
    klaviyo_event_t *event, klaviyo_counter_e *reason);


#endif /* NGX_HTTP_KLAVIYO_RENDER_H */

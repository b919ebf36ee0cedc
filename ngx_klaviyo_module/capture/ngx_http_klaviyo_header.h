/*
 * Private to capture/: klaviyo_response_header, events that the application
 * names in a header of its answer.
 */


#ifndef NGX_HTTP_KLAVIYO_HEADER_H
#define NGX_HTTP_KLAVIYO_HEADER_H


#include "ngx_http_klaviyo_context.h"
#include "json/klaviyo_named.h"


/* events of one request: in headers, and in a variable */
#define NGX_HTTP_KLAVIYO_NAMED_MAX   100
#define NGX_HTTP_KLAVIYO_NAMED_JSON  1000


/* in the log phase, after the tracks: the events of the header's values */
void ngx_http_klaviyo_header_capture(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);

/* the same for klaviyo_track_json: the events of the rule's variable */
void ngx_http_klaviyo_header_variable(ngx_http_request_t *r,
    ngx_http_klaviyo_ctx_t *ctx, ngx_http_klaviyo_rule_t *rule);

/* directive: klaviyo_response_header */
char *ngx_http_klaviyo_response_header(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* the header filter; in postconfiguration */
void ngx_http_klaviyo_header_init(void);


#endif /* NGX_HTTP_KLAVIYO_HEADER_H */

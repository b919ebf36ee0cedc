#ifndef NGX_HTTP_KLAVIYO_PASS_HANDLER_H
#define NGX_HTTP_KLAVIYO_PASS_HANDLER_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


ngx_int_t ngx_http_klaviyo_pass_handler(ngx_http_request_t *r);

/* breaks off what is under way; before the transport's exit_process */
void ngx_http_klaviyo_pass_exit_process(void);


#endif /* NGX_HTTP_KLAVIYO_PASS_HANDLER_H */

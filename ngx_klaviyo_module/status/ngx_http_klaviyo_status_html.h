#ifndef NGX_HTTP_KLAVIYO_STATUS_HTML_H
#define NGX_HTTP_KLAVIYO_STATUS_HTML_H


#include "ngx_http_klaviyo_status_private.h"


size_t ngx_http_klaviyo_status_html_size(ngx_http_klaviyo_status_t *status);
void ngx_http_klaviyo_status_html(klaviyo_json_t *out,
    ngx_http_klaviyo_status_t *status);


#endif /* NGX_HTTP_KLAVIYO_STATUS_HTML_H */

#ifndef NGX_HTTP_KLAVIYO_STATUS_JSON_H
#define NGX_HTTP_KLAVIYO_STATUS_JSON_H


#include "ngx_http_klaviyo_status_private.h"


size_t ngx_http_klaviyo_status_json_size(ngx_http_klaviyo_status_t *status);
void ngx_http_klaviyo_status_json(klaviyo_json_t *json,
    ngx_http_klaviyo_status_t *status);


#endif /* NGX_HTTP_KLAVIYO_STATUS_JSON_H */

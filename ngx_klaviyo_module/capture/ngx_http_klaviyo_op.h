#ifndef NGX_HTTP_KLAVIYO_OP_H
#define NGX_HTTP_KLAVIYO_OP_H


#include "ngx_http_klaviyo_template.h"


/* evaluates the value of an operation that has one; trims nothing */
ngx_int_t ngx_http_klaviyo_op_value(ngx_http_request_t *r,
    ngx_http_klaviyo_op_t *op, ngx_str_t *value);


#endif /* NGX_HTTP_KLAVIYO_OP_H */

#ifndef NGX_HTTP_KLAVIYO_VARIABLES_H
#define NGX_HTTP_KLAVIYO_VARIABLES_H


#include "ngx_http_klaviyo_capture.h"


/* the variables $klaviyo_*; in preconfiguration */
ngx_int_t ngx_http_klaviyo_capture_variables(ngx_conf_t *cf);


#endif /* NGX_HTTP_KLAVIYO_VARIABLES_H */

#ifndef NGX_HTTP_KLAVIYO_PREVIEW_H
#define NGX_HTTP_KLAVIYO_PREVIEW_H


#include "ngx_http_klaviyo_capture.h"


/* the filter of klaviyo_debug, if there is one; first in postconfiguration */
void ngx_http_klaviyo_preview_init(ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_PREVIEW_H */

#ifndef NGX_HTTP_KLAVIYO_REPEATED_H
#define NGX_HTTP_KLAVIYO_REPEATED_H


#include "ngx_http_klaviyo_capture.h"


/* reads repeated headers whole, with an old nginx; in postconfiguration */
void ngx_http_klaviyo_repeated_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_REPEATED_H */

#ifndef NGX_HTTP_KLAVIYO_HOLD_H
#define NGX_HTTP_KLAVIYO_HOLD_H


#include "ngx_http_klaviyo_account.h"


/* hold, as a line of the block */
char *ngx_http_klaviyo_hold(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);


#endif /* NGX_HTTP_KLAVIYO_HOLD_H */

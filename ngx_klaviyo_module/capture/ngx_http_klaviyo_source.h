#ifndef NGX_HTTP_KLAVIYO_SOURCE_H
#define NGX_HTTP_KLAVIYO_SOURCE_H


#include "ngx_http_klaviyo_capture.h"


/* directives: klaviyo_json, klaviyo_form, klaviyo_cookie */
char *ngx_http_klaviyo_part(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* NGX_HTTP_KLAVIYO_SOURCE_H */

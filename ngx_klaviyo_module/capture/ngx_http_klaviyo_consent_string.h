#ifndef NGX_HTTP_KLAVIYO_CONSENT_STRING_H
#define NGX_HTTP_KLAVIYO_CONSENT_STRING_H


#include "ngx_http_klaviyo_capture.h"


/* directive: klaviyo_consent_string */
char *ngx_http_klaviyo_consent_string(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* NGX_HTTP_KLAVIYO_CONSENT_STRING_H */

#ifndef NGX_HTTP_KLAVIYO_KX_COOKIE_H
#define NGX_HTTP_KLAVIYO_KX_COOKIE_H


#include "ngx_http_klaviyo_capture.h"


/* directive: klaviyo_kx_cookie */
char *ngx_http_klaviyo_kx_cookie(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* the filter that sets the cookie, if there is one; in postconfiguration */
void ngx_http_klaviyo_kx_cookie_init(ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_KX_COOKIE_H */

#ifndef NGX_HTTP_KLAVIYO_BOTS_H
#define NGX_HTTP_KLAVIYO_BOTS_H


#include "ngx_http_klaviyo_capture.h"


/* directive: klaviyo_bots */
char *ngx_http_klaviyo_bots(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* makes kmcf->bots of the built-in list and the file; in postconfiguration */
ngx_int_t ngx_http_klaviyo_bots_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_BOTS_H */

#ifndef NGX_HTTP_KLAVIYO_HASH_H
#define NGX_HTTP_KLAVIYO_HASH_H


#include "ngx_http_klaviyo_capture.h"


/* directive: klaviyo_hash */
char *ngx_http_klaviyo_hash(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* derives their keys from those of accounts; in postconfiguration */
ngx_int_t ngx_http_klaviyo_hash_init(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_HASH_H */

#ifndef NGX_HTTP_KLAVIYO_KEY_H
#define NGX_HTTP_KLAVIYO_KEY_H


#include "ngx_http_klaviyo_account.h"


/* api_key_file and api_key: NGX_CONF_ERROR is already logged */
char *ngx_http_klaviyo_key_file(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value);
char *ngx_http_klaviyo_key(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value);

/* overwrites the key in what somebody else said, which may be shown or kept */
void ngx_http_klaviyo_key_hide(ngx_http_klaviyo_account_t *account,
    u_char *p, size_t len);

/* company, endpoint and proxy, set as lines of the block are */
char *ngx_http_klaviyo_company(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);


#endif /* NGX_HTTP_KLAVIYO_KEY_H */

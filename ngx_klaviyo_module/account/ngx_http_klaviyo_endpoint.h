#ifndef NGX_HTTP_KLAVIYO_ENDPOINT_H
#define NGX_HTTP_KLAVIYO_ENDPOINT_H


#include "ngx_http_klaviyo_account.h"


char *ngx_http_klaviyo_endpoint(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);

char *ngx_http_klaviyo_proxy(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);

/* 1: the endpoint or proxy is reached by TLS; an empty one is not */
ngx_uint_t ngx_http_klaviyo_is_tls(const ngx_str_t *url);


#endif /* NGX_HTTP_KLAVIYO_ENDPOINT_H */

#ifndef NGX_HTTP_KLAVIYO_PATH_H
#define NGX_HTTP_KLAVIYO_PATH_H


#include "ngx_http_klaviyo_account.h"


/*
 * An account is asked against itself, too.  NGX_ERROR, already logged: it has
 * a path that is the other's.
 */
ngx_int_t ngx_http_klaviyo_path_distinct(ngx_log_t *log,
    ngx_http_klaviyo_account_t *account, ngx_http_klaviyo_account_t *other);

/* 1: the paths, if there are both, lead to the same file */
ngx_uint_t ngx_http_klaviyo_path_same(ngx_str_t *path, ngx_str_t *other);


#endif /* NGX_HTTP_KLAVIYO_PATH_H */

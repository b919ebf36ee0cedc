/*
 * Private to capture/: fields of a profile that Klaviyo takes in one form
 * alone, and people write in many.
 */


#ifndef NGX_HTTP_KLAVIYO_CHECK_H
#define NGX_HTTP_KLAVIYO_CHECK_H


#include "ngx_http_klaviyo_template.h"


/*
 * 1: the trimmed value is one of its kind, now in Klaviyo's form; or 0.  The
 * country is that of klaviyo_phone_country.  What is new lives in the pool.
 */
ngx_uint_t ngx_http_klaviyo_checked(ngx_pool_t *pool,
    ngx_http_klaviyo_check_e check, ngx_uint_t country, ngx_str_t *value);

/* the counter of a value that is none of its kind */
klaviyo_counter_e ngx_http_klaviyo_check_counter(
    ngx_http_klaviyo_check_e check);

/* 1: Klaviyo accepts events of this email, and drops them */
ngx_uint_t ngx_http_klaviyo_check_dropped(u_char *email, size_t len);

/* says once a minute that it does */
void ngx_http_klaviyo_check_warn(ngx_http_request_t *r, u_char *email,
    size_t len);

/* directive: klaviyo_phone_country */
char *ngx_http_klaviyo_phone_country(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* NGX_HTTP_KLAVIYO_CHECK_H */

/*
 * klaviyo_page and klaviyo_response_body: what answers say of themselves,
 * read as they pass, for the variables $klaviyo_page_... and
 * $klaviyo_response_body.
 *
 * Room page.  May include: nginx, account, queue, json, capture.  Files named
 * klaviyo_* read a page's bytes and know no nginx.
 */


#ifndef NGX_HTTP_KLAVIYO_PAGE_H
#define NGX_HTTP_KLAVIYO_PAGE_H


#include "account/ngx_http_klaviyo_account.h"


/* directives: klaviyo_page, klaviyo_response_body */
char *ngx_http_klaviyo_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_klaviyo_response_body(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

void ngx_http_klaviyo_page_unset(ngx_http_klaviyo_location_t *location);
void ngx_http_klaviyo_page_merge(ngx_http_klaviyo_location_t *prev,
    ngx_http_klaviyo_location_t *conf);

/* the variables; in preconfiguration */
ngx_int_t ngx_http_klaviyo_page_variables(ngx_conf_t *cf);

/* the filters, if a directive stands somewhere; in postconfiguration */
void ngx_http_klaviyo_page_init(ngx_http_klaviyo_main_conf_t *kmcf);


#endif /* NGX_HTTP_KLAVIYO_PAGE_H */

#ifndef NGX_HTTP_KLAVIYO_STATUS_FIGURES_H
#define NGX_HTTP_KLAVIYO_STATUS_FIGURES_H


#include "ngx_http_klaviyo_status_private.h"


/* reads the figures of all accounts, each consistent; NGX_ERROR: no memory */
ngx_int_t ngx_http_klaviyo_status_read(ngx_pool_t *pool,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_status_t *status);

/* NULL: the account has none of it */
ngx_http_klaviyo_status_figure_t *ngx_http_klaviyo_status_find(
    ngx_http_klaviyo_status_account_t *account, const char *group,
    const char *name);

/* a text that needs no escaping */
void ngx_http_klaviyo_status_text(klaviyo_json_t *out, const char *text);


#endif /* NGX_HTTP_KLAVIYO_STATUS_FIGURES_H */

/*
 * klaviyo_status: the figures of every account, for programs, Prometheus and
 * people.
 *
 * Room status.  May include: nginx, account, queue, json.  It reads rings and
 * changes nothing.
 */


#ifndef NGX_HTTP_KLAVIYO_STATUS_H
#define NGX_HTTP_KLAVIYO_STATUS_H


#include "account/ngx_http_klaviyo_account.h"


/* the directive klaviyo_status: installs the content handler */
char *ngx_http_klaviyo_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* NGX_HTTP_KLAVIYO_STATUS_H */

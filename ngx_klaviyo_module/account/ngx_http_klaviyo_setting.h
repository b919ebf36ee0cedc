/*
 * The settings inside klaviyo_account { }: one line each, read into the
 * account.  Private to this room.
 */


#ifndef NGX_HTTP_KLAVIYO_SETTING_H
#define NGX_HTTP_KLAVIYO_SETTING_H


#include "ngx_http_klaviyo_account.h"


/* the handler of klaviyo_account's lines; `conf` is the account */
char *ngx_http_klaviyo_setting(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* NGX_HTTP_KLAVIYO_SETTING_H */

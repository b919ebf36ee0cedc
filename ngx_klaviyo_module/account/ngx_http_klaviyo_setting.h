/*
 * The settings inside klaviyo_account { }: one line each, read into the
 * account.  Private to this room.
 */


#ifndef NGX_HTTP_KLAVIYO_SETTING_H
#define NGX_HTTP_KLAVIYO_SETTING_H


#include "ngx_http_klaviyo_account.h"


/* the handler of the block's lines; `conf` is the account */
char *ngx_http_klaviyo_setting(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* a setting's name=value arguments, and what reads each into the account */

typedef struct {
    const char   *name;          /* ends in "=", NULL: the table's end       */
    char       *(*set)(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
                      void *field);
    size_t        offset;
} ngx_http_klaviyo_arg_t;


#endif /* NGX_HTTP_KLAVIYO_SETTING_H */

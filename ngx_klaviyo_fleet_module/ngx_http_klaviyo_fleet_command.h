/*
 * A call of a script while it is put together.  It is sent by the script's
 * name, or with its text where Redis may not know it yet.
 */


#ifndef NGX_HTTP_KLAVIYO_FLEET_COMMAND_H
#define NGX_HTTP_KLAVIYO_FLEET_COMMAND_H


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_KLAVIYO_FLEET_ARGS    400
#define NGX_HTTP_KLAVIYO_FLEET_TEXT    32     /* bytes of a number           */
#define NGX_HTTP_KLAVIYO_FLEET_SHA     40


typedef struct {
    const char   *text;
    size_t        len;
    u_char        sha[NGX_HTTP_KLAVIYO_FLEET_SHA];
} ngx_http_klaviyo_fleet_script_t;


typedef struct {
    int           argc;
    const char   *argv[NGX_HTTP_KLAVIYO_FLEET_ARGS];
    size_t        len[NGX_HTTP_KLAVIYO_FLEET_ARGS];
    size_t        used;
    u_char        text[NGX_HTTP_KLAVIYO_FLEET_ARGS
                       * NGX_HTTP_KLAVIYO_FLEET_TEXT];
} ngx_http_klaviyo_fleet_command_t;


/* in workers, once: the script's name */
void ngx_http_klaviyo_fleet_script_init(
    ngx_http_klaviyo_fleet_script_t *script);

/* what follows is added to it; texts stay where they are until it is sent */
void ngx_http_klaviyo_fleet_command_begin(
    ngx_http_klaviyo_fleet_command_t *command,
    ngx_http_klaviyo_fleet_script_t *script, ngx_uint_t text, ngx_str_t *key,
    ngx_uint_t keys, const char *op);
void ngx_http_klaviyo_fleet_command_number(
    ngx_http_klaviyo_fleet_command_t *command, int64_t number);
void ngx_http_klaviyo_fleet_command_text(
    ngx_http_klaviyo_fleet_command_t *command, const void *text, size_t len);

/* klaviyo:{NAME}:KIND:LANE; what is to be freed by ngx_free() */
ngx_int_t ngx_http_klaviyo_fleet_key(ngx_str_t *key, ngx_str_t *name,
    const char *kind, ngx_str_t *lane, ngx_log_t *log);


#endif /* NGX_HTTP_KLAVIYO_FLEET_COMMAND_H */

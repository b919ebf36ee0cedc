/*
 * A call of a script; see the header.
 */


#include "ngx_http_klaviyo_fleet_command.h"

#include <ngx_sha1.h>


void
ngx_http_klaviyo_fleet_script_init(ngx_http_klaviyo_fleet_script_t *script)
{
    u_char      hash[20];
    ngx_sha1_t  sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, script->text, script->len);
    ngx_sha1_final(hash, &sha1);

    (void) ngx_hex_dump(script->sha, hash, sizeof(hash));
}


void
ngx_http_klaviyo_fleet_command_begin(ngx_http_klaviyo_fleet_command_t *command,
    ngx_http_klaviyo_fleet_script_t *script, ngx_uint_t text, ngx_str_t *key,
    ngx_uint_t keys, const char *op)
{
    ngx_uint_t  i;

    command->argc = 0;
    command->used = 0;

    if (text) {
        ngx_http_klaviyo_fleet_command_text(command, "EVAL", 4);
        ngx_http_klaviyo_fleet_command_text(command, script->text,
                                            script->len);

    } else {
        ngx_http_klaviyo_fleet_command_text(command, "EVALSHA", 7);
        ngx_http_klaviyo_fleet_command_text(command, script->sha,
                                            NGX_HTTP_KLAVIYO_FLEET_SHA);
    }

    ngx_http_klaviyo_fleet_command_number(command, (int64_t) keys);

    for (i = 0; i < keys; i++) {
        ngx_http_klaviyo_fleet_command_text(command, key[i].data, key[i].len);
    }

    ngx_http_klaviyo_fleet_command_text(command, op, ngx_strlen(op));
}


void
ngx_http_klaviyo_fleet_command_number(
    ngx_http_klaviyo_fleet_command_t *command, int64_t number)
{
    u_char  *p;

    p = command->text + command->used;
    command->used += NGX_HTTP_KLAVIYO_FLEET_TEXT;

    ngx_http_klaviyo_fleet_command_text(command, p,
                                        ngx_sprintf(p, "%L", number) - p);
}


void
ngx_http_klaviyo_fleet_command_text(ngx_http_klaviyo_fleet_command_t *command,
    const void *text, size_t len)
{
    command->argv[command->argc] = text;
    command->len[command->argc++] = len;
}


ngx_int_t
ngx_http_klaviyo_fleet_key(ngx_str_t *key, ngx_str_t *name, const char *kind,
    ngx_str_t *lane, ngx_log_t *log)
{
    key->data = ngx_alloc(sizeof("klaviyo:{}::") + name->len
                          + ngx_strlen(kind) + lane->len, log);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    key->len = ngx_sprintf(key->data, "klaviyo:{%V}:%s:%V", name, kind, lane)
               - key->data;

    return NGX_OK;
}

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

/* api_key_file and api_key: NGX_CONF_ERROR is already logged */
char *ngx_http_klaviyo_key_file(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value);
char *ngx_http_klaviyo_key(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value);

/* company, endpoint and proxy, set as lines of the block are */
char *ngx_http_klaviyo_company(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_klaviyo_endpoint(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_klaviyo_proxy(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value, ngx_uint_t n);

/* spool and dead_letter, as lines of the block */
char *ngx_http_klaviyo_spool(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value, ngx_uint_t n);
char *ngx_http_klaviyo_dead_letter(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value, ngx_uint_t n);

/* their defaults; NGX_ERROR: no memory */
ngx_int_t ngx_http_klaviyo_spool_init(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account);

/*
 * As the user of the workers: makes what is missing of both, but for account->
 * missing, and checks the rest.  With `nginx -t` it makes directories only,
 * which the caller removes.  NGX_ERROR is already logged.
 */
ngx_int_t ngx_http_klaviyo_spool_check(ngx_log_t *log,
    ngx_http_klaviyo_account_t *account);

/* hold, as a line of the block */
char *ngx_http_klaviyo_hold(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *value, ngx_uint_t n);


/* klaviyo_ring_print_pt; `data` is the account */
int ngx_http_klaviyo_print(const void *data, const uint8_t *uuid,
    klaviyo_ring_print_t *print);

/*
 * In the master, or `nginx -t`: the master process of the nginx that runs with
 * this configuration already, or 0.
 */
ngx_pid_t ngx_http_klaviyo_print_master(ngx_cycle_t *cycle);

/*
 * An account is asked against itself, too.  NGX_ERROR, already logged: it has
 * a path that is the other's.
 */
ngx_int_t ngx_http_klaviyo_path_distinct(ngx_log_t *log,
    ngx_http_klaviyo_account_t *account, ngx_http_klaviyo_account_t *other);

/* 1: the paths, if there are both, lead to the same file */
ngx_uint_t ngx_http_klaviyo_path_same(ngx_str_t *path, ngx_str_t *other);


/* 1: the argument begins with `name`, which ends in "="; the value behind it */
ngx_uint_t ngx_http_klaviyo_arg(ngx_str_t *arg, const char *name,
    ngx_str_t *value);


/* a setting's name=value arguments, and what reads each into the account */

typedef struct {
    const char   *name;          /* ends in "=", NULL: the table's end       */
    char       *(*set)(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
                      void *field);
    size_t        offset;
} ngx_http_klaviyo_arg_t;


/* NGX_CONF_ERROR is already logged */
char *ngx_http_klaviyo_args(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_http_klaviyo_arg_t *args,
    ngx_str_t *value, ngx_uint_t n);
char *ngx_http_klaviyo_arg_events(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
char *ngx_http_klaviyo_arg_bytes(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
char *ngx_http_klaviyo_arg_msec(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
char *ngx_http_klaviyo_arg_sec(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
char *ngx_http_klaviyo_arg_size(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, size_t min, size_t max, size_t *size);


#endif /* NGX_HTTP_KLAVIYO_SETTING_H */

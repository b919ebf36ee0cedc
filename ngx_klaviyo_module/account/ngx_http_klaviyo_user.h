/*
 * The user of the workers.  What lies below directories of this user is
 * opened, made and locked with these rights only: by the workers, and before
 * and after them by a child of the master.
 */


#ifndef NGX_HTTP_KLAVIYO_USER_H
#define NGX_HTTP_KLAVIYO_USER_H


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_uid_t    uid;
    ngx_gid_t    gid;
    const char  *name;           /* NULL: we are this user already           */
} ngx_http_klaviyo_user_t;


/*
 * As far as the configuration has been read: NGX_AGAIN, "user" may still come;
 * NGX_ERROR is already logged.
 */
ngx_int_t ngx_http_klaviyo_user_init(ngx_cycle_t *cycle, ngx_log_t *log,
    ngx_http_klaviyo_user_t *user);

/* 1: the workers will be somebody else */
ngx_uint_t ngx_http_klaviyo_user_differs(ngx_cycle_t *cycle,
    const ngx_http_klaviyo_user_t *user);

/*
 * A child with the rights of the user: 0 in the child, which ends with
 * _exit(); NGX_INVALID_PID, already logged.
 */
ngx_pid_t ngx_http_klaviyo_user_fork(const ngx_http_klaviyo_user_t *user,
    ngx_log_t *log);
void ngx_http_klaviyo_user_wait(ngx_pid_t pid);


#endif /* NGX_HTTP_KLAVIYO_USER_H */

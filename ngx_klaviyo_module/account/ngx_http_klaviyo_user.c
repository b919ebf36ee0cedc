/*
 * Who the workers are, and a child that has their rights.
 */


#include "ngx_http_klaviyo_user.h"


static ngx_int_t ngx_http_klaviyo_user_become(
    const ngx_http_klaviyo_user_t *user, ngx_log_t *log);


/* the name is a copy: `ccf` may be that of a cycle which ends earlier */

static ngx_int_t
ngx_http_klaviyo_user_set(ngx_cycle_t *cycle, ngx_http_klaviyo_user_t *user,
    ngx_core_conf_t *ccf)
{
    char    *name;
    size_t   size;

    size = ngx_strlen(ccf->username) + 1;

    name = ngx_pnalloc(cycle->pool, size);
    if (name == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(name, ccf->username, size);

    user->name = name;
    user->uid = ccf->user;
    user->gid = ccf->group;

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_user_init(ngx_cycle_t *cycle, ngx_log_t *log,
    ngx_http_klaviyo_user_t *user)
{
    ngx_core_conf_t  *ccf;

    user->uid = geteuid();
    user->gid = getegid();
    user->name = NULL;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    /* without a master requests are processed by who started it */

    if (user->uid != 0 || ccf->master == 0) {
        return NGX_OK;
    }

    if (ccf->user == (ngx_uid_t) NGX_CONF_UNSET_UINT) {

        if (ngx_is_init_cycle(cycle->old_cycle)) {
            return NGX_AGAIN;
        }

        ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->old_cycle->conf_ctx,
                                               ngx_core_module);
    }

    if (ccf->user == 0) {
        return NGX_OK;
    }

    if (ccf->username == NULL) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "klaviyo: the user of the workers is not known: name "
                      "it with \"user\"");
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_user_set(cycle, user, ccf);
}


ngx_uint_t
ngx_http_klaviyo_user_differs(ngx_cycle_t *cycle,
    const ngx_http_klaviyo_user_t *user)
{
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    return geteuid() == 0
           && ccf->user != (ngx_uid_t) NGX_CONF_UNSET_UINT
           && ccf->user != user->uid
           && ccf->master;
}


ngx_pid_t
ngx_http_klaviyo_user_fork(const ngx_http_klaviyo_user_t *user,
    ngx_log_t *log)
{
    ngx_pid_t  pid;

    pid = fork();

    if (pid == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "fork() failed");
        return NGX_INVALID_PID;
    }

    if (pid == 0) {
        ngx_pid = ngx_getpid();

        if (ngx_http_klaviyo_user_become(user, log) != NGX_OK) {
            _exit(2);
        }
    }

    return pid;
}


static ngx_int_t
ngx_http_klaviyo_user_become(const ngx_http_klaviyo_user_t *user,
    ngx_log_t *log)
{
    if (user->name == NULL) {
        return NGX_OK;
    }

    if (setgid(user->gid) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "setgid(%d) failed",
                      (int) user->gid);
        return NGX_ERROR;
    }

    if (initgroups(user->name, user->gid) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "initgroups(%s, %d) failed", user->name,
                      (int) user->gid);
        return NGX_ERROR;
    }

    if (setuid(user->uid) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "setuid(%d) failed",
                      (int) user->uid);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the handler of SIGCHLD may have been faster: ECHILD */

void
ngx_http_klaviyo_user_wait(ngx_pid_t pid)
{
    int  status;

    while (waitpid(pid, &status, 0) == -1 && ngx_errno == NGX_EINTR) {
        /* void */
    }
}

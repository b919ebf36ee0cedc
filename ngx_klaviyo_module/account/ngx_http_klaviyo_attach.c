/*
 * The rings of the accounts, from the configuration to the workers; see the
 * header.
 *
 * The child tells of errors in the log, as the master would.  It sends one
 * message for each ring, one for each that a reload leaves behind, and a last
 * one that says whether all is well.  To the master, which is root, what comes
 * from there are descriptors and bytes that it keeps for the workers.
 */


#include "ngx_http_klaviyo_attach.h"
#include "ngx_http_klaviyo_former.h"
#include "ngx_http_klaviyo_path.h"
#include "ngx_http_klaviyo_print.h"
#include "ngx_http_klaviyo_spool.h"

#include "queue/klaviyo_paths.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_hand.h"
#include "queue/klaviyo_ring_open.h"
#include "queue/klaviyo_trust.h"

#include <ngx_event.h>


#define NGX_HTTP_KLAVIYO_RINGS  2        /* of an account                    */
#define NGX_HTTP_KLAVIYO_DIRS   3

/*
 * Descriptors of an account in the worker that delivers: the ring and its
 * lease, the spool's directory, state and segments, dead letters, Klaviyo.
 */

#define NGX_HTTP_KLAVIYO_FDS       7
#define NGX_HTTP_KLAVIYO_HOLD_FDS  2


/* a directory that is wanted */

typedef struct {
    ngx_str_t   *path;               /* of the directory, or of a file in it */
    ngx_uint_t   file;
    int          levels;             /* that may be made                     */
} ngx_http_klaviyo_dir_t;


static ngx_int_t ngx_http_klaviyo_attach_all(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_attach_dirs(
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_account_t *account,
    ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_attach_child(
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_array_t *former, int socket,
    ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_attach_check(
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_uint_t n, ngx_array_t *made,
    ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_attach_missing(
    ngx_http_klaviyo_account_t *account, ngx_array_t *made);
static ngx_int_t ngx_http_klaviyo_attach_rings(
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_uint_t n, int socket,
    ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_attach_ring(
    ngx_http_klaviyo_account_t *account, klaviyo_ring_conf_t *conf,
    int socket, ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_attach_take(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_array_t *former, int socket);
static void ngx_http_klaviyo_attach_detach(void *data);
static void ngx_http_klaviyo_attach_descriptors(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf);
static ngx_uint_t ngx_http_klaviyo_attach_conf(
    ngx_http_klaviyo_account_t *account, klaviyo_ring_conf_t *conf);


ngx_int_t
ngx_http_klaviyo_attach(ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_int_t  rc;

    /* `nginx -s` reads the configuration too, only to find the pid */

    if (ngx_process == NGX_PROCESS_SIGNALLER || kmcf->queues.nelts == 0) {
        return NGX_OK;
    }

    rc = ngx_http_klaviyo_user_init(cf->cycle, cf->log, &kmcf->user);

    if (rc == NGX_AGAIN) {
        kmcf->user_unknown = 1;
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_attach_all(cf->cycle, kmcf, cf->log);
}


ngx_int_t
ngx_http_klaviyo_attach_init_module(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    if (kmcf->queues.nelts == 0) {
        return NGX_OK;
    }

    ngx_http_klaviyo_attach_descriptors(cycle, kmcf);

    if (kmcf->user_unknown) {

        if (ngx_http_klaviyo_user_init(cycle, cycle->log, &kmcf->user)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        return ngx_http_klaviyo_attach_all(cycle, kmcf, cycle->log);
    }

    /* it is too late to refuse: an error here would end the master */

    if (ngx_http_klaviyo_user_differs(cycle, &kmcf->user)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "klaviyo: the queues were opened for another user than "
                      "the workers will be, who cannot deliver from them: "
                      "put \"user\" before \"http\"");
    }

    return NGX_OK;
}


/* a few accounts more or less are as much as nginx itself leaves open */

static void
ngx_http_klaviyo_attach_descriptors(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    rlim_t                        limit, need;
    ngx_uint_t                    i;
    struct rlimit                 rlmt;
    ngx_core_conf_t              *ccf;
    ngx_event_conf_t             *ecf;
    ngx_http_klaviyo_account_t  **account;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    ecf = ngx_event_get_conf(cycle->conf_ctx, ngx_event_core_module);

    if (ccf->rlimit_nofile != NGX_CONF_UNSET) {
        limit = (rlim_t) ccf->rlimit_nofile;

    } else if (getrlimit(RLIMIT_NOFILE, &rlmt) == 0) {
        limit = rlmt.rlim_cur;

    } else {
        return;
    }

    account = kmcf->queues.elts;
    need = 0;

    for (i = 0; i < kmcf->queues.nelts; i++) {
        need += NGX_HTTP_KLAVIYO_FDS;

        if (account[i]->hold) {
            need += NGX_HTTP_KLAVIYO_HOLD_FDS;
        }
    }

    if (need <= limit / 4 || need + ecf->connections <= limit) {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                  "klaviyo: a worker may need %uL descriptors for %ui "
                  "accounts beside its %ui worker_connections, and has %uL: "
                  "set \"worker_rlimit_nofile\" to %uL or more",
                  (uint64_t) need, kmcf->queues.nelts, ecf->connections,
                  (uint64_t) limit, (uint64_t) need + ecf->connections);
}


static ngx_int_t
ngx_http_klaviyo_attach_all(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_log_t *log)
{
    int                           s[2];
    ngx_int_t                     rc;
    ngx_pid_t                     pid;
    ngx_uint_t                    i;
    ngx_array_t                   former;
    ngx_http_klaviyo_account_t  **account;

    if (ngx_http_klaviyo_former_init(cycle, kmcf, &former) != NGX_OK) {
        return NGX_ERROR;
    }

    account = kmcf->queues.elts;

    for (i = 0; i < kmcf->queues.nelts; i++) {
        account[i]->master = ngx_http_klaviyo_print_master(cycle);
    }

    for (i = 0; kmcf->user.name && i < kmcf->queues.nelts; i++) {
        if (ngx_http_klaviyo_attach_dirs(kmcf, account[i], log) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0, s) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "socketpair() failed");
        return NGX_ERROR;
    }

    pid = ngx_http_klaviyo_user_fork(&kmcf->user, log);

    if (pid == 0) {
        (void) close(s[0]);
        _exit(ngx_http_klaviyo_attach_child(kmcf, &former, s[1], log)
              != NGX_OK);
    }

    (void) close(s[1]);

    rc = NGX_ERROR;

    if (pid != NGX_INVALID_PID) {
        rc = ngx_http_klaviyo_attach_take(cycle, kmcf, &former, s[0]);
    }

    (void) close(s[0]);

    if (pid != NGX_INVALID_PID) {
        ngx_http_klaviyo_user_wait(pid);
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "klaviyo: the process that opens the queues ended "
                      "before it had done so");
    }

    return (rc == NGX_OK) ? NGX_OK : NGX_ERROR;
}


/* the order is that of NGX_HTTP_KLAVIYO_NO_* */

static void
ngx_http_klaviyo_attach_wanted(ngx_http_klaviyo_account_t *account,
    ngx_http_klaviyo_dir_t *dir)
{
    dir[0].path = &account->queue;
    dir[0].file = 1;
    dir[0].levels = 1;

    dir[1].path = &account->spool;
    dir[1].file = 0;
    dir[1].levels = 2;

    dir[2].path = &account->dead_letter;
    dir[2].file = 1;
    dir[2].levels = 2;
}


/* 1, and the path of the directory, which PATH_MAX bytes have room for */

static ngx_uint_t
ngx_http_klaviyo_attach_path(ngx_http_klaviyo_dir_t *dir, char *path)
{
    char  *slash;

    if (dir->path->len == 0 || dir->path->len >= PATH_MAX) {
        return 0;
    }

    (void) ngx_cpystrn((u_char *) path, dir->path->data, PATH_MAX);

    slash = strrchr(path, '/');

    if (dir->file && slash) {
        *slash = '\0';
    }

    return path[0] != '\0';
}


/* what the workers' user may have no right to make */

static ngx_int_t
ngx_http_klaviyo_attach_dirs(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_http_klaviyo_account_t *account, ngx_log_t *log)
{
    int                     rc;
    char                    path[PATH_MAX], error[KLAVIYO_RING_ERROR_MAX];
    ngx_uint_t              i;
    ngx_http_klaviyo_dir_t  dir[NGX_HTTP_KLAVIYO_DIRS];

    ngx_http_klaviyo_attach_wanted(account, dir);

    for (i = 0; i < NGX_HTTP_KLAVIYO_DIRS; i++) {

        if (!ngx_http_klaviyo_attach_path(&dir[i], path)) {
            continue;
        }

        rc = klaviyo_trust_mkdir(path, dir[i].levels, kmcf->user.uid,
                                 kmcf->user.gid, !ngx_test_config, error);

        if (rc == -1) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "klaviyo_account \"%V\" in %s:%ui: %s",
                          &account->name, account->conf_file,
                          account->conf_line, error);
            return NGX_ERROR;
        }

        if (rc == 1 && ngx_test_config) {
            account->missing |= 1 << i;
        }
    }

    return NGX_OK;
}


/* returns in the child; the last message is whether it is done */

static ngx_int_t
ngx_http_klaviyo_attach_child(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_array_t *former, int socket, ngx_log_t *log)
{
    u_char       done;
    ngx_int_t    rc;
    ngx_uint_t   i;
    ngx_array_t  made;
    ngx_str_t   *path;

    if (ngx_array_init(&made, kmcf->queues.pool, 4, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    for (i = 0; rc == NGX_OK && i < kmcf->queues.nelts; i++) {
        rc = ngx_http_klaviyo_attach_check(kmcf, i, &made, log);
    }

    for (i = 0; rc == NGX_OK && i < kmcf->queues.nelts; i++) {
        rc = ngx_http_klaviyo_attach_rings(kmcf, i, socket, log);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_klaviyo_former_look(kmcf, former, socket, log);
    }

    /* `nginx -t` leaves nothing behind */

    path = made.elts;

    for (i = made.nelts; ngx_test_config && i > 0; i--) {
        (void) rmdir((char *) path[i - 1].data);
    }

    done = (rc == NGX_OK);

    (void) (send(socket, &done, 1, MSG_NOSIGNAL) == 1);

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_attach_check(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_uint_t n, ngx_array_t *made, ngx_log_t *log)
{
    ngx_uint_t                    i;
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->queues.elts;

    for (i = 0; i <= n; i++) {
        if (ngx_http_klaviyo_path_distinct(log, account[n], account[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_test_config
        && ngx_http_klaviyo_attach_missing(account[n], made) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_klaviyo_spool_check(log, account[n]);
}


/* the directories that the checks of `nginx -t` make, from the outer ones on */

static ngx_int_t
ngx_http_klaviyo_attach_missing(ngx_http_klaviyo_account_t *account,
    ngx_array_t *made)
{
    char                     dir[PATH_MAX], *slash;
    u_char                  *p;
    ngx_str_t               *path;
    ngx_uint_t               i, level;
    ngx_http_klaviyo_dir_t   dirs[NGX_HTTP_KLAVIYO_DIRS];

    ngx_http_klaviyo_attach_wanted(account, dirs);

    for (i = 0; i < NGX_HTTP_KLAVIYO_DIRS; i++) {
        for (level = dirs[i].levels; level > 0; level--) {

            if (!ngx_http_klaviyo_attach_path(&dirs[i], dir)) {
                continue;
            }

            slash = strrchr(dir, '/');

            if (level == 2 && slash) {
                *slash = '\0';
            }

            if (access(dir, F_OK) == 0 || ngx_errno != NGX_ENOENT) {
                continue;
            }

            path = ngx_array_push(made);
            p = ngx_pnalloc(made->pool, ngx_strlen(dir) + 1);

            if (path == NULL || p == NULL) {
                return NGX_ERROR;
            }

            path->data = p;
            path->len = ngx_strlen(dir);
            (void) ngx_cpystrn(p, (u_char *) dir, path->len + 1);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_attach_rings(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_uint_t n, int socket, ngx_log_t *log)
{
    ngx_uint_t                    i, rings;
    klaviyo_ring_conf_t           conf[NGX_HTTP_KLAVIYO_RINGS];
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->queues.elts;
    rings = ngx_http_klaviyo_attach_conf(account[n], conf);

    for (i = 0; i < rings; i++) {
        if (ngx_http_klaviyo_attach_ring(account[n], &conf[i], socket, log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_attach_ring(ngx_http_klaviyo_account_t *account,
    klaviyo_ring_conf_t *conf, int socket, ngx_log_t *log)
{
    int                err;
    char               error[KLAVIYO_RING_ERROR_MAX];
    char               note[KLAVIYO_RING_ERROR_MAX];
    ngx_uint_t         level;
    klaviyo_ring_t    *ring;
    klaviyo_ring_rc_e  rc;

    ring = NULL;

    if (ngx_test_config) {

        if (account->missing & NGX_HTTP_KLAVIYO_NO_QUEUE) {
            return NGX_OK;
        }

        rc = klaviyo_ring_probe(conf, error);

    } else {
        rc = klaviyo_ring_attach(&ring, conf, error, note);
    }

    if (rc != KLAVIYO_RING_OK) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "queue of klaviyo_account \"%V\" in %s:%ui: %s",
                      &account->name, account->conf_file, account->conf_line,
                      error);
        return NGX_ERROR;
    }

    if (ngx_test_config) {
        return NGX_OK;
    }

    if (note[0]) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "queue of klaviyo_account \"%V\": %s",
                      &account->name, note);
    }

    err = klaviyo_ring_hand_over(ring, socket);

    if (err) {

        /* a master that was killed misses nothing */

        level = (err == NGX_EPIPE) ? NGX_LOG_INFO : NGX_LOG_EMERG;

        ngx_log_error(level, log, err,
                      "queue of klaviyo_account \"%V\": sendmsg() failed",
                      &account->name);
        return NGX_ERROR;
    }

    /* the master has the file, and with it the lock, before this closes it */

    klaviyo_ring_detach(ring);

    return NGX_OK;
}


/* NGX_DECLINED: the child ended without a word */

static ngx_int_t
ngx_http_klaviyo_attach_take(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_array_t *former, int socket)
{
    int                           err;
    u_char                        done;
    ssize_t                       n;
    ngx_int_t                     rc;
    ngx_uint_t                    i, k, rings;
    klaviyo_ring_t              **ring;
    ngx_pool_cleanup_t           *cln;
    klaviyo_ring_conf_t           conf[NGX_HTTP_KLAVIYO_RINGS];
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->queues.elts;

    for (i = 0; !ngx_test_config && i < kmcf->queues.nelts; i++) {

        rings = ngx_http_klaviyo_attach_conf(account[i], conf);

        for (k = 0; k < rings; k++) {
            ring = (k == 0) ? &account[i]->ring : &account[i]->hold_ring;

            cln = ngx_pool_cleanup_add(cycle->pool, 0);
            if (cln == NULL) {
                return NGX_ERROR;
            }

            err = klaviyo_ring_take(ring, &conf[k], socket);

            if (err) {
                return (err == EPIPE) ? NGX_DECLINED : NGX_ERROR;
            }

            cln->handler = ngx_http_klaviyo_attach_detach;
            cln->data = *ring;
        }
    }

    rc = ngx_http_klaviyo_former_take(former, socket);

    if (rc != NGX_OK) {
        return rc;
    }

    do {
        n = recv(socket, &done, 1, 0);
    } while (n == -1 && ngx_errno == NGX_EINTR);

    if (n != 1) {
        return NGX_DECLINED;
    }

    return done ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_klaviyo_attach_detach(void *data)
{
    klaviyo_ring_t  *ring = data;

    klaviyo_ring_detach(ring);
}


/* how many rings the account has */

static ngx_uint_t
ngx_http_klaviyo_attach_conf(ngx_http_klaviyo_account_t *account,
    klaviyo_ring_conf_t *conf)
{
    ngx_memzero(conf, NGX_HTTP_KLAVIYO_RINGS * sizeof(klaviyo_ring_conf_t));

    conf[0].print = ngx_http_klaviyo_print;
    conf[0].print_data = account;
    conf[0].master = (int64_t) account->master;

    conf[1] = conf[0];

    conf[0].path = (const char *) account->queue.data;
    conf[0].size = account->queue_size;
    conf[0].drop_oldest = account->queue_full;

    if (account->hold == 0) {
        return 1;
    }

    conf[1].path = (const char *) account->hold_path.data;
    conf[1].size = account->hold_size;
    conf[1].drop_oldest = 1;

    return 2;
}


ngx_int_t
ngx_http_klaviyo_attach_enter(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    char                          error[KLAVIYO_RING_ERROR_MAX];
    ngx_uint_t                    i, k;
    klaviyo_ring_t               *ring;
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->queues.elts;

    for (i = 0; i < kmcf->queues.nelts; i++) {
        for (k = 0; k < NGX_HTTP_KLAVIYO_RINGS; k++) {

            ring = (k == 0) ? account[i]->ring : account[i]->hold_ring;

            if (ring && klaviyo_ring_enter(ring, error) != KLAVIYO_RING_OK) {
                ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                              "queue of klaviyo_account \"%V\": %s",
                              &account[i]->name, error);
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/*
 * By a worker and not by the master: it has the rights for it, and a
 * configuration that is refused has none.
 */

void
ngx_http_klaviyo_attach_paths(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    u_char                        file[PATH_MAX], *p, *last, *slash;
    char                          error[KLAVIYO_RING_ERROR_MAX];
    size_t                        dir;
    ngx_uint_t                    i;
    klaviyo_paths_t               paths;
    ngx_http_klaviyo_account_t   *account, **accounts;

    if (ngx_worker != 0) {
        return;
    }

    accounts = kmcf->queues.elts;
    last = file + sizeof(file);

    for (i = 0; i < kmcf->queues.nelts; i++) {
        account = accounts[i];

        dir = (u_char *) strrchr((char *) account->queue.data, '/') + 1
              - account->queue.data;

        p = ngx_snprintf(file, sizeof(file), "%*s%V" KLAVIYO_PATHS_SUFFIX "%Z",
                         dir, account->queue.data, &account->name);

        /* a lane's name has a slash */

        while (p < last && (slash = ngx_strlchr(file + dir, p, '/')) != NULL) {
            *slash = '.';
        }

        if (p == last
            || klaviyo_paths_set(paths.ring, account->queue.data,
                                 account->queue.len) == -1
            || klaviyo_paths_set(paths.spool, account->spool.data,
                                 account->spool.len) == -1
            || klaviyo_paths_set(paths.dead_letter, account->dead_letter.data,
                                 account->dead_letter.len) == -1)
        {
            continue;
        }

        if (klaviyo_paths_write((char *) file, &paths, error) == -1) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "klaviyo_account \"%V\": %s; klaviyo-queue does not "
                          "know it by its name", &account->name, error);
        }
    }
}

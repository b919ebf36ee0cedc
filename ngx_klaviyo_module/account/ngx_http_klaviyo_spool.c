/*
 * The settings `spool` and `dead_letter`: what an account has on disk.
 */


#include "ngx_http_klaviyo_arg.h"
#include "ngx_http_klaviyo_print.h"
#include "ngx_http_klaviyo_spool.h"

#include "queue/klaviyo_dead.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_spool.h"
#include "queue/klaviyo_spool_open.h"

#include <sys/vfs.h>


#define NGX_HTTP_KLAVIYO_SPOOL_DIR   "/var/spool/nginx-klaviyo/"
#define NGX_HTTP_KLAVIYO_SPOOL_DEAD  "/dead.jsonl"

#define NGX_HTTP_KLAVIYO_SYNC_MIN    10                     /* ms            */
#define NGX_HTTP_KLAVIYO_SYNC_MAX    (24 * 60 * 60 * 1000)

#define NGX_HTTP_KLAVIYO_TMPFS       0x01021994   /* f_type of statfs(2)     */
#define NGX_HTTP_KLAVIYO_RAMFS       0x858458f6


static char *ngx_http_klaviyo_spool_path(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_spool_size(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_spool_sync(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_dead_size(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static ngx_uint_t ngx_http_klaviyo_spool_memory(ngx_str_t *at,
    ngx_uint_t otherwise);
static void ngx_http_klaviyo_spool_warn(ngx_log_t *log,
    ngx_http_klaviyo_account_t *account);


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_spool_args[] = {
    { "size=", ngx_http_klaviyo_spool_size,
      offsetof(ngx_http_klaviyo_account_t, spool_size) },
    { "sync=", ngx_http_klaviyo_spool_sync,
      offsetof(ngx_http_klaviyo_account_t, spool_sync) },
    { NULL, NULL, 0 }
};


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_dead_args[] = {
    { "size=", ngx_http_klaviyo_dead_size,
      offsetof(ngx_http_klaviyo_account_t, dead_letter_size) },
    { NULL, NULL, 0 }
};


char *
ngx_http_klaviyo_spool(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    char       *rv;
    ngx_str_t  *path;

    path = &account->spool;

    rv = ngx_http_klaviyo_spool_path(cf, path, value, n);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    while (path->len && path->data[path->len - 1] == '/') {
        path->len--;
        path->data[path->len] = '\0';

        if (path->len == 0) {
            return "must name a directory of its own";
        }
    }

    return ngx_http_klaviyo_args(cf, account, ngx_http_klaviyo_spool_args,
                                 &value[1], n - 1);
}


char *
ngx_http_klaviyo_dead_letter(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    char       *rv;
    ngx_str_t  *path;

    path = &account->dead_letter;

    rv = ngx_http_klaviyo_spool_path(cf, path, value, n);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (path->len && path->data[path->len - 1] == '/') {
        return "must name a file";
    }

    return ngx_http_klaviyo_args(cf, account, ngx_http_klaviyo_dead_args,
                                 &value[1], n - 1);
}


/* "off" alone: an empty path that is not NULL */

static char *
ngx_http_klaviyo_spool_path(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_str_t  s;

    if (path->data) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[0].data, "off") == 0) {

        if (n > 1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": \"off\" stands "
                               "alone", &value[1]);
            return NGX_CONF_ERROR;
        }

        ngx_str_set(path, "");

        return NGX_CONF_OK;
    }

    if (value[0].len == 0
        || ngx_http_klaviyo_arg(&value[0], "size=", &s)
        || ngx_http_klaviyo_arg(&value[0], "sync=", &s))
    {
        return "must name a path first, or be \"off\"";
    }

    if (ngx_conf_full_name(cf->cycle, &value[0], 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* there is room for the names of what is inside or beside */

    if (value[0].len > NGX_MAX_PATH - 128) {
        return "has a path that is too long";
    }

    *path = value[0];

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_spool_size(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    size_t *size = field;

    if (*size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    return ngx_http_klaviyo_arg_size(cf, arg, value, KLAVIYO_SPOOL_MIN_SIZE,
                                     NGX_MAX_SIZE_T_VALUE / 4, size);
}


static char *
ngx_http_klaviyo_spool_sync(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    ngx_msec_t *sync = field;

    ngx_int_t  time;

    if (*sync != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    if (ngx_strcmp(value->data, "off") == 0) {
        *sync = 0;
        return NGX_CONF_OK;
    }

    time = ngx_parse_time(value, 0);

    if (time == NGX_ERROR || time < NGX_HTTP_KLAVIYO_SYNC_MIN
        || time > NGX_HTTP_KLAVIYO_SYNC_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": \"sync\" is a time of 10ms "
                           "to 24h, or \"off\"", arg);
        return NGX_CONF_ERROR;
    }

    *sync = time;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_dead_size(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    size_t *size = field;

    if (*size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    return ngx_http_klaviyo_arg_size(cf, arg, value, KLAVIYO_DEAD_MIN_SIZE,
                                     NGX_MAX_SIZE_T_VALUE / 4, size);
}


ngx_int_t
ngx_http_klaviyo_spool_init(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account)
{
    u_char     *p;
    ngx_str_t  *path;

    ngx_conf_init_size_value(account->spool_size, 1024 * 1024 * 1024);
    ngx_conf_init_msec_value(account->spool_sync, 0);
    ngx_conf_init_size_value(account->dead_letter_size, 64 * 1024 * 1024);

    path = &account->spool;

    if (path->data == NULL) {
        path->len = sizeof(NGX_HTTP_KLAVIYO_SPOOL_DIR) - 1
                    + account->name.len;

        p = ngx_pnalloc(cf->pool, path->len + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        path->data = p;

        (void) ngx_sprintf(p, NGX_HTTP_KLAVIYO_SPOOL_DIR "%V%Z",
                           &account->name);
    }

    path = &account->dead_letter;

    if (path->data == NULL && account->spool.len) {
        path->len = account->spool.len
                    + sizeof(NGX_HTTP_KLAVIYO_SPOOL_DEAD) - 1;

        p = ngx_pnalloc(cf->pool, path->len + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        path->data = p;

        (void) ngx_sprintf(p, "%V" NGX_HTTP_KLAVIYO_SPOOL_DEAD "%Z",
                           &account->spool);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_spool_conf(ngx_http_klaviyo_account_t *account,
    klaviyo_spool_conf_t *conf)
{
    klaviyo_ring_span_t  span;

    static const uint8_t  none[KLAVIYO_RING_UUID_LEN];

    ngx_memzero(conf, sizeof(klaviyo_spool_conf_t));

    conf->dir = (const char *) account->spool.data;
    conf->size = account->spool_size;

    if (account->ring
        && klaviyo_ring_span(account->ring, &span) == KLAVIYO_RING_OK)
    {
        ngx_memcpy(conf->ring, span.uuid, KLAVIYO_RING_UUID_LEN);
    }

    return ngx_http_klaviyo_print(account, none, &conf->print) == 0
           ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_klaviyo_spool_check(ngx_log_t *log,
    ngx_http_klaviyo_account_t *account)
{
    char                  error[KLAVIYO_RING_ERROR_MAX];
    const char           *what;
    klaviyo_dead_conf_t   dead;
    klaviyo_spool_conf_t  spool;

    if (account->spool.len
        && !(account->missing & NGX_HTTP_KLAVIYO_NO_SPOOL))
    {
        if (ngx_http_klaviyo_spool_conf(account, &spool) != NGX_OK) {
            return NGX_ERROR;
        }

        /* a ring that is there speaks for its spool */

        if (access((char *) account->queue.data, F_OK) == 0) {
            ngx_memzero(&spool.print, sizeof(klaviyo_ring_print_t));
        }

        if (klaviyo_spool_probe(&spool, error) != KLAVIYO_SPOOL_OK) {
            what = "spool";
            goto failed;
        }
    }

    ngx_http_klaviyo_spool_warn(log, account);

    if (account->dead_letter.len
        && !(account->missing & NGX_HTTP_KLAVIYO_NO_DEAD_LETTER))
    {
        dead.path = (const char *) account->dead_letter.data;
        dead.size = account->dead_letter_size;

        if (klaviyo_dead_check(&dead, !ngx_test_config, error)
            != KLAVIYO_RING_OK)
        {
            what = "dead_letter";
            goto failed;
        }
    }

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_EMERG, log, 0,
                  "%s of klaviyo_account \"%V\" in %s:%ui: %s",
                  what, &account->name, account->conf_file,
                  account->conf_line, error);

    return NGX_ERROR;
}


/* of one that is not there yet, the directory that it is to be made in */

static ngx_uint_t
ngx_http_klaviyo_spool_memory(ngx_str_t *at, ngx_uint_t otherwise)
{
    int             rc;
    char            path[PATH_MAX], *slash;
    struct statfs   fs;

    (void) ngx_cpystrn((u_char *) path, at->data, sizeof(path));

    for ( ;; ) {
        rc = statfs(path, &fs);
        slash = strrchr(path, '/');

        if (rc == 0 || ngx_errno != NGX_ENOENT || slash == NULL) {
            break;
        }

        *slash = '\0';
    }

    if (rc != 0) {
        return otherwise;
    }

    return (uint32_t) fs.f_type == NGX_HTTP_KLAVIYO_TMPFS
           || (uint32_t) fs.f_type == NGX_HTTP_KLAVIYO_RAMFS;
}


static void
ngx_http_klaviyo_spool_warn(ngx_log_t *log,
    ngx_http_klaviyo_account_t *account)
{
    if (account->spool.len
        && ngx_http_klaviyo_spool_memory(&account->spool, 0))
    {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "spool \"%V\" of klaviyo_account \"%V\" in %s:%ui is "
                      "on tmpfs and does not survive a reboot: choose a path "
                      "on disk",
                      &account->spool, &account->name, account->conf_file,
                      account->conf_line);
    }

    if (!ngx_http_klaviyo_spool_memory(&account->queue, 1)) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "queue \"%V\" of klaviyo_account \"%V\" in %s:%ui is "
                      "on a disk, which requests may have to wait for: choose "
                      "a path on tmpfs, as below /run, and a \"spool\" on "
                      "disk",
                      &account->queue, &account->name, account->conf_file,
                      account->conf_line);
    }
}

/*
 * Where the files of an account are: no two accounts share one.
 */


#include "ngx_http_klaviyo_path.h"


typedef struct {
    const char  *setting;
    size_t       offset;
} ngx_http_klaviyo_path_t;


/* what an account has of its own on a file system */

static ngx_http_klaviyo_path_t  ngx_http_klaviyo_paths[] = {
    { "queue", offsetof(ngx_http_klaviyo_account_t, queue) },
    { "hold", offsetof(ngx_http_klaviyo_account_t, hold_path) },
    { "spool", offsetof(ngx_http_klaviyo_account_t, spool) },
    { "dead_letter", offsetof(ngx_http_klaviyo_account_t, dead_letter) },
    { NULL, 0 }
};


ngx_int_t
ngx_http_klaviyo_path_distinct(ngx_log_t *log,
    ngx_http_klaviyo_account_t *account, ngx_http_klaviyo_account_t *other)
{
    ngx_str_t                *path, *taken;
    ngx_http_klaviyo_path_t  *p, *q;

    for (p = ngx_http_klaviyo_paths; p->setting; p++) {
        path = (ngx_str_t *) ((char *) account + p->offset);

        for (q = ngx_http_klaviyo_paths; q->setting; q++) {
            taken = (ngx_str_t *) ((char *) other + q->offset);

            if (path == taken) {
                break;
            }

            if (!ngx_http_klaviyo_path_same(path, taken)) {
                continue;
            }

            if (p == q) {
                ngx_log_error(NGX_LOG_EMERG, log, 0,
                              "klaviyo_account \"%V\" in %s:%ui has the same "
                              "%s \"%V\" as account \"%V\"",
                              &account->name, account->conf_file,
                              account->conf_line, p->setting, path,
                              &other->name);

            } else {
                ngx_log_error(NGX_LOG_EMERG, log, 0,
                              "klaviyo_account \"%V\" in %s:%ui has as its %s "
                              "\"%V\" what is the %s of account \"%V\"",
                              &account->name, account->conf_file,
                              account->conf_line, p->setting, path,
                              q->setting, &other->name);
            }

            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_klaviyo_path_same(ngx_str_t *path, ngx_str_t *other)
{
    char         dir[PATH_MAX], *name, *other_name;
    struct stat  st, other_st;

    if (path->len == 0 || other->len == 0) {
        return 0;
    }

    if (stat((char *) path->data, &st) == 0
        && stat((char *) other->data, &other_st) == 0)
    {
        return st.st_dev == other_st.st_dev && st.st_ino == other_st.st_ino;
    }

    name = strrchr((char *) path->data, '/') + 1;
    other_name = strrchr((char *) other->data, '/') + 1;

    if (ngx_strcmp(name, other_name) != 0) {
        return 0;
    }

    if (path->len == other->len
        && ngx_strncmp(path->data, other->data, path->len) == 0)
    {
        return 1;
    }

    /* one directory may have many spellings */

    (void) ngx_cpystrn((u_char *) dir, path->data,
                       name - (char *) path->data + 1);

    if (stat(dir, &st) == -1) {
        return 0;
    }

    (void) ngx_cpystrn((u_char *) dir, other->data,
                       other_name - (char *) other->data + 1);

    return stat(dir, &other_st) == 0
           && st.st_dev == other_st.st_dev
           && st.st_ino == other_st.st_ino;
}

/*
 * account: secrets in files.  It may touch nothing but the file and the pages
 * that it makes.
 */


#include "ngx_http_klaviyo_secret.h"
#include "ngx_http_klaviyo_user.h"
#include "klaviyo_readers.h"

#include <sys/mman.h>


static ngx_int_t ngx_http_klaviyo_secret_check(ngx_conf_t *cf, ngx_fd_t fd,
    ngx_str_t *path, const char *kind, const char *holds);
static ngx_int_t ngx_http_klaviyo_secret_readers(ngx_conf_t *cf, ngx_fd_t fd,
    ngx_file_info_t *fi, ngx_str_t *path, const char *kind);
static void ngx_http_klaviyo_secret_cleanup(void *data);


ngx_int_t
ngx_http_klaviyo_secret_read(ngx_conf_t *cf, ngx_str_t *path,
    const char *directive, const char *kind, const char *holds, u_char *buf,
    ngx_str_t *secret)
{
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_int_t  rc;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    /* O_NONBLOCK: a FIFO must not hold up the start */

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed: \"%s\" must name "
                           "a file with %s%s", path, directive, holds,
                           (ngx_errno == NGX_EACCES)
                           ? ", which the user who starts nginx can read" : "");
        return NGX_ERROR;
    }

    rc = ngx_http_klaviyo_secret_check(cf, fd, path, kind, holds);

    if (rc == NGX_OK) {
        n = ngx_read_fd(fd, buf, NGX_HTTP_KLAVIYO_SECRET_MAX);

        if (n == -1) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                               ngx_read_fd_n " \"%V\" failed", path);
            rc = NGX_ERROR;
            n = 0;
        }

        secret->data = buf;
        secret->len = n;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    while (secret->len
           && (secret->data[secret->len - 1] == LF
               || secret->data[secret->len - 1] == CR))
    {
        secret->len--;
    }

    if (secret->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" is empty: it must hold %s", kind, path,
                           holds);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_secret_check(ngx_conf_t *cf, ngx_fd_t fd, ngx_str_t *path,
    const char *kind, const char *holds)
{
    ngx_file_info_t  fi;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" is not a regular file", kind, path);
        return NGX_ERROR;
    }

    if (ngx_http_klaviyo_secret_readers(cf, fd, &fi, path, kind) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_file_size(&fi) > NGX_HTTP_KLAVIYO_SECRET_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" is longer than %d bytes: it must "
                           "hold %s and nothing else",
                           kind, path, NGX_HTTP_KLAVIYO_SECRET_MAX, holds);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_secret_readers(ngx_conf_t *cf, ngx_fd_t fd,
    ngx_file_info_t *fi, ngx_str_t *path, const char *kind)
{
    ngx_int_t                rc;
    klaviyo_readers_e        readers;
    klaviyo_readers_t        worker;
    ngx_http_klaviyo_user_t  user;

    /* nobody can read what no bit of the mode lets anybody read */

    if (!(fi->st_mode & (S_IRGRP|S_IWGRP|S_IROTH|S_IWOTH))) {
        return NGX_OK;
    }

    rc = NGX_OK;
    ngx_memzero(&user, sizeof(ngx_http_klaviyo_user_t));

    if (!(fi->st_mode & (S_IWGRP|S_IROTH|S_IWOTH))) {
        rc = ngx_http_klaviyo_user_init(cf->cycle, cf->log, &user);
    }

    if (rc == NGX_AGAIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" can be read or written by others than "
                           "its owner, by its group: run \"chmod 600 %V\", or "
                           "put \"user\" before \"http\" if the group is "
                           "one of the workers'", kind, path, path);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    klaviyo_readers_set(&worker, user.name, user.uid, user.gid);

    readers = klaviyo_readers(fd, fi, &worker);

    if (readers == KLAVIYO_READERS_GOOD) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s \"%V\" can be %s %V\"",
                       kind, path, klaviyo_readers_text[readers], path);

    return NGX_ERROR;
}


ngx_int_t
ngx_http_klaviyo_secret_keep(ngx_conf_t *cf, ngx_str_t *prefix,
    ngx_str_t *secret, ngx_str_t *kept)
{
    size_t               len;
    u_char              *p;
    ngx_str_t           *pages;
    ngx_pool_cleanup_t  *cln;

    len = prefix->len + secret->len + 1;

    p = mmap(NULL, len, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1,
             0);
    if (p == MAP_FAILED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "mmap(%uz) failed", len);
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->cycle->pool, sizeof(ngx_str_t));
    if (cln == NULL) {
        munmap(p, len);
        return NGX_ERROR;
    }

    pages = cln->data;

    pages->data = p;
    pages->len = len;

    cln->handler = ngx_http_klaviyo_secret_cleanup;

    if (madvise(p, len, MADV_DONTDUMP) == -1) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, ngx_errno,
                           "madvise(MADV_DONTDUMP) failed: core files will "
                           "hold the key");
    }

    kept->data = p;
    kept->len = len - 1;

    if (prefix->len) {
        p = ngx_cpymem(p, prefix->data, prefix->len);
    }

    p = ngx_cpymem(p, secret->data, secret->len);
    *p = '\0';

    return NGX_OK;
}


static void
ngx_http_klaviyo_secret_cleanup(void *data)
{
    ngx_str_t  *pages = data;

    explicit_bzero(pages->data, pages->len);

    if (munmap(pages->data, pages->len) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "munmap(%p, %uz) failed", pages->data, pages->len);
    }
}

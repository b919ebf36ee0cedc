/*
 * The private key: read once by the master, kept in pages of its own that
 * core files leave out, wiped when the configuration goes.  And the public
 * one, which is the name that Klaviyo gave to the account.
 */


#include "ngx_http_klaviyo_setting.h"

#include <sys/mman.h>


#define NGX_HTTP_KLAVIYO_KEY_MAX     512
#define NGX_HTTP_KLAVIYO_KEY_PREFIX  "pk_"
#define NGX_HTTP_KLAVIYO_KEY_HEADER  "Authorization: Klaviyo-API-Key "
#define NGX_HTTP_KLAVIYO_COMPANY     6


static char *ngx_http_klaviyo_key_store(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *key, const char *source,
    ngx_str_t *name);
static void ngx_http_klaviyo_key_cleanup(void *data);


char *
ngx_http_klaviyo_key_file(ngx_conf_t *cf, ngx_http_klaviyo_account_t *account,
    ngx_str_t *value)
{
    char             *rv;
    u_char            buf[NGX_HTTP_KLAVIYO_KEY_MAX];
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_str_t         key;
    ngx_file_info_t   fi;

    if (ngx_conf_full_name(cf->cycle, value, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* O_NONBLOCK: a FIFO must not hold up the start */

    fd = ngx_open_file(value->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed: \"api_key_file\" "
                           "must name a file with Klaviyo's private key",
                           value);
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_ERROR;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", value);
        goto done;
    }

    if (!ngx_is_file(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "key file \"%V\" is not a regular file", value);
        goto done;
    }

    if (fi.st_mode & (S_IRGRP|S_IWGRP|S_IROTH|S_IWOTH)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "key file \"%V\" can be read or written by others "
                           "than its owner: run \"chmod 600 %V\"",
                           value, value);
        goto done;
    }

    if (ngx_file_size(&fi) > NGX_HTTP_KLAVIYO_KEY_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "key file \"%V\" is longer than %d bytes: it must "
                           "hold Klaviyo's private key and nothing else",
                           value, NGX_HTTP_KLAVIYO_KEY_MAX);
        goto done;
    }

    n = ngx_read_fd(fd, buf, NGX_HTTP_KLAVIYO_KEY_MAX);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" failed", value);
        goto done;
    }

    key.data = buf;
    key.len = n;

    while (key.len
           && (key.data[key.len - 1] == LF || key.data[key.len - 1] == CR))
    {
        key.len--;
    }

    rv = ngx_http_klaviyo_key_store(cf, account, &key, "key file", value);

    explicit_bzero(buf, sizeof(buf));

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", value);
    }

    return rv;
}


char *
ngx_http_klaviyo_key(ngx_conf_t *cf, ngx_http_klaviyo_account_t *account,
    ngx_str_t *value)
{
    char  *rv;

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "\"api_key\" holds the key in the configuration, "
                       "\"nginx -T\" prints it: use \"api_key_file\"");

    rv = ngx_http_klaviyo_key_store(cf, account, value, "api_key of account",
                                    &account->name);

    explicit_bzero(value->data, value->len);

    return rv;
}


/* no message here shows a byte of the key */

static char *
ngx_http_klaviyo_key_store(ngx_conf_t *cf, ngx_http_klaviyo_account_t *account,
    ngx_str_t *key, const char *source, ngx_str_t *name)
{
    size_t               i, len;
    u_char              *p;
    ngx_pool_cleanup_t  *cln;

    if (key->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" is empty: it must hold Klaviyo's "
                           "private key", source, name);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < key->len; i++) {
        if (key->data[i] <= ' ' || key->data[i] >= 0x7f) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%s \"%V\" is malformed: blank, control or "
                               "non-ASCII character at byte %uz, expected "
                               "one line with Klaviyo's private key",
                               source, name, i + 1);
            return NGX_CONF_ERROR;
        }
    }

    len = sizeof(NGX_HTTP_KLAVIYO_KEY_PREFIX) - 1;

    if (key->len <= len
        || ngx_strncmp(key->data, NGX_HTTP_KLAVIYO_KEY_PREFIX, len) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" is malformed: Klaviyo's private keys "
                           "begin with \"" NGX_HTTP_KLAVIYO_KEY_PREFIX "\"",
                           source, name);
        return NGX_CONF_ERROR;
    }

    len = sizeof(NGX_HTTP_KLAVIYO_KEY_HEADER) + key->len;

    p = mmap(NULL, len, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1,
             0);
    if (p == MAP_FAILED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "mmap(%uz) failed", len);
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->cycle->pool, 0);
    if (cln == NULL) {
        munmap(p, len);
        return NGX_CONF_ERROR;
    }

    account->authorization.data = p;
    account->authorization.len = len - 1;

    cln->handler = ngx_http_klaviyo_key_cleanup;
    cln->data = account;

    if (madvise(p, len, MADV_DONTDUMP) == -1) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, ngx_errno,
                           "madvise(MADV_DONTDUMP) failed: core files will "
                           "hold the key");
    }

    p = ngx_cpymem(p, NGX_HTTP_KLAVIYO_KEY_HEADER,
                   sizeof(NGX_HTTP_KLAVIYO_KEY_HEADER) - 1);
    p = ngx_cpymem(p, key->data, key->len);
    *p = '\0';

    return NGX_CONF_OK;
}


char *
ngx_http_klaviyo_company(ngx_conf_t *cf, ngx_http_klaviyo_account_t *account,
    ngx_str_t *value, ngx_uint_t n)
{
    u_char      ch;
    ngx_uint_t  i;

    (void) n;

    if (account->company.data) {
        return "is duplicate";
    }

    if (value->len != NGX_HTTP_KLAVIYO_COMPANY) {
        goto invalid;
    }

    for (i = 0; i < value->len; i++) {
        ch = ngx_tolower(value->data[i]);

        if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9')) {
            goto invalid;
        }
    }

    account->company = *value;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid company \"%V\": expected the account's public "
                       "key, 6 letters and digits like \"ABC123\"", value);

    return NGX_CONF_ERROR;
}


static void
ngx_http_klaviyo_key_cleanup(void *data)
{
    ngx_http_klaviyo_account_t  *account = data;

    size_t  len;

    len = account->authorization.len + 1;

    explicit_bzero(account->authorization.data, len);

    if (munmap(account->authorization.data, len) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "munmap(%p, %uz) failed",
                      account->authorization.data, len);
    }

    ngx_str_null(&account->authorization);
}

/*
 * By what a queue is told from that of another account, and by what it is
 * known as that of this nginx.
 */


#include "ngx_http_klaviyo_print.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>


static int
ngx_http_klaviyo_print_hash(const uint8_t *uuid, ngx_str_t *text, uint8_t *to)
{
    u_char    hash[EVP_MAX_MD_SIZE];
    unsigned  len;

    len = 0;

    if (HMAC(EVP_sha256(), uuid, KLAVIYO_RING_UUID_LEN, text->data, text->len,
             hash, &len)
        == NULL
        || len < KLAVIYO_RING_PRINT_LEN)
    {
        return -1;
    }

    ngx_memcpy(to, hash, KLAVIYO_RING_PRINT_LEN);

    return 0;
}


/* the key has 200 bits of chance: no list of keys gives it back */

int
ngx_http_klaviyo_print(const void *data, const uint8_t *uuid,
    klaviyo_ring_print_t *print)
{
    ngx_http_klaviyo_account_t  *account = (void *) data;

    ngx_memzero(print, sizeof(klaviyo_ring_print_t));

    print->dry_run = (account->dry_run != 0);

    if (account->company.len
        && ngx_http_klaviyo_print_hash(uuid, &account->company,
                                       print->company)
           != 0)
    {
        return -1;
    }

    if (ngx_http_klaviyo_print_hash(uuid, &account->authorization, print->key)
        != 0)
    {
        return -1;
    }

    return ngx_http_klaviyo_print_hash(uuid, &account->endpoint,
                                       print->endpoint);
}


/* the process that the pid file names: "pid" has been read, or is default */

static ngx_pid_t
ngx_http_klaviyo_print_running(ngx_cycle_t *cycle)
{
    u_char            buf[NGX_INT64_LEN + 2], *p;
    ngx_fd_t          fd;
    ssize_t           n;
    ngx_int_t         pid;
    ngx_str_t         path;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    path = ccf->pid;

    if (path.len == 0) {
        ngx_str_set(&path, NGX_PID_PATH);
    }

    if (ngx_conf_full_name(cycle, &path, 0) != NGX_OK) {
        return 0;
    }

    fd = ngx_open_file(path.data, NGX_FILE_RDONLY|O_CLOEXEC, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        return 0;
    }

    n = read(fd, buf, sizeof(buf));

    (void) ngx_close_file(fd);

    if (n <= 0) {
        return 0;
    }

    for (p = buf; p < buf + n && *p >= '0' && *p <= '9'; p++) { /* void */ }

    pid = ngx_atoi(buf, p - buf);

    return pid > 0 ? (ngx_pid_t) pid : 0;
}


ngx_pid_t
ngx_http_klaviyo_print_master(ngx_cycle_t *cycle)
{
    if (ngx_test_config) {
        return ngx_http_klaviyo_print_running(cycle);
    }

    if (cycle->old_cycle && !ngx_is_init_cycle(cycle->old_cycle)) {
        return ngx_pid;
    }

    /* a new binary is the child of the master that it is to replace */

    return ngx_inherited ? getppid() : 0;
}

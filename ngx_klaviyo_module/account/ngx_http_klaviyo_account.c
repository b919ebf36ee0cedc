/*
 * The block klaviyo_account, and the life of the accounts' rings in the
 * master: attached when the configuration is complete, detached with it.
 */


#include "ngx_http_klaviyo_setting.h"


#define NGX_HTTP_KLAVIYO_QUEUE_DIR  "/run/nginx-klaviyo/"


static ngx_int_t ngx_http_klaviyo_account_check_name(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_str_t *name);
static void ngx_http_klaviyo_account_unset(ngx_http_klaviyo_account_t *account);
static char *ngx_http_klaviyo_account_init(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account);
static ngx_int_t ngx_http_klaviyo_account_attach_one(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, klaviyo_ring_conf_t *conf,
    klaviyo_ring_t **ring);
static void ngx_http_klaviyo_account_detach(void *data);


char *
ngx_http_klaviyo_account_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_main_conf_t  *kmcf = conf;

    char                         *rv;
    ngx_str_t                    *value;
    ngx_conf_t                    save;
    ngx_http_klaviyo_account_t  **slot, *account;

    (void) cmd;

    value = cf->args->elts;

    if (ngx_http_klaviyo_account_check_name(cf, kmcf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    account = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_account_t));
    if (account == NULL) {
        return NGX_CONF_ERROR;
    }

    slot = ngx_array_push(&kmcf->accounts);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = account;

    account->name = value[1];
    account->conf_file = cf->conf_file->file.name.data;
    account->conf_line = cf->conf_file->line;

    ngx_http_klaviyo_account_unset(account);

    save = *cf;

    cf->handler = ngx_http_klaviyo_setting;
    cf->handler_conf = (void *) account;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_klaviyo_account_init(cf, account);
}


/* the name is part of paths, and a key of the status */

static ngx_int_t
ngx_http_klaviyo_account_check_name(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_str_t *name)
{
    size_t  i;
    u_char  ch;

    if (name->len == 0 || name->len > 64) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "account name \"%V\" must have 1 to 64 characters",
                           name);
        return NGX_ERROR;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-'
            || (ch == '.' && i != 0))
        {
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid account name \"%V\": use letters, digits, "
                           "\"_\", \"-\" and \".\"", name);
        return NGX_ERROR;
    }

    if (ngx_http_klaviyo_account_find(kmcf, name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate klaviyo_account \"%V\"", name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_klaviyo_account_unset(ngx_http_klaviyo_account_t *account)
{
    /*
     * set by ngx_pcalloc():
     *
     *     account->authorization, company, endpoint, revision, queue,
     *     spool, dead_letter, ssl_trusted_certificate, proxy = { 0, NULL };
     *     account->hold_path = { 0, NULL };
     *     account->owner, group = 0;
     *     account->ring, hold_ring, limits_zone, hold_zone = NULL;
     */

    account->queue_size = NGX_CONF_UNSET_SIZE;
    account->queue_full = NGX_CONF_UNSET_UINT;
    account->spool_size = NGX_CONF_UNSET_SIZE;
    account->spool_sync = NGX_CONF_UNSET_MSEC;
    account->dead_letter_size = NGX_CONF_UNSET_SIZE;
    account->batch_events = NGX_CONF_UNSET_UINT;
    account->batch_bytes = NGX_CONF_UNSET_SIZE;
    account->batch_linger = NGX_CONF_UNSET_MSEC;
    account->rate_share = NGX_CONF_UNSET_UINT;
    account->hold = NGX_CONF_UNSET_MSEC;
    account->hold_size = NGX_CONF_UNSET_SIZE;
    account->retry_min = NGX_CONF_UNSET_MSEC;
    account->retry_max = NGX_CONF_UNSET_MSEC;
    account->retry_max_age = NGX_CONF_UNSET;
    account->connect_timeout = NGX_CONF_UNSET_MSEC;
    account->total_timeout = NGX_CONF_UNSET_MSEC;
    account->ssl_verify = NGX_CONF_UNSET;
    account->dry_run = NGX_CONF_UNSET;
}


static char *
ngx_http_klaviyo_account_init(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account)
{
    u_char  *p;

    if (account->authorization.data == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"api_key_file\" in klaviyo_account \"%V\"",
                           &account->name);
        return NGX_CONF_ERROR;
    }

    if (account->endpoint.data == NULL) {
        ngx_str_set(&account->endpoint, "https://a.klaviyo.com");
    }

    if (account->proxy.len
        && ngx_strncasecmp(account->endpoint.data, (u_char *) "http://", 7)
           == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "endpoint \"%V\" of klaviyo_account \"%V\" would "
                           "send the key unencrypted to the proxy \"%V\": use "
                           "\"https://\", or no \"proxy\"",
                           &account->endpoint, &account->name,
                           &account->proxy);
        return NGX_CONF_ERROR;
    }

    if (account->revision.data == NULL) {
        ngx_str_set(&account->revision, NGX_HTTP_KLAVIYO_REVISION);
    }

    if (account->queue.data == NULL) {
        account->queue.len = sizeof(NGX_HTTP_KLAVIYO_QUEUE_DIR) - 1
                             + account->name.len + sizeof(".ring") - 1;

        p = ngx_pnalloc(cf->pool, account->queue.len + 1);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        account->queue.data = p;

        (void) ngx_sprintf(p, NGX_HTTP_KLAVIYO_QUEUE_DIR "%V.ring%Z",
                           &account->name);
    }

    if (account->hold != NGX_CONF_UNSET_MSEC && account->hold) {
        account->hold_path.len = account->queue.len + sizeof(".hold") - 1;

        p = ngx_pnalloc(cf->pool, account->hold_path.len + 1);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        account->hold_path.data = p;

        (void) ngx_sprintf(p, "%V.hold%Z", &account->queue);
    }

    ngx_conf_init_size_value(account->queue_size, 64 * 1024 * 1024);
    ngx_conf_init_uint_value(account->queue_full, 0);

    if (ngx_http_klaviyo_spool_init(cf, account) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_uint_value(account->batch_events, 1000);
    ngx_conf_init_size_value(account->batch_bytes, 4 * 1024 * 1024);
    ngx_conf_init_msec_value(account->batch_linger, 1000);
    ngx_conf_init_uint_value(account->rate_share, 100);
    ngx_conf_init_msec_value(account->hold, 0);
    ngx_conf_init_size_value(account->hold_size, 8 * 1024 * 1024);
    ngx_conf_init_msec_value(account->retry_min, 1000);
    ngx_conf_init_msec_value(account->retry_max, 5 * 60 * 1000);
    ngx_conf_init_value(account->retry_max_age, 72 * 60 * 60);
    ngx_conf_init_msec_value(account->connect_timeout, 5000);
    ngx_conf_init_msec_value(account->total_timeout, 30000);
    ngx_conf_init_value(account->ssl_verify, 1);
    ngx_conf_init_value(account->dry_run, 0);

    if (account->retry_max < account->retry_min) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"retry\" of klaviyo_account \"%V\": \"max\" must "
                           "not be less than \"min\" (%M ms)",
                           &account->name, account->retry_min);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


ngx_http_klaviyo_account_t *
ngx_http_klaviyo_account_find(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_str_t *name)
{
    ngx_uint_t                    i;
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {
        if (account[i]->name.len == name->len
            && ngx_strncmp(account[i]->name.data, name->data, name->len) == 0)
        {
            return account[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_klaviyo_account_attach(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_uint_t                    i, n;
    klaviyo_ring_conf_t           conf;
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        for (n = 0; n <= i; n++) {
            if (ngx_http_klaviyo_path_distinct(cf, account[i], account[n])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        /* `nginx -s` reads the configuration too, only to find the pid */

        if (ngx_process == NGX_PROCESS_SIGNALLER) {
            continue;
        }

        ngx_http_klaviyo_path_owner(cf, account[i]);

        if (ngx_http_klaviyo_spool_check(cf, account[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        conf.path = (const char *) account[i]->queue.data;
        conf.size = account[i]->queue_size;
        conf.drop_oldest = account[i]->queue_full;
        conf.owner = account[i]->owner;

        if (ngx_http_klaviyo_account_attach_one(cf, account[i], &conf,
                                                &account[i]->ring)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (account[i]->hold == 0) {
            continue;
        }

        conf.path = (const char *) account[i]->hold_path.data;
        conf.size = account[i]->hold_size;
        conf.drop_oldest = 1;

        if (ngx_http_klaviyo_account_attach_one(cf, account[i], &conf,
                                                &account[i]->hold_ring)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_account_attach_one(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, klaviyo_ring_conf_t *conf,
    klaviyo_ring_t **ring)
{
    char                 error[KLAVIYO_RING_ERROR_MAX];
    char                 note[KLAVIYO_RING_ERROR_MAX];
    klaviyo_ring_rc_e    rc;
    ngx_pool_cleanup_t  *cln;

    if (ngx_test_config) {
        rc = klaviyo_ring_probe(conf, error);

    } else {
        cln = ngx_pool_cleanup_add(cf->cycle->pool, 0);
        if (cln == NULL) {
            return NGX_ERROR;
        }

        rc = klaviyo_ring_attach(ring, conf, error, note);

        if (rc == KLAVIYO_RING_OK) {
            cln->handler = ngx_http_klaviyo_account_detach;
            cln->data = *ring;

            if (note[0]) {
                ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                              "queue of klaviyo_account \"%V\": %s",
                              &account->name, note);
            }
        }
    }

    if (rc != KLAVIYO_RING_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "queue of klaviyo_account \"%V\" in %s:%ui: %s",
                      &account->name, account->conf_file, account->conf_line,
                      error);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_klaviyo_account_detach(void *data)
{
    klaviyo_ring_t  *ring = data;

    klaviyo_ring_detach(ring);
}


ngx_int_t
ngx_http_klaviyo_account_chown(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_err_t                     err;
    ngx_uint_t                    i;
    ngx_core_conf_t              *ccf;
    ngx_http_klaviyo_account_t  **account;

    if (geteuid() != 0) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    if (ccf->user == (ngx_uid_t) NGX_CONF_UNSET_UINT) {
        return NGX_OK;
    }

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (account[i]->owner != ccf->user
            && (account[i]->spool.len || account[i]->dead_letter.len))
        {
            ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                          "the files of klaviyo_account \"%V\" in %s:%ui may "
                          "not belong to the user of the workers: put "
                          "\"user\" before \"http\"",
                          &account[i]->name, account[i]->conf_file,
                          account[i]->conf_line);
        }

        if (account[i]->ring == NULL) {
            continue;
        }

        err = klaviyo_ring_chown(account[i]->ring, ccf->user, ccf->group);

        if (err == 0 && account[i]->hold_ring) {
            err = klaviyo_ring_chown(account[i]->hold_ring, ccf->user,
                                     ccf->group);
        }

        if (err) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, err,
                          "chown() of queue \"%V\" to the user of the workers "
                          "failed", &account[i]->queue);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

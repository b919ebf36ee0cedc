/*
 * webhook: the directive, and what it becomes in each location.
 */


#include "account/ngx_http_klaviyo_secret.h"
#include "ngx_http_klaviyo_webhook.h"


#define NGX_HTTP_KLAVIYO_WEBHOOK_TOLERANCE      300     /* s                 */
#define NGX_HTTP_KLAVIYO_WEBHOOK_TOLERANCE_MAX  86400


static char *ngx_http_klaviyo_webhook_args(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook);
static char *ngx_http_klaviyo_webhook_secret(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_str_t *path);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_webhook_account(
    ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_str_t *name);


char *
ngx_http_klaviyo_webhook(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_location_t *location = conf;

    ngx_str_t                     *value;
    ngx_http_klaviyo_webhook_t    *webhook;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    (void) cmd;

    if (location->webhook != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        location->webhook = NULL;
        return NGX_CONF_OK;
    }

    webhook = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_webhook_t));
    if (webhook == NULL) {
        return NGX_CONF_ERROR;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     webhook->n = 0;
     *     webhook->account = NULL;
     *     webhook->account_name = { 0, NULL };
     */

    webhook->tolerance = NGX_CONF_UNSET;
    webhook->conf_file = cf->conf_file->file.name.data;
    webhook->conf_line = cf->conf_file->line;

    location->webhook = webhook;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);
    kmcf->webhook = 1;

    return ngx_http_klaviyo_webhook_args(cf, webhook);
}


static char *
ngx_http_klaviyo_webhook_args(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook)
{
    ngx_str_t   *value, s;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        s = value[i];

        if (ngx_strncmp(s.data, "secret_file=", 12) == 0 && s.len > 12) {
            s.data += 12;
            s.len -= 12;

            if (ngx_http_klaviyo_webhook_secret(cf, webhook, &s)
                != NGX_CONF_OK)
            {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(s.data, "tolerance=", 10) == 0) {
            s.data += 10;
            s.len -= 10;

            if (webhook->tolerance != NGX_CONF_UNSET) {
                goto duplicate;
            }

            webhook->tolerance = ngx_parse_time(&s, 1);

            if (webhook->tolerance < 1
                || webhook->tolerance > NGX_HTTP_KLAVIYO_WEBHOOK_TOLERANCE_MAX)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid parameter \"%V\": \"tolerance\" "
                                   "is 1s to 1d", &value[i]);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(s.data, "account=", 8) == 0 && s.len > 8) {

            if (webhook->account_name.len) {
                goto duplicate;
            }

            webhook->account_name.data = s.data + 8;
            webhook->account_name.len = s.len - 8;

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\": expected "
                           "\"secret_file=\", \"tolerance=\" or \"account=\"",
                           &value[i]);
        return NGX_CONF_ERROR;
    }

    if (webhook->n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"klaviyo_webhook\" needs \"secret_file=<path>\"");
        return NGX_CONF_ERROR;
    }

    if (webhook->tolerance == NGX_CONF_UNSET) {
        webhook->tolerance = NGX_HTTP_KLAVIYO_WEBHOOK_TOLERANCE;
    }

    return NGX_CONF_OK;

duplicate:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "parameter \"%V\" is duplicate", &value[i]);

    return NGX_CONF_ERROR;
}


/* no message here shows a byte of the secret */

static char *
ngx_http_klaviyo_webhook_secret(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_str_t *path)
{
    char        *rv;
    u_char       buf[NGX_HTTP_KLAVIYO_SECRET_MAX];
    ngx_str_t    prefix, secret, kept;
    ngx_uint_t   i;

    if (webhook->n == KLAVIYO_WEBHOOK_SECRETS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"klaviyo_webhook\" takes at most %d secrets",
                           KLAVIYO_WEBHOOK_SECRETS);
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_ERROR;

    if (ngx_http_klaviyo_secret_read(cf, path, "secret_file", "secret file",
                                     "the secret of a webhook", buf, &secret)
        != NGX_OK)
    {
        goto done;
    }

    for (i = 0; i < secret.len; i++) {
        if (secret.data[i] < ' ' || secret.data[i] == 0x7f) {
            goto malformed;
        }
    }

    if (secret.data[0] == ' ' || secret.data[secret.len - 1] == ' ') {
        goto malformed;
    }

    ngx_str_null(&prefix);

    if (ngx_http_klaviyo_secret_keep(cf, &prefix, &secret, &kept) == NGX_OK) {
        webhook->secrets[webhook->n].data = kept.data;
        webhook->secrets[webhook->n].len = kept.len;
        webhook->n++;

        rv = NGX_CONF_OK;
    }

    goto done;

malformed:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "secret file \"%V\" is malformed: control character, "
                       "or blank at an end, expected one line with the secret "
                       "of a webhook", path);

done:

    explicit_bzero(buf, sizeof(buf));

    return rv;
}


char *
ngx_http_klaviyo_webhook_merge(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_location_t *prev,
    ngx_http_klaviyo_location_t *conf, ngx_str_t *account)
{
    ngx_http_klaviyo_webhook_t  *webhook;

    ngx_conf_merge_ptr_value(conf->webhook, prev->webhook, NULL);

    webhook = conf->webhook;

    if (webhook == NULL || webhook->account) {
        return NGX_CONF_OK;
    }

    if (webhook->account_name.len) {
        account = &webhook->account_name;
    }

    webhook->account = ngx_http_klaviyo_webhook_account(cf, kmcf, webhook,
                                                        account);

    return webhook->account ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_http_klaviyo_account_t *
ngx_http_klaviyo_webhook_account(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_webhook_t *webhook,
    ngx_str_t *name)
{
    ngx_http_klaviyo_account_t  *found, **account;

    if (name->len) {
        found = ngx_http_klaviyo_account_find(kmcf, name);

        if (found == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown account \"%V\" for klaviyo_webhook in "
                          "%s:%ui, there is no klaviyo_account of this name",
                          name, webhook->conf_file, webhook->conf_line);
        }

        return found;
    }

    if (kmcf->accounts.nelts == 1) {
        account = kmcf->accounts.elts;
        return account[0];
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "no account chosen for klaviyo_webhook in %s:%ui, and there "
                  "are %ui: its calls are counted in one, add "
                  "\"account=<name>\" to it",
                  webhook->conf_file, webhook->conf_line,
                  kmcf->accounts.nelts);

    return NULL;
}

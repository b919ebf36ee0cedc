/*
 * webhook: the directive, and what it becomes in each location.
 */


#include "account/ngx_http_klaviyo_compile.h"
#include "account/ngx_http_klaviyo_secret.h"
#include "ngx_http_klaviyo_webhook_conf.h"


#define NGX_HTTP_KLAVIYO_WEBHOOK_TOLERANCE      300     /* s                 */
#define NGX_HTTP_KLAVIYO_WEBHOOK_TOLERANCE_MAX  86400


/* in the order of the words that name them */

typedef struct {
    ngx_str_t  from;
    ngx_str_t  tolerance;
    ngx_str_t  account;
    ngx_str_t  header;
    ngx_str_t  prefix;
    ngx_str_t  encoding;
    ngx_str_t  text;             /* signed=                                  */
    ngx_str_t  timestamp;
} ngx_http_klaviyo_webhook_args_t;


static char *ngx_http_klaviyo_webhook_args(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook);
static char *ngx_http_klaviyo_webhook_from(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook,
    ngx_http_klaviyo_webhook_args_t *args);
static char *ngx_http_klaviyo_webhook_custom(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook,
    ngx_http_klaviyo_webhook_args_t *args);
static char *ngx_http_klaviyo_webhook_signed(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_str_t *text);
static ngx_http_complex_value_t *ngx_http_klaviyo_webhook_value(
    ngx_conf_t *cf, ngx_str_t *text);
static char *ngx_http_klaviyo_webhook_tolerance(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_str_t *value);
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
    size_t                            n;
    ngx_str_t                        *value, s, *known;
    ngx_uint_t                        i, word;
    ngx_http_klaviyo_webhook_args_t   args;

    static ngx_str_t  words[] = {
        ngx_string("from="),
        ngx_string("tolerance="),
        ngx_string("account="),
        ngx_string("header="),
        ngx_string("prefix="),
        ngx_string("encoding="),
        ngx_string("signed="),
        ngx_string("timestamp=")
    };

    ngx_memzero(&args, sizeof(ngx_http_klaviyo_webhook_args_t));

    n = sizeof(words) / sizeof(ngx_str_t);
    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "secret_file=", 12) == 0
            && value[i].len > 12)
        {
            continue;
        }

        known = (ngx_str_t *) &args;

        for (word = 0; word < n; word++) {

            if (value[i].len > words[word].len
                && ngx_strncmp(value[i].data, words[word].data,
                               words[word].len)
                   == 0)
            {
                break;
            }
        }

        if (word == n) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": expected "
                               "\"secret_file=\", \"from=\", \"tolerance=\" "
                               "or \"account=\", and with \"from=custom\" "
                               "\"header=\", \"prefix=\", \"encoding=\", "
                               "\"signed=\" or \"timestamp=\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (known[word].data) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" is duplicate", &value[i]);
            return NGX_CONF_ERROR;
        }

        known[word].data = value[i].data + words[word].len;
        known[word].len = value[i].len - words[word].len;
    }

    webhook->account_name = args.account;

    if (ngx_http_klaviyo_webhook_from(cf, webhook, &args) != NGX_CONF_OK
        || ngx_http_klaviyo_webhook_tolerance(cf, webhook, &args.tolerance)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "secret_file=", 12) != 0) {
            continue;
        }

        s.data = value[i].data + 12;
        s.len = value[i].len - 12;

        if (ngx_http_klaviyo_webhook_secret(cf, webhook, &s) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (webhook->n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"klaviyo_webhook\" needs \"secret_file=<path>\"");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_webhook_from(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_http_klaviyo_webhook_args_t *args)
{
    ngx_str_t  *own;

    if (args->from.data == NULL) {
        ngx_str_set(&args->from, "klaviyo");
    }

    if (args->from.len == 6 && ngx_strncmp(args->from.data, "custom", 6) == 0)
    {
        return ngx_http_klaviyo_webhook_custom(cf, webhook, args);
    }

    webhook->sender = klaviyo_sender_find(args->from.data, args->from.len);

    if (webhook->sender == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown sender \"from=%V\": it must be "
                           "\"klaviyo\", \"shopify\", \"woocommerce\", "
                           "\"stripe\", \"zoom\", \"typeform\", \"shopware\", "
                           "\"standard\" or \"custom\"", &args->from);
        return NGX_CONF_ERROR;
    }

    own = args->header.data ? &args->header
          : args->prefix.data ? &args->prefix
          : args->encoding.data ? &args->encoding
          : args->text.data ? &args->text : &args->timestamp;

    if (own->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": \"header=\", \"prefix=\", "
                           "\"encoding=\", \"signed=\" and \"timestamp=\" are "
                           "for \"from=custom\"", own);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_webhook_custom(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_http_klaviyo_webhook_args_t *args)
{
    klaviyo_sender_t  *custom;

    custom = &webhook->custom;
    webhook->sender = custom;

    if (args->header.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"from=custom\" needs \"header=<name>\", the one "
                           "with the signature");
        return NGX_CONF_ERROR;
    }

    ngx_strlow(args->header.data, args->header.data, args->header.len);

    custom->name = "custom";
    custom->header[0] = (char *) args->header.data;
    custom->prefix = (char *) args->prefix.data;
    custom->encoding = KLAVIYO_SENDER_HEX;

    if (args->encoding.len == 6
        && ngx_strncmp(args->encoding.data, "base64", 6) == 0)
    {
        custom->encoding = KLAVIYO_SENDER_BASE64;

    } else if (args->encoding.len
               && (args->encoding.len != 3
                   || ngx_strncmp(args->encoding.data, "hex", 3) != 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"encoding=%V\": it must be \"hex\" "
                           "or \"base64\"", &args->encoding);
        return NGX_CONF_ERROR;
    }

    if (args->timestamp.len) {
        custom->time = KLAVIYO_SENDER_ANY_TIME;

        webhook->time = ngx_http_klaviyo_webhook_value(cf, &args->timestamp);
        if (webhook->time == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return args->text.len
           ? ngx_http_klaviyo_webhook_signed(cf, webhook, &args->text)
           : NGX_CONF_OK;
}


/* the body is not evaluated, but signed as it is, from memory or a file */

static char *
ngx_http_klaviyo_webhook_signed(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_str_t *text)
{
    u_char      *p, *last, *next, *found;
    size_t       len;
    ngx_str_t    before, after;
    ngx_uint_t   i, n;

    static ngx_str_t  body[] = {
        ngx_string("$request_body"),
        ngx_string("${request_body}")
    };

    n = 0;
    len = 0;
    found = NULL;
    last = text->data + text->len;

    for (p = text->data; p < last; p++) {

        for (i = 0; i < 2; i++) {

            next = p + body[i].len;

            if (next > last
                || ngx_strncmp(p, body[i].data, body[i].len) != 0
                || (i == 0 && next < last
                    && (*next == '_' || (*next >= '0' && *next <= '9')
                        || ((*next | 0x20) >= 'a' && (*next | 0x20) <= 'z'))))
            {
                continue;
            }

            found = p;
            len = body[i].len;
            n++;
        }
    }

    if (n != 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"signed=%V\": it must have "
                           "\"$request_body\" in it, once", text);
        return NGX_CONF_ERROR;
    }

    before.data = text->data;
    before.len = found - text->data;

    after.data = found + len;
    after.len = last - after.data;

    webhook->before = ngx_http_klaviyo_webhook_value(cf, &before);
    webhook->after = ngx_http_klaviyo_webhook_value(cf, &after);

    return webhook->before && webhook->after ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_http_complex_value_t *
ngx_http_klaviyo_webhook_value(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_http_complex_value_t  *value;

    value = ngx_pcalloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (value == NULL) {
        return NULL;
    }

    return ngx_http_klaviyo_compile(cf, text, value) == NGX_OK ? value : NULL;
}


static char *
ngx_http_klaviyo_webhook_tolerance(ngx_conf_t *cf,
    ngx_http_klaviyo_webhook_t *webhook, ngx_str_t *value)
{
    if (value->data == NULL) {
        webhook->tolerance = NGX_HTTP_KLAVIYO_WEBHOOK_TOLERANCE;
        return NGX_CONF_OK;
    }

    if (webhook->sender->time == KLAVIYO_SENDER_NO_TIME) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"tolerance=%V\": the calls of "
                           "\"%s\" have no time", value,
                           webhook->sender->name);
        return NGX_CONF_ERROR;
    }

    webhook->tolerance = ngx_parse_time(value, 1);

    if (webhook->tolerance < 1
        || webhook->tolerance > NGX_HTTP_KLAVIYO_WEBHOOK_TOLERANCE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"tolerance=%V\": \"tolerance\" "
                           "is 1s to 1d", value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
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

    if (webhook->sender->base64_secret) {

        secret.len = klaviyo_sender_secret(secret.data, secret.len);

        if (secret.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "secret file \"%V\" is malformed: expected "
                               "\"whsec_\" and base64", path);
            goto done;
        }
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

    if (webhook->account == NULL) {
        return NGX_CONF_ERROR;
    }

    webhook->account->used = 1;

    return NGX_CONF_OK;
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

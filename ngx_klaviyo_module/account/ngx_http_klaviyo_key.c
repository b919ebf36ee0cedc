/*
 * The private key, kept as the header line that carries it.  And the public
 * one, which is the name that Klaviyo gave to the account.
 */


#include "ngx_http_klaviyo_secret.h"
#include "ngx_http_klaviyo_key.h"


#define NGX_HTTP_KLAVIYO_KEY_PREFIX  "pk_"
#define NGX_HTTP_KLAVIYO_KEY_HEADER  "Authorization: Klaviyo-API-Key "
#define NGX_HTTP_KLAVIYO_COMPANY     6


static char *ngx_http_klaviyo_key_store(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, ngx_str_t *key, const char *source,
    ngx_str_t *name);


char *
ngx_http_klaviyo_key_file(ngx_conf_t *cf, ngx_http_klaviyo_account_t *account,
    ngx_str_t *value)
{
    char       *rv;
    u_char      buf[NGX_HTTP_KLAVIYO_SECRET_MAX];
    ngx_int_t   rc;
    ngx_str_t   key;

    rv = NGX_CONF_ERROR;

    rc = ngx_http_klaviyo_secret_read(cf, value, "api_key_file", "key file",
                                      "Klaviyo's private key", buf, &key);

    if (rc == NGX_OK) {
        rv = ngx_http_klaviyo_key_store(cf, account, &key, "key file", value);
    }

    explicit_bzero(buf, sizeof(buf));

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
    size_t  i, len;

    static ngx_str_t  prefix = ngx_string(NGX_HTTP_KLAVIYO_KEY_HEADER);

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

    if (ngx_http_klaviyo_secret_keep(cf, &prefix, key,
                                     &account->authorization)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


void
ngx_http_klaviyo_key_hide(ngx_http_klaviyo_account_t *account, u_char *p,
    size_t len)
{
    u_char     *last;
    ngx_str_t   key;

    key = account->authorization;
    key.data += sizeof(NGX_HTTP_KLAVIYO_KEY_HEADER) - 1;
    key.len -= sizeof(NGX_HTTP_KLAVIYO_KEY_HEADER) - 1;

    last = p + len;

    while ((size_t) (last - p) >= key.len) {

        if (*p == *key.data && ngx_memcmp(p, key.data, key.len) == 0) {
            ngx_memset(p, '*', key.len);
            p += key.len;

        } else {
            p++;
        }
    }
}


char *
ngx_http_klaviyo_company(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

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

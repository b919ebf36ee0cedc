/*
 * klaviyo_hash: a variable that stands for a value which must not leave the
 * house, as a session's id.
 *
 *     hex(HMAC-SHA256(derived, value))
 *     derived = HMAC-SHA256(private key of the account, "klaviyo_hash")
 *
 * The private key is the same after a reload and on every host of a shop, and
 * has more entropy than anybody can try.
 */


#include "ngx_http_klaviyo_hash.h"
#include "account/ngx_http_klaviyo_compile.h"
#include "account/ngx_http_klaviyo_secret.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>


#define NGX_HTTP_KLAVIYO_HASH_LEN      32
#define NGX_HTTP_KLAVIYO_HASH_PURPOSE  "klaviyo_hash"


typedef struct {
    ngx_http_complex_value_t   source;
    ngx_str_t                  name;       /* of the variable                */
    ngx_str_t                  account;    /* account=, empty: the only one  */
    ngx_str_t                  key;        /* derived, in secret pages       */

    u_char                    *conf_file;  /* where it stands, for messages  */
    ngx_uint_t                 conf_line;
} ngx_http_klaviyo_hash_t;


static ngx_int_t ngx_http_klaviyo_hash_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_hash_account(
    ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_http_klaviyo_hash_t *hash);
static ngx_int_t ngx_http_klaviyo_hash_derive(ngx_conf_t *cf,
    ngx_http_klaviyo_hash_t *hash, ngx_http_klaviyo_account_t *account);
static ngx_int_t ngx_http_klaviyo_hash_hmac(ngx_str_t *key, const void *p,
    size_t len, u_char *digest);


/* klaviyo_hash $variable source [account=name] */

char *
ngx_http_klaviyo_hash(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_main_conf_t *kmcf = conf;

    ngx_str_t                *value;
    ngx_http_variable_t      *var;
    ngx_http_klaviyo_hash_t  *hash, **slot;

    (void) cmd;

    value = cf->args->elts;

    var = ngx_http_klaviyo_variable(cf, &value[1], NGX_HTTP_VAR_NOCACHEABLE);
    if (var == NULL) {
        return NGX_CONF_ERROR;
    }

    hash = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_hash_t));
    if (hash == NULL) {
        return NGX_CONF_ERROR;
    }

    hash->name.len = value[1].len - 1;
    hash->name.data = value[1].data + 1;

    hash->conf_file = cf->conf_file->file.name.data;
    hash->conf_line = cf->conf_file->line;

    if (cf->args->nelts == 4) {

        if (value[3].len <= 8 || ngx_strncmp(value[3].data, "account=", 8) != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": expected "
                               "\"account=\"", &value[3]);
            return NGX_CONF_ERROR;
        }

        hash->account.len = value[3].len - 8;
        hash->account.data = value[3].data + 8;
    }

    if (ngx_http_klaviyo_compile(cf, &value[2], &hash->source) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (kmcf->hashes == NULL) {
        kmcf->hashes = ngx_array_create(cf->pool, 2,
                                        sizeof(ngx_http_klaviyo_hash_t *));
        if (kmcf->hashes == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    slot = ngx_array_push(kmcf->hashes);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = hash;

    var->get_handler = ngx_http_klaviyo_hash_variable;
    var->data = (uintptr_t) hash;

    return NGX_CONF_OK;
}


/* an empty value has no hash: it would be one id for everybody */

static ngx_int_t
ngx_http_klaviyo_hash_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_klaviyo_hash_t *hash = (ngx_http_klaviyo_hash_t *) data;

    u_char     digest[NGX_HTTP_KLAVIYO_HASH_LEN];
    ngx_str_t  value;

    v->not_found = 1;

    if (ngx_http_complex_value(r, &hash->source, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len == 0) {
        return NGX_OK;
    }

    v->data = ngx_pnalloc(r->pool, 2 * NGX_HTTP_KLAVIYO_HASH_LEN);

    if (v->data == NULL
        || ngx_http_klaviyo_hash_hmac(&hash->key, value.data, value.len,
                                      digest)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(v->data, digest, NGX_HTTP_KLAVIYO_HASH_LEN);

    v->len = 2 * NGX_HTTP_KLAVIYO_HASH_LEN;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


ngx_int_t
ngx_http_klaviyo_hash_init(ngx_conf_t *cf, ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_uint_t                    i;
    ngx_http_klaviyo_hash_t     **hash;
    ngx_http_klaviyo_account_t   *account;

    if (kmcf->hashes == NULL) {
        return NGX_OK;
    }

    hash = kmcf->hashes->elts;

    for (i = 0; i < kmcf->hashes->nelts; i++) {

        account = ngx_http_klaviyo_hash_account(cf, kmcf, hash[i]);

        if (account == NULL
            || ngx_http_klaviyo_hash_derive(cf, hash[i], account) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_http_klaviyo_account_t *
ngx_http_klaviyo_hash_account(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_hash_t *hash)
{
    ngx_http_klaviyo_account_t  **account, *found;

    if (hash->account.len) {
        found = ngx_http_klaviyo_account_find(kmcf, &hash->account);

        if (found == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "unknown account \"%V\" for klaviyo_hash \"$%V\" in "
                          "%s:%ui, there is no klaviyo_account of this name",
                          &hash->account, &hash->name, hash->conf_file,
                          hash->conf_line);
        }

        return found;
    }

    if (kmcf->accounts.nelts != 1) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no account chosen for klaviyo_hash \"$%V\" in %s:%ui, "
                      "and there are %ui: its key is made of an account's, "
                      "add \"account=<name>\" to it",
                      &hash->name, hash->conf_file, hash->conf_line,
                      kmcf->accounts.nelts);
        return NULL;
    }

    account = kmcf->accounts.elts;

    return account[0];
}


static ngx_int_t
ngx_http_klaviyo_hash_derive(ngx_conf_t *cf, ngx_http_klaviyo_hash_t *hash,
    ngx_http_klaviyo_account_t *account)
{
    u_char      derived[NGX_HTTP_KLAVIYO_HASH_LEN];
    ngx_int_t   rc;
    ngx_str_t   key;

    static ngx_str_t  none = ngx_null_string;

    /* the header line ends in the key, in which there is no blank */

    key.data = account->authorization.data + account->authorization.len;

    while (key.data[-1] != ' ') {
        key.data--;
    }

    key.len = account->authorization.data + account->authorization.len
              - key.data;

    if (ngx_http_klaviyo_hash_hmac(&key, NGX_HTTP_KLAVIYO_HASH_PURPOSE,
                                   sizeof(NGX_HTTP_KLAVIYO_HASH_PURPOSE) - 1,
                                   derived)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "HMAC() failed");
        return NGX_ERROR;
    }

    key.data = derived;
    key.len = sizeof(derived);

    rc = ngx_http_klaviyo_secret_keep(cf, &none, &key, &hash->key);

    explicit_bzero(derived, sizeof(derived));

    return rc;
}


static ngx_int_t
ngx_http_klaviyo_hash_hmac(ngx_str_t *key, const void *p, size_t len,
    u_char *digest)
{
    if (HMAC(EVP_sha256(), key->data, key->len, p, len, digest, NULL) == NULL)
    {
        ERR_clear_error();
        return NGX_ERROR;
    }

    return NGX_OK;
}

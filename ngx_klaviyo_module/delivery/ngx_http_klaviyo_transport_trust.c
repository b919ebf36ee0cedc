/*
 * The certificates that are trusted.
 *
 * A store of a thousand takes 200 ms to read.  libcurl reads it with the first
 * connection, on the loop, and once for each transport.  So it is read before
 * the loop begins, each file once for all accounts of a worker.
 *
 * Not in the master: after fork() each page that is written to is copied, and
 * in the heap that a store leaves the next connection writes to many.
 */


#include "ngx_http_klaviyo_transport_trust.h"
#include "account/ngx_http_klaviyo_endpoint.h"

#include <openssl/ssl.h>


static ngx_uint_t ngx_http_klaviyo_transport_same_openssl(void);
static ngx_uint_t ngx_http_klaviyo_transport_tls(
    ngx_http_klaviyo_account_t *account);
static void ngx_http_klaviyo_transport_bundle(ngx_str_t *file);
static X509_STORE *ngx_http_klaviyo_transport_shared(
    ngx_http_klaviyo_account_t **account, ngx_uint_t n, ngx_str_t *file);
static X509_STORE *ngx_http_klaviyo_transport_store(ngx_str_t *file,
    ngx_log_t *log);
static ngx_int_t ngx_http_klaviyo_transport_sort(X509_STORE *store);
static void ngx_http_klaviyo_transport_rehearse(void);
static CURLcode ngx_http_klaviyo_transport_ssl_ctx(CURL *easy, void *ctx,
    void *data);


void
ngx_http_klaviyo_transport_trust_init(ngx_cycle_t *cycle)
{
    ngx_str_t                     *file;
    ngx_uint_t                     i, same, tls;
    ngx_http_klaviyo_account_t   **account;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_klaviyo_module);
    account = kmcf->queues.elts;

    same = ngx_http_klaviyo_transport_same_openssl();
    tls = 0;

    for (i = 0; i < kmcf->queues.nelts; i++) {

        if (!ngx_http_klaviyo_transport_tls(account[i])) {
            continue;
        }

        tls = 1;

        if (!account[i]->ssl_verify) {
            continue;
        }

        file = &account[i]->ssl_trusted_certificate;

        if (file->len == 0) {
            ngx_http_klaviyo_transport_bundle(file);
        }

        if (file->len == 0 || !same) {
            continue;
        }

        account[i]->ssl_store = ngx_http_klaviyo_transport_shared(account, i,
                                                                  file);

        if (account[i]->ssl_store == NULL) {
            account[i]->ssl_store = ngx_http_klaviyo_transport_store(file,
                                                                  cycle->log);
        }
    }

    if (tls) {
        ngx_http_klaviyo_transport_rehearse();
    }
}


void
ngx_http_klaviyo_transport_trust_exit(ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_http_klaviyo_account_t   **account;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_klaviyo_module);
    account = kmcf->queues.elts;

    for (i = 0; i < kmcf->queues.nelts; i++) {
        X509_STORE_free(account[i]->ssl_store);
        account[i]->ssl_store = NULL;
    }
}


/*
 * The store goes from our OpenSSL to libcurl's, which are to be one:
 * "OpenSSL/3.0.19", and others that libcurl was built with, is to go with
 * "OpenSSL 3.0.19 27 Jan 2026".
 */

static ngx_uint_t
ngx_http_klaviyo_transport_same_openssl(void)
{
    size_t       len;
    const char  *version;

    version = curl_version_info(CURLVERSION_NOW)->ssl_version;

    if (version == NULL || ngx_strncmp(version, "OpenSSL/", 8) != 0) {
        return 0;
    }

    len = strcspn(version + 8, " ");

    return ngx_strncmp(OpenSSL_version(OPENSSL_VERSION) + 8, version + 8, len)
           == 0;
}


static ngx_uint_t
ngx_http_klaviyo_transport_tls(ngx_http_klaviyo_account_t *account)
{
    return ngx_http_klaviyo_is_tls(&account->endpoint)
           || ngx_http_klaviyo_is_tls(&account->proxy);
}


/*
 * The system's store, as one file that ends in NUL.  Empty: there is none,
 * libcurl's own way stays, a directory where certificates are looked up.
 */

static void
ngx_http_klaviyo_transport_bundle(ngx_str_t *file)
{
    ngx_uint_t               i;
    curl_version_info_data  *info;

    const char  *bundles[] = {
        NULL,
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem"
    };

    info = curl_version_info(CURLVERSION_NOW);

    if (info->age >= CURLVERSION_SEVENTH) {
        bundles[0] = info->cainfo;
    }

    for (i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++) {
        if (bundles[i] && access(bundles[i], R_OK) == 0) {
            file->data = (u_char *) bundles[i];
            file->len = ngx_strlen(bundles[i]);
            return;
        }
    }
}


/* a reference to the store of one before account n; NULL: there is none */

static X509_STORE *
ngx_http_klaviyo_transport_shared(ngx_http_klaviyo_account_t **account,
    ngx_uint_t n, ngx_str_t *file)
{
    ngx_str_t   *other;
    ngx_uint_t   i;

    for (i = 0; i < n; i++) {
        other = &account[i]->ssl_trusted_certificate;

        if (account[i]->ssl_store
            && other->len == file->len
            && ngx_strncmp(other->data, file->data, file->len) == 0
            && X509_STORE_up_ref(account[i]->ssl_store) == 1)
        {
            return account[i]->ssl_store;
        }
    }

    return NULL;
}


/* NULL, already logged: libcurl says it again with each try */

static X509_STORE *
ngx_http_klaviyo_transport_store(ngx_str_t *file, ngx_log_t *log)
{
    char         text[256];
    X509_STORE  *store;

    store = X509_STORE_new();

    /* as libcurl does: a certificate is trusted without its issuer */

    if (store == NULL
        || X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST
                                       |X509_V_FLAG_PARTIAL_CHAIN)
           != 1
        || X509_STORE_load_locations(store, (char *) file->data, NULL) != 1
        || ngx_http_klaviyo_transport_sort(store) != NGX_OK)
    {
        ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));

        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "klaviyo: the trusted certificates in \"%V\" could not "
                      "be read (SSL: %s)", file, text);

        X509_STORE_free(store);
        store = NULL;
    }

    /* an end of file is an error of PEM's, too */
    ERR_clear_error();

    return store;
}


/* the first search sorts the store, whatever it looks for */

static ngx_int_t
ngx_http_klaviyo_transport_sort(X509_STORE *store)
{
    ngx_int_t        rc;
    X509_NAME       *name;
    X509_OBJECT     *object;
    X509_STORE_CTX  *ctx;

    rc = NGX_ERROR;
    ctx = X509_STORE_CTX_new();
    name = X509_NAME_new();

    if (ctx && name && X509_STORE_CTX_init(ctx, store, NULL, NULL) == 1) {
        object = X509_STORE_CTX_get_obj_by_subject(ctx, X509_LU_X509, name);
        X509_OBJECT_free(object);
        rc = NGX_OK;
    }

    X509_NAME_free(name);
    X509_STORE_CTX_free(ctx);

    return rc;
}


/*
 * Looks up all algorithms, makes keys, says hello to nobody: what only the
 * first connection does.
 */

static void
ngx_http_klaviyo_transport_rehearse(void)
{
    BIO      *in, *out;
    SSL      *ssl;
    SSL_CTX  *ctx;

    ctx = SSL_CTX_new(TLS_client_method());
    ssl = ctx ? SSL_new(ctx) : NULL;

    in = BIO_new(BIO_s_mem());
    out = BIO_new(BIO_s_mem());

    if (ssl && in && out) {
        SSL_set_bio(ssl, in, out);
        SSL_set_connect_state(ssl);

        (void) SSL_do_handshake(ssl);

    } else {
        BIO_free(in);
        BIO_free(out);
    }

    SSL_free(ssl);
    SSL_CTX_free(ctx);

    ERR_clear_error();
}


ngx_int_t
ngx_http_klaviyo_transport_trust(ngx_http_klaviyo_exchange_t *exchange)
{
    CURL                        *easy;
    char                        *file;
    ngx_http_klaviyo_account_t  *account;

    easy = exchange->easy;
    account = exchange->transport->account;

    if (!account->ssl_verify) {
        return curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK
               && curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L)
                  == CURLE_OK
               && curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK
               && curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == CURLE_OK
               ? NGX_OK : NGX_ERROR;
    }

    if (curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK)
    {
        return NGX_ERROR;
    }

    if (account->ssl_trusted_certificate.len == 0) {
        return NGX_OK;
    }

    /*
     * What libcurl reads itself it reads on the loop; and again for each
     * connection, where it looks up a directory too.
     */

    file = account->ssl_store ? NULL
                              : (char *) account->ssl_trusted_certificate.data;

    if (curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_CAINFO, file) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL) != CURLE_OK
        || curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, file) != CURLE_OK)
    {
        return NGX_ERROR;
    }

    if (account->ssl_store
        && (curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION,
                             ngx_http_klaviyo_transport_ssl_ctx)
               != CURLE_OK
            || curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA,
                                account->ssl_store)
               != CURLE_OK))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* also of a proxy: the connection's own store, which is empty, gives way */

static CURLcode
ngx_http_klaviyo_transport_ssl_ctx(CURL *easy, void *ctx, void *data)
{
    (void) easy;

    SSL_CTX_set1_cert_store(ctx, data);

    return CURLE_OK;
}

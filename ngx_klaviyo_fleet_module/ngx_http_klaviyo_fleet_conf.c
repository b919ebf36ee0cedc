/*
 * The block klaviyo_fleet: each line of it.
 */


#include "ngx_http_klaviyo_fleet_conf.h"

#include "account/ngx_http_klaviyo_arg.h"
#include "account/ngx_http_klaviyo_secret.h"


#define NGX_HTTP_KLAVIYO_FLEET_SENTINEL_PORT  26379


static ngx_int_t ngx_http_klaviyo_fleet_check_name(ngx_conf_t *cf,
    ngx_http_klaviyo_fleet_main_conf_t *fmcf, ngx_str_t *name);
static char *ngx_http_klaviyo_fleet_line(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_klaviyo_fleet_server(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_fleet_sentinels(ngx_conf_t *cf,
    ngx_http_klaviyo_fleet_conf_t *fleet, ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_fleet_user(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_fleet_password(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_fleet_certificate(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_fleet_connect(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_fleet_answer(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_fleet_time(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, ngx_msec_t max, ngx_msec_t *time);
static char *ngx_http_klaviyo_fleet_done(ngx_conf_t *cf,
    ngx_http_klaviyo_fleet_conf_t *fleet);
#if (NGX_SSL)
static char *ngx_http_klaviyo_fleet_ssl(ngx_conf_t *cf,
    ngx_http_klaviyo_fleet_conf_t *fleet);
#endif


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_fleet_timeout_args[] = {
    { "connect=", ngx_http_klaviyo_fleet_connect,
      offsetof(ngx_http_klaviyo_fleet_conf_t, connect_timeout) },
    { "answer=", ngx_http_klaviyo_fleet_answer,
      offsetof(ngx_http_klaviyo_fleet_conf_t, answer_timeout) },
    { NULL, NULL, 0 }
};


static ngx_http_klaviyo_setting_t  ngx_http_klaviyo_fleet_settings[] = {

    { ngx_string("server"), 1, 2 + NGX_HTTP_KLAVIYO_FLEET_SENTINELS,
      ngx_http_klaviyo_fleet_server, NULL },
    { ngx_string("user"), 1, 1, ngx_http_klaviyo_fleet_user, NULL },
    { ngx_string("password_file"), 1, 1, ngx_http_klaviyo_fleet_password,
      NULL },
    { ngx_string("timeout"), 1, 2, NULL, ngx_http_klaviyo_fleet_timeout_args },
    { ngx_string("ssl_trusted_certificate"), 1, 1,
      ngx_http_klaviyo_fleet_certificate, NULL },
    { ngx_null_string, 0, 0, NULL, NULL }
};


char *
ngx_http_klaviyo_fleet_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_fleet_main_conf_t  *fmcf = conf;

    char                            *rv;
    ngx_str_t                       *value;
    ngx_conf_t                       save;
    ngx_http_klaviyo_fleet_conf_t  **slot, *fleet;

    (void) cmd;

    value = cf->args->elts;

    if (ngx_http_klaviyo_fleet_check_name(cf, fmcf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     fleet->server, user, password, ssl_trusted_certificate
     *         = { 0, NULL };
     *     fleet->url = { 0 };
     *     fleet->ssl = NULL;
     */

    fleet = ngx_pcalloc(cf->pool, sizeof(ngx_http_klaviyo_fleet_conf_t));
    if (fleet == NULL) {
        return NGX_CONF_ERROR;
    }

    slot = ngx_array_push(&fmcf->fleets);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = fleet;

    fleet->name = value[1];
    fleet->connect_timeout = NGX_CONF_UNSET_MSEC;
    fleet->answer_timeout = NGX_CONF_UNSET_MSEC;

    save = *cf;

    cf->handler = ngx_http_klaviyo_fleet_line;
    cf->handler_conf = (void *) fleet;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_klaviyo_fleet_done(cf, fleet);
}


static ngx_int_t
ngx_http_klaviyo_fleet_check_name(ngx_conf_t *cf,
    ngx_http_klaviyo_fleet_main_conf_t *fmcf, ngx_str_t *name)
{
    size_t  i;
    u_char  ch;

    if (name->len == 0 || name->len > 64) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "fleet name \"%V\" must have 1 to 64 characters",
                           name);
        return NGX_ERROR;
    }

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if ((ch < 'a' || ch > 'z') && (ch < 'A' || ch > 'Z')
            && (ch < '0' || ch > '9') && ch != '_' && ch != '-' && ch != '.')
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid fleet name \"%V\": use letters, "
                               "digits, \"_\", \"-\" and \".\"", name);
            return NGX_ERROR;
        }
    }

    if (ngx_http_klaviyo_fleet_find(fmcf, name)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate klaviyo_fleet \"%V\"", name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_http_klaviyo_fleet_conf_t *
ngx_http_klaviyo_fleet_find(ngx_http_klaviyo_fleet_main_conf_t *fmcf,
    ngx_str_t *name)
{
    ngx_uint_t                       i;
    ngx_http_klaviyo_fleet_conf_t  **fleet;

    fleet = fmcf->fleets.elts;

    for (i = 0; i < fmcf->fleets.nelts; i++) {
        if (fleet[i]->name.len == name->len
            && ngx_strncmp(fleet[i]->name.data, name->data, name->len) == 0)
        {
            return fleet[i];
        }
    }

    return NULL;
}


static char *
ngx_http_klaviyo_fleet_line(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_klaviyo_fleet_main_conf_t  *fmcf;

    (void) cmd;

    fmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_klaviyo_fleet_module);

    return fmcf->hook->settings(cf, "klaviyo_fleet",
                                ngx_http_klaviyo_fleet_settings, conf);
}


static char *
ngx_http_klaviyo_fleet_server(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_fleet_conf_t  *fleet = conf;

    const char  *wrong;

    if (fleet->server.data) {
        return "is duplicate";
    }

    if (n > 1 || ngx_strcmp(value[0].data, "sentinel") == 0) {
        return ngx_http_klaviyo_fleet_sentinels(cf, fleet, value, n);
    }

    wrong = klaviyo_fleet_url(&fleet->url, (char *) value->data, value->len);

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid server \"%V\" in klaviyo_fleet: %s, "
                           "expected \"redis://host:6379\", "
                           "\"rediss://host:6379\" or \"unix:/path\"",
                           value, wrong);
        return NGX_CONF_ERROR;
    }

#if !(NGX_SSL)

    if (fleet->url.tls) {
        return "needs an nginx that was built with TLS for \"rediss://\"";
    }

#endif

    fleet->server = *value;

    return NGX_CONF_OK;
}


/* sentinel NAME HOST:PORT... */

static char *
ngx_http_klaviyo_fleet_sentinels(ngx_conf_t *cf,
    ngx_http_klaviyo_fleet_conf_t *fleet, ngx_str_t *value, ngx_uint_t n)
{
    u_char               *p, text[KLAVIYO_FLEET_HOST_MAX + 32];
    ngx_uint_t            i;
    const char           *wrong;
    klaviyo_fleet_url_t  *url;

    if (n < 3 || ngx_strcmp(value[0].data, "sentinel") != 0) {
        return "is one \"redis://host:6379\", or \"sentinel\", a name and "
               "where sentinels are";
    }

    for (i = 2; i < n; i++) {
        url = &fleet->sentinel[fleet->sentinels++];

        p = ngx_snprintf(text, sizeof(text), "redis://%V", &value[i]);

        wrong = klaviyo_fleet_url(url, (char *) text, p - text);

        if (wrong || url->database) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid sentinel \"%V\" in klaviyo_fleet: "
                               "%s, expected \"host:26379\"", &value[i],
                               wrong ? wrong : "it has no database");
            return NGX_CONF_ERROR;
        }

        if (ngx_strlchr(value[i].data, value[i].data + value[i].len, ':')
            == NULL)
        {
            url->port = NGX_HTTP_KLAVIYO_FLEET_SENTINEL_PORT;
        }
    }

    fleet->primary = value[1];
    fleet->server = value[0];

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_fleet_user(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_fleet_conf_t  *fleet = conf;

    (void) cf;
    (void) n;

    if (fleet->user.data) {
        return "is duplicate";
    }

    if (value->len == 0) {
        return "is empty";
    }

    fleet->user = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_fleet_password(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_fleet_conf_t  *fleet = conf;

    u_char                               buf[NGX_HTTP_KLAVIYO_SECRET_MAX];
    ngx_int_t                            rc;
    ngx_str_t                            secret, none;
    ngx_http_klaviyo_fleet_main_conf_t  *fmcf;

    (void) n;

    if (fleet->password.data) {
        return "is duplicate";
    }

    fmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_klaviyo_fleet_module);

    ngx_str_null(&none);

    rc = fmcf->hook->secret_read(cf, value, "password_file", "password file",
                                 "Redis's password", buf, &secret);

    if (rc == NGX_OK) {
        rc = fmcf->hook->secret_keep(cf, &none, &secret, &fleet->password);
    }

    explicit_bzero(buf, sizeof(buf));

    return rc == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_fleet_connect(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field)
{
    return ngx_http_klaviyo_fleet_time(cf, arg, value, 10000, field);
}


/* an older answer says nothing of Klaviyo's windows now */

static char *
ngx_http_klaviyo_fleet_answer(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field)
{
    return ngx_http_klaviyo_fleet_time(cf, arg, value, 1000, field);
}


static char *
ngx_http_klaviyo_fleet_time(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    ngx_msec_t max, ngx_msec_t *time)
{
    if (*time != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    *time = ngx_parse_time(value, 0);

    if (*time == (ngx_msec_t) NGX_ERROR || *time < 10 || *time > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": it must be a time from "
                           "10ms to %Ms", arg, max / 1000);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_fleet_certificate(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_fleet_conf_t  *fleet = conf;

    (void) cf;
    (void) n;

    if (fleet->ssl_trusted_certificate.data) {
        return "is duplicate";
    }

    fleet->ssl_trusted_certificate = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_fleet_done(ngx_conf_t *cf,
    ngx_http_klaviyo_fleet_conf_t *fleet)
{
    if (fleet->server.data == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"server\" in klaviyo_fleet \"%V\"",
                           &fleet->name);
        return NGX_CONF_ERROR;
    }

    if (fleet->user.data && fleet->password.data == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"user\" of klaviyo_fleet \"%V\" needs a "
                           "\"password_file\"", &fleet->name);
        return NGX_CONF_ERROR;
    }

    if (fleet->ssl_trusted_certificate.data && !fleet->url.tls) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ssl_trusted_certificate\" of klaviyo_fleet "
                           "\"%V\" needs a \"server\" with \"rediss://\"",
                           &fleet->name);
        return NGX_CONF_ERROR;
    }

    ngx_conf_init_msec_value(fleet->connect_timeout, 1000);
    ngx_conf_init_msec_value(fleet->answer_timeout, 1000);

#if (NGX_SSL)

    if (fleet->url.tls) {
        return ngx_http_klaviyo_fleet_ssl(cf, fleet);
    }

#endif

    return NGX_CONF_OK;
}


#if (NGX_SSL)

static char *
ngx_http_klaviyo_fleet_ssl(ngx_conf_t *cf,
    ngx_http_klaviyo_fleet_conf_t *fleet)
{
    ngx_pool_cleanup_t  *cln;

    fleet->ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (fleet->ssl == NULL) {
        return NGX_CONF_ERROR;
    }

    fleet->ssl->log = cf->log;

    if (ngx_ssl_create(fleet->ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(fleet->ssl);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = fleet->ssl;

    if (fleet->ssl_trusted_certificate.data == NULL) {

        if (SSL_CTX_set_default_verify_paths(fleet->ssl->ctx) == 0) {
            ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                          "SSL_CTX_set_default_verify_paths() failed");
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (ngx_ssl_trusted_certificate(cf, fleet->ssl,
                                    &fleet->ssl_trusted_certificate, 5)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

#endif

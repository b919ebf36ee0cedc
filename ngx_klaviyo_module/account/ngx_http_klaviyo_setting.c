/*
 * Each line of a klaviyo_account block: name, arguments, bounds.
 */


#include "ngx_http_klaviyo_arg.h"
#include "ngx_http_klaviyo_endpoint.h"
#include "ngx_http_klaviyo_hold.h"
#include "ngx_http_klaviyo_key.h"
#include "ngx_http_klaviyo_setting.h"
#include "ngx_http_klaviyo_spool.h"


#define NGX_HTTP_KLAVIYO_DAY  (24 * 60 * 60)


static char *ngx_http_klaviyo_set_key_file(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_set_key(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_set_revision(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_set_queue(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_set_fleet(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_set_certificate(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_set_verify(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);
static char *ngx_http_klaviyo_set_dry_run(ngx_conf_t *cf, void *conf,
    ngx_str_t *value, ngx_uint_t n);

static char *ngx_http_klaviyo_queue_size(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_queue_full(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_rate_share(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_fleet_share(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_fleet_size(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_fleet_deliver(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field);
static char *ngx_http_klaviyo_set_flag(ngx_conf_t *cf, ngx_str_t *value,
    ngx_flag_t *flag);


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_queue_args[] = {
    { "size=", ngx_http_klaviyo_queue_size,
      offsetof(ngx_http_klaviyo_account_t, queue_size) },
    { "full=", ngx_http_klaviyo_queue_full,
      offsetof(ngx_http_klaviyo_account_t, queue_full) },
    { NULL, NULL, 0 }
};


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_batch_args[] = {
    { "events=", ngx_http_klaviyo_arg_events,
      offsetof(ngx_http_klaviyo_account_t, batch_events) },
    { "bytes=", ngx_http_klaviyo_arg_bytes,
      offsetof(ngx_http_klaviyo_account_t, batch_bytes) },
    { "linger=", ngx_http_klaviyo_arg_msec,
      offsetof(ngx_http_klaviyo_account_t, batch_linger) },
    { NULL, NULL, 0 }
};


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_rate_args[] = {
    { "share=", ngx_http_klaviyo_rate_share,
      offsetof(ngx_http_klaviyo_account_t, rate_share) },
    { NULL, NULL, 0 }
};


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_fleet_args[] = {
    { "share=", ngx_http_klaviyo_fleet_share,
      offsetof(ngx_http_klaviyo_account_t, fleet_queue) },
    { "size=", ngx_http_klaviyo_fleet_size,
      offsetof(ngx_http_klaviyo_account_t, fleet_size) },
    { "away=", ngx_http_klaviyo_arg_msec,
      offsetof(ngx_http_klaviyo_account_t, fleet_away) },
    { "deliver=", ngx_http_klaviyo_fleet_deliver,
      offsetof(ngx_http_klaviyo_account_t, fleet_deliver) },
    { NULL, NULL, 0 }
};


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_retry_args[] = {
    { "min=", ngx_http_klaviyo_arg_msec,
      offsetof(ngx_http_klaviyo_account_t, retry_min) },
    { "max=", ngx_http_klaviyo_arg_msec,
      offsetof(ngx_http_klaviyo_account_t, retry_max) },
    { "max_age=", ngx_http_klaviyo_arg_sec,
      offsetof(ngx_http_klaviyo_account_t, retry_max_age) },
    { NULL, NULL, 0 }
};


static ngx_http_klaviyo_arg_t  ngx_http_klaviyo_timeout_args[] = {
    { "connect=", ngx_http_klaviyo_arg_msec,
      offsetof(ngx_http_klaviyo_account_t, connect_timeout) },
    { "total=", ngx_http_klaviyo_arg_msec,
      offsetof(ngx_http_klaviyo_account_t, total_timeout) },
    { NULL, NULL, 0 }
};


static ngx_http_klaviyo_setting_t  ngx_http_klaviyo_account_settings[] = {

    { ngx_string("api_key_file"), 1, 1, ngx_http_klaviyo_set_key_file, NULL },
    { ngx_string("api_key"), 1, 1, ngx_http_klaviyo_set_key, NULL },
    { ngx_string("company"), 1, 1, ngx_http_klaviyo_company, NULL },
    { ngx_string("endpoint"), 1, 1, ngx_http_klaviyo_endpoint, NULL },
    { ngx_string("revision"), 1, 2, ngx_http_klaviyo_set_revision, NULL },
    { ngx_string("queue"), 1, 3, ngx_http_klaviyo_set_queue, NULL },
    { ngx_string("spool"), 1, 3, ngx_http_klaviyo_spool, NULL },
    { ngx_string("dead_letter"), 1, 2, ngx_http_klaviyo_dead_letter, NULL },
    { ngx_string("batch"), 1, 3, NULL, ngx_http_klaviyo_batch_args },
    { ngx_string("rate"), 1, 1, NULL, ngx_http_klaviyo_rate_args },
    { ngx_string("fleet"), 1, 5, ngx_http_klaviyo_set_fleet, NULL },
    { ngx_string("hold"), 1, 2, ngx_http_klaviyo_hold, NULL },
    { ngx_string("retry"), 1, 3, NULL, ngx_http_klaviyo_retry_args },
    { ngx_string("timeout"), 1, 2, NULL, ngx_http_klaviyo_timeout_args },
    { ngx_string("ssl_trusted_certificate"), 1, 1,
      ngx_http_klaviyo_set_certificate, NULL },
    { ngx_string("ssl_verify"), 1, 1, ngx_http_klaviyo_set_verify, NULL },
    { ngx_string("proxy"), 1, 1, ngx_http_klaviyo_proxy, NULL },
    { ngx_string("dry_run"), 1, 1, ngx_http_klaviyo_set_dry_run, NULL },
    { ngx_null_string, 0, 0, NULL, NULL }
};


char *
ngx_http_klaviyo_setting(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   s, *value;
    ngx_uint_t  n;

    (void) cmd;

    value = cf->args->elts;
    n = cf->args->nelts;

    if (n < 3 && ngx_http_klaviyo_arg(&value[0], "hold=", &s)) {
        value[0] = s;
        return ngx_http_klaviyo_hold(cf, conf, value, n);
    }

    return ngx_http_klaviyo_settings(cf, "klaviyo_account",
                                     ngx_http_klaviyo_account_settings, conf);
}


static char *
ngx_http_klaviyo_set_key_file(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    (void) n;

    if (account->authorization.data) {
        return "is duplicate: one \"api_key_file\" or \"api_key\"";
    }

    return ngx_http_klaviyo_key_file(cf, account, value);
}


static char *
ngx_http_klaviyo_set_key(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    (void) n;

    if (account->authorization.data) {
        return "is duplicate: one \"api_key_file\" or \"api_key\"";
    }

    return ngx_http_klaviyo_key(cf, account, value);
}


/*
 * "YYYY-MM-DD", with ".suffix" for pre-releases.  A revision is retired two
 * years after its date (Klaviyo's API versioning policy).
 */

static char *
ngx_http_klaviyo_set_revision(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    size_t     i;
    u_char    *p, ch;
    time_t     retired, now;
    ngx_int_t  year, month, day;
    struct tm  tm;

    if (account->revision.data) {
        return "is duplicate";
    }

    if (n == 2) {

        if (value[1].len != 6 || ngx_strncmp(value[1].data, "strict", 6) != 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"revision\": "
                               "expected \"strict\"", &value[1]);
            return NGX_CONF_ERROR;
        }

        account->revision_strict = 1;
    }

    p = value->data;

    if (value->len < 10 || value->len > 32
        || p[4] != '-' || p[7] != '-'
        || (value->len > 10 && p[10] != '.'))
    {
        goto invalid;
    }

    for (i = 11; i < value->len; i++) {
        ch = ngx_tolower(p[i]);

        if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9')) {
            goto invalid;
        }
    }

    year = ngx_atoi(p, 4);
    month = ngx_atoi(p + 5, 2);
    day = ngx_atoi(p + 8, 2);

    if (year < 2000 || month < 1 || month > 12 || day < 1 || day > 31) {
        goto invalid;
    }

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = year + 2 - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;

    retired = timegm(&tm);
    now = ngx_time();

    if (now >= retired) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "revision \"%V\" of Klaviyo's API is more than two "
                           "years old and retired: set a newer one", value);

    } else if (now >= retired - 90 * NGX_HTTP_KLAVIYO_DAY) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "revision \"%V\" of Klaviyo's API will be retired "
                           "in %T days: set a newer one",
                           value, (retired - now) / NGX_HTTP_KLAVIYO_DAY);
    }

    /* dates in this form sort as text */

    if (ngx_strncmp(p, NGX_HTTP_KLAVIYO_REVISION, 10) > 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "revision \"%V\" of Klaviyo's API is newer than "
                           "\"" NGX_HTTP_KLAVIYO_REVISION "\", the newest one "
                           "known to this module: what it does not know yet "
                           "may be refused", value);
    }

    account->revision = *value;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid revision \"%V\": expected a date like "
                       "\"" NGX_HTTP_KLAVIYO_REVISION "\"", value);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_set_queue(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    ngx_str_t  s;

    if (account->queue.data) {
        return "is duplicate";
    }

    if (value[0].len == 0
        || ngx_http_klaviyo_arg(&value[0], "size=", &s)
        || ngx_http_klaviyo_arg(&value[0], "full=", &s))
    {
        return "must name a path first";
    }

    if (value[0].len == 3 && ngx_strncmp(value[0].data, "off", 3) == 0) {
        return "cannot be \"off\": events have to wait somewhere";
    }

    if (ngx_conf_full_name(cf->cycle, &value[0], 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (value[0].len > NGX_MAX_PATH - 64) {
        return "has a path that is too long";
    }

    account->queue = value[0];

    return ngx_http_klaviyo_args(cf, account, ngx_http_klaviyo_queue_args,
                                 &value[1], n - 1);
}


static char *
ngx_http_klaviyo_queue_size(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    size_t *size = field;

    if (*size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    return ngx_http_klaviyo_arg_size(cf, arg, value, KLAVIYO_RING_MIN_SIZE,
                                     NGX_MAX_SIZE_T_VALUE / 4, size);
}


static char *
ngx_http_klaviyo_queue_full(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    ngx_uint_t *full = field;

    if (*full != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (ngx_strcmp(value->data, "drop_newest") == 0) {
        *full = 0;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "drop_oldest") == 0) {
        *full = 1;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\": \"full\" is \"drop_newest\" "
                       "or \"drop_oldest\"", arg);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_rate_share(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    ngx_uint_t *share = field;

    ngx_int_t  n;

    if (*share != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (value->len && value->data[value->len - 1] == '%') {
        value->len--;
    }

    n = ngx_atoi(value->data, value->len);

    if (n < 1 || n > 100) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": \"share\" is 1%% to 100%% of "
                           "Klaviyo's limits", arg);
        return NGX_CONF_ERROR;
    }

    *share = n;

    return NGX_CONF_OK;
}


/* whether there is such a klaviyo_fleet is known at the end */

static char *
ngx_http_klaviyo_set_fleet(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    char                          *rv;
    ngx_uint_t                     i;
    ngx_http_klaviyo_main_conf_t  *kmcf;

    if (account->fleet_name.data) {
        return "is duplicate";
    }

    if (value[0].len == 0 || ngx_strlchr(value[0].data,
                                         value[0].data + value[0].len, '='))
    {
        return "must name a klaviyo_fleet first";
    }

    account->fleet_queue = NGX_CONF_UNSET_UINT;

    rv = ngx_http_klaviyo_args(cf, account, ngx_http_klaviyo_fleet_args,
                               &value[1], n - 1);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_conf_init_uint_value(account->fleet_queue, 1);

    for (i = 1; i < n && !account->fleet_queue; i++) {

        if (ngx_strncmp(value[i].data, "share=", 6) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" in \"fleet\" of klaviyo_account "
                               "\"%V\" is of a shared queue, and "
                               "\"share=limits\" shares none",
                               &value[i], &account->name);
            return NGX_CONF_ERROR;
        }
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_klaviyo_module);

    if (kmcf->fleet.ops == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"fleet\" of klaviyo_account \"%V\" needs "
                           "ngx_http_klaviyo_fleet_module, which is not "
                           "loaded: add \"load_module modules/"
                           "ngx_http_klaviyo_fleet_module.so;\"",
                           &account->name);
        return NGX_CONF_ERROR;
    }

    account->fleet_name = value[0];

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_fleet_share(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    ngx_uint_t *queue = field;

    if (*queue != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (value->len == 5 && ngx_strncmp(value->data, "queue", 5) == 0) {
        *queue = 1;
        return NGX_CONF_OK;
    }

    if (value->len == 6 && ngx_strncmp(value->data, "limits", 6) == 0) {
        *queue = 0;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\": \"share\" is \"queue\" or "
                       "\"limits\"", arg);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_fleet_size(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *value,
    void *field)
{
    size_t *size = field;

    if (*size != NGX_CONF_UNSET_SIZE) {
        return "is duplicate";
    }

    return ngx_http_klaviyo_arg_size(cf, arg, value, 1024 * 1024,
                                     NGX_MAX_SIZE_T_VALUE / 4, size);
}


static char *
ngx_http_klaviyo_fleet_deliver(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *value, void *field)
{
    ngx_uint_t *deliver = field;

    if (*deliver != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    if (value->len == 2 && ngx_strncmp(value->data, "on", 2) == 0) {
        *deliver = 1;
        return NGX_CONF_OK;
    }

    if (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0) {
        *deliver = 0;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\": it must be \"on\" or "
                       "\"off\"", arg);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_klaviyo_set_certificate(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    u_char           *p, buf[4096];
    ssize_t           size;
    ngx_fd_t          fd;
    ngx_file_info_t   fi;

    (void) n;

    if (account->ssl_trusted_certificate.data) {
        return "is duplicate";
    }

    if (ngx_conf_full_name(cf->cycle, value, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(value->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", value);
        return NGX_CONF_ERROR;
    }

    size = -1;

    if (ngx_fd_info(fd, &fi) != NGX_FILE_ERROR && ngx_is_file(&fi)) {
        size = ngx_read_fd(fd, buf, sizeof(buf));
    }

    (void) ngx_close_file(fd);

    /* comments may stand before the first certificate, though not for long */

    p = size > 0 ? ngx_strlcasestrn(buf, buf + size,
                                    (u_char *) "-----BEGIN", 10 - 1)
                 : NULL;

    if (p == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not a file of certificates in PEM",
                           value);
        return NGX_CONF_ERROR;
    }

    account->ssl_trusted_certificate = *value;

    return NGX_CONF_OK;
}


static char *
ngx_http_klaviyo_set_verify(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    (void) n;

    return ngx_http_klaviyo_set_flag(cf, value, &account->ssl_verify);
}


static char *
ngx_http_klaviyo_set_dry_run(ngx_conf_t *cf, void *conf, ngx_str_t *value,
    ngx_uint_t n)
{
    ngx_http_klaviyo_account_t  *account = conf;

    (void) n;

    return ngx_http_klaviyo_set_flag(cf, value, &account->dry_run);
}


static char *
ngx_http_klaviyo_set_flag(ngx_conf_t *cf, ngx_str_t *value, ngx_flag_t *flag)
{
    if (*flag != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (ngx_strcasecmp(value->data, (u_char *) "on") == 0) {
        *flag = 1;

    } else if (ngx_strcasecmp(value->data, (u_char *) "off") == 0) {
        *flag = 0;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\": it must be \"on\" or "
                           "\"off\"", value);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

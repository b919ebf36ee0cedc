/*
 * The block klaviyo_account.
 */


#include "ngx_http_klaviyo_endpoint.h"
#include "ngx_http_klaviyo_setting.h"
#include "ngx_http_klaviyo_account.h"
#include "ngx_http_klaviyo_spool.h"


#define NGX_HTTP_KLAVIYO_QUEUE_DIR  "/run/nginx-klaviyo/"
#define NGX_HTTP_KLAVIYO_LANE_SIZE  (4 * 1024 * 1024)

/* any host's largest event is a quarter of it */
#define NGX_HTTP_KLAVIYO_FLEET_SIZE  (20 * 1024 * 1024)


static ngx_int_t ngx_http_klaviyo_account_check_name(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_str_t *name);
static void ngx_http_klaviyo_account_unset(ngx_http_klaviyo_account_t *account);
static char *ngx_http_klaviyo_account_init(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_account_lane(
    ngx_conf_t *cf, ngx_http_klaviyo_account_t *account,
    const klaviyo_lane_t *lane);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_account_fleet(
    ngx_conf_t *cf, ngx_http_klaviyo_account_t *account);
static ngx_int_t ngx_http_klaviyo_account_beside(ngx_conf_t *cf,
    ngx_str_t *path, const klaviyo_lane_t *lane, const char *end);


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
    account->lane = &klaviyo_lanes[KLAVIYO_LANE_EVENTS];
    account->lanes[KLAVIYO_LANE_EVENTS] = account;
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
     *     account->hold_path, fleet_name, fleet_key,
     *         fleet_whose = { 0, NULL };
     *     account->fleet, fleet_host = NULL;
     *     account->fleet_queue = 0;
     *     account->lanes, lanes_used, lanes_max_age = { NULL }, 0, { 0 };
     *     account->missing, used = 0;
     *     account->ring, hold_ring, former, limits_zone, hold_zone = NULL;
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
    account->fleet_size = NGX_CONF_UNSET_SIZE;
    account->fleet_away = NGX_CONF_UNSET_MSEC;
    account->fleet_deliver = NGX_CONF_UNSET_UINT;
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

    if (account->proxy.len && !ngx_http_klaviyo_is_tls(&account->endpoint)) {
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
    ngx_conf_init_size_value(account->fleet_size, 64 * 1024 * 1024);
    ngx_conf_init_msec_value(account->fleet_away, 30 * 1000);
    ngx_conf_init_uint_value(account->fleet_deliver, 1);
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


ngx_int_t
ngx_http_klaviyo_account_lanes(ngx_conf_t *cf,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_uint_t                    i, lane, used;
    ngx_http_klaviyo_account_t  **slot, **account, *copy;

    account = kmcf->accounts.elts;
    used = 0;

    for (i = 0; i < kmcf->accounts.nelts; i++) {
        used |= account[i]->lanes_used;
    }

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (account[i]->lanes_all) {
            account[i]->lanes_used |= used;
        }

        for (lane = 0; lane < KLAVIYO_LANE_N; lane++) {

            if (lane && (account[i]->lanes_used & (1 << lane))) {
                account[i]->lanes[lane] = ngx_http_klaviyo_account_lane(cf,
                                          account[i], &klaviyo_lanes[lane]);

                if (account[i]->lanes[lane] == NULL) {
                    return NGX_ERROR;
                }
            }

            if (account[i]->lanes[lane] == NULL) {
                continue;
            }

            slot = ngx_array_push(&kmcf->queues);
            if (slot == NULL) {
                return NGX_ERROR;
            }

            *slot = account[i]->lanes[lane];

            /* a dry run says what it would send where it was captured */

            if ((*slot)->dry_run) {
                (*slot)->fleet_queue = 0;
            }

            if (!(*slot)->fleet_queue || !(*slot)->fleet_deliver) {
                continue;
            }

            copy = ngx_http_klaviyo_account_fleet(cf, *slot);
            slot = ngx_array_push(&kmcf->queues);

            if (copy == NULL || slot == NULL) {
                return NGX_ERROR;
            }

            *slot = copy;
        }
    }

    return NGX_OK;
}


static ngx_http_klaviyo_account_t *
ngx_http_klaviyo_account_lane(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account, const klaviyo_lane_t *lane)
{
    time_t                       max_age;
    ngx_str_t                    dead;
    ngx_uint_t                   i;
    ngx_http_klaviyo_account_t  *beside;

    i = lane - klaviyo_lanes;

    beside = ngx_palloc(cf->pool, sizeof(ngx_http_klaviyo_account_t));
    if (beside == NULL) {
        return NULL;
    }

    *beside = *account;

    ngx_memzero(beside->lanes, sizeof(beside->lanes));

    beside->lane = lane;
    beside->hold = 0;
    ngx_str_null(&beside->hold_path);

    beside->queue_size = ngx_min(account->queue_size,
                                 NGX_HTTP_KLAVIYO_LANE_SIZE);

    max_age = account->lanes_max_age[i] ? account->lanes_max_age[i]
                                        : (time_t) lane->max_age;

    if (max_age) {
        beside->retry_max_age = ngx_min(max_age, account->retry_max_age);
    }

    /* the name of an account has no slash, nor has a configuration's */

    beside->name.len = account->name.len + ngx_strlen(lane->name) + 1;
    beside->name.data = ngx_pnalloc(cf->pool, beside->name.len + 1);

    if (beside->name.data == NULL) {
        return NULL;
    }

    (void) ngx_sprintf(beside->name.data, "%V/%s%Z", &account->name,
                       lane->name);

    dead = account->dead_letter;

    if (ngx_http_klaviyo_account_beside(cf, &beside->queue, lane, "") != NGX_OK
        || ngx_http_klaviyo_account_beside(cf, &beside->spool, lane, "")
           != NGX_OK)
    {
        return NULL;
    }

    /* in the lane's own spool, if it is in the account's */

    if (account->spool.len
        && dead.len > account->spool.len
        && ngx_strncmp(dead.data, account->spool.data, account->spool.len)
           == 0
        && dead.data[account->spool.len] == '/')
    {
        beside->dead_letter = account->spool;

        if (ngx_http_klaviyo_account_beside(cf, &beside->dead_letter, lane,
                                            (char *) dead.data
                                            + account->spool.len)
            != NGX_OK)
        {
            return NULL;
        }

    } else if (ngx_http_klaviyo_account_beside(cf, &beside->dead_letter, lane,
                                               "")
               != NGX_OK)
    {
        return NULL;
    }

    return beside;
}


/* the queue of the host that delivers for all: what it has is a copy */

static ngx_http_klaviyo_account_t *
ngx_http_klaviyo_account_fleet(ngx_conf_t *cf,
    ngx_http_klaviyo_account_t *account)
{
    ngx_http_klaviyo_account_t  *copy;

    copy = ngx_palloc(cf->pool, sizeof(ngx_http_klaviyo_account_t));
    if (copy == NULL) {
        return NULL;
    }

    *copy = *account;

    ngx_memzero(copy->lanes, sizeof(copy->lanes));

    copy->fleet_host = account;
    copy->fleet_queue = 0;
    copy->hold = 0;
    ngx_str_null(&copy->hold_path);
    ngx_str_null(&copy->spool);
    ngx_str_null(&copy->dead_letter);

    copy->queue_size = NGX_HTTP_KLAVIYO_FLEET_SIZE;
    copy->queue_full = 0;

    copy->name.len = account->name.len + sizeof("/fleet") - 1;
    copy->name.data = ngx_pnalloc(cf->pool, copy->name.len + 1);
    copy->queue.len = account->queue.len + sizeof(".fleet") - 1;
    copy->queue.data = ngx_pnalloc(cf->pool, copy->queue.len + 1);

    if (copy->name.data == NULL || copy->queue.data == NULL) {
        return NULL;
    }

    (void) ngx_sprintf(copy->name.data, "%V/fleet%Z", &account->name);
    (void) ngx_sprintf(copy->queue.data, "%V.fleet%Z", &account->queue);

    return copy;
}


/* "<path>.<lane><end>"; what the account has not, its lane has not */

static ngx_int_t
ngx_http_klaviyo_account_beside(ngx_conf_t *cf, ngx_str_t *path,
    const klaviyo_lane_t *lane, const char *end)
{
    u_char  *p;
    size_t   len;

    if (path->len == 0) {
        return NGX_OK;
    }

    len = path->len + ngx_strlen(lane->name) + ngx_strlen(end) + 1;

    p = ngx_pnalloc(cf->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(p, "%V.%s%s%Z", path, lane->name, end);

    path->len = len;
    path->data = p;

    return NGX_OK;
}


void
ngx_http_klaviyo_account_warn(ngx_log_t *log,
    ngx_http_klaviyo_main_conf_t *kmcf)
{
    ngx_uint_t                    i;
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (!account[i]->used) {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "klaviyo_account \"%V\" in %s:%ui is used by no "
                          "directive: name it with \"account=%V\" or "
                          "\"klaviyo_account_default\", or remove it",
                          &account[i]->name, account[i]->conf_file,
                          account[i]->conf_line, &account[i]->name);
        }
    }

    if (kmcf->nobody_file && !kmcf->somebody) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "no event can have a visitor, as the one in %s:%ui: "
                      "\"klaviyo_identity\" is off and there is no "
                      "\"klaviyo_profile\" anywhere: add \"klaviyo_profile "
                      "email ...\"",
                      kmcf->nobody_file, kmcf->nobody_line);
    }
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

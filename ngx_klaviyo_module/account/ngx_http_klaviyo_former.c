/*
 * Queues that a reload leaves behind; see the header.
 *
 * They stay where they are: the deliverer of the account's queue empties and
 * removes them, as it does with a queue of another size.  What they have in a
 * spool can be had by an account with the same spool only.
 */


#include "ngx_http_klaviyo_former.h"
#include "ngx_http_klaviyo_path.h"

#include "queue/klaviyo_ring_drain.h"
#include "queue/klaviyo_ring_figures.h"
#include "queue/klaviyo_ring_file.h"
#include "queue/klaviyo_ring_open.h"


/* what the child tells of each */

typedef struct {
    uint32_t  taken;
    uint8_t   uuid[KLAVIYO_RING_UUID_LEN];
} ngx_http_klaviyo_verdict_t;


static ngx_int_t ngx_http_klaviyo_former_add(
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_array_t *former,
    ngx_http_klaviyo_account_t *was, ngx_str_t *path, ngx_uint_t hold);
static ngx_http_klaviyo_account_t *ngx_http_klaviyo_former_now(
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_http_klaviyo_account_t *was);
static ngx_uint_t ngx_http_klaviyo_former_used(
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_str_t *path);
static void ngx_http_klaviyo_former_judge(ngx_http_klaviyo_former_t *former,
    ngx_http_klaviyo_verdict_t *verdict, ngx_log_t *log);
static void ngx_http_klaviyo_former_tell(ngx_http_klaviyo_former_t *former,
    uint64_t n, ngx_log_t *log);


static ngx_uint_t
ngx_http_klaviyo_former_equal(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_memcmp(a->data, b->data, a->len) == 0;
}


/* NULL: this is no reload, or the module was not this one */

static ngx_http_klaviyo_main_conf_t *
ngx_http_klaviyo_former_conf(ngx_cycle_t *cycle)
{
    ngx_uint_t    i;
    ngx_cycle_t  *old;

    old = cycle->old_cycle;

    if (ngx_test_config || old == NULL || ngx_is_init_cycle(old)) {
        return NULL;
    }

    for (i = 0; i < old->modules_n; i++) {
        if (old->modules[i] == &ngx_http_klaviyo_module) {
            return ngx_http_cycle_get_module_main_conf(old,
                                                     ngx_http_klaviyo_module);
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_klaviyo_former_init(ngx_cycle_t *cycle,
    ngx_http_klaviyo_main_conf_t *kmcf, ngx_array_t *former)
{
    ngx_uint_t                      i, k;
    ngx_http_klaviyo_former_t      *taken;
    ngx_http_klaviyo_account_t    **was;
    ngx_http_klaviyo_main_conf_t   *old;

    if (ngx_array_init(former, cycle->pool, 4,
                       sizeof(ngx_http_klaviyo_former_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    old = ngx_http_klaviyo_former_conf(cycle);

    if (old == NULL) {
        return NGX_OK;
    }

    was = old->queues.elts;

    for (i = 0; i < old->queues.nelts; i++) {

        /* a copy: the fleet has all of it */

        if (was[i]->fleet_host) {
            continue;
        }

        if (ngx_http_klaviyo_former_add(kmcf, former, was[i], &was[i]->queue,
                                        0)
            != NGX_OK
            || ngx_http_klaviyo_former_add(kmcf, former, was[i],
                                           &was[i]->hold_path, 1)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* what it has taken over itself and may not have emptied yet */

        taken = was[i]->former ? was[i]->former->elts : NULL;

        for (k = 0; taken && k < was[i]->former->nelts; k++) {
            if (ngx_http_klaviyo_former_add(kmcf, former, was[i],
                                            &taken[k].path, taken[k].hold)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_klaviyo_former_add(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_array_t *former, ngx_http_klaviyo_account_t *was, ngx_str_t *path,
    ngx_uint_t hold)
{
    ngx_http_klaviyo_former_t  *f;

    if (path->len == 0 || ngx_http_klaviyo_former_used(kmcf, path)) {
        return NGX_OK;
    }

    f = ngx_array_push(former);
    if (f == NULL) {
        return NGX_ERROR;
    }

    /* the old configuration ends before this one does */

    f->path.len = path->len;
    f->path.data = ngx_pnalloc(former->pool, path->len + 1);
    if (f->path.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(f->path.data, path->data, path->len);
    f->path.data[path->len] = '\0';

    f->hold = hold;
    f->was = was;
    f->now = ngx_http_klaviyo_former_now(kmcf, was);

    return NGX_OK;
}


/* a spelling that is another one is found by the ring's uuid later */

static ngx_uint_t
ngx_http_klaviyo_former_used(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_str_t *path)
{
    ngx_uint_t                    i;
    ngx_http_klaviyo_account_t  **account;

    account = kmcf->queues.elts;

    for (i = 0; i < kmcf->queues.nelts; i++) {
        if (ngx_http_klaviyo_former_equal(&account[i]->queue, path)
            || ngx_http_klaviyo_former_equal(&account[i]->hold_path, path))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_klaviyo_former_same(ngx_http_klaviyo_account_t *now,
    ngx_http_klaviyo_account_t *was)
{
    return ngx_http_klaviyo_former_equal(&now->authorization,
                                         &was->authorization)
           && ngx_http_klaviyo_former_equal(&now->endpoint, &was->endpoint)
           && now->lane == was->lane
           && now->dry_run == was->dry_run;
}


/*
 * The same key for the same end is the same account, whatever its name.  The
 * same name is the operator's word, unless "company" says otherwise.
 */

static ngx_http_klaviyo_account_t *
ngx_http_klaviyo_former_now(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_http_klaviyo_account_t *was)
{
    ngx_uint_t                    i;
    ngx_http_klaviyo_account_t   *named, **account;

    named = NULL;
    account = kmcf->queues.elts;

    for (i = 0; i < kmcf->queues.nelts; i++) {
        if (ngx_http_klaviyo_former_equal(&account[i]->name, &was->name)) {
            named = account[i];
        }
    }

    if (named && ngx_http_klaviyo_former_same(named, was)) {
        return named;
    }

    for (i = 0; i < kmcf->queues.nelts; i++) {
        if (ngx_http_klaviyo_former_same(account[i], was)) {
            return account[i];
        }
    }

    if (named && named->company.len && was->company.len
        && !ngx_http_klaviyo_former_equal(&named->company, &was->company))
    {
        return NULL;
    }

    return named;
}


ngx_int_t
ngx_http_klaviyo_former_look(ngx_http_klaviyo_main_conf_t *kmcf,
    ngx_array_t *former, int socket, ngx_log_t *log)
{
    ssize_t                       n;
    ngx_uint_t                    i, k;
    ngx_http_klaviyo_former_t    *f;
    ngx_http_klaviyo_account_t  **account;
    ngx_http_klaviyo_verdict_t    verdict;

    f = former->elts;
    account = kmcf->queues.elts;

    for (i = 0; i < former->nelts; i++) {

        ngx_memzero(&verdict, sizeof(ngx_http_klaviyo_verdict_t));

        for (k = 0; k < kmcf->queues.nelts; k++) {
            if (ngx_http_klaviyo_path_same(&f[i].path, &account[k]->queue)
                || ngx_http_klaviyo_path_same(&f[i].path,
                                              &account[k]->hold_path))
            {
                break;
            }
        }

        if (k == kmcf->queues.nelts) {
            ngx_http_klaviyo_former_judge(&f[i], &verdict, log);
        }

        do {
            n = send(socket, &verdict, sizeof(ngx_http_klaviyo_verdict_t),
                     MSG_NOSIGNAL);
        } while (n == -1 && ngx_errno == NGX_EINTR);

        if (n == -1) {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "klaviyo: send() failed");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_klaviyo_former_judge(ngx_http_klaviyo_former_t *former,
    ngx_http_klaviyo_verdict_t *verdict, ngx_log_t *log)
{
    char                          error[KLAVIYO_RING_ERROR_MAX];
    uint64_t                      n;
    klaviyo_ring_t               *ring;
    klaviyo_ring_rc_e             rc;
    klaviyo_ring_span_t           span;
    ngx_http_klaviyo_account_t   *now;

    rc = klaviyo_ring_open(&ring, (char *) former->path.data,
                           KLAVIYO_RING_LOOK, error);

    if (rc == KLAVIYO_RING_EMPTY) {
        return;
    }

    if (rc == KLAVIYO_RING_OK) {
        rc = klaviyo_ring_span(ring, &span);
        klaviyo_ring_detach(ring);
    }

    if (rc != KLAVIYO_RING_OK) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "queue \"%V\" of klaviyo_account \"%V\" is left behind, "
                      "and what it holds is not known: %s",
                      &former->path, &former->was->name, error);
        return;
    }

    n = span.end.seq - span.done;
    now = former->now;

    if (now == NULL
        || (former->hold && now->hold == 0)
        || (span.done < span.first.seq
            && !ngx_http_klaviyo_former_equal(&now->spool,
                                              &former->was->spool)))
    {
        ngx_http_klaviyo_former_tell(former, n, log);
        return;
    }

    verdict->taken = 1;
    ngx_memcpy(verdict->uuid, span.uuid, KLAVIYO_RING_UUID_LEN);

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "queue \"%V\" of klaviyo_account \"%V\" with %uL events is "
                  "taken over by klaviyo_account \"%V\"",
                  &former->path, &former->was->name, n, &now->name);
}


static void
ngx_http_klaviyo_former_tell(ngx_http_klaviyo_former_t *former, uint64_t n,
    ngx_log_t *log)
{
    ngx_str_t                    to;
    ngx_uint_t                   level;
    ngx_http_klaviyo_account_t  *was;

    was = former->was;

    /* requests that are under way may add to it */

    level = n ? NGX_LOG_WARN : NGX_LOG_NOTICE;

    if (former->hold) {
        ngx_log_error(level, log, 0,
                      "\"%V\" holds %uL events of klaviyo_account \"%V\" that "
                      "wait for their visitor, and is not read any more: "
                      "configure the account with \"hold\" and its \"queue\" "
                      "again, until they have left",
                      &former->path, n, &was->name);
        return;
    }

    ngx_str_set(&to, "<queue of an account>");

    if (former->now) {
        to = former->now->queue;
    }

    ngx_log_error(level, log, 0,
                  "queue \"%V\" of klaviyo_account \"%V\" holds %uL events and "
                  "is not read any more, as %s: put them back with "
                  "\"klaviyo-queue export %s%V%s%V | "
                  "klaviyo-queue replay %V\"",
                  &former->path, &was->name, n,
                  former->now ? "some are in a spool that the account does "
                                "not have now"
                              : "it is no account's now",
                  was->spool.len ? "--spool=" : "", &was->spool,
                  was->spool.len ? " " : "", &former->path, &to);
}


ngx_int_t
ngx_http_klaviyo_former_take(ngx_array_t *former, int socket)
{
    ssize_t                      n;
    ngx_uint_t                   i;
    klaviyo_ring_t              *ring;
    ngx_http_klaviyo_former_t   *f, *taken;
    ngx_http_klaviyo_account_t  *now;
    ngx_http_klaviyo_verdict_t   verdict;

    f = former->elts;

    for (i = 0; i < former->nelts; i++) {

        do {
            n = recv(socket, &verdict, sizeof(ngx_http_klaviyo_verdict_t), 0);
        } while (n == -1 && ngx_errno == NGX_EINTR);

        if (n != (ssize_t) sizeof(ngx_http_klaviyo_verdict_t)) {
            return (n > 0) ? NGX_ERROR : NGX_DECLINED;
        }

        now = f[i].now;

        if (!verdict.taken || now == NULL) {
            continue;
        }

        ring = f[i].hold ? now->hold_ring : now->ring;

        if (ring == NULL) {
            continue;
        }

        if (now->former == NULL) {
            now->former = ngx_array_create(former->pool, 1,
                                           sizeof(ngx_http_klaviyo_former_t));
            if (now->former == NULL) {
                return NGX_ERROR;
            }
        }

        taken = ngx_array_push(now->former);

        if (taken == NULL
            || klaviyo_ring_drain_also(ring, (char *) f[i].path.data,
                                       verdict.uuid)
               != 0)
        {
            return NGX_ERROR;
        }

        *taken = f[i];
        taken->was = NULL;
    }

    return NGX_OK;
}

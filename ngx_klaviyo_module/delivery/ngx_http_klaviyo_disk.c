/*
 * Delivery: the spool's jobs.  The functions called *_work run in a thread:
 * they touch the disk's own members only, and nothing of nginx.
 */


#include "ngx_http_klaviyo_disk.h"

#include "ngx_http_klaviyo_job.h"
#include "account/ngx_http_klaviyo_spool.h"
#include "queue/klaviyo_spool_chunk.h"
#include "queue/klaviyo_spool_open.h"
#include "queue/klaviyo_spool_read.h"


struct ngx_http_klaviyo_disk_s {
    ngx_http_klaviyo_job_t        job;
    ngx_http_klaviyo_disk_e       what;

    klaviyo_spool_t              *spool;     /* NULL: not open               */
    klaviyo_spool_conf_t          conf;
    char                          dir[NGX_MAX_PATH]; /* outlives the cycle   */
    klaviyo_chunk_t               chunk;

    /* what the job is to do */

    klaviyo_spill_plan_t          plan;
    uint64_t                      seq;
    uint64_t                      position;

    /* what came of it */

    klaviyo_spool_rc_e            rc;
    klaviyo_spool_state_t         state;
    uint64_t                      count;
    uint64_t                      abandoned; /* told already                 */
    char                          error[KLAVIYO_RING_ERROR_MAX];
    char                          note[KLAVIYO_RING_ERROR_MAX];

    void                        (*done)(void *data);
    void                         *data;      /* NULL: destroyed meanwhile    */
    ngx_str_t                    *account;
    ngx_log_t                    *log;
};


static ngx_int_t ngx_http_klaviyo_disk_post(ngx_http_klaviyo_disk_t *disk,
    ngx_http_klaviyo_disk_e what);
static void ngx_http_klaviyo_disk_work(void *data);
static void ngx_http_klaviyo_disk_gone(ngx_http_klaviyo_disk_t *disk);
static void ngx_http_klaviyo_disk_write_work(ngx_http_klaviyo_disk_t *disk);
static void ngx_http_klaviyo_disk_done(void *data);
static void ngx_http_klaviyo_disk_free(ngx_http_klaviyo_disk_t *disk);


ngx_http_klaviyo_disk_t *
ngx_http_klaviyo_disk_create(ngx_http_klaviyo_account_t *account,
    void (*done)(void *data), void *data, ngx_log_t *log)
{
    ngx_http_klaviyo_disk_t  *disk;

    disk = ngx_calloc(sizeof(ngx_http_klaviyo_disk_t), log);
    if (disk == NULL) {
        return NULL;
    }

    disk->done = done;
    disk->data = data;
    disk->account = &account->name;
    disk->log = log;

    if (ngx_http_klaviyo_spool_conf(account, &disk->conf) != NGX_OK) {
        ngx_free(disk);
        return NULL;
    }

    (void) ngx_cpystrn((u_char *) disk->dir, account->spool.data,
                       sizeof(disk->dir));
    disk->conf.dir = disk->dir;

    return disk;
}


void
ngx_http_klaviyo_disk_destroy(ngx_http_klaviyo_disk_t *disk)
{
    disk->data = NULL;

    if (!disk->job.active) {
        ngx_http_klaviyo_disk_free(disk);
    }
}


ngx_uint_t
ngx_http_klaviyo_disk_active(ngx_http_klaviyo_disk_t *disk)
{
    return disk->job.active;
}


ngx_int_t
ngx_http_klaviyo_disk_open(ngx_http_klaviyo_disk_t *disk)
{
    return ngx_http_klaviyo_disk_post(disk, NGX_HTTP_KLAVIYO_DISK_OPEN);
}


ngx_int_t
ngx_http_klaviyo_disk_adopt(ngx_http_klaviyo_disk_t *disk,
    klaviyo_spill_plan_t *plan)
{
    disk->plan = *plan;

    return ngx_http_klaviyo_disk_post(disk, NGX_HTTP_KLAVIYO_DISK_ADOPT);
}


ngx_int_t
ngx_http_klaviyo_disk_write(ngx_http_klaviyo_disk_t *disk, uint64_t position,
    uint64_t done)
{
    disk->position = position;
    disk->seq = done;

    return ngx_http_klaviyo_disk_post(disk, NGX_HTTP_KLAVIYO_DISK_WRITE);
}


ngx_int_t
ngx_http_klaviyo_disk_read(ngx_http_klaviyo_disk_t *disk, uint64_t seq)
{
    disk->seq = seq;

    return ngx_http_klaviyo_disk_post(disk, NGX_HTTP_KLAVIYO_DISK_READ);
}


ngx_int_t
ngx_http_klaviyo_disk_forget(ngx_http_klaviyo_disk_t *disk, uint64_t seq)
{
    disk->seq = seq;

    return ngx_http_klaviyo_disk_post(disk, NGX_HTTP_KLAVIYO_DISK_FORGET);
}


klaviyo_chunk_t *
ngx_http_klaviyo_disk_chunk(ngx_http_klaviyo_disk_t *disk)
{
    return &disk->chunk;
}


ngx_http_klaviyo_disk_e
ngx_http_klaviyo_disk_result(ngx_http_klaviyo_disk_t *disk,
    klaviyo_spool_rc_e *rc, klaviyo_spool_state_t *state)
{
    *rc = disk->rc;
    *state = disk->state;

    return disk->what;
}


ngx_uint_t
ngx_http_klaviyo_disk_is_open(ngx_http_klaviyo_disk_t *disk)
{
    return disk->spool != NULL;
}


const char *
ngx_http_klaviyo_disk_error(ngx_http_klaviyo_disk_t *disk)
{
    return disk->error;
}


uint64_t
ngx_http_klaviyo_disk_count(ngx_http_klaviyo_disk_t *disk)
{
    return disk->count;
}


uint64_t
ngx_http_klaviyo_disk_abandoned(ngx_http_klaviyo_disk_t *disk)
{
    uint64_t  n;

    n = disk->state.abandoned - disk->abandoned;
    disk->abandoned = disk->state.abandoned;

    return n;
}


uint64_t
ngx_http_klaviyo_disk_second(ngx_http_klaviyo_disk_t *disk)
{
    uint64_t  seq;

    klaviyo_spool_second(disk->spool, &seq);

    return seq;
}


static ngx_int_t
ngx_http_klaviyo_disk_post(ngx_http_klaviyo_disk_t *disk,
    ngx_http_klaviyo_disk_e what)
{
    disk->what = what;
    disk->count = 0;

    disk->job.work = ngx_http_klaviyo_disk_work;
    disk->job.done = ngx_http_klaviyo_disk_done;
    disk->job.data = disk;

    return ngx_http_klaviyo_job_post(&disk->job, disk->log);
}


static void
ngx_http_klaviyo_disk_work(void *data)
{
    ngx_http_klaviyo_disk_t  *disk = data;

    if (disk->spool && klaviyo_spool_gone(disk->spool)) {
        ngx_http_klaviyo_disk_gone(disk);
        return;
    }

    switch (disk->what) {

    case NGX_HTTP_KLAVIYO_DISK_OPEN:
        disk->rc = klaviyo_spool_open(&disk->spool, &disk->conf, disk->error,
                                      disk->note);
        break;

    case NGX_HTTP_KLAVIYO_DISK_ADOPT:
        disk->rc = klaviyo_spool_adopt(disk->spool, disk->plan.ring,
                                       disk->plan.first, disk->plan.from,
                                       disk->plan.to, disk->plan.adoption,
                                       &disk->count, disk->error);
        break;

    case NGX_HTTP_KLAVIYO_DISK_WRITE:
        ngx_http_klaviyo_disk_write_work(disk);
        break;

    case NGX_HTTP_KLAVIYO_DISK_READ:
        disk->rc = klaviyo_spool_read(disk->spool, disk->seq, &disk->chunk,
                                      disk->error);
        break;

    default: /* NGX_HTTP_KLAVIYO_DISK_FORGET */
        disk->rc = klaviyo_spool_forget(disk->spool, disk->seq, disk->error);
        break;
    }

    if (disk->spool) {
        klaviyo_spool_state(disk->spool, &disk->state);
    }
}


static void
ngx_http_klaviyo_disk_gone(ngx_http_klaviyo_disk_t *disk)
{
    klaviyo_spool_close(disk->spool);
    disk->spool = NULL;

    disk->abandoned = 0;
    ngx_memzero(&disk->state, sizeof(klaviyo_spool_state_t));

    (void) ngx_snprintf((u_char *) disk->error, KLAVIYO_RING_ERROR_MAX - 1,
                        "the spool \"%s\" was removed%Z", disk->conf.dir);
    disk->error[KLAVIYO_RING_ERROR_MAX - 1] = '\0';

    disk->rc = KLAVIYO_SPOOL_ERROR;
}


static void
ngx_http_klaviyo_disk_write_work(ngx_http_klaviyo_disk_t *disk)
{
    klaviyo_spool_state_t  state;

    klaviyo_spool_state(disk->spool, &state);

    /* makes room, and nothing between this and the tail is missing then */

    if (disk->seq > state.head) {
        disk->rc = klaviyo_spool_forget(disk->spool, disk->seq, disk->error);

        if (disk->rc != KLAVIYO_SPOOL_OK) {
            return;
        }
    }

    disk->rc = klaviyo_spool_write(disk->spool, &disk->chunk, disk->position,
                                   disk->error);

    if (disk->rc == KLAVIYO_SPOOL_OK) {
        disk->count = disk->chunk.events;
    }
}


static void
ngx_http_klaviyo_disk_done(void *data)
{
    ngx_http_klaviyo_disk_t  *disk = data;

    if (disk->data == NULL) {
        ngx_http_klaviyo_disk_free(disk);
        return;
    }

    if (disk->note[0]) {
        ngx_log_error(NGX_LOG_WARN, disk->log, 0,
                      "spool of klaviyo account \"%V\": %s", disk->account,
                      disk->note);
        disk->note[0] = '\0';
    }

    disk->done(disk->data);
}


static void
ngx_http_klaviyo_disk_free(ngx_http_klaviyo_disk_t *disk)
{
    if (disk->spool) {
        klaviyo_spool_close(disk->spool);
    }

    klaviyo_chunk_free(&disk->chunk);

    ngx_free(disk);
}

/*
 * The spool's work on the disk, as jobs beside the event loop.  For the
 * spooler, which decides what is to be done.
 *
 * All of it lives until its job has ended, even when the spooler is gone.
 */


#ifndef NGX_HTTP_KLAVIYO_DISK_H
#define NGX_HTTP_KLAVIYO_DISK_H


#include "account/ngx_http_klaviyo_account.h"
#include "queue/klaviyo_spill.h"


typedef enum {
    NGX_HTTP_KLAVIYO_DISK_OPEN = 0,
    NGX_HTTP_KLAVIYO_DISK_ADOPT,
    NGX_HTTP_KLAVIYO_DISK_WRITE,
    NGX_HTTP_KLAVIYO_DISK_READ,
    NGX_HTTP_KLAVIYO_DISK_FORGET,
    NGX_HTTP_KLAVIYO_DISK_N
} ngx_http_klaviyo_disk_e;


typedef struct ngx_http_klaviyo_disk_s  ngx_http_klaviyo_disk_t;


/* `done` is called at the end of each job, never after destroy; NULL: logged */
ngx_http_klaviyo_disk_t *ngx_http_klaviyo_disk_create(
    ngx_http_klaviyo_account_t *account, void (*done)(void *data), void *data,
    ngx_log_t *log);
void ngx_http_klaviyo_disk_destroy(ngx_http_klaviyo_disk_t *disk);

/* 1: a job is under way, no other may be begun and nothing asked for */
ngx_uint_t ngx_http_klaviyo_disk_active(ngx_http_klaviyo_disk_t *disk);


/* NGX_OK: begun; NGX_ERROR, already logged */
ngx_int_t ngx_http_klaviyo_disk_open(ngx_http_klaviyo_disk_t *disk);
ngx_int_t ngx_http_klaviyo_disk_adopt(ngx_http_klaviyo_disk_t *disk,
    klaviyo_spill_plan_t *plan);

/* writes what is in the chunk; everything before `done` is forgotten first */
ngx_int_t ngx_http_klaviyo_disk_write(ngx_http_klaviyo_disk_t *disk,
    uint64_t position, uint64_t done);

/* fills the chunk from `seq` on */
ngx_int_t ngx_http_klaviyo_disk_read(ngx_http_klaviyo_disk_t *disk,
    uint64_t seq);
ngx_int_t ngx_http_klaviyo_disk_forget(ngx_http_klaviyo_disk_t *disk,
    uint64_t seq);

/* the chunk that is written from and read into */
klaviyo_chunk_t *ngx_http_klaviyo_disk_chunk(ngx_http_klaviyo_disk_t *disk);


/* of the job that has ended */

ngx_http_klaviyo_disk_e ngx_http_klaviyo_disk_result(
    ngx_http_klaviyo_disk_t *disk, klaviyo_spool_rc_e *rc,
    klaviyo_spool_state_t *state);

/* 0 after ERROR: the spool was removed, and has to be opened anew */
ngx_uint_t ngx_http_klaviyo_disk_is_open(ngx_http_klaviyo_disk_t *disk);

/* ERROR: what is wrong */
const char *ngx_http_klaviyo_disk_error(ngx_http_klaviyo_disk_t *disk);

/* events that were written or adopted; segments that were abandoned */
uint64_t ngx_http_klaviyo_disk_count(ngx_http_klaviyo_disk_t *disk);
uint64_t ngx_http_klaviyo_disk_abandoned(ngx_http_klaviyo_disk_t *disk);

/* as klaviyo_spool_second() */
uint64_t ngx_http_klaviyo_disk_second(ngx_http_klaviyo_disk_t *disk);


#endif /* NGX_HTTP_KLAVIYO_DISK_H */

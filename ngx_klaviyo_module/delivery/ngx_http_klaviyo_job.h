/*
 * Work that may wait for a disk, beside the event loop: in the thread pool
 * "default" where nginx is built with threads, else in a thread of our own
 * that starts with the first job.
 */


#ifndef NGX_HTTP_KLAVIYO_JOB_H
#define NGX_HTTP_KLAVIYO_JOB_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


typedef struct ngx_http_klaviyo_job_s  ngx_http_klaviyo_job_t;


/* one job under way at a time for each of these; zeroed before its first use */

struct ngx_http_klaviyo_job_s {
    void                    (*work)(void *data);  /* in the thread: no nginx */
    void                    (*done)(void *data);  /* in the event loop       */
    void                     *data;

    void                     *task;      /* private                          */
    ngx_http_klaviyo_job_t   *next;
    unsigned                  active:1;  /* posted, `done` not yet called    */
};


/* while the configuration is read: asks for the pool */
ngx_int_t ngx_http_klaviyo_job_init(ngx_conf_t *cf);

/*
 * Returns at once; `done` is called later from the event loop, or never when
 * the worker exits before.  NGX_ERROR, already logged: neither is called.
 */
ngx_int_t ngx_http_klaviyo_job_post(ngx_http_klaviyo_job_t *job,
    ngx_log_t *log);

/*
 * In exit_process: returns when no work is under way any more, or after `ms`
 * with NGX_AGAIN: then what it works on must not be touched or freed.
 */
ngx_int_t ngx_http_klaviyo_job_exit_process(ngx_msec_t ms);


#endif /* NGX_HTTP_KLAVIYO_JOB_H */

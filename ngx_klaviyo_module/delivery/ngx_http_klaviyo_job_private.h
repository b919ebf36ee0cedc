/*
 * A part of the jobs: the thread of our own.
 */


#ifndef NGX_HTTP_KLAVIYO_JOB_PRIVATE_H
#define NGX_HTTP_KLAVIYO_JOB_PRIVATE_H


#include "ngx_http_klaviyo_job.h"


/* in the event loop: the work of the job has ended */
void ngx_http_klaviyo_job_ended(ngx_http_klaviyo_job_t *job);

/* NGX_ERROR: already logged */
ngx_int_t ngx_http_klaviyo_job_thread_post(ngx_http_klaviyo_job_t *job,
    ngx_log_t *log);

/* as ngx_http_klaviyo_job_exit_process() */
ngx_int_t ngx_http_klaviyo_job_thread_exit_process(ngx_msec_t ms);


#endif /* NGX_HTTP_KLAVIYO_JOB_PRIVATE_H */
